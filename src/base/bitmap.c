#include "base/bitmap.h"

#include <string.h>

/* The bits at and above `bit` of a byte; below it. */
static uint8_t bits_from(size_t bit) {
    return (uint8_t)(0xffu << bit);
}
static uint8_t bits_below(size_t bit) {
    return (uint8_t)((1u << bit) - 1);
}

static void put_masked(uint8_t *byte, uint8_t mask, bool value) {
    *byte = (uint8_t)(value ? *byte | mask : *byte & ~mask);
}

void bitmap_fill(uint8_t *bits, size_t begin, size_t end, bool value) {
    ASSERT(begin <= end);
    if (begin == end)
        return;
    size_t first = begin / 8, last = end / 8; /* `last` holds only the bits below end % 8, maybe none */
    if (first == last) {
        put_masked(&bits[first], bits_from(begin % 8) & bits_below(end % 8), value);
        return;
    }
    put_masked(&bits[first], bits_from(begin % 8), value);
    memset(bits + first + 1, value ? 0xff : 0, last - first - 1);
    if (end % 8)
        put_masked(&bits[last], bits_below(end % 8), value);
}
