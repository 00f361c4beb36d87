/* startup.c - what a program costs before it has work: from exec to a connected receiver, idle memory, the
 * program's size.
 *
 *     build/release/bench/startup [--runs N]
 *
 * Starts examples/network_wordcount with a new checkpoint directory against a listening socket, and stops the
 * clock when the connection arrives. Goals: under 10 ms, under 10 MiB resident, the release program `leat`
 * under 4 MiB.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static long resident_kib(pid_t pid) {
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static void beside(const char *self, const char *relative, char *path, size_t size) {
    const char *slash = strrchr(self, '/');
    snprintf(path, size, "%.*s%s", slash ? (int)(slash + 1 - self) : 0, self, relative);
}

int main(int argc, char **argv) {
    int runs = argc == 3 && strcmp(argv[1], "--runs") == 0 ? atoi(argv[2]) : 15;
    char example[4096], program[4096], directory[] = "/var/tmp/leat-startup-XXXXXX", checkpoint[64], port[16],
                                       command[128];
    beside(argv[0], "../examples/network_wordcount", example, sizeof example);
    beside(argv[0], "../leat", program, sizeof program);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (!mkdtemp(directory) || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 8) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    double *times = malloc(sizeof(double) * (size_t)runs);
    long resident = 0;
    for (int i = 0; i < runs; i++) {
        snprintf(checkpoint, sizeof checkpoint, "%s/%d", directory, i);
        double begin = now_ms();
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (!freopen("/dev/null", "w", stdout))
                _exit(1);
            execl(example, example, "127.0.0.1", port, checkpoint, (char *)NULL);
            die(example);
        }
        int peer = accept(listener, NULL, NULL);
        times[i] = now_ms() - begin;
        if (i == runs - 1) {
            sleep(3); /* a few idle batches */
            resident = resident_kib(child);
        }
        close(peer);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    qsort(times, (size_t)runs, sizeof(double), compare);
    struct stat info;
    printf("exec to connected   min %.2f  median %.2f  max %.2f ms   (goal: under 10)\n", times[0],
           times[runs / 2], times[runs - 1]);
    printf("idle resident       %.1f MiB   (goal: under 10)\n", (double)resident / 1024);
    if (stat(program, &info) == 0)
        printf("release program     %.2f MiB   (goal: under 4)\n", (double)info.st_size / (1 << 20));
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) != 0;
}
