/* snapshot.h - full images of a query's state (D8): one file `snapshot-%016x.leat` per batch id in a
 * checkpoint directory.
 *
 * A snapshot is a list of named sections of bytes. It is written under a temporary name, synced, renamed,
 * and the directory synced; so one that can be seen is whole. Bytes are kept in pages with a CRC-32C each
 * and a footer with the count of everything. A damaged snapshot is CORRUPT: the one before it is not used
 * in its place (the log behind it is gone), but said to be there.
 *
 * Section names: "state/<operator id>/<partition>", "source/<source id>", "meta".
 *
 * Threads  one owner.
 */
#ifndef LEAT_STREAM_SNAPSHOT_H
#define LEAT_STREAM_SNAPSHOT_H

#include "env/env.h"

typedef struct SnapshotInfo {
    uint64_t batch_id;     /* the last batch it holds */
    uint64_t log_sequence; /* frames of the batch log up to here are in it */
    uint32_t epoch;
} SnapshotInfo;

typedef struct SnapshotWriter SnapshotWriter;

CHECKED Status snapshot_create(Env *env, const char *directory, SnapshotInfo info, SnapshotWriter **out,
                               Error *err);
/* `name`: 1 to 4096 bytes. */
CHECKED Status snapshot_begin_section(SnapshotWriter *writer, Str name, Error *err);
/* To the section begun last. After a failure every later call, finish too, fails with the first error. */
CHECKED Status snapshot_write(SnapshotWriter *writer, Str piece, Error *err);
/* Durable and visible. The writer is gone whatever happens. */
CHECKED Status snapshot_finish(SnapshotWriter *writer, Error *err);
void snapshot_abandon(SnapshotWriter *writer); /* NULL is allowed; removes the temporary file */

typedef struct SnapshotReader SnapshotReader;

/* The newest one; its header and footer are checked now, its pages as they are read, one at a time: memory
 * stays at 1 MiB. NOT_FOUND: there is none. CORRUPT. UNSUPPORTED: a newer format. The caller owns *out. */
CHECKED Status snapshot_open(Env *env, const char *directory, SnapshotReader **out, SnapshotInfo *info,
                             Error *err);
/* The next section; *name empty at the end. What was not read of the one before is skipped, but checked. */
CHECKED Status snapshot_next_section(SnapshotReader *reader, Str *name, uint64_t *size_bytes, Error *err);
/* The next piece of the section's bytes, borrowed until the next call; empty at its end. */
CHECKED Status snapshot_read(SnapshotReader *reader, Str *piece, Error *err);
void snapshot_close(SnapshotReader *reader); /* NULL is allowed */

/* Removes the snapshots older than `batch_id` and abandoned temporary files. */
CHECKED Status snapshot_remove_before(Env *env, const char *directory, uint64_t batch_id, Error *err);

#endif
