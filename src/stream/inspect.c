/* inspect.c - reads what the driver writes, in the same order, and says it in words. */
#include "stream/inspect_parts.h"

#include <inttypes.h>

Status inspect_say(Inspect *inspect, Error *err) {
    text_append_byte(&inspect->line, '\n');
    Status st = inspect->out.write(inspect->out.self, text_str(&inspect->line), err);
    text_reset(&inspect->line);
    return st;
}

Status inspect_open(Inspect *inspect, const char *directory, Error *err) {
    bool exists = false;
    TRY(checkpoint_exists(inspect->env, directory, &exists, err));
    if (!exists)
        return error_set(err, STATUS_NOT_FOUND, "%s: there is no checkpoint in this directory", directory);
    return checkpoint_open_read_only(inspect->env, directory, &inspect->checkpoint, err);
}

Status inspect_open_logs(Inspect *inspect, Error *err) {
    const char *directory = checkpoint_directory(inspect->checkpoint);
    TRY(batch_log_open((BatchLogOptions){.env = inspect->env, .directory = directory, .read_only = true},
                       &inspect->log, &inspect->cut, err));
    return block_log_open((BlockLogOptions){.env = inspect->env, .directory = directory, .read_only = true},
                          &inspect->blocks, err);
}

void inspect_close(Inspect *inspect) {
    block_log_close(inspect->blocks);
    batch_log_close(inspect->log);
    checkpoint_close(inspect->checkpoint);
    text_deinit(&inspect->line);
    text_deinit(&inspect->identity);
}

Status inspect_note_saves(void *saves, const Frame *frame, Error *err) {
    (void)err;
    saves_note(saves, frame);
    return STATUS_OK;
}

bool inspect_find_identity(Str identity, Str word, Str id, Str *fields) {
    for (Str line; leat_str_next_line(&identity, &line);) {
        for (int i = 0; i < FIELD_COUNT; i++)
            if (!leat_str_split(&line, '\t', &fields[i]))
                fields[i] = STR("");
        if (str_equal(fields[FIELD_WORD], word) && str_equal(fields[FIELD_ID], id))
            return true;
    }
    return false;
}

/* ---- checkpoint inspect ---- */

CHECKED static Status show_identity(Inspect *inspect, Error *err) {
    const CheckpointIdentity *identity = checkpoint_identity(inspect->checkpoint);
    text_appendf(&inspect->line, "checkpoint %s of program '%s'", identity->id, identity->program);
    TRY(inspect_say(inspect, err));
    text_appendf(&inspect->line,
                 "  batches every %" PRId64 " ms from %" PRId64
                 " ms on; keyed state in %u partitions of %u key groups",
                 identity->interval_ms, identity->zero_time_ms, identity->partition_count,
                 identity->key_group_count);
    return inspect_say(inspect, err);
}

CHECKED static Status show_open(Inspect *inspect, const Frame *frame, Error *err) {
    OpenFrame open;
    TRY(open_frame_decode(frame->payload, &open, err));
    text_appendf(&inspect->line, "a start at %" PRId64 " ms with %u workers", open.started_ms,
                 open.worker_count);
    TRY(inspect_say(inspect, err));
    text_reset(&inspect->identity);
    text_append(&inspect->identity, open.identity);
    for (Str rest = open.identity, line; leat_str_next_line(&rest, &line);) {
        text_append(&inspect->line, STR("        "));
        for (Str field; leat_str_split(&line, '\t', &field);) {
            text_append(&inspect->line, field);
            text_append(&inspect->line, STR("  "));
        }
        while (inspect->line.size && inspect->line.data[inspect->line.size - 1] == ' ')
            inspect->line.size--;
        TRY(inspect_say(inspect, err));
    }
    return STATUS_OK;
}

CHECKED static Status show_plan(Inspect *inspect, const Frame *frame, Error *err) {
    PlanFrame plan;
    PlanPart part;
    TRY(plan_frame_decode(frame->payload, &plan, err));
    text_appendf(&inspect->line, "batch %" PRIu64 " at %" PRId64 " ms", plan.batch_id, plan.batch_time_ms);
    TRY(inspect_say(inspect, err));
    while (plan_frame_next_part(&plan, &part)) {
        Str fields[FIELD_COUNT];
        text_appendf(&inspect->line, "        %.*s: ", STR_ARG(part.source_id));
        if (!part.has_batch)
            text_append(&inspect->line, STR("no batch"));
        else if (inspect->out.describe_plan &&
                 inspect_find_identity(text_str(&inspect->identity), STR("source"), part.source_id, fields))
            inspect->out.describe_plan(fields[FIELD_CALL], part.plan, &inspect->line);
        else
            text_appendf(&inspect->line, "%zu bytes", part.plan.size);
        TRY(inspect_say(inspect, err));
    }
    return STATUS_OK;
}

CHECKED static Status show_commit(Inspect *inspect, const Frame *frame, Error *err) {
    CommitFrame commit;
    CommitResult result;
    TRY(commit_frame_decode(frame->payload, &commit, err));
    text_appendf(&inspect->line, "batch %" PRIu64, commit.batch_id);
    while (commit_frame_next_result(&commit, &result)) {
        text_appendf(&inspect->line, "  %.*s %s", STR_ARG(result.output_id),
                     result.is_ok ? "ok" : "failed: ");
        text_append_escaped(&inspect->line, result.message);
    }
    return inspect_say(inspect, err);
}

CHECKED static Status show_snapshot(Inspect *inspect, const Frame *frame, Error *err) {
    SnapshotFrame snapshot;
    SnapshotExtent extent;
    TRY(snapshot_frame_decode(frame->payload, &snapshot, err));
    text_appendf(&inspect->line,
                 "sections up to batch %" PRIu64 " are durable; the log is needed from sequence %" PRIu64
                 " on;",
                 snapshot.batch_id, snapshot.log_begin);
    while (snapshot_frame_next_extent(&snapshot, &extent))
        text_appendf(&inspect->line, " file %" PRIx64 " up to byte %" PRIu64, extent.number,
                     extent.size_bytes);
    return inspect_say(inspect, err);
}

CHECKED static Status show_frame(void *self, const Frame *frame, Error *err) {
    Inspect *inspect = self;
    inspect->frame_count++;
    text_appendf(&inspect->line,
                 "  %6" PRIu64 "  %-6s epoch %u, segment %" PRIx64 " at %" PRIu64
                 ", %zu bytes, durable up to %" PRIu64 ": ",
                 frame->sequence, frame_kind_name(frame->kind), frame->epoch, frame->segment_id,
                 frame->offset, frame->payload.size, frame->durable_upto);
    if (frame->kind == FRAME_OPEN)
        return show_open(inspect, frame, err);
    if (frame->kind == FRAME_PLAN)
        return show_plan(inspect, frame, err);
    if (frame->kind == FRAME_COMMIT)
        return show_commit(inspect, frame, err);
    if (frame->kind == FRAME_SNAPSHOT)
        return show_snapshot(inspect, frame, err);
    if (frame->kind == FRAME_DELTA) {
        DeltaFrame delta;
        TRY(delta_frame_decode(frame->payload, &delta, err));
        text_appendf(&inspect->line, "batch %" PRIu64 ", %zu bytes of changes", delta.batch_id,
                     delta.delta.size);
    }
    return inspect_say(inspect, err);
}

CHECKED static Status show_block(void *self, const BlockRef *ref, Error *err) {
    Inspect *inspect = self;
    inspect->block_count++;
    text_appendf(&inspect->line, "  stream %08x block %" PRIu64 ": %u bytes, segment %" PRIx64 " at %" PRIu64,
                 ref->stream_id, ref->number, ref->size_bytes, ref->segment_id, ref->offset);
    return inspect_say(inspect, err);
}

CHECKED static Status show_cut(Inspect *inspect, Error *err) {
    if (!inspect->cut.happened)
        return STATUS_OK;
    text_appendf(
        &inspect->line,
        "  the end of the log is torn, as a crash may leave it: the next start cuts it at segment %" PRIx64
        " byte %" PRIu64 " (%s)",
        inspect->cut.segment_id, inspect->cut.offset, inspect->cut.reason);
    return inspect_say(inspect, err);
}

CHECKED static Status show_sections(Inspect *inspect, const Saves *saves, Error *err) {
    for (size_t i = 0; i < snapshot_catalog_count(saves->catalog); i++) {
        const SnapshotSection *section = snapshot_catalog_section(saves->catalog, i);
        text_appendf(&inspect->line,
                     "  file %" PRIx64 "  %.*s: batch %" PRIu64 ", log up to sequence %" PRIu64 ", %" PRIu64
                     " bytes%s",
                     section->number, STR_ARG(section->name), section->batch_id, section->log_sequence,
                     section->size_bytes, saves_at(saves, i) ? "" : ", superseded");
        TRY(inspect_say(inspect, err));
    }
    return STATUS_OK;
}

CHECKED static Status show_saves(Inspect *inspect, Error *err) {
    Saves saves = {0};
    Status st = STATUS_OK;
    TRY_GOTO(done, batch_log_read(inspect->log, inspect_note_saves, &saves, err));
    TRY_GOTO(done, saves_open(&saves, inspect->env, checkpoint_directory(inspect->checkpoint), err));
    if (!saves.is_there)
        goto done;
    text_appendf(&inspect->line,
                 "snapshot: up to batch %" PRIu64 ", with the log from sequence %" PRIu64 " on, in %u files",
                 saves.frame.batch_id, saves.frame.log_begin, saves.frame.extent_count);
    TRY_GOTO(done, inspect_say(inspect, err));
    TRY_GOTO(done, show_sections(inspect, &saves, err));
done:
    saves_close(&saves);
    return st;
}

CHECKED static Status walk_logs(Inspect *inspect, Error *err) {
    text_appendf(&inspect->line, "batch log, last sequence %" PRIu64, batch_log_last_sequence(inspect->log));
    TRY(inspect_say(inspect, err));
    TRY(batch_log_read(inspect->log, show_frame, inspect, err));
    TRY(show_cut(inspect, err));
    text_append(&inspect->line, STR("block log"));
    TRY(inspect_say(inspect, err));
    return block_log_scan(inspect->blocks, show_block, inspect, err);
}

Status inspect_checkpoint(Env *env, const char *directory, InspectOut out, Error *err) {
    Status st = STATUS_OK;
    Inspect inspect = {.env = env, .out = out};
    TRY_GOTO(done, inspect_open(&inspect, directory, err));
    TRY_GOTO(done, show_identity(&inspect, err));
    TRY_GOTO(done, inspect_open_logs(&inspect, err));
    /* The log explains damage of a snapshot; not the other way. */
    TRY_GOTO(done, walk_logs(&inspect, err));
    TRY_GOTO(done, show_saves(&inspect, err));
done:
    inspect_close(&inspect);
    return st;
}

/* ---- checkpoint verify ---- */

static uint64_t key_count(const Restored *restored) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < restored->operators.count; i++) {
        const OperatorState *state = restored->operators.entries[i].value;
        for (uint32_t p = 0; p < state->partition_count; p++)
            count += state->stores[p] ? state_store_stats(state->stores[p]).key_count : 0;
    }
    return count;
}

CHECKED static Status verify_block(void *self, const BlockRef *ref, Error *err) {
    Inspect *inspect = self;
    Buffer *buffer = NULL;
    inspect->block_count++;
    Status st = block_log_read(inspect->blocks, ref, &buffer, err);
    buffer_release(buffer);
    return st;
}

/* Superseded ones too: the next start does not read them, and a whole file is what people expect. */
CHECKED static Status verify_sections(const Saves *saves, Error *err) {
    Status st = STATUS_OK;
    for (size_t i = 0; saves->is_there && st == STATUS_OK && i < snapshot_catalog_count(saves->catalog);
         i++) {
        SnapshotReader *reader = snapshot_open(saves->catalog, snapshot_catalog_section(saves->catalog, i));
        for (Str piece = STR(" "); st == STATUS_OK && piece.size;)
            st = snapshot_read(reader, &piece, err);
        snapshot_close(reader);
    }
    return st;
}

Status inspect_verify(Env *env, const char *directory, InspectOut out, Error *err) {
    Status st = STATUS_OK;
    Inspect inspect = {.env = env, .out = out};
    Restored restored = {0};
    TRY_GOTO(done, inspect_open(&inspect, directory, err));
    TRY_GOTO(done, show_identity(&inspect, err));
    TRY_GOTO(done, inspect_open_logs(&inspect, err));
    TRY_GOTO(done, inspect_restore(&restored, &inspect, err));
    TRY_GOTO(done, verify_sections(&restored.saves, err));
    if (restored.saves.is_there)
        text_appendf(&inspect.line, "snapshot   ok: %zu sections in %u files, up to batch %" PRIu64,
                     snapshot_catalog_count(restored.saves.catalog), restored.saves.frame.extent_count,
                     restored.saves.frame.batch_id);
    else
        text_append(&inspect.line, STR("snapshot   none"));
    TRY_GOTO(done, inspect_say(&inspect, err));
    text_appendf(&inspect.line, "batch log  ok: %" PRIu64 " frames", inspect.frame_count);
    TRY_GOTO(done, inspect_say(&inspect, err));
    TRY_GOTO(done, show_cut(&inspect, err));
    TRY_GOTO(done, block_log_scan(inspect.blocks, verify_block, &inspect, err));
    text_appendf(&inspect.line, "block log  ok: %" PRIu64 " blocks", inspect.block_count);
    TRY_GOTO(done, inspect_say(&inspect, err));
    text_appendf(&inspect.line, "state      ok: %u operators, %" PRIu64 " keys", restored.operators.count,
                 key_count(&restored));
    TRY_GOTO(done, inspect_say(&inspect, err));
done:
    restored_deinit(&restored);
    inspect_close(&inspect);
    return st;
}
