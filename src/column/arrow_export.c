/* arrow_export.c - columns that grow, and then are what the C data interface points to.
 *
 * A node of the tree is one Arrow array: that of a MAP has one child, a STRUCT of its entries, which has keys
 * and values. When the export is finished each node becomes the private data of its ArrowArray, so that a
 * consumer may move and release each on its own. */
#include "column/arrow.h"

#include "base/bitmap.h"
#include "column/array.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE_MIN = 64 << 10, BLOCK_SIZE_MAX = 256 << 20 }; /* but a longer string gets its own */

typedef struct ExportNode {
    LeatType kind;
    int64_t count, null_count;
    Array validity; /* data NULL: no nulls so far */
    Array data;     /* as Column.data */
    Array *blocks;  /* of strings longer than a view; block_count */
    int64_t *block_sizes;
    size_t block_room; /* of the last block */
    uint32_t block_count, block_capacity;
    uint32_t child_count;
    struct ExportNode **children;
    const void **buffers; /* what ArrowArray points to */
    Budget *budget;
} ExportNode;

struct ArrowExport {
    const Schema *schema;
    ExportNode *root; /* a STRUCT of the columns */
};

/* ---- nodes ---- */

static ExportNode *node_create(LeatType kind, uint32_t child_count, Budget *budget) {
    ExportNode *node = xcalloc(1, sizeof *node);
    node->kind = kind;
    node->budget = budget;
    node->child_count = child_count;
    node->children = xcalloc(child_count + 1, sizeof(ExportNode *));
    return node;
}

static ExportNode *node_of_fields(LeatType kind, const Field *fields, uint32_t count, Budget *budget);

static ExportNode *node_of_type(const Type *type, Budget *budget) {
    if (type->kind != LEAT_MAP)
        return node_of_fields(type->kind, type->fields, type->field_count, budget);
    ExportNode *map = node_create(LEAT_MAP, 1, budget);
    map->children[0] = node_of_fields(LEAT_STRUCT, type->fields, type->field_count, budget);
    return map;
}

static ExportNode *node_of_fields(LeatType kind, const Field *fields, uint32_t count, Budget *budget) {
    ExportNode *node = node_create(kind, count, budget);
    for (uint32_t i = 0; i < count; i++)
        node->children[i] = node_of_type(&fields[i].type, budget);
    return node;
}

/* Without its children. */
static void node_free(ExportNode *node) {
    for (uint32_t i = 0; i < node->block_count; i++)
        array_deinit(&node->blocks[i], node->budget);
    array_deinit(&node->validity, node->budget);
    array_deinit(&node->data, node->budget);
    free(node->blocks);
    free(node->block_sizes);
    free(node->children);
    free(node->buffers);
    free(node);
}

static void node_destroy(ExportNode *node) {
    for (uint32_t i = 0; i < node->child_count; i++)
        node_destroy(node->children[i]);
    node_free(node);
}

ArrowExport *arrow_export_create(const Schema *schema, Budget *budget) {
    ArrowExport *export = xmalloc(sizeof *export);
    *export =
        (ArrowExport){schema, node_of_fields(LEAT_STRUCT, schema->fields, schema->column_count, budget)};
    return export;
}

void arrow_export_destroy(ArrowExport *export) {
    if (!export)
        return;
    node_destroy(export->root);
    free(export);
}

/* ---- growing ---- */

CHECKED static Status grow(const ExportNode *node, Array *array, size_t used_bytes, size_t size_bytes,
                           Error *err) {
    size_t doubled = 2 * array->size_bytes;
    if (array->data && size_bytes <= array->size_bytes)
        return STATUS_OK;
    if (!array->data)
        used_bytes = 0; /* nothing yet: all is valid, the first offset is 0 */
    return array_reserve(array, used_bytes, size_bytes < doubled ? doubled : size_bytes, node->budget,
                         "Arrow export", err);
}

/* Rows [begin, end) of one LeatColumn, behind what there is. */
typedef struct Rows {
    const LeatColumn *column;
    uint32_t begin, count;
} Rows;

static bool is_valid(const LeatColumn *column, uint32_t row) {
    return !column->validity || bitmap_get(column->validity, row & column->row_mask);
}

CHECKED static Status add_validity(ExportNode *node, const Rows *rows, Error *err) {
    if (!rows->column->validity && !node->validity.data)
        return STATUS_OK;
    size_t count = (size_t)node->count;
    bool is_new = !node->validity.data;
    TRY(grow(node, &node->validity, bitmap_size_bytes(count), bitmap_size_bytes(count + rows->count), err));
    uint8_t *bits = node->validity.data;
    if (is_new)
        bitmap_fill(bits, 0, count, true);
    for (uint32_t i = 0; i < rows->count; i++) {
        bool valid = is_valid(rows->column, rows->begin + i);
        bitmap_put(bits, count + i, valid);
        node->null_count += !valid;
    }
    return STATUS_OK;
}

CHECKED static Status add_bits(ExportNode *node, const Rows *rows, Error *err) {
    size_t count = (size_t)node->count;
    TRY(grow(node, &node->data, bitmap_size_bytes(count), bitmap_size_bytes(count + rows->count), err));
    for (uint32_t i = 0; i < rows->count; i++)
        bitmap_put(node->data.data, count + i,
                   bitmap_get(rows->column->data, (rows->begin + i) & rows->column->row_mask));
    return STATUS_OK;
}

CHECKED static Status add_values(ExportNode *node, const Rows *rows, Error *err) {
    size_t size = type_value_size(node->kind), count = (size_t)node->count;
    TRY(grow(node, &node->data, count * size, (count + rows->count) * size, err));
    char *to = (char *)node->data.data + count * size;
    const char *from = rows->column->data;
    if (rows->column->row_mask) {
        if (rows->count)
            memcpy(to, from + rows->begin * size, rows->count * size);
    } else {
        for (uint32_t i = 0; i < rows->count; i++)
            memcpy(to + i * size, from, size);
    }
    return STATUS_OK;
}

/* Makes the last block one with room for `size` bytes. */
CHECKED static Status reserve_block(ExportNode *node, size_t size, Error *err) {
    uint32_t count = node->block_count;
    size_t next = count ? 2 * node->block_room : BLOCK_SIZE_MIN;
    if (count && size <= node->block_room - (size_t)node->block_sizes[count - 1])
        return STATUS_OK;
    next = next > BLOCK_SIZE_MAX ? BLOCK_SIZE_MAX : next;
    next = next < size ? size : next;
    if (count == node->block_capacity) {
        node->block_capacity = count ? 2 * count : 4;
        node->blocks = xrealloc(node->blocks, node->block_capacity * sizeof *node->blocks);
        node->block_sizes = xrealloc(node->block_sizes, node->block_capacity * sizeof *node->block_sizes);
    }
    Array block = {0};
    TRY(array_reserve(&block, 0, next, node->budget, "Arrow export", err));
    node->blocks[count] = block;
    node->block_sizes[count] = 0;
    node->block_room = next;
    node->block_count++;
    return STATUS_OK;
}

CHECKED static Status add_string(ExportNode *node, LeatStr str, View *view, Error *err) {
    if (str.size > INT32_MAX)
        return error_set(err, STATUS_UNSUPPORTED, "Arrow export: a string of %zu bytes", str.size);
    *view = view_of(str, 0, 0);
    if (str.size <= VIEW_INLINE_MAX)
        return STATUS_OK;
    TRY(reserve_block(node, str.size, err));
    uint32_t block = node->block_count - 1;
    int64_t *used = &node->block_sizes[block];
    memcpy((char *)node->blocks[block].data + *used, str.data, str.size);
    *view = view_of(str, block, (uint32_t)*used);
    *used += (int64_t)str.size;
    return STATUS_OK;
}

CHECKED static Status add_strings(ExportNode *node, const Rows *rows, Error *err) {
    size_t count = (size_t)node->count;
    TRY(grow(node, &node->data, count * sizeof(View), (count + rows->count) * sizeof(View), err));
    View *views = (View *)node->data.data + count;
    const LeatStr *strs = rows->column->data;
    for (uint32_t i = 0; i < rows->count; i++)
        TRY(add_string(node, strs[(rows->begin + i) & rows->column->row_mask], &views[i], err));
    return STATUS_OK;
}

CHECKED static Status add_rows(ExportNode *node, const Rows *rows, Error *err);

CHECKED static Status add_columns(ExportNode *parent, const LeatColumn *columns, uint32_t begin,
                                  uint32_t count, Error *err) {
    for (uint32_t i = 0; i < parent->child_count; i++)
        TRY(add_rows(parent->children[i], &(Rows){&columns[i], begin, count}, err));
    return STATUS_OK;
}

/* ARRAY and MAP. */
CHECKED static Status add_lists(ExportNode *node, const Rows *rows, Error *err) {
    size_t count = (size_t)node->count;
    if (rows->count == 0)
        return STATUS_OK;
    TRY(grow(node, &node->data, (count + 1) * sizeof(int32_t), (count + 1 + rows->count) * sizeof(int32_t),
             err));
    int32_t *to = (int32_t *)node->data.data + count;
    const int32_t *from = (const int32_t *)rows->column->data + rows->begin;
    uint32_t element_count = (uint32_t)(from[rows->count] - from[0]);
    if (element_count > (uint32_t)(INT32_MAX - to[0]))
        return error_set(err, STATUS_UNSUPPORTED, "Arrow export: a column of lists of more than %d elements",
                         INT32_MAX);
    for (uint32_t i = 0; i < rows->count; i++)
        to[i + 1] = to[0] + (from[i + 1] - from[0]);
    ExportNode *elements = node;
    if (node->kind == LEAT_MAP) {
        elements = node->children[0];
        elements->count += element_count;
    }
    return add_columns(elements, rows->column->children, (uint32_t)from[0], element_count, err);
}

CHECKED static Status add_data(ExportNode *node, const Rows *rows, Error *err) {
    switch (node->kind) {
    case LEAT_BOOLEAN:
        return add_bits(node, rows, err);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DECIMAL:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        return add_values(node, rows, err);
    case LEAT_STRING:
    case LEAT_BINARY:
        return add_strings(node, rows, err);
    case LEAT_ARRAY:
    case LEAT_MAP:
        return add_lists(node, rows, err);
    case LEAT_STRUCT:
        return add_columns(node, rows->column->children, rows->begin, rows->count, err);
    }
    return STATUS_OK;
}

CHECKED static Status add_rows(ExportNode *node, const Rows *rows, Error *err) {
    TRY(add_validity(node, rows, err));
    TRY(add_data(node, rows, err));
    node->count += rows->count;
    return STATUS_OK;
}

Status arrow_export_add(ArrowExport *export, const LeatChunk *chunk, Error *err) {
    ASSERT(chunk->column_count == export->schema->column_count);
    TRY(add_columns(export->root, chunk->columns, 0, chunk->row_count, err));
    export->root->count += chunk->row_count;
    return STATUS_OK;
}

/* ---- the array ---- */

static void array_release(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child->release) /* not moved away */
            child->release(child);
        free(child);
    }
    free(array->children);
    node_free(array->private_data);
    array->release = NULL;
}

/* Takes the node. */
static void array_of_node(ExportNode *node, struct ArrowArray *array) {
    static const int32_t no_offsets[2] = {0}; /* what buffers without a byte point to */
    bool is_string = type_is_string(node->kind);
    uint32_t buffer_count = node->kind == LEAT_STRUCT ? 1 : is_string ? 3 + node->block_count : 2;
    node->buffers = xcalloc(buffer_count, sizeof *node->buffers);
    node->buffers[0] = node->null_count ? node->validity.data : NULL;
    if (node->kind != LEAT_STRUCT)
        node->buffers[1] = node->data.data ? node->data.data : no_offsets;
    for (uint32_t i = 0; is_string && i < node->block_count; i++)
        node->buffers[2 + i] = node->blocks[i].data;
    if (is_string)
        node->buffers[buffer_count - 1] = node->block_count ? (const void *)node->block_sizes : no_offsets;
    *array = (struct ArrowArray){.length = node->count,
                                 .null_count = node->null_count,
                                 .n_buffers = buffer_count,
                                 .n_children = node->child_count,
                                 .buffers = node->buffers,
                                 .release = array_release,
                                 .private_data = node};
    array->children = xcalloc(node->child_count + 1, sizeof *array->children);
    for (uint32_t i = 0; i < node->child_count; i++) {
        array->children[i] = xmalloc(sizeof(struct ArrowArray));
        array_of_node(node->children[i], array->children[i]);
    }
}

/* ---- the schema ---- */

static void schema_release(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child->release)
            child->release(child);
        free(child);
    }
    free(schema->children);
    free(schema->private_data); /* name, then format */
    schema->release = NULL;
}

static void format_of(const Type *type, Text *out) {
    static const char *const formats[] = {
        [LEAT_BOOLEAN] = "b", [LEAT_TINYINT] = "c", [LEAT_SMALLINT] = "s", [LEAT_INT] = "i",
        [LEAT_BIGINT] = "l",  [LEAT_FLOAT] = "f",   [LEAT_DOUBLE] = "g",   [LEAT_DECIMAL] = "d:",
        [LEAT_STRING] = "vu", [LEAT_BINARY] = "vz", [LEAT_DATE] = "tdD",   [LEAT_TIMESTAMP] = "tsu:UTC",
        [LEAT_ARRAY] = "+l",  [LEAT_STRUCT] = "+s", [LEAT_MAP] = "+m",
    };
    text_append(out, str_from(formats[type->kind]));
    if (type->kind == LEAT_DECIMAL)
        text_appendf(out, "%u,%u", type->precision, type->scale);
}

static void schema_of_field(const char *name, const Type *type, struct ArrowSchema *schema);

/* Children follow. */
static void schema_node(const char *name, const Type *type, uint32_t child_count,
                        struct ArrowSchema *schema) {
    Text text = {0};
    text_append(&text, str_from(name));
    text_append_byte(&text, 0);
    size_t format_at = text.size;
    format_of(type, &text);
    *schema = (struct ArrowSchema){.name = text.data,
                                   .format = text.data + format_at,
                                   .flags = ARROW_FLAG_NULLABLE,
                                   .n_children = child_count,
                                   .release = schema_release,
                                   .private_data = text.data}; /* keeps the text */
    schema->children = xcalloc(child_count + 1, sizeof *schema->children);
    for (uint32_t i = 0; i < child_count; i++)
        schema->children[i] = xmalloc(sizeof(struct ArrowSchema));
}

static void schema_of_fields(const char *name, const Type *type, struct ArrowSchema *schema) {
    schema_node(name, type, type->field_count, schema);
    for (uint32_t i = 0; i < type->field_count; i++)
        schema_of_field(type->kind == LEAT_ARRAY ? "item" : type->fields[i].name, &type->fields[i].type,
                        schema->children[i]);
}

static void schema_of_field(const char *name, const Type *type, struct ArrowSchema *schema) {
    if (type->kind != LEAT_MAP) {
        schema_of_fields(name, type, schema);
        return;
    }
    const Type entries = {.kind = LEAT_STRUCT, .field_count = type->field_count, .fields = type->fields};
    schema_node(name, type, 1, schema);
    schema_of_fields("entries", &entries, schema->children[0]);
    schema->children[0]->flags = 0; /* neither entries nor keys are ever null */
    schema->children[0]->children[0]->flags = 0;
}

void arrow_export_finish(ArrowExport *export, struct ArrowSchema *schema, struct ArrowArray *array) {
    const Type columns = {
        .kind = LEAT_STRUCT, .field_count = export->schema->column_count, .fields = export->schema->fields};
    schema_of_fields("", &columns, schema);
    schema->flags = 0;
    array_of_node(export->root, array);
    free(export);
}

/* ---- leat/arrow.h ---- */

static bool chunk_fits(const LeatColumn *columns, uint32_t column_count, const Field *fields,
                       uint32_t count) {
    if (column_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const Type *type = &fields[i].type;
        if (columns[i].type != type->kind || columns[i].precision != type->precision ||
            columns[i].scale != type->scale ||
            !chunk_fits(columns[i].children, columns[i].child_count, type->fields, type->field_count))
            return false;
    }
    return true;
}

CHECKED static Status chunk_to_arrow(const LeatChunk *chunk, const char *types, Arena *arena,
                                     struct ArrowSchema *schema, struct ArrowArray *array, Error *err) {
    Schema *columns;
    TRY(schema_parse(arena, str_from(types), 0, &columns, err));
    if (!chunk_fits(chunk->columns, chunk->column_count, columns->fields, columns->column_count))
        return error_set(err, STATUS_INVALID, "the columns of the chunk are not those of \"%s\"", types);
    ArrowExport *export = arrow_export_create(columns, NULL);
    Status st = arrow_export_add(export, chunk, err);
    if (st != STATUS_OK) {
        arrow_export_destroy(export);
        return st;
    }
    arrow_export_finish(export, schema, array);
    return STATUS_OK;
}

bool leat_chunk_to_arrow(const LeatChunk *chunk, const char *types, struct ArrowSchema *schema,
                         struct ArrowArray *array, char message[LEAT_ARROW_MESSAGE_SIZE]) {
    Error err = {0};
    Arena *arena = arena_create(NULL, "leat_chunk_to_arrow");
    Status st = chunk_to_arrow(chunk, types, arena, schema, array, &err);
    arena_destroy(arena);
    if (st != STATUS_OK)
        snprintf(message, LEAT_ARROW_MESSAGE_SIZE, "leat_chunk_to_arrow: %.480s", err.message);
    return st == STATUS_OK;
}
