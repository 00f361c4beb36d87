/* restart.c - how long a restart takes with ten million keys.
 *
 *     bench/restart [--keys N] [--rounds N] [DIRECTORY]     (10000000, 5, /dev/shm/leatbench)
 *
 * Builds a state of N keys of 8 bytes with values of 8 bytes, saves it as a snapshot in DIRECTORY, and then
 * times, in turn and warm, a bare sequential read of that file and what a restart does: open the snapshot,
 * load the state. Prints the best of each and the difference; the loaded state is compared with the one that
 * was saved.
 */
#include "env/env.h"
#include "state/store.h"
#include "stream/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 1 << 20 };

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
    return snapshot_write(self, piece, err);
}

static Status read_piece(void *self, Str *piece, Error *err) {
    return snapshot_read(self, piece, err);
}

static Status fill(StateStore *store, uint64_t key_count, Error *err) {
    enum { BATCH = 1 << 20 };
    for (uint64_t begin = 0; begin < key_count; begin += BATCH) {
        state_store_begin(store);
        for (uint64_t i = begin; i < begin + BATCH && i < key_count; i++) {
            uint64_t number = key_number(i), value = value_of(i);
            Key key = key_from_str(str_slice(&number, sizeof number));
            TRY(state_store_put(store, &key, key_hash(&key), str_slice(&value, sizeof value), err));
        }
        state_store_keep(store);
    }
    return STATUS_OK;
}

static Status save(Env *env, const char *directory, uint64_t key_count, Error *err) {
    StateStore *store;
    SnapshotWriter *writer;
    TRY(state_store_create((StateStoreOptions){.who = "bench"}, &store, err));
    TRY(fill(store, key_count, err));
    TRY(snapshot_create(env, directory, (SnapshotInfo){.batch_id = 1}, &writer, err));
    TRY(snapshot_begin_section(writer, STR("state/bench/0"), err));
    TRY(state_store_save(store, (StateSink){write_piece, writer}, err));
    TRY(snapshot_finish(writer, err));
    state_store_destroy(store);
    return STATUS_OK;
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

static Status restart(Env *env, const char *directory, StateStore **store, Error *err) {
    SnapshotReader *reader;
    SnapshotInfo info;
    Str name;
    uint64_t size_bytes;
    TRY(state_store_create((StateStoreOptions){.who = "bench"}, store, err));
    TRY(snapshot_open(env, directory, &reader, &info, err));
    TRY(snapshot_next_section(reader, &name, &size_bytes, err));
    TRY(state_store_load(*store, (StateFeed){read_piece, reader}, err));
    TRY(snapshot_next_section(reader, &name, &size_bytes, err));
    snapshot_close(reader);
    return STATUS_OK;
}

static bool is_right(StateStore *store, uint64_t key_count) {
    if (state_store_stats(store).key_count != key_count)
        return false;
    for (uint64_t i = 0; i < key_count; i++) {
        uint64_t number = key_number(i), value = value_of(i);
        Key key = key_from_str(str_slice(&number, sizeof number));
        Str found;
        if (!state_store_find(store, &key, key_hash(&key), &found) ||
            !leat_str_equal(found, str_slice(&value, sizeof value)))
            return false;
    }
    return true;
}

static Status run(Env *env, const char *directory, uint64_t key_count, int64_t rounds, Error *err) {
    TRY(save(env, directory, key_count, err));
    char *path = env_path_join(directory, "snapshot-0000000000000001.leat");
    uint64_t size_bytes = 0;
    double best_read = 1e9, best_restart = 1e9;
    bool right = true;
    for (int64_t round = 0; round < rounds; round++) {
        int64_t begin_us = env_monotonic_us(env);
        TRY(read_bare(env, path, &size_bytes, err));
        double read_s = (double)(env_monotonic_us(env) - begin_us) / 1e6;
        StateStore *store;
        begin_us = env_monotonic_us(env);
        TRY(restart(env, directory, &store, err));
        double restart_s = (double)(env_monotonic_us(env) - begin_us) / 1e6;
        best_read = read_s < best_read ? read_s : best_read;
        best_restart = restart_s < best_restart ? restart_s : best_restart;
        right = right && (round > 0 || is_right(store, key_count));
        state_store_destroy(store);
    }
    printf("%" PRIu64 " keys, %.1f MB: bare read %.3f s, restart %.3f s, beyond the read %.3f s "
           "(at most 0.2 is the goal); state %s\n",
           key_count, (double)size_bytes / 1e6, best_read, best_restart, best_restart - best_read,
           right ? "right" : "WRONG");
    free(path);
    Status st = right ? STATUS_OK : error_set(err, STATUS_CORRUPT, "the loaded state is not the saved one");
    TRY(snapshot_remove_before(env, directory, 2, err));
    return st;
}

int main(int argc, char **argv) {
    Error err = {0};
    Env *env = env_real();
    const char *directory = "/dev/shm/leatbench";
    int64_t key_count = 10000000, rounds = 5;
    for (int i = 1; i < argc; i++) {
        int64_t *number = strcmp(argv[i], "--keys") == 0     ? &key_count
                          : strcmp(argv[i], "--rounds") == 0 ? &rounds
                                                             : NULL;
        bool is_good = !number || (i + 1 < argc && str_parse_i64(str_from(argv[++i]), number) && *number > 0);
        if (!is_good || (!number && argv[i][0] == '-')) {
            fprintf(stderr, "usage: restart [--keys N] [--rounds N] [DIRECTORY]\n");
            return 2;
        }
        if (!number)
            directory = argv[i];
    }
    Status st = env_make_directory(env, directory, &err);
    if (st == STATUS_OK || st == STATUS_EXISTS)
        st = run(env, directory, (uint64_t)key_count, rounds, &err);
    if (st != STATUS_OK)
        stop(&err);
    return 0;
}
