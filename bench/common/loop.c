/* loop.c - the tables and the walk of the loops in loop.h. */
#include "common/loop.h"
#include "common/loop_best.h"
#include "base/bytes.h"
#include "base/memory.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double clock_seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double cpu_seconds(void) {
    return clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}
double wall_seconds(void) {
    return clock_seconds(CLOCK_MONOTONIC);
}

uint64_t loop_checksum(Str word, uint64_t count) {
    uint64_t mixed = (hash_bytes(word.data, word.size) ^ count) * UINT64_C(0x9e3779b97f4a7c15);
    return mixed ^ mixed >> 29;
}

static bool text_map(const char *path, Str *text) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (file < 0 || fstat(file, &info) != 0) {
        perror(path);
        if (file >= 0)
            close(file);
        return false;
    }
    void *data = "";
    if (info.st_size > 0)
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (data == MAP_FAILED) {
        perror(path);
        return false;
    }
    *text = (Str){data, (size_t)info.st_size};
    return true;
}

static void text_unmap(Str text) {
    if (text.size)
        munmap((void *)(uintptr_t)text.data, text.size);
}

static void *pages_map(size_t size) {
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    madvise(pages, size, MADV_HUGEPAGE);
    return pages;
}

/* ---- the best loop ---- */

typedef struct BestSlot {
    LoopWord word;
    uint64_t count; /* 0: free */
    uint64_t hash;
} BestSlot;

typedef struct BestTable {
    BestSlot
        *slots; /* 2^(64 - shift), and as many behind them as there can be words: no probe wraps around */
    size_t bytes;
    unsigned shift;
    uint64_t used;
    Arena *long_words; /* side by side: in the text they lie a page apart */
} BestTable;

static uint32_t word_size(LoopWord word) {
    return (uint32_t)word.low;
}

static Str word_text(const LoopWord *word) {
    uint32_t size = word_size(*word);
    return (Str){size <= LOOP_INLINE_MAX ? (const char *)word + 4 : (const char *)(uintptr_t)word->high,
                 size};
}

static bool words_equal(LoopWord a, LoopWord b) {
    if (a.low != b.low)
        return false;
    return a.high == b.high ||
           (word_size(a) > LOOP_INLINE_MAX &&
            memcmp((const char *)(uintptr_t)a.high, (const char *)(uintptr_t)b.high, word_size(a)) == 0);
}

static void best_table_create(BestTable *table, unsigned shift) {
    uint64_t homes = (uint64_t)1 << (64 - shift);
    table->shift = shift;
    table->bytes = (homes + homes / 2) * sizeof(BestSlot);
    table->slots = pages_map(table->bytes);
    table->used = 0;
}

static BestSlot *best_find(const BestTable *table, LoopWord word, uint64_t hash) {
    BestSlot *slot = &table->slots[hash >> table->shift];
    while (slot->count && !(slot->hash == hash && words_equal(slot->word, word)))
        slot++;
    return slot;
}

static void best_grow(BestTable *table) {
    BestTable old = *table;
    best_table_create(table, old.shift - 1);
    for (BestSlot *from = old.slots; from < old.slots + old.bytes / sizeof(BestSlot); from++) {
        if (!from->count)
            continue;
        BestSlot *slot = &table->slots[from->hash >> table->shift];
        while (slot->count)
            slot++;
        *slot = *from;
        table->used++;
    }
    table->long_words = old.long_words;
    munmap(old.slots, old.bytes);
}

static void best_count(BestTable *table, const LoopWord *words, const uint64_t *hashes, uint32_t count) {
    while (table->used + count > (uint64_t)1 << (63 - table->shift))
        best_grow(table);
    uint32_t missed[LOOP_ROOM], missed_count = 0;
    BestSlot *slots = table->slots;
    unsigned shift = table->shift;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(&slots[hashes[i + 32 < count ? i + 32 : i] >> shift], 1);
        BestSlot *slot = &slots[hashes[i] >> shift];
        /* A free slot looks like an empty word. */
        bool found =
            (((slot->word.low ^ words[i].low) | (slot->word.high ^ words[i].high)) == 0) & (slot->count != 0);
        slot->count += found;
        missed[missed_count] = i;
        missed_count += !found;
    }
    for (uint32_t m = 0; m < missed_count; m++) {
        uint32_t i = missed[m];
        BestSlot *slot = best_find(table, words[i], hashes[i]);
        if (!slot->count) {
            slot->word = words[i];
            slot->hash = hashes[i];
            table->used++;
            if (word_size(words[i]) > LOOP_INLINE_MAX) {
                char *copy = arena_alloc(table->long_words, word_size(words[i]));
                memcpy(copy, word_text(&words[i]).data, word_size(words[i]));
                slot->word.high = (uint64_t)(uintptr_t)copy;
            }
        }
        slot->count++;
    }
}

static LoopSplit *best_split(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return loop_split_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return loop_split_avx2;
#endif
    return NULL;
}

static void best_text(BestTable *table, LoopSplit *split, LoopText *text, uint64_t *words) {
    static _Thread_local LoopWord found[LOOP_ROOM + 8];
    static _Thread_local uint64_t hashes[LOOP_ROOM + 8];
    while (text->at < text->end) {
        uint32_t count = split(text, found, hashes);
        best_count(table, found, hashes, count);
        *words += count;
    }
}

/* Counts the words of a whole file. */
static void best_file(BestTable *table, LoopSplit *split, Str text, uint64_t *words) {
    /* Whole blocks in place, as long as a load of 16 bytes at any word's start stays in the file; the rest
     * from a copy that has blanks around it and ends with a LF. */
    size_t whole = text.size >= 128 ? (text.size - 64) / 64 * 64 : 0;
    LoopText in_place = {text.data, text.data + whole, text.data};
    best_text(table, split, &in_place, words);
    size_t rest = (size_t)(text.data + text.size - in_place.start), padded = (rest + 63) / 64 * 64;
    char *copy = xcalloc(1, 64 + padded + 128);
    if (rest)
        memcpy(copy + 64, in_place.start, rest);
    memset(copy + 64 + rest, 'x', padded - rest + 64); /* no word ends here */
    if (rest && copy[64 + rest - 1] != '\n')
        copy[64 + rest] = '\n';
    LoopText last = {copy + 64, copy + 64 + padded + 64, copy + 64};
    best_text(table, split, &last, words);
    free(copy);
}

static BestSlot *best_end(const BestTable *table) {
    return table->slots + table->bytes / sizeof(BestSlot);
}

static void best_table_destroy(BestTable *table) {
    munmap(table->slots, table->bytes);
    arena_destroy(table->long_words);
}

LoopResult loop_best(const char *path) {
    LoopSplit *split = best_split();
    if (!split)
        return loop_plain(path);
    LoopResult result = {0};
    double cpu_begin = cpu_seconds(), begin = wall_seconds();
    Str text;
    if (!text_map(path, &text))
        return result;
    BestTable table = {.long_words = arena_create(NULL, "the loop")};
    best_table_create(&table, 64 - 13);
    best_file(&table, split, text, &result.words);
    result.distinct = table.used;
    for (const BestSlot *slot = table.slots; slot < best_end(&table); slot++) {
        if (slot->count)
            result.checksum += loop_checksum(word_text(&slot->word), slot->count);
    }
    best_table_destroy(&table);
    text_unmap(text);
    result.ok = true;
    result.bytes = text.size;
    result.cpu_seconds = cpu_seconds() - cpu_begin;
    result.seconds = wall_seconds() - begin;
    return result;
}

/* ---- windows ---- */

/* In the table of a window a count is one more than it says: a word that has left is no free slot. */
static void window_add(BestTable *window, const BestTable *file, int64_t sign) {
    for (const BestSlot *from = file->slots; from < best_end(file); from++) {
        if (!from->count)
            continue;
        BestSlot *slot = best_find(window, from->word, from->hash);
        if (!slot->count) {
            slot->word = from->word;
            slot->hash = from->hash;
            slot->count = 1;
            window->used++;
            if (word_size(from->word) > LOOP_INLINE_MAX) {
                char *copy = arena_alloc(window->long_words, word_size(from->word));
                memcpy(copy, word_text(&from->word).data, word_size(from->word));
                slot->word.high = (uint64_t)(uintptr_t)copy;
            }
        }
        slot->count += (uint64_t)sign * from->count;
    }
}

static bool window_step(BestTable *window, BestTable *file, bool is_reused, LoopSplit *split,
                        const char *path, LoopResult *result) {
    Str text;
    if (!text_map(path, &text))
        return false;
    if (is_reused) {
        window_add(window, file, -1);
        memset(file->slots, 0, file->bytes);
        file->used = 0;
        arena_reset(file->long_words);
    }
    best_file(file, split, text, &result->words);
    while (window->used + file->used > (uint64_t)1 << (63 - window->shift))
        best_grow(window);
    window_add(window, file, 1);
    result->bytes += text.size;
    text_unmap(text);
    return true;
}

LoopResult loop_best_windows(char *const *paths, uint32_t path_count, uint32_t length) {
    LoopSplit *split = best_split();
    LoopResult result = {0};
    double cpu_begin = cpu_seconds(), begin = wall_seconds();
    BestTable window = {.long_words = arena_create(NULL, "the loop")};
    BestTable *files = xcalloc(length, sizeof *files);
    best_table_create(&window, 64 - 13);
    for (uint32_t i = 0; i < length; i++) {
        files[i].long_words = arena_create(NULL, "the loop");
        best_table_create(&files[i], 64 - 13);
    }
    result.ok = split != NULL;
    for (uint32_t i = 0; i < path_count && result.ok; i++) {
        result.ok = window_step(&window, &files[i % length], i >= length, split, paths[i], &result);
        uint64_t checksum = 0;
        for (const BestSlot *slot = window.slots; slot < best_end(&window); slot++) {
            if (slot->count <= 1)
                continue;
            result.distinct++;
            checksum += loop_checksum(word_text(&slot->word), slot->count - 1);
        }
        result.checksum += checksum * (i + 1);
    }
    for (uint32_t i = 0; i < length; i++)
        best_table_destroy(&files[i]);
    best_table_destroy(&window);
    free(files);
    result.cpu_seconds = cpu_seconds() - cpu_begin;
    result.seconds = wall_seconds() - begin;
    return result;
}

/* ---- the plain loop ---- */

typedef struct PlainSlot {
    const char *data; /* NULL: free */
    uint32_t size;
    uint64_t hash, count;
} PlainSlot;

typedef struct PlainTable {
    PlainSlot *slots;
    uint64_t mask, used;
    Arena *arena;
    char *keys; /* free part of the arena's block */
    size_t key_room;
} PlainTable;

static void plain_grow(PlainTable *table) {
    PlainTable old = *table;
    table->mask = old.mask * 2 + 1;
    table->slots = xcalloc(table->mask + 1, sizeof *table->slots);
    for (uint64_t i = 0; i <= old.mask; i++) {
        if (!old.slots[i].data)
            continue;
        uint64_t at = old.slots[i].hash & table->mask;
        while (table->slots[at].data)
            at = (at + 1) & table->mask;
        table->slots[at] = old.slots[i];
    }
    free(old.slots);
}

static void plain_add(PlainTable *table, const char *data, uint32_t size) {
    uint64_t hash = hash_bytes(data, size), at = hash & table->mask;
    while (table->slots[at].data) {
        PlainSlot *slot = &table->slots[at];
        if (slot->hash == hash && slot->size == size && memcmp(slot->data, data, size) == 0) {
            slot->count++;
            return;
        }
        at = (at + 1) & table->mask;
    }
    if (size > table->key_room) { /* keys side by side: in the text they lie a page apart */
        table->key_room = size > 1 << 20 ? size : 1 << 20;
        table->keys = arena_alloc(table->arena, table->key_room);
    }
    memcpy(table->keys, data, size);
    table->slots[at] = (PlainSlot){.data = table->keys, .size = size, .hash = hash, .count = 1};
    table->keys += size;
    table->key_room -= size;
    if (++table->used > table->mask / 2)
        plain_grow(table);
}

LoopResult loop_plain(const char *path) {
    LoopResult result = {0};
    double cpu_begin = cpu_seconds(), begin = wall_seconds();
    Str text;
    if (!text_map(path, &text))
        return result;
    PlainTable table = {.mask = (1 << 16) - 1,
                        .slots = xcalloc(1 << 16, sizeof(PlainSlot)),
                        .arena = arena_create(NULL, "the loop")};
    table.keys = arena_alloc(table.arena, table.key_room = 1 << 20);
    const char *start = text.data, *end = text.data + text.size;
    for (const char *at = start; at < end; at++) {
        if (*at != ' ' && *at != '\n')
            continue;
        plain_add(&table, start, (uint32_t)(at - start));
        result.words++;
        start = at + 1;
    }
    if (text.size && end[-1] != '\n') {
        plain_add(&table, start, (uint32_t)(end - start));
        result.words++;
    }
    result.distinct = table.used;
    for (uint64_t i = 0; i <= table.mask; i++) {
        if (table.slots[i].data)
            result.checksum +=
                loop_checksum((Str){table.slots[i].data, table.slots[i].size}, table.slots[i].count);
    }
    free(table.slots);
    arena_destroy(table.arena);
    text_unmap(text);
    result.ok = true;
    result.bytes = text.size;
    result.cpu_seconds = cpu_seconds() - cpu_begin;
    result.seconds = wall_seconds() - begin;
    return result;
}
