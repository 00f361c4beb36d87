/* arguments.h - the options that the examples share:
 *
 *     --interval MS   time between batches (1000)
 *     --batches N     ends by itself after N batches
 *     --workers N     threads that run a batch (one per processor)
 *     --status        one line per batch on standard error
 */
#ifndef LEAT_EXAMPLES_ARGUMENTS_H
#define LEAT_EXAMPLES_ARGUMENTS_H

#include <leat/leat.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct Arguments {
    const char *operands[3];            /* those that are not there: NULL */
    long interval_ms, batches, workers; /* 0: not given */
    bool status;
} Arguments;

_Noreturn static inline void usage(const char *program, const char *operands) {
    fprintf(stderr, "usage: %s %s [--interval MS] [--batches N] [--workers N] [--status]\n", program,
            operands);
    exit(LEAT_EXIT_USAGE);
}

/* The value of "--name VALUE" at argv[*i], a number from 1; 0: it is another option. */
static inline long number_option(const char *name, int argc, char **argv, int *i, const char *operands) {
    if (strcmp(argv[*i], name) != 0)
        return 0;
    char *end = NULL;
    long value = *i + 1 < argc ? strtol(argv[*i + 1], &end, 10) : 0;
    if (value < 1 || value > 1000000000 || *end)
        usage(argv[0], operands);
    ++*i;
    return value;
}

/* `operands`: as the usage line shows them: "HOST PORT [CHECKPOINT_DIR]". Wrong ones end the program. */
static inline Arguments parse_arguments(int argc, char **argv, const char *operands, int operand_min,
                                        int operand_max) {
    Arguments args = {.interval_ms = 1000};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        long value;
        if ((value = number_option("--interval", argc, argv, &i, operands)))
            args.interval_ms = value;
        else if ((value = number_option("--batches", argc, argv, &i, operands)))
            args.batches = value;
        else if ((value = number_option("--workers", argc, argv, &i, operands)))
            args.workers = value;
        else if (strcmp(argv[i], "--status") == 0)
            args.status = true;
        else if (argv[i][0] != '-' && count < operand_max)
            args.operands[count++] = argv[i];
        else
            usage(argv[0], operands);
    }
    if (count < operand_min)
        usage(argv[0], operands);
    return args;
}

/* A context with these options, which SIGINT and SIGTERM stop gracefully. */
static inline LeatContext *context_of(const Arguments *args, const char *name) {
    LeatContext *ctx = leat_context_create(name, leat_milliseconds(args->interval_ms));
    if (args->batches)
        leat_stop_after_batches(ctx, args->batches);
    if (args->workers)
        leat_workers(ctx, (int)args->workers);
    if (args->status)
        leat_set(ctx, "status", "true");
    leat_stop_on_signals(ctx);
    return ctx;
}

#endif
