/* pool.c - worker threads that sleep between rounds.
 *
 *   idle --pool_run: `round` grows, broadcast--> every thread takes tasks until `next` is past the last
 *        --the last thread to run out signals `ended`--> idle
 *
 *   L1  What a round is (task, self, task_count) is written before `round` grows, under the mutex, and not
 *       again before `busy` is 0: a worker that saw the new round may read it without the mutex.
 *   L2  A task is taken by one worker: `next` is atomic.
 *   L3  The failure that is kept is the one of the lowest task. Tasks below it were taken before it, so they
 *       all end and may still replace it: the answer does not depend on who was faster.
 */
#include "exec/pool.h"

#include "base/memory.h"

#include <stdlib.h>

typedef struct PoolWorker {
    Pool *pool;
    uint32_t index;
    EnvThread *thread; /* NULL for worker 0 */
} PoolWorker;

struct Pool {
    Env *env;
    PoolWorker *workers;
    uint32_t worker_count;
    EnvMutex *mutex; /* guards all below but `next` and `has_failed` */
    EnvCond *began, *ended;
    uint64_t round;
    uint32_t busy; /* threads that are not yet done with the round */
    bool is_stopping;

    PoolTask task;
    void *self;
    uint32_t task_count;
    _Atomic uint32_t next;
    _Atomic bool has_failed;
    uint32_t failed_task;
    Status failed_status;
    Error failed_error;
};

static void keep_failure(Pool *pool, uint32_t task, Status status, const Error *error) {
    env_mutex_lock(pool->env, pool->mutex);
    if (pool->failed_status == STATUS_OK || task < pool->failed_task) { /* L3 */
        pool->failed_task = task;
        pool->failed_status = status;
        pool->failed_error = *error;
    }
    env_mutex_unlock(pool->env, pool->mutex);
    atomic_store(&pool->has_failed, true);
}

static void take_tasks(Pool *pool, uint32_t worker) {
    while (!atomic_load(&pool->has_failed)) {
        uint32_t task = atomic_fetch_add(&pool->next, 1); /* L2 */
        if (task >= pool->task_count)
            return;
        Error error = {0};
        Status st = pool->task(pool->self, worker, task, &error);
        if (st != STATUS_OK)
            keep_failure(pool, task, st, &error);
    }
}

static void worker_run(void *argument) {
    PoolWorker *worker = argument;
    Pool *pool = worker->pool;
    uint64_t seen = 0;
    env_mutex_lock(pool->env, pool->mutex);
    for (;;) {
        while (pool->round == seen && !pool->is_stopping)
            env_cond_wait(pool->env, pool->began, pool->mutex, ENV_FOREVER);
        if (pool->is_stopping)
            break;
        seen = pool->round;
        env_mutex_unlock(pool->env, pool->mutex);
        take_tasks(pool, worker->index);
        env_mutex_lock(pool->env, pool->mutex);
        if (--pool->busy == 0)
            env_cond_signal(pool->env, pool->ended);
    }
    env_mutex_unlock(pool->env, pool->mutex);
}

Status pool_create(Env *env, uint32_t worker_count, Pool **out, Error *err) {
    ASSERT(worker_count >= 1);
    Status st = STATUS_OK;
    Pool *pool = xcalloc(1, sizeof *pool);
    *out = NULL;
    pool->env = env;
    pool->mutex = env_mutex_create(env);
    pool->began = env_cond_create(env);
    pool->ended = env_cond_create(env);
    pool->workers = xcalloc(worker_count, sizeof *pool->workers);
    for (uint32_t i = 0; i < worker_count; i++)
        pool->workers[i] = (PoolWorker){.pool = pool, .index = i};
    for (pool->worker_count = 1; pool->worker_count < worker_count; pool->worker_count++) {
        PoolWorker *worker = &pool->workers[pool->worker_count];
        TRY_GOTO(fail, env_thread_start(env, "leat-worker", worker_run, worker, &worker->thread, err));
    }
    *out = pool;
    return STATUS_OK;
fail:
    pool_destroy(pool);
    return st;
}

void pool_destroy(Pool *pool) {
    if (!pool)
        return;
    env_mutex_lock(pool->env, pool->mutex);
    ASSERT(pool->busy == 0);
    pool->is_stopping = true;
    env_cond_broadcast(pool->env, pool->began);
    env_mutex_unlock(pool->env, pool->mutex);
    for (uint32_t i = 1; i < pool->worker_count; i++)
        env_thread_join(pool->env, pool->workers[i].thread);
    env_cond_destroy(pool->env, pool->began);
    env_cond_destroy(pool->env, pool->ended);
    env_mutex_destroy(pool->env, pool->mutex);
    free(pool->workers);
    free(pool);
}

CHECKED static Status run_here(uint32_t task_count, PoolTask task, void *self, Error *err) {
    for (uint32_t i = 0; i < task_count; i++)
        TRY(task(self, 0, i, err));
    return STATUS_OK;
}

Status pool_run(Pool *pool, bool run_inline, uint32_t task_count, PoolTask task, void *self, Error *err) {
    if (run_inline || pool->worker_count == 1 || task_count <= 1)
        return run_here(task_count, task, self, err);
    env_mutex_lock(pool->env, pool->mutex);
    pool->task = task; /* L1 */
    pool->self = self;
    pool->task_count = task_count;
    pool->failed_status = STATUS_OK;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->has_failed, false);
    pool->busy = pool->worker_count - 1;
    pool->round++;
    env_cond_broadcast(pool->env, pool->began);
    env_mutex_unlock(pool->env, pool->mutex);
    take_tasks(pool, 0);
    env_mutex_lock(pool->env, pool->mutex);
    while (pool->busy > 0)
        env_cond_wait(pool->env, pool->ended, pool->mutex, ENV_FOREVER);
    Status st = pool->failed_status;
    if (st != STATUS_OK && err)
        *err = pool->failed_error;
    env_mutex_unlock(pool->env, pool->mutex);
    return st;
}
