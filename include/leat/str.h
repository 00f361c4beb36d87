/* leat/str.h - byte strings as views, and the iterators that make the obvious program the fast one.
 *
 * A LeatStr is a look at bytes that somebody else owns: it is not terminated by a zero byte, may hold any
 * bytes (text is UTF-8 by convention, never checked here), and is valid as long as its owner says. Everything
 * here is inline, allocates nothing and cannot fail.
 */
#ifndef LEAT_STR_H
#define LEAT_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct LeatStr {
    const char *data; /* may be NULL only when size is 0 */
    size_t size;      /* bytes */
} LeatStr;

/* A view of `size` bytes at `data`. (No compound literals in this file: ISO C++ has none.) */
static inline LeatStr leat_str_slice(const char *data, size_t size) {
    LeatStr str;
    str.data = data;
    str.size = size;
    return str;
}

/* A view of a string literal or of a zero-terminated string. */
static inline LeatStr leat_str(const char *text) {
    return leat_str_slice(text, strlen(text));
}

static inline bool leat_str_equal(LeatStr a, LeatStr b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Takes the next part of *rest up to `separator` and moves *rest behind it; false when nothing is left.
 *
 * The rule is that of Python's str.split(separator): n separators give n + 1 parts, so "a  b" gives "a", "",
 * "b", "a " gives "a", "", and an empty text gives one empty part.
 *
 *     LeatStr rest = line, word;
 *     while (leat_str_split(&rest, ' ', &word))
 *         use(word);
 *
 * *rest is spent when its data is NULL; a view of an empty text must therefore have a data pointer, which
 * every LeatStr that Leat hands out has. */
static inline bool leat_str_split(LeatStr *rest, char separator, LeatStr *part);

/* Takes the next line of *rest: ended by LF, CR or CRLF, which is not part of the line. An unterminated last
 * line counts, an empty text has no line (as Java's BufferedReader and Python's splitlines have it). */
static inline bool leat_str_next_line(LeatStr *rest, LeatStr *line);

/* ---- implementation ---- */

/* The first `byte` in [data, end), or end. Words are short, so what counts is how few branches are hard to
 * predict: the rest of less than 16 bytes is looked at by two loads that overlap, not byte by byte. Nothing
 * outside the range is read. */
static inline const char *leat_str_find_byte_(const char *data, const char *end, char byte) {
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi8(byte);
    while (end - data >= 16) {
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)data), wanted));
        if (mask)
            return data + __builtin_ctz(mask);
        data += 16;
    }
    if (end - data >= 8) {
        __m128i first = _mm_loadl_epi64((const __m128i *)data);
        __m128i last = _mm_loadl_epi64((const __m128i *)(end - 8));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_unpacklo_epi64(first, last), wanted));
        unsigned at = (unsigned)__builtin_ctz(mask | 0x10000);
        return at < 8 ? data + at : end - 16 + at;
    }
    if (end - data >= 4) {
        uint32_t first, last;
        memcpy(&first, data, sizeof first);
        memcpy(&last, end - 4, sizeof last);
        __m128i both = _mm_unpacklo_epi32(_mm_cvtsi32_si128((int)first), _mm_cvtsi32_si128((int)last));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(both, wanted)) & 0xff;
        unsigned at = (unsigned)__builtin_ctz(mask | 0x100);
        return at < 4 ? data + at : end - 8 + at;
    }
#endif
    while (data < end && *data != byte)
        data++;
    return data;
}

static inline bool leat_str_split(LeatStr *rest, char separator, LeatStr *part) {
    if (!rest->data)
        return false;
    const char *end = rest->data + rest->size;
    const char *at = leat_str_find_byte_(rest->data, end, separator);
    *part = leat_str_slice(rest->data, (size_t)(at - rest->data));
    *rest = at < end ? leat_str_slice(at + 1, (size_t)(end - at - 1)) : leat_str_slice(NULL, 0);
    return true;
}

static inline bool leat_str_next_line(LeatStr *rest, LeatStr *line) {
    if (rest->size == 0)
        return false;
    const char *end = rest->data + rest->size, *at = rest->data;
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    *line = leat_str_slice(rest->data, (size_t)(at - rest->data));
    if (at < end)
        at += at[0] == '\r' && at + 1 < end && at[1] == '\n' ? 2 : 1;
    *rest = leat_str_slice(at, (size_t)(end - at));
    return true;
}

#endif
