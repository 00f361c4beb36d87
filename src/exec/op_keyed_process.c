/* op_keyed_process.c - updateStateByKey and mapWithState: functions of the user over state by key.
 *
 *   push     rows go into the exchange: kept by split, listed by partition
 *   prepare  in the first batch there ever is: the initial state
 *   produce  one task for each partition: groups its rows by key, and calls the function
 *
 *   K1  Values of a key come in the order (split, arrival, row): the input's, for any number of workers.
 *   K2  A partition's state belongs to the one task that runs it.
 *   K3  Rows leave in the order of the hashes of their keys (E3). */
#include "exec/keyed_process.h"

#include <stdlib.h>

/* Scratch beyond this size is given back after a batch. */
enum { SCRATCH_KEPT_MAX = 1 << 20 };

typedef struct ProcessOperator {
    Operator op;
    KeyedProcess *process;
    ProcessWorker *worker;
} ProcessOperator;

/* ---- rows into the exchange ---- */

CHECKED static Status process_push(Operator *base, const Chunk *in, Error *err) {
    ProcessOperator *op = (ProcessOperator *)base;
    TRY(keys_read(&op->worker->keys, in, err));
    keys_hash(&op->worker->keys);
    return exchange_add(op->process->exchange, in, op->worker->keys.hashes, err);
}

static void process_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass process_operator_class = {.push = process_push,
                                                     .destroy = process_operator_destroy};

CHECKED static Status process_open_operator(Producer *producer, const OperatorContext *context,
                                            Operator **out, Error *err) {
    (void)err;
    ProcessOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &process_operator_class;
    op->process = (KeyedProcess *)producer;
    op->worker = op->process->workers[context->worker];
    *out = &op->op;
    return STATUS_OK;
}

static void process_begin(Producer *producer, const ProducerBatch *batch) {
    KeyedProcess *process = (KeyedProcess *)producer;
    process->batch = batch->batch;
    process->is_first = batch->is_first && batch->is_due;
    exchange_begin(process->exchange, batch->split_counts[0]);
}

static uint32_t process_task_count(const Producer *producer) {
    return ((const KeyedProcess *)producer)->partition_count;
}

/* ---- a batch ---- */

static uint32_t process_prepare_count(Producer *producer) {
    const KeyedProcess *process = (const KeyedProcess *)producer;
    return process->is_first && producer->node->initial_state;
}

CHECKED static Status process_prepare(Producer *producer, uint32_t part, Error *err) {
    (void)part;
    return keyed_initial_state((const KeyedProcess *)producer, err);
}

CHECKED static Status process_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                      const Emit *out, Error *err) {
    const KeyedProcess *process = (const KeyedProcess *)producer;
    ProcessWorker *worker = process->workers[worker_index];
    TRY(keyed_group_rows(process, worker, task, err));
    return plan_is_map_with_state(producer->node) ? keyed_map_partition(process, worker, task, out, err)
                                                  : keyed_update_partition(process, worker, task, out, err);
}

/* ---- making and ending ---- */

static void trim(Array *array, const KeyedProcess *process) {
    if (array->size_bytes > SCRATCH_KEPT_MAX)
        array_deinit(array, process->budget);
}

static void process_end(Producer *producer) {
    KeyedProcess *process = (KeyedProcess *)producer;
    exchange_reset(process->exchange);
    for (uint32_t w = 0; w < process->worker_count; w++) {
        ProcessWorker *worker = process->workers[w];
        builder_reset(worker->builder);
        key_table_clear(worker->groups);
        worker->group_count = 0;
        trim(&worker->group_array, process);
        trim(&worker->row_array, process);
        trim(&worker->due, process);
        arena_reset(worker->strings);
        for (uint32_t c = 0; c < process->value_count; c++) {
            trim(&worker->values[c].data, process);
            trim(&worker->values[c].validity, process);
        }
    }
}

static void worker_destroy(const KeyedProcess *process, ProcessWorker *worker) {
    if (!worker)
        return;
    keys_deinit(&worker->keys);
    key_table_destroy(worker->groups);
    array_deinit(&worker->group_array, process->budget);
    array_deinit(&worker->row_array, process->budget);
    for (uint32_t c = 0; worker->values && c < process->value_count; c++) {
        array_deinit(&worker->values[c].data, process->budget);
        array_deinit(&worker->values[c].validity, process->budget);
    }
    free(worker->values);
    free(worker->value_columns);
    row_view_deinit(&worker->key);
    row_view_deinit(&worker->state);
    one_row_destroy(&worker->result);
    text_deinit(&worker->encoded[0]);
    text_deinit(&worker->encoded[1]);
    arena_destroy(worker->strings);
    array_deinit(&worker->due, process->budget);
    builder_destroy(worker->builder);
    free(worker);
}

static void process_destroy(Producer *producer) {
    KeyedProcess *process = (KeyedProcess *)producer;
    for (uint32_t w = 0; w < process->worker_count; w++)
        worker_destroy(process, process->workers[w]);
    exchange_destroy(process->exchange);
    free(process->workers);
    free(process);
}

CHECKED static Status worker_create(KeyedProcess *process, const ProducerOptions *options, uint32_t index,
                                    Error *err) {
    const PlanNode *node = options->node;
    ProcessWorker *worker = xcalloc(1, sizeof *worker);
    process->workers[index] = worker;
    worker->user = options->users[index];
    worker->values = xcalloc(process->value_count + 1, sizeof *worker->values);
    worker->value_columns = xcalloc(process->value_count + 1, sizeof *worker->value_columns);
    for (uint32_t c = 0; c < process->value_count; c++) {
        const Type *type = &process->value_fields[c].type;
        worker->value_columns[c] = (LeatColumn){
            .row_mask = UINT32_MAX, .type = type->kind, .precision = type->precision, .scale = type->scale};
    }
    worker->strings = arena_create(options->budget, options->who);
    row_view_init(&worker->key, process->table, process->key_count);
    row_view_init(&worker->state, node->state_schema, process->stored_count);
    TRY(one_row_create(&worker->result, node->state_schema, options->budget, options->who, err));
    TRY(keys_init(&worker->keys, node->inputs[0]->schema, process->key_count, options->constant_hash,
                  options->budget, options->who, err));
    TRY(key_table_create((KeyTableOptions){.budget = options->budget, .who = options->who}, &worker->groups,
                         err));
    return builder_create(node->schema, options->budget, options->who, &worker->builder, err);
}

static const ProducerClass process_class = {
    .begin = process_begin,
    .open_operator = process_open_operator,
    .prepare_count = process_prepare_count,
    .prepare = process_prepare,
    .task_count = process_task_count,
    .produce = process_produce,
    .end = process_end,
    .destroy = process_destroy,
};

Status keyed_process_create(const ProducerOptions *options, Producer **out, Error *err) {
    const PlanNode *node = options->node;
    const Schema *in = node->inputs[0]->schema;
    KeyedProcess *process = xcalloc(1, sizeof *process);
    *out = NULL;
    process->producer = (Producer){&process_class, node};
    process->table = plan_table_schema(node);
    process->key_count = process->table->key_count;
    process->value_count = in->column_count - process->key_count;
    process->value_fields = in->fields + process->key_count;
    process->state_count = process->table->column_count - process->key_count;
    process->stored_count = node->state_schema->column_count;
    process->state = options->state;
    process->worker_count = options->worker_count;
    process->partition_count = options->partition_count;
    process->budget = options->budget;
    process->who = options->who;
    process->constant_hash = options->constant_hash;
    process->exchange = exchange_create(options->partition_count, options->budget, options->who);
    process->workers = xcalloc(options->worker_count, sizeof *process->workers);
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++)
        st = worker_create(process, options, w, err);
    if (st != STATUS_OK) {
        process_destroy(&process->producer);
        return st;
    }
    *out = &process->producer;
    return STATUS_OK;
}
