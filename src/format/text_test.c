/* The reader against leat_str_next_line and leat_str_split, at every CPU level's scanners (LEAT_CPU). */
#include "format/text.h"
#include "base/random.h"
#include "check.h"
#include "column/builder.h"

#include <stdlib.h>

static Budget budget;
static Arena *arena;
static Schema *schema;
static Error err;

static void begin(void) {
    budget_init(&budget, "test", UINT64_MAX, NULL);
    arena = arena_create(NULL, "test");
    err = (Error){0};
    REQUIRE(CHECK_OK(schema_parse(arena, STR("value STRING"), 0, &schema, &err), err));
}

static void end(void) {
    CHECK_EQ(budget.used_bytes, 0);
    arena_destroy(arena);
}

static TextReader *create(bool has_separator, char separator) {
    TextReader *reader;
    TextOptions options = {has_separator, separator};
    REQUIRE(CHECK_OK(text_reader_create(options, schema, &budget, &reader, &err), err));
    return reader;
}

static Buffer *buffer_of(Str text) {
    Buffer *buffer;
    REQUIRE(CHECK_OK(buffer_create(text.size, &budget, "test", &buffer, &err), err));
    if (text.size)
        memcpy(buffer->data, text.data, text.size);
    buffer->size = text.size;
    return buffer;
}

/* Rows are written down one behind the other, each with a mark that no text here has. */
static void append_row(Text *rows, Str row) {
    text_append(rows, row);
    text_append(rows, STR("\x01|"));
}

static uint64_t model(Str text, bool has_separator, char separator, Text *rows) {
    Str line, part;
    uint64_t line_count = 0;
    for (; leat_str_next_line(&text, &line); line_count++) {
        if (!has_separator) {
            append_row(rows, line);
            continue;
        }
        while (leat_str_split(&line, separator, &part))
            append_row(rows, part);
    }
    return line_count;
}

static void read_chunks(TextReader *reader, Text *rows) {
    Chunk chunk;
    while (text_reader_next(reader, &chunk)) {
        chunk_verify(&chunk);
        CHECK(chunk.row_count > 0);
        for (uint32_t i = 0; i < chunk.row_count; i++)
            append_row(rows, column_str(&chunk.columns[0], i));
    }
    CHECK(!text_reader_next(reader, &chunk));
}

static void read_lines(TextReader *reader, Text *rows) {
    const LeatStr *lines;
    for (uint32_t count; (count = text_reader_next_lines(reader, &lines)) > 0;)
        for (uint32_t i = 0; i < count; i++)
            append_row(rows, lines[i]);
    CHECK_EQ(text_reader_next_lines(reader, &lines), 0);
}

static void check_text_read(Str text, bool has_separator, char separator) {
    Text wanted = {0}, rows = {0};
    uint64_t line_count = model(text, has_separator, separator, &wanted);
    TextReader *reader = create(has_separator, separator);
    Buffer *buffer = buffer_of(text);
    text_reader_begin(reader, buffer, 0, text.size, false);
    read_chunks(reader, &rows);
    CHECK_EQ(text_reader_line_count(reader), line_count);
    if (!CHECK(str_equal(text_str(&rows), text_str(&wanted)))) {
        Text shown = {0};
        text_append_escaped(&shown, text);
        printf("    the text is: %s\n", shown.data);
        text_deinit(&shown);
    }
    if (!has_separator) {
        text_reset(&rows);
        text_reader_begin(reader, buffer, 0, text.size, false);
        read_lines(reader, &rows);
        CHECK(str_equal(text_str(&rows), text_str(&wanted)));
        CHECK_EQ(text_reader_line_count(reader), 2 * line_count);
    }
    buffer_release(buffer);
    text_reader_destroy(reader);
    text_deinit(&wanted);
    text_deinit(&rows);
}

TEST(texts_by_hand) {
    static const Str texts[] = {
        STR(""),
        STR("\n"),
        STR("\r"),
        STR("\r\n"),
        STR("\n\r"),
        STR("\r\r\n\n"),
        STR("a"),
        STR("a\n"),
        STR("a\nb"),
        STR("a\r\nb\rc\n\nd"),
        STR(" "),
        STR(" \n"),
        STR("a b"),
        STR("a  b "),
        STR("a b \n c\n"),
        STR("a \r\n b"),
        STR(" \n \r \r\n "),
        STR("a\n "),
        STR("\xff\xfe \x80\n\xc3"),
        STR("a\0b c\0\n\0"),
        STR("twelve bytes"),
        STR("thirteen byte"),
        STR("exactly twelve thirteen and more than thirteen bytes\nextraordinarily"),
    };
    begin();
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        check_text_read(texts[i], false, 0);
        check_text_read(texts[i], true, ' ');
        check_text_read(texts[i], true, '\0');
        check_text_read(texts[i], true, '\xff');
    }
    end();
}

TEST(texts_as_long_as_chunks) {
    begin();
    for (uint32_t rows = 1980; rows <= 2120; rows++) {
        for (uint32_t size = 0; size < 3; size += 1) {
            Text text = {0};
            for (uint32_t i = 0; i < rows; i++) {
                text_append(&text, str_slice("ab", size));
                text_append(&text, i % 3 ? STR("\n") : STR(" "));
            }
            check_text_read(text_str(&text), true, ' ');
            check_text_read(text_str(&text), false, 0);
            text_append_byte(&text, 'x');
            check_text_read(text_str(&text), true, ' ');
            text_deinit(&text);
        }
    }
    /* Nothing but ends, so that the last block fills the chunk to its last row. */
    Text text = {0};
    for (uint32_t size = 1; size <= 4200; size++) {
        text_append_byte(&text, ' ');
        if (size % 64 < 2 || size % 64 == 63)
            check_text_read(text_str(&text), true, ' ');
    }
    text_reset(&text);
    /* One long line among short ones. */
    for (int i = 0; i < 1 << 20; i++)
        text_append_byte(&text, (char)('a' + i % 26));
    text_append(&text, STR("\nb\r\n"));
    check_text_read(text_str(&text), false, 0);
    check_text_read(text_str(&text), true, ' ');
    check_text_read(text_str(&text), true, 'z');
    text_deinit(&text);
    end();
}

TEST(cuts) {
    CHECK_EQ(text_cut(NULL, 0), 0);
    CHECK_EQ(text_cut("abc", 3), 0);
    CHECK_EQ(text_cut("\n", 1), 1);
    CHECK_EQ(text_cut("\r", 1), 0);
    CHECK_EQ(text_cut("\ra", 2), 1);
    CHECK_EQ(text_cut("\r\n", 2), 2);
    CHECK_EQ(text_cut("a\nb", 3), 2);
    CHECK_EQ(text_cut("a\nb\r", 4), 2);
    CHECK_EQ(text_cut("a\rb\r", 4), 2);
    CHECK_EQ(text_cut("a\nb\rc", 5), 4);
    CHECK_EQ(text_cut("a\rb\nc", 5), 4);
    CHECK_EQ(text_cut("a\n\r", 3), 2);
    CHECK_EQ(text_cut("a\r\r", 3), 2);
}

/* Reads the text as a source does that gets it in the pieces [0, cuts[0]), [cuts[0], cuts[1]), ...: whole
 * lines of what there is, the rest is carried over in front of the next piece. */
static void read_pieces(TextReader *reader, Str text, const size_t *cuts, size_t cut_count, Text *rows) {
    Text carried = {0};
    size_t from = 0;
    for (size_t i = 0; i <= cut_count; i++) {
        size_t to = i < cut_count ? cuts[i] : text.size;
        text_append(&carried, str_slice(text.data + from, to - from));
        from = to;
        size_t whole = i < cut_count ? text_cut(text_str(&carried).data, carried.size) : carried.size;
        Buffer *buffer = buffer_of(text_str(&carried));
        text_reader_begin(reader, buffer, 0, whole, false);
        read_chunks(reader, rows);
        buffer_release(buffer);
        Text rest = {0};
        text_append(&rest, str_slice(text_str(&carried).data + whole, carried.size - whole));
        text_deinit(&carried);
        carried = rest;
    }
    text_deinit(&carried);
}

TEST(every_cut) {
    static const char bytes[] = "a\r\nb\rc\n\nd e \r\r\n";
    const Str text = STR(bytes);
    begin();
    for (int has_separator = 0; has_separator < 2; has_separator++) {
        Text wanted = {0}, rows = {0};
        uint64_t line_count = model(text, has_separator, ' ', &wanted);
        for (uint32_t set = 0; set < 1u << (text.size - 1);
             set += 1 + set % 3) { /* a bit per place between two bytes */
            size_t cuts[sizeof bytes], cut_count = 0;
            TextReader *reader = create(has_separator, ' ');
            for (size_t i = 1; i < text.size; i++)
                if (set >> (i - 1) & 1)
                    cuts[cut_count++] = i;
            text_reset(&rows);
            read_pieces(reader, text, cuts, cut_count, &rows);
            CHECK(str_equal(text_str(&rows), text_str(&wanted)));
            CHECK_EQ(text_reader_line_count(reader), line_count);
            text_reader_destroy(reader);
        }
        text_deinit(&wanted);
        text_deinit(&rows);
    }
    end();
}

/* Another way to go on: the final CR ends its line at once, and the LF that may follow is skipped. Parts of
 * one buffer. */
TEST(a_cr_at_the_end_and_its_lf) {
    static const char bytes[] = "ab\r\n\r\n\rc\r";
    const Str text = STR(bytes);
    begin();
    Text wanted = {0}, rows = {0};
    Buffer *buffer = buffer_of(text);
    TextReader *reader = create(false, 0);
    model(text, false, 0, &wanted);
    for (size_t from = 0, to; from < text.size; from = to) {
        to = from + 1;
        while (to < text.size && text.data[to - 1] != '\r')
            to++;
        text_reader_begin(reader, buffer, from, to, from > 0);
        read_chunks(reader, &rows);
    }
    CHECK(str_equal(text_str(&rows), text_str(&wanted)));
    CHECK_EQ(text_reader_line_count(reader), 4);
    text_reset(&rows);
    text_reader_begin(reader, buffer, 3, 4, true); /* nothing but the LF */
    read_chunks(reader, &rows);
    text_reader_begin(reader, buffer, 4, 4, true);
    read_chunks(reader, &rows);
    CHECK_EQ(rows.size, 0);
    CHECK_EQ(text_reader_line_count(reader), 4);
    text_reader_begin(reader, buffer, 3, 4, false); /* the same LF, an empty line */
    read_chunks(reader, &rows);
    CHECK_EQ(text_reader_line_count(reader), 5);
    text_reader_destroy(reader);
    buffer_release(buffer);
    text_deinit(&wanted);
    text_deinit(&rows);
    end();
}

TEST(random_texts_in_random_pieces) {
    Random random;
    random_init(&random, check_seed());
    begin();
    for (int round = 0; round < 300; round++) {
        static const char choices[] = "\n\r abcdefghijklmnopqrstuvwxyz";
        Text text = {0}, wanted = {0}, rows = {0};
        uint64_t size = random_below(&random, round % 10 ? 300 : 20000);
        uint64_t choice_count = 3 + random_below(&random, sizeof choices - 3);
        bool has_separator = random_below(&random, 2);
        for (uint64_t i = 0; i < size; i++)
            text_append_byte(&text, choices[random_below(&random, choice_count)]);
        check_text_read(text_str(&text), has_separator, ' ');
        size_t cuts[10], cut_count = random_below(&random, ARRAY_COUNT(cuts)), at = 0;
        for (size_t i = 0; i < cut_count; i++)
            cuts[i] = at += random_below(&random, text.size - at + 1);
        TextReader *reader = create(has_separator, ' ');
        (void)model(text_str(&text), has_separator, ' ', &wanted);
        read_pieces(reader, text_str(&text), cuts, cut_count, &rows);
        CHECK(str_equal(text_str(&rows), text_str(&wanted)));
        text_reader_destroy(reader);
        text_deinit(&text);
        text_deinit(&wanted);
        text_deinit(&rows);
    }
    end();
}

static void take(Builder *builder, void *self) {
    Chunk chunk;
    CHECK_OK(builder_take_out(builder, &chunk, &err), err);
    chunk_verify(&chunk);
    chunk_format(&chunk, self);
    CHECK_EQ(chunk.columns[0].buffer_count, 1); /* nothing was copied */
}

/* Functions per record get the lines as they stand in the buffer. */
TEST(lines_are_the_input_of_functions) {
    begin();
    Buffer *buffer = buffer_of(STR("a line with extraordinarily long words\nand one more, undoubtedly"));
    TextReader *reader = create(false, 0);
    Builder *builder;
    Text shown = {0};
    CHECK_OK(builder_create(schema, &budget, "test", &builder, &err), err);
    text_reader_begin(reader, buffer, 0, buffer->size, false);
    const LeatStr *lines;
    CHECK_EQ(text_reader_next_lines(reader, &lines), 2);
    Column column = {.type = &schema->fields[0].type, .buffer_count = 1, .buffers = &buffer};
    Chunk input = {.schema = schema, .columns = &column, .row_count = 2, .selected_count = 2};
    LeatOut *out = builder_out_begin(builder, &input, take, &shown);
    for (uint32_t i = 0; i < 2; i++) {
        LeatStr rest = lines[i], word;
        while (leat_str_split(&rest, ' ', &word))
            if (word.size > 8) {
                leat_out_str(out, 0, word);
                leat_out_emit(out);
            }
    }
    take(builder, &shown);
    CHECK_STR(shown.data, "('extraordinarily')\n('undoubtedly')\n");
    text_deinit(&shown);
    builder_destroy(builder);
    text_reader_destroy(reader);
    buffer_release(buffer);
    end();
}

TEST(budgets) {
    begin();
    TextReader *reader = create(false, 0);
    uint64_t needed = budget.used_bytes;
    text_reader_destroy(reader);
    text_reader_destroy(NULL);
    for (uint64_t limit = 0; limit <= needed; limit += needed / 4) {
        Budget tight;
        budget_init(&tight, "tight", limit, NULL);
        reader = (TextReader *)1;
        Status st = text_reader_create((TextOptions){0}, schema, &tight, &reader, &err);
        CHECK_EQ(st, limit >= needed ? STATUS_OK : STATUS_NO_MEMORY);
        CHECK((st == STATUS_OK) == (reader != NULL));
        text_reader_destroy(reader);
        CHECK_EQ(tight.used_bytes, 0);
    }
    end();
}

TEST_MAIN()
