/* giver.h - rows of keyed operators on their way out: put one by one, pushed when a chunk is full. */
#ifndef LEAT_EXEC_GIVER_H
#define LEAT_EXEC_GIVER_H

#include "exec/operator.h"
#include "exec/row_view.h"

typedef struct Giver {
    Builder *builder; /* of `schema`; borrowed */
    const Schema *schema;
    uint32_t key_count;
    const Emit *out;
    uint64_t split, sequence;
} Giver;

/* Puts the key columns, then the caller the others, then giver_end_row. */
CHECKED Status giver_put_key(Giver *giver, const Key *key, Error *err);
/* A value of any scalar type; strings are copied. */
CHECKED Status giver_put_cell(Giver *giver, uint32_t column, const RowCell *value, Error *err);
CHECKED Status giver_end_row(Giver *giver, Error *err);
/* Pushes what is left. */
CHECKED Status giver_finish(Giver *giver, Error *err);

#endif
