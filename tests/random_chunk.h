/* random_chunk.h - chunks of random types and values for tests, each row with the text that it must show. */
#ifndef LEAT_TESTS_RANDOM_CHUNK_H
#define LEAT_TESTS_RANDOM_CHUNK_H

#include "base/random.h"
#include "column/builder.h"

/* In arena: 1 to 6 columns; with is_nested some are nested. Ends the test program when refused. */
Schema *random_schema(Random *random, Arena *arena, bool is_nested, uint32_t key_count);

/* Puts one row (and ends it): nulls, empty, 12 and 13 byte and long strings, extreme numbers. Appends its
 * text, as chunk_format shows it, to `shown`. */
CHECKED Status random_row(Random *random, Builder *builder, const Schema *schema, Text *shown, Error *err);

#endif
