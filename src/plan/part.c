/* part.c - a node and all it needs as a plan of its own: what is built on a batch is compiled once and
 * found again by its shape. */
#include "plan/plan.h"

#include <stdlib.h>

/* Whoever adds a field to PlanNode: a pointer, or a function, goes into same_links, clear_links and copy_node;
 * anything else is compared and copied without a word here. Then set the number. */
_Static_assert(sizeof(void *) != 8 || sizeof(PlanNode) == 568, "part.c knows every link of a PlanNode");
_Static_assert(sizeof(void *) != 8 || sizeof(LeatFunction) == 112,
               "part.c knows every field of a LeatFunction");

/* Nodes in the order of a walk from the result that goes to inputs first: the same for equal shapes. */
typedef struct Part {
    const PlanNode **nodes;
    uint32_t count, capacity;
} Part;

static uint32_t part_find(const Part *part, const PlanNode *node) {
    uint32_t i = 0;
    while (i < part->count && part->nodes[i] != node)
        i++;
    return i;
}

static void part_walk(Part *part, const PlanNode *node) {
    if (part_find(part, node) < part->count)
        return;
    for (uint32_t k = 0; k < node->input_count; k++)
        part_walk(part, node->inputs[k]);
    if (part->count == part->capacity) {
        part->capacity = part->capacity ? 2 * part->capacity : 16;
        part->nodes = xrealloc(part->nodes, part->capacity * sizeof *part->nodes);
    }
    part->nodes[part->count++] = node;
}

/* ---- comparing ---- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_schema(const Schema *a, const Schema *b) {
    return a == b || (a && b && schema_equal(a, b));
}

/* Of one kind. */
static bool same_call(const LeatFunction *a, const LeatFunction *b) {
    const LeatCombine *x = &a->call.combine, *y = &b->call.combine;
    if (a->kind == LEAT_FUNCTION_COMBINE)
        return x->create == y->create && x->merge_value == y->merge_value &&
               x->merge_combiners == y->merge_combiners && x->no_map_side_combine == y->no_map_side_combine;
    return a->call.record == b->call.record; /* one pointer, whatever its type */
}

static bool same_function(const LeatFunction *a, const LeatFunction *b) {
    return a->kind == b->kind && same_call(a, b) && a->user == b->user && a->i64 == b->i64 &&
           a->version == b->version && a->open == b->open && a->close == b->close &&
           same_text(a->schema, b->schema) && same_text(a->state_schema, b->state_schema) &&
           same_text(a->text, b->text) && same_text(a->name, b->name);
}

static bool same_order(const PlanNode *a, const PlanNode *b) {
    for (uint32_t i = 0; i < a->order_count; i++)
        if (a->order[i].column != b->order[i].column ||
            a->order[i].is_descending != b->order[i].is_descending)
            return false;
    return true;
}

/* Of nodes whose values are the same. */
static bool same_links(const PlanNode *a, const PlanNode *b) {
    return same_text(a->name, b->name) && same_schema(a->schema, b->schema) &&
           same_schema(a->state_schema, b->state_schema) && same_schema(a->table_schema, b->table_schema) &&
           same_function(&a->function, &b->function) && same_function(&a->inverse, &b->inverse) &&
           same_function(&a->filter, &b->filter) && same_order(a, b);
}

/* What plan_finish sets goes, too. */
static PlanNode clear_links(const PlanNode *node) {
    PlanNode values;
    memcpy(&values, node, sizeof values);
    values.index = values.consumer_count = 0;
    values.id = values.name = NULL;
    values.schema = values.state_schema = values.table_schema = NULL;
    values.inputs = NULL;
    values.order = NULL;
    values.is_fused = false;
    memset(&values.function, 0, sizeof values.function);
    memset(&values.inverse, 0, sizeof values.inverse);
    memset(&values.filter, 0, sizeof values.filter);
    return values;
}

static bool same_inputs(const Part *part, const PlanNode *node, const PlanNode *other) {
    for (uint32_t k = 0; k < node->input_count; k++)
        if (part_find(part, node->inputs[k]) != other->inputs[k]->index)
            return false;
    return true;
}

bool plan_part_equals(const Plan *plan, const PlanNode *result) {
    Part part = {0};
    part_walk(&part, result);
    bool is_equal = plan->node_count == part.count + 1; /* and the output */
    for (uint32_t i = 0; is_equal && i < part.count; i++) {
        const PlanNode *node = part.nodes[i], *other = plan->nodes[i];
        PlanNode a = clear_links(node), b = clear_links(other);
        is_equal =
            memcmp(&a, &b, sizeof a) == 0 && same_links(node, other) && same_inputs(&part, node, other);
    }
    free(part.nodes);
    return is_equal;
}

/* ---- copying ---- */

static const Schema *copy_schema(Plan *plan, const Schema *schema) {
    if (!schema)
        return NULL;
    Text text = {0};
    Schema *copy = NULL;
    schema_format(schema, &text);
    Status st = schema_parse(plan->arena, text_str(&text), schema->key_count, &copy, NULL);
    ASSERT(st == STATUS_OK); /* it is read back as it was written */
    text_deinit(&text);
    return copy;
}

static const PlanOrder *copy_order(Plan *plan, const PlanNode *node) {
    if (node->order_count == 0)
        return NULL;
    size_t size_bytes = node->order_count * sizeof(PlanOrder);
    return memcpy(arena_alloc(plan->arena, size_bytes), node->order, size_bytes);
}

/* Its inputs have been copied to the places that they have in `part`. */
static void copy_node(const Part *part, const PlanNode *node, Plan *plan) {
    PlanNode *inputs[node->input_count + 1];
    for (uint32_t k = 0; k < node->input_count; k++)
        inputs[k] = plan->nodes[part_find(part, node->inputs[k])];
    PlanNode *copy = plan_add(plan, node->kind, node->call, inputs, node->input_count);
    PlanNode added = *copy;
    memcpy(copy, node, sizeof *copy);
    copy->index = added.index;
    copy->inputs = added.inputs;
    copy->id = NULL;
    copy->consumer_count = 0;
    copy->is_fused = false;
    copy->name = plan_text(plan, node->name);
    copy->schema = copy_schema(plan, node->schema);
    copy->state_schema = copy_schema(plan, node->state_schema);
    copy->table_schema = copy_schema(plan, node->table_schema);
    copy->function = plan_function(plan, node->function);
    copy->inverse = plan_function(plan, node->inverse);
    copy->filter = plan_function(plan, node->filter);
    copy->order = copy_order(plan, node);
}

CHECKED static Status check_node(const PlanNode *node, Error *err) {
    if (!plan_is_stateful(node) && node->slide == 1 && node->kind != PLAN_TRANSFORM)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "%s: has no meaning inside of a batch: it goes on from batch to batch", node->call);
}

CHECKED static Status copy_part(const Part *part, const char *call, Plan *plan, Error *err) {
    for (uint32_t i = 0; i < part->count; i++) {
        TRY(check_node(part->nodes[i], err));
        copy_node(part, part->nodes[i], plan);
    }
    PlanNode *last = plan->nodes[plan->node_count - 1];
    plan_add(plan, PLAN_OUTPUT, call, &last, 1)->schema = last->schema;
    return plan_finish(plan, err);
}

Status plan_part_create(const PlanNode *result, const char *call, Plan **out, Error *err) {
    Part part = {0};
    part_walk(&part, result);
    *out = plan_create();
    Status st = copy_part(&part, call, *out, err);
    free(part.nodes);
    if (st == STATUS_OK)
        return STATUS_OK;
    plan_destroy(*out);
    *out = NULL;
    return st;
}
