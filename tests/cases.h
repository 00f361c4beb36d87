/* cases.h - DStream programs as tables: input batches, a pipeline, and what it gives in each batch.
 *
 * One harness runs every case under hostile settings: chunks of one row, a hash that is always the same, one
 * to seven workers, partitions and splits, a restart after every batch (the context is destroyed and built
 * again on the same checkpoint, with another number of workers), budgets that may be too small, and batches
 * that are cut anywhere, where the meaning does not depend on it. The answers stay the same.
 * LEAT_TEST_LONG=1 runs forty combinations of these (make hostile), else seven.
 */
#ifndef LEAT_TESTS_CASES_H
#define LEAT_TESTS_CASES_H

#include "leat/leat.h"

#include "check.h"

enum { ROWS_MAX = 16, BATCHES_MAX = 14, INPUTS_MAX = 3 };

typedef struct Batch {
    bool has_batch; /* false: Spark's null RDD, also beyond the end */
    int row_count;
    const char *rows[ROWS_MAX];
} Batch;

#define BATCH(...)                                                                                        \
    {                                                                                                     \
        .has_batch = true, .row_count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), .rows = { \
            __VA_ARGS__                                                                                   \
        }                                                                                                 \
    }
#define EMPTY \
    { .has_batch = true }
#define NONE \
    { .has_batch = false }

/* A row of one column is its text; of several their texts between ','. BIGINT, DOUBLE, BOOLEAN or STRING;
 * "NULL" is null. */
typedef struct Feed {
    const char *schema; /* NULL: no such input */
    Batch batches[BATCHES_MAX];
} Feed;

typedef enum CutMeaning {
    CUT_MATTERS,    /* batches are part of the answer */
    CUT_KEEPS_ROWS, /* all rows of all batches together are the same */
    CUT_KEEPS_LAST, /* what the last batch gives is the same */
} CutMeaning;

typedef struct Case {
    const char *name;
    Feed feeds[INPUTS_MAX];
    int batch_count;
    LeatStream *(*build)(LeatStream *const *inputs);
    LeatStream *(*build_in)(LeatContext *ctx, LeatStream *const *inputs); /* in its place */
    const char *expected[BATCHES_MAX]; /* lines, sorted where is_set; NULL: no batch */
    bool is_set;                       /* order is not part of the answer */
    bool has_state;                    /* needs a checkpoint directory */
    CutMeaning cut;
} Case;

/* Runs the case under all settings. */
void run_hostile(const Case *c);

/* ---- pieces, for tests that are no tables ---- */

/* For leat_function_stream over a Feed, with batches at 1, 2, ... seconds. */
bool feed_rows(int64_t batch_time_ms, LeatOut *out, void *user);
/* leat_set with a number; 0: the default stays. */
void number_option(LeatContext *ctx, const char *name, int value);
/* A copy, to be freed; the lines in order where it is a set. */
char *normal_form(const char *text, bool is_set);

#endif
