/* codec.h - rows as bytes: for keys and values in state, for DELTA frames and snapshots.
 *
 * A *value* of a single column that is a word (type_is_word: TINYINT to BIGINT, FLOAT, DOUBLE, DATE,
 * TIMESTAMP) is just the 8 bytes of that word (which the keyed store keeps in its slots), or no bytes for
 * null. Of any other columns it is, one after the other, a byte 0 for null, or a byte 1 and
 *
 *   BOOLEAN          a byte 0 or 1
 *   words            as many bytes as the type has (1, 2, 4 or 8), little-endian
 *   DECIMAL          16 bytes, little-endian
 *   STRING, BINARY   4 bytes of size, the bytes
 *   ARRAY            4 bytes of count, the elements in this same form, each with its byte
 *   MAP              4 bytes of count, key and value of every entry in this same form
 *   STRUCT           the fields in this same form, each with its byte
 *
 * A *key* (D6) is the same with floating point numbers made canonical (-0 becomes 0, every NaN the same one),
 * so that equal keys have equal bytes; the key hash is taken of them. A key of a single STRING or BINARY
 * column is just its bytes, of a single word just its 8 bytes. Such a key can be null: then it has no bytes
 * and `is_null` tells; its size is KEY_NULL_SIZE where it is stored. Of every other key is_null is false.
 *
 *   I1  Decoding and encoding again gives the same bytes; bytes that no encoding gives are refused.
 *
 * Decoding never trusts its bytes: CORRUPT names the byte, nothing is read past the end. What was put into
 * the builder's row by then is written over by the next row.
 */
#ifndef LEAT_COLUMN_CODEC_H
#define LEAT_COLUMN_CODEC_H

#include "base/bytes.h"
#include "column/builder.h"

#define KEY_NULL_SIZE UINT32_MAX

/* Appends columns [begin, end) of the row. */
void codec_encode_value(const Column *columns, uint32_t begin, uint32_t end, uint32_t row, Text *out);
/* Appends columns [0, key_count) of the row. */
void codec_encode_key(const Column *columns, uint32_t key_count, uint32_t row, Text *out, bool *is_null);

/* The pieces, for what reads and writes these bytes without columns: the word that a key holds for a word; the
 * bytes behind the byte 1. Reading is as Reader does it (bytes.h); what was read is not checked. */
uint64_t codec_key_word(LeatType kind, uint64_t word);
void codec_put_word(LeatType kind, uint64_t word, Text *out);
void codec_put_decimal(LeatDecimal value, Text *out);
uint64_t codec_read_word(Reader *r, LeatType kind);
LeatDecimal codec_read_decimal(Reader *r);

/* Puts the decoded values into columns [begin, end) of the builder's row being written; a key goes into [0,
 * key_count).  CORRUPT, NO_MEMORY. */
CHECKED Status codec_decode_value(Str bytes, Builder *builder, uint32_t begin, uint32_t end, Error *err);
CHECKED Status codec_decode_key(Str bytes, bool is_null, Builder *builder, uint32_t key_count, Error *err);

/* For people: an encoded key or value of these columns as Python shows it, 'hello' for one column, ('hello',
 * 3) for another number of them.  CORRUPT; then *out is unchanged. */
CHECKED Status codec_format(Str bytes, bool is_key, bool is_null, const Field *fields, uint32_t count,
                            Text *out, Error *err);

#endif
