/* op_transform.c - collects the batches of its inputs, has rows made of them, and gives these.
 *
 * They are made in prepare_count, which the engine calls on the driver's thread between two rounds of its
 * workers. The number of splits must be known before: as many as there are partitions, each with an equal share
 * of the partitions of the result, in their order. */
#include "exec/transform.h"

#include "exec/operator.h"

#include <stdlib.h>

typedef struct TransformProducer {
    Producer producer;
    Transform *transform;
    EngineOptions engine;
    Collector **collectors; /* per input */
    const BatchData **inputs;
    EngineBatch batch;
    const BatchData *result; /* NULL: none was made */
    bool has_run;
    Status status; /* of the run */
    Error error;
} TransformProducer;

static void transform_begin(Producer *base, const ProducerBatch *batch) {
    TransformProducer *transform = (TransformProducer *)base;
    transform->batch = batch->batch;
    transform->result = NULL;
    transform->has_run = false;
    for (uint32_t k = 0; k < base->node->input_count; k++)
        collector_begin(transform->collectors[k], batch->split_counts[k]);
}

CHECKED static Status transform_open_operator(Producer *base, const OperatorContext *context, Operator **out,
                                              Error *err) {
    return collector_open_operator(((TransformProducer *)base)->collectors[context->input], out, err);
}

static uint32_t transform_prepare_count(Producer *base) {
    TransformProducer *transform = (TransformProducer *)base;
    for (uint32_t k = 0; k < base->node->input_count; k++)
        transform->inputs[k] = collector_finish(transform->collectors[k]);
    TransformBatch batch = {transform->batch, transform->inputs, transform->engine};
    transform->has_run = true;
    transform->error = (Error){0};
    transform->status =
        transform->transform->class->run(transform->transform, &batch, &transform->result, &transform->error);
    return transform->status != STATUS_OK; /* a part that fails */
}

CHECKED static Status transform_prepare(Producer *base, uint32_t part, Error *err) {
    (void)part;
    const TransformProducer *transform = (TransformProducer *)base;
    if (err)
        *err = transform->error;
    return transform->status;
}

static uint32_t transform_task_count(const Producer *base) {
    return ((const TransformProducer *)base)->engine.partition_count;
}

CHECKED static Status transform_produce(Producer *base, uint32_t worker, uint32_t task, const Emit *out,
                                        Error *err) {
    (void)worker;
    const TransformProducer *transform = (TransformProducer *)base;
    const BatchData *data = transform->result;
    uint64_t task_count = transform->engine.partition_count, sequence = 0;
    uint64_t begin = data->partition_count * (uint64_t)task / task_count;
    uint64_t end = data->partition_count * ((uint64_t)task + 1) / task_count;
    for (uint64_t p = begin; p < end; p++)
        for (uint32_t c = 0; c < data->partitions[p].chunk_count; c++) {
            Chunk chunk = *shared_chunk_view(data->partitions[p].chunks[c]);
            chunk.split = task;
            chunk.sequence = sequence++;
            TRY(emit_chunk(out, &chunk, err));
        }
    return STATUS_OK;
}

static void transform_end(Producer *base) {
    TransformProducer *transform = (TransformProducer *)base;
    if (transform->has_run)
        transform->transform->class->end(transform->transform);
    transform->has_run = false;
    transform->result = NULL;
    for (uint32_t k = 0; k < base->node->input_count; k++)
        collector_reset(transform->collectors[k]);
}

static void transform_destroy(Producer *base) {
    TransformProducer *transform = (TransformProducer *)base;
    transform->transform->class->close(transform->transform);
    for (uint32_t k = 0; k < base->node->input_count; k++)
        collector_destroy(transform->collectors[k]);
    free(transform->collectors);
    free(transform->inputs);
    free(transform);
}

static const ProducerClass transform_class = {
    .begin = transform_begin,
    .open_operator = transform_open_operator,
    .prepare_count = transform_prepare_count,
    .prepare = transform_prepare,
    .task_count = transform_task_count,
    .produce = transform_produce,
    .end = transform_end,
    .destroy = transform_destroy,
};

Status transform_create(const ProducerOptions *options, Producer **out, Error *err) {
    (void)err;
    const PlanNode *node = options->node;
    TransformProducer *transform = xcalloc(1, sizeof *transform);
    transform->producer = (Producer){&transform_class, node};
    transform->transform = node->transform;
    transform->engine = *options->engine;
    transform->inputs = xcalloc(node->input_count, sizeof *transform->inputs);
    transform->collectors = xcalloc(node->input_count, sizeof *transform->collectors);
    for (uint32_t k = 0; k < node->input_count; k++)
        transform->collectors[k] =
            collector_create(node->inputs[k]->schema, 0, options->budget, options->who);
    *out = &transform->producer;
    return STATUS_OK;
}
