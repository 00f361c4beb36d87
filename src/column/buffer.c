/* buffer.c - one block per buffer: [Buffer][slack, padding to the alignment][data: capacity][slack]. */
#include "column/buffer.h"

enum { SMALL_ALIGN = 16, PAGE_ALIGN = 4096, PAGE_ALIGNED_FROM = 64 << 10 };

/* Views address a buffer by 32-bit offsets. */
#define CAPACITY_MAX ((size_t)UINT32_MAX - PAGE_ALIGN)

static size_t data_align(size_t capacity) {
    return capacity >= PAGE_ALIGNED_FROM ? PAGE_ALIGN : SMALL_ALIGN;
}

static size_t block_size(size_t capacity) {
    return sizeof(Buffer) + BUFFER_SLACK_BEFORE + data_align(capacity) + capacity + BUFFER_SLACK_AFTER;
}

Status buffer_create(size_t capacity, Budget *budget, const char *who, Buffer **out, Error *err) {
    void *block;
    *out = NULL;
    if (capacity > CAPACITY_MAX)
        return error_set(err, STATUS_NO_MEMORY, "%s needs a buffer of %zu bytes, one holds at most %zu", who,
                         capacity, CAPACITY_MAX);
    TRY(budget_alloc(budget, block_size(capacity), who, &block, err));
    uintptr_t align = data_align(capacity);
    uintptr_t data = ((uintptr_t)block + sizeof(Buffer) + BUFFER_SLACK_BEFORE + align - 1) & ~(align - 1);
    Buffer *buffer = block;
    buffer->data = (char *)data;
    buffer->size = 0;
    buffer->capacity = capacity;
    buffer->budget = budget;
    atomic_init(&buffer->reference_count, 1);
    /* Kernels load the slack and mask it away; defined bytes keep memory checkers quiet. */
    memset(buffer->data - BUFFER_SLACK_BEFORE, 0, BUFFER_SLACK_BEFORE);
    memset(buffer->data + capacity, 0, BUFFER_SLACK_AFTER);
    *out = buffer;
    return STATUS_OK;
}

Buffer *buffer_retain(Buffer *buffer) {
    atomic_fetch_add_explicit(&buffer->reference_count, 1, memory_order_relaxed);
    return buffer;
}

void buffer_release(Buffer *buffer) {
    if (!buffer)
        return;
    /* Release, then acquire by the last one: what others did with the bytes happened before their end. */
    uint32_t before = atomic_fetch_sub_explicit(&buffer->reference_count, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        budget_free(buffer->budget, buffer, block_size(buffer->capacity));
}

bool buffer_is_shared(const Buffer *buffer) {
    return atomic_load_explicit(&buffer->reference_count, memory_order_acquire) > 1;
}

size_t buffer_size_bytes(const Buffer *buffer) {
    return block_size(buffer->capacity);
}
