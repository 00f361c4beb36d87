/* join - the join of two streams by the engine alone, against a hash join written by hand.
 *
 *     join [--runs N] [--rows N] [--workers N] [--strings]
 *
 * Two inputs of N rows (k, v) with random keys of N different ones stand in memory; BIGINT keys, or STRING keys
 * of up to 12 bytes. Both joins give columns (k, v, w) of 2,048 rows at a time to a consumer that sums up v and
 * w. The loop builds a table of the second input (open addressing, rows of a key in a list) and probes it with
 * the first. Prints nanoseconds a row of input (CPU time with one worker, else time on the wall) and the ratio:
 * engine to loop. */
#include "common/loop.h"
#include "exec/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void must(Status st, const Error *err) {
    if (st == STATUS_OK)
        return;
    fprintf(stderr, "join: %s\n", err->message);
    exit(1);
}

/* ---- input ---- */

typedef struct Rows {
    uint32_t count;
    bool has_strings;
    int64_t *numbers; /* keys */
    View *strings;
    int64_t *values;
} Rows;

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 32;
}

static Rows make_rows(uint32_t count, bool has_strings, uint64_t seed) {
    Rows rows = {.count = count, .has_strings = has_strings};
    rows.numbers = xcalloc(count + 8, sizeof *rows.numbers);
    rows.strings = xcalloc(count + 8, sizeof *rows.strings);
    rows.values = xcalloc(count + 8, sizeof *rows.values);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        int64_t key = (int64_t)(mix(i * 2 + seed) % count);
        int size = snprintf(text, sizeof text, "k%" PRId64, key);
        rows.numbers[i] = key;
        rows.strings[i] = view_of(str_slice(text, (size_t)size), 0, 0);
        rows.values[i] = (int64_t)mix(i + seed) % 1000;
    }
    return rows;
}

static void free_rows(Rows *rows) {
    free(rows->numbers);
    free(rows->strings);
    free(rows->values);
}

/* ---- by hand ---- */

typedef struct Sums {
    uint64_t rows, values;
    double seconds;
} Sums;

typedef struct Pairs { /* what the consumer is given */
    int64_t numbers[CHUNK_ROWS_MAX];
    View strings[CHUNK_ROWS_MAX];
    int64_t left[CHUNK_ROWS_MAX], right[CHUNK_ROWS_MAX];
    uint32_t count;
} Pairs;

static void sum_up(const int64_t *left, const int64_t *right, uint32_t count, Sums *sums) {
    for (uint32_t i = 0; i < count; i++)
        sums->values += (uint64_t)(3 * left[i] + right[i]);
    sums->rows += count;
}

typedef struct LoopSlot {
    uint32_t first; /* 1 + row; 0: empty */
    uint32_t last;
} LoopSlot;

static bool same_key(const Rows *a, uint32_t i, const Rows *b, uint32_t j) {
    return a->has_strings ? memcmp(&a->strings[i], &b->strings[j], sizeof(View)) == 0
                          : a->numbers[i] == b->numbers[j];
}

static uint64_t hash_of(const Rows *rows, uint32_t i) {
    uint64_t half[2];
    if (!rows->has_strings)
        return mix((uint64_t)rows->numbers[i]);
    memcpy(half, &rows->strings[i], sizeof half);
    return mix(half[0] ^ mix(half[1]));
}

static Sums join_by_hand(const Rows *a, const Rows *b) {
    static Pairs pairs;
    Sums sums = {0};
    double begin = cpu_seconds();
    uint64_t slot_count = 1;
    while (slot_count < 2 * (uint64_t)b->count)
        slot_count *= 2;
    LoopSlot *slots = xcalloc(slot_count, sizeof *slots);
    uint32_t *next = xcalloc(b->count + 1, sizeof *next); /* of the same key, 1 + row */
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t at = hash_of(b, i) & (slot_count - 1);
        while (slots[at].first && !same_key(b, i, b, slots[at].first - 1))
            at = (at + 1) & (slot_count - 1);
        if (slots[at].first)
            next[slots[at].last - 1] = i + 1;
        else
            slots[at].first = i + 1;
        slots[at].last = i + 1;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t at = hash_of(a, i) & (slot_count - 1);
        while (slots[at].first && !same_key(a, i, b, slots[at].first - 1))
            at = (at + 1) & (slot_count - 1);
        for (uint32_t row = slots[at].first; row; row = next[row - 1]) {
            if (a->has_strings)
                pairs.strings[pairs.count] = a->strings[i];
            else
                pairs.numbers[pairs.count] = a->numbers[i];
            pairs.left[pairs.count] = a->values[i];
            pairs.right[pairs.count] = b->values[row - 1];
            if (++pairs.count == CHUNK_ROWS_MAX) {
                sum_up(pairs.left, pairs.right, pairs.count, &sums);
                pairs.count = 0;
            }
        }
    }
    sum_up(pairs.left, pairs.right, pairs.count, &sums);
    pairs.count = 0;
    free(slots);
    free(next);
    sums.seconds = cpu_seconds() - begin;
    return sums;
}

/* ---- by the engine ---- */

typedef struct RowSplit {
    Split split;
    const Rows *rows;
    const Schema *schema;
    uint32_t begin, end, at;
    Column columns[2];
} RowSplit;

static Status split_open(Split *base, Budget *budget, Error *err) {
    (void)budget;
    (void)err;
    RowSplit *split = (RowSplit *)base;
    split->at = split->begin;
    return STATUS_OK;
}

static Status split_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    (void)err;
    RowSplit *split = (RowSplit *)base;
    uint32_t count = split->end - split->at < CHUNK_ROWS_MAX ? split->end - split->at : CHUNK_ROWS_MAX;
    split->columns[0] =
        (Column){.type = &split->schema->fields[0].type,
                 .data = split->rows->has_strings ? (const void *)(split->rows->strings + split->at)
                                                  : (const void *)(split->rows->numbers + split->at)};
    split->columns[1] =
        (Column){.type = &split->schema->fields[1].type, .data = split->rows->values + split->at};
    *chunk = (Chunk){
        .schema = split->schema, .columns = split->columns, .row_count = count, .selected_count = count};
    split->at += count;
    *has = count > 0;
    return STATUS_OK;
}

static void split_close(Split *base) {
    (void)base;
}

static void split_destroy(Split *base) {
    free(base);
}

static const SplitClass row_split_class = {
    .open = split_open, .next_chunk = split_next_chunk, .close = split_close, .destroy = split_destroy};

static void add_splits(SplitList *list, const Rows *rows, const Schema *schema, uint32_t split_count) {
    for (uint32_t s = 0; s < split_count; s++) {
        RowSplit *split = xcalloc(1, sizeof *split);
        *split = (RowSplit){.split = {&row_split_class, rows->count * UINT64_C(16)},
                            .rows = rows,
                            .schema = schema,
                            .begin = (uint32_t)((uint64_t)rows->count * s / split_count),
                            .end = (uint32_t)((uint64_t)rows->count * (s + 1) / split_count)};
        split_list_add(list, &split->split);
    }
}

static void sum_chunk(const LeatChunk *chunk, LeatOut *out, void *user) {
    (void)user;
    Sums sums = {0};
    sum_up(chunk->columns[1].data, chunk->columns[2].data, chunk->row_count, &sums);
    leat_out_i64(out, 0, (int64_t)sums.rows);
    leat_out_i64(out, 1, (int64_t)sums.values);
    leat_out_emit(out);
}

static PlanNode *add_node(Plan *plan, PlanKind kind, const char *call, PlanNode *const *inputs,
                          uint32_t input_count, const char *columns, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    PlanNode *node = plan_add(plan, kind, call, inputs, input_count);
    must(schema_parse(plan->arena, str_from(columns), key_count, &schema, &err), &err);
    node->schema = schema;
    return node;
}

static Plan *make_plan(bool has_strings) {
    Plan *plan = plan_create();
    Error err = {0};
    PlanNode *sources[2], *node;
    for (int i = 0; i < 2; i++) {
        sources[i] = add_node(plan, PLAN_SOURCE, "bench", NULL, 0,
                              has_strings ? "k STRING, v BIGINT" : "k BIGINT, v BIGINT", 1);
        sources[i]->source_kind = "bench";
    }
    node = add_node(plan, PLAN_COGROUP, "leat_join", sources, 2,
                    has_strings ? "k STRING, v BIGINT, v BIGINT" : "k BIGINT, v BIGINT, v BIGINT", 1);
    node->cogroup = COGROUP_INNER;
    node = add_node(plan, PLAN_FLAT_MAP, "leat_flat_map", &node, 1, "rows BIGINT, sum BIGINT", 0);
    node->function = leat_chunk_function("rows BIGINT, sum BIGINT", sum_chunk, NULL);
    node = add_node(plan, PLAN_AGGREGATE, "leat_reduce", &node, 1, "rows BIGINT, sum BIGINT", 0);
    node->function = leat_sum();
    add_node(plan, PLAN_OUTPUT, "leat_foreach_rdd", &node, 1, "rows BIGINT, sum BIGINT", 0);
    must(plan_finish(plan, &err), &err);
    return plan;
}

typedef struct Bench {
    Budget in_flight, state;
    Plan *plan;
    Engine *engine;
    uint32_t worker_count;
} Bench;

static void bench_init(Bench *bench, bool has_strings, uint32_t worker_count) {
    Error err = {0};
    *bench = (Bench){.plan = make_plan(has_strings), .worker_count = worker_count};
    budget_init(&bench->in_flight, "in flight", UINT64_C(4) << 30, NULL);
    budget_init(&bench->state, "state", UINT64_C(4) << 30, NULL);
    must(engine_create(bench->plan,
                       (EngineOptions){.env = env_real(),
                                       .worker_count = worker_count,
                                       .partition_count = 8, /* the default of programs */
                                       .budget_in_flight = &bench->in_flight,
                                       .budget_state = &bench->state},
                       &bench->engine, &err),
         &err);
}

static Sums join_by_engine(Bench *bench, const Rows *a, const Rows *b) {
    EngineInput inputs[2] = {{.has_batch = true}, {.has_batch = true}};
    Error err = {0};
    add_splits(&inputs[0].splits, a, bench->plan->nodes[0]->schema, bench->worker_count);
    add_splits(&inputs[1].splits, b, bench->plan->nodes[1]->schema, bench->worker_count);
    double cpu = cpu_seconds(), wall = wall_seconds();
    must(engine_run(bench->engine, inputs, (EngineBatch){1, 1000}, &err), &err);
    Sums sums = {.seconds = bench->worker_count == 1 ? cpu_seconds() - cpu : wall_seconds() - wall};
    const Chunk *chunk = shared_chunk_view(engine_output(bench->engine, 0)->partitions[0].chunks[0]);
    sums.rows = (uint64_t)column_i64(&chunk->columns[0], 0);
    sums.values = (uint64_t)column_i64(&chunk->columns[1], 0);
    engine_keep(bench->engine);
    split_list_deinit(&inputs[0].splits);
    split_list_deinit(&inputs[1].splits);
    return sums;
}

static void bench_deinit(Bench *bench) {
    engine_destroy(bench->engine);
    plan_destroy(bench->plan);
}

int main(int argc, char **argv) {
    int runs = 5;
    uint32_t row_count = 1000000, worker_count = 1;
    bool has_strings = false, is_wrong = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--strings") == 0)
            has_strings = true;
        else if (has_value && strcmp(argv[i], "--runs") == 0)
            runs = atoi(argv[++i]);
        else if (has_value && strcmp(argv[i], "--rows") == 0)
            row_count = (uint32_t)atoi(argv[++i]);
        else if (has_value && strcmp(argv[i], "--workers") == 0)
            worker_count = (uint32_t)atoi(argv[++i]);
        else
            is_wrong = true;
    }
    if (is_wrong || runs < 1 || row_count < 1 || worker_count < 1) {
        fputs("usage: join [--runs N] [--rows N] [--workers N] [--strings]\n", stderr);
        return 2;
    }
    Rows a = make_rows(row_count, has_strings, 1), b = make_rows(row_count, has_strings, 1000000007);
    Bench bench;
    bench_init(&bench, has_strings, worker_count);
    Sums best_loop = {0}, best = {0};
    for (int turn = 0; turn < runs; turn++) { /* by turns: others use the machine too */
        Sums loop = join_by_hand(&a, &b), engine = join_by_engine(&bench, &a, &b);
        if (engine.rows != loop.rows || engine.values != loop.values) {
            fprintf(stderr, "join: the engine gives %" PRIu64 " rows, the loop %" PRIu64 "\n", engine.rows,
                    loop.rows);
            return 1;
        }
        if (turn == 0 || loop.seconds < best_loop.seconds)
            best_loop = loop;
        if (turn == 0 || engine.seconds < best.seconds)
            best = engine;
    }
    printf("2 x %u rows, %s keys, %" PRIu64 " pairs, %u worker%s\n", row_count,
           has_strings ? "STRING" : "BIGINT", best.rows, worker_count, worker_count == 1 ? "" : "s");
    printf("  engine %6.1f ns a row   loop %6.1f ns a row   ratio %.2f\n",
           best.seconds * 1e9 / (2.0 * row_count), best_loop.seconds * 1e9 / (2.0 * row_count),
           best.seconds / best_loop.seconds);
    bench_deinit(&bench);
    free_rows(&a);
    free_rows(&b);
    return 0;
}
