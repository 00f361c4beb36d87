/* THREADS_TEST HOSTILE_TEST: a state of many keys (100,000; ten million in the long setting) through undo, DELTAs, rounds of
 * saves and recovery, by 1, 2 and 7 workers, another number at every start. Each row that comes out says how often
 * its key has been seen, which is compared with a count beside it.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "check.h"
#include "stream/driver.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FILL_BATCHES = 8, CHANGE_BATCHES = 24, PARTITIONS = 8 };

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
    bool fails; /* half-way */
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
    RangeSplit *split = (RangeSplit *)base;
    if (split->fails && split->at >= split->range.count / 2)
        return error_set(err, STATUS_IO, "the test says so");
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
    uint64_t key_count;
    uint64_t fails_at; /* batch; 0: none */
    uint64_t planned;  /* the last */
    const Schema *schema;
} RangeSource;

/* Batch n, from 1: first every key once, then a 40th of them, far from each other, at last every key again. */
static Range range_of(uint64_t key_count, uint64_t n) {
    uint64_t fill = (key_count + FILL_BATCHES - 1) / FILL_BATCHES, changed = key_count / 40;
    bool fills = n <= FILL_BATCHES || n > FILL_BATCHES + CHANGE_BATCHES;
    return fills ? (Range){(n - 1) % FILL_BATCHES * fill, 1, fill} : (Range){n * changed, 7919, changed};
}

static Status source_open(Source *base, const SourceServices *services, Error *err) {
    (void)base, (void)services, (void)err;
    return STATUS_OK;
}
static Status source_restore(Source *base, Str saved, Error *err) {
    (void)err;
    Reader r = reader_of(saved);
    ((RangeSource *)base)->planned = reader_u64(&r);
    return STATUS_OK;
}
static Status source_replay(Source *base, int64_t batch_time_ms, Str plan, Error *err) {
    (void)plan, (void)err;
    RangeSource *self = (RangeSource *)base;
    CHECK_EQ((uint64_t)batch_time_ms, self->planned + 1);
    self->planned++;
    return STATUS_OK;
}
static Status source_start(Source *base, Error *err) {
    (void)base, (void)err;
    return STATUS_OK;
}
static Status source_plan(Source *base, int64_t batch_time_ms, Text *plan, bool *has_batch, Error *err) {
    (void)err;
    bytes_put_u64(plan, (uint64_t)batch_time_ms);
    ((RangeSource *)base)->planned = (uint64_t)batch_time_ms;
    *has_batch = true;
    return STATUS_OK;
}

static Status source_read(Source *base, int64_t batch_time_ms, Str plan, SplitList *splits, Error *err) {
    (void)plan, (void)err;
    RangeSource *self = (RangeSource *)base;
    Range whole = range_of(self->key_count, (uint64_t)batch_time_ms);
    for (uint64_t s = 0; s < 3; s++) { /* so that there is something for several workers */
        uint64_t begin = whole.count * s / 3, end = whole.count * (s + 1) / 3;
        RangeSplit *split = xcalloc(1, sizeof *split);
        split->range = (Range){whole.begin + begin, whole.step, end - begin};
        split->split = (Split){.class = &range_split_class, .size_bytes = split->range.count * 16};
        split->key_count = self->key_count;
        split->schema = self->schema;
        split->fails = s == 2 && (uint64_t)batch_time_ms == self->fails_at;
        split_list_add(splits, &split->split);
    }
    return STATUS_OK;
}

static void source_done(Source *base, int64_t batch_time_ms) {
    (void)base, (void)batch_time_ms;
}
static void source_save(Source *base, Text *out) {
    bytes_put_u64(out, ((RangeSource *)base)->planned);
}
static void source_nothing(Source *base) {
    (void)base;
}
static bool source_has_more(Source *base) {
    (void)base;
    return false;
}

static const SourceClass source_class = {.kind = "ranges",
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

/* ---- the output, and what it must be given ---- */

typedef struct Counts {
    Output output;
    uint64_t key_count;
    uint8_t *counts; /* of each key, as of batch `batch` */
    uint64_t batch;
    uint64_t row_count, wrong_count;
} Counts;

/* The inverse of key_of, modulo 2^64. */
static uint64_t number_of(int64_t key) {
    uint64_t odd = UINT64_C(0x9e3779b97f4a7c15), inverse = odd;
    for (int i = 0; i < 6; i++)
        inverse *= 2 - odd * inverse;
    return (uint64_t)key * inverse;
}

static Status counts_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                         Error *err) {
    (void)env, (void)err;
    Counts *self = (Counts *)output;
    Range range = range_of(self->key_count, (uint64_t)batch_time_ms);
    CHECK((uint64_t)batch_time_ms == self->batch + 1); /* none is left out, none given twice */
    self->batch = (uint64_t)batch_time_ms;
    for (uint64_t i = 0; i < range.count; i++)
        self->counts[(range.begin + i) * range.step % self->key_count]++;
    uint64_t rows = 0;
    for (uint32_t p = 0; p < batch->partition_count; p++)
        for (uint32_t c = 0; c < batch->partitions[p].chunk_count; c++) {
            const Chunk *chunk = shared_chunk_view(batch->partitions[p].chunks[c]);
            for (uint32_t row = 0; row < chunk->row_count; row++, rows++) {
                uint64_t number = number_of(column_i64(&chunk->columns[0], row));
                self->wrong_count +=
                    number >= self->key_count || column_i64(&chunk->columns[1], row) != self->counts[number];
            }
        }
    CHECK_EQ(rows, range.count);
    self->row_count += rows;
    return STATUS_OK;
}
static void counts_destroy(Output *output) {
    (void)output;
}
static const OutputClass counts_class = {.kind = "counts", .run = counts_run, .destroy = counts_destroy};

/* ---- the program ---- */

static void map_sum(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out, void *user) {
    (void)user;
    int64_t sum = (leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0) + leat_row_i64(value, 0);
    leat_state_update_i64(state, 0, sum);
    leat_out_i64(out, 0, leat_row_i64(key, 0));
    leat_out_i64(out, 1, sum);
}

static const Schema *schema_of(Plan *plan, const char *columns, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    REQUIRE(CHECK_OK(schema_parse(plan->arena, str_from(columns), key_count, &schema, &err), err));
    return schema;
}

static Plan *make_plan(RangeSource *source, Counts *counts) {
    Error err = {0};
    Plan *plan = plan_create();
    PlanNode *rows = plan_add(plan, PLAN_SOURCE, "ranges", NULL, 0);
    rows->schema = source->schema = schema_of(plan, "k BIGINT, n BIGINT", 1);
    rows->source = source, rows->source_kind = "ranges";
    PlanNode *sums = plan_add(plan, PLAN_KEYED_PROCESS, "leat_map_with_state", &rows, 1);
    sums->schema = schema_of(plan, "k BIGINT, sum BIGINT", 0);
    sums->function = leat_map_with_state_simple_function("sum BIGINT", "k BIGINT, sum BIGINT", map_sum, NULL);
    sums->table_schema = schema_of(plan, "k BIGINT, sum BIGINT", 1);
    sums->state_schema = schema_of(plan, "sum BIGINT", 0);
    sums->check_slides = 10;
    PlanNode *output = plan_add(plan, PLAN_OUTPUT, "counts", &sums, 1);
    output->schema = sums->schema, output->output = counts;
    REQUIRE(CHECK_OK(plan_finish(plan, &err), err));
    return plan;
}

/* A start that ends behind batch `until`, or with the failure of one before. */
static Status run_until(uint64_t until, uint32_t worker_count, uint64_t fails_at, Counts *counts,
                        Error *err) {
    char checkpoint[600];
    RangeSource source = {.source = {.class = &source_class, .description = (char *)"ranges"},
                          .key_count = counts->key_count,
                          .fails_at = fails_at};
    Plan *plan = make_plan(&source, counts);
    Driver *driver;
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", check_tmpdir());
    DriverOptions options = {.env = env_real(),
                             .program = "large_state_test",
                             .interval_ms = 1,
                             .checkpoint_directory = checkpoint,
                             .worker_count = worker_count,
                             .partition_count = PARTITIONS,
                             .memory_bytes = UINT64_C(4) << 30,
                             /* A round takes a few of the later batches. */
                             .snapshot_log_bytes = counts->key_count * 2,
                             .is_manual_clock = true};
    Status st = driver_create(plan, options, &driver, err);
    if (st == STATUS_OK)
        st = driver_start(driver, err);
    if (st == STATUS_OK) {
        driver_advance(driver, (int64_t)until);
        driver_stop(driver, false);
        (void)driver_wait(driver, ENV_FOREVER, &st, err);
    }
    driver_destroy(driver);
    plan_destroy(plan);
    return st;
}

TEST(many_keys_through_undo_saves_and_starts_with_other_workers) {
    const char *setting = getenv("LEAT_TEST_LONG");
    Counts counts = {.output = {.class = &counts_class},
                     .key_count = setting && *setting == '1' ? 10000000 : 100000};
    static const struct {
        uint64_t until, fails_at;
        uint32_t worker_count;
    } starts[] = {{6, 0, 1},
                  {8, 0, 7},
                  {15, 0, 2},
                  {16, 16, 7},
                  {18, 0, 7},
                  {23, 23, 1},
                  {23, 0, 2},
                  {30, 0, 7},
                  {32, 0, 1},
                  {36, 0, 2},
                  {FILL_BATCHES + CHANGE_BATCHES + FILL_BATCHES, 0, 7}};
    counts.counts = xcalloc(counts.key_count + FILL_BATCHES, 1);
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        Error err = {0};
        Status st = run_until(starts[i].until, starts[i].worker_count, starts[i].fails_at, &counts, &err);
        if (starts[i].fails_at)
            CHECK_EQ(st, STATUS_IO);
        else
            CHECK_OK(st, err);
    }
    CHECK_EQ(counts.wrong_count, 0);
    printf("    %" PRIu64 " keys, %" PRIu64 " rows compared\n", counts.key_count, counts.row_count);
    free(counts.counts);
}

TEST_MAIN()
