/* SPDX-License-Identifier: Apache-2.0 */

/* Finding: walks along an index, and lists of what no index finds in order. */

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/store/index.h"
#include "core/store/object_impl.h"
#include "core/store/view.h"

enum {
    NAME_SIZE = 1024,
};

/* What a cursor's state is. It either walks an index or has a list. */
struct walk {
    enum swki_kind kind;
    struct swki_key wanted;
    uint64_t generation; /* of the view, when the place below was found */
    const struct swki_tree_node *leaf; /* NULL at the end */
    unsigned pos;
    uint64_t last_key; /* of the entry that came last */
    const struct swki_object *last;
    const struct swki_object **list;
    size_t list_count;
    size_t list_size;
    size_t list_pos;
};

_Static_assert(sizeof(struct walk) <=
                   sizeof(((struct swki_cursor *)NULL)->state),
               "the walk must fit into the cursor");

static struct walk *walk_of(struct swki_cursor *cursor)
{
    return (struct walk *)(void *)cursor->state;
}

static const char *text(const char *value)
{
    return value != NULL ? value : "";
}

/* -- Walks along an index -------------------------------------------------- */

static bool walks_ids(const struct walk *walk)
{
    return !swki_index_has_keys(walk->kind, walk->wanted.by);
}

static const struct swki_tree *tree_of(const struct swki_table *table,
                                       const struct walk *walk)
{
    return walks_ids(walk) ? &table->ids : &table->keys;
}

static void walk_begin(const struct swki_view *view, struct walk *walk)
{
    const struct swki_table *table = &view->tables[walk->kind];
    const char *id = walk->wanted.by == SWKI_BY_ID_PREFIX
                         ? text(walk->wanted.text)
                         : "";
    uint64_t key = walks_ids(walk) ? swki_index_id_key(id)
                                   : swki_index_hash(&walk->wanted);

    walk->generation = view->generation;
    walk->last_key = key;
    walk->leaf = swki_tree_seek(tree_of(table, walk), &table->rows, key, id,
                                SWKI_SEEK_FROM, &walk->pos);
}

/* To the next entry, wherever a transaction may have moved it. */
static void walk_on(const struct swki_view *view, struct walk *walk)
{
    const struct swki_table *table = &view->tables[walk->kind];

    if (walk->generation == view->generation &&
        ++walk->pos < walk->leaf->node.count) {
        return;
    }
    walk->generation = view->generation;
    walk->leaf = swki_tree_seek(tree_of(table, walk), &table->rows,
                                walk->last_key, swki_object_id(walk->last),
                                SWKI_SEEK_AFTER, &walk->pos);
}

/* Whether the entry that was reached is still in the part of the tree that has
 * those wanted. */
static bool walk_in_range(const struct walk *walk, uint64_t key,
                          const struct swki_object *object)
{
    const char *prefix = text(walk->wanted.text);

    if (walk->wanted.by == SWKI_BY_ID_PREFIX) {
        return strncmp(swki_object_id(object), prefix, strlen(prefix)) == 0;
    }
    return walks_ids(walk) || key >> 32 == walk->last_key >> 32;
}

static bool walk_matches(const struct walk *walk,
                         const struct swki_object *object)
{
    return walk->wanted.by == SWKI_BY_ALL ||
           walk->wanted.by == SWKI_BY_ID_PREFIX ||
           swki_index_matches(object, &walk->wanted);
}

static const struct swki_object *walk_next(const struct swki_view *view,
                                           struct walk *walk)
{
    while (walk->leaf != NULL) {
        const struct swki_object *object;
        uint64_t key;

        if (walk->last != NULL) {
            walk_on(view, walk);
        } else if (walk->generation != view->generation) {
            walk_begin(view, walk);
        }
        if (walk->leaf == NULL) {
            break;
        }
        key = walk->leaf->keys[walk->pos];
        object = swki_rows_get(&view->tables[walk->kind].rows,
                               walk->leaf->rows[walk->pos]);
        if (!walk_in_range(walk, key, object)) {
            walk->leaf = NULL;
            break;
        }
        walk->last = object;
        walk->last_key = key;
        if (walk_matches(walk, object)) {
            return object;
        }
    }
    return NULL;
}

/* -- Lists ----------------------------------------------------------------- */

static bool list_add(const struct swk_alloc *alloc, struct walk *list,
                     const struct swki_object *object)
{
    if (list->list_count == list->list_size) {
        size_t size = list->list_size > 0 ? list->list_size * 2 : 16;
        const struct swki_object **items =
            swki_realloc(alloc, list->list, size, sizeof(*items));

        if (items == NULL) {
            return false;
        }
        list->list = items;
        list->list_size = size;
    }
    list->list[list->list_count++] = object;
    return true;
}

static int compare_texts(const char *a, const char *b)
{
    char buf_a[NAME_SIZE];
    char buf_b[NAME_SIZE];
    size_t i = 0;

    for (; i + 1 < NAME_SIZE && a[i] != '\0'; i++) {
        buf_a[i] = (char)(a[i] >= 'A' && a[i] <= 'Z' ? a[i] + 32 : a[i]);
    }
    buf_a[i] = '\0';
    for (i = 0; i + 1 < NAME_SIZE && b[i] != '\0'; i++) {
        buf_b[i] = (char)(b[i] >= 'A' && b[i] <= 'Z' ? b[i] + 32 : b[i]);
    }
    buf_b[i] = '\0';
    return strcmp(buf_a, buf_b);
}

static int compare_by_name(const void *a, const void *b)
{
    const struct swki_object *x = *(const struct swki_object *const *)a;
    const struct swki_object *y = *(const struct swki_object *const *)b;
    char name_x[NAME_SIZE];
    char name_y[NAME_SIZE];
    int order = compare_texts(swki_object_name(x, name_x, sizeof(name_x)),
                              swki_object_name(y, name_y, sizeof(name_y)));

    return order != 0 ? order : strcmp(swki_object_id(x), swki_object_id(y));
}

static bool has_name_prefix(const struct swki_object *object,
                            const char *prefix)
{
    char name[NAME_SIZE];

    if (swki_object_kind(object) == SWKI_KIND_NODE &&
        swki_node(object)->description == NULL) {
        return false;
    }
    return swki_text_begins(swki_object_name(object, name, sizeof(name)),
                            prefix);
}

/* The least value under the key that begins with the prefix, or NULL. */
static const char *custom_value(const struct swki_object *object,
                                const char *key, const char *prefix)
{
    const Swkpb__Annotations *annotations = swki_object_annotations(object);
    const char *least = NULL;

    for (size_t i = 0; annotations != NULL && i < annotations->n_indices;
         i++) {
        const char *value = text(annotations->indices[i]->val);

        if (strcmp(text(annotations->indices[i]->key), key) == 0 &&
            strncmp(value, prefix, strlen(prefix)) == 0 &&
            (least == NULL || strcmp(value, least) < 0)) {
            least = value;
        }
    }
    return least;
}

static int compare_by_custom(const void *a, const void *b, void *ctx)
{
    const struct swki_selector *selector = ctx;
    const struct swki_object *x = *(const struct swki_object *const *)a;
    const struct swki_object *y = *(const struct swki_object *const *)b;
    const char *key = text(selector->text);
    const char *prefix = text(selector->value);
    int order = strcmp(text(custom_value(x, key, prefix)),
                       text(custom_value(y, key, prefix)));

    return order != 0 ? order : strcmp(swki_object_id(x), swki_object_id(y));
}

/* Every object of a walk that has the prefix, in the order of what has it. */
static int list_prefix(const struct swki_view *view, struct walk *list,
                       const struct swki_selector *selector)
{
    bool by_name = selector->by == SWKI_BY_NAME_PREFIX;
    struct walk walk = {
        .kind = list->kind,
        .wanted = {.by = by_name ? SWKI_BY_ALL : SWKI_BY_CUSTOM_PREFIX,
                   .text = by_name ? "" : text(selector->text)},
    };
    const struct swki_object *object;

    walk_begin(view, &walk);
    while ((object = walk_next(view, &walk)) != NULL) {
        bool found = by_name ? has_name_prefix(object, text(selector->text))
                             : custom_value(object, text(selector->text),
                                            text(selector->value)) != NULL;

        if (found && !list_add(view->versions->alloc, list, object)) {
            return SWK_ENOMEM;
        }
    }
    if (list->list_count > 1 && by_name) {
        qsort(list->list, list->list_count, sizeof(list->list[0]),
              compare_by_name);
    } else if (list->list_count > 1) {
        qsort_r(list->list, list->list_count, sizeof(list->list[0]),
                compare_by_custom, (void *)selector);
    }
    return SWK_OK;
}

static int list_any(const struct swki_view *view, struct walk *list,
                    const struct swki_selector *selector, uint8_t *seen,
                    struct swk_error *err)
{
    for (size_t i = 0; i < selector->any_count; i++) {
        struct swki_cursor cursor;
        const struct swki_object *object;
        int rc = swki_view_find(view, list->kind, &selector->any[i], &cursor,
                                err);

        if (rc < 0) {
            return rc;
        }
        while (rc == SWK_OK && (object = swki_cursor_next(&cursor)) != NULL) {
            uint8_t bit = (uint8_t)(1u << (object->row % 8));

            if ((seen[object->row / 8] & bit) == 0 &&
                !list_add(view->versions->alloc, list, object)) {
                rc = swki_fail_nomem(err);
            }
            seen[object->row / 8] |= bit;
        }
        swki_cursor_close(&cursor);
        if (rc < 0) {
            return rc;
        }
    }
    return SWK_OK;
}

/* The union of the sub-selectors, in their order. */
static int list_union(const struct swki_view *view, struct walk *list,
                      const struct swki_selector *selector,
                      struct swk_error *err)
{
    const struct swk_alloc *alloc = view->versions->alloc;
    size_t rows = view->tables[list->kind].rows.size;
    uint8_t *seen = swki_calloc(alloc, rows / 8 + 1, 1);
    int rc;

    if (seen == NULL) {
        return swki_fail_nomem(err);
    }
    rc = list_any(view, list, selector, seen, err);
    swki_free(alloc, seen);
    return rc;
}

/* A transaction may have written since the list was made. */
static const struct swki_object *list_next(const struct swki_view *view,
                                           struct walk *list)
{
    while (list->list_pos < list->list_count) {
        const struct swki_object *object = list->list[list->list_pos++];

        if (list->generation != view->generation) {
            object = swki_view_get(view, list->kind, swki_object_id(object));
        }
        if (object != NULL) {
            return object;
        }
    }
    return NULL;
}

/* -- Cursors --------------------------------------------------------------- */

int swki_view_find(const struct swki_view *view, enum swki_kind kind,
                   const struct swki_selector *selector,
                   struct swki_cursor *out_cursor, struct swk_error *err)
{
    struct swki_cursor cursor = {.view = view};
    struct walk *walk = walk_of(&cursor);
    int rc = SWK_OK;

    if ((unsigned)kind >= SWKI_KINDS_COUNT ||
        !swki_index_allows(kind, selector->by)) {
        return swki_fail(err, SWK_EINVAL, "invalid find argument type");
    }
    *walk = (struct walk){
        .kind = kind,
        .wanted = swki_index_key(selector),
        .generation = view->generation,
    };
    if (selector->by == SWKI_BY_OR) {
        rc = list_union(view, walk, selector, err);
    } else if (selector->by == SWKI_BY_NAME_PREFIX ||
               selector->by == SWKI_BY_CUSTOM_PREFIX) {
        rc = list_prefix(view, walk, selector);
    } else {
        walk_begin(view, walk);
    }
    if (rc < 0) {
        swki_cursor_close(&cursor);
        return rc == SWK_ENOMEM ? swki_fail_nomem(err) : rc;
    }
    *out_cursor = cursor;
    return SWK_OK;
}

const struct swki_object *swki_cursor_next(struct swki_cursor *cursor)
{
    struct walk *walk = walk_of(cursor);

    return walk->list != NULL ? list_next(cursor->view, walk)
                              : walk_next(cursor->view, walk);
}

void swki_cursor_close(struct swki_cursor *cursor)
{
    struct walk *walk = walk_of(cursor);

    swki_free(cursor->view->versions->alloc, walk->list);
    walk->list = NULL;
}
