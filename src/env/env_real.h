/* env_real.h - what env_real.c shows to its tests. */
#ifndef LEAT_ENV_ENV_REAL_H
#define LEAT_ENV_ENV_REAL_H

#include "env/env.h"

struct addrinfo;

/* Begins to connect to the first of `addresses` (copied) that does not refuse at once; the others
 * are tried by env_socket_finish_connect(). `name` is for messages. The result is an errno value
 * or 0, as in env_table.h. */
int env_real_connect_to(const struct addrinfo *addresses, const char *name, EnvSocket **out);

#endif
