/* latency.c - how long a line takes from send() to the printed result, with batches of one millisecond and
 * the log on.
 *
 *     build/release/bench/latency [--lines N] [--checkpoint DIR]
 *
 * Runs examples/network_wordcount beside this program as a child with --interval 1, sends one line at a time
 * over loopback, and waits for its count on the child's standard output. Between lines it times a bare
 * append: pwrite of 4096 bytes and fdatasync on a preallocated file in the same directory, the least that a
 * durable batch can cost. The goal: p99 at most 1 ms plus twice the p99 of the bare append.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t count, double p) {
    size_t i = (size_t)(p / 100 * (double)count);
    return sorted[i < count ? i : count - 1];
}

/* One durable append of a page; the file has its blocks already. */
static double bare_append(int fd, int index) {
    static char page[4096];
    double begin = now_us();
    if (pwrite(fd, page, sizeof page, (off_t)(index % 1024) * 4096) != sizeof page || fdatasync(fd) != 0)
        die("append");
    return now_us() - begin;
}

static pid_t start_example(const char *self, int port, const char *checkpoint, int *out) {
    char path[4096], port_text[16];
    int ends[2];
    snprintf(path, sizeof path, "%s", self);
    char *slash = strrchr(path, '/');
    snprintf(slash ? slash + 1 : path, sizeof path - (size_t)(slash ? slash + 1 - path : 0),
             "../examples/network_wordcount");
    snprintf(port_text, sizeof port_text, "%d", port);
    if (pipe(ends) != 0)
        die("pipe");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], 1);
        close(ends[0]);
        execl(path, path, "127.0.0.1", port_text, checkpoint, "--interval", "1", "--workers", "1",
              (char *)NULL);
        die(path);
    }
    close(ends[1]);
    *out = ends[0];
    return child;
}

/* Reads the child's output until `wanted` has come. */
static void await_text(int fd, const char *wanted) {
    static char text[1 << 20];
    static size_t size;
    for (;;) {
        text[size] = 0;
        if (strstr(text, wanted)) {
            size = 0;
            return;
        }
        if (size > sizeof text / 2) { /* keep what the wanted text may have begun in */
            memmove(text, text + size - 256, 256);
            size = 256;
        }
        ssize_t got = read(fd, text + size, sizeof text - 1 - size);
        if (got <= 0)
            die("the example ended");
        size += (size_t)got;
    }
}

int main(int argc, char **argv) {
    int lines = 2000;
    char directory[] = "/var/tmp/leat-latency-XXXXXX", checkpoint[4200], file[4200], command[4400];
    const char *base = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--lines") == 0)
            lines = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--checkpoint") == 0)
            base = argv[i + 1];
    }
    if (!base && !(base = mkdtemp(directory)))
        die("mkdtemp");
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", base);
    snprintf(file, sizeof file, "%s/bare", base);

    int bare = open(file, O_RDWR | O_CREAT, 0600);
    for (int i = 0; bare >= 0 && i < 1024; i++)
        (void)bare_append(bare, i);

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_size = sizeof address;
    if (bare < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&address, &address_size) != 0)
        die("listen");
    int out;
    pid_t child = start_example(argv[0], ntohs(address.sin_port), checkpoint, &out);
    int peer = accept(listener, NULL, NULL);
    double *end_to_end = malloc(sizeof(double) * (size_t)lines),
           *appends = malloc(sizeof(double) * (size_t)lines);

    for (int i = -20; i < lines; i++) { /* the first ones warm up */
        char line[64], wanted[64];
        int size = snprintf(line, sizeof line, "w%dx\n", i + 100000);
        snprintf(wanted, sizeof wanted, "w%dx", i + 100000);
        double append = bare_append(bare, i & 1023);
        usleep((useconds_t)(rand() % 1500)); /* any moment of the interval */
        double begin = now_us();
        if (send(peer, line, (size_t)size, 0) != size)
            die("send");
        await_text(out, wanted);
        if (i >= 0) {
            end_to_end[i] = now_us() - begin;
            appends[i] = append;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    qsort(end_to_end, (size_t)lines, sizeof(double), compare);
    qsort(appends, (size_t)lines, sizeof(double), compare);
    double p99 = percentile(end_to_end, (size_t)lines, 99),
           append_p99 = percentile(appends, (size_t)lines, 99);
    printf("%-34s p50 %8.0f us  p99 %8.0f us  p99.9 %8.0f us\n", "line to printed count, 1 ms batches",
           percentile(end_to_end, (size_t)lines, 50), p99, percentile(end_to_end, (size_t)lines, 99.9));
    printf("%-34s p50 %8.0f us  p99 %8.0f us  p99.9 %8.0f us\n", "bare pwrite + fdatasync",
           percentile(appends, (size_t)lines, 50), append_p99, percentile(appends, (size_t)lines, 99.9));
    printf("p99 against 1 ms + 2 x bare p99: %.2f (at most 1 is the goal)\n", p99 / (1000 + 2 * append_p99));
    snprintf(command, sizeof command, "rm -rf '%s'", checkpoint);
    if (system(command) != 0)
        perror(command);
    unlink(file);
    if (base == directory)
        rmdir(directory);
    return 0;
}
