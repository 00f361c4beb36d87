/* timers.c - see timers.h.
 *
 *     buckets, ascending:  | [begin, begin + granule): hashes | ... |
 *
 * Most keys are added to the last bucket; one that is added again goes to where its time is. */
#include "state/timers.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKET_MIN = 16 }; /* hashes */

typedef struct Bucket {
    int64_t begin_ms;
    uint64_t *hashes;
    uint64_t count, capacity;
} Bucket;

struct KeyTimers {
    int64_t granule_ms;
    Budget *budget;
    const char *who;
    bool is_built;
    Bucket *buckets;
    uint32_t bucket_count, bucket_capacity;
    Bucket taken; /* by the last take */
    uint64_t size_bytes;
};

KeyTimers *key_timers_create(int64_t granule_ms, Budget *budget, const char *who) {
    ASSERT(granule_ms >= 1);
    KeyTimers *timers = xcalloc(1, sizeof *timers);
    *timers = (KeyTimers){.granule_ms = granule_ms, .budget = budget, .who = who};
    return timers;
}

static void bucket_free(KeyTimers *timers, Bucket *bucket) {
    budget_free(timers->budget, bucket->hashes, bucket->capacity * sizeof *bucket->hashes);
    timers->size_bytes -= bucket->capacity * sizeof *bucket->hashes;
    *bucket = (Bucket){.begin_ms = bucket->begin_ms};
}

void key_timers_forget(KeyTimers *timers) {
    while (timers->bucket_count > 0)
        bucket_free(timers, &timers->buckets[--timers->bucket_count]);
    bucket_free(timers, &timers->taken);
    timers->is_built = false;
}

void key_timers_destroy(KeyTimers *timers) {
    if (!timers)
        return;
    key_timers_forget(timers);
    free(timers->buckets);
    free(timers);
}

uint64_t key_timers_size_bytes(const KeyTimers *timers) {
    return timers->size_bytes;
}

bool key_timers_is_built(const KeyTimers *timers) {
    return timers->is_built;
}

void key_timers_set_built(KeyTimers *timers) {
    timers->is_built = true;
}

/* Room for `count` hashes; grows by half, small ones by doubling. */
CHECKED static Status bucket_reserve(KeyTimers *timers, Bucket *bucket, uint64_t count, Error *err) {
    if (count <= bucket->capacity)
        return STATUS_OK;
    uint64_t capacity = bucket->capacity + bucket->capacity / 2 + BUCKET_MIN;
    capacity = capacity < count ? count : capacity;
    void *memory;
    TRY(budget_alloc(timers->budget, capacity * sizeof *bucket->hashes, timers->who, &memory, err));
    if (bucket->count)
        memcpy(memory, bucket->hashes, bucket->count * sizeof *bucket->hashes);
    budget_free(timers->budget, bucket->hashes, bucket->capacity * sizeof *bucket->hashes);
    timers->size_bytes += (capacity - bucket->capacity) * sizeof *bucket->hashes;
    bucket->hashes = memory;
    bucket->capacity = capacity;
    return STATUS_OK;
}

static int64_t begin_of(const KeyTimers *timers, int64_t time_ms) {
    int64_t rest = time_ms % timers->granule_ms;
    return time_ms - (rest < 0 ? rest + timers->granule_ms : rest);
}

/* Makes it where there is none. */
static Bucket *bucket_at(KeyTimers *timers, int64_t begin_ms) {
    uint32_t at = timers->bucket_count;
    while (at > 0 && timers->buckets[at - 1].begin_ms > begin_ms)
        at--;
    if (at > 0 && timers->buckets[at - 1].begin_ms == begin_ms)
        return &timers->buckets[at - 1];
    if (timers->bucket_count == timers->bucket_capacity) {
        timers->bucket_capacity = timers->bucket_capacity ? 2 * timers->bucket_capacity : 8;
        timers->buckets = xrealloc(timers->buckets, timers->bucket_capacity * sizeof *timers->buckets);
    }
    memmove(&timers->buckets[at + 1], &timers->buckets[at], (timers->bucket_count - at) * sizeof(Bucket));
    timers->bucket_count++;
    timers->buckets[at] = (Bucket){.begin_ms = begin_ms};
    return &timers->buckets[at];
}

Status key_timers_add(KeyTimers *timers, uint64_t hash, int64_t time_ms, Error *err) {
    Bucket *bucket = bucket_at(timers, begin_of(timers, time_ms));
    TRY(bucket_reserve(timers, bucket, bucket->count + 1, err));
    bucket->hashes[bucket->count++] = hash;
    return STATUS_OK;
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ascending, each once. */
static void sort_out(Bucket *bucket) {
    if (bucket->count == 0)
        return;
    qsort(bucket->hashes, bucket->count, sizeof *bucket->hashes, compare_hashes);
    uint64_t kept = 1;
    for (uint64_t i = 1; i < bucket->count; i++)
        if (bucket->hashes[i] != bucket->hashes[kept - 1])
            bucket->hashes[kept++] = bucket->hashes[i];
    bucket->count = kept;
}

Status key_timers_take(KeyTimers *timers, int64_t end_ms, const uint64_t **hashes, uint64_t *count,
                       Error *err) {
    Bucket *taken = &timers->taken;
    uint32_t due = 0;
    uint64_t due_hashes = 0;
    bucket_free(timers, taken);
    for (; due < timers->bucket_count && timers->buckets[due].begin_ms < end_ms; due++)
        due_hashes += timers->buckets[due].count;
    TRY(bucket_reserve(timers, taken, due_hashes, err));
    for (uint32_t b = 0; b < due; b++) {
        Bucket *bucket = &timers->buckets[b];
        if (bucket->count)
            memcpy(taken->hashes + taken->count, bucket->hashes, bucket->count * sizeof *bucket->hashes);
        taken->count += bucket->count;
        bucket_free(timers, bucket);
    }
    timers->bucket_count -= due;
    if (due)
        memmove(timers->buckets, timers->buckets + due, timers->bucket_count * sizeof(Bucket));
    sort_out(taken);
    *hashes = taken->hashes;
    *count = taken->count;
    return STATUS_OK;
}
