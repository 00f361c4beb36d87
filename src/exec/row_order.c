/* row_order.c - see row_order.h. */
#include "exec/row_order.h"

#include <string.h>

static const uint64_t sign_bit = UINT64_C(1) << 63;

/* Numbers whose unsigned order is that of the values. */
static uint64_t rank_of_i64(int64_t value) {
    return (uint64_t)value ^ sign_bit;
}

static uint64_t rank_of_f64(double value) {
    uint64_t bits;
    if (value != value)
        return UINT64_MAX;
    memcpy(&bits, &value, sizeof bits);
    return bits & sign_bit ? ~bits : bits | sign_bit;
}

/* The first eight bytes, zeros behind a shorter text. */
static uint64_t rank_of_str(Str text) {
    uint8_t bytes[8] = {0};
    if (text.size)
        memcpy(bytes, text.data, text.size < sizeof bytes ? text.size : sizeof bytes);
    uint64_t rank = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        rank = rank << 8 | bytes[i];
    return rank;
}

/* Of a value that is not null; a text and a DECIMAL may be unequal to another of the same rank. */
static uint64_t rank_of(const Column *column, uint32_t row) {
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        return column_bool(column, row);
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        return rank_of_i64((int64_t)column_word(column, row));
    case LEAT_FLOAT:
        return rank_of_f64((double)column_f32(column, row));
    case LEAT_DECIMAL:
        return rank_of_i64((int64_t)(column_decimal(column, row) >> 64));
    case LEAT_DOUBLE:
        return rank_of_f64(column_f64(column, row));
    case LEAT_STRING:
    case LEAT_BINARY:
        return rank_of_str(column_str(column, row));
    case LEAT_ARRAY:
    case LEAT_STRUCT:
    case LEAT_MAP:
        break;
    }
    ASSERT(false); /* plan_check_node lets no nested column through */
    return 0;
}

uint64_t row_rank(RowOrder order, const Column *columns, uint32_t row) {
    const Column *first = &columns[order.columns[0].column];
    uint64_t rank = column_is_null(first, row) ? 0 : rank_of(first, row);
    return order.columns[0].is_descending ? ~rank : rank;
}

static int compare_values(const Column *a, uint32_t a_row, const Column *b, uint32_t b_row) {
    bool a_null = column_is_null(a, a_row), b_null = column_is_null(b, b_row);
    if (a_null || b_null)
        return b_null - a_null;
    uint64_t a_rank = rank_of(a, a_row), b_rank = rank_of(b, b_row);
    if (a_rank != b_rank)
        return a_rank < b_rank ? -1 : 1;
    if (a->type->kind == LEAT_DECIMAL) {
        LeatDecimal left = column_decimal(a, a_row), right = column_decimal(b, b_row);
        return (left > right) - (left < right);
    }
    if (!type_is_string(a->type->kind))
        return 0;
    Str a_text = column_str(a, a_row), b_text = column_str(b, b_row);
    size_t common = a_text.size < b_text.size ? a_text.size : b_text.size;
    int order = common ? memcmp(a_text.data, b_text.data, common) : 0;
    return order ? order : (a_text.size > b_text.size) - (a_text.size < b_text.size);
}

int row_compare(RowOrder order, const Column *a, uint32_t a_row, const Column *b, uint32_t b_row) {
    for (uint32_t i = 0; i < order.count; i++) {
        uint32_t column = order.columns[i].column;
        int result = compare_values(&a[column], a_row, &b[column], b_row);
        if (result)
            return order.columns[i].is_descending ? -result : result;
    }
    return 0;
}
