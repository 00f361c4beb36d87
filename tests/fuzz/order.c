/* Orders as text: each is accepted or refused with a message, whatever is in it. */
#include "dstream/context.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_batch(int64_t batch_time_ms, LeatOut *out, void *user) {
    (void)batch_time_ms;
    (void)out;
    (void)user;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = xstrdup(str_slice((const char *)data, size));
    LeatContext *ctx = leat_context_create("fuzz", leat_seconds(1));
    LeatStream *in =
        leat_function_stream(ctx, "a BIGINT, b STRING, `c,``d` DOUBLE, b BOOLEAN", no_batch, NULL);
    LeatStream *sorted = leat_sort_by(in, text);
    ASSERT((sorted == NULL) == (leat_error(ctx)[0] != 0));
    for (uint32_t i = 0; sorted && i < sorted->node->order_count; i++)
        ASSERT(sorted->node->order[i].column < 3);
    ASSERT(!sorted || sorted->node->order_count > 0);
    leat_context_destroy(ctx);
    free(text);
    return 0;
}
