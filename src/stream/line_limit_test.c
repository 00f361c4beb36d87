#include "stream/line_limit.h"

#include "base/random.h"
#include "check.h"

/* Byte by byte, as the header says it. */
static bool slow_over_limit(const char *data, size_t size, uint64_t limit, size_t *begin, size_t *end,
                            bool *is_ended) {
    for (size_t at = 0; at < size;) {
        size_t stop = at;
        while (stop < size && data[stop] != '\n' && data[stop] != '\r')
            stop++;
        *is_ended = stop < size;
        size_t next =
            !*is_ended ? size : stop + (size - stop >= 2 && memcmp(data + stop, "\r\n", 2) == 0 ? 2 : 1);
        if (stop - at > limit) {
            *begin = at;
            *end = next;
            return true;
        }
        at = next;
    }
    return false;
}

TEST(the_first_and_the_last_ending) {
    const char *text = "ab\rc\n\r\nde";
    CHECK_EQ(line_end_first(text, 0, 9), 2);
    CHECK_EQ(line_end_first(text, 3, 9), 4);
    CHECK_EQ(line_end_first(text, 7, 9), 9);
    CHECK_EQ(line_end_first(text, 9, 9), 9);
    CHECK_EQ(line_end_last(text, 0, 9), 7);
    CHECK_EQ(line_end_last(text, 0, 6), 6);
    CHECK_EQ(line_end_last(text, 0, 4), 3);
    CHECK_EQ(line_end_last(text, 7, 9), 7);
    CHECK_EQ(line_end_behind(text, 2, 9), 3);
    CHECK_EQ(line_end_behind(text, 5, 9), 7);
    CHECK_EQ(line_end_behind(text, 5, 6), 6);
}

TEST(a_line_is_over_the_limit_by_one_byte) {
    size_t begin = 0, end = 0;
    bool is_ended = false;
    CHECK(!line_over_limit("abc\nabcd\r\nx", 0, 11, 4, &begin, &end, &is_ended));
    REQUIRE(line_over_limit("abc\nabcd\r\nx", 0, 11, 3, &begin, &end, &is_ended));
    CHECK(is_ended);
    CHECK_EQ(begin, 4);
    CHECK_EQ(end, 10);
    REQUIRE(line_over_limit("a\nabcd", 0, 6, 3, &begin, &end, &is_ended));
    CHECK(!is_ended);
    CHECK_EQ(begin, 2);
    CHECK_EQ(end, 6);
}

TEST(agrees_with_a_search_byte_by_byte) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 20000; round++) {
        char text[40];
        size_t size = random_below(&random, sizeof text + 1);
        uint64_t limit = random_below(&random, 12);
        for (size_t i = 0; i < size; i++)
            text[i] = "aaaa\n\r"[random_below(&random, 6)];
        size_t begin = 0, end = 0, slow_begin = 0, slow_end = 0;
        bool is_ended = false, slow_ended = false;
        bool found = line_over_limit(text, 0, size, limit, &begin, &end, &is_ended);
        bool slow_found = slow_over_limit(text, size, limit, &slow_begin, &slow_end, &slow_ended);
        if (!CHECK_EQ(found, slow_found))
            break;
        if (found &&
            (!CHECK_EQ(begin, slow_begin) || !CHECK_EQ(end, slow_end) || !CHECK_EQ(is_ended, slow_ended)))
            break;
    }
}

TEST_MAIN()
