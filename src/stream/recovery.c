/* recovery.c - see recovery.h.
 *
 *     recovery_restore  survey_frame... -> load_saves -> rolling_begin -> begin_epoch
 *     recovery_replay   replay_frame... -> resume_batch
 *
 * The survey reads the log once to learn, per batch, how it ended, and which saved sections count. The replay
 * reads it again and brings sources and state to where they were. The sections are of different batches. A
 * source passes over the PLANs that it was saved behind; a DELTA is applied whole, to sections too that were
 * saved behind it (R2 of rolling.h): state may go back in between, and is right from the newest section on.
 * No batch that had not ended lies before that (R1). Such a one is run again in its place in that order,
 * before the DELTA of the next one is applied, so its outputs see the state they would have seen.
 */
#include "stream/recovery.h"

#include "base/log.h"
#include "stream/driver_parts.h"
#include "stream/rolling.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a first reading of the log finds besides the pending batches. */
typedef struct Survey {
    Driver *driver;
    Saves saves;
    Text identity; /* of the newest OPEN */
} Survey;

static void survey_commit(Driver *driver, const CommitFrame *commit) {
    PendingBatch *pending = driver_pending_find(driver, commit->batch_id);
    if (!pending)
        return; /* its PLAN is cut away: it is in every section */
    CommitFrame walk = *commit;
    CommitResult result;
    while (commit_frame_next_result(&walk, &result)) {
        if (result.is_ok)
            map_remove(&pending->failed, result.output_id);
        else
            map_put(&pending->failed, result.output_id, pending);
    }
    pending->has_commit = true;
    if (pending->failed.count == 0)
        driver_pending_remove(driver, pending);
}

CHECKED static Status survey_frame(void *self, const Frame *frame, Error *err) {
    Survey *survey = self;
    Driver *driver = survey->driver;
    saves_note(&survey->saves, frame);
    if (frame->kind == FRAME_OPEN) {
        OpenFrame open;
        TRY(open_frame_decode(frame->payload, &open, err));
        text_reset(&survey->identity);
        text_append(&survey->identity, open.identity);
    } else if (frame->kind == FRAME_PLAN) {
        PlanFrame plan;
        TRY(plan_frame_decode(frame->payload, &plan, err));
        if (plan.batch_time_ms != driver_batch_time_ms(driver, plan.batch_id))
            return error_set(err, STATUS_CORRUPT,
                             "PLAN of batch %" PRIu64 ": its time %" PRId64 " ms is not on the grid",
                             plan.batch_id, plan.batch_time_ms);
        (void)driver_pending_add(driver, plan.batch_id);
        driver->last_batch_id = plan.batch_id;
    } else if (frame->kind == FRAME_COMMIT) {
        CommitFrame commit;
        TRY(commit_frame_decode(frame->payload, &commit, err));
        survey_commit(driver, &commit);
    } else if (frame->kind != FRAME_DELTA && frame->kind != FRAME_SNAPSHOT) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "batch log: a frame of kind %u at sequence %" PRIu64
                         " was written by a newer version of Leat",
                         frame->kind, frame->sequence);
    }
    return STATUS_OK;
}

CHECKED static Status read_section(const Saves *saves, const SnapshotSection *section, Text *out,
                                   Error *err) {
    Status st = STATUS_OK;
    SnapshotReader *reader = snapshot_open(saves->catalog, section);
    text_reset(out);
    for (Str piece = STR(" "); st == STATUS_OK && piece.size;) {
        st = snapshot_read(reader, &piece, err);
        if (st == STATUS_OK)
            text_append(out, piece);
    }
    snapshot_close(reader);
    return st;
}

CHECKED static Status compare_saved_plan(Driver *driver, const Saves *saves, Error *err) {
    const SnapshotSection *meta = saves_find(saves, STR("meta"));
    if (!meta)
        return STATUS_OK;
    Text bytes = {0};
    Status st = read_section(saves, meta, &bytes, err);
    Reader r = reader_of(text_str(&bytes));
    Str identity = reader_str(&r);
    if (st == STATUS_OK && r.failed)
        st = error_set(err, STATUS_CORRUPT, "snapshot: malformed meta section");
    if (st == STATUS_OK)
        st = plan_compare(driver->plan, identity, err);
    text_deinit(&bytes);
    return st;
}

static Source *find_source(const Driver *driver, Str id) {
    for (uint32_t i = 0; i < driver->source_count; i++)
        if (str_equal(str_from(driver->source_nodes[i]->id), id))
            return source_of(driver->source_nodes[i]);
    return NULL;
}

CHECKED static Status restore_source(Driver *driver, const Saves *saves, const SnapshotSection *section,
                                     Error *err) {
    Str id = str_slice(section->name.data + 7, section->name.size - 7);
    Source *source = find_source(driver, id);
    if (!source)
        return error_set(err, STATUS_INVALID, "the snapshot has a source '%.*s' that the program lacks",
                         STR_ARG(id));
    Text bytes = {0};
    Status st = read_section(saves, section, &bytes, err);
    if (st == STATUS_OK)
        st = source->class->restore(source, text_str(&bytes), err);
    text_deinit(&bytes);
    return st;
}

/* The sections that the engine loads. */
typedef struct StateImage {
    const Saves *saves;
    const SnapshotSection **sections;
    Str *names;
    uint32_t count;
} StateImage;

CHECKED static Status read_piece(void *self, Str *piece, Error *err) {
    return snapshot_read(self, piece, err);
}

CHECKED static Status open_section(void *self, uint32_t index, StateFeed *feed, Error *err) {
    (void)err;
    const StateImage *image = self;
    *feed = (StateFeed){read_piece, snapshot_open(image->saves->catalog, image->sections[index])};
    return STATUS_OK;
}

static void close_section(void *self, StateFeed feed) {
    (void)self;
    snapshot_close(feed.self);
}

CHECKED static Status load_state(Driver *driver, const StateImage *image, Error *err) {
    return engine_load(driver->engine,
                       (EngineImage){.names = image->names,
                                     .count = image->count,
                                     .open = open_section,
                                     .close = close_section,
                                     .self = (void *)(uintptr_t)image},
                       err);
}

/* The plan is compared before any state is read. */
CHECKED static Status load_saves(Driver *driver, const Saves *saves, Error *err) {
    Status st = STATUS_OK;
    if (!saves->is_there)
        return STATUS_OK;
    size_t count = snapshot_catalog_count(saves->catalog);
    StateImage image = {.saves = saves,
                        .sections = xcalloc(count + 1, sizeof *image.sections),
                        .names = xcalloc(count + 1, sizeof *image.names)};
    TRY_GOTO(done, compare_saved_plan(driver, saves, err));
    for (size_t i = 0; i < count; i++) {
        const SnapshotSection *section = saves_at(saves, i);
        if (!section || str_equal(section->name, STR("meta")))
            continue;
        if (str_starts_with(section->name, STR("source/"))) {
            TRY_GOTO(done, restore_source(driver, saves, section, err));
            continue;
        }
        image.sections[image.count] = section;
        image.names[image.count++] = section->name;
    }
    TRY_GOTO(done, load_state(driver, &image, err));
    if (driver->last_batch_id < saves->frame.batch_id)
        driver->last_batch_id = saves->frame.batch_id;
done:
    free(image.sections);
    free(image.names);
    return error_context(err, st, "restoring the state");
}

/* What no SNAPSHOT frame names was not durable, or is superfluous. */
CHECKED static Status remove_stray_files(Driver *driver, const Saves *saves, uint64_t newest, Error *err) {
    SnapshotFrame walk = saves->frame;
    size_t count = 0;
    SnapshotExtent *extents = xcalloc((size_t)walk.extent_count + 1, sizeof *extents);
    while (snapshot_frame_next_extent(&walk, &extents[count]))
        count++;
    Status st = snapshot_remove_others(driver->env, checkpoint_directory(driver->checkpoint), extents, count,
                                       newest, err);
    free(extents);
    return st;
}

/* From here on frames carry an epoch of our own. */
CHECKED static Status begin_epoch(Driver *driver, Error *err) {
    Status st = STATUS_OK;
    Text identity = {0};
    plan_identity(driver->plan, &identity);
    batch_log_set_epoch(driver->log, batch_log_last_epoch(driver->log) + 1);
    text_reset(&driver->payload);
    open_frame_encode(&(OpenFrame){.started_ms = env_wall_us(driver->env) / US_PER_MS,
                                   .worker_count = driver->options.worker_count,
                                   .identity = text_str(&identity)},
                      &driver->payload);
    TRY_GOTO(done, batch_log_append(driver->log, FRAME_OPEN, text_str(&driver->payload), NULL, err));
    TRY_GOTO(done, batch_log_sync(driver->log, err));
done:
    text_deinit(&identity);
    return st;
}

Status recovery_restore(Driver *driver, Error *err) {
    Status st = STATUS_OK;
    const char *directory = checkpoint_directory(driver->checkpoint);
    Survey survey = {.driver = driver};
    uint64_t newest_file;
    TRY_GOTO(done, snapshot_survey(driver->env, directory, &newest_file, err));
    TRY_GOTO(done, batch_log_read(driver->log, survey_frame, &survey, err));
    TRY_GOTO(done, saves_open(&survey.saves, driver->env, directory, err));
    TRY_GOTO(done, load_saves(driver, &survey.saves, err));
    if (survey.identity.size)
        TRY_GOTO(done, plan_compare(driver->plan, text_str(&survey.identity), err));
    TRY_GOTO(done, remove_stray_files(driver, &survey.saves, newest_file, err));
    rolling_begin(driver, &survey.saves, newest_file);
    TRY_GOTO(done, begin_epoch(driver, err));
done:
    saves_close(&survey.saves);
    text_deinit(&survey.identity);
    return st;
}

/* ---- after a restart ---- */

/* The batch that the replay stands at. */
typedef struct Replay {
    Driver *driver;
    uint64_t batch_id; /* 0: none yet */
    Text plan;         /* its PLAN's payload, when it is pending */
    bool is_open;      /* pending, and not run again yet */
    Text commits;      /* COMMIT payloads to append once the log has been read: str each */
} Replay;

static PlanPart find_part(const PlanFrame *plan, const char *source_id) {
    PlanFrame walk = *plan;
    PlanPart part;
    while (plan_frame_next_part(&walk, &part))
        if (str_equal(part.source_id, str_from(source_id)))
            return part;
    return (PlanPart){.source_id = str_from(source_id)}; /* the program has got this source since */
}

/* A source that was saved behind this batch knows it already. */
static bool source_needs(const Driver *driver, uint32_t i, uint64_t sequence) {
    return sequence > rolling_source_sequence(driver, i);
}

CHECKED static Status replay_sources(Driver *driver, const PlanFrame *plan, uint64_t sequence, Error *err) {
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Source *source = source_of(driver->source_nodes[i]);
        PlanPart part = find_part(plan, driver->source_nodes[i]->id);
        if (!part.has_batch || !source_needs(driver, i, sequence))
            continue;
        Status st = source->class->replay(source, plan->batch_time_ms, part.plan, err);
        TRY(error_context(err, st, "%s", source->description));
    }
    return STATUS_OK;
}

static void tell_replayed_sources(Driver *driver, const PlanFrame *plan, uint64_t sequence) {
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Source *source = source_of(driver->source_nodes[i]);
        if (source_needs(driver, i, sequence))
            source->class->done(source, plan->batch_time_ms);
    }
}

/* Runs the batch of a PLAN frame in the engine: S2 to S4 with the planned ranges. */
CHECKED static Status rerun(Driver *driver, const PlanFrame *plan, Error *err) {
    for (uint32_t i = 0; i < driver->source_count; i++) {
        PlanPart part = find_part(plan, driver->source_nodes[i]->id);
        driver->inputs[i].has_batch = part.has_batch;
        TRY(driver_read_source(driver, i, plan->batch_time_ms, part.plan, err));
    }
    EngineBatch batch = {plan->batch_id, plan->batch_time_ms};
    Status st = engine_run(driver->engine, driver->inputs, batch, err);
    return error_context(err, st, "running the batch of %" PRId64 " ms again", plan->batch_time_ms);
}

/* A pending batch whose S5 is behind it: the log's DELTA is authoritative (empty: nothing changed), the run
 * is for its outputs. The COMMIT waits until the log has been read to its end. */
CHECKED static Status rerun_outputs(Replay *replay, Str delta, Error *err) {
    Driver *driver = replay->driver;
    PlanFrame plan;
    TRY(plan_frame_decode(text_str(&replay->plan), &plan, err));
    TRY(rerun(driver, &plan, err));
    log_info("driver", "RERUN batch=%" PRIu64, plan.batch_id);
    driver_run_outputs(driver, plan.batch_id, driver_pending_find(driver, plan.batch_id));
    bytes_put_str(&replay->commits, text_str(&driver->payload));
    text_reset(&driver->delta);
    if (engine_is_changed(driver->engine))
        engine_delta(driver->engine, &driver->delta);
    if (str_equal(text_str(&driver->delta), delta)) {
        engine_keep(driver->engine);
    } else {
        log_warn("driver",
                 "DIFFERS batch=%" PRIu64
                 " the same input gave other changes of state; the logged ones count",
                 plan.batch_id);
        engine_rollback(driver->engine);
        if (delta.size)
            TRY(engine_apply_delta(driver->engine, delta, err));
    }
    driver_tell_sources(driver, plan.batch_id);
    replay->is_open = false;
    return STATUS_OK;
}

CHECKED static Status replay_plan(Replay *replay, const Frame *frame, Error *err) {
    Driver *driver = replay->driver;
    PlanFrame plan;
    TRY(plan_frame_decode(frame->payload, &plan, err));
    if (replay->is_open)
        TRY(rerun_outputs(replay, (Str){0}, err));
    TRY(replay_sources(driver, &plan, frame->sequence, err));
    replay->batch_id = plan.batch_id;
    replay->is_open = driver_pending_find(driver, plan.batch_id) != NULL;
    if (replay->is_open) {
        text_reset(&replay->plan);
        text_append(&replay->plan, frame->payload);
    } else {
        tell_replayed_sources(driver, &plan, frame->sequence);
    }
    return STATUS_OK;
}

CHECKED static Status replay_frame(void *self, const Frame *frame, Error *err) {
    Replay *replay = self;
    if (frame->sequence < rolling_log_begin(replay->driver)) /* the log is cut by whole segments */
        return STATUS_OK;
    if (frame->kind == FRAME_PLAN)
        return replay_plan(replay, frame, err);
    if (frame->kind != FRAME_DELTA)
        return STATUS_OK;
    DeltaFrame delta;
    TRY(delta_frame_decode(frame->payload, &delta, err));
    if (delta.batch_id != replay->batch_id)
        return error_set(err, STATUS_CORRUPT, "batch log: DELTA of batch %" PRIu64 " without its PLAN",
                         delta.batch_id);
    if (replay->is_open)
        return rerun_outputs(replay, delta.delta, err);
    return engine_apply_delta(replay->driver->engine, delta.delta, err);
}

CHECKED static Status append_commits(Driver *driver, Str commits, Error *err) {
    for (Reader r = reader_of(commits); !reader_at_end(&r);)
        TRY(batch_log_append(driver->log, FRAME_COMMIT, reader_str(&r), NULL, err));
    return batch_log_flush(driver->log, err);
}

/* The last batch was planned, and the crash came before its DELTA: the ordinary steps from S2 on, with the
 * planned ranges. */
CHECKED static Status resume_batch(Driver *driver, Str payload, Error *err) {
    PlanFrame plan;
    TRY(plan_frame_decode(payload, &plan, err));
    log_info("driver", "RESUME batch=%" PRIu64, plan.batch_id);
    TRY(rerun(driver, &plan, err));
    TRY(driver_log_batch(driver, plan.batch_id, err));
    return driver_finish_batch(driver, plan.batch_id, driver_pending_find(driver, plan.batch_id), err);
}

Status recovery_replay(Driver *driver, Error *err) {
    Status st = STATUS_OK;
    Replay replay = {.driver = driver};
    TRY_GOTO(done, batch_log_read(driver->log, replay_frame, &replay, err));
    TRY_GOTO(done, append_commits(driver, text_str(&replay.commits), err));
    if (replay.is_open) {
        PendingBatch *pending = driver_pending_find(driver, replay.batch_id);
        if (pending && pending->has_commit) {
            text_reset(&replay.commits);
            TRY_GOTO(done, rerun_outputs(&replay, (Str){0}, err));
            TRY_GOTO(done, append_commits(driver, text_str(&replay.commits), err));
        } else {
            TRY_GOTO(done, resume_batch(driver, text_str(&replay.plan), err));
        }
    }
done:
    text_deinit(&replay.plan);
    text_deinit(&replay.commits);
    return st;
}
