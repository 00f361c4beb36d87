/* context.h - the inside of a streaming context, for the calls that build one and for connectors.
 *
 * A context collects a plan and, on its side, who owns what the plan only points to: streams, sources,
 * outputs.
 *
 *   C1  The first mistake of a building call is kept and nothing after it changes it (`error`, set under
 *       `mutex`). Its message begins with the name of the call.
 *   C2  The plan grows only in INITIALIZED; a building call later is a mistake.
 *   C3  `driver` is set once, by leat_start, and lives until leat_context_destroy.
 *   C4  Every source, transform and output that was handed over is destroyed with the context, also those that
 *       the plan drops because no output needs them.
 *
 *       INITIALIZED --leat_start--> ACTIVE --leat_stop, its own end, an error--> STOPPED
 *            |                                                                     ^
 *            +------------------------leat_stop, a failed leat_start---------------+
 *
 * Threads  building and leat_context_destroy: the owner. The rest: any; `mutex` guards `is_started`,
 *          `is_stopped`, `driver`, `stop_signal`, `error` and `exit_code`.
 */
#ifndef LEAT_DSTREAM_CONTEXT_H
#define LEAT_DSTREAM_CONTEXT_H

#include "leat/leat.h"
#include "exec/transform.h"
#include "stream/driver.h"

struct LeatStream {
    LeatContext *context;
    PlanNode *node;
    const Schema *schema; /* the node's, with the key of this stream (leat_key) */
};

struct LeatContext {
    Env *env;
    struct BatchContext
        *batches; /* batch_context.h: this is the context of what a function builds on a batch */
    Plan *plan;
    DriverOptions options;
    bool wants_signals; /* leat_stop_on_signals */
    bool has_signals;   /* and env calls back */

    Source **sources; /* C4 */
    size_t source_count;
    Output **outputs;
    size_t output_count;
    Transform **transforms;
    size_t transform_count;
    struct ConstantRows *constant_rows; /* batch_context.h; the driver's thread, while there is one */

    EnvMutex *mutex;
    bool is_started, is_stopped;
    int stop_signal; /* the number of the signal that stopped it, or 0 */
    Driver *driver;
    Error error;              /* C1; status OK: none */
    int exit_code;            /* of `error` */
    LeatContext *next_living; /* in the list of contexts that were not destroyed */
};

/* ---- for tests ---- */
/* Contexts created from now on live in `env`, which outlives them; NULL: in env_real(). */
void context_set_environment(Env *env);

/* ---- for building calls ---- */
/* The first mistake sticks; `format` begins with the call. Gives NULL, so that a call can return it. */
void *context_refuse(LeatContext *context, Status status, const char *format, ...) PRINTF_LIKE(3, 4);
/* May the context still be built? If not, says so (C2). False also after a mistake: what follows is not
 * looked at. */
bool context_can_build(LeatContext *context, const char *call);
bool context_has_error(LeatContext *context);

/* Destroys the sources, outputs and transforms that were handed over (C4). */
void context_destroy_owned(LeatContext *context);

/* ---- for connectors ---- */
/* The schema of a source's rows from SQL type text; lives as long as the context. NULL: refused, or the
 * context may no longer be built. `call`: static text. */
const Schema *context_source_schema(LeatContext *context, const char *call, const char *text);
/* A stream of what the source gives. Takes the source in any case. is_text: it gives bytes that are decoded
 * as lines, and the schema is one STRING column. NULL: refused. */
LeatStream *stream_from_source(LeatContext *context, const char *call, Source *source, const Schema *schema,
                               bool is_text);
/* Gives the rows of the stream to an output, which looks at no more than the first `row_limit` of a batch (0:
 * all). Takes the output in any case. */
void stream_to_output(LeatStream *stream, const char *call, Output *output, uint64_t row_limit);

/* The exit code of a program that ends with such an error (sysexits.h). */
int exit_code_of(Status status);

#endif
