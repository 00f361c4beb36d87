/* Encoded rows: the first byte chooses the types and whether it is a key, the rest is decoded. What is
 * accepted is encoded to the same bytes again, and shown; what decoding refuses, showing refuses, too. */
#include "column/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const schemas[] = {
    "s STRING",
    "i BIGINT",
    "d DOUBLE",
    "b BOOLEAN",
    "s STRING, i BIGINT, d DOUBLE, b BOOLEAN, x BINARY, t TIMESTAMP",
    "a ARRAY<STRING>",
    "a ARRAY<STRUCT<x: DOUBLE, y: ARRAY<BOOLEAN>>>, s STRUCT<p: STRING, q: STRUCT<r: BIGINT>>",
    "a ARRAY<ARRAY<ARRAY<DOUBLE>>>",
    "t TINYINT",
    "s SMALLINT",
    "f FLOAT",
    "y DATE",
    "c DECIMAL(5, 2)",
    "t TINYINT, s SMALLINT, i INT, f FLOAT, c DECIMAL(38, 9), y DATE",
    "m MAP<STRING, BIGINT>",
    "m MAP<DATE, ARRAY<DECIMAL(1, 1)>>, o OPTION<f: FLOAT>",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    Arena *arena = arena_create(NULL, "fuzz");
    Schema *schema;
    Builder *builder;
    bool is_key = data[0] & 64, is_null = data[0] & 128;
    Status st = schema_parse(arena, str_from(schemas[data[0] % ARRAY_COUNT(schemas)]), 0, &schema, NULL);
    ASSERT(st == STATUS_OK);
    uint32_t count = schema->column_count;
    st = builder_create(schema, NULL, "fuzz", &builder, NULL);
    ASSERT(st == STATUS_OK);
    /* A block of its own: a read past the end is seen. */
    char *bytes = malloc(size - 1 ? size - 1 : 1);
    if (size > 1)
        memcpy(bytes, data + 1, size - 1);
    Str encoded = {bytes, size - 1};
    Error err = {0}, show_err = {0};
    Text shown = {0}, again = {0};
    st = is_key ? codec_decode_key(encoded, is_null, builder, count, &err)
                : codec_decode_value(encoded, builder, 0, count, &err);
    Status show_st =
        codec_format(encoded, is_key, is_key && is_null, schema->fields, count, &shown, &show_err);
    ASSERT(st == STATUS_OK || st == STATUS_CORRUPT);
    ASSERT(show_st == st && strcmp(err.message, show_err.message) == 0);
    if (st == STATUS_OK) {
        Chunk chunk;
        bool is_null_again = false;
        builder_end_row(builder);
        builder_chunk(builder, &chunk);
        chunk_verify(&chunk);
        if (is_key)
            codec_encode_key(chunk.columns, count, 0, &again, &is_null_again);
        else
            codec_encode_value(chunk.columns, 0, count, 0, &again);
        ASSERT(str_equal(text_str(&again), encoded));
        ASSERT(!is_key || is_null_again == is_null);
        Text row = {0}; /* one column is shown bare by codec_format, (..) by chunk_format */
        chunk_format(&chunk, &row);
        Str inner = count == 1 ? str_slice(row.data + 1, row.size - 3) : str_slice(row.data, row.size - 1);
        ASSERT(str_equal(text_str(&shown), inner));
        text_deinit(&row);
    }
    text_deinit(&shown);
    text_deinit(&again);
    free(bytes);
    builder_destroy(builder);
    arena_destroy(arena);
    return 0;
}
