/* fold.h - values into one: the arithmetic of the built-in aggregates.
 *
 * Two forms of an accumulator. A *word* is 64 bits that stand in the slot of a key table; they are kept XORed
 * with the operation's identity, so that the zero of a fresh slot is the identity and no row needs to ask
 * whether its key is new. Words know no null. A *cell* is everything else: it has a value or none, and may be
 * a string.
 *
 *   F1  fold(identity, x) is x, bit for bit (a sum of -0.0 alone is -0.0).
 *   F2  Minimum and maximum of FLOAT and DOUBLE are by total order: -0.0 before 0.0, the one NaN behind
 *       everything. So they are exact and commutative, and need no order of rows.
 *   F3  Sums of integers are words whatever their width, and wrap around at 64 bits; the low bytes that are
 *       given out are the sum that wraps around at the column's own width.
 *   F4  Sums of DECIMAL are exact, so they need no order of rows either; whether they fit their type is asked
 *       when they are given out (cell_check). */
#ifndef LEAT_EXEC_FOLD_H
#define LEAT_EXEC_FOLD_H

#include "column/chunk.h"
#include "exec/row_view.h"
#include "leat/function.h"
#include "state/key_table.h"

typedef enum FoldOp {
    FOLD_SUM_I64, /* wraps around: F3 */
    FOLD_SUM_F32,
    FOLD_SUM_F64,
    FOLD_MIN_I64, /* also BOOLEAN, DATE and TIMESTAMP */
    FOLD_MAX_I64,
    FOLD_MIN_F32,
    FOLD_MAX_F32,
    FOLD_MIN_F64,
    FOLD_MAX_F64,
    FOLD_SUM_DECIMAL, /* from here on cells only */
    FOLD_MIN_DECIMAL,
    FOLD_MAX_DECIMAL,
    FOLD_MIN_STR, /* by bytes */
    FOLD_MAX_STR,
    FOLD_CONCAT,
    /* The inverses of sums, by fold_cell only: b out of a; without a value there is nothing to take it from. */
    FOLD_SUBTRACT_I64,
    FOLD_SUBTRACT_F32,
    FOLD_SUBTRACT_F64,
    FOLD_SUBTRACT_DECIMAL,
    FOLD_REDUCE, /* a function of the user: not done here */
} FoldOp;

FoldOp fold_op(LeatFunctionKind function, LeatType type);
uint64_t fold_identity(FoldOp op);                     /* of operations on words */
uint64_t fold_word(FoldOp op, uint64_t a, uint64_t b); /* of plain values */
/* slots[at[i]].value: one more value for each row, in order. */
void fold_words(FoldOp op, KeySlot *slots, const uint32_t *at, const uint64_t *words, uint32_t count);

typedef struct Cell {
    RowCell value;
    union {
        uint32_t capacity; /* of the string's memory */
        int32_t carry;     /* of a sum of DECIMAL: it is value.decimal + carry * 2^128 (F4) */
    };
    bool has; /* zeroed memory is a cell without a value */
} Cell;

/* What cells of one aggregate are folded with. */
typedef struct CellContext {
    Arena *arena; /* of strings */
    Str separator;
    const char *who;
} CellContext;

/* Takes a copy. NO_MEMORY. */
CHECKED Status cell_set_str(Cell *cell, Str str, const CellContext *context, Error *err);
static inline void cell_set_word(Cell *cell, uint64_t word) {
    cell->value.word = word;
    cell->has = true;
}
/* cells[i] + column: one more value for each selected row; nulls are passed over.  NO_MEMORY. */
CHECKED Status fold_cells(FoldOp op, Cell *const *cells, uint32_t column, const Column *from,
                          const Chunk *chunk, const CellContext *context, Error *err);
/* a and then b. */
CHECKED Status fold_cell(FoldOp op, Cell *a, const Cell *b, const CellContext *context, Error *err);
/* Before the value of a cell is given as one of `field`: INVALID, a sum of DECIMAL has too many digits. */
CHECKED Status cell_check(const Cell *cell, const Field *field, const char *who, Error *err);

#endif
