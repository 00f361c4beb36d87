#include "check.h"
#include "base/bytes.h"
#include "base/random.h"
#include "column/codec.h"
#include "state/key_table.h"
#include <stdlib.h>

/* ---- a model: an array, searched from end to end ---- */

typedef struct ModelEntry {
    char bytes[48];
    uint32_t size;
    uint64_t hash, value;
} ModelEntry;

typedef struct Model {
    ModelEntry *at;
    size_t count, capacity;
} Model;

static Key entry_key(const ModelEntry *entry) {
    return entry->size == KEY_NULL_SIZE ? key_null() : key_from_str((Str){entry->bytes, entry->size});
}

static bool entry_is(const ModelEntry *a, const ModelEntry *b) {
    return a->size == b->size && (a->size == KEY_NULL_SIZE || memcmp(a->bytes, b->bytes, a->size) == 0);
}

static ModelEntry *model_find(const Model *model, const ModelEntry *key) {
    for (size_t i = 0; i < model->count; i++) {
        if (entry_is(&model->at[i], key))
            return &model->at[i];
    }
    return NULL;
}

static ModelEntry *model_upsert(Model *model, const ModelEntry *key) {
    ModelEntry *found = model_find(model, key);
    if (found)
        return found;
    if (model->count == model->capacity)
        model->at = xrealloc(model->at, (model->capacity = model->capacity * 2 + 16) * sizeof *model->at);
    model->at[model->count] = *key;
    model->at[model->count].value = 0;
    return &model->at[model->count++];
}

static void check_same(KeyTable *table, const Model *model) {
    key_table_verify(table);
    CHECK_EQ(key_table_count(table), model->count);
    size_t wrong = 0;
    for (size_t i = 0; i < model->count; i++) {
        Key key = entry_key(&model->at[i]);
        const KeySlot *slot = key_table_find(table, &key, model->at[i].hash);
        wrong += !slot || slot->value != model->at[i].value;
    }
    CHECK_EQ(wrong, 0);
}

/* ---- random keys: sizes around the inline limit, few enough bytes that keys meet again ---- */

typedef enum HashKind {
    HASH_REAL,
    HASH_CONSTANT,
    HASH_LOWEST,
    HASH_HIGHEST,
    HASH_FEW,
    HASH_KIND_COUNT
} HashKind;

static uint64_t hash_of(HashKind kind, uint64_t real) {
    switch (kind) {
    case HASH_CONSTANT:
        return UINT64_C(0x8000000000000001);
    case HASH_LOWEST:
        return 0;
    case HASH_HIGHEST:
        return UINT64_MAX;
    case HASH_FEW:
        return (real % 5) << 62 | (real % 3 ? 0 : UINT64_MAX >> 2);
    default:
        return real;
    }
}

static ModelEntry random_key(Random *random, HashKind kind, bool may_be_null) {
    ModelEntry entry = {.size = (uint32_t)random_below(random, random_below(random, 4) ? 14 : 48)};
    uint64_t letters = entry.size < 3 ? 26 : entry.size < 13 ? 3 : 2;
    for (uint32_t i = 0; i < entry.size; i++)
        entry.bytes[i] =
            (char)(i < 4 || i % 8 == 7 || i + 1 == entry.size ? 'a' + random_below(random, letters) : 0);
    if (may_be_null && random_below(random, 50) == 0)
        entry.size = KEY_NULL_SIZE;
    Key key = entry_key(&entry);
    entry.hash = hash_of(kind, key_hash(&key));
    return entry;
}

static KeyTable *table_create(uint64_t capacity, Budget *budget) {
    KeyTable *table = NULL;
    Error err = {0};
    REQUIRE(CHECK_OK(
        key_table_create((KeyTableOptions){.capacity = capacity, .budget = budget, .who = "the test"}, &table,
                         &err),
        err));
    return table;
}

/* ---- tests ---- */

TEST(keys_are_made_and_read) {
    char text[] = "a key that is longer than twelve bytes";
    const char *base = text;
    for (uint32_t size = 0; size < sizeof text; size++) {
        Str bytes = {text, size};
        Key key = key_from_str(bytes);
        View view = view_of(bytes, 0, 0);
        Key from_view = key_from_view(&view, &base);
        CHECK(str_equal(key_str(&key), bytes));
        CHECK(memcmp(&key, &from_view, sizeof key) == 0);
        CHECK(key_hash(&key) == hash_bytes(text, size));
    }
    Key null = key_null(), empty = key_from_str(STR(""));
    CHECK_EQ(key_str(&null).size, 0);
    CHECK(key_hash(&null) != key_hash(&empty));
}

TEST(tables_do_what_a_model_does) {
    Random random;
    random_init(&random, check_seed());
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        Model model = {0};
        KeyTable *table = table_create(kind % 2 ? 0 : 100, NULL);
        Error err = {0};
        uint64_t steps = kind == HASH_REAL ? 6000 : 1200;
        for (uint64_t step = 0; step < steps; step++) {
            ModelEntry key = random_key(&random, kind, true);
            Key asked = entry_key(&key);
            uint64_t action = random_below(&random, 100);
            if (action < 60) {
                bool is_new = false, expects_new = !model_find(&model, &key);
                KeySlot *slot = NULL;
                ModelEntry *entry = model_upsert(&model, &key);
                REQUIRE(CHECK_OK(key_table_upsert(table, &asked, key.hash, &slot, &is_new, &err), err));
                CHECK(is_new == expects_new && slot->value == entry->value);
                CHECK(str_equal(key_str(&slot->key), key_str(&asked)));
                slot->value = entry->value = random_u64(&random);
            } else if (action < 75) {
                ModelEntry *entry = model_find(&model, &key);
                KeySlot *slot = key_table_find(table, &asked, key.hash);
                CHECK(!entry == !slot);
                CHECK(!entry || !slot || slot->value == entry->value);
            } else if (action < 97 || model.count == 0) {
                ModelEntry *entry = action % 2 && model.count ? &model.at[random_below(&random, model.count)]
                                                              : model_find(&model, &key);
                if (entry) {
                    Key gone = entry_key(entry);
                    KeySlot *slot = key_table_find(table, &gone, entry->hash);
                    REQUIRE(CHECK(slot != NULL));
                    key_table_remove(table, slot);
                    *entry = model.at[--model.count];
                }
            } else if (action < 99) {
                key_table_order(table);
            } else if (random_below(&random, 8) == 0) {
                key_table_clear(table);
                model.count = 0;
            }
            if (step % 97 == 0)
                check_same(table, &model);
        }
        check_same(table, &model);
        key_table_order(table);
        check_same(table, &model);
        key_table_destroy(table);
        free(model.at);
    }
}

/* A table of one partition of eight, of sizes at which it is dense: every key is found, on the way up and on
 * the way down, and it takes what it promises. */
TEST(dense_tables_of_a_range) {
    enum { KEYS = 40000 };
    uint64_t *numbers = xmalloc(KEYS * sizeof *numbers);
    for (uint32_t partition = 0; partition < 8; partition++) {
        KeyTableOptions options = {.hash_begin = key_partition_begin(partition, 8),
                                   .hash_end = key_partition_begin(partition + 1, 8),
                                   .is_dense = true};
        Error err = {0};
        KeyTable *table;
        REQUIRE(CHECK_OK(key_table_create(options, &table, &err), err));
        uint32_t count = 0;
        for (uint64_t number = partition; count < KEYS; number++) {
            Key key = key_from_str((Str){(const char *)&number, sizeof number});
            KeySlot *slot;
            if (key_partition_of(key_hash(&key), 8) != partition)
                continue;
            if (count % 5000 == 4999)
                REQUIRE(CHECK_OK(key_table_reserve_more(table, 1 + count % 3 * 400, &err), err));
            REQUIRE(CHECK_OK(key_table_upsert(table, &key, key_hash(&key), &slot, NULL, &err), err));
            slot->value = number;
            numbers[count++] = number;
            if (count % 4001 == 0)
                key_table_verify(table);
            if (count > 20000)
                CHECK(key_table_size_bytes(table) < 49 * (uint64_t)count + (2300 + 128) * sizeof(KeySlot));
        }
        key_table_order(table);
        key_table_verify(table);
        size_t wrong = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            Key key = key_from_str((Str){(const char *)&numbers[i], sizeof numbers[i]});
            KeySlot *slot = key_table_find(table, &key, key_hash(&key));
            wrong += !slot || slot->value != numbers[i];
            if (i % 2 && slot)
                key_table_remove(table, slot);
        }
        CHECK_EQ(wrong, 0);
        key_table_verify(table);
        uint64_t seen = 0;
        uint64_t middle = options.hash_begin + (UINT64_C(1) << 60); /* in two ranges that meet */
        for (uint64_t at = key_table_first(table, 0); key_table_next(table, &at, middle);)
            seen++;
        for (uint64_t at = key_table_first(table, middle); key_table_next(table, &at, options.hash_end);)
            seen++;
        CHECK_EQ(seen, KEYS / 2);
        uint64_t at = key_table_first(table, options.hash_end ? options.hash_end : UINT64_MAX);
        CHECK(!key_table_next(table, &at, 0));
        key_table_destroy(table);
    }
    free(numbers);
}

enum { BATCH_MAX = 5000 };

typedef struct Batch {
    ModelEntry keys[BATCH_MAX];
    View views[BATCH_MAX];
    uint64_t hashes[BATCH_MAX];
    int64_t values[BATCH_MAX];
    uint32_t slots[BATCH_MAX];
    char text[BATCH_MAX * 48];
    const char *bases[3];
    uint32_t count;
} Batch;

/* Long keys stand in buffer 2, without a byte between them. */
static void batch_fill(Batch *batch, Random *random, HashKind kind, uint32_t count, int size_kind) {
    uint32_t offset = 0;
    batch->bases[0] = batch->bases[1] = NULL;
    batch->bases[2] = batch->text;
    batch->count = count;
    for (uint32_t i = 0; i < count; i++) {
        ModelEntry key;
        do
            key = random_key(random, kind, false);
        while ((size_kind == 1 && key.size > VIEW_INLINE_MAX) ||
               (size_kind == 2 && key.size <= VIEW_INLINE_MAX && random_below(random, 10)));
        batch->keys[i] = key;
        batch->hashes[i] = key.hash;
        batch->values[i] = (int64_t)random_u64(random);
        batch->views[i] = view_of((Str){key.bytes, key.size}, 2, offset);
        if (key.size > VIEW_INLINE_MAX) {
            memcpy(batch->text + offset, key.bytes, key.size);
            offset += key.size;
        }
    }
}

TEST(batches_do_what_a_model_does) {
    Random random;
    random_init(&random, check_seed());
    Batch *batch = xmalloc(sizeof *batch);
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        for (int size_kind = 0; size_kind < 3; size_kind++) {
            Model model = {0};
            KeyTable *table = table_create(0, NULL);
            Error err = {0};
            int rounds = kind == HASH_REAL ? 12 : 4;
            for (int round = 0; round < rounds; round++) {
                uint64_t count_end = kind != HASH_REAL ? 150 : round == 5 ? BATCH_MAX : 700;
                batch_fill(batch, &random, kind, (uint32_t)random_below(&random, count_end), size_kind);
                if (round % 3 == 2) {
                    REQUIRE(CHECK_OK(key_table_upsert_views(table, batch->views, batch->bases, batch->hashes,
                                                            batch->count, batch->slots, &err),
                                     err));
                    KeySlot *slots = key_table_slots(table);
                    for (uint32_t i = 0; i < batch->count; i++) {
                        Key key = entry_key(&batch->keys[i]);
                        model_upsert(&model, &batch->keys[i]);
                        REQUIRE(batch->slots[i] < key_table_slot_count(table));
                        CHECK(&slots[batch->slots[i]] == key_table_find(table, &key, batch->hashes[i]));
                    }
                } else {
                    const int64_t *values = round % 3 ? batch->values : NULL;
                    REQUIRE(CHECK_OK(key_table_add_i64(table, batch->views, batch->bases, batch->hashes,
                                                       batch->count, values, -3, &err),
                                     err));
                    for (uint32_t i = 0; i < batch->count; i++)
                        model_upsert(&model, &batch->keys[i])->value += (uint64_t)(values ? values[i] : -3);
                }
                check_same(table, &model);
                if (round % 4 == 3)
                    key_table_order(table);
            }
            key_table_destroy(table);
            free(model.at);
        }
    }
    free(batch);
}

/* A table large enough for the prefetching passes, with more than one block of rows. */
TEST(large_tables_count_right) {
    Random random;
    random_init(&random, check_seed());
    enum { KEYS = 60000, ROWS = 4096 };
    KeyTable *table = table_create(0, NULL);
    Error err = {0};
    uint64_t *expected = xcalloc(KEYS, sizeof *expected);
    View *views = xmalloc(ROWS * sizeof *views);
    uint64_t *hashes = xmalloc(ROWS * sizeof *hashes);
    for (int round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            uint64_t number = random_below(&random, KEYS);
            views[i] = view_of((Str){(const char *)&number, sizeof number}, 0, 0);
            hashes[i] = hash_bytes(&number, sizeof number);
            expected[number]++;
        }
        REQUIRE(CHECK_OK(key_table_add_i64(table, views, NULL, hashes, ROWS, NULL, 1, &err), err));
    }
    key_table_verify(table);
    size_t wrong = 0, distinct = 0;
    for (uint64_t number = 0; number < KEYS; number++) {
        Key key = key_from_str((Str){(const char *)&number, sizeof number});
        const KeySlot *slot = key_table_find(table, &key, key_hash(&key));
        wrong += (slot ? slot->value : 0) != expected[number];
        distinct += expected[number] != 0;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(key_table_count(table), distinct);
    free(expected);
    free(views);
    free(hashes);
    key_table_destroy(table);
}

/* The same keys in another order of inserts, in tables of another size: the same iteration. And what
 * iteration gives can be appended to a new table, which then iterates the same again. */
TEST(order_does_not_depend_on_history) {
    Random random;
    random_init(&random, check_seed());
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        Model model = {0};
        for (int i = 0; i < 900; i++) {
            ModelEntry key = random_key(&random, kind, true);
            model_upsert(&model, &key)->value = random_u64(&random);
        }
        KeyTable *tables[3] = {table_create(0, NULL), table_create(5000, NULL), table_create(0, NULL)};
        Error err = {0};
        for (int t = 0; t < 2; t++) {
            for (size_t i = 0; i < model.count; i++) {
                ModelEntry *entry = &model.at[t ? model.count - 1 - i : i];
                Key key = entry_key(entry);
                KeySlot *slot;
                REQUIRE(CHECK_OK(key_table_upsert(tables[t], &key, entry->hash, &slot, NULL, &err), err));
                slot->value = entry->value;
            }
            key_table_order(tables[t]);
        }
        uint64_t cursor[2] = {key_table_first(tables[0], 0), key_table_first(tables[1], 0)}, seen = 0;
        REQUIRE(CHECK_OK(key_table_reserve(tables[2], model.count, &err), err));
        for (KeySlot *a, *b; (a = key_table_next(tables[0], &cursor[0], 0));) {
            REQUIRE(b = key_table_next(tables[1], &cursor[1], 0));
            CHECK(str_equal(key_str(&a->key), key_str(&b->key)) && a->value == b->value &&
                  a->hash == b->hash);
            REQUIRE(CHECK_OK(key_table_append(tables[2], &a->key, a->hash, a->value, &err), err));
            CHECK(key_table_append(tables[2], &a->key, a->hash, a->value, NULL) == STATUS_INVALID);
            seen++;
        }
        CHECK(!key_table_next(tables[1], &cursor[1], 0));
        CHECK_EQ(seen, model.count);
        check_same(tables[2], &model);
        key_table_order(tables[2]);
        check_same(tables[2], &model);
        for (int t = 0; t < 3; t++)
            key_table_destroy(tables[t]);
        free(model.at);
    }
}

TEST(append_wants_order) {
    KeyTable *table = table_create(10, NULL);
    Error err = {0};
    Key a = key_from_str(STR("a")), b = key_from_str(STR("b")), longer = key_from_str(STR("aa"));
    CHECK_OK(key_table_append(table, &b, 7, 1, &err), err);
    CHECK(key_table_append(table, &a, 7, 1, &err) == STATUS_INVALID);
    CHECK(key_table_append(table, &longer, 6, 1, &err) == STATUS_INVALID);
    CHECK_EQ(key_table_count(table), 1);
    CHECK_OK(key_table_append(table, &longer, 7, 1, &err), err);
    CHECK_OK(key_table_append(table, &a, 8, 1, &err), err);
    key_table_remove(table, key_table_find(table, &a, 8));
    CHECK_OK(key_table_append(table, &b, 8, 1, &err), err);
    key_table_verify(table);
    KeySlot *slot;
    CHECK_OK(key_table_upsert(table, &a, 9, &slot, NULL, &err), err);
    CHECK(key_table_append(table, &a, 10, 1, &err) == STATUS_INVALID); /* not ordered any more */
    key_table_order(table);
    CHECK_OK(key_table_append(table, &a, 10, 1, &err), err);
    key_table_verify(table);
    key_table_destroy(table);
}

TEST(partitions_cover_all_hashes) {
    Random random;
    random_init(&random, check_seed());
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 6, 7, 13, 100, 255, 256};
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        uint32_t count = counts[c];
        CHECK(key_partition_begin(0, count) == 0 && key_partition_begin(count, count) == 0);
        for (uint32_t group = 0; group < 256; group++) {
            uint32_t p = key_partition_of((uint64_t)group << 56 | 12345, count);
            REQUIRE(p < count);
            CHECK(group >= 256 * p / count && group < 256 * (p + 1) / count);
        }
    }
    /* Over a table: every key in exactly one partition, the right one. */
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        KeyTable *table = table_create(0, NULL);
        Error err = {0};
        for (int i = 0; i < 1000; i++) {
            ModelEntry entry = random_key(&random, kind, true);
            Key key = entry_key(&entry);
            KeySlot *slot;
            REQUIRE(CHECK_OK(key_table_upsert(table, &key, entry.hash, &slot, NULL, &err), err));
        }
        key_table_order(table);
        for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
            uint64_t seen = 0, wrong = 0;
            for (uint32_t p = 0; p < counts[c]; p++) {
                uint64_t end = key_partition_begin(p + 1, counts[c]);
                uint64_t cursor = key_table_first(table, key_partition_begin(p, counts[c]));
                for (KeySlot *slot; (slot = key_table_next(table, &cursor, end)); seen++)
                    wrong += key_partition_of(slot->hash, counts[c]) != p;
                CHECK(!key_table_next(table, &cursor, end));
            }
            CHECK_EQ(wrong, 0);
            CHECK_EQ(seen, key_table_count(table));
        }
        key_table_destroy(table);
    }
}

/* Reads of any range of hashes, not only of whole groups. */
TEST(ranges_of_hashes_are_read) {
    KeyTable *table = table_create(0, NULL);
    Error err = {0};
    for (uint64_t i = 0; i < 500; i++) {
        Key key = key_from_str((Str){(const char *)&i, sizeof i});
        KeySlot *slot;
        CHECK_OK(key_table_upsert(table, &key, (i * 7 % 500 / 10) << 52, &slot, NULL, &err), err);
    }
    key_table_order(table);
    for (uint64_t begin = 0; begin < 50; begin++) {
        uint64_t cursor = key_table_first(table, begin << 52), seen = 0;
        while (key_table_next(table, &cursor, (begin + 3) << 52))
            seen++;
        CHECK_EQ(seen, begin <= 47 ? 30 : (50 - begin) * 10);
    }
    key_table_destroy(table);
}

/* Range by range, each ordered only when it is read, as inserts go on. */
TEST(a_range_is_ordered_for_itself) {
    Random random;
    random_init(&random, check_seed());
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        KeyTable *table = table_create(0, NULL), *whole = table_create(0, NULL);
        Error err = {0};
        for (uint32_t g = 0; g < KEY_GROUP_COUNT; g++) {
            for (int i = 0; i < 8; i++) {
                ModelEntry entry = random_key(&random, kind, true);
                Key key = entry_key(&entry);
                KeySlot *slot;
                REQUIRE(CHECK_OK(key_table_upsert(table, &key, entry.hash, &slot, NULL, &err), err));
                REQUIRE(CHECK_OK(key_table_upsert(whole, &key, entry.hash, &slot, NULL, &err), err));
            }
            uint64_t begin = key_partition_begin(g, KEY_GROUP_COUNT),
                     end = key_partition_begin(g + 1, KEY_GROUP_COUNT);
            key_table_order_range(table, begin, end);
            key_table_order(whole);
            uint64_t cursor = key_table_first(table, begin), wanted_cursor = key_table_first(whole, begin);
            KeySlot *slot, *wanted;
            do {
                slot = key_table_next(table, &cursor, end);
                wanted = key_table_next(whole, &wanted_cursor, end);
                CHECK(!slot == !wanted && (!slot || (slot->hash == wanted->hash &&
                                                     str_equal(key_str(&slot->key), key_str(&wanted->key)))));
            } while (slot && wanted);
        }
        key_table_verify(table);
        key_table_destroy(table);
        key_table_destroy(whole);
    }
}

TEST(refusals_change_nothing) {
    Random random;
    random_init(&random, check_seed());
    Batch *batch = xmalloc(sizeof *batch);
    for (HashKind kind = 0; kind < HASH_KIND_COUNT; kind++) {
        for (uint64_t limit = 1000; limit < 400000; limit = limit * 3 / 2) {
            Budget budget;
            Model model = {0};
            Error err = {0};
            budget_init(&budget, "test", limit, NULL);
            KeyTable *table = NULL;
            Status st =
                key_table_create((KeyTableOptions){.budget = &budget, .who = "the test"}, &table, &err);
            CHECK((st == STATUS_OK) == (table != NULL));
            int refused = st != STATUS_OK;
            for (int round = 0; table && round < 8; round++) {
                batch_fill(batch, &random, kind, kind == HASH_REAL ? 400 : 60, round % 3);
                st = key_table_add_i64(table, batch->views, batch->bases, batch->hashes, batch->count, NULL,
                                       1, &err);
                for (uint32_t i = 0; st == STATUS_OK && i < batch->count; i++)
                    model_upsert(&model, &batch->keys[i])->value++;
                refused += st != STATUS_OK;
                CHECK(st == STATUS_OK || (st == STATUS_NO_MEMORY && strstr(err.message, "the test")));
                check_same(table, &model);
                for (uint32_t i = 0; i < 40; i++) {
                    Key key = entry_key(&batch->keys[i]);
                    KeySlot *slot = NULL;
                    st = key_table_upsert(table, &key, batch->hashes[i], &slot, NULL, &err);
                    if (st == STATUS_OK)
                        slot->value = model_upsert(&model, &batch->keys[i])->value += 5;
                    refused += st != STATUS_OK;
                }
                check_same(table, &model);
                refused += key_table_reserve(table, model.count * 3, &err) != STATUS_OK;
                check_same(table, &model);
            }
            if (limit < 20000)
                CHECK(refused > 0);
            key_table_destroy(table);
            CHECK_EQ(budget.used_bytes, 0);
            free(model.at);
        }
    }
    free(batch);
}

/* Long keys that come and go: their bytes are given back although the table never grows. */
TEST(bytes_of_removed_keys_are_given_back) {
    KeyTable *table = table_create(1000, NULL);
    Error err = {0};
    uint64_t size_max = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        char text[2048] = {0};
        KeySlot *slot;
        memcpy(text + 100, &i, sizeof i);
        Key key = key_from_str((Str){text, sizeof text});
        REQUIRE(CHECK_OK(key_table_upsert(table, &key, key_hash(&key), &slot, NULL, &err), err));
        slot->value = i;
        if (i >= 20) {
            uint64_t old = i - 20;
            memcpy(text + 100, &old, sizeof old);
            slot = key_table_find(table, &key, key_hash(&key));
            REQUIRE(slot && slot->value == old);
            key_table_remove(table, slot);
        }
        size_max = key_table_size_bytes(table) > size_max ? key_table_size_bytes(table) : size_max;
    }
    key_table_verify(table);
    CHECK_EQ(key_table_count(table), 20);
    CHECK(size_max < 4 << 20);
    key_table_destroy(table);
}

/* Reserving keeps the slots where they are: pointers taken before stay right. */
TEST(reserved_tables_do_not_move) {
    KeyTable *table = table_create(0, NULL);
    Error err = {0};
    KeySlot *first = NULL;
    CHECK_OK(key_table_reserve(table, 10000, &err), err);
    for (uint64_t i = 0; i < 10000; i++) {
        Key key = key_from_str((Str){(const char *)&i, sizeof i});
        KeySlot *slot;
        REQUIRE(CHECK_OK(key_table_upsert(table, &key, key_hash(&key), &slot, NULL, &err), err));
        if (i == 0)
            first = slot;
    }
    Key zero = key_from_str((Str){"\0\0\0\0\0\0\0", 8});
    CHECK(key_table_find(table, &zero, key_hash(&zero)) == first);
    CHECK(key_table_slot_count(table) < 20000);
    key_table_clear(table);
    CHECK_EQ(key_table_count(table), 0);
    CHECK(!key_table_find(table, &zero, key_hash(&zero)));
    key_table_verify(table);
    key_table_clear(table); /* the last contents needed nothing */
    CHECK(key_table_slot_count(table) < 1000);
    key_table_verify(table);
    key_table_destroy(table);
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Without room from the start: the first thousands tell how many there will be. */
TEST(keys_in_the_order_of_their_hashes_do_not_crowd) {
    enum { COUNT = 200000 };
    uint64_t *hashes = xmalloc(COUNT * sizeof *hashes);
    Random random;
    random_init(&random, check_seed());
    for (int i = 0; i < COUNT; i++)
        hashes[i] = random_u64(&random);
    qsort(hashes, COUNT, sizeof *hashes, compare_hashes);
    for (int is_dense = 0; is_dense < 2; is_dense++) {
        KeyTable *table;
        REQUIRE(key_table_create((KeyTableOptions){.is_dense = is_dense}, &table, NULL) == STATUS_OK);
        for (int i = 0; i < COUNT; i++) {
            KeySlot *slot;
            bool is_new;
            Key key = key_from_str((Str){(const char *)&hashes[i], sizeof hashes[i]});
            REQUIRE(key_table_upsert(table, &key, hashes[i], &slot, &is_new, NULL) == STATUS_OK && is_new);
            if (i == COUNT / 20)
                CHECK(key_table_slot_count(table) > COUNT);
        }
        CHECK_EQ(key_table_count(table), COUNT);
        CHECK(key_table_slot_count(table) < 8 * COUNT);
        key_table_verify(table);
        key_table_destroy(table);
    }
    free(hashes);
}

TEST_MAIN()
