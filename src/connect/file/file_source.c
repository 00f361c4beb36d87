/* file_source.c - see file_source.h.
 *
 * plan() lists, chooses by the four rules of the header, sorts, and writes down what it chose; read() only
 * makes ranges of what is written down. Between batches the source is two things: `initial_ms`, and which
 * paths were taken when.
 *
 * A plan: u8 version 1, i64 initial_ms, varint file count; each: str path, varint size, i64 modified_ms.
 * What save gives: u8 version 1, i64 initial_ms, varint path count; each: str path, i64 batch time that took
 * it.
 */
#include "connect/file/file_source.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/map.h"
#include "connect/file/file_split.h"
#include "stream/repeats.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>

enum { VERSION = 1, REMEMBER_MS = 60000, RANGE_SIZE = 64 << 20, RANGE_COUNT_MAX = 1 << 16, US_PER_MS = 1000 };

typedef struct File {
    char *path; /* owned in lists, borrowed from the plan's copy else */
    uint64_t size_bytes;
    int64_t modified_ms;
} File;

typedef struct FileList {
    File *files;
    size_t count, capacity;
} FileList;

typedef struct FileSource {
    Source base;
    FileSourceOptions options;
    char *directory; /* absolute once opened */
    const SourceServices *services;
    Env *env;
    int64_t initial_ms;
    int64_t remembered_ms; /* W */
    Map taken;             /* path to batch time, as a number in the pointer */
    Repeats failures;
} FileSource;

_Static_assert(sizeof(intptr_t) == sizeof(int64_t), "times stand in pointers of the map");

static void file_list_add(FileList *list, File file) { /* takes file.path */
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 8;
        list->files = xrealloc(list->files, list->capacity * sizeof *list->files);
    }
    list->files[list->count++] = file;
}

static void file_list_deinit(FileList *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].path);
    free(list->files);
    *list = (FileList){0};
}

static int compare_files(const void *left, const void *right) {
    const File *a = left, *b = right;
    if (a->modified_ms != b->modified_ms)
        return a->modified_ms < b->modified_ms ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* ---- what was taken ---- */

static void take(FileSource *source, Str path, int64_t batch_time_ms) {
    map_put(&source->taken, path, (void *)(intptr_t)batch_time_ms);
}

/* Rule 4: only batches of the last W count. */
static void forget_before(FileSource *source, int64_t time_ms) {
    Map kept = {0};
    bool is_stale = false;
    for (uint32_t i = 0; i < source->taken.count && !is_stale; i++)
        is_stale = (intptr_t)source->taken.entries[i].value < time_ms;
    if (!is_stale)
        return;
    for (uint32_t i = 0; i < source->taken.count; i++)
        if ((intptr_t)source->taken.entries[i].value >= time_ms)
            map_put(&kept, source->taken.entries[i].key, source->taken.entries[i].value);
    map_deinit(&source->taken);
    source->taken = kept;
}

/* ---- listing ---- */

/* What one batch looks for. */
typedef struct Search {
    FileSource *source;
    int64_t batch_time_ms, threshold_ms;
    FileList found;
} Search;

static bool default_filter(const char *name) {
    return name[0] != '.';
}

static int64_t floor_ms(int64_t us) {
    return us / US_PER_MS - (us % US_PER_MS < 0);
}

CHECKED static Status consider_file(Search *search, const char *directory, const char *name, Error *err) {
    FileSource *source = search->source;
    const FileSourceOptions *options = &source->options;
    if (options->filter ? !options->filter(name, options->user) : !default_filter(name)) /* rule 1 */
        return STATUS_OK;
    EnvFileInfo info = {0};
    char *path = env_path_join(directory, name);
    Status st = env_path_info(source->env, path, &info, err);
    int64_t modified_ms = floor_ms(info.modified_us);
    if (st == STATUS_OK && info.is_file && modified_ms > search->threshold_ms &&
        modified_ms <= search->batch_time_ms && !map_contains(&source->taken, str_from(path))) {
        file_list_add(&search->found,
                      (File){.path = path, .size_bytes = info.size_bytes, .modified_ms = modified_ms});
        return STATUS_OK;
    }
    free(path);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st; /* renamed or removed meanwhile; a link to nothing */
}

CHECKED static Status list_directory(Search *search, const char *directory, Error *err) {
    Env *env = search->source->env;
    EnvDir *dir = NULL;
    const char *name = NULL;
    TRY(env_dir_open(env, directory, &dir, err));
    Status st = env_dir_next(env, dir, &name, err);
    while (st == STATUS_OK && name) {
        st = consider_file(search, directory, name, err);
        if (st == STATUS_OK)
            st = env_dir_next(env, dir, &name, err);
    }
    env_dir_close(env, dir);
    return st;
}

static bool is_pattern(Str step) {
    for (size_t i = 0; i < step.size; i++)
        if (strchr("*?[", step.data[i]))
            return true;
    return false;
}

CHECKED static Status search_under(Search *search, const char *parent, Str rest, bool is_matched, Error *err);

/* The directories under `parent` that the first step of the pattern names. */
CHECKED static Status search_matches(Search *search, const char *parent, const char *pattern, Str rest,
                                     Error *err) {
    Env *env = search->source->env;
    EnvDir *dir = NULL;
    const char *name = NULL;
    TRY(env_dir_open(env, parent, &dir, err));
    Status st = env_dir_next(env, dir, &name, err);
    while (st == STATUS_OK && name) {
        if (fnmatch(pattern, name, FNM_PERIOD) == 0) {
            char *path = env_path_join(parent, name);
            st = search_under(search, path, rest, true, err);
            free(path);
        }
        if (st == STATUS_OK)
            st = env_dir_next(env, dir, &name, err);
    }
    env_dir_close(env, dir);
    return st;
}

/* `rest`: the steps below `parent`. `is_matched`: a pattern gave parent, so it need not be a directory. */
CHECKED static Status search_under(Search *search, const char *parent, Str rest, bool is_matched,
                                   Error *err) {
    Str step;
    if (is_matched) {
        EnvFileInfo info = {0};
        Status st = env_path_info(search->source->env, parent, &info, err);
        if (st == STATUS_NOT_FOUND || (st == STATUS_OK && !info.is_directory))
            return STATUS_OK;
        TRY(st);
    }
    do {
        if (rest.size == 0)
            return list_directory(search, parent, err);
        leat_str_split(&rest, '/', &step);
    } while (step.size == 0);
    char *name = xstrdup(step);
    Status st;
    if (is_pattern(step)) {
        st = search_matches(search, parent, name, rest, err);
    } else {
        char *path = env_path_join(parent, name);
        st = search_under(search, path, rest, is_matched, err);
        free(path);
    }
    free(name);
    return st;
}

/* All directories that the pattern names, from the step on in which it is one. */
CHECKED static Status search_all(Search *search, Error *err) {
    Str directory = str_from(search->source->directory), parent = directory;
    parent.size = strcspn(directory.data, "*?[");
    if (parent.size == directory.size)
        return list_directory(search, directory.data, err);
    while (parent.size > 1 && parent.data[parent.size - 1] != '/')
        parent.size--;
    Str rest = {directory.data + parent.size, directory.size - parent.size};
    while (parent.size > 1 && parent.data[parent.size - 1] == '/')
        parent.size--;
    char *path = xstrdup(parent);
    Status st = search_under(search, path, rest, false, err);
    free(path);
    return st;
}

/* ---- plans ---- */

typedef struct PlanReader {
    Reader reader;
    int64_t initial_ms;
    uint64_t left; /* files */
} PlanReader;

CHECKED static Status plan_malformed(Error *err) {
    return error_set(err, STATUS_CORRUPT, "plan of a file source: malformed");
}

CHECKED static Status plan_begin(Str plan, PlanReader *out, Error *err) {
    *out = (PlanReader){.reader = reader_of(plan)};
    uint8_t version = reader_u8(&out->reader);
    out->initial_ms = reader_i64(&out->reader);
    out->left = reader_varint(&out->reader);
    return out->reader.failed || version != VERSION ? plan_malformed(err) : STATUS_OK;
}

/* *path borrows from the plan and has no zero byte in it. */
CHECKED static Status plan_next(PlanReader *plan, Str *path, uint64_t *size_bytes, int64_t *modified_ms,
                                Error *err) {
    ASSERT(plan->left > 0);
    *path = reader_str(&plan->reader);
    *size_bytes = reader_varint(&plan->reader);
    *modified_ms = reader_i64(&plan->reader);
    plan->left--;
    if (plan->reader.failed || path->size == 0 || memchr(path->data, 0, path->size) ||
        *size_bytes > INT64_MAX)
        return plan_malformed(err);
    return STATUS_OK;
}

CHECKED static Status plan_end(const PlanReader *plan, Error *err) {
    return plan->reader.offset == plan->reader.size ? STATUS_OK : plan_malformed(err);
}

static void plan_encode(const FileSource *source, const FileList *list, Text *plan) {
    bytes_put_u8(plan, VERSION);
    bytes_put_i64(plan, source->initial_ms);
    bytes_put_varint(plan, list->count);
    for (size_t i = 0; i < list->count; i++) {
        bytes_put_str(plan, str_from(list->files[i].path));
        bytes_put_varint(plan, list->files[i].size_bytes);
        bytes_put_i64(plan, list->files[i].modified_ms);
    }
}

CHECKED static Status file_plan(Source *base, int64_t batch_time_ms, Text *plan, bool *has_batch,
                                Error *err) {
    FileSource *source = (FileSource *)base;
    (void)err; /* what cannot be listed now may be listed later */
    int64_t window_begin_ms = batch_time_ms - source->remembered_ms;
    Search search = {.source = source, .batch_time_ms = batch_time_ms, .threshold_ms = source->initial_ms};
    if (search.threshold_ms < window_begin_ms)
        search.threshold_ms = window_begin_ms;
    forget_before(source, window_begin_ms);

    Error failure = {0};
    uint64_t unsaid_count = 0;
    if (search_all(&search, &failure) == STATUS_OK) {
        repeats_forget(&source->failures);
    } else {
        file_list_deinit(&search.found);
        if (repeats_say(&source->failures, failure.message, batch_time_ms * US_PER_MS, &unsaid_count))
            log_warn("file", "LIST-FAILED %s: %s; the batch of %" PRId64 " ms is empty%s", base->description,
                     failure.message, batch_time_ms, unsaid_count ? ", as those of the last minute" : "");
    }
    if (search.found.count > 0)
        qsort(search.found.files, search.found.count, sizeof(File), compare_files);
    for (size_t i = 0; i < search.found.count; i++)
        take(source, str_from(search.found.files[i].path), batch_time_ms);
    plan_encode(source, &search.found, plan);
    file_list_deinit(&search.found);
    *has_batch = true;
    return STATUS_OK;
}

CHECKED static Status file_replay(Source *base, int64_t batch_time_ms, Str bytes, Error *err) {
    FileSource *source = (FileSource *)base;
    PlanReader plan;
    TRY(plan_begin(bytes, &plan, err));
    source->initial_ms = plan.initial_ms;
    forget_before(source, batch_time_ms - source->remembered_ms);
    while (plan.left > 0) {
        Str path;
        uint64_t size_bytes;
        int64_t modified_ms;
        TRY(plan_next(&plan, &path, &size_bytes, &modified_ms, err));
        take(source, path, batch_time_ms);
    }
    return plan_end(&plan, err);
}

/* 64 MiB, or more where that would be very many ranges. For hostile runs what gives about
 * the number asked for. */
CHECKED static Status range_size(const FileSource *source, Str bytes, uint64_t *out, Error *err) {
    uint64_t total = 0, wanted = source->services->split_count;
    PlanReader plan;
    TRY(plan_begin(bytes, &plan, err));
    while (plan.left > 0) {
        Str path;
        uint64_t size_bytes;
        int64_t modified_ms;
        TRY(plan_next(&plan, &path, &size_bytes, &modified_ms, err));
        if (size_bytes > INT64_MAX - total)
            return plan_malformed(err);
        total += size_bytes;
    }
    TRY(plan_end(&plan, err));
    *out = total / RANGE_COUNT_MAX > RANGE_SIZE ? total / RANGE_COUNT_MAX : RANGE_SIZE;
    if (wanted > 0)
        *out = total < wanted ? 1 : (total + wanted - 1) / wanted;
    return STATUS_OK;
}

CHECKED static Status file_read(Source *base, int64_t batch_time_ms, Str bytes, SplitList *splits,
                                Error *err) {
    FileSource *source = (FileSource *)base;
    uint64_t range = RANGE_SIZE;
    PlanReader plan;
    (void)batch_time_ms;
    TRY(range_size(source, bytes, &range, err));
    TRY(plan_begin(bytes, &plan, err));
    while (plan.left > 0) {
        Str path;
        uint64_t size_bytes;
        int64_t modified_ms;
        TRY(plan_next(&plan, &path, &size_bytes, &modified_ms, err));
        FileSplitOptions options = {.env = source->env,
                                    .path = xstrdup(path),
                                    .file_size_bytes = size_bytes,
                                    .line_size_bytes_max = source->services->line_size_bytes_max};
        do { /* an empty file has a split too: the batch had input, which must be remembered */
            options.end = size_bytes - options.begin < range ? size_bytes : options.begin + range;
            split_list_add(splits, file_split_create(options));
            options.begin = options.end;
        } while (options.end < size_bytes);
        free((char *)options.path);
    }
    return STATUS_OK;
}

static void file_describe_plan(Str bytes, Text *out) {
    PlanReader plan;
    size_t begin = out->size;
    if (plan_begin(bytes, &plan, NULL) != STATUS_OK) {
        text_append(out, STR("malformed plan"));
        return;
    }
    text_appendf(out, "%" PRIu64 " file%s", plan.left, plan.left == 1 ? "" : "s");
    for (const char *before = ": "; plan.left > 0; before = ", ") {
        Str path;
        uint64_t size_bytes;
        int64_t modified_ms;
        if (plan_next(&plan, &path, &size_bytes, &modified_ms, NULL) != STATUS_OK) {
            out->size = begin;
            text_append(out, STR("malformed plan"));
            return;
        }
        text_append(out, str_from(before));
        text_append_escaped(out, path);
        text_appendf(out, " (%" PRIu64 " bytes)", size_bytes);
    }
}

/* ---- the rest of SourceClass ---- */

CHECKED static Status file_open(Source *base, const SourceServices *services, Error *err) {
    FileSource *source = (FileSource *)base;
    char *absolute = NULL;
    TRY(env_absolute_path(services->env, source->directory, &absolute, err));
    free(source->directory);
    source->directory = absolute;
    source->services = services;
    source->env = services->env;
    source->initial_ms = source->options.existing_files ? 0 : services->first_now_ms;
    int64_t interval_ms = services->interval_ms;
    int64_t remember_ms = source->options.remember_ms > 0 ? source->options.remember_ms : REMEMBER_MS;
    source->remembered_ms = (remember_ms + interval_ms - 1) / interval_ms * interval_ms;
    return STATUS_OK;
}

CHECKED static Status file_restore(Source *base, Str saved, Error *err) {
    FileSource *source = (FileSource *)base;
    Reader r = reader_of(saved);
    uint8_t version = reader_u8(&r);
    int64_t initial_ms = reader_i64(&r);
    Map taken = {0};
    for (uint64_t left = reader_varint(&r); left > 0 && !r.failed; left--) {
        Str path = reader_str(&r);
        int64_t time_ms = reader_i64(&r);
        if (!r.failed)
            map_put(&taken, path, (void *)(intptr_t)time_ms);
    }
    if (r.failed || version != VERSION || r.offset != r.size) {
        map_deinit(&taken);
        return error_set(err, STATUS_CORRUPT, "%s: malformed saved position", base->description);
    }
    map_deinit(&source->taken);
    source->taken = taken;
    source->initial_ms = initial_ms;
    return STATUS_OK;
}

static void file_save(Source *base, Text *out) {
    const FileSource *source = (const FileSource *)base;
    bytes_put_u8(out, VERSION);
    bytes_put_i64(out, source->initial_ms);
    bytes_put_varint(out, source->taken.count);
    for (uint32_t i = 0; i < source->taken.count; i++) {
        bytes_put_str(out, source->taken.entries[i].key);
        bytes_put_i64(out, (intptr_t)source->taken.entries[i].value);
    }
}

CHECKED static Status file_start(Source *base, Error *err) {
    (void)base;
    (void)err;
    return STATUS_OK;
}

static void file_done(Source *base, int64_t batch_time_ms) {
    (void)base;
    (void)batch_time_ms;
}

/* The batches that a graceful stop still runs look into the directory as any other (as Spark's do). */
static void file_stop(Source *base) {
    (void)base;
}

static bool file_has_more(Source *base) {
    (void)base;
    return false;
}

static void file_close(Source *base) {
    map_deinit(&((FileSource *)base)->taken);
}

static void file_destroy(Source *base) {
    FileSource *source = (FileSource *)base;
    free(base->description);
    free(source->directory);
    free(source);
}

const SourceClass file_source_class = {.kind = "file",
                                       .open = file_open,
                                       .restore = file_restore,
                                       .replay = file_replay,
                                       .start = file_start,
                                       .plan = file_plan,
                                       .read = file_read,
                                       .done = file_done,
                                       .save = file_save,
                                       .stop = file_stop,
                                       .has_more = file_has_more,
                                       .close = file_close,
                                       .destroy = file_destroy,
                                       .describe_plan = file_describe_plan};

Source *file_source_create(FileSourceOptions options) {
    FileSource *source = xcalloc(1, sizeof *source);
    Text description = {0};
    text_appendf(&description, "files in %s", options.directory);
    *source = (FileSource){.base = {.class = &file_source_class, .description = description.data},
                           .options = options,
                           .directory = xstrdup(str_from(options.directory))};
    source->options.directory = NULL;
    return &source->base;
}
