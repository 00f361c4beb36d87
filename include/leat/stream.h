/* leat/stream.h - streams: where they come from, what can be done with them, where they go.
 *
 * A stream (Spark's DStream) gives a batch of rows at each batch time. It belongs to its context. Names and meanings are
 * Spark's; where C makes a difference it is said. Operations on the key take the stream's key columns (leat_key), and where
 * none were named the first column.
 *
 * Every call may be made only before leat_start; a failed call gives NULL, and the context keeps the reason.
 */
#ifndef LEAT_STREAM_H
#define LEAT_STREAM_H

#include "leat/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sources ---- */
/* Lines of a TCP server that Leat connects to: "value STRING", ended by LF, CR or CRLF. Bytes that are not UTF-8 are kept.
 * No listener, an end or an error: it connects again after the restart delay, for ever. With a checkpoint directory what
 * was received is logged before it is processed; what had not reached the log when the process died is lost (a plain TCP
 * peer cannot be asked again). `port` is a number or a service name. */
LEAT_API LeatStream *leat_socket_text_stream(LeatContext *context, const char *host, const char *port);

/* Lines of the files that appear in a directory: "value STRING". A file belongs to the batch at whose time it is first seen
 * by Spark's rules: its name does not begin with ".", it was modified after the stream was made (unless existing files are
 * asked for) and within the last minute, and not later than the batch time. Write files elsewhere on the same file system and
 * rename them into the directory. `directory` may be a glob over directories. */
LEAT_API LeatStream *leat_text_file_stream(LeatContext *context, const char *directory);
typedef struct LeatFileStream {
    const char *directory;
    bool existing_files;   /* also files that were there before the start (Spark's newFilesOnly = false) */
    LeatDuration remember; /* how old a file may be when it is first seen; 0: one minute */
    bool (*filter)(const char *name, void *user); /* NULL: names that do not begin with "." */
    void *user;
} LeatFileStream;
LEAT_API LeatStream *leat_text_file_stream_with(LeatContext *context, LeatFileStream options);

/* Rows from a function, called once for each batch on the driver's thread: it emits the batch's rows and returns true, or
 * returns false when there is no batch at this time (Spark's null RDD: what depends on it gives no batch either). With a
 * checkpoint the rows are logged, so that a batch that is run again has the same ones. */
typedef bool (*LeatBatchFunction)(int64_t batch_time_ms, LeatOut *out, void *user);
LEAT_API LeatStream *leat_function_stream(LeatContext *context, const char *schema,
                                          LeatBatchFunction function, void *user);

/* ---- operations ---- */
/* The first `column_count` columns are the key. */
LEAT_API LeatStream *leat_key(LeatStream *stream, int column_count);
/* Names the operator that made the stream: its state in a checkpoint is found by this name. */
LEAT_API LeatStream *leat_name(LeatStream *stream, const char *name);

LEAT_API LeatStream *leat_map(LeatStream *stream, LeatFunction function);
LEAT_API LeatStream *leat_flat_map(LeatStream *stream, LeatFunction function);
LEAT_API LeatStream *leat_filter(LeatStream *stream, LeatFunction predicate);
/* The rows of `a`, then those of `b`; both have the same column types. A batch that one of them lacks is an error. */
LEAT_API LeatStream *leat_union(LeatStream *a, LeatStream *b);
/* One row per batch; an empty batch gives none. */
LEAT_API LeatStream *leat_reduce(LeatStream *stream, LeatFunction reduce);
/* "count BIGINT": one row per batch, 0 for an empty one. */
LEAT_API LeatStream *leat_count(LeatStream *stream);
/* One row per key and batch. */
LEAT_API LeatStream *leat_reduce_by_key(LeatStream *stream, LeatFunction reduce);
/* The running state of every key: in every batch the function is called for each key that has state or values, and every
 * key that has state afterwards is given: the key columns and the state's. Needs a checkpoint directory. */
LEAT_API LeatStream *leat_update_state_by_key(LeatStream *stream, LeatFunction update);

/* ---- outputs ---- */
typedef struct LeatBatch LeatBatch; /* leat/batch.h */

/* The first 10 rows of every batch on standard output, as Spark's print() (Scala) writes them:
 *     -------------------------------------------
 *     Time: 1000 ms
 *     -------------------------------------------
 *     (hello,1)
 * with "..." behind when there are more, and an empty line. pprint writes what Python's does: Time: 2015-10-18 20:06:06
 * (local time) and ('hello', 1). On a terminal control bytes and bytes that are not UTF-8 are shown escaped. */
LEAT_API void leat_print(LeatStream *stream);
LEAT_API void leat_print_n(LeatStream *stream, int row_count);
LEAT_API void leat_pprint(LeatStream *stream);
LEAT_API void leat_pprint_n(LeatStream *stream, int row_count);

/* Calls the function on the driver's thread with each batch. A false result is a failed output: the error is reported, the
 * batch stays pending in the checkpoint and is given again after a restart; later batches go on. At least once: after a crash
 * a batch may be given again, with the same time and the same rows. */
typedef bool (*LeatForeachFunction)(LeatBatch *batch, void *user);
LEAT_API void leat_foreach_rdd(LeatStream *stream, LeatForeachFunction function, void *user);

/* Keeps what the stream gave in each batch, for tests: leat_collected_batches(c) batches so far; the rows of one as text, one a
 * line, as leat_pprint writes them (NULL: there was no batch of that number); borrowed until the context is destroyed. */
typedef struct LeatCollector LeatCollector;
LEAT_API LeatCollector *leat_collect(LeatStream *stream);
LEAT_API size_t leat_collected_batches(const LeatCollector *collector);
LEAT_API const char *leat_collected_text(const LeatCollector *collector, size_t batch_index);
LEAT_API int64_t leat_collected_time_ms(const LeatCollector *collector, size_t batch_index);

#ifdef __cplusplus
}
#endif

#endif
