/* What print and pprint write, byte by byte: a child runs the program with its standard output in a file. */
#include "leat/leat.h"

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* As many rows as the batch's number. */
static bool count_up(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)user;
    for (int64_t i = 1; i <= batch_time_ms / 1000 - 1; i++) {
        leat_out_i64(out, 0, i);
        leat_out_emit(out);
    }
    return true;
}

/* The text of `batch_count` batches of 0, 1, 2, ... rows. */
static const char *output_of(void (*add_output)(LeatStream *stream), int batch_count) {
    static char text[16384];
    char path[400];
    snprintf(path, sizeof path, "%s/stdout", check_tmpdir());
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        dup2(fd, STDOUT_FILENO);
        setenv("TZ", "UTC", 1);
        LeatContext *ctx = leat_context_create("console", leat_seconds(1));
        leat_context_set_manual_clock(ctx);
        add_output(leat_function_stream(ctx, "n BIGINT", count_up, NULL));
        int code = leat_start(ctx);
        leat_advance(ctx, batch_count * 1000);
        leat_context_destroy(ctx);
        _exit(code);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

#define RULE "-------------------------------------------\n"

static void print_two(LeatStream *stream) {
    leat_print_n(stream, 2);
}

TEST(print_as_scala) {
    CHECK_STR(output_of(print_two, 4),
              RULE "Time: 1000 ms\n" RULE "\n" RULE "Time: 2000 ms\n" RULE "1\n\n" RULE "Time: 3000 ms\n" RULE
                   "1\n2\n\n" RULE "Time: 4000 ms\n" RULE "1\n2\n...\n\n");
}

static void pprint_pairs(LeatStream *stream) {
    leat_pprint_n(leat_map(stream, leat_pair_with_i64(7)), 1);
}

TEST(pprint_as_python) {
    CHECK_STR(output_of(pprint_pairs, 3),
              RULE "Time: 1970-01-01 00:00:01\n" RULE "\n" RULE "Time: 1970-01-01 00:00:02\n" RULE
                   "(1, 7)\n\n" RULE "Time: 1970-01-01 00:00:03\n" RULE "(1, 7)\n...\n\n");
}

static void print_none(LeatStream *stream) {
    leat_print_n(stream, 0);
}

TEST(no_row_is_asked_for) {
    CHECK_STR(output_of(print_none, 2),
              RULE "Time: 1000 ms\n" RULE "\n" RULE "Time: 2000 ms\n" RULE "...\n\n");
}

static int lines_of(const char *text) {
    int count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

TEST(ten_rows_when_nothing_is_said) {
    int ten = lines_of(output_of(leat_print, 11)), eleven = lines_of(output_of(leat_print, 12));
    CHECK_EQ(ten, 11 * 4 + 55);     /* 0 to 10 rows, no "..." */
    CHECK_EQ(eleven - ten, 4 + 11); /* 10 rows and "..." */
    CHECK_EQ(lines_of(output_of(leat_pprint, 12)), eleven);
}

TEST_MAIN()
