/* SPDX-License-Identifier: Apache-2.0 */

/* Configs: small files that services read, and that are no secrets. */

#include <string.h>

#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/handlers.h"
#include "core/control/references.h"
#include "core/control/validate.h"
#include "wire/message.h"

int swki_control_get_config(struct swki_control_request *r, const void *request,
                            struct swk_error *err)
{
    const Swkpb__GetConfigRequest *get = request;
    Swkpb__GetConfigResponse reply = SWKPB__GET_CONFIG_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_CONFIG,
                               get->config_id, &object, err);

    if (rc != SWK_OK) {
        return rc;
    }
    reply.config = (Swkpb__Config *)(uintptr_t)swki_config(object);
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

static struct swki_filter
filter_of(const Swkpb__ListConfigsRequest__Filters *filters)
{
    if (filters == NULL) {
        return (struct swki_filter){0};
    }
    return (struct swki_filter){
        .names = SWKI_TEXTS(filters, names),
        .name_prefixes = SWKI_TEXTS(filters, name_prefixes),
        .id_prefixes = SWKI_TEXTS(filters, id_prefixes),
        .labels = SWKI_LABELS(filters, labels),
    };
}

static int pick_config(struct swki_control_request *r,
                       const struct swki_object *object, const void *filter,
                       const void **out_message)
{
    const Swkpb__Config *config = swki_config(object);
    const Swkpb__Annotations *a =
        config->spec != NULL ? config->spec->annotations : NULL;

    if (swki_filter_any(filter, config->id, swki_annotations_name(a),
                        swki_annotations_labels(a))) {
        *out_message = config;
    }
    return SWK_OK;
}

int swki_control_list_configs(struct swki_control_request *r,
                              const void *request, struct swk_error *err)
{
    const Swkpb__ListConfigsRequest *list = request;
    static const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_filter filter = filter_of(list->filters);
    Swkpb__ListConfigsResponse reply = SWKPB__LIST_CONFIGS_RESPONSE__INIT;
    struct swki_found found;
    int rc = swki_control_list(r, SWKI_KIND_CONFIG, &all, pick_config, &filter,
                               &found, err);

    if (rc == SWK_OK) {
        reply.n_configs = found.count;
        reply.configs = (Swkpb__Config **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}

static int check_spec(const Swkpb__ConfigSpec *spec, struct swk_error *err)
{
    if (spec == NULL) {
        return swki_fail(err, SWK_EINVAL, "a config's spec must be given");
    }

    int rc = swki_validate_payload_name(
        "config", swki_annotations_name(spec->annotations), err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (spec->data.len == 0 || spec->data.len > SWKI_CONFIG_SIZE_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "a config's data has 1 to %d bytes",
                         SWKI_CONFIG_SIZE_MAX);
    }
    return SWK_OK;
}

static int make_config(struct swki_control_request *r,
                       const Swkpb__ConfigSpec *spec,
                       struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object =
        swki_object_new(r->config->alloc, SWKI_KIND_CONFIG);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Config *config = swki_config_edit(object);
    config->id = swki_control_new_id(r, object);
    config->spec = (Swkpb__ConfigSpec *)swki_message_copy(
        &spec->base, swki_object_arena(object));
    if (config->id == NULL || config->spec == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    *out_object = object;
    return SWK_OK;
}

int swki_control_create_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__CreateConfigRequest *create = request;
    Swkpb__CreateConfigResponse reply = SWKPB__CREATE_CONFIG_RESPONSE__INIT;
    const struct swki_object *stored;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;
    int rc = check_spec(create->spec, err);

    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_name_free(swki_tx_view(tx), SWKI_KIND_CONFIG,
                                create->spec->annotations->name, err);
    if (rc == SWK_OK) {
        rc = make_config(r, create->spec, &object, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_CREATE, &stored, &index,
                            err);
    if (rc != SWK_OK) {
        return rc;
    }
    reply.config = (Swkpb__Config *)(uintptr_t)swki_config(stored);
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

/* Nothing but labels may differ. Empty data stands for data not given. */
static int check_update(const Swkpb__ConfigSpec *old,
                        const Swkpb__ConfigSpec *spec, struct swk_error *err)
{
    bool same_name = strcmp(swki_annotations_name(old->annotations),
                            swki_annotations_name(spec->annotations)) == 0;
    bool same_data = spec->data.len == 0 ||
                     (spec->data.len == old->data.len &&
                      memcmp(spec->data.data, old->data.data,
                             spec->data.len) == 0);

    if (!same_name || !same_data) {
        return swki_fail(err, SWK_EINVAL,
                         "only the labels of a config can be updated");
    }
    return SWK_OK;
}

static int edit_config(const struct swki_object *old,
                       const Swkpb__UpdateConfigRequest *update,
                       struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(old);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Config *config = swki_config_edit(object);
    Swkpb__ConfigSpec *spec = swki_object_own(object, &config->spec);
    Swkpb__Annotations *annotations =
        (Swkpb__Annotations *)swki_message_copy(
            &update->spec->annotations->base, swki_object_arena(object));
    int rc = spec == NULL || annotations == NULL
                 ? swki_fail_nomem(err)
                 : swki_control_claim_version(object, &config->meta,
                                              update->config_version, err);
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    spec->annotations->labels = annotations->labels;
    spec->annotations->n_labels = annotations->n_labels;
    *out_object = object;
    return SWK_OK;
}

int swki_control_update_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__UpdateConfigRequest *update = request;
    Swkpb__UpdateConfigResponse reply = SWKPB__UPDATE_CONFIG_RESPONSE__INIT;
    const struct swki_object *old;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;

    if (update->config_id[0] == '\0' || update->config_version == NULL ||
        update->spec == NULL || update->spec->annotations == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "the config's ID, version and spec with its name must "
                         "be given");
    }
    int rc = swki_control_begin(r, &tx, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_CONFIG,
                           update->config_id, &old, err);
    if (rc == SWK_OK) {
        rc = check_update(swki_config(old)->spec, update->spec, err);
    }
    if (rc == SWK_OK) {
        rc = edit_config(old, update, &object, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_UPDATE, &old, &index,
                            err);
    if (rc != SWK_OK) {
        return rc;
    }
    reply.config = (Swkpb__Config *)(uintptr_t)swki_config(old);
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

int swki_control_remove_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__RemoveConfigRequest *remove = request;
    Swkpb__RemoveConfigResponse reply = SWKPB__REMOVE_CONFIG_RESPONSE__INIT;
    const struct swki_object *object;
    struct swki_tx *tx;
    uint64_t index;
    int rc = swki_control_begin(r, &tx, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_CONFIG,
                           remove->config_id, &object, err);
    if (rc == SWK_OK) {
        rc = swki_check_unused(r, swki_tx_view(tx), object, SWKI_BY_CONFIG,
                               err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_delete(r, tx, SWKI_KIND_CONFIG, remove->config_id,
                             &index, err);
    if (rc == SWK_OK) {
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}
