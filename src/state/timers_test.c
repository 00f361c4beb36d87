#include "state/timers.h"

#include "base/random.h"
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>

enum { KEYS = 500 };

/* Keys by number; a hash stands for three of them. */
static uint64_t hash_of(size_t key) {
    return (key / 3 + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool holds(const uint64_t *hashes, uint64_t count, uint64_t hash) {
    for (uint64_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return true;
    return false;
}

/* As the operator uses them: a key is added when it is new and when it was found too early, not when its time
 * moves on (T1). Every key that is due is found, once. */
TEST(whatever_is_due_is_found) {
    static const int64_t granules[] = {1, 7, 1000};
    Random random;
    random_init(&random, check_seed());
    for (size_t g = 0; g < ARRAY_COUNT(granules); g++) {
        Budget budget;
        budget_init(&budget, "state", 1 << 20, NULL);
        KeyTimers *timers = key_timers_create(granules[g], &budget, "op");
        key_timers_set_built(timers);
        bool is_there[KEYS] = {0};
        int64_t times[KEYS] = {0}, now = -5000; /* clocks before 1970 count, too */
        for (int step = 0; step < 400; step++) {
            Error err = {0};
            now += (int64_t)random_below(&random, 40);
            for (uint64_t n = random_below(&random, 30); n > 0; n--) {
                size_t key = random_below(&random, KEYS);
                if (!is_there[key])
                    CHECK_OK(key_timers_add(timers, hash_of(key), now, &err), err);
                is_there[key] = true;
                times[key] = now;
                if (random_below(&random, 20) == 0)
                    is_there[key] = false; /* its timer stays behind: T2 */
            }
            if (random_below(&random, 4))
                continue;
            const uint64_t *hashes;
            uint64_t count, due = 0;
            int64_t end = now - 200;
            if (!CHECK_OK(key_timers_take(timers, end, &hashes, &count, &err), err))
                break;
            for (uint64_t i = 1; i < count; i++)
                CHECK(hashes[i - 1] < hashes[i]);
            for (size_t key = 0; key < KEYS; key++) {
                if (is_there[key] && times[key] < end) {
                    CHECK(holds(hashes, count, hash_of(key)));
                    is_there[key] = false;
                    due++;
                }
            }
            for (size_t key = 0; key < KEYS; key++)
                if (is_there[key] && holds(hashes, count, hash_of(key)))
                    CHECK_OK(key_timers_add(timers, hash_of(key), times[key], &err), err);
            CHECK(due <= KEYS);
        }
        CHECK_EQ(atomic_load(&budget.used_bytes), key_timers_size_bytes(timers));
        key_timers_forget(timers);
        CHECK(!key_timers_is_built(timers));
        CHECK_EQ(key_timers_size_bytes(timers), 0);
        CHECK_EQ(atomic_load(&budget.used_bytes), 0);
        key_timers_destroy(timers);
    }
}

TEST(a_key_of_many_timers_is_found_once) {
    KeyTimers *timers = key_timers_create(10, NULL, "op");
    Error err = {0};
    const uint64_t *hashes;
    uint64_t count;
    for (int64_t time = 0; time < 100; time++)
        CHECK_OK(key_timers_add(timers, 7, time, &err), err);
    CHECK_OK(key_timers_take(timers, 95, &hashes, &count, &err), err);
    CHECK_EQ(count, 1);
    CHECK_EQ(hashes[0], 7);
    CHECK_OK(key_timers_take(timers, 95, &hashes, &count, &err), err);
    CHECK_EQ(count, 0);
    key_timers_destroy(timers);
    key_timers_destroy(NULL);
}

TEST(over_budget_is_refused) {
    Budget budget;
    budget_init(&budget, "state", 4096, NULL);
    KeyTimers *timers = key_timers_create(1000, &budget, "op");
    Error err = {0};
    Status st = STATUS_OK;
    for (uint64_t i = 0; i < 10000 && st == STATUS_OK; i++)
        st = key_timers_add(timers, i, (int64_t)i * 10, &err);
    CHECK_EQ(st, STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "op"));
    CHECK(atomic_load(&budget.used_bytes) <= budget.limit_bytes);
    const uint64_t *hashes;
    uint64_t count;
    CHECK_EQ(key_timers_take(timers, INT64_MAX, &hashes, &count, &err), STATUS_NO_MEMORY);
    key_timers_destroy(timers);
    CHECK_EQ(atomic_load(&budget.used_bytes), 0);
}

TEST_MAIN()
