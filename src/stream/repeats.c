#include "stream/repeats.h"

#include <stdio.h>
#include <string.h>

bool repeats_say(Repeats *repeats, const char *text, int64_t now_us, uint64_t *unsaid_count) {
    char cut[REPEATS_TEXT_SIZE_MAX];
    snprintf(cut, sizeof cut, "%s", text);
    bool is_same = strcmp(cut, repeats->text) == 0;
    if (is_same && now_us - repeats->said_us < REPEATS_INTERVAL_US) {
        repeats->unsaid_count++;
        return false;
    }
    *unsaid_count = is_same ? repeats->unsaid_count : 0;
    memcpy(repeats->text, cut, sizeof cut);
    repeats->said_us = now_us;
    repeats->unsaid_count = 0;
    return true;
}

void repeats_forget(Repeats *repeats) {
    *repeats = (Repeats){0};
}
