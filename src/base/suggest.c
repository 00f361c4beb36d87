#include "base/suggest.h"

enum { WORD_SIZE_MAX = 64 };

/* Edits that lead from a to b (optimal string alignment). */
static size_t distance(Str a, Str b) {
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.size; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t best = above[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            bool is_swap = i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
            if (is_swap && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.size];
}

const char *suggest(Str wrong, const char *(*next)(const void *self, size_t i), const void *self) {
    const char *best = NULL;
    size_t best_distance = 0;
    if (wrong.size > WORD_SIZE_MAX)
        return NULL;
    const char *word;
    for (size_t i = 0; (word = next(self, i)) != NULL; i++) {
        Str known = str_from(word);
        size_t longer = known.size > wrong.size ? known.size : wrong.size;
        if (known.size > WORD_SIZE_MAX)
            continue;
        size_t edits = distance(wrong, known);
        if (edits * 3 <= longer && (!best || edits < best_distance)) {
            best = word;
            best_distance = edits;
        }
    }
    return best;
}
