/* batch.h - LeatBatch from the inside: a look at the rows of a batch, made and ended by batch_context.h. */
#ifndef LEAT_DSTREAM_BATCH_H
#define LEAT_DSTREAM_BATCH_H

#include "dstream/batch_context.h"

/* In front of `next`, which it takes; `data` is borrowed. */
LeatBatch *batch_create(BatchContext *batches, const Schema *schema, const BatchData *data, LeatBatch *next);
void batch_destroy_all(LeatBatch *first); /* NULL is allowed */

#endif
