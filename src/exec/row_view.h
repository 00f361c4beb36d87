/* row_view.h - one row at a time between bytes and functions of the user: keys and state of keyed operators.
 *
 * A RowView shows encoded bytes (codec.h) as the columns of a LeatRow without copying them. A OneRow is a
 * LeatOut that takes exactly one row, again and again. Scalar columns only.
 *
 * Threads: one owner.
 */
#ifndef LEAT_EXEC_ROW_VIEW_H
#define LEAT_EXEC_ROW_VIEW_H

#include "column/builder.h"
#include "state/key_table.h"

/* One value: what LeatColumn.data of a column with row_mask 0 points to. Types of fewer than 8 bytes stand in
 * the first bytes of their word, as little-endian machines have it. */
typedef union RowCell {
    uint64_t word; /* as column_word gives it */
    LeatDecimal decimal;
    LeatStr str;
} RowCell;
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word begins with its low bytes");

/* A scalar column's value; of a null the one behind it (I5 of chunk.h). Strings are borrowed. */
RowCell row_cell(const Column *column, uint32_t row);

typedef struct RowView {
    const Schema *schema;
    LeatColumn *columns; /* schema->column_count */
    RowCell *cells;
} RowView;

/* The first `column_count` columns of `schema`, which is borrowed. All null at first. */
void row_view_init(RowView *view, const Schema *schema, uint32_t column_count);
void row_view_deinit(RowView *view);
static inline LeatRow row_view_row(const RowView *view, uint32_t column_count) {
    return (LeatRow){view->columns, column_count, 0};
}
void row_view_set_all_null(RowView *view, uint32_t column_count);
/* Show encoded bytes, which are borrowed.  CORRUPT. */
CHECKED Status row_view_key(RowView *view, const Key *key, uint32_t key_count, Error *err);
CHECKED Status row_view_value(RowView *view, Str bytes, uint32_t column_count, Error *err);
/* Change what it shows; a string is borrowed. */
void row_view_set_null(RowView *view, uint32_t column);
void row_view_set_word(RowView *view, uint32_t column, uint64_t word); /* RowCell.word */
void row_view_set_decimal(RowView *view, uint32_t column, LeatDecimal decimal);
void row_view_set_str(RowView *view, uint32_t column, Str str);
static inline bool row_view_is_null(const RowView *view, uint32_t column) {
    return view->columns[column].validity != NULL;
}
/* Appends the first `column_count` columns as a value (codec.h). */
void row_view_encode(const RowView *view, uint32_t column_count, Text *out);

/* Is it a single column of 8 bytes, which stands for its own bytes, in keys and in values? */
static inline bool row_is_one_word(const Schema *schema, uint32_t column_count) {
    LeatType kind = schema->fields[0].type.kind;
    return column_count == 1 && type_is_word(kind) && type_value_size(kind) == sizeof(uint64_t);
}
/* Of such a row that is not null: what row_view_key and row_view_value do, without a call. */
static inline void row_view_word(RowView *view, const void *bytes) {
    memcpy(&view->cells[0].word, bytes, sizeof view->cells[0].word);
    view->columns[0].validity = NULL;
}

typedef struct OneRow {
    const Schema *schema;
    const char *who;
    Builder *builder;
    LeatOut *out;
    const Chunk *input;
    bool has_strings, has_decimals;
    uint64_t overflow_rows; /* that did not fit into the LeatOut */
} OneRow;

CHECKED Status one_row_create(OneRow *row, const Schema *schema, Budget *budget, const char *who, Error *err);
void one_row_destroy(OneRow *row); /* zeroed is allowed */
/* An empty row, before each call of a function. `input`: as for builder_out_begin; NULL: none. */
void one_row_begin(OneRow *row, const Chunk *input);
/* How many rows the function emitted: 0 counts as one that it left to us. */
static inline uint64_t one_row_emitted(const OneRow *row) {
    return row->overflow_rows + row->out->row;
}
/* After the call. NO_MEMORY: a string that it gave. INVALID: a DECIMAL that it gave has too many digits. */
CHECKED Status one_row_status(const OneRow *row, Error *err);
static inline bool one_row_is_null(const OneRow *row, uint32_t column) {
    return row->out->has_nulls && row->out->columns[column].nulls[0];
}
/* The bytes of a string are borrowed until the next begin. */
RowCell one_row_cell(const OneRow *row, uint32_t column);
/* Of such a row: one_row_begin without an input, and the word it was given. */
static inline void one_row_begin_word(OneRow *row) {
    LeatOut *out = row->out;
    *(uint64_t *)out->columns[0].data = 0;
    out->columns[0].nulls[0] = 0;
    out->has_nulls = false;
    out->row = 0;
    row->overflow_rows = 0;
}
static inline const uint64_t *one_row_word(const OneRow *row) {
    return row->out->columns[0].data;
}
/* Appends the row as a value (codec.h). */
void one_row_encode(const OneRow *row, Text *out);
/* A column of a value (codec.h): of its only column if is_single. */
void row_cell_encode(LeatType kind, bool is_single, bool is_null, RowCell cell, Text *out);

#endif
