/* chunk_reader.c - chunks the way functions of the user see them. Only strings are made anew: a view becomes
 * a LeatStr that points into the view when it is short, into its buffer else. */
#include "column/array.h"
#include "column/builder.h"

#include <stdlib.h>

typedef struct ReaderColumn {
    Array strs;                    /* LeatStr[], for strings */
    struct ReaderColumn *children; /* type->field_count */
    LeatColumn *child_columns;     /* the same, as functions see them */
} ReaderColumn;

struct ChunkReader {
    const Schema *schema;
    Budget *budget;
    const char *who;
    ReaderColumn *columns;
    LeatColumn *out;
    Array bases; /* const char *[], of the column being bound */
};

CHECKED static Status strs_reserve(ChunkReader *r, ReaderColumn *column, uint32_t count, Error *err) {
    size_t size_bytes = count * sizeof(LeatStr), doubled = 2 * column->strs.size_bytes;
    if (column->strs.data && size_bytes <= column->strs.size_bytes)
        return STATUS_OK;
    return array_reserve(&column->strs, 0, size_bytes < doubled ? doubled : size_bytes, r->budget, r->who,
                         err);
}

CHECKED static Status column_init(ChunkReader *r, ReaderColumn *column, const Type *type, Error *err) {
    if (type_is_string(type->kind))
        TRY(strs_reserve(r, column, CHUNK_ROWS_MAX, err));
    if (type->field_count == 0)
        return STATUS_OK;
    column->children = xcalloc(type->field_count, sizeof *column->children);
    column->child_columns = xcalloc(type->field_count, sizeof *column->child_columns);
    for (uint32_t i = 0; i < type->field_count; i++)
        TRY(column_init(r, &column->children[i], &type->fields[i].type, err));
    return STATUS_OK;
}

static void column_deinit(ChunkReader *r, ReaderColumn *column, const Type *type) {
    if (column->children)
        for (uint32_t i = 0; i < type->field_count; i++)
            column_deinit(r, &column->children[i], &type->fields[i].type);
    free(column->children);
    free(column->child_columns);
    array_deinit(&column->strs, r->budget);
}

Status chunk_reader_create(const Schema *schema, Budget *budget, const char *who, ChunkReader **out,
                           Error *err) {
    Status st = STATUS_OK;
    ChunkReader *r = xcalloc(1, sizeof *r);
    *out = NULL;
    *r = (ChunkReader){.schema = schema, .budget = budget, .who = who};
    r->columns = xcalloc(schema->column_count, sizeof *r->columns);
    r->out = xcalloc(schema->column_count, sizeof *r->out);
    for (uint32_t i = 0; i < schema->column_count; i++)
        TRY_GOTO(fail, column_init(r, &r->columns[i], &schema->fields[i].type, err));
    *out = r;
    return STATUS_OK;
fail:
    chunk_reader_destroy(r);
    return st;
}

void chunk_reader_destroy(ChunkReader *r) {
    if (!r)
        return;
    for (uint32_t i = 0; i < r->schema->column_count; i++)
        column_deinit(r, &r->columns[i], &r->schema->fields[i].type);
    array_deinit(&r->bases, r->budget);
    free(r->columns);
    free(r->out);
    free(r);
}

/* Both address computations are done for every row and one is chosen: no branch to mispredict. As integers,
 * because the one that is not chosen may be no address at all. */
static void strs_of_one_buffer(const View *views, uint32_t count, const char *base, LeatStr *out) {
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t inlined = (uintptr_t)views[i].inlined, distant = (uintptr_t)base + views[i].offset;
        out[i] =
            (LeatStr){(const char *)(views[i].size <= VIEW_INLINE_MAX ? inlined : distant), views[i].size};
    }
}

static void strs_of_buffers(const View *views, uint32_t count, const char *const *bases, LeatStr *out) {
    for (uint32_t i = 0; i < count; i++) {
        bool is_inline = views[i].size <= VIEW_INLINE_MAX;
        uintptr_t inlined = (uintptr_t)views[i].inlined;
        uintptr_t distant = (uintptr_t)bases[is_inline ? 0 : views[i].buffer] + views[i].offset;
        out[i] = (LeatStr){(const char *)(is_inline ? inlined : distant), views[i].size};
    }
}

CHECKED static Status bind_strings(ChunkReader *r, ReaderColumn *column, const Column *in, uint32_t count,
                                   Error *err) {
    TRY(strs_reserve(r, column, count, err));
    if (in->buffer_count <= 1) {
        strs_of_one_buffer(in->data, count, in->buffer_count ? in->buffers[0]->data : NULL,
                           column->strs.data);
        return STATUS_OK;
    }
    TRY(array_reserve(&r->bases, 0, in->buffer_count * sizeof(char *), r->budget, r->who, err));
    const char **bases = r->bases.data;
    for (uint32_t i = 0; i < in->buffer_count; i++)
        bases[i] = in->buffers[i]->data;
    strs_of_buffers(in->data, count, bases, column->strs.data);
    return STATUS_OK;
}

CHECKED static Status bind_column(ChunkReader *r, ReaderColumn *column, const Column *in, uint32_t row_count,
                                  LeatColumn *out, Error *err) {
    const Type *type = in->type;
    *out = (LeatColumn){.data = in->data,
                        .validity = in->validity,
                        .row_mask = in->is_constant ? 0 : UINT32_MAX,
                        .type = type->kind,
                        .child_count = type->field_count,
                        .precision = type->precision,
                        .scale = type->scale,
                        .children = column->child_columns};
    if (type_is_string(type->kind)) {
        TRY(bind_strings(r, column, in, in->is_constant ? 1 : row_count, err));
        out->data = column->strs.data;
    }
    uint32_t child_row_count = row_count;
    if (type_is_list(type->kind)) {
        const int32_t *offsets = in->data;
        child_row_count = row_count ? (uint32_t)offsets[row_count] : 0;
    }
    for (uint32_t i = 0; i < type->field_count; i++)
        TRY(bind_column(r, &column->children[i], &in->children[i], child_row_count, &column->child_columns[i],
                        err));
    return STATUS_OK;
}

Status chunk_reader_bind(ChunkReader *r, const Chunk *chunk, LeatChunk *out, Error *err) {
    ASSERT(chunk->schema->column_count == r->schema->column_count);
    for (uint32_t i = 0; i < r->schema->column_count; i++)
        TRY(bind_column(r, &r->columns[i], &chunk->columns[i], chunk->row_count, &r->out[i], err));
    *out = (LeatChunk){r->out, r->schema->column_count, chunk->row_count};
    return STATUS_OK;
}
