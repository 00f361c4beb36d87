/* key_table.h - the hash table under all keyed work: partial aggregates, groups of a batch, state.
 *
 * A map from key bytes (canonical, codec.h) with their hash to one 64-bit value: a number, or a pointer that
 * the owner of the table understands. Open addressing with linear probing; a key's home slot is given by
 * where its hash stands in the table's range of hashes; 32-byte slots; keys of up to 12 bytes stand in the
 * slot, longer ones in the table's arena. Measured constants: load at most 1/2 while it grows by inserts
 * (13/16 when it is dense), huge pages from 2 MiB, a prefetch distance of 32 in the batched calls.
 *
 *   I1  A key stands at or behind its home slot, and no slot between the two is empty.
 *   I2  After key_table_order() slots ascend by (hash, size, key bytes): iteration order is the same for the
 *       same contents, whatever the order of inserts was; a range of hashes is a contiguous range of slots.
 *   I3  Inserts keep the slots where they are until the table grows. key_table_reserve avoids that, unless
 *       so many keys share the highest hashes that the slots behind the last home run out: then slots move,
 *       but keep their index.
 *   I4  The last slot is empty: a probe needs no wrap-around.
 *
 *   I5  Every hash is in the table's range: homes are spread over it, so that a table of one partition has
 *       its keys everywhere, not crowded into the homes of that partition.
 *
 * A bad hash (every key the same) costs time, never a wrong answer.
 *
 * The one trap: a table that is filled in hash order (merging another table, rows of an operation by key) and
 * is sized for the keys that are there has them all in the first slots, and each insert walks over most of
 * them: quadratic. A growing table notices the crowd and grows to what its density foretells; who knows how
 * many keys will come says so first: key_table_reserve().
 *
 * Memory   charged to options.budget; over budget is NO_MEMORY and changes nothing.
 * Threads  one owner; concurrent readers when nobody writes (iteration by ranges after key_table_order()).
 */
#ifndef LEAT_STATE_KEY_TABLE_H
#define LEAT_STATE_KEY_TABLE_H

#include "base/memory.h"
#include "column/view.h"

/* A key inside a table. Bytes behind a short key are zero. */
typedef struct Key {
    uint32_t size; /* bytes; KEY_NULL_SIZE: the null key */
    union {
        char inlined[VIEW_INLINE_MAX];
        struct {
            char prefix[4];
            const char *data;
        } __attribute__((packed));
    };
} Key;

typedef struct KeySlot {
    Key key;
    uint64_t hash; /* KEY_SLOT_EMPTY: no key here, and every byte of the slot is zero */
    uint64_t value;
} KeySlot;

_Static_assert(sizeof(KeySlot) == 32, "measured: two slots a cache line");

/* Fresh memory is an empty table. A hash that is this value is stored as 1 (its group stays the same); calls
 * take either. */
#define KEY_SLOT_EMPTY 0

typedef struct KeyTable KeyTable;

typedef struct KeyTableOptions {
    uint64_t capacity; /* keys expected, as by key_table_reserve(); 0: small */
    /* I5: [hash_begin, hash_end), at least one of 256 parts of all hashes; hash_end 0: to the top. */
    uint64_t hash_begin, hash_end;
    /* For what stays and is large: 39 to 48 bytes a key instead of 64 to 128, and a quarter more time for a
     * key that is looked for. Grows by steps of a fifth. */
    bool is_dense;
    Budget *budget;  /* borrowed; may be NULL */
    const char *who; /* static text for refusals */
} KeyTableOptions;

/* The caller owns *out.  NO_MEMORY. */
CHECKED Status key_table_create(KeyTableOptions options, KeyTable **out, Error *err);
void key_table_destroy(KeyTable *table); /* NULL is allowed */
/* No keys; memory kept up to what the last contents needed. */
void key_table_clear(KeyTable *table);
/* Gives a table without keys another range (I5). */
void key_table_set_range(KeyTable *table, uint64_t hash_begin, uint64_t hash_end);
/* Room for `key_count` keys in all, those that are there among them, at a load of up to 5/8 (10 million in 16
 * Mi slots), 13/16 when it is dense. Never shrinks.  NO_MEMORY: nothing has changed. */
CHECKED Status key_table_reserve(KeyTable *table, uint64_t key_count, Error *err);
/* Room for `more` keys beside those that are there. Grows by a whole step at least, so that asking for a few
 * more again and again costs what inserting them does. */
CHECKED Status key_table_reserve_more(KeyTable *table, uint64_t more, Error *err);

uint64_t key_table_count(const KeyTable *table);
uint64_t key_table_size_bytes(const KeyTable *table); /* slots and key bytes */

/* A key over bytes the caller owns (not copied), or over a view. KEY of the null key: key_null(). */
Key key_from_str(Str bytes);
Key key_from_view(const View *view, const char *const *bases);
Key key_null(void);
/* Borrows from *key when it is short. Empty for the null key. */
Str key_str(const Key *key);
/* XXH3-64 of the bytes; the null key has a hash of its own. */
uint64_t key_hash(const Key *key);
/* The hash of every key in hostile runs: in the middle, so that there are empty partitions on both sides. */
#define KEY_HASH_CONSTANT UINT64_C(0x7777777777777777)

/* NULL: no such key. The slot is borrowed until the table grows, is ordered, cleared or removed from. */
KeySlot *key_table_find(const KeyTable *table, const Key *key, uint64_t hash);
/* The next slot of a key with this hash, in no order; `after` NULL: the first. NULL: there is no other. */
KeySlot *key_table_next_of_hash(const KeyTable *table, uint64_t hash, KeySlot *after);
/* Finds or inserts (value 0, key bytes copied). *slot as with find; *is_new may be NULL.  NO_MEMORY. */
CHECKED Status key_table_upsert(KeyTable *table, const Key *key, uint64_t hash, KeySlot **slot, bool *is_new,
                                Error *err);
/* Moves later keys of the run back (an ordered table stays in order). Bytes of removed long keys stay in the
 * arena until they are more than those of the keys that are left, and a later insert compacts it: that counts
 * as growing. */
void key_table_remove(KeyTable *table, KeySlot *slot);

/* Batched find-or-insert of views, with prefetch: slots[i] is where key i stands, by index into
 * key_table_slots(). Indices stay right for the whole call and after it until the table grows again.
 * NO_MEMORY: nothing has changed. */
CHECKED Status key_table_upsert_views(KeyTable *table, const View *views, const char *const *bases,
                                      const uint64_t *hashes, uint32_t count, uint32_t *slots, Error *err);
/* The hot loop of count and integer sum: value += values[i] (or `constant` for every row when values is NULL;
 * wraps around) for each key, inserting at 0. Order does not matter to the result. */
CHECKED Status key_table_add_i64(KeyTable *table, const View *views, const char *const *bases,
                                 const uint64_t *hashes, uint32_t count, const int64_t *values,
                                 int64_t constant, Error *err);

/* Establishes I2. Cheap when nothing was inserted since. */
void key_table_order(KeyTable *table);
/* Establishes I2 for the hashes of a range: takes as long as the range is large, not the table. */
void key_table_order_range(KeyTable *table, uint64_t hash_begin, uint64_t hash_end);
/* Appends a key greater than all before, in I2 order, to a table that has room (key_table_reserve): no
 * compare, no probe. For restoring a snapshot. INVALID: not in order. NO_MEMORY: for long key bytes. */
CHECKED Status key_table_append(KeyTable *table, const Key *key, uint64_t hash, uint64_t value, Error *err);

/* All slots, empty ones among them: [0, key_table_slot_count). */
KeySlot *key_table_slots(const KeyTable *table);
uint64_t key_table_slot_count(const KeyTable *table);

/* The occupied slots with hash_begin <= hash and, unless hash_end is 0, hash < hash_end, in order; needs
 * key_table_order(), or key_table_order_range() of the same range. for (i = key_table_first(...); (slot = key_table_next(t, &i, hash_end)); ) */
uint64_t key_table_first(const KeyTable *table, uint64_t hash_begin);
KeySlot *key_table_next(const KeyTable *table, uint64_t *cursor, uint64_t hash_end);

/* Checks I1, I3, I4 (and I2 when ordered); aborts with a message. For tests. */
void key_table_verify(const KeyTable *table);

enum { KEY_GROUP_COUNT = 256 };

/* The first hash of partition `index` of `count` (count <= 256): partitions own contiguous ranges of key
 * groups. The group of a hash is its top 8 bits. key_partition_begin(count, count) is 0, which reads as "no
 * end". */
uint64_t key_partition_begin(uint32_t index, uint32_t count);
uint32_t key_partition_of(uint64_t hash, uint32_t count);

#endif
