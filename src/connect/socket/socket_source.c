/* socket_source.c - see socket_source.h.
 *
 *     create --> IDLE --start--> WAITING --try_connect--> CONNECTING --finish_connect--> CONNECTED
 *                                   ^ ^  refused               |  refused                    |  end, error
 *                                   | +------------------------+                             |
 *                                   +--------------------------------------------------------+
 *     stop, close, a port that is none, a failed block log: any --> STOPPED
 *
 *   K1  move() alone changes the state. In WAITING there is no socket, and deadline_us is the next attempt.
 *   K2  One event reads at most READ_COUNT_MAX times, so that other sockets have their turn.
 *   K3  Without room (R3) nothing is asked of the socket; the receiver kicks when there is room again.
 *   K4  From start to stop all fields belong to the poller's thread.
 */
#include "connect/socket/socket_source.h"

#include "base/bytes.h"
#include "base/log.h"
#include "stream/poller.h"
#include "stream/receiver.h"
#include "stream/repeats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_COUNT_MAX = 8, US_PER_MS = 1000, WHY_SIZE_MAX = ERROR_MESSAGE_SIZE_MAX + 40 };

typedef enum SocketState {
    SOCKET_IDLE,
    SOCKET_WAITING,
    SOCKET_CONNECTING,
    SOCKET_CONNECTED,
    SOCKET_STOPPED
} SocketState;

static const char *const state_names[] = {"IDLE", "WAITING", "CONNECTING", "CONNECTED", "STOPPED"};

typedef struct SocketSource {
    Source base;
    char *host, *port;
    const SourceServices *services;
    Env *env;
    Receiver *receiver;
    PollHandler handler; /* holds the socket */
    bool is_added;       /* to the poller */
    SocketState state;
    Repeats failures;
} SocketSource;

static SocketSource *source_of_handler(PollHandler *handler) {
    return (SocketSource *)((char *)handler - offsetof(SocketSource, handler));
}

static void move(SocketSource *source, SocketState to) {
    static const uint8_t allowed[] = {
        [SOCKET_IDLE] = 1 << SOCKET_WAITING | 1 << SOCKET_STOPPED,
        [SOCKET_WAITING] = 1 << SOCKET_WAITING | 1 << SOCKET_CONNECTING | 1 << SOCKET_STOPPED,
        [SOCKET_CONNECTING] = 1 << SOCKET_WAITING | 1 << SOCKET_CONNECTED | 1 << SOCKET_STOPPED,
        [SOCKET_CONNECTED] = 1 << SOCKET_WAITING | 1 << SOCKET_STOPPED,
        [SOCKET_STOPPED] = 0,
    };
    ASSERT(allowed[source->state] >> to & 1);
    log_debug("socket", "STATE %s:%s %s -> %s", source->host, source->port, state_names[source->state],
              state_names[to]);
    source->state = to;
}

/* Nothing is waited for, nothing is open. */
static void hang_up(SocketSource *source) {
    env_socket_close(source->env, source->handler.socket);
    source->handler.socket = NULL;
    source->handler.want_read = source->handler.want_write = false;
    source->handler.deadline_us = ENV_FOREVER;
}

/* The connection, or the attempt at one, is over; there will be another. */
static void wait_and_retry(SocketSource *source, const char *why) {
    int64_t now_us = env_monotonic_us(source->env), delay_ms = source->services->restart_delay_ms;
    uint64_t unsaid_count = 0;
    hang_up(source);
    move(source, SOCKET_WAITING);
    source->handler.deadline_us = now_us + delay_ms * US_PER_MS;
    if (!repeats_say(&source->failures, why, now_us, &unsaid_count))
        return;
    if (unsaid_count > 0)
        log_warn("socket", "RETRY %s:%s still %s, %" PRIu64 " more times; next try in %g s", source->host,
                 source->port, why, unsaid_count, (double)delay_ms / 1000);
    else
        log_warn("socket", "RETRY %s:%s %s; next try in %g s", source->host, source->port, why,
                 (double)delay_ms / 1000);
}

/* It cannot go on: the driver finds the reason in the block log, a person here. */
static void give_up(SocketSource *source, const Error *err) {
    hang_up(source);
    move(source, SOCKET_STOPPED);
    log_error("socket", "STOPPED %s:%s %s", source->host, source->port, err->message);
}

static void connect_failed(SocketSource *source, Status st, const Error *err) {
    char why[WHY_SIZE_MAX] = "refused the connection";
    if (st == STATUS_INVALID) { /* not a port: it will not become one */
        give_up(source, err);
        return;
    }
    if (err->os_error != ECONNREFUSED)
        snprintf(why, sizeof why, "cannot be reached (%s)", err->message);
    wait_and_retry(source, why);
}

static void on_connected(SocketSource *source) {
    move(source, SOCKET_CONNECTED);
    log_info("socket", "CONNECTED %s:%s", source->host, source->port);
    source->handler.want_read = true;
    source->handler.want_write = false;
}

static void finish_connect(SocketSource *source) {
    Error err = {0};
    Status st = env_socket_finish_connect(source->env, source->handler.socket, &err);
    if (st != STATUS_OK)
        connect_failed(source, st, &err);
    else if (env_socket_is_connected(source->env, source->handler.socket))
        on_connected(source);
}

static void try_connect(SocketSource *source) {
    Error err = {0};
    Status st = env_socket_connect(source->env, source->host, source->port, &source->handler.socket, &err);
    if (st != STATUS_OK) {
        connect_failed(source, st, &err);
        return;
    }
    move(source, SOCKET_CONNECTING);
    source->handler.want_write = true;
    source->handler.deadline_us = ENV_FOREVER;
}

/* One read. False: enough for this event. */
static bool read_some(SocketSource *source) {
    char *data;
    size_t size;
    Error err = {0};
    EnvTransfer what = ENV_WOULD_BLOCK;
    source->handler.want_read = receiver_room(source->receiver, &data, &size);
    if (!source->handler.want_read)
        return false; /* K3 */
    Status st = env_socket_receive(source->env, source->handler.socket, data, &size, &what, &err);
    bool is_over = st != STATUS_OK || what == ENV_END;
    if (!is_over && what == ENV_WOULD_BLOCK)
        return false;
    Error log_err = {0};
    Status taken = is_over ? receiver_end_of_connection(source->receiver, &log_err)
                           : receiver_received(source->receiver, size, &log_err);
    if (taken != STATUS_OK) {
        give_up(source, &log_err);
        return false;
    }
    if (is_over) {
        char why[WHY_SIZE_MAX] = "ended the connection";
        if (st != STATUS_OK)
            snprintf(why, sizeof why, "lost the connection (%s)", err.message);
        wait_and_retry(source, why);
        return false;
    }
    repeats_forget(&source->failures); /* it works: the next failure is news */
    return true;
}

static void on_event(PollHandler *handler, bool can_read, bool can_write) {
    SocketSource *source = source_of_handler(handler);
    if (source->state == SOCKET_WAITING && env_monotonic_us(source->env) >= handler->deadline_us)
        try_connect(source);
    else if (source->state == SOCKET_CONNECTING && (can_read || can_write))
        finish_connect(source);
    else if (source->state == SOCKET_CONNECTED)
        for (int i = 0; i < READ_COUNT_MAX && read_some(source); i++) /* K2 */
            ;
}

static void on_room(void *self) {
    SocketSource *source = self;
    if (source->is_added)
        poller_kick(source->services->poller, &source->handler);
}

/* ---- the calls of SourceClass ---- */

CHECKED static Status socket_open(Source *base, const SourceServices *services, Error *err) {
    SocketSource *source = (SocketSource *)base;
    source->services = services;
    source->env = services->env;
    return receiver_create((ReceiverOptions){.services = services,
                                             .stream_id = (uint32_t)hash_bytes(base->id, strlen(base->id)),
                                             .description = base->description,
                                             .on_room = on_room,
                                             .self = source},
                           &source->receiver, err);
}

CHECKED static Status socket_restore(Source *base, Str saved, Error *err) {
    return receiver_restore(((SocketSource *)base)->receiver, saved, err);
}

CHECKED static Status socket_replay(Source *base, int64_t batch_time_ms, Str plan, Error *err) {
    return receiver_replay(((SocketSource *)base)->receiver, batch_time_ms, plan, err);
}

CHECKED static Status socket_start(Source *base, Error *err) {
    SocketSource *source = (SocketSource *)base;
    TRY(receiver_start(source->receiver, err));
    move(source, SOCKET_WAITING);
    /* The first try: now. */
    source->handler = (PollHandler){.on_event = on_event, .deadline_us = env_monotonic_us(source->env)};
    Status st = poller_add(source->services->poller, &source->handler, err);
    source->is_added = st == STATUS_OK;
    return st;
}

CHECKED static Status socket_plan(Source *base, int64_t batch_time_ms, Text *plan, bool *has_batch,
                                  Error *err) {
    *has_batch = true;
    return receiver_plan(((SocketSource *)base)->receiver, batch_time_ms, plan, err);
}

CHECKED static Status socket_read(Source *base, int64_t batch_time_ms, Str plan, SplitList *splits,
                                  Error *err) {
    return receiver_read(((SocketSource *)base)->receiver, batch_time_ms, plan, splits, err);
}

static void socket_done(Source *base, int64_t batch_time_ms) {
    receiver_done(((SocketSource *)base)->receiver, batch_time_ms);
}

static void socket_save(Source *base, Text *out) {
    receiver_save(((SocketSource *)base)->receiver, out);
}

static uint64_t socket_oldest_segment(Source *base) {
    return receiver_oldest_segment(((SocketSource *)base)->receiver);
}

static void socket_stop(Source *base) {
    SocketSource *source = (SocketSource *)base;
    if (source->is_added) {
        poller_remove(source->services->poller, &source->handler);
        source->is_added = false;
        hang_up(source);
        if (source->state != SOCKET_STOPPED)
            move(source, SOCKET_STOPPED);
    }
}

static bool socket_has_more(Source *base) {
    return receiver_has_more(((SocketSource *)base)->receiver);
}

static void socket_close(Source *base) {
    SocketSource *source = (SocketSource *)base;
    socket_stop(base);
    receiver_destroy(source->receiver);
    source->receiver = NULL;
}

static void socket_destroy(Source *base) {
    SocketSource *source = (SocketSource *)base;
    ASSERT(!source->receiver);
    free(base->description);
    free(source->host);
    free(source->port);
    free(source);
}

const SourceClass socket_source_class = {.kind = "socket",
                                         .open = socket_open,
                                         .restore = socket_restore,
                                         .replay = socket_replay,
                                         .start = socket_start,
                                         .plan = socket_plan,
                                         .read = socket_read,
                                         .done = socket_done,
                                         .save = socket_save,
                                         .oldest_segment = socket_oldest_segment,
                                         .stop = socket_stop,
                                         .has_more = socket_has_more,
                                         .close = socket_close,
                                         .destroy = socket_destroy,
                                         .describe_plan = receiver_describe_plan};

Source *socket_source_create(const char *host, const char *port) {
    SocketSource *source = xcalloc(1, sizeof *source);
    Text description = {0};
    text_appendf(&description, "socket %s:%s", host, port);
    *source = (SocketSource){.base = {.class = &socket_source_class, .description = description.data},
                             .host = xstrdup(str_from(host)),
                             .port = xstrdup(str_from(port))};
    return &source->base;
}
