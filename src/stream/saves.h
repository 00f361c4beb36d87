/* saves.h - the sections of a checkpoint that count: what the newest SNAPSHOT frame of the batch log names.
 *
 *     for each frame of the log: saves_note(&saves, frame)
 *     saves_open(&saves, ...)
 *
 *   Of several saves of a section the newest counts (S3 of snapshot.h), unless it is older than the log: then
 *   the section has held nothing since, or the save that said otherwise would have been recorded too (R2 of
 *   rolling.h).
 */
#ifndef LEAT_STREAM_SAVES_H
#define LEAT_STREAM_SAVES_H

#include "stream/batch_log.h"
#include "stream/frames.h"

typedef struct Saves {
    bool is_there; /* a SNAPSHOT frame has been noted; else `frame` and `catalog` say nothing */
    SnapshotFrame frame;
    SnapshotCatalog *catalog; /* NULL: saves_open has not been called, or no frame */
    Text payload;             /* of the frame */
    uint64_t first_sequence;  /* of the log; 0: it is empty */
} Saves;

void saves_note(Saves *saves, const Frame *frame);
/* CORRUPT: damage of the frame or of a file that it names, and a log that begins too late for them.
 * UNSUPPORTED: a file of another format. */
CHECKED Status saves_open(Saves *saves, Env *env, const char *directory, Error *err);
uint64_t saves_log_begin(const Saves *saves); /* frames before it are in every section */
/* The save of this name that counts. Borrowed; NULL: the section holds nothing. */
const SnapshotSection *saves_find(const Saves *saves, Str name);
/* Section `index` of the catalog, if it counts; else NULL. */
const SnapshotSection *saves_at(const Saves *saves, size_t index);
void saves_close(Saves *saves); /* also when saves_open failed */

#endif
