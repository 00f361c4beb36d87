/* file_split.c - see file_split.h.
 *
 * A range begins to read one byte before its begin, and looks for the first ending from there on: behind it
 * the first line of the range begins. In the same way it stops behind the first ending at or behind its last
 * byte: what begins there is the next range's. Both are the same rule, so ranges agree without knowing of
 * each other.
 *
 *   SEEKING --ending--> IN_LINES --stop, end of file--> ENDED
 *
 *   T1  buffer[at, size) was read and not given yet; buffer[size] stands at file offset `offset`.
 *   T2  In SEEKING bytes are dropped: those before the first line, or of a line over the limit. The ending
 *       that is looked for may be split over two reads: skip_lf.
 *   T3  IN_LINES: `at` is the begin of a line of this range.
 */
#include "connect/file/file_split.h"

#include "base/log.h"
#include "stream/line_limit.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BUFFER_SIZE = 1 << 20 };

typedef enum FileSplitState { SPLIT_SEEKING, SPLIT_IN_LINES, SPLIT_ENDED } FileSplitState;

typedef struct FileSplit {
    Split base;
    FileSplitOptions options;
    char *path;
    /* open */
    EnvFile *file;
    Budget *budget;
    FileSplitState state;
    bool skip_lf;
    Buffer *buffer; /* being read; shared with the piece that was given last */
    size_t at;
    uint64_t offset;
} FileSplit;

CHECKED static Status take_buffer(FileSplit *split, size_t capacity, Buffer **out, Error *err) {
    Status st = buffer_create(capacity, split->budget, "reading a file", out, err);
    return error_context(err, st, "%s", split->path);
}

CHECKED static Status file_split_open(Split *base, Budget *budget, Error *err) {
    FileSplit *split = (FileSplit *)base;
    const FileSplitOptions *options = &split->options;
    split->budget = budget;
    split->state = options->begin > 0 ? SPLIT_SEEKING : SPLIT_IN_LINES;
    split->skip_lf = false;
    split->at = 0;
    split->offset = options->begin > 0 ? options->begin - 1 : 0;
    TRY(env_file_open(options->env, split->path, ENV_READ, &split->file, err));
    Status st = take_buffer(split, options->buffer_size_bytes, &split->buffer, err);
    if (st != STATUS_OK) {
        env_file_close(options->env, split->file);
        split->file = NULL;
    }
    return st;
}

static void file_split_close(Split *base) {
    FileSplit *split = (FileSplit *)base;
    env_file_close(split->options.env, split->file);
    split->file = NULL;
    buffer_release(split->buffer);
    split->buffer = NULL;
}

static void file_split_destroy(Split *base) {
    FileSplit *split = (FileSplit *)base;
    free(split->path);
    free(split);
}

/* Where buffer[index] stands in the file. */
static uint64_t offset_of(const FileSplit *split, size_t index) {
    return split->offset - (split->buffer->size - index);
}

static bool is_at_end_of_file(const FileSplit *split) {
    return split->offset == split->options.file_size_bytes;
}

/* What was not given yet moves to the front of a buffer with room behind it: the same one when nobody looks
 * at it. A buffer that is one unfinished line is followed by one of twice the size. */
CHECKED static Status make_room(FileSplit *split, Error *err) {
    Buffer *old = split->buffer, *next = NULL;
    size_t rest = old->size - split->at, usual = split->options.buffer_size_bytes;
    size_t capacity = rest < usual ? usual : rest < old->capacity ? old->capacity : 2 * rest;
    if (capacity == old->capacity && !buffer_is_shared(old)) {
        memmove(old->data, old->data + split->at, rest);
    } else {
        TRY(take_buffer(split, capacity, &next, err));
        memcpy(next->data, old->data + split->at, rest);
        split->buffer = next;
        buffer_release(old);
    }
    split->buffer->size = rest;
    split->at = 0;
    return STATUS_OK;
}

/* Reads on behind what is there. Not at the end of the file. */
CHECKED static Status fill(FileSplit *split, Error *err) {
    const FileSplitOptions *options = &split->options;
    TRY(make_room(split, err));
    Buffer *buffer = split->buffer;
    uint64_t left = options->file_size_bytes - split->offset;
    size_t room = buffer->capacity - buffer->size, size = left < room ? (size_t)left : room, read_bytes = 0;
    TRY(env_file_read(options->env, split->file, split->offset, buffer->data + buffer->size, size,
                      &read_bytes, err));
    if (read_bytes < size)
        return error_set(err, STATUS_IO,
                         "%s has become shorter while it was to be read: it had %" PRIu64
                         " bytes when the batch was planned, now it ends at byte %" PRIu64,
                         split->path, options->file_size_bytes, split->offset + read_bytes);
    buffer->size += size;
    split->offset += size;
    return STATUS_OK;
}

/* T2: drops up to the first ending; false: more must be read. */
static bool seek_line(FileSplit *split) {
    const Buffer *buffer = split->buffer;
    size_t at = line_end_first(buffer->data, split->at, buffer->size);
    if (at == buffer->size) {
        split->at = at;
        return false;
    }
    split->skip_lf = buffer->data[at] == '\r' && at + 1 == buffer->size;
    split->at = line_end_behind(buffer->data, at, buffer->size);
    split->state = SPLIT_IN_LINES;
    return true;
}

/* Up to where buffer[at, ...) holds whole lines of this range. */
static size_t whole_lines(FileSplit *split, bool *is_last) {
    const Buffer *buffer = split->buffer;
    const char *data = buffer->data;
    uint64_t last_byte = split->options.end - 1;
    *is_last = is_at_end_of_file(split);
    if (split->offset > last_byte && split->options.end < split->options.file_size_bytes) {
        size_t from = split->at;
        if (last_byte > offset_of(split, from))
            from += (size_t)(last_byte - offset_of(split, from));
        size_t at = line_end_first(data, from, buffer->size);
        if (at < buffer->size) { /* the line that holds the last byte ends here */
            *is_last = true;
            return line_end_behind(data, at, buffer->size);
        }
    }
    if (*is_last)
        return buffer->size;
    size_t end = line_end_last(data, split->at, buffer->size);
    /* A CR as the last byte may be half of an ending: the line waits for the next byte. */
    if (end == buffer->size && end > split->at && data[end - 1] == '\r')
        end = line_end_last(data, split->at, end - 1);
    return end;
}

static void report_left_out(const FileSplit *split, size_t line_begin) {
    log_warn("file",
             "LINE-LEFT-OUT %s: the line that begins at byte %" PRIu64 " is longer than max-line, %" PRIu64
             " bytes",
             split->path, offset_of(split, line_begin), split->options.line_size_bytes_max);
}

/* Gives whole lines of the buffer up to the first that is over the limit, which is left
 * out. False: none there. */
static bool give_lines(FileSplit *split, TextPiece *piece) {
    const Buffer *buffer = split->buffer;
    bool is_last, is_ended;
    size_t end = whole_lines(split, &is_last), line_begin, line_end;
    size_t scan_end = is_last ? end : buffer->size; /* the unfinished line may be over the limit already */
    while (split->at < scan_end) {
        size_t begin = split->at;
        bool is_over = line_over_limit(buffer->data, begin, scan_end, split->options.line_size_bytes_max,
                                       &line_begin, &line_end, &is_ended);
        if (!is_over) {
            split->at = end;
            if (is_last)
                split->state = SPLIT_ENDED;
            if (begin == end)
                return false;
            *piece = (TextPiece){.buffer = split->buffer, .begin = begin, .end = end};
            return true;
        }
        report_left_out(split, line_begin);
        split->at = line_end;
        if (is_last && line_end == scan_end)
            split->state = SPLIT_ENDED;
        else if (!is_ended)
            split->state = SPLIT_SEEKING;
        else
            split->skip_lf = line_end == buffer->size && buffer->data[line_end - 1] == '\r';
        if (line_begin > begin) {
            *piece = (TextPiece){.buffer = split->buffer, .begin = begin, .end = line_begin};
            return true;
        }
        if (split->state != SPLIT_IN_LINES)
            return false;
    }
    if (is_last)
        split->state = SPLIT_ENDED;
    return false;
}

CHECKED static Status file_split_next_piece(Split *base, TextPiece *piece, Error *err) {
    FileSplit *split = (FileSplit *)base;
    *piece = (TextPiece){0};
    if (split->options.end == 0)
        split->state = SPLIT_ENDED;
    while (split->state != SPLIT_ENDED) {
        if (split->at < split->buffer->size && split->skip_lf) {
            split->skip_lf = false;
            split->at += split->buffer->data[split->at] == '\n';
        }
        /* No line of this range begins behind its end. */
        if (split->state == SPLIT_IN_LINES && offset_of(split, split->at) >= split->options.end) {
            split->state = SPLIT_ENDED;
            break;
        }
        bool has_bytes = split->at < split->buffer->size;
        if (has_bytes && split->state == SPLIT_SEEKING && seek_line(split))
            continue;
        if (has_bytes && split->state == SPLIT_IN_LINES && give_lines(split, piece))
            return STATUS_OK;
        if (split->state == SPLIT_ENDED)
            break;
        if (is_at_end_of_file(split)) {
            ASSERT(split->at == split->buffer->size);
            split->state = SPLIT_ENDED;
            break;
        }
        TRY(fill(split, err));
    }
    return STATUS_OK;
}

static const SplitClass file_split_class = {.open = file_split_open,
                                            .next_piece = file_split_next_piece,
                                            .close = file_split_close,
                                            .destroy = file_split_destroy};

Split *file_split_create(FileSplitOptions options) {
    FileSplit *split = xcalloc(1, sizeof *split);
    *split = (FileSplit){.base = {.class = &file_split_class, .size_bytes = options.end - options.begin},
                         .options = options,
                         .path = xstrdup(str_from(options.path))};
    if (options.buffer_size_bytes == 0)
        split->options.buffer_size_bytes = BUFFER_SIZE;
    split->options.path = split->path;
    return &split->base;
}
