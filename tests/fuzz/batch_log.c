/* A segment of the batch log with any bytes: it is opened, read, appended to, and opened again. Checksums of
 * the frames are put right first where the input asks for it, so that what stands behind them is reached. */
#include "base/bytes.h"
#include "base/memory.h"
#include "fuzz_directory.h"
#include "stream/batch_log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(char *at, uint32_t seed, const char *bytes, size_t size) {
    uint32_t crc = crc32c(seed, bytes, size);
    memcpy(at, &crc, sizeof crc);
}

/* As the writer lays them out: see batch_log.c. */
static void mend(char *bytes, size_t size) {
    if (size < 64)
        return;
    uint32_t salt;
    memcpy(&salt, bytes + 12, sizeof salt);
    put_crc(bytes + 60, 0, bytes, 60);
    for (size_t at = 64; size - at >= 48;) {
        uint32_t payload_size;
        memcpy(&payload_size, bytes + at + 8, sizeof payload_size);
        size_t padded = ((size_t)payload_size + 7) / 8 * 8;
        if (padded > size - at - 48)
            return;
        put_crc(bytes + at + 4, 0, bytes + at + 48, padded);
        put_crc(bytes + at, salt, bytes + at + 4, 44);
        at += 48 + padded;
    }
}

typedef struct Seen {
    uint64_t last;
    uint32_t epoch;
} Seen;

static Status look(void *self, const Frame *frame, Error *err) {
    (void)err;
    Seen *seen = self;
    ASSERT(frame->durable_upto < frame->sequence && frame->epoch >= seen->epoch);
    ASSERT(seen->last == 0 || frame->sequence == seen->last + 1);
    *seen = (Seen){frame->sequence, frame->epoch};
    return STATUS_OK;
}

/* Opens and reads; false: refused. */
static bool open_and_read(const char *directory, bool is_read_only, BatchLog **log, Seen *seen) {
    BatchLogOptions options = {
        .env = env_real(), .directory = directory, .segment_size_bytes = 4096, .read_only = is_read_only};
    *seen = (Seen){0};
    if (batch_log_open(options, log, NULL, NULL) != STATUS_OK)
        return false;
    ASSERT(batch_log_read(*log, look, seen, NULL) == STATUS_OK);
    ASSERT(seen->last == batch_log_last_sequence(*log));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 1 << 16)
        return 0;
    const char *directory = fuzz_directory();
    char *bytes = xmalloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        mend(bytes, size - 1);
    fuzz_write(directory, "batch-0000000000000001.log", bytes, size - 1);
    free(bytes);
    BatchLog *log;
    Seen found, again;
    if (open_and_read(directory, true, &log, &found)) {
        batch_log_close(log);
        ASSERT(open_and_read(directory, false, &log, &again) && again.last == found.last);
        bool has_room = again.last < UINT64_MAX - 2 && again.epoch < UINT32_MAX;
        if (has_room) {
            batch_log_set_epoch(log, again.epoch + 1);
            ASSERT(batch_log_append(log, 1, STR("one more"), NULL, NULL) == STATUS_OK);
            ASSERT(batch_log_flush(log, NULL) == STATUS_OK);
        }
        batch_log_close(log);
        ASSERT(open_and_read(directory, true, &log, &again) && again.last == found.last + has_room);
        batch_log_close(log);
    }
    fuzz_empty(directory);
    return 0;
}
