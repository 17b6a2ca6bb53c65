/* SPDX-License-Identifier: Apache-2.0 */

#include "base/map.h"

#include <string.h>

#include "base/alloc.h"

enum {
    SLOTS_MIN = 8,
};

void swki_map_init(struct swki_map *map, const struct swk_alloc *alloc)
{
    *map = (struct swki_map){.alloc = alloc};
}

void swki_map_fini(struct swki_map *map)
{
    swki_free(map->alloc, map->entries);
    swki_free(map->alloc, map->slots);
    swki_map_init(map, map->alloc);
}

/* FNV-1a, with its bits mixed once more for the low ones. */
static uint32_t hash_text(const char *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *key != '\0'; key++) {
        hash = (hash ^ (uint8_t)*key) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)(hash ^ (hash >> 32));
}

/* The slot of the key, or the free slot where it would go. */
static size_t find_slot(const struct swki_map *map, const char *key,
                        uint32_t hash)
{
    size_t mask = map->slots_count - 1;
    size_t slot = hash & mask;

    while (map->slots[slot] != 0) {
        const struct swki_map_entry *entry =
            &map->entries[map->slots[slot] - 1];

        if (entry->key != NULL && entry->hash == hash &&
            strcmp(entry->key, key) == 0) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

void *swki_map_get(const struct swki_map *map, const char *key)
{
    size_t slot;

    if (map->count == 0) {
        return NULL;
    }
    slot = find_slot(map, key, hash_text(key));
    return map->slots[slot] != 0 ? map->entries[map->slots[slot] - 1].value
                                 : NULL;
}

/* Drops removed entries and lays the slots out anew. */
static void rebuild(struct swki_map *map)
{
    size_t mask = map->slots_count - 1;
    size_t kept = 0;

    memset(map->slots, 0, map->slots_count * sizeof(map->slots[0]));
    for (size_t i = 0; i < map->entries_count; i++) {
        size_t slot = map->entries[i].hash & mask;

        if (map->entries[i].key == NULL) {
            continue;
        }
        map->entries[kept] = map->entries[i];
        while (map->slots[slot] != 0) {
            slot = (slot + 1) & mask;
        }
        map->slots[slot] = (uint32_t)++kept;
    }
    map->entries_count = kept;
}

static bool grow(struct swki_map *map)
{
    size_t slots_count = map->slots_count > 0 ? map->slots_count : SLOTS_MIN;
    struct swki_map_entry *entries;
    uint32_t *slots;

    /* Half of the slots may be taken: keep the size if enough were removed. */
    while (slots_count / 2 <= map->count) {
        slots_count *= 2;
    }
    if (slots_count / 2 > UINT32_MAX - 1) {
        return false;
    }
    entries = swki_realloc(map->alloc, map->entries, slots_count / 2,
                           sizeof(entries[0]));
    if (entries == NULL) {
        return false;
    }
    map->entries = entries;
    slots = swki_realloc(map->alloc, map->slots, slots_count, sizeof(slots[0]));
    if (slots == NULL) {
        return false;
    }
    map->slots = slots;
    map->slots_count = slots_count;
    map->entries_size = slots_count / 2;
    rebuild(map);
    return true;
}

bool swki_map_put(struct swki_map *map, const char *key, void *value)
{
    uint32_t hash = hash_text(key);
    size_t slot;

    if (map->entries_count == map->entries_size && !grow(map)) {
        return false;
    }
    slot = find_slot(map, key, hash);
    if (map->slots[slot] == 0) {
        map->slots[slot] = (uint32_t)++map->entries_count;
        map->count++;
    }
    map->entries[map->slots[slot] - 1] = (struct swki_map_entry){
        .key = key,
        .value = value,
        .hash = hash,
    };
    return true;
}

void *swki_map_remove(struct swki_map *map, const char *key)
{
    struct swki_map_entry *entry;
    size_t slot;

    if (map->count == 0) {
        return NULL;
    }
    slot = find_slot(map, key, hash_text(key));
    if (map->slots[slot] == 0) {
        return NULL;
    }
    entry = &map->entries[map->slots[slot] - 1];
    entry->key = NULL;
    map->count--;
    return entry->value;
}

void *swki_map_next(const struct swki_map *map, size_t *cursor)
{
    while (*cursor < map->entries_count) {
        const struct swki_map_entry *entry = &map->entries[(*cursor)++];

        if (entry->key != NULL) {
            return entry->value;
        }
    }
    return NULL;
}
