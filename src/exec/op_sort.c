/* op_sort.c - all rows of a batch in order (sortBy), or the first so many of them (top).
 *
 *     push                      prepare                 produce
 *     rows --> kept by this --> those of a worker   --> the workers' rows are merged
 *              worker           are put in order        and leave as one split
 *
 *   T1  The order is total: by the columns, then by (split, arrival in it, row), which is the order of the
 *       input. So it is stable, and which worker had a row does not show.
 *   T2  With a limit a worker keeps no more than twice the limit, and a chunk: then the rows that cannot be
 *       among the first are dropped, and the last of those that are left is the *bound*. A row behind the
 *       bound is not kept at all.
 *
 * Without a limit the entries to be sorted are 16 bytes for each row, twice. */
#include "exec/operator.h"

#include "column/array.h"
#include "exec/row_order.h"

#include <stdlib.h>

/* Rows of one push. */
typedef struct Kept {
    SharedChunk *chunk;
    uint64_t split, arrival; /* T1 */
} Kept;

typedef struct Entry {
    uint64_t rank;
    uint32_t kept, row;
} Entry;

typedef struct SortWorker {
    Kept *kept;
    uint32_t kept_count, kept_capacity;
    uint64_t row_count; /* of all kept chunks */
    bool has_bound;     /* T2 */
    Entry bound;
    Array entries, scratch;
    uint64_t entry_count; /* entries in order: after prepare, or while rows are dropped */
    uint64_t cursor;      /* of the merge */
} SortWorker;

typedef struct Sort {
    Producer producer;
    RowOrder order;
    uint64_t row_limit; /* UINT64_MAX: none */
    Budget *budget;
    const char *who;
    Builder *builder;
    uint64_t *arrivals; /* pushes so far, of each split (O2: no lock) */
    uint64_t arrival_capacity;
    SortWorker *workers;
    uint32_t worker_count;
} Sort;

typedef struct SortOperator {
    Operator op;
    Sort *sort;
    SortWorker *worker;
} SortOperator;

/* ---- order ---- */

static const Column *kept_columns(const SortWorker *worker, Entry entry) {
    return shared_chunk_view(worker->kept[entry.kept].chunk)->columns;
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

/* T1. The entries may be of different workers. */
static bool is_before(const Sort *sort, const SortWorker *a_worker, Entry a, const SortWorker *b_worker,
                      Entry b) {
    if (LIKELY(a.rank != b.rank))
        return a.rank < b.rank;
    int order = row_compare(sort->order, kept_columns(a_worker, a), a.row, kept_columns(b_worker, b), b.row);
    const Kept *a_kept = &a_worker->kept[a.kept], *b_kept = &b_worker->kept[b.kept];
    if (order == 0)
        order = compare_numbers(a_kept->split, b_kept->split);
    if (order == 0)
        order = compare_numbers(a_kept->arrival, b_kept->arrival);
    return order ? order < 0 : a.row < b.row;
}

/* from[begin, middle) and from[middle, end), each in order, into to[begin, end). */
static void merge_entries(const Sort *sort, const SortWorker *worker, const Entry *from, uint64_t begin,
                          uint64_t middle, uint64_t end, Entry *to) {
    uint64_t left = begin, right = middle;
    for (uint64_t i = begin; i < end; i++) {
        bool takes_right =
            left == middle || (right < end && is_before(sort, worker, from[right], worker, from[left]));
        to[i] = takes_right ? from[right++] : from[left++];
    }
}

/* Every row of the worker as an entry, in order. */
CHECKED static Status order_entries(const Sort *sort, SortWorker *worker, Error *err) {
    size_t size_bytes = worker->row_count * sizeof(Entry);
    TRY(array_reserve(&worker->entries, 0, size_bytes, sort->budget, sort->who, err));
    TRY(array_reserve(&worker->scratch, 0, size_bytes, sort->budget, sort->who, err));
    Entry *entries = worker->entries.data;
    uint64_t count = 0;
    for (uint32_t k = 0; k < worker->kept_count; k++) {
        const Chunk *chunk = shared_chunk_view(worker->kept[k].chunk);
        for (uint32_t row = 0; row < chunk->row_count; row++)
            entries[count++] = (Entry){row_rank(sort->order, chunk->columns, row), k, row};
    }
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t begin = 0; begin < count; begin += 2 * width) {
            uint64_t middle = begin + width < count ? begin + width : count;
            uint64_t end = middle + width < count ? middle + width : count;
            merge_entries(sort, worker, worker->entries.data, begin, middle, end, worker->scratch.data);
        }
        Array sorted = worker->scratch;
        worker->scratch = worker->entries;
        worker->entries = sorted;
    }
    worker->entry_count = count;
    return STATUS_OK;
}

/* ---- rows in ---- */

/* `chunk` is taken. */
static void keep(SortWorker *worker, SharedChunk *chunk, uint64_t split, uint64_t arrival) {
    if (worker->kept_count == worker->kept_capacity) {
        worker->kept_capacity = worker->kept_capacity ? 2 * worker->kept_capacity : 16;
        worker->kept = xrealloc(worker->kept, worker->kept_capacity * sizeof(Kept));
    }
    worker->kept[worker->kept_count++] = (Kept){chunk, split, arrival};
    worker->row_count += shared_chunk_view(chunk)->row_count;
}

/* T2. The marked rows of a kept chunk; NULL when there are none. */
CHECKED static Status keep_marked(const Sort *sort, SharedChunk **chunk, const uint8_t *marks, Error *err) {
    const Chunk *all = shared_chunk_view(*chunk);
    uint16_t selection[CHUNK_ROWS_MAX];
    Chunk marked = *all;
    marked.selection = selection;
    marked.selected_count = 0;
    for (uint32_t row = 0; row < all->row_count; row++)
        if (marks[row])
            selection[marked.selected_count++] = (uint16_t)row;
    if (marked.selected_count == all->row_count)
        return STATUS_OK;
    SharedChunk *shared = NULL;
    if (marked.selected_count)
        TRY(chunk_share(&marked, sort->budget, sort->who, &shared, err));
    shared_chunk_release(*chunk);
    *chunk = shared;
    return STATUS_OK;
}

/* T2. After a failure the batch ends: what is kept is only good for being released. */
CHECKED static Status drop_rows(const Sort *sort, SortWorker *worker, Error *err) {
    TRY(order_entries(sort, worker, err));
    const Entry *entries = worker->entries.data;
    Entry bound = entries[sort->row_limit - 1];
    uint64_t *begins = xmalloc(worker->kept_count * sizeof *begins); /* of the marks of a kept chunk */
    uint8_t *marks = xcalloc(worker->row_count, sizeof *marks);
    uint64_t row_count = 0;
    for (uint32_t k = 0; k < worker->kept_count; k++) {
        begins[k] = row_count;
        row_count += shared_chunk_view(worker->kept[k].chunk)->row_count;
    }
    for (uint64_t i = 0; i < sort->row_limit; i++)
        marks[begins[entries[i].kept] + entries[i].row] = 1;
    uint32_t bound_row = 0;
    for (uint32_t row = 0; row < bound.row; row++)
        bound_row += marks[begins[bound.kept] + row];
    Status st = STATUS_OK;
    uint32_t count = 0;
    for (uint32_t k = 0; k < worker->kept_count; k++) {
        Kept kept = worker->kept[k];
        if (st == STATUS_OK)
            st = keep_marked(sort, &kept.chunk, marks + begins[k], err);
        if (k == bound.kept)
            worker->bound = (Entry){bound.rank, count, bound_row};
        if (kept.chunk)
            worker->kept[count++] = kept;
    }
    worker->kept_count = count;
    worker->row_count = sort->row_limit;
    worker->has_bound = true;
    free(begins);
    free(marks);
    return st;
}

/* The rows of `in` that come before the bound: of equal ones the bound came first. */
static uint32_t select_rows(const SortOperator *op, const Chunk *in, uint16_t *selection) {
    const SortWorker *worker = op->worker;
    const Kept *bound_kept = &worker->kept[worker->bound.kept];
    const Column *bound_columns = kept_columns(worker, worker->bound);
    /* Equal rows of an earlier split may come to the worker later: then they are the first ones. */
    bool wins_ties = in->split < bound_kept->split;
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->selected_count; i++) {
        uint32_t row = chunk_row(in, i);
        uint64_t rank = row_rank(op->sort->order, in->columns, row);
        if (rank > worker->bound.rank)
            continue;
        int order = rank < worker->bound.rank
                        ? -1
                        : row_compare(op->sort->order, in->columns, row, bound_columns, worker->bound.row);
        if (order < 0 || (order == 0 && wins_ties))
            selection[count++] = (uint16_t)row;
    }
    return count;
}

CHECKED static Status sort_push(Operator *base, const Chunk *in, Error *err) {
    SortOperator *op = (SortOperator *)base;
    Sort *sort = op->sort;
    SortWorker *worker = op->worker;
    uint64_t arrival = sort->arrivals[in->split]++;
    uint16_t selection[CHUNK_ROWS_MAX];
    Chunk kept = *in;
    if (worker->has_bound) {
        kept.selection = selection;
        kept.selected_count = select_rows(op, in, selection);
        if (kept.selected_count == 0)
            return STATUS_OK;
    }
    SharedChunk *shared;
    TRY(chunk_share(&kept, sort->budget, sort->who, &shared, err));
    keep(worker, shared, in->split, arrival);
    bool is_full = worker->row_count > sort->row_limit &&
                   worker->row_count - sort->row_limit >= sort->row_limit + CHUNK_ROWS_MAX;
    return is_full ? drop_rows(sort, worker, err) : STATUS_OK;
}

static void sort_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass sort_operator_class = {.push = sort_push, .destroy = sort_operator_destroy};

CHECKED static Status sort_open_operator(Producer *producer, const OperatorContext *context, Operator **out,
                                         Error *err) {
    (void)err;
    SortOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &sort_operator_class;
    op->sort = (Sort *)producer;
    op->worker = &op->sort->workers[context->worker];
    *out = &op->op;
    return STATUS_OK;
}

/* ---- rows out ---- */

static void sort_begin(Producer *producer, const ProducerBatch *batch) {
    Sort *sort = (Sort *)producer;
    if (batch->split_counts[0] > sort->arrival_capacity) {
        sort->arrival_capacity = batch->split_counts[0];
        sort->arrivals = xrealloc(sort->arrivals, sort->arrival_capacity * sizeof *sort->arrivals);
    }
    if (batch->split_counts[0])
        memset(sort->arrivals, 0, batch->split_counts[0] * sizeof *sort->arrivals);
}

static uint32_t sort_prepare_count(Producer *producer) {
    return ((Sort *)producer)->worker_count;
}

CHECKED static Status sort_prepare(Producer *producer, uint32_t part, Error *err) {
    Sort *sort = (Sort *)producer;
    sort->workers[part].cursor = 0;
    return order_entries(sort, &sort->workers[part], err);
}

static uint32_t sort_task_count(const Producer *producer) {
    (void)producer;
    return 1;
}

/* The worker whose next row is the first of all; NULL: there is none. They are few: a look at each will do. */
static SortWorker *first_worker(const Sort *sort) {
    SortWorker *first = NULL;
    for (uint32_t w = 0; w < sort->worker_count; w++) {
        SortWorker *worker = &sort->workers[w];
        if (worker->cursor == worker->entry_count)
            continue;
        Entry next = ((const Entry *)worker->entries.data)[worker->cursor];
        if (!first ||
            is_before(sort, worker, next, first, ((const Entry *)first->entries.data)[first->cursor]))
            first = worker;
    }
    return first;
}

CHECKED static Status give(Sort *sort, const Emit *out, uint64_t *sequence, Error *err) {
    Chunk chunk;
    builder_chunk(sort->builder, &chunk);
    chunk.sequence = (*sequence)++;
    TRY(emit_chunk(out, &chunk, err));
    builder_reset(sort->builder);
    return STATUS_OK;
}

CHECKED static Status sort_produce(Producer *producer, uint32_t worker_index, uint32_t task, const Emit *out,
                                   Error *err) {
    (void)worker_index;
    (void)task;
    Sort *sort = (Sort *)producer;
    uint64_t sequence = 0;
    builder_reset(sort->builder);
    for (uint64_t i = 0; i < sort->row_limit; i++) {
        SortWorker *worker = first_worker(sort);
        if (!worker)
            break;
        Entry entry = ((const Entry *)worker->entries.data)[worker->cursor++];
        const Column *columns = kept_columns(worker, entry);
        for (uint32_t c = 0; c < producer->node->schema->column_count; c++)
            TRY(builder_put_value(sort->builder, c, &columns[c], entry.row, err));
        builder_end_row(sort->builder);
        if (builder_is_full(sort->builder))
            TRY(give(sort, out, &sequence, err));
    }
    return give(sort, out, &sequence, err);
}

static void sort_end(Producer *producer) {
    Sort *sort = (Sort *)producer;
    for (uint32_t w = 0; w < sort->worker_count; w++) {
        SortWorker *worker = &sort->workers[w];
        while (worker->kept_count > 0)
            shared_chunk_release(worker->kept[--worker->kept_count].chunk);
        array_deinit(&worker->entries, sort->budget);
        array_deinit(&worker->scratch, sort->budget);
        worker->row_count = worker->entry_count = worker->cursor = 0;
        worker->has_bound = false;
    }
    builder_reset(sort->builder);
}

static void sort_destroy(Producer *producer) {
    Sort *sort = (Sort *)producer;
    for (uint32_t w = 0; w < sort->worker_count; w++)
        free(sort->workers[w].kept);
    free(sort->workers);
    free(sort->arrivals);
    builder_destroy(sort->builder);
    free(sort);
}

static const ProducerClass sort_class = {
    .begin = sort_begin,
    .open_operator = sort_open_operator,
    .prepare_count = sort_prepare_count,
    .prepare = sort_prepare,
    .task_count = sort_task_count,
    .produce = sort_produce,
    .end = sort_end,
    .destroy = sort_destroy,
};

Status sort_create(const ProducerOptions *options, Producer **out, Error *err) {
    const PlanNode *node = options->node;
    Builder *builder;
    TRY(builder_create(node->schema, options->budget, options->who, &builder, err));
    Sort *sort = xcalloc(1, sizeof *sort);
    sort->producer = (Producer){&sort_class, node};
    sort->order = (RowOrder){node->order, node->order_count};
    sort->row_limit = node->row_limit ? node->row_limit : UINT64_MAX;
    sort->budget = options->budget;
    sort->who = options->who;
    sort->builder = builder;
    sort->worker_count = options->worker_count;
    sort->workers = xcalloc(options->worker_count, sizeof *sort->workers);
    *out = &sort->producer;
    return STATUS_OK;
}
