/* The simulated machine. THREADS_TEST: its threads hand over without the sanitizer seeing it. */
#include "env/env_faulty.h"
#include "env/env_sim.h"

#include "check.h"
#include "env_cases.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORLD_BYTES = 64 << 20 };

static SimOptions lively(void) {
    return (SimOptions){.switch_one_in = 3,
                        .sync_us_max = 2000,
                        .latency_us_max = 500,
                        .partial_one_in = 3,
                        .stall_one_in = 50,
                        .stall_us_max = 5000};
}

/* ---- what every environment does ---- */

static void run_case(void (*env_case)(Env *env, const char *directory), SimOptions options) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        SimWorld *world = sim_world_create(WORLD_BYTES, seed);
        Env *env = env_sim_create(world, options);
        Error err = {0};
        CHECK_OK(env_make_directory(env, "/disk", &err), err);
        env_case(env, "/disk");
        env_sim_destroy(env);
        sim_world_destroy(world);
    }
}

#define CASE(name)                           \
    TEST(name) {                             \
        run_case(env_case_##name, lively()); \
    }
CASE(random_bytes_differ)
CASE(refusals_say_which_path_and_give_nothing)
CASE(file_reads_what_was_written_where)
CASE(directories_list_what_is_in_them)
CASE(whole_files_are_written_and_read)
CASE(sending_to_a_peer_that_has_gone_is_an_end_or_a_break_and_no_signal)
CASE(a_refused_connection_is_unavailable_and_named)
CASE(what_is_not_a_port_or_an_address_is_told_apart)
CASE(a_poll_ends_at_its_deadline)
CASE(an_item_that_wants_nothing_does_not_wake)
CASE(another_thread_wakes_a_poll_and_a_condition)
CASE(condition_waits_end_at_their_deadline)

TEST(sockets_carry_bytes_and_tell_the_end) {
    SimOptions options = lively();
    options.partial_one_in = 0; /* the case sends and receives five bytes at once */
    run_case(env_case_sockets_carry_bytes_and_tell_the_end, options);
}

TEST(direct_files_read_what_was_written) {
    SimOptions options = lively();
    run_case(env_case_direct_files_read_what_was_written, options);
    options.has_direct = true;
    run_case(env_case_direct_files_read_what_was_written, options);
}

/* ---- threads and time ---- */

enum { ADDERS = 4, ADDITIONS = 50 };

typedef struct Adding {
    Env *env;
    EnvMutex *mutex;
    EnvCond *cond;
    int sum, ended;
    Text order; /* who added: differs by seed */
} Adding;

typedef struct Adder {
    Adding *adding;
    EnvThread *thread;
    char name;
} Adder;

static void adder_run(void *argument) {
    Adder *adder = argument;
    Adding *adding = adder->adding;
    for (int i = 0; i < ADDITIONS; i++) {
        env_mutex_lock(adding->env, adding->mutex);
        adding->sum++;
        text_append_byte(&adding->order, adder->name);
        env_mutex_unlock(adding->env, adding->mutex);
    }
    env_mutex_lock(adding->env, adding->mutex);
    adding->ended++;
    env_cond_signal(adding->env, adding->cond);
    env_mutex_unlock(adding->env, adding->mutex);
}

static void add_with_threads(Env *env, Text *order) {
    Adding adding = {.env = env, .mutex = env_mutex_create(env), .cond = env_cond_create(env)};
    Adder adders[ADDERS];
    Error err = {0};
    for (int i = 0; i < ADDERS; i++) {
        adders[i] = (Adder){.adding = &adding, .name = (char)('a' + i)};
        REQUIRE(
            CHECK_OK(env_thread_start(env, "adder", adder_run, &adders[i], &adders[i].thread, &err), err));
    }
    env_mutex_lock(env, adding.mutex);
    while (adding.ended < ADDERS)
        (void)env_cond_wait(env, adding.cond, adding.mutex, ENV_FOREVER);
    env_mutex_unlock(env, adding.mutex);
    for (int i = 0; i < ADDERS; i++)
        env_thread_join(env, adders[i].thread);
    CHECK_EQ(adding.sum, ADDERS * ADDITIONS);
    env_cond_destroy(env, adding.cond);
    env_mutex_destroy(env, adding.mutex);
    *order = adding.order;
}

TEST(the_same_seed_gives_the_same_run) {
    uint64_t last_hash = 0;
    SimWorld *world = sim_world_create(WORLD_BYTES, 0);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t hashes[2];
        Text orders[2];
        for (int round = 0; round < 2; round++) {
            SimOptions options = lively();
            options.spurious_one_in = 5;
            sim_world_reset(world, seed);
            Env *env = env_sim_create(world, options);
            add_with_threads(env, &orders[round]);
            env_sim_destroy(env);
            hashes[round] = sim_world_trace_hash(world);
        }
        CHECK(hashes[0] == hashes[1]);
        CHECK(hashes[0] != last_hash);
        CHECK(str_equal(text_str(&orders[0]), text_str(&orders[1])));
        CHECK(strstr(orders[0].data, "ab") || strstr(orders[0].data, "ba")); /* they do take turns */
        last_hash = hashes[0];
        text_deinit(&orders[0]);
        text_deinit(&orders[1]);
    }
    sim_world_destroy(world);
}

TEST(time_jumps_when_all_wait) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    Env *env = env_sim_create(world, (SimOptions){0});
    EnvMutex *mutex = env_mutex_create(env);
    EnvCond *cond = env_cond_create(env);
    const int64_t day_us = INT64_C(86400) * 1000000;
    int64_t wall_us = env_wall_us(env), begin_us = env_monotonic_us(env);
    env_mutex_lock(env, mutex);
    CHECK(!env_cond_wait(env, cond, mutex, begin_us + day_us));
    env_mutex_unlock(env, mutex);
    CHECK(env_monotonic_us(env) >= begin_us + day_us && env_monotonic_us(env) < begin_us + day_us + 1000);
    sim_world_shift_wall(world, -2 * day_us);
    CHECK(env_wall_us(env) < wall_us);
    env_cond_destroy(env, cond);
    env_mutex_destroy(env, mutex);
    env_sim_destroy(env);
    sim_world_destroy(world);
}

/* ---- how processes end ---- */

_Noreturn static int wait_for_ever(Env *env, void *user) {
    (void)user;
    EnvMutex *mutex = env_mutex_create(env);
    EnvCond *cond = env_cond_create(env);
    env_mutex_lock(env, mutex);
    for (;;)
        (void)env_cond_wait(env, cond, mutex, ENV_FOREVER);
}

_Noreturn static int call_for_ever(Env *env, void *user) {
    (void)user;
    for (;;)
        env_sim_yield(env);
}

static int break_down(Env *env, void *user) {
    (void)env, (void)user;
    raise(SIGKILL);
    return 0;
}

static int exit_in_the_middle(Env *env, void *user) {
    (void)env, (void)user;
    _exit(0);
}

static int return_seven(Env *env, void *user) {
    Error err = {0};
    *(int *)user = 8; /* lost, if it does not stand in the world */
    return env_write_stdout(env, STR("out\n"), &err) == STATUS_OK &&
                   env_write_stderr(env, STR("err\n"), &err) == STATUS_OK
               ? 7
               : 0;
}

TEST(a_process_says_how_it_ended) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    int code = 0, lost = 1, *kept = sim_world_alloc(world, sizeof *kept);
    printf("    (two reports of waiting and endless threads are part of this test)\n");
    CHECK_EQ(sim_process_run(world, lively(), wait_for_ever, NULL, &code), SIM_STUCK);
    SimOptions few_calls = {.call_count_max = 1000};
    CHECK_EQ(sim_process_run(world, few_calls, call_for_ever, NULL, &code), SIM_ENDLESS);
    CHECK_EQ(sim_process_run(world, lively(), break_down, NULL, &code), SIM_BROKEN);
    CHECK_EQ(sim_process_run(world, lively(), exit_in_the_middle, NULL, &code), SIM_BROKEN);
    CHECK_EQ(sim_process_run(world, lively(), return_seven, &lost, &code), SIM_RETURNED);
    CHECK_EQ(code, 7);
    CHECK_EQ(lost, 1);
    CHECK_EQ(sim_process_run(world, lively(), return_seven, kept, NULL), SIM_RETURNED);
    CHECK_EQ(*kept, 8);
    CHECK(str_equal(sim_world_stdout(world), STR("out\nout\n")));
    CHECK(str_equal(sim_world_stderr(world), STR("err\nerr\n")));
    sim_world_clear_streams(world);
    CHECK_EQ(sim_world_stdout(world).size, 0);
    sim_world_destroy(world);
}

/* ---- the disk ---- */

typedef struct DiskJob {
    const char *plan;
    bool sync_file, sync_directory;
} DiskJob;

/* Writes three pages to /d/f in twelve writes, perhaps makes them durable, and locks the file. */
static int write_pages(Env *env, void *user) {
    const DiskJob *job = user;
    Error err = {0};
    FaultPlan *plan = NULL;
    EnvFile *file = NULL;
    char bytes[1024];
    if (fault_plan_parse(str_from(job->plan), &plan, &err) != STATUS_OK)
        return 1;
    Env *faulty = env_faulty_create(env, plan);
    Status st = env_file_open(faulty, "/d/f", ENV_WRITE | ENV_CREATE, &file, &err);
    for (uint64_t i = 0; i < 12 && st == STATUS_OK; i++) {
        memset(bytes, 'a' + (int)i, sizeof bytes);
        st = env_file_write(faulty, file, i * sizeof bytes, bytes, sizeof bytes, &err);
    }
    if (st == STATUS_OK)
        st = env_file_lock(faulty, file, &err);
    if (st == STATUS_OK && job->sync_file)
        st = env_file_sync(faulty, file, &err);
    if (st == STATUS_OK && job->sync_directory)
        st = env_sync_directory(faulty, "/d", &err);
    env_file_close(faulty, file);
    env_faulty_destroy(faulty);
    free(plan);
    return st == STATUS_OK ? 0 : 2;
}

typedef struct Seen {
    bool is_there, has_lock;
    size_t size;
    char bytes[12 * 1024];
} Seen;

static int look(Env *env, void *user) {
    Seen *seen = user;
    EnvFile *file = NULL;
    *seen = (Seen){0};
    if (env_file_open(env, "/d/f", ENV_READ | ENV_WRITE, &file, NULL) != STATUS_OK)
        return 0;
    seen->is_there = true;
    seen->has_lock = env_file_lock(env, file, NULL) == STATUS_OK;
    int failed = env_file_read(env, file, 0, seen->bytes, sizeof seen->bytes, &seen->size, NULL) != STATUS_OK;
    env_file_close(env, file);
    return failed;
}

static int make_durable_directory(Env *env, void *user) {
    (void)user;
    Error err = {0};
    return env_make_directory(env, "/d", &err) != STATUS_OK ||
           env_sync_directory(env, "/", &err) != STATUS_OK;
}

/* What is there after `job` was run and the power was cut. */
static Seen seen_after(SimWorld *world, uint64_t seed, SimOptions options, DiskJob job, SimCrash crash,
                       SimEnd end) {
    Random random;
    random_init(&random, seed);
    sim_world_reset(world, seed);
    Seen *seen = sim_world_alloc(world, sizeof *seen);
    CHECK_EQ(sim_process_run(world, options, make_durable_directory, NULL, NULL), SIM_RETURNED);
    CHECK_EQ(sim_process_run(world, options, write_pages, &job, NULL), end);
    sim_world_crash(world, crash, &random);
    CHECK_EQ(sim_process_run(world, options, look, seen, NULL), SIM_RETURNED);
    return *seen;
}

/* The bytes that were written there. */
static bool is_sound(const Seen *seen, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        if (seen->bytes[i] != 'a' + (int)(i / 1024))
            return false;
    return true;
}

static bool is_zero(const Seen *seen, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        if (seen->bytes[i] != 0)
            return false;
    return true;
}

TEST(what_was_synced_stays) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    for (int crash = 0; crash < SIM_CRASH_COUNT; crash++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            DiskJob job = {.plan = "", .sync_file = true, .sync_directory = true};
            Seen seen = seen_after(world, seed, lively(), job, (SimCrash)crash, SIM_RETURNED);
            CHECK(seen.is_there && seen.has_lock && seen.size == 12 * 1024 && is_sound(&seen, 0, seen.size));
        }
    }
    sim_world_destroy(world);
}

TEST(what_was_not_synced_is_lost_by_the_power_but_not_by_the_process) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    DiskJob job = {.plan = "kill@14=after"}; /* with the lock in its hands */
    Seen seen = seen_after(world, 1, lively(), job, SIM_CRASH_NONE, SIM_KILLED);
    CHECK(seen.is_there && seen.has_lock && seen.size == 12 * 1024 && is_sound(&seen, 0, seen.size));
    seen = seen_after(world, 1, lively(), job, SIM_CRASH_ALL_LOST, SIM_KILLED);
    CHECK(!seen.is_there);
    job = (DiskJob){.plan = "", .sync_file = true}; /* its bytes, but not its name */
    seen = seen_after(world, 1, lively(), job, SIM_CRASH_ALL_LOST, SIM_RETURNED);
    CHECK(!seen.is_there);
    job = (DiskJob){.plan = "", .sync_directory = true}; /* its name, but not its bytes */
    seen = seen_after(world, 1, lively(), job, SIM_CRASH_ALL_LOST, SIM_RETURNED);
    CHECK(seen.is_there && seen.size == 0);
    sim_world_destroy(world);
}

TEST(a_power_cut_leaves_what_its_kind_says) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    DiskJob job = {.plan = "", .sync_directory = true};
    unsigned ends = 0, holes = 0, torn = 0, zeroed = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Seen seen = seen_after(world, seed, lively(), job, SIM_CRASH_PREFIX, SIM_RETURNED);
        CHECK(seen.is_there && seen.size % 1024 == 0 && is_sound(&seen, 0, seen.size));
        ends |= 1U << seen.size / 1024;

        seen = seen_after(world, seed, lively(), job, SIM_CRASH_PAGES, SIM_RETURNED);
        for (size_t page = 0; page < seen.size; page += 4096) {
            size_t end = page + 4096 < seen.size ? page + 4096 : seen.size, count = 0;
            while (page + count < end && is_sound(&seen, page + count, page + count + 1))
                count++;
            CHECK(count == end - page || count % 1024 == 0);
            CHECK(is_zero(&seen, page + count, end)); /* the first of its writes, then nothing */
            holes += count < end - page && end < seen.size;
        }

        seen = seen_after(world, seed, lively(), job, SIM_CRASH_SECTORS, SIM_RETURNED);
        for (size_t sector = 0; sector + 512 <= seen.size; sector += 512) {
            CHECK(is_sound(&seen, sector, sector + 512) || is_zero(&seen, sector, sector + 512));
            torn += sector % 1024 == 0 && is_zero(&seen, sector, sector + 512) &&
                    is_sound(&seen, sector + 512, sector + 1024 < seen.size ? sector + 1024 : sector + 512);
        }

        seen = seen_after(world, seed, lively(), job, SIM_CRASH_ZEROED, SIM_RETURNED);
        CHECK_EQ(seen.size, 12 * 1024);
        zeroed += is_zero(&seen, 8192, 12 * 1024);
    }
    CHECK(__builtin_popcount(ends) > 8);
    CHECK(holes > 0 && torn > 0 && zeroed > 0);
    sim_world_destroy(world);
}

TEST(a_failed_sync_is_never_made_good) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    SimOptions options = lively();
    options.failing_sync = 1;
    DiskJob job = {.plan = "", .sync_file = true, .sync_directory = true};
    Seen seen = seen_after(world, 1, options, job, SIM_CRASH_NONE, SIM_RETURNED);
    CHECK(seen.is_there && seen.size == 12 * 1024 && is_sound(&seen, 0, seen.size)); /* as the cache has it */
    Random random;
    random_init(&random, 1);
    sim_world_crash(world, SIM_CRASH_PREFIX, &random);
    Seen *after = sim_world_alloc(world, sizeof *after);
    CHECK_EQ(sim_process_run(world, lively(), look, after, NULL), SIM_RETURNED);
    CHECK(after->size == 0);
    sim_world_destroy(world);
}

TEST(the_end_behind_a_sync_is_behind_it) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    SimOptions options = lively();
    DiskJob job = {.plan = "", .sync_file = true, .sync_directory = true};
    Seen *seen = sim_world_alloc(world, sizeof *seen);
    Random random;
    random_init(&random, 1);
    CHECK_EQ(sim_process_run(world, options, make_durable_directory, NULL, NULL), SIM_RETURNED);
    options.end_behind_sync = 2;
    CHECK_EQ(sim_process_run(world, options, write_pages, &job, NULL), SIM_KILLED);
    sim_world_crash(world, SIM_CRASH_ALL_LOST, &random);
    options.end_behind_sync = 0;
    CHECK_EQ(sim_process_run(world, options, look, seen, NULL), SIM_RETURNED);
    CHECK(seen->is_there && seen->size == 12 * 1024);
    sim_world_destroy(world);
}

TEST(a_full_disk_takes_what_fits) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    DiskJob job = {.plan = ""};
    Seen *seen = sim_world_alloc(world, sizeof *seen);
    sim_world_limit_disk(world, 2 * 4096);
    int code = 0;
    CHECK_EQ(sim_process_run(world, lively(), make_durable_directory, NULL, NULL), SIM_RETURNED);
    CHECK_EQ(sim_process_run(world, lively(), write_pages, &job, &code), SIM_RETURNED);
    CHECK_EQ(code, 2);
    CHECK_EQ(sim_process_run(world, lively(), look, seen, NULL), SIM_RETURNED);
    CHECK_EQ(seen->size, 8192);
    sim_world_limit_disk(world, UINT64_MAX);
    CHECK_EQ(sim_process_run(world, lively(), write_pages, &job, &code), SIM_RETURNED);
    CHECK_EQ(code, 0);
    sim_world_destroy(world);
}

/* A file is replaced again and again while the power fails: it holds an old or a new text, whole. */
static int replace(Env *env, void *user) {
    int *durable = user;
    Error err = {0};
    for (int i = *durable + 1; i < 100; i++) {
        Text text = {0};
        text_appendf(&text, "%d:%02000d", i, i);
        Status st = env_write_file_atomically(env, "/d/replaced", text_str(&text), &err);
        text_deinit(&text);
        if (st != STATUS_OK)
            return 1;
        *durable = i;
    }
    return 0;
}

static int check_replaced(Env *env, void *user) {
    int *durable = user;
    Text text = {0};
    if (*durable == 0)
        return 0;
    if (env_read_file(env, "/d/replaced", 10000, &text, NULL) != STATUS_OK)
        return 1;
    int number = atoi(text.data), check = (int)strtol(strchr(text.data, ':') + 1, NULL, 10);
    bool is_whole = text.size > 2000 && number == check && (number == *durable || number == *durable + 1);
    *durable = number;
    text_deinit(&text);
    return is_whole ? 0 : 2;
}

TEST(a_file_replaced_under_power_cuts_is_old_or_new) {
    uint64_t seed = check_seed();
    SimWorld *world = sim_world_create(WORLD_BYTES, seed);
    Random random;
    random_init(&random, seed);
    int *durable = sim_world_alloc(world, sizeof *durable), cuts = 0;
    CHECK_EQ(sim_process_run(world, lively(), make_durable_directory, NULL, NULL), SIM_RETURNED);
    while (cuts < 100) {
        SimOptions options = lively();
        options.end_behind_sync = 1 + random_below(&random, 6);
        int code = 0;
        SimEnd end = sim_process_run(world, options, replace, durable, &code);
        CHECK(end == SIM_KILLED || (end == SIM_RETURNED && code == 0));
        sim_world_crash(world, (SimCrash)(1 + random_below(&random, SIM_CRASH_COUNT - 1)), &random);
        REQUIRE(sim_process_run(world, lively(), check_replaced, durable, &code) == SIM_RETURNED);
        REQUIRE(CHECK_EQ(code, 0));
        if (end == SIM_RETURNED)
            *durable = 0;
        cuts++;
    }
    sim_world_destroy(world);
}

/* ---- stop signals ---- */

static void note_signal(void *self, int signal_number) {
    *(int *)self = signal_number;
}

TEST(a_stop_signal_is_told_once) {
    SimWorld *world = sim_world_create(WORLD_BYTES, 1);
    Env *env = env_sim_create(world, (SimOptions){0});
    Error err = {0};
    int number = 0;
    env_sim_signal(env, 15); /* nobody has asked for it */
    CHECK_OK(env_on_stop_signal(env, note_signal, &number, &err), err);
    CHECK_EQ(env_on_stop_signal(env, note_signal, &number, &err), STATUS_EXISTS);
    env_sim_signal(env, 15);
    CHECK_EQ(number, 15);
    number = 0;
    env_sim_signal(env, 15);
    CHECK_EQ(number, 0);
    CHECK_OK(env_on_stop_signal(env, NULL, NULL, &err), err);
    env_sim_destroy(env);
    sim_world_destroy(world);
}

TEST_MAIN()
