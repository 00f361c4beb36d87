/* aggregate_running.c - sums of integers by key over a window, made of those of the last window: exact, so
 * what leaves can be taken out again, and a count of the panes a key is in tells when it has left.
 *
 *   R1  The totals are those of the window `given_id`, or of none (0): they are in memory only, and of use for
 *       the next window alone. When the window gives all its rows instead (V5 of op_window.c, which follows the
 *       same rule) they have been cleared.
 *   R2  A key is in a table while it is in a pane. slot->value is 1 + the index of its total.
 *   R3  A partition's table belongs to the one task that runs it. */
#include "exec/aggregate_parts.h"

#include "column/array.h"

#include <stdlib.h>

typedef struct Total {
    uint64_t sum;           /* wraps around */
    uint32_t panes, values; /* it is in, and those of them in which it is not null */
} Total;

typedef struct RunningPart {
    KeyTable *table;
    Array totals;
    uint32_t total_count;
    uint32_t free_total; /* 1 + the first that is free; the next one stands in its sum */
} RunningPart;

struct Running {
    Budget *budget;
    const char *who;
    uint64_t slide, given_id, due_id;
    RunningPart *parts;
    uint32_t part_count;
};

static Total *total_of(const RunningPart *part, const KeySlot *slot) {
    return (Total *)part->totals.data + (slot->value - 1);
}

/* ---- totals ---- */

CHECKED static Status total_new(const Running *running, RunningPart *part, KeySlot *slot, Error *err) {
    if (part->free_total) {
        slot->value = part->free_total;
        part->free_total = (uint32_t)total_of(part, slot)->sum;
    } else {
        size_t used = part->total_count * sizeof(Total);
        if (used + sizeof(Total) > part->totals.size_bytes)
            TRY(array_reserve(&part->totals, used, 2 * used + 64 * sizeof(Total), running->budget,
                              running->who, err));
        slot->value = ++part->total_count;
    }
    *total_of(part, slot) = (Total){0};
    return STATUS_OK;
}

static void total_drop(RunningPart *part, KeySlot *slot) {
    total_of(part, slot)->sum = part->free_total;
    part->free_total = (uint32_t)slot->value;
    key_table_remove(part->table, slot);
}

static uint64_t merged_sum(const Merge *merge) {
    Cell room;
    const Cell *cell = merge_cells(merge, &room);
    return cell->has ? cell->value.word : 0;
}

CHECKED static Status apply(const Running *running, RunningPart *part, const ChangeWalk *walk, Error *err) {
    KeySlot *slot;
    if (walk->enters)
        TRY(key_table_upsert(part->table, &walk->slot->key, walk->slot->hash, &slot, NULL, err));
    else
        slot = key_table_find(part->table, &walk->slot->key, walk->slot->hash);
    ASSERT(slot); /* R2 */
    if (!slot->value)
        TRY(total_new(running, part, slot, err));
    Total *total = total_of(part, slot);
    if (walk->enters) {
        total->sum += merged_sum(&walk->entering);
        total->panes += walk->entering.slot_count;
        total->values += walk->entering.has_count;
    }
    if (walk->leaves) {
        ASSERT(total->panes >= walk->leaving.slot_count && total->values >= walk->leaving.has_count);
        total->sum -= merged_sum(&walk->leaving);
        total->panes -= walk->leaving.slot_count;
        total->values -= walk->leaving.has_count;
    }
    if (!total->panes)
        total_drop(part, slot);
    return STATUS_OK;
}

/* Keys enter in the order of hashes: the table has its room beforehand (key_table.h). */
CHECKED static Status make_room(const Aggregate *aggregate, AggregateWorker *worker, RunningPart *part,
                                uint32_t task, Error *err) {
    uint64_t key_count = key_table_count(part->table);
    Merge keys = merge_begin(aggregate, worker, task, aggregate->leaving_count, aggregate->used_count);
    keys.only_keys = true;
    TRY(merge_next(&keys, err));
    for (; keys.slot; key_count++)
        TRY(merge_next(&keys, err));
    return key_table_reserve(part->table, key_count, err);
}

CHECKED static Status give_totals(const Aggregate *aggregate, const RunningPart *part, Giver *giver,
                                  Error *err) {
    const KeySlot *slot;
    uint64_t hash_begin = key_partition_begin((uint32_t)giver->split, aggregate->partition_count);
    key_table_order(part->table);
    for (uint64_t cursor = key_table_first(part->table, hash_begin);
         (slot = key_table_next(part->table, &cursor, 0));) {
        const Total *total = total_of(part, slot);
        TRY(giver_put_key(giver, &slot->key, err));
        if (total->values)
            TRY(builder_put_word(giver->builder, aggregate->key_count, total->sum, err));
        else
            TRY(builder_put_null(giver->builder, aggregate->key_count, err));
        TRY(giver_end_row(giver, err));
    }
    return giver_finish(giver, err);
}

Status running_produce(const Aggregate *aggregate, uint32_t worker_index, uint32_t task, const Emit *out,
                       Error *err) {
    AggregateWorker *worker = aggregate->workers[worker_index];
    RunningPart *part = &aggregate->running->parts[task];
    Giver giver = {.builder = worker->builder,
                   .schema = aggregate->producer.node->schema,
                   .key_count = aggregate->key_count,
                   .out = out,
                   .split = task};
    ChangeWalk walk;
    TRY(make_room(aggregate, worker, part, task, err));
    TRY(change_walk_begin(&walk, aggregate, worker, task, err));
    while (walk.slot) {
        TRY(apply(aggregate->running, part, &walk, err));
        TRY(change_walk_next(&walk, err));
    }
    return give_totals(aggregate, part, &giver, err);
}

/* ---- batches ---- */

/* R1 */
void running_begin(Running *running, const ProducerBatch *batch) {
    running->due_id = batch->is_due ? batch->batch.id : 0;
    if (!batch->is_due || (running->given_id && running->given_id + running->slide == batch->batch.id))
        return;
    for (uint32_t p = 0; p < running->part_count; p++) {
        key_table_clear(running->parts[p].table);
        running->parts[p].total_count = running->parts[p].free_total = 0;
    }
}

void running_settle(Running *running, bool is_kept) {
    if (!is_kept)
        running->given_id = 0;
    else if (running->due_id)
        running->given_id = running->due_id;
}

/* ---- making and ending ---- */

void running_destroy(Running *running) {
    if (!running)
        return;
    for (uint32_t p = 0; p < running->part_count; p++) {
        key_table_destroy(running->parts[p].table);
        array_deinit(&running->parts[p].totals, running->budget);
    }
    free(running->parts);
    free(running);
}

Status running_create(const Aggregate *aggregate, const ProducerOptions *options, Running **out, Error *err) {
    uint32_t count = aggregate->partition_count;
    Running *running = xcalloc(1, sizeof *running);
    *running = (Running){.budget = options->engine->budget_kept,
                         .who = options->who,
                         .slide = options->node->slide,
                         .parts = xcalloc(count, sizeof(RunningPart)),
                         .part_count = count};
    Status st = STATUS_OK;
    for (uint32_t p = 0; p < count && st == STATUS_OK; p++)
        st = key_table_create((KeyTableOptions){.hash_begin = key_partition_begin(p, count),
                                                .hash_end = key_partition_begin(p + 1, count),
                                                .budget = running->budget,
                                                .who = options->who},
                              &running->parts[p].table, err);
    if (st != STATUS_OK) {
        running_destroy(running);
        return st;
    }
    *out = running;
    return STATUS_OK;
}
