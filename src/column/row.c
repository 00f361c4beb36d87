/* row.c - the library side of leat/row.h: what is not worth inlining into functions of the user. */
#include "leat/row.h"

#include "column/builder_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void leat_misuse_(const char *function, uint32_t column, uint32_t column_count, int type) {
    if (column >= column_count)
        fprintf(stderr,
                "leat: %s: there is no column %" PRIu32 ", the row has %" PRIu32 " (they count from 0)\n",
                function, column, column_count);
    else
        fprintf(stderr, "leat: %s: column %" PRIu32 " is of type %s\n", function, column,
                type >= 0 && type <= LEAT_MAP ? type_kind_name((LeatType)type) : "?");
    abort();
}

void leat_emit_misuse_(uint32_t row_count, uint32_t room) {
    fprintf(stderr, "leat: leat_out_emit_rows: %" PRIu32 " rows, but there is room for %" PRIu32 "\n",
            row_count, room);
    abort();
}

/* The column, which must be of `type`. Not on the path of plain values, so it is checked with NDEBUG, too. */
static const LeatColumn *column_of(const LeatRow *row, uint32_t column, LeatType type, const char *function) {
    if (column >= row->column_count || row->columns[column].type != type)
        leat_misuse_(function, column, row->column_count,
                     column < row->column_count ? (int)row->columns[column].type : 0);
    return &row->columns[column];
}

/* Of an ARRAY or a MAP. */
static uint32_t element_count(const LeatColumn *list, uint32_t row) {
    const int32_t *offsets = list->data;
    return (uint32_t)(offsets[row + 1] - offsets[row]);
}

static LeatRow element_at(const LeatColumn *list, uint32_t row, uint32_t index, const char *function) {
    const int32_t *offsets = list->data;
    if (index >= element_count(list, row)) {
        fprintf(stderr, "leat: %s: there is no element %" PRIu32 ", there are %" PRIu32 "\n", function, index,
                element_count(list, row));
        abort();
    }
    return (LeatRow){list->children, list->child_count, (uint32_t)offsets[row] + index};
}

uint32_t leat_row_array_count(const LeatRow *row, uint32_t column) {
    return element_count(column_of(row, column, LEAT_ARRAY, "leat_row_array_count"), row->index);
}

LeatRow leat_row_array_at(const LeatRow *row, uint32_t column, uint32_t index) {
    const char *function = "leat_row_array_at";
    return element_at(column_of(row, column, LEAT_ARRAY, function), row->index, index, function);
}

uint32_t leat_row_map_count(const LeatRow *row, uint32_t column) {
    return element_count(column_of(row, column, LEAT_MAP, "leat_row_map_count"), row->index);
}

LeatRow leat_row_map_at(const LeatRow *row, uint32_t column, uint32_t index) {
    const char *function = "leat_row_map_at";
    return element_at(column_of(row, column, LEAT_MAP, function), row->index, index, function);
}

LeatRow leat_row_struct(const LeatRow *row, uint32_t column) {
    const LeatColumn *fields = column_of(row, column, LEAT_STRUCT, "leat_row_struct");
    return (LeatRow){fields->children, fields->child_count, row->index};
}

bool leat_row_option(const LeatRow *row, uint32_t column, LeatRow *value) {
    const LeatColumn *fields = column_of(row, column, LEAT_STRUCT, "leat_row_option");
    if (leat_row_is_null(row, column))
        return false;
    *value = (LeatRow){fields->children, fields->child_count, row->index};
    return true;
}

void leat_out_reserve(LeatOut *out, uint32_t row_count) {
    if (row_count > LEAT_CHUNK_ROWS_MAX) {
        fprintf(stderr, "leat: leat_out_reserve: %" PRIu32 " rows at once, the most is %d\n", row_count,
                LEAT_CHUNK_ROWS_MAX);
        abort();
    }
    builder_reserve(builder_of(out), row_count);
}

LeatStr leat_out_keep(LeatOut *out, LeatStr bytes) {
    return builder_keep(builder_of(out), bytes);
}

void leat_out_flush_(LeatOut *out) {
    builder_flush(builder_of(out));
}
