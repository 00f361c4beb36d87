/* socket_stream.c - leat_socket_text_stream: the socket source as a stream. */
#include "connect/socket/socket_source.h"
#include "dstream/context.h"

LeatStream *leat_socket_text_stream(LeatContext *context, const char *host, const char *port) {
    const char *call = "leat_socket_text_stream";
    const Schema *schema = context_source_schema(context, call, "value STRING");
    if (!schema)
        return NULL;
    if (!host || !host[0] || !port || !port[0])
        return context_refuse(context, STATUS_INVALID, "%s: the %s is missing", call,
                              host && host[0] ? "port" : "host");
    return stream_from_source(context, call, socket_source_create(host, port), schema, true);
}
