/* generate - text for the benchmarks: lines of words, Zipf-distributed, the same bytes for the same options.
 *
 *     generate [--lines N] [--seed S] [--word-bytes MIN-MAX] [--words DISTINCT] OUT
 *
 * A vocabulary of distinct random lower-case words is made first; the word of rank r is then drawn with a
 * probability of 1 / r. A line has 5 to 15 words, 10 on average, with single blanks between them. */
#include "base/random.h"
#include "base/str.h"
#include "base/memory.h"
#include "base/bytes.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct Options {
    uint64_t lines, seed, distinct;
    uint32_t bytes_min, bytes_max;
    const char *path;
} Options;

enum { WORD_BYTES_MAX = 63 };

typedef struct Word {
    char text[WORD_BYTES_MAX + 1]; /* with the blank behind it */
    uint8_t size;                  /* without */
} Word;

/* Draws ranks with given weights in constant time (Walker's alias method). */
typedef struct Alias {
    uint32_t *other;
    uint32_t *keep_below; /* of 2^32 */
    uint32_t count;
} Alias;

static Alias alias_create(const double *weights, uint32_t count) {
    Alias alias = {xcalloc(count, sizeof(uint32_t)), xcalloc(count, sizeof(uint32_t)), count};
    double *scaled = xcalloc(count, sizeof(double)), sum = 0;
    uint32_t *small = xcalloc(count, sizeof(uint32_t)), *large = xcalloc(count, sizeof(uint32_t));
    uint32_t small_count = 0, large_count = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += weights[i];
    for (uint32_t i = 0; i < count; i++) {
        scaled[i] = weights[i] / sum * count;
        if (scaled[i] < 1)
            small[small_count++] = i;
        else
            large[large_count++] = i;
    }
    while (small_count && large_count) {
        uint32_t s = small[--small_count], l = large[large_count - 1];
        alias.keep_below[s] = (uint32_t)(scaled[s] * 4294967295.0);
        alias.other[s] = l;
        scaled[l] -= 1 - scaled[s];
        if (scaled[l] < 1) {
            large_count--;
            small[small_count++] = l;
        }
    }
    while (large_count)
        alias.keep_below[large[--large_count]] = UINT32_MAX;
    while (small_count)
        alias.keep_below[small[--small_count]] = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (alias.keep_below[i] == UINT32_MAX)
            alias.other[i] = i;
    }
    free(scaled);
    free(small);
    free(large);
    return alias;
}

static uint32_t alias_draw(const Alias *alias, Random *random) {
    uint64_t bits = random_u64(random);
    uint32_t at = (uint32_t)((bits >> 32) * alias->count >> 32);
    return (uint32_t)bits < alias->keep_below[at] ? at : alias->other[at];
}

/* True when no word before has the same text. `seen` is a set of hashes: two words that only share the hash
 * are refused as well, which changes nothing that matters. */
static bool word_is_new(uint64_t *seen, uint64_t seen_count, const Word *word) {
    uint64_t hash = hash_bytes(word->text, word->size) | 1;
    uint64_t at = hash % seen_count;
    while (seen[at] && seen[at] != hash)
        at = (at + 1) % seen_count;
    bool is_new = !seen[at];
    seen[at] = hash;
    return is_new;
}

static Word *vocabulary_create(const Options *options, Random *random) {
    Word *words = xcalloc(options->distinct, sizeof *words);
    uint64_t seen_count = options->distinct * 3 + 1, range = options->bytes_max - options->bytes_min + 1;
    uint64_t *seen = xcalloc(seen_count, sizeof *seen);
    for (uint64_t i = 0; i < options->distinct; i++) {
        Word *word = &words[i];
        do {
            /* As in a language, frequent words are the shorter ones. */
            uint64_t longer = random_below(random, range), other = random_below(random, range);
            if (i < 8 && other < longer)
                longer = other;
            word->size = (uint8_t)(options->bytes_min + longer);
            for (uint32_t b = 0; b < word->size; b++)
                word->text[b] = (char)('a' + random_below(random, 26));
            word->text[word->size] = ' ';
        } while (!word_is_new(seen, seen_count, word));
    }
    free(seen);
    return words;
}

static bool lines_write(const Options *options, FILE *out) {
    Random random;
    random_init(&random, options->seed);
    Word *words = vocabulary_create(options, &random);
    double *weights = xcalloc(options->distinct, sizeof *weights);
    for (uint64_t i = 0; i < options->distinct; i++)
        weights[i] = 1.0 / (double)(i + 1);
    Alias alias = alias_create(weights, (uint32_t)options->distinct);
    for (uint64_t i = 0; i < options->lines; i++) {
        char line[16 * (WORD_BYTES_MAX + 1)];
        size_t size = 0;
        uint64_t word_count = 5 + random_below(&random, 11);
        for (uint64_t w = 0; w < word_count; w++) {
            const Word *word = &words[alias_draw(&alias, &random)];
            memcpy(line + size, word->text, sizeof word->text);
            size += word->size + 1u;
        }
        line[size - 1] = '\n';
        if (fwrite(line, 1, size, out) != size)
            return false;
    }
    free(words);
    free(weights);
    free(alias.other);
    free(alias.keep_below);
    return true;
}

static int usage(void) {
    fputs("usage: generate [--lines N] [--seed S] [--word-bytes MIN-MAX] [--words DISTINCT] OUT\n", stderr);
    return 2;
}

static bool parse_u64(const char *text, uint64_t *value) {
    int64_t parsed;
    if (!text || !str_parse_i64(str_from(text), &parsed) || parsed < 0)
        return false;
    *value = (uint64_t)parsed;
    return true;
}

int main(int argc, char **argv) {
    Options options = {
        .lines = 10 * 1000 * 1000, .seed = 1, .distinct = 88000, .bytes_min = 2, .bytes_max = 11};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = true;
        if (argv[i][0] != '-') {
            good = !options.path;
            options.path = argv[i];
        } else if (strcmp(argv[i], "--lines") == 0) {
            good = parse_u64(value, &options.lines);
            i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            good = parse_u64(value, &options.seed);
            i++;
        } else if (strcmp(argv[i], "--words") == 0) {
            good = parse_u64(value, &options.distinct);
            i++;
        } else if (strcmp(argv[i], "--word-bytes") == 0) {
            good = value && sscanf(value, "%u-%u", &options.bytes_min, &options.bytes_max) == 2;
            i++;
        } else {
            good = false;
        }
        if (!good)
            return usage();
    }
    double room = 0;
    for (uint32_t size = options.bytes_min; size <= options.bytes_max && size <= WORD_BYTES_MAX; size++)
        room = room * (size > options.bytes_min ? 26 : 0) +
               (size < 12 ? (double)(UINT64_C(1) << 4 * size) : 1e18);
    if (!options.path || !options.bytes_min || options.bytes_min > options.bytes_max ||
        options.bytes_max > WORD_BYTES_MAX || !options.distinct || options.distinct > UINT32_MAX ||
        room < (double)options.distinct)
        return usage();
    FILE *out = fopen(options.path, "wb");
    if (!out) {
        perror(options.path);
        return 1;
    }
    bool written = lines_write(&options, out);
    if (fclose(out) != 0 || !written) {
        perror(options.path);
        return 1;
    }
    return 0;
}
