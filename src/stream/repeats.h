/* repeats.h - says the same thing once, and then once a minute: for what is tried again for ever.
 *
 * Zero-initialise.  Threads  one owner.
 */
#ifndef LEAT_STREAM_REPEATS_H
#define LEAT_STREAM_REPEATS_H

#include "base/str.h"

enum { REPEATS_TEXT_SIZE_MAX = 256, REPEATS_INTERVAL_US = 60 * 1000 * 1000 };

typedef struct Repeats {
    char text[REPEATS_TEXT_SIZE_MAX]; /* what was said last */
    int64_t said_us;
    uint64_t unsaid_count; /* the same since then */
} Repeats;

/* True: say it. It is another text than the last one (longer ones are compared by what fits), or a minute has
 * passed; then *unsaid_count tells how often the same was not said meanwhile. */
bool repeats_say(Repeats *repeats, const char *text, int64_t now_us, uint64_t *unsaid_count);
/* All is well: whatever comes next is said. */
void repeats_forget(Repeats *repeats);

#endif
