/* exchange.h - the rows of a batch, kept until all have come, then given out by partition of the key hash.
 *
 *   X1  A partition's rows come in the order (split, arrival within the split, row): the same for any number
 *       of workers.
 *   X2  Rows of different splits may be added at the same time; a split belongs to one worker (O2 of
 *       operator.h).
 *
 * Memory   kept chunks and the lists of their rows are charged to the budget until reset.
 */
#ifndef LEAT_EXEC_EXCHANGE_H
#define LEAT_EXEC_EXCHANGE_H

#include "column/chunk.h"

typedef struct Exchange Exchange;

Exchange *exchange_create(uint32_t partition_count, Budget *budget, const char *who);
void exchange_destroy(Exchange *exchange); /* NULL is allowed */
void exchange_begin(Exchange *exchange, uint64_t split_count);
void exchange_reset(Exchange *exchange); /* gives all rows back */

/* `hashes`: one for each selected row.  NO_MEMORY. */
CHECKED Status exchange_add(Exchange *exchange, const Chunk *in, const uint64_t *hashes, Error *err);

/* ---- when all rows have come ---- */

uint64_t exchange_row_count(const Exchange *exchange, uint32_t partition);

typedef struct ExchangeCursor {
    const Exchange *exchange;
    uint32_t partition;
    uint64_t split;
    uint32_t index; /* of the kept chunk in its split */
    /* What exchange_next gives: rows of the partition as the selection of a kept chunk, and all hashes of
     * that chunk, by row number. */
    Chunk chunk;
    const uint64_t *hashes;
} ExchangeCursor;

static inline ExchangeCursor exchange_cursor(const Exchange *exchange, uint32_t partition) {
    return (ExchangeCursor){.exchange = exchange, .partition = partition};
}
bool exchange_next(ExchangeCursor *cursor);

#endif
