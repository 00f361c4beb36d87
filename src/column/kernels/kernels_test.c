#include "check.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "column/kernels/kernels.h"
#include <stdlib.h>

/* Every level that the machine has; the same tests run at each. */
static const char *const level_names[] = {"plain", "avx2", "avx512"};
#define FOR_EACH_LEVEL(k)                                                \
    for (size_t level_ = 0; level_ < ARRAY_COUNT(level_names); level_++) \
        for (const Kernels *k = kernels_at(level_names[level_]); k; k = NULL)

/* Text in a block of its own with exactly the slack that the contract promises, so that the address sanitizer
 * sees a read beyond it. The slack holds bytes that a scanner would trip over if it believed them. */
enum { SLACK_BEFORE = 16, SLACK_AFTER = 64 };

typedef struct Slacked {
    char *block, *text;
} Slacked;

static Slacked slacked(Str text) {
    char *block = xmalloc(SLACK_BEFORE + text.size + SLACK_AFTER);
    memset(block, '\n', SLACK_BEFORE);
    if (text.size)
        memcpy(block + SLACK_BEFORE, text.data, text.size);
    memset(block + SLACK_BEFORE + text.size, '\n', SLACK_AFTER);
    return (Slacked){block, block + SLACK_BEFORE};
}

/* ---- scanners against the public iterators ---- */

typedef struct Tokens {
    LeatStr *at;
    size_t count;
    uint64_t lines;
} Tokens;

static Tokens tokens_expected(Str text, int separator) {
    Tokens tokens = {.at = xmalloc((text.size + 2) * sizeof(LeatStr))};
    LeatStr rest = text, line, part;
    while (leat_str_next_line(&rest, &line)) {
        tokens.lines++;
        if (separator < 0) {
            tokens.at[tokens.count++] = line;
            continue;
        }
        while (leat_str_split(&line, (char)separator, &part))
            tokens.at[tokens.count++] = part;
    }
    return tokens;
}

static bool view_is(const View *view, LeatStr expected, const char *base, uint32_t buffer) {
    View wanted = view_of(expected, buffer, (uint32_t)(expected.data - base));
    return memcmp(view, &wanted, sizeof wanted) == 0;
}

/* Scans `text` in calls of `room`, giving the scanner at most `step` bytes at a time; separator < 0: lines.
 * Behind the room stands a guard that must survive. */
static void check_scan(const Kernels *k, Str text, int separator, uint32_t room, size_t step) {
    Slacked copy = slacked(text);
    Str scanned = {copy.text, text.size};
    Tokens expected = tokens_expected(scanned, separator);
    TextScan scan = {
        .base = copy.text, .buffer_index = 7, .at = copy.text, .end = copy.text, .start = copy.text};
    View *views = xmalloc((room + 1) * sizeof(View));
    LeatStr *lines = xmalloc((room + 1) * sizeof(LeatStr)), last;
    memset(&views[room], 0x5a, sizeof views[room]);
    memset(&lines[room], 0x5a, sizeof lines[room]);
    View guard = views[room];
    LeatStr line_guard = lines[room];
    size_t seen = 0, wrong = 0, calls = 0;
    while (scan.at < copy.text + text.size) {
        size_t left = (size_t)(copy.text + text.size - scan.at);
        scan.end = scan.at + (left < step ? left : step);
        while (scan.at < scan.end) {
            uint32_t got = separator < 0 ? k->scan_lines(&scan, lines, room)
                                         : k->scan_tokens(&scan, (char)separator, views, room);
            REQUIRE(got <= room && seen + got <= expected.count);
            for (uint32_t i = 0; i < got; i++, seen++) {
                LeatStr want = expected.at[seen];
                bool same = separator < 0 ? lines[i].data == want.data && lines[i].size == want.size
                                          : view_is(&views[i], want, copy.text, 7);
                wrong += !same;
            }
            REQUIRE(++calls <= text.size + 1);
        }
    }
    if (scan_finish(&scan, copy.text, &last)) {
        REQUIRE(seen < expected.count);
        wrong += last.data != expected.at[seen].data || last.size != expected.at[seen].size;
        seen++;
    }
    if (!CHECK_EQ(wrong, 0) || !CHECK_EQ(seen, expected.count) || !CHECK_EQ(scan.line_count, expected.lines))
        printf("    level %s, %zu bytes, separator %d, room %u, step %zu\n", k->level, text.size, separator,
               room, step);
    CHECK(memcmp(&guard, &views[room], sizeof guard) == 0);
    CHECK(memcmp(&line_guard, &lines[room], sizeof line_guard) == 0);
    free(views);
    free(lines);
    free(expected.at);
    free(copy.block);
}

static void check_scan_cuts(Str text) {
    static const size_t steps[] = {SIZE_MAX, 1, 63, 64, 65, 100};
    static const uint32_t rooms[] = {64, 65, 200, 2048};
    FOR_EACH_LEVEL(k) {
        for (size_t s = 0; s < ARRAY_COUNT(steps); s++) {
            check_scan(k, text, ' ', rooms[s % ARRAY_COUNT(rooms)], steps[s]);
            check_scan(k, text, -1, rooms[(s + 1) % ARRAY_COUNT(rooms)], steps[s]);
        }
        check_scan(k, text, '\0', 64, SIZE_MAX);
        check_scan(k, text, (char)0xff, 64, SIZE_MAX);
    }
}

TEST(scanners_take_hostile_texts) {
    static const char *const texts[] = {
        "",
        " ",
        "\n",
        "\r",
        "\r\n",
        "a",
        "a ",
        " a",
        "a\n",
        "a\r",
        "a\r\n",
        "\n\n",
        "\r\r",
        "\r\n\r\n",
        "\n\r",
        "a\n\nb",
        "a b\nc  d ",
        "a\r\nb\rc\nd",
        "\r\n \n",
        " \r\n ",
        "a \r\r\n\nb",
        "thirteen_byte fourteen_bytes\nand a token of more than sixty-four bytes:"
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567890123456789012345678901234567 b"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        check_scan_cuts(str_from(texts[i]));
}

/* One kind of byte only, of every length around the block's size, alone and between others. */
TEST(scanners_take_runs_of_one_byte) {
    static const char kinds[] = {' ', '\n', '\r', 'a', '\0', (char)0xff};
    char text[300];
    for (size_t kind = 0; kind < sizeof kinds; kind++) {
        for (size_t size = 1; size <= 200; size += size < 140 ? 1 : 13) {
            memset(text, kinds[kind], size);
            FOR_EACH_LEVEL(k) {
                check_scan(k, (Str){text, size}, ' ', 64, SIZE_MAX);
                check_scan(k, (Str){text, size}, -1, 64, SIZE_MAX);
            }
            text[size / 2] = '\n';
            text[size - 1] = '\r';
            FOR_EACH_LEVEL(k) {
                check_scan(k, (Str){text, size}, ' ', 300, SIZE_MAX);
            }
        }
    }
}

/* A CRLF at every place relative to the blocks and the calls. */
TEST(scanners_take_crlf_at_every_boundary) {
    char text[200];
    for (size_t at = 0; at + 2 <= 140; at++) {
        memset(text, 'x', sizeof text);
        text[at] = '\r';
        text[at + 1] = '\n';
        FOR_EACH_LEVEL(k) {
            check_scan(k, (Str){text, 140}, ' ', 64, SIZE_MAX);
            check_scan(k, (Str){text, 140}, -1, 64, SIZE_MAX);
            check_scan(k, (Str){text, at + 2}, ' ', 64, 64);
            check_scan(k, (Str){text, at + 1}, ' ', 64, 64);
            check_scan(k, (Str){text, 140}, ' ', 64, at + 1);
        }
    }
}

TEST(scanners_agree_with_iterators_on_random_text) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 150; round++) {
        char text[3000];
        size_t size = random_below(&random, round % 3 ? 400 : sizeof text);
        uint64_t letters = 1 + random_below(&random, 40), breaks = random_below(&random, 4);
        for (size_t i = 0; i < size; i++) {
            uint64_t pick = random_below(&random, letters + 1 + breaks);
            text[i] = pick < letters ? (char)(i % 7 ? 'a' + pick % 26 : random_below(&random, 256))
                                     : " \n\r\n"[pick - letters];
        }
        check_scan_cuts((Str){text, size});
    }
}

/* A CR just before the text (of the buffer before): a LF at its begin belongs to it. */
TEST(scanners_remember_cr_of_the_caller) {
    FOR_EACH_LEVEL(k) {
        Slacked copy = slacked(STR("\na b"));
        TextScan scan = {
            .base = copy.text, .at = copy.text, .end = copy.text + 4, .start = copy.text, .after_cr = true};
        View views[64];
        LeatStr last;
        CHECK_EQ(k->scan_tokens(&scan, ' ', views, 64), 1);
        CHECK(view_is(&views[0], (LeatStr){copy.text + 1, 1}, copy.text, 0));
        CHECK(scan_finish(&scan, copy.text, &last) && last.data == copy.text + 3 && last.size == 1);
        CHECK_EQ(scan.line_count, 1);
        scan = (TextScan){
            .base = copy.text, .at = copy.text, .end = copy.text + 1, .start = copy.text, .after_cr = true};
        CHECK_EQ(k->scan_tokens(&scan, ' ', views, 64), 0);
        CHECK(scan.at == scan.end && !scan.after_cr);
        CHECK(!scan_finish(&scan, copy.text, &last));
        CHECK_EQ(scan.line_count, 0);
        free(copy.block);
    }
}

/* ---- views ---- */

TEST(views_from_strs_reads_nothing_around_them) {
    Random random;
    random_init(&random, check_seed());
    enum { COUNT = 700 };
    size_t sizes[3] = {5000, 1, 9000};
    char *buffers[3];
    const char *bases[3];
    for (int b = 0; b < 3; b++) {
        bases[b] = buffers[b] = xmalloc(sizes[b]);
        for (size_t i = 0; i < sizes[b]; i++)
            buffers[b][i] = (char)random_u64(&random);
    }
    LeatStr strs[COUNT];
    char *alone[COUNT];
    uint32_t base_of[COUNT];
    for (int i = 0; i < COUNT; i++) {
        size_t size = random_below(&random, 31);
        base_of[i] = random_below(&random, 2) ? 2 : 0;
        alone[i] = NULL;
        if (size <= VIEW_INLINE_MAX && i % 2) {
            alone[i] = xmalloc(size + 1);
            memset(alone[i], i, size + 1);
            strs[i] = (LeatStr){size ? alone[i] + 1 : NULL, size};
        } else {
            size_t offset =
                i % 5 ? random_below(&random, sizes[base_of[i]] - size + 1) : sizes[base_of[i]] - size;
            strs[i] = (LeatStr){bases[base_of[i]] + offset, size};
        }
    }
    FOR_EACH_LEVEL(k) {
        View *views = xmalloc(COUNT * sizeof *views);
        for (uint32_t count = 0; count <= COUNT; count += count < 20 ? 1 : 340) {
            k->views_from_strs(strs, count, bases, sizes, 3, views);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t offset =
                    strs[i].size > VIEW_INLINE_MAX ? (uint32_t)(strs[i].data - bases[base_of[i]]) : 0;
                View wanted = view_of(strs[i], base_of[i], offset);
                CHECK(memcmp(&wanted, &views[i], sizeof wanted) == 0);
            }
        }
        free(views);
    }
    for (int i = 0; i < COUNT; i++)
        free(alone[i]);
    for (int b = 0; b < 3; b++)
        free(buffers[b]);
}

TEST(views_from_i64_are_little_endian_keys) {
    Random random;
    random_init(&random, check_seed());
    for (uint32_t count = 0; count < 40; count++) {
        int64_t *values = xmalloc((count + 1) * sizeof *values);
        for (uint32_t i = 0; i < count; i++)
            values[i] = (int64_t)random_u64(&random);
        FOR_EACH_LEVEL(k) {
            View *views = xmalloc((count + 1) * sizeof *views);
            k->views_from_i64(values, count, views);
            for (uint32_t i = 0; i < count; i++) {
                View wanted = view_of((Str){(const char *)&values[i], 8}, 0, 0);
                CHECK(memcmp(&wanted, &views[i], sizeof wanted) == 0);
            }
            free(views);
        }
        free(values);
    }
}

/* ---- hashes, sums ---- */

static void check_hashes(const Kernels *k, const View *views, uint32_t count, const char *base) {
    uint64_t *hashes = xmalloc((count + 1) * sizeof *hashes);
    hashes[count] = 0x5a5a;
    k->hash_views(views, count, &base, hashes);
    size_t wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        Str bytes = view_str(&views[i], &base);
        wrong += hashes[i] != hash_bytes(bytes.data, bytes.size);
    }
    if (!CHECK_EQ(wrong, 0))
        printf("    level %s, %u views\n", k->level, count);
    CHECK_EQ(hashes[count], 0x5a5a);
    free(hashes);
}

TEST(hashes_are_those_of_hash_bytes_at_every_size) {
    Random random;
    random_init(&random, check_seed());
    enum { SIZE_MAX_TESTED = 300, TEXT = 4096 };
    char text[TEXT];
    for (size_t i = 0; i < TEXT; i++)
        text[i] = (char)random_u64(&random);
    View views[600];
    for (uint32_t size = 0; size <= SIZE_MAX_TESTED; size++) {
        for (uint32_t i = 0; i < 19; i++) {
            uint32_t offset = (uint32_t)random_below(&random, TEXT - size);
            views[i] = view_of((Str){text + offset, size}, 0, offset);
        }
        FOR_EACH_LEVEL(k) {
            check_hashes(k, views, 19, text);
        }
    }
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t count = round < 40 ? round : (uint32_t)random_below(&random, 600);
        uint64_t size_end = (const uint64_t[]){13, 31, 301, 14}[round % 4];
        for (uint32_t i = 0; i < count; i++) {
            uint32_t size = (uint32_t)random_below(&random, size_end);
            uint32_t offset = (uint32_t)random_below(&random, TEXT - size);
            views[i] = view_of((Str){text + offset, size}, 0, offset);
        }
        FOR_EACH_LEVEL(k) {
            check_hashes(k, views, count, text);
        }
    }
}

/* Hashing a long view reads no byte outside of it: here it stands alone in its block. */
TEST(hashes_read_only_the_bytes_of_long_views) {
    for (uint32_t size = VIEW_INLINE_MAX + 1; size <= 80; size++) {
        char *text = xmalloc(size);
        memset(text, (int)size, size);
        View views[9];
        for (int i = 0; i < 9; i++)
            views[i] = view_of((Str){text, size}, 0, 0);
        FOR_EACH_LEVEL(k) {
            check_hashes(k, views, 9, text);
        }
        free(text);
    }
}

TEST(sums_wrap_around) {
    Random random;
    random_init(&random, check_seed());
    int64_t values[100];
    for (uint32_t count = 0; count <= 100; count++) {
        uint64_t expected = 0;
        for (uint32_t i = 0; i < count; i++) {
            values[i] = i % 3 ? (int64_t)random_u64(&random) : INT64_MAX;
            expected += (uint64_t)values[i];
        }
        FOR_EACH_LEVEL(k) {
            CHECK(k->sum_i64(values, count) == (int64_t)expected);
        }
    }
}

/* ---- choice ---- */

TEST(a_level_is_chosen) {
    CHECK(kernels_at("plain") != NULL);
    CHECK(kernels_at("sse9") == NULL);
    CHECK(kernels() != NULL && kernels() == kernels());
    const char *wanted = getenv("LEAT_CPU");
    if (wanted && kernels_at(wanted))
        CHECK_STR(kernels()->level, wanted);
}

TEST_MAIN()
