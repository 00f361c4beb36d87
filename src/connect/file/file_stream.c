/* file_stream.c - leat_text_file_stream: the file source as a stream. */
#include "connect/file/file_source.h"
#include "dstream/context.h"

#include <inttypes.h>

LeatStream *leat_text_file_stream(LeatContext *context, const char *directory) {
    return leat_text_file_stream_with(context, (LeatFileStream){.directory = directory});
}

LeatStream *leat_text_file_stream_with(LeatContext *context, LeatFileStream options) {
    const char *call = "leat_text_file_stream";
    const Schema *schema = context_source_schema(context, call, "value STRING");
    if (!schema)
        return NULL;
    if (!options.directory || !options.directory[0])
        return context_refuse(context, STATUS_INVALID, "%s: the directory is missing", call);
    if (options.remember.ms < 0)
        return context_refuse(context, STATUS_INVALID,
                              "%s: a remember time of %" PRId64 " ms; 0 or more is needed", call,
                              options.remember.ms);
    Source *source = file_source_create((FileSourceOptions){
        .directory = options.directory,
        .existing_files = options.existing_files,
        .remember_ms = options.remember.ms,
        .filter = options.filter,
        .user = options.user,
    });
    return stream_from_source(context, call, source, schema, true);
}
