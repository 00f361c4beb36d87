#include "column/codec.h"
#include "base/bytes.h"
#include "check.h"
#include "random_chunk.h"

#include <math.h>
#include <stdlib.h>

static Budget budget;
static Arena *arena;
static Schema *schema;
static Error err;

static void begin(const char *types, uint32_t key_count) {
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    err = (Error){0};
    if (types)
        REQUIRE(CHECK_OK(schema_parse(arena, str_from(types), key_count, &schema, &err), err));
}

static void end(void) {
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static Builder *create(void) {
    Builder *b;
    REQUIRE(CHECK_OK(builder_create(schema, &budget, "test", &b, &err), err));
    return b;
}

static Chunk chunk_of(Builder *b) {
    Chunk chunk;
    builder_chunk(b, &chunk);
    return chunk;
}

/* The encoding is stored: its bytes are pinned here. */
TEST(bytes_of_values) {
    begin("b BOOLEAN, i BIGINT, d DOUBLE, s STRING, t TIMESTAMP, n BIGINT", 0);
    Builder *b = create();
    Text text = {0};
    CHECK_OK(builder_put_bool(b, 0, true, &err), err);
    CHECK_OK(builder_put_i64(b, 1, -2, &err), err);
    CHECK_OK(builder_put_f64(b, 2, -0.0, &err), err);
    CHECK_OK(builder_put_str(b, 3, STR("hi"), &err), err);
    CHECK_OK(builder_put_i64(b, 4, 258, &err), err);
    CHECK_OK(builder_put_null(b, 5, &err), err);
    builder_end_row(b);
    Chunk chunk = chunk_of(b);
    codec_encode_value(chunk.columns, 0, 6, 0, &text);
    Str wanted = STR("\1\1"
                     "\1\xfe\xff\xff\xff\xff\xff\xff\xff"
                     "\1\0\0\0\0\0\0\0\x80"
                     "\1\2\0\0\0hi"
                     "\1\2\1\0\0\0\0\0\0"
                     "\0");
    CHECK(str_equal(text_str(&text), wanted));
    Text shown = {0};
    CHECK_OK(codec_format(wanted, false, false, schema->fields, 6, &shown, &err), err);
    CHECK_STR(shown.data, "(True, -2, -0.0, 'hi', 1970-01-01 00:00:00.000258Z, None)");
    text_deinit(&shown);
    text_reset(&text);
    codec_encode_value(chunk.columns, 2, 4, 0, &text); /* a part of the columns */
    CHECK(str_equal(text_str(&text), str_slice(wanted.data + 11, 16)));
    text_reset(&text);
    codec_encode_value(chunk.columns, 2, 2, 0, &text);
    CHECK_EQ(text.size, 0);
    text_deinit(&text);
    builder_destroy(b);
    end();
}

TEST(bytes_of_narrow_and_wide_values) {
    begin("a TINYINT, b SMALLINT, c INT, d FLOAT, e DATE, f DECIMAL(38, 2), g TINYINT", 0);
    Builder *b = create();
    Text text = {0}, shown = {0};
    CHECK_OK(builder_put_word(b, 0, (uint64_t)-2, &err), err);
    CHECK_OK(builder_put_word(b, 1, (uint64_t)-258, &err), err);
    CHECK_OK(builder_put_word(b, 2, (uint64_t)-3, &err), err);
    CHECK_OK(builder_put_word(b, 3, 0x80000000, &err), err); /* -0 */
    CHECK_OK(builder_put_word(b, 4, 18262, &err), err);
    CHECK_OK(builder_put_decimal(b, 5, -120, &err), err);
    CHECK_OK(builder_put_null(b, 6, &err), err);
    builder_end_row(b);
    Chunk chunk = chunk_of(b);
    codec_encode_value(chunk.columns, 0, 7, 0, &text);
    Str wanted = STR("\1\xfe"
                     "\1\xfe\xfe"
                     "\1\xfd\xff\xff\xff"
                     "\1\0\0\0\x80"
                     "\1\x56\x47\0\0"
                     "\1\x88\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                     "\0");
    CHECK(str_equal(text_str(&text), wanted));
    CHECK_OK(codec_format(wanted, false, false, schema->fields, 7, &shown, &err), err);
    CHECK_STR(shown.data, "(-2, -258, -3, -0.0, 2020-01-01, Decimal('-1.20'), None)");
    text_reset(&text);
    codec_encode_value(chunk.columns, 1, 2, 0, &text); /* alone: the word */
    CHECK(str_equal(text_str(&text), STR("\xfe\xfe\xff\xff\xff\xff\xff\xff")));
    text_reset(&text);
    codec_encode_value(chunk.columns, 3, 4, 0, &text);
    CHECK(str_equal(text_str(&text), STR("\0\0\0\x80\0\0\0\0")));
    text_reset(&text);
    codec_encode_value(chunk.columns, 6, 7, 0, &text);
    CHECK_EQ(text.size, 0);
    text_deinit(&text);
    text_deinit(&shown);
    builder_destroy(b);
    end();
}

TEST(a_value_of_one_word_is_its_bytes) {
    begin("n BIGINT", 1);
    Builder *b = create();
    Text text = {0}, shown = {0};
    CHECK_OK(builder_put_i64(b, 0, 258, &err), err);
    builder_end_row(b);
    CHECK_OK(builder_put_null(b, 0, &err), err);
    builder_end_row(b);
    codec_encode_value(chunk_of(b).columns, 0, 1, 0, &text);
    CHECK_EQ(text.size, 8);
    CHECK(memcmp(text.data, "\2\1\0\0\0\0\0\0", 8) == 0);
    CHECK_OK(codec_format(text_str(&text), false, false, schema->fields, 1, &shown, &err), err);
    text_append_byte(&shown, ' ');
    text_reset(&text);
    codec_encode_value(chunk_of(b).columns, 0, 1, 1, &text);
    CHECK_EQ(text.size, 0);
    CHECK_OK(codec_format(text_str(&text), false, false, schema->fields, 1, &shown, &err), err);
    CHECK_STR(shown.data, "258 None");
    builder_reset(b);
    CHECK_OK(codec_decode_value(text_str(&text), b, 0, 1, &err), err);
    builder_end_row(b);
    CHECK(column_is_null(&chunk_of(b).columns[0], 0));
    CHECK_EQ(codec_decode_value(STR("1234567"), b, 0, 1, &err), STATUS_CORRUPT);
    CHECK_EQ(codec_decode_value(STR("123456789"), b, 0, 1, &err), STATUS_CORRUPT);
    text_deinit(&text);
    text_deinit(&shown);
    builder_destroy(b);
    end();
}

TEST(bytes_of_nested_values) {
    begin("a ARRAY<STRUCT<x: BIGINT, y: STRING>>", 0);
    Builder *b = create();
    Str bytes = STR("\1\3\0\0\0"
                    "\1\1\7\0\0\0\0\0\0\0\1\1\0\0\0z"
                    "\0"
                    "\1\0\0");
    CHECK_OK(codec_decode_value(bytes, b, 0, 1, &err), err);
    builder_end_row(b);
    Text text = {0}, shown = {0};
    codec_encode_value(chunk_of(b).columns, 0, 1, 0, &text);
    CHECK(str_equal(text_str(&text), bytes));
    CHECK_OK(codec_format(bytes, false, false, schema->fields, 1, &shown, &err), err);
    CHECK_STR(shown.data, "[Row(x=7, y='z'), None, Row(x=None, y=None)]");
    text_deinit(&text);
    text_deinit(&shown);
    builder_destroy(b);
    end();
}

/* Puts the key into a row, encodes it, and checks its bytes, its text, and that it comes back. */
static void check_key(const char *types, Status (*put)(Builder *b), Str wanted, bool wanted_null,
                      const char *wanted_text) {
    begin(types, 0);
    schema->key_count = schema->column_count;
    Builder *b = create();
    REQUIRE(put(b) == STATUS_OK);
    builder_end_row(b);
    Text text = {0}, shown = {0};
    bool is_null = !wanted_null;
    codec_encode_key(chunk_of(b).columns, schema->key_count, 0, &text, &is_null);
    CHECK_EQ(is_null, wanted_null);
    CHECK(str_equal(text_str(&text), wanted));
    CHECK_OK(codec_format(text_str(&text), true, is_null, schema->fields, schema->key_count, &shown, &err),
             err);
    CHECK_STR(shown.data, wanted_text);
    builder_reset(b);
    CHECK_OK(codec_decode_key(wanted, is_null, b, schema->key_count, &err), err);
    builder_end_row(b);
    Text again = {0};
    codec_encode_key(chunk_of(b).columns, schema->key_count, 0, &again, &is_null);
    CHECK_EQ(is_null, wanted_null);
    CHECK(str_equal(text_str(&again), wanted));
    text_deinit(&text);
    text_deinit(&again);
    text_deinit(&shown);
    builder_destroy(b);
    end();
}

static Status put_hello(Builder *b) {
    return builder_put_str(b, 0, STR("hello"), NULL);
}
static Status put_empty(Builder *b) {
    return builder_put_str(b, 0, STR(""), NULL);
}
static Status put_null(Builder *b) {
    return builder_put_null(b, 0, NULL);
}
static Status put_258(Builder *b) {
    return builder_put_i64(b, 0, 258, NULL);
}
static Status put_minus_zero(Builder *b) {
    return builder_put_f64(b, 0, -0.0, NULL);
}
static Status put_half(Builder *b) {
    return builder_put_f64(b, 0, 0.5, NULL);
}
static Status put_some_nan(Builder *b) {
    uint64_t bits = UINT64_C(0xfff0000000000abc);
    double value;
    memcpy(&value, &bits, sizeof value);
    return builder_put_f64(b, 0, value, NULL);
}
static Status put_true(Builder *b) {
    return builder_put_bool(b, 0, true, NULL);
}
static Status put_a_3(Builder *b) {
    Status st = builder_put_str(b, 0, STR("a"), NULL);
    return st != STATUS_OK ? st : builder_put_i64(b, 1, 3, NULL);
}
static Status put_null_nan(Builder *b) {
    Status st = builder_put_null(b, 0, NULL);
    return st != STATUS_OK ? st : builder_put_f64(b, 1, (double)-NAN, NULL);
}
static Status put_nothing(Builder *b) {
    (void)b;
    return STATUS_OK;
}

static Status put_minus_two(Builder *b) {
    return builder_put_word(b, 0, (uint64_t)-2, &err);
}
static Status put_minus_zero_f32(Builder *b) {
    return builder_put_word(b, 0, 0x80000000, &err);
}
static Status put_some_nan_f32(Builder *b) {
    return builder_put_word(b, 0, 0xffc12345, &err);
}
static Status put_decimal(Builder *b) {
    return builder_put_decimal(b, 0, 120, &err);
}

TEST(keys_of_every_width_are_canonical) {
    Str minus_two = STR("\xfe\xff\xff\xff\xff\xff\xff\xff");
    check_key("k TINYINT", put_minus_two, minus_two, false, "-2");
    check_key("k SMALLINT", put_minus_two, minus_two, false, "-2");
    check_key("k INT", put_minus_two, minus_two, false, "-2");
    check_key("k DATE", put_minus_two, minus_two, false, "1969-12-30");
    check_key("k FLOAT", put_minus_zero_f32, STR("\0\0\0\0\0\0\0\0"), false, "0.0");
    check_key("k FLOAT", put_some_nan_f32, STR("\0\0\xc0\x7f\0\0\0\0"), false, "nan");
    check_key("k FLOAT", put_null, STR(""), true, "None");
    check_key("k DECIMAL(4, 2)", put_decimal, STR("\1\x78\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false,
              "Decimal('1.20')");
    check_key("k DECIMAL(4, 2)", put_null, STR("\0"), false, "None");
}

TEST(keys_are_canonical) {
    check_key("k STRING", put_hello, STR("hello"), false, "'hello'");
    check_key("k BINARY", put_hello, STR("hello"), false, "b'hello'");
    check_key("k STRING", put_empty, STR(""), false, "''");
    check_key("k STRING", put_null, STR(""), true, "None");
    check_key("k BIGINT", put_258, STR("\2\1\0\0\0\0\0\0"), false, "258");
    check_key("k TIMESTAMP", put_258, STR("\2\1\0\0\0\0\0\0"), false, "1970-01-01 00:00:00.000258Z");
    check_key("k BIGINT", put_null, STR(""), true, "None");
    check_key("k DOUBLE", put_half, STR("\0\0\0\0\0\0\xe0\x3f"), false, "0.5");
    check_key("k DOUBLE", put_minus_zero, STR("\0\0\0\0\0\0\0\0"), false, "0.0");
    check_key("k DOUBLE", put_some_nan, STR("\0\0\0\0\0\0\xf8\x7f"), false, "nan");
    check_key("k DOUBLE", put_null, STR(""), true, "None");
    check_key("k BOOLEAN", put_true, STR("\1\1"), false, "True");
    check_key("k BOOLEAN", put_null, STR("\0"), false, "None");
    check_key("k STRUCT<x: BIGINT>", put_null, STR("\0"), false, "None");
    check_key("k ARRAY<BIGINT>", put_null, STR("\0"), false, "None");
    check_key("k STRING, l BIGINT", put_a_3, STR("\1\1\0\0\0a\1\3\0\0\0\0\0\0\0"), false, "('a', 3)");
    check_key("k STRING, l DOUBLE", put_null_nan, STR("\0\1\0\0\0\0\0\0\xf8\x7f"), false, "(None, nan)");
    begin("k BIGINT", 0);
    Builder *b = create();
    Text text = {0};
    bool is_null = true;
    CHECK_EQ(put_nothing(b), STATUS_OK);
    codec_encode_key(NULL, 0, 0, &text, &is_null); /* the key of everything */
    CHECK(!is_null && text.size == 0);
    CHECK_OK(codec_decode_key(STR(""), false, b, 0, &err), err);
    CHECK_OK(codec_format(STR(""), true, false, schema->fields, 0, &text, &err), err);
    CHECK_STR(text.data, "()");
    text_deinit(&text);
    builder_destroy(b);
    end();
}

static void check_refused(const char *types, bool is_key, bool is_null, Str bytes, const char *message) {
    begin(types, 0);
    Builder *b = create();
    uint32_t count = schema->column_count;
    Error decode_error = {0}, format_error = {0};
    Text text = {0};
    text_append(&text, STR("before"));
    CHECK_EQ(is_key ? codec_decode_key(bytes, is_null, b, count, &decode_error)
                    : codec_decode_value(bytes, b, 0, count, &decode_error),
             STATUS_CORRUPT);
    CHECK_EQ(codec_format(bytes, is_key, is_null, schema->fields, count, &text, &format_error),
             STATUS_CORRUPT);
    CHECK_STR(decode_error.message, message);
    CHECK_STR(format_error.message, message);
    CHECK_STR(text.data, "before");
    text_deinit(&text);
    builder_destroy(b);
    end();
}

TEST(bytes_that_no_encoding_gives) {
    check_refused("b BOOLEAN", false, false, STR("\2"),
                  "encoded row: at byte 1 of 1: neither null nor a value");
    check_refused("b BOOLEAN", false, false, STR("\1\2"),
                  "encoded row: at byte 2 of 2: neither true nor false");
    check_refused("b BOOLEAN", false, false, STR(""),
                  "encoded row: at byte 0 of 0: the bytes end within a value");
    check_refused("b BOOLEAN", false, false, STR("\0\0"),
                  "encoded row: at byte 1 of 2: there are bytes behind the last value");
    check_refused("a ARRAY<BOOLEAN>", false, false, STR("\1\xff\xff\xff\xff\0"),
                  "encoded row: at byte 5 of 6: more elements than there are bytes");
    check_refused("a ARRAY<BOOLEAN>", false, false, STR("\1\3\0\0\0\0\0"),
                  "encoded row: at byte 5 of 7: more elements than there are bytes");
    check_refused("d DOUBLE", true, false, STR("\0\0\0\0\0\0\0\x80"),
                  "encoded row: at byte 8 of 8: a floating point number that no key holds");
    check_refused("d DOUBLE, e DOUBLE", true, false, STR("\0\1\1\0\0\0\0\0\xf8\x7f"),
                  "encoded row: at byte 10 of 10: a floating point number that no key holds");
    check_refused("f FLOAT", true, false, STR("\1\0\xc0\x7f\0\0\0\0"),
                  "encoded row: at byte 8 of 8: a floating point number that no key holds");
    check_refused("f FLOAT", false, false, STR("\0\0\0\0\1\0\0\0"),
                  "encoded row: at byte 8 of 8: a number that does not fit its type");
    check_refused("i TINYINT", true, false, STR("\x80\0\0\0\0\0\0\0"),
                  "encoded row: at byte 8 of 8: a number that does not fit its type");
    check_refused("i DATE", false, false, STR("\0\0\0\x80\0\0\0\0"),
                  "encoded row: at byte 8 of 8: a number that does not fit its type");
    check_refused("i INT", false, false, STR("\0\0\0\x80"),
                  "encoded row: at byte 0 of 4: the bytes end within a value");
    check_refused("d DECIMAL(2, 1)", false, false, STR("\1\x64\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                  "encoded row: at byte 17 of 17: a number of more digits than its type has");
    check_refused("m MAP<STRING, STRING>", false, false, STR("\1\1\0\0\0\0\0"),
                  "encoded row: at byte 5 of 7: a null key of a map");
    check_refused("i BIGINT", true, false, STR("123456789"),
                  "encoded row: at byte 8 of 9: there are bytes behind the last value");
    check_refused("i BIGINT", true, true, STR("12345678"),
                  "encoded row: at byte 0 of 8: a null key that has columns or bytes");
    check_refused("b BOOLEAN", true, true, STR(""),
                  "encoded row: at byte 0 of 0: a null key that has columns or bytes");
    check_refused("s STRING, t STRING", true, true, STR(""),
                  "encoded row: at byte 0 of 0: a null key that has columns or bytes");
}

/* The bytes at the end of a block of their own, so that a read past them is seen. */
static Str at_block_end(Str bytes, char **block) {
    *block = malloc(bytes.size ? bytes.size : 1);
    if (bytes.size)
        memcpy(*block, bytes.data, bytes.size);
    return str_slice(*block, bytes.size);
}

TEST(random_rows_come_back_and_no_truncation_does) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 150; round++) {
        begin(NULL, 0);
        schema = random_schema(&random, arena, true, 0);
        uint32_t count = schema->column_count, key_count = (uint32_t)random_below(&random, count + 1);
        Builder *from = create(), *to = create();
        Text shown = {0};
        for (int i = 0; i < 20; i++)
            CHECK_OK(random_row(&random, from, schema, &shown, &err), err);
        Chunk chunk = chunk_of(from);
        for (uint32_t row = 0; row < chunk.row_count; row++) {
            Text bytes = {0}, key = {0}, again = {0};
            char *block;
            bool is_null, is_null_again;
            codec_encode_value(chunk.columns, 0, count, row, &bytes);
            codec_encode_key(chunk.columns, key_count, row, &key, &is_null);
            Str value = at_block_end(text_str(&bytes), &block);
            CHECK_OK(codec_decode_value(value, to, 0, count, &err), err);
            builder_end_row(to);
            free(block);
            /* Every truncation; no bytes at all are the null of a single word. */
            bool is_word = count == 1 && type_is_word(schema->fields[0].type.kind);
            size_t step = bytes.size > 500 ? 37 : 1;
            for (size_t cut = is_word ? 1 : 0; cut < bytes.size; cut += step) {
                value = at_block_end(str_slice(bytes.data, cut), &block);
                CHECK_EQ(codec_decode_value(value, to, 0, count, &err), STATUS_CORRUPT);
                CHECK_EQ(codec_format(value, false, false, schema->fields, count, &again, &err),
                         STATUS_CORRUPT);
                CHECK_EQ(again.size, 0);
                free(block);
            }
            CHECK_OK(codec_format(text_str(&bytes), false, false, schema->fields, count, &again, &err), err);
            text_reset(&again);

            /* The key: into a row whose other columns are the value's. */
            CHECK_OK(codec_decode_key(text_str(&key), is_null, to, key_count, &err), err);
            CHECK_OK(codec_format(text_str(&key), true, is_null, schema->fields, key_count, &again, &err),
                     err);
            text_reset(&again);
            for (uint32_t c = key_count; c < count; c++)
                CHECK_OK(builder_put_value(to, c, &chunk.columns[c], row, &err), err);
            builder_end_row(to);
            codec_encode_key(chunk_of(to).columns, key_count, builder_row_count(to) - 1, &again,
                             &is_null_again);
            CHECK(is_null == is_null_again && str_equal(text_str(&again), text_str(&key)));
            text_deinit(&bytes);
            text_deinit(&key);
            text_deinit(&again);
        }
        /* Even rows are the decoded values: all are as they were. */
        Chunk decoded = chunk_of(to);
        uint16_t even[20];
        for (int i = 0; i < 20; i++)
            even[i] = (uint16_t)(2 * i);
        decoded.selection = even;
        decoded.selected_count = 20;
        chunk_verify(&decoded);
        Text decoded_shown = {0};
        chunk_format(&decoded, &decoded_shown);
        CHECK(str_equal(text_str(&decoded_shown), text_str(&shown)));
        text_deinit(&decoded_shown);
        text_deinit(&shown);
        builder_destroy(from);
        builder_destroy(to);
        end();
    }
}

TEST(decoding_over_budget) {
    begin("s STRING", 0);
    Builder *b = create();
    Text bytes = {0};
    bytes_put_u8(&bytes, 1);
    bytes_put_u32(&bytes, 1 << 20);
    for (int i = 0; i < 1 << 20; i++)
        text_append_byte(&bytes, 'x');
    budget.limit_bytes = budget.used_bytes + (1 << 20);
    CHECK_EQ(codec_decode_value(text_str(&bytes), b, 0, 1, &err), STATUS_NO_MEMORY);
    CHECK_EQ(codec_decode_key(text_str(&bytes), false, b, 1, &err), STATUS_NO_MEMORY);
    CHECK_EQ(builder_row_count(b), 0);
    text_deinit(&bytes);
    builder_destroy(b);
    end();
}

TEST_MAIN()
