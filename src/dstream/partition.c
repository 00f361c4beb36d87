/* partition.c - the calls that look at the partitions of a batch, or make them anew. */
#include "dstream/build.h"

static LeatStream *add_partition(LeatStream *stream, PlanPartition mode, const char *call,
                                 const LeatFunction *function, const Schema *schema) {
    PlanNode *node = build_node(stream->context, PLAN_PARTITION, call, stream, function);
    node->partition = mode;
    node->schema = schema;
    return build_stream(stream->context, node, schema);
}

LeatStream *leat_glom(LeatStream *stream) {
    const char *call = "leat_glom";
    if (!build_can_extend(stream, call))
        return NULL;
    const Schema *schema = plan_list_schema(build_arena(stream->context), stream->schema);
    if (!build_can_have(stream->context, call, schema))
        return NULL;
    return add_partition(stream, PARTITION_LIST, call, &(LeatFunction){0}, schema);
}

LeatStream *leat_map_partitions(LeatStream *stream, LeatFunction function) {
    const char *call = "leat_map_partitions";
    if (!build_can_extend(stream, call) ||
        !build_takes(stream->context, call, &function, 1 << LEAT_FUNCTION_PARTITION,
                     "leat_partition_function()"))
        return NULL;
    const Schema *schema = build_given_schema(stream->context, call, function.schema, 0);
    return schema ? add_partition(stream, PARTITION_MAP, call, &function, schema) : NULL;
}

static LeatStream *partition_anew(LeatStream *stream, PlanPartition mode, const char *call,
                                  int partition_count, uint32_t key_count) {
    if (partition_count < 1 || partition_count > PLAN_PARTITIONS_MAX)
        return context_refuse(stream->context, STATUS_INVALID, "%s: %d partitions; 1 to %d are possible",
                              call, partition_count, PLAN_PARTITIONS_MAX);
    LeatStream *out = add_partition(stream, mode, call, &(LeatFunction){0},
                                    build_with_key_count(stream->context, stream->schema, key_count));
    out->node->partition_count = (uint32_t)partition_count;
    return out;
}

LeatStream *leat_repartition(LeatStream *stream, int partition_count) {
    const char *call = "leat_repartition";
    if (!build_can_extend(stream, call))
        return NULL;
    return partition_anew(stream, PARTITION_IN_TURN, call, partition_count, stream->schema->key_count);
}

LeatStream *leat_partition_by(LeatStream *stream, int partition_count) {
    const char *call = "leat_partition_by";
    if (!build_can_extend(stream, call))
        return NULL;
    return partition_anew(stream, PARTITION_BY_KEY, call, partition_count, build_key_count(stream));
}
