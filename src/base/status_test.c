#include "base/status.h"
#include "base/str.h"
#include "check.h"

#include <errno.h>

TEST(context_reads_outside_in) {
    Error err = {0};
    Status st = error_set(&err, STATUS_CORRUPT, "checksum mismatch at byte %d", 4096);
    st = error_context(&err, st, "snapshot v%d", 7);
    st = error_context(&err, st, "restoring query '%s'", "clicks");
    CHECK_EQ(st, STATUS_CORRUPT);
    CHECK_EQ(err.status, STATUS_CORRUPT);
    CHECK_STR(err.message, "restoring query 'clicks': snapshot v7: checksum mismatch at byte 4096");
}

TEST(context_of_ok_and_no_error_change_nothing) {
    Error err = {.message = "as it was"};
    CHECK_EQ(error_context(&err, STATUS_OK, "context"), STATUS_OK);
    CHECK_STR(err.message, "as it was");
    CHECK_EQ(error_set(NULL, STATUS_IO, "x"), STATUS_IO);
    CHECK_EQ(error_set_os(NULL, ENOENT, "x"), STATUS_NOT_FOUND);
    CHECK_EQ(error_context(NULL, STATUS_IO, "x"), STATUS_IO);
}

TEST(errno_becomes_a_decision) {
    static const struct {
        int os_error;
        Status status;
    } cases[] = {{ENOMEM, STATUS_NO_MEMORY},
                 {ENOENT, STATUS_NOT_FOUND},
                 {EEXIST, STATUS_EXISTS},
                 {ECANCELED, STATUS_CANCELLED},
                 {ECONNREFUSED, STATUS_UNAVAILABLE},
                 {ECONNRESET, STATUS_UNAVAILABLE},
                 {ETIMEDOUT, STATUS_UNAVAILABLE},
                 {EPIPE, STATUS_UNAVAILABLE},
                 {ENOSPC, STATUS_IO},
                 {EIO, STATUS_IO},
                 {EACCES, STATUS_IO},
                 {EROFS, STATUS_IO}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Error err = {0};
        CHECK_EQ(error_set_os(&err, cases[i].os_error, "opening %s", "f"), cases[i].status);
        CHECK_EQ(err.os_error, cases[i].os_error);
        CHECK_EQ(err.status, cases[i].status);
    }
    Error err = {0};
    CHECK(error_set_os(&err, ENOSPC, "writing %s", "log") == STATUS_IO);
    CHECK_STR(err.message, "writing log: No space left on device");
    CHECK(error_set(&err, STATUS_INVALID, "other") == STATUS_INVALID);
    CHECK_EQ(err.os_error, 0);
}

/* Messages of every length around the limit, made of one character of 1-4 bytes: never more than fits, never
 * cut inside a character. */
TEST(long_messages_are_cut_at_a_character) {
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < ARRAY_COUNT(characters); c++) {
        for (size_t shift = 0; shift < 4; shift++) {
            Text text = {0};
            text_append(&text, (Str){"xxxx", shift});
            while (text.size < ERROR_MESSAGE_SIZE_MAX + 8)
                text_append(&text, str_from(characters[c]));
            Error err = {0};
            CHECK(error_set(&err, STATUS_INVALID, "%s", text.data) == STATUS_INVALID);
            size_t size = strlen(err.message), width = strlen(characters[c]);
            CHECK_EQ(size, (ERROR_MESSAGE_SIZE_MAX - 1 - shift) / width * width + shift);
            CHECK(str_is_utf8(str_from(err.message)));
            CHECK(error_context(&err, STATUS_INVALID, "y") == STATUS_INVALID);
            CHECK(str_is_utf8(str_from(err.message)) && str_starts_with(str_from(err.message), STR("y: ")));
            CHECK(error_context(&err, STATUS_INVALID, "%s", text.data) == STATUS_INVALID);
            CHECK(error_set_os(&err, EIO, "%s", text.data) == STATUS_IO);
            CHECK(strlen(err.message) < ERROR_MESSAGE_SIZE_MAX);
            text_deinit(&text);
        }
    }
}

TEST(every_status_has_a_name) {
    for (int status = STATUS_OK; status <= STATUS_CANCELLED; status++)
        CHECK(strcmp(status_name((Status)status), "UNKNOWN") != 0);
    CHECK_STR(status_name(STATUS_NO_MEMORY), "NO_MEMORY");
}

static Status fail_or_not(bool fails) {
    return fails ? STATUS_IO : STATUS_OK;
}

static Status tries(bool fails, bool *passed) {
    TRY(fail_or_not(fails));
    *passed = true;
    return STATUS_OK;
}

static Status tries_with_exit(bool fails, bool *passed, bool *cleaned) {
    Status st;
    TRY_GOTO(done, fail_or_not(fails));
    *passed = true;
done:
    *cleaned = true;
    return st;
}

TEST(try_leaves_at_the_first_failure) {
    bool passed = false, cleaned = false;
    CHECK(tries(true, &passed) == STATUS_IO && !passed);
    CHECK(tries(false, &passed) == STATUS_OK && passed);
    passed = false;
    CHECK(tries_with_exit(true, &passed, &cleaned) == STATUS_IO && !passed && cleaned);
    cleaned = false;
    CHECK(tries_with_exit(false, &passed, &cleaned) == STATUS_OK && passed && cleaned);
}

TEST_MAIN()
