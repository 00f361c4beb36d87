/* env.c - from the thin calls of a table to the functions of env.h: messages, retries, loops, helpers.
 *
 *   E1  A call that was interrupted (EINTR) is made again where that is harmless. It is not for sync (its
 *       error may have been told already and would be lost) and for rename, remove and mkdir (they may have
 *       happened).
 *   E2  Transfers of files go on after a short count until everything has moved or nothing moves any more.
 */
#include "env/env_table.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    DIRECT_ALIGNMENT = 4096, /* the promise of ENV_DIRECT */
    READ_STEP_BYTES = 16384, /* of env_read_file */
};

/* ---- time, randomness ---- */

int64_t env_wall_us(Env *env) {
    return env->table->wall_us(env);
}

int64_t env_monotonic_us(Env *env) {
    return env->table->monotonic_us(env);
}

Status env_random_bytes(Env *env, void *out, size_t size, Error *err) {
    for (size_t have = 0; have < size;) {
        size_t done = 0;
        int error = env->table->random_bytes(env, (char *)out + have, size - have, &done);
        if (error == EINTR)
            continue; /* E1 */
        if (error != 0)
            return error_set_os(err, error, "asking the system for random bytes");
        ASSERT(done > 0 && done <= size - have);
        have += done;
    }
    return STATUS_OK;
}

/* ---- files ---- */

Status env_file_open(Env *env, const char *path, unsigned flags, EnvFile **out, Error *err) {
    ASSERT((flags & (ENV_READ | ENV_WRITE)) != 0);
    *out = NULL;
    EnvFile *file = NULL;
    int error;
    do
        error = env->table->file_open(env, path, flags, &file);
    while (error == EINTR); /* E1 */
    if (error != 0)
        return error_set_os(err, error, flags & ENV_EXCLUSIVE ? "creating %s" : "opening %s", path);
    *out = file;
    return STATUS_OK;
}

Status env_file_read(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size, size_t *read_bytes,
                     Error *err) {
    bool is_direct = env->table->file_is_direct(env, file);
    size_t have = 0;
    while (have < size) {
        size_t done = 0;
        int error = env->table->file_read(env, file, offset + have, (char *)out + have, size - have, &done);
        if (error == EINTR)
            continue; /* E1 */
        if (error != 0)
            return error_set_os(err, error, "reading %s at byte %" PRIu64, env_file_path(env, file),
                                offset + have);
        ASSERT(done <= size - have);
        have += done;
        /* Past the page cache the next read would begin inside a block, which is refused: only the end of the
         * file leaves part of a block. */
        if (done == 0 || (is_direct && done % DIRECT_ALIGNMENT != 0))
            break;
    }
    *read_bytes = have;
    return STATUS_OK;
}

Status env_file_write(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size, Error *err) {
    bool is_direct = env->table->file_is_direct(env, file);
    for (size_t have = 0; have < size;) {
        size_t done = 0;
        int error =
            env->table->file_write(env, file, offset + have, (const char *)data + have, size - have, &done);
        if (error == EINTR)
            continue; /* E1 */
        if (error != 0)
            return error_set_os(err, error, "writing %s at byte %" PRIu64, env_file_path(env, file),
                                offset + have);
        ASSERT(done <= size - have);
        if (is_direct && done < size - have)
            done -= done % DIRECT_ALIGNMENT; /* the begun block is written again, whole */
        if (done == 0)
            return error_set(err, STATUS_IO, "writing %s at byte %" PRIu64 ": the system takes no more",
                             env_file_path(env, file), offset + have);
        have += done;
    }
    return STATUS_OK;
}

Status env_file_sync(Env *env, EnvFile *file, Error *err) {
    int error = env->table->file_sync(env, file); /* once: E1 */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "syncing %s", env_file_path(env, file));
}

Status env_file_truncate(Env *env, EnvFile *file, uint64_t size_bytes, Error *err) {
    int error;
    do
        error = env->table->file_truncate(env, file, size_bytes);
    while (error == EINTR); /* E1 */
    return error == 0 ? STATUS_OK
                      : error_set_os(err, error, "setting the size of %s to %" PRIu64 " bytes",
                                     env_file_path(env, file), size_bytes);
}

Status env_file_info(Env *env, EnvFile *file, EnvFileInfo *info, Error *err) {
    EnvFileInfo got = {0};
    int error = env->table->file_info(env, file, &got);
    if (error != 0)
        return error_set_os(err, error, "looking at %s", env_file_path(env, file));
    *info = got;
    return STATUS_OK;
}

Status env_file_lock(Env *env, EnvFile *file, Error *err) {
    int error = env->table->file_lock(env, file);
    if (error == EAGAIN || error == EACCES)
        return error_set(err, STATUS_UNAVAILABLE, "locking %s: somebody else holds it",
                         env_file_path(env, file));
    return error == 0 ? STATUS_OK : error_set_os(err, error, "locking %s", env_file_path(env, file));
}

bool env_file_is_direct(Env *env, const EnvFile *file) {
    return env->table->file_is_direct(env, file);
}

const char *env_file_path(Env *env, const EnvFile *file) {
    return env->table->file_path(env, file);
}

void env_file_close(Env *env, EnvFile *file) {
    if (file)
        env->table->file_close(env, file);
}

/* ---- names ---- */

Status env_path_info(Env *env, const char *path, EnvFileInfo *info, Error *err) {
    EnvFileInfo got = {0};
    int error = env->table->path_info(env, path, &got);
    if (error != 0)
        return error_set_os(err, error, "looking at %s", path);
    *info = got;
    return STATUS_OK;
}

Status env_rename(Env *env, const char *from, const char *to, Error *err) {
    int error = env->table->rename(env, from, to); /* once: E1 */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "renaming %s to %s", from, to);
}

Status env_remove(Env *env, const char *path, Error *err) {
    int error = env->table->remove(env, path); /* once: E1 */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "removing %s", path);
}

Status env_make_directory(Env *env, const char *path, Error *err) {
    int error = env->table->make_directory(env, path); /* once: E1 */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "making directory %s", path);
}

Status env_sync_directory(Env *env, const char *path, Error *err) {
    int error = env->table->sync_directory(env, path); /* once: E1 */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "syncing directory %s", path);
}

Status env_dir_open(Env *env, const char *path, EnvDir **out, Error *err) {
    *out = NULL;
    EnvDir *dir = NULL;
    int error;
    do
        error = env->table->dir_open(env, path, &dir);
    while (error == EINTR); /* E1 */
    if (error != 0)
        return error_set_os(err, error, "opening directory %s", path);
    *out = dir;
    return STATUS_OK;
}

Status env_dir_next(Env *env, EnvDir *dir, const char **name, Error *err) {
    const char *got = NULL;
    int error;
    do
        error = env->table->dir_next(env, dir, &got);
    while (error == EINTR); /* E1 */
    if (error != 0)
        return error_set_os(err, error, "listing directory %s", env->table->dir_path(env, dir));
    *name = got;
    return STATUS_OK;
}

void env_dir_close(Env *env, EnvDir *dir) {
    if (dir)
        env->table->dir_close(env, dir);
}

/* "." and empty steps go; ".." stays, because behind a symbolic link it is not the step before. */
static char *absolute(Str base, Str path) {
    Text text = {0};
    Str parts[] = {base, path};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        Str rest = parts[i], step;
        while (leat_str_split(&rest, '/', &step)) {
            if (step.size == 0 || str_equal(step, STR(".")))
                continue;
            text_append_byte(&text, '/');
            text_append(&text, step);
        }
    }
    if (text.size == 0)
        text_append_byte(&text, '/');
    char *out = xstrdup(text_str(&text));
    text_deinit(&text);
    return out;
}

Status env_absolute_path(Env *env, const char *path, char **out, Error *err) {
    *out = NULL;
    char *base = NULL;
    if (path[0] != '/') {
        int error = env->table->current_directory(env, &base);
        if (error != 0)
            return error_set_os(err, error, "finding the current directory for %s", path);
    }
    *out = absolute(str_from(base ? base : ""), str_from(path));
    free(base);
    return STATUS_OK;
}

/* ---- standard output and error ---- */

CHECKED static Status stream_write(Env *env, EnvStream stream, Str bytes, Error *err) {
    const char *name = stream == ENV_STDOUT ? "standard output" : "standard error";
    for (size_t have = 0; have < bytes.size;) {
        size_t done = 0;
        int error = env->table->stream_write(env, stream, bytes.data + have, bytes.size - have, &done);
        if (error == EINTR)
            continue; /* E1 */
        if (error == EPIPE)
            return error_set(err, STATUS_IO, "writing to %s: the reader has closed it", name);
        if (error != 0)
            return error_set_os(err, error, "writing to %s", name);
        ASSERT(done <= bytes.size - have);
        if (done == 0)
            return error_set(err, STATUS_IO, "writing to %s: the system takes no more", name);
        have += done;
    }
    return STATUS_OK;
}

Status env_write_stdout(Env *env, Str bytes, Error *err) {
    return stream_write(env, ENV_STDOUT, bytes, err);
}

Status env_write_stderr(Env *env, Str bytes, Error *err) {
    return stream_write(env, ENV_STDERR, bytes, err);
}

bool env_stdout_is_terminal(Env *env) {
    return env->table->stdout_is_terminal(env);
}

/* ---- sockets ---- */

CHECKED static Status address_error(int error, const char *doing, const char *host, const char *port,
                                    Error *err) {
    if (error == ENV_NO_SUCH_HOST)
        return error_set(err, STATUS_UNAVAILABLE, "%s %s:%s: no such host", doing, host, port);
    if (error == ENV_NO_SUCH_PORT)
        return error_set(err, STATUS_INVALID, "%s %s:%s: '%s' is not a port", doing, host, port, port);
    return error_set_os(err, error, "%s %s:%s", doing, host, port);
}

Status env_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out, Error *err) {
    *out = NULL;
    EnvSocket *socket = NULL;
    int error;
    do
        error = env->table->socket_connect(env, host, port, &socket);
    while (error == EINTR); /* E1 */
    if (error != 0)
        return address_error(error, "connecting to", host, port, err);
    *out = socket;
    return STATUS_OK;
}

Status env_socket_finish_connect(Env *env, EnvSocket *socket, Error *err) {
    int error;
    do
        error = env->table->socket_finish_connect(env, socket);
    while (error == EINTR); /* E1 */
    return error == 0 ? STATUS_OK
                      : error_set_os(err, error, "connecting to %s", env->table->socket_name(env, socket));
}

bool env_socket_is_connected(Env *env, const EnvSocket *socket) {
    return env->table->socket_is_connected(env, socket);
}

Status env_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out, Error *err) {
    *out = NULL;
    EnvSocket *socket = NULL;
    int error;
    do
        error = env->table->socket_listen(env, host, port, &socket);
    while (error == EINTR); /* E1 */
    if (error != 0)
        return address_error(error, "listening on", host, port, err);
    *out = socket;
    return STATUS_OK;
}

uint16_t env_socket_port(Env *env, const EnvSocket *socket) {
    return env->table->socket_port(env, socket);
}

Status env_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out, Error *err) {
    *out = NULL;
    EnvSocket *socket = NULL;
    int error;
    do
        error = env->table->socket_accept(env, listener, &socket);
    while (error == EINTR || error == ECONNABORTED); /* E1; or the peer was gone before we looked */
    if (error == EAGAIN)
        return STATUS_OK;
    if (error != 0)
        return error_set_os(err, error, "accepting on %s", env->table->socket_name(env, listener));
    *out = socket;
    return STATUS_OK;
}

Status env_socket_receive(Env *env, EnvSocket *socket, void *out, size_t *size, EnvTransfer *what,
                          Error *err) {
    ASSERT(*size > 0);
    size_t done = 0;
    int error;
    do
        error = env->table->socket_receive(env, socket, out, *size, &done);
    while (error == EINTR); /* E1 */
    if (error != 0 && error != EAGAIN)
        return error_set_os(err, error, "receiving from %s", env->table->socket_name(env, socket));
    *what = error == EAGAIN ? ENV_WOULD_BLOCK : done == 0 ? ENV_END : ENV_TRANSFERRED;
    *size = error == EAGAIN ? 0 : done;
    return STATUS_OK;
}

Status env_socket_send(Env *env, EnvSocket *socket, const void *data, size_t *size, EnvTransfer *what,
                       Error *err) {
    ASSERT(*size > 0);
    size_t done = 0;
    int error;
    do
        error = env->table->socket_send(env, socket, data, *size, &done);
    while (error == EINTR); /* E1 */
    if (error == EPIPE) {   /* the peer has closed: for a stream of answers an end like any other */
        *what = ENV_END;
        *size = 0;
        return STATUS_OK;
    }
    if (error != 0 && error != EAGAIN)
        return error_set_os(err, error, "sending to %s", env->table->socket_name(env, socket));
    *what = error == EAGAIN ? ENV_WOULD_BLOCK : ENV_TRANSFERRED;
    *size = error == EAGAIN ? 0 : done;
    return STATUS_OK;
}

void env_socket_close(Env *env, EnvSocket *socket) {
    if (socket)
        env->table->socket_close(env, socket);
}

Status env_poll_create(Env *env, EnvPoll **out, Error *err) {
    *out = NULL;
    EnvPoll *poll = NULL;
    int error = env->table->poll_create(env, &poll);
    if (error != 0)
        return error_set_os(err, error, "making a poll");
    *out = poll;
    return STATUS_OK;
}

Status env_poll_wait(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count, int64_t deadline_us,
                     Error *err) {
    int error;
    do
        error = env->table->poll_wait(env, poll, items, item_count, deadline_us);
    while (error == EINTR); /* E1: the deadline is a moment, not a duration */
    return error == 0 ? STATUS_OK : error_set_os(err, error, "waiting for %zu sockets", item_count);
}

void env_poll_wake(Env *env, EnvPoll *poll) {
    env->table->poll_wake(env, poll);
}

void env_poll_destroy(Env *env, EnvPoll *poll) {
    if (poll)
        env->table->poll_destroy(env, poll);
}

/* ---- threads ---- */

Status env_thread_start(Env *env, const char *name, void (*run)(void *), void *argument, EnvThread **out,
                        Error *err) {
    *out = NULL;
    EnvThread *thread = NULL;
    int error = env->table->thread_start(env, name, run, argument, &thread);
    if (error != 0)
        return error_set_os(err, error, "starting thread %s", name);
    *out = thread;
    return STATUS_OK;
}

void env_thread_join(Env *env, EnvThread *thread) {
    env->table->thread_join(env, thread);
}

bool env_thread_is_current(Env *env, const EnvThread *thread) {
    return env->table->thread_is_current(env, thread);
}

unsigned env_cpu_count(Env *env) {
    return env->table->cpu_count(env);
}

uint64_t env_memory_limit(Env *env) {
    return env->table->memory_limit(env);
}

EnvMutex *env_mutex_create(Env *env) {
    return env->table->mutex_create(env);
}

void env_mutex_destroy(Env *env, EnvMutex *mutex) {
    if (mutex)
        env->table->mutex_destroy(env, mutex);
}

void env_mutex_lock(Env *env, EnvMutex *mutex) {
    env->table->mutex_lock(env, mutex);
}

void env_mutex_unlock(Env *env, EnvMutex *mutex) {
    env->table->mutex_unlock(env, mutex);
}

EnvCond *env_cond_create(Env *env) {
    return env->table->cond_create(env);
}

void env_cond_destroy(Env *env, EnvCond *cond) {
    if (cond)
        env->table->cond_destroy(env, cond);
}

bool env_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us) {
    return env->table->cond_wait(env, cond, mutex, deadline_us);
}

void env_cond_signal(Env *env, EnvCond *cond) {
    env->table->cond_signal(env, cond);
}

void env_cond_broadcast(Env *env, EnvCond *cond) {
    env->table->cond_broadcast(env, cond);
}

/* ---- signals ---- */

Status env_on_stop_signal(Env *env, void (*stopped)(void *self, int signal_number), void *self, Error *err) {
    int error = env->table->on_stop_signal(env, stopped, self);
    return error ? error_set_os(err, error, "watching for SIGINT and SIGTERM") : STATUS_OK;
}

/* ---- helpers ---- */

void env_local_time(Env *env, int64_t wall_us, struct tm *out) {
    (void)env; /* the zone files are not counted: they are read once, whenever libc likes */
    time_t seconds = wall_us / 1000000 - (wall_us % 1000000 < 0);
    tzset();
    if (!localtime_r(&seconds, out))
        gmtime_r(&seconds, out);
}

Status env_read_file(Env *env, const char *path, size_t size_max_bytes, Text *out, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    Text got = {0};
    char buffer[READ_STEP_BYTES];
    TRY_GOTO(done, env_file_open(env, path, ENV_READ, &file, err));
    size_t count;
    do {
        TRY_GOTO(done, env_file_read(env, file, got.size, buffer, sizeof buffer, &count, err));
        if (count > size_max_bytes - got.size) {
            st = error_set(err, STATUS_INVALID, "reading %s: larger than the limit of %zu bytes", path,
                           size_max_bytes);
            goto done;
        }
        text_append(&got, str_slice(buffer, count));
    } while (count == sizeof buffer);
    text_append(out, text_str(&got));
done:
    text_deinit(&got);
    env_file_close(env, file);
    return st;
}

Status env_write_file_atomically(Env *env, const char *path, Str bytes, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    Text name = {0};
    text_appendf(&name, "%s.tmp", path);
    const char *temporary = name.data, *slash = strrchr(path, '/');
    char *directory = slash == path ? xstrdup(STR("/"))
                      : slash       ? xstrdup(str_slice(path, (size_t)(slash - path)))
                                    : xstrdup(STR("."));
    bool is_ours = false; /* the temporary file is there and ours to remove */
    TRY_GOTO(done, env_file_open(env, temporary, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file, err));
    is_ours = true;
    TRY_GOTO(done, env_file_write(env, file, 0, bytes.data, bytes.size, err));
    /* Before the name: a crash must not leave the name on nothing. */
    TRY_GOTO(done, env_file_sync(env, file, err));
    TRY_GOTO(done, env_rename(env, temporary, path, err));
    is_ours = false;
    TRY_GOTO(done, env_sync_directory(env, directory, err));
done:
    env_file_close(env, file);
    if (is_ours) {
        Status ignored = env_remove(env, temporary, NULL); /* the first error is the one to tell */
        (void)ignored;
    }
    free(directory);
    text_deinit(&name);
    return error_context(err, st, "replacing %s", path);
}

char *env_path_join(const char *directory, const char *name) {
    Text path = {0};
    text_append(&path, str_from(directory));
    if (path.size > 0 && path.data[path.size - 1] != '/')
        text_append_byte(&path, '/');
    text_append(&path, str_from(name));
    char *out = xstrdup(text_str(&path));
    text_deinit(&path);
    return out;
}
