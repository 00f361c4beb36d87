/* file_source.h - lines of the files that appear in directories (Spark's textFileStream).
 *
 * The directory may be a glob over directories (*, ?, [...] within a step of the path; a step that begins
 * with "." must be matched by one); each is listed one level deep. With W = interval * ceil(remember /
 * interval), a file goes into the batch of time T when
 *
 *   1  it is a regular file (or a link to one) whose name the filter takes; default: not beginning with "."
 *   2  modified > max(initial, T - W), where initial is the clock at the first start, or 0 for existing_files
 *   3  modified <= T: files from the future wait
 *   4  its path was not taken by a batch in [T - W, T)
 *
 * all in whole milliseconds. What a batch takes is fixed when it is planned: paths, and the size of each;
 * what is appended later is not read. Files are read in the order of (modified, path); Spark takes the file
 * system's. A directory that cannot be listed gives a warning and an empty batch: its files have their chance
 * in later ones. A file of the plan that has become shorter, or is gone, when the batch is read is an error.
 *
 * A file is read in ranges of 64 MiB, each a split; a line belongs to the range in which it begins. Lines
 * over the limit are left out and reported with path and position.
 *
 * The clock is asked once, by whoever fills SourceServices; everything else comes from batch times. So with a
 * manual clock times of modification are compared with that clock.
 */
#ifndef LEAT_CONNECT_FILE_SOURCE_H
#define LEAT_CONNECT_FILE_SOURCE_H

#include "stream/source.h"

typedef struct FileSourceOptions {
    const char *directory; /* or a glob; copied */
    bool existing_files;
    int64_t remember_ms;                          /* 0: 60000 */
    bool (*filter)(const char *name, void *user); /* NULL: names that do not begin with "." */
    void *user;                                   /* borrowed */
} FileSourceOptions;

/* Never NULL; the caller owns it: class->destroy. */
Source *file_source_create(FileSourceOptions options);

extern const SourceClass file_source_class;

#endif
