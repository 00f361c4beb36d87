#include "base/log.h"
#include "check.h"

static Text written;
static int write_count;
static int64_t now_us;

static int64_t test_wall(void *self) {
    CHECK(self == &written);
    return now_us;
}

static void test_write(void *self, Str line) {
    CHECK(self == &written);
    write_count++;
    text_append(&written, line);
}

static void begin(const char *levels) {
    Error err = {0};
    text_reset(&written);
    write_count = 0;
    log_set_hooks((LogHooks){test_wall, test_write, &written});
    CHECK_OK(log_configure(str_from(levels), &err), err);
}

static void end(void) {
    log_set_hooks((LogHooks){0});
    CHECK_EQ(log_configure(STR(""), NULL), STATUS_OK);
    text_deinit(&written);
}

TEST(a_line_reads_as_the_header_says) {
    begin("");
    now_us = 1795255200123456; /* 2026-11-21 */
    log_warn("socket", "RECONNECT host=%s port=%d in=2s", "localhost", 9999);
    CHECK_STR(written.data,
              "2026-11-21T10:00:00.123Z WARN  socket RECONNECT host=localhost port=9999 in=2s\n");
    CHECK_EQ(write_count, 1);
    now_us = -1;
    text_reset(&written);
    log_error("state", "LOST");
    CHECK_STR(written.data, "1969-12-31T23:59:59.999Z ERROR state LOST\n");
    end();
}

TEST(without_a_clock_there_is_no_time) {
    begin("");
    log_set_hooks((LogHooks){NULL, test_write, &written});
    log_error("a", "B");
    CHECK_STR(written.data, "ERROR a B\n");
    end();
}

TEST(one_line_stays_one_line) {
    begin("");
    log_set_hooks((LogHooks){NULL, test_write, &written});
    log_error("a", "B value=%s", "x\nERROR forged\x1b[2J");
    CHECK_STR(written.data, "ERROR a B value=x\\nERROR forged\\x1b[2J\n");
    text_reset(&written);
    log_error("a", "B %0*d", 5000, 7);
    CHECK_EQ(written.size, strlen("ERROR a B \n") + 5000);
    CHECK_EQ(write_count, 2);
    end();
}

TEST(levels_for_all_and_for_one_area) {
    CHECK(log_enabled("any", LOG_WARN) && !log_enabled("any", LOG_INFO));
    begin("info");
    CHECK(log_enabled("any", LOG_INFO) && !log_enabled("any", LOG_DEBUG));
    begin("state:debug, socket:trace,quiet:error");
    CHECK(log_enabled("state", LOG_DEBUG) && !log_enabled("state", LOG_TRACE));
    CHECK(log_enabled("socket", LOG_TRACE));
    CHECK(!log_enabled("quiet", LOG_WARN) && log_enabled("quiet", LOG_ERROR));
    CHECK(log_enabled("other", LOG_WARN) && !log_enabled("other", LOG_INFO));
    CHECK(!log_enabled("stat", LOG_INFO) && !log_enabled("states", LOG_INFO));
    begin("debug,state:info,state:trace");
    CHECK(log_enabled("other", LOG_DEBUG) && log_enabled("state", LOG_TRACE)); /* the last one wins */
    text_reset(&written);
    log_debug("state", "SEEN");
    LOG("other", LOG_TRACE, "NOT");
    CHECK(str_ends_with(text_str(&written), STR("DEBUG state SEEN\n")) && write_count == 1);
    end();
}

TEST(a_wrong_level_is_named_and_changes_nothing) {
    static const char *const wrong[] = {"loud",   "state:loud", "info,:debug",
                                        "state:", "a:b:info",   "info;debug"};
    begin("state:debug");
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        Error err = {0};
        if (!CHECK(log_configure(str_from(wrong[i]), &err) == STATUS_INVALID))
            printf("    '%s'\n", wrong[i]);
        CHECK(log_enabled("state", LOG_DEBUG) && !log_enabled("a", LOG_INFO));
    }
    Error err = {0};
    CHECK(log_configure(STR("info,state:loud"), &err) == STATUS_INVALID);
    CHECK(strstr(err.message, "'state:loud'") != NULL);
    end();
}

TEST_MAIN()
