/* Rows put one by one; chunk sharing and chunk readers over random chunks. What functions
 * write is in row_test.c. */
#include "column/builder.h"
#include "check.h"
#include "column/literal.h"
#include "random_chunk.h"

#include <stdlib.h>

static Budget budget;
static Arena *arena;
static Schema *schema;
static Error err;

static void begin(const char *types) {
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    err = (Error){0};
    if (types)
        REQUIRE(CHECK_OK(schema_parse(arena, str_from(types), 0, &schema, &err), err));
}

static void end(void) {
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static Builder *create(void) {
    Builder *b;
    REQUIRE(CHECK_OK(builder_create(schema, &budget, "test", &b, &err), err));
    return b;
}

static void check_shows(const Chunk *chunk, Str wanted) {
    Text text = {0};
    chunk_verify(chunk);
    chunk_format(chunk, &text);
    check_text(text_str(&text).data, text.size, wanted.data, wanted.size, __FILE__, __LINE__, "rows");
    text_deinit(&text);
}

TEST(chunks_of_every_size) {
    static const uint32_t row_counts[] = {0, 1, 2, 7, 8, 9, 2047, 2048};
    begin("i BIGINT, s STRING, b BOOLEAN, d DOUBLE");
    Builder *b = create();
    for (size_t n = 0; n < ARRAY_COUNT(row_counts); n++) {
        builder_reset(b);
        for (uint32_t i = 0; i < row_counts[n]; i++) {
            char text[64];
            snprintf(text, sizeof text, "row number %u", i); /* 12 bytes, then more */
            CHECK(!builder_is_full(b));
            CHECK_OK(builder_put_i64(b, 0, (int64_t)i - 5, &err), err);
            CHECK_OK(builder_put_str(b, 1, str_from(text), &err), err);
            CHECK_OK(builder_put_bool(b, 2, i % 3 == 0, &err), err);
            CHECK_OK(i % 5 == 2 ? builder_put_null(b, 3, &err) : builder_put_f64(b, 3, i / 2.0, &err), err);
            builder_end_row(b);
        }
        CHECK_EQ(builder_row_count(b), row_counts[n]);
        CHECK_EQ(builder_is_full(b), row_counts[n] == CHUNK_ROWS_MAX);
        Chunk chunk;
        builder_chunk(b, &chunk);
        chunk_verify(&chunk);
        CHECK_EQ(chunk.row_count, row_counts[n]);
        CHECK_EQ(chunk.selected_count, row_counts[n]);
        CHECK_EQ(chunk.columns[3].validity != NULL, row_counts[n] > 2);
        CHECK(chunk.columns[0].validity == NULL);
        for (uint32_t i = 0; i < row_counts[n]; i++) {
            char text[64];
            snprintf(text, sizeof text, "row number %u", i);
            CHECK_EQ(column_i64(&chunk.columns[0], i), (int64_t)i - 5);
            CHECK(str_equal(column_str(&chunk.columns[1], i), str_from(text)));
            CHECK_EQ(column_bool(&chunk.columns[2], i), i % 3 == 0);
            CHECK_EQ(column_is_null(&chunk.columns[3], i), i % 5 == 2);
            CHECK(column_f64(&chunk.columns[3], i) == (i % 5 == 2 ? 0 : i / 2.0));
        }
    }
    builder_destroy(b);
    builder_destroy(NULL);
    end();
}

TEST(strings_of_all_sizes) {
    static const size_t sizes[] = {0,  1, 12, 13, 4096, 16 << 10, (16 << 10) + 1, 1 << 20, (1 << 20) + 1,
                                   12, 13};
    begin("s STRING, x BINARY");
    Builder *b = create();
    char *bytes = malloc(2 << 20);
    memset(bytes, 'x', 2 << 20);
    for (int round = 0; round < 3; round++) {
        builder_reset(b);
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            CHECK_OK(builder_put_str(b, 0, str_slice(bytes + i, sizes[i]), &err), err);
            CHECK_OK(builder_put_str(b, 1, str_slice(bytes, sizes[ARRAY_COUNT(sizes) - 1 - i]), &err), err);
            builder_end_row(b);
        }
        Chunk chunk;
        builder_chunk(b, &chunk);
        chunk_verify(&chunk);
        for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++)
            CHECK(str_equal(column_str(&chunk.columns[0], i), str_slice(bytes, sizes[i])));
    }
    CHECK_OK(builder_put_str(b, 0, (Str){NULL, 0}, &err), err);
    free(bytes);
    builder_destroy(b);
    end();
}

TEST(a_row_that_fails_is_not_there) {
    begin("a ARRAY<STRING>, s STRING, i BIGINT");
    Builder *b = create();
    char *large = calloc(1, 3 << 20);
    Chunk chunk;
    /* One good row. */
    const View elements[] = {view_of(STR("p"), 0, 0), view_of(STR("q"), 0, 0)};
    const int32_t offsets[] = {0, 2};
    const Column element = {.type = &schema->fields[0].type.fields[0].type, .data = elements};
    const Column array = {.type = &schema->fields[0].type, .data = offsets, .children = &element};
    CHECK_OK(builder_put_value(b, 0, &array, 0, &err), err);
    CHECK_OK(builder_put_str(b, 1, STR("first and long enough"), &err), err);
    CHECK_OK(builder_put_i64(b, 2, 1, &err), err);
    builder_end_row(b);
    /* The second one fails in its second column. */
    budget.limit_bytes = budget.used_bytes + (1 << 20);
    CHECK_OK(builder_put_value(b, 0, &array, 0, &err), err);
    CHECK_EQ(builder_put_str(b, 1, str_slice(large, 3 << 20), &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, "test needs") != NULL);
    CHECK_EQ(builder_row_count(b), 1);
    builder_chunk(b, &chunk);
    check_shows(&chunk, STR("(['p', 'q'], 'first and long enough', 1)\n"));
    /* Another takes its place. */
    CHECK_OK(builder_put_null(b, 0, &err), err);
    CHECK_OK(builder_put_str(b, 1, STR("second and long enough"), &err), err);
    CHECK_OK(builder_put_null(b, 2, &err), err);
    builder_end_row(b);
    CHECK_OK(builder_put_value(b, 0, &array, 0, &err), err);
    CHECK_OK(builder_put_null(b, 1, &err), err);
    CHECK_OK(builder_put_i64(b, 2, 3, &err), err);
    builder_end_row(b);
    builder_chunk(b, &chunk);
    check_shows(&chunk,
                STR("(['p', 'q'], 'first and long enough', 1)\n(None, 'second and long enough', None)\n"
                    "(['p', 'q'], None, 3)\n"));
    free(large);
    builder_destroy(b);
    end();
}

TEST(lists_grow_side_by_side) {
    begin("k STRING, a ARRAY<BIGINT>, b ARRAY<STRUCT<s: STRING, n: BIGINT>>, o OPTION<s: STRING, n: BIGINT>");
    Builder *b = create();
    Chunk chunk;
    const View strings[] = {view_of(STR("x"), 0, 0), view_of(STR("y"), 0, 0)};
    const int64_t numbers[] = {7, 0};
    const uint8_t first_only = 1;
    const Type *fields_of = &schema->fields[3].type;
    const Column fields[] = {{.type = &fields_of->fields[0].type, .data = strings},
                             {.type = &fields_of->fields[1].type, .data = numbers, .validity = &first_only}};
    CHECK_OK(builder_begin_list(b, 1, &err), err);
    CHECK_OK(builder_begin_list(b, 2, &err), err);
    for (uint32_t i = 0; i < 200; i++) { /* more than the elements have room for at first */
        CHECK_OK(builder_list_value(b, 1, &fields[1], i % 2, &err), err);
        CHECK_OK(builder_list_struct(b, 2, fields, i % 2, &err), err);
    }
    CHECK_OK(builder_begin_list(b, 1, &err), err); /* begun again: empty again */
    CHECK_OK(builder_begin_list(b, 2, &err), err);
    CHECK_OK(builder_list_value(b, 1, &fields[1], 0, &err), err);
    CHECK_OK(builder_list_struct(b, 2, fields, 1, &err), err);
    CHECK_OK(builder_list_value(b, 1, &fields[1], 1, &err), err);
    CHECK_OK(builder_list_struct(b, 2, fields, 0, &err), err);
    CHECK_OK(builder_put_struct(b, 3, fields, 0, &err), err);
    CHECK_OK(builder_put_str(b, 0, STR("k"), &err), err);
    builder_end_row(b);
    CHECK_OK(builder_put_str(b, 0, STR("l"), &err), err);
    CHECK_OK(builder_begin_list(b, 1, &err), err);
    CHECK_OK(builder_begin_list(b, 2, &err), err);
    CHECK_OK(builder_list_value(b, 1, &fields[1], 0, &err), err);
    CHECK_OK(builder_put_null(b, 3, &err), err);
    builder_end_row(b);
    builder_chunk(b, &chunk);
    check_shows(&chunk, STR("('k', [7, None], [Row(s='y', n=None), Row(s='x', n=7)], Row(s='x', n=7))\n"
                            "('l', [7], [], None)\n"));
    builder_destroy(b);
    end();
}

TEST(an_element_that_fails_is_not_there) {
    begin("a ARRAY<STRUCT<n: BIGINT, s: STRING>>");
    Builder *b = create();
    Chunk chunk;
    const int64_t number = 7;
    const View string = view_of(STR("s"), 0, 0);
    const Field *element = schema->fields[0].type.fields[0].type.fields;
    const Column fields[] = {{.type = &element[0].type, .data = &number},
                             {.type = &element[1].type, .data = &string}};
    int32_t count = 0;
    budget.limit_bytes = budget.used_bytes + 10000;
    CHECK_OK(builder_begin_list(b, 0, &err), err);
    while (builder_list_struct(b, 0, fields, 0, &err) == STATUS_OK)
        count++;
    CHECK_EQ(err.status, STATUS_NO_MEMORY);
    CHECK(count >= 64);
    builder_end_row(b);
    builder_chunk(b, &chunk);
    chunk_verify(&chunk);
    CHECK_EQ(((const int32_t *)chunk.columns[0].data)[1], count);
    builder_destroy(b);
    end();
}

/* ---- random chunks ---- */

typedef struct RandomChunk {
    Builder *builder;
    Text shown;
    size_t row_ends[CHUNK_ROWS_MAX + 1]; /* in `shown`, behind row i at [i + 1] */
} RandomChunk;

static RandomChunk random_chunk(Random *random, uint32_t row_count) {
    RandomChunk r = {.builder = create()};
    for (uint32_t i = 0; i < row_count; i++) {
        REQUIRE(CHECK_OK(random_row(random, r.builder, schema, &r.shown, &err), err));
        r.row_ends[i + 1] = r.shown.size;
    }
    return r;
}

static void random_select(Random *random, const RandomChunk *r, Chunk *chunk, uint16_t *selection,
                          Text *wanted) {
    chunk->selection = selection;
    chunk->selected_count = 0;
    uint64_t one_of = 1 + random_below(random, 10);
    for (uint32_t i = 0; i < chunk->row_count; i++)
        if (random_below(random, one_of) == 0) {
            selection[chunk->selected_count++] = (uint16_t)i;
            text_append(wanted,
                        str_slice(r->shown.data + r->row_ends[i], r->row_ends[i + 1] - r->row_ends[i]));
        }
}

static size_t pinned_bytes(const Column *column) {
    size_t pinned = 0;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        pinned += column->buffers[i]->capacity;
    return pinned;
}

TEST(random_chunks_are_shared_and_copied) {
    uint64_t seed = check_seed();
    Random random;
    random_init(&random, seed);
    for (int round = 0; round < 60; round++) {
        static const uint32_t row_counts[] = {0, 1, 3, 100, 300};
        uint16_t selection[CHUNK_ROWS_MAX];
        begin(NULL);
        schema = random_schema(&random, arena, true, 0);
        RandomChunk r = random_chunk(&random, row_counts[random_below(&random, ARRAY_COUNT(row_counts))]);
        Chunk chunk;
        Text wanted = {0};
        builder_chunk(r.builder, &chunk);
        check_shows(&chunk, text_str(&r.shown));

        /* Shared whole and in part: the same rows, whatever the builder does then. */
        SharedChunk *whole, *part;
        CHECK_OK(chunk_share(&chunk, &budget, "test", &whole, &err), err);
        random_select(&random, &r, &chunk, selection, &wanted);
        check_shows(&chunk, text_str(&wanted));
        CHECK_OK(chunk_share(&chunk, &budget, "test", &part, &err), err);
        Text ignored = {0};
        for (int i = 0; i < 20; i++)
            CHECK_OK(random_row(&random, r.builder, schema, &ignored, &err), err);
        builder_reset(r.builder);
        for (int i = 0; i < 300; i++)
            CHECK_OK(random_row(&random, r.builder, schema, &ignored, &err), err);
        check_shows(shared_chunk_view(whole), text_str(&r.shown));
        check_shows(shared_chunk_view(part), text_str(&wanted));

        /* I4, for top-level columns. */
        const Chunk *view = shared_chunk_view(part);
        for (uint32_t c = 0; c < schema->column_count; c++) {
            size_t referenced = 0;
            if (view->columns[c].buffer_count)
                for (uint32_t i = 0; i < view->row_count; i++)
                    referenced += column_str(&view->columns[c], i).size;
            CHECK(pinned_bytes(&view->columns[c]) <= 2 * referenced + 4096);
        }

        /* Copied value by value, last row first. */
        builder_reset(r.builder);
        text_reset(&wanted);
        for (uint32_t i = shared_chunk_view(whole)->row_count; i-- > 0;) {
            for (uint32_t c = 0; c < schema->column_count; c++)
                CHECK_OK(builder_put_value(r.builder, c, &shared_chunk_view(whole)->columns[c], i, &err),
                         err);
            builder_end_row(r.builder);
            text_append(&wanted, str_slice(r.shown.data + r.row_ends[i], r.row_ends[i + 1] - r.row_ends[i]));
        }
        shared_chunk_release(part);
        shared_chunk_release(whole);
        builder_chunk(r.builder, &chunk);
        check_shows(&chunk, text_str(&wanted));

        text_deinit(&ignored);
        text_deinit(&wanted);
        text_deinit(&r.shown);
        builder_destroy(r.builder);
        end();
    }
}

/* What nested values consist of, put piece by piece. */
CHECKED static Status put_pieces(Builder *b, uint32_t column, const Column *from, uint32_t row) {
    if (column_is_null(from, row))
        return builder_put_null(b, column, &err);
    if (from->type->kind == LEAT_STRUCT)
        return builder_put_struct(b, column, from->children, row, &err);
    if (from->type->kind != LEAT_ARRAY)
        return builder_put_value(b, column, from, row, &err);
    const Column *elements = &from->children[0];
    const int32_t *offsets = from->data;
    TRY(builder_begin_list(b, column, &err));
    for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
        bool is_struct = elements->type->kind == LEAT_STRUCT && !column_is_null(elements, (uint32_t)i);
        TRY(is_struct ? builder_list_struct(b, column, elements->children, (uint32_t)i, &err)
                      : builder_list_value(b, column, elements, (uint32_t)i, &err));
    }
    return STATUS_OK;
}

TEST(nested_columns_are_put_together) {
    uint64_t seed = check_seed();
    Random random;
    random_init(&random, seed);
    for (int round = 0; round < 100; round++) {
        begin(NULL);
        schema = random_schema(&random, arena, true, 0);
        RandomChunk r = random_chunk(&random, (uint32_t)random_below(&random, 200));
        Builder *pieces = create();
        Chunk chunk, again;
        builder_chunk(r.builder, &chunk);
        for (uint32_t row = 0; row < chunk.row_count; row++) {
            for (uint32_t c = schema->column_count; c-- > 0;)
                CHECK_OK(put_pieces(pieces, c, &chunk.columns[c], row), err);
            builder_end_row(pieces);
        }
        builder_chunk(pieces, &again);
        check_shows(&again, text_str(&r.shown));
        builder_destroy(pieces);
        text_deinit(&r.shown);
        builder_destroy(r.builder);
        end();
    }
}

/* ---- chunk reader ---- */

/* The value as functions of the user read it, in the form of column_format. */
static void row_format(const LeatRow *row, uint32_t column, const Type *type, Text *out) {
    if (leat_row_is_null(row, column)) {
        text_append(out, STR("None"));
        return;
    }
    switch (type->kind) {
    case LEAT_BOOLEAN:
        literal_bool(leat_row_bool(row, column), out);
        return;
    case LEAT_TINYINT:
        literal_i64(leat_row_i8(row, column), out);
        return;
    case LEAT_SMALLINT:
        literal_i64(leat_row_i16(row, column), out);
        return;
    case LEAT_INT:
        literal_i64(leat_row_i32(row, column), out);
        return;
    case LEAT_BIGINT:
        literal_i64(leat_row_i64(row, column), out);
        return;
    case LEAT_FLOAT:
        literal_f64((double)leat_row_f32(row, column), out);
        return;
    case LEAT_DECIMAL:
        CHECK_EQ(row->columns[column].precision, type->precision);
        literal_decimal(leat_row_decimal(row, column), row->columns[column].scale, out);
        return;
    case LEAT_DATE:
        literal_date(leat_row_i32(row, column), out);
        return;
    case LEAT_DOUBLE:
        literal_f64(leat_row_f64(row, column), out);
        return;
    case LEAT_STRING:
        literal_string(leat_row_str(row, column), out);
        return;
    case LEAT_BINARY:
        literal_binary(leat_row_str(row, column), out);
        return;
    case LEAT_TIMESTAMP:
        literal_timestamp(leat_row_i64(row, column), out);
        return;
    case LEAT_ARRAY:
        text_append_byte(out, '[');
        for (uint32_t i = 0; i < leat_row_array_count(row, column); i++) {
            LeatRow element = leat_row_array_at(row, column, i);
            text_append(out, i ? STR(", ") : STR(""));
            row_format(&element, 0, &type->fields[0].type, out);
        }
        text_append_byte(out, ']');
        return;
    case LEAT_STRUCT: {
        LeatRow fields = leat_row_struct(row, column);
        text_append(out, STR("Row("));
        for (uint32_t i = 0; i < type->field_count; i++) {
            text_appendf(out, "%s%s=", i ? ", " : "", type->fields[i].name);
            row_format(&fields, i, &type->fields[i].type, out);
        }
        text_append_byte(out, ')');
        return;
    }
    case LEAT_MAP:
        text_append_byte(out, '{');
        for (uint32_t i = 0; i < leat_row_map_count(row, column); i++) {
            LeatRow entry = leat_row_map_at(row, column, i);
            text_append(out, i ? STR(", ") : STR(""));
            row_format(&entry, 0, &type->fields[0].type, out);
            text_append(out, STR(": "));
            row_format(&entry, 1, &type->fields[1].type, out);
        }
        text_append_byte(out, '}');
        return;
    }
}

static void check_reads(ChunkReader *reader, const Chunk *chunk, Str wanted) {
    LeatChunk bound;
    Text text = {0};
    REQUIRE(CHECK_OK(chunk_reader_bind(reader, chunk, &bound, &err), err));
    CHECK_EQ(bound.row_count, chunk->row_count);
    CHECK_EQ(bound.column_count, schema->column_count);
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        LeatRow row = {bound.columns, bound.column_count, chunk_row(chunk, i)};
        text_append_byte(&text, '(');
        for (uint32_t c = 0; c < schema->column_count; c++) {
            text_append(&text, c ? STR(", ") : STR(""));
            row_format(&row, c, &schema->fields[c].type, &text);
        }
        text_append(&text, STR(")\n"));
    }
    check_text(text_str(&text).data, text.size, wanted.data, wanted.size, __FILE__, __LINE__, "rows");
    text_deinit(&text);
}

TEST(readers_give_what_is_in_the_chunk) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 60; round++) {
        uint16_t selection[CHUNK_ROWS_MAX];
        begin(NULL);
        schema = random_schema(&random, arena, true, 0);
        ChunkReader *reader;
        CHECK_OK(chunk_reader_create(schema, &budget, "test", &reader, &err), err);
        for (uint32_t row_count = 0; row_count < 1000; row_count = row_count * 4 + 1) {
            RandomChunk r = random_chunk(&random, row_count);
            Chunk chunk;
            Text wanted = {0};
            builder_chunk(r.builder, &chunk);
            check_reads(reader, &chunk, text_str(&r.shown));
            random_select(&random, &r, &chunk, selection, &wanted);
            check_reads(reader, &chunk, text_str(&wanted));
            text_deinit(&wanted);
            text_deinit(&r.shown);
            builder_destroy(r.builder);
        }
        chunk_reader_destroy(reader);
        end();
    }
    chunk_reader_destroy(NULL);
}

TEST(readers_of_constants_and_nulls) {
    begin("s STRING, i BIGINT, b BOOLEAN, n STRING, t TINYINT, d DECIMAL(4, 1)");
    const View view = view_of(STR("short"), 0, 0), empty = {0};
    const int64_t value = -1;
    const int8_t tiny = -2;
    const LeatDecimal decimal = -1205;
    const uint8_t one_bit = 1, no_bit = 0;
    const Column columns[] = {
        {.type = &schema->fields[0].type, .data = &view, .is_constant = true},
        {.type = &schema->fields[1].type, .data = &value, .is_constant = true},
        {.type = &schema->fields[2].type, .data = &one_bit, .is_constant = true},
        {.type = &schema->fields[3].type, .data = &empty, .validity = &no_bit, .is_constant = true},
        {.type = &schema->fields[4].type, .data = &tiny, .is_constant = true},
        {.type = &schema->fields[5].type, .data = &decimal, .is_constant = true},
    };
    const Chunk chunk = {.schema = schema, .columns = columns, .row_count = 2, .selected_count = 2};
    ChunkReader *reader;
    LeatChunk bound;
    CHECK_OK(chunk_reader_create(schema, &budget, "test", &reader, &err), err);
    check_reads(reader, &chunk,
                STR("('short', -1, True, None, -2, Decimal('-120.5'))\n"
                    "('short', -1, True, None, -2, Decimal('-120.5'))\n"));
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    LeatRow row = {bound.columns, bound.column_count, 1};
    CHECK_EQ(leat_row_str(&row, 3).size, 0);
    CHECK(leat_row_str(&row, 3).data != NULL);
    chunk_reader_destroy(reader);
    end();
}

/* ---- budgets ---- */

TEST(every_budget_is_enough_or_refused) {
    begin("a ARRAY<STRUCT<x: STRING, y: ARRAY<DOUBLE>>>, s STRING, b BOOLEAN");
    Random random;
    random_init(&random, 7);
    bool was_enough = false;
    uint64_t needed = 0;
    for (int64_t limit = -1; limit <= (int64_t)needed; limit += limit < 0 ? 1 : 777) {
        Budget tight;
        Builder *b = NULL;
        ChunkReader *reader = NULL;
        Text shown = {0};
        /* The first run measures. */
        budget_init(&tight, "tight", limit < 0 ? UINT64_MAX : (uint64_t)limit, NULL);
        Status st = builder_create(schema, &tight, "rows", &b, &err);
        for (int i = 0; i < 300 && st == STATUS_OK; i++) {
            size_t before = shown.size;
            st = random_row(&random, b, schema, &shown, &err);
            if (st != STATUS_OK)
                shown.size = before;
        }
        if (b) {
            Chunk chunk;
            builder_chunk(b, &chunk);
            check_shows(&chunk, text_str(&shown)); /* what fitted is there */
            if (st == STATUS_OK)
                st = chunk_reader_create(schema, &tight, "rows", &reader, &err);
            if (st == STATUS_OK) {
                LeatChunk bound;
                st = chunk_reader_bind(reader, &chunk, &bound, &err);
            }
        }
        CHECK(st == STATUS_OK || (st == STATUS_NO_MEMORY && strstr(err.message, "rows needs")));
        was_enough |= st == STATUS_OK;
        if (limit < 0)
            needed = tight.peak_bytes;
        text_deinit(&shown);
        chunk_reader_destroy(reader);
        builder_destroy(b);
        CHECK_EQ(tight.used_bytes, 0);
    }
    CHECK(was_enough);
    end();
}

/* I3: not even the size of a buffer that is shared changes. */
TEST(a_shared_buffer_is_left_alone) {
    begin("s STRING");
    Builder *b = create();
    SharedChunk *shared;
    Chunk chunk;
    for (int i = 0; i < 300; i++) {
        CHECK_OK(builder_put_str(b, 0, STR("a string of about forty bytes, which it is"), &err), err);
        builder_end_row(b);
    }
    builder_chunk(b, &chunk);
    CHECK_OK(chunk_share(&chunk, &budget, "test", &shared, &err), err);
    const Column *column = &shared_chunk_view(shared)->columns[0];
    CHECK_EQ(column->buffer_count, 1);
    CHECK(column->buffers[0] == chunk.columns[0].buffers[0]);
    size_t size = column->buffers[0]->size;
    CHECK_OK(builder_put_str(b, 0, STR("more than twelve bytes"), &err), err);
    builder_end_row(b);
    CHECK_EQ(column->buffers[0]->size, size);
    builder_chunk(b, &chunk);
    chunk_verify(&chunk);
    CHECK(str_equal(column_str(&chunk.columns[0], 300), STR("more than twelve bytes")));
    builder_destroy(b);
    chunk_verify(shared_chunk_view(shared));
    shared_chunk_release(shared);
    end();
}

TEST(a_warm_builder_allocates_nothing) {
    begin("s STRING");
    Builder *b = create();
    uint64_t warm = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CHUNK_ROWS_MAX; i++) {
            CHECK_OK(builder_put_str(b, 0, STR("a string of about forty bytes, which it is"), &err), err);
            builder_end_row(b);
        }
        builder_reset(b);
        if (round == 1)
            warm = budget.peak_bytes;
    }
    CHECK_EQ(budget.peak_bytes, warm);
    builder_destroy(b);
    end();
}

TEST_MAIN()
