/* op_state_snapshots.c - stateSnapshots: every key of another operator with its state, after each batch of it.
 *
 * A producer without an input of rows: its level is above that of the operator whose stores it scans, so all
 * changes of the batch are in them. */
#include "exec/giver.h"
#include "exec/keyed_state.h"
#include "exec/operator.h"
#include "exec/row_view.h"

#include <stdlib.h>

enum { SCAN_ENTRIES = 64 };

typedef struct SnapshotsWorker {
    Builder *builder;
    RowView state; /* as it is stored */
} SnapshotsWorker;

typedef struct Snapshots {
    Producer producer;
    NodeState *state; /* a keyed_state; of the node's input */
    uint32_t key_count, stored_count;
    SnapshotsWorker *workers;
    uint32_t worker_count;
} Snapshots;

static void snapshots_begin(Producer *producer, const ProducerBatch *batch) {
    (void)producer;
    (void)batch;
}

static uint32_t snapshots_task_count(const Producer *producer) {
    return ((const Snapshots *)producer)->state->part_count;
}

CHECKED static Status give_entry(const Snapshots *snapshots, SnapshotsWorker *worker, Giver *giver,
                                 const StateEntry *entry, Error *err) {
    TRY(row_view_value(&worker->state, entry->value, snapshots->stored_count, err));
    TRY(giver_put_key(giver, entry->key, err));
    for (uint32_t c = snapshots->key_count, from = 0; c < giver->schema->column_count; c++, from++)
        TRY(row_view_is_null(&worker->state, from)
                ? builder_put_null(giver->builder, c, err)
                : giver_put_cell(giver, c, &worker->state.cells[from], err));
    return giver_end_row(giver, err);
}

CHECKED static Status snapshots_produce(Producer *producer, uint32_t worker_index, uint32_t task,
                                        const Emit *out, Error *err) {
    const Snapshots *snapshots = (const Snapshots *)producer;
    SnapshotsWorker *worker = &snapshots->workers[worker_index];
    Giver giver = {.builder = worker->builder,
                   .schema = producer->node->schema,
                   .key_count = snapshots->key_count,
                   .out = out,
                   .split = task};
    StateEntry entries[SCAN_ENTRIES];
    StateScan scan = state_store_scan(keyed_state_store(snapshots->state, task));
    builder_reset(worker->builder);
    for (uint32_t count; (count = state_store_next_entries(&scan, entries, SCAN_ENTRIES)) > 0;) {
        for (uint32_t i = 0; i < count; i++)
            TRY(give_entry(snapshots, worker, &giver, &entries[i], err));
        if (builder_row_count(worker->builder) == 0 && !emit_is_wanted(out, task))
            break;
    }
    return giver_finish(&giver, err);
}

static void snapshots_end(Producer *producer) {
    Snapshots *snapshots = (Snapshots *)producer;
    for (uint32_t w = 0; w < snapshots->worker_count; w++)
        builder_reset(snapshots->workers[w].builder);
}

static void snapshots_destroy(Producer *producer) {
    Snapshots *snapshots = (Snapshots *)producer;
    for (uint32_t w = 0; w < snapshots->worker_count; w++) {
        builder_destroy(snapshots->workers[w].builder);
        row_view_deinit(&snapshots->workers[w].state);
    }
    free(snapshots->workers);
    free(snapshots);
}

static const ProducerClass snapshots_class = {
    .begin = snapshots_begin,
    .task_count = snapshots_task_count,
    .produce = snapshots_produce,
    .end = snapshots_end,
    .destroy = snapshots_destroy,
};

Status state_snapshots_create(const ProducerOptions *options, Producer **out, Error *err) {
    const Schema *stored = options->node->inputs[0]->state_schema;
    Snapshots *snapshots = xcalloc(1, sizeof *snapshots);
    *out = NULL;
    snapshots->producer = (Producer){&snapshots_class, options->node};
    snapshots->state = options->state;
    snapshots->key_count = options->node->schema->key_count;
    snapshots->stored_count = stored->column_count;
    snapshots->worker_count = options->worker_count;
    snapshots->workers = xcalloc(options->worker_count, sizeof *snapshots->workers);
    Status st = STATUS_OK;
    for (uint32_t w = 0; w < options->worker_count && st == STATUS_OK; w++) {
        row_view_init(&snapshots->workers[w].state, stored, stored->column_count);
        st = builder_create(options->node->schema, options->budget, options->who,
                            &snapshots->workers[w].builder, err);
    }
    if (st != STATUS_OK) {
        snapshots_destroy(&snapshots->producer);
        return st;
    }
    *out = &snapshots->producer;
    return STATUS_OK;
}
