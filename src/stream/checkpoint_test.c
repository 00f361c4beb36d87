#include "stream/checkpoint.h"

#include "base/memory.h"
#include "check.h"
#include "env/env_faulty.h"
#include "sweep.h"

#include <stdlib.h>

static CheckpointIdentity wanted_identity(void) {
    CheckpointIdentity wanted = {.interval_ms = 1000,
                                 .zero_time_ms = 1763719200000,
                                 .partition_count = 8,
                                 .key_group_count = 256,
                                 .created_ms = 1763719200123};
    snprintf(wanted.program, sizeof wanted.program, "%s", "word count");
    return wanted;
}

static char *path_in(const char *directory, const char *name) {
    return env_path_join(directory, name);
}

static void write_file(const char *directory, const char *name, Str bytes) {
    Error err = {0};
    EnvFile *file;
    char *path = path_in(directory, name);
    REQUIRE(
        CHECK_OK(env_file_open(env_real(), path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, &err), err));
    REQUIRE(CHECK_OK(env_file_write(env_real(), file, 0, bytes.data, bytes.size, &err), err));
    env_file_close(env_real(), file);
    free(path);
}

static bool has_file(const char *directory, const char *name) {
    char *path = path_in(directory, name);
    EnvFileInfo info;
    bool has = env_path_info(env_real(), path, &info, NULL) == STATUS_OK;
    free(path);
    return has;
}

static bool is_same(const CheckpointIdentity *a, const CheckpointIdentity *b) {
    return strcmp(a->id, b->id) == 0 && strcmp(a->program, b->program) == 0 &&
           a->interval_ms == b->interval_ms && a->zero_time_ms == b->zero_time_ms &&
           a->partition_count == b->partition_count && a->key_group_count == b->key_group_count &&
           a->created_ms == b->created_ms;
}

TEST(the_first_start_decides_the_later_ones_find) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity(), other = wanted;
    Checkpoint *first, *second;
    char *directory = path_in(check_tmpdir(), "new");
    bool exists = true;
    CHECK_OK(checkpoint_exists(env_real(), directory, &exists, &err), err);
    CHECK(!exists);
    REQUIRE(CHECK_OK(checkpoint_open(env_real(), directory, &wanted, &first, &err), err));
    CHECK(checkpoint_is_new(first));
    CheckpointIdentity stored = *checkpoint_identity(first);
    CHECK_EQ(strlen(stored.id), 32);
    CHECK(checkpoint_directory(first)[0] == '/');
    checkpoint_close(first);
    CHECK_OK(checkpoint_exists(env_real(), directory, &exists, &err), err);
    CHECK(exists);

    other.partition_count = 3; /* what the first start chose stays */
    other.zero_time_ms = 5;
    other.created_ms = 6;
    REQUIRE(CHECK_OK(checkpoint_open(env_real(), directory, &other, &second, &err), err));
    CHECK(!checkpoint_is_new(second) && is_same(&stored, checkpoint_identity(second)));
    Checkpoint *reader;
    /* Needs no lock. */
    REQUIRE(CHECK_OK(checkpoint_open_read_only(env_real(), directory, &reader, &err), err));
    CHECK(is_same(&stored, checkpoint_identity(reader)));
    checkpoint_close(reader);
    checkpoint_close(second);
    free(directory);
}

TEST(a_second_owner_is_refused) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *first, *second;
    REQUIRE(CHECK_OK(checkpoint_open(env_real(), check_tmpdir(), &wanted, &first, &err), err));
    CHECK_EQ(checkpoint_open(env_real(), check_tmpdir(), &wanted, &second, &err), STATUS_UNAVAILABLE);
    CHECK(second == NULL && strstr(err.message, "in use by another process"));
    checkpoint_close(first);
    CHECK_OK(checkpoint_open(env_real(), check_tmpdir(), &wanted, &second, &err), err);
    checkpoint_close(second);
}

TEST(another_program_and_another_interval_are_named) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    REQUIRE(CHECK_OK(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), err));
    checkpoint_close(checkpoint);
    wanted.interval_ms = 500;
    CHECK_EQ(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "1000 ms") && strstr(err.message, "500 ms"));
    snprintf(wanted.program, sizeof wanted.program, "other");
    CHECK_EQ(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "'word count'") && strstr(err.message, "'other'"));
    snprintf(wanted.program, sizeof wanted.program, "two\nlines");
    CHECK_EQ(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), STATUS_INVALID);
}

TEST(a_foreign_directory_is_refused_and_left_alone) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    write_file(check_tmpdir(), "letters.txt", STR("dear"));
    CHECK_EQ(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "letters.txt") != NULL);
    CHECK(!has_file(check_tmpdir(), "lock") && !has_file(check_tmpdir(), "checkpoint"));
    CHECK_EQ(checkpoint_open_read_only(env_real(), check_tmpdir(), &checkpoint, &err), STATUS_NOT_FOUND);
    char *path = path_in(check_tmpdir(), "letters.txt");
    CHECK_EQ(checkpoint_open(env_real(), path, &wanted, &checkpoint, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "not a directory") != NULL);
    free(path);
    path = path_in(check_tmpdir(), "no/such");
    CHECK_EQ(checkpoint_open(env_real(), path, &wanted, &checkpoint, &err), STATUS_NOT_FOUND);
    free(path);
    /* Logs without their identity are no new checkpoint either. */
    path = path_in(check_tmpdir(), "logs");
    CHECK_OK(env_make_directory(env_real(), path, &err), err);
    write_file(path, "batch-0000000000000001.log", STR("x"));
    CHECK_EQ(checkpoint_open(env_real(), path, &wanted, &checkpoint, &err), STATUS_INVALID);
    free(path);
}

TEST(a_directory_that_cannot_be_written_says_so) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    FaultPlan *plan;
    REQUIRE(CHECK_OK(fault_plan_parse(STR("open@1=EROFS"), &plan, &err), err));
    Env *env = env_faulty_create(env_real(), plan);
    CHECK_EQ(checkpoint_open(env, check_tmpdir(), &wanted, &checkpoint, &err), STATUS_IO);
    CHECK(strstr(err.message, "cannot be written") && strstr(err.message, check_tmpdir()));
    env_faulty_destroy(env);
    free(plan);
}

TEST(every_truncation_and_every_flipped_bit_of_the_identity_is_refused) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    REQUIRE(CHECK_OK(checkpoint_open(env_real(), check_tmpdir(), &wanted, &checkpoint, &err), err));
    checkpoint_close(checkpoint);
    char *path = path_in(check_tmpdir(), "checkpoint");
    Text text = {0};
    CHECK_OK(env_read_file(env_real(), path, 4096, &text, &err), err);
    free(path);
    uint64_t rounds = 0;
    for (size_t size = 0; size < text.size; size++, rounds++) {
        write_file(check_tmpdir(), "checkpoint", str_slice(text.data, size));
        CHECK_EQ(checkpoint_open_read_only(env_real(), check_tmpdir(), &checkpoint, &err), STATUS_CORRUPT);
    }
    for (size_t bit = 0; bit < text.size * 8; bit++, rounds++) {
        text.data[bit / 8] ^= (char)(1 << bit % 8);
        write_file(check_tmpdir(), "checkpoint", text_str(&text));
        Status st = checkpoint_open_read_only(env_real(), check_tmpdir(), &checkpoint, &err);
        /* A flip that makes the version another number reads as a newer format. */
        CHECK(st == STATUS_CORRUPT || (st == STATUS_UNSUPPORTED && bit / 8 == strlen("leat-checkpoint ")));
        text.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    printf("    identity: %" PRIu64 " rounds, all refused\n", rounds);
    write_file(check_tmpdir(), "checkpoint", STR("leat-checkpoint 2\nother=1\n"));
    CHECK_EQ(checkpoint_open_read_only(env_real(), check_tmpdir(), &checkpoint, &err), STATUS_UNSUPPORTED);
    text_deinit(&text);
}

/* ---- sweeps: all or nothing, and the next start works ---- */

static Status script(Env *env, void *user, Error *err) {
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    for (int i = 0; i < 2; i++) {
        TRY(checkpoint_open(env, user, &wanted, &checkpoint, err));
        checkpoint_close(checkpoint);
    }
    return STATUS_OK;
}

static void script_prepare(void *user) {
    const char *const names[] = {"checkpoint", "checkpoint.tmp", "lock"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = path_in(user, names[i]);
        Status ignored = env_remove(env_real(), path, NULL);
        (void)ignored;
        free(path);
    }
    Status ignored = env_remove(env_real(), user, NULL);
    (void)ignored;
}

static bool script_check(const SweepRound *round, void *user) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    bool exists = false;
    bool holds = CHECK_OK(checkpoint_exists(env_real(), user, &exists, &err), err);
    if (round->status == STATUS_OK && !round->was_killed)
        holds = CHECK(exists) && holds;
    char id[33] = "";
    if (exists && CHECK_OK(checkpoint_open_read_only(env_real(), user, &checkpoint, &err), err)) {
        memcpy(id, checkpoint_identity(checkpoint)->id, sizeof id);
        checkpoint_close(checkpoint);
    }
    if (!CHECK_OK(checkpoint_open(env_real(), user, &wanted, &checkpoint, &err), err))
        return false;
    holds = CHECK(checkpoint_is_new(checkpoint) == !exists) && holds;
    holds = CHECK(!exists || strcmp(id, checkpoint_identity(checkpoint)->id) == 0) && holds;
    checkpoint_close(checkpoint);
    return holds;
}

TEST(an_end_or_an_error_anywhere_leaves_all_or_nothing) {
    char *directory = path_in(check_tmpdir(), "swept");
    SweepJob job = {.prepare = script_prepare, .run = script, .check = script_check, .user = directory};
    SweepCounts counts = sweep_kill(&job);
    CHECK(counts.calls > 10 && counts.unreached == 0);
    counts = sweep_errno(&job, "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 10 && counts.unreached == 0);
    free(directory);
}

TEST(the_new_directory_and_the_identity_are_made_durable) {
    Error err = {0};
    CheckpointIdentity wanted = wanted_identity();
    Checkpoint *checkpoint;
    Text trace = {0}, kinds = {0};
    Env *env = env_faulty_create(env_real(), NULL);
    env_faulty_trace(env, &trace);
    char *directory = path_in(check_tmpdir(), "new");
    CHECK_OK(checkpoint_open(env, directory, &wanted, &checkpoint, &err), err);
    checkpoint_close(checkpoint);
    Str rest = text_str(&trace), line, number, kind;
    while (leat_str_next_line(&rest, &line))
        if (leat_str_split(&line, ' ', &number) && leat_str_split(&line, ' ', &kind))
            text_appendf(&kinds, "%.*s ", STR_ARG(kind));
    CHECK(strstr(kinds.data, "mkdir ") && strstr(kinds.data, "syncdir random") &&
          strstr(kinds.data, "write sync rename syncdir "));
    env_faulty_destroy(env);
    free(directory);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST_MAIN()
