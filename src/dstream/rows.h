/* rows.h - rows that are the same in every batch, as a source. */
#ifndef LEAT_DSTREAM_ROWS_H
#define LEAT_DSTREAM_ROWS_H

#include "dstream/context.h"

enum { ROWS_CHUNKS_PER_PARTITION = 16 }; /* what one worker reads at a time */

/* Takes `data`, whose schema is `schema`, in any case. NULL: refused. `call`: static text. */
LeatStream *stream_from_rows(LeatContext *context, const char *call, const Schema *schema, BatchData data);
/* Appends the rows of a chunk to rows that are being made; no budget is charged.  NO_MEMORY. */
CHECKED Status rows_add(BatchData *rows, const Chunk *chunk, Error *err);

#endif
