/* kernels.h - the loops that touch every byte, over plain arrays, one table per CPU level.
 *
 * Levels: plain (any CPU), avx2, avx512 (F, BW, DQ, VL, VBMI, VBMI2). The best that the machine has is chosen
 * once, at the first call of kernels(); LEAT_CPU=plain|avx2|avx512 asks for a lower one (a higher one than
 * the machine has is ignored with a warning). Every level gives the same results, bit for bit; the tests run
 * at each level the machine has.
 *
 *   - Nothing here allocates, fails, or keeps anything between calls.
 *   - Text pointers have at least 16 readable bytes before the text and 64 behind it (buffer.h).
 *   - Output arrays have room for `room` or `count` elements and are 64-byte aligned where made by the house.
 */
#ifndef LEAT_COLUMN_KERNELS_H
#define LEAT_COLUMN_KERNELS_H

#include "column/view.h"

/* A scan over text that is cut into tokens. Lines end by LF, CR or CRLF; a line is cut at each separator byte
 * by the rule of leat_str_split (n separators give n + 1 tokens). */
typedef struct TextScan {
    const char *base;      /* where the buffer begins: offsets of views count from here */
    uint32_t buffer_index; /* that views of long tokens carry */
    const char *at;        /* next byte to look at */
    const char *end;       /* behind the last byte */
    const char *start;     /* where the token that `at` is in begins; start <= at */
    bool after_cr;         /* the byte before `at` was a CR: a LF here belongs to it */
    uint64_t line_count;   /* lines ended so far */
} TextScan;

enum { SCAN_ROOM_MIN = 64 };

typedef struct Kernels {
    const char *level; /* "plain", "avx2", "avx512" */

    /* Lines as views of bytes: fills at most `room` (at least SCAN_ROOM_MIN) and gives how many; scan->at ==
     * scan->end tells that the text is used up. Stops early when the next block of 64 bytes might not fit. A
     * token that has no end yet is not given: scan_finish. */
    uint32_t (*scan_lines)(TextScan *scan, LeatStr *out, uint32_t room);
    /* Fused: lines cut at `separator` (not CR or LF), as string views. */
    uint32_t (*scan_tokens)(TextScan *scan, char separator, View *out, uint32_t room);

    /* String views of byte ranges. A string that begins in [bases[b], bases[b] + sizes[b]) becomes, when
     * long, a view of buffer b at its offset; the caller sees to it that every long string begins in one. */
    void (*views_from_strs)(const LeatStr *strs, uint32_t count, const char *const *bases,
                            const size_t *sizes, uint32_t base_count, View *out);
    /* 8-byte little-endian keys as views (size 8): what a BIGINT key is in a key table. */
    void (*views_from_i64)(const int64_t *values, uint32_t count, View *out);

    /* XXH3-64, seed 0, of the bytes of each view: bit-identical to hash_bytes(). */
    void (*hash_views)(const View *views, uint32_t count, const char *const *bases, uint64_t *out);

    int64_t (*sum_i64)(const int64_t *values, uint32_t count); /* wraps around */
} Kernels;

const Kernels *kernels(void);
/* For tests and benches: NULL when the machine cannot. */
const Kernels *kernels_at(const char *level);

/* The token at the end of a text without a line ending, and of each further separator part: true when there
 * is one (a text that ends right behind a line ending, or an empty one, has none). Call once when scan->at ==
 * scan->end; `begin` is the first byte of the text. Counts the line. */
bool scan_finish(TextScan *scan, const char *begin, LeatStr *last);

#endif
