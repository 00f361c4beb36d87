/* array.h - memory for column data: 64-byte aligned, charged to a budget, zeroed where it is new, with 64
 * readable and writable bytes behind it, so that kernels may load and store whole vectors at its end.
 *
 * Zero-initialise. Threads: one owner.
 */
#ifndef LEAT_COLUMN_ARRAY_H
#define LEAT_COLUMN_ARRAY_H

#include "base/memory.h"

enum { ARRAY_ALIGN = 64 };

typedef struct Array {
    void *data;
    size_t size_bytes; /* usable */
    void *block;       /* what was allocated */
    size_t block_size;
} Array;

/* At least `size_bytes`, of which the first `used_bytes` keep what they hold. On failure nothing
 * has changed. NO_MEMORY. */
CHECKED static inline Status array_reserve(Array *array, size_t used_bytes, size_t size_bytes, Budget *budget,
                                           const char *who, Error *err) {
    if (array->data && size_bytes <= array->size_bytes)
        return STATUS_OK;
    Array grown = {.size_bytes = size_bytes, .block_size = size_bytes + 2 * ARRAY_ALIGN};
    TRY(budget_alloc_zeroed(budget, grown.block_size, who, &grown.block, err));
    grown.data = (void *)(((uintptr_t)grown.block + ARRAY_ALIGN - 1) & ~(uintptr_t)(ARRAY_ALIGN - 1));
    if (used_bytes)
        memcpy(grown.data, array->data, used_bytes);
    budget_free(budget, array->block, array->block_size);
    *array = grown;
    return STATUS_OK;
}

static inline void array_deinit(Array *array, Budget *budget) {
    budget_free(budget, array->block, array->block_size);
    *array = (Array){0};
}

#endif
