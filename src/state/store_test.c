#include "state/store.h"

#include "base/random.h"
#include "check.h"

#include <stdlib.h>

/* ---- a map to compare with: sorted by nothing, searched from the start ---- */

enum { KEYS = 300, VALUE_MAX = 6000 };

typedef struct Model {
    bool is_there[KEYS];
    Text values[KEYS];
} Model;

static void model_put(Model *model, size_t i, Str value) {
    model->is_there[i] = true;
    text_reset(&model->values[i]);
    text_append(&model->values[i], value);
}

static void model_copy(Model *to, const Model *from) {
    for (size_t i = 0; i < KEYS; i++) {
        to->is_there[i] = from->is_there[i];
        text_reset(&to->values[i]);
        text_append(&to->values[i], text_str(&from->values[i]));
    }
}

static void model_deinit(Model *model) {
    for (size_t i = 0; i < KEYS; i++)
        text_deinit(&model->values[i]);
}

/* Key 0 is the null key, 1 the empty one; the others are short and long by turns. */
static Key key_of(size_t i, char *room) {
    if (i == 0)
        return key_null();
    int size = i == 1 ? 0 : snprintf(room, 64, i % 3 ? "%zu" : "a key that is long, number %zu", i);
    return key_from_str(str_slice(room, (size_t)size));
}

static Str random_value(Random *random, char *room) {
    static const size_t sizes[] = {8, 8, 8, 8, 0, 1, 7, 9, 16, 100, 5000};
    size_t size = sizes[random_below(random, ARRAY_COUNT(sizes))];
    for (size_t i = 0; i < size; i++)
        room[i] = (char)random_below(random, 3);
    if (size == 8 && random_below(random, 4) == 0) /* looks like a tagged word */
        memcpy(room + 6, "\x5a\x8f", 2);
    return str_slice(room, size);
}

static bool agrees(StateStore *store, const Model *model) {
    bool same = true;
    size_t live = 0;
    char room[64];
    for (size_t i = 0; i < KEYS; i++) {
        Key key = key_of(i, room);
        Str value = {0};
        bool is_there = state_store_find(store, &key, key_hash(&key), &value);
        same &= is_there == model->is_there[i];
        same &= !is_there || leat_str_equal(value, text_str(&model->values[i]));
        live += model->is_there[i];
    }
    uint64_t last_hash = 0;
    size_t seen = 0;
    for (StateScan scan = state_store_scan(store); state_store_next(&scan); seen++) {
        same &= scan.hash >= last_hash;
        last_hash = scan.hash;
    }
    return same && seen == live && state_store_stats(store).key_count == live;
}

/* ---- saves as bytes, given in pieces of a size ---- */

static Status write_to_text(void *self, Str piece, Error *err) {
    (void)err;
    text_append(self, piece);
    return STATUS_OK;
}

typedef struct Pieces {
    Str rest;
    size_t size;
} Pieces;

static Status read_piece(void *self, Str *piece, Error *err) {
    (void)err;
    Pieces *pieces = self;
    size_t size = pieces->size < pieces->rest.size ? pieces->size : pieces->rest.size;
    *piece = str_slice(pieces->rest.data, size);
    pieces->rest = str_slice(pieces->rest.data + size, pieces->rest.size - size);
    return STATUS_OK;
}

static Text save_range(StateStore *store, HashRange range) {
    Error err = {0};
    Text bytes = {0};
    CHECK_OK(state_store_save(store, range, (StateSink){write_to_text, &bytes}, &err), err);
    return bytes;
}

static Status load_range(StateStore *store, HashRange range, Str bytes, size_t piece_size, Error *err) {
    Pieces pieces = {bytes, piece_size};
    return state_store_load(store, range, (StateFeed){read_piece, &pieces}, err);
}

static const HashRange everything = {0, 0};

static Text save(StateStore *store) {
    return save_range(store, everything);
}

static Status load(StateStore *store, Str bytes, size_t piece_size, Error *err) {
    return load_range(store, everything, bytes, piece_size, err);
}

static StateStore *create(Budget *budget) {
    Error err = {0};
    StateStore *store;
    REQUIRE(
        CHECK_OK(state_store_create((StateStoreOptions){.budget = budget, .who = "op"}, &store, &err), err));
    return store;
}

static void put(StateStore *store, const char *key_text, const char *value) {
    Error err = {0};
    Key key = key_from_str(str_from(key_text));
    CHECK_OK(state_store_put(store, &key, key_hash(&key), str_from(value), &err), err);
}

static void drop(StateStore *store, const char *key_text) {
    Error err = {0};
    Key key = key_from_str(str_from(key_text));
    CHECK_OK(state_store_remove(store, &key, key_hash(&key), &err), err);
}

static const char *get(StateStore *store, const char *key_text) {
    static char room[64];
    Key key = key_from_str(str_from(key_text));
    Str value;
    if (!state_store_find(store, &key, key_hash(&key), &value))
        return "absent";
    snprintf(room, sizeof room, "%.*s", STR_ARG(value));
    return room;
}

/* ---- by hand ---- */

TEST(a_rollback_gives_back_the_last_kept_batch) {
    StateStore *store = create(NULL);
    state_store_begin(store);
    put(store, "a", "eight by");
    put(store, "b", "of another size");
    state_store_keep(store);
    state_store_begin(store);
    put(store, "a", "eight BY");
    put(store, "a", "longer than before");
    drop(store, "b");
    put(store, "c", "new");
    CHECK_STR(get(store, "a"), "longer than before");
    CHECK_STR(get(store, "b"), "absent");
    state_store_verify(store);
    state_store_rollback(store);
    CHECK_STR(get(store, "a"), "eight by");
    CHECK_STR(get(store, "b"), "of another size");
    CHECK_STR(get(store, "c"), "absent");
    state_store_verify(store);
    CHECK_EQ(state_store_stats(store).key_count, 2);
    state_store_destroy(store);
}

TEST(what_is_put_back_is_no_change) {
    StateStore *store = create(NULL);
    state_store_begin(store);
    put(store, "a", "eight by");
    put(store, "b", "of another size");
    CHECK(state_store_is_changed(store));
    state_store_keep(store);
    state_store_begin(store);
    put(store, "a", "eight by");
    put(store, "b", "of another size");
    CHECK(!state_store_is_changed(store));
    put(store, "a", "eight BY");
    put(store, "b", "x");
    put(store, "c", "x");
    drop(store, "nobody");
    CHECK(state_store_is_changed(store));
    put(store, "a", "eight by");
    drop(store, "b");
    put(store, "b", "of another size");
    drop(store, "c");
    CHECK(!state_store_is_changed(store));
    state_store_verify(store);
    Text delta = {0};
    state_store_delta(store, &delta);
    CHECK_EQ(delta.size, 1);
    state_store_keep(store);
    CHECK_STR(get(store, "b"), "of another size");
    state_store_verify(store);
    text_deinit(&delta);
    state_store_destroy(store);
}

TEST(the_current_key_may_be_changed_during_a_scan) {
    Error err = {0};
    StateStore *store = create(NULL);
    char name[32];
    state_store_begin(store);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, i % 2 ? "key %d" : "a key that is long enough %d", i);
        put(store, name, "eight by");
    }
    state_store_keep(store);
    state_store_begin(store);
    size_t seen = 0;
    for (StateScan scan = state_store_scan(store); state_store_next(&scan); seen++) {
        Key key = *scan.key;
        if (seen % 3 == 0) {
            CHECK_OK(state_store_remove(store, &key, scan.hash, &err), err);
            CHECK_OK(state_store_put(store, &key, scan.hash, STR("again"), &err), err);
        } else {
            CHECK_OK(state_store_remove(store, &key, scan.hash, &err), err);
        }
    }
    CHECK_EQ(seen, 500);
    CHECK_EQ(state_store_stats(store).key_count, 167);
    state_store_verify(store);
    state_store_keep(store);
    state_store_verify(store);
    seen = 0;
    for (StateScan scan = state_store_scan(store); state_store_next(&scan); seen++)
        CHECK(leat_str_equal(scan.value, STR("again")));
    CHECK_EQ(seen, 167);
    state_store_destroy(store);
}

/* A scan by entries sees what a scan one by one sees, while the key at hand is put and removed: also when the
 * list of undos, where changed words stand, grows meanwhile. */
TEST(entries_are_changed_where_they_stand) {
    enum { ENTRIES = 700 };
    Error err = {0};
    StateStore *store = create(NULL);
    state_store_begin(store);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        CHECK_OK(state_store_put(store, &key, key_hash(&key), str_slice(&i, sizeof i), &err), err);
    }
    state_store_keep(store);
    state_store_begin(store);
    for (uint64_t i = 0; i < 100; i++) { /* the first hundred change before the scan */
        Key key = key_from_str(str_slice(&i, sizeof i));
        uint64_t changed = i + 10000;
        CHECK_OK(state_store_put(store, &key, key_hash(&key), str_slice(&changed, sizeof changed), &err),
                 err);
    }
    StateEntry entries[64];
    StateScan scan = state_store_scan(store), twin = state_store_scan(store);
    uint64_t seen = 0;
    for (uint32_t count; (count = state_store_next_entries(&scan, entries, ARRAY_COUNT(entries))) > 0;) {
        for (uint32_t k = 0; k < count; k++, seen++) {
            uint64_t number, value;
            memcpy(&number, key_str(entries[k].key).data, sizeof number);
            memcpy(&value, entries[k].value.data, sizeof value);
            CHECK_EQ(value, number < 100 ? number + 10000 : number);
            CHECK(state_store_next(&twin) && twin.key == entries[k].key);
            value += 1000000;
            if (number % 5 == 0)
                CHECK_OK(state_store_remove_at(store, &entries[k], &err), err);
            else
                CHECK_OK(state_store_put_at(store, &entries[k], str_slice(&value, sizeof value), &err), err);
            Str now = {0};
            CHECK(state_store_find(store, entries[k].key, entries[k].hash, &now) == (number % 5 != 0));
            CHECK(number % 5 == 0 || (leat_str_equal(now, str_slice(&value, sizeof value)) &&
                                      leat_str_equal(now, state_store_value_at(store, &entries[k]))));
        }
    }
    CHECK_EQ(seen, ENTRIES);
    CHECK_EQ(state_store_stats(store).key_count, ENTRIES - ENTRIES / 5);
    state_store_verify(store);
    state_store_rollback(store);
    CHECK_EQ(state_store_stats(store).key_count, ENTRIES);
    state_store_verify(store);
    state_store_destroy(store);
}

TEST(keys_of_one_hash_are_all_found) {
    Error err = {0};
    StateStore *store = NULL;
    CHECK_OK(state_store_create((StateStoreOptions){.who = "op", .constant_hash = true}, &store, &err), err);
    state_store_begin(store);
    for (uint64_t i = 0; i < 20; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        CHECK_OK(state_store_put(store, &key, KEY_HASH_CONSTANT, str_slice(&i, sizeof i), &err), err);
        if (i % 4 == 0)
            CHECK_OK(state_store_remove(store, &key, KEY_HASH_CONSTANT, &err), err);
    }
    uint64_t sum = 0;
    for (StateEntry entry = {0}; state_store_next_of_hash(store, KEY_HASH_CONSTANT, &entry);) {
        uint64_t value;
        memcpy(&value, entry.value.data, sizeof value);
        sum += value;
    }
    CHECK_EQ(sum, 190 - (0 + 4 + 8 + 12 + 16));
    StateEntry none = {0};
    CHECK(!state_store_next_of_hash(store, KEY_HASH_CONSTANT + 1, &none));
    state_store_rollback(store);
    state_store_destroy(store);
}

/* What a batch of new keys does: they come in hash order, in a store of one partition. Without room made for
 * them first this takes minutes. */
TEST(new_keys_in_hash_order_find_room) {
    enum { NEW = 100000 };
    Error err = {0};
    StateStore *source = create(NULL), *store = NULL;
    StateStoreOptions options = {
        .hash_begin = key_partition_begin(3, 8), .hash_end = key_partition_begin(4, 8), .who = "op"};
    CHECK_OK(state_store_create(options, &store, &err), err);
    state_store_begin(source);
    for (uint64_t i = 0; i < NEW; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        CHECK_OK(state_store_put(source, &key, key_hash(&key), str_slice(&i, sizeof i), &err), err);
    }
    uint64_t count = 0;
    state_store_begin(store);
    for (StateScan scan = state_store_scan(source); state_store_next(&scan);)
        count += key_partition_of(scan.hash, 8) == 3;
    CHECK_OK(state_store_reserve(store, count, &err), err);
    uint64_t size_bytes = 0;
    for (StateScan scan = state_store_scan(source); state_store_next(&scan);)
        if (key_partition_of(scan.hash, 8) == 3)
            CHECK_OK(state_store_put(store, scan.key, scan.hash, scan.value, &err), err);
    state_store_keep(store);
    size_bytes = state_store_stats(store).size_bytes;
    CHECK_EQ(state_store_stats(store).key_count, count);
    CHECK(size_bytes < 49 * count + (96 << 10)); /* at most 32 bytes beside key and value */
    state_store_verify(store);
    state_store_rollback(source);
    state_store_destroy(source);
    state_store_destroy(store);
}

TEST(over_budget_changes_nothing) {
    Error err = {0};
    Budget budget;
    budget_init(&budget, "state", 200 << 10, NULL);
    StateStore *store = create(&budget);
    Random random;
    random_init(&random, 7);
    char *room = malloc(8000);
    memset(room, 'x', 8000);
    uint64_t puts = 0;
    state_store_begin(store);
    for (uint64_t i = 0; i < 3000; i++) {
        char name[64];
        int size = snprintf(name, sizeof name, "a key of some length, number %" PRIu64, i);
        Key key = key_from_str(str_slice(name, (size_t)size));
        Status st = state_store_put(store, &key, key_hash(&key),
                                    str_slice(room, random_below(&random, 2) ? 8 : 300), &err);
        Str value;
        CHECK(state_store_find(store, &key, key_hash(&key), &value) == (st == STATUS_OK));
        CHECK(st == STATUS_OK || st == STATUS_NO_MEMORY);
        puts += st == STATUS_OK;
    }
    CHECK(puts > 10 && puts < 3000 && strstr(err.message, "op"));
    CHECK_EQ(state_store_stats(store).key_count, puts);
    CHECK(atomic_load(&budget.used_bytes) <= budget.limit_bytes);
    state_store_verify(store);
    state_store_rollback(store);
    CHECK_EQ(state_store_stats(store).key_count, 0);
    state_store_verify(store);
    state_store_destroy(store);
    CHECK_EQ(atomic_load(&budget.used_bytes), 0);
    free(room);
}

TEST(a_found_value_may_be_put_under_another_key) {
    Error err = {0};
    StateStore *store = create(NULL);
    state_store_begin(store);
    put(store, "key 0", "eight by");
    for (int i = 0; i < 1000; i++) { /* the undo list and the table move on the way */
        char from[32], to[32];
        snprintf(from, sizeof from, "key %d", i);
        snprintf(to, sizeof to, "key %d", i + 1);
        Key key = key_from_str(str_from(from)), next = key_from_str(str_from(to));
        Str value;
        REQUIRE(state_store_find(store, &key, key_hash(&key), &value));
        CHECK_OK(state_store_put(store, &next, key_hash(&next), value, &err), err);
    }
    CHECK_STR(get(store, "key 1000"), "eight by");
    state_store_destroy(store);
}

/* ---- against the model ---- */

/* Everything that could be done, in any order; `copy` gets the deltas, one of them twice. */
TEST(any_history_agrees_with_a_simple_map) {
    Error err = {0};
    uint64_t seed = check_seed();
    Random random;
    random_init(&random, seed);
    Model *model = calloc(1, sizeof *model), *kept = calloc(1, sizeof *kept);
    StateStore *store = create(NULL), *copy = create(NULL);
    char *room = malloc(VALUE_MAX), key_room[64];
    for (int batch = 0; batch < 150; batch++) {
        state_store_begin(store);
        size_t steps = random_below(&random, 120);
        for (size_t step = 0; step < steps; step++) {
            size_t i = random_below(&random, KEYS);
            Key key = key_of(i, key_room);
            if (random_below(&random, 3)) {
                Str value = random_value(&random, room);
                CHECK_OK(state_store_put(store, &key, key_hash(&key), value, &err), err);
                model_put(model, i, value);
            } else {
                CHECK_OK(state_store_remove(store, &key, key_hash(&key), &err), err);
                model->is_there[i] = false;
            }
        }
        CHECK(agrees(store, model));
        state_store_verify(store);
        if (random_below(&random, 3) == 0) {
            state_store_rollback(store);
            model_copy(model, kept);
        } else {
            Text delta = {0};
            state_store_delta(store, &delta);
            CHECK(state_store_is_changed(store) == (delta.size > 1));
            CHECK_OK(state_store_apply(copy, text_str(&delta), &err), err);
            if (batch % 7 == 0)
                CHECK_OK(state_store_apply(copy, text_str(&delta), &err), err);
            text_deinit(&delta);
            state_store_keep(store);
            model_copy(kept, model);
        }
        CHECK(agrees(store, model));
        CHECK(agrees(copy, model));
        state_store_verify(store);
        state_store_verify(copy);
        if (batch % 10 == 0) { /* the copy goes on as what its save gives */
            Text bytes = save(copy);
            state_store_destroy(copy);
            copy = create(NULL);
            if (bytes.size) /* else it held nothing */
                CHECK_OK(load(copy, text_str(&bytes), 1 + random_below(&random, 5000), &err), err);
            CHECK(agrees(copy, model));
            state_store_verify(copy);
            Text again = save(copy), original = save(store);
            CHECK(leat_str_equal(text_str(&bytes), text_str(&again)));
            CHECK(leat_str_equal(text_str(&bytes), text_str(&original)));
            text_deinit(&original);
            text_deinit(&again);
            text_deinit(&bytes);
        }
    }
    free(room);
    model_deinit(model);
    model_deinit(kept);
    free(model);
    free(kept);
    state_store_destroy(copy);
    state_store_destroy(store);
}

TEST(a_save_can_be_read_by_other_partitions) {
    Error err = {0};
    StateStore *store = create(NULL);
    enum { COUNT = 20000 };
    state_store_begin(store);
    for (uint64_t i = 0; i < COUNT; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        CHECK_OK(state_store_put(store, &key, key_hash(&key), str_slice(&i, sizeof i), &err), err);
    }
    state_store_keep(store);
    Text bytes = save(store);
    uint64_t total = 0;
    for (uint32_t p = 0; p < 7; p++) {
        StateStore *part;
        StateStoreOptions options = {.hash_begin = key_partition_begin(p, 7),
                                     .hash_end = key_partition_begin(p + 1, 7)};
        REQUIRE(CHECK_OK(state_store_create(options, &part, &err), err));
        CHECK_OK(load(part, text_str(&bytes), 1 << 20, &err), err);
        total += state_store_stats(part).key_count;
        state_store_verify(part);
        for (StateScan scan = state_store_scan(part); state_store_next(&scan);)
            CHECK(key_partition_of(scan.hash, 7) == p && leat_str_equal(key_str(scan.key), scan.value));
        state_store_destroy(part);
    }
    CHECK_EQ(total, COUNT);
    text_deinit(&bytes);
    state_store_destroy(store);
}

static HashRange group_range(uint32_t group) {
    return (HashRange){key_partition_begin(group, KEY_GROUP_COUNT),
                       key_partition_begin(group + 1, KEY_GROUP_COUNT)};
}

/* Group by group, one after each batch, as the snapshots of a running program are made; then all deltas again
 * from the first group on, over groups that hold them already. */
TEST(groups_saved_behind_different_batches_and_all_deltas_give_the_last_state) {
    Error err = {0};
    Random random;
    random_init(&random, check_seed());
    StateStore *store = create(NULL), *restored = create(NULL);
    Text groups[KEY_GROUP_COUNT], deltas[KEY_GROUP_COUNT];
    for (uint32_t g = 0; g < KEY_GROUP_COUNT; g++) {
        state_store_begin(store);
        for (int i = 0; i < 30; i++) {
            char room[64];
            uint64_t value = random_below(&random, 1000);
            Key key = key_of(random_below(&random, 3000), room);
            if (value % 3 == 0)
                CHECK_OK(state_store_remove(store, &key, key_hash(&key), &err), err);
            else
                CHECK_OK(state_store_put(store, &key, key_hash(&key),
                                         str_slice(&value, value % 7 ? sizeof value : 3), &err),
                         err);
        }
        deltas[g] = (Text){0};
        state_store_delta(store, &deltas[g]);
        state_store_keep(store);
        groups[g] = save_range(store, group_range(g));
    }
    for (uint32_t g = 0; g < KEY_GROUP_COUNT; g++)
        if (groups[g].size)
            CHECK_OK(load_range(restored, group_range(g), text_str(&groups[g]), 999, &err), err);
    state_store_verify(restored);
    for (uint32_t g = 1; g < KEY_GROUP_COUNT; g++)
        CHECK_OK(state_store_apply(restored, text_str(&deltas[g]), &err), err);
    Text wanted = save(store), got = save(restored);
    CHECK(leat_str_equal(text_str(&wanted), text_str(&got)));
    for (uint32_t g = 0; g < KEY_GROUP_COUNT; g++) {
        text_deinit(&groups[g]);
        text_deinit(&deltas[g]);
    }
    text_deinit(&wanted);
    text_deinit(&got);
    state_store_destroy(store);
    state_store_destroy(restored);
}

TEST(a_save_of_one_group_is_not_taken_for_another) {
    Error err = {0};
    StateStore *store = create(NULL), *other = create(NULL);
    state_store_begin(store);
    put(store, "a", "12345678");
    state_store_keep(store);
    Key key = key_from_str(STR("a"));
    uint32_t group = (uint32_t)(key_hash(&key) >> 56);
    Text bytes = save_range(store, group_range(group)), none = save_range(store, group_range(group ^ 1));
    CHECK(bytes.size > 0 && none.size == 0);
    CHECK_EQ(load_range(other, group_range(group ^ 1), text_str(&bytes), 100, &err), STATUS_CORRUPT);
    text_deinit(&bytes);
    text_deinit(&none);
    state_store_destroy(store);
    state_store_destroy(other);
}

/* Saves stand in checked pages; but bytes of another program or version must not break anything either. */
TEST(damaged_saves_and_deltas_are_refused_or_read_but_harm_nothing) {
    Error err = {0};
    Budget budget;
    budget_init(&budget, "state", 4 << 20, NULL);
    StateStore *store = create(&budget);
    state_store_begin(store);
    for (size_t i = 0; i < 40; i++) {
        char room[64], value[64];
        Key key = key_of(i, room);
        memset(value, (int)i, sizeof value);
        CHECK_OK(state_store_put(store, &key, key_hash(&key), str_slice(value, i % 5 ? 8 : i), &err), err);
    }
    Text delta = {0};
    state_store_delta(store, &delta);
    state_store_keep(store);
    Text bytes = save(store);
    uint64_t rounds = 0, refused = 0;
    for (int is_delta = 0; is_delta < 2; is_delta++) {
        Text *whole = is_delta ? &delta : &bytes;
        for (size_t size = 0; size < whole->size; size++, rounds++, refused++) {
            StateStore *other = create(&budget);
            Status st = is_delta ? state_store_apply(other, str_slice(whole->data, size), &err)
                                 : load(other, str_slice(whole->data, size), 100, &err);
            CHECK_EQ(st, STATUS_CORRUPT);
            state_store_destroy(other);
        }
        for (size_t bit = 0; bit < whole->size * 8; bit++, rounds++) {
            StateStore *other = create(&budget);
            whole->data[bit / 8] ^= (char)(1 << bit % 8);
            Status st = is_delta ? state_store_apply(other, text_str(whole), &err)
                                 : load(other, text_str(whole), 100, &err);
            whole->data[bit / 8] ^= (char)(1 << bit % 8);
            refused += st != STATUS_OK;
            state_store_destroy(other);
        }
    }
    printf("    %" PRIu64 " damaged saves and deltas, %" PRIu64 " refused\n", rounds, refused);
    text_append(&bytes, STR("x"));
    StateStore *other = create(&budget);
    CHECK_EQ(load(other, text_str(&bytes), 1 << 20, &err), STATUS_CORRUPT);
    state_store_destroy(other);
    text_deinit(&bytes);
    text_deinit(&delta);
    state_store_destroy(store);
    CHECK_EQ(atomic_load(&budget.used_bytes), 0);
}

TEST(one_hash_for_every_key_costs_time_only) {
    Error err = {0};
    StateStore *store, *copy, *loaded;
    StateStoreOptions options = {.constant_hash = true};
    REQUIRE(CHECK_OK(state_store_create(options, &store, &err), err));
    REQUIRE(CHECK_OK(state_store_create(options, &copy, &err), err));
    REQUIRE(CHECK_OK(state_store_create(options, &loaded, &err), err));
    state_store_begin(store);
    for (uint64_t i = 0; i < 200; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        CHECK_OK(state_store_put(store, &key, KEY_HASH_CONSTANT, str_slice(&i, sizeof i), &err), err);
    }
    Text delta = {0};
    state_store_delta(store, &delta);
    state_store_keep(store);
    Text bytes = save(store);
    CHECK_OK(state_store_apply(copy, text_str(&delta), &err), err);
    CHECK_OK(load(loaded, text_str(&bytes), 77, &err), err);
    for (uint64_t i = 0; i < 200; i++) {
        Key key = key_from_str(str_slice(&i, sizeof i));
        Str value;
        CHECK(state_store_find(copy, &key, KEY_HASH_CONSTANT, &value) &&
              leat_str_equal(value, key_str(&key)));
        CHECK(state_store_find(loaded, &key, KEY_HASH_CONSTANT, &value) &&
              leat_str_equal(value, key_str(&key)));
    }
    state_store_verify(copy);
    state_store_verify(loaded);
    text_deinit(&bytes);
    text_deinit(&delta);
    state_store_destroy(loaded);
    state_store_destroy(copy);
    state_store_destroy(store);
}

TEST(a_value_over_the_limit_is_refused) {
    Error err = {0};
    StateStore *store = create(NULL);
    Key key = key_from_str(STR("a"));
    state_store_begin(store);
    CHECK_EQ(state_store_put(store, &key, key_hash(&key), str_slice("", ((size_t)1 << 30) + 1), &err),
             STATUS_INVALID);
    CHECK(!state_store_is_changed(store));
    state_store_keep(store);
    state_store_destroy(store);
}

TEST_MAIN()
