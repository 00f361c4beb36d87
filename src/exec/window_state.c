/* window_state.c - see window_state.h. */
#include "exec/window_state.h"

#include "column/codec.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    /* A split whose chunks have fewer rows than this on average is put together (W3): below it the memory
     * around the rows is more than the rows. */
    SMALL_ROWS = 64,
    SAVE_PIECE_BYTES = 256 << 10,
};

typedef struct WindowState {
    NodeState state;
    WindowStateOptions options;
    KeptBatch fresh;
    KeptBatch ring[];
} WindowState;

static WindowState *window_of(NodeState *state) {
    return (WindowState *)state;
}

/* W1 */
static uint32_t slot_of(const WindowState *window, uint64_t batch_id) {
    return (uint32_t)(batch_id / window->options.stride % window->options.slot_count);
}

/* ---- batches ---- */

static void partition_deinit(BatchPartition *partition) {
    while (partition->chunk_count > 0)
        shared_chunk_release(partition->chunks[--partition->chunk_count]);
    free(partition->chunks);
    *partition = (BatchPartition){0};
}

static void kept_batch_deinit(KeptBatch *batch) {
    for (uint32_t p = 0; p < batch->partition_count; p++)
        partition_deinit(&batch->partitions[p]);
    free(batch->partitions);
    *batch = (KeptBatch){0};
}

static void partition_append(BatchPartition *partition, SharedChunk *chunk) {
    if (partition->chunk_count == partition->chunk_capacity) {
        partition->chunk_capacity = partition->chunk_capacity ? 2 * partition->chunk_capacity : 4;
        partition->chunks = xrealloc(partition->chunks, partition->chunk_capacity * sizeof(SharedChunk *));
    }
    partition->chunks[partition->chunk_count++] = chunk;
}

static uint64_t partition_row_count(const BatchPartition *partition) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < partition->chunk_count; i++)
        count += shared_chunk_view(partition->chunks[i])->row_count;
    return count;
}

static bool has_rows(const KeptBatch *batch) {
    for (uint32_t p = 0; p < batch->partition_count; p++)
        if (batch->partitions[p].chunk_count > 0)
            return true;
    return false;
}

/* The rows of the builder as a chunk of the partition. */
CHECKED static Status take_built(const WindowState *window, Builder *builder, BatchPartition *partition,
                                 Error *err) {
    Chunk chunk;
    SharedChunk *shared;
    if (builder_row_count(builder) == 0)
        return STATUS_OK;
    builder_chunk(builder, &chunk);
    TRY(chunk_share(&chunk, window->options.budget, window->options.who, &shared, err));
    partition_append(partition, shared);
    builder_reset(builder);
    return STATUS_OK;
}

/* ---- a batch being run ---- */

static void window_begin(NodeState *state) {
    ASSERT(window_of(state)->fresh.batch_id == 0);
    (void)state;
}

void window_state_take(NodeState *state, uint64_t batch_id, uint64_t split_count) {
    ASSERT(split_count <= UINT32_MAX);
    window_of(state)->fresh = (KeptBatch){.batch_id = batch_id,
                                          .partitions = xcalloc(split_count + 1, sizeof(BatchPartition)),
                                          .partition_count = (uint32_t)split_count};
}

Status window_state_add(NodeState *state, const Chunk *in, Error *err) {
    WindowState *window = window_of(state);
    SharedChunk *shared;
    ASSERT(in->split < window->fresh.partition_count);
    TRY(chunk_copy(in, window->options.budget, window->options.who, &shared, err));
    partition_append(&window->fresh.partitions[in->split], shared);
    return STATUS_OK;
}

const KeptBatch *window_state_find(const NodeState *state, uint64_t batch_id) {
    const WindowState *window = (const WindowState *)state;
    if (window->fresh.batch_id == batch_id)
        return &window->fresh;
    const KeptBatch *kept = &window->ring[slot_of(window, batch_id)];
    return kept->batch_id == batch_id ? kept : NULL;
}

static bool window_is_changed(const NodeState *state, uint32_t part) {
    const WindowState *window = (const WindowState *)state;
    return window->fresh.batch_id && slot_of(window, window->fresh.batch_id) == part &&
           has_rows(&window->fresh);
}

/* W3. Chunks of one row (a filter, a slow source) become chunks of many. Without memory they stay as they
 * are. */
static void put_together(const WindowState *window, BatchPartition *partition, Builder *builder) {
    if (partition->chunk_count < 2 ||
        partition_row_count(partition) >= (uint64_t)partition->chunk_count * SMALL_ROWS)
        return;
    Status st = STATUS_OK;
    BatchPartition whole = {0};
    builder_reset(builder);
    for (uint32_t i = 0; i < partition->chunk_count && st == STATUS_OK; i++) {
        const Chunk *chunk = shared_chunk_view(partition->chunks[i]);
        for (uint32_t row = 0; row < chunk->row_count && st == STATUS_OK; row++) {
            for (uint32_t c = 0; c < chunk->schema->column_count && st == STATUS_OK; c++)
                st = builder_put_value(builder, c, &chunk->columns[c], row, NULL);
            if (st == STATUS_OK)
                builder_end_row(builder);
            if (st == STATUS_OK && builder_is_full(builder))
                st = take_built(window, builder, &whole, NULL);
        }
    }
    if (st == STATUS_OK)
        st = take_built(window, builder, &whole, NULL);
    BatchPartition *dropped = st == STATUS_OK ? partition : &whole;
    BatchPartition kept = st == STATUS_OK ? whole : *partition;
    partition_deinit(dropped);
    *partition = kept;
}

/* W2, W3 */
static void settle(const WindowState *window, KeptBatch *batch) {
    Builder *builder = NULL;
    uint32_t count = 0;
    if (builder_create(window->options.schema, window->options.budget, window->options.who, &builder, NULL) ==
        STATUS_OK)
        for (uint32_t p = 0; p < batch->partition_count; p++)
            put_together(window, &batch->partitions[p], builder);
    builder_destroy(builder);
    for (uint32_t p = 0; p < batch->partition_count; p++)
        if (batch->partitions[p].chunk_count > 0)
            batch->partitions[count++] = batch->partitions[p];
    batch->partition_count = count;
}

/* Gives back what the next window will not see. */
static void drop_old(WindowState *window, uint64_t batch_id) {
    uint64_t next = (batch_id / window->options.slide + 1) * window->options.slide;
    uint64_t span = window->options.slot_count * window->options.stride;
    for (uint32_t s = 0; s < window->options.slot_count; s++)
        if (window->ring[s].batch_id && window->ring[s].batch_id + span <= next)
            kept_batch_deinit(&window->ring[s]);
}

static void window_keep(NodeState *state) {
    WindowState *window = window_of(state);
    uint64_t batch_id = window->fresh.batch_id;
    if (!batch_id)
        return;
    drop_old(window, batch_id);
    if (!has_rows(&window->fresh)) {
        kept_batch_deinit(&window->fresh);
        return;
    }
    KeptBatch *slot = &window->ring[slot_of(window, batch_id)];
    settle(window, &window->fresh);
    kept_batch_deinit(slot);
    *slot = window->fresh;
    window->fresh = (KeptBatch){0};
}

static void window_rollback(NodeState *state) {
    kept_batch_deinit(&window_of(state)->fresh);
}

/* ---- bytes ---- */

static void encode_partition(const BatchPartition *partition, Text *row, Text *out) {
    bytes_put_varint(out, partition_row_count(partition));
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        const Chunk *chunk = shared_chunk_view(partition->chunks[i]);
        for (uint32_t r = 0; r < chunk->row_count; r++) {
            text_reset(row);
            codec_encode_value(chunk->columns, 0, chunk->schema->column_count, r, row);
            bytes_put_str(out, text_str(row));
        }
    }
}

static void encode_head(const KeptBatch *batch, Text *out) {
    uint32_t count = 0;
    for (uint32_t p = 0; p < batch->partition_count; p++)
        count += batch->partitions[p].chunk_count > 0;
    bytes_put_varint(out, batch->batch_id);
    bytes_put_varint(out, count);
}

static void window_delta(const NodeState *state, uint32_t part, Text *out) {
    const WindowState *window = (const WindowState *)state;
    Text row = {0};
    ASSERT(slot_of(window, window->fresh.batch_id) == part);
    (void)part;
    encode_head(&window->fresh, out);
    for (uint32_t p = 0; p < window->fresh.partition_count; p++)
        if (window->fresh.partitions[p].chunk_count > 0)
            encode_partition(&window->fresh.partitions[p], &row, out);
    text_deinit(&row);
}

CHECKED static Status window_save(NodeState *state, uint32_t section, StateSink sink, Error *err) {
    const KeptBatch *batch = &window_of(state)->ring[section];
    Status st = STATUS_OK;
    Text row = {0}, piece = {0};
    if (batch->batch_id == 0)
        return STATUS_OK;
    encode_head(batch, &piece);
    for (uint32_t p = 0; p < batch->partition_count && st == STATUS_OK; p++) {
        encode_partition(&batch->partitions[p], &row, &piece);
        if (piece.size >= SAVE_PIECE_BYTES) {
            st = sink.write(sink.self, text_str(&piece), err);
            text_reset(&piece);
        }
    }
    if (st == STATUS_OK && piece.size > 0)
        st = sink.write(sink.self, text_str(&piece), err);
    text_deinit(&row);
    text_deinit(&piece);
    return st;
}

CHECKED static Status refuse_bytes(Str bytes, const Reader *reader, Error *err) {
    return error_set(err, STATUS_CORRUPT, "a batch of a window: malformed at byte %zu of %zu", reader->offset,
                     bytes.size);
}

CHECKED static Status decode_partition(const WindowState *window, Reader *reader, Builder *builder,
                                       BatchPartition *partition, Error *err) {
    uint64_t row_count = reader_varint(reader);
    builder_reset(builder);
    for (uint64_t row = 0; row < row_count; row++) {
        Str bytes = reader_str(reader);
        if (reader->failed)
            return STATUS_OK; /* the caller looks */
        TRY(codec_decode_value(bytes, builder, 0, window->options.schema->column_count, err));
        builder_end_row(builder);
        if (builder_is_full(builder))
            TRY(take_built(window, builder, partition, err));
    }
    return take_built(window, builder, partition, err);
}

/* *batch is whole, or of some splits, which the caller drops. */
CHECKED static Status decode_batch(const WindowState *window, Str bytes, KeptBatch *batch, Error *err) {
    Status st = STATUS_OK;
    Reader reader = reader_of(bytes);
    Builder *builder = NULL;
    batch->batch_id = reader_varint(&reader);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || count > bytes.size || count > UINT32_MAX || (batch->batch_id == 0 && count > 0) ||
        batch->batch_id % window->options.stride)
        return refuse_bytes(bytes, &reader, err);
    batch->partitions = xcalloc(count + 1, sizeof(BatchPartition));
    TRY(builder_create(window->options.schema, window->options.budget, window->options.who, &builder, err));
    for (; batch->partition_count < count && !reader.failed; batch->partition_count++)
        TRY_GOTO(done,
                 decode_partition(window, &reader, builder, &batch->partitions[batch->partition_count], err));
    if (reader.failed || !reader_at_end(&reader))
        st = refuse_bytes(bytes, &reader, err);
done:
    if (st != STATUS_OK)
        batch->partition_count = (uint32_t)count; /* the one being decoded, too */
    builder_destroy(builder);
    return st;
}

/* Puts a decoded batch where it belongs, unless a later one is there (N2). */
CHECKED static Status put_decoded(WindowState *window, uint32_t slot, Str bytes, Error *err) {
    KeptBatch batch = {0};
    Status st = decode_batch(window, bytes, &batch, err);
    if (st == STATUS_OK && batch.batch_id && slot_of(window, batch.batch_id) != slot)
        st = error_set(err, STATUS_CORRUPT, "batch %" PRIu64 " of a window stands in slot %u", batch.batch_id,
                       slot);
    if (st != STATUS_OK || batch.batch_id < window->ring[slot].batch_id) {
        kept_batch_deinit(&batch);
        return st;
    }
    kept_batch_deinit(&window->ring[slot]);
    window->ring[slot] = batch;
    return STATUS_OK;
}

CHECKED static Status window_apply(NodeState *state, uint32_t part, Str delta, Error *err) {
    return put_decoded(window_of(state), part, delta, err);
}

CHECKED static Status window_load(NodeState *state, uint32_t section, StateFeed feed, Error *err) {
    Status st = STATUS_OK;
    Text bytes = {0};
    for (Str piece;;) {
        TRY_GOTO(done, feed.read(feed.self, &piece, err));
        if (piece.size == 0)
            break;
        text_append(&bytes, piece);
    }
    st = put_decoded(window_of(state), section, text_str(&bytes), err);
done:
    text_deinit(&bytes);
    return st;
}

/* ---- the rest of NodeStateClass ---- */

static uint32_t window_part_of(const NodeState *state, uint32_t section) {
    (void)state;
    return section;
}

static void window_count(const NodeState *state, uint64_t *keys, uint64_t *bytes) {
    const WindowState *window = (const WindowState *)state;
    (void)keys;
    for (uint32_t s = 0; s < window->options.slot_count; s++)
        for (uint32_t p = 0; p < window->ring[s].partition_count; p++)
            for (uint32_t i = 0; i < window->ring[s].partitions[p].chunk_count; i++)
                *bytes += shared_chunk_size_bytes(window->ring[s].partitions[p].chunks[i]);
}

static void window_destroy(NodeState *state) {
    WindowState *window = window_of(state);
    kept_batch_deinit(&window->fresh);
    for (uint32_t s = 0; s < window->options.slot_count; s++)
        kept_batch_deinit(&window->ring[s]);
    free(window);
}

static const NodeStateClass window_class = {
    .begin = window_begin,
    .is_changed = window_is_changed,
    .delta = window_delta,
    .keep = window_keep,
    .rollback = window_rollback,
    .apply = window_apply,
    .part_of = window_part_of,
    .save = window_save,
    .load = window_load,
    .count = window_count,
    .destroy = window_destroy,
};

Status window_state_create(WindowStateOptions options, NodeState **out, Error *err) {
    (void)err;
    ASSERT(options.slot_count >= 1 && options.stride >= 1 && options.slide >= 1);
    WindowState *window = xcalloc(1, sizeof *window + options.slot_count * sizeof(KeptBatch));
    window->state = (NodeState){
        .class = &window_class, .part_count = options.slot_count, .section_count = options.slot_count};
    window->options = options;
    *out = &window->state;
    return STATUS_OK;
}
