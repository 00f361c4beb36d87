/* bitmap.h - packed bits as Apache Arrow lays them out: bit i is byte i / 8, bit i % 8, least significant
 * first. Sizes are in bits; the bytes behind the last bit's byte are not touched. */
#ifndef LEAT_BASE_BITMAP_H
#define LEAT_BASE_BITMAP_H

#include "base/status.h"

static inline size_t bitmap_size_bytes(size_t bit_count) {
    return (bit_count + 7) / 8;
}
static inline bool bitmap_get(const uint8_t *bits, size_t i) {
    return bits[i >> 3] >> (i & 7) & 1;
}
static inline void bitmap_set(uint8_t *bits, size_t i) {
    bits[i >> 3] = (uint8_t)(bits[i >> 3] | 1u << (i & 7));
}
static inline void bitmap_clear(uint8_t *bits, size_t i) {
    bits[i >> 3] = (uint8_t)(bits[i >> 3] & ~(1u << (i & 7)));
}
static inline void bitmap_put(uint8_t *bits, size_t i, bool value) {
    value ? bitmap_set(bits, i) : bitmap_clear(bits, i);
}

void bitmap_fill(uint8_t *bits, size_t begin, size_t end, bool value); /* [begin, end) */

#endif
