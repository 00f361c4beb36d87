/* A snapshot file with any bytes, of which the log vouches for any number: its sections are listed and read to
 * their ends. Checksums are put right first where the input asks for it. */
#include "base/bytes.h"
#include "base/memory.h"
#include "fuzz_directory.h"
#include "stream/snapshot.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(char *at, uint32_t seed, const char *bytes, size_t size) {
    uint32_t crc = crc32c(seed, bytes, size);
    memcpy(at, &crc, sizeof crc);
}

/* As the builder lays them out: see snapshot.c. */
static void mend(char *bytes, size_t size) {
    uint64_t number = 1;
    uint32_t seed = crc32c(0, &number, sizeof number);
    if (size < 32)
        return;
    memcpy(bytes + 16, &number, sizeof number);
    put_crc(bytes + 28, 0, bytes, 28);
    for (size_t at = 32; size - at >= 24;) {
        uint32_t payload_size;
        memcpy(&payload_size, bytes + at + 8, sizeof payload_size);
        if (payload_size > size - at - 24)
            return;
        put_crc(bytes + at + 4, seed, bytes + at + 24, payload_size);
        put_crc(bytes + at, seed, bytes + at + 4, 20);
        at += 24 + payload_size;
    }
}

/* What is handed out has the size that was promised. */
static Status read_section(const SnapshotCatalog *catalog, const SnapshotSection *section) {
    SnapshotReader *reader = snapshot_open(catalog, section);
    Status st = STATUS_OK;
    uint64_t found = 0;
    for (Str piece = STR(" "); st == STATUS_OK && piece.size; found += piece.size)
        st = snapshot_read(reader, &piece, NULL);
    ASSERT(st != STATUS_OK || found == section->size_bytes);
    snapshot_close(reader);
    return st;
}

static Status read_all(const char *directory, SnapshotExtent extent) {
    SnapshotCatalog *catalog;
    TRY(snapshot_catalog_open(env_real(), directory, &extent, 1, &catalog, NULL));
    Status st = STATUS_OK;
    for (size_t i = 0; i < snapshot_catalog_count(catalog) && st == STATUS_OK; i++) {
        const SnapshotSection *section = snapshot_catalog_section(catalog, i);
        const SnapshotSection *newest = snapshot_catalog_find(catalog, section->name);
        ASSERT(newest && newest >= section && str_equal(newest->name, section->name));
        st = read_section(catalog, section);
    }
    snapshot_catalog_close(catalog);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const char *directory = fuzz_directory();
    size_t file_size = size - 2;
    uint64_t newest, left_out = data[1];
    char *bytes = xmalloc(size);
    memcpy(bytes, data + 2, file_size);
    if (data[0] & 1)
        mend(bytes, file_size);
    fuzz_write(directory, "snapshot-0000000000000001.leat", bytes, file_size);
    free(bytes);
    Status survey = snapshot_survey(env_real(), directory, &newest, NULL);
    Status st = read_all(directory, (SnapshotExtent){1, file_size < left_out ? 0 : file_size - left_out});
    ASSERT(survey == STATUS_OK || survey == STATUS_UNSUPPORTED);
    ASSERT(st == STATUS_OK || st == STATUS_CORRUPT || st == STATUS_UNSUPPORTED);
    ASSERT(st != STATUS_UNSUPPORTED || survey == STATUS_UNSUPPORTED);
    fuzz_empty(directory);
    return 0;
}
