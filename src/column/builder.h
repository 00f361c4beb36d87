/* builder.h - makes chunks, row by row or a column at a time.
 *
 * A builder owns arrays for CHUNK_ROWS_MAX rows of a schema and memory for the strings it copies. Fill it,
 * take the scratch chunk, reset, fill again: nothing is allocated per row or per chunk once it is warm.
 *
 *   with rows:    builder_put_*(b, column, ...) for every column, then builder_end_row(b); until
 * builder_is_full(b) with LeatOut: builder_out(b) is the struct that user functions write into;
 * builder_take_out() turns what they wrote into columns (strings become views: short ones inline, long ones
 * as views of the input's buffers where they stand in one, else of the builder's own).
 *
 *   I1  Every column has the same number of values at the end of a row.
 *   I2  A scratch chunk is valid until the next put, take or reset.
 *
 * Memory  charged to the budget: NO_MEMORY, and the row that did not fit is not there.  Threads  one owner.
 */
#ifndef LEAT_COLUMN_BUILDER_H
#define LEAT_COLUMN_BUILDER_H

#include "column/chunk.h"

typedef struct Builder Builder;

/* `schema` is borrowed. The caller owns *out. */
CHECKED Status builder_create(const Schema *schema, Budget *budget, const char *who, Builder **out,
                              Error *err);
void builder_destroy(Builder *builder); /* NULL is allowed */
void builder_reset(Builder *builder);   /* no rows; memory kept */

uint32_t builder_row_count(const Builder *builder);
static inline bool builder_is_full(const Builder *builder) {
    return builder_row_count(builder) == CHUNK_ROWS_MAX;
}

CHECKED Status builder_put_null(Builder *builder, uint32_t column, Error *err);
CHECKED Status builder_put_bool(Builder *builder, uint32_t column, bool value, Error *err);
CHECKED Status builder_put_i64(Builder *builder, uint32_t column, int64_t value,
                               Error *err); /* BIGINT, TIMESTAMP */
CHECKED Status builder_put_f64(Builder *builder, uint32_t column, double value, Error *err);
CHECKED Status builder_put_str(Builder *builder, uint32_t column, Str value, Error *err); /* copies */
/* The value of `from` at `row`, of the same type, nested types included; strings are copied. */
CHECKED Status builder_put_value(Builder *builder, uint32_t column, const Column *from, uint32_t row,
                                 Error *err);
void builder_end_row(Builder *builder);

/* The rows so far as a scratch chunk (I2); split and sequence are 0. */
void builder_chunk(Builder *builder, Chunk *out);

/* What functions of the user write into. Bound to the builder; scalar columns only (a schema with ARRAY or
 * STRUCT gives UNSUPPORTED when the function is registered). `input` (or NULL) is the chunk whose strings
 * need no copy: its buffers are shared with the output as views. `flush` is called by leat_out_flush_ when
 * the struct is full; it must take the rows (builder_take_out) and leaves the error in the builder:
 * builder_out_status. */
typedef void (*BuilderFlush)(Builder *builder, void *self);
LeatOut *builder_out_begin(Builder *builder, const Chunk *input, BuilderFlush flush, void *self);
/* Turns the rows written so far into a scratch chunk (I2), and begins anew with the same input. */
CHECKED Status builder_take_out(Builder *builder, Chunk *out, Error *err);
CHECKED Status builder_out_status(const Builder *builder,
                                  Error *err); /* the first failure of a copy, since begin */

/* Views a chunk the way functions of the user see it: string columns as LeatStr arrays (made in the reader's
 * memory), everything else as it is. Scalar and nested columns. */
typedef struct ChunkReader ChunkReader;
CHECKED Status chunk_reader_create(const Schema *schema, Budget *budget, const char *who, ChunkReader **out,
                                   Error *err);
void chunk_reader_destroy(ChunkReader *reader);
/* The result borrows from the chunk and the reader until the next call; physical rows: apply the selection
 * with chunk_row. */
CHECKED Status chunk_reader_bind(ChunkReader *reader, const Chunk *chunk, LeatChunk *out, Error *err);

#endif
