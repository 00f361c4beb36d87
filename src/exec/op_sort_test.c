/* Sorting and top against a model: random rows, dealt to splits, chunks and workers at random. HOSTILE_TEST */
#include "exec/operator.h"
#include "base/random.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_MAX = 6000, SPLITS_MAX = 5, WORKERS_MAX = 3 };

typedef struct ModelRow {
    bool has_x, has_k;
    double x;
    const char *k;
    int64_t n; /* its place in the input */
} ModelRow;

static const double numbers[] = {0.0, -0.0, 1.5, -1.5, 1e300, -1e300, 5e-324};
static const char *const texts[] = {"",
                                    "a",
                                    "ab",
                                    "b",
                                    "same beginning, one",
                                    "same beginning, other",
                                    "same beg",
                                    "\xff",
                                    "\xf0\x9f\x98\x80"};

static ModelRow random_row(Random *random, int64_t n) {
    ModelRow row = {.has_x = random_below(random, 8) > 0, .has_k = random_below(random, 8) > 0, .n = n};
    uint64_t pick = random_below(random, 9);
    row.x = pick == 8 ? (double)NAN : pick == 7 ? -(double)INFINITY : numbers[pick];
    row.k = texts[random_below(random, sizeof texts / sizeof texts[0])];
    return row;
}

/* ---- the model ---- */

static bool descends_x, descends_k;

/* Java's Double.compare. */
static int compare_doubles(double a, double b) {
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    if (a == 0 && b == 0)
        return !!signbit(b) - !!signbit(a);
    return (a > b) - (a < b);
}

static int compare_model(const void *left, const void *right) {
    const ModelRow *a = left, *b = right;
    int x = a->has_x && b->has_x ? compare_doubles(a->x, b->x) : a->has_x - b->has_x;
    int k = a->has_k && b->has_k ? strcmp(a->k, b->k) : a->has_k - b->has_k;
    if (x)
        return descends_x ? -x : x;
    if (k)
        return descends_k ? -k : k;
    return a->n < b->n ? -1 : 1;
}

/* ---- the operator ---- */

typedef struct Taker {
    Operator op;
    int64_t found[ROWS_MAX];
    uint32_t count;
} Taker;

static Status take_rows(Operator *op, const Chunk *in, Error *err) {
    (void)err;
    Taker *taker = (Taker *)op;
    for (uint32_t i = 0; i < in->selected_count; i++) {
        REQUIRE(taker->count < ROWS_MAX);
        taker->found[taker->count++] = column_i64(&in->columns[2], chunk_row(in, i));
    }
    return STATUS_OK;
}

static const OperatorClass taker_class = {.push = take_rows};

typedef struct Bench {
    Arena *arena;
    Schema *schema;
    PlanNode input, node;
    PlanNode *inputs[1];
    PlanOrder order[2];
    Budget budget;
    Producer *sort;
    Operator *operators[WORKERS_MAX];
    Builder *builder;
} Bench;

static void bench_init(Bench *bench, uint64_t row_limit, uint64_t budget_bytes) {
    *bench = (Bench){.arena = arena_create(NULL, "test")};
    Error err = {0};
    REQUIRE(schema_parse(bench->arena, STR("x DOUBLE, k STRING, n BIGINT"), 0, &bench->schema, &err) ==
            STATUS_OK);
    bench->order[0] = (PlanOrder){0, descends_x};
    bench->order[1] = (PlanOrder){1, descends_k};
    bench->input = (PlanNode){.kind = PLAN_SOURCE, .schema = bench->schema};
    bench->inputs[0] = &bench->input;
    bench->node = (PlanNode){.kind = PLAN_SORT,
                             .call = "leat_sort_by",
                             .schema = bench->schema,
                             .inputs = bench->inputs,
                             .input_count = 1,
                             .order = bench->order,
                             .order_count = 2,
                             .row_limit = row_limit};
    budget_init(&bench->budget, "test", budget_bytes, NULL);
    REQUIRE(builder_create(bench->schema, NULL, "test", &bench->builder, &err) == STATUS_OK);
}

static Status bench_open(Bench *bench, Error *err) {
    ProducerOptions options = {.node = &bench->node,
                               .worker_count = WORKERS_MAX,
                               .partition_count = 1,
                               .budget = &bench->budget,
                               .who = "sort",
                               .chunk_rows_max = CHUNK_ROWS_MAX};
    TRY(sort_create(&options, &bench->sort, err));
    for (uint32_t w = 0; w < WORKERS_MAX; w++) {
        OperatorContext context = {.node = &bench->node, .worker = w, .budget = &bench->budget};
        TRY(bench->sort->class->open_operator(bench->sort, &context, &bench->operators[w], err));
    }
    return STATUS_OK;
}

static void bench_deinit(Bench *bench) {
    for (uint32_t w = 0; w < WORKERS_MAX; w++)
        if (bench->operators[w])
            bench->operators[w]->class->destroy(bench->operators[w]);
    if (bench->sort)
        bench->sort->class->destroy(bench->sort);
    CHECK_EQ(bench->budget.used_bytes, 0);
    builder_destroy(bench->builder);
    arena_destroy(bench->arena);
}

static Status put_row(Builder *builder, const ModelRow *row, Error *err) {
    TRY(row->has_x ? builder_put_f64(builder, 0, row->x, err) : builder_put_null(builder, 0, err));
    TRY(row->has_k ? builder_put_str(builder, 1, str_from(row->k), err) : builder_put_null(builder, 1, err));
    TRY(builder_put_i64(builder, 2, row->n, err));
    builder_end_row(builder);
    return STATUS_OK;
}

/* Splits are parts of the rows one behind the other; each belongs to a worker; the next chunk is of any split,
 * so splits alternate on a worker as below a union of a stream with itself. */
static Status push_all(Bench *bench, const ModelRow *rows, uint32_t row_count, Random *random, Error *err) {
    uint32_t at[SPLITS_MAX], end[SPLITS_MAX], worker[SPLITS_MAX], left = row_count;
    for (uint32_t s = 0; s < SPLITS_MAX; s++) {
        at[s] = row_count * s / SPLITS_MAX;
        end[s] = row_count * (s + 1) / SPLITS_MAX;
        worker[s] = random_below(random, 2) ? 0 : (uint32_t)random_below(random, WORKERS_MAX);
    }
    while (left > 0) {
        uint32_t s = (uint32_t)random_below(random, SPLITS_MAX);
        uint32_t count = 1 + (uint32_t)random_below(random, random_below(random, 2) ? 3 : 500);
        builder_reset(bench->builder);
        for (; count > 0 && at[s] < end[s]; count--, left--)
            TRY(put_row(bench->builder, &rows[at[s]++], err));
        Chunk chunk;
        builder_chunk(bench->builder, &chunk);
        chunk.split = s;
        Operator *op = bench->operators[worker[s]];
        if (chunk.selected_count)
            TRY(op->class->push(op, &chunk, err));
    }
    return STATUS_OK;
}

static Status run_batch(Bench *bench, const ModelRow *rows, uint32_t row_count, Random *random, Taker *taker,
                        Error *err) {
    Status st = STATUS_OK;
    Producer *sort = bench->sort;
    uint64_t split_count = SPLITS_MAX, zero = 0;
    Edge edge = {&taker->op, bench->schema, &zero};
    Emit emit = {&edge, 1, CHUNK_ROWS_MAX};
    ProducerBatch batch = {.split_counts = &split_count, .is_due = true};
    *taker = (Taker){.op = {.class = &taker_class}};
    sort->class->begin(sort, &batch);
    TRY_GOTO(done, push_all(bench, rows, row_count, random, err));
    uint32_t parts = sort->class->prepare_count(sort);
    for (uint32_t p = 0; p < parts; p++)
        TRY_GOTO(done, sort->class->prepare(sort, p, err));
    for (uint32_t t = 0; t < sort->class->task_count(sort); t++)
        TRY_GOTO(done, sort->class->produce(sort, 0, t, &emit, err));
done:
    sort->class->end(sort);
    return st;
}

static void check_against_model(ModelRow *rows, uint32_t row_count, uint64_t row_limit, const Taker *taker) {
    qsort(rows, row_count, sizeof *rows, compare_model);
    uint32_t wanted = row_limit && row_limit < row_count ? (uint32_t)row_limit : row_count;
    if (!CHECK_EQ(taker->count, wanted))
        return;
    for (uint32_t i = 0; i < wanted; i++)
        if (!CHECK_EQ(taker->found[i], rows[i].n))
            return;
}

TEST(rows_leave_in_the_order_of_a_model) {
    static ModelRow rows[ROWS_MAX];
    static Taker taker;
    Random random;
    random_init(&random, check_seed());
    int turns = getenv("LEAT_TEST_LONG") ? 400 : 40;
    for (int turn = 0; turn < turns; turn++) {
        descends_x = turn & 1;
        descends_k = turn & 2;
        uint64_t limits[] = {0, 1, 10, 1 + random_below(&random, 400)};
        uint64_t row_limit = limits[random_below(&random, 4)];
        Bench bench;
        Error err = {0};
        bench_init(&bench, row_limit, UINT64_MAX);
        CHECK_OK(bench_open(&bench, &err), err);
        for (int batch = 0; batch < 3; batch++) { /* nothing stays from one to the next */
            uint32_t row_count = (uint32_t)random_below(&random, batch == 1 ? 4 : ROWS_MAX);
            for (uint32_t i = 0; i < row_count; i++)
                rows[i] = random_row(&random, i);
            CHECK_OK(run_batch(&bench, rows, row_count, &random, &taker, &err), err);
            check_against_model(rows, row_count, row_limit, &taker);
        }
        bench_deinit(&bench);
    }
}

TEST(top_keeps_few_rows) {
    static ModelRow rows[ROWS_MAX];
    static Taker taker;
    Random random;
    random_init(&random, check_seed());
    descends_x = descends_k = true;
    uint64_t peaks[2];
    for (int i = 0; i < 2; i++) {
        Bench bench;
        Error err = {0};
        bench_init(&bench, i ? 10 : 0, UINT64_MAX);
        for (uint32_t n = 0; n < ROWS_MAX; n++)
            rows[n] = random_row(&random, n);
        CHECK_OK(bench_open(&bench, &err), err);
        uint64_t before = bench.budget.used_bytes;
        CHECK_OK(run_batch(&bench, rows, ROWS_MAX, &random, &taker, &err), err);
        peaks[i] = bench.budget.peak_bytes - before;
        bench_deinit(&bench);
    }
    CHECK(peaks[1] < peaks[0]);
}

TEST(over_budget_is_a_refusal_and_the_next_batch_is_right) {
    static ModelRow rows[ROWS_MAX];
    static Taker taker;
    uint64_t seed = check_seed();
    descends_x = false;
    descends_k = true;
    int refused = 0;
    for (uint64_t row_limit = 0; row_limit <= 300; row_limit += 300) {
        for (uint64_t room = 0; room < (512 << 10); room += 9 << 10) {
            Random random;
            random_init(&random, seed);
            Bench bench;
            Error err = {0};
            bench_init(&bench, row_limit, UINT64_MAX);
            CHECK_OK(bench_open(&bench, &err), err);
            for (uint32_t i = 0; i < ROWS_MAX; i++)
                rows[i] = random_row(&random, i);
            bench.budget.limit_bytes = bench.budget.used_bytes + room;
            Status st = run_batch(&bench, rows, ROWS_MAX, &random, &taker, &err);
            if (st != STATUS_OK) {
                refused++;
                CHECK_EQ(st, STATUS_NO_MEMORY);
                CHECK(strstr(err.message, "sort") != NULL);
            }
            bench.budget.limit_bytes = UINT64_MAX;
            CHECK_OK(run_batch(&bench, rows, 500, &random, &taker, &err), err);
            check_against_model(rows, 500, row_limit, &taker);
            bench_deinit(&bench);
        }
    }
    CHECK(refused > 20);
}

TEST_MAIN()
