/* fault_plan.h - a parsed fault plan as env_faulty.c follows it. The language is in env_faulty.h. */
#ifndef LEAT_ENV_FAULT_PLAN_H
#define LEAT_ENV_FAULT_PLAN_H

#include "env/env_faulty.h"

/* What is counted. ANY is the number of a call among all of them. */
typedef enum FaultKind {
    FAULT_ANY,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_OPEN,
    FAULT_RENAME,
    FAULT_REMOVE,
    FAULT_TRUNCATE,
    FAULT_MKDIR,
    FAULT_SYNCDIR,
    FAULT_READDIR,
    FAULT_STAT,
    FAULT_LOCK,
    FAULT_CONNECT,
    FAULT_RECEIVE,
    FAULT_SEND,
    FAULT_LISTEN,
    FAULT_ACCEPT,
    FAULT_POLL,
    FAULT_THREAD,
    FAULT_RANDOM,
    FAULT_STDOUT,
    FAULT_KIND_COUNT,
} FaultKind;

typedef enum FaultAction {
    FAULT_FAIL,        /* value: the errno */
    FAULT_SHORT,       /* value: bytes, at least 1 */
    FAULT_KILL_BEFORE, /* value: 0 */
    FAULT_KILL_AFTER,  /* value: 0 */
    FAULT_DELAY,       /* value: microseconds, at least 0 */
    FAULT_CLOCK,       /* value: microseconds, signed */
} FaultAction;

typedef struct FaultEntry {
    FaultKind kind; /* ANY for kill, delay and clock */
    FaultAction action;
    bool and_later;  /* FAIL only */
    uint64_t number; /* at least 1; clock: at least 0 */
    int64_t value;
} FaultEntry;

struct FaultPlan {
    uint64_t seed;
    size_t entry_count;
    FaultEntry entries[]; /* in the order of the text */
};

const char *fault_kind_name(FaultKind kind); /* static text */
bool fault_kind_is_transfer(FaultKind kind);
/* "EIO" for EIO; static text, NULL for a value that plans have no name for. */
const char *fault_errno_name(int value);

#endif
