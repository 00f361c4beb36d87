#include "base/bitmap.h"
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

TEST_MAIN()
