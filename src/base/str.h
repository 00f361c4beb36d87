/* str.h - byte strings inside the house: Str is the public LeatStr under its short name. */
#ifndef LEAT_BASE_STR_H
#define LEAT_BASE_STR_H

#include "leat/str.h"
#include "base/status.h"

typedef LeatStr Str;

#define STR(literal) ((Str){(literal), sizeof(literal) - 1})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).size, (s).data

static inline Str str_from(const char *text) {
    return leat_str(text);
}
static inline Str str_slice(const void *data, size_t size) {
    return (Str){(const char *)data, size};
}
static inline bool str_equal(Str a, Str b) {
    return leat_str_equal(a, b);
}

bool str_starts_with(Str s, Str prefix);
bool str_ends_with(Str s, Str suffix);
int str_compare(Str a, Str b); /* by bytes, shorter first: <0, 0, >0 */
Str str_trim(Str s);           /* without ASCII blanks at both ends */

/* Decimal, optional sign, nothing around it; false when it is not one or does not fit. */
bool str_parse_i64(Str s, int64_t *value);
bool str_parse_f64(Str s, double *value);

/* "128MiB", "64k", "10GB", "4096": KiB, MiB, GiB and a bare k, m, g are binary units, kB, MB, GB decimal. */
bool str_parse_size_bytes(Str s, uint64_t *size_bytes);

/* A growable text or byte buffer that the caller owns. Memory is for messages, plans and frames: running out
 * of it ends the program (style: plans and names abort). Zero-initialise, or text_deinit and use again. */
typedef struct Text {
    char *data;  /* terminated by a zero byte once something was appended; NULL before */
    size_t size; /* without the zero byte */
    size_t capacity;
} Text;

void text_append(Text *text, Str bytes);
void text_append_byte(Text *text, char byte);
void text_appendf(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* As a person can read it on a terminal: printable UTF-8 stays; control bytes and bytes that
 * are not UTF-8 become \n, \t, \x1b. */
void text_append_escaped(Text *text, Str bytes);
void text_reset(Text *text); /* size 0, memory kept */
void text_deinit(Text *text);
static inline Str text_str(const Text *text) {
    return (Str){text->data ? text->data : "", text->size};
}

/* True when `bytes` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). */
bool str_is_utf8(Str bytes);

#endif
