/* check.h - the whole test framework.
 *
 * A test file is `NAME_test.c` beside its source (or in tests/). It is a program of its own:
 *
 *     #include "check.h"
 *     TEST(store_forgets_removed_keys) { CHECK(store_count(s) == 0); CHECK_EQ(a, b); CHECK_STR(text, "abc");
 * } TEST_MAIN()
 *
 * CHECK records and goes on; REQUIRE ends the test. Tests run in file order; `build/debug/tests/NAME_test
 * [-l] [TEST…]` runs only those named. Each failing check prints file:line, what was compared and the command
 * that repeats it; the last line is `N passed, N failed`, the exit code is 0 only when none failed. TEST_SEED
 * in the environment overrides the seed that check_seed() gives and prints. check_tmpdir() makes a new empty
 * directory that is removed at the end: under TMPDIR, else in memory (/dev/shm) where there is room, because
 * what a test promises about files does not depend on the disk and a sync of a disk takes its time, else
 * under /tmp.
 */
#ifndef LEAT_TESTS_CHECK_H
#define LEAT_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct CheckTest {
    const char *name;
    void (*run)(void);
    struct CheckTest *next;
} CheckTest;

void check_register(CheckTest *test);
bool check_true(bool condition, const char *file, int line, const char *expression);
bool check_i64(int64_t a, int64_t b, const char *file, int line, const char *expression);
bool check_text(const char *a, size_t a_size, const char *b, size_t b_size, const char *file, int line,
                const char *expression);
_Noreturn void check_abandon(void); /* ends the running test */
uint64_t check_seed(void);
const char *check_tmpdir(void); /* borrowed until the test ends */
int check_main(int argc, char **argv, const char *program);

#define TEST(test_name)                                                   \
    static void test_name(void);                                          \
    __attribute__((constructor)) static void register_##test_name(void) { \
        static CheckTest test = {#test_name, test_name, 0};               \
        check_register(&test);                                            \
    }                                                                     \
    static void test_name(void)

#define TEST_MAIN()                              \
    int main(int argc, char **argv) {            \
        return check_main(argc, argv, __FILE__); \
    }

#define CHECK(condition) check_true((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(a, b)   check_i64((int64_t)(a), (int64_t)(b), __FILE__, __LINE__, #a " == " #b)
/* Zero-terminated texts. */
#define CHECK_STR(a, b) check_text((a), strlen(a), (b), strlen(b), __FILE__, __LINE__, #a " == " #b)
/* STATUS_OK, else the message is printed: CHECK_OK(f(&err), err). */
#define CHECK_OK(status, err)                                       \
    (check_true((status) == STATUS_OK, __FILE__, __LINE__, #status) \
         ? true                                                     \
         : (printf("    %s\n", (err).message), false))
#define REQUIRE(condition)     \
    do {                       \
        if (!CHECK(condition)) \
            check_abandon();   \
    } while (0)

#endif
