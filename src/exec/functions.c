/* functions.c - the constructors of leat/function.h. A LeatFunction is only values: what they mean is decided
 * where an operator is made of them. */
#include "leat/function.h"

LeatFunction leat_function(const char *schema, LeatRecordFunction function, void *user) {
    return (LeatFunction){
        .kind = LEAT_FUNCTION_RECORD, .schema = schema, .call.record = function, .user = user};
}

LeatFunction leat_chunk_function(const char *schema, LeatChunkFunction function, void *user) {
    return (LeatFunction){
        .kind = LEAT_FUNCTION_CHUNK, .schema = schema, .call.chunk = function, .user = user};
}

LeatFunction leat_predicate(LeatPredicateFunction function, void *user) {
    return (LeatFunction){.kind = LEAT_FUNCTION_PREDICATE, .call.predicate = function, .user = user};
}

LeatFunction leat_reduce_function(LeatReduceFunction function, void *user) {
    return (LeatFunction){.kind = LEAT_FUNCTION_REDUCE, .call.reduce = function, .user = user};
}

LeatFunction leat_partition_function(const char *schema, LeatPartitionFunction function, void *user) {
    return (LeatFunction){
        .kind = LEAT_FUNCTION_PARTITION, .schema = schema, .call.partition = function, .user = user};
}

LeatFunction leat_combine_function(const char *combiner_schema, LeatCombine functions, void *user) {
    return (LeatFunction){
        .kind = LEAT_FUNCTION_COMBINE, .schema = combiner_schema, .call.combine = functions, .user = user};
}

LeatFunction leat_update_function(const char *state_schema, LeatUpdateFunction function, void *user) {
    return (LeatFunction){
        .kind = LEAT_FUNCTION_UPDATE, .schema = state_schema, .call.update = function, .user = user};
}

LeatFunction leat_map_with_state_function(const char *state_schema, const char *schema,
                                          LeatMapWithStateFunction function, void *user) {
    return (LeatFunction){.kind = LEAT_FUNCTION_MAP_WITH_STATE,
                          .schema = schema,
                          .state_schema = state_schema,
                          .call.map_with_state = function,
                          .user = user};
}

LeatFunction leat_map_with_state_simple_function(const char *state_schema, const char *schema,
                                                 LeatMapWithStateFunction function, void *user) {
    LeatFunction simple = leat_map_with_state_function(state_schema, schema, function, user);
    simple.kind = LEAT_FUNCTION_MAP_WITH_STATE_SIMPLE;
    return simple;
}

LeatFunction leat_split(const char *separator) {
    return (LeatFunction){.kind = LEAT_FUNCTION_SPLIT, .schema = "value STRING", .text = separator};
}

LeatFunction leat_pair_with_i64(int64_t n) {
    return (LeatFunction){.kind = LEAT_FUNCTION_PAIR_WITH_I64, .i64 = n};
}

LeatFunction leat_contains(const char *text) {
    return (LeatFunction){.kind = LEAT_FUNCTION_CONTAINS, .text = text};
}

LeatFunction leat_sum(void) {
    return (LeatFunction){.kind = LEAT_FUNCTION_SUM};
}

LeatFunction leat_min(void) {
    return (LeatFunction){.kind = LEAT_FUNCTION_MIN};
}

LeatFunction leat_max(void) {
    return (LeatFunction){.kind = LEAT_FUNCTION_MAX};
}

LeatFunction leat_concat(const char *separator) {
    return (LeatFunction){.kind = LEAT_FUNCTION_CONCAT, .text = separator};
}

LeatFunction leat_subtract(void) {
    return (LeatFunction){.kind = LEAT_FUNCTION_SUBTRACT};
}
