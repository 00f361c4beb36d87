/* window.c - the word count of the last 30 seconds, every second, from files, against a loop by hand.
 *
 *     build/release/bench/window [--inverse] [--function] [--workers N] [--seconds N] [--megabytes N] [--runs N] FILE
 *
 * FILE is cut at lines into a file for each second (of 8 MB, 60 of them); a manual clock gives a batch for
 * each. The pipeline is text file stream, flat_map by leat_split, pairs, reduce_by_key_and_window by sum over
 * 30 s; with --inverse with leat_subtract, which needs a checkpoint: its log is then part of the time; with
 * --function by a function of a user, of which nothing is known but that it reduces. After
 * each second every word of the window is visited.
 *
 * The loop (loop_best_windows) has a table for each second, and one of the window to which a second is added
 * when it comes and from which it is taken when it leaves. Both give a checksum over all windows, which must be
 * the same. Seconds are CPU seconds with one worker, and on the wall with more. */
#include <leat/leat.h>

#include "common/loop.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW_SECONDS = 30, SECONDS_MAX = 1000 };

typedef struct Bench {
    bool with_inverse, with_function;
    int workers, seconds, megabytes, runs;
    char directory[64], checkpoint[80];
    char *paths[SECONDS_MAX];
    double bytes;
} Bench;

typedef struct Result {
    uint64_t rows, checksum;
    double seconds;
    bool ok;
} Result;

/* ---- input ---- */

/* One file a second, whose time is that of its batch. */
static bool write_second(Bench *bench, int second, const char *data, size_t size) {
    char path[100];
    snprintf(path, sizeof path, "%s/in/%06d", bench->directory, second);
    bench->paths[second] = strdup(path);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct timespec times[2] = {{.tv_sec = second + 1}, {.tv_sec = second + 1}};
    bool ok = file >= 0 && write(file, data, size) == (ssize_t)size && futimens(file, times) == 0;
    if (!ok)
        perror(path);
    if (file >= 0)
        close(file);
    bench->bytes += (double)size;
    return ok;
}

static bool cut_input(Bench *bench, const char *path) {
    size_t room = (size_t)bench->megabytes << 20, have = 0;
    char *block = malloc(room + 1);
    FILE *file = fopen(path, "rb");
    bool ok = file && block;
    if (!file)
        perror(path);
    for (int second = 0; ok && second < bench->seconds; second++) {
        have += fread(block + have, 1, room - have, file);
        size_t size = have;
        while (size > 0 && block[size - 1] != '\n')
            size--;
        if (size == 0) { /* the file has an end */
            rewind(file);
            second--;
            ok = ftell(file) == 0 && bench->bytes > 0;
            have = 0;
            continue;
        }
        ok = write_second(bench, second, block, size);
        memmove(block, block + size, have - size);
        have -= size;
    }
    if (file)
        fclose(file);
    free(block);
    return ok;
}

/* ---- the stream ---- */

static double process_cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool sum_up(LeatBatch *batch, void *user) {
    Result *result = user;
    uint64_t checksum = 0;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        uint64_t count = (uint64_t)leat_row_i64(&row, 1);
        if (count == 0)
            continue;
        result->rows++;
        checksum += loop_checksum(leat_row_str(&row, 0), count);
    }
    result->checksum += checksum * (uint64_t)(leat_batch_time_ms(batch) / 1000);
    return true;
}

static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
}

static void remove_checkpoint(const Bench *bench) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", bench->checkpoint);
    if (system(command) != 0)
        fprintf(stderr, "window: %s is left over\n", bench->checkpoint);
}

static Result run_leat(const Bench *bench) {
    Result result = {0};
    char input[100];
    snprintf(input, sizeof input, "%s/in", bench->directory);
    LeatContext *ctx = leat_context_create("bench-window", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, bench->workers);
    LeatWindow window = {.length = leat_seconds(WINDOW_SECONDS)};
    LeatFunction reduce = bench->with_function ? leat_reduce_function(add, NULL) : leat_sum();
    if (bench->with_inverse) {
        leat_checkpoint(ctx, bench->checkpoint);
        window.inverse = leat_subtract();
    }
    LeatStream *lines =
        leat_text_file_stream_with(ctx, (LeatFileStream){.directory = input, .existing_files = true});
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    leat_foreach_rdd(leat_reduce_by_key_and_window(pairs, reduce, window), sum_up, &result);
    if (leat_start(ctx) == LEAT_EXIT_OK) {
        double cpu = process_cpu_seconds(), wall = wall_seconds();
        leat_advance(ctx, 1000 * (int64_t)bench->seconds);
        result.seconds = bench->workers > 1 ? wall_seconds() - wall : process_cpu_seconds() - cpu;
        leat_stop(ctx, (LeatStop){0});
    }
    result.ok = leat_await_termination(ctx) == LEAT_EXIT_OK;
    leat_context_destroy(ctx);
    if (bench->with_inverse)
        remove_checkpoint(bench);
    return result;
}

/* ---- both ---- */

static int usage(void) {
    fputs("usage: window [--inverse] [--function] [--workers N] [--seconds N] [--megabytes N] [--runs N] "
          "FILE\n",
          stderr);
    return 64;
}

static bool run_both(const Bench *bench) {
    Result best = {0};
    LoopResult loop_of_best = {0};
    for (int run = 0; run < bench->runs; run++) { /* by turns: others use the machine, too */
        Result result = run_leat(bench);
        LoopResult loop = loop_best_windows(bench->paths, (uint32_t)bench->seconds, WINDOW_SECONDS);
        if (!result.ok || !loop.ok)
            return false;
        if (result.rows != loop.distinct || result.checksum != loop.checksum) {
            fprintf(stderr, "window: DIFFERENT: %" PRIu64 " rows, the loop has %" PRIu64 "\n", result.rows,
                    loop.distinct);
            return false;
        }
        double seconds = bench->workers > 1 ? loop.seconds : loop.cpu_seconds;
        if (run == 0 || result.seconds < best.seconds)
            best = result;
        if (run == 0 || seconds < loop_of_best.cpu_seconds) {
            loop_of_best = loop;
            loop_of_best.cpu_seconds = seconds;
        }
    }
    printf("%d s of %.1f MB, %" PRIu64 " words, %" PRIu64 " rows in windows of %d s: %.3f s, %.0f MB/s; "
           "loop %.3f s  ratio %.2f (at most 1.5 is the goal)\n",
           bench->seconds, bench->bytes / bench->seconds / 1e6, loop_of_best.words, best.rows, WINDOW_SECONDS,
           best.seconds, bench->bytes / best.seconds / 1e6, loop_of_best.cpu_seconds,
           best.seconds / loop_of_best.cpu_seconds);
    return true;
}

int main(int argc, char **argv) {
    Bench bench = {.workers = 1, .seconds = 60, .megabytes = 8, .runs = 3};
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        int *number = strcmp(argv[first], "--workers") == 0     ? &bench.workers
                      : strcmp(argv[first], "--seconds") == 0   ? &bench.seconds
                      : strcmp(argv[first], "--megabytes") == 0 ? &bench.megabytes
                      : strcmp(argv[first], "--runs") == 0      ? &bench.runs
                                                                : NULL;
        if (strcmp(argv[first], "--inverse") == 0)
            bench.with_inverse = true;
        else if (strcmp(argv[first], "--function") == 0)
            bench.with_function = true;
        else if (number && first + 1 < argc)
            *number = atoi(argv[++first]);
        else
            return usage();
    }
    if (first + 1 != argc || bench.workers < 1 || bench.seconds < 1 || bench.seconds > SECONDS_MAX ||
        bench.megabytes < 1 || bench.runs < 1)
        return usage();
    char input[100];
    strcpy(bench.directory, "/tmp/leat-window-XXXXXX");
    if (!mkdtemp(bench.directory))
        return 1;
    snprintf(bench.checkpoint, sizeof bench.checkpoint, "%s/checkpoint", bench.directory);
    snprintf(input, sizeof input, "%s/in", bench.directory);
    bool ok = mkdir(input, 0700) == 0 && cut_input(&bench, argv[first]) && run_both(&bench);
    for (int i = 0; i < bench.seconds && bench.paths[i]; i++) {
        unlink(bench.paths[i]);
        free(bench.paths[i]);
    }
    rmdir(input);
    rmdir(bench.directory);
    return ok ? 0 : 1;
}
