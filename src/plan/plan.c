/* plan.c - building and finishing a plan, and its text. */
#include "plan/plan.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>

Plan *plan_create(void) {
    Plan *plan = xcalloc(1, sizeof *plan);
    plan->arena = arena_create(NULL, "plan");
    return plan;
}

void plan_destroy(Plan *plan) {
    if (!plan)
        return;
    arena_destroy(plan->arena);
    free(plan->nodes);
    free(plan);
}

static void *plan_alloc(Plan *plan, size_t size_bytes) {
    void *memory = arena_alloc(plan->arena, size_bytes ? size_bytes : 1); /* without a budget: never NULL */
    return memset(memory, 0, size_bytes);
}

PlanNode *plan_add(Plan *plan, PlanKind kind, const char *call, PlanNode *const *inputs,
                   uint32_t input_count) {
    ASSERT(!plan->is_finished); /* P3 */
    PlanNode *node = plan_alloc(plan, sizeof *node);
    node->kind = kind;
    node->index = plan->node_count;
    node->call = call;
    node->inputs = plan_alloc(plan, input_count * sizeof(PlanNode *));
    node->input_count = input_count;
    for (uint32_t i = 0; i < input_count; i++) {
        /* P1: what a node takes is in the plan already. */
        ASSERT(inputs[i]->index < node->index && plan->nodes[inputs[i]->index] == inputs[i]);
        node->inputs[i] = inputs[i];
    }
    node->slide = input_count ? inputs[0]->slide : 1;
    if (plan->node_count == plan->node_capacity) {
        plan->node_capacity = plan->node_capacity ? 2 * plan->node_capacity : 16;
        plan->nodes = xrealloc(plan->nodes, plan->node_capacity * sizeof(PlanNode *));
    }
    plan->nodes[plan->node_count++] = node;
    return node;
}

const char *plan_text(Plan *plan, const char *text) {
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(plan_alloc(plan, size), text, size);
}

LeatFunction plan_function(Plan *plan, LeatFunction function) {
    function.schema = plan_text(plan, function.schema);
    function.state_schema = plan_text(plan, function.state_schema);
    function.text = plan_text(plan, function.text);
    function.name = plan_text(plan, function.name);
    return function;
}

/* ---- what a node is ---- */

bool plan_is_stateful(const PlanNode *node) {
    return node->kind == PLAN_KEYED_PROCESS || node->kind == PLAN_WINDOW || node->is_cumulative;
}

bool plan_needs_checkpoint(const PlanNode *node) {
    return plan_is_stateful(node) &&
           (node->kind != PLAN_WINDOW || (node->gives_changes && !node->is_running));
}

bool plan_is_map_with_state(const PlanNode *node) {
    return node->kind == PLAN_KEYED_PROCESS && node->function.kind != LEAT_FUNCTION_UPDATE;
}

const Schema *plan_table_schema(const PlanNode *keyed_process) {
    return keyed_process->table_schema ? keyed_process->table_schema : keyed_process->schema;
}

bool plan_needs_every_input(const PlanNode *node) {
    return node->input_count > 1 || node->kind == PLAN_TRANSFORM;
}

bool plan_is_order_sensitive(const PlanNode *aggregate) {
    switch (aggregate->function.kind) {
    case LEAT_FUNCTION_MIN:
    case LEAT_FUNCTION_MAX:
        return false;
    case LEAT_FUNCTION_SUM:
        for (uint32_t c = aggregate->schema->key_count; c < aggregate->schema->column_count; c++)
            if (aggregate->schema->fields[c].type.kind == LEAT_DOUBLE ||
                aggregate->schema->fields[c].type.kind == LEAT_FLOAT)
                return true;
        return false;
    default:
        return aggregate->kind != PLAN_COUNT;
    }
}

uint32_t plan_string_column(const Schema *schema) {
    uint32_t c = 0;
    while (c < schema->column_count && schema->fields[c].type.kind != LEAT_STRING)
        c++;
    return c;
}

/* ---- finishing ---- */

static bool has_id(const PlanNode *node) {
    return node->kind == PLAN_SOURCE || node->kind == PLAN_OUTPUT || plan_is_stateful(node);
}

/* The part of an id before '#': "socket", "update_state_by_key", "print". */
static Str id_kind(const PlanNode *node) {
    if (node->kind == PLAN_SOURCE)
        return str_from(node->source_kind);
    Str call = str_from(node->call);
    Str prefix = STR("leat_");
    return str_starts_with(call, prefix) ? str_slice(call.data + prefix.size, call.size - prefix.size) : call;
}

/* Leaves only what an output needs, in the same order (P1). */
static void drop_unused(Plan *plan) {
    bool *is_needed = xcalloc(plan->node_count, sizeof(bool));
    for (uint32_t i = plan->node_count; i-- > 0;) {
        const PlanNode *node = plan->nodes[i];
        is_needed[i] |= node->kind == PLAN_OUTPUT;
        for (uint32_t k = 0; is_needed[i] && k < node->input_count; k++)
            is_needed[node->inputs[k]->index] = true;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (is_needed[i])
            plan->nodes[kept++] = plan->nodes[i];
    plan->node_count = kept;
    for (uint32_t i = 0; i < kept; i++)
        plan->nodes[i]->index = i;
    free(is_needed);
}

/* Takes the id for the node, if no other has it. */
CHECKED static Status take_id(Plan *plan, Map *taken, PlanNode *node, Str id, Error *err) {
    const PlanNode *other = map_find(taken, id);
    node->id = plan_text(plan, id.data);
    if (other)
        return error_set(err, STATUS_INVALID, "%s: the name '%s' is taken by %s already", node->call,
                         node->id, other->call);
    map_put(taken, str_from(node->id), node);
    return STATUS_OK;
}

/* P2, of a node that is not inside of another call. */
CHECKED static Status give_id(Plan *plan, Map *taken, Map *ordinals, PlanNode *node, Error *err) {
    Str kind = id_kind(node);
    uintptr_t ordinal = (uintptr_t)map_find(ordinals, kind);
    map_put(ordinals, kind, (void *)(ordinal + 1));
    Text id = {0};
    if (node->name)
        text_append(&id, str_from(node->name));
    else
        text_appendf(&id, "%.*s#%zu", STR_ARG(kind), (size_t)ordinal);
    Status st = take_id(plan, taken, node, text_str(&id), err);
    text_deinit(&id);
    return st;
}

/* The head may have no state of its own: the id is then only what the others go by. */
CHECKED static Status give_part_id(Plan *plan, Map *taken, PlanNode *node, Error *err) {
    Text id = {0};
    text_appendf(&id, "%s.window", node->head->id);
    Status st = take_id(plan, taken, node, text_str(&id), err);
    text_deinit(&id);
    return st;
}

/* P2. Counted per kind and over what runs, so that a stateless node, or one that nothing
 * needs, moves no number. */
CHECKED static Status give_ids(Plan *plan, Error *err) {
    Status st = STATUS_OK;
    Map taken = {0}, ordinals = {0};
    bool *is_head = xcalloc(plan->node_count, sizeof(bool));
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i]->head)
            is_head[plan->nodes[i]->head->index] = true;
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (is_head[i] || (has_id(plan->nodes[i]) && !plan->nodes[i]->head))
            TRY_GOTO(done, give_id(plan, &taken, &ordinals, plan->nodes[i], err));
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i]->head)
            TRY_GOTO(done, give_part_id(plan, &taken, plan->nodes[i], err));
done:
    free(is_head);
    map_deinit(&taken);
    map_deinit(&ordinals);
    return st;
}

static bool can_fuse(const PlanNode *node) {
    if (node->kind != PLAN_FLAT_MAP || node->function.kind != LEAT_FUNCTION_SPLIT)
        return false;
    const PlanNode *source = node->inputs[0];
    const char *separator = node->function.text;
    return source->kind == PLAN_SOURCE && source->is_text && source->consumer_count == 1 && separator[0] &&
           !separator[1] && separator[0] != '\n' && separator[0] != '\r';
}

Status plan_finish(Plan *plan, Error *err) {
    ASSERT(!plan->is_finished);
    drop_unused(plan);
    if (plan->node_count == 0)
        return error_set(err, STATUS_INVALID,
                         "leat_start: no output was registered, so there is nothing to execute");
    TRY(give_ids(plan, err));
    for (uint32_t i = 0; i < plan->node_count; i++) {
        TRY(plan_check_node(plan->nodes[i], err));
        for (uint32_t k = 0; k < plan->nodes[i]->input_count; k++)
            plan->nodes[i]->inputs[k]->consumer_count++;
    }
    for (uint32_t i = 0; i < plan->node_count; i++)
        plan->nodes[i]->is_fused = can_fuse(plan->nodes[i]);
    plan->is_finished = true;
    return STATUS_OK;
}

/* ---- text ---- */

static const char *function_text(const LeatFunction *function) {
    static const char *const texts[] = {
        [LEAT_FUNCTION_RECORD] = "function",
        [LEAT_FUNCTION_CHUNK] = "chunk function",
        [LEAT_FUNCTION_PREDICATE] = "predicate",
        [LEAT_FUNCTION_REDUCE] = "reduce function",
        [LEAT_FUNCTION_UPDATE] = "update function",
        [LEAT_FUNCTION_MAP_WITH_STATE] = "function with state",
        [LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE] = "simple function with state",
        [LEAT_FUNCTION_SPLIT] = "leat_split",
        [LEAT_FUNCTION_CONTAINS] = "leat_contains",
        [LEAT_FUNCTION_PAIR_WITH_I64] = "leat_pair_with_i64",
        [LEAT_FUNCTION_SUM] = "leat_sum",
        [LEAT_FUNCTION_MIN] = "leat_min",
        [LEAT_FUNCTION_MAX] = "leat_max",
        [LEAT_FUNCTION_CONCAT] = "leat_concat",
        [LEAT_FUNCTION_SUBTRACT] = "leat_subtract",
        [LEAT_FUNCTION_COMBINE] = "combine function",
        [LEAT_FUNCTION_PARTITION] = "partition function",
    };
    return texts[function->kind];
}

static bool has_function(const PlanNode *node) {
    return node->kind != PLAN_SOURCE && node->kind != PLAN_UNION && node->kind != PLAN_COUNT &&
           node->kind != PLAN_SORT && node->kind != PLAN_WINDOW && node->kind != PLAN_COGROUP &&
           node->kind != PLAN_STATE_SNAPSHOTS && node->kind != PLAN_TRANSFORM &&
           !(node->kind == PLAN_PARTITION && node->partition != PARTITION_MAP) && node->kind != PLAN_OUTPUT;
}

static void format_order(const PlanNode *node, Text *out) {
    for (uint32_t i = 0; i < node->order_count; i++)
        text_appendf(out, "%s%s%s", i ? ", " : "  by ", node->schema->fields[node->order[i].column].name,
                     node->order[i].is_descending ? " DESC" : "");
    if (node->row_limit)
        text_appendf(out, " first %" PRIu64, node->row_limit);
}

void plan_format(const Plan *plan, Text *out) {
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const PlanNode *node = plan->nodes[i];
        text_appendf(out, "%u  %s", node->index, node->kind == PLAN_SOURCE ? node->source_kind : node->call);
        for (uint32_t k = 0; k < node->input_count; k++)
            text_appendf(out, "%s%u", k ? ", " : " <- ", node->inputs[k]->index);
        if (node->id) {
            text_append(out, STR("  '"));
            text_append_escaped(out, str_from(node->id));
            text_append_byte(out, '\'');
        }
        if (has_function(node)) {
            text_appendf(out, "  %s", function_text(&node->function));
            if (node->function.name)
                text_appendf(out, " %s", node->function.name);
            if (node->function.text) {
                text_append(out, STR(" '"));
                text_append_escaped(out, str_from(node->function.text));
                text_append_byte(out, '\'');
            }
        }
        if (node->kind == PLAN_SORT)
            format_order(node, out);
        if (node->is_cumulative)
            text_appendf(out, "  inverse %s", function_text(&node->inverse));
        if (node->kind == PLAN_WINDOW)
            text_appendf(out, "  last %" PRIu64 " batches%s", node->length,
                         node->gives_changes ? ", changes" : "");
        if (node->slide > 1)
            text_appendf(out, "  every %" PRIu64, node->slide);
        text_append(out, STR("  ("));
        schema_format(node->schema, out);
        text_append_byte(out, ')');
        if (node->schema->key_count)
            text_appendf(out, " key %u", node->schema->key_count);
        if (node->state_schema) {
            text_append(out, STR("  state ("));
            schema_format(node->state_schema, out);
            text_append_byte(out, ')');
        }
        if (node->is_fused)
            text_append(out, STR("  decoded with its source"));
        text_append_byte(out, '\n');
    }
}
