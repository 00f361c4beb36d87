/* codec.c - the layout is in codec.h. Each of the three walks (encode, decode, format) follows the type;
 * decode and format read through a Reader, whose first short read is found at the end of each value. */
#include "column/codec.h"

#include "column/builder_parts.h"
#include "column/literal.h"

#include <inttypes.h>

/* Keys of one such column are their bare bytes. */
static bool is_bare(LeatType kind) {
    return type_is_word(kind) || type_is_string(kind);
}

uint64_t codec_key_word(LeatType kind, uint64_t word) {
    if (kind == LEAT_DOUBLE) {
        double value;
        memcpy(&value, &word, sizeof value);
        return value != value ? UINT64_C(0x7ff8000000000000) : value == 0 ? 0 : word;
    }
    if (kind == LEAT_FLOAT) {
        uint32_t bits = (uint32_t)word;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value != value ? UINT64_C(0x7fc00000) : value == 0 ? 0 : word;
    }
    return word;
}

/* ---- encoding ---- */

static uint64_t word_at(const Column *column, uint32_t row, bool is_key) {
    uint64_t word = column_word(column, row);
    return is_key ? codec_key_word(column->type->kind, word) : word;
}

void codec_put_word(LeatType kind, uint64_t word, Text *out) {
    switch (type_value_size(kind)) {
    case 1:
        bytes_put_u8(out, (uint8_t)word);
        return;
    case 2:
        bytes_put_u8(out, (uint8_t)word);
        bytes_put_u8(out, (uint8_t)(word >> 8));
        return;
    case 4:
        bytes_put_u32(out, (uint32_t)word);
        return;
    default:
        bytes_put_u64(out, word);
    }
}

void codec_put_decimal(LeatDecimal value, Text *out) {
    bytes_put_u64(out, (uint64_t)value);
    bytes_put_u64(out, (uint64_t)(value >> 64));
}

static void encode(const Column *column, uint32_t row, bool is_key, Text *out) {
    if (column_is_null(column, row)) {
        bytes_put_u8(out, 0);
        return;
    }
    bytes_put_u8(out, 1);
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        bytes_put_u8(out, column_bool(column, row));
        return;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP:
        codec_put_word(column->type->kind, word_at(column, row, is_key), out);
        return;
    case LEAT_DECIMAL:
        codec_put_decimal(column_decimal(column, row), out);
        return;
    case LEAT_STRING:
    case LEAT_BINARY: {
        Str bytes = column_str(column, row);
        bytes_put_u32(out, (uint32_t)bytes.size);
        text_append(out, bytes);
        return;
    }
    case LEAT_ARRAY:
    case LEAT_MAP: {
        const int32_t *offsets = column->data;
        bytes_put_u32(out, (uint32_t)(offsets[row + 1] - offsets[row]));
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++)
            for (uint32_t c = 0; c < column->type->field_count; c++)
                encode(&column->children[c], (uint32_t)i, is_key, out);
        return;
    }
    case LEAT_STRUCT:
        for (uint32_t i = 0; i < column->type->field_count; i++)
            encode(&column->children[i], row, is_key, out);
        return;
    }
}

void codec_encode_value(const Column *columns, uint32_t begin, uint32_t end, uint32_t row, Text *out) {
    if (end - begin == 1 && type_is_word(columns[begin].type->kind)) {
        if (!column_is_null(&columns[begin], row))
            bytes_put_u64(out, word_at(&columns[begin], row, false));
        return;
    }
    for (uint32_t i = begin; i < end; i++)
        encode(&columns[i], row, false, out);
}

void codec_encode_key(const Column *columns, uint32_t key_count, uint32_t row, Text *out, bool *is_null) {
    *is_null = false;
    if (key_count != 1 || !is_bare(columns[0].type->kind)) {
        for (uint32_t i = 0; i < key_count; i++)
            encode(&columns[i], row, true, out);
    } else if (column_is_null(&columns[0], row)) {
        *is_null = true;
    } else if (type_is_string(columns[0].type->kind)) {
        text_append(out, column_str(&columns[0], row));
    } else {
        bytes_put_u64(out, word_at(&columns[0], row, true));
    }
}

/* ---- what decoding refuses ---- */

CHECKED static Status corrupt(const Reader *r, const char *what, Error *err) {
    return error_set(err, STATUS_CORRUPT, "encoded row: at byte %zu of %zu: %s", r->offset, r->size, what);
}

CHECKED static Status check_read(const Reader *r, Error *err) {
    return r->failed ? corrupt(r, "the bytes end within a value", err) : STATUS_OK;
}

CHECKED static Status check_end(const Reader *r, Error *err) {
    TRY(check_read(r, err));
    return r->offset < r->size ? corrupt(r, "there are bytes behind the last value", err) : STATUS_OK;
}

/* A byte that can only be 0 or 1. */
CHECKED static Status read_flag(Reader *r, const char *what, bool *value, Error *err) {
    uint8_t byte = reader_u8(r);
    TRY(check_read(r, err));
    *value = byte;
    return byte > 1 ? corrupt(r, what, err) : STATUS_OK;
}

CHECKED static Status read_presence(Reader *r, bool *is_there, Error *err) {
    return read_flag(r, "neither null nor a value", is_there, err);
}

CHECKED static Status read_bool(Reader *r, bool *value, Error *err) {
    return read_flag(r, "neither true nor false", value, err);
}

uint64_t codec_read_word(Reader *r, LeatType kind) {
    uint64_t low;
    switch (kind) {
    case LEAT_TINYINT:
        return (uint64_t)(int64_t)(int8_t)reader_u8(r);
    case LEAT_SMALLINT:
        low = reader_u8(r);
        return (uint64_t)(int64_t)(int16_t)(low | (uint64_t)reader_u8(r) << 8);
    case LEAT_INT:
    case LEAT_DATE:
        return (uint64_t)(int64_t)(int32_t)reader_u32(r);
    case LEAT_FLOAT:
        return reader_u32(r);
    default:
        return reader_u64(r);
    }
}

LeatDecimal codec_read_decimal(Reader *r) {
    uint64_t low = reader_u64(r);
    return (LeatDecimal)((unsigned __int128)reader_u64(r) << 64 | low);
}

CHECKED static Status check_key_word(const Reader *r, LeatType kind, bool is_key, uint64_t word, Error *err) {
    TRY(check_read(r, err));
    return is_key && word != codec_key_word(kind, word)
               ? corrupt(r, "a floating point number that no key holds", err)
               : STATUS_OK;
}

CHECKED static Status read_word(Reader *r, LeatType kind, bool is_key, uint64_t *word, Error *err) {
    *word = codec_read_word(r, kind);
    return check_key_word(r, kind, is_key, *word, err);
}

/* All of the bytes are one word. */
CHECKED static Status read_bare_word(Reader *r, LeatType kind, bool is_key, uint64_t *word, Error *err) {
    *word = reader_u64(r);
    TRY(check_key_word(r, kind, is_key, *word, err));
    uint64_t back;
    word_store(&back, 0, kind, *word);
    if (word_load(&back, 0, kind) != *word)
        return corrupt(r, "a number that does not fit its type", err);
    return check_end(r, err);
}

CHECKED static Status read_decimal(Reader *r, const Type *type, LeatDecimal *value, Error *err) {
    *value = codec_read_decimal(r);
    TRY(check_read(r, err));
    return decimal_fits(*value, type->precision)
               ? STATUS_OK
               : corrupt(r, "a number of more digits than its type has", err);
}

CHECKED static Status read_string(Reader *r, Str *bytes, Error *err) {
    *bytes = reader_bytes(r, reader_u32(r));
    return check_read(r, err);
}

/* An element takes a byte at least: a wrong count is found before memory is asked for. */
CHECKED static Status read_count(Reader *r, uint32_t *count, Error *err) {
    *count = reader_u32(r);
    TRY(check_read(r, err));
    return *count > r->size - r->offset ? corrupt(r, "more elements than there are bytes", err) : STATUS_OK;
}

/* The key of a MAP: it is looked at, not taken. */
CHECKED static Status check_map_key(const Reader *r, Error *err) {
    return r->offset < r->size && r->data[r->offset] == 0 ? corrupt(r, "a null key of a map", err)
                                                          : STATUS_OK;
}

/* ---- decoding ---- */

CHECKED static Status decode(Reader *r, Builder *b, BuilderPart *part, uint32_t index, bool is_key,
                             Error *err) {
    bool is_there;
    TRY(read_presence(r, &is_there, err));
    if (!is_there)
        return part_null(b, part, index, err);
    switch (part->type->kind) {
    case LEAT_BOOLEAN: {
        bool value;
        TRY(read_bool(r, &value, err));
        return part_bool(b, part, index, value, err);
    }
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP: {
        uint64_t word;
        TRY(read_word(r, part->type->kind, is_key, &word, err));
        return part_word(b, part, index, word, err);
    }
    case LEAT_DECIMAL: {
        LeatDecimal value;
        TRY(read_decimal(r, part->type, &value, err));
        return part_decimal(b, part, index, value, err);
    }
    case LEAT_STRING:
    case LEAT_BINARY: {
        Str bytes;
        TRY(read_string(r, &bytes, err));
        return part_str(b, part, index, bytes, err);
    }
    case LEAT_ARRAY:
    case LEAT_MAP: {
        uint32_t count, element_begin = 0;
        TRY(read_count(r, &count, err));
        TRY(part_list(b, part, index, count, &element_begin, err));
        for (uint32_t i = 0; i < count; i++) {
            if (part->type->kind == LEAT_MAP)
                TRY(check_map_key(r, err));
            for (uint32_t c = 0; c < part->type->field_count; c++)
                TRY(decode(r, b, &part->children[c], element_begin + i, is_key, err));
        }
        return STATUS_OK;
    }
    case LEAT_STRUCT:
        TRY(part_struct(b, part, index, err));
        for (uint32_t i = 0; i < part->type->field_count; i++)
            TRY(decode(r, b, &part->children[i], index, is_key, err));
        return STATUS_OK;
    }
    return STATUS_OK;
}

CHECKED static Status decode_columns(Reader *r, Builder *b, uint32_t begin, uint32_t end, bool is_key,
                                     Error *err) {
    for (uint32_t i = begin; i < end; i++)
        TRY(decode(r, b, builder_part(b, i), builder_row_count(b), is_key, err));
    return check_end(r, err);
}

Status codec_decode_value(Str bytes, Builder *b, uint32_t begin, uint32_t end, Error *err) {
    Reader r = reader_of(bytes);
    BuilderPart *part = end - begin == 1 ? builder_part(b, begin) : NULL;
    if (!part || !type_is_word(part->type->kind))
        return decode_columns(&r, b, begin, end, false, err);
    if (bytes.size == 0)
        return part_null(b, part, builder_row_count(b), err);
    uint64_t word;
    TRY(read_bare_word(&r, part->type->kind, false, &word, err));
    return part_word(b, part, builder_row_count(b), word, err);
}

Status codec_decode_key(Str bytes, bool is_null, Builder *b, uint32_t key_count, Error *err) {
    Reader r = reader_of(bytes);
    BuilderPart *part = key_count == 1 ? builder_part(b, 0) : NULL;
    bool is_single = part && is_bare(part->type->kind);
    uint32_t row = builder_row_count(b);
    if (is_null && (!is_single || bytes.size))
        return corrupt(&r, "a null key that has columns or bytes", err);
    if (!is_single)
        return decode_columns(&r, b, 0, key_count, true, err);
    if (is_null)
        return part_null(b, part, row, err);
    if (type_is_string(part->type->kind))
        return part_str(b, part, row, bytes, err);
    uint64_t word;
    TRY(read_bare_word(&r, part->type->kind, true, &word, err));
    return part_word(b, part, row, word, err);
}

/* ---- for people ---- */

static void format_word(LeatType kind, uint64_t word, Text *out) {
    double f64;
    float f32;
    uint32_t bits = (uint32_t)word;
    switch (kind) {
    case LEAT_DOUBLE:
        memcpy(&f64, &word, sizeof f64);
        literal_f64(f64, out);
        return;
    case LEAT_FLOAT:
        memcpy(&f32, &bits, sizeof f32);
        literal_f64((double)f32, out);
        return;
    case LEAT_DATE:
        literal_date((int32_t)word, out);
        return;
    case LEAT_TIMESTAMP:
        literal_timestamp((int64_t)word, out);
        return;
    default:
        literal_i64((int64_t)word, out);
    }
}

static void format_string(LeatType kind, Str bytes, Text *out) {
    (kind == LEAT_STRING ? literal_string : literal_binary)(bytes, out);
}

CHECKED static Status format(Reader *r, const Type *type, bool is_key, Text *out, Error *err) {
    bool is_there;
    TRY(read_presence(r, &is_there, err));
    if (!is_there) {
        text_append(out, STR("None"));
        return STATUS_OK;
    }
    switch (type->kind) {
    case LEAT_BOOLEAN: {
        bool value;
        TRY(read_bool(r, &value, err));
        literal_bool(value, out);
        return STATUS_OK;
    }
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_FLOAT:
    case LEAT_DOUBLE:
    case LEAT_DATE:
    case LEAT_TIMESTAMP: {
        uint64_t word;
        TRY(read_word(r, type->kind, is_key, &word, err));
        format_word(type->kind, word, out);
        return STATUS_OK;
    }
    case LEAT_DECIMAL: {
        LeatDecimal value;
        TRY(read_decimal(r, type, &value, err));
        literal_decimal(value, type->scale, out);
        return STATUS_OK;
    }
    case LEAT_STRING:
    case LEAT_BINARY: {
        Str bytes;
        TRY(read_string(r, &bytes, err));
        format_string(type->kind, bytes, out);
        return STATUS_OK;
    }
    case LEAT_ARRAY: {
        uint32_t count;
        TRY(read_count(r, &count, err));
        text_append_byte(out, '[');
        for (uint32_t i = 0; i < count; i++) {
            text_append(out, i ? STR(", ") : STR(""));
            TRY(format(r, &type->fields[0].type, is_key, out, err));
        }
        text_append_byte(out, ']');
        return STATUS_OK;
    }
    case LEAT_STRUCT:
        text_append(out, STR("Row("));
        for (uint32_t i = 0; i < type->field_count; i++) {
            text_appendf(out, "%s%s=", i ? ", " : "", type->fields[i].name);
            TRY(format(r, &type->fields[i].type, is_key, out, err));
        }
        text_append_byte(out, ')');
        return STATUS_OK;
    case LEAT_MAP: {
        uint32_t count;
        TRY(read_count(r, &count, err));
        text_append_byte(out, '{');
        for (uint32_t i = 0; i < count; i++) {
            text_append(out, i ? STR(", ") : STR(""));
            TRY(check_map_key(r, err));
            TRY(format(r, &type->fields[0].type, is_key, out, err));
            text_append(out, STR(": "));
            TRY(format(r, &type->fields[1].type, is_key, out, err));
        }
        text_append_byte(out, '}');
        return STATUS_OK;
    }
    }
    return STATUS_OK;
}

CHECKED static Status format_columns(Reader *r, const Field *fields, uint32_t count, bool is_key, Text *out,
                                     Error *err) {
    if (count != 1)
        text_append_byte(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        text_append(out, i ? STR(", ") : STR(""));
        TRY(format(r, &fields[i].type, is_key, out, err));
    }
    if (count != 1)
        text_append_byte(out, ')');
    return check_end(r, err);
}

CHECKED static Status format_bare(Reader *r, LeatType kind, bool is_key, Text *out, Error *err) {
    uint64_t word;
    if (type_is_string(kind)) {
        format_string(kind, reader_bytes(r, r->size), out);
        return STATUS_OK;
    }
    TRY(read_bare_word(r, kind, is_key, &word, err));
    format_word(kind, word, out);
    return STATUS_OK;
}

Status codec_format(Str bytes, bool is_key, bool is_null, const Field *fields, uint32_t count, Text *out,
                    Error *err) {
    Reader r = reader_of(bytes);
    bool is_single = count == 1 && (is_key ? is_bare : type_is_word)(fields[0].type.kind);
    bool is_null_value = is_single && !is_key && bytes.size == 0;
    size_t size_before = out->size;
    Status st = STATUS_OK;
    if (is_null && (!is_single || bytes.size))
        return corrupt(&r, "a null key that has columns or bytes", err);
    if (is_null || is_null_value)
        text_append(out, STR("None"));
    else if (is_single)
        st = format_bare(&r, fields[0].type.kind, is_key, out, err);
    else
        st = format_columns(&r, fields, count, is_key, out, err);
    if (st != STATUS_OK && out->data) {
        out->size = size_before;
        out->data[size_before] = 0;
    }
    return st;
}
