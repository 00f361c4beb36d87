/* rolling.c - see rolling.h. */
#include "stream/rolling.h"

#include "base/log.h"
#include "stream/driver_parts.h"
#include "stream/snapshot.h"

#include <inttypes.h>

CHECKED static Status snapshot_piece(void *self, Str piece, Error *err) {
    return snapshot_write(self, piece, err);
}

CHECKED static Status write_state(Driver *driver, SnapshotWriter *writer, Error *err) {
    Status st = STATUS_OK;
    Text name = {0};
    for (uint32_t i = 0; i < engine_section_count(driver->engine); i++) {
        text_reset(&name);
        if (!engine_section_name(driver->engine, i, &name))
            continue;
        TRY_GOTO(done, snapshot_begin_section(writer, text_str(&name), err));
        TRY_GOTO(done, engine_save_section(driver->engine, i, (StateSink){snapshot_piece, writer}, err));
    }
done:
    text_deinit(&name);
    return st;
}

CHECKED static Status write_sections(Driver *driver, SnapshotWriter *writer, Error *err) {
    Text identity = {0};
    Status st = STATUS_OK;
    plan_identity(driver->plan, &identity);
    text_reset(&driver->payload);
    bytes_put_str(&driver->payload, text_str(&identity));
    text_deinit(&identity);
    TRY(snapshot_begin_section(writer, STR("meta"), err));
    TRY(snapshot_write(writer, text_str(&driver->payload), err));
    for (uint32_t i = 0; i < driver->source_count; i++) {
        Text name = {0};
        Source *source = source_of(driver->source_nodes[i]);
        text_reset(&driver->payload);
        source->class->save(source, &driver->payload);
        text_appendf(&name, "source/%s", driver->source_nodes[i]->id);
        st = snapshot_begin_section(writer, text_str(&name), err);
        text_deinit(&name);
        TRY(st);
        TRY(snapshot_write(writer, text_str(&driver->payload), err));
    }
    return write_state(driver, writer, err);
}

CHECKED static Status take_snapshot(Driver *driver, uint64_t batch_id, Error *err) {
    const char *directory = checkpoint_directory(driver->checkpoint);
    SnapshotWriter *writer = NULL;
    SnapshotInfo info = {.batch_id = batch_id,
                         .log_sequence = batch_log_last_sequence(driver->log),
                         .epoch = batch_log_last_epoch(driver->log)};
    TRY(batch_log_sync(driver->log, err)); /* the snapshot must not hold more than the log vouches for */
    TRY(snapshot_create(driver->env, directory, info, &writer, err));
    Status st = write_sections(driver, writer, err);
    if (st != STATUS_OK) {
        snapshot_abandon(writer);
        return st;
    }
    TRY(snapshot_finish(writer, err));
    TRY(batch_log_cut_before(driver->log, info.log_sequence + 1, err));
    TRY(snapshot_remove_before(driver->env, directory, batch_id, err));
    driver->snapshot_log_size_bytes = batch_log_size_bytes(driver->log);
    log_info("driver", "SNAPSHOT batch=%" PRIu64, batch_id);
    return STATUS_OK;
}

/* Only when no batch is pending: a pending one is run again on the state before it. */
Status rolling_step(Driver *driver, uint64_t batch_id, Error *err) {
    uint64_t grown = batch_log_size_bytes(driver->log) - driver->snapshot_log_size_bytes;
    if (driver->pending_count == 0 && grown >= driver->options.snapshot_log_bytes)
        TRY(take_snapshot(driver, batch_id, err));
    uint64_t oldest = driver_oldest_segment(driver);
    for (const PendingBatch *p = driver->pending; p; p = p->next)
        oldest = p->oldest_segment < oldest ? p->oldest_segment : oldest;
    TRY(block_log_release_before(driver->block_log, oldest, err));
    return batch_log_prepare(driver->log, err);
}
