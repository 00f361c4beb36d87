/* row_text.h - elements of a stream as Spark prints them: print (what Scala's toString gives) and pprint
 * (what Python's print gives).
 *
 *   one column                        the value alone: hello                hello
 *   k key columns and v others        (key,value):     (hello,1)            ('hello', 1)
 *   no key, several columns           a tuple:         (a,1,true)           ('a', 1, True)
 *
 * where a side of the pair that has several columns is a tuple itself: ((a,b),1). All columns key is as no
 * key.
 *
 *   type        print                            pprint: alone / inside a pair, tuple or list
 *   BOOLEAN     true                             True
 *   TINYINT, SMALLINT, INT, BIGINT
 *               3                                3
 *   FLOAT       0.1, 1.0E10                      0.10000000149011612, 10000000000.0: of the same DOUBLE
 *   DOUBLE      1.0, 1.0E10, NaN, Infinity       1.0, 10000000000.0, 1e+16, nan, inf
 *   DECIMAL     1.20, 1E-7                       1.20 / Decimal('1.20')
 *   STRING      its bytes                        its bytes / 'it', "it's", 'line\n', 'not UTF-8: \udce9'
 *   BINARY      [01 FF]                          b'\x01\xff'
 *   DATE        2026-11-21                       2026-11-21 / datetime.date(2026, 11, 21)
 *   TIMESTAMP   2026-11-21 10:00:00.0            2026-11-21 10:00:00 /
 *                                                datetime.datetime(2026, 11, 21, 10, 0), local time
 *   ARRAY       CompactBuffer(1, 1)              [1, 1]
 *   STRUCT      (1,a)                            (1, 'a'), (1,) with one field
 *   OPTION      Some(1), Some((1,a)), None       1, (1, 'a'), None
 *   MAP         Map(a -> 1)                      {'a': 1}
 *   null        null                             None
 *
 * Spark replaces bytes that are not UTF-8 by U+FFFD when it reads a line; Leat keeps them, and pprint shows
 * them inside a pair as literal.h says.
 */
#ifndef LEAT_DSTREAM_ROW_TEXT_H
#define LEAT_DSTREAM_ROW_TEXT_H

#include "column/chunk.h"
#include "env/env.h"

typedef enum RowTextStyle { ROW_TEXT_SCALA, ROW_TEXT_PYTHON } RowTextStyle;

typedef struct RowText {
    Env *env; /* for local time */
    RowTextStyle style;
    bool is_terminal; /* text that stands as its bytes: control bytes and what is not UTF-8 are escaped */
} RowText;

/* Appends the element that `columns` hold at `row`; their number and types are those of `schema`, whose
 * key_count gives the shape. No line break. */
void row_text(const RowText *how, const Schema *schema, const Column *columns, uint32_t row, Text *out);

/* "1000 ms" or "2015-10-18 20:06:06", with ".500000" where the milliseconds are not 0. */
void row_text_time(const RowText *how, int64_t batch_time_ms, Text *out);

#endif
