/* memory.c - see memory.h.
 *
 * A block of budget_alloc is [16 bytes][the caller's bytes][32 bytes], from malloc or, from 2 MiB on, from
 * mmap (block_map). What is charged is what the caller asked for: the slack is noise beside it, and a release
 * can then be checked against the charge by the caller's own arithmetic.
 *
 * An arena is a list of blocks, the newest first; `next` .. `end` is the free part of the newest shared
 * block:
 *
 *   block:  [ArenaBlock][16 slack][ ... allocations, 16-byte aligned ... ][32 slack]
 */
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096,
    HUGE_BYTES = 2 << 20,
    ALIGN_BYTES = 16,
    ARENA_BLOCK_MIN = 4 << 10,
    ARENA_BLOCK_MAX = 1 << 20,
};

/* ---- memory that cannot fail ---- */

static _Noreturn void out_of_memory(size_t size_bytes) {
    fprintf(stderr, "leat: out of memory: the machine has no %zu bytes more\n", size_bytes);
    abort();
}

void *xmalloc(size_t size_bytes) {
    void *block = malloc(size_bytes ? size_bytes : 1);
    if (!block)
        out_of_memory(size_bytes);
    return block;
}

void *xcalloc(size_t count, size_t size_bytes) {
    void *block = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    if (!block)
        out_of_memory(size_bytes);
    return block;
}

void *xrealloc(void *old, size_t size_bytes) {
    void *block = realloc(old, size_bytes ? size_bytes : 1);
    if (!block)
        out_of_memory(size_bytes);
    return block;
}

char *xstrdup(Str s) {
    char *copy = xmalloc(s.size + 1);
    if (s.size)
        memcpy(copy, s.data, s.size);
    copy[s.size] = 0;
    return copy;
}

/* ---- budgets ---- */

void budget_init(Budget *budget, const char *name, uint64_t limit_bytes, Budget *parent) {
    budget->name = name;
    budget->parent = parent;
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->peak_bytes, 0);
}

/* False: over the limit; nothing has changed. */
static bool budget_take(Budget *budget, uint64_t size_bytes) {
    uint64_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    do {
        if (used > budget->limit_bytes || size_bytes > budget->limit_bytes - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + size_bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    uint64_t now = used + size_bytes, peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak, now,
                                                                memory_order_relaxed, memory_order_relaxed))
        continue;
    return true;
}

static void budget_give_back(Budget *budget, uint64_t size_bytes) {
    uint64_t before = atomic_fetch_sub_explicit(&budget->used_bytes, size_bytes, memory_order_relaxed);
    ASSERT(before >= size_bytes);
}

Status budget_charge(Budget *budget, uint64_t size_bytes, const char *who, Error *err) {
    for (Budget *at = budget; at; at = at->parent) {
        if (LIKELY(budget_take(at, size_bytes)))
            continue;
        for (Budget *taken = budget; taken != at; taken = taken->parent)
            budget_give_back(taken, size_bytes);
        return error_set(err, STATUS_NO_MEMORY,
                         "%s needs %" PRIu64 " bytes more, but of the budget '%s' %" PRIu64 " of %" PRIu64
                         " bytes are used",
                         who, size_bytes, at->name,
                         atomic_load_explicit(&at->used_bytes, memory_order_relaxed), at->limit_bytes);
    }
    return STATUS_OK;
}

void budget_release(Budget *budget, uint64_t size_bytes) {
    for (; budget; budget = budget->parent)
        budget_give_back(budget, size_bytes);
}

/* ---- blocks with slack ---- */

/* What a large block maps: a page that ends in the slack before, the block, the slack behind; whole pages. */
static size_t mapped_bytes(size_t size_bytes) {
    return (PAGE_BYTES + size_bytes + MEMORY_SLACK_AFTER + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* The block begins at a multiple of 2 MiB, otherwise its first and last part cannot become huge pages: one
 * huge page more is mapped, and what sticks out at both ends is given back. Huge pages halve the cost of
 * random probes into a table; where there are none this is not an error. */
static void *block_map(size_t size_bytes) {
    size_t kept = mapped_bytes(size_bytes), whole = kept + HUGE_BYTES;
    char *pages = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    size_t before = -((uintptr_t)pages + PAGE_BYTES) & (HUGE_BYTES - 1);
    if (before)
        munmap(pages, before);
    munmap(pages + before + kept, whole - before - kept);
    pages += before;
    (void)madvise(pages, kept, MADV_HUGEPAGE);
    return pages + PAGE_BYTES;
}

static Status block_alloc(Budget *budget, size_t size_bytes, bool zeroed, const char *who, void **out,
                          Error *err) {
    *out = NULL;
    if (size_bytes > SIZE_MAX / 2)
        return error_set(err, STATUS_NO_MEMORY, "%s needs %zu bytes, more than a machine has", who,
                         size_bytes);
    TRY(budget_charge(budget, size_bytes, who, err));
    if (size_bytes >= HUGE_BYTES) {
        *out = block_map(size_bytes);
    } else {
        size_t whole = MEMORY_SLACK_BEFORE + size_bytes + MEMORY_SLACK_AFTER;
        char *block = zeroed ? calloc(1, whole) : malloc(whole);
        *out = block ? block + MEMORY_SLACK_BEFORE : NULL;
        if (block && !zeroed) {
            /* Kernels load the slack as part of whole vectors and ignore it; still, no bytes
             * of an earlier owner. */
            memset(block, 0, MEMORY_SLACK_BEFORE);
            memset(block + MEMORY_SLACK_BEFORE + size_bytes, 0, MEMORY_SLACK_AFTER);
        }
    }
    if (*out)
        return STATUS_OK;
    budget_release(budget, size_bytes);
    return error_set(err, STATUS_NO_MEMORY, "%s needs %zu bytes more, which the machine does not give", who,
                     size_bytes);
}

Status budget_alloc(Budget *budget, size_t size_bytes, const char *who, void **out, Error *err) {
    return block_alloc(budget, size_bytes, false, who, out, err);
}

Status budget_alloc_zeroed(Budget *budget, size_t size_bytes, const char *who, void **out, Error *err) {
    return block_alloc(budget, size_bytes, true, who, out, err);
}

void budget_free(Budget *budget, void *block, size_t size_bytes) {
    if (!block)
        return;
    if (size_bytes >= HUGE_BYTES) {
        int failed = munmap((char *)block - PAGE_BYTES, mapped_bytes(size_bytes));
        ASSERT(!failed);
    } else {
        free((char *)block - MEMORY_SLACK_BEFORE);
    }
    budget_release(budget, size_bytes);
}

void memory_populate(void *block, size_t size_bytes) {
    uintptr_t begin = ((uintptr_t)block + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uintptr_t end = ((uintptr_t)block + size_bytes) / PAGE_BYTES * PAGE_BYTES;
    if (begin < end)
        (void)madvise((void *)begin, end - begin,
                      MADV_POPULATE_WRITE); /* a kernel before 5.14 knows it not */
}

/* ---- arenas ---- */

typedef struct ArenaBlock {
    struct ArenaBlock *older;
    size_t size_bytes; /* with this header and the slack: what is charged */
} ArenaBlock;

_Static_assert(sizeof(ArenaBlock) % ALIGN_BYTES == 0, "allocations behind the header stay aligned");
enum { ARENA_OVERHEAD = sizeof(ArenaBlock) + MEMORY_SLACK_BEFORE + MEMORY_SLACK_AFTER };

struct Arena {
    Budget *budget; /* or NULL */
    const char *who;
    ArenaBlock *newest;
    char *next, *end; /* free part of one of the blocks; `end` is before its slack */
    size_t charged_bytes;
    size_t block_bytes; /* size of the next shared block */
};

Arena *arena_create(Budget *budget, const char *who) {
    Arena *arena = xcalloc(1, sizeof *arena);
    arena->budget = budget;
    arena->who = who;
    arena->block_bytes = ARENA_BLOCK_MIN;
    return arena;
}

static char *block_begin(ArenaBlock *block) {
    return (char *)(block + 1) + MEMORY_SLACK_BEFORE;
}
static char *block_end(ArenaBlock *block) {
    return (char *)block + block->size_bytes - MEMORY_SLACK_AFTER;
}

/* A new block of `size_bytes` in all, at the head of the list; NULL: over budget. */
static ArenaBlock *block_add(Arena *arena, size_t size_bytes) {
    if (budget_charge(arena->budget, size_bytes, arena->who, NULL) != STATUS_OK)
        return NULL;
    ArenaBlock *block = arena->budget ? malloc(size_bytes) : xmalloc(size_bytes);
    if (!block) {
        budget_release(arena->budget, size_bytes);
        return NULL;
    }
    block->older = arena->newest;
    block->size_bytes = size_bytes;
    memset(block + 1, 0, MEMORY_SLACK_BEFORE);
    memset(block_end(block), 0, MEMORY_SLACK_AFTER);
    arena->newest = block;
    arena->charged_bytes += size_bytes;
    return block;
}

void *arena_alloc(Arena *arena, size_t size_bytes) {
    if (UNLIKELY(size_bytes > SIZE_MAX / 2)) {
        if (!arena->budget)
            out_of_memory(size_bytes);
        return NULL;
    }
    /* No bytes take 16 too: NULL means over budget and nothing else. */
    size_t rounded = ((size_bytes ? size_bytes : 1) + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (LIKELY(rounded <= (size_t)(arena->end - arena->next))) {
        char *given = arena->next;
        arena->next += rounded;
        return given;
    }
    if (rounded > arena->block_bytes - ARENA_OVERHEAD) {
        /* Its own block, of the exact size. The shared one goes on being filled. */
        ArenaBlock *own = block_add(arena, rounded + ARENA_OVERHEAD);
        return own ? block_begin(own) : NULL;
    }
    ArenaBlock *shared = block_add(arena, arena->block_bytes);
    if (!shared)
        return NULL;
    if (arena->block_bytes < ARENA_BLOCK_MAX)
        arena->block_bytes *= 2;
    arena->next = block_begin(shared) + rounded;
    arena->end = block_end(shared);
    return block_begin(shared);
}

Status arena_copy(Arena *arena, Str bytes, Str *out, Error *err) {
    char *copy = arena_alloc(arena, bytes.size);
    if (!copy)
        return arena_no_memory(arena, bytes.size, err);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    *out = (Str){copy, bytes.size};
    return STATUS_OK;
}

Status arena_no_memory(const Arena *arena, size_t size_bytes, Error *err) {
    for (const Budget *at = arena->budget; at; at = at->parent) {
        uint64_t used = atomic_load_explicit(&((Budget *)at)->used_bytes, memory_order_relaxed);
        if (used > at->limit_bytes || size_bytes + ARENA_OVERHEAD > at->limit_bytes - used)
            return error_set(err, STATUS_NO_MEMORY,
                             "%s needs %zu bytes more, but of the budget '%s' %" PRIu64 " of %" PRIu64
                             " bytes are used",
                             arena->who, size_bytes, at->name, used, at->limit_bytes);
    }
    return error_set(err, STATUS_NO_MEMORY, "%s needs %zu bytes more", arena->who, size_bytes);
}

/* Gives all blocks back but `kept` (or all, for NULL). */
static void blocks_free(Arena *arena, ArenaBlock *kept) {
    for (ArenaBlock *block = arena->newest; block;) {
        ArenaBlock *older = block->older;
        if (block != kept) {
            budget_release(arena->budget, block->size_bytes);
            arena->charged_bytes -= block->size_bytes;
            free(block);
        }
        block = older;
    }
    arena->newest = kept;
}

void arena_reset(Arena *arena) {
    ArenaBlock *largest = arena->newest;
    if (!largest)
        return;
    for (ArenaBlock *block = largest; block; block = block->older) {
        if (block->size_bytes > largest->size_bytes)
            largest = block;
    }
    blocks_free(arena, largest);
    largest->older = NULL;
    arena->next = block_begin(largest);
    arena->end = block_end(largest);
}

void arena_destroy(Arena *arena) {
    if (!arena)
        return;
    blocks_free(arena, NULL);
    free(arena);
}

size_t arena_size_bytes(const Arena *arena) {
    return arena->charged_bytes;
}
