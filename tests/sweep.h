/* sweep.h - the same job again and again, with a fault at every call it makes of its environment.
 *
 *     static Status run(Env *env, void *user, Error *err);       the job, all of its calls through `env`
 *     static bool   check(const SweepRound *round, void *user);  what must hold whatever happened
 *     TEST(log_survives_an_end_anywhere) {
 *         SweepJob    job = {.prepare = empty_directory, .run = run, .check = check, .user = &state};
 *         SweepCounts counts = sweep_kill(&job);
 *         CHECK(counts.calls > 0 && counts.unreached == 0);
 *     }
 *
 * First the job runs without faults (after `prepare`, without `check`), which must succeed and gives the
 * number of calls. Then every round is prepare, run under a plan (env_faulty.h), check.
 *
 *   sweep_kill   kill@N and kill@N=after for every N; each run is a forked child, prepare and check are not
 *   sweep_errno  any@N=ERRNO for every N and ERRNO, all in this process
 *
 * The job must make the same calls each time; `unreached` counts rounds where the planned call did not come
 * (jobs that poll, or have threads, make a number of calls that varies). A child that ends otherwise than
 * planned (a signal, a sanitizer, an exit code, more than 60 s) and a check that returns false are failing
 * checks of the test; they are printed with the plan, the call it stands for, and the variable that repeats
 * only this round: SWEEP_PLAN='kill@17=after'.
 *
 * Each sweep prints one line of counts. `calls_max` spreads so many calls evenly over the job where all would
 * be too many; LEAT_TEST_LONG=1 does all. LEAT_TEST_SHORT=1 takes 8 calls of every job: for a run that looks
 * for something else (the thread sanitizer).
 *
 * Threads  fork: a job may start threads, the test must have none while it sweeps.
 */
#ifndef LEAT_TESTS_SWEEP_H
#define LEAT_TESTS_SWEEP_H

#include "env/env.h"

typedef struct SweepRound {
    const char *plan;    /* as env_faulty.h reads it */
    bool was_killed;     /* sweep_kill: false only when unreached */
    Status status;       /* what run returned; OK when it was killed */
    const char *message; /* the error's, "" without one */
} SweepRound;

typedef struct SweepJob {
    void (*prepare)(void *user); /* may be NULL: the start of every round, as the test's process */
    Status (*run)(Env *env, void *user, Error *err);    /* in a child its writes to *user are lost */
    bool (*check)(const SweepRound *round, void *user); /* CHECK gives the bool */
    void *user;
    uint64_t calls_max; /* 0: all */
} SweepJob;

typedef struct SweepCounts {
    uint64_t calls;     /* of the job without faults */
    uint64_t rounds;    /* made */
    uint64_t unreached; /* rounds that did not come to their fault */
    uint64_t refused;   /* sweep_errno: rounds whose run returned an error */
} SweepCounts;

SweepCounts sweep_kill(const SweepJob *job);
/* errno_names: "EIO ENOSPC EINTR", the names of env_faulty.h between single blanks. */
SweepCounts sweep_errno(const SweepJob *job, const char *errno_names);

#endif
