#include "random_chunk.h"

#include "column/builder_parts.h"
#include "column/literal.h"

#include <math.h>

static void random_type(Random *random, Text *text, uint32_t depth) {
    static const char *const scalars[] = {"BOOLEAN", "TINYINT",   "SMALLINT", "INT",    "BIGINT",
                                          "FLOAT",   "DOUBLE",    "DECIMAL",  "STRING", "BINARY",
                                          "DATE",    "TIMESTAMP", "STRING",   "BIGINT"};
    uint64_t choice = random_below(random, depth ? ARRAY_COUNT(scalars) + 6 : ARRAY_COUNT(scalars));
    if (choice < ARRAY_COUNT(scalars)) {
        text_append(text, str_from(scalars[choice]));
        if (str_equal(str_from(scalars[choice]), STR("DECIMAL"))) {
            uint64_t precision = 1 + random_below(random, DECIMAL_PRECISION_MAX);
            text_appendf(text, "(%d, %d)", (int)precision, (int)random_below(random, precision + 1));
        }
    } else if (choice < ARRAY_COUNT(scalars) + 3) {
        text_append(text, random_below(random, 2) ? STR("STRUCT<") : STR("OPTION<"));
        for (uint64_t i = 0, n = 1 + random_below(random, 3); i < n; i++) {
            text_appendf(text, "%sf%d: ", i ? ", " : "", (int)i);
            random_type(random, text, depth - 1);
        }
        text_append_byte(text, '>');
    } else if (choice < ARRAY_COUNT(scalars) + 5) {
        text_append(text, STR("ARRAY<"));
        random_type(random, text, depth - 1);
        text_append_byte(text, '>');
    } else {
        text_append(text, STR("MAP<"));
        random_type(random, text, depth - 1);
        text_append(text, STR(", "));
        random_type(random, text, depth - 1);
        text_append_byte(text, '>');
    }
}

Schema *random_schema(Random *random, Arena *arena, bool is_nested, uint32_t key_count) {
    Text text = {0};
    Schema *schema;
    Error err = {0};
    for (uint64_t i = 0, n = 1 + random_below(random, 6); i < n || i < key_count; i++) {
        text_appendf(&text, "%sc%d ", i ? ", " : "", (int)i);
        random_type(random, &text, is_nested ? 3 : 0);
    }
    Status st = schema_parse(arena, text_str(&text), key_count, &schema, &err);
    ASSERT(st == STATUS_OK);
    text_deinit(&text);
    return schema;
}

static uint64_t random_word(Random *random, LeatType kind) {
    static const double doubles[] = {0.0, -0.0, 1.0, -1.5, 1e300, 5e-324, (double)INFINITY, (double)NAN};
    static const float floats[] = {0.0f, -0.0f, 1.0f, -1.5f, 1e38f, 1e-45f, INFINITY, NAN};
    uint64_t bits = random_u64(random), fitting = 0;
    bool is_special = random_below(random, 2);
    if (kind == LEAT_DOUBLE && is_special)
        memcpy(&bits, &doubles[random_below(random, ARRAY_COUNT(doubles))], sizeof(double));
    else if (kind == LEAT_FLOAT && is_special)
        memcpy(&bits, &floats[random_below(random, ARRAY_COUNT(floats))], sizeof(float));
    else if (random_below(random, 2))
        bits = random_below(random, 3) - 1;
    word_store(&fitting, 0, kind, bits);
    return word_load(&fitting, 0, kind);
}

static LeatDecimal random_decimal(Random *random, uint32_t precision) {
    LeatDecimal value = 0;
    uint64_t digits = random_below(random, precision + 1);
    for (uint64_t i = 0; i < digits; i++)
        value = value * 10 + (LeatDecimal)random_below(random, 10);
    return random_below(random, 2) ? -value : value;
}

static Str random_bytes(Random *random, char *room, size_t room_size) {
    static const size_t sizes[] = {0, 1, 4, 11, 12, 13, 16, 31, 32, 33, 100};
    size_t size = sizes[random_below(random, ARRAY_COUNT(sizes))];
    if (random_below(random, 200) == 0)
        size = room_size;
    bool is_any = random_below(random, 4) == 0;
    for (size_t i = 0; i < size; i++)
        room[i] = is_any ? (char)random_u64(random) : (char)('a' + random_below(random, 26));
    return str_slice(room, size);
}

static void show_word(const Type *type, uint64_t word, Text *shown) {
    const Column column = {.type = type, .data = &word};
    column_format(&column, 0, shown);
}

CHECKED static Status random_value(Random *random, Builder *builder, BuilderPart *part, uint32_t index,
                                   bool is_map_key, Text *shown, Error *err) {
    char bytes[5000];
    const Type *type = part->type;
    if (!is_map_key && random_below(random, 5) == 0) {
        text_append(shown, STR("None"));
        return part_null(builder, part, index, err);
    }
    switch (type->kind) {
    case LEAT_BOOLEAN: {
        bool value = random_below(random, 2);
        literal_bool(value, shown);
        return part_bool(builder, part, index, value, err);
    }
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP: {
        uint64_t word = random_word(random, type->kind);
        show_word(type, word, shown);
        return part_word(builder, part, index, word, err);
    }
    case LEAT_DECIMAL: {
        LeatDecimal value = random_decimal(random, type->precision);
        literal_decimal(value, type->scale, shown);
        return part_decimal(builder, part, index, value, err);
    }
    case LEAT_STRING:
    case LEAT_BINARY: {
        Str value = random_bytes(random, bytes, sizeof bytes);
        (type->kind == LEAT_STRING ? literal_string : literal_binary)(value, shown);
        return part_str(builder, part, index, value, err);
    }
    case LEAT_ARRAY: {
        uint32_t begin = 0, count = (uint32_t)random_below(random, 4);
        TRY(part_list(builder, part, index, count, &begin, err));
        text_append_byte(shown, '[');
        for (uint32_t i = 0; i < count; i++) {
            text_append(shown, i ? STR(", ") : STR(""));
            TRY(random_value(random, builder, &part->children[0], begin + i, false, shown, err));
        }
        text_append_byte(shown, ']');
        return STATUS_OK;
    }
    case LEAT_STRUCT:
        TRY(part_struct(builder, part, index, err));
        text_append(shown, STR("Row("));
        for (uint32_t i = 0; i < type->field_count; i++) {
            text_appendf(shown, "%s%s=", i ? ", " : "", type->fields[i].name);
            TRY(random_value(random, builder, &part->children[i], index, false, shown, err));
        }
        text_append_byte(shown, ')');
        return STATUS_OK;
    case LEAT_MAP: {
        uint32_t begin = 0, count = (uint32_t)random_below(random, 4);
        TRY(part_list(builder, part, index, count, &begin, err));
        text_append_byte(shown, '{');
        for (uint32_t i = 0; i < count; i++) {
            text_append(shown, i ? STR(", ") : STR(""));
            TRY(random_value(random, builder, &part->children[0], begin + i, true, shown, err));
            text_append(shown, STR(": "));
            TRY(random_value(random, builder, &part->children[1], begin + i, false, shown, err));
        }
        text_append_byte(shown, '}');
        return STATUS_OK;
    }
    }
    return STATUS_OK;
}

Status random_row(Random *random, Builder *builder, const Schema *schema, Text *shown, Error *err) {
    text_append_byte(shown, '(');
    for (uint32_t i = 0; i < schema->column_count; i++) {
        text_append(shown, i ? STR(", ") : STR(""));
        TRY(random_value(random, builder, builder_part(builder, i), builder_row_count(builder), false, shown,
                         err));
    }
    text_append(shown, STR(")\n"));
    builder_end_row(builder);
    return STATUS_OK;
}
