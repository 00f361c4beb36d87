/* dstream_test.c - DStream programs through the public calls, batch by batch, with Spark's answers, under the
 * hostile settings of cases.h: the operations that need no window and no second stream.
 *
 * HOSTILE_TEST THREADS_TEST
 */
#include "cases.h"

#include <stdlib.h>

/* ---- pipelines ---- */

static void number_as_text(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)leat_row_i64(row, 0));
    leat_out_str(out, 0, leat_str(text));
    leat_out_emit(out);
}

static LeatStream *map_to_text(LeatStream *const *in) {
    return leat_map(in[0], leat_function("text STRING", number_as_text, NULL));
}

static void once_and_twice(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(row, 0));
    leat_out_emit(out);
    leat_out_i64(out, 0, 2 * leat_row_i64(row, 0));
    leat_out_emit(out);
}

static LeatStream *flat_map_twice(LeatStream *const *in) {
    return leat_flat_map(in[0], leat_function("n BIGINT", once_and_twice, NULL));
}

static bool is_even(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 0) % 2 == 0;
}

static LeatStream *filter_even(LeatStream *const *in) {
    return leat_filter(in[0], leat_predicate(is_even, NULL));
}

static LeatStream *reduce_sum(LeatStream *const *in) {
    return leat_reduce(in[0], leat_sum());
}

static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
}

static LeatStream *reduce_by_function(LeatStream *const *in) {
    return leat_reduce(in[0], leat_reduce_function(add, NULL));
}

static LeatStream *count_rows(LeatStream *const *in) {
    return leat_count(in[0]);
}

static LeatStream *count_even(LeatStream *const *in) {
    return leat_count(filter_even(in));
}

static LeatStream *pairs_of(LeatStream *in) {
    return leat_map(in, leat_pair_with_i64(1));
}

static LeatStream *count_words(LeatStream *const *in) {
    return leat_reduce_by_key(pairs_of(in[0]), leat_sum());
}

static LeatStream *count_words_by_function(LeatStream *const *in) {
    return leat_reduce_by_key(pairs_of(in[0]), leat_reduce_function(add, NULL));
}

/* countByValue: the element is the key, and there may be several of it. */
static LeatStream *count_by_value(LeatStream *const *in) {
    return count_words(in);
}

static void plus(const LeatRow *row, LeatOut *out, void *user) {
    leat_out_i64(out, 0, leat_row_i64(row, 0) + (intptr_t)user);
    leat_out_emit(out);
}

static void also_plus(const LeatRow *row, LeatOut *out, void *user) {
    leat_out_i64(out, 0, leat_row_i64(row, 0));
    leat_out_emit(out);
    plus(row, out, user);
}

static LeatStream *map_values(LeatStream *const *in) {
    return leat_map_values(count_words(in), leat_function("n BIGINT", plus, (void *)10));
}

static LeatStream *flat_map_values(LeatStream *const *in) {
    return leat_flat_map_values(count_words(in), leat_function("n BIGINT", also_plus, (void *)10));
}

static LeatStream *shifted(LeatStream *in, intptr_t by) {
    return leat_map(in, leat_function("n BIGINT", plus, (void *)by));
}

static LeatStream *union_two(LeatStream *const *in) {
    return leat_union(in[0], shifted(in[0], 4));
}

static LeatStream *union_three(LeatStream *const *in) {
    return leat_union(union_two(in), shifted(in[0], 8));
}

/* ---- pipelines by key with lists and pairs ---- */

static void with_x(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_str(out, 1, leat_str("x"));
}

static LeatStream *x_of(LeatStream *in) {
    return leat_key(leat_map(in, leat_function("word STRING, x STRING", with_x, NULL)), 1);
}

static LeatStream *group(LeatStream *const *in) {
    return leat_group_by_key(pairs_of(in[0]));
}
static LeatStream *cogroup(LeatStream *const *in) {
    return leat_cogroup(pairs_of(in[0]), x_of(in[1]));
}
static LeatStream *join(LeatStream *const *in) {
    return leat_join(pairs_of(in[0]), x_of(in[1]));
}
static LeatStream *left_outer_join(LeatStream *const *in) {
    return leat_left_outer_join(pairs_of(in[0]), x_of(in[1]));
}
static LeatStream *right_outer_join(LeatStream *const *in) {
    return leat_right_outer_join(pairs_of(in[0]), x_of(in[1]));
}
static LeatStream *full_outer_join(LeatStream *const *in) {
    return leat_full_outer_join(pairs_of(in[0]), x_of(in[1]));
}

/* What functions read of lists and of sides that may be absent: "a 2 xx", how many ones and which texts. */
static void show_lists(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    char text[64];
    long long sum = 0;
    for (uint32_t i = 0; i < leat_row_array_count(row, 1); i++) {
        LeatRow value = leat_row_array_at(row, 1, i);
        sum += leat_row_i64(&value, 0);
    }
    int size = snprintf(text, sizeof text, "%.*s %lld ", (int)leat_row_str(row, 0).size,
                        leat_row_str(row, 0).data, sum);
    for (uint32_t i = 0; i < leat_row_array_count(row, 2); i++) {
        LeatRow value = leat_row_array_at(row, 2, i);
        size += snprintf(text + size, sizeof text - (size_t)size, "%.*s", (int)leat_row_str(&value, 0).size,
                         leat_row_str(&value, 0).data);
    }
    leat_out_str(out, 0, leat_str(text));
    leat_out_emit(out);
}

static void show_sides(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    char text[64];
    LeatRow left, right;
    bool has_left = leat_row_option(row, 1, &left), has_right = leat_row_option(row, 2, &right);
    LeatStr x = has_right ? leat_row_str(&right, 0) : leat_str("none");
    snprintf(text, sizeof text, "%lld %.*s", has_left ? (long long)leat_row_i64(&left, 0) : -1LL, (int)x.size,
             x.data);
    leat_out_str(out, 0, leat_str(text));
    leat_out_emit(out);
}

static LeatStream *read_lists(LeatStream *const *in) {
    return leat_map(cogroup(in), leat_function("text STRING", show_lists, NULL));
}
static LeatStream *read_sides(LeatStream *const *in) {
    return leat_map(full_outer_join(in), leat_function("text STRING", show_sides, NULL));
}

static LeatStream *union_inputs(LeatStream *const *in) {
    return leat_union(in[0], in[1]);
}

static void double_chunk(const LeatChunk *chunk, LeatOut *out, void *user) {
    (void)user;
    leat_out_reserve(out, chunk->row_count);
    int64_t *to = leat_out_i64s(out, 0);
    for (uint32_t i = 0; i < chunk->row_count; i++)
        to[i] = 2 * leat_row_i64(&(LeatRow){chunk->columns, chunk->column_count, i}, 0);
    leat_out_emit_rows(out, chunk->row_count);
}

static LeatStream *map_chunks(LeatStream *const *in) {
    return leat_map(in[0], leat_chunk_function("n BIGINT", double_chunk, NULL));
}

static LeatStream *split_and_count(LeatStream *const *in) {
    return leat_reduce_by_key(pairs_of(leat_flat_map(in[0], leat_split(" "))), leat_sum());
}

static LeatStream *containing_a(LeatStream *const *in) {
    return leat_filter(in[0], leat_contains("a"));
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

/* How many values, and their texts in order: combiners are of other columns than values. */
static void first_rest(const LeatRow *value, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, 1);
    leat_out_str(out, 1, leat_row_str(value, 0));
}

static void put_both(int64_t count, LeatStr a, LeatStr b, LeatOut *out) {
    char text[128];
    snprintf(text, sizeof text, "%.*s+%.*s", (int)a.size, a.data, (int)b.size, b.data);
    leat_out_i64(out, 0, count);
    leat_out_str(out, 1, leat_str(text));
}

static void one_more_rest(const LeatRow *combiner, const LeatRow *value, LeatOut *out, void *user) {
    (void)user;
    put_both(leat_row_i64(combiner, 0) + 1, leat_row_str(combiner, 1), leat_row_str(value, 0), out);
}

static void both_rests(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    put_both(leat_row_i64(a, 0) + leat_row_i64(b, 0), leat_row_str(a, 1), leat_row_str(b, 1), out);
}

static LeatStream *combine(LeatStream *const *in) {
    return leat_combine_by_key(
        by_letter(in[0]),
        leat_combine_function(
            "count BIGINT, rests STRING",
            (LeatCombine){.create = first_rest, .merge_value = one_more_rest, .merge_combiners = both_rests},
            NULL));
}

static LeatStream *combine_behind_exchange(LeatStream *const *in) {
    return leat_combine_by_key(
        by_letter(in[0]),
        leat_combine_function(
            "count BIGINT, rests STRING",
            (LeatCombine){.create = first_rest, .merge_value = one_more_rest, .no_map_side_combine = true},
            NULL));
}

static LeatStream *concat_by_letter(LeatStream *const *in) {
    return leat_reduce_by_key(by_letter(in[0]), leat_concat("+"));
}

static LeatStream *min_by_letter(LeatStream *const *in) {
    return leat_reduce_by_key(by_letter(in[0]), leat_min());
}

static LeatStream *max_by_letter(LeatStream *const *in) {
    return leat_reduce_by_key(by_letter(in[0]), leat_max());
}

static bool running_sum(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

static LeatStream *update_sum(LeatStream *const *in) {
    return leat_update_state_by_key(pairs_of(in[0]), leat_update_function("sum BIGINT", running_sum, NULL));
}

static bool add_time(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    if (leat_update_value_count(key) > 0)
        sum += leat_update_batch_time_ms(key);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

static LeatStream *update_time(LeatStream *const *in) {
    return leat_update_state_by_key(pairs_of(in[0]), leat_update_function("sum BIGINT", add_time, NULL));
}

/* ---- every scalar type ---- */

#define EVERY_NUMBER "t TINYINT, s SMALLINT, i INT, f FLOAT, d DECIMAL(4, 2)"

/* "a 5": a key and a number, "a -": null. Numbers of every width, for n a date when there is room for one. */
static void numbers_of(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr rest = leat_row_str(row, 0), key = {0};
    CHECK(leat_str_split(&rest, ' ', &key));
    bool is_null = leat_str_equal(rest, leat_str("-"));
    int n = is_null ? 0 : atoi(rest.data);
    leat_out_str(out, 0, key);
    leat_out_i8(out, 1, (int8_t)n);
    leat_out_i16(out, 2, (int16_t)(256 * n));
    leat_out_i32(out, 3, (int32_t)((uint32_t)n << 24));
    leat_out_f32(out, 4, (float)n / 4);
    leat_out_decimal(out, 5, n);
    if (out->column_count > 6)
        leat_out_i32(out, 6, n);
    for (uint32_t c = 1; is_null && c < out->column_count; c++)
        leat_out_null(out, c);
    leat_out_emit(out);
}

static LeatStream *every_number(LeatStream *in) {
    return leat_key(leat_map(in, leat_function("k STRING, " EVERY_NUMBER, numbers_of, NULL)), 1);
}
static LeatStream *every_type(LeatStream *in) {
    return leat_key(leat_map(in, leat_function("k STRING, " EVERY_NUMBER ", y DATE", numbers_of, NULL)), 1);
}

static LeatStream *sum_every_number(LeatStream *const *in) {
    return leat_reduce_by_key(every_number(in[0]), leat_sum());
}
static LeatStream *min_every_type(LeatStream *const *in) {
    return leat_reduce_by_key(every_type(in[0]), leat_min());
}
static LeatStream *max_every_type(LeatStream *const *in) {
    return leat_reduce_by_key(every_type(in[0]), leat_max());
}

/* Only the n-th of these columns, with its key. */
static void pick(const LeatRow *row, LeatOut *out, void *user) {
    uint32_t column = (uint32_t)(uintptr_t)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    if (column == 1)
        leat_out_i8(out, 1, leat_row_i8(row, column));
    else if (column == 4)
        leat_out_f32(out, 1, leat_row_f32(row, column));
    else if (column == 5)
        leat_out_decimal(out, 1, leat_row_decimal(row, column));
    else
        leat_out_i32(out, 1, leat_row_i32(row, column));
    if (leat_row_is_null(row, column))
        leat_out_null(out, 1);
}

static LeatStream *only(LeatStream *in, const char *schema, uint32_t column) {
    return leat_key(leat_map(every_type(in), leat_function(schema, pick, (void *)(uintptr_t)column)), 1);
}

static LeatStream *sort_every_type(LeatStream *const *in) {
    return leat_sort_by(every_type(in[0]), "d, f, y, k");
}
static LeatStream *sort_by_int(LeatStream *const *in) {
    return leat_sort_by(only(in[0], "k STRING, i INT", 3), "i DESC");
}

static LeatStream *sum_tinyint(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, t TINYINT", 1), leat_sum());
}
static LeatStream *sum_int(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, i INT", 3), leat_sum());
}
static LeatStream *sum_float(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, f FLOAT", 4), leat_sum());
}
static LeatStream *max_float(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, f FLOAT", 4), leat_max());
}
static LeatStream *max_date(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, y DATE", 6), leat_max());
}

static void add_dates(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i32(out, 0, leat_row_i32(a, 0) + leat_row_i32(b, 0));
}
static LeatStream *reduce_dates(LeatStream *const *in) {
    return leat_reduce_by_key(only(in[0], "k STRING, y DATE", 6), leat_reduce_function(add_dates, NULL));
}

static LeatWindow two_seconds(void) {
    return (LeatWindow){.length = leat_seconds(2)};
}
static LeatStream *window_every_number(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(every_number(in[0]), leat_sum(), two_seconds());
}
static LeatStream *window_every_number_inverse(LeatStream *const *in) {
    LeatWindow window = two_seconds();
    window.inverse = leat_subtract();
    return leat_reduce_by_key_and_window(every_number(in[0]), leat_sum(), window);
}
static LeatStream *window_decimal_inverse(LeatStream *const *in) {
    LeatWindow window = two_seconds();
    window.inverse = leat_subtract();
    return leat_reduce_by_key_and_window(only(in[0], "k STRING, d DECIMAL(4, 2)", 5), leat_sum(), window);
}
static LeatStream *window_max_every_type(LeatStream *const *in) {
    return leat_reduce_by_key_and_window(every_type(in[0]), leat_max(), two_seconds());
}
static LeatStream *group_decimals(LeatStream *const *in) {
    return leat_group_by_key(only(in[0], "k STRING, d DECIMAL(4, 2)", 5));
}
static LeatStream *group_every_type(LeatStream *const *in) {
    return leat_group_by_key(every_type(in[0]));
}
static LeatStream *join_decimals_and_floats(LeatStream *const *in) {
    return leat_join(only(in[0], "k STRING, d DECIMAL(4, 2)", 5), only(in[0], "k STRING, f FLOAT", 4));
}

static void value_first(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    for (uint32_t c = 1; c < row->column_count; c++)
        if (leat_row_is_null(row, c))
            leat_out_null(out, c - 1);
    leat_out_i8(out, 0, leat_row_i8(row, 1));
    leat_out_i16(out, 1, leat_row_i16(row, 2));
    leat_out_i32(out, 2, leat_row_i32(row, 3));
    leat_out_f32(out, 3, leat_row_f32(row, 4));
    leat_out_decimal(out, 4, leat_row_decimal(row, 5));
    leat_out_i32(out, 5, leat_row_i32(row, 6));
}

/* All of them as one key. */
static LeatStream *count_by_every_type(LeatStream *const *in) {
    return leat_reduce_by_key(
        pairs_of(leat_map(every_type(in[0]), leat_function(EVERY_NUMBER ", y DATE", value_first, NULL))),
        leat_sum());
}

static void alone(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    if (leat_row_is_null(row, 1))
        leat_out_null(out, 0);
    else if (row->columns[1].type == LEAT_DECIMAL)
        leat_out_decimal(out, 0, leat_row_decimal(row, 1));
    else if (row->columns[1].type == LEAT_FLOAT)
        leat_out_f32(out, 0, leat_row_f32(row, 1));
    else
        leat_out_i32(out, 0, leat_row_i32(row, 1));
}

static LeatStream *count_by_date(LeatStream *const *in) {
    LeatStream *dates = leat_map(only(in[0], "k STRING, y DATE", 6), leat_function("y DATE", alone, NULL));
    return leat_reduce_by_key(pairs_of(dates), leat_sum());
}
static LeatStream *count_by_float(LeatStream *const *in) {
    LeatStream *floats = leat_map(only(in[0], "k STRING, f FLOAT", 4), leat_function("f FLOAT", alone, NULL));
    return leat_reduce_by_key(pairs_of(floats), leat_sum());
}
static LeatStream *count_by_decimal(LeatStream *const *in) {
    LeatStream *decimals =
        leat_map(only(in[0], "k STRING, d DECIMAL(4, 2)", 5), leat_function("d DECIMAL(4, 2)", alone, NULL));
    return leat_reduce_by_key(pairs_of(decimals), leat_sum());
}

/* State of every type: sums. */
static bool sum_everything(const LeatUpdate *key, void *user) {
    (void)user;
    int8_t t = leat_update_state_i8(key, 0);
    int16_t s = leat_update_state_i16(key, 1);
    int32_t i = leat_update_state_i32(key, 2), y = leat_update_state_i32(key, 5);
    float f = leat_update_state_f32(key, 3);
    LeatDecimal d = leat_update_state_decimal(key, 4);
    for (size_t n = 0; n < leat_update_value_count(key); n++) {
        t = (int8_t)(t + leat_update_value_i8(key, n, 0));
        s = (int16_t)(s + leat_update_value_i16(key, n, 1));
        i = (int32_t)((uint32_t)i + (uint32_t)leat_update_value_i32(key, n, 2));
        f += leat_update_value_f32(key, n, 3);
        d += leat_update_value_decimal(key, n, 4);
        y += leat_update_value_i32(key, n, 5);
    }
    leat_update_set_state_i8(key, 0, t);
    leat_update_set_state_i16(key, 1, s);
    leat_update_set_state_i32(key, 2, i);
    leat_update_set_state_f32(key, 3, f);
    leat_update_set_state_decimal(key, 4, d);
    leat_update_set_state_i32(key, 5, y);
    return true;
}

static LeatStream *update_every_type(LeatStream *const *in) {
    return leat_update_state_by_key(every_type(in[0]),
                                    leat_update_function(EVERY_NUMBER ", y DATE", sum_everything, NULL));
}

static bool latest_date(const LeatUpdate *key, void *user) {
    (void)user;
    for (size_t n = 0; n < leat_update_value_count(key); n++)
        leat_update_set_state_i32(key, 0, leat_update_value_i32(key, n, 0));
    return true;
}

static LeatStream *update_date(LeatStream *const *in) {
    return leat_update_state_by_key(only(in[0], "k STRING, y DATE", 6),
                                    leat_update_function("y DATE", latest_date, NULL));
}

/* Count and how many batches in a row had no data; two end the key. */
static bool count_until_idle(const LeatUpdate *key, void *user) {
    (void)user;
    size_t values = leat_update_value_count(key);
    int64_t count = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    int64_t idle = leat_update_has_state(key) ? leat_update_state_i64(key, 1) : 0;
    if (values == 0 && idle == 1)
        return false;
    leat_update_set_state_i64(key, 0, count + (int64_t)values);
    leat_update_set_state_i64(key, 1, values ? 0 : idle + 1);
    return true;
}

static void without_idle(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, leat_row_i64(row, 1));
    leat_out_emit(out);
}

static LeatStream *life_cycle(LeatStream *const *in) {
    LeatFunction update = leat_update_function("count BIGINT, idle BIGINT", count_until_idle, NULL);
    LeatStream *state = leat_update_state_by_key(pairs_of(in[0]), update);
    return leat_key(leat_map(state, leat_function("word STRING, count BIGINT", without_idle, NULL)), 1);
}

/* A key that is dropped when it is first seen never appears. */
static bool refuse(const LeatUpdate *key, void *user) {
    (void)user;
    leat_update_set_state_i64(key, 0, 1);
    return leat_str_equal(leat_row_str(leat_update_key(key), 0), leat_str("a"));
}

static LeatStream *update_refuse(LeatStream *const *in) {
    return leat_update_state_by_key(pairs_of(in[0]), leat_update_function("n BIGINT", refuse, NULL));
}

/* Running sums of running sums: two stateful operators in a row. */
static LeatStream *update_twice(LeatStream *const *in) {
    return leat_update_state_by_key(update_sum(in), leat_update_function("sum BIGINT", running_sum, NULL));
}

/* Order: pairs (letter, rest) of words such as "b2". */
static LeatStream *sort_by_letter(LeatStream *const *in) {
    return leat_sort_by(by_letter(in[0]), "letter desc, `rest`");
}

static LeatStream *sort_by_key_only(LeatStream *const *in) {
    return leat_sort_by_key(leat_key(by_letter(in[0]), 1), true);
}

static LeatStream *top_three(LeatStream *const *in) {
    return leat_top(count_words(in), 3, "n DESC, word");
}

static LeatStream *top_elements(LeatStream *const *in) {
    return leat_top(in[0], 2, NULL);
}

static LeatStream *distinct(LeatStream *const *in) {
    return leat_distinct(in[0]);
}

static LeatStream *sorted_distinct_pairs(LeatStream *const *in) {
    return leat_sort_by_key(leat_distinct(leat_union(count_words(in), pairs_of(in[0]))), false);
}

/* ---- the cases of Spark's own tests ---- */

#define TO_TWELVE                                                                               \
    {                                                                                           \
        "n BIGINT", {                                                                           \
            BATCH("1", "2", "3", "4"), BATCH("5", "6", "7", "8"), BATCH("9", "10", "11", "12"), \
        }                                                                                       \
    }
#define WORDS                                           \
    {                                                   \
        "word STRING", {                                \
            BATCH("a", "a", "b"), BATCH("", ""), EMPTY, \
        }                                               \
    }
#define UPDATES                                                                                    \
    {                                                                                              \
        "word STRING", {                                                                           \
            BATCH("a"), BATCH("a", "b"), BATCH("a", "b", "c"), BATCH("a", "b"), BATCH("a"), EMPTY, \
        }                                                                                          \
    }

#define LEFT                                                          \
    {                                                                 \
        "word STRING", {                                              \
            BATCH("a", "b"), BATCH("a", ""), BATCH(""), EMPTY, EMPTY, \
        }                                                             \
    }
#define RIGHT                                                         \
    {                                                                 \
        "word STRING", {                                              \
            BATCH("a", "b"), BATCH("b", ""), EMPTY, BATCH(""), EMPTY, \
        }                                                             \
    }
#define WIDTHS                                                                       \
    {                                                                                \
        "word STRING", {                                                             \
            BATCH("a 100", "a 100", "b -1", "c -", "a 5", "b -"), BATCH("a 1"), NONE \
        }                                                                            \
    }
#define WHOLE_WIDTHS                                                   \
    {                                                                  \
        "word STRING", {                                               \
            BATCH("a 100", "a 100", "b -1", "a 5"), BATCH("a 1"), NONE \
        }                                                              \
    }

#define WHOLE_SUMS                                               \
    "('a', (-51, -13056, -855638016, 51.25, Decimal('2.05')))\n" \
    "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01')))\n"
#define WHOLE_SUMS_AND_ONE                                      \
    "('a', (-50, -12800, -838860800, 51.5, Decimal('2.06')))\n" \
    "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01')))\n"
#define WHOLE_MAXIMA                                                                       \
    "('a', (100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)))\n" \
    "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"

static const Case cases[] = {
    {.name = "map",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = map_to_text,
     .expected = {"1\n2\n3\n4\n", "5\n6\n7\n8\n", "9\n10\n11\n12\n"}},
    {.name = "map of chunks",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = map_chunks,
     .expected = {"2\n4\n6\n8\n", "10\n12\n14\n16\n", "18\n20\n22\n24\n"}},
    {.name = "flatMap",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = flat_map_twice,
     .expected = {"1\n2\n2\n4\n3\n6\n4\n8\n", "5\n10\n6\n12\n7\n14\n8\n16\n",
                  "9\n18\n10\n20\n11\n22\n12\n24\n"}},
    {.name = "filter",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = filter_even,
     .expected = {"2\n4\n", "6\n8\n", "10\n12\n"}},
    {.name = "reduce",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = reduce_sum,
     .expected = {"10\n", "26\n", "42\n"}},
    {.name = "reduce by a function",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = reduce_by_function,
     .expected = {"10\n", "26\n", "42\n"}},
    {.name = "reduce of an empty batch",
     .feeds = {{"n BIGINT", {EMPTY, BATCH("7"), EMPTY}}},
     .batch_count = 3,
     .build = reduce_sum,
     .expected = {"", "7\n", ""}},
    {.name = "count",
     .feeds = {{"n BIGINT",
                {EMPTY, BATCH("1"), BATCH("1", "2"), BATCH("1", "2", "3"), BATCH("1", "2", "3", "4")}}},
     .batch_count = 5,
     .build = count_rows,
     .expected = {"0\n", "1\n", "2\n", "3\n", "4\n"}},
    {.name = "count behind a filter",
     .feeds = {{"n BIGINT", {EMPTY, BATCH("1"), BATCH("1", "2"), BATCH("2", "4", "3")}}},
     .batch_count = 4,
     .build = count_even,
     .expected = {"0\n", "0\n", "1\n", "2\n"}},
    {.name = "countByValue",
     .feeds = {{"n BIGINT", {BATCH("1"), BATCH("1", "1", "1"), BATCH("1", "2"), BATCH("1", "1", "2", "2")}}},
     .batch_count = 4,
     .build = count_by_value,
     .is_set = true,
     .expected = {"(1, 1)\n", "(1, 3)\n", "(1, 1)\n(2, 1)\n", "(1, 2)\n(2, 2)\n"}},
    {.name = "reduceByKey",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = count_words,
     .is_set = true,
     .expected = {"('a', 2)\n('b', 1)\n", "('', 2)\n", ""}},
    {.name = "reduceByKey by a function",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = count_words_by_function,
     .is_set = true,
     .expected = {"('a', 2)\n('b', 1)\n", "('', 2)\n", ""}},
    {.name = "mapValues",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = map_values,
     .is_set = true,
     .expected = {"('a', 12)\n('b', 11)\n", "('', 12)\n", ""}},
    {.name = "flatMapValues",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = flat_map_values,
     .is_set = true,
     .expected = {"('a', 12)\n('a', 2)\n('b', 1)\n('b', 11)\n", "('', 12)\n('', 2)\n", ""}},
    {.name = "union",
     .feeds = {{"n BIGINT",
                {BATCH("1", "2", "3", "4"), BATCH("101", "102", "103", "104"),
                 BATCH("201", "202", "203", "204")}}},
     .batch_count = 3,
     .build = union_two,
     .expected = {"1\n2\n3\n4\n5\n6\n7\n8\n", "101\n102\n103\n104\n105\n106\n107\n108\n",
                  "201\n202\n203\n204\n205\n206\n207\n208\n"}},
    {.name = "union of three",
     .feeds = {{"n BIGINT", {BATCH("1", "2", "3", "4"), EMPTY}}},
     .batch_count = 2,
     .build = union_three,
     .expected = {"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", ""}},
    {.name = "union of two inputs",
     .feeds = {{"n BIGINT", {BATCH("1"), EMPTY, BATCH("3")}},
               {"n BIGINT", {BATCH("5", "6"), BATCH("7"), EMPTY}}},
     .batch_count = 3,
     .build = union_inputs,
     .expected = {"1\n5\n6\n", "7\n", "3\n"}},
    {.name = "no batch",
     .feeds = {{"n BIGINT", {BATCH("1"), NONE, BATCH("2")}}},
     .batch_count = 3,
     .build = filter_even,
     .expected = {"", NULL, "2\n"}},
    {.name = "split",
     .feeds = {{"line STRING", {BATCH("hello world", "hello  you"), BATCH("")}}},
     .batch_count = 2,
     .build = split_and_count,
     .is_set = true,
     .expected = {"('', 1)\n('hello', 2)\n('world', 1)\n('you', 1)\n", "('', 1)\n"}},
    {.name = "contains",
     .cut = CUT_KEEPS_ROWS,
     .feeds = {{"line STRING",
                {BATCH("b", "a", "bab", "", "a longer text than twelve bytes", "BBBBBBBBBBBBBBBBBBB")}}},
     .batch_count = 1,
     .build = containing_a,
     .expected = {"a\nbab\na longer text than twelve bytes\n"}},
    {.name = "concat keeps the order of the input",
     .feeds = {{"word STRING", {BATCH("a1", "b1", "a2", "a3", "b2", "a4", "c1", "b3"), BATCH("c", "c9")}}},
     .batch_count = 2,
     .build = concat_by_letter,
     .is_set = true,
     .expected = {"('a', '1+2+3+4')\n('b', '1+2+3')\n('c', '1')\n", "('c', '+9')\n"}},
    {.name = "min",
     .feeds = {{"word STRING", {BATCH("a3", "b1", "a10", "a2"), BATCH("bx", "b")}}},
     .batch_count = 2,
     .build = min_by_letter,
     .is_set = true,
     .expected = {"('a', '10')\n('b', '1')\n", "('b', '')\n"}},
    {.name = "max",
     .feeds = {{"word STRING", {BATCH("a3", "b1", "a10", "a2"), BATCH("bx", "b")}}},
     .batch_count = 2,
     .build = max_by_letter,
     .is_set = true,
     .expected = {"('a', '3')\n('b', '1')\n", "('b', 'x')\n"}},
    {.name = "sortBy",
     .feeds = {{"word STRING", {BATCH("a3", "b1", "c", "a10", "b", "a2"), EMPTY, BATCH("x")}}},
     .batch_count = 3,
     .build = sort_by_letter,
     .expected = {"('c', '')\n('b', '')\n('b', '1')\n('a', '10')\n('a', '2')\n('a', '3')\n", "",
                  "('x', '')\n"}},
    {.name = "sortByKey is stable",
     .feeds = {{"word STRING", {BATCH("b9", "a3", "b1", "a10", "b5", "a2"), NONE, BATCH("b2", "b1")}}},
     .batch_count = 3,
     .build = sort_by_key_only,
     .expected = {"('a', '3')\n('a', '10')\n('a', '2')\n('b', '9')\n('b', '1')\n('b', '5')\n", NULL,
                  "('b', '2')\n('b', '1')\n"}},
    {.name = "top of counts",
     .feeds = {{"word STRING", {BATCH("d", "a", "b", "c", "a", "b", "a", "c", "e"), BATCH("a"), EMPTY}}},
     .batch_count = 3,
     .build = top_three,
     .expected = {"('a', 3)\n('b', 2)\n('c', 2)\n", "('a', 1)\n", ""}},
    {.name = "top of elements",
     .feeds = {TO_TWELVE},
     .batch_count = 3,
     .build = top_elements,
     .expected = {"4\n3\n", "8\n7\n", "12\n11\n"}},
    {.name = "distinct",
     .feeds = {{"word STRING", {BATCH("a", "b", "a", "c", "a", "b", "c"), EMPTY, BATCH("a")}}},
     .batch_count = 3,
     .build = distinct,
     .is_set = true,
     .expected = {"a\nb\nc\n", "", "a\n"}},
    {.name = "distinct pairs, sorted",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = sorted_distinct_pairs,
     .is_set = true,
     .expected = {"('a', 1)\n('a', 2)\n('b', 1)\n", "('', 1)\n('', 2)\n", ""}},
    {.name = "combineByKey",
     .feeds = {{"word STRING",
                {BATCH("a1", "b1", "a2", "a3, which is long", "b2", "a4", "c1", "b3"), EMPTY,
                 BATCH("c", "c9")}}},
     .batch_count = 3,
     .build = combine,
     .is_set = true,
     .expected = {"('a', (4, '1+2+3, which is long+4'))\n('b', (3, '1+2+3'))\n('c', (1, '1'))\n", "",
                  "('c', (2, '+9'))\n"}},
    {.name = "combineByKey without combining on the map side",
     .feeds = {{"word STRING",
                {BATCH("a1", "b1", "a2", "a3, which is long", "b2", "a4", "c1", "b3"), EMPTY,
                 BATCH("c", "c9")}}},
     .batch_count = 3,
     .build = combine_behind_exchange,
     .is_set = true,
     .expected = {"('a', (4, '1+2+3, which is long+4'))\n('b', (3, '1+2+3'))\n('c', (1, '1'))\n", "",
                  "('c', (2, '+9'))\n"}},
    {.name = "groupByKey",
     .feeds = {WORDS},
     .batch_count = 3,
     .build = group,
     .is_set = true,
     .expected = {"('a', [1, 1])\n('b', [1])\n", "('', [1, 1])\n", ""}},
    {.name = "join",
     .feeds = {LEFT, RIGHT},
     .batch_count = 5,
     .build = join,
     .is_set = true,
     .expected = {"('a', (1, 'x'))\n('b', (1, 'x'))\n", "('', (1, 'x'))\n", "", "", ""}},
    {.name = "leftOuterJoin",
     .feeds = {LEFT, RIGHT},
     .batch_count = 5,
     .build = left_outer_join,
     .is_set = true,
     .expected = {"('a', (1, 'x'))\n('b', (1, 'x'))\n", "('', (1, 'x'))\n('a', (1, None))\n",
                  "('', (1, None))\n", "", ""}},
    {.name = "rightOuterJoin",
     .feeds = {LEFT, RIGHT},
     .batch_count = 5,
     .build = right_outer_join,
     .is_set = true,
     .expected = {"('a', (1, 'x'))\n('b', (1, 'x'))\n", "('', (1, 'x'))\n('b', (None, 'x'))\n", "",
                  "('', (None, 'x'))\n", ""}},
    {.name = "fullOuterJoin",
     .feeds = {LEFT, RIGHT},
     .batch_count = 5,
     .build = full_outer_join,
     .is_set = true,
     .expected = {"('a', (1, 'x'))\n('b', (1, 'x'))\n",
                  "('', (1, 'x'))\n('a', (1, None))\n('b', (None, 'x'))\n", "('', (1, None))\n",
                  "('', (None, 'x'))\n", ""}},
    {.name = "cogroup",
     .feeds = {{"word STRING", {BATCH("a", "a", "b"), BATCH("a", ""), BATCH(""), EMPTY}},
               {"word STRING", {BATCH("a", "a", "b"), BATCH("b", ""), EMPTY, EMPTY}}},
     .batch_count = 4,
     .build = cogroup,
     .is_set = true,
     .expected = {"('a', ([1, 1], ['x', 'x']))\n('b', ([1], ['x']))\n",
                  "('', ([1], ['x']))\n('a', ([1], []))\n('b', ([], ['x']))\n", "('', ([1], []))\n", ""}},
    {.name = "lists as functions read them",
     .feeds = {{"word STRING", {BATCH("a", "a", "b"), EMPTY}},
               {"word STRING", {BATCH("a", "a", "c"), EMPTY}}},
     .batch_count = 2,
     .build = read_lists,
     .is_set = true,
     .expected = {"a 2 xx\nb 1 \nc 0 x\n", ""}},
    {.name = "absent sides as functions read them",
     .feeds = {LEFT, RIGHT},
     .batch_count = 5,
     .build = read_sides,
     .is_set = true,
     .expected = {"1 x\n1 x\n", "-1 x\n1 none\n1 x\n", "1 none\n", "-1 x\n", ""}},
    {.name = "updateStateByKey",
     .cut = CUT_KEEPS_LAST,
     .feeds = {UPDATES},
     .batch_count = 6,
     .build = update_sum,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 2)\n('b', 1)\n", "('a', 3)\n('b', 2)\n('c', 1)\n",
                  "('a', 4)\n('b', 3)\n('c', 1)\n", "('a', 5)\n('b', 3)\n('c', 1)\n",
                  "('a', 5)\n('b', 3)\n('c', 1)\n"}},
    {.name = "updateStateByKey with the time",
     .feeds = {UPDATES},
     .batch_count = 6,
     .build = update_time,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1000)\n", "('a', 3000)\n('b', 2000)\n", "('a', 6000)\n('b', 5000)\n('c', 3000)\n",
                  "('a', 10000)\n('b', 9000)\n('c', 3000)\n", "('a', 15000)\n('b', 9000)\n('c', 3000)\n",
                  "('a', 15000)\n('b', 9000)\n('c', 3000)\n"}},
    {.name = "updateStateByKey, the life of a key",
     .feeds = {{"word STRING", {BATCH("a", "b"), NONE, BATCH("a", "c", "a"), BATCH("c"), NONE, NONE}}},
     .batch_count = 6,
     .build = life_cycle,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n('b', 1)\n", "('a', 1)\n('b', 1)\n", "('a', 3)\n('c', 1)\n",
                  "('a', 3)\n('c', 2)\n", "('c', 2)\n", ""}},
    {.name = "updateStateByKey without a first batch",
     .feeds = {{"word STRING", {NONE, NONE, BATCH("a"), NONE}}},
     .batch_count = 4,
     .build = update_sum,
     .is_set = true,
     .has_state = true,
     .expected = {NULL, NULL, "('a', 1)\n", "('a', 1)\n"}},
    {.name = "updateStateByKey that refuses",
     .feeds = {{"word STRING", {BATCH("b"), BATCH("a", "b"), EMPTY}}},
     .batch_count = 3,
     .build = update_refuse,
     .is_set = true,
     .has_state = true,
     .expected = {"", "('a', 1)\n", "('a', 1)\n"}},
    {.name = "sums keep their type",
     .feeds = {WIDTHS},
     .batch_count = 2,
     .build = sum_every_number,
     .is_set = true,
     .expected = {"('a', (-51, -13056, -855638016, 51.25, Decimal('2.05')))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01')))\n"
                  "('c', (None, None, None, None, None))\n",
                  "('a', (1, 256, 16777216, 0.25, Decimal('0.01')))\n"}},
    {.name = "minima of every type",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = min_every_type,
     .is_set = true,
     .expected = {"('a', (5, 1280, 83886080, 1.25, Decimal('0.05'), datetime.date(1970, 1, 6)))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
                  "('c', (None, None, None, None, None, None))\n"}},
    {.name = "maxima of every type",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = max_every_type,
     .is_set = true,
     .expected = {"('a', (100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
                  "('c', (None, None, None, None, None, None))\n"}},
    {.name = "sum of TINYINT",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = sum_tinyint,
     .is_set = true,
     .expected = {"('a', -51)\n('b', -1)\n('c', None)\n"}},
    {.name = "sum of INT",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = sum_int,
     .is_set = true,
     .expected = {"('a', -855638016)\n('b', -16777216)\n"}},
    {.name = "sum of FLOAT",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = sum_float,
     .is_set = true,
     .expected = {"('a', 51.25)\n('b', -0.25)\n"}},
    {.name = "maximum of FLOAT",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = max_float,
     .is_set = true,
     .expected = {"('a', 25.0)\n('b', -0.25)\n"}},
    {.name = "maximum of DATE",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = max_date,
     .is_set = true,
     .expected = {"('a', datetime.date(1970, 4, 11))\n('b', datetime.date(1969, 12, 31))\n"}},
    {.name = "sortBy DECIMAL, FLOAT and DATE",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = sort_every_type,
     .expected =
         {
             "('b', (None, None, None, None, None, None))\n"
             "('c', (None, None, None, None, None, None))\n"
             "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
             "('a', (5, 1280, 83886080, 1.25, Decimal('0.05'), datetime.date(1970, 1, 6)))\n"
             "('a', (100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)))\n"
             "('a', (100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)))\n",
         }},
    {.name = "sortBy INT, descending",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = sort_by_int,
     .expected = {"('a', 1677721600)\n('a', 1677721600)\n('a', 83886080)\n('b', -16777216)\n"}},
    {.name = "a reduce function over DATE",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 1,
     .build = reduce_dates,
     .is_set = true,
     .expected = {"('a', datetime.date(1970, 7, 25))\n('b', datetime.date(1969, 12, 31))\n"}},
    {.name = "every type in a key",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = count_by_every_type,
     .is_set = true,
     .expected = {"((-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)), 1)\n"
                  "((100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)), 2)\n"
                  "((5, 1280, 83886080, 1.25, Decimal('0.05'), datetime.date(1970, 1, 6)), 1)\n"
                  "((None, None, None, None, None, None), 2)\n"}},
    {.name = "a key of DATE",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = count_by_date,
     .is_set = true,
     .expected = {"(None, 2)\n(datetime.date(1969, 12, 31), 1)\n(datetime.date(1970, 1, 6), 1)\n"
                  "(datetime.date(1970, 4, 11), 2)\n"}},
    {.name = "a key of FLOAT",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = count_by_float,
     .is_set = true,
     .expected = {"(-0.25, 1)\n(1.25, 1)\n(25.0, 2)\n(None, 2)\n"}},
    {.name = "a key of DECIMAL",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = count_by_decimal,
     .is_set = true,
     .expected = {"(Decimal('-0.01'), 1)\n(Decimal('0.05'), 1)\n(Decimal('1.00'), 2)\n(None, 2)\n"}},
    {.name = "groupByKey of DECIMAL",
     .feeds = {WIDTHS},
     .batch_count = 1,
     .build = group_decimals,
     .is_set = true,
     .expected = {"('a', [Decimal('1.00'), Decimal('1.00'), Decimal('0.05')])\n"
                  "('b', [Decimal('-0.01'), None])\n('c', [None])\n"}},
    {.name = "groupByKey of every type",
     .feeds = {WIDTHS},
     .batch_count = 2,
     .build = group_every_type,
     .is_set = true,
     .expected = {"('a', [(100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)), "
                  "(100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11)), "
                  "(5, 1280, 83886080, 1.25, Decimal('0.05'), datetime.date(1970, 1, 6))])\n"
                  "('b', [(-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)), "
                  "(None, None, None, None, None, None)])\n"
                  "('c', [(None, None, None, None, None, None)])\n",
                  "('a', [(1, 256, 16777216, 0.25, Decimal('0.01'), datetime.date(1970, 1, 2))])\n"}},
    {.name = "join of DECIMAL and FLOAT",
     .feeds = {{"word STRING", {BATCH("a 100", "b 3", "b -")}}},
     .batch_count = 1,
     .build = join_decimals_and_floats,
     .is_set = true,
     .expected = {"('a', (Decimal('1.00'), 25.0))\n('b', (Decimal('0.03'), 0.75))\n"
                  "('b', (Decimal('0.03'), None))\n('b', (None, 0.75))\n('b', (None, None))\n"}},
    {.name = "reduceByKeyAndWindow of every number",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 3,
     .build = window_every_number,
     .is_set = true,
     .expected = {WHOLE_SUMS, WHOLE_SUMS_AND_ONE, "('a', (1, 256, 16777216, 0.25, Decimal('0.01')))\n"}},
    {.name = "reduceByKeyAndWindow of every number with an inverse",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 4,
     .build = window_every_number_inverse,
     .is_set = true,
     .has_state = true,
     .expected =
         {WHOLE_SUMS, WHOLE_SUMS_AND_ONE,
          "('a', (1, 256, 16777216, 0.25, Decimal('0.01')))\n('b', (0, 0, 0, 0.0, Decimal('0.00')))\n",
          "('a', (0, 0, 0, 0.0, Decimal('0.00')))\n('b', (0, 0, 0, 0.0, Decimal('0.00')))\n"}},
    {.name = "reduceByKeyAndWindow of DECIMAL with an inverse",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 3,
     .build = window_decimal_inverse,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', Decimal('2.05'))\n('b', Decimal('-0.01'))\n",
                  "('a', Decimal('2.06'))\n('b', Decimal('-0.01'))\n",
                  "('a', Decimal('0.01'))\n('b', Decimal('0.00'))\n"}},
    {.name = "reduceByKeyAndWindow, maxima of every type",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 3,
     .build = window_max_every_type,
     .is_set = true,
     .expected = {WHOLE_MAXIMA, WHOLE_MAXIMA,
                  "('a', (1, 256, 16777216, 0.25, Decimal('0.01'), datetime.date(1970, 1, 2)))\n"}},
    {.name = "updateStateByKey with state of every type",
     .feeds = {WIDTHS},
     .batch_count = 3,
     .build = update_every_type,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', (-51, -13056, -855638016, 51.25, Decimal('2.05'), datetime.date(1970, 7, 25)))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
                  "('c', (0, 0, 0, 0.0, Decimal('0.00'), datetime.date(1970, 1, 1)))\n",
                  "('a', (-50, -12800, -838860800, 51.5, Decimal('2.06'), datetime.date(1970, 7, 26)))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
                  "('c', (0, 0, 0, 0.0, Decimal('0.00'), datetime.date(1970, 1, 1)))\n",
                  "('a', (-50, -12800, -838860800, 51.5, Decimal('2.06'), datetime.date(1970, 7, 26)))\n"
                  "('b', (-1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31)))\n"
                  "('c', (0, 0, 0, 0.0, Decimal('0.00'), datetime.date(1970, 1, 1)))\n"}},
    {.name = "updateStateByKey with a DATE",
     .feeds = {WHOLE_WIDTHS},
     .batch_count = 2,
     .build = update_date,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', datetime.date(1970, 1, 6))\n('b', datetime.date(1969, 12, 31))\n",
                  "('a', datetime.date(1970, 1, 2))\n('b', datetime.date(1969, 12, 31))\n"}},
    {.name = "updateStateByKey twice",
     .feeds = {UPDATES},
     .batch_count = 4,
     .build = update_twice,
     .is_set = true,
     .has_state = true,
     .expected = {"('a', 1)\n", "('a', 3)\n('b', 1)\n", "('a', 6)\n('b', 3)\n('c', 1)\n",
                  "('a', 10)\n('b', 6)\n('c', 2)\n"}},
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

static const Feed to_twelve = TO_TWELVE;

static LeatStream *numbers(LeatContext *ctx) {
    return leat_function_stream(ctx, to_twelve.schema, feed_rows, (void *)&to_twelve);
}

TEST(a_union_with_a_side_that_has_no_batch_fails) {
    static const Feed two = {"n BIGINT", {BATCH("1"), BATCH("2")}}, one = {"n BIGINT", {BATCH("1")}};
    LeatContext *ctx = manual_context();
    LeatStream *a = leat_function_stream(ctx, "n BIGINT", feed_rows, (void *)&two);
    LeatStream *b = leat_function_stream(ctx, "n BIGINT", feed_rows, (void *)&one);
    LeatCollector *collected = leat_collect(leat_union(a, b));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 2000);
    CHECK(leat_collected_batches(collected) == 1);
    CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_CONFIG);
    CHECK(strstr(leat_error(ctx), "leat_union") != NULL);
    leat_context_destroy(ctx);
}

TEST(a_sum_of_too_many_digits_fails_the_batch) {
    static const Feed feed = {"word STRING", {BATCH("a 9998", "a 1"), BATCH("a 1", "b 1", "a 9999")}};
    LeatContext *ctx = manual_context();
    LeatStream *in = leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
    LeatCollector *collected = leat_collect(sum_every_number(&in));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 2000);
    CHECK(leat_collected_batches(collected) == 1);
    CHECK_STR(leat_collected_text(collected, 0), "('a', (15, 3840, 251658240, 2499.75, Decimal('99.99')))\n");
    CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_CONFIG);
    if (!CHECK(strstr(leat_error(ctx), "leat_reduce_by_key: the sum of column 'd' has more digits than "
                                       "DECIMAL(4, 2)") != NULL))
        printf("    %s\n", leat_error(ctx));
    leat_context_destroy(ctx);
}

static void add_decimals(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_decimal(out, 0, leat_row_decimal(a, 0) + leat_row_decimal(b, 0));
}

TEST(a_decimal_of_too_many_digits_fails_the_batch) {
    static const Feed feed = {"word STRING", {BATCH("a 9999", "a 1")}};
    for (int i = 0; i < 3; i++) {
        LeatContext *ctx = manual_context();
        if (i == 0)
            leat_checkpoint(ctx, check_tmpdir());
        LeatStream *in = leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
        LeatFunction reduce = leat_reduce_function(add_decimals, NULL);
        leat_collect(i == 0   ? update_every_type(&in)
                     : i == 1 ? leat_reduce_by_key(only(in, "k STRING, d DECIMAL(4, 2)", 5), reduce)
                              : only(in, "k STRING, d DECIMAL(3, 2)", 5));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 1000);
        CHECK(leat_await_termination(ctx) != LEAT_EXIT_OK);
        const char *who = i == 0 ? "update_state_by_key" : i == 1 ? "leat_reduce_by_key" : "leat_map";
        if (!CHECK(strstr(leat_error(ctx), who) && strstr(leat_error(ctx), "has more digits than DECIMAL(")))
            printf("    %s\n", leat_error(ctx));
        leat_context_destroy(ctx);
    }
}

/* ---- Arrow ---- */

typedef struct ArrowBatch {
    struct ArrowSchema schema;
    struct ArrowArray array;
    bool is_there;
} ArrowBatch;

static bool keep_arrow(LeatBatch *batch, void *user) {
    ArrowBatch *kept = user;
    kept->is_there = leat_batch_to_arrow(batch, &kept->schema, &kept->array);
    return kept->is_there;
}

static bool give_arrow(int64_t batch_time_ms, LeatOut *out, void *user) {
    ArrowBatch *kept = user;
    return batch_time_ms == 1000 && leat_out_arrow(out, &kept->schema, &kept->array);
}

static void release_arrow(ArrowBatch *kept) {
    kept->schema.release(&kept->schema);
    kept->array.release(&kept->array);
}

/* What one program exports, which has ended by then, another one reads. */
TEST(batches_go_through_arrow) {
    static const Feed feed = WIDTHS;
    ArrowBatch kept = {0};
    LeatContext *ctx = manual_context();
    LeatStream *in = leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
    leat_foreach_rdd(every_type(in), keep_arrow, &kept);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    leat_context_destroy(ctx);
    REQUIRE(kept.is_there);
    CHECK_EQ(kept.array.length, 6);
    CHECK_STR(kept.schema.children[5]->format, "d:4,2");
    CHECK_STR(kept.schema.children[5]->name, "d");

    ctx = manual_context();
    LeatStream *again = leat_function_stream(ctx, "k STRING, " EVERY_NUMBER ", y DATE", give_arrow, &kept);
    LeatCollector *collected = leat_collect(again);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK_STR(leat_collected_text(collected, 0),
              "('a', 100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11))\n"
              "('a', 100, 25600, 1677721600, 25.0, Decimal('1.00'), datetime.date(1970, 4, 11))\n"
              "('b', -1, -256, -16777216, -0.25, Decimal('-0.01'), datetime.date(1969, 12, 31))\n"
              "('c', None, None, None, None, None, None)\n"
              "('a', 5, 1280, 83886080, 1.25, Decimal('0.05'), datetime.date(1970, 1, 6))\n"
              "('b', None, None, None, None, None, None)\n");
    leat_context_destroy(ctx);

    ctx = manual_context();
    leat_collect(leat_function_stream(ctx, "k STRING", give_arrow, &kept));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK(leat_await_termination(ctx) != LEAT_EXIT_OK);
    if (!CHECK(strstr(leat_error(ctx), "Arrow: the columns are (k STRING, t TINYINT") != NULL))
        printf("    %s\n", leat_error(ctx));
    leat_context_destroy(ctx);
    release_arrow(&kept);
}

/* Takes the batch away from where it is kept. */
static bool move_arrow(int64_t batch_time_ms, struct ArrowSchema *schema, struct ArrowArray *array,
                       void *user) {
    ArrowBatch *kept = user;
    if (batch_time_ms == 2000)
        return true; /* nothing set: an empty batch */
    if (!kept->is_there)
        return false;
    *schema = kept->schema;
    *array = kept->array;
    kept->is_there = false;
    return true;
}

/* Lists of a group, and back as rows. */
TEST(groups_go_to_arrow) {
    static const Feed feed = {"word STRING", {BATCH("a 1", "b 2", "a 3")}};
    ArrowBatch kept = {0};
    LeatContext *ctx = manual_context();
    LeatStream *in = leat_function_stream(ctx, feed.schema, feed_rows, (void *)&feed);
    leat_foreach_rdd(leat_group_by_key(only(in, "k STRING, i INT", 3)), keep_arrow, &kept);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    leat_context_destroy(ctx);
    REQUIRE(kept.is_there);
    CHECK_EQ(kept.array.length, 2);
    CHECK_STR(kept.schema.children[1]->format, "+l");
    CHECK_EQ(kept.array.children[1]->children[0]->length, 3);

    ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    LeatStream *groups = leat_key(leat_arrow_stream(ctx, "k STRING, i ARRAY<INT>", move_arrow, &kept), 1);
    LeatCollector *collected = leat_collect(leat_group_by_key(leat_window(groups, two_seconds())));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_EQ(leat_collected_batches(collected), 3);
    CHECK_STR(leat_collected_text(collected, 0), "('b', [[33554432]])\n('a', [[16777216, 50331648]])\n");
    CHECK_STR(leat_collected_text(collected, 1), "('b', [[33554432]])\n('a', [[16777216, 50331648]])\n");
    CHECK_STR(leat_collected_text(collected, 2), "");
    leat_context_destroy(ctx);
}

static void nothing_of_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}
static void nothing_of_array(struct ArrowArray *array) {
    array->release = NULL;
}

/* Column `m` of three maps, {1: 10, 2: None}, None and {}, by hand. */
static bool give_maps(int64_t batch_time_ms, struct ArrowSchema *schema, struct ArrowArray *array,
                      void *user) {
    static const int32_t offsets[] = {0, 2, 2, 2}, keys[] = {1, 2}, values[] = {10, 0};
    static const uint8_t rows_valid = 5, values_valid = 1;
    static const void *none[1], *map_buffers[] = {&rows_valid, offsets}, *key_buffers[] = {NULL, keys},
                                *value_buffers[] = {&values_valid, values};
    static struct ArrowSchema schemas[4];
    static struct ArrowArray arrays[4];
    static struct ArrowSchema *schema_lists[3][2] = {
        {&schemas[0]}, {&schemas[1]}, {&schemas[2], &schemas[3]}};
    static struct ArrowArray *array_lists[3][2] = {{&arrays[0]}, {&arrays[1]}, {&arrays[2], &arrays[3]}};
    int64_t n_children[] = {1, 2, 0, 0};
    static const char *const formats[] = {"+m", "+s", "i", "i"}, *const names[] = {"m", "entries", "key",
                                                                                   "value"};
    const void **const buffers[] = {map_buffers, none, key_buffers, value_buffers};
    for (int i = 0; i < 4; i++) {
        schemas[i] = (struct ArrowSchema){.format = formats[i],
                                          .name = names[i],
                                          .n_children = n_children[i],
                                          .release = nothing_of_schema};
        arrays[i] = (struct ArrowArray){.length = i ? 2 : 3,
                                        .null_count = i == 0 || i == 3,
                                        .n_buffers = i == 1 ? 1 : 2,
                                        .n_children = n_children[i],
                                        .buffers = buffers[i],
                                        .release = nothing_of_array};
        schemas[i].children = i < 2 ? schema_lists[i + 1] : NULL;
        arrays[i].children = i < 2 ? array_lists[i + 1] : NULL;
    }
    *schema = (struct ArrowSchema){
        .format = "+s", .n_children = 1, .children = schema_lists[0], .release = nothing_of_schema};
    *array = (struct ArrowArray){.length = 3,
                                 .n_buffers = 1,
                                 .n_children = 1,
                                 .buffers = none,
                                 .children = array_lists[0],
                                 .release = nothing_of_array};
    (void)user;
    return batch_time_ms == 1000;
}

static void sum_of_map(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    int32_t sum = 0;
    for (uint32_t i = 0; !leat_row_is_null(row, 0) && i < leat_row_map_count(row, 0); i++) {
        LeatRow entry = leat_row_map_at(row, 0, i);
        sum += leat_row_i32(&entry, 0) + leat_row_i32(&entry, 1);
    }
    leat_out_i32(out, 0, sum);
}

TEST(maps_come_from_arrow) {
    LeatContext *ctx = manual_context();
    LeatStream *maps = leat_arrow_stream(ctx, "m MAP<INT, INT>", give_maps, NULL);
    LeatCollector *rows = leat_collect(maps);
    LeatCollector *sums = leat_collect(leat_map(maps, leat_function("sum INT", sum_of_map, NULL)));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 2000);
    CHECK_EQ(leat_collected_batches(rows), 1);
    CHECK_STR(leat_collected_text(rows, 0), "{1: 10, 2: None}\nNone\n{}\n");
    CHECK_STR(leat_collected_text(sums, 0), "13\n0\n0\n");
    leat_context_destroy(ctx);

    ctx = manual_context();
    leat_collect(leat_arrow_stream(ctx, "m MAP<INT, BIGINT>", give_maps, NULL));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    CHECK(leat_await_termination(ctx) != LEAT_EXIT_OK);
    CHECK(strstr(leat_error(ctx),
                 "Arrow: the columns are (m MAP<INT, INT>) where (m MAP<INT, BIGINT>) are wanted"));
    leat_context_destroy(ctx);

    ctx = manual_context();
    maps = leat_arrow_stream(ctx, "m MAP<INT, INT>", give_maps, NULL);
    leat_collect(leat_reduce_by_key(leat_map(maps, leat_pair_with_i64(1)), leat_sum()));
    CHECK(leat_start(ctx) != LEAT_EXIT_OK);
    if (!CHECK(strstr(leat_error(ctx),
                      "leat_reduce_by_key: a key cannot be column 'm', which is MAP<INT, INT>")))
        printf("    %s\n", leat_error(ctx));
    leat_context_destroy(ctx);
}

typedef struct Seen {
    int calls;
    int64_t times[8], counts[8], sums[8], taken[8], chunk_rows[8];
    uint32_t partitions[8], columns[8];
    bool is_empty[8];
    int fail_call; /* this call fails; 0: none */
} Seen;

static bool add_chunk(const LeatChunk *chunk, void *user) {
    *(int64_t *)user += chunk->row_count;
    return true;
}

static bool look(LeatBatch *batch, void *user) {
    Seen *seen = user;
    int i = seen->calls++;
    seen->times[i] = leat_batch_time_ms(batch);
    seen->counts[i] = (int64_t)leat_batch_count(batch);
    seen->is_empty[i] = leat_batch_is_empty(batch);
    seen->partitions[i] = leat_batch_partition_count(batch);
    seen->columns[i] = leat_batch_column_count(batch);
    LeatRow first = {0};
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        if (!first.columns)
            first = row;
        seen->sums[i] += leat_row_i64(&row, 0) * leat_row_i64(&first, 0); /* the first stays readable */
    }
    rows = leat_batch_take(batch, 2);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        seen->taken[i] = seen->taken[i] * 100 + leat_row_i64(&row, 0);
    leat_batch_for_each_chunk(batch, add_chunk, &seen->chunk_rows[i]);
    if (seen->calls == seen->fail_call)
        leat_batch_fail(batch, "the table is gone");
    return seen->calls != seen->fail_call;
}

TEST(foreach_rdd_sees_the_batch) {
    for (int chunk_rows = 1; chunk_rows < 3; chunk_rows++) {
        Seen seen = {0};
        LeatContext *ctx = manual_context();
        number_option(ctx, "test-chunk-rows", chunk_rows);
        leat_foreach_rdd(filter_even((LeatStream *[]){numbers(ctx)}), look, &seen);
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, 3000);
        CHECK_EQ(seen.calls, 3);
        CHECK_EQ(seen.times[2], 3000);
        CHECK_EQ(seen.counts[0], 2);
        CHECK_EQ(seen.sums[0], 2 * (2 + 4));
        CHECK_EQ(seen.taken[1], 608);
        CHECK_EQ(seen.chunk_rows[2], 2);
        CHECK(!seen.is_empty[0] && seen.columns[0] == 1 && seen.partitions[0] > 0);
        leat_context_destroy(ctx);
    }
}

TEST(a_failed_output_is_reported_and_later_batches_go_on) {
    Seen seen = {.fail_call = 1};
    LeatContext *ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    leat_foreach_rdd(numbers(ctx), look, &seen);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 2000);
    CHECK_EQ(seen.calls, 2);
    int code = 0;
    CHECK(leat_await_termination_or_timeout(ctx, leat_seconds(0), &code));
    CHECK_EQ(code, LEAT_EXIT_SOFTWARE);
    CHECK(strstr(leat_error(ctx), "the table is gone") != NULL);
    CHECK(strstr(leat_error(ctx), "leat_foreach_rdd") == leat_error(ctx));
    CHECK(leat_context_state(ctx) == LEAT_ACTIVE);
    leat_context_destroy(ctx);

    /* The batch stayed pending: it comes again, with the same time and rows, and only it. */
    Seen again = {0};
    ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    leat_foreach_rdd(numbers(ctx), look, &again);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 3000);
    CHECK_EQ(again.calls, 2);
    CHECK_EQ(again.times[0], 1000);
    CHECK_EQ(again.counts[0], 4);
    CHECK_EQ(again.times[1], 3000);
    leat_context_destroy(ctx);
}

TEST(a_program_ends_by_itself_after_its_batches) {
    LeatContext *ctx = leat_context_create("test", leat_milliseconds(1));
    LeatCollector *collected = leat_collect(leat_count(numbers(ctx)));
    leat_stop_after_batches(ctx, 3);
    CHECK(leat_context_state(ctx) == LEAT_INITIALIZED);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_OK);
    CHECK(leat_context_state(ctx) == LEAT_STOPPED);
    CHECK(leat_collected_batches(collected) <= 3);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
    CHECK_STR(leat_error(ctx), "leat_start: a context that was stopped cannot be started again");
    leat_context_destroy(ctx);
}

static bool stop_from_inside(LeatBatch *batch, void *user) {
    (void)batch;
    leat_stop(*(LeatContext **)user, (LeatStop){.graceful = false});
    return true;
}

TEST(an_output_may_ask_to_stop) {
    LeatContext *ctx = leat_context_create("test", leat_milliseconds(1));
    static const Feed one = {"n BIGINT", {BATCH("1")}};
    LeatStream *in = leat_function_stream(ctx, "n BIGINT", feed_rows, (void *)&one);
    leat_foreach_rdd(leat_count(in), stop_from_inside, &ctx);
    leat_stop(ctx, (LeatStop){0});
    leat_context_destroy(ctx); /* stopped before it began */

    ctx = manual_context();
    in = leat_function_stream(ctx, "n BIGINT", feed_rows, (void *)&one);
    leat_foreach_rdd(leat_count(in), stop_from_inside, &ctx);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 5000);
    CHECK_EQ(leat_await_termination(ctx), LEAT_EXIT_OK);
    leat_stop(ctx, (LeatStop){.graceful = true}); /* any number of times */
    CHECK(leat_context_state(ctx) == LEAT_STOPPED);
    leat_context_destroy(ctx);
}

TEST(one_context_runs_at_a_time) {
    LeatContext *first = manual_context(), *second = manual_context();
    leat_collect(numbers(first));
    leat_collect(numbers(second));
    CHECK_EQ(leat_start(first), LEAT_EXIT_OK);
    CHECK_EQ(leat_start(first), LEAT_EXIT_OK); /* again: only a warning */
    CHECK_EQ(leat_start(second), LEAT_EXIT_CONFIG);
    CHECK_STR(leat_error(second), "leat_start: another context is running in this process; only one may");
    leat_stop(first, (LeatStop){0});
    LeatContext *third = manual_context();
    leat_collect(numbers(third));
    CHECK_EQ(leat_start(third), LEAT_EXIT_OK);
    leat_context_destroy(first);
    leat_context_destroy(second);
    leat_context_destroy(third);
}

TEST(a_checkpoint_has_one_owner_and_one_program) {
    LeatContext *ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    leat_collect(update_sum(
        (LeatStream *[]){leat_map(numbers(ctx), leat_function("t STRING", number_as_text, NULL))}));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    leat_context_destroy(ctx);

    ctx = manual_context();
    leat_checkpoint(ctx, check_tmpdir());
    leat_collect(numbers(ctx));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
    CHECK(strstr(leat_error(ctx), "update_state_by_key") != NULL); /* names what is missing */
    leat_context_destroy(ctx);
}

/* ---- mistakes of the program ---- */

static LeatStream *words_of(LeatContext *ctx) {
    static const Feed words = WORDS;
    return leat_function_stream(ctx, words.schema, feed_rows, (void *)&words);
}

static void bad_schema(LeatContext *ctx) {
    leat_map(numbers(ctx), leat_function("n BIGIN", plus, NULL));
}
static void no_schema(LeatContext *ctx) {
    leat_map(numbers(ctx), leat_function(NULL, plus, NULL));
}
static void array_schema(LeatContext *ctx) {
    leat_map(numbers(ctx), leat_function("n ARRAY<BIGINT>", plus, NULL));
}
static void array_state(LeatContext *ctx) {
    leat_update_state_by_key(numbers(ctx), leat_update_function("s STRUCT<x: BIGINT>", running_sum, NULL));
}
static void null_function(LeatContext *ctx) {
    leat_map(numbers(ctx), leat_function("n BIGINT", NULL, NULL));
}
static void sum_of_text(LeatContext *ctx) {
    leat_reduce(words_of(ctx), leat_sum());
}
static void sum_of_pair(LeatContext *ctx) {
    leat_reduce(leat_map(words_of(ctx), leat_pair_with_i64(1)), leat_sum());
}
static void concat_of_numbers(LeatContext *ctx) {
    leat_reduce(numbers(ctx), leat_concat(","));
}
static void reduce_without_values(LeatContext *ctx) {
    leat_reduce_by_key(words_of(ctx), leat_sum());
}
static void split_of_numbers(LeatContext *ctx) {
    leat_flat_map(numbers(ctx), leat_split(" "));
}
static void split_by_nothing(LeatContext *ctx) {
    leat_flat_map(words_of(ctx), leat_split(""));
}
static void contains_in_numbers(LeatContext *ctx) {
    leat_filter(numbers(ctx), leat_contains("x"));
}
static void filter_by_sum(LeatContext *ctx) {
    leat_filter(numbers(ctx), leat_sum());
}
static void map_by_split(LeatContext *ctx) {
    leat_map(words_of(ctx), leat_split(" "));
}
static void union_of_types(LeatContext *ctx) {
    leat_union(numbers(ctx), words_of(ctx));
}
static void union_of_keys(LeatContext *ctx) {
    LeatStream *pairs = leat_map(leat_map(words_of(ctx), leat_pair_with_i64(1)), leat_pair_with_i64(1));
    leat_union(pairs, leat_key(pairs, 1));
}
static void combine_by_sum(LeatContext *ctx) {
    leat_combine_by_key(pairs_of(words_of(ctx)), leat_sum());
}
static void combine_by_half(LeatContext *ctx) {
    LeatCombine half = {.create = first_rest, .merge_value = one_more_rest};
    leat_combine_by_key(pairs_of(words_of(ctx)), leat_combine_function("n BIGINT, s STRING", half, NULL));
}
static void combine_to_array(LeatContext *ctx) {
    LeatCombine all = {.create = first_rest, .merge_value = one_more_rest, .merge_combiners = both_rests};
    leat_combine_by_key(pairs_of(words_of(ctx)), leat_combine_function("a ARRAY<BIGINT>", all, NULL));
}
static void group_without_values(LeatContext *ctx) {
    leat_group_by_key(words_of(ctx));
}
static void join_without_values(LeatContext *ctx) {
    leat_full_outer_join(pairs_of(words_of(ctx)), words_of(ctx));
}
static void join_of_types(LeatContext *ctx) {
    leat_join(pairs_of(words_of(ctx)), pairs_of(numbers(ctx)));
}
static void join_of_key_counts(LeatContext *ctx) {
    leat_cogroup(x_of(words_of(ctx)), pairs_of(x_of(words_of(ctx))));
}
static void too_many_keys(LeatContext *ctx) {
    leat_key(numbers(ctx), 2);
}
static void empty_name(LeatContext *ctx) {
    leat_name(numbers(ctx), "");
}
static void no_host(LeatContext *ctx) {
    leat_socket_text_stream(ctx, NULL, "9999");
}
static void no_directory(LeatContext *ctx) {
    leat_text_file_stream(ctx, "");
}
static void no_batch_function(LeatContext *ctx) {
    leat_function_stream(ctx, "n BIGINT", NULL, NULL);
}
static void no_foreach(LeatContext *ctx) {
    leat_foreach_rdd(numbers(ctx), NULL, NULL);
}
static void negative_print(LeatContext *ctx) {
    leat_print_n(numbers(ctx), -1);
}
static void order_of_nothing(LeatContext *ctx) {
    leat_sort_by(numbers(ctx), "m");
}
static void order_of_two_names(LeatContext *ctx) {
    leat_sort_by(leat_map(words_of(ctx), leat_function("n BIGINT, n BIGINT", plus, NULL)), "n");
}
static void order_like_sql(LeatContext *ctx) {
    leat_sort_by(numbers(ctx), "n down");
}
static void order_with_a_hole(LeatContext *ctx) {
    leat_top(numbers(ctx), 1, "n,");
}
static void no_order(LeatContext *ctx) {
    leat_sort_by(numbers(ctx), NULL);
}
static void top_none(LeatContext *ctx) {
    leat_top(numbers(ctx), 0, NULL);
}
static void unknown_option(LeatContext *ctx) {
    leat_set(ctx, "memroy", "1GiB");
}
static void strange_option(LeatContext *ctx) {
    leat_set(ctx, "colour", "red");
}
static void bad_size(LeatContext *ctx) {
    leat_set(ctx, "memory", "much");
}
static void bad_partitions(LeatContext *ctx) {
    leat_set(ctx, "partitions", "257");
}
static void bad_status(LeatContext *ctx) {
    leat_set(ctx, "status", "yes");
}
static void no_workers(LeatContext *ctx) {
    leat_workers(ctx, 0);
}
static void no_batches(LeatContext *ctx) {
    leat_stop_after_batches(ctx, 0);
}
static void nothing(LeatContext *ctx) {
    numbers(ctx);
}
static void state_without_checkpoint(LeatContext *ctx) {
    leat_collect(leat_update_state_by_key(leat_map(words_of(ctx), leat_pair_with_i64(1)),
                                          leat_update_function("n BIGINT", running_sum, NULL)));
}
static void first_of_two(LeatContext *ctx) {
    leat_key(numbers(ctx), 0);
    leat_key(numbers(ctx), 7);
}

TEST(mistakes_are_named_with_the_call) {
    static const struct {
        void (*build)(LeatContext *ctx);
        const char *message; /* the text begins with it */
    } mistakes[] = {
        {bad_schema, "leat_map: schema \"n BIGIN\": at byte 2"},
        {no_schema, "leat_map: no schema was given"},
        {array_schema,
         "leat_map: schema \"n ARRAY<BIGINT>\": functions cannot give ARRAY, STRUCT or MAP columns ('n')"},
        {array_state, "leat_update_state_by_key: schema \"s STRUCT<x: BIGINT>\": functions cannot give "
                      "ARRAY, STRUCT or MAP"},
        {null_function, "leat_map: leat_function() was given NULL"},
        {sum_of_text, "leat_reduce: leat_sum() takes numeric values, 'word' is none in (word STRING)"},
        {sum_of_pair,
         "leat_reduce: leat_sum() takes numeric values, 'word' is none in (word STRING, n BIGINT) "
         "(all columns are values here)"},
        {concat_of_numbers, "leat_reduce: leat_concat() takes STRING values, 'n' is none in (n BIGINT)"},
        {reduce_without_values, "leat_reduce_by_key: there is no value behind the key in (word STRING)"},
        {split_of_numbers,
         "leat_flat_map: leat_split() splits a stream of one STRING column, this is (n BIGINT)"},
        {split_by_nothing, "leat_flat_map: leat_split() was given an empty separator"},
        {contains_in_numbers,
         "leat_filter: leat_contains() looks at the first STRING column, there is none in (n BIGINT)"},
        {filter_by_sum,
         "leat_filter: leat_sum() has no meaning here; it takes leat_predicate() or leat_contains()"},
        {map_by_split,
         "leat_map: leat_split() has no meaning here; it takes leat_function(), leat_chunk_function() or "
         "leat_pair_with_i64()"},
        {union_of_types, "leat_union: the streams have different types: (n BIGINT) and (word STRING)"},
        {union_of_keys, "leat_union: the streams have different keys: 2 and 1 columns"},
        {combine_by_sum,
         "leat_combine_by_key: leat_sum() has no meaning here; it takes leat_combine_function()"},
        {combine_by_half, "leat_combine_by_key: leat_combine_function() was given NULL"},
        {combine_to_array, "leat_combine_by_key: schema \"a ARRAY<BIGINT>\": functions cannot give ARRAY"},
        {group_without_values, "leat_group_by_key: there is no value behind the key in (word STRING)"},
        {join_without_values, "leat_full_outer_join: there is no value behind the key in (word STRING)"},
        {join_of_types,
         "leat_join: the streams have different keys: 1 of the columns (word STRING, n BIGINT) and 1 of (n "
         "BIGINT, n BIGINT)"},
        {join_of_key_counts,
         "leat_cogroup: the streams have different keys: 1 of the columns (word STRING, x STRING) and 2 of "
         "(word STRING, x STRING, n BIGINT)"},
        {too_many_keys, "leat_key: 2 key columns of a stream with 1: (n BIGINT)"},
        {empty_name, "leat_name: the name is empty"},
        {no_host, "leat_socket_text_stream: the host is missing"},
        {no_directory, "leat_text_file_stream: the directory is missing"},
        {no_batch_function, "leat_function_stream: the function is NULL"},
        {no_foreach, "leat_foreach_rdd: the function is NULL"},
        {negative_print, "leat_print_n: -1 rows; 0 or more can be shown"},
        {order_of_nothing, "leat_sort_by: order \"m\": there is no column 'm' in (n BIGINT)"},
        {order_of_two_names,
         "leat_sort_by: order \"n\": there is more than one column 'n' in (n BIGINT, n BIGINT)"},
        {order_like_sql, "leat_sort_by: order \"n down\": columns are wanted, each with or without ASC"},
        {order_with_a_hole, "leat_top: order \"n,\": columns are wanted"},
        {no_order, "leat_sort_by: the order is NULL"},
        {top_none, "leat_top: 0 rows; at least 1 is needed"},
        {unknown_option, "leat_set: there is no option 'memroy'; did you mean 'memory'?"},
        {strange_option, "leat_set: there is no option 'colour'"},
        {bad_size, "leat_set: option 'memory': 'much' is not a size such as 512MiB"},
        {bad_partitions, "leat_set: option 'partitions': '257' is not a number from 1 to 256"},
        {bad_status, "leat_set: option 'status': 'yes' is not true or false"},
        {no_workers, "leat_workers: 0 workers; at least 1 is needed"},
        {no_batches, "leat_stop_after_batches: 0 batches; at least 1 is needed"},
        {nothing, "leat_start: no output was registered, so there is nothing to execute"},
        {state_without_checkpoint, "leat_update_state_by_key: no checkpoint directory was set"},
        {first_of_two, "leat_key: 0 key columns"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        LeatContext *ctx = manual_context();
        mistakes[i].build(ctx);
        if (mistakes[i].build != nothing && mistakes[i].build != state_without_checkpoint)
            leat_collect(numbers(ctx));
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_CONFIG);
        if (strncmp(leat_error(ctx), mistakes[i].message, strlen(mistakes[i].message)) != 0)
            CHECK_STR(leat_error(ctx), mistakes[i].message);
        CHECK(leat_context_state(ctx) == LEAT_STOPPED);
        leat_context_destroy(ctx);
    }
}

TEST(streams_of_two_contexts_are_not_joined) {
    LeatContext *one = manual_context(), *other = manual_context();
    CHECK(leat_join(pairs_of(words_of(one)), pairs_of(words_of(other))) == NULL);
    CHECK_STR(leat_error(one), "leat_join: the streams belong to different contexts");
    leat_context_destroy(one);
    leat_context_destroy(other);
}

TEST(null_streams_are_accepted_silently) {
    LeatContext *ctx = manual_context();
    LeatStream *none = leat_key(numbers(ctx), 9);
    CHECK(none == NULL);
    none =
        leat_union(leat_flat_map(leat_map(none, leat_pair_with_i64(1)), leat_split(" ")), leat_count(none));
    none = leat_reduce_by_key(leat_reduce(leat_filter(none, leat_contains("")), leat_sum()), leat_sum());
    none = leat_update_state_by_key(leat_name(leat_key(none, 1), "x"),
                                    leat_update_function("n BIGINT", refuse, NULL));
    none = leat_join(leat_group_by_key(none), leat_cogroup(none, none));
    none = leat_map_values(leat_flat_map_values(none, leat_function("n BIGINT", plus, NULL)),
                           leat_function("n BIGINT", plus, NULL));
    none = leat_full_outer_join(leat_left_outer_join(none, numbers(ctx)),
                                leat_right_outer_join(numbers(ctx), none));
    leat_print(none);
    leat_pprint_n(none, 3);
    leat_foreach_rdd(none, look, NULL);
    LeatCollector *collected = leat_collect(none);
    CHECK(leat_collected_batches(collected) == 0);
    CHECK(leat_collected_text(collected, 0) == NULL);
    CHECK_STR(leat_error(ctx), "leat_key: 9 key columns of a stream with 1: (n BIGINT)");
    leat_context_destroy(ctx);
    leat_context_destroy(NULL);
}

TEST(nothing_is_added_after_the_start) {
    LeatContext *ctx = manual_context();
    LeatStream *in = numbers(ctx);
    leat_collect(in);
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    CHECK(leat_map(in, leat_pair_with_i64(1)) == NULL);
    CHECK_STR(leat_error(ctx),
              "leat_map: adding inputs, operations or outputs after the start is not supported");
    leat_context_destroy(ctx);

    ctx = manual_context();
    in = numbers(ctx);
    leat_stop(ctx, (LeatStop){0});
    leat_print(in);
    CHECK_STR(leat_error(ctx),
              "leat_print: adding inputs, operations or outputs after the stop is not supported");
    leat_context_destroy(ctx);
}

static LeatContext *build_wordcount(void *user) {
    LeatContext *ctx = manual_context();
    LeatStream *words = words_of(ctx);
    *(LeatCollector **)user = leat_collect(update_sum(&words));
    return ctx;
}

TEST(get_or_create_goes_on_where_it_was) {
    for (int batch = 1; batch <= 2; batch++) {
        LeatCollector *collected = NULL;
        LeatContext *ctx = leat_get_or_create(check_tmpdir(), build_wordcount, &collected);
        CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
        leat_advance(ctx, batch * 1000);
        REQUIRE(leat_collected_batches(collected) == 1);
        char *text = normal_form(leat_collected_text(collected, 0), true);
        CHECK_STR(text, batch == 1 ? "('a', 2)\n('b', 1)\n" : "('', 2)\n('a', 2)\n('b', 1)\n");
        free(text);
        leat_context_destroy(ctx);
    }
}

TEST_MAIN()
