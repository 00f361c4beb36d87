/* levels.h - what the files of the kernel levels share; for src/column/kernels only. */
#ifndef LEAT_COLUMN_KERNELS_LEVELS_H
#define LEAT_COLUMN_KERNELS_LEVELS_H

#include "base/bytes.h"
#include "column/kernels/kernels.h"

extern const Kernels kernels_plain;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512;
#endif

/* Views of text that has the slack of kernels.h around it are made from whole loads, which
 * are masked by the size. */
static inline uint64_t load_u64(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t load_u32(const void *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* XXH3-64 with seed 0, for the sizes that keys have. The reference has a formula each for 1-3, 4-8, 9-16 and
 * 17-128 bytes, and a constant for none. These are its primes, and the words of its default secret as the
 * formulas use them. */
#define XXH3_EMPTY         UINT64_C(0x2d06800538d394c2)
#define XXH3_SECRET_1_3    UINT64_C(0x0000000087275a9b)
#define XXH3_SECRET_4_8    UINT64_C(0xc73ab174c5ecd5a2)
#define XXH3_SECRET_9_LOW  UINT64_C(0x6782737bea4239b9)
#define XXH3_SECRET_9_HIGH UINT64_C(0xaf56bc3b0996523a)
#define XXH3_SECRET_17_0   UINT64_C(0xbe4ba423396cfeb8)
#define XXH3_SECRET_17_1   UINT64_C(0x1cad21f72c81017c)
#define XXH3_SECRET_17_2   UINT64_C(0xdb979083e96dd4de)
#define XXH3_SECRET_17_3   UINT64_C(0x1f67b3b7a4a44072)
#define XXH3_PRIME_17      UINT64_C(0x9e3779b185ebca87)
#define XXH3_PRIME_1_3_A   UINT64_C(0xc2b2ae3d27d4eb4f)
#define XXH3_PRIME_1_3_B   UINT64_C(0x165667b19e3779f9)
#define XXH3_PRIME_4_8     UINT64_C(0x9fb21c651e98df25)
#define XXH3_PRIME_9       UINT64_C(0x165667919e3779f9)

static inline uint64_t multiply_fold_one(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* XXH3-64 of more than 12 bytes. Up to 32 without the branches of the general function. */
static inline uint64_t hash_long(const char *data, uint32_t size) {
    if (size > 32)
        return hash_bytes(data, size);
    uint64_t first = load_u64(data), last = load_u64(data + size - 8), hash;
    if (size <= 16) {
        uint64_t low = first ^ XXH3_SECRET_9_LOW, high = last ^ XXH3_SECRET_9_HIGH;
        hash = size + __builtin_bswap64(low) + high + multiply_fold_one(low, high);
    } else {
        hash = size * XXH3_PRIME_17;
        hash += multiply_fold_one(first ^ XXH3_SECRET_17_0, load_u64(data + 8) ^ XXH3_SECRET_17_1);
        hash += multiply_fold_one(load_u64(data + size - 16) ^ XXH3_SECRET_17_2, last ^ XXH3_SECRET_17_3);
    }
    hash = (hash ^ hash >> 37) * XXH3_PRIME_9;
    return hash ^ hash >> 32;
}

/* Buffer and offset of a long view that begins at `data`; the buffer found last is tried first. False when it
 * begins in none, which the caller of views_from_strs has excluded. */
static inline bool find_base(const char *data, const char *const *bases, const size_t *sizes,
                             uint32_t base_count, uint32_t *hint) {
    for (uint32_t tried = 0, b = *hint; tried < base_count; tried++, b = b + 1 < base_count ? b + 1 : 0) {
        if ((uintptr_t)data - (uintptr_t)bases[b] < sizes[b]) {
            *hint = b;
            return true;
        }
    }
    return false;
}

#endif
