/* wordcount.c - the word count of files through the public API, against the best loop written by hand for
 * nothing else.
 *
 *     build/release/bench/wordcount [--functions] [--workers N] [--plain-loop | --no-loop] FILE...
 *
 * One batch over all files: text file stream, flat_map by a separator, map to (word, 1), reduce_by_key by
 * sum. With --functions the first two are functions of a user, called for each record; the sum stays built
 * in. The result is compared with the loop's (a checksum over all words and counts, when there is one file).
 * Seconds are CPU seconds with one worker, and seconds on the wall with more; the loop is timed in the same
 * minute, between two runs of ours. With more workers a run with one is timed in between, too, on the wall;
 * on a machine that others use their CPU seconds say more: what N workers need beyond one is their loss.
 *
 *     build/release/bench/generate --lines 10000000 words.txt      makes the input: 760 MB; read it once
 *                                                                  before, so that it is warm
 */
#include <leat/leat.h>

#include "common/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct Result {
    uint64_t words, distinct, checksum;
    double cpu_seconds, seconds;
    bool ok;
} Result;

static void split_words(const LeatRow *line, LeatOut *out, void *user) {
    (void)user;
    LeatStr text = leat_row_str(line, 0), word;
    while (leat_str_split(&text, ' ', &word)) {
        leat_out_str(out, 0, word);
        leat_out_emit(out);
    }
}

static void pair_with_one(const LeatRow *word, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(word, 0));
    leat_out_i64(out, 1, 1);
}

static bool sum_up(LeatBatch *batch, void *user) {
    Result *result = user;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        uint64_t count = (uint64_t)leat_row_i64(&row, 1);
        result->words += count;
        result->distinct++;
        result->checksum += loop_checksum(leat_row_str(&row, 0), count);
    }
    return true;
}

static double process_cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A directory of links to the files, for a file stream to find. */
static bool link_files(const char *directory, char **files, int count) {
    for (int i = 0; i < count; i++) {
        char name[4200], *real = realpath(files[i], NULL);
        snprintf(name, sizeof name, "%s/%06d", directory, i);
        if (!real || symlink(real, name) != 0) {
            perror(files[i]);
            return false;
        }
        free(real);
    }
    return true;
}

static void unlink_files(const char *directory, int count) {
    for (int i = 0; i < count; i++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/%06d", directory, i);
        unlink(name);
    }
    rmdir(directory);
}

/* A manual clock whose one interval reaches from 1970 to now: the first batch has every file. */
static Result run_leat(const char *directory, int workers, bool with_functions) {
    Result result = {0};
    int64_t now_ms = (int64_t)time(NULL) * 1000 + 1000;
    LeatContext *ctx = leat_context_create("bench-wordcount", leat_milliseconds(now_ms));
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, workers);
    LeatStream *lines =
        leat_text_file_stream_with(ctx, (LeatFileStream){.directory = directory, .existing_files = true});
    LeatStream *words = leat_flat_map(lines, with_functions ? leat_function("word STRING", split_words, NULL)
                                                            : leat_split(" "));
    LeatStream *pairs =
        leat_map(words, with_functions ? leat_function("word STRING, n BIGINT", pair_with_one, NULL)
                                       : leat_pair_with_i64(1));
    leat_foreach_rdd(leat_reduce_by_key(pairs, leat_sum()), sum_up, &result);
    if (leat_start(ctx) == LEAT_EXIT_OK) {
        double cpu = process_cpu_seconds(), wall = wall_seconds();
        leat_advance(ctx, now_ms);
        result.cpu_seconds = process_cpu_seconds() - cpu;
        result.seconds = wall_seconds() - wall;
        leat_stop(ctx, (LeatStop){0});
    }
    result.ok = leat_await_termination(ctx) == LEAT_EXIT_OK;
    leat_context_destroy(ctx);
    return result;
}

static int usage(void) {
    fputs("usage: wordcount [--functions] [--workers N] [--plain-loop | --no-loop] FILE...\n", stderr);
    return 64;
}

static void keep_fastest(Result *best, Result result, bool on_wall) {
    double seconds = on_wall ? result.seconds : result.cpu_seconds;
    if (!best->ok || seconds < (on_wall ? best->seconds : best->cpu_seconds))
        *best = result;
}

static void print_workers(Result one, Result several, int workers, double goal) {
    printf("one worker %.3f s, %d workers %.3f s: %.2f times as fast (2 workers: at least %.1f is the goal); "
           "CPU %.3f s, %.3f s\n",
           one.seconds, workers, several.seconds, one.seconds / several.seconds, goal, one.cpu_seconds,
           several.cpu_seconds);
}

int main(int argc, char **argv) {
    bool with_functions = false, with_loop = true, is_plain = false;
    int workers = 1, first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--functions") == 0)
            with_functions = true;
        else if (strcmp(argv[first], "--no-loop") == 0)
            with_loop = false;
        else if (strcmp(argv[first], "--plain-loop") == 0)
            is_plain = true;
        else if (strcmp(argv[first], "--workers") == 0 && first + 1 < argc)
            workers = atoi(argv[++first]);
        else
            return usage();
    }
    int file_count = argc - first;
    char directory[] = "/tmp/leat-wordcount-XXXXXX";
    double bytes = 0;
    if (file_count < 1 || workers < 1)
        return usage();
    for (int i = first; i < argc; i++) { /* warm: the page cache has it */
        FILE *file = fopen(argv[i], "rb");
        static char block[1 << 20];
        size_t got;
        while (file && (got = fread(block, 1, sizeof block, file)) > 0)
            bytes += (double)got;
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        fclose(file);
    }
    if (!mkdtemp(directory) || !link_files(directory, argv + first, file_count))
        return 1;

    Result best = {0}, one = {0};
    LoopResult loop = {0}, total = {.ok = true};
    for (int round = 0; round < 3; round++) {
        Result result = run_leat(directory, workers, with_functions);
        if (!result.ok)
            return 1;
        keep_fastest(&best, result, workers > 1);
        if (workers > 1)
            keep_fastest(&one, run_leat(directory, 1, with_functions), true);
        if (!with_loop)
            continue;
        LoopResult sum = {.ok = true};
        for (int i = first; i < argc; i++) {
            loop = is_plain ? loop_plain(argv[i]) : loop_best(argv[i]);
            sum.words += loop.words;
            sum.cpu_seconds += loop.cpu_seconds;
            sum.ok &= loop.ok;
        }
        if (round == 0 || sum.cpu_seconds < total.cpu_seconds)
            total = sum;
    }
    unlink_files(directory, file_count);

    double seconds = workers == 1 ? best.cpu_seconds : best.seconds;
    printf("words %" PRIu64 "  distinct %" PRIu64 "  seconds %.3f  MB/s %.0f", best.words, best.distinct,
           seconds, bytes / seconds / 1e6);
    if (with_loop) {
        bool equal = total.words == best.words &&
                     (file_count > 1 || (loop.checksum == best.checksum && loop.distinct == best.distinct));
        printf("  loop MB/s %.0f  ratio %.2f  %s", bytes / total.cpu_seconds / 1e6,
               total.cpu_seconds / seconds, equal ? "equal" : "DIFFERENT");
        if (workers == 1)
            printf("  (at least %s is the goal)", is_plain ? "1.2" : with_functions ? "0.3" : "0.65");
        if (!equal || !total.ok) {
            printf("\n");
            return 1;
        }
    }
    printf("\n");
    if (workers > 1)
        print_workers(one, best, workers, with_functions ? 1.6 : 1.4);
    return 0;
}
