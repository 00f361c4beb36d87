#include "column/type.h"
#include "check.h"

static Arena *arena;

static Schema *parse(const char *text, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    REQUIRE(CHECK_OK(schema_parse(arena, str_from(text), key_count, &schema, &err), err));
    return schema;
}

static void check_formats_as(const char *text, const char *wanted) {
    Text out = {0};
    schema_format(parse(text, 0), &out);
    CHECK_STR(out.data, wanted);
    text_deinit(&out);
}

static void check_refused(Str text, const char *message) {
    Schema *schema = (Schema *)1;
    Error err = {0};
    CHECK_EQ(schema_parse(arena, text, 0, &schema, &err), STATUS_INVALID);
    CHECK(schema == NULL);
    if (!CHECK(strstr(err.message, message) != NULL))
        printf("    %s\n    but wanted: %s\n", err.message, message);
}

TEST(types_are_read_and_written) {
    arena = arena_create(NULL, "test");
    check_formats_as("word STRING, n BIGINT", "word STRING, n BIGINT");
    check_formats_as(" \ta\n:boolean ,b Long,c dOUBLE,d binary,e timestamp ",
                     "a BOOLEAN, b BIGINT, c DOUBLE, d BINARY, e TIMESTAMP");
    check_formats_as("tags ARRAY<STRING>, at STRUCT<x: DOUBLE, y DOUBLE>",
                     "tags ARRAY<STRING>, at STRUCT<x: DOUBLE, y: DOUBLE>");
    check_formats_as("m array < struct<k:string,v:array<array<bigint>>> >",
                     "m ARRAY<STRUCT<k: STRING, v: ARRAY<ARRAY<BIGINT>>>>");
    check_formats_as("`a b` STRING, `a``b` STRING, `plain` STRING, `ä` STRING, 1st STRING, `x` STRING",
                     "`a b` STRING, `a``b` STRING, plain STRING, `ä` STRING, 1st STRING, x STRING");
    check_formats_as("a tinyint, b BYTE, c SMALLINT, d short, e INT, f Integer, g FLOAT, h REAL, i DATE",
                     "a TINYINT, b TINYINT, c SMALLINT, d SMALLINT, e INT, f INT, g FLOAT, h FLOAT, i DATE");
    check_formats_as("a DECIMAL, b dec(5), c NUMERIC ( 38 , 38 ), d decimal(1,0)",
                     "a DECIMAL(10, 0), b DECIMAL(5, 0), c DECIMAL(38, 38), d DECIMAL(1, 0)");
    check_formats_as("m map<string,map<int,array<date>>>", "m MAP<STRING, MAP<INT, ARRAY<DATE>>>");
    CHECK_STR(parse("m MAP<INT, STRING>", 0)->fields[0].type.fields[1].name, "value");
    CHECK(!type_equal(&parse("v DECIMAL(5, 2)", 0)->fields[0].type,
                      &parse("v DECIMAL(5, 1)", 0)->fields[0].type));
    CHECK(!type_equal(&parse("v DECIMAL(5, 1)", 0)->fields[0].type,
                      &parse("v DECIMAL(6, 1)", 0)->fields[0].type));
    check_formats_as("k STRING, v option<x: bigint, y OPTION<z STRING>>",
                     "k STRING, v OPTION<x: BIGINT, y: OPTION<z: STRING>>");
    CHECK(parse("v OPTION<x BIGINT>", 0)->fields[0].type.is_option);
    CHECK(!type_equal(&parse("v OPTION<x BIGINT>", 0)->fields[0].type,
                      &parse("v STRUCT<x BIGINT>", 0)->fields[0].type));
    Schema *schema = parse("`a``b`STRING,b STRING", 1);
    CHECK_STR(schema->fields[0].name, "a`b");
    CHECK_EQ(schema->key_count, 1);
    CHECK_EQ(parse("a ARRAY<STRING>", 0)->fields[0].type.fields[0].type.kind, LEAT_STRING);
    CHECK_STR(parse("a ARRAY<STRING>", 0)->fields[0].type.fields[0].name, "element");
    arena_destroy(arena);
}

TEST(refusals_name_the_place) {
    arena = arena_create(NULL, "test");
    check_refused(STR(""), "at byte 0: expected a name, but the text ends");
    check_refused(STR("a"), "at byte 1: expected a type");
    check_refused(STR("a FOO"), "at byte 2: expected a type (BOOLEAN, TINYINT");
    check_refused(STR("a FOO"), "found 'FOO'");
    check_refused(STR("a BIGINT,"), "at byte 9: expected a name, but the text ends");
    check_refused(STR("a BIGINT b BIGINT"), "at byte 9: expected ',' or the end, found 'b'");
    check_refused(STR("a DECIMAL(39)"), "at byte 10: expected a number of digits from 1 to 38, found '39'");
    check_refused(STR("a DECIMAL(0)"), "at byte 10: expected a number of digits from 1 to 38, found '0'");
    check_refused(STR("a DECIMAL()"), "at byte 10: expected a number of digits from 1 to 38, found ')'");
    check_refused(STR("a DECIMAL(5, 6)"), "at byte 13: expected a number of digits from 0 to 5, found '6'");
    check_refused(STR("a DECIMAL(5 2)"), "at byte 12: expected ')', found '2'");
    check_refused(STR("a DECIMAL(99999999999999999999)"), "at byte 10: expected a number of digits");
    check_refused(STR("a MAP<STRING>"), "at byte 12: expected ',', found '>'");
    check_refused(STR("a MAP<STRING, INT, INT>"), "at byte 17: expected '>', found ','");
    check_refused(STR("a ARRAY"), "at byte 7: expected '<'");
    check_refused(STR("a ARRAY<STRING"), "at byte 14: expected '>', but the text ends");
    check_refused(STR("a STRUCT<>"), "at byte 9: expected a name, found '>'");
    check_refused(STR("a STRUCT<x BIGINT;"), "at byte 17: expected ',' or '>', found ';'");
    check_refused(STR("`a BIGINT"), "at byte 0: the name that begins here has no closing `");
    check_refused(STR("`a`` BIGINT"), "at byte 0: the name that begins here has no closing `");
    check_refused(STR("`` BIGINT"), "at byte 0: a name cannot be empty");
    check_refused(STR("a BIGINT, ` "), "at byte 10: the name that begins here");
    check_refused(STR("`a\0b` BIGINT"), "at byte 2: a name cannot hold a zero byte");
    check_refused(STR("a BIGINT\0"), "at byte 8: expected ',' or the end, found '\\x00'");
    check_refused(STR("\xff BIGINT"), "at byte 0: expected a name, found '\\xff'");
    Schema *schema;
    Error err = {0};
    CHECK_EQ(schema_parse(arena, STR("a BIGINT"), 2, &schema, &err), STATUS_INVALID);
    CHECK_STR(err.message, "2 key columns asked of a schema of 1 columns");
    arena_destroy(arena);
}

TEST(digits_of_decimals) {
    LeatDecimal power = 1;
    for (uint32_t digits = 1; digits <= DECIMAL_PRECISION_MAX; digits++) {
        power *= 10;
        CHECK(decimal_fits(power - 1, digits));
        CHECK(decimal_fits(1 - power, digits));
        CHECK(!decimal_fits(power, digits));
        CHECK(!decimal_fits(-power, digits));
    }
    CHECK(!decimal_fits((LeatDecimal)((unsigned __int128)1 << 127), DECIMAL_PRECISION_MAX));
}

TEST(depth_and_column_limits) {
    arena = arena_create(NULL, "test");
    for (int depth = TYPE_DEPTH_MAX; depth <= TYPE_DEPTH_MAX + 1; depth++) {
        Text text = {0};
        text_append(&text, STR("a "));
        for (int i = 0; i < depth; i++)
            text_append(&text, i % 2 ? STR("STRUCT<x:") : STR("ARRAY<"));
        text_append(&text, STR("BIGINT"));
        for (int i = 0; i < depth; i++)
            text_append_byte(&text, '>');
        if (depth == TYPE_DEPTH_MAX)
            (void)parse(text.data, 0);
        else
            check_refused(text_str(&text), "types are nested deeper than 16");
        text_deinit(&text);
    }
    Text text = {0};
    for (int i = 0; i < SCHEMA_COLUMNS_MAX; i++)
        text_appendf(&text, "%sc%d BIGINT", i ? "," : "", i);
    CHECK_EQ(parse(text.data, 0)->column_count, SCHEMA_COLUMNS_MAX);
    text_append(&text, STR(", one_more BIGINT"));
    check_refused(text_str(&text), "more than 1024 columns");
    text_deinit(&text);
    arena_destroy(arena);
}

TEST(equality_counts_names_types_and_keys) {
    arena = arena_create(NULL, "test");
    CHECK(schema_equal(parse("a STRUCT<x BIGINT>, b ARRAY<STRING>", 1),
                       parse("a STRUCT<x LONG>,b ARRAY<STRING>", 1)));
    CHECK(!schema_equal(parse("a BIGINT", 1), parse("a BIGINT", 0)));
    CHECK(!schema_equal(parse("a BIGINT", 0), parse("b BIGINT", 0)));
    CHECK(!schema_equal(parse("a BIGINT", 0), parse("a DOUBLE", 0)));
    CHECK(!schema_equal(parse("a BIGINT", 0), parse("a BIGINT, b BIGINT", 0)));
    CHECK(!schema_equal(parse("a STRUCT<x BIGINT>", 0), parse("a STRUCT<y BIGINT>", 0)));
    CHECK(!schema_equal(parse("a ARRAY<BIGINT>", 0), parse("a ARRAY<DOUBLE>", 0)));
    arena_destroy(arena);
}

TEST(slices_and_concatenations) {
    arena = arena_create(NULL, "test");
    Schema *schema = parse("a BIGINT, b DOUBLE, c STRING", 1);
    CHECK(schema_equal(schema_slice(arena, schema, 1, 3, 2), parse("b DOUBLE, c STRING", 2)));
    CHECK_EQ(schema_slice(arena, schema, 3, 3, 0)->column_count, 0);
    CHECK(schema_equal(schema_concat(arena, schema, parse("a ARRAY<BIGINT>", 0), 1),
                       parse("a BIGINT, b DOUBLE, c STRING, a ARRAY<BIGINT>", 1)));
    arena_destroy(arena);
}

TEST(a_small_arena_is_a_refusal) {
    for (uint64_t limit = 0; limit < 40000; limit += 1500) {
        Budget budget;
        budget_init(&budget, "tiny", limit, NULL);
        arena = arena_create(&budget, "test");
        Text text = {0};
        for (int i = 0; i < 300; i++)
            text_appendf(&text, "%scolumn_%d STRUCT<x: BIGINT>", i ? "," : "", i);
        Schema *schema;
        Error err = {0};
        Status st = schema_parse(arena, text_str(&text), 0, &schema, &err);
        CHECK(st == STATUS_OK ? schema != NULL : st == STATUS_NO_MEMORY && !schema);
        text_deinit(&text);
        arena_destroy(arena);
        CHECK_EQ(budget.used_bytes, 0);
    }
}

TEST_MAIN()
