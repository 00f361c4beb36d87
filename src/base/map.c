/* map.c - see map.h.
 *
 *   M1  entries[0, count) are live, in insertion order.
 *   M2  index is NULL, or index_size (a power of two) slots of which at most half are used; a slot is 0
 *       (free) or 1 + the index of an entry.
 *   M3  Every entry is found by linear probing from its hash: no free slot lies between.
 *
 * Removing moves the later entries down and builds the index anew: removals are rare and maps small. */
#include "base/map.h"
#include "base/bytes.h"
#include "base/memory.h"

#include <stdlib.h>

static uint64_t key_hash(Str key) {
    return hash_bytes(key.data, key.size);
}

/* The slot of `key`, or the free slot where it belongs. The index must exist. */
static uint32_t slot_of(const Map *map, Str key) {
    uint32_t mask = map->index_size - 1, slot = (uint32_t)key_hash(key) & mask;
    while (map->index[slot] && !str_equal(map->entries[map->index[slot] - 1].key, key))
        slot = (slot + 1) & mask;
    return slot;
}

static void index_build(Map *map, uint32_t index_size) {
    free(map->index);
    map->index = xcalloc(index_size, sizeof *map->index);
    map->index_size = index_size;
    for (uint32_t i = 0; i < map->count; i++)
        map->index[slot_of(map, map->entries[i].key)] = i + 1;
}

void map_put(Map *map, Str key, void *value) {
    if (!map->index)
        index_build(map, 16);
    uint32_t slot = slot_of(map, key);
    if (map->index[slot]) {
        map->entries[map->index[slot] - 1].value = value;
        return;
    }
    ASSERT(map->count < UINT32_MAX / 4);
    if (map->count == map->capacity) {
        map->capacity = map->capacity ? map->capacity * 2 : 8;
        map->entries = xrealloc(map->entries, map->capacity * sizeof *map->entries);
    }
    map->entries[map->count++] = (MapEntry){{xstrdup(key), key.size}, value};
    map->index[slot] = map->count;
    if (map->count > map->index_size / 2)
        index_build(map, map->index_size * 2); /* M2 */
}

static MapEntry *entry_of(const Map *map, Str key) {
    uint32_t found = map->index ? map->index[slot_of(map, key)] : 0;
    return found ? &map->entries[found - 1] : NULL;
}

void *map_find(const Map *map, Str key) {
    const MapEntry *entry = entry_of(map, key);
    return entry ? entry->value : NULL;
}

bool map_contains(const Map *map, Str key) {
    return entry_of(map, key) != NULL;
}

bool map_remove(Map *map, Str key) {
    MapEntry *entry = entry_of(map, key);
    if (!entry)
        return false;
    free((char *)entry->key.data);
    map->count--;
    memmove(entry, entry + 1, (size_t)(map->entries + map->count - entry) * sizeof *entry);
    index_build(map, map->index_size); /* M3 */
    return true;
}

void map_deinit(Map *map) {
    for (uint32_t i = 0; i < map->count; i++)
        free((char *)map->entries[i].key.data);
    free(map->entries);
    free(map->index);
    *map = (Map){0};
}
