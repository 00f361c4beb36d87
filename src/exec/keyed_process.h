/* keyed_process.h - what the parts of the operator with state by key share; nobody else includes it.
 *
 *   op_keyed_process.c  rows into the exchange, a task for each partition, making and ending
 *   keyed_groups.c      the rows of a partition by key
 *   keyed_initial.c     the state that the operator begins with
 *   keyed_update.c      updateStateByKey: every key is called
 *   keyed_map.c         mapWithState: every record is called, and keys that have timed out
 */
#ifndef LEAT_EXEC_KEYED_PROCESS_H
#define LEAT_EXEC_KEYED_PROCESS_H

#include "exec/exchange.h"
#include "exec/giver.h"
#include "exec/keyed_state.h"
#include "exec/keys.h"
#include "exec/operator.h"
#include "exec/row_view.h"

/* Rows [begin, begin + count) of the grouped values. */
typedef struct Group {
    uint32_t begin, count;
} Group;

typedef struct ValueColumn {
    Array data, validity;
    bool has_nulls;
} ValueColumn;

typedef struct ProcessWorker {
    void *user;
    Keys keys;
    uint32_t slots[CHUNK_ROWS_MAX];
    KeyTable *groups; /* key -> 1 + index of its group */
    Array group_array;
    uint32_t group_count;
    Array row_array; /* uint32_t per row: its group, then its place among the values */
    ValueColumn *values;
    LeatColumn *value_columns; /* what functions see of them */
    RowView key, state;        /* of the state as it is stored */
    Builder *builder;          /* of what the node gives */

    OneRow result;   /* update: the new state */
    Text encoded[2]; /* the state being put; map: and the one that `state` shows */
    Arena *strings;  /* map: of the state being set */
    Array due;       /* map: StateEntry of keys that have timed out */
} ProcessWorker;

typedef struct KeyedProcess {
    Producer producer;
    uint32_t key_count, value_count;
    uint32_t state_count;  /* columns that the user knows */
    uint32_t stored_count; /* columns of the state as it is stored */
    const Field *value_fields;
    const Schema *table;
    Exchange *exchange;
    NodeState *state; /* a keyed_state */
    ProcessWorker **workers;
    uint32_t worker_count, partition_count;
    Budget *budget;
    const char *who;
    bool constant_hash;
    EngineBatch batch;
    bool is_first; /* the state begins with this batch */
} KeyedProcess;

/* Groups the rows of a partition by key: worker->groups, in hash order, and columns of values in which the
 * rows of a key stand one behind the other. */
CHECKED Status keyed_group_rows(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                Error *err);
/* Room for the keys of the batch that have no state: they are visited in hash order, in which new ones must
 * not be put into a table that grows meanwhile. */
CHECKED Status keyed_reserve_new_keys(const ProcessWorker *worker, StateStore *store, Error *err);
/* The initial rows into the stores. Driver or worker, while nobody else looks at the stores. */
CHECKED Status keyed_initial_state(const KeyedProcess *process, Error *err);
CHECKED Status keyed_update_partition(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                      const Emit *out, Error *err);
CHECKED Status keyed_map_partition(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                                   const Emit *out, Error *err);

#endif
