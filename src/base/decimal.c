#include "base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* "d.ddde-xx", as printf writes it, to the next larger last digit; false: that carries over all digits. */
static bool next_larger(char *scientific) {
    char *at = strchr(scientific, 'e') - 1;
    for (; at >= scientific; at--) {
        if (*at == '.')
            continue;
        if (*at != '9') {
            ++*at;
            return true;
        }
        *at = '0';
    }
    return false;
}

Decimal decimal_shortest(double value, int digits_min) {
    ASSERT(isfinite(value));
    value = fabs(value);
    char scientific[40];
    for (int digits = digits_min; digits <= DECIMAL_DIGITS_MAX; digits++) {
        snprintf(scientific, sizeof scientific, "%.*e", digits - 1, value);
        if (strtod(scientific, NULL) == value)
            break;
        /* Below a power of two the doubles are twice as dense as above: the nearest decimal may miss on that
         * side where the next larger one hits (2^-44 is 5.684341886080802e-14). */
        char larger[40];
        memcpy(larger, scientific, sizeof larger);
        if (next_larger(larger) && strtod(larger, NULL) == value) {
            memcpy(scientific, larger, sizeof larger);
            break;
        }
    }
    Decimal out = {.point = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10) + 1};
    for (const char *c = scientific; *c != 'e'; c++) {
        if (*c != '.')
            out.digits[out.digit_count++] = *c;
    }
    while (out.digit_count > 1 && out.digits[out.digit_count - 1] == '0')
        out.digit_count--;
    out.digits[out.digit_count] = 0;
    return out;
}
