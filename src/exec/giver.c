/* giver.c - see giver.h. */
#include "exec/giver.h"

#include "column/codec.h"

Status giver_put_key(Giver *giver, const Key *key, Error *err) {
    LeatType kind = giver->schema->fields[0].type.kind;
    bool is_null = key->size == KEY_NULL_SIZE;
    if (giver->key_count == 1 && !is_null && type_is_string(kind))
        return builder_put_str(giver->builder, 0, key_str(key), err);
    return codec_decode_key(key_str(key), is_null, giver->builder, giver->key_count, err);
}

Status giver_put_cell(Giver *giver, uint32_t column, const RowCell *value, Error *err) {
    LeatType kind = giver->schema->fields[column].type.kind;
    if (type_is_string(kind))
        return builder_put_str(giver->builder, column, value->str, err);
    if (kind == LEAT_DECIMAL)
        return builder_put_decimal(giver->builder, column, value->decimal, err);
    return builder_put_word(giver->builder, column, value->word, err);
}

Status giver_end_row(Giver *giver, Error *err) {
    builder_end_row(giver->builder);
    return builder_is_full(giver->builder) ? giver_finish(giver, err) : STATUS_OK;
}

Status giver_finish(Giver *giver, Error *err) {
    Chunk chunk;
    builder_chunk(giver->builder, &chunk);
    chunk.split = giver->split;
    chunk.sequence = giver->sequence++;
    TRY(emit_chunk(giver->out, &chunk, err));
    builder_reset(giver->builder);
    return STATUS_OK;
}
