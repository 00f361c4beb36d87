/* type.c - the text of types, read by recursive descent and written back.
 *
 *   fields:  name [":"] type { "," name [":"] type }
 *   type:    BIGINT | LONG | ... | DECIMAL ["(" digits ["," digits] ")"]
 *          | ARRAY "<" type ">" | STRUCT "<" fields ">" | OPTION "<" fields ">" | MAP "<" type "," type ">"
 *   name:    letters, digits, '_'   or   "`" any bytes, a backquote written twice "`"
 */
#include "column/type.h"

#include <stdio.h>
#include <strings.h>

typedef struct TypeParser {
    Arena *arena;
    Str text;
    size_t at;
    Error *err;
} TypeParser;

static const struct {
    const char *name; /* the first one of a kind is written */
    LeatType kind;
    bool is_option;
} type_names[] = {
    {"BOOLEAN", LEAT_BOOLEAN, false},     {"TINYINT", LEAT_TINYINT, false}, {"BYTE", LEAT_TINYINT, false},
    {"SMALLINT", LEAT_SMALLINT, false},   {"SHORT", LEAT_SMALLINT, false},  {"INT", LEAT_INT, false},
    {"INTEGER", LEAT_INT, false},         {"BIGINT", LEAT_BIGINT, false},   {"LONG", LEAT_BIGINT, false},
    {"FLOAT", LEAT_FLOAT, false},         {"REAL", LEAT_FLOAT, false},      {"DOUBLE", LEAT_DOUBLE, false},
    {"DECIMAL", LEAT_DECIMAL, false},     {"DEC", LEAT_DECIMAL, false},     {"NUMERIC", LEAT_DECIMAL, false},
    {"STRING", LEAT_STRING, false},       {"BINARY", LEAT_BINARY, false},   {"DATE", LEAT_DATE, false},
    {"TIMESTAMP", LEAT_TIMESTAMP, false}, {"ARRAY", LEAT_ARRAY, false},     {"STRUCT", LEAT_STRUCT, false},
    {"OPTION", LEAT_STRUCT, true},        {"MAP", LEAT_MAP, false},
};

/* ---- kinds ---- */

const char *type_kind_name(LeatType kind) {
    uint32_t i = 0;
    while (type_names[i].kind != kind) { /* every kind has a name */
        i++;
        ASSERT(i < ARRAY_COUNT(type_names));
    }
    return type_names[i].name;
}

bool decimal_fits(LeatDecimal value, uint32_t precision) {
    const uint64_t billion = 1000000000;
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    ASSERT(precision <= DECIMAL_PRECISION_MAX);
    LeatDecimal bound = powers[precision % 9];
    for (uint32_t digits = precision / 9; digits > 0; digits--)
        bound *= billion;
    return -bound < value && value < bound;
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- reading ---- */

static void skip_blanks(TypeParser *p) {
    while (p->at < p->text.size && is_blank(p->text.data[p->at]))
        p->at++;
}

static bool accept(TypeParser *p, char wanted) {
    skip_blanks(p);
    bool is_there = p->at < p->text.size && p->text.data[p->at] == wanted;
    p->at += is_there;
    return is_there;
}

static Str take_word(TypeParser *p) {
    skip_blanks(p);
    size_t begin = p->at;
    while (p->at < p->text.size && is_word_byte(p->text.data[p->at]))
        p->at++;
    return str_slice(p->text.data + begin, p->at - begin);
}

/* Names the next word, or the next byte where no word begins. */
CHECKED static Status expected(TypeParser *p, const char *what) {
    skip_blanks(p);
    size_t begin = p->at;
    Str word = take_word(p);
    if (begin == p->text.size)
        return error_set(p->err, STATUS_INVALID, "at byte %zu: expected %s, but the text ends", begin, what);
    if (word.size == 0)
        word = str_slice(p->text.data + begin, 1);
    Text found = {0};
    text_append_escaped(&found, str_slice(word.data, word.size < 40 ? word.size : 40));
    Status st = error_set(p->err, STATUS_INVALID, "at byte %zu: expected %s, found '%.*s'", begin, what,
                          (int)found.size, found.data);
    text_deinit(&found);
    return st;
}

CHECKED static Status parse_name(TypeParser *p, const char **name) {
    char *copy = NULL;
    if (!accept(p, '`')) {
        size_t begin = p->at;
        Str word = take_word(p);
        if (word.size == 0)
            return expected(p, "a name");
        if (!(copy = arena_alloc(p->arena, word.size + 1)))
            return arena_no_memory(p->arena, word.size + 1, p->err);
        memcpy(copy, p->text.data + begin, word.size);
        copy[word.size] = 0;
    } else {
        size_t begin = p->at - 1, size = 0;
        if (!(copy = arena_alloc(p->arena, p->text.size - p->at + 1)))
            return arena_no_memory(p->arena, p->text.size - p->at + 1, p->err);
        for (;;) {
            if (p->at == p->text.size)
                return error_set(p->err, STATUS_INVALID,
                                 "at byte %zu: the name that begins here has no closing `", begin);
            char c = p->text.data[p->at++];
            if (c == 0)
                return error_set(p->err, STATUS_INVALID, "at byte %zu: a name cannot hold a zero byte",
                                 p->at - 1);
            if (c == '`') {
                if (p->at == p->text.size || p->text.data[p->at] != '`')
                    break;
                p->at++; /* written twice: one backquote of the name */
            }
            copy[size++] = c;
        }
        if (size == 0)
            return error_set(p->err, STATUS_INVALID, "at byte %zu: a name cannot be empty", begin);
        copy[size] = 0;
    }
    *name = copy;
    return STATUS_OK;
}

CHECKED static Status parse_fields(TypeParser *p, uint32_t depth, const Field **fields, uint32_t *count);

CHECKED static Status parse_type(TypeParser *p, uint32_t depth, Type *type);

/* The element of an ARRAY, the key and the value of a MAP. */
CHECKED static Status parse_children(TypeParser *p, uint32_t depth, Type *type) {
    bool is_map = type->kind == LEAT_MAP;
    uint32_t count = is_map ? 2 : 1;
    Field *fields = arena_alloc(p->arena, count * sizeof *fields);
    if (!fields)
        return arena_no_memory(p->arena, count * sizeof *fields, p->err);
    fields[0].name = is_map ? "key" : "element";
    TRY(parse_type(p, depth, &fields[0].type));
    if (is_map) {
        fields[1].name = "value";
        if (!accept(p, ','))
            return expected(p, "','");
        TRY(parse_type(p, depth, &fields[1].type));
    }
    type->field_count = count;
    type->fields = fields;
    return STATUS_OK;
}

CHECKED static Status parse_digits(TypeParser *p, int64_t min, int64_t max, uint8_t *out) {
    skip_blanks(p);
    size_t begin = p->at;
    int64_t value;
    if (!str_parse_i64(take_word(p), &value) || value < min || value > max) {
        char what[60];
        snprintf(what, sizeof what, "a number of digits from %d to %d", (int)min, (int)max);
        p->at = begin;
        return expected(p, what);
    }
    *out = (uint8_t)value;
    return STATUS_OK;
}

CHECKED static Status parse_decimal(TypeParser *p, Type *type) {
    type->precision = 10; /* as in Spark */
    if (!accept(p, '('))
        return STATUS_OK;
    TRY(parse_digits(p, 1, DECIMAL_PRECISION_MAX, &type->precision));
    if (accept(p, ','))
        TRY(parse_digits(p, 0, type->precision, &type->scale));
    return accept(p, ')') ? STATUS_OK : expected(p, "')'");
}

CHECKED static Status parse_type(TypeParser *p, uint32_t depth, Type *type) {
    skip_blanks(p);
    size_t begin = p->at;
    Str word = take_word(p);
    uint32_t i = 0;
    while (i < ARRAY_COUNT(type_names) && (strlen(type_names[i].name) != word.size ||
                                           strncasecmp(type_names[i].name, word.data, word.size) != 0))
        i++;
    if (i == ARRAY_COUNT(type_names)) {
        p->at = begin;
        return expected(
            p, "a type (BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, "
               "BINARY, DATE, TIMESTAMP, ARRAY<..>, STRUCT<..>, MAP<.., ..>)");
    }
    *type = (Type){.kind = type_names[i].kind, .is_option = type_names[i].is_option};
    if (type->kind == LEAT_DECIMAL)
        return parse_decimal(p, type);
    if (!type_is_nested(type->kind))
        return STATUS_OK;
    if (depth == TYPE_DEPTH_MAX)
        return error_set(p->err, STATUS_INVALID, "at byte %zu: types are nested deeper than %d", begin,
                         TYPE_DEPTH_MAX);
    if (!accept(p, '<'))
        return expected(p, "'<'");
    if (type->kind == LEAT_STRUCT)
        TRY(parse_fields(p, depth + 1, &type->fields, &type->field_count));
    else
        TRY(parse_children(p, depth + 1, type));
    return accept(p, '>') ? STATUS_OK : expected(p, type->kind == LEAT_STRUCT ? "',' or '>'" : "'>'");
}

CHECKED static Status parse_fields(TypeParser *p, uint32_t depth, const Field **fields, uint32_t *count) {
    Field *list = NULL;
    uint32_t used = 0, room = 0;
    do {
        if (used == SCHEMA_COLUMNS_MAX)
            return error_set(p->err, STATUS_INVALID, "at byte %zu: more than %d columns", p->at,
                             SCHEMA_COLUMNS_MAX);
        if (used == room) {
            room = room ? room * 2 : 4;
            Field *grown = arena_alloc(p->arena, room * sizeof *grown);
            if (!grown)
                return arena_no_memory(p->arena, room * sizeof *grown, p->err);
            if (used)
                memcpy(grown, list, used * sizeof *grown);
            list = grown;
        }
        TRY(parse_name(p, &list[used].name));
        (void)accept(p, ':');
        TRY(parse_type(p, depth, &list[used].type));
        used++;
    } while (accept(p, ','));
    *fields = list;
    *count = used;
    return STATUS_OK;
}

Status schema_parse(Arena *arena, Str text, uint32_t key_count, Schema **out, Error *err) {
    TypeParser p = {.arena = arena, .text = text, .err = err};
    Schema *schema = arena_alloc(arena, sizeof *schema);
    *out = NULL;
    if (!schema)
        return arena_no_memory(arena, sizeof *schema, err);
    *schema = (Schema){.key_count = key_count};
    TRY(parse_fields(&p, 0, &schema->fields, &schema->column_count));
    skip_blanks(&p);
    if (p.at < text.size)
        return expected(&p, "',' or the end");
    if (key_count > schema->column_count)
        return error_set(err, STATUS_INVALID, "%u key columns asked of a schema of %u columns", key_count,
                         schema->column_count);
    *out = schema;
    return STATUS_OK;
}

/* ---- writing ---- */

static void name_format(const char *name, Text *out) {
    const char *c = name;
    while (is_word_byte(*c))
        c++;
    if (*c == 0 && c > name) {
        text_append(out, str_from(name));
        return;
    }
    text_append_byte(out, '`');
    for (c = name; *c; c++) {
        if (*c == '`')
            text_append_byte(out, '`');
        text_append_byte(out, *c);
    }
    text_append_byte(out, '`');
}

static void fields_format(const Field *fields, uint32_t count, const char *separator, Text *out) {
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text_append(out, STR(", "));
        name_format(fields[i].name, out);
        text_append(out, str_from(separator));
        type_format(&fields[i].type, out);
    }
}

void type_format(const Type *type, Text *out) {
    switch (type->kind) {
    case LEAT_ARRAY:
        text_append(out, STR("ARRAY<"));
        type_format(&type->fields[0].type, out);
        text_append_byte(out, '>');
        return;
    case LEAT_STRUCT:
        text_append(out, type->is_option ? STR("OPTION<") : STR("STRUCT<"));
        fields_format(type->fields, type->field_count, ": ", out);
        text_append_byte(out, '>');
        return;
    case LEAT_MAP:
        text_append(out, STR("MAP<"));
        type_format(&type->fields[0].type, out);
        text_append(out, STR(", "));
        type_format(&type->fields[1].type, out);
        text_append_byte(out, '>');
        return;
    case LEAT_DECIMAL:
        text_appendf(out, "DECIMAL(%u, %u)", type->precision, type->scale);
        return;
    default:
        text_append(out, str_from(type_kind_name(type->kind)));
    }
}

void schema_format(const Schema *schema, Text *out) {
    fields_format(schema->fields, schema->column_count, " ", out);
}

/* ---- comparing and combining ---- */

static bool fields_equal(const Field *a, const Field *b, uint32_t count, bool names_count) {
    for (uint32_t i = 0; i < count; i++)
        if ((names_count && strcmp(a[i].name, b[i].name) != 0) || !type_equal(&a[i].type, &b[i].type))
            return false;
    return true;
}

bool type_equal(const Type *a, const Type *b) {
    return a->kind == b->kind && a->field_count == b->field_count && a->is_option == b->is_option &&
           a->precision == b->precision && a->scale == b->scale &&
           fields_equal(a->fields, b->fields, a->field_count, a->kind == LEAT_STRUCT);
}

bool schema_equal(const Schema *a, const Schema *b) {
    return a->column_count == b->column_count && a->key_count == b->key_count &&
           fields_equal(a->fields, b->fields, a->column_count, true);
}

Schema *schema_slice(Arena *arena, const Schema *from, uint32_t begin, uint32_t end, uint32_t key_count) {
    ASSERT(begin <= end && end <= from->column_count && key_count <= end - begin);
    Schema *schema = arena_alloc(arena, sizeof *schema);
    if (schema)
        *schema = (Schema){from->fields + begin, end - begin, key_count};
    return schema;
}

Schema *schema_concat(Arena *arena, const Schema *a, const Schema *b, uint32_t key_count) {
    uint32_t count = a->column_count + b->column_count;
    ASSERT(key_count <= count);
    Schema *schema = arena_alloc(arena, sizeof *schema);
    Field *fields = arena_alloc(arena, (count ? count : 1) * sizeof *fields);
    if (!schema || !fields)
        return NULL;
    if (a->column_count)
        memcpy(fields, a->fields, a->column_count * sizeof *fields);
    if (b->column_count)
        memcpy(fields + a->column_count, b->fields, b->column_count * sizeof *fields);
    *schema = (Schema){fields, count, key_count};
    return schema;
}
