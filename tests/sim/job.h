/* job.h - a random job: a graph of streams, and the data that it is fed, both drawn from a seed.
 *
 * Every row is a line of text in what is recorded and compared: "value", "key<TAB>n" or "<TAB>n".
 * The data never holds a tab or a line break, and is a function of the seed and of who asks (source, batch,
 * file, connection), so that nothing of it needs to be stored.
 */
#ifndef LEAT_TESTS_SIM_JOB_H
#define LEAT_TESTS_SIM_JOB_H

#include "leat/leat.h"

#include "base/random.h"
#include "env/env_sim.h"

enum { NODE_MAX = 24, SOURCE_MAX = 3, FIRST_PORT = 9000, VOCABULARY = 17 };

typedef enum Shape {
    LINES,   /* value STRING */
    PAIRS,   /* value STRING, n BIGINT; the first is the key */
    NUMBERS, /* count BIGINT */
} Shape;

typedef enum NodeKind {
    FUNCTION_LINES, /* sources; `parameter` numbers them */
    FUNCTION_PAIRS,
    SOCKET,
    FILES,
    SPLIT, /* LINES to LINES, at blanks */
    UPPER,
    CONTAINS, /* the digit `parameter` */
    UNION,    /* of two of one shape */
    PAIR,     /* LINES to PAIRS, with `parameter` */
    SCORE,    /* LINES to PAIRS: every word with the size of its line */
    TWICE,    /* PAIRS to PAIRS: n becomes 2n + parameter */
    SOME,     /* PAIRS to PAIRS: those whose n is no multiple of `parameter` */
    SUM_BY_KEY,
    MIN_BY_KEY,
    MAX_BY_KEY,
    MIX_BY_KEY, /* a function of the user */
    COMBINE,    /* combineByKey: sums and counts, made a pair again */
    RUNNING,    /* updateStateByKey: a sum; a key goes when it is a multiple of `parameter` */
    RUNNING_ON, /* the same from an initial state */
    MAP_STATE,  /* mapWithState: sums with a timeout of `length`, looked at every `check` batches */
    SNAPSHOTS,  /* the sums of another such */
    COUNT,      /* to NUMBERS */
    GREATEST,   /* reduce by max, column by column */
    DISTINCT,
    SORTED,         /* by key */
    TOP,            /* `parameter` rows */
    COUNT_BY_VALUE, /* LINES to PAIRS */
    MAP_VALUES,
    FLAT_MAP_VALUES,
    /* Two operations each: what they give is made a pair again. */
    GROUP,
    JOIN,
    LEFT_JOIN,
    RIGHT_JOIN,
    FULL_JOIN,
    COGROUP,
    /* Windows: `length` and `slide` */
    WINDOW,
    SUM_BY_WINDOW, /* by key */
    MAX_BY_WINDOW,
    GREATEST_BY_WINDOW, /* without a key */
    SUBTRACTING,        /* sum by key, with an inverse: keys stay */
    GROUP_BY_WINDOW,
    COUNT_BY_WINDOW,           /* to NUMBERS */
    COUNT_BY_VALUE_AND_WINDOW, /* LINES to PAIRS */
    NODE_KIND_COUNT,
} NodeKind;

typedef struct Node {
    NodeKind kind;
    Shape shape;
    int a, b; /* inputs; -1: none */
    int64_t parameter;
    int length, slide; /* of a window, in batches; `slide` of any other node is that of its inputs */
    int check;
    bool is_heavy;   /* a join without a reduction behind it: not to be joined again */
    bool has_output; /* sources always: the tap that shows what a batch held */
} Node;

typedef struct Job {
    uint64_t seed;
    int64_t interval_ms;
    unsigned partitions;
    uint64_t big_batch_one_in; /* of function streams: rows over the border of a chunk */
    bool has_bursts;           /* of servers of lines: more in a batch than fits into a PLAN frame */
    Node nodes[NODE_MAX];
    int node_count, source_count;
} Job;

void job_draw(Job *job, uint64_t seed);
void job_describe(const Job *job, Text *out);
bool job_has(const Job *job, NodeKind kind);
static inline bool is_source(NodeKind kind) {
    return kind <= FILES;
}
static inline bool is_window(NodeKind kind) {
    return kind >= WINDOW;
}
static inline bool is_join(NodeKind kind) {
    return kind >= JOIN && kind <= COGROUP;
}
const char *node_name(const Job *job, int node, char name[32]);

/* ---- data: numbers drawn for (seed, a, b, c), texts made of them ---- */
uint64_t job_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);
/* Line `number` of file or connection `id`: "f3-7 apple ...". */
void job_line(const Job *job, char kind, uint64_t id, uint64_t number, Text *out);
/* How many lines a file has, and whether the last one has an ending. */
uint64_t job_file_lines(const Job *job, uint64_t file, bool *ends_open);
/* The rows of a function stream in the batch, when asked for the `call`th time, as recorded text. */
void job_function_rows(const Job *job, int node, int64_t batch_ms, uint64_t call, Text *out);

/* What is made of the two sides of a join, and of the lists of a group. Both the job and the model use it. */
enum { ABSENT = 7777 };
static inline int64_t joined(int64_t left, int64_t right) {
    return left * 31 + right;
}
static inline int64_t timed_out(int64_t total) {
    return 7 * total + 1;
}
/* The words that RUNNING_ON begins with have their number as state. */
const char *job_word(uint64_t number);
static inline int64_t grouped(int64_t sum_left, int64_t count_left, int64_t sum_right, int64_t count_right) {
    return 3 * sum_left + 5 * sum_right + 1000 * count_left + 1000000 * count_right;
}

/* ---- running it ---- */
struct Ledger;
/* What the functions of a running job see. */
typedef struct Running {
    const Job *job;
    struct Ledger *ledger;
    Env *env; /* simulated, without faults: to let other threads go on */
    uint32_t life;
    uint32_t failing_one_in; /* outputs; 0: none */
    struct Tap {
        struct Running *running;
        int node;
    } taps[NODE_MAX];
} Running;

/* The streams and outputs of the job. */
void job_build(Running *running, LeatContext *context);

#endif
