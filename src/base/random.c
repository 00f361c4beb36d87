#include "base/random.h"

static uint64_t rotate_left(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

/* SplitMix64 (Steele, Lea, Flood 2014): never gives four zeros in a row, which xoshiro could not leave. */
static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

void random_init(Random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        random->s[i] = splitmix64(&seed);
}

uint64_t random_u64(Random *random) {
    uint64_t *s = random->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Lemire 2019, "Fast random integer generation in an interval": the high half of a product is uniform once
 * the 2^64 mod bound smallest low halves are refused. */
uint64_t random_below(Random *random, uint64_t bound) {
    ASSERT(bound > 0);
    unsigned __int128 product = (unsigned __int128)random_u64(random) * bound;
    if ((uint64_t)product < bound) {
        uint64_t refused = (0 - bound) % bound;
        while ((uint64_t)product < refused)
            product = (unsigned __int128)random_u64(random) * bound;
    }
    return (uint64_t)(product >> 64);
}

double random_unit(Random *random) {
    return (double)(random_u64(random) >> 11) * 0x1p-53;
}
