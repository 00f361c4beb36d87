/* restart.c - how long a restart takes with ten million keys.
 *
 *     bench/restart [--keys N] [--workers N] [--rounds N] [DIRECTORY]   (10000000, 2, 5, /dev/shm/leatbench)
 *
 * Builds a keyed state of N keys of 8 bytes with values of 8 bytes, saves its key groups as the sections of a
 * snapshot file in DIRECTORY, and then times, in turn and warm, a bare sequential read of that file and what a
 * start of the driver does with it: list the sections, load them into an engine by all its workers. Prints the
 * best of each and the difference; the loaded state is saved again and compared.
 */
#include "exec/engine.h"
#include "exec/keyed_state.h"
#include "stream/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READ_SIZE = 1 << 20, PARTITION_COUNT = 8, PORTION_BYTES = 8 << 20 };

static void stop(Error *err) {
    fprintf(stderr, "restart: %s\n", err->message);
    exit(1);
}

static uint64_t value_of(uint64_t i) {
    return i * 3 + 1;
}

/* An odd multiplier: every key another one, in no order. */
static uint64_t key_number(uint64_t i) {
    return i * UINT64_C(0x9e3779b97f4a7c15);
}

static Status write_piece(void *self, Str piece, Error *err) {
    (void)err;
    snapshot_put(self, piece);
    return STATUS_OK;
}

static Status read_piece(void *self, Str *piece, Error *err) {
    return snapshot_read(self, piece, err);
}

static Status fill(NodeState *state, uint64_t key_count, Error *err) {
    enum { BATCH = 1 << 20 };
    for (uint64_t begin = 0; begin < key_count; begin += BATCH) {
        state->class->begin(state);
        for (uint64_t i = begin; i < begin + BATCH && i < key_count; i++) {
            uint64_t number = key_number(i), value = value_of(i);
            Key key = key_from_str(str_slice(&number, sizeof number));
            uint64_t hash = key_hash(&key);
            StateStore *store = keyed_state_store(state, key_partition_of(hash, PARTITION_COUNT));
            TRY(state_store_put(store, &key, hash, str_slice(&value, sizeof value), err));
        }
        state->class->keep(state);
    }
    return STATUS_OK;
}

static Status write_portion(Env *env, const char *directory, SnapshotBuilder *builder, uint64_t *size_bytes,
                            Error *err) {
    SnapshotPortion portion = {0};
    snapshot_take_portion(builder, &portion);
    Status st = snapshot_write_portion(env, directory, &portion, err);
    *size_bytes = portion.offset + portion.bytes.size;
    text_deinit(&portion.bytes);
    return st;
}

/* The plan's only state is "update_state_by_key#0". */
static Status save(Env *env, const char *directory, uint64_t key_count, SnapshotExtent *extent, Error *err) {
    NodeState *state;
    KeyedStateOptions options = {.partition_count = PARTITION_COUNT, .who = "bench"};
    SnapshotBuilder *builder = snapshot_builder_create(1);
    TRY(keyed_state_create(options, &state, err));
    TRY(fill(state, key_count, err));
    *extent = (SnapshotExtent){.number = 1};
    for (uint32_t section = 0; section < state->section_count; section++) {
        char name[64];
        snprintf(name, sizeof name, "state/update_state_by_key#0/%u", section);
        snapshot_begin_section(builder, str_from(name), 1, 1);
        TRY(state->class->save(state, section, (StateSink){write_piece, builder}, err));
        (void)snapshot_end_section(builder);
        if (snapshot_builder_size_bytes(builder) >= PORTION_BYTES)
            TRY(write_portion(env, directory, builder, &extent->size_bytes, err));
    }
    if (snapshot_builder_size_bytes(builder))
        TRY(write_portion(env, directory, builder, &extent->size_bytes, err));
    snapshot_builder_destroy(builder);
    state->class->destroy(state);
    return STATUS_OK;
}

static double process_cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static Status read_bare(Env *env, const char *path, uint64_t *size_bytes, Error *err) {
    EnvFile *file;
    char *piece = malloc(READ_SIZE);
    size_t read_bytes = 0;
    *size_bytes = 0;
    TRY(env_file_open(env, path, ENV_READ, &file, err));
    do {
        TRY(env_file_read(env, file, *size_bytes, piece, READ_SIZE, &read_bytes, err));
        *size_bytes += read_bytes;
    } while (read_bytes == READ_SIZE);
    env_file_close(env, file);
    free(piece);
    return STATUS_OK;
}

static bool keep_state(const LeatUpdate *key, void *user) {
    (void)key, (void)user;
    return true;
}

static Status make_plan(Plan *plan, Error *err) {
    Schema *pairs;
    TRY(schema_parse(plan->arena, STR("k BIGINT, v BIGINT"), 1, &pairs, err));
    PlanNode *source = plan_add(plan, PLAN_SOURCE, "bench_stream", NULL, 0);
    source->schema = pairs, source->source_kind = "bench";
    PlanNode *state = plan_add(plan, PLAN_KEYED_PROCESS, "leat_update_state_by_key", &source, 1);
    state->schema = pairs, state->function = leat_update_function("v BIGINT", keep_state, NULL);
    state->state_schema = schema_slice(plan->arena, pairs, 1, 2, 0);
    PlanNode *output = plan_add(plan, PLAN_OUTPUT, "bench_output", &state, 1);
    output->schema = pairs;
    return plan_finish(plan, err);
}

static Status open_section(void *self, uint32_t index, StateFeed *feed, Error *err) {
    (void)err;
    const SnapshotCatalog *catalog = self;
    *feed = (StateFeed){read_piece, snapshot_open(catalog, snapshot_catalog_section(catalog, index))};
    return STATUS_OK;
}

static void close_section(void *self, StateFeed feed) {
    (void)self;
    snapshot_close(feed.self);
}

/* As recovery.c does it. */
static Status restart(Env *env, const char *directory, SnapshotExtent extent, Engine *engine, Error *err) {
    SnapshotCatalog *catalog;
    TRY(snapshot_catalog_open(env, directory, &extent, 1, &catalog, err));
    uint32_t count = (uint32_t)snapshot_catalog_count(catalog);
    Str *names = calloc(count, sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        names[i] = snapshot_catalog_section(catalog, i)->name;
    TRY(engine_load(
        engine,
        (EngineImage){
            .names = names, .count = count, .open = open_section, .close = close_section, .self = catalog},
        err));
    free(names);
    snapshot_catalog_close(catalog);
    return STATUS_OK;
}

/* Saved again it must be the same bytes. */
static bool is_right(Env *env, Engine *engine, const char *path, SnapshotExtent extent, uint64_t key_count) {
    if (engine_stats(engine).state_keys != key_count)
        return false;
    Text saved = {0};
    SnapshotBuilder *builder = snapshot_builder_create(extent.number);
    bool is_same = env_read_file(env, path, SIZE_MAX, &saved, NULL) == STATUS_OK;
    for (uint32_t section = 1; is_same && section < engine_section_count(engine); section++) {
        Text name = {0};
        engine_section_name(engine, section, &name);
        snapshot_begin_section(builder, text_str(&name), 1, 1);
        is_same = engine_save_section(engine, section, (StateSink){write_piece, builder}, NULL) == STATUS_OK;
        (void)snapshot_end_section(builder);
        text_deinit(&name);
    }
    SnapshotPortion portion = {0};
    snapshot_take_portion(builder, &portion);
    is_same = is_same && str_equal(text_str(&portion.bytes), text_str(&saved));
    snapshot_builder_destroy(builder);
    text_deinit(&portion.bytes);
    text_deinit(&saved);
    return is_same;
}

static Status run(Env *env, const char *directory, uint64_t key_count, uint32_t worker_count, int64_t rounds,
                  Error *err) {
    SnapshotExtent extent;
    TRY(snapshot_remove_others(env, directory, NULL, 0, UINT64_MAX, err));
    TRY(save(env, directory, key_count, &extent, err));
    char *path = env_path_join(directory, "snapshot-0000000000000001.leat");
    uint64_t size_bytes = 0;
    double best_read = 1e9, best_restart = 1e9, best_cpu = 1e9;
    bool right = true;
    Plan *plan = plan_create();
    TRY(make_plan(plan, err));
    for (int64_t round = 0; round < rounds; round++) {
        Budget in_flight, state;
        budget_init(&in_flight, "in flight", UINT64_C(1) << 40, NULL);
        budget_init(&state, "state", UINT64_C(1) << 40, NULL);
        EngineOptions options = {.env = env,
                                 .worker_count = worker_count,
                                 .partition_count = PARTITION_COUNT,
                                 .budget_in_flight = &in_flight,
                                 .budget_state = &state};
        Engine *engine;
        TRY(engine_create(plan, options, &engine, err));
        int64_t begin_us = env_monotonic_us(env);
        TRY(read_bare(env, path, &size_bytes, err));
        double read_s = (double)(env_monotonic_us(env) - begin_us) / 1e6;
        begin_us = env_monotonic_us(env);
        double begin_cpu_s = process_cpu_s();
        TRY(restart(env, directory, extent, engine, err));
        double restart_s = (double)(env_monotonic_us(env) - begin_us) / 1e6;
        best_read = read_s < best_read ? read_s : best_read;
        double cpu_s = process_cpu_s() - begin_cpu_s;
        best_restart = restart_s < best_restart ? restart_s : best_restart;
        best_cpu = cpu_s < best_cpu ? cpu_s : best_cpu;
        right = right && (round > 0 || is_right(env, engine, path, extent, key_count));
        engine_destroy(engine);
    }
    printf("%" PRIu64
           " keys, %.1f MB, %u workers: bare read %.3f s, restart %.3f s (%.3f s of CPU), beyond the "
           "read %.3f s (at most 0.2 is the goal); state %s\n",
           key_count, (double)size_bytes / 1e6, worker_count, best_read, best_restart, best_cpu,
           best_restart - best_read, right ? "right" : "WRONG");
    plan_destroy(plan);
    free(path);
    Status st = right ? STATUS_OK : error_set(err, STATUS_CORRUPT, "the loaded state is not the saved one");
    TRY(snapshot_remove_others(env, directory, NULL, 0, UINT64_MAX, err));
    return st;
}

int main(int argc, char **argv) {
    Error err = {0};
    Env *env = env_real();
    const char *directory = "/dev/shm/leatbench";
    int64_t key_count = 10000000, rounds = 5, worker_count = 2;
    for (int i = 1; i < argc; i++) {
        int64_t *number = strcmp(argv[i], "--keys") == 0      ? &key_count
                          : strcmp(argv[i], "--rounds") == 0  ? &rounds
                          : strcmp(argv[i], "--workers") == 0 ? &worker_count
                                                              : NULL;
        bool is_good = !number || (i + 1 < argc && str_parse_i64(str_from(argv[++i]), number) && *number > 0);
        if (!is_good || (!number && argv[i][0] == '-')) {
            fprintf(stderr, "usage: restart [--keys N] [--workers N] [--rounds N] [DIRECTORY]\n");
            return 2;
        }
        if (!number)
            directory = argv[i];
    }
    Status st = env_make_directory(env, directory, &err);
    if (st == STATUS_OK || st == STATUS_EXISTS)
        st = run(env, directory, (uint64_t)key_count, (uint32_t)worker_count, rounds, &err);
    if (st != STATUS_OK)
        stop(&err);
    return 0;
}
