/* driver.c - the micro-batch driver.
 *
 * The life of a driver:
 *
 *     driver_create  open_checkpoint -> engine -> open_sources -> recovery_restore
 *     driver_start   the thread begins
 *     drive          recovery_replay -> start_sources -> { wait_for_batch -> run_batch }... -> stop
 *
 * The life of a batch (run_batch), with the steps of the protocol:
 *
 *     plan_sources       S1      each source says what is in the batch, as bytes; receivers hand their
 *                                blocks to the block log
 *     read_sources       S2      the bytes become splits
 *     engine_run         S3 S4
 *     append_plan                PLAN, into the log's memory
 *     log_batch          S5      DELTA; PLAN and DELTA: one write, one sync (M4: none when there is nothing
 *                                to lose)
 *     run_outputs        S6 S7
 *     log_commit         S8      written, not synced: the next sync covers it
 *     engine_keep, done  S9
 *     rolling_step       S10
 *
 * A batch id is its place on the grid: (batch time - zero time) / interval. Ids ascend; a time at which no
 * output had anything to do leaves no frame, so there may be gaps.
 */
#include "stream/driver.h"

#include "base/log.h"
#include "stream/driver_parts.h"
#include "stream/frames.h"
#include "stream/poller.h"
#include "stream/recovery.h"
#include "stream/rolling.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PARTITION_COUNT_DEFAULT = 8,
    PENDING_BATCH_COUNT_DEFAULT = 1000,
    RESTART_DELAY_MS_DEFAULT = 2000,
    COMMIT_SYNC_DELAY_MS = 100,
};
#define LINE_SIZE_BYTES_DEFAULT (UINT64_C(16) << 20)

static Output *output_of(const PlanNode *node) {
    return node->output;
}

static int64_t clock_us(Driver *driver) {
    return driver->options.is_manual_clock ? driver->manual_now_us : env_wall_us(driver->env);
}

/* Keeps the first failure, which the program's end tells; later ones are said here. */
static void report_failure(Driver *driver, Status status, const Error *err) {
    env_mutex_lock(driver->env, driver->mutex);
    bool is_first = driver->failure == STATUS_OK;
    if (is_first) {
        driver->failure = status;
        driver->failure_error = *err;
    }
    env_cond_broadcast(driver->env, driver->changed);
    env_mutex_unlock(driver->env, driver->mutex);
    LOG("driver", is_first ? LOG_INFO : LOG_ERROR, "FAILED status=%s %s", status_name(status), err->message);
}

/* ---- pending batches ---- */

PendingBatch *driver_pending_find(const Driver *driver, uint64_t batch_id) {
    for (PendingBatch *p = driver->pending; p; p = p->next)
        if (p->batch_id == batch_id)
            return p;
    return NULL;
}

PendingBatch *driver_pending_add(Driver *driver, uint64_t batch_id) {
    PendingBatch **at = &driver->pending;
    while (*at && (*at)->batch_id < batch_id)
        at = &(*at)->next;
    PendingBatch *pending = xcalloc(1, sizeof *pending);
    *pending = (PendingBatch){.batch_id = batch_id, .oldest_segment = UINT64_MAX, .next = *at};
    *at = pending;
    driver->pending_count++;
    return pending;
}

void driver_pending_remove(Driver *driver, PendingBatch *pending) {
    PendingBatch **at = &driver->pending;
    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
    driver->pending_count--;
    map_deinit(&pending->failed);
    free(pending);
}

static bool output_has_landed(const PendingBatch *pending, const PlanNode *output) {
    return pending && pending->has_commit && !map_contains(&pending->failed, str_from(output->id));
}

/* ---- creating ---- */

static void fill_in_defaults(DriverOptions *options) {
    if (options->worker_count == 0)
        options->worker_count = env_cpu_count(options->env);
    if (options->partition_count == 0)
        options->partition_count = PARTITION_COUNT_DEFAULT;
    if (options->memory_bytes == 0)
        options->memory_bytes = env_memory_limit(options->env) / 2;
    if (options->line_size_bytes_max == 0)
        options->line_size_bytes_max = LINE_SIZE_BYTES_DEFAULT;
    if (options->restart_delay_ms < 0)
        options->restart_delay_ms = RESTART_DELAY_MS_DEFAULT;
    if (options->pending_batch_count_max == 0)
        options->pending_batch_count_max = PENDING_BATCH_COUNT_DEFAULT;
}

/* How the memory of the process is divided. A program without windows leaves their part unused: so what is in
 * flight may take more than the part that is left; all together stay within the whole. */
static void divide_memory(Driver *driver) {
    uint64_t all = driver->options.memory_bytes;
    budget_init(&driver->budget_total, "memory", all, NULL);
    budget_init(&driver->budget_state, "state", all / 2, &driver->budget_total);
    budget_init(&driver->budget_kept, "kept chunks", all / 4, &driver->budget_total);
    budget_init(&driver->budget_in_flight, "in flight", all / 4, &driver->budget_total);
    budget_init(&driver->budget_receivers, "receivers", all / 10, &driver->budget_total);
}

static void collect_nodes(Driver *driver) {
    const Plan *plan = driver->plan;
    driver->source_nodes = xcalloc(plan->node_count, sizeof *driver->source_nodes);
    driver->output_nodes = xcalloc(plan->node_count, sizeof *driver->output_nodes);
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (plan->nodes[i]->kind == PLAN_SOURCE)
            driver->source_nodes[driver->source_count++] = plan->nodes[i];
        if (plan->nodes[i]->kind == PLAN_OUTPUT)
            driver->output_nodes[driver->output_count++] = plan->nodes[i];
    }
    driver->inputs = xcalloc(driver->source_count, sizeof *driver->inputs);
    driver->plans = xcalloc(driver->source_count, sizeof *driver->plans);
}

CHECKED static Status refuse_state_without_checkpoint(const Plan *plan, Error *err) {
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan_needs_checkpoint(plan->nodes[i]))
            return error_set(
                err, STATUS_INVALID,
                "%s: needs a checkpoint directory to keep its state in; set one with leat_checkpoint",
                plan->nodes[i]->call);
    return STATUS_OK;
}

/* The grid: the first batch time is the next multiple of the interval, zero time one interval before it. */
CHECKED static Status open_checkpoint(Driver *driver, Error *err) {
    DriverOptions *options = &driver->options;
    int64_t now_ms = clock_us(driver) / US_PER_MS;
    driver->first_now_ms = now_ms;
    driver->zero_time_ms = now_ms / options->interval_ms * options->interval_ms;
    if (!options->checkpoint_directory)
        return refuse_state_without_checkpoint(driver->plan, err);

    CheckpointIdentity wanted = {.interval_ms = options->interval_ms,
                                 .zero_time_ms = driver->zero_time_ms,
                                 .partition_count = options->partition_count,
                                 .key_group_count = KEY_GROUP_COUNT,
                                 .created_ms = now_ms};
    snprintf(wanted.program, sizeof wanted.program, "%s", options->program);
    TRY(checkpoint_open(driver->env, options->checkpoint_directory, &wanted, &driver->checkpoint, err));
    const CheckpointIdentity *identity = checkpoint_identity(driver->checkpoint);
    driver->zero_time_ms = identity->zero_time_ms;
    driver->first_now_ms = identity->created_ms;
    options->partition_count = identity->partition_count;

    const char *directory = checkpoint_directory(driver->checkpoint);
    BatchLogCut cut = {0};
    TRY(batch_log_open((BatchLogOptions){.env = driver->env,
                                         .directory = directory,
                                         .segment_size_bytes = options->log_segment_size_bytes},
                       &driver->log, &cut, err));
    if (cut.happened)
        log_warn("driver", "LOG-CUT segment=%" PRIx64 " offset=%" PRIu64 " bytes=%" PRIu64 " %s",
                 cut.segment_id, cut.offset, cut.bytes, cut.reason);
    return block_log_open(
        (BlockLogOptions){.env = driver->env, .directory = directory, .budget = &driver->budget_receivers},
        &driver->block_log, err);
}

CHECKED static Status open_sources(Driver *driver, Error *err) {
    TRY(poller_create(driver->env, &driver->poller, err));
    driver->services = (SourceServices){.env = driver->env,
                                        .budget = &driver->budget_receivers,
                                        .block_log = driver->block_log,
                                        .poller = driver->poller,
                                        .interval_ms = driver->options.interval_ms,
                                        .now_ms = clock_us(driver) / US_PER_MS,
                                        .first_now_ms = driver->first_now_ms,
                                        .is_manual_clock = driver->options.is_manual_clock,
                                        .line_size_bytes_max = driver->options.line_size_bytes_max,
                                        .restart_delay_ms = driver->options.restart_delay_ms,
                                        .split_count = driver->options.split_count};
    for (; driver->sources_opened < driver->source_count; driver->sources_opened++) {
        PlanNode *node = driver->source_nodes[driver->sources_opened];
        source_of(node)->id = node->id;
        Status st = source_of(node)->class->open(source_of(node), &driver->services, err);
        if (st != STATUS_OK)
            return error_context(err, st, "%s", node->call);
    }
    return STATUS_OK;
}

CHECKED static Status open_outputs(Driver *driver, Error *err) {
    for (; driver->outputs_opened < driver->output_count; driver->outputs_opened++) {
        PlanNode *node = driver->output_nodes[driver->outputs_opened];
        if (!output_of(node)->class->open)
            continue;
        Status st = output_of(node)->class->open(output_of(node), engine_options(driver->engine), err);
        if (st != STATUS_OK)
            return error_context(err, st, "%s", node->call);
    }
    return STATUS_OK;
}

Status driver_create(Plan *plan, DriverOptions options, Driver **out, Error *err) {
    ASSERT(plan->is_finished && options.interval_ms >= 1);
    *out = NULL;
    Status st = STATUS_OK;
    Driver *driver = xcalloc(1, sizeof *driver);
    fill_in_defaults(&options);
    driver->options = options;
    driver->env = options.env;
    driver->plan = plan;
    driver->mutex = env_mutex_create(driver->env);
    driver->changed = env_cond_create(driver->env);
    divide_memory(driver);
    collect_nodes(driver);
    TRY_GOTO(failed, open_checkpoint(driver, err));
    EngineOptions engine_options = {.env = driver->env,
                                    .worker_count = options.worker_count,
                                    .partition_count = driver->options.partition_count,
                                    .budget_in_flight = &driver->budget_in_flight,
                                    .budget_state = &driver->budget_state,
                                    .budget_kept = &driver->budget_kept,
                                    .chunk_rows_max = options.chunk_rows_max,
                                    .constant_hash = options.constant_hash};
    TRY_GOTO(failed, engine_create(plan, engine_options, &driver->engine, err));
    TRY_GOTO(failed, open_outputs(driver, err));
    TRY_GOTO(failed, open_sources(driver, err));
    if (driver->checkpoint) {
        st = recovery_restore(driver, err);
        TRY_GOTO(failed, error_context(err, st, "checkpoint %s", checkpoint_directory(driver->checkpoint)));
    }
    *out = driver;
    return STATUS_OK;
failed:
    driver_destroy(driver);
    return st;
}

void driver_destroy(Driver *driver) {
    if (!driver)
        return;
    if (driver->thread) {
        driver_stop(driver, false);
        env_thread_join(driver->env, driver->thread);
    }
    for (uint32_t i = 0; i < driver->source_count; i++)
        split_list_deinit(&driver->inputs[i].splits);
    for (uint32_t i = 0; i < driver->sources_opened; i++)
        source_of(driver->source_nodes[i])->class->close(source_of(driver->source_nodes[i]));
    for (uint32_t i = 0; i < driver->outputs_opened; i++)
        if (output_of(driver->output_nodes[i])->class->close)
            output_of(driver->output_nodes[i])->class->close(output_of(driver->output_nodes[i]));
    poller_destroy(driver->poller);
    rolling_end(driver);
    engine_destroy(driver->engine);
    block_log_close(driver->block_log);
    batch_log_close(driver->log);
    checkpoint_close(driver->checkpoint);
    while (driver->pending)
        driver_pending_remove(driver, driver->pending);
    for (uint32_t i = 0; i < driver->source_count; i++)
        text_deinit(&driver->plans[i]);
    text_deinit(&driver->payload);
    text_deinit(&driver->delta);
    free(driver->plans);
    free(driver->inputs);
    free(driver->source_nodes);
    free(driver->output_nodes);
    env_cond_destroy(driver->env, driver->changed);
    env_mutex_destroy(driver->env, driver->mutex);
    free(driver);
}

/* ---- the steps of a batch ---- */

/* S1 */
CHECKED static Status plan_sources(Driver *driver, int64_t time_ms, Error *err) {
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Source *source = source_of(driver->source_nodes[i]);
        text_reset(&driver->plans[i]);
        Status st =
            source->class->plan(source, time_ms, &driver->plans[i], &driver->inputs[i].has_batch, err);
        TRY(error_context(err, st, "%s", source->description));
    }
    if (driver->block_log)
        block_log_begin_sync(driver->block_log);
    return STATUS_OK;
}

Status driver_read_source(Driver *driver, uint32_t i, int64_t time_ms, Str plan, Error *err) {
    EngineInput *input = &driver->inputs[i];
    Source *source = source_of(driver->source_nodes[i]);
    split_list_reset(&input->splits);
    if (!input->has_batch)
        return STATUS_OK;
    Status st = source->class->read(source, time_ms, plan, &input->splits, err);
    return error_context(err, st, "%s", source->description);
}

/* Rows came in, which a crash must not lose. */
static bool has_input(const Driver *driver) {
    for (uint32_t i = 0; i < driver->source_count; i++)
        if (driver->inputs[i].splits.count > 0 && !source_of(driver->source_nodes[i])->class->constant_rows)
            return true;
    return false;
}

static bool has_output(const Driver *driver) {
    for (uint32_t i = 0; i < driver->output_count; i++)
        if (engine_output(driver->engine, i))
            return true;
    return false;
}

CHECKED static Status append_plan(Driver *driver, uint64_t batch_id, Error *err) {
    text_reset(&driver->payload);
    plan_frame_begin(&driver->payload, batch_id, driver_batch_time_ms(driver, batch_id),
                     driver->source_count);
    for (uint32_t i = 0; i < driver->source_count; i++)
        plan_frame_add_part(&driver->payload, &(PlanPart){.source_id = str_from(driver->source_nodes[i]->id),
                                                          .has_batch = driver->inputs[i].has_batch,
                                                          .plan = text_str(&driver->plans[i])});
    return batch_log_append(driver->log, FRAME_PLAN, text_str(&driver->payload), NULL, err);
}

CHECKED static Status append_delta(Driver *driver, uint64_t batch_id, Error *err) {
    text_reset(&driver->delta);
    engine_delta(driver->engine, &driver->delta);
    text_reset(&driver->payload);
    delta_frame_encode(&(DeltaFrame){batch_id, text_str(&driver->delta)}, &driver->payload);
    return batch_log_append(driver->log, FRAME_DELTA, text_str(&driver->payload), NULL, err);
}

Status driver_sync_logs(Driver *driver, Error *err) {
    TRY(block_log_wait(driver->block_log, err));
    TRY(batch_log_sync(driver->log, err));
    driver->owes_sync = false;
    return STATUS_OK;
}

Status driver_log_batch(Driver *driver, uint64_t batch_id, Error *err) {
    bool is_changed = engine_is_changed(driver->engine);
    if (is_changed) {
        /* The DELTA may not fit into the segment any more: then the append syncs the PLAN. */
        TRY(block_log_wait(driver->block_log, err));
        TRY(append_delta(driver, batch_id, err));
    }
    bool must_sync = is_changed || has_input(driver);
    int64_t time_ms = driver_batch_time_ms(driver, batch_id);
    if (must_sync || (driver->owes_sync && time_ms - driver->owes_sync_since_ms >= COMMIT_SYNC_DELAY_MS))
        TRY(driver_sync_logs(driver, err));
    else /* M4; but a batch that an output has seen must not be planned anew, with other rows */
        TRY(batch_log_flush(driver->log, err));
    if (must_sync) {
        driver->owes_sync = true;
        driver->owes_sync_since_ms = time_ms;
    }
    return STATUS_OK;
}

void driver_run_outputs(Driver *driver, uint64_t batch_id, PendingBatch *pending) {
    int64_t time_ms = driver_batch_time_ms(driver, batch_id);
    uint32_t due_count = 0;
    for (uint32_t i = 0; i < driver->output_count; i++)
        due_count += !output_has_landed(pending, driver->output_nodes[i]);
    Map failed = {0};
    text_reset(&driver->payload);
    commit_frame_begin(&driver->payload, batch_id, due_count);
    for (uint32_t i = 0; i < driver->output_count; i++) {
        PlanNode *node = driver->output_nodes[i];
        const BatchData *data = engine_output(driver->engine, i);
        if (output_has_landed(pending, node))
            continue;
        Error err = {0};
        Status st = STATUS_OK;
        if (data)
            st = output_of(node)->class->run(output_of(node), driver->env, data, time_ms, &err);
        if (st != STATUS_OK) {
            st = error_context(&err, st, "%s: batch %" PRId64 " ms", node->call, time_ms);
            report_failure(driver, st, &err);
            map_put(&failed, str_from(node->id), node);
        }
        commit_frame_add_result(&driver->payload, &(CommitResult){.output_id = str_from(node->id),
                                                                  .is_ok = st == STATUS_OK,
                                                                  .message = str_from(err.message)});
    }
    if (failed.count > 0) {
        if (!pending)
            pending = driver_pending_add(driver, batch_id);
        map_deinit(&pending->failed);
        pending->failed = failed;
        pending->has_commit = true;
    } else if (pending) {
        driver_pending_remove(driver, pending);
    }
}

uint64_t driver_oldest_segment(const Driver *driver) {
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Source *source = source_of(driver->source_nodes[i]);
        if (source->class->oldest_segment) {
            uint64_t segment = source->class->oldest_segment(source);
            oldest = segment < oldest ? segment : oldest;
        }
    }
    return oldest;
}

void driver_tell_sources(Driver *driver, uint64_t batch_id) {
    PendingBatch *pending = driver_pending_find(driver, batch_id);
    if (pending)
        pending->oldest_segment = driver_oldest_segment(driver);
    for (uint32_t i = 0; i < driver->source_count; i++) {
        split_list_reset(&driver->inputs[i].splits);
        source_of(driver->source_nodes[i])
            ->class->done(source_of(driver->source_nodes[i]), driver_batch_time_ms(driver, batch_id));
    }
}

CHECKED static Status refuse_too_many_pending(const Driver *driver, Error *err) {
    if (driver->pending_count <= driver->options.pending_batch_count_max)
        return STATUS_OK;
    return error_set(
        err, STATUS_UNAVAILABLE,
        "%" PRIu64
        " batches wait for an output that failed, more than pending-batches-max allows; they are kept "
        "in the checkpoint and run again at the next start",
        driver->pending_count);
}

/* ---- one batch ---- */

static void write_status_line(Driver *driver, uint64_t batch_id, int64_t started_us) {
    if (!driver->options.has_status_lines)
        return;
    EngineStats stats = engine_stats(driver->engine);
    int64_t time_us = driver_batch_time_ms(driver, batch_id) * US_PER_MS, ended_us = clock_us(driver);
    Text line = {0};
    text_appendf(&line,
                 "batch %" PRId64 " ms: %" PRIu64
                 " records, scheduling delay %.3f ms, processing %.3f ms, total %.3f ms",
                 driver_batch_time_ms(driver, batch_id), stats.input_rows,
                 (double)(started_us - time_us) / US_PER_MS, (double)(ended_us - started_us) / US_PER_MS,
                 (double)(ended_us - time_us) / US_PER_MS);
    if (stats.state_keys)
        text_appendf(&line, ", state %" PRIu64 " keys", stats.state_keys);
    text_append_byte(&line, '\n');
    if (env_write_stderr(driver->env, text_str(&line), NULL) != STATUS_OK)
        driver->options.has_status_lines = false; /* nobody reads them any more */
    text_deinit(&line);
}

Status driver_finish_batch(Driver *driver, uint64_t batch_id, PendingBatch *pending, Error *err) {
    driver_run_outputs(driver, batch_id, pending);
    if (driver->log) {
        TRY(batch_log_append(driver->log, FRAME_COMMIT, text_str(&driver->payload), NULL, err));
        TRY(batch_log_flush(driver->log, err));
    }
    engine_keep(driver->engine);
    driver_tell_sources(driver, batch_id);
    TRY(refuse_too_many_pending(driver, err));
    return driver->log ? rolling_step(driver, batch_id, err) : STATUS_OK;
}

/* S2 to S4. When the run fails the PLAN is made durable all the same: what receivers took in is then not
 * lost, the next start runs the batch again. */
CHECKED static Status run_engine(Driver *driver, uint64_t batch_id, Error *err) {
    int64_t time_ms = driver_batch_time_ms(driver, batch_id);
    for (uint32_t i = 0; i < driver->source_count; i++)
        TRY(driver_read_source(driver, i, time_ms, text_str(&driver->plans[i]), err));
    if (driver->log && has_input(driver))
        TRY(append_plan(driver, batch_id, err));
    Status st = engine_run(driver->engine, driver->inputs, (EngineBatch){batch_id, time_ms}, err);
    if (st != STATUS_OK && driver->log && has_input(driver) && driver_sync_logs(driver, NULL) != STATUS_OK)
        log_error("driver", "UNLOGGED batch=%" PRIu64 " its input could not be made durable", batch_id);
    return st;
}

CHECKED static Status run_batch(Driver *driver, uint64_t batch_id, Error *err) {
    int64_t started_us = clock_us(driver);
    TRY(plan_sources(driver, driver_batch_time_ms(driver, batch_id), err));
    driver->last_batch_id = batch_id;
    TRY(run_engine(driver, batch_id, err));
    driver->run_count++;
    if (!has_output(driver) && !has_input(driver) && !engine_is_changed(driver->engine)) {
        /* No source had a batch: there is nothing to do and nothing to remember. */
        engine_keep(driver->engine);
        driver_tell_sources(driver, batch_id);
        return driver->log ? rolling_step(driver, batch_id, err) : STATUS_OK;
    }
    if (driver->log) {
        Status st = has_input(driver) ? STATUS_OK : append_plan(driver, batch_id, err);
        if (st == STATUS_OK)
            st = driver_log_batch(driver, batch_id, err);
        if (st != STATUS_OK) {
            engine_rollback(driver->engine);
            return st;
        }
    }
    TRY(driver_finish_batch(driver, batch_id, NULL, err));
    write_status_line(driver, batch_id, started_us);
    return STATUS_OK;
}

/* ---- the driver's thread ---- */

typedef enum Wake { WAKE_END, WAKE_BATCH, WAKE_IDLE } Wake;

/* Waits until the batch's time has come (WAKE_BATCH), or until there is time for what rolling.h owes. WAKE_END:
 * the driver was told to end at once. */
static Wake wait_for_batch(Driver *driver, uint64_t batch_id, bool *is_graceful) {
    int64_t due_us = driver_batch_time_ms(driver, batch_id) * US_PER_MS, idle_us = ENV_FOREVER;
    bool is_manual = driver->options.is_manual_clock;
    if (!is_manual && rolling_wants_sync(driver))
        idle_us = env_monotonic_us(driver->env) + COMMIT_SYNC_DELAY_MS * US_PER_MS;
    env_mutex_lock(driver->env, driver->mutex);
    bool is_due = false, is_idle = false;
    for (;;) {
        if (driver->stop_asked && (!driver->stop_is_graceful || !*is_graceful))
            break; /* the caller looks at how */
        int64_t now_us = clock_us(driver);
        is_due = now_us >= due_us || (driver->stop_asked && is_manual);
        if (is_due)
            break;
        int64_t deadline_us = ENV_FOREVER;
        if (!is_manual) {
            int64_t monotonic_us = env_monotonic_us(driver->env);
            is_idle = monotonic_us >= idle_us || rolling_has_written(driver);
            if (is_idle)
                break;
            deadline_us = monotonic_us + (due_us - now_us);
            deadline_us = idle_us < deadline_us ? idle_us : deadline_us;
        }
        driver->is_waiting = true;
        env_cond_broadcast(driver->env, driver->changed);
        (void)env_cond_wait(driver->env, driver->changed, driver->mutex, deadline_us);
        driver->is_waiting = false;
    }
    *is_graceful = driver->stop_asked && driver->stop_is_graceful;
    bool goes_on = is_due || *is_graceful;
    env_mutex_unlock(driver->env, driver->mutex);
    return goes_on ? WAKE_BATCH : is_idle ? WAKE_IDLE : WAKE_END;
}

CHECKED static Status start_sources(Driver *driver, Error *err) {
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Source *source = source_of(driver->source_nodes[i]);
        Status st = source->class->start(source, err);
        TRY(error_context(err, st, "%s", source->description));
    }
    return STATUS_OK;
}

static void stop_sources(Driver *driver) {
    for (uint32_t i = 0; i < driver->source_count; i++)
        source_of(driver->source_nodes[i])->class->stop(source_of(driver->source_nodes[i]));
}

static bool sources_have_more(const Driver *driver) {
    for (uint32_t i = 0; i < driver->source_count; i++)
        if (source_of(driver->source_nodes[i])->class->has_more(source_of(driver->source_nodes[i])))
            return true;
    return false;
}

/* Batches until told to end. After a graceful stop sources take in nothing more, and batches go on until all
 * that they had has been processed: at least one. */
CHECKED static Status run_batches(Driver *driver, Error *err) {
    bool is_graceful = false, is_stopping = false;
    for (;;) {
        Wake wake = wait_for_batch(driver, driver->last_batch_id + 1, &is_graceful);
        if (wake == WAKE_END)
            return STATUS_OK;
        if (wake == WAKE_IDLE) {
            TRY(rolling_idle(driver, err));
            continue;
        }
        if (is_graceful && !is_stopping) {
            stop_sources(driver);
            is_stopping = true;
            continue;
        }
        TRY(run_batch(driver, driver->last_batch_id + 1, err));
        if (is_stopping && !sources_have_more(driver))
            return STATUS_OK;
        if (driver->options.batch_count_max && driver->run_count >= driver->options.batch_count_max)
            return STATUS_OK;
    }
}

static void drive(void *self) {
    Driver *driver = self;
    Error err = {0};
    Status st = STATUS_OK;
    if (driver->log)
        TRY_GOTO(ended, recovery_replay(driver, &err));
    TRY_GOTO(ended, start_sources(driver, &err));
    TRY_GOTO(ended, run_batches(driver, &err));
    if (driver->log) {
        TRY_GOTO(ended, rolling_finish(driver, &err));
        TRY_GOTO(ended, driver_sync_logs(driver, &err));
    }
ended:
    stop_sources(driver);
    if (st != STATUS_OK)
        report_failure(driver, st, &err);
    env_mutex_lock(driver->env, driver->mutex);
    driver->has_ended = true;
    env_cond_broadcast(driver->env, driver->changed);
    env_mutex_unlock(driver->env, driver->mutex);
}

Status driver_start(Driver *driver, Error *err) {
    ASSERT(!driver->is_started);
    env_mutex_lock(driver->env, driver->mutex); /* the thread sees its own handle */
    Status st = env_thread_start(driver->env, "leat-driver", drive, driver, &driver->thread, err);
    driver->is_started = st == STATUS_OK;
    env_mutex_unlock(driver->env, driver->mutex);
    return st;
}

void driver_stop(Driver *driver, bool is_graceful) {
    env_mutex_lock(driver->env, driver->mutex);
    driver->stop_is_graceful = is_graceful && (!driver->stop_asked || driver->stop_is_graceful);
    driver->stop_asked = true;
    env_cond_broadcast(driver->env, driver->changed);
    env_mutex_unlock(driver->env, driver->mutex);
}

bool driver_wait(Driver *driver, int64_t deadline_us, Status *status, Error *err) {
    env_mutex_lock(driver->env, driver->mutex);
    bool is_over;
    while (!(is_over = driver->has_ended || driver->failure != STATUS_OK))
        if (!env_cond_wait(driver->env, driver->changed, driver->mutex, deadline_us))
            break;
    is_over = driver->has_ended || driver->failure != STATUS_OK;
    if (is_over && status)
        *status = driver->failure;
    if (is_over && err)
        *err = driver->failure_error;
    env_mutex_unlock(driver->env, driver->mutex);
    return is_over;
}

void driver_join(Driver *driver) {
    ASSERT(!driver_is_own_thread(driver));
    env_mutex_lock(driver->env, driver->mutex);
    while (driver->is_started && !driver->has_ended)
        (void)env_cond_wait(driver->env, driver->changed, driver->mutex, ENV_FOREVER);
    env_mutex_unlock(driver->env, driver->mutex);
}

bool driver_is_running(Driver *driver) {
    env_mutex_lock(driver->env, driver->mutex);
    bool is_running = driver->is_started && !driver->has_ended;
    env_mutex_unlock(driver->env, driver->mutex);
    return is_running;
}

bool driver_is_own_thread(Driver *driver) {
    env_mutex_lock(driver->env, driver->mutex);
    bool is_own = driver->thread && env_thread_is_current(driver->env, driver->thread);
    env_mutex_unlock(driver->env, driver->mutex);
    return is_own;
}

void driver_advance(Driver *driver, int64_t ms) {
    ASSERT(driver->options.is_manual_clock && !driver_is_own_thread(driver));
    env_mutex_lock(driver->env, driver->mutex);
    driver->manual_now_us += ms * US_PER_MS;
    env_cond_broadcast(driver->env, driver->changed);
    while (!driver->has_ended &&
           (!driver->is_waiting ||
            driver->manual_now_us >= driver_batch_time_ms(driver, driver->last_batch_id + 1) * US_PER_MS))
        (void)env_cond_wait(driver->env, driver->changed, driver->mutex, ENV_FOREVER);
    env_mutex_unlock(driver->env, driver->mutex);
}
