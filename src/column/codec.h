/* codec.h - rows as bytes: for keys and values in state, for DELTA frames and snapshots.
 *
 * Two encodings. *Canonical keys* (D6): equal keys have equal bytes (-0 is 0, one NaN), which is what the key
 * hash is taken of: a single STRING or BINARY column is its bytes; a single BIGINT, TIMESTAMP or DOUBLE
 * column its 8 bytes, little-endian; anything else (several columns, BOOLEAN, nested) a byte 1 and the value,
 * or a byte 0 for null, per column, strings with a 4-byte size before them. A null key of a single column is
 * the key of size KEY_NULL_SIZE without bytes. *Values*: the same per-column form for any number of columns,
 * but doubles keep their bits.
 *
 * Decoding never trusts its bytes: CORRUPT, nothing read past the end.
 */
#ifndef LEAT_COLUMN_CODEC_H
#define LEAT_COLUMN_CODEC_H

#include "column/builder.h"

#define KEY_NULL_SIZE UINT32_MAX

/* Appends columns [begin, end) of the row. */
void codec_encode_value(const Column *columns, uint32_t begin, uint32_t end, uint32_t row, Text *out);
void codec_encode_key(const Column *columns, uint32_t key_count, uint32_t row, Text *out, bool *is_null);

/* Puts the decoded values into columns [begin, end) of the builder's row being written. */
CHECKED Status codec_decode_value(Str bytes, Builder *builder, uint32_t begin, uint32_t end, Error *err);
CHECKED Status codec_decode_key(Str bytes, bool is_null, Builder *builder, uint32_t key_count, Error *err);

/* For people: "('hello', 3)"-like text of an encoded key or value of these columns, as `leat state dump`
 * shows it. */
CHECKED Status codec_format(Str bytes, bool is_key, bool is_null, const Field *fields, uint32_t count,
                            Text *out, Error *err);

#endif
