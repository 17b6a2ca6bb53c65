/* SPDX-License-Identifier: Apache-2.0 */

/* Rows: a persistent radix tree from small numbers to objects. */

#include <string.h>

#include "core/store/object_impl.h"
#include "core/store/tree.h"
#include "core/store/tree_impl.h"

enum {
    BITS = 5,
    WIDTH = 1 << BITS,
    MASK = WIDTH - 1,
};

/* Leaves hold objects, or, in free rows, the next free one: (row + 1) * 2 + 1,
 * which no pointer is. */
struct page {
    struct swki_node node;
    void *slots[WIDTH];
};

static struct page *page_new(const struct swki_writer *writer, uint8_t level)
{
    struct page *page =
        (struct page *)swki_pool_take(writer->pool, sizeof(*page));

    if (page != NULL) {
        memset(page->slots, 0, sizeof(page->slots));
        page->node.born = writer->epoch;
        page->node.level = level;
    }
    return page;
}

static unsigned slot_of(uint32_t row, unsigned level)
{
    return (row >> (BITS * level)) & MASK;
}

const struct swki_object *swki_rows_get(const struct swki_rows *rows,
                                        uint32_t row)
{
    const struct page *page = (const struct page *)rows->root;

    for (unsigned level = page->node.level; level > 0; level--) {
        page = page->slots[slot_of(row, level)];
    }
    return page->slots[row & MASK];
}

/* Whether a tree of this height has the row. */
static bool has_room(const struct swki_node *root, uint32_t row)
{
    unsigned bits;

    if (root == NULL) {
        return false;
    }
    bits = BITS * (root->level + 1u);
    return bits >= 32 || row >> bits == 0;
}

static bool grow(struct swki_writer *writer, struct swki_rows *rows)
{
    uint8_t level =
        rows->root != NULL ? (uint8_t)(rows->root->level + 1) : (uint8_t)0;
    struct page *page = page_new(writer, level);

    if (page == NULL) {
        return false;
    }
    page->slots[0] = rows->root;
    rows->root = &page->node;
    return true;
}

/* The row's leaf, with the way to it made writable; NULL for no memory. */
static struct page *open_leaf(struct swki_writer *writer,
                              struct swki_rows *rows, uint32_t row)
{
    struct swki_node *node = swki_node_open(writer, rows->root);

    if (node == NULL) {
        return NULL;
    }
    rows->root = node;
    for (unsigned level = node->level; level > 0; level--) {
        void **slot = &((struct page *)node)->slots[slot_of(row, level)];

        node = *slot != NULL
                   ? swki_node_open(writer, *slot)
                   : (struct swki_node *)page_new(writer, (uint8_t)(level - 1));
        if (node == NULL) {
            return NULL;
        }
        *slot = node;
    }
    return (struct page *)node;
}

bool swki_rows_add(struct swki_writer *writer, struct swki_rows *rows,
                   struct swki_object *object)
{
    uint32_t row = rows->free > 0 ? rows->free - 1 : rows->size;
    struct page *leaf;

    if (row == UINT32_MAX) {
        return false;
    }
    while (!has_room(rows->root, row)) {
        if (!grow(writer, rows)) {
            return false;
        }
    }
    leaf = open_leaf(writer, rows, row);
    if (leaf == NULL) {
        return false;
    }
    if (rows->free > 0) {
        rows->free = (uint32_t)((uintptr_t)leaf->slots[row & MASK] >> 1);
    } else {
        rows->size++;
    }
    object->row = row;
    object->born = writer->epoch;
    leaf->slots[row & MASK] = object;
    rows->count++;
    return true;
}

static void discard(struct swki_writer *writer, struct swki_object *object)
{
    object->next = writer->garbage.objects;
    writer->garbage.objects = object;
}

bool swki_rows_replace(struct swki_writer *writer, struct swki_rows *rows,
                       uint32_t row, struct swki_object *object)
{
    struct page *leaf = open_leaf(writer, rows, row);

    if (leaf == NULL) {
        return false;
    }
    discard(writer, leaf->slots[row & MASK]);
    object->row = row;
    object->born = writer->epoch;
    leaf->slots[row & MASK] = object;
    return true;
}

bool swki_rows_remove(struct swki_writer *writer, struct swki_rows *rows,
                      uint32_t row)
{
    struct page *leaf = open_leaf(writer, rows, row);

    if (leaf == NULL) {
        return false;
    }
    discard(writer, leaf->slots[row & MASK]);
    leaf->slots[row & MASK] = (void *)(((uintptr_t)rows->free << 1) | 1);
    rows->free = row + 1;
    rows->count--;
    return true;
}

/* The slot of a row that the writer has changed before. */
static void **slot_at(const struct swki_rows *rows, uint32_t row)
{
    struct page *page = (struct page *)rows->root;

    for (unsigned level = page->node.level; level > 0; level--) {
        page = page->slots[slot_of(row, level)];
    }
    return &page->slots[row & MASK];
}

static struct swki_object *undiscard(struct swki_writer *writer)
{
    struct swki_object *object = writer->garbage.objects;

    writer->garbage.objects = object->next;
    return object;
}

struct swki_object *swki_rows_undo_add(struct swki_rows *rows, uint32_t row)
{
    void **slot = slot_at(rows, row);
    struct swki_object *added = *slot;

    *slot = (void *)(((uintptr_t)rows->free << 1) | 1);
    rows->free = row + 1;
    rows->count--;
    return added;
}

struct swki_object *swki_rows_undo_replace(struct swki_writer *writer,
                                           struct swki_rows *rows,
                                           uint32_t row)
{
    void **slot = slot_at(rows, row);
    struct swki_object *added = *slot;

    *slot = undiscard(writer);
    return added;
}

void swki_rows_undo_remove(struct swki_writer *writer, struct swki_rows *rows,
                           uint32_t row)
{
    void **slot = slot_at(rows, row);

    rows->free = (uint32_t)((uintptr_t)*slot >> 1);
    rows->count++;
    *slot = undiscard(writer);
}

void swki_rows_collect(struct swki_node *root, uint64_t epoch,
                       struct swki_garbage *garbage)
{
    struct page *page = (struct page *)root;

    if (page == NULL || page->node.born <= epoch) {
        return;
    }
    for (unsigned i = 0; i < WIDTH; i++) {
        void *slot = page->slots[i];
        struct swki_object *object = slot;

        if (page->node.level > 0) {
            swki_rows_collect(slot, epoch, garbage);
        } else if (slot != NULL && ((uintptr_t)slot & 1) == 0 &&
                   object->born > epoch) {
            object->next = garbage->objects;
            garbage->objects = object;
        }
    }
    page->node.next = garbage->nodes;
    garbage->nodes = &page->node;
}
