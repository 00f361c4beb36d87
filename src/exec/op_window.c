/* op_window.c - the rows of the last batches: in every batch it takes what there is, and when it is due it
 * gives what it has kept.
 *
 *   push     rows go into the fresh batch of the state
 *   produce  one task for each split of each batch of the window, in the order of time
 *
 *   V1  The rows of (T - length, T] leave in the order (batch, split, row), a split of their own for each
 *       (batch, split): folds that see the order of rows see that of the stream.
 *   V2  Giving changes, the batches that leave stand before those that enter: of (T - slide - length, T -
 *       slide] and (T - length, T] what is in the first only, then what is in the second only.
 *   V3  It is due also when its input has no batch, and gives an empty one when nothing was kept.
 *   V4  Rows that no window will see, between two windows with a gap, are not kept.
 *   V5  What goes on from a window in memory only (is_running) knows no other than the last one: after a
 *       start, a batch rolled back or a gap all rows of the window enter. */
#include "exec/operator.h"

#include "exec/window_state.h"

#include <stdlib.h>

typedef struct WindowTask {
    const BatchPartition *partition;
    int64_t sign;
} WindowTask;

typedef struct Window {
    Producer producer;
    NodeState *state; /* a window_state */
    bool takes_rows;  /* V4: of this batch */
    /* V5: the batch ids of the last window that was given and kept (0: none), and of the one being given. */
    uint64_t given_id, due_id;
    WindowTask *tasks;
    uint32_t task_count, task_capacity;
} Window;

typedef struct WindowOperator {
    Operator op;
    Window *window;
} WindowOperator;

CHECKED static Status window_push(Operator *op, const Chunk *in, Error *err) {
    Window *window = ((WindowOperator *)op)->window;
    return window->takes_rows ? window_state_add(window->state, in, err) : STATUS_OK;
}

static void window_operator_destroy(Operator *op) {
    free(op);
}

static const OperatorClass window_operator_class = {.push = window_push, .destroy = window_operator_destroy};

CHECKED static Status window_open_operator(Producer *producer, const OperatorContext *context, Operator **out,
                                           Error *err) {
    (void)context;
    (void)err;
    WindowOperator *op = xcalloc(1, sizeof *op);
    op->op.class = &window_operator_class;
    op->window = (Window *)producer;
    *out = &op->op;
    return STATUS_OK;
}

/* A task for each split of the batches in (after, upto]. */
static void add_tasks(Window *window, int64_t after, int64_t upto, int64_t sign) {
    int64_t stride = (int64_t)window->producer.node->inputs[0]->slide;
    for (int64_t id = after < 0 ? stride : after + stride; id <= upto; id += stride) {
        const KeptBatch *batch = window_state_find(window->state, (uint64_t)id);
        for (uint32_t p = 0; batch && p < batch->partition_count; p++) {
            if (window->task_count == window->task_capacity) {
                window->task_capacity = window->task_capacity ? 2 * window->task_capacity : 16;
                window->tasks = xrealloc(window->tasks, window->task_capacity * sizeof(WindowTask));
            }
            window->tasks[window->task_count++] = (WindowTask){&batch->partitions[p], sign};
        }
    }
}

static void window_begin(Producer *producer, const ProducerBatch *batch) {
    Window *window = (Window *)producer;
    const PlanNode *node = producer->node;
    int64_t id = (int64_t)batch->batch.id, length = (int64_t)node->length, slide = (int64_t)node->slide;
    int64_t next_due = (id + slide - 1) / slide * slide;
    window->takes_rows = next_due - length < id; /* V4 */
    window_state_take(window->state, batch->batch.id, window->takes_rows ? batch->split_counts[0] : 0);
    window->task_count = 0;
    window->due_id = batch->is_due ? batch->batch.id : 0;
    if (!batch->is_due)
        return;
    bool goes_on = window->given_id && window->given_id + node->slide == batch->batch.id;
    if (node->gives_changes && (goes_on || !node->is_running)) { /* V2, V5 */
        int64_t overlap_begin = length < slide ? id - slide : id - length;
        int64_t overlap_end = length < slide ? id - length : id - slide;
        add_tasks(window, id - slide - length, overlap_begin, -1);
        add_tasks(window, overlap_end, id, 1);
    } else {
        add_tasks(window, id - length, id, 1);
    }
}

static uint32_t window_task_count(const Producer *producer) {
    return ((const Window *)producer)->task_count;
}

CHECKED static Status window_produce(Producer *producer, uint32_t worker, uint32_t task_index,
                                     const Emit *out, Error *err) {
    Status st = STATUS_OK;
    const Schema *schema = producer->node->schema;
    const WindowTask *task = &((Window *)producer)->tasks[task_index];
    uint32_t row_columns = producer->node->inputs[0]->schema->column_count;
    Column *columns = xcalloc(schema->column_count, sizeof *columns);
    (void)worker;
    if (producer->node->gives_changes)
        columns[row_columns] =
            (Column){.type = &schema->fields[row_columns].type, .data = &task->sign, .is_constant = true};
    uint64_t row_count = 0;
    for (uint32_t i = 0; i < task->partition->chunk_count; i++)
        row_count += shared_chunk_view(task->partition->chunks[i])->row_count;
    for (uint32_t i = 0; i < task->partition->chunk_count && st == STATUS_OK; i++) {
        Chunk chunk = *shared_chunk_view(task->partition->chunks[i]);
        memcpy(columns, chunk.columns, row_columns * sizeof *columns);
        chunk.schema = schema;
        chunk.columns = columns;
        chunk.split = task_index;
        chunk.sequence = i;
        chunk.split_row_count = row_count;
        st = emit_chunk(out, &chunk, err);
    }
    free(columns);
    return st;
}

static void window_end(Producer *producer) {
    ((Window *)producer)->task_count = 0;
}

static void window_settle(Producer *producer, bool is_kept) {
    Window *window = (Window *)producer;
    if (!is_kept)
        window->given_id = 0;
    else if (window->due_id)
        window->given_id = window->due_id;
}

static void window_destroy(Producer *producer) {
    free(((Window *)producer)->tasks);
    free(producer);
}

static const ProducerClass window_class = {
    .begin = window_begin,
    .open_operator = window_open_operator,
    .task_count = window_task_count,
    .produce = window_produce,
    .end = window_end,
    .settle = window_settle,
    .destroy = window_destroy,
};

Status window_create(const ProducerOptions *options, Producer **out, Error *err) {
    (void)err;
    Window *window = xcalloc(1, sizeof *window);
    window->producer = (Producer){&window_class, options->node};
    window->state = options->state;
    *out = &window->producer;
    return STATUS_OK;
}
