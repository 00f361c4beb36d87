/* op_pair.c - leat_pair_with_i64: the columns of the row and one more that is constant. Nothing is copied. */
#include "exec/operator.h"

#include <stdlib.h>

typedef struct Pair {
    Operator op;
    const Schema *schema;
    int64_t n;
    Column columns[]; /* schema->column_count; the last stands for good */
} Pair;

CHECKED static Status pair_push(Operator *op, const Chunk *in, Error *err) {
    Pair *pair = (Pair *)op;
    memcpy(pair->columns, in->columns, (pair->schema->column_count - 1) * sizeof(Column));
    Chunk out = *in;
    out.schema = pair->schema;
    out.columns = pair->columns;
    return emit_chunk(&pair->op.out, &out, err);
}

static void pair_destroy(Operator *op) {
    free(op);
}

static const OperatorClass pair_class = {.push = pair_push, .destroy = pair_destroy};

Status pair_create(const OperatorContext *context, Operator **out, Error *err) {
    (void)err;
    const Schema *schema = context->node->schema;
    uint32_t last = schema->column_count - 1;
    Pair *pair = xcalloc(1, sizeof *pair + schema->column_count * sizeof(Column));
    pair->op.class = &pair_class;
    pair->schema = schema;
    pair->n = context->node->function.i64;
    pair->columns[last] = (Column){.type = &schema->fields[last].type, .data = &pair->n, .is_constant = true};
    *out = &pair->op;
    return STATUS_OK;
}
