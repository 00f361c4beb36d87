/* chunk.h - columns of up to CHUNK_ROWS_MAX rows: what flows between operators.
 *
 * A Chunk is a value: column vectors, an optional selection, and where it comes from. Most chunks are
 * *scratch*: their arrays belong to the operator that pushes them and are borrowed for the length of the
 * push. Who wants to keep one asks for a SharedChunk, which is refcounted, immutable, and holds only what is
 * selected.
 *
 *   I1  row_count <= CHUNK_ROWS_MAX; selection is strictly ascending and below row_count.
 *   I2  Rows of one (split, sequence) come in the order of their source; sequences of a split ascend.
 *   I3  Views of a column point into its own `buffers`; every buffer has the slack of buffer.h.
 *   I4  A SharedChunk has no selection and pins at most twice the string bytes it refers to (plus 4 KiB a
 *       column).
 *   I5  The data behind a null is false, 0, 0.0, the empty view, an empty range of an ARRAY or MAP; the fields
 *       of a null STRUCT are null.
 *   I6  Keys of a MAP are not null; a DECIMAL has at most its type's precision digits.
 *
 * Memory   of shared chunks: charged to the budget given, NO_MEMORY changes nothing. Schemas and types are
 *          borrowed and outlive every chunk.
 * Threads  a shared chunk may be read, retained and released from any; scratch belongs to one.
 */
#ifndef LEAT_COLUMN_CHUNK_H
#define LEAT_COLUMN_CHUNK_H

#include "column/buffer.h"
#include "column/type.h"
#include "column/view.h"

enum { CHUNK_ROWS_MAX = LEAT_CHUNK_ROWS_MAX };

typedef struct Column {
    const Type *type;
    /* an array of what leat/row.h names beside each type; View[] (STRING, BINARY), packed bits (BOOLEAN),
     * int32_t offsets[rows + 1] (ARRAY, MAP) */
    const void *data;
    const uint8_t *validity; /* packed bits; NULL: no nulls */
    bool is_constant;        /* data and validity hold one row that stands for all; never for nested types */
    uint32_t buffer_count;
    Buffer *const *buffers; /* what views of this column point into; borrowed */
    /* ARRAY: the elements (offsets index them), MAP: keys and values (the same), STRUCT: the fields, row by
     * row */
    const struct Column *children;
} Column;

typedef struct Chunk {
    const Schema *schema;
    const Column *columns;
    uint32_t row_count;        /* physical rows */
    uint32_t selected_count;   /* rows that count: row_count when selection is NULL */
    const uint16_t *selection; /* indices of the rows that count, or NULL: all */
    uint64_t split;            /* which part of the batch's input, in output order (D2) */
    uint64_t sequence;         /* position within the split */
    uint64_t split_row_count;  /* rows that come in the split, at most; 0: not known */
} Chunk;

static inline uint32_t chunk_row(const Chunk *chunk, uint32_t i) {
    return chunk->selection ? chunk->selection[i] : i;
}
static inline bool column_is_null(const Column *column, uint32_t row) {
    uint32_t i = column->is_constant ? 0 : row;
    return column->validity && !(column->validity[i >> 3] >> (i & 7) & 1);
}
static inline int64_t column_i64(const Column *column, uint32_t row) {
    return ((const int64_t *)column->data)[column->is_constant ? 0 : row];
}
static inline int32_t column_i32(const Column *column, uint32_t row) {
    return ((const int32_t *)column->data)[column->is_constant ? 0 : row];
}
static inline float column_f32(const Column *column, uint32_t row) {
    return ((const float *)column->data)[column->is_constant ? 0 : row];
}
static inline double column_f64(const Column *column, uint32_t row) {
    return ((const double *)column->data)[column->is_constant ? 0 : row];
}
static inline LeatDecimal column_decimal(const Column *column, uint32_t row) {
    return ((const LeatDecimal *)column->data)[column->is_constant ? 0 : row];
}
bool column_bool(const Column *column, uint32_t row);
/* BOOLEAN: 0 or 1. Numbers of up to 8 bytes, DATE, TIMESTAMP: as a word, integers with their sign, FLOAT and
 * DOUBLE as their bits. */
uint64_t column_word(const Column *column, uint32_t row);
Str column_str(const Column *column, uint32_t row); /* borrows from the column's data or buffers */
/* As Python shows it (literal.h): 'hello', 3, None, [1, 2], Row(x=1.0, y=2.0), {'a': 1}. */
void column_format(const Column *column, uint32_t row, Text *out);

/* The words of the selected rows, densely, without regard to nulls: the column's own where they stand so, else
 * written to `room`. For types that are words. */
const uint64_t *column_words(const Column *column, const Chunk *chunk, uint64_t *room);

/* A word that was read, or made, back in the form of Column.data: its low bytes. */
static inline void word_store(void *data, uint32_t index, LeatType kind, uint64_t word) {
    switch (type_value_size(kind)) {
    case 1:
        ((uint8_t *)data)[index] = (uint8_t)word;
        return;
    case 2:
        ((uint16_t *)data)[index] = (uint16_t)word;
        return;
    case 4:
        ((uint32_t *)data)[index] = (uint32_t)word;
        return;
    default:
        ((uint64_t *)data)[index] = word;
    }
}
/* And from there. */
static inline uint64_t word_load(const void *data, uint32_t index, LeatType kind) {
    switch (kind) {
    case LEAT_TINYINT:
        return (uint64_t)(int64_t)((const int8_t *)data)[index];
    case LEAT_SMALLINT:
        return (uint64_t)(int64_t)((const int16_t *)data)[index];
    case LEAT_INT:
    case LEAT_DATE:
        return (uint64_t)(int64_t)((const int32_t *)data)[index];
    case LEAT_FLOAT:
        return ((const uint32_t *)data)[index];
    default:
        return ((const uint64_t *)data)[index];
    }
}

typedef struct SharedChunk SharedChunk;

/* The selected rows of `in`, kept: fixed-size data is copied, constants stay constant, string buffers are
 * shared when at least half of their bytes are referenced, else copied. The caller owns *out.  NO_MEMORY. */
CHECKED Status chunk_share(const Chunk *in, Budget *budget, const char *who, SharedChunk **out, Error *err);
/* The same with every string copied: for who keeps rows longer than their batch, so that no buffer of the
 * input, which is charged to somebody else, stays with them. */
CHECKED Status chunk_copy(const Chunk *in, Budget *budget, const char *who, SharedChunk **out, Error *err);
SharedChunk *shared_chunk_retain(SharedChunk *shared);
void shared_chunk_release(SharedChunk *shared); /* NULL is allowed */
const Chunk *shared_chunk_view(const SharedChunk *shared);
size_t shared_chunk_size_bytes(const SharedChunk *shared); /* what it is charged */

/* Checks I1, I3, I5 and the types, for tests and ASSERTs of debug builds: aborts with a message. */
void chunk_verify(const Chunk *chunk);
/* The selected rows as text, one a line, "('hello', 3)", for the debugger and for messages of tests. */
void chunk_format(const Chunk *chunk, Text *out);

#endif
