/* ledger.h - what the job was fed and what came out, in memory that outlives its processes.
 *
 *   G1  Only what has happened is written down: a line behind the send that took its last byte, a file behind
 *       the sync that made its name durable, an output when its function was about to return.
 *   G2  Nothing is ever taken back; what it means is the model's business.
 *
 * Threads  any of the running process; who touches connections and files holds the lock, which is never waited
 *          for (one thread runs at a time, and it is not held in a call) but which the thread sanitizer sees.
 */
#ifndef LEAT_TESTS_SIM_LEDGER_H
#define LEAT_TESTS_SIM_LEDGER_H

#include "env/env_sim.h"

enum { CONNECTION_MAX = 400, FILE_MAX = 200 };

/* One call of an output's function: the rows of one batch, as text. */
typedef struct Record {
    struct Record *next;
    uint64_t number; /* in the order of calls */
    uint32_t life;
    int node;
    int64_t batch_ms;
    bool has_failed; /* it said so: the batch has not landed there */
    size_t size;
    char bytes[];
} Record;

/* How often a function stream was asked for a batch. */
typedef struct Asked {
    struct Asked *next;
    int node;
    int64_t batch_ms;
    uint64_t calls;
} Asked;

typedef struct Connection {
    int node;
    uint32_t life;
    uint64_t lines_sent; /* whole ones */
    uint64_t lines_seen; /* the highest number a tap has shown, and one */
    bool was_broken;     /* not ended by the server with everything delivered */
} Connection;

typedef struct FedFile {
    int node;
    bool is_durable;
    bool was_seen; /* by a tap; an empty one never is */
} FedFile;

typedef struct Ledger {
    SimWorld *world;
    Record *records, *last_record;
    uint64_t record_count;
    Asked *asked;
    Connection connections[CONNECTION_MAX];
    uint32_t connection_count;
    FedFile files[FILE_MAX];
    uint32_t file_count;
    int64_t newest_ms;   /* the highest batch time of a record */
    uint64_t batch_runs; /* of the job's first source: batches that ran */
} Ledger;

Ledger *ledger_create(SimWorld *world);
void ledger_lock(void);
void ledger_unlock(void);
/* The number of the call, from 1. */
uint64_t ledger_note_call(Ledger *ledger, int node, int64_t batch_ms);
uint64_t ledger_calls(const Ledger *ledger, int node, int64_t batch_ms);
void ledger_note_output(Ledger *ledger, uint32_t life, int node, int64_t batch_ms, bool has_failed, Str rows);

#endif
