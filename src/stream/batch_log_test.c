#include "stream/batch_log.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "check.h"
#include "env/env_faulty.h"
#include "stream/numbered_files.h"
#include "sweep.h"

#include <stdlib.h>
#include <sys/mman.h>

static const FileFamily segments = {"batch-", ".log"};

/* ---- a log whose frames tell from their sequence what must be in them ---- */

static Str payload_of(uint64_t sequence, uint8_t salt, char *room) {
    size_t size = (size_t)(sequence * 37 % 150);
    for (size_t i = 0; i < size; i++)
        room[i] = (char)(sequence * 131 + i * 7 + salt);
    return str_slice(room, size);
}

typedef struct Found {
    uint64_t first, last;
    uint32_t last_epoch;
    uint8_t salts[64]; /* by sequence: which history wrote it */
    bool is_wrong;
} Found;

static Status look(void *self, const Frame *frame, Error *err) {
    (void)err;
    Found *found = self;
    char room[256];
    if (!found->first)
        found->first = frame->sequence;
    found->is_wrong |= found->last && frame->sequence != found->last + 1;
    found->is_wrong |= frame->durable_upto >= frame->sequence || frame->epoch < found->last_epoch;
    uint8_t salt = frame->kind;
    found->is_wrong |= !leat_str_equal(frame->payload, payload_of(frame->sequence, salt, room));
    found->last = frame->sequence;
    found->last_epoch = frame->epoch;
    if (frame->sequence < ARRAY_COUNT(found->salts))
        found->salts[frame->sequence] = salt;
    return STATUS_OK;
}

static Status open_log(Env *env, const char *directory, BatchLog **log, BatchLogCut *cut, Error *err) {
    return batch_log_open((BatchLogOptions){.env = env, .directory = directory, .segment_size_bytes = 1024},
                          log, cut, err);
}

static Status append(BatchLog *log, uint8_t salt, Error *err) {
    char room[256];
    return batch_log_append(log, salt, payload_of(batch_log_last_sequence(log) + 1, salt, room), NULL, err);
}

/* Opens, reads everything, closes. */
static Status find_all(const char *directory, bool is_read_only, Found *found, BatchLogCut *cut, Error *err) {
    *found = (Found){0};
    BatchLog *log;
    BatchLogOptions options = {
        .env = env_real(), .directory = directory, .segment_size_bytes = 1024, .read_only = is_read_only};
    TRY(batch_log_open(options, &log, cut, err));
    Status st = batch_log_read(log, look, found, err);
    if (st == STATUS_OK)
        CHECK_EQ(batch_log_last_sequence(log), found->last);
    batch_log_close(log);
    return st;
}

/* A log of `count` frames, synced after each of the first `synced`, then flushed. */
static void write_log(const char *directory, uint64_t count, uint64_t synced) {
    Error err = {0};
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    batch_log_set_epoch(log, 1);
    for (uint64_t i = 1; i <= count; i++) {
        REQUIRE(CHECK_OK(append(log, 0, &err), err));
        if (i <= synced)
            REQUIRE(CHECK_OK(batch_log_sync(log, &err), err));
    }
    REQUIRE(CHECK_OK(batch_log_flush(log, &err), err));
    batch_log_close(log);
}

static Text read_segment_file(const char *directory, uint64_t id) {
    Error err = {0};
    Text bytes = {0};
    char *path = numbered_file_path(directory, segments, id);
    REQUIRE(CHECK_OK(env_read_file(env_real(), path, 1 << 24, &bytes, &err), err));
    free(path);
    return bytes;
}

static void write_segment_file(const char *directory, uint64_t id, Str bytes) {
    Error err = {0};
    EnvFile *file;
    char *path = numbered_file_path(directory, segments, id);
    REQUIRE(
        CHECK_OK(env_file_open(env_real(), path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, &err), err));
    REQUIRE(CHECK_OK(env_file_write(env_real(), file, 0, bytes.data, bytes.size, &err), err));
    env_file_close(env_real(), file);
    free(path);
}

/* Flips a bit where it stands. */
static void flip_bit(const char *directory, uint64_t id, Str bytes, size_t bit, bool back) {
    Error err = {0};
    EnvFile *file;
    char *path = numbered_file_path(directory, segments, id);
    char byte = (char)(bytes.data[bit / 8] ^ (back ? 0 : 1 << bit % 8));
    REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_WRITE, &file, &err), err));
    REQUIRE(CHECK_OK(env_file_write(env_real(), file, bit / 8, &byte, 1, &err), err));
    env_file_close(env_real(), file);
    free(path);
}

static void remove_segment_file(const char *directory, uint64_t id) {
    Error err = {0};
    char *path = numbered_file_path(directory, segments, id);
    REQUIRE(CHECK_OK(env_remove(env_real(), path, &err), err));
    free(path);
}

static void empty_directory(const char *directory) {
    Error err = {0};
    EnvDir *dir;
    const char *name;
    REQUIRE(CHECK_OK(env_dir_open(env_real(), directory, &dir, &err), err));
    for (;;) {
        REQUIRE(CHECK_OK(env_dir_next(env_real(), dir, &name, &err), err));
        if (!name)
            break;
        char *path = env_path_join(directory, name);
        REQUIRE(CHECK_OK(env_remove(env_real(), path, &err), err));
        free(path);
    }
    env_dir_close(env_real(), dir);
}

static size_t count_segments(const char *directory) {
    Error err = {0};
    uint64_t *ids;
    size_t count;
    REQUIRE(CHECK_OK(numbered_files_list(env_real(), directory, segments, &ids, &count, &err), err));
    free(ids);
    return count;
}

/* ---- without faults ---- */

TEST(frames_come_back_in_order) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 40, 20);
    Found found;
    BatchLogCut cut;
    CHECK_OK(find_all(directory, false, &found, &cut, &err), err);
    CHECK(!cut.happened);
    CHECK_EQ(found.first, 1);
    CHECK_EQ(found.last, 40);
    CHECK_EQ(found.last_epoch, 1);
    CHECK(!found.is_wrong);
    CHECK(count_segments(directory) > 3);
}

TEST(an_unflushed_frame_is_lost_a_flushed_one_is_not) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(batch_log_flush(log, &err), err);
    CHECK_EQ(batch_log_durable_upto(log), 0);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_EQ(batch_log_last_sequence(log), 2);
    batch_log_close(log);
    Found found;
    CHECK_OK(find_all(directory, false, &found, NULL, &err), err);
    CHECK_EQ(found.last, 1);
}

TEST(a_frame_larger_than_a_segment_gets_one_of_its_own) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    size_t sizes[] = {5000, 10, 0, 3000, 100 << 10, 7};
    char *bytes = xcalloc(1, 100 << 10);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        memset(bytes, (int)('a' + i), sizes[i]);
        CHECK_OK(batch_log_append(log, 1, str_slice(bytes, sizes[i]), NULL, &err), err);
        if (i == 2)
            CHECK_OK(batch_log_prepare(log, &err), err); /* made too small for what comes */
    }
    CHECK_OK(batch_log_sync(log, &err), err);
    batch_log_close(log);
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    CHECK_EQ(batch_log_last_sequence(log), ARRAY_COUNT(sizes));
    batch_log_close(log);
    free(bytes);
}

TEST(cutting_frees_segments_but_keeps_where_the_log_stands) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    batch_log_set_epoch(log, 7);
    for (int i = 0; i < 60; i++) {
        CHECK_OK(append(log, 0, &err), err);
        CHECK_OK(batch_log_sync(log, &err), err);
        CHECK_OK(batch_log_cut_before(log, batch_log_last_sequence(log) + 1, &err), err);
        CHECK_OK(batch_log_prepare(log, &err), err);
        CHECK(count_segments(directory) <= 3);
        CHECK(batch_log_size_bytes(log) <= 2048);
    }
    batch_log_close(log);
    Found found;
    BatchLogCut cut;
    CHECK_OK(find_all(directory, false, &found, &cut, &err), err);
    CHECK(!cut.happened); /* nothing old is left in a recycled segment */
    CHECK_EQ(found.last, 60);
    CHECK_EQ(found.last_epoch, 7);
    CHECK(found.first > 40);
    CHECK(!found.is_wrong);
}

TEST(a_segment_is_not_given_up_for_frames_that_are_not_durable) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    while (count_segments(directory) < 2) /* the frame that turned the page is in memory only */
        REQUIRE(CHECK_OK(append(log, 0, &err), err));
    uint64_t last = batch_log_last_sequence(log);
    CHECK_OK(batch_log_cut_before(log, last + 1, &err), err);
    CHECK_EQ(count_segments(directory), 2);
    batch_log_close(log);
    Found found;
    CHECK_OK(find_all(directory, false, &found, NULL, &err), err);
    CHECK_EQ(found.last, last - 1);
}

TEST(a_reader_changes_nothing) {
    Error err = {0};
    const char *directory = check_tmpdir();
    Found found;
    CHECK_OK(find_all(directory, true, &found, NULL, &err), err);
    CHECK_EQ(found.last, 0);
    CHECK_EQ(count_segments(directory), 0);
    write_log(directory, 5, 2);
    Text bytes = read_segment_file(directory, 1);
    bytes.data[bytes.size - 1] = 1; /* a tail that an owner would wipe */
    write_segment_file(directory, 1, text_str(&bytes));
    BatchLogCut cut;
    CHECK_OK(find_all(directory, true, &found, &cut, &err), err);
    CHECK(cut.happened);
    CHECK_EQ(found.last, 5);
    Text again = read_segment_file(directory, 1);
    CHECK(leat_str_equal(text_str(&bytes), text_str(&again)));
    text_deinit(&again);
    text_deinit(&bytes);
}

TEST(a_frame_over_the_limit_is_refused_and_harms_nothing) {
    Error err = {0};
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), check_tmpdir(), &log, NULL, &err), err));
    CHECK_EQ(batch_log_append(log, 1, str_slice("", ((size_t)1 << 30) + 1), NULL, &err), STATUS_INVALID);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(batch_log_sync(log, &err), err);
    batch_log_close(log);
}

/* ---- what is durable when: the order of the calls ---- */

/* The traced environment; *trace gets one line a call. */
static Env *traced(Text *trace) {
    Env *env = env_faulty_create(env_real(), NULL);
    env_faulty_trace(env, trace);
    return env;
}

/* The calls by their kinds: "open write write sync rename syncdir". */
static void kinds_of(const Text *trace, Text *kinds) {
    Str rest = text_str(trace), line, number, kind;
    text_reset(kinds);
    while (leat_str_next_line(&rest, &line)) {
        if (!leat_str_split(&line, ' ', &number) || !leat_str_split(&line, ' ', &kind))
            continue;
        if (kinds->size)
            text_append_byte(kinds, ' ');
        text_append(kinds, kind);
    }
    if (!kinds->data)
        text_append(kinds, STR(""));
}

TEST(nothing_is_durable_before_its_sync) {
    Error err = {0};
    Text trace = {0}, kinds = {0};
    Env *env = traced(&trace);
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), &log, NULL, &err), err));
    kinds_of(&trace, &kinds);
    /* A name is given to a synced file, and the directory is synced before anything is promised. */
    CHECK(strstr(kinds.data, "write write sync rename syncdir") != NULL);
    text_reset(&trace);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_EQ(trace.size, 0);
    CHECK_OK(batch_log_sync(log, &err), err);
    CHECK_EQ(batch_log_durable_upto(log), 2);
    kinds_of(&trace, &kinds);
    CHECK_STR(kinds.data, "write sync");
    text_reset(&trace);
    CHECK_OK(batch_log_sync(log, &err), err); /* nothing new: nothing to pay */
    CHECK_EQ(trace.size, 0);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(batch_log_flush(log, &err), err);
    CHECK_EQ(batch_log_durable_upto(log), 2);
    kinds_of(&trace, &kinds);
    CHECK_STR(kinds.data, "write");
    batch_log_close(log);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST(a_prepared_segment_costs_the_batch_one_open) {
    Error err = {0};
    Text trace = {0}, kinds = {0};
    Env *env = traced(&trace);
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), &log, NULL, &err), err));
    CHECK_OK(batch_log_prepare(log, &err), err);
    CHECK_OK(batch_log_prepare(log, &err), err); /* once is enough */
    text_reset(&trace);
    while (trace.size == 0)
        REQUIRE(CHECK_OK(append(log, 0, &err), err));
    kinds_of(&trace, &kinds);
    CHECK_STR(kinds.data, "write sync open"); /* the old one is synced first */
    batch_log_close(log);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST(a_tail_that_nothing_vouches_for_is_written_again) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 5, 3);
    Text trace = {0}, kinds = {0};
    Env *env = traced(&trace);
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env, directory, &log, NULL, &err), err));
    kinds_of(&trace, &kinds);
    CHECK(strlen(kinds.data) > 10 && strcmp(kinds.data + strlen(kinds.data) - 10, "write sync") == 0);
    CHECK_EQ(batch_log_durable_upto(log), 5);
    batch_log_close(log);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST(the_directory_is_synced_after_each_segment_that_goes) {
    Error err = {0};
    Text trace = {0}, kinds = {0};
    Env *env = traced(&trace);
    const char *directory = check_tmpdir();
    BatchLog *log;
    REQUIRE(CHECK_OK(open_log(env, directory, &log, NULL, &err), err));
    for (int i = 0; i < 40; i++)
        REQUIRE(CHECK_OK(append(log, 0, &err), err));
    CHECK_OK(batch_log_sync(log, &err), err);
    size_t before = count_segments(directory);
    REQUIRE(before > 3);
    text_reset(&trace);
    CHECK_OK(batch_log_cut_before(log, 41, &err), err);
    kinds_of(&trace, &kinds);
    CHECK(strncmp(kinds.data, "rename syncdir remove syncdir", 29) == 0);
    CHECK_EQ(count_segments(directory), 1);
    batch_log_close(log);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

TEST(after_a_failed_sync_every_call_fails_with_the_first_error) {
    const char *const plans[] = {"sync@2=EIO", "write@3=ENOSPC"};
    for (size_t i = 0; i < ARRAY_COUNT(plans); i++) {
        Error err = {0}, first;
        FaultPlan *plan;
        REQUIRE(CHECK_OK(fault_plan_parse(str_from(plans[i]), &plan, &err), err));
        Env *env = env_faulty_create(env_real(), plan);
        BatchLog *log;
        REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), &log, NULL, &err), err));
        empty_directory(check_tmpdir());
        CHECK_OK(append(log, 0, &err), err);
        CHECK_EQ(batch_log_sync(log, &first), STATUS_IO);
        CHECK_EQ(batch_log_durable_upto(log), 0);
        uint64_t calls = env_faulty_call_count(env);
        for (int call = 0; call < 6; call++) {
            memset(&err, 0, sizeof err);
            Found found = {0};
            Status st = call == 0   ? append(log, 0, &err)
                        : call == 1 ? batch_log_flush(log, &err)
                        : call == 2 ? batch_log_sync(log, &err)
                        : call == 3 ? batch_log_prepare(log, &err)
                        : call == 4 ? batch_log_cut_before(log, 1, &err)
                                    : batch_log_read(log, look, &found, &err);
            CHECK_EQ(st, STATUS_IO);
            CHECK_STR(err.message, first.message);
        }
        CHECK_EQ(env_faulty_call_count(env), calls);
        batch_log_close(log);
        env_faulty_destroy(env);
        free(plan);
    }
}

/* ---- files that are not what they were ---- */

TEST(a_missing_a_copied_and_an_empty_segment_are_named) {
    Error err = {0};
    const char *directory = check_tmpdir();
    Found found;
    write_log(directory, 40, 40);
    uint64_t last = count_segments(directory);
    REQUIRE(last >= 4);
    Text second = read_segment_file(directory, 2), third = read_segment_file(directory, 3);

    remove_segment_file(directory, 2);
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "batch-0000000000000002.log") && strstr(err.message, "missing"));
    /* A copy under another name: the same first sequence twice. */
    write_segment_file(directory, 2, text_str(&third));
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "batch-0000000000000002.log") && strstr(err.message, "copy"));
    write_segment_file(directory, 2, STR(""));
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "batch-0000000000000002.log"));
    memset(second.data + 64, 0, second.size - 64); /* its frames are gone, its header is not */
    write_segment_file(directory, 2, text_str(&second));
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    remove_segment_file(directory, 1); /* now it is the oldest one */
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    for (uint64_t id = 3; id <= last; id++)
        remove_segment_file(directory, id); /* and the only one */
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "lost its frames"));
    text_deinit(&second);
    text_deinit(&third);
}

TEST(a_newer_format_is_unsupported) {
    Error err = {0};
    const char *directory = check_tmpdir();
    Found found;
    write_log(directory, 1, 1);
    Text bytes = read_segment_file(directory, 1);
    bytes.data[8] = 2;
    uint32_t crc = crc32c(0, bytes.data, 60);
    memcpy(bytes.data + 60, &crc, 4);
    write_segment_file(directory, 1, text_str(&bytes));
    CHECK_EQ(find_all(directory, false, &found, NULL, &err), STATUS_UNSUPPORTED);
    text_deinit(&bytes);
}

/* The offset of each frame of a segment's bytes; offsets[count] is where they end. */
static size_t frame_offsets(Str bytes, uint64_t *offsets) {
    size_t count = 0;
    for (uint64_t at = 64; at + 48 <= bytes.size;) {
        uint32_t size;
        uint64_t sequence;
        memcpy(&size, bytes.data + at + 8, 4);
        memcpy(&sequence, bytes.data + at + 16, 8);
        offsets[count] = at;
        if (sequence == 0)
            break;
        at += 48 + (size + 7) / 8 * 8;
        offsets[++count] = at;
    }
    return count;
}

TEST(a_cut_does_not_bring_back_what_stood_behind_it) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 5, 2); /* 3, 4 and 5 are what a crash may leave */
    Text bytes = read_segment_file(directory, 1);
    uint64_t offsets[64];
    REQUIRE(frame_offsets(text_str(&bytes), offsets) == 5);
    bytes.data[offsets[2] + 50] ^= 1;
    write_segment_file(directory, 1, text_str(&bytes));

    BatchLog *log;
    BatchLogCut cut;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, &cut, &err), err));
    CHECK(cut.happened);
    CHECK_EQ(cut.segment_id, 1);
    CHECK_EQ(cut.offset, offsets[2]);
    CHECK(cut.bytes > offsets[4] - offsets[2] && cut.reason[0]);
    CHECK_EQ(batch_log_last_sequence(log), 2);
    /* The new frame 3 is as long as the old one, so the old frame 4 would follow it to the byte. */
    batch_log_set_epoch(log, 1 + batch_log_last_epoch(log));
    CHECK_OK(append(log, 9, &err), err);
    CHECK_OK(batch_log_sync(log, &err), err);
    batch_log_close(log);

    Found found;
    CHECK_OK(find_all(directory, false, &found, &cut, &err), err);
    CHECK(!cut.happened);
    CHECK_EQ(found.last, 3);
    CHECK_EQ(found.salts[3], 9);
    CHECK(!found.is_wrong);
    text_deinit(&bytes);
}

TEST(the_late_write_of_a_replaced_owner_is_cut_or_refused) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BatchLog *log;
    write_log(directory, 3, 3);
    Text two = read_segment_file(directory, 1); /* until frame 3 */
    /* Epoch 1 goes on with 4 and 5. */
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err));
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(append(log, 0, &err), err);
    CHECK_OK(batch_log_sync(log, &err), err);
    batch_log_close(log);
    Text old = read_segment_file(directory, 1);
    write_segment_file(directory, 1, text_str(&two));
    REQUIRE(CHECK_OK(open_log(env_real(), directory, &log, NULL, &err), err)); /* epoch 2 writes another 4 */
    batch_log_set_epoch(log, 2);
    CHECK_OK(append(log, 1, &err), err);
    CHECK_OK(batch_log_sync(log, &err), err);
    batch_log_close(log);
    Text bytes = read_segment_file(directory, 1);
    uint64_t offsets[64];
    REQUIRE(frame_offsets(text_str(&old), offsets) == 5);
    /* The old 5 behind the new 4. */
    memcpy(bytes.data + offsets[4], old.data + offsets[4], bytes.size - offsets[4]);
    write_segment_file(directory, 1, text_str(&bytes));
    Found found;
    BatchLogCut cut;
    CHECK_OK(find_all(directory, false, &found, &cut, &err), err);
    CHECK_EQ(found.last, 4);
    CHECK_EQ(found.salts[4], 1);
    CHECK(cut.happened && strstr(cut.reason, "epoch 1"));
    text_deinit(&bytes);
    text_deinit(&old);
    text_deinit(&two);
}

TEST(bytes_of_a_payload_do_not_pass_for_a_frame) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 5, 5);
    Text bytes = read_segment_file(directory, 1);
    uint64_t offsets[64];
    REQUIRE(frame_offsets(text_str(&bytes), offsets) == 5);
    /* A stranger's guess: right in everything but the salt. It would vouch for all and forbid the cut. */
    char header[48];
    memcpy(header, bytes.data + offsets[4], sizeof header);
    uint64_t high = 1000, vouched = 999;
    memcpy(header + 16, &high, 8);
    memcpy(header + 24, &vouched, 8);
    uint32_t crc = crc32c(0, header + 4, 44);
    memcpy(header, &crc, 4);
    memcpy(bytes.data + offsets[5], header, sizeof header);
    write_segment_file(directory, 1, text_str(&bytes));
    Found found;
    BatchLogCut cut;
    CHECK_OK(find_all(directory, false, &found, &cut, &err), err);
    CHECK_EQ(found.last, 5);
    CHECK(cut.happened);
    text_deinit(&bytes);
}

TEST(every_truncation_leaves_the_whole_frames) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 14, 9);
    uint64_t last_id = count_segments(directory);
    Text bytes = read_segment_file(directory, last_id);
    uint64_t offsets[64], rounds = 0, refused = 0;
    size_t in_last = frame_offsets(text_str(&bytes), offsets);
    REQUIRE(last_id >= 2 && in_last >= 2);
    for (size_t size = 0; size <= bytes.size; size++, rounds++) {
        write_segment_file(directory, last_id, str_slice(bytes.data, size));
        Found found;
        uint64_t whole = 14 - in_last;
        for (size_t i = 0; i < in_last; i++)
            whole += offsets[i + 1] <= size;
        /* An owner cuts and wipes, too; every time would take long on a real disk. */
        Status st = find_all(directory, size % 16 != 0, &found, NULL, &err);
        refused += st != STATUS_OK;
        if (size < 64)
            CHECK_EQ(st, STATUS_CORRUPT);
        else if (CHECK_OK(st, err))
            CHECK_EQ(found.last, whole);
        CHECK(!found.is_wrong);
    }
    printf("    truncations: %" PRIu64 " rounds, %" PRIu64 " refused, 0 wrong\n", rounds, refused);
    text_deinit(&bytes);
}

TEST(no_flipped_bit_gives_a_wrong_frame) {
    Error err = {0};
    const char *directory = check_tmpdir();
    write_log(directory, 14, 9);
    enum { LAST = 14 };
    uint64_t segment_count = count_segments(directory), rounds = 0, refused = 0, cuts = 0, first = 1;
    Text *files = xcalloc(segment_count + 1, sizeof *files);
    for (uint64_t id = 1; id <= segment_count; id++)
        files[id] = read_segment_file(directory, id);
    for (uint64_t id = 1; id <= segment_count; id++) {
        uint64_t offsets[64];
        size_t count = frame_offsets(text_str(&files[id]), offsets);
        size_t end = offsets[count] + 16 < files[id].size ? offsets[count] + 16 : files[id].size;
        for (size_t bit = 0; bit < end * 8; bit++, rounds++) {
            flip_bit(directory, id, text_str(&files[id]), bit, false);
            /* Which frame was hit, and what do the others vouch for? Synced one by one up to 9. */
            uint64_t hit = bit / 8 < 64 ? 0 : first + count;
            for (size_t i = 0; i < count; i++)
                if (bit / 8 >= offsets[i] && bit / 8 < offsets[i + 1])
                    hit = first + i;
            bool is_vouched = hit == 0 || hit <= 9 || (id < segment_count && hit < first + count);
            Found found;
            BatchLogCut cut;
            Status st = find_all(directory, true, &found, &cut, &err);
            flip_bit(directory, id, text_str(&files[id]), bit, true);
            refused += st == STATUS_CORRUPT;
            CHECK(st == STATUS_OK || st == STATUS_CORRUPT);
            if (is_vouched)
                CHECK_EQ(st, STATUS_CORRUPT);
            if (st == STATUS_CORRUPT) {
                CHECK(strstr(err.message, "batch-00") != NULL);
                continue;
            }
            cuts += cut.happened;
            CHECK(cut.happened && !found.is_wrong);
            CHECK_EQ(found.last, hit - 1);
        }
        first += count;
    }
    CHECK_EQ(first, LAST + 1);
    printf("    bit flips: %" PRIu64 " rounds, %" PRIu64 " refused, %" PRIu64 " cut, 0 wrong\n", rounds,
           refused, cuts);
    for (uint64_t id = 1; id <= segment_count; id++)
        text_deinit(&files[id]);
    free(files);
}

/* ---- sweeps: I3 whatever ends or fails, wherever ---- */

typedef struct Progress { /* in shared memory: it outlives a killed child */
    char directory[256];
    uint64_t appended; /* about to be; by sequence */
    uint64_t synced;   /* known to be */
    uint64_t cut_before;
    uint8_t salt; /* of the run, not 0 */
} Progress;

static Status script_part(Env *env, Progress *progress, int frames, Error *err) {
    Status st = STATUS_OK;
    BatchLog *log = NULL;
    TRY_GOTO(done, open_log(env, progress->directory, &log, NULL, err));
    if (batch_log_last_sequence(log) > progress->synced)
        progress->synced = batch_log_last_sequence(log); /* what an opened log shows, it keeps */
    batch_log_set_epoch(log, batch_log_last_epoch(log) + 1);
    for (int i = 1; i <= frames; i++) {
        progress->appended = batch_log_last_sequence(log) + 1;
        TRY_GOTO(done, append(log, progress->salt, err));
        if (i % 3 == 0)
            TRY_GOTO(done, batch_log_flush(log, err));
        if (i % 4 == 0) {
            TRY_GOTO(done, batch_log_sync(log, err));
            progress->synced = batch_log_durable_upto(log);
        }
        if (i % 8 == 0) {
            progress->cut_before = batch_log_last_sequence(log) - 3;
            TRY_GOTO(done, batch_log_cut_before(log, progress->cut_before, err));
        }
        if (i % 5 == 0)
            TRY_GOTO(done, batch_log_prepare(log, err));
    }
    TRY_GOTO(done, batch_log_sync(log, err));
    progress->synced = batch_log_durable_upto(log);
done:
    batch_log_close(log);
    return st;
}

static Status script(Env *env, void *user, Error *err) {
    Progress *progress = user;
    TRY(script_part(env, progress, 13, err));
    return script_part(env, progress, 14, err);
}

static void script_prepare(void *user) {
    Progress *progress = user;
    empty_directory(progress->directory);
    progress->appended = progress->synced = progress->cut_before = 0;
}

static bool script_check(const SweepRound *round, void *user) {
    Progress *progress = user;
    Error err = {0};
    Found found;
    bool holds = CHECK_OK(find_all(progress->directory, false, &found, NULL, &err), err);
    holds = CHECK(!found.is_wrong) && holds;
    holds = CHECK(found.last >= progress->synced) && holds;
    holds = CHECK(found.last <= progress->appended) && holds;
    holds = CHECK(found.first <= (progress->cut_before ? progress->cut_before : 1)) && holds;
    if (round->status == STATUS_OK && !round->was_killed)
        holds = CHECK_EQ(found.last, 27) && holds;
    /* It goes on from there. */
    BatchLog *log;
    if (CHECK_OK(open_log(env_real(), progress->directory, &log, NULL, &err), err)) {
        batch_log_set_epoch(log, batch_log_last_epoch(log) + 1);
        for (int i = 0; i < 9; i++)
            holds = CHECK_OK(append(log, progress->salt, &err), err) && holds;
        holds = CHECK_OK(batch_log_sync(log, &err), err) && holds;
        batch_log_close(log);
        uint64_t last = found.last;
        holds = CHECK_OK(find_all(progress->directory, false, &found, NULL, &err), err) && holds;
        holds = CHECK_EQ(found.last, last + 9) && CHECK(!found.is_wrong) && holds;
    }
    return holds;
}

static Progress *progress_create(void) {
    Progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(progress != MAP_FAILED);
    snprintf(progress->directory, sizeof progress->directory, "%s", check_tmpdir());
    progress->salt = 3;
    return progress;
}

TEST(an_end_anywhere_loses_nothing_that_was_synced) {
    Progress *progress = progress_create();
    SweepCounts counts = sweep_kill(
        &(SweepJob){.prepare = script_prepare, .run = script, .check = script_check, .user = progress});
    CHECK(counts.calls > 60 && counts.unreached == 0);
    munmap(progress, sizeof *progress);
}

TEST(an_error_anywhere_loses_nothing_that_was_synced) {
    Progress *progress = progress_create();
    SweepCounts counts = sweep_errno(
        &(SweepJob){.prepare = script_prepare, .run = script, .check = script_check, .user = progress},
        "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 60 && counts.unreached == 0);
    munmap(progress, sizeof *progress);
}

/* Short transfers are invisible. */
TEST(short_writes_are_invisible) {
    Error err = {0};
    Progress *progress = progress_create();
    for (int n = 1; n < 80; n++) {
        script_prepare(progress);
        char text[64];
        FaultPlan *plan;
        snprintf(text, sizeof text, "write@%d=short:%d;read@%d=short:5", n, 1 + n % 7, n);
        REQUIRE(CHECK_OK(fault_plan_parse(str_from(text), &plan, &err), err));
        Env *env = env_faulty_create(env_real(), plan);
        CHECK_OK(script(env, progress, &err), err);
        env_faulty_destroy(env);
        free(plan);
        Found found;
        CHECK_OK(find_all(progress->directory, false, &found, NULL, &err), err);
        CHECK(found.last == 27 && !found.is_wrong);
    }
    munmap(progress, sizeof *progress);
}

TEST_MAIN()
