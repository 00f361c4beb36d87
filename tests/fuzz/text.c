/* The text reader against leat_str_next_line and leat_str_split. The first two
 * bytes choose a separator (or none) and how large the pieces are that the text comes in; what stands behind
 * the last line ending of a piece is carried over to the next. */
#include "format/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append_row(Text *rows, Str row) {
    text_appendf(rows, "%zu:", row.size);
    text_append(rows, row);
}

static uint64_t model(Str text, TextOptions options, Text *rows) {
    Str line, part;
    uint64_t line_count = 0;
    for (; leat_str_next_line(&text, &line); line_count++) {
        if (!options.has_separator)
            append_row(rows, line);
        else
            while (leat_str_split(&line, options.separator, &part))
                append_row(rows, part);
    }
    return line_count;
}

static void read_piece(TextReader *reader, Str piece, size_t whole, Text *rows) {
    Buffer *buffer;
    Chunk chunk;
    Status st = buffer_create(piece.size, NULL, "fuzz", &buffer, NULL);
    ASSERT(st == STATUS_OK);
    if (piece.size)
        memcpy(buffer->data, piece.data, piece.size);
    buffer->size = piece.size;
    text_reader_begin(reader, buffer, 0, whole, false);
    while (text_reader_next(reader, &chunk)) {
        chunk_verify(&chunk);
        for (uint32_t i = 0; i < chunk.row_count; i++)
            append_row(rows, column_str(&chunk.columns[0], i));
    }
    buffer_release(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    char separator = (char)data[0];
    TextOptions options = {separator != '\n' && separator != '\r', separator};
    size_t piece_size = data[1] ? data[1] : size, begin = 0;
    Str text = str_slice(data + 2, size - 2);
    Arena *arena = arena_create(NULL, "fuzz");
    Schema *schema;
    TextReader *reader;
    Text wanted = {0}, rows = {0};
    uint64_t line_count = model(text, options, &wanted);
    Status st = schema_parse(arena, STR("value STRING"), 0, &schema, NULL);
    ASSERT(st == STATUS_OK);
    st = text_reader_create(options, schema, NULL, &reader, NULL);
    ASSERT(st == STATUS_OK);
    for (size_t end = piece_size; begin < text.size; end += piece_size) {
        bool is_last = end >= text.size;
        Str piece = str_slice(text.data + begin, (is_last ? text.size : end) - begin);
        size_t whole = is_last ? piece.size : text_cut(piece.data, piece.size);
        ASSERT(whole <= piece.size);
        read_piece(reader, piece, whole, &rows);
        begin += whole;
        if (is_last)
            break;
    }
    ASSERT(str_equal(text_str(&rows), text_str(&wanted)));
    ASSERT(text_reader_line_count(reader) == line_count);
    text_reader_destroy(reader);
    arena_destroy(arena);
    text_deinit(&wanted);
    text_deinit(&rows);
    return 0;
}
