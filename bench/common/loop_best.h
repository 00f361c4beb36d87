/* loop_best.h - between loop.c and its vector parts. */
#ifndef LEAT_BENCH_LOOP_BEST_H
#define LEAT_BENCH_LOOP_BEST_H

#include "base/str.h"

/* A word: its size and up to 12 bytes; or its size, 4 bytes and where it is. */
typedef struct LoopWord {
    uint64_t low, high;
} LoopWord;

typedef struct LoopText {
    const char *at, *end; /* [at, end): to do; whole blocks of 64 bytes */
    const char *start;    /* of the word that `at` is in */
} LoopText;

enum { LOOP_ROOM = 1024, LOOP_INLINE_MAX = 12 };

/* Cuts and hashes up to LOOP_ROOM words. */
typedef uint32_t LoopSplit(LoopText *text, LoopWord *words, uint64_t *hashes);
#if defined(__x86_64__)
LoopSplit loop_split_avx2, loop_split_avx512;
#endif

#define LOOP_MIX_LOW  UINT64_C(0x9e3779b97f4a7c15)
#define LOOP_MIX_HIGH UINT64_C(0xd6e8feb86659fd93)
#define LOOP_MIX_LAST UINT64_C(0xa0761d6478bd642f)

/* Of a word of up to 12 bytes; top bits are best. */
static inline uint64_t loop_hash(LoopWord word) {
    uint64_t mixed = (word.low * LOOP_MIX_LOW) ^ (word.high * LOOP_MIX_HIGH);
    return (mixed ^ mixed >> 32) * LOOP_MIX_LAST;
}

static inline uint64_t loop_load(const char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Of a longer one, by its first and last bytes and those between. */
static inline uint64_t loop_hash_long(const char *data, uint32_t size) {
    uint64_t hash = size * LOOP_MIX_LAST;
    uint32_t i = 0;
    for (; i + 16 < size; i += 16) {
        unsigned __int128 product = (unsigned __int128)(loop_load(data + i) ^ LOOP_MIX_LOW) *
                                    (loop_load(data + i + 8) ^ LOOP_MIX_HIGH ^ hash);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    unsigned __int128 product =
        (unsigned __int128)(loop_load(data + (size < 16 ? 0 : size - 16)) ^ LOOP_MIX_HIGH) *
        (loop_load(data + size - 8) ^ LOOP_MIX_LAST ^ hash);
    hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return hash * LOOP_MIX_LOW;
}

#endif
