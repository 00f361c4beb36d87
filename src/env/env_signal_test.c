/* SIGINT and SIGTERM as env hands them on. Every case is a child that gets real signals. */
#include "env/env.h"

#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipe_of_child[2];

static void tell(void *self, int signal_number) {
    char byte = (char)(signal_number == *(int *)self ? 'y' : 'n');
    ssize_t ignored = write(pipe_of_child[1], &byte, 1);
    (void)ignored;
}

static void wait_for_stopped(void) {
    char byte = 0;
    if (read(pipe_of_child[0], &byte, 1) != 1 || byte != 'y')
        _exit(90);
}

/* How a child ends that runs `body`: its exit code, or 1000 + the signal that killed it. */
static int child_ends(void (*body)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a child that hangs is killed: the test then fails */
        if (pipe(pipe_of_child) != 0)
            _exit(91);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        body();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void watch(int *number) {
    if (env_on_stop_signal(env_real(), tell, number, NULL) != STATUS_OK)
        _exit(92);
}

static void one_is_handed_on(void) {
    int number = SIGTERM;
    watch(&number);
    raise(SIGTERM);
    wait_for_stopped();
}

static void a_second_ends(void) {
    int number = SIGINT;
    watch(&number);
    raise(SIGINT);
    wait_for_stopped();
    raise(SIGTERM);
}

static void taken_back(void) {
    int number = SIGINT;
    watch(&number);
    Error err = {0};
    if (env_on_stop_signal(env_real(), tell, &number, &err) != STATUS_EXISTS)
        _exit(93);
    for (int i = 0; i < 2; i++) {
        if (env_on_stop_signal(env_real(), NULL, NULL, NULL) != STATUS_OK)
            _exit(94);
    }
    watch(&number);
    raise(SIGINT);
    wait_for_stopped();
    if (env_on_stop_signal(env_real(), NULL, NULL, NULL) != STATUS_OK)
        _exit(95);
    raise(SIGINT);
}

TEST(a_stop_signal_is_handed_on_and_the_next_one_ends) {
    CHECK_EQ(child_ends(one_is_handed_on), 0);
    CHECK_EQ(child_ends(a_second_ends), 1000 + SIGTERM);
    CHECK_EQ(child_ends(taken_back), 1000 + SIGINT);
}

TEST_MAIN()
