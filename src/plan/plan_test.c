#include "plan/plan.h"
#include "check.h"

static const Schema *schema_of(Plan *plan, const char *text, uint32_t key_count) {
    Schema *schema = NULL;
    Error err = {0};
    CHECK_OK(schema_parse(plan->arena, str_from(text), key_count, &schema, &err), err);
    return schema;
}

static PlanNode *add_source(Plan *plan, const char *kind) {
    PlanNode *node = plan_add(plan, PLAN_SOURCE, "leat_socket_text_stream", NULL, 0);
    node->source_kind = kind;
    node->is_text = true;
    node->schema = schema_of(plan, "value STRING", 0);
    return node;
}

static PlanNode *add(Plan *plan, PlanKind kind, const char *call, PlanNode *input, LeatFunction function,
                     const char *columns, uint32_t key_count) {
    PlanNode *node = plan_add(plan, kind, call, &input, 1);
    node->function = plan_function(plan, function);
    node->schema = schema_of(plan, columns, key_count);
    return node;
}

static PlanNode *add_split(Plan *plan, PlanNode *input, const char *separator) {
    return add(plan, PLAN_FLAT_MAP, "leat_flat_map", input,
               (LeatFunction){.kind = LEAT_FUNCTION_SPLIT, .text = separator}, "value STRING", 0);
}

static PlanNode *add_pair(Plan *plan, PlanNode *input) {
    return add(plan, PLAN_MAP, "leat_map", input,
               (LeatFunction){.kind = LEAT_FUNCTION_PAIR_WITH_I64, .i64 = 1}, "value STRING, n BIGINT", 1);
}

static PlanNode *add_update(Plan *plan, PlanNode *input, const char *state) {
    Text columns = {0};
    text_appendf(&columns, "value STRING, %s", state);
    PlanNode *node = add(plan, PLAN_KEYED_PROCESS, "leat_update_state_by_key", input,
                         (LeatFunction){.kind = LEAT_FUNCTION_UPDATE, .schema = state}, columns.data, 1);
    node->state_schema = schema_of(plan, state, 0);
    text_deinit(&columns);
    return node;
}

static PlanNode *add_print(Plan *plan, PlanNode *input) {
    PlanNode *node = plan_add(plan, PLAN_OUTPUT, "leat_print", &input, 1);
    node->schema = input->schema;
    return node;
}

static void check_refused(Plan *plan, const char *message) {
    Error err = {0};
    CHECK_EQ(plan_finish(plan, &err), STATUS_INVALID);
    CHECK_STR(err.message, message);
    plan_destroy(plan);
}

TEST(ids_count_per_kind_and_names_win) {
    Plan *plan = plan_create();
    PlanNode *a = add_source(plan, "socket"), *b = add_source(plan, "socket"),
             *files = add_source(plan, "file");
    PlanNode *first = add_update(plan, add_pair(plan, add_split(plan, a, " ")), "n BIGINT");
    PlanNode *named = add_update(plan, add_pair(plan, b), "n BIGINT");
    named->name = "running";
    PlanNode *third = add_update(plan, add_pair(plan, files), "n BIGINT");
    PlanNode *print = add_print(plan, first);
    add_print(plan, named);
    PlanNode *last = add_print(plan, third);
    Error err = {0};
    CHECK_OK(plan_finish(plan, &err), err);
    CHECK_STR(a->id, "socket#0");
    CHECK_STR(b->id, "socket#1");
    CHECK_STR(files->id, "file#0");
    CHECK_STR(first->id, "update_state_by_key#0");
    CHECK_STR(named->id, "running");
    CHECK_STR(third->id, "update_state_by_key#2");
    CHECK_STR(print->id, "print#0");
    CHECK_STR(last->id, "print#2");
    plan_destroy(plan);
}

TEST(a_name_is_given_once) {
    Plan *plan = plan_create();
    PlanNode *pairs = add_pair(plan, add_source(plan, "socket"));
    PlanNode *a = add_update(plan, pairs, "n BIGINT"), *b = add_update(plan, pairs, "n BIGINT");
    a->name = b->name = "twice";
    add_print(plan, a);
    add_print(plan, b);
    check_refused(plan,
                  "leat_update_state_by_key: the name 'twice' is taken by leat_update_state_by_key already");
}

TEST(what_no_output_needs_is_dropped_and_moves_no_number) {
    Plan *plan = plan_create();
    PlanNode *unused = add_source(plan, "socket");
    PlanNode *source = add_source(plan, "socket");
    add_pair(plan, unused);
    add_pair(plan, source);
    add_print(plan, source);
    Error err = {0};
    CHECK_OK(plan_finish(plan, &err), err);
    CHECK_EQ(plan->node_count, 2);
    CHECK_EQ(source->index, 0);
    CHECK_EQ(source->consumer_count, 1);
    CHECK_STR(source->id, "socket#0");
    plan_destroy(plan);
}

TEST(without_an_output_there_is_nothing_to_execute) {
    Plan *plan = plan_create();
    add_pair(plan, add_source(plan, "socket"));
    check_refused(plan, "leat_start: no output was registered, so there is nothing to execute");
}

TEST(a_split_is_fused_only_with_a_text_source_of_its_own) {
    static const struct {
        const char *separator;
        bool is_text, has_other_consumer, is_fused;
    } cases[] = {
        {" ", true, false, true},   {", ", true, false, false}, {"\n", true, false, false},
        {" ", false, false, false}, {" ", true, true, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Plan *plan = plan_create();
        PlanNode *source = add_source(plan, "socket");
        source->is_text = cases[i].is_text;
        PlanNode *split = add_split(plan, source, cases[i].separator);
        add_print(plan, split);
        if (cases[i].has_other_consumer)
            add_print(plan, source);
        Error err = {0};
        CHECK_OK(plan_finish(plan, &err), err);
        CHECK_EQ(split->is_fused, cases[i].is_fused);
        plan_destroy(plan);
    }
}

TEST(a_function_that_does_not_fit_its_columns_is_refused_by_name) {
    Plan *plan = plan_create();
    PlanNode *source = add_source(plan, "socket");
    add_print(plan, add(plan, PLAN_AGGREGATE, "leat_reduce", source,
                        (LeatFunction){.kind = LEAT_FUNCTION_SUM}, "value STRING", 0));
    check_refused(plan, "leat_reduce: leat_sum cannot add up column 'value', which is STRING");

    plan = plan_create();
    add_print(plan, add_split(plan, add_source(plan, "socket"), ""));
    check_refused(plan, "leat_flat_map: the separator of leat_split is empty");

    plan = plan_create();
    source = add_source(plan, "socket");
    add_print(plan, add(plan, PLAN_MAP, "leat_map", source,
                        (LeatFunction){.kind = LEAT_FUNCTION_SPLIT, .text = " "}, "value STRING", 0));
    check_refused(plan, "leat_map: a function of this kind cannot be used here");

    plan = plan_create();
    source = add_source(plan, "socket");
    source->schema = schema_of(plan, "n BIGINT", 0);
    add_print(plan, add_split(plan, source, " "));
    check_refused(plan, "leat_flat_map: leat_split needs a STRING column");

    plan = plan_create();
    source = add_source(plan, "function");
    source->schema = schema_of(plan, "k STRUCT<m: MAP<STRING, INT>>, n BIGINT", 1);
    add_print(plan,
              add(plan, PLAN_AGGREGATE, "leat_reduce_by_key", source,
                  (LeatFunction){.kind = LEAT_FUNCTION_SUM}, "k STRUCT<m: MAP<STRING, INT>>, n BIGINT", 1));
    check_refused(plan,
                  "leat_reduce_by_key: a key cannot be column 'k', which is STRUCT<m: MAP<STRING, INT>>");

    plan = plan_create();
    source = add_source(plan, "function");
    source->schema = schema_of(plan, "value ARRAY<INT>, n BIGINT", 1);
    add_print(plan, add_update(plan, source, "n BIGINT"));
    check_refused(plan,
                  "leat_update_state_by_key: a function with state cannot take column 'value', which is "
                  "ARRAY<INT>");

    plan = plan_create();
    source = add_source(plan, "socket");
    add_print(plan, add(plan, PLAN_MAP, "leat_map", source, (LeatFunction){.kind = LEAT_FUNCTION_RECORD},
                        "tags ARRAY<STRING>", 0));
    check_refused(plan, "leat_map: a function cannot give column 'tags', which is ARRAY<STRING>");

    plan = plan_create();
    PlanNode *inputs[] = {add_source(plan, "socket"), add_pair(plan, plan->nodes[0])};
    PlanNode *both = plan_add(plan, PLAN_UNION, "leat_union", inputs, 2);
    both->schema = inputs[0]->schema;
    add_print(plan, both);
    check_refused(plan,
                  "leat_union: the columns are (value STRING, n BIGINT) where (value STRING) are needed");
}

TEST(order_shows_in_float_sums_lists_and_functions) {
    static const struct {
        LeatFunctionKind function;
        const char *columns;
        bool is_sensitive;
    } cases[] = {
        {LEAT_FUNCTION_SUM, "k STRING, n BIGINT", false},
        {LEAT_FUNCTION_SUM, "k STRING, n BIGINT, x DOUBLE", true},
        {LEAT_FUNCTION_SUM, "k DOUBLE, n BIGINT", false},
        {LEAT_FUNCTION_MIN, "k STRING, x DOUBLE", false},
        {LEAT_FUNCTION_MAX, "k STRING, s STRING", false},
        {LEAT_FUNCTION_CONCAT, "k STRING, s STRING", true},
        {LEAT_FUNCTION_REDUCE, "k STRING, n BIGINT", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Plan *plan = plan_create();
        PlanNode *source = add_source(plan, "function");
        source->schema = schema_of(plan, cases[i].columns, 1);
        PlanNode *node = add(plan, PLAN_AGGREGATE, "leat_reduce_by_key", source,
                             (LeatFunction){.kind = cases[i].function}, cases[i].columns, 1);
        CHECK_EQ(plan_is_order_sensitive(node), cases[i].is_sensitive);
        plan_destroy(plan);
    }
}

typedef struct Program {
    const char *source_kind, *name, *state;
    uint32_t version;
    bool has_second_output, has_no_state;
} Program;

static Plan *build(Program program) {
    Plan *plan = plan_create();
    PlanNode *pairs = add_pair(plan, add_split(plan, add_source(plan, program.source_kind), " "));
    PlanNode *last = pairs;
    if (!program.has_no_state) {
        last = add_update(plan, pairs, program.state);
        last->name = program.name;
        last->function.version = program.version;
    }
    add_print(plan, last);
    if (program.has_second_output)
        add_print(plan, pairs);
    Error err = {0};
    CHECK_OK(plan_finish(plan, &err), err);
    return plan;
}

TEST(a_checkpoint_is_compared_by_names_schemas_and_versions) {
    Program program = {.source_kind = "socket", .state = "total BIGINT", .version = 1};
    Plan *plan = build(program);
    Text saved = {0};
    plan_identity(plan, &saved);
    CHECK_STR(saved.data,
              "source\tsocket#0\tsocket\tvalue STRING\n"
              "state\tupdate_state_by_key#0\tleat_update_state_by_key\tvalue STRING\ttotal BIGINT\t1\n"
              "output\tprint#0\tleat_print\n");
    plan_destroy(plan);

    static const struct {
        Program program;
        const char *message; /* NULL: goes on */
    } cases[] = {
        {{.source_kind = "socket", .state = "total BIGINT", .version = 1}, NULL},
        {{.source_kind = "socket", .state = "total BIGINT", .version = 1, .has_second_output = true}, NULL},
        {{.source_kind = "socket", .state = "total DOUBLE", .version = 1},
         "operator 'update_state_by_key#0': its state was (total BIGINT), the program now says (total "
         "DOUBLE)"},
        {{.source_kind = "socket", .state = "total BIGINT", .version = 2},
         "operator 'update_state_by_key#0': function version 2, the checkpoint has 1"},
        {{.source_kind = "socket", .state = "total BIGINT", .version = 1, .name = "sums"},
         "operator 'update_state_by_key#0' of the checkpoint is not in the program "
         "(leat_update_state_by_key)"},
        {{.source_kind = "socket", .has_no_state = true},
         "operator 'update_state_by_key#0' of the checkpoint is not in the program "
         "(leat_update_state_by_key)"},
        {{.source_kind = "file", .state = "total BIGINT", .version = 1},
         "source 'socket#0' of the checkpoint is not in the program (socket)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Plan *other = build(cases[i].program);
        Error err = {0};
        CHECK_EQ(plan_compare(other, text_str(&saved), &err), cases[i].message ? STATUS_INVALID : STATUS_OK);
        CHECK_STR(err.message, cases[i].message ? cases[i].message : "");
        plan_destroy(other);
    }
    text_deinit(&saved);
}

TEST(a_plan_reads_as_a_list) {
    Plan *plan = build((Program){.source_kind = "socket", .state = "total BIGINT"});
    Text text = {0};
    plan_format(plan, &text);
    CHECK_STR(text.data, "0  socket  'socket#0'  (value STRING)\n"
                         "1  leat_flat_map <- 0  leat_split ' '  (value STRING)  decoded with its source\n"
                         "2  leat_map <- 1  leat_pair_with_i64  (value STRING, n BIGINT) key 1\n"
                         "3  leat_update_state_by_key <- 2  'update_state_by_key#0'  update function  "
                         "(value STRING, total BIGINT) key 1  state (total BIGINT)\n"
                         "4  leat_print <- 3  'print#0'  (value STRING, total BIGINT) key 1\n");
    text_deinit(&text);
    plan_destroy(plan);
}

/* ---- state of a function per record ---- */

static PlanNode *add_map_with_state(Plan *plan, PlanNode *input, const char *state) {
    PlanNode *node = add(plan, PLAN_KEYED_PROCESS, "leat_map_with_state", input,
                         (LeatFunction){.kind = LEAT_FUNCTION_MAP_WITH_STATE}, "text STRING", 0);
    node->table_schema = schema_of(plan, "value STRING, n BIGINT", 1);
    node->state_schema = schema_of(plan, state, 0);
    return node;
}

static PlanNode *add_snapshots(Plan *plan, PlanNode *process, const char *columns) {
    return add(plan, PLAN_STATE_SNAPSHOTS, "leat_state_snapshots", process, (LeatFunction){0}, columns, 1);
}

/* The key that a checkpoint knows is that of the state, not of what the function gives. */
TEST(a_map_with_state_is_known_by_its_table) {
    Plan *plan = plan_create();
    PlanNode *mapped =
        add_map_with_state(plan, add_pair(plan, add_source(plan, "socket")), "n BIGINT, updated TIMESTAMP");
    mapped->timeout_ms = 1000;
    add_print(plan, add_snapshots(plan, mapped, "value STRING, n BIGINT"));
    Error err = {0};
    CHECK_OK(plan_finish(plan, &err), err);
    Text text = {0};
    plan_identity(plan, &text);
    CHECK(strstr(text.data, "state\tmap_with_state#0\tleat_map_with_state\tvalue STRING\tn BIGINT, updated "
                            "TIMESTAMP\t0\n"));
    text_reset(&text);
    plan_format(plan, &text);
    CHECK(strstr(text.data, "leat_state_snapshots <- 2  (value STRING, n BIGINT) key 1\n"));
    text_deinit(&text);
    plan_destroy(plan);
}

TEST(tables_that_do_not_fit_are_refused) {
    Plan *plan = plan_create();
    PlanNode *mapped =
        add_map_with_state(plan, add_pair(plan, add_source(plan, "socket")), "n BIGINT, updated TIMESTAMP");
    add_print(plan, mapped); /* has no timeout */
    check_refused(plan, "leat_map_with_state: the columns are (value STRING, n BIGINT) where (n BIGINT, "
                        "updated TIMESTAMP) are needed");
    plan = plan_create();
    mapped = add_map_with_state(plan, add_pair(plan, add_source(plan, "socket")), "n BIGINT");
    add_print(plan, add_snapshots(plan, mapped, "value STRING, n DOUBLE"));
    check_refused(plan,
                  "leat_state_snapshots: the columns are (value STRING, n DOUBLE) where (value STRING, n "
                  "BIGINT) are needed");
    plan = plan_create();
    add_print(plan,
              add_snapshots(plan, add_pair(plan, add_source(plan, "socket")), "value STRING, n BIGINT"));
    check_refused(plan, "leat_state_snapshots: the stream has no state by key");
}

TEST_MAIN()
