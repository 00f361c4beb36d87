#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "check.h"

#include <stdlib.h>

TEST(crc32c_known_answers) {
    uint8_t bytes[48] = {0};
    CHECK_EQ(crc32c(0, NULL, 0), 0);
    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
    /* RFC 3720 B.4 */
    CHECK_EQ(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    CHECK_EQ(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQ(crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    CHECK_EQ(crc32c(0, bytes, 32), 0x113fdb5c);
}

/* The definition, bit by bit. */
static uint32_t crc_by_bits(uint32_t crc, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

TEST(crc32c_is_the_same_every_way) {
    enum { SIZE_MAX_ = 3 * 2048 * 2 + 3 * 128 * 2 + 23 };
    static const size_t sizes[] = {0,   1,   7,    8,    9,    383,  384,  385,      391,
                                   767, 768, 6143, 6144, 6145, 6527, 6528, SIZE_MAX_};
    uint8_t *bytes = malloc(SIZE_MAX_ + 8); /* of its exact size: a read behind it is seen */
    Random random;
    random_init(&random, check_seed());
    for (size_t i = 0; i < SIZE_MAX_ + 8; i++)
        bytes[i] = (uint8_t)random_u64(&random);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (size_t start = 0; start < 8; start += 3) {
            uint32_t before = (uint32_t)random_u64(&random);
            uint32_t expected = crc_by_bits(before, bytes + start, sizes[i]);
            CHECK_EQ(crc32c_plain(before, bytes + start, sizes[i]), expected);
            if (crc32c_has_instruction())
                CHECK_EQ(crc32c_by_instruction(before, bytes + start, sizes[i]), expected);
        }
    }
    if (!crc32c_has_instruction())
        printf("skipped: this CPU has no CRC-32C instruction\n");
    free(bytes);
}

TEST(crc32c_goes_on_from_the_bytes_before) {
    static const char text[] = "the CRC of two parts is that of the whole";
    size_t size = sizeof text - 1;
    for (size_t cut = 0; cut <= size; cut++)
        CHECK_EQ(crc32c(crc32c(0, text, cut), text + cut, size - cut), crc32c(0, text, size));
}

TEST(hash_bytes_is_xxh3_with_seed_0) {
    /* By the library of xxHash 0.8.1, over bytes i * 7 + 3. Stored keys depend on them: they never change. */
    static const struct {
        size_t size;
        uint64_t hash;
    } answers[] = {
        {0, 0x2d06800538d394c2},    {1, 0x13e608bc156defed},    {2, 0x1c9074b93943b86c},
        {3, 0xa9088dda485b481c},    {4, 0x6d9253b16c8b1ed3},    {8, 0x60539db630471163},
        {9, 0xfeff668361d723a8},    {12, 0x6829454be0cc3199},   {13, 0x67f77075aba7f824},
        {16, 0xb8c859b0f030b585},   {17, 0x714a04408e79b80f},   {32, 0x19ff4ee1d6ba1a55},
        {64, 0x287eb1fa9e4be2c1},   {128, 0x67425a03650261bf},  {129, 0xc664bf3311c6abc4},
        {200, 0x746cd0025327bf5b},  {240, 0x64556dc6b462a6cf},  {241, 0x8beadd3a8874fe17},
        {512, 0xf58202b8d9019d1d},  {1024, 0x9b81661c641c72b1}, {1025, 0x806c2072ed713576},
        {2048, 0xabe604813ba62ed1},
    };
    uint8_t bytes[2048];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++)
        CHECK_EQ(hash_bytes(bytes, answers[i].size), answers[i].hash);
    CHECK_EQ(hash_bytes(NULL, 0), answers[0].hash);
}

static Text everything_written(void) {
    Text out = {0};
    bytes_put_u8(&out, 0xab);
    bytes_put_u32(&out, 0xdeadbeef);
    bytes_put_u64(&out, UINT64_MAX - 1);
    bytes_put_i64(&out, INT64_MIN);
    bytes_put_varint(&out, 300);
    bytes_put_str(&out, STR("key\0!"));
    bytes_put_str(&out, STR(""));
    bytes_put_varint(&out, UINT64_MAX);
    return out;
}

/* Reads what everything_written wrote; the values are checked as long as there was no short read. */
static void everything_read(Reader *r) {
    uint8_t u8 = reader_u8(r);
    CHECK_EQ(u8, r->failed ? 0 : 0xab);
    uint32_t u32 = reader_u32(r);
    CHECK_EQ(u32, r->failed ? 0 : 0xdeadbeef);
    uint64_t u64 = reader_u64(r);
    CHECK_EQ(u64, r->failed ? 0 : UINT64_MAX - 1);
    int64_t i64 = reader_i64(r);
    CHECK_EQ(i64, r->failed ? 0 : INT64_MIN);
    uint64_t varint = reader_varint(r);
    CHECK_EQ(varint, r->failed ? 0 : 300);
    Str str = reader_str(r);
    CHECK(str.data && str_equal(str, r->failed ? STR("") : STR("key\0!")));
    Str empty = reader_str(r);
    CHECK(empty.data && empty.size == 0);
    varint = reader_varint(r);
    CHECK_EQ(varint, r->failed ? 0 : UINT64_MAX);
}

TEST(what_is_written_is_read) {
    Text out = everything_written();
    Reader r = reader_of(text_str(&out));
    everything_read(&r);
    CHECK(!r.failed && reader_at_end(&r));
    CHECK(reader_u8(&r) == 0 && r.failed && reader_at_end(&r));
    text_deinit(&out);
}

TEST(layout_is_little_endian) {
    Text out = {0};
    bytes_put_u32(&out, 0xdeadbeef);
    bytes_put_varint(&out, 300);
    bytes_put_str(&out, STR("ab"));
    CHECK(str_equal(text_str(&out), STR("\xef\xbe\xad\xde\xac\x02\x02"
                                        "ab")));
    text_deinit(&out);
}

TEST(every_truncation_is_seen) {
    Text out = everything_written();
    for (size_t size = 0; size < out.size; size++) {
        char *cut = malloc(size ? size : 1); /* of its exact size: a read behind it is seen */
        memcpy(cut, out.data, size);
        Reader r = reader_of(str_slice(cut, size));
        everything_read(&r);
        CHECK(r.failed && r.offset <= size);
        free(cut);
    }
    text_deinit(&out);
}

TEST(varints_at_their_edges) {
    static const struct {
        uint64_t value;
        size_t size;
    } edges[] = {{0, 1},           {127, 1},        {128, 2}, {16383, 2}, {16384, 3}, {(1ull << 63) - 1, 9},
                 {1ull << 63, 10}, {UINT64_MAX, 10}};
    for (size_t i = 0; i < ARRAY_COUNT(edges); i++) {
        Text out = {0};
        bytes_put_varint(&out, edges[i].value);
        CHECK_EQ(out.size, edges[i].size);
        Reader r = reader_of(text_str(&out));
        CHECK_EQ(reader_varint(&r), edges[i].value);
        CHECK(!r.failed && reader_at_end(&r));
        text_deinit(&out);
    }
    static const Str wrong[] = {
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},     /* bit 64 */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11}, /* eleven bytes */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
        {"\x80", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        Reader r = reader_of(wrong[i]);
        CHECK(reader_varint(&r) == 0 && r.failed);
    }
}

TEST(a_size_beyond_the_end_is_not_believed) {
    Text out = {0};
    bytes_put_varint(&out, UINT64_MAX); /* size of a string; offset + size would wrap */
    text_append(&out, STR("abc"));
    Reader r = reader_of(text_str(&out));
    CHECK(reader_str(&r).size == 0 && r.failed);
    CHECK(reader_bytes(&r, 0).data != NULL);
    text_deinit(&out);
}

TEST_MAIN()
