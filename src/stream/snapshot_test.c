#include "stream/snapshot.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "check.h"
#include "env/env_faulty.h"
#include "stream/numbered_files.h"
#include "sweep.h"

#include <stdlib.h>

static const FileFamily snapshots = {"snapshot-", ".leat"};

/* ---- a snapshot that tells from its batch id what must be in it ---- */

static char byte_of(uint64_t batch_id, uint64_t section, uint64_t at) {
    return (char)(batch_id * 31 + section * 7 + at * 13 + (at >> 8));
}

static const uint64_t small_sizes[] = {0, 1, 100, 0, 3000};

/* Sections "part/0", "part/1" and so on, of the sizes given, in pieces of `piece` bytes. */
static Status write_snapshot(Env *env, const char *directory, uint64_t batch_id, const uint64_t *sizes,
                             size_t count, size_t piece, Error *err) {
    SnapshotWriter *writer;
    SnapshotInfo info = {.batch_id = batch_id, .log_sequence = batch_id * 2, .epoch = 3};
    TRY(snapshot_create(env, directory, info, &writer, err));
    Status st = STATUS_OK;
    char *bytes = xmalloc(piece);
    for (size_t section = 0; section < count; section++) {
        Text name = {0};
        text_appendf(&name, "part/%zu", section);
        st = snapshot_begin_section(writer, text_str(&name), err);
        text_deinit(&name);
        for (uint64_t at = 0; st == STATUS_OK && at < sizes[section];) {
            size_t size = 0;
            while (size < piece && at < sizes[section])
                bytes[size++] = byte_of(batch_id, section, at++);
            st = snapshot_write(writer, str_slice(bytes, size), err);
        }
        if (st != STATUS_OK) {
            snapshot_abandon(writer);
            free(bytes);
            return st;
        }
    }
    free(bytes);
    return snapshot_finish(writer, err);
}

/* Reads the newest; *is_wrong when a byte that was handed out is not the one written.
 * `skip`: sections not read. */
static Status read_newest(const char *directory, uint64_t *batch_id, const uint64_t *sizes, size_t count,
                          bool skip, bool *is_wrong, Error *err) {
    SnapshotReader *reader;
    SnapshotInfo info;
    *is_wrong = false;
    *batch_id = 0;
    TRY(snapshot_open(env_real(), directory, &reader, &info, err));
    Status st = STATUS_OK;
    size_t section = 0;
    for (;; section++) {
        Str name, piece;
        uint64_t size_bytes, at = 0;
        TRY_GOTO(done, snapshot_next_section(reader, &name, &size_bytes, err));
        if (!name.size)
            break;
        Text expected = {0};
        text_appendf(&expected, "part/%zu", section);
        *is_wrong |=
            section >= count || size_bytes != sizes[section] || !leat_str_equal(name, text_str(&expected));
        text_deinit(&expected);
        while (!skip) {
            TRY_GOTO(done, snapshot_read(reader, &piece, err));
            if (!piece.size)
                break;
            for (size_t i = 0; i < piece.size; i++)
                *is_wrong |= piece.data[i] != byte_of(info.batch_id, section, at++);
        }
        *is_wrong |= !skip && at != size_bytes;
    }
    *is_wrong |= section != count || info.log_sequence != info.batch_id * 2 || info.epoch != 3;
    *batch_id = info.batch_id;
done:
    snapshot_close(reader);
    return st;
}

static size_t count_files(const char *directory) {
    Error err = {0};
    EnvDir *dir;
    const char *name;
    size_t count = 0;
    REQUIRE(CHECK_OK(env_dir_open(env_real(), directory, &dir, &err), err));
    while (CHECK_OK(env_dir_next(env_real(), dir, &name, &err), err) && name)
        count++;
    env_dir_close(env_real(), dir);
    return count;
}

TEST(sections_come_back_as_written) {
    Error err = {0};
    const char *directory = check_tmpdir();
    const uint64_t sizes[] = {0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 5};
    const size_t pieces[] = {1 << 20, 777, 2 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        uint64_t batch_id;
        bool is_wrong;
        CHECK_OK(write_snapshot(env_real(), directory, i + 1, sizes, ARRAY_COUNT(sizes), pieces[i], &err),
                 err);
        CHECK_OK(read_newest(directory, &batch_id, sizes, ARRAY_COUNT(sizes), false, &is_wrong, &err), err);
        CHECK_EQ(batch_id, i + 1);
        CHECK(!is_wrong);
        CHECK_OK(read_newest(directory, &batch_id, sizes, ARRAY_COUNT(sizes), true, &is_wrong, &err), err);
        CHECK(!is_wrong);
    }
    CHECK_OK(snapshot_remove_before(env_real(), directory, 3, &err), err);
    CHECK_EQ(count_files(directory), 1);
}

TEST(a_snapshot_without_sections_is_one) {
    Error err = {0};
    uint64_t batch_id;
    bool is_wrong;
    CHECK_OK(write_snapshot(env_real(), check_tmpdir(), 9, NULL, 0, 1, &err), err);
    CHECK_OK(read_newest(check_tmpdir(), &batch_id, NULL, 0, false, &is_wrong, &err), err);
    CHECK(batch_id == 9 && !is_wrong);
}

TEST(nothing_is_visible_before_it_is_finished) {
    Error err = {0};
    const char *directory = check_tmpdir();
    SnapshotWriter *writer;
    SnapshotReader *reader;
    SnapshotInfo info = {.batch_id = 1};
    CHECK_EQ(snapshot_open(env_real(), directory, &reader, &info, &err), STATUS_NOT_FOUND);
    REQUIRE(CHECK_OK(snapshot_create(env_real(), directory, info, &writer, &err), err));
    CHECK_OK(snapshot_begin_section(writer, STR("meta"), &err), err);
    CHECK_EQ(snapshot_open(env_real(), directory, &reader, &info, &err), STATUS_NOT_FOUND);
    CHECK_EQ(count_files(directory), 1);
    snapshot_abandon(writer);
    CHECK_EQ(count_files(directory), 0);
}

TEST(the_name_is_given_to_synced_bytes_and_made_durable) {
    Error err = {0};
    Text trace = {0}, kinds = {0};
    Env *env = env_faulty_create(env_real(), NULL);
    env_faulty_trace(env, &trace);
    CHECK_OK(write_snapshot(env, check_tmpdir(), 1, small_sizes, ARRAY_COUNT(small_sizes), 50, &err), err);
    Str rest = text_str(&trace), line, number, kind;
    while (leat_str_next_line(&rest, &line))
        if (leat_str_split(&line, ' ', &number) && leat_str_split(&line, ' ', &kind))
            text_appendf(&kinds, "%.*s ", STR_ARG(kind));
    CHECK(str_ends_with(text_str(&kinds), STR("write sync rename syncdir ")));
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST(a_failed_write_fails_the_finish) {
    Error err = {0};
    FaultPlan *plan;
    REQUIRE(CHECK_OK(fault_plan_parse(STR("write@3=ENOSPC"), &plan, &err), err));
    Env *env = env_faulty_create(env_real(), plan);
    SnapshotWriter *writer;
    REQUIRE(
        CHECK_OK(snapshot_create(env, check_tmpdir(), (SnapshotInfo){.batch_id = 1}, &writer, &err), err));
    CHECK_OK(snapshot_begin_section(writer, STR("meta"), &err), err);
    char *bytes = xcalloc(1, 2 << 20);
    CHECK_EQ(snapshot_write(writer, str_slice(bytes, 2 << 20), &err), STATUS_IO);
    CHECK_EQ(snapshot_write(writer, STR("more"), &err), STATUS_IO);
    CHECK_EQ(snapshot_begin_section(writer, STR("next"), &err), STATUS_IO);
    CHECK_EQ(snapshot_finish(writer, &err), STATUS_IO);
    CHECK(strstr(err.message, "snapshot-0000000000000001") != NULL);
    CHECK_EQ(count_files(check_tmpdir()), 0);
    free(bytes);
    env_faulty_destroy(env);
    free(plan);
}

/* ---- damage ---- */

static Text read_file_of(const char *directory, uint64_t batch_id) {
    Error err = {0};
    Text bytes = {0};
    char *path = numbered_file_path(directory, snapshots, batch_id);
    REQUIRE(CHECK_OK(env_read_file(env_real(), path, 1 << 24, &bytes, &err), err));
    free(path);
    return bytes;
}

static void write_file_of(const char *directory, uint64_t batch_id, Str bytes) {
    Error err = {0};
    EnvFile *file;
    char *path = numbered_file_path(directory, snapshots, batch_id);
    REQUIRE(
        CHECK_OK(env_file_open(env_real(), path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, &err), err));
    REQUIRE(CHECK_OK(env_file_write(env_real(), file, 0, bytes.data, bytes.size, &err), err));
    env_file_close(env_real(), file);
    free(path);
}

TEST(damage_names_the_file_and_the_older_snapshot) {
    Error err = {0};
    const char *directory = check_tmpdir();
    uint64_t batch_id;
    bool is_wrong;
    CHECK_OK(write_snapshot(env_real(), directory, 4, small_sizes, ARRAY_COUNT(small_sizes), 50, &err), err);
    CHECK_OK(write_snapshot(env_real(), directory, 5, small_sizes, ARRAY_COUNT(small_sizes), 50, &err), err);
    Text bytes = read_file_of(directory, 5);
    bytes.data[bytes.size / 2] ^= 4;
    write_file_of(directory, 5, text_str(&bytes));
    CHECK_EQ(read_newest(directory, &batch_id, small_sizes, ARRAY_COUNT(small_sizes), false, &is_wrong, &err),
             STATUS_CORRUPT);
    CHECK(strstr(err.message, "snapshot-0000000000000005.leat") && strstr(err.message, "batch 4"));
    CHECK_EQ(read_newest(directory, &batch_id, small_sizes, ARRAY_COUNT(small_sizes), true, &is_wrong, &err),
             STATUS_CORRUPT); /* skipping checks too */
    Text older = read_file_of(directory, 4);
    write_file_of(directory, 5, text_str(&older)); /* a copy under a newer name */
    CHECK_EQ(read_newest(directory, &batch_id, small_sizes, ARRAY_COUNT(small_sizes), false, &is_wrong, &err),
             STATUS_CORRUPT);
    older.data[8] = 2;
    uint32_t crc = crc32c(0, older.data, 60);
    memcpy(older.data + 60, &crc, 4);
    write_file_of(directory, 5, text_str(&older));
    CHECK_EQ(read_newest(directory, &batch_id, small_sizes, ARRAY_COUNT(small_sizes), false, &is_wrong, &err),
             STATUS_UNSUPPORTED);
    text_deinit(&older);
    text_deinit(&bytes);
}

TEST(every_truncation_and_every_flipped_bit_is_refused) {
    Error err = {0};
    const char *directory = check_tmpdir();
    const uint64_t sizes[] = {5, 0, 300};
    CHECK_OK(write_snapshot(env_real(), directory, 2, sizes, ARRAY_COUNT(sizes), 50, &err), err);
    Text bytes = read_file_of(directory, 2);
    uint64_t batch_id, rounds = 0;
    bool is_wrong;
    for (size_t size = 0; size < bytes.size; size++, rounds++) {
        write_file_of(directory, 2, str_slice(bytes.data, size));
        CHECK_EQ(read_newest(directory, &batch_id, sizes, ARRAY_COUNT(sizes), false, &is_wrong, &err),
                 STATUS_CORRUPT);
    }
    printf("    truncations: %" PRIu64 " rounds, all refused\n", rounds);
    rounds = 0;
    write_file_of(directory, 2, text_str(&bytes));
    char *path = numbered_file_path(directory, snapshots, 2);
    EnvFile *file;
    REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_WRITE, &file, &err), err));
    for (size_t bit = 0; bit < bytes.size * 8; bit++, rounds++) {
        char flipped = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
        CHECK_OK(env_file_write(env_real(), file, bit / 8, &flipped, 1, &err), err);
        CHECK_EQ(read_newest(directory, &batch_id, sizes, ARRAY_COUNT(sizes), false, &is_wrong, &err),
                 STATUS_CORRUPT);
        CHECK_OK(env_file_write(env_real(), file, bit / 8, bytes.data + bit / 8, 1, &err), err);
    }
    env_file_close(env_real(), file);
    free(path);
    printf("    bit flips: %" PRIu64 " rounds, all refused\n", rounds);
    text_append(&bytes, STR("x")); /* bytes behind the footer */
    write_file_of(directory, 2, text_str(&bytes));
    CHECK_EQ(read_newest(directory, &batch_id, sizes, ARRAY_COUNT(sizes), false, &is_wrong, &err),
             STATUS_CORRUPT);
    text_deinit(&bytes);
}

/* ---- sweeps: the newest that can be seen is whole, and one that was promised can be seen ---- */

static Status script(Env *env, void *user, Error *err) {
    const char *directory = user;
    TRY(write_snapshot(env, directory, 2, small_sizes, ARRAY_COUNT(small_sizes), 1000, err));
    return snapshot_remove_before(env, directory, 2, err);
}

static void script_prepare(void *user) {
    const char *directory = user;
    Error err = {0};
    CHECK_OK(snapshot_remove_before(env_real(), directory, UINT64_MAX, &err), err);
    CHECK_OK(write_snapshot(env_real(), directory, 1, small_sizes, ARRAY_COUNT(small_sizes), 1000, &err),
             err);
}

static bool script_check(const SweepRound *round, void *user) {
    const char *directory = user;
    Error err = {0};
    uint64_t batch_id;
    bool is_wrong;
    bool holds = CHECK_OK(
        read_newest(directory, &batch_id, small_sizes, ARRAY_COUNT(small_sizes), false, &is_wrong, &err),
        err);
    holds = CHECK(!is_wrong && (batch_id == 1 || batch_id == 2)) && holds;
    if (round->status == STATUS_OK && !round->was_killed)
        holds = CHECK_EQ(batch_id, 2) && CHECK_EQ(count_files(directory), 1) && holds;
    return holds;
}

TEST(an_end_anywhere_leaves_a_whole_snapshot) {
    SweepCounts counts = sweep_kill(&(SweepJob){.prepare = script_prepare,
                                                .run = script,
                                                .check = script_check,
                                                .user = (void *)(uintptr_t)check_tmpdir()});
    CHECK(counts.calls > 10 && counts.unreached == 0);
}

TEST(an_error_anywhere_leaves_a_whole_snapshot) {
    SweepCounts counts = sweep_errno(&(SweepJob){.prepare = script_prepare,
                                                 .run = script,
                                                 .check = script_check,
                                                 .user = (void *)(uintptr_t)check_tmpdir()},
                                     "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 10 && counts.unreached == 0);
}

TEST_MAIN()
