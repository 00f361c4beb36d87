/* log.h - lines for the person who runs the program, on standard error.
 *
 * A line reads `2026-11-21T10:00:00.123Z WARN  socket RECONNECT host=localhost port=9999 in=2s`: time, level,
 * area, TAG, key=value. LEAT_LOG=info (default warn) sets all areas; LEAT_LOG=state:debug,socket:trace one
 * area each; both forms may be mixed. No payloads: record data never goes into a line below debug level.
 *
 * Time and the stream come from hooks that env installs (base knows nothing of the operating system's clock);
 * before that a line has no time and goes to stderr.
 *
 * Threads  any; one line is one write.
 */
#ifndef LEAT_BASE_LOG_H
#define LEAT_BASE_LOG_H

#include "base/str.h"

typedef enum LogLevel { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE } LogLevel;

typedef struct LogHooks {
    int64_t (*wall_us)(void *self);
    void (*write)(void *self, Str line); /* with its line break */
    void *self;
} LogHooks;

void log_set_hooks(LogHooks hooks);
/* Parses LEAT_LOG's text. INVALID names the part that is wrong; nothing has changed then. */
CHECKED Status log_configure(Str text, Error *err);
bool log_enabled(const char *area, LogLevel level);
void log_line(const char *area, LogLevel level, const char *format, ...) PRINTF_LIKE(3, 4);

#define LOG(area, level, ...)                   \
    do {                                        \
        if (UNLIKELY(log_enabled(area, level))) \
            log_line(area, level, __VA_ARGS__); \
    } while (0)
#define log_error(area, ...) LOG(area, LOG_ERROR, __VA_ARGS__)
#define log_warn(area, ...)  LOG(area, LOG_WARN, __VA_ARGS__)
#define log_info(area, ...)  LOG(area, LOG_INFO, __VA_ARGS__)
#define log_debug(area, ...) LOG(area, LOG_DEBUG, __VA_ARGS__)

#endif
