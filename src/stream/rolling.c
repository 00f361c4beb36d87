/* rolling.c - see rolling.h.
 *
 * A section's way, and the function on each arrow:
 *
 *     --fill--> filling --hand_over--> writing --(thread)--> written --settle--> recorded --cut--> done
 *      saved    R1: the log is         write, sync           SNAPSHOT            R3: the frame is
 *               durable up to here                           appended            durable
 *
 * There is one portion of each kind. When the thread is still busy `filling` grows; when it has grown to
 * PORTION_BYTES_MAX nothing more is saved until it is handed over.
 */
#include "stream/rolling.h"

#include "base/log.h"
#include "stream/driver_parts.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    PORTION_BYTES_MAX = 8 << 20,
    /* A step that logged less saves as much as this: some tens of microseconds. */
    STEP_BYTES_MIN = 256 << 10,
};
#define ROUND_LOG_BYTES_MIN (UINT64_C(64) << 20)
#define LOG_SLACK_BYTES     (UINT64_C(8) << 20) /* two segments: the log is cut by whole ones */

/* A section of this program, and its newest save that is durable. */
typedef struct Part {
    Text name;
    uint64_t log_sequence; /* frames up to here are in it */
    uint64_t number;       /* of its file; 0: it held nothing */
    uint64_t size_bytes;
} Part;

typedef struct Turn {
    uint64_t log_sequence; /* of the part, at the start */
    uint32_t part;
} Turn;

/* A save on its way. */
typedef struct Save {
    uint32_t part;
    uint64_t log_sequence, number, size_bytes;
} Save;

typedef struct Portion {
    SnapshotPortion file;
    Save *saves;
    uint32_t count, capacity;
    uint64_t batch_id, log_sequence; /* of the newest */
} Portion;

typedef enum WriterState { WRITER_IDLE, WRITER_BUSY, WRITER_DONE } WriterState;

struct Rolling {
    Part *parts;
    uint32_t part_count;
    Turn *turns;   /* the order of saving: the oldest at the start first */
    uint32_t next; /* in it */
    uint64_t image_bytes;

    uint64_t number; /* of the file of this round */
    SnapshotBuilder *builder;
    Portion filling, writing;

    SnapshotExtent *extents; /* the files that parts stand in, ascending; the one being written last */
    size_t extent_count, extent_capacity;
    bool lost_extents; /* since files were removed last */

    bool has_record; /* a SNAPSHOT frame that is not durable yet */
    uint64_t record_sequence, log_begin;

    double credit;      /* sections that are due */
    uint64_t log_bytes; /* of the log when it was looked at last */
    uint64_t batch_id;  /* the last that rolling_step was told of */

    /* Under the driver's mutex. */
    EnvThread *thread;
    EnvCond *work;
    WriterState writer;
    bool is_ending;
    Status writer_status;
    Error writer_error;
};

/* ---- sections ---- */

enum { PART_META = 0, PART_SOURCES = 1 };

CHECKED static Status put_piece(void *self, Str piece, Error *err) {
    (void)err;
    snapshot_put(self, piece);
    return STATUS_OK;
}

static void name_part(const Driver *driver, uint32_t part, Text *name) {
    if (part == PART_META)
        text_append(name, STR("meta"));
    else if (part < PART_SOURCES + driver->source_count)
        text_appendf(name, "source/%s", driver->source_nodes[part - PART_SOURCES]->id);
    else
        engine_section_name(driver->engine, part - PART_SOURCES - driver->source_count, name);
}

CHECKED static Status save_part(Driver *driver, uint32_t part, SnapshotBuilder *builder, Error *err) {
    if (part >= PART_SOURCES + driver->source_count)
        return engine_save_section(driver->engine, part - PART_SOURCES - driver->source_count,
                                   (StateSink){put_piece, builder}, err);
    text_reset(&driver->payload);
    if (part == PART_META) {
        Text identity = {0};
        plan_identity(driver->plan, &identity);
        bytes_put_str(&driver->payload, text_str(&identity));
        text_deinit(&identity);
    } else {
        Source *source = source_of(driver->source_nodes[part - PART_SOURCES]);
        source->class->save(source, &driver->payload);
    }
    snapshot_put(builder, text_str(&driver->payload));
    return STATUS_OK;
}

/* ---- the thread that writes ---- */

static void write_portions(void *self) {
    Driver *driver = self;
    Rolling *roll = driver->rolling;
    env_mutex_lock(driver->env, driver->mutex);
    for (;;) {
        while (roll->writer != WRITER_BUSY && !roll->is_ending)
            (void)env_cond_wait(driver->env, roll->work, driver->mutex, ENV_FOREVER);
        if (roll->writer != WRITER_BUSY)
            break;
        env_mutex_unlock(driver->env, driver->mutex);
        Error err = {0};
        Status st = snapshot_write_portion(driver->env, checkpoint_directory(driver->checkpoint),
                                           &roll->writing.file, &err);
        env_mutex_lock(driver->env, driver->mutex);
        roll->writer_status = st;
        roll->writer_error = err;
        roll->writer = WRITER_DONE;
        env_cond_broadcast(driver->env, driver->changed);
    }
    env_mutex_unlock(driver->env, driver->mutex);
}

CHECKED static Status begin_writing(Driver *driver, Error *err) {
    Rolling *roll = driver->rolling;
    Status st = STATUS_OK;
    env_mutex_lock(driver->env, driver->mutex);
    if (roll->writing.file.bytes.size == 0) { /* sections that hold nothing */
        roll->writer = WRITER_DONE;
        roll->writer_status = STATUS_OK;
    } else {
        if (!roll->thread)
            st = env_thread_start(driver->env, "leat-snapshot", write_portions, driver, &roll->thread, err);
        roll->writer = st == STATUS_OK ? WRITER_BUSY : WRITER_IDLE;
        env_cond_signal(driver->env, roll->work);
    }
    env_mutex_unlock(driver->env, driver->mutex);
    return st;
}

static void wait_for_writer(Driver *driver) {
    env_mutex_lock(driver->env, driver->mutex);
    while (driver->rolling->writer == WRITER_BUSY)
        (void)env_cond_wait(driver->env, driver->changed, driver->mutex, ENV_FOREVER);
    env_mutex_unlock(driver->env, driver->mutex);
}

static WriterState writer_state(Driver *driver) {
    env_mutex_lock(driver->env, driver->mutex);
    WriterState state = driver->rolling->writer;
    env_mutex_unlock(driver->env, driver->mutex);
    return state;
}

/* False: no write has ended. Else *status and *err tell how. */
static bool take_written(Driver *driver, Status *status, Error *err) {
    Rolling *roll = driver->rolling;
    env_mutex_lock(driver->env, driver->mutex);
    bool is_done = roll->writer == WRITER_DONE;
    if (is_done) {
        roll->writer = WRITER_IDLE;
        *status = roll->writer_status;
        if (*status != STATUS_OK && err)
            *err = roll->writer_error;
    }
    env_mutex_unlock(driver->env, driver->mutex);
    return is_done;
}

/* ---- written: recorded in the log ---- */

static void set_extent(Rolling *roll, uint64_t number, uint64_t size_bytes) {
    SnapshotExtent *last = roll->extent_count ? &roll->extents[roll->extent_count - 1] : NULL;
    ASSERT(!last || last->number <= number);
    if (!last || last->number < number) {
        if (roll->extent_count == roll->extent_capacity) {
            roll->extent_capacity = roll->extent_capacity ? 2 * roll->extent_capacity : 8;
            roll->extents = xrealloc(roll->extents, roll->extent_capacity * sizeof *roll->extents);
        }
        last = &roll->extents[roll->extent_count++];
    }
    *last = (SnapshotExtent){number, size_bytes};
}

/* Leaves out the files that no part stands in any more; the one being written stays. */
static void drop_extents(Rolling *roll) {
    size_t kept = 0;
    for (size_t i = 0; i < roll->extent_count; i++) {
        bool is_used = i + 1 == roll->extent_count;
        for (uint32_t p = 0; !is_used && p < roll->part_count; p++)
            is_used = roll->parts[p].number == roll->extents[i].number;
        if (is_used)
            roll->extents[kept++] = roll->extents[i];
        else
            roll->lost_extents = true;
    }
    roll->extent_count = kept;
}

static uint64_t oldest_save(const Rolling *roll) {
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < roll->part_count; i++)
        oldest = roll->parts[i].log_sequence < oldest ? roll->parts[i].log_sequence : oldest;
    return oldest;
}

CHECKED static Status append_record(Driver *driver, uint64_t batch_id, Error *err) {
    Rolling *roll = driver->rolling;
    roll->log_begin = oldest_save(roll) + 1;
    text_reset(&driver->payload);
    snapshot_frame_begin(&driver->payload, batch_id, roll->log_begin, (uint32_t)roll->extent_count);
    for (size_t i = 0; i < roll->extent_count; i++)
        snapshot_frame_add_extent(&driver->payload, roll->extents[i]);
    TRY(batch_log_append(driver->log, FRAME_SNAPSHOT, text_str(&driver->payload), &roll->record_sequence,
                         err));
    roll->has_record = true;
    log_debug("driver", "SNAPSHOT batch=%" PRIu64 " log_begin=%" PRIu64 " files=%zu", batch_id,
              roll->log_begin, roll->extent_count);
    return STATUS_OK;
}

CHECKED static Status settle(Driver *driver, Error *err) {
    Rolling *roll = driver->rolling;
    Portion *written = &roll->writing;
    Status st;
    if (!take_written(driver, &st, err))
        return STATUS_OK;
    TRY(error_context(err, st, "saving the state"));
    for (uint32_t i = 0; i < written->count; i++) {
        const Save *save = &written->saves[i];
        Part *part = &roll->parts[save->part];
        roll->image_bytes += save->size_bytes - part->size_bytes;
        part->log_sequence = save->log_sequence;
        part->number = save->number;
        part->size_bytes = save->size_bytes;
    }
    if (written->file.bytes.size)
        set_extent(roll, written->file.number, written->file.offset + written->file.bytes.size);
    drop_extents(roll);
    text_reset(&written->file.bytes); /* the memory is the next portion's */
    written->count = 0;
    return append_record(driver, written->batch_id, err);
}

/* ---- recorded: what is superfluous goes ---- */

CHECKED static Status cut(Driver *driver, Error *err) {
    Rolling *roll = driver->rolling;
    if (!roll->has_record || batch_log_durable_upto(driver->log) < roll->record_sequence) /* R3 */
        return STATUS_OK;
    uint64_t before = batch_log_size_bytes(driver->log);
    roll->has_record = false;
    TRY(batch_log_cut_before(driver->log, roll->log_begin, err));
    roll->log_bytes -= before - batch_log_size_bytes(driver->log);
    if (!roll->lost_extents)
        return STATUS_OK;
    roll->lost_extents = false;
    return snapshot_remove_others(driver->env, checkpoint_directory(driver->checkpoint), roll->extents,
                                  roll->extent_count, roll->extents[roll->extent_count - 1].number, err);
}

/* ---- saved: handed to the thread ---- */

CHECKED static Status hand_over(Driver *driver, Error *err) {
    Rolling *roll = driver->rolling;
    if (roll->filling.count == 0 || writer_state(driver) != WRITER_IDLE ||
        batch_log_durable_upto(driver->log) < roll->filling.log_sequence) /* R1 */
        return STATUS_OK;
    Portion empty = roll->writing;
    roll->writing = roll->filling;
    roll->filling = empty;
    snapshot_take_portion(roll->builder, &roll->writing.file);
    TRY(begin_writing(driver, err));
    if (driver->options.snapshot_waits)
        wait_for_writer(driver);
    return settle(driver, err);
}

/* ---- saving ---- */

/* R4, in bytes of log. */
static uint64_t round_log_bytes(const Driver *driver) {
    if (driver->options.snapshot_log_bytes)
        return driver->options.snapshot_log_bytes;
    uint64_t image_bytes = driver->rolling->image_bytes;
    return image_bytes > ROUND_LOG_BYTES_MIN ? image_bytes : ROUND_LOG_BYTES_MIN;
}

/* What the log has grown by is credit for sections. A log that is too long although the credit was spent is
 * that of many short runs: then a section is due in each step. */
static uint64_t earn_credit(Driver *driver) {
    Rolling *roll = driver->rolling;
    uint64_t now = batch_log_size_bytes(driver->log), grown = now - roll->log_bytes;
    uint64_t round = round_log_bytes(driver);
    roll->log_bytes = now;
    roll->credit += (double)grown * roll->part_count / (double)round;
    if (roll->credit > roll->part_count)
        roll->credit = roll->part_count;
    if (roll->credit < 1 && now > round + round / 2 + LOG_SLACK_BYTES)
        roll->credit = 1;
    return grown;
}

static void add_save(Portion *portion, Save save) {
    if (portion->count == portion->capacity) {
        portion->capacity = portion->capacity ? 2 * portion->capacity : 16;
        portion->saves = xrealloc(portion->saves, portion->capacity * sizeof *portion->saves);
    }
    portion->saves[portion->count++] = save;
}

CHECKED static Status save_next(Driver *driver, uint64_t batch_id, Error *err) {
    Rolling *roll = driver->rolling;
    uint32_t part = roll->turns[roll->next].part;
    uint64_t before = snapshot_builder_size_bytes(roll->builder);
    Save save = {.part = part, .log_sequence = batch_log_last_sequence(driver->log)};
    snapshot_begin_section(roll->builder, text_str(&roll->parts[part].name), batch_id, save.log_sequence);
    Status st = save_part(driver, part, roll->builder, err);
    if (snapshot_end_section(roll->builder)) {
        save.number = roll->number;
        save.size_bytes = snapshot_builder_size_bytes(roll->builder) - before;
        /* One that holds nothing is free: after a start nobody knows when that was last seen, and those come
         * first; short runs would come no further. */
        roll->credit -= 1;
    }
    TRY(error_context(err, st, "saving section '%s'", roll->parts[part].name.data));
    add_save(&roll->filling, save);
    roll->filling.batch_id = batch_id;
    roll->filling.log_sequence = save.log_sequence;
    roll->next++;
    return STATUS_OK;
}

/* False: the round is through, and its last sections must be handed over before the next one begins. */
static bool begin_round(Rolling *roll) {
    if (roll->next < roll->part_count && roll->builder)
        return true;
    if (roll->filling.count > 0)
        return false;
    snapshot_builder_destroy(roll->builder);
    roll->builder = snapshot_builder_create(++roll->number);
    roll->next = 0;
    return true;
}

/* Only when no batch is pending: R1. */
CHECKED static Status fill(Driver *driver, uint64_t batch_id, Error *err) {
    Rolling *roll = driver->rolling;
    uint64_t grown = earn_credit(driver), saved_bytes = 0;
    uint64_t saved_bytes_max = grown > STEP_BYTES_MIN ? grown : STEP_BYTES_MIN;
    while (driver->pending_count == 0 && roll->credit >= 1 && saved_bytes < saved_bytes_max &&
           (!roll->builder || snapshot_builder_size_bytes(roll->builder) < PORTION_BYTES_MAX) &&
           begin_round(roll)) {
        uint64_t before = snapshot_builder_size_bytes(roll->builder);
        TRY(save_next(driver, batch_id, err));
        saved_bytes += snapshot_builder_size_bytes(roll->builder) - before;
    }
    return STATUS_OK;
}

/* ---- steps ---- */

/* Frames that R1 and R3 wait for are synced with the next batch that has something to lose, or when nothing
 * has come for a while. */
static void owe_sync(Driver *driver) {
    Rolling *roll = driver->rolling;
    if (driver->owes_sync || (roll->filling.count == 0 && !roll->has_record))
        return;
    driver->owes_sync = true;
    driver->owes_sync_since_ms = driver_batch_time_ms(driver, roll->batch_id);
}

CHECKED static Status release_blocks(Driver *driver, Error *err) {
    uint64_t oldest = driver_oldest_segment(driver);
    for (const PendingBatch *p = driver->pending; p; p = p->next)
        oldest = p->oldest_segment < oldest ? p->oldest_segment : oldest;
    return block_log_release_before(driver->block_log, oldest, err);
}

Status rolling_step(Driver *driver, uint64_t batch_id, Error *err) {
    driver->rolling->batch_id = batch_id;
    TRY(settle(driver, err));
    TRY(cut(driver, err));
    TRY(hand_over(driver, err));
    TRY(fill(driver, batch_id, err));
    owe_sync(driver);
    TRY(release_blocks(driver, err));
    return batch_log_prepare(driver->log, err);
}

uint64_t rolling_log_begin(const Driver *driver) {
    return driver->rolling->log_begin;
}

uint64_t rolling_source_sequence(const Driver *driver, uint32_t i) {
    return driver->rolling->parts[PART_SOURCES + i].log_sequence;
}

static bool is_owing(const Rolling *roll) {
    return roll->filling.count > 0 || roll->writing.count > 0 || roll->has_record;
}

bool rolling_wants_sync(const Driver *driver) {
    const Rolling *roll = driver->rolling;
    return roll && (roll->has_record || (roll->filling.count > 0 && roll->writing.count == 0));
}

bool rolling_has_written(const Driver *driver) {
    return driver->rolling && driver->rolling->writer == WRITER_DONE;
}

Status rolling_idle(Driver *driver, Error *err) {
    if (writer_state(driver) != WRITER_DONE)
        TRY(driver_sync_logs(driver, err));
    TRY(settle(driver, err));
    TRY(cut(driver, err));
    TRY(hand_over(driver, err));
    owe_sync(driver);
    return STATUS_OK;
}

Status rolling_finish(Driver *driver, Error *err) {
    while (is_owing(driver->rolling)) {
        wait_for_writer(driver);
        TRY(rolling_idle(driver, err));
    }
    return STATUS_OK;
}

/* ---- beginning and end ---- */

static int compare_turns(const void *a, const void *b) {
    const Turn *x = a, *y = b;
    if (x->log_sequence != y->log_sequence)
        return x->log_sequence < y->log_sequence ? -1 : 1;
    return x->part < y->part ? -1 : x->part > y->part;
}

void rolling_begin(Driver *driver, const Saves *saves, uint64_t newest_file) {
    Rolling *roll = driver->rolling = xcalloc(1, sizeof *roll);
    roll->work = env_cond_create(driver->env);
    roll->part_count = PART_SOURCES + driver->source_count + engine_section_count(driver->engine);
    roll->parts = xcalloc(roll->part_count, sizeof *roll->parts);
    roll->turns = xcalloc(roll->part_count, sizeof *roll->turns);
    for (uint32_t i = 0; i < roll->part_count; i++) {
        Part *part = &roll->parts[i];
        name_part(driver, i, &part->name);
        const SnapshotSection *section = saves_find(saves, text_str(&part->name));
        part->log_sequence = section ? section->log_sequence : saves_log_begin(saves) - 1;
        part->number = section ? section->number : 0;
        part->size_bytes = section ? section->size_bytes : 0;
        roll->image_bytes += part->size_bytes;
        roll->turns[i] = (Turn){part->log_sequence, i};
    }
    qsort(roll->turns, roll->part_count, sizeof *roll->turns, compare_turns);
    SnapshotExtent extent;
    for (SnapshotFrame walk = saves->frame; snapshot_frame_next_extent(&walk, &extent);)
        set_extent(roll, extent.number, extent.size_bytes);
    roll->log_begin = saves_log_begin(saves);
    roll->number = newest_file;
    roll->log_bytes = batch_log_size_bytes(driver->log);
}

void rolling_end(Driver *driver) {
    Rolling *roll = driver->rolling;
    if (!roll)
        return;
    if (roll->thread) {
        env_mutex_lock(driver->env, driver->mutex);
        roll->is_ending = true;
        env_cond_signal(driver->env, roll->work);
        env_mutex_unlock(driver->env, driver->mutex);
        env_thread_join(driver->env, roll->thread);
    }
    for (uint32_t i = 0; i < roll->part_count; i++)
        text_deinit(&roll->parts[i].name);
    text_deinit(&roll->writing.file.bytes);
    text_deinit(&roll->filling.file.bytes);
    snapshot_builder_destroy(roll->builder);
    env_cond_destroy(driver->env, roll->work);
    free(roll->writing.saves);
    free(roll->filling.saves);
    free(roll->extents);
    free(roll->turns);
    free(roll->parts);
    free(roll);
    driver->rolling = NULL;
}
