/* transform.c - transform, transformWith, and the transform of a context: a function of the user that builds on
 * the batches of streams, as a Transform of the engine. */
#include "dstream/batch_context.h"
#include "dstream/build.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct StreamTransform {
    Transform transform;
    const char *call;
    BatchContext *batches;
    const Schema **schemas; /* of the streams, with their keys */
    LeatStream **handles;   /* of this batch */
    uint32_t count;
    const Schema *schema; /* of the result */
    LeatTransformFunction of_one;
    LeatTransformWithFunction of_two;
    LeatTransformAllFunction of_all;
    void *user;
} StreamTransform;

/* ---- in a batch ---- */

static LeatStream *call_function(const StreamTransform *transform, int64_t time_ms) {
    LeatStream *const *handles = transform->handles;
    if (transform->of_one)
        return transform->of_one(handles[0], time_ms, transform->user);
    if (transform->of_two)
        return transform->of_two(handles[0], handles[1], time_ms, transform->user);
    return transform->of_all(handles, (int)transform->count, time_ms, transform->user);
}

CHECKED static Status check_result(const StreamTransform *transform, const Schema *schema, Error *err) {
    bool is_same = schema->column_count == transform->schema->column_count;
    for (uint32_t c = 0; is_same && c < schema->column_count; c++)
        is_same = type_equal(&schema->fields[c].type, &transform->schema->fields[c].type);
    return is_same ? STATUS_OK
                   : error_set(err, STATUS_INVALID, "the function gave rows of %s, not of %s",
                               build_schema_text(schema).text, build_schema_text(transform->schema).text);
}

CHECKED static Status run_function(StreamTransform *transform, const TransformBatch *batch,
                                   const BatchData **out, Error *err) {
    batch_context_begin(transform->batches, batch->engine, batch->batch);
    for (uint32_t i = 0; i < transform->count; i++)
        transform->handles[i] =
            batch_context_input(transform->batches, transform->schemas[i], batch->inputs[i]);
    LeatStream *result = call_function(transform, batch->batch.time_ms);
    TRY(batch_context_status(transform->batches, err));
    if (result)
        TRY(check_result(transform, result->schema, err));
    return batch_context_run(transform->batches, result, out, err);
}

CHECKED static Status transform_run(Transform *base, const TransformBatch *batch, const BatchData **out,
                                    Error *err) {
    StreamTransform *transform = (StreamTransform *)base;
    Status st = run_function(transform, batch, out, err);
    return error_context(err, st, "%s: batch %" PRId64 " ms", transform->call, batch->batch.time_ms);
}

static void transform_end(Transform *base) {
    batch_context_end(((StreamTransform *)base)->batches);
}

static void transform_close(Transform *base) {
    batch_context_close(((StreamTransform *)base)->batches);
}

static void transform_destroy(Transform *base) {
    StreamTransform *transform = (StreamTransform *)base;
    batch_context_destroy(transform->batches);
    free(transform->schemas);
    free(transform->handles);
    free(transform);
}

static const TransformClass transform_class = {
    .run = transform_run, .end = transform_end, .close = transform_close, .destroy = transform_destroy};

/* ---- building ---- */

static StreamTransform *transform_create(LeatContext *context, const char *call, LeatStream *const *streams,
                                         uint32_t count) {
    StreamTransform *transform = xcalloc(1, sizeof *transform);
    transform->transform.class = &transform_class;
    transform->call = call;
    transform->batches = batch_context_create(context, call);
    transform->schemas = xcalloc(count, sizeof *transform->schemas);
    transform->handles = xcalloc(count, sizeof *transform->handles);
    transform->count = count;
    for (uint32_t i = 0; i < count; i++)
        transform->schemas[i] = streams[i]->schema;
    context->transforms =
        xrealloc(context->transforms, (context->transform_count + 1) * sizeof *context->transforms); /* C4 */
    context->transforms[context->transform_count++] = &transform->transform;
    return transform;
}

/* Are the streams all there, of the context, and with a batch at the same times? */
static bool can_transform(LeatContext *context, const char *call, LeatStream *const *streams,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!streams[i])
            return false;
        if (streams[i]->context != context) {
            context_refuse(context, STATUS_INVALID, "%s: the streams belong to different contexts", call);
            return false;
        }
        if (streams[i]->node->slide != streams[0]->node->slide) {
            context_refuse(context, STATUS_INVALID,
                           "%s: the streams have different slide durations: %" PRId64 " ms and %" PRId64
                           " ms",
                           call, build_slide_ms(streams[0]), build_slide_ms(streams[i]));
            return false;
        }
    }
    if (!context_can_build(context, call))
        return false;
    if (context->batches)
        context_refuse(context, STATUS_INVALID,
                       "%s: has no meaning inside of a batch; what it does can be done at once", call);
    return !context->batches;
}

/* `how` has the function, and its user. */
static LeatStream *add_transform(LeatContext *context, const char *call, LeatStream *const *streams,
                                 uint32_t count, const char *schema_text, StreamTransform how) {
    if (!can_transform(context, call, streams, count))
        return NULL;
    if (!how.of_one && !how.of_two && !how.of_all)
        return context_refuse(context, STATUS_INVALID, "%s: the function is NULL", call);
    const Schema *schema = schema_text ? build_schema(context, call, schema_text, 0) : streams[0]->schema;
    if (!schema)
        return NULL;
    PlanNode **inputs = xcalloc(count, sizeof *inputs);
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = streams[i]->node;
    StreamTransform *transform = transform_create(context, call, streams, count);
    transform->schema = schema;
    transform->of_one = how.of_one;
    transform->of_two = how.of_two;
    transform->of_all = how.of_all;
    transform->user = how.user;
    PlanNode *node = plan_add(context->plan, PLAN_TRANSFORM, call, inputs, count);
    node->schema = schema;
    node->transform = &transform->transform;
    free(inputs);
    return build_stream(context, node, schema);
}

LeatStream *leat_transform(LeatStream *stream, const char *schema, LeatTransformFunction function,
                           void *user) {
    if (!stream)
        return NULL;
    return add_transform(stream->context, "leat_transform", &stream, 1, schema,
                         (StreamTransform){.of_one = function, .user = user});
}

LeatStream *leat_transform_with(LeatStream *a, LeatStream *b, const char *schema,
                                LeatTransformWithFunction function, void *user) {
    if (!a)
        return NULL;
    LeatStream *streams[] = {a, b};
    return add_transform(a->context, "leat_transform_with", streams, 2, schema,
                         (StreamTransform){.of_two = function, .user = user});
}

LeatStream *leat_transform_all(LeatContext *context, LeatStream *const *streams, int count,
                               const char *schema, LeatTransformAllFunction function, void *user) {
    const char *call = "leat_transform_all";
    if (count < 1)
        return context_refuse(context, STATUS_INVALID, "%s: %d streams; at least 1 is needed", call, count);
    return add_transform(context, call, streams, (uint32_t)count, schema,
                         (StreamTransform){.of_all = function, .user = user});
}
