/* output.h - where batches go: the contract of outputs with the driver.
 *
 * run is called on the driver's thread with each batch, after its DELTA is durable and before its COMMIT; so
 * at least once: after a crash the batch whose COMMIT is missing is given again, with the same time and the
 * same rows. A failure leaves the batch pending (D9); later batches go on.
 */
#ifndef LEAT_STREAM_OUTPUT_H
#define LEAT_STREAM_OUTPUT_H

#include "env/env.h"
#include "exec/engine.h"

typedef struct Output Output;

typedef struct OutputClass {
    const char *kind; /* "print", "foreach_rdd": part of ids and messages */
    /* Before the first run: with what engines can be made that run in the output's time (they use the pool of
     * the driver's). May be NULL. */
    CHECKED Status (*open)(Output *output, EngineOptions engine, Error *err);
    CHECKED Status (*run)(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                          Error *err);
    void (*close)(Output *output); /* after open, before what `engine` points to is gone; may be NULL */
    void (*destroy)(Output *output);
} OutputClass;

/* First member of the output's own struct. */
struct Output {
    const OutputClass *class;
};

#endif
