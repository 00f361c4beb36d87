#include "dstream/batch_text.h"

void batch_text(const RowText *how, const Schema *schema, const BatchData *batch, uint64_t row_count,
                Text *out) {
    for (uint32_t p = 0; p < batch->partition_count; p++) {
        const BatchPartition *partition = &batch->partitions[p];
        for (uint32_t c = 0; c < partition->chunk_count; c++) {
            const Chunk *chunk = shared_chunk_view(partition->chunks[c]);
            for (uint32_t i = 0; i < chunk->selected_count; i++) {
                if (row_count-- == 0)
                    return;
                row_text(how, schema, chunk->columns, chunk_row(chunk, i), out);
                text_append_byte(out, '\n');
            }
        }
    }
}
