/* store.h - the keyed state of one stateful operator in one partition.
 *
 * A map from encoded key to encoded value (codec.h). A batch is begun, changes the map, and is either kept
 * (its changes are the operator's part of the DELTA frame) or rolled back (D8).
 *
 *   I1  Slots are ordered by key hash (after a scan or a save), so a key group is one contiguous range.
 *   I2  The undo list holds exactly what differs from the last kept batch: at most one entry per key; one
 *       that was changed back counts as no change.
 *   I3  Applying the deltas of batches 1..n to the empty map gives the map kept as n. Applying one twice
 *       changes nothing more: a delta holds values, not differences.
 *   I4  Saves of ranges that cover all hashes, loaded in order, give a map with the same contents and the same
 *       later deltas.
 *
 * Values of exactly 8 bytes stand in the slot; others in memory of their own size class.
 *
 * Memory   charged to options.budget; over budget is NO_MEMORY and changes nothing. rollback and keep cannot
 *          fail.
 * Threads  one owner thread per batch; state_store_stats() may be called from any.
 * Files    none: delta and save bytes go through the caller; their layout is at the top of store.c.
 */
#ifndef LEAT_STATE_STORE_H
#define LEAT_STATE_STORE_H

#include "base/bytes.h"
#include "state/key_table.h"

typedef struct StateStore StateStore;

typedef struct StateStoreOptions {
    /* Hashes owned: [begin, end); end 0: to the top. A put outside is a mistake of ours. */
    uint64_t hash_begin;
    uint64_t hash_end;
    Budget *budget;  /* borrowed; outlives the store */
    const char *who; /* the operator's id, for refusals; borrowed */
    /* For hostile runs: callers hash every key to KEY_HASH_CONSTANT, and so do apply and load. */
    bool constant_hash;
} StateStoreOptions;

typedef struct StateStoreStats {
    uint64_t key_count, size_bytes;
    uint64_t put_count, remove_count; /* since create */
} StateStoreStats;

/* The caller owns *out: state_store_destroy(). */
CHECKED Status state_store_create(StateStoreOptions options, StateStore **out, Error *err);
void state_store_destroy(StateStore *store); /* NULL is allowed */

/* ---- a batch ---- */
void state_store_begin(StateStore *store);
/* Room for so many keys more. Needed before many new keys are put in hash order: see key_table.h for the trap.
 * NO_MEMORY. */
CHECKED Status state_store_reserve(StateStore *store, uint64_t more, Error *err);
/* False: no such key. *value is borrowed until the next put, remove, keep or rollback. */
bool state_store_find(const StateStore *store, const Key *key, uint64_t hash, Str *value);
/* Creates or replaces. Storing the bytes that are there already is no change (nothing in the delta). INVALID:
 * a value over 1 GiB. NO_MEMORY. */
CHECKED Status state_store_put(StateStore *store, const Key *key, uint64_t hash, Str value, Error *err);
/* No such key: nothing happens. */
CHECKED Status state_store_remove(StateStore *store, const Key *key, uint64_t hash, Error *err);
bool state_store_is_changed(const StateStore *store); /* since begin */
/* Appends the changes since begin. */
void state_store_delta(const StateStore *store, Text *out);
/* The changes stay. Cannot fail. */
void state_store_keep(StateStore *store);
/* Drops every change since begin. Cannot fail: the undo list has room for it. */
void state_store_rollback(StateStore *store);

/* Applies a delta outside of a batch, as recovery does. Keys outside of [hash_begin, hash_end) are skipped.
 * CORRUPT: the bytes are not a delta; the store is then good for nothing but destroy. NO_MEMORY: likewise. */
CHECKED Status state_store_apply(StateStore *store, Str delta, Error *err);

/* ---- scanning ---- */
/* Every entry in hash order. Puts and removes of the *current* key are allowed during a scan, others are not.
 *     for (StateScan scan = state_store_scan(store); state_store_next(&scan);) use(scan.key, scan.value) */
typedef struct StateScan {
    StateStore *store;
    uint64_t cursor;
    const Key *key; /* borrowed until the next state_store_next */
    uint64_t hash;
    Str value; /* borrowed until the next put, remove or state_store_next */
} StateScan;
StateScan state_store_scan(StateStore *store);
bool state_store_next(StateScan *scan);

/* A key that has state, and where it stands: for many keys at a time, without looking each up again. Borrowed
 * until a key is inserted or the batch ends; `value`, which may stand in the entry itself, also only until the
 * next put or remove of the key. */
typedef struct StateEntry {
    const Key *key;
    uint64_t hash;
    Str value;
    KeySlot *slot; /* private, like the next */
    uint64_t word;
} StateEntry;
/* The next entries of a scan, up to `count_max` of them, in hash order; 0: that was all. In place of
 * state_store_next. */
uint32_t state_store_next_entries(StateScan *scan, StateEntry *entries, uint32_t count_max);
/* The next entry whose key has this hash, in no order; *entry is zeroed before the first call. */
bool state_store_next_of_hash(const StateStore *store, uint64_t hash, StateEntry *entry);
/* What the value is now, also of a copy of an entry. */
Str state_store_value_at(const StateStore *store, const StateEntry *entry);
/* state_store_put and state_store_remove of its key. entry->value is then out of date. */
CHECKED Status state_store_put_at(StateStore *store, const StateEntry *entry, Str value, Error *err);
CHECKED Status state_store_remove_at(StateStore *store, const StateEntry *entry, Error *err);

/* ---- saving ---- */
/* Bytes of a save come and go in pieces, so that a store never needs a second copy of itself in memory. */
typedef struct StateSink {
    Status (*write)(void *self, Str piece, Error *err);
    void *self;
} StateSink;
typedef struct StateFeed {
    /* The next piece, of any size, borrowed until the next call; *piece empty: the end. */
    Status (*read)(void *self, Str *piece, Error *err);
    void *self;
} StateFeed;
/* Hashes [begin, end); end 0: to the top. */
typedef struct HashRange {
    uint64_t begin, end;
} HashRange;
/* The entries of a range of hashes, in hash order, with their count first; not a byte when there are none.
 * Between batches only. Takes as long as the range is large, not the store. */
CHECKED Status state_store_save(StateStore *store, HashRange range, StateSink sink, Error *err);
/* The save of `range`, whose hashes are above all that the store holds: appended without a probe. The first
 * load makes room for as many entries as all ranges of the store will have, if they are as full. Entries
 * outside of [hash_begin, hash_end) are skipped, so that a save of another partitioning can be read. CORRUPT:
 * not a save of this range; the store is then unusable. */
CHECKED Status state_store_load(StateStore *store, HashRange range, StateFeed feed, Error *err);

StateStoreStats state_store_stats(const StateStore *store);
void state_store_verify(StateStore *store); /* I1, I2; aborts. For tests */

#endif
