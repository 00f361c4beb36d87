/* text.h - bytes of text files and text streams to chunks of lines, or of the parts of lines, without
 * copying.
 *
 * A line ends by LF, CR or CRLF; an unterminated last line counts. Bytes that are not UTF-8 are kept as they
 * are. The reader is given one buffer after another; chunks refer to the buffer of their lines. A line must
 * stand whole in its buffer: text_cut tells how much of a buffer is whole lines, the caller carries the rest
 * over.
 *
 *   I1  In whatever chunks a text comes, they hold what leat_str_next_line and leat_str_split give of it.
 *
 * Memory  the arrays of one chunk, charged to the budget at create; reading cannot fail.  Threads  one owner.
 */
#ifndef LEAT_FORMAT_TEXT_H
#define LEAT_FORMAT_TEXT_H

#include "column/chunk.h"

/* What a reader gives: one STRING column with a line per row ("value STRING"), or with a part per row when
 * `separator` is given (the fused form of a flat-map by a separator: n separators give n + 1 parts). */
typedef struct TextOptions {
    bool has_separator;
    char separator; /* not CR or LF */
} TextOptions;

typedef struct TextReader TextReader;

/* `schema` has one STRING column and is borrowed.  NO_MEMORY. */
CHECKED Status text_reader_create(TextOptions options, const Schema *schema, Budget *budget, TextReader **out,
                                  Error *err);
void text_reader_destroy(TextReader *reader); /* NULL is allowed */
/* Begins a buffer: bytes [begin, end) of it are whole lines (the last may lack its line ending). Borrowed
 * until the next begin or destroy. `skip_lf`: a LF at `begin` belongs to a CR that the caller has seen
 * before; the line ended there. */
void text_reader_begin(TextReader *reader, Buffer *buffer, size_t begin, size_t end, bool skip_lf);
/* The next chunk of the buffer, scratch, valid until the next call; false: the buffer is used up. */
bool text_reader_next(TextReader *reader, Chunk *out);
/* The same lines as byte ranges, for functions per record: up to CHUNK_ROWS_MAX at *lines, borrowed until the
 * next call; 0: used up. Only without separator. */
uint32_t text_reader_next_lines(TextReader *reader, const LeatStr **lines);
uint64_t text_reader_line_count(const TextReader *reader); /* lines given since create */

/* How many bytes of [data, data + size) are whole lines: behind the last LF, or behind the last CR that is
 * not the final byte (a LF may follow it). 0: no line ends here. */
size_t text_cut(const char *data, size_t size);

#endif
