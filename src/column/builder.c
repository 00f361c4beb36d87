/* builder.c - chunks row by row, and what functions of the user write, as chunks.
 *
 *   B1  A value's place is the number of complete rows (for elements: the end of the array before), not a
 *       count of puts. So a row that failed half-way is overwritten by the next one and nothing has to be
 *       undone.
 *   B2  buffers[0, input_count) belong to the input of the LeatOut, the rest are ours; views carry indices
 *       into this list. Ours are written only behind their size and only while nobody shares them.
 *   B3  builder_take_out hands the arrays of fixed-size columns to the scratch chunk and goes on with the
 *       ones of the chunk before; our string buffers of a chunk are used again after the next take. Hence I2.
 *   B4  What functions find in the LeatOut is zero. `dirty_rows` bounds what they may have written since it
 *       was.
 */
#include "column/builder_parts.h"

#include "base/bitmap.h"
#include "column/kernels/kernels.h"

#include <stdlib.h>

enum {
    STRING_BUFFER_MIN = 16 << 10,
    STRING_BUFFER_MAX = 1 << 20, /* but a longer string gets its own */
    SPARE_MAX = 4,
    STABLE_BUFFERS_MAX = 16, /* buffers of an input that are referred to; strings of others are copied */
    STABLE_VIEWS_MAX = 8,    /* the same for arrays of views */
};

/* What functions write into, beside the LeatOutColumn that they see. */
typedef struct OutPart {
    Array data;
    Array nulls;
} OutPart;

struct Builder {
    LeatOut out; /* first: builder_of */
    const Schema *schema;
    Budget *budget;
    const char *who;
    BuilderPart *parts;
    Column *columns; /* of the scratch chunk */
    uint32_t row_count;
    bool is_flat; /* nothing nested: can be given to functions */

    /* Strings (B2). The three lists run side by side; kernels and keep want plain arrays. */
    Buffer **buffers;
    const char **bases;
    size_t *sizes;
    uint32_t buffer_count, buffer_room, input_count;
    size_t next_capacity;
    Buffer *spare[SPARE_MAX];
    uint32_t spare_count;

    /* The chunk taken last (B3): its list of buffers, of which those behind input_count are ours. */
    Buffer **taken;
    uint32_t taken_count, taken_room, taken_input_count;

    OutPart *out_parts;
    uint32_t dirty_rows, taken_dirty_rows; /* B4: of the arrays that functions see, of the taken ones */
    Str input_views[STABLE_VIEWS_MAX];
    uint32_t input_view_count;
    BuilderFlush flush;
    void *flush_self;
    Status status; /* the first failure since begin; what is written after it is dropped */
    Error error;
};

/* ---- string memory ---- */

static void list_append(Builder *b, Buffer *buffer) {
    if (b->buffer_count == b->buffer_room) {
        b->buffer_room = b->buffer_room ? b->buffer_room * 2 : 8;
        b->buffers = xrealloc(b->buffers, b->buffer_room * sizeof *b->buffers);
        b->bases = xrealloc(b->bases, b->buffer_room * sizeof *b->bases);
        b->sizes = xrealloc(b->sizes, b->buffer_room * sizeof *b->sizes);
    }
    b->buffers[b->buffer_count] = buffer;
    b->bases[b->buffer_count] = buffer->data;
    b->sizes[b->buffer_count++] = buffer->capacity;
}

/* Ours, no longer needed here: for the next strings, unless somebody shares it. */
static void recycle(Builder *b, Buffer *buffer) {
    if (b->spare_count == SPARE_MAX || buffer->capacity > STRING_BUFFER_MAX || buffer_is_shared(buffer)) {
        buffer_release(buffer);
        return;
    }
    buffer->size = 0;
    b->spare[b->spare_count++] = buffer;
}

static void drop_own_buffers(Builder *b) {
    while (b->buffer_count > b->input_count)
        recycle(b, b->buffers[--b->buffer_count]);
}

static void drop_taken_buffers(Builder *b) {
    while (b->taken_count > b->taken_input_count)
        recycle(b, b->taken[--b->taken_count]);
    b->taken_count = 0;
}

/* The last buffer of the list, with room for `size` bytes. */
CHECKED static Status own_buffer(Builder *b, size_t size, Buffer **out, Error *err) {
    Buffer *buffer = b->buffer_count > b->input_count ? b->buffers[b->buffer_count - 1] : NULL;
    if (buffer && size <= buffer->capacity - buffer->size && !buffer_is_shared(buffer)) {
        *out = buffer;
        return STATUS_OK;
    }
    buffer = NULL;
    for (uint32_t i = b->spare_count; i-- > 0 && !buffer;)
        if (b->spare[i]->capacity >= size) {
            buffer = b->spare[i];
            b->spare[i] = b->spare[--b->spare_count];
        }
    if (!buffer) {
        TRY(buffer_create(size > b->next_capacity ? size : b->next_capacity, b->budget, b->who, &buffer,
                          err));
        if (b->next_capacity < STRING_BUFFER_MAX)
            b->next_capacity *= 2;
    }
    list_append(b, buffer);
    *out = buffer;
    return STATUS_OK;
}

CHECKED static Status string_view(Builder *b, Str value, View *view, Error *err) {
    Buffer *buffer;
    if (value.size <= VIEW_INLINE_MAX) {
        *view = view_of(value, 0, 0);
        return STATUS_OK;
    }
    TRY(own_buffer(b, value.size, &buffer, err));
    memcpy(buffer->data + buffer->size, value.data, value.size);
    *view = view_of(value, b->buffer_count - 1, (uint32_t)buffer->size);
    buffer->size += value.size;
    return STATUS_OK;
}

/* ---- parts ---- */

static size_t data_size_bytes(LeatType kind, size_t count) {
    if (kind == LEAT_BOOLEAN)
        return bitmap_size_bytes(count);
    return (count + type_is_list(kind)) * type_value_size(kind);
}

CHECKED static Status part_grow(Builder *b, BuilderPart *part, uint32_t capacity, Error *err) {
    LeatType kind = part->type->kind;
    size_t data_used = part->capacity ? data_size_bytes(kind, part->capacity) : 0;
    size_t validity_used = bitmap_size_bytes(part->capacity);
    TRY(array_reserve(&part->data, data_used, data_size_bytes(kind, capacity), b->budget, b->who, err));
    TRY(array_reserve(&part->validity, validity_used, bitmap_size_bytes(capacity), b->budget, b->who, err));
    part->capacity = capacity;
    return STATUS_OK;
}

/* The part of a row, and the fields of it, are made as large as a chunk; elements of arrays
 * grow with their number. */
CHECKED static Status part_init(Builder *b, BuilderPart *part, const Type *type, bool is_element,
                                Error *err) {
    part->type = type;
    if (!is_element)
        TRY(part_grow(b, part, CHUNK_ROWS_MAX, err));
    if (type->field_count == 0)
        return STATUS_OK;
    b->is_flat = false;
    part->children = xcalloc(type->field_count, sizeof *part->children);
    part->child_columns = xcalloc(type->field_count, sizeof *part->child_columns);
    for (uint32_t i = 0; i < type->field_count; i++)
        TRY(part_init(b, &part->children[i], &type->fields[i].type, is_element || type_is_list(type->kind),
                      err));
    return STATUS_OK;
}

static void part_deinit(Builder *b, BuilderPart *part) {
    if (!part->type) /* never begun */
        return;
    if (part->children)
        for (uint32_t i = 0; i < part->type->field_count; i++)
            part_deinit(b, &part->children[i]);
    free(part->children);
    free(part->child_columns);
    array_deinit(&part->data, b->budget);
    array_deinit(&part->validity, b->budget);
}

static void part_reset(BuilderPart *part) {
    part->has_nulls = false;
    part->put_count = 0;
    for (uint32_t i = 0; i < part->type->field_count; i++)
        part_reset(&part->children[i]);
}

CHECKED static Status refuse_elements(const Builder *b, Error *err) {
    return error_set(err, STATUS_NO_MEMORY, "%s needs an array column of more than %d elements", b->who,
                     INT32_MAX / 2);
}

/* Room for, and the validity of, a place. */
CHECKED static Status part_mark(Builder *b, BuilderPart *part, uint32_t index, bool is_valid, Error *err) {
    if (UNLIKELY(index >= part->capacity)) {
        uint32_t capacity = part->capacity ? part->capacity : 64;
        if (index >= INT32_MAX / 2)
            return refuse_elements(b, err);
        while (capacity <= index)
            capacity *= 2;
        TRY(part_grow(b, part, capacity, err));
    }
    part->put_count = index + 1;
    if (UNLIKELY(!is_valid && !part->has_nulls)) {
        part->has_nulls = true;
        bitmap_fill(part->validity.data, 0, index, true);
    }
    if (part->has_nulls)
        bitmap_put(part->validity.data, index, is_valid);
    return STATUS_OK;
}

Status part_null(Builder *b, BuilderPart *part, uint32_t index, Error *err) {
    TRY(part_mark(b, part, index, false, err));
    switch (part->type->kind) { /* I5 of chunk.h */
    case LEAT_BOOLEAN:
        bitmap_clear(part->data.data, index);
        return STATUS_OK;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        word_store(part->data.data, index, part->type->kind, 0);
        return STATUS_OK;
    case LEAT_DECIMAL:
        ((LeatDecimal *)part->data.data)[index] = 0;
        return STATUS_OK;
    case LEAT_STRING:
    case LEAT_BINARY:
        ((View *)part->data.data)[index] = (View){0};
        return STATUS_OK;
    case LEAT_ARRAY:
    case LEAT_MAP:
        ((int32_t *)part->data.data)[index + 1] = ((int32_t *)part->data.data)[index];
        return STATUS_OK;
    case LEAT_STRUCT:
        for (uint32_t i = 0; i < part->type->field_count; i++)
            TRY(part_null(b, &part->children[i], index, err));
        return STATUS_OK;
    }
    return STATUS_OK;
}

Status part_bool(Builder *b, BuilderPart *part, uint32_t index, bool value, Error *err) {
    TRY(part_mark(b, part, index, true, err));
    bitmap_put(part->data.data, index, value);
    return STATUS_OK;
}

Status part_word(Builder *b, BuilderPart *part, uint32_t index, uint64_t word, Error *err) {
    TRY(part_mark(b, part, index, true, err));
    word_store(part->data.data, index, part->type->kind, word);
    return STATUS_OK;
}

Status part_decimal(Builder *b, BuilderPart *part, uint32_t index, LeatDecimal value, Error *err) {
    TRY(part_mark(b, part, index, true, err));
    ((LeatDecimal *)part->data.data)[index] = value;
    return STATUS_OK;
}

Status part_str(Builder *b, BuilderPart *part, uint32_t index, Str value, Error *err) {
    TRY(part_mark(b, part, index, true, err));
    return string_view(b, value, (View *)part->data.data + index, err);
}

Status part_struct(Builder *b, BuilderPart *part, uint32_t index, Error *err) {
    return part_mark(b, part, index, true, err);
}

Status part_list(Builder *b, BuilderPart *part, uint32_t index, uint32_t count, uint32_t *element_begin,
                 Error *err) {
    TRY(part_mark(b, part, index, true, err));
    int32_t *offsets = part->data.data;
    if (count > (uint32_t)(INT32_MAX - offsets[index]))
        return refuse_elements(b, err);
    *element_begin = (uint32_t)offsets[index];
    offsets[index + 1] = offsets[index] + (int32_t)count;
    return STATUS_OK;
}

CHECKED static Status part_struct_of(Builder *b, BuilderPart *part, uint32_t index, const Column *fields,
                                     uint32_t row, Error *err);

CHECKED static Status part_value(Builder *b, BuilderPart *part, uint32_t index, const Column *from,
                                 uint32_t row, Error *err) {
    ASSERT(part->type->kind == from->type->kind && part->type->field_count == from->type->field_count);
    if (column_is_null(from, row))
        return part_null(b, part, index, err);
    switch (from->type->kind) {
    case LEAT_BOOLEAN:
        return part_bool(b, part, index, column_bool(from, row), err);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP: /* as bits: a NaN keeps its payload */
        return part_word(b, part, index, column_word(from, row), err);
    case LEAT_DECIMAL:
        return part_decimal(b, part, index, column_decimal(from, row), err);
    case LEAT_STRING:
    case LEAT_BINARY:
        return part_str(b, part, index, column_str(from, row), err);
    case LEAT_ARRAY:
    case LEAT_MAP: {
        const int32_t *offsets = from->data;
        uint32_t begin = 0, count = (uint32_t)(offsets[row + 1] - offsets[row]);
        TRY(part_list(b, part, index, count, &begin, err));
        for (uint32_t c = 0; c < part->type->field_count; c++)
            for (uint32_t i = 0; i < count; i++)
                TRY(part_value(b, &part->children[c], begin + i, &from->children[c],
                               (uint32_t)offsets[row] + i, err));
        return STATUS_OK;
    }
    case LEAT_STRUCT:
        return part_struct_of(b, part, index, from->children, row, err);
    }
    return STATUS_OK;
}

CHECKED static Status part_struct_of(Builder *b, BuilderPart *part, uint32_t index, const Column *fields,
                                     uint32_t row, Error *err) {
    ASSERT(part->type->kind == LEAT_STRUCT);
    TRY(part_struct(b, part, index, err));
    for (uint32_t i = 0; i < part->type->field_count; i++)
        TRY(part_value(b, &part->children[i], index, &fields[i], row, err));
    return STATUS_OK;
}

/* The part as a column of the scratch chunk. */
static void part_describe(const Builder *b, const BuilderPart *part, Buffer *const *buffers,
                          uint32_t buffer_count, Column *column) {
    *column = (Column){.type = part->type,
                       .data = part->type->kind == LEAT_STRUCT ? NULL : part->data.data,
                       .validity = part->has_nulls ? part->validity.data : NULL,
                       .children = part->child_columns};
    if (type_is_string(part->type->kind)) {
        column->buffers = buffers;
        column->buffer_count = buffer_count;
    }
    for (uint32_t i = 0; i < part->type->field_count; i++)
        part_describe(b, &part->children[i], buffers, buffer_count, &part->child_columns[i]);
}

static void builder_describe(Builder *b, Buffer *const *buffers, uint32_t buffer_count, uint32_t row_count,
                             Chunk *out) {
    for (uint32_t i = 0; i < b->schema->column_count; i++)
        part_describe(b, &b->parts[i], buffers, buffer_count, &b->columns[i]);
    *out = (Chunk){
        .schema = b->schema, .columns = b->columns, .row_count = row_count, .selected_count = row_count};
}

/* ---- the builder ---- */

static size_t out_element_size(LeatType kind) {
    return kind == LEAT_BOOLEAN   ? sizeof(uint8_t)
           : type_is_string(kind) ? sizeof(LeatStr)
                                  : type_value_size(kind);
}

CHECKED static Status out_init(Builder *b, Error *err) {
    uint32_t count = b->schema->column_count;
    b->out_parts = xcalloc(count, sizeof *b->out_parts);
    b->out.columns = xcalloc(count, sizeof *b->out.columns);
    b->out.column_count = count;
    b->out.row_limit = CHUNK_ROWS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        OutPart *part = &b->out_parts[i];
        LeatType kind = b->schema->fields[i].type.kind;
        TRY(array_reserve(&part->data, 0, CHUNK_ROWS_MAX * out_element_size(kind), b->budget, b->who, err));
        TRY(array_reserve(&part->nulls, 0, CHUNK_ROWS_MAX, b->budget, b->who, err));
        b->out.columns[i] = (LeatOutColumn){part->data.data, part->nulls.data, kind};
    }
    return STATUS_OK;
}

Status builder_create(const Schema *schema, Budget *budget, const char *who, Builder **out, Error *err) {
    Status st = STATUS_OK;
    Builder *b = xcalloc(1, sizeof *b);
    *out = NULL;
    b->schema = schema;
    b->budget = budget;
    b->who = who;
    b->is_flat = true;
    b->next_capacity = STRING_BUFFER_MIN;
    b->parts = xcalloc(schema->column_count, sizeof *b->parts);
    b->columns = xcalloc(schema->column_count, sizeof *b->columns);
    for (uint32_t i = 0; i < schema->column_count; i++)
        TRY_GOTO(fail, part_init(b, &b->parts[i], &schema->fields[i].type, false, err));
    if (b->is_flat)
        TRY_GOTO(fail, out_init(b, err));
    *out = b;
    return STATUS_OK;
fail:
    builder_destroy(b);
    return st;
}

void builder_destroy(Builder *b) {
    if (!b)
        return;
    drop_own_buffers(b);
    drop_taken_buffers(b);
    while (b->spare_count > 0)
        buffer_release(b->spare[--b->spare_count]);
    for (uint32_t i = 0; i < b->schema->column_count; i++) {
        part_deinit(b, &b->parts[i]);
        if (b->out_parts) {
            array_deinit(&b->out_parts[i].data, b->budget);
            array_deinit(&b->out_parts[i].nulls, b->budget);
        }
    }
    free(b->out_parts);
    free(b->out.columns);
    free(b->parts);
    free(b->columns);
    free(b->buffers);
    free(b->bases);
    free(b->sizes);
    free(b->taken);
    free(b);
}

void builder_reset(Builder *b) {
    drop_own_buffers(b);
    drop_taken_buffers(b);
    b->buffer_count = b->input_count = 0; /* the input may be gone */
    b->input_view_count = 0;
    b->out.stable_size[0] = b->out.stable_size[1] = 0;
    /* Rows put before are in arrays that a take hands to functions later: B4. */
    uint32_t dirty = b->row_count < CHUNK_ROWS_MAX ? b->row_count + 1 : CHUNK_ROWS_MAX;
    if (b->taken_dirty_rows < dirty)
        b->taken_dirty_rows = dirty;
    b->row_count = 0;
    for (uint32_t i = 0; i < b->schema->column_count; i++)
        part_reset(&b->parts[i]);
}

uint32_t builder_row_count(const Builder *b) {
    return b->row_count;
}

BuilderPart *builder_part(Builder *b, uint32_t column) {
    ASSERT(column < b->schema->column_count && b->row_count < CHUNK_ROWS_MAX);
    return &b->parts[column];
}

Status builder_put_null(Builder *b, uint32_t column, Error *err) {
    return part_null(b, builder_part(b, column), b->row_count, err);
}

Status builder_put_bool(Builder *b, uint32_t column, bool value, Error *err) {
    BuilderPart *part = builder_part(b, column);
    ASSERT(part->type->kind == LEAT_BOOLEAN);
    return part_bool(b, part, b->row_count, value, err);
}

Status builder_put_i64(Builder *b, uint32_t column, int64_t value, Error *err) {
    BuilderPart *part = builder_part(b, column);
    ASSERT(part->type->kind == LEAT_BIGINT || part->type->kind == LEAT_TIMESTAMP);
    return part_word(b, part, b->row_count, (uint64_t)value, err);
}

Status builder_put_f64(Builder *b, uint32_t column, double value, Error *err) {
    BuilderPart *part = builder_part(b, column);
    uint64_t bits;
    ASSERT(part->type->kind == LEAT_DOUBLE);
    memcpy(&bits, &value, sizeof bits);
    return part_word(b, part, b->row_count, bits, err);
}

Status builder_put_word(Builder *b, uint32_t column, uint64_t word, Error *err) {
    BuilderPart *part = builder_part(b, column);
    if (part->type->kind == LEAT_BOOLEAN)
        return part_bool(b, part, b->row_count, word & 1, err);
    ASSERT(type_is_word(part->type->kind));
    return part_word(b, part, b->row_count, word, err);
}

Status builder_put_decimal(Builder *b, uint32_t column, LeatDecimal value, Error *err) {
    BuilderPart *part = builder_part(b, column);
    ASSERT(part->type->kind == LEAT_DECIMAL && decimal_fits(value, part->type->precision));
    return part_decimal(b, part, b->row_count, value, err);
}

Status builder_put_str(Builder *b, uint32_t column, Str value, Error *err) {
    BuilderPart *part = builder_part(b, column);
    ASSERT(type_is_string(part->type->kind));
    return part_str(b, part, b->row_count, value, err);
}

Status builder_put_value(Builder *b, uint32_t column, const Column *from, uint32_t row, Error *err) {
    return part_value(b, builder_part(b, column), b->row_count, from, row, err);
}

Status builder_put_struct(Builder *b, uint32_t column, const Column *fields, uint32_t row, Error *err) {
    return part_struct_of(b, builder_part(b, column), b->row_count, fields, row, err);
}

Status builder_begin_list(Builder *b, uint32_t column, Error *err) {
    uint32_t element_begin;
    BuilderPart *part = builder_part(b, column);
    ASSERT(part->type->kind == LEAT_ARRAY);
    return part_list(b, part, b->row_count, 0, &element_begin, err);
}

/* The end of the list that was begun in this row: where its next element goes. */
CHECKED static Status list_end(Builder *b, const BuilderPart *list, int32_t **end, Error *err) {
    ASSERT(list->type->kind == LEAT_ARRAY && list->put_count == b->row_count + 1);
    *end = (int32_t *)list->data.data + b->row_count + 1;
    return **end < INT32_MAX ? STATUS_OK : refuse_elements(b, err);
}

Status builder_list_value(Builder *b, uint32_t column, const Column *from, uint32_t row, Error *err) {
    BuilderPart *list = builder_part(b, column);
    int32_t *end;
    TRY(list_end(b, list, &end, err));
    TRY(part_value(b, &list->children[0], (uint32_t)*end, from, row, err));
    ++*end;
    return STATUS_OK;
}

Status builder_list_struct(Builder *b, uint32_t column, const Column *fields, uint32_t row, Error *err) {
    BuilderPart *list = builder_part(b, column);
    int32_t *end;
    TRY(list_end(b, list, &end, err));
    TRY(part_struct_of(b, &list->children[0], (uint32_t)*end, fields, row, err));
    ++*end;
    return STATUS_OK;
}

void builder_end_row(Builder *b) {
    ASSERT(b->row_count < CHUNK_ROWS_MAX);
    b->row_count++;
    for (uint32_t i = 0; i < b->schema->column_count; i++)
        ASSERT(b->parts[i].put_count == b->row_count); /* I1 */
}

void builder_chunk(Builder *b, Chunk *out) {
    builder_describe(b, b->buffers, b->buffer_count, b->row_count, out);
}

/* ---- rows of functions ---- */

/* Zeroes what functions may have written into the arrays that they see; `columns_taken`: of fixed-size
 * columns the arrays are the ones of the chunk before. */
static void out_clear(Builder *b, bool columns_taken) {
    /* The row that was begun but not emitted is cleared, too. */
    uint32_t rows = b->out.row < CHUNK_ROWS_MAX ? b->out.row + 1 : CHUNK_ROWS_MAX;
    if (rows < b->dirty_rows)
        rows = b->dirty_rows;
    for (uint32_t i = 0; i < b->schema->column_count; i++) {
        LeatType kind = b->schema->fields[i].type.kind;
        bool is_taken = columns_taken && kind != LEAT_BOOLEAN && !type_is_string(kind);
        uint32_t dirty = is_taken ? b->taken_dirty_rows : rows;
        memset(b->out_parts[i].data.data, 0, dirty * out_element_size(kind));
        if (b->out.has_nulls)
            memset(b->out_parts[i].nulls.data, 0, rows);
    }
    if (columns_taken)
        b->taken_dirty_rows = rows;
    b->dirty_rows = 0;
    b->out.row = 0;
    b->out.has_nulls = false;
}

/* Which strings of the input live as long as it does. */
static void input_add(Builder *b, const Column *column, uint32_t row_count) {
    if (type_is_string(column->type->kind)) {
        uint32_t count = column->is_constant ? 1 : row_count;
        if (column->data && count && b->input_view_count < STABLE_VIEWS_MAX)
            b->input_views[b->input_view_count++] = str_slice(column->data, count * sizeof(View));
        for (uint32_t i = 0; i < column->buffer_count && b->input_count < STABLE_BUFFERS_MAX; i++) {
            uint32_t at = 0;
            while (at < b->input_count && b->buffers[at] != column->buffers[i])
                at++;
            if (at == b->input_count) {
                list_append(b, column->buffers[i]);
                b->input_count++;
            }
        }
    }
    const int32_t *offsets = column->data;
    for (uint32_t i = 0; type_is_list(column->type->kind) && row_count && i < column->type->field_count; i++)
        input_add(b, &column->children[i], (uint32_t)offsets[row_count]);
    if (column->type->kind == LEAT_STRUCT)
        for (uint32_t i = 0; i < column->type->field_count; i++)
            input_add(b, &column->children[i], row_count);
}

LeatOut *builder_out_begin(Builder *b, const Chunk *input, BuilderFlush flush, void *self) {
    ASSERT(b->is_flat && b->row_count == 0);
    drop_own_buffers(b);
    b->buffer_count = b->input_count = 0;
    b->input_view_count = 0;
    if (input)
        for (uint32_t i = 0; i < input->schema->column_count; i++)
            input_add(b, &input->columns[i], input->row_count);
    LeatOut *out = &b->out;
    out->stable_begin[0] = b->input_count ? (uintptr_t)b->bases[0] : 0;
    out->stable_size[0] = b->input_count ? b->sizes[0] : 0;
    out->stable_begin[1] = b->input_view_count ? (uintptr_t)b->input_views[0].data : 0;
    out->stable_size[1] = b->input_view_count ? b->input_views[0].size : 0;
    out_clear(b, false);
    b->flush = flush;
    b->flush_self = self;
    b->status = STATUS_OK;
    return out;
}

static void pack_bits(const uint8_t *bytes, uint32_t count, uint8_t *bits) {
    for (uint32_t i = 0; i < count; i += 8) {
        unsigned packed = 0;
        for (uint32_t j = 0; j < 8;
             j++) /* the array ends at a multiple of 8; bits behind `count` mean nothing */
            packed |= (unsigned)(bytes[i + j] & 1) << j;
        bits[i >> 3] = (uint8_t)packed;
    }
}

/* Makes the data behind nulls zero (I5 of chunk.h). */
static void clear_nulls(LeatType kind, void *data, const uint8_t *nulls, uint32_t rows) {
    uint8_t *bools = data;
    LeatStr *strs = data;
    LeatDecimal *decimals = data;
    for (uint32_t i = 0; i < rows; i++) {
        if (kind == LEAT_BOOLEAN)
            bools[i] &= (uint8_t)(nulls[i] - 1);
        else if (type_is_string(kind))
            strs[i].size &= (size_t)nulls[i] - 1;
        else if (kind == LEAT_DECIMAL)
            decimals[i] &= (LeatDecimal)nulls[i] - 1;
        else
            word_store(data, i, kind, word_load(data, i, kind) & ((uint64_t)nulls[i] - 1));
    }
}

/* A function gave a number that its column cannot hold: I6 of chunk.h. */
static void check_decimals(Builder *b) {
    for (uint32_t c = 0; c < b->schema->column_count; c++) {
        const Type *type = &b->schema->fields[c].type;
        const LeatDecimal *values = b->out_parts[c].data.data;
        const uint8_t *nulls = b->out_parts[c].nulls.data;
        for (uint32_t i = 0; type->kind == LEAT_DECIMAL && i < b->out.row; i++) {
            if (LIKELY(nulls[i] || decimal_fits(values[i], type->precision)))
                continue;
            Error error = {0};
            Status st = error_set(&error, STATUS_INVALID,
                                  "%s: a value given for column '%s' has more digits than DECIMAL(%u, %u)",
                                  b->who, b->schema->fields[c].name, type->precision, type->scale);
            builder_out_fail(b, st, &error);
            return;
        }
    }
}

/* Turns what functions wrote into the column's data; the validity comes from the bytes of `nulls`. */
static void take_part(Builder *b, uint32_t column, uint32_t rows) {
    BuilderPart *part = &b->parts[column];
    OutPart *out = &b->out_parts[column];
    LeatType kind = part->type->kind;
    const uint8_t *nulls = out->nulls.data;
    part->has_nulls = b->out.has_nulls && rows > 0 && memchr(nulls, 1, rows);
    if (part->has_nulls) {
        clear_nulls(kind, out->data.data, nulls, rows);
        for (uint32_t i = 0; i < rows; i++)
            bitmap_put(part->validity.data, i, !nulls[i]);
    }
    if (kind == LEAT_BOOLEAN) {
        pack_bits(out->data.data, rows, part->data.data);
    } else if (type_is_string(kind)) {
        kernels()->views_from_strs(out->data.data, rows, b->bases, b->sizes, b->buffer_count,
                                   part->data.data);
    } else { /* B3 */
        Array taken = part->data;
        part->data = out->data;
        out->data = taken;
        b->out.columns[column].data = taken.data;
    }
}

Status builder_take_out(Builder *b, Chunk *out, Error *err) {
    check_decimals(b);
    if (b->status != STATUS_OK) {
        out_clear(b, false);
        drop_own_buffers(b);
        return builder_out_status(b, err);
    }
    uint32_t rows = b->out.row;
    ASSERT(rows <= CHUNK_ROWS_MAX);
    drop_taken_buffers(b);
    for (uint32_t i = 0; i < b->schema->column_count; i++)
        take_part(b, i, rows);
    if (b->taken_room < b->buffer_count) {
        b->taken_room = b->buffer_room;
        b->taken = xrealloc(b->taken, b->taken_room * sizeof(Buffer *));
    }
    if (b->buffer_count)
        memcpy(b->taken, b->buffers, b->buffer_count * sizeof(Buffer *));
    b->taken_count = b->buffer_count;
    b->taken_input_count = b->input_count;
    b->buffer_count = b->input_count; /* ours are the chunk's now */
    builder_describe(b, b->taken, b->taken_count, rows, out);
    out_clear(b, true);
    return STATUS_OK;
}

static const char no_bytes[1] = {0}; /* where empty strings point to */

bool builder_see_out(Builder *b, const LeatStr **strs, uint32_t *count, Buffer *const **buffers,
                     uint32_t *buffer_count) {
    ASSERT(b->schema->column_count == 1 && type_is_string(b->schema->fields[0].type.kind));
    if (b->status != STATUS_OK || b->out.has_nulls || b->input_view_count > 0)
        return false;
    LeatStr *written = b->out_parts[0].data.data;
    for (uint32_t i = 0; i < b->out.row; i++) /* a column that was not set */
        written[i].data = written[i].data ? written[i].data : no_bytes;
    *strs = written;
    *count = b->out.row;
    *buffers = b->buffers;
    *buffer_count = b->buffer_count;
    return true;
}

void builder_drop_out(Builder *b) {
    drop_own_buffers(b);
    out_clear(b, false);
}

void builder_out_fail(Builder *b, Status status, const Error *error) {
    if (b->status != STATUS_OK || status == STATUS_OK)
        return;
    b->status = status;
    b->error = error ? *error : (Error){.status = status};
}

Status builder_out_status(const Builder *b, Error *err) {
    if (err && b->status != STATUS_OK)
        *err = b->error;
    return b->status;
}

const Schema *builder_schema(const Builder *b) {
    return b->schema;
}

void builder_flush(Builder *b) {
    if (b->status == STATUS_OK)
        b->flush(b, b->flush_self);
    if (b->out.row > 0) { /* not taken, after a failure */
        out_clear(b, false);
        drop_own_buffers(b);
    }
}

void builder_reserve(Builder *b, uint32_t row_count) {
    if (row_count > CHUNK_ROWS_MAX - b->out.row)
        builder_flush(b);
    if (b->dirty_rows < b->out.row + row_count)
        b->dirty_rows = b->out.row + row_count;
}

Str builder_keep(Builder *b, Str bytes) {
    if (bytes.size == 0)
        return str_slice(no_bytes, 0);
    /* The inline code knows two ranges, here are the others: compared as addresses, since
     * they are other objects. */
    uintptr_t at = (uintptr_t)bytes.data;
    for (uint32_t i = 0; i < b->input_view_count; i++)
        if (at - (uintptr_t)b->input_views[i].data < b->input_views[i].size)
            return bytes;
    for (uint32_t i = 0; i < b->buffer_count; i++)
        if (at - (uintptr_t)b->bases[i] < b->sizes[i])
            return bytes;
    Error error = {0};
    Buffer *buffer;
    Status st = b->status == STATUS_OK ? own_buffer(b, bytes.size, &buffer, &error) : b->status;
    if (UNLIKELY(st != STATUS_OK)) {
        builder_out_fail(b, st, &error);
        return str_slice(no_bytes, 0);
    }
    char *copy = buffer->data + buffer->size;
    memcpy(copy, bytes.data, bytes.size);
    buffer->size += bytes.size;
    return str_slice(copy, bytes.size);
}
