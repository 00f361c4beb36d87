/* killer.h - kills programs at random moments (SIGKILL), for tests of what they leave behind.
 *
 * A victim is a child process that runs a DStream program over a checkpoint directory; it is killed and
 * started again with another number of workers, while the test gives it input. The moment of a kill is drawn
 * in one of five ways: soon after the start (the checkpoint is made, or recovered); soon after the sources
 * started; some moment within one of the next batches; in an output, before its COMMIT; any time. No answer
 * depends on how long anything takes.
 */
#ifndef LEAT_TESTS_KILLER_H
#define LEAT_TESTS_KILLER_H

#include "leat/leat.h"

#include "base/random.h"
#include "check.h"
#include "program.h"

#include <stdatomic.h>

enum { KILL_INTERVAL_MS = 10, KILL_CONNECTION_MAX = 20000 };

/* KILLS=n: so many; LEAT_TEST_LONG=1: many; else few. */
uint32_t kill_count(uint32_t few, uint32_t many);

/* What victims tell, in a page shared with them. */
typedef struct Progress {
    _Atomic bool is_started;                    /* leat_start has returned */
    _Atomic uint32_t output_count;              /* of batches given to the output by the victim that runs */
    _Atomic uint32_t ends_at;                   /* the victim kills itself in this output; 0: in none */
    _Atomic int64_t total;                      /* for the test: e.g. what the last output has counted */
    _Atomic uint64_t seen[KILL_CONNECTION_MAX]; /* for the test: bit n: an output has seen line n */
} Progress;

typedef struct Killer {
    Random random;
    Progress *progress;
    int (*victim)(void *user);
    void *user;
    void (*feed)(void *user); /* called all the while: gives input */
    uint32_t workers;         /* of the next victim */
    uint32_t before_outputs;  /* kills that came before the first output of their victim, */
    uint32_t before_started;  /* before it had read its checkpoint */
    uint64_t outputs;         /* seen by the victims that were killed */
} Killer;

void killer_init(Killer *killer, int (*victim)(void *user), void (*feed)(void *user), void *user);
void killer_deinit(Killer *killer);
/* Starts a victim and kills it. False: it ended by itself. */
bool kill_one(Killer *killer);
/* Runs a victim until `is_done`, and ends it gracefully. */
bool run_until(Killer *killer, bool (*is_done)(void *user));

/* ---- in a victim ---- */

/* A context with the interval above, snapshots every few batches, and the next number of workers. */
LeatContext *victim_context(const Killer *killer, const char *name, const char *checkpoint);
/* Starts it, tells so, and gives its exit code. */
int victim_run(const Killer *killer, LeatContext *context);
/* An output has done its work. */
void victim_end_output(const Killer *killer);

/* ---- words in files ---- */

enum { WORD_COUNT_MAX = 300 };

/* Files of words, word-0 to word-(n-1), that are renamed into a directory now and then. */
typedef struct WordFiles {
    Random *random;
    uint32_t word_count, files_max, file_count, file_words_max;
    char texts[300], elsewhere[300];
    int64_t expected[WORD_COUNT_MAX], total; /* what was written so far */
} WordFiles;

/* Makes the directories under `root`. */
void word_files_init(WordFiles *files, const char *root, Random *random);
/* Perhaps one more file. */
void word_files_feed(WordFiles *files);
/* The stream of their words. */
LeatStream *word_files_stream(const WordFiles *files, LeatContext *context);

#endif
