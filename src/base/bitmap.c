#include "base/bitmap.h"

#include <string.h>

static uint64_t load_u64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

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

size_t bitmap_count(const uint8_t *bits, size_t bit_count) {
    size_t count = 0, whole = bit_count / 8, i = 0;
    for (; i + 8 <= whole; i += 8)
        count += (size_t)__builtin_popcountll(load_u64(bits + i));
    for (; i < whole; i++)
        count += (size_t)__builtin_popcount(bits[i]);
    if (bit_count % 8)
        count += (size_t)__builtin_popcount(bits[whole] & bits_below(bit_count % 8));
    return count;
}

void bitmap_and(const uint8_t *a, const uint8_t *b, uint8_t *out, size_t bit_count) {
    for (size_t i = 0; i < bitmap_size_bytes(bit_count); i++)
        out[i] = a[i] & b[i];
}

size_t bitmap_next(const uint8_t *bits, size_t from, size_t bit_count) {
    if (from >= bit_count)
        return bit_count;
    size_t at = from / 8, size_bytes = bitmap_size_bytes(bit_count);
    unsigned first = bits[at] & bits_from(from % 8);
    if (!first) {
        at++;
        while (size_bytes - at >= 8 && load_u64(bits + at) == 0)
            at += 8;
        while (at < size_bytes && bits[at] == 0)
            at++;
        if (at == size_bytes)
            return bit_count;
        first = bits[at];
    }
    size_t found = at * 8 + (size_t)__builtin_ctz(first);
    return found < bit_count ? found : bit_count; /* bits behind the last one may be anything */
}
