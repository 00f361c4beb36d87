/* THREADS_TEST */
#include "base/memory.h"
#include "base/random.h"
#include "check.h"

#include <pthread.h>
#include <stdlib.h>

static uint64_t used(Budget *budget) {
    return atomic_load(&budget->used_bytes);
}

TEST(a_budget_ends_at_its_limit) {
    Budget budget;
    Error err = {0};
    budget_init(&budget, "state", 1000, NULL);
    CHECK_OK(budget_charge(&budget, 999, "a", &err), err);
    CHECK_OK(budget_charge(&budget, 1, "a", &err), err);
    CHECK_EQ(budget_charge(&budget, 1, "operator 'count'", &err), STATUS_NO_MEMORY);
    CHECK_STR(err.message,
              "operator 'count' needs 1 bytes more, but of the budget 'state' 1000 of 1000 bytes are used");
    CHECK_EQ(budget_charge(&budget, 0, "a", &err), STATUS_OK);
    CHECK_EQ(used(&budget), 1000);
    budget_release(&budget, 1000);
    CHECK_EQ(budget_charge(&budget, 1001, "a", NULL), STATUS_NO_MEMORY);
    CHECK_EQ(budget_charge(&budget, UINT64_MAX, "a", NULL), STATUS_NO_MEMORY); /* no wrapping */
    CHECK_OK(budget_charge(&budget, 1000, "a", &err), err);
    CHECK_EQ(budget_charge(&budget, UINT64_MAX, "a", NULL), STATUS_NO_MEMORY);
    CHECK_EQ(used(&budget), 1000);
    CHECK_EQ(atomic_load(&budget.peak_bytes), 1000);
    budget_release(&budget, 1000);
    CHECK(used(&budget) == 0 && atomic_load(&budget.peak_bytes) == 1000);
}

TEST(no_budget_is_no_limit) {
    CHECK_EQ(budget_charge(NULL, UINT64_MAX, "a", NULL), STATUS_OK);
    budget_release(NULL, UINT64_MAX);
}

TEST(a_refusal_by_an_ancestor_changes_nothing) {
    Budget process, half, part;
    Error err = {0};
    budget_init(&process, "process", 100, NULL);
    budget_init(&half, "half", 1000, &process);
    budget_init(&part, "part", 1000, &half);
    CHECK_OK(budget_charge(&half, 60, "a", &err), err);
    CHECK(used(&process) == 60 && used(&half) == 60 && used(&part) == 0);
    CHECK_EQ(budget_charge(&part, 41, "b", &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "'process' 60 of 100") != NULL);
    CHECK(used(&process) == 60 && used(&half) == 60 && used(&part) == 0);
    CHECK_OK(budget_charge(&part, 40, "b", &err), err);
    CHECK(used(&process) == 100 && used(&half) == 100 && used(&part) == 40);
    budget_release(&part, 40);
    budget_release(&half, 60);
    CHECK(used(&process) == 0 && used(&half) == 0 && used(&part) == 0);
}

typedef struct Charger {
    Budget *budget;
    uint64_t seed;
    pthread_t thread;
    bool went_over;
} Charger;

static void *charge_and_release(void *argument) {
    Charger *charger = argument;
    Random random;
    random_init(&random, charger->seed);
    for (int i = 0; i < 20000; i++) {
        uint64_t size = 1 + random_below(&random, 40);
        if (budget_charge(charger->budget, size, "a", NULL) == STATUS_OK) {
            charger->went_over |= used(charger->budget) > 100 || used(charger->budget->parent) > 120;
            budget_release(charger->budget, size);
        }
    }
    return NULL;
}

/* Four threads on two budgets of one parent: never over a limit at any moment, and nothing is left. */
TEST(threads_never_get_more_than_there_is) {
    Budget process, parts[2];
    budget_init(&process, "process", 120, NULL);
    budget_init(&parts[0], "one", 100, &process);
    budget_init(&parts[1], "two", 100, &process);
    Charger chargers[4];
    uint64_t seed = check_seed();
    for (uint64_t i = 0; i < 4; i++) {
        chargers[i] = (Charger){.budget = &parts[i % 2], .seed = seed + i};
        REQUIRE(pthread_create(&chargers[i].thread, NULL, charge_and_release, &chargers[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(chargers[i].thread, NULL);
        CHECK(!chargers[i].went_over);
    }
    CHECK(used(&process) == 0 && used(&parts[0]) == 0 && used(&parts[1]) == 0);
    CHECK(atomic_load(&process.peak_bytes) <= 120 && atomic_load(&parts[0].peak_bytes) <= 100);
}

static uint64_t sum_of(const uint8_t *bytes, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

/* Around the size where malloc ends and mmap begins. */
TEST(blocks_have_readable_slack_and_are_charged) {
    static const size_t sizes[] = {0,      1, 15, 4096, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (4 << 20) - 32,
                                   5 << 20};
    Budget budget;
    budget_init(&budget, "state", 64 << 20, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (int zeroed = 0; zeroed < 2; zeroed++) {
            void *block = NULL;
            Error err = {0};
            Status st = zeroed ? budget_alloc_zeroed(&budget, sizes[i], "a", &block, &err)
                               : budget_alloc(&budget, sizes[i], "a", &block, &err);
            REQUIRE(st == STATUS_OK && block);
            CHECK_EQ(used(&budget), sizes[i]);
            CHECK((uintptr_t)block % 16 == 0);
            if (sizes[i] >= 2 << 20)
                CHECK((uintptr_t)block % (2 << 20) == 0);
            if (zeroed || sizes[i] >= 2 << 20)
                CHECK_EQ(sum_of(block, sizes[i]), 0);
            memset(block, 0xff, sizes[i]);
            CHECK_EQ(sum_of((uint8_t *)block - MEMORY_SLACK_BEFORE, MEMORY_SLACK_BEFORE), 0);
            CHECK_EQ(sum_of((uint8_t *)block + sizes[i], MEMORY_SLACK_AFTER), 0);
            budget_free(&budget, block, sizes[i]);
            CHECK_EQ(used(&budget), 0);
        }
    }
    budget_free(&budget, NULL, 100);
    CHECK_EQ(used(&budget), 0);
}

TEST(a_refused_block_takes_nothing) {
    Budget budget;
    Error err = {0};
    void *block = &budget, *other = &budget;
    budget_init(&budget, "state", 4095, NULL);
    CHECK_EQ(budget_alloc(&budget, 4096, "a", &block, &err), STATUS_NO_MEMORY);
    CHECK(block == NULL && used(&budget) == 0);
    CHECK_OK(budget_alloc(&budget, 4095, "a", &block, &err), err);
    CHECK_EQ(budget_alloc_zeroed(&budget, 1, "a", &other, &err), STATUS_NO_MEMORY);
    CHECK(other == NULL && used(&budget) == 4095);
    budget_free(&budget, block, 4095);
    /* More than the machine has, with a budget that allows it. */
    budget_init(&budget, "state", UINT64_MAX, NULL);
    CHECK_EQ(budget_alloc(&budget, SIZE_MAX - 8, "a", &block, &err), STATUS_NO_MEMORY);
    CHECK_EQ(budget_alloc(&budget, (size_t)1 << 60, "a", &block, &err), STATUS_NO_MEMORY);
    CHECK(block == NULL && used(&budget) == 0);
}

/* Allocations of all sizes: aligned, apart from each other, with slack around, until reset. */
TEST(an_arena_gives_what_is_asked) {
    enum { COUNT = 2000 };
    Random random;
    random_init(&random, check_seed());
    Budget budget;
    budget_init(&budget, "plans", 1 << 30, NULL);
    Arena *arena = arena_create(&budget, "test");
    static uint8_t *blocks[COUNT];
    static size_t sizes[COUNT];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            sizes[i] = random_below(&random, random_below(&random, 50) ? 300 : 60000);
            blocks[i] = arena_alloc(arena, sizes[i]);
            REQUIRE(blocks[i] && (uintptr_t)blocks[i] % 16 == 0);
            memset(blocks[i], i, sizes[i]);
            (void)sum_of(blocks[i] - MEMORY_SLACK_BEFORE,
                         sizes[i] + MEMORY_SLACK_BEFORE + MEMORY_SLACK_AFTER);
            CHECK_EQ(used(&budget), arena_size_bytes(arena));
        }
        for (int i = 0; i < COUNT; i++)
            CHECK_EQ(sum_of(blocks[i], sizes[i]), (i & 0xff) * sizes[i]);
        arena_reset(arena);
        CHECK_EQ(used(&budget), arena_size_bytes(arena));
    }
    arena_destroy(arena);
    CHECK_EQ(used(&budget), 0);
    arena_destroy(NULL);
}

TEST(a_reset_arena_keeps_its_largest_block) {
    Budget budget;
    budget_init(&budget, "plans", 8 << 20, NULL);
    Arena *arena = arena_create(&budget, "test");
    arena_reset(arena);
    CHECK_EQ(arena_size_bytes(arena), 0);
    REQUIRE(arena_alloc(arena, 100) && arena_alloc(arena, 3 << 20) && arena_alloc(arena, 5000));
    arena_reset(arena);
    CHECK(arena_size_bytes(arena) >= 3 << 20 && arena_size_bytes(arena) < (3 << 20) + 200);
    size_t kept_bytes = arena_size_bytes(arena);
    uint8_t *again = arena_alloc(arena, 3 << 20);
    REQUIRE(again != NULL);
    memset(again, 1, 3 << 20);
    CHECK_EQ(arena_size_bytes(arena), kept_bytes); /* nothing new was taken */
    arena_destroy(arena);
    CHECK_EQ(used(&budget), 0);
}

TEST(shared_blocks_double_to_a_mebibyte) {
    Arena *arena = arena_create(NULL, "test");
    REQUIRE(arena_alloc(arena, 1) != NULL);
    CHECK_EQ(arena_size_bytes(arena), 4096);
    size_t before = 4096, largest = 4096;
    while (arena_size_bytes(arena) < 8 << 20) {
        REQUIRE(arena_alloc(arena, 1000) != NULL);
        size_t grown = arena_size_bytes(arena) - before;
        before = arena_size_bytes(arena);
        CHECK(grown == 0 || grown == (largest < 1 << 20 ? largest * 2 : 1 << 20));
        largest = grown ? grown : largest;
    }
    arena_destroy(arena);
}

TEST(an_arena_over_its_budget_says_so) {
    Budget budget;
    Error err = {0};
    budget_init(&budget, "in flight", 4096, NULL);
    Arena *arena = arena_create(&budget, "decoder of 'lines'");
    CHECK(arena_alloc(arena, 100) != NULL);
    Str copy = STR("unchanged");
    CHECK(arena_alloc(arena, 100000) == NULL);
    CHECK(arena_alloc(arena, SIZE_MAX) == NULL);
    char *large = calloc(1, 5000);
    CHECK_EQ(arena_copy(arena, str_slice(large, 5000), &copy, &err), STATUS_NO_MEMORY);
    CHECK_STR(err.message, "decoder of 'lines' needs 5000 bytes more, but of the budget 'in flight' 4096 of "
                           "4096 bytes are used");
    CHECK(str_equal(copy, STR("unchanged")));
    free(large);
    CHECK_OK(arena_copy(arena, STR("word"), &copy, &err), err);
    CHECK(str_equal(copy, STR("word")));
    CHECK_OK(arena_copy(arena, (Str){NULL, 0}, &copy, &err), err);
    CHECK(copy.data != NULL && copy.size == 0);
    CHECK_EQ(used(&budget), 4096);
    arena_destroy(arena);
    CHECK_EQ(used(&budget), 0);
}

TEST(no_bytes_are_something) {
    Arena *arena = arena_create(NULL, "test");
    CHECK(arena_alloc(arena, 0) != NULL);
    arena_destroy(arena);
    free(xmalloc(0));
    free(xcalloc(0, 8));
    char *copy = xstrdup((Str){NULL, 0});
    CHECK_STR(copy, "");
    free(copy);
    copy = xrealloc(NULL, 0);
    CHECK(copy != NULL);
    free(copy);
}

TEST(populating_changes_no_byte) {
    enum { SIZE = 1 << 20 };
    void *block;
    CHECK_OK(budget_alloc(NULL, SIZE, "test", &block, NULL), (Error){0});
    memset(block, 'x', SIZE);
    memory_populate(block, SIZE);
    memory_populate((char *)block + 1, 4096); /* less than a page */
    memory_populate(block, 0);
    for (size_t i = 0; i < SIZE; i++)
        REQUIRE(CHECK_EQ(((char *)block)[i], 'x'));
    budget_free(NULL, block, SIZE);
}

TEST_MAIN()
