/* store.c - see store.h.
 *
 * A value is one word in its slot. A word whose top 16 bits are not TAG is the value itself, 8 bytes. A
 * tagged word is one of
 *
 *     TAG 0                   absent: a key that was removed, or is not yet kept
 *     TAG pointer             a block: the value's size and bytes (also 8 bytes that look tagged)
 *     TAG index * 2 + 1       changed in this batch: undo[index] has the old and the new word
 *
 *   S1  Outside of a batch no slot is absent or changed.
 *   S2  A slot whose key is removed stays until keep or rollback: a scan goes on over it.
 *   S3  An entry of the undo list whose old and new word are the same is no change; a new value equal to the
 *       old one gets the old word.
 *   S4  Everything that may fail comes before the first thing that changes.
 *
 *      begin                put, remove                      delta            keep | rollback
 *     -------> no changes ------------> changes in undo ------------> (same) ----------------> no batch
 *
 * A delta: varint count of changes, then for each: 1 (put) or 2 (remove); the key as varint size + 1 (0: the
 * null key) and bytes; for a put the value as varint size and bytes.
 *
 * A save, numbers little-endian: a header, then blocks of up to 1,024 entries in hash order, laid out by
 * columns, so that a block of keys and values of 8 bytes is two plain arrays. Hashes are not in it: computing
 * them by the kernel takes no longer than reading them, and they cannot be wrong.
 *
 *     header, 32 bytes                 block header, 16 bytes; what follows it
 *      0  4  magic "LSAV"               0  4  entries
 *      4  4  version                    4  4  size of every key, or VARIED
 *      8  8  entries in all             8  4  size of every value, or VARIED
 *     16  8  hash_begin of the range   12  4  bytes that follow: key sizes, if varied (4 each); value
 *     24  8  hash_end                         sizes, if varied (4 each); keys; values
 */
#include "state/store.h"

#include "column/codec.h"
#include "column/kernels/kernels.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_SIZE_MAX = 1 << 30,
    UNDO_MIN = 16,
    UNDO_KEPT_MAX = 1 << 13, /* entries; a longer list is given back after its batch */
    SLAB_SIZE_MIN = 16 << 10,
    SLAB_SIZE_MAX = 256 << 10,
    DIRECT_FROM = 4097, /* larger blocks are allocated one by one */
    CLASS_COUNT = 64,
    SAVE_VERSION = 1,
    SAVE_MAGIC = 0x5641534c,
    SAVE_BLOCK_ENTRIES = 1024,
    SAVE_BLOCK_BYTES = 256 << 10,
};

#define VARIED            UINT32_MAX
#define ENTRY_COUNT_LIMIT (UINT64_C(1) << 48)

/* As an integer near -8.1e18, as a double near -1e-235: a value that begins like this is rare, and right. */
#define TAG       UINT64_C(0x8f5a)
#define TAG_SHIFT 48
#define ABSENT    (TAG << TAG_SHIFT)

_Static_assert(sizeof(void *) == 8, "a pointer has 48 bits that matter");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "saves are little-endian and written by copying");

typedef struct Block {
    uint32_t size_bytes; /* of the value */
    uint32_t zero;
    union {
        char bytes[8];
        struct Block *next_free;
    };
} Block;

enum { BLOCK_HEADER_BYTES = 8 };

typedef struct Slab {
    struct Slab *next;
    size_t size_bytes;
} Slab;

typedef struct Undo {
    Key key; /* bytes of a long one are in undo_keys */
    uint64_t hash;
    uint64_t old_word, new_word;
} Undo;

struct StateStore {
    StateStoreOptions options;
    KeyTable *table;

    Slab *slabs;
    char *slab_at, *slab_end; /* free part of the newest */
    size_t slab_size_bytes;   /* of the newest */
    uint64_t value_bytes;     /* of slabs and direct blocks */
    uint64_t direct_count;
    Block *free_blocks[CLASS_COUNT];

    bool is_in_batch;
    Undo *undo;
    uint64_t undo_count, undo_capacity;
    uint64_t change_count; /* S3: entries whose words differ */
    Arena *undo_keys;

    /* For state_store_stats. */
    _Atomic uint64_t key_count, size_bytes, put_count, remove_count;
};

/* ---- words ---- */

static inline bool word_is_tagged(uint64_t word) {
    return word >> TAG_SHIFT == TAG;
}
static inline bool word_is_changed(uint64_t word) {
    return word_is_tagged(word) && (word & 1);
}
static inline uint64_t word_index(uint64_t word) {
    return (word & ((UINT64_C(1) << TAG_SHIFT) - 1)) >> 1;
}
static inline bool word_is_block(uint64_t word) {
    return word_is_tagged(word) && !(word & 1) && word != ABSENT;
}
static inline Block *word_block(uint64_t word) {
    return (Block *)(uintptr_t)(word & ((UINT64_C(1) << TAG_SHIFT) - 1));
}

/* *word must be a value; the result points into it when the value stands there. */
static inline Str word_value(const uint64_t *word) {
    if (LIKELY(!word_is_tagged(*word)))
        return str_slice(word, sizeof *word);
    const Block *block = word_block(*word);
    return str_slice(block->bytes, block->size_bytes);
}

/* The word that counts now: the slot's own, or the new one of its entry in the undo list. */
static inline uint64_t *slot_word(const StateStore *store, KeySlot *slot) {
    return word_is_changed(slot->value) ? &store->undo[word_index(slot->value)].new_word : &slot->value;
}

/* ---- memory of values ---- */

/* Four classes for each power of two. */
static unsigned class_of(size_t value_size) {
    size_t total = (BLOCK_HEADER_BYTES + value_size + 7) & ~(size_t)7;
    total = total < sizeof(Block) ? sizeof(Block) : total;
    unsigned log = 63 - (unsigned)__builtin_clzll(total - 1);
    return log * 4 + (unsigned)((total - 1) >> (log - 2) & 3);
}
static size_t class_size(unsigned class) {
    return (size_t)(class % 4 + 5) << (class / 4 - 2);
}

static Status add_slab(StateStore *store, Error *err) {
    size_t size = store->slab_size_bytes * 2;
    size = size < SLAB_SIZE_MIN ? SLAB_SIZE_MIN : size > SLAB_SIZE_MAX ? SLAB_SIZE_MAX : size;
    void *memory;
    TRY(budget_alloc(store->options.budget, size, store->options.who, &memory, err));
    Slab *slab = memory;
    *slab = (Slab){.next = store->slabs, .size_bytes = size};
    store->slabs = slab;
    store->slab_size_bytes = size;
    store->slab_at = (char *)memory + sizeof *slab;
    store->slab_end = (char *)memory + size;
    store->value_bytes += size;
    return STATUS_OK;
}

static Status block_create(StateStore *store, Str value, Block **out, Error *err) {
    unsigned class = class_of(value.size);
    size_t size = class_size(class);
    void *memory;
    if (size >= DIRECT_FROM) {
        TRY(budget_alloc(store->options.budget, size, store->options.who, &memory, err));
        store->value_bytes += size;
        store->direct_count++;
    } else if (store->free_blocks[class]) {
        memory = store->free_blocks[class];
        store->free_blocks[class] = store->free_blocks[class]->next_free;
    } else {
        if (size > (size_t)(store->slab_end - store->slab_at))
            TRY(add_slab(store, err)); /* what is left of the old one is lost, less than a page */
        memory = store->slab_at;
        store->slab_at += size;
    }
    Block *block = memory;
    block->size_bytes = (uint32_t)value.size;
    block->zero = 0;
    if (value.size)
        memcpy(block->bytes, value.data, value.size);
    *out = block;
    return STATUS_OK;
}

static void block_destroy(StateStore *store, Block *block) {
    unsigned class = class_of(block->size_bytes);
    size_t size = class_size(class);
    if (size >= DIRECT_FROM) {
        budget_free(store->options.budget, block, size);
        store->value_bytes -= size;
        store->direct_count--;
    } else {
        block->next_free = store->free_blocks[class];
        store->free_blocks[class] = block;
    }
}

static inline Status word_create(StateStore *store, Str value, uint64_t *word, Error *err) {
    if (value.size == sizeof *word) {
        memcpy(word, value.data, sizeof *word);
        if (LIKELY(!word_is_tagged(*word)))
            return STATUS_OK;
    }
    Block *block;
    TRY(block_create(store, value, &block, err));
    *word = TAG << TAG_SHIFT | (uint64_t)(uintptr_t)block;
    ASSERT(word_block(*word) == block);
    return STATUS_OK;
}

static inline void word_destroy(StateStore *store, uint64_t word) {
    if (UNLIKELY(word_is_block(word)))
        block_destroy(store, word_block(word));
}

/* ---- life ---- */

static void update_stats(StateStore *store) {
    uint64_t size_bytes = key_table_size_bytes(store->table) + store->value_bytes +
                          store->undo_capacity * sizeof *store->undo + arena_size_bytes(store->undo_keys);
    atomic_store_explicit(&store->size_bytes, size_bytes, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter, uint64_t more) {
    /* One writer: no locked add. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

Status state_store_create(StateStoreOptions options, StateStore **out, Error *err) {
    *out = NULL;
    StateStore *store = xcalloc(1, sizeof *store);
    store->options = options;
    store->options.who = options.who ? options.who : "a state store";
    KeyTableOptions table = {.hash_begin = options.hash_begin,
                             .hash_end = options.hash_end,
                             .is_dense = true,
                             .budget = options.budget,
                             .who = store->options.who};
    Status st = key_table_create(table, &store->table, err);
    if (st != STATUS_OK) {
        free(store);
        return st;
    }
    store->undo_keys = arena_create(options.budget, store->options.who);
    update_stats(store);
    *out = store;
    return STATUS_OK;
}

void state_store_destroy(StateStore *store) {
    if (!store)
        return;
    if (store->is_in_batch)
        state_store_rollback(store);
    for (uint64_t i = 0; store->direct_count > 0 && i < key_table_slot_count(store->table); i++)
        word_destroy(store, key_table_slots(store->table)[i].value);
    while (store->slabs) {
        Slab *slab = store->slabs;
        store->slabs = slab->next;
        budget_free(store->options.budget, slab, slab->size_bytes);
    }
    budget_free(store->options.budget, store->undo, store->undo_capacity * sizeof *store->undo);
    arena_destroy(store->undo_keys);
    key_table_destroy(store->table);
    free(store);
}

/* ---- the undo list ---- */

static Status undo_reserve(StateStore *store, Error *err) {
    if (LIKELY(store->undo_count < store->undo_capacity))
        return STATUS_OK;
    uint64_t capacity = store->undo_capacity ? store->undo_capacity * 2 : UNDO_MIN;
    void *memory;
    TRY(budget_alloc(store->options.budget, capacity * sizeof *store->undo, store->options.who, &memory,
                     err));
    if (store->undo_count)
        memcpy(memory, store->undo, store->undo_count * sizeof *store->undo);
    budget_free(store->options.budget, store->undo, store->undo_capacity * sizeof *store->undo);
    store->undo = memory;
    store->undo_capacity = capacity;
    return STATUS_OK;
}

/* A copy of the key that outlives whatever the table does with its own. */
static Status undo_key_copy(StateStore *store, const Key *key, Key *out, Error *err) {
    *out = *key;
    if (key->size == KEY_NULL_SIZE || key->size <= VIEW_INLINE_MAX)
        return STATUS_OK;
    Str bytes;
    TRY(arena_copy(store->undo_keys, key_str(key), &bytes, err));
    *out = key_from_str(bytes);
    return STATUS_OK;
}

/* Room was reserved. */
static Undo *undo_push(StateStore *store, KeySlot *slot, const Key *key, uint64_t old_word) {
    Undo *undo = &store->undo[store->undo_count];
    *undo = (Undo){.key = *key, .hash = slot->hash, .old_word = old_word, .new_word = old_word};
    slot->value = TAG << TAG_SHIFT | store->undo_count << 1 | 1;
    store->undo_count++;
    return undo;
}

/* Takes `word`. */
static void undo_set(StateStore *store, Undo *undo, uint64_t word) {
    if (undo->new_word != undo->old_word) {
        word_destroy(store, undo->new_word);
        store->change_count--;
    }
    if (word != undo->old_word && word_is_block(word) && word_is_block(undo->old_word) &&
        leat_str_equal(word_value(&word), word_value(&undo->old_word))) { /* S3 */
        word_destroy(store, word);
        word = undo->old_word;
    }
    undo->new_word = word;
    store->change_count += word != undo->old_word;
}

static void undo_clear(StateStore *store) {
    store->undo_count = 0;
    store->change_count = 0;
    store->is_in_batch = false;
    arena_reset(store->undo_keys);
    if (store->undo_capacity > UNDO_KEPT_MAX) {
        budget_free(store->options.budget, store->undo, store->undo_capacity * sizeof *store->undo);
        store->undo = NULL;
        store->undo_capacity = 0;
    }
    atomic_store_explicit(&store->key_count, key_table_count(store->table), memory_order_relaxed);
    update_stats(store);
}

/* ---- a batch ---- */

static uint64_t hash_of(const StateStore *store, const Key *key) {
    return UNLIKELY(store->options.constant_hash) ? KEY_HASH_CONSTANT : key_hash(key);
}

static bool owns_hash(const StateStore *store, uint64_t hash) {
    return hash >= store->options.hash_begin && (!store->options.hash_end || hash < store->options.hash_end);
}

void state_store_begin(StateStore *store) {
    ASSERT(!store->is_in_batch);
    store->is_in_batch = true;
}

Status state_store_reserve(StateStore *store, uint64_t more, Error *err) {
    return key_table_reserve_more(store->table, more, err);
}

bool state_store_find(const StateStore *store, const Key *key, uint64_t hash, Str *value) {
    KeySlot *slot = key_table_find(store->table, key, hash);
    if (!slot)
        return false;
    const uint64_t *word = slot_word(store, slot);
    if (*word == ABSENT)
        return false;
    *value = word_value(word);
    return true;
}

/* The key is not in the table, or its slot is as the last batch left it. */
static Status put_first(StateStore *store, KeySlot *slot, const Key *key, uint64_t hash, Str value,
                        Error *err) {
    Status st = STATUS_OK;
    uint64_t word, old_word = slot ? slot->value : ABSENT;
    Key copy;
    TRY(word_create(store, value, &word, err)); /* first: `value` may stand in what moves below */
    TRY_GOTO(failed, undo_reserve(store, err));
    TRY_GOTO(failed, undo_key_copy(store, key, &copy, err));
    if (!slot)
        TRY_GOTO(failed, key_table_upsert(store->table, &copy, hash, &slot, NULL, err));
    undo_set(store, undo_push(store, slot, &copy, old_word), word); /* S4 */
    count(&store->key_count, old_word == ABSENT);
    return STATUS_OK;
failed:
    word_destroy(store, word);
    return st;
}

/* `slot`: of the key, or NULL. */
static Status put(StateStore *store, KeySlot *slot, const Key *key, uint64_t hash, Str value, Error *err) {
    if (value.size > VALUE_SIZE_MAX)
        return error_set(err, STATUS_INVALID, "%s: a value of %zu bytes, over the limit of %d",
                         store->options.who, value.size, VALUE_SIZE_MAX);
    const uint64_t *current = slot ? slot_word(store, slot) : NULL;
    bool is_there = current && *current != ABSENT;
    if (is_there && leat_str_equal(word_value(current), value))
        return STATUS_OK;
    if (!slot || !word_is_changed(slot->value)) {
        TRY(put_first(store, slot, key, hash, value, err));
    } else {
        uint64_t word;
        TRY(word_create(store, value, &word, err));
        undo_set(store, &store->undo[word_index(slot->value)], word);
        count(&store->key_count, !is_there);
    }
    count(&store->put_count, 1);
    return STATUS_OK;
}

Status state_store_put(StateStore *store, const Key *key, uint64_t hash, Str value, Error *err) {
    ASSERT(store->is_in_batch && owns_hash(store, hash));
    return put(store, key_table_find(store->table, key, hash), key, hash, value, err);
}

Status state_store_put_at(StateStore *store, const StateEntry *entry, Str value, Error *err) {
    ASSERT(store->is_in_batch);
    return put(store, entry->slot, entry->key, entry->hash, value, err);
}

static Status remove_slot(StateStore *store, KeySlot *slot, Error *err) {
    if (!slot || *slot_word(store, slot) == ABSENT)
        return STATUS_OK;
    if (!word_is_changed(slot->value)) {
        Key copy;
        TRY(undo_reserve(store, err));
        TRY(undo_key_copy(store, &slot->key, &copy, err));
        undo_push(store, slot, &copy, slot->value);
    }
    undo_set(store, &store->undo[word_index(slot->value)], ABSENT); /* S2 */
    count(&store->key_count, (uint64_t)-1);
    count(&store->remove_count, 1);
    return STATUS_OK;
}

Status state_store_remove(StateStore *store, const Key *key, uint64_t hash, Error *err) {
    ASSERT(store->is_in_batch);
    return remove_slot(store, key_table_find(store->table, key, hash), err);
}

Status state_store_remove_at(StateStore *store, const StateEntry *entry, Error *err) {
    ASSERT(store->is_in_batch);
    return remove_slot(store, entry->slot, err);
}

bool state_store_is_changed(const StateStore *store) {
    return store->change_count > 0;
}

static void put_key(Text *out, const Key *key) {
    Str bytes = key_str(key);
    bytes_put_varint(out, key->size == KEY_NULL_SIZE ? 0 : (uint64_t)bytes.size + 1);
    text_append(out, bytes);
}

void state_store_delta(const StateStore *store, Text *out) {
    bytes_put_varint(out, store->change_count);
    for (uint64_t i = 0; i < store->undo_count; i++) {
        const Undo *undo = &store->undo[i];
        if (undo->new_word == undo->old_word)
            continue;
        bool is_removed = undo->new_word == ABSENT;
        bytes_put_u8(out, is_removed ? 2 : 1);
        put_key(out, &undo->key);
        if (!is_removed)
            bytes_put_str(out, word_value(&undo->new_word));
    }
}

/* Puts the word that is to stay into each changed slot. */
static void settle(StateStore *store, bool keeps) {
    for (uint64_t i = 0; i < store->undo_count; i++) {
        const Undo *undo = &store->undo[i];
        uint64_t stays = keeps ? undo->new_word : undo->old_word,
                 goes = keeps ? undo->old_word : undo->new_word;
        KeySlot *slot = key_table_find(store->table, &undo->key, undo->hash);
        ASSERT(slot && slot->value == (TAG << TAG_SHIFT | i << 1 | 1));
        if (stays == ABSENT)
            key_table_remove(store->table, slot);
        else
            slot->value = stays;
        if (goes != stays)
            word_destroy(store, goes);
    }
    undo_clear(store);
}

void state_store_keep(StateStore *store) {
    ASSERT(store->is_in_batch);
    settle(store, true);
}

void state_store_rollback(StateStore *store) {
    ASSERT(store->is_in_batch);
    settle(store, false);
}

/* ---- deltas ---- */

static Status put_unlogged(StateStore *store, const Key *key, uint64_t hash, Str value, Error *err) {
    uint64_t word;
    KeySlot *slot;
    bool is_new;
    TRY(word_create(store, value, &word, err));
    Status st = key_table_upsert(store->table, key, hash, &slot, &is_new, err);
    if (st != STATUS_OK) {
        word_destroy(store, word);
        return st;
    }
    if (!is_new)
        word_destroy(store, slot->value);
    slot->value = word;
    return STATUS_OK;
}

static Status apply_change(StateStore *store, Reader *reader, Error *err) {
    uint8_t op = reader_u8(reader);
    uint64_t size = reader_varint(reader);
    Str bytes = size ? reader_bytes(reader, size - 1) : STR("");
    Str value = op == 1 ? reader_str(reader) : STR("");
    if (reader->failed || op < 1 || op > 2 || bytes.size >= KEY_NULL_SIZE || value.size > VALUE_SIZE_MAX)
        return error_set(err, STATUS_CORRUPT, "%s: damaged delta at byte %zu", store->options.who,
                         reader->offset);
    Key key = size ? key_from_str(bytes) : key_null();
    uint64_t hash = hash_of(store, &key);
    if (!owns_hash(store, hash))
        return STATUS_OK;
    if (op == 1)
        return put_unlogged(store, &key, hash, value, err);
    KeySlot *slot = key_table_find(store->table, &key, hash);
    if (slot) {
        word_destroy(store, slot->value);
        key_table_remove(store->table, slot);
    }
    return STATUS_OK;
}

Status state_store_apply(StateStore *store, Str delta, Error *err) {
    ASSERT(!store->is_in_batch);
    Status st = STATUS_OK;
    Reader reader = reader_of(delta);
    uint64_t change_count = reader_varint(&reader);
    for (uint64_t i = 0; i < change_count; i++)
        TRY_GOTO(done, apply_change(store, &reader, err));
    if (reader.failed || reader.offset != reader.size)
        st = error_set(err, STATUS_CORRUPT, "%s: damaged delta at byte %zu: it has another size than it says",
                       store->options.who, reader.offset);
done:
    undo_clear(store); /* and counts */
    return st;
}

/* ---- scanning ---- */

StateScan state_store_scan(StateStore *store) {
    key_table_order(store->table);
    return (StateScan){.store = store, .cursor = key_table_first(store->table, 0)};
}

bool state_store_next(StateScan *scan) {
    KeySlot *slot;
    while ((slot = key_table_next(scan->store->table, &scan->cursor, 0))) {
        const uint64_t *word = slot_word(scan->store, slot);
        if (*word == ABSENT) /* S2 */
            continue;
        scan->key = &slot->key;
        scan->hash = slot->hash;
        scan->value = word_value(word);
        return true;
    }
    return false;
}

/* The word is copied: the list of undos, where it may stand, moves when it grows. */
static inline void set_entry(StateEntry *entry, KeySlot *slot, uint64_t word) {
    entry->key = &slot->key;
    entry->hash = slot->hash;
    entry->slot = slot;
    entry->word = word;
    entry->value = word_value(&entry->word);
}

uint32_t state_store_next_entries(StateScan *scan, StateEntry *entries, uint32_t count_max) {
    const StateStore *store = scan->store;
    KeySlot *slots = key_table_slots(store->table);
    uint64_t at = scan->cursor, end = key_table_slot_count(store->table);
    uint32_t entry_count = 0;
    for (; at < end && entry_count < count_max; at++) {
        KeySlot *slot = &slots[at];
        if (slot->hash == KEY_SLOT_EMPTY)
            continue;
        const uint64_t *word = slot_word(store, slot);
        if (*word == ABSENT) /* S2 */
            continue;
        set_entry(&entries[entry_count++], slot, *word);
    }
    scan->cursor = at;
    return entry_count;
}

bool state_store_next_of_hash(const StateStore *store, uint64_t hash, StateEntry *entry) {
    KeySlot *slot = entry->slot;
    while ((slot = key_table_next_of_hash(store->table, hash, slot))) {
        const uint64_t *word = slot_word(store, slot);
        if (*word == ABSENT) /* S2 */
            continue;
        set_entry(entry, slot, *word);
        return true;
    }
    return false;
}

Str state_store_value_at(const StateStore *store, const StateEntry *entry) {
    return word_value(slot_word(store, entry->slot));
}

/* ---- saving ---- */

typedef struct SaveHeader {
    uint32_t magic, version;
    uint64_t entry_count;
    uint64_t hash_begin, hash_end;
} SaveHeader;

typedef struct SaveBlockHeader {
    uint32_t entry_count;
    uint32_t key_size, value_size; /* or VARIED */
    uint32_t size_bytes;           /* that follow */
} SaveBlockHeader;

_Static_assert(sizeof(SaveHeader) == 32 && sizeof(SaveBlockHeader) == 16, "as in a save");

typedef struct SaveBlock {
    SaveBlockHeader header;
    Text key_sizes, value_sizes, keys, values;
} SaveBlock;

/* The size of all so far, after one more. */
static uint32_t common_size(uint32_t so_far, uint32_t size, uint32_t entry_count) {
    return entry_count == 0 || so_far == size ? size : VARIED;
}

static void save_entry(SaveBlock *block, const KeySlot *slot, Str value) {
    SaveBlockHeader *header = &block->header;
    Str key = key_str(&slot->key);
    header->key_size = common_size(header->key_size, slot->key.size, header->entry_count);
    if (slot->key.size == KEY_NULL_SIZE)
        header->key_size = VARIED;
    header->value_size = common_size(header->value_size, (uint32_t)value.size, header->entry_count);
    header->entry_count++;
    bytes_put_u32(&block->key_sizes, slot->key.size);
    bytes_put_u32(&block->value_sizes, (uint32_t)value.size);
    text_append(&block->keys, key);
    text_append(&block->values, value);
}

static Status save_block(SaveBlock *block, StateSink sink, Error *err) {
    if (block->header.entry_count == 0)
        return STATUS_OK;
    if (block->header.key_size != VARIED)
        text_reset(&block->key_sizes);
    if (block->header.value_size != VARIED)
        text_reset(&block->value_sizes);
    Text *columns[] = {&block->key_sizes, &block->value_sizes, &block->keys, &block->values};
    block->header.size_bytes = 0;
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++)
        block->header.size_bytes += (uint32_t)columns[i]->size;
    TRY(sink.write(sink.self, str_slice(&block->header, sizeof block->header), err));
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        if (columns[i]->size)
            TRY(sink.write(sink.self, text_str(columns[i]), err));
        text_reset(columns[i]);
    }
    block->header = (SaveBlockHeader){0};
    return STATUS_OK;
}

static bool block_has_room(const SaveBlock *block, const KeySlot *slot, Str value) {
    return block->header.entry_count == 0 ||
           (block->header.entry_count < SAVE_BLOCK_ENTRIES &&
            block->keys.size + block->values.size + key_str(&slot->key).size + value.size <=
                SAVE_BLOCK_BYTES);
}

static bool is_of_8(const KeySlot *slot) {
    return slot->key.size == 8 && !word_is_tagged(slot->value);
}

/* The slots of a range of hashes, by hand: a call for each costs as much as what is done with it. */
typedef struct SlotRange {
    const KeySlot *slots;
    uint64_t at, end; /* `at`: behind the last one taken; the range may end before `end` */
    uint64_t hash_end;
} SlotRange;

static SlotRange slot_range(const StateStore *store, HashRange range) {
    return (SlotRange){key_table_slots(store->table), key_table_first(store->table, range.begin),
                       key_table_slot_count(store->table), range.end};
}

/* The next slot with a key, not taken yet; NULL: there is none. */
static inline const KeySlot *slot_peek(SlotRange *range) {
    while (range->at < range->end && range->slots[range->at].hash == KEY_SLOT_EMPTY)
        range->at++;
    const KeySlot *slot = &range->slots[range->at];
    return range->at < range->end && (!range->hash_end || slot->hash < range->hash_end) ? slot : NULL;
}

static uint64_t count_entries(SlotRange range) {
    uint64_t entry_count = 0;
    for (; slot_peek(&range); range.at++)
        entry_count++;
    return entry_count;
}

/* Keys and values of 8 bytes: two arrays. Ends at the first entry that is another one. */
static Status save_block_of_8(SlotRange *range, StateSink sink, Error *err) {
    struct {
        SaveBlockHeader header;
        uint64_t columns[2 * SAVE_BLOCK_ENTRIES];
    } block;
    uint64_t values[SAVE_BLOCK_ENTRIES];
    uint32_t count = 0;
    for (const KeySlot *slot; count < SAVE_BLOCK_ENTRIES && (slot = slot_peek(range)) && is_of_8(slot);
         range->at++) {
        memcpy(&block.columns[count], slot->key.inlined, 8);
        values[count++] = slot->value;
    }
    memcpy(&block.columns[count], values, count * sizeof *values);
    block.header =
        (SaveBlockHeader){.entry_count = count, .key_size = 8, .value_size = 8, .size_bytes = 16 * count};
    return sink.write(sink.self, str_slice(&block, sizeof block.header + 16 * count), err);
}

/* A block of entries of any size. */
static Status save_block_of_any(SaveBlock *block, SlotRange *range, StateSink sink, Error *err) {
    for (const KeySlot *slot; (slot = slot_peek(range)); range->at++) {
        Str value = word_value(&slot->value); /* S1 */
        if (!block_has_room(block, slot, value))
            break;
        save_entry(block, slot, value);
    }
    return save_block(block, sink, err);
}

Status state_store_save(StateStore *store, HashRange range, StateSink sink, Error *err) {
    ASSERT(!store->is_in_batch);
    Status st = STATUS_OK;
    SaveBlock block = {0};
    key_table_order_range(store->table, range.begin, range.end);
    SlotRange slots = slot_range(store, range);
    SaveHeader header = {.magic = SAVE_MAGIC,
                         .version = SAVE_VERSION,
                         .entry_count = count_entries(slots),
                         .hash_begin = range.begin,
                         .hash_end = range.end};
    if (header.entry_count == 0)
        return STATUS_OK;
    TRY_GOTO(done, sink.write(sink.self, str_slice(&header, sizeof header), err));
    for (const KeySlot *slot; (slot = slot_peek(&slots));)
        TRY_GOTO(done, is_of_8(slot) ? save_block_of_8(&slots, sink, err)
                                     : save_block_of_any(&block, &slots, sink, err));
done:
    text_deinit(&block.key_sizes);
    text_deinit(&block.value_sizes);
    text_deinit(&block.keys);
    text_deinit(&block.values);
    return st;
}

/* ---- loading ---- */

typedef struct Loader {
    StateFeed feed;
    Str piece;   /* what is left of it */
    Text joined; /* what did not come in one piece */
    uint64_t offset;
    const char *who;
} Loader;

static Status not_a_save(const Loader *loader, const char *reason, Error *err) {
    return error_set(err, STATUS_CORRUPT, "%s: damaged save before byte %" PRIu64 ": %s", loader->who,
                     loader->offset, reason);
}

/* The next `size` bytes, borrowed until the next call. Takes no more memory than the feed has bytes. */
static Status take(Loader *loader, size_t size, const char **bytes, Error *err) {
    loader->offset += size;
    if (LIKELY(size <= loader->piece.size)) {
        *bytes = loader->piece.data;
        loader->piece = str_slice(loader->piece.data + size, loader->piece.size - size);
        return STATUS_OK;
    }
    text_reset(&loader->joined);
    while (loader->joined.size < size) {
        if (loader->piece.size == 0) {
            TRY(loader->feed.read(loader->feed.self, &loader->piece, err));
            if (loader->piece.size == 0)
                return not_a_save(loader, "it ends too early", err);
        }
        size_t wanted = size - loader->joined.size;
        size_t taken = wanted < loader->piece.size ? wanted : loader->piece.size;
        text_append(&loader->joined, str_slice(loader->piece.data, taken));
        loader->piece = str_slice(loader->piece.data + taken, loader->piece.size - taken);
    }
    *bytes = loader->joined.data;
    return STATUS_OK;
}

/* The columns of a block. */
typedef struct LoadBlock {
    SaveBlockHeader header;
    const char *key_sizes, *value_sizes, *keys, *values;
} LoadBlock;

static inline uint32_t size_at(const char *sizes, uint32_t common, uint32_t i) {
    uint32_t size = common;
    if (common == VARIED)
        memcpy(&size, sizes + (size_t)i * sizeof size, sizeof size);
    return size;
}

/* Finds the columns; false when the block's sizes do not add up. */
static bool block_columns(LoadBlock *block, const char *bytes) {
    const SaveBlockHeader *header = &block->header;
    uint64_t n = header->entry_count, fixed = 0;
    if (n == 0 || n > SAVE_BLOCK_ENTRIES)
        return false;
    fixed += header->key_size == VARIED ? 4 * n : 0;
    fixed += header->value_size == VARIED ? 4 * n : 0;
    if (fixed > header->size_bytes)
        return false;
    block->key_sizes = bytes;
    block->value_sizes = block->key_sizes + (header->key_size == VARIED ? 4 * n : 0);
    block->keys = bytes + fixed;
    uint64_t key_bytes = 0, value_bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key_size = size_at(block->key_sizes, header->key_size, i);
        key_bytes += key_size == KEY_NULL_SIZE ? 0 : key_size;
        uint32_t value_size = size_at(block->value_sizes, header->value_size, i);
        if (value_size > VALUE_SIZE_MAX)
            return false;
        value_bytes += value_size;
    }
    block->values = block->keys + key_bytes;
    return fixed + key_bytes + value_bytes == header->size_bytes;
}

static Status load_entry(StateStore *store, const Key *key, uint64_t hash, Str value, Error *err) {
    if (!owns_hash(store, hash))
        return STATUS_OK;
    uint64_t word;
    TRY(word_create(store, value, &word, err));
    Status st = key_table_append(store->table, key, hash, word, err);
    if (st != STATUS_OK)
        word_destroy(store, word);
    return st;
}

/* Keys and values of 8 bytes: two arrays, no sizes to look at. */
static Status load_entries_of_8(StateStore *store, const LoadBlock *block, Error *err) {
    View keys[SAVE_BLOCK_ENTRIES];
    uint64_t hashes[SAVE_BLOCK_ENTRIES];
    for (uint32_t i = 0; i < block->header.entry_count; i++) {
        keys[i] = (View){.size = 8};
        memcpy(keys[i].inlined, block->keys + 8 * (size_t)i, 8);
    }
    kernels()->hash_views(keys, block->header.entry_count, NULL, hashes);
    for (uint32_t i = 0; i < block->header.entry_count; i++) {
        Key key = key_from_view(&keys[i], NULL);
        TRY(load_entry(store, &key, hashes[i], str_slice(block->values + 8 * (size_t)i, 8), err));
    }
    return STATUS_OK;
}

static Status load_entries(StateStore *store, const LoadBlock *block, Error *err) {
    const char *key_at = block->keys, *value_at = block->values;
    for (uint32_t i = 0; i < block->header.entry_count; i++) {
        uint32_t key_size = size_at(block->key_sizes, block->header.key_size, i);
        uint32_t value_size = size_at(block->value_sizes, block->header.value_size, i);
        Key key = key_size == KEY_NULL_SIZE ? key_null() : key_from_str(str_slice(key_at, key_size));
        TRY(load_entry(store, &key, hash_of(store, &key), str_slice(value_at, value_size), err));
        key_at += key_size == KEY_NULL_SIZE ? 0 : key_size;
        value_at += value_size;
    }
    return STATUS_OK;
}

/* How many entries this store will have when all its ranges are as full as this one, the first: within four
 * standard deviations, as hashes are spread. */
static uint64_t expected_count(const StateStore *store, const SaveHeader *header) {
    double all = 18446744073709551616.0; /* 2^64 */
    double begin = (double)header->hash_begin, end = header->hash_end ? (double)header->hash_end : all;
    double own_begin = (double)store->options.hash_begin;
    double own_end = store->options.hash_end ? (double)store->options.hash_end : all;
    if (end <= begin || own_end <= begin)
        return 0;
    double ranges = (own_end - (own_begin > begin ? own_begin : begin)) / (end - begin);
    double count = (double)header->entry_count;
    return (uint64_t)(ranges > 1 ? (count + 4 * sqrt(count)) * ranges : count);
}

/* Once for all ranges; where a later one is fuller than the first let expect, by whole steps. */
static Status make_room(StateStore *store, const SaveHeader *header, Error *err) {
    if (key_table_count(store->table) > 0)
        return key_table_reserve_more(store->table, header->entry_count, err);
    uint64_t wanted = expected_count(store, header);
    return key_table_reserve(store->table, wanted > header->entry_count ? wanted : header->entry_count, err);
}

static Status load_blocks(StateStore *store, Loader *loader, const SaveHeader *header, Error *err) {
    const char *bytes;
    for (uint64_t loaded = 0; loaded < header->entry_count;) {
        LoadBlock block;
        TRY(take(loader, sizeof block.header, &bytes, err));
        memcpy(&block.header, bytes, sizeof block.header);
        if (block.header.entry_count > header->entry_count - loaded)
            return not_a_save(loader, "more entries than it says", err);
        TRY(take(loader, block.header.size_bytes, &bytes, err));
        if (!block_columns(&block, bytes))
            return not_a_save(loader, "not a block of entries", err);
        bool is_8 =
            block.header.key_size == 8 && block.header.value_size == 8 && !store->options.constant_hash;
        Status st = is_8 ? load_entries_of_8(store, &block, err) : load_entries(store, &block, err);
        if (st == STATUS_INVALID)
            return not_a_save(loader, "entries out of order", err);
        TRY(st);
        loaded += block.header.entry_count;
    }
    return STATUS_OK;
}

static Status load(StateStore *store, HashRange range, Loader *loader, Error *err) {
    const char *bytes;
    SaveHeader header;
    TRY(take(loader, sizeof header, &bytes, err));
    memcpy(&header, bytes, sizeof header);
    if (header.magic != SAVE_MAGIC)
        return not_a_save(loader, "not a save", err);
    if (header.version != SAVE_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: a save of version %" PRIu32 ", this program reads version %d", loader->who,
                         header.version, SAVE_VERSION);
    if (header.hash_begin != range.begin || header.hash_end != range.end)
        return not_a_save(loader, "of another range of hashes", err);
    if (header.entry_count >= ENTRY_COUNT_LIMIT)
        return not_a_save(loader, "more entries than a machine has bytes", err);
    TRY(make_room(store, &header, err));
    TRY(load_blocks(store, loader, &header, err));
    if (loader->piece.size == 0)
        TRY(loader->feed.read(loader->feed.self, &loader->piece, err));
    return loader->piece.size == 0 ? STATUS_OK : not_a_save(loader, "bytes behind its end", err);
}

Status state_store_load(StateStore *store, HashRange range, StateFeed feed, Error *err) {
    ASSERT(!store->is_in_batch);
    Loader loader = {.feed = feed, .who = store->options.who};
    Status st = load(store, range, &loader, err);
    text_deinit(&loader.joined);
    undo_clear(store); /* and counts */
    return st;
}

/* ---- asking ---- */

StateStoreStats state_store_stats(const StateStore *store) {
    return (StateStoreStats){
        .key_count = atomic_load_explicit(&store->key_count, memory_order_relaxed),
        .size_bytes = atomic_load_explicit(&store->size_bytes, memory_order_relaxed),
        .put_count = atomic_load_explicit(&store->put_count, memory_order_relaxed),
        .remove_count = atomic_load_explicit(&store->remove_count, memory_order_relaxed),
    };
}

void state_store_verify(StateStore *store) {
    key_table_order(store->table);
    key_table_verify(store->table);
    uint64_t changed = 0, live = 0, differing = 0;
    for (uint64_t i = 0; i < key_table_slot_count(store->table); i++) {
        KeySlot *slot = &key_table_slots(store->table)[i];
        if (slot->hash == KEY_SLOT_EMPTY)
            continue;
        ASSERT(owns_hash(store, slot->hash) || hash_of(store, &slot->key) == 0);
        ASSERT(slot->hash == hash_of(store, &slot->key) || hash_of(store, &slot->key) == KEY_SLOT_EMPTY);
        ASSERT(slot->value != ABSENT); /* S1, S2 */
        changed += word_is_changed(slot->value);
        live += *slot_word(store, slot) != ABSENT;
    }
    ASSERT(store->is_in_batch || changed == 0);
    ASSERT(changed == store->undo_count); /* I2 */
    for (uint64_t i = 0; i < store->undo_count; i++) {
        const Undo *undo = &store->undo[i];
        KeySlot *slot = key_table_find(store->table, &undo->key, undo->hash);
        ASSERT(slot && word_is_changed(slot->value) && word_index(slot->value) == i);
        bool differs = undo->old_word != undo->new_word;
        ASSERT(!differs || undo->old_word == ABSENT || undo->new_word == ABSENT ||
               !leat_str_equal(word_value(&undo->old_word), word_value(&undo->new_word))); /* S3 */
        differing += differs;
    }
    ASSERT(differing == store->change_count);
    ASSERT(live == atomic_load_explicit(&store->key_count, memory_order_relaxed));
}
