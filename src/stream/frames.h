/* frames.h - what stands in the frames of the batch log (batch_log.h): the words of the batch protocol.
 *
 *     OPEN    a start of the owner: its epoch begins; the plan's identity as text
 *     PLAN    batch b: its time, and what each source planned for it
 *     DELTA   batch b: what changed in the state; absent when nothing did
 *     COMMIT  batch b: how each output ended. Several may stand for one batch: an output that failed is run
 *             again after a restart; together they say what landed
 *     SNAPSHOT  what is durable of the snapshot files; the newest one counts
 *
 * Decoding never trusts its bytes: CORRUPT, nothing read past the end. Decoded views borrow from the payload.
 */
#ifndef LEAT_STREAM_FRAMES_H
#define LEAT_STREAM_FRAMES_H

#include "base/bytes.h"
#include "stream/snapshot.h"

typedef enum FrameKind {
    FRAME_OPEN = 1,
    FRAME_PLAN = 2,
    FRAME_DELTA = 3,
    FRAME_COMMIT = 4,
    FRAME_SNAPSHOT = 5
} FrameKind;

const char *frame_kind_name(uint8_t kind); /* "PLAN"; "?" for an unknown one */

typedef struct OpenFrame {
    int64_t started_ms; /* wall clock */
    uint32_t worker_count;
    Str identity; /* plan_identity */
} OpenFrame;
void open_frame_encode(const OpenFrame *open, Text *out);
CHECKED Status open_frame_decode(Str payload, OpenFrame *open, Error *err);

/* A PLAN is a header and one part per source, in the order of the plan's sources. */
typedef struct PlanFrame {
    uint64_t batch_id;
    int64_t batch_time_ms;
    uint32_t part_count;
    Reader parts; /* plan_frame_next_part */
} PlanFrame;
typedef struct PlanPart {
    Str source_id;
    bool has_batch;
    Str plan; /* the source's own bytes */
} PlanPart;
void plan_frame_begin(Text *out, uint64_t batch_id, int64_t batch_time_ms, uint32_t part_count);
void plan_frame_add_part(Text *out, const PlanPart *part);
CHECKED Status plan_frame_decode(Str payload, PlanFrame *plan, Error *err); /* checks every part */
/* False: there are no more. */
bool plan_frame_next_part(PlanFrame *plan, PlanPart *part);

typedef struct DeltaFrame {
    uint64_t batch_id;
    Str delta; /* engine_delta */
} DeltaFrame;
void delta_frame_encode(const DeltaFrame *delta, Text *out);
CHECKED Status delta_frame_decode(Str payload, DeltaFrame *delta, Error *err);

typedef struct CommitFrame {
    uint64_t batch_id;
    uint32_t result_count;
    Reader results; /* commit_frame_next_result */
} CommitFrame;
typedef struct CommitResult {
    Str output_id;
    bool is_ok;
    Str message; /* why not */
} CommitResult;
void commit_frame_begin(Text *out, uint64_t batch_id, uint32_t result_count);
void commit_frame_add_result(Text *out, const CommitResult *result);
CHECKED Status commit_frame_decode(Str payload, CommitFrame *commit, Error *err); /* checks every result */
bool commit_frame_next_result(CommitFrame *commit, CommitResult *result);

/* Written when sections have become durable; only when it is durable itself may what it makes superfluous go:
 * files that it does not name, frames before log_begin. */
typedef struct SnapshotFrame {
    uint64_t batch_id;  /* the newest batch that a section holds */
    uint64_t log_begin; /* the first frame of the log that is not in every section */
    uint32_t extent_count;
    Reader extents; /* snapshot_frame_next_extent: ascending numbers */
} SnapshotFrame;
void snapshot_frame_begin(Text *out, uint64_t batch_id, uint64_t log_begin, uint32_t extent_count);
void snapshot_frame_add_extent(Text *out, SnapshotExtent extent);
CHECKED Status snapshot_frame_decode(Str payload, SnapshotFrame *snapshot, Error *err); /* checks them all */
bool snapshot_frame_next_extent(SnapshotFrame *snapshot, SnapshotExtent *extent);

#endif
