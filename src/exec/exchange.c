/* exchange.c - see exchange.h. */
#include "exec/exchange.h"

#include "state/key_table.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A kept chunk: its rows by partition, in order. One block: this, begins, hashes, rows. */
typedef struct Kept {
    SharedChunk *chunk;
    uint32_t *begins; /* partition p has rows[begins[p], begins[p + 1]) */
    uint64_t *hashes; /* by row of `chunk` */
    uint16_t *rows;
    size_t size_bytes;
} Kept;

typedef struct KeptList {
    Kept **kept;
    uint32_t count, capacity;
} KeptList;

struct Exchange {
    uint32_t partition_count;
    Budget *budget;
    const char *who;
    KeptList *splits;
    uint64_t split_count, split_capacity;
    _Atomic uint64_t *row_counts; /* per partition */
};

Exchange *exchange_create(uint32_t partition_count, Budget *budget, const char *who) {
    Exchange *exchange = xcalloc(1, sizeof *exchange);
    *exchange = (Exchange){.partition_count = partition_count, .budget = budget, .who = who};
    exchange->row_counts = xcalloc(partition_count, sizeof *exchange->row_counts);
    return exchange;
}

void exchange_destroy(Exchange *exchange) {
    if (!exchange)
        return;
    exchange_reset(exchange);
    for (uint64_t s = 0; s < exchange->split_capacity; s++)
        free(exchange->splits[s].kept);
    free(exchange->splits);
    free(exchange->row_counts);
    free(exchange);
}

void exchange_begin(Exchange *exchange, uint64_t split_count) {
    exchange_reset(exchange);
    if (split_count > exchange->split_capacity) {
        exchange->splits = xrealloc(exchange->splits, split_count * sizeof(KeptList));
        memset(exchange->splits + exchange->split_capacity, 0,
               (split_count - exchange->split_capacity) * sizeof(KeptList));
        exchange->split_capacity = split_count;
    }
    exchange->split_count = split_count;
}

static void kept_destroy(const Exchange *exchange, Kept *kept) {
    shared_chunk_release(kept->chunk);
    budget_free(exchange->budget, kept, kept->size_bytes);
}

void exchange_reset(Exchange *exchange) {
    for (uint64_t s = 0; s < exchange->split_count; s++)
        while (exchange->splits[s].count > 0)
            kept_destroy(exchange, exchange->splits[s].kept[--exchange->splits[s].count]);
    exchange->split_count = 0;
    for (uint32_t p = 0; p < exchange->partition_count; p++)
        atomic_store(&exchange->row_counts[p], 0);
}

CHECKED static Status kept_create(const Exchange *exchange, uint32_t row_count, Kept **out, Error *err) {
    size_t begins_bytes = (exchange->partition_count + 1) * sizeof(uint32_t);
    size_t head_bytes = (sizeof(Kept) + begins_bytes + 7) / 8 * 8;
    size_t size_bytes = head_bytes + row_count * (sizeof(uint64_t) + sizeof(uint16_t));
    void *block;
    TRY(budget_alloc_zeroed(exchange->budget, size_bytes, exchange->who, &block, err));
    Kept *kept = block;
    kept->size_bytes = size_bytes;
    kept->begins = (uint32_t *)(kept + 1);
    kept->hashes = (uint64_t *)((char *)block + head_bytes);
    kept->rows = (uint16_t *)(kept->hashes + row_count);
    *out = kept;
    return STATUS_OK;
}

/* A counting sort of row numbers by partition: rows of one partition stay in order (X1). */
static void sort_rows(const Exchange *exchange, Kept *kept, uint32_t row_count) {
    uint32_t *begins = kept->begins;
    uint8_t partition[CHUNK_ROWS_MAX];
    for (uint32_t i = 0; i < row_count; i++) {
        partition[i] = (uint8_t)key_partition_of(kept->hashes[i], exchange->partition_count);
        begins[partition[i] + 1]++;
    }
    for (uint32_t p = 0; p < exchange->partition_count; p++)
        begins[p + 1] += begins[p];
    uint32_t next[256];
    memcpy(next, begins, exchange->partition_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < row_count; i++)
        kept->rows[next[partition[i]]++] = (uint16_t)i;
}

Status exchange_add(Exchange *exchange, const Chunk *in, const uint64_t *hashes, Error *err) {
    ASSERT(in->split < exchange->split_count && exchange->partition_count <= 256);
    KeptList *list = &exchange->splits[in->split];
    uint32_t row_count = in->selected_count;
    Kept *kept;
    TRY(kept_create(exchange, row_count, &kept, err));
    Status st = chunk_share(in, exchange->budget, exchange->who, &kept->chunk, err);
    if (st != STATUS_OK) {
        kept_destroy(exchange, kept);
        return st;
    }
    memcpy(kept->hashes, hashes, row_count * sizeof(uint64_t));
    sort_rows(exchange, kept, row_count);
    for (uint32_t p = 0; p < exchange->partition_count; p++)
        atomic_fetch_add(&exchange->row_counts[p], kept->begins[p + 1] - kept->begins[p]);
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 4;
        list->kept = xrealloc(list->kept, list->capacity * sizeof(Kept *));
    }
    list->kept[list->count++] = kept;
    return STATUS_OK;
}

uint64_t exchange_row_count(const Exchange *exchange, uint32_t partition) {
    return atomic_load(&exchange->row_counts[partition]);
}

bool exchange_next(ExchangeCursor *cursor) {
    const Exchange *exchange = cursor->exchange;
    for (; cursor->split < exchange->split_count; cursor->split++, cursor->index = 0) {
        const KeptList *list = &exchange->splits[cursor->split];
        while (cursor->index < list->count) {
            const Kept *kept = list->kept[cursor->index++];
            uint32_t begin = kept->begins[cursor->partition], end = kept->begins[cursor->partition + 1];
            if (begin == end)
                continue;
            cursor->chunk = *shared_chunk_view(kept->chunk);
            cursor->chunk.selection = kept->rows + begin;
            cursor->chunk.selected_count = end - begin;
            cursor->hashes = kept->hashes;
            return true;
        }
    }
    return false;
}
