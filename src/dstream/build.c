/* build.c - see build.h. */
#include "dstream/build.h"

#include "dstream/batch_context.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- texts for messages ---- */

SchemaText build_schema_text(const Schema *schema) {
    Text text = {0};
    schema_format(schema, &text);
    SchemaText out;
    snprintf(out.text, sizeof out.text, "(%s)", text.data ? text.data : "");
    text_deinit(&text);
    return out;
}

const char *build_function_text(LeatFunctionKind kind) {
    switch (kind) {
    case LEAT_FUNCTION_RECORD:
        return "leat_function()";
    case LEAT_FUNCTION_CHUNK:
        return "leat_chunk_function()";
    case LEAT_FUNCTION_PREDICATE:
        return "leat_predicate()";
    case LEAT_FUNCTION_REDUCE:
        return "leat_reduce_function()";
    case LEAT_FUNCTION_UPDATE:
        return "leat_update_function()";
    case LEAT_FUNCTION_MAP_WITH_STATE:
        return "leat_map_with_state_function()";
    case LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE:
        return "leat_map_with_state_simple_function()";
    case LEAT_FUNCTION_SPLIT:
        return "leat_split()";
    case LEAT_FUNCTION_PAIR_WITH_I64:
        return "leat_pair_with_i64()";
    case LEAT_FUNCTION_CONTAINS:
        return "leat_contains()";
    case LEAT_FUNCTION_SUM:
        return "leat_sum()";
    case LEAT_FUNCTION_MIN:
        return "leat_min()";
    case LEAT_FUNCTION_MAX:
        return "leat_max()";
    case LEAT_FUNCTION_CONCAT:
        return "leat_concat()";
    case LEAT_FUNCTION_PARTITION:
        return "leat_partition_function()";
    case LEAT_FUNCTION_COMBINE:
        return "leat_combine_function()";
    case LEAT_FUNCTION_SUBTRACT:
        return "leat_subtract()";
    }
    return "a function of unknown kind";
}

/* ---- small steps ---- */

Arena *build_arena(const LeatContext *context) {
    return context->plan->arena;
}

bool build_can_combine(LeatStream **a, LeatStream **b, const char *call) {
    if (!*a || !*b)
        return false;
    BatchContext *batches = (*a)->context->batches ? (*a)->context->batches : (*b)->context->batches;
    LeatContext *context = batches ? batch_context_inside(batches) : (*a)->context;
    LeatStream **other = (*a)->context == context ? b : a;
    if (!context_can_build(context, call))
        return false;
    if ((*other)->context != context && batches)
        *other = batch_context_adopt(batches, *other, call);
    else if ((*other)->context != context)
        context_refuse(context, STATUS_INVALID, "%s: the streams belong to different contexts", call);
    else if ((*b)->node->slide != (*a)->node->slide)
        context_refuse(context, STATUS_INVALID,
                       "%s: the streams have different slide durations: %" PRId64 " ms and %" PRId64 " ms",
                       call, build_slide_ms(*a), build_slide_ms(*b));
    return !context_has_error(context);
}

int64_t build_slide_ms(const LeatStream *stream) {
    return (int64_t)stream->node->slide * stream->context->options.interval_ms;
}

LeatStream *build_stream(LeatContext *context, PlanNode *node, const Schema *schema) {
    LeatStream *stream = arena_alloc(build_arena(context), sizeof *stream);
    *stream = (LeatStream){.context = context, .node = node, .schema = schema};
    return stream;
}

const Schema *build_with_key_count(LeatContext *context, const Schema *schema, uint32_t key_count) {
    return schema->key_count == key_count
               ? schema
               : schema_slice(build_arena(context), schema, 0, schema->column_count, key_count);
}

bool build_can_extend(const LeatStream *stream, const char *call) {
    return stream && context_can_build(stream->context, call);
}

const Schema *build_schema(LeatContext *context, const char *call, const char *text, uint32_t key_count) {
    Error err = {0};
    Schema *schema = NULL;
    if (!text)
        return context_refuse(context, STATUS_INVALID, "%s: no schema was given", call);
    if (schema_parse(build_arena(context), str_from(text), key_count, &schema, &err) != STATUS_OK)
        return context_refuse(context, err.status, "%s: schema \"%s\": %s", call, text, err.message);
    if (schema->column_count == 0)
        return context_refuse(context, STATUS_INVALID, "%s: schema \"%s\": no column", call, text);
    return schema;
}

bool build_is_scalar(const Type *type) {
    return !type_is_nested(type->kind);
}

bool build_can_have(LeatContext *context, const char *call, const Schema *schema) {
    Error err = {0};
    Schema *again;
    Text text = {0};
    Arena *scratch = arena_create(NULL, "schema");
    schema_format(schema, &text);
    Status st = schema_parse(scratch, text_str(&text), 0, &again, &err);
    text_deinit(&text);
    arena_destroy(scratch);
    if (st != STATUS_OK)
        context_refuse(context, st, "%s: the columns that it gives: %s", call, err.message);
    return st == STATUS_OK;
}

const Schema *build_given_schema(LeatContext *context, const char *call, const char *text,
                                 uint32_t key_count) {
    const Schema *schema = build_schema(context, call, text, key_count);
    for (uint32_t i = 0; schema && i < schema->column_count; i++) {
        if (!build_is_scalar(&schema->fields[i].type))
            return context_refuse(
                context, STATUS_UNSUPPORTED,
                "%s: schema \"%s\": functions cannot give ARRAY, STRUCT or MAP columns ('%s')", call, text,
                schema->fields[i].name);
    }
    return schema;
}

static bool is_whole(const LeatCombine *combine) {
    return combine->create && combine->merge_value &&
           (combine->merge_combiners || combine->no_map_side_combine);
}

bool build_takes(LeatContext *context, const char *call, const LeatFunction *function, unsigned kinds,
                 const char *wanted) {
    const char *given = build_function_text(function->kind);
    if (!(kinds >> function->kind & 1)) {
        context_refuse(context, STATUS_INVALID, "%s: %s has no meaning here; it takes %s", call, given,
                       wanted);
        return false;
    }
    bool is_missing = (function->kind == LEAT_FUNCTION_RECORD && !function->call.record) ||
                      (function->kind == LEAT_FUNCTION_CHUNK && !function->call.chunk) ||
                      (function->kind == LEAT_FUNCTION_PREDICATE && !function->call.predicate) ||
                      (function->kind == LEAT_FUNCTION_REDUCE && !function->call.reduce) ||
                      (function->kind == LEAT_FUNCTION_UPDATE && !function->call.update) ||
                      (function->kind == LEAT_FUNCTION_COMBINE && !is_whole(&function->call.combine)) ||
                      ((function->kind == LEAT_FUNCTION_MAP_WITH_STATE ||
                        function->kind == LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE) &&
                       !function->call.map_with_state) ||
                      (function->kind == LEAT_FUNCTION_PARTITION && !function->call.partition);
    bool wants_text = function->kind == LEAT_FUNCTION_SPLIT || function->kind == LEAT_FUNCTION_CONTAINS ||
                      function->kind == LEAT_FUNCTION_CONCAT;
    if (is_missing || (wants_text && !function->text)) {
        context_refuse(context, STATUS_INVALID, "%s: %s was given NULL", call, given);
        return false;
    }
    return true;
}

PlanNode *build_node(LeatContext *context, PlanKind kind, const char *call, LeatStream *input,
                     const LeatFunction *function) {
    PlanNode *node = plan_add(context->plan, kind, call, &input->node, 1);
    node->function = plan_function(context->plan, *function);
    return node;
}

uint32_t build_key_count(const LeatStream *stream) {
    return stream->schema->key_count ? stream->schema->key_count : 1;
}

bool build_has_values(const LeatStream *stream, const char *call, uint32_t key_count) {
    if (key_count < stream->schema->column_count)
        return true;
    context_refuse(stream->context, STATUS_INVALID, "%s: there is no value behind the key in %s", call,
                   build_schema_text(stream->schema).text);
    return false;
}

bool build_suits(LeatStream *stream, const char *call, const LeatFunction *reduce, uint32_t key_count) {
    const Schema *schema = stream->schema;
    for (uint32_t i = key_count; i < schema->column_count; i++) {
        const Type *type = &schema->fields[i].type;
        const char *wanted = NULL;
        bool adds = reduce->kind == LEAT_FUNCTION_SUM || reduce->kind == LEAT_FUNCTION_SUBTRACT;
        if (adds && !type_is_number(type->kind))
            wanted = "numeric";
        else if (reduce->kind == LEAT_FUNCTION_CONCAT && type->kind != LEAT_STRING)
            wanted = "STRING";
        else if (!build_is_scalar(type))
            wanted = "scalar";
        if (!wanted)
            continue;
        context_refuse(stream->context, STATUS_INVALID, "%s: %s takes %s values, '%s' is none in %s%s", call,
                       build_function_text(reduce->kind), wanted, schema->fields[i].name,
                       build_schema_text(schema).text,
                       key_count == 0 && schema->key_count ? " (all columns are values here)" : "");
        return false;
    }
    return true;
}

bool build_reduces(LeatStream *stream, const char *call, const LeatFunction *reduce, uint32_t key_count) {
    return build_takes(stream->context, call, reduce, KIND_BITS_REDUCE,
                       "leat_sum(), leat_min(), leat_max(), leat_concat() or leat_reduce_function()") &&
           build_has_values(stream, call, key_count) && build_suits(stream, call, reduce, key_count);
}
