/* builder_parts.h - the inside of a builder, for what writes values piece by piece (codec.c) and for the
 * library side of leat/row.h (row.c). Everybody else uses builder.h.
 *
 * A part is one column of a builder or a child of a nested column; a place is a part and an index in it.
 * Places of a part are written in ascending order; writing one again replaces it, which is how the row that
 * failed is not there.
 */
#ifndef LEAT_COLUMN_BUILDER_PARTS_H
#define LEAT_COLUMN_BUILDER_PARTS_H

#include "column/array.h"
#include "column/builder.h"

typedef struct BuilderPart {
    const Type *type;
    uint32_t capacity;  /* values that `data` and `validity` have room for */
    uint32_t put_count; /* one behind the place written last */
    bool has_nulls;     /* `validity` means something */
    Array data;         /* as Column.data */
    Array validity;
    struct BuilderPart *children; /* type->field_count */
    Column *child_columns;        /* where the scratch chunk describes them */
} BuilderPart;

/* The place of `column` in the row being written: index builder_row_count(). */
BuilderPart *builder_part(Builder *builder, uint32_t column);

/* One value at a place.  NO_MEMORY. A STRUCT takes part_struct and then every child at the same index. */
CHECKED Status part_null(Builder *builder, BuilderPart *part, uint32_t index, Error *err);
CHECKED Status part_bool(Builder *builder, BuilderPart *part, uint32_t index, bool value, Error *err);
/* The low bytes of the word, as many as the type has. */
CHECKED Status part_word(Builder *builder, BuilderPart *part, uint32_t index, uint64_t word, Error *err);
CHECKED Status part_decimal(Builder *builder, BuilderPart *part, uint32_t index, LeatDecimal value,
                            Error *err);
CHECKED Status part_str(Builder *builder, BuilderPart *part, uint32_t index, Str value, Error *err);
CHECKED Status part_struct(Builder *builder, BuilderPart *part, uint32_t index, Error *err);
/* ARRAY, MAP: gives where its elements go in the child, or keys and values in the children,
 * [*element_begin, *element_begin + count), all of which follow. */
CHECKED Status part_list(Builder *builder, BuilderPart *part, uint32_t index, uint32_t count,
                         uint32_t *element_begin, Error *err);

/* ---- what the functions of row.h do in the end ---- */

/* The LeatOut is the first member of its builder. */
static inline Builder *builder_of(LeatOut *out) {
    return (Builder *)out;
}
void builder_flush(Builder *builder);
const Schema *builder_schema(const Builder *builder);
/* Room for `row_count` rows, by a flush where needed; what functions write there is cleared later. */
void builder_reserve(Builder *builder, uint32_t row_count);
Str builder_keep(Builder *builder, Str bytes);

#endif
