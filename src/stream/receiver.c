/* receiver.c - see receiver.h.
 *
 *   connector --room, received--> current buffer --seal--> queue --plan--> batch --done--> pool
 *                                     |                                      ^
 *                                     +---- plan: the whole lines so far ----+
 *
 * The current buffer holds [begin, lines_end) whole lines, [lines_end, size) the begin of one; behind size
 * the connector may be writing (it was lent by receiver_room).
 *
 *   V1  Only the connector's thread moves or seals the current buffer; the driver's moves `begin` on (plan
 *       copies out what it takes), and may seal only a buffer that receiver_room would refuse: that one is
 *       not lent.
 *   V2  A line within the limit never leaves the current buffer in parts; one over the limit is dropped as
 *       soon as it is: is_skipping until it ends. So memory does not depend on the length of lines.
 *   V3  skip_lf: the CR that ended a line has left the buffer; a LF as the next byte belongs to it. Then
 *       lines_end == size.
 *   V4  Blocks of the stream are numbered; a block's flags are the number (modulo 256) of inline entries
 *       before it, and an inline entry holds the number of the block before it. So recovery sees when an
 *       inline entry is missing in front of a block (its PLAN was not durable), and drops what is behind the
 *       hole: R1.
 *   V5  Two buffers, the current and a spare one, are the receiver's from create to destroy (but while a
 *       batch has them): one batch at a time always fits, whatever the others take of the budget.
 *
 * The plan, entry by entry:
 *     u8 1  block   BlockRef (block_ref_encode)
 *     u8 2  inline  u8 inline entries so far (V4), varint number of the block before, varint size, bytes
 *     u8 3  memory  varint number, varint size: without a block log; has a meaning in this process only
 * What save gives: u8 version 1, varint number of the last planned block, u8 inline entries so far.
 */
#include "stream/receiver.h"

#include "base/bytes.h"
#include "base/log.h"
#include "stream/line_limit.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    BLOCK_SIZE = 1 << 20,
    ROOM_SIZE_MIN = 4096,
    LARGE_ROOM_SIZE_MAX = 256 << 10, /* of a buffer that grew: what comes behind its line fits into a block */
    INLINE_SIZE_MAX = 64 << 10,
    SPLIT_SIZE_MAX = 8 << 20, /* small enough to share out among workers */
    PAGE_SIZE = 4096,
    SAVE_VERSION = 1,
};

typedef enum EntryKind { ENTRY_BLOCK = 1, ENTRY_INLINE = 2, ENTRY_MEMORY = 3 } EntryKind;

/* Whole lines that were taken in. Data begins at BLOCK_HEADER_SIZE of the buffer. */
typedef struct Entry {
    EntryKind kind;
    BlockRef ref;   /* INLINE: number, flags (V4), size_bytes; MEMORY: number, size_bytes */
    Buffer *buffer; /* shared; NULL: it stands in the log, or in the plan's bytes */
} Entry;

typedef struct EntryList {
    Entry *entries;
    uint32_t count, capacity;
} EntryList;

typedef struct Batch {
    struct Batch *next;
    int64_t time_ms;
    bool is_live; /* planned by this process: its buffers are here */
    EntryList list;
} Batch;

struct Receiver {
    ReceiverOptions options;
    Env *env;
    Budget *budget;
    BlockLog *log; /* or NULL */
    uint64_t line_size_bytes_max;
    EnvMutex *mutex; /* guards all below */

    Buffer *current;
    size_t begin, lines_end;
    bool skip_lf, is_skipping;
    uint64_t connection;       /* counts from 1 */
    uint64_t connection_bytes; /* received in it */

    EntryList queue; /* taken in, not planned yet */
    Batch *batches;  /* planned, not done, oldest first */
    Buffer **pool;   /* blocks to use again */
    uint32_t pool_count, pool_capacity, pool_count_max;

    uint64_t number, planned_number;
    uint8_t inline_count; /* V4 */
    bool is_refused;      /* the last receiver_room gave nothing */
    Status failure;       /* of the block log; stays */
    Error failure_error;
};

/* ---- entries ---- */

static void entry_add(EntryList *list, Entry entry) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 4;
        list->entries = xrealloc(list->entries, list->capacity * sizeof *list->entries);
    }
    list->entries[list->count++] = entry;
}

static void entry_list_deinit(EntryList *list) {
    for (uint32_t i = 0; i < list->count; i++)
        buffer_release(list->entries[i].buffer);
    free(list->entries);
    *list = (EntryList){0};
}

static void entry_encode(const Entry *entry, Text *out) {
    bytes_put_u8(out, (uint8_t)entry->kind);
    switch (entry->kind) {
    case ENTRY_BLOCK:
        block_ref_encode(&entry->ref, out);
        break;
    case ENTRY_INLINE:
        bytes_put_u8(out, entry->ref.flags);
        bytes_put_varint(out, entry->ref.number);
        bytes_put_str(out, str_slice(entry->buffer->data + BLOCK_HEADER_SIZE, entry->ref.size_bytes));
        break;
    case ENTRY_MEMORY:
        bytes_put_varint(out, entry->ref.number);
        bytes_put_varint(out, entry->ref.size_bytes);
        break;
    }
}

/* Moves *plan behind the entry. *inlined borrows from the plan. */
CHECKED static Status entry_decode(Str *plan, Entry *entry, Str *inlined, Error *err) {
    Reader r = reader_of(*plan);
    *entry = (Entry){.kind = (EntryKind)reader_u8(&r)};
    *inlined = (Str){0};
    switch (entry->kind) {
    case ENTRY_BLOCK: {
        Str rest = {plan->data + r.offset, plan->size - r.offset};
        TRY(block_ref_decode(&rest, &entry->ref, err));
        *plan = rest;
        return STATUS_OK;
    }
    case ENTRY_INLINE:
        entry->ref.flags = reader_u8(&r);
        entry->ref.number = reader_varint(&r);
        *inlined = reader_str(&r);
        if (inlined->size > UINT32_MAX)
            r.failed = true;
        entry->ref.size_bytes = (uint32_t)inlined->size;
        break;
    case ENTRY_MEMORY: {
        entry->ref.number = reader_varint(&r);
        uint64_t size_bytes = reader_varint(&r);
        if (size_bytes > UINT32_MAX)
            r.failed = true;
        entry->ref.size_bytes = (uint32_t)size_bytes;
        break;
    }
    default:
        r.failed = true;
    }
    if (r.failed)
        return error_set(err, STATUS_CORRUPT, "plan of a receiver: malformed entry");
    *plan = (Str){plan->data + r.offset, plan->size - r.offset};
    return STATUS_OK;
}

/* ---- buffers ---- */

/* A block, or NULL when the budget has none. Who needs more than the two of V5 will fill it: measured, a tenth
 * of all time went into faults for single pages of it. */
static Buffer *block_take(Receiver *receiver) {
    if (receiver->pool_count > 0)
        return receiver->pool[--receiver->pool_count];
    Buffer *buffer = NULL;
    if (buffer_create(BLOCK_SIZE, receiver->budget, receiver->options.description, &buffer, NULL) !=
        STATUS_OK)
        return NULL;
    memory_populate(buffer->data, buffer->capacity);
    return buffer;
}

/* For what rides in a plan: as small as it is, or the spare block. */
static Buffer *inline_take(Receiver *receiver, size_t size) {
    Buffer *buffer = NULL;
    Status st = buffer_create(BLOCK_HEADER_SIZE + size, receiver->budget, receiver->options.description,
                              &buffer, NULL);
    if (st != STATUS_OK && receiver->pool_count > 0)
        return receiver->pool[--receiver->pool_count];
    return buffer;
}

/* Takes the reference. What somebody still looks at cannot be written again. */
static void block_give(Receiver *receiver, Buffer *buffer) {
    if (!buffer)
        return;
    if (buffer->capacity != BLOCK_SIZE || buffer_is_shared(buffer) ||
        receiver->pool_count >= receiver->pool_count_max) {
        buffer_release(buffer);
        return;
    }
    if (receiver->pool_count == receiver->pool_capacity) {
        receiver->pool_capacity = receiver->pool_capacity ? 2 * receiver->pool_capacity : 4;
        receiver->pool = xrealloc(receiver->pool, receiver->pool_capacity * sizeof *receiver->pool);
    }
    buffer->size = 0;
    receiver->pool[receiver->pool_count++] = buffer;
}

static void current_set(Receiver *receiver, Buffer *buffer) {
    receiver->current = buffer;
    receiver->begin = receiver->lines_end = buffer->size = BLOCK_HEADER_SIZE;
}

/* One byte is kept free for the ending of a last line that has none. */
static size_t current_room(const Receiver *receiver) {
    return receiver->current->capacity - receiver->current->size - 1;
}

static bool current_is_large(const Receiver *receiver) {
    return receiver->current->capacity > BLOCK_SIZE;
}

/* True: nothing may be written to the current buffer before it was sealed or has grown (V1). A large one goes
 * as soon as the line it grew for is there, or was left out. */
static bool current_is_used_up(const Receiver *receiver) {
    if (current_room(receiver) < ROOM_SIZE_MIN)
        return true;
    return current_is_large(receiver) &&
           (receiver->lines_end > receiver->begin || receiver->current->size == receiver->begin);
}

/* Moves what plans left to the front. `written`: bytes behind size that were received and not counted yet. */
static void current_to_front(Receiver *receiver, size_t written) {
    Buffer *current = receiver->current;
    size_t moved = receiver->begin - BLOCK_HEADER_SIZE;
    if (moved == 0)
        return;
    memmove(current->data + BLOCK_HEADER_SIZE, current->data + receiver->begin,
            current->size - receiver->begin + written);
    current->size -= moved;
    receiver->lines_end -= moved;
    receiver->begin = BLOCK_HEADER_SIZE;
}

/* Takes `buffer`, whole lines up to its size, and puts it at the end of the list. On failure it
 * is still the caller's. */
CHECKED static Status submit(Receiver *receiver, Buffer *buffer, EntryList *list) {
    Entry entry = {.kind = receiver->log ? ENTRY_BLOCK : ENTRY_MEMORY,
                   .ref = {.stream_id = receiver->options.stream_id,
                           .number = receiver->number + 1,
                           .size_bytes = (uint32_t)(buffer->size - BLOCK_HEADER_SIZE)},
                   .buffer = buffer};
    if (receiver->log) {
        Status st = block_log_submit(receiver->log, receiver->options.stream_id, entry.ref.number,
                                     receiver->inline_count, buffer, &entry.ref, &receiver->failure_error);
        if (st != STATUS_OK) {
            receiver->failure =
                error_context(&receiver->failure_error, st, "%s", receiver->options.description);
            return st;
        }
    }
    receiver->number++;
    entry_add(list, entry);
    return STATUS_OK;
}

static void report_left_out(const Receiver *receiver, uint64_t position, const char *why, uint64_t limit) {
    log_warn("receiver",
             "LINE-LEFT-OUT %s: connection %" PRIu64 ": the line that begins at byte %" PRIu64 " %s %" PRIu64
             " bytes",
             receiver->options.description, receiver->connection, position, why, limit);
}

/* The whole lines become a block, the rest goes on in another buffer. False: there is none now. */
static bool current_seal(Receiver *receiver) {
    Buffer *sealed = receiver->current, *next = block_take(receiver);
    if (!next)
        return false;
    size_t lines_end = receiver->lines_end, size = sealed->size, rest = size - lines_end;
    /* Before the log gets it: it fills up the page behind the data. */
    memcpy(next->data + BLOCK_HEADER_SIZE, sealed->data + lines_end, rest);
    sealed->size = lines_end;
    if (submit(receiver, sealed, &receiver->queue) != STATUS_OK) {
        sealed->size = size; /* nothing is taken in any more */
        block_give(receiver, next);
        return false;
    }
    if (rest == 0 && sealed->data[lines_end - 1] == '\r')
        receiver->skip_lf = true; /* V3 */
    current_set(receiver, next);
    next->size += rest;
    return true;
}

/* The buffer is one unfinished line. False: there is no larger one now. */
static bool current_grow(Receiver *receiver) {
    Buffer *current = receiver->current, *grown = NULL;
    uint64_t enough = receiver->line_size_bytes_max < UINT32_MAX ? receiver->line_size_bytes_max : UINT32_MAX;
    enough = (enough + BLOCK_HEADER_SIZE + 1 + ROOM_SIZE_MIN + PAGE_SIZE) / PAGE_SIZE * PAGE_SIZE;
    uint64_t doubled = 2 * (uint64_t)current->capacity, capacity = doubled < enough ? doubled : enough;
    if (buffer_create(capacity, receiver->budget, receiver->options.description, &grown, NULL) == STATUS_OK) {
        size_t size = current->size;
        memcpy(grown->data + BLOCK_HEADER_SIZE, current->data + BLOCK_HEADER_SIZE, size - BLOCK_HEADER_SIZE);
        current_set(receiver, grown);
        grown->size = size;
        block_give(receiver, current);
        return true;
    }
    if (receiver->queue.count > 0 || receiver->batches)
        return false; /* memory comes back */
    report_left_out(receiver, receiver->connection_bytes - (current->size - receiver->begin),
                    "does not fit into the memory of receivers: it has more than",
                    current->size - receiver->begin);
    receiver->is_skipping = true;
    current->size = receiver->begin;
    return true;
}

/* After this the current buffer may be written to, if it is not used up all the same: then there is no
 * memory, or the block log has failed. */
static void make_room(Receiver *receiver) {
    bool goes_on = true;
    while (goes_on && receiver->failure == STATUS_OK && current_is_used_up(receiver)) {
        current_to_front(receiver, 0);
        if (!current_is_used_up(receiver))
            return;
        if (receiver->lines_end > receiver->begin) {
            goes_on = current_seal(receiver);
        } else if (receiver->current->size == receiver->begin) { /* large, and its line was left out */
            Buffer *large = receiver->current, *next = block_take(receiver);
            goes_on = next != NULL;
            if (next) {
                current_set(receiver, next);
                buffer_release(large);
            }
        } else {
            goes_on = current_grow(receiver);
        }
    }
}

/* Room that was refused may be there now. The caller calls on_room, without the mutex. */
static bool has_room_again(Receiver *receiver) {
    if (!receiver->is_refused)
        return false;
    make_room(receiver);
    if (current_is_used_up(receiver))
        return false;
    receiver->is_refused = false;
    return true;
}

static void unlock_and_tell(Receiver *receiver, bool has_room) {
    env_mutex_unlock(receiver->env, receiver->mutex);
    if (has_room && receiver->options.on_room)
        receiver->options.on_room(receiver->options.self);
}

CHECKED static Status failure_of(const Receiver *receiver, Error *err) {
    if (receiver->failure != STATUS_OK && err)
        *err = receiver->failure_error;
    return receiver->failure;
}

/* ---- taking in ---- */

Status receiver_create(ReceiverOptions options, Receiver **out, Error *err) {
    const SourceServices *services = options.services;
    Buffer *current = NULL, *spare = NULL;
    *out = NULL;
    TRY(buffer_create(BLOCK_SIZE, services->budget, options.description, &current, err));
    Status st = buffer_create(BLOCK_SIZE, services->budget, options.description, &spare, err);
    if (st != STATUS_OK) {
        buffer_release(current);
        return st;
    }
    Receiver *receiver = xcalloc(1, sizeof *receiver);
    *receiver = (Receiver){.options = options,
                           .env = services->env,
                           .budget = services->budget,
                           .log = services->block_log,
                           .line_size_bytes_max = services->line_size_bytes_max,
                           .mutex = env_mutex_create(services->env),
                           .connection = 1,
                           .pool_count_max = 1};
    current_set(receiver, current);
    block_give(receiver, spare); /* V5 */
    *out = receiver;
    return STATUS_OK;
}

static void batch_destroy(Batch *batch) {
    entry_list_deinit(&batch->list);
    free(batch);
}

void receiver_destroy(Receiver *receiver) {
    if (!receiver)
        return;
    while (receiver->batches) {
        Batch *batch = receiver->batches;
        receiver->batches = batch->next;
        batch_destroy(batch);
    }
    entry_list_deinit(&receiver->queue);
    while (receiver->pool_count > 0)
        buffer_release(receiver->pool[--receiver->pool_count]);
    free(receiver->pool);
    buffer_release(receiver->current);
    env_mutex_destroy(receiver->env, receiver->mutex);
    free(receiver);
}

bool receiver_room(Receiver *receiver, char **data, size_t *size) {
    env_mutex_lock(receiver->env, receiver->mutex);
    current_to_front(receiver, 0);
    make_room(receiver);
    bool has_room = receiver->failure == STATUS_OK && !current_is_used_up(receiver);
    receiver->is_refused = !has_room;
    if (has_room) {
        *data = receiver->current->data + receiver->current->size;
        *size = current_room(receiver);
        if (current_is_large(receiver) && *size > LARGE_ROOM_SIZE_MAX)
            *size = LARGE_ROOM_SIZE_MAX;
    }
    env_mutex_unlock(receiver->env, receiver->mutex);
    return has_room;
}

/* How many of the new bytes [from, end) belong to what is gone already: a LF behind a CR, the rest of a line
 * over the limit. */
static size_t count_dropped(Receiver *receiver, const char *data, size_t from, size_t end) {
    size_t at = from;
    if (receiver->skip_lf && at < end) {
        receiver->skip_lf = false;
        at += data[at] == '\n';
    }
    if (receiver->is_skipping) {
        at = line_end_first(data, at, end);
        if (at == end)
            return end - from;
        receiver->is_skipping = false;
        receiver->skip_lf = data[at] == '\r' && at + 1 == end;
        at = line_end_behind(data, at, end);
    }
    return at - from;
}

/* Removes the lines over the limit from [lines_end, size). R4, V2 */
static void leave_out_long_lines(Receiver *receiver) {
    char *data = receiver->current->data;
    size_t end = receiver->current->size, in = receiver->lines_end, out = in, line_begin, line_end;
    bool is_ended;
    while (line_over_limit(data, in, end, receiver->line_size_bytes_max, &line_begin, &line_end, &is_ended)) {
        report_left_out(receiver, receiver->connection_bytes - (end - line_begin), "is longer than max-line,",
                        receiver->line_size_bytes_max);
        memmove(data + out, data + in, line_begin - in);
        out += line_begin - in;
        in = line_end;
        receiver->is_skipping = !is_ended;
        receiver->skip_lf = is_ended && line_end == end && data[end - 1] == '\r';
        /* A LF that follows now must not join the CR before the line that went. */
        if (out > receiver->begin && data[out - 1] == '\r')
            data[out - 1] = '\n';
    }
    memmove(data + out, data + in, end - in);
    receiver->current->size = out + (end - in);
}

Status receiver_received(Receiver *receiver, size_t size, Error *err) {
    env_mutex_lock(receiver->env, receiver->mutex);
    Buffer *current = receiver->current;
    current_to_front(receiver, size);
    size_t from = current->size, end = from + size;
    ASSERT(end < current->capacity);
    receiver->connection_bytes += size;
    size_t dropped = count_dropped(receiver, current->data, from, end);
    memmove(current->data + from, current->data + from + dropped, size - dropped);
    current->size = end - dropped;
    if (current->size - receiver->lines_end > receiver->line_size_bytes_max) {
        leave_out_long_lines(receiver);
        from = receiver->lines_end;
    }
    size_t lines_end = line_end_last(current->data, from, current->size);
    if (lines_end > from)
        receiver->lines_end = lines_end;
    make_room(receiver);
    Status st = failure_of(receiver, err);
    env_mutex_unlock(receiver->env, receiver->mutex);
    return st;
}

Status receiver_end_of_connection(Receiver *receiver, Error *err) {
    env_mutex_lock(receiver->env, receiver->mutex);
    Buffer *current = receiver->current;
    if (current->size > receiver->lines_end) {
        current->data[current->size++] = '\n'; /* current_room keeps a byte for it */
        receiver->lines_end = current->size;
    } else if (current->size > receiver->begin) {
        /* Was a LF, or a CR that the next connection must not join. */
        current->data[current->size - 1] = '\n';
    }
    receiver->skip_lf = receiver->is_skipping = false;
    receiver->connection++;
    receiver->connection_bytes = 0;
    make_room(receiver);
    Status st = failure_of(receiver, err);
    env_mutex_unlock(receiver->env, receiver->mutex);
    return st;
}

/* ---- planning ---- */

static Batch *batch_add(Receiver *receiver, int64_t time_ms, bool is_live) {
    Batch *batch = xcalloc(1, sizeof *batch), **last = &receiver->batches;
    batch->time_ms = time_ms;
    batch->is_live = is_live;
    while (*last)
        last = &(*last)->next;
    *last = batch;
    return batch;
}

static Batch *batch_find(Receiver *receiver, int64_t time_ms) {
    Batch *batch = receiver->batches;
    while (batch && batch->time_ms != time_ms)
        batch = batch->next;
    return batch;
}

/* The whole lines of the current buffer, copied: the connector may be writing behind them. Without memory
 * they stay for the next batch. */
CHECKED static Status plan_current(Receiver *receiver, EntryList *list) {
    size_t size = receiver->lines_end - receiver->begin;
    if (size == 0)
        return STATUS_OK;
    if (size > BLOCK_SIZE - BLOCK_HEADER_SIZE)
        return STATUS_OK; /* a large buffer that could not be sealed */
    bool is_inline = size <= INLINE_SIZE_MAX;
    Buffer *buffer = is_inline ? inline_take(receiver, size) : block_take(receiver);
    if (!buffer)
        return STATUS_OK;
    ASSERT(size <= buffer->capacity - BLOCK_HEADER_SIZE);
    memcpy(buffer->data + BLOCK_HEADER_SIZE, receiver->current->data + receiver->begin, size);
    buffer->size = BLOCK_HEADER_SIZE + size;
    if (is_inline) {
        receiver->inline_count++;
        entry_add(list, (Entry){.kind = ENTRY_INLINE,
                                .ref = {.number = receiver->number,
                                        .flags = receiver->inline_count,
                                        .size_bytes = (uint32_t)size},
                                .buffer = buffer});
    } else if (submit(receiver, buffer, list) != STATUS_OK) {
        block_give(receiver, buffer);
        return receiver->failure;
    }
    if (receiver->lines_end == receiver->current->size &&
        receiver->current->data[receiver->lines_end - 1] == '\r')
        receiver->skip_lf = true; /* V3 */
    receiver->begin = receiver->lines_end;
    return STATUS_OK;
}

/* As many blocks are kept to be used again as a batch takes; what is above goes back to the budget. */
static void pool_trim(Receiver *receiver, const EntryList *planned) {
    receiver->pool_count_max = 1 + planned->count;
    while (receiver->pool_count > receiver->pool_count_max)
        buffer_release(receiver->pool[--receiver->pool_count]);
}

Status receiver_plan(Receiver *receiver, int64_t batch_time_ms, Text *plan, Error *err) {
    env_mutex_lock(receiver->env, receiver->mutex);
    if (current_is_used_up(receiver))
        make_room(receiver);
    Status st = receiver->failure;
    if (st == STATUS_OK)
        st = plan_current(receiver, &receiver->queue);
    if (st == STATUS_OK) {
        EntryList planned = receiver->queue;
        receiver->queue = (EntryList){0};
        for (uint32_t i = 0; i < planned.count; i++)
            entry_encode(&planned.entries[i], plan);
        pool_trim(receiver, &planned);
        if (planned.count > 0) {
            batch_add(receiver, batch_time_ms, true)->list = planned;
            receiver->planned_number = receiver->number;
        }
    }
    bool has_room = has_room_again(receiver);
    st = failure_of(receiver, err);
    unlock_and_tell(receiver, has_room);
    return st;
}

void receiver_done(Receiver *receiver, int64_t batch_time_ms) {
    env_mutex_lock(receiver->env, receiver->mutex);
    Batch **link = &receiver->batches;
    while (*link && (*link)->time_ms != batch_time_ms)
        link = &(*link)->next;
    Batch *batch = *link;
    if (batch) {
        *link = batch->next;
        for (uint32_t i = 0; i < batch->list.count; i++) {
            block_give(receiver, batch->list.entries[i].buffer);
            batch->list.entries[i].buffer = NULL;
        }
        batch_destroy(batch);
    }
    unlock_and_tell(receiver, has_room_again(receiver));
}

bool receiver_has_more(Receiver *receiver) {
    env_mutex_lock(receiver->env, receiver->mutex);
    bool has_more = receiver->queue.count > 0 || receiver->lines_end > receiver->begin;
    env_mutex_unlock(receiver->env, receiver->mutex);
    return has_more;
}

/* ---- reading ---- */

/* Lines of some entries, one after the other. For hostile runs an entry may be shared out among several
 * splits by its bytes: part `index` of `count`; a line belongs to the part in which it begins. */
typedef struct Part {
    Entry entry; /* buffer: shared, or NULL */
    uint32_t index, count;
} Part;

typedef struct BlockSplit {
    Split base;
    BlockLog *log;
    Part *parts;
    uint32_t part_count, part_capacity, next;
    Buffer *piece_buffer; /* of the piece that was given last */
} BlockSplit;

CHECKED static Status block_split_open(Split *base, Budget *budget, Error *err) {
    BlockSplit *split = (BlockSplit *)base;
    (void)budget; /* the buffers are charged to the receivers' */
    (void)err;
    split->next = 0;
    return STATUS_OK;
}

/* Where the first line begins that begins at or behind `at`. */
static size_t first_line_from(const char *data, size_t at, size_t begin, size_t end) {
    if (at <= begin)
        return begin;
    size_t ending = line_end_first(data, at - 1, end);
    return ending == end ? end : line_end_behind(data, ending, end);
}

CHECKED static Status block_split_next_piece(Split *base, TextPiece *piece, Error *err) {
    BlockSplit *split = (BlockSplit *)base;
    *piece = (TextPiece){0};
    while (split->next < split->part_count) {
        const Part *part = &split->parts[split->next];
        buffer_release(split->piece_buffer);
        split->piece_buffer = NULL;
        if (part->entry.buffer)
            split->piece_buffer = buffer_retain(part->entry.buffer);
        else
            TRY(block_log_read(split->log, &part->entry.ref, &split->piece_buffer, err));
        split->next++;
        const char *data = split->piece_buffer->data;
        uint64_t size = part->entry.ref.size_bytes;
        size_t begin = BLOCK_HEADER_SIZE, end = begin + size;
        size_t part_begin = first_line_from(data, begin + size * part->index / part->count, begin, end);
        size_t part_end = first_line_from(data, begin + size * (part->index + 1) / part->count, begin, end);
        if (part->index + 1 == part->count)
            part_end = end;
        if (part_begin < part_end) {
            *piece = (TextPiece){.buffer = split->piece_buffer, .begin = part_begin, .end = part_end};
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}

static void block_split_close(Split *base) {
    BlockSplit *split = (BlockSplit *)base;
    buffer_release(split->piece_buffer);
    split->piece_buffer = NULL;
}

static void block_split_destroy(Split *base) {
    BlockSplit *split = (BlockSplit *)base;
    for (uint32_t i = 0; i < split->part_count; i++)
        buffer_release(split->parts[i].entry.buffer);
    free(split->parts);
    free(split);
}

static const SplitClass block_split_class = {.open = block_split_open,
                                             .next_piece = block_split_next_piece,
                                             .close = block_split_close,
                                             .destroy = block_split_destroy};

/* Shares the entry's buffer. */
static void split_add_part(BlockSplit *split, const Entry *entry, uint32_t index, uint32_t count) {
    if (split->part_count == split->part_capacity) {
        split->part_capacity = split->part_capacity ? 2 * split->part_capacity : 1;
        split->parts = xrealloc(split->parts, split->part_capacity * sizeof *split->parts);
    }
    split->parts[split->part_count++] = (Part){*entry, index, count};
    if (entry->buffer)
        buffer_retain(entry->buffer);
    split->base.size_bytes += entry->ref.size_bytes / count;
}

/* S2: only the sizes of the entries decide, so a batch that is run again has the same splits. */
static void make_splits(Receiver *receiver, const EntryList *list, SplitList *splits) {
    uint32_t wanted = receiver->options.services->split_count;
    uint32_t part_count = wanted && list->count ? (wanted + list->count - 1) / list->count : 1;
    BlockSplit *split = NULL;
    uint64_t made = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const Entry *entry = &list->entries[i];
        for (uint32_t part = 0; part < part_count; part++) {
            /* With `wanted`, split k of those begins with parts k * all / wanted. */
            uint64_t all = (uint64_t)list->count * part_count, at = (uint64_t)i * part_count + part;
            bool is_next = wanted ? made <= at * (wanted < all ? wanted : all) / all
                                  : !split || split->base.size_bytes + entry->ref.size_bytes > SPLIT_SIZE_MAX;
            if (is_next) {
                split = xcalloc(1, sizeof *split);
                *split = (BlockSplit){.base.class = &block_split_class, .log = receiver->log};
                split_list_add(splits, &split->base);
                made++;
            }
            split_add_part(split, entry, part, part_count);
        }
    }
}

/* The entries of a plan's bytes; inline ones get a buffer when `with_buffers`. */
CHECKED static Status decode_plan(Receiver *receiver, Str plan, bool with_buffers, EntryList *list,
                                  Error *err) {
    Status st = STATUS_OK;
    while (plan.size > 0) {
        Entry entry;
        Str inlined;
        TRY_GOTO(failed, entry_decode(&plan, &entry, &inlined, err));
        if (entry.kind == ENTRY_MEMORY || (entry.kind == ENTRY_BLOCK && !receiver->log)) {
            st = error_set(err, STATUS_CORRUPT, "the plan names data that was never logged");
            goto failed;
        }
        if (entry.kind == ENTRY_BLOCK && entry.ref.stream_id != receiver->options.stream_id) {
            st = error_set(err, STATUS_CORRUPT, "the plan names a block of another stream");
            goto failed;
        }
        if (entry.kind == ENTRY_INLINE && with_buffers) {
            TRY_GOTO(failed, buffer_create(BLOCK_HEADER_SIZE + inlined.size, receiver->budget,
                                           receiver->options.description, &entry.buffer, err));
            memcpy(entry.buffer->data + BLOCK_HEADER_SIZE, inlined.data, inlined.size);
            entry.buffer->size = BLOCK_HEADER_SIZE + inlined.size;
        }
        entry_add(list, entry);
    }
    return STATUS_OK;
failed:
    entry_list_deinit(list);
    return st;
}

Status receiver_read(Receiver *receiver, int64_t batch_time_ms, Str plan, SplitList *splits, Error *err) {
    env_mutex_lock(receiver->env, receiver->mutex);
    const Batch *batch = batch_find(receiver, batch_time_ms);
    bool is_live = batch && batch->is_live;
    if (is_live)
        make_splits(receiver, &batch->list, splits);
    env_mutex_unlock(receiver->env, receiver->mutex);
    if (is_live)
        return STATUS_OK;
    EntryList list = {0};
    TRY(decode_plan(receiver, plan, true, &list, err));
    make_splits(receiver, &list, splits);
    entry_list_deinit(&list);
    return STATUS_OK;
}

/* ---- recovery ---- */

Status receiver_restore(Receiver *receiver, Str saved, Error *err) {
    Reader r = reader_of(saved);
    uint8_t version = reader_u8(&r);
    uint64_t number = reader_varint(&r);
    uint8_t inline_count = reader_u8(&r);
    if (r.failed || version != SAVE_VERSION || !reader_at_end(&r))
        return error_set(err, STATUS_CORRUPT, "%s: malformed saved position", receiver->options.description);
    receiver->number = receiver->planned_number = number;
    receiver->inline_count = inline_count;
    return STATUS_OK;
}

void receiver_save(Receiver *receiver, Text *out) {
    env_mutex_lock(receiver->env, receiver->mutex);
    bytes_put_u8(out, SAVE_VERSION);
    bytes_put_varint(out, receiver->planned_number);
    bytes_put_u8(out, receiver->inline_count);
    env_mutex_unlock(receiver->env, receiver->mutex);
}

Status receiver_replay(Receiver *receiver, int64_t batch_time_ms, Str plan, Error *err) {
    EntryList list = {0};
    TRY(decode_plan(receiver, plan, false, &list, err));
    env_mutex_lock(receiver->env, receiver->mutex);
    for (uint32_t i = 0; i < list.count; i++) {
        const BlockRef *ref = &list.entries[i].ref;
        receiver->inline_count = ref->flags; /* V4 */
        receiver->number = receiver->planned_number = ref->number;
    }
    batch_add(receiver, batch_time_ms, false)->list = list;
    env_mutex_unlock(receiver->env, receiver->mutex);
    return STATUS_OK;
}

typedef struct Recovery {
    Receiver *receiver;
    uint64_t dropped_blocks, dropped_bytes;
} Recovery;

CHECKED static Status recover_block(void *self, const BlockRef *ref, Error *err) {
    Recovery *recovery = self;
    Receiver *receiver = recovery->receiver;
    (void)err;
    if (ref->stream_id != receiver->options.stream_id || ref->number <= receiver->number)
        return STATUS_OK; /* another's, or planned */
    receiver->number = ref->number;
    if (ref->flags == receiver->inline_count) { /* V4: nothing is missing in front of it */
        entry_add(&receiver->queue, (Entry){.kind = ENTRY_BLOCK, .ref = *ref});
    } else {
        recovery->dropped_blocks++;
        recovery->dropped_bytes += ref->size_bytes;
    }
    return STATUS_OK;
}

Status receiver_start(Receiver *receiver, Error *err) {
    if (!receiver->log)
        return STATUS_OK;
    Recovery recovery = {.receiver = receiver};
    TRY(block_log_scan(receiver->log, recover_block, &recovery, err));
    uint64_t found_bytes = 0;
    for (uint32_t i = 0; i < receiver->queue.count; i++)
        found_bytes += receiver->queue.entries[i].ref.size_bytes;
    if (receiver->queue.count > 0)
        log_info("receiver", "RECOVERED %s: %" PRIu32 " blocks, %" PRIu64 " bytes, go into the first batch",
                 receiver->options.description, receiver->queue.count, found_bytes);
    if (recovery.dropped_blocks > 0)
        log_warn("receiver",
                 "DROPPED %s: %" PRIu64 " blocks, %" PRIu64
                 " bytes: what came before them had not reached the log when the process ended",
                 receiver->options.description, recovery.dropped_blocks, recovery.dropped_bytes);
    return STATUS_OK;
}

uint64_t receiver_oldest_segment(Receiver *receiver) {
    uint64_t oldest = UINT64_MAX;
    env_mutex_lock(receiver->env, receiver->mutex);
    const EntryList *list = &receiver->queue;
    for (const Batch *batch = receiver->batches;; batch = batch->next) {
        for (uint32_t i = 0; i < list->count; i++)
            if (list->entries[i].kind == ENTRY_BLOCK && list->entries[i].ref.segment_id < oldest)
                oldest = list->entries[i].ref.segment_id;
        if (!batch)
            break;
        list = &batch->list;
    }
    env_mutex_unlock(receiver->env, receiver->mutex);
    return oldest;
}

void receiver_describe_plan(Str plan, Text *out) {
    uint64_t block_count = 0, block_bytes = 0, inline_bytes = 0, first = 0, last = 0;
    while (plan.size > 0) {
        Entry entry;
        Str inlined;
        if (entry_decode(&plan, &entry, &inlined, NULL) != STATUS_OK) {
            text_append(out, STR("malformed plan"));
            return;
        }
        if (entry.kind == ENTRY_INLINE) {
            inline_bytes += inlined.size;
            continue;
        }
        first = block_count ? first : entry.ref.number;
        last = entry.ref.number;
        block_count++;
        block_bytes += entry.ref.size_bytes;
    }
    if (block_count == 0 && inline_bytes == 0)
        text_append(out, STR("nothing"));
    if (block_count > 0)
        text_appendf(out, "%" PRIu64 " block%s (%" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes)", block_count,
                     block_count == 1 ? "" : "s", first, last, block_bytes);
    if (inline_bytes > 0)
        text_appendf(out, "%s%" PRIu64 " bytes in the plan", block_count ? ", " : "", inline_bytes);
}
