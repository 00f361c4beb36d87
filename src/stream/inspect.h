/* inspect.h - a checkpoint directory explained to a person: what `leat checkpoint` and `leat state` show.
 *
 * Reads only; takes no lock, so it may look at the directory of a running program (and then sees some moment
 * of it). Text goes to `out` in pieces as it is made; a write that fails ends the walk with its status.
 */
#ifndef LEAT_STREAM_INSPECT_H
#define LEAT_STREAM_INSPECT_H

#include "env/env.h"

typedef struct InspectOut {
    Status (*write)(void *self, Str text, Error *err);
    void *self;
    /* What a source of this kind ("socket") planned, for people; may be NULL. Connectors
     * stand below this room. */
    void (*describe_plan)(Str source_kind, Str plan, Text *text);
} InspectOut;

/* Identity, plan, snapshots, every frame of the batch log, every block. NOT_FOUND: no checkpoint. CORRUPT
 * after everything readable has been shown. */
CHECKED Status inspect_checkpoint(Env *env, const char *directory, InspectOut out, Error *err);
/* Reads everything with all its checks, blocks and snapshot pages too, and restores the state; one line a
 * part, "ok" or what is wrong and where. CORRUPT when anything is damaged, else OK. */
CHECKED Status inspect_verify(Env *env, const char *directory, InspectOut out, Error *err);

typedef enum InspectFormat { INSPECT_TEXT, INSPECT_JSON } InspectFormat;
/* The state as of the last DELTA: operator, key and value, one entry a line, operators by id and entries by
 * key hash. JSON: one object a line, {"operator": ..., "key": ..., "value": ...}. */
CHECKED Status inspect_state(Env *env, const char *directory, InspectFormat format, InspectOut out,
                             Error *err);

#endif
