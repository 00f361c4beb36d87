/* order.c - operations on whole batches: distinct, sortBy, sortByKey, top. */
#include "dstream/build.h"

#include "base/suggest.h"

#include <strings.h>

LeatStream *leat_distinct(LeatStream *stream) {
    const char *call = "leat_distinct";
    if (!build_can_extend(stream, call))
        return NULL;
    /* All columns key and no value: nothing is left for the function to do. */
    LeatFunction none = leat_min();
    PlanNode *node = build_node(stream->context, PLAN_AGGREGATE, call, stream, &none);
    node->schema = build_with_key_count(stream->context, stream->schema, stream->schema->column_count);
    return build_stream(stream->context, node, stream->schema);
}

/* ---- an order as text ---- */

typedef struct OrderText {
    LeatContext *context;
    const char *call;
    const char *text;
    Str rest;
} OrderText;

static bool is_name_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_';
}

static void skip_blanks(Str *rest) {
    while (rest->size && (rest->data[0] == ' ' || rest->data[0] == '\t' || rest->data[0] == '\n'))
        *rest = str_slice(rest->data + 1, rest->size - 1);
}

static Str take(Str *rest, size_t size) {
    Str taken = str_slice(rest->data, size);
    *rest = str_slice(rest->data + size, rest->size - size);
    return taken;
}

/* Letters, digits and '_'; empty where none stand. */
static Str take_word(Str *rest) {
    skip_blanks(rest);
    size_t size = 0;
    while (size < rest->size && is_name_byte(rest->data[size]))
        size++;
    return take(rest, size);
}

/* Appends the name of a column. False: there is none, or its backquote is not closed. */
static bool take_name(Str *rest, Text *name) {
    skip_blanks(rest);
    if (rest->size == 0 || rest->data[0] != '`') {
        text_append(name, take_word(rest));
        return name->size > 0;
    }
    take(rest, 1);
    while (rest->size) {
        char byte = take(rest, 1).data[0];
        if (byte == '`' && (rest->size == 0 || rest->data[0] != '`'))
            return name->size > 0;
        if (byte == '`')
            take(rest, 1);
        text_append_byte(name, byte);
    }
    return false;
}

static bool is_word(Str word, const char *wanted) {
    return word.size == strlen(wanted) && strncasecmp(word.data, wanted, word.size) == 0;
}

static const char *column_name(const void *self, size_t i) {
    const Schema *schema = self;
    return i < schema->column_count ? schema->fields[i].name : NULL;
}

/* The one column of that name; false: refused. */
static bool find_column(const OrderText *order, const Schema *schema, Str name, uint32_t *column) {
    uint32_t count = 0;
    for (uint32_t c = schema->column_count; c-- > 0;) {
        if (!str_equal(str_from(schema->fields[c].name), name))
            continue;
        *column = c;
        count++;
    }
    if (count == 1)
        return true;
    const char *nearest = count ? NULL : suggest(name, column_name, schema);
    context_refuse(order->context, STATUS_INVALID, "%s: order \"%s\": there is %s column '%.*s' in %s%s%s%s",
                   order->call, order->text, count ? "more than one" : "no", STR_ARG(name),
                   build_schema_text(schema).text, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "");
    return false;
}

/* One column of the order. False: refused. */
static bool parse_item(OrderText *order, const Schema *schema, PlanOrder *out) {
    Text name = {0};
    bool has_name = take_name(&order->rest, &name);
    bool is_right = has_name && find_column(order, schema, text_str(&name), &out->column);
    text_deinit(&name);
    Str word = take_word(&order->rest);
    out->is_descending = is_word(word, "DESC");
    bool is_direction = word.size == 0 || is_word(word, "ASC") || is_word(word, "DESC");
    skip_blanks(&order->rest);
    bool ends = order->rest.size == 0 || order->rest.data[0] == ',';
    if (has_name && !is_right)
        return false;
    if (!has_name || !is_direction || !ends)
        context_refuse(order->context, STATUS_INVALID,
                       "%s: order \"%s\": columns are wanted, each with or without ASC or DESC, such as "
                       "\"n DESC, word\"",
                       order->call, order->text);
    else if (!build_is_scalar(&schema->fields[out->column].type))
        context_refuse(order->context, STATUS_INVALID, "%s: order \"%s\": column '%s' of %s has no order",
                       order->call, order->text, schema->fields[out->column].name,
                       build_schema_text(schema).text);
    else
        return true;
    return false;
}

/* False: refused. */
static bool parse_order(LeatStream *stream, const char *call, const char *text, PlanNode *node) {
    OrderText order = {stream->context, call, text, str_from(text)};
    uint32_t capacity = 1;
    for (const char *at = text; *at; at++)
        capacity += *at == ',';
    PlanOrder *columns = arena_alloc(build_arena(stream->context), capacity * sizeof *columns);
    node->order = columns;
    for (;;) {
        if (!parse_item(&order, stream->schema, &columns[node->order_count]))
            return false;
        node->order_count++;
        if (order.rest.size == 0)
            return true;
        take(&order.rest, 1); /* the ',' */
    }
}

/* ---- sorting ---- */

static PlanNode *sort_node(LeatStream *stream, const char *call) {
    PlanNode *node = build_node(stream->context, PLAN_SORT, call, stream, &(LeatFunction){0});
    node->schema = stream->schema;
    return node;
}

/* By the first `count` columns. NULL: refused. */
static PlanNode *sort_by_first(LeatStream *stream, const char *call, uint32_t count, bool is_descending) {
    PlanOrder *columns = arena_alloc(build_arena(stream->context), count * sizeof *columns);
    for (uint32_t c = 0; c < count; c++) {
        const Field *field = &stream->schema->fields[c];
        if (!build_is_scalar(&field->type))
            return context_refuse(stream->context, STATUS_INVALID, "%s: column '%s' of %s has no order", call,
                                  field->name, build_schema_text(stream->schema).text);
        columns[c] = (PlanOrder){c, is_descending};
    }
    PlanNode *node = sort_node(stream, call);
    node->order = columns;
    node->order_count = count;
    return node;
}

LeatStream *leat_sort_by(LeatStream *stream, const char *order) {
    const char *call = "leat_sort_by";
    if (!build_can_extend(stream, call))
        return NULL;
    if (!order)
        return context_refuse(stream->context, STATUS_INVALID, "%s: the order is NULL", call);
    PlanNode *node = sort_node(stream, call);
    return parse_order(stream, call, order, node) ? build_stream(stream->context, node, stream->schema)
                                                  : NULL;
}

LeatStream *leat_sort_by_key(LeatStream *stream, bool ascending) {
    const char *call = "leat_sort_by_key";
    if (!build_can_extend(stream, call))
        return NULL;
    PlanNode *node = sort_by_first(stream, call, build_key_count(stream), !ascending);
    return node ? build_stream(stream->context, node, stream->schema) : NULL;
}

LeatStream *leat_top(LeatStream *stream, int row_count, const char *order) {
    const char *call = "leat_top";
    if (!build_can_extend(stream, call))
        return NULL;
    if (row_count < 1)
        return context_refuse(stream->context, STATUS_INVALID, "%s: %d rows; at least 1 is needed", call,
                              row_count);
    PlanNode *node =
        order ? sort_node(stream, call) : sort_by_first(stream, call, stream->schema->column_count, true);
    if (!node || (order && !parse_order(stream, call, order, node)))
        return NULL;
    node->row_limit = (uint64_t)row_count;
    return build_stream(stream->context, node, stream->schema);
}
