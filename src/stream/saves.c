/* saves.c - see saves.h. */
#include "stream/saves.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

void saves_note(Saves *saves, const Frame *frame) {
    if (saves->first_sequence == 0)
        saves->first_sequence = frame->sequence;
    if (frame->kind != FRAME_SNAPSHOT)
        return;
    saves->is_there = true;
    text_reset(&saves->payload);
    text_append(&saves->payload, frame->payload);
}

uint64_t saves_log_begin(const Saves *saves) {
    return saves->is_there ? saves->frame.log_begin : 1;
}

Status saves_open(Saves *saves, Env *env, const char *directory, Error *err) {
    if (saves->is_there)
        TRY(snapshot_frame_decode(text_str(&saves->payload), &saves->frame, err));
    if (saves->first_sequence > saves_log_begin(saves))
        return error_set(err, STATUS_CORRUPT,
                         "the batch log begins at sequence %" PRIu64
                         ", the state was saved only up to %" PRIu64,
                         saves->first_sequence, saves_log_begin(saves) - 1);
    if (!saves->is_there)
        return STATUS_OK;
    SnapshotFrame walk = saves->frame;
    size_t count = 0;
    SnapshotExtent *extents = xcalloc(walk.extent_count ? walk.extent_count : 1, sizeof *extents);
    while (snapshot_frame_next_extent(&walk, &extents[count]))
        count++;
    Status st = snapshot_catalog_open(env, directory, extents, count, &saves->catalog, err);
    free(extents);
    return st;
}

const SnapshotSection *saves_find(const Saves *saves, Str name) {
    const SnapshotSection *section = saves->catalog ? snapshot_catalog_find(saves->catalog, name) : NULL;
    return section && section->log_sequence + 1 >= saves->frame.log_begin ? section : NULL;
}

const SnapshotSection *saves_at(const Saves *saves, size_t index) {
    const SnapshotSection *section = snapshot_catalog_section(saves->catalog, index);
    return saves_find(saves, section->name) == section ? section : NULL;
}

void saves_close(Saves *saves) {
    snapshot_catalog_close(saves->catalog);
    text_deinit(&saves->payload);
    *saves = (Saves){0};
}
