/* env_faulty.h - an environment that fails on purpose, by a plan.
 *
 * Wraps another environment, numbers every call that can fail or reach the world (all but clocks, mutexes,
 * conditions, and closes) from 1, and follows a plan given as text:
 *
 *     seed=42;kill@88;fsync@17=EIO;write@203=short:13;delay@5=1000;clock@40=-3600s;write@9+=ENOSPC
 *
 *   KIND@N=ERRNO    the N-th call of that kind fails with the errno and does nothing. Kinds: write, read,
 *                   sync, open, rename, remove, truncate, mkdir, syncdir, readdir, stat, lock, connect,
 *                   receive, send, listen, accept, poll, thread, random, stdout; `any` counts all kinds
 *                   together; `fsync` is another word for sync
 *   KIND@N+=ERRNO   that call and every later one of the kind; not EINTR, which would be made again for ever
 *   KIND@N=short:K  the N-th transfer of that kind (read, write, receive, send, random, stdout; `any`: if the
 *                   call is one) moves only K bytes: at least 1, at most one less than asked. Of a file past
 *                   the page cache: whole blocks of 4096, at least one, at most one less than asked
 *   kill@N          the process ends (_exit(137), nothing flushed) before the N-th call of `any`;
 *                   kill@N=after: behind it
 *   delay@N=US      the N-th call takes US microseconds longer (by the wrapped environment's clock)
 *   clock@N=±DU     from the N-th call on (0: from the start) the wall clock is D units U off, U one of
 *                   us ms s m h d y: `-3600s`, `+1y` (365 days). Of several the one with the greatest N rules
 *   seed=S          seeds choices the plan leaves open (there are none now)
 *
 * Entries are separated by ';'; blanks around them and empty ones do not matter. `stat` is also asking for
 * the current directory, `readdir` opening a directory, `connect` each finish, `poll` making one, `stdout`
 * also standard error. With an empty plan it only counts.
 *
 * Threads  any; counters are atomic.
 */
#ifndef LEAT_ENV_ENV_FAULTY_H
#define LEAT_ENV_ENV_FAULTY_H

#include "env/env.h"

typedef struct FaultPlan FaultPlan; /* a parsed plan: only values */

/* INVALID names the entry that is wrong and what was expected. The caller owns *out: free(). */
CHECKED Status fault_plan_parse(Str text, FaultPlan **out, Error *err);

/* The caller owns *out. `inner` is borrowed; `plan` is copied (NULL: count only). */
Env *env_faulty_create(Env *inner, const FaultPlan *plan);
void env_faulty_destroy(Env *env);

uint64_t env_faulty_call_count(const Env *env);  /* of `any` */
uint64_t env_faulty_fault_count(const Env *env); /* faults that have fired */
/* One line a call (number, kind, path, result) into the text, for messages of tests; NULL: stop. */
void env_faulty_trace(Env *env, Text *into);

#endif
