/* memory.h - budgets, arenas, and memory that cannot fail.
 *
 * Memory for plans, options and names comes from xmalloc and ends the program when there is none. Memory for
 * chunks, state and buffers is charged to a Budget and gives STATUS_NO_MEMORY, because there the engine can
 * shrink the batch or push back on the source.
 */
#ifndef LEAT_BASE_MEMORY_H
#define LEAT_BASE_MEMORY_H

#include "base/str.h"
#include <stdatomic.h>

void *xmalloc(size_t size_bytes);
void *xcalloc(size_t count, size_t size_bytes);
void *xrealloc(void *old, size_t size_bytes);
char *xstrdup(Str s); /* zero-terminated copy; free() it */

/* An amount of memory that somebody may use, inside the amount of a parent.
 *
 *   I1  used <= limit, here and in every ancestor; a charge that would break this changes nothing.
 *
 * Threads  any; the counters are atomic. A budget outlives everything charged to it. */
typedef struct Budget {
    const char *name;      /* static text for messages: "state", "receivers" */
    struct Budget *parent; /* or NULL */
    uint64_t limit_bytes;
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t peak_bytes;
} Budget;

void budget_init(Budget *budget, const char *name, uint64_t limit_bytes, Budget *parent);

/* NO_MEMORY names `who` (an operator, a source), the budget, what is used and the limit. NULL: always OK. */
CHECKED Status budget_charge(Budget *budget, uint64_t size_bytes, const char *who, Error *err);
void budget_release(Budget *budget, uint64_t size_bytes);

/* malloc + charge. budget_free needs the size that was asked for. `*out` is NULL on failure. Every block has
 * 16 readable bytes before and 32 behind, so that kernels may load whole vectors around a string. Blocks of 2
 * MiB and more are page-aligned, zero-filled by the kernel, and asked to be huge pages. */
CHECKED Status budget_alloc(Budget *budget, size_t size_bytes, const char *who, void **out, Error *err);
CHECKED Status budget_alloc_zeroed(Budget *budget, size_t size_bytes, const char *who, void **out,
                                   Error *err);
void budget_free(Budget *budget, void *block, size_t size_bytes); /* NULL is allowed */
/* For a large block that will be written to its end: gets its pages from the system at once, where it can,
 * instead of one by one at the first write to each. The bytes stay what they are. */
void memory_populate(void *block, size_t size_bytes);

enum { MEMORY_SLACK_BEFORE = 16, MEMORY_SLACK_AFTER = 32 };

/* Memory that is given back all at once. Blocks double from 4 KiB to 1 MiB; a larger request gets its own
 * block. Every allocation has at least 32 readable bytes behind it (kernels may load whole vectors), 16
 * before.
 *
 * Threads  one owner.  Faults  as budget_charge; an arena without a budget never fails. */
typedef struct Arena Arena;

Arena *arena_create(Budget *budget, const char *who); /* budget may be NULL; who: static text for messages */
void arena_destroy(Arena *arena);                     /* NULL is allowed */
void arena_reset(Arena *arena);                       /* everything is given back; keeps its largest block */
size_t arena_size_bytes(const Arena *arena);          /* charged */
/* 16-byte aligned, not zeroed. NULL: over budget (never for an arena without one). */
void *arena_alloc(Arena *arena, size_t size_bytes);
/* Unaligned copy; *out borrowed until reset or destroy. */
CHECKED Status arena_copy(Arena *arena, Str bytes, Str *out, Error *err);
/* The refusal to report when arena_alloc gave NULL. */
CHECKED Status arena_no_memory(const Arena *arena, size_t size_bytes, Error *err);

#endif
