#include "base/map.h"
#include "base/random.h"
#include "check.h"

#include <stdlib.h>

static int values[1000];

static Str name_of(char *buffer, uint64_t number) {
    return str_slice(buffer, (size_t)snprintf(buffer, 24, "name-%" PRIu64, number));
}

TEST(an_empty_map_finds_nothing) {
    Map map = {0};
    CHECK(map_find(&map, STR("a")) == NULL && !map_contains(&map, STR("")) && !map_remove(&map, STR("a")));
    map_deinit(&map);
    map_deinit(&map);
}

TEST(put_replaces_and_copies_the_key) {
    Map map = {0};
    char key[] = "key";
    map_put(&map, str_from(key), &values[1]);
    key[0] = 'K';
    CHECK(map_find(&map, STR("key")) == &values[1] && !map_contains(&map, STR("Key")));
    map_put(&map, STR("key"), &values[2]);
    CHECK(map.count == 1 && map_find(&map, STR("key")) == &values[2]);
    map_put(&map, STR(""), NULL);
    map_put(&map, STR("a\0b"), &values[3]);
    CHECK(map_contains(&map, STR("")) && map_find(&map, STR("")) == NULL);
    CHECK(map_find(&map, STR("a\0b")) == &values[3] && !map_contains(&map, STR("a")));
    map_deinit(&map);
}

/* Random puts and removals of 60 names against a plain array; half of the slots of the index may be in use,
 * so that probes collide all the time. */
TEST(agrees_with_an_array) {
    Random random;
    random_init(&random, check_seed());
    Map map = {0};
    int order[60], count = 0; /* the names in the map, in insertion order */
    void *expected[60] = {0};
    for (int step = 0; step < 5000; step++) {
        char name[24];
        int n = (int)random_below(&random, 60), at = 0;
        Str key = name_of(name, (uint64_t)n);
        while (at < count && order[at] != n)
            at++;
        if (random_below(&random, 5) < 2) {
            CHECK(map_remove(&map, key) == (at < count));
            if (at < count)
                memmove(order + at, order + at + 1, (size_t)(--count - at) * sizeof *order);
            expected[n] = NULL;
        } else {
            expected[n] = &values[random_below(&random, 1000)];
            map_put(&map, key, expected[n]);
            if (at == count)
                order[count++] = n;
        }
        REQUIRE(map.count == (uint32_t)count && map.count <= map.index_size / 2);
        for (int i = 0; i < 60; i++) {
            key = name_of(name, (uint64_t)i);
            CHECK(map_find(&map, key) == expected[i] && map_contains(&map, key) == (expected[i] != NULL));
        }
        for (int i = 0; i < count; i++)
            CHECK(str_equal(map.entries[i].key, name_of(name, (uint64_t)order[i])));
    }
    map_deinit(&map);
}

TEST(grows_to_thousands) {
    Map map = {0};
    char name[24];
    for (uint64_t i = 0; i < 5000; i++)
        map_put(&map, name_of(name, i), &values[i % 1000]);
    CHECK_EQ(map.count, 5000);
    for (uint64_t i = 0; i < 5000; i++)
        CHECK(map_find(&map, name_of(name, i)) == &values[i % 1000]);
    CHECK(!map_contains(&map, STR("name-5000")));
    map_deinit(&map);
}

TEST_MAIN()
