/* key_table.c - see key_table.h.
 *
 *     slots:  | home 0 | home 1 | ... | home n - 1 | tail: no homes, room for the last runs | the empty last slot |
 *
 *     a slot: | key, 16 bytes | hash, 8 bytes | value, 8 bytes |
 *
 * A home is where a hash stands in the range of the table, in n equal parts: one multiplication, whose high
 * half it is; of the whole range and n = 2^k, the top k bits of the hash. A run is a stretch of occupied slots between two empty ones. What is in
 * a run can stand there in any order without breaking I1 except that nobody may stand before his home; sorted
 * by hash everybody is at or behind it, which is why key_table_order() needs to look at one run at a time.
 *
 * Growing reads the old slots in order and writes the new ones nearly in order, so it streams; no keys are
 * compared.
 *
 * Batched calls walk over blocks of rows in passes without unpredictable branches. First every key is
 * compared with the slot at its home, where most are found, and the rows that were not are listed. Of these
 * the long keys are compared by hash, size and prefix, and the bytes of those that agree are fetched ahead;
 * then the bytes. What is left over probes on one by one. */
#include "state/key_table.h"
#include "base/bytes.h"
#include "column/codec.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    HOMES_MIN = 64,
    TAIL_MIN = 16,
    /* A large table has room for the keys of a chunk behind its last home from the start: moving it only for
     * that would copy it. */
    TAIL_LARGE = 2176,
    HOMES_LARGE = 4096,
    SLOT_ALIGN = 64,
    KEY_BYTES_BLOCK_MIN = 4096,
    KEY_BYTES_BLOCK_MAX = 1 << 20,
    /* Smaller tables stay in the second-level cache, where fetching ahead costs more than it gives. */
    PREFETCH_SLOTS_MIN = 1 << 14,
    PREFETCH_DISTANCE = 32,
    BLOCK_ROWS = 2048,
    SORT_BY_INSERTION_MAX = 24,
    /* So many keys that nearly fill the first slots are a crowd, which gets up to so many homes each. */
    CROWD_MIN = 1024,
    CROWD_HOMES_MAX = 256,
    /* Below this a dense table is like another one: there is nothing to save. */
    DENSE_HOMES_MIN = 1 << 12,
};

struct KeyTable {
    KeySlot *slots;
    uint64_t home_count; /* a power of two, unless it is dense and large */
    uint64_t slot_count; /* homes, tail, and the empty last slot */
    uint64_t used_end;   /* every occupied slot is before it */
    uint64_t key_count;
    uint64_t key_count_max; /* grows beyond it */
    /* home = high half of (hash - hash_begin) * home_factor */
    uint64_t home_factor;
    uint64_t hash_begin, hash_size; /* of the range; 2^64 is 0 */
    bool is_ordered, is_dense;
    void *block; /* that the slots stand in */
    size_t block_bytes;
    Arena *bytes;               /* of long keys */
    char *bytes_at, *bytes_end; /* free part of the newest block of it */
    uint64_t bytes_live, bytes_dead;
    Budget *budget;
    const char *who;
};

/* ---- keys ---- */

typedef struct KeyWords {
    uint64_t low, high; /* size and prefix; the rest of a short key, or where a long one is */
} KeyWords;

_Static_assert(sizeof(KeyWords) == sizeof(Key) && sizeof(Key) == sizeof(View), "a short view is a key");

static inline KeyWords words_of(const void *key_or_view) {
    KeyWords words;
    memcpy(&words, key_or_view, sizeof words);
    return words;
}

static inline bool size_is_long(uint32_t size) {
    return size > VIEW_INLINE_MAX && size != KEY_NULL_SIZE;
}

static inline uint64_t home_at(uint64_t hash, uint64_t hash_begin, uint64_t home_factor) {
    return (uint64_t)((unsigned __int128)(hash - hash_begin) * home_factor >> 64);
}

static inline uint64_t home_of(const KeyTable *table, uint64_t hash) {
    return home_at(hash, table->hash_begin, table->home_factor);
}

static inline bool is_in_range(const KeyTable *table, uint64_t hash) { /* I5 */
    return hash - table->hash_begin <= table->hash_size - 1;
}

static inline uint64_t hash_stored(uint64_t hash) {
    return hash + (hash == KEY_SLOT_EMPTY);
}

/* Of two long keys of the same size. Up to 32 bytes by four words that overlap: short copies by memcmp cost a
 * call. */
static inline bool long_bytes_equal(const char *a, const char *b, uint32_t size) {
    if (LIKELY(size <= 32)) {
        uint64_t x[4], y[4];
        uint32_t second = size < 16 ? size - 8 : 8, third = size < 16 ? 0 : size - 16;
        memcpy(&x[0], a, 8), memcpy(&y[0], b, 8);
        memcpy(&x[1], a + second, 8), memcpy(&y[1], b + second, 8);
        memcpy(&x[2], a + third, 8), memcpy(&y[2], b + third, 8);
        memcpy(&x[3], a + size - 8, 8), memcpy(&y[3], b + size - 8, 8);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
    }
    return memcmp(a, b, size) == 0;
}

/* The slot is occupied and holds the key. */
static inline bool slot_holds(const KeySlot *slot, const Key *key, uint64_t hash) {
    KeyWords a = words_of(&slot->key), b = words_of(key);
    if (slot->hash != hash || a.low != b.low)
        return false;
    return size_is_long(key->size) ? long_bytes_equal(slot->key.data, key->data, key->size)
                                   : a.high == b.high;
}

Key key_from_str(Str bytes) {
    ASSERT(bytes.size < KEY_NULL_SIZE);
    Key key = {.size = (uint32_t)bytes.size};
    if (bytes.size > VIEW_INLINE_MAX) {
        memcpy(key.prefix, bytes.data, sizeof key.prefix);
        key.data = bytes.data;
    } else if (bytes.size) {
        memcpy(key.inlined, bytes.data, bytes.size);
    }
    return key;
}

Key key_from_view(const View *view, const char *const *bases) {
    Key key;
    memcpy(&key, view, sizeof key);
    if (view->size > VIEW_INLINE_MAX)
        key.data = bases[view->buffer] + view->offset;
    return key;
}

Key key_null(void) {
    Key key = {.size = KEY_NULL_SIZE};
    return key;
}

Str key_str(const Key *key) {
    if (key->size == KEY_NULL_SIZE)
        return STR("");
    return (Str){size_is_long(key->size) ? key->data : key->inlined, key->size};
}

uint64_t key_hash(const Key *key) {
    if (key->size == KEY_NULL_SIZE)
        return UINT64_C(0x9e3779b97f4a7c15); /* stored in checkpoints: never another */
    Str bytes = key_str(key);
    return hash_bytes(bytes.data, bytes.size);
}

/* By (size, bytes): any fixed order would do. */
static int key_compare(const Key *a, const Key *b) {
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    Str x = key_str(a), y = key_str(b);
    return x.size ? memcmp(x.data, y.data, x.size) : 0;
}

static int slot_compare(const KeySlot *a, const KeySlot *b) {
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return key_compare(&a->key, &b->key);
}

/* ---- memory ---- */

static uint64_t tail_for(uint64_t home_count) {
    return home_count < HOMES_LARGE ? TAIL_MIN : TAIL_LARGE;
}

static size_t slots_block_bytes(uint64_t slot_count) {
    return slot_count * sizeof(KeySlot) + SLOT_ALIGN;
}

/* Rounded down: the highest hash of the range has the last home, or one before it. */
static uint64_t home_factor(const KeyTable *table) {
    if (table->hash_size == 0)
        return table->home_count;
    return (uint64_t)(((unsigned __int128)table->home_count << 64) / table->hash_size);
}

static bool is_dense_at(const KeyTable *table, uint64_t home_count) {
    return table->is_dense && home_count >= DENSE_HOMES_MIN;
}

/* While it grows by inserts. */
static uint64_t key_count_max(const KeyTable *table, uint64_t home_count) {
    return is_dense_at(table, home_count) ? home_count / 16 * 13 : home_count / 2;
}

/* The next larger number of homes. */
static uint64_t more_homes(const KeyTable *table, uint64_t home_count) {
    return is_dense_at(table, home_count) ? home_count + home_count / 5 : home_count * 2;
}

/* Gives the table empty slots; the old ones are the caller's. Nothing has changed on failure. */
static Status slots_create(KeyTable *table, uint64_t home_count, uint64_t tail, Error *err) {
    void *block;
    if (home_count > UINT64_C(1) << 40)
        return error_set(err, STATUS_NO_MEMORY, "%s: a table of %" PRIu64 " slots is more than a machine has",
                         table->who, home_count);
    uint64_t slot_count = home_count + tail + 1;
    size_t block_bytes = slots_block_bytes(slot_count);
    TRY(budget_alloc_zeroed(table->budget, block_bytes, table->who, &block, err));
    table->block = block;
    table->block_bytes = block_bytes;
    table->slots = (KeySlot *)(((uintptr_t)block + SLOT_ALIGN - 1) & ~(uintptr_t)(SLOT_ALIGN - 1));
    table->home_count = home_count;
    table->slot_count = slot_count;
    table->home_factor = home_factor(table);
    table->key_count_max = key_count_max(table, home_count);
    table->used_end = 0;
    return STATUS_OK;
}

/* Moves the keys to new slots; an ordered table stays ordered, because slots are read in order. */
static Status slots_rebuild(KeyTable *table, uint64_t home_count, uint64_t tail, Error *err) {
    KeyTable old = *table;
    TRY(slots_create(table, home_count, tail, err));
    if (home_count == old.home_count) { /* a longer tail: everybody keeps his index */
        memcpy(table->slots, old.slots, old.used_end * sizeof(KeySlot));
        table->used_end = old.used_end;
        table->key_count_max = old.key_count_max;
    } else {
        for (uint64_t i = 0; i < old.used_end; i++) {
            if (old.slots[i].hash == KEY_SLOT_EMPTY)
                continue;
            uint64_t at = home_of(table, old.slots[i].hash);
            while (table->slots[at].hash != KEY_SLOT_EMPTY)
                at++;
            table->slots[at] = old.slots[i];
            if (at >= table->used_end)
                table->used_end = at + 1;
        }
    }
    budget_free(table->budget, old.block, old.block_bytes);
    return STATUS_OK;
}

/* Keys that come in the order of their hashes all crowd in the first slots of a table that is sized for as
 * many as there are: every insert would walk over most of them. How densely they stand there tells how many
 * are still to come, so the table grows until they do not. Many keys of one hash look the same, hence the
 * limit; not to have the memory is no reason to refuse anything. */
static inline bool is_crowded(const KeyTable *table) {
    return table->used_end < table->key_count + table->key_count / 8 && table->key_count >= CROWD_MIN &&
           table->home_count / CROWD_HOMES_MAX < table->key_count;
}

static void spread(KeyTable *table) {
    while (is_crowded(table)) {
        uint64_t home_count = 2 * table->home_count;
        if (slots_rebuild(table, home_count, tail_for(home_count), NULL) != STATUS_OK)
            return;
    }
}

/* Room for `more` keys, wherever they hash to, without another rebuild. */
static Status slots_reserve_more(KeyTable *table, uint64_t more, Error *err) {
    if (UNLIKELY(is_crowded(table)))
        spread(table);
    uint64_t home_count = table->home_count, tail = table->slot_count - home_count - 1;
    while (table->key_count + more >
           (home_count == table->home_count ? table->key_count_max : key_count_max(table, home_count)))
        home_count = more_homes(table, home_count);
    /* A run that reaches behind the last home becomes longer by at most one slot a key. More homes never make
     * it longer: of the keys from any home on, no more can be too many for more slots. */
    uint64_t begin = table->used_end > table->home_count ? table->used_end - table->home_count : 0;
    if (LIKELY(home_count == table->home_count && begin + more < tail))
        return STATUS_OK;
    if (begin + more >= tail)
        tail = begin + more + (begin + more) / 8 + TAIL_MIN;
    if (tail < tail_for(home_count))
        tail = tail_for(home_count);
    return slots_rebuild(table, home_count, tail, err);
}

/* Copies what is alive to a new arena, when most of the old one is of removed keys. Not to have the memory
 * for that is no reason to refuse anything. */
static void bytes_compact(KeyTable *table) {
    Arena *bytes = arena_create(table->budget, table->who);
    char *at = table->bytes_live ? arena_alloc(bytes, table->bytes_live) : NULL;
    if (table->bytes_live && !at) {
        arena_destroy(bytes);
        return;
    }
    for (uint64_t i = 0; i < table->used_end; i++) {
        KeySlot *slot = &table->slots[i];
        if (slot->hash == KEY_SLOT_EMPTY || !size_is_long(slot->key.size))
            continue;
        memcpy(at, slot->key.data, slot->key.size);
        slot->key.data = at;
        at += slot->key.size;
    }
    arena_destroy(table->bytes);
    table->bytes = bytes;
    table->bytes_at = table->bytes_end = NULL;
    table->bytes_dead = 0;
}

/* Room for `more` bytes of long keys. */
static Status bytes_reserve_more(KeyTable *table, uint64_t more, Error *err) {
    if (LIKELY(more <= (uint64_t)(table->bytes_end - table->bytes_at)))
        return STATUS_OK;
    if (table->bytes_dead > KEY_BYTES_BLOCK_MAX && table->bytes_dead > table->bytes_live)
        bytes_compact(table);
    uint64_t size = table->bytes_live / 2;
    size = size < KEY_BYTES_BLOCK_MIN   ? KEY_BYTES_BLOCK_MIN
           : size > KEY_BYTES_BLOCK_MAX ? KEY_BYTES_BLOCK_MAX
                                        : size;
    char *block = more <= size ? arena_alloc(table->bytes, size) : NULL;
    if (!block) {
        size = more;
        block = arena_alloc(table->bytes, size);
    }
    if (!block)
        return arena_no_memory(table->bytes, size, err);
    table->bytes_at = block;
    table->bytes_end = block + size;
    return STATUS_OK;
}

/* ---- life ---- */

/* Without an insert beyond what was reserved. */
static uint64_t key_count_reserved(const KeyTable *table, uint64_t home_count) {
    return is_dense_at(table, home_count) ? home_count / 16 * 13 : home_count / 8 * 5;
}

/* The homes that hold so many keys. */
static uint64_t homes_for(const KeyTable *table, uint64_t key_count) {
    uint64_t home_count = HOMES_MIN;
    if (table->is_dense && key_count > DENSE_HOMES_MIN / 2 && key_count < UINT64_C(1) << 59)
        return (key_count / 13 + 1) * 16 > DENSE_HOMES_MIN ? (key_count / 13 + 1) * 16 : DENSE_HOMES_MIN;
    while (home_count / 8 * 5 < key_count && home_count < UINT64_C(1) << 60)
        home_count *= 2;
    return home_count;
}

static void range_set(KeyTable *table, uint64_t hash_begin, uint64_t hash_end) {
    table->hash_begin = hash_begin;
    table->hash_size = hash_end - hash_begin;
    ASSERT(table->hash_size == 0 || table->hash_size >= UINT64_C(1) << 56);
}

Status key_table_create(KeyTableOptions options, KeyTable **out, Error *err) {
    *out = NULL;
    KeyTable *table = xcalloc(1, sizeof *table);
    table->budget = options.budget;
    table->who = options.who ? options.who : "a key table";
    table->is_ordered = true;
    table->is_dense = options.is_dense;
    range_set(table, options.hash_begin, options.hash_end);
    uint64_t home_count = homes_for(table, options.capacity);
    Status st = slots_create(table, home_count, tail_for(home_count), err);
    if (st != STATUS_OK) {
        free(table);
        return st;
    }
    if (options.capacity > table->key_count_max)
        table->key_count_max = key_count_reserved(table, home_count);
    table->bytes = arena_create(table->budget, table->who);
    *out = table;
    return STATUS_OK;
}

void key_table_destroy(KeyTable *table) {
    if (!table)
        return;
    budget_free(table->budget, table->block, table->block_bytes);
    arena_destroy(table->bytes);
    free(table);
}

void key_table_clear(KeyTable *table) {
    uint64_t home_count = homes_for(table, table->key_count), old_home_count = table->home_count;
    KeyTable old = *table;
    bool is_smaller = home_count < old_home_count / 4 &&
                      slots_create(table, home_count, tail_for(home_count), NULL) == STATUS_OK;
    if (is_smaller)
        budget_free(table->budget, old.block, old.block_bytes);
    else
        memset(table->slots, 0, table->used_end * sizeof(KeySlot));
    table->used_end = 0;
    table->key_count = 0;
    table->is_ordered = true;
    arena_reset(table->bytes);
    table->bytes_at = table->bytes_end = NULL;
    table->bytes_live = table->bytes_dead = 0;
}

static Status homes_reserve(KeyTable *table, uint64_t home_count, uint64_t key_count, Error *err) {
    if (home_count > table->home_count) {
        uint64_t tail = table->slot_count - table->home_count - 1;
        TRY(slots_rebuild(table, home_count, tail > tail_for(home_count) ? tail : tail_for(home_count), err));
    }
    if (key_count > table->key_count_max)
        table->key_count_max = key_count_reserved(table, table->home_count);
    return STATUS_OK;
}

Status key_table_reserve(KeyTable *table, uint64_t key_count, Error *err) {
    if (key_count <= table->key_count_max)
        return STATUS_OK;
    return homes_reserve(table, homes_for(table, key_count), key_count, err);
}

Status key_table_reserve_more(KeyTable *table, uint64_t more, Error *err) {
    uint64_t key_count = table->key_count + more;
    if (key_count <= table->key_count_max)
        return STATUS_OK;
    uint64_t least = more_homes(table, table->home_count), wanted = homes_for(table, key_count);
    return homes_reserve(table, wanted > least ? wanted : least, key_count, err);
}

void key_table_set_range(KeyTable *table, uint64_t hash_begin, uint64_t hash_end) {
    ASSERT(table->key_count == 0);
    range_set(table, hash_begin, hash_end);
    table->home_factor = home_factor(table);
}

uint64_t key_table_count(const KeyTable *table) {
    return table->key_count;
}

uint64_t key_table_size_bytes(const KeyTable *table) {
    return table->block_bytes + arena_size_bytes(table->bytes);
}

KeySlot *key_table_slots(const KeyTable *table) {
    return table->slots;
}

uint64_t key_table_slot_count(const KeyTable *table) {
    return table->slot_count;
}

/* ---- one key ---- */

/* The slot of the key, or the empty one where it belongs. `hash` as stored. */
static inline KeySlot *slot_probe(const KeyTable *table, const Key *key, uint64_t hash) {
    KeySlot *slot = &table->slots[home_of(table, hash)];
    while (slot->hash != KEY_SLOT_EMPTY && !slot_holds(slot, key, hash))
        slot++;
    return slot;
}

/* Into the empty slot that slot_probe gave; room was reserved. */
static void slot_insert(KeyTable *table, KeySlot *slot, const Key *key, uint64_t hash) {
    slot->key = *key;
    slot->hash = hash;
    slot->value = 0;
    if (size_is_long(key->size)) {
        memcpy(table->bytes_at, key->data, key->size);
        slot->key.data = table->bytes_at;
        table->bytes_at += key->size;
        table->bytes_live += key->size;
    }
    uint64_t index = (uint64_t)(slot - table->slots);
    if (index >= table->used_end)
        table->used_end = index + 1;
    table->key_count++;
    table->is_ordered = false;
}

static Status reserve_one(KeyTable *table, const Key *key, Error *err) {
    TRY(slots_reserve_more(table, 1, err));
    return size_is_long(key->size) ? bytes_reserve_more(table, key->size, err) : STATUS_OK;
}

KeySlot *key_table_find(const KeyTable *table, const Key *key, uint64_t hash) {
    hash = hash_stored(hash);
    ASSERT(is_in_range(table, hash));
    KeySlot *slot = slot_probe(table, key, hash);
    return slot->hash == KEY_SLOT_EMPTY ? NULL : slot;
}

KeySlot *key_table_next_of_hash(const KeyTable *table, uint64_t hash, KeySlot *after) {
    hash = hash_stored(hash);
    ASSERT(is_in_range(table, hash));
    KeySlot *slot = after ? after + 1 : &table->slots[home_of(table, hash)];
    while (slot->hash != KEY_SLOT_EMPTY && slot->hash != hash)
        slot++;
    return slot->hash == KEY_SLOT_EMPTY ? NULL : slot;
}

Status key_table_upsert(KeyTable *table, const Key *key, uint64_t hash, KeySlot **out, bool *is_new,
                        Error *err) {
    hash = hash_stored(hash);
    ASSERT(is_in_range(table, hash));
    KeySlot *slot = slot_probe(table, key, hash);
    bool inserts = slot->hash == KEY_SLOT_EMPTY;
    if (inserts) {
        const KeySlot *slots = table->slots;
        TRY(reserve_one(table, key, err));
        if (table->slots != slots)
            slot = slot_probe(table, key, hash);
        slot_insert(table, slot, key, hash);
    }
    *out = slot;
    if (is_new)
        *is_new = inserts;
    return STATUS_OK;
}

void key_table_remove(KeyTable *table, KeySlot *slot) {
    ASSERT(slot->hash != KEY_SLOT_EMPTY);
    if (size_is_long(slot->key.size)) {
        table->bytes_live -= slot->key.size;
        table->bytes_dead += slot->key.size;
    }
    /* Whoever may stand in the hole without being before his home moves there, and leaves the next hole. */
    KeySlot *hole = slot;
    for (KeySlot *at = slot + 1; at->hash != KEY_SLOT_EMPTY; at++) {
        if (home_of(table, at->hash) <= (uint64_t)(hole - table->slots)) {
            *hole = *at;
            hole = at;
        }
    }
    memset(hole, 0, sizeof *hole);
    table->key_count--;
}

/* ---- batches ---- */

/* Views that do not stand whole in a slot for everybody to see: long ones, and the empty one, which looks
 * like an empty slot. */
static uint32_t views_count_odd(const View *views, uint32_t count) {
    uint32_t odd = 0;
    for (uint32_t i = 0; i < count; i++)
        odd += views[i].size - 1 >= VIEW_INLINE_MAX;
    return odd;
}

/* Room for every view being new, so that nothing fails half-way and no slot moves. */
static Status reserve_views(KeyTable *table, const View *views, uint32_t count, uint32_t odd, Error *err) {
    uint64_t long_bytes = 0;
    for (uint32_t i = 0; odd && i < count; i++)
        long_bytes += views[i].size > VIEW_INLINE_MAX ? views[i].size : 0;
    TRY(slots_reserve_more(table, count, err));
    return long_bytes ? bytes_reserve_more(table, long_bytes, err) : STATUS_OK;
}

/* What a batched call does with the slot of a row: adds to its value, or notes its index. */
typedef struct RowTask {
    const int64_t *values; /* or NULL: `constant` */
    int64_t constant;
    uint32_t *slots; /* or NULL: add */
} RowTask;

static inline __attribute__((always_inline)) void row_done(const KeyTable *table, RowTask task, uint32_t row,
                                                           KeySlot *slot) {
    if (task.slots)
        task.slots[row] = (uint32_t)(slot - table->slots);
    else
        slot->value += (uint64_t)(task.values ? task.values[row] : task.constant);
}

/* Compares short keys with the slot at their home and lists the rows that are not there: with other keys, and
 * odd ones where there are any. Rows [begin, end) of a block. */
static inline __attribute__((always_inline)) uint32_t match_homes(const KeyTable *table, const View *views,
                                                                  const uint64_t *hashes, uint32_t begin,
                                                                  uint32_t end, RowTask task, bool has_odd,
                                                                  bool prefetches, uint32_t *missed,
                                                                  uint32_t missed_count) {
    KeySlot *const slots = table->slots;
    const uint64_t begin_hash = table->hash_begin, factor = table->home_factor;
    for (uint32_t i = begin; i < end; i++) {
        if (prefetches)
            __builtin_prefetch(&slots[home_at(hashes[i + PREFETCH_DISTANCE], begin_hash, factor)], 1);
        uint64_t home = home_at(hashes[i], begin_hash, factor);
        KeySlot *slot = &slots[home];
        KeyWords key = words_of(&views[i]), there = words_of(&slot->key);
        bool found = ((key.low ^ there.low) | (key.high ^ there.high)) == 0;
        if (has_odd)
            found &= (uint32_t)key.low - 1 < VIEW_INLINE_MAX;
        if (task.slots)
            task.slots[i] = (uint32_t)home;
        else
            slot->value += (uint64_t)(task.values ? task.values[i] : task.constant) & -(uint64_t)found;
        missed[missed_count] = i;
        missed_count += !found;
    }
    return missed_count;
}

/* Of the rows in `missed`: long keys that the slot at their home holds are done; the others are listed in
 * place. */
static inline __attribute__((always_inline)) uint32_t match_long(const KeyTable *table, const View *views,
                                                                 const char *const *bases,
                                                                 const uint64_t *hashes,
                                                                 uint32_t missed_count, RowTask task,
                                                                 bool prefetches, uint32_t *missed) {
    uint32_t candidates[BLOCK_ROWS], candidate_count = 0, kept = 0;
    for (uint32_t m = 0; m < missed_count; m++) {
        if (prefetches && m + PREFETCH_DISTANCE < missed_count)
            __builtin_prefetch(&table->slots[home_of(table, hashes[missed[m + PREFETCH_DISTANCE]])], 1);
        uint32_t row = missed[m];
        const KeySlot *slot = &table->slots[home_of(table, hashes[row])];
        bool agrees = (views[row].size > VIEW_INLINE_MAX) & (slot->hash == hashes[row]) &
                      (words_of(&views[row]).low == words_of(&slot->key).low);
        /* Only a slot with a long key agrees; another one's words are fetched for nothing, which harms
         * nobody. */
        __builtin_prefetch(slot->key.data);
        candidates[candidate_count] = row;
        candidate_count += agrees;
        missed[kept] = row;
        kept += !agrees;
    }
    for (uint32_t c = 0; c < candidate_count; c++) {
        uint32_t row = candidates[c];
        KeySlot *slot = &table->slots[home_of(table, hashes[row])];
        const char *bytes = bases[views[row].buffer] + views[row].offset;
        if (LIKELY(long_bytes_equal(slot->key.data, bytes, views[row].size)))
            row_done(table, task, row, slot);
        else
            missed[kept++] = row;
    }
    return kept;
}

/* What is left of a block: probes on, one by one. */
static inline __attribute__((always_inline)) void rows_probe(KeyTable *table, const View *views,
                                                             const char *const *bases, const uint64_t *hashes,
                                                             RowTask task, const uint32_t *missed,
                                                             uint32_t missed_count) {
    for (uint32_t m = 0; m < missed_count; m++) {
        uint32_t row = missed[m];
        Key key = key_from_view(&views[row], bases);
        uint64_t hash = hash_stored(hashes[row]);
        KeySlot *slot = slot_probe(table, &key, hash);
        if (slot->hash == KEY_SLOT_EMPTY)
            slot_insert(table, slot, &key, hash);
        row_done(table, task, row, slot);
    }
}

/* A block of rows, `odd` of them odd. */
static inline __attribute__((always_inline)) void rows_upsert(KeyTable *table, const View *views,
                                                              const char *const *bases,
                                                              const uint64_t *hashes, uint32_t count,
                                                              uint32_t odd, RowTask task) {
    uint32_t missed[BLOCK_ROWS], missed_count = 0;
    bool prefetches = table->slot_count >= PREFETCH_SLOTS_MIN, mostly_odd = odd > count / 2;
    uint32_t ahead = prefetches && count > PREFETCH_DISTANCE ? count - PREFETCH_DISTANCE : 0;
    if (mostly_odd) {
        for (uint32_t i = 0; i < count; i++)
            missed[i] = i;
        missed_count = count;
    } else if (odd) {
        missed_count = match_homes(table, views, hashes, 0, ahead, task, true, true, missed, 0);
        missed_count =
            match_homes(table, views, hashes, ahead, count, task, true, false, missed, missed_count);
    } else {
        missed_count = match_homes(table, views, hashes, 0, ahead, task, false, true, missed, 0);
        missed_count =
            match_homes(table, views, hashes, ahead, count, task, false, false, missed, missed_count);
    }
    if (odd)
        missed_count =
            match_long(table, views, bases, hashes, missed_count, task, prefetches && mostly_odd, missed);
    rows_probe(table, views, bases, hashes, task, missed, missed_count);
}

/* A copy of the passes for each task, so that none asks per row what to do. */
static void rows_add_constant(KeyTable *table, const View *views, const char *const *bases,
                              const uint64_t *hashes, uint32_t count, uint32_t odd, int64_t constant) {
    rows_upsert(table, views, bases, hashes, count, odd, (RowTask){.constant = constant});
}

static void rows_add_values(KeyTable *table, const View *views, const char *const *bases,
                            const uint64_t *hashes, uint32_t count, uint32_t odd, const int64_t *values) {
    rows_upsert(table, views, bases, hashes, count, odd, (RowTask){.values = values});
}

static void rows_find_slots(KeyTable *table, const View *views, const char *const *bases,
                            const uint64_t *hashes, uint32_t count, uint32_t odd, uint32_t *slots) {
    rows_upsert(table, views, bases, hashes, count, odd, (RowTask){.slots = slots});
}

Status key_table_upsert_views(KeyTable *table, const View *views, const char *const *bases,
                              const uint64_t *hashes, uint32_t count, uint32_t *slots, Error *err) {
    uint32_t odd = views_count_odd(views, count);
    TRY(reserve_views(table, views, count, odd, err));
    if (table->slot_count > UINT32_MAX)
        return error_set(err, STATUS_NO_MEMORY, "%s: more than %" PRIu32 " slots", table->who, UINT32_MAX);
    for (uint32_t done = 0; done < count; done += BLOCK_ROWS) {
        uint32_t rows = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        uint32_t odd_here = odd && rows < count ? views_count_odd(views + done, rows) : odd;
        rows_find_slots(table, views + done, bases, hashes + done, rows, odd_here, slots + done);
    }
    return STATUS_OK;
}

Status key_table_add_i64(KeyTable *table, const View *views, const char *const *bases, const uint64_t *hashes,
                         uint32_t count, const int64_t *values, int64_t constant, Error *err) {
    uint32_t odd = views_count_odd(views, count);
    TRY(reserve_views(table, views, count, odd, err));
    for (uint32_t done = 0; done < count; done += BLOCK_ROWS) {
        uint32_t rows = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        uint32_t odd_here = odd && rows < count ? views_count_odd(views + done, rows) : odd;
        if (values)
            rows_add_values(table, views + done, bases, hashes + done, rows, odd_here, values + done);
        else
            rows_add_constant(table, views + done, bases, hashes + done, rows, odd_here, constant);
    }
    return STATUS_OK;
}

/* ---- order ---- */

static int slot_compare_for_qsort(const void *a, const void *b) {
    return slot_compare(a, b);
}

/* Runs are a few slots long and mostly in order already; only a bad hash makes long ones. */
static void run_sort(KeySlot *run, uint64_t count) {
    if (count > SORT_BY_INSERTION_MAX) {
        qsort(run, count, sizeof *run, slot_compare_for_qsort);
        return;
    }
    for (uint64_t i = 1; i < count; i++) {
        if (slot_compare(&run[i - 1], &run[i]) <= 0)
            continue;
        KeySlot moved = run[i];
        uint64_t at = i;
        for (; at > 0 && slot_compare(&run[at - 1], &moved) > 0; at--)
            run[at] = run[at - 1];
        run[at] = moved;
    }
}

void key_table_order(KeyTable *table) {
    if (table->is_ordered)
        return;
    for (uint64_t i = 0; i < table->used_end;) {
        if (table->slots[i].hash == KEY_SLOT_EMPTY) {
            i++;
            continue;
        }
        uint64_t begin = i;
        while (table->slots[i].hash != KEY_SLOT_EMPTY) /* ends at the last slot: I4 */
            i++;
        run_sort(&table->slots[begin], i - begin);
    }
    table->is_ordered = true;
}

void key_table_order_range(KeyTable *table, uint64_t hash_begin, uint64_t hash_end) {
    if (table->is_ordered)
        return;
    /* Runs that have a home of the range; the first may have begun before it. */
    uint64_t i = hash_begin <= table->hash_begin  ? 0
                 : is_in_range(table, hash_begin) ? home_of(table, hash_begin)
                                                  : table->used_end;
    uint64_t end =
        hash_end && is_in_range(table, hash_end - 1) ? home_of(table, hash_end - 1) + 1 : table->used_end;
    while (i > 0 && table->slots[i - 1].hash != KEY_SLOT_EMPTY)
        i--;
    while (i < end && i < table->used_end) {
        uint64_t begin = i;
        while (table->slots[i].hash != KEY_SLOT_EMPTY)
            i++;
        run_sort(&table->slots[begin], i - begin);
        i++;
    }
}

Status key_table_append(KeyTable *table, const Key *key, uint64_t hash, uint64_t value, Error *err) {
    hash = hash_stored(hash);
    while (table->used_end > 0 && table->slots[table->used_end - 1].hash == KEY_SLOT_EMPTY)
        table->used_end--;
    if (table->used_end > 0) {
        const KeySlot *last = &table->slots[table->used_end - 1];
        if (!table->is_ordered || last->hash > hash ||
            (last->hash == hash && key_compare(&last->key, key) >= 0))
            return error_set(err, STATUS_INVALID, "%s: keys to append are not in order", table->who);
    }
    ASSERT(is_in_range(table, hash));
    TRY(reserve_one(table, key, err));
    uint64_t home = home_of(table, hash);
    slot_insert(table, &table->slots[home > table->used_end ? home : table->used_end], key, hash);
    table->slots[table->used_end - 1].value = value;
    table->is_ordered = true;
    return STATUS_OK;
}

uint64_t key_table_first(const KeyTable *table, uint64_t hash_begin) {
    /* Smaller hashes can only stand here in a run that covers this home from before. */
    if (hash_begin <= table->hash_begin)
        return 0;
    if (!is_in_range(table, hash_begin))
        return table->used_end;
    uint64_t i = home_of(table, hash_begin);
    while (table->slots[i].hash != KEY_SLOT_EMPTY && table->slots[i].hash < hash_begin)
        i++;
    return i;
}

KeySlot *key_table_next(const KeyTable *table, uint64_t *cursor, uint64_t hash_end) {
    for (uint64_t i = *cursor; i < table->used_end; i++) {
        KeySlot *slot = &table->slots[i];
        if (slot->hash == KEY_SLOT_EMPTY)
            continue;
        bool is_inside = !hash_end || slot->hash < hash_end;
        *cursor = is_inside ? i + 1 : i;
        return is_inside ? slot : NULL;
    }
    *cursor = table->used_end;
    return NULL;
}

void key_table_verify(const KeyTable *table) {
    uint64_t key_count = 0, run_begin = 0;
    const KeySlot *previous = NULL;
    ASSERT(table->is_dense || (table->home_count & (table->home_count - 1)) == 0);
    ASSERT(table->slot_count > table->home_count);
    ASSERT(table->used_end < table->slot_count);
    for (uint64_t i = 0; i < table->slot_count; i++) {
        const KeySlot *slot = &table->slots[i];
        if (slot->hash == KEY_SLOT_EMPTY) {
            static const KeySlot empty;
            ASSERT(memcmp(slot, &empty, sizeof empty) == 0);
            run_begin = i + 1;
            continue;
        }
        uint64_t home = home_of(table, slot->hash);
        ASSERT(is_in_range(table, slot->hash)); /* I5 */
        ASSERT(run_begin <= home && home <= i); /* I1 */
        ASSERT(i < table->used_end);            /* I4, with used_end < slot_count */
        if (table->is_ordered)
            ASSERT(!previous || slot_compare(previous, slot) < 0); /* I2 */
        previous = slot;
        key_count++;
    }
    ASSERT(key_count == table->key_count);
}

/* ---- partitions ---- */

uint64_t key_partition_begin(uint32_t index, uint32_t count) {
    ASSERT(count >= 1 && count <= 256 && index <= count);
    return (uint64_t)(256 * index / count) << 56; /* 256 becomes 0: no end */
}

/* The largest p with 256 * p / count <= group. */
uint32_t key_partition_of(uint64_t hash, uint32_t count) {
    uint32_t group = (uint32_t)(hash >> 56);
    return ((group + 1) * count - 1) / 256;
}
