/* rows.c - see rows.h; and leat_rows.
 *
 * A plan of this source has no bytes: what it gives depends on nothing. */
#include "dstream/rows.h"

#include "column/builder.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct RowsSource {
    Source source;
    BatchData rows;
} RowsSource;

CHECKED static Status rows_open(Source *source, const SourceServices *services, Error *err) {
    (void)source;
    (void)services;
    (void)err;
    return STATUS_OK;
}

CHECKED static Status rows_restore(Source *source, Str saved, Error *err) {
    (void)source;
    (void)saved;
    (void)err;
    return STATUS_OK;
}

CHECKED static Status rows_replay(Source *source, int64_t batch_time_ms, Str plan, Error *err) {
    (void)source;
    (void)batch_time_ms;
    (void)plan;
    (void)err;
    return STATUS_OK;
}

CHECKED static Status rows_start(Source *source, Error *err) {
    (void)source;
    (void)err;
    return STATUS_OK;
}

CHECKED static Status rows_plan(Source *source, int64_t batch_time_ms, Text *plan, bool *has_batch,
                                Error *err) {
    (void)source;
    (void)batch_time_ms;
    (void)plan;
    (void)err;
    *has_batch = true;
    return STATUS_OK;
}

CHECKED static Status rows_read(Source *source, int64_t batch_time_ms, Str plan, SplitList *splits,
                                Error *err) {
    (void)batch_time_ms;
    (void)plan;
    (void)err;
    batch_data_splits(&((RowsSource *)source)->rows, splits);
    return STATUS_OK;
}

static void rows_done(Source *source, int64_t batch_time_ms) {
    (void)source;
    (void)batch_time_ms;
}

static void rows_save(Source *source, Text *out) {
    (void)source;
    (void)out;
}

static void rows_stop(Source *source) {
    (void)source;
}

static bool rows_have_more(Source *source) {
    (void)source;
    return false;
}

static void rows_close(Source *source) {
    (void)source;
}

static void rows_destroy(Source *source) {
    batch_data_deinit(&((RowsSource *)source)->rows);
    free(source->description);
    free(source);
}

static const BatchData *rows_constant(Source *source) {
    return &((RowsSource *)source)->rows;
}

static void rows_describe_plan(Str plan, Text *out) {
    (void)plan;
    text_append(out, STR("the same rows as always"));
}

static const SourceClass rows_class = {.kind = "rows",
                                       .open = rows_open,
                                       .restore = rows_restore,
                                       .replay = rows_replay,
                                       .start = rows_start,
                                       .plan = rows_plan,
                                       .read = rows_read,
                                       .done = rows_done,
                                       .save = rows_save,
                                       .stop = rows_stop,
                                       .has_more = rows_have_more,
                                       .close = rows_close,
                                       .destroy = rows_destroy,
                                       .constant_rows = rows_constant,
                                       .describe_plan = rows_describe_plan};

LeatStream *stream_from_rows(LeatContext *context, const char *call, const Schema *schema, BatchData data) {
    RowsSource *rows = xcalloc(1, sizeof *rows);
    *rows = (RowsSource){{.class = &rows_class}, data};
    Text description = {0};
    text_appendf(&description, "%" PRIu64 " rows of %s", data.row_count, call);
    rows->source.description = xstrdup(text_str(&description));
    text_deinit(&description);
    return stream_from_source(context, call, &rows->source, schema, false);
}

Status rows_add(BatchData *rows, const Chunk *chunk, Error *err) {
    if (chunk->selected_count == 0)
        return STATUS_OK;
    SharedChunk *shared;
    TRY(chunk_share(chunk, NULL, "rows", &shared, err));
    bool is_full = rows->partition_count == 0 ||
                   rows->partitions[rows->partition_count - 1].chunk_count == ROWS_CHUNKS_PER_PARTITION;
    if (is_full) {
        rows->partitions = xrealloc(rows->partitions, (rows->partition_count + 1) * sizeof *rows->partitions);
        rows->partitions[rows->partition_count++] = (BatchPartition){0};
    }
    batch_partition_add(&rows->partitions[rows->partition_count - 1], shared);
    rows->row_count += chunk->selected_count;
    return STATUS_OK;
}

/* ---- rows of a function ---- */

CHECKED static Status take_rows(Builder *builder, BatchData *rows, Error *err) {
    Chunk chunk;
    TRY(builder_take_out(builder, &chunk, err));
    return rows_add(rows, &chunk, err);
}

static void on_flush(Builder *builder, void *rows) {
    Error err = {0};
    Status st = take_rows(builder, rows, &err);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &err);
}

CHECKED static Status call_function(const Schema *schema, LeatRowsFunction function, void *user,
                                    BatchData *rows, Error *err) {
    Status st = STATUS_OK;
    Builder *builder;
    TRY(builder_create(schema, NULL, "leat_rows", &builder, err));
    bool is_done = function(builder_out_begin(builder, NULL, on_flush, rows), user);
    TRY_GOTO(done, builder_out_status(builder, err));
    TRY_GOTO(done, take_rows(builder, rows, err));
    if (!is_done)
        st = error_set(err, STATUS_INVALID, "the function returned false");
done:
    builder_destroy(builder);
    return st;
}

LeatStream *leat_rows(LeatContext *context, const char *schema_text, LeatRowsFunction function, void *user) {
    const char *call = "leat_rows";
    const Schema *schema = context_source_schema(context, call, schema_text);
    if (!schema)
        return NULL;
    if (!function)
        return context_refuse(context, STATUS_INVALID, "%s: the function is NULL", call);
    BatchData rows = {.schema = schema};
    Error err = {0};
    Status st = call_function(schema, function, user, &rows, &err);
    if (st == STATUS_OK)
        return stream_from_rows(context, call, schema, rows);
    batch_data_deinit(&rows);
    return context_refuse(context, st, "%s: %s", call, err.message);
}
