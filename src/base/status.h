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
Status error_set(Error *err, Status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set, with the text of `os_error` (an errno value) appended as ": No space left on device". ENOMEM
 * gives STATUS_NO_MEMORY, ENOENT STATUS_NOT_FOUND, EEXIST STATUS_EXISTS, ECANCELED STATUS_CANCELLED, the
 * transient network errors STATUS_UNAVAILABLE, everything else STATUS_IO. */
Status error_set_os(Error *err, int os_error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the message; returns `status` unchanged. Does nothing when `status` is OK. */
Status error_context(Error *err, Status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* The three are macros over themselves, so that the compiler sees what is returned: after `return
 * error_set(...)` it knows that the caller's outputs are not read, and a context for something that went well
 * is not even evaluated. */
CHECKED static inline Status status_to_check_(Status status) {
    return status;
}
#define error_set(err, status, ...)                           \
    status_to_check_(__extension__({                          \
        const Status error_status_ = (status);                \
        (void)(error_set)((err), error_status_, __VA_ARGS__); \
        error_status_;                                        \
    }))
#define error_set_os(err, os_error, ...)                                                \
    status_to_check_(__extension__({                                                    \
        const Status error_os_status_ = (error_set_os)((err), (os_error), __VA_ARGS__); \
        if (error_os_status_ == STATUS_OK)                                              \
            __builtin_unreachable();                                                    \
        error_os_status_;                                                               \
    }))
#define error_context(err, status, ...)                                 \
    status_to_check_(__extension__({                                    \
        const Status context_status_ = (status);                        \
        if (UNLIKELY(context_status_ != STATUS_OK))                     \
            (void)(error_context)((err), context_status_, __VA_ARGS__); \
        context_status_;                                                \
    }))

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
