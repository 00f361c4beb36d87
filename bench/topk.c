/* topk.c - the ten most frequent words of the last 30 seconds, every second, against a loop by hand.
 *
 *     build/release/bench/topk [--inverse] [--mib N] FILE
 *
 * FILE is cut into 45 parts, one a batch. Ours: text file stream, split, pairs, reduceByKeyAndWindow (30 s, 1 s),
 * top; with --inverse by adding what enters and taking away what leaves, which needs a checkpoint. The loop: a
 * scan by bytes, a table of words, a counter for each, the counts of each of the last 30 parts in a list to be
 * taken away, and a look at all counters for the ten. Both give the ten words and their counts of every batch,
 * which are compared. CPU seconds with one worker, the fastest of three in turns. */
#include <leat/leat.h>

#include "common/loop.h"
#include "common/parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = 45, WINDOW = 30, BEST = 10, ROUNDS = 3 };

static double process_cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What does not depend on the order of equal counts' words: there is one order. */
static uint64_t sum_best(uint64_t sum, LeatStr word, uint64_t count) {
    return (sum ^ loop_checksum(word, count)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- ours ---- */

static bool take_best(LeatBatch *batch, void *user) {
    uint64_t *sum = user;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        *sum = sum_best(*sum, leat_row_str(&row, 0), (uint64_t)leat_row_i64(&row, 1));
    return true;
}

static double run_leat(const Parts *parts, bool with_inverse, uint64_t *sum) {
    *sum = 0;
    char checkpoint[] = "/tmp/leat-topk-XXXXXX", command[128];
    if (!mkdtemp(checkpoint))
        exit(1);
    LeatContext *ctx = leat_context_create("bench-topk", leat_seconds(1));
    leat_context_set_manual_clock(ctx);
    leat_workers(ctx, 1);
    if (with_inverse)
        leat_checkpoint(ctx, checkpoint);
    LeatStream *lines = leat_text_file_stream_with(
        ctx, (LeatFileStream){.directory = parts->directory, .existing_files = true});
    LeatStream *pairs = leat_map(leat_flat_map(lines, leat_split(" ")), leat_pair_with_i64(1));
    LeatWindow window = {.length = leat_seconds(WINDOW), .slide = leat_seconds(1)};
    if (with_inverse)
        window.inverse = leat_subtract();
    LeatStream *counts = leat_reduce_by_key_and_window(pairs, leat_sum(), window);
    leat_foreach_rdd(leat_top(counts, BEST, "n DESC, value"), take_best, sum);
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
    snprintf(command, sizeof command, "rm -rf '%s'", checkpoint);
    if (system(command) != 0)
        exit(1);
    return seconds;
}

/* ---- by hand ---- */

typedef struct Word {
    LeatStr text; /* in the mapped parts */
    uint64_t total, of_part;
} Word;

typedef struct Change {
    uint32_t word;
    uint64_t count;
} Change;

typedef struct Slot {
    uint32_t hash, word; /* + 1; 0: empty */
} Slot;

typedef struct Loop {
    Slot *slots; /* open addressing */
    uint32_t slot_mask;
    Word *words;
    uint32_t word_count;
    Change *changes[WINDOW];
    uint32_t change_counts[WINDOW];
    uint32_t *seen; /* words of this part */
    uint32_t seen_count;
} Loop;

enum { WORDS_MAX = 1 << 18 };

static void count_word(Loop *loop, const char *data, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    uint32_t high = (uint32_t)(hash >> 32), at = high & loop->slot_mask;
    for (; loop->slots[at].word; at = (at + 1) & loop->slot_mask) {
        const LeatStr *text = &loop->words[loop->slots[at].word - 1].text;
        if (loop->slots[at].hash == high && text->size == size && memcmp(text->data, data, size) == 0)
            break;
    }
    if (!loop->slots[at].word) {
        if (loop->word_count == WORDS_MAX) {
            fputs("topk: more words than the loop is made for\n", stderr);
            exit(1);
        }
        loop->words[loop->word_count] = (Word){.text = leat_str_slice(data, size)};
        loop->slots[at] = (Slot){high, ++loop->word_count};
    }
    uint32_t word = loop->slots[at].word - 1;
    if (loop->words[word].of_part++ == 0)
        loop->seen[loop->seen_count++] = word;
}

static int compare_words(const Word *a, const Word *b) {
    if (a->total != b->total)
        return a->total > b->total ? -1 : 1;
    size_t common = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = memcmp(a->text.data, b->text.data, common);
    return order ? order : (a->text.size > b->text.size) - (a->text.size < b->text.size);
}

static uint64_t look_for_best(const Loop *loop, uint64_t sum) {
    const Word *best[BEST + 1];
    int count = 0;
    for (uint32_t w = 0; w < loop->word_count; w++) {
        const Word *word = &loop->words[w];
        if (word->total == 0 || (count == BEST && compare_words(best[BEST - 1], word) < 0))
            continue;
        int at = count < BEST ? count++ : BEST - 1;
        for (; at > 0 && compare_words(word, best[at - 1]) < 0; at--)
            best[at] = best[at - 1];
        best[at] = word;
    }
    for (int i = 0; i < count; i++)
        sum = sum_best(sum, best[i]->text, best[i]->total);
    return sum;
}

static void count_part(Loop *loop, int part, const char *data, size_t size) {
    for (const char *end = data + size, *word = data, *at = data; at < end; at++) {
        if (*at != ' ' && *at != '\n')
            continue;
        count_word(loop, word, (size_t)(at - word));
        word = at + 1;
    }
    int place = part % WINDOW;
    for (uint32_t i = 0; i < loop->change_counts[place]; i++) /* what leaves the window */
        loop->words[loop->changes[place][i].word].total -= loop->changes[place][i].count;
    loop->changes[place] = realloc(loop->changes[place], (loop->seen_count + 1) * sizeof(Change));
    loop->change_counts[place] = loop->seen_count;
    for (uint32_t i = 0; i < loop->seen_count; i++) {
        Word *word = &loop->words[loop->seen[i]];
        loop->changes[place][i] = (Change){loop->seen[i], word->of_part};
        word->total += word->of_part;
        word->of_part = 0;
    }
    loop->seen_count = 0;
}

static double run_loop(const Parts *parts, uint64_t *sum) {
    *sum = 0;
    static const char *data[PARTS];
    static size_t sizes[PARTS];
    double begin = cpu_seconds();
    Loop loop = {.slots = calloc(2 * WORDS_MAX, sizeof(Slot)),
                 .slot_mask = 2 * WORDS_MAX - 1,
                 .words = malloc(WORDS_MAX * sizeof(Word)),
                 .seen = malloc(WORDS_MAX * sizeof(uint32_t))};
    for (int i = 0; i < parts->count; i++) {
        char path[128];
        struct stat info;
        parts_path(parts, i, path, sizeof path);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || fstat(fd, &info) != 0)
            exit(1);
        sizes[i] = (size_t)info.st_size;
        data[i] = mmap(NULL, sizes[i], PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (data[i] == MAP_FAILED)
            exit(1);
        close(fd);
        count_part(&loop, i, data[i], sizes[i]);
        *sum = look_for_best(&loop, *sum);
    }
    for (int i = 0; i < parts->count; i++)
        munmap((void *)(uintptr_t)data[i], sizes[i]);
    for (int i = 0; i < WINDOW; i++)
        free(loop.changes[i]);
    free(loop.slots);
    free(loop.words);
    free(loop.seen);
    return cpu_seconds() - begin;
}

int main(int argc, char **argv) {
    bool with_inverse = false;
    size_t mib = 225;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--inverse") == 0)
            with_inverse = true;
        else if (strcmp(argv[i], "--mib") == 0 && i + 1 < argc)
            mib = (size_t)atoi(argv[++i]);
        else
            break;
    }
    if (i + 1 != argc || mib == 0) {
        fputs("usage: topk [--inverse] [--mib N] FILE\n", stderr);
        return 64;
    }
    Parts parts = parts_create("/tmp", argv[i], PARTS, mib << 20);
    double ours = 1e9, loop = 1e9;
    uint64_t our_sum = 0, loop_sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double seconds = run_leat(&parts, with_inverse, &our_sum);
        ours = seconds < ours ? seconds : ours;
        seconds = run_loop(&parts, &loop_sum);
        loop = seconds < loop ? seconds : loop;
    }
    parts_destroy(&parts);
    double megabytes = (double)parts.bytes / 1e6;
    printf("batches %d of %.1f MB  MB/s %.0f  loop MB/s %.0f  times the loop %.2f  %s  (at most 1.5 is the "
           "goal)\n",
           PARTS, megabytes / PARTS, megabytes / ours, megabytes / loop, ours / loop,
           our_sum == loop_sum ? "equal" : "DIFFERENT");
    return our_sum != loop_sum;
}
