/* kernels.c - which level runs, and what is the same at every level. */
#include "column/kernels/levels.h"
#include "base/log.h"
#include <stdatomic.h>
#include <stdlib.h>

static bool machine_has(const Kernels *level) {
#if defined(__x86_64__)
    if (level == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
               machine_has(&kernels_avx2);
    if (level == &kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
#endif
    return level == &kernels_plain;
}

/* Best first. */
static const Kernels *const kernels_levels[] = {
#if defined(__x86_64__)
    &kernels_avx512,
    &kernels_avx2,
#endif
    &kernels_plain,
};

const Kernels *kernels_at(const char *level) {
    for (size_t i = 0; i < ARRAY_COUNT(kernels_levels); i++) {
        if (strcmp(kernels_levels[i]->level, level) == 0)
            return machine_has(kernels_levels[i]) ? kernels_levels[i] : NULL;
    }
    return NULL;
}

static const Kernels *kernels_choose(void) {
    const char *wanted = getenv("LEAT_CPU");
    if (wanted && *wanted) {
        const Kernels *asked = kernels_at(wanted);
        if (asked)
            return asked;
        log_warn("kernels", "LEVEL_IGNORED LEAT_CPU=%s reason=\"unknown, or not what this machine has\"",
                 wanted);
    }
    size_t best = 0;
    while (!machine_has(kernels_levels[best]))
        best++;
    return kernels_levels[best];
}

const Kernels *kernels(void) {
    /* Threads that come here first at the same time choose the same; one of them stores it last. */
    static _Atomic(const Kernels *) chosen;
    const Kernels *level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (UNLIKELY(!level)) {
        level = kernels_choose();
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return level;
}

bool scan_finish(TextScan *scan, const char *begin, LeatStr *last) {
    bool is_at_line_start =
        scan->start == begin || (scan->start > begin && (scan->start[-1] == '\n' || scan->start[-1] == '\r'));
    if (scan->start == scan->end && is_at_line_start)
        return false;
    *last = (LeatStr){scan->start, (size_t)(scan->end - scan->start)};
    scan->start = scan->end;
    scan->line_count++;
    return true;
}
