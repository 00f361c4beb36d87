/* HOSTILE_TEST: programs that are killed (SIGKILL) at random moments and started again, with another number
 * of workers each time, until all of their input has been counted.
 *
 *   files    running counts of the words of files that are renamed into a directory all the while. At the
 *            end the counts are those of the texts; every batch time has been given to the output, each as
 *            often as it likes but always with the same rows in the same order.
 *   socket   a server of lines, `c<connection>-<number>.` and padding behind it, that breaks off connections
 *            too. At the end every line is counted once, per connection they are 0, 1, ... without a hole,
 *            and nothing is missing that an output had seen or that stood in the logs after one of the kills.
 *   bursts   the same with more in a batch, so that most of it is blocks. (What stands in the logs may be
 *            dropped then: a block behind lines that had not reached the disk.)
 *
 * LEAT_TEST_LONG=1: 1,000 kills over files, 300 and 100 over sockets; else 40, 25 and 10; KILLS=n: so many.
 */
#include "base/memory.h"
#include "env/env_real.h"
#include "killer.h"
#include "stream/batch_log.h"
#include "stream/block_log.h"
#include "stream/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the state in a checkpoint ---- */

typedef struct StateWalk {
    void (*entry)(void *user, const char *key, int64_t value);
    void *user;
} StateWalk;

CHECKED static Status walk_line(void *self, Str text, Error *err) {
    (void)err;
    StateWalk *walk = self;
    char line[512], key[256];
    int64_t value = 0;
    snprintf(line, sizeof line, "%.*s", STR_ARG(text));
    const char *at = strstr(line, "\"key\":");
    if (CHECK(at && sscanf(at, "\"key\":\"%255[^\"]\",\"value\":%" SCNd64, key, &value) == 2))
        walk->entry(walk->user, key, value);
    return STATUS_OK;
}

static bool walk_state(const char *directory, void (*entry)(void *user, const char *key, int64_t value),
                       void *user) {
    StateWalk walk = {entry, user};
    Error err = {0};
    Status st = inspect_state(env_real(), directory, INSPECT_JSON,
                              (InspectOut){.write = walk_line, .self = &walk}, &err);
    return CHECK_OK(st, err);
}

static bool running_count(const LeatUpdate *key, void *user) {
    (void)user;
    int64_t total = leat_update_state_i64(key, 0);
    for (size_t i = 0; i < leat_update_value_count(key); i++)
        total += leat_update_value_i64(key, i, 0);
    leat_update_set_state_i64(key, 0, total);
    return true;
}

/* ---- files ---- */

typedef struct Files {
    Killer killer;
    WordFiles words;
    char checkpoint[300], given[300];
    int64_t counted[WORD_COUNT_MAX];
} Files;

/* Writes down what the output was given: time, sum, number of keys, a hash over the rows in order. */
static bool write_down(LeatBatch *batch, void *user) {
    Files *files = user;
    int64_t sum = 0;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        LeatStr word = leat_row_str(&row, 0);
        int64_t count = leat_row_i64(&row, 1);
        for (size_t i = 0; i < word.size; i++)
            hash = (hash ^ (unsigned char)word.data[i]) * 1099511628211u;
        hash = (hash ^ (uint64_t)count) * 1099511628211u;
        sum += count;
    }
    char line[128];
    int size = snprintf(line, sizeof line, "%" PRId64 " %" PRId64 " %" PRIu64 " %016" PRIx64 "\n",
                        leat_batch_time_ms(batch), sum, leat_batch_count(batch), hash);
    int file = open(files->given, O_WRONLY | O_CREAT | O_APPEND, 0600);
    bool is_written = file >= 0 && write(file, line, (size_t)size) == size;
    close(file);
    files->killer.progress->total = sum;
    victim_end_output(&files->killer);
    return is_written;
}

static int file_victim(void *user) {
    Files *files = user;
    LeatContext *context = victim_context(&files->killer, "kill-files", files->checkpoint);
    LeatStream *pairs = leat_map(word_files_stream(&files->words, context), leat_pair_with_i64(1));
    LeatStream *counts =
        leat_update_state_by_key(pairs, leat_update_function("n BIGINT", running_count, NULL));
    leat_foreach_rdd(counts, write_down, files);
    return victim_run(&files->killer, context);
}

static void feed_files(void *user) {
    word_files_feed(&((Files *)user)->words);
}

static bool all_files_counted(void *user) {
    Files *files = user;
    return files->words.file_count == files->words.files_max && files->killer.progress->output_count > 0 &&
           files->killer.progress->total >= files->words.total;
}

static bool some_more_batches(void *user) {
    return ((Files *)user)->killer.progress->output_count >= 5;
}

static void take_count(void *user, const char *key, int64_t value) {
    Files *files = user;
    unsigned word = WORD_COUNT_MAX;
    if (CHECK(sscanf(key, "word-%u", &word) == 1 && word < WORD_COUNT_MAX))
        files->counted[word] += value;
    else
        printf("    counted: '%s'\n", key);
}

static void check_counts(Files *files) {
    memset(files->counted, 0, sizeof files->counted);
    if (!walk_state(files->checkpoint, take_count, files))
        return;
    for (unsigned i = 0; i < WORD_COUNT_MAX; i++)
        if (!CHECK_EQ(files->counted[i], files->words.expected[i]))
            printf("    word-%u\n", i);
}

typedef struct Given {
    int64_t time_ms, sum;
    uint64_t keys, hash;
} Given;

static int compare_times(const void *a, const void *b) {
    const Given *x = a, *y = b;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

/* Every batch time was given, and given again only as it was. Gives how many were given again. */
static size_t check_outputs(const Files *files) {
    size_t count = 0, room = 1024, again = 0;
    Given *given = xmalloc(room * sizeof *given);
    FILE *file = fopen(files->given, "r");
    REQUIRE(file != NULL);
    for (Given line; fscanf(file, "%" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNx64, &line.time_ms, &line.sum,
                            &line.keys, &line.hash) == 4;) {
        if (count == room)
            given = xrealloc(given, (room *= 2) * sizeof *given);
        given[count++] = line;
    }
    CHECK(feof(file));
    fclose(file);
    qsort(given, count, sizeof *given, compare_times);
    for (size_t i = 1; i < count; i++) {
        const Given *a = &given[i - 1], *b = &given[i];
        bool is_again = a->time_ms == b->time_ms;
        again += is_again;
        bool is_good = is_again ? a->sum == b->sum && a->keys == b->keys && a->hash == b->hash
                                : b->time_ms == a->time_ms + KILL_INTERVAL_MS && b->sum >= a->sum;
        if (!CHECK(is_good)) {
            printf("    batch of %" PRId64 " ms: %" PRIu64 " words, %" PRIu64 " counted, hash %" PRIx64 "\n"
                   "    behind   %" PRId64 " ms: %" PRIu64 " words, %" PRIu64 " counted, hash %" PRIx64 "\n",
                   b->time_ms, b->keys, b->sum, b->hash, a->time_ms, a->keys, a->sum, a->hash);
            break;
        }
    }
    CHECK(count > 0 && given[count - 1].sum == files->words.total);
    free(given);
    return again;
}

TEST(running_counts_over_files_survive_kills) {
    uint32_t kills = kill_count(40, 1000);
    Files *files = xcalloc(1, sizeof *files);
    Killer *killer = &files->killer;
    killer_init(killer, file_victim, feed_files, files);
    files->words = (WordFiles){.word_count = 300, .file_words_max = 400, .files_max = 3 * kills};
    word_files_init(&files->words, check_tmpdir(), &killer->random);
    snprintf(files->checkpoint, sizeof files->checkpoint, "%s/checkpoint", check_tmpdir());
    snprintf(files->given, sizeof files->given, "%s/given", check_tmpdir());

    uint32_t killed = 0;
    while (killed < kills && kill_one(killer))
        killed++;
    if (killed == kills && run_until(killer, all_files_counted)) {
        check_counts(files);
        run_until(killer, some_more_batches); /* nothing is taken twice later on */
        check_counts(files);
        size_t again = check_outputs(files);
        printf("files: %u kills (%u before the checkpoint was read, %u before the first output), %u files, "
               "%" PRId64 " words counted as in the texts, %" PRIu64
               " outputs before kills, %zu given again\n",
               kills, killer->before_started, killer->before_outputs, files->words.file_count,
               files->words.total, killer->outputs, again);
    }
    killer_deinit(killer);
    free(files);
}

/* ---- socket ---- */

enum { OPEN_MAX = 4, LINES_MAX = 60, PADDING_MAX = 30000, PENDING_MAX = 64 << 10, NAME_MAX_SIZE = 24 };
#define ALL_LINES ((UINT64_C(1) << LINES_MAX) - 1)

typedef struct Connection {
    int socket; /* -1: none */
    uint32_t id, next, line_count;
    char *pending; /* made, not yet sent */
    size_t pending_size, pending_at;
} Connection;

typedef struct Sockets {
    Killer killer;
    char port[8], checkpoint[300];
    int listener;
    Connection open[OPEN_MAX];
    uint32_t connection_count;
    uint64_t line_count, lines_max;
    bool has_bursts;
    bool is_last;                          /* the next connection is the last one: it is sent in full */
    uint32_t sent[KILL_CONNECTION_MAX];    /* lines handed to the kernel in full, or in part */
    uint64_t logged[KILL_CONNECTION_MAX];  /* bit n: line n was found in the logs after a kill */
    uint64_t found;                        /* names found there */
    uint64_t last_block;                   /* looked at */
    uint64_t counted[KILL_CONNECTION_MAX]; /* bit n: line n is counted */
} Sockets;

/* A name at `at`; how long it is, 0: none. */
static size_t parse_name(const char *at, size_t size, uint32_t *connection, uint32_t *number) {
    char text[NAME_MAX_SIZE];
    int length = 0;
    size_t copied = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, at, copied);
    text[copied] = '\0';
    if (text[0] != 'c' || sscanf(text, "c%u-%u.%n", connection, number, &length) != 2 || length == 0)
        return 0;
    return (size_t)length;
}

static bool see_names(LeatBatch *batch, void *user) {
    Progress *progress = ((Sockets *)user)->killer.progress;
    LeatRows rows = leat_batch_collect(batch);
    for (LeatRow row; leat_rows_next(&rows, &row);) {
        uint32_t connection, number;
        LeatStr name = leat_row_str(&row, 0);
        if (parse_name(name.data, name.size, &connection, &number) != name.size ||
            connection >= KILL_CONNECTION_MAX || number >= LINES_MAX)
            return false;
        progress->seen[connection] |= UINT64_C(1) << number;
    }
    victim_end_output(&((Sockets *)user)->killer);
    return true;
}

static bool need_counts(LeatBatch *batch, void *user) {
    (void)batch, (void)user;
    return true;
}

static int socket_victim(void *user) {
    Sockets *sockets = user;
    close(sockets->listener); /* a server ends with its connections: none may hang on a victim's copy */
    for (int i = 0; i < OPEN_MAX; i++)
        if (sockets->open[i].socket >= 0)
            close(sockets->open[i].socket);
    LeatContext *context = victim_context(&sockets->killer, "kill-socket", sockets->checkpoint);
    LeatStream *lines = leat_socket_text_stream(context, "127.0.0.1", sockets->port);
    LeatStream *words = leat_flat_map(lines, leat_split(" "));
    LeatStream *names = leat_filter(words, leat_contains("."));
    LeatStream *pairs = leat_map(names, leat_pair_with_i64(1));
    LeatStream *counts =
        leat_update_state_by_key(pairs, leat_update_function("n BIGINT", running_count, NULL));
    leat_foreach_rdd(counts, need_counts, sockets);
    leat_foreach_rdd(names, see_names, sockets);
    return victim_run(&sockets->killer, context);
}

static void close_connection(Connection *connection) {
    close(connection->socket);
    connection->socket = -1;
}

static void accept_one(Sockets *sockets) {
    for (int i = 0; i < OPEN_MAX; i++) {
        Connection *connection = &sockets->open[i];
        if (connection->socket >= 0)
            continue;
        int socket = accept4(sockets->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0)
            return;
        REQUIRE(sockets->connection_count < KILL_CONNECTION_MAX);
        connection->socket = socket;
        connection->id = sockets->connection_count++;
        connection->next = 0;
        connection->line_count =
            sockets->is_last ? LINES_MAX : (uint32_t)random_below(&sockets->killer.random, LINES_MAX);
        connection->pending_size = connection->pending_at = 0;
        return;
    }
}

/* A line with its ending; most are short. */
static void make_line(Sockets *sockets, Connection *connection) {
    Random *random = &sockets->killer.random;
    static const char *const endings[] = {"\n", "\r\n", "\r"};
    bool is_short = random_below(random, 8) >= (sockets->has_bursts ? 6u : 2u);
    size_t padding = random_below(random, is_short ? 20 : PADDING_MAX);
    char *at = connection->pending;
    int size = sprintf(at, "c%u-%u. ", connection->id, connection->next++);
    memset(at + size, 'x', padding);
    size_t end = (size_t)size + padding;
    end += (size_t)sprintf(at + end, "%s", endings[random_below(random, 3)]);
    connection->pending_size = end;
    connection->pending_at = 0;
    sockets->sent[connection->id] = connection->next;
    sockets->line_count++;
}

/* Some bytes, of the line that was begun or of the next one. Connections end where a line does: what has no
 * ending would count as a line. */
static void send_some(Sockets *sockets, Connection *connection) {
    Random *random = &sockets->killer.random;
    if (connection->pending_at == connection->pending_size) {
        bool has_more = connection->next < connection->line_count;
        if (!sockets->is_last && sockets->line_count >= sockets->lines_max)
            has_more = false;
        if (!has_more) {
            if (!sockets->is_last)
                close_connection(connection);
            return;
        }
        make_line(sockets, connection);
    }
    size_t left = connection->pending_size - connection->pending_at;
    size_t piece = random_below(random, 3) ? left : 1 + random_below(random, left);
    ssize_t taken = send(connection->socket, connection->pending + connection->pending_at, piece,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken > 0)
        connection->pending_at += (size_t)taken;
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        close_connection(connection);
}

static void feed_sockets(void *user) {
    Sockets *sockets = user;
    Random *random = &sockets->killer.random;
    accept_one(sockets);
    for (int i = 0; i < OPEN_MAX; i++) {
        Connection *connection = &sockets->open[i];
        uint64_t pieces = connection->socket >= 0 ? random_below(random, 4) : 0;
        while (pieces-- > 0 && connection->socket >= 0)
            send_some(sockets, connection);
        char byte; /* the victim is gone */
        if (connection->socket >= 0 && recv(connection->socket, &byte, 1, MSG_DONTWAIT) == 0)
            close_connection(connection);
    }
}

/* ---- what stands in the logs ---- */

static void find_names(Sockets *sockets, Str bytes) {
    for (size_t i = 0; i + 4 <= bytes.size; i++) {
        uint32_t connection, number;
        if (bytes.data[i] != 'c' || !parse_name(bytes.data + i, bytes.size - i, &connection, &number))
            continue;
        if (!CHECK(connection < KILL_CONNECTION_MAX && number < LINES_MAX))
            return;
        sockets->found++;
        sockets->logged[connection] |= UINT64_C(1) << number;
    }
}

CHECKED static Status find_in_frame(void *self, const Frame *frame, Error *err) {
    (void)err;
    find_names(self, frame->payload);
    return STATUS_OK;
}

typedef struct BlockWalk {
    Sockets *sockets;
    BlockLog *log;
} BlockWalk;

CHECKED static Status find_in_block(void *self, const BlockRef *ref, Error *err) {
    BlockWalk *walk = self;
    if (ref->number <= walk->sockets->last_block)
        return STATUS_OK;
    Buffer *block = NULL;
    TRY(block_log_read(walk->log, ref, &block, err));
    find_names(walk->sockets, (Str){(const char *)block->data + BLOCK_HEADER_SIZE, ref->size_bytes});
    walk->sockets->last_block = ref->number;
    buffer_release(block);
    return STATUS_OK;
}

/* After a kill: every whole line there must be counted in the end. */
static void look_at_logs(Sockets *sockets) {
    struct stat info;
    char path[400];
    snprintf(path, sizeof path, "%s/checkpoint", sockets->checkpoint);
    if (stat(path, &info) != 0)
        return; /* not made yet */
    Error err = {0};
    BatchLog *log = NULL;
    BlockLog *blocks = NULL;
    Status st = batch_log_open(
        (BatchLogOptions){.env = env_real(), .directory = sockets->checkpoint, .read_only = true}, &log, NULL,
        &err);
    if (CHECK_OK(st, err))
        CHECK_OK(batch_log_read(log, find_in_frame, sockets, &err), err);
    batch_log_close(log);
    st = block_log_open(
        (BlockLogOptions){.env = env_real(), .directory = sockets->checkpoint, .read_only = true}, &blocks,
        &err);
    BlockWalk walk = {sockets, blocks};
    if (CHECK_OK(st, err))
        CHECK_OK(block_log_scan(blocks, find_in_block, &walk, &err), err);
    block_log_close(blocks);
}

static void take_name(void *user, const char *key, int64_t value) {
    Sockets *sockets = user;
    uint32_t connection = 0, number = 0;
    size_t size = strlen(key);
    bool is_known = parse_name(key, size, &connection, &number) == size &&
                    connection < sockets->connection_count && number < sockets->sent[connection];
    if (!CHECK(is_known && value == 1)) {
        printf("    '%s' was counted %" PRId64 " times\n", key, value);
        return;
    }
    sockets->counted[connection] |= UINT64_C(1) << number;
}

/* Gives the number of lines counted. */
static uint64_t check_lines(Sockets *sockets) {
    uint64_t counted = 0;
    if (!walk_state(sockets->checkpoint, take_name, sockets))
        return 0;
    for (uint32_t c = 0; c < sockets->connection_count; c++) {
        uint64_t lines = sockets->counted[c], vouched = sockets->killer.progress->seen[c];
        if (!sockets->has_bursts)
            vouched |= sockets->logged[c];
        bool is_prefix = (lines & (lines + 1)) == 0;
        if (!CHECK(is_prefix) || !CHECK((vouched & ~lines) == 0))
            printf("    connection %u, bit n for line n: %u begun, counted %" PRIx64
                   ", seen by outputs %" PRIx64 ", in the logs %" PRIx64 "\n",
                   c, sockets->sent[c], lines, sockets->killer.progress->seen[c], sockets->logged[c]);
        counted += (unsigned)__builtin_popcountll(lines);
    }
    return counted;
}

static bool last_connection_seen(void *user) {
    Sockets *sockets = user;
    for (uint32_t c = sockets->connection_count; c-- > 0;)
        if (sockets->sent[c] == LINES_MAX && sockets->killer.progress->seen[c] == ALL_LINES)
            return sockets->is_last;
    return false;
}

static void listen_somewhere(Sockets *sockets) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    sockets->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(sockets->listener >= 0 && bind(sockets->listener, (struct sockaddr *)&address, size) == 0 &&
            listen(sockets->listener, OPEN_MAX) == 0 &&
            getsockname(sockets->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(sockets->port, sizeof sockets->port, "%u", ntohs(address.sin_port));
}

static void run_sockets(const char *name, uint32_t kills, bool has_bursts) {
    Sockets *sockets = xcalloc(1, sizeof *sockets);
    Killer *killer = &sockets->killer;
    killer_init(killer, socket_victim, feed_sockets, sockets);
    sockets->lines_max = 60 * kills;
    sockets->has_bursts = has_bursts;
    snprintf(sockets->checkpoint, sizeof sockets->checkpoint, "%s/checkpoint", check_tmpdir());
    for (int i = 0; i < OPEN_MAX; i++)
        sockets->open[i] = (Connection){.socket = -1, .pending = xmalloc(PENDING_MAX)};
    listen_somewhere(sockets);

    uint32_t killed = 0;
    while (killed < kills && kill_one(killer)) {
        killed++;
        look_at_logs(sockets);
    }
    for (int i = 0; i < OPEN_MAX; i++)
        if (sockets->open[i].socket >= 0)
            close_connection(&sockets->open[i]);
    sockets->is_last = true;
    if (killed == kills && run_until(killer, last_connection_seen)) {
        uint64_t counted = check_lines(sockets);
        printf("%s: %u kills (%u before the checkpoint was read, %u before the first output), %u "
               "connections, "
               "%" PRIu64 " lines begun, %" PRIu64 " counted, each once; %" PRIu64
               " lines looked up in the logs, "
               "%" PRIu64 " blocks\n",
               name, kills, killer->before_started, killer->before_outputs, sockets->connection_count,
               sockets->line_count, counted, sockets->found, sockets->last_block);
    }
    for (int i = 0; i < OPEN_MAX; i++) {
        if (sockets->open[i].socket >= 0)
            close_connection(&sockets->open[i]);
        free(sockets->open[i].pending);
    }
    close(sockets->listener);
    killer_deinit(killer);
    free(sockets);
}

TEST(lines_of_a_socket_are_counted_once) {
    run_sockets("socket", kill_count(25, 300), false);
}

TEST(bursts_of_a_socket_are_counted_once) {
    run_sockets("bursts", kill_count(10, 100), true);
}

TEST_MAIN()
