/* arrow_import.c - record batches of somebody else.
 *
 * A column is looked at through a tree of ReaderColumns, shaped as the types are (the entries of a map, a
 * level of their own in Arrow, are no level here). Rows are counted from the first row of the batch; `base`
 * leads from there to the slot in the buffers, through the offsets of the array and of the structs around it.
 *
 * Checking asks only for the slots that rows of the batch lead to, so a thin slice of a large table is cheap. */
#include "column/arrow.h"

#include "base/bitmap.h"
#include "column/builder_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How strings are laid out; other types have one layout. */
typedef enum Layout { LAYOUT_OF_TYPE, LAYOUT_OFFSETS, LAYOUT_LARGE_OFFSETS, LAYOUT_VIEWS } Layout;

typedef struct ReaderColumn {
    const char *name; /* for messages */
    const Type *type;
    Layout layout;
    const struct ArrowArray *array, *entries; /* entries: of a MAP */
    int64_t base;
    const uint8_t *validity;       /* NULL: no nulls */
    struct ReaderColumn *children; /* type->field_count */
} ReaderColumn;

struct ArrowReader {
    Arena *arena;
    Schema schema;
    ReaderColumn *columns;
    int64_t row_count;
};

/* ---- what is refused ---- */

CHECKED static Status refuse(const char *column, const char *what, Error *err) {
    return error_set(err, STATUS_INVALID, "Arrow: column '%s': %s", column, what);
}

CHECKED static Status refuse_format(const char *column, const char *format, Error *err) {
    Text shown = {0};
    size_t size = strnlen(format, 40);
    text_append_escaped(&shown, str_slice(format, size));
    Status st =
        error_set(err, STATUS_UNSUPPORTED, "Arrow: column '%s': there is no type for the format '%.*s'",
                  column, STR_ARG(text_str(&shown)));
    text_deinit(&shown);
    return st;
}

/* ---- schemas ---- */

static const struct {
    const char *format;
    LeatType kind;
    Layout layout;
} formats[] = {
    {"b", LEAT_BOOLEAN, LAYOUT_OF_TYPE},      {"c", LEAT_TINYINT, LAYOUT_OF_TYPE},
    {"s", LEAT_SMALLINT, LAYOUT_OF_TYPE},     {"i", LEAT_INT, LAYOUT_OF_TYPE},
    {"l", LEAT_BIGINT, LAYOUT_OF_TYPE},       {"f", LEAT_FLOAT, LAYOUT_OF_TYPE},
    {"g", LEAT_DOUBLE, LAYOUT_OF_TYPE},       {"u", LEAT_STRING, LAYOUT_OFFSETS},
    {"U", LEAT_STRING, LAYOUT_LARGE_OFFSETS}, {"vu", LEAT_STRING, LAYOUT_VIEWS},
    {"z", LEAT_BINARY, LAYOUT_OFFSETS},       {"Z", LEAT_BINARY, LAYOUT_LARGE_OFFSETS},
    {"vz", LEAT_BINARY, LAYOUT_VIEWS},        {"tdD", LEAT_DATE, LAYOUT_OF_TYPE},
    {"+l", LEAT_ARRAY, LAYOUT_OF_TYPE},       {"+s", LEAT_STRUCT, LAYOUT_OF_TYPE},
    {"+m", LEAT_MAP, LAYOUT_OF_TYPE},
};

/* "d:10,2" or "d:10,2,128" */
static bool read_decimal_format(const char *format, Type *type) {
    Str rest = str_from(format + 2), part;
    int64_t precision = 0, scale = -1, bits = 128;
    bool is_right = leat_str_split(&rest, ',', &part) && str_parse_i64(part, &precision) &&
                    leat_str_split(&rest, ',', &part) && str_parse_i64(part, &scale);
    if (is_right && leat_str_split(&rest, ',', &part))
        is_right = str_parse_i64(part, &bits) && !rest.data;
    if (!is_right || bits != 128 || precision < 1 || precision > DECIMAL_PRECISION_MAX || scale < 0 ||
        scale > precision)
        return false;
    *type = (Type){.kind = LEAT_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return true;
}

CHECKED static Status read_format(const struct ArrowSchema *schema, const char *name, Type *type,
                                  Layout *layout, Error *err) {
    const char *format = schema->format;
    *layout = LAYOUT_OF_TYPE;
    if (!format)
        return refuse(name, "it has no format", err);
    if (schema->dictionary)
        return error_set(err, STATUS_UNSUPPORTED, "Arrow: column '%s': it is dictionary-encoded", name);
    if (strncmp(format, "tsu:", 4) == 0) {
        *type = (Type){.kind = LEAT_TIMESTAMP};
        return STATUS_OK;
    }
    if (strncmp(format, "d:", 2) == 0)
        return read_decimal_format(format, type) ? STATUS_OK : refuse_format(name, format, err);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++)
        if (strcmp(formats[i].format, format) == 0) {
            *type = (Type){.kind = formats[i].kind};
            *layout = formats[i].layout;
            return STATUS_OK;
        }
    return refuse_format(name, format, err);
}

CHECKED static Status check_children(const struct ArrowSchema *schema, const char *name, int64_t min,
                                     int64_t max, Error *err) {
    if (schema->n_children < min || schema->n_children > max)
        return error_set(err, STATUS_INVALID, "Arrow: column '%s': %" PRId64 " children in its schema", name,
                         schema->n_children);
    for (int64_t i = 0; i < schema->n_children; i++)
        if (!schema->children || !schema->children[i] || !schema->children[i]->release)
            return refuse(name, "a child of its schema is missing or released", err);
    return STATUS_OK;
}

CHECKED static Status read_fields(ArrowReader *r, const struct ArrowSchema *parent, uint32_t depth,
                                  const Field **fields, ReaderColumn **columns, Error *err);

CHECKED static Status read_field(ArrowReader *r, const struct ArrowSchema *schema, uint32_t depth,
                                 Field *field, ReaderColumn *column, Error *err) {
    const char *name = field->name;
    *column = (ReaderColumn){.name = name, .type = &field->type};
    TRY(read_format(schema, name, &field->type, &column->layout, err));
    LeatType kind = field->type.kind;
    if (!type_is_nested(kind))
        return check_children(schema, name, 0, 0, err);
    if (depth == TYPE_DEPTH_MAX)
        return error_set(err, STATUS_UNSUPPORTED, "Arrow: column '%s': types are nested deeper than %d", name,
                         TYPE_DEPTH_MAX);
    TRY(check_children(schema, name, 1, kind == LEAT_STRUCT ? SCHEMA_COLUMNS_MAX : 1, err));
    if (kind == LEAT_MAP) {
        schema = schema->children[0];
        if (!schema->format || strcmp(schema->format, "+s") != 0)
            return refuse(name, "the entries of a map are no struct", err);
        TRY(check_children(schema, name, 2, 2, err));
    }
    field->type.field_count = (uint32_t)schema->n_children;
    return read_fields(r, schema, depth + 1, &field->type.fields, &column->children, err);
}

CHECKED static Status read_fields(ArrowReader *r, const struct ArrowSchema *parent, uint32_t depth,
                                  const Field **fields, ReaderColumn **columns, Error *err) {
    uint32_t count = (uint32_t)parent->n_children;
    Field *own = arena_alloc(r->arena, (count + 1) * sizeof *own);
    ReaderColumn *own_columns = arena_alloc(r->arena, (count + 1) * sizeof *own_columns);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = parent->children[i]->name;
        char number[24];
        Str copy;
        snprintf(number, sizeof number, "column_%" PRIu32, i);
        name = name && name[0] ? name : number; /* a name is not empty (type.h) */
        TRY(arena_copy(r->arena, str_slice(name, strlen(name) + 1), &copy, err));
        own[i] = (Field){.name = copy.data};
        TRY(read_field(r, parent->children[i], depth, &own[i], &own_columns[i], err));
    }
    *fields = own;
    *columns = own_columns;
    return STATUS_OK;
}

/* ---- slots (R3) ---- */

static int32_t load_i32(const void *buffer, int64_t slot) {
    int32_t value;
    memcpy(&value, (const char *)buffer + slot * (int64_t)sizeof value, sizeof value);
    return value;
}

static int64_t load_i64(const void *buffer, int64_t slot) {
    int64_t value;
    memcpy(&value, (const char *)buffer + slot * (int64_t)sizeof value, sizeof value);
    return value;
}

static LeatDecimal load_decimal(const void *buffer, int64_t slot) {
    LeatDecimal value;
    memcpy(&value, (const char *)buffer + slot * (int64_t)sizeof value, sizeof value);
    return value;
}

static View load_view(const void *buffer, int64_t slot) {
    View view;
    memcpy(&view, (const char *)buffer + slot * (int64_t)sizeof view, sizeof view);
    return view;
}

static bool is_null(const ReaderColumn *column, int64_t row) {
    return column->validity && !bitmap_get(column->validity, (size_t)(row + column->base));
}

/* Where a string, or the elements of a list, begin: `row` may be one behind the last. */
static int64_t offset_at(const ReaderColumn *column, int64_t row) {
    const void *offsets = column->array->buffers[1];
    int64_t slot = row + column->base;
    return column->layout == LAYOUT_LARGE_OFFSETS ? load_i64(offsets, slot) : load_i32(offsets, slot);
}

/* ---- arrays ---- */

static int64_t buffer_count_of(const ReaderColumn *column) {
    switch (column->layout) {
    case LAYOUT_OFFSETS:
    case LAYOUT_LARGE_OFFSETS:
        return 3;
    case LAYOUT_VIEWS:
        return column->array->n_buffers < 3 ? 3 : column->array->n_buffers;
    case LAYOUT_OF_TYPE:
        break;
    }
    return column->type->kind == LEAT_STRUCT ? 1 : 2;
}

/* What an array says about itself, and that it has `child_count` children. */
CHECKED static Status check_array(const struct ArrowArray *array, const char *name, int64_t buffer_count,
                                  int64_t child_count, Error *err) {
    if (array->length < 0 || array->offset < 0 || array->offset > INT64_MAX / 64 ||
        array->length > INT64_MAX / 64)
        return refuse(name, "its length or offset is no length", err);
    if (array->null_count < -1 || array->null_count > array->length)
        return refuse(name, "its number of nulls is none", err);
    if (array->n_buffers != buffer_count || !array->buffers)
        return error_set(err, STATUS_INVALID,
                         "Arrow: column '%s': %" PRId64 " buffers where %" PRId64 " are wanted", name,
                         array->n_buffers, buffer_count);
    if (array->n_children != child_count)
        return error_set(err, STATUS_INVALID,
                         "Arrow: column '%s': %" PRId64 " children where %" PRId64 " are wanted", name,
                         array->n_children, child_count);
    for (int64_t i = 0; i < child_count; i++)
        if (!array->children || !array->children[i] || !array->children[i]->release)
            return refuse(name, "a child is missing or released", err);
    if (array->null_count > 0 && !array->buffers[0])
        return refuse(name, "it has nulls, but no validity buffer", err);
    if (array->dictionary)
        return refuse(name, "it has a dictionary that its schema does not have", err);
    return STATUS_OK;
}

/* Rows [begin, end) of a column, slots that are there. */
CHECKED static Status check_strings(const ReaderColumn *column, int64_t begin, int64_t end, Error *err) {
    const struct ArrowArray *array = column->array;
    if (column->layout != LAYOUT_VIEWS) {
        for (int64_t row = begin; row < end; row++) {
            int64_t from = offset_at(column, row), to = offset_at(column, row + 1);
            if (from < 0 || to < from)
                return refuse(column->name, "offsets descend", err);
            if (to - from > INT32_MAX)
                return refuse(column->name, "a string of more than 2 GiB", err);
            if (to > from && !array->buffers[2])
                return refuse(column->name, "there is no buffer of bytes", err);
        }
        return STATUS_OK;
    }
    int64_t block_count = array->n_buffers - 3;
    const void *sizes = array->buffers[array->n_buffers - 1];
    if (block_count > 0 && !sizes)
        return refuse(column->name, "there is no buffer of sizes", err);
    for (int64_t row = begin; row < end; row++) {
        View view = load_view(array->buffers[1], row + column->base);
        if (is_null(column, row) || view.size <= VIEW_INLINE_MAX)
            continue;
        int64_t size = (int32_t)view.size, block = (int32_t)view.buffer, offset = (int32_t)view.offset;
        if (size < 0 || block < 0 || block >= block_count || offset < 0 || !array->buffers[2 + block] ||
            load_i64(sizes, block) < size || offset > load_i64(sizes, block) - size)
            return refuse(column->name, "a string stands outside its buffers", err);
    }
    return STATUS_OK;
}

CHECKED static Status check_column(ReaderColumn *column, const struct ArrowArray *array, int64_t base,
                                   int64_t begin, int64_t end, Error *err);

/* ARRAY and MAP: the rows lead to a range of elements. */
CHECKED static Status check_lists(ReaderColumn *column, int64_t begin, int64_t end, Error *err) {
    const struct ArrowArray *array = column->array->children[0];
    int64_t base = 0, element_begin = 0, element_end = 0;
    for (int64_t row = begin; row < end; row++)
        if (offset_at(column, row) < 0 || offset_at(column, row + 1) < offset_at(column, row))
            return refuse(column->name, "offsets descend", err);
    if (begin < end) {
        element_begin = offset_at(column, begin);
        element_end = offset_at(column, end);
    }
    if (column->type->kind == LEAT_ARRAY)
        return check_column(&column->children[0], array, base, element_begin, element_end, err);
    TRY(check_array(array, column->name, 1, 2, err));
    if (element_end > array->length)
        return refuse(column->name, "it has fewer entries than its offsets say", err);
    for (int64_t i = element_begin; array->buffers[0] && array->null_count && i < element_end; i++)
        if (!bitmap_get(array->buffers[0], (size_t)(array->offset + i)))
            return refuse(column->name, "an entry of a map is null", err);
    for (uint32_t i = 0; i < 2; i++)
        TRY(check_column(&column->children[i], array->children[i], array->offset, element_begin, element_end,
                         err));
    for (int64_t i = element_begin; i < element_end; i++) /* R2 */
        if (is_null(&column->children[0], i))
            return refuse(column->name, "a key of a map is null", err);
    return STATUS_OK;
}

/* Binds the column to its array. `base`: from a row to the slot that an array without an offset would have;
 * rows [begin, end) are looked at. */
CHECKED static Status check_column(ReaderColumn *column, const struct ArrowArray *array, int64_t base,
                                   int64_t begin, int64_t end, Error *err) {
    const Type *type = column->type;
    column->array = array;
    TRY(check_array(array, column->name, buffer_count_of(column),
                    type->kind == LEAT_MAP ? 1 : type->field_count, err));
    if (begin < end && end + base > array->length)
        return error_set(err, STATUS_INVALID,
                         "Arrow: column '%s': %" PRId64 " values where %" PRId64 " are wanted", column->name,
                         array->length, end + base);
    column->base = base + array->offset;
    column->validity = array->null_count ? array->buffers[0] : NULL;
    if (begin < end && type->kind != LEAT_STRUCT && !array->buffers[1])
        return refuse(column->name, "there is no buffer of values", err);
    if (type_is_string(type->kind))
        return check_strings(column, begin, end, err);
    if (type_is_list(type->kind))
        return check_lists(column, begin, end, err);
    for (int64_t row = begin; type->kind == LEAT_DECIMAL && row < end; row++) /* R2 */
        if (!is_null(column, row) &&
            !decimal_fits(load_decimal(array->buffers[1], row + column->base), type->precision))
            return refuse(column->name, "a number of more digits than its type has", err);
    for (uint32_t i = 0; i < type->field_count; i++)
        TRY(check_column(&column->children[i], array->children[i], column->base, begin, end, err));
    return STATUS_OK;
}

/* ---- the reader ---- */

CHECKED static Status bind(ArrowReader *r, const struct ArrowSchema *schema, const struct ArrowArray *array,
                           Error *err) {
    if (!schema || !schema->release || !array || !array->release)
        return error_set(err, STATUS_INVALID, "Arrow: the record batch was released");
    if (!schema->format || strcmp(schema->format, "+s") != 0)
        return error_set(err, STATUS_INVALID,
                         "Arrow: a record batch is wanted, which is a struct of its columns");
    const char *name = "(record batch)";
    TRY(check_children(schema, name, 1, SCHEMA_COLUMNS_MAX, err));
    TRY(read_fields(r, schema, 0, &r->schema.fields, &r->columns, err));
    r->schema.column_count = (uint32_t)schema->n_children;
    TRY(check_array(array, name, 1, schema->n_children, err));
    r->row_count = array->length;
    for (int64_t i = 0; array->buffers[0] && array->null_count && i < array->length; i++)
        if (!bitmap_get(array->buffers[0], (size_t)(array->offset + i)))
            return error_set(err, STATUS_INVALID, "Arrow: a row of the record batch is null");
    for (uint32_t c = 0; c < r->schema.column_count; c++)
        TRY(check_column(&r->columns[c], array->children[c], array->offset, 0, array->length, err));
    return STATUS_OK;
}

Status arrow_reader_create(const struct ArrowSchema *schema, const struct ArrowArray *array,
                           ArrowReader **out, Error *err) {
    ArrowReader *r = xcalloc(1, sizeof *r);
    *out = NULL;
    r->arena = arena_create(NULL, "Arrow import");
    Status st = bind(r, schema, array, err);
    if (st != STATUS_OK) {
        arrow_reader_destroy(r);
        return st;
    }
    *out = r;
    return STATUS_OK;
}

void arrow_reader_destroy(ArrowReader *r) {
    if (!r)
        return;
    arena_destroy(r->arena);
    free(r);
}

const Schema *arrow_reader_schema(const ArrowReader *r) {
    return &r->schema;
}

uint64_t arrow_reader_row_count(const ArrowReader *r) {
    return (uint64_t)r->row_count;
}

/* ---- values ---- */

/* Of a value that is not null; borrowed from the buffers, or from *view. */
static Str string_at(const ReaderColumn *column, int64_t row, View *view) {
    const void *const *buffers = column->array->buffers;
    if (column->layout != LAYOUT_VIEWS) {
        int64_t begin = offset_at(column, row), size = offset_at(column, row + 1) - begin;
        return size ? str_slice((const char *)buffers[2] + begin, (size_t)size) : STR("");
    }
    *view = load_view(buffers[1], row + column->base);
    if (view->size <= VIEW_INLINE_MAX)
        return str_slice(view->inlined, view->size);
    return str_slice((const char *)buffers[2 + view->buffer] + view->offset, view->size);
}

/* As column_word has it. */
static uint64_t word_at(const ReaderColumn *column, int64_t row) {
    LeatType kind = column->type->kind;
    size_t size = type_value_size(kind);
    uint64_t bytes = 0;
    memcpy(&bytes, (const char *)column->array->buffers[1] + (row + column->base) * (int64_t)size, size);
    return word_load(&bytes, 0, kind);
}

CHECKED static Status put(const ReaderColumn *column, int64_t row, Builder *b, BuilderPart *part,
                          uint32_t index, Error *err) {
    if (is_null(column, row))
        return part_null(b, part, index, err);
    View view;
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        return part_bool(b, part, index, bitmap_get(column->array->buffers[1], (size_t)(row + column->base)),
                         err);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        return part_word(b, part, index, word_at(column, row), err);
    case LEAT_DECIMAL:
        return part_decimal(b, part, index, load_decimal(column->array->buffers[1], row + column->base), err);
    case LEAT_STRING:
    case LEAT_BINARY:
        return part_str(b, part, index, string_at(column, row, &view), err);
    case LEAT_ARRAY:
    case LEAT_MAP: {
        int64_t begin = offset_at(column, row);
        uint32_t element_begin = 0, count = (uint32_t)(offset_at(column, row + 1) - begin);
        TRY(part_list(b, part, index, count, &element_begin, err));
        for (uint32_t c = 0; c < column->type->field_count; c++)
            for (uint32_t i = 0; i < count; i++)
                TRY(put(&column->children[c], begin + i, b, &part->children[c], element_begin + i, err));
        return STATUS_OK;
    }
    case LEAT_STRUCT:
        TRY(part_struct(b, part, index, err));
        for (uint32_t c = 0; c < column->type->field_count; c++)
            TRY(put(&column->children[c], row, b, &part->children[c], index, err));
        return STATUS_OK;
    }
    return STATUS_OK;
}

Status arrow_reader_put(const ArrowReader *r, uint64_t row, Builder *builder, Error *err) {
    ASSERT(row < (uint64_t)r->row_count);
    for (uint32_t c = 0; c < r->schema.column_count; c++)
        TRY(put(&r->columns[c], (int64_t)row, builder, builder_part(builder, c), builder_row_count(builder),
                err));
    return STATUS_OK;
}

/* ---- types ---- */

static bool have_equal_types(const Field *a, const Field *b, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (a[i].type.kind != b[i].type.kind || a[i].type.precision != b[i].type.precision ||
            a[i].type.scale != b[i].type.scale || a[i].type.field_count != b[i].type.field_count ||
            !have_equal_types(a[i].type.fields, b[i].type.fields, a[i].type.field_count))
            return false;
    return true;
}

Status arrow_reader_check(const ArrowReader *r, const Schema *wanted, Error *err) {
    const Schema *has = &r->schema;
    Text a = {0}, b = {0};
    if (has->column_count == wanted->column_count &&
        have_equal_types(has->fields, wanted->fields, has->column_count))
        return STATUS_OK;
    schema_format(has, &a);
    schema_format(wanted, &b);
    Status st = error_set(err, STATUS_INVALID, "Arrow: the columns are (%.*s) where (%.*s) are wanted",
                          STR_ARG(text_str(&a)), STR_ARG(text_str(&b)));
    text_deinit(&a);
    text_deinit(&b);
    return st;
}

/* ---- leat/arrow.h ---- */

/* The scalar value as a function would give it. */
static void give(const ReaderColumn *column, int64_t row, LeatOut *out, uint32_t c) {
    LeatType kind = column->type->kind;
    void *data = out->columns[c].data;
    View view;
    if (is_null(column, row))
        leat_out_null(out, c);
    else if (kind == LEAT_BOOLEAN)
        leat_out_bool(out, c, bitmap_get(column->array->buffers[1], (size_t)(row + column->base)));
    else if (kind == LEAT_DECIMAL)
        leat_out_decimal(out, c, load_decimal(column->array->buffers[1], row + column->base));
    else if (type_is_string(kind))
        leat_out_str(out, c, string_at(column, row, &view));
    else
        word_store(data, out->row, kind, word_at(column, row));
}

bool leat_out_arrow(LeatOut *out, const struct ArrowSchema *schema, const struct ArrowArray *array) {
    Builder *builder = builder_of(out);
    ArrowReader *reader;
    Error err = {0};
    Status st = arrow_reader_create(schema, array, &reader, &err);
    if (st == STATUS_OK)
        st = arrow_reader_check(reader, builder_schema(builder), &err);
    for (int64_t row = 0; st == STATUS_OK && row < reader->row_count; row++) {
        for (uint32_t c = 0; c < reader->schema.column_count; c++)
            give(&reader->columns[c], row, out, c);
        leat_out_emit(out);
        st = builder_out_status(builder, NULL); /* the first failure is kept there */
    }
    builder_out_fail(builder, st, &err);
    arrow_reader_destroy(reader);
    return st == STATUS_OK;
}
