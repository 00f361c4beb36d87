/* keyed_state.h - the state of an operator by key: a store for each partition (node_state.h).
 *
 * A part is a partition, a section a key group. Where state can time out each partition has timers (timers.h), which
 * are not saved: they are forgotten whenever the store changes otherwise than by a batch, and built anew by
 * who needs them.
 */
#ifndef LEAT_EXEC_KEYED_STATE_H
#define LEAT_EXEC_KEYED_STATE_H

#include "exec/node_state.h"
#include "state/timers.h"

typedef struct KeyedStateOptions {
    uint32_t partition_count;
    Budget *budget;  /* borrowed; outlives the state */
    const char *who; /* the operator's id; borrowed */
    bool constant_hash;
    int64_t timeout_ms; /* 0: none, and no timers */
} KeyedStateOptions;

/* The caller owns *out: class->destroy.  NO_MEMORY. */
CHECKED Status keyed_state_create(KeyedStateOptions options, NodeState **out, Error *err);
/* Of a state that keyed_state_create gave. Borrowed; a batch puts and removes, the engine does the rest. */
StateStore *keyed_state_store(NodeState *state, uint32_t partition);
KeyTimers *keyed_state_timers(NodeState *state, uint32_t partition); /* NULL: no timeout */

#endif
