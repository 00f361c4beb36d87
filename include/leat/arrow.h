/* leat/arrow.h - rows to and from Apache Arrow, by its C data interface: two plain structs, without a library.
 *
 *     void give(LeatBatch *batch) {                          in a function of leat_foreach_rdd
 *         struct ArrowSchema schema;
 *         struct ArrowArray array;
 *         if (leat_batch_to_arrow(batch, &schema, &array))   a record batch: whoever takes it releases it
 *             consume(&schema, &array);
 *     }
 *
 *   BOOLEAN "b"   TINYINT "c"   SMALLINT "s"   INT "i"   BIGINT "l"   FLOAT "f"   DOUBLE "g"   DECIMAL "d:p,s"
 *   STRING "vu" (string views; "u" and "U" are taken, too)   BINARY "vz" ("z" and "Z" are taken, too)
 *   DATE "tdD"   TIMESTAMP "tsu:UTC" (any time zone is taken)
 *   ARRAY "+l"   STRUCT and OPTION "+s"   MAP "+m"
 *
 *   - A record batch is a STRUCT whose fields are the columns; every column may hold nulls.
 *   - What is exported is a copy with memory of its own: it may be kept, released by any thread, and outlives
 *     the context. That memory is not counted by any limit.
 *   - What is imported is copied, too: it stays the caller's, who releases it. It must keep to the format:
 *     what can be told from the structs is checked, how much memory stands behind a pointer cannot be.
 *
 * The structs are those of https://arrow.apache.org/docs/format/CDataInterface.html, as that page asks every
 * project to declare them.
 */
#ifndef LEAT_ARROW_H
#define LEAT_ARROW_H

#include "leat/batch.h"
#include "leat/row.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *schema);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *array);
    void *private_data;
};

#endif

/* All rows of the batch as one record batch, in the order of leat_batch_collect. True: the caller owns both,
 * and calls release of each. False: there was no memory, or a column of lists has more than 2^31 - 1 elements;
 * both are unset, and the output fails with a message. */
LEAT_API bool leat_batch_to_arrow(LeatBatch *batch, struct ArrowSchema *schema, struct ArrowArray *array);

/* The same for a chunk, in functions per chunk. `types` is the schema of its columns as SQL type text, which
 * gives them their names. False: both are unset, and `message` says why. */
enum { LEAT_ARROW_MESSAGE_SIZE = 512 };
LEAT_API bool leat_chunk_to_arrow(const LeatChunk *chunk, const char *types, struct ArrowSchema *schema,
                                  struct ArrowArray *array, char message[LEAT_ARROW_MESSAGE_SIZE]);

/* Gives the rows of a record batch, for function streams and for functions that give rows. Columns are taken
 * by position, and are of the very types that the function gives, so scalar ones. False: none of the rows was
 * given, and what runs fails with a message, as it does for a row that finds no memory. */
LEAT_API bool leat_out_arrow(LeatOut *out, const struct ArrowSchema *schema, const struct ArrowArray *array);

/* A stream of record batches: leat_function_stream for rows of any types, nested ones too, `types` as SQL type
 * text. The function is called once for each batch, on the driver's thread: it sets both structs and returns
 * true (they are released behind it), or returns true and leaves them alone (an empty batch), or false (there
 * is no batch at this time). Columns are taken by position and must be of the very types; OPTION is a struct
 * to Arrow. The rows of a batch stand in the checkpoint, so a batch that is run again has the same ones. */
typedef bool (*LeatArrowFunction)(int64_t batch_time_ms, struct ArrowSchema *schema, struct ArrowArray *array,
                                  void *user);
LEAT_API LeatStream *leat_arrow_stream(LeatContext *context, const char *types, LeatArrowFunction function,
                                       void *user);

#ifdef __cplusplus
}
#endif

#endif
