/* kernels_plain.c - kernels without vector instructions: what every machine has, and what the other levels
 * are compared with. Little-endian. */
#include "column/kernels/levels.h"
#include "column/kernels/scan_blocks.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- text ---- */

#define EVERY_BYTE(byte) (0x0101010101010101u * (uint64_t)(uint8_t)(byte))

/* Bit i: byte i of the word is zero. Exact: no borrow runs from one byte into the next. The multiplication
 * gathers the eight top bits in its top byte. */
static inline uint64_t zero_bytes(uint64_t word) {
    uint64_t low = EVERY_BYTE(0x7f);
    uint64_t zeros = ~(((word & low) + low) | word | low);
    return (zeros >> 7) * 0x0102040810204080u >> 56;
}

static inline BlockMasks block_masks(const char *block, bool has_separator, char separator) {
    BlockMasks masks = {0};
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t word = load_u64(block + i);
        if (has_separator)
            masks.separator |= zero_bytes(word ^ EVERY_BYTE(separator)) << i;
        masks.lf |= zero_bytes(word ^ EVERY_BYTE('\n')) << i;
        masks.cr |= zero_bytes(word ^ EVERY_BYTE('\r')) << i;
    }
    return masks;
}

static inline void text_view(const char *text, uint32_t size, uint32_t buffer, uint32_t offset, View *out) {
    uint64_t words[2];
    if (size <= VIEW_INLINE_MAX) {
        uint64_t low = load_u64(text), high = load_u32(text + 8);
        low &= size >= 8 ? UINT64_MAX : ((uint64_t)1 << size * 8) - 1;
        high &= size <= 8 ? 0 : UINT32_MAX >> (96 - size * 8);
        words[0] = size | low << 32;
        words[1] = low >> 32 | high << 32;
    } else {
        words[0] = size | (uint64_t)load_u32(text) << 32;
        words[1] = buffer | (uint64_t)offset << 32;
    }
    memcpy(out, words, sizeof words);
}

static uint32_t scan_lines(TextScan *scan, LeatStr *out, uint32_t room) {
    return scan_blocks((ScanLevel){block_masks, text_view}, scan, false, 0, out, NULL, room);
}

static uint32_t scan_tokens(TextScan *scan, char separator, View *out, uint32_t room) {
    return scan_blocks((ScanLevel){block_masks, text_view}, scan, true, separator, NULL, out, room);
}

/* ---- columns ---- */

/* Strings of functions may stand anywhere, so nothing is read around them. */
static void views_from_strs(const LeatStr *strs, uint32_t count, const char *const *bases,
                            const size_t *sizes, uint32_t base_count, View *out) {
    uint32_t base = 0;
    for (uint32_t i = 0; i < count; i++) {
        LeatStr str = strs[i];
        uint32_t offset = 0;
        if (str.size > VIEW_INLINE_MAX && find_base(str.data, bases, sizes, base_count, &base))
            offset = (uint32_t)(str.data - bases[base]);
        out[i] = view_of(str, base, offset);
    }
}

static void views_from_i64(const int64_t *values, uint32_t count, View *out) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)values[i], words[2] = {sizeof value | value << 32, value >> 32};
        memcpy(&out[i], words, sizeof words);
    }
}

static void hash_views(const View *views, uint32_t count, const char *const *bases, uint64_t *out) {
    for (uint32_t i = 0; i < count; i++) {
        Str bytes = view_str(&views[i], bases);
        out[i] = XXH3_64bits(bytes.data, bytes.size);
    }
}

static int64_t sum_i64(const int64_t *values, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (uint64_t)values[i];
    return (int64_t)sum;
}

const Kernels kernels_plain = {
    .level = "plain",
    .scan_lines = scan_lines,
    .scan_tokens = scan_tokens,
    .views_from_strs = views_from_strs,
    .views_from_i64 = views_from_i64,
    .hash_views = hash_views,
    .sum_i64 = sum_i64,
};
