/* op_count.c - how many rows a batch has: one row, also for an empty batch unless it is to be skipped. */
#include "exec/operator.h"

#include <stdlib.h>

typedef struct Count {
    Producer producer;
    uint64_t *counts; /* per worker */
    uint32_t worker_count;
} Count;

typedef struct CountOperator {
    Operator op;
    uint64_t *count;
} CountOperator;

CHECKED static Status count_push(Operator *op, const Chunk *in, Error *err) {
    (void)err;
    *((CountOperator *)op)->count += in->selected_count;
    return STATUS_OK;
}

static void count_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass count_operator_class = {.push = count_push, .destroy = count_operator_destroy};

CHECKED static Status count_open_operator(Producer *producer, const OperatorContext *context, Operator **out,
                                          Error *err) {
    (void)err;
    CountOperator *counter = xcalloc(1, sizeof *counter);
    counter->op.class = &count_operator_class;
    counter->count = &((Count *)producer)->counts[context->worker];
    *out = &counter->op;
    return STATUS_OK;
}

static void count_begin(Producer *producer, const ProducerBatch *batch) {
    (void)batch;
    Count *count = (Count *)producer;
    memset(count->counts, 0, count->worker_count * sizeof(uint64_t));
}

static uint32_t count_task_count(const Producer *producer) {
    (void)producer;
    return 1;
}

CHECKED static Status count_produce(Producer *producer, uint32_t worker, uint32_t task, const Emit *out,
                                    Error *err) {
    (void)worker;
    (void)task;
    const Count *count = (const Count *)producer;
    const Schema *schema = producer->node->schema;
    int64_t sum = 0;
    for (uint32_t w = 0; w < count->worker_count; w++)
        sum += (int64_t)count->counts[w];
    if (sum == 0 && producer->node->skips_empty)
        return STATUS_OK;
    Column column = {.type = &schema->fields[0].type, .data = &sum};
    Chunk chunk = {.schema = schema, .columns = &column, .row_count = 1, .selected_count = 1};
    return emit_chunk(out, &chunk, err);
}

static void count_end(Producer *producer) {
    (void)producer;
}

static void count_destroy(Producer *producer) {
    free(((Count *)producer)->counts);
    free(producer);
}

static const ProducerClass count_class = {
    .begin = count_begin,
    .open_operator = count_open_operator,
    .task_count = count_task_count,
    .produce = count_produce,
    .end = count_end,
    .destroy = count_destroy,
};

Status count_create(const ProducerOptions *options, Producer **out, Error *err) {
    (void)err;
    Count *count = xcalloc(1, sizeof *count);
    count->producer = (Producer){&count_class, options->node};
    count->worker_count = options->worker_count;
    count->counts = xcalloc(options->worker_count, sizeof *count->counts);
    *out = &count->producer;
    return STATUS_OK;
}
