/* stream.c - the calls that build: each checks what it is given against the stream's schema and adds a node
 * to the plan.
 *
 * Every check names the call, says what was expected, and shows the schema at hand. What is checked here is
 * not checked again below: the engine asserts it. */
#include "dstream/build.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- sources and outputs ---- */

static void own_source(LeatContext *context, Source *source) {
    context->sources = xrealloc(context->sources, (context->source_count + 1) * sizeof *context->sources);
    context->sources[context->source_count++] = source;
}

static void own_output(LeatContext *context, Output *output) {
    context->outputs = xrealloc(context->outputs, (context->output_count + 1) * sizeof *context->outputs);
    context->outputs[context->output_count++] = output;
}

const Schema *context_source_schema(LeatContext *context, const char *call, const char *text) {
    return context_can_build(context, call) ? build_given_schema(context, call, text, 0) : NULL;
}

LeatStream *stream_from_source(LeatContext *context, const char *call, Source *source, const Schema *schema,
                               bool is_text) {
    own_source(context, source); /* C4 */
    if (!context_can_build(context, call))
        return NULL;
    PlanNode *node = plan_add(context->plan, PLAN_SOURCE, call, NULL, 0);
    node->schema = schema;
    node->source = source;
    node->source_kind = source->class->kind;
    node->is_text = is_text;
    return build_stream(context, node, schema);
}

void stream_to_output(LeatStream *stream, const char *call, Output *output, uint64_t row_limit) {
    LeatContext *context = stream->context;
    own_output(context, output); /* C4 */
    if (!context_can_build(context, call))
        return;
    if (context->batches) {
        context_refuse(context, STATUS_INVALID,
                       "%s: outputs have no meaning inside of a batch; leat_batch_run gives its rows", call);
        return;
    }
    PlanNode *node = plan_add(context->plan, PLAN_OUTPUT, call, &stream->node, 1);
    node->schema = stream->schema;
    node->output = output;
    node->row_limit = row_limit;
}

/* ---- operations ---- */

LeatStream *leat_key(LeatStream *stream, int column_count) {
    if (!build_can_extend(stream, "leat_key"))
        return NULL;
    if (column_count < 1 || (uint32_t)column_count > stream->schema->column_count)
        return context_refuse(stream->context, STATUS_INVALID,
                              "leat_key: %d key columns of a stream with %" PRIu32 ": %s", column_count,
                              stream->schema->column_count, build_schema_text(stream->schema).text);
    return build_stream(stream->context, stream->node,
                        build_with_key_count(stream->context, stream->schema, (uint32_t)column_count));
}

LeatStream *leat_name(LeatStream *stream, const char *name) {
    if (!build_can_extend(stream, "leat_name"))
        return NULL;
    if (!name || !name[0])
        return context_refuse(stream->context, STATUS_INVALID, "leat_name: the name is empty");
    stream->node->name = plan_text(stream->context->plan, name);
    return stream;
}

/* "value STRING" for the built-in split. */
static const Schema *split_schema(LeatStream *stream, const char *call, const LeatFunction *split) {
    LeatContext *context = stream->context;
    if (!split->text[0])
        return context_refuse(context, STATUS_INVALID, "%s: leat_split() was given an empty separator", call);
    if (stream->schema->column_count != 1 || stream->schema->fields[0].type.kind != LEAT_STRING)
        return context_refuse(context, STATUS_INVALID,
                              "%s: leat_split() splits a stream of one STRING column, this is %s", call,
                              build_schema_text(stream->schema).text);
    return build_schema(context, call, "value STRING", 0);
}

/* The element becomes the key of "n BIGINT". */
static const Schema *pair_schema(LeatStream *stream, const char *call) {
    const Schema *n = build_schema(stream->context, call, "n BIGINT", 0);
    return n ? schema_concat(build_arena(stream->context), stream->schema, n, stream->schema->column_count)
             : NULL;
}

LeatStream *leat_map(LeatStream *stream, LeatFunction function) {
    const char *call = "leat_map";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &function,
                     KIND_BIT_RECORD | KIND_BIT_CHUNK | 1 << LEAT_FUNCTION_PAIR_WITH_I64,
                     "leat_function(), leat_chunk_function() or leat_pair_with_i64()"))
        return NULL;
    const Schema *schema = function.kind == LEAT_FUNCTION_PAIR_WITH_I64
                               ? pair_schema(stream, call)
                               : build_given_schema(stream->context, call, function.schema, 0);
    if (!schema)
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_MAP, call, stream, &function);
    node->schema = schema;
    return build_stream(stream->context, node, schema);
}

LeatStream *leat_flat_map(LeatStream *stream, LeatFunction function) {
    const char *call = "leat_flat_map";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &function,
                     KIND_BIT_RECORD | KIND_BIT_CHUNK | 1 << LEAT_FUNCTION_SPLIT,
                     "leat_function(), leat_chunk_function() or leat_split()"))
        return NULL;
    const Schema *schema = function.kind == LEAT_FUNCTION_SPLIT
                               ? split_schema(stream, call, &function)
                               : build_given_schema(stream->context, call, function.schema, 0);
    if (!schema)
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_FLAT_MAP, call, stream, &function);
    node->schema = schema;
    return build_stream(stream->context, node, schema);
}

LeatStream *leat_filter(LeatStream *stream, LeatFunction predicate) {
    const char *call = "leat_filter";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &predicate,
                     1 << LEAT_FUNCTION_PREDICATE | 1 << LEAT_FUNCTION_CONTAINS,
                     "leat_predicate() or leat_contains()"))
        return NULL;
    bool has_string = false;
    for (uint32_t i = 0; i < stream->schema->column_count; i++)
        has_string |= stream->schema->fields[i].type.kind == LEAT_STRING;
    if (predicate.kind == LEAT_FUNCTION_CONTAINS && !has_string)
        return context_refuse(stream->context, STATUS_INVALID,
                              "%s: leat_contains() looks at the first STRING column, there is none in %s",
                              call, build_schema_text(stream->schema).text);
    PlanNode *node = build_node(stream->context, PLAN_FILTER, call, stream, &predicate);
    node->schema = stream->schema;
    return build_stream(stream->context, node, stream->schema);
}

LeatStream *leat_union(LeatStream *a, LeatStream *b) {
    const char *call = "leat_union";
    if (!build_can_combine(&a, &b, call))
        return NULL;
    LeatContext *context = a->context;
    bool is_same = a->schema->column_count == b->schema->column_count;
    for (uint32_t i = 0; is_same && i < a->schema->column_count; i++)
        is_same = type_equal(&a->schema->fields[i].type, &b->schema->fields[i].type);
    if (!is_same)
        return context_refuse(context, STATUS_INVALID, "%s: the streams have different types: %s and %s",
                              call, build_schema_text(a->schema).text, build_schema_text(b->schema).text);
    uint32_t a_keys = a->schema->key_count, b_keys = b->schema->key_count;
    if (a_keys != b_keys && a_keys && b_keys)
        return context_refuse(context, STATUS_INVALID,
                              "%s: the streams have different keys: %" PRIu32 " and %" PRIu32 " columns",
                              call, a_keys, b_keys);
    PlanNode *node = plan_add(context->plan, PLAN_UNION, call, (PlanNode *[]){a->node, b->node}, 2);
    node->schema = build_with_key_count(context, a->schema, a_keys ? a_keys : b_keys);
    return build_stream(context, node, node->schema);
}

LeatStream *leat_reduce(LeatStream *stream, LeatFunction reduce) {
    const char *call = "leat_reduce";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, 0))
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_AGGREGATE, call, stream, &reduce);
    node->schema = build_with_key_count(stream->context, stream->schema, 0);
    return build_stream(stream->context, node, stream->schema); /* a pair stays a pair */
}

LeatStream *leat_count(LeatStream *stream) {
    const char *call = "leat_count";
    if (!build_can_extend(stream, call))
        return NULL;
    const Schema *schema = build_schema(stream->context, call, "count BIGINT", 0);
    PlanNode *node = build_node(stream->context, PLAN_COUNT, call, stream, &(LeatFunction){0});
    node->schema = schema;
    return build_stream(stream->context, node, schema);
}

LeatStream *leat_reduce_by_key(LeatStream *stream, LeatFunction reduce) {
    const char *call = "leat_reduce_by_key";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, build_key_count(stream)))
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_AGGREGATE, call, stream, &reduce);
    node->schema = build_with_key_count(stream->context, stream->schema, build_key_count(stream));
    return build_stream(stream->context, node, node->schema);
}
