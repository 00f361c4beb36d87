/* engine.c - a plan as pipelines, and the rounds of a batch.
 *
 *   compile:  plan nodes --> producers (sources, breakers), operators per worker, collectors;
 *                            joined by routes
 *   run:      begin --> level 0: splits of the sources
 *                   --> level 1: breakers that they feed: prepare, produce --> ...
 *                   --> outputs are readable --keep | rollback--> idle
 *
 *   R1  A producer's level is above that of every producer that feeds it: when its tasks run, all its rows
 *       have come.
 *   R2  Split numbers are given before the batch starts, from the plan and the inputs alone, so they (and
 *       with them the order of everything that is collected) do not depend on workers.
 *   R3  A failure anywhere ends the batch: every store is rolled back, every producer has ended, no output is
 *       readable.
 */
#include "exec/engine.h"

#include "base/bytes.h"
#include "exec/keyed_state.h"
#include "exec/operator.h"
#include "exec/pool.h"
#include "exec/window_state.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    /* Measured: waking a worker and waiting for it costs more than this much text does. */
    INLINE_BYTES_MAX = 64 << 10,
    INLINE_STATE_KEYS_MAX = 16 << 10, /* of operators that visit them all in every batch */
    INLINE_STATE_BYTES_MAX = 1 << 20, /* a window all its rows */
};

typedef struct Hop {
    uint32_t union_index, position;
} Hop;

/* A way of rows from a node to one that takes them, through unions. */
typedef struct Route {
    uint32_t from, to;
    uint32_t input; /* of `to`, at which they arrive */
    const Hop *hops;
    uint32_t hop_count;
    uint64_t split_begin; /* R2: in this batch */
} Route;

/* The functions of the user that a node may have. */
enum { FUNCTION_OWN, FUNCTION_INVERSE, FUNCTION_FILTER, NODE_FUNCTIONS };

typedef struct EngineNode {
    const PlanNode *node;
    /* Whose rows it gives: its own, or of a source those of the node that is fused with it. */
    const PlanNode *rows;
    const char *who;
    uint32_t level; /* R1; of what reaches it */
    Producer *producer;
    Collector *collector;
    Operator **operators;                   /* per input and worker; NULL entries: none */
    Emit *emits;                            /* of producers, per worker */
    void **users[NODE_FUNCTIONS];           /* of its functions, per worker */
    uint32_t opened_counts[NODE_FUNCTIONS]; /* of them, by the open hook */

    NodeState *state; /* of a stateful node */
    bool had_batch;   /* E4: it has (maybe empty) state; as of the last kept batch */

    /* This batch */
    bool has_batch;
    uint64_t *input_splits; /* of a producer: the splits of each input */
    uint64_t split_count;
    const EngineInput *input;
    const BatchData *data; /* of an output, when the batch has run */
} EngineNode;

typedef struct Task {
    EngineNode *node;
    uint32_t index;
} Task;

struct Engine {
    const Plan *plan;
    EngineOptions options;
    Arena *arena;   /* of what lives as long as the engine */
    Pool *own_pool; /* NULL: it is borrowed */
    EngineNode *nodes;
    Route *routes;
    uint32_t route_count, route_capacity;
    uint32_t level_count;
    uint32_t *outputs, output_count; /* node indices */
    Task *tasks;
    uint32_t task_count, task_capacity;
    bool is_in_batch, is_inline;
    EngineStats stats;
};

static void *engine_alloc(Engine *engine, size_t size_bytes) {
    void *memory = arena_alloc(engine->arena, size_bytes ? size_bytes : 1); /* without a budget: never NULL */
    return memset(memory, 0, size_bytes);
}

static Operator **operator_of(Engine *engine, const EngineNode *node, uint32_t input, uint32_t worker) {
    return &node->operators[input * engine->options.worker_count + worker];
}

static EngineNode *input_of(Engine *engine, const EngineNode *node, uint32_t i) {
    return &engine->nodes[node->node->inputs[i]->index];
}

/* ---- compiling: levels and routes ---- */

static bool is_breaker(PlanKind kind) {
    return kind == PLAN_AGGREGATE || kind == PLAN_COUNT || kind == PLAN_SORT || kind == PLAN_WINDOW ||
           kind == PLAN_KEYED_PROCESS || kind == PLAN_STATE_SNAPSHOTS || kind == PLAN_COGROUP ||
           kind == PLAN_TRANSFORM || kind == PLAN_PARTITION;
}

static void give_levels(Engine *engine) {
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        for (uint32_t k = 0; k < node->node->input_count; k++) {
            uint32_t level = input_of(engine, node, k)->level + is_breaker(node->node->kind);
            if (node->level < level)
                node->level = level;
        }
        if (engine->level_count <= node->level)
            engine->level_count = node->level + 1;
    }
}

/* Follows rows from node `from`, now at node `at`, to all that take them. */
static void add_routes(Engine *engine, uint32_t from, uint32_t at, const Hop *hops, uint32_t hop_count) {
    for (uint32_t i = at + 1; i < engine->plan->node_count; i++) {
        const PlanNode *consumer = engine->plan->nodes[i];
        if (consumer->kind == PLAN_STATE_SNAPSHOTS) /* looks at the state, not at rows */
            continue;
        for (uint32_t k = 0; k < consumer->input_count; k++) {
            if (consumer->inputs[k]->index != at)
                continue;
            if (consumer->kind == PLAN_UNION) {
                Hop *longer = engine_alloc(engine, (hop_count + 1) * sizeof *longer);
                if (hop_count)
                    memcpy(longer, hops, hop_count * sizeof *longer);
                longer[hop_count] = (Hop){i, k};
                add_routes(engine, from, i, longer, hop_count + 1);
                continue;
            }
            if (engine->route_count == engine->route_capacity) {
                engine->route_capacity = engine->route_capacity ? 2 * engine->route_capacity : 16;
                engine->routes = xrealloc(engine->routes, engine->route_capacity * sizeof(Route));
            }
            engine->routes[engine->route_count++] =
                (Route){.from = from, .to = i, .input = k, .hops = hops, .hop_count = hop_count};
        }
    }
}

/* Where rows of a node go, on one worker. Consumers have higher indices: their operators are there. */
static Emit make_emit(Engine *engine, uint32_t from, uint32_t worker) {
    Emit emit = {.chunk_rows_max = engine->options.chunk_rows_max};
    for (uint32_t r = 0; r < engine->route_count; r++)
        emit.edge_count += engine->routes[r].from == from;
    emit.edges = engine_alloc(engine, emit.edge_count * sizeof(Edge));
    uint32_t count = 0;
    for (uint32_t r = 0; r < engine->route_count; r++) {
        const Route *route = &engine->routes[r];
        if (route->from != from)
            continue;
        const EngineNode *to = &engine->nodes[route->to];
        emit.edges[count++] = (Edge){.to = *operator_of(engine, to, route->input, worker),
                                     .schema = to->node->inputs[route->input]->schema,
                                     .split_begin = &route->split_begin};
    }
    return emit;
}

/* ---- compiling: what runs ---- */

static const LeatFunction *function_of(const PlanNode *node, uint32_t which) {
    return which == FUNCTION_OWN       ? &node->function
           : which == FUNCTION_INVERSE ? &node->inverse
                                       : &node->filter;
}

CHECKED static Status open_users(Engine *engine, EngineNode *node, uint32_t which, Error *err) {
    const LeatFunction *function = function_of(node->node, which);
    node->users[which] = engine_alloc(engine, engine->options.worker_count * sizeof(void *));
    for (uint32_t w = 0; w < engine->options.worker_count; w++) {
        node->users[which][w] = function->user;
        if (!function->open)
            continue;
        node->users[which][w] = function->open(function->user);
        if (!node->users[which][w])
            return error_set(err, STATUS_INVALID, "%s: the function's open gave NULL", node->node->call);
        node->opened_counts[which]++;
    }
    return STATUS_OK;
}

static void close_users(const EngineNode *node, uint32_t which) {
    const LeatFunction *function = function_of(node->node, which);
    for (uint32_t w = 0; w < node->opened_counts[which]; w++)
        if (function->close)
            function->close(node->users[which][w]);
}

CHECKED static Status create_keyed_state(Engine *engine, EngineNode *node, Error *err) {
    if (node->state) /* its snapshots were compiled before it */
        return STATUS_OK;
    KeyedStateOptions options = {.partition_count = engine->options.partition_count,
                                 .budget = engine->options.budget_state,
                                 .who = node->who,
                                 .constant_hash = engine->options.constant_hash,
                                 .timeout_ms = node->node->timeout_ms};
    return keyed_state_create(options, &node->state, err);
}

CHECKED static Status create_window_state(Engine *engine, EngineNode *node, Error *err) {
    const PlanNode *plan_node = node->node;
    uint64_t stride = plan_node->inputs[0]->slide;
    uint64_t span = plan_node->length + (plan_node->gives_changes ? plan_node->slide : 0);
    WindowStateOptions options = {.schema = plan_node->inputs[0]->schema,
                                  .slot_count = (uint32_t)(span / stride),
                                  .stride = stride,
                                  .slide = plan_node->slide,
                                  .budget = engine->options.budget_kept,
                                  .who = node->who};
    return window_state_create(options, &node->state, err);
}

CHECKED static Status create_producer(Engine *engine, EngineNode *node, Error *err) {
    const PlanNode *plan_node = node->node;
    EngineNode *owner = plan_node->kind == PLAN_STATE_SNAPSHOTS ? input_of(engine, node, 0) : node;
    if (owner->node->kind == PLAN_WINDOW)
        TRY(create_window_state(engine, owner, err));
    else if (plan_is_stateful(owner->node))
        TRY(create_keyed_state(engine, owner, err));
    ProducerOptions options = {
        .node = plan_node,
        .decoded = node->rows,
        .worker_count = engine->options.worker_count,
        .partition_count = engine->options.partition_count,
        .users = node->users[FUNCTION_OWN],
        .inverse_users = node->users[FUNCTION_INVERSE],
        .filter_users = node->users[FUNCTION_FILTER],
        .state = owner->state,
        .budget = engine->options.budget_in_flight,
        .who = node->who,
        .chunk_rows_max = engine->options.chunk_rows_max,
        .constant_hash = engine->options.constant_hash,
        .engine = &engine->options,
    };
    switch (plan_node->kind) {
    case PLAN_SOURCE:
        return scan_create(&options, &node->producer, err);
    case PLAN_COUNT:
        return count_create(&options, &node->producer, err);
    case PLAN_SORT:
        return sort_create(&options, &node->producer, err);
    case PLAN_TRANSFORM:
        return transform_create(&options, &node->producer, err);
    case PLAN_AGGREGATE:
        return aggregate_create(&options, &node->producer, err);
    case PLAN_WINDOW:
        return window_create(&options, &node->producer, err);
    case PLAN_KEYED_PROCESS:
        return keyed_process_create(&options, &node->producer, err);
    case PLAN_COGROUP:
        return cogroup_create(&options, &node->producer, err);
    case PLAN_STATE_SNAPSHOTS:
        return state_snapshots_create(&options, &node->producer, err);
    case PLAN_PARTITION:
        return partition_create(&options, &node->producer, err);
    default:
        return STATUS_OK;
    }
}

CHECKED static Status create_operator(EngineNode *node, const OperatorContext *context, Operator **out,
                                      Error *err) {
    const PlanNode *plan_node = node->node;
    if (node->producer)
        return node->producer->class->open_operator
                   ? node->producer->class->open_operator(node->producer, context, out, err)
                   : STATUS_OK;
    if (node->collector)
        return collector_open_operator(node->collector, out, err);
    if (plan_node->is_fused || plan_node->kind == PLAN_UNION)
        return STATUS_OK;
    if (plan_node->kind == PLAN_FILTER)
        return filter_create(context, out, err);
    switch (plan_node->function.kind) {
    case LEAT_FUNCTION_SPLIT:
        return split_create(context, out, err);
    case LEAT_FUNCTION_PAIR_WITH_I64:
        return pair_create(context, out, err);
    default:
        return apply_create(context, out, err);
    }
}

CHECKED static Status create_operators(Engine *engine, EngineNode *node, uint32_t worker, Error *err) {
    for (uint32_t k = 0; k < node->node->input_count; k++) {
        OperatorContext context = {.node = node->node,
                                   .input = k,
                                   .worker = worker,
                                   .user = node->users[FUNCTION_OWN][worker],
                                   .budget = engine->options.budget_in_flight,
                                   .who = node->who};
        TRY(create_operator(node, &context, operator_of(engine, node, k, worker), err));
    }
    return STATUS_OK;
}

CHECKED static Status compile_node(Engine *engine, EngineNode *node, Error *err) {
    const PlanNode *plan_node = node->node;
    uint32_t worker_count = engine->options.worker_count;
    node->operators = engine_alloc(engine, plan_node->input_count * worker_count * sizeof(Operator *));
    node->emits = engine_alloc(engine, worker_count * sizeof(Emit));
    node->input_splits = engine_alloc(engine, plan_node->input_count * sizeof(uint64_t));
    for (uint32_t f = 0; f < NODE_FUNCTIONS; f++)
        TRY(open_users(engine, node, f, err));
    TRY(create_producer(engine, node, err));
    if (plan_node->kind == PLAN_OUTPUT)
        node->collector = collector_create(plan_node->inputs[0]->schema, plan_node->row_limit,
                                           engine->options.budget_in_flight, node->who);
    for (uint32_t w = 0; w < worker_count; w++) {
        TRY(create_operators(engine, node, w, err));
        Emit emit = make_emit(engine, node->rows->index, w);
        if (node->producer)
            node->emits[w] = emit;
        else if (plan_node->input_count && *operator_of(engine, node, 0, w))
            (*operator_of(engine, node, 0, w))->out = emit;
    }
    return STATUS_OK;
}

CHECKED static Status compile(Engine *engine, Error *err) {
    const Plan *plan = engine->plan;
    engine->nodes = engine_alloc(engine, plan->node_count * sizeof(EngineNode));
    engine->outputs = engine_alloc(engine, plan->node_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const PlanNode *node = plan->nodes[i];
        engine->nodes[i].node = node;
        engine->nodes[i].rows = node;
        engine->nodes[i].who = node->id ? node->id : node->call;
        if (node->is_fused)
            engine->nodes[node->inputs[0]->index].rows = node;
        if (node->kind == PLAN_OUTPUT)
            engine->outputs[engine->output_count++] = i;
    }
    give_levels(engine);
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i]->kind != PLAN_UNION)
            add_routes(engine, i, i, NULL, 0);
    /* From the last node to the first: emits need the operators of consumers. */
    for (uint32_t i = plan->node_count; i-- > 0;)
        TRY(compile_node(engine, &engine->nodes[i], err));
    return STATUS_OK;
}

Status engine_create(const Plan *plan, EngineOptions options, Engine **out, Error *err) {
    ASSERT(plan->is_finished && options.worker_count >= 1);
    ASSERT(options.partition_count >= 1 && options.partition_count <= 256);
    Status st = STATUS_OK;
    Engine *engine = xcalloc(1, sizeof *engine);
    *out = NULL;
    engine->plan = plan;
    engine->options = options;
    if (options.chunk_rows_max == 0 || options.chunk_rows_max > CHUNK_ROWS_MAX)
        engine->options.chunk_rows_max = CHUNK_ROWS_MAX;
    engine->arena = arena_create(NULL, "engine");
    if (!options.pool) {
        TRY_GOTO(fail, pool_create(options.env, options.worker_count, &engine->own_pool, err));
        engine->options.pool = engine->own_pool;
    }
    TRY_GOTO(fail, compile(engine, err));
    *out = engine;
    return STATUS_OK;
fail:
    engine_destroy(engine);
    return st;
}

static void node_destroy(Engine *engine, EngineNode *node) {
    uint32_t operator_count = node->operators ? node->node->input_count * engine->options.worker_count : 0;
    for (uint32_t i = 0; i < operator_count; i++)
        if (node->operators[i])
            node->operators[i]->class->destroy(node->operators[i]);
    if (node->producer)
        node->producer->class->destroy(node->producer);
    collector_destroy(node->collector);
    if (node->state)
        node->state->class->destroy(node->state);
    for (uint32_t f = 0; f < NODE_FUNCTIONS; f++)
        close_users(node, f);
}

void engine_destroy(Engine *engine) {
    if (!engine)
        return;
    pool_destroy(engine->own_pool);
    for (uint32_t i = 0; engine->nodes && i < engine->plan->node_count; i++)
        node_destroy(engine, &engine->nodes[i]);
    free(engine->routes);
    free(engine->tasks);
    arena_destroy(engine->arena);
    free(engine);
}

EngineOptions engine_options(const Engine *engine) {
    return engine->options;
}

/* ---- a batch ---- */

CHECKED static Status refuse_missing(const EngineNode *node, uint32_t input, EngineBatch batch, Error *err) {
    static const char *const places[] = {"first ", "second ", "third ", "fourth "};
    bool is_counted = node->node->input_count > 1 && input < sizeof places / sizeof places[0];
    return error_set(err, STATUS_INVALID, "%s: its %sstream has no batch at %" PRId64 " ms", node->node->call,
                     is_counted ? places[input] : "", batch.time_ms);
}

/* E4 and E5 for a node whose inputs are known. */
CHECKED static Status find_presence(Engine *engine, EngineNode *node, EngineBatch batch, Error *err) {
    const PlanNode *plan_node = node->node;
    bool is_due = batch.id % plan_node->slide == 0;
    if (plan_node->kind == PLAN_SOURCE) {
        node->has_batch = node->input->has_batch;
        return STATUS_OK;
    }
    for (uint32_t k = 0; is_due && plan_needs_every_input(plan_node) && k < plan_node->input_count; k++)
        if (!input_of(engine, node, k)->has_batch)
            return refuse_missing(node, k, batch, err);
    node->has_batch = is_due && (input_of(engine, node, 0)->has_batch || plan_node->kind == PLAN_WINDOW ||
                                 plan_is_map_with_state(plan_node) || (node->state && node->had_batch));
    return STATUS_OK;
}

/* R2 for a node whose inputs are numbered. */
static void count_splits(Engine *engine, EngineNode *node) {
    const PlanNode *plan_node = node->node;
    node->split_count = 0;
    if (node->producer) {
        node->split_count = node->has_batch ? node->producer->class->task_count(node->producer) : 0;
        return;
    }
    for (uint32_t k = 0; k < plan_node->input_count; k++)
        node->split_count += input_of(engine, node, k)->split_count;
}

static void number_routes(Engine *engine) {
    for (uint32_t r = 0; r < engine->route_count; r++) {
        Route *route = &engine->routes[r];
        route->split_begin = 0;
        for (uint32_t h = 0; h < route->hop_count; h++) {
            const EngineNode *both = &engine->nodes[route->hops[h].union_index];
            for (uint32_t k = 0; k < route->hops[h].position; k++)
                route->split_begin += input_of(engine, both, k)->split_count;
        }
    }
}

/* Nothing has begun yet when this fails. */
CHECKED static Status take_inputs(Engine *engine, const EngineInput *inputs, EngineBatch batch, Error *err) {
    uint32_t source_count = 0;
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        if (node->node->kind == PLAN_SOURCE)
            node->input = &inputs[source_count++];
        TRY(find_presence(engine, node, batch, err));
    }
    return STATUS_OK;
}

static EngineStats state_stats(const Engine *engine) {
    EngineStats stats = {0};
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        const NodeState *state = engine->nodes[i].state;
        if (state)
            state->class->count(state, &stats.state_keys, &stats.state_bytes);
    }
    return stats;
}

/* Does the node look at every key of a state in each batch? */
static const NodeState *visited_state(const Engine *engine, const EngineNode *node) {
    if (node->node->kind == PLAN_STATE_SNAPSHOTS)
        return engine->nodes[node->node->inputs[0]->index].state;
    return plan_is_map_with_state(node->node) ? NULL : node->state;
}

static bool is_small(const Engine *engine) {
    uint64_t size_bytes = 0, key_count = 0, state_bytes = 0;
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        const EngineNode *node = &engine->nodes[i];
        for (uint32_t s = 0; node->input && node->has_batch && s < node->input->splits.count; s++)
            size_bytes += node->input->splits.splits[s]->size_bytes;
        const NodeState *state = visited_state(engine, node);
        if (state)
            state->class->count(state, &key_count, &state_bytes);
    }
    return size_bytes < INLINE_BYTES_MAX && key_count < INLINE_STATE_KEYS_MAX &&
           state_bytes < INLINE_STATE_BYTES_MAX;
}

static void begin_producer(Engine *engine, EngineNode *node, EngineBatch batch) {
    for (uint32_t k = 0; k < node->node->input_count; k++)
        node->input_splits[k] = input_of(engine, node, k)->split_count;
    ProducerBatch begun = {.batch = batch,
                           .input = node->input,
                           .split_counts = node->input_splits,
                           .is_due = node->has_batch,
                           .is_first = node->state && !node->had_batch};
    node->producer->class->begin(node->producer, &begun);
}

static void begin_batch(Engine *engine, EngineBatch batch) {
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        if (node->state)
            node->state->class->begin(node->state);
        if (node->producer)
            begin_producer(engine, node, batch);
        count_splits(engine, node);
        if (node->collector && node->has_batch)
            collector_begin(node->collector, node->split_count);
    }
    number_routes(engine);
    engine->is_in_batch = true;
    engine->is_inline = is_small(engine);
    engine->stats = (EngineStats){0};
}

static void add_tasks(Engine *engine, EngineNode *node, uint64_t count) {
    ASSERT(count <= UINT32_MAX - engine->task_count);
    while (engine->task_capacity < engine->task_count + count) {
        engine->task_capacity = engine->task_capacity ? 2 * engine->task_capacity : 64;
        engine->tasks = xrealloc(engine->tasks, engine->task_capacity * sizeof(Task));
    }
    for (uint32_t i = 0; i < count; i++)
        engine->tasks[engine->task_count++] = (Task){node, i};
}

static Status run_prepare(void *self, uint32_t worker, uint32_t index, Error *err) {
    (void)worker;
    const Task *task = &((Engine *)self)->tasks[index];
    return task->node->producer->class->prepare(task->node->producer, task->index, err);
}

static Status run_produce(void *self, uint32_t worker, uint32_t index, Error *err) {
    const Task *task = &((Engine *)self)->tasks[index];
    return task->node->producer->class->produce(task->node->producer, worker, task->index,
                                                &task->node->emits[worker], err);
}

CHECKED static Status run_level(Engine *engine, uint32_t level, Error *err) {
    EngineNode *end = engine->nodes + engine->plan->node_count;
    engine->task_count = 0;
    for (EngineNode *node = engine->nodes; node < end; node++)
        if (node->producer && node->level == level && node->has_batch && node->producer->class->prepare)
            add_tasks(engine, node, node->producer->class->prepare_count(node->producer));
    TRY(pool_run(engine->options.pool, engine->is_inline, engine->task_count, run_prepare, engine, err));
    engine->task_count = 0;
    for (EngineNode *node = engine->nodes; node < end; node++)
        if (node->producer && node->level == level && node->has_batch)
            add_tasks(engine, node, node->split_count);
    return pool_run(engine->options.pool, engine->is_inline, engine->task_count, run_produce, engine, err);
}

static void end_producers(Engine *engine) {
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        if (node->producer)
            node->producer->class->end(node->producer);
        node->input = NULL;
    }
}

Status engine_run(Engine *engine, const EngineInput *inputs, EngineBatch batch, Error *err) {
    ASSERT(!engine->is_in_batch);
    Status st = STATUS_OK;
    TRY(take_inputs(engine, inputs, batch, err));
    begin_batch(engine, batch);
    for (uint32_t level = 0; level < engine->level_count; level++)
        TRY_GOTO(fail, run_level(engine, level, err));
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        if (node->node->kind == PLAN_SOURCE) {
            ScanStats scan = scan_stats(node->producer);
            engine->stats.input_rows += scan.row_count;
            engine->stats.input_bytes += scan.text_bytes;
        }
        if (node->collector && node->has_batch)
            node->data = collector_finish(node->collector);
    }
    end_producers(engine);
    return STATUS_OK;
fail: /* R3 */
    end_producers(engine);
    engine_rollback(engine);
    return st;
}

const BatchData *engine_output(const Engine *engine, uint32_t output_index) {
    ASSERT(output_index < engine->output_count);
    return engine->nodes[engine->outputs[output_index]].data;
}

EngineStats engine_stats(const Engine *engine) {
    EngineStats stats = state_stats(engine);
    stats.input_rows = engine->stats.input_rows;
    stats.input_bytes = engine->stats.input_bytes;
    return stats;
}

/* ---- what a batch changed ---- */

/* Did this batch begin the node's state? Then that alone is a change: with it a batch without input gives the
 * (still empty) state instead of nothing (E4), also after a restart. */
static bool begins_state(const EngineNode *node) {
    return node->state && node->has_batch && !node->had_batch;
}

static uint32_t changed_parts(const EngineNode *node) {
    uint32_t count = 0;
    for (uint32_t p = 0; node->state && p < node->state->part_count; p++)
        count += node->state->class->is_changed(node->state, p);
    return count;
}

bool engine_is_changed(const Engine *engine) {
    ASSERT(engine->is_in_batch);
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        const EngineNode *node = &engine->nodes[i];
        if (begins_state(node) || changed_parts(node))
            return true;
    }
    return false;
}

/* varint operators { str id, varint parts { varint part, str delta } } */
void engine_delta(const Engine *engine, Text *out) {
    ASSERT(engine->is_in_batch);
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->plan->node_count; i++)
        count += begins_state(&engine->nodes[i]) || changed_parts(&engine->nodes[i]);
    bytes_put_varint(out, count);
    Text delta = {0};
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        const EngineNode *node = &engine->nodes[i];
        uint32_t changed = changed_parts(node);
        if (!begins_state(node) && !changed)
            continue;
        bytes_put_str(out, str_from(node->node->id));
        bytes_put_varint(out, changed);
        for (uint32_t p = 0; changed && p < node->state->part_count; p++) {
            if (!node->state->class->is_changed(node->state, p))
                continue;
            text_reset(&delta);
            node->state->class->delta(node->state, p, &delta);
            bytes_put_varint(out, p);
            bytes_put_str(out, text_str(&delta));
        }
    }
    text_deinit(&delta);
}

static void end_batch(Engine *engine, bool is_kept) {
    for (uint32_t i = 0; i < engine->plan->node_count; i++) {
        EngineNode *node = &engine->nodes[i];
        if (node->state && is_kept) {
            node->had_batch |= node->has_batch || changed_parts(node);
            node->state->class->keep(node->state);
        } else if (node->state) {
            node->state->class->rollback(node->state);
        }
        if (node->producer && node->producer->class->settle)
            node->producer->class->settle(node->producer, is_kept);
        node->has_batch = false;
        node->data = NULL;
        if (node->collector)
            collector_reset(node->collector);
    }
    engine->is_in_batch = false;
}

void engine_keep(Engine *engine) {
    ASSERT(engine->is_in_batch);
    end_batch(engine, true);
}

void engine_rollback(Engine *engine) {
    if (engine->is_in_batch) /* engine_run has done it already when it failed */
        end_batch(engine, false);
}

/* ---- recovery ---- */

static EngineNode *find_stateful(Engine *engine, Str id) {
    for (uint32_t i = 0; i < engine->plan->node_count; i++)
        if (engine->nodes[i].state && str_equal(str_from(engine->nodes[i].node->id), id))
            return &engine->nodes[i];
    return NULL;
}

Status engine_visit_delta(Str delta,
                          Status (*visit)(void *self, Str operator_id, uint32_t partition, Str changes,
                                          Error *err),
                          void *self, Error *err) {
    Reader reader = reader_of(delta);
    uint64_t operator_count = reader_varint(&reader);
    for (uint64_t i = 0; i < operator_count && !reader.failed; i++) {
        Str id = reader_str(&reader);
        uint64_t count = reader_varint(&reader);
        for (uint64_t k = 0; k < count && !reader.failed; k++) {
            uint64_t partition = reader_varint(&reader);
            Str changes = reader_str(&reader);
            if (reader.failed)
                break;
            if (partition >= DELTA_NO_PARTITION)
                return error_set(err, STATUS_CORRUPT, "a delta names partition %" PRIu64, partition);
            TRY(visit(self, id, (uint32_t)partition, changes, err));
        }
        if (count == 0 && !reader.failed) /* a state that began empty */
            TRY(visit(self, id, DELTA_NO_PARTITION, (Str){0}, err));
    }
    if (reader.failed || !reader_at_end(&reader))
        return error_set(err, STATUS_CORRUPT, "a delta of %zu bytes is not whole", delta.size);
    return STATUS_OK;
}

CHECKED static Status apply_changes(void *self, Str id, uint32_t partition, Str changes, Error *err) {
    Engine *engine = self;
    EngineNode *node = find_stateful(engine, id);
    if (!node)
        return error_set(err, STATUS_INVALID,
                         "the checkpoint has state of '%.*s', the program has no such operator", STR_ARG(id));
    node->had_batch = true;
    if (partition == DELTA_NO_PARTITION)
        return STATUS_OK;
    if (partition >= node->state->part_count)
        return error_set(err, STATUS_CORRUPT, "a delta of '%s' names partition %u of %u", node->who,
                         partition, node->state->part_count);
    Status st = node->state->class->apply(node->state, partition, changes, err);
    return error_context(err, st, "state of '%s', partition %u", node->who, partition);
}

Status engine_apply_delta(Engine *engine, Str delta, Error *err) {
    ASSERT(!engine->is_in_batch);
    return engine_visit_delta(delta, apply_changes, engine, err);
}

/* ---- snapshots ---- */

/* The node that the section is of; *section becomes its number there, from 1. 0: that it has state. */
static const EngineNode *node_of_section(const Engine *engine, uint32_t *section) {
    for (const EngineNode *node = engine->nodes;; node++) {
        ASSERT(node < engine->nodes + engine->plan->node_count);
        uint32_t count = node->state ? 1 + node->state->section_count : 0;
        if (*section < count)
            return node;
        *section -= count;
    }
}

uint32_t engine_section_count(const Engine *engine) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->plan->node_count; i++)
        count += engine->nodes[i].state ? 1 + engine->nodes[i].state->section_count : 0;
    return count;
}

void engine_section_name(const Engine *engine, uint32_t section, Text *name) {
    const EngineNode *node = node_of_section(engine, &section);
    if (section == 0)
        text_appendf(name, "node/%s", node->node->id);
    else
        text_appendf(name, "state/%s/%u", node->node->id, section - 1);
}

Status engine_save_section(Engine *engine, uint32_t section, StateSink sink, Error *err) {
    ASSERT(!engine->is_in_batch);
    const EngineNode *node = node_of_section(engine, &section);
    if (!node->had_batch)
        return STATUS_OK;
    if (section == 0)
        return sink.write(sink.self, STR("1"), err);
    return node->state->class->save(node->state, section - 1, sink, err);
}

bool engine_parse_section(Str name, Str *operator_id, uint32_t *section) {
    Str prefix = STR("state/");
    size_t slash = name.size;
    int64_t number;
    if (!str_starts_with(name, prefix))
        return false;
    while (slash > prefix.size && name.data[slash - 1] != '/')
        slash--;
    if (slash == prefix.size || !str_parse_i64(str_slice(name.data + slash, name.size - slash), &number) ||
        number < 0 || number >= UINT32_MAX)
        return false;
    *operator_id = str_slice(name.data + prefix.size, slash - 1 - prefix.size);
    *section = (uint32_t)number;
    return true;
}

typedef struct LoadedSection {
    EngineNode *node;
    uint32_t part, section;
    uint32_t index; /* in the image */
} LoadedSection;

typedef struct Load {
    EngineImage image;
    LoadedSection *sections; /* ascending by node, part, section */
    uint32_t count;
    uint32_t *begins; /* of the tasks: one for each part */
    uint32_t task_count;
} Load;

static int compare_loaded(const void *a, const void *b) {
    const LoadedSection *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->section < y->section ? -1 : x->section > y->section;
}

/* "node/<id>" says that there is state, if empty. */
CHECKED static Status find_section(Engine *engine, Load *load, uint32_t index, Error *err) {
    Str name = load->image.names[index], id;
    uint32_t section = 0;
    bool is_node = str_starts_with(name, STR("node/"));
    if (is_node)
        id = str_slice(name.data + 5, name.size - 5);
    EngineNode *node =
        is_node || engine_parse_section(name, &id, &section) ? find_stateful(engine, id) : NULL;
    if (!node || (!is_node && section >= node->state->section_count))
        return error_set(err, STATUS_INVALID, "the program has no state for section '%.*s' of the snapshot",
                         STR_ARG(name));
    node->had_batch = true;
    if (!is_node)
        load->sections[load->count++] =
            (LoadedSection){node, node->state->class->part_of(node->state, section), section, index};
    return STATUS_OK;
}

CHECKED static Status load_section(const Load *load, const LoadedSection *loaded, Error *err) {
    StateFeed feed;
    NodeState *state = loaded->node->state;
    TRY(load->image.open(load->image.self, loaded->index, &feed, err));
    Status st = state->class->load(state, loaded->section, feed, err);
    load->image.close(load->image.self, feed);
    return error_context(err, st, "state of '%s', section %u", loaded->node->who, loaded->section);
}

static Status load_part(void *self, uint32_t worker, uint32_t task, Error *err) {
    (void)worker;
    const Load *load = self;
    uint32_t end = task + 1 < load->task_count ? load->begins[task + 1] : load->count;
    for (uint32_t i = load->begins[task]; i < end; i++)
        TRY(load_section(load, &load->sections[i], err));
    return STATUS_OK;
}

Status engine_load(Engine *engine, EngineImage image, Error *err) {
    ASSERT(!engine->is_in_batch);
    Status st = STATUS_OK;
    size_t room = image.count ? image.count : 1;
    Load load = {.image = image,
                 .sections = xcalloc(room, sizeof *load.sections),
                 .begins = xcalloc(room, sizeof *load.begins)};
    for (uint32_t i = 0; i < image.count; i++)
        TRY_GOTO(done, find_section(engine, &load, i, err));
    qsort(load.sections, load.count, sizeof *load.sections, compare_loaded);
    for (uint32_t i = 0; i < load.count; i++)
        if (i == 0 || load.sections[i].node != load.sections[i - 1].node ||
            load.sections[i].part != load.sections[i - 1].part)
            load.begins[load.task_count++] = i;
    st = pool_run(engine->options.pool, false, load.task_count, load_part, &load, err);
done:
    free(load.sections);
    free(load.begins);
    return st;
}
