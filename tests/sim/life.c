/* life.c - see life.h.
 *
 * Beside the job run, as threads of the same process on the environment without faults: per socket source a
 * server of lines, and one feeder of files. They end when `is_ending` is set.
 */
#include "sim/life.h"

#include "base/log.h"
#include "base/memory.h"
#include "dstream/context.h"
#include "env/env_faulty.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCHES_LATE_MAX = 60, STEPS_BEHIND_FEED = 8 };

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* ---- drawing ---- */

static uint64_t skewed(Random *random, unsigned bits) { /* small numbers as often as large ones */
    return 1 + random_below(random, UINT64_C(1) << (1 + random_below(random, bits)));
}

static void plan_append(Life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void plan_append(Life *life, const char *format, ...) {
    size_t size = strlen(life->plan);
    va_list args;
    va_start(args, format);
    vsnprintf(life->plan + size, sizeof life->plan - size, format, args);
    va_end(args);
}

static void draw_faults(Life *life, Random *random) {
    static const char *const kinds[] = {"read",    "write",   "open",    "rename", "remove", "truncate",
                                        "mkdir",   "syncdir", "readdir", "stat",   "lock",   "connect",
                                        "receive", "poll",    "thread",  "random", "any"};
    static const char *const errors[] = {"EIO", "ENOSPC", "ENOMEM", "EMFILE"};
    static const char *const transfers[] = {"read", "write", "receive", "random", "any"};
    uint64_t count = random_below(random, 3) ? random_below(random, 4) : 0;
    for (uint64_t i = 0; i < count; i++) {
        switch (random_below(random, 5)) {
        case 0:
        case 1:
            plan_append(life, "%s@%" PRIu64 "=%s;", kinds[random_below(random, ARRAY_COUNT(kinds))],
                        skewed(random, 9), errors[random_below(random, ARRAY_COUNT(errors))]);
            life->is_calm = false;
            life->fault_count++;
            break;
        case 2:
            plan_append(life, "any@%" PRIu64 "=EINTR;", skewed(random, 10));
            life->is_calm = false; /* where it may have happened it is an error: rename, sync */
            life->fault_count++;
            break;
        case 3:
            plan_append(life, "%s@%" PRIu64 "=short:%" PRIu64 ";",
                        transfers[random_below(random, ARRAY_COUNT(transfers))], skewed(random, 8),
                        1 + random_below(random, 600));
            life->fault_count++;
            break;
        default:
            plan_append(life, "delay@%" PRIu64 "=%" PRIu64 ";", skewed(random, 10),
                        random_below(random, 3000000));
            life->fault_count++;
            break;
        }
    }
}

void life_draw(Life *life, const Job *job, uint32_t number, uint32_t count, Random *random) {
    static const char *const segments[] = {"4KiB", "8KiB", "64KiB"},
                             *const snapshots[] = {"1", "2KiB", "8KiB", "64KiB"},
                             *const chunks[] = {"1", "3", "64", "2048"};
    int64_t interval_us = job->interval_ms * 1000;
    *life = (Life){
        .number = number,
        .is_last = number == count,
        .seed = random_u64(random),
        .workers = 1 + (int)random_below(random, 7),
        .run_us = (int64_t)random_below(random, (uint64_t)interval_us * 14) + 1,
        .segment = segments[random_below(random, ARRAY_COUNT(segments))],
        .snapshot = snapshots[random_below(random, ARRAY_COUNT(snapshots))],
        .chunk_rows = random_below(random, 2) ? NULL : chunks[random_below(random, ARRAY_COUNT(chunks))],
        .restart_delay_ms = (int64_t)random_below(random, (uint64_t)job->interval_ms),
        .end = (LifeEnd)random_below(random, LIFE_END_COUNT),
        .is_calm = true,
        .looks_for_leaks = random_below(random, 16) == 0,
        .options =
            {
                .switch_one_in = (uint32_t)skewed(random, 7),
                .spurious_one_in = random_below(random, 3) ? 0 : 8,
                .sync_us_max = (int64_t)random_below(
                    random, (uint64_t)(random_below(random, 4) ? 3000 : 2 * interval_us)),
                .latency_us_max = (int64_t)random_below(random, 20000),
                .partial_one_in = random_below(random, 2) ? 0 : 1 + (uint32_t)random_below(random, 5),
                .has_direct = random_below(random, 2),
                .call_count_max = 3000000,
            },
    };
    if (life->is_last) { /* it must be able to keep up */
        life->options.sync_us_max = interval_us / 20;
        return;
    }
    life->crash =
        random_below(random, 3) ? (SimCrash)(1 + random_below(random, SIM_CRASH_COUNT - 1)) : SIM_CRASH_NONE;
    if (random_below(random, 3) == 0)
        life->options.stall_one_in = 400, life->options.stall_us_max = 2 * interval_us;
    if (random_below(random, 2))
        life->options.reset_one_in = 100;
    if (random_below(random, 3) == 0)
        life->options.refuse_one_in = 4;
    if (random_below(random, 6) == 0) {
        life->options.failing_sync = skewed(random, 6);
        life->options.later_syncs_fail = random_below(random, 2);
        life->is_calm = false;
        life->fault_count++;
    }
    if (random_below(random, 6) == 0)
        life->failing_one_in = 2 + (uint32_t)random_below(random, 20);
    if (random_below(random, 6) == 0)
        life->clock_us = ((int64_t)random_below(random, 41) - 20) * interval_us;
    if (random_below(random, 8) == 0) {
        life->disk_bytes = 4096 * skewed(random, 7);
        life->is_calm = false;
        life->fault_count++;
    }
    if (random_below(random, 8) == 0) {
        life->memory = random_below(random, 2) ? "2MiB" : "6MiB";
        life->is_calm = false;
        life->fault_count++;
    }
    draw_faults(life, random);
    if (life->end == END_IN_FAULT && random_below(random, 2))
        life->options.end_behind_sync = skewed(random, 6);
    else if (life->end == END_IN_FAULT)
        plan_append(life, "kill@%" PRIu64 "%s;", skewed(random, 11), random_below(random, 2) ? "" : "=after");
    if (life->failing_one_in > 0)
        life->is_calm = false;
}

void life_describe(const Life *life, Text *out) {
    static const char *const ends[LIFE_END_COUNT] = {"graceful", "abrupt", "signal",
                                                     "destroy",  "kill",   "kill in call"};
    const SimOptions *o = &life->options;
    text_appendf(out,
                 "  life %u%s: %d workers, %" PRId64
                 " us, end %s, then %s; plan '%s', failing outputs 1/%u, clock %+" PRId64 " us, disk %" PRIu64
                 ", memory %s, segment %s, snapshot %s, chunk rows %s; switch 1/%u, spurious 1/%u, "
                 "stall 1/%u, sync %" PRId64 " us, failing sync %" PRIu64 "%s, end behind sync %" PRIu64
                 ", latency %" PRId64 " us, partial 1/%u, reset 1/%u, refuse 1/%u\n",
                 life->number, life->is_last ? " (last)" : "", life->workers, life->run_us, ends[life->end],
                 sim_crash_name(life->crash), life->plan, life->failing_one_in, life->clock_us,
                 life->disk_bytes, life->memory ? life->memory : "default", life->segment, life->snapshot,
                 life->chunk_rows ? life->chunk_rows : "default", o->switch_one_in, o->spurious_one_in,
                 o->stall_one_in, o->sync_us_max, o->failing_sync, o->later_syncs_fail ? "+" : "",
                 o->end_behind_sync, o->latency_us_max, o->partial_one_in, o->reset_one_in, o->refuse_one_in);
}

/* ---- what runs beside the job ---- */

typedef struct Beside {
    Env *env;
    const Job *job;
    const Life *life;
    Ledger *ledger;
    EnvMutex *mutex;
    EnvCond *changed;
    bool is_ending, feed_has_ended; /* under mutex */
} Beside;

typedef struct Helper {
    Beside *beside;
    int node;
    EnvThread *thread;
    Random random;
} Helper;

/* Until the moment, or sooner when everything ends: false then. */
static bool sleep_until(Beside *beside, int64_t deadline_us) {
    env_mutex_lock(beside->env, beside->mutex);
    while (!beside->is_ending && env_monotonic_us(beside->env) < deadline_us)
        (void)env_cond_wait(beside->env, beside->changed, beside->mutex, deadline_us);
    bool goes_on = !beside->is_ending;
    env_mutex_unlock(beside->env, beside->mutex);
    return goes_on;
}

static bool sleep_for(Beside *beside, int64_t us) {
    return sleep_until(beside, env_monotonic_us(beside->env) + us);
}

static bool feeds(Beside *beside) {
    env_mutex_lock(beside->env, beside->mutex);
    bool goes_on = !beside->is_ending && !beside->feed_has_ended;
    env_mutex_unlock(beside->env, beside->mutex);
    return goes_on;
}

_Noreturn static void give_up(const char *what, const Error *err) {
    fprintf(stderr, "simulation: %s: %s\n", what, err->message);
    abort();
}

/* Makes file `id` and gives it its name in the directory of the source. */
static void write_file(Env *env, const Job *job, Ledger *ledger, uint32_t id) {
    Error err = {0};
    char from[64], to[64], directory[32];
    int node = ledger->files[id].node;
    snprintf(from, sizeof from, "/stage/f%u", id);
    snprintf(directory, sizeof directory, "/in%d", node);
    snprintf(to, sizeof to, "%s/f%u", directory, id);
    bool ends_open;
    uint64_t lines = job_file_lines(job, id, &ends_open);
    Text text = {0};
    for (uint64_t i = 0; i < lines; i++) {
        job_line(job, 'f', id, i, &text);
        if (i + 1 < lines || !ends_open)
            text_append_byte(&text, '\n');
    }
    EnvFile *file = NULL;
    Status st = env_file_open(env, from, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, &err);
    if (st == STATUS_OK)
        st = env_file_write(env, file, 0, text.data, text.size, &err);
    if (st == STATUS_OK)
        st = env_file_sync(env, file, &err);
    env_file_close(env, file);
    if (st == STATUS_OK)
        st = env_rename(env, from, to, &err);
    if (st == STATUS_OK)
        st = env_sync_directory(env, directory, &err);
    text_deinit(&text);
    if (st != STATUS_OK) /* a full disk, a failed sync: it is fed later */
        return;
    ledger_lock();
    ledger->files[id].is_durable = true;
    ledger_unlock();
}

static void feed_file(Env *env, const Job *job, Ledger *ledger, int node) {
    if (ledger->file_count == FILE_MAX)
        return;
    ledger_lock();
    uint32_t id = ledger->file_count++;
    ledger->files[id].node = node;
    ledger_unlock();
    write_file(env, job, ledger, id);
}

static void feeder_run(void *argument) {
    Helper *helper = argument;
    Beside *beside = helper->beside;
    uint64_t pause_us = (uint64_t)beside->job->interval_ms * 3000;
    while (sleep_for(beside, (int64_t)random_below(&helper->random, pause_us)) && feeds(beside))
        feed_file(beside->env, beside->job, beside->ledger, helper->node);
}

/* ---- the server of lines ---- */

typedef struct Server {
    Helper *helper;
    EnvPoll *poll;
    EnvSocket *listener, *socket;
    Connection *connection; /* of `socket` */
    Text text;              /* of lines that were begun */
    size_t sent;
} Server;

static void server_close(Server *server) {
    env_socket_close(server->helper->beside->env, server->socket);
    server->socket = NULL;
    server->connection = NULL;
    text_reset(&server->text);
    server->sent = 0;
}

static void server_accept(Server *server) {
    Beside *beside = server->helper->beside;
    Ledger *ledger = beside->ledger;
    if (env_socket_accept(beside->env, server->listener, &server->socket, NULL) != STATUS_OK ||
        !server->socket)
        return;
    if (ledger->connection_count == CONNECTION_MAX) {
        server_close(server);
        return;
    }
    ledger_lock();
    server->connection = &ledger->connections[ledger->connection_count++];
    *server->connection = (Connection){.node = server->helper->node, .life = beside->life->number};
    ledger_unlock();
}

/* Sends lines; breaks off now and then, in the middle of a line too. */
static void server_send(Server *server) {
    Beside *beside = server->helper->beside;
    Random *random = &server->helper->random;
    Connection *connection = server->connection;
    uint64_t id = (uint64_t)(connection - beside->ledger->connections);
    if (server->sent == server->text.size) {
        text_reset(&server->text);
        server->sent = 0;
        uint64_t count = beside->job->has_bursts   ? 10 + random_below(random, 30)
                         : random_below(random, 5) ? 1 + random_below(random, 4)
                                                   : 30;
        for (uint64_t i = 0; i < count; i++) {
            job_line(beside->job, 'c', id, connection->lines_sent + i, &server->text);
            text_append_byte(&server->text, '\n');
        }
    }
    size_t size = server->text.size - server->sent;
    bool breaks_off = random_below(random, 40) == 0;
    if (breaks_off)
        size = 1 + random_below(random, size);
    EnvTransfer what = ENV_WOULD_BLOCK;
    Status st =
        env_socket_send(beside->env, server->socket, server->text.data + server->sent, &size, &what, NULL);
    if (st != STATUS_OK || what == ENV_END) {
        ledger_lock();
        connection->was_broken = true;
        ledger_unlock();
        server_close(server);
        return;
    }
    ledger_lock();
    for (size_t i = 0; what == ENV_TRANSFERRED && i < size; i++)
        connection->lines_sent += server->text.data[server->sent + i] == '\n';
    ledger_unlock();
    server->sent += what == ENV_TRANSFERRED ? size : 0;
    if (breaks_off)
        server_close(server);
}

static void server_run(void *argument) {
    Server server = {.helper = argument};
    Beside *beside = server.helper->beside;
    Env *env = beside->env;
    Error err = {0};
    char port[16];
    snprintf(port, sizeof port, "%d", FIRST_PORT + server.helper->node);
    if (env_poll_create(env, &server.poll, &err) != STATUS_OK ||
        env_socket_listen(env, "localhost", port, &server.listener, &err) != STATUS_OK)
        give_up("the server of lines", &err);
    uint64_t pause_us = (uint64_t)beside->job->interval_ms * (beside->job->has_bursts ? 300 : 700);
    while (sleep_for(beside, (int64_t)random_below(&server.helper->random, pause_us))) {
        if (!server.socket)
            server_accept(&server);
        else if (server.sent < server.text.size || feeds(beside)) /* what was begun is brought to its end */
            server_send(&server);
    }
    server_close(&server);
    text_deinit(&server.text);
    env_socket_close(env, server.listener);
    env_poll_destroy(env, server.poll);
}

/* ---- the life ---- */

static int64_t log_wall_us(void *self) {
    return env_wall_us(self);
}

static void log_write(void *self, Str line) {
    Status ignored = env_write_stderr(self, line, NULL);
    (void)ignored;
}

static void make_directory(Env *env, const char *path) {
    Error err = {0};
    Status st = env_make_directory(env, path, &err);
    if (st != STATUS_OK && st != STATUS_EXISTS)
        give_up(path, &err);
}

static void make_durable(Env *env, const char *directory) {
    Error err = {0};
    if (env_sync_directory(env, directory, &err) != STATUS_OK)
        give_up(directory, &err);
}

/* Makes all names in the directory of a source durable (L2), and files that were not fed yet. */
static void prepare_source(const LifeUser *user, Env *env, int node, Random *random) {
    Ledger *ledger = user->ledger;
    char directory[32];
    snprintf(directory, sizeof directory, "/in%d", node);
    make_durable(env, directory);
    for (uint32_t id = 0; id < ledger->file_count; id++) {
        FedFile *file = &ledger->files[id];
        char path[64];
        EnvFileInfo info;
        if (file->node != node || file->is_durable)
            continue;
        snprintf(path, sizeof path, "%s/f%u", directory, id);
        if (env_path_info(env, path, &info, NULL) == STATUS_OK)
            file->is_durable = true; /* the sync above has seen to that */
        else
            write_file(env, user->job, ledger, id);
    }
    for (uint64_t more = random_below(random, 3); more > 0; more--)
        feed_file(env, user->job, ledger, node);
}

static void prepare_files(const LifeUser *user, Env *env, Random *random) {
    char directory[32];
    make_directory(env, "/disk");
    make_directory(env, "/stage");
    for (int i = 0; i < user->job->source_count; i++) {
        snprintf(directory, sizeof directory, "/in%d", i);
        make_directory(env, directory);
    }
    make_durable(env, "/");
    for (int i = 0; i < user->job->source_count; i++)
        if (user->job->nodes[i].kind == FILES)
            prepare_source(user, env, i, random);
}

static LeatContext *create_context(const LifeUser *user, Running *running) {
    const Life *life = user->life;
    char text[32];
    LeatContext *context = leat_context_create("sim", leat_milliseconds(user->job->interval_ms));
    leat_checkpoint(context, "/disk/checkpoint");
    leat_workers(context, life->workers);
    leat_set(context, "test-log-segment", life->segment);
    leat_set(context, "snapshot-log", life->snapshot);
    if (life->chunk_rows)
        leat_set(context, "test-chunk-rows", life->chunk_rows);
    if (life->memory)
        leat_set(context, "memory", life->memory);
    snprintf(text, sizeof text, "%" PRId64, life->restart_delay_ms);
    leat_set(context, "receiver-restart-delay", text);
    snprintf(text, sizeof text, "%u", user->job->partitions);
    leat_set(context, "partitions", text);
    if (life->end == END_SIGNAL)
        leat_stop_on_signals(context);
    job_build(running, context);
    return context;
}

/* Everything that was fed, and is not lost with a connection, has come out. */
static bool all_is_seen(const LifeUser *user) {
    const Ledger *ledger = user->ledger;
    for (uint32_t i = 0; i < ledger->file_count; i++) {
        bool ends_open;
        if (!ledger->files[i].was_seen && job_file_lines(user->job, i, &ends_open) > 0)
            return false;
    }
    for (uint32_t i = 0; i < ledger->connection_count; i++) {
        const Connection *connection = &ledger->connections[i];
        if (connection->life == user->life->number && !connection->was_broken &&
            connection->lines_seen < connection->lines_sent)
            return false;
    }
    return true;
}

static bool all_is_out(const LifeUser *user, uint64_t batch_runs_begin) {
    ledger_lock();
    bool is_out = user->ledger->batch_runs >= batch_runs_begin + 3 && all_is_seen(user);
    ledger_unlock();
    return is_out;
}

/* How late the last life may be: batches that were missed run without a pause, a clock that was set back is
 * waited for. */
static int64_t patience_us(const LifeUser *user, Env *env) {
    int64_t interval_us = user->job->interval_ms * 1000;
    ledger_lock();
    int64_t newest_us = user->ledger->newest_ms * 1000;
    ledger_unlock();
    int64_t behind_us = newest_us - env_wall_us(env);
    int64_t missed = behind_us < 0 ? -behind_us / interval_us : 0;
    return (behind_us > 0 ? behind_us : 0) + (BATCHES_LATE_MAX + missed) * interval_us;
}

static void wait_for_the_end(const LifeUser *user, Beside *beside, LeatContext *context) {
    const Life *life = user->life;
    Env *env = beside->env;
    int64_t step_us = user->job->interval_ms * 500, begin_us = env_monotonic_us(env);
    bool clock_is_set = life->clock_us == 0, disk_is_full = life->disk_bytes > 0;
    while (env_monotonic_us(env) - begin_us < life->run_us && leat_context_state(context) == LEAT_ACTIVE) {
        int64_t passed_us = env_monotonic_us(env) - begin_us, left_us = life->run_us - passed_us;
        (void)sleep_for(beside, left_us < step_us ? left_us : step_us);
        if (!clock_is_set && passed_us > life->run_us / 2) {
            sim_world_shift_wall(user->ledger->world, life->clock_us);
            clock_is_set = true;
        }
        if (disk_is_full && passed_us > life->run_us / 2) {
            sim_world_limit_disk(user->ledger->world, UINT64_MAX);
            disk_is_full = false;
        }
    }
    sim_world_limit_disk(user->ledger->world, UINT64_MAX);
}

/* O6. False: it took too long. */
static bool wait_for_all(const LifeUser *user, Beside *beside, LeatContext *context) {
    ledger_lock();
    uint64_t batch_runs_begin = user->ledger->batch_runs;
    ledger_unlock();
    env_mutex_lock(beside->env, beside->mutex);
    beside->feed_has_ended = true;
    env_mutex_unlock(beside->env, beside->mutex);
    int64_t deadline_us = env_monotonic_us(beside->env) + patience_us(user, beside->env);
    for (int quiet = 0; quiet < STEPS_BEHIND_FEED;) { /* bytes on their way, a line that is being sent */
        if (env_monotonic_us(beside->env) > deadline_us)
            return false;
        if (leat_context_state(context) != LEAT_ACTIVE)
            return true; /* its exit code tells */
        (void)sleep_for(beside, user->job->interval_ms * 500);
        quiet = all_is_out(user, batch_runs_begin) ? quiet + 1 : 0;
    }
    return true;
}

static int end_life(const LifeUser *user, Beside *beside, LeatContext *context) {
    int code = LEAT_EXIT_OK;
    switch (user->life->is_last ? END_GRACEFUL : user->life->end) {
    case END_KILL_AT:
        env_sim_kill(beside->env);
    case END_SIGNAL:
        env_sim_signal(beside->env, SIGTERM);
        break;
    case END_GRACEFUL:
        leat_stop(context, (LeatStop){.graceful = true});
        break;
    case END_DESTROY:
        return leat_await_termination_or_timeout(context, leat_milliseconds(0), &code) ? code : LEAT_EXIT_OK;
    default:
        leat_stop(context, (LeatStop){.graceful = false});
        break;
    }
    return leat_await_termination(context);
}

static void start_helper(Helper *helper, const char *name, void (*run)(void *)) {
    Error err = {0};
    if (env_thread_start(helper->beside->env, name, run, helper, &helper->thread, &err) != STATUS_OK)
        give_up(name, &err);
}

int life_run(Env *env, void *argument) {
    const LifeUser *user = argument;
    const Life *life = user->life;
    Error err = {0};
    FaultPlan *plan = NULL;
    if (fault_plan_parse(str_from(life->plan), &plan, &err) != STATUS_OK)
        give_up(life->plan, &err);
    log_set_hooks((LogHooks){.wall_us = log_wall_us, .write = log_write, .self = env});
    Random random;
    random_init(&random, life->seed);
    prepare_files(user, env, &random);
    if (life->disk_bytes > 0)
        sim_world_limit_disk(user->ledger->world, life->disk_bytes);

    Beside beside = {.env = env,
                     .job = user->job,
                     .life = life,
                     .ledger = user->ledger,
                     .mutex = env_mutex_create(env),
                     .changed = env_cond_create(env)};
    Helper helpers[SOURCE_MAX];
    int helper_count = 0;
    for (int i = 0; i < user->job->source_count; i++) {
        bool is_server = user->job->nodes[i].kind == SOCKET;
        if (!is_server && (user->job->nodes[i].kind != FILES || life->crash != SIM_CRASH_NONE)) /* L2 */
            continue;
        Helper *helper = &helpers[helper_count++];
        *helper = (Helper){.beside = &beside, .node = i};
        random_init(&helper->random, random_u64(&random));
        start_helper(helper, is_server ? "server" : "feeder", is_server ? server_run : feeder_run);
    }

    Env *faulty = env_faulty_create(env, plan);
    Running running = {.job = user->job,
                       .ledger = user->ledger,
                       .env = env,
                       .life = life->number,
                       .failing_one_in = life->failing_one_in};
    context_set_environment(faulty);
    LeatContext *context = create_context(user, &running);
    int code = leat_start(context);
    if (code == LEAT_EXIT_OK) {
        wait_for_the_end(user, &beside, context);
        bool is_in_time = !life->is_last || wait_for_all(user, &beside, context);
        code = end_life(user, &beside, context);
        if (!is_in_time && code == LEAT_EXIT_OK)
            code = LIFE_TOO_LATE;
    } else {
        log_write(env, str_from(leat_error(context)));
        log_write(env, STR("\n"));
    }
    leat_context_destroy(context);
    context_set_environment(NULL);
    env_faulty_destroy(faulty);
    sim_world_limit_disk(user->ledger->world, UINT64_MAX);

    env_mutex_lock(env, beside.mutex);
    beside.is_ending = true;
    env_cond_broadcast(env, beside.changed);
    env_mutex_unlock(env, beside.mutex);
    for (int i = 0; i < helper_count; i++)
        env_thread_join(env, helpers[i].thread);
    env_cond_destroy(env, beside.changed);
    env_mutex_destroy(env, beside.mutex);
    free(plan);
    log_set_hooks((LogHooks){0});
    if (life->looks_for_leaks && __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0)
        return LIFE_LEAKS; /* O7; handles are counted by env_sim_destroy */
    return code;
}
