/* op_scan.c - reads the splits of a source: bytes of text as lines or parts of lines, or chunks as they come.
 *
 * A task is a split: one worker opens it, reads it to its end and closes it. Where the only consumer takes
 * lines (functions per record), lines go to it as byte ranges and no views are made. */
#include "exec/operator.h"

#include "format/text.h"

#include <stdlib.h>

typedef struct ScanWorker {
    TextReader *reader; /* text only; made at the first split */
    ScanStats stats;
} ScanWorker;

typedef struct Scan {
    Producer producer;
    const Schema *schema; /* of what it gives */
    TextOptions text;
    Budget *budget;
    uint32_t chunk_rows_max;
    const SplitList *splits; /* of this batch; NULL: none */
    ScanWorker *workers;
    uint32_t worker_count;
} Scan;

static Scan *scan_of(Producer *producer) {
    return (Scan *)producer;
}

static void scan_begin(Producer *producer, const ProducerBatch *batch) {
    Scan *scan = scan_of(producer);
    scan->splits = batch->input->has_batch ? &batch->input->splits : NULL;
    for (uint32_t w = 0; w < scan->worker_count; w++)
        scan->workers[w].stats = (ScanStats){0};
}

static uint32_t scan_task_count(const Producer *producer) {
    const Scan *scan = (const Scan *)producer;
    return scan->splits ? scan->splits->count : 0;
}

/* ---- text ---- */

CHECKED static Status give_lines(Scan *scan, TextReader *reader, Buffer *buffer, LineRun *run,
                                 const Emit *out, Error *err) {
    Operator *to = out->edges[0].to;
    const LeatStr *lines;
    run->buffers = &buffer;
    run->buffer_count = 1;
    for (uint32_t count; (count = text_reader_next_lines(reader, &lines)) > 0;)
        for (uint32_t begin = 0; begin < count; begin += run->count) {
            run->lines = lines + begin;
            run->count = count - begin < scan->chunk_rows_max ? count - begin : scan->chunk_rows_max;
            TRY(to->class->push_lines(to, run, err));
            run->sequence++;
        }
    return STATUS_OK;
}

CHECKED static Status give_chunks(TextReader *reader, uint64_t split, uint64_t *sequence, const Emit *out,
                                  Error *err) {
    for (Chunk chunk; text_reader_next(reader, &chunk);) {
        chunk.split = split;
        chunk.sequence = (*sequence)++;
        TRY(emit_chunk(out, &chunk, err));
    }
    return STATUS_OK;
}

CHECKED static Status read_text(Scan *scan, ScanWorker *worker, Split *split, uint32_t task, const Emit *out,
                                Error *err) {
    if (!worker->reader)
        TRY(text_reader_create(scan->text, scan->schema, scan->budget, &worker->reader, err));
    bool as_lines = out->edge_count == 1 && out->edges[0].to->class->push_lines && !scan->text.has_separator;
    uint64_t lines_before = text_reader_line_count(worker->reader), sequence = 0;
    LineRun run = {.split = task}; /* no union lies before an operator that takes lines */
    for (TextPiece piece = {0};;) {
        TRY(split->class->next_piece(split, &piece, err));
        if (!piece.buffer)
            break;
        text_reader_begin(worker->reader, piece.buffer, piece.begin, piece.end, piece.skip_lf);
        TRY(as_lines ? give_lines(scan, worker->reader, piece.buffer, &run, out, err)
                     : give_chunks(worker->reader, task, &sequence, out, err));
        worker->stats.text_bytes += piece.end - piece.begin;
    }
    worker->stats.row_count += text_reader_line_count(worker->reader) - lines_before;
    return STATUS_OK;
}

/* ---- rows ---- */

CHECKED static Status read_rows(ScanWorker *worker, Split *split, uint32_t task, const Emit *out,
                                Error *err) {
    uint64_t sequence = 0;
    for (;;) {
        Chunk chunk;
        bool has = false;
        TRY(split->class->next_chunk(split, &chunk, &has, err));
        if (!has)
            return STATUS_OK;
        chunk.split = task;
        chunk.sequence = sequence++;
        worker->stats.row_count += chunk.selected_count;
        TRY(emit_chunk(out, &chunk, err));
    }
}

CHECKED static Status scan_produce(Producer *producer, uint32_t worker, uint32_t task, const Emit *out,
                                   Error *err) {
    Scan *scan = scan_of(producer);
    Split *split = scan->splits->splits[task];
    TRY(split->class->open(split, scan->budget, err));
    Status st = producer->node->is_text ? read_text(scan, &scan->workers[worker], split, task, out, err)
                                        : read_rows(&scan->workers[worker], split, task, out, err);
    split->class->close(split);
    return st;
}

static void scan_end(Producer *producer) {
    scan_of(producer)->splits = NULL;
}

static void scan_destroy(Producer *producer) {
    Scan *scan = scan_of(producer);
    for (uint32_t w = 0; w < scan->worker_count; w++)
        text_reader_destroy(scan->workers[w].reader);
    free(scan->workers);
    free(scan);
}

static const ProducerClass scan_class = {
    .begin = scan_begin,
    .task_count = scan_task_count,
    .produce = scan_produce,
    .end = scan_end,
    .destroy = scan_destroy,
};

Status scan_create(const ProducerOptions *options, Producer **out, Error *err) {
    (void)err;
    Scan *scan = xcalloc(1, sizeof *scan);
    scan->producer = (Producer){&scan_class, options->node};
    scan->schema = options->decoded->schema;
    if (options->decoded != options->node)
        scan->text = (TextOptions){.has_separator = true, .separator = options->decoded->function.text[0]};
    scan->budget = options->budget;
    scan->chunk_rows_max = options->chunk_rows_max;
    scan->worker_count = options->worker_count;
    scan->workers = xcalloc(options->worker_count, sizeof *scan->workers);
    *out = &scan->producer;
    return STATUS_OK;
}

ScanStats scan_stats(const Producer *producer) {
    const Scan *scan = (const Scan *)producer;
    ScanStats sum = {0};
    for (uint32_t w = 0; w < scan->worker_count; w++) {
        sum.row_count += scan->workers[w].stats.row_count;
        sum.text_bytes += scan->workers[w].stats.text_bytes;
    }
    return sum;
}
