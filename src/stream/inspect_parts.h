/* inspect_parts.h - what the files behind inspect.h share. */
#ifndef LEAT_STREAM_INSPECT_PARTS_H
#define LEAT_STREAM_INSPECT_PARTS_H

#include "base/map.h"
#include "column/type.h"
#include "state/store.h"
#include "stream/batch_log.h"
#include "stream/block_log.h"
#include "stream/checkpoint.h"
#include "stream/inspect.h"
#include "stream/saves.h"

/* A directory being looked at. */
typedef struct Inspect {
    Env *env;
    InspectOut out;
    Checkpoint *checkpoint;
    BatchLog *log;
    BlockLog *blocks;
    BatchLogCut cut;
    Text line;
    Text identity; /* of the newest OPEN, or of the snapshot */
    uint64_t frame_count, block_count;
} Inspect;

/* NOT_FOUND: no checkpoint there. */
CHECKED Status inspect_open(Inspect *inspect, const char *directory, Error *err);
CHECKED Status inspect_open_logs(Inspect *inspect, Error *err);
void inspect_close(Inspect *inspect);
/* Gives inspect->line out, with a line break, and empties it. */
CHECKED Status inspect_say(Inspect *inspect, Error *err);

/* For batch_log_read: notes each frame in the Saves `saves`. */
CHECKED Status inspect_note_saves(void *saves, const Frame *frame, Error *err);

/* The line of a plan's identity (layout: plan/identity.c) that begins with these two fields. */
enum { FIELD_WORD, FIELD_ID, FIELD_CALL, FIELD_KEY, FIELD_STATE, FIELD_VERSION, FIELD_COUNT };
bool inspect_find_identity(Str identity, Str word, Str id, Str *fields);

/* The stores of one stateful operator, one per partition. */
typedef struct OperatorState {
    StateStore **stores;
    uint32_t partition_count;
    Schema *key, *value; /* in the arena of Restored; NULL: the plan says nothing of it */
    char *id;
} OperatorState;

/* The state as of the last DELTA, restored without a program. */
typedef struct Restored {
    Inspect *inspect;
    Map operators; /* id -> OperatorState */
    Arena *arena;
    Saves saves;
    Budget budget;
} Restored;

CHECKED Status inspect_restore(Restored *restored, Inspect *inspect, Error *err);
void restored_deinit(Restored *restored); /* also of one that was not restored to the end */

#endif
