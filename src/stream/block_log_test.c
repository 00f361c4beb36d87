/* THREADS_TEST */
#include "stream/block_log.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "check.h"
#include "env/env_faulty.h"
#include "stream/numbered_files.h"
#include "sweep.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

static const FileFamily segments = {"block-", ".log"};

enum { SEGMENT_SIZE = 300 << 10 };

/* Thousands of cuts are made on purpose. */
__attribute__((constructor)) static void be_quiet(void) {
    Status ignored = log_configure(STR("error"), NULL);
    (void)ignored;
}

/* ---- blocks that tell from their stream and number what must be in them ---- */

static size_t size_of(uint32_t stream_id, uint64_t number) {
    static const size_t sizes[] = {10, 4032, 4033, 70000, 0, 100000, 8000};
    return sizes[(number + stream_id) % ARRAY_COUNT(sizes)];
}

static char byte_of(uint32_t stream_id, uint64_t number, size_t at) {
    return (char)(number * 31 + stream_id * 5 + at * 7 + (at >> 8));
}

static Buffer *make_block(uint32_t stream_id, uint64_t number) {
    Error err = {0};
    Buffer *buffer;
    size_t size = BLOCK_HEADER_SIZE + size_of(stream_id, number);
    REQUIRE(CHECK_OK(buffer_create((size + 4095) / 4096 * 4096, NULL, "test", &buffer, &err), err));
    for (size_t i = 0; i < size_of(stream_id, number); i++)
        buffer->data[BLOCK_HEADER_SIZE + i] = byte_of(stream_id, number, i);
    buffer->size = size;
    return buffer;
}

static Status submit(BlockLog *log, uint32_t stream_id, uint64_t number, BlockRef *ref, Error *err) {
    Buffer *buffer = make_block(stream_id, number);
    Status st = block_log_submit(log, stream_id, number, (uint8_t)(number % 7), buffer, ref, err);
    buffer_release(buffer);
    return st;
}

static bool is_block(const Buffer *buffer, const BlockRef *ref) {
    if (buffer->size != BLOCK_HEADER_SIZE + size_of(ref->stream_id, ref->number) ||
        ref->flags != ref->number % 7)
        return false;
    for (size_t i = 0; i < ref->size_bytes; i++)
        if (buffer->data[BLOCK_HEADER_SIZE + i] != byte_of(ref->stream_id, ref->number, i))
            return false;
    return true;
}

static Status open_log(Env *env, const char *directory, bool is_read_only, BlockLog **log, Error *err) {
    return block_log_open((BlockLogOptions){.env = env,
                                            .directory = directory,
                                            .segment_size_bytes = SEGMENT_SIZE,
                                            .read_only = is_read_only},
                          log, err);
}

enum { STREAMS = 3 };
typedef struct Found {
    BlockLog *log;
    uint64_t first[STREAMS], last[STREAMS];
    uint64_t count;
    bool is_wrong;   /* a number out of order, or bytes nobody wrote */
    bool skips_data; /* does not read blocks */
} Found;

static Status look(void *self, const BlockRef *ref, Error *err) {
    Found *found = self;
    found->count++;
    if (ref->stream_id >= STREAMS) {
        found->is_wrong = true;
        return STATUS_OK;
    }
    uint64_t *last = &found->last[ref->stream_id];
    found->is_wrong |= *last && ref->number != *last + 1;
    if (!*last)
        found->first[ref->stream_id] = ref->number;
    *last = ref->number;
    if (found->skips_data)
        return STATUS_OK;
    Buffer *buffer;
    TRY(block_log_read(found->log, ref, &buffer, err));
    found->is_wrong |= !is_block(buffer, ref);
    buffer_release(buffer);
    return STATUS_OK;
}

static Status find_all(const char *directory, bool is_read_only, Found *found, Error *err) {
    bool skips_data = found->skips_data;
    *found = (Found){.skips_data = skips_data};
    TRY(open_log(env_real(), directory, is_read_only, &found->log, err));
    Status st = block_log_scan(found->log, look, found, err);
    block_log_close(found->log);
    return st;
}

static size_t count_segments(const char *directory) {
    Error err = {0};
    uint64_t *ids;
    size_t count;
    REQUIRE(CHECK_OK(numbered_files_list(env_real(), directory, segments, &ids, &count, &err), err));
    free(ids);
    return count;
}

/* `count` blocks of streams 0 and 1 in turn; waits after the first `synced`. */
static void write_blocks(const char *directory, uint64_t count, uint64_t synced, BlockRef *refs) {
    Error err = {0};
    BlockLog *log;
    BlockRef ref;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, false, &log, &err), err));
    for (uint64_t i = 0; i < count; i++) {
        CHECK_OK(submit(log, (uint32_t)(i % 2), i / 2 + 1, refs ? &refs[i] : &ref, &err), err);
        if (i + 1 == synced)
            CHECK_OK(block_log_wait(log, &err), err);
    }
    block_log_close(log);
}

static void empty_directory(const char *directory) {
    Error err = {0};
    uint64_t *ids;
    size_t count;
    REQUIRE(CHECK_OK(numbered_files_list(env_real(), directory, segments, &ids, &count, &err), err));
    for (size_t i = 0; i < count; i++) {
        char *path = numbered_file_path(directory, segments, ids[i]);
        REQUIRE(CHECK_OK(env_remove(env_real(), path, &err), err));
        free(path);
    }
    free(ids);
}

static EnvFile *open_file(const char *directory, uint64_t id) {
    Error err = {0};
    EnvFile *file;
    char *path = numbered_file_path(directory, segments, id);
    REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_READ | ENV_WRITE, &file, &err), err));
    free(path);
    return file;
}

static void flip(const char *directory, uint64_t id, uint64_t offset, int bit) {
    Error err = {0};
    size_t read_bytes;
    char byte;
    EnvFile *file = open_file(directory, id);
    CHECK_OK(env_file_read(env_real(), file, offset, &byte, 1, &read_bytes, &err), err);
    byte = (char)(byte ^ 1 << bit);
    CHECK_OK(env_file_write(env_real(), file, offset, &byte, 1, &err), err);
    env_file_close(env_real(), file);
}

/* ---- without faults ---- */

TEST(blocks_come_back_in_order_and_read_the_same) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockRef refs[40];
    write_blocks(directory, 40, 40, refs);
    CHECK(count_segments(directory) > 3);
    Found found = {0};
    CHECK_OK(find_all(directory, false, &found, &err), err);
    CHECK(found.count == 40 && found.last[0] == 20 && found.last[1] == 20 && !found.is_wrong);

    BlockLog *log;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, false, &log, &err), err));
    for (size_t i = 40; i-- > 0;) {
        Buffer *buffer;
        if (CHECK_OK(block_log_read(log, &refs[i], &buffer, &err), err))
            CHECK(is_block(buffer, &refs[i]));
        buffer_release(buffer);
    }
    BlockRef ref; /* numbers go on over the restart */
    CHECK_OK(submit(log, 0, 21, &ref, &err), err);
    CHECK_OK(block_log_wait(log, &err), err);
    CHECK_OK(block_log_release_before(log, ref.segment_id, &err), err);
    CHECK_EQ(count_segments(directory), 1);
    Buffer *buffer;
    CHECK_EQ(block_log_read(log, &refs[0], &buffer, &err), STATUS_NOT_FOUND);
    CHECK(buffer == NULL);
    CHECK_OK(block_log_release_before(log, UINT64_MAX, &err), err); /* never the one that is written */
    CHECK_EQ(count_segments(directory), 1);
    block_log_close(log);
}

TEST(a_block_larger_than_a_segment_gets_its_own) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockLog *log;
    BlockRef refs[3];
    REQUIRE(CHECK_OK(open_log(env_real(), directory, false, &log, &err), err));
    for (uint64_t i = 0; i < 3; i++) {
        Buffer *buffer;
        REQUIRE(CHECK_OK(buffer_create(1 << 20, NULL, "test", &buffer, &err), err));
        memset(buffer->data, (int)i, 1 << 20);
        buffer->size = 1 << 20;
        CHECK_OK(block_log_submit(log, 0, i + 1, 0, buffer, &refs[i], &err), err);
        buffer_release(buffer);
    }
    CHECK_OK(block_log_wait(log, &err), err);
    CHECK_EQ(count_segments(directory), 3);
    CHECK(refs[2].offset == 0 && refs[2].segment_id == refs[0].segment_id + 2);
    block_log_close(log);
    Found found = {.skips_data = true};
    CHECK_OK(find_all(directory, false, &found, &err), err);
    CHECK_EQ(found.count, 3);
}

TEST(a_place_survives_its_encoding) {
    Error err = {0};
    BlockRef ref = {.stream_id = UINT32_MAX,
                    .number = 1ull << 60,
                    .segment_id = 7,
                    .offset = 4096 * 99,
                    .size_bytes = 12345,
                    .flags = 200},
             back;
    Text text = {0};
    block_ref_encode(&ref, &text);
    size_t size = text.size;
    text_append(&text, STR("rest"));
    Str bytes = text_str(&text);
    CHECK_OK(block_ref_decode(&bytes, &back, &err), err);
    CHECK(leat_str_equal(bytes, STR("rest")));
    CHECK(back.stream_id == ref.stream_id && back.number == ref.number && back.segment_id == ref.segment_id &&
          back.offset == ref.offset && back.size_bytes == ref.size_bytes && back.flags == ref.flags);
    for (size_t cut = 0; cut < size; cut++) {
        bytes = str_slice(text.data, cut);
        CHECK_EQ(block_ref_decode(&bytes, &back, &err), STATUS_CORRUPT);
    }
    text_deinit(&text);
}

TEST(the_wait_pays_one_sync_for_all) {
    Error err = {0};
    Text trace = {0};
    Env *env = env_faulty_create(env_real(), NULL);
    BlockLog *log;
    BlockRef ref;
    REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), false, &log, &err), err));
    env_faulty_trace(env, &trace);
    for (uint64_t i = 1; i <= 3; i++)
        CHECK_OK(submit(log, 0, i, &ref, &err), err);
    CHECK_OK(block_log_wait(log, &err), err);
    env_faulty_trace(env, NULL);
    Text kinds = {0};
    Str rest = text_str(&trace), line, number, kind;
    while (leat_str_next_line(&rest, &line))
        if (leat_str_split(&line, ' ', &number) && leat_str_split(&line, ' ', &kind))
            text_appendf(&kinds, "%.*s ", STR_ARG(kind));
    CHECK_STR(kinds.data, "open syncdir write write write sync ");
    uint64_t calls = env_faulty_call_count(env);
    CHECK_OK(block_log_wait(log, &err), err);
    CHECK_EQ(env_faulty_call_count(env), calls);
    block_log_close(log);
    env_faulty_destroy(env);
    text_deinit(&kinds);
    text_deinit(&trace);
}

/* Blocks that are written when somebody begins to wait for them are not durable yet. */
TEST(the_wait_does_not_end_before_the_sync) {
    Error err = {0};
    Env *env = env_faulty_create(env_real(), NULL);
    BlockLog *log;
    BlockRef ref;
    REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), false, &log, &err), err));
    for (uint64_t i = 1; i <= 50; i++) {
        Text trace = {0};
        uint64_t calls = env_faulty_call_count(env);
        CHECK_OK(submit(log, 0, i, &ref, &err), err);
        while (env_faulty_call_count(env) == calls)
            sched_yield();
        for (int k = 0; k < 300; k++) /* most likely it is written now */
            sched_yield();
        env_faulty_trace(env, &trace);
        CHECK_OK(block_log_wait(log, &err), err);
        env_faulty_trace(env, NULL);
        CHECK(trace.data && strstr(trace.data, " sync "));
        text_deinit(&trace);
    }
    block_log_close(log);
    env_faulty_destroy(env);
}

/* Recovery takes any block of a segment as a promise that the segments before it are durable. */
TEST(a_segment_is_synced_before_the_next_is_begun) {
    Error err = {0};
    Text trace = {0};
    Env *env = env_faulty_create(env_real(), NULL);
    BlockLog *log;
    BlockRef ref = {0};
    REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), false, &log, &err), err));
    env_faulty_trace(env, &trace);
    for (uint64_t i = 1; ref.segment_id < 3; i++) /* nobody asks for a sync */
        CHECK_OK(submit(log, 0, i, &ref, &err), err);
    block_log_close(log);
    env_faulty_trace(env, NULL);
    Str rest = text_str(&trace), line, number, kind;
    bool is_synced = true;
    size_t opened = 0;
    while (leat_str_next_line(&rest, &line)) {
        if (!leat_str_split(&line, ' ', &number) || !leat_str_split(&line, ' ', &kind))
            continue;
        if (leat_str_equal(kind, STR("open"))) {
            CHECK(is_synced);
            opened++;
        }
        is_synced = leat_str_equal(kind, STR("sync")) || (is_synced && !leat_str_equal(kind, STR("write")));
    }
    CHECK_EQ(opened, 3);
    env_faulty_destroy(env);
    text_deinit(&trace);
}

TEST(after_a_failure_every_call_fails_with_the_first_error) {
    const char *const plans[] = {"sync@1=EIO", "write@2=ENOSPC", "open@1=EACCES"};
    for (size_t i = 0; i < ARRAY_COUNT(plans); i++) {
        Error err = {0}, first = {0};
        FaultPlan *plan;
        REQUIRE(CHECK_OK(fault_plan_parse(str_from(plans[i]), &plan, &err), err));
        Env *env = env_faulty_create(env_real(), plan);
        BlockLog *log;
        BlockRef ref;
        empty_directory(check_tmpdir());
        REQUIRE(CHECK_OK(open_log(env, check_tmpdir(), false, &log, &err), err));
        for (uint64_t number = 1; number <= 3; number++)
            if (submit(log, 0, number, &ref, &err) != STATUS_OK)
                break;
        block_log_begin_sync(log);
        CHECK_EQ(block_log_wait(log, &first), STATUS_IO);
        CHECK_EQ(block_log_wait(log, &err), STATUS_IO);
        CHECK_STR(err.message, first.message);
        Buffer *buffer = make_block(0, 4);
        CHECK_EQ(block_log_submit(log, 0, 4, 0, buffer, &ref, &err), STATUS_IO);
        CHECK_STR(err.message, first.message);
        CHECK(!buffer_is_shared(buffer));
        buffer_release(buffer);
        block_log_close(log);
        env_faulty_destroy(env);
        free(plan);
    }
}

TEST(several_threads_submit_and_wait) {
    /* The receiver's thread submits while the driver waits: nothing is lost, nothing hangs. */
    Error err = {0};
    BlockLog *log;
    BlockRef ref;
    REQUIRE(CHECK_OK(open_log(env_real(), check_tmpdir(), false, &log, &err), err));
    for (uint64_t i = 1; i <= 60; i++) {
        CHECK_OK(submit(log, 2, i, &ref, &err), err);
        if (i % 3 == 0)
            block_log_begin_sync(log);
        if (i % 7 == 0)
            CHECK_OK(block_log_wait(log, &err), err);
    }
    block_log_close(log);
    Found found = {0};
    CHECK_OK(find_all(check_tmpdir(), false, &found, &err), err);
    CHECK(found.last[2] == 60 && !found.is_wrong);
}

/* ---- damage ---- */

TEST(a_torn_tail_is_cut_and_stays_cut) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockRef refs[6];
    write_blocks(directory, 6, 2, refs);
    CHECK_EQ(count_segments(directory), 1);
    flip(directory, 1, refs[3].offset + 64, 0); /* the data of block 4 of 6, which nothing vouches for */
    Found found = {0};
    CHECK_OK(find_all(directory, true, &found, &err), err);
    CHECK(found.count == 3 && !found.is_wrong);
    CHECK_OK(find_all(directory, false, &found, &err), err);
    CHECK(found.count == 3 && !found.is_wrong);

    BlockLog *log; /* as long as the old block 4: the old 5 would follow it to the byte */
    BlockRef ref;
    REQUIRE(CHECK_OK(open_log(env_real(), directory, false, &log, &err), err));
    CHECK_OK(submit(log, refs[3].stream_id, refs[3].number, &ref, &err), err);
    CHECK_EQ(ref.offset, refs[3].offset);
    CHECK_OK(block_log_wait(log, &err), err);
    block_log_close(log);
    CHECK_OK(find_all(directory, false, &found, &err), err);
    CHECK(found.count == 4 && !found.is_wrong);
}

TEST(damage_that_was_vouched_for_is_refused) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockRef refs[40];
    write_blocks(directory, 6, 4, refs);
    flip(directory, 1, refs[1].offset + 20, 3); /* a header: block 5 says that it was durable */
    Found found = {0};
    CHECK_EQ(find_all(directory, false, &found, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "block-0000000000000001.log") != NULL);
    flip(directory, 1, refs[1].offset + 20, 3);
    flip(directory, 1, refs[1].offset + 64, 3); /* data: found, but CORRUPT when it is read */
    found.skips_data = true;
    CHECK_OK(find_all(directory, false, &found, &err), err);
    CHECK_EQ(found.count, 6);
    found.skips_data = false;
    CHECK_EQ(find_all(directory, false, &found, &err), STATUS_CORRUPT);
    char expected[64];
    snprintf(expected, sizeof expected, "byte %" PRIu64, refs[1].offset);
    CHECK(strstr(err.message, expected) != NULL);

    empty_directory(directory);
    write_blocks(directory, 40, 40, refs);
    char *path = numbered_file_path(directory, segments, 2);
    CHECK_OK(env_remove(env_real(), path, &err), err);
    free(path);
    CHECK_EQ(find_all(directory, false, &found, &err), STATUS_CORRUPT);
    CHECK(strstr(err.message, "block-0000000000000002.log") && strstr(err.message, "missing"));
}

TEST(a_segment_that_was_left_is_vouched_for_by_the_next) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockRef refs[40];
    write_blocks(directory, 40, 0, refs); /* never asked to sync: leaving a segment does */
    REQUIRE(count_segments(directory) >= 3);
    flip(directory, 1, refs[0].offset + 5, 1);
    Found found = {0};
    CHECK_EQ(find_all(directory, false, &found, &err), STATUS_CORRUPT);
}

TEST(every_flipped_bit_of_the_headers_and_every_truncation_keeps_what_was_durable) {
    Error err = {0};
    const char *directory = check_tmpdir();
    BlockRef refs[6];
    write_blocks(directory, 6, 3, refs); /* the later ones say that the first three are durable */
    uint64_t rounds = 0, refused = 0;
    for (size_t i = 0; i < 6; i++)
        for (int bit = 0; bit < 64 * 8; bit++, rounds++) {
            Found found = {0};
            flip(directory, 1, refs[i].offset + (uint64_t)bit / 8, bit % 8);
            Status st = find_all(directory, true, &found, &err);
            refused += st != STATUS_OK;
            flip(directory, 1, refs[i].offset + (uint64_t)bit / 8, bit % 8);
            CHECK(st == (i < 3 ? STATUS_CORRUPT : STATUS_OK) && !found.is_wrong);
            if (st == STATUS_OK)
                CHECK_EQ(found.count, i);
        }
    printf("    bit flips: %" PRIu64 " rounds, %" PRIu64 " refused, 0 wrong\n", rounds, refused);
    EnvFile *file = open_file(directory, 1);
    EnvFileInfo info;
    CHECK_OK(env_file_info(env_real(), file, &info, &err), err);
    rounds = 0;
    for (uint64_t size = info.size_bytes; size > 0; rounds++) {
        uint64_t whole = 0;
        for (size_t i = 0; i < 6; i++)
            whole += refs[i].offset + 64 + refs[i].size_bytes <= size;
        CHECK_OK(env_file_truncate(env_real(), file, size, &err), err);
        Found found = {0};
        CHECK_OK(find_all(directory, true, &found, &err), err);
        CHECK(found.count == whole && !found.is_wrong);
        size -= size % 4096 < 70 || size % 4096 > 4090 ? 1 : 61; /* each byte around each edge */
        size = size > info.size_bytes ? 0 : size;
    }
    printf("    truncations: %" PRIu64 " rounds, 0 wrong\n", rounds);
    env_file_close(env_real(), file);
}

/* ---- sweeps ---- */

typedef struct Progress { /* in shared memory: it outlives a killed child */
    char directory[256];
    uint64_t submitted[STREAMS], durable[STREAMS], released_before;
} Progress;

static Status note_found(void *self, const BlockRef *ref, Error *err) {
    (void)err;
    Progress *progress = self;
    progress->durable[ref->stream_id] = progress->submitted[ref->stream_id] = ref->number;
    return STATUS_OK;
}

static Status script_part(Env *env, Progress *progress, Error *err) {
    Status st = STATUS_OK;
    BlockLog *log;
    TRY(open_log(env, progress->directory, false, &log, err));
    TRY_GOTO(done, block_log_scan(log, note_found, progress, err));
    for (int i = 0; i < 12; i++) {
        BlockRef ref;
        uint32_t stream_id = (uint32_t)(i % 2);
        progress->submitted[stream_id]++;
        TRY_GOTO(done, submit(log, stream_id, progress->submitted[stream_id], &ref, err));
        /* After every block or two, so that each run makes the same calls. */
        if (i % 3 != 0)
            TRY_GOTO(done, block_log_wait(log, err));
        if (i % 3 != 0)
            memcpy(progress->durable, progress->submitted, sizeof progress->durable);
    }
done:
    block_log_close(log);
    return st;
}

static Status script(Env *env, void *user, Error *err) {
    TRY(script_part(env, user, err));
    return script_part(env, user, err);
}

static void script_prepare(void *user) {
    Progress *progress = user;
    empty_directory(progress->directory);
    memset(progress->submitted, 0, sizeof progress->submitted);
    memset(progress->durable, 0, sizeof progress->durable);
}

static bool script_check(const SweepRound *round, void *user) {
    Progress *progress = user;
    Error err = {0};
    Found found = {0};
    bool holds = CHECK_OK(find_all(progress->directory, false, &found, &err), err);
    holds = CHECK(!found.is_wrong) && holds;
    for (size_t i = 0; i < 2; i++) {
        holds =
            CHECK(found.last[i] >= progress->durable[i] && found.last[i] <= progress->submitted[i]) && holds;
        if (round->status == STATUS_OK && !round->was_killed)
            holds = CHECK_EQ(found.last[i], 12) && holds;
    }
    BlockLog *log; /* it goes on from there */
    BlockRef ref;
    if (!CHECK_OK(open_log(env_real(), progress->directory, false, &log, &err), err))
        return false;
    holds = CHECK_OK(submit(log, 0, found.last[0] + 1, &ref, &err), err) && holds;
    holds = CHECK_OK(block_log_wait(log, &err), err) && holds;
    block_log_close(log);
    return holds;
}

TEST(an_end_or_an_error_anywhere_loses_nothing_durable) {
    Progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(progress != MAP_FAILED);
    snprintf(progress->directory, sizeof progress->directory, "%s", check_tmpdir());
    SweepJob job = {.prepare = script_prepare, .run = script, .check = script_check, .user = progress};
    SweepCounts counts = sweep_kill(&job);
    CHECK(counts.calls > 40 && counts.unreached == 0);
    counts = sweep_errno(&job, "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 40 && counts.unreached == 0);
    munmap(progress, sizeof *progress);
}

TEST_MAIN()
