/* batch.c - the handle of one batch, and the outputs that give it to functions: foreach_rdd.
 *
 *   B1  A chunk is bound to a reader of its own when it is first looked at, and stays bound until the output
 *       returns: rows that were handed out stay readable. */
#include "dstream/context.h"

#include "column/arrow.h"
#include "column/builder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct BoundChunk {
    ChunkReader *reader; /* NULL: not looked at yet */
    LeatChunk chunk;
} BoundChunk;

struct LeatBatch {
    const BatchData *data;
    const Schema *schema;
    int64_t time_ms;
    BoundChunk **bound; /* [partition][chunk]; a partition's row is NULL until one of its chunks is needed */
    Error error;        /* of leat_batch_fail, or of reading */
};

static void fail(LeatBatch *batch, Status status, const char *message) {
    if (batch->error.status != STATUS_OK)
        return; /* the first is the cause */
    batch->error.status = status;
    snprintf(batch->error.message, sizeof batch->error.message, "%s", message);
}

/* B1. NULL: no memory, and the batch fails. */
static const LeatChunk *bind(LeatBatch *batch, uint32_t partition, uint32_t chunk) {
    const BatchPartition *from = &batch->data->partitions[partition];
    if (!batch->bound)
        batch->bound = xcalloc(batch->data->partition_count, sizeof *batch->bound);
    if (!batch->bound[partition])
        batch->bound[partition] = xcalloc(from->chunk_count, sizeof **batch->bound);
    BoundChunk *bound = &batch->bound[partition][chunk];
    if (bound->reader)
        return &bound->chunk;
    Error err = {0};
    Status st = chunk_reader_create(batch->schema, NULL, "foreach_rdd", &bound->reader, &err);
    if (st == STATUS_OK)
        st = chunk_reader_bind(bound->reader, shared_chunk_view(from->chunks[chunk]), &bound->chunk, &err);
    if (st == STATUS_OK)
        return &bound->chunk;
    chunk_reader_destroy(bound->reader);
    bound->reader = NULL;
    fail(batch, st, err.message);
    return NULL;
}

static void release(LeatBatch *batch) {
    for (uint32_t p = 0; batch->bound && p < batch->data->partition_count; p++) {
        for (uint32_t c = 0; batch->bound[p] && c < batch->data->partitions[p].chunk_count; c++)
            chunk_reader_destroy(batch->bound[p][c].reader);
        free(batch->bound[p]);
    }
    free(batch->bound);
}

/* ---- the public calls ---- */

int64_t leat_batch_time_ms(const LeatBatch *batch) {
    return batch->time_ms;
}

uint64_t leat_batch_count(const LeatBatch *batch) {
    return batch->data->row_count;
}

bool leat_batch_is_empty(const LeatBatch *batch) {
    return batch->data->row_count == 0;
}

uint32_t leat_batch_partition_count(const LeatBatch *batch) {
    return batch->data->partition_count;
}

uint32_t leat_batch_column_count(const LeatBatch *batch) {
    return batch->schema->column_count;
}

LeatRows leat_batch_collect(LeatBatch *batch) {
    return leat_batch_take(batch, UINT64_MAX);
}

LeatRows leat_batch_take(LeatBatch *batch, uint64_t count) {
    return (LeatRows){.batch = batch, .left = count};
}

bool leat_rows_next(LeatRows *rows, LeatRow *row) {
    const BatchData *data = rows->batch->data;
    while (rows->left > 0 && rows->partition < data->partition_count) {
        if (rows->chunk == data->partitions[rows->partition].chunk_count) {
            rows->partition++;
            rows->chunk = 0;
            continue;
        }
        const LeatChunk *chunk = bind(rows->batch, rows->partition, rows->chunk);
        if (!chunk)
            return false;
        if (rows->row == chunk->row_count) {
            rows->chunk++;
            rows->row = 0;
            continue;
        }
        *row =
            (LeatRow){.columns = chunk->columns, .column_count = chunk->column_count, .index = rows->row++};
        rows->left--;
        return true;
    }
    return false;
}

bool leat_batch_for_each_chunk(LeatBatch *batch, bool (*function)(const LeatChunk *chunk, void *user),
                               void *user) {
    for (uint32_t p = 0; p < batch->data->partition_count; p++) {
        for (uint32_t c = 0; c < batch->data->partitions[p].chunk_count; c++) {
            const LeatChunk *chunk = bind(batch, p, c);
            if (!chunk || !function(chunk, user))
                return false;
        }
    }
    return true;
}

bool leat_batch_to_arrow(LeatBatch *batch, struct ArrowSchema *schema, struct ArrowArray *array) {
    Error err = {0};
    ArrowExport *export = arrow_export_create(batch->schema);
    for (uint32_t p = 0; p < batch->data->partition_count; p++) {
        for (uint32_t c = 0; c < batch->data->partitions[p].chunk_count; c++) {
            const LeatChunk *chunk = bind(batch, p, c);
            Status st = chunk ? arrow_export_add(export, chunk, &err) : batch->error.status;
            if (st == STATUS_OK)
                continue;
            fail(batch, st, err.message);
            arrow_export_destroy(export);
            return false;
        }
    }
    arrow_export_finish(export, schema, array);
    return true;
}

void leat_batch_fail(LeatBatch *batch, const char *message) {
    fail(batch, STATUS_CANCELLED, message ? message : "no reason was given");
}

/* ---- foreach_rdd ---- */

typedef struct Foreach {
    Output output;
    LeatForeachFunction function;
    void *user;
    const Schema *schema;
} Foreach;

CHECKED static Status foreach_run(Output *output, Env *env, const BatchData *data, int64_t batch_time_ms,
                                  Error *err) {
    (void)env;
    Foreach *foreach = (Foreach *)output;
    LeatBatch batch = {.data = data, .schema = foreach->schema, .time_ms = batch_time_ms};
    bool is_done = foreach->function(&batch, foreach->user);
    release(&batch);
    if (!is_done && batch.error.status == STATUS_OK)
        return error_set(err, STATUS_CANCELLED, "the function returned false");
    if (batch.error.status !=
        STATUS_OK) /* also when it returned true: it has not seen all rows, or said so itself */
        return error_set(err, batch.error.status, "%s", batch.error.message);
    return STATUS_OK;
}

static void foreach_destroy(Output *output) {
    free(output);
}

static const OutputClass foreach_class = {
    .kind = "foreach_rdd", .run = foreach_run, .destroy = foreach_destroy};

void leat_foreach_rdd(LeatStream *stream, LeatForeachFunction function, void *user) {
    const char *call = "leat_foreach_rdd";
    if (!stream)
        return;
    if (!function) {
        context_refuse(stream->context, STATUS_INVALID, "%s: the function is NULL", call);
        return;
    }
    Foreach *foreach = xmalloc(sizeof *foreach);
    *foreach =
        (Foreach){.output = {&foreach_class}, .function = function, .user = user, .schema = stream->schema};
    stream_to_output(stream, call, &foreach->output, 0);
}
