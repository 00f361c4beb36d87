/* batch_text.h - the elements of a batch as lines of text: for print, pprint and collectors. */
#ifndef LEAT_DSTREAM_BATCH_TEXT_H
#define LEAT_DSTREAM_BATCH_TEXT_H

#include "dstream/row_text.h"
#include "exec/batch_data.h"

/* Appends the first `row_count` elements, one a line. `schema` gives their shape (row_text.h); its types are
 * the batch's. */
void batch_text(const RowText *how, const Schema *schema, const BatchData *batch, uint64_t row_count,
                Text *out);

#endif
