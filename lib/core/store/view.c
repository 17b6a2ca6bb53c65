/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/view.h"

#include <string.h>

#include "base/alloc.h"
#include "core/store/index.h"

static struct swki_view *view_of(struct swki_link *link)
{
    return SWKI_CONTAINER(link, struct swki_view, link);
}

bool swki_versions_init(struct swki_versions *versions,
                        const struct swk_alloc *alloc,
                        struct swki_view **out_first)
{
    struct swki_view *first = swki_calloc(alloc, 1, sizeof(*first));

    if (first == NULL) {
        return false;
    }
    *versions = (struct swki_versions){.alloc = alloc, .epoch = 1};
    atomic_init(&versions->dead, 0);
    swki_pool_init(&versions->pool, alloc);
    swki_list_init(&versions->list);
    atomic_init(&first->refs, 1);
    first->versions = versions;
    first->epoch = 1;
    swki_list_append(&versions->list, &first->link);
    *out_first = first;
    return true;
}

/* All that a version has and an older one of the epoch has not. */
static void collect(struct swki_view *view, uint64_t epoch,
                    struct swki_garbage *garbage)
{
    for (int kind = 0; kind < SWKI_KINDS_COUNT; kind++) {
        struct swki_table *table = &view->tables[kind];

        swki_rows_collect(table->rows.root, epoch, garbage);
        swki_tree_collect((struct swki_node *)table->ids.root, epoch,
                          garbage);
        swki_tree_collect((struct swki_node *)table->keys.root, epoch,
                          garbage);
    }
}

void swki_versions_fini(struct swki_versions *versions, struct swki_view *last)
{
    swki_versions_sweep(versions);
    swki_garbage_free(&versions->pool, &last->garbage);
    collect(last, 0, &last->garbage);
    swki_garbage_free(&versions->pool, &last->garbage);
    swki_pool_fini(&versions->pool);
    swki_free(versions->alloc, last);
}

struct swki_view *swki_versions_fork(struct swki_versions *versions,
                                     const struct swki_view *base)
{
    struct swki_view *fork = swki_alloc(versions->alloc, sizeof(*fork));

    if (fork != NULL) {
        *fork = (struct swki_view){
            .versions = versions,
            .epoch = ++versions->epoch,
        };
        atomic_init(&fork->index, swki_view_index(base));
        memcpy(fork->tables, base->tables, sizeof(fork->tables));
        atomic_init(&fork->refs, 1);
    }
    return fork;
}

void swki_versions_add(struct swki_versions *versions, struct swki_view *fork,
                       struct swki_garbage *garbage)
{
    struct swki_view *before = view_of(versions->list.prev);

    swki_garbage_split(garbage, UINT64_MAX, &before->garbage);
    swki_list_append(&versions->list, &fork->link);
}

void swki_versions_drop(struct swki_versions *versions, struct swki_view *fork,
                        struct swki_garbage *garbage)
{
    struct swki_garbage still_used = {0};

    swki_garbage_split(garbage, fork->epoch - 1, &still_used);
    swki_garbage_free(&versions->pool, garbage);
    collect(fork, fork->epoch - 1, garbage);
    swki_garbage_free(&versions->pool, garbage);
    swki_free(versions->alloc, fork);
}

void swki_versions_revert(struct swki_versions *versions,
                          struct swki_view *base, struct swki_view *tip)
{
    struct swki_garbage still_used = {0};

    if (base == tip) {
        return;
    }
    for (struct swki_link *link = &base->link; link != &versions->list;
         link = link->next) {
        swki_garbage_split(&view_of(link)->garbage, base->epoch, &still_used);
    }
    collect(tip, base->epoch, &view_of(versions->list.prev)->garbage);
}

static void release(struct swki_versions *versions, struct swki_view *view)
{
    struct swki_link *before = view->link.prev;

    if (before != &versions->list) {
        swki_garbage_split(&view->garbage, view_of(before)->epoch,
                           &view_of(before)->garbage);
    }
    swki_garbage_free(&versions->pool, &view->garbage);
    swki_list_remove(&view->link);
    swki_free(versions->alloc, view);
}

void swki_versions_sweep(struct swki_versions *versions)
{
    unsigned dead =
        atomic_load_explicit(&versions->dead, memory_order_acquire);
    struct swki_link *link = versions->list.next;
    unsigned found = 0;

    while (found < dead && link != &versions->list) {
        struct swki_view *view = view_of(link);

        link = link->next;
        if (atomic_load_explicit(&view->refs, memory_order_acquire) == 0) {
            release(versions, view);
            found++;
        }
    }
    atomic_fetch_sub_explicit(&versions->dead, found, memory_order_relaxed);
}

/* -- For readers ----------------------------------------------------------- */

const struct swki_view *swki_view_ref(const struct swki_view *view)
{
    struct swki_view *counted = (struct swki_view *)view;

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return view;
}

void swki_view_unref(const struct swki_view *view)
{
    struct swki_view *counted = (struct swki_view *)view;
    struct swki_versions *versions;

    if (view == NULL) {
        return;
    }
    versions = view->versions;
    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) ==
        1) {
        atomic_fetch_add_explicit(&versions->dead, 1, memory_order_release);
    }
}

uint64_t swki_view_index(const struct swki_view *view)
{
    return atomic_load_explicit(&((struct swki_view *)view)->index,
                                memory_order_relaxed);
}

size_t swki_view_count(const struct swki_view *view, enum swki_kind kind)
{
    return view->tables[kind].rows.count;
}

const struct swki_object *swki_view_get(const struct swki_view *view,
                                        enum swki_kind kind, const char *id)
{
    const struct swki_table *table = &view->tables[kind];
    const struct swki_tree_node *leaf;
    const struct swki_object *object;
    unsigned pos;

    leaf = swki_tree_seek(&table->ids, &table->rows, swki_index_id_key(id), id,
                          SWKI_SEEK_FROM, &pos);
    if (leaf == NULL) {
        return NULL;
    }
    object = swki_rows_get(&table->rows, leaf->rows[pos]);
    return strcmp(swki_object_id(object), id) == 0 ? object : NULL;
}
