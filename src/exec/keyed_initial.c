/* keyed_initial.c - the state that an operator begins with: rows of a function of the user, put into the
 * stores of their partitions. Of several rows of a key the first one counts. */
#include "exec/keyed_process.h"

#include "column/codec.h"

#include <stdlib.h>

typedef struct Initial {
    const KeyedProcess *process;
    Builder *builder;
    Keys keys;
    Column *state_columns; /* of a chunk, as they are stored */
    int64_t updated_us;
    Text encoded;
} Initial;

CHECKED static Status put_row(Initial *initial, const Key *key, uint64_t hash, uint32_t row, Error *err) {
    const KeyedProcess *process = initial->process;
    uint32_t partition = key_partition_of(hash, process->partition_count);
    StateStore *store = keyed_state_store(process->state, partition);
    Str there;
    if (state_store_find(store, key, hash, &there))
        return STATUS_OK;
    text_reset(&initial->encoded);
    codec_encode_value(initial->state_columns, 0, process->stored_count, row, &initial->encoded);
    return state_store_put(store, key, hash, text_str(&initial->encoded), err);
}

CHECKED static Status put_chunk(Initial *initial, Error *err) {
    const KeyedProcess *process = initial->process;
    const Schema *stored = process->producer.node->state_schema;
    Chunk chunk;
    TRY(builder_take_out(initial->builder, &chunk, err));
    if (chunk.selected_count == 0)
        return STATUS_OK;
    TRY(keys_read(&initial->keys, &chunk, err));
    keys_hash(&initial->keys);
    for (uint32_t c = 0; c < process->state_count; c++)
        initial->state_columns[c] = chunk.columns[process->key_count + c];
    if (process->stored_count > process->state_count)
        initial->state_columns[process->state_count] =
            (Column){.type = &stored->fields[process->state_count].type,
                     .data = &initial->updated_us,
                     .is_constant = true};
    for (uint32_t i = 0; i < initial->keys.count; i++) {
        bool is_null = initial->keys.is_null && initial->keys.is_null[i];
        Key key = is_null ? key_null() : key_from_view(&initial->keys.views[i], initial->keys.bases);
        TRY(put_row(initial, &key, initial->keys.hashes[i], i, err));
    }
    return STATUS_OK;
}

static void initial_flush(Builder *builder, void *self) {
    Error error = {0};
    Status st = put_chunk(self, &error);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &error);
}

Status keyed_initial_state(const KeyedProcess *process, Error *err) {
    Status st = STATUS_OK;
    const PlanNode *node = process->producer.node;
    Initial initial = {.process = process, .updated_us = process->batch.time_ms * 1000};
    initial.state_columns = xcalloc(process->stored_count, sizeof *initial.state_columns);
    TRY_GOTO(done, keys_init(&initial.keys, process->table, process->key_count, process->constant_hash,
                             process->budget, process->who, err));
    TRY_GOTO(done, builder_create(process->table, process->budget, process->who, &initial.builder, err));
    node->initial_state(builder_out_begin(initial.builder, NULL, initial_flush, &initial),
                        node->initial_user);
    st = put_chunk(&initial, err);
done:
    builder_destroy(initial.builder);
    keys_deinit(&initial.keys);
    text_deinit(&initial.encoded);
    free(initial.state_columns);
    return error_context(err, st, "%s: initial state", node->call);
}
