/* crc32c.c - CRC-32C three ways: eight tables, the instruction of x86-64, the instruction of arm64.
 *
 * The instruction takes 3 cycles and one may start in every cycle: three streams side by side are three times
 * as fast as one. Their registers are then joined: behind n more bytes a register counts as register * x^(8n)
 * mod P, and the CRC of two streams is the sum (xor) of the shifted first and the second. */
#include "base/crc32c.h"
#include "base/bytes.h"

#ifdef __x86_64__
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

static uint64_t load_u64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* ---- eight tables (Kounavis and Berry 2005, "slicing by 8") ---- */

/* tables[0][b] is the register after byte b; tables[k][b] after byte b and k zero bytes. */
static uint32_t tables[8][256];

/* Before main and its threads: 2,048 entries in some microseconds, 8 KiB that are not in the binary. */
__attribute__((constructor(101))) static void tables_fill(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0); /* P, bit-reflected */
        tables[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t byte = 0; byte < 256; byte++)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 0xff];
    }
}

uint32_t crc32c_plain(uint32_t crc, const uint8_t *data, size_t size) {
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word = load_u64(data) ^ crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= tables[7 - k][word >> 8 * k & 0xff];
    }
    for (; size > 0; data++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *data) & 0xff];
    return crc;
}

/* ---- x86-64 ---- */

#ifdef __x86_64__

/* crc * factor * x^33 mod P, where factor is x^(8n - 33) mod P: the carry-less product of bit-reflected
 * numbers is one bit short, and the instruction multiplies by x^32 while it divides. */
__attribute__((target("sse4.2,pclmul"))) static uint32_t shift_by(uint32_t crc, uint32_t factor) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)factor), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Three streams of `stream` bytes each (a multiple of 8), the last two shifted by `factor_two` and
 * `factor_one` streams. */
__attribute__((target("sse4.2,pclmul"), always_inline)) static inline uint32_t three_streams(
    uint32_t crc, const uint8_t *data, size_t stream, uint32_t factor_one, uint32_t factor_two) {
    uint64_t a = crc, b = 0, c = 0;
    for (const uint8_t *end = data + stream; data < end; data += 8) {
        a = _mm_crc32_u64(a, load_u64(data));
        b = _mm_crc32_u64(b, load_u64(data + stream));
        c = _mm_crc32_u64(c, load_u64(data + 2 * stream));
    }
    return shift_by((uint32_t)a, factor_two) ^ shift_by((uint32_t)b, factor_one) ^ (uint32_t)c;
}

__attribute__((target("sse4.2,pclmul"))) uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *data,
                                                                        size_t size) {
    /* x^(8n - 33) mod P for one and two streams of n bytes. */
    for (; size >= 3 * 2048; data += 3 * 2048, size -= 3 * 2048)
        crc = three_streams(crc, data, 2048, 0xa51b6135, 0x82f89c77);
    for (; size >= 3 * 128; data += 3 * 128, size -= 3 * 128)
        crc = three_streams(crc, data, 128, 0x0d3b6092, 0xb9e02b86);
    uint64_t wide = crc;
    for (; size >= 8; data += 8, size -= 8)
        wide = _mm_crc32_u64(wide, load_u64(data));
    crc = (uint32_t)wide;
    for (; size > 0; data++, size--)
        crc = _mm_crc32_u8(crc, *data);
    return crc;
}

bool crc32c_has_instruction(void) {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

/* ---- arm64 ---- */

#elif defined(__ARM_FEATURE_CRC32)

uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size) {
    for (; size >= 8; data += 8, size -= 8)
        crc = __crc32cd(crc, load_u64(data));
    for (; size > 0; data++, size--)
        crc = __crc32cb(crc, *data);
    return crc;
}

bool crc32c_has_instruction(void) {
    return true;
}

#else

uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size) {
    return crc32c_plain(crc, data, size);
}

bool crc32c_has_instruction(void) {
    return false;
}

#endif

uint32_t crc32c(uint32_t seed, const void *data, size_t size) {
    /* The answer of cpu_supports is a bit test of a word that the start of the program has filled. */
    return ~(crc32c_has_instruction() ? crc32c_by_instruction : crc32c_plain)(~seed, data, size);
}
