/* program.c - see program.h. */
#include "program.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

void program_pause_us(unsigned us) {
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

double program_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

const char *program_built(const char *name) {
    static char path[512];
    const char *build = getenv("LEAT_BUILD");
    snprintf(path, sizeof path, "%s/%s", build && *build ? build : "build/debug", name);
    return path;
}

/* In the child: nothing of it may outlive the test, and its output goes to the file. */
static void become_child(const char *output_path) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int input = open("/dev/null", O_RDONLY), output = open(output_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (input < 0 || output < 0)
        _exit(99);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(input);
    close(output);
}

static Program new_program(void) {
    static unsigned count;
    Program program = {0};
    snprintf(program.output_path, sizeof program.output_path, "%s/output-%u", check_tmpdir(), ++count);
    fflush(NULL);
    return program;
}

Program program_start(const char *const *argv, const char *const *environment) {
    Program program = new_program();
    program.pid = fork();
    if (program.pid == 0) {
        become_child(program.output_path);
        for (; environment && *environment; environment++)
            putenv((char *)*environment);
        execv(argv[0], (char *const *)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(99);
    }
    REQUIRE(program.pid > 0);
    return program;
}

Program program_fork(int (*run)(void *user), void *user) {
    Program program = new_program();
    program.pid = fork();
    if (program.pid == 0) {
        become_child(program.output_path);
        int code = run(user);
        fflush(NULL);
        _exit(code);
    }
    REQUIRE(program.pid > 0);
    return program;
}

static bool reap(Program *program, int flags) {
    int status = 0;
    if (program->pid == 0)
        return true;
    if (waitpid(program->pid, &status, flags) != program->pid)
        return false;
    program->pid = 0;
    program->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : PROGRAM_SIGNALLED + WTERMSIG(status);
    return true;
}

bool program_has_ended(Program *program) {
    return reap(program, WNOHANG);
}

char *program_output(const Program *program) {
    char *text = NULL;
    size_t size = 0, room = 0;
    FILE *file = fopen(program->output_path, "r");
    for (bool at_end = !file;;) {
        if (size + 1 >= room) {
            room = room ? 2 * room : 4096;
            text = realloc(text, room);
            REQUIRE(text != NULL);
        }
        size_t got = at_end ? 0 : fread(text + size, 1, room - size - 1, file);
        size += got;
        at_end = at_end || got == 0;
        if (at_end)
            break;
    }
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

static void show_output(const Program *program) {
    char *text = program_output(program);
    size_t size = strlen(text), shown = size > 4000 ? 4000 : size;
    printf("    it printed%s:\n%s\n", shown < size ? " (the end of it)" : "", text + size - shown);
    free(text);
}

bool program_printed(const Program *program, const char *wanted) {
    char *text = program_output(program);
    bool is_there = strstr(text, wanted) != NULL;
    free(text);
    return is_there;
}

bool program_check_printed(const Program *program, const char *text) {
    if (program_printed(program, text))
        return check_true(true, __FILE__, __LINE__, text);
    printf("    not printed: %s\n", text);
    show_output(program);
    return check_true(false, __FILE__, __LINE__, "the program prints what was expected");
}

bool program_wait_for(Program *program, const char *text) {
    double deadline = program_seconds() + PROGRAM_SECONDS_MAX;
    while (!program_printed(program, text)) {
        if (program_has_ended(program)) {
            if (program_printed(program, text)) /* its last words */
                break;
            printf("    ended (%d) without printing: %s\n", program->exit_code, text);
            show_output(program);
            return false;
        }
        if (program_seconds() > deadline) {
            printf("    hangs without printing: %s\n", text);
            show_output(program);
            return false;
        }
        program_pause_us(1000);
    }
    return true;
}

void program_signal(const Program *program, int signal_number) {
    if (program->pid > 0)
        kill(program->pid, signal_number);
}

int program_end(Program *program) {
    double deadline = program_seconds() + PROGRAM_SECONDS_MAX;
    while (!program_has_ended(program)) {
        if (program_seconds() > deadline) {
            printf("    hangs, and is killed\n");
            show_output(program);
            program_signal(program, SIGKILL);
            (void)reap(program, 0);
            check_true(false, __FILE__, __LINE__, "the program ends");
            break;
        }
        program_pause_us(200);
    }
    return program->exit_code;
}
