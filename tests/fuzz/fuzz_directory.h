/* fuzz_directory.h - a directory in memory for targets that read files. */
#ifndef LEAT_TESTS_FUZZ_DIRECTORY_H
#define LEAT_TESTS_FUZZ_DIRECTORY_H

#include "env/env.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fuzz_directory_path[64]; /* "" until it is made */

static inline void fuzz_empty(const char *directory) {
    DIR *dir = opendir(directory);
    ASSERT(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = env_path_join(directory, entry->d_name);
        unlink(path);
        free(path);
    }
    closedir(dir);
}

static inline void fuzz_remove_directory(void) {
    fuzz_empty(fuzz_directory_path);
    rmdir(fuzz_directory_path);
}

/* Borrowed; the same one for the whole run, removed at its end. */
static inline const char *fuzz_directory(void) {
    if (!fuzz_directory_path[0]) {
        snprintf(fuzz_directory_path, sizeof fuzz_directory_path, "%s/leat-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        ASSERT(mkdtemp(fuzz_directory_path));
        atexit(fuzz_remove_directory);
    }
    return fuzz_directory_path;
}

static inline void fuzz_write(const char *directory, const char *name, const void *bytes, size_t size) {
    char *path = env_path_join(directory, name);
    FILE *file = fopen(path, "wb");
    ASSERT(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    free(path);
}

#endif
