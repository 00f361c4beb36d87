/* batch.c - the handle of one batch, and the output that gives it to a function: foreach_rdd.
 *
 *   B1  A chunk is bound to a reader of its own when it is first looked at, and stays bound until the output
 *       returns: rows that were handed out stay readable. */
#include "dstream/batch.h"

#include "column/arrow.h"
#include "column/builder.h"

#include <stdlib.h>

typedef struct BoundChunk {
    ChunkReader *reader; /* NULL: not looked at yet */
    LeatChunk chunk;
} BoundChunk;

struct LeatBatch {
    const BatchData *data;
    const Schema *schema;
    BoundChunk **bound; /* [partition][chunk]; a partition's row is NULL until one of its chunks is needed */
    BatchContext *batches;
    LeatBatch *next;
};

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
    batch_context_fail(batch->batches, st, err.message);
    return NULL;
}

LeatBatch *batch_create(BatchContext *batches, const Schema *schema, const BatchData *data, LeatBatch *next) {
    LeatBatch *batch = xmalloc(sizeof *batch);
    *batch = (LeatBatch){.data = data, .schema = schema, .batches = batches, .next = next};
    return batch;
}

static void batch_destroy(LeatBatch *batch) {
    for (uint32_t p = 0; batch->bound && p < batch->data->partition_count; p++) {
        for (uint32_t c = 0; batch->bound[p] && c < batch->data->partitions[p].chunk_count; c++)
            chunk_reader_destroy(batch->bound[p][c].reader);
        free(batch->bound[p]);
    }
    free(batch->bound);
    free(batch);
}

void batch_destroy_all(LeatBatch *first) {
    while (first) {
        LeatBatch *next = first->next;
        batch_destroy(first);
        first = next;
    }
}

/* ---- the public calls ---- */

int64_t leat_batch_time_ms(const LeatBatch *batch) {
    return batch ? batch_context_time_ms(batch->batches) : -1;
}

uint64_t leat_batch_count(const LeatBatch *batch) {
    return batch ? batch->data->row_count : 0;
}

bool leat_batch_is_empty(const LeatBatch *batch) {
    return leat_batch_count(batch) == 0;
}

uint32_t leat_batch_partition_count(const LeatBatch *batch) {
    return batch ? batch->data->partition_count : 0;
}

uint32_t leat_batch_column_count(const LeatBatch *batch) {
    return batch ? batch->schema->column_count : 0;
}

LeatRows leat_batch_collect(LeatBatch *batch) {
    return leat_batch_take(batch, UINT64_MAX);
}

LeatRows leat_batch_take(LeatBatch *batch, uint64_t count) {
    return (LeatRows){.batch = batch, .left = batch ? count : 0};
}

bool leat_rows_next(LeatRows *rows, LeatRow *row) {
    const BatchData *data = rows->batch ? rows->batch->data : NULL;
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
    for (uint32_t p = 0; p < leat_batch_partition_count(batch); p++) {
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
    if (!batch)
        return false;
    ArrowExport *export = arrow_export_create(batch->schema, NULL);
    for (uint32_t p = 0; p < batch->data->partition_count; p++) {
        for (uint32_t c = 0; c < batch->data->partitions[p].chunk_count; c++) {
            const LeatChunk *chunk = bind(batch, p, c);
            Status st =
                chunk ? arrow_export_add(export, chunk, &err) : batch_context_status(batch->batches, &err);
            if (st == STATUS_OK)
                continue;
            batch_context_fail(batch->batches, st, err.message);
            arrow_export_destroy(export);
            return false;
        }
    }
    arrow_export_finish(export, schema, array);
    return true;
}

void leat_batch_fail(LeatBatch *batch, const char *message) {
    if (batch)
        batch_context_fail(batch->batches, STATUS_CANCELLED, message ? message : "no reason was given");
}

LeatStream *leat_batch_stream(LeatBatch *batch) {
    return batch ? batch_context_input(batch->batches, batch->schema, batch->data) : NULL;
}

LeatBatch *leat_batch_run(LeatStream *stream) {
    if (!stream)
        return NULL;
    BatchContext *batches = stream->context->batches;
    if (!batches)
        return context_refuse(stream->context, STATUS_INVALID,
                              "leat_batch_run: a stream of the program; only what is built on a batch runs");
    const BatchData *data;
    Error err = {0};
    Status st = batch_context_run(batches, stream, &data, &err);
    if (st == STATUS_OK)
        return batch_context_batch(batches, stream->schema, data);
    batch_context_fail(batches, st, err.message);
    return NULL;
}

/* ---- foreach_rdd ---- */

typedef struct Foreach {
    Output output;
    LeatForeachFunction function;
    void *user;
    const Schema *schema;
    BatchContext *batches;
    EngineOptions engine;
} Foreach;

CHECKED static Status foreach_open(Output *output, EngineOptions engine, Error *err) {
    (void)err;
    ((Foreach *)output)->engine = engine;
    return STATUS_OK;
}

CHECKED static Status foreach_run(Output *output, Env *env, const BatchData *data, int64_t batch_time_ms,
                                  Error *err) {
    (void)env;
    Foreach *foreach = (Foreach *)output;
    batch_context_begin(foreach->batches, foreach->engine, (EngineBatch){.time_ms = batch_time_ms});
    bool is_done =
        foreach->function(batch_context_batch(foreach->batches, foreach->schema, data), foreach->user);
    /* Also when it returned true: it has not seen all rows, or said so itself. */
    Status st = batch_context_status(foreach->batches, err);
    if (st == STATUS_OK && !is_done)
        st = error_set(err, STATUS_CANCELLED, "the function returned false");
    batch_context_end(foreach->batches);
    return st;
}

static void foreach_close(Output *output) {
    batch_context_close(((Foreach *)output)->batches);
}

static void foreach_destroy(Output *output) {
    batch_context_destroy(((Foreach *)output)->batches);
    free(output);
}

static const OutputClass foreach_class = {.kind = "foreach_rdd",
                                          .open = foreach_open,
                                          .run = foreach_run,
                                          .close = foreach_close,
                                          .destroy = foreach_destroy};

void leat_foreach_rdd(LeatStream *stream, LeatForeachFunction function, void *user) {
    const char *call = "leat_foreach_rdd";
    if (!stream)
        return;
    if (!function) {
        context_refuse(stream->context, STATUS_INVALID, "%s: the function is NULL", call);
        return;
    }
    Foreach *foreach = xmalloc(sizeof *foreach);
    *foreach = (Foreach){.output = {&foreach_class},
                         .function = function,
                         .user = user,
                         .schema = stream->schema,
                         .batches = batch_context_create(stream->context, call)};
    stream_to_output(stream, call, &foreach->output, 0);
}
