/* env_sim_net.c - stream sockets in memory, between threads of one simulated process.
 *
 *   N1  What is sent stands at once in the queue of the other end and may be taken from its arrival on;
 *       arrivals of one direction never overtake each other.
 *   N2  A close arrives behind everything sent before it. A break arrives at once and empties both queues.
 *   N3  Every change wakes the polls; each looks for itself. A poll's deadline is the next arrival.
 *
 *       connect --> CONNECTING --the answer arrives, finish_connect--> CONNECTED --> broken or ended
 *
 * All of it under the lock of the environment, which is never held while waiting.
 */
#include "env/env_sim_parts.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WINDOW_BYTES = 65536, /* on the way or waiting, per direction */
    FIRST_FREE_PORT = 40000,
};

typedef struct SimSegment {
    struct SimSegment *next;
    int64_t arrival_us;
    size_t begin, size; /* [begin, size) of data is still to be received */
    char data[];
} SimSegment;

struct EnvSocket {
    EnvSocket *next; /* of all open ones */
    uint64_t id;
    bool is_listener, is_connected, is_broken;
    uint16_t port; /* of a listener */
    char *name;
    EnvSocket *peer; /* NULL: closed, or there never was one */

    int answer_error;   /* of a connecting one: what finish_connect will give */
    int64_t answer_us;  /* and from when on; ENV_FOREVER: nobody answers */
    EnvSocket *backlog; /* of a listener: connections to accept, oldest first, linked by `waiting` */
    EnvSocket *waiting;
    int64_t arrival_us; /* in a backlog: when it can be accepted */

    SimSegment *first, *last; /* N1: what comes in */
    size_t queued_bytes;
    int64_t last_arrival_us;
    int64_t end_us; /* the peer's close arrives; ENV_FOREVER: not yet */
};

struct EnvPoll {
    bool is_woken;
};

static void enter(SimEnv *sim, const char *what, uint64_t detail) {
    sim_call(sim, what, NULL, detail);
    pthread_mutex_lock(&sim->lock);
}

static int leave(SimEnv *sim, int error) {
    pthread_mutex_unlock(&sim->lock);
    sim_trace(sim, (uint64_t)(int64_t)error);
    return error;
}

static int64_t arrival_of(SimEnv *sim) {
    return sim->world->now_us + sim_draw_us(sim, sim->options.latency_us_max);
}

static EnvSocket *socket_create(SimEnv *sim, const char *host, unsigned port) {
    EnvSocket *sock = xcalloc(1, sizeof *sock);
    sock->id = ++sim->socket_count;
    Text name = {0};
    text_appendf(&name, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    sock->name = xstrdup(text_str(&name));
    text_deinit(&name);
    sock->end_us = ENV_FOREVER;
    sock->next = sim->sockets;
    sim->sockets = sock;
    return sock;
}

static void drop_queue(EnvSocket *sock) {
    while (sock->first) {
        SimSegment *segment = sock->first;
        sock->first = segment->next;
        free(segment);
    }
    sock->last = NULL;
    sock->queued_bytes = 0;
}

static void break_both(SimEnv *sim, EnvSocket *sock) { /* N2 */
    EnvSocket *ends[] = {sock, sock->peer};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        if (!ends[i])
            continue;
        ends[i]->is_broken = true;
        drop_queue(ends[i]);
    }
    sim_sched_wake_polls(sim);
}

static EnvSocket *listener_at(SimEnv *sim, unsigned port) {
    EnvSocket *sock = sim->sockets;
    while (sock && !(sock->is_listener && sock->port == port))
        sock = sock->next;
    return sock;
}

static int parse_address(const char *host, const char *port, unsigned *number) {
    int64_t value;
    if (!str_parse_i64(str_from(port), &value) || value < 0 || value > UINT16_MAX)
        return ENV_NO_SUCH_PORT;
    if (str_ends_with(str_from(host), STR(".invalid")))
        return ENV_NO_SUCH_HOST;
    *number = (unsigned)value;
    return 0;
}

/* ---- connections ---- */

int sim_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out) {
    SimEnv *sim = sim_of(env);
    unsigned number = 0;
    enter(sim, "connect", sim_hash(port, strlen(port)));
    int error = parse_address(host, port, &number);
    if (error != 0)
        return leave(sim, error);
    EnvSocket *sock = socket_create(sim, host, number), *listener = listener_at(sim, number);
    sock->answer_us = arrival_of(sim);
    if (sim_chance(sim, sim->options.refuse_one_in)) {
        sock->answer_us = ENV_FOREVER;
    } else if (!listener || sim_chance(sim, sim->options.refuse_one_in)) {
        sock->answer_error = ECONNREFUSED;
    } else {
        EnvSocket *other = socket_create(sim, "127.0.0.1", FIRST_FREE_PORT + (unsigned)(sock->id % 20000));
        other->is_connected = true;
        other->peer = sock;
        sock->peer = other;
        other->arrival_us = sock->answer_us;
        EnvSocket **link = &listener->backlog;
        while (*link)
            link = &(*link)->waiting;
        *link = other;
        sim_sched_wake_polls(sim); /* N3 */
    }
    *out = sock;
    return leave(sim, 0);
}

int sim_socket_finish_connect(Env *env, EnvSocket *sock) {
    SimEnv *sim = sim_of(env);
    enter(sim, "finish-connect", sock->id);
    int error = 0;
    if (!sock->is_connected && sock->answer_us <= sim->world->now_us) {
        error = sock->is_broken ? ECONNRESET : sock->answer_error;
        sock->is_connected = error == 0;
    }
    return leave(sim, error);
}

bool sim_socket_is_connected(Env *env, const EnvSocket *sock) {
    SimEnv *sim = sim_of(env);
    pthread_mutex_lock(&sim->lock);
    bool is_connected = sock->is_connected;
    pthread_mutex_unlock(&sim->lock);
    return is_connected;
}

int sim_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out) {
    SimEnv *sim = sim_of(env);
    unsigned number = 0;
    enter(sim, "listen", sim_hash(port, strlen(port)));
    int error = parse_address(host, port, &number);
    if (error == 0 && number > 0 && listener_at(sim, number))
        error = EADDRINUSE;
    if (error != 0)
        return leave(sim, error);
    while (number == 0 || listener_at(sim, number)) {
        if (sim->next_port < FIRST_FREE_PORT)
            sim->next_port = FIRST_FREE_PORT;
        number = sim->next_port++;
    }
    EnvSocket *sock = socket_create(sim, host, number);
    sock->is_listener = true;
    sock->port = (uint16_t)number;
    *out = sock;
    return leave(sim, 0);
}

uint16_t sim_socket_port(Env *env, const EnvSocket *sock) {
    (void)env;
    return sock->port;
}

int sim_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out) {
    SimEnv *sim = sim_of(env);
    enter(sim, "accept", listener->id);
    EnvSocket *sock = listener->backlog;
    if (!sock || sock->arrival_us > sim->world->now_us)
        return leave(sim, EAGAIN);
    listener->backlog = sock->waiting;
    sock->waiting = NULL;
    *out = sock;
    return leave(sim, 0);
}

const char *sim_socket_name(Env *env, const EnvSocket *sock) {
    (void)env;
    return sock->name;
}

static void destroy(SimEnv *sim, EnvSocket *sock) {
    EnvSocket **link = &sim->sockets;
    while (*link != sock)
        link = &(*link)->next;
    *link = sock->next;
    drop_queue(sock);
    free(sock->name);
    free(sock);
}

void sim_socket_close(Env *env, EnvSocket *sock) {
    SimEnv *sim = sim_of(env);
    enter(sim, "close-socket", sock->id);
    while (sock->backlog) { /* of a listener: nobody will accept them */
        EnvSocket *other = sock->backlog;
        sock->backlog = other->waiting;
        break_both(sim, other);
        if (other->peer)
            other->peer->peer = NULL;
        destroy(sim, other);
    }
    if (sock->peer) { /* N2 */
        int64_t arrival_us = arrival_of(sim);
        sock->peer->end_us =
            arrival_us > sock->peer->last_arrival_us ? arrival_us : sock->peer->last_arrival_us;
        sock->peer->peer = NULL;
    }
    destroy(sim, sock);
    sim_sched_wake_polls(sim);
    (void)leave(sim, 0);
}

/* ---- bytes ---- */

static size_t part_of(SimEnv *sim, size_t size) {
    if (size > 1 && sim_chance(sim, sim->options.partial_one_in))
        return 1 + sim_below(sim, size - 1);
    return size;
}

int sim_socket_receive(Env *env, EnvSocket *sock, void *out, size_t size, size_t *done) {
    SimEnv *sim = sim_of(env);
    enter(sim, "receive", sock->id);
    if (sock->peer && sim_chance(sim, sim->options.reset_one_in))
        break_both(sim, sock);
    if (sock->is_broken)
        return leave(sim, ECONNRESET);
    if (!sock->is_connected)
        return leave(sim, ENOTCONN);
    int64_t now_us = sim->world->now_us;
    size = part_of(sim, size);
    size_t have = 0;
    while (have < size && sock->first && sock->first->arrival_us <= now_us) {
        SimSegment *segment = sock->first;
        size_t rest = segment->size - segment->begin, count = rest < size - have ? rest : size - have;
        memcpy((char *)out + have, segment->data + segment->begin, count);
        segment->begin += count;
        have += count;
        if (segment->begin < segment->size)
            break;
        sock->first = segment->next;
        if (!sock->first)
            sock->last = NULL;
        free(segment);
    }
    sock->queued_bytes -= have;
    *done = have;
    if (have == 0 && (sock->first || sock->end_us > now_us))
        return leave(sim, EAGAIN);
    sim_trace(sim, sim_hash(out, have));
    sim_sched_wake_polls(sim); /* there is room for the sender */
    return leave(sim, 0);
}

int sim_socket_send(Env *env, EnvSocket *sock, const void *data, size_t size, size_t *done) {
    SimEnv *sim = sim_of(env);
    enter(sim, "send", sock->id ^ sim_hash(data, size));
    EnvSocket *peer = sock->peer;
    if (peer && sim_chance(sim, sim->options.reset_one_in))
        break_both(sim, sock);
    if (sock->is_broken)
        return leave(sim, ECONNRESET);
    if (!sock->is_connected)
        return leave(sim, ENOTCONN);
    if (!peer)
        return leave(sim, EPIPE);
    if (peer->queued_bytes >= WINDOW_BYTES)
        return leave(sim, EAGAIN);
    if (size > WINDOW_BYTES - peer->queued_bytes)
        size = WINDOW_BYTES - peer->queued_bytes;
    size = part_of(sim, size);
    SimSegment *segment = xmalloc(sizeof *segment + size);
    *segment = (SimSegment){.arrival_us = arrival_of(sim), .size = size};
    if (segment->arrival_us < peer->last_arrival_us)
        segment->arrival_us = peer->last_arrival_us; /* N1 */
    peer->last_arrival_us = segment->arrival_us;
    memcpy(segment->data, data, size);
    if (peer->last)
        peer->last->next = segment;
    else
        peer->first = segment;
    peer->last = segment;
    peer->queued_bytes += size;
    *done = size;
    sim_sched_wake_polls(sim); /* N3 */
    return leave(sim, 0);
}

/* ---- polls ---- */

int sim_poll_create(Env *env, EnvPoll **out) {
    SimEnv *sim = sim_of(env);
    enter(sim, "make-poll", 0);
    *out = xcalloc(1, sizeof **out);
    sim->open_count++;
    return leave(sim, 0);
}

void sim_poll_destroy(Env *env, EnvPoll *poll) {
    SimEnv *sim = sim_of(env);
    enter(sim, "close-poll", 0);
    sim->open_count--;
    (void)leave(sim, 0);
    free(poll);
}

void sim_poll_wake(Env *env, EnvPoll *poll) {
    SimEnv *sim = sim_of(env);
    enter(sim, "wake", 0);
    poll->is_woken = true;
    sim_sched_wake_polls(sim);
    (void)leave(sim, 0);
}

static void sooner(int64_t *at_us, int64_t us) {
    *at_us = us < *at_us ? us : *at_us;
}

/* When the item can be read (written): now_us or before: it can. */
static int64_t readable_us(const EnvSocket *sock) {
    int64_t at_us = ENV_FOREVER;
    if (sock->is_broken)
        return INT64_MIN;
    if (sock->is_listener)
        return sock->backlog ? sock->backlog->arrival_us : ENV_FOREVER;
    if (!sock->is_connected)
        return sock->answer_error ? sock->answer_us : ENV_FOREVER;
    if (sock->first)
        sooner(&at_us, sock->first->arrival_us);
    sooner(&at_us, sock->end_us);
    return at_us;
}

static int64_t writable_us(const EnvSocket *sock) {
    if (sock->is_broken)
        return INT64_MIN;
    if (sock->is_listener)
        return ENV_FOREVER;
    if (!sock->is_connected)
        return sock->answer_us;
    return !sock->peer || sock->peer->queued_bytes < WINDOW_BYTES ? INT64_MIN : ENV_FOREVER;
}

int sim_poll_wait(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count, int64_t deadline_us) {
    SimEnv *sim = sim_of(env);
    enter(sim, "poll", item_count);
    for (;;) {
        int64_t now_us = sim->world->now_us, next_us = deadline_us;
        bool is_over = poll->is_woken || deadline_us <= now_us;
        for (size_t i = 0; i < item_count; i++) {
            EnvPollItem *item = &items[i];
            item->can_read = item->can_write = false;
            if (!item->socket)
                continue;
            int64_t read_us = item->want_read ? readable_us(item->socket) : ENV_FOREVER;
            int64_t write_us = item->want_write ? writable_us(item->socket) : ENV_FOREVER;
            bool is_wanted = item->want_read || item->want_write;
            bool is_both = is_wanted && item->socket->is_broken;
            item->can_read = is_both || read_us <= now_us;
            item->can_write = is_both || write_us <= now_us;
            is_over = is_over || item->can_read || item->can_write;
            sooner(&next_us, read_us);
            sooner(&next_us, write_us);
        }
        if (is_over)
            break;
        pthread_mutex_unlock(&sim->lock);
        sim_sched_wait_poll(sim, poll, next_us);
        pthread_mutex_lock(&sim->lock);
    }
    poll->is_woken = false;
    return leave(sim, 0);
}
