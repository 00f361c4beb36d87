/* leat/context.h - the streaming context: what is built, when it runs, how it ends.
 *
 * A context is built (streams and outputs), started once, and stopped once; it cannot be started again. The calls that
 * build never fail visibly: the first mistake sticks to the context and is reported, with the call that made it, by
 * leat_start; calls that take a stream accept the NULL that a failed call gave.
 *
 * Batch times are multiples of the interval on the wall clock; a batch holds what arrived in the interval before its time.
 * They never skip: a batch that takes longer than the interval delays the next ones (Spark's rule).
 *
 * Threads  a context is built by one thread; leat_stop, leat_context_state may be called from any, also from outputs.
 */
#ifndef LEAT_CONTEXT_H
#define LEAT_CONTEXT_H

#include "leat/function.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LeatContext LeatContext;
typedef struct LeatStream LeatStream;

typedef struct LeatDuration {
    int64_t ms;
} LeatDuration;

static inline LeatDuration leat_milliseconds(int64_t n) {
    return (LeatDuration){n};
}
static inline LeatDuration leat_seconds(int64_t n) {
    return (LeatDuration){n * 1000};
}
static inline LeatDuration leat_minutes(int64_t n) {
    return (LeatDuration){n * 60000};
}

/* What a program ends with (sysexits.h). */
enum {
    LEAT_EXIT_OK = 0,
    LEAT_EXIT_USAGE = 64,       /* wrong arguments */
    LEAT_EXIT_DATA = 65,        /* stored data is damaged */
    LEAT_EXIT_UNAVAILABLE = 69, /* something it needs is not there */
    LEAT_EXIT_SOFTWARE = 70,    /* an output or a function failed */
    LEAT_EXIT_OS = 71,          /* no memory, no threads */
    LEAT_EXIT_CANNOT_CREATE = 73,
    LEAT_EXIT_IO = 74,           /* the disk refused */
    LEAT_EXIT_TEMPORARY = 75,    /* another process owns the checkpoint */
    LEAT_EXIT_CONFIG = 78,       /* the program or its options are wrong; a checkpoint of another program */
    LEAT_EXIT_INTERRUPTED = 130, /* stopped gracefully by SIGINT; after SIGTERM it is LEAT_EXIT_OK */
};

/* `name` names the program in messages and in its checkpoint. interval >= 1 ms. Never NULL. */
LEAT_API LeatContext *leat_context_create(const char *name, LeatDuration interval);

/* The context of a program that goes on where it was: calls `build`, which makes the context and its streams, and sets the
 * checkpoint directory. Unlike Spark's getOrCreate, `build` is called in every case (C cannot load functions from a
 * checkpoint); at start the graph is matched with what the directory holds, and a difference that matters is refused by
 * name. A changed program whose stateful operators are the same goes on with their state. */
LEAT_API LeatContext *leat_get_or_create(const char *checkpoint_directory, LeatContext *(*build)(void *user),
                                         void *user);

/* Stops it if need be, and frees everything that came from it. NULL is allowed. */
LEAT_API void leat_context_destroy(LeatContext *context);

/* ---- before the start ---- */
/* Where state, logs and snapshots are kept; created when missing. Without one nothing survives the process, and stateful
 * operations are refused at start (as in Spark). One process owns a directory. */
LEAT_API void leat_checkpoint(LeatContext *context, const char *directory);
/* How many threads run a batch; default: the processors of the machine. May differ at every start. */
LEAT_API void leat_workers(LeatContext *context, int count);
/* An option by name; an unknown name or a bad value is reported by leat_start. Options:
 *   memory                    "512MiB"   for chunks, state and buffers; default half of what the machine or its control group has
 *   max-line                  "16MiB"    a longer line of a text source is left out and reported
 *   receiver-restart-delay    "2000"     ms between attempts to connect
 *   partitions                "8"        of keyed state and results; kept by the checkpoint from the first start on
 *   pending-batches-max       "1000"     batches with a failed output that may wait before the program stops
 *   snapshot-log              "64MiB"    a snapshot is taken when the batch log has grown by this much
 *   status                    "false"    one line per batch on standard error: time, records, delays
 */
LEAT_API void leat_set(LeatContext *context, const char *option, const char *value);
/* Ends by itself after so many batches. */
LEAT_API void leat_stop_after_batches(LeatContext *context, int64_t count);
/* SIGINT and SIGTERM stop gracefully; a second one ends the process at once. */
LEAT_API void leat_stop_on_signals(LeatContext *context);

/* ---- running ---- */
/* LEAT_EXIT_OK, or the exit code of the first error (leat_error has its text); the context is then stopped. Refused: no
 * output, a second start, a context that runs in this process already, mistakes of the building calls. */
LEAT_API int leat_start(LeatContext *context);

typedef struct LeatStop {
    bool graceful; /* receivers stop first, everything they have taken in is processed, then it ends */
} LeatStop;
/* In any state, any number of times; always ends stopped. Not graceful: the running batch ends, the rest stays in the log
 * (or is lost without one). Called from an output it only asks; the batch ends first. */
LEAT_API void leat_stop(LeatContext *context, LeatStop how);

/* Waits until the context is stopped or an output has failed. Prints the first error on standard error, with the call that
 * caused it; returns the exit code. */
LEAT_API int leat_await_termination(LeatContext *context);
/* As above for at most `timeout`; false: it was still running. *exit_code may be NULL. */
LEAT_API bool leat_await_termination_or_timeout(LeatContext *context, LeatDuration timeout, int *exit_code);

typedef enum LeatState { LEAT_INITIALIZED, LEAT_ACTIVE, LEAT_STOPPED } LeatState;
LEAT_API LeatState leat_context_state(LeatContext *context);
/* The first error's text, "" when there is none. Borrowed until the context is destroyed. */
LEAT_API const char *leat_error(LeatContext *context);

/* ---- testing a program ---- */
/* Time stands at 0 and moves only by leat_advance: batches come at interval, 2 * interval, ... Before the start. */
LEAT_API void leat_context_set_manual_clock(LeatContext *context);
/* Moves the clock and returns when every batch due by then has ended. */
LEAT_API void leat_advance(LeatContext *context, int64_t ms);

LEAT_API const char *leat_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
