/* Parts of plans: what is equal to what, and that a copy needs nothing of where it came from. */
#include "plan/plan.h"
#include "check.h"

/* What a shape is made of; each field changed alone makes another shape. */
typedef struct Shape {
    const char *separator, *looked_for, *order_name, *schema;
    int user; /* index of an address */
    LeatPredicateFunction predicate;
    uint32_t order_column, kept_count;
    uint64_t row_limit;
    bool descends, is_union_swapped, has_count;
    const void *source;
} Shape;

static bool any_row(const LeatRow *row, void *user) {
    (void)row;
    (void)user;
    return true;
}
static bool no_row(const LeatRow *row, void *user) {
    (void)row;
    (void)user;
    return false;
}

static int addresses[4];

static const Shape plain = {.separator = " ",
                            .looked_for = "a",
                            .schema = "value STRING, n BIGINT",
                            .predicate = any_row,
                            .row_limit = 3,
                            .source = &addresses[0]};

static const Schema *schema_of(Plan *plan, const char *text) {
    Schema *schema = NULL;
    Error err = {0};
    CHECK_OK(schema_parse(plan->arena, str_from(text), 0, &schema, &err), err);
    return schema;
}

static PlanNode *add(Plan *plan, PlanKind kind, const char *call, PlanNode *input, LeatFunction function,
                     const Schema *schema) {
    PlanNode *node = plan_add(plan, kind, call, &input, 1);
    node->function = plan_function(plan, function);
    node->schema = schema;
    return node;
}

/* split -> contains -> pair -> predicate -> union with itself before the predicate -> sort -> count */
static PlanNode *build(Plan *plan, Shape shape) {
    const Schema *line = schema_of(plan, "value STRING"), *pair = schema_of(plan, shape.schema);
    PlanNode *source = plan_add(plan, PLAN_SOURCE, "leat_transform", NULL, 0);
    source->schema = line;
    source->source = (void *)(uintptr_t)shape.source;
    source->source_kind = "batch";
    PlanNode *words = add(plan, PLAN_FLAT_MAP, "leat_flat_map", source, leat_split(shape.separator), line);
    PlanNode *found = add(plan, PLAN_FILTER, "leat_filter", words, leat_contains(shape.looked_for), line);
    PlanNode *pairs = add(plan, PLAN_MAP, "leat_map", found, leat_pair_with_i64(1), pair);
    pairs->kept_count = shape.kept_count;
    PlanNode *kept = add(plan, PLAN_FILTER, "leat_filter", pairs,
                         leat_predicate(shape.predicate, &addresses[shape.user]), pair);
    PlanNode *inputs[] = {shape.is_union_swapped ? kept : pairs, shape.is_union_swapped ? pairs : kept};
    PlanNode *both = plan_add(plan, PLAN_UNION, "leat_union", inputs, 2);
    both->schema = pair;
    PlanNode *sorted = add(plan, PLAN_SORT, "leat_top", both, (LeatFunction){0}, pair);
    PlanOrder *order = arena_alloc(plan->arena, sizeof *order);
    *order = (PlanOrder){shape.order_column, shape.descends};
    sorted->order = order;
    sorted->order_count = 1;
    sorted->row_limit = shape.row_limit;
    sorted->name = shape.order_name;
    if (!shape.has_count)
        return sorted;
    return add(plan, PLAN_COUNT, "leat_count", sorted, (LeatFunction){0}, schema_of(plan, "n BIGINT"));
}

TEST(parts_are_equal_where_their_shapes_are) {
    Shape shapes[14];
    uint32_t count = sizeof shapes / sizeof shapes[0];
    for (uint32_t i = 0; i < count; i++)
        shapes[i] = plain;
    shapes[1].separator = ",";
    shapes[2].looked_for = "b";
    shapes[3].order_name = "best";
    shapes[4].schema = "value STRING, m BIGINT";
    shapes[5].user = 1;
    shapes[6].predicate = no_row;
    shapes[7].order_column = 1;
    shapes[8].kept_count = 1;
    shapes[9].row_limit = 4;
    shapes[10].descends = true;
    shapes[11].is_union_swapped = true;
    shapes[12].has_count = true;
    shapes[13].source = &addresses[1];
    for (uint32_t i = 0; i < count; i++) {
        Error err = {0};
        Plan *from = plan_create(), *part = NULL;
        CHECK_OK(plan_part_create(build(from, shapes[i]), "leat_transform", &part, &err), err);
        plan_destroy(from);
        for (uint32_t k = 0; part && k < count; k++) {
            Plan *other = plan_create();
            if (!CHECK(plan_part_equals(part, build(other, shapes[k])) == (i == k)))
                printf("    shapes %u and %u\n", i, k);
            plan_destroy(other);
        }
        plan_destroy(part);
    }
}

TEST(a_part_lives_on_its_own) {
    Error err = {0};
    Plan *from = plan_create(), *part = NULL;
    char separator[] = " ", looked_for[] = "a", name[] = "best";
    Shape shape = plain;
    shape.separator = separator;
    shape.looked_for = looked_for;
    shape.order_name = name;
    CHECK_OK(plan_part_create(build(from, shape), "leat_transform", &part, &err), err);
    plan_destroy(from);
    separator[0] = looked_for[0] = name[0] = '?';
    Text text = {0};
    plan_format(part, &text);
    CHECK(strstr(text.data, "'a'") && strstr(text.data, "' '") && !strstr(text.data, "?"));
    CHECK(strstr(text.data, "leat_top") && strstr(text.data, "first 3"));
    CHECK_EQ(part->node_count, 8);
    CHECK_EQ(part->nodes[7]->kind, PLAN_OUTPUT);
    CHECK_STR(part->nodes[6]->name, "best");
    text_deinit(&text);
    plan_destroy(part);
}

TEST(what_goes_on_from_batch_to_batch_is_no_part) {
    Error err = {0};
    Plan *from = plan_create(), *part = NULL;
    PlanNode *end = build(from, plain);
    end->slide = 2;
    CHECK_EQ(plan_part_create(end, "leat_transform", &part, &err), STATUS_INVALID);
    CHECK(part == NULL);
    CHECK_STR(err.message, "leat_top: has no meaning inside of a batch: it goes on from batch to batch");
    end->slide = 1;
    PlanNode *window = add(from, PLAN_WINDOW, "leat_window", end, (LeatFunction){0}, end->schema);
    window->length = 2;
    CHECK_EQ(plan_part_create(window, "leat_transform", &part, &err), STATUS_INVALID);
    CHECK_STR(err.message, "leat_window: has no meaning inside of a batch: it goes on from batch to batch");
    plan_destroy(from);
}

TEST_MAIN()
