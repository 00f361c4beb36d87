/* Files, names, streams and sockets of the operating system. THREADS_TEST: threads, conditions, wakes. */
#include "env/env_real.h"

#include "check.h"
#include "env_cases.h"

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
    env_case_random_bytes_differ(env_real(), check_tmpdir());
}

/* ---- files ---- */

TEST(file_reads_what_was_written_where) {
    env_case_file_reads_what_was_written_where(env_real(), check_tmpdir());
}

TEST(refusals_say_which_path_and_give_nothing) {
    env_case_refusals_say_which_path_and_give_nothing(env_real(), check_tmpdir());
}

TEST(direct_files_read_what_was_written) {
    env_case_direct_files_read_what_was_written(env_real(), check_tmpdir());
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
    env_case_directories_list_what_is_in_them(env_real(), check_tmpdir());
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
    env_case_whole_files_are_written_and_read(env_real(), check_tmpdir());
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

TEST(sockets_carry_bytes_and_tell_the_end) {
    env_case_sockets_carry_bytes_and_tell_the_end(env_real(), check_tmpdir());
}

TEST(sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal) {
    env_case_sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal(env_real(), check_tmpdir());
}

TEST(a_refused_connection_is_unavailable_and_named) {
    env_case_a_refused_connection_is_unavailable_and_named(env_real(), check_tmpdir());
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
    EnvCasePair pair = {0};
    REQUIRE(CHECK_OK(env_poll_create(env, &pair.poll, &err), err));
    REQUIRE(CHECK_OK(env_socket_listen(env, "127.0.0.1", "0", &pair.listener, &err), err));
    REQUIRE(connect_to_three(env, env_socket_port(env, pair.listener), &pair.client) == 0);
    CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err); /* perhaps too early, never wrong */
    while (!env_socket_is_connected(env, pair.client)) {
        env_case_wait(env, pair.poll, pair.client, true);
        REQUIRE(CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err));
    }
    CHECK_OK(env_socket_finish_connect(env, pair.client, &err), err); /* still connected */
    env_case_wait(env, pair.poll, pair.listener, false);
    CHECK_OK(env_socket_accept(env, pair.listener, &pair.server, &err), err);
    CHECK(pair.server != NULL);

    EnvSocket *refused = NULL; /* three that refuse, at once or later: in the end an error */
    if (connect_to_three(env, closed_port(env), &refused) == 0) {
        Status st = STATUS_OK;
        for (int tries = 0; st == STATUS_OK && tries < 4; tries++) {
            env_case_wait(env, pair.poll, refused, true);
            st = env_socket_finish_connect(env, refused, &err);
        }
        CHECK_EQ(st, STATUS_UNAVAILABLE);
        CHECK(strstr(err.message, "three:9") != NULL);
        env_socket_close(env, refused);
    }
    env_case_pair_close(env, &pair);
}

TEST(what_is_not_a_port_or_an_address_is_told_apart) {
    env_case_what_is_not_a_port_or_an_address_is_told_apart(env_real(), check_tmpdir());
}

/* ---- polls and threads ---- */

TEST(a_poll_ends_at_its_deadline) {
    env_case_a_poll_ends_at_its_deadline(env_real(), check_tmpdir());
}

TEST(an_item_that_wants_nothing_does_not_wake) {
    env_case_an_item_that_wants_nothing_does_not_wake(env_real(), check_tmpdir());
}

TEST(another_thread_wakes_a_poll_and_a_condition) {
    env_case_another_thread_wakes_a_poll_and_a_condition(env_real(), check_tmpdir());
}

TEST(condition_waits_end_at_their_deadline) {
    env_case_condition_waits_end_at_their_deadline(env_real(), check_tmpdir());
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
