/* Surroundings that a program does not choose: standard streams that are closed, few descriptors, a pause in
 * the middle, signals at any moment. What was counted before stays, and what a start could not do the next
 * one does. */
#include "leat/leat.h"

#include "base/random.h"
#include "check.h"
#include "program.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Place {
    char texts[300], checkpoint[300];
    int file_count;
} Place;

/* One more file with the word "one" appears. */
static void add_word(Place *place) {
    char from[400], to[400];
    snprintf(from, sizeof from, "%s/new", check_tmpdir());
    snprintf(to, sizeof to, "%s/%d", place->texts, place->file_count++);
    FILE *file = fopen(from, "w");
    REQUIRE(file && fputs("one\n", file) >= 0 && fclose(file) == 0 && rename(from, to) == 0);
}

/* file_wordcount with a shell's words around it. `before`: what the shell does first. */
static Program start(const Place *place, const char *before, const char *behind) {
    char command[1500];
    snprintf(command, sizeof command, "%s exec %s %s %s --interval 10 %s", before,
             program_built("examples/file_wordcount"), place->texts, place->checkpoint, behind);
    return program_start((const char *const[]){"/bin/sh", "-c", command, NULL},
                         (const char *const[]){"ASAN_OPTIONS=detect_leaks=0", NULL});
}

/* With a checkpoint: files that appear from now on are counted. */
static Place place_create(void) {
    static int count;
    Place place = {.file_count = 0};
    snprintf(place.texts, sizeof place.texts, "%s/texts-%d", check_tmpdir(), count);
    snprintf(place.checkpoint, sizeof place.checkpoint, "%s/checkpoint-%d", check_tmpdir(), count++);
    REQUIRE(mkdir(place.texts, 0700) == 0);
    Program program = start(&place, "", "--batches 1");
    REQUIRE(program_end(&program) == 0);
    return place;
}

static bool count_is(const Place *place, int count) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"key\":\"one\",\"value\":%d}", count);
    Program dump = program_start((const char *const[]){program_built("leat"), "state", "dump",
                                                       place->checkpoint, "--format", "json", NULL},
                                 NULL);
    bool is_read = CHECK_EQ(program_end(&dump), 0);
    return program_check_printed(&dump, wanted) && is_read;
}

static void wait_for_count(const Place *place, Program *program, int count) {
    (void)place;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "('one', %d)", count);
    REQUIRE(program_wait_for(program, wanted));
}

TEST(closed_standard_streams_do_not_become_files) {
    static const char *const closed[] = {"<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        Place place = place_create();
        add_word(&place);
        char behind[100];
        snprintf(behind, sizeof behind, "--batches 5 %s", closed[i]);
        Program program = start(&place, "", behind);
        int code = program_end(&program);
        bool can_print = !strstr(closed[i], ">&-") || strcmp(closed[i], "2>&-") == 0 || i == 3;
        if (!CHECK_EQ(code, can_print ? LEAT_EXIT_OK : LEAT_EXIT_IO))
            printf("    %s\n", closed[i]);
        Program verify = program_start(
            (const char *const[]){program_built("leat"), "checkpoint", "verify", place.checkpoint, NULL},
            NULL);
        CHECK_EQ(program_end(&verify), 0);
        program = start(&place, "", "");
        wait_for_count(&place, &program, 1);
        program_signal(&program, SIGTERM);
        CHECK_EQ(program_end(&program), 0);
        count_is(&place, 1);
    }
}

TEST(with_few_descriptors_a_start_says_so_and_spoils_nothing) {
    Place place = place_create();
    int refused = 0, counted = 0;
    for (int limit = 4; limit < 24; limit++) {
        char before[40];
        snprintf(before, sizeof before, "ulimit -n %d;", limit);
        Program program = start(&place, before, "--batches 3");
        int code = program_end(&program);
        char *text = program_output(&program);
        if (code != 0 && strstr(text, "Too many open files"))
            CHECK_EQ(code, LEAT_EXIT_IO);
        else if (code != 127 && code != 0) /* the loader had too few */
            CHECK(program_check_printed(&program, "Too many open files"));
        refused += code != 0;
        free(text);
        add_word(&place);
        if (limit % 4)
            continue;
        program = start(&place, "", "");
        counted = place.file_count;
        wait_for_count(&place, &program, counted);
        program_signal(&program, SIGTERM);
        CHECK_EQ(program_end(&program), 0);
        count_is(&place, counted);
    }
    CHECK(refused > 0 && counted > 0);
}

TEST(a_pause_in_the_middle_leaves_out_no_batch) {
    Place place = place_create();
    Program program = start(&place, "", "--batches 300");
    REQUIRE(program_wait_for(&program, "Time: "));
    program_signal(&program, SIGSTOP);
    add_word(&place);
    program_pause_us(300000);
    program_signal(&program, SIGCONT);
    wait_for_count(&place, &program, 1);
    CHECK_EQ(program_end(&program), 0);
    char *text = program_output(&program);
    int batches = 0;
    for (const char *at = text; (at = strstr(at, "Time: ")); at++)
        batches++;
    CHECK_EQ(batches, 300);
    free(text);
}

/* One sets the word's count; nobody cleans up. */
TEST(a_signal_at_any_moment_is_an_orderly_end) {
    Random random;
    random_init(&random, check_seed());
    Place place = place_create();
    int orderly = 0;
    for (int i = 0; i < 25; i++) {
        Program program = start(&place, "", "");
        add_word(&place);
        if (random_below(&random, 2))
            REQUIRE(program_wait_for(&program, "Time: "));
        program_pause_us((unsigned)random_below(&random, 30000));
        program_signal(&program, random_below(&random, 2) ? SIGTERM : SIGINT);
        int code = program_end(&program);
        /* Before there was a handler the signal does what it does. */
        bool is_orderly = code == 0 || code == LEAT_EXIT_INTERRUPTED;
        CHECK(is_orderly || code == PROGRAM_SIGNALLED + SIGTERM || code == PROGRAM_SIGNALLED + SIGINT);
        orderly += is_orderly;
    }
    Program program = start(&place, "", "");
    wait_for_count(&place, &program, place.file_count);
    program_signal(&program, SIGTERM);
    CHECK_EQ(program_end(&program), 0);
    count_is(&place, place.file_count);
    printf("%d of 25 signals came to a program that ran\n", orderly);
}

TEST(a_hangup_that_is_ignored_stays_ignored) {
    Place place = place_create();
    add_word(&place);
    Program program = start(&place, "trap '' HUP;", "");
    REQUIRE(program_wait_for(&program, "Time: "));
    for (int i = 0; i < 200; i++)
        program_signal(&program, SIGHUP);
    add_word(&place);
    wait_for_count(&place, &program, 2);
    program_signal(&program, SIGTERM);
    CHECK_EQ(program_end(&program), 0);
}

TEST(without_a_home_the_demo_finds_a_place) {
    char directory[300];
    snprintf(directory, sizeof directory, "%s/no-home", check_tmpdir());
    REQUIRE(mkdir(directory, 0700) == 0);
    char command[1000], path[600];
    REQUIRE(realpath(program_built("leat"), path));
    snprintf(command, sizeof command,
             "cd %s && unset HOME XDG_STATE_HOME && exec %s demo --batches 2 </dev/null", directory, path);
    Program program = program_start((const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
    CHECK_EQ(program_end(&program), 0);
    program_check_printed(&program, "Time: ");
}

TEST_MAIN()
