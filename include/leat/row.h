/* leat/row.h - rows as user functions see and make them.
 *
 * A row is one element of a stream: a value for every column of the stream's schema, key columns first. A
 * LeatRow is a look at one row of a chunk; a LeatOut takes the rows a function gives. Both are visible
 * structs so that the calls below are inline; their fields belong to Leat and may change between versions
 * that are not binary compatible.
 *
 *   - Columns count from 0. A wrong column or type is a mistake of the program: a function compiled without
 *     NDEBUG ends with a message, one compiled with NDEBUG checks nothing and pays nothing.
 *   - What a row gives is valid until the function that got the row returns.
 *   - STRING and BINARY are the same to these calls. TIMESTAMP is int64 microseconds since 1970-01-01 UTC, DATE
 *     int32 days since that day.
 *   - DECIMAL(p, s) is a whole number of at most p digits that counts 10^-s: 1.20 of DECIMAL(10, 2) is 120. A
 *     function that gives one of more digits makes the batch fail.
 *
 * Threads  a LeatRow and a LeatOut belong to the call that got them; calls run on several threads at once.
 */
#ifndef LEAT_ROW_H
#define LEAT_ROW_H

#include "leat/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(LEAT_API)
#define LEAT_API __attribute__((visibility("default")))
#endif

typedef enum LeatType {
    LEAT_BOOLEAN,
    LEAT_TINYINT,   /* int8_t */
    LEAT_SMALLINT,  /* int16_t */
    LEAT_INT,       /* int32_t */
    LEAT_BIGINT,    /* int64_t */
    LEAT_FLOAT,     /* float */
    LEAT_DOUBLE,    /* double */
    LEAT_DECIMAL,   /* LeatDecimal */
    LEAT_STRING,    /* UTF-8 by convention */
    LEAT_BINARY,    /* any bytes */
    LEAT_DATE,      /* int32_t days */
    LEAT_TIMESTAMP, /* int64_t microseconds UTC */
    LEAT_ARRAY,     /* elements of one type */
    LEAT_STRUCT,    /* named fields */
    LEAT_MAP,       /* keys of one type, which are never null, and values of one type */
} LeatType;

/* 128 bits that may stand at any multiple of 8. */
__extension__ typedef __int128 LeatDecimal __attribute__((aligned(8)));

/* One column of a chunk as functions see it. */
typedef struct LeatColumn {
    /* An array of what stands beside the types above; STRING and BINARY LeatStr[], BOOLEAN packed bits, ARRAY
     * and MAP int32_t offsets[rows + 1] into their children, STRUCT NULL. Index it by row & row_mask. */
    const void *data;
    const uint8_t *validity; /* packed bits, 1 = there is a value; NULL: no nulls */
    uint32_t row_mask;       /* 0: one value stands for all rows; else UINT32_MAX */
    LeatType type;
    uint32_t child_count;     /* ARRAY: 1, STRUCT: its fields, MAP: 2, keys and values */
    uint8_t precision, scale; /* DECIMAL */
    const struct LeatColumn *children;
} LeatColumn;

typedef struct LeatRow {
    const LeatColumn *columns;
    uint32_t column_count;
    uint32_t index; /* of this row in the columns */
} LeatRow;

/* A whole chunk, for functions per chunk: `row_count` rows, at most LEAT_CHUNK_ROWS_MAX. */
typedef struct LeatChunk {
    const LeatColumn *columns;
    uint32_t column_count;
    uint32_t row_count;
} LeatChunk;

enum { LEAT_CHUNK_ROWS_MAX = 2048 };

/* One column of the rows a function gives. */
typedef struct LeatOutColumn {
    void *data;     /* as LeatColumn.data; of BOOLEAN uint8_t[], one byte a row */
    uint8_t *nulls; /* one byte a row, 1 = null */
    LeatType type;
} LeatOutColumn;

typedef struct LeatOut {
    LeatOutColumn *columns;
    uint32_t column_count;
    uint32_t row;       /* the row being written */
    uint32_t row_limit; /* rows that fit before a flush */
    bool has_nulls;
    /* Strings that begin in one of these ranges outlive the flush and are not copied. */
    uintptr_t stable_begin[2];
    uintptr_t stable_size[2];
} LeatOut;

/* ---- reading a row ---- */
static inline bool leat_row_is_null(const LeatRow *row, uint32_t column);
/* Null reads as false, 0, 0.0 and the empty text. */
static inline bool leat_row_bool(const LeatRow *row, uint32_t column);
static inline int8_t leat_row_i8(const LeatRow *row, uint32_t column);   /* TINYINT */
static inline int16_t leat_row_i16(const LeatRow *row, uint32_t column); /* SMALLINT */
static inline int32_t leat_row_i32(const LeatRow *row, uint32_t column); /* INT and DATE */
static inline int64_t leat_row_i64(const LeatRow *row, uint32_t column); /* BIGINT and TIMESTAMP */
static inline float leat_row_f32(const LeatRow *row, uint32_t column);
static inline double leat_row_f64(const LeatRow *row, uint32_t column);
static inline LeatDecimal leat_row_decimal(const LeatRow *row, uint32_t column);
static inline LeatStr leat_row_str(const LeatRow *row, uint32_t column); /* STRING and BINARY */

/* ARRAY: how many elements, and a row of one column that looks at element `index`. STRUCT: a row whose
 * columns are the fields. MAP: how many entries, and a row of two columns, key and value. Use them with the
 * calls above: leat_row_i64(&element, 0). A null ARRAY or MAP has no elements; whether a STRUCT or an OPTION
 * is there, leat_row_is_null tells. */
LEAT_API uint32_t leat_row_array_count(const LeatRow *row, uint32_t column);
LEAT_API LeatRow leat_row_array_at(const LeatRow *row, uint32_t column, uint32_t index);
LEAT_API LeatRow leat_row_struct(const LeatRow *row, uint32_t column);
/* OPTION, the side of an outer join that may be absent: false: it is, and *value is not set; else *value is a
 * row whose columns are its fields.
 *
 *     LeatRow right;
 *     int64_t n = leat_row_option(row, 2, &right) ? leat_row_i64(&right, 0) : 0;
 */
LEAT_API bool leat_row_option(const LeatRow *row, uint32_t column, LeatRow *value);
LEAT_API uint32_t leat_row_map_count(const LeatRow *row, uint32_t column);
LEAT_API LeatRow leat_row_map_at(const LeatRow *row, uint32_t column, uint32_t index);

/* ---- giving rows ---- */
/* Sets a column of the row being written. A column that is not set is false, 0, 0.0 or empty; one that is set
 * to null is null, whatever else it is set to. Strings that are views of the input row are not copied; others
 * are, so a local buffer may be given. A row that is begun must be emitted: decide first, then set. */
static inline void leat_out_bool(LeatOut *out, uint32_t column, bool value);
static inline void leat_out_i8(LeatOut *out, uint32_t column, int8_t value);
static inline void leat_out_i16(LeatOut *out, uint32_t column, int16_t value);
static inline void leat_out_i32(LeatOut *out, uint32_t column, int32_t value);
static inline void leat_out_i64(LeatOut *out, uint32_t column, int64_t value);
static inline void leat_out_f32(LeatOut *out, uint32_t column, float value);
static inline void leat_out_f64(LeatOut *out, uint32_t column, double value);
static inline void leat_out_decimal(LeatOut *out, uint32_t column, LeatDecimal value);
static inline void leat_out_str(LeatOut *out, uint32_t column, LeatStr value);
static inline void leat_out_null(LeatOut *out, uint32_t column);
/* The row is complete; the next one begins. */
static inline void leat_out_emit(LeatOut *out);

/* For functions per chunk, column by column instead of row by row: leat_out_reserve makes room for
 * `row_count` rows (at most LEAT_CHUNK_ROWS_MAX), which are written through the pointers of the next
 * calls, one for each column, and given by leat_out_emit_rows, which may give fewer. Strings written this way
 * must be views of the input chunk or come from leat_out_keep. The pointers are good until
 * leat_out_emit_rows. */
LEAT_API void leat_out_reserve(LeatOut *out, uint32_t row_count);
static inline int8_t *leat_out_i8s(LeatOut *out, uint32_t column);
static inline int16_t *leat_out_i16s(LeatOut *out, uint32_t column);
static inline int32_t *leat_out_i32s(LeatOut *out, uint32_t column);
static inline int64_t *leat_out_i64s(LeatOut *out, uint32_t column);
static inline float *leat_out_f32s(LeatOut *out, uint32_t column);
static inline double *leat_out_f64s(LeatOut *out, uint32_t column);
static inline LeatDecimal *leat_out_decimals(LeatOut *out, uint32_t column);
static inline LeatStr *leat_out_strs(LeatOut *out, uint32_t column);
static inline void leat_out_emit_rows(LeatOut *out, uint32_t row_count);
/* A copy of the bytes for the rows being written: good from leat_out_reserve until leat_out_emit_rows. The
 * bytes themselves where they are a view of the input. */
LEAT_API LeatStr leat_out_keep(LeatOut *out, LeatStr bytes);

/* ---- implementation ---- */
LEAT_API void leat_out_flush_(LeatOut *out); /* row == row_limit: hands the rows on, row becomes 0 */
LEAT_API void leat_misuse_(const char *function, uint32_t column, uint32_t column_count, int type)
    __attribute__((noreturn));
LEAT_API void leat_emit_misuse_(uint32_t row_count, uint32_t room) __attribute__((noreturn));

#ifndef NDEBUG
#define LEAT_CHECK_(holds, function, column, count, type) \
    ((holds) ? (void)0 : leat_misuse_(function, column, count, (int)(type)))
#else
#define LEAT_CHECK_(holds, function, column, count, type) ((void)0)
#endif
#define LEAT_CHECK_ROW_(function, wanted)                                                    \
    LEAT_CHECK_(column < row->column_count && (wanted), function, column, row->column_count, \
                column < row->column_count ? row->columns[column].type : LEAT_STRUCT)
#define LEAT_CHECK_OUT_(function, wanted)                                                    \
    LEAT_CHECK_(column < out->column_count && (wanted), function, column, out->column_count, \
                column < out->column_count ? out->columns[column].type : LEAT_STRUCT)
#define LEAT_COLUMN_TYPE_IS_(holder, a, b) \
    ((holder)->columns[column].type == (a) || (holder)->columns[column].type == (b))

static inline bool leat_row_is_null(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_is_null", true);
    const LeatColumn *c = &row->columns[column];
    uint32_t i = row->index & c->row_mask;
    return c->validity && !(c->validity[i >> 3] >> (i & 7) & 1);
}

static inline bool leat_row_bool(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_bool", LEAT_COLUMN_TYPE_IS_(row, LEAT_BOOLEAN, LEAT_BOOLEAN));
    const LeatColumn *c = &row->columns[column];
    uint32_t i = row->index & c->row_mask;
    return ((const uint8_t *)c->data)[i >> 3] >> (i & 7) & 1;
}

static inline int8_t leat_row_i8(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_i8", LEAT_COLUMN_TYPE_IS_(row, LEAT_TINYINT, LEAT_TINYINT));
    const LeatColumn *c = &row->columns[column];
    return ((const int8_t *)c->data)[row->index & c->row_mask];
}

static inline int16_t leat_row_i16(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_i16", LEAT_COLUMN_TYPE_IS_(row, LEAT_SMALLINT, LEAT_SMALLINT));
    const LeatColumn *c = &row->columns[column];
    return ((const int16_t *)c->data)[row->index & c->row_mask];
}

static inline int32_t leat_row_i32(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_i32", LEAT_COLUMN_TYPE_IS_(row, LEAT_INT, LEAT_DATE));
    const LeatColumn *c = &row->columns[column];
    return ((const int32_t *)c->data)[row->index & c->row_mask];
}

static inline int64_t leat_row_i64(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_i64", LEAT_COLUMN_TYPE_IS_(row, LEAT_BIGINT, LEAT_TIMESTAMP));
    const LeatColumn *c = &row->columns[column];
    return ((const int64_t *)c->data)[row->index & c->row_mask];
}

static inline float leat_row_f32(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_f32", LEAT_COLUMN_TYPE_IS_(row, LEAT_FLOAT, LEAT_FLOAT));
    const LeatColumn *c = &row->columns[column];
    return ((const float *)c->data)[row->index & c->row_mask];
}

static inline double leat_row_f64(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_f64", LEAT_COLUMN_TYPE_IS_(row, LEAT_DOUBLE, LEAT_DOUBLE));
    const LeatColumn *c = &row->columns[column];
    return ((const double *)c->data)[row->index & c->row_mask];
}

static inline LeatDecimal leat_row_decimal(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_decimal", LEAT_COLUMN_TYPE_IS_(row, LEAT_DECIMAL, LEAT_DECIMAL));
    const LeatColumn *c = &row->columns[column];
    return ((const LeatDecimal *)c->data)[row->index & c->row_mask];
}

static inline LeatStr leat_row_str(const LeatRow *row, uint32_t column) {
    LEAT_CHECK_ROW_("leat_row_str", LEAT_COLUMN_TYPE_IS_(row, LEAT_STRING, LEAT_BINARY));
    const LeatColumn *c = &row->columns[column];
    return ((const LeatStr *)c->data)[row->index & c->row_mask];
}

static inline void leat_out_bool(LeatOut *out, uint32_t column, bool value) {
    LEAT_CHECK_OUT_("leat_out_bool", LEAT_COLUMN_TYPE_IS_(out, LEAT_BOOLEAN, LEAT_BOOLEAN));
    ((uint8_t *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_i8(LeatOut *out, uint32_t column, int8_t value) {
    LEAT_CHECK_OUT_("leat_out_i8", LEAT_COLUMN_TYPE_IS_(out, LEAT_TINYINT, LEAT_TINYINT));
    ((int8_t *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_i16(LeatOut *out, uint32_t column, int16_t value) {
    LEAT_CHECK_OUT_("leat_out_i16", LEAT_COLUMN_TYPE_IS_(out, LEAT_SMALLINT, LEAT_SMALLINT));
    ((int16_t *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_i32(LeatOut *out, uint32_t column, int32_t value) {
    LEAT_CHECK_OUT_("leat_out_i32", LEAT_COLUMN_TYPE_IS_(out, LEAT_INT, LEAT_DATE));
    ((int32_t *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_i64(LeatOut *out, uint32_t column, int64_t value) {
    LEAT_CHECK_OUT_("leat_out_i64", LEAT_COLUMN_TYPE_IS_(out, LEAT_BIGINT, LEAT_TIMESTAMP));
    ((int64_t *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_f32(LeatOut *out, uint32_t column, float value) {
    LEAT_CHECK_OUT_("leat_out_f32", LEAT_COLUMN_TYPE_IS_(out, LEAT_FLOAT, LEAT_FLOAT));
    ((float *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_f64(LeatOut *out, uint32_t column, double value) {
    LEAT_CHECK_OUT_("leat_out_f64", LEAT_COLUMN_TYPE_IS_(out, LEAT_DOUBLE, LEAT_DOUBLE));
    ((double *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_decimal(LeatOut *out, uint32_t column, LeatDecimal value) {
    LEAT_CHECK_OUT_("leat_out_decimal", LEAT_COLUMN_TYPE_IS_(out, LEAT_DECIMAL, LEAT_DECIMAL));
    ((LeatDecimal *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_str(LeatOut *out, uint32_t column, LeatStr value) {
    LEAT_CHECK_OUT_("leat_out_str", LEAT_COLUMN_TYPE_IS_(out, LEAT_STRING, LEAT_BINARY));
    uintptr_t at = (uintptr_t)value.data;
    if (at - out->stable_begin[0] >= out->stable_size[0] && at - out->stable_begin[1] >= out->stable_size[1])
        value = leat_out_keep(out, value);
    ((LeatStr *)out->columns[column].data)[out->row] = value;
}

static inline void leat_out_null(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_null", true);
    out->columns[column].nulls[out->row] = 1;
    out->has_nulls = true;
}

static inline void leat_out_emit(LeatOut *out) {
    if (++out->row == out->row_limit)
        leat_out_flush_(out);
}

static inline int8_t *leat_out_i8s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_i8s", LEAT_COLUMN_TYPE_IS_(out, LEAT_TINYINT, LEAT_TINYINT));
    return (int8_t *)out->columns[column].data + out->row;
}

static inline int16_t *leat_out_i16s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_i16s", LEAT_COLUMN_TYPE_IS_(out, LEAT_SMALLINT, LEAT_SMALLINT));
    return (int16_t *)out->columns[column].data + out->row;
}

static inline int32_t *leat_out_i32s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_i32s", LEAT_COLUMN_TYPE_IS_(out, LEAT_INT, LEAT_DATE));
    return (int32_t *)out->columns[column].data + out->row;
}

static inline int64_t *leat_out_i64s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_i64s", LEAT_COLUMN_TYPE_IS_(out, LEAT_BIGINT, LEAT_TIMESTAMP));
    return (int64_t *)out->columns[column].data + out->row;
}

static inline float *leat_out_f32s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_f32s", LEAT_COLUMN_TYPE_IS_(out, LEAT_FLOAT, LEAT_FLOAT));
    return (float *)out->columns[column].data + out->row;
}

static inline double *leat_out_f64s(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_f64s", LEAT_COLUMN_TYPE_IS_(out, LEAT_DOUBLE, LEAT_DOUBLE));
    return (double *)out->columns[column].data + out->row;
}

static inline LeatDecimal *leat_out_decimals(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_decimals", LEAT_COLUMN_TYPE_IS_(out, LEAT_DECIMAL, LEAT_DECIMAL));
    return (LeatDecimal *)out->columns[column].data + out->row;
}

static inline LeatStr *leat_out_strs(LeatOut *out, uint32_t column) {
    LEAT_CHECK_OUT_("leat_out_strs", LEAT_COLUMN_TYPE_IS_(out, LEAT_STRING, LEAT_BINARY));
    return (LeatStr *)out->columns[column].data + out->row;
}

static inline void leat_out_emit_rows(LeatOut *out, uint32_t row_count) {
#ifndef NDEBUG
    if (row_count > out->row_limit - out->row)
        leat_emit_misuse_(row_count, out->row_limit - out->row);
#endif
    out->row += row_count;
    if (out->row == out->row_limit)
        leat_out_flush_(out);
}

#ifdef __cplusplus
}
#endif

#endif
