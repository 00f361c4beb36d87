/* The plan's faults, call by call, and a replaced file under every one of them. */
#include "env/env_faulty.h"

#include "check.h"
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>

static Env *faulty(const char *text) {
    Error err = {0};
    FaultPlan *plan = NULL;
    REQUIRE(CHECK_OK(fault_plan_parse(str_from(text), &plan, &err), err));
    Env *env = env_faulty_create(env_real(), plan);
    free(plan);
    return env;
}

static char *in_tmpdir(const char *name) {
    return env_path_join(check_tmpdir(), name);
}

TEST(calls_are_counted_and_traced) {
    Env *env = env_faulty_create(env_real(), NULL);
    Error err = {0};
    Text trace = {0}, wanted = {0};
    char *path = in_tmpdir("a");
    env_faulty_trace(env, &trace);
    env_wall_us(env);
    env_monotonic_us(env);
    CHECK_EQ(env_faulty_call_count(env), 0); /* clocks are not */
    CHECK_OK(env_write_file_atomically(env, path, STR("12345"), &err), err);
    CHECK(env_file_open(env, "/nowhere/at/all", ENV_READ, &(EnvFile *){NULL}, &err) == STATUS_NOT_FOUND);
    env_faulty_trace(env, NULL);
    CHECK_OK(env_remove(env, path, &err), err);
    CHECK_EQ(env_faulty_call_count(env), 7);
    CHECK_EQ(env_faulty_fault_count(env), 0);
    text_appendf(
        &wanted,
        "1 open %s.tmp ok\n2 write %s.tmp 5 of 5\n3 sync %s.tmp ok\n4 rename %s.tmp ok\n5 syncdir %s ok\n"
        "6 open /nowhere/at/all ENOENT\n",
        path, path, path, path, check_tmpdir());
    CHECK_STR(trace.data, wanted.data);
    env_faulty_destroy(env);
    env_faulty_destroy(NULL);
    text_deinit(&trace);
    text_deinit(&wanted);
    free(path);
}

/* Writes and reads 10 bytes in one file; true when both were whole. */
static bool goes_round(Env *env) {
    char *path = in_tmpdir("round");
    EnvFile *file = NULL;
    char got[10] = {0};
    size_t count = 0;
    bool is_whole = env_file_open(env, path, ENV_READ | ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, NULL) ==
                        STATUS_OK &&
                    env_file_write(env, file, 0, "0123456789", 10, NULL) == STATUS_OK &&
                    env_file_read(env, file, 0, got, 10, &count, NULL) == STATUS_OK && count == 10 &&
                    memcmp(got, "0123456789", 10) == 0;
    env_file_close(env, file);
    free(path);
    return is_whole;
}

TEST(short_counts_and_interruptions_do_not_show) {
    static const struct {
        const char *plan;
        int calls, faults;
    } cases[] = {
        {"", 3, 0},
        {"write@1=short:3", 4, 1},
        {"write@1=short:99", 4, 1}, /* one less than asked */
        {"write@1=short:3;write@2=short:1;write@3=short:5", 6, 3},
        {"read@1=short:1;read@2=short:8;read@3=short:4", 5, 2}, /* the third asks for one byte: not shorter */
        {"any@2=short:4;any@4=short:4", 5, 2},
        {"any@1=short:4", 3, 0}, /* an open moves nothing */
        {"write@1=EINTR;read@1=EINTR;read@2=EINTR;open@1=EINTR", 7, 4},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Env *env = faulty(cases[i].plan);
        bool is_right = CHECK(goes_round(env));
        is_right &= CHECK_EQ(env_faulty_call_count(env), cases[i].calls);
        is_right &= CHECK_EQ(env_faulty_fault_count(env), cases[i].faults);
        if (!is_right)
            printf("    plan %s\n", cases[i].plan);
        env_faulty_destroy(env);
    }
}

TEST(direct_files_stay_aligned_when_cut_short) {
    Env *env = faulty("write@1=short:13;write@2=short:4097;read@1=short:1");
    Error err = {0};
    EnvFile *file = NULL;
    char *path = in_tmpdir("direct");
    char *block = aligned_alloc(4096, 16384), *got = aligned_alloc(4096, 16384);
    size_t count = 0;
    for (int i = 0; i < 16384; i++)
        block[i] = (char)(i / 100);
    REQUIRE(
        CHECK_OK(env_file_open(env, path, ENV_READ | ENV_WRITE | ENV_CREATE | ENV_DIRECT, &file, &err), err));
    CHECK_OK(env_file_write(env, file, 0, block, 16384, &err), err);
    CHECK_OK(env_file_read(env, file, 0, got, 16384, &count, &err), err);
    CHECK_EQ(count, 16384);
    CHECK(memcmp(block, got, 16384) == 0);
    CHECK_EQ(env_faulty_fault_count(env), 3);
    env_file_close(env, file);
    env_faulty_destroy(env);
    free(path);
    free(block);
    free(got);
}

/* Every kind's call, with everything it needs made by the real environment. */
typedef struct World {
    EnvFile *file;
    EnvDir *dir;
    EnvSocket *listener, *client;
    EnvPoll *poll;
    char *path, *directory;
    char port[8];
} World;

static void nothing(void *argument) {
    (void)argument;
}

static Status call_kind(Env *env, World *world, const char *kind, Error *err) {
    char bytes[4] = {0};
    size_t size = sizeof bytes;
    EnvTransfer what;
    EnvFileInfo info;
    Status st = STATUS_OK;
    if (strcmp(kind, "write") == 0)
        return env_file_write(env, world->file, 0, "abcd", 4, err);
    if (strcmp(kind, "read") == 0)
        return env_file_read(env, world->file, 0, bytes, 4, &size, err);
    if (strcmp(kind, "sync") == 0)
        return env_file_sync(env, world->file, err);
    if (strcmp(kind, "open") == 0) {
        EnvFile *file = NULL;
        st = env_file_open(env, world->path, ENV_READ, &file, err);
        CHECK((file == NULL) == (st != STATUS_OK));
        env_file_close(env, file);
        return st;
    }
    if (strcmp(kind, "rename") == 0)
        return env_rename(env, world->path, world->path, err);
    if (strcmp(kind, "remove") == 0)
        return env_remove(env, world->directory, err);
    if (strcmp(kind, "truncate") == 0)
        return env_file_truncate(env, world->file, 4, err);
    if (strcmp(kind, "mkdir") == 0)
        return env_make_directory(env, world->directory, err);
    if (strcmp(kind, "syncdir") == 0)
        return env_sync_directory(env, check_tmpdir(), err);
    if (strcmp(kind, "readdir") == 0) {
        const char *name;
        return env_dir_next(env, world->dir, &name, err);
    }
    if (strcmp(kind, "stat") == 0)
        return env_file_info(env, world->file, &info, err);
    if (strcmp(kind, "lock") == 0)
        return env_file_lock(env, world->file, err);
    if (strcmp(kind, "connect") == 0) {
        EnvSocket *socket = NULL;
        st = env_socket_connect(env, "127.0.0.1", world->port, &socket, err);
        CHECK((socket == NULL) == (st != STATUS_OK));
        env_socket_close(env, socket);
        return st;
    }
    if (strcmp(kind, "receive") == 0)
        return env_socket_receive(env, world->client, bytes, &size, &what, err);
    if (strcmp(kind, "send") == 0)
        return env_socket_send(env, world->client, bytes, &size, &what, err);
    if (strcmp(kind, "listen") == 0) {
        EnvSocket *socket = NULL;
        st = env_socket_listen(env, "127.0.0.1", "0", &socket, err);
        CHECK((socket == NULL) == (st != STATUS_OK));
        env_socket_close(env, socket);
        return st;
    }
    if (strcmp(kind, "accept") == 0) {
        EnvSocket *socket = NULL;
        st = env_socket_accept(env, world->listener, &socket, err);
        env_socket_close(env, socket);
        return st;
    }
    if (strcmp(kind, "poll") == 0)
        return env_poll_wait(env, world->poll, NULL, 0, 0, err);
    if (strcmp(kind, "thread") == 0) {
        EnvThread *thread = NULL;
        st = env_thread_start(env, "test", nothing, NULL, &thread, err);
        CHECK((thread == NULL) == (st != STATUS_OK));
        if (thread)
            env_thread_join(env, thread);
        return st;
    }
    if (strcmp(kind, "random") == 0)
        return env_random_bytes(env, bytes, 4, err);
    REQUIRE(strcmp(kind, "stdout") == 0);
    return env_write_stdout(env, STR("    "), err);
}

TEST(every_kind_fails_as_planned_and_then_works) {
    static const char *const kinds[] = {"write",   "read",     "sync",    "open",    "rename", "mkdir",
                                        "remove",  "truncate", "syncdir", "readdir", "stat",   "lock",
                                        "connect", "receive",  "send",    "listen",  "accept", "poll",
                                        "thread",  "random",   "stdout"};
    static const struct {
        const char *name;
        int value;
    } errnos[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},
                  {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"EROFS", EROFS}};
    Env *real = env_real();
    Error err = {0};
    World world = {.path = in_tmpdir("file"), .directory = in_tmpdir("directory")};
    REQUIRE(
        CHECK_OK(env_file_open(real, world.path, ENV_READ | ENV_WRITE | ENV_CREATE, &world.file, &err), err));
    REQUIRE(CHECK_OK(env_dir_open(real, check_tmpdir(), &world.dir, &err), err));
    REQUIRE(CHECK_OK(env_poll_create(real, &world.poll, &err), err));
    REQUIRE(CHECK_OK(env_socket_listen(real, "127.0.0.1", "0", &world.listener, &err), err));
    snprintf(world.port, sizeof world.port, "%u", (unsigned)env_socket_port(real, world.listener));
    REQUIRE(CHECK_OK(env_socket_connect(real, "127.0.0.1", world.port, &world.client, &err), err));
    EnvPollItem item = {.socket = world.client, .want_write = true};
    REQUIRE(CHECK_OK(env_poll_wait(real, world.poll, &item, 1, ENV_FOREVER, &err), err));
    REQUIRE(CHECK_OK(env_socket_finish_connect(real, world.client, &err), err));
    fflush(NULL); /* before lines of the stdout kind */

    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        /* Cannot be done twice. */
        bool is_once = strcmp(kinds[k], "mkdir") == 0 || strcmp(kinds[k], "remove") == 0;
        for (size_t e = 0; e < ARRAY_COUNT(errnos); e++) {
            char plan[64];
            snprintf(plan, sizeof plan, "%s@1=%s", kinds[k], errnos[e].name);
            Env *env = faulty(plan);
            err = (Error){0};
            Status st = call_kind(env, &world, kinds[k], &err);
            bool is_right = CHECK_EQ(env_faulty_fault_count(env), 1);
            if (st == STATUS_OK) {
                is_right &= CHECK_EQ(errnos[e].value, EINTR); /* made again */
                is_right &= CHECK(env_faulty_call_count(env) >= 2);
            } else {
                is_right &= CHECK_EQ(err.os_error, errnos[e].value);
                is_right &= CHECK_EQ(st, errnos[e].value == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO);
                if (!is_once)
                    is_right &= CHECK_OK(call_kind(env, &world, kinds[k], &err), err);
            }
            if (!is_right)
                printf("    plan %s: %s\n", plan, err.message);
            env_faulty_destroy(env);
        }
        if (is_once) {
            Env *env = faulty("");
            CHECK_OK(call_kind(env, &world, kinds[k], &err), err);
            env_faulty_destroy(env);
        }
    }
    env_file_close(real, world.file);
    env_dir_close(real, world.dir);
    env_socket_close(real, world.client);
    env_socket_close(real, world.listener);
    env_poll_destroy(real, world.poll);
    free(world.path);
    free(world.directory);
}

TEST(errors_with_a_meaning_of_their_own) {
    Env *env = faulty("lock@1=EAGAIN;lock@2=EACCES;lock@3=ENOLCK;stdout@1=EPIPE;connect@1=ECONNREFUSED");
    Error err = {0};
    EnvFile *file = NULL;
    char *path = in_tmpdir("meaning");
    REQUIRE(CHECK_OK(env_file_open(env, path, ENV_WRITE | ENV_CREATE, &file, &err), err));
    CHECK_EQ(env_file_lock(env, file, &err), STATUS_UNAVAILABLE);
    CHECK_EQ(env_file_lock(env, file, &err), STATUS_UNAVAILABLE);
    CHECK_EQ(env_file_lock(env, file, &err), STATUS_IO);
    CHECK_EQ(env_write_stdout(env, STR("x"), &err), STATUS_IO);
    EnvSocket *socket = NULL;
    CHECK_EQ(env_socket_connect(env, "127.0.0.1", "1", &socket, &err), STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, "127.0.0.1:1") != NULL);
    env_file_close(env, file);
    env_faulty_destroy(env);
    free(path);
}

TEST(an_error_that_goes_on_goes_on) {
    Env *env = faulty("open@2+=EMFILE");
    Error err = {0};
    char *path = in_tmpdir("on");
    CHECK_OK(env_write_file_atomically(env, path, STR("x"), &err), err);
    for (int i = 0; i < 3; i++)
        CHECK(env_write_file_atomically(env, path, STR("y"), &err) == STATUS_IO);
    CHECK_EQ(env_faulty_fault_count(env), 3);
    env_faulty_destroy(env);
    free(path);
}

TEST(the_wall_clock_jumps_and_the_other_does_not) {
    Env *env = faulty("clock@2=-3600s;clock@3=+1y");
    char byte;
    int64_t monotonic_us = env_monotonic_us(env);
    int64_t off_us = env_wall_us(env) - env_wall_us(env_real());
    CHECK(off_us > -60000000 && off_us <= 0);
    CHECK(env_random_bytes(env, &byte, 1, NULL) == STATUS_OK);
    CHECK(env_random_bytes(env, &byte, 1, NULL) == STATUS_OK);
    off_us = env_wall_us(env) - env_wall_us(env_real());
    CHECK(off_us > -3660000000 && off_us <= -3600000000);
    CHECK(env_random_bytes(env, &byte, 1, NULL) == STATUS_OK);
    off_us = env_wall_us(env) - env_wall_us(env_real());
    CHECK(off_us > 365 * 86400000000 - 60000000);
    CHECK(env_monotonic_us(env) - monotonic_us < 60000000);
    env_faulty_destroy(env);
    env = faulty("clock@0=+1h");
    CHECK(env_wall_us(env) - env_wall_us(env_real()) > 3500000000);
    env_faulty_destroy(env);
}

TEST(a_delay_takes_at_least_its_time) {
    Env *env = faulty("delay@2=3000");
    char byte;
    int64_t begin_us = env_monotonic_us(env);
    CHECK(env_random_bytes(env, &byte, 1, NULL) == STATUS_OK);
    CHECK(env_random_bytes(env, &byte, 1, NULL) == STATUS_OK);
    CHECK(env_monotonic_us(env) - begin_us >= 3000);
    CHECK_EQ(env_faulty_fault_count(env), 1);
    env_faulty_destroy(env);
}

/* ---- the end of the process ---- */

static Status write_four(Env *env, void *user, Error *err) {
    EnvFile *file = NULL;
    TRY(env_file_open(env, user, ENV_WRITE | ENV_CREATE, &file, err));
    Status st = env_file_write(env, file, 0, "four", 4, err);
    env_file_close(env, file);
    return st;
}

static bool is_ended_where_planned(const SweepRound *round, void *user) {
    static const struct {
        const char *plan;
        int size; /* -1: no file */
    } wanted[] = {{"kill@1", -1}, {"kill@1=after", 0}, {"kill@2", 0}, {"kill@2=after", 4}};
    EnvFileInfo info = {0};
    bool is_there = env_path_info(env_real(), user, &info, NULL) == STATUS_OK;
    size_t i = 0;
    while (i < ARRAY_COUNT(wanted) && strcmp(round->plan, wanted[i].plan) != 0)
        i++;
    return CHECK(i < ARRAY_COUNT(wanted)) && CHECK(round->was_killed) &&
           CHECK_EQ(is_there ? (int)info.size_bytes : -1, wanted[i].size);
}

static void remove_it(void *user) {
    Status ignored = env_remove(env_real(), user, NULL);
    (void)ignored;
}

TEST(the_process_ends_before_or_after_the_planned_call) {
    char *path = in_tmpdir("four");
    SweepJob job = {.prepare = remove_it, .run = write_four, .check = is_ended_where_planned, .user = path};
    SweepCounts counts = sweep_kill(&job);
    CHECK_EQ(counts.calls, 2);
    CHECK_EQ(counts.unreached, 0);
    free(path);
}

/* ---- a replaced file, whatever happens ---- */

typedef struct Replaced {
    char *path, *temporary;
} Replaced;

static Replaced replaced_init(void) {
    return (Replaced){.path = in_tmpdir("replaced"), .temporary = in_tmpdir("replaced.tmp")};
}

static void replaced_deinit(Replaced *replaced) {
    free(replaced->path);
    free(replaced->temporary);
}

static void put_old(void *user) {
    Error err = {0};
    REQUIRE(CHECK_OK(
        env_write_file_atomically(env_real(), ((Replaced *)user)->path, STR("the old text"), &err), err));
}

static Status put_new(Env *env, void *user, Error *err) {
    return env_write_file_atomically(env, ((Replaced *)user)->path, STR("new"), err);
}

static bool holds(const Replaced *replaced, Str wanted) {
    Text got = {0};
    Error err = {0};
    bool is_it = env_read_file(env_real(), replaced->path, 100, &got, &err) == STATUS_OK &&
                 str_equal(text_str(&got), wanted);
    text_deinit(&got);
    return is_it;
}

static bool is_old_or_new(const SweepRound *round, void *user) {
    const Replaced *replaced = user;
    bool is_new = holds(replaced, STR("new"));
    bool is_right = CHECK(is_new || holds(replaced, STR("the old text")));
    if (!round->was_killed && round->status == STATUS_OK)
        is_right &= CHECK(is_new);
    if (!round->was_killed && round->status != STATUS_OK) {
        EnvFileInfo info;
        is_right &= CHECK(strstr(round->message, replaced->path) != NULL);
        is_right &= CHECK(env_path_info(env_real(), replaced->temporary, &info, NULL) == STATUS_NOT_FOUND);
    }
    /* Whatever was left behind, the next replacement succeeds. */
    is_right &= CHECK(env_write_file_atomically(env_real(), replaced->path, STR("next"), NULL) == STATUS_OK);
    return is_right && CHECK(holds(replaced, STR("next")));
}

TEST(a_replaced_file_is_old_or_new_after_an_end_anywhere) {
    Replaced replaced = replaced_init();
    SweepCounts counts = sweep_kill(
        &(SweepJob){.prepare = put_old, .run = put_new, .check = is_old_or_new, .user = &replaced});
    CHECK_EQ(counts.calls, 5);
    CHECK(getenv("SWEEP_PLAN") || counts.rounds == 10);
    CHECK_EQ(counts.unreached, 0);
    replaced_deinit(&replaced);
}

TEST(a_replaced_file_is_old_or_new_after_every_errno) {
    Replaced replaced = replaced_init();
    SweepCounts counts = sweep_errno(
        &(SweepJob){.prepare = put_old, .run = put_new, .check = is_old_or_new, .user = &replaced},
        "EIO ENOSPC EINTR EROFS EDQUOT ENOMEM");
    CHECK(getenv("SWEEP_PLAN") || counts.rounds == 30);
    CHECK(getenv("SWEEP_PLAN") || counts.refused == 28); /* an interrupted open and write are made again */
    CHECK_EQ(counts.unreached, 0);
    replaced_deinit(&replaced);
}

TEST_MAIN()
