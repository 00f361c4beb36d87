/* What a window keeps: batches in a ring, through keep and rollback, bytes and back, and bytes that are none. */
#include "exec/window_state.h"

#include "column/builder.h"
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 3, STRIDE = 2 };

typedef struct Bench {
    Arena *arena;
    Schema *schema;
    Budget input, kept;
    Builder *builder;
    NodeState *state;
} Bench;

static NodeState *new_state(Bench *bench) {
    NodeState *state = NULL;
    Error err = {0};
    WindowStateOptions options = {.schema = bench->schema,
                                  .slot_count = SLOTS,
                                  .stride = STRIDE,
                                  .slide = STRIDE,
                                  .budget = &bench->kept,
                                  .who = "window#0"};
    REQUIRE(CHECK_OK(window_state_create(options, &state, &err), err));
    return state;
}

static void bench_init(Bench *bench) {
    Error err = {0};
    *bench = (Bench){.arena = arena_create(NULL, "test")};
    budget_init(&bench->input, "in flight", 1 << 26, NULL);
    budget_init(&bench->kept, "kept chunks", 1 << 26, NULL);
    REQUIRE(CHECK_OK(schema_parse(bench->arena, STR("word STRING, n BIGINT"), 1, &bench->schema, &err), err));
    REQUIRE(CHECK_OK(builder_create(bench->schema, &bench->input, "test", &bench->builder, &err), err));
    bench->state = new_state(bench);
}

static void bench_deinit(Bench *bench) {
    bench->state->class->destroy(bench->state);
    builder_destroy(bench->builder);
    CHECK_EQ(bench->kept.used_bytes, 0);
    CHECK_EQ(bench->input.used_bytes, 0);
    arena_destroy(bench->arena);
}

/* Rows number..number + count, with texts short and long, as a chunk of its own. */
static Status add_rows(Bench *bench, uint64_t split, int64_t number, int count, Error *err) {
    builder_reset(bench->builder);
    for (int i = 0; i < count; i++) {
        char word[64];
        snprintf(word, sizeof word, i % 2 ? "w%" PRId64 : "a word that is not short, number %" PRId64,
                 number + i);
        TRY(builder_put_str(bench->builder, 0, str_from(word), err));
        if ((number + i) % 5 == 0)
            TRY(builder_put_null(bench->builder, 1, err));
        else
            TRY(builder_put_i64(bench->builder, 1, number + i, err));
        builder_end_row(bench->builder);
    }
    Chunk chunk;
    builder_chunk(bench->builder, &chunk);
    chunk.split = split;
    return window_state_add(bench->state, &chunk, err);
}

static void begin(Bench *bench, uint64_t batch_id, uint64_t split_count) {
    bench->state->class->begin(bench->state);
    window_state_take(bench->state, batch_id, split_count);
}

/* A batch of two chunks in split 0, none in split 1, one in split 2. */
static void run_batch(Bench *bench, uint64_t batch_id) {
    Error err = {0};
    begin(bench, batch_id, 3);
    CHECK_OK(add_rows(bench, 0, (int64_t)batch_id * 100, 3, &err), err);
    CHECK_OK(add_rows(bench, 0, (int64_t)batch_id * 100 + 3, 2, &err), err);
    CHECK_OK(add_rows(bench, 2, (int64_t)batch_id * 100 + 5, 1, &err), err);
}

static void keep(Bench *bench) {
    bench->state->class->keep(bench->state);
}

/* "<batch>: <split>|<split>", the numbers of each; to be freed. */
static char *contents(const NodeState *state) {
    Text text = {0};
    for (uint64_t id = 0; id <= 40; id += STRIDE) {
        const KeptBatch *batch = id ? window_state_find(state, id) : NULL;
        for (uint32_t p = 0; batch && p < batch->partition_count; p++) {
            if (p == 0)
                text_appendf(&text, "%" PRIu64 ":", id);
            else
                text_append_byte(&text, '|');
            for (uint32_t i = 0; i < batch->partitions[p].chunk_count; i++) {
                const Chunk *chunk = shared_chunk_view(batch->partitions[p].chunks[i]);
                chunk_verify(chunk);
                for (uint32_t row = 0; row < chunk->row_count; row++) {
                    text_append_byte(&text, ' ');
                    column_format(&chunk->columns[1], row, &text);
                }
            }
        }
        if (batch)
            text_append_byte(&text, '\n');
    }
    text_append_byte(&text, 0);
    return text.data;
}

static bool check_contents(const NodeState *state, const char *expected) {
    char *found = contents(state);
    bool is_same = CHECK_STR(found, expected);
    free(found);
    return is_same;
}

static Status write_text(void *self, Str piece, Error *err) {
    (void)err;
    text_append(self, piece);
    return STATUS_OK;
}

typedef struct Pieces {
    Str rest;
    size_t size;
} Pieces;

static Status read_piece(void *self, Str *piece, Error *err) {
    (void)err;
    Pieces *pieces = self;
    size_t size = pieces->size < pieces->rest.size ? pieces->size : pieces->rest.size;
    *piece = str_slice(pieces->rest.data, size);
    pieces->rest = str_slice(pieces->rest.data + size, pieces->rest.size - size);
    return STATUS_OK;
}

/* ---- batches ---- */

TEST(a_ring_holds_the_last_batches) {
    Bench bench;
    bench_init(&bench);
    run_batch(&bench, 2);
    keep(&bench);
    check_contents(bench.state, "2: None 201 202 203 204| None\n");
    for (uint64_t id = 4; id <= 8; id += STRIDE) {
        run_batch(&bench, id);
        keep(&bench);
    }
    /* The window of 10 sees 6, 8 and itself: what it will not see has gone already. */
    check_contents(bench.state, "6: None 601 602 603 604| None\n8: None 801 802 803 804| None\n");
    begin(&bench, 10, 0);
    check_contents(bench.state, "6: None 601 602 603 604| None\n8: None 801 802 803 804| None\n\n");
    keep(&bench);
    begin(&bench, 20, 1); /* long after */
    keep(&bench);
    check_contents(bench.state, "");
    CHECK_EQ(bench.kept.used_bytes, 0);
    bench_deinit(&bench);
}

TEST(a_batch_that_is_rolled_back_was_never_there) {
    Bench bench;
    bench_init(&bench);
    run_batch(&bench, 2);
    keep(&bench);
    uint64_t used_bytes = bench.kept.used_bytes;
    run_batch(&bench, 8); /* the slot of 2 */
    for (uint32_t part = 0; part < SLOTS; part++)
        CHECK_EQ(bench.state->class->is_changed(bench.state, part), part == 8 / STRIDE % SLOTS);
    bench.state->class->rollback(bench.state);
    CHECK_EQ(bench.kept.used_bytes, used_bytes);
    check_contents(bench.state, "2: None 201 202 203 204| None\n");
    begin(&bench, 4, 2); /* without rows nothing changes */
    for (uint32_t part = 0; part < SLOTS; part++)
        CHECK(!bench.state->class->is_changed(bench.state, part));
    bench.state->class->rollback(bench.state);
    bench_deinit(&bench);
}

TEST(kept_rows_hold_no_memory_of_their_input) {
    Bench bench;
    bench_init(&bench);
    run_batch(&bench, 2);
    builder_destroy(bench.builder);
    bench.builder = NULL;
    CHECK_EQ(bench.input.used_bytes, 0);
    keep(&bench);
    check_contents(bench.state, "2: None 201 202 203 204| None\n");
    bench_deinit(&bench);
}

TEST(chunks_of_one_row_are_put_together) {
    enum { ROWS = CHUNK_ROWS_MAX + 10 };
    Bench bench;
    Error err = {0};
    bench_init(&bench);
    begin(&bench, 2, 1);
    for (int64_t i = 0; i < ROWS; i++)
        CHECK_OK(add_rows(&bench, 0, i, 1, &err), err);
    uint64_t before = bench.kept.used_bytes;
    keep(&bench);
    CHECK(bench.kept.used_bytes < before / 4);
    const KeptBatch *batch = window_state_find(bench.state, 2);
    REQUIRE(batch && batch->partition_count == 1 && batch->partitions[0].chunk_count == 2);
    int64_t row = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const Chunk *chunk = shared_chunk_view(batch->partitions[0].chunks[i]);
        for (uint32_t r = 0; r < chunk->row_count; r++, row++)
            CHECK_EQ(column_is_null(&chunk->columns[1], r) ? row / 5 * 5 : column_i64(&chunk->columns[1], r),
                     row);
    }
    CHECK_EQ(row, ROWS);
    bench_deinit(&bench);
}

TEST(without_memory_a_batch_is_refused_by_name) {
    Bench bench;
    Error err = {0};
    bench_init(&bench);
    run_batch(&bench, 2);
    keep(&bench);
    bench.kept.limit_bytes = bench.kept.used_bytes + 100;
    begin(&bench, 4, 1);
    CHECK_EQ(add_rows(&bench, 0, 1, 100, &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "window#0") && strstr(err.message, "kept chunks"));
    bench.state->class->rollback(bench.state);
    check_contents(bench.state, "2: None 201 202 203 204| None\n");
    begin(&bench, 4, 80); /* and without any for putting chunks together they stay as they are */
    bench.kept.limit_bytes = 1 << 26;
    for (uint64_t s = 0; s < 80; s++)
        CHECK_OK(add_rows(&bench, s, (int64_t)s, 1, &err), err);
    bench.kept.limit_bytes = bench.kept.used_bytes;
    keep(&bench);
    REQUIRE(window_state_find(bench.state, 4));
    CHECK_EQ(window_state_find(bench.state, 4)->partition_count, 80);
    bench_deinit(&bench);
}

/* ---- bytes ---- */

static Status apply(NodeState *state, uint32_t part, const Text *bytes, Error *err) {
    return state->class->apply(state, part, text_str(bytes), err);
}

TEST(deltas_and_sections_give_the_same_again) {
    Bench bench;
    Error err = {0};
    Text deltas[5] = {0};
    bench_init(&bench);
    NodeState *by_deltas = new_state(&bench), *by_sections = new_state(&bench);
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t id = STRIDE * (i + 1);
        run_batch(&bench, id);
        bench.state->class->delta(bench.state, (uint32_t)(id / STRIDE % SLOTS), &deltas[i]);
        keep(&bench);
        CHECK_OK(apply(by_deltas, (uint32_t)(id / STRIDE % SLOTS), &deltas[i], &err), err);
    }
    for (uint32_t section = 0; section < SLOTS; section++) {
        Text saved = {0};
        CHECK_OK(bench.state->class->save(bench.state, section, (StateSink){write_text, &saved}, &err), err);
        Pieces pieces = {text_str(&saved), 7};
        if (saved.size) /* else the slot holds nothing */
            CHECK_OK(by_sections->class->load(by_sections, section, (StateFeed){read_piece, &pieces}, &err),
                     err);
        text_deinit(&saved);
    }
    check_contents(by_sections, "8: None 801 802 803 804| None\n10: None 1001 1002 1003 1004| None\n");
    /* By deltas a batch stays until a later one takes its slot. */
    check_contents(by_deltas, "6: None 601 602 603 604| None\n8: None 801 802 803 804| None\n"
                              "10: None 1001 1002 1003 1004| None\n");
    /* N2: one that is older than what is there, one that is there already. */
    CHECK_OK(apply(by_sections, 4 / STRIDE % SLOTS, &deltas[1], &err), err);
    CHECK_OK(apply(by_sections, 10 / STRIDE % SLOTS, &deltas[4], &err), err);
    CHECK_OK(apply(by_sections, 6 / STRIDE % SLOTS, &deltas[2], &err), err);
    check_contents(by_sections, "6: None 601 602 603 604| None\n8: None 801 802 803 804| None\n"
                                "10: None 1001 1002 1003 1004| None\n");
    uint64_t keys = 0, bytes = 0;
    by_sections->class->count(by_sections, &keys, &bytes);
    CHECK(keys == 0 && bytes > 0 && bytes <= bench.kept.used_bytes);
    by_deltas->class->destroy(by_deltas);
    by_sections->class->destroy(by_sections);
    for (int i = 0; i < 5; i++)
        text_deinit(&deltas[i]);
    bench_deinit(&bench);
}

/* Every cut and every flipped bit: taken or refused, never read past the end, nothing left behind. */
TEST(bytes_that_are_none_are_refused) {
    Bench bench;
    Text delta = {0};
    uint64_t refused = 0, taken = 0;
    bench_init(&bench);
    run_batch(&bench, 2);
    bench.state->class->delta(bench.state, 1, &delta);
    bench.state->class->rollback(bench.state);
    for (size_t size = 0; size < delta.size; size++) {
        NodeState *state = new_state(&bench);
        char *cut = xmalloc(size + 1); /* so that a read behind it is seen */
        memcpy(cut, delta.data, size);
        CHECK_EQ(state->class->apply(state, 1, str_slice(cut, size), NULL), STATUS_CORRUPT);
        state->class->destroy(state);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * delta.size; bit++) {
        NodeState *state = new_state(&bench);
        delta.data[bit / 8] ^= (char)(1 << bit % 8);
        Status st = apply(state, 1, &delta, NULL);
        delta.data[bit / 8] ^= (char)(1 << bit % 8);
        CHECK(st == STATUS_OK || st == STATUS_CORRUPT);
        refused += st != STATUS_OK;
        taken += st == STATUS_OK;
        free(contents(state));
        state->class->destroy(state);
    }
    CHECK(refused > 0 && taken > 0);
    Error err = {0};
    NodeState *state = new_state(&bench);
    CHECK_EQ(apply(state, 2, &delta, &err), STATUS_CORRUPT);
    CHECK_STR(err.message, "batch 2 of a window stands in slot 2");
    state->class->destroy(state);
    text_deinit(&delta);
    bench_deinit(&bench);
}

TEST_MAIN()
