/* block_log.c - see block_log.h.
 *
 * Layout of a block's header, all numbers little-endian; the data follows, then zeros up to 4096:
 *
 *      0  4  crc of bytes 4-63             36  4  size of the data
 *      4  4  magic "LBK1"                  40  4  crc of the data
 *      8  8  segment id                    44  1  flags
 *     16  8  offset in the segment         45  3  zero
 *     24  8  number                        48  8  durable segment id \ everything before this place was
 *     32  4  stream id                     56  8  durable offset     / durable when this was submitted
 *
 *   B1  Blocks stand one behind the other from byte 0 on; a segment ends with its last block. It is not
 *       preallocated: a block is large, and zeros written ahead would double what the disk takes.
 *   B2  The thread alone writes, in the order of submission. It syncs a segment before the first block of
 *       the next is written: a readable block vouches for all segments before its own.
 *   B3  A submitted buffer's bytes do not change, but for the two checksums in its header: everything else
 *       there is written by submit, before anybody else may look at the data.
 *   B4  Segments go from the oldest on, each made durable: ids have no hole.
 *
 *                  submit            the thread             sync asked for and all written
 *     (caller) ---------> queued ------------> written -----------------------------> durable
 */
#include "stream/block_log.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "stream/numbered_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_ALIGNMENT = 4096,
    SEGMENT_SIZE_DEFAULT = 64 << 20,
    PIECE_SIZE = 1 << 20, /* of data that is read only to be checked */
    MAGIC = 0x314b424c,
};

static const FileFamily family = {"block-", ".log"};

typedef struct BlockHeader {
    uint32_t header_crc;
    uint32_t magic;
    uint64_t segment_id;
    uint64_t offset;
    uint64_t number;
    uint32_t stream_id;
    uint32_t size_bytes;
    uint32_t data_crc;
    uint8_t flags;
    char zero[3];
    uint64_t durable_segment_id;
    uint64_t durable_offset;
} BlockHeader;

_Static_assert(sizeof(BlockHeader) == BLOCK_HEADER_SIZE, "as on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written by copying");

typedef struct Place {
    uint64_t segment_id, offset;
} Place;

typedef struct Entry {
    Buffer *buffer;
    BlockRef ref;
    struct Entry *next;
} Entry;

typedef struct StreamEnd {
    uint32_t stream_id;
    uint64_t number; /* of its last block */
} StreamEnd;

struct BlockLog {
    Env *env;
    char *directory;
    uint64_t segment_size_bytes;
    Budget *budget;
    bool is_read_only;

    BlockRef *found; /* by open; fixed since */
    size_t found_count, found_capacity;
    uint64_t oldest_segment_id; /* the owner's */

    EnvMutex *mutex; /* guards from here on */
    EnvCond *work;   /* something to write or to sync, or the end */
    EnvCond *progress;
    Entry *first, *last;
    StreamEnd *streams;
    size_t stream_count, stream_capacity;
    Place next; /* of the next block that is submitted */
    Place durable_end;
    uint64_t submitted_count, written_count, durable_count, sync_wanted_count;
    bool is_closing;
    Error poison; /* I3 */

    EnvThread *thread; /* the rest is its own */
    EnvFile *file;
    uint64_t file_segment_id;
    Place written_end;
    Buffer *bounce; /* small blocks are not aligned for direct writes */
};

/* ---- headers ---- */

static uint64_t padded(uint64_t size) {
    return (size + BLOCK_ALIGNMENT - 1) & ~(uint64_t)(BLOCK_ALIGNMENT - 1);
}

static uint64_t block_size(const BlockRef *ref) {
    return padded(BLOCK_HEADER_SIZE + (uint64_t)ref->size_bytes);
}

static uint32_t block_header_crc(const BlockHeader *header) {
    size_t begin = sizeof header->header_crc;
    return crc32c(0, (const char *)header + begin, sizeof *header - begin);
}

static bool is_before(Place a, Place b) {
    return a.segment_id != b.segment_id ? a.segment_id < b.segment_id : a.offset < b.offset;
}

static bool header_is_good(const BlockHeader *header, Place place) {
    return header->header_crc == block_header_crc(header) && header->magic == MAGIC &&
           header->segment_id == place.segment_id && header->offset == place.offset && header->number > 0;
}

static BlockRef ref_of(const BlockHeader *header) {
    return (BlockRef){.stream_id = header->stream_id,
                      .number = header->number,
                      .segment_id = header->segment_id,
                      .offset = header->offset,
                      .size_bytes = header->size_bytes,
                      .flags = header->flags};
}

static Status damaged(const BlockLog *log, Place place, const char *reason, Error *err) {
    char *path = numbered_file_path(log->directory, family, place.segment_id);
    Status st =
        error_set(err, STATUS_CORRUPT, "%s: damaged at byte %" PRIu64 ": %s", path, place.offset, reason);
    free(path);
    return st;
}

/* ---- streams ---- */

/* Where the stream's last number is kept; 0 for one that is new. */
static uint64_t *stream_number(BlockLog *log, uint32_t stream_id) {
    for (size_t i = 0; i < log->stream_count; i++)
        if (log->streams[i].stream_id == stream_id)
            return &log->streams[i].number;
    if (log->stream_count == log->stream_capacity) {
        log->stream_capacity = log->stream_capacity ? log->stream_capacity * 2 : 4;
        log->streams = xrealloc(log->streams, log->stream_capacity * sizeof *log->streams);
    }
    log->streams[log->stream_count] = (StreamEnd){.stream_id = stream_id};
    return &log->streams[log->stream_count++].number;
}

/* ---- recovery ---- */

typedef struct Recovery {
    EnvFile *file; /* of the segment looked at */
    Place end;     /* behind the last good block */
    Place vouched; /* everything before it was durable, by any readable header */
    bool is_damaged;
    uint64_t first_segment_id, last_segment_id;
    uint64_t last_size_bytes; /* of the last segment's file */
} Recovery;

static Status open_segment(const BlockLog *log, uint64_t segment_id, unsigned flags, EnvFile **out,
                           Error *err) {
    char *path = numbered_file_path(log->directory, family, segment_id);
    Status st = env_file_open(log->env, path, flags, out, err);
    free(path);
    return st;
}

static void add_found(BlockLog *log, const BlockRef *ref) {
    if (log->found_count == log->found_capacity) {
        log->found_capacity = log->found_capacity ? log->found_capacity * 2 : 64;
        log->found = xrealloc(log->found, log->found_capacity * sizeof *log->found);
    }
    log->found[log->found_count++] = *ref;
}

/* *is_good false: no whole header of the block that belongs at `place`. */
static Status read_header(BlockLog *log, EnvFile *file, Place place, BlockHeader *header, bool *is_good,
                          Error *err) {
    size_t read_bytes = 0;
    TRY(env_file_read(log->env, file, place.offset, header, sizeof *header, &read_bytes, err));
    *is_good = read_bytes == sizeof *header && header_is_good(header, place);
    return STATUS_OK;
}

static void learn_vouched(Recovery *r, const BlockHeader *header) {
    Place said = {header->durable_segment_id, header->durable_offset};
    Place segment = {header->segment_id, 0}; /* B2, which submit could not know yet */
    Place vouched = is_before(said, segment) ? segment : said;
    if (is_before(r->vouched, vouched))
        r->vouched = vouched;
}

/* The blocks of one segment up to the first bad header; behind it, whatever headers still say. */
static Status scan_segment(BlockLog *log, Recovery *r, uint64_t segment_id, uint64_t size_bytes, Error *err) {
    Place at = {segment_id, 0};
    if (!r->is_damaged)
        r->end = at;
    while (at.offset < size_bytes) {
        BlockHeader header;
        bool is_good;
        TRY(read_header(log, r->file, at, &header, &is_good, err));
        if (is_good)
            learn_vouched(r, &header);
        BlockRef ref = ref_of(&header);
        /* The padding of the last block may be missing, its data not. */
        is_good = is_good && ref.size_bytes <= size_bytes - at.offset - BLOCK_HEADER_SIZE;
        if (!is_good && !r->is_damaged)
            r->is_damaged = true;
        if (!r->is_damaged) {
            add_found(log, &ref);
            at.offset += block_size(&ref);
            r->end = at;
        } else {
            at.offset += BLOCK_ALIGNMENT;
        }
    }
    return STATUS_OK;
}

static Status scan_segments(BlockLog *log, Recovery *r, const uint64_t *ids, size_t count, Error *err) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && ids[i] != ids[i - 1] + 1) { /* B4 */
            char *path = numbered_file_path(log->directory, family, ids[i - 1] + 1);
            Status st = error_set(err, STATUS_CORRUPT, "%s: this segment of the block log is missing", path);
            free(path);
            return st;
        }
        EnvFileInfo info;
        TRY(open_segment(log, ids[i], ENV_READ, &r->file, err));
        Status st = env_file_info(log->env, r->file, &info, err);
        if (st == STATUS_OK)
            st = scan_segment(log, r, ids[i], info.size_bytes, err);
        r->last_size_bytes = info.size_bytes;
        env_file_close(log->env, r->file);
        r->file = NULL;
        TRY(st);
    }
    return STATUS_OK;
}

/* *is_whole: the data is what the header says. In pieces: a block may be large. */
static Status check_data(BlockLog *log, EnvFile *file, const BlockRef *ref, char *piece, bool *is_whole,
                         Error *err) {
    BlockHeader header;
    *is_whole = false;
    TRY(read_header(log, file, (Place){ref->segment_id, ref->offset}, &header, is_whole, err));
    uint32_t crc = 0;
    for (uint64_t at = 0; at < ref->size_bytes && *is_whole;) {
        size_t size = ref->size_bytes - at < PIECE_SIZE ? (size_t)(ref->size_bytes - at) : PIECE_SIZE,
               read_bytes = 0;
        TRY(env_file_read(log->env, file, ref->offset + BLOCK_HEADER_SIZE + at, piece, size, &read_bytes,
                          err));
        crc = crc32c(crc, piece, read_bytes);
        *is_whole = read_bytes == size;
        at += size;
    }
    *is_whole = *is_whole && crc == header.data_crc;
    return STATUS_OK;
}

/* The first block that nothing vouches for and whose data is torn ends what was found. */
static Status check_tail(BlockLog *log, Recovery *r, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    char *piece = xmalloc(PIECE_SIZE);
    size_t first = log->found_count;
    while (first > 0 &&
           !is_before((Place){log->found[first - 1].segment_id, log->found[first - 1].offset}, r->vouched))
        first--;
    for (size_t i = first; i < log->found_count; i++) {
        const BlockRef *ref = &log->found[i];
        bool is_whole = false;
        if (!file || log->found[i - 1].segment_id != ref->segment_id) {
            env_file_close(log->env, file);
            file = NULL;
            TRY_GOTO(done, open_segment(log, ref->segment_id, ENV_READ, &file, err));
        }
        TRY_GOTO(done, check_data(log, file, ref, piece, &is_whole, err));
        if (!is_whole) {
            r->is_damaged = true;
            r->end = (Place){ref->segment_id, ref->offset};
            log->found_count = i;
        }
    }
done:
    env_file_close(log->env, file);
    free(piece);
    return st;
}

static Status check_numbers(BlockLog *log, Error *err) {
    for (size_t i = 0; i < log->found_count; i++) {
        const BlockRef *ref = &log->found[i];
        uint64_t *last = stream_number(log, ref->stream_id);
        if (*last && ref->number != *last + 1) /* I1 */
            return damaged(log, (Place){ref->segment_id, ref->offset}, "not the next block of its stream",
                           err);
        *last = ref->number;
    }
    return STATUS_OK;
}

static Status remove_segment(BlockLog *log, uint64_t segment_id, Error *err) {
    char *path = numbered_file_path(log->directory, family, segment_id);
    Status st = env_remove(log->env, path, err);
    free(path);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND)
        return st;
    return env_sync_directory(log->env, log->directory, err);
}

/* What a failed sync has left may be in memory only, and called clean: it is written once more. */
static Status rewrite_tail(BlockLog *log, EnvFile *file, uint64_t begin, uint64_t end, Error *err) {
    Status st = STATUS_OK;
    char *piece = xmalloc(PIECE_SIZE);
    while (begin < end) {
        size_t size = end - begin < PIECE_SIZE ? (size_t)(end - begin) : PIECE_SIZE, read_bytes = 0;
        TRY_GOTO(done, env_file_read(log->env, file, begin, piece, size, &read_bytes, err));
        if (read_bytes == 0)
            break; /* the padding of the last block is missing */
        TRY_GOTO(done, env_file_write(log->env, file, begin, piece, read_bytes, err));
        begin += read_bytes;
    }
done:
    free(piece);
    return st;
}

/* Cuts off what is torn and makes the rest durable, before anything is promised or appended. */
static Status settle_tail(BlockLog *log, Recovery *r, Error *err) {
    for (uint64_t id = r->last_segment_id; id > r->end.segment_id; id--)
        TRY(remove_segment(log, id, err));
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    TRY(open_segment(log, r->end.segment_id, ENV_READ | ENV_WRITE, &file, err));
    if (r->is_damaged)
        TRY_GOTO(done, env_file_truncate(log->env, file, r->end.offset, err));
    if (is_before(r->vouched, r->end)) {
        uint64_t begin = r->vouched.segment_id == r->end.segment_id ? r->vouched.offset : 0;
        TRY_GOTO(done, rewrite_tail(log, file, begin, r->end.offset, err));
    }
    TRY_GOTO(done, env_file_sync(log->env, file, err));
    TRY_GOTO(done, env_sync_directory(log->env, log->directory, err));
done:
    env_file_close(log->env, file);
    return st;
}

static Status recover(BlockLog *log, Error *err) {
    Status st = STATUS_OK;
    uint64_t *ids = NULL;
    size_t count = 0;
    Recovery r = {0};
    TRY(numbered_files_list(log->env, log->directory, family, &ids, &count, err));
    log->oldest_segment_id = count ? ids[0] : 1;
    log->next = log->durable_end = (Place){log->oldest_segment_id, 0};
    if (count == 0)
        return STATUS_OK;
    r.last_segment_id = ids[count - 1];
    TRY_GOTO(done, scan_segments(log, &r, ids, count, err));
    if (r.is_damaged && is_before(r.end, r.vouched)) {
        st = damaged(log, r.end, "what stands there was durable", err);
        goto done;
    }
    TRY_GOTO(done, check_tail(log, &r, err));
    TRY_GOTO(done, check_numbers(log, err));
    if (r.is_damaged)
        log_warn("blocklog", "CUT segment=%016" PRIx64 " offset=%" PRIu64 " reason=torn", r.end.segment_id,
                 r.end.offset);
    log->next = log->durable_end = r.end;
    if (!log->is_read_only)
        TRY_GOTO(done, settle_tail(log, &r, err));
done:
    free(ids);
    return st;
}

/* ---- the thread ---- */

static Status sync_written(BlockLog *log, Error *err) {
    uint64_t written_count = log->written_count; /* only this thread changes it */
    if (log->file)
        TRY(env_file_sync(log->env, log->file, err));
    env_mutex_lock(log->env, log->mutex);
    log->durable_count = written_count;
    if (log->file)
        log->durable_end = log->written_end;
    env_cond_broadcast(log->env, log->progress);
    env_mutex_unlock(log->env, log->mutex);
    return STATUS_OK;
}

static Status enter_segment(BlockLog *log, Place place, Error *err) {
    if (log->file && log->file_segment_id == place.segment_id)
        return STATUS_OK;
    if (log->file) {
        TRY(sync_written(log, err)); /* B2 */
        env_file_close(log->env, log->file);
        log->file = NULL;
    }
    TRY(open_segment(log, place.segment_id, ENV_READ | ENV_WRITE | ENV_CREATE | ENV_DIRECT, &log->file, err));
    log->file_segment_id = place.segment_id;
    return place.offset == 0 ? env_sync_directory(log->env, log->directory, err) : STATUS_OK;
}

static Status write_block(BlockLog *log, const Entry *entry, Error *err) {
    Place place = {entry->ref.segment_id, entry->ref.offset};
    TRY(enter_segment(log, place, err));
    char *data = entry->buffer->data;
    size_t size = block_size(&entry->ref);
    BlockHeader header;
    memcpy(&header, data, sizeof header);
    header.data_crc = crc32c(0, data + BLOCK_HEADER_SIZE, entry->ref.size_bytes);
    header.header_crc = block_header_crc(&header);
    memcpy(data + offsetof(BlockHeader, data_crc), &header.data_crc, sizeof header.data_crc); /* B3 */
    memcpy(data + offsetof(BlockHeader, header_crc), &header.header_crc, sizeof header.header_crc);
    if ((uintptr_t)data % BLOCK_ALIGNMENT != 0 && env_file_is_direct(log->env, log->file)) {
        memcpy(log->bounce->data, data, size);
        data = log->bounce->data;
    }
    TRY(env_file_write(log->env, log->file, place.offset, data, size, err));
    log->written_end = (Place){place.segment_id, place.offset + size};
    return STATUS_OK;
}

static Entry *pop_entry(BlockLog *log) {
    Entry *entry = log->first;
    log->first = entry->next;
    if (!log->first)
        log->last = NULL;
    return entry;
}

static void drop_entry(Entry *entry) {
    buffer_release(entry->buffer);
    free(entry);
}

/* One step of the thread, entered and left under the mutex. */
static Status step(BlockLog *log, Error *err) {
    Status st;
    if (log->sync_wanted_count > log->durable_count && log->sync_wanted_count <= log->written_count) {
        env_mutex_unlock(log->env, log->mutex);
        st = sync_written(log, err);
        env_mutex_lock(log->env, log->mutex);
    } else {
        Entry *entry = pop_entry(log);
        env_mutex_unlock(log->env, log->mutex);
        st = write_block(log, entry, err);
        drop_entry(entry);
        env_mutex_lock(log->env, log->mutex);
        if (st == STATUS_OK)
            log->written_count++;
    }
    return st;
}

static void run_thread(void *argument) {
    BlockLog *log = argument;
    env_mutex_lock(log->env, log->mutex);
    for (;;) {
        bool wants_sync =
            log->sync_wanted_count > log->durable_count && log->sync_wanted_count <= log->written_count;
        if (!log->first && !wants_sync) {
            if (log->is_closing)
                break;
            env_cond_wait(log->env, log->work, log->mutex, ENV_FOREVER);
            continue;
        }
        Error error = {0};
        Status st = step(log, &error);
        if (st != STATUS_OK) { /* I3 */
            error.status = st;
            log->poison = error;
            break;
        }
    }
    while (log->first)
        drop_entry(pop_entry(log));
    env_cond_broadcast(log->env, log->progress);
    env_mutex_unlock(log->env, log->mutex);
    env_file_close(log->env, log->file);
    log->file = NULL;
}

/* ---- opening and closing ---- */

Status block_log_open(BlockLogOptions options, BlockLog **out, Error *err) {
    Status st = STATUS_OK;
    BlockLog *log = xcalloc(1, sizeof *log);
    *out = NULL;
    log->env = options.env;
    log->directory = xstrdup(str_from(options.directory));
    log->segment_size_bytes = options.segment_size_bytes ? options.segment_size_bytes : SEGMENT_SIZE_DEFAULT;
    log->budget = options.budget;
    log->is_read_only = options.read_only;
    log->mutex = env_mutex_create(log->env);
    log->work = env_cond_create(log->env);
    log->progress = env_cond_create(log->env);
    TRY_GOTO(failed, recover(log, err));
    if (!log->is_read_only) {
        TRY_GOTO(failed, buffer_create(64 << 10, log->budget, "the block log", &log->bounce, err));
        TRY_GOTO(failed, env_thread_start(log->env, "leat-blocks", run_thread, log, &log->thread, err));
    }
    *out = log;
    return STATUS_OK;
failed:
    block_log_close(log);
    return st;
}

void block_log_close(BlockLog *log) {
    if (!log)
        return;
    if (log->thread) {
        env_mutex_lock(log->env, log->mutex);
        log->is_closing = true;
        env_cond_signal(log->env, log->work);
        env_mutex_unlock(log->env, log->mutex);
        env_thread_join(log->env, log->thread);
    }
    buffer_release(log->bounce);
    env_cond_destroy(log->env, log->progress);
    env_cond_destroy(log->env, log->work);
    env_mutex_destroy(log->env, log->mutex);
    free(log->streams);
    free(log->found);
    free(log->directory);
    free(log);
}

/* ---- the calls ---- */

Status block_log_scan(BlockLog *log, Status (*visit)(void *self, const BlockRef *ref, Error *err), void *self,
                      Error *err) {
    for (size_t i = 0; i < log->found_count; i++)
        TRY(visit(self, &log->found[i], err));
    return STATUS_OK;
}

static Status poison_error(const BlockLog *log, Error *err) {
    if (log->poison.status != STATUS_OK && err)
        *err = log->poison;
    return log->poison.status;
}

Status block_log_submit(BlockLog *log, uint32_t stream_id, uint64_t number, uint8_t flags, Buffer *buffer,
                        BlockRef *ref, Error *err) {
    ASSERT(!log->is_read_only);
    ASSERT(buffer->size >= BLOCK_HEADER_SIZE && buffer->capacity % BLOCK_ALIGNMENT == 0);
    uint64_t size = padded(buffer->size);
    env_mutex_lock(log->env, log->mutex);
    Status st = poison_error(log, err);
    if (st != STATUS_OK) {
        env_mutex_unlock(log->env, log->mutex);
        return st;
    }
    uint64_t *last = stream_number(log, stream_id);
    ASSERT(number > 0 && (*last == 0 || number == *last + 1)); /* I1 */
    *last = number;
    bool has_room =
        log->next.offset < log->segment_size_bytes && size <= log->segment_size_bytes - log->next.offset;
    if (!has_room && log->next.offset > 0) /* a block over the limit gets a segment of its own */
        log->next = (Place){log->next.segment_id + 1, 0};
    BlockHeader header = {
        .magic = MAGIC,
        .segment_id = log->next.segment_id,
        .offset = log->next.offset,
        .number = number,
        .stream_id = stream_id,
        .size_bytes = (uint32_t)(buffer->size - BLOCK_HEADER_SIZE),
        .flags = flags,
        .durable_segment_id = log->durable_end.segment_id,
        .durable_offset = log->durable_end.offset,
    };
    log->next.offset += size;
    memcpy(buffer->data, &header, sizeof header);
    memset(buffer->data + buffer->size, 0, size - buffer->size);
    Entry *entry = xcalloc(1, sizeof *entry);
    entry->buffer = buffer_retain(buffer);
    entry->ref = ref_of(&header);
    *ref = entry->ref;
    if (log->last)
        log->last->next = entry;
    else
        log->first = entry;
    log->last = entry;
    log->submitted_count++;
    env_cond_signal(log->env, log->work);
    env_mutex_unlock(log->env, log->mutex);
    return STATUS_OK;
}

static void ask_for_sync(BlockLog *log) {
    if (log->sync_wanted_count == log->submitted_count)
        return; /* an idle batch wakes nobody */
    log->sync_wanted_count = log->submitted_count;
    env_cond_signal(log->env, log->work);
}

void block_log_begin_sync(BlockLog *log) {
    env_mutex_lock(log->env, log->mutex);
    ask_for_sync(log);
    env_mutex_unlock(log->env, log->mutex);
}

Status block_log_wait(BlockLog *log, Error *err) {
    ASSERT(!log->is_read_only);
    env_mutex_lock(log->env, log->mutex);
    uint64_t wanted = log->submitted_count;
    ask_for_sync(log);
    while (log->durable_count < wanted && log->poison.status == STATUS_OK)
        env_cond_wait(log->env, log->progress, log->mutex, ENV_FOREVER);
    Status st = poison_error(log, err);
    env_mutex_unlock(log->env, log->mutex);
    return st;
}

Status block_log_read(BlockLog *log, const BlockRef *ref, Buffer **out, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    Buffer *buffer = NULL;
    BlockHeader header;
    Place place = {ref->segment_id, ref->offset};
    bool is_good = false;
    size_t read_bytes = 0, size = BLOCK_HEADER_SIZE + (size_t)ref->size_bytes;
    *out = NULL;
    TRY(open_segment(log, ref->segment_id, ENV_READ, &file, err));
    TRY_GOTO(done, read_header(log, file, place, &header, &is_good, err));
    if (!is_good || header.stream_id != ref->stream_id || header.number != ref->number ||
        header.size_bytes != ref->size_bytes || header.flags != ref->flags) {
        st = damaged(log, place, "the block's header is not the one that was written", err);
        goto done;
    }
    TRY_GOTO(done, buffer_create(padded(size), log->budget, "a block read back", &buffer, err));
    TRY_GOTO(done, env_file_read(log->env, file, ref->offset, buffer->data, size, &read_bytes, err));
    if (read_bytes != size ||
        header.data_crc != crc32c(0, buffer->data + BLOCK_HEADER_SIZE, ref->size_bytes)) {
        st = damaged(log, place, "the block's data is not what was written", err);
        goto done;
    }
    buffer->size = size;
    *out = buffer;
    buffer = NULL;
done:
    buffer_release(buffer);
    env_file_close(log->env, file);
    return st;
}

Status block_log_release_before(BlockLog *log, uint64_t segment_id, Error *err) {
    ASSERT(!log->is_read_only);
    env_mutex_lock(log->env, log->mutex);
    uint64_t limit = log->durable_end.segment_id; /* the thread has left all before it */
    env_mutex_unlock(log->env, log->mutex);
    limit = segment_id < limit ? segment_id : limit;
    for (; log->oldest_segment_id < limit; log->oldest_segment_id++) /* B4 */
        TRY(remove_segment(log, log->oldest_segment_id, err));
    return STATUS_OK;
}

/* ---- places in plans ---- */

void block_ref_encode(const BlockRef *ref, Text *out) {
    bytes_put_varint(out, ref->stream_id);
    bytes_put_varint(out, ref->number);
    bytes_put_varint(out, ref->segment_id);
    bytes_put_varint(out, ref->offset / BLOCK_ALIGNMENT);
    bytes_put_varint(out, ref->size_bytes);
    bytes_put_u8(out, ref->flags);
}

Status block_ref_decode(Str *bytes, BlockRef *ref, Error *err) {
    Reader reader = reader_of(*bytes);
    uint64_t stream_id = reader_varint(&reader), number = reader_varint(&reader);
    uint64_t segment_id = reader_varint(&reader), place = reader_varint(&reader);
    uint64_t size_bytes = reader_varint(&reader);
    uint8_t flags = reader_u8(&reader);
    if (reader.failed || stream_id > UINT32_MAX || size_bytes > UINT32_MAX || number == 0 ||
        place > UINT64_MAX / BLOCK_ALIGNMENT)
        return error_set(err, STATUS_CORRUPT, "not the place of a block");
    *ref = (BlockRef){.stream_id = (uint32_t)stream_id,
                      .number = number,
                      .segment_id = segment_id,
                      .offset = place * BLOCK_ALIGNMENT,
                      .size_bytes = (uint32_t)size_bytes,
                      .flags = flags};
    *bytes = str_slice(bytes->data + reader.offset, bytes->size - reader.offset);
    return STATUS_OK;
}
