/* window_state.h - the batches that a window looks back on, as kept chunks (node_state.h).
 *
 * A ring with a slot for each batch of the input that a window can still need. A batch being run is *fresh*:
 * it has a place of its own and enters the ring when it is kept.
 *
 *   W1  The batch with id b stands in slot b / stride % slot_count or nowhere; slot_count strides are what the
 *       window needs. So a fresh batch never pushes out one that is still needed, and what a slot holds of
 *       earlier times is told by its id.
 *   W2  Rows keep their split and their order in it. Splits without rows are dropped when the batch is kept.
 *   W3  Kept chunks share no string buffers with the chunks they came from: a window holds its own rows and
 *       nothing else. Chunks of few rows are put together when the batch is kept.
 *
 * A part, and a section, is a slot; only that of the fresh batch changes in a batch, and only when it has
 * rows. Both are bytes of this form, rows as codec_encode_value gives them; batch 0: nothing is there.
 *
 *     varint batch id, varint splits { varint rows { str row } }
 */
#ifndef LEAT_EXEC_WINDOW_STATE_H
#define LEAT_EXEC_WINDOW_STATE_H

#include "exec/batch_data.h"
#include "exec/node_state.h"

typedef struct WindowStateOptions {
    const Schema *schema; /* of the rows; borrowed */
    uint32_t slot_count;  /* at least 1 */
    uint64_t stride;      /* batch ids between two batches of the input */
    uint64_t slide;       /* and of the window */
    Budget *budget;       /* of kept chunks; borrowed; outlives the state */
    const char *who;      /* the operator's id; borrowed */
} WindowStateOptions;

/* The caller owns *out: class->destroy. */
CHECKED Status window_state_create(WindowStateOptions options, NodeState **out, Error *err);

typedef struct KeptBatch {
    uint64_t batch_id; /* 0: none */
    BatchPartition *partitions;
    uint32_t partition_count;
} KeptBatch;

/* ---- a batch, after the engine has begun it ---- */

/* Makes the fresh batch, of so many splits. */
void window_state_take(NodeState *state, uint64_t batch_id, uint64_t split_count);
/* Keeps a copy of the rows in split in->split; workers, each its own splits.  NO_MEMORY. */
CHECKED Status window_state_add(NodeState *state, const Chunk *in, Error *err);
/* The batch of this id, also the fresh one; NULL: there is none. Borrowed until keep or rollback; partitions
 * of the fresh one fill up while its rows come. */
const KeptBatch *window_state_find(const NodeState *state, uint64_t batch_id);

#endif
