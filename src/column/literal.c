#include "column/literal.h"

#include "base/decimal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void literal_bool(bool value, Text *out) {
    text_append(out, value ? STR("True") : STR("False"));
}

void literal_i64(int64_t value, Text *out) {
    text_appendf(out, "%" PRId64, value);
}

void literal_f64(double value, Text *out) {
    if (isnan(value)) {
        text_append(out, STR("nan"));
        return;
    }
    if (isinf(value)) {
        text_append(out, value < 0 ? STR("-inf") : STR("inf"));
        return;
    }
    Decimal decimal = decimal_shortest(value, 1);
    int exponent = decimal.point - 1, fraction_digits = decimal.digit_count - decimal.point;
    if (exponent < -4 || exponent >= 16) {
        text_appendf(out, "%s%c%s%s", signbit(value) ? "-" : "", decimal.digits[0],
                     decimal.digit_count > 1 ? "." : "", decimal.digits + 1);
        text_appendf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else { /* 3.0, 120.0, 0.00012 */
        text_appendf(out, "%.*f", fraction_digits > 1 ? fraction_digits : 1, value);
    }
}

/* `quote` and backslash get a backslash; `append` writes what stands between them. */
static void append_quoted(Str value, char quote, void (*append)(Text *out, Str bytes), Text *out) {
    text_append_byte(out, quote);
    for (size_t begin = 0; begin < value.size;) {
        size_t end = begin;
        while (end < value.size && value.data[end] != quote && value.data[end] != '\\')
            end++;
        append(out, str_slice(value.data + begin, end - begin));
        if (end < value.size) {
            text_append_byte(out, '\\');
            text_append_byte(out, value.data[end++]);
        }
        begin = end;
    }
    text_append_byte(out, quote);
}

static char choose_quote(Str value) {
    bool has_single = value.size && memchr(value.data, '\'', value.size);
    return has_single && !memchr(value.data, '"', value.size) ? '"' : '\'';
}

void literal_string(Str value, Text *out) {
    append_quoted(value, choose_quote(value), text_append_escaped, out);
}

static void append_ascii(Text *out, Str bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c >= 0x80)
            text_appendf(out, "\\x%02x", c);
        else
            text_append_escaped(out, str_slice(bytes.data + i, 1));
    }
}

void literal_binary(Str value, Text *out) {
    text_append_byte(out, 'b');
    append_quoted(value, choose_quote(value), append_ascii, out);
}

void literal_timestamp(int64_t time_us, Text *out) {
    const int64_t us_per_day = INT64_C(86400000000);
    int64_t day = time_us / us_per_day, us = time_us % us_per_day;
    if (us < 0) {
        us += us_per_day;
        day--;
    }
    /* Days since 1970-01-01 to a Gregorian date, in eras of 400 years that begin on 1 March. */
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    int64_t seconds = us / 1000000, fraction = us % 1000000;
    text_appendf(out, "%04" PRId64 "-%02d-%02d %02d:%02d:%02d", year, (int)month, (int)day_of_month,
                 (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
    if (fraction) {
        char digits[16];
        int count = snprintf(digits, sizeof digits, ".%06d", (int)fraction);
        while (digits[count - 1] == '0')
            count--;
        text_append(out, str_slice(digits, (size_t)count));
    }
    text_append_byte(out, 'Z');
}
