/* ledger.c - see ledger.h. */
#include "sim/ledger.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

Ledger *ledger_create(SimWorld *world) {
    Ledger *ledger = sim_world_alloc(world, sizeof *ledger);
    ledger->world = world;
    return ledger;
}

void ledger_lock(void) {
    pthread_mutex_lock(&mutex);
}

void ledger_unlock(void) {
    pthread_mutex_unlock(&mutex);
}

uint64_t ledger_note_call(Ledger *ledger, int node, int64_t batch_ms) {
    ledger_lock();
    Asked *asked = ledger->asked;
    while (asked && !(asked->node == node && asked->batch_ms == batch_ms))
        asked = asked->next;
    if (!asked) {
        asked = sim_world_alloc(ledger->world, sizeof *asked);
        *asked = (Asked){.next = ledger->asked, .node = node, .batch_ms = batch_ms};
        ledger->asked = asked;
    }
    uint64_t call = ++asked->calls;
    ledger_unlock();
    return call;
}

uint64_t ledger_calls(const Ledger *ledger, int node, int64_t batch_ms) {
    for (const Asked *asked = ledger->asked; asked; asked = asked->next)
        if (asked->node == node && asked->batch_ms == batch_ms)
            return asked->calls;
    return 0;
}

/* "c3-17 ...": line 17 of connection 3. */
static void note_line(Ledger *ledger, Str line) {
    unsigned id, number;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)(line.size < 31 ? line.size : 31), line.data);
    if (sscanf(text, "c%u-%u", &id, &number) == 2 && id < ledger->connection_count) {
        if (ledger->connections[id].lines_seen <= number)
            ledger->connections[id].lines_seen = number + 1;
    } else if (sscanf(text, "f%u-%u", &id, &number) == 2 && id < ledger->file_count) {
        ledger->files[id].was_seen = true;
    }
}

void ledger_note_output(Ledger *ledger, uint32_t life, int node, int64_t batch_ms, bool has_failed,
                        Str rows) {
    ledger_lock();
    Record *record = sim_world_alloc(ledger->world, sizeof *record + rows.size);
    record->life = life;
    record->node = node;
    record->batch_ms = batch_ms;
    record->has_failed = has_failed;
    record->size = rows.size;
    memcpy(record->bytes, rows.data, rows.size);
    if (ledger->last_record)
        ledger->last_record->next = record;
    else
        ledger->records = record;
    ledger->last_record = record;
    record->number = ledger->record_count++;
    ledger->batch_runs += node == 0;
    if (batch_ms > ledger->newest_ms)
        ledger->newest_ms = batch_ms;
    while (rows.size > 0) {
        const char *end = memchr(rows.data, '\n', rows.size);
        Str line = str_slice(rows.data, (size_t)(end - rows.data));
        note_line(ledger, line);
        rows = str_slice(end + 1, rows.size - line.size - 1);
    }
    ledger_unlock();
}
