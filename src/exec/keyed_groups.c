/* keyed_groups.c - the rows of a partition by key.
 *
 * Values of a key come in the order (split, arrival, row): the input's, for any number of workers. */
#include "exec/keyed_process.h"

#include "base/bitmap.h"

#include <inttypes.h>

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

Status keyed_group_rows(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition, Error *err) {
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

Status keyed_reserve_new_keys(const ProcessWorker *worker, StateStore *store, Error *err) {
    uint64_t new_count = 0;
    const KeySlot *slot;
    Str state;
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));)
        new_count += !state_store_find(store, &slot->key, slot->hash, &state);
    return state_store_reserve(store, new_count, err);
}
