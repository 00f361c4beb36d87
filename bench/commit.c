/* commit.c - how many batches of one record a second are made durable, against the bare rate of fdatasync; and
 * what a batch costs without a log.
 *
 *     build/release/bench/commit [DIRECTORY]
 *
 * A function stream gives one row in each batch, counted by key, to an output that looks at it. The clock is
 * moved by hand, so batches follow one another at once. With a checkpoint every batch is one write and one sync
 * of the batch log. The bare rate: pwrite of 4096 bytes and fdatasync on a preallocated file in the same
 * directory, in the same minute, in turns. DIRECTORY (default: here) stands on the disk to be measured. */
#include <leat/leat.h>

#include "common/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DURABLE_BATCHES = 1000, PLAIN_BATCHES = 50000, ROUNDS = 5, PAGE = 4096 };

static bool one_row(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)user;
    char word[16];
    snprintf(word, sizeof word, "w%d", (int)(batch_time_ms % 100));
    leat_out_str(out, 0, leat_str(word));
    leat_out_emit(out);
    return true;
}

static bool count_row(LeatBatch *batch, void *user) {
    *(uint64_t *)user += leat_batch_count(batch);
    return true;
}

/* Microseconds a batch. */
static double run_batches(const char *checkpoint, int count) {
    uint64_t rows = 0;
    LeatContext *ctx = leat_context_create("bench-commit", leat_milliseconds(1));
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, 1);
    if (checkpoint)
        leat_checkpoint(ctx, checkpoint);
    LeatStream *words = leat_function_stream(ctx, "word STRING", one_row, NULL);
    LeatStream *counts = leat_reduce_by_key(leat_map(words, leat_pair_with_i64(1)), leat_sum());
    leat_foreach_rdd(counts, count_row, &rows);
    double us = 0;
    if (leat_start(ctx) == LEAT_EXIT_OK) {
        leat_advance(ctx, 10); /* warm */
        double begin = wall_seconds();
        leat_advance(ctx, count);
        us = (wall_seconds() - begin) * 1e6 / count;
        leat_stop(ctx, (LeatStop){0});
    }
    int code = leat_await_termination(ctx);
    leat_context_destroy(ctx);
    if (code != LEAT_EXIT_OK || rows != (uint64_t)count + 10)
        exit(1);
    return us;
}

/* Microseconds a sync. */
static double run_bare(const char *path, int count) {
    static char page[PAGE];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)count * PAGE) != 0 || fsync(fd) != 0) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < count; i++) /* written once: blocks that were never written cost more */
        if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
            exit(1);
    fsync(fd);
    double begin = wall_seconds();
    for (int i = 0; i < count; i++)
        if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE || fdatasync(fd) != 0)
            exit(1);
    double us = (wall_seconds() - begin) * 1e6 / count;
    close(fd);
    unlink(path);
    return us;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static void remove_tree(const char *directory) {
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0)
        perror(directory);
}

int main(int argc, char **argv) {
    char directory[4096], bare[4200], checkpoint[4200];
    snprintf(directory, sizeof directory, "%s/leat-commit-XXXXXX", argc > 1 ? argv[1] : ".");
    if (argc > 2 || !mkdtemp(directory)) {
        fputs("usage: commit [DIRECTORY]\n", stderr);
        return 64;
    }
    snprintf(bare, sizeof bare, "%s/bare", directory);
    double sync_us[ROUNDS], durable_us[ROUNDS], plain_us[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        sync_us[round] = run_bare(bare, DURABLE_BATCHES);
        snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint-%d", directory, round);
        durable_us[round] = run_batches(checkpoint, DURABLE_BATCHES);
        plain_us[round] = run_batches(NULL, PLAIN_BATCHES);
    }
    remove_tree(directory);
    double sync = median(sync_us), durable = median(durable_us), plain = median(plain_us);
    printf(
        "bare fdatasync %.0f a second  batches of one record %.0f a second  ratio %.2f  (at least 0.6 is the "
        "goal)\n",
        1e6 / sync, 1e6 / durable, sync / durable);
    printf("a batch without a log: %.1f us  (at most 30 is the goal)\n", plain);
    return 0;
}
