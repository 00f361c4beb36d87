/* Files, names, streams and sockets of the operating system. THREADS_TEST: threads, conditions, wakes. */
#include "env/env_real.h"

#include "check.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char *in_tmpdir(const char *name) {
    return env_path_join(check_tmpdir(), name);
}

/* ---- time ---- */

TEST(clocks_tell_microseconds) {
    Env *env = env_real();
    int64_t before_us = env_monotonic_us(env), wall_us = env_wall_us(env);
    CHECK(env_monotonic_us(env) >= before_us);
    CHECK(wall_us > 1600000000000000); /* 2020 */
    CHECK(wall_us < 7000000000000000); /* 2191 */
}

TEST(random_bytes_differ) {
    Env *env = env_real();
    uint8_t a[600] = {0}, b[600] = {0}; /* more than getrandom gives at once while a signal is waiting */
    Error err = {0};
    CHECK_OK(env_random_bytes(env, a, sizeof a, &err), err);
    CHECK_OK(env_random_bytes(env, b, sizeof b, &err), err);
    CHECK(memcmp(a, b, sizeof a) != 0);
    CHECK_OK(env_random_bytes(env, a, 0, &err), err);
}

/* ---- files ---- */

TEST(file_reads_what_was_written_where) {
    Env *env = env_real();
    Error err = {0};
    EnvFile *file = NULL;
    char *path = in_tmpdir("a");
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

TEST(refusals_say_which_path_and_give_nothing) {
    Env *env = env_real();
    Error err = {0};
    EnvFile *file = (EnvFile *)&err;
    char *path = in_tmpdir("missing"), *there = in_tmpdir("there");
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

TEST(direct_files_read_what_was_written) {
    Env *env = env_real();
    Error err = {0};
    EnvFile *file = NULL;
    char *path = in_tmpdir("direct");
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
    printf("    direct here: %s\n", env_file_is_direct(env, file) ? "yes" : "no");
    env_file_close(env, file);
    free(path);
    free(block);
    free(got);
}

/* Opens and locks the file in a child; its exit code is the status. */
static int lock_in_child(const char *path) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        EnvFile *file = NULL;
        Status st = env_file_open(env_real(), path, ENV_WRITE, &file, NULL);
        _exit(st != STATUS_OK ? 99 : (int)env_file_lock(env_real(), file, NULL)); /* its lock dies with it */
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

TEST(one_handle_holds_the_lock) {
    Env *env = env_real();
    Error err = {0};
    EnvFile *first = NULL, *second = NULL;
    char *path = in_tmpdir("lock");
    CHECK_OK(env_file_open(env, path, ENV_WRITE | ENV_CREATE, &first, &err), err);
    CHECK_OK(env_file_open(env, path, ENV_WRITE, &second, &err), err);
    CHECK_EQ(lock_in_child(path), STATUS_OK);
    CHECK_OK(env_file_lock(env, first, &err), err);
    CHECK(env_file_lock(env, second, &err) == STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, path) != NULL);
    CHECK_EQ(lock_in_child(path), STATUS_UNAVAILABLE);
    env_file_close(env, second); /* gives up nothing: the lock is the first handle's */
    CHECK_EQ(lock_in_child(path), STATUS_UNAVAILABLE);
    env_file_close(env, first);
    CHECK_EQ(lock_in_child(path), STATUS_OK);
    free(path);
}

TEST(created_files_and_directories_are_for_the_owner_only) {
    Env *env = env_real();
    Error err = {0};
    EnvFile *file = NULL;
    char *path = in_tmpdir("private"), *directory = in_tmpdir("directory");
    CHECK_OK(env_file_open(env, path, ENV_WRITE | ENV_CREATE, &file, &err), err);
    CHECK_OK(env_make_directory(env, directory, &err), err);
    Text command = {0};
    text_appendf(&command, "test \"$(stat -c %%a%%a '%s' '%s' | tr -d '\\n')\" = 600600700700", path,
                 directory);
    CHECK_EQ(system(command.data), 0);
    text_deinit(&command);
    env_file_close(env, file);
    free(path);
    free(directory);
}

/* ---- names ---- */

TEST(directories_list_what_is_in_them) {
    Env *env = env_real();
    Error err = {0};
    EnvDir *dir = NULL;
    char *inner = in_tmpdir("inner"), *a = env_path_join(inner, "a"), *b = env_path_join(inner, "b");
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

TEST(paths_are_joined_and_made_absolute) {
    static const struct {
        const char *directory, *name, *wanted;
    } joins[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
    for (size_t i = 0; i < ARRAY_COUNT(joins); i++) {
        char *path = env_path_join(joins[i].directory, joins[i].name);
        CHECK_STR(path, joins[i].wanted);
        free(path);
    }
    Env *env = env_real();
    Error err = {0};
    char *path = NULL, *here = getcwd(NULL, 0);
    CHECK_OK(env_absolute_path(env, "/a/./b//../c/", &path, &err), err);
    CHECK_STR(path, "/a/b/../c");
    free(path);
    CHECK_OK(env_absolute_path(env, "/", &path, &err), err);
    CHECK_STR(path, "/");
    free(path);
    CHECK_OK(env_absolute_path(env, ".", &path, &err), err);
    CHECK_STR(path, here);
    free(path);
    Text wanted = {0};
    text_appendf(&wanted, "%s/x/y", here);
    CHECK_OK(env_absolute_path(env, "./x/y", &path, &err), err);
    CHECK_STR(path, wanted.data);
    free(path);
    free(here);
    text_deinit(&wanted);
}

/* ---- whole files ---- */

TEST(whole_files_are_written_and_read) {
    Env *env = env_real();
    Error err = {0};
    Text large = {0}, got = {0};
    char *path = in_tmpdir("whole");
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
    CHECK(env_read_file(env, check_tmpdir(), 10, &got, &err) == STATUS_IO); /* a directory */
    text_deinit(&large);
    text_deinit(&got);
    free(path);
}

TEST(a_path_without_directory_is_replaced_too) {
    Env *env = env_real();
    Error err = {0};
    Text got = {0};
    char *here = getcwd(NULL, 0);
    REQUIRE(chdir(check_tmpdir()) == 0);
    CHECK_OK(env_write_file_atomically(env, "plain", STR("one"), &err), err);
    CHECK_OK(env_write_file_atomically(env, "plain", STR("two"), &err), err);
    CHECK_OK(env_read_file(env, "plain", 10, &got, &err), err);
    CHECK(str_equal(text_str(&got), STR("two")));
    CHECK(env_read_file(env, "plain.tmp", 10, &got, &err) == STATUS_NOT_FOUND);
    REQUIRE(chdir(here) == 0);
    free(here);
    text_deinit(&got);
}

/* ---- standard output ---- */

/* Runs `run` in a child whose standard output is a pipe without a reader; its exit code, -1 for a signal. */
static int in_child_with_closed_stdout(int (*run)(void)) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]); /* before there is a child: it may write before we go on */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[1]);
        _exit(run());
    }
    close(ends[1]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int write_into_closed_pipe(void) {
    Env *env = env_real();
    Error err = {0};
    Status st = env_write_stdout(env, STR("x\n"), &err);
    if (st != STATUS_IO || !strstr(err.message, "standard output"))
        return 1;
    sigset_t pending, mask;
    sigpending(&pending);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (sigismember(&pending, SIGPIPE) || sigismember(&mask, SIGPIPE))
        return 2; /* it must leave neither the signal nor the mask behind */
    return env_stdout_is_terminal(env) ? 3 : 0;
}

TEST(a_closed_pipe_is_an_error_and_no_signal) {
    CHECK_EQ(in_child_with_closed_stdout(write_into_closed_pipe), 0);
}

static void write_much(void *argument) {
    Str bytes = *(Str *)argument;
    Status ignored = env_write_stdout(env_real(), bytes, NULL);
    (void)ignored;
}

TEST(a_slow_reader_gets_every_byte_from_a_nonblocking_pipe) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
        static char many[300000]; /* more than a pipe holds */
        memset(many, 'm', sizeof many);
        Str bytes = str_slice(many, sizeof many);
        write_much(&bytes);
        _exit(0);
    }
    close(ends[1]);
    size_t total = 0;
    char buffer[4096];
    ssize_t count;
    while ((count = read(ends[0], buffer, sizeof buffer)) > 0)
        total += (size_t)count;
    close(ends[0]);
    waitpid(child, NULL, 0);
    CHECK_EQ(total, 300000);
}

/* ---- sockets ---- */

typedef struct Pair {
    EnvPoll *poll;
    EnvSocket *listener, *client, *server;
} Pair;

static void wait_for(Env *env, EnvPoll *poll, EnvSocket *socket, bool is_write) {
    Error err = {0};
    EnvPollItem item = {.socket = socket, .want_read = !is_write, .want_write = is_write};
    while (!item.can_read && !item.can_write)
        REQUIRE(CHECK_OK(env_poll_wait(env, poll, &item, 1, ENV_FOREVER, &err), err));
}

static Pair pair_open(Env *env) {
    Pair pair = {0};
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
        wait_for(env, pair.poll, pair.client, true);
        REQUIRE(CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err));
    }
    wait_for(env, pair.poll, pair.listener, false);
    REQUIRE(CHECK_OK(env_socket_accept(env, pair.listener, &pair.server, &err), err));
    REQUIRE(pair.server != NULL);
    CHECK(env_socket_is_connected(env, pair.server));
    return pair;
}

static void pair_close(Env *env, Pair *pair) {
    env_socket_close(env, pair->client);
    env_socket_close(env, pair->server);
    env_socket_close(env, pair->listener);
    env_poll_destroy(env, pair->poll);
}

TEST(sockets_carry_bytes_and_tell_the_end) {
    Env *env = env_real();
    Error err = {0};
    Pair pair = pair_open(env);
    EnvTransfer what = ENV_END;
    char got[64];
    size_t size = sizeof got;
    CHECK_OK(env_socket_receive(env, pair.server, got, &size, &what, &err), err);
    CHECK(what == ENV_WOULD_BLOCK && size == 0);

    size = 5;
    CHECK_OK(env_socket_send(env, pair.client, "hello", &size, &what, &err), err);
    CHECK(what == ENV_TRANSFERRED && size == 5);
    wait_for(env, pair.poll, pair.server, false);
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
        wait_for(env, pair.poll, pair.server, false);
        size = sizeof many;
        REQUIRE(CHECK_OK(env_socket_receive(env, pair.server, many, &size, &what, &err), err));
        received += size;
    }
    CHECK_EQ(received, sent);
    CHECK_EQ(size, 0);
    pair_close(env, &pair);
}

TEST(sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal) {
    Env *env = env_real();
    Error err = {0};
    Pair pair = pair_open(env);
    EnvTransfer what = ENV_TRANSFERRED;
    Status st = STATUS_OK;
    env_socket_close(env, pair.server);
    pair.server = NULL;
    while (st == STATUS_OK && what != ENV_END) {
        size_t size = 1;
        st = env_socket_send(env, pair.client, "x", &size, &what, &err);
    }
    CHECK(st == STATUS_UNAVAILABLE || (st == STATUS_OK && what == ENV_END));
    pair_close(env, &pair);
}

TEST(a_refused_connection_is_unavailable_and_named) {
    Env *env = env_real();
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
        wait_for(env, poll, client, true);
        st = env_socket_finish_connect(env, client, &err);
        REQUIRE(!env_socket_is_connected(env, client));
    }
    CHECK_EQ(st, STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, "localhost") && strstr(err.message, port));
    env_socket_close(env, client);
    env_poll_destroy(env, poll);
}

/* A port of 127.0.0.1 where nobody listens. */
static uint16_t closed_port(Env *env) {
    EnvSocket *listener = NULL;
    Error err = {0};
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &listener, &err), err));
    uint16_t port = env_socket_port(env, listener);
    env_socket_close(env, listener);
    return port;
}

/* A name with three addresses: the first and the last refuse, the second is `port`. */
static int connect_to_three(Env *env, uint16_t port, EnvSocket **out) {
    struct sockaddr_in addresses[3];
    struct addrinfo list[3];
    for (int i = 0; i < 3; i++) {
        addresses[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                            .sin_port = htons(i == 1 ? port : closed_port(env)),
                                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
        list[i] = (struct addrinfo){.ai_addr = (struct sockaddr *)&addresses[i],
                                    .ai_addrlen = sizeof addresses[i],
                                    .ai_next = i < 2 ? &list[i + 1] : NULL};
    }
    return env_real_connect_to(list, "three:9", out);
}

TEST(a_name_with_several_addresses_is_tried_until_one_answers) {
    Env *env = env_real();
    Error err = {0};
    Pair pair = {0};
    REQUIRE(CHECK_OK(env_poll_create(env, &pair.poll, &err), err));
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &pair.listener, &err), err));
    REQUIRE(connect_to_three(env, env_socket_port(env, pair.listener), &pair.client) == 0);
    CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err); /* perhaps too early, never wrong */
    while (!env_socket_is_connected(env, pair.client)) {
        wait_for(env, pair.poll, pair.client, true);
        REQUIRE(CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err));
    }
    CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err); /* still connected */
    wait_for(env, pair.poll, pair.listener, false);
    CHECK_OK(env_socket_accept(env, pair.listener, &pair.server, &err), err);
    CHECK(pair.server != NULL);

    EnvSocket *refused = NULL; /* three that refuse, at once or later: in the end an error */
    if (connect_to_three(env, closed_port(env), &refused) == 0) {
        Status st = STATUS_OK;
        for (int tries = 0; st == STATUS_OK && tries < 4; tries++) {
            wait_for(env, pair.poll, refused, true);
            st = env_socket_finish_connect(env, refused, &err);
        }
        CHECK_EQ(st, STATUS_UNAVAILABLE);
        CHECK(strstr(err.message, "three:9") != NULL);
        env_socket_close(env, refused);
    }
    pair_close(env, &pair);
}

TEST(what_is_not_a_port_or_an_address_is_told_apart) {
    Env *env = env_real();
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

/* ---- polls and threads ---- */

typedef struct LateWaker {
    EnvPoll *poll;
    _Atomic bool has_woken;
} LateWaker;

static void late_waker_run(void *argument) {
    LateWaker *waker = argument;
    Env *env = env_real();
    EnvPoll *own = NULL;
    if (env_poll_create(env, &own, NULL) == STATUS_OK &&
        env_poll_wait(env, own, NULL, 0, env_monotonic_us(env) + 2000, NULL) == STATUS_OK)
        atomic_store(&waker->has_woken, true);
    env_poll_wake(env, waker->poll);
    env_poll_destroy(env, own);
}

TEST(a_poll_ends_at_its_deadline) {
    Env *env = env_real();
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
    LateWaker waker = {.poll = poll};
    EnvThread *thread = NULL;
    REQUIRE(CHECK_OK(env_thread_start(env, "late", late_waker_run, &waker, &thread, &err), err));
    CHECK_OK(env_poll_wait(env, poll, NULL, 0, ENV_FOREVER, &err), err);
    CHECK(atomic_load(&waker.has_woken));
    env_thread_join(env, thread);
    env_poll_destroy(env, poll);
    env_poll_destroy(env, NULL);
}

TEST(an_item_that_wants_nothing_does_not_wake) {
    Env *env = env_real();
    Error err = {0};
    Pair pair = pair_open(env);
    EnvTransfer what;
    size_t size = 1;
    CHECK_OK(env_socket_send(env, pair.client, "x", &size, &what, &err), err);
    wait_for(env, pair.poll, pair.server, false);
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
    pair_close(env, &pair);
}

typedef struct Waker {
    EnvPoll *poll;
    EnvMutex *mutex;
    EnvCond *cond;
    EnvThread *thread;
    int step; /* under mutex */
    bool was_current;
} Waker;

static void waker_run(void *argument) {
    Waker *waker = argument;
    Env *env = env_real();
    env_mutex_lock(env, waker->mutex);
    while (waker->step == 0)
        env_cond_wait(env, waker->cond, waker->mutex, ENV_FOREVER);
    waker->was_current = env_thread_is_current(env, waker->thread);
    waker->step = 2;
    env_cond_broadcast(env, waker->cond);
    env_mutex_unlock(env, waker->mutex);
    env_poll_wake(env, waker->poll);
}

TEST(another_thread_wakes_a_poll_and_a_condition) {
    Env *env = env_real();
    Error err = {0};
    Waker waker = {.mutex = env_mutex_create(env), .cond = env_cond_create(env)};
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

TEST(condition_waits_end_at_their_deadline) {
    Env *env = env_real();
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

static void mask_run(void *argument) {
    pthread_sigmask(SIG_SETMASK, NULL, argument);
}

TEST(threads_leave_signals_to_the_program) {
    Env *env = env_real();
    Error err = {0};
    EnvThread *thread = NULL;
    sigset_t theirs, ours;
    REQUIRE(CHECK_OK(env_thread_start(env, "mask", mask_run, &theirs, &thread, &err), err));
    env_thread_join(env, thread);
    pthread_sigmask(SIG_SETMASK, NULL, &ours);
    CHECK(sigismember(&theirs, SIGINT) && sigismember(&theirs, SIGTERM) && !sigismember(&theirs, SIGSEGV));
    CHECK(!sigismember(&ours, SIGINT));
}

TEST_MAIN()
