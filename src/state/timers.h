/* timers.h - which keys of a store may be due: their hashes, by time.
 *
 * The truth is in the store: when a key was last updated is part of its value. This is an index over it, so
 * that the keys which have waited too long are found without looking at all of them.
 *
 *   T1  When it is built, every key of the store that has a time stands here at that time or an earlier one.
 *       (A key is not moved when its time moves on: it is found too early, and added again.)
 *   T2  What stands here may be out of date, for a key that is gone or one whose time has moved on.
 *
 * So a rollback, or anything else that changes the store behind its back, is answered by forgetting it all;
 * whoever needs it next adds every key of the store.
 *
 * Memory   8 to 12 bytes a key, charged to the budget. NO_MEMORY: build it anew.
 * Threads  one owner.
 */
#ifndef LEAT_STATE_TIMERS_H
#define LEAT_STATE_TIMERS_H

#include "base/memory.h"

typedef struct KeyTimers KeyTimers;

/* Times within `granule_ms` (at least 1) are kept together: a part of how long a key waits. The caller owns
 * it: key_timers_destroy(). `who` is for refusals; borrowed. */
KeyTimers *key_timers_create(int64_t granule_ms, Budget *budget, const char *who);
void key_timers_destroy(KeyTimers *timers); /* NULL is allowed */
uint64_t key_timers_size_bytes(const KeyTimers *timers);

bool key_timers_is_built(const KeyTimers *timers); /* false at first */
void key_timers_forget(KeyTimers *timers);
/* Every key of the store has been added. */
void key_timers_set_built(KeyTimers *timers);

CHECKED Status key_timers_add(KeyTimers *timers, uint64_t hash, int64_t time_ms, Error *err);
/* Takes out everything that may stand at a time before `end_ms`, with neighbours: ascending, each hash once.
 * Borrowed until the next take or forget. A key that is not due is to be added again. */
CHECKED Status key_timers_take(KeyTimers *timers, int64_t end_ms, const uint64_t **hashes, uint64_t *count,
                               Error *err);

#endif
