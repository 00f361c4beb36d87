/* receiver.h - what a source that cannot be read again takes in, and how it becomes batches.
 *
 * A connector writes bytes of text into the receiver as they arrive (on the poller's thread); the driver cuts
 * at each batch time. Whole lines become blocks; the beginning of a line that has not ended is carried into
 * the next block. With a block log a full block (1 MiB) is submitted at once and written while the batch goes
 * on; what is left at the cut rides inside the PLAN when it is at most 64 KiB, else it is a block too.
 * Without a block log everything stays in memory until its batch is done.
 *
 * The plan's bytes: a list of entries, each a BlockRef or inline bytes. The layout is at the top of
 * receiver.c.
 *
 *   R1  What plans give, in order, is what connections delivered, each connection a prefix of what it was
 *       sent, cut at lines.
 *   R2  After a restart: blocks in the log that no PLAN names go into the first batch planned (they had been
 *       taken in), up to where a PLAN with inline bytes is missing in between: what follows is dropped, and
 *       said (R1).
 *   R3  Bytes held are charged to the budget; when there is no room receiver_room gives none and the
 *       connector stops reading until it is kicked: back-pressure on the peer. Two blocks are the receiver's
 *       own from create on, so that one batch at a time always fits.
 *   R4  A line over the limit is left out, whole, and reported once with source, connection, position in the
 *       connection and limit; lines around it are kept. So is a line that the budget cannot hold although
 *       nothing else of this receiver is in memory.
 *
 * Threads  room, received, end_of_connection from the connector's thread; the rest from the driver's.
 */
#ifndef LEAT_STREAM_RECEIVER_H
#define LEAT_STREAM_RECEIVER_H

#include "stream/source.h"

typedef struct Receiver Receiver;

typedef struct ReceiverOptions {
    const SourceServices *services;
    uint32_t stream_id;          /* in the block log: a hash of the source's id */
    const char *description;     /* for messages; borrowed */
    void (*on_room)(void *self); /* there is room again (R3); called on the driver's thread */
    void *self;
} ReceiverOptions;

/* The caller owns *out.  NO_MEMORY. */
CHECKED Status receiver_create(ReceiverOptions options, Receiver **out, Error *err);
void receiver_destroy(Receiver *receiver); /* NULL is allowed */

/* Where the next bytes may be put, at least 4 KiB, until the next call of the connector's thread; false: no
 * room (R3). */
bool receiver_room(Receiver *receiver, char **data, size_t *size);
/* `size` bytes were put there. The failure of the block log, if any: nothing more is taken in then. */
CHECKED Status receiver_received(Receiver *receiver, size_t size, Error *err);
/* The connection ended: a line without an ending is a line. */
CHECKED Status receiver_end_of_connection(Receiver *receiver, Error *err);

/* The calls of SourceClass. */
CHECKED Status receiver_restore(Receiver *receiver, Str saved, Error *err);
CHECKED Status receiver_replay(Receiver *receiver, int64_t batch_time_ms, Str plan, Error *err);
/* After all replays: finds blocks without a PLAN (R2). */
CHECKED Status receiver_start(Receiver *receiver, Error *err);
/* The failure of the block log, if any. Without memory for it the end of what was taken in stays for a
 * later plan. */
CHECKED Status receiver_plan(Receiver *receiver, int64_t batch_time_ms, Text *plan, Error *err);
/* A batch that this process has planned is in memory until it is done; else its blocks are read from the log,
 * each when its split comes to it. */
CHECKED Status receiver_read(Receiver *receiver, int64_t batch_time_ms, Str plan, SplitList *splits,
                             Error *err);
/* After the splits of the batch are gone. Its buffers that nobody shares any more are used again. */
void receiver_done(Receiver *receiver, int64_t batch_time_ms);
void receiver_save(Receiver *receiver, Text *out);
uint64_t receiver_oldest_segment(Receiver *receiver);
bool receiver_has_more(Receiver *receiver);
void receiver_describe_plan(Str plan, Text *out);

#endif
