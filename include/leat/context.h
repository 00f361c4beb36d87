/* leat/context.h - the streaming context: how a program is built, when it runs, how it ends.
 *
 * A context (Spark's StreamingContext) is built of streams and outputs, started once and stopped once; it
 * cannot be started again.
 *
 *   - The calls that build never fail visibly. The first mistake sticks to the context; leat_start reports it
 *     with the call that made it. Calls that take a stream accept the NULL that a failed call gave, so a
 *     program checks nothing until the start. A context is never NULL.
 *   - Batch times are multiples of the interval on the wall clock, and strictly ascend. A batch holds what
 *     arrived in the interval before its time. No time is skipped: a batch that takes longer than the
 *     interval delays the next ones (Spark's rule), and with a checkpoint the times that passed while the
 *     program was down are run first.
 *   - One context runs in a process at a time (Spark's rule, too).
 *   - Texts are zero-terminated, and copied where they are kept. Times and durations are whole milliseconds.
 *
 * Threads  A context is built, started and destroyed by one thread. Any may call leat_stop,
 *          leat_context_state and leat_error, outputs and functions of the user included, and any other wait
 *          for the end.
 */
#ifndef LEAT_CONTEXT_H
#define LEAT_CONTEXT_H

#include "leat/function.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LeatContext LeatContext;
typedef struct LeatStream LeatStream; /* leat/stream.h */

typedef struct LeatDuration {
    int64_t ms;
} LeatDuration;

/* (No compound literals in this file: ISO C++ has none.) */
static inline LeatDuration leat_milliseconds(int64_t n) {
    LeatDuration duration;
    duration.ms = n;
    return duration;
}
static inline LeatDuration leat_seconds(int64_t n) {
    return leat_milliseconds(n * 1000);
}
static inline LeatDuration leat_minutes(int64_t n) {
    return leat_milliseconds(n * 60000);
}

/* What a program ends with: the numbers of sysexits.h, and those of a shell for a signal. */
enum {
    LEAT_EXIT_OK = 0,
    LEAT_EXIT_USAGE = 64,         /* wrong arguments: for programs, Leat itself does not give it */
    LEAT_EXIT_DATA = 65,          /* stored data is damaged */
    LEAT_EXIT_UNAVAILABLE = 69,   /* something that the program needs is not there */
    LEAT_EXIT_SOFTWARE = 70,      /* an output or a function failed */
    LEAT_EXIT_OS = 71,            /* no memory, or a memory limit was reached */
    LEAT_EXIT_CANNOT_CREATE = 73, /* something is in the way of what was to be created */
    LEAT_EXIT_IO = 74,            /* the disk refused */
    LEAT_EXIT_TEMPORARY = 75,     /* another process owns the checkpoint */
    LEAT_EXIT_CONFIG = 78,        /* the program or an option is wrong; a checkpoint of another program */
    LEAT_EXIT_INTERRUPTED = 130,  /* stopped gracefully by SIGINT; after SIGTERM it is LEAT_EXIT_OK */
};

/* A new context; the caller owns it: leat_context_destroy(). Never NULL. `name` stands in messages and in the
 * checkpoint, which is refused to a program of another name. A mistake: no name, an interval below 1 ms. */
LEAT_API LeatContext *leat_context_create(const char *name, LeatDuration interval);

/* The context of a program that goes on where it was: calls `build`, which makes the context and its streams,
 * and sets the checkpoint directory. Gives what `build` gave.
 *
 * Spark's getOrCreate calls the builder only when there is no checkpoint. C cannot load functions from one,
 * so here it is called in every case, and leat_start compares the program with what the directory holds: one
 * whose stateful operations and sources are the same goes on with their state, whatever else has changed;
 * another is refused, with the name of the operator that differs. */
LEAT_API LeatContext *leat_get_or_create(const char *checkpoint_directory, LeatContext *(*build)(void *user),
                                         void *user);

/* Stops it, not gracefully, if it runs, and frees it with everything that came from it. NULL is allowed. */
LEAT_API void leat_context_destroy(LeatContext *context);

/* ---- before the start ---- */

/* Where state, logs and snapshots are kept; made when it is missing, if its parent is there. Without a
 * directory (NULL, the default) nothing survives the process, and leat_start refuses stateful operations, as
 * Spark does. One process owns a directory: LEAT_EXIT_TEMPORARY for a second one. */
LEAT_API void leat_checkpoint(LeatContext *context, const char *directory);

/* How many threads run a batch, at least 1; default: the processors that the process may use. It may be
 * another number at every start, and results do not depend on it. */
LEAT_API void leat_workers(LeatContext *context, int count);

/* Sets an option. A mistake: an unknown name (the nearest one is suggested), a value that does not fit.
 * Sizes are "64MiB", "10GB", "4096".
 *
 *   option                   default   meaning
 *   memory                             for chunks, state and buffers together; the default is half of what
 *                                      the machine has, or its control group if that is less
 *   max-line                 16MiB     a longer line of a text source is left out and reported
 *   receiver-restart-delay   2000      milliseconds between attempts to connect
 *   partitions               8         of keyed state and results, 1 to 256; a checkpoint keeps the number of
 *                                      its first start
 *   pending-batches-max      1000      batches with a failed output that may wait before the program stops
 *   snapshot-log                       the whole state is saved, a part at a time between batches, while the
 *                                      batch log grows by this much, which is also how long the log becomes;
 *                                      the default is 64MiB, or what the state takes if that is more
 *   status                   false     true: one line per batch on standard error: time, records, delays
 */
LEAT_API void leat_set(LeatContext *context, const char *option, const char *value);

/* Ends by itself after so many batches, at least 1. */
LEAT_API void leat_stop_after_batches(LeatContext *context, int64_t count);

/* SIGINT and SIGTERM stop the context gracefully; a second one ends the process at once. */
LEAT_API void leat_stop_on_signals(LeatContext *context);

/* ---- running ---- */

/* Starts, and returns while the batches run on a thread of their own. LEAT_EXIT_OK, or the exit code of the
 * first error, whose text leat_error has; the context is then stopped. Refused: mistakes of the building
 * calls, no output, a context that was stopped, another one that runs in this process, a checkpoint that is
 * not this program's. Called again while it runs it does nothing but warn, as in Spark. */
LEAT_API int leat_start(LeatContext *context);

typedef struct LeatStop {
    bool graceful; /* sources stop first, everything they have taken in is processed, then it ends */
} LeatStop;
/* Stops and waits for the end. May be called in any state, any number of times; the context is always stopped
 * afterwards. Not graceful: the running batch ends; what else was received stays in the checkpoint for the
 * next start, or is lost without one. Called from an output it does not wait: that batch ends first. */
LEAT_API void leat_stop(LeatContext *context, LeatStop how);

/* Waits until the context has stopped or an output has failed (the context goes on then). Prints the first
 * error on standard error, with the call that caused it. Gives the exit code of the program. */
LEAT_API int leat_await_termination(LeatContext *context);
/* As above, for at most `timeout`. False: it still runs. *exit_code is set when true; it may be NULL. */
LEAT_API bool leat_await_termination_or_timeout(LeatContext *context, LeatDuration timeout, int *exit_code);

typedef enum LeatState { LEAT_INITIALIZED, LEAT_ACTIVE, LEAT_STOPPED } LeatState;
LEAT_API LeatState leat_context_state(LeatContext *context);
/* The text of the first error, "" when there is none. Borrowed until the context is destroyed. */
LEAT_API const char *leat_error(LeatContext *context);

/* ---- testing a program ---- */

/* Before the start: time stands at 0 and moves only by leat_advance; batches come at interval, 2 * interval
 * and so on. No test needs to sleep. */
LEAT_API void leat_context_set_manual_clock(LeatContext *context);
/* Moves the clock on by `ms` and returns when every batch due by then has ended. */
LEAT_API void leat_advance(LeatContext *context, int64_t ms);

LEAT_API const char *leat_version(void); /* "0.1.0"; static */

#ifdef __cplusplus
}
#endif

#endif
