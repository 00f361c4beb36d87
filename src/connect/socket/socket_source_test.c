/* Lines from real sockets. THREADS_TEST */
#include "connect/socket/socket_source.h"

#include "base/random.h"
#include "source_lines.h"
#include "stream/poller.h"

enum { PATIENCE_US = 20 * 1000 * 1000, MIB = 1 << 20 };

typedef struct Bench {
    Env *env;
    EnvSocket *listener, *server;
    EnvPoll *poll;
    char port[8];
    Budget budget;
    Poller *poller;
    BlockLog *log;
    SourceServices services;
    Source *source;
    int64_t time_ms;
    Lines lines; /* of all batches */
} Bench;

static void listen_on(Bench *bench, const char *port) {
    Error err = {0};
    REQUIRE(CHECK_OK(env_socket_listen(bench->env, "127.0.0.1", port, &bench->listener, &err), err));
    snprintf(bench->port, sizeof bench->port, "%u", env_socket_port(bench->env, bench->listener));
}

static void bench_init(Bench *bench, uint64_t budget_bytes, const char *log_directory) {
    Error err = {0};
    *bench = (Bench){.env = env_real()};
    budget_init(&bench->budget, "receivers", budget_bytes, NULL);
    listen_on(bench, "0");
    REQUIRE(CHECK_OK(env_poll_create(bench->env, &bench->poll, &err), err));
    REQUIRE(CHECK_OK(poller_create(bench->env, &bench->poller, &err), err));
    if (log_directory)
        REQUIRE(CHECK_OK(
            block_log_open(
                (BlockLogOptions){.env = bench->env, .directory = log_directory, .budget = &bench->budget},
                &bench->log, &err),
            err));
    bench->services = (SourceServices){.env = bench->env,
                                       .budget = &bench->budget,
                                       .block_log = bench->log,
                                       .poller = bench->poller,
                                       .interval_ms = 1000,
                                       .line_size_bytes_max = LINE_SIZE_MAX,
                                       .restart_delay_ms = 1};
}

static void start(Bench *bench) {
    Error err = {0};
    bench->source = socket_source_create("127.0.0.1", bench->port);
    bench->source->id = "socket#0";
    REQUIRE(CHECK_OK(bench->source->class->open(bench->source, &bench->services, &err), err));
    REQUIRE(CHECK_OK(bench->source->class->start(bench->source, &err), err));
}

static void wait_on(Bench *bench, EnvSocket *socket, bool for_reading) {
    Error err = {0};
    EnvPollItem item = {.socket = socket, .want_read = for_reading, .want_write = !for_reading};
    REQUIRE(CHECK_OK(
        env_poll_wait(bench->env, bench->poll, &item, 1, env_monotonic_us(bench->env) + PATIENCE_US, &err),
        err));
    REQUIRE(item.can_read || item.can_write);
}

static void accept_source(Bench *bench) {
    Error err = {0};
    env_socket_close(bench->env, bench->server);
    bench->server = NULL;
    while (!bench->server) {
        wait_on(bench, bench->listener, true);
        REQUIRE(CHECK_OK(env_socket_accept(bench->env, bench->listener, &bench->server, &err), err));
    }
}

static void hang_up(Bench *bench) {
    env_socket_close(bench->env, bench->server);
    bench->server = NULL;
}

/* Sends what can be sent now; gives how much. */
static size_t send_some(Bench *bench, Str bytes) {
    Error err = {0};
    size_t sent = 0;
    EnvTransfer what = ENV_TRANSFERRED;
    while (sent < bytes.size && what == ENV_TRANSFERRED) {
        size_t size = bytes.size - sent;
        REQUIRE(
            CHECK_OK(env_socket_send(bench->env, bench->server, bytes.data + sent, &size, &what, &err), err));
        sent += what == ENV_TRANSFERRED ? size : 0;
    }
    return sent;
}

static void send_all(Bench *bench, Str bytes) {
    for (size_t sent = 0; sent < bytes.size;) {
        wait_on(bench, bench->server, false);
        sent += send_some(bench, (Str){bytes.data + sent, bytes.size - sent});
    }
}

/* One batch; its lines go behind those before. */
static void run_batch(Bench *bench) {
    Error err = {0};
    Text plan = {0};
    SplitList splits = {0};
    bool has_batch = false;
    Source *source = bench->source;
    bench->time_ms += 1000;
    REQUIRE(CHECK_OK(source->class->plan(source, bench->time_ms, &plan, &has_batch, &err), err));
    CHECK(has_batch);
    REQUIRE(CHECK_OK(source->class->read(source, bench->time_ms, text_str(&plan), &splits, &err), err));
    REQUIRE(CHECK_OK(lines_read(&splits, NULL, &bench->lines, &err), err));
    split_list_deinit(&splits);
    if (bench->log)
        REQUIRE(CHECK_OK(block_log_wait(bench->log, &err), err));
    source->class->done(source, bench->time_ms);
    text_deinit(&plan);
}

/* Batches until so many lines have come. */
static void wait_for_lines(Bench *bench, uint64_t count) {
    Error err = {0};
    int64_t deadline_us = env_monotonic_us(bench->env) + PATIENCE_US;
    while (bench->lines.count < count && env_monotonic_us(bench->env) < deadline_us) {
        run_batch(bench);
        if (bench->lines.count < count)
            REQUIRE(CHECK_OK(
                env_poll_wait(bench->env, bench->poll, NULL, 0, env_monotonic_us(bench->env) + 1000, &err),
                err));
    }
    REQUIRE(CHECK_EQ(bench->lines.count, count));
}

static void finish(Bench *bench) {
    bench->source->class->close(bench->source);
    bench->source->class->destroy(bench->source);
    env_socket_close(bench->env, bench->server);
    env_socket_close(bench->env, bench->listener);
    env_poll_destroy(bench->env, bench->poll);
    poller_destroy(bench->poller);
    block_log_close(bench->log);
    lines_deinit(&bench->lines);
    CHECK_EQ(bench->budget.used_bytes, 0);
}

TEST(lines_come_and_a_connection_that_ends_is_followed_by_another) {
    Bench bench;
    log_capture();
    bench_init(&bench, BUDGET_SIZE, NULL);
    start(&bench);
    CHECK_STR(bench.source->class->kind, "socket");
    accept_source(&bench);
    send_all(&bench, STR("one\ntwo\r"));
    wait_for_lines(&bench, 2);
    send_all(&bench, STR("\nthree\nfo"));
    wait_for_lines(&bench, 3);
    hang_up(&bench); /* the last line has no ending */
    wait_for_lines(&bench, 4);
    accept_source(&bench);
    send_all(&bench, STR("\nfive"));
    hang_up(&bench);
    accept_source(&bench);
    wait_for_lines(&bench, 6);
    CHECK_STR(bench.lines.text.data, "one\ntwo\nthree\nfo\n\nfive\n");
    finish(&bench);
    CHECK(log_has("ended the connection; next try in 0.001 s"));
    text_deinit(&logged);
}

TEST(a_listener_that_comes_late_is_found) {
    Bench bench;
    log_capture();
    bench_init(&bench, BUDGET_SIZE, NULL);
    env_socket_close(bench.env, bench.listener); /* the port is free now, and refuses */
    bench.listener = NULL;
    start(&bench);
    for (int i = 0; i < 20; i++) {
        Error err = {0};
        run_batch(&bench);
        REQUIRE(CHECK_OK(
            env_poll_wait(bench.env, bench.poll, NULL, 0, env_monotonic_us(bench.env) + 1000, &err), err));
    }
    listen_on(&bench, bench.port);
    accept_source(&bench);
    send_all(&bench, STR("late\n"));
    wait_for_lines(&bench, 1);
    finish(&bench);
    CHECK(log_has("RETRY 127.0.0.1:") && log_has("refused the connection; next try in 0.001 s"));
    CHECK_EQ(log_line_count(), 1); /* not one for each attempt */
    text_deinit(&logged);
}

TEST(a_text_cut_at_every_byte_gives_the_same_lines) {
    const char *text = "ab\r\nc\rd\n\n\r\n\r\re\n\rfg\n";
    Lines expected = {0};
    lines_of(str_from(text), &expected);
    Bench bench;
    log_capture();
    bench_init(&bench, BUDGET_SIZE, NULL);
    start(&bench);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        lines_deinit(&bench.lines);
        accept_source(&bench);
        send_all(&bench, str_slice(text, cut));
        run_batch(&bench);
        send_all(&bench, str_from(text + cut));
        hang_up(&bench);
        wait_for_lines(&bench, expected.count);
        CHECK_STR(bench.lines.text.data, expected.text.data);
    }
    finish(&bench);
    lines_deinit(&expected);
    text_deinit(&logged);
}

/* The peer is kept waiting, and nothing is lost. */
static void check_back_pressure(const char *log_directory) {
    Bench bench;
    Text text = {0};
    Lines expected = {0};
    log_capture();
    bench_init(&bench, 4 * MIB, log_directory);
    start(&bench);
    accept_source(&bench);
    for (int i = 0; text.size < 40 * MIB; i++)
        text_appendf(&text, "line %d of many\n", i);
    lines_of(text_str(&text), &expected);
    size_t sent = 0;
    bool was_stopped = false;
    while (sent < text.size) {
        size_t size = send_some(&bench, (Str){text.data + sent, text.size - sent});
        CHECK(bench.budget.used_bytes <= 4 * MIB);
        sent += size;
        if (size == 0) {
            was_stopped = true;
            run_batch(&bench);
        }
    }
    CHECK(was_stopped);
    wait_for_lines(&bench, expected.count);
    CHECK(str_equal(text_str(&bench.lines.text), text_str(&expected.text)));
    finish(&bench);
    text_deinit(&text);
    lines_deinit(&expected);
    text_deinit(&logged);
}

TEST(without_memory_the_peer_waits) {
    check_back_pressure(NULL);
}

TEST(without_memory_the_peer_waits_with_a_log_too) {
    check_back_pressure(check_tmpdir());
}

TEST(two_sources_share_the_poller) {
    Bench a, b;
    log_capture();
    bench_init(&a, BUDGET_SIZE, NULL);
    bench_init(&b, BUDGET_SIZE, NULL);
    poller_destroy(b.poller);
    b.poller = NULL;
    b.services.poller = a.poller;
    start(&a);
    start(&b);
    accept_source(&a);
    accept_source(&b);
    send_all(&b, STR("of b\n"));
    send_all(&a, STR("of a\n"));
    wait_for_lines(&a, 1);
    wait_for_lines(&b, 1);
    CHECK_STR(a.lines.text.data, "of a\n");
    CHECK_STR(b.lines.text.data, "of b\n");
    finish(&b);
    send_all(&a, STR("still\n"));
    wait_for_lines(&a, 2);
    finish(&a);
    text_deinit(&logged);
}

TEST(after_a_stop_what_was_taken_in_is_given) {
    Bench bench;
    log_capture();
    bench_init(&bench, BUDGET_SIZE, NULL);
    start(&bench);
    accept_source(&bench);
    send_all(&bench, STR("first\n"));
    wait_for_lines(&bench, 1);
    send_all(&bench, STR("second\nhalf a li"));
    int64_t deadline_us = env_monotonic_us(bench.env) + PATIENCE_US;
    while (!bench.source->class->has_more(bench.source) && env_monotonic_us(bench.env) < deadline_us)
        ;
    bench.source->class->stop(bench.source);
    CHECK(bench.source->class->has_more(bench.source));
    run_batch(&bench);
    CHECK(!bench.source->class->has_more(bench.source));
    CHECK_STR(bench.lines.text.data, "first\nsecond\n");
    finish(&bench);
    text_deinit(&logged);
}

TEST(a_port_that_is_none_is_not_tried_for_ever) {
    Bench bench;
    log_capture();
    bench_init(&bench, BUDGET_SIZE, NULL);
    snprintf(bench.port, sizeof bench.port, "99999");
    start(&bench);
    /* The poller has called it once before it is removed, or not at all. */
    bench.source->class->stop(bench.source);
    run_batch(&bench);
    CHECK_EQ(bench.lines.count, 0);
    finish(&bench);
    text_deinit(&logged);
}

TEST_MAIN()
