/* blacklist.c - counts the words that a TCP server sends in each batch, without those that stand in a file, one
 * a line: rows that are always the same, joined with every batch.
 *
 *     nc -lk 9999                               in one terminal
 *     blacklist localhost 9999 spam.txt         in another */
#include "arguments.h"

static bool is_good(const LeatRow *row, void *user) {
    (void)user;
    return leat_row_is_null(row,
                            2); /* (word, n, right): the blacklist's side, absent where it lacks the word */
}

static void without_right(const LeatRow *row, LeatOut *out, void *user) {
    (void)user;
    leat_out_str(out, 0, leat_row_str(row, 0));
    leat_out_i64(out, 1, leat_row_i64(row, 1));
}

/* Called with the counts of every batch. */
static LeatStream *drop_spam(LeatStream *counts, int64_t batch_time_ms, void *spam) {
    (void)batch_time_ms;
    LeatStream *good = leat_filter(leat_left_outer_join(counts, spam), leat_predicate(is_good, NULL));
    LeatStream *pairs = leat_map(good, leat_function("word STRING, n BIGINT", without_right, NULL));
    return leat_sort_by(pairs, "n DESC, word");
}

int main(int argc, char **argv) {
    Arguments args = parse_arguments(argc, argv, "HOST PORT FILE", 3, 3);
    LeatContext *ctx = context_of(&args, "Blacklist");

    LeatStream *spam = leat_map(leat_distinct(leat_text_file(ctx, args.operands[2])), leat_pair_with_i64(1));

    LeatStream *lines = leat_socket_text_stream(ctx, args.operands[0], args.operands[1]);
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *pairs = leat_map(words, leat_pair_with_i64(1));
    LeatStream *counts = leat_reduce_by_key(pairs, leat_sum());
    leat_pprint(leat_transform(counts, NULL, drop_spam, spam));

    leat_start(ctx);
    return leat_await_termination(ctx);
}
