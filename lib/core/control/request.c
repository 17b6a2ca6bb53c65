/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/request.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "wire/message.h"

const struct swki_view *swki_control_view(const struct swki_control_request *r)
{
    return swki_store_committed(r->config->store);
}

int swki_control_find(const struct swki_view *view, enum swki_kind kind,
                      const char *id, const struct swki_object **out_object,
                      struct swk_error *err)
{
    if (id == NULL || id[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "%s ID is missing",
                         swki_kind_name(kind));
    }

    const struct swki_object *object = swki_view_get(view, kind, id);
    if (object == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "%s %.64s not found",
                         swki_kind_name(kind), id);
    }
    *out_object = object;
    return SWK_OK;
}

int swki_control_name_free(const struct swki_view *view, enum swki_kind kind,
                           const char *name, struct swk_error *err)
{
    const struct swki_selector selector = {.by = SWKI_BY_NAME, .text = name};
    struct swki_cursor cursor;
    int rc = swki_view_find(view, kind, &selector, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (swki_cursor_next(&cursor) != NULL) {
        rc = swki_fail(err, SWK_EEXIST,
                       "name conflicts with an existing object: %s %s already "
                       "exists",
                       swki_kind_name(kind), name);
    }
    swki_cursor_close(&cursor);
    return rc;
}

static bool add(struct swki_control_request *r, struct swki_found *found,
                const void *message)
{
    if (found->count == found->size) {
        size_t size = found->size == 0 ? 16 : found->size * 2;
        void **items = swki_arena_calloc(r->arena, size, sizeof(*items));

        if (items == NULL) {
            return false;
        }
        if (found->count > 0) {
            memcpy(items, found->items, found->count * sizeof(*items));
        }
        found->items = items;
        found->size = size;
    }
    /* Encoding only reads it. */
    found->items[found->count++] = (void *)(uintptr_t)message;
    return true;
}

int swki_control_list(struct swki_control_request *r, enum swki_kind kind,
                      const struct swki_selector *selector,
                      swki_control_pick pick, const void *filters,
                      struct swki_found *out_found, struct swk_error *err)
{
    struct swki_found found = {0};
    struct swki_cursor cursor;

    if (selector == NULL) {
        return swki_fail_nomem(err);
    }
    int rc = swki_view_find(swki_control_view(r), kind, selector, &cursor, err);
    if (rc != SWK_OK) {
        return rc;
    }

    const struct swki_object *object = swki_cursor_next(&cursor);
    while (rc == SWK_OK && object != NULL) {
        const void *message = NULL;

        rc = pick(r, object, filters, &message);
        if (rc == SWK_OK && message != NULL && !add(r, &found, message)) {
            rc = SWK_ENOMEM;
        }
        object = swki_cursor_next(&cursor);
    }
    swki_cursor_close(&cursor);
    if (rc != SWK_OK) {
        return swki_fail_nomem(err);
    }
    *out_found = found;
    return SWK_OK;
}

const struct swki_selector *
swki_control_any_of(struct swki_control_request *r, enum swki_by by,
                    struct swki_texts texts)
{
    struct swki_selector *all =
        swki_arena_calloc(r->arena, texts.count + 1, sizeof(*all));

    if (all == NULL) {
        return NULL;
    }
    all[0] = (struct swki_selector){
        .by = SWKI_BY_OR, .any = all + 1, .any_count = texts.count};
    for (size_t i = 0; i < texts.count; i++) {
        all[i + 1] = (struct swki_selector){.by = by, .text = texts.items[i]};
    }
    return all;
}

const struct swki_selector *
swki_control_plan(struct swki_control_request *r,
                  const struct swki_filter *filter)
{
    static const struct swki_selector all = {.by = SWKI_BY_ALL};

    if (filter->id_prefixes.count > 0) {
        return swki_control_any_of(r, SWKI_BY_ID_PREFIX, filter->id_prefixes);
    }
    if (filter->names.count > 0) {
        return swki_control_any_of(r, SWKI_BY_NAME, filter->names);
    }
    if (filter->name_prefixes.count > 0) {
        return swki_control_any_of(r, SWKI_BY_NAME_PREFIX,
                                   filter->name_prefixes);
    }
    return &all;
}

int swki_control_begin(struct swki_control_request *r, struct swki_tx **out_tx,
                       struct swk_error *err)
{
    struct swki_tx *tx =
        swki_store_begin(r->config->store, SWKI_ACTOR_CONTROL, r->wall);

    if (tx == NULL) {
        return swki_fail_nomem(err);
    }
    *out_tx = tx;
    return SWK_OK;
}

char *swki_control_new_id(struct swki_control_request *r,
                          struct swki_object *object)
{
    char id[SWK_ID_LEN + 1];

    swki_rng_id(r->rng, id);
    return swki_arena_strdup(swki_object_arena(object), id);
}

Swkpb__Version *swki_control_version(struct swki_object *object, uint64_t index)
{
    Swkpb__Version *version =
        swki_arena_alloc(swki_object_arena(object), sizeof(*version));

    if (version != NULL) {
        swkpb__version__init(version);
        version->index = index;
    }
    return version;
}

int swki_control_claim_version(struct swki_object *object,
                               Swkpb__Meta **meta_field,
                               const Swkpb__Version *version,
                               struct swk_error *err)
{
    Swkpb__Meta *meta = swki_object_own(object, meta_field);

    if (meta == NULL) {
        return swki_fail_nomem(err);
    }
    meta->version = swki_control_version(object, version->index);
    return meta->version != NULL ? SWK_OK : swki_fail_nomem(err);
}

int swki_control_carry(const struct swki_control_request *r,
                       struct swki_tx *tx, const char *object_id,
                       struct swk_error *err)
{
    return r->key != NULL ? swki_tx_set_request(tx, r->key, object_id, err)
                          : SWK_OK;
}

int swki_control_store(struct swki_control_request *r, struct swki_tx *tx,
                       struct swki_object *object, enum swki_change change,
                       const struct swki_object **out_object,
                       uint64_t *out_index, struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(object);
    char id[SWK_ID_LEN_MAX + 1];
    int rc;

    snprintf(id, sizeof(id), "%s", swki_object_id(object));
    rc = change == SWKI_CHANGE_CREATE ? swki_tx_create(tx, object, err)
                                      : swki_tx_update(tx, object, err);
    if (rc == SWK_OK) {
        rc = swki_control_carry(r, tx, id, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_tx_commit(tx, NULL, NULL, out_index, err);
    if (rc != SWK_OK) {
        return rc;
    }
    *out_object = swki_view_get(swki_store_head(r->config->store), kind, id);
    return *out_object != NULL
               ? SWK_OK
               : swki_fail(err, SWK_EINTERNAL, "%s %s is not in the store",
                           swki_kind_name(kind), id);
}

int swki_control_delete(struct swki_control_request *r, struct swki_tx *tx,
                        enum swki_kind kind, const char *id,
                        uint64_t *out_index, struct swk_error *err)
{
    int rc = swki_tx_delete(tx, kind, id, err);

    if (rc == SWK_OK) {
        rc = swki_control_carry(r, tx, id, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, out_index, err);
}

void swki_control_reply(struct swki_control_request *r,
                        const ProtobufCMessage *message, uint64_t index)
{
    swki_answer_reply(r->answers, r->call->id, message, index);
}
