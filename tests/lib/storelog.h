/* SPDX-License-Identifier: Apache-2.0 */

/* A log for stores under test: entries are kept until the test commits them. */

#ifndef TESTS_LIB_STORELOG_H
#define TESTS_LIB_STORELOG_H

#include "core/store/store.h"

enum {
    STORELOG_SIZE = 8192,
};

struct storelog {
    uint64_t last;      /* index of the last entry */
    uint64_t committed; /* index of the last entry given to the store */
    bool leads;
    struct {
        uint8_t *data;
        size_t len;
    } entries[STORELOG_SIZE]; /* by index */
};

struct swki_proposer storelog_proposer(struct storelog *log);
void storelog_fini(struct storelog *log);

/* Applies the next entry, or all of them, to a store. */
int storelog_commit_one(struct storelog *log, struct swki_store *store);
void storelog_commit_all(struct storelog *log, struct swki_store *store);

/* Puts a new object into the store as a replicated entry does, so that no
 * policy applies. Takes the object. */
int storelog_seed(struct storelog *log, struct swki_store *store,
                  struct swki_object *object);

#endif
