/* A segment of the block log with any bytes, and places of blocks: opened as a reader and as an owner, every
 * block that is found is read. Checksums are put right first where the input asks for it. */
#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "fuzz_directory.h"
#include "stream/block_log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(char *at, const char *bytes, size_t size) {
    uint32_t crc = crc32c(0, bytes, size);
    memcpy(at, &crc, sizeof crc);
}

/* As the writer lays them out: see block_log.c. */
static void mend(char *bytes, size_t size) {
    for (size_t at = 0; at < size && size - at >= 64;) {
        uint32_t data_size;
        memcpy(&data_size, bytes + at + 36, sizeof data_size);
        if (data_size > size - at - 64)
            return;
        put_crc(bytes + at + 40, bytes + at + 64, data_size);
        put_crc(bytes + at, bytes + at + 4, 60);
        at += ((size_t)data_size + 64 + 4095) / 4096 * 4096;
    }
}

typedef struct Found {
    BlockLog *log;
    uint64_t count;
} Found;

static Status look(void *self, const BlockRef *ref, Error *err) {
    (void)err;
    Found *found = self;
    found->count++;
    Buffer *buffer;
    Status st = block_log_read(found->log, ref, &buffer, NULL);
    ASSERT(st == STATUS_OK || st == STATUS_CORRUPT);
    ASSERT(st != STATUS_OK || buffer->size == BLOCK_HEADER_SIZE + (size_t)ref->size_bytes);
    buffer_release(buffer);
    return STATUS_OK;
}

static bool open_and_read(const char *directory, bool is_read_only, uint64_t *count) {
    BlockLogOptions options = {.env = env_real(), .directory = directory, .read_only = is_read_only};
    Found found = {0};
    if (block_log_open(options, &found.log, NULL) != STATUS_OK)
        return false;
    ASSERT(block_log_scan(found.log, look, &found, NULL) == STATUS_OK);
    block_log_close(found.log);
    *count = found.count;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ASSERT(log_configure(STR("error"), NULL) == STATUS_OK);
    if (size < 1 || size > 1 << 16)
        return 0;
    Str place = str_slice(data + 1, size - 1);
    BlockRef ref;
    if (block_ref_decode(&place, &ref, NULL) == STATUS_OK) {
        Text again = {0};
        BlockRef back;
        block_ref_encode(&ref, &again);
        Str rest = text_str(&again);
        ASSERT(block_ref_decode(&rest, &back, NULL) == STATUS_OK && rest.size == 0);
        ASSERT(back.number == ref.number && back.offset == ref.offset && back.size_bytes == ref.size_bytes);
        text_deinit(&again);
    }
    const char *directory = fuzz_directory();
    char *bytes = xmalloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        mend(bytes, size - 1);
    fuzz_write(directory, "block-0000000000000001.log", bytes, size - 1);
    free(bytes);
    uint64_t found, again;
    if (open_and_read(directory, true, &found)) {
        ASSERT(open_and_read(directory, false, &again) && again == found);
        ASSERT(open_and_read(directory, true, &again) && again == found);
    }
    fuzz_empty(directory);
    return 0;
}
