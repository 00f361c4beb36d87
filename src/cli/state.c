/* state.c - `leat state dump`. */
#include "cli/cli.h"

#include "cli/inspect_out.h"

static const char *format;

static const Flag flags[] = {
    {.name = "format",
     .kind = FLAG_TEXT,
     .placeholder = "text|json",
     .doc = "One entry a line: text, or a JSON object",
     .target.text = &format},
    {0},
};

static int run(const Verb *verb, int argc, char **argv) {
    const char *operands[2] = {NULL, NULL};
    format = "text";
    int code = cli_parse(verb, argc, argv, operands, 2);
    if (code != CLI_GO_ON)
        return code;
    bool is_json = strcmp(format, "json") == 0;
    if (!is_json && strcmp(format, "text") != 0)
        return cli_wrong(verb, "--format is text or json, not '%s'", format);
    if (!operands[0] || strcmp(operands[0], "dump") != 0)
        return cli_wrong(verb, "dump is missing");
    if (!operands[1])
        return cli_wrong(verb, "the directory is missing");
    Error err = {0};
    Status st = inspect_state(env_real(), operands[1], is_json ? INSPECT_JSON : INSPECT_TEXT,
                              inspect_to_stdout(), &err);
    return st == STATUS_OK ? LEAT_EXIT_OK : cli_fail(verb, &err);
}

const Verb verb_state = {
    .name = "state",
    .summary = "The keyed state in a checkpoint directory: operator, key and value",
    .examples = "  leat state dump ./checkpoint\n"
                "  leat state dump ./checkpoint --format json\n",
    .usage = "dump DIR [--format text|json]",
    .flags = flags,
    .run = run,
};
