/* env_limits.c - reads /proc/meminfo, /proc/self/cgroup and the limit files of the control groups in it.
 *
 * A line of /proc/self/cgroup is "ID:CONTROLLERS:PATH"; version 2 has the one line "0::PATH". Inside a
 * container PATH may be a path of the host that is not visible here: the walk up to the top then finds the
 * files that are.
 */
#include "env/env_limits.h"

#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The file's first 4 KiB in `buffer`; empty when it cannot be read. All of these files are shorter, or start
 * with what is looked for. */
static Str read_start(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR("");
    ssize_t count = read(fd, buffer, size);
    close(fd);
    return str_slice(buffer, count > 0 ? (size_t)count : 0);
}

static bool has_controller(Str list, Str wanted) {
    Str part;
    while (leat_str_split(&list, ',', &part))
        if (str_equal(part, wanted))
            return true;
    return false;
}

typedef void (*VisitLimit)(Str text, const char *group, void *user);

/* Calls visit with the text of `file` in the group at `path` under `mount` and in every group above it. */
static void walk_up(const char *root, const char *mount, Str path, const char *file, VisitLimit visit,
                    void *user) {
    char buffer[4096];
    while (path.size > 0 && path.data[path.size - 1] == '/')
        path.size--;
    for (;;) {
        Text group = {0}, name = {0};
        text_appendf(&group, "%s%s%.*s", root, mount, STR_ARG(path));
        text_appendf(&name, "%s/%s", group.data, file);
        Str text = str_trim(read_start(name.data, buffer, sizeof buffer));
        if (text.size > 0)
            visit(text, group.data, user);
        text_deinit(&name);
        text_deinit(&group);
        if (path.size == 0)
            return;
        while (path.size > 0 && path.data[--path.size] != '/')
            ;
    }
}

static void visit_groups(const char *root, Str controller, const char *file_v1, const char *file_v2,
                         VisitLimit visit_v1, VisitLimit visit_v2, void *user) {
    char buffer[4096];
    Text name = {0};
    text_appendf(&name, "%s/proc/self/cgroup", root);
    Str rest = read_start(name.data, buffer, sizeof buffer), line;
    text_deinit(&name);
    while (leat_str_next_line(&rest, &line)) {
        Str id, controllers;
        if (!leat_str_split(&line, ':', &id) || !leat_str_split(&line, ':', &controllers) || !line.data)
            continue;
        if (str_equal(id, STR("0")) && controllers.size == 0) {
            walk_up(root, "/sys/fs/cgroup", line, file_v2, visit_v2, user);
        } else if (has_controller(controllers, controller)) {
            Text mount = {0};
            text_appendf(&mount, "/sys/fs/cgroup/%.*s", STR_ARG(controllers));
            walk_up(root, mount.data, line, file_v1, visit_v1, user);
            text_deinit(&mount);
        }
    }
}

/* ---- memory ---- */

static void lower_memory(Str text, const char *group, void *user) {
    (void)group;
    uint64_t *limit = user;
    int64_t value;
    if (str_parse_i64(text, &value) && value > 0 && (uint64_t)value < *limit) /* "max" is no number */
        *limit = (uint64_t)value;
}

uint64_t env_limits_memory_bytes(const char *root) {
    uint64_t limit = UINT64_MAX;
    char buffer[4096];
    Text name = {0};
    text_appendf(&name, "%s/proc/meminfo", root);
    Str rest = read_start(name.data, buffer, sizeof buffer), line;
    text_deinit(&name);
    while (leat_str_next_line(&rest, &line)) { /* "MemTotal:       16384000 kB" */
        Str label;
        int64_t kib;
        if (!leat_str_split(&line, ':', &label) || !line.data || !str_equal(label, STR("MemTotal")))
            continue;
        line = str_trim(line);
        if (str_ends_with(line, STR(" kB")) &&
            str_parse_i64(str_slice(line.data, line.size - strlen(" kB")), &kib) && kib > 0 &&
            kib <= INT64_MAX / 1024)
            limit = (uint64_t)kib * 1024;
    }
    visit_groups(root, STR("memory"), "memory.limit_in_bytes", "memory.max", lower_memory, lower_memory,
                 &limit);
    return limit;
}

/* ---- processors ---- */

static void lower_cpus(unsigned *count, int64_t quota_us, int64_t period_us) {
    if (quota_us <= 0 || period_us <= 0)
        return;
    int64_t cpus = quota_us / period_us + (quota_us % period_us != 0);
    if (cpus < *count)
        *count = (unsigned)cpus;
}

static void lower_cpus_v1(Str text, const char *group, void *user) { /* cpu.cfs_quota_us: -1 is no quota */
    char buffer[64];
    Text name = {0};
    text_appendf(&name, "%s/cpu.cfs_period_us", group);
    Str period = str_trim(read_start(name.data, buffer, sizeof buffer));
    text_deinit(&name);
    int64_t quota_us, period_us;
    if (str_parse_i64(text, &quota_us) && str_parse_i64(period, &period_us))
        lower_cpus(user, quota_us, period_us);
}

static void lower_cpus_v2(Str text, const char *group,
                          void *user) { /* cpu.max: "QUOTA PERIOD", "max PERIOD" */
    (void)group;
    Str quota;
    int64_t quota_us, period_us;
    if (leat_str_split(&text, ' ', &quota) && text.data && str_parse_i64(quota, &quota_us) &&
        str_parse_i64(text, &period_us))
        lower_cpus(user, quota_us, period_us);
}

unsigned env_limits_cpu_count(const char *root) {
    unsigned count = UINT32_MAX;
    visit_groups(root, STR("cpu"), "cpu.cfs_quota_us", "cpu.max", lower_cpus_v1, lower_cpus_v2, &count);
    return count;
}
