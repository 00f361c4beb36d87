/* version.c - `leat version`. */
#include "cli/cli.h"

#include "leat/leat.h"

static int run(const Verb *verb, int argc, char **argv) {
    int code = cli_parse(verb, argc, argv, NULL, 0);
    if (code != CLI_GO_ON)
        return code;
    Text text = {0};
    text_appendf(&text, "leat %s\n", leat_version());
    code = cli_print(&text);
    text_deinit(&text);
    return code;
}

const Verb verb_version = {
    .name = "version",
    .summary = "The version of this program",
    .examples = "  leat version\n",
    .usage = "",
    .run = run,
};
