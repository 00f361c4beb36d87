/* join.c - the calls on pairs that look at values only, or put those of a key together: of one stream as a list,
 * of two side by side. */
#include "dstream/build.h"

#include <inttypes.h>

static bool have_equal_keys(const LeatStream *a, const LeatStream *b, const char *call) {
    uint32_t a_keys = build_key_count(a), b_keys = build_key_count(b);
    bool is_same = a_keys == b_keys;
    for (uint32_t i = 0; is_same && i < a_keys; i++)
        is_same = type_equal(&a->schema->fields[i].type, &b->schema->fields[i].type);
    if (is_same)
        return true;
    context_refuse(a->context, STATUS_INVALID,
                   "%s: the streams have different keys: %" PRIu32 " of the columns %s and %" PRIu32 " of %s",
                   call, a_keys, build_schema_text(a->schema).text, b_keys,
                   build_schema_text(b->schema).text);
    return false;
}

/* The key columns of the stream, and behind them what the function gives. NULL: refused. */
static const Schema *behind_key(const LeatStream *stream, const char *call, const LeatFunction *function) {
    const Schema *given = build_given_schema(stream->context, call, function->schema, 0);
    uint32_t key_count = build_key_count(stream);
    Arena *arena = build_arena(stream->context);
    return given ? schema_concat(arena, schema_slice(arena, stream->schema, 0, key_count, key_count), given,
                                 key_count)
                 : NULL;
}

static LeatStream *apply_to_values(PlanKind kind, const char *call, LeatStream *stream,
                                   const LeatFunction *function, unsigned kinds, const char *wanted) {
    if (!build_can_extend(stream, call) || !build_has_values(stream, call, build_key_count(stream)) ||
        !build_takes(stream->context, call, function, kinds, wanted))
        return NULL;
    const Schema *schema = behind_key(stream, call, function);
    if (!schema)
        return NULL;
    PlanNode *node = build_node(stream->context, kind, call, stream, function);
    node->kept_count = schema->key_count;
    node->schema = schema;
    return build_stream(stream->context, node, node->schema);
}

LeatStream *leat_map_values(LeatStream *stream, LeatFunction function) {
    return apply_to_values(PLAN_MAP, "leat_map_values", stream, &function, KIND_BIT_RECORD | KIND_BIT_CHUNK,
                           "leat_function() or leat_chunk_function()");
}

LeatStream *leat_flat_map_values(LeatStream *stream, LeatFunction function) {
    return apply_to_values(PLAN_FLAT_MAP, "leat_flat_map_values", stream, &function, KIND_BIT_RECORD,
                           "leat_function()");
}

LeatStream *leat_combine_by_key(LeatStream *stream, LeatFunction combine) {
    const char *call = "leat_combine_by_key";
    if (!build_can_extend(stream, call) || !build_has_values(stream, call, build_key_count(stream)) ||
        !build_takes(stream->context, call, &combine, 1 << LEAT_FUNCTION_COMBINE, "leat_combine_function()"))
        return NULL;
    const Schema *schema = behind_key(stream, call, &combine);
    if (!schema)
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_AGGREGATE, call, stream, &combine);
    node->schema = schema;
    return build_stream(stream->context, node, node->schema);
}

static LeatStream *add_cogroup(PlanCogroup mode, const char *call, LeatStream *const *streams,
                               uint32_t stream_count) {
    LeatContext *context = streams[0]->context;
    PlanNode *nodes[2];
    const Schema *schemas[2];
    for (uint32_t i = 0; i < stream_count; i++) {
        nodes[i] = streams[i]->node;
        schemas[i] = streams[i]->schema;
    }
    const Schema *schema =
        plan_cogroup_schema(build_arena(context), mode, schemas, stream_count, build_key_count(streams[0]));
    if (!build_can_have(context, call, schema))
        return NULL;
    PlanNode *node = plan_add(context->plan, PLAN_COGROUP, call, nodes, stream_count);
    node->cogroup = mode;
    node->schema = schema;
    return build_stream(context, node, node->schema);
}

LeatStream *leat_group_by_key(LeatStream *stream) {
    const char *call = "leat_group_by_key";
    if (!build_can_extend(stream, call) || !build_has_values(stream, call, build_key_count(stream)))
        return NULL;
    return add_cogroup(COGROUP_LISTS, call, &stream, 1);
}

static LeatStream *cogroup_of_two(PlanCogroup mode, const char *call, LeatStream *a, LeatStream *b) {
    if (!build_can_combine(&a, &b, call) || !build_has_values(a, call, build_key_count(a)) ||
        !build_has_values(b, call, build_key_count(b)) || !have_equal_keys(a, b, call))
        return NULL;
    return add_cogroup(mode, call, (LeatStream *[]){a, b}, 2);
}

LeatStream *leat_cogroup(LeatStream *a, LeatStream *b) {
    return cogroup_of_two(COGROUP_LISTS, "leat_cogroup", a, b);
}

LeatStream *leat_join(LeatStream *a, LeatStream *b) {
    return cogroup_of_two(COGROUP_INNER, "leat_join", a, b);
}

LeatStream *leat_left_outer_join(LeatStream *a, LeatStream *b) {
    return cogroup_of_two(COGROUP_LEFT, "leat_left_outer_join", a, b);
}

LeatStream *leat_right_outer_join(LeatStream *a, LeatStream *b) {
    return cogroup_of_two(COGROUP_RIGHT, "leat_right_outer_join", a, b);
}

LeatStream *leat_full_outer_join(LeatStream *a, LeatStream *b) {
    return cogroup_of_two(COGROUP_FULL, "leat_full_outer_join", a, b);
}
