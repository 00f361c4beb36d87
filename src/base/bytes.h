/* bytes.h - encoding to and decoding from bytes, for everything that meets the disk.
 *
 * Little-endian, unaligned.
 *
 * Writing appends to a Text (str.h). Reading goes through a Reader that never reads past its end: after the
 * first short read `failed` is set, every further read gives zero or an empty view, and the caller checks
 * once at the end.
 */
#ifndef LEAT_BASE_BYTES_H
#define LEAT_BASE_BYTES_H

#include "base/str.h"

void bytes_put_u8(Text *out, uint8_t value);
void bytes_put_u32(Text *out, uint32_t value);
void bytes_put_u64(Text *out, uint64_t value);
void bytes_put_i64(Text *out, int64_t value);
void bytes_put_varint(Text *out, uint64_t value); /* LEB128, 1-10 bytes */
void bytes_put_str(Text *out, Str s);             /* varint size, bytes */

typedef struct Reader {
    const char *data;
    size_t size;
    size_t offset; /* next byte to read */
    bool failed;
} Reader;

static inline Reader reader_of(Str bytes) {
    return (Reader){bytes.data, bytes.size, 0, false};
}
static inline bool reader_at_end(const Reader *r) {
    return r->offset == r->size || r->failed;
}
uint8_t reader_u8(Reader *r);
uint32_t reader_u32(Reader *r);
uint64_t reader_u64(Reader *r);
int64_t reader_i64(Reader *r);
uint64_t reader_varint(Reader *r); /* a value over 64 bits or over 10 bytes sets `failed` */
Str reader_str(Reader *r);         /* as bytes_put_str wrote it; borrowed from the reader's bytes */
Str reader_bytes(Reader *r, size_t size);

/* CRC-32C (Castagnoli, as in iSCSI RFC 3720 B.4), by CPU instruction where there is one. `seed` is 0 or the
 * CRC of the bytes before. crc32c(0, "123456789") == 0xE3069283. */
uint32_t crc32c(uint32_t seed, const void *data, size_t size);

/* XXH3-64 with seed 0 of the bytes: the key hash of every stored key (D6). */
uint64_t hash_bytes(const void *data, size_t size);

#endif
