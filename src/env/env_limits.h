/* env_limits.h - how much of the machine this process may use: control groups (version 1 and 2) and /proc.
 *
 * `root` is put before every path ("" on the real machine; tests build a small tree). What cannot be read is
 * no limit. Threads  any.
 */
#ifndef LEAT_ENV_ENV_LIMITS_H
#define LEAT_ENV_ENV_LIMITS_H

#include <stdint.h>

/* Bytes: the least of the machine's memory and of every control group from the process's own to the top. */
uint64_t env_limits_memory_bytes(const char *root);
/* Processors that the control groups' time quota amounts to, rounded up; UINT32_MAX: no quota. */
unsigned env_limits_cpu_count(const char *root);

#endif
