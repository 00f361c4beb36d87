/* loop_avx512.c - the split of the best loop with AVX-512: words made four at a time in registers. */
#include "common/loop_best.h"
#include <immintrin.h>

static inline void four_words(__m512i before, __m512i block, __m512i starts, __m512i sizes, uint32_t first,
                              LoopWord *out) {
    const __m512i word = _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202,
                                          0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
    const __m512i byte =
        _mm512_broadcast_i32x4(_mm_setr_epi8(-1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    __m512i pick = _mm512_add_epi8(word, _mm512_set1_epi8((char)first));
    __m512i size = _mm512_permutexvar_epi8(pick, sizes);
    __m512i from = _mm512_add_epi8(_mm512_permutexvar_epi8(pick, starts), byte);
    __mmask64 kept = _mm512_cmplt_epu8_mask(byte, size);
    __m512i words = _mm512_maskz_permutex2var_epi8(kept, before, from, block);
    _mm512_storeu_si512(out, _mm512_mask_mov_epi8(words, 0x0001000100010001, size));
}

static LoopWord long_word(const char *data, uint32_t size) {
    return (LoopWord){size | loop_load(data) << 32, (uint64_t)(uintptr_t)data};
}

uint32_t loop_split_avx512(LoopText *text, LoopWord *words, uint64_t *hashes) {
    const char *at = text->at, *start = text->start;
    uint32_t count = 0;
    const __m512i numbers =
        _mm512_set_epi64(0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928, 0x2726252423222120,
                         0x1f1e1d1c1b1a1918, 0x1716151413121110, 0x0f0e0d0c0b0a0908, 0x0706050403020100);
    const __m512i here = _mm512_add_epi8(numbers, _mm512_set1_epi8(64));
    __m512i before = start < at
                         ? _mm512_maskz_loadu_epi8(
                               at - start < 64 ? ~UINT64_C(0) << (64 - (at - start)) : ~UINT64_C(0), at - 64)
                         : _mm512_setzero_si512();
    for (; at < text->end && count + 64 <= LOOP_ROOM; at += 64) {
        __m512i block = _mm512_loadu_si512(at);
        uint64_t ends = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' ')) |
                        _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\n'));
        if (__builtin_expect(ends != 0, 1)) {
            ptrdiff_t carried = start - at + 64;
            __m512i starts = _mm512_maskz_compress_epi8(ends << 1 | 1, here);
            starts = _mm512_mask_mov_epi8(starts, 1, _mm512_set1_epi8((char)carried));
            __m512i sizes = _mm512_sub_epi8(_mm512_maskz_compress_epi8(ends, here), starts);
            uint32_t ended = (uint32_t)__builtin_popcountll(ends);
            LoopWord *out = words + count;
            four_words(before, block, starts, sizes, 0, out);
            four_words(before, block, starts, sizes, 4, out + 4);
            four_words(before, block, starts, sizes, 8, out + 8);
            for (uint32_t first = 12; first < ended; first += 4)
                four_words(before, block, starts, sizes, first, out + first);
            uint64_t is_long = _mm512_cmpgt_epu8_mask(sizes, _mm512_set1_epi8(LOOP_INLINE_MAX)) &
                               (ended < 64 ? (UINT64_C(1) << ended) - 1 : ~UINT64_C(0));
            if (__builtin_expect(is_long != 0 || carried < 0, 0)) {
                const char *word = start;
                for (uint64_t left = ends, i = 0; left; left &= left - 1, i++) {
                    const char *end = at + __builtin_ctzll(left);
                    if (end - word > LOOP_INLINE_MAX)
                        out[i] = long_word(word, (uint32_t)(end - word));
                    word = end + 1;
                }
            }
            count += ended;
            start = at + 64 - __builtin_clzll(ends);
        }
        before = block;
    }
    text->at = at;
    text->start = start;

    const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0),
                  odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    for (uint32_t i = 0; i < count;
         i += 8) { /* the last eight may reach beyond the words, not beyond the room */
        __m512i near = _mm512_loadu_si512(&words[i]), far = _mm512_loadu_si512(&words[i + 4]);
        __m512i low = _mm512_permutex2var_epi64(near, even, far),
                high = _mm512_permutex2var_epi64(near, odd, far);
        __m512i mixed = _mm512_xor_si512(_mm512_mullo_epi64(low, _mm512_set1_epi64((int64_t)LOOP_MIX_LOW)),
                                         _mm512_mullo_epi64(high, _mm512_set1_epi64((int64_t)LOOP_MIX_HIGH)));
        mixed = _mm512_xor_si512(mixed, _mm512_srli_epi64(mixed, 32));
        _mm512_storeu_si512(&hashes[i], _mm512_mullo_epi64(mixed, _mm512_set1_epi64((int64_t)LOOP_MIX_LAST)));
        unsigned is_long = _mm512_cmpgt_epu64_mask(_mm512_and_si512(low, _mm512_set1_epi64(UINT32_MAX)),
                                                   _mm512_set1_epi64(LOOP_INLINE_MAX));
        for (; is_long; is_long &= is_long - 1) {
            uint32_t row = i + (uint32_t)__builtin_ctz(is_long);
            if (row < count)
                hashes[row] =
                    loop_hash_long((const char *)(uintptr_t)words[row].high, (uint32_t)words[row].low);
        }
    }
    return count;
}
