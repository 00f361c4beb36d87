/* poller.c - one loop: ask the handlers what they wait for, wait for all of it, call those it happened to.
 *
 *   P1  Fields of a handler are read and written by the poller's thread only, next and is_kicked under the
 *       mutex.
 *   P2  The mutex is not held while waiting or while a handler is called: handlers may kick, others may add.
 *   P3  A round begins by collecting the handlers anew. Who is unlinked is in no later round; so when the
 *       number of the round has moved on, neither the wait nor a call refers to it (poller_remove).
 *   P4  Without events, deadlines and kicks nothing wakes: the wait is for ever.
 */
#include "stream/poller.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

enum { RETRY_US = 100 * 1000 }; /* after a wait that failed */

struct Poller {
    Env *env;
    EnvMutex *mutex;
    EnvCond *round_began;
    EnvPoll *poll;
    EnvThread *thread;     /* NULL before the first add */
    PollHandler *handlers; /* linked by next */
    uint64_t round;        /* P3 */
    bool is_ending;
    /* The thread's own: handler i waits for items[i]; NULL (under the mutex) once it was removed. */
    PollHandler **called;
    EnvPollItem *items;
    size_t count, capacity;
};

/* Mutex held. Gives the moment to wake at. */
static int64_t collect(Poller *poller) {
    int64_t deadline_us = ENV_FOREVER;
    poller->count = 0;
    for (PollHandler *handler = poller->handlers; handler; handler = handler->next) {
        if (poller->count == poller->capacity) {
            poller->capacity = poller->capacity ? 2 * poller->capacity : 8;
            poller->called = xrealloc(poller->called, poller->capacity * sizeof *poller->called);
            poller->items = xrealloc(poller->items, poller->capacity * sizeof *poller->items);
        }
        poller->called[poller->count] = handler;
        poller->items[poller->count++] = (EnvPollItem){
            .socket = handler->socket, .want_read = handler->want_read, .want_write = handler->want_write};
        int64_t due_us = handler->is_kicked ? 0 : handler->deadline_us;
        deadline_us = due_us < deadline_us ? due_us : deadline_us;
    }
    poller->round++; /* P3 */
    env_cond_broadcast(poller->env, poller->round_began);
    return deadline_us;
}

/* Mutex held at begin and end. */
static void call_handlers(Poller *poller) {
    int64_t now_us = env_monotonic_us(poller->env);
    for (size_t i = 0; i < poller->count; i++) {
        PollHandler *handler = poller->called[i];
        const EnvPollItem *item = &poller->items[i];
        if (!handler)
            continue;
        bool is_due = handler->deadline_us != ENV_FOREVER && handler->deadline_us <= now_us;
        if (!item->can_read && !item->can_write && !handler->is_kicked && !is_due)
            continue;
        handler->is_kicked = false;
        env_mutex_unlock(poller->env, poller->mutex);
        handler->on_event(handler, item->can_read, item->can_write);
        env_mutex_lock(poller->env, poller->mutex);
    }
}

static void poller_run(void *argument) {
    Poller *poller = argument;
    env_mutex_lock(poller->env, poller->mutex);
    while (!poller->is_ending) {
        Error err = {0};
        int64_t deadline_us = collect(poller);
        env_mutex_unlock(poller->env, poller->mutex);
        Status st = env_poll_wait(poller->env, poller->poll, poller->items, poller->count, deadline_us, &err);
        env_mutex_lock(poller->env, poller->mutex);
        if (st != STATUS_OK) {
            log_error("poller", "WAIT-FAILED %s", err.message);
            for (size_t i = 0; i < poller->count; i++)
                poller->items[i].can_read = poller->items[i].can_write = false;
            if (!poller->is_ending)
                (void)env_cond_wait(poller->env, poller->round_began, poller->mutex,
                                    env_monotonic_us(poller->env) + RETRY_US);
        }
        call_handlers(poller);
    }
    env_mutex_unlock(poller->env, poller->mutex);
}

Status poller_create(Env *env, Poller **out, Error *err) {
    EnvPoll *poll = NULL;
    *out = NULL;
    TRY(env_poll_create(env, &poll, err));
    Poller *poller = xcalloc(1, sizeof *poller);
    *poller = (Poller){
        .env = env, .mutex = env_mutex_create(env), .round_began = env_cond_create(env), .poll = poll};
    *out = poller;
    return STATUS_OK;
}

void poller_destroy(Poller *poller) {
    if (!poller)
        return;
    ASSERT(!poller->handlers);
    if (poller->thread) {
        env_mutex_lock(poller->env, poller->mutex);
        poller->is_ending = true;
        env_cond_broadcast(poller->env, poller->round_began);
        env_mutex_unlock(poller->env, poller->mutex);
        env_poll_wake(poller->env, poller->poll);
        env_thread_join(poller->env, poller->thread);
    }
    env_poll_destroy(poller->env, poller->poll);
    env_cond_destroy(poller->env, poller->round_began);
    env_mutex_destroy(poller->env, poller->mutex);
    free(poller->called);
    free(poller->items);
    free(poller);
}

Status poller_add(Poller *poller, PollHandler *handler, Error *err) {
    Status st = STATUS_OK;
    env_mutex_lock(poller->env, poller->mutex);
    if (!poller->thread)
        st = env_thread_start(poller->env, "poller", poller_run, poller, &poller->thread, err);
    if (st == STATUS_OK) {
        handler->is_kicked = true; /* called once after add */
        handler->next = poller->handlers;
        poller->handlers = handler;
    }
    env_mutex_unlock(poller->env, poller->mutex);
    if (st == STATUS_OK)
        env_poll_wake(poller->env, poller->poll);
    return st;
}

void poller_remove(Poller *poller, PollHandler *handler) {
    env_mutex_lock(poller->env, poller->mutex);
    ASSERT(poller->thread && !env_thread_is_current(poller->env, poller->thread));
    PollHandler **link = &poller->handlers;
    while (*link && *link != handler)
        link = &(*link)->next;
    ASSERT(*link == handler);
    *link = handler->next;
    handler->next = NULL;
    for (size_t i = 0; i < poller->count; i++)
        if (poller->called[i] == handler)
            poller->called[i] = NULL;
    uint64_t round = poller->round;
    env_poll_wake(poller->env, poller->poll);
    while (poller->round == round) /* P3 */
        (void)env_cond_wait(poller->env, poller->round_began, poller->mutex, ENV_FOREVER);
    env_mutex_unlock(poller->env, poller->mutex);
}

void poller_kick(Poller *poller, PollHandler *handler) {
    env_mutex_lock(poller->env, poller->mutex);
    handler->is_kicked = true;
    env_mutex_unlock(poller->env, poller->mutex);
    env_poll_wake(poller->env, poller->poll);
}
