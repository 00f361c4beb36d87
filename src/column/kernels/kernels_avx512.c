/* kernels_avx512.c - kernels for x86-64 with AVX-512 F, BW, DQ, VL, VBMI and VBMI2.
 *
 * The scanner makes four views at a time without leaving registers. The block it is in and the one before it
 * are held, so that every token of up to 64 bytes that ends in the block can be picked from the two by one
 * permutation of bytes:
 *
 *     masks        ends   ..1.....1..1          where tokens end, starts: one behind each
 *     compress     the set bits of both as bytes, side by side: 64 starts, 64 ends
 *     per four     spread each start and size over the 16 bytes of its view, add 0..11, permute, mask by
 *                  the size
 *
 * Compressing is done in a register: the form that stores is microcode on some machines. */
#include "column/kernels/levels.h"
#include "column/kernels/scan_blocks.h"
#include <immintrin.h>

/* ---- text ---- */

/* Numbers in bytes 0..63. */
static inline __m512i bytes_0_to_63(void) {
    return _mm512_set_epi64(0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928, 0x2726252423222120,
                            0x1f1e1d1c1b1a1918, 0x1716151413121110, 0x0f0e0d0c0b0a0908, 0x0706050403020100);
}

static inline __mmask64 first_bits(size_t count) {
    return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX;
}

static inline BlockMasks block_masks(const char *block, bool has_separator, char separator) {
    __m512i bytes = _mm512_loadu_si512(block);
    return (BlockMasks){has_separator ? _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(separator)) : 0,
                        _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\n')),
                        _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\r'))};
}

static inline void text_view(const char *text, uint32_t size, uint32_t buffer, uint32_t offset, View *out) {
    uint32_t kept = size <= VIEW_INLINE_MAX ? size : 4;
    __mmask16 bytes = (__mmask16)((((uint32_t)1 << kept) - 1) << 4);
    __m128i view = _mm_maskz_loadu_epi8(bytes, (const void *)((uintptr_t)text - 4));
    view = _mm_or_si128(view, _mm_cvtsi32_si128((int)size));
    if (UNLIKELY(size > VIEW_INLINE_MAX))
        view = _mm_insert_epi64(view, (int64_t)(buffer | (uint64_t)offset << 32), 1);
    _mm_storeu_si128((__m128i *)out, view);
}

static uint32_t scan_lines(TextScan *scan, LeatStr *out, uint32_t room) {
    return scan_blocks((ScanLevel){block_masks, text_view}, scan, false, 0, out, NULL, room);
}

/* Views first..first+3 of the block: `starts` and `sizes` have a byte per token, starts count from the block
 * before. `origin` has in each view the buffer and the offset of the block before, where a long view has
 * buffer and offset. */
static inline __attribute__((always_inline)) void four_views(__m512i before, __m512i block, __m512i starts,
                                                             __m512i sizes, uint32_t first, bool has_long,
                                                             __m512i origin, View *out) {
    /* Byte b of a view takes byte b - 4 of its token; bytes 0..3 are the size and take none
     * (no size exceeds 254). */
    const __m512i token = _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202,
                                           0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
    const __m512i byte =
        _mm512_broadcast_i32x4(_mm_setr_epi8(-1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    __m512i tokens = _mm512_add_epi8(token, _mm512_set1_epi8((char)first));
    __m512i size = _mm512_permutexvar_epi8(tokens, sizes), start = _mm512_permutexvar_epi8(tokens, starts);
    __mmask64 kept = _mm512_cmplt_epu8_mask(byte, size);
    __m512i views = _mm512_maskz_permutex2var_epi8(kept, before, _mm512_add_epi8(start, byte), block);
    views = _mm512_mask_mov_epi8(views, 0x0001000100010001, size);
    if (has_long) {
        __mmask64 place =
            _mm512_mask_cmpgt_epu8_mask(0xff00ff00ff00ff00, size, _mm512_set1_epi8(VIEW_INLINE_MAX));
        __m512i offset = _mm512_maskz_mov_epi8(0x1000100010001000, start);
        views = _mm512_mask_mov_epi8(views, place, _mm512_add_epi32(origin, offset));
    }
    _mm512_storeu_si512(out, views);
}

static uint32_t scan_tokens(TextScan *scan, char separator, View *out, uint32_t room) {
    const char *at = scan->at, *start = scan->start, *const end = scan->end;
    bool after_cr = scan->after_cr;
    uint64_t line_count = scan->line_count;
    uint32_t count = 0;
    const __m512i numbers = bytes_0_to_63(), separators = _mm512_set1_epi8(separator);
    const __m512i lfs = _mm512_set1_epi8('\n'), crs = _mm512_set1_epi8('\r');
    size_t known = (size_t)(at - start) < 64 ? (size_t)(at - start) : 64;
    __m512i before = _mm512_maskz_loadu_epi8(~first_bits(64 - known), at - 64);
    while (at < end && room - count >= SCAN_ROOM_MIN) {
        size_t left = (size_t)(end - at), size = left < 64 ? left : 64;
        __mmask64 valid = first_bits(size);
        __m512i block = LIKELY(left >= 64) ? _mm512_loadu_si512(at) : _mm512_maskz_loadu_epi8(valid, at);
        uint64_t line_ends = _mm512_mask_cmpeq_epi8_mask(valid, block, lfs);
        uint64_t cr = _mm512_mask_cmpeq_epi8_mask(valid, block, crs);
        uint64_t ends = _mm512_mask_cmpeq_epi8_mask(valid, block, separators);
        uint64_t skipped = 0;
        if (UNLIKELY(cr | after_cr)) {
            skipped = line_ends & (cr << 1 | after_cr);
            after_cr = cr >> (size - 1) & 1;
            line_ends = (line_ends | cr) & ~skipped;
            start += skipped & 1;
        }
        ends |= line_ends;
        line_count += (uint64_t)__builtin_popcountll(line_ends);
        if (LIKELY(ends)) {
            /* One start per end: the token from before, then one behind each end but the last, or behind the
             * LF that belongs to it. */
            uint64_t starts_mask = (ends << 1 & ~skipped) | skipped << 1;
            starts_mask = (starts_mask & ~(skipped & 1) << 1) | 1;
            ptrdiff_t carried = start - at + 64; /* negative: a token of more than 64 bytes */
            __m512i starts = _mm512_maskz_compress_epi8(starts_mask, numbers);
            starts = _mm512_add_epi8(starts, _mm512_set1_epi8(64));
            starts = _mm512_mask_mov_epi8(starts, 1, _mm512_set1_epi8((char)(carried < 0 ? 0 : carried)));
            __m512i token_ends =
                _mm512_add_epi8(_mm512_maskz_compress_epi8(ends, numbers), _mm512_set1_epi8(64));
            __m512i sizes = _mm512_sub_epi8(token_ends, starts);

            uint32_t ended = (uint32_t)__builtin_popcountll(ends);
            View *views = out + count;
            const __m512i none = _mm512_setzero_si512();
            uint64_t is_long =
                _mm512_mask_cmpgt_epu8_mask(first_bits(ended), sizes, _mm512_set1_epi8(VIEW_INLINE_MAX));
            if (LIKELY(!is_long)) {
                /* Text has 8 to 12 words in most blocks: always twelve views, so that there is little to
                 * predict. What is made too much is within the room, and overwritten. */
                four_views(before, block, starts, sizes, 0, false, none, views);
                four_views(before, block, starts, sizes, 4, false, none, views + 4);
                four_views(before, block, starts, sizes, 8, false, none, views + 8);
                for (uint32_t first = 12; first < ended; first += 4)
                    four_views(before, block, starts, sizes, first, false, none, views + first);
            } else {
                __m512i origin = _mm512_broadcast_i32x4(
                    _mm_setr_epi32(0, 0, (int)scan->buffer_index, (int)((uint32_t)(at - scan->base) - 64)));
                four_views(before, block, starts, sizes, 0, true, origin, views);
                for (uint32_t first = 4; first < ended; first += 4)
                    four_views(before, block, starts, sizes, first, true, origin, views + first);
            }
            if (UNLIKELY(carried < 0))
                text_view(start, (uint32_t)(at + __builtin_ctzll(ends) - start), scan->buffer_index,
                          (uint32_t)(start - scan->base), views);
            count += ended;
            start = at + 64 - __builtin_clzll(ends | skipped);
        }
        before = block;
        at += size;
    }
    scan->at = at;
    scan->start = start;
    scan->after_cr = after_cr;
    scan->line_count = line_count;
    return count;
}

/* ---- columns ---- */

/* Masked loads touch no byte that is not asked for, so a string may stand anywhere. */
static void views_from_strs(const LeatStr *strs, uint32_t count, const char *const *bases,
                            const size_t *sizes, uint32_t base_count, View *out) {
    uint32_t base = 0;
    for (uint32_t i = 0; i < count; i++) {
        LeatStr str = strs[i];
        uint32_t offset = 0;
        if (str.size > VIEW_INLINE_MAX && find_base(str.data, bases, sizes, base_count, &base))
            offset = (uint32_t)(str.data - bases[base]);
        text_view(str.data, (uint32_t)str.size, base, offset, &out[i]);
    }
}

static void views_from_i64(const int64_t *values, uint32_t count, View *out) {
    for (uint32_t i = 0; i < count; i++) {
        __m128i view = _mm_set_epi64x((int64_t)((uint64_t)values[i] >> 32),
                                      (int64_t)(sizeof(int64_t) | (uint64_t)values[i] << 32));
        _mm_storeu_si128((__m128i *)&out[i], view);
    }
}

/* ---- hashes ---- */

static inline __m512i all(uint64_t word) {
    return _mm512_set1_epi64((int64_t)word);
}

/* Both halves of eight products of 64 bits, xored. */
static inline __m512i multiply_fold(__m512i a, __m512i b) {
    const __m512i low_half = all(UINT32_MAX);
    __m512i a_high = _mm512_srli_epi64(a, 32), b_high = _mm512_srli_epi64(b, 32);
    __m512i low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a_high, b_high);
    __m512i cross = _mm512_mul_epu32(a_high, b);
    __m512i middle =
        _mm512_add_epi64(_mm512_add_epi64(_mm512_srli_epi64(low, 32), _mm512_mul_epu32(a, b_high)),
                         _mm512_and_si512(cross, low_half));
    high =
        _mm512_add_epi64(_mm512_add_epi64(high, _mm512_srli_epi64(cross, 32)), _mm512_srli_epi64(middle, 32));
    low = _mm512_or_si512(_mm512_slli_epi64(middle, 32), _mm512_and_si512(low, low_half));
    return _mm512_xor_si512(low, high);
}

static inline __m512i xor_shifted(__m512i hash, unsigned shift) {
    return _mm512_xor_si512(hash, _mm512_srli_epi64(hash, shift));
}

/* XXH3-64 of eight views of up to 12 bytes: `first` and `second` are their first and second eight bytes. The
 * formulas of all sizes are computed and the right one is kept, which is cheaper than asking. */
static inline __m512i hash_short(__m512i first, __m512i second) {
    const __m512i byte = all(0xff);
    __m512i size = _mm512_and_si512(first, all(UINT32_MAX)), bits = _mm512_slli_epi64(size, 3);
    /* Bytes 0-7. */
    __m512i word = _mm512_or_si512(_mm512_srli_epi64(first, 32), _mm512_slli_epi64(second, 32));
    __mmask8 over_3 = _mm512_cmpgt_epu64_mask(size, all(3)), over_8 = _mm512_cmpgt_epu64_mask(size, all(8));

    /* 1-3 bytes */
    __m512i half = _mm512_slli_epi64(_mm512_srli_epi64(size, 1), 3);
    __m512i middle = _mm512_and_si512(_mm512_srlv_epi64(word, half), byte);
    __m512i last = _mm512_and_si512(_mm512_srlv_epi64(word, _mm512_sub_epi64(bits, all(8))), byte);
    __m512i a =
        _mm512_or_si512(_mm512_slli_epi64(_mm512_and_si512(word, byte), 16), _mm512_slli_epi64(middle, 24));
    a = _mm512_or_si512(a, _mm512_or_si512(last, _mm512_slli_epi64(size, 8)));
    a = xor_shifted(_mm512_xor_si512(a, all(XXH3_SECRET_1_3)), 33);

    /* 4-8 bytes: the last four above the first four */
    __m512i b = _mm512_and_si512(_mm512_srlv_epi64(word, _mm512_sub_epi64(bits, all(32))), all(UINT32_MAX));
    b = _mm512_xor_si512(_mm512_add_epi64(b, _mm512_slli_epi64(word, 32)), all(XXH3_SECRET_4_8));
    /* b ^ b' ^ b" */
    b = _mm512_ternarylogic_epi64(b, _mm512_rol_epi64(b, 49), _mm512_rol_epi64(b, 24), 0x96);

    /* 9-12 bytes: the first eight and the last eight */
    const __m512i reversed =
        _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    __m512i low = _mm512_xor_si512(word, all(XXH3_SECRET_9_LOW));
    __m512i high = _mm512_shrdv_epi64(word, _mm512_srli_epi64(second, 32), _mm512_sub_epi64(bits, all(64)));
    high = _mm512_xor_si512(high, all(XXH3_SECRET_9_HIGH));
    __m512i c = _mm512_add_epi64(_mm512_add_epi64(size, _mm512_shuffle_epi8(low, reversed)),
                                 _mm512_add_epi64(high, multiply_fold(low, high)));

    /* From here on the formulas differ only in constants, so each row takes those of its size. */
    __m512i mixed =
        _mm512_mullo_epi64(_mm512_mask_mov_epi64(a, over_3, b),
                           _mm512_mask_mov_epi64(all(XXH3_PRIME_1_3_A), over_3, all(XXH3_PRIME_4_8)));
    __m512i shifted = _mm512_srlv_epi64(mixed, _mm512_mask_mov_epi64(all(29), over_3, all(35)));
    mixed = _mm512_xor_si512(mixed, _mm512_mask_add_epi64(shifted, over_3, shifted, size));
    mixed = _mm512_mask_mov_epi64(mixed, over_8, xor_shifted(c, 37));
    __m512i prime = _mm512_mask_mov_epi64(all(XXH3_PRIME_1_3_B), over_3, all(XXH3_PRIME_4_8));
    mixed = _mm512_mullo_epi64(mixed, _mm512_mask_mov_epi64(prime, over_8, all(XXH3_PRIME_9)));
    __m512i by = _mm512_mask_mov_epi64(all(32), over_3 & (__mmask8)~over_8, all(28));
    mixed = _mm512_xor_si512(mixed, _mm512_srlv_epi64(mixed, by));
    return _mm512_mask_mov_epi64(mixed, _mm512_testn_epi64_mask(size, size), all(XXH3_EMPTY));
}

/* Eight rows, all of them views, from two registers of four. */
static inline __attribute__((always_inline)) void hash_eight(__m512i near, __m512i far, const View *views,
                                                             const char *const *bases, uint64_t *out) {
    const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    __m512i first = _mm512_permutex2var_epi64(near, even, far);
    __m512i second = _mm512_permutex2var_epi64(near, odd, far);
    unsigned is_long =
        _mm512_cmpgt_epu64_mask(_mm512_and_si512(first, all(UINT32_MAX)), all(VIEW_INLINE_MAX));
    if (is_long != 0xff)
        _mm512_storeu_si512(out, hash_short(first, second));
    for (; is_long; is_long &= is_long - 1) {
        uint32_t row = (uint32_t)__builtin_ctz(is_long);
        out[row] = hash_long(bases[views[row].buffer] + views[row].offset, views[row].size);
    }
}

/* No masked stores here: they are slow on some machines. */
static void hash_views(const View *views, uint32_t count, const char *const *bases, uint64_t *out) {
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8)
        hash_eight(_mm512_loadu_si512(&views[i]), _mm512_loadu_si512(&views[i + 4]), &views[i], bases,
                   &out[i]);
    if (i < count) {
        uint64_t hashes[8];
        __mmask16 words = (__mmask16)((1u << 2 * (count - i)) - 1);
        __m512i near = _mm512_maskz_loadu_epi64((__mmask8)words, &views[i]);
        __m512i far = _mm512_maskz_loadu_epi64((__mmask8)(words >> 8), (const char *)&views[i] + 64);
        hash_eight(near, far, &views[i], bases, hashes);
        memcpy(&out[i], hashes, (count - i) * sizeof *hashes);
    }
}

static int64_t sum_i64(const int64_t *values, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) /* the compiler makes vectors of it */
        sum += (uint64_t)values[i];
    return (int64_t)sum;
}

const Kernels kernels_avx512 = {
    .level = "avx512",
    .scan_lines = scan_lines,
    .scan_tokens = scan_tokens,
    .views_from_strs = views_from_strs,
    .views_from_i64 = views_from_i64,
    .hash_views = hash_views,
    .sum_i64 = sum_i64,
};
