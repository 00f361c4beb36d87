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

/* ---- sections that tell from their batch id what must be in them ---- */

static char byte_of(uint64_t batch_id, uint64_t section, uint64_t at) {
    return (char)(batch_id * 31 + section * 7 + at * 13 + (at >> 8));
}

static const uint64_t small_sizes[] = {1, 100, 0, 3000};

/* Sections "part/0", "part/1" and so on, of the sizes given, in pieces of `piece` bytes. */
static void build(SnapshotBuilder *builder, uint64_t batch_id, const uint64_t *sizes, size_t count,
                  size_t piece) {
    char *bytes = xmalloc(piece);
    for (size_t section = 0; section < count; section++) {
        Text name = {0};
        text_appendf(&name, "part/%zu", section);
        snapshot_begin_section(builder, text_str(&name), batch_id, batch_id * 2);
        for (uint64_t at = 0; at < sizes[section];) {
            size_t size = 0;
            while (size < piece && at < sizes[section])
                bytes[size++] = byte_of(batch_id, section, at++);
            snapshot_put(builder, str_slice(bytes, size));
        }
        CHECK_EQ(snapshot_end_section(builder), sizes[section] > 0);
        text_deinit(&name);
    }
    free(bytes);
}

/* The portion is written; *size_bytes is then the size of the file. */
static Status write_out(Env *env, const char *directory, SnapshotBuilder *builder, uint64_t *size_bytes,
                        Error *err) {
    SnapshotPortion portion = {0};
    snapshot_take_portion(builder, &portion);
    Status st = snapshot_write_portion(env, directory, &portion, err);
    *size_bytes = portion.offset + portion.bytes.size;
    text_deinit(&portion.bytes);
    return st;
}

/* A file of one portion. */
static uint64_t write_file(const char *directory, uint64_t number, uint64_t batch_id, const uint64_t *sizes,
                           size_t count) {
    Error err = {0};
    uint64_t size_bytes;
    SnapshotBuilder *builder = snapshot_builder_create(number);
    build(builder, batch_id, sizes, count, 1000);
    REQUIRE(CHECK_OK(write_out(env_real(), directory, builder, &size_bytes, &err), err));
    snapshot_builder_destroy(builder);
    return size_bytes;
}

static Status read_section(const SnapshotCatalog *catalog, const SnapshotSection *section, bool *is_wrong,
                           Error *err) {
    int64_t number = -1;
    uint64_t at = 0;
    Str name = section->name;
    if (!str_starts_with(name, STR("part/")) ||
        !str_parse_i64(str_slice(name.data + 5, name.size - 5), &number))
        *is_wrong = true;
    SnapshotReader *reader = snapshot_open(catalog, section);
    Status st = STATUS_OK;
    for (Str piece = STR(" "); st == STATUS_OK && piece.size;) {
        st = snapshot_read(reader, &piece, err);
        for (size_t i = 0; st == STATUS_OK && i < piece.size; i++)
            *is_wrong |= piece.data[i] != byte_of(section->batch_id, (uint64_t)number, at++);
    }
    snapshot_close(reader);
    *is_wrong |=
        st == STATUS_OK && (at != section->size_bytes || section->log_sequence != section->batch_id * 2);
    return st;
}

/* Reads every section of the extents; *is_wrong when a byte that was handed out is not the one written. */
static Status read_all(const char *directory, const SnapshotExtent *extents, size_t extent_count,
                       size_t *section_count, bool *is_wrong, Error *err) {
    SnapshotCatalog *catalog;
    *is_wrong = false;
    *section_count = 0;
    TRY(snapshot_catalog_open(env_real(), directory, extents, extent_count, &catalog, err));
    Status st = STATUS_OK;
    *section_count = snapshot_catalog_count(catalog);
    for (size_t i = 0; i < *section_count && st == STATUS_OK; i++)
        st = read_section(catalog, snapshot_catalog_section(catalog, i), is_wrong, err);
    snapshot_catalog_close(catalog);
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
        SnapshotExtent extent = {.number = i + 1};
        SnapshotBuilder *builder = snapshot_builder_create(extent.number);
        size_t section_count;
        bool is_wrong;
        build(builder, 5, sizes, ARRAY_COUNT(sizes), pieces[i]);
        CHECK_OK(write_out(env_real(), directory, builder, &extent.size_bytes, &err), err);
        build(builder, 6, sizes, 3, pieces[i]); /* a second portion behind it */
        CHECK_OK(write_out(env_real(), directory, builder, &extent.size_bytes, &err), err);
        CHECK_OK(read_all(directory, &extent, 1, &section_count, &is_wrong, &err), err);
        CHECK_EQ(section_count, 6 + 2); /* an empty one stands nowhere */
        CHECK(!is_wrong);
        snapshot_builder_destroy(builder);
    }
}

TEST(the_last_save_of_a_name_in_the_last_file_is_the_newest) {
    Error err = {0};
    const char *directory = check_tmpdir();
    SnapshotExtent extents[] = {{.number = 3}, {.number = 4}};
    SnapshotBuilder *builder = snapshot_builder_create(3);
    build(builder, 10, small_sizes, 4, 50);
    build(builder, 11, small_sizes, 2, 50);
    CHECK_OK(write_out(env_real(), directory, builder, &extents[0].size_bytes, &err), err);
    snapshot_builder_destroy(builder);
    extents[1].size_bytes = write_file(directory, 4, 12, small_sizes, 1);
    SnapshotCatalog *catalog;
    REQUIRE(CHECK_OK(snapshot_catalog_open(env_real(), directory, extents, 2, &catalog, &err), err));
    static const uint64_t newest[] = {12, 11, 0, 10};
    for (size_t i = 0; i < ARRAY_COUNT(newest); i++) {
        char name[] = "part/0";
        name[5] = (char)('0' + i);
        const SnapshotSection *section = snapshot_catalog_find(catalog, str_from(name));
        CHECK_EQ(section ? section->batch_id : 0, newest[i]);
        CHECK_EQ(section ? section->number : 0, newest[i] == 12 ? 4 : newest[i] ? 3 : 0);
    }
    snapshot_catalog_close(catalog);
}

TEST(a_portion_without_sections_has_no_bytes) {
    SnapshotBuilder *builder = snapshot_builder_create(1);
    const uint64_t nothing[] = {0, 0};
    build(builder, 1, nothing, 2, 1);
    CHECK_EQ(snapshot_builder_size_bytes(builder), 0);
    SnapshotPortion portion = {0};
    snapshot_take_portion(builder, &portion);
    CHECK_EQ(portion.bytes.size, 0);
    text_deinit(&portion.bytes);
    snapshot_builder_destroy(builder);
}

TEST(files_that_no_extent_names_are_removed) {
    Error err = {0};
    const char *directory = check_tmpdir();
    uint64_t newest;
    CHECK_OK(snapshot_survey(env_real(), directory, &newest, &err), err);
    CHECK_EQ(newest, 0);
    for (uint64_t number = 1; number <= 5; number++)
        (void)write_file(directory, number, number, small_sizes, 1);
    CHECK_OK(snapshot_survey(env_real(), directory, &newest, &err), err);
    CHECK_EQ(newest, 5);
    SnapshotExtent kept[] = {{.number = 2}, {.number = 3}};
    CHECK_OK(snapshot_remove_others(env_real(), directory, kept, 2, 4, &err),
             err); /* the fifth is being written */
    CHECK_EQ(count_files(directory), 3);
    CHECK_OK(snapshot_remove_others(env_real(), directory, kept, 1, 5, &err), err);
    CHECK_EQ(count_files(directory), 1);
}

TEST(a_portion_is_synced_and_so_is_the_name_of_its_file) {
    Error err = {0};
    Text trace = {0}, kinds = {0};
    uint64_t size_bytes;
    Env *env = env_faulty_create(env_real(), NULL);
    SnapshotBuilder *builder = snapshot_builder_create(1);
    env_faulty_trace(env, &trace);
    for (int i = 0; i < 2; i++) {
        build(builder, 1, small_sizes, ARRAY_COUNT(small_sizes), 50);
        CHECK_OK(write_out(env, check_tmpdir(), builder, &size_bytes, &err), err);
    }
    Str rest = text_str(&trace), line, number, kind;
    while (leat_str_next_line(&rest, &line))
        if (leat_str_split(&line, ' ', &number) && leat_str_split(&line, ' ', &kind))
            text_appendf(&kinds, "%.*s ", STR_ARG(kind));
    CHECK_STR(kinds.data, "open write sync syncdir open write sync ");
    snapshot_builder_destroy(builder);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

/* ---- damage ---- */

static Text read_file_of(const char *directory, uint64_t number) {
    Error err = {0};
    Text bytes = {0};
    char *path = numbered_file_path(directory, snapshots, number);
    REQUIRE(CHECK_OK(env_read_file(env_real(), path, 1 << 24, &bytes, &err), err));
    free(path);
    return bytes;
}

static void write_file_of(const char *directory, uint64_t number, Str bytes) {
    Error err = {0};
    EnvFile *file;
    char *path = numbered_file_path(directory, snapshots, number);
    REQUIRE(
        CHECK_OK(env_file_open(env_real(), path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, &err), err));
    REQUIRE(CHECK_OK(env_file_write(env_real(), file, 0, bytes.data, bytes.size, &err), err));
    env_file_close(env_real(), file);
    free(path);
}

static Status read_extent(const char *directory, SnapshotExtent extent, Error *err) {
    size_t section_count;
    bool is_wrong;
    Status st = read_all(directory, &extent, 1, &section_count, &is_wrong, err);
    CHECK(!is_wrong);
    return st;
}

TEST(damage_names_the_file) {
    Error err = {0};
    const char *directory = check_tmpdir();
    SnapshotExtent extent = {5, write_file(directory, 5, 4, small_sizes, ARRAY_COUNT(small_sizes))};
    Text whole = read_file_of(directory, 5), bytes = read_file_of(directory, 5);
    bytes.data[bytes.size / 2] ^= 4;
    write_file_of(directory, 5, text_str(&bytes));
    CHECK_EQ(read_extent(directory, extent, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "snapshot-0000000000000005.leat: damaged at byte ") != NULL);
    write_file_of(directory, 6, text_str(&whole)); /* a copy under another name */
    CHECK_EQ(read_extent(directory, (SnapshotExtent){6, extent.size_bytes}, &err), STATUS_CORRUPT);
    CHECK_EQ(read_extent(directory, (SnapshotExtent){7, 100}, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "snapshot-0000000000000007.leat: the file is missing") != NULL);
    text_deinit(&whole);
    text_deinit(&bytes);
}

/* Pages of one file put into another one: each is whole, none is in its place. */
TEST(pages_do_not_change_files) {
    Error err = {0};
    const char *directory = check_tmpdir();
    SnapshotExtent extent = {1, write_file(directory, 1, 4, small_sizes, ARRAY_COUNT(small_sizes))};
    (void)write_file(directory, 2, 5, small_sizes, ARRAY_COUNT(small_sizes));
    Text one = read_file_of(directory, 1), two = read_file_of(directory, 2);
    memcpy(one.data + 32, two.data + 32, one.size - 32); /* behind the headers */
    write_file_of(directory, 1, text_str(&one));
    CHECK_EQ(read_extent(directory, extent, &err), STATUS_CORRUPT);
    text_deinit(&one);
    text_deinit(&two);
}

TEST(another_format_is_refused_by_its_number) {
    Error err = {0};
    const char *directory = check_tmpdir();
    uint64_t newest;
    SnapshotExtent extent = {5, write_file(directory, 5, 4, small_sizes, 1)};
    Text bytes = read_file_of(directory, 5);
    for (char version = 1; version <= 3; version += 2) {
        bytes.data[8] = version;
        uint32_t crc = crc32c(0, bytes.data, 28);
        memcpy(bytes.data + 28, &crc, sizeof crc);
        write_file_of(directory, 5, text_str(&bytes));
        CHECK_EQ(read_extent(directory, extent, &err), STATUS_UNSUPPORTED);
        CHECK_EQ(snapshot_survey(env_real(), directory, &newest, &err), STATUS_UNSUPPORTED);
        CHECK(strstr(err.message, version == 1 ? "format version 1, this program reads version 2"
                                               : "format version 3, this program reads version 2") != NULL);
    }
    text_deinit(&bytes);
}

/* Two portions, of which the log vouches for the first only, or for both. */
TEST(every_truncation_and_every_flipped_bit_is_refused_where_the_log_vouches) {
    Error err = {0};
    const char *directory = check_tmpdir();
    const uint64_t sizes[] = {5, 0, 300};
    SnapshotExtent first = {.number = 2}, both = {.number = 2};
    SnapshotBuilder *builder = snapshot_builder_create(2);
    build(builder, 7, sizes, 3, 50);
    CHECK_OK(write_out(env_real(), directory, builder, &first.size_bytes, &err), err);
    build(builder, 8, sizes, 3, 50);
    CHECK_OK(write_out(env_real(), directory, builder, &both.size_bytes, &err), err);
    snapshot_builder_destroy(builder);
    Text bytes = read_file_of(directory, 2);
    CHECK_EQ(bytes.size, both.size_bytes);
    uint64_t rounds = 0;
    for (size_t size = 0; size < bytes.size; size++, rounds++) {
        write_file_of(directory, 2, str_slice(bytes.data, size));
        CHECK_EQ(read_extent(directory, both, &err), STATUS_CORRUPT);
        CHECK_EQ(read_extent(directory, first, &err), size < first.size_bytes ? STATUS_CORRUPT : STATUS_OK);
    }
    printf("    truncations: %" PRIu64 " rounds, refused where the log vouches\n", rounds);
    rounds = 0;
    write_file_of(directory, 2, text_str(&bytes));
    char *path = numbered_file_path(directory, snapshots, 2);
    EnvFile *file;
    REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_WRITE, &file, &err), err));
    for (size_t bit = 0; bit < bytes.size * 8; bit++, rounds++) {
        char flipped = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
        CHECK_OK(env_file_write(env_real(), file, bit / 8, &flipped, 1, &err), err);
        CHECK_EQ(read_extent(directory, both, &err), STATUS_CORRUPT);
        CHECK_EQ(read_extent(directory, first, &err),
                 bit / 8 < first.size_bytes ? STATUS_CORRUPT : STATUS_OK);
        CHECK_OK(env_file_write(env_real(), file, bit / 8, bytes.data + bit / 8, 1, &err), err);
    }
    env_file_close(env_real(), file);
    free(path);
    printf("    bit flips: %" PRIu64 " rounds, refused where the log vouches\n", rounds);
    text_deinit(&bytes);
}

/* ---- sweeps: what was vouched for stays whole while more is written ---- */

typedef struct Script {
    const char *directory;
    SnapshotBuilder *builder; /* of file 1, whose first portion is vouched for */
    SnapshotExtent vouched, second, next;
} Script;

static Status script_run(Env *env, void *user, Error *err) {
    Script *script = user;
    Status st = STATUS_OK;
    SnapshotBuilder *builder = snapshot_builder_create(2);
    build(script->builder, 2, small_sizes, ARRAY_COUNT(small_sizes), 1000);
    build(builder, 3, small_sizes, ARRAY_COUNT(small_sizes), 1000);
    script->second.number = 1;
    script->next.number = 2;
    TRY_GOTO(done, write_out(env, script->directory, script->builder, &script->second.size_bytes, err));
    TRY_GOTO(done, write_out(env, script->directory, builder, &script->next.size_bytes, err));
done:
    snapshot_builder_destroy(builder);
    return st;
}

static void script_prepare(void *user) {
    Script *script = user;
    Error err = {0};
    CHECK_OK(snapshot_remove_others(env_real(), script->directory, NULL, 0, UINT64_MAX, &err), err);
    snapshot_builder_destroy(script->builder);
    script->builder = snapshot_builder_create(1);
    build(script->builder, 1, small_sizes, ARRAY_COUNT(small_sizes), 1000);
    script->vouched.number = 1;
    CHECK_OK(write_out(env_real(), script->directory, script->builder, &script->vouched.size_bytes, &err),
             err);
}

static bool script_check(const SweepRound *round, void *user) {
    Script *script = user;
    Error err = {0};
    bool holds = CHECK_OK(read_extent(script->directory, script->vouched, &err), err);
    if (round->status == STATUS_OK && !round->was_killed) {
        holds = CHECK_OK(read_extent(script->directory, script->second, &err), err) && holds;
        holds = CHECK_OK(read_extent(script->directory, script->next, &err), err) && holds;
    }
    return holds;
}

static void sweep_script(bool kills) {
    Script script = {.directory = check_tmpdir()};
    SweepJob job = {.prepare = script_prepare, .run = script_run, .check = script_check, .user = &script};
    SweepCounts counts = kills ? sweep_kill(&job) : sweep_errno(&job, "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls >= 7 && counts.unreached == 0);
    snapshot_builder_destroy(script.builder);
}

TEST(an_end_anywhere_leaves_what_was_vouched_for) {
    sweep_script(true);
}
TEST(an_error_anywhere_leaves_what_was_vouched_for) {
    sweep_script(false);
}

TEST_MAIN()
