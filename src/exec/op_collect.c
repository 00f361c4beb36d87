/* op_collect.c - keeps what an output, or a transform, takes: a partition of shared chunks for each split (O2: no lock). With
 * a row limit a partition keeps no more rows than the output may look at, and goes on counting. */
#include "exec/operator.h"

#include <stdlib.h>

struct Collector {
    Budget *budget;
    const char *who;
    uint64_t row_limit; /* UINT64_MAX: none */
    BatchData data;
    uint64_t *row_counts; /* that arrived, per partition */
    uint32_t capacity;    /* of both arrays */
};

typedef struct CollectOperator {
    Operator op;
    Collector *collector;
} CollectOperator;

/* The first `count` selected rows. */
static Chunk first_rows(const Chunk *in, uint32_t count) {
    Chunk out = *in;
    out.selected_count = count;
    if (!in->selection)
        out.row_count = count;
    return out;
}

CHECKED static Status collect_push(Operator *op, const Chunk *in, Error *err) {
    Collector *collector = ((CollectOperator *)op)->collector;
    ASSERT(in->split < collector->data.partition_count); /* O2 */
    BatchPartition *partition = &collector->data.partitions[in->split];
    uint64_t before = collector->row_counts[in->split];
    collector->row_counts[in->split] += in->selected_count;
    if (before >= collector->row_limit)
        return STATUS_OK;
    uint64_t room = collector->row_limit - before;
    Chunk kept = room < in->selected_count ? first_rows(in, (uint32_t)room) : *in;
    SharedChunk *shared;
    TRY(chunk_share(&kept, collector->budget, collector->who, &shared, err));
    batch_partition_add(partition, shared);
    return STATUS_OK;
}

static bool collect_has_enough(const Operator *op, uint64_t split) {
    const Collector *collector = ((const CollectOperator *)op)->collector;
    return collector->row_counts[split] >= collector->row_limit;
}

static void collect_destroy(Operator *op) {
    free(op);
}

static const OperatorClass collect_class = {
    .push = collect_push, .has_enough = collect_has_enough, .destroy = collect_destroy};

Status collector_open_operator(Collector *collector, Operator **out, Error *err) {
    (void)err;
    CollectOperator *collect = xcalloc(1, sizeof *collect);
    collect->op.class = &collect_class;
    collect->collector = collector;
    *out = &collect->op;
    return STATUS_OK;
}

Collector *collector_create(const Schema *schema, uint64_t row_limit, Budget *budget, const char *who) {
    Collector *collector = xcalloc(1, sizeof *collector);
    collector->budget = budget;
    collector->who = who;
    collector->row_limit = row_limit ? row_limit : UINT64_MAX;
    collector->data.schema = schema;
    return collector;
}

void collector_destroy(Collector *collector) {
    if (!collector)
        return;
    collector_reset(collector);
    for (uint32_t p = 0; p < collector->capacity; p++)
        free(collector->data.partitions[p].chunks);
    free(collector->data.partitions);
    free(collector->row_counts);
    free(collector);
}

void collector_reset(Collector *collector) {
    for (uint32_t p = 0; p < collector->data.partition_count; p++) {
        BatchPartition *partition = &collector->data.partitions[p];
        while (partition->chunk_count > 0)
            shared_chunk_release(partition->chunks[--partition->chunk_count]);
    }
    collector->data.partition_count = 0;
    collector->data.row_count = 0;
}

void collector_begin(Collector *collector, uint64_t split_count) {
    collector_reset(collector);
    ASSERT(split_count <= UINT32_MAX);
    if (split_count > collector->capacity) {
        collector->data.partitions =
            xrealloc(collector->data.partitions, split_count * sizeof(BatchPartition));
        memset(collector->data.partitions + collector->capacity, 0,
               (split_count - collector->capacity) * sizeof(BatchPartition));
        collector->row_counts = xrealloc(collector->row_counts, split_count * sizeof(uint64_t));
        collector->capacity = (uint32_t)split_count;
    }
    collector->data.partition_count = (uint32_t)split_count;
    if (split_count)
        memset(collector->row_counts, 0, split_count * sizeof(uint64_t));
}

const BatchData *collector_finish(Collector *collector) {
    collector->data.row_count = 0;
    for (uint32_t p = 0; p < collector->data.partition_count; p++)
        collector->data.row_count += collector->row_counts[p];
    return &collector->data;
}
