#include "cli/cli.h"

#include "base/suggest.h"
#include "dstream/context.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- writing ---- */

int cli_print(const Text *text) {
    Error err = {0};
    if (env_write_stdout(env_real(), text_str(text), &err) == STATUS_OK)
        return LEAT_EXIT_OK;
    cli_say("leat: %s", err.message);
    return LEAT_EXIT_IO;
}

static void say(const char *format, va_list args) {
    char *message = NULL;
    Text line = {0};
    if (vasprintf(&message, format, args) >= 0) {
        text_appendf(&line, "%s\n", message);
        Status ignored = env_write_stderr(env_real(), text_str(&line), NULL); /* nowhere left to tell */
        (void)ignored;
    }
    free(message);
    text_deinit(&line);
}

void cli_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int cli_wrong(const Verb *verb, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cli_say("leat %s: %s", verb->name, message);
    cli_say("usage: leat %s%s%s", verb->name, verb->usage[0] ? " " : "", verb->usage);
    return LEAT_EXIT_USAGE;
}

int cli_fail(const Verb *verb, const Error *err) {
    cli_say("leat %s: %s", verb->name, err->message);
    return exit_code_of(err->status);
}

/* ---- help ---- */

static void flag_help(const Flag *flag, Text *out) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", flag->name, flag->placeholder ? " " : "",
             flag->placeholder ? flag->placeholder : "");
    text_appendf(out, "  %-22s %s", left, flag->doc);
    if (flag->kind == FLAG_NUMBER && *flag->target.number != INT64_MIN)
        text_appendf(out, " (default %" PRId64 ")", *flag->target.number);
    text_append_byte(out, '\n');
}

void verb_help_text(const Verb *verb, Text *out) {
    text_appendf(out, "leat %s - %s\n\nExamples\n%s\nUsage: leat %s%s%s\n", verb->name, verb->summary,
                 verb->examples, verb->name, verb->usage[0] ? " " : "", verb->usage);
    for (const Flag *flag = verb->flags; flag && flag->name; flag++)
        flag_help(flag, out);
    text_append(out, STR("  -h, --help             This text\n"));
}

/* ---- options ---- */

static const char *flag_name_at(const void *self, size_t i) {
    const Flag *flags = self;
    return flags[i].name;
}

static const Flag *flag_find(const Verb *verb, Str name) {
    for (const Flag *flag = verb->flags; flag && flag->name; flag++) {
        if (str_equal(name, str_from(flag->name)))
            return flag;
    }
    return NULL;
}

static int flag_unknown(const Verb *verb, Str name) {
    const char *meant = verb->flags ? suggest(name, flag_name_at, verb->flags) : NULL;
    if (meant)
        return cli_wrong(verb, "there is no option --%.*s; did you mean --%s?", STR_ARG(name), meant);
    return cli_wrong(verb, "there is no option --%.*s", STR_ARG(name));
}

static int flag_set(const Verb *verb, const Flag *flag, const char *value) {
    if (flag->kind == FLAG_TEXT) {
        *flag->target.text = value;
        return CLI_GO_ON;
    }
    int64_t number;
    if (!str_parse_i64(str_from(value), &number) || number < flag->min || number > flag->max)
        return cli_wrong(verb, "--%s: '%s' is not a number from %" PRId64 " to %" PRId64, flag->name, value,
                         flag->min, flag->max);
    *flag->target.number = number;
    return CLI_GO_ON;
}

int cli_parse(const Verb *verb, int argc, char **argv, const char **operands, int operand_max) {
    int operand_count = 0;
    bool has_options = true;
    for (int i = 0; i < operand_max; i++)
        operands[i] = NULL;
    for (int i = 1; i < argc; i++) {
        Str word = str_from(argv[i]);
        if (has_options && str_equal(word, STR("--"))) {
            has_options = false;
        } else if (has_options && (str_equal(word, STR("-h")) || str_equal(word, STR("--help")))) {
            Text help = {0};
            verb_help_text(verb, &help);
            int code = cli_print(&help);
            text_deinit(&help);
            return code;
        } else if (has_options && str_starts_with(word, STR("--"))) {
            const char *equals = strchr(argv[i], '=');
            Str name = str_slice(argv[i] + 2, equals ? (size_t)(equals - argv[i]) - 2 : word.size - 2);
            const Flag *flag = flag_find(verb, name);
            if (!flag)
                return flag_unknown(verb, name);
            if (flag->kind == FLAG_SWITCH) {
                if (equals)
                    return cli_wrong(verb, "--%s takes no value", flag->name);
                *flag->target.is_set = true;
                continue;
            }
            if (!equals && i + 1 == argc)
                return cli_wrong(verb, "--%s needs a value, %s", flag->name, flag->placeholder);
            int code = flag_set(verb, flag, equals ? equals + 1 : argv[++i]);
            if (code != CLI_GO_ON)
                return code;
        } else if (has_options && word.size > 1 && word.data[0] == '-') {
            return cli_wrong(verb, "there is no option %s", argv[i]);
        } else if (operand_count == operand_max) {
            return cli_wrong(verb, "'%s' is one word too many", argv[i]);
        } else {
            operands[operand_count++] = argv[i];
        }
    }
    return CLI_GO_ON;
}
