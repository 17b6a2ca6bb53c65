/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hash maps from text to pointers, walked in the order of insertion.
 *
 * The order makes machines that walk a map deterministic. Keys are borrowed:
 * a key must live, unchanged, as long as its entry; it is usually a member of
 * the value.
 */

#ifndef SWKI_BASE_MAP_H
#define SWKI_BASE_MAP_H

#include <stdbool.h>

#include <swarmkit/alloc.h>

struct swki_map_entry {
    const char *key; /* NULL for an entry that was removed */
    void *value;
    uint32_t hash;
};

struct swki_map {
    const struct swk_alloc *alloc;
    struct swki_map_entry *entries;
    uint32_t *slots; /* index into entries plus one; 0 for a free slot */
    size_t entries_count; /* removed ones included */
    size_t entries_size;
    size_t slots_count; /* a power of two, or 0 */
    size_t count;
};

/* Takes no memory yet. */
void swki_map_init(struct swki_map *map, const struct swk_alloc *alloc);
void swki_map_fini(struct swki_map *map);

/* NULL if there is none. */
void *swki_map_get(const struct swki_map *map, const char *key);

/* Adds or replaces (the key too); false for no memory. value is not NULL. */
bool swki_map_put(struct swki_map *map, const char *key, void *value);

/* Returns the value that was removed, or NULL. */
void *swki_map_remove(struct swki_map *map, const char *key);

/*
 * Walks the values: start with *cursor = 0; NULL at the end. The value last
 * returned may be removed while walking; entries that are added are seen, and
 * may make the walk see others twice, so do not add.
 */
void *swki_map_next(const struct swki_map *map, size_t *cursor);

#endif
