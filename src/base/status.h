/* status.h - the one error idiom of the house.
 *
 * A fallible function returns a Status (what the caller can do about it) and takes an Error * last (what
 * happened, for a person). The Error is set once, where the fault is detected; callers add context only where
 * they know more. A function that returns an error does not log it.
 *
 *   - `err` may be NULL everywhere.
 *   - On failure outputs are NULL or unchanged, nothing was taken, nothing stays open.
 *   - A mistake of ours is an ASSERT (kept in release builds); a mistake of the world is a Status.
 */
#ifndef LEAT_BASE_STATUS_H
#define LEAT_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKED                                __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define LIKELY(x)                              __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                            __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(a)                         (sizeof(a) / sizeof((a)[0]))

/* One value per decision a caller can take. */
typedef enum Status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* the request is wrong: say so to the person who made it */
    STATUS_UNSUPPORTED, /* the request is right, but not something Leat does */
    STATUS_NOT_FOUND,
    STATUS_EXISTS,
    STATUS_NO_MEMORY,   /* a budget or the machine: push back, shrink, or refuse; see memory.h */
    STATUS_UNAVAILABLE, /* try again later; the only status that is retried */
    STATUS_IO,          /* the disk or the network refused; what was vouched for still holds */
    STATUS_CORRUPT,     /* stored bytes are not what was written; never retried */
    STATUS_CANCELLED,   /* somebody asked to stop */
} Status;

enum { ERROR_MESSAGE_SIZE_MAX = 1024 };

/* A value: zero-initialise with `Error err = {0}`. */
typedef struct Error {
    Status status;
    int os_error; /* errno where the operating system refused, else 0 */
    char message[ERROR_MESSAGE_SIZE_MAX];
} Error;

/* Fills *err (when not NULL) and returns `status`. Long messages are cut at a character boundary. */
CHECKED Status error_set(Error *err, Status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set, with the text of `os_error` (an errno value) appended as ": No space left on device". ENOMEM
 * gives STATUS_NO_MEMORY, ENOENT STATUS_NOT_FOUND, EEXIST STATUS_EXISTS, ECANCELED STATUS_CANCELLED, the
 * transient network errors STATUS_UNAVAILABLE, everything else STATUS_IO. */
CHECKED Status error_set_os(Error *err, int os_error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the message; returns `status` unchanged. Does nothing when `status` is OK. */
CHECKED Status error_context(Error *err, Status status, const char *format, ...) PRINTF_LIKE(3, 4);

const char *status_name(Status status); /* "INVALID"; static text */

/* Nothing to release. */
#define TRY(expression)                         \
    do {                                        \
        Status try_status_ = (expression);      \
        if (UNLIKELY(try_status_ != STATUS_OK)) \
            return try_status_;                 \
    } while (0)

/* Something to release: the function has a `Status st` and one exit. */
#define TRY_GOTO(label, expression)    \
    do {                               \
        st = (expression);             \
        if (UNLIKELY(st != STATUS_OK)) \
            goto label;                \
    } while (0)

_Noreturn void assert_failed(const char *file, int line, const char *expression);

#define ASSERT(condition) (LIKELY(condition) ? (void)0 : assert_failed(__FILE__, __LINE__, #condition))

#endif
