#include "base/log.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct AreaLevel {
    Str area; /* in LogLevels.text */
    LogLevel level;
} AreaLevel;

/* What log_configure was told. Never changed once published, never freed: others may be reading it. */
typedef struct LogLevels {
    const struct LogLevels *older;
    char *text;
    LogLevel all;
    uint32_t area_count;
    AreaLevel areas[];
} LogLevels;

static _Atomic(const LogLevels *) current_levels;
static LogHooks hooks; /* set by env before there are threads */

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const level_labels[] = {"ERROR", "WARN ", "INFO ", "DEBUG", "TRACE"};

void log_set_hooks(LogHooks new_hooks) {
    hooks = new_hooks;
}

static bool parse_level(Str name, LogLevel *level) {
    for (unsigned i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (str_equal(name, str_from(level_names[i]))) {
            *level = (LogLevel)i;
            return true;
        }
    }
    return false;
}

Status log_configure(Str text, Error *err) {
    uint32_t part_count = 1;
    for (size_t i = 0; i < text.size; i++)
        part_count += text.data[i] == ',';
    LogLevels *levels = xcalloc(1, sizeof *levels + part_count * sizeof(AreaLevel));
    levels->text = xstrdup(text);
    levels->all = LOG_WARN;

    Str rest = {levels->text, text.size}, part;
    while (leat_str_split(&rest, ',', &part)) {
        Str level_name = part, area = {0};
        if (memchr(part.data, ':', part.size))
            leat_str_split(&level_name, ':', &area);
        level_name = str_trim(level_name);
        area = str_trim(area);
        bool names_area = area.data != NULL;

        LogLevel level;
        if (!names_area && level_name.size == 0)
            continue; /* an empty part: LEAT_LOG= or a comma at the end */
        if (!parse_level(level_name, &level) || (names_area && area.size == 0)) {
            Status st =
                error_set(err, STATUS_INVALID,
                          "LEAT_LOG: '%.*s' is not LEVEL or AREA:LEVEL; levels are error, warn, info, debug, "
                          "trace",
                          STR_ARG(part));
            free(levels->text);
            free(levels);
            return st;
        }
        if (names_area)
            levels->areas[levels->area_count++] = (AreaLevel){area, level};
        else
            levels->all = level;
    }
    levels->older = atomic_load(&current_levels);
    atomic_store(&current_levels, levels);
    return STATUS_OK;
}

bool log_enabled(const char *area, LogLevel level) {
    const LogLevels *levels = atomic_load_explicit(&current_levels, memory_order_acquire);
    if (!levels)
        return level <= LOG_WARN;
    for (uint32_t i = levels->area_count; i-- > 0;) { /* the last one said wins */
        if (str_equal(levels->areas[i].area, str_from(area)))
            return level <= levels->areas[i].level;
    }
    return level <= levels->all;
}

static void append_time(Text *line, int64_t wall_us) {
    int64_t second = wall_us / 1000000, part_us = wall_us % 1000000;
    time_t clock = part_us < 0 ? second - 1 : second;
    int part_ms = (int)((part_us < 0 ? part_us + 1000000 : part_us) / 1000);
    struct tm utc;
    if (gmtime_r(&clock, &utc))
        text_appendf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, part_ms);
}

void log_line(const char *area, LogLevel level, const char *format, ...) {
    char small[512], *message = small;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (size >= (int)sizeof small) {
        message = xmalloc((size_t)size + 1);
        vsnprintf(message, (size_t)size + 1, format, again);
    }
    va_end(again);

    Text line = {0};
    if (hooks.wall_us)
        append_time(&line, hooks.wall_us(hooks.self));
    text_appendf(&line, "%s %s ", level_labels[level], area);
    /* A line break or an escape sequence in a value must not look like a line of ours. */
    text_append_escaped(&line, size > 0 ? str_slice(message, (size_t)size) : STR(""));
    text_append_byte(&line, '\n');
    if (hooks.write)
        hooks.write(hooks.self, text_str(&line));
    else
        fwrite(line.data, 1, line.size, stderr);
    text_deinit(&line);
    if (message != small)
        free(message);
}
