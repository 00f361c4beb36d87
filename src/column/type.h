/* type.h - types and schemas.
 *
 * A schema is written as SQL type text: "word STRING, n BIGINT", "tags ARRAY<STRING>, at STRUCT<x: DOUBLE, y:
 * DOUBLE>". Type names are case-insensitive: BOOLEAN, TINYINT (also BYTE), SMALLINT (SHORT), INT (INTEGER),
 * BIGINT (LONG), FLOAT (REAL), DOUBLE, DECIMAL(precision, scale) (DEC, NUMERIC; without a scale it is 0,
 * without both DECIMAL(10, 0)), STRING, BINARY, DATE, TIMESTAMP, ARRAY<type>, STRUCT<fields>, MAP<type, type>.
 * A ':' may stand between a name and its type. Field names are letters, digits and '_', or anything but a
 * zero byte between backquotes, where a backquote is written twice. Two columns may have the same name.
 *
 * OPTION<fields> is a STRUCT that stands for Scala's Option (the side of an outer join that may be absent, D5):
 * null is None, a value is Some of its fields. Nothing but its text, and what print shows, is different.
 *
 *   - Types and schemas are values in an arena, never changed once made.
 *   - The first `key_count` columns are the key (D5).
 */
#ifndef LEAT_COLUMN_TYPE_H
#define LEAT_COLUMN_TYPE_H

#include "base/memory.h"
#include "leat/row.h"

typedef struct Field Field;

typedef struct Type {
    LeatType kind;
    uint32_t field_count; /* ARRAY: 1 ("element"), STRUCT: its fields, MAP: 2 ("key", "value"), else 0 */
    const Field *fields;
    bool is_option;           /* of a STRUCT: validity is presence */
    uint8_t precision, scale; /* of a DECIMAL: scale <= precision, 1 <= precision <= DECIMAL_PRECISION_MAX */
} Type;

struct Field {
    const char *name;
    Type type;
};

typedef struct Schema {
    const Field *fields; /* columns */
    uint32_t column_count;
    uint32_t key_count; /* <= column_count */
} Schema;

enum { SCHEMA_COLUMNS_MAX = 1024, TYPE_DEPTH_MAX = 16, DECIMAL_PRECISION_MAX = 38 };

/* ---- kinds ---- */

static inline bool type_is_string(LeatType kind) {
    return kind == LEAT_STRING || kind == LEAT_BINARY;
}
static inline bool type_is_nested(LeatType kind) {
    return kind == LEAT_ARRAY || kind == LEAT_STRUCT || kind == LEAT_MAP;
}
/* Rows of both have offsets into children. */
static inline bool type_is_list(LeatType kind) {
    return kind == LEAT_ARRAY || kind == LEAT_MAP;
}
/* What can be added up. */
static inline bool type_is_number(LeatType kind) {
    return LEAT_TINYINT <= kind && kind <= LEAT_DECIMAL;
}
/* Values that are a *word* (column_word in chunk.h): 1 to 8 bytes each. */
static inline bool type_is_word(LeatType kind) {
    return (LEAT_TINYINT <= kind && kind <= LEAT_DOUBLE) || kind == LEAT_DATE || kind == LEAT_TIMESTAMP;
}
/* Bytes of a value in Column.data: 16 for a view, 4 for an offset; 0: packed bits, or no data (STRUCT). */
static inline uint32_t type_value_size(LeatType kind) {
    static const uint8_t sizes[] = {
        [LEAT_BOOLEAN] = 0, [LEAT_TINYINT] = 1,   [LEAT_SMALLINT] = 2, [LEAT_INT] = 4,     [LEAT_BIGINT] = 8,
        [LEAT_FLOAT] = 4,   [LEAT_DOUBLE] = 8,    [LEAT_DECIMAL] = 16, [LEAT_STRING] = 16, [LEAT_BINARY] = 16,
        [LEAT_DATE] = 4,    [LEAT_TIMESTAMP] = 8, [LEAT_ARRAY] = 4,    [LEAT_STRUCT] = 0,  [LEAT_MAP] = 4,
    };
    return sizes[kind];
}
/* "BIGINT", "ARRAY"; without what stands behind. */
const char *type_kind_name(LeatType kind);
/* Has the number at most `precision` digits? */
bool decimal_fits(LeatDecimal value, uint32_t precision);

/* ---- schemas ---- */

/* In arena. INVALID names the place in the text ("at byte 12: ...") and what was expected. */
CHECKED Status schema_parse(Arena *arena, Str text, uint32_t key_count, Schema **out, Error *err);
/* As schema_parse reads it, types in upper case; the key is not part of it. */
void schema_format(const Schema *schema, Text *out);
void type_format(const Type *type, Text *out);
/* Struct field names count, and is_option, precision and scale. */
bool type_equal(const Type *a, const Type *b);
bool schema_equal(const Schema *a, const Schema *b); /* names, types, key_count */
/* The columns [begin, end) of `from` as a schema; field names are shared with `from`.  In arena; NULL: over
 * its budget (never for an arena without one). */
Schema *schema_slice(Arena *arena, const Schema *from, uint32_t begin, uint32_t end, uint32_t key_count);
/* The columns of a followed by those of b; names are shared. In arena; NULL as above. */
Schema *schema_concat(Arena *arena, const Schema *a, const Schema *b, uint32_t key_count);

#endif
