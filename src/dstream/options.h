/* options.h - the options that leat_set knows, as a table: names, defaults, meaning, and how a value is read.
 */
#ifndef LEAT_DSTREAM_OPTIONS_H
#define LEAT_DSTREAM_OPTIONS_H

#include "stream/driver.h"

typedef struct ContextOption {
    const char *name;
    const char *default_text;
    const char *doc;
    bool is_hidden; /* for tests of Leat itself */
    CHECKED Status (*parse)(Str value, DriverOptions *options, Error *err);
} ContextOption;

/* Sets one option. INVALID: no such option (with a suggestion), or a value that does not fit, named with what
 * was expected; nothing has changed then. */
CHECKED Status context_option_set(Str name, Str value, DriverOptions *options, Error *err);
/* The i-th option, NULL at the end. */
const ContextOption *context_option_at(size_t i);

#endif
