/* recovery.h - a start of the driver on a checkpoint: state and sources as the last process left them, and
 * the batches that it owed.
 *
 *     recovery_restore  as part of driver_create: compares the program with the checkpoint, loads the
 *                       snapshot, learns how every batch in the log ended, begins this start's epoch
 *     recovery_replay   on the driver's thread, before the sources start: brings sources and state to where
 *                       they were, and runs pending batches again
 *
 * After a failure the driver is only good for driver_destroy.
 */
#ifndef LEAT_STREAM_RECOVERY_H
#define LEAT_STREAM_RECOVERY_H

#include "base/status.h"

typedef struct Driver Driver;

/* INVALID: the checkpoint of another program. CORRUPT, UNSUPPORTED, IO. */
CHECKED Status recovery_restore(Driver *driver, Error *err);
/* What it runs again goes through the ordinary steps: an output that fails leaves its batch pending. */
CHECKED Status recovery_replay(Driver *driver, Error *err);

#endif
