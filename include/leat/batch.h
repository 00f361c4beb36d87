/* leat/batch.h - the handle of one batch of one stream (Spark's RDD of an interval).
 *
 * Given to outputs; valid until they return. Its rows are in a fixed order: by partition, and within one as the input or the
 * key order has them; the same for any number of workers.
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

/* Walks over rows:  LeatRows rows = leat_batch_collect(batch);
 *                   for (LeatRow row; leat_rows_next(&rows, &row);) use(leat_row_str(&row, 0));
 * Rows stay readable until the output returns. */
typedef struct LeatRows {
    LeatBatch *batch;
    uint32_t partition, chunk, row; /* where it stands */
    uint64_t left;
} LeatRows;
LEAT_API LeatRows leat_batch_collect(LeatBatch *batch);              /* every row */
LEAT_API LeatRows leat_batch_take(LeatBatch *batch, uint64_t count); /* the first `count` */
LEAT_API bool leat_rows_next(LeatRows *rows, LeatRow *row);

/* Calls `function` with each chunk in order; false ends the walk and is returned. */
LEAT_API bool leat_batch_for_each_chunk(LeatBatch *batch,
                                        bool (*function)(const LeatChunk *chunk, void *user), void *user);

/* Reports why an output failed; the output then returns false. */
LEAT_API void leat_batch_fail(LeatBatch *batch, const char *message);

#ifdef __cplusplus
}
#endif

#endif
