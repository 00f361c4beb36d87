/* leat/stream.h - streams: where they come from, what can be done with them, where they go.
 *
 * A stream (Spark's DStream) gives a batch of rows at each batch time. Names and meanings are Spark's; where
 * C makes a difference it is said.
 *
 *   - A stream belongs to its context and is freed with it. It may be used any number of times: what several
 *     operations and outputs take from it is computed once.
 *   - Every call is made before leat_start. A failed call gives NULL, and the context keeps the reason.
 *   - The schemas given below are those of the rows of a stream, in the text of leat/function.h.
 *   - A stream has key columns where leat_key or leat_pair_with_i64 has said so, and behind an operation by
 *     key. An operation by key takes these columns, or the first one where none were named; all other columns
 *     are values.
 */
#ifndef LEAT_STREAM_H
#define LEAT_STREAM_H

#include "leat/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sources ---- */

/* socketTextStream: the lines of a TCP server that Leat connects to, as "value STRING". A line ends by LF, CR
 * or CRLF; bytes that are not UTF-8 are kept (Spark replaces them). `port` is a number or a service name.
 *
 * No listener, an end or an error of the connection: it connects again after the restart delay, for ever.
 * With a checkpoint directory what was received is logged before it is processed. What had not reached the
 * log when the process died is lost: a plain TCP peer cannot be asked again. */
LEAT_API LeatStream *leat_socket_text_stream(LeatContext *context, const char *host, const char *port);

/* textFileStream: the lines of the files that appear in a directory, as "value STRING", by Spark's rules. A
 * file belongs to the first batch that finds it there, is read once, and must
 *
 *   - have a name that does not begin with ".";
 *   - have been modified after the first start (unless existing files are asked for), within the last minute,
 *     and not later than the batch time.
 *
 * Write a file elsewhere on the same file system and rename it into the directory. `directory` may be a glob
 * over directories; directories within them are not looked into. */
LEAT_API LeatStream *leat_text_file_stream(LeatContext *context, const char *directory);
typedef struct LeatFileStream {
    const char *directory;
    bool existing_files;   /* also files that were there before the start (Spark's newFilesOnly = false) */
    LeatDuration remember; /* how old a file may be when it is first seen; 0: one minute */
    bool (*filter)(const char *name, void *user); /* NULL: names that do not begin with "." */
    void *user;                                   /* of the filter; borrowed until the context is destroyed */
} LeatFileStream;
LEAT_API LeatStream *leat_text_file_stream_with(LeatContext *context, LeatFileStream options);

/* Rows from a function, for programs that bring their own data and for tests (where Spark has queueStream).
 * It is called once for each batch, on the driver's thread: it emits the rows of the batch and returns true,
 * or returns false when there is no batch at this time (Spark's null RDD: what depends on it gives no batch
 * either). The rows of a batch stand in the checkpoint, so a batch that is run again has the same ones. */
typedef bool (*LeatBatchFunction)(int64_t batch_time_ms, LeatOut *out, void *user);
LEAT_API LeatStream *leat_function_stream(LeatContext *context, const char *schema,
                                          LeatBatchFunction function, void *user);

/* Rows that are always the same (Spark's RDD beside the streams, and its ConstantInputDStream): read or made at
 * once, by this call, and kept once; their memory is not part of the option `memory`. As a stream they are the
 * batch of every time. Inside of leat_transform and leat_foreach_rdd they, and what stateless operations make
 * of them before the start, stand beside the handle of a batch: a blacklist to join with. What was made of them
 * is computed once, too.
 *
 * leat_text_file: the lines of a file, "value STRING". leat_rows: the function emits all rows and returns true;
 * false is a mistake of the program. */
LEAT_API LeatStream *leat_text_file(LeatContext *context, const char *path);
typedef bool (*LeatRowsFunction)(LeatOut *out, void *user);
LEAT_API LeatStream *leat_rows(LeatContext *context, const char *schema, LeatRowsFunction function,
                               void *user);

/* ---- operations ---- */

/* The same rows; the first `column_count` columns, at least one, are the key. */
LEAT_API LeatStream *leat_key(LeatStream *stream, int column_count);
/* Names the operation that made the stream, and gives the stream back. State in a checkpoint is found by the
 * name; without one by the kind of the operation and its number among those of its kind. Two operations of
 * one name are a mistake. */
LEAT_API LeatStream *leat_name(LeatStream *stream, const char *name);

/* One row for each row: leat_function, leat_chunk_function, leat_pair_with_i64. */
LEAT_API LeatStream *leat_map(LeatStream *stream, LeatFunction function);
/* Any number of rows for each row: leat_function, leat_chunk_function, leat_split. */
LEAT_API LeatStream *leat_flat_map(LeatStream *stream, LeatFunction function);
/* The rows for which it holds: leat_predicate, leat_contains. */
LEAT_API LeatStream *leat_filter(LeatStream *stream, LeatFunction predicate);
/* The rows of `a`, then those of `b`, which has the same column types and slide; names are those of `a`, the key
 * that of the side that has one (two different keys are a mistake). When one of them has no batch at a time at
 * which the other has, the batch fails and the program stops. */
LEAT_API LeatStream *leat_union(LeatStream *a, LeatStream *b);

/* The reductions take leat_sum, leat_min, leat_max, leat_concat, leat_reduce_function. */

/* All rows of a batch into one row of the same schema; every column is a value. An empty batch gives none. */
LEAT_API LeatStream *leat_reduce(LeatStream *stream, LeatFunction reduce);
/* "count BIGINT": one row per batch, 0 for an empty one. */
LEAT_API LeatStream *leat_count(LeatStream *stream);
/* The rows of each key of a batch into one row of the same schema. */
LEAT_API LeatStream *leat_reduce_by_key(LeatStream *stream, LeatFunction reduce);
/* combineByKey: the values of each key of a batch into one combiner, by leat_combine_function, in the order of
 * the input: the key columns and those of the combiner. */
LEAT_API LeatStream *leat_combine_by_key(LeatStream *stream, LeatFunction combine);

/* distinct: each row of a batch once, equal in all columns (the two zeros, and any two NaN, are equal). */
LEAT_API LeatStream *leat_distinct(LeatStream *stream);
/* sortBy: the rows of a batch in the order of some columns, "n DESC, word": names, behind each ASC (which is
 * the default) or DESC, in any case; a name that is not made of letters, digits and '_' stands between
 * backquotes. Rows that are equal there stay in the order of the input. Nulls come first, NaN is the greatest
 * number, -0.0 comes before 0.0, strings are ordered by their bytes (Java's order is another one where
 * characters beyond U+FFFF occur); DESC reverses it all. ARRAY, STRUCT and MAP have no order. */
LEAT_API LeatStream *leat_sort_by(LeatStream *stream, const char *order);
/* sortByKey: the same by the key columns, or the first one where none were named. */
LEAT_API LeatStream *leat_sort_by_key(LeatStream *stream, bool ascending);
/* top, takeOrdered: the first `row_count` rows, at least 1, that leat_sort_by would give, without sorting the
 * others. NULL for the order is every column DESC, as Spark's top has it. */
LEAT_API LeatStream *leat_top(LeatStream *stream, int row_count, const char *order);

/* The partitions of a batch are the splits of its input, or behind an operation by key those of the option
 * "partitions"; an empty batch of a source has none.
 *
 * glom: the rows of each partition as one list, "values ARRAY<row>", also of a partition without rows. An
 * element is the column of the stream, or where it has several a STRUCT of them. */
LEAT_API LeatStream *leat_glom(LeatStream *stream);
/* mapPartitions (and mapPartitionsWithIndex): leat_partition_function is called once for each partition of a
 * batch, also for one without rows, and gives any number of rows. */
LEAT_API LeatStream *leat_map_partitions(LeatStream *stream, LeatFunction function);
/* repartition: the same rows in exactly so many partitions, 1 to 256, which differ by few rows. */
LEAT_API LeatStream *leat_repartition(LeatStream *stream, int partition_count);
/* partitionBy: the same rows; those of a key are in the same one of so many partitions. */
LEAT_API LeatStream *leat_partition_by(LeatStream *stream, int partition_count);

/* mapValues, flatMapValues: the function sees the value columns only, and gives others; the key columns stay
 * in front of them. leat_function; of leat_map_values also leat_chunk_function. */
LEAT_API LeatStream *leat_map_values(LeatStream *stream, LeatFunction function);
LEAT_API LeatStream *leat_flat_map_values(LeatStream *stream, LeatFunction function);

/* The values of each key of a batch as one list, "<key>, values ARRAY<value>", in the order of the input. An
 * element is the value, or where a row has several a STRUCT of them. */
LEAT_API LeatStream *leat_group_by_key(LeatStream *stream);

/* Two streams by key, batch by batch. Both have values, keys of the same types, and batches at the same times
 * (the same slide); when one of them has no batch at a time at which the other has, the batch fails and the
 * program stops. Rows come in the order of the keys' hashes. A null key is a key like others, as in Spark:
 * unlike SQL, null joins null. */

/* Each key that one of them has: "<key>, left ARRAY<value of a>, right ARRAY<value of b>", lists as above. */
LEAT_API LeatStream *leat_cogroup(LeatStream *a, LeatStream *b);
/* A row for each pair of values of the same key: the key, the values of a, those of b. Every value of a comes
 * with all of b, in the order of the input. */
LEAT_API LeatStream *leat_join(LeatStream *a, LeatStream *b);
/* The same, and where one side has no value for a key a row for each value of the other. The side that may be
 * absent (of the full join both are) is one column, "right OPTION<values of b>" or "left OPTION<values of a>",
 * which is null where it is absent: leat_row_option. */
LEAT_API LeatStream *leat_left_outer_join(LeatStream *a, LeatStream *b);
LEAT_API LeatStream *leat_right_outer_join(LeatStream *a, LeatStream *b);
LEAT_API LeatStream *leat_full_outer_join(LeatStream *a, LeatStream *b);

/* transform: calls the function with a handle of each batch, and gives the rows of what it builds on it, with
 * the calls of this file: see leat/batch.h. On the driver's thread, in every batch: it may look at what changes
 * meanwhile. `schema` is that of the rows given, NULL: the schema and the key of `stream`. A result of other
 * types, NULL, or no batch of `stream` at a time at which one is due fails the batch, and the program stops. */
typedef LeatStream *(*LeatTransformFunction)(LeatStream *batch, int64_t batch_time_ms, void *user);
LEAT_API LeatStream *leat_transform(LeatStream *stream, const char *schema, LeatTransformFunction function,
                                    void *user);
/* transformWith: of the batches of two streams; schema NULL: that of `a`. */
typedef LeatStream *(*LeatTransformWithFunction)(LeatStream *a, LeatStream *b, int64_t batch_time_ms,
                                                 void *user);
LEAT_API LeatStream *leat_transform_with(LeatStream *a, LeatStream *b, const char *schema,
                                         LeatTransformWithFunction function, void *user);
/* The transform of a context: of the batches of any number of streams, at least one; schema NULL: that of the
 * first. */
typedef LeatStream *(*LeatTransformAllFunction)(LeatStream *const *batches, int count, int64_t batch_time_ms,
                                                void *user);
LEAT_API LeatStream *leat_transform_all(LeatContext *context, LeatStream *const *streams, int count,
                                        const char *schema, LeatTransformAllFunction function, void *user);

/* The running state of every key, by leat_update_function: in every batch the function is called for each key
 * that has state or values, and every key that has state afterwards gives a row: the key columns and those of
 * the state. Needs a checkpoint directory. */
LEAT_API LeatStream *leat_update_state_by_key(LeatStream *stream, LeatFunction update);

/* Where state begins: emits rows of the key columns and the state columns. Called by the first batch of the
 * operation that there ever is, and never again once a checkpoint has that batch; when that one is run again
 * after a crash, it must emit the same rows. Of several rows of a key the first one counts. */
typedef void (*LeatInitialState)(LeatOut *out, void *user);

typedef struct LeatUpdateOptions {
    LeatInitialState initial_state; /* NULL: none */
    void *initial_user;             /* borrowed until the context is destroyed */
} LeatUpdateOptions;
LEAT_API LeatStream *leat_update_state_by_key_with(LeatStream *stream, LeatFunction update,
                                                   LeatUpdateOptions options);

/* mapWithState, by leat_map_with_state_function: the function is called once for each record, in the order of
 * the input for each key, with the state of its key, and what it emits is the stream. Keys without records are
 * not touched: a batch costs what its records cost, however many keys there are. There is a batch at every
 * time, also when the stream has none. Needs a checkpoint directory.
 *
 *     leat_map_with_state(words, leat_map_with_state_function("n BIGINT", "word STRING, n BIGINT", f, NULL),
 *                         (LeatStateSpec){.timeout = leat_minutes(30)});
 *
 * The timeout: a key whose last record is older than the timeout (batch time against batch time, strictly)
 * has timed out. This is looked at in every checkpoint interval, after the records of that batch, as in
 * Spark: the function is called without a value, what it emits is given, and the state is gone. */
typedef struct LeatStateSpec {
    LeatDuration timeout;             /* 0: state stays for ever */
    LeatDuration checkpoint_interval; /* a multiple of the stream's slide; 0: ten times the slide */
    LeatInitialState initial_state;   /* NULL: none */
    void *initial_user;               /* borrowed until the context is destroyed */
} LeatStateSpec;
LEAT_API LeatStream *leat_map_with_state(LeatStream *stream, LeatFunction function, LeatStateSpec spec);
/* stateSnapshots: of a stream that leat_map_with_state gave, every key with its state after each batch. This
 * looks at all of them. */
LEAT_API LeatStream *leat_state_snapshots(LeatStream *mapped);

/* ---- windows ---- */

/* The batches of a stream that lie in (T - length, T] at a time T. There is a window at every slide, counted
 * from zero time, and only then does what follows have a batch; the first windows are shorter. Both must be
 * multiples of the stream's own slide, which is the context's interval, or the slide of the window before. A
 * slide beyond the length leaves out what lies between. There is a batch also when nothing came in (an empty
 * one).
 *
 * With a checkpoint directory what a window still needs is kept there, and length and slide can only be
 * changed under another name (leat_name). Without one a window begins anew with the program. */
typedef struct LeatWindow {
    LeatDuration length;
    LeatDuration slide; /* 0: as often as the stream itself */

    /* For reductions: takes out of a value what has left the window. leat_subtract for leat_sum, or
     * leat_reduce_function(f), which is called with the value of the last window as `a` and the reduction of
     * what leaves as `b`. Without it every window is reduced anew from the reductions of its batches. With it
     * the call needs a checkpoint directory, and a key stays, whatever its value, when it has left the window.
     *
     * `filter`, leat_predicate over key and value, is asked for the keys of every window: one that it refuses
     * is gone and begins anew. It is a mistake to refuse a key that still has rows in the window. */
    LeatFunction inverse;
    LeatFunction filter; /* with a key and an inverse only */
} LeatWindow;

/* The rows of the window, in the order in which they came. */
LEAT_API LeatStream *leat_window(LeatStream *stream, LeatWindow window);
/* leat_reduce over a window. */
LEAT_API LeatStream *leat_reduce_by_window(LeatStream *stream, LeatFunction reduce, LeatWindow window);
/* leat_reduce_by_key over a window. Keys are gone when they have left it, but see LeatWindow.inverse. */
LEAT_API LeatStream *leat_reduce_by_key_and_window(LeatStream *stream, LeatFunction reduce,
                                                   LeatWindow window);
/* leat_group_by_key over a window: the values in the order in which they came. */
LEAT_API LeatStream *leat_group_by_key_and_window(LeatStream *stream, LeatWindow window);
/* "count BIGINT": how many rows the window has. No row until there was a first one, then one for every
 * window. Needs a checkpoint directory. */
LEAT_API LeatStream *leat_count_by_window(LeatStream *stream, LeatWindow window);
/* Each row that is in the batch, as the key, with "count BIGINT": how often. */
LEAT_API LeatStream *leat_count_by_value(LeatStream *stream);
/* The same of a window. Needs a checkpoint directory. */
LEAT_API LeatStream *leat_count_by_value_and_window(LeatStream *stream, LeatWindow window);

/* ---- outputs ---- */

typedef struct LeatBatch LeatBatch; /* leat/batch.h */

/* The first rows of every batch, 10 or `row_count`, on standard output, as Spark's print() of Scala has them:
 *
 *     -------------------------------------------
 *     Time: 1000 ms
 *     -------------------------------------------
 *     (hello,1)
 *
 * followed by "..." when there are more, and an empty line. pprint writes what Spark's pprint() of Python
 * does: "Time: 2015-10-18 20:06:06", in local time, and ('hello', 1). A batch is one write. On a terminal
 * control bytes, and bytes that are not UTF-8, are shown escaped. */
LEAT_API void leat_print(LeatStream *stream);
LEAT_API void leat_print_n(LeatStream *stream, int row_count);
LEAT_API void leat_pprint(LeatStream *stream);
LEAT_API void leat_pprint_n(LeatStream *stream, int row_count);

/* foreachRDD: calls the function on the driver's thread with each batch. At least once: after a crash a batch
 * may be given again, with the same time and the same rows. False is a failed output: the error is reported,
 * the batch stays pending in the checkpoint and is given again after a restart; later batches go on. */
typedef bool (*LeatForeachFunction)(LeatBatch *batch, void *user);
LEAT_API void leat_foreach_rdd(LeatStream *stream, LeatForeachFunction function, void *user);

/* saveAsTextFiles: for each batch, also an empty one, a directory "<prefix>-<batch time in ms>.<suffix>"; NULL or
 * "" leaves out the prefix with its dash, or the suffix with its dot. In it part-00000, part-00001, ..., one for
 * each partition, with an element a line as print shows it, and the empty file _SUCCESS.
 *
 * A directory has its name only when it is whole and on the disk (it is written as ".<name>.tmp" beside it), and
 * a batch that is given again replaces it: each batch is there once. Directories on the way are made. Files
 * belong to the user of the program alone. A failure is a failed output, as of leat_foreach_rdd. */
LEAT_API void leat_save_as_text_files(LeatStream *stream, const char *prefix, const char *suffix);

/* foreachPartition, of every batch: the pattern of a connection for each partition. Called on the workers, several
 * partitions at a time, each from one thread. False, or NULL of `open`, is a failed output, as of
 * leat_foreach_rdd; partitions that have not begun by then are left out.
 *
 *     leat_foreach_partition(counts, (LeatForeachPartition){
 *         .open = connect_to_database, .each_row = insert_row, .close = commit_or_roll_back}, user); */
typedef struct LeatForeachPartition {
    /* What it gives takes the place of `user` in the other calls. May be NULL: they get `user`. */
    void *(*open)(uint32_t partition, int64_t batch_time_ms, void *user);
    /* One of the two: for each row, or for each chunk, in order. */
    bool (*each_row)(const LeatRow *row, void *opened);
    bool (*each_chunk)(const LeatChunk *chunk, void *opened);
    /* After each `open` that gave something. is_whole: all rows were taken. May be NULL. */
    bool (*close)(void *opened, bool is_whole);
} LeatForeachPartition;
LEAT_API void leat_foreach_partition(LeatStream *stream, LeatForeachPartition functions, void *user);

/* For tests: keeps what the stream gives in each batch. The collector belongs to the context. */
typedef struct LeatCollector LeatCollector;
LEAT_API LeatCollector *leat_collect(LeatStream *stream);
/* How many batches there were so far. */
LEAT_API size_t leat_collected_batches(const LeatCollector *collector);
/* The rows of one, a line each, as leat_pprint writes them; borrowed until the context is destroyed. NULL:
 * there was no batch of that number (they count from 0). */
LEAT_API const char *leat_collected_text(const LeatCollector *collector, size_t batch_index);
/* Its batch time. -1: there was none. */
LEAT_API int64_t leat_collected_time_ms(const LeatCollector *collector, size_t batch_index);

#ifdef __cplusplus
}
#endif

#endif
