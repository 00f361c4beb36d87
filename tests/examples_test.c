/* examples_test.c - the examples and `leat` as a person runs them: real processes, sockets, files, signals.
 *
 * Nothing here waits for a time: a test waits until a text has come (a minute at most, then it fails), or
 * until a program has ended. LEAT_BUILD says where the programs are.
 */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, OUTPUT_MAX = 1 << 20, ARGS_MAX = 16 };

/* ---- programs ---- */

typedef struct Stream {
    int fd; /* -1: ended */
    size_t size;
    char text[OUTPUT_MAX];
} Stream;

typedef struct Program {
    pid_t pid;
    Stream out, err;
} Program;

/* Starts build/NAME with arguments, in the directory of the test. The caller ends it: program_end. */
static Program *start(const char *name, ...) {
    char path[600];
    const char *build = getenv("LEAT_BUILD");
    if (build)
        snprintf(path, sizeof path, "%s/%s", build, name);
    else {
        char here[400];
        REQUIRE(getcwd(here, sizeof here) != NULL);
        snprintf(path, sizeof path, "%s/build/debug/%s", here, name);
    }
    char *argv[ARGS_MAX] = {path};
    va_list args;
    va_start(args, name);
    for (int i = 1; i < ARGS_MAX - 1 && (argv[i] = va_arg(args, char *)) != NULL; i++)
        ;
    va_end(args);

    int out[2], err[2];
    REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    Program *program = calloc(1, sizeof *program);
    const char *directory = check_tmpdir();
    fflush(NULL);
    program->pid = fork();
    if (program->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        setenv("TZ", "UTC", 1);
        setenv("HOME", directory, 1);
        unsetenv("XDG_STATE_HOME");
        if (chdir(directory) == 0)
            execv(path, argv);
        _exit(99);
    }
    close(out[1]);
    close(err[1]);
    program->out.fd = out[0];
    program->err.fd = err[0];
    return program;
}

static void take(Stream *stream) {
    ssize_t count = read(stream->fd, stream->text + stream->size, OUTPUT_MAX - 1 - stream->size);
    if (count > 0) {
        stream->size += (size_t)count;
        return;
    }
    close(stream->fd);
    stream->fd = -1;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads until `stream` holds the text, both have ended, or there is no patience left. */
static bool read_until(Program *program, Stream *stream, const char *text) {
    int64_t begin_ms = now_ms();
    while (!text || !strstr(stream->text, text)) {
        struct pollfd fds[] = {{.fd = program->out.fd, .events = POLLIN},
                               {.fd = program->err.fd, .events = POLLIN}};
        if (program->out.fd < 0 && program->err.fd < 0)
            return false;
        int64_t left_ms = begin_ms + PATIENCE_MS - now_ms();
        if (left_ms <= 0 || poll(fds, 2, (int)left_ms) <= 0)
            return false;
        if (fds[0].revents)
            take(&program->out);
        if (fds[1].revents)
            take(&program->err);
    }
    return true;
}

static bool prints(Program *program, const char *text) {
    bool has_come = read_until(program, &program->out, text);
    if (!CHECK(has_come))
        printf("    waited for: %s\n    standard output: %s\n    standard error: %s\n", text,
               program->out.text, program->err.text);
    return has_come;
}

static void send_signal(const Program *program, int number) {
    CHECK(kill(program->pid, number) == 0);
}

/* Waits for the end: the exit code, or 1000 + the signal. What it printed stays in
 * `program`, which free() ends. */
static int wait_for_end(Program *program) {
    bool hangs = read_until(program, &program->out, NULL) || program->out.fd >= 0 || program->err.fd >= 0;
    if (hangs)
        kill(program->pid, SIGKILL);
    CHECK(!hangs);
    int status = 0;
    waitpid(program->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool check_end(Program *program, int expected, int line) {
    int code = wait_for_end(program);
    bool is_right = check_i64(code, expected, __FILE__, line, "exit code");
    if (!is_right)
        printf("    standard output: %s\n    standard error: %s\n", program->out.text, program->err.text);
    return is_right;
}
#define CHECK_END(program, expected) check_end(program, expected, __LINE__)

/* ---- sockets ---- */

typedef struct Server {
    int listener;
    char port[8];
} Server;

static Server server_open(void) {
    Server server = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    REQUIRE(server.listener >= 0 && bind(server.listener, (struct sockaddr *)&address, size) == 0);
    REQUIRE(listen(server.listener, 8) == 0);
    REQUIRE(getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(server.port, sizeof server.port, "%d", ntohs(address.sin_port));
    return server;
}

static int server_accept(const Server *server) {
    struct pollfd wanted = {.fd = server->listener, .events = POLLIN};
    REQUIRE(poll(&wanted, 1, PATIENCE_MS) == 1);
    int connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    REQUIRE(connection >= 0);
    return connection;
}

static void say(int connection, const char *text) {
    CHECK(send(connection, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* A port that was free a moment ago. */
static void free_port(char *port) {
    Server server = server_open();
    strcpy(port, server.port);
    close(server.listener);
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}

/* ---- the examples ---- */

#define RULE "-------------------------------------------\n"

/* Is it batches as pprint writes them, and nothing else? */
static bool is_pprint(const char *text) {
    while (*text) {
        int size = 0;
        if (strncmp(text, RULE, strlen(RULE)) != 0)
            return false;
        text += strlen(RULE);
        sscanf(text, "Time: %*4d-%*2d-%*2d %*2d:%*2d:%*2d%n", &size);
        if (size != 25)
            return false;
        text += size;
        if (*text == '.')
            text += 7; /* microseconds */
        if (*text++ != '\n' || strncmp(text, RULE, strlen(RULE)) != 0)
            return false;
        text += strlen(RULE);
        while (*text == '(' || *text == '.')
            text = strchr(text, '\n') + 1;
        if (*text++ != '\n')
            return false;
    }
    return true;
}

TEST(network_wordcount_as_the_seed_shows) {
    Server server = server_open();
    Program *program =
        start("examples/network_wordcount", "localhost", server.port, "--interval", "50", NULL);
    int connection = server_accept(&server);
    say(connection, "hello world\n");
    prints(program, "('hello', 1)\n");
    prints(program, "('world', 1)\n");
    say(connection, "hello  world it's\r\ncaf\xc3\xa9 \xff\n");
    prints(program, "('', 1)\n");
    prints(program, "(\"it's\", 1)\n");
    prints(program, "('caf\xc3\xa9', 1)\n");
    prints(program, "('\\udcff', 1)\n");
    send_signal(program, SIGINT);
    CHECK_END(program, 130);
    CHECK(is_pprint(program->out.text));
    CHECK_STR(program->err.text, "");
    close(connection);
    close(server.listener);
    free(program);
}

TEST(blacklist_counts_what_is_not_on_it) {
    char path[600];
    snprintf(path, sizeof path, "%s/spam.txt", check_tmpdir());
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    CHECK(fputs("buy\r\nnow\nbuy\n", file) >= 0);
    CHECK(fclose(file) == 0);
    Server server = server_open();
    Program *program =
        start("examples/blacklist", "localhost", server.port, "spam.txt", "--interval", "50", NULL);
    int connection = server_accept(&server);
    say(connection, "buy apples now buy pears apples\n");
    prints(program, "('apples', 2)\n('pears', 1)\n\n");
    say(connection, "now\nonly\n");
    prints(program, "('only', 1)\n\n");
    send_signal(program, SIGTERM);
    CHECK_END(program, 0);
    CHECK(strstr(program->out.text, "buy") == NULL);
    CHECK(is_pprint(program->out.text));
    CHECK_STR(program->err.text, "");
    close(connection);
    close(server.listener);
    free(program);
}

TEST(a_program_connects_again) {
    Server server = server_open();
    Program *program =
        start("examples/network_wordcount", "localhost", server.port, "--interval", "20", NULL);
    int connection = server_accept(&server);
    say(connection, "one\n");
    prints(program, "('one', 1)\n");
    close(connection);
    connection = server_accept(&server); /* after the restart delay */
    say(connection, "two\n");
    prints(program, "('two', 1)\n");
    send_signal(program, SIGTERM);
    CHECK_END(program, 0);
    close(connection);
    close(server.listener);
    free(program);
}

TEST(a_port_nobody_listens_on) {
    char port[8];
    free_port(port);
    Program *program = start("examples/network_wordcount", "localhost", port, "--interval", "20", "--batches",
                             "3", "--workers", "1", NULL);
    CHECK_END(program, 0);
    CHECK_EQ(count_of(program->out.text, "Time: "), 3);
    CHECK(is_pprint(program->out.text));
    CHECK(strstr(program->err.text, port) != NULL); /* and it says so */
    free(program);
}

TEST(one_line_per_batch_on_request) {
    char port[8];
    free_port(port);
    Program *program = start("examples/network_wordcount", "localhost", port, "--interval", "20", "--batches",
                             "2", "--status", NULL);
    CHECK_END(program, 0);
    CHECK(count_of(program->err.text, "\n") >= 2);
    free(program);
}

TEST(running_counts_survive_kill_9) {
    Server server = server_open();
    for (int round = 0; round < 3; round++) {
        Program *program = start("examples/stateful_network_wordcount", "localhost", server.port, "state",
                                 "--interval", "20", "--workers", round == 1 ? "1" : "3", NULL);
        int connection = server_accept(&server);
        say(connection, "a b a\n");
        char expected[32];
        snprintf(expected, sizeof expected, "('a', %d)\n", 2 * (round + 1));
        prints(program, expected);
        snprintf(expected, sizeof expected, "('b', %d)\n", round + 1);
        prints(program, expected);
        send_signal(program, SIGKILL);
        CHECK_END(program, 1000 + SIGKILL);
        close(connection);
        free(program);
    }
    close(server.listener);
}

/* A file beside the directory, renamed into it. */
static void put_file(const char *directory, const char *name, const char *text) {
    char temporary[600], path[600];
    snprintf(temporary, sizeof temporary, "%s/%s.tmp", check_tmpdir(), name);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(temporary, "w");
    REQUIRE(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
    CHECK(rename(temporary, path) == 0);
}

TEST(running_counts_over_files_survive_kill_9) {
    char directory[500];
    snprintf(directory, sizeof directory, "%s/in", check_tmpdir());
    REQUIRE(mkdir(directory, 0700) == 0);
    for (int round = 0; round < 3; round++) {
        Program *program = start("examples/file_wordcount", directory, "state", "--interval", "20", NULL);
        prints(program, "Time: "); /* it looks at the directory */
        char name[32], expected[32];
        snprintf(name, sizeof name, "file-%d", round);
        put_file(directory, name, "x y\nx");
        snprintf(expected, sizeof expected, "('x', %d)\n", 2 * (round + 1));
        prints(program, expected);
        send_signal(program, SIGKILL);
        CHECK_END(program, 1000 + SIGKILL);
        free(program);
    }
}

TEST(a_checkpoint_that_is_in_use) {
    char port[8];
    free_port(port);
    Program *first =
        start("examples/stateful_network_wordcount", "localhost", port, "state", "--interval", "20", NULL);
    prints(first, "Time: ");
    Program *second =
        start("examples/stateful_network_wordcount", "localhost", port, "state", "--interval", "20", NULL);
    CHECK_END(second, 75);
    CHECK(strncmp(second->err.text, "StatefulNetworkWordCount: ", 26) == 0);
    CHECK_STR(second->out.text, "");
    send_signal(first, SIGTERM);
    CHECK_END(first, 0);
    free(first);
    free(second);
}

TEST(standard_output_that_is_gone) {
    char port[8];
    free_port(port);
    Program *program = start("examples/network_wordcount", "localhost", port, "--interval", "20", NULL);
    close(program->out.fd);
    program->out.fd = -1;
    CHECK_END(program, 74);
    CHECK(strstr(program->err.text, "leat_pprint") != NULL);
    free(program);
}

TEST(wrong_arguments_of_the_examples) {
    static const char *const names[] = {"network_wordcount", "stateful_network_wordcount", "file_wordcount"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "examples/%s", names[i]);
        Program *programs[] = {
            start(path, NULL),
            start(path, "a", "b", "c", "d", NULL),
            start(path, "a", "b", "--interval", "0", NULL),
            start(path, "a", "b", "--batches", NULL),
            start(path, "a", "b", "--intervall", "5", NULL),
        };
        for (size_t j = 0; j < sizeof programs / sizeof programs[0]; j++) {
            CHECK_END(programs[j], 64);
            CHECK(strncmp(programs[j]->err.text, "usage: ", 7) == 0);
            CHECK_STR(programs[j]->out.text, "");
            free(programs[j]);
        }
    }
}

/* ---- leat ---- */

/* Runs `leat` to its end. */
static void check_leat(const char *a, const char *b, const char *c, int code, const char *out,
                       const char *err, int line) {
    Program *program = start("leat", a, b, c, NULL);
    check_end(program, code, line);
    if (!strstr(program->out.text, out))
        check_text(program->out.text, program->out.size, out, strlen(out), __FILE__, line, "standard output");
    if (!strstr(program->err.text, err))
        check_text(program->err.text, program->err.size, err, strlen(err), __FILE__, line, "standard error");
    check_true((program->out.size > 0) == (out[0] != 0), __FILE__, line,
               "standard output is used for results only");
    free(program);
}

TEST(leat_says_what_it_can_do) {
    check_leat("help", NULL, NULL, 0, "leat demo", "", __LINE__);
    check_leat("--help", NULL, NULL, 0, "Usage: leat VERB", "", __LINE__);
    check_leat("help", "demo", NULL, 0, "--interval MS", "", __LINE__);
    check_leat("demo", "-h", NULL, 0, "Examples", "", __LINE__);
    check_leat("version", NULL, NULL, 0, "leat 0.1.0\n", "", __LINE__);
    check_leat("--version", NULL, NULL, 0, "leat 0.1.0\n", "", __LINE__);
    check_leat("version", "--help", NULL, 0, "leat version", "", __LINE__);
}

TEST(leat_says_what_was_wrong) {
    check_leat(NULL, NULL, NULL, 64, "", "Usage: leat VERB", __LINE__);
    check_leat("dmeo", NULL, NULL, 64, "", "did you mean 'demo'?", __LINE__);
    check_leat("frobnicate", NULL, NULL, 64, "", "there is no verb 'frobnicate'", __LINE__);
    check_leat("help", "versoin", NULL, 64, "", "did you mean 'version'?", __LINE__);
    check_leat("demo", "--intervall", "5", 64, "", "did you mean --interval?", __LINE__);
    check_leat("demo", "--batches", NULL, 64, "", "--batches needs a value, N", __LINE__);
    check_leat("demo", "--port=99999", NULL, 64, "", "'99999' is not a number from 1 to 65535", __LINE__);
    check_leat("demo", "now", NULL, 64, "", "'now' is one word too many", __LINE__);
    check_leat("demo", "-x", NULL, 64, "", "there is no option -x", __LINE__);
    check_leat("demo", "--checkpoint", "/proc/nothing/here", 69, "", "/proc/nothing", __LINE__);
}

/* The number behind the last "Total: ". */
static long long last_total(const char *text) {
    long long total = -1;
    while ((text = strstr(text, "Total: ")) != NULL) {
        text += 7;
        total = 0;
        for (; *text != ' '; text++)
            total = *text == ',' ? total : total * 10 + (*text - '0');
    }
    return total;
}

TEST(the_demo_plays_a_text_and_goes_on_with_its_totals) {
    char port[8];
    free_port(port);
    Program *program = start("leat", "demo", "--port", port, "--interval", "100", NULL);
    prints(program, "('");
    prints(program, "most often '");
    send_signal(program, SIGINT);
    CHECK_END(program, 130);
    CHECK(strstr(program->err.text, "/.local/state/leat/demo") != NULL); /* where the totals are */
    CHECK(strstr(program->err.text, "Ctrl-C") != NULL);                  /* how to stop */
    CHECK(strstr(program->err.text, "nc -lk") != NULL);
    CHECK(strstr(program->err.text, "\nleat demo: stopped at ") != NULL);
    CHECK(strstr(program->err.text, " words; the next start goes on from there.\n") != NULL);
    long long total = last_total(program->out.text);
    CHECK(total > 0);
    free(program);

    program = start("leat", "demo", "--port", port, "--interval", "100", "--batches", "3", NULL);
    CHECK_END(program, 0);
    CHECK_EQ(count_of(program->out.text, "Time: "), 3);
    CHECK_EQ(count_of(program->out.text, "Total: "), 3);
    CHECK(last_total(program->out.text) >= total);
    free(program);
}

TEST(the_demo_counts_what_listens_already) {
    Server server = server_open();
    Program *program =
        start("leat", "demo", "--port", server.port, "--interval", "50", "--checkpoint", "here/it/is", NULL);
    int connection = server_accept(&server);
    say(connection, "hello world\nhello\n");
    prints(program, "Total: 3 words, 2 different; most often 'hello': 2\n");
    CHECK(strstr(program->err.text, "a text is played") == NULL);
    send_signal(program, SIGTERM);
    CHECK_END(program, 0);
    free(program);
    close(connection);
    close(server.listener);
}

TEST(nothing_is_left_of_a_demo_that_was_killed) {
    char port[8];
    free_port(port);
    Program *program = start("leat", "demo", "--port", port, "--interval", "50", NULL);
    prints(program, "Total: ");
    send_signal(program, SIGKILL);
    CHECK_END(program, 1000 + SIGKILL); /* both ends of its output are closed: the child is gone too */
    free(program);
}

TEST_MAIN()
