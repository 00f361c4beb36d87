/* grep.c - the lines of files that contain a text, counted, against a loop of memmem.
 *
 *     build/release/bench/grep [--mib N]
 *
 * Records of 99 bytes and a LF, one in a hundred with the text; one batch over one file; no log. Both give the
 * number of records that contain it. CPU seconds with one worker, the fastest of five in turns. */
#include <leat/leat.h>

#include "common/loop.h"
#include "common/parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 100, ROUNDS = 5 };
#define WANTED "needle in here"

static void make_records(const char *path, size_t count) {
    FILE *file = fopen(path, "w");
    unsigned random = 1;
    for (size_t i = 0; file && i < count; i++) {
        char record[RECORD];
        for (int c = 0; c < RECORD - 1; c++) {
            random = random * 1664525 + 1013904223;
            record[c] = (char)("etaoin shrdlu nedle"[random >> 16 & 15]);
        }
        if (random >> 8 & 1 && i % 50 == 0)
            memcpy(record + random % 80, WANTED, strlen(WANTED));
        record[RECORD - 1] = '\n';
        fwrite(record, 1, sizeof record, file);
    }
    if (!file || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static double process_cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool take_count(LeatBatch *batch, void *user) {
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        *(int64_t *)user += leat_row_i64(&row, 0);
    return true;
}

static double run_leat(const Parts *parts, int64_t *count) {
    *count = 0;
    LeatContext *ctx = leat_context_create("bench-grep", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, 1);
    LeatStream *lines = leat_text_file_stream_with(
        ctx, (LeatFileStream){.directory = parts->directory, .existing_files = true});
    leat_foreach_rdd(leat_count(leat_filter(lines, leat_contains(WANTED))), take_count, count);
    double seconds = 0;
    if (leat_start(ctx) == LEAT_EXIT_OK) {
        double begin = process_cpu_seconds();
        leat_advance(ctx, parts->count * 1000);
        seconds = process_cpu_seconds() - begin;
        leat_stop(ctx, (LeatStop){0});
    }
    if (leat_await_termination(ctx) != LEAT_EXIT_OK)
        exit(1);
    leat_context_destroy(ctx);
    return seconds;
}

/* The file is mapped and read, as ours reads it. */
static double run_loop(const char *path, size_t size, int64_t *count) {
    *count = 0;
    double begin = cpu_seconds();
    int fd = open(path, O_RDONLY);
    const char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0), *end = data + size;
    if (fd < 0 || data == MAP_FAILED)
        exit(1);
    for (const char *line = data; line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        line_end = line_end ? line_end : end;
        *count += memmem(line, (size_t)(line_end - line), WANTED, strlen(WANTED)) != NULL;
        line = line_end + 1;
    }
    munmap((void *)data, size);
    close(fd);
    return cpu_seconds() - begin;
}

int main(int argc, char **argv) {
    size_t mib = argc == 3 && strcmp(argv[1], "--mib") == 0 ? (size_t)atoi(argv[2]) : 256;
    if ((argc != 1 && argc != 3) || mib == 0) {
        fputs("usage: grep [--mib N]\n", stderr);
        return 64;
    }
    char records[] = "/tmp/leat-grep-XXXXXX", path[128];
    int fd = mkstemp(records);
    if (fd < 0)
        return 1;
    close(fd);
    make_records(records, (mib << 20) / RECORD);
    Parts parts = parts_create("/tmp", records, 1, 0);
    unlink(records);
    parts_path(&parts, 0, path, sizeof path);
    double ours = 1e9, loop = 1e9;
    int64_t our_count = 0, loop_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double seconds = run_leat(&parts, &our_count);
        ours = seconds < ours ? seconds : ours;
        seconds = run_loop(path, parts.bytes, &loop_count);
        loop = seconds < loop ? seconds : loop;
    }
    parts_destroy(&parts);
    double megabytes = (double)parts.bytes / 1e6;
    printf("records %zu  found %lld  MB/s %.0f  loop MB/s %.0f  times the loop %.2f  %s  (at most 2.5 is the "
           "goal)\n",
           parts.bytes / RECORD, (long long)our_count, megabytes / ours, megabytes / loop, ours / loop,
           our_count == loop_count ? "equal" : "DIFFERENT");
    return our_count != loop_count;
}
