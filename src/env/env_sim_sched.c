/* env_sim_sched.c - threads of the system that pass a baton.
 *
 *   S1  Who has the baton runs; all others sleep on their `turn`. It is handed over by a futex and not by a
 *       mutex, because the thread sanitizer would take a mutex for an order that the program has made (W7).
 *   S2  A mutex or condition here is a state that only who has the baton looks at, and beside it a real mutex
 *       of the system that is therefore always free when it is taken: the sanitizer's view of it.
 *
 *       READY --choose--> RUNNING --a call, the seed--> READY
 *         ^                  |-----it must wait-------> WAITING --unlock, signal, wake, end, deadline--> READY
 *         +--thread_start    +-----run returns--------> ENDED --thread_join--> gone
 */
#include "env/env_sim_parts.h"

#include "base/memory.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum SimState { READY, RUNNING, WAITING, ENDED } SimState;
typedef enum SimReason { FOR_TIME, FOR_MUTEX, FOR_COND, FOR_POLL, FOR_END } SimReason;

struct EnvThread {
    SimEnv *sim;
    EnvThread *next;
    uint32_t index; /* in the order of starts */
    const char *name;
    void (*run)(void *);
    void *argument;
    pthread_t thread;
    int turn; /* S1: 1: has the baton */

    SimState state;
    SimReason reason;      /* WAITING: for what */
    const void *waits_for; /* the mutex, condition, poll or thread */
    int64_t deadline_us;   /* WAITING: until then at most */
    bool was_woken;        /* not by the deadline */
};

struct EnvMutex {
    pthread_mutex_t real; /* S2 */
    EnvThread *owner;
};

struct EnvCond {
    char unused; /* those who wait know what for */
};

static _Thread_local EnvThread *current;

/* ---- the baton ---- */

UNSEEN static void take_turn(EnvThread *self) {
    while (__atomic_load_n(&self->turn, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &self->turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    self->turn = 0;
    self->state = RUNNING;
}

UNSEEN static void give_turn(EnvThread *thread) {
    __atomic_store_n(&thread->turn, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &thread->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

UNSEEN static const char *owner_name(const EnvThread *thread) {
    const EnvMutex *mutex = thread->waits_for;
    return mutex->owner ? mutex->owner->name : "nobody";
}

/* W4 */
UNSEEN _Noreturn static void report_stuck(SimEnv *sim) {
    dprintf(STDERR_FILENO, "simulated process: all threads wait, and none for a moment\n");
    for (const EnvThread *thread = sim->threads; thread; thread = thread->next) {
        if (thread->state == ENDED)
            continue;
        dprintf(STDERR_FILENO, "  thread %u %s waits for ", thread->index, thread->name);
        switch (thread->reason) {
        case FOR_TIME:
            dprintf(STDERR_FILENO, "time\n");
            break;
        case FOR_MUTEX:
            dprintf(STDERR_FILENO, "a mutex of %s\n", owner_name(thread));
            break;
        case FOR_COND:
            dprintf(STDERR_FILENO, "a condition\n");
            break;
        case FOR_POLL:
            dprintf(STDERR_FILENO, "a poll\n");
            break;
        case FOR_END:
            dprintf(STDERR_FILENO, "the end of thread %s\n", ((const EnvThread *)thread->waits_for)->name);
            break;
        }
    }
    sim_end_process(sim, SIM_EXIT_STUCK);
}

UNSEEN static void make_ready(EnvThread *thread, bool was_woken) {
    thread->state = READY;
    thread->was_woken = was_woken;
}

/* Who goes on; time jumps when nobody can (W2). */
UNSEEN static EnvThread *choose(SimEnv *sim) {
    for (;;) {
        uint32_t ready_count = 0;
        int64_t earliest_us = ENV_FOREVER;
        for (EnvThread *thread = sim->threads; thread; thread = thread->next) {
            if (thread->state == WAITING && thread->deadline_us <= sim->world->now_us)
                make_ready(thread, false);
            if (thread->state == READY)
                ready_count++;
            else if (thread->state == WAITING && thread->deadline_us < earliest_us)
                earliest_us = thread->deadline_us;
        }
        if (ready_count > 0) {
            uint64_t nth = sim_below(sim, ready_count);
            for (EnvThread *thread = sim->threads;; thread = thread->next)
                if (thread->state == READY && nth-- == 0)
                    return thread;
        }
        if (earliest_us == ENV_FOREVER)
            report_stuck(sim);
        sim->world->now_us = earliest_us;
    }
}

/* The state of the calling thread says what becomes of it. */
UNSEEN static void hand_over(SimEnv *sim) {
    EnvThread *self = current, *next = choose(sim);
    if (next == self) {
        self->state = RUNNING;
        return;
    }
    sim_trace(sim, next->index);
    give_turn(next);
    if (self->state != ENDED)
        take_turn(self);
}

/* True: woken, false: the deadline has passed. */
UNSEEN static bool wait_for(SimEnv *sim, SimReason reason, const void *what, int64_t deadline_us) {
    EnvThread *self = current;
    self->state = WAITING;
    self->reason = reason;
    self->waits_for = what;
    self->deadline_us = deadline_us;
    hand_over(sim);
    return self->was_woken;
}

UNSEEN static void wake_all(SimEnv *sim, SimReason reason, const void *what) {
    for (EnvThread *thread = sim->threads; thread; thread = thread->next)
        if (thread->state == WAITING && thread->reason == reason && (!what || thread->waits_for == what))
            make_ready(thread, true);
}

UNSEEN void sim_sched_switch(SimEnv *sim) {
    current->state = READY;
    hand_over(sim);
}

UNSEEN void sim_sched_sleep(SimEnv *sim, int64_t deadline_us) {
    if (deadline_us > sim->world->now_us)
        (void)wait_for(sim, FOR_TIME, NULL, deadline_us);
}

UNSEEN void sim_sched_wait_poll(SimEnv *sim, const void *poll, int64_t deadline_us) {
    (void)wait_for(sim, FOR_POLL, poll, deadline_us);
}

UNSEEN void sim_sched_wake_polls(SimEnv *sim) {
    wake_all(sim, FOR_POLL, NULL); /* each looks whether it was meant */
}

UNSEEN uint32_t sim_sched_current(const SimEnv *sim) {
    (void)sim;
    return current->index;
}

/* ---- threads ---- */

UNSEEN static EnvThread *link_thread(SimEnv *sim, EnvThread *thread) {
    thread->sim = sim;
    thread->index = sim->started_count++;
    thread->next = sim->threads;
    sim->threads = thread;
    return thread;
}

UNSEEN static void unlink_thread(SimEnv *sim, EnvThread *thread) {
    EnvThread **link = &sim->threads;
    while (*link != thread)
        link = &(*link)->next;
    *link = thread->next;
}

UNSEEN void sim_sched_init(SimEnv *sim) {
    EnvThread *thread = xcalloc(1, sizeof *thread);
    thread->name = "main";
    thread->state = RUNNING;
    current = sim->main_thread = link_thread(sim, thread);
}

UNSEEN void sim_sched_deinit(SimEnv *sim) {
    ASSERT(current == sim->main_thread && sim->threads == current && !current->next);
    free(current);
    current = NULL;
}

UNSEEN static void end_thread(SimEnv *sim, EnvThread *thread) {
    wake_all(sim, FOR_END, thread);
    thread->state = ENDED;
    hand_over(sim);
}

static void *thread_main(void *argument) {
    EnvThread *thread = argument;
    current = thread;
    take_turn(thread);
    thread->run(thread->argument);
    sim_call(thread->sim, "end", thread->name, 0);
    end_thread(thread->sim, thread);
    return NULL;
}

int sim_thread_start(Env *env, const char *name, void (*run)(void *), void *argument, EnvThread **out) {
    SimEnv *sim = sim_of(env);
    EnvThread *thread = xcalloc(1, sizeof *thread);
    thread->name = name;
    thread->run = run;
    thread->argument = argument;
    link_thread(sim, thread);
    int error = pthread_create(&thread->thread, NULL, thread_main, thread);
    if (error != 0) {
        unlink_thread(sim, thread);
        free(thread);
        return error;
    }
    *out = thread; /* before it may run */
    sim_call(sim, "thread", name, 0);
    return 0;
}

UNSEEN static void wait_for_end(SimEnv *sim, EnvThread *thread) {
    ASSERT(thread != current);
    while (thread->state != ENDED)
        (void)wait_for(sim, FOR_END, thread, ENV_FOREVER);
    unlink_thread(sim, thread);
}

void sim_thread_join(Env *env, EnvThread *thread) {
    SimEnv *sim = sim_of(env);
    sim_call(sim, "join", thread->name, 0);
    wait_for_end(sim, thread);
    int failed = pthread_join(thread->thread, NULL);
    ASSERT(!failed);
    free(thread);
}

bool sim_thread_is_current(Env *env, const EnvThread *thread) {
    (void)env;
    return thread == current;
}

/* ---- mutexes and conditions ---- */

EnvMutex *sim_mutex_create(Env *env) {
    (void)env;
    EnvMutex *mutex = xcalloc(1, sizeof *mutex);
    int failed = pthread_mutex_init(&mutex->real, NULL);
    ASSERT(!failed);
    return mutex;
}

void sim_mutex_destroy(Env *env, EnvMutex *mutex) {
    (void)env;
    int failed = pthread_mutex_destroy(&mutex->real);
    ASSERT(!failed);
    free(mutex);
}

UNSEEN static void own(SimEnv *sim, EnvMutex *mutex) {
    ASSERT(mutex->owner != current);
    while (mutex->owner)
        (void)wait_for(sim, FOR_MUTEX, mutex, ENV_FOREVER);
    mutex->owner = current;
}

UNSEEN static void disown(SimEnv *sim, EnvMutex *mutex) {
    ASSERT(mutex->owner == current);
    mutex->owner = NULL;
    wake_all(sim, FOR_MUTEX, mutex);
}

static void lock(SimEnv *sim, EnvMutex *mutex) {
    own(sim, mutex);
    int failed = pthread_mutex_lock(&mutex->real); /* S2 */
    ASSERT(!failed);
}

static void unlock(SimEnv *sim, EnvMutex *mutex) {
    int failed = pthread_mutex_unlock(&mutex->real);
    ASSERT(!failed);
    disown(sim, mutex);
}

void sim_mutex_lock(Env *env, EnvMutex *mutex) {
    sim_call(sim_of(env), "lock", NULL, 0);
    lock(sim_of(env), mutex);
}

void sim_mutex_unlock(Env *env, EnvMutex *mutex) {
    unlock(sim_of(env), mutex);
    sim_call(sim_of(env), "unlock", NULL, 0);
}

EnvCond *sim_cond_create(Env *env) {
    (void)env;
    return xcalloc(1, sizeof(EnvCond));
}

UNSEEN static bool is_waited_for(SimEnv *sim, const EnvCond *cond) {
    for (const EnvThread *thread = sim->threads; thread; thread = thread->next)
        if (thread->state == WAITING && thread->reason == FOR_COND && thread->waits_for == cond)
            return true;
    return false;
}

void sim_cond_destroy(Env *env, EnvCond *cond) {
    ASSERT(!is_waited_for(sim_of(env), cond));
    free(cond);
}

UNSEEN static bool await(SimEnv *sim, const EnvCond *cond, int64_t deadline_us) {
    if (deadline_us <= sim->world->now_us)
        return false;
    return wait_for(sim, FOR_COND, cond, deadline_us);
}

bool sim_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us) {
    SimEnv *sim = sim_of(env);
    sim_call(sim, "wait", NULL, 0);
    bool is_spurious = sim_chance(sim, sim->options.spurious_one_in);
    unlock(sim, mutex);
    bool was_woken = true;
    if (is_spurious)
        sim_sched_switch(sim);
    else
        was_woken = await(sim, cond, deadline_us);
    lock(sim, mutex);
    sim_trace(sim, was_woken);
    return was_woken;
}

/* One of those who wait, whichever the seed says. */
UNSEEN static void wake_one(SimEnv *sim, const EnvCond *cond) {
    uint32_t count = 0;
    for (const EnvThread *thread = sim->threads; thread; thread = thread->next)
        count += thread->state == WAITING && thread->reason == FOR_COND && thread->waits_for == cond;
    if (count == 0)
        return;
    uint64_t nth = sim_below(sim, count);
    for (EnvThread *thread = sim->threads; thread; thread = thread->next)
        if (thread->state == WAITING && thread->reason == FOR_COND && thread->waits_for == cond && nth-- == 0)
            make_ready(thread, true);
}

void sim_cond_signal(Env *env, EnvCond *cond) {
    wake_one(sim_of(env), cond);
    sim_call(sim_of(env), "signal", NULL, 0);
}

void sim_cond_broadcast(Env *env, EnvCond *cond) {
    wake_all(sim_of(env), FOR_COND, cond);
    sim_call(sim_of(env), "broadcast", NULL, 0);
}
