/* check.c - does a node's function fit its columns? What passes here, exec need not ask again. */
#include "plan/plan.h"

#include <inttypes.h>
#include <stdlib.h>

/* "<call>: <what> column 'x', which is STRING" */
CHECKED static Status refuse_column(const PlanNode *node, const char *what, const Field *field, Error *err) {
    Text type = {0};
    type_format(&field->type, &type);
    Status st = error_set(err, STATUS_INVALID, "%s: %s column '%s', which is %.*s", node->call, what,
                          field->name, STR_ARG(text_str(&type)));
    text_deinit(&type);
    return st;
}

CHECKED static Status refuse_schema(const PlanNode *node, const Schema *has, const Schema *wants,
                                    Error *err) {
    Text a = {0}, b = {0};
    schema_format(has, &a);
    schema_format(wants, &b);
    Status st = error_set(err, STATUS_INVALID, "%s: the columns are (%.*s) where (%.*s) are needed",
                          node->call, STR_ARG(text_str(&a)), STR_ARG(text_str(&b)));
    text_deinit(&a);
    text_deinit(&b);
    return st;
}

static bool have_equal_types(const Schema *a, const Schema *b) {
    if (a->column_count != b->column_count)
        return false;
    for (uint32_t c = 0; c < a->column_count; c++)
        if (!type_equal(&a->fields[c].type, &b->fields[c].type))
            return false;
    return true;
}

CHECKED static Status refuse_function(const PlanNode *node, Error *err) {
    return error_set(err, STATUS_INVALID, "%s: a function of this kind cannot be used here", node->call);
}

/* Functions of the user give scalars only. */
CHECKED static Status check_given(const PlanNode *node, const Schema *schema, Error *err) {
    for (uint32_t c = 0; c < schema->column_count; c++)
        if (type_is_nested(schema->fields[c].type.kind))
            return refuse_column(node, "a function cannot give", &schema->fields[c], err);
    return STATUS_OK;
}

CHECKED static Status check_string_column(const PlanNode *node, const char *function, Error *err) {
    const Schema *in = node->inputs[0]->schema;
    if (plan_string_column(in) == in->column_count)
        return error_set(err, STATUS_INVALID, "%s: %s needs a STRING column", node->call, function);
    return STATUS_OK;
}

CHECKED static Status check_split(const PlanNode *node, Error *err) {
    if (!node->function.text || !node->function.text[0])
        return error_set(err, STATUS_INVALID, "%s: the separator of leat_split is empty", node->call);
    TRY(check_string_column(node, "leat_split", err));
    static const Field value = {.name = "value", .type = {.kind = LEAT_STRING}};
    static const Schema parts = {.fields = &value, .column_count = 1};
    return have_equal_types(node->schema, &parts) ? STATUS_OK
                                                  : refuse_schema(node, node->schema, &parts, err);
}

CHECKED static Status check_pair(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *out = node->schema;
    bool fits =
        out->column_count == in->column_count + 1 && out->fields[in->column_count].type.kind == LEAT_BIGINT;
    for (uint32_t c = 0; fits && c < in->column_count; c++)
        fits = type_equal(&in->fields[c].type, &out->fields[c].type);
    return fits ? STATUS_OK : refuse_schema(node, out, in, err);
}

CHECKED static Status check_given_behind_kept(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *out = node->schema;
    uint32_t kept_count = node->kept_count;
    bool fits = kept_count == 0 || (kept_count < in->column_count && kept_count < out->column_count);
    for (uint32_t c = 0; fits && c < kept_count; c++)
        fits = type_equal(&in->fields[c].type, &out->fields[c].type);
    if (!fits)
        return refuse_schema(node, out, in, err);
    if (kept_count > 0 && node->kind == PLAN_FLAT_MAP && node->function.kind == LEAT_FUNCTION_CHUNK)
        return refuse_function(node, err);
    Schema given = {.fields = out->fields + kept_count, .column_count = out->column_count - kept_count};
    return check_given(node, &given, err);
}

CHECKED static Status check_apply(const PlanNode *node, Error *err) {
    switch (node->function.kind) {
    case LEAT_FUNCTION_RECORD:
    case LEAT_FUNCTION_CHUNK:
        return check_given_behind_kept(node, err);
    case LEAT_FUNCTION_SPLIT:
        return node->kind == PLAN_FLAT_MAP ? check_split(node, err) : refuse_function(node, err);
    case LEAT_FUNCTION_PAIR_WITH_I64:
        return node->kind == PLAN_MAP ? check_pair(node, err) : refuse_function(node, err);
    default:
        return refuse_function(node, err);
    }
}

CHECKED static Status check_filter(const PlanNode *node, Error *err) {
    if (!have_equal_types(node->schema, node->inputs[0]->schema))
        return refuse_schema(node, node->schema, node->inputs[0]->schema, err);
    switch (node->function.kind) {
    case LEAT_FUNCTION_PREDICATE:
        return STATUS_OK;
    case LEAT_FUNCTION_CONTAINS:
        return check_string_column(node, "leat_contains", err);
    default:
        return refuse_function(node, err);
    }
}

CHECKED static Status check_union(const PlanNode *node, Error *err) {
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!have_equal_types(node->inputs[i]->schema, node->schema))
            return refuse_schema(node, node->inputs[i]->schema, node->schema, err);
    return STATUS_OK;
}

static bool can_fold(LeatFunctionKind function, LeatType type) {
    switch (function) {
    case LEAT_FUNCTION_SUM:
        return type_is_number(type);
    case LEAT_FUNCTION_CONCAT:
        return type_is_string(type);
    default:
        return !type_is_nested(type);
    }
}

/* What a window that gives changes puts behind its columns. */
static bool has_sign(const Schema *schema) {
    return schema->column_count > 0 && schema->fields[schema->column_count - 1].type.kind == LEAT_BIGINT;
}

CHECKED static Status check_window(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *out = node->schema;
    uint64_t stride = node->inputs[0]->slide;
    if (node->length == 0 || node->slide == 0 || node->length % stride || node->slide % stride)
        return error_set(err, STATUS_INVALID,
                         "%s: %" PRIu64 " batches every %" PRIu64
                         ": both must be a multiple of the slide duration of the parent stream (%" PRIu64 ")",
                         node->call, node->length, node->slide, stride);
    Schema rows = {.fields = out->fields, .column_count = out->column_count - node->gives_changes};
    bool fits = (!node->gives_changes || has_sign(out)) && have_equal_types(&rows, in);
    return fits ? STATUS_OK : refuse_schema(node, out, in, err);
}

CHECKED static Status check_inverse(const PlanNode *node, Error *err) {
    const PlanNode *in = node->inputs[0];
    bool is_inverse =
        node->inverse.kind == LEAT_FUNCTION_REDUCE || node->inverse.kind == LEAT_FUNCTION_SUBTRACT;
    bool is_filter = node->filter.kind == LEAT_FUNCTION_PREDICATE || !node->filter.call.predicate;
    if (in->kind != PLAN_WINDOW || !in->gives_changes || !is_inverse || !is_filter)
        return refuse_function(node, err);
    for (uint32_t c = node->schema->key_count; c < node->schema->column_count; c++)
        if (node->inverse.kind == LEAT_FUNCTION_SUBTRACT &&
            !can_fold(LEAT_FUNCTION_SUM, node->schema->fields[c].type.kind))
            return refuse_column(node, "leat_subtract cannot take from", &node->schema->fields[c], err);
    for (uint32_t c = 0; c < node->schema->key_count; c++)
        if (node->filter.call.predicate && type_is_nested(node->schema->fields[c].type.kind))
            return refuse_column(node, "a filter of keys cannot take", &node->schema->fields[c], err);
    return STATUS_OK;
}

/* Its function gives other columns than it takes. */
CHECKED static Status check_combine(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *out = node->schema;
    uint32_t key_count = out->key_count;
    bool fits = key_count > 0 && key_count < in->column_count && key_count < out->column_count;
    for (uint32_t c = 0; fits && c < key_count; c++)
        fits = type_equal(&in->fields[c].type, &out->fields[c].type);
    if (!fits)
        return refuse_schema(node, out, in, err);
    Schema given = {.fields = out->fields + key_count, .column_count = out->column_count - key_count};
    return node->is_cumulative ? refuse_function(node, err) : check_given(node, &given, err);
}

CHECKED static Status check_aggregate(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema;
    Schema values = {.fields = in->fields,
                     .column_count = in->column_count - (node->is_cumulative || node->is_running)};
    const char *what = NULL;
    switch (node->function.kind) {
    case LEAT_FUNCTION_SUM:
        what = "leat_sum cannot add up";
        break;
    case LEAT_FUNCTION_MIN:
        what = "leat_min cannot compare";
        break;
    case LEAT_FUNCTION_MAX:
        what = "leat_max cannot compare";
        break;
    case LEAT_FUNCTION_CONCAT:
        what = "leat_concat cannot join";
        break;
    case LEAT_FUNCTION_REDUCE:
        what = "a function cannot give";
        break;
    case LEAT_FUNCTION_COMBINE:
        return check_combine(node, err);
    default:
        return refuse_function(node, err);
    }
    if (!have_equal_types(node->schema, &values))
        return refuse_schema(node, node->schema, in, err);
    for (uint32_t c = node->schema->key_count; c < node->schema->column_count; c++)
        if (!can_fold(node->function.kind, node->schema->fields[c].type.kind))
            return refuse_column(node, what, &node->schema->fields[c], err);
    return node->is_cumulative ? check_inverse(node, err) : STATUS_OK;
}

/* The state as it is stored: that of the table, and with a timeout when it was updated. */
static bool is_stored_state(const PlanNode *node, const Schema *table) {
    const Schema *state = node->state_schema;
    uint32_t count = table->column_count - table->key_count;
    if (state->column_count != count + (node->timeout_ms > 0))
        return false;
    for (uint32_t c = 0; c < count; c++)
        if (!type_equal(&state->fields[c].type, &table->fields[table->key_count + c].type))
            return false;
    return node->timeout_ms == 0 || state->fields[count].type.kind == LEAT_TIMESTAMP;
}

CHECKED static Status check_keyed_process(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *table = plan_table_schema(node), *state = node->state_schema;
    bool is_map = plan_is_map_with_state(node);
    if (is_map && node->function.kind != LEAT_FUNCTION_MAP_WITH_STATE &&
        node->function.kind != LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE)
        return refuse_function(node, err);
    if (table->key_count == 0)
        return error_set(err, STATUS_INVALID, "%s: the stream has no key", node->call);
    TRY(check_given(node, state, err));
    if (is_map)
        TRY(check_given(node, node->schema, err));
    for (uint32_t c = 0; c < in->column_count; c++)
        if (type_is_nested(in->fields[c].type.kind))
            return refuse_column(node, "a function with state cannot take", &in->fields[c], err);
    bool fits = table->key_count <= in->column_count && is_stored_state(node, table);
    for (uint32_t c = 0; fits && c < table->key_count; c++)
        fits = type_equal(&table->fields[c].type, &in->fields[c].type);
    if (!fits)
        return refuse_schema(node, table, state, err);
    return is_map || have_equal_types(node->schema, table) ? STATUS_OK
                                                           : refuse_schema(node, node->schema, table, err);
}

CHECKED static Status check_snapshots(const PlanNode *node, Error *err) {
    const PlanNode *process = node->inputs[0];
    if (process->kind != PLAN_KEYED_PROCESS)
        return error_set(err, STATUS_INVALID, "%s: the stream has no state by key", node->call);
    return have_equal_types(node->schema, plan_table_schema(process))
               ? STATUS_OK
               : refuse_schema(node, node->schema, plan_table_schema(process), err);
}

CHECKED static Status check_sort(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema;
    if (!have_equal_types(node->schema, in))
        return refuse_schema(node, node->schema, in, err);
    if (node->order_count == 0)
        return error_set(err, STATUS_INVALID, "%s: there is no column to order by", node->call);
    for (uint32_t i = 0; i < node->order_count; i++) {
        if (node->order[i].column >= in->column_count)
            return error_set(err, STATUS_INVALID, "%s: there is no column %u to order by", node->call,
                             node->order[i].column);
        if (type_is_nested(in->fields[node->order[i].column].type.kind))
            return refuse_column(node, "there is no order of", &in->fields[node->order[i].column], err);
    }
    return STATUS_OK;
}

CHECKED static Status check_cogroup(const PlanNode *node, Error *err) {
    Status st = STATUS_OK;
    uint32_t key_count = node->schema->key_count;
    const Schema *inputs[] = {node->inputs[0]->schema, node->inputs[node->input_count - 1]->schema};
    if (node->input_count > 2 || (node->input_count < 2 && node->cogroup != COGROUP_LISTS))
        return error_set(err, STATUS_INVALID, "%s: of %" PRIu32 " streams", node->call, node->input_count);
    if (key_count == 0)
        return error_set(err, STATUS_INVALID, "%s: the stream has no key", node->call);
    for (uint32_t k = 0; k < node->input_count; k++)
        if (inputs[k]->column_count <= key_count)
            return error_set(err, STATUS_INVALID, "%s: there is no value behind the key", node->call);
    for (uint32_t c = 0; c < key_count; c++)
        if (!type_equal(&inputs[0]->fields[c].type, &inputs[1]->fields[c].type))
            return refuse_schema(node, inputs[1], inputs[0], err);
    Arena *arena = arena_create(NULL, "plan");
    const Schema *gives =
        plan_cogroup_schema(arena, node->cogroup, inputs, node->input_count, node->schema->key_count);
    if (!have_equal_types(node->schema, gives))
        st = refuse_schema(node, node->schema, gives, err);
    arena_destroy(arena);
    return st;
}

CHECKED static Status check_partition(const PlanNode *node, Error *err) {
    const Schema *in = node->inputs[0]->schema, *out = node->schema;
    if (node->partition == PARTITION_MAP)
        return node->function.kind == LEAT_FUNCTION_PARTITION ? check_given(node, out, err)
                                                              : refuse_function(node, err);
    if (node->partition != PARTITION_LIST) {
        if (node->partition_count < 1 || node->partition_count > PLAN_PARTITIONS_MAX)
            return error_set(err, STATUS_INVALID, "%s: %" PRIu32 " partitions; 1 to %d are possible",
                             node->call, node->partition_count, PLAN_PARTITIONS_MAX);
        if (node->partition == PARTITION_BY_KEY && out->key_count == 0)
            return error_set(err, STATUS_INVALID, "%s: the stream has no key", node->call);
        return have_equal_types(out, in) ? STATUS_OK : refuse_schema(node, out, in, err);
    }
    Arena *arena = arena_create(NULL, "plan");
    const Schema *gives = plan_list_schema(arena, in);
    Status st = have_equal_types(out, gives) ? STATUS_OK : refuse_schema(node, out, gives, err);
    arena_destroy(arena);
    return st;
}

static bool holds_map(const Type *type) {
    bool found = type->kind == LEAT_MAP;
    for (uint32_t i = 0; i < type->field_count; i++)
        found |= holds_map(&type->fields[i].type);
    return found;
}

/* Equal keys have equal bytes; maps with the same entries in another order have not. */
CHECKED static Status check_key(const PlanNode *node, Error *err) {
    for (uint32_t c = 0; c < node->schema->key_count; c++) {
        const Field *field = &node->schema->fields[c];
        if (holds_map(&field->type))
            return refuse_column(node, "a key cannot be", field, err);
    }
    return STATUS_OK;
}

Status plan_check_node(const PlanNode *node, Error *err) {
    if (node->kind == PLAN_AGGREGATE || node->kind == PLAN_COGROUP || node->kind == PLAN_PARTITION)
        TRY(check_key(node, err));
    switch (node->kind) {
    case PLAN_SOURCE:
    case PLAN_OUTPUT:
    case PLAN_COUNT:
    case PLAN_TRANSFORM:
        return STATUS_OK;
    case PLAN_MAP:
    case PLAN_FLAT_MAP:
        return check_apply(node, err);
    case PLAN_FILTER:
        return check_filter(node, err);
    case PLAN_UNION:
        return check_union(node, err);
    case PLAN_AGGREGATE:
        return check_aggregate(node, err);
    case PLAN_SORT:
        return check_sort(node, err);
    case PLAN_WINDOW:
        return check_window(node, err);
    case PLAN_KEYED_PROCESS:
        return check_keyed_process(node, err);
    case PLAN_COGROUP:
        return check_cogroup(node, err);
    case PLAN_STATE_SNAPSHOTS:
        return check_snapshots(node, err);
    case PLAN_PARTITION:
        return check_partition(node, err);
    }
    return refuse_function(node, err);
}
