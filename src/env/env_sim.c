/* env_sim.c - the simulated machine: its memory, its processes, and the calls that are neither threads nor
 * sockets. Threads are in env_sim_sched.c, the disk in env_sim_disk.c, sockets in env_sim_net.c.
 *
 *   E1  Every entry of the table is sim_call, the work under `lock`, sim_trace of what came of it.
 *   E2  What outlives a process stands in the memory of the world, which lies at the same address in the test
 *       and in all its children; what a process has (handles) is its own.
 */
#include "env/env_sim.h"
#include "env/env_sim_parts.h"

#include "base/memory.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

enum {
    US_PER_S = 1000000,
    WALL_BEGIN_S = 1767225600, /* 2026-01-01 00:00 UTC */
    CALL_COST_US = 3,          /* a call takes less than that */
    CALLS_MAX_DEFAULT = 100000000,
    REAL_SECONDS_MAX = 300, /* a process that makes no calls any more is broken */
};

struct EnvFile {
    SimNode *node;
    unsigned flags;
    bool is_direct;
    char *path;
};

struct EnvDir {
    char *names, *next; /* as sim_disk_names */
    char *path;
};

/* ---- numbers of the seed, the trace ---- */

/* SplitMix64 (Steele, Lea, Flood 2014): random.h would be seen by the thread sanitizer. */
UNSEEN static uint64_t draw(SimWorld *world) {
    uint64_t z = world->random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

UNSEEN uint64_t sim_below(SimEnv *sim, uint64_t bound) {
    return draw(sim->world) % bound; /* a bias of 2^-50 does not matter here */
}

UNSEEN bool sim_chance(SimEnv *sim, uint32_t one_in) {
    return one_in > 0 && sim_below(sim, one_in) == 0;
}

UNSEEN int64_t sim_draw_us(SimEnv *sim, int64_t us_max) {
    return us_max > 0 ? (int64_t)sim_below(sim, (uint64_t)us_max + 1) : 0;
}

UNSEEN void sim_trace(SimEnv *sim, uint64_t detail) {
    uint64_t hash = (sim->world->trace_hash ^ detail) * UINT64_C(0x9e3779b97f4a7c15);
    sim->world->trace_hash = hash ^ (hash >> 29);
}

UNSEEN uint64_t sim_hash(const void *data, size_t size) {
    const unsigned char *bytes = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ size;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

_Noreturn void sim_end_process(SimEnv *sim, int code) {
    sim->world->end_code = code;
    _exit(code);
}

UNSEEN static uint64_t text_hash(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

UNSEEN void sim_call(SimEnv *sim, const char *what, const char *name, uint64_t detail) {
    SimWorld *world = sim->world;
    world->call_count++;
    if (world->call_count - sim->first_call > sim->options.call_count_max) {
        dprintf(STDERR_FILENO, "simulated process: it goes on and on\n");
        sim_end_process(sim, SIM_EXIT_ENDLESS);
    }
    world->now_us += (int64_t)(draw(world) % CALL_COST_US);
    if (sim_chance(sim, sim->options.stall_one_in))
        world->now_us += sim_draw_us(sim, sim->options.stall_us_max);
    sim_trace(sim, text_hash(what) ^ detail);
    sim_trace(sim, text_hash(name) + sim_sched_current(sim));
    if (sim->options.prints_calls)
        dprintf(STDERR_FILENO, "%llu %lld us thread %u %s %s %llx: %llx\n",
                (unsigned long long)world->call_count, (long long)world->now_us, sim_sched_current(sim), what,
                name ? name : "", (unsigned long long)detail, (unsigned long long)world->trace_hash);
    if (sim_chance(sim, sim->options.switch_one_in))
        sim_sched_switch(sim);
}

static void enter(SimEnv *sim, const char *what, const char *name, uint64_t detail) { /* E1 */
    sim_call(sim, what, name, detail);
    pthread_mutex_lock(&sim->lock);
}

static int leave(SimEnv *sim, int error) {
    pthread_mutex_unlock(&sim->lock);
    sim_trace(sim, (uint64_t)(int64_t)error);
    return error;
}

/* ---- time, randomness ---- */

UNSEEN static int64_t sim_monotonic_us(Env *env) {
    SimWorld *world = sim_of(env)->world;
    return world->now_us += (int64_t)(draw(world) % CALL_COST_US); /* whoever waits by looking sees it move */
}

UNSEEN static int64_t sim_wall_us(Env *env) {
    SimWorld *world = sim_of(env)->world;
    return (int64_t)WALL_BEGIN_S * US_PER_S + sim_monotonic_us(env) + world->wall_shift_us;
}

static int sim_random_bytes(Env *env, void *out, size_t size, size_t *done) {
    SimEnv *sim = sim_of(env);
    enter(sim, "random", NULL, size);
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)out)[i] = (unsigned char)sim_below(sim, 256);
    *done = size;
    return leave(sim, 0);
}

/* ---- files ---- */

static int sim_file_open(Env *env, const char *path, unsigned flags, EnvFile **out) {
    SimEnv *sim = sim_of(env);
    SimNode *node = NULL;
    enter(sim, "open", path, flags);
    int error = sim_disk_open(sim->world, path, flags, &node);
    if (error == 0) {
        EnvFile *file = xmalloc(sizeof *file);
        *file = (EnvFile){.node = node,
                          .flags = flags,
                          .is_direct = (flags & ENV_DIRECT) && sim->options.has_direct,
                          .path = xstrdup(str_from(path))};
        *out = file;
        sim->open_count++;
    }
    return leave(sim, error);
}

/* Past the page cache offsets, sizes and memory must be aligned. */
static bool is_aligned(const EnvFile *file, uint64_t offset, const void *memory, size_t size) {
    return !file->is_direct || ((offset | size | (uintptr_t)memory) % SIM_PAGE_SIZE) == 0;
}

static int sim_file_read(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size, size_t *done) {
    SimEnv *sim = sim_of(env);
    enter(sim, "read", file->path, offset ^ size);
    if (!(file->flags & ENV_READ))
        return leave(sim, EBADF);
    if (sim_disk_is_directory(file->node))
        return leave(sim, EISDIR);
    if (!is_aligned(file, offset, out, size))
        return leave(sim, EINVAL);
    *done = sim_disk_read(file->node, offset, out, size);
    sim_trace(sim, sim_hash(out, *done));
    return leave(sim, 0);
}

static int sim_file_write(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size,
                          size_t *done) {
    SimEnv *sim = sim_of(env);
    enter(sim, "write", file->path, offset ^ sim_hash(data, size));
    if (!(file->flags & ENV_WRITE))
        return leave(sim, EBADF);
    if (!is_aligned(file, offset, data, size))
        return leave(sim, EINVAL);
    return leave(sim, sim_disk_write(sim->world, file->node, offset, data, size, done));
}

/* A sync takes a while, in which others go on. */
static int sync_node(SimEnv *sim, SimNode *node, bool fails) {
    uint64_t upto = sim_disk_sync_begin(sim->world, node);
    int64_t end_us = sim->world->now_us + sim_draw_us(sim, sim->options.sync_us_max);
    pthread_mutex_unlock(&sim->lock);
    sim_sched_sleep(sim, end_us);
    pthread_mutex_lock(&sim->lock);
    if (fails) {
        sim_disk_sync_failed(sim->world, node, upto); /* W6 */
        return EIO;
    }
    sim_disk_sync_end(sim->world, node, upto);
    sim->world->sync_count++;
    if (sim->world->sync_count - sim->first_sync == sim->options.end_behind_sync)
        sim_end_process(sim, SIM_EXIT_KILLED);
    return 0;
}

static int sim_file_sync(Env *env, EnvFile *file) {
    SimEnv *sim = sim_of(env);
    enter(sim, "sync", file->path, 0);
    uint64_t number = ++sim->world->file_sync_count - sim->first_file_sync,
             failing = sim->options.failing_sync;
    bool fails = failing > 0 && (number == failing || (number > failing && sim->options.later_syncs_fail));
    return leave(sim, sync_node(sim, file->node, fails));
}

static int sim_file_truncate(Env *env, EnvFile *file, uint64_t size_bytes) {
    SimEnv *sim = sim_of(env);
    enter(sim, "truncate", file->path, size_bytes);
    if (!(file->flags & ENV_WRITE))
        return leave(sim, EINVAL);
    return leave(sim, sim_disk_truncate(sim->world, file->node, size_bytes));
}

static int sim_file_info(Env *env, EnvFile *file, EnvFileInfo *info) {
    SimEnv *sim = sim_of(env);
    enter(sim, "info", file->path, 0);
    *info = sim_disk_info(file->node);
    return leave(sim, 0);
}

static int sim_file_lock(Env *env, EnvFile *file) {
    SimEnv *sim = sim_of(env);
    enter(sim, "lock-file", file->path, 0);
    return leave(sim, sim_disk_lock(file->node, file) ? 0 : EAGAIN);
}

static bool sim_file_is_direct(Env *env, const EnvFile *file) {
    (void)env;
    return file->is_direct;
}

static const char *sim_file_path(Env *env, const EnvFile *file) {
    (void)env;
    return file->path;
}

static void sim_file_close(Env *env, EnvFile *file) {
    SimEnv *sim = sim_of(env);
    enter(sim, "close", file->path, 0);
    sim_disk_unlock(file->node, file);
    sim_disk_release(sim->world, file->node);
    sim->open_count--;
    (void)leave(sim, 0);
    free(file->path);
    free(file);
}

/* ---- names ---- */

static int sim_path_info(Env *env, const char *path, EnvFileInfo *info) {
    SimEnv *sim = sim_of(env);
    SimNode *node = NULL;
    enter(sim, "path-info", path, 0);
    int error = sim_disk_find(sim->world, path, &node);
    if (error == 0)
        *info = sim_disk_info(node);
    return leave(sim, error);
}

static int sim_rename(Env *env, const char *from, const char *to) {
    SimEnv *sim = sim_of(env);
    enter(sim, "rename", from, text_hash(to));
    return leave(sim, sim_disk_rename(sim->world, from, to));
}

static int sim_remove(Env *env, const char *path) {
    SimEnv *sim = sim_of(env);
    enter(sim, "remove", path, 0);
    return leave(sim, sim_disk_remove(sim->world, path));
}

static int sim_make_directory(Env *env, const char *path) {
    SimEnv *sim = sim_of(env);
    enter(sim, "mkdir", path, 0);
    return leave(sim, sim_disk_make_directory(sim->world, path));
}

static int sim_sync_directory(Env *env, const char *path) {
    SimEnv *sim = sim_of(env);
    SimNode *node = NULL;
    enter(sim, "sync-directory", path, 0);
    int error = sim_disk_find(sim->world, path, &node);
    if (error == 0 && !sim_disk_is_directory(node))
        error = ENOTDIR;
    return leave(sim, error != 0 ? error : sync_node(sim, node, false));
}

static int sim_current_directory(Env *env, char **out) {
    (void)env;
    *out = xstrdup(STR("/"));
    return 0;
}

static int sim_dir_open(Env *env, const char *path, EnvDir **out) {
    SimEnv *sim = sim_of(env);
    SimNode *node = NULL;
    enter(sim, "open-dir", path, 0);
    int error = sim_disk_find(sim->world, path, &node);
    if (error == 0 && !sim_disk_is_directory(node))
        error = ENOTDIR;
    if (error == 0) {
        EnvDir *dir = xmalloc(sizeof *dir);
        char *names = sim_disk_names(node);
        *dir = (EnvDir){.names = names, .next = names, .path = xstrdup(str_from(path))};
        *out = dir;
        sim->open_count++;
    }
    return leave(sim, error);
}

static int sim_dir_next(Env *env, EnvDir *dir, const char **name) {
    sim_call(sim_of(env), "next-name", dir->path, 0);
    *name = dir->next[0] ? dir->next : NULL;
    dir->next += strlen(dir->next) + (*name != NULL);
    return 0;
}

static const char *sim_dir_path(Env *env, const EnvDir *dir) {
    (void)env;
    return dir->path;
}

static void sim_dir_close(Env *env, EnvDir *dir) {
    SimEnv *sim = sim_of(env);
    enter(sim, "close-dir", dir->path, 0);
    sim->open_count--;
    (void)leave(sim, 0);
    free(dir->names);
    free(dir->path);
    free(dir);
}

/* ---- standard output and error, the machine, signals ---- */

static int sim_stream_write(Env *env, EnvStream stream, const void *data, size_t size, size_t *done) {
    SimEnv *sim = sim_of(env);
    SimWorld *world = sim->world;
    enter(sim, stream == ENV_STDOUT ? "stdout" : "stderr", NULL, sim_hash(data, size));
    SimText *text = &world->streams[stream - ENV_STDOUT];
    if (size > text->capacity - text->size) {
        size_t capacity = 2 * (text->size + size);
        char *bytes = sim_alloc(world, capacity);
        if (text->size > 0)
            memcpy(bytes, text->data, text->size);
        sim_free(world, text->data, text->capacity);
        text->data = bytes;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    *done = size;
    return leave(sim, 0);
}

static bool sim_stdout_is_terminal(Env *env) {
    (void)env;
    return false;
}

static unsigned sim_cpu_count(Env *env) {
    return sim_of(env)->options.cpu_count;
}

static uint64_t sim_memory_limit(Env *env) {
    return sim_of(env)->options.memory_bytes;
}

static int sim_on_stop_signal(Env *env, void (*stopped)(void *self, int signal_number), void *self) {
    SimEnv *sim = sim_of(env);
    enter(sim, "on-stop-signal", NULL, stopped != NULL);
    if (stopped && sim->stopped)
        return leave(sim, EEXIST);
    sim->stopped = stopped;
    sim->stopped_self = self;
    return leave(sim, 0);
}

void env_sim_signal(Env *env, int signal_number) {
    SimEnv *sim = sim_of(env);
    enter(sim, "signal-process", NULL, (uint64_t)signal_number);
    void (*stopped)(void *self, int number) = sim->stopped;
    void *self = sim->stopped_self;
    sim->stopped = NULL;
    (void)leave(sim, 0);
    if (stopped)
        stopped(self, signal_number);
}

void env_sim_kill(Env *env) {
    sim_end_process(sim_of(env), SIM_EXIT_KILLED);
}

void env_sim_yield(Env *env) {
    sim_call(sim_of(env), "yield", NULL, 0);
}

static const EnvTable sim_table = {
    .wall_us = sim_wall_us,
    .monotonic_us = sim_monotonic_us,
    .random_bytes = sim_random_bytes,
    .file_open = sim_file_open,
    .file_read = sim_file_read,
    .file_write = sim_file_write,
    .file_sync = sim_file_sync,
    .file_truncate = sim_file_truncate,
    .file_info = sim_file_info,
    .file_lock = sim_file_lock,
    .file_is_direct = sim_file_is_direct,
    .file_path = sim_file_path,
    .file_close = sim_file_close,
    .path_info = sim_path_info,
    .rename = sim_rename,
    .remove = sim_remove,
    .make_directory = sim_make_directory,
    .sync_directory = sim_sync_directory,
    .current_directory = sim_current_directory,
    .dir_open = sim_dir_open,
    .dir_next = sim_dir_next,
    .dir_path = sim_dir_path,
    .dir_close = sim_dir_close,
    .stream_write = sim_stream_write,
    .stdout_is_terminal = sim_stdout_is_terminal,
    .socket_connect = sim_socket_connect,
    .socket_finish_connect = sim_socket_finish_connect,
    .socket_is_connected = sim_socket_is_connected,
    .socket_listen = sim_socket_listen,
    .socket_port = sim_socket_port,
    .socket_accept = sim_socket_accept,
    .socket_receive = sim_socket_receive,
    .socket_send = sim_socket_send,
    .socket_name = sim_socket_name,
    .socket_close = sim_socket_close,
    .poll_create = sim_poll_create,
    .poll_wait = sim_poll_wait,
    .poll_wake = sim_poll_wake,
    .poll_destroy = sim_poll_destroy,
    .thread_start = sim_thread_start,
    .thread_join = sim_thread_join,
    .thread_is_current = sim_thread_is_current,
    .cpu_count = sim_cpu_count,
    .memory_limit = sim_memory_limit,
    .mutex_create = sim_mutex_create,
    .mutex_destroy = sim_mutex_destroy,
    .mutex_lock = sim_mutex_lock,
    .mutex_unlock = sim_mutex_unlock,
    .cond_create = sim_cond_create,
    .cond_destroy = sim_cond_destroy,
    .cond_wait = sim_cond_wait,
    .cond_signal = sim_cond_signal,
    .cond_broadcast = sim_cond_broadcast,
    .on_stop_signal = sim_on_stop_signal,
};

/* ---- memory of the world ---- */

static unsigned class_of(size_t size_bytes) {
    unsigned class = 4; /* 16 bytes: a free block holds a pointer */
    while (((size_t)1 << class) < size_bytes)
        class ++;
    ASSERT(class < SIM_CLASS_COUNT);
    return class;
}

/* The test's functions may ask for memory while another thread is within a call: they are one after the other,
 * which the thread sanitizer cannot know. */
static pthread_mutex_t memory_mutex = PTHREAD_MUTEX_INITIALIZER;

void *sim_alloc(SimWorld *world, size_t size_bytes) {
    unsigned class = class_of(size_bytes);
    size_t size = (size_t)1 << class;
    pthread_mutex_lock(&memory_mutex);
    void *block = world->free_blocks[class];
    if (block) {
        memcpy(&world->free_blocks[class], block, sizeof block);
    } else {
        ASSERT(size <= world->reserved_bytes - world->used_bytes);
        block = (char *)world + world->used_bytes;
        world->used_bytes += size;
    }
    pthread_mutex_unlock(&memory_mutex);
    return memset(block, 0, size);
}

void sim_free(SimWorld *world, void *block, size_t size_bytes) {
    if (!block)
        return;
    unsigned class = class_of(size_bytes);
    pthread_mutex_lock(&memory_mutex);
    memcpy(block, &world->free_blocks[class], sizeof block);
    world->free_blocks[class] = block;
    pthread_mutex_unlock(&memory_mutex);
}

void *sim_world_alloc(SimWorld *world, size_t size_bytes) {
    return sim_alloc(world, size_bytes);
}

/* ---- the world ---- */

SimWorld *sim_world_create(size_t size_bytes_max, uint64_t seed) {
    ASSERT(size_bytes_max > sizeof(SimWorld));
    void *memory =
        mmap(NULL, size_bytes_max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(memory != MAP_FAILED);
    SimWorld *world = memory;
    world->reserved_bytes = size_bytes_max;
    sim_world_reset(world, seed);
    return world;
}

void sim_world_destroy(SimWorld *world) {
    if (world)
        munmap(world, world->reserved_bytes);
}

void sim_world_reset(SimWorld *world, uint64_t seed) {
    enum { FIRST_BLOCK = 64 };
    ASSERT(!world->has_process);
    *world = (SimWorld){
        .reserved_bytes = world->reserved_bytes,
        .used_bytes = (sizeof *world + FIRST_BLOCK - 1) / FIRST_BLOCK * FIRST_BLOCK,
        .random_state = seed,
    };
    sim_disk_init(world);
}

int64_t sim_world_now_us(const SimWorld *world) {
    return world->now_us;
}

void sim_world_pass(SimWorld *world, int64_t us) {
    ASSERT(us >= 0);
    world->now_us += us;
}

UNSEEN void sim_world_shift_wall(SimWorld *world, int64_t us) {
    world->wall_shift_us += us;
}

uint64_t sim_world_trace_hash(const SimWorld *world) {
    return world->trace_hash;
}

uint64_t sim_world_call_count(const SimWorld *world) {
    return world->call_count;
}

uint64_t sim_world_sync_count(const SimWorld *world) {
    return world->sync_count;
}

UNSEEN void sim_world_limit_disk(SimWorld *world, uint64_t size_bytes_max) {
    world->disk.limit_pages = size_bytes_max == UINT64_MAX ? UINT64_MAX : size_bytes_max / SIM_PAGE_SIZE;
}

static Str stream_of(const SimWorld *world, EnvStream stream) {
    const SimText *text = &world->streams[stream - ENV_STDOUT];
    return str_slice(text->data ? text->data : "", text->size);
}

Str sim_world_stdout(const SimWorld *world) {
    return stream_of(world, ENV_STDOUT);
}

Str sim_world_stderr(const SimWorld *world) {
    return stream_of(world, ENV_STDERR);
}

void sim_world_clear_streams(SimWorld *world) {
    world->streams[0].size = world->streams[1].size = 0;
}

const char *sim_crash_name(SimCrash crash) {
    static const char *const names[SIM_CRASH_COUNT] = {"none",  "all-lost", "prefix",
                                                       "pages", "sectors",  "zeroed"};
    return names[crash];
}

void sim_world_crash(SimWorld *world, SimCrash crash, Random *random) {
    ASSERT(!world->has_process);
    if (crash != SIM_CRASH_NONE)
        sim_disk_crash(world, crash, random);
}

/* ---- processes ---- */

Env *env_sim_create(SimWorld *world, SimOptions options) {
    ASSERT(!world->has_process);
    sim_disk_forget_handles(world);
    SimEnv *sim = xcalloc(1, sizeof *sim);
    sim->env.table = &sim_table;
    sim->world = world;
    sim->options = options;
    if (options.cpu_count == 0)
        sim->options.cpu_count = 2;
    if (options.memory_bytes == 0)
        sim->options.memory_bytes = UINT64_C(1) << 30;
    if (options.call_count_max == 0)
        sim->options.call_count_max = CALLS_MAX_DEFAULT;
    sim->first_call = world->call_count;
    sim->first_sync = world->sync_count;
    sim->first_file_sync = world->file_sync_count;
    int failed = pthread_mutex_init(&sim->lock, NULL);
    ASSERT(!failed);
    sim_sched_init(sim);
    world->has_process = true;
    return &sim->env;
}

void env_sim_destroy(Env *env) {
    if (!env)
        return;
    SimEnv *sim = sim_of(env);
    ASSERT(!sim->sockets && sim->open_count == 0);
    sim_sched_deinit(sim);
    sim->world->has_process = false;
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

/* One processor: a baton that goes to another one takes five times as long. */
static void stay_on_this_processor(void) {
    cpu_set_t set;
    int cpu = sched_getcpu();
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

SimEnd sim_process_run(SimWorld *world, SimOptions options, int (*program)(Env *env, void *user), void *user,
                       int *exit_code) {
    enum { NOT_ENDED = -1 };
    world->end_code = NOT_ENDED;
    world->has_returned = false;
    fflush(NULL);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(REAL_SECONDS_MAX);
        stay_on_this_processor();
        Env *env = env_sim_create(world, options);
        int code = program(env, user);
        env_sim_destroy(env);
        world->has_returned = true;
        world->end_code = code;
        fflush(NULL);
        _exit(code);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    world->has_process = false;
    int code = world->has_returned ? world->end_code : WIFEXITED(status) ? WEXITSTATUS(status) : status;
    if (exit_code)
        *exit_code = code;
    if (world->has_returned)
        return SIM_RETURNED;
    if (!WIFEXITED(status))
        return SIM_BROKEN;
    if (code == SIM_EXIT_KILLED)
        return SIM_KILLED;
    if (world->end_code == code && code == SIM_EXIT_STUCK)
        return SIM_STUCK;
    return world->end_code == code && code == SIM_EXIT_ENDLESS ? SIM_ENDLESS : SIM_BROKEN;
}

const char *sim_end_name(SimEnd end) {
    static const char *const names[] = {"returned", "killed", "stuck", "endless", "broken"};
    return names[end];
}
