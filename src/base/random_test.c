#include "base/random.h"
#include "check.h"

TEST(xoshiro_known_answers) {
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240, 1216172134540287360};
    Random random = {{1, 2, 3, 4}};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        CHECK_EQ(random_u64(&random), expected[i]);
}

TEST(seeds_go_through_splitmix) {
    Random random;
    random_init(&random, 1234567);
    CHECK_EQ(random.s[0], 6457827717110365317u);
    CHECK_EQ(random.s[1], 3203168211198807973u);
    CHECK_EQ(random.s[2], 9817491932198370423u);
    CHECK_EQ(random.s[3], 4593380528125082431u);
    CHECK_EQ(random_u64(&random), 3504822795582309479u);
}

TEST(below_stays_below_and_reaches_all) {
    Random random;
    random_init(&random, check_seed());
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t value = random_below(&random, 7);
        REQUIRE(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK(seen[i] > 700); /* 1000 expected; 300 less is ten standard deviations */
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(random_below(&random, 1), 0);
        CHECK(random_below(&random, (1ull << 63) + 1) <= 1ull << 63);
    }
}

/* 3 * 2^62 values from 2^64 numbers: without refusing some, every third value would come twice as often. */
TEST(below_is_unbiased) {
    Random random;
    random_init(&random, check_seed());
    int thirds = 0;
    for (int i = 0; i < 6000; i++)
        thirds += random_below(&random, 3ull << 62) % 3 == 0;
    /* 2000 expected, 3000 when biased; 400 is eleven standard deviations */
    CHECK(thirds > 1600 && thirds < 2400);
}

TEST(unit_is_half_open) {
    Random random;
    random_init(&random, check_seed());
    for (int i = 0; i < 1000; i++) {
        double value = random_unit(&random);
        CHECK(value >= 0 && value < 1);
    }
    /* The largest number gives less than 1. What a state gives is s[1] * 5, rotated by 7, * 9: going back
     * from UINT64_MAX with the inverses of 9 and 5. */
    uint64_t rotated = UINT64_MAX * 0x8e38e38e38e38e39;
    Random largest = {{1, (rotated >> 7 | rotated << 57) * 0xcccccccccccccccd, 0, 0}};
    CHECK(random_unit(&largest) == 1 - 0x1p-53);
}

TEST_MAIN()
