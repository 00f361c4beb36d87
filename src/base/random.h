/* random.h - a seeded generator (xoshiro256**, Blackman and Vigna 2018; seeded through SplitMix64). The same
 * seed gives the same numbers on every machine. Not for secrets: env_random_bytes() is.  Threads: one owner.
 */
#ifndef LEAT_BASE_RANDOM_H
#define LEAT_BASE_RANDOM_H

#include "base/status.h"

typedef struct Random {
    uint64_t s[4];
} Random;

void random_init(Random *random, uint64_t seed);
uint64_t random_u64(Random *random);
uint64_t random_below(Random *random, uint64_t bound); /* [0, bound), unbiased; bound > 0 */
double random_unit(Random *random);                    /* [0, 1) */

#endif
