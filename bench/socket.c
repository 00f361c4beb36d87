/* socket.c - the word count of a stream that arrives over a loopback socket, with the block log on, against a
 * loop that reads the socket, appends what it read to a file with one fdatasync per second, and counts as the
 * best loop does.
 *
 *     build/release/bench/socket [--workers N] [--directory DIR] FILE
 *
 * Both are processes of their own; the figure is their CPU time, user and system, all threads. The loop
 * counts the file it has written, out of the page cache. The goal: at most 1.5 times the loop. DIR holds the
 * log and the file, default /var/tmp.
 */
#include <leat/leat.h>

#include "common/loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

typedef struct Outcome { /* in memory shared by the processes */
    uint64_t words;
    double cpu_seconds, seconds;
} Outcome;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double own_cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int listen_on_loopback(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return listener;
}

/* Sends the file to the first that connects. */
static void serve(int listener, const char *path) {
    int peer = accept(listener, NULL, NULL), file = open(path, O_RDONLY);
    struct stat info;
    off_t at = 0;
    if (peer < 0 || file < 0 || fstat(file, &info) != 0)
        die(path);
    while (at < info.st_size)
        if (sendfile(peer, file, &at, (size_t)(info.st_size - at)) <= 0)
            die("sendfile");
    close(peer);
    pause(); /* keeps the port, so that nobody else gets it */
}

typedef struct Counting {
    LeatContext *ctx;
    uint64_t words, expected;
} Counting;

static bool add_up(LeatBatch *batch, void *user) {
    Counting *counting = user;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);)
        counting->words += (uint64_t)leat_row_i64(&row, 1);
    if (counting->words >= counting->expected)
        leat_stop(counting->ctx, (LeatStop){0});
    return true;
}

static void run_leat(int port, const char *directory, int workers, uint64_t expected, Outcome *outcome) {
    char port_text[16], checkpoint[4200];
    double begin = wall_seconds();
    snprintf(port_text, sizeof port_text, "%d", port);
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", directory);
    Counting counting = {.ctx = leat_context_create("bench-socket", leat_seconds(1)), .expected = expected};
    leat_workers(counting.ctx, workers);
    leat_checkpoint(counting.ctx, checkpoint);
    LeatStream *words =
        leat_flat_map(leat_socket_text_stream(counting.ctx, "127.0.0.1", port_text), leat_split(" "));
    leat_foreach_rdd(leat_reduce_by_key(leat_map(words, leat_pair_with_i64(1)), leat_sum()), add_up,
                     &counting);
    leat_start(counting.ctx);
    if (leat_await_termination(counting.ctx) != LEAT_EXIT_OK)
        exit(1);
    *outcome = (Outcome){counting.words, own_cpu_seconds(), wall_seconds() - begin};
}

static void run_loop(int port, const char *directory, Outcome *outcome) {
    static char block[1 << 20];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    char path[4200];
    double begin = wall_seconds(), synced = begin;
    snprintf(path, sizeof path, "%s/received", directory);
    int peer = socket(AF_INET, SOCK_STREAM, 0), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || connect(peer, (struct sockaddr *)&address, sizeof address) != 0)
        die(path);
    for (;;) {
        ssize_t got = recv(peer, block, sizeof block, 0);
        if (got <= 0)
            break;
        if (write(file, block, (size_t)got) != got)
            die(path);
        if (wall_seconds() - synced >= 1) {
            fdatasync(file);
            synced = wall_seconds();
        }
    }
    fdatasync(file);
    LoopResult result = loop_best(path);
    *outcome = (Outcome){result.words, own_cpu_seconds(), wall_seconds() - begin};
}

int main(int argc, char **argv) {
    const char *base = "/var/tmp";
    int workers = 1, i = 1;
    for (; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--workers") == 0)
            workers = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--directory") == 0)
            base = argv[i + 1];
        else
            break;
    }
    if (i != argc - 1) {
        fputs("usage: socket [--workers N] [--directory DIR] FILE\n", stderr);
        return 64;
    }
    const char *path = argv[i];
    uint64_t expected = loop_best(path).words;
    struct stat info;
    Outcome *outcomes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcomes == MAP_FAILED || stat(path, &info) != 0)
        die(path);
    for (int which = 0; which < 2; which++) {
        char directory[4100], command[4200];
        int port, listener = listen_on_loopback(&port);
        snprintf(directory, sizeof directory, "%s/leat-socket-XXXXXX", base);
        if (!mkdtemp(directory))
            die(directory);
        pid_t server = fork();
        if (server == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(listener, path);
            _exit(0);
        }
        close(listener);
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (which == 0)
                run_leat(port, directory, workers, expected, &outcomes[0]);
            else
                run_loop(port, directory, &outcomes[1]);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        snprintf(command, sizeof command, "rm -rf '%s'", directory);
        if (system(command) != 0 || status != 0)
            return 1;
    }
    double megabytes = (double)info.st_size / 1e6;
    printf("leat  %.3f CPU s  %.1f s  %.0f MB per CPU s  words %" PRIu64 "\n", outcomes[0].cpu_seconds,
           outcomes[0].seconds, megabytes / outcomes[0].cpu_seconds, outcomes[0].words);
    printf("loop  %.3f CPU s  %.1f s  %.0f MB per CPU s  words %" PRIu64 "\n", outcomes[1].cpu_seconds,
           outcomes[1].seconds, megabytes / outcomes[1].cpu_seconds, outcomes[1].words);
    printf("CPU time against the loop: %.2f (at most 1.5 is the goal)  %s\n",
           outcomes[0].cpu_seconds / outcomes[1].cpu_seconds,
           outcomes[0].words == expected && outcomes[1].words == expected ? "equal" : "DIFFERENT");
    return outcomes[0].words != expected || outcomes[1].words != expected;
}
