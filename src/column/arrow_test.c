/* Random chunks through Arrow and back; what other producers write; structs that contradict themselves. */
#include "column/arrow.h"
#include "check.h"
#include "random_chunk.h"

#include <stdlib.h>

static Budget budget;
static Arena *arena;
static Error err;

static void begin(void) {
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    err = (Error){0};
}

static void end(void) {
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static Schema *parse(const char *types) {
    Schema *schema;
    REQUIRE(CHECK_OK(schema_parse(arena, str_from(types), 0, &schema, &err), err));
    return schema;
}

static Builder *create(const Schema *schema) {
    Builder *b;
    REQUIRE(CHECK_OK(builder_create(schema, &budget, "test", &b, &err), err));
    return b;
}

static void release(struct ArrowSchema *schema, struct ArrowArray *array) {
    if (schema->release)
        schema->release(schema);
    if (array->release)
        array->release(array);
    CHECK(!schema->release && !array->release);
}

/* ---- there and back ---- */

static void add_chunk(ArrowExport *export, ChunkReader *reader, Builder *rows) {
    Chunk chunk;
    LeatChunk bound;
    builder_chunk(rows, &chunk);
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    CHECK_OK(arrow_export_add(export, &bound, &err), err);
}

/* The rows as chunk_format shows them. */
static void check_rows(const struct ArrowSchema *schema, const struct ArrowArray *array, Str wanted) {
    ArrowReader *reader;
    Text shown = {0};
    REQUIRE(CHECK_OK(arrow_reader_create(schema, array, &reader, &err), err));
    Builder *b = create(arrow_reader_schema(reader));
    for (uint64_t row = 0; row < arrow_reader_row_count(reader); row++) {
        CHECK_OK(arrow_reader_put(reader, row, b, &err), err);
        builder_end_row(b);
        if (builder_is_full(b) || row + 1 == arrow_reader_row_count(reader)) {
            Chunk chunk;
            builder_chunk(b, &chunk);
            chunk_verify(&chunk);
            chunk_format(&chunk, &shown);
            builder_reset(b);
        }
    }
    check_text(text_str(&shown).data, shown.size, wanted.data, wanted.size, __FILE__, __LINE__, "rows");
    text_deinit(&shown);
    builder_destroy(b);
    arrow_reader_destroy(reader);
}

TEST(random_chunks_come_back) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 120; round++) {
        begin();
        Schema *schema = random_schema(&random, arena, true, 0);
        Builder *b = create(schema);
        ChunkReader *reader;
        CHECK_OK(chunk_reader_create(schema, &budget, "test", &reader, &err), err);
        Text shown = {0};
        size_t row_ends[2000] = {0};
        int64_t row_count = 0;
        ArrowExport *export = arrow_export_create(schema, &budget);
        for (uint64_t chunks = random_below(&random, 4); chunks > 0; chunks--) {
            builder_reset(b);
            for (uint64_t i = random_below(&random, 400); i > 0; i--) {
                CHECK_OK(random_row(&random, b, schema, &shown, &err), err);
                row_ends[++row_count] = shown.size;
            }
            add_chunk(export, reader, b);
        }
        builder_destroy(b); /* the copy is on its own */
        chunk_reader_destroy(reader);
        struct ArrowSchema arrow_schema;
        struct ArrowArray array;
        arrow_export_finish(export, &arrow_schema, &array);
        CHECK_EQ(array.length, row_count);
        check_rows(&arrow_schema, &array, text_str(&shown));
        /* A slice, by the offset of the batch; then one of each column. */
        int64_t offset = (int64_t)random_below(&random, (uint64_t)row_count + 1);
        int64_t length = (int64_t)random_below(&random, (uint64_t)(row_count - offset) + 1);
        Str slice =
            str_slice(text_str(&shown).data + row_ends[offset], row_ends[offset + length] - row_ends[offset]);
        array.offset = offset;
        array.length = length;
        check_rows(&arrow_schema, &array, slice);
        array.offset = 0;
        for (int64_t c = 0; c < array.n_children; c++) {
            array.children[c]->offset = offset;
            array.children[c]->length = length;
            array.children[c]->null_count = array.children[c]->null_count ? -1 : 0;
        }
        check_rows(&arrow_schema, &array, slice);
        text_deinit(&shown);
        release(&arrow_schema, &array);
        end();
    }
}

TEST(every_budget_is_enough_or_refused) {
    begin();
    Random random;
    random_init(&random, 7);
    Schema *schema =
        parse("a ARRAY<STRUCT<x: STRING, y: MAP<INT, DOUBLE>>>, s STRING, b BOOLEAN, d DECIMAL(9, 2)");
    Builder *b = create(schema);
    ChunkReader *reader;
    Chunk chunk;
    LeatChunk bound;
    Text shown = {0};
    CHECK_OK(chunk_reader_create(schema, &budget, "test", &reader, &err), err);
    for (int i = 0; i < 500; i++)
        CHECK_OK(random_row(&random, b, schema, &shown, &err), err);
    builder_chunk(b, &chunk);
    CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
    uint64_t needed = 0, refused = 0;
    for (int64_t limit = -1; limit <= (int64_t)needed; limit += limit < 0 ? 1 : 997) {
        Budget tight; /* the first run measures */
        budget_init(&tight, "tight", limit < 0 ? UINT64_MAX : (uint64_t)limit, NULL);
        ArrowExport *export = arrow_export_create(schema, &tight);
        Status st = arrow_export_add(export, &bound, &err);
        if (st == STATUS_OK) {
            struct ArrowSchema arrow_schema;
            struct ArrowArray array;
            arrow_export_finish(export, &arrow_schema, &array);
            check_rows(&arrow_schema, &array, text_str(&shown));
            release(&arrow_schema, &array);
        } else {
            CHECK_EQ(st, STATUS_NO_MEMORY);
            CHECK(strstr(err.message, "Arrow export needs") != NULL);
            arrow_export_destroy(export);
            refused++;
        }
        if (limit < 0)
            needed = tight.peak_bytes;
        CHECK_EQ(tight.used_bytes, 0);
    }
    CHECK(refused > 10);
    text_deinit(&shown);
    chunk_reader_destroy(reader);
    builder_destroy(b);
    end();
}

TEST(children_may_be_moved_away) {
    begin();
    Schema *schema = parse("a STRING, b ARRAY<STRING>");
    struct ArrowSchema arrow_schema, schema_b;
    struct ArrowArray array, b;
    arrow_export_finish(arrow_export_create(schema, &budget), &arrow_schema, &array);
    b = *array.children[1];
    array.children[1]->release = NULL;
    schema_b = *arrow_schema.children[1];
    arrow_schema.children[1]->release = NULL;
    release(&arrow_schema, &array);
    CHECK_STR(schema_b.name, "b");
    CHECK_STR(schema_b.format, "+l");
    CHECK_STR(schema_b.children[0]->name, "item");
    CHECK_STR(schema_b.children[0]->format, "vu");
    CHECK_EQ(b.length, 0);
    release(&schema_b, &b);
    end();
}

TEST(formats_are_those_of_the_header) {
    begin();
    Schema *schema =
        parse("a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, h DECIMAL(9, 2), "
              "i STRING, j BINARY, k DATE, l TIMESTAMP, m ARRAY<INT>, n OPTION<x: INT>, o MAP<INT, INT>");
    static const char *const formats[] = {"b",  "c",  "s",   "i",       "l",  "f",  "g", "d:9,2",
                                          "vu", "vz", "tdD", "tsu:UTC", "+l", "+s", "+m"};
    struct ArrowSchema arrow_schema;
    struct ArrowArray array;
    arrow_export_finish(arrow_export_create(schema, &budget), &arrow_schema, &array);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++)
        CHECK_STR(arrow_schema.children[i]->format, formats[i]);
    CHECK_EQ(arrow_schema.flags, 0);
    CHECK_EQ(arrow_schema.children[0]->flags, ARROW_FLAG_NULLABLE);
    const struct ArrowSchema *entries = arrow_schema.children[14]->children[0];
    CHECK_STR(entries->format, "+s");
    CHECK_EQ(entries->children[0]->flags, 0);
    CHECK_EQ(entries->children[1]->flags, ARROW_FLAG_NULLABLE);
    release(&arrow_schema, &array);
    end();
}

/* ---- other producers: structs by hand ---- */

static void nothing_of_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}
static void nothing_of_array(struct ArrowArray *array) {
    array->release = NULL;
}

/* A record batch of one column `v`, whose parts the tests change. */
typedef struct Batch {
    struct ArrowSchema root_schema, schema, child_schema, grandchild_schemas[2];
    struct ArrowArray root, array, child, grandchildren[2];
    struct ArrowSchema *schemas[1], *child_schemas[1], *grandchild_schema_list[2];
    struct ArrowArray *arrays[1], *children[1], *grandchild_list[2];
    const void *root_buffers[1], *buffers[6], *child_buffers[6], *grandchild_buffers[2][6];
} Batch;

static struct ArrowSchema schema_of(const char *format, const char *name) {
    return (struct ArrowSchema){.format = format, .name = name, .release = nothing_of_schema};
}

static struct ArrowArray array_of(int64_t length, int64_t buffer_count, const void **buffers) {
    return (struct ArrowArray){
        .length = length, .n_buffers = buffer_count, .buffers = buffers, .release = nothing_of_array};
}

static void batch_of(Batch *b, const char *format, int64_t length, int64_t buffer_count) {
    *b = (Batch){.schema = schema_of(format, "v"), .root_schema = schema_of("+s", "")};
    b->array = array_of(length, buffer_count, b->buffers);
    b->root = array_of(length, 1, b->root_buffers);
    b->schemas[0] = &b->schema;
    b->root_schema.children = b->schemas;
    b->root_schema.n_children = 1;
    b->arrays[0] = &b->array;
    b->root.children = b->arrays;
    b->root.n_children = 1;
}

static void child_of(Batch *b, const char *format, int64_t length, int64_t buffer_count) {
    b->child_schema = schema_of(format, "item");
    b->child = array_of(length, buffer_count, b->child_buffers);
    b->child_schemas[0] = &b->child_schema;
    b->schema.children = b->child_schemas;
    b->schema.n_children = 1;
    b->children[0] = &b->child;
    b->array.children = b->children;
    b->array.n_children = 1;
}

/* Keys and values of a map; both INT. */
static void grandchildren_of(Batch *b, int64_t length) {
    for (int i = 0; i < 2; i++) {
        b->grandchild_schemas[i] = schema_of("i", i ? "value" : "key");
        b->grandchildren[i] = array_of(length, 2, b->grandchild_buffers[i]);
        b->grandchild_schema_list[i] = &b->grandchild_schemas[i];
        b->grandchild_list[i] = &b->grandchildren[i];
    }
    b->child_schema.children = b->grandchild_schema_list;
    b->child.children = b->grandchild_list;
    b->child_schema.n_children = b->child.n_children = 2;
}

static void check_shows(Batch *b, const char *wanted) {
    begin();
    check_rows(&b->root_schema, &b->root, str_from(wanted));
    end();
}

TEST(strings_of_every_layout) {
    Batch b;
    const int32_t offsets[] = {1, 4, 4, 4, 24};
    const int64_t large_offsets[] = {1, 4, 4, 4, 24};
    const uint8_t validity = 0xfd;
    batch_of(&b, "u", 4, 3);
    b.buffers[0] = &validity;
    b.array.null_count = 1;
    b.buffers[1] = offsets;
    b.buffers[2] = "xonetwenty bytes, no less!";
    check_shows(&b, "('one')\n(None)\n('')\n('twenty bytes, no les')\n");
    b.schema.format = "U";
    b.buffers[1] = large_offsets;
    check_shows(&b, "('one')\n(None)\n('')\n('twenty bytes, no les')\n");
    b.schema.format = "Z";
    check_shows(&b, "(b'one')\n(None)\n(b'')\n(b'twenty bytes, no les')\n");
    b.schema.format = "z";
    b.buffers[1] = offsets;
    b.array.null_count = -1; /* not counted */
    check_shows(&b, "(b'one')\n(None)\n(b'')\n(b'twenty bytes, no les')\n");
    b.buffers[0] = NULL; /* -1 and no bits: no nulls */
    check_shows(&b, "(b'one')\n(b'')\n(b'')\n(b'twenty bytes, no les')\n");
}

TEST(values_that_are_not_aligned) {
    Batch b;
    char bytes[64] = {0};
    const int64_t values[] = {-5, 7};
    const LeatDecimal decimals[] = {-120, 99999};
    batch_of(&b, "l", 2, 2);
    memcpy(bytes + 1, values, sizeof values);
    b.buffers[1] = bytes + 1;
    check_shows(&b, "(-5)\n(7)\n");
    b.schema.format = "tsu:Europe/Berlin";
    check_shows(&b, "(1969-12-31 23:59:59.999995Z)\n(1970-01-01 00:00:00.000007Z)\n");
    b.schema.format = "d:5,2,128";
    memcpy(bytes + 1, decimals, sizeof decimals);
    check_shows(&b, "(Decimal('-1.20'))\n(Decimal('999.99'))\n");
    b.schema.name = NULL;
    check_shows(&b, "(Decimal('-1.20'))\n(Decimal('999.99'))\n");
}

/* Offsets of the batch, the array, and the elements of a list together. */
TEST(slices_of_lists_and_maps) {
    Batch b;
    const int32_t offsets[] = {0, 1, 3, 3, 4}, keys[] = {9, 10, 11, 12, 13, 14, 15},
                  values[] = {0, 1, 2, 3, 4, 5, 6};
    const uint8_t first_is_null = 0xfe;
    batch_of(&b, "+l", 2, 2);
    child_of(&b, "i", 4, 2);
    b.root.offset = 1;
    b.root.length = 1;
    b.array.offset = 1;
    b.array.length = 3;
    b.child.offset = 2;
    b.buffers[1] = offsets;
    b.child_buffers[1] = keys;
    check_shows(&b, "([])\n");
    b.root.offset = 0;
    check_shows(&b, "([12, 13])\n");
    b.schema.format = "+m";
    b.child_schema.format = "+s";
    b.child.n_buffers = 1;
    b.child.offset = 1;
    grandchildren_of(&b, 6);
    b.grandchildren[0].offset = 1;
    b.grandchild_buffers[0][1] = keys;
    b.grandchild_buffers[1][1] = values;
    b.root.length = 3;
    check_shows(&b, "({12: 2, 13: 3})\n({})\n({14: 4})\n");
    b.grandchild_buffers[1][0] = &first_is_null; /* of a slot that no row leads to */
    b.grandchildren[1].null_count = 1;
    check_shows(&b, "({12: 2, 13: 3})\n({})\n({14: 4})\n");
}

static const char *refusal(const Batch *b) {
    ArrowReader *reader = (ArrowReader *)1;
    static Error error;
    error = (Error){0};
    Status st = arrow_reader_create(&b->root_schema, &b->root, &reader, &error);
    CHECK(st == STATUS_INVALID || st == STATUS_UNSUPPORTED);
    CHECK(reader == NULL);
    if (reader)
        arrow_reader_destroy(reader);
    return error.message;
}

TEST(formats_that_there_is_no_type_for) {
    static const char *const formats[] = {"",       "n",     "C",     "L",         "e",   "+L",
                                          "+w:3",   "+ud:0", "tsn:",  "tts",       "tDu", "d:39,0",
                                          "d:5",    "d:5,6", "d:0,0", "d:5,2,256", "d:",  "d:a,b",
                                          "d:5,2,", "vU",    "bb",    "\x1b[2J",   "tiD", "w:4"};
    Batch b;
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        batch_of(&b, formats[i], 0, 2);
        CHECK(strncmp(refusal(&b), "Arrow: column 'v': there is no type for the format '", 52) == 0);
    }
    batch_of(&b, NULL, 0, 2);
    CHECK_STR(refusal(&b), "Arrow: column 'v': it has no format");
    batch_of(&b, "i", 0, 2);
    b.schema.dictionary = &b.child_schema;
    CHECK_STR(refusal(&b), "Arrow: column 'v': it is dictionary-encoded");
    batch_of(&b, "i", 0, 2);
    b.root_schema.format = "i";
    CHECK_STR(refusal(&b), "Arrow: a record batch is wanted, which is a struct of its columns");
    batch_of(&b, "i", 0, 2);
    b.root.release = NULL;
    CHECK_STR(refusal(&b), "Arrow: the record batch was released");
    batch_of(&b, "i", 0, 2);
    b.schema.release = NULL;
    CHECK_STR(refusal(&b), "Arrow: column '(record batch)': a child of its schema is missing or released");
    batch_of(&b, "+l", 0, 2);
    b.schema.n_children = -1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': -1 children in its schema");
    child_of(&b, "+l", 0, 2); /* a circle */
    b.child_schema.children = b.child_schemas;
    b.child_schema.n_children = 1;
    CHECK_STR(refusal(&b), "Arrow: column 'item': types are nested deeper than 16");
    batch_of(&b, "+m", 0, 2);
    child_of(&b, "i", 0, 2);
    CHECK_STR(refusal(&b), "Arrow: column 'v': the entries of a map are no struct");
}

TEST(arrays_that_contradict_themselves) {
    Batch b;
    const int32_t descending[] = {0, 3, 2}, negative[] = {-1, 3, 3}, good[] = {0, 1, 3}, keys[] = {1, 2, 3};
    const uint8_t none = 0;
    batch_of(&b, "i", 2, 2);
    CHECK_STR(refusal(&b), "Arrow: column 'v': there is no buffer of values");
    b.buffers[1] = good;
    b.array.length = 1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 1 values where 2 are wanted");
    b.array.length = -1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': its length or offset is no length");
    b.array.length = 2;
    b.array.offset = INT64_MAX;
    CHECK_STR(refusal(&b), "Arrow: column 'v': its length or offset is no length");
    b.array.offset = 0;
    b.root.offset = 1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 2 values where 3 are wanted");
    b.root.offset = 0;
    b.array.null_count = 1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': it has nulls, but no validity buffer");
    b.array.null_count = 3;
    CHECK_STR(refusal(&b), "Arrow: column 'v': its number of nulls is none");
    b.array.null_count = 0;
    b.array.n_buffers = 3;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 3 buffers where 2 are wanted");
    b.array.n_buffers = 2;
    b.array.buffers = NULL;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 2 buffers where 2 are wanted");
    b.array.buffers = b.buffers;
    b.array.n_children = 1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 1 children where 0 are wanted");
    b.array.n_children = 0;
    b.array.dictionary = &b.child;
    CHECK_STR(refusal(&b), "Arrow: column 'v': it has a dictionary that its schema does not have");
    b.array.dictionary = NULL;
    b.array.release = NULL;
    CHECK_STR(refusal(&b), "Arrow: column '(record batch)': a child is missing or released");
    b.array.release = nothing_of_array;
    b.root_buffers[0] = &none;
    b.root.null_count = -1;
    CHECK_STR(refusal(&b), "Arrow: a row of the record batch is null");

    batch_of(&b, "u", 2, 3);
    b.buffers[1] = good;
    CHECK_STR(refusal(&b), "Arrow: column 'v': there is no buffer of bytes");
    b.buffers[2] = "abc";
    b.buffers[1] = descending;
    CHECK_STR(refusal(&b), "Arrow: column 'v': offsets descend");
    b.buffers[1] = negative;
    CHECK_STR(refusal(&b), "Arrow: column 'v': offsets descend");
    const int64_t wide[] = {0, INT64_C(1) << 40, INT64_MIN}, wider[] = {5, INT64_MIN, 0};
    b.schema.format = "U";
    b.buffers[1] = wide;
    CHECK_STR(refusal(&b), "Arrow: column 'v': a string of more than 2 GiB");
    b.buffers[1] = wider;
    CHECK_STR(refusal(&b), "Arrow: column 'v': offsets descend");

    batch_of(&b, "+l", 2, 2);
    child_of(&b, "i", 2, 2);
    b.child_buffers[1] = keys;
    b.buffers[1] = descending;
    CHECK_STR(refusal(&b), "Arrow: column 'v': offsets descend");
    b.buffers[1] = good;
    CHECK_STR(refusal(&b), "Arrow: column 'item': 2 values where 3 are wanted");
    b.schema.format = "+m";
    b.child_schema.format = "+s";
    b.child.n_buffers = 1;
    grandchildren_of(&b, 3);
    b.grandchild_buffers[0][1] = b.grandchild_buffers[1][1] = keys;
    CHECK_STR(refusal(&b), "Arrow: column 'v': it has fewer entries than its offsets say");
    b.child.length = 3;
    b.grandchild_buffers[0][0] = &none;
    b.grandchildren[0].null_count = -1;
    CHECK_STR(refusal(&b), "Arrow: column 'v': a key of a map is null");
    b.grandchildren[0].null_count = 0;
    b.child_buffers[0] = &none;
    b.child.null_count = 3;
    CHECK_STR(refusal(&b), "Arrow: column 'v': an entry of a map is null");

    const LeatDecimal decimals[] = {99, 100};
    batch_of(&b, "d:2,0", 2, 2);
    b.buffers[1] = decimals;
    CHECK_STR(refusal(&b), "Arrow: column 'v': a number of more digits than its type has");
}

TEST(views_that_leave_their_buffers) {
    Batch b;
    char block[20] = {0};
    int64_t sizes[] = {sizeof block};
    View view = view_of(str_slice(block, 20), 0, 0);
    batch_of(&b, "vu", 1, 4);
    b.buffers[1] = &view;
    b.buffers[2] = block;
    const char *outside = "Arrow: column 'v': a string stands outside its buffers";
    CHECK_STR(refusal(&b), "Arrow: column 'v': there is no buffer of sizes");
    b.buffers[3] = sizes;
    view.offset = 1;
    CHECK_STR(refusal(&b), outside);
    view.offset = UINT32_MAX;
    CHECK_STR(refusal(&b), outside);
    view.offset = 0;
    view.buffer = 1;
    CHECK_STR(refusal(&b), outside);
    view.buffer = UINT32_MAX;
    CHECK_STR(refusal(&b), outside);
    view.buffer = 0;
    view.size = UINT32_MAX;
    CHECK_STR(refusal(&b), outside);
    view.size = 20;
    sizes[0] = 19;
    CHECK_STR(refusal(&b), outside);
    sizes[0] = -1;
    CHECK_STR(refusal(&b), outside);
    sizes[0] = 20;
    b.buffers[2] = NULL;
    CHECK_STR(refusal(&b), outside);
    b.array.n_buffers = 2;
    CHECK_STR(refusal(&b), "Arrow: column 'v': 2 buffers where 3 are wanted");
    const uint8_t none = 0; /* what stands behind a null means nothing */
    b.array.n_buffers = 4;
    b.array.null_count = 1;
    b.buffers[0] = &none;
    check_shows(&b, "(None)\n");
}

/* ---- the public calls ---- */

static Text given;

static void take(Builder *builder, void *self) {
    Chunk chunk;
    Error error = {0};
    (void)self;
    if (builder_take_out(builder, &chunk, &error) == STATUS_OK)
        chunk_format(&chunk, &given);
}

TEST(rows_are_given_to_functions) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 40; round++) {
        begin();
        Schema *schema = random_schema(&random, arena, false, 0);
        Text types = {0}, wanted = {0};
        struct ArrowSchema arrow_schema;
        struct ArrowArray array;
        ChunkReader *reader;
        Builder *rows = create(schema), *out = create(schema);
        char message[LEAT_ARROW_MESSAGE_SIZE];
        Chunk chunk;
        LeatChunk bound;
        schema_format(schema, &types);
        CHECK_OK(chunk_reader_create(schema, &budget, "test", &reader, &err), err);
        for (uint64_t i = random_below(&random, CHUNK_ROWS_MAX + 1); i > 0; i--)
            CHECK_OK(random_row(&random, rows, schema, &wanted, &err), err);
        builder_chunk(rows, &chunk);
        CHECK_OK(chunk_reader_bind(reader, &chunk, &bound, &err), err);
        REQUIRE(CHECK(leat_chunk_to_arrow(&bound, types.data, &arrow_schema, &array, message)));
        text_reset(&given);
        LeatOut *to = builder_out_begin(out, NULL, take, NULL);
        CHECK(leat_out_arrow(to, &arrow_schema, &array));
        CHECK(leat_out_arrow(to, &arrow_schema, &array)); /* borrowed: once more */
        take(out, NULL);
        Text once = wanted;
        wanted = (Text){0};
        text_append(&wanted, text_str(&once));
        text_append(&wanted, text_str(&once));
        text_deinit(&once);
        check_text(text_str(&given).data, given.size, text_str(&wanted).data, wanted.size, __FILE__, __LINE__,
                   "rows");
        release(&arrow_schema, &array);
        text_deinit(&types);
        text_deinit(&wanted);
        builder_destroy(rows);
        builder_destroy(out);
        chunk_reader_destroy(reader);
        end();
    }
    text_deinit(&given);
}

TEST(rows_of_other_types_are_refused) {
    begin();
    Schema *schema = parse("n INT"), *other = parse("n BIGINT");
    struct ArrowSchema arrow_schema;
    struct ArrowArray array;
    Builder *out = create(other);
    arrow_export_finish(arrow_export_create(schema, &budget), &arrow_schema, &array);
    LeatOut *to = builder_out_begin(out, NULL, take, NULL);
    CHECK(!leat_out_arrow(to, &arrow_schema, &array));
    CHECK_EQ(builder_out_status(out, &err), STATUS_INVALID);
    CHECK_STR(err.message, "Arrow: the columns are (n INT) where (n BIGINT) are wanted");
    release(&arrow_schema, &array);
    to = builder_out_begin(out, NULL, take, NULL);
    CHECK(!leat_out_arrow(to, &arrow_schema, &array));
    CHECK_EQ(builder_out_status(out, &err), STATUS_INVALID);
    CHECK_STR(err.message, "Arrow: the record batch was released");
    builder_destroy(out);

    const int64_t value = 1;
    const LeatColumn column = {.data = &value, .row_mask = UINT32_MAX, .type = LEAT_BIGINT};
    const LeatChunk chunk = {&column, 1, 1};
    char message[LEAT_ARROW_MESSAGE_SIZE];
    CHECK(!leat_chunk_to_arrow(&chunk, "n INT", &arrow_schema, &array, message));
    CHECK_STR(message, "leat_chunk_to_arrow: the columns of the chunk are not those of \"n INT\"");
    CHECK(!leat_chunk_to_arrow(&chunk, "n BIGINT, m INT", &arrow_schema, &array, message));
    CHECK(!leat_chunk_to_arrow(&chunk, "n FOO", &arrow_schema, &array, message));
    CHECK(strstr(message, "leat_chunk_to_arrow: at byte 2: expected a type") != NULL);
    CHECK(leat_chunk_to_arrow(&chunk, "n BIGINT", &arrow_schema, &array, message));
    release(&arrow_schema, &array);
    end();
}

TEST_MAIN()
