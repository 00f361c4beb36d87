/* suggest.h - "did you mean": the known word that is nearest to the one a person wrote. */
#ifndef LEAT_BASE_SUGGEST_H
#define LEAT_BASE_SUGGEST_H

#include "base/str.h"

/* The nearest of `words` when a few slips of the keyboard lead there (letters left out, added, changed,
 * swapped: at most one in three), else NULL. `next(self, i)` gives the i-th word, NULL at the end. */
const char *suggest(Str wrong, const char *(*next)(const void *self, size_t i), const void *self);

#endif
