/* env_sim.h - a simulated machine: virtual time, threads under a seed, a disk that loses what was not synced,
 * sockets in memory. The third environment beside env_real and env_faulty.h, for tests.
 *
 * A machine is a SimWorld: the disk, the clock, the numbers drawn from the seed, and what the test keeps there
 * for itself. A program runs on it as a simulated process: a forked child that calls its world through the
 * Env that sim_process_run gives it. The world's memory is shared between the test and its children, so it
 * outlives them, and all else of a process (threads, heap, locks, sockets) goes with it, however it ends.
 * A fork is chosen because an end in the middle is then what it is in life: nothing is unwound, nothing leaks
 * into the next life, a crash is a failed life and not the end of the test; it costs about a millisecond.
 *
 *   W1  One thread of a process runs at a time. It hands over only within calls of its environment: where it
 *       must wait, and, when the seed says so, at any other call (clocks are no such call).
 *   W2  Time is virtual. It moves a little at each call; when all threads wait, it jumps to the earliest
 *       deadline. Nothing ever waits in real time.
 *   W3  The same seed, program and calls of this header give the same run: every call with the same arguments
 *       in the same order, which sim_world_trace_hash() tells.
 *   W4  When all threads wait and none has a deadline, the process ends with SIM_STUCK and says on the real
 *       standard error what each waits for; after call_count_max calls it ends with SIM_ENDLESS.
 *   W5  Before a power cut a read gives what was written. After it a file holds what was synced and, of what
 *       was not, what SimCrash says; a name is durable once its directory was synced.
 *   W6  After a failed sync the bytes it was asked for are not durable and no later sync makes them so.
 *   W7  The thread sanitizer sees the mutexes, conditions, starts and joins of the program, not the handing
 *       over: it finds races here as it does outside, but under a schedule that repeats.
 *
 * The other faults come from env_faulty.h around this environment: its plans repeat exactly here (kill@N is
 * SIM_KILLED, clock@N moves the wall clock).
 *
 * Memory   a fixed reservation; a world that is full ends the process.
 * Threads  the functions of a world: the test, while no process runs, unless they say otherwise.
 */
#ifndef LEAT_ENV_ENV_SIM_H
#define LEAT_ENV_ENV_SIM_H

#include "base/random.h"
#include "env/env.h"

typedef struct SimWorld SimWorld;

/* ---- the world ---- */
/* An empty disk at 2026-01-01 00:00 UTC. The caller owns it. `size_bytes_max` is reserved, not used. */
SimWorld *sim_world_create(size_t size_bytes_max, uint64_t seed);
void sim_world_destroy(SimWorld *world); /* NULL is allowed */
/* As after sim_world_create: everything in it is gone. */
void sim_world_reset(SimWorld *world, uint64_t seed);
/* Zeroed memory that the test and its processes share, until the reset. Any thread that runs. */
void *sim_world_alloc(SimWorld *world, size_t size_bytes);

int64_t sim_world_now_us(const SimWorld *world);        /* monotonic, from 0 */
void sim_world_pass(SimWorld *world, int64_t us);       /* time goes by */
void sim_world_shift_wall(SimWorld *world, int64_t us); /* the wall clock is set; adds up. Any thread */
uint64_t sim_world_trace_hash(const SimWorld *world);   /* of all calls since the reset */
uint64_t sim_world_call_count(const SimWorld *world);   /* since the reset */
uint64_t sim_world_sync_count(const SimWorld *world);   /* of files and directories that were synced */
/* The disk takes no more than so many bytes (whole blocks of 4096). Any thread. */
void sim_world_limit_disk(SimWorld *world, uint64_t size_bytes_max);
/* What processes have written to standard output and error since the last clear. */
Str sim_world_stdout(const SimWorld *world);
Str sim_world_stderr(const SimWorld *world);
void sim_world_clear_streams(SimWorld *world);

/* What becomes of what was not synced. A page or sector of a file is always what it was after some number of
 * the writes to it, as a page cache would leave it. Of names (create, rename, remove) PREFIX keeps the first
 * ones of each directory, the kinds behind it any. */
typedef enum SimCrash {
    SIM_CRASH_NONE,     /* the process ended, not the machine: nothing is lost */
    SIM_CRASH_ALL_LOST, /* nothing unsynced has reached the disk */
    SIM_CRASH_PREFIX,   /* of each file's writes the first ones */
    SIM_CRASH_PAGES,    /* each page of 4096 bytes for itself: a random part, in any order */
    SIM_CRASH_SECTORS,  /* each sector of 512 bytes for itself: writes are torn */
    SIM_CRASH_ZEROED,   /* as PAGES, but every file has its last size: what is missing reads as zeros */
    SIM_CRASH_COUNT,
} SimCrash;
const char *sim_crash_name(SimCrash crash); /* static text */
/* The power is cut. `random` draws what the kind leaves open. */
void sim_world_crash(SimWorld *world, SimCrash crash, Random *random);

/* ---- processes ---- */
typedef struct SimOptions {
    unsigned cpu_count;       /* 0: 2 */
    uint64_t memory_bytes;    /* 0: 1 GiB */
    uint32_t switch_one_in;   /* another thread goes on at one of so many calls; 0: only where one waits */
    uint32_t spurious_one_in; /* one of so many condition waits ends without a cause; 0: none */
    uint32_t stall_one_in;    /* at one of so many calls the machine stands still; 0: never */
    int64_t stall_us_max;     /* and for so long */
    int64_t sync_us_max;      /* a sync takes up to so long */
    bool has_direct;          /* files can be opened past the page cache */
    uint64_t failing_sync;    /* the n-th sync of a file fails, from 1; 0: none (W6) */
    bool later_syncs_fail;    /* and all behind it */
    uint64_t end_behind_sync; /* killed when the n-th sync of a file or directory is done; 0: never */
    int64_t latency_us_max;   /* of connections, and of bytes on their way */
    uint32_t partial_one_in;  /* one of so many receives and sends moves only a part; 0: none */
    uint32_t reset_one_in;    /* one of so many receives and sends breaks the connection; 0: none */
    uint32_t refuse_one_in;   /* one of so many connects is refused, one of so many is never answered */
    uint64_t call_count_max;  /* 0: 100 million (W4) */
    bool prints_calls;        /* every call on the real standard error */
} SimOptions;

typedef enum SimEnd {
    SIM_RETURNED, /* from its main function */
    SIM_KILLED,   /* by a fault plan or end_behind_sync: handles and locks are gone, the page cache is not */
    SIM_STUCK,
    SIM_ENDLESS,
    SIM_BROKEN, /* a signal, an assertion, a sanitizer, an exit that nobody planned */
} SimEnd;
const char *sim_end_name(SimEnd end); /* static text */

/* Runs `program` as a process of the world and waits for its end. `env` is the child's and ends with it; the
 * program ends the threads that it started. *exit_code (may be NULL): what it returned, or what the system
 * says of it. `user` is borrowed; what the program writes there is lost unless it stands in the world.
 * Threads  the calling process has no others. */
SimEnd sim_process_run(SimWorld *world, SimOptions options, int (*program)(Env *env, void *user), void *user,
                       int *exit_code);

/* The same environment in the calling process, for tests that need no end of it: the calling thread is its
 * first thread. One at a time per world. The caller owns it; destroyed when all its threads have ended and all
 * its handles are closed: what is left open ends the process with a message (a descriptor that leaks). */
Env *env_sim_create(SimWorld *world, SimOptions options);
void env_sim_destroy(Env *env); /* NULL is allowed */
/* The process gets SIGKILL, now. */
_Noreturn void env_sim_kill(Env *env);
/* The process gets SIGINT or SIGTERM: env_on_stop_signal's function is called, once, on the calling thread,
 * which is not one that the function waits for. */
void env_sim_signal(Env *env, int signal_number);
/* A place where the seed may choose another thread, inside code that makes no calls (functions of a job).
 * `env` is a simulated environment. */
void env_sim_yield(Env *env);

#endif
