/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which keys find which objects.
 *
 * All exact selectors of a table share one tree. Its keys are 32 bits of hash
 * over the selector's name and arguments, above the first four bytes of the
 * object's ID; what has one key thus comes in the order of its IDs. As hashes
 * collide, what is found is compared with the selector again.
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

/* Returns false to end the visit. */
typedef bool (*swki_key_fn)(void *ctx, const struct swki_key *key);

/* Visits all keys of an object; some may come twice. */
void swki_index_visit(const struct swki_object *object, swki_key_fn visit,
                      void *ctx);

/* Whether the selector is one of the table's. */
bool swki_index_allows(enum swki_kind kind, enum swki_by by);

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

/* Sets keys to all of an object. False for no memory. */
bool swki_keys_collect(struct swki_keys *keys,
                       const struct swki_object *object);

/* Texts are compared without regard to the case of ASCII letters. */
bool swki_text_equal(const char *a, const char *b);
bool swki_text_begins(const char *text, const char *prefix);

#endif
