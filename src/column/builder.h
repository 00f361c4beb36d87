/* builder.h - makes chunks, row by row or a column at a time.
 *
 * A builder owns arrays for CHUNK_ROWS_MAX rows of a schema and memory for the strings it copies. Fill it,
 * take the scratch chunk, reset, fill again: nothing is allocated per row or per chunk once it is warm.
 *
 * Two ways to fill it, one at a time (builder_reset lies between them):
 *
 *   Rows: builder_put_*(b, column, ...) for every column, then builder_end_row(b), until builder_is_full(b);
 *   builder_chunk(b, &chunk). A row that is not ended is written over by the next puts.
 *
 *   Functions of the user: builder_out_begin(b, input, ...) gives the LeatOut that they write into;
 *   builder_take_out(b, &chunk) turns what they wrote into columns. Strings become views: short ones inline,
 *   long ones as views of the input's buffers where they stand in one, else of the builder's own.
 *
 *   I1  Every column has the same number of values at the end of a row.
 *   I2  A scratch chunk is valid until the next put, take or reset.
 *   I3  A shared chunk made of a scratch chunk is not changed by what the builder does next.
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
/* BIGINT, TIMESTAMP */
CHECKED Status builder_put_i64(Builder *builder, uint32_t column, int64_t value, Error *err);
CHECKED Status builder_put_f64(Builder *builder, uint32_t column, double value, Error *err);
/* BOOLEAN and whatever is a word (type_is_word), as column_word gives it. */
CHECKED Status builder_put_word(Builder *builder, uint32_t column, uint64_t word, Error *err);
CHECKED Status builder_put_decimal(Builder *builder, uint32_t column, LeatDecimal value, Error *err);
CHECKED Status builder_put_str(Builder *builder, uint32_t column, Str value, Error *err); /* copies */
/* The value of `from` at `row`, of the same type, nested types included; strings are copied. */
CHECKED Status builder_put_value(Builder *builder, uint32_t column, const Column *from, uint32_t row,
                                 Error *err);

/* Nested columns, put together from values of other columns. STRUCT: a value whose fields are those of
 * fields[0, field_count) at `row`. */
CHECKED Status builder_put_struct(Builder *builder, uint32_t column, const Column *fields, uint32_t row,
                                  Error *err);
/* ARRAY: begin puts an empty list, to which elements are added until the row ends: the value of `from` at
 * `row`; or, where elements are a STRUCT, one whose fields are those of fields[0, field_count) at `row`. The
 * columns of a row may be put in any order, also between elements. An element that fails is not there. */
CHECKED Status builder_begin_list(Builder *builder, uint32_t column, Error *err);
CHECKED Status builder_list_value(Builder *builder, uint32_t column, const Column *from, uint32_t row,
                                  Error *err);
CHECKED Status builder_list_struct(Builder *builder, uint32_t column, const Column *fields, uint32_t row,
                                   Error *err);

void builder_end_row(Builder *builder);

/* The rows so far as a scratch chunk (I2); split and sequence are 0. */
void builder_chunk(Builder *builder, Chunk *out);

/* What functions of the user write into; belongs to the builder. Scalar columns only (a schema with nested
 * types gives UNSUPPORTED when the function is registered). Rows not taken before are dropped, the status is
 * OK again.
 *
 * `input` (or NULL) is the chunk whose strings need no copy; its data and buffers are borrowed until the next
 * begin or reset, and its buffers are among those of the output. `data` of its string columns may be NULL:
 * then only the buffers count (lines given as byte ranges).
 *
 * `flush` is called when the struct is full. It must take the rows with builder_take_out, and hands a failure
 * of what it does with them to builder_out_fail. After a failure rows are dropped without a call. */
typedef void (*BuilderFlush)(Builder *builder, void *self);
LeatOut *builder_out_begin(Builder *builder, const Chunk *input, BuilderFlush flush, void *self);
/* Turns the rows written so far (possibly none) into a scratch chunk (I2), and goes on with the same input.
 * The chunk may be used beyond the next begin, but not beyond the input. Fails as builder_out_status does;
 * INVALID: a DECIMAL of more digits than its precision. */
CHECKED Status builder_take_out(Builder *builder, Chunk *out, Error *err);
/* The same rows without making anything anew, of a builder with one column of strings: as functions wrote
 * them, with the buffers that they stand in. Borrowed until builder_drop_out, which takes the place of
 * builder_take_out. False: there are nulls, strings stand elsewhere, or a failure is kept; take them. */
bool builder_see_out(Builder *b, const LeatStr **strs, uint32_t *count, Buffer *const **buffers,
                     uint32_t *buffer_count);
void builder_drop_out(Builder *b);
/* The first failure sticks until the next begin: a copy of a string that found no memory, or a flush. */
void builder_out_fail(Builder *builder, Status status, const Error *error); /* error may be NULL */
CHECKED Status builder_out_status(const Builder *builder, Error *err);

/* A chunk the way functions of the user see it: string columns as LeatStr arrays (made in the reader's
 * memory), everything else as it is. Scalar and nested columns. */
typedef struct ChunkReader ChunkReader;
CHECKED Status chunk_reader_create(const Schema *schema, Budget *budget, const char *who, ChunkReader **out,
                                   Error *err);
void chunk_reader_destroy(ChunkReader *reader);
/* The result borrows from the chunk and the reader until the next call; physical rows: apply the selection
 * with chunk_row. */
CHECKED Status chunk_reader_bind(ChunkReader *reader, const Chunk *chunk, LeatChunk *out, Error *err);

#endif
