/* keys.c - see keys.h. */
#include "exec/keys.h"

#include "base/bytes.h"
#include "column/codec.h"
#include "column/kernels/kernels.h"

Status keys_init(Keys *keys, const Schema *schema, uint32_t key_count, bool constant_hash, Budget *budget,
                 const char *who, Error *err) {
    ASSERT(key_count >= 1 && key_count <= schema->column_count);
    *keys = (Keys){.schema = schema,
                   .key_count = key_count,
                   .constant_hash = constant_hash,
                   .budget = budget,
                   .who = who};
    TRY(array_reserve(&keys->hash_array, 0, CHUNK_ROWS_MAX * sizeof(uint64_t), budget, who, err));
    keys->hashes = keys->hash_array.data;
    return STATUS_OK;
}

void keys_deinit(Keys *keys) {
    array_deinit(&keys->view_array, keys->budget);
    array_deinit(&keys->hash_array, keys->budget);
    array_deinit(&keys->word_array, keys->budget);
    array_deinit(&keys->null_array, keys->budget);
    array_deinit(&keys->base_array, keys->budget);
    text_deinit(&keys->encoded);
}

CHECKED static Status own_views(Keys *keys, View **views, Error *err) {
    TRY(array_reserve(&keys->view_array, 0, CHUNK_ROWS_MAX * sizeof(View), keys->budget, keys->who, err));
    keys->views = *views = keys->view_array.data;
    return STATUS_OK;
}

CHECKED static Status mark_nulls(Keys *keys, const Column *column, const Chunk *chunk, Error *err) {
    TRY(array_reserve(&keys->null_array, 0, CHUNK_ROWS_MAX, keys->budget, keys->who, err));
    uint8_t *is_null = keys->null_array.data;
    unsigned any = 0;
    for (uint32_t i = 0; i < chunk->selected_count; i++)
        any |= is_null[i] = column_is_null(column, chunk_row(chunk, i));
    keys->is_null = any ? is_null : NULL;
    return STATUS_OK;
}

CHECKED static Status read_strings(Keys *keys, const Column *column, const Chunk *chunk, Error *err) {
    TRY(array_reserve(&keys->base_array, 0, (column->buffer_count + 1) * sizeof(char *), keys->budget,
                      keys->who, err));
    const char **bases = keys->base_array.data;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        bases[i] = column->buffers[i]->data;
    keys->bases = bases;
    keys->views = column->data;
    if (!column->is_constant && !chunk->selection)
        return STATUS_OK;
    View *views;
    TRY(own_views(keys, &views, err));
    const View *from = column->data;
    for (uint32_t i = 0; i < chunk->selected_count; i++)
        views[i] = from[column->is_constant ? 0 : chunk->selection[i]];
    return STATUS_OK;
}

CHECKED static Status read_words(Keys *keys, const Column *column, const Chunk *chunk, Error *err) {
    LeatType kind = column->type->kind;
    TRY(array_reserve(&keys->word_array, 0, CHUNK_ROWS_MAX * sizeof(uint64_t), keys->budget, keys->who, err));
    uint64_t *own = keys->word_array.data;
    const uint64_t *words = column_words(column, chunk, own);
    if (kind == LEAT_DOUBLE || kind == LEAT_FLOAT) {
        for (uint32_t i = 0; i < chunk->selected_count; i++)
            own[i] = codec_key_word(kind, words[i]);
        words = own;
    }
    View *views;
    TRY(own_views(keys, &views, err));
    kernels()->views_from_i64((const int64_t *)words, chunk->selected_count, views);
    return STATUS_OK;
}

/* Anything else: canonical bytes one behind the other, with the slack around them that kernels want. */
CHECKED static Status read_encoded(Keys *keys, const Chunk *chunk, Error *err) {
    static const char slack[BUFFER_SLACK_AFTER] = {0};
    View *views;
    TRY(own_views(keys, &views, err));
    text_reset(&keys->encoded);
    text_append(&keys->encoded, str_slice(slack, BUFFER_SLACK_BEFORE));
    uint32_t offsets[CHUNK_ROWS_MAX + 1];
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        bool is_null = false;
        offsets[i] = (uint32_t)keys->encoded.size;
        codec_encode_key(chunk->columns, keys->key_count, chunk_row(chunk, i), &keys->encoded, &is_null);
        ASSERT(!is_null); /* only a single column of the kinds above has null keys without bytes */
        if (keys->encoded.size > UINT32_MAX - sizeof slack)
            return error_set(err, STATUS_NO_MEMORY, "%s: the keys of a chunk are larger than 4 GiB",
                             keys->who);
    }
    offsets[chunk->selected_count] = (uint32_t)keys->encoded.size;
    text_append(&keys->encoded, str_slice(slack, sizeof slack));
    for (uint32_t i = 0; i < chunk->selected_count; i++)
        views[i] =
            view_of(str_slice(keys->encoded.data + offsets[i], offsets[i + 1] - offsets[i]), 0, offsets[i]);
    TRY(array_reserve(&keys->base_array, 0, sizeof(char *), keys->budget, keys->who, err));
    *(const char **)keys->base_array.data = keys->encoded.data;
    keys->bases = keys->base_array.data;
    return STATUS_OK;
}

Status keys_read(Keys *keys, const Chunk *chunk, Error *err) {
    const Column *column = &chunk->columns[0];
    LeatType kind = keys->schema->fields[0].type.kind;
    keys->count = chunk->selected_count;
    keys->is_null = NULL;
    if (keys->key_count > 1 || (!type_is_string(kind) && !type_is_word(kind)))
        return read_encoded(keys, chunk, err);
    if (column->validity)
        TRY(mark_nulls(keys, column, chunk, err));
    return type_is_string(kind) ? read_strings(keys, column, chunk, err)
                                : read_words(keys, column, chunk, err);
}

void keys_hash(Keys *keys) {
    if (UNLIKELY(keys->constant_hash)) {
        for (uint32_t i = 0; i < keys->count; i++)
            keys->hashes[i] = KEY_HASH_CONSTANT;
        return;
    }
    kernels()->hash_views(keys->views, keys->count, keys->bases, keys->hashes);
    if (!keys->is_null)
        return;
    Key null = key_null();
    uint64_t null_hash = key_hash(&null);
    for (uint32_t i = 0; i < keys->count; i++)
        if (keys->is_null[i])
            keys->hashes[i] = null_hash;
}

/* Room first, so that no insert moves a slot whose index was given before. */
CHECKED static Status upsert_with_nulls(const Keys *keys, KeyTable *table, uint32_t *slots, Error *err) {
    TRY(key_table_reserve(table, key_table_count(table) + keys->count, err));
    for (uint32_t i = 0; i < keys->count; i++) {
        Key key = keys->is_null[i] ? key_null() : key_from_view(&keys->views[i], keys->bases);
        KeySlot *slot;
        TRY(key_table_upsert(table, &key, keys->hashes[i], &slot, NULL, err));
        slots[i] = (uint32_t)(slot - key_table_slots(table));
    }
    return STATUS_OK;
}

Status keys_upsert(const Keys *keys, KeyTable *table, uint32_t *slots, Error *err) {
    if (UNLIKELY(keys->is_null))
        return upsert_with_nulls(keys, table, slots, err);
    return key_table_upsert_views(table, keys->views, keys->bases, keys->hashes, keys->count, slots, err);
}
