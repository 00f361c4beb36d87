/* check.c - runs the tests of one program; see check.h.
 *
 * Tests share the process. A test that crashes ends the program; the handlers below then say which one it
 * was, and the runner (tools/run_tests) counts the missing summary as a failure. */
#include "check.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A container often has 64 MiB there, which two tests at a time would fill. */
#define MEMORY_DISK_BYTES_MIN ((size_t)512 << 20)

static CheckTest *first_test, **last_link = &first_test;

static const char *program_path = "test";
static CheckTest *running;
static _Atomic int failed_checks; /* of the running test; any thread may check */
static jmp_buf test_end;
static char tmpdir[256]; /* "" until the running test asks for one */
static bool seed_known, seed_used;
static uint64_t seed;

void check_register(CheckTest *test) {
    *last_link = test;
    last_link = &test->next;
}

static void failed_at(const char *file, int line, const char *expression) {
    failed_checks++;
    printf("%s:%d: %s: %s\n", file, line, running ? running->name : "?", expression);
}

bool check_true(bool condition, const char *file, int line, const char *expression) {
    if (!condition)
        failed_at(file, line, expression);
    return condition;
}

bool check_i64(int64_t a, int64_t b, const char *file, int line, const char *expression) {
    if (a != b) {
        failed_at(file, line, expression);
        printf("    %" PRId64 " (0x%" PRIx64 ") is not %" PRId64 " (0x%" PRIx64 ")\n", a, a, b, b);
    }
    return a == b;
}

static void print_quoted(const char *label, const char *text, size_t size) {
    printf("    %s \"", label);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            fputs("\\n", stdout);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 32 || c == 127)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    printf("\" (%zu bytes)\n", size);
}

bool check_text(const char *a, size_t a_size, const char *b, size_t b_size, const char *file, int line,
                const char *expression) {
    if (a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0))
        return true;
    failed_at(file, line, expression);
    print_quoted("is       ", a, a_size);
    print_quoted("should be", b, b_size);
    return false;
}

_Noreturn void check_abandon(void) {
    longjmp(test_end, 1);
}

uint64_t check_seed(void) {
    if (!seed_known) {
        const char *given = getenv("TEST_SEED");
        if (given && *given)
            seed = strtoull(given, NULL, 0);
        else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
            abort();
        seed_known = true;
    }
    if (!seed_used)
        printf("%s: TEST_SEED=%" PRIu64 "\n", running ? running->name : program_path, seed);
    seed_used = true;
    return seed;
}

static const char *tmpdir_parent(void) {
    const char *given = getenv("TMPDIR");
    if (given && *given)
        return given;
    struct statvfs memory;
    bool has_memory = access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &memory) == 0 &&
                      memory.f_bavail >= MEMORY_DISK_BYTES_MIN / memory.f_frsize;
    return has_memory ? "/dev/shm" : "/tmp";
}

const char *check_tmpdir(void) {
    if (!tmpdir[0]) {
        snprintf(tmpdir, sizeof tmpdir, "%s/leat-test-XXXXXX", tmpdir_parent());
        if (!mkdtemp(tmpdir)) {
            printf("%s: %s\n", tmpdir, strerror(errno));
            abort();
        }
    }
    return tmpdir;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void tmpdir_remove(void) {
    if (tmpdir[0])
        nftw(tmpdir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    tmpdir[0] = 0;
}

static void print_repeat(void) {
    printf("  repeat: ");
    if (seed_used)
        printf("TEST_SEED=%" PRIu64 " ", seed);
    printf("%s %s\n", program_path, running->name);
}

/* The last words of a test that ends the program. printf is not allowed in a signal handler, but the program
 * is lost already and the line is worth the risk. */
static void say_who_crashed(void) {
    if (running) {
        printf("%s: the program ended inside this test\n", running->name);
        print_repeat();
        fflush(stdout);
    }
}

static void on_abort(int signal_number) {
    say_who_crashed();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* The undefined-behaviour sanitizer of gcc has no such callback of its own in a program that also has the
 * address sanitizer; it ends by abort when told so. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) {
    return "abort_on_error=1:print_stacktrace=1";
}

/* Present when the program is linked with a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* True: the test passed. */
static bool run_test(CheckTest *test) {
    running = test;
    failed_checks = 0;
    seed_used = false;
    if (setjmp(test_end) == 0)
        test->run();
    tmpdir_remove();
    if (failed_checks)
        print_repeat();
    running = NULL;
    return failed_checks == 0;
}

static bool is_wanted(const CheckTest *test, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], test->name) == 0)
            return true;
    }
    return argc < 2;
}

int check_main(int argc, char **argv, const char *program) {
    program_path = argc > 0 ? argv[0] : program;
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (CheckTest *test = first_test; test; test = test->next)
            puts(test->name);
        return 0;
    }
    /* A child that a test forks must not print the parent's lines again. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_who_crashed);

    int passed = 0, failed = 0;
    for (CheckTest *test = first_test; test; test = test->next) {
        if (is_wanted(test, argc, argv))
            *(run_test(test) ? &passed : &failed) += 1;
    }
    if (passed + failed == 0 && argc > 1) {
        printf("%s: no such test; -l lists them\n", argv[1]);
        failed = 1;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
