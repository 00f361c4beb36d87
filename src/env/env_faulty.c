/* env_faulty.c - counts, fails, shortens, delays, and ends the process.
 *
 *   F1  Every counted entry is `call_begin`, the wrapped environment's entry unless the call fails,
 *       `call_end`.
 *   F2  The number of a call is taken before it is made. Calls of several threads are numbered in some order;
 *       a plan repeats a run exactly only where one thread calls, or where the threads are simulated.
 *   F3  Handles are those of the wrapped environment: there is nothing to wrap, and what it gives later (a
 *       name, a path) needs no copy.
 */
#include "env/env_table.h"
#include "env/fault_plan.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    EXIT_KILLED = 137, /* what a shell says of a process ended by signal 9 */
    DIRECT_ALIGNMENT = 4096,
};

typedef struct Faulty {
    Env env; /* first: an Env * is a Faulty * */
    Env *inner;
    FaultPlan *plan;
    _Atomic uint64_t counts[FAULT_KIND_COUNT]; /* calls begun, by kind; [FAULT_ANY] all of them */
    _Atomic uint64_t fault_count;
    EnvMutex *trace_mutex;
    Text *trace; /* under trace_mutex */
    _Atomic bool is_traced;
} Faulty;

typedef struct Call {
    Faulty *faulty;
    FaultKind kind;
    const char *what; /* path or address, for the trace */
    uint64_t number;
    int error;        /* not 0: it fails, and is not made */
    int64_t short_to; /* not 0: it moves no more than so many bytes */
    size_t asked;     /* of a transfer */
    size_t done;      /* of a transfer; also filled by the entry */
    bool kills_after;
} Call;

static Faulty *faulty_of(Env *env) {
    return (Faulty *)env;
}

/* ---- the plan ---- */

static void wait_us(Env *env, int64_t duration_us) {
    int64_t deadline_us = env_monotonic_us(env) + duration_us;
    EnvMutex *mutex = env_mutex_create(env);
    EnvCond *cond = env_cond_create(env);
    env_mutex_lock(env, mutex);
    while (env_monotonic_us(env) < deadline_us)
        /* Nobody signals: it wakes for the deadline, or without cause. */
        env_cond_wait(env, cond, mutex, deadline_us);
    env_mutex_unlock(env, mutex);
    env_cond_destroy(env, cond);
    env_mutex_destroy(env, mutex);
}

static void fired(Faulty *faulty) {
    atomic_fetch_add(&faulty->fault_count, 1);
}

static Call call_begin(Env *env, FaultKind kind, const char *what) { /* F1 */
    Faulty *faulty = faulty_of(env);
    uint64_t number = atomic_fetch_add(&faulty->counts[FAULT_ANY], 1) + 1; /* F2 */
    uint64_t kind_number = atomic_fetch_add(&faulty->counts[kind], 1) + 1;
    Call call = {.faulty = faulty, .kind = kind, .what = what, .number = number};
    for (size_t i = 0; i < faulty->plan->entry_count; i++) {
        const FaultEntry *entry = &faulty->plan->entries[i];
        if (entry->kind != FAULT_ANY && entry->kind != kind)
            continue;
        uint64_t n = entry->kind == FAULT_ANY ? number : kind_number;
        if (n != entry->number && !(entry->and_later && n > entry->number))
            continue;
        switch (entry->action) {
        case FAULT_FAIL:
            if (call.error == 0)
                fired(faulty);
            call.error = (int)entry->value;
            break;
        case FAULT_SHORT:
            call.short_to = entry->value;
            break;
        case FAULT_KILL_BEFORE:
            _exit(EXIT_KILLED);
        case FAULT_KILL_AFTER:
            call.kills_after = true;
            break;
        case FAULT_DELAY:
            fired(faulty);
            wait_us(faulty->inner, entry->value);
            break;
        case FAULT_CLOCK: /* faulty_wall_us looks for itself */
            fired(faulty);
            break;
        }
    }
    return call;
}

static void trace_call(const Call *call, int error) {
    Faulty *faulty = call->faulty;
    env_mutex_lock(faulty->inner, faulty->trace_mutex);
    if (faulty->trace) {
        Text *text = faulty->trace;
        text_appendf(text, "%" PRIu64 " %s", call->number, fault_kind_name(call->kind));
        if (call->what)
            text_appendf(text, " %s", call->what);
        const char *name = error == ENV_NO_SUCH_HOST   ? "no such host"
                           : error == ENV_NO_SUCH_PORT ? "no such port"
                                                       : fault_errno_name(error);
        if (error == 0 && call->asked > 0)
            text_appendf(text, " %zu of %zu", call->done, call->asked);
        else if (error == 0)
            text_append(text, STR(" ok"));
        else if (name)
            text_appendf(text, " %s", name);
        else
            text_appendf(text, " error %d", error);
        text_append(text, call->error != 0 ? STR(" (planned)\n") : STR("\n"));
    }
    env_mutex_unlock(faulty->inner, faulty->trace_mutex);
}

static int call_end(const Call *call, int error) {
    if (call->kills_after)
        _exit(EXIT_KILLED);
    if (atomic_load(&call->faulty->is_traced))
        trace_call(call, error);
    return error;
}

/* As call_begin; *size is made smaller when the plan says so, in steps of `unit_bytes`. */
static Call transfer_begin(Env *env, FaultKind kind, const char *what, size_t *size, size_t unit_bytes) {
    Call call = call_begin(env, kind, what);
    call.asked = *size;
    if (call.short_to > 0 && *size > unit_bytes) {
        size_t most = (*size - 1) / unit_bytes * unit_bytes;
        size_t wanted = (uint64_t)call.short_to > most
                            ? most
                            : ((size_t)call.short_to + unit_bytes - 1) / unit_bytes * unit_bytes;
        *size = wanted;
        fired(call.faulty);
    }
    return call;
}

static int transfer_end(Call *call, int error, size_t *done) {
    if (error == 0)
        *done = call->done;
    return call_end(call, error);
}

/* The counted entry `expression` of the wrapped environment, as call `call`. */
#define MAKE(call, expression) call_end(&(call), (call).error != 0 ? (call).error : (expression))
#define TRANSFER(call, done, expression) \
    transfer_end(&(call), (call).error != 0 ? (call).error : (expression), (done))

/* ---- time, randomness ---- */

static int64_t faulty_wall_us(Env *env) {
    Faulty *faulty = faulty_of(env);
    uint64_t number = atomic_load(&faulty->counts[FAULT_ANY]);
    const FaultEntry *rules = NULL;
    for (size_t i = 0; i < faulty->plan->entry_count; i++) {
        const FaultEntry *entry = &faulty->plan->entries[i];
        if (entry->action == FAULT_CLOCK && entry->number <= number &&
            (!rules || entry->number >= rules->number))
            rules = entry;
    }
    int64_t now_us = env_wall_us(faulty->inner), shifted_us;
    if (!rules)
        return now_us;
    if (__builtin_add_overflow(now_us, rules->value, &shifted_us)) /* some hundred thousand years off */
        return rules->value < 0 ? INT64_MIN : INT64_MAX;
    return shifted_us;
}

static int64_t faulty_monotonic_us(Env *env) {
    return env_monotonic_us(faulty_of(env)->inner);
}

static int faulty_random_bytes(Env *env, void *out, size_t size, size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_RANDOM, NULL, &size, 1);
    return TRANSFER(call, done, inner->table->random_bytes(inner, out, size, &call.done));
}

/* ---- files ---- */

static int faulty_file_open(Env *env, const char *path, unsigned flags, EnvFile **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_OPEN, path);
    return MAKE(call, inner->table->file_open(inner, path, flags, out));
}

static size_t unit_of(Env *inner, const EnvFile *file) {
    return env_file_is_direct(inner, file) ? DIRECT_ALIGNMENT : 1;
}

static int faulty_file_read(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size, size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_READ, env_file_path(inner, file), &size, unit_of(inner, file));
    return TRANSFER(call, done, inner->table->file_read(inner, file, offset, out, size, &call.done));
}

static int faulty_file_write(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size,
                             size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_WRITE, env_file_path(inner, file), &size, unit_of(inner, file));
    return TRANSFER(call, done, inner->table->file_write(inner, file, offset, data, size, &call.done));
}

static int faulty_file_sync(Env *env, EnvFile *file) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_SYNC, env_file_path(inner, file));
    return MAKE(call, inner->table->file_sync(inner, file));
}

static int faulty_file_truncate(Env *env, EnvFile *file, uint64_t size_bytes) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_TRUNCATE, env_file_path(inner, file));
    return MAKE(call, inner->table->file_truncate(inner, file, size_bytes));
}

static int faulty_file_info(Env *env, EnvFile *file, EnvFileInfo *info) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_STAT, env_file_path(inner, file));
    return MAKE(call, inner->table->file_info(inner, file, info));
}

static int faulty_file_lock(Env *env, EnvFile *file) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_LOCK, env_file_path(inner, file));
    return MAKE(call, inner->table->file_lock(inner, file));
}

static bool faulty_file_is_direct(Env *env, const EnvFile *file) {
    return env_file_is_direct(faulty_of(env)->inner, file);
}

static const char *faulty_file_path(Env *env, const EnvFile *file) {
    return env_file_path(faulty_of(env)->inner, file);
}

static void faulty_file_close(Env *env, EnvFile *file) {
    env_file_close(faulty_of(env)->inner, file);
}

/* ---- names ---- */

static int faulty_path_info(Env *env, const char *path, EnvFileInfo *info) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_STAT, path);
    return MAKE(call, inner->table->path_info(inner, path, info));
}

static int faulty_rename(Env *env, const char *from, const char *to) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_RENAME, from);
    return MAKE(call, inner->table->rename(inner, from, to));
}

static int faulty_remove(Env *env, const char *path) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_REMOVE, path);
    return MAKE(call, inner->table->remove(inner, path));
}

static int faulty_make_directory(Env *env, const char *path) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_MKDIR, path);
    return MAKE(call, inner->table->make_directory(inner, path));
}

static int faulty_sync_directory(Env *env, const char *path) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_SYNCDIR, path);
    return MAKE(call, inner->table->sync_directory(inner, path));
}

static int faulty_current_directory(Env *env, char **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_STAT, ".");
    return MAKE(call, inner->table->current_directory(inner, out));
}

static int faulty_dir_open(Env *env, const char *path, EnvDir **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_READDIR, path);
    return MAKE(call, inner->table->dir_open(inner, path, out));
}

static int faulty_dir_next(Env *env, EnvDir *dir, const char **name) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_READDIR, inner->table->dir_path(inner, dir));
    return MAKE(call, inner->table->dir_next(inner, dir, name));
}

static const char *faulty_dir_path(Env *env, const EnvDir *dir) {
    Env *inner = faulty_of(env)->inner;
    return inner->table->dir_path(inner, dir);
}

static void faulty_dir_close(Env *env, EnvDir *dir) {
    env_dir_close(faulty_of(env)->inner, dir);
}

/* ---- standard output and error ---- */

static int faulty_stream_write(Env *env, EnvStream stream, const void *data, size_t size, size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_STDOUT, stream == ENV_STDOUT ? "1" : "2", &size, 1);
    return TRANSFER(call, done, inner->table->stream_write(inner, stream, data, size, &call.done));
}

static bool faulty_stdout_is_terminal(Env *env) {
    return env_stdout_is_terminal(faulty_of(env)->inner);
}

/* ---- sockets ---- */

static const char *faulty_socket_name(Env *env, const EnvSocket *socket) {
    Env *inner = faulty_of(env)->inner;
    return inner->table->socket_name(inner, socket);
}

static int faulty_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_CONNECT, host);
    return MAKE(call, inner->table->socket_connect(inner, host, port, out));
}

static int faulty_socket_finish_connect(Env *env, EnvSocket *socket) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_CONNECT, faulty_socket_name(env, socket));
    return MAKE(call, inner->table->socket_finish_connect(inner, socket));
}

static bool faulty_socket_is_connected(Env *env, const EnvSocket *socket) {
    return env_socket_is_connected(faulty_of(env)->inner, socket);
}

static int faulty_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_LISTEN, host);
    return MAKE(call, inner->table->socket_listen(inner, host, port, out));
}

static uint16_t faulty_socket_port(Env *env, const EnvSocket *socket) {
    return env_socket_port(faulty_of(env)->inner, socket);
}

static int faulty_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_ACCEPT, faulty_socket_name(env, listener));
    return MAKE(call, inner->table->socket_accept(inner, listener, out));
}

static int faulty_socket_receive(Env *env, EnvSocket *socket, void *out, size_t size, size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_RECEIVE, faulty_socket_name(env, socket), &size, 1);
    return TRANSFER(call, done, inner->table->socket_receive(inner, socket, out, size, &call.done));
}

static int faulty_socket_send(Env *env, EnvSocket *socket, const void *data, size_t size, size_t *done) {
    Env *inner = faulty_of(env)->inner;
    Call call = transfer_begin(env, FAULT_SEND, faulty_socket_name(env, socket), &size, 1);
    return TRANSFER(call, done, inner->table->socket_send(inner, socket, data, size, &call.done));
}

static void faulty_socket_close(Env *env, EnvSocket *socket) {
    env_socket_close(faulty_of(env)->inner, socket);
}

static int faulty_poll_create(Env *env, EnvPoll **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_POLL, NULL);
    return MAKE(call, inner->table->poll_create(inner, out));
}

static int faulty_poll_wait(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count,
                            int64_t deadline_us) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_POLL, NULL);
    return MAKE(call, inner->table->poll_wait(inner, poll, items, item_count, deadline_us));
}

static void faulty_poll_wake(Env *env, EnvPoll *poll) {
    env_poll_wake(faulty_of(env)->inner, poll);
}

static void faulty_poll_destroy(Env *env, EnvPoll *poll) {
    env_poll_destroy(faulty_of(env)->inner, poll);
}

/* ---- threads ---- */

static int faulty_thread_start(Env *env, const char *name, void (*run)(void *), void *argument,
                               EnvThread **out) {
    Env *inner = faulty_of(env)->inner;
    Call call = call_begin(env, FAULT_THREAD, name);
    return MAKE(call, inner->table->thread_start(inner, name, run, argument, out));
}

static void faulty_thread_join(Env *env, EnvThread *thread) {
    env_thread_join(faulty_of(env)->inner, thread);
}

static bool faulty_thread_is_current(Env *env, const EnvThread *thread) {
    return env_thread_is_current(faulty_of(env)->inner, thread);
}

static unsigned faulty_cpu_count(Env *env) {
    return env_cpu_count(faulty_of(env)->inner);
}

static uint64_t faulty_memory_limit(Env *env) {
    return env_memory_limit(faulty_of(env)->inner);
}

static EnvMutex *faulty_mutex_create(Env *env) {
    return env_mutex_create(faulty_of(env)->inner);
}

static void faulty_mutex_destroy(Env *env, EnvMutex *mutex) {
    env_mutex_destroy(faulty_of(env)->inner, mutex);
}

static void faulty_mutex_lock(Env *env, EnvMutex *mutex) {
    env_mutex_lock(faulty_of(env)->inner, mutex);
}

static void faulty_mutex_unlock(Env *env, EnvMutex *mutex) {
    env_mutex_unlock(faulty_of(env)->inner, mutex);
}

static EnvCond *faulty_cond_create(Env *env) {
    return env_cond_create(faulty_of(env)->inner);
}

static void faulty_cond_destroy(Env *env, EnvCond *cond) {
    env_cond_destroy(faulty_of(env)->inner, cond);
}

static bool faulty_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us) {
    return env_cond_wait(faulty_of(env)->inner, cond, mutex, deadline_us);
}

static void faulty_cond_signal(Env *env, EnvCond *cond) {
    env_cond_signal(faulty_of(env)->inner, cond);
}

static void faulty_cond_broadcast(Env *env, EnvCond *cond) {
    env_cond_broadcast(faulty_of(env)->inner, cond);
}

/* ---- the environment ---- */

static int faulty_on_stop_signal(Env *env, void (*stopped)(void *self, int signal_number), void *self) {
    Env *inner = faulty_of(env)->inner;
    return inner->table->on_stop_signal(inner, stopped, self);
}

static const EnvTable faulty_table = {
    .wall_us = faulty_wall_us,
    .monotonic_us = faulty_monotonic_us,
    .random_bytes = faulty_random_bytes,
    .file_open = faulty_file_open,
    .file_read = faulty_file_read,
    .file_write = faulty_file_write,
    .file_sync = faulty_file_sync,
    .file_truncate = faulty_file_truncate,
    .file_info = faulty_file_info,
    .file_lock = faulty_file_lock,
    .file_is_direct = faulty_file_is_direct,
    .file_path = faulty_file_path,
    .file_close = faulty_file_close,
    .path_info = faulty_path_info,
    .rename = faulty_rename,
    .remove = faulty_remove,
    .make_directory = faulty_make_directory,
    .sync_directory = faulty_sync_directory,
    .current_directory = faulty_current_directory,
    .dir_open = faulty_dir_open,
    .dir_next = faulty_dir_next,
    .dir_path = faulty_dir_path,
    .dir_close = faulty_dir_close,
    .stream_write = faulty_stream_write,
    .stdout_is_terminal = faulty_stdout_is_terminal,
    .on_stop_signal = faulty_on_stop_signal,
    .socket_connect = faulty_socket_connect,
    .socket_finish_connect = faulty_socket_finish_connect,
    .socket_is_connected = faulty_socket_is_connected,
    .socket_listen = faulty_socket_listen,
    .socket_port = faulty_socket_port,
    .socket_accept = faulty_socket_accept,
    .socket_receive = faulty_socket_receive,
    .socket_send = faulty_socket_send,
    .socket_name = faulty_socket_name,
    .socket_close = faulty_socket_close,
    .poll_create = faulty_poll_create,
    .poll_wait = faulty_poll_wait,
    .poll_wake = faulty_poll_wake,
    .poll_destroy = faulty_poll_destroy,
    .thread_start = faulty_thread_start,
    .thread_join = faulty_thread_join,
    .thread_is_current = faulty_thread_is_current,
    .cpu_count = faulty_cpu_count,
    .memory_limit = faulty_memory_limit,
    .mutex_create = faulty_mutex_create,
    .mutex_destroy = faulty_mutex_destroy,
    .mutex_lock = faulty_mutex_lock,
    .mutex_unlock = faulty_mutex_unlock,
    .cond_create = faulty_cond_create,
    .cond_destroy = faulty_cond_destroy,
    .cond_wait = faulty_cond_wait,
    .cond_signal = faulty_cond_signal,
    .cond_broadcast = faulty_cond_broadcast,
};

Env *env_faulty_create(Env *inner, const FaultPlan *plan) {
    size_t entry_count = plan ? plan->entry_count : 0;
    Faulty *faulty = xcalloc(1, sizeof *faulty);
    faulty->env.table = &faulty_table;
    faulty->inner = inner;
    faulty->plan = xcalloc(1, sizeof *faulty->plan + entry_count * sizeof faulty->plan->entries[0]);
    if (plan)
        memcpy(faulty->plan, plan, sizeof *plan + entry_count * sizeof plan->entries[0]);
    faulty->trace_mutex = env_mutex_create(inner);
    return &faulty->env;
}

void env_faulty_destroy(Env *env) {
    if (!env)
        return;
    Faulty *faulty = faulty_of(env);
    env_mutex_destroy(faulty->inner, faulty->trace_mutex);
    free(faulty->plan);
    free(faulty);
}

uint64_t env_faulty_call_count(const Env *env) {
    return atomic_load(&((const Faulty *)env)->counts[FAULT_ANY]);
}

uint64_t env_faulty_fault_count(const Env *env) {
    return atomic_load(&((const Faulty *)env)->fault_count);
}

void env_faulty_trace(Env *env, Text *into) {
    Faulty *faulty = faulty_of(env);
    env_mutex_lock(faulty->inner, faulty->trace_mutex);
    faulty->trace = into;
    env_mutex_unlock(faulty->inner, faulty->trace_mutex);
    atomic_store(&faulty->is_traced, into != NULL);
}
