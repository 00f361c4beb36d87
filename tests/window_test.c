/* window_test.c - windows through the public calls, batch by batch, with Spark's answers, under the hostile
 * settings of cases.h.
 *
 * HOSTILE_TEST THREADS_TEST
 */
#include "cases.h"

#include <stdlib.h>

#define WINDOW(LENGTH, SLIDE) ((LeatWindow){.length = leat_seconds(LENGTH), .slide = leat_seconds(SLIDE)})

/* ---- pipelines ---- */

static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
}

static LeatStream *pairs_of(LeatStream *in) {
    return leat_map(in, leat_pair_with_i64(1));
}

static void letter_and_rest(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr text = leat_row_str(row, 0);
    leat_out_str(out, 0, (LeatStr){text.data, 1});
    leat_out_str(out, 1, (LeatStr){text.data + 1, text.size - 1});
    leat_out_emit(out);
}

static LeatStream *by_letter(LeatStream *in) {
    return leat_map(in, leat_function("letter STRING, rest STRING", letter_and_rest, NULL));
}

static bool running_sum(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

static LeatStream *window_two(LeatStream *const *in) {
    return leat_window(in[0], (LeatWindow){.length = leat_seconds(2)});
}

static LeatStream *window_tumbling(LeatStream *const *in) {
    return leat_window(in[0], WINDOW(2, 2));
}

static LeatStream *window_larger(LeatStream *const *in) {
    return leat_window(in[0], WINDOW(4, 2));
}

static LeatStream *window_with_gaps(LeatStream *const *in) {
    return leat_window(in[0], WINDOW(2, 3));
}

static LeatStream *window_of_window(LeatStream *const *in) {
    return leat_window(leat_window(in[0], WINDOW(2, 1)), WINDOW(4, 2));
}

static LeatStream *window_behind_window(LeatStream *const *in) {
    return leat_window(leat_window(in[0], WINDOW(2, 2)), WINDOW(4, 4));
}

static LeatStream *window_of_union(LeatStream *const *in) {
    return leat_window(leat_union(in[0], in[1]), WINDOW(2, 1));
}

static LeatStream *union_of_windows(LeatStream *const *in) {
    return leat_union(leat_window(in[0], WINDOW(2, 2)), leat_window(in[0], WINDOW(4, 2)));
}

static LeatStream *count_of_window(LeatStream *const *in) {
    return leat_count(leat_window(in[0], WINDOW(2, 1)));
}

static LeatStream *concat_of_window(LeatStream *const *in) {
    return leat_reduce_by_key(leat_window(by_letter(in[0]), WINDOW(3, 1)), leat_concat("+"));
}

static LeatStream *update_behind_window(LeatStream *const *in) {
    return leat_update_state_by_key(leat_window(pairs_of(in[0]), WINDOW(2, 2)),
                                    leat_update_function("sum BIGINT", running_sum, NULL));
}

static LeatStream *reduce_window(LeatStream *const *in) {
    return leat_reduce_by_window(in[0], leat_sum(), WINDOW(2, 1));
}

static LeatStream *concat_window(LeatStream *const *in) {
    return leat_reduce_by_window(in[0], leat_concat("+"), WINDOW(3, 1));
}

static LeatStream *reduce_key_window(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), WINDOW(2, 1));
}

/* Long enough to be made of the last window's sums. */
static LeatStream *reduce_key_window_long(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), WINDOW(5, 1));
}

static LeatStream *sum_window_long(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(leat_key(in[0], 1), leat_sum(), WINDOW(10, 2));
}

static LeatStream *reduce_key_window_by_function(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_reduce_function(add, NULL), WINDOW(2, 1));
}

static LeatStream *concat_key_window(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(by_letter(in[0]), leat_concat("+"), WINDOW(3, 1));
}

static void subtract(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) - leat_row_i64(b, 0));
}

static bool is_not_zero(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 1) != 0;
}

static LeatWindow with_inverse(int length, int slide) {
    LeatWindow window = WINDOW(length, slide);
    window.inverse = leat_subtract();
    return window;
}

static LeatStream *reduce_window_inverse(LeatStream *const *in) {
    return leat_reduce_by_window(in[0], leat_sum(), with_inverse(2, 1));
}

static LeatStream *reduce_key_window_inverse(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), with_inverse(2, 1));
}

static LeatStream *reduce_key_window_functions(LeatStream *const *in) {
    LeatWindow window = WINDOW(2, 1);
    window.inverse = leat_reduce_function(subtract, NULL);
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_reduce_function(add, NULL), window);
}

static LeatStream *reduce_key_window_filter(LeatStream *const *in) {
    LeatWindow window = with_inverse(2, 1);
    window.filter = leat_predicate(is_not_zero, NULL);
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), window);
}

static LeatStream *reduce_key_window_slide(LeatStream *const *in) {
    LeatWindow window = with_inverse(4, 2);
    window.filter = leat_predicate(is_not_zero, NULL);
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), window);
}

static LeatStream *reduce_key_window_tumbling(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), with_inverse(2, 2));
}

static LeatStream *reduce_key_window_gaps(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(pairs_of(in[0]), leat_sum(), with_inverse(2, 3));
}

/* "1+2+3" without "1" in front. */
static void cut_front(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    LeatStr all = leat_row_str(a, 0), front = leat_row_str(b, 0);
    size_t cut = front.size < all.size ? front.size + 1 : all.size;
    leat_out_str(out, 0, (LeatStr){all.data + cut, all.size - cut});
}

static LeatStream *concat_key_window_inverse(LeatStream *const *in) {
    LeatWindow window = WINDOW(3, 1);
    window.inverse = leat_reduce_function(cut_front, NULL);
    return leat_reduce_by_key_and_window(by_letter(in[0]), leat_concat("+"), window);
}

static LeatStream *sum_columns_window(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(leat_key(in[0], 1), leat_sum(), with_inverse(2, 1));
}

static LeatStream *count_window(LeatStream *const *in) {
    return leat_count_by_window(in[0], WINDOW(2, 1));
}

static LeatStream *count_window_of_four(LeatStream *const *in) {
    return leat_count_by_window(in[0], WINDOW(4, 2));
}

static LeatStream *count_value(LeatStream *const *in) {
    return leat_count_by_value(in[0]);
}

static LeatStream *count_value_window(LeatStream *const *in) {
    return leat_count_by_value_and_window(in[0], WINDOW(2, 1));
}

static LeatStream *group_window(LeatStream *const *in) {
    return leat_group_by_key_and_window(by_letter(in[0]), WINDOW(2, 1));
}

static LeatStream *window_of_cumulative(LeatStream *const *in) {
    return leat_reduce_by_key(leat_window(reduce_key_window_filter(in), WINDOW(2, 1)), leat_max());
}

/* ---- cases ---- */

#define TO_FIVE                                                                                   \
    {                                                                                             \
        "n BIGINT", {                                                                             \
            BATCH("0"), BATCH("1"), BATCH("2"), BATCH("3"), BATCH("4"), BATCH("5"), EMPTY, EMPTY, \
        }                                                                                         \
    }
/* Spark's input for reduceByKeyAndWindow: keys come, stay and go. */
#define KEYS                                                                                       \
    {                                                                                              \
        "word STRING", {                                                                           \
            BATCH("a"), BATCH("a", "b"), BATCH("a", "b", "c"), BATCH("a", "b"), BATCH("a"), EMPTY, \
                BATCH("a"), BATCH("a", "b"),                                                       \
        }                                                                                          \
    }
#define UPDATES                                                                                    \
    {                                                                                              \
        "word STRING", {                                                                           \
            BATCH("a"), BATCH("a", "b"), BATCH("a", "b", "c"), BATCH("a", "b"), BATCH("a"), EMPTY, \
        }                                                                                          \
    }

static const Case cases[] = {
    {.name = "window",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_two,
     .expected = {"0\n", "0\n1\n", "1\n2\n", "2\n3\n", "3\n4\n", "4\n5\n", "5\n", ""}},
    {.name = "window, tumbling",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_tumbling,
     .expected = {NULL, "0\n1\n", NULL, "2\n3\n", NULL, "4\n5\n", NULL, ""}},
    {.name = "window, larger than its slide",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_larger,
     .expected = {NULL, "0\n1\n", NULL, "0\n1\n2\n3\n", NULL, "2\n3\n4\n5\n", NULL, "4\n5\n"}},
    {.name = "window, not overlapping",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_with_gaps,
     .expected = {NULL, NULL, "1\n2\n", NULL, NULL, "4\n5\n", NULL, NULL}},
    {.name = "window of a window",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_of_window,
     .expected = {NULL, "0\n0\n1\n", NULL, "0\n0\n1\n1\n2\n2\n3\n", NULL, "1\n2\n2\n3\n3\n4\n4\n5\n", NULL,
                  "3\n4\n4\n5\n5\n"}},
    {.name = "window of a window that slides",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = window_behind_window,
     .expected = {NULL, NULL, NULL, "0\n1\n2\n3\n", NULL, NULL, NULL, "4\n5\n"}},
    {.name = "window without batches",
     .feeds = {{"n BIGINT", {NONE, BATCH("1", "2"), NONE, NONE, BATCH("3"), NONE}}},
     .batch_count = 6,
     .build = window_two,
     .expected = {"", "1\n2\n", "1\n2\n", "", "3\n", "3\n"}},
    {.name = "window of two inputs",
     .feeds = {{"n BIGINT", {BATCH("1", "2"), BATCH("3"), EMPTY}},
               {"n BIGINT", {BATCH("4"), EMPTY, BATCH("5", "6")}}},
     .batch_count = 3,
     .build = window_of_union,
     .expected = {"1\n2\n4\n", "1\n2\n4\n3\n", "3\n5\n6\n"}},
    {.name = "union of windows",
     .feeds = {TO_FIVE},
     .batch_count = 4,
     .build = union_of_windows,
     .expected = {NULL, "0\n1\n0\n1\n", NULL, "2\n3\n0\n1\n2\n3\n"}},
    {.name = "count of a window",
     .feeds = {{"n BIGINT", {EMPTY, BATCH("1"), BATCH("1", "2"), EMPTY, EMPTY}}},
     .batch_count = 5,
     .build = count_of_window,
     .expected = {"0\n", "1\n", "3\n", "2\n", "0\n"}},
    {.name = "a fold over a window keeps the order of the input",
     .feeds = {{"word STRING",
                {BATCH("a1", "b1", "a2"), BATCH("b2", "a3"), EMPTY, BATCH("a4", "a5"), EMPTY}}},
     .batch_count = 5,
     .build = concat_of_window,
     .is_set = true,
     .expected = {"('a', '1+2')\n('b', '1')\n", "('a', '1+2+3')\n('b', '1+2')\n",
                  "('a', '1+2+3')\n('b', '1+2')\n", "('a', '3+4+5')\n('b', '2')\n", "('a', '4+5')\n"}},
    {.name = "updateStateByKey behind a window",
     .feeds = {UPDATES},
     .batch_count = 6,
     .build = update_behind_window,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, "('a', 2)\n('b', 1)\n", NULL, "('a', 4)\n('b', 3)\n('c', 1)\n", NULL,
                  "('a', 5)\n('b', 3)\n('c', 1)\n"}},
    {.name = "reduceByWindow",
     .feeds = {{"n BIGINT",
                {BATCH("0", "1"), BATCH("1"), BATCH("2", "2"), BATCH("3"), EMPTY, EMPTY, BATCH("4")}}},
     .batch_count = 7,
     .build = reduce_window,
     .expected = {"1\n", "2\n", "5\n", "7\n", "3\n", "", "4\n"}},
    {.name = "reduceByWindow keeps the order of the input",
     .feeds = {{"word STRING", {BATCH("x", "y"), BATCH("z"), EMPTY, BATCH("u", "v", "w"), EMPTY}}},
     .batch_count = 5,
     .build = concat_window,
     .expected = {"x+y\n", "x+y+z\n", "x+y+z\n", "z+u+v+w\n", "u+v+w\n"}},
    {.name = "reduceByKeyAndWindow",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window,
     .is_set = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 1)\n", "('a', 1)\n",
                  "('a', 2)\n('b', 1)\n"}},
    {.name = "reduceByKeyAndWindow, long",
     .feeds = {{"word STRING",
                {BATCH("a"), BATCH("a", "b"), NONE, BATCH("c", "a key that is not short"), EMPTY, EMPTY,
                 EMPTY, BATCH("b"), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, BATCH("c")}}},
     .batch_count = 14,
     .build = reduce_key_window_long,
     .is_set = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 1)\n",
                  "('a key that is not short', 1)\n('a', 2)\n('b', 1)\n('c', 1)\n",
                  "('a key that is not short', 1)\n('a', 2)\n('b', 1)\n('c', 1)\n",
                  "('a key that is not short', 1)\n('a', 1)\n('b', 1)\n('c', 1)\n",
                  "('a key that is not short', 1)\n('c', 1)\n",
                  "('a key that is not short', 1)\n('b', 1)\n('c', 1)\n", "('b', 1)\n", "('b', 1)\n",
                  "('b', 1)\n", "('b', 1)\n", "", "('c', 1)\n"}},
    {.name = "reduceByKeyAndWindow, long, of nulls",
     .feeds = {{"k STRING, n BIGINT",
                {BATCH("a,NULL", "b,-1"), BATCH("b,1"), BATCH("a,5"), EMPTY, EMPTY, BATCH("c,NULL"), EMPTY,
                 EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY}}},
     .batch_count = 14,
     .build = sum_window_long,
     .is_set = true,
     .expected = {NULL, "('a', None)\n('b', 0)\n", NULL, "('a', 5)\n('b', 0)\n", NULL,
                  "('a', 5)\n('b', 0)\n('c', None)\n", NULL, "('a', 5)\n('b', 0)\n('c', None)\n", NULL,
                  "('a', 5)\n('b', 0)\n('c', None)\n", NULL, "('a', 5)\n('c', None)\n", NULL,
                  "('c', None)\n"}},
    {.name = "reduceByKeyAndWindow by a function",
     .feeds = {KEYS},
     .batch_count = 6,
     .build = reduce_key_window_by_function,
     .is_set = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 1)\n"}},
    {.name = "reduceByKeyAndWindow keeps the order of the input",
     .feeds = {{"word STRING",
                {BATCH("a1", "b1", "a2"), BATCH("b2", "a3"), EMPTY, BATCH("a4", "a5"), EMPTY}}},
     .batch_count = 5,
     .build = concat_key_window,
     .is_set = true,
     .expected = {"('a', '1+2')\n('b', '1')\n", "('a', '1+2+3')\n('b', '1+2')\n",
                  "('a', '1+2+3')\n('b', '1+2')\n", "('a', '3+4+5')\n('b', '2')\n", "('a', '4+5')\n"}},
    {.name = "reduceByWindow with an inverse",
     .feeds = {{"n BIGINT",
                {EMPTY, BATCH("0", "1"), BATCH("1"), BATCH("2", "2"), BATCH("3"), EMPTY, EMPTY, BATCH("4")}}},
     .batch_count = 8,
     .build = reduce_window_inverse,
     .has_state = true,
     .expected = {"", "1\n", "2\n", "5\n", "7\n", "3\n", "0\n", "4\n"}},
    {.name = "reduceByKeyAndWindow with an inverse",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_inverse,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n('c', 0)\n",
                  "('a', 1)\n('b', 0)\n('c', 0)\n", "('a', 1)\n('b', 0)\n('c', 0)\n",
                  "('a', 2)\n('b', 1)\n('c', 0)\n"}},
    {.name = "reduceByKeyAndWindow with functions",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_functions,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n('c', 0)\n",
                  "('a', 1)\n('b', 0)\n('c', 0)\n", "('a', 1)\n('b', 0)\n('c', 0)\n",
                  "('a', 2)\n('b', 1)\n('c', 0)\n"}},
    {.name = "reduceByKeyAndWindow with an inverse and a filter",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_filter,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 1)\n", "('a', 1)\n",
                  "('a', 2)\n('b', 1)\n"}},
    {.name = "reduceByKeyAndWindow with an inverse, without batches",
     .feeds = {{"word STRING", {NONE, BATCH("a"), NONE, NONE, BATCH("b"), NONE, NONE}}},
     .batch_count = 7,
     .build = reduce_key_window_inverse,
     .is_set = true,
     .has_state = true,
     .expected = {"", "('a', 1)\n", "('a', 1)\n", "('a', 0)\n", "('a', 0)\n('b', 1)\n",
                  "('a', 0)\n('b', 1)\n", "('a', 0)\n('b', 0)\n"}},
    {.name = "reduceByKeyAndWindow with an inverse, larger than its slide",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_slide,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, "('a', 2)\n('b', 1)\n", NULL, "('a', 4)\n('b', 3)\n('c', 1)\n", NULL,
                  "('a', 3)\n('b', 2)\n('c', 1)\n", NULL, "('a', 3)\n('b', 1)\n"}},
    {.name = "reduceByKeyAndWindow with an inverse, tumbling",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_tumbling,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, "('a', 2)\n('b', 1)\n", NULL, "('a', 2)\n('b', 2)\n('c', 1)\n", NULL,
                  "('a', 1)\n('b', 0)\n('c', 0)\n", NULL, "('a', 2)\n('b', 1)\n('c', 0)\n"}},
    {.name = "reduceByKeyAndWindow with an inverse, not overlapping",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = reduce_key_window_gaps,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, NULL, "('a', 2)\n('b', 2)\n('c', 1)\n", NULL, NULL, "('a', 1)\n('b', 0)\n('c', 0)\n",
                  NULL, NULL}},
    {.name = "reduceByKeyAndWindow with an inverse of texts",
     .feeds = {{"word STRING",
                {BATCH("a1", "b1", "a2"), BATCH("b2", "a3"), EMPTY, BATCH("a4", "a5"), EMPTY,
                 BATCH("aa text of more than twelve bytes"), BATCH("a6")}}},
     .batch_count = 7,
     .build = concat_key_window_inverse,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', '1+2')\n('b', '1')\n", "('a', '1+2+3')\n('b', '1+2')\n",
                  "('a', '1+2+3')\n('b', '1+2')\n", "('a', '3+4+5')\n('b', '2')\n",
                  "('a', '4+5')\n('b', '')\n", "('a', '4+5+a text of more than twelve bytes')\n('b', '')\n",
                  "('a', 'a text of more than twelve bytes+6')\n('b', '')\n"}},
    {.name = "reduceByKeyAndWindow with an inverse, several columns and nulls",
     .feeds = {{"k STRING, n BIGINT, x DOUBLE",
                {BATCH("a,1,0.5", "a,NULL,1.5", "b,2,NULL"), BATCH("a,10,NULL"), BATCH("b,NULL,4.5"),
                 EMPTY}}},
     .batch_count = 4,
     .build = sum_columns_window,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', (1, 2.0))\n('b', (2, None))\n", "('a', (11, 2.0))\n('b', (2, None))\n",
                  "('a', (10, 0.0))\n('b', (0, 4.5))\n", "('a', (0, 0.0))\n('b', (0, 4.5))\n"}},
    {.name = "a window behind a reduction with an inverse",
     .feeds = {KEYS},
     .batch_count = 8,
     .build = window_of_cumulative,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n",
                  "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 2)\n('c', 1)\n", "('a', 2)\n('b', 1)\n",
                  "('a', 1)\n", "('a', 2)\n('b', 1)\n"}},
    {.name = "countByWindow",
     .feeds = {{"n BIGINT", {BATCH("1"), BATCH("1"), BATCH("1", "2"), BATCH("0"), EMPTY, EMPTY, BATCH("7")}}},
     .batch_count = 7,
     .build = count_window,
     .has_state = true,
     .expected = {"1\n", "2\n", "3\n", "3\n", "1\n", "0\n", "1\n"}},
    {.name = "countByWindow before the first row",
     .feeds = {{"n BIGINT", {EMPTY, NONE, EMPTY, BATCH("5", "6"), NONE, EMPTY, EMPTY}}},
     .batch_count = 7,
     .build = count_window,
     .has_state = true,
     .expected = {"", "", "", "2\n", "2\n", "0\n", "0\n"}},
    {.name = "countByWindow, larger than its slide",
     .feeds = {TO_FIVE},
     .batch_count = 8,
     .build = count_window_of_four,
     .has_state = true,
     .expected = {NULL, "2\n", NULL, "4\n", NULL, "4\n", NULL, "2\n"}},
    {.name = "countByValue",
     .feeds = {{"n BIGINT", {BATCH("1"), BATCH("1", "1", "1"), BATCH("1", "2"), BATCH("1", "1", "2", "2")}}},
     .batch_count = 4,
     .build = count_value,
     .is_set = true,
     .expected = {"(1, 1)\n", "(1, 3)\n", "(1, 1)\n(2, 1)\n", "(1, 2)\n(2, 2)\n"}},
    {.name = "countByValueAndWindow",
     .feeds = {{"word STRING", {BATCH("a"), BATCH("b", "b"), BATCH("a", "b"), EMPTY, EMPTY, BATCH("a")}}},
     .batch_count = 6,
     .build = count_value_window,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 1)\n('b', 2)\n", "('a', 1)\n('b', 3)\n", "('a', 1)\n('b', 1)\n", "",
                  "('a', 1)\n"}},
    {.name = "groupByKeyAndWindow",
     .feeds = {{"word STRING",
                {BATCH("a1"), BATCH("a2", "b1"), BATCH("a3", "b2", "c1", "a4"), EMPTY, EMPTY}}},
     .batch_count = 5,
     .build = group_window,
     .is_set = true,
     .expected = {"('a', ['1'])\n", "('a', ['1', '2'])\n('b', ['1'])\n",
                  "('a', ['2', '3', '4'])\n('b', ['1', '2'])\n('c', ['1'])\n",
                  "('a', ['3', '4'])\n('b', ['2'])\n('c', ['1'])\n", ""}},
};

TEST(cases_under_all_settings) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_hostile(&cases[i]);
}

/* ---- what is not a table ---- */

static LeatContext *manual_context(void) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    return ctx;
}

static const Feed to_five = TO_FIVE, words = UPDATES;

static LeatStream *numbers(LeatContext *ctx) {
    return leat_function_stream(ctx, to_five.schema, feed_rows, (void *)&to_five);
}

static LeatStream *words_of(LeatContext *ctx) {
    return leat_function_stream(ctx, words.schema, feed_rows, (void *)&words);
}

TEST(a_window_in_a_checkpoint_keeps_its_length) {
    static const struct {
        int length, slide;
        const char *message; /* NULL: goes on */
    } starts[] = {
        {2, 1, NULL},
        {2, 1, NULL},
        {3, 1, "operator 'window#0': its window was of 2 batches every 1, the program now says 3 every 1"},
        {2, 2, "operator 'window#0': its window was of 2 batches every 1, the program now says 2 every 2"},
    };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        LeatContext *ctx = manual_context();
        leat_checkpoint(ctx, check_tmpdir());
        leat_collect(leat_window(numbers(ctx), WINDOW(starts[i].length, starts[i].slide)));
        CHECK_EQ(leat_start(ctx), starts[i].message ? LEAT_EXIT_CONFIG : LEAT_EXIT_OK);
        CHECK(strstr(leat_error(ctx), starts[i].message ? starts[i].message : "") != NULL);
        leat_advance(ctx, 1000 * (int64_t)(i + 1));
        leat_context_destroy(ctx);
    }
}

static bool is_even_count(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 1) % 2 == 0;
}

/* A filter that drops a key whose rows are still in the window: it is a mistake that is named. */
TEST(a_key_that_was_dropped_too_early_stops_the_program) {
    LeatContext *ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    LeatWindow window = with_inverse(2, 1);
    window.filter = leat_predicate(is_even_count, NULL);
    static const Feed once = {"word STRING", {BATCH("a"), EMPTY, EMPTY}};
    LeatStream *in = leat_function_stream(ctx, once.schema, feed_rows, (void *)&once);
    LeatCollector *collected = leat_collect(leat_reduce_by_key_and_window(pairs_of(in), leat_sum(), window));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_EQ(leat_collected_batches(collected), 2);
    CHECK_STR(leat_collected_text(collected, 0), "");
    CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_CONFIG);
    CHECK(strstr(leat_error(ctx),
                 "leat_reduce_by_key_and_window: key 'a' leaves the window, but the last window had no value "
                 "for it and no new one has come; did the filter drop it too early?") != NULL);
    leat_context_destroy(ctx);
}

/* With an inverse and without, over random rows: keys whose count is 0 aside they are the same. */
static bool random_rows(int64_t batch_time_ms, LeatOut *out, void *user) {
    uint64_t state = *(uint64_t *)user + (uint64_t)batch_time_ms;
    for (int i = 0; i < 300; i++) {
        char word[40];
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        int number = (int)((state >> 33) % 60 * ((state >> 50) % 60) / 10);
        snprintf(word, sizeof word, number % 3 ? "%d" : "a word that is not short %d", number);
        leat_out_str(out, 0, leat_str(word));
        leat_out_i64(out, 1, (int64_t)(state >> 40) % 100);
        leat_out_emit(out);
    }
    return (batch_time_ms / 1000) % 5 != 0;
}

static bool is_there(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 2) != 0;
}

static void with_one(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, leat_row_i64(row, 1));
    leat_out_i64(out, 2, 1);
    leat_out_emit(out);
}

static void add_two(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    add(a, b, out, user);
    leat_out_i64(out, 1, leat_row_i64(a, 1) + leat_row_i64(b, 1));
}

TEST(a_window_that_goes_on_is_one_made_anew) {
    for (int slide = 1; slide <= 8; slide += 1 + slide / 3) {
        uint64_t seed = check_seed() + (uint64_t)slide;
        LeatContext *ctx = manual_context();
        char directory[300];
        snprintf(directory, sizeof directory, "%s/%d", check_tmpdir(), slide);
        leat_checkpoint(ctx, directory);
        leat_workers(ctx, slide);
        LeatStream *rows = leat_function_stream(ctx, "word STRING, n BIGINT", random_rows, &seed);
        LeatStream *ones =
            leat_key(leat_map(rows, leat_function("word STRING, n BIGINT, one BIGINT", with_one, NULL)), 1);
        LeatWindow goes_on = with_inverse(6, slide);
        goes_on.filter = leat_predicate(is_there, NULL);
        LeatCollector *a = leat_collect(leat_reduce_by_key_and_window(ones, leat_sum(), WINDOW(6, slide)));
        LeatCollector *b = leat_collect(leat_reduce_by_key_and_window(ones, leat_sum(), goes_on));
        LeatCollector *c = leat_collect(
            leat_reduce_by_key_and_window(ones, leat_reduce_function(add_two, NULL), WINDOW(6, slide)));
        LeatCollector *d = leat_collect(leat_reduce_by_key(leat_window(ones, WINDOW(6, slide)), leat_sum()));
        LeatCollector *e =
            leat_collect(leat_reduce_by_key_and_window(rows, leat_sum(), WINDOW(6 * slide, slide)));
        LeatCollector *f =
            leat_collect(leat_reduce_by_key(leat_window(rows, WINDOW(6 * slide, slide)), leat_sum()));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 40000);
        CHECK_EQ(leat_collected_batches(a), (size_t)(40 / slide));
        for (size_t i = 0; i < leat_collected_batches(a); i++) {
            const char *text = leat_collected_text(a, i);
            CHECK_STR(leat_collected_text(b, i), text);
            CHECK_STR(leat_collected_text(c, i), text);
            CHECK_STR(leat_collected_text(d, i), text);
            CHECK_STR(leat_collected_text(e, i), leat_collected_text(f, i));
        }
        CHECK_STR(leat_error(ctx), "");
        leat_context_destroy(ctx);
    }
}

static void union_of_slides(LeatContext *ctx) {
    LeatStream *in = numbers(ctx);
    leat_union(in, leat_window(in, WINDOW(2, 2)));
}
static void window_of_nothing(LeatContext *ctx) {
    leat_window(numbers(ctx), (LeatWindow){.slide = leat_seconds(1)});
}
static void window_length(LeatContext *ctx) {
    leat_window(numbers(ctx), (LeatWindow){.length = leat_milliseconds(2500)});
}
static void window_slide(LeatContext *ctx) {
    leat_reduce_by_window(leat_window(numbers(ctx), WINDOW(2, 2)), leat_sum(), WINDOW(4, 3));
}
static void window_with_inverse(LeatContext *ctx) {
    leat_window(numbers(ctx), with_inverse(2, 1));
}
static void filter_without_inverse(LeatContext *ctx) {
    leat_reduce_by_key_and_window(
        pairs_of(numbers(ctx)), leat_sum(),
        (LeatWindow){.length = leat_seconds(2), .filter = leat_predicate(is_not_zero, NULL)});
}
static void inverse_is_sum(LeatContext *ctx) {
    leat_reduce_by_key_and_window(pairs_of(numbers(ctx)), leat_sum(),
                                  (LeatWindow){.length = leat_seconds(2), .inverse = leat_sum()});
}
static void inverse_is_null(LeatContext *ctx) {
    leat_reduce_by_key_and_window(
        pairs_of(numbers(ctx)), leat_sum(),
        (LeatWindow){.length = leat_seconds(2), .inverse = leat_reduce_function(NULL, NULL)});
}
static void subtract_text(LeatContext *ctx) {
    leat_collect(
        leat_reduce_by_key_and_window(by_letter(words_of(ctx)), leat_concat(","), with_inverse(2, 1)));
}
static void group_without_values(LeatContext *ctx) {
    leat_group_by_key_and_window(words_of(ctx), WINDOW(2, 1));
}
static void count_without_checkpoint(LeatContext *ctx) {
    leat_collect(leat_count_by_window(numbers(ctx), WINDOW(2, 1)));
}
static void values_without_checkpoint(LeatContext *ctx) {
    leat_collect(leat_count_by_value_and_window(numbers(ctx), WINDOW(2, 1)));
}
static void inverse_without_checkpoint(LeatContext *ctx) {
    leat_collect(leat_reduce_by_key_and_window(pairs_of(numbers(ctx)), leat_sum(), with_inverse(2, 1)));
}
static void too_long(LeatContext *ctx) {
    leat_window(numbers(ctx), WINDOW(2000000, 1));
}
static void window_sum_of_text(LeatContext *ctx) {
    leat_reduce_by_key_and_window(by_letter(words_of(ctx)), leat_sum(), WINDOW(2, 1));
}

TEST(mistakes_are_named_with_the_call) {
    static const struct {
        void (*build)(LeatContext *ctx);
        const char *message; /* the text begins with it */
    } mistakes[] = {
        {union_of_slides, "leat_union: the streams have different slide durations: 1000 ms and 2000 ms"},
        {window_of_nothing,
         "leat_window: the length of the window (0 ms) must be a multiple of the slide duration of the "
         "parent stream (1000 ms)"},
        {window_length,
         "leat_window: the length of the window (2500 ms) must be a multiple of the slide duration of the "
         "parent stream (1000 ms)"},
        {window_slide, "leat_reduce_by_window: the slide of the window (3000 ms) must be a multiple of the "
                       "slide duration of "
                       "the parent stream (2000 ms)"},
        {window_with_inverse, "leat_window: an inverse has no meaning here"},
        {filter_without_inverse, "leat_reduce_by_key_and_window: a filter has no meaning here"},
        {inverse_is_sum, "leat_reduce_by_key_and_window: leat_sum() has no meaning here; it takes "
                         "leat_subtract() or leat_reduce_function() as an inverse"},
        {inverse_is_null, "leat_reduce_by_key_and_window: leat_reduce_function() was given NULL"},
        {subtract_text, "leat_reduce_by_key_and_window: leat_subtract() takes numeric values, 'rest' "
                        "is none in (letter STRING, rest STRING)"},
        {group_without_values,
         "leat_group_by_key_and_window: there is no value behind the key in (word STRING)"},
        {count_without_checkpoint, "leat_count_by_window: no checkpoint directory was set"},
        {values_without_checkpoint, "leat_count_by_value_and_window: no checkpoint directory was set"},
        {inverse_without_checkpoint, "leat_reduce_by_key_and_window: no checkpoint directory was set"},
        {too_long, "leat_window: a window of 2000000 batches every 1; up to 1048576 are possible"},
        {window_sum_of_text, "leat_reduce_by_key_and_window: leat_sum() takes numeric values, "
                             "'rest' is none in (letter "
                             "STRING, rest STRING)"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = manual_context();
        mistakes[i].build(ctx);
        leat_collect(numbers(ctx));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        leat_context_destroy(ctx);
    }
}

TEST_MAIN()
