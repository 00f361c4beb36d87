/* Which files a batch takes, rule by rule, over restarts too. */
#include "connect/file/file_source.h"

#include "source_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { START_MS = 1000000, INTERVAL_MS = 1000 };

typedef struct Bench {
    SourceServices services;
    Source *source;
    Lines lines; /* of the last batch */
    Text plan;   /* of the last batch */
} Bench;

static void in(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", check_tmpdir(), name);
}

static void touch(const char *name, int64_t modified_ms) {
    char path[500];
    struct timespec times[2] = {{.tv_sec = modified_ms / 1000, .tv_nsec = modified_ms % 1000 * 1000000}};
    times[1] = times[0];
    in(name, path, sizeof path);
    REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void make_file(const char *name, const char *text, int64_t modified_ms) {
    char path[500];
    in(name, path, sizeof path);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
    touch(name, modified_ms);
}

static void make_directory(const char *name) {
    char path[500];
    in(name, path, sizeof path);
    REQUIRE(mkdir(path, 0700) == 0);
}

static void open_source(Bench *bench, FileSourceOptions options) {
    Error err = {0};
    bench->services = (SourceServices){.env = env_real(),
                                       .interval_ms = INTERVAL_MS,
                                       .now_ms = START_MS,
                                       .first_now_ms = START_MS,
                                       .is_manual_clock = true,
                                       .line_size_bytes_max = LINE_SIZE_MAX,
                                       .split_count = bench->services.split_count};
    char directory[500];
    in(options.directory ? options.directory : "", directory, sizeof directory);
    options.directory = directory;
    bench->source = file_source_create(options);
    bench->source->id = "file#0";
    REQUIRE(CHECK_OK(bench->source->class->open(bench->source, &bench->services, &err), err));
    REQUIRE(CHECK_OK(bench->source->class->start(bench->source, &err), err));
}

static void close_source(Bench *bench) {
    bench->source->class->close(bench->source);
    bench->source->class->destroy(bench->source);
    lines_deinit(&bench->lines);
    text_deinit(&bench->plan);
}

/* The lines of the batch, as "a b c ". */
static const char *batch(Bench *bench, int64_t time_ms) {
    Error err = {0};
    SplitList splits = {0};
    bool has_batch = false;
    const SourceClass *class = bench->source->class;
    lines_deinit(&bench->lines);
    text_reset(&bench->plan);
    REQUIRE(CHECK_OK(class->plan(bench->source, time_ms, &bench->plan, &has_batch, &err), err));
    CHECK(has_batch);
    REQUIRE(CHECK_OK(class->read(bench->source, time_ms, text_str(&bench->plan), &splits, &err), err));
    REQUIRE(CHECK_OK(lines_read(&splits, NULL, &bench->lines, &err), err));
    split_list_deinit(&splits);
    class->done(bench->source, time_ms);
    for (size_t i = 0; i < bench->lines.text.size; i++)
        if (bench->lines.text.data[i] == '\n')
            bench->lines.text.data[i] = ' ';
    return text_str(&bench->lines.text).data;
}

/* The batch of that time has these lines. (CHECK_STR asks for its arguments twice.) */
#define CHECK_BATCH(time_ms, text)                 \
    do {                                           \
        const char *got_ = batch(&bench, time_ms); \
        CHECK_STR(got_, text);                     \
    } while (0)

/* ---- the rules ---- */

TEST(only_names_that_the_filter_takes) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file(".hidden", "hidden\n", START_MS + 10);
    make_file("_kept", "kept\n", START_MS + 10);
    CHECK_BATCH(START_MS + 1000, "kept ");
    close_source(&bench);
}

static bool ends_in_txt(const char *name, void *user) {
    ++*(int *)user;
    return str_ends_with(str_from(name), STR(".txt"));
}

TEST(a_filter_of_the_user) {
    Bench bench = {0};
    int calls = 0;
    open_source(&bench, (FileSourceOptions){.filter = ends_in_txt, .user = &calls});
    make_file(".a.txt", "a\n", START_MS + 10);
    make_file("b.tmp", "b\n", START_MS + 10);
    CHECK_BATCH(START_MS + 1000, "a ");
    CHECK_EQ(calls, 2);
    close_source(&bench);
}

TEST(modified_after_the_start_and_not_at_it) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file("before", "before\n", START_MS - 1);
    make_file("equal", "equal\n", START_MS);
    make_file("after", "after\n", START_MS + 1);
    CHECK_BATCH(START_MS + 1000, "after ");
    CHECK_BATCH(START_MS + 2000, "");
    close_source(&bench);
}

TEST(existing_files_are_those_younger_than_the_window) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){.existing_files = true, .remember_ms = 2500}); /* W: 3000 */
    make_file("old", "old\n", START_MS + 1000 - 3000);
    make_file("young", "young\n", START_MS + 1000 - 3000 + 1);
    CHECK_BATCH(START_MS + 1000, "young ");
    close_source(&bench);
}

TEST(files_from_the_future_wait) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file("now", "now\n", START_MS + 1000);
    make_file("soon", "soon\n", START_MS + 1001);
    make_file("later", "later\n", START_MS + 2000);
    CHECK_BATCH(START_MS + 1000, "now ");
    CHECK_BATCH(START_MS + 2000, "soon later ");
    CHECK_BATCH(START_MS + 3000, "");
    close_source(&bench);
}

TEST(times_are_compared_in_whole_milliseconds) {
    Bench bench = {0};
    char path[500];
    struct timespec times[2] = {
        {.tv_sec = START_MS / 1000, .tv_nsec = 999999}}; /* less than 1 ms after the start */
    times[1] = times[0];
    open_source(&bench, (FileSourceOptions){0});
    make_file("a", "a\n", START_MS);
    in("a", path, sizeof path);
    REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
    CHECK_BATCH(START_MS + 1000, "");
    close_source(&bench);
}

TEST(a_file_that_is_touched_comes_again_when_it_is_forgotten) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){.remember_ms = 3000});
    make_file("b", "b\n", START_MS + 100);
    CHECK_BATCH(START_MS + 500, "b "); /* forgotten before a */
    make_file("a", "a\n", START_MS + 600);
    CHECK_BATCH(START_MS + 1000, "a ");
    touch("a", START_MS + 1500);
    CHECK_BATCH(START_MS + 2000, "");
    touch("a", START_MS + 4000);
    CHECK_BATCH(START_MS + 4000, ""); /* taken at 1000 = 4000 - W: still remembered */
    CHECK_BATCH(START_MS + 5000, "a ");
    CHECK_BATCH(START_MS + 6000, "");
    close_source(&bench);
}

TEST(files_are_in_the_order_of_time_and_path) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file("a", "third\n", START_MS + 20);
    make_file("c", "second\n", START_MS + 10);
    make_file("b", "first\n", START_MS + 10);
    CHECK_BATCH(START_MS + 1000, "first second third ");
    Text described = {0};
    bench.source->class->describe_plan(text_str(&bench.plan), &described);
    CHECK(str_starts_with(text_str(&described), STR("3 files: /")));
    CHECK(str_ends_with(text_str(&described), STR("/a (6 bytes)")));
    text_deinit(&described);
    close_source(&bench);
}

TEST(directories_are_listed_one_level_deep) {
    Bench bench = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_directory("sub");
    make_file("sub/deep", "deep\n", START_MS + 10);
    touch("sub", START_MS + 10);
    make_file("a", "a\n", START_MS + 10);
    char path[500], to[500];
    in("link", path, sizeof path);
    in("nothing", to, sizeof to);
    REQUIRE(symlink(to, path) == 0);
    CHECK_BATCH(START_MS + 1000, "a ");
    close_source(&bench);
}

TEST(a_glob_names_directories) {
    Bench bench = {0};
    make_directory("log-1");
    make_directory("log-2");
    make_directory("log-2/in");
    make_directory("other");
    make_directory(".log-3");
    make_file("log-x", "a file that looks like a directory\n", START_MS + 10);
    make_file("log-1/a", "a\n", START_MS + 10);
    make_file("log-2/b", "b\n", START_MS + 20);
    make_file("log-2/in/c", "c\n", START_MS + 20);
    make_file("other/d", "d\n", START_MS + 20);
    make_file(".log-3/e", "e\n", START_MS + 30);
    open_source(&bench, (FileSourceOptions){.directory = "log-*"});
    CHECK_BATCH(START_MS + 1000, "a b ");
    make_directory("log-4"); /* one that comes later */
    make_file("log-4/f", "f\n", START_MS + 1010);
    CHECK_BATCH(START_MS + 2000, "f ");
    close_source(&bench);
    open_source(&bench, (FileSourceOptions){.directory = "*/in"});
    CHECK_BATCH(START_MS + 1000, "c ");
    close_source(&bench);
    open_source(&bench, (FileSourceOptions){.directory = ".l?g-[3]/"});
    CHECK_BATCH(START_MS + 1000, "e ");
    close_source(&bench);
}

TEST(a_directory_that_cannot_be_listed_gives_an_empty_batch) {
    Bench bench = {0};
    log_capture();
    open_source(&bench, (FileSourceOptions){.directory = "missing"});
    CHECK_BATCH(START_MS + 1000, "");
    CHECK(log_has("WARN  file LIST-FAILED files in /") && log_has("missing"));
    CHECK_BATCH(START_MS + 2000, "");
    CHECK_EQ(log_line_count(), 1); /* said once a minute */
    CHECK_BATCH(START_MS + 61000, "");
    CHECK_EQ(log_line_count(), 2);
    make_directory("missing");
    make_file("missing/a", "a\n", START_MS + 61500); /* older than the last batches: still in the window */
    CHECK_BATCH(START_MS + 62000, "a ");
    text_deinit(&logged);
    close_source(&bench);
}

TEST(what_is_appended_after_the_plan_is_not_read) {
    Bench bench = {0};
    Error err = {0};
    SplitList splits = {0};
    Lines lines = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file("a", "a\n", START_MS + 10);
    CHECK_BATCH(START_MS + 1000, "a ");
    make_file("a", "a\nb\n", START_MS + 1010);
    CHECK_BATCH(START_MS + 2000, "");
    make_file("b", "b\nc\n", START_MS + 2010);
    CHECK_BATCH(START_MS + 3000, "b c ");
    make_file("b", "b\n", START_MS + 2010);
    CHECK_OK(bench.source->class->read(bench.source, 3000, text_str(&bench.plan), &splits, &err), err);
    CHECK_EQ(lines_read(&splits, NULL, &lines, &err), STATUS_IO);
    split_list_deinit(&splits);
    lines_deinit(&lines);
    close_source(&bench);
}

TEST(splits_of_any_number_give_the_same_lines) {
    for (uint32_t split_count = 0; split_count < 20; split_count++) {
        Bench bench = {.services.split_count = split_count};
        open_source(&bench, (FileSourceOptions){0});
        make_file("a", "a\r\nbb\rc", START_MS + 10);
        make_file("b", "", START_MS + 11);
        make_file("c", "\nd\n", START_MS + 12);
        CHECK_BATCH(START_MS + 1000, "a bb c  d ");
        CHECK(bench.lines.splits >= 3 && bench.lines.splits <= 3 + split_count);
        close_source(&bench);
    }
}

/* ---- restarts ---- */

TEST(a_restart_goes_on_with_what_was_saved_or_replayed) {
    for (unsigned with_save = 0; with_save < 2; with_save++) {
        Bench bench = {0};
        Error err = {0};
        Text saved = {0}, plan = {0};
        make_file("before", "before\n", START_MS - 10);
        open_source(&bench, (FileSourceOptions){0});
        make_file("a", "a\n", START_MS + 10);
        CHECK_BATCH(START_MS + 1000, "a ");
        text_append(&plan, text_str(&bench.plan));
        bench.source->class->save(bench.source, &saved);
        close_source(&bench);

        make_file("down", "down\n", START_MS + 1500); /* while nothing ran */
        bench = (Bench){0};
        open_source(&bench, (FileSourceOptions){0});
        bench.services.now_ms = START_MS + 5000;
        const SourceClass *class = bench.source->class;
        if (with_save)
            CHECK_OK(class->restore(bench.source, text_str(&saved), &err), err);
        else
            CHECK_OK(class->replay(bench.source, START_MS + 1000, text_str(&plan), &err), err);
        CHECK_BATCH(START_MS + 2000, "down ");
        /* The batch that was planned before gives the same lines again. */
        SplitList splits = {0};
        Lines lines = {0};
        CHECK_OK(class->read(bench.source, START_MS + 1000, text_str(&plan), &splits, &err), err);
        CHECK_OK(lines_read(&splits, NULL, &lines, &err), err);
        CHECK_STR(lines.text.data, "a\n");
        split_list_deinit(&splits);
        lines_deinit(&lines);
        text_deinit(&saved);
        text_deinit(&plan);
        close_source(&bench);
        char path[500];
        in("down", path, sizeof path);
        unlink(path);
    }
}

TEST(bytes_that_are_no_plan_are_refused) {
    Bench bench = {0};
    Error err = {0};
    Text hostile = {0}, described = {0}, saved = {0};
    open_source(&bench, (FileSourceOptions){0});
    make_file("a", "aaaaaaa\n", START_MS + 10);
    make_file("b", "bb\n", START_MS + 10);
    CHECK_BATCH(START_MS + 1000, "aaaaaaa bb ");
    bench.source->class->save(bench.source, &saved);
    const SourceClass *class = bench.source->class;
    for (size_t bit = 0; bit < 8 * bench.plan.size; bit++) {
        SplitList splits = {0};
        Lines lines = {0};
        text_reset(&hostile);
        text_append(&hostile, text_str(&bench.plan));
        hostile.data[bit / 8] ^= (char)(1 << bit % 8);
        if (class->read(bench.source, 0, text_str(&hostile), &splits, &err) == STATUS_OK) {
            if (splits.count < 100)
                (void)!lines_read(&splits, NULL, &lines, &err);
        } else {
            CHECK_EQ(err.status, STATUS_CORRUPT);
        }
        split_list_deinit(&splits);
        lines_deinit(&lines);
        class->describe_plan(text_str(&hostile), &described);
        hostile.size = bit / 8;
        CHECK_EQ(class->read(bench.source, 0, text_str(&hostile), &splits, &err), STATUS_CORRUPT);
        CHECK_EQ(class->replay(bench.source, 0, text_str(&hostile), &err), STATUS_CORRUPT);
        split_list_deinit(&splits);
    }
    for (size_t size = 0; size < saved.size; size++)
        CHECK_EQ(class->restore(bench.source, str_slice(saved.data, size), &err), STATUS_CORRUPT);
    text_deinit(&hostile);
    text_deinit(&described);
    text_deinit(&saved);
    close_source(&bench);
}

TEST_MAIN()
