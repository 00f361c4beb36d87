/* op_partition.c - the partitions of a batch as such: taken together (glom, mapPartitions) or made anew
 * (repartition, partitionBy).
 *
 *   push     rows go into the exchange, listed by the partition that they belong to
 *   produce  one task for each partition: gives its rows, or one list of them, or what a function makes of them
 *
 *   P1  What is taken together is a split of the input; the exchange then has one partition, and a task reads
 *       one split of it.
 *   P2  repartition deals rows out in turn: row i of split s goes to partition (s + i) mod n. So it depends
 *       neither on workers nor on how chunks were cut. Rows of a partition stay in the order of the input. */
#include "exec/operator.h"

#include "exec/exchange.h"
#include "exec/keys.h"
#include "state/key_table.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a function sees of a partition. */
struct LeatPartition {
    uint32_t index;
    ExchangeCursor cursor;
    ChunkReader *reader;
    LeatChunk seen;
    uint32_t next; /* among the selected rows of the chunk at hand */
    Status status; /* of reading; then there are no more rows */
    Error *err;
};

typedef struct PartitionWorker {
    void *user;
    Keys keys;
    uint64_t hashes[CHUNK_ROWS_MAX];
    Builder *builder;
    ChunkReader *reader;
    /* While a function runs */
    const Emit *out;
    uint64_t split, sequence;
} PartitionWorker;

typedef struct Partitioning {
    Producer producer;
    PlanPartition mode;
    Exchange *exchange;
    uint32_t partition_count, worker_count;
    uint64_t split_count, position_capacity;
    uint64_t *positions; /* per split, of the next row (P2) */
    PartitionWorker **workers;
} Partitioning;

typedef struct PartitionOperator {
    Operator op;
    Partitioning *partitioning;
    PartitionWorker *worker;
} PartitionOperator;

static bool takes_together(PlanPartition mode) {
    return mode == PARTITION_LIST || mode == PARTITION_MAP;
}

/* ---- rows into the exchange ---- */

CHECKED static Status partition_push(Operator *base, const Chunk *in, Error *err) {
    PartitionOperator *op = (PartitionOperator *)base;
    Partitioning *partitioning = op->partitioning;
    PartitionWorker *worker = op->worker;
    if (partitioning->mode == PARTITION_BY_KEY) {
        TRY(keys_read(&worker->keys, in, err));
        keys_hash(&worker->keys);
        return exchange_add(partitioning->exchange, in, worker->keys.hashes, err);
    }
    if (partitioning->mode == PARTITION_IN_TURN) { /* P2 */
        uint64_t *position = &partitioning->positions[in->split];
        for (uint32_t i = 0; i < in->selected_count; i++) {
            uint64_t partition = (in->split + (*position)++) % partitioning->partition_count;
            worker->hashes[i] = key_partition_begin((uint32_t)partition, partitioning->partition_count);
        }
    }
    return exchange_add(partitioning->exchange, in, worker->hashes, err);
}

static void partition_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass partition_operator_class = {.push = partition_push,
                                                       .destroy = partition_operator_destroy};

CHECKED static Status partition_open_operator(Producer *producer, const OperatorContext *context,
                                              Operator **out, Error *err) {
    (void)err;
    PartitionOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &partition_operator_class;
    op->partitioning = (Partitioning *)producer;
    op->worker = op->partitioning->workers[context->worker];
    *out = &op->op;
    return STATUS_OK;
}

static void partition_begin(Producer *producer, const ProducerBatch *batch) {
    Partitioning *partitioning = (Partitioning *)producer;
    uint64_t split_count = partitioning->split_count = batch->split_counts[0];
    exchange_begin(partitioning->exchange, split_count);
    if (split_count > partitioning->position_capacity) {
        partitioning->positions = xrealloc(partitioning->positions, split_count * sizeof(uint64_t));
        partitioning->position_capacity = split_count;
    }
    if (split_count)
        memset(partitioning->positions, 0, split_count * sizeof(uint64_t));
}

static uint32_t partition_task_count(const Producer *producer) {
    const Partitioning *partitioning = (const Partitioning *)producer;
    return takes_together(partitioning->mode) ? (uint32_t)partitioning->split_count
                                              : partitioning->partition_count;
}

/* ---- partitions into rows ---- */

/* P1: the next chunk of the split that the cursor began with. */
static bool next_of_split(ExchangeCursor *cursor, uint64_t split) {
    return exchange_next(cursor) && cursor->split == split;
}

static ExchangeCursor cursor_of_split(const Exchange *exchange, uint64_t split) {
    ExchangeCursor cursor = exchange_cursor(exchange, 0);
    cursor.split = split;
    return cursor;
}

CHECKED static Status give_rows(const Partitioning *partitioning, uint32_t partition, const Emit *out,
                                Error *err) {
    uint64_t sequence = 0;
    for (ExchangeCursor at = exchange_cursor(partitioning->exchange, partition); exchange_next(&at);) {
        at.chunk.split = partition;
        at.chunk.sequence = sequence++;
        TRY(emit_chunk(out, &at.chunk, err));
    }
    return STATUS_OK;
}

CHECKED static Status give_list(const Partitioning *partitioning, PartitionWorker *worker, uint32_t split,
                                const Emit *out, Error *err) {
    const Schema *in = partitioning->producer.node->inputs[0]->schema;
    Chunk list;
    builder_reset(worker->builder);
    TRY(builder_begin_list(worker->builder, 0, err));
    for (ExchangeCursor at = cursor_of_split(partitioning->exchange, split); next_of_split(&at, split);) {
        for (uint32_t i = 0; i < at.chunk.selected_count; i++) {
            uint32_t row = chunk_row(&at.chunk, i);
            TRY(in->column_count == 1 ? builder_list_value(worker->builder, 0, at.chunk.columns, row, err)
                                      : builder_list_struct(worker->builder, 0, at.chunk.columns, row, err));
        }
    }
    builder_end_row(worker->builder);
    builder_chunk(worker->builder, &list);
    list.split = split;
    return emit_chunk(out, &list, err);
}

/* ---- functions of the user ---- */

uint32_t leat_partition_index(const LeatPartition *partition) {
    return partition->index;
}

bool leat_partition_next(LeatPartition *partition, LeatRow *row) {
    if (partition->status != STATUS_OK)
        return false;
    if (partition->next == partition->cursor.chunk.selected_count) {
        partition->next = 0;
        partition->cursor.chunk.selected_count = 0; /* also at the end, when it is asked again */
        if (partition->cursor.split != partition->index ||
            !next_of_split(&partition->cursor, partition->index)) {
            partition->cursor.chunk.selected_count = 0;
            return false;
        }
        partition->status =
            chunk_reader_bind(partition->reader, &partition->cursor.chunk, &partition->seen, partition->err);
        if (partition->status != STATUS_OK)
            return false;
    }
    *row = (LeatRow){partition->seen.columns, partition->seen.column_count,
                     chunk_row(&partition->cursor.chunk, partition->next++)};
    return true;
}

CHECKED static Status give_out(PartitionWorker *worker, Error *err) {
    Chunk chunk;
    TRY(builder_take_out(worker->builder, &chunk, err));
    chunk.split = worker->split;
    chunk.sequence = worker->sequence++;
    return emit_chunk(worker->out, &chunk, err);
}

static void flush_out(Builder *builder, void *self) {
    Error error = {0};
    Status st = give_out(self, &error);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &error);
}

CHECKED static Status call_function(const Partitioning *partitioning, PartitionWorker *worker, uint32_t split,
                                    const Emit *out, Error *err) {
    LeatPartition partition = {.index = split,
                               .cursor = cursor_of_split(partitioning->exchange, split),
                               .reader = worker->reader,
                               .err = err};
    worker->out = out;
    worker->split = split;
    worker->sequence = 0;
    LeatOut *rows = builder_out_begin(worker->builder, NULL, flush_out, worker);
    partitioning->producer.node->function.call.partition(&partition, rows, worker->user);
    TRY(partition.status);
    return give_out(worker, err);
}

CHECKED static Status partition_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                        const Emit *out, Error *err) {
    const Partitioning *partitioning = (const Partitioning *)producer;
    PartitionWorker *worker = partitioning->workers[worker_index];
    switch (partitioning->mode) {
    case PARTITION_LIST:
        return give_list(partitioning, worker, task, out, err);
    case PARTITION_MAP:
        return call_function(partitioning, worker, task, out, err);
    case PARTITION_IN_TURN:
    case PARTITION_BY_KEY:
        return give_rows(partitioning, task, out, err);
    }
    return STATUS_OK;
}

/* ---- making and ending ---- */

static void partition_end(Producer *producer) {
    Partitioning *partitioning = (Partitioning *)producer;
    for (uint32_t w = 0; w < partitioning->worker_count; w++)
        if (partitioning->workers[w]->builder)
            builder_reset(partitioning->workers[w]->builder);
    exchange_reset(partitioning->exchange);
}

static void worker_destroy(PartitionWorker *worker) {
    if (!worker)
        return;
    keys_deinit(&worker->keys);
    builder_destroy(worker->builder);
    chunk_reader_destroy(worker->reader);
    free(worker);
}

static void partition_destroy(Producer *producer) {
    Partitioning *partitioning = (Partitioning *)producer;
    for (uint32_t w = 0; w < partitioning->worker_count; w++)
        worker_destroy(partitioning->workers[w]);
    exchange_destroy(partitioning->exchange);
    free(partitioning->workers);
    free(partitioning->positions);
    free(partitioning);
}

CHECKED static Status worker_create(Partitioning *partitioning, const ProducerOptions *options,
                                    uint32_t index, Error *err) {
    const PlanNode *node = options->node;
    const Schema *in = node->inputs[0]->schema;
    PartitionWorker *worker = xcalloc(1, sizeof *worker);
    partitioning->workers[index] = worker;
    worker->user = options->users[index];
    if (node->partition == PARTITION_BY_KEY)
        return keys_init(&worker->keys, in, node->schema->key_count, options->constant_hash, options->budget,
                         options->who, err);
    if (node->partition == PARTITION_MAP)
        TRY(chunk_reader_create(in, options->budget, options->who, &worker->reader, err));
    return takes_together(node->partition)
               ? builder_create(node->schema, options->budget, options->who, &worker->builder, err)
               : STATUS_OK;
}

static const ProducerClass partition_class = {
    .begin = partition_begin,
    .open_operator = partition_open_operator,
    .task_count = partition_task_count,
    .produce = partition_produce,
    .end = partition_end,
    .destroy = partition_destroy,
};

Status partition_create(const ProducerOptions *options, Producer **out, Error *err) {
    const PlanNode *node = options->node;
    Partitioning *partitioning = xcalloc(1, sizeof *partitioning);
    *out = NULL;
    partitioning->producer = (Producer){&partition_class, node};
    partitioning->mode = node->partition;
    partitioning->partition_count = takes_together(node->partition) ? 1 : node->partition_count;
    partitioning->worker_count = options->worker_count;
    partitioning->exchange = exchange_create(partitioning->partition_count, options->budget, options->who);
    partitioning->workers = xcalloc(options->worker_count, sizeof *partitioning->workers);
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++)
        st = worker_create(partitioning, options, w, err);
    if (st != STATUS_OK) {
        partition_destroy(&partitioning->producer);
        return st;
    }
    *out = &partitioning->producer;
    return STATUS_OK;
}
