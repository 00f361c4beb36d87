#include "base/bitmap.h"
#include "base/random.h"
#include "check.h"

#include <stdlib.h>

enum { BITS = 200, SIZE = (BITS + 7) / 8 };

TEST(one_bit_at_a_time) {
    uint8_t bits[SIZE] = {0};
    bitmap_set(bits, 0);
    bitmap_set(bits, 9);
    bitmap_put(bits, 17, true);
    CHECK_EQ(bits[0], 1); /* least significant first */
    CHECK_EQ(bits[1], 2);
    CHECK_EQ(bits[2], 2);
    CHECK(bitmap_get(bits, 9) && !bitmap_get(bits, 10));
    bitmap_clear(bits, 9);
    bitmap_put(bits, 17, false);
    CHECK(!bitmap_get(bits, 9) && bits[2] == 0);
    CHECK(bitmap_size_bytes(0) == 0 && bitmap_size_bytes(8) == 1 && bitmap_size_bytes(9) == 2);
}

/* Every range of 200 bits, over ones and over zeros: inside has the value, outside what was there. */
TEST(fill_every_range) {
    for (int value = 0; value < 2; value++) {
        for (size_t begin = 0; begin <= BITS; begin++) {
            for (size_t end = begin; end <= BITS; end += begin % 8 ? 7 : 1) {
                uint8_t *bits = malloc(SIZE);
                memset(bits, value ? 0 : 0xff, SIZE);
                bitmap_fill(bits, begin, end, value);
                bool is_right = true;
                for (size_t i = 0; i < SIZE * 8; i++)
                    is_right &= bitmap_get(bits, i) == (i >= begin && i < end ? value : !value);
                if (!CHECK(is_right))
                    printf("    [%zu, %zu) to %d\n", begin, end, value);
                free(bits);
            }
        }
    }
}

TEST(count_next_and_at_every_length) {
    Random random;
    random_init(&random, check_seed());
    for (int round = 0; round < 300; round++) {
        size_t bit_count = random_below(&random, BITS + 1), size = bitmap_size_bytes(bit_count);
        uint64_t rare = 1 + random_below(&random, 40);
        uint8_t *a = malloc(size + 1), *b = malloc(size + 1), *both = malloc(size + 1);
        uint8_t *bits = malloc(size ? size : 1); /* of its exact size: a read behind it is seen */
        for (size_t i = 0; i < size; i++) {
            a[i] = b[i] = 0;
            for (size_t bit = 0; bit < 8; bit++) { /* bits behind the last one too */
                bitmap_put(a, i * 8 + bit, random_below(&random, rare) == 0);
                bitmap_put(b, i * 8 + bit, random_below(&random, 2) == 0);
            }
            bits[i] = a[i];
        }
        size_t count = 0, next = bit_count;
        for (size_t i = bit_count; i-- > 0;) {
            count += bitmap_get(a, i);
            next = bitmap_get(a, i) ? i : next;
            if (!CHECK(bitmap_next(bits, i, bit_count) == next))
                printf("    from %zu of %zu\n", i, bit_count);
        }
        CHECK_EQ(bitmap_count(bits, bit_count), count);
        CHECK_EQ(bitmap_next(bits, bit_count, bit_count), bit_count);
        CHECK_EQ(bitmap_next(bits, bit_count + 9, bit_count), bit_count);
        both[size] = 0x5a;
        bitmap_and(a, b, both, bit_count);
        for (size_t i = 0; i < bit_count; i++)
            CHECK(bitmap_get(both, i) == (bitmap_get(a, i) && bitmap_get(b, i)));
        CHECK_EQ(both[size], 0x5a);
        free(a), free(b), free(both), free(bits);
    }
}

TEST_MAIN()
