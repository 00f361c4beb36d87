/* HOSTILE_TEST: windows, joins and state with snapshots, killed (SIGKILL) at random moments and started again
 * with another number of workers each time.
 *
 * One program, over files of words that appear all the while, has an output for each of
 *
 *   a   the counts of the batch                t   running counts, by updateStateByKey
 *   j   the join of the two: the counts        k   and the running counts in it
 *   o   the outer join of t with a, 0 where a has nothing
 *   w   counts over a window                   n   the number of rows in a window of rows
 *   i   the same, with an inverse: keys stay   c   the same, by countByWindow
 *   f   with an inverse and a filter: as w
 *
 * and writes down what it is given. At the end all follows from a: whatever was given again was the same, no
 * time is missing, t adds up all of a, w and n the batches of the window, j is a, and a is what the files
 * hold. LEAT_TEST_LONG=1: 1,000 kills, else 30; KILLS=n: so many.
 */
#include "base/memory.h"
#include "killer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORDS = 40, LENGTH = 6, SLIDE = 2 }; /* of the windows, in batches */

typedef struct Job Job;

typedef struct Kept { /* an output */
    Job *job;
    char letter;
    int column; /* of the value; -1: of an option; -2: the only row is a number */
} Kept;

enum { OUTPUTS_MAX = 10 };

struct Job {
    Killer killer;
    WordFiles words;
    char checkpoint[300], given[300];
    Kept outputs[OUTPUTS_MAX];
    uint32_t output_count;
};

/* ---- the victim ---- */

static bool read_row(const Kept *kept, const LeatRow *row, int64_t *values) {
    if (kept->column == -2) {
        values[0] = leat_row_i64(row, 0);
        return true;
    }
    LeatRow option;
    unsigned word = WORDS;
    LeatStr text = leat_row_str(row, 0);
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)text.size, text.data);
    if (sscanf(name, "word-%u", &word) != 1 || word >= WORDS || values[word] != -1)
        return false; /* no word, or twice */
    if (kept->column >= 0)
        values[word] = leat_row_i64(row, (uint32_t)kept->column);
    else
        values[word] = leat_row_option(row, 2, &option) ? leat_row_i64(&option, 0) : 0;
    return true;
}

/* A line: letter, time, a value for each word, -1 where there is none. */
static bool write_down(LeatBatch *batch, void *user) {
    const Kept *kept = user;
    int64_t values[WORDS];
    for (int i = 0; i < WORDS; i++)
        values[i] = -1;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        if (!read_row(kept, &row, values))
            return false;
    Text line = {0};
    text_appendf(&line, "%c %" PRId64, kept->letter, leat_batch_time_ms(batch));
    for (int i = 0; i < WORDS; i++)
        text_appendf(&line, " %" PRId64, values[i]);
    text_append(&line, STR("\n"));
    int file = open(kept->job->given, O_WRONLY | O_CREAT | O_APPEND, 0600);
    bool is_written = file >= 0 && write(file, line.data, line.size) == (ssize_t)line.size;
    close(file);
    text_deinit(&line);
    if (kept->letter == 't') {
        int64_t total = 0;
        for (int i = 0; i < WORDS; i++)
            total += values[i] > 0 ? values[i] : 0;
        kept->job->killer.progress->total = total;
    }
    victim_end_output(&kept->job->killer);
    return is_written;
}

static void keep(Job *job, LeatStream *stream, char letter, int column) {
    Kept *kept = &job->outputs[job->output_count++];
    *kept = (Kept){job, letter, column};
    leat_foreach_rdd(stream, write_down, kept);
}

static bool running_count(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t total = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        total += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, total);
    return true;
}

static bool is_positive(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_i64(row, 1) > 0;
}

static int victim(void *user) {
    Job *job = user;
    LeatWindow window = {.length = leat_milliseconds(LENGTH * KILL_INTERVAL_MS),
                         .slide = leat_milliseconds(SLIDE * KILL_INTERVAL_MS)};
    LeatContext *context = victim_context(&job->killer, "kill-windows", job->checkpoint);
    LeatStream *words = word_files_stream(&job->words, context);
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
    LeatStream *totals =
        leat_update_state_by_key(counts, leat_update_function("total BIGINT", running_count, NULL));
    LeatStream *both = leat_join(counts, totals);
    job->output_count = 0;
    keep(job, counts, 'a', 1);
    keep(job, totals, 't', 1);
    keep(job, both, 'j', 1);
    keep(job, both, 'k', 2);
    keep(job, leat_left_outer_join(totals, counts), 'o', -1);
    keep(job, leat_reduce_by_key_and_window(pairs, leat_sum(), window), 'w', 1);
    keep(job, leat_count(leat_window(words, window)), 'n', -2);
    keep(job, leat_count_by_window(words, window), 'c', -2);
    window.inverse = leat_subtract();
    keep(job, leat_reduce_by_key_and_window(pairs, leat_sum(), window), 'i', 1);
    window.filter = leat_predicate(is_positive, NULL);
    keep(job, leat_reduce_by_key_and_window(pairs, leat_sum(), window), 'f', 1);
    return victim_run(&job->killer, context);
}

static void feed(void *user) {
    word_files_feed(&((Job *)user)->words);
}

static bool all_counted(void *user) {
    Job *job = user;
    return job->words.file_count == job->words.files_max && job->killer.progress->output_count > 0 &&
           job->killer.progress->total >= job->words.total;
}

/* ---- what was given ---- */

typedef struct Line {
    char letter;
    int64_t time_ms, values[WORDS];
} Line;

typedef struct Lines {
    Line *lines; /* by letter and time, each once */
    size_t count, again;
} Lines;

static int compare_lines(const void *a, const void *b) {
    const Line *x = a, *y = b;
    if (x->letter != y->letter)
        return x->letter < y->letter ? -1 : 1;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

static bool read_line(FILE *file, Line *line) {
    if (fscanf(file, " %c %" SCNd64, &line->letter, &line->time_ms) != 2)
        return false;
    for (int i = 0; i < WORDS; i++)
        REQUIRE(fscanf(file, "%" SCNd64, &line->values[i]) == 1);
    return true;
}

/* Given again means given the same. */
static bool read_lines(const char *path, Lines *out) {
    size_t count = 0, room = 1024;
    Line *lines = xmalloc(room * sizeof *lines);
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    for (Line line; read_line(file, &line);) {
        if (count == room)
            lines = xrealloc(lines, (room *= 2) * sizeof *lines);
        lines[count++] = line;
    }
    fclose(file);
    qsort(lines, count, sizeof *lines, compare_lines);
    *out = (Lines){.lines = lines};
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_lines(&lines[i], &lines[out->count - 1]) != 0) {
            lines[out->count++] = lines[i];
        } else {
            out->again++;
            const Line *before = &lines[out->count - 1];
            if (!CHECK(memcmp(before->values, lines[i].values, sizeof before->values) == 0)) {
                printf("    output %c was given other rows when the batch of %" PRId64 " ms came again\n",
                       before->letter, before->time_ms);
                return false;
            }
        }
    }
    return CHECK(out->count > 0);
}

static const Line *find(const Lines *lines, char letter, int64_t time_ms) {
    Line wanted = {.letter = letter, .time_ms = time_ms};
    return bsearch(&wanted, lines->lines, lines->count, sizeof wanted, compare_lines);
}

static bool check_value(const Line *line, int word, int64_t expected) {
    if (CHECK_EQ(line->values[word], expected))
        return true;
    printf("    output %c at %" PRId64 " ms, word-%d\n", line->letter, line->time_ms, word);
    return false;
}

static int64_t at_least_zero(int64_t value) {
    return value > 0 ? value : 0;
}

static bool is_window(char letter) {
    return strchr("wnifc", letter);
}

/* The window that ends at this time, from the lines of a; `before`: the same of the window before, if any. */
static bool check_window(const Lines *lines, const Line *line, const Line *before) {
    int64_t sums[WORDS] = {0}, all = 0;
    for (int i = 0; i < LENGTH; i++) {
        const Line *batch = find(lines, 'a', line->time_ms - i * KILL_INTERVAL_MS);
        for (int word = 0; batch && word < WORDS; word++)
            sums[word] += at_least_zero(batch->values[word]);
    }
    bool is_right = true;
    for (int word = 0; word < WORDS; word++) {
        all += sums[word];
        bool was_there = before && before->values[word] != -1, stays = line->letter == 'i' && was_there;
        if (line->letter != 'n' && line->letter != 'c')
            is_right = is_right && check_value(line, word, sums[word] || stays ? sums[word] : -1);
    }
    if (line->letter == 'n')
        return check_value(line, 0, all);
    bool has_begun = all || (before && before->values[0] != -1);
    return line->letter == 'c' ? check_value(line, 0, has_begun ? all : -1) : is_right;
}

/* A batch, given the running counts up to it. */
static bool check_batch(const Line *line, const Line *batch, const int64_t *totals) {
    bool is_right = true;
    for (int word = 0; word < WORDS && is_right; word++) {
        int64_t count = batch->values[word], total = totals[word], expected = total ? total : -1;
        if (line->letter == 'j')
            expected = count;
        else if (line->letter == 'k')
            expected = count > 0 ? total : -1;
        else if (line->letter == 'o')
            expected = total ? at_least_zero(count) : -1;
        is_right = check_value(line, word, expected);
    }
    return is_right;
}

static bool check_lines(const Job *job, const Lines *lines) {
    int64_t totals[WORDS] = {0};
    for (size_t i = 0; i < lines->count; i++) { /* no time is missing */
        const Line *line = &lines->lines[i], *before = line - 1;
        bool is_first = i == 0 || before->letter != line->letter;
        int step = KILL_INTERVAL_MS * (is_window(line->letter) ? SLIDE : 1);
        if (!is_first && !CHECK_EQ(line->time_ms - before->time_ms, step)) {
            printf("    output %c: nothing between %" PRId64 " and %" PRId64 " ms\n", line->letter,
                   before->time_ms, line->time_ms);
            return false;
        }
        if (is_window(line->letter) && !check_window(lines, line, is_first ? NULL : before))
            return false;
    }
    for (size_t i = 0; i < lines->count && lines->lines[i].letter == 'a'; i++) {
        const Line *batch = &lines->lines[i];
        for (int word = 0; word < WORDS; word++)
            totals[word] += at_least_zero(batch->values[word]);
        for (const char *letter = "tjko"; *letter; letter++) {
            const Line *line = find(lines, *letter, batch->time_ms);
            if (!CHECK(line) || !check_batch(line, batch, totals))
                return false;
        }
    }
    for (int word = 0; word < WORDS; word++)
        if (!CHECK_EQ(totals[word], job->words.expected[word]))
            return false;
    return true;
}

TEST(windows_and_joins_survive_kills) {
    uint32_t kills = kill_count(30, 1000);
    Job *job = xcalloc(1, sizeof *job);
    Killer *killer = &job->killer;
    Lines lines = {0};
    killer_init(killer, victim, feed, job);
    job->words = (WordFiles){.word_count = WORDS, .file_words_max = 200, .files_max = 3 * kills};
    word_files_init(&job->words, check_tmpdir(), &killer->random);
    snprintf(job->checkpoint, sizeof job->checkpoint, "%s/checkpoint", check_tmpdir());
    snprintf(job->given, sizeof job->given, "%s/given", check_tmpdir());

    uint32_t killed = 0;
    while (killed < kills && kill_one(killer))
        killed++;
    if (killed == kills && run_until(killer, all_counted) && read_lines(job->given, &lines) &&
        check_lines(job, &lines))
        printf("windows: %u kills (%u before the checkpoint was read, %u before the first output), %u files, "
               "%" PRId64 " words, %zu batches of 10 outputs as they must be, %zu of them given again\n",
               kills, killer->before_started, killer->before_outputs, job->words.file_count, job->words.total,
               lines.count, lines.again);
    free(lines.lines);
    killer_deinit(killer);
    free(job);
}

TEST_MAIN()
