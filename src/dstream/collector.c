/* collector.c - an output that keeps what a stream gave, for tests of programs.
 *
 * Threads  run: the driver's. The calls that look: any; `mutex` guards the list, and what it points to never
 *          changes. */
#include "dstream/batch_text.h"
#include "dstream/context.h"

#include <stdlib.h>

typedef struct Collected {
    int64_t time_ms;
    char *text;
} Collected;

struct LeatCollector {
    Output output;
    Env *env;
    const Schema *schema;
    EnvMutex *mutex;
    Collected *batches;
    size_t count, capacity;
};

CHECKED static Status collector_run(Output *output, Env *env, const BatchData *batch, int64_t batch_time_ms,
                                    Error *err) {
    (void)err;
    LeatCollector *collector = (LeatCollector *)output;
    RowText how = {.env = env, .style = ROW_TEXT_PYTHON};
    Text text = {0};
    batch_text(&how, collector->schema, batch, UINT64_MAX, &text);
    char *kept = xstrdup(text_str(&text));
    text_deinit(&text);

    env_mutex_lock(collector->env, collector->mutex);
    if (collector->count == collector->capacity) {
        collector->capacity = collector->capacity ? 2 * collector->capacity : 16;
        collector->batches = xrealloc(collector->batches, collector->capacity * sizeof *collector->batches);
    }
    collector->batches[collector->count++] = (Collected){.time_ms = batch_time_ms, .text = kept};
    env_mutex_unlock(collector->env, collector->mutex);
    return STATUS_OK;
}

static void collector_destroy(Output *output) {
    LeatCollector *collector = (LeatCollector *)output;
    for (size_t i = 0; i < collector->count; i++)
        free(collector->batches[i].text);
    free(collector->batches);
    env_mutex_destroy(collector->env, collector->mutex);
    free(collector);
}

static const OutputClass collector_class = {
    .kind = "collect", .run = collector_run, .destroy = collector_destroy};

LeatCollector *leat_collect(LeatStream *stream) {
    if (!stream)
        return NULL;
    LeatCollector *collector = xmalloc(sizeof *collector);
    Env *env = stream->context->env;
    *collector = (LeatCollector){
        .output = {&collector_class}, .env = env, .schema = stream->schema, .mutex = env_mutex_create(env)};
    stream_to_output(stream, "leat_collect", &collector->output, 0);
    return collector;
}

size_t leat_collected_batches(const LeatCollector *collector) {
    if (!collector)
        return 0;
    env_mutex_lock(collector->env, collector->mutex);
    size_t count = collector->count;
    env_mutex_unlock(collector->env, collector->mutex);
    return count;
}

static Collected at(const LeatCollector *collector, size_t batch_index) {
    Collected found = {.time_ms = -1};
    if (!collector)
        return found;
    env_mutex_lock(collector->env, collector->mutex);
    if (batch_index < collector->count)
        found = collector->batches[batch_index];
    env_mutex_unlock(collector->env, collector->mutex);
    return found;
}

const char *leat_collected_text(const LeatCollector *collector, size_t batch_index) {
    return at(collector, batch_index).text;
}

int64_t leat_collected_time_ms(const LeatCollector *collector, size_t batch_index) {
    return at(collector, batch_index).time_ms;
}
