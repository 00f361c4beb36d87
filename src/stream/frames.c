/* frames.c - payload layouts, little-endian (base/bytes.h):
 *
 *     OPEN    i64 started_ms, varint workers, str identity
 *     PLAN    varint batch, i64 time_ms, varint parts, parts x { str source, u8 has_batch, str plan }
 *     DELTA   varint batch, str delta
 *     COMMIT  varint batch, varint results, results x { str output, u8 ok, str message }
 *     SNAPSHOT  varint batch, varint log_begin, varint extents, extents x { varint number, varint size }
 */
#include "stream/frames.h"

#include <inttypes.h>

const char *frame_kind_name(uint8_t kind) {
    switch (kind) {
    case FRAME_OPEN:
        return "OPEN";
    case FRAME_PLAN:
        return "PLAN";
    case FRAME_DELTA:
        return "DELTA";
    case FRAME_COMMIT:
        return "COMMIT";
    case FRAME_SNAPSHOT:
        return "SNAPSHOT";
    default:
        return "?";
    }
}

/* Every payload must be used up to its last byte: anything else is not what encode wrote. */
CHECKED static Status finish(const Reader *r, const char *kind, Error *err) {
    if (r->failed || r->offset != r->size)
        return error_set(err, STATUS_CORRUPT, "%s frame: malformed at byte %zu of %zu", kind, r->offset,
                         r->size);
    return STATUS_OK;
}

void open_frame_encode(const OpenFrame *open, Text *out) {
    bytes_put_i64(out, open->started_ms);
    bytes_put_varint(out, open->worker_count);
    bytes_put_str(out, open->identity);
}

Status open_frame_decode(Str payload, OpenFrame *open, Error *err) {
    Reader r = reader_of(payload);
    OpenFrame decoded = {.started_ms = reader_i64(&r)};
    decoded.worker_count = (uint32_t)reader_varint(&r);
    decoded.identity = reader_str(&r);
    TRY(finish(&r, "OPEN", err));
    *open = decoded;
    return STATUS_OK;
}

void plan_frame_begin(Text *out, uint64_t batch_id, int64_t batch_time_ms, uint32_t part_count) {
    bytes_put_varint(out, batch_id);
    bytes_put_i64(out, batch_time_ms);
    bytes_put_varint(out, part_count);
}

void plan_frame_add_part(Text *out, const PlanPart *part) {
    bytes_put_str(out, part->source_id);
    bytes_put_u8(out, part->has_batch);
    bytes_put_str(out, part->plan);
}

static PlanPart read_part(Reader *r) {
    PlanPart part = {.source_id = reader_str(r)};
    part.has_batch = reader_u8(r) != 0;
    part.plan = reader_str(r);
    return part;
}

Status plan_frame_decode(Str payload, PlanFrame *plan, Error *err) {
    Reader r = reader_of(payload);
    PlanFrame decoded = {.batch_id = reader_varint(&r)};
    decoded.batch_time_ms = reader_i64(&r);
    decoded.part_count = (uint32_t)reader_varint(&r);
    decoded.parts = r;
    for (uint32_t i = 0; i < decoded.part_count && !r.failed; i++)
        (void)read_part(&r);
    TRY(finish(&r, "PLAN", err));
    *plan = decoded;
    return STATUS_OK;
}

bool plan_frame_next_part(PlanFrame *plan, PlanPart *part) {
    if (reader_at_end(&plan->parts))
        return false;
    *part = read_part(&plan->parts);
    return true;
}

void delta_frame_encode(const DeltaFrame *delta, Text *out) {
    bytes_put_varint(out, delta->batch_id);
    bytes_put_str(out, delta->delta);
}

Status delta_frame_decode(Str payload, DeltaFrame *delta, Error *err) {
    Reader r = reader_of(payload);
    DeltaFrame decoded = {.batch_id = reader_varint(&r)};
    decoded.delta = reader_str(&r);
    TRY(finish(&r, "DELTA", err));
    *delta = decoded;
    return STATUS_OK;
}

void commit_frame_begin(Text *out, uint64_t batch_id, uint32_t result_count) {
    bytes_put_varint(out, batch_id);
    bytes_put_varint(out, result_count);
}

void commit_frame_add_result(Text *out, const CommitResult *result) {
    bytes_put_str(out, result->output_id);
    bytes_put_u8(out, result->is_ok);
    bytes_put_str(out, result->message);
}

static CommitResult read_result(Reader *r) {
    CommitResult result = {.output_id = reader_str(r)};
    result.is_ok = reader_u8(r) != 0;
    result.message = reader_str(r);
    return result;
}

Status commit_frame_decode(Str payload, CommitFrame *commit, Error *err) {
    Reader r = reader_of(payload);
    CommitFrame decoded = {.batch_id = reader_varint(&r)};
    decoded.result_count = (uint32_t)reader_varint(&r);
    decoded.results = r;
    for (uint32_t i = 0; i < decoded.result_count && !r.failed; i++)
        (void)read_result(&r);
    TRY(finish(&r, "COMMIT", err));
    *commit = decoded;
    return STATUS_OK;
}

bool commit_frame_next_result(CommitFrame *commit, CommitResult *result) {
    if (reader_at_end(&commit->results))
        return false;
    *result = read_result(&commit->results);
    return true;
}

void snapshot_frame_begin(Text *out, uint64_t batch_id, uint64_t log_begin, uint32_t extent_count) {
    bytes_put_varint(out, batch_id);
    bytes_put_varint(out, log_begin);
    bytes_put_varint(out, extent_count);
}

void snapshot_frame_add_extent(Text *out, SnapshotExtent extent) {
    bytes_put_varint(out, extent.number);
    bytes_put_varint(out, extent.size_bytes);
}

static SnapshotExtent read_extent(Reader *r) {
    SnapshotExtent extent = {.number = reader_varint(r)};
    extent.size_bytes = reader_varint(r);
    return extent;
}

Status snapshot_frame_decode(Str payload, SnapshotFrame *snapshot, Error *err) {
    Reader r = reader_of(payload);
    SnapshotFrame decoded = {.batch_id = reader_varint(&r)};
    decoded.log_begin = reader_varint(&r);
    decoded.extent_count = (uint32_t)reader_varint(&r);
    decoded.extents = r;
    uint64_t last = 0;
    for (uint32_t i = 0; i < decoded.extent_count && !r.failed; i++) {
        SnapshotExtent extent = read_extent(&r);
        if (extent.number <= last && !r.failed)
            return error_set(err, STATUS_CORRUPT, "SNAPSHOT frame: file numbers out of order");
        last = extent.number;
    }
    TRY(finish(&r, "SNAPSHOT", err));
    *snapshot = decoded;
    return STATUS_OK;
}

bool snapshot_frame_next_extent(SnapshotFrame *snapshot, SnapshotExtent *extent) {
    if (reader_at_end(&snapshot->extents))
        return false;
    *extent = read_extent(&snapshot->extents);
    return true;
}
