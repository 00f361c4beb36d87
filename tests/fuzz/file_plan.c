/* file_plan.c - any bytes as the plan of a file source, or as what it saved: they are refused as CORRUPT, or
 * give ranges that can be made. No file is opened. */
#include "connect/file/file_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(Status st, const Error *err) {
    ASSERT(st == STATUS_OK || (st == STATUS_CORRUPT && err->message[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static SourceServices services;
    Error err = {0};
    services = (SourceServices){
        .env = env_real(), .interval_ms = 1000, .line_size_bytes_max = 1 << 20, .split_count = size % 4};
    Source *source = file_source_create((FileSourceOptions){.directory = "/nowhere"});
    source->id = "file#0";
    Status st = source->class->open(source, &services, &err);
    ASSERT(st == STATUS_OK);
    Str plan = str_slice(data, size);
    Text described = {0}, saved = {0}, again = {0};
    SplitList splits = {0};
    Status read = source->class->read(source, 1000, plan, &splits, &err);
    check(read, &err);
    uint64_t split_bytes = 0;
    for (uint32_t i = 0; i < splits.count; i++)
        split_bytes += splits.splits[i]->size_bytes;
    ASSERT(split_bytes <= INT64_MAX);
    split_list_deinit(&splits);
    source->class->describe_plan(plan, &described);
    ASSERT(read != STATUS_OK || !str_equal(text_str(&described), STR("malformed plan")));
    check(source->class->replay(source, 1000, plan, &err), &err);
    st = source->class->restore(source, plan, &err);
    check(st, &err);
    if (st == STATUS_OK) { /* what was restored is what is saved */
        source->class->save(source, &saved);
        ASSERT(source->class->restore(source, text_str(&saved), &err) == STATUS_OK);
        source->class->save(source, &again);
        ASSERT(str_equal(text_str(&saved), text_str(&again)));
    }
    text_deinit(&described);
    text_deinit(&saved);
    text_deinit(&again);
    source->class->close(source);
    source->class->destroy(source);
    return 0;
}
