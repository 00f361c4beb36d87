#include "cli/inspect_out.h"

#include "base/status.h"
#include "connect/file/file_source.h"
#include "connect/function/function_source.h"
#include "connect/socket/socket_source.h"

static const SourceClass *const classes[] = {&file_source_class, &function_source_class,
                                             &socket_source_class};

static void describe_plan(Str source_kind, Str plan, Text *text) {
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
        if (str_equal(source_kind, str_from(classes[i]->kind))) {
            classes[i]->describe_plan(plan, text);
            return;
        }
    text_appendf(text, "%zu bytes", plan.size); /* of a connector that this program does not have */
}

static Status write_stdout(void *self, Str text, Error *err) {
    (void)self;
    return env_write_stdout(env_real(), text, err);
}

InspectOut inspect_to_stdout(void) {
    return (InspectOut){.write = write_stdout, .describe_plan = describe_plan};
}
