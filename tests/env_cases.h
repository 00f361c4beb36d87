/* env_cases.h - what every environment must do, as functions that a test of each calls with its own.
 *
 * `directory` is there, empty, and may be filled; the environment has no other use meanwhile.
 */
#ifndef LEAT_TESTS_ENV_CASES_H
#define LEAT_TESTS_ENV_CASES_H

#include "env/env.h"

void env_case_file_reads_what_was_written_where(Env *env, const char *directory);
void env_case_refusals_say_which_path_and_give_nothing(Env *env, const char *directory);
void env_case_direct_files_read_what_was_written(Env *env, const char *directory);
void env_case_directories_list_what_is_in_them(Env *env, const char *directory);
void env_case_whole_files_are_written_and_read(Env *env, const char *directory);
void env_case_sockets_carry_bytes_and_tell_the_end(Env *env, const char *directory);
void env_case_sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal(Env *env,
                                                                                 const char *directory);
void env_case_a_refused_connection_is_unavailable_and_named(Env *env, const char *directory);
void env_case_what_is_not_a_port_or_an_address_is_told_apart(Env *env, const char *directory);
void env_case_a_poll_ends_at_its_deadline(Env *env, const char *directory);
void env_case_an_item_that_wants_nothing_does_not_wake(Env *env, const char *directory);
void env_case_another_thread_wakes_a_poll_and_a_condition(Env *env, const char *directory);
void env_case_condition_waits_end_at_their_deadline(Env *env, const char *directory);
void env_case_random_bytes_differ(Env *env, const char *directory);

/* A connection within the process. */
typedef struct EnvCasePair {
    EnvPoll *poll;
    EnvSocket *listener, *client, *server;
} EnvCasePair;

EnvCasePair env_case_pair_open(Env *env);
void env_case_pair_close(Env *env, EnvCasePair *pair);
/* Until the socket can be read, or written. */
void env_case_wait(Env *env, EnvPoll *poll, EnvSocket *socket, bool is_write);

#endif
