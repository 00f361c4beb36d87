/* text.c - the scanners of column/kernels do the work; here is what happens at the end of a chunk and of a
 * buffer.
 *
 * A scan stops when its next 64 bytes might not fit into the chunk, so a full chunk has a few rows less than
 * CHUNK_ROWS_MAX. The part behind the last line ending is found by scan_finish, once for a buffer. */
#include "format/text.h"

#include "column/array.h"
#include "column/kernels/kernels.h"

#include <stdlib.h>

struct TextReader {
    TextOptions options;
    Budget *budget;
    Array views; /* View[CHUNK_ROWS_MAX] */
    Array lines; /* LeatStr[CHUNK_ROWS_MAX]; none with a separator */
    Buffer *buffer;
    const char *begin; /* of the text in the buffer */
    TextScan scan;
    bool is_finished; /* nothing more in this buffer */
    const Schema *schema;
    Column column; /* of the chunk given */
};

Status text_reader_create(TextOptions options, const Schema *schema, Budget *budget, TextReader **out,
                          Error *err) {
    Status st = STATUS_OK;
    TextReader *r = xcalloc(1, sizeof *r);
    *out = NULL;
    ASSERT(schema->column_count == 1 && schema->fields[0].type.kind == LEAT_STRING);
    ASSERT(!options.has_separator || (options.separator != '\n' && options.separator != '\r'));
    r->options = options;
    r->budget = budget;
    r->is_finished = true;
    TRY_GOTO(fail, array_reserve(&r->views, 0, CHUNK_ROWS_MAX * sizeof(View), budget, "text reader", err));
    if (!options.has_separator)
        TRY_GOTO(fail,
                 array_reserve(&r->lines, 0, CHUNK_ROWS_MAX * sizeof(LeatStr), budget, "text reader", err));
    r->schema = schema;
    r->column = (Column){.type = &schema->fields[0].type, .data = r->views.data, .buffers = &r->buffer};
    *out = r;
    return STATUS_OK;
fail:
    text_reader_destroy(r);
    return st;
}

void text_reader_destroy(TextReader *r) {
    if (!r)
        return;
    array_deinit(&r->views, r->budget);
    array_deinit(&r->lines, r->budget);
    free(r);
}

void text_reader_begin(TextReader *r, Buffer *buffer, size_t begin, size_t end, bool skip_lf) {
    ASSERT(begin <= end && end <= buffer->capacity);
    r->buffer = buffer;
    r->begin = buffer->data + begin;
    r->scan = (TextScan){.base = buffer->data,
                         .at = r->begin,
                         .start = r->begin,
                         .end = buffer->data + end,
                         .after_cr = skip_lf,
                         .line_count = r->scan.line_count};
    r->is_finished = false;
    r->column.buffer_count = 1;
}

/* The text is used up and there is room for what stands behind its last line ending: true
 * when something does. */
static bool take_last(TextReader *r, uint32_t count, LeatStr *last) {
    if (r->is_finished || r->scan.at < r->scan.end || count == CHUNK_ROWS_MAX)
        return false;
    r->is_finished = true;
    return scan_finish(&r->scan, r->begin, last);
}

static uint32_t next_lines(TextReader *r) {
    LeatStr *lines = r->lines.data;
    uint32_t count = r->is_finished ? 0 : kernels()->scan_lines(&r->scan, lines, CHUNK_ROWS_MAX);
    return count + take_last(r, count, &lines[count]);
}

/* Parts of lines, straight to views. */
static uint32_t next_parts(TextReader *r) {
    View *views = r->views.data;
    LeatStr last;
    uint32_t count =
        r->is_finished ? 0 : kernels()->scan_tokens(&r->scan, r->options.separator, views, CHUNK_ROWS_MAX);
    if (take_last(r, count, &last))
        views[count++] = view_of(last, 0, (uint32_t)(last.data - r->buffer->data));
    return count;
}

bool text_reader_next(TextReader *r, Chunk *out) {
    uint32_t count;
    if (r->options.has_separator) {
        count = next_parts(r);
    } else if ((count = next_lines(r)) > 0) {
        const char *base = r->buffer->data;
        size_t size = (size_t)(r->scan.end - base);
        kernels()->views_from_strs(r->lines.data, count, &base, &size, 1, r->views.data);
    }
    if (count == 0)
        return false;
    *out = (Chunk){.schema = r->schema, .columns = &r->column, .row_count = count, .selected_count = count};
    return true;
}

uint32_t text_reader_next_lines(TextReader *r, const LeatStr **lines) {
    ASSERT(!r->options.has_separator);
    *lines = r->lines.data;
    return next_lines(r);
}

uint64_t text_reader_line_count(const TextReader *r) {
    return r->scan.line_count;
}

size_t text_cut(const char *data, size_t size) {
    const char *lf = size ? memrchr(data, '\n', size) : NULL;
    size_t cut = lf ? (size_t)(lf - data) + 1 : 0;
    /* A CR counts when it is further behind, but the final byte may be half of a CRLF. */
    const char *cr = size > cut + 1 ? memrchr(data + cut, '\r', size - 1 - cut) : NULL;
    return cr ? (size_t)(cr - data) + 1 : cut;
}
