#include "cli/line_server.h"

#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LISTENER_COUNT = 2,
    CLIENT_COUNT_MAX = 16,
    ITEM_COUNT = LISTENER_COUNT + CLIENT_COUNT_MAX,
    TICK_US = 20000,
    US_PER_S = 1000000,
};

typedef struct Client {
    EnvSocket *socket; /* NULL: free */
    const char *at;    /* the next byte to send */
    int64_t begin_us;  /* when it would have begun, had it always kept up */
    int64_t sent_lines;
} Client;

typedef struct Server {
    Env *env;
    EnvSocket *listeners[LISTENER_COUNT]; /* 127.0.0.1 and ::1; NULL: this machine does not have it */
    Client clients[CLIENT_COUNT_MAX];
    const char *text;
    int lines_per_s;
} Server;

static void drop(Server *server, Client *client) {
    env_socket_close(server->env, client->socket);
    *client = (Client){0};
}

static void accept_from(Server *server, EnvSocket *listener) {
    EnvSocket *socket = NULL;
    while (env_socket_accept(server->env, listener, &socket, NULL) == STATUS_OK && socket) {
        Client *free_place = NULL;
        for (Client *client = server->clients; client < server->clients + CLIENT_COUNT_MAX; client++) {
            if (!client->socket)
                free_place = client;
        }
        if (free_place)
            *free_place =
                (Client){.socket = socket, .at = server->text, .begin_us = env_monotonic_us(server->env)};
        else
            env_socket_close(server->env, socket);
    }
}

/* Sends the lines that are due. Who does not take them gets fewer, not a burst later. */
static void play(Server *server, Client *client) {
    int64_t now_us = env_monotonic_us(server->env);
    int64_t due_lines = (now_us - client->begin_us) * server->lines_per_s / US_PER_S;
    while (client->sent_lines < due_lines) {
        size_t size = strcspn(client->at, "\n") + 1, asked = size;
        EnvTransfer what;
        if (env_socket_send(server->env, client->socket, client->at, &size, &what, NULL) != STATUS_OK ||
            what == ENV_END) {
            drop(server, client);
            return;
        }
        if (what == ENV_WOULD_BLOCK) {
            client->begin_us = now_us;
            client->sent_lines = 0;
            return;
        }
        client->at += size;
        client->sent_lines += size == asked;
        if (!*client->at)
            client->at = server->text;
    }
}

/* Anything a client says is not for us; what matters is whether it is still there. */
static void listen_to(Server *server, Client *client) {
    char ignored[512];
    size_t size = sizeof ignored;
    EnvTransfer what;
    if (env_socket_receive(server->env, client->socket, ignored, &size, &what, NULL) != STATUS_OK ||
        what == ENV_END)
        drop(server, client);
}

_Noreturn static void serve(Server *server) {
    EnvPoll *poll = NULL;
    if (env_poll_create(server->env, &poll, NULL) != STATUS_OK)
        _exit(1);
    for (;;) {
        EnvPollItem items[ITEM_COUNT] = {0};
        bool has_clients = false;
        for (int i = 0; i < LISTENER_COUNT; i++)
            items[i] =
                (EnvPollItem){.socket = server->listeners[i], .want_read = server->listeners[i] != NULL};
        for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
            EnvSocket *socket = server->clients[i].socket;
            items[LISTENER_COUNT + i] = (EnvPollItem){.socket = socket, .want_read = socket != NULL};
            has_clients |= socket != NULL;
        }
        int64_t deadline_us = has_clients ? env_monotonic_us(server->env) + TICK_US : ENV_FOREVER;
        if (env_poll_wait(server->env, poll, items, ITEM_COUNT, deadline_us, NULL) != STATUS_OK)
            _exit(1);
        for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
            if (server->clients[i].socket && items[LISTENER_COUNT + i].can_read)
                listen_to(server, &server->clients[i]);
            if (server->clients[i].socket)
                play(server, &server->clients[i]);
        }
        for (int i = 0; i < LISTENER_COUNT; i++) {
            if (items[i].can_read)
                accept_from(server, server->listeners[i]);
        }
    }
}

/* In the child: not to outlive the parent, not to end before it when a terminal sends SIGINT to both. */
static void be_a_child_of(pid_t parent) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0); /* it died before the kernel knew */
}

Status line_server_start(const char *port, const char *text, int lines_per_s, LineServer *out, Error *err) {
    static const char *const addresses[LISTENER_COUNT] = {"127.0.0.1", "::1"};
    Server server = {.env = env_real(), .text = text, .lines_per_s = lines_per_s};
    *out = (LineServer){0};
    Status st = STATUS_OK;
    for (int i = 0; i < LISTENER_COUNT; i++) {
        Error refusal = {0};
        st = env_socket_listen(server.env, addresses[i], port, &server.listeners[i], &refusal);
        if (st != STATUS_OK && refusal.os_error == EADDRINUSE) {
            st = STATUS_OK; /* somebody listens: nothing to start */
            goto done;
        }
        if (st != STATUS_OK && i == 0) {
            if (err)
                *err = refusal;
            goto done;
        }
        st = STATUS_OK; /* a machine without IPv6 */
    }
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        st = error_set_os(err, errno, "starting the line server");
        goto done;
    }
    if (child == 0) {
        be_a_child_of(parent);
        serve(&server);
    }
    out->child = child;
done:
    for (int i = 0; i < LISTENER_COUNT; i++)
        env_socket_close(server.env, server.listeners[i]);
    return st;
}

void line_server_stop(LineServer *server) {
    if (server->child > 0) {
        kill(server->child, SIGKILL);
        waitpid(server->child, NULL, 0);
    }
    server->child = 0;
}
