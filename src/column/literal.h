/* literal.h - single values as text, as Python's repr() shows them: 'it', b'\x00', 1.0, True.
 *
 * One thing is ours: which code points repr() escapes depends on the Unicode version of that Python. Here
 * controls, separators other than the blank, format characters, surrogates and private use are escaped; code
 * points that nobody has assigned are not.
 */
#ifndef LEAT_COLUMN_LITERAL_H
#define LEAT_COLUMN_LITERAL_H

#include "leat/row.h"

#include "base/str.h"

/* A day of the Gregorian calendar, which counts backwards without end; year 0 is 1 BC. */
typedef struct Date {
    int64_t year;
    int month, day; /* from 1 */
} Date;
Date date_of_day(int64_t day); /* since 1970-01-01 */

void literal_bool(bool value, Text *out);
void literal_i64(int64_t value, Text *out);
/* The shortest decimal that reads back as the same double: 0.1, 1e+16, inf, nan. */
void literal_f64(double value, Text *out);
/* Decimal('1.20') */
void literal_decimal(LeatDecimal value, uint32_t scale, Text *out);
/* 1.20, 0.000001, 1.2E-7: what str() of Python's Decimal and toString of Java's BigDecimal have in common. */
void literal_decimal_digits(LeatDecimal value, uint32_t scale, Text *out);
/* 'text', or "text" where it holds ' and no ". A byte that is not UTF-8 is shown as Python shows it after
 * decoding with surrogateescape: \udce9. */
void literal_string(Str value, Text *out);
/* b'bytes': everything but printable ASCII is escaped. */
void literal_binary(Str value, Text *out);
/* 2026-11-21; any int32 has a text. Not as Python has it. */
void literal_date(int32_t day, Text *out);
/* 2026-11-21 10:00:01.5Z; a fraction only where there is one; any int64 has a text. Not as Python has it. */
void literal_timestamp(int64_t time_us, Text *out);

#endif
