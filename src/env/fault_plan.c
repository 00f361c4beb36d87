/* fault_plan.c - reads a fault plan: entries "WORD@N=VALUE" between semicolons, cut apart and
 * looked up in tables. */
#include "env/fault_plan.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const kind_names[FAULT_KIND_COUNT] = {
    [FAULT_ANY] = "any",         [FAULT_READ] = "read",         [FAULT_WRITE] = "write",
    [FAULT_SYNC] = "sync",       [FAULT_OPEN] = "open",         [FAULT_RENAME] = "rename",
    [FAULT_REMOVE] = "remove",   [FAULT_TRUNCATE] = "truncate", [FAULT_MKDIR] = "mkdir",
    [FAULT_SYNCDIR] = "syncdir", [FAULT_READDIR] = "readdir",   [FAULT_STAT] = "stat",
    [FAULT_LOCK] = "lock",       [FAULT_CONNECT] = "connect",   [FAULT_RECEIVE] = "receive",
    [FAULT_SEND] = "send",       [FAULT_LISTEN] = "listen",     [FAULT_ACCEPT] = "accept",
    [FAULT_POLL] = "poll",       [FAULT_THREAD] = "thread",     [FAULT_RANDOM] = "random",
    [FAULT_STDOUT] = "stdout",
};

typedef struct ErrnoName {
    const char *name;
    int value;
} ErrnoName;

#define NAMED(value) \
    { #value, value }
static const ErrnoName errno_names[] = {
    NAMED(EACCES),       NAMED(EADDRINUSE), NAMED(EADDRNOTAVAIL), NAMED(EAGAIN),       NAMED(EBADF),
    NAMED(EBUSY),        NAMED(ECANCELED),  NAMED(ECONNABORTED),  NAMED(ECONNREFUSED), NAMED(ECONNRESET),
    NAMED(EDQUOT),       NAMED(EEXIST),     NAMED(EFBIG),         NAMED(EHOSTUNREACH), NAMED(EINTR),
    NAMED(EINVAL),       NAMED(EIO),        NAMED(EISDIR),        NAMED(ELOOP),        NAMED(EMFILE),
    NAMED(ENAMETOOLONG), NAMED(ENETDOWN),   NAMED(ENETUNREACH),   NAMED(ENFILE),       NAMED(ENOBUFS),
    NAMED(ENODEV),       NAMED(ENOENT),     NAMED(ENOLCK),        NAMED(ENOMEM),       NAMED(ENOSPC),
    NAMED(ENOTCONN),     NAMED(ENOTDIR),    NAMED(ENOTEMPTY),     NAMED(ENXIO),        NAMED(EPERM),
    NAMED(EPIPE),        NAMED(EROFS),      NAMED(ESTALE),        NAMED(ETIMEDOUT),    NAMED(EXDEV),
};

const char *fault_kind_name(FaultKind kind) {
    return kind_names[kind];
}

bool fault_kind_is_transfer(FaultKind kind) {
    return kind == FAULT_READ || kind == FAULT_WRITE || kind == FAULT_RECEIVE || kind == FAULT_SEND ||
           kind == FAULT_RANDOM || kind == FAULT_STDOUT;
}

const char *fault_errno_name(int value) {
    for (size_t i = 0; i < ARRAY_COUNT(errno_names); i++)
        if (errno_names[i].value == value)
            return errno_names[i].name;
    return NULL;
}

static bool find_kind(Str word, FaultKind *kind) {
    for (FaultKind k = FAULT_ANY; k < FAULT_KIND_COUNT; k++)
        if (str_equal(word, str_from(kind_names[k]))) {
            *kind = k;
            return true;
        }
    if (!str_equal(word, STR("fsync")))
        return false;
    *kind = FAULT_SYNC;
    return true;
}

static bool find_errno(Str word, int64_t *value) {
    for (size_t i = 0; i < ARRAY_COUNT(errno_names); i++)
        if (str_equal(word, str_from(errno_names[i].name))) {
            *value = errno_names[i].value;
            return true;
        }
    return false;
}

/* "-3600s" to microseconds. */
static bool parse_offset(Str text, int64_t *offset_us) {
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"us", 1},         {"ms", 1000},       {"s", 1000000},          {"m", 60000000},
                 {"h", 3600000000}, {"d", 86400000000}, {"y", 365 * 86400000000}};
    if (text.size == 0 || (text.data[0] != '+' && text.data[0] != '-'))
        return false;
    size_t digits = 1;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    Str unit = str_slice(text.data + digits, text.size - digits);
    int64_t amount;
    if (!str_parse_i64(str_slice(text.data, digits), &amount))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (str_equal(unit, str_from(units[i].name)))
            return !__builtin_mul_overflow(amount, units[i].us, offset_us);
    return false;
}

CHECKED static Status expected(Str text, const char *what, Error *err) {
    return error_set(err, STATUS_INVALID, "fault plan: '%.*s': expected %s", STR_ARG(text), what);
}

/* The value of an entry whose word is `word`; sets action, kind and value. `text` is the whole
 * entry, for messages. */
CHECKED static Status parse_value(Str text, Str word, Str value, FaultEntry *entry, Error *err) {
    if (str_equal(word, STR("delay"))) {
        entry->action = FAULT_DELAY;
        if (!str_parse_i64(value, &entry->value) || entry->value < 0)
            return expected(text, "microseconds behind the =, as in delay@5=1000", err);
        return STATUS_OK;
    }
    if (str_equal(word, STR("clock"))) {
        entry->action = FAULT_CLOCK;
        if (!parse_offset(value, &entry->value))
            return expected(text, "a sign, a number and a unit (us ms s m h d y), as in clock@40=-3600s",
                            err);
        return STATUS_OK;
    }
    if (!find_kind(word, &entry->kind)) {
        Text what = {0};
        text_appendf(&what, "seed, kill, delay, clock, fsync or a kind of call (");
        for (FaultKind k = FAULT_ANY; k < FAULT_KIND_COUNT; k++)
            text_appendf(&what, k == FAULT_ANY ? "%s" : " %s", kind_names[k]);
        text_append_byte(&what, ')');
        Status st = expected(text, what.data, err);
        text_deinit(&what);
        return st;
    }
    if (str_starts_with(value, STR("short:"))) {
        size_t prefix = strlen("short:");
        entry->action = FAULT_SHORT;
        if (entry->kind != FAULT_ANY && !fault_kind_is_transfer(entry->kind))
            return expected(
                text, "an error name: only read, write, receive, send, random and stdout move bytes", err);
        if (!str_parse_i64(str_slice(value.data + prefix, value.size - prefix), &entry->value) ||
            entry->value < 1)
            return expected(text, "at least one byte behind short:, as in write@203=short:13", err);
        return STATUS_OK;
    }
    entry->action = FAULT_FAIL;
    if (!find_errno(value, &entry->value))
        return expected(text, "the name of an error behind the =, as in EIO or ENOSPC, or short:BYTES", err);
    return STATUS_OK;
}

/* Everything but seed=S. */
CHECKED static Status parse_entry(Str text, FaultEntry *entry, Error *err) {
    *entry = (FaultEntry){.kind = FAULT_ANY};
    Str rest = text, word, number;
    leat_str_split(&rest, '@', &word);
    if (!rest.data)
        return expected(text, "WORD@N, as in fsync@17=EIO", err);
    leat_str_split(&rest, '=', &number);
    Str value = rest;
    bool has_value = rest.data != NULL;
    if (number.size > 0 && number.data[number.size - 1] == '+') {
        entry->and_later = true;
        number.size--;
    }
    int64_t n;
    int64_t least = str_equal(word, STR("clock")) ? 0 : 1;
    if (number.size == 0 || number.data[0] == '+' || !str_parse_i64(number, &n) || n < least)
        return expected(text, "the number of a call behind the @, counted from 1", err);
    entry->number = (uint64_t)n;
    if (str_equal(word, STR("kill"))) {
        if (entry->and_later || (has_value && !str_equal(value, STR("after"))))
            return expected(text, "kill@N or kill@N=after", err);
        entry->action = has_value ? FAULT_KILL_AFTER : FAULT_KILL_BEFORE;
        return STATUS_OK;
    }
    if (!has_value)
        return expected(text, "= and what is to happen, as in fsync@17=EIO", err);
    TRY(parse_value(text, word, value, entry, err));
    if (entry->and_later && entry->action != FAULT_FAIL)
        return expected(text, "the name of an error: only errors can go on (+=)", err);
    if (entry->and_later && entry->value == EINTR)
        return expected(text, "another error: an interrupted call is made again, for ever", err);
    return STATUS_OK;
}

Status fault_plan_parse(Str text, FaultPlan **out, Error *err) {
    *out = NULL;
    size_t part_count = 1;
    for (size_t i = 0; i < text.size; i++)
        part_count += text.data[i] == ';';
    FaultPlan *plan = xcalloc(1, sizeof *plan + part_count * sizeof plan->entries[0]);
    Str rest = text, part;
    while (leat_str_split(&rest, ';', &part)) {
        part = str_trim(part);
        Status st = STATUS_OK;
        if (str_starts_with(part, STR("seed="))) {
            int64_t seed;
            if (str_parse_i64(str_slice(part.data + strlen("seed="), part.size - strlen("seed=")), &seed) &&
                seed >= 0)
                plan->seed = (uint64_t)seed;
            else
                st = expected(part, "a number that is not negative, as in seed=42", err);
        } else if (part.size > 0) {
            st = parse_entry(part, &plan->entries[plan->entry_count++], err);
        }
        if (st != STATUS_OK) {
            free(plan);
            return st;
        }
    }
    *out = plan;
    return STATUS_OK;
}
