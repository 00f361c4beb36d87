/* driver_parts.h - what the files behind driver.h share: the driver's own state, and the steps of a batch
 * that recovery takes too.
 *
 *     driver.c     opens everything, the thread, the steps S1 to S9 of a batch
 *     recovery.c   what a start reads before the first new batch
 *     rolling.c    S10: snapshots
 *
 * Threads  the driver's own, or the one that creates it while there is none; what other threads may touch is
 *          marked.
 */
#ifndef LEAT_STREAM_DRIVER_PARTS_H
#define LEAT_STREAM_DRIVER_PARTS_H

#include "base/map.h"
#include "exec/engine.h"
#include "stream/batch_log.h"
#include "stream/checkpoint.h"
#include "stream/driver.h"

#include <stdatomic.h>

enum { US_PER_MS = 1000 };

/* A batch whose outputs have not all landed. */
typedef struct PendingBatch {
    uint64_t batch_id;
    bool has_commit;         /* some output has ended: `failed` tells which have not landed; else none has */
    Map failed;              /* output ids */
    uint64_t oldest_segment; /* of the block log that it needs; UINT64_MAX: none */
    struct PendingBatch *next;
} PendingBatch;

struct Driver {
    DriverOptions options;
    Env *env;
    Plan *plan;
    Budget budget_total, budget_state, budget_kept, budget_in_flight, budget_receivers;

    Checkpoint *checkpoint; /* NULL: without, as are the two logs */
    BatchLog *log;
    BlockLog *block_log;
    struct Rolling *rolling; /* NULL: without a checkpoint */
    Poller *poller;
    Engine *engine;

    SourceServices services;
    PlanNode **source_nodes;
    EngineInput *inputs; /* per source */
    Text *plans;         /* per source: what it planned for the batch being run */
    uint32_t source_count, sources_opened;
    PlanNode **output_nodes;
    uint32_t output_count, outputs_opened;

    int64_t zero_time_ms, first_now_ms; /* the second: the clock at the first start */
    uint64_t last_batch_id;             /* planned, in this run or an earlier one */
    bool owes_sync;                     /* the COMMIT of a batch with input is written but not synced */
    int64_t owes_sync_since_ms;         /* the time of that batch */
    uint64_t run_count;                 /* batches run by this process */
    PendingBatch *pending;              /* ascending ids */
    uint64_t pending_count;
    Text payload, delta; /* scratch of one batch */

    /* Shared with other threads, under the mutex. */
    EnvMutex *mutex;
    EnvCond *changed;
    EnvThread *thread;
    bool is_started, has_ended, is_waiting, stop_asked, stop_is_graceful;
    _Atomic int64_t manual_now_us;
    Status failure; /* the first */
    Error failure_error;
};
static inline Source *source_of(const PlanNode *node) {
    return node->source;
}

/* The grid: batch 0 would be at zero time. */
static inline int64_t driver_batch_time_ms(const Driver *driver, uint64_t batch_id) {
    return driver->zero_time_ms + (int64_t)batch_id * driver->options.interval_ms;
}

/* ---- pending batches ---- */
PendingBatch *driver_pending_find(const Driver *driver, uint64_t batch_id); /* NULL: it is none */
PendingBatch *driver_pending_add(Driver *driver, uint64_t batch_id);        /* has no commit */
void driver_pending_remove(Driver *driver, PendingBatch *pending);

/* ---- steps of a batch ---- */

/* S2, of source `i`: inputs[i].splits as `plan` says; none when inputs[i] has no batch. */
CHECKED Status driver_read_source(Driver *driver, uint32_t i, int64_t time_ms, Str plan, Error *err);

/* S5, of a batch whose PLAN has been appended. The COMMIT of a batch with input is made durable by the next
 * such batch, or by the first one that has nothing of its own to sync when COMMIT_SYNC_DELAY_MS have passed:
 * with short intervals the next line would else find the driver in a sync that nobody waits for. */
CHECKED Status driver_log_batch(Driver *driver, uint64_t batch_id, Error *err);
/* Blocks first: a PLAN on disk vouches for the blocks it names. */
CHECKED Status driver_sync_logs(Driver *driver, Error *err);

/* S6, S7, and the COMMIT's payload in driver->payload. `pending` tells which outputs of a batch that is run
 * again have landed, or is NULL; a batch with a failed output is in the list of pending ones afterwards, one
 * without is not. */
void driver_run_outputs(Driver *driver, uint64_t batch_id, PendingBatch *pending);

/* S9. A pending batch is not asked for again by this process: its memory goes, its blocks in the log stay. */
void driver_tell_sources(Driver *driver, uint64_t batch_id);
/* The oldest block-log segment that a source still needs; UINT64_MAX: none. */
uint64_t driver_oldest_segment(const Driver *driver);

/* S5 to S10 of a batch that the engine has run. `pending`: it was planned, and perhaps committed in
 * part, by an earlier process; NULL for a new one. */
CHECKED Status driver_finish_batch(Driver *driver, uint64_t batch_id, PendingBatch *pending, Error *err);

#endif
