/* network_wordcount.c - counts the words that a TCP server sends, once a second.
 *
 *     nc -lk 9999                             in one terminal
 *     network_wordcount localhost 9999        in another
 *
 * With a checkpoint directory every line that was received is logged before it is counted. */
#include "arguments.h"

int main(int argc, char **argv) {
    Arguments args = parse_arguments(argc, argv, "HOST PORT [CHECKPOINT_DIR]", 2, 3);
    LeatContext *ctx = context_of(&args, "NetworkWordCount");
    leat_checkpoint(ctx, args.operands[2]);

    LeatStream *lines = leat_socket_text_stream(ctx, args.operands[0], args.operands[1]);
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
    leat_pprint(counts);

    leat_start(ctx);
    return leat_await_termination(ctx);
}
