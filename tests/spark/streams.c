/* streams.c - the streams of Streams.scala, in C: what they give is compared by compare.py.
 *
 *     streams INPUT CHECKPOINT_DIR
 *
 * INPUT has a line for each batch of each of two inputs, "1|a,b,a"; "-" is an empty batch. Prints a line for
 * each batch of each stream: name|number|rows between ';', as pprint shows them. */
#include <leat/leat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES_MAX = 64, STREAMS_MAX = 128, LINE_SIZE = 256, NAME_SIZE = 64 };

typedef struct Input {
    char batches[BATCHES_MAX][LINE_SIZE];
    int count;
} Input;

typedef struct Kept {
    char name[NAME_SIZE];
    LeatCollector *collector;
} Kept;

static Input inputs[2];
static Kept kept[STREAMS_MAX];
static int kept_count;

static void read_inputs(const char *path) {
    char line[LINE_SIZE];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        Input *input = &inputs[line[0] == '2'];
        snprintf(input->batches[input->count++], LINE_SIZE, "%s", line + 2);
    }
    if (file)
        fclose(file);
}

static bool feed(int64_t batch_time_ms, LeatOut *out, void *user) {
    const Input *input = user;
    int64_t batch = batch_time_ms / 1000 - 1;
    LeatStr rest = leat_str(batch < input->count ? input->batches[batch] : "-"), word;
    if (leat_str_equal(rest, leat_str("-")))
        return true;
    while (leat_str_split(&rest, ',', &word)) {
        leat_out_str(out, 0, word);
        leat_out_emit(out);
    }
    return true;
}

static void keep(const char *name, LeatStream *stream) {
    snprintf(kept[kept_count].name, NAME_SIZE, "%s", name);
    kept[kept_count++].collector = leat_collect(stream);
}

/* ---- functions ---- */

static bool is_positive(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 1) > 0;
}

static void value_of_pair(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(row, 1));
    leat_out_emit(out);
}

static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
}

static void subtract(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) - leat_row_i64(b, 0));
}

static int64_t new_sum(const LeatUpdate *key) {
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    return sum;
}

static bool running_sum(const LeatUpdate *key, void *user) {
    (void)user;
    leat_update_set_state_i64(key, 0, new_sum(key));
    return true;
}

static bool sum_below_three(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = new_sum(key);
    if (sum >= 3)
        return false;
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

/* Running sums; four ends a key, silence too. */
static void sum_until_four(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                           void *user) {
    (void)user;
    int64_t given;
    if (leat_state_is_timing_out(state)) {
        given = -leat_state_get_i64(state, 0);
    } else {
        int64_t sum = leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0;
        given = sum += leat_row_i64(value, 0);
        if (sum == 4) {
            leat_state_remove(state);
            given = 1000;
        } else {
            leat_state_update_i64(state, 0, sum);
        }
    }
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, given);
    leat_out_emit(out);
}

/* ---- streams ---- */

typedef struct Streams {
    LeatStream *a, *b, *pairs_a, *pairs_b, *values_a;
} Streams;

static void keep_windowed(const char *what, int length, int slide, LeatStream *stream) {
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s %d %d", what, length, slide);
    keep(name, stream);
}

static void keep_windows(const Streams *in, int length, int slide) {
    LeatWindow window = {.length = leat_seconds(length), .slide = leat_seconds(slide)};
    LeatWindow inverse = window, by_function = window;
    inverse.inverse = leat_subtract();
    by_function.inverse = leat_reduce_function(subtract, NULL);
    LeatWindow filtered = inverse;
    filtered.filter = leat_predicate(is_positive, NULL);
    LeatStream *rows = leat_window(in->a, window);
    LeatStream *sums_a = leat_reduce_by_key_and_window(in->pairs_a, leat_sum(), window);
    LeatStream *sums_b = leat_reduce_by_key_and_window(in->pairs_b, leat_sum(), window);
    keep_windowed("window", length, slide, rows);
    keep_windowed("count of window", length, slide, leat_count(rows));
    keep_windowed("reduceByKeyAndWindow", length, slide, sums_a);
    keep_windowed("with inverse", length, slide,
                  leat_reduce_by_key_and_window(in->pairs_a, leat_sum(), inverse));
    keep_windowed("with filter", length, slide,
                  leat_reduce_by_key_and_window(in->pairs_a, leat_sum(), filtered));
    keep_windowed("reduceByWindow", length, slide, leat_reduce_by_window(in->values_a, leat_sum(), window));
    keep_windowed("reduceByWindow with inverse", length, slide,
                  leat_reduce_by_window(in->values_a, leat_reduce_function(add, NULL), by_function));
    keep_windowed("countByWindow", length, slide, leat_count_by_window(in->a, window));
    keep_windowed("countByValueAndWindow", length, slide, leat_count_by_value_and_window(in->a, window));
    keep_windowed("groupByKeyAndWindow", length, slide, leat_group_by_key_and_window(in->pairs_a, window));
    keep_windowed("join of windows", length, slide, leat_join(sums_a, sums_b));
    keep_windowed("state behind a window", length, slide,
                  leat_update_state_by_key(leat_window(in->pairs_a, window),
                                           leat_update_function("n BIGINT", running_sum, NULL)));
}

static void keep_all(const Streams *in) {
    static const int windows[][2] = {{2, 1}, {3, 2}, {4, 4}, {2, 3}, {5, 1}};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        keep_windows(in, windows[i][0], windows[i][1]);
    LeatStream *twice =
        leat_window(leat_window(in->a, (LeatWindow){.length = leat_seconds(2), .slide = leat_seconds(1)}),
                    (LeatWindow){.length = leat_seconds(4), .slide = leat_seconds(2)});
    keep("window of window", twice);
    keep("reduceByKey", leat_reduce_by_key(in->pairs_a, leat_sum()));
    keep("countByValue", leat_count_by_value(in->a));
    keep("groupByKey", leat_group_by_key(in->pairs_a));
    keep("union", leat_union(in->a, in->b));
    keep("reduce", leat_reduce(in->values_a, leat_sum()));
    keep("count", leat_count(in->a));
    keep("join", leat_join(in->pairs_a, in->pairs_b));
    keep("leftOuterJoin", leat_left_outer_join(in->pairs_a, in->pairs_b));
    keep("rightOuterJoin", leat_right_outer_join(in->pairs_a, in->pairs_b));
    keep("fullOuterJoin", leat_full_outer_join(in->pairs_a, in->pairs_b));
    keep("cogroup", leat_cogroup(in->pairs_a, in->pairs_b));
    keep("updateStateByKey",
         leat_update_state_by_key(in->pairs_a, leat_update_function("n BIGINT", running_sum, NULL)));
    keep("updateStateByKey that drops keys",
         leat_update_state_by_key(in->pairs_a, leat_update_function("n BIGINT", sum_below_three, NULL)));
    LeatFunction until_four =
        leat_map_with_state_function("n BIGINT", "word STRING, n BIGINT", sum_until_four, NULL);
    LeatStateSpec spec = {.timeout = leat_seconds(3), .checkpoint_interval = leat_seconds(2)};
    LeatStream *mapped = leat_map_with_state(in->pairs_a, until_four, spec);
    keep("mapWithState", mapped);
    keep("stateSnapshots", leat_state_snapshots(mapped));
}

static void print_kept(const Kept *k) {
    for (size_t i = 0; i < leat_collected_batches(k->collector); i++) {
        printf("%s|%02d|", k->name, (int)(leat_collected_time_ms(k->collector, i) / 1000));
        for (const char *at = leat_collected_text(k->collector, i); *at; at++)
            putchar(*at == '\n' ? ';' : *at);
        putchar('\n');
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return LEAT_EXIT_USAGE;
    read_inputs(argv[1]);
    LeatContext *ctx = leat_context_create("streams", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_checkpoint(ctx, argv[2]);
    Streams in = {.a = leat_function_stream(ctx, "word STRING", feed, &inputs[0]),
                  .b = leat_function_stream(ctx, "word STRING", feed, &inputs[1])};
    in.pairs_a = leat_map(in.a, leat_pair_with_i64(1));
    in.pairs_b = leat_map(in.b, leat_pair_with_i64(10));
    in.values_a = leat_map(in.pairs_a, leat_function("n BIGINT", value_of_pair, NULL));
    keep_all(&in);
    if (leat_start(ctx) == LEAT_EXIT_OK)
        leat_advance(ctx, inputs[0].count * 1000);
    leat_stop(ctx, (LeatStop){.graceful = false});
    for (int i = 0; i < kept_count; i++)
        print_kept(&kept[i]);
    int code = leat_await_termination(ctx);
    leat_context_destroy(ctx);
    return code;
}
