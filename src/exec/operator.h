/* operator.h - the pieces of a pipeline: what makes rows, what takes them, and how they are joined.
 *
 * A plan is compiled to one Producer for every node that rows start from (a source; a breaker, which collects
 * its whole input first) and, per worker, one Operator for every node that takes rows. A node that is decoded
 * with its source, and a union, become neither: a union is only a numbering of splits, kept in the edges.
 *
 *     Producer --emit--> Operator --emit--> Operator of a breaker or an output, which keeps what it needs
 *
 *   O1  push borrows the chunk for the length of the call; rows arrive in the order of their split.
 *   O2  Split numbers of a node are dense: [0, split_count). All rows of a split come from one worker in one
 *       task. So an array with an entry per split needs no lock, and the answer does not depend on which
 *       worker it was.
 *   O3  An operator belongs to one worker; a Producer is shared by all, each of which touches its own part.
 *   O4  Between begin and end a producer's life in a batch is: pushes to its operators; prepare (all parts of
 *       it, in parallel); produce (all tasks of it, in parallel). After a failure end comes at once.
 */
#ifndef LEAT_EXEC_OPERATOR_H
#define LEAT_EXEC_OPERATOR_H

#include "column/builder.h"
#include "exec/batch_data.h"
#include "exec/engine.h"
#include "exec/node_state.h"

typedef struct Operator Operator;

/* ---- joints ---- */

typedef struct Edge {
    Operator *to;
    const Schema *schema;        /* of the node that `to` takes: across a union names and key may differ */
    const uint64_t *split_begin; /* added to the number of each split; set by the engine for each batch */
} Edge;

typedef struct Emit {
    Edge *edges;
    uint32_t edge_count;
    uint32_t chunk_rows_max; /* never 0 */
} Emit;

/* Pushes the chunk to every edge, cut into pieces of at most chunk_rows_max rows; of no rows, nothing. */
CHECKED Status emit_chunk(const Emit *emit, const Chunk *chunk, Error *err);
/* False: nobody looks at more rows of the split than it has had. They need not be made. */
bool emit_is_wanted(const Emit *emit, uint64_t split);

/* ---- what takes rows ---- */

/* Rows of one column of strings, without views: what functions per record see behind a text source, and
 * behind other functions that give one such column. At most chunk_rows_max rows. */
typedef struct LineRun {
    const LeatStr *lines; /* data is never NULL */
    uint32_t count;
    Buffer *const *buffers; /* they stand in */
    uint32_t buffer_count;
    uint64_t split, sequence;
} LineRun;

typedef struct OperatorClass {
    CHECKED Status (*push)(Operator *op, const Chunk *in, Error *err);
    CHECKED Status (*push_lines)(Operator *op, const LineRun *in, Error *err); /* NULL: takes chunks only */
    /* NULL: never. True: it looks at no more rows of the split than it has had. */
    bool (*has_enough)(const Operator *op, uint64_t split);
    void (*destroy)(Operator *op);
} OperatorClass;

/* First member of the operator's own struct. */
struct Operator {
    const OperatorClass *class;
    Emit out; /* empty for breakers and outputs */
};

/* What an operator is made with; all borrowed but values. */
typedef struct OperatorContext {
    const PlanNode *node;
    uint32_t input; /* of the node: which of its streams the rows are of */
    uint32_t worker;
    void *user; /* of the node's function, on this worker */
    Budget *budget;
    const char *who; /* for refusals: the operator's id, or the call */
} OperatorContext;

/* Each gives an operator that the caller owns: op->class->destroy.  NO_MEMORY. */
/* map, flat_map: a function of the user. */
CHECKED Status apply_create(const OperatorContext *context, Operator **out, Error *err);
/* filter: predicate, contains. */
CHECKED Status filter_create(const OperatorContext *context, Operator **out, Error *err);
CHECKED Status split_create(const OperatorContext *context, Operator **out, Error *err); /* leat_split */
/* leat_pair_with_i64 */
CHECKED Status pair_create(const OperatorContext *context, Operator **out, Error *err);

/* ---- what makes rows ---- */

typedef struct Producer Producer;

typedef struct ProducerBatch {
    EngineBatch batch;
    const EngineInput *input;     /* of a source; else NULL */
    const uint64_t *split_counts; /* of a breaker: of each input, 0 without a batch; borrowed for the call */
    /* Will it give rows in this batch? If not it only takes what there is: prepare and produce are not
     * called. */
    bool is_due;
    bool is_first; /* of a stateful node: its state begins with this batch (E4), if it is due */
} ProducerBatch;

typedef struct ProducerClass {
    void (*begin)(Producer *producer, const ProducerBatch *batch);
    /* The operator that takes rows for it, of one input on one worker; NULL for sources. */
    CHECKED Status (*open_operator)(Producer *producer, const OperatorContext *context, Operator **out,
                                    Error *err);
    /* May be NULL. prepare_count is called once, on the driver's thread. */
    uint32_t (*prepare_count)(Producer *producer);
    CHECKED Status (*prepare)(Producer *producer, uint32_t part, Error *err);
    /* How many splits it makes in this batch, known after begin (R2 of engine.c); a task each. */
    uint32_t (*task_count)(const Producer *producer);
    CHECKED Status (*produce)(Producer *producer, uint32_t worker, uint32_t task, const Emit *out,
                              Error *err);
    /* Nothing of this batch is needed any more. */
    void (*end)(Producer *producer);
    /* May be NULL. After end, when it is known whether the batch is kept or rolled back. */
    void (*settle)(Producer *producer, bool is_kept);
    void (*destroy)(Producer *producer);
} ProducerClass;

/* First member of the producer's own struct. */
struct Producer {
    const ProducerClass *class;
    const PlanNode *node;
};

typedef struct ProducerOptions {
    const PlanNode *node;
    const PlanNode *decoded; /* of a source: the node whose rows it gives, itself or a fused flat_map */
    uint32_t worker_count, partition_count;
    /* Of the node's functions, per worker; borrowed as long as the producer. */
    void *const *users, *const *inverse_users, *const *filter_users;
    /* Of a stateful node, or the one whose snapshots it gives; borrowed; the engine begins, keeps and rolls
     * back. */
    NodeState *state;
    Budget *budget;
    const char *who;
    uint32_t chunk_rows_max;
    bool constant_hash;
    const EngineOptions *engine; /* of the engine it is made for */
} ProducerOptions;

/* Each gives a producer that the caller owns: class->destroy.  NO_MEMORY. */
CHECKED Status scan_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status count_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status sort_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status transform_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status aggregate_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status partition_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status cogroup_create(const ProducerOptions *options, Producer **out, Error *err);
/* Its state is a window_state. */
CHECKED Status window_create(const ProducerOptions *options, Producer **out, Error *err);
/* Its state is a keyed_state. */
CHECKED Status keyed_process_create(const ProducerOptions *options, Producer **out, Error *err);
CHECKED Status state_snapshots_create(const ProducerOptions *options, Producer **out, Error *err);

/* Since the batch began, of all workers; call between rounds. */
typedef struct ScanStats {
    uint64_t row_count, text_bytes;
} ScanStats;
ScanStats scan_stats(const Producer *scan);

/* ---- what keeps rows ---- */

typedef struct Collector Collector;

/* `schema` is borrowed. It keeps the first row_limit rows of each split; 0: all. */
Collector *collector_create(const Schema *schema, uint64_t row_limit, Budget *budget, const char *who);
void collector_destroy(Collector *collector); /* NULL is allowed */
CHECKED Status collector_open_operator(Collector *collector, Operator **out, Error *err);
void collector_begin(Collector *collector, uint64_t split_count);
/* When all rows have arrived: counts them. Borrowed until begin or reset. */
const BatchData *collector_finish(Collector *collector);
void collector_reset(Collector *collector); /* gives the rows back */

#endif
