/* row_order.h - which of two rows comes first, by some of their columns.
 *
 *   - Ascending: null before every value; false before true; numbers by value, -0.0 before 0.0 and the one
 *     NaN behind everything (Java's Double.compare); strings and bytes by unsigned bytes, a prefix before
 *     what it begins. Descending is the reverse of all of it.
 *   - A *rank* is a number of the first column: rows whose ranks differ have that order, of equal ranks
 *     nothing is known. Comparing ranks touches no column.
 */
#ifndef LEAT_EXEC_ROW_ORDER_H
#define LEAT_EXEC_ROW_ORDER_H

#include "column/chunk.h"
#include "plan/plan.h"

typedef struct RowOrder {
    const PlanOrder *columns; /* the first decides, the next where it is equal, ... */
    uint32_t count;           /* at least 1 */
} RowOrder;

uint64_t row_rank(RowOrder order, const Column *columns, uint32_t row);
/* Below, at or above 0: the row of `a` comes before, with or after that of `b`. */
int row_compare(RowOrder order, const Column *a, uint32_t a_row, const Column *b, uint32_t b_row);

#endif
