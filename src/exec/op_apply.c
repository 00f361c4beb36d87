/* op_apply.c - map and flat_map by functions of the user, per record or per chunk.
 *
 * What functions write into the LeatOut becomes a chunk when it is full and at the end of each input chunk:
 * long strings are views of the input's buffers, which are only borrowed for the push.
 *
 * Where columns are kept (mapValues), functions see the others and give what stands behind the kept ones. Which
 * row of the input each row comes from is noted while it is made, and the kept columns of a chunk are put
 * together when it leaves; where every row gives one, they are the input's own. */
#include "exec/operator.h"

#include <inttypes.h>
#include <stdlib.h>

/* The columns that stay in front of what the function gives. */
typedef struct Kept {
    uint32_t column_count;
    Schema kept, seen, given; /* parts of the input's and of the node's columns */
    Builder *builder;         /* of `kept` */
    Column *columns;          /* of what is emitted */
    const Chunk *in;          /* at hand */
    uint32_t row;             /* of it: where rows that are not noted yet come from */
    bool is_row_by_row;       /* they come from the next rows, one each */
    uint32_t noted;           /* rows[0, noted) are known */
    uint16_t rows[CHUNK_ROWS_MAX];
} Kept;

typedef struct Apply {
    Operator op;
    const PlanNode *node;
    LeatFunction function;
    void *user;
    Builder *builder;
    ChunkReader *reader;
    Budget *budget;
    const char *who;
    uint64_t split;    /* of the input at hand */
    uint64_t sequence; /* of the next chunk given: ascends in every split */
    uint64_t flushed_rows;
    Kept *kept; /* NULL: none */
} Apply;

/* ---- kept columns ---- */

static void note_rows(Kept *kept, uint32_t row_count) {
    while (kept->noted < row_count) {
        kept->rows[kept->noted++] = (uint16_t)kept->row;
        /* More rows than there are: it will be refused when the function has returned. */
        if (kept->is_row_by_row && kept->row + 1 < kept->in->row_count)
            kept->row++;
    }
}

static bool is_whole_input(const Apply *apply, uint32_t row_count) {
    const Kept *kept = apply->kept;
    return apply->node->kind == PLAN_MAP && row_count == kept->in->row_count &&
           kept->rows[row_count - 1] == row_count - 1;
}

CHECKED static Status put_kept(Kept *kept, uint32_t row_count, Chunk *out, Error *err) {
    builder_reset(kept->builder);
    for (uint32_t i = 0; i < row_count; i++) {
        for (uint32_t c = 0; c < kept->column_count; c++)
            TRY(builder_put_value(kept->builder, c, &kept->in->columns[c], kept->rows[i], err));
        builder_end_row(kept->builder);
    }
    builder_chunk(kept->builder, out);
    return STATUS_OK;
}

/* Puts the kept columns before those of `chunk`. */
CHECKED static Status add_kept(Apply *apply, Chunk *chunk, Error *err) {
    Kept *kept = apply->kept;
    Chunk front = {.columns = kept->in->columns};
    uint32_t row_count = chunk->row_count;
    note_rows(kept, row_count);
    kept->noted = 0;
    if (row_count > 0 && !is_whole_input(apply, row_count))
        TRY(put_kept(kept, row_count, &front, err));
    memcpy(kept->columns, front.columns, kept->column_count * sizeof(Column));
    memcpy(kept->columns + kept->column_count, chunk->columns, kept->given.column_count * sizeof(Column));
    chunk->schema = apply->node->schema;
    chunk->columns = kept->columns;
    return STATUS_OK;
}

/* What functions see of the input. */
static Chunk seen_part(const Apply *apply, const Chunk *in) {
    Chunk seen = *in;
    if (apply->kept) {
        seen.schema = &apply->kept->seen;
        seen.columns += apply->kept->column_count;
    }
    return seen;
}

static void begin_kept(Apply *apply, const Chunk *in, bool is_row_by_row) {
    if (!apply->kept)
        return;
    apply->kept->in = in;
    apply->kept->row = 0;
    apply->kept->is_row_by_row = is_row_by_row;
    apply->kept->noted = 0;
}

/* ---- rows on their way ---- */

/* A column of strings for another function per record: it sees what this one wrote, and no views are made. */
CHECKED static Status give_lines(Apply *apply, LineRun run, Error *err) {
    const LeatStr *lines = run.lines;
    const Emit *out = &apply->op.out;
    Operator *to = out->edges[0].to;
    uint32_t count = run.count;
    apply->flushed_rows += count;
    run.split = apply->split; /* no union lies before an operator that takes lines */
    for (uint32_t begin = 0; begin < count; begin += run.count) {
        run.lines = lines + begin;
        run.count = count - begin < out->chunk_rows_max ? count - begin : out->chunk_rows_max;
        run.sequence = apply->sequence++;
        TRY(to->class->push_lines(to, &run, err));
    }
    builder_drop_out(apply->builder);
    return STATUS_OK;
}

CHECKED static Status give(Apply *apply, Error *err) {
    Chunk chunk;
    LineRun run = {0};
    const Emit *out = &apply->op.out;
    if (!apply->kept && out->edge_count == 1 && out->edges[0].to->class->push_lines &&
        builder_see_out(apply->builder, &run.lines, &run.count, &run.buffers, &run.buffer_count))
        return give_lines(apply, run, err);
    TRY(builder_take_out(apply->builder, &chunk, err));
    apply->flushed_rows += chunk.row_count;
    if (apply->kept)
        TRY(add_kept(apply, &chunk, err));
    chunk.split = apply->split;
    chunk.sequence = apply->sequence++;
    return emit_chunk(&apply->op.out, &chunk, err);
}

static void apply_flush(Builder *builder, void *self) {
    Error error = {0};
    Status st = give(self, &error);
    if (st != STATUS_OK)
        builder_out_fail(builder, st, &error);
}

CHECKED static Status refuse_rows(const Apply *apply, uint64_t given, uint64_t wanted, Error *err) {
    const char *other = apply->kept ? "leat_flat_map_values" : "leat_flat_map";
    if (wanted == 1)
        return error_set(err, STATUS_INVALID, "%s: the function gave %" PRIu64 " rows for one record; use %s",
                         apply->node->call, given, other);
    return error_set(err, STATUS_INVALID,
                     "%s: the function gave %" PRIu64 " rows for %" PRIu64 " records; use %s",
                     apply->node->call, given, wanted, other);
}

/* One row for each record; the emit is mostly left out. */
CHECKED static Status map_records(Apply *apply, LeatRow *row, const uint16_t *selection, uint32_t count,
                                  LeatOut *out, Error *err) {
    LeatRecordFunction record = apply->function.call.record;
    void *user = apply->user;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = out->row;
        uint64_t flushed = apply->flushed_rows;
        row->index = selection ? selection[i] : i;
        record(row, out, user);
        uint64_t given = apply->flushed_rows - flushed + out->row - before;
        if (LIKELY(given == 0)) {
            leat_out_emit(out);
        } else if (UNLIKELY(given > 1)) {
            TRY(builder_out_status(apply->builder, err)); /* after a failure rows are dropped, not counted */
            return refuse_rows(apply, given, 1, err);
        }
    }
    return STATUS_OK;
}

static void flat_map_records(const Apply *apply, LeatRow *row, const uint16_t *selection, uint32_t count,
                             LeatOut *out) {
    LeatRecordFunction record = apply->function.call.record;
    void *user = apply->user;
    for (uint32_t i = 0; i < count; i++) {
        row->index = selection ? selection[i] : i;
        record(row, out, user);
    }
}

/* As the two above, row by row: the rows that the function gave are noted. */
CHECKED static Status records_behind_kept(Apply *apply, LeatRow *row, const uint16_t *selection,
                                          uint32_t count, LeatOut *out, Error *err) {
    bool is_map = apply->node->kind == PLAN_MAP;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t index = selection ? selection[i] : (uint16_t)i;
        apply->kept->row = row->index = index;
        if (is_map)
            TRY(map_records(apply, row, &index, 1, out, err));
        else
            flat_map_records(apply, row, &index, 1, out);
        note_rows(apply->kept, out->row);
    }
    return STATUS_OK;
}

/* `in`: whose strings need no copy; `columns`: the same rows as functions see them. */
CHECKED static Status apply_records(Apply *apply, const Chunk *in, const LeatColumn *columns, Error *err) {
    LeatOut *out = builder_out_begin(apply->builder, in, apply_flush, apply);
    LeatRow row = {columns, in->schema->column_count, 0};
    if (apply->kept)
        TRY(records_behind_kept(apply, &row, in->selection, in->selected_count, out, err));
    else if (apply->node->kind == PLAN_MAP)
        TRY(map_records(apply, &row, in->selection, in->selected_count, out, err));
    else
        flat_map_records(apply, &row, in->selection, in->selected_count, out);
    return give(apply, err);
}

CHECKED static Status push_records(Operator *op, const Chunk *in, Error *err) {
    Apply *apply = (Apply *)op;
    LeatChunk seen;
    Chunk part = seen_part(apply, in);
    TRY(chunk_reader_bind(apply->reader, &part, &seen, err));
    apply->split = in->split;
    begin_kept(apply, in, false);
    return apply_records(apply, &part, seen.columns, err);
}

CHECKED static Status push_lines(Operator *op, const LineRun *in, Error *err) {
    Apply *apply = (Apply *)op;
    const Schema *schema = apply->node->inputs[0]->schema;
    Column column = {
        .type = &schema->fields[0].type, .buffer_count = in->buffer_count, .buffers = in->buffers};
    Chunk chunk = {.schema = schema, .columns = &column, .row_count = in->count, .selected_count = in->count};
    LeatColumn seen = {.data = in->lines, .row_mask = UINT32_MAX, .type = column.type->kind};
    apply->split = in->split;
    return apply_records(apply, &chunk, &seen, err);
}

CHECKED static Status apply_chunk(Apply *apply, const Chunk *in, Error *err) {
    LeatChunk seen;
    Chunk part = seen_part(apply, in);
    TRY(chunk_reader_bind(apply->reader, &part, &seen, err));
    LeatOut *out = builder_out_begin(apply->builder, &part, apply_flush, apply);
    uint64_t before = apply->flushed_rows;
    apply->split = in->split;
    begin_kept(apply, in, true);
    apply->function.call.chunk(&seen, out, apply->user);
    TRY(give(apply, err));
    uint64_t given = apply->flushed_rows - before;
    if (apply->node->kind == PLAN_MAP && given != in->row_count)
        return refuse_rows(apply, given, in->row_count, err);
    return STATUS_OK;
}

CHECKED static Status push_chunk(Operator *op, const Chunk *in, Error *err) {
    Apply *apply = (Apply *)op;
    if (!in->selection)
        return apply_chunk(apply, in, err);
    /* Functions per chunk see every row of what they get. */
    SharedChunk *dense;
    TRY(chunk_share(in, apply->budget, apply->who, &dense, err));
    Chunk chunk = *shared_chunk_view(dense);
    chunk.split = in->split;
    Status st = apply_chunk(apply, &chunk, err);
    builder_reset(apply->builder); /* lets go of the buffers of `dense` */
    shared_chunk_release(dense);
    return st;
}

static void apply_destroy(Operator *op) {
    Apply *apply = (Apply *)op;
    builder_destroy(apply->builder);
    chunk_reader_destroy(apply->reader);
    if (apply->kept) { /* its schemas are those of the two */
        builder_destroy(apply->kept->builder);
        free(apply->kept->columns);
        free(apply->kept);
    }
    free(apply);
}

static const OperatorClass record_class = {.push = push_records, .destroy = apply_destroy};
static const OperatorClass line_class = {
    .push = push_records, .push_lines = push_lines, .destroy = apply_destroy};
static const OperatorClass chunk_class = {.push = push_chunk, .destroy = apply_destroy};

/* Does the node before it give lines (LineRun)? */
static bool takes_lines(const PlanNode *input) {
    bool is_function = (input->kind == PLAN_MAP || input->kind == PLAN_FLAT_MAP) &&
                       input->function.kind == LEAT_FUNCTION_RECORD;
    LeatType kind = input->schema->fields[0].type.kind;
    return (input->kind == PLAN_SOURCE && input->is_text) ||
           (is_function && input->schema->column_count == 1 && (kind == LEAT_STRING || kind == LEAT_BINARY));
}

CHECKED static Status kept_create(const OperatorContext *context, Kept **out, Error *err) {
    const Schema *in = context->node->inputs[0]->schema, *gives = context->node->schema;
    Kept *kept = xcalloc(1, sizeof *kept);
    uint32_t count = context->node->kept_count;
    *out = kept;
    kept->column_count = count;
    kept->kept = (Schema){.fields = gives->fields, .column_count = count};
    kept->seen = (Schema){.fields = in->fields + count, .column_count = in->column_count - count};
    kept->given = (Schema){.fields = gives->fields + count, .column_count = gives->column_count - count};
    kept->columns = xcalloc(gives->column_count, sizeof *kept->columns);
    return builder_create(&kept->kept, context->budget, context->who, &kept->builder, err);
}

Status apply_create(const OperatorContext *context, Operator **out, Error *err) {
    Status st = STATUS_OK;
    const PlanNode *node = context->node, *input = node->inputs[0];
    Apply *apply = xcalloc(1, sizeof *apply);
    *out = NULL;
    apply->op.class = node->function.kind == LEAT_FUNCTION_CHUNK    ? &chunk_class
                      : takes_lines(input) && node->kept_count == 0 ? &line_class
                                                                    : &record_class;
    apply->node = node;
    apply->function = node->function;
    apply->user = context->user;
    apply->budget = context->budget;
    apply->who = context->who;
    const Schema *seen = input->schema, *given = node->schema;
    if (node->kept_count > 0) {
        TRY_GOTO(fail, kept_create(context, &apply->kept, err));
        seen = &apply->kept->seen;
        given = &apply->kept->given;
    }
    TRY_GOTO(fail, builder_create(given, context->budget, context->who, &apply->builder, err));
    TRY_GOTO(fail, chunk_reader_create(seen, context->budget, context->who, &apply->reader, err));
    *out = &apply->op;
    return STATUS_OK;
fail:
    apply_destroy(&apply->op);
    return st;
}
