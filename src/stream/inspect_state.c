/* inspect_state.c - the keyed state of a checkpoint directory: restored from snapshot and DELTAs without the
 * program, and shown. What windows keep, rows by batch, is passed over. */
#include "column/codec.h"
#include "column/literal.h"
#include "exec/engine.h"
#include "stream/inspect_parts.h"

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

CHECKED static Status restore_identity(Restored *restored, const SnapshotSection *meta, Error *err) {
    Status st = STATUS_OK;
    Text bytes = {0};
    SnapshotReader *reader = snapshot_open(restored->saves.catalog, meta);
    for (Str piece = STR(" "); st == STATUS_OK && piece.size;) {
        st = snapshot_read(reader, &piece, err);
        if (st == STATUS_OK)
            text_append(&bytes, piece);
    }
    if (st == STATUS_OK) {
        Reader r = reader_of(text_str(&bytes));
        text_append(&restored->inspect->identity, reader_str(&r));
    }
    snapshot_close(reader);
    text_deinit(&bytes);
    return st;
}

/* A section of keyed state that counts. */
typedef struct KeyedSection {
    const SnapshotSection *section;
    Str id;
    uint32_t group;
} KeyedSection;

static int compare_keyed(const void *a, const void *b) {
    const KeyedSection *x = a, *y = b;
    int order = str_compare(x->id, y->id);
    return order != 0 ? order : x->group < y->group ? -1 : x->group > y->group;
}

CHECKED static Status restore_section(Restored *restored, const KeyedSection *keyed, Error *err) {
    uint64_t begin = key_partition_begin(keyed->group, KEY_GROUP_COUNT);
    HashRange range = {begin, key_partition_begin(keyed->group + 1, KEY_GROUP_COUNT)};
    uint32_t partition_count = checkpoint_identity(restored->inspect->checkpoint)->partition_count;
    StateStore *store;
    TRY(find_store(restored, keyed->id, key_partition_of(begin, partition_count), &store, err));
    SnapshotReader *reader = snapshot_open(restored->saves.catalog, keyed->section);
    Status st = state_store_load(store, range, (StateFeed){feed_from_snapshot, reader}, err);
    snapshot_close(reader);
    return error_context(err, st, "section '%.*s'", STR_ARG(keyed->section->name));
}

CHECKED static Status restore_sections(Restored *restored, Error *err) {
    const Saves *saves = &restored->saves;
    Status st = STATUS_OK;
    size_t all = saves->is_there ? snapshot_catalog_count(saves->catalog) : 0, count = 0;
    KeyedSection *keyed = xcalloc(all + 1, sizeof *keyed);
    for (size_t i = 0; i < all; i++) {
        const SnapshotSection *section = saves_at(saves, i);
        KeyedSection *next = &keyed[count];
        next->section = section;
        if (!section || !engine_parse_section(section->name, &next->id, &next->group) ||
            is_window(restored, next->id))
            continue;
        if (next->group >= KEY_GROUP_COUNT) {
            st = error_set(err, STATUS_CORRUPT, "snapshot: a section of the name '%.*s'",
                           STR_ARG(section->name));
            goto done;
        }
        count++;
    }
    qsort(keyed, count, sizeof *keyed, compare_keyed); /* as a store wants them */
    for (size_t i = 0; i < count; i++)
        TRY_GOTO(done, restore_section(restored, &keyed[i], err));
done:
    free(keyed);
    return st;
}

CHECKED static Status restore_changes(void *self, Str id, uint32_t partition, Str changes, Error *err) {
    StateStore *store;
    if (partition == DELTA_NO_PARTITION || is_window(self, id))
        return STATUS_OK;
    TRY(find_store(self, id, partition, &store, err));
    return state_store_apply(store, changes, err);
}

/* The first reading: what was saved, and the plan. */
CHECKED static Status survey_frame(void *self, const Frame *frame, Error *err) {
    Restored *restored = self;
    restored->inspect->frame_count++;
    saves_note(&restored->saves, frame);
    if (frame->kind == FRAME_OPEN) {
        OpenFrame open;
        TRY(open_frame_decode(frame->payload, &open, err));
        text_reset(&restored->inspect->identity);
        text_append(&restored->inspect->identity, open.identity);
    }
    return STATUS_OK;
}

CHECKED static Status restore_frame(void *self, const Frame *frame, Error *err) {
    Restored *restored = self;
    DeltaFrame delta;
    if (frame->kind != FRAME_DELTA || frame->sequence < saves_log_begin(&restored->saves))
        return STATUS_OK;
    TRY(delta_frame_decode(frame->payload, &delta, err));
    return engine_visit_delta(delta.delta, restore_changes, restored, err);
}

/* State without a key (a count over a window) has no key columns: its text is empty, which is no schema. */
CHECKED static Status parse_columns(Arena *arena, Str text, Schema **out, Error *err) {
    if (text.size > 0)
        return schema_parse(arena, text, 0, out, err);
    *out = arena_alloc(arena, sizeof **out);
    **out = (Schema){0};
    return STATUS_OK;
}

Status inspect_restore(Restored *restored, Inspect *inspect, Error *err) {
    restored->inspect = inspect;
    restored->arena = arena_create(NULL, "inspect");
    budget_init(&restored->budget, "inspect", env_memory_limit(inspect->env) / 2, NULL);
    TRY(batch_log_read(inspect->log, survey_frame, restored, err));
    TRY(saves_open(&restored->saves, inspect->env, checkpoint_directory(inspect->checkpoint), err));
    const SnapshotSection *meta = saves_find(&restored->saves, STR("meta"));
    if (inspect->identity.size == 0 && meta)
        TRY(restore_identity(restored, meta, err));
    TRY(restore_sections(restored, err));
    TRY(batch_log_read(inspect->log, restore_frame, restored, err));
    for (uint32_t i = 0; i < restored->operators.count; i++) {
        OperatorState *state = restored->operators.entries[i].value;
        Str fields[FIELD_COUNT];
        if (!inspect_find_identity(text_str(&inspect->identity), STR("state"), str_from(state->id), fields))
            return error_set(err, STATUS_CORRUPT,
                             "state of '%s', which the program that wrote it did not have", state->id);
        TRY(parse_columns(restored->arena, fields[FIELD_KEY], &state->key, err));
        TRY(parse_columns(restored->arena, fields[FIELD_STATE], &state->value, err));
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
    saves_close(&restored->saves);
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
