/* A record batch through Leat's columns and back, for check.py. */
#include "column/arrow.h"

#include <stdio.h>

__attribute__((visibility("default"))) bool bridge_round_trip(const struct ArrowSchema *schema,
                                                              const struct ArrowArray *array,
                                                              struct ArrowSchema *schema_out,
                                                              struct ArrowArray *array_out,
                                                              char message[1024]);

CHECKED static Status export_rows(Builder *builder, ChunkReader *chunk_reader, ArrowExport *export,
                                  Error *err) {
    Chunk chunk;
    LeatChunk seen;
    builder_chunk(builder, &chunk);
    TRY(chunk_reader_bind(chunk_reader, &chunk, &seen, err));
    TRY(arrow_export_add(export, &seen, err));
    builder_reset(builder);
    return STATUS_OK;
}

CHECKED static Status copy_rows(const ArrowReader *reader, Builder *builder, ChunkReader *chunk_reader,
                                ArrowExport *export, Error *err) {
    for (uint64_t row = 0; row < arrow_reader_row_count(reader); row++) {
        TRY(arrow_reader_put(reader, row, builder, err));
        builder_end_row(builder);
        if (builder_is_full(builder))
            TRY(export_rows(builder, chunk_reader, export, err));
    }
    return export_rows(builder, chunk_reader, export, err);
}

bool bridge_round_trip(const struct ArrowSchema *schema, const struct ArrowArray *array,
                       struct ArrowSchema *schema_out, struct ArrowArray *array_out, char message[1024]) {
    Error err = {0};
    Status st = STATUS_OK;
    ArrowReader *reader = NULL;
    Builder *builder = NULL;
    ChunkReader *chunk_reader = NULL;
    ArrowExport *export = NULL;
    TRY_GOTO(done, arrow_reader_create(schema, array, &reader, &err));
    TRY_GOTO(done, builder_create(arrow_reader_schema(reader), NULL, "bridge", &builder, &err));
    TRY_GOTO(done, chunk_reader_create(arrow_reader_schema(reader), NULL, "bridge", &chunk_reader, &err));
    export = arrow_export_create(arrow_reader_schema(reader), NULL);
    TRY_GOTO(done, copy_rows(reader, builder, chunk_reader, export, &err));
    arrow_export_finish(export, schema_out, array_out);
    export = NULL;
done:
    arrow_export_destroy(export);
    chunk_reader_destroy(chunk_reader);
    builder_destroy(builder);
    arrow_reader_destroy(reader);
    snprintf(message, 1024, "%s", err.message);
    return st == STATUS_OK;
}
