/* inspect_out.h - stream/inspect.h to standard output, with what the connectors know of their plans. */
#ifndef LEAT_CLI_INSPECT_OUT_H
#define LEAT_CLI_INSPECT_OUT_H

#include "leat/leat.h"
#include "stream/inspect.h"

InspectOut inspect_to_stdout(void);

#endif
