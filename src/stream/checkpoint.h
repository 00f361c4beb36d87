/* checkpoint.h - a checkpoint directory: who owns it, whose it is, and what stands in it.
 *
 *   lock                held by the one process that may write
 *   checkpoint          what is decided at the first start and never changes, as text: CheckpointIdentity
 *   batch-*.log         the batch log; `batch-spare` is its next segment in the making
 *   block-*.log         the block log of receivers
 *   snapshot-*.leat     full images of the state
 *
 * Opening refuses, with a message that says what to do: a directory that holds other things and no
 * checkpoint file (foreign, INVALID), one that cannot be written, one that another process owns
 * (UNAVAILABLE), one of a newer format (UNSUPPORTED), one of another program (INVALID, naming the
 * difference). Nothing is created in a directory that is refused as foreign.
 */
#ifndef LEAT_STREAM_CHECKPOINT_H
#define LEAT_STREAM_CHECKPOINT_H

#include "env/env.h"

/* Decided at the first start. */
typedef struct CheckpointIdentity {
    char id[33];              /* 128 random bits in hex */
    char program[256];        /* the context's name */
    int64_t interval_ms;      /* of batches */
    int64_t zero_time_ms;     /* the batch grid is anchored here: times are zero_time + n * interval */
    uint32_t partition_count; /* of keyed state */
    uint32_t key_group_count; /* 256 */
    int64_t created_ms;       /* wall clock */
} CheckpointIdentity;

typedef struct Checkpoint Checkpoint;

/* True when the directory has a checkpoint file. */
CHECKED Status checkpoint_exists(Env *env, const char *directory, bool *exists, Error *err);
/* Creates the directory when missing (its parent must be there), locks it, reads or writes the identity: when
 * the checkpoint is new, `wanted` (with id filled in) is made durable; when it exists, program and interval
 * are compared with `wanted` and the stored identity is given. The caller owns *out. */
CHECKED Status checkpoint_open(Env *env, const char *directory, const CheckpointIdentity *wanted,
                               Checkpoint **out, Error *err);
/* Without lock and without comparing, for people's tools. */
CHECKED Status checkpoint_open_read_only(Env *env, const char *directory, Checkpoint **out, Error *err);
void checkpoint_close(Checkpoint *checkpoint); /* NULL is allowed; gives up the lock */
bool checkpoint_is_new(const Checkpoint *checkpoint);
const CheckpointIdentity *checkpoint_identity(const Checkpoint *checkpoint);
const char *checkpoint_directory(const Checkpoint *checkpoint); /* absolute */

#endif
