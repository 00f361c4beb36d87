/* function_source.h - rows that a function of the user gives, called once per batch on the driver's thread.
 *
 * The rows stand in the plan, so a batch that is run again has the same ones, and the function is not asked
 * again. False from it: no batch at that time.
 */
#ifndef LEAT_CONNECT_FUNCTION_SOURCE_H
#define LEAT_CONNECT_FUNCTION_SOURCE_H

#include "leat/arrow.h"
#include "leat/stream.h"
#include "stream/source.h"

/* `schema` and `user` are borrowed and outlive the source; one with nested types is UNSUPPORTED by open.
 * Never NULL; the caller owns it: class->destroy. */
Source *function_source_create(const Schema *schema, LeatBatchFunction function, void *user);

/* The same of record batches; columns of any types. */
Source *function_source_create_arrow(const Schema *schema, LeatArrowFunction function, void *user);

extern const SourceClass function_source_class;

#endif
