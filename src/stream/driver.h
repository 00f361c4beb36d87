/* driver.h - the micro-batch driver: decides when a batch is, what is in it, runs it, and makes it count
 * exactly once.
 *
 * One thread. For each batch time of the grid (zero time + n * interval): S1 plan, S2-S4 run, S5 DELTA and
 * the one sync, S6-S7 outputs, S8 COMMIT, S9 tell the sources, S10 now and then a snapshot. The order of
 * calls is at the top of driver.c; the frames are in frames.h.
 *
 *   M1  Batch times are on the grid and strictly ascend, over restarts too; times that passed while the
 *       program was down are run in order after a restart (Spark's rule), and a batch that takes long delays
 *       the next ones: none is skipped.
 *   M2  No output of a batch runs before its PLAN and DELTA are durable (where there is a checkpoint).
 *   M3  A batch whose COMMIT is in the log is never run again; one whose COMMIT is missing, or says that an
 *       output failed, is run again with its planned ranges, and only the outputs that had not ended well are
 *       given it.
 *   M4  A batch that changes nothing - no input that must be logged, no state changed - is not synced.
 *   M5  A failed output leaves its batch pending and the driver going; a failed run, log or source stops the
 *       driver.
 *
 * Threads  create, start, destroy: the owner. stop, wait, failure: any. advance: the owner, with the manual
 *          clock.
 */
#ifndef LEAT_STREAM_DRIVER_H
#define LEAT_STREAM_DRIVER_H

#include "plan/plan.h"
#include "stream/output.h"
#include "stream/source.h"

typedef struct Driver Driver;

typedef struct DriverOptions {
    Env *env;
    const char *program; /* the context's name */
    int64_t interval_ms;
    const char *checkpoint_directory; /* NULL: nothing survives; a plan with state is then refused */
    uint32_t worker_count;            /* 0: the processors of the machine */
    uint32_t partition_count;         /* 0: 8; a checkpoint keeps the number of its first start */
    uint64_t memory_bytes;            /* 0: half of what the machine has */
    uint64_t line_size_bytes_max;     /* 0: 16 MiB */
    int64_t restart_delay_ms;         /* of receivers; negative: 2000 */
    uint64_t pending_batch_count_max; /* 0: 1000 */
    /* The log grows by so much while the whole state is saved (rolling.h). 0: 64 MiB, or as much as the state
     * takes if that is more. */
    uint64_t snapshot_log_bytes;
    uint64_t batch_count_max; /* ends by itself after so many batches; 0: never */
    bool has_status_lines;    /* one line per batch on standard error */
    bool is_manual_clock;     /* time stands at 0 until driver_advance */
    /* For hostile runs (engine.h, source.h, batch_log.h); 0 in production. */
    uint64_t log_segment_size_bytes;
    uint32_t chunk_rows_max, split_count;
    bool constant_hash;
    bool snapshot_waits; /* a batch waits for sections to be written: the same calls in the same order */
} DriverOptions;

/* Opens the checkpoint, compares it with the plan, restores the state, opens the sources; nothing runs yet.
 * `plan` is finished and outlives the driver; its sources and outputs stay the plan owner's. The caller owns
 * *out. INVALID (a mistake of the program, a checkpoint of another one), UNAVAILABLE (another process owns
 * it), CORRUPT, IO. */
CHECKED Status driver_create(Plan *plan, DriverOptions options, Driver **out, Error *err);
/* Starts the sources and the driver's thread; batches that were pending are run first. */
CHECKED Status driver_start(Driver *driver, Error *err);
/* Asks the driver to end; does not wait. Graceful: sources stop taking in, everything they hold is processed.
 * A graceful stop can be followed by one that is not. */
void driver_stop(Driver *driver, bool is_graceful);
/* Waits for the driver's thread to end, or for an output to fail, until monotonic deadline_us. True: it has,
 * and *status and *err (may be NULL) tell how: OK or the first error. */
bool driver_wait(Driver *driver, int64_t deadline_us, Status *status, Error *err);
/* Waits for the driver's thread to end, whatever has failed meanwhile. Not from its own thread. */
void driver_join(Driver *driver);
bool driver_is_running(Driver *driver); /* started and its thread has not ended */
bool driver_is_own_thread(Driver *driver);
/* Moves the manual clock and returns when every batch due by then has ended (or the driver has). */
void driver_advance(Driver *driver, int64_t ms);
/* Stops without grace if it runs, and closes everything. NULL is allowed. */
void driver_destroy(Driver *driver);

#endif
