/* demo.c - `leat demo`: the word count of the examples, with something to count. A program like any other: it
 * uses the public calls, and the line server beside it. */
#include "cli/cli.h"
#include "cli/demo_text.h"
#include "cli/line_server.h"

#include "leat/leat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES_PER_S = 300, INTERVAL_MS_DEFAULT = 1000 };

static int64_t interval_ms = INTERVAL_MS_DEFAULT, batch_count = INT64_MIN, port = 9999,
               worker_count = INT64_MIN;
static const char *checkpoint_directory;

static const Flag flags[] = {
    {"interval", FLAG_NUMBER, "MS", "Milliseconds between batches", {.number = &interval_ms}, 1, 86400000},
    {"batches", FLAG_NUMBER, "N", "Ends by itself after N batches", {.number = &batch_count}, 1, INT64_MAX},
    {"port", FLAG_NUMBER, "N", "Where lines come from, on localhost", {.number = &port}, 1, UINT16_MAX},
    {"workers",
     FLAG_NUMBER,
     "N",
     "Threads that run a batch (default: one per processor)",
     {.number = &worker_count},
     1,
     1024},
    {"checkpoint",
     FLAG_TEXT,
     "DIR",
     "Where the totals are kept (default: ~/.local/state/leat/demo)",
     {.text = &checkpoint_directory},
     0,
     0},
    {0},
};

/* ---- the program ---- */

static bool running_count(const LeatUpdate *word, void *user) {
    (void)user;
    int64_t total = leat_update_has_state(word) ? leat_update_state_i64(word, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(word); i++)
        total += leat_update_value_i64(word, i, 0);
    leat_update_set_state_i64(word, 0, total);
    return true;
}

/* 1234567 as 1,234,567 */
static void append_grouped(Text *out, int64_t number) {
    char digits[32];
    int count = snprintf(digits, sizeof digits, "%" PRId64, number);
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text_append_byte(out, ',');
        text_append_byte(out, digits[i]);
    }
}

/* One line about all words since the first start. `user` is where their number is left. */
static bool print_totals(LeatBatch *batch, void *user) {
    int64_t words = 0, most = 0;
    LeatStr most_frequent = {"", 0};
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        int64_t total = leat_row_i64(&row, 1);
        words += total;
        if (total > most) {
            most = total;
            most_frequent = leat_row_str(&row, 0);
        }
    }
    *(int64_t *)user = words;
    Text line = {0};
    text_append(&line, STR("Total: "));
    append_grouped(&line, words);
    text_append(&line, STR(" words, "));
    append_grouped(&line, (int64_t)leat_batch_count(batch));
    text_append(&line, STR(" different"));
    if (most > 0) {
        text_append(&line, STR("; most often '"));
        text_append_escaped(&line, most_frequent);
        text_append(&line, STR("': "));
        append_grouped(&line, most);
    }
    text_append(&line, STR("\n\n"));
    bool is_written = cli_print(&line) == LEAT_EXIT_OK;
    text_deinit(&line);
    return is_written;
}

static LeatContext *build(const char *port_text, int64_t *total) {
    LeatContext *ctx = leat_context_create("leat demo", leat_milliseconds(interval_ms));
    LeatStream *lines = leat_socket_text_stream(ctx, "localhost", port_text);
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
    leat_pprint(counts);
    LeatFunction count = leat_update_function("total BIGINT", running_count, NULL);
    leat_foreach_rdd(leat_name(leat_update_state_by_key(counts, count), "totals"), print_totals, total);
    return ctx;
}

/* ---- around it ---- */

/* $XDG_STATE_HOME/leat/demo, ~/.local/state/leat/demo, or, without a home, ./leat-demo. free() it. */
static char *default_directory(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    Text path = {0};
    if (state && state[0] == '/')
        text_appendf(&path, "%s/leat/demo", state);
    else if (home && home[0] == '/')
        text_appendf(&path, "%s/.local/state/leat/demo", home);
    else
        text_append(&path, STR("leat-demo"));
    if (interval_ms != INTERVAL_MS_DEFAULT)
        text_appendf(&path, "-%" PRId64 "ms", interval_ms);
    return path.data;
}

/* The directories above the last step; the checkpoint makes that one itself. */
CHECKED static Status make_parents(const char *path, Error *err) {
    Status st = STATUS_OK;
    Text parent = {0};
    for (const char *slash = path[0] ? strchr(path + 1, '/') : NULL; slash && st == STATUS_OK;
         slash = strchr(slash + 1, '/')) {
        text_reset(&parent);
        text_append(&parent, str_slice(path, (size_t)(slash - path)));
        st = env_make_directory(env_real(), parent.data, err);
        if (st == STATUS_EXISTS)
            st = STATUS_OK;
    }
    text_deinit(&parent);
    return st;
}

static void introduce(const char *directory, const char *port_text, bool has_server) {
    if (has_server)
        cli_say("leat demo: nobody listens on localhost:%s, so a text is played there: two chapters of Alice "
                "in Wonderland.\n"
                "           To type lines of your own, run `nc -lk %s` in another terminal first.",
                port_text, port_text);
    cli_say("leat demo: counting the words that localhost:%s sends, every %" PRId64 " ms. Ctrl-C stops.\n"
            "           The totals are kept in %s: start again and they go on.",
            port_text, interval_ms, directory);
}

static void take_leave(int code, int64_t words) {
    Text line = {0};
    if (code == LEAT_EXIT_INTERRUPTED)
        text_append_byte(&line, '\n'); /* a terminal shows ^C and stays in its line */
    text_append(&line, STR("leat demo: stopped"));
    if (words >= 0) {
        text_append(&line, STR(" at "));
        append_grouped(&line, words);
        text_append(&line, STR(" words"));
    }
    cli_say("%s; the next start goes on from there.", line.data);
    text_deinit(&line);
}

static int run(const Verb *verb, int argc, char **argv) {
    int code = cli_parse(verb, argc, argv, NULL, 0);
    if (code != CLI_GO_ON)
        return code;
    Error err = {0};
    LineServer server = {0};
    char port_text[8];
    snprintf(port_text, sizeof port_text, "%d", (int)port);
    char *own_directory = checkpoint_directory ? NULL : default_directory();
    const char *directory = checkpoint_directory ? checkpoint_directory : own_directory;
    if (make_parents(directory, &err) != STATUS_OK) {
        code = cli_fail(verb, &err);
        cli_say("           With --checkpoint DIR the totals are kept elsewhere.");
        free(own_directory);
        return code;
    }
    if (line_server_start(port_text, demo_text, LINES_PER_S, &server, &err) != STATUS_OK) {
        code = cli_fail(verb, &err);
        free(own_directory);
        return code;
    }
    introduce(directory, port_text, server.child > 0);

    int64_t total = -1; /* no batch yet; the driver's thread writes it until the context is destroyed */
    LeatContext *ctx = build(port_text, &total);
    leat_checkpoint(ctx, directory);
    if (batch_count > 0)
        leat_stop_after_batches(ctx, batch_count);
    if (worker_count > 0)
        leat_workers(ctx, (int)worker_count);
    leat_stop_on_signals(ctx);
    leat_start(ctx);
    code = leat_await_termination(ctx);
    leat_context_destroy(ctx);
    line_server_stop(&server);
    if (code == LEAT_EXIT_OK || code == LEAT_EXIT_INTERRUPTED)
        take_leave(code, total);
    free(own_directory);
    return code;
}

const Verb verb_demo = {
    .name = "demo",
    .summary = "Counts the words that come over a TCP socket, with a text to count",
    .examples = "  leat demo                          Ctrl-C stops\n"
                "  nc -lk 9999                        in another terminal first: counts what you type there\n"
                "  leat demo --batches 3 --interval 500\n",
    .usage = "[--interval MS] [--batches N] [--port N] [--checkpoint DIR] [--workers N]",
    .flags = flags,
    .run = run,
};
