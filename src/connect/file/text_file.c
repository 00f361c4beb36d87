/* text_file.c - leat_text_file: the lines of a file, read at once, as rows that are always the same. */
#include "connect/file/file_split.h"
#include "dstream/rows.h"
#include "format/text.h"

#define LINE_SIZE_BYTES_MAX (UINT64_C(16) << 20)

CHECKED static Status read_pieces(Split *split, TextReader *reader, BatchData *rows, Error *err) {
    for (TextPiece piece = {0};;) {
        TRY(split->class->next_piece(split, &piece, err));
        if (!piece.buffer)
            return STATUS_OK;
        text_reader_begin(reader, piece.buffer, piece.begin, piece.end, piece.skip_lf);
        for (Chunk chunk; text_reader_next(reader, &chunk);)
            TRY(rows_add(rows, &chunk, err));
    }
}

CHECKED static Status read_lines(Env *env, const char *path, const Schema *schema,
                                 uint64_t line_size_bytes_max, BatchData *rows, Error *err) {
    Status st = STATUS_OK;
    EnvFileInfo info;
    TextReader *reader = NULL;
    TRY(env_path_info(env, path, &info, err));
    if (!info.is_file)
        return error_set(err, STATUS_INVALID, "%s: not a file", path);
    Split *split = file_split_create((FileSplitOptions){.env = env,
                                                        .path = path,
                                                        .file_size_bytes = info.size_bytes,
                                                        .end = info.size_bytes,
                                                        .line_size_bytes_max = line_size_bytes_max});
    TRY_GOTO(destroy, text_reader_create((TextOptions){0}, schema, NULL, &reader, err));
    TRY_GOTO(destroy, split->class->open(split, NULL, err));
    st = read_pieces(split, reader, rows, err);
    split->class->close(split);
destroy:
    text_reader_destroy(reader);
    split->class->destroy(split);
    return st;
}

LeatStream *leat_text_file(LeatContext *context, const char *path) {
    const char *call = "leat_text_file";
    const Schema *schema = context_source_schema(context, call, "value STRING");
    if (!schema)
        return NULL;
    if (!path || !path[0])
        return context_refuse(context, STATUS_INVALID, "%s: the path is missing", call);
    uint64_t line_size_bytes_max = context->options.line_size_bytes_max;
    BatchData rows = {.schema = schema};
    Error err = {0};
    Status st = read_lines(context->env, path, schema,
                           line_size_bytes_max ? line_size_bytes_max : LINE_SIZE_BYTES_MAX, &rows, &err);
    if (st == STATUS_OK)
        return stream_from_rows(context, call, schema, rows);
    batch_data_deinit(&rows);
    return context_refuse(context, st, "%s: %s", call, err.message);
}
