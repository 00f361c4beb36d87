/* chunk.c - reading single values, sharing, checking and showing chunks.
 *
 * A shared chunk is a list of blocks (its own struct is in the first) and references to buffers. Sharing
 * walks the columns with a list of the rows to keep, from the selection at the top; an ARRAY turns it into
 * the list of its elements. Strings: views are copied, then each buffer they refer to is either retained (at
 * least half of its capacity is referenced, I4) or what is referenced of it is copied into one new buffer of
 * the column.
 */
#include "column/chunk.h"
#include "base/bitmap.h"
#include "column/array.h"
#include "column/literal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- single values ---- */

bool column_bool(const Column *column, uint32_t row) {
    return bitmap_get(column->data, column->is_constant ? 0 : row);
}

uint64_t column_word(const Column *column, uint32_t row) {
    if (column->type->kind == LEAT_BOOLEAN)
        return column_bool(column, row);
    return word_load(column->data, column->is_constant ? 0 : row, column->type->kind);
}

const uint64_t *column_words(const Column *column, const Chunk *chunk, uint64_t *room) {
    LeatType kind = column->type->kind;
    const uint64_t *words = column->data;
    if (column->is_constant) {
        for (uint32_t i = 0; i < chunk->selected_count; i++)
            room[i] = word_load(column->data, 0, kind);
    } else if (type_value_size(kind) != sizeof *words) {
        for (uint32_t i = 0; i < chunk->selected_count; i++)
            room[i] = word_load(column->data, chunk_row(chunk, i), kind);
    } else if (chunk->selection) {
        for (uint32_t i = 0; i < chunk->selected_count; i++)
            room[i] = words[chunk->selection[i]];
    } else {
        return words;
    }
    return room;
}

Str column_str(const Column *column, uint32_t row) {
    const View *view = (const View *)column->data + (column->is_constant ? 0 : row);
    const char *data =
        view->size <= VIEW_INLINE_MAX ? view->inlined : column->buffers[view->buffer]->data + view->offset;
    return str_slice(data, view->size);
}

/* ---- sharing ---- */

typedef struct SharedBlock {
    struct SharedBlock *next;
    size_t size_bytes;
} SharedBlock;

struct SharedChunk {
    Chunk chunk;
    Budget *budget;
    const char *who;
    SharedBlock *blocks; /* but the one this struct is in */
    Column *columns;
    size_t size_bytes;
    bool copies_strings;
    _Atomic uint32_t reference_count;
};

/* Which rows of a column are kept. */
typedef struct Rows {
    uint32_t count;
    uint32_t begin;
    const uint32_t *index; /* NULL: begin, begin + 1, ... */
} Rows;

static inline uint32_t rows_at(const Rows *rows, uint32_t i) {
    return rows->index ? rows->index[i] : rows->begin + i;
}

/* 64-byte aligned, zeroed, released with the chunk. */
CHECKED static Status shared_alloc(SharedChunk *shared, size_t size_bytes, void **out, Error *err) {
    SharedBlock *block;
    size_t block_size = sizeof *block + ARRAY_ALIGN + size_bytes;
    TRY(budget_alloc_zeroed(shared->budget, block_size, shared->who, (void **)&block, err));
    *block = (SharedBlock){shared->blocks, block_size};
    shared->blocks = block;
    shared->size_bytes += block_size;
    *out = (void *)(((uintptr_t)(block + 1) + ARRAY_ALIGN - 1) & ~(uintptr_t)(ARRAY_ALIGN - 1));
    return STATUS_OK;
}

CHECKED static Status share_bits(SharedChunk *shared, const uint8_t *in, const Rows *rows,
                                 const uint8_t **out, Error *err) {
    uint8_t *bits;
    TRY(shared_alloc(shared, bitmap_size_bytes(rows->count), (void **)&bits, err));
    for (uint32_t i = 0; i < rows->count; i++)
        if (bitmap_get(in, rows_at(rows, i)))
            bitmap_set(bits, i);
    *out = bits;
    return STATUS_OK;
}

/* Values of `size` bytes each. */
CHECKED static Status share_values(SharedChunk *shared, const char *in, size_t size, const Rows *rows,
                                   const void **out, Error *err) {
    char *values;
    TRY(shared_alloc(shared, rows->count * size, (void **)&values, err));
    *out = values;
    if (!rows->index) {
        if (rows->count)
            memcpy(values, in + rows->begin * size, rows->count * size);
    } else if (size == sizeof(uint64_t)) {
        for (uint32_t i = 0; i < rows->count; i++)
            ((uint64_t *)(void *)values)[i] = ((const uint64_t *)(const void *)in)[rows->index[i]];
    } else {
        for (uint32_t i = 0; i < rows->count; i++)
            memcpy(values + i * size, in + rows->index[i] * size, size);
    }
    return STATUS_OK;
}

/* What happens to one buffer of a string column. */
typedef struct BufferPlan {
    uint64_t referenced_bytes; /* by the views kept; a byte in two views counts twice, as a copy would */
    uint32_t new_index;
    bool is_copied;
} BufferPlan;

/* Retains or replaces what `views` point into; out->buffers and out->buffer_count always
 * tell what is retained. */
CHECKED static Status share_buffers(SharedChunk *shared, const Column *in, View *views, uint32_t count,
                                    Column *out, Error *err) {
    Status st = STATUS_OK;
    Array plans_array = {0};
    Buffer **buffers = NULL, *copy = NULL;
    uint64_t copied_bytes = 0;
    bool has_long = false;
    for (uint32_t i = 0; i < count; i++)
        has_long |= views[i].size > VIEW_INLINE_MAX;
    if (!has_long)
        return STATUS_OK;
    TRY(shared_alloc(shared, (in->buffer_count + 1) * sizeof *buffers, (void **)&buffers, err));
    out->buffers = buffers;
    TRY(array_reserve(&plans_array, 0, in->buffer_count * sizeof(BufferPlan), shared->budget, shared->who,
                      err));
    BufferPlan *plans = plans_array.data;
    for (uint32_t i = 0; i < count; i++)
        if (views[i].size > VIEW_INLINE_MAX)
            plans[views[i].buffer].referenced_bytes += views[i].size;
    for (uint32_t b = 0; b < in->buffer_count; b++) {
        plans[b].is_copied =
            shared->copies_strings || 2 * plans[b].referenced_bytes < in->buffers[b]->capacity;
        if (plans[b].is_copied) {
            copied_bytes += plans[b].referenced_bytes;
        } else if (plans[b].referenced_bytes) {
            plans[b].new_index = out->buffer_count;
            buffers[out->buffer_count++] = buffer_retain(in->buffers[b]);
        }
    }
    if (copied_bytes) {
        TRY_GOTO(done, buffer_create((size_t)copied_bytes, shared->budget, shared->who, &copy, err));
        shared->size_bytes += buffer_size_bytes(copy);
        buffers[out->buffer_count] = copy;
    }
    for (uint32_t i = 0; i < count; i++) {
        View *view = &views[i];
        if (view->size <= VIEW_INLINE_MAX)
            continue;
        if (!plans[view->buffer].is_copied) {
            view->buffer = plans[view->buffer].new_index;
            continue;
        }
        memcpy(copy->data + copy->size, in->buffers[view->buffer]->data + view->offset, view->size);
        view->buffer = out->buffer_count;
        view->offset = (uint32_t)copy->size;
        copy->size += view->size;
    }
    out->buffer_count += copy != NULL;
done:
    array_deinit(&plans_array, shared->budget);
    return st;
}

CHECKED static Status share_views(SharedChunk *shared, const Column *in, const Rows *rows, Column *out,
                                  Error *err) {
    const View *from = in->data;
    View *views;
    TRY(shared_alloc(shared, rows->count * sizeof *views, (void **)&views, err));
    for (uint32_t i = 0; i < rows->count; i++)
        views[i] = from[rows_at(rows, i)];
    out->data = views;
    return share_buffers(shared, in, views, rows->count, out, err);
}

CHECKED static Status share_column(SharedChunk *shared, const Column *in, Rows rows, Column *out, Error *err);

/* What the offsets of an ARRAY or a MAP index. */
CHECKED static Status share_elements(SharedChunk *shared, const Column *in, Rows elements, Column *children,
                                     Error *err) {
    for (uint32_t i = 0; i < in->type->field_count; i++)
        TRY(share_column(shared, &in->children[i], elements, &children[i], err));
    return STATUS_OK;
}

CHECKED static Status share_list(SharedChunk *shared, const Column *in, const Rows *rows, Column *children,
                                 Column *out, Error *err) {
    const int32_t *from = in->data;
    int32_t *offsets;
    TRY(shared_alloc(shared, (rows->count + 1) * sizeof *offsets, (void **)&offsets, err));
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        offsets[i + 1] = offsets[i] + (from[row + 1] - from[row]);
    }
    out->data = offsets;
    Rows elements = {.count = (uint32_t)offsets[rows->count]};
    if (!rows->index) {
        elements.begin = elements.count ? (uint32_t)from[rows->begin] : 0;
        return share_elements(shared, in, elements, children, err);
    }
    Array list = {0};
    TRY(array_reserve(&list, 0, elements.count * sizeof(uint32_t), shared->budget, shared->who, err));
    uint32_t *index = list.data;
    for (uint32_t i = 0, n = 0; i < rows->count; i++)
        for (int32_t at = from[rows->index[i]]; at < from[rows->index[i] + 1]; at++)
            index[n++] = (uint32_t)at;
    elements.index = index;
    Status st = share_elements(shared, in, elements, children, err);
    array_deinit(&list, shared->budget);
    return st;
}

CHECKED static Status share_column(SharedChunk *shared, const Column *in, Rows rows, Column *out,
                                   Error *err) {
    if (in->is_constant)
        rows = (Rows){.count = 1};
    out->type = in->type;
    out->is_constant = in->is_constant;
    if (in->validity)
        TRY(share_bits(shared, in->validity, &rows, &out->validity, err));
    Column *children = NULL;
    if (in->type->field_count) {
        TRY(shared_alloc(shared, in->type->field_count * sizeof *children, (void **)&children, err));
        out->children = children;
    }
    switch (in->type->kind) {
    case LEAT_BOOLEAN:
        return share_bits(shared, in->data, &rows, (const uint8_t **)&out->data, err);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DECIMAL:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        return share_values(shared, in->data, type_value_size(in->type->kind), &rows, &out->data, err);
    case LEAT_STRING:
    case LEAT_BINARY:
        return share_views(shared, in, &rows, out, err);
    case LEAT_ARRAY:
    case LEAT_MAP:
        return share_list(shared, in, &rows, children, out, err);
    case LEAT_STRUCT:
        for (uint32_t i = 0; i < in->type->field_count; i++)
            TRY(share_column(shared, &in->children[i], rows, &children[i], err));
        return STATUS_OK;
    }
    ASSERT(false);
    return STATUS_OK;
}

static void column_release_buffers(const Column *column) {
    for (uint32_t i = 0; i < column->buffer_count; i++)
        buffer_release(column->buffers[i]);
    if (column->children)
        for (uint32_t i = 0; i < column->type->field_count; i++)
            column_release_buffers(&column->children[i]);
}

static void shared_destroy(SharedChunk *shared) {
    if (shared->columns)
        for (uint32_t i = 0; i < shared->chunk.schema->column_count; i++)
            column_release_buffers(&shared->columns[i]);
    for (SharedBlock *block = shared->blocks, *next; block; block = next) {
        next = block->next;
        budget_free(shared->budget, block, block->size_bytes);
    }
    budget_free(shared->budget, shared, sizeof *shared);
}

CHECKED static Status share(const Chunk *in, Budget *budget, const char *who, bool copies_strings,
                            SharedChunk **out, Error *err) {
    Status st = STATUS_OK;
    SharedChunk *shared;
    uint32_t index[CHUNK_ROWS_MAX];
    Rows rows = {.count = in->selected_count};
    ASSERT(in->selected_count <= CHUNK_ROWS_MAX);
    if (in->selection) {
        for (uint32_t i = 0; i < rows.count; i++)
            index[i] = in->selection[i];
        rows.index = index;
    }
    *out = NULL;
    TRY(budget_alloc_zeroed(budget, sizeof *shared, who, (void **)&shared, err));
    shared->budget = budget;
    shared->who = who;
    shared->copies_strings = copies_strings;
    shared->size_bytes = sizeof *shared;
    atomic_init(&shared->reference_count, 1);
    shared->chunk = (Chunk){.schema = in->schema,
                            .row_count = rows.count,
                            .selected_count = rows.count,
                            .split = in->split,
                            .sequence = in->sequence};
    uint32_t column_count = in->schema->column_count;
    TRY_GOTO(fail, shared_alloc(shared, column_count * sizeof(Column), (void **)&shared->columns, err));
    shared->chunk.columns = shared->columns;
    for (uint32_t i = 0; i < column_count; i++)
        TRY_GOTO(fail, share_column(shared, &in->columns[i], rows, &shared->columns[i], err));
    *out = shared;
    return STATUS_OK;
fail:
    shared_destroy(shared);
    return st;
}

Status chunk_share(const Chunk *in, Budget *budget, const char *who, SharedChunk **out, Error *err) {
    return share(in, budget, who, false, out, err);
}

Status chunk_copy(const Chunk *in, Budget *budget, const char *who, SharedChunk **out, Error *err) {
    return share(in, budget, who, true, out, err);
}

SharedChunk *shared_chunk_retain(SharedChunk *shared) {
    atomic_fetch_add_explicit(&shared->reference_count, 1, memory_order_relaxed);
    return shared;
}

void shared_chunk_release(SharedChunk *shared) {
    if (!shared)
        return;
    /* As in buffer_release: every reader is done before the last one frees. */
    uint32_t before = atomic_fetch_sub_explicit(&shared->reference_count, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        shared_destroy(shared);
}

const Chunk *shared_chunk_view(const SharedChunk *shared) {
    return &shared->chunk;
}

size_t shared_chunk_size_bytes(const SharedChunk *shared) {
    return shared->size_bytes;
}

/* ---- checking ---- */

static void require(bool holds, const char *column, uint32_t row, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "leat: chunk_verify: column '%s', row %" PRIu32 ": %s\n", column, row, what);
    abort();
}

static void verify_view(const Column *column, const char *name, uint32_t row) {
    const View *view = (const View *)column->data + row;
    if (view->size <= VIEW_INLINE_MAX) {
        for (uint32_t i = view->size; i < VIEW_INLINE_MAX; i++)
            require(view->inlined[i] == 0, name, row, "unused bytes of a short string are not zero");
        return;
    }
    require(view->buffer < column->buffer_count, name, row,
            "a view of a buffer that the column does not have");
    const Buffer *buffer = column->buffers[view->buffer];
    require(view->offset <= buffer->size && view->size <= buffer->size - view->offset, name, row,
            "a view reaches behind its buffer");
    require(memcmp(view->prefix, buffer->data + view->offset, 4) == 0, name, row,
            "the prefix of a view is wrong");
}

static bool is_zero_behind_null(const Column *column, uint32_t row) {
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        return !bitmap_get(column->data, row);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        return word_load(column->data, row, column->type->kind) == 0;
    case LEAT_DECIMAL:
        return column_decimal(column, row) == 0;
    case LEAT_STRING:
    case LEAT_BINARY:
        return ((const View *)column->data)[row].size == 0;
    case LEAT_ARRAY:
    case LEAT_MAP:
        return ((const int32_t *)column->data)[row] == ((const int32_t *)column->data)[row + 1];
    case LEAT_STRUCT:
        for (uint32_t i = 0; i < column->type->field_count; i++)
            if (!column_is_null(&column->children[i], row))
                return false;
        return true;
    }
    return false;
}

static void verify_column(const Column *column, const Type *type, const char *name, uint32_t row_count) {
    require(type_equal(column->type, type), name, 0, "its type is not that of the schema");
    require(!column->is_constant || type->field_count == 0, name, 0, "a nested column cannot be constant");
    if (column->is_constant)
        row_count = 1;
    require(column->data || row_count == 0 || type->kind == LEAT_STRUCT, name, 0, "there is no data");
    require(column->children || type->field_count == 0, name, 0, "there are no children");
    if (type_is_string(type->kind))
        for (uint32_t row = 0; row < row_count; row++)
            verify_view(column, name, row);
    for (uint32_t row = 0; type->kind == LEAT_DECIMAL && row < row_count; row++) /* I6 */
        require(decimal_fits(((const LeatDecimal *)column->data)[row], type->precision), name, row,
                "more digits than the precision");
    if (type_is_list(type->kind) && column->data) {
        const int32_t *offsets = column->data;
        require(offsets[0] >= 0, name, 0, "an offset is negative");
        for (uint32_t row = 0; row < row_count; row++)
            require(offsets[row] <= offsets[row + 1], name, row, "offsets descend");
        for (uint32_t i = 0; i < type->field_count; i++)
            verify_column(&column->children[i], &type->fields[i].type, name, (uint32_t)offsets[row_count]);
        for (int32_t i = offsets[0]; type->kind == LEAT_MAP && i < offsets[row_count]; i++) /* I6 */
            require(!column_is_null(&column->children[0], (uint32_t)i), name, (uint32_t)i, "a key is null");
    }
    if (type->kind == LEAT_STRUCT)
        for (uint32_t i = 0; i < type->field_count; i++)
            verify_column(&column->children[i], &type->fields[i].type, type->fields[i].name, row_count);
    if (column->validity)
        for (uint32_t row = 0; row < row_count; row++)
            require(bitmap_get(column->validity, row) || is_zero_behind_null(column, row), name, row,
                    "there is a value behind a null");
}

void chunk_verify(const Chunk *chunk) {
    require(chunk->row_count <= CHUNK_ROWS_MAX, "", chunk->row_count, "too many rows");
    require(chunk->selection || chunk->selected_count == chunk->row_count, "", 0,
            "rows are missing from the count");
    if (chunk->selection)
        for (uint32_t i = 0; i < chunk->selected_count; i++)
            require(chunk->selection[i] < chunk->row_count &&
                        (i == 0 || chunk->selection[i - 1] < chunk->selection[i]),
                    "", i, "the selection is not ascending within the rows");
    for (uint32_t i = 0; i < chunk->schema->column_count; i++)
        verify_column(&chunk->columns[i], &chunk->schema->fields[i].type, chunk->schema->fields[i].name,
                      chunk->row_count);
}

/* ---- showing ---- */

void column_format(const Column *column, uint32_t row, Text *out) {
    if (column_is_null(column, row)) {
        text_append(out, STR("None"));
        return;
    }
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        literal_bool(column_bool(column, row), out);
        return;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
        literal_i64((int64_t)column_word(column, row), out);
        return;
    case LEAT_FLOAT:
        literal_f64((double)column_f32(column, row), out);
        return;
    case LEAT_DOUBLE:
        literal_f64(column_f64(column, row), out);
        return;
    case LEAT_DECIMAL:
        literal_decimal(column_decimal(column, row), column->type->scale, out);
        return;
    case LEAT_STRING:
        literal_string(column_str(column, row), out);
        return;
    case LEAT_BINARY:
        literal_binary(column_str(column, row), out);
        return;
    case LEAT_DATE:
        literal_date(column_i32(column, row), out);
        return;
    case LEAT_TIMESTAMP:
        literal_timestamp(column_i64(column, row), out);
        return;
    case LEAT_ARRAY: {
        const int32_t *offsets = column->data;
        text_append_byte(out, '[');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            column_format(&column->children[0], (uint32_t)i, out);
        }
        text_append_byte(out, ']');
        return;
    }
    case LEAT_STRUCT:
        text_append(out, STR("Row("));
        for (uint32_t i = 0; i < column->type->field_count; i++) {
            text_appendf(out, "%s%s=", i ? ", " : "", column->type->fields[i].name);
            column_format(&column->children[i], row, out);
        }
        text_append_byte(out, ')');
        return;
    case LEAT_MAP: {
        const int32_t *offsets = column->data;
        text_append_byte(out, '{');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            column_format(&column->children[0], (uint32_t)i, out);
            text_append(out, STR(": "));
            column_format(&column->children[1], (uint32_t)i, out);
        }
        text_append_byte(out, '}');
        return;
    }
    }
}

void chunk_format(const Chunk *chunk, Text *out) {
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        text_append_byte(out, '(');
        for (uint32_t c = 0; c < chunk->schema->column_count; c++) {
            if (c > 0)
                text_append(out, STR(", "));
            column_format(&chunk->columns[c], chunk_row(chunk, i), out);
        }
        text_append(out, STR(")\n"));
    }
}
