/* groups.h - the rows of one partition of a batch, by key: of one input or of two.
 *
 *   G1  Groups come in the order of their key's hash (E3 of engine.h). Null keys are one group.
 *   G2  Rows of a group come in the order of the exchange (X1): the input's, for any number of workers.
 *
 * Rows are not copied: a group refers to the chunks that the exchange keeps.
 *
 * Memory   a key table and 8 bytes a row, charged to the budget.
 * Threads  one owner; the exchanges may be read by several.
 */
#ifndef LEAT_EXEC_GROUPS_H
#define LEAT_EXEC_GROUPS_H

#include "exec/exchange.h"
#include "exec/keys.h"

enum { GROUPS_INPUTS_MAX = 2 };

typedef struct Groups Groups;

/* `keys`: one for each input, borrowed; those of all inputs have the same types. The caller owns *out.
 * NO_MEMORY. */
CHECKED Status groups_create(Keys *keys, uint32_t input_count, uint32_t partition_count, Budget *budget,
                             const char *who, Groups **out, Error *err);
void groups_destroy(Groups *groups); /* NULL is allowed */

/* The groups of a partition, of as many exchanges as there are inputs, which are not reset before the groups
 * are.  NO_MEMORY; then there are no groups. */
CHECKED Status groups_fill(Groups *groups, Exchange *const *exchanges, uint32_t partition, Error *err);
void groups_reset(Groups *groups); /* no groups; large memory is given back */

typedef struct RowRef {
    uint32_t chunk, row;
} RowRef;

/* The rows of a group that one input has, maybe none. */
typedef struct GroupRows {
    const RowRef *refs;
    uint32_t count;
    const Column *const *chunks; /* the columns of each kept chunk */
} GroupRows;

static inline const Column *group_columns(const GroupRows *rows, uint32_t i) {
    return rows->chunks[rows->refs[i].chunk];
}
static inline uint32_t group_row(const GroupRows *rows, uint32_t i) {
    return rows->refs[i].row;
}

typedef struct GroupCursor {
    const Groups *groups;
    uint64_t cursor; /* of the key table */
    uint32_t index;
    /* What groups_next gives; at least one of the inputs has rows. */
    const Key *key;
    GroupRows rows[GROUPS_INPUTS_MAX];
} GroupCursor;

GroupCursor groups_cursor(const Groups *groups);
bool groups_next(GroupCursor *cursor);

#endif
