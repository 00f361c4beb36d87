/* foreach_partition.c - an output that gives the partitions of each batch to functions, on the workers. */
#include "dstream/context.h"

#include "column/builder.h"
#include "exec/pool.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct ForeachPartition {
    Output output;
    LeatForeachPartition functions;
    void *user;
    const Schema *schema;
    EngineOptions engine;
    ChunkReader **readers; /* per worker; made when first needed */
} ForeachPartition;

/* What a task of the pool sees. */
typedef struct PartitionRun {
    ForeachPartition *foreach;
    const BatchData *batch;
    int64_t batch_time_ms;
} PartitionRun;

CHECKED static Status refuse(const char *function, uint32_t partition, Error *err) {
    return error_set(err, STATUS_CANCELLED, "partition %" PRIu32 ": the function %s", partition, function);
}

CHECKED static Status give_chunk(const ForeachPartition *foreach, const LeatChunk *chunk, uint32_t partition,
                                 void *opened, Error *err) {
    if (foreach->functions.each_chunk)
        return foreach->functions.each_chunk(chunk, opened)
                   ? STATUS_OK
                   : refuse("each_chunk returned false", partition, err);
    LeatRow row = {chunk->columns, chunk->column_count, 0};
    for (; row.index < chunk->row_count; row.index++)
        if (!foreach->functions.each_row(&row, opened))
            return refuse("each_row returned false", partition, err);
    return STATUS_OK;
}

CHECKED static Status give_rows(const PartitionRun *run, uint32_t worker, uint32_t index, void *opened,
                                Error *err) {
    ForeachPartition *foreach = run->foreach;
    const BatchPartition *partition = &run->batch->partitions[index];
    if (!foreach->readers[worker])
        TRY(chunk_reader_create(foreach->schema, foreach->engine.budget_in_flight, "foreach_partition",
                                &foreach->readers[worker], err));
    for (uint32_t c = 0; c < partition->chunk_count; c++) {
        LeatChunk chunk;
        TRY(chunk_reader_bind(foreach->readers[worker], shared_chunk_view(partition->chunks[c]), &chunk,
                              err)); /* a shared chunk has no selection */
        TRY(give_chunk(foreach, &chunk, index, opened, err));
    }
    return STATUS_OK;
}

static Status run_partition(void *self, uint32_t worker, uint32_t index, Error *err) {
    const PartitionRun *run = self;
    const LeatForeachPartition *functions = &run->foreach->functions;
    void *opened = run->foreach->user;
    if (functions->open) {
        opened = functions->open(index, run->batch_time_ms, run->foreach->user);
        if (!opened)
            return refuse("open gave NULL", index, err);
    }
    Status st = give_rows(run, worker, index, opened, err);
    if (functions->close && !functions->close(opened, st == STATUS_OK) && st == STATUS_OK)
        st = refuse("close returned false", index, err);
    return st;
}

CHECKED static Status foreach_open(Output *output, EngineOptions engine, Error *err) {
    (void)err;
    ForeachPartition *foreach = (ForeachPartition *)output;
    foreach->engine = engine;
    foreach->readers = xcalloc(engine.worker_count, sizeof *foreach->readers);
    return STATUS_OK;
}

CHECKED static Status foreach_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                                  Error *err) {
    (void)env;
    PartitionRun run = {(ForeachPartition *)output, batch, batch_time_ms};
    return pool_run(run.foreach->engine.pool, false, batch->partition_count, run_partition, &run, err);
}

static void foreach_close(Output *output) {
    ForeachPartition *foreach = (ForeachPartition *)output;
    for (uint32_t w = 0; w < foreach->engine.worker_count; w++)
        chunk_reader_destroy(foreach->readers[w]);
    free(foreach->readers);
}

static void foreach_destroy(Output *output) {
    free(output);
}

static const OutputClass foreach_class = {.kind = "foreach_partition",
                                          .open = foreach_open,
                                          .run = foreach_run,
                                          .close = foreach_close,
                                          .destroy = foreach_destroy};

void leat_foreach_partition(LeatStream *stream, LeatForeachPartition functions, void *user) {
    const char *call = "leat_foreach_partition";
    if (!stream)
        return;
    if (!functions.each_row == !functions.each_chunk) {
        context_refuse(stream->context, STATUS_INVALID, "%s: one of each_row and each_chunk is needed", call);
        return;
    }
    ForeachPartition *foreach = xmalloc(sizeof *foreach);
    *foreach = (ForeachPartition){
        .output = {&foreach_class}, .functions = functions, .user = user, .schema = stream->schema};
    stream_to_output(stream, call, &foreach->output, 0);
}
