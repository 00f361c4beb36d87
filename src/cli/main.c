/* main.c - the program `leat`: finds the verb and runs it. */
#include "cli/cli.h"

#include "base/suggest.h"
#include "dstream/context.h"

const Verb *const verbs[] = {&verb_demo, &verb_checkpoint, &verb_state, &verb_help, &verb_version, NULL};

const Verb *verb_find(Str name) {
    for (const Verb *const *verb = verbs; *verb; verb++) {
        if (str_equal(name, str_from((*verb)->name)))
            return *verb;
    }
    return NULL;
}

static const char *verb_name_at(const void *unused, size_t i) {
    (void)unused;
    return verbs[i] ? verbs[i]->name : NULL;
}

const char *verb_suggestion(Str wrong) {
    return suggest(wrong, verb_name_at, NULL);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        Text help = {0};
        program_help_text(&help);
        cli_say("%.*s", (int)help.size - 1, help.data);
        text_deinit(&help);
        return LEAT_EXIT_USAGE;
    }
    Str name = str_from(argv[1]);
    if (str_equal(name, STR("-h")) || str_equal(name, STR("--help")))
        name = STR("help");
    else if (str_equal(name, STR("-V")) || str_equal(name, STR("--version")))
        name = STR("version");
    const Verb *verb = verb_find(name);
    if (verb)
        return verb->run(verb, argc - 1, argv + 1);
    const char *meant = verb_suggestion(name);
    if (meant)
        cli_say("leat: there is no verb '%s'; did you mean '%s'?", argv[1], meant);
    else
        cli_say("leat: there is no verb '%s'; `leat help` lists them", argv[1]);
    return LEAT_EXIT_USAGE;
}
