/* op_keyed_process.c - updateStateByKey: a function of the user over every key that has state or values.
 *
 *   push     rows go into the exchange: kept by split, listed by partition
 *   produce  one task for each partition:
 *              1  group the partition's rows by key: columns of values in which the rows of a key stand one
 *                 behind the other
 *              2  each key of the batch: find its state, call, put or remove
 *              3  scan the state: call for keys without values; give key and state of every key that has
 *                 state
 *
 *   K1  Values of a key come in the order (split, arrival, row): the input's, for any number of workers.
 *   K2  A partition's state belongs to the one task that runs it. In step 3 only the key at hand is put or
 *       removed.
 *   K3  Rows leave in the order of the state's hashes (E3). */
#include "exec/operator.h"

#include "base/bitmap.h"
#include "column/codec.h"
#include "exec/exchange.h"
#include "exec/giver.h"
#include "exec/keyed_state.h"
#include "exec/keys.h"
#include "exec/row_view.h"

#include <inttypes.h>
#include <stdlib.h>

/* Scratch beyond this size is given back after a batch. */
enum { SCRATCH_KEPT_MAX = 1 << 20 };

/* Rows [begin, begin + count) of the grouped values. */
typedef struct Group {
    uint32_t begin, count;
} Group;

typedef struct ValueColumn {
    Array data, validity;
    bool has_nulls;
} ValueColumn;

typedef struct ProcessWorker {
    void *user;
    Keys keys;
    uint32_t slots[CHUNK_ROWS_MAX];
    KeyTable *groups; /* key -> 1 + index of its group */
    Array group_array;
    uint32_t group_count;
    Array row_array; /* uint32_t per row: its group, then its place among the values */
    ValueColumn *values;
    LeatColumn *value_columns; /* what functions see of them */
    RowView key, state;
    OneRow result;
    Text encoded; /* the state being put */
    Builder *builder;
} ProcessWorker;

typedef struct KeyedProcess {
    Producer producer;
    uint32_t key_count, value_count, state_count;
    const Field *value_fields;
    Exchange *exchange;
    NodeState *state; /* a keyed_state */
    ProcessWorker **workers;
    uint32_t worker_count, partition_count;
    Budget *budget;
    const char *who;
    int64_t batch_time_ms;
} KeyedProcess;

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
    process->batch_time_ms = batch->batch.time_ms;
    exchange_begin(process->exchange, batch->split_counts[0]);
}

static uint32_t process_task_count(const Producer *producer) {
    return ((const KeyedProcess *)producer)->partition_count;
}

/* ---- step 1: groups ---- */

static size_t value_size_bytes(LeatType kind, uint64_t count) {
    if (kind == LEAT_BOOLEAN)
        return bitmap_size_bytes(count);
    return count * (type_is_string(kind) ? sizeof(LeatStr) : type_value_size(kind));
}

CHECKED static Status array_grow(Array *array, size_t used_bytes, size_t size_bytes,
                                 const KeyedProcess *process, Error *err) {
    if (size_bytes <= array->size_bytes)
        return STATUS_OK;
    size_t doubled = 2 * array->size_bytes;
    return array_reserve(array, used_bytes, doubled > size_bytes ? doubled : size_bytes, process->budget,
                         process->who, err);
}

/* The group of each row, and how many rows each has. */
CHECKED static Status count_groups(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                   Error *err) {
    uint32_t *row_group = worker->row_array.data;
    Keys *keys = &worker->keys;
    for (ExchangeCursor at = exchange_cursor(process->exchange, partition); exchange_next(&at);) {
        TRY(keys_read(keys, &at.chunk, err));
        for (uint32_t i = 0; i < keys->count; i++)
            keys->hashes[i] = at.hashes[at.chunk.selection[i]];
        TRY(keys_upsert(keys, worker->groups, worker->slots, err));
        TRY(array_grow(&worker->group_array, worker->group_count * sizeof(Group),
                       (worker->group_count + keys->count) * sizeof(Group), process, err));
        KeySlot *slots = key_table_slots(worker->groups);
        Group *groups = worker->group_array.data;
        for (uint32_t i = 0; i < keys->count; i++) {
            KeySlot *slot = &slots[worker->slots[i]];
            if (!slot->value) {
                groups[worker->group_count++] = (Group){0};
                slot->value = worker->group_count;
            }
            *row_group = (uint32_t)slot->value - 1;
            groups[*row_group++].count++;
        }
    }
    return STATUS_OK;
}

/* Lays the groups one behind the other, in hash order, as they will be visited; row_array: the place of each
 * row. */
static void place_rows(ProcessWorker *worker, uint64_t row_count) {
    Group *groups = worker->group_array.data;
    uint32_t *row_place = worker->row_array.data, begin = 0;
    key_table_order(worker->groups);
    const KeySlot *slot;
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));) {
        Group *group = &groups[slot->value - 1];
        group->begin = begin;
        begin += group->count;
    }
    for (uint64_t row = 0; row < row_count; row++)
        row_place[row] = groups[row_place[row]].begin++;
    for (uint32_t g = 0; g < worker->group_count; g++)
        groups[g].begin -= groups[g].count;
}

CHECKED static Status mark_null(const KeyedProcess *process, ValueColumn *column, uint64_t place,
                                uint64_t row_count, Error *err) {
    if (!column->has_nulls) {
        TRY(array_grow(&column->validity, 0, bitmap_size_bytes(row_count), process, err));
        bitmap_fill(column->validity.data, 0, row_count, true);
        column->has_nulls = true;
    }
    bitmap_clear(column->validity.data, place);
    return STATUS_OK;
}

/* Strings are not copied: the exchange keeps their chunks. */
static void scatter(const Column *from, const Chunk *chunk, const uint32_t *places, void *data) {
    uint32_t count = chunk->selected_count;
    switch (from->type->kind) {
    case LEAT_BOOLEAN:
        for (uint32_t i = 0; i < count; i++)
            bitmap_put(data, places[i], column_bool(from, chunk->selection[i]));
        break;
    case LEAT_STRING:
    case LEAT_BINARY:
        for (uint32_t i = 0; i < count; i++)
            ((LeatStr *)data)[places[i]] = column_str(from, chunk->selection[i]);
        break;
    case LEAT_DECIMAL:
        for (uint32_t i = 0; i < count; i++)
            ((LeatDecimal *)data)[places[i]] = column_decimal(from, chunk->selection[i]);
        break;
    case LEAT_BIGINT:
        for (uint32_t i = 0; i < count; i++)
            ((int64_t *)data)[places[i]] = column_i64(from, chunk->selection[i]);
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            word_store(data, places[i], from->type->kind, column_word(from, chunk->selection[i]));
    }
}

CHECKED static Status scatter_column(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                     uint32_t index, uint64_t row_count, Error *err) {
    ValueColumn *column = &worker->values[index];
    LeatType kind = process->value_fields[index].type.kind;
    const uint32_t *places = worker->row_array.data;
    TRY(array_grow(&column->data, 0, value_size_bytes(kind, row_count), process, err));
    column->has_nulls = false;
    for (ExchangeCursor at = exchange_cursor(process->exchange, partition); exchange_next(&at);) {
        const Column *from = &at.chunk.columns[process->key_count + index];
        scatter(from, &at.chunk, places, column->data.data);
        for (uint32_t i = 0; from->validity && i < at.chunk.selected_count; i++)
            if (column_is_null(from, at.chunk.selection[i]))
                TRY(mark_null(process, column, places[i], row_count, err));
        places += at.chunk.selected_count;
    }
    worker->value_columns[index].data = column->data.data;
    worker->value_columns[index].validity = column->has_nulls ? column->validity.data : NULL;
    return STATUS_OK;
}

CHECKED static Status group_rows(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                 Error *err) {
    uint64_t row_count = exchange_row_count(process->exchange, partition);
    key_table_clear(worker->groups);
    key_table_set_range(worker->groups, key_partition_begin(partition, process->partition_count),
                        key_partition_begin(partition + 1, process->partition_count));
    worker->group_count = 0;
    if (row_count == 0)
        return STATUS_OK;
    if (row_count > UINT32_MAX)
        return error_set(err, STATUS_NO_MEMORY, "%s: %" PRIu64 " rows in one partition of a batch",
                         process->who, row_count);
    TRY(array_grow(&worker->row_array, 0, row_count * sizeof(uint32_t), process, err));
    TRY(count_groups(process, worker, partition, err));
    place_rows(worker, row_count);
    for (uint32_t c = 0; c < process->value_count; c++)
        TRY(scatter_column(process, worker, partition, c, row_count, err));
    return STATUS_OK;
}

/* ---- steps 2 and 3: calls ---- */

typedef struct KeyState {
    const Key *key;
    uint64_t hash;
    bool has_state;
    Str state;
} KeyState;

/* Calls the function and does to the state what it says. *at then tells what the state is; a state that was
 * put stands in worker->encoded. */
CHECKED static Status update(const KeyedProcess *process, ProcessWorker *worker, StateStore *store,
                             KeyState *at, Group values, Error *err) {
    const PlanNode *node = process->producer.node;
    bool is_set = false;
    TRY(row_view_key(&worker->key, at->key, process->key_count, err));
    if (at->has_state)
        TRY(row_view_value(&worker->state, at->state, process->state_count, err));
    else
        row_view_set_all_null(&worker->state, process->state_count);
    one_row_begin(&worker->result, NULL);
    LeatUpdate call = {
        .key = row_view_row(&worker->key, process->key_count),
        .state = row_view_row(&worker->state, process->state_count),
        .has_state = at->has_state,
        .values = worker->value_columns,
        .value_column_count = process->value_count,
        .value_begin = values.begin,
        .value_count = values.count,
        .batch_time_ms = process->batch_time_ms,
        .out = worker->result.out,
        .is_set = &is_set,
    };
    if (!node->function.call.update(&call, worker->user)) {
        at->has_state = false;
        return state_store_remove(store, at->key, at->hash, err);
    }
    TRY(one_row_status(&worker->result, err));
    if (UNLIKELY(one_row_emitted(&worker->result) > 1))
        return error_set(err, STATUS_INVALID, "%s: the function gave %" PRIu64 " rows for one key",
                         node->call, one_row_emitted(&worker->result));
    if (!is_set)
        return STATUS_OK;
    text_reset(&worker->encoded);
    one_row_encode(&worker->result, &worker->encoded);
    at->has_state = true;
    at->state = text_str(&worker->encoded);
    return state_store_put(store, at->key, at->hash, at->state, err);
}

/* Keys are visited in hash order, in which new ones must not be put into a table that grows meanwhile. */
CHECKED static Status reserve_new_keys(const ProcessWorker *worker, StateStore *store, Error *err) {
    uint64_t new_count = 0;
    const KeySlot *slot;
    Str state;
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));)
        new_count += !state_store_find(store, &slot->key, slot->hash, &state);
    return state_store_reserve(store, new_count, err);
}

CHECKED static Status update_keys_of_batch(const KeyedProcess *process, ProcessWorker *worker,
                                           StateStore *store, Error *err) {
    const Group *groups = worker->group_array.data;
    const KeySlot *slot;
    TRY(reserve_new_keys(worker, store, err));
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));) {
        KeyState at = {.key = &slot->key, .hash = slot->hash};
        at.has_state = state_store_find(store, at.key, at.hash, &at.state);
        TRY(update(process, worker, store, &at, groups[slot->value - 1], err));
    }
    return STATUS_OK;
}

static bool is_in_batch(const ProcessWorker *worker, const StateScan *scan) {
    return worker->group_count > 0 && key_table_find(worker->groups, scan->key, scan->hash);
}

CHECKED static Status scan_state(const KeyedProcess *process, ProcessWorker *worker, StateStore *store,
                                 Giver *giver, Error *err) {
    for (StateScan scan = state_store_scan(store); state_store_next(&scan);) {
        KeyState at = {.key = scan.key, .hash = scan.hash, .has_state = true, .state = scan.value};
        /* Before the key may go; without an end the row is not there. */
        TRY(giver_put_key(giver, at.key, err));
        if (!is_in_batch(worker, &scan))
            TRY(update(process, worker, store, &at, (Group){0}, err)); /* K2 */
        if (!at.has_state)
            continue;
        TRY(codec_decode_value(at.state, giver->builder, process->key_count,
                               process->key_count + process->state_count, err));
        TRY(giver_end_row(giver, err));
    }
    return giver_finish(giver, err);
}

CHECKED static Status process_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                      const Emit *out, Error *err) {
    KeyedProcess *process = (KeyedProcess *)producer;
    ProcessWorker *worker = process->workers[worker_index];
    StateStore *store = keyed_state_store(process->state, task);
    Giver giver = {.builder = worker->builder,
                   .schema = producer->node->schema,
                   .key_count = process->key_count,
                   .out = out,
                   .split = task};
    TRY(group_rows(process, worker, task, err));
    TRY(update_keys_of_batch(process, worker, store, err));
    builder_reset(worker->builder);
    return scan_state(process, worker, store, &giver, err);
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
    text_deinit(&worker->encoded);
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
    row_view_init(&worker->key, node->schema, process->key_count);
    row_view_init(&worker->state, node->state_schema, process->state_count);
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
    process->key_count = node->schema->key_count;
    process->value_count = in->column_count - process->key_count;
    process->value_fields = in->fields + process->key_count;
    process->state_count = node->state_schema->column_count;
    process->state = options->state;
    process->worker_count = options->worker_count;
    process->partition_count = options->partition_count;
    process->budget = options->budget;
    process->who = options->who;
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
