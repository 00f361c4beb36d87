/* cli.h - what the verbs of the program `leat` share. One file per verb, one row per verb in main.c.
 *
 * Results go to standard output, everything else to standard error. Exit codes are those of leat/context.h.
 */
#ifndef LEAT_CLI_CLI_H
#define LEAT_CLI_CLI_H

#include "base/str.h"

typedef struct Verb {
    const char *name;
    const char *summary;      /* one line, for the list of verbs */
    const char *examples;     /* lines, each indented by two blanks and ended */
    const char *usage;        /* what follows "leat NAME", "DIR [--format text|json]" */
    const struct Flag *flags; /* ended by one without a name; NULL: none */
    /* argv[0] is the name of the verb. The exit code. */
    int (*run)(const struct Verb *verb, int argc, char **argv);
} Verb;

extern const Verb verb_help, verb_version, verb_demo, verb_checkpoint, verb_state;

/* All verbs, ended by NULL. */
extern const Verb *const verbs[];
const Verb *verb_find(Str name);        /* NULL: there is none */
const char *verb_suggestion(Str wrong); /* the one that was meant, or NULL */
void verb_help_text(const Verb *verb, Text *out);
void program_help_text(Text *out);

/* ---- options ---- */
typedef enum FlagKind { FLAG_SWITCH, FLAG_NUMBER, FLAG_TEXT } FlagKind;

typedef struct Flag {
    const char *name; /* without "--" */
    FlagKind kind;
    const char *placeholder; /* "MS"; NULL for a switch */
    const char *doc;
    union {
        bool *is_set;
        int64_t *number;
        const char **text;
    } target;         /* holds the default; set when the option is given */
    int64_t min, max; /* of a number */
} Flag;

enum { CLI_GO_ON = -1 };

/* Reads "--name VALUE", "--name=VALUE", -h and --help, and at most `operand_max` other words into `operands`
 * (the rest stays NULL); "--" ends the options. CLI_GO_ON, or the exit code to end with: help was printed, or
 * a mistake was reported. */
int cli_parse(const Verb *verb, int argc, char **argv, const char **operands, int operand_max);

/* ---- writing ---- */
int cli_print(const Text *text);                         /* to standard output; the exit code */
void cli_say(const char *format, ...) PRINTF_LIKE(1, 2); /* to standard error, with a line break behind */
/* Wrong arguments: says so; LEAT_EXIT_USAGE. */
int cli_wrong(const Verb *verb, const char *format, ...) PRINTF_LIKE(2, 3);
int cli_fail(const Verb *verb, const Error *err); /* says so; the exit code of the error */

#endif
