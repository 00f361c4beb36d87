/* env_cases.c - see env_cases.h. */
#include "env_cases.h"

#include "check.h"

#include <stdatomic.h>
#include <stdlib.h>

void env_case_wait(Env *env, EnvPoll *poll, EnvSocket *socket, bool is_write) {
    Error err = {0};
    EnvPollItem item = {.socket = socket, .want_read = !is_write, .want_write = is_write};
    while (!item.can_read && !item.can_write)
        REQUIRE(CHECK_OK(env_poll_wait(env, poll, &item, 1, ENV_FOREVER, &err), err));
}

EnvCasePair env_case_pair_open(Env *env) {
    EnvCasePair pair = {0};
    Error err = {0};
    char port[8];
    REQUIRE(CHECK_OK(env_poll_create(env, &pair.poll, &err), err));
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &pair.listener, &err), err));
    snprintf(port, sizeof port, "%u", (unsigned)env_socket_port(env, pair.listener));
    REQUIRE(CHECK_OK(env_socket_accept(env, pair.listener, &pair.server, &err), err));
    REQUIRE(pair.server == NULL); /* nobody is waiting */
    REQUIRE(CHECK_OK(env_socket_connect(env, "localhost", port, &pair.client, &err), err));
    CHECK(!env_socket_is_connected(env, pair.client));
    while (
        !env_socket_is_connected(env, pair.client)) { /* localhost may be ::1 first, where nobody listens */
        env_case_wait(env, pair.poll, pair.client, true);
        REQUIRE(CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err));
    }
    env_case_wait(env, pair.poll, pair.listener, false);
    REQUIRE(CHECK_OK(env_socket_accept(env, pair.listener, &pair.server, &err), err));
    REQUIRE(pair.server != NULL);
    CHECK(env_socket_is_connected(env, pair.server));
    return pair;
}

void env_case_pair_close(Env *env, EnvCasePair *pair) {
    env_socket_close(env, pair->client);
    env_socket_close(env, pair->server);
    env_socket_close(env, pair->listener);
    env_poll_destroy(env, pair->poll);
}

typedef struct LateWaker {
    Env *env;
    EnvPoll *poll;
    _Atomic bool has_woken;
} LateWaker;

static void late_waker_run(void *argument) {
    LateWaker *waker = argument;
    Env *env = waker->env;
    EnvPoll *own = NULL;
    if (env_poll_create(env, &own, NULL) == STATUS_OK &&
        env_poll_wait(env, own, NULL, 0, env_monotonic_us(env) + 2000, NULL) == STATUS_OK)
        atomic_store(&waker->has_woken, true);
    env_poll_wake(env, waker->poll);
    env_poll_destroy(env, own);
}

typedef struct Waker {
    Env *env;
    EnvPoll *poll;
    EnvMutex *mutex;
    EnvCond *cond;
    EnvThread *thread;
    int step; /* under mutex */
    bool was_current;
} Waker;

static void waker_run(void *argument) {
    Waker *waker = argument;
    Env *env = waker->env;
    env_mutex_lock(env, waker->mutex);
    while (waker->step == 0)
        env_cond_wait(env, waker->cond, waker->mutex, ENV_FOREVER);
    waker->was_current = env_thread_is_current(env, waker->thread);
    waker->step = 2;
    env_cond_broadcast(env, waker->cond);
    env_mutex_unlock(env, waker->mutex);
    env_poll_wake(env, waker->poll);
}

void env_case_file_reads_what_was_written_where(Env *env, const char *directory) {
    Error err = {0};
    EnvFile *file = NULL;
    char *path = env_path_join(directory, "a");
    char got[16];
    size_t count = 99;
    REQUIRE(CHECK_OK(env_file_open(env, path, ENV_READ | ENV_WRITE | ENV_CREATE, &file, &err), err));
    CHECK_STR(env_file_path(env, file), path);
    CHECK(!env_file_is_direct(env, file));
    CHECK_OK(env_file_write(env, file, 3, "defgh", 5, &err), err);
    CHECK_OK(env_file_write(env, file, 0, "abc", 3, &err), err);
    CHECK_OK(env_file_write(env, file, 0, NULL, 0, &err), err);
    CHECK_OK(env_file_sync(env, file, &err), err);
    CHECK_OK(env_file_read(env, file, 0, got, sizeof got, &count, &err), err);
    CHECK(str_equal(str_slice(got, count), STR("abcdefgh")));
    CHECK_OK(env_file_read(env, file, 6, got, 1, &count, &err), err);
    CHECK(str_equal(str_slice(got, count), STR("g")));
    CHECK_OK(env_file_read(env, file, 8, got, sizeof got, &count, &err), err);
    CHECK_EQ(count, 0);

    EnvFileInfo info = {0};
    CHECK_OK(env_file_truncate(env, file, 2, &err), err);
    CHECK_OK(env_file_info(env, file, &info, &err), err);
    CHECK_EQ(info.size_bytes, 2);
    CHECK(info.is_file && !info.is_directory);
    CHECK(info.modified_us > 1600000000000000);
    env_file_close(env, file);
    env_file_close(env, NULL);

    CHECK_OK(env_path_info(env, path, &info, &err), err);
    CHECK_EQ(info.size_bytes, 2);
    CHECK_OK(env_file_open(env, path, ENV_WRITE | ENV_TRUNCATE, &file, &err), err);
    CHECK_OK(env_file_info(env, file, &info, &err), err);
    CHECK_EQ(info.size_bytes, 0);
    CHECK(env_file_read(env, file, 0, got, 1, &count, &err) == STATUS_IO); /* not opened for reading */
    CHECK(strstr(err.message, path) != NULL);
    env_file_close(env, file);
    free(path);
}

void env_case_refusals_say_which_path_and_give_nothing(Env *env, const char *directory) {
    Error err = {0};
    EnvFile *file = (EnvFile *)&err;
    char *path = env_path_join(directory, "missing"), *there = env_path_join(directory, "there");
    CHECK(env_file_open(env, path, ENV_READ, &file, &err) == STATUS_NOT_FOUND);
    CHECK(file == NULL);
    CHECK(strstr(err.message, path) != NULL);
    EnvDir *dir = (EnvDir *)&err;
    CHECK(env_dir_open(env, path, &dir, &err) == STATUS_NOT_FOUND);
    CHECK(dir == NULL);
    EnvFileInfo info;
    CHECK(env_path_info(env, path, &info, &err) == STATUS_NOT_FOUND);
    CHECK(env_remove(env, path, &err) == STATUS_NOT_FOUND);
    CHECK(env_rename(env, path, there, &err) == STATUS_NOT_FOUND);
    CHECK(env_sync_directory(env, path, &err) == STATUS_NOT_FOUND);
    CHECK_OK(env_write_file_atomically(env, there, STR("x"), &err), err);
    CHECK(env_file_open(env, there, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &file, &err) == STATUS_EXISTS);
    CHECK(env_make_directory(env, there, &err) == STATUS_EXISTS);
    CHECK(env_file_open(env, path, ENV_READ, &file, NULL) == STATUS_NOT_FOUND); /* err may be NULL */
    free(there);
    free(path);
}

void env_case_direct_files_read_what_was_written(Env *env, const char *directory) {
    Error err = {0};
    EnvFile *file = NULL;
    char *path = env_path_join(directory, "direct");
    char *block = aligned_alloc(4096, 12288), *got = aligned_alloc(4096, 12288);
    size_t count = 0;
    memset(block, 'x', 12288);
    unsigned flags = ENV_READ | ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE | ENV_DIRECT;
    REQUIRE(CHECK_OK(env_file_open(env, path, flags, &file, &err), err));
    CHECK_OK(env_file_write(env, file, 0, block, 12288, &err), err);
    CHECK_OK(env_file_truncate(env, file, 5000, &err), err); /* an end inside a block */
    CHECK_OK(env_file_read(env, file, 0, got, 12288, &count, &err), err);
    CHECK_EQ(count, 5000);
    CHECK(memcmp(block, got, 5000) == 0);
    env_file_close(env, file);
    free(path);
    free(block);
    free(got);
}

void env_case_directories_list_what_is_in_them(Env *env, const char *directory) {
    Error err = {0};
    EnvDir *dir = NULL;
    char *inner = env_path_join(directory, "inner"), *a = env_path_join(inner, "a"),
         *b = env_path_join(inner, "b");
    CHECK_OK(env_make_directory(env, inner, &err), err);
    CHECK_OK(env_write_file_atomically(env, a, STR("1"), &err), err);
    CHECK_OK(env_rename(env, a, b, &err), err);
    CHECK_OK(env_make_directory(env, a, &err), err);
    CHECK_OK(env_sync_directory(env, inner, &err), err);
    REQUIRE(CHECK_OK(env_dir_open(env, inner, &dir, &err), err));
    const char *name = NULL;
    int a_count = 0, b_count = 0, count = 0;
    for (;;) {
        REQUIRE(CHECK_OK(env_dir_next(env, dir, &name, &err), err));
        if (!name)
            break;
        count++;
        a_count += strcmp(name, "a") == 0;
        b_count += strcmp(name, "b") == 0;
    }
    CHECK(count == 2 && a_count == 1 && b_count == 1);
    env_dir_close(env, dir);
    env_dir_close(env, NULL);
    CHECK(env_remove(env, inner, &err) == STATUS_IO); /* not empty */
    CHECK_OK(env_remove(env, a, &err), err);
    CHECK_OK(env_remove(env, b, &err), err);
    CHECK_OK(env_remove(env, inner, &err), err);
    free(a);
    free(b);
    free(inner);
}

void env_case_whole_files_are_written_and_read(Env *env, const char *directory) {
    Error err = {0};
    Text large = {0}, got = {0};
    char *path = env_path_join(directory, "whole");
    for (int i = 0; i < 16384; i++) /* ends where a reading step ends */
        text_append_byte(&large, (char)i);
    for (int round = 0; round < 3; round++) { /* one byte less, exact, one more */
        Str bytes = str_slice(large.data, large.size - 1);
        CHECK_OK(env_write_file_atomically(env, path, bytes, &err), err);
        text_reset(&got);
        text_append(&got, STR("before "));
        CHECK_OK(env_read_file(env, path, bytes.size, &got, &err), err);
        CHECK(str_equal(str_slice(got.data + 7, got.size - 7), bytes));
        text_reset(&got);
        text_append(&got, STR("before"));
        CHECK(env_read_file(env, path, bytes.size - 1, &got, &err) == STATUS_INVALID);
        CHECK(str_equal(text_str(&got), STR("before")));
        CHECK(strstr(err.message, path) != NULL);
        text_append_byte(&large, 'x');
    }
    CHECK_OK(env_write_file_atomically(env, path, STR(""), &err), err);
    text_reset(&got);
    CHECK_OK(env_read_file(env, path, 0, &got, &err), err);
    CHECK_EQ(got.size, 0);
    CHECK(env_read_file(env, directory, 10, &got, &err) == STATUS_IO); /* a directory */
    text_deinit(&large);
    text_deinit(&got);
    free(path);
}

void env_case_sockets_carry_bytes_and_tell_the_end(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    EnvCasePair pair = env_case_pair_open(env);
    EnvTransfer what = ENV_END;
    char got[64];
    size_t size = sizeof got;
    CHECK_OK(env_socket_receive(env, pair.server, got, &size, &what, &err), err);
    CHECK(what == ENV_WOULD_BLOCK && size == 0);

    size = 5;
    CHECK_OK(env_socket_send(env, pair.client, "hello", &size, &what, &err), err);
    CHECK(what == ENV_TRANSFERRED && size == 5);
    env_case_wait(env, pair.poll, pair.server, false);
    size = sizeof got;
    CHECK_OK(env_socket_receive(env, pair.server, got, &size, &what, &err), err);
    CHECK(what == ENV_TRANSFERRED && str_equal(str_slice(got, size), STR("hello")));

    static char many[65536];
    size_t sent = 0;
    do { /* until the kernel takes no more */
        size = sizeof many;
        REQUIRE(CHECK_OK(env_socket_send(env, pair.client, many, &size, &what, &err), err));
        sent += size;
    } while (what == ENV_TRANSFERRED);
    CHECK(what == ENV_WOULD_BLOCK);
    env_socket_close(env, pair.client);
    pair.client = NULL;
    size_t received = 0;
    while (what != ENV_END) {
        env_case_wait(env, pair.poll, pair.server, false);
        size = sizeof many;
        REQUIRE(CHECK_OK(env_socket_receive(env, pair.server, many, &size, &what, &err), err));
        received += size;
    }
    CHECK_EQ(received, sent);
    CHECK_EQ(size, 0);
    env_case_pair_close(env, &pair);
}

void env_case_sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal(Env *env,
                                                                                 const char *directory) {
    (void)directory;
    Error err = {0};
    EnvCasePair pair = env_case_pair_open(env);
    EnvTransfer what = ENV_TRANSFERRED;
    Status st = STATUS_OK;
    env_socket_close(env, pair.server);
    pair.server = NULL;
    while (st == STATUS_OK && what != ENV_END) {
        size_t size = 1;
        st = env_socket_send(env, pair.client, "x", &size, &what, &err);
    }
    CHECK(st == STATUS_UNAVAILABLE || (st == STATUS_OK && what == ENV_END));
    env_case_pair_close(env, &pair);
}

void env_case_a_refused_connection_is_unavailable_and_named(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    EnvSocket *listener = NULL, *client = NULL;
    EnvPoll *poll = NULL;
    char port[8];
    CHECK_OK(env_poll_create(env, &poll, &err), err);
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &listener, &err), err));
    snprintf(port, sizeof port, "%u", (unsigned)env_socket_port(env, listener));
    env_socket_close(env, listener); /* nobody listens there now */
    Status st = env_socket_connect(env, "localhost", port, &client, &err);
    while (st == STATUS_OK) {
        env_case_wait(env, poll, client, true);
        st = env_socket_finish_connect(env, client, &err);
        REQUIRE(!env_socket_is_connected(env, client));
    }
    CHECK_EQ(st, STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, "localhost") && strstr(err.message, port));
    env_socket_close(env, client);
    env_poll_destroy(env, poll);
}

void env_case_what_is_not_a_port_or_an_address_is_told_apart(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    EnvSocket *socket = NULL;
    const char *const bad_ports[] = {"99999", "-1", "no-such-service", ""};
    for (size_t i = 0; i < ARRAY_COUNT(bad_ports); i++) {
        CHECK_EQ(env_socket_connect(env, "127.0.0.1", bad_ports[i], &socket, &err), STATUS_INVALID);
        CHECK(strstr(err.message, "is not a port") != NULL);
        CHECK_EQ(env_socket_listen(env, "127.0.0.1", bad_ports[i], &socket, &err), STATUS_INVALID);
    }
    CHECK_EQ(env_socket_connect(env, "host.invalid", "80", &socket, &err), STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, "host.invalid:80") != NULL);
    CHECK(socket == NULL);
    env_socket_close(env, NULL);
    EnvSocket *first = NULL;
    char port[8];
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &first, &err), err));
    snprintf(port, sizeof port, "%u", (unsigned)env_socket_port(env, first));
    CHECK_EQ(env_socket_listen(env, "127.0.0.1", port, &socket, &err), STATUS_IO);
    CHECK(strstr(err.message, port) != NULL);
    env_socket_close(env, first);
}

void env_case_a_poll_ends_at_its_deadline(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    EnvPoll *poll = NULL;
    REQUIRE(CHECK_OK(env_poll_create(env, &poll, &err), err));
    CHECK_OK(env_poll_wait(env, poll, NULL, 0, 0, &err), err);         /* long past */
    CHECK_OK(env_poll_wait(env, poll, NULL, 0, INT64_MIN, &err), err); /* longer */
    for (int round = 0; round < 2; round++) {
        int64_t deadline_us = env_monotonic_us(env) + 2000;
        CHECK_OK(env_poll_wait(env, poll, NULL, 0, deadline_us, &err), err);
        CHECK(env_monotonic_us(env) >= deadline_us);
        CHECK_OK(env_poll_wait(env, poll, NULL, 0, deadline_us, &err), err); /* the same one, now past */
    }
    /* The old deadline's timer must not end a wait that has none: only the wake does, a while later. */
    LateWaker waker = {.env = env, .poll = poll};
    EnvThread *thread = NULL;
    REQUIRE(CHECK_OK(env_thread_start(env, "late", late_waker_run, &waker, &thread, &err), err));
    CHECK_OK(env_poll_wait(env, poll, NULL, 0, ENV_FOREVER, &err), err);
    CHECK(atomic_load(&waker.has_woken));
    env_thread_join(env, thread);
    env_poll_destroy(env, poll);
    env_poll_destroy(env, NULL);
}

void env_case_an_item_that_wants_nothing_does_not_wake(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    EnvCasePair pair = env_case_pair_open(env);
    EnvTransfer what;
    size_t size = 1;
    CHECK_OK(env_socket_send(env, pair.client, "x", &size, &what, &err), err);
    env_case_wait(env, pair.poll, pair.server, false);
    env_socket_close(env, pair.client); /* bytes and an end are waiting */
    pair.client = NULL;
    EnvPollItem items[] = {{.socket = pair.server}, {.want_read = true}};
    int64_t deadline_us = env_monotonic_us(env) + 1000;
    CHECK_OK(env_poll_wait(env, pair.poll, items, 2, deadline_us, &err), err);
    CHECK(env_monotonic_us(env) >= deadline_us);
    CHECK(!items[0].can_read && !items[0].can_write && !items[1].can_read);
    items[0].want_read = true;
    CHECK_OK(env_poll_wait(env, pair.poll, items, 2, ENV_FOREVER, &err), err);
    CHECK(items[0].can_read);
    env_case_pair_close(env, &pair);
}

void env_case_another_thread_wakes_a_poll_and_a_condition(Env *env, const char *directory) {
    (void)directory;
    Error err = {0};
    Waker waker = {.env = env, .mutex = env_mutex_create(env), .cond = env_cond_create(env)};
    REQUIRE(CHECK_OK(env_poll_create(env, &waker.poll, &err), err));
    REQUIRE(CHECK_OK(
        env_thread_start(env, "a-name-longer-than-fifteen", waker_run, &waker, &waker.thread, &err), err));
    CHECK(!env_thread_is_current(env, waker.thread));
    env_mutex_lock(env, waker.mutex);
    waker.step = 1;
    env_cond_signal(env, waker.cond);
    while (waker.step != 2)
        CHECK(env_cond_wait(env, waker.cond, waker.mutex, ENV_FOREVER));
    CHECK(waker.was_current);
    env_mutex_unlock(env, waker.mutex);
    /* The wake may have come before. */
    CHECK_OK(env_poll_wait(env, waker.poll, NULL, 0, ENV_FOREVER, &err), err);
    env_thread_join(env, waker.thread);
    env_poll_destroy(env, waker.poll);
    env_cond_destroy(env, waker.cond);
    env_mutex_destroy(env, waker.mutex);
}

void env_case_condition_waits_end_at_their_deadline(Env *env, const char *directory) {
    (void)directory;
    EnvMutex *mutex = env_mutex_create(env);
    EnvCond *cond = env_cond_create(env);
    env_mutex_lock(env, mutex);
    CHECK(!env_cond_wait(env, cond, mutex, 0));
    CHECK(!env_cond_wait(env, cond, mutex, INT64_MIN));
    int64_t deadline_us = env_monotonic_us(env) + 1000;
    while (env_cond_wait(env, cond, mutex, deadline_us))
        ;
    CHECK(env_monotonic_us(env) >= deadline_us);
    env_mutex_unlock(env, mutex);
    env_cond_destroy(env, cond);
    env_mutex_destroy(env, mutex);
}

void env_case_random_bytes_differ(Env *env, const char *directory) {
    (void)directory;
    uint8_t a[600] = {0}, b[600] = {0}; /* more than getrandom gives at once while a signal is waiting */
    Error err = {0};
    CHECK_OK(env_random_bytes(env, a, sizeof a, &err), err);
    CHECK_OK(env_random_bytes(env, b, sizeof b, &err), err);
    CHECK(memcmp(a, b, sizeof a) != 0);
    CHECK_OK(env_random_bytes(env, a, 0, &err), err);
}
