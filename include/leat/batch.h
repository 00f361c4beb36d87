/* leat/batch.h - the handle of one batch of one stream (Spark's RDD of an interval).
 *
 * A batch is looked at through a LeatBatch, and built on through a LeatStream: the same calls that make streams
 * of streams make batches of batches.
 *
 *     static bool report(LeatBatch *batch, void *user)          given to leat_foreach_rdd
 *     {
 *         LeatStream *all = leat_batch_stream(batch);
 *         LeatBatch *best = leat_batch_run(leat_top(all, 10, "n DESC"));
 *         LeatRows rows = leat_batch_collect(best);
 *         ...
 *     }
 *
 *   - Handles, what is built on them, and rows are valid until the function that got the batch returns.
 *   - What is built runs when leat_batch_run asks for it, or when leat_transform takes it. What the n-th of
 *     these runs of a function was compiled to is kept and runs again as long as the function builds the same:
 *     the same calls, schemas, functions and `user` pointers. So `user` must live until the next batch at least,
 *     and hooks `open` are called when something is compiled, not in every batch.
 *   - Windows, state and outputs go on from batch to batch, and are refused here.
 *   - The first mistake of a building call fails the batch, with a message that names the call. These calls
 *     accept the NULL that a failed one gave.
 *   - Rows have a fixed order, the same for any number of workers: by partition, and within one as the input has
 *     them, or by the hash of their key behind an operation by key. Spark leaves that order open.
 *
 * Threads  the driver's thread only.
 */
#ifndef LEAT_BATCH_H
#define LEAT_BATCH_H

#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

LEAT_API int64_t leat_batch_time_ms(const LeatBatch *batch); /* since 1970-01-01 UTC */
LEAT_API uint64_t leat_batch_count(const LeatBatch *batch);  /* rows */
LEAT_API bool leat_batch_is_empty(const LeatBatch *batch);
LEAT_API uint32_t leat_batch_partition_count(const LeatBatch *batch);
LEAT_API uint32_t leat_batch_column_count(const LeatBatch *batch);

/* A walk over rows. Rows that were given stay readable until the function of the output returns.
 *
 *     LeatRows rows = leat_batch_collect(batch);
 *     for (LeatRow row; leat_rows_next(&rows, &row);)
 *         use(leat_row_str(&row, 0));
 *
 * Without memory for a chunk the walk ends early and the output fails. */
typedef struct LeatRows {
    LeatBatch *batch;
    uint32_t partition, chunk, row; /* where it stands */
    uint64_t left;                  /* rows still to be given at most */
} LeatRows;
LEAT_API LeatRows leat_batch_collect(LeatBatch *batch);              /* every row */
LEAT_API LeatRows leat_batch_take(LeatBatch *batch, uint64_t count); /* the first `count` rows */
LEAT_API bool leat_rows_next(LeatRows *rows, LeatRow *row);          /* false: that was the last one */

/* Calls `function` with each chunk, in order. A false result ends the walk and is given back. */
LEAT_API bool leat_batch_for_each_chunk(LeatBatch *batch,
                                        bool (*function)(const LeatChunk *chunk, void *user), void *user);

/* The batch as a stream, to build on. */
LEAT_API LeatStream *leat_batch_stream(LeatBatch *batch);
/* Runs what was built, on all workers. NULL: it failed, and with it the batch. */
LEAT_API LeatBatch *leat_batch_run(LeatStream *stream);

/* The output fails, whatever its function returns, and this is why. The first message counts. */
LEAT_API void leat_batch_fail(LeatBatch *batch, const char *message);

#ifdef __cplusplus
}
#endif

#endif
