/* model.c - see model.h. Rows are kept as lines of text, as they are recorded; memory is an arena's. */
#include "sim/model.h"

#include "base/map.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Rows {
    Str *rows;
    size_t count, capacity;
} Rows;

/* A batch time, and what counts of what was recorded for it. */
typedef struct Batch {
    int64_t time_ms;
    const Record **records; /* all there are, in the order of calls */
    size_t record_count;
    const Record *landed[NODE_MAX]; /* the first record that counts and has not failed */
    Rows rows[NODE_MAX];            /* by the model */
} Batch;

typedef struct Model {
    const Job *job;
    const Ledger *ledger;
    const Ending *endings;
    ModelFinding *finding;
    ModelCounts *counts;
    Arena *arena;
    const Record **records; /* by batch time, then in the order of calls */
    Batch *batches;
    size_t batch_count;
    int64_t zero_time_ms;
    /* RUNNING: key to total, as a number in the pointer; SUBTRACTING: the keys ever seen; COUNT_BY_WINDOW: not
     * empty when there was a row. */
    Map state[NODE_MAX];
} Model;

/* ---- rows ---- */

static void rows_add(Model *model, Rows *rows, Str row) {
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 16;
        Str *more = arena_alloc(model->arena, capacity * sizeof *more);
        if (rows->count > 0)
            memcpy(more, rows->rows, rows->count * sizeof *more);
        rows->rows = more;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = row;
}

static Str keep(Model *model, Str bytes) {
    Str kept = {0};
    Status st = arena_copy(model->arena, bytes, &kept, NULL);
    ASSERT(st == STATUS_OK);
    return kept;
}

static void rows_add_pair(Model *model, Rows *rows, Str key, int64_t n) {
    char number[32];
    int size = snprintf(number, sizeof number, "\t%" PRId64, n);
    char *bytes = arena_alloc(model->arena, key.size + (size_t)size);
    memcpy(bytes, key.data, key.size);
    memcpy(bytes + key.size, number, (size_t)size);
    rows_add(model, rows, str_slice(bytes, key.size + (size_t)size));
}

static bool next_line(Str *rest, Str *line) {
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    *line = str_slice(rest->data, (size_t)(end - rest->data));
    *rest = str_slice(end + 1, rest->size - line->size - 1);
    return true;
}

static Rows rows_of(Model *model, Str text) {
    Rows rows = {0};
    for (Str line; next_line(&text, &line);)
        rows_add(model, &rows, line);
    return rows;
}

static Str key_of(Str row) {
    const char *tab = memchr(row.data, '\t', row.size);
    return tab ? str_slice(row.data, (size_t)(tab - row.data)) : row;
}

static int64_t n_of(Str row) {
    char number[32];
    Str key = key_of(row);
    ASSERT(row.size > key.size && row.size - key.size - 1 < sizeof number);
    memcpy(number, row.data + key.size + 1, row.size - key.size - 1);
    number[row.size - key.size - 1] = '\0';
    return strtoll(number, NULL, 10);
}

static int compare_rows(const void *a, const void *b) {
    return str_compare(*(const Str *)a, *(const Str *)b);
}

/* ---- findings ---- */

static void found(Model *model, int64_t batch_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void found(Model *model, int64_t batch_ms, const char *format, ...) {
    ModelFinding *finding = model->finding;
    if (finding->is_wrong) /* the first one is told */
        return;
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    finding->is_wrong = true;
    finding->batch_ms = batch_ms;
    text_append(&finding->text, str_from(text));
}

static int shown(Str row) {
    return row.size < 120 ? (int)row.size : 120;
}

/* ---- which records count (O2) ---- */

static int compare_records(const void *a, const void *b) {
    const Record *x = *(const Record *const *)a, *y = *(const Record *const *)b;
    if (x->batch_ms != y->batch_ms)
        return x->batch_ms < y->batch_ms ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static void collect_batches(Model *model) {
    size_t count = 0;
    model->records = xcalloc(model->ledger->record_count + 1, sizeof *model->records);
    for (const Record *record = model->ledger->records; record; record = record->next)
        model->records[count++] = record;
    qsort(model->records, count, sizeof *model->records, compare_records);
    model->batches = xcalloc(count + 1, sizeof *model->batches);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || model->records[i]->batch_ms != model->records[i - 1]->batch_ms)
            model->batches[model->batch_count++] =
                (Batch){.time_ms = model->records[i]->batch_ms, .records = &model->records[i]};
        model->batches[model->batch_count - 1].record_count++;
    }
    model->counts->batches += model->batch_count;
    int64_t interval_ms = model->job->interval_ms;
    if (count > 0) /* that of zero time and one interval is the first, and left out as little as any */
        model->zero_time_ms = model->batches[0].time_ms - interval_ms;
    for (size_t i = 0; i < model->batch_count; i++) {
        int64_t time_ms = model->batches[i].time_ms;
        if (time_ms % interval_ms != 0)
            found(model, time_ms, "the batch time is not on the grid of %" PRId64 " ms", interval_ms);
        if (i > 0 && time_ms - model->batches[i - 1].time_ms != interval_ms)
            found(model, time_ms, "the batch before it is that of %" PRId64 " ms: times are left out",
                  model->batches[i - 1].time_ms);
    }
}

/* Did the taps of all sources show nothing in what life `life` ran of the batch? */
static bool is_without_input(const Model *model, const Batch *batch, uint32_t life) {
    for (size_t i = 0; i < batch->record_count; i++) {
        const Record *record = batch->records[i];
        if (record->life == life && is_source(model->job->nodes[record->node].kind) && record->size > 0)
            return false;
    }
    return true;
}

static bool is_same(const Record *a, const Record *b) {
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Did a life behind `life` give other rows of the batch than one up to it? */
static bool has_changed_behind(const Batch *batch, uint32_t life) {
    for (size_t i = 0; i < batch->record_count; i++) {
        const Record *a = batch->records[i];
        for (size_t j = i + 1; a->life <= life && j < batch->record_count; j++) {
            const Record *b = batch->records[j];
            if (b->life > life && b->node == a->node && !is_same(a, b))
                return true;
        }
    }
    return false;
}

/* A batch that held nothing may come again with something after a power cut, for it was not synced. Lives up
 * to the one given back do not count for this batch. */
static uint32_t forgotten_upto(const Model *model, const Batch *batch, uint32_t last_life) {
    uint32_t forgotten = 0;
    for (uint32_t life = 1; life < last_life && is_without_input(model, batch, life); life++)
        if (model->endings[life].is_power_cut && has_changed_behind(batch, life))
            forgotten = life;
    return forgotten;
}

/* The number of a batch on the grid. */
static int64_t number_of(const Model *model, const Batch *batch) {
    return (batch->time_ms - model->zero_time_ms) / model->job->interval_ms;
}

/* Windows are at multiples of their slide, counted from zero time. */
static bool has_batch(const Model *model, const Batch *batch, int node) {
    return number_of(model, batch) % model->job->nodes[node].slide == 0;
}

/* Did it have to be known in life `later` that the output has landed in `life`? */
static bool is_remembered(const Model *model, uint32_t life, uint32_t later) {
    bool is_known = model->endings[life].is_well;
    for (; life < later; life++)
        is_known = is_known && !model->endings[life].is_power_cut;
    return is_known;
}

static void choose_records(Model *model, Batch *batch) {
    uint32_t last_life = batch->records[batch->record_count - 1]->life;
    uint32_t forgotten = forgotten_upto(model, batch, last_life);
    const Record *first[NODE_MAX] = {0};
    for (size_t i = 0; i < batch->record_count; i++) {
        const Record *record = batch->records[i];
        if (record->life <= forgotten)
            continue;
        const Record *before = first[record->node];
        char name[32];
        node_name(model->job, record->node, name);
        if (!before) {
            first[record->node] = record;
        } else {
            model->counts->repeats++;
            if (!is_same(before, record)) {
                Str a = str_slice(before->bytes, before->size), b = str_slice(record->bytes, record->size),
                    x = {0}, y = {0};
                bool has_a, has_b;
                do {
                    has_a = next_line(&a, &x);
                    has_b = next_line(&b, &y);
                } while (has_a && has_b && str_equal(x, y));
                found(model, batch->time_ms,
                      "output %s: life %u gave other rows than life %u: first '%.*s', then '%.*s'", name,
                      record->life, before->life, has_a ? shown(x) : 9, has_a ? x.data : "(nothing)",
                      has_b ? shown(y) : 9, has_b ? y.data : "(nothing)");
            }
        }
        const Record *landed = batch->landed[record->node];
        if (landed && (landed->life == record->life || is_remembered(model, landed->life, record->life)))
            found(model, batch->time_ms, "output %s was given the batch by life %u, and again by life %u",
                  name, landed->life, record->life);
        if (!record->has_failed)
            batch->landed[record->node] = record;
    }
    for (int i = 0; i < model->job->node_count; i++) {
        char name[32];
        if (first[i] && !has_batch(model, batch, i))
            found(model, batch->time_ms, "output %s was given a batch that is not on its slide",
                  node_name(model->job, i, name));
        if (model->job->nodes[i].has_output && has_batch(model, batch, i) && !batch->landed[i])
            found(model, batch->time_ms, "output %s was never given the batch, or it has never landed there",
                  node_name(model->job, i, name));
    }
}

/* ---- the sources (O3) ---- */

static void check_function(Model *model, const Batch *batch, int node, Str rows) {
    uint64_t calls = ledger_calls(model->ledger, node, batch->time_ms);
    char name[32];
    Text text = {0};
    for (uint64_t call = 1; call <= calls; call++) {
        text_reset(&text);
        job_function_rows(model->job, node, batch->time_ms, call, &text);
        if (str_equal(text_str(&text), rows)) {
            text_deinit(&text);
            return;
        }
    }
    text_deinit(&text);
    found(model, batch->time_ms, "%s: the batch holds rows that none of %" PRIu64 " calls gave",
          node_name(model->job, node, name), calls);
}

/* "f3-7 ...": 7 of 3; false: it is no such line. */
static bool parse_line(Str line, char kind, uint64_t *id, uint64_t *number) {
    char text[48], found_kind;
    snprintf(text, sizeof text, "%.*s", line.size < 47 ? (int)line.size : 47, line.data);
    return sscanf(text, "%c%" SCNu64 "-%" SCNu64, &found_kind, id, number) == 3 && found_kind == kind;
}

typedef struct FileProgress {
    int64_t batch_ms; /* 0: not seen */
    uint64_t next;
} FileProgress;

static void check_files(Model *model, const Batch *batch, int node, Rows rows, FileProgress *files) {
    Text text = {0};
    for (size_t i = 0; i < rows.count; i++) {
        uint64_t id, number;
        if (!parse_line(rows.rows[i], 'f', &id, &number) || id >= model->ledger->file_count ||
            model->ledger->files[id].node != node) {
            found(model, batch->time_ms, "files: a line that is in no file of the source: '%.*s'",
                  shown(rows.rows[i]), rows.rows[i].data);
            continue;
        }
        text_reset(&text);
        job_line(model->job, 'f', id, number, &text);
        FileProgress *file = &files[id];
        if (!str_equal(text_str(&text), rows.rows[i]))
            found(model, batch->time_ms,
                  "files: line %" PRIu64 " of file %" PRIu64 " has other bytes: '%.*s'", number, id,
                  shown(rows.rows[i]), rows.rows[i].data);
        else if (number != file->next || (file->batch_ms != 0 && file->batch_ms != batch->time_ms))
            found(model, batch->time_ms,
                  "files: line %" PRIu64 " of file %" PRIu64 ", where line %" PRIu64
                  " was to come; the file began in batch %" PRId64 " ms",
                  number, id, file->next, file->batch_ms);
        file->batch_ms = batch->time_ms;
        file->next = number + 1;
    }
    text_deinit(&text);
}

/* O5 */
static void check_all_files(Model *model, const FileProgress *files) {
    for (uint32_t id = 0; id < model->ledger->file_count; id++) {
        bool ends_open;
        uint64_t lines = job_file_lines(model->job, id, &ends_open);
        if (files[id].next != lines && (files[id].next > 0 || model->ledger->files[id].is_durable))
            found(model, files[id].batch_ms,
                  "files: %" PRIu64 " of %" PRIu64 " lines of file %u have come out", files[id].next, lines,
                  id);
    }
}

typedef struct ConnectionProgress {
    uint64_t next;
    bool is_cut; /* its last line was not whole: nothing may follow */
} ConnectionProgress;

static void check_socket(Model *model, const Batch *batch, int node, Rows rows,
                         ConnectionProgress *connections) {
    Text text = {0};
    uint64_t id = UINT64_MAX, number = 0;
    for (size_t i = 0; i < rows.count; i++) {
        Str row = rows.rows[i];
        uint64_t last_id = id;
        if (!parse_line(row, 'c', &id, &number)) {
            /* Less than "c3-7" may be left of a line: of which connection, only the next lines could tell. */
            if (row.size < 8 && row.data[0] == 'c') {
                id = last_id;
                continue;
            }
            found(model, batch->time_ms, "socket: a line that nobody has sent: '%.*s'", shown(row), row.data);
            continue;
        }
        if (id >= model->ledger->connection_count || model->ledger->connections[id].node != node) {
            found(model, batch->time_ms, "socket: a line of a connection that there was not: '%.*s'",
                  shown(row), row.data);
            continue;
        }
        ConnectionProgress *connection = &connections[id];
        text_reset(&text);
        job_line(model->job, 'c', id, connection->next, &text);
        bool is_whole = str_equal(text_str(&text), row), is_begun = str_starts_with(text_str(&text), row);
        if (connection->is_cut || !is_begun)
            found(model, batch->time_ms,
                  "socket: connection %" PRIu64 " was to go on with line %" PRIu64
                  " '%.*s', here is '%.*s'%s",
                  id, connection->next, shown(text_str(&text)), text.data, shown(row), row.data,
                  connection->is_cut ? ", behind a line that was cut" : "");
        connection->is_cut = !is_whole;
        connection->next++;
    }
    text_deinit(&text);
}

/* ---- the operators (O1) ---- */

static void upper(Model *model, Rows *out, Str row) {
    char *bytes = arena_alloc(model->arena, row.size + 1);
    for (size_t i = 0; i < row.size; i++)
        bytes[i] = row.data[i] >= 'a' && row.data[i] <= 'z' ? (char)(row.data[i] - 'a' + 'A') : row.data[i];
    rows_add(model, out, str_slice(bytes, row.size));
}

/* The parts between blanks; of one with a size for each. */
static void split(Model *model, Rows *out, Str row, bool with_size) {
    for (size_t begin = 0; begin <= row.size;) {
        size_t end = begin;
        while (end < row.size && row.data[end] != ' ')
            end++;
        Str part = str_slice(row.data + begin, end - begin);
        if (with_size)
            rows_add_pair(model, out, part, (int64_t)row.size);
        else
            rows_add(model, out, part);
        begin = end + 1;
    }
}

static int64_t reduced(NodeKind kind, int64_t a, int64_t b) {
    switch (kind) {
    case SUM_BY_KEY:
    case RUNNING:
        return a + b;
    case MIN_BY_KEY:
        return a < b ? a : b;
    case MAX_BY_KEY:
    case GREATEST:
        return a > b ? a : b;
    default:
        return a ^ b; /* MIX_BY_KEY */
    }
}

/* Key to number, as pointers. */
static void fold_by_key(Map *map, NodeKind kind, Rows in) {
    for (size_t i = 0; i < in.count; i++) {
        Str key = key_of(in.rows[i]);
        int64_t n = n_of(in.rows[i]);
        if (map_contains(map, key))
            n = reduced(kind, (int64_t)(intptr_t)map_find(map, key), n);
        map_put(map, key, (void *)(intptr_t)n);
    }
}

static void give_map(Model *model, const Map *map, Rows *out) {
    for (uint32_t i = 0; i < map->count; i++)
        rows_add_pair(model, out, keep(model, map->entries[i].key), (int64_t)(intptr_t)map->entries[i].value);
}

static void update_state(Model *model, Map *state, int64_t parameter, Rows in, Rows *out) {
    Map batch = {0};
    fold_by_key(&batch, RUNNING, in);
    for (uint32_t i = 0; i < batch.count; i++) {
        Str key = batch.entries[i].key;
        int64_t total = (int64_t)(intptr_t)batch.entries[i].value;
        if (map_contains(state, key))
            total += (int64_t)(intptr_t)map_find(state, key);
        if (total % parameter == 0)
            (void)map_remove(state, key);
        else
            map_put(state, key, (void *)(intptr_t)total);
    }
    map_deinit(&batch);
    give_map(model, state, out);
}

typedef struct KeyTotal {
    int64_t total, last_ms; /* of the last record */
} KeyTotal;

static void map_with_state(Model *model, const Batch *batch, int i, Rows in, Rows *out) {
    const Node *node = &model->job->nodes[i];
    Map *state = &model->state[i];
    for (size_t row = 0; row < in.count; row++) {
        Str key = key_of(in.rows[row]);
        int64_t n = n_of(in.rows[row]);
        KeyTotal *total = map_find(state, key);
        if (!total) {
            total = arena_alloc(model->arena, sizeof *total);
            *total = (KeyTotal){0};
            map_put(state, key, total);
        }
        total->total += n;
        total->last_ms = batch->time_ms;
        if (node->kind == MAP_STATE)
            rows_add_pair(model, out, key, 3 * n + node->parameter);
    }
    bool is_due = node->length > 0 && number_of(model, batch) % node->check == 0;
    for (uint32_t key = 0; is_due && key < state->count;) {
        const KeyTotal *total = state->entries[key].value;
        if (batch->time_ms - total->last_ms <= node->length * model->job->interval_ms) {
            key++;
            continue;
        }
        Str name = keep(model, state->entries[key].key);
        if (node->kind == MAP_STATE)
            rows_add_pair(model, out, name, timed_out(total->total));
        (void)map_remove(state, name);
    }
    for (uint32_t key = 0; node->kind == SNAPSHOTS && key < state->count; key++) {
        const KeyTotal *total = state->entries[key].value;
        rows_add_pair(model, out, keep(model, state->entries[key].key), total->total);
    }
}

static void greatest(Model *model, Shape shape, Rows in, Rows *out) {
    if (in.count == 0)
        return;
    Str best = key_of(in.rows[0]);
    int64_t n = shape == PAIRS ? n_of(in.rows[0]) : 0;
    for (size_t i = 1; i < in.count; i++) { /* column by column */
        if (str_compare(key_of(in.rows[i]), best) > 0)
            best = key_of(in.rows[i]);
        if (shape == PAIRS)
            n = reduced(GREATEST, n, n_of(in.rows[i]));
    }
    if (shape == PAIRS)
        rows_add_pair(model, out, best, n);
    else
        rows_add(model, out, best);
}

static void distinct(Model *model, Rows in, Rows *out) {
    Map seen = {0};
    for (size_t i = 0; i < in.count; i++) {
        if (map_contains(&seen, in.rows[i]))
            continue;
        map_put(&seen, in.rows[i], NULL);
        rows_add(model, out, in.rows[i]);
    }
    map_deinit(&seen);
}

/* Every column descending. */
static int compare_falling(const void *a, const void *b) {
    Str x = *(const Str *)a, y = *(const Str *)b;
    int order = str_compare(key_of(y), key_of(x));
    if (order != 0 || key_of(x).size == x.size)
        return order;
    return n_of(x) < n_of(y) ? 1 : n_of(x) > n_of(y) ? -1 : 0;
}

static void top(Model *model, Rows in, int64_t count, Rows *out) {
    Rows sorted = {0};
    for (size_t i = 0; i < in.count; i++)
        rows_add(model, &sorted, in.rows[i]);
    if (sorted.count > 0)
        qsort(sorted.rows, sorted.count, sizeof *sorted.rows, compare_falling);
    for (size_t i = 0; i < sorted.count && i < (size_t)count; i++)
        rows_add(model, out, sorted.rows[i]);
}

static void count_by_value(Model *model, Rows in, Rows *out) {
    Map counts = {0};
    for (size_t i = 0; i < in.count; i++)
        map_put(&counts, in.rows[i], (void *)((intptr_t)map_find(&counts, in.rows[i]) + 1));
    give_map(model, &counts, out);
    map_deinit(&counts);
}

/* Sums and counts of the values of a key on both sides. */
typedef struct Lists {
    int64_t sums[2], counts[2];
} Lists;

static void lists(Model *model, Rows left, Rows right, Rows *out) {
    Map keys = {0};
    const Rows sides[2] = {left, right};
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < sides[side].count; i++) {
            Str key = key_of(sides[side].rows[i]);
            Lists *of_key = map_find(&keys, key);
            if (!of_key) {
                of_key = arena_alloc(model->arena, sizeof *of_key);
                *of_key = (Lists){0};
                map_put(&keys, key, of_key);
            }
            of_key->sums[side] += n_of(sides[side].rows[i]);
            of_key->counts[side]++;
        }
    }
    for (uint32_t i = 0; i < keys.count; i++) {
        const Lists *l = keys.entries[i].value;
        rows_add_pair(model, out, keep(model, keys.entries[i].key),
                      grouped(l->sums[0], l->counts[0], l->sums[1], l->counts[1]));
    }
    map_deinit(&keys);
}

static bool has_key(Rows rows, Str key) {
    for (size_t i = 0; i < rows.count; i++)
        if (str_equal(key_of(rows.rows[i]), key))
            return true;
    return false;
}

static void join(Model *model, NodeKind kind, Rows left, Rows right, Rows *out) {
    for (size_t i = 0; i < left.count; i++) {
        Str key = key_of(left.rows[i]);
        bool has_found = false;
        for (size_t j = 0; j < right.count; j++) {
            if (!str_equal(key_of(right.rows[j]), key))
                continue;
            rows_add_pair(model, out, key, joined(n_of(left.rows[i]), n_of(right.rows[j])));
            has_found = true;
        }
        if (!has_found && (kind == LEFT_JOIN || kind == FULL_JOIN))
            rows_add_pair(model, out, key, joined(n_of(left.rows[i]), ABSENT));
    }
    for (size_t j = 0; (kind == RIGHT_JOIN || kind == FULL_JOIN) && j < right.count; j++)
        if (!has_key(left, key_of(right.rows[j])))
            rows_add_pair(model, out, key_of(right.rows[j]), joined(ABSENT, n_of(right.rows[j])));
}

/* The rows of a window's input in (T - length, T]. */
static Rows window_of(Model *model, const Batch *batch, const Node *node) {
    Rows rows = {0};
    for (const Batch *past = model->batches; past <= batch; past++) {
        if (past->time_ms <= batch->time_ms - node->length * model->job->interval_ms)
            continue;
        for (size_t i = 0; i < past->rows[node->a].count; i++)
            rows_add(model, &rows, past->rows[node->a].rows[i]);
    }
    return rows;
}

/* The sum of a window; a key that was ever there stays. */
static void subtracting(Model *model, int i, Rows in, Rows *out) {
    Map *keys = &model->state[i], sums = {0};
    for (size_t row = 0; row < in.count; row++)
        map_put(keys, key_of(in.rows[row]), NULL);
    fold_by_key(&sums, SUM_BY_KEY, in);
    for (uint32_t key = 0; key < keys->count; key++)
        rows_add_pair(model, out, keep(model, keys->entries[key].key),
                      (int64_t)(intptr_t)map_find(&sums, keys->entries[key].key));
    map_deinit(&sums);
}

static bool contains(Str row, char digit) {
    return memchr(row.data, digit, row.size) != NULL;
}

static Rows compute(Model *model, const Batch *batch, int i) {
    const Node *node = &model->job->nodes[i];
    Rows out = {0}, in = batch->rows[node->a], other = node->b >= 0 ? batch->rows[node->b] : out;
    if (is_window(node->kind))
        in = window_of(model, batch, node);
    if (is_join(node->kind) && node->kind != COGROUP && model->job->big_batch_one_in > 0) { /* left_side */
        Map sums = {0};
        fold_by_key(&sums, SUM_BY_KEY, in);
        in = (Rows){0};
        give_map(model, &sums, &in);
        map_deinit(&sums);
    }
    switch (node->kind) {
    case SPLIT:
    case SCORE:
        for (size_t row = 0; row < in.count; row++)
            split(model, &out, in.rows[row], node->kind == SCORE);
        break;
    case UPPER:
        for (size_t row = 0; row < in.count; row++)
            upper(model, &out, in.rows[row]);
        break;
    case CONTAINS:
        for (size_t row = 0; row < in.count; row++)
            if (contains(in.rows[row], (char)('0' + node->parameter)))
                rows_add(model, &out, in.rows[row]);
        break;
    case UNION:
        for (size_t row = 0; row < in.count; row++)
            rows_add(model, &out, in.rows[row]);
        for (size_t row = 0; row < other.count; row++)
            rows_add(model, &out, other.rows[row]);
        break;
    case PAIR:
        for (size_t row = 0; row < in.count; row++)
            rows_add_pair(model, &out, in.rows[row], node->parameter);
        break;
    case TWICE:
        for (size_t row = 0; row < in.count; row++)
            rows_add_pair(model, &out, key_of(in.rows[row]), 2 * n_of(in.rows[row]) + node->parameter);
        break;
    case SOME:
        for (size_t row = 0; row < in.count; row++)
            if (n_of(in.rows[row]) % node->parameter != 0)
                rows_add(model, &out, in.rows[row]);
        break;
    case SUM_BY_KEY:
    case MIN_BY_KEY:
    case MAX_BY_KEY:
    case MIX_BY_KEY: {
        Map map = {0};
        fold_by_key(&map, node->kind, in);
        give_map(model, &map, &out);
        map_deinit(&map);
        break;
    }
    case COMBINE:
        lists(model, in, (Rows){0}, &out);
        break;
    case MAP_STATE:
    case SNAPSHOTS:
        map_with_state(model, batch, i, in, &out);
        break;
    case RUNNING_ON:
        if (number_of(model, batch) == node->slide) /* the first one that there ever is */
            for (int64_t word = 0; word < node->parameter; word++)
                map_put(&model->state[i], str_from(job_word((uint64_t)word)), (void *)(intptr_t)word);
        update_state(model, &model->state[i], node->parameter, in, &out);
        break;
    case RUNNING:
        update_state(model, &model->state[i], node->parameter, in, &out);
        break;
    case SUM_BY_WINDOW:
    case MAX_BY_WINDOW: {
        Map map = {0};
        fold_by_key(&map, node->kind == SUM_BY_WINDOW ? SUM_BY_KEY : MAX_BY_KEY, in);
        give_map(model, &map, &out);
        map_deinit(&map);
        break;
    }
    case DISTINCT:
        distinct(model, in, &out);
        break;
    case TOP:
        top(model, in, node->parameter, &out);
        break;
    case COUNT_BY_VALUE:
    case COUNT_BY_VALUE_AND_WINDOW:
        count_by_value(model, in, &out);
        break;
    case MAP_VALUES:
        for (size_t row = 0; row < in.count; row++)
            rows_add_pair(model, &out, key_of(in.rows[row]), 3 * n_of(in.rows[row]) + node->parameter);
        break;
    case FLAT_MAP_VALUES:
        for (size_t row = 0; row < in.count; row++) {
            int64_t n = n_of(in.rows[row]);
            rows_add_pair(model, &out, key_of(in.rows[row]), n);
            if (n % 2 != 0)
                rows_add_pair(model, &out, key_of(in.rows[row]), n + 1);
        }
        break;
    case GROUP:
    case GROUP_BY_WINDOW:
        lists(model, in, (Rows){0}, &out);
        break;
    case COGROUP:
        lists(model, in, other, &out);
        break;
    case JOIN:
    case LEFT_JOIN:
    case RIGHT_JOIN:
    case FULL_JOIN:
        join(model, node->kind, in, other, &out);
        break;
    case SORTED:
    case WINDOW:
        return in;
    case SUBTRACTING:
        subtracting(model, i, in, &out);
        break;
    case COUNT_BY_WINDOW:
        if (in.count > 0)
            map_put(&model->state[i], STR("first"), NULL);
        if (model->state[i].count > 0)
            rows_add_pair(model, &out, STR(""), (int64_t)in.count);
        break;
    case COUNT:
        rows_add_pair(model, &out, STR(""), (int64_t)in.count);
        break;
    case GREATEST:
    case GREATEST_BY_WINDOW:
        greatest(model, node->shape, in, &out);
        break;
    default:
        break;
    }
    return out;
}

/* Compares as multisets: where rows by key stand is the engine's choice. */
static void compare(Model *model, const Batch *batch, int node, Rows got) {
    Rows wanted = {0};
    char name[32];
    for (size_t i = 0; i < batch->rows[node].count; i++)
        rows_add(model, &wanted, batch->rows[node].rows[i]);
    if (wanted.count > 0)
        qsort(wanted.rows, wanted.count, sizeof *wanted.rows, compare_rows);
    if (got.count > 0)
        qsort(got.rows, got.count, sizeof *got.rows, compare_rows);
    size_t at = 0;
    while (at < got.count && at < wanted.count && str_equal(got.rows[at], wanted.rows[at]))
        at++;
    model->counts->outputs_compared++;
    model->counts->rows_compared += got.count;
    if (at == got.count && at == wanted.count)
        return;
    Str nothing = STR("(nothing)"), g = at < got.count ? got.rows[at] : nothing,
        w = at < wanted.count ? wanted.rows[at] : nothing;
    found(
        model, batch->time_ms,
        "output %s (life %u): %zu rows, %zu expected; sorted, the first other row is '%.*s', expected '%.*s'",
        node_name(model->job, node, name), batch->landed[node]->life, got.count, wanted.count, shown(g),
        g.data, shown(w), w.data);
}

static void check_sorted(Model *model, const Batch *batch, int node, Rows got) {
    char name[32];
    for (size_t i = 1; i < got.count; i++)
        if (str_compare(key_of(got.rows[i - 1]), key_of(got.rows[i])) > 0)
            found(model, batch->time_ms, "output %s: '%.*s' stands before '%.*s'",
                  node_name(model->job, node, name), shown(got.rows[i - 1]), got.rows[i - 1].data,
                  shown(got.rows[i]), got.rows[i].data);
}

static void check_batch(Model *model, Batch *batch, FileProgress *files, ConnectionProgress *connections) {
    for (int i = 0; i < model->job->node_count; i++) {
        const Record *record = batch->landed[i];
        Str text = record ? str_slice(record->bytes, record->size) : STR("");
        Rows got = rows_of(model, text);
        switch (model->job->nodes[i].kind) {
        case FUNCTION_LINES:
        case FUNCTION_PAIRS:
            check_function(model, batch, i, text);
            batch->rows[i] = got;
            break;
        case FILES:
            check_files(model, batch, i, got, files);
            batch->rows[i] = got;
            break;
        case SOCKET:
            check_socket(model, batch, i, got, connections);
            batch->rows[i] = got;
            break;
        default:
            if (!has_batch(model, batch, i))
                break;
            batch->rows[i] = compute(model, batch, i);
            if (model->job->nodes[i].kind == SORTED)
                check_sorted(model, batch, i, got);
            if (model->job->nodes[i].has_output)
                compare(model, batch, i, got);
            break;
        }
    }
}

void model_check(const Job *job, const Ledger *ledger, const Ending *endings, ModelFinding *finding,
                 ModelCounts *counts) {
    Model model = {.job = job,
                   .ledger = ledger,
                   .endings = endings,
                   .finding = finding,
                   .counts = counts,
                   .arena = arena_create(NULL, "model")};
    static FileProgress files[FILE_MAX];
    static ConnectionProgress connections[CONNECTION_MAX];
    memset(files, 0, sizeof files);
    memset(connections, 0, sizeof connections);
    collect_batches(&model);
    for (size_t i = 0; i < model.batch_count && !finding->is_wrong; i++) {
        choose_records(&model, &model.batches[i]);
        if (!finding->is_wrong)
            check_batch(&model, &model.batches[i], files, connections);
    }
    if (!finding->is_wrong)
        check_all_files(&model, files);
    for (int i = 0; i < NODE_MAX; i++)
        map_deinit(&model.state[i]);
    free(model.batches);
    free(model.records);
    arena_destroy(model.arena);
}
