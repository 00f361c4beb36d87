/* killer.c - see killer.h. */
#include "killer.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS_MAX = 4, BATCHES_BEHIND_MAX = 6 };

uint32_t kill_count(uint32_t few, uint32_t many) {
    const char *given = getenv("KILLS");
    if (given && *given)
        return (uint32_t)strtoul(given, NULL, 10);
    return getenv("LEAT_TEST_LONG") ? many : few;
}

void killer_init(Killer *killer, int (*victim)(void *user), void (*feed)(void *user), void *user) {
    *killer = (Killer){.victim = victim, .feed = feed, .user = user};
    killer->progress =
        mmap(NULL, sizeof *killer->progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(killer->progress != MAP_FAILED);
    random_init(&killer->random, check_seed());
}

void killer_deinit(Killer *killer) {
    munmap(killer->progress, sizeof *killer->progress);
}

/* ---- moments ---- */

typedef struct Moment {
    uint32_t outputs; /* after so many */
    bool in_output;   /* while the last of them runs */
    bool started;     /* or leat_start has returned */
    double delay_s;   /* and this has passed */
} Moment;

static Moment choose_moment(Random *random) {
    double unit = random_unit(random);
    switch (random_below(random, 6)) {
    case 0:
        return (Moment){.delay_s = unit * 0.03};
    case 1:
        return (Moment){.started = true, .delay_s = unit * 0.015};
    case 2:
    case 3:
        return (Moment){.outputs = 1 + (uint32_t)random_below(random, BATCHES_BEHIND_MAX),
                        .delay_s = unit * 2e-3 * KILL_INTERVAL_MS};
    case 4:
        return (Moment){.outputs = 1 + (uint32_t)random_below(random, BATCHES_BEHIND_MAX), .in_output = true};
    default:
        return (Moment){.delay_s = unit * 0.15};
    }
}

static Program start_victim(Killer *killer, uint32_t ends_at) {
    killer->progress->is_started = false;
    killer->progress->ends_at = ends_at;
    killer->progress->output_count = 0;
    killer->workers = 1 + (uint32_t)random_below(&killer->random, WORKERS_MAX);
    return program_fork(killer->victim, killer->user);
}

static void show_end(const Program *program) {
    char *text = program_output(program);
    printf("    a victim ended by itself (%d):\n%s\n", program->exit_code, text);
    free(text);
}

bool kill_one(Killer *killer) {
    Progress *progress = killer->progress;
    Moment moment = choose_moment(&killer->random);
    Program program = start_victim(killer, moment.in_output ? moment.outputs : 0);
    double given_up = program_seconds() + 5; /* the machine is busy: then it is this moment */
    while ((progress->output_count < moment.outputs || moment.in_output ||
            (moment.started && !progress->is_started)) &&
           program_seconds() < given_up && !program_has_ended(&program)) {
        killer->feed(killer->user);
        program_pause_us(300);
    }
    for (double at = program_seconds() + moment.delay_s; program_seconds() < at;) {
        killer->feed(killer->user);
        double left = at - program_seconds();
        program_pause_us(left > 1e-3 ? 500 : (unsigned)(left > 0 ? left * 1e6 : 0));
    }
    killer->before_outputs += progress->output_count == 0;
    killer->before_started += !progress->is_started;
    killer->outputs += progress->output_count;
    program_signal(&program, SIGKILL);
    bool was_killed = program_end(&program) == PROGRAM_SIGNALLED + SIGKILL;
    if (!was_killed)
        show_end(&program);
    unlink(program.output_path);
    return CHECK(was_killed);
}

bool run_until(Killer *killer, bool (*is_done)(void *user)) {
    Program program = start_victim(killer, 0);
    double deadline = program_seconds() + PROGRAM_SECONDS_MAX;
    while (!is_done(killer->user) && !program_has_ended(&program)) {
        killer->feed(killer->user);
        if (!CHECK(program_seconds() < deadline)) {
            char *text = program_output(&program);
            printf("    not all of the input is counted after %d s; it printed:\n%s\n", PROGRAM_SECONDS_MAX,
                   text);
            free(text);
            break;
        }
        program_pause_us(500);
    }
    program_signal(&program, SIGTERM);
    if (program_end(&program) != 0)
        show_end(&program);
    return CHECK_EQ(program.exit_code, 0);
}

/* ---- in a victim ---- */

void victim_end_output(const Killer *killer) {
    if (++killer->progress->output_count == killer->progress->ends_at)
        raise(SIGKILL);
}

LeatContext *victim_context(const Killer *killer, const char *name, const char *checkpoint) {
    LeatContext *context = leat_context_create(name, leat_milliseconds(KILL_INTERVAL_MS));
    leat_checkpoint(context, checkpoint);
    leat_workers(context, (int)killer->workers);
    leat_set(context, "snapshot-log", "8KiB"); /* a snapshot every few batches */
    leat_set(context, "receiver-restart-delay", "2");
    leat_stop_on_signals(context);
    return context;
}

int victim_run(const Killer *killer, LeatContext *context) {
    int code = leat_start(context);
    if (code != LEAT_EXIT_OK) {
        fprintf(stderr, "leat_start: %s\n", leat_error(context));
        return code;
    }
    killer->progress->is_started = true;
    code = leat_await_termination(context);
    leat_context_destroy(context);
    return code;
}

/* ---- words in files ---- */

void word_files_init(WordFiles *files, const char *root, Random *random) {
    files->random = random;
    snprintf(files->texts, sizeof files->texts, "%s/texts", root);
    snprintf(files->elsewhere, sizeof files->elsewhere, "%s/elsewhere", root);
    REQUIRE(mkdir(files->texts, 0700) == 0 && mkdir(files->elsewhere, 0700) == 0);
}

LeatStream *word_files_stream(const WordFiles *files, LeatContext *context) {
    LeatStream *lines = leat_text_file_stream_with(
        context,
        (LeatFileStream){.directory = files->texts, .existing_files = true, .remember = leat_minutes(600)});
    return leat_flat_map(lines, leat_split(" "));
}

/* A new file now and then: written elsewhere, renamed into the directory. */
void word_files_feed(WordFiles *files) {
    Random *random = files->random;
    if (files->file_count == files->files_max || random_below(random, 25) != 0)
        return;
    char from[400], to[400];
    snprintf(from, sizeof from, "%s/%u", files->elsewhere, files->file_count);
    snprintf(to, sizeof to, "%s/text-%u", files->texts, files->file_count++);
    FILE *file = fopen(from, "w");
    REQUIRE(file != NULL);
    uint64_t words = 1 + random_below(random, files->file_words_max);
    for (uint64_t i = 0; i < words; i++) {
        /* Few words are frequent, many are not. */
        uint64_t word = random_below(random, 1 + random_below(random, files->word_count));
        bool is_last = i + 1 == words;
        const char *behind = !is_last                  ? (random_below(random, 8) ? " " : "\n")
                             : random_below(random, 2) ? "\n"
                                                       : "";
        fprintf(file, "word-%" PRIu64 "%s", word, behind);
        files->expected[word]++;
        files->total++;
    }
    REQUIRE(fclose(file) == 0 && rename(from, to) == 0);
}
