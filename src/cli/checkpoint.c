/* checkpoint.c - `leat checkpoint inspect` and `leat checkpoint verify`. */
#include "cli/cli.h"

#include "cli/inspect_out.h"

static int run(const Verb *verb, int argc, char **argv) {
    const char *operands[2] = {NULL, NULL};
    int code = cli_parse(verb, argc, argv, operands, 2);
    if (code != CLI_GO_ON)
        return code;
    const char *what = operands[0], *directory = operands[1];
    bool is_verify = what && strcmp(what, "verify") == 0;
    if (!what || (!is_verify && strcmp(what, "inspect") != 0))
        return cli_wrong(verb, "inspect or verify is missing");
    if (!directory)
        return cli_wrong(verb, "the directory is missing");
    Error err = {0};
    InspectOut out = inspect_to_stdout();
    Status st = is_verify ? inspect_verify(env_real(), directory, out, &err)
                          : inspect_checkpoint(env_real(), directory, out, &err);
    return st == STATUS_OK ? LEAT_EXIT_OK : cli_fail(verb, &err);
}

const Verb verb_checkpoint = {
    .name = "checkpoint",
    .summary = "What stands in a checkpoint directory, and whether it is whole",
    .examples = "  leat checkpoint inspect ./checkpoint\n"
                "  leat checkpoint verify ./checkpoint\n",
    .usage = "inspect|verify DIR",
    .run = run,
};
