/* fuzz_directory.h - a directory in memory for targets that read files. */
#ifndef LEAT_TESTS_FUZZ_DIRECTORY_H
#define LEAT_TESTS_FUZZ_DIRECTORY_H

#include "env/env.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Borrowed; the same one for the whole run. */
static inline const char *fuzz_directory(void) {
    static char path[64];
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/leat-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        ASSERT(mkdtemp(path));
    }
    return path;
}

static inline void fuzz_write(const char *directory, const char *name, const void *bytes, size_t size) {
    char *path = env_path_join(directory, name);
    FILE *file = fopen(path, "wb");
    ASSERT(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    free(path);
}

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

#endif
