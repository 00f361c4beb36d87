/* crc32c.h - the ways crc32c() of bytes.h can be computed. All give the same; this header is for crc32c.c and
 * its test, which compares them. `crc` is the inner register: not inverted before or after. */
#ifndef LEAT_BASE_CRC32C_H
#define LEAT_BASE_CRC32C_H

#include "base/status.h"

uint32_t crc32c_plain(uint32_t crc, const uint8_t *data, size_t size); /* eight tables, 8 bytes at a time */

/* By CPU instruction; crc32c_has_instruction() says whether this machine may call it. */
bool crc32c_has_instruction(void);
uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size);

#endif
