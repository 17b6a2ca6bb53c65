/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/tree.h"

#include <assert.h>
#include <string.h>

#include "core/store/object_impl.h"
#include "core/store/tree_impl.h"

enum {
    WIDTH = SWKI_TREE_WIDTH,
    HALF = WIDTH / 2,
    /* Neighbours are joined when both fit with room to spare; a node that was
     * just split is not joined again by the next removal. */
    JOINED_MAX = WIDTH * 3 / 4,
    /* Inner nodes have HALF children when they are made; 2^36 entries fit. */
    DEPTH_MAX = 16,
};

/* -- Nodes and garbage ----------------------------------------------------- */

struct swki_node *swki_node_open(struct swki_writer *writer,
                                 struct swki_node *node)
{
    struct swki_node *copy;

    if (node->born == writer->epoch) {
        return node;
    }
    copy = swki_pool_take(writer->pool, node->size);
    if (copy != NULL) {
        memcpy(copy, node, node->size);
        copy->born = writer->epoch;
        swki_node_discard(writer, node);
    }
    return copy;
}

void swki_node_discard(struct swki_writer *writer, struct swki_node *node)
{
    if (node->born == writer->epoch) {
        swki_pool_give(writer->pool, node); /* nobody else has seen it */
        return;
    }
    node->next = writer->garbage.nodes;
    writer->garbage.nodes = node;
}

void swki_garbage_free(struct swki_pool *pool, struct swki_garbage *garbage)
{
    while (garbage->nodes != NULL) {
        struct swki_node *node = garbage->nodes;

        garbage->nodes = node->next;
        swki_pool_give(pool, node);
    }
    while (garbage->objects != NULL) {
        struct swki_object *object = garbage->objects;

        garbage->objects = object->next;
        swki_object_unref(object);
    }
}

void swki_garbage_split(struct swki_garbage *garbage, uint64_t epoch,
                        struct swki_garbage *kept)
{
    struct swki_node **node = &garbage->nodes;
    struct swki_object **object = &garbage->objects;

    while (*node != NULL) {
        struct swki_node *moved = *node;

        if (moved->born > epoch) {
            node = &moved->next;
            continue;
        }
        *node = moved->next;
        moved->next = kept->nodes;
        kept->nodes = moved;
    }
    while (*object != NULL) {
        struct swki_object *moved = *object;

        if (moved->born > epoch) {
            object = &moved->next;
            continue;
        }
        *object = moved->next;
        moved->next = kept->objects;
        kept->objects = moved;
    }
}

void swki_tree_collect(struct swki_node *root, uint64_t epoch,
                       struct swki_garbage *garbage)
{
    struct swki_tree_node *node = (struct swki_tree_node *)root;

    if (node == NULL || node->node.born <= epoch) {
        return;
    }
    for (unsigned i = 0; node->node.level > 0 && i < node->node.count; i++) {
        swki_tree_collect(node->children[i], epoch, garbage);
    }
    node->node.next = garbage->nodes;
    garbage->nodes = &node->node;
}

static size_t node_size(unsigned level)
{
    return sizeof(struct swki_tree_node) +
           (level > 0 ? WIDTH * sizeof(struct swki_node *) : 0);
}

static struct swki_tree_node *node_new(const struct swki_writer *writer,
                                       unsigned level)
{
    struct swki_node *node = swki_pool_take(writer->pool, node_size(level));

    if (node != NULL) {
        node->born = writer->epoch;
        node->count = 0;
        node->level = (uint8_t)level;
    }
    return (struct swki_tree_node *)node;
}

static struct swki_tree_node *open_node(struct swki_writer *writer,
                                        struct swki_tree_node *node)
{
    return (struct swki_tree_node *)swki_node_open(writer, &node->node);
}

static struct swki_tree_node *child_at(const struct swki_tree_node *node,
                                       unsigned pos)
{
    return (struct swki_tree_node *)node->children[pos];
}

/* -- Searching ------------------------------------------------------------- */

/* What is looked for. */
struct probe {
    const struct swki_rows *rows;
    uint64_t key;
    const char *id;
    int past; /* 1 to find the place behind an equal entry, else 0 */
};

static int compare_ids(const struct probe *probe, uint32_t row)
{
    return strcmp(swki_object_id(swki_rows_get(probe->rows, row)), probe->id);
}

/* How many entries of the node are before the probe. All keys are read, as this
 * lets the processor fetch them at once; what a binary search reads next
 * depends on what it read before. */
static unsigned lower_bound(const struct swki_tree_node *node,
                            const struct probe *probe)
{
    unsigned count = node->node.count;
    unsigned pos = 0;

    for (unsigned i = 0; i < count; i++) {
        pos += node->keys[i] < probe->key;
    }
    while (pos < count && node->keys[pos] == probe->key &&
           compare_ids(probe, node->rows[pos]) < probe->past) {
        pos++;
    }
    return pos;
}

static bool is_at(const struct swki_tree_node *node, unsigned pos,
                  const struct probe *probe)
{
    return pos < node->node.count && node->keys[pos] == probe->key &&
           compare_ids(probe, node->rows[pos]) == 0;
}

/* The child that has the probe if any has. */
static unsigned child_of(const struct swki_tree_node *node,
                         const struct probe *probe)
{
    unsigned pos = lower_bound(node, probe);

    return pos > 0 && !is_at(node, pos, probe) ? pos - 1 : pos;
}

const struct swki_tree_node *swki_tree_seek(const struct swki_tree *tree,
                                            const struct swki_rows *rows,
                                            uint64_t key, const char *id,
                                            enum swki_seek seek,
                                            unsigned *out_pos)
{
    const struct probe probe = {
        .rows = rows,
        .key = key,
        .id = id,
        .past = seek == SWKI_SEEK_AFTER,
    };
    const struct swki_tree_node *node = tree->root;
    const struct swki_tree_node *after = NULL; /* the neighbour's subtree */

    if (node == NULL) {
        return NULL;
    }
    while (node->node.level > 0) {
        unsigned pos = child_of(node, &probe);

        if (pos + 1u < node->node.count) {
            after = child_at(node, pos + 1);
        }
        node = child_at(node, pos);
    }
    *out_pos = lower_bound(node, &probe);
    if (*out_pos < node->node.count) {
        return node;
    }
    *out_pos = 0;
    while (after != NULL && after->node.level > 0) {
        after = child_at(after, 0);
    }
    return after;
}

/* -- Changing nodes -------------------------------------------------------- */

/* Moves the entries from pos on by one, to make room or to close a gap. */
static void open_gap(struct swki_tree_node *node, unsigned pos)
{
    size_t count = node->node.count - pos;

    memmove(&node->keys[pos + 1], &node->keys[pos], count * sizeof(uint64_t));
    memmove(&node->rows[pos + 1], &node->rows[pos], count * sizeof(uint32_t));
    if (node->node.level > 0) {
        memmove(&node->children[pos + 1], &node->children[pos],
                count * sizeof(node->children[0]));
    }
    node->node.count++;
}

static void close_gap(struct swki_tree_node *node, unsigned pos)
{
    size_t count = node->node.count - pos - 1u;

    memmove(&node->keys[pos], &node->keys[pos + 1], count * sizeof(uint64_t));
    memmove(&node->rows[pos], &node->rows[pos + 1], count * sizeof(uint32_t));
    if (node->node.level > 0) {
        memmove(&node->children[pos], &node->children[pos + 1],
                count * sizeof(node->children[0]));
    }
    node->node.count--;
}

/* Copies entries of one node behind those of another. */
static void append(struct swki_tree_node *to, const struct swki_tree_node *from,
                   unsigned first, unsigned count)
{
    unsigned at = to->node.count;

    memcpy(&to->keys[at], &from->keys[first], count * sizeof(uint64_t));
    memcpy(&to->rows[at], &from->rows[first], count * sizeof(uint32_t));
    if (to->node.level > 0) {
        memcpy(&to->children[at], &from->children[first],
               count * sizeof(to->children[0]));
    }
    to->node.count = (uint16_t)(at + count);
}

/* Sets the separator of a child to its first entry. */
static void refresh(struct swki_tree_node *parent, unsigned pos)
{
    const struct swki_tree_node *child = child_at(parent, pos);

    parent->keys[pos] = child->keys[0];
    parent->rows[pos] = child->rows[0];
}

/* Splits a full child; both nodes are writable, the parent has room. */
static bool split_child(struct swki_writer *writer,
                        struct swki_tree_node *parent, unsigned pos)
{
    struct swki_tree_node *child = child_at(parent, pos);
    struct swki_tree_node *right = node_new(writer, child->node.level);

    if (right == NULL) {
        return false;
    }
    append(right, child, HALF, child->node.count - HALF);
    child->node.count = HALF;
    open_gap(parent, pos + 1);
    parent->children[pos + 1] = &right->node;
    refresh(parent, pos + 1);
    return true;
}

/* A writable root with room for one more entry. */
static struct swki_tree_node *open_root(struct swki_writer *writer,
                                        struct swki_tree *tree)
{
    struct swki_tree_node *root;

    if (tree->root == NULL) {
        tree->root = node_new(writer, 0);
        return tree->root;
    }
    root = open_node(writer, tree->root);
    if (root == NULL) {
        return NULL;
    }
    tree->root = root;
    if (root->node.count < WIDTH) {
        return root;
    }
    root = node_new(writer, root->node.level + 1u);
    if (root == NULL) {
        return NULL;
    }
    root->node.count = 1;
    root->children[0] = &tree->root->node;
    refresh(root, 0);
    if (!split_child(writer, root, 0)) {
        swki_pool_give(writer->pool, &root->node);
        return NULL;
    }
    tree->root = root;
    return root;
}

/* Opens the child for the probe, splitting it if it is full. */
static struct swki_tree_node *open_child(struct swki_writer *writer,
                                         struct swki_tree_node *node,
                                         const struct probe *probe,
                                         unsigned *out_pos)
{
    unsigned pos = child_of(node, probe);
    struct swki_tree_node *child = open_node(writer, child_at(node, pos));

    if (child == NULL) {
        return NULL;
    }
    node->children[pos] = &child->node;
    if (child->node.count == WIDTH) {
        if (!split_child(writer, node, pos)) {
            return NULL;
        }
        pos = child_of(node, probe);
    }
    *out_pos = pos;
    return child_at(node, pos);
}

bool swki_tree_insert(struct swki_writer *writer, struct swki_tree *tree,
                      const struct swki_rows *rows, uint64_t key, uint32_t row)
{
    const struct probe probe = {
        .rows = rows,
        .key = key,
        .id = swki_object_id(swki_rows_get(rows, row)),
    };
    struct swki_tree_node *node = open_root(writer, tree);
    unsigned pos;

    while (node != NULL && node->node.level > 0) {
        struct swki_tree_node *child =
            open_child(writer, node, &probe, &pos);

        if (child != NULL && pos == 0 && lower_bound(child, &probe) == 0) {
            node->keys[0] = key; /* it becomes the first entry below */
            node->rows[0] = row;
        }
        node = child;
    }
    if (node == NULL) {
        return false;
    }
    pos = lower_bound(node, &probe);
    if (!is_at(node, pos, &probe)) {
        open_gap(node, pos);
        node->keys[pos] = key;
        node->rows[pos] = row;
    }
    return true;
}

/* Joins a child with a neighbour if the two are small. Failing to make the
 * neighbour writable leaves them apart, which is no error. */
static void join_child(struct swki_writer *writer,
                       struct swki_tree_node *parent, unsigned pos)
{
    struct swki_tree_node *left;
    struct swki_tree_node *right;

    if (pos + 1u == parent->node.count) {
        if (pos == 0) {
            return;
        }
        pos--;
    }
    left = child_at(parent, pos);
    right = child_at(parent, pos + 1);
    if (left->node.count + right->node.count > JOINED_MAX) {
        return;
    }
    left = open_node(writer, left);
    if (left == NULL) {
        return;
    }
    parent->children[pos] = &left->node;
    append(left, right, 0, right->node.count);
    swki_node_discard(writer, &right->node);
    close_gap(parent, pos + 1);
}

/* After a removal below: the child may have gone, shrunk, or begin later. */
static void repair(struct swki_writer *writer, struct swki_tree_node *parent,
                   unsigned pos)
{
    struct swki_tree_node *child = child_at(parent, pos);

    if (child->node.count == 0) {
        swki_node_discard(writer, &child->node);
        close_gap(parent, pos);
        return;
    }
    refresh(parent, pos);
    if (child->node.count < HALF / 2) {
        join_child(writer, parent, pos);
    }
}

static void shrink_root(struct swki_writer *writer, struct swki_tree *tree)
{
    while (tree->root->node.level > 0 && tree->root->node.count == 1) {
        struct swki_tree_node *child = child_at(tree->root, 0);

        swki_node_discard(writer, &tree->root->node);
        tree->root = child;
    }
    if (tree->root->node.count == 0) {
        swki_node_discard(writer, &tree->root->node);
        tree->root = NULL;
    }
}

bool swki_tree_remove(struct swki_writer *writer, struct swki_tree *tree,
                      const struct swki_rows *rows, uint64_t key, uint32_t row)
{
    const struct probe probe = {
        .rows = rows,
        .key = key,
        .id = swki_object_id(swki_rows_get(rows, row)),
    };
    struct swki_tree_node *path[DEPTH_MAX];
    unsigned at[DEPTH_MAX];
    unsigned depth = 0;
    struct swki_tree_node *node;
    unsigned pos;

    assert(tree->root != NULL);
    node = open_node(writer, tree->root);
    if (node == NULL) {
        return false;
    }
    tree->root = node;
    while (node->node.level > 0) {
        path[depth] = node;
        at[depth] = child_of(node, &probe);
        node = open_node(writer, child_at(node, at[depth]));
        if (node == NULL) {
            return false;
        }
        path[depth]->children[at[depth]] = &node->node;
        depth++;
    }
    pos = lower_bound(node, &probe);
    assert(is_at(node, pos, &probe));
    close_gap(node, pos);
    while (depth-- > 0) {
        repair(writer, path[depth], at[depth]);
    }
    shrink_root(writer, tree);
    return true;
}

/* -- Checking -------------------------------------------------------------- */

static bool check_node(const struct swki_tree_node *node,
                       const struct swki_rows *rows, size_t *entries)
{
    for (unsigned i = 0; i + 1u < node->node.count; i++) {
        const struct probe next = {
            .rows = rows,
            .key = node->keys[i + 1],
            .id = swki_object_id(swki_rows_get(rows, node->rows[i + 1])),
        };

        if (node->keys[i] > next.key ||
            (node->keys[i] == next.key &&
             compare_ids(&next, node->rows[i]) >= 0)) {
            return false;
        }
    }
    if (node->node.level == 0) {
        *entries += node->node.count;
        return node->node.count > 0;
    }
    for (unsigned i = 0; i < node->node.count; i++) {
        const struct swki_tree_node *child = child_at(node, i);

        if (child->node.level + 1u != node->node.level ||
            child->keys[0] != node->keys[i] ||
            child->rows[0] != node->rows[i] ||
            !check_node(child, rows, entries)) {
            return false;
        }
    }
    return node->node.count > 0;
}

bool swki_tree_check(const struct swki_tree *tree,
                     const struct swki_rows *rows, size_t *out_entries)
{
    *out_entries = 0;
    return tree->root == NULL || check_node(tree->root, rows, out_entries);
}
