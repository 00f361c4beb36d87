/* arrow.h - the Arrow C data interface (leat/arrow.h) below the public calls: chunks out, record batches in.
 *
 * Out: an ArrowExport takes chunks as functions of the user see them, one behind the other, and becomes one
 * record batch whose memory is its own.
 *
 * In: an ArrowReader looks at the structs of somebody else. Everything that they say about themselves is
 * checked when it is made, for all rows, so that reading cannot fail for another reason than memory:
 *
 *   R1  Formats, numbers of children and of buffers fit each other; lengths and offsets are not negative and
 *       fit those of the children; offsets ascend; views stay within their buffers.
 *   R2  Keys of maps are there, and decimals have no more digits than their precision (I6 of chunk.h).
 *   R3  Pointers need no alignment: values are read byte by byte.
 *
 * Memory  of exports: charged to the budget given, until the last struct is released; of readers: to none.
 * Threads  one owner; what was exported is released by any.
 */
#ifndef LEAT_COLUMN_ARROW_H
#define LEAT_COLUMN_ARROW_H

#include "column/builder.h"
#include "leat/arrow.h"

/* ---- out ---- */

typedef struct ArrowExport ArrowExport;

/* `schema` is borrowed until finish or destroy; `budget` (NULL: none) outlives what is exported. The caller
 * owns the result. */
ArrowExport *arrow_export_create(const Schema *schema, Budget *budget);
void arrow_export_destroy(ArrowExport *export); /* NULL is allowed */
/* Appends all rows; the columns are of the schema's types.  NO_MEMORY; UNSUPPORTED: more elements than 32-bit
 * offsets reach. Then only destroy is allowed. */
CHECKED Status arrow_export_add(ArrowExport *export, const LeatChunk *chunk, Error *err);
/* Takes the export. The caller owns both structs. */
void arrow_export_finish(ArrowExport *export, struct ArrowSchema *schema, struct ArrowArray *array);

/* ---- in ---- */

typedef struct ArrowReader ArrowReader;

/* The structs, and all that they point to, are borrowed until destroy. INVALID: they contradict themselves or
 * are not a record batch; UNSUPPORTED: a type that there is none for. Both name the column. */
CHECKED Status arrow_reader_create(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                   ArrowReader **out, Error *err);
void arrow_reader_destroy(ArrowReader *reader); /* NULL is allowed */
/* What the formats say, names included. Lives as long as the reader. */
const Schema *arrow_reader_schema(const ArrowReader *reader);
uint64_t arrow_reader_row_count(const ArrowReader *reader);
/* INVALID: the columns are of other types than those of `wanted` (names do not count). */
CHECKED Status arrow_reader_check(const ArrowReader *reader, const Schema *wanted, Error *err);
/* Puts row `row` into a builder whose columns are of the reader's types; the caller ends the row.
 * NO_MEMORY. */
CHECKED Status arrow_reader_put(const ArrowReader *reader, uint64_t row, Builder *builder, Error *err);

#endif
