/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which keys find which objects.
 *
 * The exact selectors of a table share one tree. Its keys are 32 bits of hash
 * over the selector's name and arguments, above the first places of the
 * object's ID; what has one key thus comes in the order of its IDs. As hashes
 * collide, what is found is compared with the selector again.
 *
 * A selector that finds a large share of its table, such as the tasks of a
 * state, has no keys: the whole table is walked, and compared.
 */

#ifndef SWKI_STORE_INDEX_H
#define SWKI_STORE_INDEX_H

#include <swarmkit/alloc.h>

#include "core/store/store.h"

/* A key, as a selector asks for it. */
struct swki_key {
    enum swki_by by;
    const char *text;
    const char *value;
    uint64_t number;
};

/* Whether the selector is one of the table's. */
bool swki_index_allows(enum swki_kind kind, enum swki_by by);

/* Whether the tree finds what the selector asks for; else walk the table. */
bool swki_index_has_keys(enum swki_kind kind, enum swki_by by);

/* What a selector asks for, without the members that it does not use. */
struct swki_key swki_index_key(const struct swki_selector *selector);

/* Whether the object has the key. */
bool swki_index_matches(const struct swki_object *object,
                        const struct swki_key *key);

/* The upper half of all tree keys under which the key is found. */
uint64_t swki_index_hash(const struct swki_key *key);

/* The key of the tree that is ordered by ID. */
uint64_t swki_index_id_key(const char *id);

/* Tree keys, ascending, each once. */
struct swki_keys {
    const struct swk_alloc *alloc;
    uint64_t *items;
    size_t count;
    size_t size;
};

void swki_keys_init(struct swki_keys *keys, const struct swk_alloc *alloc);
void swki_keys_fini(struct swki_keys *keys);

#define SWKI_INDEX_EVERY UINT32_MAX

/* For which selectors (bits of 1 << by) an edit that is not sealed yet may have
 * other keys than its old version. */
uint32_t swki_index_moved(const struct swki_object *old,
                          const struct swki_object *object);

/* Sets keys to those of an object for some selectors. False for no memory. */
bool swki_keys_collect(struct swki_keys *keys, const struct swki_object *object,
                       uint32_t bits);

/* Texts are compared without regard to the case of ASCII letters. */
bool swki_text_equal(const char *a, const char *b);
bool swki_text_begins(const char *text, const char *prefix);

#endif
