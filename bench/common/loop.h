/* loop.h - word counts written by hand for nothing else: what the engine is measured against.
 *
 *   loop_best   the best loop we know: vector split, own cheap hash, own table, nothing but counts of words.
 *               Uses AVX-512 or AVX2 where the machine has them, else it is the plain loop.
 *   loop_plain  what one writes in an afternoon: mmap, a scan by bytes, open addressing, memcmp.
 *
 * A word ends at each blank and each LF, so two blanks have an empty word between them; what follows the last
 * LF is a word unless it is nothing. Both map the whole file, one thread.
 */
#ifndef LEAT_BENCH_LOOP_H
#define LEAT_BENCH_LOOP_H

#include "base/str.h"

typedef struct LoopResult {
    bool ok; /* false: the file could not be read (a message was printed) */
    uint64_t bytes;
    uint64_t words;
    uint64_t distinct;
    uint64_t checksum;  /* sum of loop_checksum() over all distinct words: does not depend on order */
    double cpu_seconds; /* of this thread, the file's mapping and the sum of the table included */
    double seconds;     /* on the wall */
} LoopResult;

LoopResult loop_best(const char *path);
/* The counts of the last `length` files, after each of the files: a table for each file, and one of the window
 * to which they are added and from which they are taken. `words` is of all files, `distinct` and `checksum`
 * (times the number of the file, from 1) are summed up over all windows. Not ok without AVX2. */
LoopResult loop_best_windows(char *const *paths, uint32_t path_count, uint32_t length);
LoopResult loop_plain(const char *path);

/* For others to sum up their own counts with. */
uint64_t loop_checksum(Str word, uint64_t count);

double cpu_seconds(void);  /* of this thread */
double wall_seconds(void); /* monotonic */

#endif
