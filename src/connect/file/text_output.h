/* text_output.h - saveAsTextFiles: a directory of text files for every batch.
 *
 *     <prefix>-<batch time in ms>.<suffix>/    without the dash or the dot where prefix or suffix is empty
 *         part-00000 ...                       one for each partition, an element a line (row_text.h, Scala's)
 *         _SUCCESS                             empty
 *
 *   - The directory has its name only when it is whole: it is written and synced as ".<name>.tmp" beside it, then
 *     renamed, and that is synced, too. So when run is done, the batch is durable.
 *   - A batch that is given again takes the place of what is there, when that is such a directory; anything
 *     else in it is left alone and the output fails (EXISTS).
 *   - Directories on the way are made.
 *
 * Faults  every call of the environment; what was begun is removed if that is possible, and in any case by the
 *         next run of the batch.
 */
#ifndef LEAT_CONNECT_TEXT_OUTPUT_H
#define LEAT_CONNECT_TEXT_OUTPUT_H

#include "stream/output.h"

/* `schema` is borrowed and gives the shape of elements; the texts are copied, NULL is as "". Never NULL; the
 * caller owns it: class->destroy. */
Output *text_output_create(const Schema *schema, const char *prefix, const char *suffix);

#endif
