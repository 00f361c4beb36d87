/* job.c - see job.h. */
#include "sim/job.h"

#include "base/memory.h"
#include "sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BURST_CONNECTIONS = 6, BURST_LINES = 60 };

/* ---- data ---- */

uint64_t job_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t parts[] = {seed, a, b, c}, z = UINT64_C(0x243f6a8885a308d3);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) { /* SplitMix64's steps */
        z += parts[i] + UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
    }
    return z;
}

static const char *const vocabulary[VOCABULARY] = {"a",
                                                   "be",
                                                   "cat",
                                                   "door",
                                                   "eleven",
                                                   "f0",
                                                   "g-twelve-by",
                                                   "h-thirteen-by",
                                                   "i77",
                                                   "j\xc3\xa4hr",
                                                   "k",
                                                   "l3",
                                                   "m5",
                                                   "n\xff broken",
                                                   "o-word-of-some-forty-bytes-which-is-long",
                                                   "p9",
                                                   "q"};

const char *job_word(uint64_t number) {
    return vocabulary[number % VOCABULARY];
}

static void append_words(Text *out, Random *random, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) /* few words are frequent, many are not */
        text_appendf(out, " %s", vocabulary[random_below(random, 1 + random_below(random, VOCABULARY))]);
}

void job_line(const Job *job, char kind, uint64_t id, uint64_t number, Text *out) {
    Random random;
    random_init(&random, job_mix(job->seed, (uint64_t)kind, id, number));
    text_appendf(out, "%c%" PRIu64 "-%" PRIu64, kind, id, number);
    append_words(out, &random, random_below(&random, 6));
    if (random_below(&random, 40) == 0)
        append_words(out, &random, 300); /* over the inline size of anything */
    /* Few words, many bytes, at the begin of a connection: lines are keys of state, too. */
    if (kind == 'c' && job->has_bursts && id < BURST_CONNECTIONS && number < BURST_LINES) {
        text_append_byte(out, ' ');
        for (uint64_t more = random_below(&random, 4000); more > 0; more--)
            text_append_byte(out, 'x');
    }
}

uint64_t job_file_lines(const Job *job, uint64_t file, bool *ends_open) {
    uint64_t drawn = job_mix(job->seed, 'F', file, 0);
    *ends_open = drawn % 3 == 0;
    return drawn % 13 == 0 ? 0 : drawn % 17 == 0 && job->big_batch_one_in > 0 ? 2500 : drawn / 64 % 40;
}

void job_function_rows(const Job *job, int node, int64_t batch_ms, uint64_t call, Text *out) {
    Random random;
    random_init(&random, job_mix(job->seed, 1000 + (uint64_t)node, (uint64_t)batch_ms, call));
    uint64_t count = random_below(&random, 9);
    if (job->big_batch_one_in > 0 && random_below(&random, job->big_batch_one_in) == 0)
        count = 2040 + random_below(&random, 20);
    for (uint64_t i = 0; i < count; i++) {
        if (job->nodes[node].kind == FUNCTION_PAIRS) {
            const char *key = vocabulary[random_below(&random, 1 + random_below(&random, VOCABULARY))];
            text_appendf(out, "%s\t%" PRId64 "\n", key, (int64_t)random_below(&random, 30) - 7);
        } else {
            text_appendf(out, "q%" PRIu64, random_below(&random, 100));
            append_words(out, &random, random_below(&random, 5));
            text_append_byte(out, '\n');
        }
    }
}

/* ---- drawing a job ---- */

bool job_has(const Job *job, NodeKind kind) {
    for (int i = 0; i < job->node_count; i++)
        if (job->nodes[i].kind == kind)
            return true;
    return false;
}

/* One of a shape, of a slide if that is not 0; -1: there is none. */
static int random_node(const Job *job, Random *random, Shape shape, int slide) {
    int found = -1;
    uint64_t count = 0;
    for (int i = 0; i < job->node_count; i++)
        if (job->nodes[i].shape == shape && (slide == 0 || job->nodes[i].slide == slide) &&
            random_below(random, ++count) == 0)
            found = i;
    return found;
}

static Shape input_shape(NodeKind kind, Random *random) {
    switch (kind) {
    case UNION:
    case COUNT:
    case GREATEST:
    case DISTINCT:
    case SORTED:
    case TOP:
    case WINDOW:
    case GREATEST_BY_WINDOW:
    case COUNT_BY_WINDOW:
        return random_below(random, 2) ? LINES : PAIRS;
    case SPLIT:
    case UPPER:
    case CONTAINS:
    case PAIR:
    case SCORE:
    case COUNT_BY_VALUE:
    case COUNT_BY_VALUE_AND_WINDOW:
        return LINES;
    default:
        return PAIRS;
    }
}

static Shape output_shape(NodeKind kind, Shape input) {
    switch (kind) {
    case PAIR:
    case SCORE:
    case COUNT_BY_VALUE:
    case COUNT_BY_VALUE_AND_WINDOW:
        return PAIRS;
    case COUNT:
    case COUNT_BY_WINDOW:
        return NUMBERS;
    default:
        return input;
    }
}

static void draw_sources(Job *job, Random *random) {
    job->source_count = 1 + (int)random_below(random, SOURCE_MAX);
    for (int i = 0; i < job->source_count; i++) {
        NodeKind kind = (NodeKind)random_below(random, FILES + 1);
        job->nodes[job->node_count++] = (Node){.kind = kind,
                                               .shape = kind == FUNCTION_PAIRS ? PAIRS : LINES,
                                               .a = -1,
                                               .b = -1,
                                               .parameter = i,
                                               .slide = 1,
                                               .has_output = true};
    }
}

/* False: it does not fit. */
static bool draw_operation(Job *job, Random *random) {
    NodeKind kind = (NodeKind)(SPLIT + random_below(random, NODE_KIND_COUNT - SPLIT));
    if (random_below(random, 6) == 0)
        kind = RUNNING; /* what is to be kept is looked at most */
    else if (random_below(random, 4) == 0)
        kind = (NodeKind)(WINDOW + random_below(random, NODE_KIND_COUNT - WINDOW));
    Shape shape = input_shape(kind, random);
    int a = random_node(job, random, shape, 0);
    if (a < 0 && shape == PAIRS) { /* there are lines: make the other reachable */
        kind = PAIR;
        shape = LINES;
        a = random_node(job, random, shape, 0);
    }
    if (a < 0)
        return false;
    const Node *left = &job->nodes[a];
    bool has_two = kind == UNION || is_join(kind);
    int b = has_two ? random_node(job, random, shape, left->slide) : -1;
    bool is_heavy = left->is_heavy || (b >= 0 && job->nodes[b].is_heavy);
    if (is_heavy && (is_join(kind) || is_window(kind)))
        return false;
    Node node = {.kind = kind,
                 .shape = output_shape(kind, shape),
                 .a = a,
                 .b = b,
                 .parameter = 2 + (int64_t)random_below(random, 5),
                 .slide = left->slide,
                 .is_heavy = is_heavy || is_join(kind)};
    if (kind == MAP_STATE || kind == SNAPSHOTS) {
        node.length = (int)random_below(random, 6) * left->slide;
        node.check = (1 + (int)random_below(random, 3)) * left->slide;
    }
    if (is_window(kind)) {
        node.length = left->slide * (1 + (int)random_below(random, 6));
        node.slide = left->slide * (random_below(random, 3) ? 1 : 1 + (int)random_below(random, 3));
    }
    job->nodes[job->node_count++] = node;
    return true;
}

void job_draw(Job *job, uint64_t seed) {
    static const int64_t intervals_ms[] = {10, 100, 500, 1000, 2000};
    Random random;
    random_init(&random, seed);
    *job = (Job){.seed = seed,
                 .interval_ms = intervals_ms[random_below(&random, ARRAY_COUNT(intervals_ms))],
                 .partitions = 1 + (unsigned)random_below(&random, 9),
                 .big_batch_one_in = random_below(&random, 5) ? 0 : 12,
                 .has_bursts = random_below(&random, 4) == 0};
    draw_sources(job, &random);
    int count = job->node_count + 1 + (int)random_below(&random, 10);
    for (int tries = 0; job->node_count < count && tries < 100; tries++)
        (void)draw_operation(job, &random);
    for (int i = 0; i < job->node_count; i++) { /* leaves, and some others */
        bool is_used = false;
        for (int j = 0; j < job->node_count; j++)
            is_used = is_used || job->nodes[j].a == i || job->nodes[j].b == i;
        if (!is_used || random_below(&random, 4) == 0)
            job->nodes[i].has_output = true;
    }
}

static const char *const kind_names[NODE_KIND_COUNT] = {
    [FUNCTION_LINES] = "function-lines",
    [FUNCTION_PAIRS] = "function-pairs",
    [SOCKET] = "socket",
    [FILES] = "files",
    [SPLIT] = "split",
    [UPPER] = "upper",
    [CONTAINS] = "contains",
    [UNION] = "union",
    [PAIR] = "pair",
    [SCORE] = "score",
    [TWICE] = "twice",
    [SOME] = "some",
    [SUM_BY_KEY] = "sum-by-key",
    [MIN_BY_KEY] = "min-by-key",
    [MAX_BY_KEY] = "max-by-key",
    [MIX_BY_KEY] = "mix-by-key",
    [COMBINE] = "combine",
    [RUNNING] = "running",
    [RUNNING_ON] = "running-on",
    [MAP_STATE] = "map-state",
    [SNAPSHOTS] = "snapshots",
    [COUNT] = "count",
    [GREATEST] = "greatest",
    [DISTINCT] = "distinct",
    [SORTED] = "sorted",
    [TOP] = "top",
    [COUNT_BY_VALUE] = "count-by-value",
    [MAP_VALUES] = "map-values",
    [FLAT_MAP_VALUES] = "flat-map-values",
    [GROUP] = "group",
    [JOIN] = "join",
    [LEFT_JOIN] = "left-join",
    [RIGHT_JOIN] = "right-join",
    [FULL_JOIN] = "full-join",
    [COGROUP] = "cogroup",
    [WINDOW] = "window",
    [SUM_BY_WINDOW] = "sum-by-window",
    [MAX_BY_WINDOW] = "max-by-window",
    [GREATEST_BY_WINDOW] = "greatest-by-window",
    [SUBTRACTING] = "subtracting",
    [GROUP_BY_WINDOW] = "group-by-window",
    [COUNT_BY_WINDOW] = "count-by-window",
    [COUNT_BY_VALUE_AND_WINDOW] = "count-by-value-and-window",
};

const char *node_name(const Job *job, int node, char name[32]) {
    snprintf(name, 32, "%d:%s", node, kind_names[job->nodes[node].kind]);
    return name;
}

void job_describe(const Job *job, Text *out) {
    char name[32];
    text_appendf(out, "  job: interval %" PRId64 " ms, %u partitions\n", job->interval_ms, job->partitions);
    for (int i = 0; i < job->node_count; i++) {
        const Node *node = &job->nodes[i];
        text_appendf(out, "    %s", node_name(job, i, name));
        if (!is_source(node->kind))
            text_appendf(out, "(%d", node->a);
        if (node->b >= 0)
            text_appendf(out, ", %d", node->b);
        if (!is_source(node->kind))
            text_appendf(out, "; %" PRId64 ")", node->parameter);
        if (node->check > 0)
            text_appendf(out, " timeout %d, looked at every %d", node->length, node->check);
        if (is_window(node->kind))
            text_appendf(out, " over %d every %d", node->length, node->slide);
        text_append(out, node->has_output ? STR(" -> output\n") : STR("\n"));
    }
}

/* ---- the functions of the job ---- */

/* A thread may hand over in the middle of a task, as it would be descheduled. */
static void yield(const Running *running) {
    env_sim_yield(running->env);
}

static bool give_rows(int64_t batch_time_ms, LeatOut *out, void *user) {
    struct Tap *tap = user;
    Running *running = tap->running;
    uint64_t call = ledger_note_call(running->ledger, tap->node, batch_time_ms);
    Text text = {0};
    job_function_rows(running->job, tap->node, batch_time_ms, call, &text);
    Str rest = text_str(&text), line;
    while (rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        line = str_slice(rest.data, (size_t)(end - rest.data));
        rest = str_slice(end + 1, rest.size - line.size - 1);
        const char *tab = memchr(line.data, '\t', line.size);
        if (tab) {
            leat_out_str(out, 0, str_slice(line.data, (size_t)(tab - line.data)));
            leat_out_i64(out, 1, strtoll(tab + 1, NULL, 10));
        } else {
            leat_out_str(out, 0, line);
        }
        leat_out_emit(out);
    }
    text_deinit(&text);
    return true;
}

static void upper(const LeatRow *row, LeatOut *out, void *user) {
    LeatStr value = leat_row_str(row, 0);
    Text text = {0};
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        text_append_byte(&text, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
    leat_out_str(out, 0, text_str(&text));
    leat_out_emit(out);
    text_deinit(&text);
    if (value.size % 4 == 0)
        yield(user);
}

static void score(const LeatRow *row, LeatOut *out, void *user) {
    LeatStr rest = leat_row_str(row, 0), word;
    size_t size = rest.size;
    while (leat_str_split(&rest, ' ', &word)) {
        leat_out_str(out, 0, word);
        leat_out_i64(out, 1, (int64_t)size);
        leat_out_emit(out);
    }
    if (size % 8 == 0)
        yield(user);
}

/* User pointers of functions with a parameter: the node says which. */
static void twice(const LeatRow *row, LeatOut *out, void *user) {
    const struct Tap *tap = user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, 2 * leat_row_i64(row, 1) + tap->running->job->nodes[tap->node].parameter);
    leat_out_emit(out);
}

static bool some(const LeatRow *row, void *user) {
    const struct Tap *tap = user;
    return leat_row_i64(row, 1) % tap->running->job->nodes[tap->node].parameter != 0;
}

/* Associative and commutative, and none of those built in. */
static void mix(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    int64_t x = leat_row_i64(a, 0), y = leat_row_i64(b, 0);
    leat_out_i64(out, 0, x ^ y);
}

static void combiner_create(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(row, 0));
    leat_out_i64(out, 1, 1);
}

static void combiner_add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
    leat_out_i64(out, 1, leat_row_i64(a, 1) + 1);
}

static void combiner_merge(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
    leat_out_i64(out, 1, leat_row_i64(a, 1) + leat_row_i64(b, 1));
}

static void initial_words(LeatOut *out, void *user) {
    const struct Tap *tap = user;
    for (int64_t i = 0; i < tap->running->job->nodes[tap->node].parameter; i++) {
        leat_out_str(out, 0, leat_str(job_word((uint64_t)i)));
        leat_out_i64(out, 1, i);
        leat_out_emit(out);
    }
}

/* What is given for a record does not tell its place among those of its key, which the model may not know. */
static void map_state(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                      void *user) {
    const struct Tap *tap = user;
    leat_out_str(out, 0, leat_row_str(key, 0));
    if (!value) {
        leat_out_i64(out, 1, timed_out(leat_state_get_i64(state, 0)));
        leat_out_emit(out);
        return;
    }
    int64_t n = leat_row_i64(value, 0), total = leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0;
    leat_state_update_i64(state, 0, total + n);
    leat_out_i64(out, 1, 3 * n + tap->running->job->nodes[tap->node].parameter);
    leat_out_emit(out);
    if (total % 16 == 0)
        yield(tap->running);
}

static bool running_sum(const LeatUpdate *update, void *user) {
    const struct Tap *tap = user;
    int64_t total = leat_update_state_i64(update, 0);
    for (size_t i = 0; i < leat_update_value_count(update); i++)
        total += leat_update_value_i64(update, i, 0);
    if (total % 16 == 0)
        yield(tap->running);
    if (leat_update_value_count(update) == 0)
        return true; /* as it was */
    if (total % tap->running->job->nodes[tap->node].parameter == 0)
        return false;
    leat_update_set_state_i64(update, 0, total);
    return true;
}

static void three_times(const LeatRow *row, LeatOut *out, void *user) {
    const struct Tap *tap = user;
    leat_out_i64(out, 0, 3 * leat_row_i64(row, 0) + tap->running->job->nodes[tap->node].parameter);
    leat_out_emit(out);
}

static void and_next(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    int64_t n = leat_row_i64(row, 0);
    leat_out_i64(out, 0, n);
    leat_out_emit(out);
    if (n % 2 != 0) {
        leat_out_i64(out, 0, n + 1);
        leat_out_emit(out);
    }
}

static void give_pair(const LeatRow *row, LeatOut *out, int64_t n) {
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, n);
    leat_out_emit(out);
}

static void of_join(const LeatRow *row, LeatOut *out, void *user) {
    const struct Tap *tap = user;
    NodeKind kind = tap->running->job->nodes[tap->node].kind;
    int64_t sides[2];
    for (uint32_t i = 0; i < 2; i++) {
        bool is_option = kind == FULL_JOIN || kind == (i == 0 ? RIGHT_JOIN : LEFT_JOIN);
        LeatRow value;
        if (!is_option)
            sides[i] = leat_row_i64(row, 1 + i);
        else
            sides[i] = leat_row_option(row, 1 + i, &value) ? leat_row_i64(&value, 0) : ABSENT;
    }
    give_pair(row, out, joined(sides[0], sides[1]));
}

static void add_up(const LeatRow *row, uint32_t column, int64_t *sum, int64_t *count) {
    *sum = 0;
    *count = leat_row_array_count(row, column);
    for (uint32_t i = 0; i < *count; i++) {
        LeatRow element = leat_row_array_at(row, column, i);
        *sum += leat_row_i64(&element, 0);
    }
}

static void of_lists(const LeatRow *row, LeatOut *out, void *user) {
    const struct Tap *tap = user;
    bool has_two = tap->running->job->nodes[tap->node].kind == COGROUP;
    int64_t sums[2] = {0}, counts[2] = {0};
    add_up(row, 1, &sums[0], &counts[0]);
    if (has_two)
        add_up(row, 2, &sums[1], &counts[1]);
    give_pair(row, out, grouped(sums[0], counts[0], sums[1], counts[1]));
}

static void of_combiner(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    give_pair(row, out, grouped(leat_row_i64(row, 1), leat_row_i64(row, 2), 0, 0));
}

static bool record(LeatBatch *batch, void *user) {
    struct Tap *tap = user;
    Running *running = tap->running;
    Shape shape = running->job->nodes[tap->node].shape;
    int64_t time_ms = leat_batch_time_ms(batch);
    Text text = {0};
    LeatRows rows = leat_batch_collect(batch);
    uint64_t count = 0;
    for (LeatRow row; leat_rows_next(&rows, &row); count++) {
        if (shape != NUMBERS)
            text_append(&text, leat_row_str(&row, 0));
        if (shape != LINES)
            text_appendf(&text, "\t%" PRId64, leat_row_i64(&row, shape == PAIRS));
        text_append_byte(&text, '\n');
    }
    bool is_failing = running->failing_one_in > 0 && job_mix(running->job->seed, running->life,
                                                             (uint64_t)time_ms, 7000 + (uint64_t)tap->node) %
                                                             running->failing_one_in ==
                                                         0;
    bool is_whole = count == leat_batch_count(batch); /* else there was no memory for a chunk */
    yield(running);
    ledger_note_output(running->ledger, running->life, tap->node, time_ms, is_failing || !is_whole,
                       text_str(&text));
    text_deinit(&text);
    yield(running);
    return !is_failing;
}

/* ---- building ---- */

static LeatStream *pairs_of(LeatStream *stream, LeatRecordFunction function, struct Tap *tap) {
    return leat_key(leat_map(stream, leat_function("value STRING, n BIGINT", function, tap)), 1);
}

/* Thousands of rows of a few keys are not joined with thousands of others. */
static LeatStream *left_side(const Running *running, LeatStream *stream) {
    return running->job->big_batch_one_in > 0 ? leat_reduce_by_key(stream, leat_sum()) : stream;
}

static LeatStream *map_with_state(const Running *running, struct Tap *tap, LeatStream *stream) {
    const Node *node = &running->job->nodes[tap->node];
    int64_t interval_ms = running->job->interval_ms;
    return leat_map_with_state(
        stream, leat_map_with_state_function("n BIGINT", "value STRING, n BIGINT", map_state, tap),
        (LeatStateSpec){.timeout = leat_milliseconds(node->length * interval_ms),
                        .checkpoint_interval = leat_milliseconds(node->check * interval_ms)});
}

static LeatStream *build_node(Running *running, LeatContext *context, LeatStream *const *streams, int i) {
    const Node *node = &running->job->nodes[i];
    struct Tap *tap = &running->taps[i];
    LeatStream *a = node->a >= 0 ? streams[node->a] : NULL, *b = node->b >= 0 ? streams[node->b] : NULL;
    LeatWindow window = {.length = leat_milliseconds(node->length * running->job->interval_ms),
                         .slide = leat_milliseconds(node->slide * running->job->interval_ms)};
    char text[32];
    switch (node->kind) {
    case FUNCTION_LINES:
        return leat_function_stream(context, "value STRING", give_rows, tap);
    case FUNCTION_PAIRS:
        return leat_key(leat_function_stream(context, "value STRING, n BIGINT", give_rows, tap), 1);
    case SOCKET:
        snprintf(text, sizeof text, "%d", FIRST_PORT + i);
        return leat_socket_text_stream(context, "localhost", text);
    case FILES:
        snprintf(text, sizeof text, "/in%d", i);
        return leat_text_file_stream_with(
            context,
            (LeatFileStream){.directory = text, .existing_files = true, .remember = leat_minutes(6000)});
    case SPLIT:
        return leat_flat_map(a, leat_split(" "));
    case UPPER:
        return leat_map(a, leat_function("value STRING", upper, running));
    case CONTAINS:
        snprintf(text, sizeof text, "%" PRId64, node->parameter);
        return leat_filter(a, leat_contains(text));
    case UNION:
        return leat_union(a, b);
    case PAIR:
        return leat_map(a, leat_pair_with_i64(node->parameter));
    case SCORE:
        return leat_key(leat_flat_map(a, leat_function("value STRING, n BIGINT", score, running)), 1);
    case TWICE:
        return leat_key(leat_map(a, leat_function("value STRING, n BIGINT", twice, tap)), 1);
    case SOME:
        return leat_filter(a, leat_predicate(some, tap));
    case SUM_BY_KEY:
        return leat_reduce_by_key(a, leat_sum());
    case MIN_BY_KEY:
        return leat_reduce_by_key(a, leat_min());
    case MAX_BY_KEY:
        return leat_reduce_by_key(a, leat_max());
    case MIX_BY_KEY:
        return leat_reduce_by_key(a, leat_reduce_function(mix, tap));
    case COMBINE:
        return pairs_of(
            leat_combine_by_key(
                a, leat_combine_function("sum BIGINT, count BIGINT",
                                         (LeatCombine){.create = combiner_create,
                                                       .merge_value = combiner_add,
                                                       .merge_combiners = combiner_merge,
                                                       .no_map_side_combine = node->parameter % 2 == 0},
                                         tap)),
            of_combiner, tap);
    case RUNNING_ON:
        return leat_update_state_by_key_with(
            a, leat_update_function("n BIGINT", running_sum, tap),
            (LeatUpdateOptions){.initial_state = initial_words, .initial_user = tap});
    case MAP_STATE:
        return leat_key(map_with_state(running, tap, a), 1);
    case SNAPSHOTS:
        return leat_state_snapshots(map_with_state(running, tap, a));
    case RUNNING:
        return leat_update_state_by_key(a, leat_update_function("n BIGINT", running_sum, tap));
    case COUNT:
        return leat_count(a);
    case GREATEST:
        return leat_reduce(a, leat_max());
    case DISTINCT:
        return leat_distinct(a);
    case SORTED:
        return leat_sort_by_key(a, true);
    case TOP:
        return leat_top(a, (int)node->parameter, NULL);
    case COUNT_BY_VALUE:
        return leat_count_by_value(a);
    case MAP_VALUES:
        return leat_map_values(a, leat_function("n BIGINT", three_times, tap));
    case FLAT_MAP_VALUES:
        return leat_flat_map_values(a, leat_function("n BIGINT", and_next, tap));
    case GROUP:
        return pairs_of(leat_group_by_key(a), of_lists, tap);
    case JOIN:
        return pairs_of(leat_join(left_side(running, a), b), of_join, tap);
    case LEFT_JOIN:
        return pairs_of(leat_left_outer_join(left_side(running, a), b), of_join, tap);
    case RIGHT_JOIN:
        return pairs_of(leat_right_outer_join(left_side(running, a), b), of_join, tap);
    case FULL_JOIN:
        return pairs_of(leat_full_outer_join(left_side(running, a), b), of_join, tap);
    case COGROUP:
        return pairs_of(leat_cogroup(a, b), of_lists, tap);
    case WINDOW:
        return leat_window(a, window);
    case SUM_BY_WINDOW:
        return leat_reduce_by_key_and_window(a, leat_sum(), window);
    case MAX_BY_WINDOW:
        return leat_reduce_by_key_and_window(a, leat_max(), window);
    case GREATEST_BY_WINDOW:
        return leat_reduce_by_window(a, leat_max(), window);
    case SUBTRACTING:
        window.inverse = leat_subtract();
        return leat_reduce_by_key_and_window(a, leat_sum(), window);
    case GROUP_BY_WINDOW:
        return pairs_of(leat_group_by_key_and_window(a, window), of_lists, tap);
    case COUNT_BY_WINDOW:
        return leat_count_by_window(a, window);
    case COUNT_BY_VALUE_AND_WINDOW:
        return leat_count_by_value_and_window(a, window);
    case NODE_KIND_COUNT:
        break;
    }
    return NULL;
}

void job_build(Running *running, LeatContext *context) {
    LeatStream *streams[NODE_MAX];
    for (int i = 0; i < running->job->node_count; i++) {
        running->taps[i] = (struct Tap){running, i};
        streams[i] = build_node(running, context, streams, i);
        if (running->job->nodes[i].has_output)
            leat_foreach_rdd(streams[i], record, &running->taps[i]);
    }
}
