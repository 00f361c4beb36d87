/* parts.h - a directory of files that a text file stream takes one a batch: part i is dated so that the batch at
 * i + 1 seconds of a manual clock finds it. */
#ifndef LEAT_BENCH_PARTS_H
#define LEAT_BENCH_PARTS_H

#include <stddef.h>

typedef struct Parts {
    char directory[64];
    int count;
    size_t bytes;
} Parts;

/* The lines of the file, dealt to `count` parts of about the same size under `parent`; of no more than bytes_max
 * in all (0: all). Ends the program with a message where it cannot. */
Parts parts_create(const char *parent, const char *file, int count, size_t bytes_max);
void parts_path(const Parts *parts, int i, char *path, size_t size);
void parts_destroy(const Parts *parts);

#endif
