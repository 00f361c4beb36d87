/* demo_text.h - the text that `leat demo` plays: lines, each ended by LF. */
#ifndef LEAT_CLI_DEMO_TEXT_H
#define LEAT_CLI_DEMO_TEXT_H

extern const char demo_text[];

#endif
