/* Rows of a function through a plan and back. */
#include "connect/function/function_source.h"

#include "check.h"

#include <stdlib.h>

typedef struct Bench {
    Arena *arena;
    Schema *schema;
    Budget budget;
    SourceServices services;
    Source *source;
    Text plan;
    /* what the function does */
    int64_t row_count;
    bool is_null_batch;
    int calls;
} Bench;

/* Row i of the batch: key "k<i>", i, half of it, odd; every seventh number is null. */
static bool give_rows(int64_t batch_time_ms, LeatOut *out, void *user) {
    Bench *bench = user;
    bench->calls++;
    for (int64_t i = 0; i < bench->row_count; i++) {
        char key[60];
        snprintf(key, sizeof key, "a key that is not short %" PRId64, i);
        leat_out_str(out, 0, leat_str(key));
        if (i % 7 == 0)
            leat_out_null(out, 1);
        else
            leat_out_i64(out, 1, batch_time_ms + i);
        leat_out_f64(out, 2, (double)i / 2);
        leat_out_bool(out, 3, i % 2);
        leat_out_emit(out);
    }
    return !bench->is_null_batch;
}

static Status bench_open(Bench *bench, const char *schema, Error *err) {
    bench->arena = arena_create(NULL, "test");
    REQUIRE(CHECK_OK(schema_parse(bench->arena, str_from(schema), 1, &bench->schema, err), *err));
    budget_init(&bench->budget, "receivers", 64 << 20, NULL);
    bench->services.budget = &bench->budget;
    bench->source = function_source_create(bench->schema, give_rows, bench);
    bench->source->id = "function#0";
    return bench->source->class->open(bench->source, &bench->services, err);
}

static void bench_close(Bench *bench) {
    bench->source->class->close(bench->source);
    bench->source->class->destroy(bench->source);
    CHECK_EQ(bench->budget.used_bytes, 0);
    text_deinit(&bench->plan);
    arena_destroy(bench->arena);
}

static bool plan(Bench *bench, int64_t time_ms) {
    Error err = {0};
    bool has_batch = false;
    text_reset(&bench->plan);
    REQUIRE(
        CHECK_OK(bench->source->class->plan(bench->source, time_ms, &bench->plan, &has_batch, &err), err));
    return has_batch;
}

/* Every row of the plan as text, a line each. */
static Status read_rows(Bench *bench, Str bytes, Text *rows, uint32_t *split_count, Error *err) {
    SplitList splits = {0};
    Status st = bench->source->class->read(bench->source, 0, bytes, &splits, err);
    *split_count = splits.count;
    for (uint32_t i = 0; i < splits.count && st == STATUS_OK; i++) {
        Split *split = splits.splits[i];
        Chunk chunk;
        bool has = false;
        REQUIRE(CHECK_OK(split->class->open(split, NULL, err), *err));
        st = split->class->next_chunk(split, &chunk, &has, err);
        while (st == STATUS_OK && has) {
            chunk_verify(&chunk);
            chunk_format(&chunk, rows);
            st = split->class->next_chunk(split, &chunk, &has, err);
        }
        split->class->close(split);
    }
    split_list_deinit(&splits);
    return st;
}

static const char schema_text[] = "word STRING, n BIGINT, half DOUBLE, odd BOOLEAN";

TEST(rows_come_back_in_order_from_any_number_of_splits) {
    static const int64_t counts[] = {1, 2, 9, 2047, 2048, 2049, 5000, 40000};
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        Bench bench = {.row_count = counts[c]};
        Error err = {0};
        Text first = {0}, described = {0}, wanted = {0};
        REQUIRE(CHECK_OK(bench_open(&bench, schema_text, &err), err));
        CHECK(plan(&bench, 1000));
        bench.source->class->describe_plan(text_str(&bench.plan), &described);
        text_appendf(&wanted, "%" PRId64 " row%s (", counts[c], counts[c] == 1 ? "" : "s");
        CHECK(str_starts_with(text_str(&described), text_str(&wanted)));
        for (uint32_t split_count = 0; split_count < 9; split_count++) {
            Text rows = {0};
            uint32_t made = 0;
            bench.services.split_count = split_count;
            CHECK_OK(read_rows(&bench, text_str(&bench.plan), &rows, &made, &err), err);
            CHECK_EQ(made, split_count == 0          ? (counts[c] + 32767) / 32768
                           : split_count < counts[c] ? split_count
                                                     : counts[c]);
            if (split_count == 0)
                text_append(&first, text_str(&rows));
            CHECK(str_equal(text_str(&rows), text_str(&first)));
            text_deinit(&rows);
        }
        size_t lines = 0;
        for (size_t i = 0; i < first.size; i++)
            lines += first.data[i] == '\n';
        CHECK_EQ(lines, counts[c]);
        CHECK(str_starts_with(text_str(&first), STR("('a key that is not short 0', None, 0.0, False)\n")));
        CHECK_EQ(bench.calls, 1); /* reading does not ask the function */
        text_deinit(&first);
        text_deinit(&described);
        text_deinit(&wanted);
        bench_close(&bench);
    }
}

TEST(an_empty_batch_is_not_the_same_as_none) {
    Bench bench = {0};
    Error err = {0};
    Text rows = {0};
    uint32_t made = 9;
    REQUIRE(CHECK_OK(bench_open(&bench, schema_text, &err), err));
    CHECK(plan(&bench, 1000));
    CHECK(bench.plan.size > 0);
    CHECK_OK(read_rows(&bench, text_str(&bench.plan), &rows, &made, &err), err);
    CHECK_EQ(made, 0);
    CHECK_EQ(rows.size, 0);
    bench.is_null_batch = true;
    CHECK(!plan(&bench, 2000));
    CHECK_EQ(bench.plan.size, 0);
    bench.row_count = 3000; /* what it gave all the same is dropped */
    CHECK(!plan(&bench, 3000));
    CHECK_EQ(bench.plan.size, 0);
    bench.is_null_batch = false;
    bench.row_count = 1;
    CHECK(plan(&bench, 4000));
    CHECK_OK(read_rows(&bench, text_str(&bench.plan), &rows, &made, &err), err);
    CHECK_STR(rows.data, "('a key that is not short 0', None, 0.0, False)\n");
    text_deinit(&rows);
    bench_close(&bench);
}

TEST(nested_columns_are_refused) {
    Bench bench = {0};
    Error err = {0};
    CHECK_EQ(bench_open(&bench, "tags ARRAY<STRING>", &err), STATUS_UNSUPPORTED);
    CHECK(strstr(err.message, "column 'tags'") != NULL);
    bench_close(&bench);
}

TEST(bytes_that_are_no_plan_are_refused) {
    Bench bench = {.row_count = 9};
    Error err = {0};
    Text hostile = {0}, rows = {0}, described = {0};
    uint32_t made;
    REQUIRE(CHECK_OK(bench_open(&bench, schema_text, &err), err));
    CHECK(plan(&bench, 1000));
    for (size_t bit = 0; bit < 8 * bench.plan.size; bit++) {
        text_reset(&hostile);
        text_append(&hostile, text_str(&bench.plan));
        hostile.data[bit / 8] ^= (char)(1 << bit % 8);
        Status st = read_rows(&bench, text_str(&hostile), &rows, &made, &err);
        CHECK(st == STATUS_OK || st == STATUS_CORRUPT);
        bench.source->class->describe_plan(text_str(&hostile), &described);
        hostile.size = bit / 8;
        CHECK_EQ(read_rows(&bench, text_str(&hostile), &rows, &made, &err), STATUS_CORRUPT);
        CHECK_EQ(bench.source->class->replay(bench.source, 0, text_str(&hostile), &err), STATUS_CORRUPT);
    }
    CHECK_OK(bench.source->class->replay(bench.source, 0, text_str(&bench.plan), &err), err);
    CHECK_OK(bench.source->class->restore(bench.source, STR(""), &err), err);
    CHECK_EQ(bench.source->class->restore(bench.source, STR("x"), &err), STATUS_CORRUPT);
    text_deinit(&hostile);
    text_deinit(&rows);
    text_deinit(&described);
    bench_close(&bench);
}

TEST_MAIN()
