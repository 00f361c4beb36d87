/* stateful_network_wordcount.c - counts the words that a TCP server sends, all since the first start: the
 * counts are kept in CHECKPOINT_DIR (./checkpoint), and a program that was killed goes on where it was.
 *
 *     nc -lk 9999                                      in one terminal
 *     stateful_network_wordcount localhost 9999        in another */
#include "arguments.h"

static bool running_count(const LeatUpdate *word, void *user) {
    (void)user;
    int64_t total = leat_update_has_state(word) ? leat_update_state_i64(word, 0) : 0;
    for (size_t i = 0; i < leat_update_value_count(word); i++)
        total += leat_update_value_i64(word, i, 0);
    leat_update_set_state_i64(word, 0, total);
    return true;
}

int main(int argc, char **argv) {
    Arguments args = parse_arguments(argc, argv, "HOST PORT [CHECKPOINT_DIR]", 2, 3);
    LeatContext *ctx = context_of(&args, "StatefulNetworkWordCount");
    leat_checkpoint(ctx, args.operands[2] ? args.operands[2] : "checkpoint");

    LeatStream *lines = leat_socket_text_stream(ctx, args.operands[0], args.operands[1]);
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
    LeatStream *totals =
        leat_update_state_by_key(counts, leat_update_function("total BIGINT", running_count, NULL));
    leat_pprint(totals);

    leat_start(ctx);
    return leat_await_termination(ctx);
}
