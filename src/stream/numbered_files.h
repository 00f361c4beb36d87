/* numbered_files.h - the files of a checkpoint directory that carry a number in their name: `batch-%016x.log`
 * and so on.
 *
 * A family is a prefix and a suffix around sixteen lower-case hexadecimal digits; a name of any other form is
 * not of the family. Threads  any.
 */
#ifndef LEAT_STREAM_NUMBERED_FILES_H
#define LEAT_STREAM_NUMBERED_FILES_H

#include "env/env.h"

typedef struct FileFamily {
    const char *prefix, *suffix;
} FileFamily;

/* "directory/prefix<number>suffix"; free() it. */
char *numbered_file_path(const char *directory, FileFamily family, uint64_t number);
/* The numbers that are there, ascending; free() *numbers (NULL when there are none). */
CHECKED Status numbered_files_list(Env *env, const char *directory, FileFamily family, uint64_t **numbers,
                                   size_t *count, Error *err);

#endif
