/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets: their data goes in and never comes out again. */

#include <string.h>

#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/handlers.h"
#include "core/control/references.h"
#include "core/control/validate.h"
#include "crypto/digest.h"
#include "wire/message.h"

/* The secret without its data; NULL for no memory. */
static Swkpb__Secret *show(struct swki_control_request *r,
                           const Swkpb__Secret *secret)
{
    Swkpb__Secret *shown = swki_arena_memdup(r->arena, secret, sizeof(*secret));

    if (shown == NULL || secret->spec == NULL) {
        return shown;
    }
    shown->spec =
        swki_arena_memdup(r->arena, secret->spec, sizeof(*secret->spec));
    if (shown->spec == NULL) {
        return NULL;
    }
    shown->spec->data = (ProtobufCBinaryData){0};
    return shown;
}

int swki_control_get_secret(struct swki_control_request *r, const void *request,
                            struct swk_error *err)
{
    const Swkpb__GetSecretRequest *get = request;
    Swkpb__GetSecretResponse reply = SWKPB__GET_SECRET_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_SECRET,
                               get->secret_id, &object, err);

    if (rc != SWK_OK) {
        return rc;
    }
    reply.secret = show(r, swki_secret(object));
    if (reply.secret == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

static struct swki_filter
filter_of(const Swkpb__ListSecretsRequest__Filters *filters)
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

static int pick_secret(struct swki_control_request *r,
                       const struct swki_object *object, const void *filter,
                       const void **out_message)
{
    const Swkpb__Secret *secret = swki_secret(object);
    const Swkpb__Annotations *a =
        secret->spec != NULL ? secret->spec->annotations : NULL;

    if (secret->internal ||
        !swki_filter_any(filter, secret->id, swki_annotations_name(a),
                         swki_annotations_labels(a))) {
        return SWK_OK;
    }
    *out_message = show(r, secret);
    return *out_message != NULL ? SWK_OK : SWK_ENOMEM;
}

int swki_control_list_secrets(struct swki_control_request *r,
                              const void *request, struct swk_error *err)
{
    const Swkpb__ListSecretsRequest *list = request;
    static const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_filter filter = filter_of(list->filters);
    Swkpb__ListSecretsResponse reply = SWKPB__LIST_SECRETS_RESPONSE__INIT;
    struct swki_found found;
    int rc = swki_control_list(r, SWKI_KIND_SECRET, &all, pick_secret, &filter,
                               &found, err);

    if (rc == SWK_OK) {
        reply.n_secrets = found.count;
        reply.secrets = (Swkpb__Secret **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}

/* A driver has to be there already when a secret is made to rely on it. */
static int check_driver(const struct swki_control_config *config,
                        const Swkpb__SecretSpec *spec, struct swk_error *err)
{
    const char *name = spec->driver->name;
    struct swk_error why;

    if (name[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "secret driver must have a name");
    }
    if (spec->data.len > 0) {
        return swki_fail(err, SWK_EINVAL,
                         "a secret with a driver has no data of its own");
    }
    if (config->find_driver == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "secret driver \"%.64s\" is not available", name);
    }
    if (config->find_driver(config->drivers_ctx, name, &why) != SWK_OK) {
        return swki_fail(err, SWK_EINVAL,
                         "secret driver \"%.64s\" is not available: %.128s",
                         name, why.text);
    }
    return SWK_OK;
}

static int check_spec(const struct swki_control_config *config,
                      const Swkpb__SecretSpec *spec, struct swk_error *err)
{
    if (spec == NULL) {
        return swki_fail(err, SWK_EINVAL, "a secret's spec must be given");
    }

    int rc = swki_validate_payload_name(
        "secret", swki_annotations_name(spec->annotations), err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (spec->driver != NULL) {
        return check_driver(config, spec, err);
    }
    if (spec->data.len == 0 || spec->data.len > SWKI_SECRET_SIZE_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "a secret's data has 1 to %d bytes",
                         SWKI_SECRET_SIZE_MAX);
    }
    return SWK_OK;
}

static int make_secret(struct swki_control_request *r,
                       const Swkpb__SecretSpec *spec,
                       struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object =
        swki_object_new(r->config->alloc, SWKI_KIND_SECRET);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Secret *secret = swki_secret_edit(object);
    secret->id = swki_control_new_id(r, object);
    secret->spec = (Swkpb__SecretSpec *)swki_message_copy(
        &spec->base, swki_object_arena(object));
    if (secret->id == NULL || secret->spec == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    *out_object = object;
    return SWK_OK;
}

int swki_control_create_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__CreateSecretRequest *create = request;
    Swkpb__CreateSecretResponse reply = SWKPB__CREATE_SECRET_RESPONSE__INIT;
    const struct swki_object *stored;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;
    int rc = check_spec(r->config, create->spec, err);

    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_name_free(swki_tx_view(tx), SWKI_KIND_SECRET,
                                create->spec->annotations->name, err);
    if (rc == SWK_OK) {
        rc = make_secret(r, create->spec, &object, err);
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
    reply.secret = show(r, swki_secret(stored));
    if (reply.secret == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

/* Nothing but labels may differ. Empty data stands for data not given. */
static int check_update(const Swkpb__SecretSpec *old,
                        const Swkpb__SecretSpec *spec, struct swk_error *err)
{
    bool same_name = strcmp(swki_annotations_name(old->annotations),
                            swki_annotations_name(spec->annotations)) == 0;
    bool same_data = spec->data.len == 0 ||
                     (spec->data.len == old->data.len &&
                      swki_ct_equal(spec->data.data, old->data.data,
                                    spec->data.len));

    if (!same_name || !same_data) {
        return swki_fail(err, SWK_EINVAL,
                         "only the labels of a secret can be updated");
    }
    return SWK_OK;
}

static int edit_secret(const struct swki_object *old,
                       const Swkpb__UpdateSecretRequest *update,
                       struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(old);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Secret *secret = swki_secret_edit(object);
    Swkpb__SecretSpec *spec = swki_object_own(object, &secret->spec);
    Swkpb__Annotations *annotations =
        (Swkpb__Annotations *)swki_message_copy(
            &update->spec->annotations->base, swki_object_arena(object));
    int rc = spec == NULL || annotations == NULL
                 ? swki_fail_nomem(err)
                 : swki_control_claim_version(object, &secret->meta,
                                              update->secret_version, err);
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    spec->annotations->labels = annotations->labels;
    spec->annotations->n_labels = annotations->n_labels;
    *out_object = object;
    return SWK_OK;
}

int swki_control_update_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__UpdateSecretRequest *update = request;
    Swkpb__UpdateSecretResponse reply = SWKPB__UPDATE_SECRET_RESPONSE__INIT;
    const struct swki_object *old;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;

    if (update->secret_id[0] == '\0' || update->secret_version == NULL ||
        update->spec == NULL || update->spec->annotations == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "the secret's ID, version and spec with its name must "
                         "be given");
    }
    int rc = swki_control_begin(r, &tx, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_SECRET,
                           update->secret_id, &old, err);
    if (rc == SWK_OK) {
        rc = check_update(swki_secret(old)->spec, update->spec, err);
    }
    if (rc == SWK_OK) {
        rc = edit_secret(old, update, &object, err);
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
    reply.secret = show(r, swki_secret(old));
    if (reply.secret == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

int swki_control_remove_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err)
{
    const Swkpb__RemoveSecretRequest *remove = request;
    Swkpb__RemoveSecretResponse reply = SWKPB__REMOVE_SECRET_RESPONSE__INIT;
    const struct swki_object *object;
    struct swki_tx *tx;
    uint64_t index;
    int rc = swki_control_begin(r, &tx, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_SECRET,
                           remove->secret_id, &object, err);
    if (rc == SWK_OK) {
        rc = swki_check_unused(r, swki_tx_view(tx), object, SWKI_BY_SECRET,
                               err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_delete(r, tx, SWKI_KIND_SECRET, remove->secret_id,
                             &index, err);
    if (rc == SWK_OK) {
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}
