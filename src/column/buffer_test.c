#include "column/buffer.h"
#include "check.h"

TEST(buffers_are_aligned_with_readable_slack) {
    static const size_t capacities[] = {0, 1, 4096, (64 << 10) - 1, 64 << 10, 1 << 20, 3 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(capacities); i++) {
        Budget budget;
        Error err = {0};
        budget_init(&budget, "test", UINT64_MAX, NULL);
        Buffer *buffer;
        REQUIRE(CHECK_OK(buffer_create(capacities[i], &budget, "test", &buffer, &err), err));
        CHECK_EQ(buffer->size, 0);
        CHECK_EQ(buffer->capacity, capacities[i]);
        CHECK_EQ((uintptr_t)buffer->data % (capacities[i] >= (64 << 10) ? 4096 : 16), 0);
        CHECK_EQ(budget.used_bytes, buffer_size_bytes(buffer));
        memset(buffer->data, 1, capacities[i]);
        int sum = 0;
        for (int at = 1; at <= BUFFER_SLACK_BEFORE; at++)
            sum += buffer->data[-at];
        for (int at = 0; at < BUFFER_SLACK_AFTER; at++)
            sum += buffer->data[capacities[i] + (size_t)at];
        CHECK_EQ(sum, 0);
        CHECK(!buffer_is_shared(buffer));
        CHECK(buffer_retain(buffer) == buffer);
        CHECK(buffer_is_shared(buffer));
        buffer_release(buffer);
        CHECK(!buffer_is_shared(buffer));
        CHECK(budget.used_bytes > 0);
        buffer_release(buffer);
        CHECK_EQ(budget.used_bytes, 0);
    }
    buffer_release(NULL);
}

TEST(refusals_change_nothing) {
    Budget budget;
    Error err = {0};
    Buffer *buffer = (Buffer *)1;
    budget_init(&budget, "socket", 1000, NULL);
    CHECK_EQ(buffer_create(1000, &budget, "the reader", &buffer, &err), STATUS_NO_MEMORY);
    CHECK(buffer == NULL);
    CHECK(strstr(err.message, "the reader") != NULL);
    CHECK_EQ(budget.used_bytes, 0);
    buffer = (Buffer *)1;
    CHECK_EQ(buffer_create(UINT32_MAX, NULL, "the reader", &buffer, &err), STATUS_NO_MEMORY);
    CHECK(buffer == NULL);
    CHECK_EQ(buffer_create(SIZE_MAX, NULL, "the reader", &buffer, NULL), STATUS_NO_MEMORY);
}

TEST_MAIN()
