/* engine.h - runs batches of a plan: pipelines of operators over column chunks, keyed state, worker pool.
 *
 * A plan is compiled once per start; every batch runs the same pipelines. The engine knows nothing of
 * offsets, logs or clocks: it is given the splits of every source and the batch time, and leaves behind what
 * each output takes and what changed in the state.
 *
 *   E1  Between engine_run and engine_keep or engine_rollback the state holds the batch's changes as
 *       undoable; outputs stay readable until then.
 *   E2  Results do not depend on the number of workers, nor on how chunks were cut (D2): where order shows,
 *       rows are folded per split in row order and partial results merged in split order.
 *   E3  Output rows of a keyed operator are ordered by key hash; partitions are ranges of it.
 *   E4  A source without a batch (has_batch false) gives none to what depends on it; a node of several inputs
 *       of which one has none is an error (INVALID, naming the call); a stateful operator runs over its old
 *       state, unless it never had a batch before (an empty one is enough; this is part of its state). A
 *       window gives what it has kept, and a map with state always gives a batch.
 *   E5  A node gives a batch only where the batch id is a multiple of its slide.
 *
 * Memory   chunks and partial results are charged to budget_in_flight, state to budget_state, what windows
 *          keep to budget_kept. NO_MEMORY names the operator.
 * Threads  one owner (the driver); workers inside.
 */
#ifndef LEAT_EXEC_ENGINE_H
#define LEAT_EXEC_ENGINE_H

#include "env/env.h"
#include "exec/batch_data.h"
#include "exec/split.h"
#include "plan/plan.h"
#include "state/store.h"

typedef struct Engine Engine;
typedef struct Pool Pool; /* pool.h */

typedef struct EngineOptions {
    Env *env;
    uint32_t worker_count; /* >= 1; may differ at every start */
    Pool *pool; /* of so many workers, borrowed from an engine that outlives this one; NULL: one of its own */
    uint32_t partition_count; /* of keyed state and results, 1..256; fixed by the checkpoint */
    Budget *budget_in_flight, *budget_state;
    Budget *budget_kept; /* of the chunks that windows keep */
    /* For hostile runs; 0 in production. */
    uint32_t chunk_rows_max; /* rows per chunk that scans and builders give; 0: CHUNK_ROWS_MAX */
    bool constant_hash;      /* every key has the same hash */
} EngineOptions;

/* `plan` is finished and outlives the engine. Opens per-worker instances (function hooks `open` are called
 * here, on the caller's thread). The caller owns *out.  NO_MEMORY, INVALID (an open hook gave NULL). */
CHECKED Status engine_create(const Plan *plan, EngineOptions options, Engine **out, Error *err);
void engine_destroy(Engine *engine); /* NULL is allowed */
/* What it was made with, and its pool: for engines that run between its rounds, or between its batches. */
EngineOptions engine_options(const Engine *engine);

/* What one source gives in this batch. */
typedef struct EngineInput {
    bool has_batch;
    SplitList splits;
} EngineInput;

typedef struct EngineStats {
    uint64_t input_rows;  /* lines and rows read from sources */
    uint64_t input_bytes; /* of text */
    uint64_t state_keys, state_bytes;
} EngineStats;

/* Where a batch stands on the grid: id intervals behind zero time. */
typedef struct EngineBatch {
    uint64_t id;
    int64_t time_ms;
} EngineBatch;

/* Runs one batch. inputs[i] belongs to the plan's i-th source node, in node order. On failure the state is as
 * before (as if rolled back) and no output is readable.  INVALID (E4), NO_MEMORY, and what sources report. */
CHECKED Status engine_run(Engine *engine, const EngineInput *inputs, EngineBatch batch, Error *err);

/* What the plan's i-th output node takes; NULL: it has no batch (E4). Borrowed until keep or rollback. */
const BatchData *engine_output(const Engine *engine, uint32_t output_index);
EngineStats engine_stats(const Engine *engine); /* of the last batch; state: now */

bool engine_is_changed(const Engine *engine); /* did the batch change state? */
/* Appends the changes of all stateful operators: the DELTA frame's payload. */
void engine_delta(const Engine *engine, Text *out);
void engine_keep(Engine *engine);
void engine_rollback(Engine *engine);

/* Recovery: applies a DELTA of a batch that is not run again. CORRUPT; an operator that the plan does not
 * have: INVALID. */
CHECKED Status engine_apply_delta(Engine *engine, Str delta, Error *err);

/* The parts of such a delta, without an engine: `visit` is called for each operator and partition that it
 * changes, and with DELTA_NO_PARTITION for an operator whose state began without a key. CORRUPT. */
#define DELTA_NO_PARTITION UINT32_MAX
CHECKED Status engine_visit_delta(Str delta,
                                  Status (*visit)(void *self, Str operator_id, uint32_t partition,
                                                  Str changes, Error *err),
                                  void *self, Error *err);

/* Snapshots: an image of the state is a number of sections, each saved by itself between batches (N3 of
 * node_state.h), named "state/<operator id>/<section>", and "node/<operator id>" for what E4 asks. The number
 * is fixed for a plan and its partitions. */
uint32_t engine_section_count(const Engine *engine);
void engine_section_name(const Engine *engine, uint32_t section, Text *name); /* appends it */
/* Not a byte when the section holds nothing: it then stands in no image. */
CHECKED Status engine_save_section(Engine *engine, uint32_t section, StateSink sink, Error *err);
/* False: not of the form "state/<operator id>/<section>". */
bool engine_parse_section(Str name, Str *operator_id, uint32_t *section);

/* Sections with something in them, of one batch or of different ones. */
typedef struct EngineImage {
    const Str *names;
    uint32_t count;
    /* Called from workers, for different sections at the same time. */
    Status (*open)(void *self, uint32_t index, StateFeed *feed, Error *err);
    void (*close)(void *self, StateFeed feed);
    void *self;
} EngineImage;
/* Into an engine that has no state yet, by all workers. A name that the plan does not have: INVALID. After a
 * failure the engine is good for nothing but destroy. */
CHECKED Status engine_load(Engine *engine, EngineImage image, Error *err);

#endif
