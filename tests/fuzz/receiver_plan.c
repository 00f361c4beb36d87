/* receiver_plan.c - any bytes as the plan of a receiver, or as what it saved: they are refused as
 * CORRUPT, or give inline lines that are all of the bytes. Nothing is read past the end, and an accepted
 * plan can be described. */
#include "stream/receiver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(Status st, const Error *err) {
    ASSERT(st == STATUS_OK || (st == STATUS_CORRUPT && err->message[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Budget budget;
    static SourceServices services;
    static Receiver *receiver;
    Error err = {0};
    if (!receiver) {
        budget_init(&budget, "receivers", 16 << 20, NULL);
        services = (SourceServices){
            .env = env_real(), .budget = &budget, .interval_ms = 1000, .line_size_bytes_max = 1 << 20};
        Status st = receiver_create(
            (ReceiverOptions){.services = &services, .stream_id = 1, .description = "fuzz"}, &receiver, &err);
        ASSERT(st == STATUS_OK);
    }
    Str plan = str_slice(data, size);
    Text described = {0};
    SplitList splits = {0};
    services.split_count = size % 4;
    Status read = receiver_read(receiver, 1, plan, &splits, &err);
    check(read, &err);
    uint64_t given_bytes = 0;
    for (uint32_t i = 0; i < splits.count; i++) {
        Split *split = splits.splits[i];
        TextPiece piece = {0};
        Status st = split->class->open(split, NULL, &err);
        while (st == STATUS_OK) {
            st = split->class->next_piece(split, &piece, &err);
            ASSERT(st == STATUS_OK); /* without a log there are inline entries only */
            if (!piece.buffer)
                break;
            ASSERT(piece.begin < piece.end && piece.end <= piece.buffer->size);
            given_bytes += piece.end - piece.begin;
        }
        split->class->close(split);
    }
    ASSERT(given_bytes <= size);
    split_list_deinit(&splits);
    receiver_describe_plan(plan, &described);
    ASSERT(read != STATUS_OK || !str_equal(text_str(&described), STR("malformed plan")));
    text_deinit(&described);
    Status replayed = receiver_replay(receiver, 2, plan, &err);
    ASSERT(replayed == read);
    receiver_done(receiver, 2);
    check(receiver_restore(receiver, plan, &err), &err);
    return 0;
}
