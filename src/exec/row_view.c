/* row_view.c - see row_view.h. The bytes are those of codec.c. */
#include "exec/row_view.h"

#include "base/bytes.h"
#include "column/codec.h"

#include <stdlib.h>

static const uint8_t no_validity[1] = {0};

RowCell row_cell(const Column *column, uint32_t row) {
    LeatType kind = column->type->kind;
    if (type_is_string(kind))
        return (RowCell){.str = column_str(column, row)};
    if (kind == LEAT_DECIMAL)
        return (RowCell){.decimal = column_decimal(column, row)};
    return (RowCell){.word = column_word(column, row)};
}

/* ---- bytes as a row ---- */

void row_view_init(RowView *view, const Schema *schema, uint32_t column_count) {
    view->schema = schema;
    view->columns = xcalloc(column_count, sizeof *view->columns);
    view->cells = xcalloc(column_count, sizeof *view->cells);
    for (uint32_t c = 0; c < column_count; c++)
        view->columns[c] = (LeatColumn){.data = &view->cells[c],
                                        .type = schema->fields[c].type.kind,
                                        .precision = schema->fields[c].type.precision,
                                        .scale = schema->fields[c].type.scale};
    row_view_set_all_null(view, column_count);
}

void row_view_deinit(RowView *view) {
    free(view->columns);
    free(view->cells);
}

void row_view_set_null(RowView *view, uint32_t column) {
    view->columns[column].validity = no_validity;
    /* Reads as 0 or as an empty text; a text has a data pointer (leat_str_split). */
    if (type_is_string(view->columns[column].type))
        view->cells[column].str = (LeatStr){(const char *)no_validity, 0};
    else
        view->cells[column].decimal = 0; /* all of it */
}

void row_view_set_all_null(RowView *view, uint32_t column_count) {
    for (uint32_t c = 0; c < column_count; c++)
        row_view_set_null(view, c);
}

CHECKED static Status refuse_bytes(Str bytes, Error *err) {
    return error_set(err, STATUS_CORRUPT, "an encoded row of %zu bytes is not one of its schema", bytes.size);
}

void row_view_set_str(RowView *view, uint32_t column, Str str) {
    view->columns[column].validity = NULL;
    view->cells[column].str = str;
}

void row_view_set_decimal(RowView *view, uint32_t column, LeatDecimal decimal) {
    view->columns[column].validity = NULL;
    view->cells[column].decimal = decimal;
}

void row_view_set_word(RowView *view, uint32_t column, uint64_t word) {
    view->columns[column].validity = NULL;
    view->cells[column].word = word;
}

/* A single word. */
CHECKED static Status view_word(RowView *view, Str bytes, Error *err) {
    Reader reader = reader_of(bytes);
    row_view_set_word(view, 0, reader_u64(&reader));
    return reader.failed || !reader_at_end(&reader) ? refuse_bytes(bytes, err) : STATUS_OK;
}

Status row_view_value(RowView *view, Str bytes, uint32_t column_count, Error *err) {
    if (column_count == 1 && type_is_word(view->columns[0].type)) {
        if (bytes.size > 0)
            return view_word(view, bytes, err);
        row_view_set_null(view, 0);
        return STATUS_OK;
    }
    Reader reader = reader_of(bytes);
    for (uint32_t c = 0; c < column_count; c++) {
        uint8_t tag = reader_u8(&reader);
        if (tag == 0) {
            row_view_set_null(view, c);
            continue;
        }
        LeatType kind = view->columns[c].type;
        if (tag != 1)
            return refuse_bytes(bytes, err);
        if (type_is_string(kind))
            row_view_set_str(view, c, reader_bytes(&reader, reader_u32(&reader)));
        else if (kind == LEAT_DECIMAL)
            row_view_set_decimal(view, c, codec_read_decimal(&reader));
        else
            row_view_set_word(view, c,
                              kind == LEAT_BOOLEAN ? reader_u8(&reader) : codec_read_word(&reader, kind));
    }
    return reader.failed || !reader_at_end(&reader) ? refuse_bytes(bytes, err) : STATUS_OK;
}

Status row_view_key(RowView *view, const Key *key, uint32_t key_count, Error *err) {
    Str bytes = key_str(key);
    LeatType kind = view->columns[0].type;
    if (key->size == KEY_NULL_SIZE) {
        row_view_set_null(view, 0);
    } else if (key_count > 1 || (!type_is_string(kind) && !type_is_word(kind))) {
        return row_view_value(view, bytes, key_count, err);
    } else if (type_is_string(kind)) {
        row_view_set_str(view, 0, bytes);
    } else {
        return view_word(view, bytes, err);
    }
    return STATUS_OK;
}

/* ---- a row of a function ---- */

static void drop_rows(Builder *builder, void *self) {
    OneRow *row = self;
    Chunk dropped;
    row->overflow_rows += row->out->row;
    Error error = {0};
    Status st = builder_take_out(builder, &dropped, &error);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &error);
}

Status one_row_create(OneRow *row, const Schema *schema, Budget *budget, const char *who, Error *err) {
    *row = (OneRow){.schema = schema, .who = who};
    for (uint32_t c = 0; c < schema->column_count; c++) {
        row->has_strings |= type_is_string(schema->fields[c].type.kind);
        row->has_decimals |= schema->fields[c].type.kind == LEAT_DECIMAL;
    }
    TRY(builder_create(schema, budget, who, &row->builder, err));
    row->out = builder_out_begin(row->builder, NULL, drop_rows, row);
    return STATUS_OK;
}

void one_row_destroy(OneRow *row) {
    builder_destroy(row->builder);
    *row = (OneRow){0};
}

void one_row_begin(OneRow *row, const Chunk *input) {
    row->overflow_rows = 0;
    if (row->has_strings || row->out->row > 1) {
        row->out = builder_out_begin(row->builder, input, drop_rows, row);
        return;
    }
    /* Without strings there is nothing to keep, and one row to clear: this is done for every call. */
    LeatOut *out = row->out;
    for (uint32_t c = 0; c < out->column_count; c++) {
        memset(out->columns[c].data, 0, sizeof(LeatDecimal)); /* the widest; what follows is zero anyway */
        out->columns[c].nulls[0] = 0;
    }
    out->has_nulls = false;
    out->row = 0;
}

CHECKED static Status check_decimals(const OneRow *row, Error *err) {
    for (uint32_t c = 0; c < row->schema->column_count; c++) {
        const Field *field = &row->schema->fields[c];
        if (field->type.kind == LEAT_DECIMAL && !one_row_is_null(row, c) &&
            !decimal_fits(one_row_cell(row, c).decimal, field->type.precision))
            return error_set(err, STATUS_INVALID,
                             "%s: a value given for column '%s' has more digits than DECIMAL(%u, %u)",
                             row->who, field->name, field->type.precision, field->type.scale);
    }
    return STATUS_OK;
}

Status one_row_status(const OneRow *row, Error *err) {
    if (UNLIKELY(row->has_decimals))
        TRY(check_decimals(row, err));
    return row->has_strings ? builder_out_status(row->builder, err) : STATUS_OK;
}

RowCell one_row_cell(const OneRow *row, uint32_t column) {
    const LeatOutColumn *from = &row->out->columns[column];
    if (type_is_string(from->type)) {
        LeatStr str = *(const LeatStr *)from->data;
        return (RowCell){.str = str.data ? str : STR("")};
    }
    if (from->type == LEAT_DECIMAL)
        return (RowCell){.decimal = *(const LeatDecimal *)from->data};
    return (RowCell){.word = from->type == LEAT_BOOLEAN ? *(const uint8_t *)from->data & 1
                                                        : word_load(from->data, 0, from->type)};
}

void row_cell_encode(LeatType kind, bool is_single, bool is_null, RowCell cell, Text *out) {
    bool is_bare = is_single && type_is_word(kind);
    if (!is_bare)
        bytes_put_u8(out, !is_null);
    if (is_null)
        return;
    if (is_bare) {
        bytes_put_u64(out, cell.word);
        return;
    }
    switch (kind) {
    case LEAT_BOOLEAN:
        bytes_put_u8(out, (uint8_t)cell.word);
        break;
    case LEAT_STRING:
    case LEAT_BINARY:
        bytes_put_u32(out, (uint32_t)cell.str.size);
        text_append(out, cell.str);
        break;
    case LEAT_DECIMAL:
        codec_put_decimal(cell.decimal, out);
        break;
    default:
        codec_put_word(kind, cell.word, out);
    }
}

void one_row_encode(const OneRow *row, Text *out) {
    uint32_t count = row->schema->column_count;
    for (uint32_t c = 0; c < count; c++)
        row_cell_encode(row->out->columns[c].type, count == 1, one_row_is_null(row, c), one_row_cell(row, c),
                        out);
}

void row_view_encode(const RowView *view, uint32_t column_count, Text *out) {
    for (uint32_t c = 0; c < column_count; c++)
        row_cell_encode(view->columns[c].type, column_count == 1, row_view_is_null(view, c), view->cells[c],
                        out);
}
