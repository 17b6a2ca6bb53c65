/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Persistent tables: rows of objects, and ordered trees of rows.
 *
 * Every object of a table has a row, a small number that it keeps while it
 * lives, through all its versions. The rows are a radix tree from number to
 * object. Indexes are B+ trees of (key, row), ordered by the 64-bit key and,
 * where keys are equal, by the object's ID. A change that moves no key thus
 * touches no index.
 *
 * Nodes are copied on write. Each knows the epoch it was born in; a writer
 * changes those of its own epoch in place, and copies others. What it leaves
 * behind is garbage for those who hold no older version; see version.h.
 */

#ifndef SWKI_STORE_TREE_H
#define SWKI_STORE_TREE_H

#include <stdbool.h>

#include "core/store/object.h"
#include "core/store/pool.h"

enum {
    SWKI_TREE_WIDTH = 32, /* entries of a node */
};

struct swki_garbage {
    struct swki_node *nodes;
    struct swki_object *objects; /* each stands for one reference */
};

/* Who changes tables. */
struct swki_writer {
    struct swki_pool *pool;
    uint64_t epoch;
    struct swki_garbage garbage; /* what the change made superfluous */
};

struct swki_rows {
    struct swki_node *root;
    uint32_t size;  /* rows in use, and free ones */
    uint32_t free;  /* the last one freed, plus one; 0 for none */
    uint32_t count; /* rows in use */
};

struct swki_tree_node {
    struct swki_node node;
    /* Of an inner node: those of the first entry below each child. */
    uint64_t keys[SWKI_TREE_WIDTH];
    uint32_t rows[SWKI_TREE_WIDTH];
    struct swki_node *children[]; /* of inner nodes only */
};

struct swki_tree {
    struct swki_tree_node *root; /* NULL when empty */
};

const struct swki_object *swki_rows_get(const struct swki_rows *rows,
                                        uint32_t row);

/* Gives the object a row. Takes the caller's reference. False for no memory. */
bool swki_rows_add(struct swki_writer *writer, struct swki_rows *rows,
                   struct swki_object *object);

/* Puts another version into a row; takes the caller's reference, and makes
 * garbage of the old version. False for no memory. */
bool swki_rows_replace(struct swki_writer *writer, struct swki_rows *rows,
                       uint32_t row, struct swki_object *object);

/* Frees a row. False for no memory. */
bool swki_rows_remove(struct swki_writer *writer, struct swki_rows *rows,
                      uint32_t row);

/*
 * Undo the writer's last change of a row that is not undone yet, without memory.
 * They return the object that was put there, and bring back the old one, which
 * is taken from the garbage.
 */
struct swki_object *swki_rows_undo_add(struct swki_rows *rows, uint32_t row);
struct swki_object *swki_rows_undo_replace(struct swki_writer *writer,
                                           struct swki_rows *rows,
                                           uint32_t row);
void swki_rows_undo_remove(struct swki_writer *writer, struct swki_rows *rows,
                           uint32_t row);

/* Adds an entry, unless it is there. False for no memory. */
bool swki_tree_insert(struct swki_writer *writer, struct swki_tree *tree,
                      const struct swki_rows *rows, uint64_t key, uint32_t row);

/* Removes the entry of the row, whose object is still in it. */
bool swki_tree_remove(struct swki_writer *writer, struct swki_tree *tree,
                      const struct swki_rows *rows, uint64_t key, uint32_t row);

enum swki_seek {
    SWKI_SEEK_FROM,  /* the first entry that is not before (key, id) */
    SWKI_SEEK_AFTER, /* the first entry that is behind it */
};

/* The leaf and the place of an entry; NULL if there is none. */
const struct swki_tree_node *swki_tree_seek(const struct swki_tree *tree,
                                            const struct swki_rows *rows,
                                            uint64_t key, const char *id,
                                            enum swki_seek seek,
                                            unsigned *out_pos);

/* Adds all that was born after an epoch to the garbage: every node, and every
 * object of rows. */
void swki_rows_collect(struct swki_node *root, uint64_t epoch,
                       struct swki_garbage *garbage);
void swki_tree_collect(struct swki_node *root, uint64_t epoch,
                       struct swki_garbage *garbage);

void swki_garbage_free(struct swki_pool *pool, struct swki_garbage *garbage);

/* Moves to kept what was born in an epoch or before. */
void swki_garbage_split(struct swki_garbage *garbage, uint64_t epoch,
                        struct swki_garbage *kept);

/* Whether order, separators and levels are right; for tests. */
bool swki_tree_check(const struct swki_tree *tree,
                     const struct swki_rows *rows, size_t *out_entries);

#endif
