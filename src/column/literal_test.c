#include "column/literal.h"
#include "base/random.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>

static Text out;

static const char *f64(double value) {
    text_reset(&out);
    literal_f64(value, &out);
    return out.data;
}

static const char *string(Str value) {
    text_reset(&out);
    literal_string(value, &out);
    return out.data;
}

static const char *binary(Str value) {
    text_reset(&out);
    literal_binary(value, &out);
    return out.data;
}

static const char *timestamp(int64_t time_us) {
    text_reset(&out);
    literal_timestamp(time_us, &out);
    return out.data;
}

/* Expected texts are what Python 3 prints. */
TEST(doubles_as_python_shows_them) {
    CHECK_STR(f64(0.0), "0.0");
    CHECK_STR(f64(-0.0), "-0.0");
    CHECK_STR(f64(1.0), "1.0");
    CHECK_STR(f64(-120.0), "-120.0");
    CHECK_STR(f64(0.1), "0.1");
    CHECK_STR(f64(0.1 + 0.2), "0.30000000000000004");
    CHECK_STR(f64(1.0 / 3), "0.3333333333333333");
    CHECK_STR(f64(123.456), "123.456");
    CHECK_STR(f64(1e15), "1000000000000000.0");
    CHECK_STR(f64(1234567890123456.8), "1234567890123456.8");
    CHECK_STR(f64(1e16), "1e+16");
    CHECK_STR(f64(1.5e300), "1.5e+300");
    CHECK_STR(f64(0.0001), "0.0001");
    CHECK_STR(f64(0.00012345), "0.00012345");
    CHECK_STR(f64(0.00001), "1e-05");
    CHECK_STR(f64(5e-324), "5e-324");
    CHECK_STR(f64((double)INFINITY), "inf");
    CHECK_STR(f64((double)-INFINITY), "-inf");
    CHECK_STR(f64((double)NAN), "nan");
    Random random;
    random_init(&random, check_seed());
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = random_u64(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        double back = strtod(f64(value), NULL);
        CHECK(memcmp(&back, &value, sizeof value) == 0);
    }
    text_deinit(&out);
}

TEST(strings_and_bytes_as_python_shows_them) {
    CHECK_STR(string(STR("")), "''");
    CHECK_STR(string(STR("hello")), "'hello'");
    CHECK_STR(string(STR("it's")), "\"it's\"");
    CHECK_STR(string(STR("say \"it's\"")), "'say \"it\\'s\"'");
    CHECK_STR(string(STR("a\\b\n\t\r\x01")), "'a\\\\b\\n\\t\\r\\x01'");
    CHECK_STR(string(STR("sch\xc3\xb6n")), "'sch\xc3\xb6n'");
    CHECK_STR(string(STR("\xff\xc3")), "'\\udcff\\udcc3'");
    CHECK_STR(string(STR("\xc2\x9b\xe2\x80\x8b")), "'\\x9b\\u200b'"); /* CSI, a blank without width */
    CHECK_STR(string((Str){NULL, 0}), "''");
    CHECK_STR(binary(STR("a\0'")), "b\"a\\x00'\"");
    CHECK_STR(binary(STR("sch\xc3\xb6n\x7f\\")), "b'sch\\xc3\\xb6n\\x7f\\\\'");
    CHECK_STR(binary((Str){NULL, 0}), "b''");
    text_deinit(&out);
}

static const char *decimal(LeatDecimal value, uint32_t scale) {
    text_reset(&out);
    literal_decimal_digits(value, scale, &out);
    return out.data;
}

static const char *date(int32_t day) {
    text_reset(&out);
    literal_date(day, &out);
    return out.data;
}

TEST(decimals_and_dates) {
    const LeatDecimal billion = 1000000000, largest = billion * billion * billion * billion * 100 - 1;
    CHECK_STR(decimal(0, 0), "0");
    CHECK_STR(decimal(120, 2), "1.20");
    CHECK_STR(decimal(-120, 2), "-1.20");
    CHECK_STR(decimal(5, 2), "0.05");
    CHECK_STR(decimal(0, 2), "0.00");
    CHECK_STR(decimal(1000, 0), "1000");
    CHECK_STR(decimal(1, 6), "0.000001");
    CHECK_STR(decimal(1, 7), "1E-7");
    CHECK_STR(decimal(-12, 8), "-1.2E-7");
    CHECK_STR(decimal(12, 7), "0.0000012");
    CHECK_STR(decimal(0, 6), "0.000000");
    CHECK_STR(decimal(0, 10), "0E-10");
    CHECK_STR(decimal(largest, 0), "99999999999999999999999999999999999999");
    CHECK_STR(decimal(-largest, 38), "-0.99999999999999999999999999999999999999");
    text_reset(&out);
    literal_decimal(120, 2, &out);
    CHECK_STR(out.data, "Decimal('1.20')");
    CHECK_STR(date(0), "1970-01-01");
    CHECK_STR(date(18292), "2020-01-31");
    CHECK_STR(date(-719162), "0001-01-01");
    CHECK_STR(date(INT32_MAX), "5881580-07-11");
    CHECK_STR(date(INT32_MIN), "-5877641-06-23");
    text_deinit(&out);
}

TEST(other_values) {
    literal_bool(true, &out);
    literal_bool(false, &out);
    literal_i64(INT64_MIN, &out);
    CHECK_STR(out.data, "TrueFalse-9223372036854775808");
    CHECK_STR(timestamp(0), "1970-01-01 00:00:00Z");
    CHECK_STR(timestamp(-1), "1969-12-31 23:59:59.999999Z");
    CHECK_STR(timestamp(INT64_C(951782399500000)), "2000-02-28 23:59:59.5Z");
    CHECK_STR(timestamp(INT64_C(951782400000000)), "2000-02-29 00:00:00Z");
    CHECK_STR(timestamp(INT64_C(1795255201000100)), "2026-11-21 10:00:01.0001Z");
    CHECK_STR(timestamp(INT64_C(-2203891200000000)), "1900-03-01 00:00:00Z");
    CHECK_STR(timestamp(INT64_MAX), "294247-01-10 04:00:54.775807Z");
    CHECK_STR(timestamp(INT64_MIN), "-290308-12-21 19:59:05.224192Z");
    text_deinit(&out);
}

TEST_MAIN()
