/* loops - what the hand-written word counts of common/loop.h reach.
 *
 *     loops [--runs N] FILE... */
#include "common/loop.h"
#include <stdio.h>
#include <stdlib.h>
#include <inttypes.h>

static void print_result(const char *name, LoopResult result, double plain_cpu_seconds) {
    double words = (double)(result.words ? result.words : 1);
    printf("%-6s %12" PRIu64 " words %9" PRIu64
           " distinct  %7.3f s CPU  %6.2f ns/word  %6.0f MB/s  %5.2f x plain\n",
           name, result.words, result.distinct, result.cpu_seconds, result.cpu_seconds * 1e9 / words,
           (double)result.bytes * 1e-6 / result.cpu_seconds, plain_cpu_seconds / result.cpu_seconds);
}

int main(int argc, char **argv) {
    int runs = 3, first = 1;
    if (argc > 2 && strcmp(argv[1], "--runs") == 0) {
        runs = atoi(argv[2]);
        first = 3;
    }
    if (first >= argc || runs < 1) {
        fputs("usage: loops [--runs N] FILE...\n", stderr);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        LoopResult best = {0}, plain = {0};
        for (int run = 0; run < runs;
             run++) { /* by turns, and the quickest of each: others use the machine too */
            LoopResult best_now = loop_best(argv[i]), plain_now = loop_plain(argv[i]);
            if (!best_now.ok || !plain_now.ok)
                return 1;
            if (!best.ok || best_now.cpu_seconds < best.cpu_seconds)
                best = best_now;
            if (!plain.ok || plain_now.cpu_seconds < plain.cpu_seconds)
                plain = plain_now;
        }
        printf("%s: %.0f MB\n", argv[i], (double)best.bytes * 1e-6);
        print_result("plain", plain, plain.cpu_seconds);
        print_result("best", best, plain.cpu_seconds);
        if (best.words != plain.words || best.distinct != plain.distinct || best.checksum != plain.checksum) {
            fprintf(stderr, "loops: %s: the two do not agree\n", argv[i]);
            return 1;
        }
    }
    return 0;
}
