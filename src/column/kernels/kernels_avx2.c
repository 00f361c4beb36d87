/* kernels_avx2.c - kernels for x86-64 with AVX2 and BMI2. */
#include "column/kernels/levels.h"
#include "column/kernels/scan_blocks.h"
#include <immintrin.h>

/* ---- text ---- */

static inline uint64_t equal_bytes(__m256i first, __m256i second, char byte) {
    __m256i wanted = _mm256_set1_epi8(byte);
    uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(first, wanted));
    uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(second, wanted));
    return low | (uint64_t)high << 32;
}

static inline BlockMasks block_masks(const char *block, bool has_separator, char separator) {
    __m256i first = _mm256_loadu_si256((const __m256i *)block);
    __m256i second = _mm256_loadu_si256((const __m256i *)(block + 32));
    return (BlockMasks){has_separator ? equal_bytes(first, second, separator) : 0,
                        equal_bytes(first, second, '\n'), equal_bytes(first, second, '\r')};
}

/* Sixteen bytes from four before the text: the text then stands where a view has it. What is kept of it: a
 * short text, or the prefix of a long one. */
static const int8_t view_keeps[VIEW_INLINE_MAX + 2][16] __attribute__((aligned(16))) = {
    {0, 0, 0, 0},
    {0, 0, 0, 0, -1},
    {0, 0, 0, 0, -1, -1},
    {0, 0, 0, 0, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
    {0, 0, 0, 0, -1, -1, -1, -1},
};

static inline void text_view(const char *text, uint32_t size, uint32_t buffer, uint32_t offset, View *out) {
    uint32_t row = size <= VIEW_INLINE_MAX ? size : VIEW_INLINE_MAX + 1;
    __m128i keep = _mm_load_si128((const __m128i *)view_keeps[row]);
    __m128i bytes = _mm_and_si128(_mm_loadu_si128((const __m128i *)(text - 4)), keep);
    bytes = _mm_or_si128(bytes, _mm_cvtsi32_si128((int)size));
    if (UNLIKELY(size > VIEW_INLINE_MAX))
        bytes = _mm_insert_epi64(bytes, (int64_t)(buffer | (uint64_t)offset << 32), 1);
    _mm_storeu_si128((__m128i *)out, bytes);
}

static uint32_t scan_lines(TextScan *scan, LeatStr *out, uint32_t room) {
    return scan_blocks((ScanLevel){block_masks, text_view}, scan, false, 0, out, NULL, room);
}

static uint32_t scan_tokens(TextScan *scan, char separator, View *out, uint32_t room) {
    return scan_blocks((ScanLevel){block_masks, text_view}, scan, true, separator, NULL, out, room);
}

/* ---- columns ---- */

/* A string may stand anywhere, so nothing is read around it. */
static inline View view_of_str(LeatStr str, uint32_t buffer, uint32_t offset) {
    uint32_t size = (uint32_t)str.size;
    uint64_t low, high = 0;
    if (UNLIKELY(size > VIEW_INLINE_MAX)) {
        low = load_u32(str.data);
        high = buffer | (uint64_t)offset << 32;
    } else if (size >= 8) {
        uint64_t first = load_u64(str.data);
        low = (uint32_t)first;
        high = first >> 32 | (uint64_t)_bextr_u64(load_u32(str.data + size - 4), (12 - size) * 8, 32) << 32;
    } else if (size >= 4) {
        uint64_t last = load_u32(str.data + size - 4);
        low = load_u32(str.data);
        high = last >> (8 - size) * 8;
    } else {
        View view = view_of(str, 0, 0);
        return view;
    }
    View view;
    memcpy(&view, (uint64_t[]){size | low << 32, high}, sizeof view);
    return view;
}

static void views_from_strs(const LeatStr *strs, uint32_t count, const char *const *bases,
                            const size_t *sizes, uint32_t base_count, View *out) {
    uint32_t base = 0;
    for (uint32_t i = 0; i < count; i++) {
        LeatStr str = strs[i];
        uint32_t offset = 0;
        if (str.size > VIEW_INLINE_MAX && find_base(str.data, bases, sizes, base_count, &base))
            offset = (uint32_t)(str.data - bases[base]);
        out[i] = view_of_str(str, base, offset);
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

static inline __m256i all(uint64_t word) {
    return _mm256_set1_epi64x((int64_t)word);
}

/* Both halves of four products of 64 bits, xored. */
static inline __m256i multiply_fold(__m256i a, __m256i b) {
    const __m256i low_half = all(UINT32_MAX);
    __m256i a_high = _mm256_srli_epi64(a, 32), b_high = _mm256_srli_epi64(b, 32);
    __m256i low = _mm256_mul_epu32(a, b), high = _mm256_mul_epu32(a_high, b_high);
    __m256i cross = _mm256_mul_epu32(a_high, b);
    __m256i middle =
        _mm256_add_epi64(_mm256_add_epi64(_mm256_srli_epi64(low, 32), _mm256_mul_epu32(a, b_high)),
                         _mm256_and_si256(cross, low_half));
    high =
        _mm256_add_epi64(_mm256_add_epi64(high, _mm256_srli_epi64(cross, 32)), _mm256_srli_epi64(middle, 32));
    low = _mm256_or_si256(_mm256_slli_epi64(middle, 32), _mm256_and_si256(low, low_half));
    return _mm256_xor_si256(low, high);
}

/* The low half of four products of 64 bits. */
static inline __m256i multiply(__m256i a, uint64_t b) {
    __m256i low = _mm256_mul_epu32(a, all(b));
    __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), all(b)),
                                     _mm256_mul_epu32(a, all(b >> 32)));
    return _mm256_add_epi64(low, _mm256_slli_epi64(cross, 32));
}

static inline __m256i xor_shifted(__m256i hash, int shift) {
    return _mm256_xor_si256(hash, _mm256_srli_epi64(hash, shift));
}

static inline __m256i rotated(__m256i word, int left) {
    return _mm256_or_si256(_mm256_slli_epi64(word, left), _mm256_srli_epi64(word, 64 - left));
}

/* XXH3-64 of four views of up to 12 bytes: `first` and `second` are their first and second eight bytes. The
 * formulas of all sizes are computed and the right one is kept, which is cheaper than asking. */
static inline __m256i hash_short(__m256i first, __m256i second) {
    const __m256i byte = all(0xff);
    __m256i size = _mm256_and_si256(first, all(UINT32_MAX));
    __m256i bits = _mm256_slli_epi64(size, 3);
    /* Bytes 0-7. */
    __m256i word = _mm256_or_si256(_mm256_srli_epi64(first, 32), _mm256_slli_epi64(second, 32));

    /* 1-3 bytes */
    __m256i middle =
        _mm256_and_si256(_mm256_srlv_epi64(word, _mm256_slli_epi64(_mm256_srli_epi64(size, 1), 3)), byte);
    __m256i last = _mm256_and_si256(_mm256_srlv_epi64(word, _mm256_sub_epi64(bits, all(8))), byte);
    __m256i a =
        _mm256_or_si256(_mm256_slli_epi64(_mm256_and_si256(word, byte), 16), _mm256_slli_epi64(middle, 24));
    a = _mm256_or_si256(a, _mm256_or_si256(last, _mm256_slli_epi64(size, 8)));
    a = _mm256_xor_si256(a, all(XXH3_SECRET_1_3));
    a = multiply(xor_shifted(a, 33), XXH3_PRIME_1_3_A);
    a = multiply(xor_shifted(a, 29), XXH3_PRIME_1_3_B);
    a = xor_shifted(a, 32);
    a = _mm256_blendv_epi8(a, all(XXH3_EMPTY), _mm256_cmpeq_epi64(size, _mm256_setzero_si256()));

    /* 4-8 bytes: the last four above the first four */
    __m256i b = _mm256_and_si256(_mm256_srlv_epi64(word, _mm256_sub_epi64(bits, all(32))), all(UINT32_MAX));
    b = _mm256_add_epi64(b, _mm256_slli_epi64(word, 32));
    b = _mm256_xor_si256(b, all(XXH3_SECRET_4_8));
    b = _mm256_xor_si256(b, _mm256_xor_si256(rotated(b, 49), rotated(b, 24)));
    b = multiply(b, XXH3_PRIME_4_8);
    b = _mm256_xor_si256(b, _mm256_add_epi64(_mm256_srli_epi64(b, 35), size));
    b = multiply(b, XXH3_PRIME_4_8);
    b = xor_shifted(b, 28);

    /* 9-12 bytes: the first eight and the last eight. A shift by 64 or more gives zero. */
    const __m256i reversed = _mm256_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5,
                                              4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
    __m256i low = _mm256_xor_si256(word, all(XXH3_SECRET_9_LOW));
    __m256i high =
        _mm256_or_si256(_mm256_srlv_epi64(word, _mm256_sub_epi64(bits, all(64))),
                        _mm256_sllv_epi64(_mm256_srli_epi64(second, 32), _mm256_sub_epi64(all(128), bits)));
    high = _mm256_xor_si256(high, all(XXH3_SECRET_9_HIGH));
    __m256i c = _mm256_add_epi64(_mm256_add_epi64(size, _mm256_shuffle_epi8(low, reversed)),
                                 _mm256_add_epi64(high, multiply_fold(low, high)));
    c = multiply(xor_shifted(c, 37), XXH3_PRIME_9);
    c = xor_shifted(c, 32);

    return _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(size, all(3))), c,
                              _mm256_cmpgt_epi64(size, all(8)));
}

static void hash_views(const View *views, uint32_t count, const char *const *bases, uint64_t *out) {
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i near = _mm256_loadu_si256((const __m256i *)&views[i]);
        __m256i far = _mm256_loadu_si256((const __m256i *)&views[i + 2]);
        /* Rows 0 2 1 3: put back in order at the end. */
        __m256i first = _mm256_unpacklo_epi64(near, far), second = _mm256_unpackhi_epi64(near, far);
        __m256i long_rows =
            _mm256_cmpgt_epi64(_mm256_and_si256(first, all(UINT32_MAX)), all(VIEW_INLINE_MAX));
        unsigned is_long =
            (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_permute4x64_epi64(long_rows, 0xd8)));
        if (is_long != 0xf)
            _mm256_storeu_si256((__m256i *)&out[i],
                                _mm256_permute4x64_epi64(hash_short(first, second), 0xd8));
        for (; is_long; is_long &= is_long - 1) {
            const View *view = &views[i + (uint32_t)__builtin_ctz(is_long)];
            out[view - views] = hash_long(bases[view->buffer] + view->offset, view->size);
        }
    }
    for (; i < count; i++) {
        Str bytes = view_str(&views[i], bases);
        out[i] = hash_bytes(bytes.data, bytes.size);
    }
}

static int64_t sum_i64(const int64_t *values, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) /* the compiler makes vectors of it */
        sum += (uint64_t)values[i];
    return (int64_t)sum;
}

const Kernels kernels_avx2 = {
    .level = "avx2",
    .scan_lines = scan_lines,
    .scan_tokens = scan_tokens,
    .views_from_strs = views_from_strs,
    .views_from_i64 = views_from_i64,
    .hash_views = hash_views,
    .sum_i64 = sum_i64,
};
