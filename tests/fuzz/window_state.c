/* A batch of a window with any bytes: taken within a budget or refused; what was taken must give the same
 * bytes again. */
#include "base/memory.h"
#include "exec/window_state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 3, STRIDE = 2 };

static Status write_text(void *self, Str piece, Error *err) {
    (void)err;
    text_append(self, piece);
    return STATUS_OK;
}

static NodeState *create(const Schema *schema, Budget *budget) {
    NodeState *state;
    WindowStateOptions options = {.schema = schema,
                                  .slot_count = SLOTS,
                                  .stride = STRIDE,
                                  .slide = STRIDE,
                                  .budget = budget,
                                  .who = "fuzz"};
    ASSERT(window_state_create(options, &state, NULL) == STATUS_OK);
    return state;
}

static void save_and_load_again(NodeState *state, uint32_t slot, const Schema *schema, Budget *budget) {
    Text saved = {0}, again = {0};
    NodeState *copy = create(schema, budget);
    ASSERT(state->class->save(state, slot, (StateSink){write_text, &saved}, NULL) == STATUS_OK);
    if (copy->class->apply(copy, slot, text_str(&saved), NULL) == STATUS_OK) { /* else over budget */
        ASSERT(copy->class->save(copy, slot, (StateSink){write_text, &again}, NULL) == STATUS_OK);
        ASSERT(leat_str_equal(text_str(&saved), text_str(&again)));
    }
    copy->class->destroy(copy);
    text_deinit(&saved);
    text_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    Budget budget;
    Schema *schema;
    Arena *arena = arena_create(NULL, "fuzz");
    ASSERT(schema_parse(arena, STR("word STRING, n BIGINT, tags ARRAY<STRING>"), 1, &schema, NULL) ==
           STATUS_OK);
    budget_init(&budget, "fuzz", 8 << 20, NULL);
    NodeState *state = create(schema, &budget);
    uint32_t slot = data[0] % SLOTS;
    if (state->class->apply(state, slot, str_slice(data + 1, size - 1), NULL) == STATUS_OK)
        save_and_load_again(state, slot, schema, &budget);
    state->class->destroy(state);
    arena_destroy(arena);
    ASSERT(budget.used_bytes == 0);
    return 0;
}
