/* THREADS_TEST */
#include "exec/pool.h"
#include "check.h"

#include <stdatomic.h>

enum { TASKS_MAX = 1000 };

typedef struct Round {
    _Atomic int runs[TASKS_MAX];
    _Atomic uint32_t workers_seen;        /* a bit each */
    uint32_t first_failure, last_failure; /* tasks of this range fail */
    _Atomic int started;
    int wait_for; /* tasks do not end before so many have begun */
} Round;

static Status run_task(void *self, uint32_t worker, uint32_t task, Error *err) {
    Round *round = self;
    atomic_fetch_add(&round->runs[task], 1);
    atomic_fetch_or(&round->workers_seen, 1u << worker);
    atomic_fetch_add(&round->started, 1);
    while (atomic_load(&round->started) < round->wait_for)
        ;
    if (task >= round->first_failure && task <= round->last_failure)
        return error_set(err, STATUS_IO, "task %u failed", task);
    return STATUS_OK;
}

static Pool *create(uint32_t worker_count) {
    Pool *pool = NULL;
    Error err = {0};
    CHECK_OK(pool_create(env_real(), worker_count, &pool, &err), err);
    return pool;
}

TEST(every_task_runs_once_in_every_round) {
    for (uint32_t workers = 1; workers <= 7; workers++) {
        Pool *pool = create(workers);
        for (uint32_t tasks = 0; tasks < 40; tasks++) {
            Round round = {.first_failure = UINT32_MAX};
            Error err = {0};
            CHECK_OK(pool_run(pool, false, tasks, run_task, &round, &err), err);
            for (uint32_t i = 0; i < TASKS_MAX; i++)
                CHECK_EQ(round.runs[i], i < tasks);
        }
        pool_destroy(pool);
    }
}

TEST(all_workers_take_part) {
    Pool *pool = create(3);
    Round round = {.first_failure = UINT32_MAX, .wait_for = 3}; /* would hang if one worker did all */
    Error err = {0};
    CHECK_OK(pool_run(pool, false, 3, run_task, &round, &err), err);
    CHECK_EQ(round.workers_seen, 7);
    pool_destroy(pool);
}

TEST(inline_rounds_stay_on_the_calling_thread) {
    Pool *pool = create(3);
    Round round = {.first_failure = UINT32_MAX};
    Error err = {0};
    CHECK_OK(pool_run(pool, true, 100, run_task, &round, &err), err);
    CHECK_EQ(round.workers_seen, 1);
    pool_destroy(pool);
}

TEST(the_lowest_failure_is_reported_and_the_rest_skipped) {
    for (uint32_t workers = 1; workers <= 4; workers++) {
        Pool *pool = create(workers);
        for (uint32_t turn = 0; turn < 50; turn++) {
            Round round = {.first_failure = 5 + turn, .last_failure = TASKS_MAX};
            Error err = {0};
            CHECK_EQ(pool_run(pool, false, TASKS_MAX, run_task, &round, &err), STATUS_IO);
            char wanted[32];
            snprintf(wanted, sizeof wanted, "task %u failed", 5 + turn);
            CHECK_STR(err.message, wanted);
            CHECK_EQ(round.runs[TASKS_MAX - 1], 0);
        }
        Round round = {.first_failure = UINT32_MAX}; /* and the pool goes on */
        Error err = {0};
        CHECK_OK(pool_run(pool, false, 10, run_task, &round, &err), err);
        pool_destroy(pool);
    }
}

TEST_MAIN()
