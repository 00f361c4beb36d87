/* split.c - the list of a batch's splits. */
#include "exec/split.h"

#include <stdlib.h>

void split_list_add(SplitList *list, Split *split) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 8;
        list->splits = xrealloc(list->splits, list->capacity * sizeof(Split *));
    }
    list->splits[list->count++] = split;
}

void split_list_reset(SplitList *list) {
    while (list->count > 0) {
        Split *split = list->splits[--list->count];
        split->class->destroy(split);
    }
}

void split_list_deinit(SplitList *list) {
    split_list_reset(list);
    free(list->splits);
    *list = (SplitList){0};
}
