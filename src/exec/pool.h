/* pool.h - the worker threads of one engine.
 *
 * A round is `task_count` tasks; workers take them in order, one at a time, and pool_run returns when all
 * have ended. The calling thread is worker 0. With one worker, one task, or `run_inline` no other thread is
 * woken: a batch so small that threads would only get in its way runs where it is.
 *
 * Threads  pool_run from one thread at a time.  Faults  thread start.
 */
#ifndef LEAT_EXEC_POOL_H
#define LEAT_EXEC_POOL_H

#include "env/env.h"

typedef struct Pool Pool;

/* worker_count >= 1. The caller owns *out. */
CHECKED Status pool_create(Env *env, uint32_t worker_count, Pool **out, Error *err);
void pool_destroy(Pool *pool); /* NULL is allowed */

typedef Status (*PoolTask)(void *self, uint32_t worker, uint32_t task, Error *err);
/* The failure of the lowest task that failed, if any; tasks that have not begun by then are skipped. */
CHECKED Status pool_run(Pool *pool, bool run_inline, uint32_t task_count, PoolTask task, void *self,
                        Error *err);

#endif
