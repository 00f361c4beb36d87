/* decimal.h - the fewest decimal digits that read back as the same double or float; what repr() of Python and
 * Double.toString and Float.toString of Java (19 and later) are made of. */
#ifndef LEAT_BASE_DECIMAL_H
#define LEAT_BASE_DECIMAL_H

#include "base/str.h"

enum { DECIMAL_DIGITS_MAX = 17 };

/* |value| = 0.d1d2d3... * 10^point; no zeros at the end, except that 0 has the one digit 0 and point 1. */
typedef struct Decimal {
    char digits[DECIMAL_DIGITS_MAX + 1]; /* zero-terminated */
    int digit_count;
    int point;
} Decimal;

/* `value` is finite. Of all decimals of the shortest length that are rounded to `value` the nearest to it; at
 * least digits_min digits are tried (Java: 2, so that the least double is 4.9E-324, not 5E-324). */
Decimal decimal_shortest(double value, int digits_min);
Decimal decimal_shortest_f32(float value, int digits_min);

#endif
