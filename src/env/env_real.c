/* env_real.c - the environment of this process: the operating system.
 *
 *   R1  Every descriptor is close-on-exec; sockets never block.
 *   R2  A wait ends at its deadline, not a thousandth of the duration later: ppoll and select let the kernel
 *       be late by 0.1 % of the timeout, so a poll's deadline is a timerfd in its set; futex waits are late
 *       by the thread's timer slack (50 us unless set), so every thread here runs with the least there is.
 *   R3  A connecting socket keeps the addresses its name stands for and goes to the next when one refuses.
 *
 *       connect --> CONNECTING --finish_connect: accepted--> CONNECTED
 *                    ^      |
 *                    +------+ finish_connect: refused, there is another address (next_address)
 *
 *   R4  Signals that end or steer a program (INT, TERM, HUP) reach the threads that the program's author
 *       started, never ours: ours block them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECT, F_OFD_SETLK, accept4, ppoll, pthread_setname_np */
#endif
#include "env/env_faulty.h"
#include "env/env_limits.h"
#include "env/env_real.h"
#include "env/env_table.h"

#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    US_PER_S = 1000000,
    NS_PER_US = 1000,
    LISTEN_BACKLOG = 128,
    THREAD_NAME_SIZE = 16, /* with the zero byte: the kernel's limit */
    EXIT_CONFIG = 78,
};

struct EnvFile {
    int fd;
    bool is_direct;
    char *path;
};

struct EnvDir {
    DIR *stream;
    char *path;
};

typedef struct Address {
    struct sockaddr_storage bytes;
    socklen_t size;
} Address;

struct EnvSocket {
    int fd; /* -1 only while env_real_connect_to makes it */
    bool is_connected;
    uint16_t port; /* of a listener */
    char *name;    /* "host:port" for messages */
    /* R3: of a connecting socket; [next, address_count) were not tried yet. */
    Address *addresses;
    size_t address_count, next;
};

struct EnvPoll {
    int wake_fd, timer_fd;
    int64_t armed_us;   /* the deadline timer_fd is set to; ENV_FOREVER: none */
    struct pollfd *fds; /* [0] wake, [1] timer, then the items */
    size_t capacity;
};

struct EnvThread {
    pthread_t thread;
    const char *name;
    void (*run)(void *);
    void *argument;
};

struct EnvMutex {
    pthread_mutex_t mutex;
};

struct EnvCond {
    pthread_cond_t cond;
};

static int result_of(int returned) {
    return returned < 0 ? errno : 0;
}

/* A program may be started without standard streams. What is opened then must not get their numbers, or the
 * next print goes into a log. */
static int above_standard(int fd) {
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), failure = errno;
    close(fd);
    errno = failure;
    return moved;
}

/* ---- time, randomness ---- */

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    int failed = clock_gettime(clock, &now);
    ASSERT(!failed);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US;
}

static struct timespec timespec_of(int64_t us) {
    ASSERT(us >= 0);
    return (struct timespec){.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * NS_PER_US};
}

static int64_t real_wall_us(Env *env) {
    (void)env;
    return clock_us(CLOCK_REALTIME);
}

static int64_t real_monotonic_us(Env *env) {
    (void)env;
    return clock_us(CLOCK_MONOTONIC);
}

static int real_random_bytes(Env *env, void *out, size_t size, size_t *done) {
    (void)env;
    ssize_t count = getrandom(out, size, 0);
    if (count < 0)
        return errno;
    *done = (size_t)count;
    return 0;
}

/* ---- files ---- */

static int real_file_open(Env *env, const char *path, unsigned flags, EnvFile **out) {
    (void)env;
    int mode = flags & ENV_WRITE ? (flags & ENV_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
    mode |= O_CLOEXEC | (flags & ENV_CREATE ? O_CREAT : 0) | (flags & ENV_EXCLUSIVE ? O_EXCL : 0) |
            (flags & ENV_TRUNCATE ? O_TRUNC : 0);
    int fd = above_standard(open(path, mode, 0600));
    if (fd < 0)
        return errno;
    /* Afterwards, not in open(): there some kernels make the file before they find that they cannot. */
    bool is_direct = (flags & ENV_DIRECT) != 0 && fcntl(fd, F_SETFL, O_DIRECT) == 0;
    EnvFile *file = xmalloc(sizeof *file);
    *file = (EnvFile){.fd = fd, .is_direct = is_direct, .path = xstrdup(str_from(path))};
    *out = file;
    return 0;
}

static int real_file_read(Env *env, EnvFile *file, uint64_t offset, void *out, size_t size, size_t *done) {
    (void)env;
    ssize_t count = pread(file->fd, out, size, (off_t)offset);
    if (count < 0)
        return errno;
    *done = (size_t)count;
    return 0;
}

static int real_file_write(Env *env, EnvFile *file, uint64_t offset, const void *data, size_t size,
                           size_t *done) {
    (void)env;
    ssize_t count = pwrite(file->fd, data, size, (off_t)offset);
    if (count < 0)
        return errno;
    *done = (size_t)count;
    return 0;
}

static int real_file_sync(Env *env, EnvFile *file) {
    (void)env;
    return result_of(fdatasync(file->fd));
}

static int real_file_truncate(Env *env, EnvFile *file, uint64_t size_bytes) {
    (void)env;
    return result_of(ftruncate(file->fd, (off_t)size_bytes));
}

static EnvFileInfo info_of(const struct stat *info) {
    return (EnvFileInfo){
        .size_bytes = (uint64_t)info->st_size,
        .modified_us = (int64_t)info->st_mtim.tv_sec * US_PER_S + info->st_mtim.tv_nsec / NS_PER_US,
        .is_file = S_ISREG(info->st_mode),
        .is_directory = S_ISDIR(info->st_mode),
    };
}

static int real_file_info(Env *env, EnvFile *file, EnvFileInfo *info) {
    (void)env;
    struct stat got;
    if (fstat(file->fd, &got) != 0)
        return errno;
    *info = info_of(&got);
    return 0;
}

/* A lock of the open file, not of the process: a second handle of this process is refused too, and closing
 * another handle of the file does not give it up. */
static int real_file_lock(Env *env, EnvFile *file) {
    (void)env;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    return result_of(fcntl(file->fd, F_OFD_SETLK, &whole));
}

static bool real_file_is_direct(Env *env, const EnvFile *file) {
    (void)env;
    return file->is_direct;
}

static const char *real_file_path(Env *env, const EnvFile *file) {
    (void)env;
    return file->path;
}

static void real_file_close(Env *env, EnvFile *file) {
    (void)env;
    close(file->fd); /* what had to be durable was synced; there is nothing to do about an error here */
    free(file->path);
    free(file);
}

/* ---- names ---- */

static int real_path_info(Env *env, const char *path, EnvFileInfo *info) {
    (void)env;
    struct stat got;
    if (stat(path, &got) != 0)
        return errno;
    *info = info_of(&got);
    return 0;
}

static int real_rename(Env *env, const char *from, const char *to) {
    (void)env;
    return result_of(rename(from, to));
}

static int real_remove(Env *env, const char *path) {
    (void)env;
    return result_of(remove(path));
}

static int real_make_directory(Env *env, const char *path) {
    (void)env;
    return result_of(mkdir(path, 0700));
}

static int real_sync_directory(Env *env, const char *path) {
    (void)env;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = result_of(fsync(fd));
    close(fd);
    return error;
}

static int real_current_directory(Env *env, char **out) {
    (void)env;
    char *path = getcwd(NULL, 0);
    if (!path)
        return errno;
    *out = path;
    return 0;
}

static int real_dir_open(Env *env, const char *path, EnvDir **out) {
    (void)env;
    DIR *stream = opendir(path);
    if (!stream)
        return errno;
    EnvDir *dir = xmalloc(sizeof *dir);
    *dir = (EnvDir){.stream = stream, .path = xstrdup(str_from(path))};
    *out = dir;
    return 0;
}

static int real_dir_next(Env *env, EnvDir *dir, const char **name) {
    (void)env;
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dir->stream);
        if (!entry && errno != 0)
            return errno;
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    *name = entry ? entry->d_name : NULL;
    return 0;
}

static const char *real_dir_path(Env *env, const EnvDir *dir) {
    (void)env;
    return dir->path;
}

static void real_dir_close(Env *env, EnvDir *dir) {
    (void)env;
    closedir(dir->stream);
    free(dir->path);
    free(dir);
}

/* ---- standard output and error ---- */

/* A pipe has no MSG_NOSIGNAL, and whether SIGPIPE ends the program is its author's choice, not a library's:
 * so the signal is held back for this call and, if this call raised it, taken away again. */
static int real_stream_write(Env *env, EnvStream stream, const void *data, size_t size, size_t *done) {
    (void)env;
    int fd = stream == ENV_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    sigset_t pipe_signal, old_mask, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old_mask);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;

    ssize_t count = write(fd, data, size);
    int error = count < 0 ? errno : 0;

    if (error == EPIPE && !was_pending) {
        const struct timespec now = {0};
        while (sigtimedwait(&pipe_signal, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    if (error == EAGAIN) {
        /* Somebody we share the terminal or the pipe with has made it non-blocking: wait
         * as a blocking one would. */
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        return ppoll(&writable, 1, NULL, NULL) < 0 ? errno : EINTR;
    }
    if (error == 0)
        *done = (size_t)count;
    return error;
}

static bool real_stdout_is_terminal(Env *env) {
    (void)env;
    return isatty(STDOUT_FILENO) == 1;
}

/* ---- sockets ---- */

static char *address_name(const char *host, const char *port) {
    Text text = {0};
    text_appendf(&text, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    char *name = xstrdup(text_str(&text));
    text_deinit(&text);
    return name;
}

static int resolve(const char *host, const char *port, int flags, struct addrinfo **out) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    /* glibc takes "99999" and "-1" for port numbers and cuts them to 16 bits. */
    int64_t number;
    if (port[0] == '\0' || (str_parse_i64(str_from(port), &number) && (number < 0 || number > UINT16_MAX)))
        return ENV_NO_SUCH_PORT;
    int error = getaddrinfo(host, port, &hints, out);
    switch (error) {
    case 0:
        return 0;
    case EAI_SYSTEM:
        return errno;
    case EAI_MEMORY:
        return ENOMEM;
    case EAI_SERVICE:
        return ENV_NO_SUCH_PORT;
    default:
        return ENV_NO_SUCH_HOST;
    }
}

/* Begins with the next address that does not refuse at once; `error` is what to tell when
 * there is none left. R3 */
static int next_address(EnvSocket *sock, int error) {
    while (sock->next < sock->address_count) {
        const Address *address = &sock->addresses[sock->next++];
        int fd =
            above_standard(socket(address->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (fd < 0) {
            error = errno;
            continue;
        }
        int begun = connect(fd, (const struct sockaddr *)&address->bytes, address->size);
        if (begun == 0 || errno == EINPROGRESS || errno == EINTR) { /* interrupted: it goes on by itself */
            if (sock->fd >= 0)
                close(sock->fd);
            sock->fd = fd;
            return 0;
        }
        error = errno;
        close(fd);
    }
    return error;
}

static void real_socket_close(Env *env, EnvSocket *sock) {
    (void)env;
    if (sock->fd >= 0)
        close(sock->fd);
    free(sock->addresses);
    free(sock->name);
    free(sock);
}

int env_real_connect_to(const struct addrinfo *addresses, const char *name, EnvSocket **out) {
    EnvSocket *sock = xmalloc(sizeof *sock);
    *sock = (EnvSocket){.fd = -1, .name = xstrdup(str_from(name))};
    size_t count = 0;
    for (const struct addrinfo *from = addresses; from; from = from->ai_next)
        count++;
    sock->addresses = xcalloc(count, sizeof sock->addresses[0]);
    for (const struct addrinfo *from = addresses; from; from = from->ai_next) {
        Address *to = &sock->addresses[sock->address_count++];
        ASSERT(from->ai_addrlen <= sizeof to->bytes);
        memcpy(&to->bytes, from->ai_addr, from->ai_addrlen);
        to->size = from->ai_addrlen;
    }
    int error = next_address(sock, EADDRNOTAVAIL);
    if (error != 0) {
        real_socket_close(NULL, sock);
        return error;
    }
    *out = sock;
    return 0;
}

static int real_socket_connect(Env *env, const char *host, const char *port, EnvSocket **out) {
    (void)env;
    struct addrinfo *addresses = NULL;
    int error = resolve(host, port, 0, &addresses);
    if (error != 0)
        return error;
    char *name = address_name(host, port);
    error = env_real_connect_to(addresses, name, out);
    free(name);
    freeaddrinfo(addresses);
    return error;
}

static int real_socket_finish_connect(Env *env, EnvSocket *sock) {
    (void)env;
    if (sock->is_connected)
        return 0;
    struct pollfd writable = {.fd = sock->fd, .events = POLLOUT};
    int ready = poll(&writable, 1, 0);
    if (ready <= 0)
        return result_of(ready); /* too early: still connecting */
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error != 0)
        return next_address(sock, error);
    sock->is_connected = true;
    free(sock->addresses);
    sock->addresses = NULL;
    sock->address_count = sock->next = 0;
    return 0;
}

static bool real_socket_is_connected(Env *env, const EnvSocket *sock) {
    (void)env;
    return sock->is_connected;
}

static int listen_at(const struct addrinfo *address, int *out) {
    int fd = above_standard(
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol));
    if (fd < 0)
        return errno;
    const int on = 1; /* a restarted program gets its port back while old connections linger */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int error = errno;
        close(fd);
        return error;
    }
    *out = fd;
    return 0;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : 0;
}

static int real_socket_listen(Env *env, const char *host, const char *port, EnvSocket **out) {
    (void)env;
    struct addrinfo *addresses = NULL;
    int error = resolve(host, port, AI_PASSIVE, &addresses);
    if (error != 0)
        return error;
    int fd = -1;
    error = EADDRNOTAVAIL;
    for (const struct addrinfo *address = addresses; address && error != 0; address = address->ai_next)
        error = listen_at(address, &fd);
    freeaddrinfo(addresses);
    if (error != 0)
        return error;
    EnvSocket *sock = xmalloc(sizeof *sock);
    *sock = (EnvSocket){.fd = fd, .port = port_of(fd)};
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)sock->port);
    sock->name = address_name(host, number);
    *out = sock;
    return 0;
}

static uint16_t real_socket_port(Env *env, const EnvSocket *sock) {
    (void)env;
    return sock->port;
}

static int real_socket_accept(Env *env, EnvSocket *listener, EnvSocket **out) {
    (void)env;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int fd = above_standard(
        accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd < 0)
        return errno == EWOULDBLOCK ? EAGAIN : errno;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(host, sizeof host, "peer");
        snprintf(port, sizeof port, "?");
    }
    EnvSocket *sock = xmalloc(sizeof *sock);
    *sock = (EnvSocket){.fd = fd, .is_connected = true, .name = address_name(host, port)};
    *out = sock;
    return 0;
}

static int real_socket_receive(Env *env, EnvSocket *sock, void *out, size_t size, size_t *done) {
    (void)env;
    ssize_t count = recv(sock->fd, out, size, 0);
    if (count < 0)
        return errno == EWOULDBLOCK ? EAGAIN : errno;
    *done = (size_t)count;
    return 0;
}

static int real_socket_send(Env *env, EnvSocket *sock, const void *data, size_t size, size_t *done) {
    (void)env;
    ssize_t count = send(sock->fd, data, size, MSG_NOSIGNAL);
    if (count < 0)
        return errno == EWOULDBLOCK ? EAGAIN : errno;
    *done = (size_t)count;
    return 0;
}

static const char *real_socket_name(Env *env, const EnvSocket *sock) {
    (void)env;
    return sock->name;
}

/* ---- polls ---- */

static void real_poll_destroy(Env *env, EnvPoll *poll_set) {
    (void)env;
    close(poll_set->wake_fd);
    close(poll_set->timer_fd);
    free(poll_set->fds);
    free(poll_set);
}

static int real_poll_create(Env *env, EnvPoll **out) {
    (void)env;
    int wake_fd = above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake_fd < 0)
        return errno;
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer_fd < 0) {
        int error = errno;
        close(wake_fd);
        return error;
    }
    EnvPoll *poll_set = xmalloc(sizeof *poll_set);
    *poll_set = (EnvPoll){.wake_fd = wake_fd, .timer_fd = timer_fd, .armed_us = ENV_FOREVER};
    *out = poll_set;
    return 0;
}

static int real_poll_wait(Env *env, EnvPoll *poll_set, EnvPollItem *items, size_t item_count,
                          int64_t deadline_us) {
    enum { WAKE, TIMER, FIRST_ITEM };
    if (FIRST_ITEM + item_count > poll_set->capacity) {
        poll_set->capacity = 2 * (FIRST_ITEM + item_count);
        poll_set->fds = xrealloc(poll_set->fds, poll_set->capacity * sizeof *poll_set->fds);
    }
    bool has_passed = deadline_us <= real_monotonic_us(env);
    bool has_timer = !has_passed && deadline_us != ENV_FOREVER;
    if (has_timer && deadline_us != poll_set->armed_us) { /* R2 */
        const struct itimerspec when = {.it_value = timespec_of(deadline_us)};
        if (timerfd_settime(poll_set->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
            return errno;
        poll_set->armed_us = deadline_us;
    }
    struct pollfd *fds = poll_set->fds; /* a negative descriptor is passed over */
    fds[WAKE] = (struct pollfd){.fd = poll_set->wake_fd, .events = POLLIN};
    fds[TIMER] = (struct pollfd){.fd = has_timer ? poll_set->timer_fd : -1, .events = POLLIN};
    for (size_t i = 0; i < item_count; i++) {
        bool is_wanted = items[i].socket && (items[i].want_read || items[i].want_write);
        fds[FIRST_ITEM + i] = (struct pollfd){
            .fd = is_wanted ? items[i].socket->fd : -1,
            .events = (short)((items[i].want_read ? POLLIN : 0) | (items[i].want_write ? POLLOUT : 0)),
        };
    }
    const struct timespec at_once = {0};
    if (ppoll(fds, FIRST_ITEM + item_count, has_passed ? &at_once : NULL, NULL) < 0)
        return errno;
    if (fds[WAKE].revents != 0) {
        uint64_t wakes;
        ssize_t ignored = read(poll_set->wake_fd, &wakes, sizeof wakes); /* back to zero, or it was zero */
        (void)ignored;
    }
    for (size_t i = 0; i < item_count; i++) {
        short got = fds[FIRST_ITEM + i].revents;
        bool is_broken = (got & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        items[i].can_read = is_broken || (got & POLLIN) != 0;
        items[i].can_write = is_broken || (got & POLLOUT) != 0;
    }
    return 0;
}

static void real_poll_wake(Env *env, EnvPoll *poll_set) {
    (void)env;
    const uint64_t one = 1;
    ssize_t ignored = write(poll_set->wake_fd, &one, sizeof one); /* full: it is awake as can be */
    (void)ignored;
}

/* ---- threads ---- */

static _Thread_local const EnvThread *current_thread;

static void least_timer_slack(void) {
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* R2; of the calling thread, in ns */
}

static void *thread_main(void *argument) {
    EnvThread *thread = argument;
    current_thread = thread;
    least_timer_slack();
    char name[THREAD_NAME_SIZE];
    snprintf(name, sizeof name, "%s", thread->name);
    pthread_setname_np(pthread_self(), name);
    thread->run(thread->argument);
    return NULL;
}

static int real_thread_start(Env *env, const char *name, void (*run)(void *), void *argument,
                             EnvThread **out) {
    (void)env;
    EnvThread *thread = xmalloc(sizeof *thread);
    *thread = (EnvThread){.name = name, .run = run, .argument = argument};
    sigset_t not_ours, old_mask; /* R4; a thread begins with the mask of the one that starts it */
    sigemptyset(&not_ours);
    sigaddset(&not_ours, SIGINT);
    sigaddset(&not_ours, SIGTERM);
    sigaddset(&not_ours, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &not_ours, &old_mask);
    int error = pthread_create(&thread->thread, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    if (error != 0) {
        free(thread);
        return error;
    }
    *out = thread;
    return 0;
}

static void real_thread_join(Env *env, EnvThread *thread) {
    (void)env;
    ASSERT(thread != current_thread);
    int failed = pthread_join(thread->thread, NULL);
    ASSERT(!failed);
    free(thread);
}

static bool real_thread_is_current(Env *env, const EnvThread *thread) {
    (void)env;
    return thread == current_thread;
}

static unsigned real_cpu_count(Env *env) {
    (void)env;
    cpu_set_t set;
    long count =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    unsigned quota = env_limits_cpu_count("");
    unsigned usable = count < 1 ? 1 : (unsigned)count;
    return usable < quota ? usable : quota;
}

static uint64_t real_memory_limit(Env *env) {
    (void)env;
    return env_limits_memory_bytes("");
}

static EnvMutex *real_mutex_create(Env *env) {
    (void)env;
    EnvMutex *mutex = xmalloc(sizeof *mutex);
    int failed = pthread_mutex_init(&mutex->mutex, NULL);
    ASSERT(!failed);
    return mutex;
}

static void real_mutex_destroy(Env *env, EnvMutex *mutex) {
    (void)env;
    int failed = pthread_mutex_destroy(&mutex->mutex);
    ASSERT(!failed);
    free(mutex);
}

static void real_mutex_lock(Env *env, EnvMutex *mutex) {
    (void)env;
    int failed = pthread_mutex_lock(&mutex->mutex);
    ASSERT(!failed);
}

static void real_mutex_unlock(Env *env, EnvMutex *mutex) {
    (void)env;
    int failed = pthread_mutex_unlock(&mutex->mutex);
    ASSERT(!failed);
}

static EnvCond *real_cond_create(Env *env) {
    (void)env;
    EnvCond *cond = xmalloc(sizeof *cond);
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    ASSERT(!failed);
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    ASSERT(!failed);
    failed = pthread_cond_init(&cond->cond, &attributes);
    ASSERT(!failed);
    pthread_condattr_destroy(&attributes);
    return cond;
}

static void real_cond_destroy(Env *env, EnvCond *cond) {
    (void)env;
    int failed = pthread_cond_destroy(&cond->cond);
    ASSERT(!failed);
    free(cond);
}

static bool real_cond_wait(Env *env, EnvCond *cond, EnvMutex *mutex, int64_t deadline_us) {
    (void)env;
    int error;
    if (deadline_us == ENV_FOREVER) {
        error = pthread_cond_wait(&cond->cond, &mutex->mutex);
    } else {
        const struct timespec when = timespec_of(deadline_us < 0 ? 0 : deadline_us);
        error = pthread_cond_timedwait(&cond->cond, &mutex->mutex, &when);
    }
    ASSERT(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

static void real_cond_signal(Env *env, EnvCond *cond) {
    (void)env;
    int failed = pthread_cond_signal(&cond->cond);
    ASSERT(!failed);
}

static void real_cond_broadcast(Env *env, EnvCond *cond) {
    (void)env;
    int failed = pthread_cond_broadcast(&cond->cond);
    ASSERT(!failed);
}

/* ---- signals ---- */

/* A handler may do next to nothing, so it writes the signal's number to an eventfd on which a thread waits.
 *
 *   free --on_stop_signal: fd, thread, handlers--> watching --on_stop_signal(NULL)--> free
 *
 * The handler puts back the default of both signals itself: a second one must not wait for anybody. */
static struct {
    EnvThread *thread; /* NULL: free */
    int fd;
    void (*stopped)(void *self, int signal_number);
    void *self;
    struct sigaction old_int, old_term;
} stop_watch = {.fd = -1};

enum { STOP_WATCH_ENDS = 1000 }; /* no signal has this number */

static void stop_watch_post(int number) {
    const uint64_t value = (uint64_t)number;
    ssize_t ignored = write(stop_watch.fd, &value, sizeof value);
    (void)ignored;
}

static void stop_signal_handler(int number) {
    int saved_errno = errno;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    stop_watch_post(number);
    errno = saved_errno;
}

static void stop_watch_run(void *unused) {
    (void)unused;
    uint64_t value = 0;
    while (read(stop_watch.fd, &value, sizeof value) < 0 && errno == EINTR)
        ;
    if (value > 0 && value < STOP_WATCH_ENDS)
        stop_watch.stopped(stop_watch.self, (int)value);
}

static int real_on_stop_signal(Env *env, void (*stopped)(void *self, int signal_number), void *self) {
    if (!stopped) {
        if (!stop_watch.thread)
            return 0;
        sigaction(SIGINT, &stop_watch.old_int, NULL);
        sigaction(SIGTERM, &stop_watch.old_term, NULL);
        stop_watch_post(STOP_WATCH_ENDS);
        real_thread_join(env, stop_watch.thread);
        close(stop_watch.fd);
        stop_watch.thread = NULL;
        return 0;
    }
    if (stop_watch.thread)
        return EEXIST;
    stop_watch.fd = above_standard(eventfd(0, EFD_CLOEXEC));
    if (stop_watch.fd < 0)
        return errno;
    stop_watch.stopped = stopped;
    stop_watch.self = self;
    int error = real_thread_start(env, "leat-signals", stop_watch_run, NULL, &stop_watch.thread);
    if (error != 0) {
        close(stop_watch.fd);
        return error;
    }
    struct sigaction action = {.sa_handler = stop_signal_handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT); /* the second one waits until the defaults are back */
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, &stop_watch.old_int);
    sigaction(SIGTERM, &action, &stop_watch.old_term);
    return 0;
}

/* ---- the environment of this process ---- */

static const EnvTable real_table = {
    .wall_us = real_wall_us,
    .monotonic_us = real_monotonic_us,
    .random_bytes = real_random_bytes,
    .file_open = real_file_open,
    .file_read = real_file_read,
    .file_write = real_file_write,
    .file_sync = real_file_sync,
    .file_truncate = real_file_truncate,
    .file_info = real_file_info,
    .file_lock = real_file_lock,
    .file_is_direct = real_file_is_direct,
    .file_path = real_file_path,
    .file_close = real_file_close,
    .path_info = real_path_info,
    .rename = real_rename,
    .remove = real_remove,
    .make_directory = real_make_directory,
    .sync_directory = real_sync_directory,
    .current_directory = real_current_directory,
    .dir_open = real_dir_open,
    .dir_next = real_dir_next,
    .dir_path = real_dir_path,
    .dir_close = real_dir_close,
    .stream_write = real_stream_write,
    .stdout_is_terminal = real_stdout_is_terminal,
    .socket_connect = real_socket_connect,
    .socket_finish_connect = real_socket_finish_connect,
    .socket_is_connected = real_socket_is_connected,
    .socket_listen = real_socket_listen,
    .socket_port = real_socket_port,
    .socket_accept = real_socket_accept,
    .socket_receive = real_socket_receive,
    .socket_send = real_socket_send,
    .socket_name = real_socket_name,
    .socket_close = real_socket_close,
    .poll_create = real_poll_create,
    .poll_wait = real_poll_wait,
    .poll_wake = real_poll_wake,
    .poll_destroy = real_poll_destroy,
    .thread_start = real_thread_start,
    .thread_join = real_thread_join,
    .thread_is_current = real_thread_is_current,
    .cpu_count = real_cpu_count,
    .memory_limit = real_memory_limit,
    .mutex_create = real_mutex_create,
    .mutex_destroy = real_mutex_destroy,
    .mutex_lock = real_mutex_lock,
    .mutex_unlock = real_mutex_unlock,
    .cond_create = real_cond_create,
    .cond_destroy = real_cond_destroy,
    .cond_wait = real_cond_wait,
    .cond_signal = real_cond_signal,
    .cond_broadcast = real_cond_broadcast,
    .on_stop_signal = real_on_stop_signal,
};

static Env real = {&real_table};
static Env *of_process; /* &real, or the faulty one around it */

static int64_t log_wall_us(void *self) {
    return env_wall_us(self);
}

static void log_write(void *self, Str line) {
    Status ignored = env_write_stderr(self, line, NULL); /* nowhere left to tell */
    (void)ignored;
}

_Noreturn static void refuse_setting(const char *variable, const Error *err) {
    Text line = {0};
    text_appendf(&line, "leat: %s: %s\n", variable, err->message);
    log_write(&real, text_str(&line));
    exit(EXIT_CONFIG);
}

static void start_process_environment(void) {
    Error err = {0};
    least_timer_slack();
    /* Around the faults: a log line more or less must not move the numbers of a plan. */
    log_set_hooks((LogHooks){.wall_us = log_wall_us, .write = log_write, .self = &real});
    const char *areas = getenv("LEAT_LOG");
    if (areas && log_configure(str_from(areas), &err) != STATUS_OK)
        refuse_setting("LEAT_LOG", &err);
    of_process = &real;
    const char *faults = getenv("LEAT_FAULTS");
    if (faults) {
        FaultPlan *plan = NULL;
        if (fault_plan_parse(str_from(faults), &plan, &err) != STATUS_OK)
            refuse_setting("LEAT_FAULTS", &err);
        of_process = env_faulty_create(&real, plan);
        free(plan);
    }
}

Env *env_real(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_process_environment);
    return of_process;
}
