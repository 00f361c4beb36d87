/* life.h - one life of the job's process: started, fed, disturbed, ended.
 *
 *   L1  A safety life has faults and ends anyhow. The last one has none, goes on until everything that was
 *       fed has come out, and ends gracefully with code 0; when that takes longer than it may, it says so
 *       with LIFE_TOO_LATE (O6).
 *   L2  A file is renamed into its directory while the job runs only if the machine lives on, for a user
 *       would otherwise have to sync a directory that the job already reads from. All names there are durable
 *       before the job starts.
 */
#ifndef LEAT_TESTS_SIM_LIFE_H
#define LEAT_TESTS_SIM_LIFE_H

#include "sim/job.h"
#include "sim/ledger.h"

typedef enum LifeEnd {
    END_GRACEFUL,
    END_ABRUPT,   /* leat_stop, not graceful */
    END_SIGNAL,   /* SIGTERM */
    END_DESTROY,  /* leat_context_destroy while it runs */
    END_KILL_AT,  /* SIGKILL, at a moment */
    END_IN_FAULT, /* SIGKILL, at a call or behind a sync */
    LIFE_END_COUNT,
} LifeEnd;

enum { LIFE_TOO_LATE = 90, LIFE_LEAKS = 91, PLAN_SIZE = 400 };

typedef struct Life {
    uint32_t number; /* from 1 */
    bool is_last;
    uint64_t seed;
    int workers;
    uint32_t failing_one_in;
    int64_t run_us;      /* so long, then it ends */
    int64_t clock_us;    /* the wall clock is set by so much, in the middle of it */
    uint64_t disk_bytes; /* full at so many, for the first half of it; 0: never */
    const char *memory;  /* option; NULL: default */
    const char *segment, *snapshot, *chunk_rows;
    int64_t restart_delay_ms;
    LifeEnd end;
    SimCrash crash; /* then */
    char plan[PLAN_SIZE];
    unsigned fault_count; /* entries of the plan that are errors, or make a call fail otherwise */
    bool looks_for_leaks;
    bool is_calm; /* nothing in it makes the job fail: it must end with 0, unless it is killed */
    SimOptions options;
} Life;

/* Draws life `number` of so many. */
void life_draw(Life *life, const Job *job, uint32_t number, uint32_t count, Random *random);
void life_describe(const Life *life, Text *out);

typedef struct LifeUser {
    const Job *job;
    const Life *life;
    Ledger *ledger;
} LifeUser;

/* For sim_process_run; `user` is a LifeUser. Gives the job's exit code, or one of those above. */
int life_run(Env *env, void *user);

#endif
