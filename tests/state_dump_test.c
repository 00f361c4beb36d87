/* `leat state dump` of keys and state of every scalar type: what a program wrote, shown without it. */
#include "leat/leat.h"

#include "check.h"
#include "env/env_real.h"
#include "stream/inspect.h"

#include <math.h>

#define TYPES                                                                                              \
    "b BOOLEAN, t TINYINT, s SMALLINT, i INT, l BIGINT, f FLOAT, g DOUBLE, d DECIMAL(10, 2), c STRING, x " \
    "BINARY, "                                                                                             \
    "y DATE, z TIMESTAMP"

static bool give(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)user;
    if (batch_time_ms > 1000)
        return false;
    leat_out_bool(out, 0, true);
    leat_out_i8(out, 1, -1);
    leat_out_i16(out, 2, -300);
    leat_out_i32(out, 3, 70000);
    leat_out_i64(out, 4, INT64_C(1) << 40);
    leat_out_f32(out, 5, 0.1f);
    leat_out_f64(out, 6, 0.1);
    leat_out_decimal(out, 7, -120);
    leat_out_str(out, 8, leat_str("a \"quoted\" word"));
    leat_out_str(out, 9, leat_str_slice("\0\xff", 2));
    leat_out_i32(out, 10, 18292);
    leat_out_i64(out, 11, 1500000);
    leat_out_i64(out, 12, 0);
    leat_out_emit(out);
    return true;
}

/* The state is the key again, and infinity for the numbers that have it. */
static bool copy_key(const LeatUpdate *update, void *user) {
    (void)user;
    const LeatRow *key = leat_update_key(update);
    leat_update_set_state_bool(update, 0, leat_row_bool(key, 0));
    leat_update_set_state_i8(update, 1, leat_row_i8(key, 1));
    leat_update_set_state_i16(update, 2, leat_row_i16(key, 2));
    leat_update_set_state_i32(update, 3, leat_row_i32(key, 3));
    leat_update_set_state_i64(update, 4, leat_row_i64(key, 4));
    leat_update_set_state_f32(update, 5, INFINITY);
    leat_update_set_state_f64(update, 6, (double)-INFINITY);
    leat_update_set_state_decimal(update, 7, leat_row_decimal(key, 7));
    leat_update_set_state_str(update, 8, leat_row_str(key, 8));
    leat_update_set_state_str(update, 9, leat_row_str(key, 9));
    leat_update_set_state_i32(update, 10, leat_row_i32(key, 10));
    leat_update_set_state_null(update, 11);
    return true;
}

static Status append(void *self, Str text, Error *err) {
    (void)err;
    text_append(self, text);
    return STATUS_OK;
}

static void check_dump(const char *directory, InspectFormat format, const char *wanted) {
    Text shown = {0};
    Error err = {0};
    CHECK_OK(
        inspect_state(env_real(), directory, format, (InspectOut){.write = append, .self = &shown}, &err),
        err);
    CHECK_STR(shown.data ? shown.data : "", wanted);
    text_deinit(&shown);
}

TEST(state_of_every_type_is_shown) {
    const char *directory = check_tmpdir();
    LeatContext *ctx = leat_context_create("test", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_checkpoint(ctx, directory);
    LeatStream *rows = leat_function_stream(ctx, TYPES ", n BIGINT", give, NULL);
    leat_collect(leat_update_state_by_key(leat_key(rows, 12), leat_update_function(TYPES, copy_key, NULL)));
    CHECK_EQ(leat_start(ctx), LEAT_EXIT_OK);
    leat_advance(ctx, 1000);
    leat_context_destroy(ctx);
    check_dump(directory, INSPECT_JSON,
               "{\"operator\":\"update_state_by_key#0\",\"key\":{\"b\":true,\"t\":-1,\"s\":-300,\"i\":70000,"
               "\"l\":1099511627776,\"f\":0.100000001,\"g\":0.10000000000000001,\"d\":-1.20,"
               "\"c\":\"a \\\"quoted\\\" word\",\"x\":\"\\u0000\\u00ff\",\"y\":\"2020-01-31\",\"z\":1500000},"
               "\"value\":{\"b\":true,\"t\":-1,\"s\":-300,\"i\":70000,\"l\":1099511627776,\"f\":\"inf\","
               "\"g\":\"-inf\",\"d\":-1.20,\"c\":\"a \\\"quoted\\\" word\",\"x\":\"\\u0000\\u00ff\","
               "\"y\":\"2020-01-31\",\"z\":null}}\n");
    check_dump(directory, INSPECT_TEXT,
               "update_state_by_key#0  (True, -1, -300, 70000, 1099511627776, 0.10000000149011612, 0.1, "
               "Decimal('-1.20'), 'a \"quoted\" word', b'\\x00\\xff', 2020-01-31, 1970-01-01 00:00:01.5Z)  "
               "(True, -1, -300, 70000, 1099511627776, inf, -inf, Decimal('-1.20'), 'a \"quoted\" word', "
               "b'\\x00\\xff', 2020-01-31, None)\n");
}

TEST_MAIN()
