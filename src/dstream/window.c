/* window.c - the calls that build windows.
 *
 *     rows           window
 *     reduction      reduce each batch -> window -> reduce
 *                    (sums of integers, in a long window: made of the last window's, in memory)
 *     with inverse   reduce each batch -> window of changes -> cumulative reduce
 *     groups         window -> group (lists of batches put together would be the same lists)
 *
 * Of reductions only the reductions of batches are kept in a window then: panes. The window goes by the name of the last
 * node, which is what the call gives (PlanNode.head). */
#include "dstream/build.h"

#include <inttypes.h>

enum {
    WINDOW_BATCHES_MAX = 1 << 20, /* a slot in memory and a section in a snapshot each */
    RUNNING_LENGTH_MIN = 5,       /* slides */
};

static bool is_given(const LeatFunction *function) {
    return function->kind != LEAT_FUNCTION_RECORD || function->call.record;
}

static bool is_multiple(LeatStream *stream, const char *call, const char *what, int64_t ms) {
    int64_t parent_ms = build_slide_ms(stream);
    if (ms > 0 && ms % parent_ms == 0)
        return true;
    context_refuse(stream->context, STATUS_INVALID,
                   "%s: the %s of the window (%" PRId64
                   " ms) must be a multiple of the slide duration of the parent stream (%" PRId64 " ms)",
                   call, what, ms, parent_ms);
    return false;
}

/* Fills in the slide. */
static bool is_valid(LeatStream *stream, const char *call, LeatWindow *window) {
    int64_t parent_ms = build_slide_ms(stream);
    if (window->slide.ms == 0)
        window->slide.ms = parent_ms;
    if (!is_multiple(stream, call, "length", window->length.ms) ||
        !is_multiple(stream, call, "slide", window->slide.ms))
        return false;
    int64_t length = window->length.ms / parent_ms, slide = window->slide.ms / parent_ms;
    if (length > WINDOW_BATCHES_MAX || slide > WINDOW_BATCHES_MAX) {
        context_refuse(stream->context, STATUS_UNSUPPORTED,
                       "%s: a window of %" PRId64 " batches every %" PRId64 "; up to %d are possible", call,
                       length, slide, WINDOW_BATCHES_MAX);
        return false;
    }
    return true;
}

/* May the call have these functions in its window, and do they fit? `is_keyed`: a filter has a key to ask for. */
static bool functions_fit(LeatStream *stream, const char *call, const LeatWindow *window, bool takes_inverse,
                          bool is_keyed) {
    LeatContext *context = stream->context;
    const char *misplaced = NULL;
    if (is_given(&window->inverse) && !takes_inverse)
        misplaced = "an inverse";
    else if (is_given(&window->filter) && (!is_keyed || !is_given(&window->inverse)))
        misplaced = "a filter";
    if (misplaced) {
        context_refuse(context, STATUS_INVALID, "%s: %s has no meaning here", call, misplaced);
        return false;
    }
    return (!is_given(&window->inverse) ||
            (build_takes(context, call, &window->inverse,
                         1 << LEAT_FUNCTION_REDUCE | 1 << LEAT_FUNCTION_SUBTRACT,
                         "leat_subtract() or leat_reduce_function() as an inverse") &&
             build_suits(stream, call, &window->inverse, is_keyed ? build_key_count(stream) : 0))) &&
           (!is_given(&window->filter) ||
            build_takes(context, call, &window->filter, 1 << LEAT_FUNCTION_PREDICATE,
                        "leat_predicate() as a filter"));
}

/* ---- nodes ---- */

static PlanNode *add_window(LeatContext *context, const char *call, PlanNode *in, const LeatWindow *window) {
    PlanNode *node = plan_add(context->plan, PLAN_WINDOW, call, &in, 1);
    node->schema = in->schema;
    node->length = (uint64_t)(window->length.ms / context->options.interval_ms);
    node->slide = (uint64_t)(window->slide.ms / context->options.interval_ms);
    return node;
}

static PlanNode *add_aggregate(LeatContext *context, const char *call, PlanNode *in,
                               const LeatFunction *reduce, const Schema *schema) {
    PlanNode *node = plan_add(context->plan, PLAN_AGGREGATE, call, &in, 1);
    node->function = plan_function(context->plan, *reduce);
    node->schema = schema;
    return node;
}

/* A window of what changes from the last one. */
static PlanNode *add_changes(LeatContext *context, const char *call, PlanNode *panes,
                             const LeatWindow *window) {
    static const Field sign_field = {.name = "sign", .type = {.kind = LEAT_BIGINT}};
    static const Schema sign = {.fields = &sign_field, .column_count = 1};
    PlanNode *kept = add_window(context, call, panes, window);
    kept->gives_changes = true;
    kept->schema = schema_concat(build_arena(context), panes->schema, &sign, panes->schema->key_count);
    return kept;
}

/* Can the sums of a window be made of those of the last one, and is that less work? What leaves and what
 * enters must be much less than the window. */
static bool can_run_on(const PlanNode *panes, const LeatFunction *reduce, const LeatWindow *window) {
    const Schema *schema = panes->schema;
    if (reduce->kind != LEAT_FUNCTION_SUM || schema->key_count == 0 ||
        schema->column_count != schema->key_count + 1)
        return false;
    LeatType kind = schema->fields[schema->key_count].type.kind;
    return LEAT_TINYINT <= kind && kind <= LEAT_BIGINT &&
           window->length.ms / RUNNING_LENGTH_MIN >= window->slide.ms;
}

/* Reductions of batches into those of windows: `panes` gives them, one row at most for each key. */
static PlanNode *add_anew(LeatContext *context, const char *call, PlanNode *panes, const LeatFunction *reduce,
                          const LeatWindow *window) {
    bool is_running = can_run_on(panes, reduce, window);
    PlanNode *kept =
        is_running ? add_changes(context, call, panes, window) : add_window(context, call, panes, window);
    PlanNode *node = add_aggregate(context, call, kept, reduce, panes->schema);
    kept->head = node;
    kept->is_running = node->is_running = is_running;
    return node;
}

/* The same from window to window. */
static PlanNode *add_cumulative(LeatContext *context, const char *call, PlanNode *panes,
                                const LeatFunction *reduce, const LeatWindow *window) {
    const Schema *schema = panes->schema;
    PlanNode *kept = add_changes(context, call, panes, window);
    PlanNode *node = add_aggregate(context, call, kept, reduce, schema);
    kept->head = node;
    node->is_cumulative = true;
    node->inverse = plan_function(context->plan, window->inverse);
    node->filter = plan_function(context->plan, window->filter);
    node->state_schema =
        schema_slice(build_arena(context), schema, schema->key_count, schema->column_count, 0);
    return node;
}

static PlanNode *add_reduction(LeatStream *stream, const char *call, const LeatFunction *reduce,
                               const LeatWindow *window, uint32_t key_count) {
    LeatContext *context = stream->context;
    const Schema *schema = build_with_key_count(context, stream->schema, key_count);
    PlanNode *panes = add_aggregate(context, call, stream->node, reduce, schema);
    return is_given(&window->inverse) ? add_cumulative(context, call, panes, reduce, window)
                                      : add_anew(context, call, panes, reduce, window);
}

static LeatFunction counting(LeatWindow *window) {
    window->inverse = leat_subtract();
    return leat_sum();
}

/* ---- calls ---- */

LeatStream *leat_window(LeatStream *stream, LeatWindow window) {
    const char *call = "leat_window";
    if (!build_can_extend(stream, call) || !is_valid(stream, call, &window) ||
        !functions_fit(stream, call, &window, false, false))
        return NULL;
    return build_stream(stream->context, add_window(stream->context, call, stream->node, &window),
                        stream->schema);
}

LeatStream *leat_reduce_by_window(LeatStream *stream, LeatFunction reduce, LeatWindow window) {
    const char *call = "leat_reduce_by_window";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, 0) ||
        !is_valid(stream, call, &window) || !functions_fit(stream, call, &window, true, false))
        return NULL;
    return build_stream(stream->context, add_reduction(stream, call, &reduce, &window, 0),
                        stream->schema); /* a pair stays a pair */
}

LeatStream *leat_reduce_by_key_and_window(LeatStream *stream, LeatFunction reduce, LeatWindow window) {
    const char *call = "leat_reduce_by_key_and_window";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, build_key_count(stream)) ||
        !is_valid(stream, call, &window) || !functions_fit(stream, call, &window, true, true))
        return NULL;
    PlanNode *node = add_reduction(stream, call, &reduce, &window, build_key_count(stream));
    return build_stream(stream->context, node, node->schema);
}

LeatStream *leat_group_by_key_and_window(LeatStream *stream, LeatWindow window) {
    const char *call = "leat_group_by_key_and_window";
    if (!build_can_extend(stream, call) || !build_has_values(stream, call, build_key_count(stream)) ||
        !is_valid(stream, call, &window) || !functions_fit(stream, call, &window, false, false))
        return NULL;
    PlanNode *kept = add_window(stream->context, call, stream->node, &window);
    LeatStream *groups = leat_group_by_key(build_stream(stream->context, kept, stream->schema));
    groups->node->call = call;
    kept->head = groups->node;
    return groups;
}

LeatStream *leat_count_by_window(LeatStream *stream, LeatWindow window) {
    const char *call = "leat_count_by_window";
    if (!build_can_extend(stream, call) || !is_valid(stream, call, &window) ||
        !functions_fit(stream, call, &window, false, false))
        return NULL;
    LeatContext *context = stream->context;
    PlanNode *panes = build_node(context, PLAN_COUNT, call, stream, &(LeatFunction){0});
    panes->schema = build_schema(context, call, "count BIGINT", 0);
    panes->skips_empty = true;
    LeatFunction sum = counting(&window);
    PlanNode *node = add_cumulative(context, call, panes, &sum, &window);
    return build_stream(context, node, node->schema);
}

/* (row, how often it is in the batch) */
static PlanNode *add_value_counts(LeatStream *stream, const char *call) {
    LeatContext *context = stream->context;
    LeatFunction one = leat_pair_with_i64(1), sum = leat_sum();
    const Schema *count = build_schema(context, call, "count BIGINT", 0);
    PlanNode *pairs = build_node(context, PLAN_MAP, call, stream, &one);
    pairs->schema = schema_concat(build_arena(context), stream->schema, count, stream->schema->column_count);
    return add_aggregate(context, call, pairs, &sum, pairs->schema);
}

LeatStream *leat_count_by_value(LeatStream *stream) {
    const char *call = "leat_count_by_value";
    if (!build_can_extend(stream, call))
        return NULL;
    PlanNode *node = add_value_counts(stream, call);
    return build_stream(stream->context, node, node->schema);
}

LeatStream *leat_count_by_value_and_window(LeatStream *stream, LeatWindow window) {
    const char *call = "leat_count_by_value_and_window";
    if (!build_can_extend(stream, call) || !is_valid(stream, call, &window) ||
        !functions_fit(stream, call, &window, false, false))
        return NULL;
    LeatFunction sum = counting(&window);
    PlanNode *panes = add_value_counts(stream, call);
    PlanNode *node = add_cumulative(stream->context, call, panes, &sum, &window);
    node->drops_zero = true;
    return build_stream(stream->context, node, node->schema);
}
