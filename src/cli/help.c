/* help.c - `leat help`, and what `leat` says without arguments. */
#include "cli/cli.h"

#include "leat/leat.h"

void program_help_text(Text *out) {
    text_append(out,
                STR("leat - stream processing\n\n"
                    "Examples\n"
                    "  leat demo              Counts the words that come over a TCP socket, once a second\n"
                    "  leat help demo         What demo can do\n\n"
                    "Usage: leat VERB [ARGUMENT]...\n"));
    for (const Verb *const *verb = verbs; *verb; verb++)
        text_appendf(out, "  %-22s %s\n", (*verb)->name, (*verb)->summary);
}

static int run(const Verb *verb, int argc, char **argv) {
    const char *name;
    int code = cli_parse(verb, argc, argv, &name, 1);
    if (code != CLI_GO_ON)
        return code;
    const Verb *about = name ? verb_find(str_from(name)) : NULL;
    if (name && !about) {
        const char *meant = verb_suggestion(str_from(name));
        return meant ? cli_wrong(verb, "there is no verb '%s'; did you mean '%s'?", name, meant)
                     : cli_wrong(verb, "there is no verb '%s'", name);
    }
    Text text = {0};
    if (about)
        verb_help_text(about, &text);
    else
        program_help_text(&text);
    code = cli_print(&text);
    text_deinit(&text);
    return code;
}

const Verb verb_help = {
    .name = "help",
    .summary = "What leat can do, or what one verb can do",
    .examples = "  leat help\n  leat help demo\n",
    .usage = "[VERB]",
    .run = run,
};
