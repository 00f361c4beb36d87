/* op_cogroup.c - the values of each key, of one stream or of two side by side: groupByKey, cogroup and the
 * four joins.
 *
 *   push     rows go into the exchange of their input: kept by split, listed by partition
 *   produce  one task for each partition: its rows are grouped by key (groups.h), and each group gives what
 *            the node's mode says: one row with lists, or a row for each pair of values
 *
 *   C1  Rows leave in the order of the keys' hashes (E3), those of a key in the order of the input: for each
 *       value of the first input the values of the second (Spark's order, which the cross product has there
 *       within a key).
 *   C2  Nothing of a cross product is kept: a chunk of it leaves when it is full. Lists leave before their
 *       chunk has many more than LIST_VALUES_MAX values, unless one key has them all.
 *   C3  A key that is null is a key like others: null joins null, as in Spark's pair operations (SQL has it
 *       otherwise). */
#include "exec/operator.h"

#include "exec/giver.h"
#include "exec/groups.h"

#include <stdlib.h>

enum { LIST_VALUES_MAX = 64 << 10 };

typedef struct CogroupWorker {
    Keys keys[GROUPS_INPUTS_MAX];
    Groups *groups;
    Builder *builder;
} CogroupWorker;

typedef struct Cogroup {
    Producer producer;
    uint32_t input_count, key_count;
    uint32_t value_counts[GROUPS_INPUTS_MAX];
    Exchange *exchanges[GROUPS_INPUTS_MAX];
    CogroupWorker **workers;
    uint32_t worker_count, partition_count;
} Cogroup;

typedef struct CogroupOperator {
    Operator op;
    Exchange *exchange;
    Keys *keys;
} CogroupOperator;

/* ---- rows into the exchanges ---- */

CHECKED static Status cogroup_push(Operator *base, const Chunk *in, Error *err) {
    CogroupOperator *op = (CogroupOperator *)base;
    TRY(keys_read(op->keys, in, err));
    keys_hash(op->keys);
    return exchange_add(op->exchange, in, op->keys->hashes, err);
}

static void cogroup_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass cogroup_operator_class = {.push = cogroup_push,
                                                     .destroy = cogroup_operator_destroy};

CHECKED static Status cogroup_open_operator(Producer *producer, const OperatorContext *context,
                                            Operator **out, Error *err) {
    (void)err;
    Cogroup *cogroup = (Cogroup *)producer;
    CogroupOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &cogroup_operator_class;
    op->exchange = cogroup->exchanges[context->input];
    op->keys = &cogroup->workers[context->worker]->keys[context->input];
    *out = &op->op;
    return STATUS_OK;
}

static void cogroup_begin(Producer *producer, const ProducerBatch *batch) {
    Cogroup *cogroup = (Cogroup *)producer;
    for (uint32_t k = 0; k < cogroup->input_count; k++)
        exchange_begin(cogroup->exchanges[k], batch->split_counts[k]);
}

static uint32_t cogroup_task_count(const Producer *producer) {
    return ((const Cogroup *)producer)->partition_count;
}

/* ---- groups into rows ---- */

/* A task of produce. */
typedef struct Giving {
    const Cogroup *cogroup;
    Giver giver;
    uint64_t list_values; /* in the chunk at hand */
} Giving;

CHECKED static Status put_list(Giving *giving, uint32_t k, const GroupRows *rows, Error *err) {
    const Cogroup *cogroup = giving->cogroup;
    Builder *builder = giving->giver.builder;
    uint32_t column = cogroup->key_count + k;
    TRY(builder_begin_list(builder, column, err));
    for (uint32_t i = 0; i < rows->count; i++) {
        const Column *values = group_columns(rows, i) + cogroup->key_count;
        uint32_t row = group_row(rows, i);
        TRY(cogroup->value_counts[k] == 1 ? builder_list_value(builder, column, values, row, err)
                                          : builder_list_struct(builder, column, values, row, err));
    }
    giving->list_values += rows->count;
    return STATUS_OK;
}

CHECKED static Status give_lists(Giving *giving, const GroupCursor *group, Error *err) {
    TRY(giver_put_key(&giving->giver, group->key, err));
    for (uint32_t k = 0; k < giving->cogroup->input_count; k++)
        TRY(put_list(giving, k, &group->rows[k], err));
    TRY(giver_end_row(&giving->giver, err));
    if (giving->list_values >= LIST_VALUES_MAX) { /* C2 */
        giving->list_values = 0;
        return giver_finish(&giving->giver, err);
    }
    return STATUS_OK;
}

/* One side of a pair, from *column on. rows->count is 0: the side is absent. */
CHECKED static Status put_side(const Giving *giving, uint32_t k, const GroupRows *rows, uint32_t i,
                               bool is_option, uint32_t *column, Error *err) {
    Builder *builder = giving->giver.builder;
    if (rows->count == 0)
        return builder_put_null(builder, (*column)++, err);
    const Column *values = group_columns(rows, i) + giving->cogroup->key_count;
    uint32_t row = group_row(rows, i);
    if (is_option)
        return builder_put_struct(builder, (*column)++, values, row, err);
    for (uint32_t c = 0; c < giving->cogroup->value_counts[k]; c++)
        TRY(builder_put_value(builder, (*column)++, &values[c], row, err));
    return STATUS_OK;
}

CHECKED static Status give_pairs(Giving *giving, const GroupCursor *group, Error *err) {
    PlanCogroup mode = giving->cogroup->producer.node->cogroup;
    bool left_may_lack = mode == COGROUP_RIGHT || mode == COGROUP_FULL;
    bool right_may_lack = mode == COGROUP_LEFT || mode == COGROUP_FULL;
    const GroupRows *left = &group->rows[0], *right = &group->rows[1];
    if ((left->count == 0 && !left_may_lack) || (right->count == 0 && !right_may_lack))
        return STATUS_OK;
    uint32_t l = 0;
    do {
        uint32_t r = 0;
        do {
            uint32_t column = giving->cogroup->key_count;
            TRY(giver_put_key(&giving->giver, group->key, err));
            TRY(put_side(giving, 0, left, l, left_may_lack, &column, err));
            TRY(put_side(giving, 1, right, r, right_may_lack, &column, err));
            TRY(giver_end_row(&giving->giver, err));
        } while (++r < right->count);
    } while (++l < left->count);
    return STATUS_OK;
}

CHECKED static Status cogroup_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                      const Emit *out, Error *err) {
    const Cogroup *cogroup = (const Cogroup *)producer;
    CogroupWorker *worker = cogroup->workers[worker_index];
    Giving giving = {.cogroup = cogroup,
                     .giver = {.builder = worker->builder,
                               .schema = producer->node->schema,
                               .key_count = cogroup->key_count,
                               .out = out,
                               .split = task}};
    TRY(groups_fill(worker->groups, cogroup->exchanges, task, err));
    builder_reset(worker->builder);
    for (GroupCursor group = groups_cursor(worker->groups); groups_next(&group);)
        TRY(producer->node->cogroup == COGROUP_LISTS ? give_lists(&giving, &group, err)
                                                     : give_pairs(&giving, &group, err));
    return giver_finish(&giving.giver, err);
}

/* ---- making and ending ---- */

static void cogroup_end(Producer *producer) {
    Cogroup *cogroup = (Cogroup *)producer;
    for (uint32_t w = 0; w < cogroup->worker_count; w++) {
        builder_reset(cogroup->workers[w]->builder);
        groups_reset(cogroup->workers[w]->groups);
    }
    for (uint32_t k = 0; k < cogroup->input_count; k++)
        exchange_reset(cogroup->exchanges[k]);
}

static void worker_destroy(const Cogroup *cogroup, CogroupWorker *worker) {
    if (!worker)
        return;
    groups_destroy(worker->groups);
    for (uint32_t k = 0; k < cogroup->input_count; k++)
        keys_deinit(&worker->keys[k]);
    builder_destroy(worker->builder);
    free(worker);
}

static void cogroup_destroy(Producer *producer) {
    Cogroup *cogroup = (Cogroup *)producer;
    for (uint32_t w = 0; w < cogroup->worker_count; w++)
        worker_destroy(cogroup, cogroup->workers[w]);
    for (uint32_t k = 0; k < cogroup->input_count; k++)
        exchange_destroy(cogroup->exchanges[k]);
    free(cogroup->workers);
    free(cogroup);
}

CHECKED static Status worker_create(Cogroup *cogroup, const ProducerOptions *options, uint32_t index,
                                    Error *err) {
    const PlanNode *node = options->node;
    CogroupWorker *worker = xcalloc(1, sizeof *worker);
    cogroup->workers[index] = worker;
    for (uint32_t k = 0; k < cogroup->input_count; k++)
        TRY(keys_init(&worker->keys[k], node->inputs[k]->schema, cogroup->key_count, options->constant_hash,
                      options->budget, options->who, err));
    TRY(groups_create(worker->keys, cogroup->input_count, options->partition_count, options->budget,
                      options->who, &worker->groups, err));
    return builder_create(node->schema, options->budget, options->who, &worker->builder, err);
}

static const ProducerClass cogroup_class = {
    .begin = cogroup_begin,
    .open_operator = cogroup_open_operator,
    .task_count = cogroup_task_count,
    .produce = cogroup_produce,
    .end = cogroup_end,
    .destroy = cogroup_destroy,
};

Status cogroup_create(const ProducerOptions *options, Producer **out, Error *err) {
    const PlanNode *node = options->node;
    Cogroup *cogroup = xcalloc(1, sizeof *cogroup);
    *out = NULL;
    cogroup->producer = (Producer){&cogroup_class, node};
    cogroup->input_count = node->input_count;
    cogroup->key_count = node->schema->key_count;
    cogroup->worker_count = options->worker_count;
    cogroup->partition_count = options->partition_count;
    cogroup->workers = xcalloc(options->worker_count, sizeof *cogroup->workers);
    for (uint32_t k = 0; k < node->input_count; k++) {
        cogroup->value_counts[k] = node->inputs[k]->schema->column_count - cogroup->key_count;
        cogroup->exchanges[k] = exchange_create(options->partition_count, options->budget, options->who);
    }
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++)
        st = worker_create(cogroup, options, w, err);
    if (st != STATUS_OK) {
        cogroup_destroy(&cogroup->producer);
        return st;
    }
    *out = &cogroup->producer;
    return STATUS_OK;
}
