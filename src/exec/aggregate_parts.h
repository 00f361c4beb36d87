/* aggregate_parts.h - what the files behind op_aggregate.c share.
 *
 *     op_aggregate.c          rows into partials; partials merged, the scope of a batch
 *     aggregate_cumulative.c  merged changes into values that go on from window to window, in the state
 *     aggregate_running.c     the same for sums of integers, in memory
 *
 * The rules A1 to A8 are in op_aggregate.c.
 */
#ifndef LEAT_EXEC_AGGREGATE_PARTS_H
#define LEAT_EXEC_AGGREGATE_PARTS_H

#include "exec/exchange.h"
#include "exec/fold.h"
#include "exec/giver.h"
#include "exec/keys.h"
#include "exec/operator.h"

typedef struct Cumulative Cumulative;
typedef struct Running Running;

enum { SPARES_MAX = 16 };

typedef struct Partial {
    KeyTable *table; /* NULL: no key */
    KeySlot only;    /* what stands for the table then */
    bool has_rows;
    bool has_cells;     /* A4: values are Cell[value_count], else words */
    bool enters;        /* A6 */
    uint32_t partition; /* A8: of all its keys; UINT32_MAX: they are of any */
    Arena *arena;       /* of cells */
} Partial;

/* Functions of the user (reduce, inverse, those of combineByKey), called with accumulators. */
typedef struct Reducer {
    LeatRecordFunction create; /* of the first value; NULL: it is the value itself */
    LeatReduceFunction fold;   /* an accumulator and a value */
    LeatReduceFunction merge;  /* two accumulators */
    void *user;
    OneRow result;
    LeatColumn *a, *b; /* value_count each, looking at cells */
    ChunkReader *reader;
} Reducer;

typedef struct Run {
    const Partial *partial;
    uint32_t index; /* in the order of splits */
    uint64_t cursor;
    const KeySlot *slot; /* at hand */
} Run;

typedef struct AggregateWorker {
    Keys keys;
    Reducer reducer;
    Builder *builder;
    Arena *merged; /* what cells grow into while they are merged */
    Run *runs;     /* of the merges of a task */
    uint32_t run_capacity;
    uint32_t slots[CHUNK_ROWS_MAX];
    uint64_t words[CHUNK_ROWS_MAX];
    Cell *cells[CHUNK_ROWS_MAX];
} AggregateWorker;

typedef struct Aggregate {
    Producer producer;
    Schema values;                   /* the value columns of the input */
    Schema kept;                     /* those of accumulators and results: of combineByKey others */
    uint32_t key_count, value_count; /* value_count: of `kept` */
    FoldOp *ops;                     /* per value column */
    Exchange *exchange;              /* A7; else NULL */
    bool is_reduce, by_split, starts_with_cells;
    bool takes_panes; /* A8 */
    Str separator;
    Budget *budget;
    const char *who;
    uint32_t partition_count, worker_count;
    AggregateWorker **workers;

    Partial **partials; /* per worker or per split (A1); NULL: no row yet */
    uint64_t partial_count, partial_capacity;
    Partial *spares[SPARES_MAX]; /* of earlier batches; workers only take */
    _Atomic int32_t spare_count;
    Partial **used;                     /* those that are not NULL, in order; from prepare_count to end */
    uint32_t used_count, leaving_count; /* A6: the first of them leave */
    uint64_t used_capacity;
    bool merges_cells;

    /* At most one of the two; none: the scope is the batch. */
    Cumulative *cumulative;
    Running *running;
    bool takes_changes; /* A6: one of the two */
} Aggregate;

static inline Cell *slot_cells(const KeySlot *slot) {
    return (Cell *)(uintptr_t)slot->value;
}

/* ---- functions of the user ---- */
/* `function` for fold and merge. */
CHECKED Status reducer_init(Reducer *reducer, const Aggregate *aggregate, LeatReduceFunction function,
                            void *user, Error *err);
void reducer_deinit(Reducer *reducer);
/* a = function(a, b), value_count cells each. */
CHECKED Status reducer_call(const Aggregate *aggregate, Reducer *reducer, Cell *a, const Cell *b,
                            const CellContext *context, Error *err);

/* ---- merging ---- */
/* A walk over the keys of partials in the range of hashes of one partition, in the order of E3; the values of
 * equal keys become one (A2). */
typedef struct Merge {
    const Aggregate *aggregate;
    AggregateWorker *worker;
    uint64_t hash_end;
    Run *runs; /* a heap */
    uint32_t run_count;
    bool has_cells; /* A4 */
    bool only_keys; /* values are left as they are */
    /* What merge_next found; the slot is NULL at the end. */
    const KeySlot *slot;
    uint64_t value;                 /* as in a slot */
    uint32_t slot_count, has_count; /* of how many slots it is made; of running sums: of how many values */
} Merge;

/* Of used[begin, end), without a value at hand yet. Merges of a worker at the same time are of different
 * partials. */
Merge merge_begin(const Aggregate *aggregate, AggregateWorker *worker, uint32_t partition, uint32_t begin,
                  uint32_t end);
CHECKED Status merge_next(Merge *merge, Error *err);
int aggregate_slot_compare(const KeySlot *a, const KeySlot *b); /* as A2 orders */
/* The value at hand as cells; `room` for one, where it is a word. */
static inline Cell *merge_cells(const Merge *merge, Cell *room) {
    if (merge->has_cells)
        return (Cell *)(uintptr_t)merge->value;
    *room = (Cell){.value = {.word = merge->value ^ fold_identity(merge->aggregate->ops[0])}, .has = true};
    return room;
}

/* ---- values that go on ---- */
/* A walk over the keys that leave, enter or both. */
typedef struct ChangeWalk {
    Merge leaving, entering;
    bool leaves, enters; /* of the key at hand: which of the two is at it */
    const KeySlot *slot; /* NULL: the end */
} ChangeWalk;
/* At the first key. */
CHECKED Status change_walk_begin(ChangeWalk *walk, const Aggregate *aggregate, AggregateWorker *worker,
                                 uint32_t partition, Error *err);
CHECKED Status change_walk_next(ChangeWalk *walk, Error *err);

CHECKED Status running_create(const Aggregate *aggregate, const ProducerOptions *options, Running **out,
                              Error *err);
void running_destroy(Running *running); /* NULL is allowed */
void running_begin(Running *running, const ProducerBatch *batch);
CHECKED Status running_produce(const Aggregate *aggregate, uint32_t worker_index, uint32_t task,
                               const Emit *out, Error *err);
void running_settle(Running *running, bool is_kept);

CHECKED Status cumulative_create(const Aggregate *aggregate, const ProducerOptions *options, Cumulative **out,
                                 Error *err);
void cumulative_destroy(Cumulative *cumulative); /* NULL is allowed */
CHECKED Status cumulative_produce(const Aggregate *aggregate, uint32_t worker_index, uint32_t task,
                                  const Emit *out, Error *err);

#endif
