/* sweep.c - see sweep.h. A child tells its parent how it went through a page that both share. */
#include "sweep.h"

#include "base/memory.h"
#include "check.h"
#include "env/env_faulty.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WATCHDOG_S = 60,
    EXIT_KILLED = 137, /* of the faulty environment */
    SIGNALLED = 256,   /* above every exit code */
    TRACE_SIZE_MAX = 1 << 20,
    CALLS_SHORT = 8,
};

typedef struct Outcome {
    bool is_finished; /* run returned */
    Status status;
    Error err;
    uint64_t call_count, fault_count;
    size_t trace_size;
    char trace[TRACE_SIZE_MAX]; /* of the run without faults: which call is the N-th */
} Outcome;

typedef struct Sweep {
    const SweepJob *job;
    Outcome *outcome; /* shared with the children */
    char *trace;      /* kept from the run without faults */
    const char *only; /* SWEEP_PLAN, or NULL */
    SweepCounts counts;
} Sweep;

static void run_under(const SweepJob *job, const char *plan_text, bool is_traced, Outcome *outcome) {
    FaultPlan *plan = NULL;
    Status st = fault_plan_parse(str_from(plan_text), &plan, &outcome->err);
    REQUIRE(st == STATUS_OK);
    Env *env = env_faulty_create(env_real(), plan);
    free(plan);
    Text trace = {0};
    if (is_traced)
        env_faulty_trace(env, &trace);
    outcome->is_finished = false;
    outcome->err = (Error){0};
    outcome->status = job->run(env, job->user, &outcome->err);
    outcome->is_finished = true;
    outcome->call_count = env_faulty_call_count(env);
    outcome->fault_count = env_faulty_fault_count(env);
    if (is_traced) {
        outcome->trace_size = trace.size < TRACE_SIZE_MAX ? trace.size : TRACE_SIZE_MAX;
        memcpy(outcome->trace, text_str(&trace).data, outcome->trace_size);
    }
    text_deinit(&trace);
    env_faulty_destroy(env);
}

/* The child's exit code, or SIGNALLED + the signal that ended it. */
static int run_in_child(const SweepJob *job, const char *plan_text, bool is_traced, Outcome *outcome) {
    outcome->is_finished = false;
    fflush(NULL); /* nothing buffered is written twice */
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(WATCHDOG_S);
        run_under(job, plan_text, is_traced, outcome);
        fflush(NULL);
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}

/* The line of the N-th call in the trace: "17 write /tmp/a 13 of 26". */
static Str call_text(const Sweep *sweep, uint64_t number) {
    Str rest = str_from(sweep->trace), line, wanted;
    Text start = {0};
    text_appendf(&start, "%" PRIu64 " ", number);
    wanted = STR("?");
    while (leat_str_next_line(&rest, &line))
        if (str_starts_with(line, text_str(&start))) {
            wanted = line;
            break;
        }
    text_deinit(&start);
    return wanted;
}

static void fail(const Sweep *sweep, uint64_t number, const char *plan, const char *what) {
    printf("    sweep: call %.*s\n    repeat only this round with SWEEP_PLAN='%s'\n",
           STR_ARG(call_text(sweep, number)), plan);
    Text text = {0};
    text_appendf(&text, "%s: %s", plan, what);
    check_true(false, __FILE__, __LINE__, text.data);
    text_deinit(&text);
}

static void finish_round(Sweep *sweep, uint64_t number, const SweepRound *round) {
    sweep->counts.rounds++;
    if (!sweep->job->check(round, sweep->job->user))
        fail(sweep, number, round->plan, "the check of this round says no");
}

static bool is_asked_for(const Sweep *sweep, const char *plan) {
    return !sweep->only || strcmp(sweep->only, plan) == 0;
}

static void kill_round(Sweep *sweep, uint64_t number, const char *plan) {
    if (!is_asked_for(sweep, plan))
        return;
    if (sweep->job->prepare)
        sweep->job->prepare(sweep->job->user);
    Outcome *outcome = sweep->outcome;
    int code = run_in_child(sweep->job, plan, false, outcome);
    bool was_killed = code == EXIT_KILLED && !outcome->is_finished;
    SweepRound round = {.plan = plan, .was_killed = was_killed, .status = STATUS_OK, .message = ""};
    if (!was_killed) {
        char what[64];
        snprintf(what, sizeof what,
                 code >= SIGNALLED ? "the child was ended by signal %d" : "the child ended with code %d",
                 code >= SIGNALLED ? code - SIGNALLED : code);
        if (code != 0 || !outcome->is_finished) {
            fail(sweep, number, plan, what);
            sweep->counts.rounds++;
            return; /* what it left behind is nobody's promise */
        }
        sweep->counts.unreached++;
        round.status = outcome->status;
        round.message = outcome->err.message;
        if (round.status != STATUS_OK)
            fail(sweep, number, plan, round.message);
    }
    finish_round(sweep, number, &round);
}

static void errno_round(Sweep *sweep, uint64_t number, const char *plan) {
    if (!is_asked_for(sweep, plan))
        return;
    if (sweep->job->prepare)
        sweep->job->prepare(sweep->job->user);
    run_under(sweep->job, plan, false, sweep->outcome);
    sweep->counts.unreached += sweep->outcome->fault_count == 0;
    sweep->counts.refused += sweep->outcome->status != STATUS_OK;
    finish_round(sweep, number,
                 &(SweepRound){
                     .plan = plan,
                     .status = sweep->outcome->status,
                     .message = sweep->outcome->err.message,
                 });
}

/* The run without faults, in a child so that a crash of it is told as one. */
static void sweep_begin(Sweep *sweep, const SweepJob *job) {
    *sweep = (Sweep){.job = job, .only = getenv("SWEEP_PLAN")};
    sweep->outcome =
        mmap(NULL, sizeof *sweep->outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(sweep->outcome != MAP_FAILED);
    if (job->prepare)
        job->prepare(job->user);
    int code = run_in_child(job, "", true, sweep->outcome);
    if (!CHECK_EQ(code, 0) || !CHECK_OK(sweep->outcome->status, sweep->outcome->err))
        check_abandon();
    sweep->counts.calls = sweep->outcome->call_count;
    sweep->trace = xstrdup(str_slice(sweep->outcome->trace, sweep->outcome->trace_size));
    REQUIRE(sweep->counts.calls > 0);
}

static bool is_on(const char *variable) {
    const char *value = getenv(variable);
    return value && value[0] == '1';
}

/* How many calls are swept; the i-th of them is call_at. */
static uint64_t swept_calls(const Sweep *sweep) {
    uint64_t all = sweep->counts.calls, most = sweep->job->calls_max;
    if (most == 0 || most > all || is_on("LEAT_TEST_LONG") || sweep->only)
        most = all;
    return is_on("LEAT_TEST_SHORT") && !sweep->only && most > CALLS_SHORT ? CALLS_SHORT : most;
}

static uint64_t call_at(const Sweep *sweep, uint64_t i, uint64_t swept) {
    return 1 + i * sweep->counts.calls / swept;
}

static SweepCounts sweep_end(Sweep *sweep, const char *what) {
    printf("    sweep %s: %" PRIu64 " calls, %" PRIu64 " rounds, %" PRIu64 " unreached, %" PRIu64
           " refused\n",
           what, sweep->counts.calls, sweep->counts.rounds, sweep->counts.unreached, sweep->counts.refused);
    munmap(sweep->outcome, sizeof *sweep->outcome);
    free(sweep->trace);
    return sweep->counts;
}

SweepCounts sweep_kill(const SweepJob *job) {
    Sweep sweep;
    sweep_begin(&sweep, job);
    uint64_t swept = swept_calls(&sweep);
    for (uint64_t i = 0; i < swept; i++) {
        uint64_t number = call_at(&sweep, i, swept);
        char plan[64];
        snprintf(plan, sizeof plan, "kill@%" PRIu64, number);
        kill_round(&sweep, number, plan);
        snprintf(plan, sizeof plan, "kill@%" PRIu64 "=after", number);
        kill_round(&sweep, number, plan);
    }
    return sweep_end(&sweep, "kill");
}

SweepCounts sweep_errno(const SweepJob *job, const char *errno_names) {
    Sweep sweep;
    sweep_begin(&sweep, job);
    uint64_t swept = swept_calls(&sweep);
    for (uint64_t i = 0; i < swept; i++) {
        uint64_t number = call_at(&sweep, i, swept);
        Str rest = str_from(errno_names), name;
        while (leat_str_split(&rest, ' ', &name)) {
            char plan[64];
            snprintf(plan, sizeof plan, "any@%" PRIu64 "=%.*s", number, STR_ARG(name));
            errno_round(&sweep, number, plan);
        }
    }
    return sweep_end(&sweep, "errno");
}
