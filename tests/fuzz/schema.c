/* Type texts: what is accepted is written back as a text that is read as the same schema. */
#include "column/type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create(NULL, "fuzz");
    Schema *schema, *again;
    Error err = {0};
    Status st = schema_parse(arena, str_slice(data, size), 1, &schema, &err);
    ASSERT(st == STATUS_OK || st == STATUS_INVALID);
    ASSERT((st == STATUS_OK) == (schema != NULL));
    ASSERT(st == STATUS_OK || err.message[0]);
    if (schema) {
        Text text = {0}, text_again = {0};
        schema_format(schema, &text);
        st = schema_parse(arena, text_str(&text), 1, &again, &err);
        ASSERT(st == STATUS_OK && schema_equal(schema, again));
        schema_format(again, &text_again);
        ASSERT(str_equal(text_str(&text), text_str(&text_again)));
        text_deinit(&text);
        text_deinit(&text_again);
    }
    arena_destroy(arena);
    return 0;
}
