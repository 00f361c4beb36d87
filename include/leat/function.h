/* leat/function.h - what an operation does to its rows.
 *
 * A LeatFunction is a small value, made by one of the calls below and given to an operation. Three speeds,
 * one shape:
 *
 *     leat_flat_map(lines, leat_split(" "))                   built in: runs as kernels, no call per record
 *     leat_flat_map(lines, leat_function("word STRING", split_words, NULL))    yours, called for each record
 *     leat_map(rows, leat_chunk_function("n BIGINT", double_them, NULL))        yours, called for each chunk
 *
 *   - A schema is SQL type text, "word STRING, n BIGINT": the columns of the rows that the function gives.
 *     Types: BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(precision, scale), STRING, BINARY,
 *     DATE, TIMESTAMP. ARRAY<type>, MAP<type, type>, STRUCT<name: type, ...> and OPTION<name: type, ...> can be
 *     read, but not given by a function.
 *   - Workers call a function at the same time from several threads. `user` is shared: it must not be written
 *     without care. State of one's own per worker comes from `open`.
 *   - A function is called once per record. (Spark may call it again when a task fails.) After a crash the
 *     batches that had not ended are run again.
 *   - Texts given here are copied by the operation; `user` is borrowed until the context is destroyed.
 */
#ifndef LEAT_FUNCTION_H
#define LEAT_FUNCTION_H

#include "leat/row.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum LeatFunctionKind {
    LEAT_FUNCTION_RECORD,                /* leat_function */
    LEAT_FUNCTION_CHUNK,                 /* leat_chunk_function */
    LEAT_FUNCTION_PREDICATE,             /* leat_predicate */
    LEAT_FUNCTION_REDUCE,                /* leat_reduce_function */
    LEAT_FUNCTION_UPDATE,                /* leat_update_function */
    LEAT_FUNCTION_MAP_WITH_STATE,        /* leat_map_with_state_function */
    LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE, /* leat_map_with_state_simple_function */
    LEAT_FUNCTION_SPLIT,                 /* the built-in ones */
    LEAT_FUNCTION_PAIR_WITH_I64,
    LEAT_FUNCTION_CONTAINS,
    LEAT_FUNCTION_SUM,
    LEAT_FUNCTION_MIN,
    LEAT_FUNCTION_MAX,
    LEAT_FUNCTION_CONCAT,
    LEAT_FUNCTION_SUBTRACT,
    LEAT_FUNCTION_COMBINE,   /* leat_combine_function */
    LEAT_FUNCTION_PARTITION, /* leat_partition_function */
} LeatFunctionKind;

typedef struct LeatUpdate LeatUpdate;
typedef struct LeatKeyState LeatKeyState;
typedef struct LeatPartition LeatPartition;

/* One record in, any number of rows out: set the columns, leat_out_emit, again. In leat_map exactly one row
 * is given for each record, and the emit may be left out. */
typedef void (*LeatRecordFunction)(const LeatRow *row, LeatOut *out, void *user);
/* A chunk in, rows out: leat_out_reserve and leat_out_emit_rows, or leat_out_emit row by row. In leat_map as
 * many rows as the chunk has. */
typedef void (*LeatChunkFunction)(const LeatChunk *chunk, LeatOut *out, void *user);
/* True: the row stays. */
typedef bool (*LeatPredicateFunction)(const LeatRow *row, void *user);
/* Two values into one; `a` came before `b`. The rows are the values only, without key columns, and so is the
 * one row that is given (the emit may be left out). Must be associative. Spark wants a commutative one, too;
 * here rows are reduced in the order of the input. */
typedef void (*LeatReduceFunction)(const LeatRow *a, const LeatRow *b, LeatOut *out, void *user);
/* The new state of one key: see LeatUpdate below. True: what was set is the state; when nothing was set it
 * stays as it was. False: the key is dropped. */
typedef bool (*LeatUpdateFunction)(const LeatUpdate *key, void *user);
/* One record of a key with the state of the key, which it may read, update or remove, in; any number of rows
 * out, as in LeatRecordFunction: see LeatKeyState below. `value` has the columns behind the key; it is NULL
 * where the state has timed out. */
typedef void (*LeatMapWithStateFunction)(const LeatRow *key, const LeatRow *value, LeatKeyState *state,
                                         LeatOut *out, void *user);

/* All rows of a partition in, any number of rows out: see leat_partition_next below. */
typedef void (*LeatPartitionFunction)(LeatPartition *partition, LeatOut *out, void *user);

/* The values of a key into a combiner, which may be of other columns. Each function gives one row; the emit may
 * be left out. */
typedef struct LeatCombine {
    LeatRecordFunction create;          /* the combiner of the first value */
    LeatReduceFunction merge_value;     /* a combiner and the next value */
    LeatReduceFunction merge_combiners; /* two combiners; the values of the first came before */
    /* Spark's mapSideCombine = false: the rows of a key are brought together first, and merge_combiners is not
     * called (it may be NULL). For combiners that are not smaller than their values. */
    bool no_map_side_combine;
} LeatCombine;

typedef struct LeatFunction {
    LeatFunctionKind kind;
    const char *schema;       /* of the rows it gives; NULL where the operation knows */
    const char *state_schema; /* of a map with state */
    union {
        LeatRecordFunction record;
        LeatChunkFunction chunk;
        LeatPredicateFunction predicate;
        LeatReduceFunction reduce;
        LeatUpdateFunction update;
        LeatCombine combine;
        LeatMapWithStateFunction map_with_state;
        LeatPartitionFunction partition;
    } call;
    void *user;
    const char *text; /* argument of a built-in one: the separator, the text looked for */
    int64_t i64;      /* argument of a built-in one */

    /* The rest is optional, and set after the function was made. */

    const char *name; /* shown in messages, e.g. "running_count" */
    /* Of a function with state: raise it when the meaning of its state changes. A checkpoint of another version
     * is refused, with the name of the operator. */
    uint32_t version;
    /* Per worker: `open` is called once for each worker before the first record; what it gives takes the
     * place of `user` in the calls of that worker; NULL is a failure. `close` gets it at the end. */
    void *(*open)(void *user);
    void (*close)(void *worker_user);
} LeatFunction;

/* ---- functions of your own ---- */

LEAT_API LeatFunction leat_function(const char *schema, LeatRecordFunction function, void *user);
LEAT_API LeatFunction leat_chunk_function(const char *schema, LeatChunkFunction function, void *user);
LEAT_API LeatFunction leat_predicate(LeatPredicateFunction function, void *user);
LEAT_API LeatFunction leat_reduce_function(LeatReduceFunction function, void *user);
LEAT_API LeatFunction leat_partition_function(const char *schema, LeatPartitionFunction function, void *user);
LEAT_API LeatFunction leat_combine_function(const char *combiner_schema, LeatCombine functions, void *user);
LEAT_API LeatFunction leat_update_function(const char *state_schema, LeatUpdateFunction function, void *user);
/* For leat_map_with_state. The simple one gives exactly one row for each record, and the emit may be left
 * out, as in leat_map. */
LEAT_API LeatFunction leat_map_with_state_function(const char *state_schema, const char *schema,
                                                   LeatMapWithStateFunction function, void *user);
LEAT_API LeatFunction leat_map_with_state_simple_function(const char *state_schema, const char *schema,
                                                          LeatMapWithStateFunction function, void *user);

/* ---- built in ---- */

/* flat_map, of a stream of one STRING column: the parts between separators, by the rule of leat_str_split
 * (Python's str.split(separator)), as "value STRING". The separator is not empty. One of a single byte,
 * directly behind a text source, costs next to nothing: it is decoded together with the lines. */
LEAT_API LeatFunction leat_split(const char *separator);
/* map: (element, n). All columns of the row become the key; behind them stands "n BIGINT". */
LEAT_API LeatFunction leat_pair_with_i64(int64_t n);
/* filter: the rows whose first STRING column contains the text. */
LEAT_API LeatFunction leat_contains(const char *text);
/* The reductions work column by column, and pass over nulls. Sums are of numbers and keep their type: TINYINT to
 * BIGINT wrap around as on the JVM, FLOAT and DOUBLE add in the order of the rows, DECIMAL adds exactly, and a
 * sum of more digits than its precision makes the batch fail. min and max are of any scalar type: NaN is the
 * greatest number, strings compare by bytes. */
LEAT_API LeatFunction leat_sum(void);
LEAT_API LeatFunction leat_min(void);
LEAT_API LeatFunction leat_max(void);
/* STRING values one behind the other in the order of the rows, the separator in between. */
LEAT_API LeatFunction leat_concat(const char *separator);
/* The inverse of leat_sum, for windows: a - b, column by column. */
LEAT_API LeatFunction leat_subtract(void);

/* ---- what a partition function sees (mapPartitions) ---- */

/* The next row, which is valid until the next call. False: that was the last one. */
LEAT_API bool leat_partition_next(LeatPartition *partition, LeatRow *row);
/* Which partition of the batch it is; they count from 0. */
LEAT_API uint32_t leat_partition_index(const LeatPartition *partition);

/* ---- what an update function sees (updateStateByKey) ---- */

/* One key of one batch. The fields belong to Leat: use the calls below. Valid until the function returns. */
struct LeatUpdate {
    LeatRow key;   /* the key columns */
    LeatRow state; /* the state columns; null where has_state is false */
    bool has_state;
    const LeatColumn *values; /* the value columns; this key's rows begin at value_begin */
    uint32_t value_column_count;
    uint32_t value_begin, value_count;
    int64_t batch_time_ms;
    LeatOut *out; /* the state being set */
    bool *is_set;
};

static inline const LeatRow *leat_update_key(const LeatUpdate *update) {
    return &update->key;
}
static inline int64_t leat_update_batch_time_ms(const LeatUpdate *update) {
    return update->batch_time_ms;
}
static inline bool leat_update_has_state(const LeatUpdate *update) {
    return update->has_state;
}
/* Null and 0 where there is no state: ask leat_update_has_state first. */
static inline const LeatRow *leat_update_state(const LeatUpdate *update) {
    return &update->state;
}
static inline bool leat_update_state_bool(const LeatUpdate *update, uint32_t column) {
    return leat_row_bool(&update->state, column);
}
static inline int8_t leat_update_state_i8(const LeatUpdate *update, uint32_t column) {
    return leat_row_i8(&update->state, column);
}
static inline int16_t leat_update_state_i16(const LeatUpdate *update, uint32_t column) {
    return leat_row_i16(&update->state, column);
}
static inline int32_t leat_update_state_i32(const LeatUpdate *update, uint32_t column) {
    return leat_row_i32(&update->state, column);
}
static inline int64_t leat_update_state_i64(const LeatUpdate *update, uint32_t column) {
    return leat_row_i64(&update->state, column);
}
static inline float leat_update_state_f32(const LeatUpdate *update, uint32_t column) {
    return leat_row_f32(&update->state, column);
}
static inline double leat_update_state_f64(const LeatUpdate *update, uint32_t column) {
    return leat_row_f64(&update->state, column);
}
static inline LeatDecimal leat_update_state_decimal(const LeatUpdate *update, uint32_t column) {
    return leat_row_decimal(&update->state, column);
}
static inline LeatStr leat_update_state_str(const LeatUpdate *update, uint32_t column) {
    return leat_row_str(&update->state, column);
}

/* The key's values of this batch, in the order of the input; `index` < leat_update_value_count. */
static inline size_t leat_update_value_count(const LeatUpdate *update) {
    return update->value_count;
}
static inline LeatRow leat_update_value(const LeatUpdate *update, size_t index) {
    LeatRow row;
    row.columns = update->values;
    row.column_count = update->value_column_count;
    row.index = update->value_begin + (uint32_t)index;
    return row;
}
static inline bool leat_update_value_bool(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_bool(&row, column);
}
static inline int8_t leat_update_value_i8(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_i8(&row, column);
}
static inline int16_t leat_update_value_i16(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_i16(&row, column);
}
static inline int32_t leat_update_value_i32(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_i32(&row, column);
}
static inline int64_t leat_update_value_i64(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_i64(&row, column);
}
static inline float leat_update_value_f32(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_f32(&row, column);
}
static inline double leat_update_value_f64(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_f64(&row, column);
}
static inline LeatDecimal leat_update_value_decimal(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_decimal(&row, column);
}
static inline LeatStr leat_update_value_str(const LeatUpdate *update, size_t index, uint32_t column) {
    LeatRow row = leat_update_value(update, index);
    return leat_row_str(&row, column);
}

/* Sets a column of the new state; the columns that are not set become 0 or empty. */
static inline void leat_update_set_state_bool(const LeatUpdate *update, uint32_t column, bool value) {
    *update->is_set = true;
    leat_out_bool(update->out, column, value);
}
static inline void leat_update_set_state_i8(const LeatUpdate *update, uint32_t column, int8_t value) {
    *update->is_set = true;
    leat_out_i8(update->out, column, value);
}
static inline void leat_update_set_state_i16(const LeatUpdate *update, uint32_t column, int16_t value) {
    *update->is_set = true;
    leat_out_i16(update->out, column, value);
}
static inline void leat_update_set_state_i32(const LeatUpdate *update, uint32_t column, int32_t value) {
    *update->is_set = true;
    leat_out_i32(update->out, column, value);
}
static inline void leat_update_set_state_i64(const LeatUpdate *update, uint32_t column, int64_t value) {
    *update->is_set = true;
    leat_out_i64(update->out, column, value);
}
static inline void leat_update_set_state_f32(const LeatUpdate *update, uint32_t column, float value) {
    *update->is_set = true;
    leat_out_f32(update->out, column, value);
}
static inline void leat_update_set_state_f64(const LeatUpdate *update, uint32_t column, double value) {
    *update->is_set = true;
    leat_out_f64(update->out, column, value);
}
static inline void leat_update_set_state_decimal(const LeatUpdate *update, uint32_t column,
                                                 LeatDecimal value) {
    *update->is_set = true;
    leat_out_decimal(update->out, column, value);
}
static inline void leat_update_set_state_str(const LeatUpdate *update, uint32_t column, LeatStr value) {
    *update->is_set = true;
    leat_out_str(update->out, column, value);
}
static inline void leat_update_set_state_null(const LeatUpdate *update, uint32_t column) {
    *update->is_set = true;
    leat_out_null(update->out, column);
}

/* ---- the state of a key in leat_map_with_state (Spark's State) ---- */

/* The fields belong to Leat: use the calls below. Valid until the function returns.
 *
 * What Spark throws an exception for fails the batch, and the message says what it was: to read a state that
 * does not exist; to update or remove one that was removed in the same call, or that has timed out. */
struct LeatKeyState {
    LeatRow row; /* the state columns */
    int64_t batch_time_ms;
    bool exists, is_updated, is_removed, is_timing_out;
    const char *mistake; /* the first one of this call; static text */
};

static inline int64_t leat_state_batch_time_ms(const LeatKeyState *state) {
    return state->batch_time_ms;
}
static inline bool leat_state_exists(const LeatKeyState *state) {
    return state->exists;
}
/* No record of the key came for longer than the timeout: this is the last call with this state, which goes
 * when the function returns. */
static inline bool leat_state_is_timing_out(const LeatKeyState *state) {
    return state->is_timing_out;
}

LEAT_API void leat_state_read_mistake_(LeatKeyState *state);
/* The state as it is now, updates of this call among it. It must exist. */
static inline const LeatRow *leat_state_get(LeatKeyState *state) {
    if (!state->exists)
        leat_state_read_mistake_(state);
    return &state->row;
}
static inline bool leat_state_get_bool(LeatKeyState *state, uint32_t column) {
    return leat_row_bool(leat_state_get(state), column);
}
static inline int8_t leat_state_get_i8(LeatKeyState *state, uint32_t column) {
    return leat_row_i8(leat_state_get(state), column);
}
static inline int16_t leat_state_get_i16(LeatKeyState *state, uint32_t column) {
    return leat_row_i16(leat_state_get(state), column);
}
static inline int32_t leat_state_get_i32(LeatKeyState *state, uint32_t column) {
    return leat_row_i32(leat_state_get(state), column);
}
static inline float leat_state_get_f32(LeatKeyState *state, uint32_t column) {
    return leat_row_f32(leat_state_get(state), column);
}
static inline LeatDecimal leat_state_get_decimal(LeatKeyState *state, uint32_t column) {
    return leat_row_decimal(leat_state_get(state), column);
}
static inline int64_t leat_state_get_i64(LeatKeyState *state, uint32_t column) {
    return leat_row_i64(leat_state_get(state), column);
}
static inline double leat_state_get_f64(LeatKeyState *state, uint32_t column) {
    return leat_row_f64(leat_state_get(state), column);
}
static inline LeatStr leat_state_get_str(LeatKeyState *state, uint32_t column) {
    return leat_row_str(leat_state_get(state), column);
}

/* Sets a column of the state, which exists from then on. The other columns stay as they are; in a new state
 * they are null. */
LEAT_API void leat_state_update_bool(LeatKeyState *state, uint32_t column, bool value);
LEAT_API void leat_state_update_i8(LeatKeyState *state, uint32_t column, int8_t value);
LEAT_API void leat_state_update_i16(LeatKeyState *state, uint32_t column, int16_t value);
LEAT_API void leat_state_update_i32(LeatKeyState *state, uint32_t column, int32_t value);
LEAT_API void leat_state_update_i64(LeatKeyState *state, uint32_t column, int64_t value);
LEAT_API void leat_state_update_f32(LeatKeyState *state, uint32_t column, float value);
LEAT_API void leat_state_update_f64(LeatKeyState *state, uint32_t column, double value);
LEAT_API void leat_state_update_decimal(LeatKeyState *state, uint32_t column, LeatDecimal value);
LEAT_API void leat_state_update_str(LeatKeyState *state, uint32_t column, LeatStr value); /* copied */
LEAT_API void leat_state_update_null(LeatKeyState *state, uint32_t column);
/* The key has no state any more. */
LEAT_API void leat_state_remove(LeatKeyState *state);

#ifdef __cplusplus
}
#endif

#endif
