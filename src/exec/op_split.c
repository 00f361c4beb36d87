/* op_split.c - leat_split where it is not decoded together with lines: a separator of several bytes, or rows
 * that do not come straight from a text source. Parts are views of the same buffers. */
#include "exec/operator.h"

#include <stdlib.h>

typedef struct SplitOperator {
    Operator op;
    const Schema *schema;
    Str separator;
    uint32_t text_column;
    uint64_t sequence;
    uint32_t part_count;
    View parts[CHUNK_ROWS_MAX];
} SplitOperator;

CHECKED static Status give_parts(SplitOperator *split, const Chunk *in, Error *err) {
    const Column *from = &in->columns[split->text_column];
    Column column = {.type = &split->schema->fields[0].type,
                     .data = split->parts,
                     .buffer_count = from->buffer_count,
                     .buffers = from->buffers};
    Chunk out = {.schema = split->schema,
                 .columns = &column,
                 .row_count = split->part_count,
                 .selected_count = split->part_count,
                 .split = in->split,
                 .sequence = split->sequence++};
    split->part_count = 0;
    return emit_chunk(&split->op.out, &out, err);
}

/* As leat_str_split, for a separator of any size. */
static bool next_part(Str *rest, Str separator, Str *part) {
    if (separator.size == 1)
        return leat_str_split(rest, separator.data[0], part);
    if (!rest->data)
        return false;
    const char *at =
        rest->size >= separator.size ? memmem(rest->data, rest->size, separator.data, separator.size) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (Str){NULL, 0};
        return true;
    }
    *part = str_slice(rest->data, (size_t)(at - rest->data));
    *rest = str_slice(at + separator.size, rest->size - part->size - separator.size);
    return true;
}

CHECKED static Status split_push(Operator *op, const Chunk *in, Error *err) {
    SplitOperator *split = (SplitOperator *)op;
    const Column *column = &in->columns[split->text_column];
    for (uint32_t i = 0; i < in->selected_count; i++) {
        uint32_t row = chunk_row(in, i);
        if (column_is_null(column, row)) /* nothing has no parts */
            continue;
        const View *view = (const View *)column->data + (column->is_constant ? 0 : row);
        Str text = column_str(column, row), rest = text, part;
        while (next_part(&rest, split->separator, &part)) {
            /* Parts of a short text are short, so offset and buffer count only where the text has them. */
            uint32_t offset =
                text.size > VIEW_INLINE_MAX ? view->offset + (uint32_t)(part.data - text.data) : 0;
            uint32_t buffer = text.size > VIEW_INLINE_MAX ? view->buffer : 0;
            split->parts[split->part_count++] = view_of(part, buffer, offset);
            if (split->part_count == CHUNK_ROWS_MAX)
                TRY(give_parts(split, in, err));
        }
    }
    return give_parts(split, in, err);
}

static void split_destroy(Operator *op) {
    free(op);
}

static const OperatorClass split_class = {.push = split_push, .destroy = split_destroy};

Status split_create(const OperatorContext *context, Operator **out, Error *err) {
    (void)err;
    SplitOperator *split = xcalloc(1, sizeof *split);
    split->op.class = &split_class;
    split->schema = context->node->schema;
    split->separator = str_from(context->node->function.text);
    split->text_column = plan_string_column(context->node->inputs[0]->schema);
    *out = &split->op;
    return STATUS_OK;
}
