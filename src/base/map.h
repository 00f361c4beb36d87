/* map.h - a hash table from byte strings to pointers, for names, paths and operator ids: hundreds of entries,
 * not millions (keyed state has its own table, state/key_table.h). Keeps insertion order, so that walks are
 * repeatable.
 *
 * Memory  aborts when there is none.  Threads  one owner.
 */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

#include "base/str.h"

typedef struct MapEntry {
    Str key; /* a copy owned by the map */
    void *value;
} MapEntry;

typedef struct Map {
    MapEntry *entries; /* insertion order; [0, count) are live */
    uint32_t count, capacity;
    uint32_t *index; /* open addressing over entries */
    uint32_t index_size;
} Map;

void map_deinit(Map *map);                    /* values are the caller's */
void map_put(Map *map, Str key, void *value); /* replaces */
void *map_find(const Map *map, Str key);      /* NULL: no such key */
bool map_contains(const Map *map, Str key);
bool map_remove(Map *map, Str key); /* keeps the order of the others; false: was not there */

#endif
