/* env_table.h - what an environment implements. Included by environments and by env.c only.
 *
 * Every entry is one call of the operating system and says how it went as an errno value (0: done), so that
 * an environment that fails on purpose needs no messages of its own: env.c turns the errno into Status and
 * Error, retries what was interrupted, and loops over short counts.
 *
 *   I1  After a result other than 0 nothing was taken or given; *out and *done are not read.
 *   I2  A transfer moves at least one byte of a request that is not empty, or nothing at the end of a file or
 *       of a connection; *done tells how many.
 *   I3  Entries without a result cannot fail.
 *
 * Meaning, ownership and threads are those of the function of the same name in env.h.
 */
#ifndef LEAT_ENV_ENV_TABLE_H
#define LEAT_ENV_ENV_TABLE_H

#include "env/env.h"

/* Results that errno has no word for; only socket_connect and socket_listen give them. */
enum {
    ENV_NO_SUCH_HOST = -1,
    ENV_NO_SUCH_PORT = -2,
};

typedef enum EnvStream { ENV_STDOUT = 1, ENV_STDERR = 2 } EnvStream;

struct EnvTable {
    int64_t (*wall_us)(Env *env);
    int64_t (*monotonic_us)(Env *env);

    int (*random_bytes)(Env *env, void *out, size_t size, size_t *done);

    int (*file_open)(Env *env, const char *path, unsigned flags, EnvFile **out);
    int (*file_read)(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size, size_t *done);
    int (*file_write)(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size, size_t *done);
    int (*file_sync)(Env *env, EnvFile *file);
    int (*file_truncate)(Env *env, EnvFile *file, uint64_t size_bytes);
    int (*file_info)(Env *env, EnvFile *file, EnvFileInfo *info);
    int (*file_lock)(Env *env, EnvFile *file); /* EAGAIN: somebody else holds it */
    bool (*file_is_direct)(Env *env, const EnvFile *file);
    const char *(*file_path)(Env *env, const EnvFile *file);
    void (*file_close)(Env *env, EnvFile *file); /* never NULL */

    int (*path_info)(Env *env, const char *path, EnvFileInfo *info);
    int (*rename)(Env *env, const char *from, const char *to);
    int (*remove)(Env *env, const char *path);
    int (*make_directory)(Env *env, const char *path);
    int (*sync_directory)(Env *env, const char *path);
    int (*current_directory)(Env *env, char **out); /* the caller frees *out */

    int (*dir_open)(Env *env, const char *path, EnvDir **out);
    int (*dir_next)(Env *env, EnvDir *dir, const char **name);
    const char *(*dir_path)(Env *env, const EnvDir *dir);
    void (*dir_close)(Env *env, EnvDir *dir); /* never NULL */

    int (*stream_write)(Env *env, EnvStream stream, const void *data, size_t size, size_t *done);
    bool (*stdout_is_terminal)(Env *env);

    int (*socket_connect)(Env *env, const char *host, const char *port, EnvSocket **out);
    /* 0 also when it goes on with the next address. */
    int (*socket_finish_connect)(Env *env, EnvSocket *socket);
    bool (*socket_is_connected)(Env *env, const EnvSocket *socket);
    int (*socket_listen)(Env *env, const char *host, const char *port, EnvSocket **out);
    uint16_t (*socket_port)(Env *env, const EnvSocket *socket);
    int (*socket_accept)(Env *env, EnvSocket *listener, EnvSocket **out); /* EAGAIN: nobody is waiting */
    /* EAGAIN: it would block. Received nothing of a request that is not empty: the peer has closed. */
    int (*socket_receive)(Env *env, EnvSocket *socket, void *out, size_t size, size_t *done);
    int (*socket_send)(Env *env, EnvSocket *socket, const void *data, size_t size, size_t *done);
    const char *(*socket_name)(Env *env, const EnvSocket *socket); /* "host:port", borrowed from the handle */
    void (*socket_close)(Env *env, EnvSocket *socket);             /* never NULL */

    int (*poll_create)(Env *env, EnvPoll **out);
    int (*poll_wait)(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count, int64_t deadline_us);
    void (*poll_wake)(Env *env, EnvPoll *poll);
    void (*poll_destroy)(Env *env, EnvPoll *poll); /* never NULL */

    int (*thread_start)(Env *env, const char *name, void (*run)(void *), void *argument, EnvThread **out);
    void (*thread_join)(Env *env, EnvThread *thread);
    bool (*thread_is_current)(Env *env, const EnvThread *thread);
    unsigned (*cpu_count)(Env *env);
    uint64_t (*memory_limit)(Env *env);

    EnvMutex *(*mutex_create)(Env *env);
    void (*mutex_destroy)(Env *env, EnvMutex *mutex);
    void (*mutex_lock)(Env *env, EnvMutex *mutex);
    void (*mutex_unlock)(Env *env, EnvMutex *mutex);
    EnvCond *(*cond_create)(Env *env);
    void (*cond_destroy)(Env *env, EnvCond *cond);
    bool (*cond_wait)(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us);
    void (*cond_signal)(Env *env, EnvCond *cond);
    void (*cond_broadcast)(Env *env, EnvCond *cond);

    int (*on_stop_signal)(Env *env, void (*stopped)(void *self, int signal_number), void *self); /* EEXIST */
};

#endif
