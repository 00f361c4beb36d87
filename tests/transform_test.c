/* transform_test.c - batches by hand: transform, batch handles of outputs, rows that are always the same.
 *
 * HOSTILE_TEST THREADS_TEST
 */
#include "cases.h"

#include <stdlib.h>

/* ---- pipelines ---- */

static void plus(const LeatRow *row, LeatOut *out, void *user) {
    leat_out_i64(out, 0, leat_row_i64(row, 0) + (intptr_t)user);
}

static LeatStream *shifted(LeatStream *in, intptr_t by) {
    return leat_map(in, leat_function("n BIGINT", plus, (void *)by));
}

static LeatStream *both(LeatStream *a, LeatStream *b, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return leat_union(a, b);
}

static LeatStream *union_with(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_transform_with(in[0], shifted(in[0], 4), NULL, both, NULL);
}

static LeatStream *union_inputs(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_transform_with(in[0], in[1], NULL, both, NULL);
}

static LeatStream *all(LeatStream *const *batches, int count, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    LeatStream *sum = batches[0];
    for (int i = 1; i < count; i++)
        sum = leat_union(sum, batches[i]);
    return sum;
}

static LeatStream *union_all(LeatContext *ctx, LeatStream *const *in) {
    LeatStream *streams[] = {in[0], shifted(in[0], 4), shifted(in[0], 8)};
    return leat_transform_all(ctx, streams, 3, NULL, all, NULL);
}

static LeatStream *same(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return batch;
}

static LeatStream *identity(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_reduce_by_key(leat_transform(leat_map(in[0], leat_pair_with_i64(1)), NULL, same, NULL),
                              leat_sum());
}

/* Counted twice: handles are built on, and looked at on the way. */
static LeatStream *count_if_many(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    LeatBatch *counts = leat_batch_run(leat_count(batch));
    LeatRows rows = leat_batch_collect(counts);
    LeatRow row;
    int64_t count = leat_rows_next(&rows, &row) ? leat_row_i64(&row, 0) : -1;
    return count > 2 ? leat_count(batch) : leat_batch_stream(counts);
}

static LeatStream *count_twice(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_transform(in[0], "count BIGINT", count_if_many, NULL);
}

/* What is built differs from batch to batch, by little: a text, a user, a kind. */
static LeatStream *by_turns(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)user;
    switch (batch_time_ms / 1000 % 5) {
    case 1:
        return leat_filter(batch, leat_contains("a"));
    case 2:
        return leat_filter(batch, leat_contains("b"));
    case 3:
        return leat_distinct(batch);
    case 4:
        return leat_sort_by(batch, "word");
    default:
        return leat_sort_by(batch, "word DESC");
    }
}

static LeatStream *turns(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_transform(in[0], NULL, by_turns, NULL);
}

static LeatStream *plus_seconds(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)user;
    return shifted(batch, batch_time_ms / 1000);
}

static LeatStream *changing_user(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    return leat_transform(in[0], NULL, plus_seconds, NULL);
}

/* ---- a blacklist ---- */

static bool spam_words(LeatOut *out, void *user) {
    (void)user;
    static const char *const words[] = {"b", "a word of many letters", "d", "b"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        leat_out_str(out, 0, leat_str(words[i]));
        leat_out_emit(out);
    }
    return true;
}

static bool is_no_spam(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_is_null(row, 2);
}

static void without_spam_column(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, leat_row_i64(row, 1));
}

static LeatStream *drop_spam(LeatStream *counts, int64_t batch_time_ms, void *spam) {
    (void)batch_time_ms;
    LeatStream *marked = leat_filter(leat_left_outer_join(counts, spam), leat_predicate(is_no_spam, NULL));
    return leat_map(marked, leat_function("word STRING, n BIGINT", without_spam_column, NULL));
}

static LeatStream *counts_of(LeatStream *words) {
    return leat_reduce_by_key(leat_map(words, leat_pair_with_i64(1)), leat_sum());
}

static LeatStream *without_blacklist(LeatContext *ctx, LeatStream *const *in) {
    LeatStream *spam =
        leat_map(leat_distinct(leat_rows(ctx, "word STRING", spam_words, NULL)), leat_pair_with_i64(0));
    return leat_transform(counts_of(in[0]), NULL, drop_spam, spam);
}

static LeatStream *spam_beside(LeatStream *counts, int64_t batch_time_ms, void *spam) {
    (void)batch_time_ms;
    return leat_union(leat_union(spam, counts), spam);
}

static LeatStream *blacklist_twice(LeatContext *ctx, LeatStream *const *in) {
    LeatStream *spam = leat_map(leat_rows(ctx, "word STRING", spam_words, NULL), leat_pair_with_i64(0));
    return leat_transform(counts_of(in[0]), NULL, spam_beside, spam);
}

static LeatStream *only_spam(LeatStream *batch, int64_t batch_time_ms, void *spam) {
    (void)batch;
    (void)batch_time_ms;
    return spam;
}

static LeatStream *blacklist_alone(LeatContext *ctx, LeatStream *const *in) {
    return leat_transform(in[0], NULL, only_spam, leat_rows(ctx, "word STRING", spam_words, NULL));
}

static LeatStream *constant_stream(LeatContext *ctx, LeatStream *const *in) {
    LeatStream *spam = leat_map(leat_rows(ctx, "word STRING", spam_words, NULL), leat_pair_with_i64(0));
    return leat_sort_by(leat_union(spam, counts_of(in[0])), "word, n");
}

static LeatStream *descending(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return leat_sort_by(batch, "n DESC");
}

/* Due at every second time only. */
static LeatStream *sorted_windows(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    LeatWindow two = {.length = leat_seconds(2), .slide = leat_seconds(2)};
    return leat_transform(leat_window(in[0], two), NULL, descending, NULL);
}

static LeatStream *transform_twice(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    LeatStream *sorted = leat_transform(in[0], NULL, descending, NULL);
    return leat_transform_with(leat_transform(sorted, NULL, plus_seconds, NULL), in[0], NULL, both, NULL);
}

static bool running_sum(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

/* State behind a transform, and a transform behind state. */
static LeatStream *state_between(LeatContext *ctx, LeatStream *const *in) {
    (void)ctx;
    LeatStream *pairs = leat_transform(counts_of(in[0]), NULL, same, NULL);
    LeatStream *sums = leat_update_state_by_key(pairs, leat_update_function("n BIGINT", running_sum, NULL));
    return leat_transform(sums, NULL, descending, NULL);
}

#define TO_TWELVE                                                                               \
    {                                                                                           \
        "n BIGINT", {                                                                           \
            BATCH("1", "2", "3", "4"), BATCH("5", "6", "7", "8"), BATCH("9", "10", "11", "12"), \
        }                                                                                       \
    }
#define WORDS                                                                  \
    {                                                                          \
        "word STRING", {                                                       \
            BATCH("a", "a", "b", "c"), BATCH("d", "b"), EMPTY, BATCH("e", "b") \
        }                                                                      \
    }

static const Case cases[] = {
    {.name = "transformWith: union",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build_in = union_with,
     .expected = {"1\n2\n3\n4\n5\n6\n7\n8\n", "5\n6\n7\n8\n9\n10\n11\n12\n",
                  "9\n10\n11\n12\n13\n14\n15\n16\n"}},
    {.name = "transform of a context: union of three",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build_in = union_all,
     .expected = {"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n",
                  "9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n"}},
    {.name = "transformWith: two inputs, one of them empty",
     .feeds = {{"n BIGINT", {BATCH("1"), EMPTY, BATCH("3")}}, {"n BIGINT", {EMPTY, EMPTY, BATCH("4")}}},
     .batch_count = 3,
     .build_in = union_inputs,
     .expected = {"1\n", "", "3\n4\n"}},
    {.name = "transform: what came",
     .feeds = {WORDS},
     .batch_count = 4,
     .build_in = identity,
     .is_set = true,
     .expected = {"('a', 2)\n('b', 1)\n('c', 1)\n", "('b', 1)\n('d', 1)\n", "", "('b', 1)\n('e', 1)\n"}},
    {.name = "transform: run, look, build on",
     .feeds = {WORDS},
     .batch_count = 4,
     .build_in = count_twice,
     .expected = {"4\n", "2\n", "0\n", "2\n"}},
    {.name = "transform: another plan in each batch",
     .feeds = {{"word STRING",
                {BATCH("ab", "a", "b"), BATCH("ab", "a", "b"), BATCH("c", "c"), BATCH("b", "c", "a"),
                 BATCH("b", "c", "a"), BATCH("ab", "a", "b"), BATCH("ab", "a", "b")}}},
     .batch_count = 7,
     .build_in = turns,
     .expected = {"ab\na\n", "ab\nb\n", "c\n", "a\nb\nc\n", "c\nb\na\n", "ab\na\n", "ab\nb\n"}},
    {.name = "transform: another user in each batch",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build_in = changing_user,
     .expected = {"2\n3\n4\n5\n", "7\n8\n9\n10\n", "12\n13\n14\n15\n"}},
    {.name = "transform: of a window that slides by two",
     .feeds = {TO_TWELVE},
     .batch_count = 4,
     .build_in = sorted_windows,
     .has_state = true,
     .expected = {NULL, "8\n7\n6\n5\n4\n3\n2\n1\n", NULL, "12\n11\n10\n9\n"}},
    {.name = "transform: of a transform",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build_in = transform_twice,
     .expected = {"5\n4\n3\n2\n1\n2\n3\n4\n", "10\n9\n8\n7\n5\n6\n7\n8\n",
                  "15\n14\n13\n12\n9\n10\n11\n12\n"}},
    {.name = "transform: in front of state and behind it",
     .feeds = {{"word STRING", {BATCH("a", "b", "a"), BATCH("b", "b", "c", "b"), EMPTY}}},
     .batch_count = 3,
     .build_in = state_between,
     .has_state = true,
     .expected = {"('a', 2)\n('b', 1)\n", "('b', 4)\n('a', 2)\n('c', 1)\n",
                  "('b', 4)\n('a', 2)\n('c', 1)\n"}},
    {.name = "transform: a blacklist",
     .feeds = {WORDS},
     .batch_count = 4,
     .build_in = without_blacklist,
     .is_set = true,
     .expected = {"('a', 2)\n('c', 1)\n", "", "", "('e', 1)\n"}},
    {.name = "transform: the blacklist on both sides",
     .feeds = {{"word STRING", {BATCH("x"), EMPTY, BATCH("y")}}},
     .batch_count = 3,
     .build_in = blacklist_twice,
     .expected = {"('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n('x', 1)\n"
                  "('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n",
                  "('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n"
                  "('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n",
                  "('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n('y', 1)\n"
                  "('b', 0)\n('a word of many letters', 0)\n('d', 0)\n('b', 0)\n"}},
    {.name = "transform: the blacklist alone",
     .feeds = {{"word STRING", {BATCH("x"), EMPTY}}},
     .batch_count = 2,
     .build_in = blacklist_alone,
     .expected = {"b\na word of many letters\nd\nb\n", "b\na word of many letters\nd\nb\n"}},
    {.name = "rows that are always the same, as a stream",
     .feeds = {{"word STRING", {BATCH("b"), EMPTY, BATCH("c")}}},
     .batch_count = 3,
     .build_in = constant_stream,
     .expected = {"('a word of many letters', 0)\n('b', 0)\n('b', 0)\n('b', 1)\n('d', 0)\n",
                  "('a word of many letters', 0)\n('b', 0)\n('b', 0)\n('d', 0)\n",
                  "('a word of many letters', 0)\n('b', 0)\n('b', 0)\n('c', 1)\n('d', 0)\n"}},
};

TEST(cases_under_all_settings) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_hostile(&cases[i]);
}

/* ---- mistakes inside of a batch ---- */

static LeatContext *manual_context(void) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    return ctx;
}

static const Feed three = {"n BIGINT", {BATCH("1"), BATCH("2"), BATCH("3")}};
static const Feed one = {"n BIGINT", {BATCH("1")}};

static LeatStream *feed(LeatContext *ctx, const Feed *from) {
    return leat_function_stream(ctx, from->schema, feed_rows, (void *)(uintptr_t)from);
}

typedef LeatStream *(*OneFunction)(LeatStream *batch, int64_t batch_time_ms, void *user);

static LeatStream *give_null(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)user;
    return batch_time_ms < 2000 ? batch : NULL;
}
static LeatStream *give_text(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return leat_map(batch, leat_function("t STRING", without_spam_column, NULL));
}
static LeatStream *use_state(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    LeatStream *pairs = leat_map(batch, leat_pair_with_i64(1));
    return leat_map(leat_update_state_by_key(pairs, leat_update_function("n BIGINT", NULL, NULL)),
                    leat_function("n BIGINT", plus, NULL));
}
static bool keep_nothing(const LeatUpdate *key, void *user) {
    (void)key;
    (void)user;
    return false;
}
static LeatStream *use_whole_state(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    LeatStream *pairs = leat_map(batch, leat_pair_with_i64(1));
    LeatStream *state = leat_update_state_by_key(pairs, leat_update_function("n BIGINT", keep_nothing, NULL));
    return leat_map(state, leat_function("n BIGINT", plus, NULL));
}
static LeatStream *use_window(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return leat_window(batch, (LeatWindow){.length = leat_seconds(1)});
}
static LeatStream *use_output(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    leat_print(batch);
    return batch;
}
static LeatStream *use_transform(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    return leat_transform(batch, NULL, same, NULL);
}
static LeatStream *use_stream(LeatStream *batch, int64_t batch_time_ms, void *stream) {
    (void)batch_time_ms;
    return leat_union(batch, stream);
}
static LeatStream *give_stream(LeatStream *batch, int64_t batch_time_ms, void *stream) {
    (void)batch;
    (void)batch_time_ms;
    return stream;
}
static LeatStream *build_wrong(LeatStream *batch, int64_t batch_time_ms, void *user) {
    (void)batch_time_ms;
    (void)user;
    leat_key(batch, 7);
    return batch; /* all the same */
}

TEST(a_batch_that_cannot_be_made_fails_with_the_call) {
    static const struct {
        OneFunction function;
        const char *message;
        int exit_code;
    } mistakes[] = {
        {give_null, "leat_transform: batch 2000 ms: the function gave NULL", LEAT_EXIT_SOFTWARE},
        {give_text, "leat_transform: batch 1000 ms: the function gave rows of (t STRING), not of (n BIGINT)",
         LEAT_EXIT_CONFIG},
        {use_state,
         "leat_transform: batch 1000 ms: leat_update_state_by_key: leat_update_function() was given NULL",
         LEAT_EXIT_CONFIG},
        {use_whole_state,
         "leat_transform: batch 1000 ms: leat_update_state_by_key: has no meaning inside of a batch",
         LEAT_EXIT_CONFIG},
        {use_window, "leat_transform: batch 1000 ms: leat_window: has no meaning inside of a batch",
         LEAT_EXIT_CONFIG},
        {use_output,
         "leat_transform: batch 1000 ms: leat_print: outputs have no meaning inside of a batch; "
         "leat_batch_run gives its rows",
         LEAT_EXIT_CONFIG},
        {use_transform, "leat_transform: batch 1000 ms: leat_transform: has no meaning inside of a batch",
         LEAT_EXIT_CONFIG},
        {use_stream,
         "leat_transform: batch 1000 ms: leat_union: a stream of the program inside of a batch; give it to "
         "leat_transform_with or leat_transform_all",
         LEAT_EXIT_CONFIG},
        {give_stream, "leat_transform: batch 1000 ms: the result: a stream of the program inside of a batch",
         LEAT_EXIT_CONFIG},
        {build_wrong, "leat_transform: batch 1000 ms: leat_key: 7 key columns of a stream with 1: (n BIGINT)",
         LEAT_EXIT_CONFIG},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = manual_context();
        LeatStream *in = feed(ctx, &three);
        LeatCollector *collected = leat_collect(leat_transform(in, NULL, mistakes[i].function, in));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 3000);
        CHECK_EQ(leat_await_termination(ctx), mistakes[i].exit_code);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        CHECK_EQ(leat_collected_batches(collected), i == 0 ? 1 : 0);
        leat_context_destroy(ctx);
    }
}

TEST(a_transform_needs_a_batch_of_every_stream) {
    for (int i = 0; i < 2; i++) {
        LeatContext *ctx = manual_context();
        LeatStream *in = feed(ctx, &three), *ends = feed(ctx, &one);
        LeatCollector *collected = leat_collect(i ? leat_transform_with(in, ends, NULL, both, NULL)
                                                  : leat_transform(ends, NULL, same, NULL));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 3000);
        CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_CONFIG);
        CHECK_STR(leat_error(ctx), i ? "leat_transform_with: its second stream has no batch at 2000 ms"
                                     : "leat_transform: its stream has no batch at 2000 ms");
        CHECK_EQ(leat_collected_batches(collected), 1);
        leat_context_destroy(ctx);
    }
}

static bool no_rows(LeatOut *out, void *user) {
    (void)out;
    (void)user;
    return false;
}

static void transform_by_null(LeatContext *ctx) {
    leat_transform(feed(ctx, &one), NULL, NULL, NULL);
}
static void transform_of_none(LeatContext *ctx) {
    leat_transform_all(ctx, NULL, 0, NULL, all, NULL);
}
static void transform_to_nonsense(LeatContext *ctx) {
    leat_transform(feed(ctx, &one), "n BIGIN", same, NULL);
}
static void transform_of_two_slides(LeatContext *ctx) {
    LeatStream *in = feed(ctx, &one);
    LeatWindow two = {.length = leat_seconds(2), .slide = leat_seconds(2)};
    leat_transform_with(in, leat_window(in, two), NULL, both, NULL);
}
static void rows_by_null(LeatContext *ctx) {
    leat_rows(ctx, "n BIGINT", NULL, NULL);
}
static void rows_refused(LeatContext *ctx) {
    leat_rows(ctx, "n BIGINT", no_rows, NULL);
}
static void rows_of_lists(LeatContext *ctx) {
    leat_rows(ctx, "n ARRAY<BIGINT>", no_rows, NULL);
}
static void file_without_path(LeatContext *ctx) {
    leat_text_file(ctx, NULL);
}
static void file_that_is_none(LeatContext *ctx) {
    leat_text_file(ctx, "/");
}
static void file_that_is_missing(LeatContext *ctx) {
    leat_text_file(ctx, "/no such/file");
}

TEST(mistakes_are_named_with_the_call) {
    static const struct {
        void (*build)(LeatContext *ctx);
        const char *message;
        int exit_code;
    } mistakes[] = {
        {transform_by_null, "leat_transform: the function is NULL", LEAT_EXIT_CONFIG},
        {transform_of_none, "leat_transform_all: 0 streams; at least 1 is needed", LEAT_EXIT_CONFIG},
        {transform_to_nonsense, "leat_transform: schema \"n BIGIN\": at byte 2", LEAT_EXIT_CONFIG},
        {transform_of_two_slides, "leat_transform_with: the streams have different slide durations",
         LEAT_EXIT_CONFIG},
        {rows_by_null, "leat_rows: the function is NULL", LEAT_EXIT_CONFIG},
        {rows_refused, "leat_rows: the function returned false", LEAT_EXIT_CONFIG},
        {rows_of_lists, "leat_rows: schema \"n ARRAY<BIGINT>\": functions cannot give", LEAT_EXIT_CONFIG},
        {file_without_path, "leat_text_file: the path is missing", LEAT_EXIT_CONFIG},
        {file_that_is_none, "leat_text_file: /: not a file", LEAT_EXIT_CONFIG},
        {file_that_is_missing, "leat_text_file: ", LEAT_EXIT_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = manual_context();
        mistakes[i].build(ctx);
        leat_collect(feed(ctx, &one));
        CHECK_EQ(leat_start(ctx), mistakes[i].exit_code);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        leat_context_destroy(ctx);
    }
}

/* ---- what is compiled is kept ---- */

typedef struct Hooks {
    int opened, closed;
} Hooks;

static void *open_hook(void *user) {
    ((Hooks *)user)->opened++;
    return user;
}
static void close_hook(void *user) {
    ((Hooks *)user)->closed++;
}
static bool every_row(const LeatRow *row, void *user) {
    (void)row;
    (void)user;
    return true;
}

static LeatStream *with_hooks(LeatStream *batch, int64_t batch_time_ms, void *user) {
    LeatFunction predicate = leat_predicate(every_row, user);
    predicate.open = open_hook;
    predicate.close = close_hook;
    LeatStream *kept = leat_filter(batch, predicate);
    return batch_time_ms == 6000 ? leat_count(kept) : kept;
}

TEST(what_is_built_alike_is_compiled_once) {
    static const Feed eight = {
        "n BIGINT",
        {BATCH("1"), BATCH("2"), BATCH("3"), BATCH("4"), BATCH("5"), BATCH("6"), BATCH("7"), BATCH("8")}};
    Hooks hooks = {0};
    LeatContext *ctx = manual_context();
    leat_workers(ctx, 3);
    leat_collect(leat_transform(feed(ctx, &eight), NULL, with_hooks, &hooks));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    CHECK_EQ(hooks.opened, 0);
    leat_advance(ctx, 5000);
    CHECK_EQ(hooks.opened, 3);
    CHECK_EQ(hooks.closed, 0);
    leat_advance(ctx, 1000); /* another shape */
    CHECK_EQ(hooks.opened, 6);
    CHECK_EQ(hooks.closed, 3);
    leat_advance(ctx, 2000);
    CHECK_EQ(hooks.opened, 9);
    CHECK_STR(leat_error(ctx), "");
    leat_context_destroy(ctx);
    CHECK_EQ(hooks.closed, 9);
}

/* ---- handles in an output ---- */

typedef struct Report {
    char text[400];
    int turn;
    LeatStream *spam;
} Report;

static void note(Report *report, LeatBatch *batch) {
    LeatRows rows = leat_batch_collect(batch);
    size_t size = strlen(report->text);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        size += (size_t)snprintf(report->text + size, sizeof report->text - size, "%.*s=%lld ",
                                 (int)leat_row_str(&row, 0).size, leat_row_str(&row, 0).data,
                                 (long long)leat_row_i64(&row, 1));
    snprintf(report->text + size, sizeof report->text - size, "| ");
}

static bool look_at_best(LeatBatch *batch, void *user) {
    Report *report = user;
    LeatStream *counts = leat_batch_stream(batch);
    LeatBatch *best = leat_batch_run(leat_top(counts, 2, "n DESC, word"));
    note(report, best);
    note(report, leat_batch_run(leat_sort_by(leat_join(leat_batch_stream(best), report->spam), "word")));
    CHECK_EQ(leat_batch_time_ms(best), leat_batch_time_ms(batch));
    return true;
}

TEST(an_output_builds_on_its_batch) {
    static const Feed words = WORDS;
    Report report = {0};
    LeatContext *ctx = manual_context();
    report.spam = leat_map(leat_rows(ctx, "word STRING", spam_words, NULL), leat_pair_with_i64(7));
    leat_foreach_rdd(counts_of(feed(ctx, &words)), look_at_best, &report);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 4000);
    CHECK_STR(leat_error(ctx), "");
    CHECK_STR(report.text, "a=2 b=1 | b=1 b=1 | b=1 d=1 | b=1 b=1 d=1 | | | b=1 e=1 | b=1 b=1 | ");
    leat_context_destroy(ctx);
}

static bool build_wrong_in_output(LeatBatch *batch, void *user) {
    int turn = ++*(int *)user;
    LeatBatch *found = leat_batch_run(leat_top(leat_batch_stream(batch), turn == 2 ? 0 : 1, NULL));
    CHECK((found == NULL) == (turn == 2));
    CHECK(leat_batch_count(found) == (turn == 2 ? 0 : 1));
    CHECK(leat_batch_is_empty(found) == (turn == 2));
    LeatRows rows = leat_batch_collect(found);
    LeatRow row;
    CHECK(leat_rows_next(&rows, &row) == (turn != 2));

    return true;
}

TEST(an_output_that_builds_wrong_fails_and_the_next_goes_on) {
    int turn = 0;
    LeatContext *ctx = manual_context();
    leat_foreach_rdd(feed(ctx, &three), build_wrong_in_output, &turn);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_EQ(turn, 3);
    CHECK_STR(leat_error(ctx), "leat_foreach_rdd: batch 2000 ms: leat_top: 0 rows; at least 1 is needed");
    leat_context_destroy(ctx);
}

static bool run_foreign(LeatBatch *batch, void *stream) {
    (void)batch;
    CHECK(leat_batch_run(stream) == NULL);
    CHECK(leat_batch_run(NULL) == NULL);
    CHECK(leat_batch_stream(NULL) == NULL);
    return true;
}

TEST(a_stream_of_the_program_does_not_run) {
    LeatContext *ctx = manual_context();
    LeatStream *in = feed(ctx, &three);
    leat_foreach_rdd(in, run_foreign, in);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK_STR(leat_error(ctx), "leat_batch_run: a stream of the program; only what is built on a batch runs");
    leat_context_destroy(ctx);
}

/* ---- foreach_partition ---- */

enum { MANY_PARTITIONS = 64 };

/* Each partition has a place of its own: no lock. */
typedef struct Ledger {
    int opened[MANY_PARTITIONS], closed[MANY_PARTITIONS], whole[MANY_PARTITIONS];
    int64_t sums[MANY_PARTITIONS];
    int64_t time_ms;
    enum { NO_FAULT, OPEN_FAILS, ROW_FAILS, CLOSE_FAILS } fault;
} Ledger;

typedef struct Connection {
    Ledger *ledger;
    uint32_t partition;
} Connection;

static void *open_partition(uint32_t partition, int64_t batch_time_ms, void *user) {
    Ledger *ledger = user;
    CHECK(partition < MANY_PARTITIONS);
    if (ledger->fault == OPEN_FAILS && partition == 1)
        return NULL;
    if (partition == 0)
        ledger->time_ms = batch_time_ms;
    ledger->opened[partition]++;
    Connection *connection = malloc(sizeof *connection);
    *connection = (Connection){ledger, partition};
    return connection;
}

static bool take_row(const LeatRow *row, void *opened) {
    Connection *connection = opened;
    connection->ledger->sums[connection->partition] += leat_row_i64(row, 0);
    return connection->ledger->fault != ROW_FAILS || connection->partition != 1;
}

static bool take_chunk(const LeatChunk *chunk, void *opened) {
    LeatRow row = {chunk->columns, chunk->column_count, 0};
    for (; row.index < chunk->row_count; row.index++)
        if (!take_row(&row, opened))
            return false;
    return true;
}

static bool close_partition(void *opened, bool is_whole) {
    Connection *connection = opened;
    Ledger *ledger = connection->ledger;
    ledger->closed[connection->partition]++;
    ledger->whole[connection->partition] += is_whole;
    bool is_right = ledger->fault != CLOSE_FAILS || connection->partition != 1;
    free(connection);
    return is_right;
}

static bool thousand_numbers(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)user;
    for (int i = 1; i <= 1000; i++) {
        leat_out_i64(out, 0, i);
        leat_out_emit(out);
    }
    return batch_time_ms <= 2000;
}

static void run_ledger(Ledger *ledger, LeatForeachPartition functions, const char *message) {
    LeatContext *ctx = manual_context();
    leat_workers(ctx, 4);
    leat_set(ctx, "test-splits", "7");
    leat_foreach_partition(leat_function_stream(ctx, "n BIGINT", thousand_numbers, NULL), functions, ledger);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK_STR(leat_error(ctx), message);
    leat_context_destroy(ctx);
}

TEST(each_partition_is_opened_taken_and_closed) {
    static const char *const messages[] = {
        [NO_FAULT] = "",
        [OPEN_FAILS] = "leat_foreach_partition: batch 1000 ms: partition 1: the function open gave NULL",
        [ROW_FAILS] =
            "leat_foreach_partition: batch 1000 ms: partition 1: the function each_row returned false",
        [CLOSE_FAILS] =
            "leat_foreach_partition: batch 1000 ms: partition 1: the function close returned false",
    };
    for (int fault = NO_FAULT; fault <= CLOSE_FAILS; fault++) {
        Ledger ledger = {.fault = fault};
        LeatForeachPartition functions = {
            .open = open_partition, .each_row = take_row, .close = close_partition};
        run_ledger(&ledger, functions, messages[fault]);
        int64_t sum = 0;
        for (int p = 0; p < MANY_PARTITIONS; p++) {
            CHECK_EQ(ledger.opened[p], ledger.closed[p]);
            CHECK_EQ(ledger.whole[p], ledger.closed[p] - (fault == ROW_FAILS && p == 1));
            sum += ledger.sums[p];
        }
        CHECK_EQ(ledger.time_ms, 1000);
        CHECK(fault ? sum < 500501 : sum == 500500);
    }
    Ledger ledger = {0};
    LeatForeachPartition by_chunk = {
        .open = open_partition, .each_chunk = take_chunk, .close = close_partition};
    run_ledger(&ledger, by_chunk, "");
    int64_t sum = 0;
    for (int p = 0; p < MANY_PARTITIONS; p++)
        sum += ledger.sums[p];
    CHECK_EQ(sum, 500500);
}

static bool take_any(const LeatRow *row, void *user) {
    CHECK(leat_row_i64(row, 0) > 0);
    return user == NULL;
}

TEST(a_partition_needs_neither_open_nor_close) {
    LeatContext *ctx = manual_context();
    leat_foreach_partition(feed(ctx, &three), (LeatForeachPartition){.each_row = take_any}, NULL);
    leat_foreach_partition(NULL, (LeatForeachPartition){0}, NULL);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_STR(leat_error(ctx), "");
    leat_context_destroy(ctx);

    ctx = manual_context();
    leat_foreach_partition(feed(ctx, &three), (LeatForeachPartition){.open = open_partition}, NULL);
    CHECK_STR(leat_error(ctx), "leat_foreach_partition: one of each_row and each_chunk is needed");
    leat_context_destroy(ctx);
}

/* ---- a file as rows ---- */

static bool count_all(LeatBatch *batch, void *user) {
    Report *report = user;
    LeatStream *lines = leat_union(report->spam, leat_batch_stream(batch));
    LeatBatch *all_lines = leat_batch_run(leat_union(lines, report->spam));
    report->turn = (int)leat_batch_count(all_lines);
    CHECK_EQ(leat_batch_count(batch), 1);
    return true;
}

TEST(a_text_file_is_its_lines) {
    enum { LINES = 50000 };
    char path[400];
    snprintf(path, sizeof path, "%s/lines", check_tmpdir());
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    for (int i = 0; i < LINES; i++)
        fprintf(file, "line %d of a file that is longer than a piece of it%s", i,
                i == LINES - 1 ? ""
                : i % 2        ? "\r\n"
                               : "\n");
    fclose(file);
    LeatContext *ctx = manual_context();
    Report report = {.spam = leat_text_file(ctx, path)};
    LeatCollector *collected = leat_collect(leat_count(leat_distinct(leat_text_file(ctx, path))));
    static const Feed one_line = {"value STRING", {BATCH("x")}};
    leat_foreach_rdd(feed(ctx, &one_line), count_all, &report);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    remove(path); /* it has been read */
    leat_advance(ctx, 1000);
    CHECK_STR(leat_error(ctx), "");
    CHECK_EQ(report.turn, 2 * LINES + 1);
    CHECK_STR(leat_collected_text(collected, 0), "50000\n");
    leat_context_destroy(ctx);
}

TEST_MAIN()
