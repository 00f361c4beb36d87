#include "stream/numbered_files.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 16 };

char *numbered_file_path(const char *directory, FileFamily family, uint64_t number) {
    Text name = {0};
    text_appendf(&name, "%s%016" PRIx64 "%s", family.prefix, number, family.suffix);
    char *path = env_path_join(directory, name.data);
    text_deinit(&name);
    return path;
}

/* False: the name is not one of the family. */
static bool parse_name(const char *name, FileFamily family, uint64_t *number) {
    size_t prefix_size = strlen(family.prefix), suffix_size = strlen(family.suffix);
    if (strlen(name) != prefix_size + DIGITS + suffix_size || memcmp(name, family.prefix, prefix_size) != 0 ||
        memcmp(name + prefix_size + DIGITS, family.suffix, suffix_size) != 0)
        return false;
    uint64_t value = 0;
    for (const char *at = name + prefix_size; at < name + prefix_size + DIGITS; at++) {
        if (*at >= '0' && *at <= '9')
            value = value << 4 | (uint64_t)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            value = value << 4 | (uint64_t)(*at - 'a' + 10);
        else
            return false;
    }
    *number = value;
    return true;
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Status numbered_files_list(Env *env, const char *directory, FileFamily family, uint64_t **numbers,
                           size_t *count, Error *err) {
    Status st = STATUS_OK;
    EnvDir *dir = NULL;
    uint64_t *found = NULL;
    size_t found_count = 0, capacity = 0;
    TRY(env_dir_open(env, directory, &dir, err));
    for (;;) {
        const char *name = NULL;
        TRY_GOTO(done, env_dir_next(env, dir, &name, err));
        if (!name)
            break;
        uint64_t number;
        if (!parse_name(name, family, &number))
            continue;
        if (found_count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            found = xrealloc(found, capacity * sizeof *found);
        }
        found[found_count++] = number;
    }
    if (found_count)
        qsort(found, found_count, sizeof *found, compare_numbers);
    *numbers = found;
    *count = found_count;
    found = NULL;
done:
    free(found);
    env_dir_close(env, dir);
    return st;
}
