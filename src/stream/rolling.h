/* rolling.h - S10: what a batch does at its end for the next start to be short: snapshots, and the logs are
 * cut. */
#ifndef LEAT_STREAM_ROLLING_H
#define LEAT_STREAM_ROLLING_H

#include "base/status.h"

typedef struct Driver Driver;

/* After batch `batch_id`, whose COMMIT is in the log. */
CHECKED Status rolling_step(Driver *driver, uint64_t batch_id, Error *err);

#endif
