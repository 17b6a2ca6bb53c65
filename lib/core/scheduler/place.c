/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The preferences make a tree: each level splits by the value of one label,
 * and leaves hold nodes. A task goes down to the branch with the fewest tasks
 * of its service that has room; one after the other, that raises the lowest
 * branches to a common level. In a leaf the nodes that pass the filters are a
 * heap, best first, so a placement costs the logarithm of the nodes.
 */

#include "core/scheduler/place.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "core/store/task.h"

enum {
    LEVELS_MAX = 16, /* preferences beyond these are ignored */
};

struct candidate {
    struct swki_table_node *node;
    uint32_t failures;
    uint64_t order; /* breaks ties, differently for each service */
};

struct branch {
    const char *value; /* of the label */
    struct branch *next;
    struct branch *children;
    uint64_t count; /* tasks of the service below */
    uint64_t order;
    bool full;
    struct candidate *heap; /* of a leaf */
    size_t heap_count;
    size_t heap_size;
};

struct level {
    enum swki_constraint_key key;
    const char *label;
};

struct swki_place {
    const struct swki_table *table;
    const struct swki_sieve *sieve;
    struct swki_arena arena;
    struct level levels[LEVELS_MAX];
    size_t levels_count;
    struct branch root;
    struct branch *leaf; /* the last task went there: its top is stale */
};

/* -- Order ---------------------------------------------------------------- */

static uint64_t hash_pair(const char *service_id, const char *text)
{
    const char *const parts[] = {service_id, "/", text};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (const char *c = parts[i]; *c != '\0'; c++) {
            hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
        }
    }
    hash ^= hash >> 31;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static bool better(const struct swki_place *place, const struct candidate *a,
                   const struct candidate *b)
{
    const struct swki_table_service *service = place->sieve->service;
    uint32_t count_a = swki_table_count(service, a->node);
    uint32_t count_b = swki_table_count(service, b->node);

    if ((a->failures >= SWKI_FAILURES_MARK ||
         b->failures >= SWKI_FAILURES_MARK) &&
        a->failures != b->failures) {
        return a->failures < b->failures;
    }
    if (count_a != count_b) {
        return count_a < count_b;
    }
    if (a->node->active != b->node->active) {
        return a->node->active < b->node->active;
    }
    if (a->order != b->order) {
        return a->order < b->order;
    }
    return strcmp(a->node->id, b->node->id) < 0;
}

/* -- Heaps ---------------------------------------------------------------- */

static void sink(const struct swki_place *place, struct branch *leaf, size_t i)
{
    struct candidate moved = leaf->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= leaf->heap_count) {
            break;
        }
        if (child + 1 < leaf->heap_count &&
            better(place, &leaf->heap[child + 1], &leaf->heap[child])) {
            child++;
        }
        if (!better(place, &leaf->heap[child], &moved)) {
            break;
        }
        leaf->heap[i] = leaf->heap[child];
        i = child;
    }
    leaf->heap[i] = moved;
}

static void heapify(const struct swki_place *place, struct branch *leaf)
{
    for (size_t i = leaf->heap_count / 2; i-- > 0;) {
        sink(place, leaf, i);
    }
}

static void drop_top(const struct swki_place *place, struct branch *leaf)
{
    leaf->heap[0] = leaf->heap[--leaf->heap_count];
    if (leaf->heap_count > 0) {
        sink(place, leaf, 0);
    }
}

static bool add_candidate(struct swki_place *place, struct branch *leaf,
                          const struct candidate *candidate)
{
    size_t size = leaf->heap_size * 2 + 8;
    struct candidate *more;

    if (leaf->heap_count == leaf->heap_size) {
        more = swki_arena_alloc(&place->arena, size * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        if (leaf->heap_count > 0) {
            memcpy(more, leaf->heap, leaf->heap_count * sizeof(*more));
        }
        leaf->heap = more;
        leaf->heap_size = size;
    }
    leaf->heap[leaf->heap_count++] = *candidate;
    return true;
}

/* -- The tree ------------------------------------------------------------- */

static void read_levels(struct swki_place *place)
{
    const Swkpb__TaskSpec *spec = place->sieve->task->spec;
    const Swkpb__Placement *placement = spec != NULL ? spec->placement : NULL;

    for (size_t i = 0; placement != NULL && i < placement->n_preferences &&
                       place->levels_count < LEVELS_MAX;
         i++) {
        const Swkpb__PlacementPreference *one = placement->preferences[i];
        struct level *level = &place->levels[place->levels_count];

        if (one->preference_case !=
            SWKPB__PLACEMENT_PREFERENCE__PREFERENCE_SPREAD) {
            continue;
        }
        level->key =
            swki_label_key(one->spread->spread_descriptor, &level->label);
        if (level->key != SWKI_CONSTRAINT_UNKNOWN) {
            place->levels_count++;
        }
    }
}

static struct branch *find_child(struct swki_place *place,
                                 struct branch *branch, const char *value)
{
    struct branch *child = branch->children;

    while (child != NULL && strcmp(child->value, value) != 0) {
        child = child->next;
    }
    if (child != NULL) {
        return child;
    }
    child = swki_arena_calloc(&place->arena, 1, sizeof(*child));
    if (child != NULL) {
        child->value = value;
        child->order = hash_pair(place->sieve->service->id, value);
        child->next = branch->children;
        branch->children = child;
    }
    return child;
}

/* The node's leaf; counts its tasks on the way down, suitable or not. */
static struct branch *find_leaf(struct swki_place *place,
                                const struct swki_table_node *node)
{
    uint32_t count = swki_table_count(place->sieve->service, node);
    const Swkpb__Node *n = swki_node(node->object);
    struct branch *branch = &place->root;

    branch->count += count;
    for (size_t i = 0; branch != NULL && i < place->levels_count; i++) {
        const struct level *level = &place->levels[i];

        branch = find_child(place, branch,
                            level->key == SWKI_CONSTRAINT_NODE_LABEL
                                ? swki_node_label(n, level->label)
                                : swki_engine_label(n, level->label));
        if (branch != NULL) {
            branch->count += count;
        }
    }
    return branch;
}

static bool weigh(struct swki_place *place, struct swki_table_node *node,
                  swk_time now, uint32_t refusals[SWKI_FILTERS_COUNT])
{
    const struct swki_table_service *service = place->sieve->service;
    struct branch *leaf = find_leaf(place, node);
    enum swki_filter refusal = swki_sieve_check(place->sieve, node);
    struct candidate candidate = {
        .node = node,
        .failures = swki_table_failures(
            service, node, swki_task_spec_version(place->sieve->task), now),
        .order = hash_pair(service->id, node->id),
    };

    if (leaf == NULL) {
        return false;
    }
    if (refusal != SWKI_FILTERS_COUNT) {
        refusals[refusal]++;
        return true;
    }
    return add_candidate(place, leaf, &candidate);
}

static void heapify_all(struct swki_place *place, struct branch *branch)
{
    struct branch *child;

    heapify(place, branch);
    for (child = branch->children; child != NULL; child = child->next) {
        heapify_all(place, child);
    }
}

struct swki_place *swki_place_new(const struct swki_table *table,
                                  const struct swki_sieve *sieve, swk_time now,
                                  uint32_t refusals[SWKI_FILTERS_COUNT])
{
    struct swki_place *place = swki_calloc(table->alloc, 1, sizeof(*place));

    if (place == NULL) {
        return NULL;
    }
    place->table = table;
    place->sieve = sieve;
    swki_arena_init(&place->arena, table->alloc, SIZE_MAX);
    memset(refusals, 0, SWKI_FILTERS_COUNT * sizeof(*refusals));
    read_levels(place);
    for (uint32_t i = 0; i < table->indexes_count; i++) {
        if (table->by_index[i] != NULL &&
            !weigh(place, table->by_index[i], now, refusals)) {
            swki_place_free(place);
            return NULL;
        }
    }
    heapify_all(place, &place->root);
    return place;
}

void swki_place_free(struct swki_place *place)
{
    if (place != NULL) {
        swki_arena_fini(&place->arena);
        swki_free(place->table->alloc, place);
    }
}

/* -- Choosing ------------------------------------------------------------- */

/* The child with the fewest tasks that is not known to be full. */
static struct branch *lowest_child(const struct branch *branch)
{
    struct branch *best = NULL;
    struct branch *child;

    for (child = branch->children; child != NULL; child = child->next) {
        if (child->full) {
            continue;
        }
        if (best == NULL || child->count < best->count ||
            (child->count == best->count && child->order < best->order)) {
            best = child;
        }
    }
    return best;
}

/* Whether the leaf has a node at its top that still passes. */
static bool settle_leaf(struct swki_place *place, struct branch *leaf)
{
    while (leaf->heap_count > 0 &&
           !swki_sieve_recheck(place->sieve, leaf->heap[0].node)) {
        drop_top(place, leaf);
    }
    return leaf->heap_count > 0;
}

/* The leaf the next task goes to, or NULL. Branches found full on the way are
 * marked, and the walk begins again from the top. */
static struct branch *choose_leaf(struct swki_place *place)
{
    while (!place->root.full) {
        struct branch *branch = &place->root;
        struct branch *child = NULL;

        for (size_t i = 0; i < place->levels_count; i++) {
            child = lowest_child(branch);
            if (child == NULL) {
                break;
            }
            branch = child;
        }
        if ((place->levels_count == 0 || child != NULL) &&
            settle_leaf(place, branch)) {
            return branch;
        }
        branch->full = true;
    }
    return NULL;
}

/* The counts on the way to the leaf of a node that got a task. */
static void count_one(struct swki_place *place,
                      const struct swki_table_node *node)
{
    const Swkpb__Node *n = swki_node(node->object);
    struct branch *branch = &place->root;

    branch->count++;
    for (size_t i = 0; i < place->levels_count; i++) {
        const struct level *level = &place->levels[i];
        const char *value = level->key == SWKI_CONSTRAINT_NODE_LABEL
                                ? swki_node_label(n, level->label)
                                : swki_engine_label(n, level->label);

        branch = find_child(place, branch, value);
        branch->count++;
    }
}

struct swki_table_node *swki_place_next(struct swki_place *place)
{
    struct branch *leaf = place->leaf;

    if (leaf != NULL && leaf->heap_count > 0) {
        sink(place, leaf, 0); /* it has one more task now */
    }
    leaf = choose_leaf(place);
    place->leaf = leaf;
    if (leaf == NULL) {
        return NULL;
    }
    count_one(place, leaf->heap[0].node);
    return leaf->heap[0].node;
}
