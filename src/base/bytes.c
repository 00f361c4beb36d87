#include "base/bytes.h"

/* The whole of xxHash inline in this file: nothing of it is visible outside, and a program that links Leat
 * does not need the library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written by copying");

uint64_t hash_bytes(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

/* ---- writing ---- */

void bytes_put_u8(Text *out, uint8_t value) {
    text_append_byte(out, (char)value);
}
void bytes_put_u32(Text *out, uint32_t value) {
    text_append(out, str_slice(&value, sizeof value));
}
void bytes_put_u64(Text *out, uint64_t value) {
    text_append(out, str_slice(&value, sizeof value));
}
void bytes_put_i64(Text *out, int64_t value) {
    text_append(out, str_slice(&value, sizeof value));
}

void bytes_put_varint(Text *out, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    text_append(out, str_slice(bytes, size));
}

void bytes_put_str(Text *out, Str s) {
    bytes_put_varint(out, s.size);
    text_append(out, s);
}

/* ---- reading ---- */

Str reader_bytes(Reader *r, size_t size) {
    if (r->failed || size > r->size - r->offset) {
        r->failed = true;
        return STR("");
    }
    Str bytes = {r->data + r->offset, size};
    r->offset += size;
    return size ? bytes : STR("");
}

/* Copies `size` bytes into a value that was zero before, and leaves it zero when there are not that many. */
static void read_value(Reader *r, void *value, size_t size) {
    Str bytes = reader_bytes(r, size);
    memcpy(value, bytes.data, bytes.size);
}

uint8_t reader_u8(Reader *r) {
    uint8_t value = 0;
    read_value(r, &value, sizeof value);
    return value;
}

uint32_t reader_u32(Reader *r) {
    uint32_t value = 0;
    read_value(r, &value, sizeof value);
    return value;
}

uint64_t reader_u64(Reader *r) {
    uint64_t value = 0;
    read_value(r, &value, sizeof value);
    return value;
}

int64_t reader_i64(Reader *r) {
    int64_t value = 0;
    read_value(r, &value, sizeof value);
    return value;
}

uint64_t reader_varint(Reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        if (r->failed)
            return 0;
        if (shift == 63 && byte > 1)
            break; /* bit 64 and above, or an eleventh byte */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    r->failed = true;
    return 0;
}

Str reader_str(Reader *r) {
    uint64_t size = reader_varint(r);
    return reader_bytes(r, size);
}
