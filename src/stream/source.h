/* source.h - where batches come from: the contract of connectors with the driver.
 *
 * A source is replayable (files: the same range read twice gives the same rows until it is released) or a
 * receiver (receiver.h: what it takes in is put into the block log and the PLAN). Either way a batch is
 * *planned* once, as bytes that stand in the PLAN frame, and *read* from those bytes as often as the batch is
 * run.
 *
 * The driver calls, on its own thread:
 *     open, then (recovery) restore, replay..., then start, then for each batch: plan, read, [run], done; at
 * the end stop, close. save between batches.
 *
 *   S1  plan(b) is called once per batch time, times ascending; it never fails for lack of data.
 *   S2  read(bytes) depends on nothing but the bytes and what they refer to.
 *   S3  replay(b, bytes) leaves the source as plan(b) did when it gave these bytes; done(b) says that nothing
 *       will ask for this batch again, in the order of batches.
 *   S4  save gives what restore needs to go on behind the last planned batch.
 */
#ifndef LEAT_STREAM_SOURCE_H
#define LEAT_STREAM_SOURCE_H

#include "env/env.h"
#include "exec/batch_data.h"
#include "stream/block_log.h"

typedef struct Source Source;
typedef struct Poller Poller; /* poller.h */

/* What the driver lends to its sources; outlives them. */
typedef struct SourceServices {
    Env *env;
    Budget *budget;      /* receivers and their blocks */
    BlockLog *block_log; /* NULL: no checkpoint directory */
    Poller *poller;      /* one thread for all sockets; started when the first is added */
    int64_t interval_ms;
    int64_t now_ms;       /* the driver's clock at open: wall time, or the manual clock's */
    int64_t first_now_ms; /* now_ms of the first start of this checkpoint; without one, now_ms */
    bool is_manual_clock;
    uint64_t line_size_bytes_max;
    int64_t restart_delay_ms;
    uint32_t split_count; /* hostile runs: how many splits a source that can choose gives; 0: its choice */
} SourceServices;

typedef struct SourceClass {
    const char *kind; /* "socket": part of ids and messages */
    CHECKED Status (*open)(Source *source, const SourceServices *services, Error *err);
    CHECKED Status (*restore)(Source *source, Str saved, Error *err);
    CHECKED Status (*replay)(Source *source, int64_t batch_time_ms, Str plan, Error *err);
    CHECKED Status (*start)(Source *source, Error *err);
    /* Appends the plan; *has_batch false: no batch at this time (Spark's null RDD), nothing appended. Blocks
     * that the plan refers to must be durable once block_log_wait has returned. */
    CHECKED Status (*plan)(Source *source, int64_t batch_time_ms, Text *plan, bool *has_batch, Error *err);
    CHECKED Status (*read)(Source *source, int64_t batch_time_ms, Str plan, SplitList *splits, Error *err);
    void (*done)(Source *source, int64_t batch_time_ms);
    void (*save)(Source *source, Text *out);
    /* The oldest block-log segment that the source still needs; UINT64_MAX: none. May be NULL. */
    uint64_t (*oldest_segment)(Source *source);
    /* No more input is taken in. What was taken in is given by later plans: *has_more after the last plan
     * tells whether there is any left (graceful stop asks until there is none). */
    void (*stop)(Source *source);
    bool (*has_more)(Source *source);
    void (*close)(Source *source); /* frees what open made; destroy follows */
    void (*destroy)(Source *source);
    /* The rows that it gives in every batch, when these are always the same; belong to it. NULL: they are not.
     * Such a batch is no input: nothing of it must be logged. */
    const BatchData *(*constant_rows)(Source *source);
    /* For people: what a plan of this source says, "3 files: a.txt (17 bytes), ..." */
    void (*describe_plan)(Str plan, Text *out);
} SourceClass;

/* First member of the connector's own struct. */
struct Source {
    const SourceClass *class;
    const char *id;    /* the plan node's, set by the driver before open; borrowed */
    char *description; /* "socket localhost:9999", for messages; owned, free()d by destroy */
};

#endif
