/* snapshot.h - images of a query's state, saved section by section (D8): files `snapshot-%016x.leat` of a
 * checkpoint directory.
 *
 * A section is a named part of the state (a key group of an operator, the position of a source) as it stood
 * behind one batch, with the sequence of the last frame of the batch log that is in it. A file is a row of
 * sections. It is only ever appended to, some sections (a *portion*) at a time, and each portion is durable
 * before a SNAPSHOT frame of the batch log (frames.h) speaks of it. That frame says which files count, and up
 * to which byte: their *extents*.
 *
 *   S1  What stands behind an extent is what a crash may have left: nobody looks at it.
 *   S2  Whatever is wrong inside an extent is damage: CORRUPT, with file and byte. Sections that are not read
 *       have their place and size checked, not their bytes; snapshot_read checks what it hands out.
 *   S3  Of several sections of one name the one that stands last, in the file with the highest number, is the
 *       newest.
 *
 * Section names: "meta"; "source/<source id>"; "state/<operator id>", that there is state;
 * "state/<operator id>/<n>", its n-th section.
 *
 * Memory   a portion stands in memory until it is written; a reader has one page of at most 1 MiB.
 * Threads  a builder and a catalog have one owner; snapshot_write_portion and the readers of a catalog may be
 *          used from any thread, each by one at a time.
 */
#ifndef LEAT_STREAM_SNAPSHOT_H
#define LEAT_STREAM_SNAPSHOT_H

#include "env/env.h"

/* A file, and how much of it counts. */
typedef struct SnapshotExtent {
    uint64_t number; /* from 1 */
    uint64_t size_bytes;
} SnapshotExtent;

/* ---- writing ---- */

/* Sections of one file on their way to the disk. */
typedef struct SnapshotPortion {
    uint64_t number, offset; /* of the file; where the bytes belong */
    Text bytes;
} SnapshotPortion;

typedef struct SnapshotBuilder SnapshotBuilder;

/* Of the file `number`, which is not there yet. The caller owns the result. */
SnapshotBuilder *snapshot_builder_create(uint64_t number);
void snapshot_builder_destroy(SnapshotBuilder *builder); /* NULL is allowed */
/* `name`: 1 to 4096 bytes. `log_sequence`: frames of the batch log up to here are in the section. */
void snapshot_begin_section(SnapshotBuilder *builder, Str name, uint64_t batch_id, uint64_t log_sequence);
void snapshot_put(SnapshotBuilder *builder, Str piece); /* to the section begun last */
/* False: nothing was put into the section, and it is as if it had not been begun. */
bool snapshot_end_section(SnapshotBuilder *builder);
uint64_t snapshot_builder_size_bytes(
    const SnapshotBuilder *builder); /* of the portion in the making; 0: empty */
/* The sections since the last call, in exchange for the memory of *portion, whose bytes are dropped: the same
 * pages again and again cost no page faults. The caller owns portion->bytes. */
void snapshot_take_portion(SnapshotBuilder *builder, SnapshotPortion *portion);

/* Writes and syncs; the first portion of a file makes it, and its name durable. After a failure nothing of
 * the file that was not vouched for before may be. */
CHECKED Status snapshot_write_portion(Env *env, const char *directory, const SnapshotPortion *portion,
                                      Error *err);

/* ---- reading ---- */

typedef struct SnapshotSection {
    Str name;
    uint64_t batch_id, log_sequence;
    uint64_t size_bytes;
    uint64_t number; /* of its file */
    uint64_t offset; /* of the page behind its name */
    uint64_t page;   /* the number of that page */
} SnapshotSection;

typedef struct SnapshotCatalog SnapshotCatalog;

/* All sections of the extents (ascending numbers), in order. The caller owns *out. CORRUPT: see S2, and a
 * file that is missing. UNSUPPORTED: another format. */
CHECKED Status snapshot_catalog_open(Env *env, const char *directory, const SnapshotExtent *extents,
                                     size_t extent_count, SnapshotCatalog **out, Error *err);
size_t snapshot_catalog_count(const SnapshotCatalog *catalog);
/* Borrowed until the catalog is closed. */
const SnapshotSection *snapshot_catalog_section(const SnapshotCatalog *catalog, size_t index);
const SnapshotSection *snapshot_catalog_find(const SnapshotCatalog *catalog, Str name); /* S3; NULL: none */
void snapshot_catalog_close(SnapshotCatalog *catalog);                                  /* NULL is allowed */

/* The bytes of one section. */
typedef struct SnapshotReader SnapshotReader;

/* The catalog outlives the reader; the caller owns the result. */
SnapshotReader *snapshot_open(const SnapshotCatalog *catalog, const SnapshotSection *section);
/* The next piece, borrowed until the next call; empty at its end. CORRUPT. */
CHECKED Status snapshot_read(SnapshotReader *reader, Str *piece, Error *err);
void snapshot_close(SnapshotReader *reader); /* NULL is allowed */

/* ---- the directory ---- */

/* The highest number of a file that is there; 0: none. UNSUPPORTED: one of another format, which this program
 * neither reads nor removes. */
CHECKED Status snapshot_survey(Env *env, const char *directory, uint64_t *newest, Error *err);
/* Removes the files that are not among the extents, up to and with number `newest`. */
CHECKED Status snapshot_remove_others(Env *env, const char *directory, const SnapshotExtent *extents,
                                      size_t extent_count, uint64_t newest, Error *err);

#endif
