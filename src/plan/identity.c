/* identity.c - what a checkpoint must agree on with a program, and the comparison.
 *
 * A line per node that has an id, fields between tabs, bytes escaped as text_append_escaped does (so a field
 * never holds a tab or a line break):
 *
 *     source   <id>  <source kind>  <columns>
 *     state    <id>  <call>         <key columns>  <state columns>  <function version>
 *     window   <id>  <call>         <columns>      <length>         <slide>
 *     output   <id>  <call>
 *
 * Lines of another first word are passed over: a later version may add some.
 */
#include "plan/plan.h"

#include <inttypes.h>
#include <stdlib.h>

enum { IDENTITY_FIELDS_MAX = 6 };

static void put_field(Text *out, Str text) {
    text_append_byte(out, '\t');
    text_append_escaped(out, text);
}

static void put_columns(Text *out, const Schema *schema, uint32_t column_count) {
    Text columns = {0};
    Schema part = {.fields = schema->fields, .column_count = column_count};
    schema_format(&part, &columns);
    put_field(out, text_str(&columns));
    text_deinit(&columns);
}

static void put_state(const PlanNode *node, Text *out) {
    text_append(out, STR("state"));
    put_field(out, str_from(node->id));
    put_field(out, str_from(node->call));
    put_columns(out, plan_table_schema(node), plan_table_schema(node)->key_count);
    put_columns(out, node->state_schema, node->state_schema->column_count);
    text_appendf(out, "\t%u", node->function.version);
}

static void put_node(const PlanNode *node, Text *out) {
    switch (node->kind) {
    case PLAN_SOURCE:
        text_append(out, STR("source"));
        put_field(out, str_from(node->id));
        put_field(out, str_from(node->source_kind));
        put_columns(out, node->schema, node->schema->column_count);
        break;
    case PLAN_AGGREGATE:
        if (!node->is_cumulative)
            return;
        put_state(node, out);
        break;
    case PLAN_KEYED_PROCESS:
        put_state(node, out);
        break;
    case PLAN_WINDOW:
        text_append(out, STR("window"));
        put_field(out, str_from(node->id));
        put_field(out, str_from(node->call));
        put_columns(out, node->inputs[0]->schema, node->inputs[0]->schema->column_count);
        text_appendf(out, "\t%" PRIu64 "\t%" PRIu64, node->length, node->slide);
        break;
    case PLAN_OUTPUT:
        text_append(out, STR("output"));
        put_field(out, str_from(node->id));
        put_field(out, str_from(node->call));
        break;
    default:
        return;
    }
    text_append_byte(out, '\n');
}

void plan_identity(const Plan *plan, Text *out) {
    for (uint32_t i = 0; i < plan->node_count; i++)
        put_node(plan->nodes[i], out);
}

/* ---- comparing ---- */

/* Cuts a line into its fields; missing ones are empty. */
static uint32_t split_fields(Str line, Str *fields) {
    for (uint32_t i = 0; i < IDENTITY_FIELDS_MAX; i++)
        fields[i] = STR("");
    uint32_t count = 0;
    for (Str part; count < IDENTITY_FIELDS_MAX && leat_str_split(&line, '\t', &part);)
        fields[count++] = part;
    return count;
}

/* The line of `identity` with the same first word and id. */
static bool find_line(Str identity, Str word, Str id, Str *fields) {
    for (Str line; leat_str_next_line(&identity, &line);) {
        split_fields(line, fields);
        if (str_equal(fields[0], word) && str_equal(fields[1], id))
            return true;
    }
    return false;
}

CHECKED static Status compare_source(const Str *saved, const Str *now, Error *err) {
    if (!str_equal(saved[2], now[2]))
        return error_set(err, STATUS_INVALID,
                         "source '%.*s': the checkpoint has it as a %.*s source, the program now says %.*s",
                         STR_ARG(saved[1]), STR_ARG(saved[2]), STR_ARG(now[2]));
    if (!str_equal(saved[3], now[3]))
        return error_set(err, STATUS_INVALID,
                         "source '%.*s': its columns were (%.*s), the program now says (%.*s)",
                         STR_ARG(saved[1]), STR_ARG(saved[3]), STR_ARG(now[3]));
    return STATUS_OK;
}

CHECKED static Status compare_state(const Str *saved, const Str *now, Error *err) {
    if (!str_equal(saved[2], now[2]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': it was made by %.*s, the program now says %.*s", STR_ARG(saved[1]),
                         STR_ARG(saved[2]), STR_ARG(now[2]));
    if (!str_equal(saved[3], now[3]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': its key was (%.*s), the program now says (%.*s)",
                         STR_ARG(saved[1]), STR_ARG(saved[3]), STR_ARG(now[3]));
    if (!str_equal(saved[4], now[4]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': its state was (%.*s), the program now says (%.*s)",
                         STR_ARG(saved[1]), STR_ARG(saved[4]), STR_ARG(now[4]));
    if (!str_equal(saved[5], now[5]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': function version %.*s, the checkpoint has %.*s", STR_ARG(saved[1]),
                         STR_ARG(now[5]), STR_ARG(saved[5]));
    return STATUS_OK;
}

CHECKED static Status compare_window(const Str *saved, const Str *now, Error *err) {
    if (!str_equal(saved[2], now[2]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': it was made by %.*s, the program now says %.*s", STR_ARG(saved[1]),
                         STR_ARG(saved[2]), STR_ARG(now[2]));
    if (!str_equal(saved[3], now[3]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': its columns were (%.*s), the program now says (%.*s)",
                         STR_ARG(saved[1]), STR_ARG(saved[3]), STR_ARG(now[3]));
    if (!str_equal(saved[4], now[4]) || !str_equal(saved[5], now[5]))
        return error_set(err, STATUS_INVALID,
                         "operator '%.*s': its window was of %.*s batches every %.*s, the program now says "
                         "%.*s every %.*s",
                         STR_ARG(saved[1]), STR_ARG(saved[4]), STR_ARG(saved[5]), STR_ARG(now[4]),
                         STR_ARG(now[5]));
    return STATUS_OK;
}

CHECKED static Status compare_line(const Str *saved, Str identity, Error *err) {
    bool is_source = str_equal(saved[0], STR("source")), is_window = str_equal(saved[0], STR("window"));
    if (!is_source && !is_window && !str_equal(saved[0], STR("state")))
        return STATUS_OK; /* outputs may come and go */
    Str now[IDENTITY_FIELDS_MAX];
    if (!find_line(identity, saved[0], saved[1], now))
        return error_set(err, STATUS_INVALID, "%s '%.*s' of the checkpoint is not in the program (%.*s)",
                         is_source ? "source" : "operator", STR_ARG(saved[1]), STR_ARG(saved[2]));
    if (is_window)
        return compare_window(saved, now, err);
    return is_source ? compare_source(saved, now, err) : compare_state(saved, now, err);
}

Status plan_compare(const Plan *plan, Str saved, Error *err) {
    Status st = STATUS_OK;
    Text identity = {0};
    plan_identity(plan, &identity);
    for (Str line; st == STATUS_OK && leat_str_next_line(&saved, &line);) {
        Str fields[IDENTITY_FIELDS_MAX];
        split_fields(line, fields);
        st = compare_line(fields, text_str(&identity), err);
    }
    text_deinit(&identity);
    return st;
}
