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

void literal_decimal_digits(LeatDecimal value, uint32_t scale, Text *out) {
    char digits[40];
    int count = 0, point; /* of the digits, from the left; behind them where it is `count` */
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    do {
        digits[sizeof digits - (size_t)++count] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest);
    const char *first = digits + sizeof digits - count;
    point = count - (int)scale;
    if (value < 0)
        text_append_byte(out, '-');
    if (point < -5) { /* the first digit counts less than 10^-6 */
        text_append_byte(out, *first);
        if (count > 1)
            text_appendf(out, ".%.*s", count - 1, first + 1);
        text_appendf(out, "E%d", point - 1);
        return;
    }
    if (point <= 0)
        text_append(out, STR("0."));
    for (int i = point; i < 0; i++)
        text_append_byte(out, '0');
    for (int i = 0; i < count; i++) {
        if (i > 0 && i == point)
            text_append_byte(out, '.');
        text_append_byte(out, first[i]);
    }
}

void literal_decimal(LeatDecimal value, uint32_t scale, Text *out) {
    text_append(out, STR("Decimal('"));
    literal_decimal_digits(value, scale, out);
    text_append(out, STR("')"));
}

/* ---- strings ---- */

static char choose_quote(Str value) {
    bool has_single = value.size && memchr(value.data, '\'', value.size);
    return has_single && !memchr(value.data, '"', value.size) ? '"' : '\'';
}

/* The character that a well-formed text begins with; *size 0: the first byte begins none. */
static uint32_t decode_character(Str text, size_t *size) {
    const unsigned char *at = (const unsigned char *)text.data;
    size_t expected = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    *size = expected <= text.size && str_is_utf8(str_slice(at, expected)) ? expected : 0;
    switch (*size) {
    case 1:
        return at[0];
    case 2:
        return (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3fu);
    case 3:
        return (uint32_t)(at[0] & 0x0f) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    case 4:
        return (uint32_t)(at[0] & 0x07) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 |
               (at[3] & 0x3fu);
    default:
        return 0;
    }
}

/* Not the categories Cc, Cf, Co, Zl, Zp and Zs but the blank; surrogates are not well-formed UTF-8. */
static bool is_printable(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},         {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},       {0x8e2, 0x8e2},     {0x1680, 0x1680},
        {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},     {0x205f, 0x2064},   {0x2066, 0x206f},
        {0x3000, 0x3000},   {0xe000, 0xf8ff},   {0xfeff, 0xfeff},     {0xfff9, 0xfffb},   {0x110bd, 0x110bd},
        {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},   {0x1d173, 0x1d17a}, {0xe0001, 0xe0001},
        {0xe0020, 0xe007f}, {0xf0000, 0xffffd}, {0x100000, 0x10fffd},
    };
    for (size_t i = 0; i < ARRAY_COUNT(ranges) && ranges[i].first <= c; i++) {
        if (c <= ranges[i].last)
            return false;
    }
    return true;
}

static void append_character(uint32_t c, char quote, Str bytes, Text *out) {
    if (c == (unsigned char)quote || c == '\\')
        text_appendf(out, "\\%c", (char)c);
    else if (c == '\t')
        text_append(out, STR("\\t"));
    else if (c == '\n')
        text_append(out, STR("\\n"));
    else if (c == '\r')
        text_append(out, STR("\\r"));
    else if (is_printable(c))
        text_append(out, bytes);
    else
        text_appendf(out, c <= 0xff ? "\\x%02x" : c <= 0xffff ? "\\u%04x" : "\\U%08x", c);
}

void literal_string(Str value, Text *out) {
    char quote = choose_quote(value);
    text_append_byte(out, quote);
    for (size_t at = 0; at < value.size;) {
        Str rest = str_slice(value.data + at, value.size - at);
        size_t size;
        uint32_t c = decode_character(rest, &size);
        if (size == 0) {
            text_appendf(out, "\\udc%02x", (unsigned char)rest.data[0]); /* as surrogateescape decodes it */
            at++;
            continue;
        }
        append_character(c, quote, str_slice(rest.data, size), out);
        at += size;
    }
    text_append_byte(out, quote);
}

void literal_binary(Str value, Text *out) {
    char quote = choose_quote(value);
    text_append_byte(out, 'b');
    text_append_byte(out, quote);
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < 0x80)
            append_character(c, quote, str_slice(value.data + i, 1), out);
        else
            text_appendf(out, "\\x%02x", c);
    }
    text_append_byte(out, quote);
}

/* ---- times ---- */

Date date_of_day(int64_t day) {
    /* Eras of 400 years that begin on 1 March. */
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    return (Date){year, (int)month, (int)day_of_month};
}

static void append_day(int64_t day, Text *out) {
    Date date = date_of_day(day);
    text_appendf(out, "%04" PRId64 "-%02d-%02d", date.year, date.month, date.day);
}

void literal_date(int32_t day, Text *out) {
    append_day(day, out);
}

void literal_timestamp(int64_t time_us, Text *out) {
    const int64_t us_per_day = INT64_C(86400000000);
    int64_t day = time_us / us_per_day, us = time_us % us_per_day;
    if (us < 0) {
        us += us_per_day;
        day--;
    }
    int64_t seconds = us / 1000000, fraction = us % 1000000;
    append_day(day, out);
    text_appendf(out, " %02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                 (int)(seconds % 60));
    if (fraction) {
        char digits[16];
        int count = snprintf(digits, sizeof digits, ".%06d", (int)fraction);
        while (digits[count - 1] == '0')
            count--;
        text_append(out, str_slice(digits, (size_t)count));
    }
    text_append_byte(out, 'Z');
}
