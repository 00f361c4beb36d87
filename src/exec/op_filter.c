/* op_filter.c - filter by a predicate of the user, or by leat_contains. Rows are left out by a selection:
 * nothing is copied. */
#include "exec/operator.h"

#include <stdlib.h>

typedef struct Filter {
    Operator op;
    LeatPredicateFunction predicate;
    void *user;
    ChunkReader *reader; /* NULL: leat_contains */
    Str text;
    uint32_t text_column;
    uint16_t selection[CHUNK_ROWS_MAX];
} Filter;

/* The rows of selection[0, count). */
CHECKED static Status give_selected(Filter *filter, const Chunk *in, uint32_t count, Error *err) {
    if (count == in->selected_count)
        return emit_chunk(&filter->op.out, in, err);
    Chunk out = *in;
    out.selection = filter->selection;
    out.selected_count = count;
    return emit_chunk(&filter->op.out, &out, err);
}

CHECKED static Status push_predicate(Operator *op, const Chunk *in, Error *err) {
    Filter *filter = (Filter *)op;
    LeatChunk seen;
    uint32_t count = 0;
    TRY(chunk_reader_bind(filter->reader, in, &seen, err));
    LeatRow row = {seen.columns, seen.column_count, 0};
    for (uint32_t i = 0; i < in->selected_count; i++) {
        row.index = chunk_row(in, i);
        filter->selection[count] = (uint16_t)row.index;
        count += filter->predicate(&row, filter->user);
    }
    return give_selected(filter, in, count, err);
}

static bool contains(Str s, Str text) {
    return text.size == 0 || (s.size >= text.size && memmem(s.data, s.size, text.data, text.size));
}

CHECKED static Status push_contains(Operator *op, const Chunk *in, Error *err) {
    Filter *filter = (Filter *)op;
    const Column *column = &in->columns[filter->text_column];
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->selected_count; i++) {
        uint32_t row = chunk_row(in, i);
        filter->selection[count] = (uint16_t)row;
        count += !column_is_null(column, row) && contains(column_str(column, row), filter->text);
    }
    return give_selected(filter, in, count, err);
}

static void filter_destroy(Operator *op) {
    Filter *filter = (Filter *)op;
    chunk_reader_destroy(filter->reader);
    free(filter);
}

static const OperatorClass predicate_class = {.push = push_predicate, .destroy = filter_destroy};
static const OperatorClass contains_class = {.push = push_contains, .destroy = filter_destroy};

Status filter_create(const OperatorContext *context, Operator **out, Error *err) {
    const PlanNode *node = context->node;
    const Schema *schema = node->inputs[0]->schema;
    Filter *filter = xcalloc(1, sizeof *filter);
    *out = NULL;
    if (node->function.kind == LEAT_FUNCTION_CONTAINS) {
        filter->op.class = &contains_class;
        filter->text = str_from(node->function.text ? node->function.text : "");
        filter->text_column = plan_string_column(schema);
    } else {
        filter->op.class = &predicate_class;
        filter->predicate = node->function.call.predicate;
        filter->user = context->user;
        Status st = chunk_reader_create(schema, context->budget, context->who, &filter->reader, err);
        if (st != STATUS_OK) {
            free(filter);
            return st;
        }
    }
    *out = &filter->op;
    return STATUS_OK;
}
