#include "stream/line_limit.h"

#include <string.h>

size_t line_end_first(const char *data, size_t begin, size_t end) {
    if (begin == end)
        return end;
    const char *lf = memchr(data + begin, '\n', end - begin);
    size_t stop = lf ? (size_t)(lf - data) : end;
    const char *cr = memchr(data + begin, '\r', stop - begin);
    return cr ? (size_t)(cr - data) : stop;
}

size_t line_end_last(const char *data, size_t begin, size_t end) {
    if (begin == end)
        return begin;
    const char *lf = memrchr(data + begin, '\n', end - begin);
    size_t from = lf ? (size_t)(lf - data) + 1 : begin;
    const char *cr = memrchr(data + from, '\r', end - from);
    return cr ? (size_t)(cr - data) + 1 : from;
}

size_t line_end_behind(const char *data, size_t at, size_t end) {
    return at + (data[at] == '\r' && at + 1 < end && data[at + 1] == '\n' ? 2 : 1);
}

bool line_over_limit(const char *data, size_t begin, size_t end, uint64_t limit_bytes, size_t *line_begin,
                     size_t *line_end, bool *is_ended) {
    while (end - begin > limit_bytes) {
        /* The longest line that is allowed ends at begin + limit_bytes. When a line ends at or before that,
         * all up to there are within the limit. */
        size_t behind = line_end_last(data, begin, begin + limit_bytes + 1);
        if (behind > begin) {
            begin = line_end_behind(data, behind - 1, end);
            continue;
        }
        size_t at = line_end_first(data, begin + limit_bytes + 1, end);
        *line_begin = begin;
        *is_ended = at < end;
        *line_end = *is_ended ? line_end_behind(data, at, end) : end;
        return true;
    }
    return false;
}
