/* fold.c - see fold.h. */
#include "exec/fold.h"

/* Which of the forms of an operation a type takes. */
static FoldOp by_type(LeatType type, FoldOp i64, FoldOp f32, FoldOp f64, FoldOp decimal, FoldOp str) {
    switch (type) {
    case LEAT_FLOAT:
        return f32;
    case LEAT_DOUBLE:
        return f64;
    case LEAT_DECIMAL:
        return decimal;
    case LEAT_STRING:
    case LEAT_BINARY:
        return str;
    default:
        return i64;
    }
}

FoldOp fold_op(LeatFunctionKind function, LeatType type) {
    switch (function) {
    case LEAT_FUNCTION_SUM:
        return by_type(type, FOLD_SUM_I64, FOLD_SUM_F32, FOLD_SUM_F64, FOLD_SUM_DECIMAL, FOLD_CONCAT);
    case LEAT_FUNCTION_MIN:
        return by_type(type, FOLD_MIN_I64, FOLD_MIN_F32, FOLD_MIN_F64, FOLD_MIN_DECIMAL, FOLD_MIN_STR);
    case LEAT_FUNCTION_MAX:
        return by_type(type, FOLD_MAX_I64, FOLD_MAX_F32, FOLD_MAX_F64, FOLD_MAX_DECIMAL, FOLD_MAX_STR);
    case LEAT_FUNCTION_CONCAT:
        return FOLD_CONCAT;
    case LEAT_FUNCTION_SUBTRACT:
        return by_type(type, FOLD_SUBTRACT_I64, FOLD_SUBTRACT_F32, FOLD_SUBTRACT_F64, FOLD_SUBTRACT_DECIMAL,
                       FOLD_REDUCE);
    default:
        return FOLD_REDUCE;
    }
}

/* ---- words ---- */

static const uint64_t nan_bits = 0x7ff8000000000000ull, minus_zero_bits = 1ull << 63,
                      minus_infinity_bits = 0xfff0000000000000ull;
static const uint32_t nan_bits_f32 = 0x7fc00000u, minus_zero_bits_f32 = 1u << 31,
                      minus_infinity_bits_f32 = 0xff800000u;

static inline double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* F2: integers in the same order. */
static inline int64_t double_rank(uint64_t bits) {
    return (int64_t)(bits ^ (uint64_t)((int64_t)bits >> 63 & INT64_MAX));
}

static inline uint64_t one_nan(uint64_t bits) {
    return (bits & ~minus_zero_bits) > 0x7ff0000000000000ull ? nan_bits : bits;
}

/* The same for FLOAT. */
static inline float as_float(uint64_t word) {
    uint32_t bits = (uint32_t)word;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t as_bits_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline int32_t float_rank(uint64_t word) {
    int32_t bits = (int32_t)word;
    return bits ^ (bits >> 31 & INT32_MAX);
}

static inline uint64_t one_nan_f32(uint64_t word) {
    return (word & ~(uint64_t)minus_zero_bits_f32) > 0x7f800000u ? nan_bits_f32 : word;
}

uint64_t fold_identity(FoldOp op) {
    switch (op) {
    case FOLD_SUM_F32:
        return minus_zero_bits_f32;
    case FOLD_MIN_F32:
        return nan_bits_f32;
    case FOLD_MAX_F32:
        return minus_infinity_bits_f32;
    case FOLD_SUM_F64:
        return minus_zero_bits;
    case FOLD_MIN_I64:
        return INT64_MAX;
    case FOLD_MAX_I64:
        return (uint64_t)INT64_MIN;
    case FOLD_MIN_F64:
        return nan_bits;
    case FOLD_MAX_F64:
        return minus_infinity_bits;
    case FOLD_REDUCE: /* has none: a word that hardly ever comes */
        return 0x5bd1e9955bd1e995ull;
    default:
        return 0;
    }
}

static inline __attribute__((always_inline)) uint64_t combine(FoldOp op, uint64_t a, uint64_t b) {
    switch (op) {
    case FOLD_SUM_F32:
        return as_bits_f32(as_float(a) + as_float(b));
    case FOLD_SUM_F64:
        return as_bits(as_double(a) + as_double(b));
    case FOLD_SUBTRACT_I64:
        return a - b;
    case FOLD_SUBTRACT_F32:
        return as_bits_f32(as_float(a) - as_float(b));
    case FOLD_SUBTRACT_F64:
        return as_bits(as_double(a) - as_double(b));
    case FOLD_MIN_I64:
        return (int64_t)b < (int64_t)a ? b : a;
    case FOLD_MAX_I64:
        return (int64_t)b > (int64_t)a ? b : a;
    case FOLD_MIN_F32:
        return float_rank(one_nan_f32(b)) < float_rank(a) ? b : a;
    case FOLD_MAX_F32:
        return float_rank(one_nan_f32(b)) > float_rank(a) ? one_nan_f32(b) : a;
    case FOLD_MIN_F64:
        return double_rank(one_nan(b)) < double_rank(a) ? b : a;
    case FOLD_MAX_F64:
        return double_rank(one_nan(b)) > double_rank(a) ? one_nan(b) : a;
    default:
        return a + b;
    }
}

uint64_t fold_word(FoldOp op, uint64_t a, uint64_t b) {
    return combine(op, a, b);
}

static inline __attribute__((always_inline)) void fold_words_by(FoldOp op, KeySlot *slots, const uint32_t *at,
                                                                const uint64_t *words, uint32_t count) {
    uint64_t identity = fold_identity(op);
    for (uint32_t i = 0; i < count; i++) {
        KeySlot *slot = &slots[at[i]];
        slot->value = combine(op, slot->value ^ identity, words[i]) ^ identity;
    }
}

void fold_words(FoldOp op, KeySlot *slots, const uint32_t *at, const uint64_t *words, uint32_t count) {
    switch (op) { /* a loop for each */
    case FOLD_SUM_F32:
        fold_words_by(FOLD_SUM_F32, slots, at, words, count);
        break;
    case FOLD_SUM_F64:
        fold_words_by(FOLD_SUM_F64, slots, at, words, count);
        break;
    case FOLD_MIN_I64:
        fold_words_by(FOLD_MIN_I64, slots, at, words, count);
        break;
    case FOLD_MAX_I64:
        fold_words_by(FOLD_MAX_I64, slots, at, words, count);
        break;
    case FOLD_MIN_F32:
        fold_words_by(FOLD_MIN_F32, slots, at, words, count);
        break;
    case FOLD_MIN_F64:
        fold_words_by(FOLD_MIN_F64, slots, at, words, count);
        break;
    case FOLD_MAX_F32:
        fold_words_by(FOLD_MAX_F32, slots, at, words, count);
        break;
    case FOLD_MAX_F64:
        fold_words_by(FOLD_MAX_F64, slots, at, words, count);
        break;
    default:
        fold_words_by(FOLD_SUM_I64, slots, at, words, count);
    }
}

/* ---- cells ---- */

/* Memory for `size` bytes; keeps the first `used`. It doubles: what grows once will grow again. */
CHECKED static Status cell_reserve(Cell *cell, size_t used, size_t size, const CellContext *context,
                                   Error *err) {
    if (size <= cell->capacity)
        return STATUS_OK;
    if (size > UINT32_MAX)
        return error_set(err, STATUS_NO_MEMORY, "%s: a value is longer than 4 GiB", context->who);
    size_t capacity = cell->capacity ? 2 * size : size;
    if (capacity > UINT32_MAX)
        capacity = UINT32_MAX;
    char *memory = arena_alloc(context->arena, capacity);
    if (!memory)
        return arena_no_memory(context->arena, capacity, err);
    if (used)
        memcpy(memory, cell->value.str.data, used);
    cell->value.str.data = memory;
    cell->capacity = (uint32_t)capacity;
    return STATUS_OK;
}

/* Only memory of our own is written: cell_reserve has made it. */
static char *cell_bytes(const Cell *cell) {
    return (char *)(uintptr_t)cell->value.str.data;
}

Status cell_set_str(Cell *cell, Str str, const CellContext *context, Error *err) {
    TRY(cell_reserve(cell, 0, str.size, context, err));
    if (cell->capacity == 0)
        cell->value.str.data = "";
    else if (str.size)
        memmove(cell_bytes(cell), str.data, str.size);
    cell->value.str.size = str.size;
    cell->has = true;
    return STATUS_OK;
}

CHECKED static Status cell_append(Cell *cell, Str str, const CellContext *context, Error *err) {
    size_t used = cell->value.str.size, size = used + context->separator.size + str.size;
    TRY(cell_reserve(cell, used, size, context, err));
    if (context->separator.size)
        memcpy(cell_bytes(cell) + used, context->separator.data, context->separator.size);
    if (str.size)
        memcpy(cell_bytes(cell) + used + context->separator.size, str.data, str.size);
    cell->value.str.size = size;
    return STATUS_OK;
}

CHECKED static Status fold_str(FoldOp op, Cell *cell, Str str, const CellContext *context, Error *err) {
    if (!cell->has)
        return cell_set_str(cell, str, context, err);
    if (op == FOLD_CONCAT)
        return cell_append(cell, str, context, err);
    int order = str_compare(str, cell->value.str);
    if (op == FOLD_MIN_STR ? order < 0 : order > 0)
        return cell_set_str(cell, str, context, err);
    return STATUS_OK;
}

static inline void fold_cell_word(FoldOp op, Cell *cell, uint64_t word) {
    if (!cell->has) {
        word = op == FOLD_MIN_F64 || op == FOLD_MAX_F64 ? one_nan(word) : word;
        word = op == FOLD_MIN_F32 || op == FOLD_MAX_F32 ? one_nan_f32(word) : word;
    }
    cell_set_word(cell, cell->has ? combine(op, cell->value.word, word) : word);
}

/* F4: adds b, and carry * 2^128 with it. */
static void add_decimal(Cell *cell, LeatDecimal b, int32_t carry) {
    __int128 sum;
    if (__builtin_add_overflow((__int128)cell->value.decimal, (__int128)b, &sum))
        carry += b < 0 ? -1 : 1; /* what it wrapped around by */
    cell->value.decimal = sum;
    cell->carry += carry;
}

static void fold_cell_decimal(FoldOp op, Cell *cell, LeatDecimal b, int32_t carry) {
    if (!cell->has) {
        cell->value.decimal = b;
        cell->carry = carry;
    } else if (op == FOLD_SUM_DECIMAL) {
        add_decimal(cell, b, carry);
    } else if (op == FOLD_MIN_DECIMAL ? b < cell->value.decimal : b > cell->value.decimal) {
        cell->value.decimal = b;
    }
    cell->has = true;
}

Status cell_check(const Cell *cell, const Field *field, const char *who, Error *err) {
    if (field->type.kind != LEAT_DECIMAL || !cell->has ||
        (cell->carry == 0 && decimal_fits(cell->value.decimal, field->type.precision)))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "%s: the sum of column '%s' has more digits than DECIMAL(%u, %u)",
                     who, field->name, field->type.precision, field->type.scale);
}

static bool folds_decimals(FoldOp op) {
    return op == FOLD_SUM_DECIMAL || op == FOLD_MIN_DECIMAL || op == FOLD_MAX_DECIMAL;
}

/* F4: -b is ~b + 1, and ~b never overflows. */
static void subtract_cell(FoldOp op, Cell *a, const Cell *b) {
    if (op != FOLD_SUBTRACT_DECIMAL) {
        cell_set_word(a, combine(op, a->value.word, b->value.word));
        return;
    }
    add_decimal(a, ~(__int128)b->value.decimal, -b->carry);
    add_decimal(a, 1, 0);
}

static bool subtracts(FoldOp op) {
    return FOLD_SUBTRACT_I64 <= op && op <= FOLD_SUBTRACT_DECIMAL;
}

static bool folds_strings(FoldOp op) {
    return op == FOLD_MIN_STR || op == FOLD_MAX_STR || op == FOLD_CONCAT;
}

Status fold_cells(FoldOp op, Cell *const *cells, uint32_t column, const Column *from, const Chunk *chunk,
                  const CellContext *context, Error *err) {
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        uint32_t row = chunk_row(chunk, i);
        Cell *cell = &cells[i][column];
        if (column_is_null(from, row))
            continue;
        if (folds_strings(op))
            TRY(fold_str(op, cell, column_str(from, row), context, err));
        else if (folds_decimals(op))
            fold_cell_decimal(op, cell, column_decimal(from, row), 0);
        else
            fold_cell_word(op, cell, column_word(from, row));
    }
    return STATUS_OK;
}

Status fold_cell(FoldOp op, Cell *a, const Cell *b, const CellContext *context, Error *err) {
    if (!b->has)
        return STATUS_OK;
    if (subtracts(op)) {
        if (a->has)
            subtract_cell(op, a, b);
        return STATUS_OK;
    }
    if (folds_strings(op))
        return fold_str(op, a, b->value.str, context, err);
    if (folds_decimals(op))
        fold_cell_decimal(op, a, b->value.decimal, b->carry);
    else
        fold_cell_word(op, a, b->value.word);
    return STATUS_OK;
}
