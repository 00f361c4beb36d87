#include "dstream/options.h"

#include "base/suggest.h"

enum { PARTITIONS_MAX = 256 };

static Status expected(Str value, const char *what, Error *err) {
    return error_set(err, STATUS_INVALID, "'%.*s' is not %s", STR_ARG(value), what);
}

static Status parse_size(Str value, uint64_t *out, Error *err) {
    uint64_t size;
    if (!str_parse_size_bytes(value, &size) || size == 0)
        return expected(value, "a size such as 512MiB", err);
    *out = size;
    return STATUS_OK;
}

static Status parse_count(Str value, int64_t min, int64_t max, int64_t *out, Error *err) {
    int64_t count;
    if (!str_parse_i64(value, &count) || count < min || count > max)
        return error_set(err, STATUS_INVALID, "'%.*s' is not a number from %lld to %lld", STR_ARG(value),
                         (long long)min, (long long)max);
    *out = count;
    return STATUS_OK;
}

static Status parse_bool(Str value, bool *out, Error *err) {
    if (!str_equal(value, STR("true")) && !str_equal(value, STR("false")))
        return expected(value, "true or false", err);
    *out = str_equal(value, STR("true"));
    return STATUS_OK;
}

static Status parse_memory(Str value, DriverOptions *options, Error *err) {
    return parse_size(value, &options->memory_bytes, err);
}

static Status parse_max_line(Str value, DriverOptions *options, Error *err) {
    return parse_size(value, &options->line_size_bytes_max, err);
}

static Status parse_restart_delay(Str value, DriverOptions *options, Error *err) {
    return parse_count(value, 0, 86400000, &options->restart_delay_ms, err);
}

static Status parse_partitions(Str value, DriverOptions *options, Error *err) {
    int64_t count = 0;
    TRY(parse_count(value, 1, PARTITIONS_MAX, &count, err));
    options->partition_count = (uint32_t)count;
    return STATUS_OK;
}

static Status parse_pending(Str value, DriverOptions *options, Error *err) {
    int64_t count = 0;
    TRY(parse_count(value, 1, INT64_MAX, &count, err));
    options->pending_batch_count_max = (uint64_t)count;
    return STATUS_OK;
}

static Status parse_snapshot_log(Str value, DriverOptions *options, Error *err) {
    return parse_size(value, &options->snapshot_log_bytes, err);
}

static Status parse_status(Str value, DriverOptions *options, Error *err) {
    return parse_bool(value, &options->has_status_lines, err);
}

static Status parse_test_chunk_rows(Str value, DriverOptions *options, Error *err) {
    int64_t count = 0;
    TRY(parse_count(value, 1, LEAT_CHUNK_ROWS_MAX, &count, err));
    options->chunk_rows_max = (uint32_t)count;
    return STATUS_OK;
}

static Status parse_test_constant_hash(Str value, DriverOptions *options, Error *err) {
    return parse_bool(value, &options->constant_hash, err);
}

static Status parse_test_splits(Str value, DriverOptions *options, Error *err) {
    int64_t count = 0;
    TRY(parse_count(value, 1, 1024, &count, err));
    options->split_count = (uint32_t)count;
    return STATUS_OK;
}

static Status parse_test_log_segment(Str value, DriverOptions *options, Error *err) {
    return parse_size(value, &options->log_segment_size_bytes, err);
}

typedef struct ContextOption {
    const char *name;
    Status (*parse)(Str value, DriverOptions *options, Error *err);
    bool is_hidden; /* for tests of Leat itself: never suggested; these stand at the end */
} ContextOption;

/* Their meanings and defaults are told in leat/context.h, at leat_set. */
static const ContextOption table[] = {
    {"memory", parse_memory, false},
    {"max-line", parse_max_line, false},
    {"receiver-restart-delay", parse_restart_delay, false},
    {"partitions", parse_partitions, false},
    {"pending-batches-max", parse_pending, false},
    {"snapshot-log", parse_snapshot_log, false},
    {"status", parse_status, false},
    {"test-chunk-rows", parse_test_chunk_rows, true},
    {"test-constant-hash", parse_test_constant_hash, true},
    {"test-splits", parse_test_splits, true},
    {"test-log-segment", parse_test_log_segment, true},
};

static const char *shown_name(const void *unused, size_t i) {
    (void)unused;
    return i < ARRAY_COUNT(table) && !table[i].is_hidden ? table[i].name : NULL;
}

Status context_option_set(Str name, Str value, DriverOptions *options, Error *err) {
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (str_equal(name, str_from(table[i].name)))
            return error_context(err, table[i].parse(value, options, err), "option '%s'", table[i].name);
    }
    const char *nearest = suggest(name, shown_name, NULL);
    if (nearest)
        return error_set(err, STATUS_INVALID, "there is no option '%.*s'; did you mean '%s'?", STR_ARG(name),
                         nearest);
    return error_set(err, STATUS_INVALID, "there is no option '%.*s'", STR_ARG(name));
}
