#include "stream/repeats.h"

#include "check.h"

TEST(the_same_is_said_once_a_minute) {
    Repeats repeats = {0};
    uint64_t unsaid = 9;
    int64_t minute_us = REPEATS_INTERVAL_US;
    CHECK(repeats_say(&repeats, "refused", 5, &unsaid));
    CHECK_EQ(unsaid, 0);
    CHECK(!repeats_say(&repeats, "refused", 6, &unsaid));
    CHECK(!repeats_say(&repeats, "refused", 5 + minute_us - 1, &unsaid));
    CHECK(repeats_say(&repeats, "refused", 5 + minute_us, &unsaid));
    CHECK_EQ(unsaid, 2);
    CHECK(!repeats_say(&repeats, "refused", 6 + minute_us, &unsaid));
    CHECK(repeats_say(&repeats, "no such host", 7 + minute_us, &unsaid));
    CHECK_EQ(unsaid, 0);
    CHECK(repeats_say(&repeats, "refused", 8 + minute_us, &unsaid));
    repeats_forget(&repeats);
    CHECK(repeats_say(&repeats, "refused", 9 + minute_us, &unsaid));
    CHECK_EQ(unsaid, 0);
}

TEST_MAIN()
