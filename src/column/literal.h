/* literal.h - single values as text, the way Python's repr() shows them: 'it', b'\x00', 1.0, None, True, [1,
 * 2].
 *
 * TIMESTAMP is shown as 2026-11-21 10:00:01.5Z (fraction only where there is one; any int64 has a text).
 */
#ifndef LEAT_COLUMN_LITERAL_H
#define LEAT_COLUMN_LITERAL_H

#include "base/str.h"

void literal_bool(bool value, Text *out);
void literal_i64(int64_t value, Text *out);
/* The shortest decimal that reads back as the same double: 0.1, 1e+16, inf, nan. */
void literal_f64(double value, Text *out);
/* 'text', or "text" where it holds ' and no ". Control bytes and invalid UTF-8 are escaped. */
void literal_string(Str value, Text *out);
/* b'bytes': everything but printable ASCII is escaped. */
void literal_binary(Str value, Text *out);
void literal_timestamp(int64_t time_us, Text *out);

#endif
