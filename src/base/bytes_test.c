#include "base/bytes.h"
#include "base/crc32c.h"
#include "check.h"

TEST(crc32c_known_answers) {
    uint8_t bytes[32] = {0};
    CHECK_EQ(crc32c(0, "", 0), 0);
    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
    /* RFC 3720 B.4 */
    CHECK_EQ(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_EQ(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQ(crc32c(0, bytes, 32), 0x46dd794e);
}
TEST_MAIN()
