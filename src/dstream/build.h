/* build.h - the steps that building calls share: what every operation checks, and how its node is made.
 *
 * Every check names the call, says what was expected, and shows the schema at hand. A refusal sticks to the
 * context (C1) and gives NULL or false. `call` is static text. What is made lives as long as the context.
 *
 * Threads  the owner of the context, before its start.
 */
#ifndef LEAT_DSTREAM_BUILD_H
#define LEAT_DSTREAM_BUILD_H

#include "dstream/context.h"

/* ---- texts for messages ---- */
typedef struct SchemaText {
    char text[256];
} SchemaText;
SchemaText build_schema_text(const Schema *schema);     /* "(word STRING, n BIGINT)", cut where it is long */
const char *build_function_text(LeatFunctionKind kind); /* "leat_sum()" */

/* ---- streams and nodes ---- */
/* Is there a stream to go on from, and may the context still be built? */
bool build_can_extend(const LeatStream *stream, const char *call);
/* The same for two streams, which must be of one context, with batches at the same times. One of them may stand
 * beside the handle of a batch as something else (BC2 of batch_context.h): it is replaced. */
bool build_can_combine(LeatStream **a, LeatStream **b, const char *call);
LeatStream *build_stream(LeatContext *context, PlanNode *node, const Schema *schema);
/* A node of one input; the caller gives it a schema. */
PlanNode *build_node(LeatContext *context, PlanKind kind, const char *call, LeatStream *input,
                     const LeatFunction *function);
int64_t build_slide_ms(const LeatStream *stream);   /* the time between two batches */
uint32_t build_key_count(const LeatStream *stream); /* where no key was named it is the first column */

/* ---- schemas ---- */
Arena *build_arena(const LeatContext *context);
bool build_is_scalar(const Type *type);
const Schema *build_with_key_count(LeatContext *context, const Schema *schema, uint32_t key_count);
/* From SQL type text, at least one column. NULL: refused. */
const Schema *build_schema(LeatContext *context, const char *call, const char *text, uint32_t key_count);
/* Of what a function of the user gives. NULL: refused. */
const Schema *build_given_schema(LeatContext *context, const char *call, const char *text,
                                 uint32_t key_count);

/* May there be such columns, by their number and nesting? What operations put together is asked, not what was
 * parsed. */
bool build_can_have(LeatContext *context, const char *call, const Schema *schema);

/* ---- functions ---- */
enum {
    KIND_BIT_RECORD = 1 << LEAT_FUNCTION_RECORD,
    KIND_BIT_CHUNK = 1 << LEAT_FUNCTION_CHUNK,
    KIND_BITS_REDUCE = 1 << LEAT_FUNCTION_REDUCE | 1 << LEAT_FUNCTION_SUM | 1 << LEAT_FUNCTION_MIN |
                       1 << LEAT_FUNCTION_MAX | 1 << LEAT_FUNCTION_CONCAT,
};
/* Is `function` one of the kinds that the call takes, and whole? `wanted` lists them for the message. */
bool build_takes(LeatContext *context, const char *call, const LeatFunction *function, unsigned kinds,
                 const char *wanted);
/* A pair has a value (as Spark's type of the stream says). */
bool build_has_values(const LeatStream *stream, const char *call, uint32_t key_count);
/* Do the value columns, those from key_count on, suit the reduce function or inverse? */
bool build_suits(LeatStream *stream, const char *call, const LeatFunction *reduce, uint32_t key_count);
/* The same, and is it one for the call? */
bool build_reduces(LeatStream *stream, const char *call, const LeatFunction *reduce, uint32_t key_count);

#endif
