/* emit.c - the joints of a pipeline.
 *
 * Cutting chunks into small pieces is for hostile runs only: pieces are made as differently as chunks can be,
 * by moving the columns where that is possible (no packed bits, no nesting) and else by a selection. */
#include "exec/operator.h"

#include <stdlib.h>

CHECKED static Status push_all(const Emit *emit, const Chunk *chunk, Error *err) {
    for (uint32_t i = 0; i < emit->edge_count; i++) {
        const Edge *edge = &emit->edges[i];
        Chunk in = *chunk;
        in.schema = edge->schema;
        in.split += *edge->split_begin;
        TRY(edge->to->class->push(edge->to, &in, err));
    }
    return STATUS_OK;
}

bool emit_is_wanted(const Emit *emit, uint64_t split) {
    for (uint32_t i = 0; i < emit->edge_count; i++) {
        const Edge *edge = &emit->edges[i];
        const OperatorClass *class = edge->to->class;
        if (!class->has_enough || !class->has_enough(edge->to, split + *edge->split_begin))
            return true;
    }
    return false;
}

static bool can_move(const Chunk *chunk) {
    if (chunk->selection)
        return false;
    for (uint32_t c = 0; c < chunk->schema->column_count; c++) {
        const Column *column = &chunk->columns[c];
        if (!column->is_constant &&
            (column->validity || column->type->kind == LEAT_BOOLEAN || column->type->field_count))
            return false;
    }
    return true;
}

CHECKED static Status push_moved(const Emit *emit, const Chunk *chunk, uint32_t begin, uint32_t count,
                                 Error *err) {
    uint32_t column_count = chunk->schema->column_count;
    Column *columns = xcalloc(column_count, sizeof *columns);
    for (uint32_t c = 0; c < column_count; c++) {
        columns[c] = chunk->columns[c];
        if (!columns[c].is_constant)
            columns[c].data = (const char *)columns[c].data + begin * type_value_size(columns[c].type->kind);
    }
    Chunk piece = *chunk;
    piece.columns = columns;
    piece.row_count = piece.selected_count = count;
    Status st = push_all(emit, &piece, err);
    free(columns);
    return st;
}

CHECKED static Status push_selected(const Emit *emit, const Chunk *chunk, uint32_t begin, uint32_t count,
                                    Error *err) {
    uint16_t selection[CHUNK_ROWS_MAX];
    for (uint32_t i = 0; i < count; i++)
        selection[i] = (uint16_t)chunk_row(chunk, begin + i);
    Chunk piece = *chunk;
    piece.selection = selection;
    piece.selected_count = count;
    return push_all(emit, &piece, err);
}

Status emit_chunk(const Emit *emit, const Chunk *chunk, Error *err) {
    if (chunk->selected_count == 0)
        return STATUS_OK;
    if (LIKELY(chunk->selected_count <= emit->chunk_rows_max))
        return push_all(emit, chunk, err);
    bool is_moved = can_move(chunk);
    for (uint32_t begin = 0; begin < chunk->selected_count; begin += emit->chunk_rows_max) {
        uint32_t left = chunk->selected_count - begin;
        uint32_t count = left < emit->chunk_rows_max ? left : emit->chunk_rows_max;
        TRY(is_moved ? push_moved(emit, chunk, begin, count, err)
                     : push_selected(emit, chunk, begin, count, err));
    }
    return STATUS_OK;
}
