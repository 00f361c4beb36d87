/* A save and a delta of the keyed store with any bytes: loaded or applied within a budget; what was taken
 * must hold the invariants, and its own save must give the same again. */
#include "base/memory.h"
#include "state/store.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Pieces {
    Str rest;
    size_t size;
} Pieces;

static Status read_piece(void *self, Str *piece, Error *err) {
    (void)err;
    Pieces *pieces = self;
    size_t size = pieces->size < pieces->rest.size ? pieces->size : pieces->rest.size;
    *piece = str_slice(pieces->rest.data, size);
    pieces->rest = str_slice(pieces->rest.data + size, pieces->rest.size - size);
    return STATUS_OK;
}

static Status write_text(void *self, Str piece, Error *err) {
    (void)err;
    text_append(self, piece);
    return STATUS_OK;
}

static StateStore *create(Budget *budget) {
    StateStore *store;
    ASSERT(state_store_create((StateStoreOptions){.budget = budget, .who = "fuzz"}, &store, NULL) ==
           STATUS_OK);
    return store;
}

static const HashRange everything = {0, 0};

static Status load(StateStore *store, Str bytes, size_t piece_size) {
    Pieces pieces = {bytes, piece_size};
    return state_store_load(store, everything, (StateFeed){read_piece, &pieces}, NULL);
}

static void save_and_load_again(StateStore *store, Budget *budget) {
    Text saved = {0}, again = {0};
    StateStore *copy = create(budget);
    ASSERT(state_store_save(store, everything, (StateSink){write_text, &saved}, NULL) == STATUS_OK);
    ASSERT((saved.size == 0) == (state_store_stats(store).key_count == 0));
    if (saved.size && load(copy, text_str(&saved), 1000) == STATUS_OK) { /* else over budget */
        ASSERT(state_store_save(copy, everything, (StateSink){write_text, &again}, NULL) == STATUS_OK);
        ASSERT(leat_str_equal(text_str(&saved), text_str(&again)));
    }
    state_store_destroy(copy);
    text_deinit(&saved);
    text_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    Str input = str_slice(data + 1, size - 1);
    Budget budget;
    budget_init(&budget, "fuzz", 8 << 20, NULL);
    StateStore *store = create(&budget);
    Status st =
        data[0] & 1 ? state_store_apply(store, input, NULL) : load(store, input, 1 + data[0] / 2 % 64);
    if (st == STATUS_OK) {
        state_store_verify(store);
        save_and_load_again(store, &budget);
    }
    state_store_destroy(store);
    ASSERT(budget.used_bytes == 0);
    return 0;
}
