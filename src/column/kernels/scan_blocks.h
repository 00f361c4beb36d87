/* scan_blocks.h - the scanners of the plain and the AVX2 level: 64 bytes to masks, then a token per set bit.
 *
 * CRLF is one line ending: a LF right behind a CR (in the block, or remembered in after_cr) ends nothing, and
 * the next token begins behind it. Such LFs are the mask `skipped`. */
#ifndef LEAT_COLUMN_KERNELS_SCAN_BLOCKS_H
#define LEAT_COLUMN_KERNELS_SCAN_BLOCKS_H

#include "column/kernels/kernels.h"

typedef struct BlockMasks {
    uint64_t separator, lf, cr; /* bit i: byte i of the block is one */
} BlockMasks;

/* What a level brings: 64 bytes to masks, and text (with slack around it) to a view. Constants where
 * scan_blocks is called, so that they are inlined. */
typedef struct ScanLevel {
    BlockMasks (*masks)(const char *block, bool has_separator, char separator);
    void (*view)(const char *text, uint32_t size, uint32_t buffer, uint32_t offset, View *out);
} ScanLevel;

/* Exactly one of lines and views is given. */
static inline __attribute__((always_inline)) uint32_t scan_blocks(ScanLevel level, TextScan *scan,
                                                                  bool has_separator, char separator,
                                                                  LeatStr *lines, View *views,
                                                                  uint32_t room) {
    const char *at = scan->at, *start = scan->start, *const end = scan->end;
    bool after_cr = scan->after_cr;
    uint64_t line_count = scan->line_count;
    uint32_t count = 0;
    while (at < end && room - count >= SCAN_ROOM_MIN) {
        size_t size = (size_t)(end - at) < 64 ? (size_t)(end - at) : 64;
        BlockMasks masks;
        if (LIKELY(size == 64)) {
            masks = level.masks(at, has_separator, separator);
        } else {
            char last[64] = {0};
            uint64_t valid = ((uint64_t)1 << size) - 1;
            memcpy(last, at, size);
            masks = level.masks(last, has_separator, separator);
            masks.separator &= valid;
            masks.lf &= valid;
            masks.cr &= valid;
        }
        uint64_t skipped = 0;
        if (UNLIKELY(masks.cr | after_cr)) {
            skipped = masks.lf & (masks.cr << 1 | after_cr);
            after_cr = masks.cr >> (size - 1) & 1;
            start += skipped & 1;
        }
        uint64_t line_ends = (masks.lf | masks.cr) & ~skipped;
        uint64_t ends = has_separator ? line_ends | masks.separator : line_ends;
        line_count += (uint64_t)__builtin_popcountll(line_ends);
        while (ends) {
            uint32_t bit = (uint32_t)__builtin_ctzll(ends);
            const char *token_end = at + bit;
            if (views)
                level.view(start, (uint32_t)(token_end - start), scan->buffer_index,
                           (uint32_t)(start - scan->base), &views[count++]);
            else
                lines[count++] = (LeatStr){start, (size_t)(token_end - start)};
            start = token_end + 1 + (skipped >> bit >> 1 & 1);
            ends &= ends - 1;
        }
        at += size;
    }
    scan->at = at;
    scan->start = start;
    scan->after_cr = after_cr;
    scan->line_count = line_count;
    return count;
}

#endif
