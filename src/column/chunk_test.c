/* Chunks made by hand. Sharing of random chunks, made by a builder, is in builder_test.c. */
#include "column/chunk.h"
#include "base/bitmap.h"
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static Budget budget;
static Arena *arena;
static Schema *schema;

static void begin(const char *types) {
    Error err = {0};
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    REQUIRE(CHECK_OK(schema_parse(arena, str_from(types), 0, &schema, &err), err));
}

static void end(void) {
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static const Type *type_at(uint32_t column) {
    return &schema->fields[column].type;
}

static Chunk chunk_of(const Column *columns, uint32_t row_count) {
    return (Chunk){.schema = schema, .columns = columns, .row_count = row_count, .selected_count = row_count};
}

static SharedChunk *share(const Chunk *chunk) {
    SharedChunk *shared;
    Error err = {0};
    chunk_verify(chunk);
    REQUIRE(CHECK_OK(chunk_share(chunk, &budget, "test", &shared, &err), err));
    chunk_verify(shared_chunk_view(shared));
    return shared;
}

static void check_shows(const Chunk *chunk, const char *wanted) {
    Text text = {0};
    chunk_format(chunk, &text);
    CHECK_STR(text.data ? text.data : "", wanted);
    text_deinit(&text);
}

/* A buffer with `count` strings of `size` bytes and views of them. */
static Buffer *fill(View *views, uint32_t count, uint32_t size, size_t capacity) {
    Buffer *buffer;
    Error err = {0};
    REQUIRE(CHECK_OK(buffer_create(capacity, &budget, "test", &buffer, &err), err));
    for (uint32_t i = 0; i < count; i++) {
        memset(buffer->data + buffer->size, 'a' + (int)(i % 26), size);
        views[i] = view_of(str_slice(buffer->data + buffer->size, size), 0, (uint32_t)buffer->size);
        buffer->size += size;
    }
    return buffer;
}

TEST(every_type_shows_its_values) {
    begin("b BOOLEAN, i BIGINT, d DOUBLE, s STRING, x BINARY, t TIMESTAMP, a ARRAY<BIGINT>, r STRUCT<p: "
          "BIGINT, q: STRING>");
    const uint8_t bools[] = {2}, first_is_null[] = {2};
    const int64_t ints[] = {0, 7}, elements[] = {9, 1, 2};
    const double doubles[] = {0, 0.5};
    const View strings[] = {view_of(STR(""), 0, 0), view_of(STR("it"), 0, 0)};
    const int32_t offsets[] = {1, 1, 3};
    const Column element = {.type = &type_at(6)->fields[0].type, .data = elements};
    const Column fields[] = {
        {.type = &type_at(7)->fields[0].type, .data = ints, .validity = first_is_null},
        {.type = &type_at(7)->fields[1].type, .data = strings, .validity = first_is_null}};
    const Column columns[] = {
        {.type = type_at(0), .data = bools, .validity = first_is_null},
        {.type = type_at(1), .data = ints, .validity = first_is_null},
        {.type = type_at(2), .data = doubles, .validity = first_is_null},
        {.type = type_at(3), .data = strings, .validity = first_is_null},
        {.type = type_at(4), .data = strings, .validity = first_is_null},
        {.type = type_at(5), .data = ints, .validity = first_is_null},
        {.type = type_at(6), .data = offsets, .validity = first_is_null, .children = &element},
        {.type = type_at(7), .validity = first_is_null, .children = fields},
    };
    const char *nulls = "(None, None, None, None, None, None, None, None)\n";
    const char *values =
        "(True, 7, 0.5, 'it', b'it', 1970-01-01 00:00:00.000007Z, [1, 2], Row(p=7, q='it'))\n";
    char both[400];
    snprintf(both, sizeof both, "%s%s", nulls, values);
    Chunk chunk = chunk_of(columns, 2);
    check_shows(&chunk, both);
    SharedChunk *shared = share(&chunk);
    check_shows(shared_chunk_view(shared), both);
    shared_chunk_release(shared);

    const uint16_t second[] = {1};
    chunk.selection = second;
    chunk.selected_count = 1;
    chunk.split = 3;
    chunk.sequence = 4;
    check_shows(&chunk, values);
    shared = share(&chunk);
    const Chunk *view = shared_chunk_view(shared);
    check_shows(view, values);
    CHECK(view->selection == NULL);
    CHECK_EQ(view->row_count, 1);
    CHECK_EQ(view->selected_count, 1);
    CHECK_EQ(view->split, 3);
    CHECK_EQ(view->sequence, 4);
    CHECK_EQ(shared_chunk_size_bytes(shared), budget.used_bytes);
    shared_chunk_release(shared);

    chunk.selected_count = 0;
    shared = share(&chunk);
    check_shows(shared_chunk_view(shared), "");
    shared_chunk_release(shared);
    end();
}

TEST(well_used_buffers_are_shared_others_copied) {
    begin("s STRING");
    View views[100];
    Buffer *buffer = fill(views, 100, 100, 10000);
    Column column = {.type = type_at(0), .data = views, .buffer_count = 1, .buffers = &buffer};
    for (uint32_t kept = 0; kept <= 100; kept++) {
        uint16_t selection[100];
        for (uint32_t i = 0; i < kept; i++)
            selection[i] = (uint16_t)(i * 100 / kept);
        Chunk chunk = chunk_of(&column, 100);
        chunk.selection = selection;
        chunk.selected_count = kept;
        uint64_t used_before = budget.used_bytes;
        SharedChunk *shared = share(&chunk);
        const Chunk *view = shared_chunk_view(shared);
        CHECK_EQ(buffer_is_shared(buffer), kept >= 50);
        CHECK_EQ(view->columns[0].buffer_count, kept > 0);
        CHECK_EQ(shared_chunk_size_bytes(shared), budget.used_bytes - used_before);
        for (uint32_t i = 0; i < kept; i++)
            CHECK(str_equal(column_str(&view->columns[0], i), column_str(&column, selection[i])));
        if (kept > 0 && kept < 50) /* I4 */
            CHECK(view->columns[0].buffers[0]->capacity <= 2u * 100 * kept);
        shared_chunk_release(shared);
        CHECK(!buffer_is_shared(buffer));
    }
    buffer_release(buffer);
    end();
}

TEST(several_buffers_are_renumbered) {
    begin("s STRING");
    View parts[3][8], views[24];
    Buffer *buffers[4];
    buffers[0] = fill(parts[0], 8, 20, 160);
    buffers[1] = fill(parts[1], 8, 30, 30000); /* hardly used: copied */
    buffers[2] = fill(views, 0, 20, 160);      /* not used: left out */
    buffers[3] = fill(parts[2], 8, 13, 104);
    static const uint32_t index[] = {0, 1, 3};
    for (uint32_t i = 0; i < 24; i++) {
        views[i] = parts[i % 3][i / 3];
        views[i].buffer = index[i % 3];
    }
    Column column = {.type = type_at(0), .data = views, .buffer_count = 4, .buffers = buffers};
    Chunk chunk = chunk_of(&column, 24);
    SharedChunk *shared = share(&chunk);
    const Chunk *view = shared_chunk_view(shared);
    CHECK_EQ(view->columns[0].buffer_count, 3);
    for (uint32_t i = 0; i < 24; i++)
        CHECK(str_equal(column_str(&view->columns[0], i), column_str(&column, i)));
    for (int i = 0; i < 4; i++)
        buffer_release(buffers[i]);
    /* Sharing once more gives the same rows, and only the last release gives the memory back. */
    SharedChunk *again = share(view);
    CHECK(shared_chunk_retain(shared) == shared);
    shared_chunk_release(shared);
    shared_chunk_release(shared);
    Text text = {0};
    for (uint32_t i = 0; i < 24; i++)
        text_append(&text, column_str(&shared_chunk_view(again)->columns[0], i));
    CHECK_EQ(text.size, 8 * (20 + 30 + 13));
    text_deinit(&text);
    shared_chunk_release(again);
    shared_chunk_release(NULL);
    end();
}

TEST(constants_stay_constant) {
    begin("s STRING, i BIGINT, b BOOLEAN, n DOUBLE");
    View view;
    Buffer *buffer = fill(&view, 1, 20, 5000);
    const int64_t value = 5;
    const double zero = 0;
    const uint8_t one_bit = 1, no_bit = 0;
    const Column columns[] = {
        {.type = type_at(0), .data = &view, .is_constant = true, .buffer_count = 1, .buffers = &buffer},
        {.type = type_at(1), .data = &value, .is_constant = true},
        {.type = type_at(2), .data = &one_bit, .is_constant = true},
        {.type = type_at(3), .data = &zero, .validity = &no_bit, .is_constant = true},
    };
    Chunk chunk = chunk_of(columns, CHUNK_ROWS_MAX);
    const uint16_t rows[] = {0, 1000, 2047};
    chunk.selection = rows;
    chunk.selected_count = 3;
    SharedChunk *shared = share(&chunk);
    CHECK(!buffer_is_shared(buffer));
    buffer_release(buffer);
    for (int i = 0; i < 4; i++)
        CHECK(shared_chunk_view(shared)->columns[i].is_constant);
    check_shows(shared_chunk_view(shared), "('aaaaaaaaaaaaaaaaaaaa', 5, True, None)\n"
                                           "('aaaaaaaaaaaaaaaaaaaa', 5, True, None)\n"
                                           "('aaaaaaaaaaaaaaaaaaaa', 5, True, None)\n");
    shared_chunk_release(shared);
    end();
}

TEST(no_columns_and_no_rows) {
    begin("i BIGINT");
    Chunk chunk = chunk_of(NULL, 0);
    chunk.schema = schema_slice(arena, schema, 0, 0, 0);
    chunk.row_count = chunk.selected_count = 2;
    SharedChunk *shared = share(&chunk);
    check_shows(shared_chunk_view(shared), "()\n()\n");
    shared_chunk_release(shared);
    const Column column = {.type = type_at(0)};
    chunk = chunk_of(&column, 0);
    shared = share(&chunk);
    check_shows(shared_chunk_view(shared), "");
    CHECK(shared_chunk_view(shared)->columns[0].data != NULL);
    shared_chunk_release(shared);
    end();
}

TEST(sharing_over_budget_changes_nothing) {
    begin("s STRING, a ARRAY<STRING>, i BIGINT");
    View views[100], elements[100];
    Buffer *used = fill(views, 100, 100, 10000), *hardly_used = fill(elements, 100, 20, 10000);
    int32_t offsets[101] = {0};
    const int64_t ints[100] = {0};
    const uint16_t selection[] = {3, 5, 99};
    for (int i = 0; i < 100; i++)
        offsets[i + 1] = i + 1;
    const Column element = {
        .type = &type_at(1)->fields[0].type, .data = elements, .buffer_count = 1, .buffers = &hardly_used};
    const Column columns[] = {{.type = type_at(0), .data = views, .buffer_count = 1, .buffers = &used},
                              {.type = type_at(1), .data = offsets, .children = &element},
                              {.type = type_at(2), .data = ints}};
    for (int selects = 0; selects < 2; selects++) {
        Chunk chunk = chunk_of(columns, 100);
        if (selects) {
            chunk.selection = selection;
            chunk.selected_count = 3;
        }
        SharedChunk *shared = share(&chunk);
        size_t needed = shared_chunk_size_bytes(shared);
        shared_chunk_release(shared);
        bool was_enough = false;
        for (size_t limit = 0; limit <= needed + 600; limit += 8) {
            Budget tight;
            Error err = {0};
            budget_init(&tight, "tight", limit, NULL);
            shared = (SharedChunk *)1;
            Status st = chunk_share(&chunk, &tight, "the window", &shared, &err);
            was_enough |= st == STATUS_OK;
            CHECK_EQ(st, was_enough ? STATUS_OK : STATUS_NO_MEMORY);
            if (st == STATUS_OK)
                shared_chunk_release(shared);
            else
                CHECK(shared == NULL && strstr(err.message, "the window") && strstr(err.message, "'tight'"));
            CHECK_EQ(tight.used_bytes, 0);
            CHECK(!buffer_is_shared(used) && !buffer_is_shared(hardly_used));
        }
        CHECK(was_enough);
    }
    buffer_release(used);
    buffer_release(hardly_used);
    end();
}

/* True when chunk_verify ends the program. */
static bool verify_aborts(const Chunk *chunk) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* not a failure of this test */
        (void)!freopen("/dev/null", "w", stderr);
        chunk_verify(chunk);
        _exit(0);
    }
    int result = 0;
    waitpid(child, &result, 0);
    return WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT;
}

TEST(verify_finds_broken_chunks) {
    begin("s STRING, i BIGINT, a ARRAY<BIGINT>");
    View views[3];
    Buffer *buffer = fill(views, 2, 20, 100);
    int64_t ints[3] = {0, 0, 0};
    int32_t offsets[4] = {0, 1, 1, 2};
    uint8_t validity = 3;
    uint16_t selection[2] = {0, 2};
    const Column element = {.type = &type_at(2)->fields[0].type, .data = ints};
    Column columns[] = {{.type = type_at(0), .data = views, .buffer_count = 1, .buffers = &buffer},
                        {.type = type_at(1), .data = ints, .validity = &validity},
                        {.type = type_at(2), .data = offsets, .children = &element}};
    views[2] = view_of(STR("ab"), 0, 0);
    Chunk chunk = chunk_of(columns, 3);
    chunk.selection = selection;
    chunk.selected_count = 2;
    CHECK(!verify_aborts(&chunk));
#define CHECK_BROKEN_BY(change)                        \
    do {                                               \
        Chunk good_chunk = chunk;                      \
        Column good_columns[3];                        \
        View good_views[3];                            \
        memcpy(good_columns, columns, sizeof columns); \
        memcpy(good_views, views, sizeof views);       \
        change;                                        \
        CHECK(verify_aborts(&chunk));                  \
        chunk = good_chunk;                            \
        memcpy(columns, good_columns, sizeof columns); \
        memcpy(views, good_views, sizeof views);       \
    } while (0)
    CHECK_BROKEN_BY(chunk.row_count = CHUNK_ROWS_MAX + 1);
    CHECK_BROKEN_BY(chunk.selection = NULL);
    CHECK_BROKEN_BY(chunk.row_count = 2);
    CHECK_BROKEN_BY(chunk.selection = ((const uint16_t[]){1, 1}));
    CHECK_BROKEN_BY(columns[0].type = type_at(1));
    CHECK_BROKEN_BY(columns[1].data = NULL);
    CHECK_BROKEN_BY(columns[1].data = ((const int64_t[]){0, 0, 1})); /* I5 */
    CHECK_BROKEN_BY(columns[2].is_constant = true);
    CHECK_BROKEN_BY(columns[2].data = ((const int32_t[]){0, 2, 1, 2}));
    CHECK_BROKEN_BY(columns[2].data = ((const int32_t[]){-1, 2, 2, 2}));
    CHECK_BROKEN_BY(views[0].buffer = 1);
    CHECK_BROKEN_BY(views[1].offset = 21);
    CHECK_BROKEN_BY(views[0].prefix[2] = 'x');
    CHECK_BROKEN_BY(views[2].inlined[11] = 1);
    CHECK(!verify_aborts(&chunk));
    buffer_release(buffer);
    end();
}

TEST_MAIN()
