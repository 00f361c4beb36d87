/* block_log.h - the log of what receivers have taken in (D9): blocks of sources that cannot be read again.
 *
 * Blocks stand in segment files `block-%016x.log` of a checkpoint directory: a 64-byte header and the
 * data, padded to 4096 bytes. Headers are scanned at recovery, data only where it is needed. A thread of
 * its own writes and syncs, so that the batch computes meanwhile; a block that a PLAN frame names must be
 * durable before that frame is written (block_log_wait), so a PLAN on disk vouches for its blocks.
 *
 * To save a copy, a block is handed over in the buffer it was received into: data begins at
 * buffer->data + BLOCK_HEADER_SIZE, the header's room in front is filled in by the log, and the buffer's
 * capacity is a multiple of 4096. The checksums are computed on the log's thread and stand in the block's
 * header only.
 *
 *   I1  Blocks of one stream have numbers that rise by one, over restarts too.
 *   I2  Recovery gives, per stream, a prefix of what was submitted that holds at least all that was
 *       durable. Torn blocks at the end are cut off (and logged), durably, before anything is submitted.
 *       A damaged header where a later one says that all was durable is CORRUPT at open; damaged data is
 *       CORRUPT when it is read.
 *   I3  After a failed write or sync the log is poisoned (as in batch_log.h).
 *
 * Threads  submit, begin_sync, wait, read from any; open, close, scan, release from the owner.
 */
#ifndef LEAT_STREAM_BLOCK_LOG_H
#define LEAT_STREAM_BLOCK_LOG_H

#include "column/buffer.h"
#include "env/env.h"

enum { BLOCK_HEADER_SIZE = 64 };

/* A place in the log; stands in PLAN frames. */
typedef struct BlockRef {
    uint32_t stream_id; /* the receiver's */
    uint64_t number;    /* per stream, from 1 */
    uint64_t segment_id, offset;
    uint32_t size_bytes; /* of the data */
    uint8_t flags;       /* the receiver's own, kept with the block */
} BlockRef;

typedef struct BlockLog BlockLog;

typedef struct BlockLogOptions {
    Env *env;
    const char *directory;
    uint64_t segment_size_bytes; /* 0: 64 MiB */
    Budget *budget;              /* for blocks that are read back */
    bool read_only;              /* for inspection: nothing is cut, nothing can be submitted */
} BlockLogOptions;

/* Scans the headers, and the data of the blocks that no header vouches for. What the owner's open has found
 * is durable. The caller owns *out. CORRUPT. */
CHECKED Status block_log_open(BlockLogOptions options, BlockLog **out, Error *err);
/* Waits until what was submitted is written, not until it is durable. NULL is allowed. */
void block_log_close(BlockLog *log);

/* Calls `visit` for each whole block found at open, in the order written; it may end the walk by a status
 * other than OK. */
CHECKED Status block_log_scan(BlockLog *log, Status (*visit)(void *self, const BlockRef *ref, Error *err),
                              void *self, Error *err);

/* Shares `buffer` (see above) with the log until it is written; buffer->size counts the header's room. Fills
 * *ref, writing begins at once. The poison error if there is one: nothing is shared then. */
CHECKED Status block_log_submit(BlockLog *log, uint32_t stream_id, uint64_t number, uint8_t flags,
                                Buffer *buffer, BlockRef *ref, Error *err);
/* Asks for a sync of all that was submitted; does not wait. */
void block_log_begin_sync(BlockLog *log);
/* Waits until everything submitted before the call is durable. */
CHECKED Status block_log_wait(BlockLog *log, Error *err);
/* Reads back a block that was waited for or found by the scan: *out has its data at BLOCK_HEADER_SIZE like a
 * submitted one. The caller owns *out. CORRUPT: the bytes are not what was written, naming file and offset;
 * NOT_FOUND: the segment is gone; NO_MEMORY. */
CHECKED Status block_log_read(BlockLog *log, const BlockRef *ref, Buffer **out, Error *err);
/* Segments before `segment_id` are not needed any more. A failure poisons nothing: call again. */
CHECKED Status block_log_release_before(BlockLog *log, uint64_t segment_id, Error *err);

void block_ref_encode(const BlockRef *ref, Text *out);
CHECKED Status block_ref_decode(Str *bytes, BlockRef *ref, Error *err); /* moves *bytes behind it. CORRUPT */

#endif
