/* transform.h - rows that somebody above the engine makes of whole batches: the contract of PLAN_TRANSFORM.
 *
 * The engine collects the batches of all inputs, calls run, and gives the rows of the result. A batch whose run
 * fails fails as a whole.
 *
 *   - run is called on the driver's thread, while no worker of the engine does anything: it may use the pool.
 *   - end follows each run, also one that failed; then nothing of the batch is needed any more.
 *   - close is called when the engine is destroyed, before what its options point to.
 */
#ifndef LEAT_EXEC_TRANSFORM_H
#define LEAT_EXEC_TRANSFORM_H

#include "exec/engine.h"

typedef struct Transform Transform;

typedef struct TransformBatch {
    EngineBatch batch;
    const BatchData *const *inputs; /* of the node, in order; borrowed until end */
    EngineOptions engine;           /* of the engine that asks, with its pool: to run others with */
} TransformBatch;

typedef struct TransformClass {
    /* *out: columns of the node's types; borrowed until end. */
    CHECKED Status (*run)(Transform *transform, const TransformBatch *batch, const BatchData **out,
                          Error *err);
    void (*end)(Transform *transform);
    void (*close)(Transform *transform);
    void (*destroy)(Transform *transform); /* its owner's call */
} TransformClass;

/* First member of the transform's own struct. */
struct Transform {
    const TransformClass *class;
};

#endif
