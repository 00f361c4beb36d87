/* groups.c - see groups.h. Two walks over the exchange: the first finds the group of each row and counts, the
 * second puts each row in its place behind the others of its group.
 *
 * Rows of a partition stand anywhere in the chunks of the batch, so that each is a cache miss where it is read.
 * As groups are visited one behind the other, the values of the rows ahead are asked for beforehand. */
#include "exec/groups.h"

#include <inttypes.h>
#include <stdlib.h>

/* Scratch beyond this size is given back after a batch. */
enum { SCRATCH_KEPT_MAX = 1 << 20 };

enum { ROWS_AHEAD = 24, ROWS_AHEAD_MAX = 64 };

/* Rows [begin, begin + count) of each input. While rows are placed, begin is where the next one goes. */
typedef struct Group {
    uint32_t begin[GROUPS_INPUTS_MAX], count[GROUPS_INPUTS_MAX];
} Group;

typedef struct GroupsInput {
    Keys *keys;
    Array group_array; /* uint32_t per row, in the order of the exchange: its group */
    Array ref_array;   /* RowRef per row, group by group */
    Array chunk_array; /* const Column * per kept chunk that has rows of the partition */
    uint32_t row_count, chunk_count;
    uint32_t *value_sizes; /* of the columns behind the key: bytes a row, 0 where it is no plain array */
    uint32_t value_count;
} GroupsInput;

struct Groups {
    GroupsInput inputs[GROUPS_INPUTS_MAX];
    uint32_t input_count, partition_count;
    KeyTable *table;     /* key -> 1 + index of its group */
    Array group_array;   /* as they came */
    Array ordered_array; /* as they are visited (G1); not changed by the placing of rows */
    uint32_t group_count;
    uint32_t slots[CHUNK_ROWS_MAX];
    Budget *budget;
    const char *who;
};

static void input_init(GroupsInput *input, Keys *keys) {
    const Schema *schema = keys->schema;
    input->keys = keys;
    input->value_count = schema->column_count - keys->key_count;
    input->value_sizes = xcalloc(input->value_count + 1, sizeof *input->value_sizes);
    for (uint32_t c = 0; c < input->value_count; c++)
        input->value_sizes[c] = type_value_size(schema->fields[keys->key_count + c].type.kind);
}

Status groups_create(Keys *keys, uint32_t input_count, uint32_t partition_count, Budget *budget,
                     const char *who, Groups **out, Error *err) {
    ASSERT(input_count >= 1 && input_count <= GROUPS_INPUTS_MAX);
    *out = NULL;
    Groups *groups = xcalloc(1, sizeof *groups);
    groups->input_count = input_count;
    groups->partition_count = partition_count;
    groups->budget = budget;
    groups->who = who;
    for (uint32_t k = 0; k < input_count; k++)
        input_init(&groups->inputs[k], &keys[k]);
    Status st = key_table_create((KeyTableOptions){.budget = budget, .who = who}, &groups->table, err);
    if (st != STATUS_OK) {
        groups_destroy(groups);
        return st;
    }
    *out = groups;
    return STATUS_OK;
}

void groups_destroy(Groups *groups) {
    if (!groups)
        return;
    key_table_destroy(groups->table);
    array_deinit(&groups->group_array, groups->budget);
    array_deinit(&groups->ordered_array, groups->budget);
    for (uint32_t k = 0; k < groups->input_count; k++) {
        free(groups->inputs[k].value_sizes);
        array_deinit(&groups->inputs[k].group_array, groups->budget);
        array_deinit(&groups->inputs[k].ref_array, groups->budget);
        array_deinit(&groups->inputs[k].chunk_array, groups->budget);
    }
    free(groups);
}

static void trim(Array *array, Budget *budget) {
    if (array->size_bytes > SCRATCH_KEPT_MAX)
        array_deinit(array, budget);
}

void groups_reset(Groups *groups) {
    key_table_clear(groups->table);
    groups->group_count = 0;
    trim(&groups->group_array, groups->budget);
    trim(&groups->ordered_array, groups->budget);
    for (uint32_t k = 0; k < groups->input_count; k++) {
        trim(&groups->inputs[k].group_array, groups->budget);
        trim(&groups->inputs[k].ref_array, groups->budget);
        trim(&groups->inputs[k].chunk_array, groups->budget);
    }
}

CHECKED static Status grow(const Groups *groups, Array *array, size_t used_bytes, size_t size_bytes,
                           Error *err) {
    if (size_bytes <= array->size_bytes)
        return STATUS_OK;
    size_t doubled = 2 * array->size_bytes;
    return array_reserve(array, used_bytes, doubled > size_bytes ? doubled : size_bytes, groups->budget,
                         groups->who, err);
}

/* The group of each row of a chunk; new ones are counted up from group_count. */
CHECKED static Status find_groups(Groups *groups, Keys *keys, const ExchangeCursor *at, Error *err) {
    TRY(keys_read(keys, &at->chunk, err));
    for (uint32_t i = 0; i < keys->count; i++)
        keys->hashes[i] = at->hashes[at->chunk.selection[i]];
    TRY(keys_upsert(keys, groups->table, groups->slots, err));
    return grow(groups, &groups->group_array, groups->group_count * sizeof(Group),
                ((size_t)groups->group_count + keys->count) * sizeof(Group), err);
}

CHECKED static Status count_rows(Groups *groups, uint32_t k, const Exchange *exchange, uint32_t partition,
                                 Error *err) {
    GroupsInput *input = &groups->inputs[k];
    uint64_t row_count = exchange_row_count(exchange, partition);
    input->row_count = 0;
    if (row_count > UINT32_MAX)
        return error_set(err, STATUS_NO_MEMORY, "%s: %" PRIu64 " rows in one partition of a batch",
                         groups->who, row_count);
    TRY(grow(groups, &input->group_array, 0, row_count * sizeof(uint32_t), err));
    TRY(grow(groups, &input->ref_array, 0, row_count * sizeof(RowRef), err));
    uint32_t *row_group = input->group_array.data;
    for (ExchangeCursor at = exchange_cursor(exchange, partition); exchange_next(&at);) {
        TRY(find_groups(groups, input->keys, &at, err));
        KeySlot *slots = key_table_slots(groups->table);
        Group *all = groups->group_array.data;
        for (uint32_t i = 0; i < at.chunk.selected_count; i++) {
            KeySlot *slot = &slots[groups->slots[i]];
            if (!slot->value) {
                all[groups->group_count++] = (Group){0};
                slot->value = groups->group_count;
            }
            uint32_t group = (uint32_t)slot->value - 1;
            row_group[input->row_count++] = group;
            all[group].count[k]++;
        }
    }
    return STATUS_OK;
}

/* G1: one group behind the other in hash order. */
CHECKED static Status lay_out_groups(Groups *groups, Error *err) {
    TRY(grow(groups, &groups->ordered_array, 0, groups->group_count * sizeof(Group), err));
    Group *all = groups->group_array.data, *next = groups->ordered_array.data;
    uint32_t begin[GROUPS_INPUTS_MAX] = {0};
    key_table_order(groups->table);
    const KeySlot *slot;
    for (uint64_t cursor = key_table_first(groups->table, 0);
         (slot = key_table_next(groups->table, &cursor, 0));) {
        Group *group = &all[slot->value - 1];
        for (uint32_t k = 0; k < groups->input_count; k++) {
            group->begin[k] = begin[k];
            begin[k] += group->count[k];
        }
        *next++ = *group;
    }
    return STATUS_OK;
}

/* G2 */
CHECKED static Status place_rows(Groups *groups, uint32_t k, const Exchange *exchange, uint32_t partition,
                                 Error *err) {
    GroupsInput *input = &groups->inputs[k];
    Group *all = groups->group_array.data;
    const uint32_t *row_group = input->group_array.data;
    RowRef *refs = input->ref_array.data;
    input->chunk_count = 0;
    for (ExchangeCursor at = exchange_cursor(exchange, partition); exchange_next(&at);) {
        TRY(grow(groups, &input->chunk_array, input->chunk_count * sizeof(Column *),
                 ((size_t)input->chunk_count + 1) * sizeof(Column *), err));
        ((const Column **)input->chunk_array.data)[input->chunk_count] = at.chunk.columns;
        for (uint32_t i = 0; i < at.chunk.selected_count; i++)
            refs[all[*row_group++].begin[k]++] =
                (RowRef){.chunk = input->chunk_count, .row = at.chunk.selection[i]};
        input->chunk_count++;
    }
    return STATUS_OK;
}

CHECKED static Status fill(Groups *groups, Exchange *const *exchanges, uint32_t partition, Error *err) {
    for (uint32_t k = 0; k < groups->input_count; k++)
        TRY(count_rows(groups, k, exchanges[k], partition, err));
    TRY(lay_out_groups(groups, err));
    for (uint32_t k = 0; k < groups->input_count; k++)
        TRY(place_rows(groups, k, exchanges[k], partition, err));
    return STATUS_OK;
}

Status groups_fill(Groups *groups, Exchange *const *exchanges, uint32_t partition, Error *err) {
    key_table_clear(groups->table);
    key_table_set_range(groups->table, key_partition_begin(partition, groups->partition_count),
                        key_partition_begin(partition + 1, groups->partition_count));
    groups->group_count = 0;
    Status st = fill(groups, exchanges, partition, err);
    if (st != STATUS_OK)
        groups_reset(groups);
    return st;
}

GroupCursor groups_cursor(const Groups *groups) {
    return (GroupCursor){.groups = groups,
                         .cursor = groups->group_count ? key_table_first(groups->table, 0) : 0};
}

/* Of the rows that stand ROWS_AHEAD behind those of a group; of a large group not all. */
static void prefetch_values(const GroupsInput *input, const GroupRows *rows) {
    uint32_t begin = (uint32_t)(rows->refs - (const RowRef *)input->ref_array.data) + ROWS_AHEAD;
    uint32_t end = begin + (rows->count < ROWS_AHEAD_MAX ? rows->count : ROWS_AHEAD_MAX);
    const RowRef *refs = input->ref_array.data;
    const Column *const *chunks = input->chunk_array.data;
    for (uint32_t i = begin; i < end && i < input->row_count; i++) {
        const Column *values = chunks[refs[i].chunk] + input->keys->key_count;
        for (uint32_t c = 0; c < input->value_count; c++)
            if (input->value_sizes[c] && !values[c].is_constant)
                __builtin_prefetch((const char *)values[c].data +
                                   (size_t)refs[i].row * input->value_sizes[c]);
    }
}

bool groups_next(GroupCursor *cursor) {
    const Groups *groups = cursor->groups;
    const KeySlot *slot = groups->group_count ? key_table_next(groups->table, &cursor->cursor, 0) : NULL;
    if (!slot)
        return false;
    const Group *group = (const Group *)groups->ordered_array.data + cursor->index++;
    cursor->key = &slot->key;
    for (uint32_t k = 0; k < groups->input_count; k++) {
        const GroupsInput *input = &groups->inputs[k];
        cursor->rows[k] = (GroupRows){
            .refs = (const RowRef *)input->ref_array.data + group->begin[k],
            .count = group->count[k],
            .chunks = input->chunk_array.data,
        };
        prefetch_values(input, &cursor->rows[k]);
    }
    return true;
}
