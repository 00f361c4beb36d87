/* rolling.h - S10: the state is saved a section at a time between batches, and the logs are cut (D8).
 *
 * What a program has is a fixed list of sections (snapshot.h): "meta", each source, what the engine names.
 * They are saved in turn, the oldest first, round after round; a round is a file. A section saved between two
 * batches stands in memory until the log is durable up to there, is then written and synced by a thread of its
 * own, and counts once a SNAPSHOT frame says so.
 *
 *   R1  What is written of a section is in the log, durable: with it the COMMIT of the last batch that is in
 *       it. Sections are saved only while no batch is pending. So a batch that a start runs again lies behind
 *       every section, and finds the state that was before it once all DELTAs up to there are applied.
 *   R2  Every frame of the log behind the oldest of the newest saves is kept: log_begin of the SNAPSHOT frame
 *       (frames.h). A DELTA may be older than a section that it changes; as all later ones follow, and hold
 *       values, the section is in the end as the last of them left it (N2 of node_state.h).
 *   R3  Nothing is cut from the log, and no file removed, before the SNAPSHOT frame that makes it superfluous
 *       is durable.
 *   R4  A round is through by the time the log has grown by snapshot_log_bytes (by default 64 MiB, or as much
 *       as a whole image takes). So what is saved behind a batch is in proportion to what the batch has
 *       logged, and no batch waits for more than that, or for one section.
 *
 * After a failure - of a save, of a write - the driver ends with it; what is in the files counts as before.
 *
 * Memory   the sections saved and not written yet: up to 8 MiB and one section, twice.
 * Threads  the driver's, and one that writes. Both end with rolling_end.
 */
#ifndef LEAT_STREAM_ROLLING_H
#define LEAT_STREAM_ROLLING_H

#include "stream/saves.h"

typedef struct Driver Driver;
typedef struct Rolling Rolling;

/* Makes driver->rolling, which goes on where an earlier process left off: with `saves`, only looked at. No file
 * has a number above newest_file. */
void rolling_begin(Driver *driver, const Saves *saves, uint64_t newest_file);
void rolling_end(Driver *driver); /* also of a driver that never began it; unwritten sections are dropped */

/* For the replay of the log, before the first step: frames before it are in every section; frames up to it are
 * in what source `i` was given to restore. */
uint64_t rolling_log_begin(const Driver *driver);
uint64_t rolling_source_sequence(const Driver *driver, uint32_t i);

/* After batch `batch_id`, whose COMMIT is in the log. */
CHECKED Status rolling_step(Driver *driver, uint64_t batch_id, Error *err);

/* Work that is begun is ended also when no batch comes for long: then the driver waits for the end of a write,
 * or for a good moment to sync the log, and takes a step. False, both: nothing is owed. */
bool rolling_wants_sync(const Driver *driver);
bool rolling_has_written(const Driver *driver); /* under the driver's mutex */
CHECKED Status rolling_idle(Driver *driver, Error *err);
/* All of it, at the end of the driver's thread. */
CHECKED Status rolling_finish(Driver *driver, Error *err);

#endif
