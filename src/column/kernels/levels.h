/* levels.h - what the files of the kernel levels share; for src/column/kernels only. */
#ifndef LEAT_COLUMN_KERNELS_LEVELS_H
#define LEAT_COLUMN_KERNELS_LEVELS_H

#include "column/kernels/kernels.h"

extern const Kernels kernels_plain;

/* XXH3-64, seed 0: the library's own code, inlined in one place (kernels_plain.c). */
uint64_t kernels_hash_bytes(const void *data, size_t size);

/* Views of text that has the slack of kernels.h around it are made from whole loads, which are masked by the
 * size. */
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
