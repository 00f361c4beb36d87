/* function_source.c - see function_source.h.
 *
 * The plan: u8 version 1, u32 row count, then each row: varint size, its columns as codec_encode_value gives
 * them.
 */
#include "connect/function/function_source.h"

#include "base/bytes.h"
#include "column/arrow.h"
#include "column/codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, HEADER_SIZE = 5, SPLIT_ROWS_MAX = 16 * CHUNK_ROWS_MAX };

typedef struct FunctionSource {
    Source base;
    const Schema *schema;
    LeatBatchFunction function; /* or: */
    LeatArrowFunction arrow_function;
    void *user;
    const SourceServices *services;
    Builder *builder;
    /* of the batch being planned */
    Text *plan;
    Text row;
    uint64_t row_count;
} FunctionSource;

/* ---- planning ---- */

/* They go behind the plan. */
CHECKED static Status append_chunk(FunctionSource *source, const Chunk *chunk, Error *err) {
    for (uint32_t i = 0; i < chunk->selected_count; i++) {
        text_reset(&source->row);
        codec_encode_value(chunk->columns, 0, chunk->schema->column_count, chunk_row(chunk, i), &source->row);
        bytes_put_str(source->plan, text_str(&source->row));
    }
    source->row_count += chunk->selected_count;
    if (source->row_count > UINT32_MAX)
        return error_set(err, STATUS_UNSUPPORTED, "a function stream gives at most %" PRIu32 " rows a batch",
                         UINT32_MAX);
    return STATUS_OK;
}

/* The rows that the function has written so far. */
CHECKED static Status append_rows(FunctionSource *source, Error *err) {
    Chunk chunk;
    TRY(builder_take_out(source->builder, &chunk, err));
    return append_chunk(source, &chunk, err);
}

static void on_flush(Builder *builder, void *self) {
    Error err = {0};
    Status st = append_rows(self, &err);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &err);
}

CHECKED static Status plan_rows(FunctionSource *source, int64_t batch_time_ms, bool *has_batch, Error *err) {
    LeatOut *out = builder_out_begin(source->builder, NULL, on_flush, source);
    *has_batch = source->function(batch_time_ms, out, source->user);
    TRY(builder_out_status(source->builder, err));
    return *has_batch ? append_rows(source, err) : STATUS_OK;
}

CHECKED static Status append_arrow(FunctionSource *source, const ArrowReader *reader, Error *err) {
    uint64_t count = arrow_reader_row_count(reader);
    Builder *builder = source->builder;
    TRY(arrow_reader_check(reader, source->schema, err));
    builder_reset(builder);
    for (uint64_t row = 0; row < count; row++) {
        TRY(arrow_reader_put(reader, row, builder, err));
        builder_end_row(builder);
        if (!builder_is_full(builder) && row + 1 < count)
            continue;
        Chunk chunk;
        builder_chunk(builder, &chunk);
        TRY(append_chunk(source, &chunk, err));
        builder_reset(builder);
    }
    return STATUS_OK;
}

CHECKED static Status plan_arrow(FunctionSource *source, int64_t batch_time_ms, bool *has_batch, Error *err) {
    struct ArrowSchema schema = {.release = NULL};
    struct ArrowArray array = {.release = NULL};
    ArrowReader *reader = NULL;
    Status st = STATUS_OK;
    *has_batch = source->arrow_function(batch_time_ms, &schema, &array, source->user);
    if (*has_batch && (schema.release || array.release)) {
        TRY_GOTO(done, arrow_reader_create(&schema, &array, &reader, err));
        TRY_GOTO(done, append_arrow(source, reader, err));
    }
done:
    arrow_reader_destroy(reader);
    if (schema.release)
        schema.release(&schema);
    if (array.release)
        array.release(&array);
    return st;
}

CHECKED static Status function_plan(Source *base, int64_t batch_time_ms, Text *plan, bool *has_batch,
                                    Error *err) {
    FunctionSource *source = (FunctionSource *)base;
    size_t begin = plan->size;
    source->plan = plan;
    source->row_count = 0;
    bytes_put_u8(plan, VERSION);
    bytes_put_u32(plan, 0);
    Status st = (source->arrow_function ? plan_arrow : plan_rows)(source, batch_time_ms, has_batch, err);
    builder_reset(source->builder);
    if (st != STATUS_OK || !*has_batch) {
        *has_batch = false;
        plan->size = begin;
        return st;
    }
    for (unsigned i = 0; i < 4; i++)
        plan->data[begin + 1 + i] = (char)(source->row_count >> 8 * i); /* little-endian, as bytes_put_u32 */
    return STATUS_OK;
}

/* ---- reading ---- */

CHECKED static Status plan_malformed(Error *err) {
    return error_set(err, STATUS_CORRUPT, "plan of a function stream: malformed");
}

typedef struct RowSplit {
    Split base;
    const Schema *schema;
    char *rows; /* owned: str each */
    Reader reader;
    Builder *builder;
} RowSplit;

CHECKED static Status row_split_open(Split *base, Budget *budget, Error *err) {
    RowSplit *split = (RowSplit *)base;
    split->reader = reader_of(str_slice(split->rows, split->base.size_bytes));
    return builder_create(split->schema, budget, "function stream", &split->builder, err);
}

CHECKED static Status row_split_next_chunk(Split *base, Chunk *chunk, bool *has, Error *err) {
    RowSplit *split = (RowSplit *)base;
    *has = false;
    builder_reset(split->builder);
    while (!builder_is_full(split->builder) && !reader_at_end(&split->reader)) {
        TRY(codec_decode_value(reader_str(&split->reader), split->builder, 0, split->schema->column_count,
                               err));
        builder_end_row(split->builder);
    }
    if (builder_row_count(split->builder) == 0)
        return STATUS_OK;
    builder_chunk(split->builder, chunk);
    *has = true;
    return STATUS_OK;
}

static void row_split_close(Split *base) {
    RowSplit *split = (RowSplit *)base;
    builder_destroy(split->builder);
    split->builder = NULL;
}

static void row_split_destroy(Split *base) {
    RowSplit *split = (RowSplit *)base;
    free(split->rows);
    free(split);
}

static const SplitClass row_split_class = {.open = row_split_open,
                                           .next_chunk = row_split_next_chunk,
                                           .close = row_split_close,
                                           .destroy = row_split_destroy};

/* Checks the sizes of all rows, not what is in them. */
CHECKED static Status plan_check(Str plan, uint32_t *row_count, Error *err) {
    Reader r = reader_of(plan);
    uint8_t version = reader_u8(&r);
    *row_count = reader_u32(&r);
    for (uint32_t i = 0; i < *row_count && !r.failed; i++)
        (void)reader_str(&r);
    return r.failed || version != VERSION || r.offset != r.size ? plan_malformed(err) : STATUS_OK;
}

CHECKED static Status function_read(Source *base, int64_t batch_time_ms, Str plan, SplitList *splits,
                                    Error *err) {
    FunctionSource *source = (FunctionSource *)base;
    uint32_t row_count = 0;
    (void)batch_time_ms;
    TRY(plan_check(plan, &row_count, err));
    uint64_t split_count = source->services->split_count;
    if (split_count == 0)
        split_count = ((uint64_t)row_count + SPLIT_ROWS_MAX - 1) / SPLIT_ROWS_MAX;
    if (split_count > row_count)
        split_count = row_count;
    Reader r = reader_of(plan);
    r.offset = HEADER_SIZE;
    uint64_t row = 0;
    for (uint64_t i = 0; i < split_count; i++) {
        size_t begin = r.offset;
        for (; row < row_count * (i + 1) / split_count; row++)
            (void)reader_str(&r);
        RowSplit *split = xcalloc(1, sizeof *split);
        *split = (RowSplit){.base = {.class = &row_split_class, .size_bytes = r.offset - begin},
                            .schema = source->schema,
                            .rows = xmalloc(r.offset - begin)};
        memcpy(split->rows, plan.data + begin, r.offset - begin);
        split_list_add(splits, &split->base);
    }
    return STATUS_OK;
}

static void function_describe_plan(Str plan, Text *out) {
    uint32_t row_count = 0;
    if (plan_check(plan, &row_count, NULL) != STATUS_OK)
        text_append(out, STR("malformed plan"));
    else
        text_appendf(out, "%" PRIu32 " row%s (%zu bytes)", row_count, row_count == 1 ? "" : "s",
                     plan.size - HEADER_SIZE);
}

/* ---- the rest of SourceClass ---- */

CHECKED static Status function_open(Source *base, const SourceServices *services, Error *err) {
    FunctionSource *source = (FunctionSource *)base;
    for (uint32_t i = 0; i < source->schema->column_count; i++) {
        if (source->function && type_is_nested(source->schema->fields[i].type.kind))
            return error_set(err, STATUS_UNSUPPORTED,
                             "column '%s': functions cannot give values of ARRAY, STRUCT and MAP",
                             source->schema->fields[i].name);
    }
    source->services = services;
    return builder_create(source->schema, services->budget, base->description, &source->builder, err);
}

/* The source keeps nothing between batches but what the function itself keeps. */
CHECKED static Status function_restore(Source *base, Str saved, Error *err) {
    if (saved.size > 0)
        return error_set(err, STATUS_CORRUPT, "%s: malformed saved position", base->description);
    return STATUS_OK;
}

CHECKED static Status function_replay(Source *base, int64_t batch_time_ms, Str plan, Error *err) {
    uint32_t row_count = 0;
    (void)base;
    (void)batch_time_ms;
    return plan_check(plan, &row_count, err);
}

CHECKED static Status function_start(Source *base, Error *err) {
    (void)base;
    (void)err;
    return STATUS_OK;
}

static void function_done(Source *base, int64_t batch_time_ms) {
    (void)base;
    (void)batch_time_ms;
}

static void function_save(Source *base, Text *out) {
    (void)base;
    (void)out;
}

static void function_stop(Source *base) {
    (void)base;
}

static bool function_has_more(Source *base) {
    (void)base;
    return false;
}

static void function_close(Source *base) {
    FunctionSource *source = (FunctionSource *)base;
    builder_destroy(source->builder);
    source->builder = NULL;
    text_deinit(&source->row);
}

static void function_destroy(Source *base) {
    free(base->description);
    free(base);
}

const SourceClass function_source_class = {.kind = "function",
                                           .open = function_open,
                                           .restore = function_restore,
                                           .replay = function_replay,
                                           .start = function_start,
                                           .plan = function_plan,
                                           .read = function_read,
                                           .done = function_done,
                                           .save = function_save,
                                           .stop = function_stop,
                                           .has_more = function_has_more,
                                           .close = function_close,
                                           .destroy = function_destroy,
                                           .describe_plan = function_describe_plan};

static FunctionSource *source_create(const Schema *schema, const char *description, void *user) {
    FunctionSource *source = xcalloc(1, sizeof *source);
    *source = (FunctionSource){
        .base = {.class = &function_source_class, .description = xstrdup(str_from(description))},
        .schema = schema,
        .user = user};
    return source;
}

Source *function_source_create(const Schema *schema, LeatBatchFunction function, void *user) {
    FunctionSource *source = source_create(schema, "function stream", user);
    source->function = function;
    return &source->base;
}

Source *function_source_create_arrow(const Schema *schema, LeatArrowFunction function, void *user) {
    FunctionSource *source = source_create(schema, "Arrow stream", user);
    source->arrow_function = function;
    return &source->base;
}
