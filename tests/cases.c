/* cases.c - see cases.h. */
#include "cases.h"

#include <stdlib.h>

static uint64_t random_state;

static int random_below(int limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)limit);
}

/* ---- rows ---- */

/* Puts one field, cut to the size it says, into the column. */
static void put_field(LeatOut *out, uint32_t column, const char *type, LeatStr field) {
    char text[64];
    if (leat_str_equal(field, leat_str("NULL"))) {
        leat_out_null(out, column);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)field.size, field.data);
    if (strncmp(type, "BIGINT", 6) == 0)
        leat_out_i64(out, column, atoll(text));
    else if (strncmp(type, "DOUBLE", 6) == 0)
        leat_out_f64(out, column, atof(text));
    else if (strncmp(type, "BOOLEAN", 7) == 0)
        leat_out_bool(out, column, text[0] == 't');
    else
        leat_out_str(out, column, field);
}

static void put_row(LeatOut *out, const char *schema, const char *row) {
    LeatStr rest = leat_str(row), field = rest;
    bool is_single = !strchr(schema, ',');
    uint32_t column = 0;
    for (const char *at = schema; at; at = strchr(at, ','), at += at ? 2 : 0) {
        if (!is_single)
            leat_str_split(&rest, ',', &field);
        put_field(out, column++, strchr(at, ' ') + 1, field);
    }
    leat_out_emit(out);
}

bool feed_rows(int64_t batch_time_ms, LeatOut *out, void *user) {
    const Feed *feed = user;
    int64_t index = batch_time_ms / 1000 - 1;
    if (index >= BATCHES_MAX || !feed->batches[index].has_batch)
        return false;
    for (int i = 0; i < feed->batches[index].row_count; i++)
        put_row(out, feed->schema, feed->batches[index].rows[i]);
    return true;
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *normal_form(const char *text, bool is_set) {
    enum { LINES_MAX = 256 };
    char *copy = strdup(text), *lines[LINES_MAX];
    size_t count = 0;
    if (!is_set)
        return copy;
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        REQUIRE(count < LINES_MAX);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    char *sorted = calloc(1, strlen(text) + 1);
    for (size_t i = 0; i < count; i++)
        strcat(strcat(sorted, lines[i]), "\n");
    free(copy);
    return sorted;
}

/* ---- settings ---- */

typedef struct Setting {
    int workers, partitions, splits; /* 0: the default */
    bool one_row_chunks, constant_hash, restarts;
    int memory_kib; /* 0: the default; else it may be too little */
} Setting;

void number_option(LeatContext *ctx, const char *name, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    if (value)
        leat_set(ctx, name, text);
}

typedef struct Run {
    LeatContext *ctx;
    LeatCollector *collector;
} Run;

static int directory_count;

static void new_directory(char *path, size_t size) {
    snprintf(path, size, "%s/checkpoint-%d", check_tmpdir(), directory_count++);
}

static Run open_run(const Case *c, Setting s, const char *directory) {
    Run run = {.ctx = leat_context_create(c->name, leat_seconds(1))};
    leat_context_set_manual_clock(run.ctx);
    if (directory)
        leat_checkpoint(run.ctx, directory);
    if (s.workers)
        leat_workers(run.ctx, s.workers);
    number_option(run.ctx, "partitions", s.partitions);
    number_option(run.ctx, "test-splits", s.splits);
    number_option(run.ctx, "test-chunk-rows", s.one_row_chunks);
    number_option(run.ctx, "memory", s.memory_kib * 1024);
    if (s.constant_hash)
        leat_set(run.ctx, "test-constant-hash", "true");
    LeatStream *inputs[INPUTS_MAX] = {0};
    for (int i = 0; i < INPUTS_MAX && c->feeds[i].schema; i++)
        inputs[i] = leat_function_stream(run.ctx, c->feeds[i].schema, feed_rows, (void *)&c->feeds[i]);
    run.collector = leat_collect(c->build ? c->build(inputs) : c->build_in(run.ctx, inputs));
    int code = leat_start(run.ctx);
    if (s.memory_kib ? code != LEAT_EXIT_OK && code != LEAT_EXIT_OS : code != LEAT_EXIT_OK) {
        CHECK_EQ(code, LEAT_EXIT_OK);
        printf("    %s\n", leat_error(run.ctx));
    }
    return run;
}

/* What was collected for one batch time; NULL: nothing. */
static const char *text_of_batch(const Run *run, int batch) {
    for (size_t i = 0; i < leat_collected_batches(run->collector); i++)
        if (leat_collected_time_ms(run->collector, i) == (batch + 1) * 1000)
            return leat_collected_text(run->collector, i);
    return NULL;
}

static bool check_batch(const Case *c, const Run *run, int batch) {
    const char *found = text_of_batch(run, batch), *expected = c->expected[batch];
    if (!found || !expected)
        return check_true((found != NULL) == (expected != NULL), __FILE__, __LINE__,
                          expected ? "there is a batch" : "there is no batch");
    char *normal = normal_form(found, c->is_set);
    bool is_same =
        check_text(normal, strlen(normal), expected, strlen(expected), __FILE__, __LINE__, c->name);
    free(normal);
    return is_same;
}

static void close_run(const Run *run) {
    if (!CHECK(leat_error(run->ctx)[0] == 0))
        printf("    %s\n", leat_error(run->ctx));
    leat_context_destroy(run->ctx);
}

/* A number of workers that another run of the same checkpoint had not. */
static int other_workers(int workers, int batch) {
    static const int others[] = {0, 1, 6, 2};
    return workers ? 1 + (workers - 1 + others[batch % 4]) % 7 : 0;
}

static void run_case(const Case *c, Setting s) {
    char directory[300];
    new_directory(directory, sizeof directory);
    const char *checkpoint = s.restarts || c->has_state ? directory : NULL;
    bool is_right = true;
    if (s.restarts) {
        for (int batch = 0; batch < c->batch_count; batch++) {
            Setting now = s;
            now.workers = other_workers(s.workers, batch);
            Run run = open_run(c, now, checkpoint);
            leat_advance(run.ctx, (batch + 1) * 1000);
            is_right &= check_batch(c, &run, batch);
            close_run(&run);
        }
    } else {
        Run run = open_run(c, s, checkpoint);
        leat_advance(run.ctx, c->batch_count * 1000);
        for (int batch = 0; batch < c->batch_count; batch++)
            is_right &= check_batch(c, &run, batch);
        close_run(&run);
    }
    if (!is_right)
        printf("    case '%s': %d workers, %d partitions, %d splits%s%s%s\n", c->name, s.workers,
               s.partitions, s.splits, s.one_row_chunks ? ", chunks of one row" : "",
               s.constant_hash ? ", constant hash" : "", s.restarts ? ", restarts" : "");
}

/* ---- too little memory ---- */

/* Every batch that there is is right; if they end early the program says that memory is why. */
static void run_with_memory(const Case *c, int memory_kib) {
    char directory[300];
    new_directory(directory, sizeof directory);
    Setting s = {.workers = 2, .splits = 3, .memory_kib = memory_kib};
    Run run = open_run(c, s, c->has_state ? directory : NULL);
    bool is_right = true;
    for (int batch = 0; batch < c->batch_count; batch++) {
        if (leat_context_state(run.ctx) == LEAT_ACTIVE)
            leat_advance(run.ctx, 1000);
        if (leat_error(run.ctx)[0]) {
            is_right &= CHECK_EQ(leat_await_termination(run.ctx), LEAT_EXIT_OS);
            break;
        }
        is_right &= check_batch(c, &run, batch);
    }
    if (!is_right)
        printf("    case '%s': %d KiB of memory: %s\n", c->name, memory_kib, leat_error(run.ctx));
    leat_context_destroy(run.ctx);
}

/* ---- other batches ---- */

/* Deals the rows of all feeds, in their order, to other batches. */
static Case recut(const Case *c) {
    Case cut = *c;
    for (int f = 0; f < INPUTS_MAX && c->feeds[f].schema; f++) {
        int at = 0;
        for (int b = 0; b < c->batch_count; b++) {
            cut.feeds[f].batches[b] = (Batch){.has_batch = true};
        }
        for (int b = 0; b < c->batch_count; b++) {
            for (int row = 0; row < c->feeds[f].batches[b].row_count; row++) {
                Batch *to = &cut.feeds[f].batches[at];
                while (at + 1 < c->batch_count && (to->row_count == ROWS_MAX || random_below(3) == 0))
                    to = &cut.feeds[f].batches[++at];
                if (to->row_count < ROWS_MAX)
                    to->rows[to->row_count++] = c->feeds[f].batches[b].rows[row];
            }
        }
    }
    return cut;
}

static int fed_rows(const Case *c) {
    int count = 0;
    for (int f = 0; f < INPUTS_MAX && c->feeds[f].schema; f++)
        for (int b = 0; b < c->batch_count; b++)
            count += c->feeds[f].batches[b].row_count;
    return count;
}

/* What does not depend on the cut: all rows together, or the last batch. To be freed. */
static char *lasting(const Case *c, const char *const *texts) {
    size_t size = 1;
    for (int b = 0; b < c->batch_count; b++)
        size += texts[b] ? strlen(texts[b]) : 0;
    char *joined = calloc(1, size);
    for (int b = c->cut == CUT_KEEPS_LAST ? c->batch_count - 1 : 0; b < c->batch_count; b++)
        strcat(joined, texts[b] ? texts[b] : "");
    char *normal = normal_form(joined, c->is_set);
    free(joined);
    return normal;
}

static void run_recut(const Case *c) {
    char directory[300];
    const char *texts[BATCHES_MAX];
    Case cut = recut(c);
    if (fed_rows(&cut) < fed_rows(c))
        return; /* the last batch was full */
    new_directory(directory, sizeof directory);
    Run run = open_run(&cut, (Setting){.workers = 2}, c->has_state ? directory : NULL);
    leat_advance(run.ctx, c->batch_count * 1000);
    for (int b = 0; b < c->batch_count; b++)
        texts[b] = text_of_batch(&run, b);
    char *found = lasting(c, texts), *expected = lasting(c, c->expected);
    if (!check_text(found, strlen(found), expected, strlen(expected), __FILE__, __LINE__, c->name))
        printf("    case '%s', its batches cut elsewhere\n", c->name);
    free(found);
    free(expected);
    close_run(&run);
}

/* ---- all of it ---- */

void run_hostile(const Case *c) {
    static const Setting few[] = {
        {0},
        {.restarts = true},
        {.workers = 1, .partitions = 1, .splits = 1, .one_row_chunks = true},
        {.workers = 2, .partitions = 2, .splits = 2, .constant_hash = true},
        {.workers = 7, .partitions = 7, .splits = 7},
        {.workers = 7,
         .partitions = 7,
         .splits = 7,
         .one_row_chunks = true,
         .constant_hash = true,
         .restarts = true},
    };
    static const int counts[][3] = {{1, 1, 1}, {2, 2, 2}, {7, 7, 7}, {1, 7, 2}, {7, 1, 7}};
    bool is_long = getenv("LEAT_TEST_LONG");
    random_state = check_seed();
    if (!is_long)
        for (size_t i = 0; i < sizeof few / sizeof few[0]; i++)
            run_case(c, few[i]);
    for (size_t i = 0; is_long && i < sizeof counts / sizeof counts[0]; i++) {
        for (int flags = 0; flags < 8; flags++)
            run_case(c, (Setting){.workers = counts[i][0],
                                  .partitions = counts[i][1],
                                  .splits = counts[i][2],
                                  .one_row_chunks = flags & 1,
                                  .constant_hash = flags & 2,
                                  .restarts = flags & 4});
    }
    for (int i = 0; c->cut != CUT_MATTERS && i < (is_long ? 20 : 2); i++)
        run_recut(c);
    run_with_memory(c, 1 << (4 + random_below(8))); /* 16 KiB to 2 MiB */
    for (int memory_kib = 16; is_long && memory_kib <= 2048; memory_kib += memory_kib / 2)
        run_with_memory(c, memory_kib);
}
