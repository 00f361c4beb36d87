/* batch_log.h - the log of what was planned, changed and committed (D9). Small, append-only, scanned at
 * recovery.
 *
 * A sequence of frames in segment files `batch-%016x.log` of a checkpoint directory. Segments are
 * preallocated with written zeros (so that a sync writes no file system metadata) or recycled from cut
 * ones. A frame has a kind, an epoch (which start of the owner wrote it), a sequence number without holes,
 * `durable_upto` (the highest sequence known synced when it was written) and a CRC-32C over everything. The
 * byte layout is at the top of batch_log.c.
 *
 *   I1  Sequences rise by one; epochs never fall. A frame with a lower epoch than one before it is refused
 *       as the late write of an owner that has been replaced.
 *   I2  durable_upto < the frame's own sequence.
 *   I3  Recovery gives a prefix of what was appended that holds at least everything that was synced.
 *   I4  After a failed write or sync the log is poisoned: every later call fails with that first error.
 *       Nothing is retried: close, open again, read what is there.
 *
 * Reading a damaged log (D10): a bad frame at or below the highest durable_upto that any readable frame
 * carries, before or behind it, is damage: CORRUPT, naming file and offset; so is a segment that is
 * missing, copied or without its header. A bad frame above it is what a crash may leave: the log is cut
 * from there, even if good frames follow, `cut` says so, and the cut is made durable (zeroed) before
 * anything is appended. What an owner's open has found it makes durable.
 *
 * Threads  one owner.  Files  as above.  Faults  env write, sync, open, rename.
 */
#ifndef LEAT_STREAM_BATCH_LOG_H
#define LEAT_STREAM_BATCH_LOG_H

#include "env/env.h"

typedef struct BatchLog BatchLog;

typedef struct Frame {
    uint8_t kind; /* FrameKind of frames.h; the log does not look inside */
    uint32_t epoch;
    uint64_t sequence;     /* from 1 */
    uint64_t durable_upto; /* 0: none yet */
    Str payload;
    uint64_t segment_id; /* where it stands, for people */
    uint64_t offset;
} Frame;

typedef struct BatchLogOptions {
    Env *env;
    const char *directory;
    uint64_t segment_size_bytes; /* 0: 4 MiB; a larger frame gets a larger segment */
    bool read_only;              /* for inspection: nothing is created, cut or preallocated */
} BatchLogOptions;

/* What recovery did, for the log line and `leat checkpoint verify`. */
typedef struct BatchLogCut {
    bool happened;
    uint64_t segment_id, offset; /* the first byte that was given up */
    uint64_t bytes;              /* that held something: not zero */
    char reason[160];
} BatchLogCut;

/* Opens or begins the log and validates all of it; frames are then read with batch_log_read. *cut may be
 * NULL. The caller owns *out. CORRUPT: see above. */
CHECKED Status batch_log_open(BatchLogOptions options, BatchLog **out, BatchLogCut *cut, Error *err);
void batch_log_close(BatchLog *log); /* NULL is allowed; appended frames that were not flushed are lost */

/* Calls `visit` for each flushed frame from the oldest kept one on, its payload borrowed until `visit`
 * returns; it may end the walk by a status other than OK. */
CHECKED Status batch_log_read(BatchLog *log, Status (*visit)(void *self, const Frame *frame, Error *err),
                              void *self, Error *err);

uint64_t batch_log_last_sequence(const BatchLog *log); /* 0: empty */
uint32_t batch_log_last_epoch(const BatchLog *log);    /* 0: empty */

/* Frames appended from here on carry this epoch (> the last one). */
void batch_log_set_epoch(BatchLog *log, uint32_t epoch);
/* Into memory; written by the next flush. A full segment is synced and the next begun on the way. *sequence
 * may be NULL. INVALID: over 1 GiB; the log is as before. */
CHECKED Status batch_log_append(BatchLog *log, uint8_t kind, Str payload, uint64_t *sequence, Error *err);
CHECKED Status batch_log_flush(BatchLog *log, Error *err); /* written: survives the process */
CHECKED Status batch_log_sync(BatchLog *log, Error *err);  /* flushed and durable: survives the machine */
uint64_t batch_log_durable_upto(const BatchLog *log);
/* Frames below `sequence` are not needed any more: segments that hold only such frames are
 * recycled or removed. */
CHECKED Status batch_log_cut_before(BatchLog *log, uint64_t sequence, Error *err);
uint64_t batch_log_size_bytes(const BatchLog *log); /* of frames kept */
/* Makes the next segment ready while there is time, so that no batch waits for it. */
CHECKED Status batch_log_prepare(BatchLog *log, Error *err);

#endif
