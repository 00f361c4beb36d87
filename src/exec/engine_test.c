/* The operators as a user meets them: tables of batches, each run under every hostile setting. HOSTILE_TEST
 * THREADS_TEST
 *
 * Input and output are written as text: rows stand between '|', values of a row between ',', '-' is null; ""
 * is an empty batch, NULL no batch. Outputs of one batch stand between ';', one that has no batch is "~". */
#include "exec/engine.h"
#include "base/random.h"
#include "column/builder.h"
#include "check.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- splits ---- */

typedef struct TestSplit {
    Split split;
    const Schema *schema; /* NULL: text */
    Text bytes;           /* lines */
    size_t at;
    Buffer *buffer;
    Builder *builder;
    Budget *budget;
    uint32_t lines_per_piece;
    const char *fault; /* fails with this message at its end */
} TestSplit;

static int open_splits; /* must be 0 after each batch */

static TestSplit *test_split(Split *split) {
    return (TestSplit *)split;
}

static Status test_open(Split *base, Budget *budget, Error *err) {
    TestSplit *split = test_split(base);
    split->budget = budget;
    split->at = 0;
    if (split->schema)
        TRY(builder_create(split->schema, budget, "test split", &split->builder, err));
    __atomic_add_fetch(&open_splits, 1, __ATOMIC_SEQ_CST);
    return STATUS_OK;
}

static void test_close(Split *base) {
    TestSplit *split = test_split(base);
    __atomic_sub_fetch(&open_splits, 1, __ATOMIC_SEQ_CST);
    buffer_release(split->buffer);
    split->buffer = NULL;
    builder_destroy(split->builder);
    split->builder = NULL;
}

static void test_destroy(Split *base) {
    text_deinit(&test_split(base)->bytes);
    free(base);
}

static Status test_end(TestSplit *split, Error *err) {
    return split->fault ? error_set(err, STATUS_IO, "%s", split->fault) : STATUS_OK;
}

static Str next_lines(TestSplit *split, uint32_t count) {
    size_t begin = split->at;
    for (; count > 0 && split->at < split->bytes.size; count--) {
        while (split->bytes.data[split->at] != '\n')
            split->at++;
        split->at++;
    }
    return str_slice(split->bytes.data ? split->bytes.data + begin : "", split->at - begin);
}

static Status test_next_piece(Split *base, TextPiece *piece, Error *err) {
    TestSplit *split = test_split(base);
    *piece = (TextPiece){0};
    Str lines = next_lines(split, split->lines_per_piece);
    buffer_release(split->buffer);
    split->buffer = NULL;
    if (lines.size == 0)
        return test_end(split, err);
    TRY(buffer_create(lines.size, split->budget, "test split", &split->buffer, err));
    memcpy(split->buffer->data, lines.data, lines.size);
    split->buffer->size = lines.size;
    *piece = (TextPiece){.buffer = split->buffer, .end = lines.size};
    return STATUS_OK;
}

static Status put_text(Builder *builder, uint32_t column, LeatType kind, Str text, Error *err) {
    int64_t number = 0;
    double real = 0;
    if (str_equal(text, STR("-")))
        return builder_put_null(builder, column, err);
    switch (kind) {
    case LEAT_BOOLEAN:
        return builder_put_bool(builder, column, str_equal(text, STR("true")), err);
    case LEAT_BIGINT:
    case LEAT_TIMESTAMP:
        CHECK(str_parse_i64(text, &number));
        return builder_put_i64(builder, column, number, err);
    case LEAT_DOUBLE:
        if (str_equal(text, STR("nan")))
            real = (double)NAN;
        else if (str_ends_with(text, STR("inf")))
            real = text.data[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        else
            CHECK(str_parse_f64(text, &real));
        return builder_put_f64(builder, column, real, err);
    default:
        return builder_put_str(builder, column, text, err);
    }
}

static Status test_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    TestSplit *split = test_split(base);
    builder_reset(split->builder);
    while (split->at < split->bytes.size && !builder_is_full(split->builder)) {
        Str line = next_lines(split, 1), part = STR("");
        line.size--;
        for (uint32_t c = 0; c < split->schema->column_count; c++) {
            CHECK(leat_str_split(&line, ',', &part));
            TRY(put_text(split->builder, c, split->schema->fields[c].type.kind, part, err));
        }
        builder_end_row(split->builder);
    }
    builder_chunk(split->builder, chunk);
    *has = chunk->row_count > 0;
    return *has ? STATUS_OK : test_end(split, err);
}

static const SplitClass text_split_class = {
    .open = test_open, .next_piece = test_next_piece, .close = test_close, .destroy = test_destroy};
static const SplitClass row_split_class = {
    .open = test_open, .next_chunk = test_next_chunk, .close = test_close, .destroy = test_destroy};

/* Rows between '|', dealt to `split_count` splits, each a contiguous part. */
static void fill_splits(SplitList *list, const Schema *schema, Str rows, uint32_t split_count) {
    uint32_t row_count = 0, row = 0;
    for (size_t i = 0; i < rows.size; i++)
        row_count += rows.data[i] == '|';
    row_count += rows.size > 0;
    for (uint32_t s = 0; s < split_count; s++) {
        TestSplit *split = calloc(1, sizeof *split);
        split->split.class = schema ? &row_split_class : &text_split_class;
        split->schema = schema;
        split->lines_per_piece = 1 + s % 3;
        split->split.size_bytes = 1 << 20; /* not small: workers take part */
        for (Str part; row < row_count * (s + 1) / split_count && leat_str_split(&rows, '|', &part); row++) {
            text_append(&split->bytes, part);
            text_append_byte(&split->bytes, '\n');
        }
        split_list_add(list, &split->split);
    }
}

/* ---- plans ---- */

static const Schema *schema_of(Plan *plan, const char *text, uint32_t key_count) {
    Schema *schema = NULL;
    Error err = {0};
    if (!CHECK_OK(schema_parse(plan->arena, str_from(text), key_count, &schema, &err), err))
        check_abandon();
    return schema;
}

static PlanNode *source(Plan *plan, const char *columns, uint32_t key_count) {
    PlanNode *node = plan_add(plan, PLAN_SOURCE, "leat_function_stream", NULL, 0);
    node->source_kind = "function";
    node->schema = schema_of(plan, columns, key_count);
    return node;
}

static PlanNode *text_source(Plan *plan) {
    PlanNode *node = source(plan, "value STRING", 0);
    node->is_text = true;
    return node;
}

static PlanNode *op(Plan *plan, PlanKind kind, const char *call, PlanNode *in, LeatFunction function,
                    const char *columns, uint32_t key_count) {
    PlanNode *node = plan_add(plan, kind, call, &in, 1);
    node->function = function;
    node->schema = columns ? schema_of(plan, columns, key_count) : in->schema;
    return node;
}

static PlanNode *map(Plan *plan, PlanNode *in, LeatFunction f, uint32_t key_count) {
    return op(plan, PLAN_MAP, "leat_map", in, f, f.schema, key_count);
}
static PlanNode *flat_map(Plan *plan, PlanNode *in, LeatFunction f, uint32_t key_count) {
    return op(plan, PLAN_FLAT_MAP, "leat_flat_map", in, f, f.schema, key_count);
}
static PlanNode *filter(Plan *plan, PlanNode *in, LeatFunction f) {
    return op(plan, PLAN_FILTER, "leat_filter", in, f, NULL, 0);
}
static PlanNode *reduce_by_key(Plan *plan, PlanNode *in, LeatFunction f) {
    return op(plan, PLAN_AGGREGATE, "leat_reduce_by_key", in, f, NULL, 0);
}
static PlanNode *reduce(Plan *plan, PlanNode *in, LeatFunction f) {
    PlanNode *node = op(plan, PLAN_AGGREGATE, "leat_reduce", in, f, NULL, 0);
    node->schema = schema_slice(plan->arena, in->schema, 0, in->schema->column_count, 0);
    return node;
}
static PlanNode *count(Plan *plan, PlanNode *in) {
    return op(plan, PLAN_COUNT, "leat_count", in, (LeatFunction){0}, "count BIGINT", 0);
}
static PlanNode *both(Plan *plan, PlanNode *a, PlanNode *b) {
    PlanNode *inputs[] = {a, b};
    PlanNode *node = plan_add(plan, PLAN_UNION, "leat_union", inputs, 2);
    node->schema = a->schema;
    return node;
}
static PlanNode *pair(Plan *plan, PlanNode *in, int64_t n) {
    Schema *last = (Schema *)(uintptr_t)schema_of(plan, "n BIGINT", 0);
    PlanNode *node = op(plan, PLAN_MAP, "leat_map", in, leat_pair_with_i64(n), NULL, 0);
    node->schema = schema_concat(plan->arena, in->schema, last, in->schema->column_count);
    return node;
}
static PlanNode *update_by_key(Plan *plan, PlanNode *in, LeatFunction f) {
    PlanNode *node = op(plan, PLAN_KEYED_PROCESS, "leat_update_state_by_key", in, f, NULL, 0);
    const Schema *keys =
        schema_slice(plan->arena, in->schema, 0, in->schema->key_count, in->schema->key_count);
    node->state_schema = schema_of(plan, f.schema, 0);
    node->schema = schema_concat(plan->arena, keys, node->state_schema, in->schema->key_count);
    return node;
}
static PlanNode *cogroup(Plan *plan, PlanCogroup mode, PlanNode *a, PlanNode *b) {
    PlanNode *inputs[] = {a, b};
    const Schema *schemas[] = {a->schema, b ? b->schema : NULL};
    PlanNode *node = plan_add(plan, PLAN_COGROUP, "leat_join", inputs, b ? 2 : 1);
    node->cogroup = mode;
    node->schema = plan_cogroup_schema(plan->arena, mode, schemas, b ? 2 : 1, a->schema->key_count);
    return node;
}
static PlanNode *print(Plan *plan, PlanNode *in) {
    return op(plan, PLAN_OUTPUT, "leat_print", in, (LeatFunction){0}, NULL, 0);
}

/* ---- what a batch gave ---- */

static void put_value(const Column *column, uint32_t row, Text *out) {
    if (column_is_null(column, row)) {
        text_append_byte(out, '-');
        return;
    }
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        text_append(out, column_bool(column, row) ? STR("true") : STR("false"));
        break;
    case LEAT_BIGINT:
    case LEAT_TIMESTAMP:
        text_appendf(out, "%" PRId64, column_i64(column, row));
        break;
    case LEAT_DOUBLE:
        text_appendf(out, "%.17g", column_f64(column, row));
        break;
    case LEAT_ARRAY:
    case LEAT_STRUCT:
        column_format(column, row, out);
        break;
    default:
        text_append(out, column_str(column, row));
    }
}

static int compare_rows(const void *a, const void *b) {
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static void put_output(const BatchData *data, bool is_sorted, Text *out) {
    enum { ROWS_MAX = 10000 };
    static Str rows[ROWS_MAX];
    Text text = {0};
    size_t ends[ROWS_MAX], row_count = 0;
    for (uint32_t p = 0; p < data->partition_count; p++)
        for (uint32_t i = 0; i < data->partitions[p].chunk_count; i++) {
            const Chunk *chunk = shared_chunk_view(data->partitions[p].chunks[i]);
            chunk_verify(chunk);
            for (uint32_t row = 0; row < chunk->row_count; row++) {
                REQUIRE(row_count < ROWS_MAX);
                for (uint32_t c = 0; c < data->schema->column_count; c++) {
                    text_append(&text, c ? STR(",") : STR(""));
                    put_value(&chunk->columns[c], row, &text);
                }
                ends[row_count++] = text.size;
            }
        }
    CHECK_EQ(data->row_count, row_count);
    for (size_t i = 0; i < row_count; i++)
        rows[i] = str_slice(text.data + (i ? ends[i - 1] : 0), ends[i] - (i ? ends[i - 1] : 0));
    if (is_sorted && row_count)
        qsort(rows, row_count, sizeof rows[0], compare_rows);
    for (size_t i = 0; i < row_count; i++) {
        text_append(out, i ? STR("|") : STR(""));
        text_append(out, rows[i]);
    }
    text_deinit(&text);
}

/* ---- running ---- */

typedef struct Settings {
    uint32_t chunk_rows_max, worker_count, partition_count, split_count;
    bool constant_hash, delta_restart; /* a new engine after every batch, from the deltas so far */
} Settings;

static const Settings plain_settings = {0, 1, 1, 1, false, false};

typedef struct Machine {
    Plan *plan;
    Settings settings;
    Budget in_flight, state;
    Engine *engine;
    uint32_t source_count, output_count;
    const Schema *source_schemas[4]; /* NULL: text */
    Error error;
} Machine;

static void machine_start(Machine *machine) {
    EngineOptions options = {.env = env_real(),
                             .worker_count = machine->settings.worker_count,
                             .partition_count = machine->settings.partition_count,
                             .budget_in_flight = &machine->in_flight,
                             .budget_state = &machine->state,
                             .chunk_rows_max = machine->settings.chunk_rows_max,
                             .constant_hash = machine->settings.constant_hash};
    Error err = {0};
    if (!CHECK_OK(engine_create(machine->plan, options, &machine->engine, &err), err))
        check_abandon();
}

static void machine_init(Machine *machine, void (*build)(Plan *plan), Settings settings) {
    *machine = (Machine){.plan = plan_create(), .settings = settings};
    budget_init(&machine->in_flight, "in flight", 1 << 28, NULL);
    budget_init(&machine->state, "state", 1 << 28, NULL);
    Error err = {0};
    build(machine->plan);
    if (!CHECK_OK(plan_finish(machine->plan, &err), err))
        check_abandon();
    for (uint32_t i = 0; i < machine->plan->node_count; i++) {
        const PlanNode *node = machine->plan->nodes[i];
        if (node->kind == PLAN_SOURCE)
            machine->source_schemas[machine->source_count++] = node->is_text ? NULL : node->schema;
        machine->output_count += node->kind == PLAN_OUTPUT;
    }
    machine_start(machine);
}

static void machine_deinit(Machine *machine) {
    engine_destroy(machine->engine);
    plan_destroy(machine->plan);
    CHECK_EQ(machine->in_flight.used_bytes, 0);
    CHECK_EQ(machine->state.used_bytes, 0);
}

/* One batch; `rows` of several sources stand between ';', a source without a batch is "~". */
static Status machine_run(Machine *machine, const char *rows, int64_t time_ms, const char *fault) {
    EngineInput inputs[4] = {0};
    Str rest = str_from(rows ? rows : "~"), part = STR("");
    for (uint32_t s = 0; s < machine->source_count; s++) {
        if (s == 0 || rest.data)
            leat_str_split(&rest, ';', &part);
        inputs[s].has_batch = !str_equal(part, STR("~"));
        if (inputs[s].has_batch)
            fill_splits(&inputs[s].splits, machine->source_schemas[s], part, machine->settings.split_count);
    }
    if (fault)
        test_split(inputs[0].splits.splits[inputs[0].splits.count - 1])->fault = fault;
    machine->error = (Error){0};
    Status st = engine_run(machine->engine, inputs, (EngineBatch){(uint64_t)time_ms / 1000, time_ms},
                           &machine->error);
    CHECK_EQ(open_splits, 0);
    for (uint32_t s = 0; s < machine->source_count; s++)
        split_list_deinit(&inputs[s].splits);
    return st;
}

static void machine_outputs(Machine *machine, bool is_sorted, Text *out) {
    text_reset(out);
    text_append(out, STR(""));
    for (uint32_t i = 0; i < machine->output_count; i++) {
        const BatchData *data = engine_output(machine->engine, i);
        text_append(out, i ? STR(";") : STR(""));
        if (data)
            put_output(data, is_sorted, out);
        else
            text_append_byte(out, '~');
    }
}

static Engine *restarted(Machine *machine, const Text *deltas, uint32_t delta_count) {
    engine_destroy(machine->engine);
    machine_start(machine);
    for (uint32_t i = 0; i < delta_count; i++) {
        Error err = {0};
        CHECK_OK(engine_apply_delta(machine->engine, text_str(&deltas[i]), &err), err);
    }
    return machine->engine;
}

enum { BATCHES_MAX = 8 };

typedef struct Case {
    const char *name;
    void (*build)(Plan *plan);
    bool is_sorted;                                 /* keyed results: compared as sets */
    const char *in[BATCHES_MAX], *out[BATCHES_MAX]; /* `out` NULL: the end */
} Case;

static void run_case(const Case *c, Settings settings) {
    Machine machine;
    Text got = {0}, deltas[BATCHES_MAX] = {0};
    machine_init(&machine, c->build, settings);
    for (uint32_t b = 0; b < BATCHES_MAX && c->out[b]; b++) {
        bool is_right = CHECK_EQ(machine_run(&machine, c->in[b], 1000 * (b + 1), NULL), STATUS_OK);
        if (!is_right)
            printf("    %s\n", machine.error.message);
        if (is_right) {
            machine_outputs(&machine, c->is_sorted, &got);
            is_right = CHECK_STR(got.data, c->out[b]);
            engine_delta(machine.engine, &deltas[b]);
            engine_keep(machine.engine);
        }
        if (!is_right) {
            printf("    case '%s' batch %u: chunks of %u, %s, %u workers, %u partitions, %u splits%s\n",
                   c->name, b + 1, settings.chunk_rows_max, settings.constant_hash ? "one hash" : "hashes",
                   settings.worker_count, settings.partition_count, settings.split_count,
                   settings.delta_restart ? ", restarts" : "");
            break;
        }
        if (settings.delta_restart)
            restarted(&machine, deltas, b + 1);
    }
    for (uint32_t b = 0; b < BATCHES_MAX; b++)
        text_deinit(&deltas[b]);
    text_deinit(&got);
    machine_deinit(&machine);
}

/* Every setting with LEAT_TEST_LONG, else a ninth of them, another ninth for each case. */
static void run_hostile(const Case *c, uint32_t turn) {
    static const uint32_t rows[] = {1, 3, 2048}, counts[] = {1, 2, 7};
    bool is_long = getenv("LEAT_TEST_LONG");
    uint32_t index = turn;
    run_case(c, plain_settings);
    for (uint32_t r = 0; r < 3; r++)
        for (uint32_t hash = 0; hash < 2; hash++)
            for (uint32_t w = 0; w < 3; w++)
                for (uint32_t p = 0; p < 3; p++)
                    for (uint32_t s = 0; s < 3; s++)
                        for (uint32_t restart = 0; restart < 2; restart++)
                            if (is_long || index++ * 5 % 23 == 0)
                                run_case(c,
                                         (Settings){rows[r], counts[w], counts[p], counts[s], hash, restart});
}

/* ---- functions ---- */

static void to_text(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    char text[32];
    int size = snprintf(text, sizeof text, "<%" PRId64 ">", leat_row_i64(row, 0));
    leat_out_str(out, 0, (LeatStr){text, (size_t)size});
    leat_out_emit(out);
}
static void and_double(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(row, 0));
    leat_out_emit(out);
    leat_out_i64(out, 0, 2 * leat_row_i64(row, 0));
    leat_out_emit(out);
}
static bool is_even(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 0) % 2 == 0;
}
static void plus(const LeatRow *row, LeatOut *out, void *user) { /* the emit is left out */
    leat_out_i64(out, 0, leat_row_i64(row, 0) + (int64_t)(intptr_t)user);
}
static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
    leat_out_emit(out);
}
/* Shows the order of values: (first, last, how many null), strings of any length. */
static void first_last(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(a, 0));
    leat_out_str(out, 1, leat_row_str(b, 1));
}
static void split_words(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr rest = leat_row_str(row, 0), word;
    while (leat_str_split(&rest, ' ', &word)) {
        leat_out_str(out, 0, word);
        leat_out_emit(out);
    }
}
/* A view of the line; a copy of its own, when it has more than three bytes; null; or a column that is not set. */
static void mark_words(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr rest = leat_row_str(row, 0), word;
    while (leat_str_split(&rest, ' ', &word)) {
        char copy[64];
        int size = snprintf(copy, sizeof copy, "<%.*s>", (int)word.size, word.data);
        if (leat_str_equal(word, leat_str("null")))
            leat_out_null(out, 0);
        else if (!leat_str_equal(word, leat_str("unset")))
            leat_out_str(out, 0, word.size > 3 ? leat_str_slice(copy, (size_t)size) : word);
        leat_out_emit(out);
    }
}
static void pass_on(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    if (leat_row_is_null(row, 0))
        leat_out_null(out, 0);
    else if (leat_row_str(row, 0).size) /* the empty text is what a column is that is not set */
        leat_out_str(out, 0, leat_row_str(row, 0));
}
static void count_parts(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr text = leat_row_str(row, 0), rest = text, part;
    char shown[80];
    int parts = leat_row_is_null(row, 0) ? -1 : 0;
    while (parts >= 0 && leat_str_split(&rest, '-', &part))
        parts++;
    int size = snprintf(shown, sizeof shown, "%d%.*s", parts, (int)text.size, text.data);
    leat_out_str(out, 0, leat_str_slice(shown, (size_t)size));
}
static void pair_one(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, 1);
    leat_out_emit(out);
}
static void add_ten(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, leat_row_i64(row, 1) + 10);
}
static void same_and_ten_more(const LeatRow *row, LeatOut *out, void *user) {
    for (int64_t more = 0; more <= 10; more += 10) {
        (void)user;
        leat_out_str(out, 0, leat_row_str(row, 0));
        leat_out_i64(out, 1, leat_row_i64(row, 1) + more);
        leat_out_emit(out);
    }
}
static void negate_chunk(const LeatChunk *chunk, LeatOut *out, void *user) {
    (void)user;
    leat_out_reserve(out, chunk->row_count);
    int64_t *values = leat_out_i64s(out, 0);
    LeatRow row = {chunk->columns, chunk->column_count, 0};
    for (row.index = 0; row.index < chunk->row_count; row.index++)
        values[row.index] = -leat_row_i64(&row, 0);
    leat_out_emit_rows(out, chunk->row_count);
}
static bool sum_state(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}
static bool add_time(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    if (leat_update_value_count(key) > 0)
        leat_update_set_state_i64(key, 0, sum + leat_update_batch_time_ms(key));
    return true;
}
/* (count, batches without data); dropped after the second of these. */
static bool live_and_die(const LeatUpdate *key, void *user) {
    (void)user;
    bool has_data = leat_update_value_count(key) > 0;
    int64_t total = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    int64_t idle = leat_update_has_state(key) ? leat_update_state_i64(key, 1) : 0;
    if (!has_data && idle == 1)
        return false;
    leat_update_set_state_i64(key, 0, total + (int64_t)leat_update_value_count(key));
    leat_update_set_state_i64(key, 1, has_data ? 0 : 1);
    return true;
}
/* All values so far, the null ones as '?', and whether there was one in this batch. */
static bool list_values(const LeatUpdate *key, void *user) {
    (void)user;
    if (leat_update_value_count(key) == 0)
        return true; /* stays as it is */
    char text[400];
    size_t size = 0;
    if (leat_update_has_state(key)) {
        LeatStr before = leat_update_state_str(key, 0);
        memcpy(text, before.data, size = before.size);
    }
    bool has_null = false;
    for (size_t i = 0; i < leat_update_value_count(key); i++) {
        LeatRow row = leat_update_value(key, i);
        LeatStr value = leat_row_is_null(&row, 0) ? leat_str("?") : leat_row_str(&row, 0);
        has_null |= leat_row_is_null(&row, 0);
        memcpy(text + size, value.data, value.size);
        size += value.size;
    }
    leat_update_set_state_str(key, 0, (LeatStr){text, size});
    leat_update_set_state_bool(
        key, 1, leat_row_bool(&(LeatRow){key->values, key->value_column_count, key->value_begin}, 1));
    if (has_null)
        leat_update_set_state_null(key, 2);
    else
        leat_update_set_state_f64(key, 2, 0.5);
    return true;
}
static bool never_any_state(const LeatUpdate *key, void *user) {
    (void)user;
    (void)key;
    return true;
}

/* ---- plans of the cases ---- */

static void map_to_text(Plan *p) {
    print(p, map(p, source(p, "n BIGINT", 0), leat_function("s STRING", to_text, NULL), 0));
}
static void flat_map_double(Plan *p) {
    print(p, flat_map(p, source(p, "n BIGINT", 0), leat_function("n BIGINT", and_double, NULL), 0));
}
static void filter_even(Plan *p) {
    print(p, filter(p, source(p, "n BIGINT", 0), leat_predicate(is_even, NULL)));
}
static void reduce_by_function(Plan *p) {
    print(p, reduce(p, source(p, "n BIGINT", 0), leat_reduce_function(add, NULL)));
}
static void reduce_by_sum(Plan *p) {
    print(p, reduce(p, source(p, "n BIGINT", 0), leat_sum()));
}
static void count_rows(Plan *p) {
    print(p, count(p, source(p, "n BIGINT", 0)));
}
static void count_by_value(Plan *p) {
    print(p, reduce_by_key(p, pair(p, source(p, "n BIGINT", 0), 1), leat_sum()));
}
static PlanNode *words_and_ones(Plan *p) {
    return map(p, text_source(p), leat_function("w STRING, n BIGINT", pair_one, NULL), 1);
}
static void sum_by_word(Plan *p) {
    print(p, reduce_by_key(p, words_and_ones(p), leat_sum()));
}
static void sum_by_word_function(Plan *p) {
    print(p, reduce_by_key(p, words_and_ones(p), leat_reduce_function(add, NULL)));
}
static void sum_then_map(Plan *p) {
    PlanNode *sums = reduce_by_key(p, words_and_ones(p), leat_sum());
    print(p, map(p, sums, leat_function("w STRING, n BIGINT", add_ten, NULL), 1));
    print(p, flat_map(p, sums, leat_function("w STRING, n BIGINT", same_and_ten_more, NULL), 1));
    print(p, count(p, sums));
}
static PlanNode *plus_n(Plan *p, PlanNode *in, intptr_t n) {
    return map(p, in, leat_function("n BIGINT", plus, (void *)n), 0);
}
static void union_two(Plan *p) {
    PlanNode *in = source(p, "n BIGINT", 0);
    print(p, both(p, in, plus_n(p, in, 4)));
}
static void union_three(Plan *p) {
    PlanNode *in = source(p, "n BIGINT", 0);
    print(p, both(p, both(p, in, plus_n(p, in, 4)), plus_n(p, in, 8)));
}
static void union_of_itself_and_sums(Plan *p) {
    PlanNode *in = source(p, "n BIGINT", 0);
    PlanNode *twice = both(p, in, in);
    PlanNode *all = both(p, both(p, reduce(p, twice, leat_sum()), twice), reduce(p, in, leat_sum()));
    print(p, all);
    print(p, reduce(p, all, leat_sum()));
    print(p, count(p, all));
}
static void union_of_sources(Plan *p) {
    PlanNode *a = source(p, "n BIGINT", 0), *b = source(p, "m BIGINT", 0);
    print(p, both(p, a, b));
}
static void word_count(Plan *p) {
    PlanNode *words = flat_map(p, text_source(p), leat_split(" "), 0);
    print(p, reduce_by_key(p, pair(p, words, 1), leat_sum()));
}
static void word_count_by_functions(Plan *p) {
    PlanNode *words = flat_map(p, text_source(p), leat_function("w STRING", split_words, NULL), 0);
    print(p, reduce_by_key(p, map(p, words, leat_function("w STRING, n BIGINT", pair_one, NULL), 1),
                           leat_sum()));
}
static void functions_in_a_row(Plan *p) {
    PlanNode *words = flat_map(p, text_source(p), leat_function("w STRING", mark_words, NULL), 0);
    PlanNode *same = map(p, words, leat_function("w STRING", pass_on, NULL), 0);
    print(p, map(p, same, leat_function("w STRING", count_parts, NULL), 0));
}
static void split_by_several(Plan *p) {
    PlanNode *lines = text_source(p);
    PlanNode *parts = flat_map(p, lines, leat_split(", "), 0);
    print(p, parts);
    print(p, flat_map(p, parts, leat_split(" "), 0));
    print(p, filter(p, lines, leat_contains("needle in a haystack")));
}
static void folds(Plan *p) {
    PlanNode *in = source(p, "k STRING, n BIGINT, x DOUBLE, t TIMESTAMP, b BOOLEAN, s STRING", 1);
    print(p, reduce_by_key(p, in, leat_min()));
    print(p, reduce_by_key(p, in, leat_max()));
}
static void sums_of_columns(Plan *p) {
    print(p, reduce_by_key(p, source(p, "k BIGINT, n BIGINT, x DOUBLE", 1), leat_sum()));
}
static void sums_by_double(Plan *p) {
    print(p, reduce_by_key(p, source(p, "x DOUBLE, n BIGINT", 1), leat_sum()));
}
static void sums_by_two(Plan *p) {
    print(p, reduce_by_key(p, source(p, "a STRING, b BIGINT, n BIGINT", 2), leat_sum()));
}
static void sums_by_boolean(Plan *p) {
    print(p, reduce_by_key(p, source(p, "b BOOLEAN, n BIGINT", 1), leat_sum()));
}
static void distinct(Plan *p) {
    print(p, reduce_by_key(p, source(p, "k STRING", 1), leat_sum()));
}
static void min_double(Plan *p) {
    PlanNode *in = source(p, "k STRING, x DOUBLE", 1);
    print(p, reduce_by_key(p, in, leat_min()));
    print(p, reduce_by_key(p, in, leat_max()));
}
static void concat(Plan *p) {
    PlanNode *in = source(p, "k STRING, s STRING", 1);
    print(p, reduce_by_key(p, in, leat_concat("+")));
    print(p, reduce(p, in, leat_concat("/")));
}
/* Sums, but 13 makes them null. */
static void add_or_null(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    if (leat_row_i64(b, 0) == 13)
        leat_out_null(out, 0);
    else
        leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
}
static void sums_or_null(Plan *p) {
    print(p, reduce_by_key(p, source(p, "k STRING, n BIGINT", 1), leat_reduce_function(add_or_null, NULL)));
}
static void first_and_last(Plan *p) {
    print(p, reduce_by_key(p, source(p, "k STRING, a STRING, b STRING", 1),
                           leat_reduce_function(first_last, NULL)));
}
static void chunk_function(Plan *p) {
    PlanNode *in = source(p, "n BIGINT", 0);
    PlanNode *even = filter(p, in, leat_predicate(is_even, NULL));
    print(p, map(p, even, leat_chunk_function("n BIGINT", negate_chunk, NULL), 0));
    print(p, flat_map(p, in, leat_chunk_function("n BIGINT", negate_chunk, NULL), 0));
}
static void running_sum(Plan *p) {
    print(p, update_by_key(p, words_and_ones(p), leat_update_function("sum BIGINT", sum_state, NULL)));
}
static void running_time(Plan *p) {
    print(p, update_by_key(p, words_and_ones(p), leat_update_function("sum BIGINT", add_time, NULL)));
}
static void lifecycle(Plan *p) {
    PlanNode *state = update_by_key(p, words_and_ones(p),
                                    leat_update_function("n BIGINT, idle BIGINT", live_and_die, NULL));
    print(p, state);
    print(p, count(p, state));
}
static void lists(Plan *p) {
    PlanNode *in = source(p, "a STRING, b BIGINT, s STRING, f BOOLEAN", 2);
    print(p,
          update_by_key(p, in, leat_update_function("all STRING, f BOOLEAN, x DOUBLE", list_values, NULL)));
}
static void state_over_sums(Plan *p) {
    PlanNode *sums = reduce_by_key(p, words_and_ones(p), leat_sum());
    PlanNode *running = update_by_key(p, sums, leat_update_function("sum BIGINT", sum_state, NULL));
    print(p, update_by_key(p, running, leat_update_function("sum BIGINT", sum_state, NULL)));
}
static void no_state(Plan *p) {
    print(p, update_by_key(p, words_and_ones(p), leat_update_function("n BIGINT", never_any_state, NULL)));
}
static void three_consumers(Plan *p) {
    PlanNode *even = filter(p, source(p, "n BIGINT", 0), leat_predicate(is_even, NULL));
    print(p, even);
    print(p, reduce(p, even, leat_sum()));
    print(p, plus_n(p, even, 1));
}

static void sums_of_doubles(Plan *p) {
    PlanNode *in = source(p, "k STRING, x DOUBLE", 1);
    print(p, reduce_by_key(p, in, leat_sum()));
    print(p, reduce(p, in, leat_max()));
}

#define LONG_A "a word that is longer than twelve bytes"
#define LONG_B "another word that is longer than twelve bytes"

/* Functions over values, behind a filter whose chunks have a selection. */
static PlanNode *over_values(Plan *p, PlanKind kind, PlanNode *in, LeatFunction f) {
    PlanNode *node = op(p, kind, "leat_map_values", in, f, NULL, 0);
    node->kept_count = in->schema->key_count;
    node->schema = schema_concat(p->arena, schema_slice(p->arena, in->schema, 0, node->kept_count, 0),
                                 schema_of(p, f.schema, 0), node->kept_count);
    return node;
}
static bool has_even_value(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 2) % 2 == 0;
}
static void values(Plan *p) {
    PlanNode *in = source(p, "k STRING, b BOOLEAN, n BIGINT", 2);
    PlanNode *even = filter(p, in, leat_predicate(has_even_value, NULL));
    for (uint32_t i = 0; i < 2; i++) {
        print(p, over_values(p, PLAN_MAP, i ? even : in, leat_function("n BIGINT", plus, (void *)10)));
        print(p,
              over_values(p, PLAN_MAP, i ? even : in, leat_chunk_function("n BIGINT", negate_chunk, NULL)));
        print(p, over_values(p, PLAN_FLAT_MAP, i ? even : in, leat_function("n BIGINT", and_double, NULL)));
    }
}
/* The sum of cubes and how many: what is kept of a key has other columns than its values. */
static void cube(const LeatRow *value, LeatOut *out, void *user) {
    (void)user;
    int64_t n = leat_row_is_null(value, 0) ? 0 : leat_row_i64(value, 0);
    leat_out_f64(out, 0, (double)(n * n * n));
    leat_out_i64(out, 1, 1);
}
static void and_cube(const LeatRow *kept, const LeatRow *value, LeatOut *out, void *user) {
    (void)user;
    int64_t n = leat_row_is_null(value, 0) ? 0 : leat_row_i64(value, 0);
    leat_out_f64(out, 0, leat_row_f64(kept, 0) + (double)(n * n * n));
    leat_out_i64(out, 1, leat_row_i64(kept, 1) + 1);
}
static void both_cubes(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_f64(out, 0, leat_row_f64(a, 0) + leat_row_f64(b, 0));
    leat_out_i64(out, 1, leat_row_i64(a, 1) + leat_row_i64(b, 1));
}
static void combine_cubes(Plan *p) {
    PlanNode *in = source(p, "k STRING, n BIGINT", 1);
    for (int i = 0; i < 2; i++) {
        LeatCombine functions = {cube, and_cube, i ? NULL : both_cubes, i};
        LeatFunction f = leat_combine_function("sum DOUBLE, count BIGINT", functions, NULL);
        print(p,
              op(p, PLAN_AGGREGATE, "leat_combine_by_key", in, f, "k STRING, sum DOUBLE, count BIGINT", 1));
    }
}
/* Lists of one value and of several, of one input and of two. */
static void groups(Plan *p) {
    PlanNode *a = source(p, "k STRING, n BIGINT", 1), *b = source(p, "k STRING, s STRING, d DOUBLE", 1);
    print(p, cogroup(p, COGROUP_LISTS, a, NULL));
    print(p, cogroup(p, COGROUP_LISTS, b, NULL));
    print(p, cogroup(p, COGROUP_LISTS, a, b));
}
static void joins(Plan *p) {
    PlanNode *a = source(p, "k STRING, n BIGINT", 1), *b = source(p, "k STRING, s STRING, d DOUBLE", 1);
    for (PlanCogroup mode = COGROUP_INNER; mode <= COGROUP_FULL; mode++)
        print(p, cogroup(p, mode, a, b));
}
static void joins_by_two(Plan *p) {
    PlanNode *a = source(p, "k DOUBLE, l BOOLEAN, n BIGINT", 2),
             *b = source(p, "k DOUBLE, l BOOLEAN, m BIGINT", 2);
    print(p, cogroup(p, COGROUP_FULL, a, b));
}
/* Rows that join themselves, and rows that were joined: options and lists are values like others. */
static void joins_of_joins(Plan *p) {
    PlanNode *a = source(p, "k BIGINT, n BIGINT", 1), *b = source(p, "k BIGINT, m STRING", 1);
    print(p, cogroup(p, COGROUP_INNER, a, a));
    print(p, cogroup(p, COGROUP_LEFT, cogroup(p, COGROUP_LISTS, a, NULL), cogroup(p, COGROUP_FULL, a, b)));
    print(p, cogroup(p, COGROUP_LISTS, cogroup(p, COGROUP_FULL, a, b), NULL));
    print(p, cogroup(p, COGROUP_INNER, both(p, a, a), b));
}

static const Case cases[] = {
    {"map", map_to_text, false, {"1|2|3|4", "5|6|7|8", ""}, {"<1>|<2>|<3>|<4>", "<5>|<6>|<7>|<8>", ""}},
    {"flat_map", flat_map_double, false, {"1|2|3|4", "5"}, {"1|2|2|4|3|6|4|8", "5|10"}},
    {"filter", filter_even, false, {"1|2|3|4", "5|7", "6|8", NULL}, {"2|4", "", "6|8", "~"}},
    {"reduce",
     reduce_by_function,
     false,
     {"1|2|3|4", "5|6|7|8", "", "9|10|11|12", NULL},
     {"10", "26", "", "42", "~"}},
    {"reduce sum",
     reduce_by_sum,
     false,
     {"1|2|3|4", "", "-|-", "-|5", "9223372036854775807|1"},
     {"10", "", "-", "5", "-9223372036854775808"}},
    {"count", count_rows, false, {"", "1", "1|2", "1|2|3", "1|2|3|4", NULL}, {"0", "1", "2", "3", "4", "~"}},
    {"countByValue",
     count_by_value,
     true,
     {"1", "1|1|1", "1|2", "1|1|2|2", "-|1|-"},
     {"1,1", "1,3", "1,1|2,1", "1,2|2,2", "-,2|1,1"}},
    {"reduceByKey", sum_by_word, true, {"a|a|b", "|", "", "a", NULL}, {"a,2|b,1", ",2", "", "a,1", "~"}},
    {"reduceByKey function",
     sum_by_word_function,
     true,
     {"a|a|b", "|", "", LONG_A "|b|" LONG_A},
     {"a,2|b,1", ",2", "", LONG_A ",2|b,1"}},
    {"mapValues",
     sum_then_map,
     true,
     {"a|a|b", "|", ""},
     {"a,12|b,11;a,12|a,2|b,1|b,11;2", ",12;,12|,2;1", ";;0"}},
    {"union",
     union_two,
     false,
     {"1|2|3|4", "101|102|103|104", ""},
     {"1|2|3|4|5|6|7|8", "101|102|103|104|105|106|107|108", ""}},
    {"union of unions",
     union_three,
     false,
     {"1|2|3|4", "201"},
     {"1|2|3|4|5|6|7|8|9|10|11|12", "201|205|209"}},
    {"union with itself",
     union_of_itself_and_sums,
     false,
     {"1|2", "5", ""},
     {"6|1|2|1|2|3;15;6", "10|5|5|5;25;4", ";;0"}},
    {"union of sources", union_of_sources, false, {"1|2;3|4", ";5", "6;"}, {"1|2|3|4", "5", "6"}},
    {"word count",
     word_count,
     true,
     {"to be or|not to be", "", "a  b|", LONG_A "|" LONG_A},
     {"be,2|not,1|or,1|to,2", "", ",2|a,1|b,1", "a,2|bytes,2|is,2|longer,2|than,2|that,2|twelve,2|word,2"}},
    {"word count by functions",
     word_count_by_functions,
     true,
     {"to be or|not to be", "", "a  b|"},
     {"be,2|not,1|or,1|to,2", "", ",2|a,1|b,1"}},
    {"a column of strings goes from function to function",
     functions_in_a_row,
     false,
     {"a- unset bb|c", "null x|abcdefghijklmnop-qrs y unset", "longer-than-twelve|d"},
     {"2a-|1|1bb|1c", "-1|1x|2<abcdefghijklmnop-qrs>|1y|1", "3<longer-than-twelve>|1d"}},
    {"split and contains",
     split_by_several,
     false,
     {"a, b|, |c", LONG_A ", a needle in a haystack", ""},
     {"a|b|||c;a|b|||c;",
      LONG_A "|a needle in a haystack;a|word|that|is|longer|than|twelve|bytes|a|needle|in|a|haystack;" LONG_A
             ", a needle in a haystack",
      ";;"}},
    {"min and max",
     folds,
     true,
     {"a,1,2.5,7,true,x|a,-3,nan,9,false," LONG_A "|a,-,-,-,-,-|b,-,-,-,-,-|c,4,nan,-1,true,"},
     {"a,-3,2.5,7,false," LONG_A
      "|b,-,-,-,-,-|c,4,nan,-1,true,;a,1,nan,9,true,x|b,-,-,-,-,-|c,4,nan,-1,true,"}},
    {"sums of several columns",
     sums_of_columns,
     true,
     {"1,2,0.5|1,3,-|2,-,-|-,1,1|1,4,0.25"},
     {"-,1,1|1,9,0.75|2,-,-"}},
    {"a DOUBLE key", sums_by_double, true, {"0,1|-0,2|nan,3|nan,4|1.5,5|-,6"}, {"-,6|0,3|1.5,5|nan,7"}},
    {"a key of two columns",
     sums_by_two,
     true,
     {"a,1,1|a,2,2|a,1,3|-,1,4|-,-,5|,1,6|-,1,7|" LONG_A ",1,8|" LONG_A ",1,9"},
     {",1,6|-,-,5|-,1,11|" LONG_A ",1,17|a,1,4|a,2,2"}},
    {"a BOOLEAN key", sums_by_boolean, true, {"true,1|false,2|true,3|-,4"}, {"-,4|false,2|true,4"}},
    {"keys without values", distinct, true, {"a|b|a|-|-", ""}, {"-|a|b", ""}},
    {"min of DOUBLE",
     min_double,
     true,
     {"a,-0|a,0|b,nan|c,-inf|c,inf|d,1|d,nan", "a,1|a,-"},
     {"a,-0|b,nan|c,-inf|d,1;a,0|b,nan|c,inf|d,nan", "a,1;a,1"}},
    {"concat",
     concat,
     true,
     {"a,1|b,2|a,3|a,|b," LONG_A "|a,-|c,-|a,5", ""},
     {"a,1+3++5|b,2+" LONG_A "|c,-;a/b/a/a/b/a/c/a,1/2/3//" LONG_A "/5", ";"}},
    {"first and last",
     first_and_last,
     true,
     {"a,1,x|b," LONG_A ",y|a,2,z|b,3," LONG_B "|a,4,w"},
     {"a,1,w|b," LONG_A "," LONG_B}},
    /* 6616326155283851669 is the word that would be stored as zero (A5 of op_aggregate.c). */
    {"nulls and odd words of a function",
     sums_or_null,
     true,
     {"a,1|b,6616326155283851668|b,1|c,9|a,2|b,1", "a,6616326155283851669|b,1|c,2|b,3|a,0",
      "a,1|a,13|b,2|c,5|b,3", "a,-|a,4|b,1|b,-|c,-"},
     {"a,3|b,6616326155283851670|c,9", "a,6616326155283851669|b,4|c,2", "a,-|b,5|c,5", "a,4|b,1|c,-"}},
    {"sum of minus zero",
     sums_of_doubles,
     true,
     {"a,-0|a,-0|b,-0|b,0", "a,-0"},
     {"a,-0|b,0;b,0", "a,-0;a,-0"}},
    {"chunk functions", chunk_function, false, {"1|2|3|4", "5", ""}, {"-2|-4;-1|-2|-3|-4", ";-5", ";"}},
    {"updateStateByKey",
     running_sum,
     true,
     {"a", "a|b", "a|b|c", "a|b", "a", ""},
     {"a,1", "a,2|b,1", "a,3|b,2|c,1", "a,4|b,3|c,1", "a,5|b,3|c,1", "a,5|b,3|c,1"}},
    {"batch time",
     running_time,
     true,
     {"a|c", "a|b", "a|b|c", "a|b", "a", ""},
     {"a,1000|c,1000", "a,3000|b,2000|c,1000", "a,6000|b,5000|c,4000", "a,10000|b,9000|c,4000",
      "a,15000|b,9000|c,4000", "a,15000|b,9000|c,4000"}},
    {"lifecycle",
     lifecycle,
     true,
     {"a|b", NULL, "a|c|a", "c", NULL, NULL},
     {"a,1,0|b,1,0;2", "a,1,1|b,1,1;2", "a,3,0|c,1,0;2", "a,3,1|c,2,0;2", "c,2,1;1", ";0"}},
    {"state never had",
     lifecycle,
     true,
     {NULL, "", NULL, "a", NULL},
     {"~;~", ";0", ";0", "a,1,0;1", "a,1,1;1"}},
    {"nothing set", no_state, true, {"a|b", ""}, {"", ""}},
    {"state of several columns",
     lists,
     true,
     {"k,1,x,true|k,2,y,false|k,1,-,true|-,1,z,true", "k,2," LONG_A ",true|k,2,q,false", ""},
     {"-,1,z,true,0.5|k,1,x?,true,-|k,2,y,false,0.5",
      "-,1,z,true,0.5|k,1,x?,true,-|k,2,y" LONG_A "q,true,0.5",
      "-,1,z,true,0.5|k,1,x?,true,-|k,2,y" LONG_A "q,true,0.5"}},
    {"state over state", state_over_sums, true, {"a|a", "a|b", ""}, {"a,2", "a,5|b,1", "a,8|b,2"}},
    {"values behind kept columns",
     values,
     false,
     {"a,true,1|-,false,2|" LONG_A ",-,3|b,true,4", "", "c,true,2"},
     {"a,true,11|-,false,12|" LONG_A ",-,13|b,true,14;"
      "a,true,-1|-,false,-2|" LONG_A ",-,-3|b,true,-4;"
      "a,true,1|a,true,2|-,false,2|-,false,4|" LONG_A ",-,3|" LONG_A ",-,6|b,true,4|b,true,8;"
      "-,false,12|b,true,14;-,false,-2|b,true,-4;-,false,2|-,false,4|b,true,4|b,true,8",
      ";;;;;", "c,true,12;c,true,-2;c,true,2|c,true,4;c,true,12;c,true,-2;c,true,2|c,true,4"}},
    {"combiners",
     combine_cubes,
     true,
     {"a,1|b,2|a,3|-,4|a,-|-,-2|b,1", "", "c,-"},
     {"-,56,2|a,28,3|b,9,2;-,56,2|a,28,3|b,9,2", ";", "c,0,1;c,0,1"}},
    {"groups",
     groups,
     true,
     {"a,1|b,2|a,3|a,-|-,4|-,5;a,x,0.5|c,-,-|a," LONG_A ",1|a,-,2", ";"},
     {"-,[4, 5]|a,[1, 3, None]|b,[2];"
      "a,[Row(s='x', d=0.5), Row(s='" LONG_A "', d=1.0), Row(s=None, d=2.0)]|c,[Row(s=None, d=None)];"
      "-,[4, 5],[]|a,[1, 3, None],[Row(s='x', d=0.5), Row(s='" LONG_A "', d=1.0), Row(s=None, d=2.0)]|"
      "b,[2],[]|c,[],[Row(s=None, d=None)]",
      ";;"}},
    {"joins",
     joins,
     true,
     {"a,1|b,2|a,3|-,4;a,x,0.5|c,y,1|a," LONG_A ",-|-,-,-", "a,1;", ";a,x,1", ";"},
     {"-,4,-,-|a,1," LONG_A ",-|a,1,x,0.5|a,3," LONG_A ",-|a,3,x,0.5;"
      "-,4,Row(s=None, d=None)|a,1,Row(s='" LONG_A "', d=None)|a,1,Row(s='x', d=0.5)|"
      "a,3,Row(s='" LONG_A "', d=None)|a,3,Row(s='x', d=0.5)|b,2,-;"
      "-,Row(n=4),-,-|a,Row(n=1)," LONG_A ",-|a,Row(n=1),x,0.5|a,Row(n=3)," LONG_A ",-|a,Row(n=3),x,0.5|"
      "c,-,y,1;"
      "-,Row(n=4),Row(s=None, d=None)|a,Row(n=1),Row(s='" LONG_A "', d=None)|a,Row(n=1),Row(s='x', d=0.5)|"
      "a,Row(n=3),Row(s='" LONG_A "', d=None)|a,Row(n=3),Row(s='x', d=0.5)|b,Row(n=2),-|"
      "c,-,Row(s='y', d=1.0)",
      ";a,1,-;;a,Row(n=1),-", ";;a,-,x,1;a,-,Row(s='x', d=1.0)", ";;;"}},
    {"joins by two columns",
     joins_by_two,
     true,
     {"0,true,1|nan,false,2|-,true,3|1,-,4;-0,true,5|nan,false,6|-,true,7|1,false,8"},
     {"-,true,Row(n=3),Row(m=7)|0,true,Row(n=1),Row(m=5)|1,-,Row(n=4),-|1,false,-,Row(m=8)|"
      "nan,false,Row(n=2),Row(m=6)"}},
    {"joins of joins",
     joins_of_joins,
     true,
     {"1,10|2,20|1,11;1,x|3,y"},
     {"1,10,10|1,10,11|1,11,10|1,11,11|2,20,20;"
      "1,[10, 11],Row(left=Row(n=10), right=Row(m='x'))|1,[10, 11],Row(left=Row(n=11), right=Row(m='x'))|"
      "2,[20],Row(left=Row(n=20), right=None);"
      "1,[Row(left=Row(n=10), right=Row(m='x')), Row(left=Row(n=11), right=Row(m='x'))]|"
      "2,[Row(left=Row(n=20), right=None)]|3,[Row(left=None, right=Row(m='y'))];"
      "1,10,x|1,10,x|1,11,x|1,11,x"}},
    {"three consumers", three_consumers, false, {"1|2|3|4", "1"}, {"2|4;6;3|5", ";;"}},
};

TEST(batches_give_what_spark_gives) {
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++)
        run_case(&cases[i], plain_settings);
}

TEST(nothing_depends_on_chunks_hashes_workers_partitions_splits_or_restarts) {
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++)
        run_hostile(&cases[i], i);
}

/* ---- order ---- */

/* What one batch gives, in the order it gives it. */
static void run_once(void (*build)(Plan *plan), Settings settings, const char *rows, Text *out) {
    Machine machine;
    machine_init(&machine, build, settings);
    if (!CHECK_OK(machine_run(&machine, rows, 1000, NULL), machine.error))
        check_abandon();
    machine_outputs(&machine, false, out);
    engine_rollback(machine.engine);
    machine_deinit(&machine);
}

static void random_rows(Random *random, uint32_t row_count, Text *rows) {
    for (uint32_t i = 0; i < row_count; i++)
        text_appendf(rows, "%sk%u,%.17g", i ? "|" : "", (unsigned)random_below(random, 5),
                     random_unit(random) * (double)random_below(random, 1u << 30));
}

/* Sums of doubles depend on their order: with the same splits they must not depend on anything else. */
TEST(order_shows_the_same_for_all_workers_and_chunks) {
    Random random;
    Text rows = {0}, wanted = {0}, got = {0};
    random_init(&random, check_seed());
    random_rows(&random, 500, &rows);
    static void (*const builds[])(Plan *) = {sums_of_doubles, concat};
    static const uint32_t chunk_rows[] = {1, 3, 2048}, workers[] = {1, 2, 7}, partitions[] = {1, 2, 7};
    for (uint32_t b = 0; b < ARRAY_COUNT(builds); b++) {
        run_once(builds[b], (Settings){0, 1, 1, 7, false, false}, rows.data, &wanted);
        for (uint32_t c = 0; c < 3; c++)
            for (uint32_t w = 0; w < 3; w++)
                for (uint32_t p = 0; p < 3; p++) {
                    run_once(builds[b], (Settings){chunk_rows[c], workers[w], partitions[p], 7, false, false},
                             rows.data, &got);
                    CHECK_STR(got.data, wanted.data); /* unsorted: E3 holds for any number of partitions */
                }
    }
    text_deinit(&rows);
    text_deinit(&wanted);
    text_deinit(&got);
}

static void word_count_and_state(Plan *p) {
    PlanNode *words = flat_map(p, text_source(p), leat_split(" "), 0);
    print(p, reduce_by_key(p, pair(p, words, 1), leat_sum()));
    print(p, update_by_key(p, pair(p, words, 1), leat_update_function("sum BIGINT", sum_state, NULL)));
}

TEST(keyed_rows_leave_in_the_order_of_their_hashes) {
    Text rows = {0}, got = {0};
    for (uint32_t i = 0; i < 300; i++)
        text_appendf(&rows, "%sw%u a%u some longer word %u", i ? "|" : "", i, i, i);
    for (uint32_t partitions = 1; partitions <= 256; partitions = partitions * 3 + 1) {
        run_once(word_count_and_state, (Settings){0, 2, partitions, 3, false, false}, rows.data, &got);
        Str rest = text_str(&got), output, row;
        uint32_t row_count = 0;
        while (leat_str_split(&rest, ';', &output)) {
            uint64_t before = 0;
            while (leat_str_split(&output, '|', &row)) {
                Str word;
                leat_str_split(&row, ',', &word);
                Key key = key_from_str(word);
                uint64_t hash = key_hash(&key);
                CHECK(before <= hash);
                before = hash;
                row_count++;
            }
        }
        CHECK_EQ(row_count, 2 * (300 + 300 + 3 + 300));
    }
    text_deinit(&rows);
    text_deinit(&got);
}

/* ---- against a model ---- */

enum { MODEL_WORDS = 40 };

TEST(random_counts_are_those_of_a_model) {
    Random random;
    Text rows = {0}, wanted = {0}, got = {0};
    random_init(&random, check_seed());
    for (uint32_t turn = 0; turn < 12; turn++) {
        Settings settings = {random_below(&random, 2) ? 0 : 1 + (uint32_t)random_below(&random, 50),
                             1 + (uint32_t)random_below(&random, 4),
                             1 + (uint32_t)random_below(&random, 9),
                             1 + (uint32_t)random_below(&random, 9),
                             random_below(&random, 5) == 0,
                             false};
        int64_t batch[MODEL_WORDS], total[MODEL_WORDS] = {0};
        Machine machine;
        machine_init(&machine, word_count_and_state, settings);
        for (uint32_t b = 0; b < 4; b++) {
            text_reset(&rows);
            memset(batch, 0, sizeof batch);
            uint32_t line_count = (uint32_t)random_below(&random, 400);
            for (uint32_t i = 0; i < line_count; i++) {
                text_append(&rows, i ? STR("|") : STR(""));
                for (uint32_t w = 0, n = 1 + (uint32_t)random_below(&random, 12); w < n; w++) {
                    uint32_t word = (uint32_t)random_below(&random, 1 + random_below(&random, MODEL_WORDS));
                    text_appendf(&rows, "%sw%.*s%02u", w ? " " : "", (int)(word % 3 * 7), "-longer-longer-",
                                 word);
                    batch[word]++;
                }
            }
            bool fails = random_below(&random, 4) == 0;
            Status st =
                machine_run(&machine, rows.data ? rows.data : "", 1000 * (b + 1), fails ? "a fault" : NULL);
            CHECK_EQ(st, fails ? STATUS_IO : STATUS_OK);
            if (fails) {
                CHECK_STR(machine.error.message, "a fault");
                CHECK(!engine_output(machine.engine, 0));
                continue;
            }
            text_reset(&wanted);
            text_append(&wanted, STR(""));
            for (uint32_t kind = 0; kind < 2; kind++) {
                Str words[MODEL_WORDS];
                Text lines[MODEL_WORDS] = {0};
                uint32_t count = 0;
                for (uint32_t w = 0; w < MODEL_WORDS; w++) {
                    if (kind == 0)
                        total[w] += batch[w];
                    if (kind == 0 ? batch[w] == 0 : total[w] == 0)
                        continue;
                    text_appendf(&lines[w], "w%.*s%02u,%" PRId64, (int)(w % 3 * 7), "-longer-longer-", w,
                                 kind == 0 ? batch[w] : total[w]);
                    words[count++] = text_str(&lines[w]);
                }
                if (count)
                    qsort(words, count, sizeof words[0], compare_rows);
                text_append(&wanted, kind ? STR(";") : STR(""));
                for (uint32_t i = 0; i < count; i++) {
                    text_append(&wanted, i ? STR("|") : STR(""));
                    text_append(&wanted, words[i]);
                }
                for (uint32_t w = 0; w < MODEL_WORDS; w++)
                    text_deinit(&lines[w]);
            }
            machine_outputs(&machine, true, &got);
            CHECK_STR(got.data, wanted.data);
            CHECK_EQ(engine_stats(machine.engine).input_rows, line_count);
            CHECK_EQ(engine_stats(machine.engine).input_bytes, line_count ? rows.size + 1 : 0);
            engine_keep(machine.engine);
        }
        machine_deinit(&machine);
    }
    text_deinit(&rows);
    text_deinit(&wanted);
    text_deinit(&got);
}

/* Two streams of few keys and many rows, whose values are their places: per key the answer of every mode, as
 * nested loops give it. */
enum { JOIN_KEYS = 6 };

typedef struct JoinRows {
    uint32_t count;
    uint8_t keys[120]; /* JOIN_KEYS - 1: null */
} JoinRows;

static void put_join_key(uint32_t key, Text *out) {
    static const char *const keys[JOIN_KEYS] = {"a", "b", "", "a longer key than twelve", "c", "-"};
    text_append(out, str_from(keys[key]));
}

static void put_join_rows(const JoinRows *rows, Text *out) {
    for (uint32_t i = 0; i < rows->count; i++) {
        text_append(out, i ? STR("|") : STR(""));
        put_join_key(rows->keys[i], out);
        text_appendf(out, ",%u", i);
    }
}

static void random_join_rows(Random *random, JoinRows *rows) {
    rows->count = (uint32_t)random_below(random, 1 + random_below(random, 120));
    for (uint32_t i = 0; i < rows->count; i++) /* one key has half of the rows */
        rows->keys[i] = (uint8_t)(random_below(random, 2) ? 0 : random_below(random, JOIN_KEYS));
}

static void put_side(bool may_lack, int64_t value, Text *out) {
    if (value < 0)
        text_append(out, STR(",-"));
    else
        text_appendf(out, may_lack ? ",Row(n=%" PRId64 ")" : ",%" PRId64, value);
}

static void put_joined(PlanCogroup mode, uint32_t key, const JoinRows *a, const JoinRows *b, Text *out) {
    bool left_may_lack = mode == COGROUP_RIGHT || mode == COGROUP_FULL;
    bool right_may_lack = mode == COGROUP_LEFT || mode == COGROUP_FULL;
    bool has_left = false, has_right = false;
    for (uint32_t i = 0; i < a->count; i++)
        has_left |= a->keys[i] == key;
    for (uint32_t i = 0; i < b->count; i++)
        has_right |= b->keys[i] == key;
    for (uint32_t l = 0; l <= a->count; l++) { /* the last one stands for none */
        if (l < a->count ? a->keys[l] != key : has_left || !left_may_lack)
            continue;
        for (uint32_t r = 0; r <= b->count; r++) {
            if (r < b->count ? b->keys[r] != key : has_right || !right_may_lack)
                continue;
            if (l == a->count && r == b->count)
                continue;
            put_join_key(key, out);
            put_side(left_may_lack, l < a->count ? (int64_t)l : -1, out);
            put_side(right_may_lack, r < b->count ? (int64_t)r : -1, out);
            text_append_byte(out, '|');
        }
    }
}

static void joins_of_numbers(Plan *p) {
    PlanNode *a = source(p, "k STRING, n BIGINT", 1), *b = source(p, "k STRING, n BIGINT", 1);
    for (PlanCogroup mode = COGROUP_INNER; mode <= COGROUP_FULL; mode++)
        print(p, cogroup(p, mode, a, b));
}

/* The rows of one key, each with a '|' behind it, in the order in which they were given. */
static void rows_of_key(Str rows, uint32_t key, Text *out) {
    Text begin = {0};
    put_join_key(key, &begin);
    text_append_byte(&begin, ',');
    for (Str row; leat_str_split(&rows, '|', &row);)
        if (str_starts_with(row, text_str(&begin)))
            text_appendf(out, "%.*s|", STR_ARG(row));
    text_deinit(&begin);
}

TEST(random_joins_are_those_of_nested_loops) {
    Random random;
    Text rows = {0}, wanted = {0}, got = {0}, of_key = {0};
    random_init(&random, check_seed());
    for (uint32_t turn = 0; turn < 40; turn++) {
        JoinRows a, b;
        random_join_rows(&random, &a);
        random_join_rows(&random, &b);
        text_reset(&rows);
        put_join_rows(&a, &rows);
        text_append_byte(&rows, ';');
        put_join_rows(&b, &rows);
        Settings settings = {random_below(&random, 2) ? 0 : 1 + (uint32_t)random_below(&random, 50),
                             1 + (uint32_t)random_below(&random, 4),
                             1 + (uint32_t)random_below(&random, 9),
                             1 + (uint32_t)random_below(&random, 9),
                             random_below(&random, 5) == 0,
                             false};
        run_once(joins_of_numbers, settings, rows.data, &got);
        Str rest = text_str(&got), output = {0};
        for (PlanCogroup mode = COGROUP_INNER; mode <= COGROUP_FULL; mode++) {
            CHECK(leat_str_split(&rest, ';', &output));
            for (uint32_t key = 0; key < JOIN_KEYS; key++) {
                text_reset(&wanted);
                text_reset(&of_key);
                text_append(&wanted, STR(""));
                text_append(&of_key, STR(""));
                put_joined(mode, key, &a, &b, &wanted);
                rows_of_key(output, key, &of_key);
                CHECK_STR(of_key.data, wanted.data);
            }
        }
    }
    text_deinit(&rows);
    text_deinit(&wanted);
    text_deinit(&got);
    text_deinit(&of_key);
}

static void skewed(Plan *p) {
    PlanNode *a = source(p, "k BIGINT, n BIGINT", 1), *b = source(p, "k BIGINT, s STRING", 1);
    print(p, count(p, cogroup(p, COGROUP_INNER, a, b)));
    print(p, count(p, cogroup(p, COGROUP_LEFT, a, b)));
}

/* One key with 10,000 x 100 values (1,000 when there is time): the pairs are 40 MB (400), which are never there
 * at the same time. */
TEST(a_cross_product_is_not_kept) {
    Machine machine;
    Text rows = {0}, got = {0}, wanted = {0};
    uint32_t value_count = getenv("LEAT_TEST_LONG") ? 1000 : 100;
    for (uint32_t i = 0; i < 10000; i++)
        text_appendf(&rows, "%s7,%u", i ? "|" : "", i);
    text_append(&rows, STR("|8,1;9,of nobody"));
    for (uint32_t i = 0; i < value_count; i++)
        text_appendf(&rows, "|7,the text of a value that is long %u", i);
    machine_init(&machine, skewed, (Settings){0, 2, 4, 3, false, false});
    machine.in_flight.limit_bytes = 8 << 20;
    CHECK_OK(machine_run(&machine, rows.data, 1000, NULL), machine.error);
    machine_outputs(&machine, false, &got);
    text_appendf(&wanted, "%u;%u", 10000 * value_count, 10000 * value_count + 1);
    CHECK_STR(got.data, wanted.data);
    engine_keep(machine.engine);
    machine_deinit(&machine);
    text_deinit(&wanted);
    text_deinit(&rows);
    text_deinit(&got);
}

/* ---- failures ---- */

/* Lists and pairs of 2,000 rows with a budget that grows until it is enough. */
static void run_join_over_budget(uint64_t limit_bytes, const char *rows, bool *has_failed) {
    Machine machine;
    Text got = {0};
    machine_init(&machine, groups, (Settings){0, 2, 3, 3, false, false});
    machine.in_flight.limit_bytes = machine.in_flight.used_bytes + limit_bytes;
    *has_failed = machine_run(&machine, rows, 1000, NULL) != STATUS_OK;
    if (*has_failed) {
        CHECK_EQ(machine.error.status, STATUS_NO_MEMORY);
        CHECK(strstr(machine.error.message, "test split") || strstr(machine.error.message, "leat_join") ||
              strstr(machine.error.message, "print#"));
        machine.in_flight.limit_bytes = 1 << 28;
        CHECK_OK(machine_run(&machine, "a,1;a,x,1", 2000, NULL), machine.error);
        machine_outputs(&machine, true, &got);
        CHECK_STR(got.data, "a,[1];a,[Row(s='x', d=1.0)];a,[1],[Row(s='x', d=1.0)]");
    }
    engine_keep(machine.engine);
    machine_deinit(&machine);
    text_deinit(&got);
}

TEST(a_join_over_budget_is_a_refusal_that_names_it) {
    Text rows = {0};
    for (uint32_t i = 0; i < 1000; i++)
        text_appendf(&rows, "%skey %u,%u", i ? "|" : "", i % 300, i);
    for (uint32_t i = 0; i < 1000; i++)
        text_appendf(&rows, "%skey %u,a value of some length %u,1", i ? "|" : ";", i % 200, i);
    bool has_failed = true;
    uint32_t failures = 0;
    for (uint64_t limit_bytes = 0; has_failed && limit_bytes < 1 << 28;
         limit_bytes = limit_bytes * 5 / 4 + 1000, failures++)
        run_join_over_budget(limit_bytes, rows.data, &has_failed);
    CHECK(!has_failed && failures > 10);
    text_deinit(&rows);
}

TEST(a_batch_without_a_stream_of_a_join_is_refused) {
    Machine machine;
    machine_init(&machine, joins, plain_settings);
    CHECK_EQ(machine_run(&machine, "a,1;~", 3000, NULL), STATUS_INVALID);
    CHECK_STR(machine.error.message, "leat_join: its second stream has no batch at 3000 ms");
    CHECK_EQ(machine_run(&machine, "~;a,x,1", 4000, NULL), STATUS_INVALID);
    CHECK_STR(machine.error.message, "leat_join: its first stream has no batch at 4000 ms");
    machine_deinit(&machine);
}

TEST(a_batch_without_a_stream_of_a_union_is_refused) {
    Machine machine;
    machine_init(&machine, union_of_sources, plain_settings);
    CHECK_EQ(machine_run(&machine, "1;~", 3000, NULL), STATUS_INVALID);
    CHECK_STR(machine.error.message, "leat_union: its second stream has no batch at 3000 ms");
    CHECK_EQ(machine_run(&machine, "~;~", 4000, NULL), STATUS_INVALID);
    CHECK_OK(machine_run(&machine, "1;2", 5000, NULL), machine.error);
    engine_keep(machine.engine);
    machine_deinit(&machine);
}

static void twice(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    for (int64_t i = 0; i < 1 + (leat_row_i64(row, 0) == 7); i++) {
        leat_out_i64(out, 0, leat_row_i64(row, 0));
        leat_out_emit(out);
    }
}
static void half(const LeatChunk *chunk, LeatOut *out, void *user) {
    (void)user;
    for (uint32_t i = 0; i < chunk->row_count / 2; i++)
        leat_out_emit(out);
}
static void many(const LeatChunk *chunk, LeatOut *out, void *user) {
    (void)chunk;
    (void)user;
    for (int i = 0; i < 3000; i++)
        leat_out_emit(out);
}
static void two_sums(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)a;
    (void)b;
    (void)user;
    for (int i = 0; i < 3000; i++) /* more than any struct has room for */
        leat_out_emit(out);
}
static void map_twice(Plan *p) {
    print(p, map(p, source(p, "n BIGINT", 0), leat_function("n BIGINT", twice, NULL), 0));
}
static void map_values_half(Plan *p) {
    print(p, over_values(p, PLAN_MAP, source(p, "k STRING, n BIGINT", 1),
                         leat_chunk_function("n BIGINT", half, NULL)));
}
static void map_values_twice(Plan *p) {
    print(p, over_values(p, PLAN_MAP, source(p, "k STRING, n BIGINT", 1),
                         leat_function("n BIGINT", twice, NULL)));
}
static void map_values_many(Plan *p) {
    print(p, over_values(p, PLAN_MAP, source(p, "k STRING, n BIGINT", 1),
                         leat_chunk_function("n BIGINT", many, NULL)));
}
static void map_half(Plan *p) {
    print(p, map(p, source(p, "n BIGINT", 0), leat_chunk_function("n BIGINT", half, NULL), 0));
}
static void reduce_twice(Plan *p) {
    print(p, reduce(p, source(p, "n BIGINT", 0), leat_reduce_function(two_sums, NULL)));
}

static void combine_with(Plan *p, LeatCombine functions) {
    PlanNode *in = source(p, "k STRING, n BIGINT", 1);
    LeatFunction f = leat_combine_function("n BIGINT", functions, NULL);
    print(p, op(p, PLAN_AGGREGATE, "leat_combine_by_key", in, f, "k STRING, n BIGINT", 1));
}
static void create_twice(Plan *p) {
    combine_with(p, (LeatCombine){.create = twice, .merge_value = add, .merge_combiners = add});
}
static void merge_values_twice(Plan *p) {
    combine_with(p, (LeatCombine){.create = plus, .merge_value = two_sums, .no_map_side_combine = true});
}

TEST(functions_that_give_too_many_rows_are_named) {
    static const struct {
        void (*build)(Plan *plan);
        const char *rows, *message;
    } wrong[] = {
        {map_twice, "1|7|2", "leat_map: the function gave 2 rows for one record; use leat_flat_map"},
        {map_half, "1|2|3|4", "leat_map: the function gave 2 rows for 4 records; use leat_flat_map"},
        {map_values_twice, "a,1|b,7",
         "leat_map_values: the function gave 2 rows for one record; use leat_flat_map_values"},
        {map_values_half, "a,1|b,2|c,3",
         "leat_map_values: the function gave 1 rows for 3 records; use leat_flat_map_values"},
        {map_values_many, "a,1|b,2|c,3",
         "leat_map_values: the function gave 3000 rows for 3 records; use leat_flat_map_values"},
        {create_twice, "a,1|b,7", "leat_combine_by_key: the function gave 2 rows for one value"},
        {merge_values_twice, "a,1|b,7|a,2",
         "leat_combine_by_key: the function gave 3000 rows for one pair of values"},
        {reduce_twice, "1|2", "leat_reduce: the function gave 3000 rows for one pair of values"},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        Machine machine;
        machine_init(&machine, wrong[i].build, plain_settings);
        CHECK_EQ(machine_run(&machine, wrong[i].rows, 1000, NULL), STATUS_INVALID);
        CHECK_STR(machine.error.message, wrong[i].message);
        CHECK_OK(machine_run(&machine, "", 1000, NULL), machine.error); /* the engine goes on */
        engine_keep(machine.engine);
        machine_deinit(&machine);
    }
}

/* Runs "a|b", keeps it, then a batch of many words that fails for `budget`; the state must be as before. */
static void run_over_budget(bool limits_state, uint64_t limit_bytes, bool *has_failed) {
    Machine machine;
    Text got = {0}, many = {0};
    for (uint32_t i = 0; i < 3000; i++)
        text_appendf(&many, "%sword%u", i ? "|" : "", i);
    machine_init(&machine, running_sum, (Settings){0, 2, 3, 3, false, false});
    CHECK_OK(machine_run(&machine, "a|b", 1000, NULL), machine.error);
    engine_keep(machine.engine);
    Budget *budget = limits_state ? &machine.state : &machine.in_flight;
    budget->limit_bytes = budget->used_bytes + limit_bytes;
    *has_failed = machine_run(&machine, many.data, 2000, NULL) != STATUS_OK;
    if (*has_failed) {
        CHECK_EQ(machine.error.status, STATUS_NO_MEMORY);
        CHECK(limits_state || strstr(machine.error.message, "test split") ||
              strstr(machine.error.message, "text") || strstr(machine.error.message, "leat_map") ||
              strstr(machine.error.message, "#0"));
        CHECK(!limits_state || strstr(machine.error.message, "update_state_by_key#0"));
        budget->limit_bytes = 1 << 28;
        CHECK_OK(machine_run(&machine, "a", 2000, NULL), machine.error);
        machine_outputs(&machine, true, &got);
        CHECK_STR(got.data, "a,2|b,1");
    }
    engine_keep(machine.engine);
    machine_deinit(&machine);
    text_deinit(&got);
    text_deinit(&many);
}

TEST(over_budget_is_a_refusal_that_changes_nothing) {
    for (uint32_t kind = 0; kind < 2; kind++) {
        bool has_failed = true;
        uint64_t limit_bytes = 0;
        uint32_t failures = 0;
        for (; has_failed && limit_bytes < 1 << 28; limit_bytes = limit_bytes * 3 / 2 + 1000, failures++)
            run_over_budget(kind == 1, limit_bytes, &has_failed);
        CHECK(!has_failed);
        CHECK(failures > 2);
    }
}

/* ---- hooks, limits ---- */

static int opened, closed;

static void *open_counter(void *user) {
    opened++;
    int64_t *own = malloc(sizeof *own);
    *own = (int64_t)(intptr_t)user;
    return own;
}
static void close_counter(void *user) {
    closed++;
    free(user);
}
static void *open_nothing(void *user) {
    (void)user;
    return NULL;
}
static void plus_own(const LeatRow *row, LeatOut *out, void *user) {
    leat_out_i64(out, 0, leat_row_i64(row, 0) + *(int64_t *)user);
}
static void hooked(Plan *p) {
    LeatFunction f = leat_function("n BIGINT", plus_own, (void *)100);
    f.open = open_counter;
    f.close = close_counter;
    print(p, map(p, source(p, "n BIGINT", 0), f, 0));
}
static void not_opened(Plan *p) {
    hooked(p);
    LeatFunction f = leat_predicate(is_even, NULL);
    f.open = open_nothing;
    print(p, filter(p, source(p, "n BIGINT", 0), f));
}

TEST(hooks_are_called_once_on_each_worker) {
    Text got = {0};
    opened = closed = 0;
    run_once(hooked, (Settings){0, 7, 1, 7, false, false}, "1|2|3|4|5|6|7", &got);
    CHECK_STR(got.data, "101|102|103|104|105|106|107");
    CHECK_EQ(opened, 7);
    CHECK_EQ(closed, 7);
    text_deinit(&got);

    Plan *plan = plan_create();
    Error err = {0};
    not_opened(plan);
    CHECK_OK(plan_finish(plan, &err), err);
    Engine *engine;
    opened = closed = 0;
    CHECK_EQ(engine_create(plan, (EngineOptions){.env = env_real(), .worker_count = 2, .partition_count = 1},
                           &engine, &err),
             STATUS_INVALID);
    CHECK_STR(err.message, "leat_filter: the function's open gave NULL");
    CHECK(!engine);
    CHECK_EQ(opened, closed);
    plan_destroy(plan);
}

static void limited(Plan *p) {
    PlanNode *in = source(p, "n BIGINT", 0);
    print(p, in)->row_limit = 3;
    print(p, filter(p, in, leat_predicate(is_even, NULL)))->row_limit = 1;
}

TEST(an_output_keeps_no_more_rows_than_it_looks_at_but_counts_all) {
    Machine machine;
    machine_init(&machine, limited, (Settings){2, 2, 1, 2, false, false});
    CHECK_OK(machine_run(&machine, "1|2|3|4|5|6|7|8|9|10", 1000, NULL), machine.error);
    static const struct { uint32_t row_count, first[2]; } wanted[] = {{3, {1, 6}}, {1, {2, 6}}};
    for (uint32_t o = 0; o < 2; o++) {
        const BatchData *data = engine_output(machine.engine, o);
        CHECK_EQ(data->row_count, o == 0 ? 10 : 5);
        CHECK_EQ(data->partition_count, 2);
        for (uint32_t p = 0; p < 2; p++) {
            uint32_t kept = 0;
            for (uint32_t i = 0; i < data->partitions[p].chunk_count; i++)
                kept += shared_chunk_view(data->partitions[p].chunks[i])->row_count;
            CHECK_EQ(kept, wanted[o].row_count);
            CHECK_EQ(column_i64(&shared_chunk_view(data->partitions[p].chunks[0])->columns[0], 0),
                     wanted[o].first[p]);
        }
    }
    engine_keep(machine.engine);
    machine_deinit(&machine);
}

static void thousands(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    for (int64_t i = 0; i < 5000; i++) {
        char text[48];
        int size = snprintf(text, sizeof text, "%" PRId64 " of the row of %" PRId64, i, leat_row_i64(row, 0));
        leat_out_str(out, 0, (LeatStr){text, (size_t)size});
        leat_out_emit(out);
    }
}
static void thousands_of_rows(Plan *p) {
    PlanNode *many = flat_map(p, source(p, "n BIGINT", 0), leat_function("s STRING", thousands, NULL), 0);
    print(p, count(p, many));
    print(p, filter(p, many, leat_contains("4999 of")));
}

TEST(a_record_may_give_more_rows_than_a_chunk_holds) {
    Text got = {0};
    run_once(thousands_of_rows, plain_settings, "1|2", &got);
    CHECK_STR(got.data, "10000;4999 of the row of 1|4999 of the row of 2");
    text_deinit(&got);
}

static bool is_of_a_chunk_end(const LeatRow *row, void *user) {
    (void)user;
    LeatStr text = leat_row_str(row, 1);
    return leat_str_equal(leat_str_slice(text.data, 5), leat_str("2047 ")) ||
           leat_str_equal(leat_str_slice(text.data, 5), leat_str("2048 ")) ||
           leat_str_equal(leat_str_slice(text.data, 5), leat_str("4999 "));
}
static void thousands_of_values(Plan *p) {
    PlanNode *in = source(p, "k STRING, n BIGINT", 1);
    PlanNode *many = over_values(p, PLAN_FLAT_MAP, in, leat_function("s STRING", thousands, NULL));
    print(p, count(p, many));
    print(p, filter(p, many, leat_predicate(is_of_a_chunk_end, NULL)));
}

TEST(a_pair_may_give_more_values_than_a_chunk_holds) {
    Text got = {0};
    run_once(thousands_of_values, plain_settings, "a,1|b,2", &got);
    CHECK_STR(got.data, "10000;a,2047 of the row of 1|a,2048 of the row of 1|a,4999 of the row of 1|"
                        "b,2047 of the row of 2|b,2048 of the row of 2|b,4999 of the row of 2");
    text_deinit(&got);
}

/* ---- snapshots and deltas ---- */

enum { SECTIONS_MAX = 1 + KEY_GROUP_COUNT };

typedef struct Snapshot {
    Text names[SECTIONS_MAX], bytes[SECTIONS_MAX];
    Str views[SECTIONS_MAX]; /* of the names */
    bool is_given[SECTIONS_MAX];
    uint32_t count;
} Snapshot;

typedef struct SectionFeed {
    Snapshot *snapshot;
    uint32_t index;
} SectionFeed;

static Status write_section(void *self, Str piece, Error *err) {
    (void)err;
    Snapshot *snapshot = self;
    text_append(&snapshot->bytes[snapshot->count], piece);
    return STATUS_OK;
}
static Status read_section(void *self, Str *piece, Error *err) {
    (void)err;
    SectionFeed *feed = self;
    bool *is_given = &feed->snapshot->is_given[feed->index];
    *piece = *is_given ? STR("") : text_str(&feed->snapshot->bytes[feed->index]);
    *is_given = true;
    return STATUS_OK;
}
static Status open_section(void *self, uint32_t index, StateFeed *feed, Error *err) {
    (void)err;
    SectionFeed *section = xcalloc(1, sizeof *section);
    *section = (SectionFeed){self, index};
    section->snapshot->is_given[index] = false;
    *feed = (StateFeed){read_section, section};
    return STATUS_OK;
}
static void close_section(void *self, StateFeed feed) {
    (void)self;
    free(feed.self);
}

static Status load_sections(Engine *engine, Snapshot *snapshot, Error *err) {
    return engine_load(engine,
                       (EngineImage){.names = snapshot->views,
                                     .count = snapshot->count,
                                     .open = open_section,
                                     .close = close_section,
                                     .self = snapshot},
                       err);
}

/* What stands in an image: the sections that hold something. */
static void save_sections(Engine *engine, Snapshot *snapshot) {
    Error err = {0};
    for (uint32_t i = 0; i < engine_section_count(engine); i++) {
        uint32_t n = snapshot->count;
        REQUIRE(CHECK(n < SECTIONS_MAX));
        CHECK_OK(engine_save_section(engine, i, (StateSink){write_section, snapshot}, &err), err);
        if (snapshot->bytes[n].size == 0)
            continue;
        engine_section_name(engine, i, &snapshot->names[n]);
        snapshot->views[n] = text_str(&snapshot->names[n]);
        snapshot->count++;
    }
}

static void snapshot_free(Snapshot *snapshot) {
    for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
        text_deinit(&snapshot->names[i]);
        text_deinit(&snapshot->bytes[i]);
    }
    free(snapshot);
}

TEST(a_snapshot_is_the_state) {
    Machine machine;
    Snapshot *snapshot = xcalloc(1, sizeof *snapshot);
    Text got = {0}, delta = {0}, delta_of_restored = {0};
    Error err = {0};
    Settings settings = {0, 2, 3, 2, false, false};
    machine_init(&machine, lifecycle, settings);
    save_sections(machine.engine, snapshot);
    CHECK_EQ(snapshot->count, 0);
    CHECK_OK(machine_run(&machine, "a|b|c|d|e", 1000, NULL), machine.error);
    engine_keep(machine.engine);
    CHECK_EQ(engine_stats(machine.engine).state_keys, 5);
    CHECK_EQ(engine_section_count(machine.engine), 1 + KEY_GROUP_COUNT);
    save_sections(machine.engine, snapshot);
    CHECK_EQ(snapshot->count, 6); /* five keys in groups of their own */
    CHECK_STR(snapshot->names[0].data, "node/update_state_by_key#0");
    CHECK(strstr(snapshot->names[1].data, "state/update_state_by_key#0/") == snapshot->names[1].data);
    CHECK_OK(machine_run(&machine, "a", 2000, NULL), machine.error);
    CHECK(engine_is_changed(machine.engine));
    engine_delta(machine.engine, &delta);
    engine_keep(machine.engine);

    restarted(&machine, NULL, 0);
    CHECK_OK(load_sections(machine.engine, snapshot, &err), err);
    CHECK_OK(machine_run(&machine, "a", 2000, NULL), machine.error);
    machine_outputs(&machine, true, &got);
    CHECK_STR(got.data, "a,2,0|b,1,1|c,1,1|d,1,1|e,1,1;5");
    engine_delta(machine.engine, &delta_of_restored);
    CHECK_EQ(delta.size, delta_of_restored.size);
    engine_rollback(machine.engine);
    static const char *const foreign[] = {"state/other#0/0",
                                          "state/update_state_by_key#0/256",
                                          "state/update_state_by_key#0/",
                                          "state/",
                                          "",
                                          "state/update_state_by_key#0/-1",
                                          "node/other#0",
                                          "node/"};
    for (uint32_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        snapshot->views[0] = str_from(foreign[i]);
        CHECK_EQ(load_sections(machine.engine, snapshot, &err), STATUS_INVALID);
    }
    machine_deinit(&machine);
    snapshot_free(snapshot);
    text_deinit(&got);
    text_deinit(&delta);
    text_deinit(&delta_of_restored);
}

TEST(a_delta_that_is_not_whole_or_not_ours_is_refused) {
    Machine machine;
    Text delta = {0};
    Error err = {0};
    machine_init(&machine, running_sum, (Settings){0, 1, 3, 1, false, false});
    CHECK_OK(machine_run(&machine, "a|b|c|d|e", 1000, NULL), machine.error);
    engine_delta(machine.engine, &delta);
    engine_keep(machine.engine);
    for (size_t size = 0; size < delta.size; size++) {
        Error cut = {0};
        char *copy = malloc(size + 1); /* so that a read past the end is seen */
        memcpy(copy, delta.data, size);
        restarted(&machine, NULL, 0);
        CHECK_EQ(engine_apply_delta(machine.engine, str_slice(copy, size), &cut), STATUS_CORRUPT);
        free(copy);
    }
    machine_deinit(&machine);

    machine_init(&machine, sum_by_word, plain_settings);
    CHECK_EQ(engine_apply_delta(machine.engine, text_str(&delta), &err), STATUS_INVALID);
    CHECK_STR(err.message,
              "the checkpoint has state of 'update_state_by_key#0', the program has no such operator");
    machine_deinit(&machine);
    text_deinit(&delta);
}

TEST(a_batch_that_changes_nothing_says_so) {
    Machine machine;
    machine_init(&machine, running_sum, (Settings){0, 1, 3, 1, false, false});
    static const struct {
        const char *rows;
        bool is_changed;
    } batches[] = {
        {NULL, false}, {"", true /* it has state now, if empty */}, {"", false}, {"a", true}, {"", false}};
    for (uint32_t b = 0; b < ARRAY_COUNT(batches); b++) {
        CHECK_OK(machine_run(&machine, batches[b].rows, 1000 * (b + 1), NULL), machine.error);
        CHECK_EQ(engine_is_changed(machine.engine), batches[b].is_changed);
        engine_keep(machine.engine);
    }
    machine_deinit(&machine);
}

/* ---- rows that nobody looks at ---- */

static bool keep_first(const LeatUpdate *key, void *user) {
    (void)user;
    if (!leat_update_has_state(key))
        leat_update_set_state_i64(key, 0, leat_update_value_i64(key, 0, 0));
    return true;
}

static void print_three(Plan *p) {
    PlanNode *in = update_by_key(p, source(p, "k BIGINT, n BIGINT", 1),
                                 leat_update_function("n BIGINT", keep_first, NULL));
    print(p, in)->row_limit = 3;
}

static void print_three_and_all(Plan *p) {
    PlanNode *in = update_by_key(p, source(p, "k BIGINT, n BIGINT", 1),
                                 leat_update_function("n BIGINT", keep_first, NULL));
    print(p, in)->row_limit = 3;
    print(p, in);
}

static uint64_t kept_rows(const Machine *machine, uint32_t output) {
    const BatchData *data = engine_output(machine->engine, output);
    uint64_t rows = 0;
    for (uint32_t p = 0; p < data->partition_count; p++)
        for (uint32_t i = 0; i < data->partitions[p].chunk_count; i++)
            rows += shared_chunk_view(data->partitions[p].chunks[i])->selected_count;
    return rows;
}

/* With thousands of keys rows are made only as long as an output looks at them; another output of the same
 * rows has them all. */
TEST(rows_that_nobody_looks_at_are_not_made) {
    enum { MANY = 9000 };
    Text rows = {0};
    for (int i = 0; i < MANY; i++)
        text_appendf(&rows, "%s%d,1", i ? "|" : "", i);
    for (uint32_t partitions = 1; partitions <= 2; partitions++) {
        Machine machine;
        Settings settings = {0, 1, partitions, 1, false, false};
        machine_init(&machine, print_three, settings);
        for (int batch = 1; batch <= 2; batch++) {
            CHECK_EQ(machine_run(&machine, batch == 1 ? rows.data : "", 1000 * batch, NULL), STATUS_OK);
            CHECK_EQ(kept_rows(&machine, 0), 3 * partitions); /* the first three of each */
            CHECK(engine_output(machine.engine, 0)->row_count < MANY);
            CHECK_EQ(engine_stats(machine.engine).state_keys, MANY);
            engine_keep(machine.engine);
        }
        machine_deinit(&machine);
        machine_init(&machine, print_three_and_all, settings);
        CHECK_EQ(machine_run(&machine, rows.data, 1000, NULL), STATUS_OK);
        CHECK_EQ(kept_rows(&machine, 0), 3 * partitions);
        CHECK_EQ(kept_rows(&machine, 1), MANY);
        engine_keep(machine.engine);
        machine_deinit(&machine);
    }
    text_deinit(&rows);
}

/* ---- state that times out ---- */

static bool refuses_timeouts;

static void end_or_fail(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                        void *user) {
    (void)user;
    if (value)
        leat_state_update_i64(state, 0, leat_row_i64(value, 0));
    else if (refuses_timeouts)
        leat_state_remove(state); /* a mistake */
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, value ? 0 : leat_state_get_i64(state, 0));
    leat_out_emit(out);
}

static void with_timeout(Plan *p) {
    PlanNode *rows = source(p, "word STRING, n BIGINT", 1);
    PlanNode *node = op(p, PLAN_KEYED_PROCESS, "leat_map_with_state", rows,
                        leat_map_with_state_function("n BIGINT", "word STRING, n BIGINT", end_or_fail, NULL),
                        "word STRING, n BIGINT", 0);
    node->table_schema = schema_of(p, "word STRING, n BIGINT", 1);
    node->state_schema = schema_of(p, "n BIGINT, updated TIMESTAMP", 0);
    node->timeout_ms = 1500;
    node->check_slides = 1;
    print(p, node);
}

/* A batch that fails when states have timed out leaves them as they were: run again it finds them all. */
TEST(timeouts_of_a_failed_batch_come_again) {
    static const Settings settings[] = {{0, 1, 1, 1, false, false}, {1, 2, 7, 2, true, false}};
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        Machine machine;
        Text got = {0};
        machine_init(&machine, with_timeout, settings[i]);
        CHECK_EQ(machine_run(&machine, "a,1|b,2|c,3", 1000, NULL), STATUS_OK);
        engine_keep(machine.engine);
        CHECK_EQ(machine_run(&machine, "b,20", 2000, NULL), STATUS_OK);
        engine_keep(machine.engine);
        refuses_timeouts = true;
        CHECK_EQ(machine_run(&machine, "", 3000, NULL), STATUS_INVALID);
        CHECK_STR(machine.error.message, "leat_map_with_state: a state that has timed out was removed");
        refuses_timeouts = false;
        CHECK_EQ(machine_run(&machine, "", 3000, NULL), STATUS_OK);
        engine_rollback(machine.engine); /* the log could not be written */
        CHECK_EQ(machine_run(&machine, "", 3000, NULL), STATUS_OK);
        machine_outputs(&machine, true, &got);
        CHECK_STR(got.data, "a,1|c,3");
        engine_keep(machine.engine);
        CHECK_EQ(machine_run(&machine, "", 4000, NULL), STATUS_OK);
        machine_outputs(&machine, true, &got);
        CHECK_STR(got.data, "b,20");
        engine_keep(machine.engine);
        CHECK_EQ(engine_stats(machine.engine).state_keys, 0);
        text_deinit(&got);
        machine_deinit(&machine);
    }
}

TEST_MAIN()
