/* batch_data.h - a batch of one stream, kept: an ordered list of partitions of shared chunks (D4). */
#ifndef LEAT_EXEC_BATCH_DATA_H
#define LEAT_EXEC_BATCH_DATA_H

#include "column/chunk.h"

typedef struct BatchPartition {
    SharedChunk **chunks; /* in order */
    uint32_t chunk_count, chunk_capacity;
} BatchPartition;

typedef struct BatchData {
    const Schema *schema;
    BatchPartition *partitions; /* in output order: splits of the input, or ranges of the key hash */
    uint32_t partition_count;
    uint64_t row_count; /* of all rows that arrived, also those that a row limit did not keep */
} BatchData;

#endif
