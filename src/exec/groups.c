/* groups.c - see groups.h. Two walks over the exchange: the first finds the group of each row and counts, the
 * second puts each row in its place behind the others of its group. */
#include "exec/groups.h"

#include <inttypes.h>
#include <stdlib.h>

/* Scratch beyond this size is given back after a batch. */
enum { SCRATCH_KEPT_MAX = 1 << 20 };

/* Rows [begin, begin + count) of each input. */
typedef struct Group {
    uint32_t begin[GROUPS_INPUTS_MAX], count[GROUPS_INPUTS_MAX];
} Group;

typedef struct GroupsInput {
    Keys *keys;
    Array group_array; /* uint32_t per row, in the order of the exchange: its group */
    Array ref_array;   /* RowRef per row, group by group */
    Array chunk_array; /* const Column * per kept chunk that has rows of the partition */
    uint32_t row_count, chunk_count;
} GroupsInput;

struct Groups {
    GroupsInput inputs[GROUPS_INPUTS_MAX];
    uint32_t input_count, partition_count;
    KeyTable *table; /* key -> 1 + index of its group */
    Array group_array;
    uint32_t group_count;
    uint32_t slots[CHUNK_ROWS_MAX];
    Budget *budget;
    const char *who;
};

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
        groups->inputs[k].keys = &keys[k];
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
    for (uint32_t k = 0; k < groups->input_count; k++) {
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

/* G1: one group behind the other in hash order, as they will be visited. */
static void lay_out_groups(Groups *groups) {
    Group *all = groups->group_array.data;
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
    }
}

/* G2. While rows are placed, begin is where the next one of the group goes. */
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
    for (uint32_t g = 0; g < groups->group_count; g++)
        all[g].begin[k] -= all[g].count[k];
    return STATUS_OK;
}

CHECKED static Status fill(Groups *groups, Exchange *const *exchanges, uint32_t partition, Error *err) {
    for (uint32_t k = 0; k < groups->input_count; k++)
        TRY(count_rows(groups, k, exchanges[k], partition, err));
    lay_out_groups(groups);
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

bool groups_next(GroupCursor *cursor) {
    const Groups *groups = cursor->groups;
    const KeySlot *slot = groups->group_count ? key_table_next(groups->table, &cursor->cursor, 0) : NULL;
    if (!slot)
        return false;
    const Group *group = (const Group *)groups->group_array.data + (slot->value - 1);
    cursor->key = &slot->key;
    for (uint32_t k = 0; k < groups->input_count; k++)
        cursor->rows[k] = (GroupRows){
            .refs = (const RowRef *)groups->inputs[k].ref_array.data + group->begin[k],
            .count = group->count[k],
            .chunks = groups->inputs[k].chunk_array.data,
        };
    return true;
}
