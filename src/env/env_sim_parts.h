/* env_sim_parts.h - what the files of env_sim share: the world, the disk, the scheduler. Their contract is
 * env_sim.h. */
#ifndef LEAT_ENV_ENV_SIM_PARTS_H
#define LEAT_ENV_ENV_SIM_PARTS_H

#include "env/env_sim.h"
#include "env/env_table.h"

#include <pthread.h>

enum {
    SIM_PAGE_SIZE = 4096,
    SIM_SECTOR_SIZE = 512,
    SIM_CLASS_COUNT = 40, /* of the allocator: powers of two */
    /* How a process ends that nobody has planned to end; no program returns these. */
    SIM_EXIT_KILLED = 137,
    SIM_EXIT_STUCK = 241,
    SIM_EXIT_ENDLESS = 242,
};

/* The thread sanitizer does not look: these functions are ordered by the handing over, which it must not see
 * (W7), or it would find every race of the program ordered. They call nothing that it watches. */
#define UNSEEN __attribute__((no_sanitize("thread")))

/* ---- memory of the world (env_sim.c) ---- */
/* Zeroed; a power of two of bytes. */
void *sim_alloc(SimWorld *world, size_t size_bytes);
void sim_free(SimWorld *world, void *block, size_t size_bytes); /* NULL is allowed */

/* ---- the disk (env_sim_disk.c) ---- */
typedef struct SimNode SimNode;

typedef struct SimDisk {
    SimNode *root;
    SimNode *nodes; /* all there are */
    uint64_t next_id;
    uint64_t limit_pages, removed;
} SimDisk;

void sim_disk_init(SimWorld *world);
/* No process holds a handle or a lock any more. */
void sim_disk_forget_handles(SimWorld *world);
void sim_disk_crash(SimWorld *world, SimCrash crash, Random *random);

/* errno or 0. The caller owns a handle on the node: sim_disk_release(). */
int sim_disk_open(SimWorld *world, const char *path, unsigned flags, SimNode **out);
void sim_disk_release(SimWorld *world, SimNode *node);
size_t sim_disk_read(SimNode *node, uint64_t offset, void *out, size_t size);
int sim_disk_write(SimWorld *world, SimNode *node, uint64_t offset, const void *data, size_t size,
                   size_t *done);
int sim_disk_truncate(SimWorld *world, SimNode *node, uint64_t size_bytes);
/* A sync takes its time: what was there at its begin is durable at its end. */
uint64_t sim_disk_sync_begin(SimWorld *world, SimNode *node);
void sim_disk_sync_end(SimWorld *world, SimNode *node, uint64_t upto);
void sim_disk_sync_failed(SimWorld *world, SimNode *node, uint64_t upto); /* W6 */
EnvFileInfo sim_disk_info(const SimNode *node);
/* False: another holder has it. */
bool sim_disk_lock(SimNode *node, const void *holder);
void sim_disk_unlock(SimNode *node, const void *holder);
bool sim_disk_is_directory(const SimNode *node);
/* The node of a path, not retained. */
int sim_disk_find(SimWorld *world, const char *path, SimNode **out);
int sim_disk_rename(SimWorld *world, const char *from, const char *to);
int sim_disk_remove(SimWorld *world, const char *path);
int sim_disk_make_directory(SimWorld *world, const char *path);
/* Names as a list of zero-terminated texts, one after the other; an empty one ends it. free() it. */
char *sim_disk_names(const SimNode *directory);

/* ---- the world ---- */
typedef struct SimText {
    char *data;
    size_t size, capacity;
} SimText;

struct SimWorld {
    size_t reserved_bytes, used_bytes;
    void *free_blocks[SIM_CLASS_COUNT]; /* each begins with a pointer to the next */
    uint64_t random_state;              /* of the environment; a test draws from its own */
    int64_t now_us, wall_shift_us;
    uint64_t trace_hash, call_count, sync_count, file_sync_count;
    SimText streams[2];
    SimDisk disk;
    bool has_process, has_returned;
    int end_code; /* of the last process */
};

/* ---- the environment ---- */
typedef struct SimListener SimListener;

typedef struct SimEnv {
    Env env; /* first: an Env * is a SimEnv * */
    SimWorld *world;
    SimOptions options;
    /* The thread sanitizer sees that disk and sockets are used by one thread at a time. */
    pthread_mutex_t lock;
    uint64_t first_call; /* call_count at the start */
    uint64_t first_sync, first_file_sync;

    EnvThread *threads; /* all that have not been joined, newest first */
    EnvThread *main_thread;
    uint32_t thread_count, started_count;

    uint32_t open_count; /* files, directories and polls */
    EnvSocket *sockets;  /* all that are open */
    uint16_t next_port;
    uint64_t socket_count;

    void (*stopped)(void *self, int signal_number);
    void *stopped_self;
} SimEnv;

static inline SimEnv *sim_of(Env *env) {
    return (SimEnv *)env;
}

/* A call begins: it is counted, time moves, another thread may go on (W1). `detail` enters the trace. */
void sim_call(SimEnv *sim, const char *what, const char *name, uint64_t detail);
/* What a call has given enters the trace. */
void sim_trace(SimEnv *sim, uint64_t detail);
uint64_t sim_hash(const void *data, size_t size);
uint64_t sim_below(SimEnv *sim, uint64_t bound); /* [0, bound); bound > 0 */
/* One of `one_in` times; 0: never. */
bool sim_chance(SimEnv *sim, uint32_t one_in);
int64_t sim_draw_us(SimEnv *sim, int64_t us_max);
_Noreturn void sim_end_process(SimEnv *sim, int code);

/* ---- threads (env_sim_sched.c) ---- */
void sim_sched_init(SimEnv *sim);
void sim_sched_deinit(SimEnv *sim);
void sim_sched_switch(SimEnv *sim); /* another thread may go on, this one stays ready */
void sim_sched_sleep(SimEnv *sim, int64_t deadline_us);
/* Waits in a poll until deadline_us or sim_sched_wake_polls. */
void sim_sched_wait_poll(SimEnv *sim, const void *poll, int64_t deadline_us);
void sim_sched_wake_polls(SimEnv *sim);
uint32_t sim_sched_current(const SimEnv *sim); /* index of the running thread */

int sim_thread_start(Env *env, const char *name, void (*run)(void *), void *argument, EnvThread **out);
void sim_thread_join(Env *env, EnvThread *thread);
bool sim_thread_is_current(Env *env, const EnvThread *thread);
EnvMutex *sim_mutex_create(Env *env);
void sim_mutex_destroy(Env *env, EnvMutex *mutex);
void sim_mutex_lock(Env *env, EnvMutex *mutex);
void sim_mutex_unlock(Env *env, EnvMutex *mutex);
EnvCond *sim_cond_create(Env *env);
void sim_cond_destroy(Env *env, EnvCond *cond);
bool sim_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us);
void sim_cond_signal(Env *env, EnvCond *cond);
void sim_cond_broadcast(Env *env, EnvCond *cond);

/* ---- sockets (env_sim_net.c) ---- */
int sim_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out);
int sim_socket_finish_connect(Env *env, EnvSocket *sock);
bool sim_socket_is_connected(Env *env, const EnvSocket *sock);
int sim_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out);
uint16_t sim_socket_port(Env *env, const EnvSocket *sock);
int sim_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out);
int sim_socket_receive(Env *env, EnvSocket *sock, void *out, size_t size, size_t *done);
int sim_socket_send(Env *env, EnvSocket *sock, const void *data, size_t size, size_t *done);
const char *sim_socket_name(Env *env, const EnvSocket *sock);
void sim_socket_close(Env *env, EnvSocket *sock);
int sim_poll_create(Env *env, EnvPoll **out);
int sim_poll_wait(Env *env, EnvPoll *poll, EnvPollItem *items, size_t item_count, int64_t deadline_us);
void sim_poll_wake(Env *env, EnvPoll *poll);
void sim_poll_destroy(Env *env, EnvPoll *poll);

#endif
