/* options.h - the options that leat_set knows: how their values are read. */
#ifndef LEAT_DSTREAM_OPTIONS_H
#define LEAT_DSTREAM_OPTIONS_H

#include "stream/driver.h"

/* Sets one option. INVALID: no such option (with a suggestion), or a value that does not fit, named with what
 * was expected; nothing has changed then. */
CHECKED Status context_option_set(Str name, Str value, DriverOptions *options, Error *err);

#endif
