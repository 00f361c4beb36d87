/* engine - the word count by the engine alone: no driver, no logs. What an operator costs shows here first.
 *
 *     engine [--runs N] [--workers N] FILE...
 *
 * The file is read in splits of 64 MiB with read(2) into buffers of 1 MiB, as a file source does. Three
 * programs: built-in functions; functions of the user per record with a built-in sum; the same with a reduce
 * function. Prints nanoseconds a word (CPU time with one worker, else time on the wall) and the ratio to the
 * best loop of common/loop.h, which runs in between. Then what a batch of one line costs. */
#include "common/loop.h"
#include "exec/engine.h"
#include "format/text.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_SIZE = 1 << 20, SPLIT_SIZE = 64 << 20 };

static void must(Status st, const Error *err) {
    if (st == STATUS_OK)
        return;
    fprintf(stderr, "engine: %s\n", err->message);
    exit(1);
}

/* ---- ranges of a file ---- */

/* The lines that begin in [begin, end). */
typedef struct FileSplit {
    Split split;
    int file;
    uint64_t begin, end, size; /* `size`: of the file */
    uint64_t at;               /* of the next read */
    Buffer *buffer;            /* the piece given, and behind it what is carried over */
    size_t used;
    Budget *budget;
} FileSplit;

static Status split_open(Split *base, Budget *budget, Error *err) {
    (void)err;
    FileSplit *split = (FileSplit *)base;
    split->budget = budget;
    split->at = split->begin;
    return STATUS_OK;
}

static Status split_next_piece(Split *base, TextPiece *piece, Error *err) {
    FileSplit *split = (FileSplit *)base;
    *piece = (TextPiece){0};
    size_t carried = split->buffer ? split->buffer->size - split->used : 0;
    if (split->at >= split->end && carried == 0)
        return STATUS_OK;
    Buffer *next = split->buffer;
    if (!next || buffer_is_shared(next))
        TRY(buffer_create(PIECE_SIZE, split->budget, "the benchmark", &next, err));
    if (carried)
        memmove(next->data, split->buffer->data + split->used, carried);
    if (next != split->buffer)
        buffer_release(split->buffer);
    split->buffer = next;
    size_t wanted = PIECE_SIZE - carried;
    if (wanted > split->end - split->at)
        wanted = split->end - split->at;
    ssize_t got = pread(split->file, next->data + carried, wanted, (off_t)split->at);
    if (got != (ssize_t)wanted)
        return error_set(err, STATUS_IO, "the file has changed");
    split->at += wanted;
    next->size = carried + wanted;
    split->used = split->at == split->end ? next->size : text_cut(next->data, next->size);
    *piece = (TextPiece){.buffer = next, .end = split->used};
    return STATUS_OK;
}

static void split_close(Split *base) {
    FileSplit *split = (FileSplit *)base;
    buffer_release(split->buffer);
    split->buffer = NULL;
}

static void split_destroy(Split *base) {
    free(base);
}

static const SplitClass file_split_class = {
    .open = split_open, .next_piece = split_next_piece, .close = split_close, .destroy = split_destroy};

/* The first byte of a line at or behind `offset`. */
static uint64_t line_begin(int file, uint64_t offset, uint64_t size) {
    char byte = 0;
    for (; offset > 0 && offset < size; offset++)
        if (pread(file, &byte, 1, (off_t)offset - 1) == 1 && byte == '\n')
            break;
    return offset < size ? offset : size;
}

static void add_splits(SplitList *list, int file, uint64_t size) {
    for (uint64_t begin = 0, end; begin < size; begin = end) {
        FileSplit *split = xcalloc(1, sizeof *split);
        end = line_begin(file, begin + SPLIT_SIZE, size);
        *split = (FileSplit){
            {&file_split_class, end - begin}, .file = file, .begin = begin, .end = end, .size = size};
        split_list_add(list, &split->split);
    }
}

/* ---- programs ---- */

static void split_words(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    LeatStr rest = leat_row_str(row, 0), word;
    while (leat_str_split(&rest, ' ', &word)) {
        leat_out_str(out, 0, word);
        leat_out_emit(out);
    }
}

static void pair_with_one(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, 1);
    leat_out_emit(out);
}

static void add(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user) {
    (void)user;
    leat_out_i64(out, 0, leat_row_i64(a, 0) + leat_row_i64(b, 0));
    leat_out_emit(out);
}

static PlanNode *add_node(Plan *plan, PlanKind kind, const char *call, PlanNode *input, LeatFunction function,
                          const char *columns, uint32_t key_count) {
    Schema *schema;
    Error err = {0};
    PlanNode *node = plan_add(plan, kind, call, &input, input ? 1 : 0);
    must(schema_parse(plan->arena, str_from(columns), key_count, &schema, &err), &err);
    node->schema = schema;
    node->function = function;
    return node;
}

typedef enum Program { KERNELS, FUNCTIONS, REDUCE_FUNCTION, PROGRAM_COUNT } Program;
static const char *const program_names[] = {"built in", "functions", "reduce too"};

static Plan *make_plan(Program program) {
    Plan *plan = plan_create();
    Error err = {0};
    PlanNode *lines = add_node(plan, PLAN_SOURCE, "bench", NULL, (LeatFunction){0}, "value STRING", 0);
    lines->source_kind = "bench";
    lines->is_text = true;
    LeatFunction split = leat_split(" "), pair = leat_pair_with_i64(1), sum = leat_sum();
    if (program != KERNELS) {
        split = leat_function("word STRING", split_words, NULL);
        pair = leat_function("word STRING, n BIGINT", pair_with_one, NULL);
    }
    if (program == REDUCE_FUNCTION)
        sum = leat_reduce_function(add, NULL);
    PlanNode *words = add_node(plan, PLAN_FLAT_MAP, "leat_flat_map", lines, split, "word STRING", 0);
    PlanNode *pairs = add_node(plan, PLAN_MAP, "leat_map", words, pair, "word STRING, n BIGINT", 1);
    PlanNode *counts =
        add_node(plan, PLAN_AGGREGATE, "leat_reduce_by_key", pairs, sum, "word STRING, n BIGINT", 1);
    add_node(plan, PLAN_OUTPUT, "leat_foreach_rdd", counts, (LeatFunction){0}, "word STRING, n BIGINT", 1);
    must(plan_finish(plan, &err), &err);
    return plan;
}

typedef struct Counts {
    uint64_t words, distinct, checksum;
    double seconds;
} Counts;

static Counts sum_up(const BatchData *data) {
    Counts counts = {.distinct = data->row_count};
    for (uint32_t p = 0; p < data->partition_count; p++)
        for (uint32_t i = 0; i < data->partitions[p].chunk_count; i++) {
            const Chunk *chunk = shared_chunk_view(data->partitions[p].chunks[i]);
            for (uint32_t row = 0; row < chunk->row_count; row++) {
                uint64_t count = (uint64_t)column_i64(&chunk->columns[1], row);
                counts.words += count;
                counts.checksum += loop_checksum(column_str(&chunk->columns[0], row), count);
            }
        }
    return counts;
}

static Engine *make_engine(const Plan *plan, uint32_t worker_count) {
    static Budget in_flight, state;
    budget_init(&in_flight, "in flight", UINT64_C(4) << 30, NULL);
    budget_init(&state, "state", UINT64_C(4) << 30, NULL);
    Engine *engine;
    Error err = {0};
    must(engine_create(plan,
                       (EngineOptions){.env = env_real(),
                                       .worker_count = worker_count,
                                       .partition_count = worker_count,
                                       .budget_in_flight = &in_flight,
                                       .budget_state = &state},
                       &engine, &err),
         &err);
    return engine;
}

static Counts run(Program program, const char *path, uint32_t worker_count) {
    Plan *plan = make_plan(program);
    Engine *engine = make_engine(plan, worker_count);
    EngineInput input = {.has_batch = true};
    Error err = {0};
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &info) != 0) {
        perror(path);
        exit(1);
    }
    double cpu = cpu_seconds(), wall = wall_seconds();
    add_splits(&input.splits, file, (uint64_t)info.st_size);
    must(engine_run(engine, &input, (EngineBatch){1, 1000}, &err), &err);
    double seconds = worker_count == 1 ? cpu_seconds() - cpu : wall_seconds() - wall;
    Counts counts = sum_up(engine_output(engine, 0));
    counts.seconds = seconds;
    engine_rollback(engine);
    split_list_deinit(&input.splits);
    engine_destroy(engine);
    plan_destroy(plan);
    close(file);
    return counts;
}

/* ---- a batch of one line ---- */

typedef struct LineSplit {
    Split split;
    Buffer *buffer;
    bool is_given;
} LineSplit;

static Status line_open(Split *base, Budget *budget, Error *err) {
    (void)budget;
    (void)err;
    ((LineSplit *)base)->is_given = false;
    return STATUS_OK;
}

static Status line_next_piece(Split *base, TextPiece *piece, Error *err) {
    (void)err;
    LineSplit *split = (LineSplit *)base;
    *piece = (TextPiece){.buffer = split->is_given ? NULL : split->buffer, .end = split->buffer->size};
    split->is_given = true;
    return STATUS_OK;
}

static void line_close(Split *base) {
    (void)base;
}

static const SplitClass line_split_class = {
    .open = line_open, .next_piece = line_next_piece, .close = line_close, .destroy = line_close};

static double one_line(Program program) {
    enum { BATCHES = 20000 };
    Plan *plan = make_plan(program);
    Engine *engine = make_engine(plan, 2);
    Error err = {0};
    Str line = STR("to be or not to be that is the question and questions are twelve bytes long\n");
    LineSplit split = {{&line_split_class, line.size}, NULL, false};
    must(buffer_create(line.size, NULL, "the benchmark", &split.buffer, &err), &err);
    memcpy(split.buffer->data, line.data, split.buffer->size = line.size);
    EngineInput input = {.has_batch = true};
    double begin = 0;
    for (int b = -100; b < BATCHES; b++) {
        if (b == 0)
            begin = wall_seconds();
        split_list_add(&input.splits, &split.split);
        must(engine_run(engine, &input, (EngineBatch){1, 1000}, &err), &err);
        engine_keep(engine);
        split_list_reset(&input.splits);
    }
    double seconds = (wall_seconds() - begin) / BATCHES;
    split_list_deinit(&input.splits);
    buffer_release(split.buffer);
    engine_destroy(engine);
    plan_destroy(plan);
    return seconds;
}

int main(int argc, char **argv) {
    int runs = 3, first = 1;
    uint32_t worker_count = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        if (strcmp(argv[first], "--runs") == 0)
            runs = atoi(argv[first + 1]);
        else if (strcmp(argv[first], "--workers") == 0)
            worker_count = (uint32_t)atoi(argv[first + 1]);
        else
            first = argc;
    }
    if (runs < 1 || worker_count < 1 || first > argc) {
        fputs("usage: engine [--runs N] [--workers N] FILE...\n", stderr);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        double seconds[PROGRAM_COUNT] = {0};
        LoopResult best = {0};
        for (int turn = 0; turn < runs; turn++) { /* by turns: others use the machine too */
            LoopResult loop = loop_best(argv[i]);
            if (!loop.ok)
                return 1;
            if (!best.ok || loop.cpu_seconds < best.cpu_seconds)
                best = loop;
            for (Program p = KERNELS; p < PROGRAM_COUNT; p++) {
                Counts counts = run(p, argv[i], worker_count);
                if (counts.words != best.words || counts.distinct != best.distinct ||
                    counts.checksum != best.checksum) {
                    fprintf(stderr, "engine: %s by %s: not what the loop counts\n", argv[i],
                            program_names[p]);
                    return 1;
                }
                if (turn == 0 || counts.seconds < seconds[p])
                    seconds[p] = counts.seconds;
            }
        }
        printf("%s: %.0f MB, %" PRIu64 " words, %" PRIu64 " distinct, %u worker%s\n", argv[i],
               (double)best.bytes * 1e-6, best.words, best.distinct, worker_count,
               worker_count == 1 ? "" : "s");
        for (Program p = KERNELS; p < PROGRAM_COUNT; p++)
            printf("  %-12s %6.2f ns a word %6.0f MB/s   x best loop %.2f\n", program_names[p],
                   seconds[p] * 1e9 / (double)best.words, (double)best.bytes * 1e-6 / seconds[p],
                   best.cpu_seconds / seconds[p]);
        printf("  %-12s %6.2f ns a word %6.0f MB/s\n", "best loop",
               best.cpu_seconds * 1e9 / (double)best.words, (double)best.bytes * 1e-6 / best.cpu_seconds);
    }
    for (Program p = KERNELS; p < PROGRAM_COUNT; p++)
        printf("a batch of one line, %-12s %6.2f us\n", program_names[p], one_line(p) * 1e6);
    return 0;
}
