/* leat/leat.h - stream processing in C: Spark Streaming's job in one library.
 *
 *     #include <leat/leat.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         LeatContext *ctx = leat_context_create("NetworkWordCount", leat_seconds(1));
 *
 *         LeatStream *lines  = leat_socket_text_stream(ctx, argv[1], argv[2]);
 *         LeatStream *words  = leat_flat_map(lines, leat_split(" "));
 *         LeatStream *pairs  = leat_map(words, leat_pair_with_i64(1));
 *         LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
 *         leat_print(counts);
 *
 *         leat_start(ctx);
 *         return leat_await_termination(ctx);
 *     }
 *
 *     cc wordcount.c $(pkg-config --cflags --libs leat)
 *
 * The headers are the reference:
 *
 *   context.h    the life of a program: build, start, stop, options, exit codes
 *   stream.h     sources, operations, outputs
 *   function.h   what operations do to rows: functions built in, and of one's own
 *   row.h        rows as functions read and give them
 *   batch.h      one batch, as an output sees it
 *   str.h        byte strings and their iterators
 *   arrow.h      rows to and from Apache Arrow
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include "leat/arrow.h"
#include "leat/batch.h"
#include "leat/context.h"
#include "leat/function.h"
#include "leat/row.h"
#include "leat/str.h"
#include "leat/stream.h"

#endif
