#include "env/fault_plan.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>

TEST(plan_holds_what_the_text_says) {
    Error err = {0};
    FaultPlan *plan = NULL;
    Str text =
        STR("seed=42;kill@88;fsync@17=EIO; write@203=short:13 ;;delay@5=1000;clock@40=-3600s;any@12=ENOSPC;"
            "write@9+=ENOSPC;kill@3=after;clock@0=+1y;");
    REQUIRE(CHECK_OK(fault_plan_parse(text, &plan, &err), err));
    static const FaultEntry wanted[] = {
        {FAULT_ANY, FAULT_KILL_BEFORE, false, 88, 0},
        {FAULT_SYNC, FAULT_FAIL, false, 17, EIO},
        {FAULT_WRITE, FAULT_SHORT, false, 203, 13},
        {FAULT_ANY, FAULT_DELAY, false, 5, 1000},
        {FAULT_ANY, FAULT_CLOCK, false, 40, -3600000000},
        {FAULT_ANY, FAULT_FAIL, false, 12, ENOSPC},
        {FAULT_WRITE, FAULT_FAIL, true, 9, ENOSPC},
        {FAULT_ANY, FAULT_KILL_AFTER, false, 3, 0},
        {FAULT_ANY, FAULT_CLOCK, false, 0, 365 * 86400000000},
    };
    CHECK_EQ(plan->seed, 42);
    REQUIRE(CHECK_EQ(plan->entry_count, ARRAY_COUNT(wanted)));
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        CHECK_EQ(plan->entries[i].kind, wanted[i].kind);
        CHECK_EQ(plan->entries[i].action, wanted[i].action);
        CHECK_EQ(plan->entries[i].and_later, wanted[i].and_later);
        CHECK_EQ(plan->entries[i].number, wanted[i].number);
        CHECK_EQ(plan->entries[i].value, wanted[i].value);
    }
    free(plan);
}

TEST(empty_plan_only_counts) {
    FaultPlan *plan = NULL;
    REQUIRE(fault_plan_parse(STR(""), &plan, NULL) == STATUS_OK);
    CHECK_EQ(plan->entry_count, 0);
    free(plan);
}

TEST(every_kind_has_a_name_that_is_read_back) {
    for (FaultKind kind = FAULT_ANY; kind < FAULT_KIND_COUNT; kind++) {
        FaultPlan *plan = NULL;
        Error err = {0};
        Text text = {0};
        text_appendf(&text, "%s@2=EIO", fault_kind_name(kind));
        REQUIRE(CHECK_OK(fault_plan_parse(text_str(&text), &plan, &err), err));
        CHECK_EQ(plan->entries[0].kind, kind);
        text_deinit(&text);
        free(plan);
    }
}

TEST(a_wrong_entry_is_named_with_what_was_expected) {
    static const struct {
        const char *plan, *entry, *wanted;
    } cases[] = {
        {"kill@1;boom", "'boom'", "WORD@N"},
        {"kill", "'kill'", "WORD@N"},
        {"kill@", "'kill@'", "number of a call"},
        {"kill@0", "'kill@0'", "number of a call"},
        {"kill@-1", "'kill@-1'", "number of a call"},
        {"kill@99999999999999999999", "'kill@99999999999999999999'", "number of a call"},
        {"kill@1=soon", "'kill@1=soon'", "kill@N=after"},
        {"kill@1+", "'kill@1+'", "kill@N=after"},
        {"fsync@17", "'fsync@17'", "what is to happen"},
        {"fsync@17=", "'fsync@17='", "name of an error"},
        {"fsync@17=EWHAT", "'fsync@17=EWHAT'", "name of an error"},
        {"fsync@+1=EIO", "'fsync@+1=EIO'", "number of a call"},
        {"sneeze@1=EIO", "'sneeze@1=EIO'", "kind of call"},
        {"sync@1=short:3", "'sync@1=short:3'", "move bytes"},
        {"write@1=short:0", "'write@1=short:0'", "at least one byte"},
        {"write@1=short:", "'write@1=short:'", "at least one byte"},
        {"write@1+=short:3", "'write@1+=short:3'", "only errors can go on"},
        {"read@1+=EINTR", "'read@1+=EINTR'", "for ever"},
        {"delay@5=-1", "'delay@5=-1'", "microseconds"},
        {"delay@5=1ms", "'delay@5=1ms'", "microseconds"},
        {"clock@5=3600s", "'clock@5=3600s'", "a sign"},
        {"clock@5=-3600", "'clock@5=-3600'", "unit"},
        {"clock@5=-s", "'clock@5=-s'", "unit"},
        {"clock@5=+9223372036854775807y", "'clock@5=+9223372036854775807y'", "unit"},
        {"clock@-1=+1s", "'clock@-1=+1s'", "number of a call"},
        {"seed=", "'seed='", "seed=42"},
        {"seed=-1", "'seed=-1'", "seed=42"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        Error err = {0};
        FaultPlan *plan = NULL;
        bool is_right = CHECK(fault_plan_parse(str_from(cases[i].plan), &plan, &err) == STATUS_INVALID);
        is_right &= CHECK(plan == NULL);
        is_right &= CHECK(strstr(err.message, cases[i].entry) != NULL);
        is_right &= CHECK(strstr(err.message, cases[i].wanted) != NULL);
        if (!is_right)
            printf("    plan %s: %s\n", cases[i].plan, err.message);
    }
}

TEST_MAIN()
