/* context.c - what a context is from its making to its end; the states are in context.h. */
#include "dstream/context.h"

#include "dstream/batch_context.h"
#include "dstream/options.h"

#include "base/log.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { US_PER_MS = 1000 };

/* ---- all contexts of the process ---- */

/* The one that runs, and a list of all that live: who returns from main without leat_context_destroy has
 * leaked nothing. A lock of its own, held for a few instructions: there is no moment at which a mutex of env
 * could be made for it. */
static atomic_flag registry_lock = ATOMIC_FLAG_INIT;
static LeatContext *living, *active;
static Env *environment; /* context_set_environment; before the first context of a test */

void context_set_environment(Env *env) {
    environment = env;
}

static void lock_registry(void) {
    while (atomic_flag_test_and_set_explicit(&registry_lock, memory_order_acquire))
        ;
}

static void unlock_registry(void) {
    atomic_flag_clear_explicit(&registry_lock, memory_order_release);
}

static bool has_ended(LeatContext *context);

/* One runs at a time. */
static bool become_active(LeatContext *context) {
    lock_registry();
    bool is_free = !active || has_ended(active);
    if (is_free)
        active = context;
    unlock_registry();
    return is_free;
}

static void be_active_no_more(LeatContext *context) {
    lock_registry();
    if (active == context)
        active = NULL;
    unlock_registry();
}

/* ---- mistakes ---- */

int exit_code_of(Status status) {
    switch (status) {
    case STATUS_OK:
        return LEAT_EXIT_OK;
    case STATUS_INVALID:
    case STATUS_UNSUPPORTED:
        return LEAT_EXIT_CONFIG;
    case STATUS_NOT_FOUND:
    case STATUS_UNAVAILABLE:
        return LEAT_EXIT_UNAVAILABLE;
    case STATUS_EXISTS:
        return LEAT_EXIT_CANNOT_CREATE;
    case STATUS_NO_MEMORY:
        return LEAT_EXIT_OS;
    case STATUS_IO:
        return LEAT_EXIT_IO;
    case STATUS_CORRUPT:
        return LEAT_EXIT_DATA;
    case STATUS_CANCELLED: /* an output or a function said no */
        return LEAT_EXIT_SOFTWARE;
    }
    return LEAT_EXIT_SOFTWARE;
}

/* C1 */
static void keep_error(LeatContext *context, Status status, const Error *err) {
    env_mutex_lock(context->env, context->mutex);
    if (context->error.status == STATUS_OK) {
        context->error = *err;
        context->error.status = status;
        context->exit_code = exit_code_of(status);
    }
    env_mutex_unlock(context->env, context->mutex);
}

void *context_refuse(LeatContext *context, Status status, const char *format, ...) {
    Error err = {.status = status};
    va_list args;
    va_start(args, format);
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    keep_error(context, status, &err);
    return NULL;
}

/* As context_refuse, with an error that somebody else has found. */
static void refuse_error(LeatContext *context, const char *call, const Error *err) {
    context_refuse(context, err->status, "%s: %s", call, err->message);
}

bool context_has_error(LeatContext *context) {
    env_mutex_lock(context->env, context->mutex);
    bool has = context->error.status != STATUS_OK;
    env_mutex_unlock(context->env, context->mutex);
    return has;
}

bool context_can_build(LeatContext *context, const char *call) {
    LeatState state = leat_context_state(context);
    if (state == LEAT_INITIALIZED)
        return !context_has_error(context);
    context_refuse(context, STATUS_INVALID,
                   "%s: adding inputs, operations or outputs after the %s is not supported", call,
                   state == LEAT_ACTIVE ? "start" : "stop");
    return false;
}

/* For the calls that set something: they go on after a mistake. */
static bool can_set(LeatContext *context, const char *call) {
    LeatState state = leat_context_state(context);
    if (state != LEAT_INITIALIZED)
        context_refuse(context, STATUS_INVALID, "%s: the context cannot be changed after the %s", call,
                       state == LEAT_ACTIVE ? "start" : "stop");
    return state == LEAT_INITIALIZED;
}

/* ---- making and ending ---- */

LeatContext *leat_context_create(const char *name, LeatDuration interval) {
    LeatContext *context = xcalloc(1, sizeof *context);
    context->env = environment ? environment : env_real();
    context->mutex = env_mutex_create(context->env);
    context->plan = plan_create();
    context->options = (DriverOptions){
        .env = context->env,
        .program = xstrdup(str_from(name ? name : "leat")),
        .interval_ms = interval.ms,
        .restart_delay_ms = -1,
    };
    lock_registry();
    context->next_living = living;
    living = context;
    unlock_registry();
    if (!name || !name[0])
        context_refuse(context, STATUS_INVALID, "leat_context_create: the context has no name");
    else if (interval.ms < 1)
        context_refuse(context, STATUS_INVALID,
                       "leat_context_create: an interval of %" PRId64 " ms; the least is 1 ms", interval.ms);
    return context;
}

LeatContext *leat_get_or_create(const char *checkpoint_directory, LeatContext *(*build)(void *user),
                                void *user) {
    LeatContext *context = build(user);
    if (context && checkpoint_directory)
        leat_checkpoint(context, checkpoint_directory);
    return context;
}

void context_destroy_owned(LeatContext *context) {
    for (size_t i = 0; i < context->source_count; i++)
        context->sources[i]->class->destroy(context->sources[i]);
    for (size_t i = 0; i < context->output_count; i++)
        context->outputs[i]->class->destroy(context->outputs[i]);
    for (size_t i = 0; i < context->transform_count; i++)
        context->transforms[i]->class->destroy(context->transforms[i]);
    free(context->sources);
    free(context->outputs);
    free(context->transforms);
    context->sources = NULL;
    context->outputs = NULL;
    context->transforms = NULL;
    context->source_count = context->output_count = context->transform_count = 0;
}

void leat_context_destroy(LeatContext *context) {
    if (!context)
        return;
    leat_stop(context, (LeatStop){.graceful = false});
    if (context->has_signals) {
        Status ignored = env_on_stop_signal(context->env, NULL, NULL, NULL); /* taking it back cannot fail */
        (void)ignored;
    }
    be_active_no_more(context);
    lock_registry();
    LeatContext **link = &living;
    while (*link != context)
        link = &(*link)->next_living;
    *link = context->next_living;
    unlock_registry();

    driver_destroy(context->driver);
    context_destroy_owned(context);
    constant_rows_destroy(context->constant_rows);
    plan_destroy(context->plan);
    free((char *)context->options.program);
    free((char *)context->options.checkpoint_directory);
    env_mutex_destroy(context->env, context->mutex);
    free(context);
}

/* ---- options ---- */

void leat_checkpoint(LeatContext *context, const char *directory) {
    if (!can_set(context, "leat_checkpoint"))
        return;
    char *absolute = NULL;
    Error err = {0};
    if (directory && !directory[0]) {
        context_refuse(context, STATUS_INVALID, "leat_checkpoint: the directory has an empty name");
        return;
    }
    if (directory && env_absolute_path(context->env, directory, &absolute, &err) != STATUS_OK) {
        refuse_error(context, "leat_checkpoint", &err);
        return;
    }
    free((char *)context->options.checkpoint_directory);
    context->options.checkpoint_directory = absolute;
}

void leat_workers(LeatContext *context, int count) {
    if (!can_set(context, "leat_workers"))
        return;
    if (count < 1)
        context_refuse(context, STATUS_INVALID, "leat_workers: %d workers; at least 1 is needed", count);
    else
        context->options.worker_count = (uint32_t)count;
}

void leat_set(LeatContext *context, const char *option, const char *value) {
    if (!can_set(context, "leat_set"))
        return;
    Error err = {0};
    if (!option || !value)
        context_refuse(context, STATUS_INVALID, "leat_set: the %s is NULL", option ? "value" : "option");
    else if (context_option_set(str_from(option), str_from(value), &context->options, &err) != STATUS_OK)
        refuse_error(context, "leat_set", &err);
}

void leat_stop_after_batches(LeatContext *context, int64_t count) {
    if (!can_set(context, "leat_stop_after_batches"))
        return;
    if (count < 1)
        context_refuse(context, STATUS_INVALID,
                       "leat_stop_after_batches: %" PRId64 " batches; at least 1 is needed", count);
    else
        context->options.batch_count_max = (uint64_t)count;
}

void leat_stop_on_signals(LeatContext *context) {
    if (can_set(context, "leat_stop_on_signals"))
        context->wants_signals = true;
}

void leat_context_set_manual_clock(LeatContext *context) {
    if (can_set(context, "leat_context_set_manual_clock"))
        context->options.is_manual_clock = true;
}

/* ---- running ---- */

static void stop_on_signal(void *self, int signal_number) {
    LeatContext *context = self;
    env_mutex_lock(context->env, context->mutex);
    context->stop_signal = signal_number;
    env_mutex_unlock(context->env, context->mutex);
    driver_stop(context->driver, true);
}

/* Stateful operations need a place for what they know. */
static const char *stateful_call(const Plan *plan) {
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (plan_needs_checkpoint(plan->nodes[i]))
            return plan->nodes[i]->call;
    }
    return NULL;
}

CHECKED static Status start(LeatContext *context, Error *err) {
    TRY(plan_finish(context->plan, err));
    const char *stateful = stateful_call(context->plan);
    if (stateful && !context->options.checkpoint_directory)
        return error_set(err, STATUS_INVALID,
                         "%s: no checkpoint directory was set, and the state needs one: call leat_checkpoint",
                         stateful);
    Driver *driver = NULL;
    TRY(driver_create(context->plan, context->options, &driver, err));
    env_mutex_lock(context->env, context->mutex);
    context->driver = driver; /* C3 */
    env_mutex_unlock(context->env, context->mutex);
    if (context->wants_signals) {
        TRY(env_on_stop_signal(context->env, stop_on_signal, context, err));
        context->has_signals = true;
    }
    return driver_start(driver, err);
}

int leat_start(LeatContext *context) {
    Error err = {0};
    LeatState state = leat_context_state(context);
    if (state == LEAT_ACTIVE) {
        log_warn("context", "STARTED program=%s leat_start was called again", context->options.program);
        return LEAT_EXIT_OK; /* Spark only warns */
    }
    if (state == LEAT_STOPPED) {
        context_refuse(context, STATUS_INVALID,
                       "leat_start: a context that was stopped cannot be started again");
    } else if (!context_has_error(context)) {
        if (!become_active(context)) {
            context_refuse(context, STATUS_INVALID,
                           "leat_start: another context is running in this process; only one may");
        } else if (start(context, &err) != STATUS_OK) {
            be_active_no_more(context);
            keep_error(context, err.status, &err);
            if (err.status == STATUS_UNAVAILABLE) /* another process owns the checkpoint */
                context->exit_code = LEAT_EXIT_TEMPORARY;
        }
    }
    bool is_started = !context_has_error(context);
    env_mutex_lock(context->env, context->mutex);
    context->is_started = is_started;
    context->is_stopped = !is_started;
    int code = context->exit_code;
    env_mutex_unlock(context->env, context->mutex);
    return code;
}

void leat_stop(LeatContext *context, LeatStop how) {
    env_mutex_lock(context->env, context->mutex);
    Driver *driver = context->is_started ? context->driver : NULL;
    if (!driver)
        context->is_stopped = true;
    env_mutex_unlock(context->env, context->mutex);
    if (!driver)
        return;
    driver_stop(driver, how.graceful);
    if (driver_is_own_thread(driver))
        return; /* the batch that asks must end first */
    driver_join(driver);
    be_active_no_more(context);
}

static bool has_ended(LeatContext *context) {
    return leat_context_state(context) == LEAT_STOPPED;
}

LeatState leat_context_state(LeatContext *context) {
    env_mutex_lock(context->env, context->mutex);
    bool is_started = context->is_started, is_stopped = context->is_stopped;
    Driver *driver = context->driver;
    env_mutex_unlock(context->env, context->mutex);
    if (is_stopped || (is_started && !driver_is_running(driver)))
        return LEAT_STOPPED;
    return is_started ? LEAT_ACTIVE : LEAT_INITIALIZED;
}

/* Takes over what the driver has met, if it has met anything. */
static void collect_driver_error(LeatContext *context, int64_t deadline_us, bool *is_over) {
    Status status = STATUS_OK;
    Error err = {0};
    *is_over = driver_wait(context->driver, deadline_us, &status, &err);
    if (*is_over && status != STATUS_OK)
        keep_error(context, status, &err);
}

const char *leat_error(LeatContext *context) {
    env_mutex_lock(context->env, context->mutex);
    bool is_started = context->is_started;
    env_mutex_unlock(context->env, context->mutex);
    bool is_over;
    if (is_started)
        collect_driver_error(context, 0, &is_over);
    return context->error.message;
}

/* The end of a program: says what went wrong. */
static int conclude(LeatContext *context) {
    env_mutex_lock(context->env, context->mutex);
    Error err = context->error;
    int stop_signal = context->stop_signal, exit_code = context->exit_code;
    env_mutex_unlock(context->env, context->mutex);
    if (err.status == STATUS_OK)
        return stop_signal == SIGINT ? LEAT_EXIT_INTERRUPTED : LEAT_EXIT_OK;
    Text line = {0};
    text_appendf(&line, "%s: %s\n", context->options.program, err.message);
    Status ignored = env_write_stderr(context->env, text_str(&line), NULL); /* nowhere left to tell */
    (void)ignored;
    text_deinit(&line);
    return exit_code;
}

static bool await(LeatContext *context, int64_t deadline_us, int *exit_code) {
    if (leat_context_state(context) == LEAT_INITIALIZED)
        context_refuse(context, STATUS_INVALID, "leat_await_termination: the context was not started");
    env_mutex_lock(context->env, context->mutex);
    bool is_started = context->is_started;
    env_mutex_unlock(context->env, context->mutex);
    bool is_over = true;
    if (is_started)
        collect_driver_error(context, deadline_us, &is_over);
    if (is_over) {
        int code = conclude(context);
        if (exit_code)
            *exit_code = code;
    }
    return is_over;
}

int leat_await_termination(LeatContext *context) {
    int exit_code = LEAT_EXIT_OK;
    (void)await(context, ENV_FOREVER, &exit_code);
    return exit_code;
}

bool leat_await_termination_or_timeout(LeatContext *context, LeatDuration timeout, int *exit_code) {
    int64_t wait_us = timeout.ms < 0                           ? 0
                      : timeout.ms > INT64_MAX / 2 / US_PER_MS ? INT64_MAX / 2
                                                               : timeout.ms * US_PER_MS;
    return await(context, env_monotonic_us(context->env) + wait_us, exit_code);
}

void leat_advance(LeatContext *context, int64_t ms) {
    if (!context->options.is_manual_clock)
        context_refuse(context, STATUS_INVALID,
                       "leat_advance: the clock of this context is the machine's; call "
                       "leat_context_set_manual_clock before the start");
    else if (leat_context_state(context) == LEAT_INITIALIZED)
        context_refuse(context, STATUS_INVALID, "leat_advance: the context was not started");
    else if (ms < 0)
        context_refuse(context, STATUS_INVALID, "leat_advance: time does not go back (%" PRId64 " ms)", ms);
    else if (leat_context_state(context) == LEAT_ACTIVE)
        driver_advance(context->driver, ms);
}

const char *leat_version(void) {
    return "0.1.0";
}
