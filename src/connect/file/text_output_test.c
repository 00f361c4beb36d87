/* A directory of text files for every batch: what is in it, and that it is whole or not there at all. */
#include "connect/file/text_output.h"

#include "column/builder.h"
#include "env/env_real.h"
#include "env/env_sim.h"
#include "leat/leat.h"
#include "check.h"
#include "sweep.h"

#include <stdlib.h>

enum { PARTITIONS = 3, TIME_MS = 7000, WORLD_BYTES = 1 << 24 };

/* ---- batches ---- */

typedef struct Made {
    Arena *arena;
    Schema *schema;
    BatchData data;
} Made;

/* Pairs (k<i>, add + i), dealt to partitions; the second one is empty. */
static Made make_batch(int row_count, int64_t add) {
    Made made = {.arena = arena_create(NULL, "test")};
    Error err = {0};
    REQUIRE(schema_parse(made.arena, STR("k STRING, n BIGINT"), 1, &made.schema, &err) == STATUS_OK);
    made.data = (BatchData){.schema = made.schema,
                            .partitions = calloc(PARTITIONS, sizeof(BatchPartition)),
                            .partition_count = PARTITIONS,
                            .row_count = (uint64_t)row_count};
    Builder *builder;
    REQUIRE(builder_create(made.schema, NULL, "test", &builder, &err) == STATUS_OK);
    for (int i = 0; i < row_count; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d", i);
        CHECK_OK(builder_put_str(builder, 0, str_from(key), &err), err);
        CHECK_OK(builder_put_i64(builder, 1, add + i, &err), err);
        builder_end_row(builder);
        if (!builder_is_full(builder) && i + 1 < row_count && i != row_count / 2)
            continue;
        Chunk chunk;
        SharedChunk *shared;
        builder_chunk(builder, &chunk);
        CHECK_OK(chunk_share(&chunk, NULL, "test", &shared, &err), err);
        batch_partition_add(&made.data.partitions[i <= row_count / 2 ? 0 : 2], shared);
        builder_reset(builder);
    }
    builder_destroy(builder);
    return made;
}

static void made_deinit(Made *made) {
    batch_data_deinit(&made->data);
    arena_destroy(made->arena);
}

static Status save_batch(Env *env, const char *prefix, const char *suffix, int row_count, int64_t add,
                         Error *err) {
    Made made = make_batch(row_count, add);
    Output *output = text_output_create(made.schema, prefix, suffix);
    Status st = output->class->run(output, env, &made.data, TIME_MS, err);
    output->class->destroy(output);
    made_deinit(&made);
    return st;
}

/* ---- looking ---- */

static void append_file(Env *env, const char *directory, const char *name, Text *out) {
    char *path = env_path_join(directory, name);
    if (env_read_file(env, path, 1 << 24, out, NULL) != STATUS_OK)
        text_append(out, STR("(missing)"));
    free(path);
}

/* All parts one behind the other; "(none)" without a directory. */
static void saved_text(Env *env, const char *directory, Text *out) {
    EnvFileInfo info;
    text_reset(out);
    if (env_path_info(env, directory, &info, NULL) != STATUS_OK) {
        text_append(out, STR("(none)"));
        return;
    }
    for (int p = 0; p < PARTITIONS; p++) {
        char name[32];
        snprintf(name, sizeof name, "part-%05d", p);
        append_file(env, directory, name, out);
    }
    append_file(env, directory, "_SUCCESS", out);
}

static void wanted_text(int row_count, int64_t add, Text *out) {
    text_reset(out);
    for (int i = 0; i < row_count; i++)
        text_appendf(out, "(k%d,%d)\n", i, (int)add + i);
}

static int count_names(Env *env, const char *directory) {
    EnvDir *dir;
    const char *name;
    int count = 0;
    Error err = {0};
    if (!CHECK_OK(env_dir_open(env, directory, &dir, &err), err))
        return -1;
    while (env_dir_next(env, dir, &name, &err) == STATUS_OK && name)
        count++;
    env_dir_close(env, dir);
    return count;
}

/* `directory`, in `parent`, holds so many rows, and nothing else lies beside it. */
static void check_saved(const char *parent, const char *name, int row_count, int64_t add) {
    Env *env = env_real();
    char *directory = env_path_join(parent, name);
    Text found = {0}, wanted = {0};
    saved_text(env, directory, &found);
    wanted_text(row_count, add, &wanted);
    CHECK_STR(found.data, wanted.data ? wanted.data : "");
    CHECK_EQ(count_names(env, directory), PARTITIONS + 1);
    CHECK_EQ(count_names(env, parent), 1);
    text_deinit(&found);
    text_deinit(&wanted);
    free(directory);
}

TEST(a_batch_is_a_directory) {
    static const struct {
        const char *prefix, *suffix, *parent, *name;
    } places[] = {
        {"a/counts", "txt", "a", "counts-7000.txt"},
        {"b/counts", NULL, "b", "counts-7000"},
        {"c/deeper/", "", "c/deeper", "-7000"},
        {"d/x.y", "tar.gz", "d", "x.y-7000.tar.gz"},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        Error err = {0};
        char *prefix = env_path_join(check_tmpdir(), places[i].prefix);
        char *parent = env_path_join(check_tmpdir(), places[i].parent);
        CHECK_OK(save_batch(env_real(), prefix, places[i].suffix, 10, 0, &err), err);
        check_saved(parent, places[i].name, 10, 0);
        /* Given again, with other rows: a program that was changed meanwhile. */
        CHECK_OK(save_batch(env_real(), prefix, places[i].suffix, 5000, 100, &err), err);
        check_saved(parent, places[i].name, 5000, 100);
        CHECK_OK(save_batch(env_real(), prefix, places[i].suffix, 0, 0, &err), err);
        check_saved(parent, places[i].name, 0, 0);
        free(prefix);
        free(parent);
    }
}

TEST(a_large_part_is_written_in_pieces) {
    Error err = {0};
    char *prefix = env_path_join(check_tmpdir(), "large/n");
    char *parent = env_path_join(check_tmpdir(), "large");
    CHECK_OK(save_batch(env_real(), prefix, "", 100000, 0, &err), err);
    check_saved(parent, "n-7000", 100000, 0);
    free(prefix);
    free(parent);
}

TEST(what_is_not_ours_is_left_alone) {
    Env *env = env_real();
    Error err = {0};
    char *prefix = env_path_join(check_tmpdir(), "n");
    char *directory = env_path_join(check_tmpdir(), "n-7000");
    char *foreign = env_path_join(directory, "thesis.tex");
    CHECK_OK(save_batch(env, prefix, "", 3, 0, &err), err);
    CHECK_OK(env_write_file_atomically(env, foreign, STR("years"), &err), err);
    CHECK_EQ(save_batch(env, prefix, "", 4, 0, &err), STATUS_EXISTS);
    CHECK(strstr(err.message, "n-7000: holds 'thesis.tex', which is none of its files") != NULL);
    Text text = {0};
    CHECK_OK(env_read_file(env, foreign, 100, &text, &err), err);
    CHECK_STR(text.data, "years");
    saved_text(env, directory, &text);
    CHECK_STR(text.data, "(k0,0)\n(k1,1)\n(k2,2)\n");
    text_deinit(&text);
    free(prefix);
    free(directory);
    free(foreign);
}

/* ---- faults: whole or not there ---- */

enum { ROWS_BEFORE = 20, ROWS_AFTER = 3000 };

static char *sweep_path(const char *name) {
    return env_path_join(check_tmpdir(), name);
}

static void prepare_old(void *user) {
    (void)user;
    Error err = {0};
    char *prefix = sweep_path("out/n");
    CHECK_OK(save_batch(env_real(), prefix, "", ROWS_BEFORE, 1, &err), err);
    free(prefix);
}

static Status replace_old(Env *env, void *user, Error *err) {
    (void)user;
    char *prefix = sweep_path("out/n");
    Status st = save_batch(env, prefix, "", ROWS_AFTER, 2, err);
    free(prefix);
    return st;
}

/* The old batch, the new one, or none; and then the batch can be given again. */
static bool check_whole(const SweepRound *round, void *user) {
    (void)user;
    Text found = {0}, before = {0}, after = {0};
    char *parent = sweep_path("out"), *directory = sweep_path("out/n-7000");
    saved_text(env_real(), directory, &found);
    wanted_text(ROWS_BEFORE, 1, &before);
    wanted_text(ROWS_AFTER, 2, &after);
    bool is_new = strcmp(found.data, after.data) == 0;
    bool is_right = CHECK(is_new || (strcmp(found.data, before.data) == 0) || !strcmp(found.data, "(none)"));
    if (!round->was_killed && round->status == STATUS_OK)
        is_right &= CHECK(is_new);
    Error err = {0};
    is_right &= CHECK_OK(replace_old(env_real(), NULL, &err), err);
    check_saved(parent, "n-7000", ROWS_AFTER, 2);
    text_deinit(&found);
    text_deinit(&before);
    text_deinit(&after);
    free(parent);
    free(directory);
    return is_right;
}

TEST(a_directory_is_whole_or_not_there_after_an_end_or_a_fault_at_every_call) {
    SweepJob job = {.prepare = prepare_old, .run = replace_old, .check = check_whole};
    SweepCounts counts = sweep_kill(&job);
    CHECK(counts.calls > 20 && counts.unreached == 0);
    counts = sweep_errno(&job, "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 20 && counts.unreached == 0 && counts.refused > 0);
}

/* ---- power cuts ---- */

typedef struct Seen {
    char text[200];
} Seen;

static int save_first(Env *env, void *user) {
    (void)user;
    return save_batch(env, "out/n", "", 4, 1, NULL) != STATUS_OK;
}
static int save_second(Env *env, void *user) {
    (void)user;
    return save_batch(env, "out/n", "", 6, 2, NULL) != STATUS_OK;
}
static int look(Env *env, void *user) {
    Text text = {0};
    saved_text(env, "out/n-7000", &text);
    snprintf(((Seen *)user)->text, sizeof((Seen *)user)->text, "%s", text.data);
    text_deinit(&text);
    return 0;
}

TEST(a_directory_is_whole_or_not_there_after_a_power_cut_behind_every_sync) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    Text before = {0}, after = {0};
    wanted_text(4, 1, &before);
    wanted_text(6, 2, &after);
    int cuts = 0;
    uint64_t seed_count = getenv("LEAT_TEST_LONG") ? 5 : 1;
    for (uint64_t seed = 1; seed <= seed_count; seed++)
        for (int crash = SIM_CRASH_ALL_LOST; crash < SIM_CRASH_COUNT; crash++) {
            SimEnd end = SIM_KILLED;
            for (uint64_t sync = 1; end == SIM_KILLED; sync++, cuts++) {
                Random random;
                random_init(&random, seed * 1000 + sync);
                sim_world_reset(world, seed);
                Seen *seen = sim_world_alloc(world, sizeof *seen);
                int code = 1;
                CHECK_EQ(sim_process_run(world, (SimOptions){0}, save_first, NULL, &code), SIM_RETURNED);
                CHECK_EQ(code, 0);
                end = sim_process_run(world, (SimOptions){.end_behind_sync = sync}, save_second, NULL, &code);
                sim_world_crash(world, (SimCrash)crash, &random);
                CHECK_EQ(sim_process_run(world, (SimOptions){0}, look, seen, NULL), SIM_RETURNED);
                bool is_after = strcmp(seen->text, after.data) == 0;
                bool is_whole = is_after || !strcmp(seen->text, before.data) || !strcmp(seen->text, "(none)");
                if (!CHECK(is_whole) || !CHECK(end == SIM_KILLED || is_after))
                    printf("    %s, sync %d, seed %d: %s\n", sim_crash_name((SimCrash)crash), (int)sync,
                           (int)seed, seen->text);
            }
        }
    CHECK(cuts > 20);
    text_deinit(&before);
    text_deinit(&after);
    sim_world_destroy(world);
}

/* ---- as a program has it ---- */

static bool two_batches(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)user;
    for (int i = 0; batch_time_ms == 1000 && i < 4; i++) {
        leat_out_str(out, 0, leat_str(i % 2 ? "it's" : "b"));
        leat_out_emit(out);
    }
    return batch_time_ms <= 2000;
}

TEST(a_program_saves_empty_batches_too) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_set(ctx, "partitions", "1");
    char *prefix = sweep_path("counts");
    LeatStream *words = leat_function_stream(ctx, "word STRING", two_batches, NULL);
    LeatStream *counts = leat_reduce_by_key(leat_map(words, leat_pair_with_i64(1)), leat_sum());
    leat_save_as_text_files(leat_sort_by(counts, "word"), prefix, "txt");
    leat_save_as_text_files(words, prefix, NULL);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_STR(leat_error(ctx), "");
    Text text = {0};
    char *sorted = sweep_path("counts-1000.txt"), *plain = sweep_path("counts-1000");
    char *empty = sweep_path("counts-2000"), *none = sweep_path("counts-3000");
    append_file(env_real(), sorted, "part-00000", &text);
    CHECK_STR(text.data, "(b,2)\n(it's,2)\n");
    text_reset(&text);
    append_file(env_real(), plain, "part-00000", &text);
    CHECK_STR(text.data, "b\nit's\nb\nit's\n");
    CHECK_EQ(count_names(env_real(), empty), 1); /* _SUCCESS: an empty batch has no partition here */
    saved_text(env_real(), none, &text);
    CHECK_STR(text.data, "(none)");
    leat_context_destroy(ctx);
    text_deinit(&text);
    free(prefix);
    free(sorted);
    free(plain);
    free(empty);
    free(none);
}

/* A program with a checkpoint, up to `time_ms`; a new one each time. */
static void run_program(const char *checkpoint, const char *prefix, int64_t time_ms, const char *error) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_checkpoint(ctx, checkpoint);
    LeatStream *words = leat_function_stream(ctx, "word STRING", two_batches, NULL);
    leat_save_as_text_files(leat_sort_by(words, "word"), prefix, "");
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, time_ms);
    if (!error[0] || !strstr(leat_error(ctx), error))
        CHECK_STR(leat_error(ctx), error);
    leat_context_destroy(ctx);
}

TEST(a_batch_that_could_not_be_saved_is_saved_at_the_next_start) {
    Env *env = env_real();
    Error err = {0};
    char *checkpoint = sweep_path("checkpoint"), *parent = sweep_path("out"), *prefix = sweep_path("out/w");
    char *first = sweep_path("out/w-1000"), *second = sweep_path("out/w-2000");
    CHECK_OK(env_write_file_atomically(env, parent, STR("in the way"), &err), err);
    run_program(checkpoint, prefix, 1000, "leat_save_as_text_files: batch 1000 ms: ");
    CHECK_OK(env_remove(env, parent, &err), err);
    run_program(checkpoint, prefix, 2000, "");
    Text text = {0};
    append_file(env, first, "part-00000", &text);
    CHECK_STR(text.data, "b\nb\nit's\nit's\n");
    text_reset(&text);
    append_file(env, second, "part-00000", &text);
    CHECK_EQ(text.size, 0);
    CHECK_EQ(count_names(env, second), 2); /* a sort gives one partition, _SUCCESS */
    text_deinit(&text);
    free(checkpoint);
    free(parent);
    free(prefix);
    free(first);
    free(second);
}

TEST(mistakes_are_named_with_the_call) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    LeatStream *words = leat_function_stream(ctx, "word STRING", two_batches, NULL);
    leat_save_as_text_files(NULL, "a", "b");
    CHECK_STR(leat_error(ctx), "");
    leat_save_as_text_files(words, "a", "b/c");
    CHECK_STR(leat_error(ctx), "leat_save_as_text_files: the suffix 'b/c' has a '/'");
    leat_context_destroy(ctx);
}

TEST_MAIN()
