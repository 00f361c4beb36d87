#include "base/status.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The message now holds `size_bytes` bytes, cut by snprintf when that is the whole field: a character that
 * was cut in the middle is removed, so that the message stays UTF-8 if it was. */
static void cut_at_character(char *message, size_t size_bytes) {
    size_t start = size_bytes;
    while (start > 0 && size_bytes - start < 3 && ((unsigned char)message[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)message[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (size_bytes - (start - 1) < wanted)
        message[start - 1] = 0;
}

/* Appends to the message behind `size_bytes` bytes of it; returns the new size. */
static size_t message_append(Error *err, size_t size_bytes, const char *format, va_list args) {
    size_t room = sizeof err->message - size_bytes;
    int wanted = vsnprintf(err->message + size_bytes, room, format, args);
    if (wanted < 0) {
        err->message[size_bytes] = 0;
        return size_bytes;
    }
    if ((size_t)wanted < room)
        return size_bytes + (size_t)wanted;
    cut_at_character(err->message, sizeof err->message - 1);
    return strlen(err->message);
}

PRINTF_LIKE(3, 4) static size_t message_appendf(Error *err, size_t size_bytes, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t size = message_append(err, size_bytes, format, args);
    va_end(args);
    return size;
}

Status(error_set)(Error *err, Status status, const char *format, ...) {
    ASSERT(status != STATUS_OK);
    if (!err)
        return status;
    err->status = status;
    err->os_error = 0;
    va_list args;
    va_start(args, format);
    message_append(err, 0, format, args);
    va_end(args);
    return status;
}

static Status status_of_os_error(int os_error) {
    switch (os_error) {
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_EXISTS;
    case ECANCELED:
        return STATUS_CANCELLED;
    case EAGAIN:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENOTCONN:
        return STATUS_UNAVAILABLE;
    default:
        return STATUS_IO;
    }
}

Status(error_set_os)(Error *err, int os_error, const char *format, ...) {
    Status status = status_of_os_error(os_error);
    if (!err)
        return status;
    err->status = status;
    err->os_error = os_error;
    va_list args;
    va_start(args, format);
    size_t size = message_append(err, 0, format, args);
    va_end(args);
    char text[128];
    message_appendf(err, size, ": %s", strerror_r(os_error, text, sizeof text)); /* the GNU strerror_r */
    return status;
}

Status(error_context)(Error *err, Status status, const char *format, ...) {
    if (status == STATUS_OK || !err)
        return status;
    char inner[ERROR_MESSAGE_SIZE_MAX];
    memcpy(inner, err->message, sizeof inner);
    va_list args;
    va_start(args, format);
    size_t size = message_append(err, 0, format, args);
    va_end(args);
    message_appendf(err, size, ": %s", inner);
    return status;
}

const char *status_name(Status status) {
    switch (status) {
    case STATUS_OK:
        return "OK";
    case STATUS_INVALID:
        return "INVALID";
    case STATUS_UNSUPPORTED:
        return "UNSUPPORTED";
    case STATUS_NOT_FOUND:
        return "NOT_FOUND";
    case STATUS_EXISTS:
        return "EXISTS";
    case STATUS_NO_MEMORY:
        return "NO_MEMORY";
    case STATUS_UNAVAILABLE:
        return "UNAVAILABLE";
    case STATUS_IO:
        return "IO";
    case STATUS_CORRUPT:
        return "CORRUPT";
    case STATUS_CANCELLED:
        return "CANCELLED";
    }
    return "UNKNOWN";
}

_Noreturn void assert_failed(const char *file, int line, const char *expression) {
    fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, expression);
    abort();
}
