#include "base/str.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool str_starts_with(Str s, Str prefix) {
    return prefix.size <= s.size && str_equal((Str){s.data, prefix.size}, prefix);
}

bool str_ends_with(Str s, Str suffix) {
    return suffix.size <= s.size && str_equal((Str){s.data + (s.size - suffix.size), suffix.size}, suffix);
}

int str_compare(Str a, Str b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Str str_trim(Str s) {
    while (s.size && is_blank(s.data[0]))
        s = (Str){s.data + 1, s.size - 1};
    while (s.size && is_blank(s.data[s.size - 1]))
        s.size--;
    return s;
}

/* ---- numbers ---- */

/* Decimal digits only; false for none, anything else, or more than `max`. */
static bool parse_digits(Str s, uint64_t max, uint64_t *value) {
    uint64_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';
        if (digit > 9 || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *value = n;
    return s.size > 0;
}

bool str_parse_i64(Str s, int64_t *value) {
    bool is_negative = s.size && s.data[0] == '-';
    if (is_negative || (s.size && s.data[0] == '+'))
        s = (Str){s.data + 1, s.size - 1};
    uint64_t magnitude;
    if (!parse_digits(s, (uint64_t)INT64_MAX + is_negative, &magnitude))
        return false;
    *value = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

/* [sign] digits [. digits] [e [sign] digits], with digits on at least one side of the point: strtod alone
 * would also take blanks, hexadecimal, "inf" and "nan". */
static bool is_decimal(Str s) {
    size_t i = 0, digits = 0;
    if (i < s.size && (s.data[i] == '-' || s.data[i] == '+'))
        i++;
    for (; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        digits++;
    if (i < s.size && s.data[i] == '.') {
        for (i++; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
            digits++;
    }
    if (digits == 0)
        return false;
    if (i < s.size && (s.data[i] == 'e' || s.data[i] == 'E')) {
        i++;
        if (i < s.size && (s.data[i] == '-' || s.data[i] == '+'))
            i++;
        if (i == s.size)
            return false;
        for (; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
            continue;
    }
    return i == s.size;
}

bool str_parse_f64(Str s, double *value) {
    if (!is_decimal(s))
        return false;
    char small[64];
    char *text = small;
    if (s.size < sizeof small) {
        memcpy(small, s.data, s.size);
        small[s.size] = 0;
    } else {
        text = xstrdup(s);
    }
    double parsed = strtod(text, NULL);
    if (text != small)
        free(text);
    if (parsed > 1.7976931348623157e308 || parsed < -1.7976931348623157e308)
        return false; /* does not fit; too small a number becomes 0, the nearest there is */
    *value = parsed;
    return true;
}

bool str_parse_size_bytes(Str s, uint64_t *size_bytes) {
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {
        {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"kB", 1000},      {"KB", 1000},
        {"MB", 1000000},     {"GB", 1000000000},  {"k", 1ull << 10},   {"K", 1ull << 10}, {"m", 1ull << 20},
        {"M", 1ull << 20},   {"g", 1ull << 30},   {"G", 1ull << 30},   {"B", 1},          {"", 1},
    };
    size_t digits = 0;
    while (digits < s.size && s.data[digits] >= '0' && s.data[digits] <= '9')
        digits++;
    Str suffix = str_slice(s.data + digits, s.size - digits);
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!str_equal(suffix, str_from(units[i].suffix)))
            continue;
        uint64_t count;
        if (!parse_digits((Str){s.data, digits}, UINT64_MAX / units[i].factor, &count))
            return false;
        *size_bytes = count * units[i].factor;
        return true;
    }
    return false;
}

/* ---- Text ---- */

/* Room for `more` bytes and the terminating zero. */
static void text_reserve(Text *text, size_t more) {
    ASSERT(more < SIZE_MAX / 2 - text->size);
    size_t needed = text->size + more + 1;
    if (needed <= text->capacity)
        return;
    size_t capacity = text->capacity ? text->capacity * 2 : 64;
    if (capacity < needed)
        capacity = needed;
    text->data = xrealloc(text->data, capacity);
    text->capacity = capacity;
}

void text_append(Text *text, Str bytes) {
    ASSERT(bytes.size == 0 || !text->data || bytes.data + bytes.size <= text->data ||
           bytes.data >= text->data + text->capacity);
    text_reserve(text, bytes.size);
    if (bytes.size)
        memcpy(text->data + text->size, bytes.data, bytes.size);
    text->size += bytes.size;
    text->data[text->size] = 0;
}

void text_append_byte(Text *text, char byte) {
    text_reserve(text, 1);
    text->data[text->size++] = byte;
    text->data[text->size] = 0;
}

void text_appendf(Text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(size >= 0);
    text_reserve(text, (size_t)size);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
    va_end(again);
    text->size += (size_t)size;
}

void text_reset(Text *text) {
    text->size = 0;
    if (text->data)
        text->data[0] = 0;
}

void text_deinit(Text *text) {
    free(text->data);
    *text = (Text){0};
}

/* ---- UTF-8 ---- */

/* The size of the well-formed character that [at, end) begins with, or 0. Unicode 15, table 3-7: the second
 * byte's range excludes overlong forms (e0, f0), surrogates (ed) and what lies above U+10FFFF (f4). */
static size_t utf8_character_size(const unsigned char *at, const unsigned char *end) {
    unsigned lead = *at;
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : (lead & 0xf0) == 0xe0        ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 0;
    unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (size == 0 || (size_t)(end - at) < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool str_is_utf8(Str bytes) {
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.size;
    while (at < end) {
        uint64_t eight;
        if (end - at >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080ull) == 0)) {
            at += 8;
            continue;
        }
        size_t size = utf8_character_size(at, end);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

void text_append_escaped(Text *text, Str bytes) {
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.size;
    while (at < end) {
        size_t size = utf8_character_size(at, end);
        /* U+0080-U+009F, c2 80-c2 9f, are control characters too: a terminal may take U+009B as ESC [. */
        bool is_control = size == 1 ? *at < 0x20 || *at == 0x7f : size == 2 && at[0] == 0xc2 && at[1] < 0xa0;
        if (size && !is_control) {
            text_append(text, str_slice(at, size));
            at += size;
            continue;
        }
        for (size_t i = size ? size : 1; i > 0; i--, at++) {
            if (*at == '\n')
                text_append(text, STR("\\n"));
            else if (*at == '\t')
                text_append(text, STR("\\t"));
            else if (*at == '\r')
                text_append(text, STR("\\r"));
            else
                text_appendf(text, "\\x%02x", *at);
        }
    }
}
