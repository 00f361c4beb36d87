/* fault_plan.c - any text is either a plan whose entries keep their promises (fault_plan.h), or an error that
 * names what is wrong. */
#include "env/fault_plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Error err = {0};
    FaultPlan *plan = NULL;
    Status st = fault_plan_parse(str_slice(data, size), &plan, &err);
    if (st != STATUS_OK) {
        ASSERT(st == STATUS_INVALID && plan == NULL);
        ASSERT(err.status == st && str_starts_with(str_from(err.message), STR("fault plan: '")));
        return 0;
    }
    ASSERT(plan != NULL);
    for (size_t i = 0; i < plan->entry_count; i++) {
        const FaultEntry *entry = &plan->entries[i];
        ASSERT(entry->kind < FAULT_KIND_COUNT);
        ASSERT(entry->number >= (entry->action == FAULT_CLOCK ? 0 : 1));
        ASSERT(!entry->and_later || entry->action == FAULT_FAIL);
        switch (entry->action) {
        case FAULT_FAIL:
            ASSERT(fault_errno_name((int)entry->value) != NULL);
            break;
        case FAULT_SHORT:
            ASSERT(entry->value >= 1 && (entry->kind == FAULT_ANY || fault_kind_is_transfer(entry->kind)));
            break;
        case FAULT_KILL_BEFORE:
        case FAULT_KILL_AFTER:
        case FAULT_CLOCK:
            ASSERT(entry->kind == FAULT_ANY);
            break;
        case FAULT_DELAY:
            ASSERT(entry->kind == FAULT_ANY && entry->value >= 0);
            break;
        }
    }
    free(plan);
    return 0;
}
