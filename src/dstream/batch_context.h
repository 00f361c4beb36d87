/* batch_context.h - where calls on batch handles go: a context of its own for the functions of transform and
 * foreach_rdd.
 *
 * In every batch it begins with an empty plan. Handles of batches are its sources; the building calls work on
 * them as on any stream; run makes rows of a stream. What is run is cached by shape: where the n-th run of this
 * batch is built like that of the batch before, its engine runs again, and nothing is compiled.
 *
 *     idle --begin--> building --input, building calls, run...--> end --> idle ... close
 *
 *   BC1  Streams, handles and rows of a batch are good until its end.
 *   BC2  A stream of the program whose rows are always the same (leat_rows and what is made of it) may stand
 *        beside a handle: it is computed once for all batches. No other may.
 *   BC3  Its engines use the pool and the budgets of the engine that was given to begin, and are destroyed by
 *        close, before that one is.
 *   BC4  The first mistake of a batch sticks to its context and fails it, whatever the function returns.
 *
 * Threads  the driver's; create and destroy: the owner of the program's context.
 */
#ifndef LEAT_DSTREAM_BATCH_CONTEXT_H
#define LEAT_DSTREAM_BATCH_CONTEXT_H

#include "dstream/context.h"
#include "exec/engine.h"

typedef struct BatchContext BatchContext;

/* `call`: static text, for messages. The caller owns it; `program` outlives it. */
BatchContext *batch_context_create(LeatContext *program, const char *call);
void batch_context_destroy(BatchContext *batches); /* NULL is allowed */

void batch_context_begin(BatchContext *batches, EngineOptions engine, EngineBatch batch);
/* A handle of a batch, with the schema (its key may be another one than that of `data`). Both are borrowed
 * until end. */
LeatStream *batch_context_input(BatchContext *batches, const Schema *schema, const BatchData *data);
/* The rows of `stream`, which may be NULL where a building call was refused. *out: borrowed until end. */
CHECKED Status batch_context_run(BatchContext *batches, LeatStream *stream, const BatchData **out,
                                 Error *err);
/* BC4: the first mistake, or OK. */
CHECKED Status batch_context_status(BatchContext *batches, Error *err);
void batch_context_end(BatchContext *batches);
void batch_context_close(BatchContext *batches);

/* The context of the streams of the batch. */
LeatContext *batch_context_inside(BatchContext *batches);
/* For building calls (BC2): a stream of the batch that stands for `stream`, one of the program's. NULL:
 * refused. */
LeatStream *batch_context_adopt(BatchContext *batches, LeatStream *stream, const char *call);

/* ---- LeatBatch, the other look at a batch (leat/batch.h) ---- */

/* A batch of `data`, to be looked at until end. */
LeatBatch *batch_context_batch(BatchContext *batches, const Schema *schema, const BatchData *data);
/* As context_refuse, in the context of the batch. */
void batch_context_fail(BatchContext *batches, Status status, const char *message);
int64_t batch_context_time_ms(const BatchContext *batches);

/* The rows of streams that are always the same, computed once; of the program's context. */
typedef struct ConstantRows ConstantRows;
void constant_rows_destroy(ConstantRows *first);

#endif
