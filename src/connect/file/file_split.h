/* file_split.h - the lines of one range of one file.
 *
 * A line belongs to the range in which its first byte lies, so ranges that cover a file give each line once.
 * A line ends by LF, CR or CRLF, also over the boundary of a range.
 *
 * Memory   one buffer of 1 MiB and what downstream still looks at; as much more as its longest line needs, up
 *          to the limit. All charged to the budget given to open: NO_MEMORY names the path.
 */
#ifndef LEAT_CONNECT_FILE_SPLIT_H
#define LEAT_CONNECT_FILE_SPLIT_H

#include "env/env.h"
#include "exec/split.h"

typedef struct FileSplitOptions {
    Env *env;
    const char *path;             /* copied */
    uint64_t file_size_bytes;     /* as planned: nothing behind it is read */
    uint64_t begin, end;          /* begin < end <= file_size_bytes, or 0, 0 for an empty file */
    uint64_t line_size_bytes_max; /* longer lines are left out and reported */
    uint32_t buffer_size_bytes;   /* 0: 1 MiB; else at least 2, for tests */
} FileSplitOptions;

/* Never NULL; the caller owns it: class->destroy, or split_list_add. Reading a file that has become shorter
 * is IO, one that is gone NOT_FOUND. */
Split *file_split_create(FileSplitOptions options);

#endif
