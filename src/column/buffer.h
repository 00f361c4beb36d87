/* buffer.h - shared bytes: what string views point into.
 *
 * Refcounted; immutable once shared. At least 16 readable bytes before the data and 64 behind its capacity,
 * so that kernels may load whole vectors around any string. Data starts 4096-aligned when the capacity is at
 * least 64 KiB (for direct reads and writes), else 16-aligned.
 *
 * Threads  retain and release from any; the count is atomic.
 * Memory   charged to the budget until the last release.
 */
#ifndef LEAT_COLUMN_BUFFER_H
#define LEAT_COLUMN_BUFFER_H

#include "base/memory.h"

enum { BUFFER_SLACK_BEFORE = 16, BUFFER_SLACK_AFTER = 64 };

typedef struct Buffer {
    char *data;
    size_t size; /* bytes that mean something; the writer sets it before sharing */
    size_t capacity;
    Budget *budget; /* or NULL */
    _Atomic uint32_t reference_count;
} Buffer;

/* reference_count 1, size 0. `who`: static text for the refusal.  NO_MEMORY; so for a capacity that 32-bit
 * offsets do not reach. */
CHECKED Status buffer_create(size_t capacity, Budget *budget, const char *who, Buffer **out, Error *err);
Buffer *buffer_retain(Buffer *buffer);          /* gives its argument back */
void buffer_release(Buffer *buffer);            /* NULL is allowed */
bool buffer_is_shared(const Buffer *buffer);    /* more than one reference */
size_t buffer_size_bytes(const Buffer *buffer); /* what it is charged */

#endif
