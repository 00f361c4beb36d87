#include "base/decimal.h"
#include "base/random.h"
#include "check.h"

#include <float.h>
#include <stdlib.h>

static void check_digits(double value, int digits_min, const char *digits, int point, int line) {
    Decimal d = decimal_shortest(value, digits_min);
    check_text(d.digits, strlen(d.digits), digits, strlen(digits), __FILE__, line, "digits");
    check_i64(d.point, point, __FILE__, line, "point");
}

TEST(known_values) {
    check_digits(0.0, 1, "0", 1, __LINE__);
    check_digits(-0.0, 1, "0", 1, __LINE__);
    check_digits(1.0, 1, "1", 1, __LINE__);
    check_digits(-120.0, 1, "12", 3, __LINE__);
    check_digits(0.1, 1, "1", 0, __LINE__);
    check_digits(0.1 + 0.2, 1, "30000000000000004", 0, __LINE__);
    check_digits(2e23, 1, "2", 24, __LINE__);
    check_digits(DBL_MAX, 1, "17976931348623157", 309, __LINE__);
    check_digits(DBL_TRUE_MIN, 1, "5", -323, __LINE__);
    check_digits(DBL_TRUE_MIN, 2, "49", -323, __LINE__);
    /* 2^-44: nearest misses, next hits */
    check_digits(5.684341886080802e-14, 1, "5684341886080802", -13, __LINE__);
    check_digits(9007199254740993.0, 1, "9007199254740992", 16, __LINE__);
}

TEST(reads_back) {
    Random random;
    random_init(&random, check_seed());
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64(&random);
        if ((bits >> 52 & 0x7ff) == 0x7ff)
            continue;
        double value;
        memcpy(&value, &bits, sizeof value);
        value = value < 0 ? -value : value;
        Decimal d = decimal_shortest(value, 1);
        char text[64];
        snprintf(text, sizeof text, "0.%se%d", d.digits, d.point);
        if (!CHECK(strtod(text, NULL) == value))
            return;
    }
}

TEST(floats) {
    static const struct {
        float value;
        const char *digits; /* as Float.toString has them */
        int point;
    } cases[] = {
        {0.1f, "1", 0},        {1.0f / 3, "33333334", 0}, {16777216.0f, "16777216", 8}, {0.0f, "0", 1},
        {1e10f, "1", 11},      {FLT_TRUE_MIN, "14", -44}, {FLT_MAX, "34028235", 39},    {2e-44f, "2", -43},
        {8.41e21f, "841", 22},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Decimal d = decimal_shortest_f32(cases[i].value, 2);
        CHECK_STR(d.digits, cases[i].digits);
        CHECK_EQ(d.point, cases[i].point);
    }
    Random random;
    random_init(&random, check_seed());
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)random_u64(&random) & INT32_MAX;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (bits >> 23 == 0xff)
            continue;
        Decimal d = decimal_shortest_f32(value, 1);
        char text[64];
        snprintf(text, sizeof text, "0.%se%d", d.digits, d.point);
        if (!CHECK(strtof(text, NULL) == value))
            return;
    }
}

TEST_MAIN()
