/* Ranges of files: each line once, whatever the ranges, the buffers and the endings. */
#include "connect/file/file_split.h"

#include "base/random.h"
#include "source_lines.h"

static char *path;

static void write_file(Str bytes) {
    Error err = {0};
    free(path);
    path = env_path_join(check_tmpdir(), "text");
    REQUIRE(CHECK_OK(env_write_file_atomically(env_real(), path, bytes, &err), err));
}

/* The file in ranges of range_size bytes. */
static Status read_ranges(uint64_t size, uint64_t range_size, uint64_t limit, uint32_t buffer_size,
                          Lines *lines, Error *err) {
    SplitList splits = {0};
    for (uint64_t begin = 0; begin == 0 || begin < size; begin += range_size)
        split_list_add(&splits, file_split_create((FileSplitOptions){
                                    .env = env_real(),
                                    .path = path,
                                    .file_size_bytes = size,
                                    .begin = begin,
                                    .end = size - begin < range_size ? size : begin + range_size,
                                    .line_size_bytes_max = limit,
                                    .buffer_size_bytes = buffer_size}));
    Status st = lines_read(&splits, NULL, lines, err);
    split_list_deinit(&splits);
    return st;
}

/* Of the lines of a text those within the limit. */
static void short_lines_of(Str text, uint64_t limit, Lines *lines) {
    Str line;
    while (leat_str_next_line(&text, &line)) {
        if (line.size > limit)
            continue;
        text_append(&lines->text, line);
        text_append_byte(&lines->text, '\n');
        lines->count++;
    }
}

static bool check_ranges(Str text, uint64_t range_size, uint64_t limit, uint32_t buffer_size) {
    Error err = {0};
    Lines lines = {0}, expected = {0};
    short_lines_of(text, limit, &expected);
    bool is_fine = CHECK_OK(read_ranges(text.size, range_size, limit, buffer_size, &lines, &err), err) &&
                   CHECK(str_equal(text_str(&lines.text), text_str(&expected.text)));
    if (!is_fine)
        printf("    range %" PRIu64 ", limit %" PRIu64 ", buffer %u, text %zu bytes\n", range_size, limit,
               buffer_size, text.size);
    lines_deinit(&lines);
    lines_deinit(&expected);
    return is_fine;
}

TEST(ranges_of_every_size_give_the_lines_of_the_file) {
    static const char *const texts[] = {"",
                                        "\n",
                                        "\r",
                                        "a",
                                        "a\n",
                                        "\r\n",
                                        "\n\r",
                                        "\r\r",
                                        "a\r\nb",
                                        "a\rb\r",
                                        "\r\n\r\n",
                                        "ab\r\nc\rd\n\n\r\n\r\re\n\rfg",
                                        "abcdefgh\r\ni\rj\nklm\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        Str text = str_from(texts[i]);
        write_file(text);
        for (uint64_t range_size = 1; range_size <= text.size + 1; range_size++)
            for (uint32_t buffer_size = 2; buffer_size <= 24; buffer_size += 1 + buffer_size / 4)
                if (!check_ranges(text, range_size, LINE_SIZE_MAX, buffer_size))
                    return;
    }
}

TEST(random_texts_in_ranges_with_limits) {
    Random random;
    log_capture();
    random_init(&random, check_seed());
    for (int round = 0; round < 600; round++) {
        char text[60];
        size_t size = 1 + random_below(&random, sizeof text);
        for (size_t i = 0; i < size; i++)
            text[i] = "aaaaaa\n\r\r\n"[random_below(&random, 10)];
        write_file(str_slice(text, size));
        for (int i = 0; i < 6; i++) {
            uint64_t limit = random_below(&random, 12);
            if (!check_ranges(str_slice(text, size), 1 + random_below(&random, size), limit,
                              2 + (uint32_t)random_below(&random, 30)))
                return;
        }
        text_reset(&logged);
    }
    text_deinit(&logged);
}

TEST(a_large_file_with_the_usual_buffer) {
    Text text = {0};
    Random random;
    random_init(&random, check_seed());
    while (text.size < 5 << 20) {
        uint64_t size = random_below(&random, 4000);
        for (uint64_t i = 0; i < size; i++)
            text_append_byte(&text, (char)('a' + i % 26));
        text_append(&text, str_from((const char *const[]){"\n", "\r\n", "\r"}[random_below(&random, 3)]));
    }
    write_file(text_str(&text));
    check_ranges(text_str(&text), 5 << 20 << 1, LINE_SIZE_MAX, 0);
    check_ranges(text_str(&text), 1000003, LINE_SIZE_MAX, 0);
    check_ranges(text_str(&text), 700001, LINE_SIZE_MAX, 1000);
    text_deinit(&text);
}

TEST(a_line_over_the_limit_is_reported_once) {
    for (unsigned over = 0; over < 2; over++) {
        Text text = {0};
        Lines lines = {0};
        Error err = {0};
        text_append(&text, STR("first\r\n"));
        for (size_t i = 0; i < (2 << 20) + over; i++)
            text_append_byte(&text, 'x');
        text_append(&text, STR("\nlast"));
        write_file(text_str(&text));
        log_capture();
        /* One range, and ranges whose boundaries lie in the line. */
        for (uint64_t range_size = 100000; range_size < 10000000; range_size *= 40) {
            text_reset(&logged);
            lines_deinit(&lines);
            CHECK_OK(read_ranges(text.size, range_size, 2 << 20, 0, &lines, &err), err);
            CHECK_EQ(lines.count, over ? 2 : 3);
            CHECK_EQ(log_line_count(), over);
            CHECK_EQ(log_has("text: the line that begins at byte 7 is longer than max-line, 2097152 bytes"),
                     over);
        }
        text_deinit(&text);
        text_deinit(&logged);
        lines_deinit(&lines);
    }
}

TEST(pieces_that_are_still_looked_at_stay_as_they_are) {
    Text text = {0};
    Error err = {0};
    for (int i = 0; i < 100; i++)
        text_appendf(&text, "line %d\n", i);
    write_file(text_str(&text));
    Split *split = file_split_create((FileSplitOptions){.env = env_real(),
                                                        .path = path,
                                                        .file_size_bytes = text.size,
                                                        .end = text.size,
                                                        .line_size_bytes_max = LINE_SIZE_MAX,
                                                        .buffer_size_bytes = 50});
    TextPiece pieces[64];
    size_t count = 0;
    Budget budget;
    budget_init(&budget, "test", 1 << 20, NULL);
    REQUIRE(CHECK_OK(split->class->open(split, &budget, &err), err));
    for (;;) {
        REQUIRE(count < ARRAY_COUNT(pieces));
        REQUIRE(CHECK_OK(split->class->next_piece(split, &pieces[count], &err), err));
        if (!pieces[count].buffer)
            break;
        buffer_retain(pieces[count++].buffer);
    }
    split->class->close(split);
    Text together = {0};
    for (size_t i = 0; i < count; i++) {
        text_append(&together,
                    (Str){pieces[i].buffer->data + pieces[i].begin, pieces[i].end - pieces[i].begin});
        buffer_release(pieces[i].buffer);
    }
    CHECK(count > 10);
    CHECK(str_equal(text_str(&together), text_str(&text)));
    CHECK_EQ(budget.used_bytes, 0);
    split->class->destroy(split);
    text_deinit(&text);
    text_deinit(&together);
}

TEST(a_file_that_changed_since_it_was_planned) {
    Error err = {0};
    Lines lines = {0};
    write_file(STR("one\ntwo\nthree\n"));
    CHECK_OK(read_ranges(8, 100, LINE_SIZE_MAX, 0, &lines, &err), err); /* longer: the rest is not read */
    CHECK_STR(lines.text.data, "one\ntwo\n");
    CHECK_EQ(read_ranges(20, 100, LINE_SIZE_MAX, 0, &lines, &err), STATUS_IO);
    CHECK(strstr(err.message, path) && strstr(err.message, "20 bytes") && strstr(err.message, "byte 14"));
    REQUIRE(env_remove(env_real(), path, &err) == STATUS_OK);
    CHECK_EQ(read_ranges(14, 100, LINE_SIZE_MAX, 0, &lines, &err), STATUS_NOT_FOUND);
    CHECK(strstr(err.message, path) != NULL);
    lines_deinit(&lines);
}

TEST(without_memory_the_path_is_named) {
    Error err = {0};
    Lines lines = {0};
    Budget budget;
    SplitList splits = {0};
    write_file(STR("one\n"));
    budget_init(&budget, "in flight", 1000, NULL);
    split_list_add(&splits, file_split_create((FileSplitOptions){
                                .env = env_real(), .path = path, .file_size_bytes = 4, .end = 4}));
    CHECK_EQ(lines_read(&splits, &budget, &lines, &err), STATUS_NO_MEMORY);
    CHECK(strstr(err.message, path) != NULL);
    split_list_deinit(&splits);
    free(path);
    path = NULL;
}

TEST_MAIN()
