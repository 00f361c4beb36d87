/* env.h - everything the operating system gives, behind one table (D12).
 *
 * No code outside src/env/ asks the operating system for time, files, sockets, randomness or threads. There
 * are three environments: the real one (env_real); the faulty one (env_faulty.h), which wraps another, counts
 * every call and fails, shortens, delays or ends the process at chosen ones; and the simulated one (env_sim.h)
 * with a virtual clock, a disk in memory and threads that pass a baton. So every wait goes through
 * env_cond_wait or env_poll_wait, and every handle is opaque.
 *
 *   - Calls are thin: one call here is one call of the operating system. What was interrupted is made again,
 *     and env_file_read and _write loop over short counts: each turn of such a loop is one counted call.
 *   - Wall time may jump; monotonic time never goes back. Both are microseconds. Waits are on monotonic time.
 *   - Errors name the path or the address; they are IO unless said otherwise here or at error_set_os().
 *   - `env` is borrowed and outlives what it gave. Paths are zero-terminated and copied where they are kept.
 *   - No call raises SIGPIPE, and the process's own disposition of that signal is left alone.
 *
 * Threads  any, unless a handle says otherwise.  Memory  handles abort when there is none.
 */
#ifndef LEAT_ENV_ENV_H
#define LEAT_ENV_ENV_H

#include "base/str.h"

typedef struct Env Env;
typedef struct EnvFile EnvFile;
typedef struct EnvDir EnvDir;
typedef struct EnvSocket EnvSocket;
typedef struct EnvThread EnvThread;
typedef struct EnvMutex EnvMutex;
typedef struct EnvCond EnvCond;

#define ENV_FOREVER INT64_MAX

/* The environment of this process: the operating system. One per process, never destroyed. The first call
 * installs the hooks of log.h and follows two environment variables: LEAT_LOG (log.h), and LEAT_FAULTS, a
 * fault plan (env_faulty.h) that the returned environment then follows; a text that cannot be read ends the
 * process with a message and code 78. Log lines go past the faults and are not counted. It also sets the
 * timer slack of the calling thread, and later of those it starts, to the least there is, so that waits end
 * within some tens of microseconds of their deadline. */
Env *env_real(void);

/* ---- time ---- */
int64_t env_wall_us(Env *env);      /* since 1970-01-01 UTC */
int64_t env_monotonic_us(Env *env); /* since some fixed moment */

/* ---- randomness ---- */
/* Fit for identifiers and secrets. */
CHECKED Status env_random_bytes(Env *env, void *out, size_t size, Error *err);

/* ---- files ---- */
enum {
    ENV_READ = 1,      /* open for reading */
    ENV_WRITE = 2,     /* open for writing */
    ENV_CREATE = 4,    /* create when missing, mode 0600 */
    ENV_EXCLUSIVE = 8, /* with CREATE: EXISTS when it is there */
    ENV_TRUNCATE = 16,
    /* Past the page cache where the file system can; silently not where it cannot. Offsets, sizes and memory
     * must then be multiples of 4096 bytes: env_file_is_direct() tells. */
    ENV_DIRECT = 32,
};

typedef struct EnvFileInfo {
    uint64_t size_bytes;
    int64_t modified_us;        /* wall clock of the file system */
    bool is_file, is_directory; /* symbolic links are followed */
} EnvFileInfo;

/* The caller owns *out: env_file_close(). O_CLOEXEC always. NOT_FOUND, EXISTS, IO. */
CHECKED Status env_file_open(Env *env, const char *path, unsigned flags, EnvFile **out, Error *err);
/* Reads up to `size` bytes at `offset`; *read_bytes < size only at the end of the file. */
CHECKED Status env_file_read(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size,
                             size_t *read_bytes, Error *err);
/* Writes all of `size` bytes or fails; on failure some prefix may have been written. */
CHECKED Status env_file_write(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size,
                              Error *err);
/* Makes data and size durable (fdatasync). After a failure the file must not be trusted:
 * close, reopen, read again. */
CHECKED Status env_file_sync(Env *env, EnvFile *file, Error *err);
CHECKED Status env_file_truncate(Env *env, EnvFile *file, uint64_t size_bytes, Error *err);
CHECKED Status env_file_info(Env *env, EnvFile *file, EnvFileInfo *info, Error *err);
/* An exclusive advisory lock on the whole file, opened for writing, that dies with the process (and with the
 * children it forked meanwhile, which share the handle until they exec). UNAVAILABLE: another process (or
 * another handle of this one) holds it. */
CHECKED Status env_file_lock(Env *env, EnvFile *file, Error *err);
bool env_file_is_direct(Env *env, const EnvFile *file);
const char *env_file_path(Env *env, const EnvFile *file); /* borrowed from the handle */
void env_file_close(Env *env, EnvFile *file);             /* NULL is allowed; gives up the lock */

CHECKED Status env_path_info(Env *env, const char *path, EnvFileInfo *info, Error *err);
CHECKED Status env_rename(Env *env, const char *from, const char *to, Error *err);
CHECKED Status env_remove(Env *env, const char *path, Error *err); /* a file or an empty directory */
/* Mode 0700; EXISTS when there is anything. */
CHECKED Status env_make_directory(Env *env, const char *path, Error *err);
/* Makes created, renamed and removed names durable. */
CHECKED Status env_sync_directory(Env *env, const char *path, Error *err);

/* The caller owns *out: env_dir_close(). The order is the file system's. */
CHECKED Status env_dir_open(Env *env, const char *path, EnvDir **out, Error *err);
/* *name: zero-terminated, borrowed until the next call; NULL at the end. Never "." or "..". */
CHECKED Status env_dir_next(Env *env, EnvDir *dir, const char **name, Error *err);
void env_dir_close(Env *env, EnvDir *dir);
/* `path` made absolute against the current directory, without "." and empty steps; ".." and symbolic links
 * stay. It need not exist. free() *out. */
CHECKED Status env_absolute_path(Env *env, const char *path, char **out, Error *err);

/* The process's standard output and error as streams without offsets: writes all of `bytes`. Not counted as
 * protocol calls of a checkpoint but counted by the faulty environment like any other. A closed pipe is IO,
 * never SIGPIPE. Blocks while the reader is slow. */
CHECKED Status env_write_stdout(Env *env, Str bytes, Error *err);
CHECKED Status env_write_stderr(Env *env, Str bytes, Error *err);
bool env_stdout_is_terminal(Env *env);

/* ---- sockets (TCP streams) ---- */
/* Begins to connect to host (name or address; names are resolved here, which may block) and port (number or
 * service name); the socket does not block. The caller owns *out. Poll it for writing, then
 * env_socket_finish_connect(), until env_socket_is_connected(). UNAVAILABLE: refused, unreachable, no such
 * host (it may come), INVALID: not a port. */
CHECKED Status env_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out, Error *err);
/* OK: connected; or the name has more addresses (localhost is ::1 and 127.0.0.1), this one refused and the
 * next is being tried, or it was too early to ask: then it is not connected yet and wants to be polled again.
 * An error: every address refused; the socket is only good for closing. */
CHECKED Status env_socket_finish_connect(Env *env, EnvSocket *socket, Error *err);
bool env_socket_is_connected(Env *env, const EnvSocket *socket);
/* Listens on host:port ("0": the system chooses; env_socket_port tells). */
CHECKED Status env_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out, Error *err);
uint16_t env_socket_port(Env *env, const EnvSocket *socket);
/* *out NULL with STATUS_OK: nobody is waiting. */
CHECKED Status env_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out, Error *err);

typedef enum EnvTransfer { ENV_TRANSFERRED, ENV_WOULD_BLOCK, ENV_END } EnvTransfer;
/* One recv. *size: in room (more than 0), out bytes received. ENV_END: the peer has closed. UNAVAILABLE: the
 * connection is broken. */
CHECKED Status env_socket_receive(Env *env, EnvSocket *socket, void *out, size_t *size, EnvTransfer *what,
                                  Error *err);
/* One send. *size: in bytes to send (more than 0), out bytes taken. ENV_END: the peer has closed. */
CHECKED Status env_socket_send(Env *env, EnvSocket *socket, const void *data, size_t *size, EnvTransfer *what,
                               Error *err);
void env_socket_close(Env *env, EnvSocket *socket); /* NULL is allowed */

/* Waits for sockets and for wakes. One thread polls a given EnvPoll; any thread may wake it. */
typedef struct EnvPoll EnvPoll;
typedef struct EnvPollItem {
    EnvSocket *socket;
    bool want_read, want_write; /* in; an item that wants nothing, or has no socket, is passed over */
    bool can_read, can_write;   /* out; a broken or closed connection is both */
} EnvPollItem;

CHECKED Status env_poll_create(Env *env, EnvPoll **out, Error *err);
/* Returns when an item is ready, env_poll_wake was called since the last return, or monotonic time reaches
 * deadline_us (ENV_FOREVER: never). */
CHECKED Status env_poll_wait(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count,
                             int64_t deadline_us, Error *err);
void env_poll_wake(Env *env, EnvPoll *poll);
void env_poll_destroy(Env *env, EnvPoll *poll);

/* ---- threads ---- */
/* The caller owns *out: env_thread_join() exactly once. `name`: static text, at most 15 bytes are shown. It
 * does not take SIGINT, SIGTERM and SIGHUP: those go to the threads of the program. */
CHECKED Status env_thread_start(Env *env, const char *name, void (*run)(void *), void *argument,
                                EnvThread **out, Error *err);
void env_thread_join(Env *env, EnvThread *thread); /* waits for its end; the handle is gone then */
bool env_thread_is_current(Env *env, const EnvThread *thread);
unsigned env_cpu_count(Env *env);    /* usable by this process (affinity, control group), at least 1 */
uint64_t env_memory_limit(Env *env); /* bytes: the smaller of the machine's and the control group's */

EnvMutex *env_mutex_create(Env *env);
void env_mutex_destroy(Env *env, EnvMutex *mutex);
void env_mutex_lock(Env *env, EnvMutex *mutex);
void env_mutex_unlock(Env *env, EnvMutex *mutex);

EnvCond *env_cond_create(Env *env);
void env_cond_destroy(Env *env, EnvCond *cond);
/* Gives up the mutex, waits for a signal or for monotonic time deadline_us, takes the mutex again. False: the
 * deadline passed. May wake without a cause. */
bool env_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us);
void env_cond_signal(Env *env, EnvCond *cond);    /* wakes at least one waiter */
void env_cond_broadcast(Env *env, EnvCond *cond); /* wakes all */

/* ---- signals ---- */
/* Calls `stopped(self, number)` once, on a thread of its own, when the process gets SIGINT or SIGTERM; a
 * second signal then does what it does by default (it ends the process). NULL takes this back, waits for a
 * call that is running, and puts back what was there before. One receiver per process: EXISTS when there is
 * one.  Threads  one at a time, never from `stopped`. */
CHECKED Status env_on_stop_signal(Env *env, void (*stopped)(void *self, int signal_number), void *self,
                                  Error *err);

/* ---- helpers over the table ---- */
struct tm;
/* Local time by TZ and the machine's zone files, without fractions; UTC when it has none. Floors. */
void env_local_time(Env *env, int64_t wall_us, struct tm *out);
/* Whole small files. *out is appended to, unchanged on failure. Over size_max_bytes: INVALID. */
CHECKED Status env_read_file(Env *env, const char *path, size_t size_max_bytes, Text *out, Error *err);
/* All or nothing across a crash: temporary name (`path`.tmp), write, sync, rename, sync the directory. The
 * one way to replace a file; one writer of a path at a time. After a failure the file holds the old or the
 * new bytes; a crash may leave `path`.tmp behind, which the next replacement overwrites. */
CHECKED Status env_write_file_atomically(Env *env, const char *path, Str bytes, Error *err);
/* "a/b" from "a" and "b"; free() it. */
char *env_path_join(const char *directory, const char *name);

/* The table itself, for those who implement an environment. Every function above calls the
 * one of its name here. */
typedef struct EnvTable EnvTable; /* env_table.h */
struct Env {
    const EnvTable *table;
};

#endif
