/* line_limit.h - where lines end in bytes of text, and which are longer than a limit: what every source of
 * text asks of the bytes it takes in.
 *
 * A line ends by LF, CR or CRLF (as in format/text.h). Searching costs next to nothing where lines are
 * shorter than the limit: the bytes are not scanned, only a few before each multiple of the limit.
 */
#ifndef LEAT_STREAM_LINE_LIMIT_H
#define LEAT_STREAM_LINE_LIMIT_H

#include "base/str.h"

/* The first LF or CR in [begin, end), or `end`. */
size_t line_end_first(const char *data, size_t begin, size_t end);
/* Behind the last LF or CR in [begin, end), or `begin` when there is none. */
size_t line_end_last(const char *data, size_t begin, size_t end);
/* Behind the ending that begins at `at`: two bytes on for a CRLF that stands whole before `end`, else one. */
size_t line_end_behind(const char *data, size_t at, size_t end);

/* The first line of [begin, end), where `begin` is the begin of a line, with more than
 * limit_bytes bytes before its ending. False: there is none. *line_end is behind its ending;
 * *is_ended false: it goes on at `end`. */
bool line_over_limit(const char *data, size_t begin, size_t end, uint64_t limit_bytes, size_t *line_begin,
                     size_t *line_end, bool *is_ended);

#endif
