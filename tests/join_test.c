/* join_test.c - joins, groups and partitions through the public calls, under the hostile settings of cases.h:
 * what goes beyond the cases of Spark's own tests, which are in dstream_test.c.
 *
 * HOSTILE_TEST THREADS_TEST
 */
#include "cases.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- pipelines ---- */

static LeatStream *join(LeatStream *const *in) {
    return leat_join(leat_key(in[0], 1), leat_key(in[1], 1));
}
static LeatStream *full_join(LeatStream *const *in) {
    return leat_full_outer_join(leat_key(in[0], 1), leat_key(in[1], 1));
}
static LeatStream *full_join_by_two(LeatStream *const *in) {
    return leat_full_outer_join(leat_key(in[0], 2), leat_key(in[1], 2));
}
static LeatStream *cogroup(LeatStream *const *in) {
    return leat_cogroup(leat_key(in[0], 1), leat_key(in[1], 1));
}

/* Three streams: a side of the second join is a row of the first. */
static LeatStream *join_three(LeatStream *const *in) {
    return leat_left_outer_join(leat_full_outer_join(in[0], in[1]), in[2]);
}

static LeatStream *join_itself(LeatStream *const *in) {
    return leat_join(in[0], in[0]);
}

/* Each row with those of its key in this batch and the one before. */
static LeatStream *join_with_window(LeatStream *const *in) {
    return leat_join(in[0], leat_window(in[0], (LeatWindow){.length = leat_seconds(2)}));
}

static LeatStream *group_of_group(LeatStream *const *in) {
    return leat_group_by_key(leat_group_by_key(in[0]));
}

static LeatStream *group_then_reduce(LeatStream *const *in) {
    return leat_reduce_by_key(leat_join(leat_reduce_by_key(in[0], leat_sum()), in[1]), leat_sum());
}

static LeatStream *repartition(LeatStream *const *in) {
    return leat_group_by_key(leat_repartition(in[0], 5));
}

static void list_sum(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    int64_t sum = 0;
    for (uint32_t i = 0; i < leat_row_array_count(row, 0); i++) {
        LeatRow element = leat_row_array_at(row, 0, i), pair = leat_row_struct(&element, 0);
        sum += leat_row_i64(&pair, 1);
    }
    leat_out_i64(out, 0, sum);
}

static LeatStream *glom_and_sum(LeatStream *const *in) {
    return leat_reduce(leat_map(leat_glom(in[0]), leat_function("n BIGINT", list_sum, NULL)), leat_sum());
}

static void partition_sum(LeatPartition *partition, LeatOut *out, void *user) {
    (void)user;
    int64_t sum = 0;
    for (LeatRow row; leat_partition_next(partition, &row);)
        sum += leat_row_i64(&row, 1);
    leat_out_i64(out, 0, sum);
    leat_out_emit(out);
}

static LeatStream *sums_of_partitions(LeatStream *const *in) {
    return leat_reduce(leat_map_partitions(in[0], leat_partition_function("n BIGINT", partition_sum, NULL)),
                       leat_sum());
}

/* ---- cases ---- */

#define NUMBERS                                                                             \
    {                                                                                       \
        "k STRING, n BIGINT", {                                                             \
            BATCH("a,1", "b,2", "a,3", "NULL,4", "a,5"), EMPTY, BATCH("b,6"), BATCH("c,7"), \
        }                                                                                   \
    }
#define TEXTS                                                                                               \
    {                                                                                                       \
        "k STRING, s STRING", {                                                                             \
            BATCH("a,x", "NULL,y", "a,a text that is longer", "d,z"), BATCH("a,x"), BATCH("b,NULL"), EMPTY, \
        }                                                                                                   \
    }

static const Case cases[] = {
    {.name = "join: pairs in the order of the input, null keys are equal",
     .feeds = {NUMBERS, TEXTS},
     .batch_count = 4,
     .build = join,
     .is_set = true,
     .expected =
         {"('a', (1, 'a text that is longer'))\n('a', (1, 'x'))\n('a', (3, 'a text that is longer'))\n"
          "('a', (3, 'x'))\n('a', (5, 'a text that is longer'))\n('a', (5, 'x'))\n(None, (4, 'y'))\n",
          "", "('b', (6, None))\n", ""}},
    {.name = "fullOuterJoin: a null that is there is not an absent side",
     .feeds = {NUMBERS, TEXTS},
     .batch_count = 4,
     .build = full_join,
     .is_set = true,
     .expected =
         {"('a', (1, 'a text that is longer'))\n('a', (1, 'x'))\n('a', (3, 'a text that is longer'))\n"
          "('a', (3, 'x'))\n('a', (5, 'a text that is longer'))\n('a', (5, 'x'))\n('b', (2, None))\n"
          "('d', (None, 'z'))\n(None, (4, 'y'))\n",
          "('a', (None, 'x'))\n", "('b', (6, None))\n", "('c', (7, None))\n"}},
    {.name = "cogroup with null keys and null values",
     .feeds = {NUMBERS, TEXTS},
     .batch_count = 3,
     .build = cogroup,
     .is_set = true,
     .expected = {"('a', ([1, 3, 5], ['x', 'a text that is longer']))\n('b', ([2], []))\n('d', ([], ['z']))\n"
                  "(None, ([4], ['y']))\n",
                  "('a', ([], ['x']))\n", "('b', ([6], [None]))\n"}},
    {.name = "fullOuterJoin by two columns",
     .feeds = {{"k STRING, d DOUBLE, n BIGINT", {BATCH("a,0,1", "a,0.5,2", "NULL,-0,3", "b,1,4"), EMPTY}},
               {"k STRING, d DOUBLE, b BOOLEAN", {BATCH("a,-0,true", "NULL,0,false", "b,2,true"), EMPTY}}},
     .batch_count = 2,
     .build = full_join_by_two,
     .is_set = true,
     .expected = {"(('a', 0.0), (1, True))\n(('a', 0.5), (2, None))\n(('b', 1.0), (4, None))\n"
                  "(('b', 2.0), (None, True))\n((None, 0.0), (3, False))\n",
                  ""}},
    {.name = "three streams",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2"), EMPTY}},
               {"k STRING, m BIGINT", {BATCH("b,3", "c,4"), BATCH("a,5")}},
               {"k STRING, o BIGINT", {BATCH("a,6", "b,7", "b,8"), EMPTY}}},
     .batch_count = 2,
     .build = join_three,
     .is_set = true,
     .expected = {"('a', (1, None, 6))\n('b', (2, 3, 7))\n('b', (2, 3, 8))\n('c', (None, 4, None))\n",
                  "('a', (None, 5, None))\n"}},
    {.name = "a stream with itself",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "a,3"), EMPTY}}},
     .batch_count = 2,
     .build = join_itself,
     .is_set = true,
     .expected = {"('a', (1, 1))\n('a', (1, 3))\n('a', (3, 1))\n('a', (3, 3))\n('b', (2, 2))\n", ""}},
    {.name = "a stream with its window",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2"), BATCH("a,3"), BATCH("b,4", "a,5")}}},
     .batch_count = 3,
     .build = join_with_window,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', (1, 1))\n('b', (2, 2))\n", "('a', (3, 1))\n('a', (3, 3))\n",
                  "('a', (5, 3))\n('a', (5, 5))\n('b', (4, 4))\n"}},
    {.name = "groups of groups",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "a,3"), EMPTY}}},
     .batch_count = 2,
     .build = group_of_group,
     .is_set = true,
     .expected = {"('a', [[1, 3]])\n('b', [[2]])\n", ""}},
    {.name = "a join between reductions",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "a,3"), EMPTY}},
               {"k STRING, m BIGINT", {BATCH("a,10", "a,20", "c,30"), EMPTY}}},
     .batch_count = 2,
     .build = group_then_reduce,
     .is_set = true,
     .expected = {"('a', (8, 30))\n", ""}},
    {.name = "repartition",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "c,3", "d,4", "e,5", "f,6", "g,7"), EMPTY}}},
     .batch_count = 2,
     .build = repartition,
     .is_set = true,
     .expected = {"('a', [1])\n('b', [2])\n('c', [3])\n('d', [4])\n('e', [5])\n('f', [6])\n('g', [7])\n",
                  ""}},
    {.name = "lists of partitions",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "c,3", "d,4"), EMPTY}}},
     .batch_count = 2,
     .build = glom_and_sum,
     .expected = {"10\n", ""}},
    {.name = "mapPartitions",
     .feeds = {{"k STRING, n BIGINT", {BATCH("a,1", "b,2", "c,3", "d,4"), EMPTY}}},
     .batch_count = 2,
     .build = sums_of_partitions,
     .expected = {"10\n", ""}},
};

TEST(joins_under_all_settings) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_hostile(&cases[i]);
}

/* ---- partitions as such ---- */

static const Feed to_twelve = {
    "n BIGINT", {BATCH("1", "2", "3", "4"), BATCH("5", "6", "7", "8"), BATCH("9", "10", "11", "12"), EMPTY}};

typedef struct Counts {
    uint32_t partitions[4];
    uint64_t rows[4];
    int calls;
} Counts;

static bool count_partitions(LeatBatch *batch, void *user) {
    Counts *counts = user;
    counts->partitions[counts->calls] = leat_batch_partition_count(batch);
    counts->rows[counts->calls++] = leat_batch_count(batch);
    return true;
}

static void index_and_rows(LeatPartition *partition, LeatOut *out, void *user) {
    (void)user;
    char text[64];
    int size = snprintf(text, sizeof text, "%u:", leat_partition_index(partition));
    for (LeatRow row; leat_partition_next(partition, &row);)
        size += snprintf(text + size, sizeof text - (size_t)size, " %lld", (long long)leat_row_i64(&row, 0));
    LeatRow none;
    CHECK(!leat_partition_next(partition, &none)); /* asked again */
    leat_out_str(out, 0, leat_str(text));
    leat_out_emit(out);
}

/* Spark's cases of glom, mapPartitions and repartition, whose answers depend on the splits: two. */
static void check_partitions(int workers, int chunk_rows) {
    LeatContext *ctx = leat_context_create("partitions", leat_seconds(1));
    Counts five = {0}, two = {0};
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, workers);
    number_option(ctx, "test-splits", 2);
    number_option(ctx, "test-chunk-rows", chunk_rows);
    LeatStream *in = leat_function_stream(ctx, to_twelve.schema, feed_rows, (void *)&to_twelve);
    LeatStream *in_five = leat_repartition(in, 5);
    LeatCollector *lists = leat_collect(leat_glom(in));
    LeatCollector *dealt = leat_collect(leat_glom(in_five));
    LeatFunction function = leat_partition_function("text STRING", index_and_rows, NULL);
    LeatCollector *mapped = leat_collect(leat_map_partitions(in, function));
    LeatCollector *of_five = leat_collect(leat_map_partitions(in_five, function));
    leat_foreach_rdd(in_five, count_partitions, &five);
    leat_foreach_rdd(leat_repartition(in_five, 2), count_partitions, &two);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 4000);
    CHECK_STR(leat_collected_text(lists, 0), "[1, 2]\n[3, 4]\n");
    CHECK_STR(leat_collected_text(lists, 1), "[5, 6]\n[7, 8]\n");
    CHECK_STR(leat_collected_text(lists, 2), "[9, 10]\n[11, 12]\n");
    CHECK_STR(leat_collected_text(lists, 3), ""); /* an empty batch has no splits */
    CHECK_STR(leat_collected_text(dealt, 0), "[1]\n[2, 3]\n[4]\n[]\n[]\n");
    CHECK_STR(leat_collected_text(mapped, 0), "0: 1 2\n1: 3 4\n");
    CHECK_STR(leat_collected_text(mapped, 3), "");
    CHECK_STR(leat_collected_text(of_five, 3), "0:\n1:\n2:\n3:\n4:\n");
    for (int b = 0; b < 4; b++) {
        CHECK_EQ(five.partitions[b], 5);
        CHECK_EQ(two.partitions[b], 2);
        CHECK_EQ(five.rows[b], b < 3 ? 4 : 0);
        CHECK_EQ(two.rows[b], b < 3 ? 4 : 0);
    }
    leat_context_destroy(ctx);
}

TEST(partitions_are_what_they_are_for_any_number_of_workers) {
    for (int workers = 1; workers <= 7; workers += 3)
        for (int chunk_rows = 0; chunk_rows < 2; chunk_rows++)
            check_partitions(workers, chunk_rows);
}

/* Rows of a key are in one partition, in the order of the input. */
TEST(partition_by_keeps_keys_together) {
    static const Feed feed = {"k STRING, n BIGINT",
                              {BATCH("a,1", "b,2", "c,3", "a,4", "b,5", "d,6", "NULL,7", "a,8", "NULL,9")}};
    LeatContext *ctx = leat_context_create("partitions", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    number_option(ctx, "test-splits", 3);
    LeatStream *in = leat_key(leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed), 1);
    LeatCollector *parts = leat_collect(leat_glom(leat_partition_by(in, 3)));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    const char *text = leat_collected_text(parts, 0);
    REQUIRE(text != NULL);
    int line_count = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        line_count++;
    CHECK_EQ(line_count, 3);
    const char *a1 = strstr(text, "('a', 1)"), *a4 = strstr(text, "('a', 4)"), *a8 = strstr(text, "('a', 8)");
    REQUIRE(a1 && a4 && a8);
    CHECK(a1 < a4 && a4 < a8 && !memchr(a1, '\n', (size_t)(a8 - a1)));
    const char *n7 = strstr(text, "(None, 7)"), *n9 = strstr(text, "(None, 9)");
    REQUIRE(n7 && n9);
    CHECK(n7 < n9 && !memchr(n7, '\n', (size_t)(n9 - n7)));
    leat_context_destroy(ctx);
}

/* ---- print ---- */

static void print_all(LeatContext *ctx, char *text, size_t size) {
    char path[300];
    snprintf(path, sizeof path, "%s/printed", check_tmpdir());
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(saved >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    int code = leat_start(ctx);
    leat_advance(ctx, 1000);
    leat_stop(ctx, (LeatStop){0});
    dup2(saved, STDOUT_FILENO);
    close(saved);
    CHECK_EQ(code, LEAT_EXIT_OK);
    ssize_t got = pread(file, text, size - 1, 0);
    text[got < 0 ? 0 : got] = 0;
    close(file);
}

#define PRINT_HEAD                                             \
    "-------------------------------------------\nTime: 1000 " \
    "ms\n-------------------------------------------\n"

TEST(print_shows_what_scala_shows) {
    static const Feed numbers = {"k STRING, n BIGINT", {BATCH("a,1", "a,2")}};
    static const Feed texts = {"k STRING, s STRING", {BATCH("a,x")}};
    static const Feed others = {"k STRING, s STRING", {BATCH("b,NULL")}};
    static const struct {
        int mode;
        const char *shown;
    } shown[] = {
        {0, "(a,CompactBuffer(1, 2))\n"},
        {1, "(a,(CompactBuffer(1, 2),CompactBuffer(x)))\n"},
        {2, "(a,(1,x))\n(a,(2,x))\n"},
        {3, "(a,(1,Some(x)))\n(a,(2,Some(x)))\n"},
        {4, "(a,(Some(1),x))\n(a,(Some(2),x))\n"},
        {5, "(a,(Some(1),Some(x)))\n(a,(Some(2),Some(x)))\n"},
        {6, "(a,(1,None))\n(a,(2,None))\n"},
        {7, "(b,(None,null))\n"},
    };
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        LeatContext *ctx = leat_context_create("print", leat_seconds(1));
        leat_context_set_manual_clock(ctx);
        LeatStream *a = leat_function_stream(ctx, numbers.schema, feed_rows, (void *)&numbers);
        LeatStream *b = leat_function_stream(ctx, texts.schema, feed_rows, (void *)&texts);
        LeatStream *c = leat_function_stream(ctx, others.schema, feed_rows, (void *)&others);
        LeatStream *streams[] = {
            leat_group_by_key(a),       leat_cogroup(a, b),          leat_join(a, b),
            leat_left_outer_join(a, b), leat_right_outer_join(a, b), leat_full_outer_join(a, b),
            leat_left_outer_join(a, c), leat_right_outer_join(a, c),
        };
        leat_print(streams[shown[i].mode]);
        char text[600], expected[600];
        print_all(ctx, text, sizeof text);
        snprintf(expected, sizeof expected, PRINT_HEAD "%s\n", shown[i].shown);
        CHECK_STR(text, expected);
        leat_context_destroy(ctx);
    }
}

/* ---- mistakes ---- */

static LeatStream *pairs(LeatContext *ctx) {
    static const Feed feed = {"k STRING, n BIGINT", {BATCH("a,1")}};
    return leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
}

static void different_slides(LeatContext *ctx) {
    LeatWindow two = {.length = leat_seconds(2), .slide = leat_seconds(2)};
    LeatWindow three = {.length = leat_seconds(3), .slide = leat_seconds(3)};
    leat_join(leat_window(pairs(ctx), two), leat_window(pairs(ctx), three));
}
static void union_of_slides(LeatContext *ctx) {
    LeatWindow two = {.length = leat_seconds(2), .slide = leat_seconds(2)};
    leat_union(pairs(ctx), leat_window(pairs(ctx), two));
}
static void no_partitions(LeatContext *ctx) {
    leat_repartition(pairs(ctx), 0);
}
static void many_partitions(LeatContext *ctx) {
    leat_partition_by(pairs(ctx), 257);
}
static void map_partitions_by_sum(LeatContext *ctx) {
    leat_map_partitions(pairs(ctx), leat_sum());
}
static void map_partitions_by_nothing(LeatContext *ctx) {
    leat_map_partitions(pairs(ctx), leat_partition_function("n BIGINT", NULL, NULL));
}
static void flat_map_values_by_chunk(LeatContext *ctx) {
    leat_flat_map_values(pairs(ctx), leat_chunk_function("n BIGINT", NULL, NULL));
}

static void too_deep(LeatContext *ctx) {
    LeatStream *stream = pairs(ctx);
    for (int i = 0; i < 17; i++)
        stream = leat_group_by_key(stream);
    CHECK(stream == NULL);
}
static void too_wide(LeatContext *ctx) {
    LeatStream *stream = pairs(ctx);
    for (int i = 0; i < 11; i++)
        stream = leat_join(stream, stream);
    CHECK(stream == NULL);
}

TEST(mistakes_are_named_with_the_call) {
    static const struct {
        void (*build)(LeatContext *ctx);
        const char *message;
    } mistakes[] = {
        {too_deep, "leat_group_by_key: the columns that it gives: at byte "},
        {too_wide, "leat_join: the columns that it gives: at byte "},
        {different_slides, "leat_join: the streams have different slide durations: 2000 ms and 3000 ms"},
        {union_of_slides, "leat_union: the streams have different slide durations: 1000 ms and 2000 ms"},
        {no_partitions, "leat_repartition: 0 partitions; 1 to 256 are possible"},
        {many_partitions, "leat_partition_by: 257 partitions; 1 to 256 are possible"},
        {map_partitions_by_sum,
         "leat_map_partitions: leat_sum() has no meaning here; it takes leat_partition_function()"},
        {map_partitions_by_nothing, "leat_map_partitions: leat_partition_function() was given NULL"},
        {flat_map_values_by_chunk,
         "leat_flat_map_values: leat_chunk_function() has no meaning here; it takes leat_function()"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = leat_context_create("mistake", leat_seconds(1));
        mistakes[i].build(ctx);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
        leat_context_destroy(ctx);
    }
}

TEST_MAIN()
