/* leat/row.h from both sides: functions as users write them, and what becomes of their rows. */
#include "leat/row.h"

#include "base/random.h"
#include "check.h"
#include "column/builder.h"
#include "random_chunk.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- functions of users ---- */

static void split_words(const LeatRow *row, LeatOut *out) {
    LeatStr rest = leat_row_str(row, 0), word;
    while (leat_str_split(&rest, ' ', &word)) {
        leat_out_str(out, 0, word);
        leat_out_i64(out, 1, 1);
        leat_out_emit(out);
    }
}

/* Gives text of its own, and leaves out columns. */
static void describe(const LeatRow *row, LeatOut *out) {
    char text[100];
    LeatStr line = leat_row_str(row, 0);
    snprintf(text, sizeof text, "%zu bytes, and some more text", line.size);
    if (line.size == 3)
        return; /* filtered out */
    leat_out_str(out, 0, leat_str(text));
    memset(text, '!', sizeof text);
    if (line.size % 2 == 0)
        leat_out_f64(out, 1, (double)line.size / 2);
    else
        leat_out_null(out, 1);
    if (line.size > 12)
        leat_out_bool(out, 2, true);
    leat_out_emit(out);
}

/* Per chunk. */
static void double_values(const LeatChunk *chunk, LeatOut *out) {
    leat_out_reserve(out, chunk->row_count);
    const LeatStr *words = chunk->columns[0].data;
    const int64_t *values = chunk->columns[1].data;
    LeatStr *out_words = leat_out_strs(out, 0);
    int64_t *out_values = leat_out_i64s(out, 1);
    for (uint32_t i = 0; i < chunk->row_count; i++) {
        out_words[i] = words[i];
        out_values[i] = values[i] * 2;
    }
    leat_out_emit_rows(out, chunk->row_count);
}

/* ---- a pipeline of one operator ---- */

static Budget budget;
static Arena *arena;
static Error err;
static Schema *in_schema, *out_schema;
static Builder *in, *out;
static ChunkReader *reader;

/* What came out. */
static Text shown;
static uint32_t chunk_count;
static SharedChunk *kept[16];
static Text kept_shown[16];
static uint32_t kept_count;
static Status sink_fails_with;
static uint32_t take_count; /* calls, whether or not they got a chunk */

static Schema *parse(const char *types) {
    Schema *schema;
    REQUIRE(CHECK_OK(schema_parse(arena, str_from(types), 0, &schema, &err), err));
    return schema;
}

static void begin(const char *in_types, const char *out_types) {
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    err = (Error){0};
    in_schema = parse(in_types);
    out_schema = parse(out_types);
    REQUIRE(CHECK_OK(builder_create(in_schema, &budget, "input", &in, &err), err));
    REQUIRE(CHECK_OK(builder_create(out_schema, &budget, "flatMap 'words'", &out, &err), err));
    REQUIRE(CHECK_OK(chunk_reader_create(in_schema, &budget, "flatMap 'words'", &reader, &err), err));
    chunk_count = kept_count = take_count = 0;
    sink_fails_with = STATUS_OK;
}

static void end(void) {
    for (uint32_t i = 0; i < kept_count; i++) { /* what was kept is as it was */
        Text text = {0};
        chunk_verify(shared_chunk_view(kept[i]));
        chunk_format(shared_chunk_view(kept[i]), &text);
        CHECK(str_equal(text_str(&text), text_str(&kept_shown[i])));
        text_deinit(&text);
        text_deinit(&kept_shown[i]);
        shared_chunk_release(kept[i]);
    }
    text_deinit(&shown);
    builder_destroy(in);
    builder_destroy(out);
    chunk_reader_destroy(reader);
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static void check_shown(const char *wanted) {
    CHECK_STR(shown.data ? shown.data : "", wanted);
    text_reset(&shown);
}

static void take(Builder *builder, void *self) {
    Chunk chunk;
    Error error = {0};
    Status st = builder_take_out(builder, &chunk, &error);
    CHECK(self == &shown);
    take_count++;
    if (st == STATUS_OK) {
        size_t before = shown.size;
        chunk_verify(&chunk);
        chunk_format(&chunk, &shown);
        chunk_count++;
        if (kept_count < ARRAY_COUNT(kept) && chunk_count % 2) {
            CHECK_OK(chunk_share(&chunk, &budget, "test", &kept[kept_count], &err), err);
            text_append(&kept_shown[kept_count++], str_slice(shown.data + before, shown.size - before));
        }
        if (sink_fails_with != STATUS_OK) {
            st = error_set(&error, sink_fails_with, "the sink is full");
            builder_out_fail(builder, st, &error);
        }
    }
}

static void run_rows(const Chunk *chunk, void (*function)(const LeatRow *row, LeatOut *to)) {
    LeatChunk bound;
    REQUIRE(CHECK_OK(chunk_reader_bind(reader, chunk, &bound, &err), err));
    LeatOut *to = builder_out_begin(out, chunk, take, &shown);
    LeatRow row = {bound.columns, bound.column_count, 0};
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        row.index = chunk_row(chunk, i);
        function(&row, to);
    }
    if (builder_out_status(out, NULL) == STATUS_OK)
        take(out, &shown);
}

static void put_line(const char *line) {
    CHECK_OK(builder_put_str(in, 0, str_from(line), &err), err);
    builder_end_row(in);
}

TEST(words_of_lines) {
    begin("value STRING", "word STRING, n BIGINT");
    Chunk chunk;
    put_line("a bc");
    put_line("");
    put_line("hello extraordinarily long words ");
    builder_chunk(in, &chunk);
    run_rows(&chunk, split_words);
    check_shown("('a', 1)\n('bc', 1)\n('', 1)\n('hello', 1)\n('extraordinarily', 1)\n('long', 1)\n('words', "
                "1)\n('', 1)\n");
    /* Nothing was copied: the long word is a view of the input's buffer. */
    LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
    LeatChunk bound;
    Chunk words;
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    LeatRow row = {bound.columns, bound.column_count, 2};
    split_words(&row, to);
    CHECK_OK(builder_take_out(out, &words, &err), err);
    CHECK_EQ(words.columns[0].buffer_count, 1);
    CHECK(words.columns[0].buffers[0] == chunk.columns[0].buffers[0]);
    CHECK_EQ(((const View *)words.columns[0].data)[1].offset, 6);
    end();
}

TEST(more_words_than_a_chunk_holds) {
    for (uint32_t words = 2040; words <= 5 * CHUNK_ROWS_MAX; words += words < 2050 ? 1 : 1021) {
        begin("value STRING", "word STRING, n BIGINT");
        Text wanted = {0}, line = {0};
        for (uint32_t i = 0; i < words; i++) {
            text_appendf(&line, "%sword-%u%s", i ? " " : "", i, i % 3 ? "" : "-that-is-long");
            text_appendf(&wanted, "('word-%u%s', 1)\n", i, i % 3 ? "" : "-that-is-long");
        }
        Chunk chunk;
        put_line(line.data);
        builder_chunk(in, &chunk);
        run_rows(&chunk, split_words);
        CHECK_EQ(chunk_count, words / CHUNK_ROWS_MAX + 1);
        check_shown(wanted.data);
        text_deinit(&wanted);
        text_deinit(&line);
        end();
    }
}

TEST(text_of_the_function_and_columns_left_out) {
    begin("value STRING", "s STRING, d DOUBLE, b BOOLEAN, t TIMESTAMP, x BINARY");
    Text wanted = {0};
    char line[50] = {0};
    for (int round = 0; round < 200; round++) {
        int size = round % 40;
        memset(line, 'x', sizeof line);
        line[size] = 0;
        put_line(line);
        if (size != 3)
            text_appendf(&wanted, "('%d bytes, and some more text', %s%s, %s, 1970-01-01 00:00:00Z, b'')\n",
                         size, (const char *[]){"None", ""}[size % 2 == 0],
                         size % 2 ? "" : (const char *[]){"0.0",  "1.0",  "2.0",  "3.0",  "4.0",
                                                          "5.0",  "6.0",  "7.0",  "8.0",  "9.0",
                                                          "10.0", "11.0", "12.0", "13.0", "14.0",
                                                          "15.0", "16.0", "17.0", "18.0", "19.0"}[size / 2],
                         size > 12 ? "True" : "False");
    }
    Chunk chunk;
    builder_chunk(in, &chunk);
    for (int round = 0; round < 30; round++) { /* arrays are used again: nothing of before shines through */
        run_rows(&chunk, describe);
        check_shown(wanted.data);
    }
    text_deinit(&wanted);
    end();
}

static void values_of_every_kind(const LeatRow *row, LeatOut *to) {
    int64_t n = leat_row_i64(row, 1);
    if (n % 2) { /* then nulls, over values and under them */
        leat_out_null(to, 0);
        leat_out_i64(to, 0, 7);
        leat_out_str(to, 1, leat_row_str(row, 0));
        leat_out_null(to, 1);
        leat_out_bool(to, 2, true);
        leat_out_null(to, 2);
    } else if (n % 3 == 0) {
        leat_out_i64(to, 0, n);
        leat_out_str(to, 1, leat_row_str(row, 0));
        leat_out_bool(to, 2, true);
    }
    leat_out_emit(to);
}

TEST(nulls_win_and_do_not_stay) {
    begin("s STRING, n BIGINT", "n BIGINT, s STRING, b BOOLEAN");
    Text wanted = {0};
    for (int i = 0; i < CHUNK_ROWS_MAX; i++) {
        CHECK_OK(builder_put_str(in, 0, STR("a string that is long"), &err), err);
        CHECK_OK(builder_put_i64(in, 1, i, &err), err);
        builder_end_row(in);
        if (i % 2)
            text_append(&wanted, STR("(None, None, None)\n"));
        else if (i % 3 == 0)
            text_appendf(&wanted, "(%d, 'a string that is long', True)\n", i);
        else
            text_append(&wanted, STR("(0, '', False)\n"));
    }
    Chunk chunk;
    builder_chunk(in, &chunk);
    for (int round = 0; round < 3; round++) {
        run_rows(&chunk, values_of_every_kind);
        check_shown(wanted.data);
    }
    /* No null among the rows: no validity. */
    const uint16_t even[] = {0, 2, 6};
    chunk.selection = even;
    chunk.selected_count = 3;
    run_rows(&chunk, values_of_every_kind);
    check_shown("(0, 'a string that is long', True)\n(0, '', False)\n(6, 'a string that is long', True)\n");
    LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
    Chunk taken;
    leat_out_emit(to);
    CHECK_OK(builder_take_out(out, &taken, &err), err);
    CHECK(taken.columns[0].validity == NULL);
    text_deinit(&wanted);
    end();
}

TEST(a_row_not_emitted_is_forgotten) {
    begin("s STRING, n BIGINT", "s STRING, n BIGINT, d DOUBLE");
    LeatOut *to = builder_out_begin(out, NULL, take, &shown);
    leat_out_str(to, 0, leat_str("given"));
    leat_out_emit(to);
    leat_out_str(to, 0, leat_str("not given"));
    leat_out_i64(to, 1, 5);
    leat_out_null(to, 2);
    take(out, &shown);
    check_shown("('given', 0, 0.0)\n");
    for (int round = 0; round < 3; round++) { /* fixed-size columns have two arrays */
        leat_out_emit(to);
        leat_out_emit(to);
        take(out, &shown);
        check_shown("('', 0, 0.0)\n('', 0, 0.0)\n");
    }
    leat_out_i64(to, 1, 9); /* lost with the next begin, emitted or not */
    leat_out_emit(to);
    leat_out_i64(to, 1, 10);
    leat_out_str(to, 0, leat_str("lost"));
    leat_out_null(to, 2);
    to = builder_out_begin(out, NULL, take, &shown);
    for (int round = 0; round < 3; round++) {
        leat_out_emit(to);
        leat_out_emit(to);
        take(out, &shown);
        check_shown("('', 0, 0.0)\n('', 0, 0.0)\n");
    }
    take(out, &shown);
    check_shown("");
    end();
}

TEST(functions_per_chunk) {
    begin("s STRING, n BIGINT", "s STRING, n BIGINT");
    static const uint32_t row_counts[] = {0, 1, 2047, 2048, 2, 2048, 1000, 1048};
    Text wanted = {0};
    for (size_t r = 0; r < ARRAY_COUNT(row_counts); r++) {
        builder_reset(in);
        text_reset(&wanted);
        for (uint32_t i = 0; i < row_counts[r]; i++) {
            CHECK_OK(builder_put_str(in, 0, i % 2 ? STR("short") : STR("not a short string"), &err), err);
            CHECK_OK(builder_put_i64(in, 1, i, &err), err);
            builder_end_row(in);
            text_appendf(&wanted, "('%s', %u)\n", i % 2 ? "short" : "not a short string", 2 * i);
        }
        Chunk chunk;
        LeatChunk bound;
        builder_chunk(in, &chunk);
        CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
        LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
        double_values(&bound, to);
        double_values(&bound, to); /* flushes what does not fit */
        take(out, &shown);
        size_t half = shown.size / 2;
        CHECK(half == wanted.size && (half == 0 || memcmp(shown.data, wanted.data, half) == 0));
        CHECK(half == 0 || memcmp(shown.data + half, wanted.data, half) == 0);
        text_reset(&shown);
    }
    /* What was reserved and written but not emitted is not seen, in neither of the two arrays. */
    LeatOut *to = builder_out_begin(out, NULL, take, &shown);
    leat_out_reserve(to, 100);
    for (int i = 0; i < 100; i++) {
        leat_out_i64s(to, 1)[i] = 1 + i;
        leat_out_strs(to, 0)[i] = leat_out_keep(to, leat_str("kept, but not given"));
    }
    leat_out_emit_rows(to, 1);
    take(out, &shown);
    check_shown("('kept, but not given', 1)\n");
    text_reset(&wanted);
    for (int i = 0; i < 100; i++)
        text_append(&wanted, STR("('', 0)\n"));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            leat_out_emit(to);
        take(out, &shown);
        check_shown(wanted.data);
    }
    text_deinit(&wanted);
    end();
}

/* Every scalar column of a row, given as it was read. */
static void copy_row(const LeatRow *row, LeatOut *to) {
    for (uint32_t c = 0; c < row->column_count; c++) {
        if (leat_row_is_null(row, c))
            leat_out_null(to, c);
        switch (row->columns[c].type) {
        case LEAT_BOOLEAN:
            leat_out_bool(to, c, leat_row_bool(row, c));
            break;
        case LEAT_TINYINT:
            leat_out_i8(to, c, leat_row_i8(row, c));
            break;
        case LEAT_SMALLINT:
            leat_out_i16(to, c, leat_row_i16(row, c));
            break;
        case LEAT_INT:
        case LEAT_DATE:
            leat_out_i32(to, c, leat_row_i32(row, c));
            break;
        case LEAT_BIGINT:
        case LEAT_TIMESTAMP:
            leat_out_i64(to, c, leat_row_i64(row, c));
            break;
        case LEAT_FLOAT:
            leat_out_f32(to, c, leat_row_f32(row, c));
            break;
        case LEAT_DOUBLE:
            leat_out_f64(to, c, leat_row_f64(row, c));
            break;
        case LEAT_DECIMAL:
            leat_out_decimal(to, c, leat_row_decimal(row, c));
            break;
        case LEAT_STRING:
        case LEAT_BINARY:
            leat_out_str(to, c, leat_row_str(row, c));
            break;
        case LEAT_ARRAY:
        case LEAT_STRUCT:
        case LEAT_MAP:
            CHECK(false); /* not in this schema */
        }
    }
    leat_out_emit(to);
}

/* The same column by column, without nulls. */
static void copy_columns(const LeatChunk *chunk, LeatOut *to) {
    uint32_t rows = chunk->row_count;
    leat_out_reserve(to, rows);
    memcpy(leat_out_i8s(to, 0), chunk->columns[0].data, rows * sizeof(int8_t));
    memcpy(leat_out_i16s(to, 1), chunk->columns[1].data, rows * sizeof(int16_t));
    memcpy(leat_out_i32s(to, 2), chunk->columns[2].data, rows * sizeof(int32_t));
    memcpy(leat_out_f32s(to, 3), chunk->columns[3].data, rows * sizeof(float));
    memcpy(leat_out_decimals(to, 4), chunk->columns[4].data, rows * sizeof(LeatDecimal));
    memcpy(leat_out_i32s(to, 5), chunk->columns[5].data, rows * sizeof(int32_t));
    leat_out_emit_rows(to, rows);
}

TEST(every_scalar_is_read_and_given) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 60; round++) {
        Text types = {0}, wanted = {0};
        Arena *types_arena = arena_create(NULL, "types");
        schema_format(random_schema(&random, types_arena, false, 0), &types);
        begin(types.data, types.data);
        text_deinit(&types);
        arena_destroy(types_arena);
        for (int chunks = 0; chunks < 4; chunks++) {
            Chunk chunk;
            builder_reset(in);
            for (uint64_t i = 0, n = random_below(&random, 300); i < n; i++)
                CHECK_OK(random_row(&random, in, in_schema, &wanted, &err), err);
            builder_chunk(in, &chunk);
            run_rows(&chunk, copy_row);
        }
        CHECK_STR(shown.data ? shown.data : "", wanted.data ? wanted.data : "");
        text_deinit(&wanted);
        end();
    }
}

TEST(every_width_is_given_per_chunk) {
    const char *types = "a TINYINT, b SMALLINT, c INT, d FLOAT, e DECIMAL(38, 9), f DATE";
    begin(types, types);
    const LeatDecimal large = ((LeatDecimal)1 << 126) - 1;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(builder_put_word(in, 0, (uint64_t)(i - 128), &err), err);
        CHECK_OK(builder_put_word(in, 1, (uint64_t)(i - 32768), &err), err);
        CHECK_OK(builder_put_word(in, 2, (uint64_t)(INT32_MIN + i), &err), err);
        CHECK_OK(builder_put_word(in, 3, 0x3fc00000, &err), err); /* 1.5 */
        CHECK_OK(builder_put_decimal(in, 4, i ? large : -large, &err), err);
        CHECK_OK(builder_put_word(in, 5, (uint64_t)-i, &err), err);
        builder_end_row(in);
    }
    Chunk chunk;
    LeatChunk bound;
    builder_chunk(in, &chunk);
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
    copy_columns(&bound, to);
    copy_columns(&bound, to); /* behind the first */
    take(out, &shown);
    copy_columns(&bound, to); /* into the arrays of the chunk before */
    take(out, &shown);
    const char *rows =
        "(-128, -32768, -2147483648, 1.5, Decimal('-85070591730234615865843651857.942052863'), 1970-01-01)\n"
        "(-127, -32767, -2147483647, 1.5, Decimal('85070591730234615865843651857.942052863'), 1969-12-31)\n"
        "(-126, -32766, -2147483646, 1.5, Decimal('85070591730234615865843651857.942052863'), 1969-12-30)\n";
    char three_times[2000];
    snprintf(three_times, sizeof three_times, "%s%s%s", rows, rows, rows);
    check_shown(three_times);
    end();
}

TEST(a_decimal_of_too_many_digits_is_refused) {
    begin("s STRING", "n BIGINT, price DECIMAL(5, 2)");
    LeatOut *to = builder_out_begin(out, NULL, take, &shown);
    Chunk chunk;
    leat_out_decimal(to, 1, 99999);
    leat_out_emit(to);
    leat_out_decimal(to, 1, -99999);
    leat_out_emit(to);
    leat_out_decimal(to, 1, 1000000); /* a null is none */
    leat_out_null(to, 1);
    leat_out_emit(to);
    take(out, &shown);
    check_shown("(0, Decimal('999.99'))\n(0, Decimal('-999.99'))\n(0, None)\n");
    for (int i = 0; i < 2; i++) {
        to = builder_out_begin(out, NULL, take, &shown);
        leat_out_decimal(to, 1, i ? 100000 : -100000);
        leat_out_emit(to);
        CHECK_EQ(builder_take_out(out, &chunk, &err), STATUS_INVALID);
        CHECK_STR(err.message,
                  "flatMap 'words': a value given for column 'price' has more digits than DECIMAL(5, 2)");
        CHECK_EQ(builder_out_status(out, &err), STATUS_INVALID);
    }
    to = builder_out_begin(out, NULL, take, &shown); /* and no more */
    leat_out_emit(to);
    take(out, &shown);
    check_shown("(0, Decimal('0.00'))\n");
    end();
}

TEST(kept_strings) {
    begin("s STRING", "s STRING, n BIGINT");
    LeatOut *to = builder_out_begin(out, NULL, take, &shown);
    Text wanted = {0};
    for (int i = 0; i < 3000; i++) {
        char text[64];
        snprintf(text, sizeof text, "string number %d%s", i, i % 7 ? "" : " of three thousand and one");
        leat_out_reserve(to, 1);
        leat_out_strs(to, 0)[0] = leat_out_keep(to, leat_str(text));
        leat_out_emit_rows(to, 1);
        text_appendf(&wanted, "('%s', 0)\n", text);
    }
    LeatStr again = leat_out_keep(to, leat_str("kept once, given twice"));
    CHECK(leat_out_keep(to, again).data == again.data);
    leat_out_str(to, 0, again);
    leat_out_emit(to);
    leat_out_str(to, 0, again);
    leat_out_emit(to);
    leat_out_str(to, 0, (LeatStr){NULL, 0});
    leat_out_emit(to);
    CHECK(leat_out_keep(to, (LeatStr){NULL, 0}).data != NULL);
    text_append(&wanted, STR("('kept once, given twice', 0)\n('kept once, given twice', 0)\n('', 0)\n"));
    take(out, &shown);
    check_shown(wanted.data);
    char *large = malloc(3 << 20);
    memset(large, 'x', 3 << 20);
    leat_out_str(to, 0, (LeatStr){large, 3 << 20});
    memset(large, 'y', 3 << 20);
    free(large);
    leat_out_emit(to);
    take(out, &shown);
    CHECK_EQ(shown.size, (3 << 20) + 8);
    CHECK(memchr(shown.data, 'y', shown.size) == NULL);
    text_deinit(&wanted);
    end();
}

static void swap_columns(const LeatRow *row, LeatOut *to) {
    leat_out_str(to, 0, leat_row_str(row, 1));
    leat_out_str(to, 1, leat_row_str(row, 0));
    leat_out_str(to, 2, leat_row_str(row, 2));
    leat_out_emit(to);
}

/* Columns with buffers and views of their own, of which all but the first are known only to leat_out_keep. */
TEST(inputs_of_many_buffers_are_not_copied) {
    begin("a STRING, b STRING, c STRING", "a STRING, b STRING, c STRING");
    enum { ROWS = 60, BUFFERS = 20 };
    static View views[3][ROWS];
    Buffer *buffers[3][BUFFERS];
    Text wanted = {0};
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < BUFFERS; i++) {
            CHECK_OK(buffer_create(1000, &budget, "test", &buffers[c][i], &err), err);
            for (int j = 0; j < ROWS / BUFFERS; j++) {
                Buffer *buffer = buffers[c][i];
                Str text = {buffer->data + buffer->size,
                            (size_t)snprintf(buffer->data + buffer->size, 100, "%d:%d:%d%s", c, i, j,
                                             j ? "-and-not-quite-short" : "")};
                views[c][i * 3 + j] = view_of(text, (uint32_t)i, (uint32_t)buffer->size);
                buffer->size += text.size;
            }
        }
    }
    Column columns[3];
    for (int c = 0; c < 3; c++)
        columns[c] = (Column){.type = &in_schema->fields[c].type,
                              .data = views[c],
                              .buffer_count = BUFFERS,
                              .buffers = buffers[c]};
    Chunk chunk = {.schema = in_schema, .columns = columns, .row_count = ROWS, .selected_count = ROWS};
    for (uint32_t i = 0; i < ROWS; i++) {
        Str a = column_str(&columns[0], i), b = column_str(&columns[1], i), c = column_str(&columns[2], i);
        text_appendf(&wanted, "('%.*s', '%.*s', '%.*s')\n", STR_ARG(b), STR_ARG(a), STR_ARG(c));
    }
    run_rows(&chunk, swap_columns);
    check_shown(wanted.data);
    text_deinit(&wanted);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < BUFFERS; i++)
            buffer_release(buffers[c][i]);
    end();
}

/* ---- failures ---- */

static void give_much(const LeatRow *row, LeatOut *to) {
    (void)row;
    char text[1000];
    memset(text, 'x', sizeof text);
    leat_out_str(to, 0, (LeatStr){text, sizeof text});
    leat_out_i64(to, 1, 1);
    leat_out_emit(to);
}

TEST(a_copy_without_memory_is_reported_and_ends_nothing) {
    begin("value STRING", "word STRING, n BIGINT");
    Chunk chunk;
    while (!builder_is_full(in))
        put_line("x");
    builder_chunk(in, &chunk);
    budget.limit_bytes = budget.used_bytes + 500000;
    LeatChunk bound;
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
    LeatRow row = {bound.columns, bound.column_count, 0};
    for (int i = 0; i < 10000; i++)
        give_much(&row, to);
    CHECK_EQ(chunk_count, 0);
    Chunk words = {.row_count = 77};
    CHECK_EQ(builder_out_status(out, &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "flatMap 'words' needs") != NULL);
    err = (Error){0};
    CHECK_EQ(builder_take_out(out, &words, &err), STATUS_NO_MEMORY);
    CHECK_EQ(words.row_count, 77);
    CHECK(strstr(err.message, "flatMap 'words' needs") != NULL);
    /* The next begin starts clean. */
    budget.limit_bytes = UINT64_MAX;
    chunk.selected_count = 1;
    chunk.selection = (const uint16_t[]){5};
    run_rows(&chunk, split_words);
    check_shown("('x', 1)\n");
    end();
}

TEST(a_sink_that_fails_stops_the_rows) {
    begin("value STRING", "word STRING, n BIGINT");
    Chunk chunk;
    while (!builder_is_full(in))
        put_line("a b c d");
    builder_chunk(in, &chunk);
    sink_fails_with = STATUS_UNAVAILABLE;
    run_rows(&chunk, split_words);
    CHECK_EQ(chunk_count, 1);
    CHECK_EQ(take_count, 1); /* the rows after it were dropped without a call */
    CHECK_EQ(builder_out_status(out, &err), STATUS_UNAVAILABLE);
    CHECK_STR(err.message, "the sink is full");
    builder_out_fail(out, STATUS_IO, NULL); /* the first one counts */
    CHECK_EQ(builder_out_status(out, NULL), STATUS_UNAVAILABLE);
    sink_fails_with = STATUS_OK;
    text_reset(&shown);
    run_rows(&chunk, split_words);
    CHECK_EQ(chunk_count, 6); /* four full ones and the empty rest */
    end();
}

/* ---- misuse ---- */

static void check_message_of(void (*mistake)(const LeatRow *row, LeatOut *to), const LeatRow *row,
                             LeatOut *to, const char *message) {
    int ends[2], result = 0;
    char text[500] = {0};
    REQUIRE(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        mistake(row, to);
        _exit(0);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t got;
         size + 1 < sizeof text && (got = read(ends[0], text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)got;
    close(ends[0]);
    waitpid(child, &result, 0);
    CHECK(WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT);
    CHECK_STR(text, message);
}

static void reads_no_such_column(const LeatRow *row, LeatOut *to) {
    leat_out_i64(to, 1, leat_row_i64(row, 5));
}
static void reads_wrong_type(const LeatRow *row, LeatOut *to) {
    leat_out_f64(to, 1, leat_row_f64(row, 0));
}
static void writes_no_such_column(const LeatRow *row, LeatOut *to) {
    leat_out_str(to, 2, leat_row_str(row, 0));
}
static void writes_wrong_type(const LeatRow *row, LeatOut *to) {
    leat_out_str(to, 1, leat_row_str(row, 0));
}
static void counts_no_array(const LeatRow *row, LeatOut *to) {
    leat_out_i64(to, 1, leat_row_array_count(row, 0));
}
static void no_such_struct(const LeatRow *row, LeatOut *to) {
    leat_out_i64(to, 1, leat_row_struct(row, 9).index);
}
static void behind_an_array(const LeatRow *row, LeatOut *to) {
    LeatRow element = leat_row_array_at(row, 1, 2);
    leat_out_i64(to, 1, leat_row_i64(&element, 0));
}
static void reserves_too_much(const LeatRow *row, LeatOut *to) {
    leat_out_reserve(to, 2049 + row->index);
}
static void emits_too_much(const LeatRow *row, LeatOut *to) {
    leat_out_reserve(to, 1);
    leat_out_emit_rows(to, 2049 + row->index);
}

TEST(mistakes_end_with_a_message) {
    begin("value STRING, tags ARRAY<BIGINT>", "word STRING, n BIGINT");
    const Type *array = &in_schema->fields[1].type;
    const int64_t elements[] = {4, 5};
    const int32_t offsets[] = {0, 2};
    const Column element = {.type = &array->fields[0].type, .data = elements};
    const Column column = {.type = array, .data = offsets, .children = &element};
    CHECK_OK(builder_put_str(in, 0, STR("x"), &err), err);
    CHECK_OK(builder_put_value(in, 1, &column, 0, &err), err);
    builder_end_row(in);
    Chunk chunk;
    LeatChunk bound;
    builder_chunk(in, &chunk);
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    LeatRow row = {bound.columns, bound.column_count, 0};
    LeatOut *to = builder_out_begin(out, &chunk, take, &shown);
    check_message_of(reads_no_such_column, &row, to,
                     "leat: leat_row_i64: there is no column 5, the row has 2 (they count from 0)\n");
    check_message_of(reads_wrong_type, &row, to, "leat: leat_row_f64: column 0 is of type STRING\n");
    check_message_of(writes_no_such_column, &row, to,
                     "leat: leat_out_str: there is no column 2, the row has 2 (they count from 0)\n");
    check_message_of(writes_wrong_type, &row, to, "leat: leat_out_str: column 1 is of type BIGINT\n");
    check_message_of(counts_no_array, &row, to, "leat: leat_row_array_count: column 0 is of type STRING\n");
    check_message_of(no_such_struct, &row, to,
                     "leat: leat_row_struct: there is no column 9, the row has 2 (they count from 0)\n");
    check_message_of(behind_an_array, &row, to,
                     "leat: leat_row_array_at: there is no element 2, there are 2\n");
    check_message_of(reserves_too_much, &row, to,
                     "leat: leat_out_reserve: 2049 rows at once, the most is 2048\n");
    check_message_of(emits_too_much, &row, to,
                     "leat: leat_out_emit_rows: 2049 rows, but there is room for 2048\n");
    CHECK_EQ(leat_row_array_count(&row, 1), 2);
    end();
}

TEST_MAIN()
