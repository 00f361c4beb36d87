/* snapshot - what saving the state between batches takes from a program that changes much of it.
 *
 *     snapshot [--keys N] [--changed N] [--batches N] [--rounds N] [--workers N] [DIRECTORY]
 *              (4000000, 50000, 250, 3, 1, build/bench)
 *
 * A driver with its logs in DIRECTORY and a source that makes rows: running sums of N keys by mapWithState, of
 * which every batch changes some, all over the state. The same batches once with snapshots as they are by
 * default and once with none, in turn; printed are the seconds of the batches behind the filling, the longest
 * of them, and the ratio of the best runs. The goal is at most 1.05; on a machine that others use, look at the
 * CPU time, of all threads.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "stream/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILL_BATCHES = 8, PARTITIONS = 8 };

static void must(Status st, const Error *err) {
    if (st == STATUS_OK)
        return;
    fprintf(stderr, "snapshot: %s\n", err->message);
    exit(1);
}

/* An odd multiplier: every key another one, in no order. */
static int64_t key_of(uint64_t i) {
    return (int64_t)(i * UINT64_C(0x9e3779b97f4a7c15));
}

/* ---- rows (key_of((begin + i) * step % key_count), 1) ---- */

typedef struct Range {
    uint64_t begin, step, count;
} Range;

typedef struct RangeSplit {
    Split split;
    Range range;
    uint64_t key_count, at;
    int64_t keys[CHUNK_ROWS_MAX], ones[CHUNK_ROWS_MAX];
    Column columns[2];
    const Schema *schema;
} RangeSplit;

static Status range_open(Split *base, Budget *budget, Error *err) {
    (void)budget, (void)err;
    ((RangeSplit *)base)->at = 0;
    return STATUS_OK;
}

static Status range_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    (void)err;
    RangeSplit *split = (RangeSplit *)base;
    uint64_t left = split->range.count - split->at;
    uint32_t rows = left < CHUNK_ROWS_MAX ? (uint32_t)left : CHUNK_ROWS_MAX;
    for (uint32_t i = 0; i < rows; i++, split->at++) {
        split->keys[i] = key_of((split->range.begin + split->at) * split->range.step % split->key_count);
        split->ones[i] = 1;
    }
    split->columns[0] = (Column){.type = &split->schema->fields[0].type, .data = split->keys};
    split->columns[1] = (Column){.type = &split->schema->fields[1].type, .data = split->ones};
    *chunk = (Chunk){
        .schema = split->schema, .columns = split->columns, .row_count = rows, .selected_count = rows};
    *has = rows > 0;
    return STATUS_OK;
}

static void range_close(Split *base) {
    (void)base;
}
static void range_destroy(Split *base) {
    free(base);
}

static const SplitClass range_split_class = {
    .open = range_open, .next_chunk = range_next_chunk, .close = range_close, .destroy = range_destroy};

/* ---- a source of them ---- */

typedef struct RangeSource {
    Source source;
    uint64_t key_count, changed_count, batch;
    const Schema *schema;
} RangeSource;

static Status source_open(Source *base, const SourceServices *services, Error *err) {
    (void)base, (void)services, (void)err;
    return STATUS_OK;
}
static Status source_restore(Source *base, Str saved, Error *err) {
    (void)base, (void)saved, (void)err;
    return STATUS_OK;
}
static Status source_replay(Source *base, int64_t batch_time_ms, Str plan, Error *err) {
    (void)base, (void)batch_time_ms, (void)plan, (void)err;
    return STATUS_OK;
}
static Status source_start(Source *base, Error *err) {
    (void)base, (void)err;
    return STATUS_OK;
}

/* The first batches bring every key once, the others keys that are far from each other. */
static Status source_plan(Source *base, int64_t batch_time_ms, Text *plan, bool *has_batch, Error *err) {
    (void)batch_time_ms, (void)err;
    RangeSource *self = (RangeSource *)base;
    uint64_t fill = self->key_count / FILL_BATCHES + 1, n = self->batch++;
    bool fills = n < FILL_BATCHES;
    bytes_put_u64(plan, fills ? n * fill : n * self->changed_count);
    bytes_put_u64(plan, fills ? 1 : 7919);
    bytes_put_u64(plan, fills ? fill : self->changed_count);
    *has_batch = true;
    return STATUS_OK;
}

static Status source_read(Source *base, int64_t batch_time_ms, Str plan, SplitList *splits, Error *err) {
    (void)batch_time_ms, (void)err;
    RangeSource *self = (RangeSource *)base;
    Reader r = reader_of(plan);
    RangeSplit *split = xcalloc(1, sizeof *split);
    split->range.begin = reader_u64(&r);
    split->range.step = reader_u64(&r);
    split->range.count = reader_u64(&r);
    split->split = (Split){.class = &range_split_class, .size_bytes = split->range.count * 16};
    split->key_count = self->key_count;
    split->schema = self->schema;
    split_list_add(splits, &split->split);
    return STATUS_OK;
}

static void source_done(Source *base, int64_t batch_time_ms) {
    (void)base, (void)batch_time_ms;
}
static void source_save(Source *base, Text *out) {
    bytes_put_u64(out, ((RangeSource *)base)->batch);
}
static void source_nothing(Source *base) {
    (void)base;
}
static bool source_has_more(Source *base) {
    (void)base;
    return false;
}

static const SourceClass source_class = {.kind = "bench",
                                         .open = source_open,
                                         .restore = source_restore,
                                         .replay = source_replay,
                                         .start = source_start,
                                         .plan = source_plan,
                                         .read = source_read,
                                         .done = source_done,
                                         .save = source_save,
                                         .stop = source_nothing,
                                         .has_more = source_has_more,
                                         .close = source_nothing,
                                         .destroy = source_nothing};

static Status output_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                         Error *err) {
    (void)output, (void)env, (void)batch, (void)batch_time_ms, (void)err;
    return STATUS_OK;
}
static void output_destroy(Output *output) {
    (void)output;
}
static const OutputClass output_class = {.kind = "bench", .run = output_run, .destroy = output_destroy};

/* ---- the program ---- */

static void map_sum(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out, void *user) {
    (void)key, (void)user;
    int64_t sum = (leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0) + leat_row_i64(value, 0);
    leat_state_update_i64(state, 0, sum);
    leat_out_i64(out, 0, sum);
}

static Schema *schema_of(Plan *plan, const char *columns, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    must(schema_parse(plan->arena, str_from(columns), key_count, &schema, &err), &err);
    return schema;
}

static void make_plan(Plan *plan, RangeSource *source, Output *output) {
    Error err = {0};
    PlanNode *rows = plan_add(plan, PLAN_SOURCE, "bench_stream", NULL, 0);
    rows->schema = source->schema = schema_of(plan, "k BIGINT, n BIGINT", 1);
    rows->source = source, rows->source_kind = "bench";
    PlanNode *sums = plan_add(plan, PLAN_KEYED_PROCESS, "leat_map_with_state", &rows, 1);
    sums->schema = schema_of(plan, "sum BIGINT", 0);
    sums->function = leat_map_with_state_simple_function("sum BIGINT", "sum BIGINT", map_sum, NULL);
    sums->table_schema = schema_of(plan, "k BIGINT, sum BIGINT", 1);
    sums->state_schema = schema_of(plan, "sum BIGINT", 0);
    sums->check_slides = 10;
    PlanNode *print = plan_add(plan, PLAN_OUTPUT, "bench_output", &sums, 1);
    print->schema = sums->schema, print->output = output;
    print->row_limit = 1;
    must(plan_finish(plan, &err), &err);
}

typedef struct Settings {
    const char *directory;
    int64_t key_count, changed_count, batch_count, round_count, worker_count;
} Settings;

typedef struct Run {
    double seconds, longest_s;
    double cpu_s; /* of all threads */
} Run;

static double process_cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void empty(const char *directory) {
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s/snapshot-bench'", directory);
    if (system(command) != 0)
        exit(1);
}

static Run run(const Settings *settings, bool has_snapshots) {
    Env *env = env_real();
    Error err = {0};
    Run result = {0};
    char checkpoint[600];
    RangeSource source = {.source = {.class = &source_class, .description = (char *)"bench"},
                          .key_count = (uint64_t)settings->key_count,
                          .changed_count = (uint64_t)settings->changed_count};
    Output output = {.class = &output_class};
    Plan *plan = plan_create();
    Driver *driver;
    empty(settings->directory);
    snprintf(checkpoint, sizeof checkpoint, "%s/snapshot-bench", settings->directory);
    make_plan(plan, &source, &output);
    DriverOptions options = {.env = env,
                             .program = "snapshot",
                             .interval_ms = 1,
                             .checkpoint_directory = checkpoint,
                             .worker_count = (uint32_t)settings->worker_count,
                             .partition_count = PARTITIONS,
                             .snapshot_log_bytes = has_snapshots ? 0 : UINT64_C(1) << 50,
                             .is_manual_clock = true};
    must(driver_create(plan, options, &driver, &err), &err);
    must(driver_start(driver, &err), &err);
    driver_advance(driver, FILL_BATCHES);
    double begin_cpu_s = process_cpu_s();
    for (int64_t i = 0; i < settings->batch_count; i++) {
        int64_t begin_us = env_monotonic_us(env);
        driver_advance(driver, 1);
        double seconds = (double)(env_monotonic_us(env) - begin_us) / 1e6;
        result.seconds += seconds;
        result.longest_s = seconds > result.longest_s ? seconds : result.longest_s;
    }
    result.cpu_s = process_cpu_s() - begin_cpu_s;
    Status st = STATUS_OK;
    driver_stop(driver, false);
    (void)driver_wait(driver, ENV_FOREVER, &st, &err);
    must(st, &err);
    driver_destroy(driver);
    plan_destroy(plan);
    empty(settings->directory);
    return result;
}

int main(int argc, char **argv) {
    Settings settings = {.directory = "build/bench",
                         .key_count = 4000000,
                         .changed_count = 50000,
                         .batch_count = 250,
                         .round_count = 3,
                         .worker_count = 1};
    for (int i = 1; i < argc; i++) {
        int64_t *number = strcmp(argv[i], "--keys") == 0      ? &settings.key_count
                          : strcmp(argv[i], "--changed") == 0 ? &settings.changed_count
                          : strcmp(argv[i], "--batches") == 0 ? &settings.batch_count
                          : strcmp(argv[i], "--rounds") == 0  ? &settings.round_count
                          : strcmp(argv[i], "--workers") == 0 ? &settings.worker_count
                                                              : NULL;
        bool is_good = !number || (i + 1 < argc && str_parse_i64(str_from(argv[++i]), number) && *number > 0);
        if (!is_good || (!number && argv[i][0] == '-')) {
            fprintf(stderr,
                    "usage: snapshot [--keys N] [--changed N] [--batches N] [--rounds N] [--workers N] "
                    "[DIRECTORY]\n");
            return 2;
        }
        if (!number)
            settings.directory = argv[i];
    }
    Run best[2] = {{.seconds = 1e9, .cpu_s = 1e9}, {.seconds = 1e9, .cpu_s = 1e9}};
    for (int64_t round = 0; round < settings.round_count; round++)
        for (int with = 0; with < 2; with++) {
            Run one = run(&settings, with == 1);
            printf("%-8s snapshots: %.3f s on the wall, %.3f s of CPU, longest batch %.1f ms\n",
                   with ? "with" : "without", one.seconds, one.cpu_s, one.longest_s * 1e3);
            best[with].seconds = one.seconds < best[with].seconds ? one.seconds : best[with].seconds;
            best[with].cpu_s = one.cpu_s < best[with].cpu_s ? one.cpu_s : best[with].cpu_s;
        }
    printf("%" PRId64 " keys, %" PRId64 " batches of %" PRId64
           " changes: with snapshots %.3f times the CPU time (at most 1.05 is the goal), %.3f times the "
           "wall's\n",
           settings.key_count, settings.batch_count, settings.changed_count, best[1].cpu_s / best[0].cpu_s,
           best[1].seconds / best[0].seconds);
    return 0;
}
