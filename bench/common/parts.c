/* parts.c - see parts.h. */
#include "common/parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

void parts_path(const Parts *parts, int i, char *path, size_t size) {
    snprintf(path, size, "%s/%06d", parts->directory, i);
}

static void write_part(const Parts *parts, int i, const char *data, size_t size) {
    char path[128];
    parts_path(parts, i, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die(path);
    for (size_t at = 0; at < size;) {
        ssize_t count = write(fd, data + at, size - at);
        if (count <= 0)
            die(path);
        at += (size_t)count;
    }
    struct timespec dated[2] = {{.tv_sec = i, .tv_nsec = 500000000}, {.tv_sec = i, .tv_nsec = 500000000}};
    if (futimens(fd, dated) != 0 || close(fd) != 0)
        die(path);
}

Parts parts_create(const char *parent, const char *file, int count, size_t bytes_max) {
    Parts parts = {.count = count};
    snprintf(parts.directory, sizeof parts.directory, "%.40s/leat-parts-XXXXXX", parent);
    if (!mkdtemp(parts.directory))
        die(parts.directory);
    struct stat info;
    int fd = open(file, O_RDONLY);
    if (fd < 0 || fstat(fd, &info) != 0)
        die(file);
    size_t size = (size_t)info.st_size;
    const char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        die(file);
    size_t all = bytes_max && bytes_max < size ? bytes_max : size;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        size_t end = all / (size_t)count * (size_t)(i + 1);
        const char *line_end = end < size ? memchr(data + end, '\n', size - end) : NULL;
        end = line_end ? (size_t)(line_end - data) + 1 : size;
        write_part(&parts, i, data + at, end - at);
        at = end;
    }
    parts.bytes = at;
    munmap((void *)data, size);
    close(fd);
    return parts;
}

void parts_destroy(const Parts *parts) {
    char path[128];
    for (int i = 0; i < parts->count; i++) {
        parts_path(parts, i, path, sizeof path);
        unlink(path);
    }
    rmdir(parts->directory);
}
