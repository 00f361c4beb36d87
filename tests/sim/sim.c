/* sim.c - `make sim SEED=n COUNT=k`: random jobs on a simulated machine that fails.
 *
 *     sim SEED [COUNT]       COUNT seeds from SEED on; stops at the first that fails. Code 0: none did
 *     SIM_SHOW=1             the job and every life of each seed; with SIM_CALLS=1 every call, too
 *
 * A seed draws a job (job.h), some lives of its process with faults, ends and power cuts (life.h), and a last
 * life without; then the model looks at everything that was fed and given (model.h). Between two lives the
 * checkpoint is sometimes verified as `leat checkpoint verify` does it. What is not allowed, beside what the
 * model finds: threads that all wait, a crash, a leak, an exit code that the faults of the life do not
 * explain, a checkpoint called damaged.
 *
 * A seed is a fixed run: the same numbers, calls and answers each time, on every machine with the same build.
 */
#include "sim/life.h"
#include "sim/model.h"
#include "stream/inspect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LIVES_MAX = 9, CODE_DAMAGED = 65, NO_CHECKPOINT = 66, LOG_TAIL_BYTES = 3000 };
#define WORLD_BYTES (UINT64_C(3) << 30)

typedef struct Totals {
    uint64_t seeds, lives, last_lives, verified, calls, syncs, faulty_lives, fault_entries;
    uint64_t ends[SIM_BROKEN + 1], crashes[SIM_CRASH_COUNT], codes[256];
    int64_t simulated_us;
    ModelCounts model;
} Totals;

typedef struct Seed {
    uint64_t number;
    SimWorld *world;
    Job job;
    Ledger *ledger;
    Random random;
    Life lives[LIVES_MAX + 1]; /* from 1 */
    uint32_t life_count;
    Ending endings[LIVES_MAX + 1];
    Totals *totals;
    Text complaint; /* empty: all is well */
    int64_t batch_ms;
} Seed;

/* Who is killed joins no threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "report_thread_leaks=0";
}

static bool shows(const char *variable) {
    const char *value = getenv(variable);
    return value && value[0] && value[0] != '0';
}

static void complain(Seed *seed, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(Seed *seed, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (seed->complaint.size == 0)
        text_append(&seed->complaint, str_from(text));
}

/* ---- looking at a checkpoint ---- */

typedef struct Look {
    bool prints;
    int64_t from_ms, to_ms; /* batches whose frames are printed */
    Text text;
} Look;

static Status keep_text(void *self, Str text, Error *err) {
    (void)err;
    text_append(&((Look *)self)->text, text);
    return STATUS_OK;
}

/* Frames are lines that name the time of their batch. */
static void print_around(const Look *look) {
    Str rest = text_str(&look->text), line;
    bool is_near = false;
    while (leat_str_split(&rest, '\n', &line)) {
        const char *at = memmem(line.data, line.size, " ms", 3);
        if (at) {
            const char *digits = at;
            while (digits > line.data && digits[-1] >= '0' && digits[-1] <= '9')
                digits--;
            int64_t time_ms = strtoll(digits, NULL, 10);
            is_near = time_ms >= look->from_ms && time_ms <= look->to_ms;
        }
        if (is_near)
            printf("    %.*s\n", (int)(line.size < 200 ? line.size : 200), line.data);
    }
}

static int look_at_checkpoint(Env *env, void *user) {
    Look *look = user;
    Error err = {0};
    InspectOut out = {.write = keep_text, .self = look};
    Status st = look->prints ? inspect_checkpoint(env, "/disk/checkpoint", out, &err)
                             : inspect_verify(env, "/disk/checkpoint", out, &err);
    for (InspectFormat format = INSPECT_TEXT; !look->prints && st == STATUS_OK && format <= INSPECT_JSON;
         format++)
        st = inspect_state(env, "/disk/checkpoint", format, out, &err);
    if (look->prints)
        print_around(look);
    else if (st != STATUS_OK && st != STATUS_NOT_FOUND)
        fprintf(stderr, "verify: %s\n%.*s", err.message, STR_ARG(text_str(&look->text)));
    text_deinit(&look->text);
    return st == STATUS_OK ? 0 : st == STATUS_NOT_FOUND ? NO_CHECKPOINT : CODE_DAMAGED;
}

static void verify(Seed *seed, uint32_t life) {
    Look look = {0};
    int code = 0;
    SimOptions options = {0};
    seed->totals->verified++;
    SimEnd end = sim_process_run(seed->world, options, look_at_checkpoint, &look, &code);
    if (end != SIM_RETURNED || (code != 0 && code != NO_CHECKPOINT))
        complain(seed, "behind life %u the checkpoint does not verify (%s, %d)", life, sim_end_name(end),
                 code);
}

/* ---- one seed ---- */

/* Codes that faults explain: something was missing, refused by the disk or by memory, or an output failed. */
static bool is_explained(int code) {
    return code == LEAT_EXIT_OK || code == LEAT_EXIT_UNAVAILABLE || code == LEAT_EXIT_SOFTWARE ||
           code == LEAT_EXIT_OS || code == LEAT_EXIT_CANNOT_CREATE || code == LEAT_EXIT_IO ||
           code == LEAT_EXIT_TEMPORARY;
}

static void judge_end(Seed *seed, const Life *life, SimEnd end, int code) {
    bool may_be_killed = !life->is_last && (life->end == END_KILL_AT || life->end == END_IN_FAULT);
    if (end == SIM_KILLED && may_be_killed)
        return;
    if (end != SIM_RETURNED)
        complain(seed, "life %u: %s, code %d", life->number, sim_end_name(end), code);
    else if (code == LIFE_TOO_LATE)
        complain(seed, "life %u: what was fed has not come out in time", life->number);
    else if (code == LIFE_LEAKS)
        complain(seed, "life %u: it leaks memory", life->number);
    else if (life->is_calm ? code != LEAT_EXIT_OK : !is_explained(code))
        complain(seed, "life %u: exit code %d", life->number, code);
}

static void run_life(Seed *seed, uint32_t number) {
    Life *life = &seed->lives[number];
    LifeUser user = {.job = &seed->job, .life = life, .ledger = seed->ledger};
    Totals *totals = seed->totals;
    life_draw(life, &seed->job, number, seed->life_count, &seed->random);
    life->options.prints_calls = shows("SIM_CALLS");
    if (shows("SIM_SHOW")) {
        Text text = {0};
        life_describe(life, &text);
        printf("%s", text.data);
        text_deinit(&text);
    }
    int code = 0;
    SimEnd end = sim_process_run(seed->world, life->options, life_run, &user, &code);
    sim_world_limit_disk(seed->world, UINT64_MAX);
    totals->lives++;
    totals->ends[end]++;
    totals->fault_entries += life->fault_count;
    totals->faulty_lives += life->fault_count > 0;
    if (end == SIM_RETURNED)
        totals->codes[code & 255]++;
    if (shows("SIM_SHOW"))
        printf("    %s, code %d, %" PRIu64 " calls, %" PRId64 " us, %" PRIu64 " records, hash %016" PRIx64
               "\n",
               sim_end_name(end), code, sim_world_call_count(seed->world), sim_world_now_us(seed->world),
               seed->ledger->record_count, sim_world_trace_hash(seed->world));
    judge_end(seed, life, end, code);
    if (life->is_last)
        return;
    sim_world_crash(seed->world, life->crash, &seed->random);
    seed->endings[number] = (Ending){.is_well = end == SIM_RETURNED && life->fault_count == 0 &&
                                                (code == LEAT_EXIT_OK || code == LEAT_EXIT_SOFTWARE),
                                     .is_power_cut = life->crash != SIM_CRASH_NONE};
    totals->crashes[life->crash]++;
    /* The machine is off for a while. */
    if (random_below(&seed->random, 2))
        sim_world_pass(seed->world,
                       (int64_t)random_below(&seed->random, (uint64_t)seed->job.interval_ms * 20000));
    if (seed->complaint.size == 0 && random_below(&seed->random, 4) == 0)
        verify(seed, number);
}

static void print_failure(Seed *seed) {
    Text text = {0};
    job_describe(&seed->job, &text);
    for (uint32_t i = 1; i <= seed->life_count && seed->lives[i].number > 0; i++)
        life_describe(&seed->lives[i], &text);
    printf("\nseed %" PRIu64 " fails: %s\n", seed->number, seed->complaint.data);
    if (seed->batch_ms > 0)
        printf("  batch %" PRId64 " ms\n", seed->batch_ms);
    printf("  repeat it: make sim SEED=%" PRIu64 "    (SIM_SHOW=1: every life, SIM_CALLS=1: every call)\n%s",
           seed->number, text.data);
    text_deinit(&text);
    Str log = sim_world_stderr(seed->world);
    if (log.size > LOG_TAIL_BYTES)
        log = str_slice(log.data + log.size - LOG_TAIL_BYTES, LOG_TAIL_BYTES);
    printf("  its last log lines:\n%.*s\n", STR_ARG(log));
    if (seed->batch_ms > 0) {
        printf("  what the outputs were given of it:\n");
        for (const Record *record = seed->ledger->records; record; record = record->next)
            if (record->batch_ms == seed->batch_ms)
                printf("    life %u output %d: %zu bytes%s\n", record->life, record->node, record->size,
                       record->has_failed ? ", failed" : "");
        Look look = {.prints = true,
                     .from_ms = seed->batch_ms - seed->job.interval_ms,
                     .to_ms = seed->batch_ms + seed->job.interval_ms};
        printf("  the frames around it, as the last life left them:\n");
        (void)sim_process_run(seed->world, (SimOptions){0}, look_at_checkpoint, &look, NULL);
    }
}

static bool run_seed(SimWorld *world, uint64_t number, Totals *totals) {
    static Seed seed;
    seed = (Seed){.number = number, .world = world, .totals = totals};
    sim_world_reset(world, number);
    random_init(&seed.random, number * 2 + 1);
    job_draw(&seed.job, number);
    seed.ledger = ledger_create(world);
    seed.life_count = 2 + (uint32_t)random_below(&seed.random, LIVES_MAX - 2);
    if (shows("SIM_SHOW")) {
        Text text = {0};
        job_describe(&seed.job, &text);
        printf("seed %" PRIu64 "\n%s", number, text.data);
        text_deinit(&text);
    }
    for (uint32_t life = 1; life <= seed.life_count && seed.complaint.size == 0; life++)
        run_life(&seed, life);
    ModelFinding finding = {0};
    if (seed.complaint.size == 0)
        model_check(&seed.job, seed.ledger, seed.endings, &finding, &totals->model);
    if (finding.is_wrong) {
        seed.batch_ms = finding.batch_ms;
        text_append(&seed.complaint, text_str(&finding.text));
    }
    text_deinit(&finding.text);
    totals->seeds++;
    totals->calls += sim_world_call_count(world);
    totals->syncs += sim_world_sync_count(world);
    totals->simulated_us += sim_world_now_us(world);
    bool is_well = seed.complaint.size == 0;
    if (!is_well)
        print_failure(&seed);
    text_deinit(&seed.complaint);
    return is_well;
}

static double real_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_totals(const Totals *totals, double seconds) {
    double simulated_s = (double)totals->simulated_us / 1e6;
    printf("%" PRIu64 " seeds, %" PRIu64 " lives in %.1f s: %.0f lives a second\n", totals->seeds,
           totals->lives, seconds, (double)totals->lives / seconds);
    printf("  simulated time: %.0f s, %.0f times real time; %" PRIu64 " calls, %" PRIu64 " syncs\n",
           simulated_s, simulated_s / seconds, totals->calls, totals->syncs);
    printf("  ends: %" PRIu64 " returned, %" PRIu64 " killed; exit codes:", totals->ends[SIM_RETURNED],
           totals->ends[SIM_KILLED]);
    for (int code = 0; code < 256; code++)
        if (totals->codes[code] > 0)
            printf(" %d: %" PRIu64, code, totals->codes[code]);
    printf("\n  power cuts:");
    for (int crash = SIM_CRASH_NONE + 1; crash < SIM_CRASH_COUNT; crash++)
        printf(" %s %" PRIu64, sim_crash_name((SimCrash)crash), totals->crashes[crash]);
    printf("; none %" PRIu64 "\n", totals->crashes[SIM_CRASH_NONE]);
    printf("  faults planned: %" PRIu64 " in %" PRIu64 " lives; checkpoints verified: %" PRIu64 "\n",
           totals->fault_entries, totals->faulty_lives, totals->verified);
    printf("  %" PRIu64 " batches, %" PRIu64 " outputs compared with the model (%" PRIu64 " rows), %" PRIu64
           " outputs given again\n",
           totals->model.batches, totals->model.outputs_compared, totals->model.rows_compared,
           totals->model.repeats);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: sim SEED [COUNT]\n");
        return LEAT_EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t first = strtoull(argv[1], NULL, 10), count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static Totals totals;
    double begin = real_seconds();
    SimWorld *world = sim_world_create(WORLD_BYTES, first);
    bool is_well = true;
    for (uint64_t i = 0; i < count && is_well; i++) {
        is_well = run_seed(world, first + i, &totals);
        if ((i + 1) % 100 == 0 && count > 100)
            printf("  %" PRIu64 " of %" PRIu64 "\n", i + 1, count);
    }
    print_totals(&totals, real_seconds() - begin);
    sim_world_destroy(world);
    return is_well ? 0 : 1;
}
