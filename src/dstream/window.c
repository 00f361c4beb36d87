/* window.c - the calls that build windows.
 *
 *     rows           window
 *     reduction      reduce each batch -> window -> reduce
 *
 * Only the reductions of batches are kept in a window then: panes. The window goes by the name of the last
 * node, which is what the call gives (PlanNode.head). */
#include "dstream/build.h"

#include <inttypes.h>

/* A slot in memory and a section in a snapshot each. */
enum { WINDOW_BATCHES_MAX = 1 << 20 };

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

/* Reductions of batches into those of windows: `panes` gives them, one row at most for each key. */
static PlanNode *add_anew(LeatContext *context, const char *call, PlanNode *panes, const LeatFunction *reduce,
                          const LeatWindow *window) {
    PlanNode *kept = add_window(context, call, panes, window);
    PlanNode *node = add_aggregate(context, call, kept, reduce, panes->schema);
    kept->head = node;
    return node;
}

static PlanNode *add_reduction(LeatStream *stream, const char *call, const LeatFunction *reduce,
                               const LeatWindow *window, uint32_t key_count) {
    LeatContext *context = stream->context;
    const Schema *schema = build_with_key_count(context, stream->schema, key_count);
    PlanNode *panes = add_aggregate(context, call, stream->node, reduce, schema);
    return add_anew(context, call, panes, reduce, window);
}

/* ---- calls ---- */

LeatStream *leat_window(LeatStream *stream, LeatWindow window) {
    const char *call = "leat_window";
    if (!build_can_extend(stream, call) || !is_valid(stream, call, &window))
        return NULL;
    return build_stream(stream->context, add_window(stream->context, call, stream->node, &window),
                        stream->schema);
}

LeatStream *leat_reduce_by_window(LeatStream *stream, LeatFunction reduce, LeatWindow window) {
    const char *call = "leat_reduce_by_window";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, 0) ||
        !is_valid(stream, call, &window))
        return NULL;
    return build_stream(stream->context, add_reduction(stream, call, &reduce, &window, 0),
                        stream->schema); /* a pair stays a pair */
}

LeatStream *leat_reduce_by_key_and_window(LeatStream *stream, LeatFunction reduce, LeatWindow window) {
    const char *call = "leat_reduce_by_key_and_window";
    if (!build_can_extend(stream, call) || !build_reduces(stream, call, &reduce, build_key_count(stream)) ||
        !is_valid(stream, call, &window))
        return NULL;
    PlanNode *node = add_reduction(stream, call, &reduce, &window, build_key_count(stream));
    return build_stream(stream->context, node, node->schema);
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
