#include "env/env_limits.h"

#include "check.h"
#include "env/env.h"

#include <stdlib.h>

/* Writes `text` to root/path; the directories of path are made. */
static void put(const char *root, const char *path, const char *text) {
    Env *env = env_real();
    Error err = {0};
    Text name = {0};
    text_append(&name, str_from(root));
    Str rest = str_from(path + 1), step;
    while (leat_str_split(&rest, '/', &step)) {
        text_append_byte(&name, '/');
        text_append(&name, step);
        if (rest.data) {
            Status st = env_make_directory(env, name.data, &err);
            REQUIRE(st == STATUS_OK || st == STATUS_EXISTS);
        }
    }
    REQUIRE(CHECK_OK(env_write_file_atomically(env, name.data, str_from(text), &err), err));
    text_deinit(&name);
}

static const char meminfo[] = "MemFree:     1 kB\nMemTotal:       1000 kB\nBuffers:  2 kB\n";

TEST(the_machine_rules_where_no_group_does) {
    const char *root = check_tmpdir();
    CHECK(env_limits_memory_bytes(root) == UINT64_MAX); /* nothing can be read */
    put(root, "/proc/meminfo", meminfo);
    CHECK_EQ(env_limits_memory_bytes(root), 1000 * 1024);
    CHECK_EQ(env_limits_cpu_count(root), UINT32_MAX);
    put(root, "/proc/self/cgroup", "0::/user.slice/a\n");
    put(root, "/sys/fs/cgroup/user.slice/a/memory.max", "max\n");
    put(root, "/sys/fs/cgroup/user.slice/a/cpu.max", "max 100000\n");
    CHECK_EQ(env_limits_memory_bytes(root), 1000 * 1024);
    CHECK_EQ(env_limits_cpu_count(root), UINT32_MAX);
}

TEST(a_group_above_rules_too) {
    const char *root = check_tmpdir();
    put(root, "/proc/meminfo", meminfo);
    put(root, "/proc/self/cgroup", "0::/user.slice/a\n");
    put(root, "/sys/fs/cgroup/user.slice/a/memory.max", "500000\n");
    CHECK_EQ(env_limits_memory_bytes(root), 500000);
    put(root, "/sys/fs/cgroup/user.slice/memory.max", "400000\n");
    CHECK_EQ(env_limits_memory_bytes(root), 400000);
    put(root, "/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
    CHECK_EQ(env_limits_cpu_count(root), 2);
}

TEST(in_a_container_the_top_is_what_can_be_seen) {
    const char *root = check_tmpdir();
    put(root, "/proc/meminfo", meminfo);
    put(root, "/proc/self/cgroup", "0::/../../not/here\n");
    put(root, "/sys/fs/cgroup/memory.max", "300000\n");
    put(root, "/sys/fs/cgroup/cpu.max", "100000 100000\n");
    CHECK_EQ(env_limits_memory_bytes(root), 300000);
    CHECK_EQ(env_limits_cpu_count(root), 1);
}

TEST(version_one_has_a_tree_per_controller) {
    const char *root = check_tmpdir();
    put(root, "/proc/meminfo", meminfo);
    put(root, "/proc/self/cgroup",
        "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\nrubbish\n");
    put(root, "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "200000\n");
    put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "250000\n");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(env_limits_memory_bytes(root), 200000);
    CHECK_EQ(env_limits_cpu_count(root), 3);
}

TEST(this_machine_has_limits) {
    CHECK(env_memory_limit(env_real()) > 1 << 20);
    CHECK(env_memory_limit(env_real()) < UINT64_MAX);
    CHECK(env_cpu_count(env_real()) >= 1);
}

TEST_MAIN()
