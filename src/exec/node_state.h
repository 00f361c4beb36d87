/* node_state.h - what a stateful operator keeps from batch to batch, as the engine and the logs see it.
 *
 * The engine, the DELTA frames and the snapshots know state only through this: keyed tables are one kind
 * (keyed_state.h), the kept chunks of a window another.
 *
 *   N1  Between begin and keep or rollback the changes of the batch are undoable; both cannot fail.
 *   N2  Changes come in *parts*, which are applied one by one and do not touch each other. A delta holds
 *       values, not differences: applying one twice, or one that is older than what is there and then all
 *       that followed it, gives the same state in the end.
 *   N3  An image comes in *sections*, each saved and loaded by itself; sections may be of different batches
 *       when every delta from the oldest on is applied afterwards (N2). The number of sections is fixed for
 *       an operator and its number of partitions. A section that holds nothing stands in no image; one that
 *       no image has holds nothing.
 *
 * Memory   charged to the budget it was made with. NO_MEMORY names the operator.
 * Threads  parts belong to the workers that run them; every call here is the driver's, between their rounds,
 *          but for load.
 */
#ifndef LEAT_EXEC_NODE_STATE_H
#define LEAT_EXEC_NODE_STATE_H

#include "state/store.h"

typedef struct NodeState NodeState;

typedef struct NodeStateClass {
    void (*begin)(NodeState *state);
    bool (*is_changed)(const NodeState *state, uint32_t part); /* since begin */
    /* Appends the changes since begin. */
    void (*delta)(const NodeState *state, uint32_t part, Text *out);
    void (*keep)(NodeState *state);
    void (*rollback)(NodeState *state);
    /* Outside of a batch. CORRUPT, NO_MEMORY: the state is then good for nothing but destroy. */
    CHECKED Status (*apply)(NodeState *state, uint32_t part, Str delta, Error *err);
    /* The part that the section belongs to. */
    uint32_t (*part_of)(const NodeState *state, uint32_t section);
    /* Between batches. Not a byte when the section holds nothing. */
    CHECKED Status (*save)(NodeState *state, uint32_t section, StateSink sink, Error *err);
    /* Into a section that holds nothing yet; those of a part in ascending order, those of different parts also
     * at the same time, from workers. CORRUPT, NO_MEMORY: as with apply. */
    CHECKED Status (*load)(NodeState *state, uint32_t section, StateFeed feed, Error *err);
    /* Adds what it holds. */
    void (*count)(const NodeState *state, uint64_t *keys, uint64_t *bytes);
    void (*destroy)(NodeState *state);
} NodeStateClass;

/* First member of the state's own struct. */
struct NodeState {
    const NodeStateClass *class;
    uint32_t part_count, section_count;
};

#endif
