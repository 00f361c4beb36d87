/* Bad input and bad disks, met by the programs as they are run: what each says, how it ends, and that nothing
 * but what was bad is lost. Real sockets, real files; ports are chosen by the system. */
#include "leat/leat.h"

#include "check.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- helpers ---- */

static const char *in_tmpdir(const char *name) {
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", check_tmpdir(), name);
    return path;
}

static void write_text(const char *path, const char *text, size_t size) {
    FILE *file = fopen(path, "w");
    REQUIRE(file && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}

/* A whole file appears in `directory`. */
static void drop_file(const char *directory, const char *name, const char *text) {
    char from[400], to[400];
    snprintf(from, sizeof from, "%s/dropped", check_tmpdir());
    snprintf(to, sizeof to, "%s/%s", directory, name);
    write_text(from, text, strlen(text));
    REQUIRE(rename(from, to) == 0);
}

typedef struct Server {
    int listener;
    char port[8], name[32]; /* "127.0.0.1:PORT" */
} Server;

/* Has a port; listens when `listens`, else connecting is refused. */
static Server server_open(bool listens) {
    Server server;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(server.listener >= 0 && bind(server.listener, (struct sockaddr *)&address, size) == 0 &&
            getsockname(server.listener, (struct sockaddr *)&address, &size) == 0 &&
            (!listens || listen(server.listener, 4) == 0));
    snprintf(server.port, sizeof server.port, "%u", ntohs(address.sin_port));
    snprintf(server.name, sizeof server.name, "127.0.0.1:%s", server.port);
    return server;
}

static int server_accept(const Server *server) {
    struct timeval patience = {.tv_sec = PROGRAM_SECONDS_MAX};
    setsockopt(server->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int peer = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    REQUIRE(peer >= 0);
    return peer;
}

static void send_all(int peer, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(peer, bytes, size, MSG_NOSIGNAL);
        REQUIRE(sent > 0);
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void send_text(int peer, const char *text) {
    send_all(peer, text, strlen(text));
}

/* argv of at most 9 words, the program's name first. */
#define RUN(environment, name, ...) \
    program_start((const char *const[]){program_built(name), __VA_ARGS__, NULL}, environment)

static int end_by(Program *program, int signal_number) {
    program_signal(program, signal_number);
    return program_end(program);
}

/* The state of a checkpoint has the line {"operator":...,"key":"WORD","value":N}. */
static bool state_has(const char *checkpoint, const char *word, int count) {
    char wanted[200];
    snprintf(wanted, sizeof wanted, "\"key\":\"%s\",\"value\":%d}", word, count);
    Program dump = RUN(NULL, "leat", "state", "dump", checkpoint, "--format", "json");
    CHECK_EQ(program_end(&dump), 0);
    return program_check_printed(&dump, wanted);
}

/* file_wordcount that has counted "one two two" into `checkpoint` and has ended. The directory is reads. */
static void count_once(const char *texts, const char *checkpoint) {
    if (mkdir(texts, 0700) != 0)
        REQUIRE(errno == EEXIST);
    Program program = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    REQUIRE(program_wait_for(&program, "Time: "));
    drop_file(texts, "first", "one two two\n");
    REQUIRE(program_wait_for(&program, "('two', 2)"));
    CHECK_EQ(end_by(&program, SIGTERM), 0);
}

/* ---- arguments ---- */

TEST(wrong_arguments_are_explained) {
    static const struct {
        const char *program, *argument[6];
    } cases[] = {
        {"examples/network_wordcount", {NULL}},
        {"examples/network_wordcount", {"localhost", NULL}},
        {"examples/network_wordcount", {"localhost", "9", "directory", "more", NULL}},
        {"examples/network_wordcount", {"localhost", "9", "--interval", "0", NULL}},
        {"examples/network_wordcount", {"localhost", "9", "--interval", NULL}},
        {"examples/network_wordcount", {"localhost", "9", "--workers", "many", NULL}},
        {"examples/stateful_network_wordcount", {"localhost", "9", "--intervall", "9", NULL}},
        {"examples/file_wordcount", {NULL}},
        {"examples/file_wordcount", {"directory", "--batches", "-1", NULL}},
        {"leat", {"checkpoint", NULL}},
        {"leat", {"checkpoint", "verify", NULL}},
        {"leat", {"checkpoint", "mend", "directory", NULL}},
        {"leat", {"state", "dump", NULL}},
        {"leat", {"state", "dump", "directory", "--format", "xml", NULL}},
        {"leat", {"demo", "--batches", "none", NULL}},
        {"leat", {"dmeo", NULL}},
        {"leat", {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *argv[8] = {program_built(cases[i].program)};
        for (int k = 0; k < 6 && cases[i].argument[k]; k++)
            argv[k + 1] = cases[i].argument[k];
        Program program = program_start(argv, NULL);
        if (!CHECK_EQ(program_end(&program), LEAT_EXIT_USAGE))
            printf("    case %zu: %s\n", i, cases[i].program);
        char *said = program_output(&program);
        CHECK(strstr(said, "sage") || strstr(said, "leat")); /* usage, or what was meant */
        free(said);
    }
}

static int ask_for_unknown_option(void *user) {
    (void)user;
    LeatContext *context = leat_context_create("options", leat_milliseconds(10));
    leat_set(context, "max-lines", "1KiB");
    leat_print(leat_socket_text_stream(context, "127.0.0.1", "1"));
    leat_start(context);
    int code = leat_await_termination(context);
    leat_context_destroy(context);
    return code;
}

TEST(an_unknown_option_names_the_one_that_was_meant) {
    Program program = program_fork(ask_for_unknown_option, NULL);
    CHECK_EQ(program_end(&program), LEAT_EXIT_CONFIG);
    program_check_printed(&program, "max-lines");
    program_check_printed(&program, "did you mean 'max-line'");
}

/* ---- sockets ---- */

TEST(a_port_nobody_listens_on_is_tried_again) {
    Server server = server_open(false);
    Program program = RUN(NULL, "examples/network_wordcount", "127.0.0.1", server.port, "--interval", "20");
    REQUIRE(program_wait_for(&program, server.name));
    program_check_printed(&program, "refused");
    program_check_printed(&program, "next try");
    REQUIRE(listen(server.listener, 4) == 0);
    int peer = server_accept(&server);
    send_text(peer, "here now\n");
    CHECK(program_wait_for(&program, "('here', 1)"));
    CHECK_EQ(end_by(&program, SIGTERM), 0);
    close(peer);
    close(server.listener);
}

TEST(a_port_that_is_none_is_said) {
    Program program = RUN(NULL, "examples/network_wordcount", "127.0.0.1", "no-such-service");
    CHECK(program_wait_for(&program, "no-such-service"));
    (void)end_by(&program, SIGTERM);
}

TEST(bytes_that_are_not_utf8_are_kept) {
    Server server = server_open(true);
    const char *checkpoint = in_tmpdir("checkpoint");
    Program program = RUN(NULL, "examples/stateful_network_wordcount", "127.0.0.1", server.port, checkpoint,
                          "--interval", "20");
    int peer = server_accept(&server);
    static const char text[] = "caf\xc3\xa9 \xff\xfe\n\xc3(\n\xff\xfe end\n";
    send_all(peer, text, sizeof text - 1);
    CHECK(program_wait_for(&program, "'end'"));
    CHECK(program_wait_for(&program, "('\\udcff\\udcfe', 2)")); /* as Python shows them */
    program_check_printed(&program, "('\\udcc3(', 1)");
    program_check_printed(&program, "('caf\xc3\xa9', 1)");
    CHECK_EQ(end_by(&program, SIGTERM), 0);
    state_has(checkpoint, "caf\xc3\xa9", 1);
    state_has(checkpoint, "\\u00ff\\u00fe", 2); /* JSON is text: the code points of their values */
    close(peer);
    close(server.listener);
}

enum { LIMIT = 1024 };

typedef struct Limited {
    const char *port, *directory; /* one of them */
    const char *checkpoint;
} Limited;

static int count_with_limit(void *user) {
    const Limited *limited = user;
    LeatContext *context = leat_context_create("limited", leat_milliseconds(20));
    leat_set(context, "max-line", "1KiB");
    leat_stop_on_signals(context);
    if (limited->checkpoint)
        leat_checkpoint(context, limited->checkpoint);
    LeatStream *lines =
        limited->port ? leat_socket_text_stream(context, "127.0.0.1", limited->port)
                      : leat_text_file_stream_with(context, (LeatFileStream){.directory = limited->directory,
                                                                             .existing_files = true});
    leat_pprint_n(leat_reduce_by_key(leat_map(lines, leat_pair_with_i64(1)), leat_sum()), 100);
    leat_start(context);
    int code = leat_await_termination(context);
    leat_context_destroy(context);
    return code;
}

/* "before", a line of exactly the limit, one of a byte more, one of many megabytes, "behind". */
static char *make_long_lines(size_t *size, size_t *first, size_t *second) {
    enum { HUGE = 20 << 20 };
    char *text = malloc(HUGE + 4 * LIMIT), *at = text;
    REQUIRE(text != NULL);
    at += sprintf(at, "before\n");
    memset(at, 'a', LIMIT);
    at[LIMIT] = '\n';
    at += LIMIT + 1;
    *first = (size_t)(at - text);
    memset(at, 'b', LIMIT + 1);
    at[LIMIT + 1] = '\n';
    at += LIMIT + 2;
    at += sprintf(at, "between\n");
    *second = (size_t)(at - text);
    memset(at, 'c', HUGE);
    at[HUGE] = '\n';
    at += HUGE + 1;
    at += sprintf(at, "behind\n");
    *size = (size_t)(at - text);
    return text;
}

static void check_long_lines(Program *program, const char *source, size_t first, size_t second) {
    char wanted[200];
    CHECK(program_wait_for(program, "('behind', 1)"));
    CHECK_EQ(end_by(program, SIGTERM), 0);
    program_check_printed(program, "('before', 1)");
    program_check_printed(program, "('between', 1)");
    program_check_printed(program, "aaaa', 1)");
    CHECK(!program_printed(program, "bbbb"));
    CHECK(!program_printed(program, "cccc"));
    program_check_printed(program, source);
    snprintf(wanted, sizeof wanted, "byte %zu ", first);
    program_check_printed(program, wanted);
    snprintf(wanted, sizeof wanted, "byte %zu ", second);
    program_check_printed(program, wanted);
    program_check_printed(program, "max-line");
    program_check_printed(program, "1024");
}

TEST(a_line_over_the_limit_of_a_socket_is_left_out) {
    size_t size, first, second;
    char *text = make_long_lines(&size, &first, &second);
    for (int logged = 0; logged < 2; logged++) {
        Server server = server_open(true);
        Limited limited = {.port = server.port, .checkpoint = logged ? in_tmpdir("checkpoint") : NULL};
        Program program = program_fork(count_with_limit, &limited);
        int peer = server_accept(&server);
        send_all(peer, text, size);
        check_long_lines(&program, server.name, first, second);
        close(peer);
        close(server.listener);
    }
    free(text);
}

TEST(a_line_over_the_limit_of_a_file_is_left_out) {
    size_t size, first, second;
    char *text = make_long_lines(&size, &first, &second);
    const char *directory = in_tmpdir("texts"), *path = in_tmpdir("texts/long");
    REQUIRE(mkdir(directory, 0700) == 0);
    write_text(path, text, size);
    Limited limited = {.directory = directory};
    Program program = program_fork(count_with_limit, &limited);
    check_long_lines(&program, path, first, second);
    free(text);
}

/* ---- disks ---- */

TEST(a_disk_that_is_full_is_said_and_nothing_is_lost) {
    const char *texts = in_tmpdir("texts"), *checkpoint = in_tmpdir("checkpoint");
    count_once(texts, checkpoint);
    Program program = RUN(((const char *const[]){"LEAT_FAULTS=write@1+=ENOSPC", NULL}),
                          "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    drop_file(texts, "second", "two three\n");
    CHECK_EQ(program_end(&program), LEAT_EXIT_IO);
    program_check_printed(&program, "No space left on device");
    program_check_printed(&program, checkpoint);
    /* There is room again. */
    program = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    CHECK(program_wait_for(&program, "('three', 1)"));
    CHECK_EQ(end_by(&program, SIGTERM), 0);
    state_has(checkpoint, "one", 1);
    state_has(checkpoint, "two", 3);
    state_has(checkpoint, "three", 1);
}

/* A mount of its own for this program, gone with it. False: this machine does not let us. */
static bool mount_own(const char *path, unsigned long flags, const char *options) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount("tmpfs", path, "tmpfs", flags, options) == 0;
}

enum { NO_MOUNT = 98 };

typedef struct Mounted {
    unsigned long flags;
    const char *options, *path;
    const char *argv[8];
} Mounted;

static int run_on_mount(void *user) {
    const Mounted *mounted = user;
    if (!mount_own(mounted->path, mounted->flags, mounted->options))
        return NO_MOUNT;
    execv(mounted->argv[0], (char *const *)mounted->argv);
    return 99;
}

TEST(a_small_file_system_is_filled) {
    const char *texts = in_tmpdir("texts"), *disk = in_tmpdir("disk"),
               *checkpoint = in_tmpdir("disk/checkpoint");
    REQUIRE(mkdir(texts, 0700) == 0 && mkdir(disk, 0700) == 0);
    Mounted mounted = {.path = disk, .options = "size=512k,mode=0700"};
    char example[512];
    snprintf(example, sizeof example, "%s", program_built("examples/file_wordcount"));
    memcpy(mounted.argv, (const char *[]){example, texts, checkpoint, "--interval", "10", NULL},
           6 * sizeof(char *));
    Program program = program_fork(run_on_mount, &mounted);
    for (int i = 0; !program_has_ended(&program); i++) { /* until it is full */
        char name[32], words[9000], *at = words;
        snprintf(name, sizeof name, "text-%d", i);
        for (int k = 0; k < 500; k++)
            at += sprintf(at, "word-%d-%d ", i, k);
        drop_file(texts, name, words);
        program_pause_us(5000);
        REQUIRE(i < 20000);
    }
    if (program_end(&program) == NO_MOUNT) {
        printf("skipped: this user may not mount a file system of its own here\n");
        return;
    }
    CHECK_EQ(program.exit_code, LEAT_EXIT_IO);
    program_check_printed(&program, "No space left on device");
    program_check_printed(&program, checkpoint);
}

TEST(a_file_system_that_is_read_only_is_said) {
    const char *texts = in_tmpdir("texts"), *disk = in_tmpdir("disk"),
               *checkpoint = in_tmpdir("disk/checkpoint");
    REQUIRE(mkdir(texts, 0700) == 0 && mkdir(disk, 0700) == 0);
    Mounted mounted = {.path = disk, .flags = MS_RDONLY};
    char example[512];
    snprintf(example, sizeof example, "%s", program_built("examples/file_wordcount"));
    memcpy(mounted.argv, (const char *[]){example, texts, checkpoint, NULL}, 4 * sizeof(char *));
    Program program = program_fork(run_on_mount, &mounted);
    if (program_end(&program) == NO_MOUNT) {
        printf("skipped: this user may not mount a file system of its own here\n");
        return;
    }
    CHECK(program.exit_code == LEAT_EXIT_IO || program.exit_code == LEAT_EXIT_CANNOT_CREATE);
    program_check_printed(&program, "Read-only file system");
    program_check_printed(&program, checkpoint);
}

TEST(a_directory_with_other_things_is_refused_and_left_alone) {
    const char *texts = in_tmpdir("texts"), *foreign = in_tmpdir("foreign"),
               *file = in_tmpdir("foreign/letter");
    REQUIRE(mkdir(texts, 0700) == 0 && mkdir(foreign, 0700) == 0);
    write_text(file, "dear", 4);
    Program program = RUN(NULL, "examples/file_wordcount", texts, foreign);
    CHECK_EQ(program_end(&program), LEAT_EXIT_CONFIG);
    program_check_printed(&program, foreign);
    program_check_printed(&program, "letter");
    struct stat info;
    CHECK(stat(file, &info) == 0 && info.st_size == 4);
    program = RUN(NULL, "leat", "checkpoint", "verify", foreign);
    CHECK(program_end(&program) != 0);
    program_check_printed(&program, foreign);
}

TEST(a_checkpoint_of_another_program_is_refused) {
    const char *texts = in_tmpdir("texts"), *checkpoint = in_tmpdir("checkpoint");
    count_once(texts, checkpoint);
    Program program =
        RUN(NULL, "examples/stateful_network_wordcount", "127.0.0.1", "1", checkpoint, "--interval", "10");
    CHECK_EQ(program_end(&program), LEAT_EXIT_CONFIG);
    program_check_printed(&program, "FileWordCount");
    program_check_printed(&program, "StatefulNetworkWordCount");
    program = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "20");
    CHECK_EQ(program_end(&program), LEAT_EXIT_CONFIG);
    program_check_printed(&program, "10 ms");
    program_check_printed(&program, "20 ms");
    state_has(checkpoint, "two", 2); /* as it was */
}

static int another_state(void *user) {
    LeatContext *context = leat_context_create("FileWordCount", leat_milliseconds(10));
    leat_checkpoint(context, user);
    LeatStream *lines = leat_text_file_stream(context, check_tmpdir());
    leat_print(leat_update_state_by_key(leat_map(lines, leat_pair_with_i64(1)),
                                        leat_update_function("longest STRING", NULL, NULL)));
    leat_start(context);
    return leat_await_termination(context);
}

TEST(a_changed_state_is_refused_by_the_name_of_its_operator) {
    const char *checkpoint = in_tmpdir("checkpoint");
    count_once(in_tmpdir("texts"), checkpoint);
    Program program = program_fork(another_state, (void *)checkpoint);
    CHECK_EQ(program_end(&program), LEAT_EXIT_CONFIG);
    program_check_printed(&program, "update_state_by_key");
    state_has(checkpoint, "two", 2);
}

/* The batch log's only segment. */
static const char *log_path(void) {
    return in_tmpdir("checkpoint/batch-0000000000000001.log");
}

static size_t find_bytes(const char *path, const char *bytes) {
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    size_t size = strlen(bytes), matched = 0, at = 0, found = 0;
    for (int c; (c = fgetc(file)) != EOF && !found; at++) {
        matched = c == bytes[matched] ? matched + 1 : c == bytes[0];
        if (matched == size)
            found = at + 1 - size;
    }
    fclose(file);
    REQUIRE(found > 0);
    return found;
}

TEST(a_damaged_log_is_refused_with_file_and_offset) {
    const char *texts = in_tmpdir("texts"), *checkpoint = in_tmpdir("checkpoint");
    count_once(texts, checkpoint);
    Program verify = RUN(NULL, "leat", "checkpoint", "verify", checkpoint);
    CHECK_EQ(program_end(&verify), 0);

    size_t offset = find_bytes(log_path(), "texts/first"); /* in the PLAN of a batch long since synced */
    int file = open(log_path(), O_RDWR);
    char byte = 0;
    REQUIRE(file >= 0 && pread(file, &byte, 1, (off_t)offset) == 1);
    byte ^= 4;
    REQUIRE(pwrite(file, &byte, 1, (off_t)offset) == 1);
    close(file);

    Program program = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    CHECK_EQ(program_end(&program), LEAT_EXIT_DATA);
    program_check_printed(&program, log_path());
    program_check_printed(&program, "damaged at byte");
    verify = RUN(NULL, "leat", "checkpoint", "verify", checkpoint);
    CHECK_EQ(program_end(&verify), LEAT_EXIT_DATA);
    program_check_printed(&verify, "batch-0000000000000001.log");
    program_check_printed(&verify, "damaged at byte");
    Program dump = RUN(NULL, "leat", "state", "dump", checkpoint);
    CHECK_EQ(program_end(&dump), LEAT_EXIT_DATA);
}

TEST(a_second_instance_is_refused) {
    const char *texts = in_tmpdir("texts"), *checkpoint = in_tmpdir("checkpoint");
    REQUIRE(mkdir(texts, 0700) == 0);
    Program first = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    REQUIRE(program_wait_for(&first, "Time: "));
    Program second = RUN(NULL, "examples/file_wordcount", texts, checkpoint, "--interval", "10");
    CHECK_EQ(program_end(&second), LEAT_EXIT_TEMPORARY);
    program_check_printed(&second, checkpoint);
    program_check_printed(&second, "in use by another process");
    drop_file(texts, "text", "still here\n"); /* the first one goes on */
    CHECK(program_wait_for(&first, "('still', 1)"));
    CHECK_EQ(end_by(&first, SIGTERM), 0);
}

TEST(standard_output_that_takes_nothing_is_a_failed_output) {
    const char *texts = in_tmpdir("texts"), *checkpoint = in_tmpdir("checkpoint");
    REQUIRE(mkdir(texts, 0700) == 0);
    char command[1000];
    snprintf(command, sizeof command, "exec %s %s %s --interval 10 >/dev/full",
             program_built("examples/file_wordcount"), texts, checkpoint);
    Program program = program_start((const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
    int code = program_end(&program);
    CHECK(code == LEAT_EXIT_IO || code == LEAT_EXIT_SOFTWARE);
    program_check_printed(&program, "No space left on device");
}

TEST_MAIN()
