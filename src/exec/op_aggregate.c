/* op_aggregate.c - values into one: by key (reduceByKey, combineByKey) or of a whole batch (reduce).
 *
 *     push                                  prepare                     produce
 *     rows --> partial of this worker, -->  its table is put   -->      ranges of hashes are merged,
 *              or of this split             in hash order               rows leave
 *
 *   A1  Where the order of rows shows in the result there is a partial per split, and they are merged in
 *       split order; else one per worker, which is nearly twice as fast (D2).
 *   A2  All partials are ordered by (hash, size, bytes), so merging a range of hashes is merging sorted runs:
 *       no table is built, and rows leave in the order of E3. With one partial there is nothing to merge.
 *   A3  Tasks of produce share the partials: each changes only cells of keys in its own range.
 *   A4  One value column of words without nulls is folded as words in the slots (fold.h); a table turns to
 *       cells when the first null comes, and before the merge all do if one did.
 *   A5  A function of the user over one column of 8-byte words works on words, too. It has no identity: a slot that
 *       is zero is new. So a table turns to cells when a word would be stored as zero, and before a merge.
 *   A6  Over the changes of a window (the scope "cumulative") a partial is of rows that leave or of rows that
 *       enter, never of both; those that leave come first. They are merged apart.
 *   A7  combineByKey without combining on the map side exchanges its rows first: there is a partial for each
 *       partition, folded in produce. So do folds over a window that see the order of rows: for each split of
 *       each batch a partial of its own would be many, and merging them dear.
 *   A8  Panes, which a window gives again, come split by partition and in the order of hashes. A table that is
 *       filled in this order while it grows takes for ever (key_table.h), so it has its room beforehand, and
 *       a partial of one split the range of its partition.
 *
 * Without a key a partial is one slot instead of a table. */
#include "exec/aggregate_parts.h"

#include "column/kernels/kernels.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct AggregateOperator {
    Operator op;
    Aggregate *aggregate;
    AggregateWorker *worker;
    uint32_t worker_index;
} AggregateOperator;

/* ---- partials ---- */

static void partial_destroy(Partial *partial) {
    if (!partial)
        return;
    key_table_destroy(partial->table);
    arena_destroy(partial->arena);
    free(partial);
}

CHECKED static Status partial_create(const Aggregate *aggregate, Partial **out, Error *err) {
    Partial *partial = xcalloc(1, sizeof *partial);
    partial->arena = arena_create(aggregate->budget, aggregate->who);
    partial->has_cells = aggregate->starts_with_cells;
    partial->partition = UINT32_MAX;
    if (aggregate->key_count) {
        KeyTableOptions options = {.budget = aggregate->budget, .who = aggregate->who};
        Status st = key_table_create(options, &partial->table, err);
        if (st != STATUS_OK) {
            partial_destroy(partial);
            return st;
        }
    }
    *out = partial;
    return STATUS_OK;
}

static void partial_clear(const Aggregate *aggregate, Partial *partial) {
    if (partial->table)
        key_table_clear(partial->table);
    partial->only = (KeySlot){0};
    partial->partition = UINT32_MAX;
    partial->has_rows = false;
    partial->has_cells = aggregate->starts_with_cells;
    arena_reset(partial->arena);
}

/* A6. The sign is one for the whole chunk, as a window gives it. */
static bool does_enter(const Aggregate *aggregate, const Chunk *in) {
    return aggregate->takes_changes &&
           column_i64(&in->columns[aggregate->key_count + aggregate->value_count], chunk_row(in, 0)) > 0;
}

CHECKED static Status partial_at(Aggregate *aggregate, uint64_t index, Partial **out, Error *err) {
    ASSERT(index < aggregate->partial_count);
    Partial **place = &aggregate->partials[index];
    if (!*place) {
        int32_t spare =
            atomic_load(&aggregate->spare_count) > 0 ? atomic_fetch_sub(&aggregate->spare_count, 1) : 0;
        if (spare > 0)
            *place = aggregate->spares[spare - 1];
        else
            TRY(partial_create(aggregate, place, err));
    }
    *out = *place;
    return STATUS_OK;
}

/* A8, before the first rows of a partial. */
CHECKED static Status make_room(const Aggregate *aggregate, Partial *partial, const Chunk *in, uint64_t hash,
                                Error *err) {
    uint64_t key_count = in->split_row_count;
    partial->partition = UINT32_MAX;
    if (aggregate->by_split) {
        partial->partition = key_partition_of(hash, aggregate->partition_count);
        key_table_set_range(partial->table,
                            key_partition_begin(partial->partition, aggregate->partition_count),
                            key_partition_begin(partial->partition + 1, aggregate->partition_count));
    } else {
        key_count *= aggregate->partition_count;
    }
    return key_table_reserve(partial->table, key_count, err);
}

/* The one that the rows of a chunk on this worker go into. */
CHECKED static Status partial_of(Aggregate *aggregate, uint32_t worker, const Chunk *in, Partial **out,
                                 Error *err) {
    bool enters = does_enter(aggregate, in);
    uint64_t index = aggregate->by_split ? in->split : worker + (enters ? aggregate->worker_count : 0);
    TRY(partial_at(aggregate, index, out, err));
    (*out)->enters = enters;
    return STATUS_OK;
}

CHECKED static Status cells_new(const Aggregate *aggregate, Arena *arena, KeySlot *slot, Error *err) {
    size_t size_bytes = aggregate->value_count * sizeof(Cell);
    Cell *cells = arena_alloc(arena, size_bytes);
    if (!cells)
        return arena_no_memory(arena, size_bytes, err);
    memset(cells, 0, size_bytes);
    slot->value = (uint64_t)(uintptr_t)cells;
    return STATUS_OK;
}

CHECKED static Status slot_to_cells(const Aggregate *aggregate, Partial *partial, KeySlot *slot, Error *err) {
    uint64_t word = slot->value ^ fold_identity(aggregate->ops[0]);
    if (aggregate->is_reduce && slot->value == 0) /* A5: still new */
        return STATUS_OK;
    TRY(cells_new(aggregate, partial->arena, slot, err));
    cell_set_word(&slot_cells(slot)[0], word);
    return STATUS_OK;
}

/* A4. On failure the partial is of no further use. */
CHECKED static Status partial_to_cells(const Aggregate *aggregate, Partial *partial, Error *err) {
    if (partial->has_cells)
        return STATUS_OK;
    partial->has_cells = true;
    if (!partial->table)
        return partial->has_rows ? slot_to_cells(aggregate, partial, &partial->only, err) : STATUS_OK;
    KeySlot *slots = key_table_slots(partial->table);
    for (uint64_t i = 0; i < key_table_slot_count(partial->table); i++)
        if (slots[i].hash != KEY_SLOT_EMPTY)
            TRY(slot_to_cells(aggregate, partial, &slots[i], err));
    return STATUS_OK;
}

/* ---- functions of the user ---- */

Status reducer_init(Reducer *reducer, const Aggregate *aggregate, LeatReduceFunction function, void *user,
                    Error *err) {
    const Schema *kept = &aggregate->kept;
    reducer->fold = reducer->merge = function;
    reducer->user = user;
    reducer->a = xcalloc(kept->column_count, sizeof *reducer->a);
    reducer->b = xcalloc(kept->column_count, sizeof *reducer->b);
    for (uint32_t c = 0; c < kept->column_count; c++) {
        const Type *type = &kept->fields[c].type;
        reducer->a[c] = reducer->b[c] =
            (LeatColumn){.type = type->kind, .precision = type->precision, .scale = type->scale};
    }
    TRY(one_row_create(&reducer->result, kept, aggregate->budget, aggregate->who, err));
    return chunk_reader_create(&aggregate->values, aggregate->budget, aggregate->who, &reducer->reader, err);
}

void reducer_deinit(Reducer *reducer) {
    one_row_destroy(&reducer->result);
    chunk_reader_destroy(reducer->reader);
    free(reducer->a);
    free(reducer->b);
}

static void look_at_cells(LeatColumn *columns, const Cell *cells, uint32_t count) {
    static const uint8_t null[1] = {0};
    for (uint32_t c = 0; c < count; c++) {
        columns[c].data = &cells[c].value;
        columns[c].validity = cells[c].has ? NULL : null;
    }
}

CHECKED static Status refuse_rows(const Aggregate *aggregate, const Reducer *reducer, const char *of,
                                  Error *err) {
    return error_set(err, STATUS_INVALID, "%s: the function gave %" PRIu64 " rows for one %s",
                     aggregate->producer.node->call, one_row_emitted(&reducer->result), of);
}

/* cells = what the function has given. */
CHECKED static Status take_result(const Aggregate *aggregate, const Reducer *reducer, const char *of,
                                  Cell *cells, const CellContext *context, Error *err) {
    TRY(one_row_status(&reducer->result, err));
    if (UNLIKELY(one_row_emitted(&reducer->result) > 1))
        return refuse_rows(aggregate, reducer, of, err);
    for (uint32_t c = 0; c < aggregate->value_count; c++) {
        RowCell value = one_row_cell(&reducer->result, c);
        bool has = !one_row_is_null(&reducer->result, c);
        if (type_is_string(reducer->a[c].type))
            TRY(cell_set_str(&cells[c], has ? value.str : STR(""), context, err));
        else
            cells[c].value = has ? value : (RowCell){.decimal = 0};
        cells[c].has = has;
    }
    return STATUS_OK;
}

static const char pair_of_values[] = "pair of values";

/* cells = function(cells, b). `input`: where strings of b stand, or NULL. */
CHECKED static Status reduce_into(const Aggregate *aggregate, Reducer *reducer, LeatReduceFunction function,
                                  Cell *cells, const LeatRow *b, const Chunk *input,
                                  const CellContext *context, Error *err) {
    look_at_cells(reducer->a, cells, aggregate->value_count);
    LeatRow a = {reducer->a, aggregate->value_count, 0};
    one_row_begin(&reducer->result, input);
    function(&a, b, reducer->result.out, reducer->user);
    return take_result(aggregate, reducer, pair_of_values, cells, context, err);
}

Status reducer_call(const Aggregate *aggregate, Reducer *reducer, Cell *a, const Cell *b,
                    const CellContext *context, Error *err) {
    look_at_cells(reducer->b, b, aggregate->value_count);
    LeatRow row = {reducer->b, aggregate->value_count, 0};
    return reduce_into(aggregate, reducer, reducer->merge, a, &row, NULL, context, err);
}

/* cells = create(value). */
CHECKED static Status create_from(const Aggregate *aggregate, Reducer *reducer, Cell *cells,
                                  const LeatRow *value, const Chunk *input, const CellContext *context,
                                  Error *err) {
    one_row_begin(&reducer->result, input);
    reducer->create(value, reducer->result.out, reducer->user);
    return take_result(aggregate, reducer, "value", cells, context, err);
}

/* The first value of a key. */
CHECKED static Status cells_from_row(const Aggregate *aggregate, Cell *cells, const Column *columns,
                                     uint32_t row, const CellContext *context, Error *err) {
    for (uint32_t c = 0; c < aggregate->value_count; c++) {
        RowCell value = row_cell(&columns[c], row);
        if (type_is_string(columns[c].type->kind))
            TRY(cell_set_str(&cells[c], value.str, context, err));
        else
            cells[c].value = value;
        cells[c].has = !column_is_null(&columns[c], row);
    }
    return STATUS_OK;
}

/* ---- rows into partials ---- */

static const uint32_t only_slot[CHUNK_ROWS_MAX] = {0};

/* A5: rows from *done on, up to the one after which the partial has cells. */
CHECKED static Status reduce_words(const AggregateOperator *op, Partial *partial, KeySlot *slots,
                                   const uint32_t *at, const Chunk *in, const LeatColumn *value,
                                   uint32_t *done, Error *err) {
    const Aggregate *aggregate = op->aggregate;
    Reducer *reducer = &op->worker->reducer;
    const uint64_t fresh = fold_identity(FOLD_REDUCE), *words = value->data;
    uint64_t word = 0;
    LeatRow a = {reducer->a, 1, 0}, b = {value, 1, 0};
    reducer->a[0].data = &word;
    reducer->a[0].validity = NULL;
    one_row_begin(&reducer->result, NULL);
    LeatOut *out = reducer->result.out;
    for (; *done < in->selected_count; ++*done) {
        KeySlot *slot = &slots[at[*done]];
        b.index = chunk_row(in, *done);
        if (slot->value == 0) {
            slot->value = words[b.index & value->row_mask] ^ fresh;
            if (UNLIKELY(slot->value == 0)) /* comes again, as a new one among cells */
                return partial_to_cells(aggregate, partial, err);
            continue;
        }
        word = slot->value ^ fresh;
        reducer->fold(&a, &b, out, reducer->user);
        if (UNLIKELY(one_row_emitted(&reducer->result) > 1))
            return refuse_rows(aggregate, reducer, pair_of_values, err);
        uint64_t result = *(const uint64_t *)out->columns[0].data;
        bool is_null = one_row_is_null(&reducer->result, 0);
        if (UNLIKELY(is_null || result == fresh)) {
            TRY(partial_to_cells(aggregate, partial, err));
            slot_cells(slot)[0] = (Cell){.value = {.word = is_null ? 0 : result}, .has = !is_null};
            ++*done;
            return STATUS_OK;
        }
        slot->value = result ^ fresh;
        *(uint64_t *)out->columns[0].data = 0; /* as one_row_begin does, which is too much for each row */
        out->row = 0;
    }
    return STATUS_OK;
}

CHECKED static Status reduce_rows(const AggregateOperator *op, Partial *partial, KeySlot *slots,
                                  const uint32_t *at, const Chunk *in, Error *err) {
    const Aggregate *aggregate = op->aggregate;
    Reducer *reducer = &op->worker->reducer;
    CellContext context = {.arena = partial->arena, .who = aggregate->who};
    Chunk values = *in;
    values.schema = &aggregate->values;
    values.columns = in->columns + aggregate->key_count;
    LeatChunk seen;
    TRY(chunk_reader_bind(reducer->reader, &values, &seen, err));
    LeatRow b = {seen.columns, seen.column_count, 0};
    uint32_t i = 0;
    if (!partial->has_cells)
        TRY(reduce_words(op, partial, slots, at, in, seen.columns, &i, err));
    for (; i < in->selected_count; i++) {
        KeySlot *slot = &slots[at[i]];
        b.index = chunk_row(in, i);
        if (!slot->value) {
            TRY(cells_new(aggregate, partial->arena, slot, err));
            TRY(reducer->create
                    ? create_from(aggregate, reducer, slot_cells(slot), &b, &values, &context, err)
                    : cells_from_row(aggregate, slot_cells(slot), values.columns, b.index, &context, err));
        } else {
            TRY(reduce_into(aggregate, reducer, reducer->fold, slot_cells(slot), &b, &values, &context, err));
        }
    }
    return STATUS_OK;
}

CHECKED static Status fold_rows_to_cells(const AggregateOperator *op, Partial *partial, KeySlot *slots,
                                         const uint32_t *at, const Chunk *in, Error *err) {
    const Aggregate *aggregate = op->aggregate;
    CellContext context = {partial->arena, aggregate->separator, aggregate->who};
    Cell **cells = op->worker->cells;
    for (uint32_t i = 0; i < in->selected_count; i++) {
        KeySlot *slot = &slots[at[i]];
        if (!slot->value)
            TRY(cells_new(aggregate, partial->arena, slot, err));
        cells[i] = slot_cells(slot);
    }
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        TRY(fold_cells(aggregate->ops[c], cells, c, &in->columns[aggregate->key_count + c], in, &context,
                       err));
    return STATUS_OK;
}

CHECKED static Status fold_rows(const AggregateOperator *op, Partial *partial, const Chunk *in, Error *err) {
    const Aggregate *aggregate = op->aggregate;
    AggregateWorker *worker = op->worker;
    const Column *value = &in->columns[aggregate->key_count];
    KeySlot *slots = &partial->only;
    const uint32_t *at = only_slot;
    if (partial->table) {
        if (!partial->has_cells && aggregate->ops[0] == FOLD_SUM_I64 && !worker->keys.is_null) {
            /* The hot path: count words, add integers. */
            const Keys *keys = &worker->keys;
            const uint64_t *words = value->is_constant ? NULL : column_words(value, in, worker->words);
            return key_table_add_i64(partial->table, keys->views, keys->bases, keys->hashes, keys->count,
                                     (const int64_t *)words, words ? 0 : (int64_t)column_word(value, 0), err);
        }
        TRY(keys_upsert(&worker->keys, partial->table, worker->slots, err));
        slots = key_table_slots(partial->table);
        at = worker->slots;
    }
    if (aggregate->is_reduce)
        return reduce_rows(op, partial, slots, at, in, err);
    if (partial->has_cells)
        return fold_rows_to_cells(op, partial, slots, at, in, err);
    const uint64_t *words = column_words(value, in, worker->words);
    if (!partial->table && aggregate->ops[0] == FOLD_SUM_I64)
        partial->only.value += (uint64_t)kernels()->sum_i64((const int64_t *)words, in->selected_count);
    else
        fold_words(aggregate->ops[0], slots, at, words, in->selected_count);
    return STATUS_OK;
}

CHECKED static Status aggregate_push(Operator *base, const Chunk *in, Error *err) {
    AggregateOperator *op = (AggregateOperator *)base;
    Aggregate *aggregate = op->aggregate;
    Keys *keys = &op->worker->keys;
    if (aggregate->exchange) { /* A7 */
        TRY(keys_read(keys, in, err));
        keys_hash(keys);
        return exchange_add(aggregate->exchange, in, keys->hashes, err);
    }
    Partial *partial;
    TRY(partial_of(aggregate, op->worker_index, in, &partial, err));
    if (!partial->has_cells && in->columns[aggregate->key_count].validity)
        TRY(partial_to_cells(aggregate, partial, err)); /* A4 */
    if (partial->table) {
        TRY(keys_read(keys, in, err));
        keys_hash(keys);
        if (aggregate->takes_panes && !partial->has_rows)
            TRY(make_room(aggregate, partial, in, keys->hashes[0], err));
    }
    partial->has_rows = true;
    return fold_rows(op, partial, in, err);
}

static void aggregate_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass aggregate_operator_class = {.push = aggregate_push,
                                                       .destroy = aggregate_operator_destroy};

CHECKED static Status aggregate_open_operator(Producer *producer, const OperatorContext *context,
                                              Operator **out, Error *err) {
    (void)err;
    AggregateOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &aggregate_operator_class;
    op->aggregate = (Aggregate *)producer;
    op->worker = op->aggregate->workers[context->worker];
    op->worker_index = context->worker;
    *out = &op->op;
    return STATUS_OK;
}

/* ---- partials into rows ---- */

static void aggregate_begin(Producer *producer, const ProducerBatch *batch) {
    Aggregate *aggregate = (Aggregate *)producer;
    if (aggregate->running)
        running_begin(aggregate->running, batch);
    if (aggregate->exchange)
        exchange_begin(aggregate->exchange, batch->split_counts[0]);
    aggregate->partial_count = aggregate->exchange        ? aggregate->partition_count
                               : aggregate->by_split      ? batch->split_counts[0]
                               : aggregate->takes_changes ? 2 * aggregate->worker_count
                                                          : aggregate->worker_count;
    if (aggregate->partial_count > aggregate->partial_capacity) {
        aggregate->partials = xrealloc(aggregate->partials, aggregate->partial_count * sizeof(Partial *));
        memset(aggregate->partials + aggregate->partial_capacity, 0,
               (aggregate->partial_count - aggregate->partial_capacity) * sizeof(Partial *));
        aggregate->partial_capacity = aggregate->partial_count;
    }
}

static uint32_t aggregate_prepare_count(Producer *producer) {
    Aggregate *aggregate = (Aggregate *)producer;
    if (aggregate->partial_count > aggregate->used_capacity) {
        aggregate->used_capacity = aggregate->partial_count;
        aggregate->used = xrealloc(aggregate->used, aggregate->used_capacity * sizeof(Partial *));
    }
    aggregate->used_count = aggregate->leaving_count = 0;
    aggregate->merges_cells = false;
    if (aggregate->exchange) {
        aggregate->used_count = aggregate->partition_count;
        return 0;
    }
    for (uint64_t i = 0; i < aggregate->partial_count; i++) {
        Partial *partial = aggregate->partials[i];
        if (!partial || !partial->has_rows)
            continue;
        aggregate->used[aggregate->used_count++] = partial;
        if (!partial->enters)
            aggregate->leaving_count = aggregate->used_count;
        aggregate->merges_cells |= partial->has_cells;
    }
    if (aggregate->is_reduce && aggregate->used_count > 1) /* A5 */
        aggregate->merges_cells = true;
    return aggregate->used_count;
}

CHECKED static Status aggregate_prepare(Producer *producer, uint32_t part, Error *err) {
    Aggregate *aggregate = (Aggregate *)producer;
    Partial *partial = aggregate->used[part];
    if (aggregate->merges_cells)
        TRY(partial_to_cells(aggregate, partial, err)); /* A4 */
    if (partial->table)
        key_table_order(partial->table); /* A2 */
    return STATUS_OK;
}

static uint32_t aggregate_task_count(const Producer *producer) {
    const Aggregate *aggregate = (const Aggregate *)producer;
    return aggregate->key_count ? aggregate->partition_count : 1;
}

static bool run_advance(Run *run, uint64_t hash_end) {
    if (!run->partial->table) {
        run->slot = run->slot ? NULL : &run->partial->only;
        return run->slot;
    }
    run->slot = key_table_next(run->partial->table, &run->cursor, hash_end);
    return run->slot;
}

int aggregate_slot_compare(const KeySlot *a, const KeySlot *b) {
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->key.size != b->key.size)
        return a->key.size < b->key.size ? -1 : 1;
    Str left = key_str(&a->key), right = key_str(&b->key);
    return left.size ? memcmp(left.data, right.data, left.size) : 0;
}

static bool run_is_before(const Run *a, const Run *b) {
    int order = aggregate_slot_compare(a->slot, b->slot);
    return order != 0 ? order < 0 : a->index < b->index; /* A1: of equal keys the earlier split first */
}

/* runs[] is a heap; only runs[at] may be too large for its place. */
static void heap_sink(Run *runs, uint32_t count, uint32_t at) {
    for (;;) {
        uint32_t first = at, left = 2 * at + 1;
        for (uint32_t child = left; child < left + 2 && child < count; child++)
            if (run_is_before(&runs[child], &runs[first]))
                first = child;
        if (first == at)
            return;
        Run moved = runs[at];
        runs[at] = runs[first];
        runs[first] = moved;
        at = first;
    }
}

CHECKED static Status merge_value(const Merge *merge, uint64_t *value, uint64_t other, Error *err) {
    const Aggregate *aggregate = merge->aggregate;
    if (!merge->has_cells) {
        uint64_t identity = fold_identity(aggregate->ops[0]);
        *value = fold_word(aggregate->ops[0], *value ^ identity, other ^ identity) ^ identity;
        return STATUS_OK;
    }
    Cell *a = (Cell *)(uintptr_t)*value;
    const Cell *b = (const Cell *)(uintptr_t)other;
    CellContext context = {merge->worker->merged, aggregate->separator, aggregate->who};
    if (aggregate->is_reduce)
        return reducer_call(aggregate, &merge->worker->reducer, a, b, &context, err);
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        TRY(fold_cell(aggregate->ops[c], &a[c], &b[c], &context, err));
    return STATUS_OK;
}

Merge merge_begin(const Aggregate *aggregate, AggregateWorker *worker, uint32_t partition, uint32_t begin,
                  uint32_t end) {
    uint64_t hash_begin = key_partition_begin(partition, aggregate->partition_count);
    Merge merge = {.aggregate = aggregate,
                   .worker = worker,
                   .has_cells =
                       aggregate->exchange ? aggregate->used[begin]->has_cells : aggregate->merges_cells,
                   .hash_end = key_partition_begin(partition + 1, aggregate->partition_count),
                   .runs = worker->runs + begin};
    for (uint32_t i = begin; i < end; i++) {
        Run run = {.partial = aggregate->used[i], .index = i};
        if (run.partial->partition != UINT32_MAX && run.partial->partition != partition) /* A8 */
            continue;
        if (run.partial->table)
            run.cursor = key_table_first(run.partial->table, hash_begin);
        if (run_advance(&run, merge.hash_end))
            merge.runs[merge.run_count++] = run;
    }
    for (uint32_t i = merge.run_count / 2; i-- > 0;)
        heap_sink(merge.runs, merge.run_count, i);
    return merge;
}

Status merge_next(Merge *merge, Error *err) {
    Run *runs = merge->runs;
    if (merge->run_count == 0) {
        merge->slot = NULL;
        return STATUS_OK;
    }
    merge->slot = runs[0].slot;
    merge->value = runs[0].slot->value;
    merge->slot_count = merge->has_count = 0;
    bool is_first = true;
    do {
        merge->slot_count++;
        if (merge->aggregate->running)
            merge->has_count += !merge->has_cells || slot_cells(runs[0].slot)->has;
        if (!is_first && !merge->only_keys)
            TRY(merge_value(merge, &merge->value, runs[0].slot->value, err));
        is_first = false;
        if (!run_advance(&runs[0], merge->hash_end))
            runs[0] = runs[--merge->run_count];
        heap_sink(runs, merge->run_count, 0);
    } while (merge->run_count > 0 && aggregate_slot_compare(runs[0].slot, merge->slot) == 0);
    return STATUS_OK;
}

/* ---- the scope of a batch ---- */

CHECKED static Status give_cells(const Aggregate *aggregate, Giver *giver, const Cell *cells, Error *err) {
    for (uint32_t c = 0; c < aggregate->value_count; c++) {
        uint32_t column = aggregate->key_count + c;
        TRY(cell_check(&cells[c], &aggregate->kept.fields[c], aggregate->producer.node->call, err));
        if (cells[c].has)
            TRY(giver_put_cell(giver, column, &cells[c].value, err));
        else
            TRY(builder_put_null(giver->builder, column, err));
    }
    return STATUS_OK;
}

CHECKED static Status give_merged(const Merge *merge, Giver *giver, Error *err) {
    const Aggregate *aggregate = merge->aggregate;
    if (aggregate->key_count)
        TRY(giver_put_key(giver, &merge->slot->key, err));
    if (merge->has_cells)
        TRY(give_cells(aggregate, giver, (const Cell *)(uintptr_t)merge->value, err));
    else
        TRY(builder_put_word(giver->builder, aggregate->key_count,
                             merge->value ^ fold_identity(aggregate->ops[0]), err));
    return giver_end_row(giver, err);
}

/* A7: the rows of a partition, in the order of the input. */
CHECKED static Status fold_partition(Aggregate *aggregate, AggregateWorker *worker, uint32_t partition,
                                     Error *err) {
    AggregateOperator op = {.aggregate = aggregate, .worker = worker};
    Keys *keys = &worker->keys;
    Partial *partial;
    TRY(partial_at(aggregate, partition, &partial, err));
    key_table_set_range(partial->table, key_partition_begin(partition, aggregate->partition_count),
                        key_partition_begin(partition + 1, aggregate->partition_count));
    if (aggregate->takes_panes) /* A8: half of them at most are of one batch, or nearly so */
        TRY(key_table_reserve(partial->table, exchange_row_count(aggregate->exchange, partition) / 2, err));
    partial->has_rows = true;
    for (ExchangeCursor at = exchange_cursor(aggregate->exchange, partition); exchange_next(&at);) {
        TRY(keys_read(keys, &at.chunk, err));
        for (uint32_t i = 0; i < keys->count; i++)
            keys->hashes[i] = at.hashes[at.chunk.selection[i]];
        if (!partial->has_cells && at.chunk.columns[aggregate->key_count].validity)
            TRY(partial_to_cells(aggregate, partial, err)); /* A4 */
        TRY(fold_rows(&op, partial, &at.chunk, err));
    }
    key_table_order(partial->table);
    aggregate->used[partition] = partial;
    return STATUS_OK;
}

CHECKED static Status aggregate_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                        const Emit *out, Error *err) {
    Aggregate *aggregate = (Aggregate *)producer;
    AggregateWorker *worker = aggregate->workers[worker_index];
    Giver giver = {.builder = worker->builder,
                   .schema = producer->node->schema,
                   .key_count = aggregate->key_count,
                   .out = out,
                   .split = task};
    if (aggregate->used_count > worker->run_capacity) {
        worker->run_capacity = aggregate->used_count;
        worker->runs = xrealloc(worker->runs, worker->run_capacity * sizeof(Run));
    }
    builder_reset(worker->builder);
    if (aggregate->cumulative)
        return cumulative_produce(aggregate, worker_index, task, out, err);
    if (aggregate->running)
        return running_produce(aggregate, worker_index, task, out, err);
    bool has_own = aggregate->exchange;
    if (has_own)
        TRY(fold_partition(aggregate, worker, task, err));
    Merge merge =
        merge_begin(aggregate, worker, task, has_own ? task : 0, has_own ? task + 1 : aggregate->used_count);
    TRY(merge_next(&merge, err));
    while (merge.slot) {
        TRY(give_merged(&merge, &giver, err));
        TRY(merge_next(&merge, err));
    }
    return giver_finish(&giver, err);
}

/* Partials of splits go back to the spares: as many batches have few splits, few are kept. */
static void aggregate_end(Producer *producer) {
    Aggregate *aggregate = (Aggregate *)producer;
    if (aggregate->exchange)
        exchange_reset(aggregate->exchange);
    if (atomic_load(&aggregate->spare_count) < 0) /* workers that found none */
        atomic_store(&aggregate->spare_count, 0);
    for (uint64_t i = 0; i < aggregate->partial_count; i++) {
        Partial *partial = aggregate->partials[i];
        if (!partial)
            continue;
        if (partial->has_rows || partial->has_cells != aggregate->starts_with_cells)
            partial_clear(aggregate, partial);
        if (!aggregate->by_split)
            continue;
        aggregate->partials[i] = NULL;
        int32_t spare_count = atomic_load(&aggregate->spare_count);
        if (spare_count == SPARES_MAX) {
            partial_destroy(partial);
            continue;
        }
        aggregate->spares[spare_count] = partial;
        atomic_store(&aggregate->spare_count, spare_count + 1);
    }
    aggregate->used_count = aggregate->leaving_count = 0;
    for (uint32_t w = 0; w < aggregate->worker_count; w++) {
        builder_reset(aggregate->workers[w]->builder);
        arena_reset(aggregate->workers[w]->merged);
    }
}

/* ---- making and ending ---- */

static void worker_destroy(AggregateWorker *worker) {
    if (!worker)
        return;
    keys_deinit(&worker->keys);
    reducer_deinit(&worker->reducer);
    builder_destroy(worker->builder);
    arena_destroy(worker->merged);
    free(worker->runs);
    free(worker);
}

static void aggregate_destroy(Producer *producer) {
    Aggregate *aggregate = (Aggregate *)producer;
    cumulative_destroy(aggregate->cumulative);
    running_destroy(aggregate->running);
    for (uint32_t w = 0; w < aggregate->worker_count; w++)
        worker_destroy(aggregate->workers[w]);
    for (uint64_t i = 0; i < aggregate->partial_count; i++)
        partial_destroy(aggregate->partials[i]);
    for (int32_t i = 0; i < atomic_load(&aggregate->spare_count); i++)
        partial_destroy(aggregate->spares[i]);
    exchange_destroy(aggregate->exchange);
    free(aggregate->workers);
    free(aggregate->partials);
    free(aggregate->used);
    free(aggregate->ops);
    free(aggregate);
}

CHECKED static Status worker_create(Aggregate *aggregate, const ProducerOptions *options, uint32_t index,
                                    Error *err) {
    const PlanNode *node = options->node;
    AggregateWorker *worker = xcalloc(1, sizeof *worker);
    aggregate->workers[index] = worker;
    worker->merged = arena_create(options->budget, options->who);
    if (aggregate->key_count)
        TRY(keys_init(&worker->keys, node->inputs[0]->schema, aggregate->key_count, options->constant_hash,
                      options->budget, options->who, err));
    const LeatCombine *combine =
        node->function.kind == LEAT_FUNCTION_COMBINE ? &node->function.call.combine : NULL;
    if (aggregate->is_reduce)
        TRY(reducer_init(&worker->reducer, aggregate,
                         combine ? combine->merge_value : node->function.call.reduce, options->users[index],
                         err));
    if (combine) {
        worker->reducer.create = combine->create;
        worker->reducer.merge = combine->merge_combiners;
    }
    return builder_create(node->schema, options->budget, options->who, &worker->builder, err);
}

static void aggregate_settle(Producer *producer, bool is_kept) {
    Aggregate *aggregate = (Aggregate *)producer;
    if (aggregate->running)
        running_settle(aggregate->running, is_kept);
}

static const ProducerClass aggregate_class = {
    .begin = aggregate_begin,
    .open_operator = aggregate_open_operator,
    .prepare_count = aggregate_prepare_count,
    .prepare = aggregate_prepare,
    .task_count = aggregate_task_count,
    .produce = aggregate_produce,
    .end = aggregate_end,
    .settle = aggregate_settle,
    .destroy = aggregate_destroy,
};

Status aggregate_create(const ProducerOptions *options, Producer **out, Error *err) {
    const PlanNode *node = options->node;
    const Schema *in = node->inputs[0]->schema;
    Aggregate *aggregate = xcalloc(1, sizeof *aggregate);
    *out = NULL;
    aggregate->producer = (Producer){&aggregate_class, node};
    aggregate->key_count = node->schema->key_count;
    aggregate->value_count = node->schema->column_count - aggregate->key_count;
    bool combines = node->function.kind == LEAT_FUNCTION_COMBINE;
    aggregate->values =
        (Schema){.fields = in->fields + aggregate->key_count,
                 .column_count = combines ? in->column_count - aggregate->key_count : aggregate->value_count};
    aggregate->kept = (Schema){.fields = node->schema->fields + aggregate->key_count,
                               .column_count = aggregate->value_count};
    aggregate->is_reduce = combines || node->function.kind == LEAT_FUNCTION_REDUCE;
    aggregate->takes_changes = node->is_cumulative || node->is_running;
    /* Running sums count the panes a key is in: a partial for each. */
    aggregate->by_split = plan_is_order_sensitive(node) || node->is_running;
    aggregate->separator = str_from(node->function.text ? node->function.text : "");
    aggregate->budget = options->budget;
    aggregate->who = options->who;
    aggregate->partition_count = options->partition_count;
    aggregate->worker_count = options->worker_count;
    bool is_windowed = node->inputs[0]->kind == PLAN_WINDOW;
    const PlanNode *panes = is_windowed ? node->inputs[0]->inputs[0] : NULL;
    aggregate->takes_panes = is_windowed && panes->kind == PLAN_AGGREGATE && aggregate->key_count > 0 &&
                             panes->schema->key_count == aggregate->key_count;
    if ((combines && node->function.call.combine.no_map_side_combine) ||
        (is_windowed && aggregate->by_split && aggregate->key_count > 0 &&
         !aggregate->takes_changes)) /* A7 */
        aggregate->exchange = exchange_create(options->partition_count, options->budget, options->who);
    aggregate->workers = xcalloc(options->worker_count, sizeof *aggregate->workers);
    aggregate->ops = xcalloc(aggregate->value_count + 1, sizeof *aggregate->ops);
    for (uint32_t c = 0; c < aggregate->value_count; c++)
        aggregate->ops[c] = fold_op(node->function.kind, aggregate->kept.fields[c].type.kind);
    LeatType first = aggregate->value_count ? aggregate->kept.fields[0].type.kind : LEAT_STRUCT;
    aggregate->starts_with_cells =
        combines || aggregate->value_count != 1 || !type_is_word(first) ||
        (aggregate->is_reduce && type_value_size(first) != sizeof(uint64_t)); /* A4, A5 */
    if (node->is_cumulative) /* values meet as cells, but for sums */
        aggregate->starts_with_cells |= node->function.kind != LEAT_FUNCTION_SUM;
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++)
        st = worker_create(aggregate, options, w, err);
    if (st == STATUS_OK && node->is_cumulative)
        st = cumulative_create(aggregate, options, &aggregate->cumulative, err);
    if (st == STATUS_OK && node->is_running)
        st = running_create(aggregate, options, &aggregate->running, err);
    if (st != STATUS_OK) {
        aggregate_destroy(&aggregate->producer);
        return st;
    }
    *out = &aggregate->producer;
    return STATUS_OK;
}
