/* type.h - types and schemas.
 *
 * A schema is written as SQL type text: "word STRING, n BIGINT", "tags ARRAY<STRING>, at STRUCT<x: DOUBLE, y:
 * DOUBLE>". Type names are case-insensitive: BOOLEAN, BIGINT (also LONG), DOUBLE, STRING, BINARY, TIMESTAMP,
 * ARRAY<type>, STRUCT<fields>. A ':' may stand between a name and its type. Field names are letters, digits
 * and '_', or anything but a zero byte between backquotes, where a backquote is written twice. Two columns
 * may have the same name.
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
    uint32_t field_count; /* ARRAY: 1 ("element"), STRUCT: its fields, else 0 */
    const Field *fields;
    bool is_option; /* of a STRUCT: validity is presence */
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

enum { SCHEMA_COLUMNS_MAX = 1024, TYPE_DEPTH_MAX = 16 };

/* In arena. INVALID names the place in the text ("at byte 12: ...") and what was expected. */
CHECKED Status schema_parse(Arena *arena, Str text, uint32_t key_count, Schema **out, Error *err);
/* As schema_parse reads it, types in upper case; the key is not part of it. */
void schema_format(const Schema *schema, Text *out);
void type_format(const Type *type, Text *out);
bool type_equal(const Type *a, const Type *b);       /* struct field names count, and is_option */
bool schema_equal(const Schema *a, const Schema *b); /* names, types, key_count */
/* The columns [begin, end) of `from` as a schema; field names are shared with `from`.  In arena; NULL: over
 * its budget (never for an arena without one). */
Schema *schema_slice(Arena *arena, const Schema *from, uint32_t begin, uint32_t end, uint32_t key_count);
/* The columns of a followed by those of b; names are shared. In arena; NULL as above. */
Schema *schema_concat(Arena *arena, const Schema *a, const Schema *b, uint32_t key_count);

#endif
