/* Payloads of the batch log: a decoder reads what it is given to the end or refuses it, never past its end;
 * what it reads can be encoded again to the same bytes. The first byte chooses the kind. */
#include "base/memory.h"
#include "exec/engine.h"
#include "stream/frames.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(Text *again, Str payload) {
    ASSERT(str_equal(text_str(again), payload));
}

static void fuzz_open(Str payload, Text *again) {
    OpenFrame open;
    if (open_frame_decode(payload, &open, NULL) == STATUS_OK)
        open_frame_encode(&open, again);
}

static void fuzz_plan(Str payload, Text *again) {
    PlanFrame plan;
    PlanPart part;
    if (plan_frame_decode(payload, &plan, NULL) != STATUS_OK)
        return;
    plan_frame_begin(again, plan.batch_id, plan.batch_time_ms, plan.part_count);
    uint32_t count = 0;
    for (; plan_frame_next_part(&plan, &part); count++)
        plan_frame_add_part(again, &part);
    ASSERT(count == plan.part_count);
}

static void fuzz_commit(Str payload, Text *again) {
    CommitFrame commit;
    CommitResult result;
    if (commit_frame_decode(payload, &commit, NULL) != STATUS_OK)
        return;
    commit_frame_begin(again, commit.batch_id, commit.result_count);
    uint32_t count = 0;
    for (; commit_frame_next_result(&commit, &result); count++)
        commit_frame_add_result(again, &result);
    ASSERT(count == commit.result_count);
}

static Status look_at(void *self, Str operator_id, uint32_t partition, Str changes, Error *err) {
    (void)partition, (void)err;
    *(size_t *)self += operator_id.size + changes.size;
    return STATUS_OK;
}

static void fuzz_delta(Str payload, Text *again) {
    DeltaFrame delta;
    size_t seen = 0;
    if (delta_frame_decode(payload, &delta, NULL) != STATUS_OK)
        return;
    delta_frame_encode(&delta, again);
    Status st = engine_visit_delta(delta.delta, look_at, &seen, NULL);
    ASSERT(st == STATUS_OK || st == STATUS_CORRUPT);
}

static void fuzz_snapshot(Str payload, Text *again) {
    SnapshotFrame snapshot;
    SnapshotExtent extent;
    if (snapshot_frame_decode(payload, &snapshot, NULL) != STATUS_OK)
        return;
    snapshot_frame_begin(again, snapshot.batch_id, snapshot.log_begin, snapshot.extent_count);
    uint32_t count = 0;
    for (uint64_t last = 0; snapshot_frame_next_extent(&snapshot, &extent); count++) {
        ASSERT(extent.number > last);
        last = extent.number;
        snapshot_frame_add_extent(again, extent);
    }
    ASSERT(count == snapshot.extent_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const decoders[])(Str payload, Text * again) = {fuzz_open, fuzz_plan, fuzz_delta,
                                                                  fuzz_commit, fuzz_snapshot};
    if (size == 0)
        return 0;
    char *copy = xmalloc(size); /* of exactly this size, so that a read past the end is seen */
    memcpy(copy, data + 1, size - 1);
    Text again = {0}, twice = {0};
    Str payload = {copy, size - 1};
    decoders[data[0] % ARRAY_COUNT(decoders)](payload, &again);
    if (again.size) { /* a varint may have been written longer than it needs: compare what is written twice */
        decoders[data[0] % ARRAY_COUNT(decoders)](text_str(&again), &twice);
        must_equal(&twice, text_str(&again));
    }
    text_deinit(&again);
    text_deinit(&twice);
    free(copy);
    return 0;
}
