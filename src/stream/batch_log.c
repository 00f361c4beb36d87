/* batch_log.c - see batch_log.h.
 *
 * Layout of a segment file, all numbers little-endian:
 *
 *     segment header, 64 bytes         frame header, 48 bytes; the payload follows, padded with zeros to 8
 *      0  8  magic "LEATBLOG"           0  4  crc of bytes 4-47, seeded with the segment's salt
 *      8  4  format version             4  4  crc of the padded payload
 *     12  4  salt, random               8  4  payload size, without padding
 *     16  8  segment id                12  4  epoch
 *     24 36  zero                      16  8  sequence
 *     60  4  crc of bytes 0-59         24  8  durable_upto
 *                                      32  8  segment id
 *                                      40  1  kind
 *                                      41  7  zero
 *
 * Frames stand one behind the other from byte 64 on; behind the last one everything is zero.
 *
 *   L1  A segment file that has its name is whole: zeros and header were synced under the name
 *       `batch-spare` before the rename, and the directory after it. So a bad segment header is damage,
 *       never a crash.
 *   L2  A segment is synced before the next one gets its first frame. So every frame vouches for all
 *       segments before its own, and a segment whose frames do not continue those of the one before is
 *       damage.
 *   L3  A segment is given up only when the next one begins with a durable frame. So the log always knows
 *       its last sequence, and the oldest segment, unless it is number 1, begins with a frame that was
 *       durable.
 *   L4  Segments are given up from the oldest on, each made durable before the next. So ids have no hole.
 *
 * The salt keeps bytes that came with a record (a payload may hold what a stranger sent) from passing for a
 * frame when the tail behind a bad frame is searched; the header's own checksum keeps that search linear.
 *
 * A recycled segment is zeroed again before it is used. That writes every byte of the log twice, as
 * preallocating does, and buys a tail of which every byte that is not zero means something.
 */
#include "stream/batch_log.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "stream/numbered_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORMAT_VERSION = 1,
    SEGMENT_HEADER_SIZE = 64,
    FRAME_HEADER_SIZE = 48,
    FRAME_ALIGNMENT = 8,
    SEGMENT_SIZE_DEFAULT = 4 << 20,
    FIRST_SEGMENT_SIZE_MAX =
        256 << 10, /* the one that is made while somebody waits for the program to start */
    ZEROS_SIZE = 64 << 10,
    READ_SIZE = 256 << 10,
    PAYLOAD_SIZE_MAX = 1 << 30,
};
/* A larger file was not written here; it is refused before it is read. */
#define SEGMENT_FILE_SIZE_MAX (UINT64_C(2) << 30)

static const char magic[8] = {'L', 'E', 'A', 'T', 'B', 'L', 'O', 'G'};
static const FileFamily family = {"batch-", ".log"};
static const char spare_name[] = "batch-spare";

typedef struct Segment {
    uint64_t id;
    uint64_t first_sequence; /* 0: no frame yet */
    uint64_t end;            /* of the frames in the file */
    uint64_t dirty_end;      /* while opening: of the bytes that are not zero */
    uint64_t capacity_bytes; /* the file's size */
    uint32_t salt;
} Segment;

struct BatchLog {
    Env *env;
    char *directory, *spare_path;
    uint64_t segment_size_bytes;
    bool is_read_only;
    bool has_spare; /* a recycled file waits */

    /* Oldest first; behind the current one there is at most one, empty: the prepared one. */
    Segment *segments;
    size_t segment_count, segment_capacity;
    size_t current;
    EnvFile *file; /* of the current segment; NULL when read-only */

    Text pending; /* frames that are not in the file yet; crc and durable_upto are filled in by flush */
    uint64_t last_sequence, durable_upto;
    uint32_t last_epoch, epoch;
    Error poison; /* I4 */
};

typedef struct SegmentHeader {
    char magic[8];
    uint32_t version;
    uint32_t salt;
    uint64_t segment_id;
    char zero[36];
    uint32_t crc;
} SegmentHeader;

typedef struct FrameHeader {
    uint32_t header_crc;
    uint32_t payload_crc;
    uint32_t payload_size;
    uint32_t epoch;
    uint64_t sequence;
    uint64_t durable_upto;
    uint64_t segment_id;
    uint8_t kind;
    char zero[7];
} FrameHeader;

_Static_assert(sizeof(SegmentHeader) == SEGMENT_HEADER_SIZE, "as on disk");
_Static_assert(sizeof(FrameHeader) == FRAME_HEADER_SIZE, "as on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written by copying");

static const char zeros[ZEROS_SIZE];

static uint64_t padded(uint64_t payload_size) {
    return (payload_size + FRAME_ALIGNMENT - 1) & ~(uint64_t)(FRAME_ALIGNMENT - 1);
}

static uint32_t segment_header_crc(const SegmentHeader *header) {
    return crc32c(0, header, offsetof(SegmentHeader, crc));
}

static uint32_t frame_header_crc(const FrameHeader *header, uint32_t salt) {
    size_t begin = sizeof header->header_crc;
    return crc32c(salt, (const char *)header + begin, sizeof *header - begin);
}

/* Where the bytes that are not zero end. */
static uint64_t nonzero_end(const char *bytes, uint64_t size) {
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, bytes + size - 8, 8);
        if (word)
            break;
        size -= 8;
    }
    while (size && !bytes[size - 1])
        size--;
    return size;
}

/* ---- reading frames ---- */

/* A header that its segment's writer has written, whatever became of the payload. */
static bool frame_header_read(Str bytes, uint64_t offset, const Segment *segment, FrameHeader *header) {
    if (bytes.size < FRAME_HEADER_SIZE || offset > bytes.size - FRAME_HEADER_SIZE)
        return false;
    memcpy(header, bytes.data + offset, sizeof *header);
    return header->segment_id == segment->id && header->header_crc == frame_header_crc(header, segment->salt);
}

typedef enum FrameFound { FRAME_GOOD, FRAME_BAD, FRAME_NONE } FrameFound;

/* The frame at `offset`; *reason (static text) says what is wrong with a bad one. */
static FrameFound frame_read(Str bytes, uint64_t offset, const Segment *segment, Frame *frame,
                             const char **reason) {
    uint64_t room = bytes.size - offset;
    if (nonzero_end(bytes.data + offset, room < FRAME_HEADER_SIZE ? room : FRAME_HEADER_SIZE) == 0)
        return FRAME_NONE;
    FrameHeader header;
    *reason = "the frame's header is torn or damaged";
    if (!frame_header_read(bytes, offset, segment, &header) || header.sequence == 0 ||
        header.durable_upto >= header.sequence) /* I2 */
        return FRAME_BAD;
    *reason = "the frame runs past the end of the file";
    room -= FRAME_HEADER_SIZE;
    if (header.payload_size > PAYLOAD_SIZE_MAX || padded(header.payload_size) > room)
        return FRAME_BAD;
    *reason = "the frame's payload is torn or damaged";
    const char *payload = bytes.data + offset + FRAME_HEADER_SIZE;
    if (header.payload_crc != crc32c(0, payload, padded(header.payload_size)))
        return FRAME_BAD;
    *frame = (Frame){
        .kind = header.kind,
        .epoch = header.epoch,
        .sequence = header.sequence,
        .durable_upto = header.durable_upto,
        .payload = str_slice(payload, header.payload_size),
        .segment_id = segment->id,
        .offset = offset,
    };
    return FRAME_GOOD;
}

static uint64_t frame_size(const Frame *frame) {
    return FRAME_HEADER_SIZE + padded(frame->payload.size);
}

/* The whole file of a segment: small, or as large as one frame that did not fit. */
typedef struct SegmentBytes {
    char *data; /* free() it */
    size_t size;
    uint64_t dirty_end; /* of what is not zero */
} SegmentBytes;

static Str bytes_str(const SegmentBytes *bytes) {
    return str_slice(bytes->data, bytes->size);
}

/* The zeros of a prepared segment cost a read but no memory: they are not copied into pages that are zero. */
static Status segment_read(const BatchLog *log, EnvFile *file, SegmentBytes *bytes, Error *err) {
    EnvFileInfo info;
    TRY(env_file_info(log->env, file, &info, err));
    if (info.size_bytes > SEGMENT_FILE_SIZE_MAX)
        return error_set(err, STATUS_CORRUPT, "%s: larger than any segment of the log",
                         env_file_path(log->env, file));
    bytes->data = xcalloc(1, info.size_bytes + 1);
    char *piece = xmalloc(READ_SIZE);
    Status st = STATUS_OK;
    size_t read_bytes = READ_SIZE;
    while (st == STATUS_OK && read_bytes == READ_SIZE && bytes->size < info.size_bytes) {
        uint64_t left = info.size_bytes - bytes->size;
        size_t wanted = left < READ_SIZE ? (size_t)left : READ_SIZE;
        st = env_file_read(log->env, file, bytes->size, piece, wanted, &read_bytes, err);
        if (st != STATUS_OK)
            break;
        uint64_t dirty = nonzero_end(piece, read_bytes);
        if (dirty) {
            memcpy(bytes->data + bytes->size, piece, dirty);
            bytes->dirty_end = bytes->size + dirty;
        }
        bytes->size += read_bytes;
    }
    free(piece);
    return st;
}

static Status segment_load(const BatchLog *log, const Segment *segment, SegmentBytes *bytes, Error *err) {
    EnvFile *file = NULL;
    char *path = numbered_file_path(log->directory, family, segment->id);
    *bytes = (SegmentBytes){0};
    Status st = env_file_open(log->env, path, ENV_READ, &file, err);
    if (st == STATUS_OK)
        st = segment_read(log, file, bytes, err);
    env_file_close(log->env, file);
    free(path);
    return st;
}

static Status segment_header_check(const BatchLog *log, Segment *segment, Str bytes, Error *err) {
    SegmentHeader header;
    char *path = numbered_file_path(log->directory, family, segment->id);
    Status st = STATUS_OK;
    if (bytes.size < sizeof header) {
        st = error_set(err, STATUS_CORRUPT, "%s: %zu bytes are too few for a segment's header", path,
                       bytes.size);
        goto done;
    }
    memcpy(&header, bytes.data, sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.crc != segment_header_crc(&header))
        st = error_set(err, STATUS_CORRUPT, "%s: the segment's header at byte 0 is damaged", path);
    else if (header.version != FORMAT_VERSION)
        st = error_set(err, STATUS_UNSUPPORTED,
                       "%s: format version %" PRIu32 ", this program reads version %d", path, header.version,
                       FORMAT_VERSION);
    else if (header.segment_id != segment->id)
        st = error_set(err, STATUS_CORRUPT, "%s: holds segment %016" PRIx64 ": a copy or a renamed file",
                       path, header.segment_id);
    segment->salt = header.salt;
done:
    free(path);
    return st;
}

/* ---- recovery ---- */

/* What a walk over all segments has learned. */
typedef struct Recovery {
    uint64_t vouched; /* the highest durable_upto of any readable header, before or behind the damage */
    uint64_t last_sequence;
    uint32_t last_epoch;
    bool is_damaged;
    size_t segment_index; /* of the first bad frame */
    uint64_t offset;
    char reason[160];
} Recovery;

static void recovery_damage(Recovery *r, size_t segment_index, uint64_t offset, const char *reason) {
    r->is_damaged = true;
    r->segment_index = segment_index;
    r->offset = offset;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

/* Frames up to the first one that is not what should stand there. */
static void recovery_walk(Recovery *r, Segment *segment, size_t segment_index, Str bytes) {
    while (segment->end < bytes.size) {
        Frame frame;
        const char *reason = NULL;
        FrameFound found = frame_read(bytes, segment->end, segment, &frame, &reason);
        if (found == FRAME_NONE && segment->dirty_end > segment->end)
            recovery_damage(r, segment_index, segment->end, "bytes stand behind the end of the log");
        if (found == FRAME_BAD)
            recovery_damage(r, segment_index, segment->end, reason);
        if (found != FRAME_GOOD)
            return;
        char wrong[sizeof r->reason] = "";
        if (r->last_sequence ? frame.sequence != r->last_sequence + 1
                             : segment->id == 1 && frame.sequence != 1)
            snprintf(wrong, sizeof wrong, "frame %" PRIu64 " stands where frame %" PRIu64 " should",
                     frame.sequence, r->last_sequence + 1);
        else if (frame.epoch < r->last_epoch)
            snprintf(wrong, sizeof wrong, "a late write of epoch %" PRIu32 ", replaced by epoch %" PRIu32,
                     frame.epoch, r->last_epoch);
        if (wrong[0]) {
            recovery_damage(r, segment_index, segment->end, wrong);
            return;
        }
        if (!segment->first_sequence)
            segment->first_sequence = frame.sequence;
        r->last_sequence = frame.sequence;
        r->last_epoch = frame.epoch;
        r->vouched = frame.durable_upto > r->vouched ? frame.durable_upto : r->vouched;
        segment->end += frame_size(&frame);
    }
}

/* Behind the first bad frame: what do the headers say that can still be read? */
static void recovery_search(Recovery *r, const Segment *segment, Str bytes) {
    for (uint64_t offset = segment->end; offset < segment->dirty_end; offset += FRAME_ALIGNMENT) {
        FrameHeader header;
        if (frame_header_read(bytes, offset, segment, &header) && header.durable_upto > r->vouched)
            r->vouched = header.durable_upto;
    }
}

/* D10: is what cannot be read something that was vouched for? */
static Status recovery_judge(const BatchLog *log, const Recovery *r, Error *err) {
    char *path = NULL;
    Status st = STATUS_OK;
    bool is_beheaded = log->segments[0].id > 1 && !log->segments[0].first_sequence; /* L3 */
    if (r->is_damaged && (r->vouched > r->last_sequence || is_beheaded)) {
        path = numbered_file_path(log->directory, family, log->segments[r->segment_index].id);
        st = error_set(err, STATUS_CORRUPT,
                       "%s: damaged at byte %" PRIu64 ": %s; frames up to %" PRIu64 " were durable", path,
                       r->offset, r->reason, r->vouched);
    } else if (is_beheaded) {
        path = numbered_file_path(log->directory, family, log->segments[0].id);
        st = error_set(err, STATUS_CORRUPT, "%s: damaged at byte %d: the oldest segment has lost its frames",
                       path, SEGMENT_HEADER_SIZE);
    }
    free(path);
    return st;
}

static void recovery_report(const BatchLog *log, const Recovery *r, BatchLogCut *cut) {
    *cut = (BatchLogCut){0};
    if (!r->is_damaged)
        return;
    cut->happened = true;
    cut->segment_id = log->segments[r->segment_index].id;
    cut->offset = r->offset;
    memcpy(cut->reason, r->reason, sizeof cut->reason);
    for (size_t i = r->segment_index; i < log->segment_count; i++)
        if (log->segments[i].dirty_end > log->segments[i].end)
            cut->bytes += log->segments[i].dirty_end - log->segments[i].end;
}

static Status segment_open(const BatchLog *log, const Segment *segment, EnvFile **out, Error *err) {
    char *path = numbered_file_path(log->directory, family, segment->id);
    Status st = env_file_open(log->env, path, ENV_READ | ENV_WRITE, out, err);
    free(path);
    return st;
}

static Status write_zeros(const BatchLog *log, EnvFile *file, uint64_t begin, uint64_t end, Error *err) {
    while (begin < end) {
        size_t piece = end - begin < ZEROS_SIZE ? (size_t)(end - begin) : ZEROS_SIZE;
        TRY(env_file_write(log->env, file, begin, zeros, piece, err));
        begin += piece;
    }
    return STATUS_OK;
}

/* Makes the cut durable: good frames behind it must not come back when new ones stand before them. */
static Status segment_wipe_tail(const BatchLog *log, const Segment *segment, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    TRY(segment_open(log, segment, &file, err));
    TRY_GOTO(done, write_zeros(log, file, segment->end, segment->dirty_end, err));
    TRY_GOTO(done, env_file_sync(log->env, file, err));
done:
    env_file_close(log->env, file);
    return st;
}

/* Frames that nothing vouches for may stand in memory only: after a sync that failed the system may call them
 * clean, and a second sync would succeed without writing them. So they are written once more. */
static Status make_tail_durable(BatchLog *log, uint64_t vouched, Error *err) {
    Status st = STATUS_OK;
    Segment *segment = &log->segments[log->current];
    SegmentBytes bytes;
    TRY_GOTO(done, segment_load(log, segment, &bytes, err));
    uint64_t begin = SEGMENT_HEADER_SIZE;
    Frame frame;
    const char *reason;
    while (begin < segment->end && begin < bytes.size) {
        if (frame_read(bytes_str(&bytes), begin, segment, &frame, &reason) != FRAME_GOOD ||
            frame.sequence > vouched)
            break;
        begin += frame_size(&frame);
    }
    if (segment->end > bytes.size) {
        st = error_set(err, STATUS_CORRUPT, "%s: became shorter while it was read",
                       env_file_path(log->env, log->file));
        goto done;
    }
    if (begin < segment->end)
        TRY_GOTO(done,
                 env_file_write(log->env, log->file, begin, bytes.data + begin, segment->end - begin, err));
    TRY_GOTO(done, env_file_sync(log->env, log->file, err));
    log->durable_upto = log->last_sequence;
done:
    free(bytes.data);
    return st;
}

static Status remove_last_segment(BatchLog *log, Error *err) {
    char *path = numbered_file_path(log->directory, family, log->segments[log->segment_count - 1].id);
    Status st = env_remove(log->env, path, err);
    free(path);
    TRY(st);
    log->segment_count--;
    return env_sync_directory(log->env, log->directory, err);
}

static Status load_segments(BatchLog *log, Recovery *r, Error *err) {
    Status st = STATUS_OK;
    SegmentBytes bytes = {0};
    for (size_t i = 0; i < log->segment_count; i++) {
        Segment *segment = &log->segments[i];
        if (i > 0 && segment->id != segment[-1].id + 1) { /* L4 */
            char *path = numbered_file_path(log->directory, family, segment[-1].id + 1);
            st = error_set(err, STATUS_CORRUPT, "%s: this segment of the log is missing", path);
            free(path);
            goto done;
        }
        free(bytes.data);
        TRY_GOTO(done, segment_load(log, segment, &bytes, err));
        TRY_GOTO(done, segment_header_check(log, segment, bytes_str(&bytes), err));
        segment->capacity_bytes = bytes.size & ~(uint64_t)(FRAME_ALIGNMENT - 1);
        segment->end = SEGMENT_HEADER_SIZE;
        segment->dirty_end = bytes.dirty_end;
        if (!r->is_damaged)
            recovery_walk(r, segment, i, bytes_str(&bytes));
        if (r->is_damaged)
            recovery_search(r, segment, bytes_str(&bytes));
        if (segment->first_sequence)
            log->current = i;
    }
done:
    free(bytes.data);
    return st;
}

static Status recover(BatchLog *log, BatchLogCut *cut, Error *err) {
    Recovery r = {0};
    TRY(load_segments(log, &r, err));
    TRY(recovery_judge(log, &r, err));
    if (cut)
        recovery_report(log, &r, cut);
    log->last_sequence = r.last_sequence;
    log->last_epoch = r.last_epoch;
    log->durable_upto = r.vouched;
    if (log->is_read_only)
        return STATUS_OK;

    if (r.is_damaged)
        for (size_t i = log->segment_count;
             i-- > r.segment_index;) /* from the end: the damage is found again after a crash */
            if (log->segments[i].dirty_end > log->segments[i].end)
                TRY(segment_wipe_tail(log, &log->segments[i], err));
    while (log->segment_count > log->current + 2)
        TRY(remove_last_segment(log, err));
    TRY(segment_open(log, &log->segments[log->current], &log->file, err));
    return log->last_sequence ? make_tail_durable(log, r.vouched, err) : STATUS_OK;
}

/* ---- making segments ---- */

static Segment *add_segment(BatchLog *log) {
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity ? log->segment_capacity * 2 : 8;
        log->segments = xrealloc(log->segments, log->segment_capacity * sizeof *log->segments);
    }
    Segment *segment = &log->segments[log->segment_count++];
    *segment = (Segment){0};
    return segment;
}

/* L1. The segment is in the list only when all of it worked. */
static Status make_segment(BatchLog *log, uint64_t id, uint64_t capacity_bytes, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    char *path = numbered_file_path(log->directory, family, id);
    SegmentHeader header = {.version = FORMAT_VERSION, .segment_id = id};
    EnvFileInfo info;
    memcpy(header.magic, magic, sizeof magic);
    TRY_GOTO(done, env_random_bytes(log->env, &header.salt, sizeof header.salt, err));
    header.crc = segment_header_crc(&header);
    TRY_GOTO(done, env_file_open(log->env, log->spare_path, ENV_READ | ENV_WRITE | ENV_CREATE, &file, err));
    TRY_GOTO(done, env_file_info(log->env, file, &info, err));
    if (info.size_bytes > capacity_bytes)
        TRY_GOTO(done, env_file_truncate(log->env, file, capacity_bytes, err));
    TRY_GOTO(done, write_zeros(log, file, 0, capacity_bytes, err));
    TRY_GOTO(done, env_file_write(log->env, file, 0, &header, sizeof header, err));
    TRY_GOTO(done, env_file_sync(log->env, file, err));
    log->has_spare = false;
    TRY_GOTO(done, env_rename(log->env, log->spare_path, path, err));
    TRY_GOTO(done, env_sync_directory(log->env, log->directory, err));
    *add_segment(log) = (Segment){
        .id = id, .end = SEGMENT_HEADER_SIZE, .capacity_bytes = capacity_bytes, .salt = header.salt};
done:
    env_file_close(log->env, file);
    free(path);
    return st;
}

static Status prepare(BatchLog *log, uint64_t capacity_bytes, Error *err) {
    if (log->segment_count > log->current + 1)
        return STATUS_OK;
    return make_segment(log, log->segments[log->current].id + 1, capacity_bytes, err);
}

/* ---- opening ---- */

Status batch_log_open(BatchLogOptions options, BatchLog **out, BatchLogCut *cut, Error *err) {
    Status st = STATUS_OK;
    BatchLog *log = xcalloc(1, sizeof *log);
    uint64_t *ids = NULL;
    size_t id_count = 0;
    *out = NULL;
    if (cut)
        *cut = (BatchLogCut){0};
    log->env = options.env;
    log->directory = xstrdup(str_from(options.directory));
    log->spare_path = env_path_join(options.directory, spare_name);
    log->segment_size_bytes = options.segment_size_bytes ? options.segment_size_bytes : SEGMENT_SIZE_DEFAULT;
    ASSERT(log->segment_size_bytes <= SEGMENT_FILE_SIZE_MAX);
    if (log->segment_size_bytes < SEGMENT_HEADER_SIZE + FRAME_HEADER_SIZE)
        log->segment_size_bytes = SEGMENT_HEADER_SIZE + FRAME_HEADER_SIZE;
    log->segment_size_bytes = padded(log->segment_size_bytes);
    log->is_read_only = options.read_only;

    TRY_GOTO(failed, numbered_files_list(log->env, log->directory, family, &ids, &id_count, err));
    for (size_t i = 0; i < id_count; i++)
        add_segment(log)->id = ids[i];
    if (id_count == 0 && !log->is_read_only) {
        uint64_t size = log->segment_size_bytes < FIRST_SEGMENT_SIZE_MAX ? log->segment_size_bytes
                                                                         : FIRST_SEGMENT_SIZE_MAX;
        TRY_GOTO(failed, make_segment(log, 1, size, err));
        TRY_GOTO(failed, segment_open(log, &log->segments[0], &log->file, err));
    } else if (id_count > 0) {
        TRY_GOTO(failed, recover(log, cut, err));
    }
    log->epoch = log->last_epoch;
    *out = log;
    free(ids);
    return STATUS_OK;
failed:
    free(ids);
    batch_log_close(log);
    return st;
}

void batch_log_close(BatchLog *log) {
    if (!log)
        return;
    env_file_close(log->env, log->file);
    text_deinit(&log->pending);
    free(log->segments);
    free(log->spare_path);
    free(log->directory);
    free(log);
}

/* ---- I4 ---- */

/* The one way out of every call that may touch the disk: the first failure is kept and is the answer from
 * then on. */
static Status settle(BatchLog *log, Status st, Error *err) {
    if (st == STATUS_OK)
        return STATUS_OK;
    log->poison.status = st;
    if (err)
        *err = log->poison;
    return st;
}

#define TRY_NOT_POISONED(log, err)                             \
    do {                                                       \
        if (UNLIKELY((log)->poison.status != STATUS_OK))       \
            return settle((log), (log)->poison.status, (err)); \
    } while (0)

/* ---- writing ---- */

/* Checksums and durable_upto are set as late as this, so that a frame vouches for as much as is known. */
static void seal_pending(BatchLog *log) {
    const Segment *segment = &log->segments[log->current];
    for (size_t at = 0; at < log->pending.size;) {
        FrameHeader header;
        memcpy(&header, log->pending.data + at, sizeof header);
        header.durable_upto = log->durable_upto;
        header.payload_crc = crc32c(0, log->pending.data + at + sizeof header, padded(header.payload_size));
        header.header_crc = frame_header_crc(&header, segment->salt);
        memcpy(log->pending.data + at, &header, sizeof header);
        at += sizeof header + padded(header.payload_size);
    }
}

static Status flush(BatchLog *log, Error *err) {
    if (log->pending.size == 0)
        return STATUS_OK;
    Segment *segment = &log->segments[log->current];
    seal_pending(log);
    TRY(env_file_write(log->env, log->file, segment->end, log->pending.data, log->pending.size, err));
    segment->end += log->pending.size;
    text_reset(&log->pending);
    return STATUS_OK;
}

static Status sync_log(BatchLog *log, Error *err) {
    TRY(flush(log, err));
    if (log->durable_upto == log->last_sequence)
        return STATUS_OK;
    TRY(env_file_sync(log->env, log->file, err));
    log->durable_upto = log->last_sequence;
    return STATUS_OK;
}

static Status rotate(BatchLog *log, uint64_t capacity_bytes, Error *err) {
    TRY(sync_log(log, err)); /* L2 */
    TRY(prepare(log, capacity_bytes, err));
    EnvFile *file = NULL;
    TRY(segment_open(log, &log->segments[log->current + 1], &file, err));
    env_file_close(log->env, log->file);
    log->file = file;
    log->current++;
    return STATUS_OK;
}

/* Makes the current segment one that the frame fits in. */
static Status make_room(BatchLog *log, uint64_t size, Error *err) {
    Segment *segment = &log->segments[log->current];
    if (size <= segment->capacity_bytes - segment->end - log->pending.size)
        return STATUS_OK;
    uint64_t needed = SEGMENT_HEADER_SIZE + size;
    uint64_t capacity = needed > log->segment_size_bytes ? needed : log->segment_size_bytes;
    if (segment->first_sequence) {
        TRY(rotate(log, capacity, err));
        segment = &log->segments[log->current];
    }
    if (needed >
        segment->capacity_bytes) { /* made for smaller frames; the sync of the frame covers the new size */
        TRY(write_zeros(log, log->file, segment->capacity_bytes, capacity, err));
        segment->capacity_bytes = capacity;
    }
    return STATUS_OK;
}

Status batch_log_append(BatchLog *log, uint8_t kind, Str payload, uint64_t *sequence, Error *err) {
    ASSERT(!log->is_read_only);
    TRY_NOT_POISONED(log, err);
    if (payload.size > PAYLOAD_SIZE_MAX)
        return error_set(err, STATUS_INVALID,
                         "a frame of %zu bytes is over the batch log's limit of %d bytes", payload.size,
                         PAYLOAD_SIZE_MAX);
    TRY(settle(log, make_room(log, FRAME_HEADER_SIZE + padded(payload.size), &log->poison), err));

    FrameHeader header = {
        .payload_size = (uint32_t)payload.size,
        .epoch = log->epoch,
        .sequence = ++log->last_sequence,
        .segment_id = log->segments[log->current].id,
        .kind = kind,
    };
    text_append(&log->pending, str_slice(&header, sizeof header));
    text_append(&log->pending, payload);
    text_append(&log->pending, str_slice(zeros, padded(payload.size) - payload.size));
    log->last_epoch = log->epoch;
    if (!log->segments[log->current].first_sequence)
        log->segments[log->current].first_sequence = header.sequence;
    if (sequence)
        *sequence = header.sequence;
    return STATUS_OK;
}

Status batch_log_flush(BatchLog *log, Error *err) {
    TRY_NOT_POISONED(log, err);
    return settle(log, flush(log, &log->poison), err);
}

Status batch_log_sync(BatchLog *log, Error *err) {
    TRY_NOT_POISONED(log, err);
    return settle(log, sync_log(log, &log->poison), err);
}

Status batch_log_prepare(BatchLog *log, Error *err) {
    ASSERT(!log->is_read_only);
    TRY_NOT_POISONED(log, err);
    return settle(log, prepare(log, log->segment_size_bytes, &log->poison), err);
}

/* ---- giving up ---- */

/* L4: one at a time, each made durable. */
static Status retire_oldest(BatchLog *log, Error *err) {
    Segment *segment = &log->segments[0];
    char *path = numbered_file_path(log->directory, family, segment->id);
    bool is_recycled = !log->has_spare && segment->capacity_bytes == log->segment_size_bytes;
    Status st =
        is_recycled ? env_rename(log->env, path, log->spare_path, err) : env_remove(log->env, path, err);
    free(path);
    TRY(st);
    /* Before the file is zeroed: a zeroed segment under its old name would be damage. */
    TRY(env_sync_directory(log->env, log->directory, err));
    log->has_spare |= is_recycled;
    log->segment_count--;
    log->current--;
    memmove(segment, segment + 1, log->segment_count * sizeof *segment);
    return STATUS_OK;
}

static Status cut_before(BatchLog *log, uint64_t sequence, Error *err) {
    while (log->current > 0) {
        uint64_t next_first = log->segments[1].first_sequence;
        if (next_first > sequence || next_first > log->durable_upto) /* L3 */
            break;
        TRY(retire_oldest(log, err));
    }
    return STATUS_OK;
}

Status batch_log_cut_before(BatchLog *log, uint64_t sequence, Error *err) {
    ASSERT(!log->is_read_only);
    TRY_NOT_POISONED(log, err);
    return settle(log, cut_before(log, sequence, &log->poison), err);
}

/* ---- asking ---- */

static Status visit_segment(const BatchLog *log, const Segment *segment, Str bytes,
                            Status (*visit)(void *self, const Frame *frame, Error *err), void *self,
                            Error *err) {
    for (uint64_t offset = SEGMENT_HEADER_SIZE; offset < segment->end;) {
        Frame frame;
        const char *reason = "the frame is gone";
        if (offset >= bytes.size || frame_read(bytes, offset, segment, &frame, &reason) != FRAME_GOOD) {
            char *path = numbered_file_path(log->directory, family, segment->id);
            Status st =
                error_set(err, STATUS_CORRUPT, "%s: damaged at byte %" PRIu64 " since it was opened: %s",
                          path, offset, reason);
            free(path);
            return st;
        }
        TRY(visit(self, &frame, err));
        offset += frame_size(&frame);
    }
    return STATUS_OK;
}

Status batch_log_read(BatchLog *log, Status (*visit)(void *self, const Frame *frame, Error *err), void *self,
                      Error *err) {
    TRY_NOT_POISONED(log, err);
    Status st = STATUS_OK;
    for (size_t i = 0; i < log->segment_count && st == STATUS_OK; i++) {
        const Segment *segment = &log->segments[i];
        if (segment->end == SEGMENT_HEADER_SIZE) /* prepared */
            continue;
        SegmentBytes bytes;
        st = segment_load(log, segment, &bytes, err);
        if (st == STATUS_OK)
            st = visit_segment(log, segment, bytes_str(&bytes), visit, self, err);
        free(bytes.data);
    }
    return st;
}

void batch_log_set_epoch(BatchLog *log, uint32_t epoch) {
    ASSERT(epoch > log->last_epoch);
    log->epoch = epoch;
}

uint64_t batch_log_last_sequence(const BatchLog *log) {
    return log->last_sequence;
}
uint32_t batch_log_last_epoch(const BatchLog *log) {
    return log->last_epoch;
}
uint64_t batch_log_durable_upto(const BatchLog *log) {
    return log->durable_upto;
}

uint64_t batch_log_size_bytes(const BatchLog *log) {
    uint64_t size_bytes = log->pending.size;
    for (size_t i = 0; i < log->segment_count; i++)
        size_bytes += log->segments[i].end - SEGMENT_HEADER_SIZE;
    return size_bytes;
}
