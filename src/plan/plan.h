/* plan.h - the logical plan: what a program asked for, as a graph of nodes.
 *
 * Doors (DStreams now) build a plan; exec runs it; the driver compares its stateful parts with a checkpoint.
 *
 *   P1  A node's inputs have lower indices: the nodes are in topological order.
 *   P2  Operator ids (D7) are unique: sources, stateful operators and outputs have one; adding a stateless
 *       node never changes another's id. An id is the user's name if there is one, else kind '#' ordinal
 *       among that kind; of a window inside of another call it is that of the call and ".window".
 *   P3  A plan does not change once plan_finish has returned.
 *
 * Memory  everything in the plan's arena.  Threads  one owner until finished, then read by all.
 */
#ifndef LEAT_PLAN_PLAN_H
#define LEAT_PLAN_PLAN_H

#include "column/type.h"
#include "leat/function.h"

typedef enum PlanKind {
    PLAN_SOURCE,
    PLAN_MAP,      /* function: record, chunk, pair_with_i64 */
    PLAN_FLAT_MAP, /* function: record, chunk, split */
    PLAN_FILTER,   /* function: predicate, contains */
    PLAN_UNION,
    PLAN_AGGREGATE, /* function: reduce, sum, min, max, concat, combine; by key when schema.key_count > 0 */
    PLAN_COUNT,     /* one row, also for an empty batch */
    PLAN_SORT,      /* all rows in order, or the first row_limit of them */
    PLAN_WINDOW,    /* the rows of the last batches; stateful */
    PLAN_KEYED_PROCESS,   /* function: update, map_with_state; stateful */
    PLAN_STATE_SNAPSHOTS, /* the state of its input, a PLAN_KEYED_PROCESS, after each batch of it */
    PLAN_COGROUP,         /* the values of each key, of one input or of two side by side; `cogroup` */
    PLAN_TRANSFORM,       /* what a function makes of whole batches, by calls on them */
    PLAN_PARTITION,       /* the partitions of a batch; `partition` */
    PLAN_OUTPUT,
} PlanKind;

/* One column of an order. */
typedef struct PlanOrder {
    uint32_t column;
    bool is_descending;
} PlanOrder;

enum { PLAN_PARTITIONS_MAX = 256 }; /* a program may ask for */

/* What PLAN_COGROUP gives for a key: lists of its values, or a row for each pair of values of two inputs. */
typedef enum PlanCogroup {
    COGROUP_LISTS,
    COGROUP_INNER,
    COGROUP_LEFT, /* also a row for each value of the first input, where the second has none */
    COGROUP_RIGHT,
    COGROUP_FULL,
} PlanCogroup;

typedef enum PlanPartition {
    PARTITION_LIST,    /* one ARRAY for each: of the column, or of a STRUCT of several */
    PARTITION_MAP,     /* function: partition */
    PARTITION_IN_TURN, /* the same rows, dealt out to partition_count of them */
    PARTITION_BY_KEY,  /* the same rows; those of a key in the same one */
} PlanPartition;

typedef struct PlanNode PlanNode;
struct PlanNode {
    PlanKind kind;
    uint32_t index;   /* in plan->nodes */
    const char *call; /* the public call that made it, for messages: "leat_reduce_by_key" */
    const char *id;   /* P2; NULL where the kind has none */
    const char *name; /* the user's, or NULL */
    /* The node that the call gave, where it made several: this one goes by its name. NULL: it is that. */
    PlanNode *head;
    /* What it gives; of an output: what it takes. PLAN_AGGREGATE by key, PLAN_KEYED_PROCESS and PLAN_COGROUP:
     * key columns first, as many as its key_count says, which are also the first columns of each input. */
    const Schema *schema;
    PlanNode **inputs;
    uint32_t input_count;
    /* It gives a batch at every so many batch times, counted from zero time; of a node with inputs that of
     * the first, unless the call sets another. */
    uint64_t slide;
    LeatFunction function; /* texts copied into the arena; unused kinds: zero */

    /* PLAN_SOURCE */
    void *source;            /* Source of stream/source.h; the plan does not look inside */
    const char *source_kind; /* "socket" */
    bool is_text;            /* gives bytes that are decoded as lines: `schema` is one STRING column */

    /* PLAN_WINDOW: at batch id T, a multiple of `slide`, the batches of the input in (T - length, T]. Both are
     * multiples of the input's slide. */
    uint64_t length;
    /* Instead of rows, what changes since the window of T - slide: first the rows of batches that were in that
     * one only, then those of batches that are in this one only; behind the columns of the input stands a
     * BIGINT, -1 for the first and 1 for the others. */
    bool gives_changes;

    /* Of such a window and the PLAN_AGGREGATE over it, a sum of integers by key: the sums of a window are made of
     * those of the last one, in memory. Nothing of them is state: when the window cannot say what has changed,
     * all its rows enter. */
    bool is_running;

    /* PLAN_AGGREGATE over a window that gives changes: the value of each key goes on from window to window,
     * function(inverse(value, what leaves), what enters); stateful. Keys stay until `filter` does not hold
     * for their row, or, with drops_zero, until all their values are 0. */
    bool is_cumulative;
    LeatFunction inverse; /* subtract, reduce; takes out of `a` what `b` has put in */
    LeatFunction filter;  /* predicate, or none: its call is NULL */
    bool drops_zero;

    /* PLAN_COUNT: an empty batch gives no row instead of 0 */
    bool skips_empty;

    /* PLAN_KEYED_PROCESS; a cumulative PLAN_AGGREGATE: its values */
    /* As it is stored: the columns of the user, and behind them, where there is a timeout, "updated
     * TIMESTAMP". */
    const Schema *state_schema;
    /* Key columns and state columns of the user. NULL: `schema` is that. */
    const Schema *table_schema;
    int64_t timeout_ms;    /* 0: none */
    uint64_t check_slides; /* of a timeout: it is looked at where the batch id is a multiple of it */
    void (*initial_state)(LeatOut *out, void *user); /* rows of the table, for the first batch; or NULL */
    void *initial_user;

    /* PLAN_SORT: by the first of these columns, where it is equal by the next. Scalar columns, at least one. */
    const PlanOrder *order;
    uint32_t order_count;

    PlanCogroup cogroup; /* PLAN_COGROUP */

    /* PLAN_PARTITION; partition_count 1 to 256, where it makes new ones */
    PlanPartition partition;
    uint32_t partition_count;

    /* PLAN_MAP, PLAN_FLAT_MAP by record or chunk: so many first columns of the input stay in front of what the
     * function gives; it sees the others only. A PLAN_FLAT_MAP by chunk keeps none. */
    uint32_t kept_count;

    /* PLAN_TRANSFORM */
    void *transform; /* Transform of exec/transform.h */

    /* PLAN_OUTPUT */
    void *output; /* Output of stream/output.h */

    /* An output looks at, and a PLAN_SORT gives, no more than the first so many rows; 0: all. */
    uint64_t row_limit;

    /* Set by plan_finish */
    uint32_t consumer_count;
    /* A PLAN_FLAT_MAP by a one-byte leat_split directly behind a text source that has no other consumer: it
     * is decoded by the source's scan and has no operator of its own. */
    bool is_fused;
};

typedef struct Plan {
    Arena *arena;
    PlanNode **nodes;
    uint32_t node_count, node_capacity;
    bool is_finished;
} Plan;

Plan *plan_create(void);
void plan_destroy(Plan *plan); /* NULL is allowed */

/* A node of `kind` with its inputs, zero else; the caller fills in the rest. `call`: static text. */
PlanNode *plan_add(Plan *plan, PlanKind kind, const char *call, PlanNode *const *inputs,
                   uint32_t input_count);

/* Copies into the plan's arena, for what must outlive the call that gave it. NULL stays NULL. */
const char *plan_text(Plan *plan, const char *text);
LeatFunction plan_function(Plan *plan, LeatFunction function);

/* Gives ids, counts consumers, drops what no output needs (unused nodes are left out of `nodes`), fuses, and
 * checks every node that is left. INVALID: no output ("leat_start: no output was registered, so there is
 * nothing to execute"), two operators of one name, a node that plan_check_node refuses; the plan is then of
 * no further use. */
CHECKED Status plan_finish(Plan *plan, Error *err);

/* Can the node's function work on the columns of its inputs and give those of its schema? A door may ask as
 * soon as it has filled in a node, so that the message comes with the call at fault.  INVALID, e.g.
 * "leat_reduce_by_key: leat_sum cannot add up column 'word', which is STRING". */
CHECKED Status plan_check_node(const PlanNode *node, Error *err);

/* Does the aggregate's result depend on the order of rows (D2)? Exact and commutative ones (count, sum of
 * BIGINT, min, max) do not; sums of DOUBLE, concatenation and functions of the user do. */
bool plan_is_order_sensitive(const PlanNode *aggregate);
/* What a PLAN_COGROUP of these inputs gives, whose first key_count columns are the key: behind it
 *   COGROUP_LISTS   an ARRAY for each input: of its value, or of a STRUCT of its values if it has several
 *   the joins       the values of the first input, then those of the second; an input that a row may lack is
 *                   one OPTION of its values
 * In arena, which has no budget; names and types are shared with the inputs. */
Schema *plan_cogroup_schema(Arena *arena, PlanCogroup mode, const Schema *const *inputs, uint32_t input_count,
                            uint32_t key_count);
/* What a PLAN_PARTITION by PARTITION_LIST gives, "values ARRAY<...>". In arena, as above. */
Schema *plan_list_schema(Arena *arena, const Schema *input);
bool plan_is_stateful(const PlanNode *node);
/* Is it refused without a checkpoint directory? A window of rows is not: it forgets with the process. */
bool plan_needs_checkpoint(const PlanNode *node);
/* PLAN_KEYED_PROCESS by mapWithState: it gives a batch also where its input has none. */
bool plan_is_map_with_state(const PlanNode *node);
const Schema *plan_table_schema(const PlanNode *keyed_process);
/* Does it fail when one of its inputs has no batch at a time at which it is due? Others give none then. */
bool plan_needs_every_input(const PlanNode *node);
/* The first STRING column, which leat_split and leat_contains work on; column_count: there is none. */
uint32_t plan_string_column(const Schema *schema);

/* A finished plan of `result` and all it needs, with one output behind it, which is called `call` (static text).
 * It shares nothing with the plan of `result` but what nodes only point to: sources, users of functions. The
 * caller owns *out.  INVALID: as plan_finish; a node of it goes on from batch to batch. */
CHECKED Status plan_part_create(const PlanNode *result, const char *call, Plan **out, Error *err);
/* Is `plan` what plan_part_create would make of `result`: the same kinds, functions, users, schemas? */
bool plan_part_equals(const Plan *plan, const PlanNode *result);

/* One line per node, inputs by number: for EXPLAIN, for messages, for the debugger. */
void plan_format(const Plan *plan, Text *out);

/* What a checkpoint must agree on, as text: a line per source, stateful operator and output with its id,
 * kind, schemas and version. plan_compare: OK when `saved` (such a text) can go on with this plan; INVALID
 * names the first difference, e.g. "operator 'update_state_by_key#0': its state was (total BIGINT), the
 * program now says (total DOUBLE)". Outputs and sources may be added; a stateful operator or source of the
 * checkpoint that the program lacks is a difference. */
void plan_identity(const Plan *plan, Text *out);
CHECKED Status plan_compare(const Plan *plan, Str saved, Error *err);

#endif
