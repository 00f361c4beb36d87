/* Round trips of every payload, and every truncation of one: refused, nothing read past the end. */
#include "stream/frames.h"

#include "base/memory.h"
#include "check.h"

#include <stdlib.h>

/* In memory of exactly this size, so that a read past the end is seen. */
static char *exact_copy(const char *data, size_t size) {
    char *copy = xmalloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static Text example_plan(void) {
    Text text = {0};
    plan_frame_begin(&text, 300, 300000, 2);
    plan_frame_add_part(&text, &(PlanPart){STR("socket#0"), true, STR("some bytes")});
    plan_frame_add_part(&text, &(PlanPart){STR("function#0"), false, STR("")});
    return text;
}

static Text example_commit(void) {
    Text text = {0};
    commit_frame_begin(&text, 7, 2);
    commit_frame_add_result(&text, &(CommitResult){STR("print#0"), true, STR("")});
    commit_frame_add_result(&text, &(CommitResult){STR("foreach_rdd#0"), false, STR("no such table")});
    return text;
}

TEST(a_plan_comes_back) {
    Text text = example_plan();
    PlanFrame plan;
    PlanPart part;
    Error err = {0};
    REQUIRE(CHECK_OK(plan_frame_decode(text_str(&text), &plan, &err), err));
    CHECK_EQ(plan.batch_id, 300);
    CHECK_EQ(plan.batch_time_ms, 300000);
    REQUIRE(plan_frame_next_part(&plan, &part));
    CHECK(str_equal(part.source_id, STR("socket#0")) && part.has_batch &&
          str_equal(part.plan, STR("some bytes")));
    REQUIRE(plan_frame_next_part(&plan, &part));
    CHECK(str_equal(part.source_id, STR("function#0")) && !part.has_batch && part.plan.size == 0);
    CHECK(!plan_frame_next_part(&plan, &part));
    text_deinit(&text);
}

TEST(a_commit_comes_back) {
    Text text = example_commit();
    CommitFrame commit;
    CommitResult result;
    Error err = {0};
    REQUIRE(CHECK_OK(commit_frame_decode(text_str(&text), &commit, &err), err));
    CHECK_EQ(commit.batch_id, 7);
    REQUIRE(commit_frame_next_result(&commit, &result));
    CHECK(result.is_ok && str_equal(result.output_id, STR("print#0")));
    REQUIRE(commit_frame_next_result(&commit, &result));
    CHECK(!result.is_ok && str_equal(result.message, STR("no such table")));
    CHECK(!commit_frame_next_result(&commit, &result));
    text_deinit(&text);
}

TEST(an_open_and_a_delta_come_back) {
    Text text = {0};
    Error err = {0};
    open_frame_encode(&(OpenFrame){1234, 2, STR("source socket#0")}, &text);
    OpenFrame open;
    REQUIRE(CHECK_OK(open_frame_decode(text_str(&text), &open, &err), err));
    CHECK(open.started_ms == 1234 && open.worker_count == 2 &&
          str_equal(open.identity, STR("source socket#0")));
    text_reset(&text);
    delta_frame_encode(&(DeltaFrame){9, STR("changes")}, &text);
    DeltaFrame delta;
    REQUIRE(CHECK_OK(delta_frame_decode(text_str(&text), &delta, &err), err));
    CHECK(delta.batch_id == 9 && str_equal(delta.delta, STR("changes")));
    text_deinit(&text);
}

static Text example_snapshot(void) {
    Text text = {0};
    snapshot_frame_begin(&text, 300, 70000, 2);
    snapshot_frame_add_extent(&text, (SnapshotExtent){3, 1 << 20});
    snapshot_frame_add_extent(&text, (SnapshotExtent){400, 17});
    return text;
}

TEST(a_snapshot_comes_back) {
    Text text = example_snapshot();
    SnapshotFrame snapshot;
    SnapshotExtent extent;
    Error err = {0};
    REQUIRE(CHECK_OK(snapshot_frame_decode(text_str(&text), &snapshot, &err), err));
    CHECK(snapshot.batch_id == 300 && snapshot.log_begin == 70000 && snapshot.extent_count == 2);
    REQUIRE(snapshot_frame_next_extent(&snapshot, &extent));
    CHECK(extent.number == 3 && extent.size_bytes == 1 << 20);
    REQUIRE(snapshot_frame_next_extent(&snapshot, &extent));
    CHECK(extent.number == 400 && extent.size_bytes == 17);
    CHECK(!snapshot_frame_next_extent(&snapshot, &extent));
    text_reset(&text);
    snapshot_frame_begin(&text, 300, 70000, 2);
    snapshot_frame_add_extent(&text, (SnapshotExtent){3, 1});
    snapshot_frame_add_extent(&text, (SnapshotExtent){3, 2});
    CHECK_EQ(snapshot_frame_decode(text_str(&text), &snapshot, &err), STATUS_CORRUPT); /* a number twice */
    text_deinit(&text);
}

TEST(every_truncation_is_refused) {
    Text plan_text = example_plan(), commit_text = example_commit(), snapshot_text = example_snapshot();
    for (size_t size = 0; size < snapshot_text.size; size++) {
        SnapshotFrame snapshot;
        char *copy = exact_copy(snapshot_text.data, size);
        CHECK_EQ(snapshot_frame_decode((Str){copy, size}, &snapshot, NULL), STATUS_CORRUPT);
        free(copy);
    }
    text_deinit(&snapshot_text);
    for (size_t size = 0; size < plan_text.size; size++) {
        PlanFrame plan;
        char *copy = exact_copy(plan_text.data, size);
        CHECK_EQ(plan_frame_decode((Str){copy, size}, &plan, NULL), STATUS_CORRUPT);
        free(copy);
    }
    for (size_t size = 0; size < commit_text.size; size++) {
        CommitFrame commit;
        char *copy = exact_copy(commit_text.data, size);
        CHECK_EQ(commit_frame_decode((Str){copy, size}, &commit, NULL), STATUS_CORRUPT);
        free(copy);
    }
    text_deinit(&plan_text);
    text_deinit(&commit_text);
}

TEST_MAIN()
