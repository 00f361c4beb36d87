/* poller.h - one thread that waits for all sockets of a process.
 *
 * A handler owns a socket or none at a time, says what it waits for (readability, writability, a moment), and
 * is called on the poller's thread when that happens. Handlers must not block.
 *
 * Threads  add, remove, kick from any (not from inside a handler of the same poller for remove); callbacks on
 *          the poller's own.
 */
#ifndef LEAT_STREAM_POLLER_H
#define LEAT_STREAM_POLLER_H

#include "env/env.h"

typedef struct Poller Poller;

typedef struct PollHandler PollHandler;
struct PollHandler {
    /* Called once after add, and whenever what it asked for has happened or somebody kicked it. It looks at
     * its socket, moves on, and sets the four fields below anew. */
    void (*on_event)(PollHandler *handler, bool can_read, bool can_write);
    EnvSocket *socket; /* or NULL */
    bool want_read, want_write;
    int64_t deadline_us; /* monotonic; ENV_FOREVER: none */
    /* the poller's own */
    PollHandler *next;
    bool is_kicked;
};

CHECKED Status poller_create(Env *env, Poller **out, Error *err);
void poller_destroy(Poller *poller); /* NULL is allowed; every handler must have been removed */
/* Starts the thread with the first handler. `handler` is borrowed until removed. */
CHECKED Status poller_add(Poller *poller, PollHandler *handler, Error *err);
/* Returns when the handler is not and will not be called. */
void poller_remove(Poller *poller, PollHandler *handler);
/* Calls the handler soon, although nothing it asked for has happened (room again after back-pressure). */
void poller_kick(Poller *poller, PollHandler *handler);

#endif
