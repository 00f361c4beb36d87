/* function_stream.c - leat_function_stream, leat_arrow_stream: the function source as a stream. */
#include "connect/function/function_source.h"
#include "dstream/build.h"

LeatStream *leat_function_stream(LeatContext *context, const char *schema_text, LeatBatchFunction function,
                                 void *user) {
    const char *call = "leat_function_stream";
    const Schema *schema = context_source_schema(context, call, schema_text);
    if (!schema)
        return NULL;
    if (!function)
        return context_refuse(context, STATUS_INVALID, "%s: the function is NULL", call);
    return stream_from_source(context, call, function_source_create(schema, function, user), schema, false);
}

LeatStream *leat_arrow_stream(LeatContext *context, const char *types, LeatArrowFunction function,
                              void *user) {
    const char *call = "leat_arrow_stream";
    const Schema *schema = context_can_build(context, call) ? build_schema(context, call, types, 0) : NULL;
    if (!schema)
        return NULL;
    if (!function)
        return context_refuse(context, STATUS_INVALID, "%s: the function is NULL", call);
    return stream_from_source(context, call, function_source_create_arrow(schema, function, user), schema,
                              false);
}
