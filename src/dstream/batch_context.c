/* batch_context.c - see batch_context.h. */
#include "dstream/batch_context.h"

#include "dstream/batch.h"
#include "dstream/build.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a source of a batch's plan refers to: the same one for the n-th handle of every batch, so that equal
 * plans are found again. */
typedef struct BatchInput {
    const BatchData *data;
} BatchInput;

/* What the n-th run of a batch was compiled to. */
typedef struct Compiled {
    Plan *plan;
    Engine *engine; /* NULL: the first batch is still to come, or it could not be made */
    bool is_in_batch;
} Compiled;

struct BatchContext {
    LeatContext context; /* of the streams of a batch */
    LeatContext *program;
    const char *call;
    EngineOptions engine;
    EngineBatch batch;

    BatchInput **inputs;
    uint32_t input_count, input_capacity; /* in this batch; made */
    Compiled *compiled;
    uint32_t run_count, compiled_count;
    LeatBatch *looks; /* made in this batch */
};

struct ConstantRows {
    const PlanNode *node;
    BatchData data;
    Plan *plan; /* has the types of the chunks */
    ConstantRows *next;
};

/* ---- making and ending ---- */

BatchContext *batch_context_create(LeatContext *program, const char *call) {
    BatchContext *batches = xcalloc(1, sizeof *batches);
    batches->program = program;
    batches->call = call;
    batches->context = (LeatContext){
        .env = program->env,
        .options = {.program = program->options.program, .interval_ms = program->options.interval_ms},
        .mutex = env_mutex_create(program->env),
        .batches = batches};
    return batches;
}

void batch_context_destroy(BatchContext *batches) {
    if (!batches)
        return;
    batch_context_end(batches);
    batch_context_close(batches);
    for (uint32_t i = 0; i < batches->input_capacity; i++)
        free(batches->inputs[i]);
    free(batches->inputs);
    free(batches->compiled);
    env_mutex_destroy(batches->context.env, batches->context.mutex);
    free(batches);
}

void batch_context_begin(BatchContext *batches, EngineOptions engine, EngineBatch batch) {
    batch_context_end(batches);
    batches->engine = engine;
    batches->batch = batch;
    batches->context.plan = plan_create();
}

static void end_run(Compiled *compiled) {
    if (compiled->is_in_batch)
        engine_rollback(compiled->engine);
    compiled->is_in_batch = false;
}

void batch_context_end(BatchContext *batches) {
    LeatContext *context = &batches->context;
    batch_destroy_all(batches->looks);
    batches->looks = NULL;
    for (uint32_t i = 0; i < batches->compiled_count; i++)
        end_run(&batches->compiled[i]);
    batches->run_count = batches->input_count = 0;
    context_destroy_owned(context);
    plan_destroy(context->plan);
    context->plan = NULL;
    context->error = (Error){0};
}

static void compiled_reset(Compiled *compiled) {
    end_run(compiled);
    engine_destroy(compiled->engine);
    plan_destroy(compiled->plan);
    *compiled = (Compiled){0};
}

void batch_context_close(BatchContext *batches) {
    for (uint32_t i = 0; i < batches->compiled_count; i++)
        compiled_reset(&batches->compiled[i]);
}

LeatContext *batch_context_inside(BatchContext *batches) {
    return &batches->context;
}

/* ---- mistakes ---- */

Status batch_context_status(BatchContext *batches, Error *err) {
    Error first = batches->context.error; /* only this thread sets it */
    return first.status == STATUS_OK ? STATUS_OK : error_set(err, first.status, "%s", first.message);
}

void batch_context_fail(BatchContext *batches, Status status, const char *message) {
    context_refuse(&batches->context, status, "%s", message);
}

int64_t batch_context_time_ms(const BatchContext *batches) {
    return batches->batch.time_ms;
}

/* ---- handles ---- */

static LeatStream *add_input(BatchContext *batches, const Schema *schema, BatchInput *input) {
    LeatContext *context = &batches->context;
    PlanNode *node = plan_add(context->plan, PLAN_SOURCE, batches->call, NULL, 0);
    node->schema = schema;
    node->source = input;
    node->source_kind = "batch";
    return build_stream(context, node, schema);
}

LeatStream *batch_context_input(BatchContext *batches, const Schema *schema, const BatchData *data) {
    if (batches->input_count == batches->input_capacity) {
        batches->inputs = xrealloc(batches->inputs, (batches->input_capacity + 1) * sizeof *batches->inputs);
        batches->inputs[batches->input_capacity++] = xcalloc(1, sizeof(BatchInput));
    }
    BatchInput *input = batches->inputs[batches->input_count++];
    input->data = data;
    return add_input(batches, schema, input);
}

LeatBatch *batch_context_batch(BatchContext *batches, const Schema *schema, const BatchData *data) {
    batches->looks = batch_create(batches, schema, data, batches->looks);
    return batches->looks;
}

/* ---- running ---- */

/* On failure there is neither a plan nor an engine. */
CHECKED static Status compile(const char *call, const PlanNode *result, EngineOptions options,
                              Compiled *compiled, Error *err) {
    compiled_reset(compiled);
    TRY(plan_part_create(result, call, &compiled->plan, err));
    Status st = engine_create(compiled->plan, options, &compiled->engine, err);
    if (st != STATUS_OK)
        compiled_reset(compiled);
    return st;
}

/* `data_of` tells what a source of the plan gives. */
CHECKED static Status run_compiled(Compiled *compiled, EngineBatch batch,
                                   const BatchData *(*data_of)(const PlanNode *source), Error *err) {
    const Plan *plan = compiled->plan;
    EngineInput *inputs = xcalloc(plan->node_count, sizeof *inputs);
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (plan->nodes[i]->kind != PLAN_SOURCE)
            continue;
        inputs[count].has_batch = true;
        batch_data_splits(data_of(plan->nodes[i]), &inputs[count].splits);
        count++;
    }
    Status st = engine_run(compiled->engine, inputs, batch, err);
    compiled->is_in_batch = st == STATUS_OK;
    for (uint32_t i = 0; i < count; i++)
        split_list_deinit(&inputs[i].splits);
    free(inputs);
    return st;
}

static const BatchData *data_of_input(const PlanNode *source) {
    return ((const BatchInput *)source->source)->data;
}

Status batch_context_run(BatchContext *batches, LeatStream *stream, const BatchData **out, Error *err) {
    *out = NULL;
    TRY(batch_context_status(batches, err));
    if (!stream)
        return error_set(err, STATUS_CANCELLED, "the function gave NULL");
    if (stream->context != &batches->context)
        stream = batch_context_adopt(batches, stream, "the result");
    if (!stream)
        return batch_context_status(batches, err);
    if (stream->node->kind == PLAN_SOURCE) { /* a handle as it came */
        *out = data_of_input(stream->node);
        return STATUS_OK;
    }
    if (batches->run_count == batches->compiled_count) {
        batches->compiled =
            xrealloc(batches->compiled, (batches->compiled_count + 1) * sizeof *batches->compiled);
        batches->compiled[batches->compiled_count++] = (Compiled){0};
    }
    Compiled *compiled = &batches->compiled[batches->run_count++];
    if (!compiled->engine || !plan_part_equals(compiled->plan, stream->node))
        TRY(compile(batches->call, stream->node, batches->engine, compiled, err));
    TRY(run_compiled(compiled, batches->batch, data_of_input, err));
    *out = engine_output(compiled->engine, 0);
    return STATUS_OK;
}

/* ---- rows that are always the same (BC2) ---- */

static const BatchData *data_of_source(const PlanNode *source) {
    Source *rows = source->source;
    return rows->class->constant_rows ? rows->class->constant_rows(rows) : NULL;
}

static bool is_constant(const PlanNode *node) {
    if (node->kind == PLAN_SOURCE)
        return data_of_source(node);
    for (uint32_t k = 0; k < node->input_count; k++)
        if (!is_constant(node->inputs[k]))
            return false;
    return true;
}

/* The rows belong to the program's context: their memory is not that of a batch, so no budget of one is
 * charged. */
CHECKED static Status compute_constant(BatchContext *batches, const PlanNode *node, const BatchData **out,
                                       Error *err) {
    EngineOptions options = batches->engine;
    options.budget_in_flight = options.budget_state = NULL;
    Compiled once = {0};
    TRY(compile(node->call, node, options, &once, err));
    Status st = run_compiled(&once, batches->batch, data_of_source, err);
    if (st != STATUS_OK) {
        compiled_reset(&once);
        return st;
    }
    ConstantRows *rows = xcalloc(1, sizeof *rows);
    rows->node = node;
    rows->data = batch_data_copy(engine_output(once.engine, 0));
    rows->plan = once.plan;
    rows->next = batches->program->constant_rows;
    batches->program->constant_rows = rows;
    *out = &rows->data;
    end_run(&once);
    engine_destroy(once.engine);
    return STATUS_OK;
}

CHECKED static Status find_constant(BatchContext *batches, const PlanNode *node, const BatchData **out,
                                    Error *err) {
    *out = NULL;
    if (node->kind == PLAN_SOURCE)
        *out = data_of_source(node);
    for (const ConstantRows *rows = batches->program->constant_rows; rows && !*out; rows = rows->next)
        if (rows->node == node)
            *out = &rows->data;
    return *out ? STATUS_OK : compute_constant(batches, node, out, err);
}

void constant_rows_destroy(ConstantRows *first) {
    while (first) {
        ConstantRows *next = first->next;
        batch_data_deinit(&first->data);
        plan_destroy(first->plan);
        free(first);
        first = next;
    }
}

LeatStream *batch_context_adopt(BatchContext *batches, LeatStream *stream, const char *call) {
    LeatContext *context = &batches->context;
    if (stream->context != batches->program)
        return context_refuse(context, STATUS_INVALID, "%s: the streams belong to different contexts", call);
    if (!is_constant(stream->node))
        return context_refuse(context, STATUS_INVALID,
                              "%s: a stream of the program inside of a batch; give it to leat_transform_with "
                              "or leat_transform_all, then its batch stands here",
                              call);
    const BatchData *data = NULL;
    Error err = {0};
    Status st = find_constant(batches, stream->node, &data, &err);
    if (st != STATUS_OK)
        return context_refuse(context, st, "%s", err.message);
    return batch_context_input(batches, stream->schema, data);
}
