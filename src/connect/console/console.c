/* console.c - print and pprint: the first rows of every batch on standard output, in one write. */
#include "dstream/batch_text.h"
#include "dstream/context.h"

#include <stdlib.h>

enum { ROW_COUNT_DEFAULT = 10 };

typedef struct Console {
    Output output;
    RowTextStyle style;
    const Schema *schema;
    uint64_t row_count;
    Text text; /* of the last batch; memory kept */
} Console;

CHECKED static Status console_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                                  Error *err) {
    Console *console = (Console *)output;
    RowText how = {.env = env, .style = console->style, .is_terminal = env_stdout_is_terminal(env)};
    static const Str rule = {"-------------------------------------------\n", 44};
    Text *text = &console->text;
    text_reset(text);
    text_append(text, rule);
    text_append(text, STR("Time: "));
    row_text_time(&how, batch_time_ms, text);
    text_append_byte(text, '\n');
    text_append(text, rule);
    batch_text(&how, console->schema, batch, console->row_count, text);
    if (batch->row_count > console->row_count)
        text_append(text, STR("...\n"));
    text_append_byte(text, '\n');
    return env_write_stdout(env, text_str(text), err);
}

static void console_destroy(Output *output) {
    Console *console = (Console *)output;
    text_deinit(&console->text);
    free(console);
}

static const OutputClass print_class = {.kind = "print", .run = console_run, .destroy = console_destroy};
static const OutputClass pprint_class = {.kind = "pprint", .run = console_run, .destroy = console_destroy};

static void add_console(LeatStream *stream, const char *call, RowTextStyle style, int row_count) {
    if (!stream)
        return;
    if (row_count < 0) {
        context_refuse(stream->context, STATUS_INVALID, "%s: %d rows; 0 or more can be shown", call,
                       row_count);
        return;
    }
    Console *console = xmalloc(sizeof *console);
    *console = (Console){.output = {style == ROW_TEXT_SCALA ? &print_class : &pprint_class},
                         .style = style,
                         .schema = stream->schema,
                         .row_count = (uint64_t)row_count};
    /* One more tells whether "..." follows. */
    stream_to_output(stream, call, &console->output, (uint64_t)row_count + 1);
}

void leat_print(LeatStream *stream) {
    add_console(stream, "leat_print", ROW_TEXT_SCALA, ROW_COUNT_DEFAULT);
}

void leat_print_n(LeatStream *stream, int row_count) {
    add_console(stream, "leat_print_n", ROW_TEXT_SCALA, row_count);
}

void leat_pprint(LeatStream *stream) {
    add_console(stream, "leat_pprint", ROW_TEXT_PYTHON, ROW_COUNT_DEFAULT);
}

void leat_pprint_n(LeatStream *stream, int row_count) {
    add_console(stream, "leat_pprint_n", ROW_TEXT_PYTHON, row_count);
}
