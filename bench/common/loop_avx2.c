/* loop_avx2.c - the split of the best loop with AVX2: a mask of word ends, then word by word. */
#include "common/loop_best.h"
#include <immintrin.h>

static inline uint64_t ends_of(const char *at) {
    __m256i first = _mm256_loadu_si256((const __m256i *)at),
            second = _mm256_loadu_si256((const __m256i *)(at + 32));
    __m256i blank = _mm256_set1_epi8(' '), lf = _mm256_set1_epi8('\n');
    first = _mm256_or_si256(_mm256_cmpeq_epi8(first, blank), _mm256_cmpeq_epi8(first, lf));
    second = _mm256_or_si256(_mm256_cmpeq_epi8(second, blank), _mm256_cmpeq_epi8(second, lf));
    return (uint32_t)_mm256_movemask_epi8(first) | (uint64_t)(uint32_t)_mm256_movemask_epi8(second) << 32;
}

/* Words come at least eight bytes before the end of what may be read: see loop.c. */
uint32_t loop_split_avx2(LoopText *text, LoopWord *words, uint64_t *hashes) {
    const char *at = text->at, *start = text->start;
    uint32_t count = 0;
    for (; at < text->end && count + 64 <= LOOP_ROOM; at += 64) {
        for (uint64_t ends = ends_of(at); ends; ends &= ends - 1, count++) {
            const char *end = at + __builtin_ctzll(ends);
            uint32_t size = (uint32_t)(end - start);
            uint64_t first = loop_load(start);
            if (__builtin_expect(size <= LOOP_INLINE_MAX, 1)) {
                uint64_t second = _bzhi_u64(loop_load(start + 8), size > 8 ? (size - 8) * 8 : 0);
                first = _bzhi_u64(first, size * 8);
                words[count] = (LoopWord){size | first << 32, first >> 32 | second << 32};
                hashes[count] = loop_hash(words[count]);
            } else {
                words[count] = (LoopWord){size | first << 32, (uint64_t)(uintptr_t)start};
                hashes[count] = loop_hash_long(start, size);
            }
            start = end + 1;
        }
    }
    text->at = at;
    text->start = start;
    return count;
}
