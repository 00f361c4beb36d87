/* THREADS_TEST HOSTILE_TEST: a driver has a thread of its own.
 *
 * The driver on real files with a source and outputs of the test's own: a script of lines per batch, running
 * counts, a file that every batch is appended to. The sweeps end the process before and behind every call,
 * and fail every call, of a job of three batches and of its recovery; afterwards a clean run to the end must
 * have given every batch the same rows as a run without faults, each at least once, and the counts of one
 * that never was interrupted.
 */
#include "stream/driver.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "env/env_faulty.h"
#include "env/env_table.h"
#include "check.h"
#include "stream/batch_log.h"
#include "stream/frames.h"
#include "sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a source that plays a script ---- */

typedef struct ScriptSource {
    Source source;
    const char *const *batches; /* lines of the batch at time n * interval, n from 1; NULL: no batch */
    uint32_t batch_count;
    const SourceServices *services;
    int64_t last_planned_ms, last_done_ms;
    bool submits_blocks; /* each plan of a batch with lines hands a block to the block log, too */
} ScriptSource;

typedef struct ScriptSplit {
    Split split;
    char *text;
    Buffer *buffer;
    bool is_read;
    bool fails;
} ScriptSplit;

CHECKED static Status script_split_open(Split *split, Budget *budget, Error *err) {
    ScriptSplit *self = (ScriptSplit *)split;
    size_t size = strlen(self->text);
    if (self->fails)
        return error_set(err, STATUS_IO, "the script says so");
    TRY(buffer_create(size ? size : 1, budget, "script", &self->buffer, err));
    memcpy(self->buffer->data, self->text, size);
    self->buffer->size = size;
    self->is_read = false;
    return STATUS_OK;
}

CHECKED static Status script_split_next(Split *split, TextPiece *piece, Error *err) {
    (void)err;
    ScriptSplit *self = (ScriptSplit *)split;
    *piece = self->is_read ? (TextPiece){0} : (TextPiece){.buffer = self->buffer, .end = self->buffer->size};
    self->is_read = true;
    return STATUS_OK;
}

static void script_split_close(Split *split) {
    buffer_release(((ScriptSplit *)split)->buffer);
}

static void script_split_destroy(Split *split) {
    free(((ScriptSplit *)split)->text);
    free(split);
}

static const SplitClass script_split_class = {.open = script_split_open,
                                              .next_piece = script_split_next,
                                              .close = script_split_close,
                                              .destroy = script_split_destroy};

CHECKED static Status script_open(Source *source, const SourceServices *services, Error *err) {
    (void)err;
    ((ScriptSource *)source)->services = services;
    return STATUS_OK;
}

CHECKED static Status script_restore(Source *source, Str saved, Error *err) {
    (void)err;
    Reader r = reader_of(saved);
    ((ScriptSource *)source)->last_planned_ms = reader_i64(&r);
    return STATUS_OK;
}

CHECKED static Status script_replay(Source *source, int64_t batch_time_ms, Str plan, Error *err) {
    (void)plan, (void)err;
    ScriptSource *self = (ScriptSource *)source;
    CHECK(batch_time_ms > self->last_planned_ms); /* S1 */
    self->last_planned_ms = batch_time_ms;
    return STATUS_OK;
}

CHECKED static Status script_start(Source *source, Error *err) {
    (void)source, (void)err;
    return STATUS_OK;
}

CHECKED static Status submit_block(ScriptSource *self, uint64_t number, Error *err) {
    Buffer *buffer = NULL;
    BlockRef ref;
    TRY(buffer_create(4096, self->services->budget, "script", &buffer, err));
    memset(buffer->data, 'x', 4096);
    buffer->size = BLOCK_HEADER_SIZE + 100;
    Status st = block_log_submit(self->services->block_log, 1, number, 0, buffer, &ref, err);
    buffer_release(buffer);
    return st;
}

CHECKED static Status script_plan(Source *source, int64_t batch_time_ms, Text *plan, bool *has_batch,
                                  Error *err) {
    (void)err;
    ScriptSource *self = (ScriptSource *)source;
    CHECK(batch_time_ms > self->last_planned_ms);
    self->last_planned_ms = batch_time_ms;
    uint64_t index = (uint64_t)(batch_time_ms / self->services->interval_ms) - 1;
    const char *lines = index < self->batch_count ? self->batches[index] : "";
    *has_batch = lines != NULL;
    if (lines)
        text_append(plan, str_from(lines));
    return self->submits_blocks && lines && *lines ? submit_block(self, index + 1, err) : STATUS_OK;
}

CHECKED static Status script_read(Source *source, int64_t batch_time_ms, Str plan, SplitList *splits,
                                  Error *err) {
    (void)source, (void)batch_time_ms, (void)err;
    if (plan.size == 0)
        return STATUS_OK;
    ScriptSplit *split = xcalloc(1, sizeof *split);
    split->split = (Split){.class = &script_split_class, .size_bytes = plan.size};
    split->text = xstrdup(plan);
    split->fails = str_equal(plan, STR("fail\n"));
    split_list_add(splits, &split->split);
    return STATUS_OK;
}

static void script_done(Source *source, int64_t batch_time_ms) {
    ScriptSource *self = (ScriptSource *)source;
    CHECK(batch_time_ms > self->last_done_ms); /* S3 */
    self->last_done_ms = batch_time_ms;
}

static void script_save(Source *source, Text *out) {
    bytes_put_i64(out, ((ScriptSource *)source)->last_planned_ms);
}
static void script_nothing(Source *source) {
    (void)source;
}
static bool script_has_more(Source *source) {
    (void)source;
    return false;
}

static const SourceClass script_class = {.kind = "script",
                                         .open = script_open,
                                         .restore = script_restore,
                                         .replay = script_replay,
                                         .start = script_start,
                                         .plan = script_plan,
                                         .read = script_read,
                                         .done = script_done,
                                         .save = script_save,
                                         .stop = script_nothing,
                                         .has_more = script_has_more,
                                         .close = script_nothing,
                                         .destroy = script_nothing};

/* ---- an output that writes down what it was given ---- */

typedef struct FileOutput {
    Output output;
    const char *path;
    int64_t fails_at_ms, fails_from_ms; /* this batch, these batches fail; 0: none */
} FileOutput;

CHECKED static Status file_output_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                                      Error *err) {
    FileOutput *self = (FileOutput *)output;
    if (batch_time_ms == self->fails_at_ms || (self->fails_from_ms && batch_time_ms >= self->fails_from_ms))
        return error_set(err, STATUS_UNAVAILABLE, "the table is locked");
    Text line = {0};
    text_appendf(&line, "%" PRId64 ":", batch_time_ms);
    for (uint32_t p = 0; p < batch->partition_count; p++)
        for (uint32_t c = 0; c < batch->partitions[p].chunk_count; c++) {
            const Chunk *chunk = shared_chunk_view(batch->partitions[p].chunks[c]);
            for (uint32_t row = 0; row < chunk->row_count; row++)
                text_appendf(&line, " %.*s=%" PRId64, STR_ARG(column_str(&chunk->columns[0], row)),
                             column_i64(&chunk->columns[1], row));
        }
    text_append_byte(&line, '\n');
    EnvFile *file = NULL;
    EnvFileInfo info;
    Status st = STATUS_OK;
    TRY_GOTO(done, env_file_open(env, self->path, ENV_WRITE | ENV_CREATE, &file, err));
    TRY_GOTO(done, env_file_info(env, file, &info, err));
    TRY_GOTO(done, env_file_write(env, file, info.size_bytes, line.data, line.size, err));
done:
    env_file_close(env, file);
    text_deinit(&line);
    return st;
}

static void file_output_destroy(Output *output) {
    (void)output;
}
static const OutputClass file_output_class = {
    .kind = "file", .run = file_output_run, .destroy = file_output_destroy};

/* ---- the job: words, running counts, the file ---- */

static bool running_count(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t total = leat_update_has_state(key) ? leat_update_state_i64(key, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        total += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, total);
    return true;
}

typedef struct Job {
    char directory[512], checkpoint[600], output_path[600];
    const char *const *batches;
    uint32_t batch_count;
    ScriptSource source;
    FileOutput output, second_output;
    char second_output_path[600]; /* "": there is one output */
    bool submits_blocks;
    Plan *plan;
    Driver *driver;
    bool is_stateless, is_windowed, is_timed;
    uint64_t snapshot_log_bytes, log_segment_size_bytes;
    uint32_t worker_count;
    const char *program;
    int64_t interval_ms;
} Job;

static PlanNode *add_sum(Plan *plan, PlanNode *in, const Schema *pairs) {
    PlanNode *node = plan_add(plan, PLAN_AGGREGATE, "leat_reduce_by_key", &in, 1);
    node->schema = pairs, node->function = leat_sum();
    return node;
}

static PlanNode *add_window(Plan *plan, PlanNode *in, const Schema *schema, bool gives_changes) {
    PlanNode *node = plan_add(plan, PLAN_WINDOW, "leat_window", &in, 1);
    node->schema = schema, node->length = 2, node->gives_changes = gives_changes;
    return node;
}

/* The counts of the last two batches, twice: of the rows of a window, and from window to window. */
CHECKED static Status add_windows(Plan *plan, PlanNode *ones, const Schema *pairs, PlanNode **out,
                                  Error *err) {
    Schema *sign;
    TRY(schema_parse(plan->arena, STR("sign BIGINT"), 0, &sign, err));
    PlanNode *anew = add_sum(plan, add_window(plan, ones, pairs, false), pairs);
    PlanNode *changes =
        add_window(plan, add_sum(plan, ones, pairs), schema_concat(plan->arena, pairs, sign, 1), true);
    PlanNode *going_on = add_sum(plan, changes, pairs);
    going_on->is_cumulative = going_on->drops_zero = true;
    going_on->inverse = leat_subtract();
    going_on->state_schema = schema_slice(plan->arena, pairs, 1, 2, 0);
    *out = plan_add(plan, PLAN_UNION, "leat_union", (PlanNode *[]){anew, going_on}, 2);
    (*out)->schema = pairs;
    return STATUS_OK;
}

/* How many of a word came so far; minus that, when none came for a second and a half. */
static void count_or_end(const LeatRow *key, const LeatRow *value, LeatKeyState *state, LeatOut *out,
                         void *user) {
    (void)user;
    int64_t n = leat_state_exists(state) ? leat_state_get_i64(state, 0) : 0;
    if (value)
        leat_state_update_i64(state, 0, ++n);
    leat_out_str(out, 0, leat_row_str(key, 0));
    leat_out_i64(out, 1, value ? n : -n);
    leat_out_emit(out);
}

/* What the function gives, then the state after each batch. */
CHECKED static Status add_timeouts(Plan *plan, PlanNode *ones, const Schema *pairs, PlanNode **out,
                                   Error *err) {
    Schema *stored;
    TRY(schema_parse(plan->arena, STR("n BIGINT, updated TIMESTAMP"), 0, &stored, err));
    PlanNode *mapped = plan_add(plan, PLAN_KEYED_PROCESS, "leat_map_with_state", &ones, 1);
    mapped->function = leat_map_with_state_function("n BIGINT", "value STRING, n BIGINT", count_or_end, NULL);
    mapped->schema = mapped->table_schema = pairs, mapped->state_schema = stored;
    mapped->timeout_ms = 1500, mapped->check_slides = 1;
    PlanNode *snapshots = plan_add(plan, PLAN_STATE_SNAPSHOTS, "leat_state_snapshots", &mapped, 1);
    snapshots->schema = pairs;
    *out = plan_add(plan, PLAN_UNION, "leat_union", (PlanNode *[]){mapped, snapshots}, 2);
    (*out)->schema = pairs;
    return STATUS_OK;
}

CHECKED static Status job_open(Job *job, Env *env, Error *err) {
    Plan *plan = job->plan = plan_create();
    job->source = (ScriptSource){.source = {.class = &script_class, .description = (char *)"script"},
                                 .batches = job->batches,
                                 .batch_count = job->batch_count};
    job->source.submits_blocks = job->submits_blocks;
    job->output.output.class = job->second_output.output.class = &file_output_class;
    job->output.path = job->output_path;
    Schema *text, *pairs;
    TRY(schema_parse(plan->arena, STR("value STRING"), 0, &text, err));
    TRY(schema_parse(plan->arena, STR("value STRING, n BIGINT"), 1, &pairs, err));

    PlanNode *source = plan_add(plan, PLAN_SOURCE, "script_stream", NULL, 0);
    source->schema = text, source->source = &job->source, source->source_kind = "script",
    source->is_text = true;
    PlanNode *words = plan_add(plan, PLAN_FLAT_MAP, "leat_flat_map", &source, 1);
    words->schema = text, words->function = leat_split(" ");
    PlanNode *ones = plan_add(plan, PLAN_MAP, "leat_map", &words, 1);
    ones->schema = pairs, ones->function = leat_pair_with_i64(1);
    PlanNode *counts =
        plan_add(plan, job->is_stateless ? PLAN_AGGREGATE : PLAN_KEYED_PROCESS,
                 job->is_stateless ? "leat_reduce_by_key" : "leat_update_state_by_key", &ones, 1);
    counts->schema = pairs;
    counts->function = job->is_stateless ? leat_sum() : leat_update_function("n BIGINT", running_count, NULL);
    if (!job->is_stateless)
        counts->state_schema = schema_slice(plan->arena, pairs, 1, 2, 0);
    if (job->is_windowed)
        TRY(add_windows(plan, ones, pairs, &counts, err));
    if (job->is_timed)
        TRY(add_timeouts(plan, ones, pairs, &counts, err));
    PlanNode *output = plan_add(plan, PLAN_OUTPUT, "leat_file", &counts, 1);
    output->schema = pairs, output->output = &job->output;
    if (job->second_output_path[0]) {
        job->second_output.path = job->second_output_path;
        output = plan_add(plan, PLAN_OUTPUT, "leat_file", &counts, 1);
        output->schema = pairs, output->output = &job->second_output;
    }
    TRY(plan_finish(plan, err));
    return driver_create(plan,
                         (DriverOptions){.env = env,
                                         .program = job->program ? job->program : "driver_test",
                                         .interval_ms = job->interval_ms ? job->interval_ms : 1000,
                                         .checkpoint_directory = job->checkpoint[0] ? job->checkpoint : NULL,
                                         .worker_count = job->worker_count ? job->worker_count : 1,
                                         .partition_count = 2,
                                         .memory_bytes = UINT64_C(64) << 20,
                                         .snapshot_log_bytes = job->snapshot_log_bytes,
                                         .log_segment_size_bytes =
                                             job->log_segment_size_bytes ? job->log_segment_size_bytes : 8192,
                                         .snapshot_waits = true,
                                         .is_manual_clock = true},
                         &job->driver, err);
}

static void job_close(Job *job) {
    driver_destroy(job->driver);
    plan_destroy(job->plan);
    job->driver = NULL;
    job->plan = NULL;
}

/* Runs the driver up to and with the batch at `until_ms`. */
CHECKED static Status job_run_until(Job *job, Env *env, int64_t until_ms, Error *err) {
    Status st = job_open(job, env, err);
    if (st == STATUS_OK)
        st = driver_start(job->driver, err);
    if (st == STATUS_OK) {
        driver_advance(job->driver, until_ms);
        driver_stop(job->driver, false);
        (void)driver_wait(job->driver, ENV_FOREVER, &st, err);
    }
    job_close(job);
    return st;
}

static void job_init(Job *job, const char *const *batches, uint32_t batch_count) {
    memset(job, 0, sizeof *job);
    job->batches = batches;
    job->batch_count = batch_count;
    snprintf(job->directory, sizeof job->directory, "%s", check_tmpdir());
    snprintf(job->checkpoint, sizeof job->checkpoint, "%s/checkpoint", job->directory);
    snprintf(job->output_path, sizeof job->output_path, "%s/output", job->directory);
}

static void empty_job(void *user) {
    Job *job = user;
    char command[1400];
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", job->checkpoint, job->output_path);
    CHECK_EQ(system(command), 0);
}

static void read_file(const char *path, Text *out) {
    Error err = {0};
    text_reset(out);
    if (env_read_file(env_real(), path, 1 << 23, out, &err) == STATUS_NOT_FOUND)
        return;
    CHECK_STR(err.message, "");
}

static void read_output(const Job *job, Text *out) {
    read_file(job->output_path, out);
}

/* True when every line of `text` is one of `wanted`, all lines of `wanted` are there, and their first
 * appearances are in order: each batch at least once, always with the same rows. */
static bool gave_each_batch(Str text, Str wanted, bool in_order) {
    Str rest = wanted, line;
    size_t from = 0;
    while (leat_str_next_line(&rest, &line)) {
        Str have = text, candidate;
        size_t at = 0, found = SIZE_MAX;
        for (; found == SIZE_MAX && leat_str_next_line(&have, &candidate); at++)
            if (str_equal(candidate, line))
                found = at;
        if (found == SIZE_MAX || (in_order && found < from))
            return false;
        from = found;
    }
    Str have = text, candidate;
    while (leat_str_next_line(&have, &candidate)) {
        bool known = false;
        for (Str all = wanted; !known && leat_str_next_line(&all, &line);)
            known = str_equal(candidate, line);
        if (!known)
            return false;
    }
    return true;
}

static const char *const three_batches[] = {"a b\na\n", "b c\n", "a\nd\n"};
/* What an undisturbed run gives, in hash order of the words as the engine has it. */
static void undisturbed(Job *job, int64_t until_ms, Text *wanted) {
    Error err = {0};
    empty_job(job);
    CHECK_OK(job_run_until(job, env_real(), until_ms, &err), err);
    read_output(job, wanted);
}

TEST(running_counts_over_three_batches) {
    Job job;
    Text out = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 4000, &out);
    Str rest = text_str(&out), line;
    const char *const words[] = {" a=2", " b=1", " a=2", " b=2", " c=1", " a=3",
                                 " b=2", " c=1", " d=1", " a=3", " d=1"};
    const int of_batch[] = {1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4};
    for (int batch = 1; leat_str_next_line(&rest, &line); batch++) {
        Text copy = {0};
        text_append(&copy, line);
        for (size_t i = 0; i < ARRAY_COUNT(words); i++)
            if (of_batch[i] == batch)
                CHECK(strstr(copy.data, words[i]) != NULL);
        text_deinit(&copy);
    }
    text_deinit(&out);
}

TEST(a_restart_after_every_batch_changes_nothing) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 5000, &wanted);
    for (uint32_t workers = 1; workers <= 7; workers += 3) {
        empty_job(&job);
        for (int64_t until_ms = 1000; until_ms <= 5000; until_ms += 1000) {
            job.worker_count = 1 + (workers * (uint32_t)(until_ms / 1000)) % 7;
            CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
        }
        read_output(&job, &out);
        CHECK_STR(out.data, wanted.data);
    }
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(a_snapshot_after_every_batch_changes_nothing) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 5000, &wanted);
    empty_job(&job);
    job.snapshot_log_bytes = 1;
    for (int64_t until_ms = 1000; until_ms <= 5000; until_ms += 1000)
        CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
    read_output(&job, &out);
    CHECK_STR(out.data, wanted.data);
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(windows_give_the_last_batches_after_restarts_and_snapshots) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    job.is_windowed = true;
    undisturbed(&job, 6000, &wanted);
    /* Both halves of a line are the same: anew, and from window to window. */
    Str rest = text_str(&wanted), line;
    static const size_t counts[] = {2, 3, 4, 2, 0, 0};
    for (int batch = 0; leat_str_next_line(&rest, &line); batch++) {
        const char *rows = memchr(line.data, ' ', line.size);
        size_t size = rows ? line.size - (size_t)(rows - line.data) : 0;
        CHECK_EQ(size, 2 * counts[batch] * strlen(" a=1"));
        CHECK(size == 0 || memcmp(rows, rows + size / 2, size / 2) == 0);
    }
    for (int snapshots = 0; snapshots < 2; snapshots++) {
        empty_job(&job);
        job.snapshot_log_bytes = snapshots ? 1 : 0;
        for (int64_t until_ms = 1000; until_ms <= 6000; until_ms += 1000) {
            job.worker_count = 1 + (uint32_t)(until_ms / 1000) % 3;
            CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
        }
        read_output(&job, &out);
        CHECK_STR(out.data, wanted.data);
    }
    text_deinit(&wanted);
    text_deinit(&out);
}

/* Keys come, change and lie still, so that sections of all ages count at a restart. */
enum { ROLLING_BATCHES = 30 };
static const char *const *rolling_batches(void) {
    static const char *batches[ROLLING_BATCHES];
    static char texts[ROLLING_BATCHES][256];
    for (int b = 0; b < ROLLING_BATCHES; b++) {
        texts[b][0] = 0;
        for (int i = 0; i < 8; i++)
            snprintf(texts[b] + strlen(texts[b]), sizeof texts[b] - strlen(texts[b]), "w%d \n",
                     (b * b + i * (b % 7 + 1)) % 53);
        batches[b] = texts[b];
    }
    return batches;
}

static size_t count_files(const char *directory, const char *prefix) {
    Error err = {0};
    EnvDir *dir;
    const char *name;
    size_t count = 0;
    REQUIRE(CHECK_OK(env_dir_open(env_real(), directory, &dir, &err), err));
    while (CHECK_OK(env_dir_next(env_real(), dir, &name, &err), err) && name)
        count += str_starts_with(str_from(name), str_from(prefix));
    env_dir_close(env_real(), dir);
    return count;
}

CHECKED static Status note_first(void *self, const Frame *frame, Error *err) {
    (void)err;
    uint64_t *first = self;
    *first = *first ? *first : frame->sequence;
    return STATUS_OK;
}

static uint64_t first_sequence(const Job *job) {
    Error err = {0};
    BatchLog *log = NULL;
    uint64_t first = 0;
    BatchLogOptions options = {.env = env_real(), .directory = job->checkpoint, .read_only = true};
    REQUIRE(CHECK_OK(batch_log_open(options, &log, NULL, &err), err));
    CHECK_OK(batch_log_read(log, note_first, &first, &err), err);
    batch_log_close(log);
    return first;
}

/* Rounds of different lengths, starts of different lengths, by 1 to 7 workers. */
TEST(rounds_of_saves_over_many_starts_change_nothing) {
    static const uint64_t round_bytes[] = {1, 700, 3000, 9000};
    static const int64_t run_batches[] = {1, 2, 5, 31};
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, rolling_batches(), ROLLING_BATCHES);
    undisturbed(&job, (ROLLING_BATCHES + 1) * 1000, &wanted);
    for (size_t r = 0; r < ARRAY_COUNT(round_bytes); r++)
        for (size_t n = 0; n < ARRAY_COUNT(run_batches); n++) {
            empty_job(&job);
            job.snapshot_log_bytes = round_bytes[r];
            for (int64_t batch = 0; batch < ROLLING_BATCHES + 1;) {
                batch += run_batches[n];
                batch = batch > ROLLING_BATCHES + 1 ? ROLLING_BATCHES + 1 : batch;
                job.worker_count = 1 + (uint32_t)(batch * 3 % 7);
                CHECK_OK(job_run_until(&job, env_real(), batch * 1000, &err), err);
            }
            read_output(&job, &out);
            CHECK_STR(out.data, wanted.data);
            if (round_bytes[r] <= 3000) {
                if (round_bytes[r] <= 700)
                    CHECK(first_sequence(&job) > 1); /* the log is cut, by segments of 8 KiB */
                CHECK(count_files(job.checkpoint, "snapshot-") >= 1);
                if (run_batches[n] > ROLLING_BATCHES)
                    CHECK(count_files(job.checkpoint, "snapshot-") <= 3); /* and files go */
            }
        }
    text_deinit(&wanted);
    text_deinit(&out);
}

/* One section a batch, so that each is the oldest for the length of a batch; starts fall on many of them. */
TEST(the_oldest_section_is_what_the_log_is_kept_for) {
    enum { BATCHES = 420, ROUND = 260 };
    static char texts[BATCHES][64];
    static const char *batches[BATCHES];
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    for (int b = 0; b < BATCHES; b++) {
        snprintf(texts[b], sizeof texts[b], "w%d\nw%d\nw%d\n", b, (b * 7) % 331, (b * b) % 331);
        batches[b] = texts[b];
    }
    job_init(&job, batches, BATCHES);
    undisturbed(&job, BATCHES * 1000, &wanted);
    empty_job(&job);
    job.snapshot_log_bytes = 80000;
    CHECK_OK(job_run_until(&job, env_real(), ROUND * 1000, &err), err);
    for (int64_t until = ROUND + 8; until <= BATCHES; until += 8)
        CHECK_OK(job_run_until(&job, env_real(), until * 1000, &err), err);
    read_output(&job, &out);
    CHECK(first_sequence(&job) > 1);
    CHECK_EQ(out.size, wanted.size);
    CHECK(str_equal(text_str(&out), text_str(&wanted)));
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(nothing_is_saved_while_a_batch_is_pending) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, rolling_batches(), ROLLING_BATCHES);
    undisturbed(&job, 20000, &wanted);
    empty_job(&job);
    job.snapshot_log_bytes = 700;
    for (int64_t until_ms = 4000; until_ms <= 20000; until_ms += 4000) {
        job.output.fails_at_ms =
            until_ms - 2000; /* in the middle: sections of the batch before are under way */
        CHECK_EQ(job_run_until(&job, env_real(), until_ms, &err), STATUS_UNAVAILABLE);
        job.output.fails_at_ms = 0;
        CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
    }
    read_output(&job, &out);
    CHECK(gave_each_batch(text_str(&out), text_str(&wanted), false));
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(snapshots_of_an_older_format_are_refused_by_their_number) {
    Job job;
    Error err = {0};
    char path[700], bytes[64] = "LEATSNAP\1";
    EnvFile *file;
    job_init(&job, three_batches, 3);
    empty_job(&job);
    CHECK_OK(job_run_until(&job, env_real(), 2000, &err), err);
    snprintf(path, sizeof path, "%s/snapshot-0000000000000002.leat", job.checkpoint);
    REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_WRITE | ENV_CREATE, &file, &err), err));
    CHECK_OK(env_file_write(env_real(), file, 0, bytes, sizeof bytes, &err), err);
    env_file_close(env_real(), file);
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_UNSUPPORTED);
    CHECK(strstr(err.message, "format version 1, this program reads version 2") != NULL);
}

/* Any byte of the snapshot files changed, or the end cut away: the start is refused, or nothing is wrong. */
static void damage_snapshots(bool cuts) {
    Job job;
    Text wanted = {0}, out = {0}, bytes = {0};
    Error err = {0};
    char path[700], command[4000];
    job_init(&job, rolling_batches(), ROLLING_BATCHES);
    undisturbed(&job, 13000, &wanted);
    empty_job(&job);
    job.snapshot_log_bytes = 2000;
    CHECK_OK(job_run_until(&job, env_real(), 12000, &err), err);
    snprintf(command, sizeof command, "rm -rf '%s.kept' && cp -r '%s' '%s.kept' && cp '%s' '%s.kept/output'",
             job.checkpoint, job.checkpoint, job.checkpoint, job.output_path, job.checkpoint);
    CHECK_EQ(system(command), 0);
    uint64_t rounds = 0, refused = 0, files = 0;
    for (uint64_t number = 1; number < 20; number++) {
        snprintf(path, sizeof path, "%s/snapshot-%016" PRIx64 ".leat", job.checkpoint, number);
        snprintf(command, sizeof command, "%s.kept/snapshot-%016" PRIx64 ".leat", job.checkpoint, number);
        if (access(command, F_OK) != 0)
            continue;
        files++;
        read_file(command, &bytes);
        size_t step = getenv("LEAT_TEST_LONG") ? 1 : bytes.size / 10 + 1;
        for (size_t at = number % step; at < bytes.size; at += step, rounds++) {
            snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s.kept' '%s' && mv '%s/output' '%s'",
                     job.checkpoint, job.checkpoint, job.checkpoint, job.checkpoint, job.output_path);
            CHECK_EQ(system(command), 0);
            EnvFile *file;
            char flipped = (char)(bytes.data[at] ^ 1 << at % 8);
            REQUIRE(CHECK_OK(env_file_open(env_real(), path, ENV_WRITE, &file, &err), err));
            if (cuts)
                CHECK_OK(env_file_truncate(env_real(), file, at, &err), err);
            else
                CHECK_OK(env_file_write(env_real(), file, at, &flipped, 1, &err), err);
            env_file_close(env_real(), file);
            Status st = job_run_until(&job, env_real(), 13000, &err);
            CHECK(st == STATUS_OK || st == STATUS_CORRUPT);
            refused += st == STATUS_CORRUPT;
            read_output(&job, &out);
            if (st == STATUS_OK)
                CHECK_STR(out.data, wanted.data);
        }
    }
    printf("    %" PRIu64 " files, %" PRIu64 " damages, %" PRIu64 " refused, no wrong answer\n", files,
           rounds, refused);
    CHECK(files > 0 && refused > rounds / 4);
    text_deinit(&wanted);
    text_deinit(&out);
    text_deinit(&bytes);
}

TEST(a_flipped_bit_of_a_snapshot_is_refused_or_harmless) {
    damage_snapshots(false);
}
TEST(a_snapshot_cut_short_is_refused_or_harmless) {
    damage_snapshots(true);
}

TEST(states_time_out_after_restarts_and_snapshots) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    job.is_timed = true;
    undisturbed(&job, 6000, &wanted);
    static const char *const gives[] = {"a=3", "d=1", "b=-2", "c=-1", "a=-3", "d=-1"};
    for (size_t i = 0; i < ARRAY_COUNT(gives); i++)
        CHECK(strstr(wanted.data, gives[i]) != NULL);
    for (int snapshots = 0; snapshots < 2; snapshots++) {
        empty_job(&job);
        job.snapshot_log_bytes = snapshots ? 1 : 0;
        for (int64_t until_ms = 1000; until_ms <= 6000; until_ms += 1000) {
            job.worker_count = 1 + (uint32_t)(until_ms / 1000) % 3;
            CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
        }
        read_output(&job, &out);
        CHECK_STR(out.data, wanted.data);
    }
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(batches_missed_while_down_are_run_in_order) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 6000, &wanted);
    empty_job(&job);
    CHECK_OK(job_run_until(&job, env_real(), 1000, &err), err);
    CHECK_OK(job_run_until(&job, env_real(), 6000, &err), err);
    read_output(&job, &out);
    CHECK_STR(out.data, wanted.data);
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(a_failed_output_stays_pending_and_is_given_again_with_the_rows_of_its_time) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 4000, &wanted);
    empty_job(&job);
    job.output.fails_at_ms = 2000;
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_UNAVAILABLE);
    CHECK(strstr(err.message, "leat_file: batch 2000 ms: the table is locked") != NULL);
    read_output(&job, &out);
    CHECK(strstr(out.data, "2000:") == NULL && strstr(out.data, "3000:") != NULL); /* later batches went on */
    /* Still failing: still pending. */
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_UNAVAILABLE);
    job.output.fails_at_ms = 0;
    CHECK_OK(job_run_until(&job, env_real(), 4000, &err), err);
    read_output(&job, &out);
    Str rest = text_str(&wanted), line;
    while (leat_str_next_line(&rest,
                              &line)) { /* every batch exactly once, the second one late, with its own rows */
        int count = 0;
        Str have = text_str(&out), candidate;
        while (leat_str_next_line(&have, &candidate))
            count += str_equal(line, candidate);
        CHECK_EQ(count, 1);
    }
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(an_output_that_has_landed_is_not_given_the_batch_again) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 4000, &wanted);
    empty_job(&job);
    snprintf(job.second_output_path, sizeof job.second_output_path, "%s/second", job.directory);
    job.output.fails_at_ms = 2000; /* of the first */
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_UNAVAILABLE);
    job.output.fails_at_ms = 0;
    CHECK_OK(job_run_until(&job, env_real(), 4000, &err), err);
    read_file(job.second_output_path, &out);
    CHECK_STR(out.data, wanted.data); /* each batch once, in order */
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(several_pending_batches_are_given_again_in_order_over_several_starts) {
    Job job;
    Text wanted = {0}, out = {0};
    Error err = {0};
    job_init(&job, three_batches, 3);
    undisturbed(&job, 5000, &wanted);
    empty_job(&job);
    job.output.fails_from_ms = 2000; /* and every batch behind it */
    CHECK_EQ(job_run_until(&job, env_real(), 4000, &err), STATUS_UNAVAILABLE);
    job.output.fails_from_ms = 3000; /* the second lands, the third and the fourth still wait */
    CHECK_EQ(job_run_until(&job, env_real(), 4000, &err), STATUS_UNAVAILABLE);
    job.output.fails_from_ms = 0;
    CHECK_OK(job_run_until(&job, env_real(), 5000, &err), err);
    read_output(&job, &out);
    CHECK_STR(out.data, wanted.data); /* each once, in order, with the rows of its time */
    text_deinit(&wanted);
    text_deinit(&out);
}

TEST(a_batch_that_cannot_be_read_stops_the_driver_and_is_kept) {
    static const char *const batches[] = {"a\n", "fail\n", "b\n"};
    Job job;
    Error err = {0};
    job_init(&job, batches, 3);
    empty_job(&job);
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_IO);
    CHECK(strstr(err.message, "the script says so") != NULL);
    /* Its PLAN is in the log: it is not skipped. */
    CHECK_EQ(job_run_until(&job, env_real(), 3000, &err), STATUS_IO);
}

TEST(without_a_checkpoint_state_is_refused_and_the_rest_runs) {
    Job job;
    Error err = {0};
    job_init(&job, three_batches, 3);
    job.checkpoint[0] = 0;
    CHECK_EQ(job_run_until(&job, env_real(), 1000, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "leat_update_state_by_key: needs a checkpoint directory") != NULL);
    job.is_stateless = true;
    CHECK_OK(job_run_until(&job, env_real(), 3000, &err), err);
}

TEST(a_checkpoint_of_another_program_is_refused_by_name) {
    Job job;
    Error err = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    CHECK_OK(job_run_until(&job, env_real(), 1000, &err), err);
    job.program = "another";
    CHECK_EQ(job_run_until(&job, env_real(), 2000, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "another") != NULL && strstr(err.message, "driver_test") != NULL);
    job.program = NULL;
    job.is_stateless = true; /* the state has nobody to go to */
    CHECK_EQ(job_run_until(&job, env_real(), 2000, &err), STATUS_INVALID);
    CHECK(strstr(err.message, "update_state_by_key#0") != NULL);
}

TEST(two_owners_of_one_checkpoint_are_refused) {
    Job first, second;
    Error err = {0};
    job_init(&first, three_batches, 3);
    second = first;
    REQUIRE(CHECK_OK(job_open(&first, env_real(), &err), err));
    CHECK_EQ(job_open(&second, env_real(), &err), STATUS_UNAVAILABLE);
    job_close(&second);
    job_close(&first);
}

/* ---- what happens before what ---- */

/* The calls of a run, a line each, kind and path: what a crash of the machine could do cannot be seen
 * by ending the process (the kernel keeps what was written), so the order of the protocol is read off
 * the calls themselves. */
static void trace_run_in(Env *inner, Job *job, int64_t until_ms, Text *trace) {
    Error err = {0};
    Env *env = env_faulty_create(inner, NULL);
    env_faulty_trace(env, trace);
    CHECK_OK(job_run_until(job, env, until_ms, &err), err);
    env_faulty_trace(env, NULL);
    env_faulty_destroy(env);
}

static void trace_run(Job *job, int64_t until_ms, Text *trace) {
    trace_run_in(env_real(), job, until_ms, trace);
}

static bool line_has(Str line, const char *a, const char *b) {
    Text copy = {0};
    text_append(&copy, line);
    bool has = strstr(copy.data, a) && strstr(copy.data, b);
    text_deinit(&copy);
    return has;
}

/* M2 and M4: a write to the batch log, its sync, then the output; a batch of which nothing can be lost costs
 * no sync. */
TEST(no_output_before_the_sync_of_its_batch) {
    Job job;
    Text trace = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    job.is_stateless = true; /* batches behind the script change nothing then */
    trace_run(&job, 6000, &trace);
    bool has_unsynced_write = false;
    uint32_t outputs = 0, syncs_at_output[8] = {0}, syncs = 0, writes = 0;
    Str rest = text_str(&trace), line;
    while (leat_str_next_line(&rest, &line)) {
        if (line_has(line, "write", "batch-0")) {
            has_unsynced_write = true;
            writes++;
        }
        if (line_has(line, "sync", "batch-")) {
            has_unsynced_write = false;
            syncs++;
        }
        if (line_has(line, "write", job.output_path) && outputs < ARRAY_COUNT(syncs_at_output)) {
            if (outputs < 3)
                CHECK(!has_unsynced_write);
            CHECK(writes >= 2); /* of the COMMIT of the batch before, or of OPEN, and of this one's PLAN */
            writes = 0;
            syncs_at_output[outputs++] = syncs;
        }
    }
    CHECK_EQ(outputs, 6);
    CHECK(syncs_at_output[0] > 0);
    /* One sync a batch; behind the first a segment is prepared. */
    CHECK_EQ(syncs_at_output[2] - syncs_at_output[1], 1);
    CHECK_EQ(syncs_at_output[3] - syncs_at_output[2], 1); /* the COMMIT of the third */
    CHECK_EQ(syncs_at_output[5] - syncs_at_output[3], 0);
    text_deinit(&trace);
}

/* With short batches the sync of the last COMMIT waits until nothing has come for a while. */
TEST(the_sync_of_a_commit_stays_out_of_the_way_of_the_next_line) {
    Job job;
    Text trace = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    job.is_stateless = true;
    job.interval_ms = 40;
    trace_run(&job, 8 * 40, &trace);
    uint32_t outputs = 0, syncs_at_output[8] = {0}, syncs = 0;
    Str rest = text_str(&trace), line;
    while (leat_str_next_line(&rest, &line)) {
        syncs += line_has(line, "sync", "batch-");
        if (line_has(line, "write", job.output_path) && outputs < ARRAY_COUNT(syncs_at_output))
            syncs_at_output[outputs++] = syncs;
    }
    CHECK_EQ(outputs, 8);
    CHECK_EQ(syncs_at_output[2] - syncs_at_output[1],
             1); /* the third, at 120 ms, and the COMMIT of the second */
    CHECK_EQ(syncs_at_output[4] - syncs_at_output[2], 0);
    CHECK_EQ(syncs_at_output[5] - syncs_at_output[4], 1); /* at 240 ms: the COMMIT of the third */
    CHECK_EQ(syncs_at_output[7] - syncs_at_output[5], 0);
    text_deinit(&trace);
}

/* R1 of rolling.h, also when no batch has anything to sync: a section saved behind a COMMIT is written when this
 * COMMIT is durable. Sections are saved behind a batch and written behind the next one at the earliest. */
TEST(no_section_is_written_before_the_log_is_durable_up_to_it) {
    Job job;
    Text trace = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    job.snapshot_log_bytes = 1;
    job.interval_ms = 40; /* so that not every batch syncs for the one before it */
    trace_run(&job, 20 * 40, &trace);
    uint32_t commits = 0, synced_commits = 0, portions = 0;
    bool is_commit_next = false;
    Str rest = text_str(&trace), line;
    while (leat_str_next_line(&rest, &line)) {
        if (line_has(line, " write ", job.output_path))
            is_commit_next = true;
        if (line_has(line, " write ", "batch-0")) {
            commits += is_commit_next;
            is_commit_next = false;
        }
        if (line_has(line, " sync ", "batch-0"))
            synced_commits = commits;
        if (line_has(line, " write ", "snapshot-")) {
            portions++;
            CHECK(synced_commits + 1 >= commits);
        }
    }
    CHECK_EQ(commits, 20);
    CHECK(portions >= 4);
    text_deinit(&trace);
}

/* D9: what a PLAN names must be there when it is. */
/* An environment where a sync of the block log takes its time: a PLAN that does not wait for it is written
 * before it has ended, however fast the disk is. */
static EnvFile *_Atomic block_file;

static int open_and_remember(Env *env, const char *path, unsigned open_flags, EnvFile **out) {
    int code = env_real()->table->file_open(env, path, open_flags, out);
    if (code == 0 && strstr(path, "/block-"))
        block_file = *out;
    return code;
}

static int sync_slowly(Env *env, EnvFile *file) {
    if (file == block_file)
        usleep(20000);
    return env_real()->table->file_sync(env, file);
}

TEST(no_plan_before_the_sync_of_the_blocks_it_names) {
    struct EnvTable table = *env_real()->table;
    table.file_open = open_and_remember;
    table.file_sync = sync_slowly;
    Env slow = {&table};
    Job job;
    Text trace = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    job.submits_blocks = true;
    trace_run_in(&slow, &job, 4000, &trace);
    uint32_t block_syncs = 0, block_syncs_at_plan = 0, outputs = 0;
    Str rest = text_str(&trace), line;
    while (leat_str_next_line(&rest, &line)) {
        if (line_has(line, " sync ", "block-"))
            block_syncs++;
        if (line_has(line, " write ", "batch-0"))
            /* The last such write before an output is its PLAN and DELTA. */
            block_syncs_at_plan = block_syncs;
        if (line_has(line, " write ", job.output_path) && outputs < 3)
            CHECK(block_syncs_at_plan >= ++outputs);
    }
    CHECK_EQ(outputs, 3);
    text_deinit(&trace);
}

static int refuse_blocks(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size,
                         size_t *done) {
    return file == block_file ? ENOSPC : env_real()->table->file_write(env, file, offset, data, size, done);
}

CHECKED static Status count_plan(void *self, const Frame *frame, Error *err) {
    (void)err;
    *(uint32_t *)self += frame->kind == FRAME_PLAN;
    return STATUS_OK;
}

/* A DELTA that begins another segment syncs the PLAN before it: not before the blocks either. */
TEST(no_plan_names_a_block_that_could_not_be_written) {
    struct EnvTable table = *env_real()->table;
    table.file_open = open_and_remember;
    table.file_write = refuse_blocks;
    Env full = {&table};
    Job job;
    Error err = {0};
    BatchLog *log = NULL;
    uint32_t plans = 0;
    job_init(&job, three_batches, 3);
    empty_job(&job);
    job.submits_blocks = true;
    job.log_segment_size_bytes = 1; /* one frame each */
    CHECK_EQ(job_run_until(&job, &full, 2000, &err), STATUS_IO);
    BatchLogOptions options = {.env = env_real(), .directory = job.checkpoint, .read_only = true};
    REQUIRE(CHECK_OK(batch_log_open(options, &log, NULL, &err), err));
    CHECK_OK(batch_log_read(log, count_plan, &plans, &err), err);
    CHECK_EQ(plans, 0);
    batch_log_close(log);
    CHECK_OK(job_run_until(&job, env_real(), 4000, &err), err);
}

CHECKED static Status check_epoch(void *self, const Frame *frame, Error *err) {
    (void)err;
    uint32_t *epoch = self;
    *epoch += frame->kind == FRAME_OPEN;
    CHECK_EQ(frame->epoch, *epoch);
    return STATUS_OK;
}

TEST(every_start_begins_an_epoch) {
    Job job;
    Error err = {0};
    job_init(&job, three_batches, 3);
    empty_job(&job);
    for (int64_t until_ms = 1000; until_ms <= 3000; until_ms += 1000)
        CHECK_OK(job_run_until(&job, env_real(), until_ms, &err), err);
    BatchLog *log = NULL;
    uint32_t epoch = 0;
    BatchLogOptions options = {.env = env_real(), .directory = job.checkpoint, .read_only = true};
    REQUIRE(CHECK_OK(batch_log_open(options, &log, NULL, &err), err));
    CHECK_OK(batch_log_read(log, check_epoch, &epoch, &err), err);
    CHECK_EQ(epoch, 3);
    batch_log_close(log);
}

/* ---- sweeps ---- */

typedef struct SweepState {
    Job job;
    Text wanted, out;
    int64_t from_ms, until_ms; /* prepared up to the first: the swept run begins with a recovery */
} SweepState;

static void sweep_prepare(void *user) {
    SweepState *state = user;
    Error err = {0};
    empty_job(&state->job);
    if (state->from_ms)
        CHECK_OK(job_run_until(&state->job, env_real(), state->from_ms, &err), err);
}

CHECKED static Status sweep_run(Env *env, void *user, Error *err) {
    return job_run_until(&((SweepState *)user)->job, env, ((SweepState *)user)->until_ms, err);
}

static bool sweep_check(const SweepRound *round, void *user) {
    SweepState *state = user;
    Error err = {0};
    if (!CHECK_OK(job_run_until(&state->job, env_real(), state->until_ms + 2000, &err), err))
        return false;
    read_output(&state->job, &state->out);
    bool ok = gave_each_batch(text_str(&state->out), text_str(&state->wanted), round->was_killed);
    if (!ok)
        printf("    wanted:\n%s    got:\n%s", state->wanted.data, state->out.data);
    return CHECK(ok);
}

static void sweep_state(SweepState *state, bool kills) {
    undisturbed(&state->job, state->until_ms + 2000, &state->wanted);
    SweepJob job = {.prepare = sweep_prepare,
                    .run = sweep_run,
                    .check = sweep_check,
                    .user = state,
                    .calls_max = kills ? 60 : 40};
    SweepCounts counts = kills ? sweep_kill(&job) : sweep_errno(&job, "EIO ENOSPC EINTR ENOMEM");
    CHECK(counts.calls > 10);
    CHECK_EQ(counts.unreached, 0);
    text_deinit(&state->wanted);
    text_deinit(&state->out);
}

typedef enum SweptJob { COUNTS, WINDOWS, TIMEOUTS } SweptJob;

static void sweep_job(SweptJob which, uint64_t snapshot_log_bytes, int64_t from_ms, bool kills) {
    SweepState state = {.from_ms = from_ms, .until_ms = 3000};
    job_init(&state.job, three_batches, 3);
    state.job.is_windowed = which == WINDOWS;
    state.job.is_timed = which == TIMEOUTS;
    state.job.snapshot_log_bytes = snapshot_log_bytes;
    sweep_state(&state, kills);
}

/* A round takes about six batches: what is prepared has sections of a whole one and of one begun. */
static void sweep_rounds(bool kills) {
    SweepState state = {.from_ms = 9000, .until_ms = 16000};
    job_init(&state.job, rolling_batches(), ROLLING_BATCHES);
    state.job.snapshot_log_bytes = 2000;
    sweep_state(&state, kills);
}

static void sweep(uint64_t snapshot_log_bytes, int64_t from_ms, bool kills) {
    sweep_job(COUNTS, snapshot_log_bytes, from_ms, kills);
}

TEST(an_end_at_every_call_of_three_batches) {
    sweep(0, 0, true);
}
TEST(an_end_at_every_call_of_a_recovery) {
    sweep(0, 2000, true);
}
TEST(an_end_at_every_call_with_snapshots) {
    sweep(1, 1000, true);
}
TEST(an_end_at_every_call_of_rounds_of_saves) {
    sweep_rounds(true);
}
TEST(every_errno_at_every_call_of_rounds_of_saves) {
    sweep_rounds(false);
}
TEST(every_errno_at_every_call_of_three_batches) {
    sweep(0, 0, false);
}
TEST(every_errno_at_every_call_of_a_recovery) {
    sweep(0, 2000, false);
}
TEST(every_errno_at_every_call_with_snapshots) {
    sweep(1, 1000, false);
}
TEST(an_end_at_every_call_with_windows) {
    sweep_job(WINDOWS, 0, 1000, true);
}
TEST(an_end_at_every_call_with_windows_and_snapshots) {
    sweep_job(WINDOWS, 1, 1000, true);
}
TEST(every_errno_at_every_call_with_windows_and_snapshots) {
    sweep_job(WINDOWS, 1, 1000, false);
}

TEST(an_end_at_every_call_with_timeouts) {
    sweep_job(TIMEOUTS, 0, 1000, true);
}
TEST(an_end_at_every_call_with_timeouts_and_snapshots) {
    sweep_job(TIMEOUTS, 1, 1000, true);
}
TEST(every_errno_at_every_call_with_timeouts_and_snapshots) {
    sweep_job(TIMEOUTS, 1, 1000, false);
}

TEST_MAIN()
