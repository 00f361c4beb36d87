#include "dstream/row_text.h"

#include "base/decimal.h"
#include "column/literal.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

/* ---- numbers ---- */

/* ddd.ddd with at least one digit on both sides. */
static void append_positional(const Decimal *d, Text *out) {
    if (d->point <= 0)
        text_append(out, STR("0."));
    for (int i = d->point; i < 0; i++)
        text_append_byte(out, '0');
    for (int i = 0; i < d->digit_count || i < d->point; i++) {
        if (i > 0 && i == d->point)
            text_append_byte(out, '.');
        text_append_byte(out, i < d->digit_count ? d->digits[i] : '0');
    }
    if (d->point >= d->digit_count)
        text_append(out, STR(".0"));
}

/* Double.toString and Float.toString: positional in [10^-3, 10^7), else 1.0E10. */
static void scala_number(double value, bool is_f32, Text *out) {
    if (isnan(value)) {
        text_append(out, STR("NaN"));
        return;
    }
    if (signbit(value))
        text_append_byte(out, '-');
    if (isinf(value)) {
        text_append(out, STR("Infinity"));
        return;
    }
    Decimal d = is_f32 ? decimal_shortest_f32((float)value, 2) : decimal_shortest(value, 2);
    if (value == 0 || (d.point > -3 && d.point <= 7)) {
        append_positional(&d, out);
        return;
    }
    text_appendf(out, "%c.%sE%d", d.digits[0], d.digit_count > 1 ? d.digits + 1 : "0", d.point - 1);
}

/* ---- strings ---- */

static void scala_bytes(Str value, Text *out) {
    text_append_byte(out, '[');
    for (size_t i = 0; i < value.size; i++)
        text_appendf(out, i ? " %02X" : "%02X", (unsigned char)value.data[i]);
    text_append_byte(out, ']');
}

static void plain_string(const RowText *how, Str value, Text *out) {
    if (how->is_terminal)
        text_append_escaped(out, value);
    else
        text_append(out, value);
}

/* ---- times ---- */

static int fraction_us(int64_t time_us) {
    int64_t us = time_us % 1000000;
    return (int)(us < 0 ? us + 1000000 : us);
}

static void append_local_second(const struct tm *t, Text *out) {
    text_appendf(out, "%04d-%02d-%02d %02d:%02d:%02d", t->tm_year + 1900, t->tm_mon + 1, t->tm_mday,
                 t->tm_hour, t->tm_min, t->tm_sec);
}

/* java.sql.Timestamp.toString: a fraction always, without zeros at its end. */
static void scala_timestamp(const RowText *how, int64_t time_us, Text *out) {
    struct tm t;
    env_local_time(how->env, time_us, &t);
    append_local_second(&t, out);
    text_appendf(out, ".%06d", fraction_us(time_us));
    for (int kept = 6; kept > 1 && out->data[out->size - 1] == '0'; kept--)
        out->data[--out->size] = 0;
}

/* str(datetime) */
static void python_time(const RowText *how, int64_t time_us, Text *out) {
    struct tm t;
    env_local_time(how->env, time_us, &t);
    append_local_second(&t, out);
    if (fraction_us(time_us))
        text_appendf(out, ".%06d", fraction_us(time_us));
}

/* repr(datetime): seconds are left out where they and what follows are 0. */
static void python_time_repr(const RowText *how, int64_t time_us, Text *out) {
    struct tm t;
    env_local_time(how->env, time_us, &t);
    text_appendf(out, "datetime.datetime(%d, %d, %d, %d, %d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                 t.tm_hour, t.tm_min);
    if (t.tm_sec || fraction_us(time_us))
        text_appendf(out, ", %d", t.tm_sec);
    if (fraction_us(time_us))
        text_appendf(out, ", %d", fraction_us(time_us));
    text_append_byte(out, ')');
}

/* repr(datetime.date) */
static void python_date_repr(int32_t day, Text *out) {
    Date date = date_of_day(day);
    text_appendf(out, "datetime.date(%" PRId64 ", %d, %d)", date.year, date.month, date.day);
}

/* ---- values ---- */

static void python_value(const RowText *how, const Column *column, uint32_t row, bool is_alone, Text *out);
static void scala_value(const RowText *how, const Column *column, uint32_t row, Text *out);

/* The columns as a tuple. */
static void tuple(const RowText *how, const Column *columns, uint32_t count, uint32_t row, Text *out) {
    bool is_python = how->style == ROW_TEXT_PYTHON;
    text_append_byte(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text_append(out, is_python ? STR(", ") : STR(","));
        if (is_python)
            python_value(how, &columns[i], row, false, out);
        else
            scala_value(how, &columns[i], row, out);
    }
    if (is_python && count == 1)
        text_append_byte(out, ',');
    text_append_byte(out, ')');
}

/* The fields of a value that is there: one stands for itself, several are a tuple. */
static void option_value(const RowText *how, const Column *option, uint32_t row, Text *out) {
    if (option->type->field_count > 1)
        tuple(how, option->children, option->type->field_count, row, out);
    else if (how->style == ROW_TEXT_PYTHON)
        python_value(how, option->children, row, false, out);
    else
        scala_value(how, option->children, row, out);
}

static void scala_value(const RowText *how, const Column *column, uint32_t row, Text *out) {
    if (column_is_null(column, row)) {
        text_append(out, column->type->is_option ? STR("None") : STR("null"));
        return;
    }
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        text_append(out, column_bool(column, row) ? STR("true") : STR("false"));
        return;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
        literal_i64((int64_t)column_word(column, row), out);
        return;
    case LEAT_FLOAT:
        scala_number((double)column_f32(column, row), true, out);
        return;
    case LEAT_DOUBLE:
        scala_number(column_f64(column, row), false, out);
        return;
    case LEAT_DECIMAL:
        literal_decimal_digits(column_decimal(column, row), column->type->scale, out);
        return;
    case LEAT_DATE:
        literal_date(column_i32(column, row), out);
        return;
    case LEAT_STRING:
        plain_string(how, column_str(column, row), out);
        return;
    case LEAT_BINARY:
        scala_bytes(column_str(column, row), out);
        return;
    case LEAT_TIMESTAMP:
        scala_timestamp(how, column_i64(column, row), out);
        return;
    case LEAT_ARRAY: {
        const int32_t *offsets = column->data;
        text_append(out, STR("CompactBuffer("));
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            scala_value(how, &column->children[0], (uint32_t)i, out);
        }
        text_append_byte(out, ')');
        return;
    }
    case LEAT_STRUCT:
        if (column->type->is_option) {
            text_append(out, STR("Some("));
            option_value(how, column, row, out);
            text_append_byte(out, ')');
            return;
        }
        tuple(how, column->children, column->type->field_count, row, out);
        return;
    case LEAT_MAP: {
        const int32_t *offsets = column->data;
        text_append(out, STR("Map("));
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            scala_value(how, &column->children[0], (uint32_t)i, out);
            text_append(out, STR(" -> "));
            scala_value(how, &column->children[1], (uint32_t)i, out);
        }
        text_append_byte(out, ')');
        return;
    }
    }
}

/* Alone a string, a number of DECIMAL and a time are shown by str(), inside something by repr(). */
static void python_value(const RowText *how, const Column *column, uint32_t row, bool is_alone, Text *out) {
    if (column_is_null(column, row)) {
        text_append(out, STR("None"));
        return;
    }
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        literal_bool(column_bool(column, row), out);
        return;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
        literal_i64((int64_t)column_word(column, row), out);
        return;
    case LEAT_FLOAT:
        literal_f64((double)column_f32(column, row), out);
        return;
    case LEAT_DECIMAL:
        if (is_alone)
            literal_decimal_digits(column_decimal(column, row), column->type->scale, out);
        else
            literal_decimal(column_decimal(column, row), column->type->scale, out);
        return;
    case LEAT_DATE:
        if (is_alone)
            literal_date(column_i32(column, row), out);
        else
            python_date_repr(column_i32(column, row), out);
        return;
    case LEAT_DOUBLE:
        literal_f64(column_f64(column, row), out);
        return;
    case LEAT_STRING:
        if (is_alone)
            plain_string(how, column_str(column, row), out);
        else
            literal_string(column_str(column, row), out);
        return;
    case LEAT_BINARY:
        literal_binary(column_str(column, row), out);
        return;
    case LEAT_TIMESTAMP:
        if (is_alone)
            python_time(how, column_i64(column, row), out);
        else
            python_time_repr(how, column_i64(column, row), out);
        return;
    case LEAT_ARRAY: {
        const int32_t *offsets = column->data;
        text_append_byte(out, '[');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            python_value(how, &column->children[0], (uint32_t)i, false, out);
        }
        text_append_byte(out, ']');
        return;
    }
    case LEAT_STRUCT:
        if (column->type->is_option)
            option_value(how, column, row, out);
        else
            tuple(how, column->children, column->type->field_count, row, out);
        return;
    case LEAT_MAP: {
        const int32_t *offsets = column->data;
        text_append_byte(out, '{');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append(out, STR(", "));
            python_value(how, &column->children[0], (uint32_t)i, false, out);
            text_append(out, STR(": "));
            python_value(how, &column->children[1], (uint32_t)i, false, out);
        }
        text_append_byte(out, '}');
        return;
    }
    }
}

/* One side of a pair, or an element without a key. */
static void side(const RowText *how, const Column *columns, uint32_t count, uint32_t row, bool is_alone,
                 Text *out) {
    if (count > 1)
        tuple(how, columns, count, row, out);
    else if (how->style == ROW_TEXT_PYTHON)
        python_value(how, columns, row, is_alone, out);
    else
        scala_value(how, columns, row, out);
}

void row_text(const RowText *how, const Schema *schema, const Column *columns, uint32_t row, Text *out) {
    uint32_t key_count = schema->key_count, value_count = schema->column_count - key_count;
    if (key_count == 0 || value_count == 0) {
        side(how, columns, schema->column_count, row, true, out);
        return;
    }
    text_append_byte(out, '(');
    side(how, columns, key_count, row, false, out);
    text_append(out, how->style == ROW_TEXT_PYTHON ? STR(", ") : STR(","));
    side(how, columns + key_count, value_count, row, false, out);
    text_append_byte(out, ')');
}

void row_text_time(const RowText *how, int64_t batch_time_ms, Text *out) {
    if (how->style == ROW_TEXT_SCALA)
        text_appendf(out, "%" PRId64 " ms", batch_time_ms);
    else
        python_time(how, batch_time_ms * 1000, out);
}
