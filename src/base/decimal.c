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

static bool reads_as(const char *text, double value, bool is_f32) {
    return is_f32 ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
}

static Decimal shortest(double value, bool is_f32, int digits_min) {
    ASSERT(isfinite(value));
    value = fabs(value);
    char scientific[40];
    for (int digits = digits_min; digits <= DECIMAL_DIGITS_MAX; digits++) {
        snprintf(scientific, sizeof scientific, "%.*e", digits - 1, value);
        if (reads_as(scientific, value, is_f32))
            break;
        /* Below a power of two the doubles are twice as dense as above: the nearest decimal may miss on that
         * side where the next larger one hits (2^-44 is 5.684341886080802e-14). */
        char larger[40];
        memcpy(larger, scientific, sizeof larger);
        if (next_larger(larger) && reads_as(larger, value, is_f32)) {
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

Decimal decimal_shortest(double value, int digits_min) {
    return shortest(value, false, digits_min);
}

Decimal decimal_shortest_f32(float value, int digits_min) {
    return shortest((double)value, true, digits_min);
}
