/* What the first env_real() of a process makes of its variables. Every case is a child;
 * this process never asks. */
#include "env/env.h"

#include "check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit code of a child that first asks for its environment with `variable` set to `value`. */
static int start_with(const char *variable, const char *value) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv(variable, value, 1);
        if (!freopen("/dev/null", "w", stderr))
            _exit(99);
        char byte;
        Status st = env_random_bytes(env_real(), &byte, 1, NULL);
        _exit(st == STATUS_OK ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(the_environment_of_the_process_follows_its_variables) {
    CHECK_EQ(start_with("LEAT_FAULTS", ""), 0);
    CHECK_EQ(start_with("LEAT_FAULTS", "random@1=EIO"), 1);
    CHECK_EQ(start_with("LEAT_FAULTS", "kill@1"), 137);
    CHECK_EQ(start_with("LEAT_FAULTS", "kill@2"), 0);
    CHECK_EQ(start_with("LEAT_FAULTS", "boom"), 78);
    CHECK_EQ(start_with("LEAT_LOG", "env:debug"), 0);
    CHECK_EQ(start_with("LEAT_LOG", "env:loud"), 78);
}

TEST_MAIN()
