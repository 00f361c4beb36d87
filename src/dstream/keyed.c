/* keyed.c - the operations with state by key: updateStateByKey, mapWithState and its snapshots. */
#include "dstream/build.h"

#include <inttypes.h>

/* Spark's default: state is checkpointed, and timeouts are looked at, every tenth batch. */
enum { CHECKPOINT_SLIDES = 10 };

/* The key columns of the stream and the state columns. */
static const Schema *table_of(const LeatStream *stream, const Schema *state) {
    uint32_t key_count = build_key_count(stream);
    Arena *arena = build_arena(stream->context);
    return schema_concat(arena, schema_slice(arena, stream->schema, 0, key_count, key_count), state,
                         key_count);
}

LeatStream *leat_update_state_by_key_with(LeatStream *stream, LeatFunction update,
                                          LeatUpdateOptions options) {
    const char *call = "leat_update_state_by_key";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &update, 1 << LEAT_FUNCTION_UPDATE, "leat_update_function()"))
        return NULL;
    const Schema *state = build_given_schema(stream->context, call, update.schema, 0);
    if (!state)
        return NULL;
    PlanNode *node = build_node(stream->context, PLAN_KEYED_PROCESS, call, stream, &update);
    node->state_schema = state;
    node->schema = table_of(stream, state);
    node->initial_state = options.initial_state;
    node->initial_user = options.initial_user;
    return build_stream(stream->context, node, node->schema);
}

LeatStream *leat_update_state_by_key(LeatStream *stream, LeatFunction update) {
    return leat_update_state_by_key_with(stream, update, (LeatUpdateOptions){0});
}

/* How many slides lie between two looks at timeouts; 0: refused. */
static uint64_t check_slides(const LeatStream *stream, const char *call, LeatDuration interval) {
    int64_t slide_ms = (int64_t)stream->node->slide * stream->context->options.interval_ms;
    if (interval.ms == 0)
        return CHECKPOINT_SLIDES;
    if (interval.ms > 0 && interval.ms % slide_ms == 0)
        return (uint64_t)(interval.ms / slide_ms);
    context_refuse(stream->context, STATUS_INVALID,
                   "%s: a checkpoint interval of %" PRId64 " ms is not a multiple of the slide, %" PRId64
                   " ms",
                   call, interval.ms, slide_ms);
    return 0;
}

LeatStream *leat_map_with_state(LeatStream *stream, LeatFunction function, LeatStateSpec spec) {
    const char *call = "leat_map_with_state";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &function,
                     1 << LEAT_FUNCTION_MAP_WITH_STATE | 1 << LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE,
                     "leat_map_with_state_function() or leat_map_with_state_simple_function()"))
        return NULL;
    LeatContext *context = stream->context;
    if (spec.timeout.ms < 0)
        return context_refuse(context, STATUS_INVALID, "%s: a timeout of %" PRId64 " ms", call,
                              spec.timeout.ms);
    const Schema *state = build_given_schema(context, call, function.state_schema, 0);
    const Schema *given = state ? build_given_schema(context, call, function.schema, 0) : NULL;
    uint64_t slides = given ? check_slides(stream, call, spec.checkpoint_interval) : 0;
    if (!slides)
        return NULL;
    PlanNode *node = build_node(context, PLAN_KEYED_PROCESS, call, stream, &function);
    node->schema = given;
    node->table_schema = table_of(stream, state);
    node->state_schema = spec.timeout.ms == 0
                             ? state
                             : schema_concat(build_arena(context), state,
                                             build_schema(context, call, "updated TIMESTAMP", 0), 0);
    node->timeout_ms = spec.timeout.ms;
    node->check_slides = slides * node->slide;
    node->initial_state = spec.initial_state;
    node->initial_user = spec.initial_user;
    return build_stream(context, node, node->schema);
}

/* One node for all who ask: it looks at every key. */
static PlanNode *find_snapshots(const Plan *plan, const PlanNode *process) {
    for (uint32_t i = process->index; i < plan->node_count; i++)
        if (plan->nodes[i]->kind == PLAN_STATE_SNAPSHOTS && plan->nodes[i]->inputs[0] == process)
            return plan->nodes[i];
    return NULL;
}

LeatStream *leat_state_snapshots(LeatStream *mapped) {
    const char *call = "leat_state_snapshots";
    if (!build_can_extend(mapped, call))
        return NULL;
    LeatContext *context = mapped->context;
    if (!plan_is_map_with_state(mapped->node))
        return context_refuse(context, STATUS_INVALID, "%s: the stream is not one of leat_map_with_state",
                              call);
    PlanNode *node = find_snapshots(context->plan, mapped->node);
    if (!node) {
        node = plan_add(context->plan, PLAN_STATE_SNAPSHOTS, call, &mapped->node, 1);
        node->schema = plan_table_schema(mapped->node);
    }
    return build_stream(context, node, node->schema);
}
