/* kernels - the word count by hand over the engine's own kernels, and what each of its stages costs: the
 * ceiling for the engine.
 *
 *     kernels [--runs N] FILE...
 *
 * For each level that the machine has: nanoseconds a word of the scan to views, of the hashes, of counting in
 * a key table (each alone, over chunks that are made anew by the stages before, whose time is taken off), and
 * of the three in a row; then the ratios to the loops of common/loop.h. */
#include "common/loop.h"
#include "column/kernels/kernels.h"
#include "state/key_table.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_ROWS = 2048, SLACK = 64 };

/* The file in memory, with the slack that kernels need. */
typedef struct FileText {
    char *block;
    size_t size;
} FileText;

static bool text_read(const char *path, FileText *text) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return false;
    }
    text->size = (size_t)ftell(file);
    rewind(file);
    text->block = xmalloc(text->size + 2 * SLACK);
    bool read = fread(text->block + SLACK, 1, text->size, file) == text->size;
    fclose(file);
    return read;
}

/* How far the pipeline runs. */
typedef enum Stages { SCAN = 1, HASH, COUNT } Stages;

typedef struct StageResult {
    double cpu_seconds;
    uint64_t words, distinct, checksum;
} StageResult;

static void must(Status st, const Error *err) {
    if (st == STATUS_OK)
        return;
    fprintf(stderr, "kernels: %s\n", err->message);
    exit(1);
}

static uint64_t table_checksum(const KeyTable *table) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < key_table_slot_count(table); i++) {
        const KeySlot *slot = &key_table_slots(table)[i];
        if (slot->hash != KEY_SLOT_EMPTY)
            sum += loop_checksum(key_str(&slot->key), slot->value);
    }
    return sum;
}

static StageResult run(const Kernels *k, const FileText *text, Stages stages) {
    static View views[CHUNK_ROWS] __attribute__((aligned(64)));
    static uint64_t hashes[CHUNK_ROWS] __attribute__((aligned(64)));
    const char *base = text->block + SLACK, *const bases[] = {base};
    TextScan scan = {.base = base, .at = base, .end = base + text->size, .start = base};
    StageResult result = {0};
    KeyTable *table;
    Error err = {0};
    double begin = cpu_seconds();
    must(key_table_create((KeyTableOptions){.who = "the benchmark"}, &table, &err), &err);
    bool is_last = false;
    while (!is_last) {
        uint32_t count = k->scan_tokens(&scan, ' ', views, CHUNK_ROWS - 1);
        LeatStr last;
        is_last = scan.at == scan.end;
        if (is_last && scan_finish(&scan, base, &last))
            views[count++] = view_of(last, 0, (uint32_t)(last.data - base));
        if (stages >= HASH)
            k->hash_views(views, count, bases, hashes);
        if (stages >= COUNT)
            must(key_table_add_i64(table, views, bases, hashes, count, NULL, 1, &err), &err);
        result.words += count;
    }
    result.cpu_seconds = cpu_seconds() - begin;
    result.distinct = key_table_count(table);
    result.checksum = table_checksum(table);
    key_table_destroy(table);
    return result;
}

int main(int argc, char **argv) {
    static const char *const levels[] = {"plain", "avx2", "avx512"};
    int runs = 3, first = 1;
    if (argc > 2 && strcmp(argv[1], "--runs") == 0) {
        runs = atoi(argv[2]);
        first = 3;
    }
    if (first >= argc || runs < 1) {
        fputs("usage: kernels [--runs N] FILE...\n", stderr);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        FileText text;
        if (!text_read(argv[i], &text))
            return 1;
        double seconds[ARRAY_COUNT(levels)][COUNT + 1] = {0};
        LoopResult best = {0}, plain = {0};
        for (int turn = 0; turn < runs; turn++) { /* by turns: others use the machine too */
            LoopResult loop = loop_best(argv[i]);
            if (!best.ok || loop.cpu_seconds < best.cpu_seconds)
                best = loop;
            if (turn == 0)
                plain = loop_plain(argv[i]);
            for (size_t l = 0; l < ARRAY_COUNT(levels); l++) {
                const Kernels *k = kernels_at(levels[l]);
                for (Stages stages = SCAN; k && stages <= COUNT; stages++) {
                    StageResult now = run(k, &text, stages);
                    if (seconds[l][stages] == 0 || now.cpu_seconds < seconds[l][stages])
                        seconds[l][stages] = now.cpu_seconds;
                    if (stages == COUNT && (now.words != best.words || now.distinct != best.distinct ||
                                            now.checksum != best.checksum)) {
                        fprintf(stderr, "kernels: %s at %s: not what the loop counts\n", argv[i], levels[l]);
                        return 1;
                    }
                }
            }
        }
        double words = (double)best.words * 1e-9, megabytes = (double)best.bytes * 1e-6;
        printf("%s: %.0f MB, %" PRIu64 " words, %" PRIu64 " distinct\n", argv[i], megabytes, best.words,
               best.distinct);
        printf("  %-10s %8s %8s %8s %8s %8s   %s\n", "ns a word", "scan", "hash", "count", "all", "MB/s",
               "x best, x plain");
        for (size_t l = 0; l < ARRAY_COUNT(levels); l++) {
            const double *s = seconds[l];
            if (s[COUNT] > 0)
                printf("  %-10s %8.2f %8.2f %8.2f %8.2f %8.0f   %.2f, %.2f\n", levels[l], s[SCAN] / words,
                       (s[HASH] - s[SCAN]) / words, (s[COUNT] - s[HASH]) / words, s[COUNT] / words,
                       megabytes / s[COUNT], best.cpu_seconds / s[COUNT], plain.cpu_seconds / s[COUNT]);
        }
        printf("  %-10s %35.2f %8.0f\n", "best loop", best.cpu_seconds / words, megabytes / best.cpu_seconds);
        printf("  %-10s %35.2f %8.0f\n", "plain loop", plain.cpu_seconds / words,
               megabytes / plain.cpu_seconds);
        free(text.block);
    }
    return 0;
}
