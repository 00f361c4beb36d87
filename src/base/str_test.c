#include "base/str.h"
#include "base/random.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>

#define CHECK_TEXT(text, literal) \
    check_text((text).data, (text).size, literal, sizeof(literal) - 1, __FILE__, __LINE__, #text)

/* ---- leat/str.h ---- */

/* The parts of `text`, each in brackets. The bytes are copied to memory of their exact size: a
 * read beyond is seen. */
static Text walk(Str text, int separator) {
    char *bytes = malloc(text.size ? text.size : 1);
    if (text.size)
        memcpy(bytes, text.data, text.size);
    Text result = {0};
    LeatStr rest = {bytes, text.size}, part;
    while (separator < 0 ? leat_str_next_line(&rest, &part) : leat_str_split(&rest, (char)separator, &part))
        text_appendf(&result, "[%.*s]", STR_ARG(part));
    free(bytes);
    return result;
}

#define CHECK_WALK(input, separator, expected)     \
    do {                                           \
        Text walked = walk(STR(input), separator); \
        CHECK_TEXT(text_str(&walked), expected);   \
        text_deinit(&walked);                      \
    } while (0)

TEST(split_follows_python) {
    CHECK_WALK("", ' ', "[]");
    CHECK_WALK("a", ' ', "[a]");
    CHECK_WALK(" ", ' ', "[][]");
    CHECK_WALK("a  b", ' ', "[a][][b]");
    CHECK_WALK(" a b ", ' ', "[][a][b][]");
    CHECK_WALK("0123456789abcdef,x,0123456789abcdef0123456789abcdef,", ',',
               "[0123456789abcdef][x][0123456789abcdef0123456789abcdef][]");
    CHECK_WALK("a\xff"
               "b",
               0xff, "[a][b]");
}

TEST(lines_end_in_lf_cr_or_crlf) {
    CHECK_WALK("", -1, "");
    CHECK_WALK("\n", -1, "[]");
    CHECK_WALK("\r", -1, "[]");
    CHECK_WALK("\r\n", -1, "[]");
    CHECK_WALK("\n\r", -1, "[][]");
    CHECK_WALK("a", -1, "[a]");
    CHECK_WALK("a\nb", -1, "[a][b]");
    CHECK_WALK("a\r\n\r\nb\rc\n\nd\n", -1, "[a][][b][c][][d]");
    CHECK_WALK("a\r", -1, "[a]");
}

/* n separators give n + 1 parts that join to the text, wherever the separators stand in a vector of 16. */
TEST(split_and_join_give_the_text) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 300; round++) {
        size_t size = random_below(&random, 70);
        char *bytes = malloc(size ? size : 1); /* not a byte more: a read beyond is seen */
        size_t separators = 0, parts = 0;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = random_below(&random, 5) ? 'x' : ',';
            separators += bytes[i] == ',';
        }
        Text joined = {0};
        LeatStr rest = {bytes, size}, part;
        while (leat_str_split(&rest, ',', &part)) {
            CHECK(!part.size || !memchr(part.data, ',', part.size));
            if (parts++)
                text_append_byte(&joined, ',');
            text_append(&joined, part);
        }
        CHECK_EQ(parts, separators + 1);
        CHECK(str_equal(text_str(&joined), (Str){bytes, size}));
        text_deinit(&joined);
        free(bytes);
    }
}

/* ---- base/str.h ---- */

TEST(views_compare_by_bytes) {
    CHECK(str_equal(STR(""), (Str){NULL, 0}));
    CHECK(!str_equal(STR("a"), STR("b")) && !str_equal(STR("a"), STR("ab")));
    CHECK(str_compare(STR("a"), STR("b")) < 0 && str_compare(STR("b"), STR("a")) > 0);
    CHECK(str_compare(STR("a"), STR("ab")) < 0 && str_compare(STR("ab"), STR("a")) > 0);
    CHECK(str_compare(STR("ab"), STR("ab")) == 0 && str_compare(STR(""), (Str){NULL, 0}) == 0);
    CHECK(str_compare(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    CHECK(str_starts_with(STR("abc"), STR("ab")) && str_starts_with(STR("abc"), STR("")));
    CHECK(!str_starts_with(STR("ab"), STR("abc")) && !str_starts_with(STR("abc"), STR("b")));
    CHECK(str_ends_with(STR("abc"), STR("bc")) && str_ends_with(STR("abc"), STR("")));
    CHECK(!str_ends_with(STR("bc"), STR("abc")) && !str_ends_with(STR("abc"), STR("b")));
    CHECK(str_equal(str_trim(STR(" \t\r\n a b \v\f")), STR("a b")));
    CHECK(str_trim(STR(" \t ")).size == 0 && str_trim(STR("")).size == 0);
}

TEST(integers_are_parsed_whole_or_not) {
    static const struct {
        const char *text;
        int64_t value;
    } right[] = {{"0", 0},
                 {"-0", 0},
                 {"+7", 7},
                 {"007", 7},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < ARRAY_COUNT(right); i++) {
        int64_t value = 99;
        CHECK(str_parse_i64(str_from(right[i].text), &value));
        CHECK_EQ(value, right[i].value);
    }
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "0x1",
                                        "--1",
                                        "1e3",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999",
                                        "1\xff",
                                        ":",
                                        "/"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        int64_t value = 99;
        if (!CHECK(!str_parse_i64(str_from(wrong[i]), &value) && value == 99))
            printf("    '%s'\n", wrong[i]);
    }
}

TEST(decimals_are_parsed_whole_or_not) {
    static const struct {
        const char *text;
        double value;
    } right[] = {
        {"0", 0},
        {"1.5", 1.5},
        {"-.5", -.5},
        {"5.", 5},
        {"1e3", 1000},
        {"1E-2", .01},
        {"+2", 2},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"1e-400", 0},
        {"0.00000000000000000000000000000000000000000000000000000000000000000000000000000000000001e87", 10}};
    for (size_t i = 0; i < ARRAY_COUNT(right); i++) {
        double value = 99;
        if (!CHECK(str_parse_f64(str_from(right[i].text), &value) && value == right[i].value))
            printf("    '%s' gave %.17g\n", right[i].text, value);
    }
    double value = 1;
    CHECK(str_parse_f64(STR("-0"), &value) && signbit(value));
    static const char *const wrong[] = {"",    ".",   "-",    "e5",    "1e",    "1e+",    " 1", "1 ",
                                        "inf", "nan", "0x10", "1.2.3", "1e999", "-1e999", "1,5"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        value = 99;
        if (!CHECK(!str_parse_f64(str_from(wrong[i]), &value) && value == 99))
            printf("    '%s'\n", wrong[i]);
    }
    CHECK(str_parse_f64(str_slice("12345", 2), &value) && value == 12); /* not what lies behind the view */
}

TEST(sizes_with_units) {
    static const struct {
        const char *text;
        uint64_t size_bytes;
    } right[] = {{"0", 0},
                 {"4096", 4096},
                 {"64k", 65536},
                 {"64K", 65536},
                 {"128MiB", 128ull << 20},
                 {"2m", 2u << 20},
                 {"1g", 1u << 30},
                 {"10GB", 10000000000},
                 {"3kB", 3000},
                 {"7B", 7},
                 {"1KiB", 1024},
                 {"5MB", 5000000},
                 {"18446744073709551615", UINT64_MAX},
                 {"17179869183GiB", 17179869183ull << 30}};
    for (size_t i = 0; i < ARRAY_COUNT(right); i++) {
        uint64_t size_bytes = 99;
        CHECK(str_parse_size_bytes(str_from(right[i].text), &size_bytes));
        CHECK_EQ(size_bytes, right[i].size_bytes);
    }
    static const char *const wrong[] = {
        "", "k", "-1", "1 k", "1.5g", "1T", "1kk", "18446744073709551616", "17179869184GiB"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        uint64_t size_bytes = 99;
        if (!CHECK(!str_parse_size_bytes(str_from(wrong[i]), &size_bytes) && size_bytes == 99))
            printf("    '%s'\n", wrong[i]);
    }
}

TEST(texts_grow) {
    Text text = {0};
    CHECK(text_str(&text).data != NULL && text_str(&text).size == 0);
    text_reset(&text);
    for (int i = 0; i < 100; i++) {
        text_append(&text, STR("0123456789"));
        text_append_byte(&text, ',');
        text_appendf(&text, "%d;", i);
        CHECK_EQ(text.data[text.size], 0);
    }
    CHECK_EQ(text.size, 1100 + 10 * 2 + 90 * 3);
    CHECK(str_ends_with(text_str(&text), STR("0123456789,99;")));
    text_reset(&text);
    CHECK(text.size == 0 && text.data[0] == 0);
    text_appendf(&text, "%0*d", 1000, 1);
    CHECK_EQ(text.size, 1000);
    text_deinit(&text);
    CHECK(text.data == NULL && text.capacity == 0);
    text_append(&text, (Str){NULL, 0});
    CHECK_STR(text.data, "");
    text_deinit(&text);
}

TEST(utf8_edges) {
    static const Str right[] = {
        {"", 0},
        {"ascii and more than eight", 25},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3} /* U+D7FF */,
        {"\xee\x80\x80", 3} /* U+E000 */,
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4} /* U+10FFFF */,
        {"\0", 1},
        {"1234567\xe2\x82\xac"
         "12345678",
         18},
    };
    for (size_t i = 0; i < ARRAY_COUNT(right); i++)
        CHECK(str_is_utf8(right[i]));
    static const Str wrong[] = {
        {"\x80", 1},
        {"\xbf", 1},
        {"\xc0\x80", 2},
        {"\xc1\xbf", 2}, /* overlong */
        {"\xe0\x9f\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 4},
        {"\xed\xa0\x80", 3},
        {"\xed\xbf\xbf", 3}, /* surrogates */
        {"\xf4\x90\x80\x80", 4},
        {"\xf5\x80\x80\x80", 4},
        {"\xff", 1},
        {"\xfe", 1},
        {"\xc2", 1},
        {"\xe2\x82", 2},
        {"\xf0\x9f\x98", 3}, /* cut */
        {"\xc2"
         "a",
         2},
        {"\xe2\x82"
         "a",
         3},
        {"\xf0\x9f\x98"
         "a",
         4},
        {"12345678\xff", 9},
        {"1234567\xff", 8},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char *exact = malloc(wrong[i].size);
        memcpy(exact, wrong[i].data, wrong[i].size);
        CHECK(!str_is_utf8(str_slice(exact, wrong[i].size)));
        free(exact);
    }
}

/* Every sequence of up to three bytes against the definition: decode, then ask for the
 * shortest form and the range. */
TEST(utf8_all_short_sequences) {
    for (unsigned bits = 0x80; bits < 1u << 24; bits += bits < 0x10000 ? 1 : 7) {
        unsigned char b[3] = {(unsigned char)bits, (unsigned char)(bits >> 8), (unsigned char)(bits >> 16)};
        bool expected = true;
        for (size_t i = 0; i < 3 && expected;) {
            size_t size = b[i] < 0x80 ? 1 : b[i] >> 5 == 6 ? 2 : b[i] >> 4 == 14 ? 3 : 9;
            if (i + size > 3) {
                expected = false;
                break;
            }
            unsigned point = size == 1 ? b[i] : b[i] & (0xff >> (size + 1));
            for (size_t k = 1; k < size; k++) {
                expected = expected && b[i + k] >> 6 == 2;
                point = point << 6 | (b[i + k] & 0x3f);
            }
            expected = expected && (size < 2 || point >= (size == 2 ? 0x80 : 0x800)) &&
                       (point < 0xd800 || point > 0xdfff);
            i += size;
        }
        if (str_is_utf8(str_slice(b, 3)) != expected) {
            CHECK(false);
            printf("    %02x %02x %02x\n", b[0], b[1], b[2]);
        }
    }
}

TEST(escaped_text_is_safe_on_a_terminal) {
    Text text = {0};
    text_append_escaped(&text,
                        STR("a\tb\nc\rd\x1b[31m \x7f \xe2\x82\xac \xff \xe2\x82 \xc2\x9b \xc2\xa0 \0"));
    CHECK_TEXT(text_str(&text),
               "a\\tb\\nc\\rd\\x1b[31m \\x7f \xe2\x82\xac \\xff \\xe2\\x82 \\xc2\\x9b \xc2\xa0 \\x00");
    text_deinit(&text);
}

TEST_MAIN()
