/* keyed_update.c - updateStateByKey: a function of the user over every key that has state or values.
 *
 *   1  Each key of the batch: find its state, call, put or remove.
 *   2  Scan the state: call for the keys without values; give key and state of every key that has state.
 *
 *   U1  Keys of the batch and of the state are both in hash order, so that a scan knows by one comparison
 *       whether a key had values.
 *   U2  In step 2 only the key at hand is put or removed: no slot moves.
 *   U3  With millions of keys a call costs what happens around it: nothing is set up twice, a key and a state
 *       of 8 bytes are taken from the slot, a state that stays as it was is not put, and rows are made only as
 *       long as somebody looks at them. */
#include "exec/keyed_process.h"

#include "column/codec.h"

#include <inttypes.h>

enum { SCAN_ENTRIES = 64 };

typedef struct Update {
    const KeyedProcess *process;
    ProcessWorker *worker;
    StateStore *store;
    bool key_is_word, state_is_word;
    LeatUpdate call;
    bool is_set;
} Update;

typedef enum Outcome { STATE_STAYS, STATE_IS_SET, STATE_GOES } Outcome;

/* Calls the function for one key; `state` NULL: it has none. *set: the new state, borrowed until the next
 * call. */
CHECKED static inline Status call_function(Update *update, const Key *key, const Str *state, Group values,
                                           Outcome *outcome, Str *set, Error *err) {
    const KeyedProcess *process = update->process;
    const PlanNode *node = process->producer.node;
    ProcessWorker *worker = update->worker;
    OneRow *result = &worker->result;
    if (LIKELY(update->key_is_word && key->size == sizeof(uint64_t)))
        row_view_word(&worker->key, key->inlined);
    else
        TRY(row_view_key(&worker->key, key, process->key_count, err));
    if (!state)
        row_view_set_all_null(&worker->state, process->state_count);
    else if (LIKELY(update->state_is_word && state->size == sizeof(uint64_t)))
        row_view_word(&worker->state, state->data);
    else
        TRY(row_view_value(&worker->state, *state, process->state_count, err));
    if (LIKELY(update->state_is_word))
        one_row_begin_word(result);
    else
        one_row_begin(result, NULL);
    update->is_set = false;
    update->call.has_state = state != NULL;
    update->call.value_begin = values.begin;
    update->call.value_count = values.count;
    update->call.out = result->out; /* a begin with strings may give another one */
    if (!node->function.call.update(&update->call, worker->user)) {
        *outcome = STATE_GOES;
        return STATUS_OK;
    }
    TRY(one_row_status(result, err));
    if (UNLIKELY(one_row_emitted(result) > 1))
        return error_set(err, STATUS_INVALID, "%s: the function gave %" PRIu64 " rows for one key",
                         node->call, one_row_emitted(result));
    *outcome = update->is_set ? STATE_IS_SET : STATE_STAYS;
    if (update->state_is_word) {
        *set = str_slice(one_row_word(result), one_row_is_null(result, 0) ? 0 : sizeof(uint64_t));
    } else if (update->is_set) {
        text_reset(&worker->encoded[0]);
        one_row_encode(result, &worker->encoded[0]);
        *set = text_str(&worker->encoded[0]);
    }
    return STATUS_OK;
}

CHECKED static Status update_keys_of_batch(Update *update, Error *err) {
    const ProcessWorker *worker = update->worker;
    const Group *groups = worker->group_array.data;
    const KeySlot *slot;
    TRY(keyed_reserve_new_keys(worker, update->store, err));
    for (uint64_t cursor = key_table_first(worker->groups, 0);
         (slot = key_table_next(worker->groups, &cursor, 0));) {
        Str state, set;
        Outcome outcome;
        bool has_state = state_store_find(update->store, &slot->key, slot->hash, &state);
        TRY(call_function(update, &slot->key, has_state ? &state : NULL, groups[slot->value - 1], &outcome,
                          &set, err));
        if (outcome == STATE_GOES)
            TRY(state_store_remove(update->store, &slot->key, slot->hash, err));
        else if (outcome == STATE_IS_SET)
            TRY(state_store_put(update->store, &slot->key, slot->hash, set, err));
    }
    return STATUS_OK;
}

static bool is_same_word(Str a, Str b) {
    return a.size == sizeof(uint64_t) && b.size == a.size && memcmp(a.data, b.data, sizeof(uint64_t)) == 0;
}

/* A key without values. *value becomes the state that it has then. */
CHECKED static inline Status update_idle_key(Update *update, const StateEntry *entry, Str *value, bool *stays,
                                             Error *err) {
    Str set;
    Outcome outcome;
    TRY(call_function(update, entry->key, &entry->value, (Group){0}, &outcome, &set, err));
    *stays = outcome != STATE_GOES;
    if (outcome == STATE_GOES)
        return state_store_remove_at(update->store, entry, err);
    if (outcome == STATE_STAYS || LIKELY(is_same_word(set, entry->value)))
        return STATUS_OK;
    *value = set;
    return state_store_put_at(update->store, entry, set, err);
}

CHECKED static inline Status give_row(const Update *update, Giver *giver, const Key *key, Str value,
                                      Error *err) {
    uint32_t key_count = update->process->key_count;
    if (LIKELY(update->key_is_word && key->size == sizeof(uint64_t))) {
        uint64_t word;
        memcpy(&word, key->inlined, sizeof word);
        TRY(builder_put_word(giver->builder, 0, word, err));
    } else {
        TRY(giver_put_key(giver, key, err));
    }
    if (LIKELY(update->state_is_word && value.size == sizeof(uint64_t))) {
        uint64_t word;
        memcpy(&word, value.data, sizeof word);
        TRY(builder_put_word(giver->builder, key_count, word, err));
    } else {
        TRY(codec_decode_value(value, giver->builder, key_count, key_count + update->process->state_count,
                               err));
    }
    return giver_end_row(giver, err);
}

/* The next key of the batch, in hash order; none: no hash is higher. */
static void next_group(const ProcessWorker *worker, uint64_t *cursor, uint64_t *hash, bool *has) {
    const KeySlot *slot = key_table_next(worker->groups, cursor, 0);
    *has = slot != NULL;
    *hash = slot ? slot->hash : UINT64_MAX;
}

CHECKED static Status scan_state(Update *update, Giver *giver, Error *err) {
    const ProcessWorker *worker = update->worker;
    StateEntry entries[SCAN_ENTRIES];
    StateScan scan = state_store_scan(update->store);
    bool has_group, is_wanted = emit_is_wanted(giver->out, giver->split);
    uint64_t cursor = key_table_first(worker->groups, 0), group_hash, given = giver->sequence;
    next_group(worker, &cursor, &group_hash, &has_group);
    for (uint32_t count; (count = state_store_next_entries(&scan, entries, SCAN_ENTRIES)) > 0;) {
        for (uint32_t i = 0; i < count; i++) {
            const StateEntry *entry = &entries[i];
            Str value = entry->value;
            bool stays = true;
            while (UNLIKELY(has_group && group_hash < entry->hash)) /* U1 */
                next_group(worker, &cursor, &group_hash, &has_group);
            if (LIKELY(group_hash != entry->hash) || !key_table_find(worker->groups, entry->key, entry->hash))
                TRY(update_idle_key(update, entry, &value, &stays, err));
            if (is_wanted && stays)
                TRY(give_row(update, giver, entry->key, value, err));
        }
        if (giver->sequence != given) { /* a chunk has left */
            given = giver->sequence;
            is_wanted = emit_is_wanted(giver->out, giver->split);
        }
    }
    return giver_finish(giver, err);
}

Status keyed_update_partition(const KeyedProcess *process, ProcessWorker *worker, uint32_t partition,
                              const Emit *out, Error *err) {
    const PlanNode *node = process->producer.node;
    Giver giver = {.builder = worker->builder,
                   .schema = node->schema,
                   .key_count = process->key_count,
                   .out = out,
                   .split = partition};
    Update update = {.process = process,
                     .worker = worker,
                     .store = keyed_state_store(process->state, partition),
                     .key_is_word = row_is_one_word(process->table, process->key_count),
                     .state_is_word = row_is_one_word(node->state_schema, process->state_count),
                     .call = {.key = row_view_row(&worker->key, process->key_count),
                              .state = row_view_row(&worker->state, process->state_count),
                              .values = worker->value_columns,
                              .value_column_count = process->value_count,
                              .batch_time_ms = process->batch.time_ms}};
    update.call.is_set = &update.is_set;
    TRY(update_keys_of_batch(&update, err));
    builder_reset(worker->builder);
    return scan_state(&update, &giver, err);
}
