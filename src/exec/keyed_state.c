/* keyed_state.c - stores behind node_state.h, one for each partition. */
#include "exec/keyed_state.h"

#include <stdlib.h>

/* A timeout in so many parts: the timers of one part are looked at together. */
enum { TIMER_GRANULES = 256 };

typedef struct KeyedPartition {
    StateStore *store;
    KeyTimers *timers; /* or NULL */
} KeyedPartition;

typedef struct KeyedState {
    NodeState state;
    KeyedPartition partitions[];
} KeyedState;

static const KeyedPartition *partition_of(const NodeState *state, uint32_t partition) {
    ASSERT(partition < state->part_count);
    return &((const KeyedState *)state)->partitions[partition];
}

static StateStore *store_of(const NodeState *state, uint32_t partition) {
    return partition_of(state, partition)->store;
}

static void forget_timers(const NodeState *state, uint32_t partition) {
    KeyTimers *timers = partition_of(state, partition)->timers;
    if (timers)
        key_timers_forget(timers);
}

StateStore *keyed_state_store(NodeState *state, uint32_t partition) {
    return store_of(state, partition);
}

KeyTimers *keyed_state_timers(NodeState *state, uint32_t partition) {
    return partition_of(state, partition)->timers;
}

static void keyed_begin(NodeState *state) {
    for (uint32_t p = 0; p < state->part_count; p++)
        state_store_begin(store_of(state, p));
}

static bool keyed_is_changed(const NodeState *state, uint32_t part) {
    return state_store_is_changed(store_of(state, part));
}

static void keyed_delta(const NodeState *state, uint32_t part, Text *out) {
    state_store_delta(store_of(state, part), out);
}

static void keyed_keep(NodeState *state) {
    for (uint32_t p = 0; p < state->part_count; p++)
        state_store_keep(store_of(state, p));
}

static void keyed_rollback(NodeState *state) {
    for (uint32_t p = 0; p < state->part_count; p++) {
        state_store_rollback(store_of(state, p));
        forget_timers(state, p);
    }
}

CHECKED static Status keyed_apply(NodeState *state, uint32_t part, Str delta, Error *err) {
    forget_timers(state, part);
    return state_store_apply(store_of(state, part), delta, err);
}

static HashRange group_range(uint32_t group) {
    return (HashRange){key_partition_begin(group, KEY_GROUP_COUNT),
                       key_partition_begin(group + 1, KEY_GROUP_COUNT)};
}

static uint32_t keyed_part_of(const NodeState *state, uint32_t section) {
    return key_partition_of(group_range(section).begin, state->part_count);
}

CHECKED static Status keyed_save(NodeState *state, uint32_t section, StateSink sink, Error *err) {
    return state_store_save(store_of(state, keyed_part_of(state, section)), group_range(section), sink, err);
}

CHECKED static Status keyed_load(NodeState *state, uint32_t section, StateFeed feed, Error *err) {
    uint32_t part = keyed_part_of(state, section);
    forget_timers(state, part);
    return state_store_load(store_of(state, part), group_range(section), feed, err);
}

static void keyed_count(const NodeState *state, uint64_t *keys, uint64_t *bytes) {
    for (uint32_t p = 0; p < state->part_count; p++) {
        StateStoreStats stats = state_store_stats(store_of(state, p));
        *keys += stats.key_count;
        *bytes += stats.size_bytes;
        const KeyTimers *timers = partition_of(state, p)->timers;
        *bytes += timers ? key_timers_size_bytes(timers) : 0;
    }
}

static void keyed_destroy(NodeState *state) {
    for (uint32_t p = 0; p < state->part_count; p++) {
        state_store_destroy(store_of(state, p));
        key_timers_destroy(partition_of(state, p)->timers);
    }
    free(state);
}

static const NodeStateClass keyed_class = {
    .begin = keyed_begin,
    .is_changed = keyed_is_changed,
    .delta = keyed_delta,
    .keep = keyed_keep,
    .rollback = keyed_rollback,
    .apply = keyed_apply,
    .part_of = keyed_part_of,
    .save = keyed_save,
    .load = keyed_load,
    .count = keyed_count,
    .destroy = keyed_destroy,
};

Status keyed_state_create(KeyedStateOptions options, NodeState **out, Error *err) {
    uint32_t count = options.partition_count;
    KeyedState *keyed = xcalloc(1, sizeof *keyed + count * sizeof(KeyedPartition));
    keyed->state = (NodeState){.class = &keyed_class, .part_count = count, .section_count = KEY_GROUP_COUNT};
    *out = NULL;
    for (uint32_t p = 0; p < count; p++) {
        StateStoreOptions store = {.hash_begin = key_partition_begin(p, count),
                                   .hash_end = key_partition_begin(p + 1, count),
                                   .budget = options.budget,
                                   .who = options.who,
                                   .constant_hash = options.constant_hash};
        int64_t granule_ms = options.timeout_ms / TIMER_GRANULES + 1;
        if (options.timeout_ms > 0)
            keyed->partitions[p].timers = key_timers_create(granule_ms, options.budget, options.who);
        Status st = state_store_create(store, &keyed->partitions[p].store, err);
        if (st != STATUS_OK) {
            keyed_destroy(&keyed->state);
            return st;
        }
    }
    *out = &keyed->state;
    return STATUS_OK;
}
