/* source_lines.h - for tests of sources: services to open one with, batches, and the lines they give as text.
 */
#ifndef LEAT_TESTS_SOURCE_LINES_H
#define LEAT_TESTS_SOURCE_LINES_H

#include "base/log.h"
#include "stream/source.h"

#include "check.h"

#include <stdlib.h>

enum { LINE_SIZE_MAX = 16 << 20, BUDGET_SIZE = 256 << 20 };

typedef struct Lines {
    Text text; /* every line, each with a LF behind it */
    uint64_t count, pieces, splits;
} Lines;

__attribute__((unused)) static void lines_deinit(Lines *lines) {
    text_deinit(&lines->text);
    *lines = (Lines){0};
}

/* Opens, reads and closes every split. The first error ends it. */
__attribute__((unused)) static Status lines_read(SplitList *list, Budget *budget, Lines *lines, Error *err) {
    for (uint32_t i = 0; i < list->count; i++) {
        Split *split = list->splits[i];
        TextPiece piece = {0};
        TRY(split->class->open(split, budget, err));
        Status st = split->class->next_piece(split, &piece, err);
        while (st == STATUS_OK && piece.buffer) {
            size_t begin = piece.begin + (piece.skip_lf && piece.buffer->data[piece.begin] == '\n');
            Str rest = {piece.buffer->data + begin, piece.end - begin}, line;
            lines->pieces++;
            while (leat_str_next_line(&rest, &line)) {
                text_append(&lines->text, line);
                text_append_byte(&lines->text, '\n');
                lines->count++;
            }
            st = split->class->next_piece(split, &piece, err);
        }
        split->class->close(split);
        TRY(st);
        lines->splits++;
    }
    return STATUS_OK;
}

/* The lines of a text as the house rule has them. */
__attribute__((unused)) static void lines_of(Str text, Lines *lines) {
    Str line;
    while (leat_str_next_line(&text, &line)) {
        text_append(&lines->text, line);
        text_append_byte(&lines->text, '\n');
        lines->count++;
    }
}

/* What was logged since log_capture(). Only from one thread at a time; look at it when that has ended. */
static Text logged;

static void keep_line(void *self, Str line) {
    (void)self;
    text_append(&logged, line);
}

__attribute__((unused)) static void log_capture(void) {
    text_deinit(&logged);
    (void)env_real(); /* it sets its own at the first call */
    log_set_hooks((LogHooks){.write = keep_line});
}

__attribute__((unused)) static bool log_has(const char *part) {
    return logged.data && strstr(logged.data, part);
}

__attribute__((unused)) static size_t log_line_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < logged.size; i++)
        count += logged.data[i] == '\n';
    return count;
}

#endif
