/* state - what ten million keys of state cost, a batch and a key.
 *
 *     state [--keys N] [--batches N] [--workers N]     (10000000, 9, 1)
 *
 * By the engine alone: no driver, no logs. The state is a running sum of keys and values of 8 bytes; it is
 * filled, and then every batch brings rows for 1,000 of its keys. Printed is the median batch of
 *
 *   updateStateByKey   every key is called (Spark's rule); ten rows are looked at, as print does
 *   every row taken    the same, and every row is kept for an output
 *   mapWithState       only the keys of the batch are called; a loop does the same by hand in a table of the
 *                      same keys
 *   with a timeout     the same, where each key has a timer, and every tenth batch looks at them
 *
 * in CPU time with one worker, else on the wall, beside a loop by hand in the same minute: an array of keys and
 * values, a function called through a pointer for each. And what the state takes beside its keys and values, by
 * its own count and by the process's memory.
 */
#include "common/loop.h"
#include "exec/engine.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILL_ROWS = 1 << 19, CHANGED_KEYS = 1000, PARTITIONS = 8, KEY_BYTES = 8, VALUE_BYTES = 8 };

static void must(Status st, const Error *err) {
    if (st == STATUS_OK)
        return;
    fprintf(stderr, "state: %s\n", err->message);
    exit(1);
}

/* An odd multiplier: every key another one, in no order. */
static int64_t key_of(uint64_t i) {
    return (int64_t)(i * UINT64_C(0x9e3779b97f4a7c15));
}

/* ---- rows ---- */

/* Rows (key_of(begin + i * step), 1). */
typedef struct RangeSplit {
    Split split;
    uint64_t begin, step, count, at;
    int64_t keys[CHUNK_ROWS_MAX], ones[CHUNK_ROWS_MAX];
    Column columns[2];
    const Schema *schema;
} RangeSplit;

static Status range_open(Split *base, Budget *budget, Error *err) {
    (void)budget;
    (void)err;
    ((RangeSplit *)base)->at = 0;
    return STATUS_OK;
}

static Status range_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    (void)err;
    RangeSplit *split = (RangeSplit *)base;
    uint64_t left = split->count - split->at;
    uint32_t rows = left < CHUNK_ROWS_MAX ? (uint32_t)left : CHUNK_ROWS_MAX;
    for (uint32_t i = 0; i < rows; i++, split->at++) {
        split->keys[i] = key_of(split->begin + split->at * split->step);
        split->ones[i] = 1;
    }
    split->columns[0] = (Column){.type = &split->schema->fields[0].type, .data = split->keys};
    split->columns[1] = (Column){.type = &split->schema->fields[1].type, .data = split->ones};
    *chunk = (Chunk){
        .schema = split->schema, .columns = split->columns, .row_count = rows, .selected_count = rows};
    *has = rows > 0;
    return STATUS_OK;
}

static void range_close(Split *base) {
    (void)base;
}

static void range_destroy(Split *base) {
    free(base);
}

static const SplitClass range_split_class = {
    .open = range_open, .next_chunk = range_next_chunk, .close = range_close, .destroy = range_destroy};

/* ---- programs ---- */

static bool running_sum(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t sum = leat_update_state_i64(key, 0);
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        sum += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, sum);
    return true;
}

static void map_sum(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out, void *user) {
    (void)key;
    (void)user;
    int64_t sum = (leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0) + leat_row_i64(value, 0);
    leat_state_update_i64(state, 0, sum);
    leat_out_i64(out, 0, sum);
}

static Schema *schema_of(Plan *plan, const char *columns, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    must(schema_parse(plan->arena, str_from(columns), key_count, &schema, &err), &err);
    return schema;
}

static PlanNode *add_node(Plan *plan, PlanKind kind, const char *call, PlanNode *input, const char *columns,
                          uint32_t key_count) {
    PlanNode *node = plan_add(plan, kind, call, &input, input ? 1 : 0);
    node->schema = schema_of(plan, columns, key_count);
    return node;
}

typedef enum Program { UPDATE, UPDATE_ALL_ROWS, MAP, MAP_WITH_TIMEOUT, PROGRAM_COUNT } Program;
static const char *const program_names[] = {"updateStateByKey", "every row taken", "mapWithState",
                                            "with a timeout"};

static PlanNode *add_update(Plan *plan, PlanNode *rows) {
    PlanNode *node =
        add_node(plan, PLAN_KEYED_PROCESS, "leat_update_state_by_key", rows, "k BIGINT, sum BIGINT", 1);
    node->function = leat_update_function("sum BIGINT", running_sum, NULL);
    node->state_schema = schema_of(plan, "sum BIGINT", 0);
    return node;
}

static PlanNode *add_map(Plan *plan, PlanNode *rows, bool has_timeout) {
    PlanNode *node = add_node(plan, PLAN_KEYED_PROCESS, "leat_map_with_state", rows, "sum BIGINT", 0);
    node->function = leat_map_with_state_simple_function("sum BIGINT", "sum BIGINT", map_sum, NULL);
    node->table_schema = schema_of(plan, "k BIGINT, sum BIGINT", 1);
    node->state_schema = schema_of(plan, has_timeout ? "sum BIGINT, updated TIMESTAMP" : "sum BIGINT", 0);
    node->timeout_ms = has_timeout ? INT64_C(1) << 40 : 0;
    node->check_slides = 10;
    return node;
}

static Plan *make_plan(Program program) {
    Plan *plan = plan_create();
    Error err = {0};
    PlanNode *rows = add_node(plan, PLAN_SOURCE, "bench", NULL, "k BIGINT, n BIGINT", 1);
    rows->source_kind = "bench";
    PlanNode *sums =
        program < MAP ? add_update(plan, rows) : add_map(plan, rows, program == MAP_WITH_TIMEOUT);
    PlanNode *output = plan_add(plan, PLAN_OUTPUT, "leat_print", &sums, 1);
    output->schema = sums->schema;
    output->row_limit = program == UPDATE ? 11 : 0;
    must(plan_finish(plan, &err), &err);
    return plan;
}

typedef struct Machine {
    Plan *plan;
    Engine *engine;
    Budget in_flight, state;
} Machine;

static void machine_start(Machine *machine, Plan *plan, uint32_t worker_count) {
    Error err = {0};
    *machine = (Machine){.plan = plan};
    budget_init(&machine->in_flight, "in flight", UINT64_C(8) << 30, NULL);
    budget_init(&machine->state, "state", UINT64_C(8) << 30, NULL);
    must(engine_create(plan,
                       (EngineOptions){.env = env_real(),
                                       .worker_count = worker_count,
                                       .partition_count = PARTITIONS,
                                       .budget_in_flight = &machine->in_flight,
                                       .budget_state = &machine->state},
                       &machine->engine, &err),
         &err);
}

static void machine_stop(Machine *machine) {
    engine_destroy(machine->engine);
    plan_destroy(machine->plan);
}

/* With one worker everything runs on this thread. */
static bool has_one_worker;

static double seconds_now(void) {
    return has_one_worker ? cpu_seconds() : wall_seconds();
}

/* Making the log's bytes is part of it. */
static double run_batch(Machine *machine, uint64_t begin, uint64_t step, uint64_t count) {
    static uint64_t batch_id;
    Error err = {0};
    RangeSplit *split = xcalloc(1, sizeof *split);
    *split = (RangeSplit){{&range_split_class, count * 16}, .begin = begin, .step = step, .count = count};
    split->schema = machine->plan->nodes[0]->schema;
    EngineInput input = {.has_batch = true};
    split_list_add(&input.splits, &split->split);
    Text delta = {0};
    double begin_s = seconds_now();
    batch_id++;
    must(engine_run(machine->engine, &input, (EngineBatch){batch_id, (int64_t)batch_id * 1000}, &err), &err);
    engine_delta(machine->engine, &delta);
    engine_keep(machine->engine);
    double seconds = seconds_now() - begin_s;
    text_deinit(&delta);
    split_list_deinit(&input.splits);
    return seconds;
}

/* ---- the loop ---- */

typedef struct Entry {
    int64_t key, value;
} Entry;

typedef struct Call {
    int64_t key, state;
    const int64_t *values;
    size_t value_count;
    int64_t set;
} Call;

static bool loop_sum(Call *call, void *user) {
    (void)user;
    call->set = call->state;
    for (size_t i = 0; i < call->value_count; i++)
        call->set += call->values[i];
    return true;
}

static bool (*volatile loop_function)(Call *call, void *user) = loop_sum;

static double run_loop(Entry *entries, uint64_t key_count, uint64_t turn) {
    static const int64_t one = 1;
    bool (*function)(Call *, void *) = loop_function;
    double begin_s = seconds_now();
    uint64_t step = key_count / CHANGED_KEYS;
    for (uint64_t i = 0; i < key_count; i++) {
        Call call = {.key = entries[i].key,
                     .state = entries[i].value,
                     .values = &one,
                     .value_count = i % step == turn};
        if (function(&call, NULL))
            entries[i].value = call.set;
    }
    return seconds_now() - begin_s;
}

/* ---- figures ---- */

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *seconds, int64_t count) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare_seconds);
    return seconds[count / 2];
}

static uint64_t resident_bytes(void) {
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill(Machine *machine, uint64_t key_count) {
    for (uint64_t begin = 0; begin < key_count; begin += FILL_ROWS)
        run_batch(machine, begin, 1, key_count - begin < FILL_ROWS ? key_count - begin : FILL_ROWS);
}

static void print_memory(const Machine *machine, uint64_t resident_before, uint64_t key_count) {
    double own = (double)engine_stats(machine->engine).state_bytes;
    malloc_trim(0);
    double resident = (double)resident_bytes() - (double)resident_before, keys = (double)key_count;
    double least = KEY_BYTES + VALUE_BYTES;
    printf("                   memory beside key and value: %.1f bytes a key by its own count, %.1f by the "
           "process\n",
           own / keys - least, resident / keys - least);
}

/* The rows of the same keys by hand: a table, its keys found one by one. */
static double run_map_loop(KeyTable *table, uint64_t begin, uint64_t step, uint64_t count) {
    bool (*function)(Call *, void *) = loop_function;
    static const int64_t one = 1;
    double begin_s = seconds_now();
    for (uint64_t i = 0; i < count; i++) {
        int64_t number = key_of(begin + i * step);
        Key key = key_from_str(str_slice(&number, sizeof number));
        KeySlot *slot = key_table_find(table, &key, key_hash(&key));
        Call call = {.key = number, .state = (int64_t)slot->value, .values = &one, .value_count = 1};
        if (function(&call, NULL))
            slot->value = (uint64_t)call.set;
    }
    return seconds_now() - begin_s;
}

static KeyTable *make_table(uint64_t key_count) {
    KeyTable *table;
    Error err = {0};
    must(key_table_create((KeyTableOptions){.capacity = key_count}, &table, &err), &err);
    for (uint64_t i = 0; i < key_count; i++) {
        int64_t number = key_of(i);
        Key key = key_from_str(str_slice(&number, sizeof number));
        KeySlot *slot;
        must(key_table_upsert(table, &key, key_hash(&key), &slot, NULL, &err), &err);
    }
    return table;
}

static Entry *make_entries(uint64_t key_count) {
    Entry *entries = xcalloc(key_count, sizeof *entries);
    for (uint64_t i = 0; i < key_count; i++)
        entries[i].key = key_of(i);
    return entries;
}

static void print_program(Program program, double seconds, double loop, uint64_t key_count) {
    printf("%-18s %9.3f ms a batch", program_names[program], seconds * 1e3);
    if (program < MAP)
        printf("  %6.1f ns a key (at most 60 is the goal)", seconds * 1e9 / (double)key_count);
    else
        printf("  (at most 2 is the goal)");
    printf("  loop %.3f ms, ratio %.1f\n", loop * 1e3, seconds / loop);
}

static void run(Program program, uint64_t key_count, int64_t batch_count, uint32_t worker_count) {
    double *engine = xcalloc((size_t)batch_count, sizeof *engine);
    double *loop = xcalloc((size_t)batch_count, sizeof *loop);
    uint64_t step = key_count > CHANGED_KEYS ? key_count / CHANGED_KEYS : 1, changed = key_count / step;
    Machine machine;
    malloc_trim(0); /* what the program before left behind */
    uint64_t resident_before = resident_bytes();
    machine_start(&machine, make_plan(program), worker_count);
    fill(&machine, key_count);
    if (program != UPDATE_ALL_ROWS)
        print_memory(&machine, resident_before, key_count);
    Entry *entries = program < MAP ? make_entries(key_count) : NULL;
    KeyTable *table = program < MAP ? NULL : make_table(key_count);
    for (int64_t b = 0; b < batch_count; b++) {
        uint64_t turn = (uint64_t)b * 7919 % step;
        loop[b] = entries ? run_loop(entries, key_count, turn) : run_map_loop(table, turn, step, changed);
        engine[b] = run_batch(&machine, turn, step, changed);
    }
    if (engine_stats(machine.engine).state_keys != key_count) {
        fprintf(stderr, "state: %" PRIu64 " keys are not %" PRIu64 "\n",
                engine_stats(machine.engine).state_keys, key_count);
        exit(1);
    }
    print_program(program, median(engine, batch_count), median(loop, batch_count), key_count);
    free(entries);
    key_table_destroy(table);
    machine_stop(&machine);
    free(engine);
    free(loop);
}

int main(int argc, char **argv) {
    int64_t key_count = 10000000, batch_count = 9, worker_count = 1;
    for (int i = 1; i < argc; i++) {
        int64_t *number = strcmp(argv[i], "--keys") == 0      ? &key_count
                          : strcmp(argv[i], "--batches") == 0 ? &batch_count
                          : strcmp(argv[i], "--workers") == 0 ? &worker_count
                                                              : NULL;
        if (!number || i + 1 >= argc || !str_parse_i64(str_from(argv[++i]), number) || *number < 1) {
            fprintf(stderr, "usage: state [--keys N] [--batches N] [--workers N]\n");
            return 2;
        }
    }
    has_one_worker = worker_count == 1;
    printf("%" PRId64 " keys, %d of them changed in a batch, %" PRId64 " worker%s\n", key_count, CHANGED_KEYS,
           worker_count, worker_count == 1 ? "" : "s");
    for (Program program = 0; program < PROGRAM_COUNT; program++)
        run(program, (uint64_t)key_count, batch_count, (uint32_t)worker_count);
    return 0;
}
