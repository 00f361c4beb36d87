/* A snapshot with any bytes: opened and read to its end, once whole and once with sections skipped. Checksums
 * are put right first where the input asks for it. */
#include "base/bytes.h"
#include "base/memory.h"
#include "fuzz_directory.h"
#include "stream/snapshot.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(char *at, const char *bytes, size_t size) {
    uint32_t crc = crc32c(0, bytes, size);
    memcpy(at, &crc, sizeof crc);
}

/* As the writer lays them out: see snapshot.c. */
static void mend(char *bytes, size_t size) {
    if (size < 64)
        return;
    put_crc(bytes + 60, bytes, 60);
    for (size_t at = 64; size - at >= 24;) {
        uint32_t payload_size;
        memcpy(&payload_size, bytes + at + 8, sizeof payload_size);
        if (payload_size > size - at - 24)
            return;
        put_crc(bytes + at + 4, bytes + at + 24, payload_size);
        put_crc(bytes + at, bytes + at + 4, 20);
        at += 24 + payload_size;
    }
}

static Status read_all(const char *directory, bool skips, uint64_t *size_bytes) {
    SnapshotReader *reader;
    SnapshotInfo info;
    Status st = STATUS_OK;
    *size_bytes = 0;
    TRY(snapshot_open(env_real(), directory, &reader, &info, NULL));
    for (uint64_t section = 0;; section++) {
        Str name, piece;
        uint64_t promised, found = 0;
        TRY_GOTO(done, snapshot_next_section(reader, &name, &promised, NULL));
        if (!name.size)
            break;
        *size_bytes += promised;
        if (skips && section % 2)
            continue;
        do {
            TRY_GOTO(done, snapshot_read(reader, &piece, NULL));
            found += piece.size;
        } while (piece.size);
        ASSERT(found == promised);
    }
done:
    snapshot_close(reader);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const char *directory = fuzz_directory();
    char *bytes = xmalloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        mend(bytes, size - 1);
    fuzz_write(directory, "snapshot-0000000000000001.leat", bytes, size - 1);
    free(bytes);
    uint64_t whole_bytes, skipped_bytes;
    Status whole = read_all(directory, false, &whole_bytes),
           skipped = read_all(directory, true, &skipped_bytes);
    ASSERT(whole == skipped); /* what is skipped is checked too */
    ASSERT(whole != STATUS_OK || whole_bytes == skipped_bytes);
    ASSERT(whole == STATUS_OK || whole == STATUS_CORRUPT || whole == STATUS_UNSUPPORTED);
    fuzz_empty(directory);
    return 0;
}
