/* program.h - runs programs as a person would: with arguments, what they print in files, ended by a signal.
 *
 *     Program program = program_start((const char *const[]){"build/debug/leat", "demo", NULL}, NULL);
 *     REQUIRE(program_wait_for(&program, "Time: "));
 *     program_signal(&program, SIGTERM);
 *     CHECK_EQ(program_end(&program), 0);
 *
 * program_fork runs a function instead, in a child of this process. Whatever a test waits for may take as
 * long as it likes on a busy machine: PROGRAM_SECONDS_MAX only ends a run that hangs, and says so as a
 * failing check.
 *
 * Files  in check_tmpdir().  Threads  the test must have none of its own (fork).
 */
#ifndef LEAT_TESTS_PROGRAM_H
#define LEAT_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROGRAM_SECONDS_MAX = 120, PROGRAM_SIGNALLED = 256 };

typedef struct Program {
    pid_t pid; /* 0: it has ended and was waited for */
    int exit_code;
    char output_path[256]; /* standard output and error, in the order written */
} Program;

/* argv[0] is the path; `environment`: more variables, "NAME=value" each, NULL at the end; may be NULL. */
Program program_start(const char *const *argv, const char *const *environment);
/* The child's exit code is what `run` gives; nothing of the parent is flushed or run at its end. */
Program program_fork(int (*run)(void *user), void *user);
/* The path of an example, of the program `leat`: in the directory LEAT_BUILD, build/debug without it.
 * Borrowed until the next call. */
const char *program_built(const char *name);

/* Looks once. True: it has ended; its exit code is in exit_code. */
bool program_has_ended(Program *program);
/* Waits until it has printed `text`. False: it ended without, or hangs; what it printed is shown then. */
bool program_wait_for(Program *program, const char *text);
void program_signal(const Program *program, int signal_number); /* nothing when it has ended */
/* Waits for its end: the exit code, or PROGRAM_SIGNALLED + the signal's number. One that hangs is killed. */
int program_end(Program *program);
/* All that it has printed so far. free() it. */
char *program_output(const Program *program);
bool program_printed(const Program *program, const char *text);
/* CHECKs that it was printed, and shows what was printed instead. */
bool program_check_printed(const Program *program, const char *text);

/* A pause inside a loop that waits; nothing depends on its length. */
void program_pause_us(unsigned us);
double program_seconds(void); /* monotonic, for guards against hanging and for choosing random moments */

#endif
