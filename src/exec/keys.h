/* keys.h - the key columns of a chunk as key tables take them: views of canonical bytes (codec.h), hashes.
 *
 *   - Results stand densely, one for each *selected* row, and are valid until the next read or deinit; views
 *     of a STRING key may be the chunk's own.
 *   - A single STRING or BINARY column is taken as it is, a single column of words (type_is_word) by a
 *     kernel; anything else is encoded row by row.
 *   - Null keys (of a single column) are no views: such rows are marked, and keys_upsert takes a slower way
 *     for the chunk.
 *
 * Zero-initialise. Memory: charged to the budget. Threads: one owner.
 */
#ifndef LEAT_EXEC_KEYS_H
#define LEAT_EXEC_KEYS_H

#include "column/array.h"
#include "column/chunk.h"
#include "state/key_table.h"

typedef struct Keys {
    uint32_t count;
    const View *views;
    const char *const *bases;
    uint64_t *hashes;       /* set by keys_hash, or by the caller */
    const uint8_t *is_null; /* a byte per row; NULL: no null keys */

    /* private */
    const Schema *schema;
    uint32_t key_count;
    bool constant_hash;
    Budget *budget;
    const char *who;
    Array view_array, hash_array, word_array, null_array, base_array;
    Text encoded;
} Keys;

/* The key: the first `key_count` (at least one) columns of `schema`, which is borrowed. `constant_hash` is
 * for hostile runs. */
CHECKED Status keys_init(Keys *keys, const Schema *schema, uint32_t key_count, bool constant_hash,
                         Budget *budget, const char *who, Error *err);
void keys_deinit(Keys *keys);

/* Sets all but the hashes. */
CHECKED Status keys_read(Keys *keys, const Chunk *chunk, Error *err);
void keys_hash(Keys *keys);
/* Finds or inserts the keys that were read and hashed; slots[i] as key_table_upsert_views gives it. */
CHECKED Status keys_upsert(const Keys *keys, KeyTable *table, uint32_t *slots, Error *err);

#endif
