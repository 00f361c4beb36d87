/* aggregate_cumulative.c - values that go on from window to window: what leaves is taken out of the value of
 * the last window, then what enters is put in.
 *
 *   produce  one task for each partition:
 *              1  keys that leave or enter: value' = reduce(inverse(value, leaving), entering), put
 *              2  scan the state: the filter drops keys; every key that is left gives a row
 *
 *   U1  As Spark orders it: what leaves is reduced to one value first, and so is what enters. A key without a
 *       value takes what enters as it is; one that has nothing entering either is a mistake (of the filter,
 *       or of a hash that is not always the same).
 *   U2  The filter is asked for every key of the state in every window.
 *   U3  A partition's state belongs to the one task that runs it. In step 2 only the key at hand is removed.
 *   U4  Without key columns the state is one entry, whose key has no bytes. */
#include "exec/aggregate_parts.h"

#include "column/codec.h"
#include "exec/keyed_state.h"

#include <stdlib.h>

typedef struct CumulativeWorker {
    Reducer inverse;
    void *filter_user;
    RowView state; /* a value as it stands in the state */
    Cell *cells;   /* the same, being changed */
    Text encoded;
    /* What the filter sees: the columns of key and value. */
    RowView key;
    LeatColumn *row;
} CumulativeWorker;

struct Cumulative {
    const PlanNode *node;
    NodeState *state; /* a keyed_state */
    FoldOp *inverse_ops;
    bool has_inverse_function;
    Key only_key; /* U4 */
    uint64_t only_hash;
    CumulativeWorker *workers;
    uint32_t worker_count;
};

/* A key that leaves, enters or both; NULL: it does not. */
typedef struct Change {
    const Key *key;
    uint64_t hash;
    const Cell *leaving, *entering;
} Change;

/* ---- step 1: changes ---- */

CHECKED static Status read_state(const Aggregate *aggregate, CumulativeWorker *worker, Str bytes,
                                 Error *err) {
    TRY(row_view_value(&worker->state, bytes, aggregate->value_count, err));
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        worker->cells[c] =
            (Cell){.value = worker->state.cells[c], .has = worker->state.columns[c].validity == NULL};
    return STATUS_OK;
}

CHECKED static Status take_out(const Aggregate *aggregate, CumulativeWorker *worker, const Cell *leaving,
                               const CellContext *context, Error *err) {
    const Cumulative *cumulative = aggregate->cumulative;
    if (cumulative->has_inverse_function)
        return reducer_call(aggregate, &worker->inverse, worker->cells, leaving, context, err);
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        TRY(fold_cell(cumulative->inverse_ops[c], &worker->cells[c], &leaving[c], context, err));
    return STATUS_OK;
}

CHECKED static Status put_in(const Aggregate *aggregate, CumulativeWorker *worker, Reducer *reducer,
                             const Cell *entering, const CellContext *context, Error *err) {
    if (aggregate->is_reduce)
        return reducer_call(aggregate, reducer, worker->cells, entering, context, err);
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        TRY(fold_cell(aggregate->ops[c], &worker->cells[c], &entering[c], context, err));
    return STATUS_OK;
}

CHECKED static Status refuse_stranger(const Aggregate *aggregate, const Key *key, Error *err) {
    const PlanNode *node = aggregate->producer.node;
    Text text = {0};
    if (codec_format(key_str(key), true, key->size == KEY_NULL_SIZE, node->schema->fields,
                     aggregate->key_count, &text, NULL) != STATUS_OK)
        text_append(&text, STR("?"));
    Status st =
        error_set(err, STATUS_INVALID,
                  "%s: key %.*s leaves the window, but the last window had no value for it and no new "
                  "one has come; did the filter drop it too early?",
                  node->call, STR_ARG(text_str(&text)));
    text_deinit(&text);
    return st;
}

CHECKED static Status encode(const Aggregate *aggregate, const Cell *cells, Text *out, Error *err) {
    text_reset(out);
    for (uint32_t c = 0; c < aggregate->value_count; c++) {
        const Field *field = &aggregate->values.fields[c];
        RowCell value = cells[c].value;
        TRY(cell_check(&cells[c], field, aggregate->producer.node->call, err));
        if (cells[c].has && type_is_word(field->type.kind)) { /* F3: as it is given out */
            uint64_t low = 0;
            word_store(&low, 0, field->type.kind, value.word);
            value.word = word_load(&low, 0, field->type.kind);
        }
        row_cell_encode(field->type.kind, aggregate->value_count == 1, !cells[c].has, value, out);
    }
    return STATUS_OK;
}

CHECKED static Status change(const Aggregate *aggregate, AggregateWorker *shared, CumulativeWorker *worker,
                             StateStore *store, const Change *change, Error *err) {
    CellContext context = {shared->merged, aggregate->separator, aggregate->who};
    Str bytes;
    const Cell *value = worker->cells;
    if (state_store_find(store, change->key, change->hash, &bytes)) {
        TRY(read_state(aggregate, worker, bytes, err));
        if (change->leaving)
            TRY(take_out(aggregate, worker, change->leaving, &context, err));
        if (change->entering)
            TRY(put_in(aggregate, worker, &shared->reducer, change->entering, &context, err));
    } else if (change->entering) {
        value = change->entering;
    } else {
        return refuse_stranger(aggregate, change->key, err);
    }
    TRY(encode(aggregate, value, &worker->encoded, err));
    return state_store_put(store, change->key, change->hash, text_str(&worker->encoded), err);
}

static int slot_order(const Merge *a, const Merge *b) {
    return !a->slot ? 1 : !b->slot ? -1 : aggregate_slot_compare(a->slot, b->slot);
}

Status change_walk_next(ChangeWalk *walk, Error *err) {
    if (walk->leaves)
        TRY(merge_next(&walk->leaving, err));
    if (walk->enters)
        TRY(merge_next(&walk->entering, err));
    int order = slot_order(&walk->leaving, &walk->entering);
    walk->leaves = walk->leaving.slot && order <= 0;
    walk->enters = walk->entering.slot && order >= 0;
    walk->slot = walk->leaves ? walk->leaving.slot : walk->entering.slot;
    return STATUS_OK;
}

Status change_walk_begin(ChangeWalk *walk, const Aggregate *aggregate, AggregateWorker *worker,
                         uint32_t partition, Error *err) {
    *walk = (ChangeWalk){
        .leaving = merge_begin(aggregate, worker, partition, 0, aggregate->leaving_count),
        .entering =
            merge_begin(aggregate, worker, partition, aggregate->leaving_count, aggregate->used_count),
        .leaves = true,
        .enters = true,
    };
    return change_walk_next(walk, err);
}

CHECKED static Status change_keys(const Aggregate *aggregate, uint32_t worker_index, uint32_t task,
                                  StateStore *store, Error *err) {
    const Cumulative *cumulative = aggregate->cumulative;
    AggregateWorker *shared = aggregate->workers[worker_index];
    CumulativeWorker *worker = &cumulative->workers[worker_index];
    ChangeWalk walk;
    TRY(change_walk_begin(&walk, aggregate, shared, task, err));
    while (walk.slot) {
        Cell rooms[2];
        Change at = {.key = aggregate->key_count ? &walk.slot->key : &cumulative->only_key,
                     .hash = aggregate->key_count ? walk.slot->hash : cumulative->only_hash,
                     .leaving = walk.leaves ? merge_cells(&walk.leaving, &rooms[0]) : NULL,
                     .entering = walk.enters ? merge_cells(&walk.entering, &rooms[1]) : NULL};
        TRY(change(aggregate, shared, worker, store, &at, err));
        TRY(change_walk_next(&walk, err));
    }
    return STATUS_OK;
}

/* ---- step 2: rows ---- */

static bool is_zero(Str bytes) {
    uint64_t word = 1;
    if (bytes.size == sizeof word)
        memcpy(&word, bytes.data, sizeof word);
    return word == 0;
}

/* U2 */
CHECKED static Status ask_filter(const Aggregate *aggregate, CumulativeWorker *worker, const StateScan *scan,
                                 bool *stays, Error *err) {
    const PlanNode *node = aggregate->producer.node;
    uint32_t key_count = aggregate->key_count;
    *stays = !node->drops_zero || !is_zero(scan->value);
    if (!node->filter.call.predicate)
        return STATUS_OK;
    TRY(row_view_key(&worker->key, scan->key, key_count, err));
    TRY(row_view_value(&worker->state, scan->value, aggregate->value_count, err));
    memcpy(worker->row, worker->key.columns, key_count * sizeof(LeatColumn));
    memcpy(worker->row + key_count, worker->state.columns, aggregate->value_count * sizeof(LeatColumn));
    LeatRow row = {worker->row, key_count + aggregate->value_count, 0};
    *stays = node->filter.call.predicate(&row, worker->filter_user);
    return STATUS_OK;
}

CHECKED static Status give_state(const Aggregate *aggregate, CumulativeWorker *worker, StateStore *store,
                                 Giver *giver, Error *err) {
    uint32_t key_count = aggregate->key_count;
    for (StateScan scan = state_store_scan(store); state_store_next(&scan);) {
        bool stays;
        TRY(ask_filter(aggregate, worker, &scan, &stays, err));
        if (!stays) {
            TRY(state_store_remove(store, scan.key, scan.hash, err)); /* U3 */
            continue;
        }
        if (key_count)
            TRY(giver_put_key(giver, scan.key, err));
        TRY(codec_decode_value(scan.value, giver->builder, key_count, key_count + aggregate->value_count,
                               err));
        TRY(giver_end_row(giver, err));
    }
    return giver_finish(giver, err);
}

Status cumulative_produce(const Aggregate *aggregate, uint32_t worker_index, uint32_t task, const Emit *out,
                          Error *err) {
    const Cumulative *cumulative = aggregate->cumulative;
    uint32_t partition =
        aggregate->key_count ? task : key_partition_of(cumulative->only_hash, aggregate->partition_count);
    StateStore *store = keyed_state_store(cumulative->state, partition);
    Giver giver = {.builder = aggregate->workers[worker_index]->builder,
                   .schema = cumulative->node->schema,
                   .key_count = aggregate->key_count,
                   .out = out,
                   .split = task};
    TRY(change_keys(aggregate, worker_index, task, store, err));
    return give_state(aggregate, &cumulative->workers[worker_index], store, &giver, err);
}

/* ---- making and ending ---- */

void cumulative_destroy(Cumulative *cumulative) {
    if (!cumulative)
        return;
    for (uint32_t w = 0; w < cumulative->worker_count; w++) {
        CumulativeWorker *worker = &cumulative->workers[w];
        reducer_deinit(&worker->inverse);
        row_view_deinit(&worker->state);
        row_view_deinit(&worker->key);
        text_deinit(&worker->encoded);
        free(worker->cells);
        free(worker->row);
    }
    free(cumulative->workers);
    free(cumulative->inverse_ops);
    free(cumulative);
}

CHECKED static Status worker_init(const Aggregate *aggregate, const ProducerOptions *options,
                                  CumulativeWorker *worker, uint32_t index, Error *err) {
    const PlanNode *node = options->node;
    worker->filter_user = options->filter_users[index];
    row_view_init(&worker->state, &aggregate->values, aggregate->value_count);
    row_view_init(&worker->key, node->schema, aggregate->key_count);
    worker->cells = xcalloc(aggregate->value_count, sizeof *worker->cells);
    worker->row = xcalloc(node->schema->column_count, sizeof *worker->row);
    if (node->inverse.kind != LEAT_FUNCTION_REDUCE)
        return STATUS_OK;
    return reducer_init(&worker->inverse, aggregate, node->inverse.call.reduce, options->inverse_users[index],
                        err);
}

Status cumulative_create(const Aggregate *aggregate, const ProducerOptions *options, Cumulative **out,
                         Error *err) {
    const PlanNode *node = options->node;
    Cumulative *cumulative = xcalloc(1, sizeof *cumulative);
    cumulative->node = node;
    cumulative->state = options->state;
    cumulative->has_inverse_function = node->inverse.kind == LEAT_FUNCTION_REDUCE;
    cumulative->inverse_ops = xcalloc(aggregate->value_count, sizeof *cumulative->inverse_ops);
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        cumulative->inverse_ops[c] = fold_op(node->inverse.kind, aggregate->values.fields[c].type.kind);
    cumulative->only_key = key_from_str(STR(""));
    cumulative->only_hash = options->constant_hash ? KEY_HASH_CONSTANT : key_hash(&cumulative->only_key);
    cumulative->worker_count = options->worker_count;
    cumulative->workers = xcalloc(options->worker_count, sizeof *cumulative->workers);
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++)
        st = worker_init(aggregate, options, &cumulative->workers[w], w, err);
    if (st != STATUS_OK) {
        cumulative_destroy(cumulative);
        return st;
    }
    *out = cumulative;
    return STATUS_OK;
}
