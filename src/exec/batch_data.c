/* batch_data.c - see batch_data.h. */
#include "exec/batch_data.h"

#include <stdlib.h>

void batch_partition_add(BatchPartition *partition, SharedChunk *chunk) {
    if (partition->chunk_count == partition->chunk_capacity) {
        partition->chunk_capacity = partition->chunk_capacity ? 2 * partition->chunk_capacity : 4;
        partition->chunks = xrealloc(partition->chunks, partition->chunk_capacity * sizeof(SharedChunk *));
    }
    partition->chunks[partition->chunk_count++] = chunk;
}

void batch_data_deinit(BatchData *data) {
    for (uint32_t p = 0; p < data->partition_count; p++) {
        BatchPartition *partition = &data->partitions[p];
        for (uint32_t c = 0; c < partition->chunk_count; c++)
            shared_chunk_release(partition->chunks[c]);
        free(partition->chunks);
    }
    free(data->partitions);
    *data = (BatchData){0};
}

BatchData batch_data_copy(const BatchData *data) {
    BatchData copy = *data;
    copy.partitions = xcalloc(data->partition_count, sizeof *copy.partitions);
    for (uint32_t p = 0; p < data->partition_count; p++)
        for (uint32_t c = 0; c < data->partitions[p].chunk_count; c++)
            batch_partition_add(&copy.partitions[p], shared_chunk_retain(data->partitions[p].chunks[c]));
    return copy;
}

/* ---- splits ---- */

typedef struct PartitionSplit {
    Split split;
    const BatchPartition *partition;
    uint32_t at;
} PartitionSplit;

CHECKED static Status partition_open(Split *base, Budget *budget, Error *err) {
    (void)budget;
    (void)err;
    ((PartitionSplit *)base)->at = 0;
    return STATUS_OK;
}

CHECKED static Status partition_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    (void)err;
    PartitionSplit *split = (PartitionSplit *)base;
    *has = split->at < split->partition->chunk_count;
    if (*has)
        *chunk = *shared_chunk_view(split->partition->chunks[split->at++]);
    return STATUS_OK;
}

static void partition_close(Split *base) {
    (void)base;
}

static void partition_destroy(Split *base) {
    free(base);
}

static const SplitClass partition_class = {.open = partition_open,
                                           .next_chunk = partition_next_chunk,
                                           .close = partition_close,
                                           .destroy = partition_destroy};

void batch_data_splits(const BatchData *data, SplitList *splits) {
    for (uint32_t p = 0; p < data->partition_count; p++) {
        PartitionSplit *split = xcalloc(1, sizeof *split);
        *split = (PartitionSplit){{.class = &partition_class}, &data->partitions[p], 0};
        for (uint32_t c = 0; c < data->partitions[p].chunk_count; c++)
            split->split.size_bytes += shared_chunk_size_bytes(data->partitions[p].chunks[c]);
        split_list_add(splits, &split->split);
    }
}
