/* What receivers take in and give back, with and without a block log, over restarts, ends and errors. */
#include "stream/receiver.h"

#include "base/random.h"
#include "env/env_faulty.h"
#include "source_lines.h"
#include "sweep.h"

enum { MIB = 1 << 20, STREAM_ID = 7, SEGMENT_SIZE = 4 << 20 };

typedef struct Bench {
    Budget budget;
    SourceServices services;
    Receiver *receiver;
    int64_t time_ms;
    int room_count; /* calls of on_room */
} Bench;

static void count_room(void *self) {
    ((Bench *)self)->room_count++;
}

static Status bench_receiver(Bench *bench, Error *err) {
    return receiver_create((ReceiverOptions){.services = &bench->services,
                                             .stream_id = STREAM_ID,
                                             .description = "socket test:1",
                                             .on_room = count_room,
                                             .self = bench},
                           &bench->receiver, err);
}

/* `directory` NULL: without a block log. */
static Status bench_open(Bench *bench, Env *env, const char *directory, uint64_t budget_bytes, Error *err) {
    *bench = (Bench){.services = {.env = env, .interval_ms = 1000, .line_size_bytes_max = LINE_SIZE_MAX}};
    budget_init(&bench->budget, "receivers", budget_bytes, NULL);
    bench->services.budget = &bench->budget;
    if (directory)
        TRY(block_log_open((BlockLogOptions){.env = env,
                                             .directory = directory,
                                             .segment_size_bytes = SEGMENT_SIZE,
                                             .budget = &bench->budget},
                           &bench->services.block_log, err));
    return bench_receiver(bench, err);
}

static void bench_init(Bench *bench, const char *directory) {
    Error err = {0};
    REQUIRE(CHECK_OK(bench_open(bench, env_real(), directory, BUDGET_SIZE, &err), err));
}

/* An empty directory for each call; borrowed until the next. */
static const char *fresh_directory(void) {
    static char path[300];
    static int number;
    Error err = {0};
    snprintf(path, sizeof path, "%s/%d", check_tmpdir(), number++);
    REQUIRE(CHECK_OK(env_make_directory(env_real(), path, &err), err));
    return path;
}

static void bench_close(Bench *bench) {
    receiver_destroy(bench->receiver);
    block_log_close(bench->services.block_log);
    CHECK_EQ(bench->budget.used_bytes, 0);
}

/* As many bytes as there is room for, at most chunk_size at a time. Gives how many. */
static size_t feed_some(Bench *bench, Str bytes, size_t chunk_size, Status *st, Error *err) {
    size_t fed = 0, size;
    char *data;
    *st = STATUS_OK;
    while (fed < bytes.size && *st == STATUS_OK && receiver_room(bench->receiver, &data, &size)) {
        CHECK(size >= 4096);
        size = size < chunk_size ? size : chunk_size;
        size = size < bytes.size - fed ? size : bytes.size - fed;
        memcpy(data, bytes.data + fed, size);
        *st = receiver_received(bench->receiver, size, err);
        fed += size;
    }
    return fed;
}

static void feed(Bench *bench, Str bytes, size_t chunk_size) {
    Error err = {0};
    Status st;
    CHECK_EQ(feed_some(bench, bytes, chunk_size, &st, &err), bytes.size);
    CHECK_OK(st, err);
}

static void end_connection(Bench *bench) {
    Error err = {0};
    CHECK_OK(receiver_end_of_connection(bench->receiver, &err), err);
}

/* Plans a batch; its lines go behind *lines. The batch stays not done. */
static void plan_batch(Bench *bench, Text *plan, Lines *lines) {
    Error err = {0};
    SplitList splits = {0};
    bench->time_ms += 1000;
    CHECK_OK(receiver_plan(bench->receiver, bench->time_ms, plan, &err), err);
    CHECK_OK(receiver_read(bench->receiver, bench->time_ms, text_str(plan), &splits, &err), err);
    CHECK_OK(lines_read(&splits, NULL, lines, &err), err);
    split_list_deinit(&splits);
}

static void batch(Bench *bench, Lines *lines) {
    Text plan = {0};
    plan_batch(bench, &plan, lines);
    receiver_done(bench->receiver, bench->time_ms);
    text_deinit(&plan);
}

static void check_lines(const Lines *lines, Str expected) {
    if (!CHECK_EQ(lines->text.size, expected.size) ||
        !CHECK(memcmp(text_str(&lines->text).data, expected.data, expected.size) == 0))
        check_abandon();
}

/* ---- lines ---- */

TEST(lines_do_not_depend_on_how_they_arrive_and_are_cut) {
    const char *text = "ab\r\nc\rd\n\n\r\n\r\re\n\rfg";
    size_t size = strlen(text);
    Lines expected = {0};
    Bench bench;
    lines_of(str_from(text), &expected);
    bench_init(&bench, NULL);
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            for (unsigned batches = 0; batches < 4; batches++) { /* a batch at the first cut, at the second */
                Lines lines = {0};
                feed(&bench, str_slice(text, first), size);
                if (batches & 1)
                    batch(&bench, &lines);
                feed(&bench, str_slice(text + first, second - first), size);
                if (batches & 2)
                    batch(&bench, &lines);
                feed(&bench, str_slice(text + second, size - second), size);
                end_connection(&bench);
                batch(&bench, &lines);
                CHECK(!receiver_has_more(bench.receiver));
                check_lines(&lines, text_str(&expected.text));
                lines_deinit(&lines);
            }
        }
    }
    lines_deinit(&expected);
    bench_close(&bench);
}

TEST(a_line_is_in_the_next_batch) {
    Bench bench;
    Lines lines = {0};
    bench_init(&bench, NULL);
    feed(&bench, STR("hello\nwor"), 100);
    CHECK(receiver_has_more(bench.receiver));
    batch(&bench, &lines);
    check_lines(&lines, STR("hello\n"));
    CHECK(!receiver_has_more(bench.receiver)); /* the begin of a line is not one */
    batch(&bench, &lines);
    feed(&bench, STR("ld\r"), 100);
    batch(&bench, &lines);
    check_lines(&lines, STR("hello\nworld\n"));
    feed(&bench, STR("\n"), 100); /* of the CR */
    CHECK(!receiver_has_more(bench.receiver));
    batch(&bench, &lines);
    check_lines(&lines, STR("hello\nworld\n"));
    lines_deinit(&lines);
    bench_close(&bench);
}

TEST(connections_do_not_join) {
    Bench bench;
    Lines lines = {0};
    bench_init(&bench, NULL);
    feed(&bench, STR("a\r"), 100);
    end_connection(&bench);
    feed(&bench, STR("\nb"), 100);
    end_connection(&bench);
    feed(&bench, STR("c\r"), 100);
    batch(&bench, &lines);
    end_connection(&bench);
    feed(&bench, STR("\n"), 100);
    end_connection(&bench);
    end_connection(&bench);
    batch(&bench, &lines);
    check_lines(&lines, STR("a\n\nb\nc\n\n"));
    lines_deinit(&lines);
    bench_close(&bench);
}

/* Lines of random lengths and endings; endings fall on every place of a block sooner or later. */
static void random_text(uint64_t seed, size_t size_min, size_t line_size_max, Text *text) {
    Random random;
    random_init(&random, seed);
    while (text->size < size_min) {
        uint64_t size = random_below(&random, line_size_max + 1);
        for (uint64_t i = 0; i < size; i++)
            text_append_byte(text, (char)('a' + random_below(&random, 26)));
        text_append(text, str_from((const char *const[]){"\n", "\r\n", "\r"}[random_below(&random, 3)]));
    }
}

static void check_many_blocks(const char *directory) {
    Bench bench;
    Text text = {0};
    Lines lines = {0}, expected = {0};
    Random random;
    uint64_t seed = check_seed();
    random_init(&random, seed);
    random_text(seed, 5 * MIB, 3000, &text);
    lines_of(text_str(&text), &expected);
    bench_init(&bench, directory);
    for (size_t at = 0; at < text.size;) {
        size_t size = 1 + random_below(&random, 200000);
        size = size < text.size - at ? size : text.size - at;
        feed(&bench, str_slice(text.data + at, size), 1 + random_below(&random, 100000));
        at += size;
        if (random_below(&random, 16) == 0)
            batch(&bench, &lines);
    }
    end_connection(&bench);
    batch(&bench, &lines);
    check_lines(&lines, text_str(&expected.text));
    text_deinit(&text);
    lines_deinit(&lines);
    lines_deinit(&expected);
    bench_close(&bench);
}

TEST(many_blocks_without_a_log) {
    check_many_blocks(NULL);
}

TEST(many_blocks_with_a_log) {
    check_many_blocks(check_tmpdir());
}

/* No batch comes between: every block but the last is full, and ends within a line. */
TEST(a_line_begun_in_a_full_block_goes_on_in_the_next) {
    const char *directories[] = {NULL, check_tmpdir()};
    for (size_t d = 0; d < ARRAY_COUNT(directories); d++) {
        Bench bench;
        Text text = {0};
        Lines lines = {0}, expected = {0};
        for (int i = 0; text.size < 5 * MIB / 2; i++) {
            for (int k = 0; k < 1000; k++)
                text_append_byte(&text, (char)('a' + (i + k) % 26));
            text_append_byte(&text, '\n');
        }
        lines_of(text_str(&text), &expected);
        bench_init(&bench, directories[d]);
        feed(&bench, text_str(&text), 65536);
        batch(&bench, &lines);
        check_lines(&lines, text_str(&expected.text));
        text_deinit(&text);
        lines_deinit(&lines);
        lines_deinit(&expected);
        bench_close(&bench);
    }
}

TEST(a_crlf_over_the_end_of_a_block_is_one_ending) {
    for (size_t shift = 0; shift < 3; shift++) {
        Bench bench;
        Lines lines = {0};
        char *data;
        size_t size;
        Text text = {0};
        Error err = {0};
        bench_init(&bench, NULL);
        REQUIRE(receiver_room(bench.receiver, &data, &size));
        size -= shift; /* the CR is the last byte of the block, or the one before ... */
        while (text.size + 10 < size)
            text_append(&text, STR("123456789\n"));
        while (text.size + 1 < size)
            text_append_byte(&text, 'x');
        text_append(&text, STR("\r\nyy\n"));
        feed(&bench, str_slice(text.data, size), size);
        feed(&bench, str_slice(text.data + size, text.size - size), 1);
        batch(&bench, &lines);
        Lines expected = {0};
        lines_of(text_str(&text), &expected);
        check_lines(&lines, text_str(&expected.text));
        CHECK_OK(err.status, err);
        lines_deinit(&expected);
        lines_deinit(&lines);
        text_deinit(&text);
        bench_close(&bench);
    }
}

/* ---- limits ---- */

TEST(a_line_over_the_limit_is_left_out_and_reported) {
    static const char *const endings[] = {"\n", "\r", "\r\n", ""};
    log_capture();
    for (size_t e = 0; e < ARRAY_COUNT(endings); e++) {
        for (size_t size = 9; size <= 11; size++) {
            for (size_t chunk_size = 1; chunk_size <= 40; chunk_size += chunk_size < 14 ? 1 : 26) {
                Bench bench;
                Lines lines = {0};
                Text text = {0};
                bench_init(&bench, NULL);
                bench.services.line_size_bytes_max = 10;
                receiver_destroy(bench.receiver);
                Error err = {0};
                REQUIRE(CHECK_OK(bench_receiver(&bench, &err), err));
                text_deinit(&logged);
                feed(&bench, STR("zero\n"), 100);
                end_connection(&bench);
                text_append(&text, STR("one\r"));
                for (size_t i = 0; i < size; i++)
                    text_append_byte(&text, 'x');
                text_append(&text, str_from(endings[e]));
                if (endings[e][0])
                    text_append(&text, STR("\ntwo\n"));
                feed(&bench, text_str(&text), chunk_size);
                end_connection(&bench);
                feed(&bench, STR("three\n"), 100);
                batch(&bench, &lines);
                const char *kept = size == 9 ? "xxxxxxxxx\n" : size == 10 ? "xxxxxxxxxx\n" : "";
                const char *behind = strcmp(endings[e], "\r") == 0 ? "two\n" : endings[e][0] ? "\ntwo\n" : "";
                Text expected = {0};
                text_appendf(&expected, "zero\none\n%s%sthree\n", kept, behind);
                check_lines(&lines, text_str(&expected));
                CHECK_EQ(log_line_count(), size > 10);
                CHECK_EQ(log_has("socket test:1: connection 2: the line that begins at byte 4 is longer than "
                                 "max-line, 10 "
                                 "bytes"),
                         size > 10);
                text_deinit(&expected);
                text_deinit(&text);
                lines_deinit(&lines);
                bench_close(&bench);
            }
        }
    }
    text_deinit(&logged);
}

TEST(lines_longer_than_a_block) {
    const size_t limit = 3 * MIB + 5;
    for (size_t over = 0; over <= 1; over++) {
        Bench bench;
        Lines lines = {0}, expected = {0};
        Text text = {0}, whole = {0};
        Error err = {0};
        log_capture();
        bench_init(&bench, fresh_directory());
        bench.services.line_size_bytes_max = limit;
        receiver_destroy(bench.receiver);
        REQUIRE(CHECK_OK(bench_receiver(&bench, &err), err));
        text_append(&text, STR("before\n"));
        text_append(&whole, STR("before\n"));
        for (size_t i = 0; i < limit + over; i++)
            text_append_byte(&text, 'l');
        if (!over)
            text_append(&whole, (Str){text.data + 7, limit});
        text_append(&text, STR("\r\nbehind\n"));
        text_append(&whole, str_from(over ? "behind\n" : "\nbehind\n"));
        feed(&bench, text_str(&text), 70000);
        batch(&bench, &lines);
        feed(&bench, STR("later\n"), 10);
        text_append(&whole, STR("later\n"));
        batch(&bench, &lines);
        check_lines(&lines, text_str(&whole));
        CHECK_EQ(log_line_count(), over);
        CHECK_EQ(log_has("begins at byte 7 is longer"), over);
        text_deinit(&text);
        text_deinit(&whole);
        lines_deinit(&lines);
        lines_deinit(&expected);
        bench_close(&bench);
    }
    text_deinit(&logged);
}

TEST(a_line_that_memory_does_not_hold_is_left_out) {
    Bench bench;
    Lines lines = {0};
    Text text = {0};
    Error err = {0};
    log_capture();
    REQUIRE(CHECK_OK(bench_open(&bench, env_real(), NULL, 2 * MIB + 100000, &err), err));
    text_append(&text, STR("before\n"));
    for (size_t i = 0; i < 2 * MIB; i++)
        text_append_byte(&text, 'l');
    text_append(&text, STR("\nbehind\n"));
    for (size_t at = 0; at < text.size;) { /* batches give memory back, until only the line is left */
        Status st;
        at += feed_some(&bench, (Str){text.data + at, text.size - at}, 50000, &st, &err);
        REQUIRE(CHECK_OK(st, err));
        batch(&bench, &lines);
    }
    check_lines(&lines, STR("before\nbehind\n"));
    CHECK(log_has("byte 7 does not fit into the memory"));
    text_deinit(&logged);
    text_deinit(&text);
    lines_deinit(&lines);
    bench_close(&bench);
}

TEST(without_memory_nothing_is_taken_in_until_a_batch_is_done) {
    for (unsigned with_log = 0; with_log < 2; with_log++) {
        Bench bench;
        Lines lines = {0}, expected = {0};
        Text text = {0}, plan = {0};
        Error err = {0};
        Status st;
        REQUIRE(CHECK_OK(bench_open(&bench, env_real(), with_log ? fresh_directory() : NULL, 3 * MIB, &err),
                         err));
        random_text(check_seed(), 20 * MIB, 100, &text);
        lines_of(text_str(&text), &expected);
        size_t fed = feed_some(&bench, text_str(&text), 65536, &st, &err);
        CHECK(st == STATUS_OK && fed < 3 * MIB);
        int rounds = 0;
        while (fed < text.size && rounds++ < 100) {
            CHECK(bench.budget.used_bytes <= 3 * MIB);
            int room_count = bench.room_count;
            plan_batch(&bench, &plan, &lines);
            CHECK_EQ(feed_some(&bench, (Str){text.data + fed, text.size - fed}, 65536, &st, &err), 0);
            if (with_log) /* as the driver does: the log has let go of the blocks then */
                CHECK_OK(block_log_wait(bench.services.block_log, &err), err);
            receiver_done(bench.receiver, bench.time_ms);
            CHECK(bench.room_count > room_count);
            text_reset(&plan);
            fed += feed_some(&bench, (Str){text.data + fed, text.size - fed}, 65536, &st, &err);
            REQUIRE(CHECK_OK(st, err));
        }
        end_connection(&bench);
        while (receiver_has_more(bench.receiver))
            batch(&bench, &lines);
        check_lines(&lines, text_str(&expected.text));
        text_deinit(&text);
        text_deinit(&plan);
        lines_deinit(&lines);
        lines_deinit(&expected);
        bench_close(&bench);
    }
}

TEST(a_budget_that_does_not_hold_two_blocks_is_refused) {
    Bench bench;
    Error err = {0};
    CHECK_EQ(bench_open(&bench, env_real(), NULL, 2 * MIB, &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "socket test:1") != NULL);
    CHECK(bench.receiver == NULL);
    CHECK_EQ(bench.budget.used_bytes, 0);
}

/* ---- plans ---- */

TEST(small_rests_ride_in_the_plan_larger_ones_are_blocks) {
    Bench bench;
    Text text = {0}, plan = {0}, described = {0};
    Lines lines = {0};
    bench_init(&bench, fresh_directory());
    while (text.size < 64 << 10)
        text_append(&text, STR("1234567\n"));
    feed(&bench, text_str(&text), MIB);
    plan_batch(&bench, &plan, &lines);
    receiver_describe_plan(text_str(&plan), &described);
    CHECK_STR(described.data, "65536 bytes in the plan");
    receiver_done(bench.receiver, bench.time_ms);
    text_append(&text, STR("\n"));
    text_reset(&plan);
    text_reset(&described);
    feed(&bench, text_str(&text), MIB);
    plan_batch(&bench, &plan, &lines);
    CHECK(plan.size < 100);
    receiver_describe_plan(text_str(&plan), &described);
    CHECK_STR(described.data, "1 block (1 to 1, 65537 bytes)");
    receiver_done(bench.receiver, bench.time_ms);
    text_reset(&described);
    receiver_describe_plan(STR(""), &described);
    CHECK_STR(described.data, "nothing");
    text_deinit(&text);
    text_deinit(&plan);
    text_deinit(&described);
    lines_deinit(&lines);
    bench_close(&bench);
}

TEST(splits_of_any_number_give_the_same_lines) {
    for (unsigned with_log = 0; with_log < 2; with_log++) {
        Bench bench;
        Text text = {0}, plan = {0};
        Lines expected = {0};
        bench_init(&bench, with_log ? fresh_directory() : NULL);
        random_text(check_seed(), with_log ? 1300000 : 300, 20, &text);
        lines_of(text_str(&text), &expected);
        feed(&bench, text_str(&text), 65536);
        end_connection(&bench);
        for (uint32_t split_count = 0; split_count < 40; split_count += split_count < 8 ? 1 : 13) {
            Lines lines = {0};
            bench.services.split_count = split_count;
            if (plan.size == 0) {
                plan_batch(&bench, &plan, &lines);
            } else {
                SplitList splits = {0};
                Error err = {0};
                CHECK_OK(receiver_read(bench.receiver, bench.time_ms, text_str(&plan), &splits, &err), err);
                CHECK_EQ(splits.count, split_count);
                CHECK_OK(lines_read(&splits, NULL, &lines, &err), err);
                split_list_deinit(&splits);
            }
            check_lines(&lines, text_str(&expected.text));
            lines_deinit(&lines);
        }
        receiver_done(bench.receiver, bench.time_ms);
        text_deinit(&text);
        text_deinit(&plan);
        lines_deinit(&expected);
        bench_close(&bench);
    }
}

TEST(a_batch_that_was_just_planned_is_read_from_memory) {
    Bench bench;
    Env *env = env_faulty_create(env_real(), NULL);
    Text text = {0}, plan = {0};
    Lines lines = {0};
    Error err = {0};
    SplitList splits = {0};
    REQUIRE(CHECK_OK(bench_open(&bench, env, check_tmpdir(), BUDGET_SIZE, &err), err));
    random_text(check_seed(), 3 * MIB, 100, &text);
    feed(&bench, text_str(&text), 65536);
    CHECK_OK(receiver_plan(bench.receiver, 1000, &plan, &err), err);
    CHECK_OK(block_log_wait(bench.services.block_log, &err), err);
    uint64_t calls = env_faulty_call_count(env);
    CHECK_OK(receiver_read(bench.receiver, 1000, text_str(&plan), &splits, &err), err);
    CHECK_OK(lines_read(&splits, NULL, &lines, &err), err);
    CHECK(lines.count > 10000);
    CHECK_EQ(env_faulty_call_count(env), calls);
    split_list_deinit(&splits);
    text_deinit(&text);
    text_deinit(&plan);
    lines_deinit(&lines);
    bench_close(&bench);
    env_faulty_destroy(env);
}

TEST(plans_that_are_not_plans_are_refused) {
    Bench bench;
    Text text = {0}, plan = {0}, hostile = {0}, described = {0};
    Lines lines = {0};
    bench_init(&bench, fresh_directory());
    random_text(check_seed(), 1300000, 1000, &text);
    feed(&bench, text_str(&text), 65536);
    plan_batch(&bench, &plan, &lines);
    receiver_done(bench.receiver, bench.time_ms);
    feed(&bench, STR("inline\n"), 100);
    plan_batch(&bench, &plan, &lines);
    receiver_done(bench.receiver, bench.time_ms);
    REQUIRE(plan.size < 400);
    for (size_t bit = 0; bit < 8 * plan.size; bit++) {
        Error err = {0};
        SplitList splits = {0};
        Lines read = {0};
        text_reset(&hostile);
        text_append(&hostile, text_str(&plan));
        hostile.data[bit / 8] ^= (char)(1 << bit % 8);
        Str bytes = text_str(&hostile);
        Status st = receiver_read(bench.receiver, 99, bytes, &splits, &err);
        if (st == STATUS_OK)
            st = lines_read(&splits, NULL, &read, &err);
        /* A letter of an inline line, a number that nothing refers to, or a refusal. */
        CHECK(st == STATUS_OK || st == STATUS_CORRUPT || st == STATUS_NOT_FOUND);
        split_list_deinit(&splits);
        lines_deinit(&read);
        receiver_describe_plan(bytes, &described);
        bytes.size = bit / 8;
        if (receiver_replay(bench.receiver, 99, bytes, &err) == STATUS_OK)
            receiver_done(bench.receiver, 99);
    }
    Error err = {0};
    CHECK_EQ(receiver_replay(bench.receiver, 99, STR("\x03\x01\x01"), &err), STATUS_CORRUPT);
    CHECK_EQ(receiver_replay(bench.receiver, 99, STR("\x04"), &err), STATUS_CORRUPT);
    CHECK_EQ(receiver_restore(bench.receiver, STR("\x01\x01"), &err), STATUS_CORRUPT);
    CHECK_EQ(receiver_restore(bench.receiver, STR("\x02\x01\x01"), &err), STATUS_CORRUPT);
    text_deinit(&text);
    text_deinit(&plan);
    text_deinit(&hostile);
    text_deinit(&described);
    lines_deinit(&lines);
    bench_close(&bench);
}

/* ---- restarts ---- */

TEST(blocks_that_no_plan_names_go_into_the_first_batch) {
    Bench bench;
    Text text = {0}, first = {0}, second = {0}, saved = {0};
    Lines lines = {0}, before = {0}, expected = {0}, again = {0};
    Error err = {0};
    const char *directory = check_tmpdir();
    random_text(check_seed(), 11 * MIB / 2, 100, &text);
    bench_init(&bench, directory);
    feed(&bench, str_slice(text.data, 1500000), 65536);
    plan_batch(&bench, &first, &before);
    receiver_save(bench.receiver, &saved);
    uint64_t segment = receiver_oldest_segment(bench.receiver);
    CHECK(segment != UINT64_MAX);
    receiver_done(bench.receiver, 1000);
    CHECK_EQ(receiver_oldest_segment(bench.receiver), UINT64_MAX);
    feed(&bench, str_slice(text.data + 1500000, 600000), 65536);
    plan_batch(&bench, &second, &before);
    feed(&bench, str_slice(text.data + 2100000, text.size - 2100000), 65536);
    CHECK_OK(block_log_wait(bench.services.block_log, &err), err);
    bench_close(&bench);

    for (unsigned with_snapshot = 0; with_snapshot < 2; with_snapshot++) {
        bench_init(&bench, directory);
        SplitList splits = {0};
        if (with_snapshot) {
            CHECK_OK(receiver_restore(bench.receiver, text_str(&saved), &err), err);
        } else {
            CHECK_OK(receiver_replay(bench.receiver, 1000, text_str(&first), &err), err);
            CHECK_OK(receiver_read(bench.receiver, 1000, text_str(&first), &splits, &err), err);
            CHECK_OK(lines_read(&splits, NULL, &again, &err), err);
            split_list_reset(&splits);
            receiver_done(bench.receiver, 1000);
        }
        CHECK_OK(receiver_replay(bench.receiver, 2000, text_str(&second), &err), err);
        CHECK_EQ(receiver_oldest_segment(bench.receiver), segment);
        if (!with_snapshot) {
            CHECK_OK(receiver_read(bench.receiver, 2000, text_str(&second), &splits, &err), err);
            CHECK_OK(lines_read(&splits, NULL, &again, &err), err);
            check_lines(&again, text_str(&before.text)); /* the same lines as the first time */
        }
        split_list_deinit(&splits);
        receiver_done(bench.receiver, 2000);
        CHECK_OK(receiver_start(bench.receiver, &err), err);
        CHECK(receiver_has_more(bench.receiver));
        lines_deinit(&lines);
        text_append(&lines.text, text_str(&before.text));
        bench.time_ms = 2000;
        batch(&bench, &lines);
        lines_deinit(&expected);
        lines_of(text_str(&text), &expected);
        CHECK(lines.text.size >= 4 * MIB);
        CHECK(lines.text.size < expected.text.size);
        expected.text.size = lines.text.size;
        check_lines(&lines, text_str(&expected.text));
        bench_close(&bench);
    }
    text_deinit(&text);
    text_deinit(&first);
    text_deinit(&second);
    text_deinit(&saved);
    lines_deinit(&lines);
    lines_deinit(&before);
    lines_deinit(&expected);
    lines_deinit(&again);
}

TEST(what_follows_a_lost_plan_is_dropped) {
    Bench bench;
    Text text = {0}, kept = {0}, lost = {0}, late = {0};
    Lines lines = {0};
    Error err = {0};
    const char *directory = check_tmpdir();
    log_capture();
    while (text.size < 100000)
        text_append(&text, STR("block\n"));
    bench_init(&bench, directory);
    feed(&bench, STR("one\n"), 100);
    plan_batch(&bench, &kept, &lines);
    receiver_done(bench.receiver, 1000);
    feed(&bench, STR("two\n"), 100);
    plan_batch(&bench, &lost, &lines); /* never became durable, but the block behind it did */
    feed(&bench, text_str(&text), MIB);
    text_reset(&lost);
    plan_batch(&bench, &lost, &lines);
    CHECK_OK(block_log_wait(bench.services.block_log, &err), err);
    bench_close(&bench);

    for (int start = 0; start < 3; start++) { /* dropped once is dropped for ever */
        bench_init(&bench, directory);
        lines_deinit(&lines);
        CHECK_OK(receiver_replay(bench.receiver, 1000, text_str(&kept), &err), err);
        receiver_done(bench.receiver, 1000);
        if (start == 2) {
            CHECK_OK(receiver_replay(bench.receiver, 2000, text_str(&late), &err), err);
            receiver_done(bench.receiver, 2000);
        }
        CHECK_OK(receiver_start(bench.receiver, &err), err);
        CHECK_EQ(log_has("DROPPED socket test:1: 1 blocks, 100002 bytes"), start < 2);
        CHECK_EQ(receiver_has_more(bench.receiver), false);
        text_deinit(&logged);
        if (start == 1) {
            feed(&bench, STR("three\n"), 100);
            bench.time_ms = 1000;
            plan_batch(&bench, &late, &lines);
            check_lines(&lines, STR("three\n"));
        }
        bench_close(&bench);
    }
    text_deinit(&logged);
    text_deinit(&text);
    text_deinit(&kept);
    text_deinit(&lost);
    text_deinit(&late);
    lines_deinit(&lines);
}

/* ---- ends and errors at every call ---- */

typedef struct Sweep {
    char directory[200];
    Text text;
} Sweep;

static void sweep_prepare(void *user) {
    Sweep *sweep = user;
    char command[500];
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", sweep->directory, sweep->directory);
    REQUIRE(system(command) == 0);
}

static const size_t sweep_cuts[] = {1000, 1300000, 1400000, 2000000};

static char *plan_path(const Sweep *sweep, size_t i) {
    char name[20];
    snprintf(name, sizeof name, "plan-%zu", i);
    return env_path_join(sweep->directory, name);
}

/* Batches whose plans are files, durable after their blocks. */
static Status sweep_run(Env *env, void *user, Error *err) {
    Sweep *sweep = user;
    Bench bench = {0};
    Text plan = {0};
    size_t fed = 0;
    Status st = bench_open(&bench, env, sweep->directory, BUDGET_SIZE, err);
    if (st == STATUS_OK)
        st = receiver_start(bench.receiver, err);
    for (size_t i = 0; i < ARRAY_COUNT(sweep_cuts) && st == STATUS_OK; i++) {
        feed_some(&bench, (Str){sweep->text.data + fed, sweep_cuts[i] - fed}, 65536, &st, err);
        fed = sweep_cuts[i];
        text_reset(&plan);
        if (st == STATUS_OK)
            st = receiver_plan(bench.receiver, (int64_t)i * 1000, &plan, err);
        if (st == STATUS_OK)
            st = block_log_wait(bench.services.block_log, err);
        if (st == STATUS_OK) {
            char *path = plan_path(sweep, i);
            st = env_write_file_atomically(env, path, text_str(&plan), err);
            free(path);
        }
        receiver_done(bench.receiver, (int64_t)i * 1000);
    }
    text_deinit(&plan);
    receiver_destroy(bench.receiver);
    block_log_close(bench.services.block_log);
    return st;
}

static bool sweep_check(const SweepRound *round, void *user) {
    Sweep *sweep = user;
    Bench bench;
    Lines lines = {0}, expected = {0};
    Error err = {0};
    SplitList splits = {0};
    size_t durable = 0;
    bool is_fine = CHECK_OK(bench_open(&bench, env_real(), sweep->directory, BUDGET_SIZE, &err), err);
    (void)round;
    for (size_t i = 0; i < ARRAY_COUNT(sweep_cuts) && is_fine; i++) {
        char *path = plan_path(sweep, i);
        Text plan = {0};
        int64_t time_ms = (int64_t)i * 1000;
        if (env_read_file(env_real(), path, 1 << 20, &plan, NULL) == STATUS_OK) {
            durable = sweep_cuts[i];
            is_fine &=
                CHECK_OK(receiver_replay(bench.receiver, time_ms, text_str(&plan), &err), err) &&
                CHECK_OK(receiver_read(bench.receiver, time_ms, text_str(&plan), &splits, &err), err) &&
                CHECK_OK(lines_read(&splits, NULL, &lines, &err), err);
            receiver_done(bench.receiver, time_ms);
            split_list_reset(&splits);
        }
        text_deinit(&plan);
        free(path);
    }
    if (is_fine && CHECK_OK(receiver_start(bench.receiver, &err), err))
        batch(&bench, &lines);
    lines_of(text_str(&sweep->text), &expected);
    /* Lines of 10 bytes: those of a durable plan end less than a line before its cut. */
    is_fine &= CHECK(lines.text.size <= expected.text.size && lines.text.size + 10 > durable);
    is_fine &= is_fine && CHECK(memcmp(text_str(&lines.text).data, expected.text.data, lines.text.size) == 0);
    split_list_deinit(&splits);
    lines_deinit(&lines);
    lines_deinit(&expected);
    bench_close(&bench);
    return is_fine;
}

static void sweep_init(Sweep *sweep) {
    *sweep = (Sweep){0};
    snprintf(sweep->directory, sizeof sweep->directory, "%s/d", check_tmpdir());
    for (int i = 0; sweep->text.size < 2000000; i++)
        text_appendf(&sweep->text, "%09d\n", i);
}

TEST(what_is_recovered_after_an_end_anywhere_is_a_prefix) {
    Sweep sweep;
    sweep_init(&sweep);
    SweepJob job = {
        .prepare = sweep_prepare, .run = sweep_run, .check = sweep_check, .user = &sweep, .calls_max = 40};
    SweepCounts counts = sweep_kill(&job);
    CHECK(counts.calls > 0 && counts.rounds > 0);
    text_deinit(&sweep.text);
}

TEST(what_is_recovered_after_an_error_anywhere_is_a_prefix) {
    Sweep sweep;
    sweep_init(&sweep);
    log_capture();
    SweepJob job = {
        .prepare = sweep_prepare, .run = sweep_run, .check = sweep_check, .user = &sweep, .calls_max = 20};
    SweepCounts counts = sweep_errno(&job, "EIO ENOSPC");
    CHECK(counts.calls > 0 && counts.refused > 0);
    text_deinit(&sweep.text);
    text_deinit(&logged);
}

TEST_MAIN()
