/* The poller with real sockets. THREADS_TEST */
#include "stream/poller.h"

#include "base/memory.h"
#include "env/env_faulty.h"

#include "check.h"

#include <stdlib.h>

enum { PATIENCE_US = 20 * 1000 * 1000, CALLS_MAX = 8 };

/* Says what was called; asks for what the test says. */
typedef struct Probe {
    PollHandler handler;
    Env *env;
    EnvMutex *mutex;
    EnvCond *changed;
    int call_count;
    bool can_read, can_write;
    uint64_t env_calls[CALLS_MAX]; /* when called */
    bool keeps_reading;            /* takes one byte per call and asks again */
} Probe;

static void on_event(PollHandler *handler, bool can_read, bool can_write) {
    Probe *probe = (Probe *)handler;
    char byte;
    size_t size = 1;
    EnvTransfer what;
    if (!probe->keeps_reading)
        handler->want_read = handler->want_write = false;
    else if (can_read)
        (void)!env_socket_receive(probe->env, handler->socket, &byte, &size, &what, NULL);
    if (handler->deadline_us <= env_monotonic_us(probe->env))
        handler->deadline_us = ENV_FOREVER;
    env_mutex_lock(probe->env, probe->mutex);
    if (probe->call_count < CALLS_MAX && probe->env != env_real())
        probe->env_calls[probe->call_count] = env_faulty_call_count(probe->env);
    probe->call_count++;
    probe->can_read = can_read;
    probe->can_write = can_write;
    env_cond_broadcast(probe->env, probe->changed);
    env_mutex_unlock(probe->env, probe->mutex);
}

static void probe_init(Probe *probe, Env *env) {
    *probe = (Probe){.handler = {.on_event = on_event, .deadline_us = ENV_FOREVER},
                     .env = env,
                     .mutex = env_mutex_create(env),
                     .changed = env_cond_create(env)};
}

static void probe_deinit(Probe *probe) {
    env_cond_destroy(probe->env, probe->changed);
    env_mutex_destroy(probe->env, probe->mutex);
}

/* A member that on_event writes. */
static bool read_flag(Probe *probe, const bool *flag) {
    env_mutex_lock(probe->env, probe->mutex);
    bool value = *flag;
    env_mutex_unlock(probe->env, probe->mutex);
    return value;
}

static bool wait_for_calls(Probe *probe, int call_count) {
    int64_t deadline_us = env_monotonic_us(probe->env) + PATIENCE_US;
    env_mutex_lock(probe->env, probe->mutex);
    while (probe->call_count < call_count &&
           env_cond_wait(probe->env, probe->changed, probe->mutex, deadline_us))
        ;
    bool is_there = probe->call_count >= call_count;
    env_mutex_unlock(probe->env, probe->mutex);
    return CHECK(is_there);
}

typedef struct Pair {
    EnvSocket *listener, *client, *server;
} Pair;

static void pair_init(Pair *pair) {
    Env *env = env_real();
    Error err = {0};
    char port[8];
    *pair = (Pair){0};
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &pair->listener, &err), err));
    snprintf(port, sizeof port, "%u", env_socket_port(env, pair->listener));
    REQUIRE(CHECK_OK(env_socket_connect(env, "127.0.0.1", port, &pair->client, &err), err));
    EnvPoll *poll = NULL;
    REQUIRE(CHECK_OK(env_poll_create(env, &poll, &err), err));
    while (!pair->server || !env_socket_is_connected(env, pair->client)) {
        EnvPollItem items[] = {{.socket = pair->server ? NULL : pair->listener, .want_read = true},
                               {.socket = pair->client, .want_write = true}};
        REQUIRE(CHECK_OK(env_poll_wait(env, poll, items, 2, env_monotonic_us(env) + PATIENCE_US, &err), err));
        if (!pair->server)
            REQUIRE(CHECK_OK(env_socket_accept(env, pair->listener, &pair->server, &err), err));
        if (!env_socket_is_connected(env, pair->client))
            REQUIRE(CHECK_OK(env_socket_finish_connect(env, pair->client, &err), err));
    }
    env_poll_destroy(env, poll);
}

static void pair_deinit(Pair *pair) {
    env_socket_close(env_real(), pair->client);
    env_socket_close(env_real(), pair->server);
    env_socket_close(env_real(), pair->listener);
}

static void send_text(EnvSocket *socket, const char *text) {
    Error err = {0};
    EnvTransfer what;
    size_t size = strlen(text);
    CHECK_OK(env_socket_send(env_real(), socket, text, &size, &what, &err), err);
    CHECK_EQ(size, strlen(text));
}

static Poller *new_poller(Env *env) {
    Error err = {0};
    Poller *poller = NULL;
    REQUIRE(CHECK_OK(poller_create(env, &poller, &err), err));
    return poller;
}

static void add(Poller *poller, Probe *probe) {
    Error err = {0};
    REQUIRE(CHECK_OK(poller_add(poller, &probe->handler, &err), err));
}

TEST(a_poller_without_handlers_has_no_thread) {
    Env *env = env_faulty_create(env_real(), NULL);
    Poller *poller = new_poller(env);
    CHECK_EQ(env_faulty_call_count(env), 1); /* the poll */
    poller_destroy(poller);
    poller_destroy(NULL);
    env_faulty_destroy(env);
}

TEST(called_after_add_at_a_kick_at_a_deadline_and_not_else) {
    Env *env = env_faulty_create(env_real(), NULL);
    Poller *poller = new_poller(env);
    Probe probe, other;
    probe_init(&probe, env);
    probe_init(&other, env);
    add(poller, &probe);
    wait_for_calls(&probe, 1);
    add(poller, &other);
    wait_for_calls(&other, 1);
    for (int i = 2; i <= 5; i++) {
        poller_kick(poller, &probe.handler);
        wait_for_calls(&probe, i);
    }
    CHECK_EQ(other.call_count, 1);
    /* From one call to the next: the wait that ended, and at most one for a wake that came late. */
    for (int i = 3; i < 5; i++)
        CHECK(probe.env_calls[i] - probe.env_calls[i - 1] <= 2);
    poller_remove(poller, &other.handler);
    other.handler.deadline_us = env_monotonic_us(env) + 2000;
    add(poller, &other);
    wait_for_calls(&other, 3); /* after add, and at the deadline */
    poller_remove(poller, &probe.handler);
    poller_remove(poller, &other.handler);
    CHECK_EQ(other.call_count, 3);
    poller_destroy(poller);
    probe_deinit(&probe);
    probe_deinit(&other);
    env_faulty_destroy(env);
}

TEST(told_of_what_can_be_read_and_written) {
    Env *env = env_real();
    Poller *poller = new_poller(env);
    Pair pair;
    Probe reader, writer;
    pair_init(&pair);
    probe_init(&reader, env);
    probe_init(&writer, env);
    reader.keeps_reading = true;
    reader.handler.socket = pair.client;
    reader.handler.want_read = true;
    add(poller, &reader);
    wait_for_calls(&reader, 1);
    CHECK(!read_flag(&reader, &reader.can_write));
    send_text(pair.server, "abcd"); /* a call for each byte: it is asked again while there is more */
    wait_for_calls(&reader, 4);
    CHECK(read_flag(&reader, &reader.can_read));
    writer.handler.socket = pair.server;
    add(poller, &writer);
    wait_for_calls(&writer, 1);
    poller_remove(poller, &writer.handler);
    writer.handler.want_write = true;
    add(poller, &writer);
    wait_for_calls(&writer, 2);
    poller_remove(poller, &reader.handler);
    poller_remove(poller, &writer.handler);
    poller_destroy(poller);
    probe_deinit(&reader);
    probe_deinit(&writer);
    pair_deinit(&pair);
}

TEST(removed_handlers_are_not_called_while_others_are) {
    Env *env = env_real();
    Poller *poller = new_poller(env);
    Probe kicked;
    probe_init(&kicked, env);
    add(poller, &kicked);
    for (int i = 0; i < 200; i++) {
        Probe *probe = xmalloc(sizeof *probe); /* the sanitizers see a late call */
        probe_init(probe, env);
        add(poller, probe);
        poller_kick(poller, &probe->handler);
        poller_kick(poller, &kicked.handler);
        poller_remove(poller, &probe->handler);
        probe_deinit(probe);
        free(probe);
    }
    poller_remove(poller, &kicked.handler);
    poller_destroy(poller);
    probe_deinit(&kicked);
}

TEST(a_thread_that_does_not_start_is_an_error) {
    Error err = {0};
    FaultPlan *plan = NULL;
    REQUIRE(CHECK_OK(fault_plan_parse(STR("thread@1=EAGAIN"), &plan, &err), err));
    Env *env = env_faulty_create(env_real(), plan);
    Poller *poller = new_poller(env);
    Probe probe;
    probe_init(&probe, env);
    CHECK(poller_add(poller, &probe.handler, &err) != STATUS_OK);
    add(poller, &probe); /* the next time it does */
    wait_for_calls(&probe, 1);
    poller_remove(poller, &probe.handler);
    poller_destroy(poller);
    probe_deinit(&probe);
    env_faulty_destroy(env);
    free(plan);
}

TEST(a_wait_that_fails_is_made_again) {
    Error err = {0};
    FaultPlan *plan = NULL;
    REQUIRE(CHECK_OK(fault_plan_parse(STR("poll@2=EIO"), &plan, &err), err)); /* 1: making it */
    Env *env = env_faulty_create(env_real(), plan);
    Poller *poller = new_poller(env);
    Probe probe;
    probe_init(&probe, env);
    add(poller, &probe);
    wait_for_calls(&probe, 1);
    poller_kick(poller, &probe.handler);
    wait_for_calls(&probe, 2);
    CHECK_EQ(env_faulty_fault_count(env), 1);
    poller_remove(poller, &probe.handler);
    poller_destroy(poller);
    probe_deinit(&probe);
    env_faulty_destroy(env);
    free(plan);
}

TEST_MAIN()
