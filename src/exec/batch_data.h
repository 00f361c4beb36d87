/* batch_data.h - a batch of one stream, kept: an ordered list of partitions of shared chunks (D4). */
#ifndef LEAT_EXEC_BATCH_DATA_H
#define LEAT_EXEC_BATCH_DATA_H

#include "column/chunk.h"
#include "exec/split.h"

typedef struct BatchPartition {
    SharedChunk **chunks; /* in order */
    uint32_t chunk_count, chunk_capacity;
} BatchPartition;

typedef struct BatchData {
    const Schema *schema;
    BatchPartition *partitions; /* in output order: splits of the input, or ranges of the key hash */
    uint32_t partition_count;
    /* Of all rows that arrived, also those that a row limit did not keep. Rows beyond a limit need not arrive. */
    uint64_t row_count;
} BatchData;

void batch_partition_add(BatchPartition *partition, SharedChunk *chunk); /* takes */

/* A batch that owns itself; the schema is borrowed. Zero, or made by batch_data_copy. */
void batch_data_deinit(BatchData *data);
/* The same rows: shares the chunks. */
BatchData batch_data_copy(const BatchData *data);

/* A split for each partition, in order. They borrow `data`. */
void batch_data_splits(const BatchData *data, SplitList *splits);

#endif
