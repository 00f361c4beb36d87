/* keyed_map.c - mapWithState: a function of the user over every record, with the state of its key, and over
 * every key that has timed out.
 *
 *   1  Each key of the batch, in hash order: find its state, call for each of its records, put or remove once.
 *   2  Where a timeout is to be looked at: the keys that were last updated too long ago, in the order of hash
 *      and key: call without a value, remove.
 *
 *   M1  A function sees what it has set: LeatKeyState shows worker->state, which updates write into. Strings
 *       that were set stand in worker->strings until the state is encoded.
 *   M2  With a timeout the last column of a stored state is the batch time at which a record of the key came
 *       last, in microseconds: the last 8 bytes of its encoding.
 *   M3  A key that gets a state has a timer from then on (T1 of timers.h); one that had a state has one. */
#include "exec/keyed_process.h"

#include "base/bytes.h"

#include <stdlib.h>

enum { SCAN_ENTRIES = 64, US_PER_MS = 1000 };

typedef struct MapState {
    LeatKeyState handle; /* what the function gets; M1 */
    RowView *view;
    uint32_t column_count;
    Arena *strings;
    Status status; /* NO_MEMORY of a string */
    Error error;
} MapState;

typedef struct Map {
    const KeyedProcess *process;
    ProcessWorker *worker;
    StateStore *store;
    KeyTimers *timers; /* NULL: no timeout */
    const Emit *emit;
    uint64_t split, sequence, flushed_rows;
    bool is_simple, key_is_word, has_strings;
    LeatRow key, value;
    LeatOut *out;
    MapState state;
    uint32_t shown; /* of worker->encoded: the one that the state shows */
} Map;

/* ---- the state as the function sees it ---- */

void leat_state_read_mistake_(LeatKeyState *state) {
    if (!state->mistake)
        state->mistake = state->is_removed ? "the state was read after it was removed"
                                           : "the state was read, but the key has none";
}

/* NULL: a mistake, and nothing is to be set. */
static MapState *begin_update(LeatKeyState *handle, const char *call, uint32_t column, bool fits) {
    MapState *state = (MapState *)handle;
    if (!fits)
        leat_misuse_(call, column, state->column_count,
                     (int)(column < state->column_count ? state->view->columns[column].type : LEAT_STRUCT));
    if (handle->is_removed || handle->is_timing_out) {
        if (!handle->mistake)
            handle->mistake = handle->is_removed ? "the state was updated after it was removed"
                                                 : "a state that has timed out was updated";
        return NULL;
    }
    handle->exists = true; /* where it did not every column is null */
    handle->is_updated = true;
    return state;
}

static bool column_is(const LeatKeyState *handle, uint32_t column, LeatType a, LeatType b) {
    const MapState *state = (const MapState *)handle;
    return column < state->column_count &&
           (state->view->columns[column].type == a || state->view->columns[column].type == b);
}

/* Of a type that is a word (column_word). */
static void update_word(LeatKeyState *handle, const char *call, uint32_t column, bool fits, uint64_t word) {
    MapState *state = begin_update(handle, call, column, fits);
    if (state)
        row_view_set_word(state->view, column, word);
}

void leat_state_update_bool(LeatKeyState *handle, uint32_t column, bool value) {
    bool fits = column_is(handle, column, LEAT_BOOLEAN, LEAT_BOOLEAN);
    update_word(handle, "leat_state_update_bool", column, fits, value);
}

void leat_state_update_i8(LeatKeyState *handle, uint32_t column, int8_t value) {
    bool fits = column_is(handle, column, LEAT_TINYINT, LEAT_TINYINT);
    update_word(handle, "leat_state_update_i8", column, fits, (uint64_t)(int64_t)value);
}

void leat_state_update_i16(LeatKeyState *handle, uint32_t column, int16_t value) {
    bool fits = column_is(handle, column, LEAT_SMALLINT, LEAT_SMALLINT);
    update_word(handle, "leat_state_update_i16", column, fits, (uint64_t)(int64_t)value);
}

void leat_state_update_i32(LeatKeyState *handle, uint32_t column, int32_t value) {
    bool fits = column_is(handle, column, LEAT_INT, LEAT_DATE);
    update_word(handle, "leat_state_update_i32", column, fits, (uint64_t)(int64_t)value);
}

void leat_state_update_i64(LeatKeyState *handle, uint32_t column, int64_t value) {
    bool fits = column_is(handle, column, LEAT_BIGINT, LEAT_TIMESTAMP);
    update_word(handle, "leat_state_update_i64", column, fits, (uint64_t)value);
}

void leat_state_update_f32(LeatKeyState *handle, uint32_t column, float value) {
    bool fits = column_is(handle, column, LEAT_FLOAT, LEAT_FLOAT);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    update_word(handle, "leat_state_update_f32", column, fits, bits);
}

void leat_state_update_f64(LeatKeyState *handle, uint32_t column, double value) {
    bool fits = column_is(handle, column, LEAT_DOUBLE, LEAT_DOUBLE);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    update_word(handle, "leat_state_update_f64", column, fits, bits);
}

void leat_state_update_decimal(LeatKeyState *handle, uint32_t column, LeatDecimal value) {
    bool fits = column_is(handle, column, LEAT_DECIMAL, LEAT_DECIMAL);
    MapState *state = begin_update(handle, "leat_state_update_decimal", column, fits);
    if (!state)
        return;
    if (!decimal_fits(value, state->view->columns[column].precision) && !handle->mistake)
        handle->mistake = "a DECIMAL of the state was given more digits than it has";
    row_view_set_decimal(state->view, column, value);
}

void leat_state_update_str(LeatKeyState *handle, uint32_t column, LeatStr value) {
    bool fits = column_is(handle, column, LEAT_STRING, LEAT_BINARY);
    MapState *state = begin_update(handle, "leat_state_update_str", column, fits);
    if (!state || state->status != STATUS_OK)
        return;
    Str copy = STR("");
    if (value.size)
        state->status = arena_copy(state->strings, value, &copy, &state->error);
    if (state->status == STATUS_OK)
        row_view_set_str(state->view, column, copy);
}

void leat_state_update_null(LeatKeyState *handle, uint32_t column) {
    bool fits = column < ((const MapState *)handle)->column_count;
    MapState *state = begin_update(handle, "leat_state_update_null", column, fits);
    if (state)
        row_view_set_null(state->view, column);
}

void leat_state_remove(LeatKeyState *handle) {
    MapState *state = (MapState *)handle;
    if (handle->is_removed || handle->is_timing_out) {
        if (!handle->mistake)
            handle->mistake =
                handle->is_removed ? "the state was removed twice" : "a state that has timed out was removed";
        return;
    }
    row_view_set_all_null(state->view, state->column_count);
    handle->exists = false;
    handle->is_updated = false;
    handle->is_removed = true;
}

/* ---- rows ---- */

CHECKED static Status give(Map *map, Error *err) {
    Chunk chunk;
    TRY(builder_take_out(map->worker->builder, &chunk, err));
    map->flushed_rows += chunk.row_count;
    chunk.split = map->split;
    chunk.sequence = map->sequence++;
    return emit_chunk(map->emit, &chunk, err);
}

static void map_flush(Builder *builder, void *self) {
    Error error = {0};
    Status st = give(self, &error);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &error);
}

CHECKED static Status refuse_rows(const Map *map, Error *err) {
    TRY(builder_out_status(map->worker->builder, err)); /* after a failure rows are dropped, not counted */
    return error_set(err, STATUS_INVALID,
                     "%s: the function gave several rows for one record; use leat_map_with_state_function",
                     map->process->producer.node->call);
}

/* ---- calls ---- */

/* `value` NULL: the state has timed out. */
CHECKED static Status call_function(Map *map, const LeatRow *value, Error *err) {
    const PlanNode *node = map->process->producer.node;
    LeatKeyState *handle = &map->state.handle;
    LeatOut *out = map->out;
    uint32_t before = out->row;
    uint64_t flushed = map->flushed_rows;
    handle->is_updated = handle->is_removed = false;
    node->function.call.map_with_state(&map->key, value, handle, out, map->worker->user);
    if (UNLIKELY(handle->mistake))
        return error_set(err, STATUS_INVALID, "%s: %s", node->call, handle->mistake);
    if (UNLIKELY(map->state.status != STATUS_OK)) {
        if (err)
            *err = map->state.error;
        return map->state.status;
    }
    if (!map->is_simple)
        return STATUS_OK;
    uint64_t given = map->flushed_rows - flushed + out->row - before;
    if (given == 0)
        leat_out_emit(out);
    return given > 1 ? refuse_rows(map, err) : STATUS_OK;
}

CHECKED static Status show_key(Map *map, const Key *key, Error *err) {
    if (LIKELY(map->key_is_word && key->size == sizeof(uint64_t))) {
        row_view_word(&map->worker->key, key->inlined);
        return STATUS_OK;
    }
    return row_view_key(&map->worker->key, key, map->process->key_count, err);
}

static const Text *encode_state(Map *map) {
    Text *encoded = &map->worker->encoded[!map->shown];
    text_reset(encoded);
    row_view_encode(&map->worker->state, map->process->stored_count, encoded);
    return encoded;
}

/* Strings that were set move into the encoded state, so that a key with many records needs no more memory
 * than one with few. */
CHECKED static Status settle_strings(Map *map, Error *err) {
    const Text *encoded = encode_state(map);
    map->shown = !map->shown;
    arena_reset(map->worker->strings);
    return row_view_value(&map->worker->state, text_str(encoded), map->process->stored_count, err);
}

/* What the calls for a key left: a state, also when only its time is new, or none. */
CHECKED static Status put_state(Map *map, const KeySlot *slot, bool had_state, Error *err) {
    const KeyedProcess *process = map->process;
    if (map->timers) {
        int64_t time_ms = process->batch.time_ms;
        row_view_set_word(&map->worker->state, process->state_count,
                          (uint64_t)(time_ms * US_PER_MS)); /* M2 */
        if (!had_state && key_timers_is_built(map->timers))
            TRY(key_timers_add(map->timers, slot->hash, time_ms, err)); /* M3 */
    }
    return state_store_put(map->store, &slot->key, slot->hash, text_str(encode_state(map)), err);
}

CHECKED static Status map_key(Map *map, const KeySlot *slot, Group group, Error *err) {
    ProcessWorker *worker = map->worker;
    LeatKeyState *handle = &map->state.handle;
    Str stored;
    bool had_state = state_store_find(map->store, &slot->key, slot->hash, &stored), is_changed = false;
    TRY(show_key(map, &slot->key, err));
    if (had_state)
        TRY(row_view_value(&worker->state, stored, map->process->stored_count, err));
    else
        row_view_set_all_null(&worker->state, map->process->stored_count);
    handle->exists = had_state;
    for (uint32_t i = 0; i < group.count; i++) {
        map->value.index = group.begin + i;
        TRY(call_function(map, &map->value, err));
        is_changed |= handle->is_updated || handle->is_removed;
        if (map->has_strings && handle->is_updated)
            TRY(settle_strings(map, err));
    }
    if (!handle->exists)
        return had_state ? state_store_remove(map->store, &slot->key, slot->hash, err) : STATUS_OK;
    return is_changed || map->timers ? put_state(map, slot, had_state, err) : STATUS_OK;
}

CHECKED static Status map_keys_of_batch(Map *map, Error *err) {
    const ProcessWorker *worker = map->worker;
    const Group *groups = worker->group_array.data;
    const KeySlot *slot;
    TRY(keyed_reserve_new_keys(worker, map->store, err));
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));)
        TRY(map_key(map, slot, groups[slot->value - 1], err));
    return STATUS_OK;
}

/* ---- timeouts ---- */

/* M2 */
CHECKED static Status updated_ms(const Map *map, Str stored, int64_t *time_ms, Error *err) {
    uint64_t updated_us;
    if (stored.size < sizeof updated_us)
        return error_set(err, STATUS_CORRUPT, "%s: a state of %zu bytes does not tell when it was updated",
                         map->process->who, stored.size);
    memcpy(&updated_us, stored.data + stored.size - sizeof updated_us, sizeof updated_us);
    *time_ms = (int64_t)updated_us / US_PER_MS;
    return STATUS_OK;
}

/* After a start, or a batch that was rolled back. */
CHECKED static Status build_timers(Map *map, Error *err) {
    StateEntry entries[SCAN_ENTRIES];
    StateScan scan = state_store_scan(map->store);
    for (uint32_t count; (count = state_store_next_entries(&scan, entries, SCAN_ENTRIES)) > 0;)
        for (uint32_t i = 0; i < count; i++) {
            int64_t time_ms;
            TRY(updated_ms(map, entries[i].value, &time_ms, err));
            TRY(key_timers_add(map->timers, entries[i].hash, time_ms, err));
        }
    key_timers_set_built(map->timers);
    return STATUS_OK;
}

CHECKED static Status add_due(Map *map, const StateEntry *entry, uint64_t *count, Error *err) {
    Array *due = &map->worker->due;
    size_t used = *count * sizeof *entry;
    if (used + sizeof *entry > due->size_bytes)
        TRY(array_reserve(due, used, 2 * used + SCAN_ENTRIES * sizeof *entry, map->process->budget,
                          map->process->who, err));
    ((StateEntry *)due->data)[(*count)++] = *entry;
    return STATUS_OK;
}

/* The keys that were last updated before `end_ms`, into worker->due; the others found get their timer back. */
CHECKED static Status find_due(Map *map, int64_t end_ms, uint64_t *due_count, Error *err) {
    const uint64_t *hashes;
    uint64_t hash_count;
    *due_count = 0;
    if (!key_timers_is_built(map->timers))
        TRY(build_timers(map, err));
    TRY(key_timers_take(map->timers, end_ms, &hashes, &hash_count, err));
    for (uint64_t i = 0; i < hash_count; i++)
        for (StateEntry entry = {0}; state_store_next_of_hash(map->store, hashes[i], &entry);) {
            int64_t time_ms;
            TRY(updated_ms(map, entry.value, &time_ms, err));
            if (time_ms < end_ms)
                TRY(add_due(map, &entry, due_count, err));
            else
                TRY(key_timers_add(map->timers, entry.hash, time_ms, err));
        }
    return STATUS_OK;
}

/* By hash, size and bytes: an order that no history of a table changes. */
static int compare_entries(const void *a, const void *b) {
    const StateEntry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->key->size != y->key->size)
        return x->key->size < y->key->size ? -1 : 1;
    return str_compare(key_str(x->key), key_str(y->key));
}

CHECKED static Status time_out(Map *map, Error *err) {
    ProcessWorker *worker = map->worker;
    LeatKeyState *handle = &map->state.handle;
    uint64_t due_count;
    TRY(find_due(map, map->process->batch.time_ms - map->process->producer.node->timeout_ms, &due_count,
                 err));
    StateEntry *due = worker->due.data;
    if (due_count)
        qsort(due, due_count, sizeof *due, compare_entries);
    for (uint64_t i = 0; i < due_count; i++) {
        TRY(show_key(map, due[i].key, err));
        TRY(row_view_value(&worker->state, state_store_value_at(map->store, &due[i]),
                           map->process->stored_count, err));
        handle->exists = handle->is_timing_out = true;
        TRY(call_function(map, NULL, err));
        TRY(state_store_remove_at(map->store, &due[i], err));
    }
    return STATUS_OK;
}

/* ---- a partition ---- */

static bool has_strings(const Schema *schema, uint32_t column_count) {
    for (uint32_t c = 0; c < column_count; c++)
        if (type_is_string(schema->fields[c].type.kind))
            return true;
    return false;
}

Status keyed_map_partition(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                           const Emit *out, Error *err) {
    const PlanNode *node = process->producer.node;
    Map map = {.process = process,
               .worker = worker,
               .store = keyed_state_store(process->state, partition),
               .timers = keyed_state_timers(process->state, partition),
               .emit = out,
               .split = partition,
               .is_simple = node->function.kind == LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE,
               .key_is_word = row_is_one_word(process->table, process->key_count),
               .has_strings = has_strings(node->state_schema, process->state_count),
               .key = row_view_row(&worker->key, process->key_count),
               .value = {.columns = worker->value_columns, .column_count = process->value_count},
               .state = {.handle = {.row = row_view_row(&worker->state, process->state_count),
                                    .batch_time_ms = process->batch.time_ms},
                         .view = &worker->state,
                         .column_count = process->state_count,
                         .strings = worker->strings}};
    bool checks = map.timers && process->batch.id % node->check_slides == 0;
    if (worker->group_count == 0 && !checks)
        return STATUS_OK;
    map.out = builder_out_begin(worker->builder, NULL, map_flush, &map);
    TRY(map_keys_of_batch(&map, err));
    if (checks)
        TRY(time_out(&map, err));
    return give(&map, err);
}
