#include "dstream/row_text.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* Columns of one row by hand. */
typedef struct Cell {
    Column column;
    Type type;
    int64_t i64;
    int32_t i32;
    float f32;
    double f64;
    LeatDecimal decimal;
    View view;
    uint8_t bit, valid;
    Buffer *buffer;
} Cell;

static Column *cell_i64(Cell *cell, int64_t value) {
    *cell = (Cell){.type = {.kind = LEAT_BIGINT}, .i64 = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->i64};
    return &cell->column;
}

static Column *cell_f64(Cell *cell, double value) {
    *cell = (Cell){.type = {.kind = LEAT_DOUBLE}, .f64 = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->f64};
    return &cell->column;
}

static Column *cell_i32(Cell *cell, int32_t value, LeatType kind) {
    *cell = (Cell){.type = {.kind = kind}, .i32 = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->i32};
    return &cell->column;
}

static Column *cell_f32(Cell *cell, float value) {
    *cell = (Cell){.type = {.kind = LEAT_FLOAT}, .f32 = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->f32};
    return &cell->column;
}

static Column *cell_decimal(Cell *cell, LeatDecimal value, uint8_t scale) {
    *cell = (Cell){.type = {.kind = LEAT_DECIMAL, .precision = 38, .scale = scale}, .decimal = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->decimal};
    return &cell->column;
}

static Column *cell_time(Cell *cell, int64_t us) {
    cell_i64(cell, us);
    cell->type.kind = LEAT_TIMESTAMP;
    return &cell->column;
}

static Column *cell_bool(Cell *cell, bool value) {
    *cell = (Cell){.type = {.kind = LEAT_BOOLEAN}, .bit = value};
    cell->column = (Column){.type = &cell->type, .data = &cell->bit};
    return &cell->column;
}

static Column *cell_null(Cell *cell, LeatType kind) {
    cell_i64(cell, 0);
    cell->type.kind = kind;
    cell->column.validity = &cell->valid;
    return &cell->column;
}

/* Up to 12 bytes. */
static Column *cell_bytes(Cell *cell, Str value, LeatType kind) {
    *cell = (Cell){.type = {.kind = kind}};
    REQUIRE(value.size <= VIEW_INLINE_MAX);
    cell->view = view_of(value, 0, 0);
    cell->column = (Column){.type = &cell->type, .data = &cell->view};
    return &cell->column;
}

static Column *cell_str(Cell *cell, const char *value) {
    return cell_bytes(cell, str_from(value), LEAT_STRING);
}

static RowText style(RowTextStyle which) {
    return (RowText){.env = env_real(), .style = which};
}

/* The element of these columns; the result is overwritten by the next call. */
static const char *element(RowText how, Column **cells, uint32_t column_count, uint32_t key_count) {
    static Text out;
    Column columns[4];
    Field fields[4];
    for (uint32_t i = 0; i < column_count; i++) {
        columns[i] = *cells[i];
        fields[i] = (Field){.name = "x", .type = *cells[i]->type};
    }
    Schema schema = {.fields = fields, .column_count = column_count, .key_count = key_count};
    text_reset(&out);
    row_text(&how, &schema, columns, 0, &out);
    return out.data;
}

static const char *print_one(Column *cell) {
    return element(style(ROW_TEXT_SCALA), &cell, 1, 0);
}
static const char *pprint_one(Column *cell) {
    return element(style(ROW_TEXT_PYTHON), &cell, 1, 0);
}
/* What pprint shows inside a pair: ('...', 1) */
static const char *pprint_inside(Column *cell) {
    static char inside[200];
    Cell one;
    const char *pair = element(style(ROW_TEXT_PYTHON), (Column *[]){cell, cell_i64(&one, 1)}, 2, 1);
    size_t size = strlen(pair);
    REQUIRE(size > 5 && pair[0] == '(' && strcmp(pair + size - 4, ", 1)") == 0);
    memcpy(inside, pair + 1, size - 5);
    inside[size - 5] = 0;
    return inside;
}

TEST(doubles_as_scala_shows_them) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {1.0, "1.0"},
        {-0.0, "-0.0"},
        {0.0, "0.0"},
        {0.1, "0.1"},
        {1e10, "1.0E10"},
        {123456.789, "123456.789"},
        {9999999.0, "9999999.0"},
        {1e7, "1.0E7"},
        {12345678.9, "1.23456789E7"},
        {0.001, "0.001"},
        {0.00099, "9.9E-4"},
        {1.23456789012e-5, "1.23456789012E-5"},
        {100.0, "100.0"},
        {NAN, "NaN"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {4.9e-324, "4.9E-324"},
        {1.7976931348623157e308, "1.7976931348623157E308"},
        {2e23, "2.0E23"},
        {0.1 + 0.2, "0.30000000000000004"},
        {9007199254740993.0, "9.007199254740992E15"},
        {2.2250738585072014e-308, "2.2250738585072014E-308"},
    };
    Cell cell;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CHECK_STR(print_one(cell_f64(&cell, cases[i].value)), cases[i].text);
}

TEST(doubles_as_python_shows_them) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {1.0, "1.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1e10, "10000000000.0"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e-4, "0.0001"},
        {1e-5, "1e-05"},
        {1.5e-7, "1.5e-07"},
        {NAN, "nan"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {123456.789, "123456.789"},
        {5.684341886080802e-14, "5.684341886080802e-14"},
    };
    Cell cell;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CHECK_STR(pprint_one(cell_f64(&cell, cases[i].value)), cases[i].text);
}

TEST(strings_alone_stand_as_their_bytes) {
    Cell cell;
    CHECK_STR(print_one(cell_str(&cell, "hello")), "hello");
    CHECK_STR(pprint_one(cell_str(&cell, "hello")), "hello");
    CHECK_STR(pprint_one(cell_str(&cell, "a\n\tb\xff")), "a\n\tb\xff");
    CHECK_STR(print_one(cell_str(&cell, "")), "");
}

TEST(strings_on_a_terminal_are_escaped) {
    Cell cell;
    RowText how = style(ROW_TEXT_SCALA);
    how.is_terminal = true;
    CHECK_STR(element(how, (Column *[]){cell_str(&cell, "\x1b[2J\xff \xc3\xa9")}, 1, 0),
              "\\x1b[2J\\xff \xc3\xa9");
    how.style = ROW_TEXT_PYTHON;
    CHECK_STR(element(how, (Column *[]){cell_str(&cell, "a\nb")}, 1, 0), "a\\nb");
}

/* What python3 -c 'print(repr(...))' prints. */
TEST(strings_inside_a_pair_as_python_repr) {
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"hello", "'hello'"},
        {"", "''"},
        {"q'uote", "\"q'uote\""},
        {"d\"q", "'d\"q'"},
        {"'\"", "'\\'\"'"},
        {"back\\slash", "'back\\\\slash'"},
        {"x\n", "'x\\n'"},
        {"\t\r\x01\x7f", "'\\t\\r\\x01\\x7f'"},
        {"\xc3\xa9", "'\xc3\xa9'"},    /* e acute */
        {"\xc2\xa0", "'\\xa0'"},       /* no-break space */
        {"\xc2\xad", "'\\xad'"},       /* soft hyphen */
        {"\xc2\x9b", "'\\x9b'"},       /* a control character of two bytes */
        {"\xe2\x80\xa8", "'\\u2028'"}, /* line separator */
        {"\xef\xbb\xbf", "'\\ufeff'"}, /* byte order mark */
        {"\xe3\x80\x80", "'\\u3000'"}, /* ideographic space */
        {"\xe4\xb8\x96\xe7\x95\x8c", "'\xe4\xb8\x96\xe7\x95\x8c'"},
        {"\xf0\x9f\x98\x80", "'\xf0\x9f\x98\x80'"}, /* emoji */
        {"\xf3\xa0\x80\x81", "'\\U000e0001'"},      /* language tag */
        {"\xf3\xb0\x80\x80", "'\\U000f0000'"},      /* private use */
        {"a\xff", "'a\\udcff'"},                    /* not UTF-8: surrogateescape */
        {"\xc3", "'\\udcc3'"},
        {"\xed\xa0\x80", "'\\udced\\udca0\\udc80'"}, /* a surrogate in disguise */
    };
    Cell cell;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CHECK_STR(pprint_inside(cell_str(&cell, cases[i].bytes)), cases[i].text);
    CHECK_STR(pprint_inside(cell_bytes(&cell, STR("a\0b"), LEAT_STRING)), "'a\\x00b'");
}

TEST(other_values) {
    Cell cell;
    CHECK_STR(print_one(cell_bool(&cell, true)), "true");
    CHECK_STR(pprint_one(cell_bool(&cell, false)), "False");
    CHECK_STR(print_one(cell_i64(&cell, INT64_MIN)), "-9223372036854775808");
    CHECK_STR(pprint_one(cell_i64(&cell, 7)), "7");
    CHECK_STR(print_one(cell_null(&cell, LEAT_STRING)), "null");
    CHECK_STR(pprint_one(cell_null(&cell, LEAT_BIGINT)), "None");
    CHECK_STR(pprint_inside(cell_null(&cell, LEAT_DOUBLE)), "None");
    CHECK_STR(print_one(cell_bytes(&cell, STR("\x01\xff"), LEAT_BINARY)), "[01 FF]");
    CHECK_STR(pprint_one(cell_bytes(&cell, STR("\x01\xffz'"), LEAT_BINARY)), "b\"\\x01\\xffz'\"");
}

TEST(numbers_of_other_widths_and_dates) {
    Cell cell;
    const int8_t tiny = -3;
    const int16_t small = -300;
    CHECK_STR(print_one(cell_i32(&cell, INT32_MIN, LEAT_INT)), "-2147483648");
    CHECK_STR(pprint_inside(cell_i32(&cell, 7, LEAT_INT)), "7");
    cell_i32(&cell, 0, LEAT_TINYINT)->data = &tiny;
    CHECK_STR(print_one(&cell.column), "-3");
    cell_i32(&cell, 0, LEAT_SMALLINT)->data = &small;
    CHECK_STR(pprint_one(&cell.column), "-300");
    CHECK_STR(print_one(cell_f32(&cell, 0.1f)), "0.1");
    CHECK_STR(print_one(cell_f32(&cell, 1.0f)), "1.0");
    CHECK_STR(print_one(cell_f32(&cell, 16777216.0f)), "1.6777216E7");
    CHECK_STR(print_one(cell_f32(&cell, 3.4028235e38f)), "3.4028235E38");
    CHECK_STR(print_one(cell_f32(&cell, 1.4e-45f)), "1.4E-45");
    CHECK_STR(print_one(cell_f32(&cell, NAN)), "NaN");
    CHECK_STR(pprint_one(cell_f32(&cell, 0.1f)), "0.10000000149011612");
    CHECK_STR(pprint_inside(cell_f32(&cell, -INFINITY)), "-inf");
    CHECK_STR(print_one(cell_decimal(&cell, 120, 2)), "1.20");
    CHECK_STR(pprint_one(cell_decimal(&cell, 120, 2)), "1.20");
    CHECK_STR(pprint_inside(cell_decimal(&cell, 120, 2)), "Decimal('1.20')");
    CHECK_STR(print_one(cell_decimal(&cell, -1, 7)), "-1E-7");
    CHECK_STR(print_one(cell_i32(&cell, 18292, LEAT_DATE)), "2020-01-31");
    CHECK_STR(pprint_one(cell_i32(&cell, 18292, LEAT_DATE)), "2020-01-31");
    CHECK_STR(pprint_inside(cell_i32(&cell, 18292, LEAT_DATE)), "datetime.date(2020, 1, 31)");
}

TEST(shapes) {
    Cell a, b, c;
    Column *cells[] = {cell_str(&a, "hello"), cell_i64(&b, 1), cell_str(&c, "x")};
    RowText scala = style(ROW_TEXT_SCALA), python = style(ROW_TEXT_PYTHON);
    CHECK_STR(element(scala, cells, 2, 1), "(hello,1)");
    CHECK_STR(element(python, cells, 2, 1), "('hello', 1)");
    CHECK_STR(element(scala, cells, 2, 0), "(hello,1)"); /* a tuple of two looks the same */
    CHECK_STR(element(scala, cells, 3, 0), "(hello,1,x)");
    CHECK_STR(element(python, cells, 3, 0), "('hello', 1, 'x')");
    CHECK_STR(element(scala, cells, 3, 1), "(hello,(1,x))");
    CHECK_STR(element(python, cells, 3, 1), "('hello', (1, 'x'))");
    CHECK_STR(element(scala, cells, 3, 2), "((hello,1),x)");
    CHECK_STR(element(python, cells, 3, 2), "(('hello', 1), 'x')");
    CHECK_STR(element(python, cells, 1, 1), "hello"); /* only a key: the element alone */
    CHECK_STR(element(python, cells, 3, 3), "('hello', 1, 'x')");
}

TEST(nested_values) {
    int64_t numbers[] = {1, 1, 2};
    int32_t offsets[] = {0, 2};
    Field element_field = {.name = "element", .type = {.kind = LEAT_BIGINT}};
    Type array = {.kind = LEAT_ARRAY, .field_count = 1, .fields = &element_field};
    Column elements = {.type = &element_field.type, .data = numbers};
    Column list = {.type = &array, .data = offsets, .children = &elements};
    CHECK_STR(print_one(&list), "CompactBuffer(1, 1)");
    CHECK_STR(pprint_one(&list), "[1, 1]");
    offsets[1] = 0;
    CHECK_STR(print_one(&list), "CompactBuffer()");
    CHECK_STR(pprint_one(&list), "[]");

    Cell a, b;
    Column children[] = {*cell_i64(&a, 1), *cell_str(&b, "x")};
    Field fields[] = {{.name = "i", .type = {.kind = LEAT_BIGINT}},
                      {.name = "s", .type = {.kind = LEAT_STRING}}};
    Type pair = {.kind = LEAT_STRUCT, .field_count = 2, .fields = fields};
    Column record = {.type = &pair, .children = children};
    CHECK_STR(print_one(&record), "(1,x)");
    CHECK_STR(pprint_one(&record), "(1, 'x')");
    pair.field_count = 1;
    CHECK_STR(pprint_one(&record), "(1,)");
}

TEST(maps) {
    const View keys[] = {view_of(STR("a"), 0, 0), view_of(STR("b"), 0, 0)};
    const int64_t values[] = {1, 0};
    const uint8_t first_only = 1;
    int32_t offsets[] = {0, 2};
    Field fields[] = {{.name = "key", .type = {.kind = LEAT_STRING}},
                      {.name = "value", .type = {.kind = LEAT_BIGINT}}};
    Type type = {.kind = LEAT_MAP, .field_count = 2, .fields = fields};
    Column children[] = {{.type = &fields[0].type, .data = keys},
                         {.type = &fields[1].type, .data = values, .validity = &first_only}};
    Column map = {.type = &type, .data = offsets, .children = children};
    CHECK_STR(print_one(&map), "Map(a -> 1, b -> null)");
    CHECK_STR(pprint_one(&map), "{'a': 1, 'b': None}");
    offsets[1] = 0;
    CHECK_STR(print_one(&map), "Map()");
    CHECK_STR(pprint_inside(&map), "{}");
}

TEST(options) {
    Cell a, b;
    uint8_t there = 1;
    Column children[] = {*cell_i64(&a, 1), *cell_str(&b, "x")};
    Field fields[] = {{.name = "i", .type = {.kind = LEAT_BIGINT}},
                      {.name = "s", .type = {.kind = LEAT_STRING}}};
    Type type = {.kind = LEAT_STRUCT, .field_count = 2, .fields = fields, .is_option = true};
    Column option = {.type = &type, .children = children, .validity = &there};
    CHECK_STR(print_one(&option), "Some((1,x))");
    CHECK_STR(pprint_one(&option), "(1, 'x')");
    type.field_count = 1;
    CHECK_STR(print_one(&option), "Some(1)");
    CHECK_STR(pprint_one(&option), "1");
    CHECK_STR(pprint_inside(&option), "1");
    option.children = &children[1];
    CHECK_STR(pprint_inside(&option), "'x'");
    CHECK_STR(element(style(ROW_TEXT_SCALA), (Column *[]){&option, &option}, 2, 1), "(Some(x),Some(x))");
    there = 0;
    CHECK_STR(print_one(&option), "None");
    CHECK_STR(pprint_one(&option), "None");
    uint8_t absent = 0; /* a null that is there */
    there = 1;
    children[1].validity = &absent;
    CHECK_STR(print_one(&option), "Some(null)");
}

static const char *time_text(RowTextStyle which, int64_t ms) {
    static Text out;
    RowText how = style(which);
    text_reset(&out);
    row_text_time(&how, ms, &out);
    return out.data;
}

TEST(times) {
    setenv("TZ", "CET-1", 1); /* one hour east, all year */
    Cell cell;
    CHECK_STR(time_text(ROW_TEXT_SCALA, 1000), "1000 ms");
    CHECK_STR(time_text(ROW_TEXT_PYTHON, 1000), "1970-01-01 01:00:01");
    CHECK_STR(time_text(ROW_TEXT_PYTHON, 1445198766000), "2015-10-18 21:06:06");
    CHECK_STR(time_text(ROW_TEXT_PYTHON, 1500), "1970-01-01 01:00:01.500000");
    CHECK_STR(print_one(cell_time(&cell, 0)), "1970-01-01 01:00:00.0");
    CHECK_STR(print_one(cell_time(&cell, 1500000)), "1970-01-01 01:00:01.5");
    CHECK_STR(print_one(cell_time(&cell, -1)), "1970-01-01 00:59:59.999999");
    CHECK_STR(pprint_one(cell_time(&cell, 0)), "1970-01-01 01:00:00");
    CHECK_STR(pprint_inside(cell_time(&cell, 0)), "datetime.datetime(1970, 1, 1, 1, 0)");
    CHECK_STR(pprint_inside(cell_time(&cell, 5000000)), "datetime.datetime(1970, 1, 1, 1, 0, 5)");
    CHECK_STR(pprint_inside(cell_time(&cell, 5)), "datetime.datetime(1970, 1, 1, 1, 0, 0, 5)");
    unsetenv("TZ");
}

TEST_MAIN()
