/* keyed_state_test.c - mapWithState with its snapshots and timeouts, and the state that updateStateByKey begins
 * with: Spark's cases and our own, under the hostile settings of cases.h.
 *
 * HOSTILE_TEST THREADS_TEST
 */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

static LeatStream *pairs_of(LeatStream *in) {
    return leat_map(in, leat_pair_with_i64(1));
}

/* ---- updateStateByKey with a state to begin with ---- */

static bool running_sum(const LeatUpdate *key, void *user) {
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
        sum += leat_update_batch_time_ms(key);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

typedef struct InitialRow {
    const char *key; /* NULL: the end */
    int64_t n;
} InitialRow;

static void emit_rows(LeatOut *out, void *user) {
    for (const InitialRow *row = user; row->key; row++) {
        leat_out_str(out, 0, leat_str(row->key));
        leat_out_i64(out, 1, row->n);
        leat_out_emit(out);
    }
}

static InitialRow a1_c2[] = {{"a", 1}, {"c", 2}, {"a", 100}, {NULL, 0}};
static InitialRow a0_c0[] = {{"a", 0}, {"c", 0}, {NULL, 0}};
static InitialRow four[] = {{"a", 5}, {"b", 10}, {"c", -20}, {"d", 0}, {NULL, 0}};

static LeatStream *update_from(LeatStream *const *in, LeatUpdateFunction update, InitialRow *rows) {
    return leat_update_state_by_key_with(
        pairs_of(in[0]), leat_update_function("n BIGINT", update, NULL),
        (LeatUpdateOptions){.initial_state = emit_rows, .initial_user = rows});
}
static LeatStream *update_sum_from(LeatStream *const *in) {
    return update_from(in, running_sum, a1_c2);
}
static LeatStream *update_time_from(LeatStream *const *in) {
    return update_from(in, add_time, a0_c0);
}

/* ---- functions with state ---- */

static void sum_up(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out, void *user) {
    (void)key;
    (void)user;
    int64_t sum = leat_row_i64(value, 0);
    if (leat_state_exists(state))
        sum += leat_state_get_i64(state, 0);
    leat_state_update_i64(state, 0, sum);
    leat_out_i64(out, 0, sum);
}

static LeatStream *map_sum(LeatStream *const *in) {
    return leat_map_with_state(pairs_of(in[0]),
                               leat_map_with_state_simple_function("n BIGINT", "n BIGINT", sum_up, NULL),
                               (LeatStateSpec){0});
}
static LeatStream *sum_snapshots(LeatStream *const *in) {
    return leat_state_snapshots(map_sum(in));
}

/* The key twice for each record, as "aa". */
static void key_twice(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                      void *user) {
    (void)value;
    (void)user;
    char text[8];
    LeatStr word = leat_row_str(key, 0);
    snprintf(text, sizeof text, "%.*s%.*s", (int)word.size, word.data, (int)word.size, word.data);
    leat_state_update_i64(state, 0, leat_state_batch_time_ms(state));
    leat_out_str(out, 0, leat_str(text));
    leat_out_emit(out);
}

static LeatStream *map_key_twice(LeatStream *const *in) {
    return leat_map_with_state(pairs_of(in[0]),
                               leat_map_with_state_function("n BIGINT", "text STRING", key_twice, NULL),
                               (LeatStateSpec){0});
}

static void sum_silently(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                         void *user) {
    (void)key;
    (void)out;
    (void)user;
    int64_t before = leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0;
    leat_state_update_i64(state, 0, before + leat_row_i64(value, 0));
}

static LeatStream *map_silently(LeatStream *const *in) {
    return leat_map_with_state(pairs_of(in[0]),
                               leat_map_with_state_function("n BIGINT", "n BIGINT", sum_silently, NULL),
                               (LeatStateSpec){.initial_state = emit_rows, .initial_user = four});
}
static LeatStream *silent_snapshots(LeatStream *const *in) {
    return leat_state_snapshots(map_silently(in));
}

/* Any number of rows: as many as the sum is. The mapped rows and the snapshots together, of one operator. */
static void emit_many(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                      void *user) {
    sum_silently(key, value, state, out, user);
    for (int64_t i = 1; i < leat_state_get_i64(state, 0); i++) {
        leat_out_str(out, 0, leat_row_str(key, 0));
        leat_out_i64(out, 1, -i);
        leat_out_emit(out);
    }
}

static LeatStream *map_many_and_snapshots(LeatStream *const *in) {
    LeatStream *mapped = leat_map_with_state(
        pairs_of(in[0]), leat_map_with_state_function("n BIGINT", "word STRING, n BIGINT", emit_many, NULL),
        (LeatStateSpec){0});
    return leat_union(mapped, leat_union(leat_state_snapshots(mapped), leat_state_snapshots(mapped)));
}

/* Words "k+text" add the text to the state of k, "k-" removes it, "k?" only looks, "k!" sets the text to
 * null. Rows say what is there after each. */
static void split_command(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr text = leat_row_str(row, 0);
    leat_out_str(out, 0, (LeatStr){text.data, 1});
    leat_out_bool(out, 1, text.data[0] > 'b');
    leat_out_str(out, 2, (LeatStr){text.data + 1, text.size - 1});
}

static void do_command(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                       void *user) {
    (void)user;
    char text[256] = "";
    int size = 0;
    LeatStr command = leat_row_str(value, 0);
    bool is_there = leat_state_exists(state);
    if (is_there)
        size = snprintf(text, sizeof text, "%.*s", (int)leat_state_get_str(state, 0).size,
                        leat_state_get_str(state, 0).data);
    if (command.data[0] == '+') {
        snprintf(text + size, sizeof text - (size_t)size, "%.*s", (int)command.size - 1, command.data + 1);
        leat_state_update_i64(state, 1, is_there ? leat_state_get_i64(state, 1) + 1 : 1);
        leat_state_update_str(state, 0, leat_str(text));
    } else if (command.data[0] == '-') {
        leat_state_remove(state);
    } else if (command.data[0] == '!') {
        leat_state_update_null(state, 0);
    }
    leat_out_str(out, 0, leat_row_str(key, 0));
    if (leat_state_exists(state)) {
        leat_out_str(out, 1, leat_state_get_str(state, 0));
        leat_out_i64(out, 2, leat_state_get_i64(state, 1));
    }
    leat_out_emit(out);
}

static LeatStream *commands_with(LeatStream *const *in, LeatStateSpec spec) {
    LeatStream *keyed = leat_key(
        leat_map(in[0], leat_function("k STRING, late BOOLEAN, command STRING", split_command, NULL)), 2);
    return leat_map_with_state(keyed,
                               leat_map_with_state_function("text STRING, n BIGINT",
                                                            "k STRING, text STRING, n BIGINT", do_command,
                                                            NULL),
                               spec);
}
static LeatStream *commands(LeatStream *const *in) {
    return commands_with(in, (LeatStateSpec){0});
}
static LeatStream *command_snapshots(LeatStream *const *in) {
    return leat_state_snapshots(commands(in));
}
static LeatStream *command_snapshots_with_timeout(LeatStream *const *in) {
    return leat_state_snapshots(commands_with(in, (LeatStateSpec){.timeout = leat_seconds(100)}));
}

/* A state of every other type; each record changes every column. */
static void change_all(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                       void *user) {
    (void)key;
    (void)value;
    (void)user;
    bool is_there = leat_state_exists(state);
    leat_state_update_i8(state, 0, (int8_t)(is_there ? leat_state_get_i8(state, 0) - 1 : 0));
    leat_state_update_i16(state, 1, (int16_t)(is_there ? leat_state_get_i16(state, 1) - 1000 : 0));
    leat_state_update_i32(state, 2, is_there ? leat_state_get_i32(state, 2) - 100000 : 0);
    leat_state_update_f32(state, 3, is_there ? leat_state_get_f32(state, 3) + 0.5f : 0.25f);
    leat_state_update_f64(state, 4, is_there ? leat_state_get_f64(state, 4) + 0.5 : 0.25);
    leat_state_update_decimal(state, 5, is_there ? leat_state_get_decimal(state, 5) - 101 : 0);
    leat_state_update_bool(state, 6, is_there && !leat_state_get_bool(state, 6));
    leat_state_update_i32(state, 7, is_there ? leat_state_get_i32(state, 7) + 1 : 0);
    leat_out_i64(out, 0, 1);
}

static LeatStream *all_types(LeatStream *const *in) {
    return leat_state_snapshots(
        leat_map_with_state(pairs_of(in[0]),
                            leat_map_with_state_simple_function(
                                "a TINYINT, b SMALLINT, c INT, d FLOAT, e DOUBLE, f DECIMAL(6, 2), "
                                "g BOOLEAN, h DATE",
                                "n BIGINT", change_all, NULL),
                            (LeatStateSpec){.timeout = leat_seconds(50)}));
}

static void count_down(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                       void *user) {
    (void)value;
    (void)user;
    leat_state_update_i32(state, 0, leat_state_exists(state) ? leat_state_get_i32(state, 0) - 1 : -1);
    leat_out_str(out, 0, leat_row_is_null(key, 0) ? leat_str("null") : leat_row_str(key, 0));
    leat_out_i64(out, 1, leat_state_get_i32(state, 0));
}

/* One word of four bytes; keys may be null. */
static LeatStream *small_state(LeatStream *const *in) {
    return leat_map_with_state(
        pairs_of(in[0]),
        leat_map_with_state_simple_function("n INT", "word STRING, n BIGINT", count_down, NULL),
        (LeatStateSpec){0});
}

/* ---- timeouts ---- */

/* (word, how many so far), and minus that when the state has timed out. */
static void count_or_end(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                         void *user) {
    (void)user;
    int64_t n = leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0;
    if (value)
        leat_state_update_i64(state, 0, ++n);
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, !value == leat_state_is_timing_out(state) ? (value ? n : -n) : 1000);
    leat_out_emit(out);
}

/* Only the first record of a key sets its state. */
static void first_counts(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                         void *user) {
    (void)user;
    if (!leat_state_exists(state))
        leat_state_update_i64(state, 0, leat_state_batch_time_ms(state));
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, value ? leat_state_get_i64(state, 0) : -leat_state_get_i64(state, 0));
    leat_out_emit(out);
}

static void never_sets(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                       void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, value && !leat_state_exists(state) ? 0 : -1);
    leat_out_emit(out);
}

static LeatStream *with_timeout(LeatStream *const *in, LeatMapWithStateFunction function,
                                LeatStateSpec spec) {
    return leat_map_with_state(
        pairs_of(in[0]), leat_map_with_state_function("n BIGINT", "word STRING, n BIGINT", function, NULL),
        spec);
}
static LeatStream *two_seconds(LeatStream *const *in) {
    return with_timeout(in, count_or_end,
                        (LeatStateSpec){.timeout = leat_seconds(2), .checkpoint_interval = leat_seconds(1)});
}
static LeatStream *two_seconds_snapshots(LeatStream *const *in) {
    return leat_state_snapshots(two_seconds(in));
}
static LeatStream *looked_at_every_other_batch(LeatStream *const *in) {
    return with_timeout(in, count_or_end,
                        (LeatStateSpec){.timeout = leat_seconds(2), .checkpoint_interval = leat_seconds(2)});
}
static LeatStream *looked_at_as_spark_does(LeatStream *const *in) {
    return with_timeout(in, count_or_end, (LeatStateSpec){.timeout = leat_seconds(1)});
}
static LeatStream *first_counts_for_two_seconds(LeatStream *const *in) {
    return with_timeout(in, first_counts,
                        (LeatStateSpec){.timeout = leat_seconds(2), .checkpoint_interval = leat_seconds(1)});
}
static LeatStream *nothing_to_time_out(LeatStream *const *in) {
    return with_timeout(
        in, never_sets,
        (LeatStateSpec){.timeout = leat_milliseconds(1), .checkpoint_interval = leat_seconds(1)});
}
static LeatStream *initial_times_out(LeatStream *const *in) {
    return with_timeout(in, count_or_end,
                        (LeatStateSpec){.timeout = leat_seconds(1),
                                        .checkpoint_interval = leat_seconds(1),
                                        .initial_state = emit_rows,
                                        .initial_user = four});
}
static LeatStream *over_a_window(LeatStream *const *in) {
    LeatStream *window =
        leat_window(in[0], (LeatWindow){.length = leat_seconds(2), .slide = leat_seconds(2)});
    return looked_at_every_other_batch((LeatStream *[]){window});
}

/* ---- the cases ---- */

#define UPDATES                                                                                    \
    {                                                                                              \
        "word STRING", {                                                                           \
            BATCH("a"), BATCH("a", "b"), BATCH("a", "b", "c"), BATCH("a", "b"), BATCH("a"), EMPTY, \
        }                                                                                          \
    }
#define RECORDS                                                                                           \
    {                                                                                                     \
        "word STRING", {                                                                                  \
            EMPTY, BATCH("a"), BATCH("a", "b"), BATCH("a", "b", "c"), BATCH("a", "b"), BATCH("a"), EMPTY, \
        }                                                                                                 \
    }
#define COMMANDS                                                                                            \
    {                                                                                                       \
        "word STRING", {                                                                                    \
            BATCH("a+x", "b?", "a+y", "a?", "c+one text", "c+ that is longer than a slot"),                 \
                BATCH("a-", "a?", "a+z", "c?", "d+1", "d-"), BATCH("a!", "c-", "c+new", "a?", "d?"), EMPTY, \
                BATCH("a+again", "b-", "c+er"),                                                             \
        }                                                                                                   \
    }

#define COMMAND_SNAPSHOTS                                                        \
    {                                                                            \
        "(('a', False), ('xy', 2))\n(('c', True), ('one text that is longer "    \
        "than a slot', 2))\n",                                                   \
            "(('a', False), ('z', 1))\n(('c', True), ('one text that is longer " \
            "than a slot', 2))\n",                                               \
            "(('a', False), (None, 1))\n(('c', True), ('new', 1))\n",            \
            "(('a', False), (None, 1))\n(('c', True), ('new', 1))\n",            \
            "(('a', False), ('again', 2))\n(('c', True), ('newer', 2))\n",       \
    }
#define IDLE                                                        \
    {                                                               \
        "word STRING", {                                            \
            BATCH("a"), BATCH("b"), EMPTY, NONE, EMPTY, BATCH("a"), \
        }                                                           \
    }

static const Case cases[] = {
    {.name = "updateStateByKey with an initial state",
     .cut = CUT_KEEPS_LAST,
     .feeds = {UPDATES},
     .batch_count = 6,
     .build = update_sum_from,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 2)\n('c', 2)\n", "('a', 3)\n('b', 1)\n('c', 2)\n", "('a', 4)\n('b', 2)\n('c', 3)\n",
                  "('a', 5)\n('b', 3)\n('c', 3)\n", "('a', 6)\n('b', 3)\n('c', 3)\n",
                  "('a', 6)\n('b', 3)\n('c', 3)\n"}},
    {.name = "updateStateByKey with the time and an initial state",
     .feeds = {UPDATES},
     .batch_count = 6,
     .build = update_time_from,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1000)\n('c', 0)\n", "('a', 3000)\n('b', 2000)\n('c', 0)\n",
                  "('a', 6000)\n('b', 5000)\n('c', 3000)\n", "('a', 10000)\n('b', 9000)\n('c', 3000)\n",
                  "('a', 15000)\n('b', 9000)\n('c', 3000)\n", "('a', 15000)\n('b', 9000)\n('c', 3000)\n"}},
    {.name = "updateStateByKey with an initial state and no first batch",
     .feeds = {{"word STRING", {NONE, BATCH("a"), NONE}}},
     .batch_count = 3,
     .build = update_sum_from,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, "('a', 2)\n('c', 2)\n", "('a', 2)\n('c', 2)\n"}},
    {.name = "mapWithState",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {RECORDS},
     .batch_count = 7,
     .build = map_sum,
     .is_set = true,
     .has_state = true,
     .expected = {"", "1\n", "1\n2\n", "1\n2\n3\n", "3\n4\n", "5\n", ""}},
    {.name = "mapWithState, snapshots",
     .cut = CUT_KEEPS_LAST,
     .feeds = {RECORDS},
     .batch_count = 7,
     .build = sum_snapshots,
     .is_set = true,
     .has_state = true,
     .expected = {"", "('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 3)\n('b', 2)\n('c', 1)\n",
                  "('a', 4)\n('b', 3)\n('c', 1)\n", "('a', 5)\n('b', 3)\n('c', 1)\n",
                  "('a', 5)\n('b', 3)\n('c', 1)\n"}},
    {.name = "mapWithState gives batches where its stream has none",
     .feeds = {{"word STRING", {NONE, BATCH("a"), NONE, BATCH("a", "a")}}},
     .batch_count = 4,
     .build = map_sum,
     .is_set = true,
     .has_state = true,
     .expected = {"", "1\n", "", "2\n3\n"}},
    {.name = "mapWithState, the key twice",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {RECORDS},
     .batch_count = 7,
     .build = map_key_twice,
     .is_set = true,
     .has_state = true,
     .expected = {"", "aa\n", "aa\nbb\n", "aa\nbb\ncc\n", "aa\nbb\n", "aa\n", ""}},
    {.name = "mapWithState that gives nothing",
     .feeds = {RECORDS},
     .batch_count = 7,
     .build = map_silently,
     .has_state = true,
     .expected = {"", "", "", "", "", "", ""}},
    {.name = "mapWithState with an initial state, snapshots",
     .cut = CUT_KEEPS_LAST,
     .feeds = {RECORDS},
     .batch_count = 7,
     .build = silent_snapshots,
     .is_set = true,
     .has_state = true,
     .expected =
         {"('a', 5)\n('b', 10)\n('c', -20)\n('d', 0)\n", "('a', 6)\n('b', 10)\n('c', -20)\n('d', 0)\n",
          "('a', 7)\n('b', 11)\n('c', -20)\n('d', 0)\n", "('a', 8)\n('b', 12)\n('c', -19)\n('d', 0)\n",
          "('a', 9)\n('b', 13)\n('c', -19)\n('d', 0)\n", "('a', 10)\n('b', 13)\n('c', -19)\n('d', 0)\n",
          "('a', 10)\n('b', 13)\n('c', -19)\n('d', 0)\n"}},
    {.name = "mapWithState that gives many, beside its snapshots",
     .feeds = {{"word STRING", {BATCH("a", "b", "a", "a"), NONE, BATCH("b")}}},
     .batch_count = 3,
     .build = map_many_and_snapshots,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', -1)\n('a', -1)\n('a', -2)\n('a', 3)\n('a', 3)\n('b', 1)\n('b', 1)\n",
                  "('a', 3)\n('a', 3)\n('b', 1)\n('b', 1)\n",
                  "('a', 3)\n('a', 3)\n('b', -1)\n('b', 2)\n('b', 2)\n"}},
    {.name = "mapWithState of texts, removed and set again",
     .feeds = {COMMANDS},
     .batch_count = 5,
     .build = commands,
     .is_set = true,
     .has_state = true,
     .expected =
         {"('a', 'x', 1)\n('a', 'xy', 2)\n('a', 'xy', 2)\n('b', '', 0)\n('c', 'one text that is longer "
          "than a slot', 2)\n('c', 'one text', 1)\n",
          "('a', '', 0)\n('a', '', 0)\n('a', 'z', 1)\n('c', 'one text that is longer than a slot', "
          "2)\n('d', '', 0)\n('d', '1', 1)\n",
          "('a', '', 1)\n('a', '', 1)\n('c', '', 0)\n('c', 'new', 1)\n('d', '', 0)\n", "",
          "('a', 'again', 2)\n('b', '', 0)\n('c', 'newer', 2)\n"}},
    {.name = "mapWithState of texts, snapshots",
     .feeds = {COMMANDS},
     .batch_count = 5,
     .build = command_snapshots,
     .is_set = true,
     .has_state = true,
     .expected = COMMAND_SNAPSHOTS},
    {.name = "mapWithState of texts, snapshots, with a timeout",
     .feeds = {COMMANDS},
     .batch_count = 5,
     .build = command_snapshots_with_timeout,
     .is_set = true,
     .has_state = true,
     .expected = COMMAND_SNAPSHOTS},
    {.name = "mapWithState of all types, snapshots",
     .feeds = {{"word STRING", {BATCH("a"), BATCH("a", "b"), NONE, BATCH("a")}}},
     .batch_count = 4,
     .build = all_types,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', (0, 0, 0, 0.25, 0.25, Decimal('0.00'), False, datetime.date(1970, 1, 1)))\n",
                  "('a', (-1, -1000, -100000, 0.75, 0.75, Decimal('-1.01'), True, datetime.date(1970, 1, "
                  "2)))\n('b', (0, 0, 0, 0.25, 0.25, Decimal('0.00'), False, datetime.date(1970, 1, 1)))\n",
                  "('a', (-1, -1000, -100000, 0.75, 0.75, Decimal('-1.01'), True, datetime.date(1970, 1, "
                  "2)))\n('b', (0, 0, 0, 0.25, 0.25, Decimal('0.00'), False, datetime.date(1970, 1, 1)))\n",
                  "('a', (-2, -2000, -200000, 1.25, 1.25, Decimal('-2.02'), False, datetime.date(1970, 1, "
                  "3)))\n('b', (0, 0, 0, 0.25, 0.25, Decimal('0.00'), False, datetime.date(1970, 1, 1)))\n"}},
    {.name = "mapWithState of a small state and null keys",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {{"word STRING", {BATCH("a", "NULL", "a", ""), BATCH("NULL", "NULL"), BATCH("", "a")}}},
     .batch_count = 3,
     .build = small_state,
     .is_set = true,
     .has_state = true,
     .expected = {"('', -1)\n('a', -1)\n('a', -2)\n('null', -1)\n", "('null', -2)\n('null', -3)\n",
                  "('', -2)\n('a', -3)\n"}},
    {.name = "timeout: strictly older",
     .feeds = {IDLE},
     .batch_count = 6,
     .build = two_seconds,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('b', 1)\n", "", "('a', -1)\n", "('b', -1)\n", "('a', 1)\n"}},
    {.name = "timeout: snapshots are without the keys that are gone",
     .feeds = {IDLE},
     .batch_count = 6,
     .build = two_seconds_snapshots,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 1)\n('b', 1)\n", "('a', 1)\n('b', 1)\n", "('b', 1)\n", "",
                  "('a', 1)\n"}},
    {.name = "timeout: after the records of a batch, at the checkpoint interval",
     .feeds = {IDLE},
     .batch_count = 6,
     .build = looked_at_every_other_batch,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('b', 1)\n", "", "('a', -1)\n", "", "('a', 1)\n('b', -1)\n"}},
    {.name = "timeout: every tenth batch by default",
     .feeds = {{"word STRING",
                {BATCH("a", "b", "c"), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, BATCH("c"), BATCH("b"), NONE,
                 EMPTY}}},
     .batch_count = 11,
     .build = looked_at_as_spark_does,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n('b', 1)\n('c', 1)\n", "", "", "", "", "", "", "('c', 2)\n", "('b', 2)\n",
                  "('a', -1)\n('c', -2)\n", ""}},
    {.name = "timeout: a record keeps a state that it does not update",
     .feeds = {{"word STRING", {BATCH("a"), EMPTY, BATCH("a"), NONE, EMPTY, EMPTY, BATCH("a")}}},
     .batch_count = 7,
     .build = first_counts_for_two_seconds,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1000)\n", "", "('a', 1000)\n", "", "", "('a', -1000)\n", "('a', 7000)\n"}},
    {.name = "timeout: a state that was never set does not time out",
     .feeds = {{"word STRING", {BATCH("a", "a", "b"), EMPTY, EMPTY, BATCH("a")}}},
     .batch_count = 4,
     .build = nothing_to_time_out,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 0)\n('a', 0)\n('b', 0)\n", "", "", "('a', 0)\n"}},
    {.name = "timeout: an initial state is as old as the first batch",
     .feeds = {{"word STRING", {NONE, BATCH("b"), EMPTY, EMPTY}}},
     .batch_count = 4,
     .build = initial_times_out,
     .is_set = true,
     .has_state = true,
     .expected = {"", "('b', 11)\n", "('a', -5)\n('c', 20)\n('d', 0)\n", "('b', -11)\n"}},
    {.name = "mapWithState over a window",
     .feeds = {{"word STRING", {BATCH("a"), BATCH("b"), NONE, BATCH("a"), EMPTY, EMPTY, EMPTY, EMPTY}}},
     .batch_count = 8,
     .build = over_a_window,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, "('a', 1)\n('b', 1)\n", NULL, "('a', 2)\n", NULL, "('b', -1)\n", NULL,
                  "('a', -2)\n"}},
};

TEST(cases_under_all_settings) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_hostile(&cases[i]);
}

/* ---- what is not a table ---- */

static LeatContext *manual_context(void) {
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_checkpoint(ctx, check_tmpdir());
    return ctx;
}

static const Feed feed = UPDATES;

static LeatStream *words_of(LeatContext *ctx) {
    return leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
}

static void count_calls(LeatOut *out, void *user) {
    ++*(int *)user;
    leat_out_str(out, 0, leat_str("z"));
    leat_out_i64(out, 1, 26);
    leat_out_emit(out);
}

/* Not at a restart, not where the first batch was kept already. */
TEST(the_initial_state_is_asked_for_once) {
    int calls = 0;
    for (int start = 0; start < 3; start++) {
        LeatContext *ctx = manual_context();
        LeatStream *mapped = leat_map_with_state(
            pairs_of(words_of(ctx)), leat_map_with_state_function("n BIGINT", "n BIGINT", sum_silently, NULL),
            (LeatStateSpec){.initial_state = count_calls, .initial_user = &calls});
        LeatCollector *snapshots = leat_collect(leat_state_snapshots(mapped));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 1000 * (start + 1));
        CHECK_EQ(calls, 1);
        CHECK(strstr(leat_collected_text(snapshots, 0), "('z', 26)") != NULL);
        leat_context_destroy(ctx);
    }
}

/* ---- mistakes ---- */

static void reads_too_early(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                            void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_update_i64(state, 0, leat_state_get_i64(state, 0) + 1);
}
static void reads_removed(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                          void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_update_i64(state, 0, 1);
    leat_state_remove(state);
    leat_state_get_i64(state, 0);
}
static void updates_removed(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                            void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_remove(state); /* of a key without state it is allowed */
    leat_state_update_i64(state, 0, 1);
}
static void removes_twice(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                          void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_remove(state);
    leat_state_remove(state);
}
static void updates_timed_out(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                              void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_update_i64(state, 0, 1);
}
static void removes_timed_out(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                              void *user) {
    (void)key, (void)out, (void)user;
    if (value)
        leat_state_update_i64(state, 0, 1);
    else
        leat_state_remove(state);
}
static void gives_two(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                      void *user) {
    (void)key, (void)value, (void)state, (void)user;
    leat_out_emit(out);
    leat_out_emit(out);
}

TEST(mistakes_with_a_state_fail_the_batch) {
    static const struct {
        LeatMapWithStateFunction function;
        const char *message;
    } mistakes[] = {
        {reads_too_early, "leat_map_with_state: the state was read, but the key has none"},
        {reads_removed, "leat_map_with_state: the state was read after it was removed"},
        {updates_removed, "leat_map_with_state: the state was updated after it was removed"},
        {removes_twice, "leat_map_with_state: the state was removed twice"},
        {updates_timed_out, "leat_map_with_state: a state that has timed out was updated"},
        {removes_timed_out, "leat_map_with_state: a state that has timed out was removed"},
        {gives_two, "leat_map_with_state: the function gave several rows for one record"},
    };
    static const Feed once = {"word STRING", {BATCH("a")}};
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        char directory[64];
        snprintf(directory, sizeof directory, "%s/%zu", check_tmpdir(), i);
        LeatContext *ctx = manual_context();
        leat_checkpoint(ctx, directory);
        leat_collect(leat_map_with_state(
            pairs_of(leat_function_stream(ctx, once.schema, feed_rows, (void *)&once)),
            leat_map_with_state_simple_function("n BIGINT", "n BIGINT", mistakes[i].function, NULL),
            (LeatStateSpec){.timeout = leat_seconds(1), .checkpoint_interval = leat_seconds(1)}));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 4000);
        CHECK(leat_await_termination(ctx) != LEAT_EXIT_OK);
        if (!strstr(leat_error(ctx), mistakes[i].message))
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        leat_context_destroy(ctx);
    }
}

/* A record that makes a DECIMAL too wide for its column. */
static void too_wide(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                     void *user) {
    (void)key, (void)value, (void)out, (void)user;
    leat_state_update_decimal(state, 0, 1000);
}

TEST(a_decimal_state_keeps_its_digits) {
    LeatContext *ctx = manual_context();
    leat_collect(leat_map_with_state(
        pairs_of(words_of(ctx)),
        leat_map_with_state_simple_function("d DECIMAL(3, 1)", "n BIGINT", too_wide, NULL),
        (LeatStateSpec){0}));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK(leat_await_termination(ctx) != LEAT_EXIT_OK);
    CHECK(strstr(leat_error(ctx), "leat_map_with_state: a DECIMAL of the state was given more digits"));
    leat_context_destroy(ctx);
}

static LeatFunction good(void) {
    return leat_map_with_state_function("n BIGINT", "n BIGINT", sum_silently, NULL);
}
static void no_checkpoint(LeatContext *ctx) {
    leat_checkpoint(ctx, NULL);
    leat_collect(leat_map_with_state(pairs_of(words_of(ctx)), good(), (LeatStateSpec){0}));
}
static void no_state_schema(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)),
                        leat_map_with_state_function(NULL, "n BIGINT", sum_silently, NULL),
                        (LeatStateSpec){0});
}
static void bad_given_schema(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)),
                        leat_map_with_state_function("n BIGINT", "n ARRAY<BIGINT>", sum_silently, NULL),
                        (LeatStateSpec){0});
}
static void no_function(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)),
                        leat_map_with_state_function("n BIGINT", "n BIGINT", NULL, NULL), (LeatStateSpec){0});
}
static void another_function(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)), leat_sum(), (LeatStateSpec){0});
}
static void update_by_map(LeatContext *ctx) {
    leat_update_state_by_key(pairs_of(words_of(ctx)), good());
}
static void bad_timeout(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)), good(), (LeatStateSpec){.timeout = leat_milliseconds(-1)});
}
static void bad_interval(LeatContext *ctx) {
    leat_map_with_state(pairs_of(words_of(ctx)), good(),
                        (LeatStateSpec){.checkpoint_interval = leat_milliseconds(1500)});
}
static void interval_of_a_window(LeatContext *ctx) {
    LeatStream *window =
        leat_window(words_of(ctx), (LeatWindow){.length = leat_seconds(2), .slide = leat_seconds(2)});
    leat_map_with_state(pairs_of(window), good(), (LeatStateSpec){.checkpoint_interval = leat_seconds(3)});
}
static void snapshots_of_something(LeatContext *ctx) {
    leat_state_snapshots(
        leat_update_state_by_key(pairs_of(words_of(ctx)), leat_update_function("n BIGINT", add_time, NULL)));
}

TEST(mistakes_are_named_with_the_call) {
    static const struct {
        void (*build)(LeatContext *ctx);
        const char *message; /* the text begins with it */
    } mistakes[] = {
        {no_checkpoint, "leat_map_with_state: no checkpoint directory was set"},
        {no_state_schema, "leat_map_with_state: no schema was given"},
        {bad_given_schema, "leat_map_with_state: schema \"n ARRAY<BIGINT>\": functions cannot give ARRAY"},
        {no_function, "leat_map_with_state: leat_map_with_state_function() was given NULL"},
        {another_function, "leat_map_with_state: leat_sum() has no meaning here; it takes "
                           "leat_map_with_state_function() or leat_map_with_state_simple_function()"},
        {update_by_map, "leat_update_state_by_key: leat_map_with_state_function() has no meaning here"},
        {bad_timeout, "leat_map_with_state: a timeout of -1 ms"},
        {bad_interval,
         "leat_map_with_state: a checkpoint interval of 1500 ms is not a multiple of the slide, "
         "1000 ms"},
        {interval_of_a_window, "leat_map_with_state: a checkpoint interval of 3000 ms is not a multiple of "
                               "the slide, 2000 ms"},
        {snapshots_of_something, "leat_state_snapshots: the stream is not one of leat_map_with_state"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = manual_context();
        mistakes[i].build(ctx);
        if (mistakes[i].build != no_checkpoint)
            leat_collect(words_of(ctx));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        leat_context_destroy(ctx);
    }
}

/* With a timeout the state holds when it was updated: a checkpoint without that is of another program. How long
 * a key waits may change. */
TEST(a_timeout_is_part_of_the_state) {
    static const int timeouts[] = {0, 0, 5, 7, 0};
    static const bool fits[] = {true, true, false, false, true};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        LeatContext *ctx = manual_context();
        leat_collect(leat_map_with_state(pairs_of(words_of(ctx)), good(),
                                         (LeatStateSpec){.timeout = leat_seconds(timeouts[i])}));
        CHECK_EQ(leat_start(ctx), fits[i] ? LEAT_EXIT_OK : LEAT_EXIT_CONFIG);
        if (fits[i])
            leat_advance(ctx, 1000 * (int64_t)(i + 1));
        else
            CHECK(strstr(leat_error(ctx), "its state was (n BIGINT), the program now says (n BIGINT, updated "
                                          "TIMESTAMP)") != NULL);
        leat_context_destroy(ctx);
    }
}

TEST_MAIN()
