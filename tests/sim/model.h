/* model.h - what the job must have given: an independent computation over what the taps of its sources have
 * shown, and the rules that the taps themselves must keep.
 *
 *   O1  Every output of every batch has the rows that the model computes from the batches up to it: so state
 *       has taken in every row once.
 *   O2  Every output was given every batch time on the grid, from the first to the last, at least once; a
 *       batch that is given again has the same rows in the same order. (A batch without any input may be
 *       given again with what has come since, after a power cut.)
 *       An output that a life has given a batch is not given it again, when that life ended by itself and no
 *       power cut came between.
 *   O3  Of a connection there are lines 0, 1, ... without a hole, whole but perhaps the last one; a file is in
 *       one batch, whole; a batch of a function stream has the rows that one of its calls gave.
 *   O4  The number of workers changes from life to life, and nothing of the above with it.
 *   O5  What came in equals what came out: by O1, O2 and O3 together, and every durable file has come out.
 */
#ifndef LEAT_TESTS_SIM_MODEL_H
#define LEAT_TESTS_SIM_MODEL_H

#include "sim/job.h"
#include "sim/ledger.h"

typedef struct ModelFinding {
    bool is_wrong;
    int64_t batch_ms; /* of the first difference; 0: it has none */
    Text text;        /* what it is */
} ModelFinding;

typedef struct ModelCounts {
    uint64_t batches, outputs_compared, rows_compared, repeats;
} ModelCounts;

/* How life n, from 1, ended. */
typedef struct Ending {
    bool is_well;      /* by itself: what its outputs had been given is written down */
    bool is_power_cut; /* the power was cut behind it */
} Ending;

/* Looks at everything in the ledger after the last life. The caller owns finding->text. */
void model_check(const Job *job, const Ledger *ledger, const Ending *endings, ModelFinding *finding,
                 ModelCounts *counts);

#endif
