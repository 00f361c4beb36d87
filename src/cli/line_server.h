/* line_server.h - a small server in a child process that plays a text to everybody who
 * connects, for `leat demo`. */
#ifndef LEAT_CLI_LINE_SERVER_H
#define LEAT_CLI_LINE_SERVER_H

#include "env/env.h"

#include <sys/types.h>

typedef struct LineServer {
    pid_t child; /* 0: none was started, somebody else listens on the port */
} LineServer;

/* Starts a child that listens on the port of the loopback addresses and plays `text`, over and over, to each
 * client at about `lines_per_s`. Whether somebody listens already is found by listening, not by connecting: a
 * connection would be served, and perhaps be the only one. The child ignores SIGINT and SIGTERM and dies with
 * this process, however that ends. Before the first thread is started.  IO, NO_MEMORY. */
CHECKED Status line_server_start(const char *port, const char *text, int lines_per_s, LineServer *out,
                                 Error *err);
void line_server_stop(LineServer *server);

#endif
