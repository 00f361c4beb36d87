/* socket_source.h - lines of a TCP server that Leat connects to (Spark's socketTextStream).
 *
 * A receiver (receiver.h): what it takes in goes to the block log. The first attempt to connect is made at
 * start; refused, an end or an error: again after restart_delay_ms, for ever. A failure is said once and then
 * once a minute while it stays the same. The last line of a connection that the peer ended counts without an
 * ending; one that is cut off by our own stop does not.
 *
 * Threads  connects and reads on the poller's thread; names are resolved there.
 */
#ifndef LEAT_CONNECT_SOCKET_SOURCE_H
#define LEAT_CONNECT_SOCKET_SOURCE_H

#include "stream/source.h"

/* Both are copied. Never NULL; the caller owns it: class->destroy. */
Source *socket_source_create(const char *host, const char *port);

extern const SourceClass socket_source_class;

#endif
