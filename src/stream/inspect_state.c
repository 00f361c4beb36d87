/* inspect_state.c - the keyed state of a checkpoint directory: restored from snapshot and DELTAs without the
 * program, and shown. What windows keep, rows by batch, is passed over. */
#include "column/codec.h"
#include "column/literal.h"
#include "exec/engine.h"
#include "stream/frames.h"
#include "stream/inspect_parts.h"
#include "stream/snapshot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- restoring ---- */

CHECKED static Status find_store(Restored *restored, Str id, uint64_t partition, StateStore **out,
                                 Error *err) {
    uint32_t partition_count = checkpoint_identity(restored->inspect->checkpoint)->partition_count;
    if (partition >= partition_count)
        return error_set(err, STATUS_CORRUPT, "state of '%.*s': partition %" PRIu64 " of %u", STR_ARG(id),
                         partition, partition_count);
    OperatorState *state = map_find(&restored->operators, id);
    if (!state) {
        state = xcalloc(1, sizeof *state);
        state->stores = xcalloc(partition_count, sizeof(StateStore *));
        state->partition_count = partition_count;
        state->id = xstrdup(id);
        map_put(&restored->operators, id, state);
    }
    if (!state->stores[partition])
        TRY(state_store_create(
            (StateStoreOptions){.hash_begin = key_partition_begin((uint32_t)partition, partition_count),
                                .hash_end = key_partition_begin((uint32_t)partition + 1, partition_count),
                                .budget = &restored->budget,
                                .who = state->id},
            &state->stores[partition], err));
    *out = state->stores[partition];
    return STATUS_OK;
}

/* A window keeps rows by batch, not by key: there is nothing to show by key. */
static bool is_window(const Restored *restored, Str id) {
    Str fields[FIELD_COUNT];
    return inspect_find_identity(text_str(&restored->inspect->identity), STR("window"), id, fields);
}

CHECKED static Status feed_from_snapshot(void *self, Str *piece, Error *err) {
    return snapshot_read(self, piece, err);
}

CHECKED static Status restore_section(Restored *restored, SnapshotReader *reader, Str name, Error *err) {
    if (str_equal(name, STR("meta"))) {
        Text scratch = {0};
        Str piece;
        for (;;) {
            Status st = snapshot_read(reader, &piece, err);
            if (st != STATUS_OK || piece.size == 0) {
                Reader r = reader_of(text_str(&scratch));
                text_append(&restored->inspect->identity, reader_str(&r));
                text_deinit(&scratch);
                return st;
            }
            text_append(&scratch, piece);
        }
    }
    if (!str_starts_with(name, STR("state/")))
        return STATUS_OK;
    size_t slash = name.size;
    while (slash > 6 && name.data[slash - 1] != '/')
        slash--;
    int64_t partition;
    if (slash <= 7 || !str_parse_i64(str_slice(name.data + slash, name.size - slash), &partition) ||
        partition < 0)
        return error_set(err, STATUS_CORRUPT, "snapshot: a section of the name '%.*s'", STR_ARG(name));
    StateStore *store;
    if (is_window(restored, str_slice(name.data + 6, slash - 7)))
        return STATUS_OK;
    TRY(find_store(restored, str_slice(name.data + 6, slash - 7), (uint64_t)partition, &store, err));
    return state_store_load(store, (StateFeed){feed_from_snapshot, reader}, err);
}

CHECKED static Status restore_snapshot(Restored *restored, Error *err) {
    SnapshotReader *reader = NULL;
    SnapshotInfo info = {0};
    Text copy = {0};
    Status st = snapshot_open(restored->inspect->env, checkpoint_directory(restored->inspect->checkpoint),
                              &reader, &info, err);
    if (st == STATUS_NOT_FOUND)
        return STATUS_OK;
    TRY_GOTO(done, st);
    for (;;) {
        Str name;
        uint64_t size_bytes;
        TRY_GOTO(done, snapshot_next_section(reader, &name, &size_bytes, err));
        if (name.size == 0)
            break;
        text_reset(&copy);
        text_append(&copy, name);
        TRY_GOTO(done, restore_section(restored, reader, text_str(&copy), err));
    }
    restored->snapshot_batch_id = info.batch_id;
done:
    snapshot_close(reader);
    text_deinit(&copy);
    return st;
}

CHECKED static Status restore_changes(void *self, Str id, uint32_t partition, Str changes, Error *err) {
    StateStore *store;
    if (partition == DELTA_NO_PARTITION || is_window(self, id))
        return STATUS_OK;
    TRY(find_store(self, id, partition, &store, err));
    return state_store_apply(store, changes, err);
}

CHECKED static Status restore_frame(void *self, const Frame *frame, Error *err) {
    Restored *restored = self;
    restored->inspect->frame_count++;
    if (frame->kind == FRAME_OPEN) {
        OpenFrame open;
        TRY(open_frame_decode(frame->payload, &open, err));
        text_reset(&restored->inspect->identity);
        text_append(&restored->inspect->identity, open.identity);
    } else if (frame->kind == FRAME_DELTA) {
        DeltaFrame delta;
        TRY(delta_frame_decode(frame->payload, &delta, err));
        if (delta.batch_id > restored->snapshot_batch_id)
            TRY(engine_visit_delta(delta.delta, restore_changes, restored, err));
    }
    return STATUS_OK;
}

Status inspect_restore(Restored *restored, Inspect *inspect, Error *err) {
    restored->inspect = inspect;
    restored->arena = arena_create(NULL, "inspect");
    budget_init(&restored->budget, "inspect", env_memory_limit(inspect->env) / 2, NULL);
    TRY(restore_snapshot(restored, err));
    TRY(batch_log_read(inspect->log, restore_frame, restored, err));
    for (uint32_t i = 0; i < restored->operators.count; i++) {
        OperatorState *state = restored->operators.entries[i].value;
        Str fields[FIELD_COUNT];
        if (!inspect_find_identity(text_str(&inspect->identity), STR("state"), str_from(state->id), fields))
            return error_set(err, STATUS_CORRUPT,
                             "state of '%s', which the program that wrote it did not have", state->id);
        TRY(schema_parse(restored->arena, fields[FIELD_KEY], 0, &state->key, err));
        TRY(schema_parse(restored->arena, fields[FIELD_STATE], 0, &state->value, err));
    }
    return STATUS_OK;
}

void restored_deinit(Restored *restored) {
    for (uint32_t i = 0; i < restored->operators.count; i++) {
        OperatorState *state = restored->operators.entries[i].value;
        for (uint32_t p = 0; p < state->partition_count; p++)
            state_store_destroy(state->stores[p]);
        free(state->stores);
        free(state->id);
        free(state);
    }
    map_deinit(&restored->operators);
    arena_destroy(restored->arena);
}

/* ---- state dump ---- */

static void json_string(Str s, Text *out) {
    bool is_text = str_is_utf8(s);
    text_append_byte(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '"' || c == '\\')
            text_appendf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_text))
            text_appendf(out, "\\u%04x", c); /* bytes that are no text: as the code points of their values */
        else
            text_append_byte(out, (char)c);
    }
    text_append_byte(out, '"');
}

static void json_number(double value, int digits, Text *out) {
    if (isfinite(value))
        text_appendf(out, "%.*g", digits, value);
    else
        text_appendf(out, "\"%f\"", value); /* JSON has no word for it */
}

static void json_value(const Column *column, uint32_t row, Text *out) {
    if (column_is_null(column, row)) {
        text_append(out, STR("null"));
        return;
    }
    switch (column->type->kind) {
    case LEAT_BOOLEAN:
        text_append(out, column_bool(column, row) ? STR("true") : STR("false"));
        break;
    case LEAT_TINYINT:
    case LEAT_SMALLINT:
    case LEAT_INT:
    case LEAT_BIGINT:
    case LEAT_TIMESTAMP:
        text_appendf(out, "%" PRId64, (int64_t)column_word(column, row));
        break;
    case LEAT_FLOAT:
        json_number((double)column_f32(column, row), 9, out);
        break;
    case LEAT_DECIMAL:
        literal_decimal_digits(column_decimal(column, row), column->type->scale, out);
        break;
    case LEAT_DATE:
        text_append_byte(out, '"');
        literal_date(column_i32(column, row), out);
        text_append_byte(out, '"');
        break;
    case LEAT_DOUBLE:
        json_number(column_f64(column, row), 17, out);
        break;
    case LEAT_STRING:
    case LEAT_BINARY:
        json_string(column_str(column, row), out);
        break;
    case LEAT_ARRAY: {
        const int32_t *offsets = column->data;
        text_append_byte(out, '[');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            if (i > offsets[row])
                text_append_byte(out, ',');
            json_value(&column->children[0], (uint32_t)i, out);
        }
        text_append_byte(out, ']');
        break;
    }
    case LEAT_STRUCT:
        text_append_byte(out, '{');
        for (uint32_t i = 0; i < column->type->field_count; i++) {
            if (i > 0)
                text_append_byte(out, ',');
            json_string(str_from(column->type->fields[i].name), out);
            text_append_byte(out, ':');
            json_value(&column->children[i], row, out);
        }
        text_append_byte(out, '}');
        break;
    case LEAT_MAP: { /* keys need not be text: a list of pairs */
        const int32_t *offsets = column->data;
        text_append_byte(out, '[');
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            text_append(out, i > offsets[row] ? STR(",[") : STR("["));
            json_value(&column->children[0], (uint32_t)i, out);
            text_append_byte(out, ',');
            json_value(&column->children[1], (uint32_t)i, out);
            text_append_byte(out, ']');
        }
        text_append_byte(out, ']');
        break;
    }
    }
}

/* One column: its value. Several: an object. */
static void json_row(const Chunk *chunk, Text *out) {
    uint32_t count = chunk->schema->column_count;
    if (count != 1)
        text_append_byte(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            text_append_byte(out, ',');
        if (count != 1) {
            json_string(str_from(chunk->schema->fields[i].name), out);
            text_append_byte(out, ':');
        }
        json_value(&chunk->columns[i], 0, out);
    }
    if (count != 1)
        text_append_byte(out, '}');
}

CHECKED static Status dump_json(const OperatorState *state, const StateScan *scan, Builder *key,
                                Builder *value, Text *line, Error *err) {
    Chunk chunk;
    builder_reset(key);
    builder_reset(value);
    TRY(codec_decode_key(key_str(scan->key), scan->key->size == KEY_NULL_SIZE, key, state->key->column_count,
                         err));
    TRY(codec_decode_value(scan->value, value, 0, state->value->column_count, err));
    builder_end_row(key);
    builder_end_row(value);
    text_append(line, STR("{\"operator\":"));
    json_string(str_from(state->id), line);
    text_append(line, STR(",\"key\":"));
    builder_chunk(key, &chunk);
    json_row(&chunk, line);
    text_append(line, STR(",\"value\":"));
    builder_chunk(value, &chunk);
    json_row(&chunk, line);
    text_append_byte(line, '}');
    return STATUS_OK;
}

CHECKED static Status dump_text(const OperatorState *state, const StateScan *scan, Text *line, Error *err) {
    text_appendf(line, "%s  ", state->id);
    TRY(codec_format(key_str(scan->key), true, scan->key->size == KEY_NULL_SIZE, state->key->fields,
                     state->key->column_count, line, err));
    text_append(line, STR("  "));
    return codec_format(scan->value, false, false, state->value->fields, state->value->column_count, line,
                        err);
}

CHECKED static Status dump_operator(Inspect *inspect, OperatorState *state, InspectFormat format,
                                    Error *err) {
    Status st = STATUS_OK;
    Builder *key = NULL, *value = NULL;
    TRY_GOTO(done, builder_create(state->key, NULL, "inspect", &key, err));
    TRY_GOTO(done, builder_create(state->value, NULL, "inspect", &value, err));
    for (uint32_t p = 0; p < state->partition_count; p++) {
        if (!state->stores[p])
            continue;
        for (StateScan scan = state_store_scan(state->stores[p]); state_store_next(&scan);) {
            st = format == INSPECT_JSON ? dump_json(state, &scan, key, value, &inspect->line, err)
                                        : dump_text(state, &scan, &inspect->line, err);
            TRY_GOTO(done, error_context(err, st, "state of '%s'", state->id));
            TRY_GOTO(done, inspect_say(inspect, err));
        }
    }
done:
    builder_destroy(key);
    builder_destroy(value);
    return st;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp((*(OperatorState *const *)a)->id, (*(OperatorState *const *)b)->id);
}

Status inspect_state(Env *env, const char *directory, InspectFormat format, InspectOut out, Error *err) {
    Status st = STATUS_OK;
    Inspect inspect = {.env = env, .out = out};
    Restored restored = {0};
    OperatorState **sorted = NULL;
    TRY_GOTO(done, inspect_open(&inspect, directory, err));
    TRY_GOTO(done, inspect_open_logs(&inspect, err));
    TRY_GOTO(done, inspect_restore(&restored, &inspect, err));
    uint32_t count = restored.operators.count;
    sorted = xcalloc(count ? count : 1, sizeof *sorted);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = restored.operators.entries[i].value;
    qsort(sorted, count, sizeof *sorted, compare_ids);
    for (uint32_t i = 0; i < count; i++)
        TRY_GOTO(done, dump_operator(&inspect, sorted[i], format, err));
done:
    free(sorted);
    restored_deinit(&restored);
    inspect_close(&inspect);
    return st;
}
