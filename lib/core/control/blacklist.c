/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/blacklist.h"

#include <string.h>

#include "base/error.h"
#include "crypto/x509.h"
#include "wire/message.h"
#include "wire/time.h"

#define GRACE_NS ((int64_t)7 * 24 * 3600 * 1000000000)

int swki_find_cluster(const struct swki_view *view,
                      const struct swki_object **out_object,
                      struct swk_error *err)
{
    const struct swki_selector by_name = {.by = SWKI_BY_NAME,
                                          .text = "default"};
    struct swki_cursor cursor;
    int rc = swki_view_find(view, SWKI_KIND_CLUSTER, &by_name, &cursor, err);

    if (rc != SWK_OK) {
        return rc;
    }

    const struct swki_object *object = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    if (object == NULL) {
        return swki_fail(err, SWK_EINTERNAL, "there is no cluster object");
    }
    *out_object = object;
    return SWK_OK;
}

static bool long_expired(const Swkpb__BlacklistedCertificate *certificate,
                         swk_wall wall)
{
    swk_wall expiry;

    return certificate != NULL && certificate->expiry != NULL &&
           swki_timestamp_read(certificate->expiry, &expiry, NULL) == SWK_OK &&
           expiry < wall - GRACE_NS;
}

/* Copies the list without what is dropped and without node_id, and with room
 * for one entry more. */
static int copy_list(struct swki_object *object, const char *node_id,
                     swk_wall wall, struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    size_t count = 0;
    Swkpb__Cluster__BlacklistedCertificatesEntry **entries = swki_arena_calloc(
        swki_object_arena(object), cluster->n_blacklisted_certificates + 1,
        sizeof(Swkpb__Cluster__BlacklistedCertificatesEntry *));

    if (entries == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < cluster->n_blacklisted_certificates; i++) {
        const Swkpb__Cluster__BlacklistedCertificatesEntry *old =
            cluster->blacklisted_certificates[i];

        if (strcmp(old->key, node_id) == 0 ||
            long_expired(old->value, wall)) {
            continue;
        }
        entries[count] =
            (Swkpb__Cluster__BlacklistedCertificatesEntry *)swki_message_copy(
                &old->base, swki_object_arena(object));
        if (entries[count++] == NULL) {
            return swki_fail_nomem(err);
        }
    }
    cluster->blacklisted_certificates = entries;
    cluster->n_blacklisted_certificates = count;
    return SWK_OK;
}

int swki_blacklist_prune(struct swki_object *object, swk_wall wall,
                         struct swk_error *err)
{
    return copy_list(object, "", wall, err);
}

/* When the last of the node's certificates ends by itself; NULL if that cannot
 * be told, and the entry then stays for ever. */
static Swkpb__Timestamp *certificate_end(const Swkpb__Node *node,
                                         struct swki_arena *arena)
{
    struct swki_certificate_info info;

    if (node->certificate == NULL || node->certificate->certificate.len == 0) {
        return NULL;
    }

    const struct swki_pem pem = {node->certificate->certificate.data,
                                 node->certificate->certificate.len};
    if (swki_certificate_info_init(&info, arena->alloc, pem, NULL) != SWK_OK) {
        return NULL;
    }
    swk_wall end = info.not_after;
    swk_wall last_end = swki_timestamp_get(node->certificate->last_end);
    swki_certificate_info_fini(&info);
    end = last_end > end ? last_end : end;
    return swki_timestamp_from_wall(end, arena);
}

Swkpb__Cluster__BlacklistedCertificatesEntry *
swki_blacklist_entry(const Swkpb__Node *node, struct swki_arena *arena)
{
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        swki_arena_alloc(arena, sizeof(*entry));
    Swkpb__BlacklistedCertificate *value =
        swki_arena_alloc(arena, sizeof(*value));
    char *key = swki_arena_strdup(arena, node->id);

    if (entry == NULL || value == NULL || key == NULL) {
        return NULL;
    }
    swkpb__cluster__blacklisted_certificates_entry__init(entry);
    swkpb__blacklisted_certificate__init(value);
    value->expiry = certificate_end(node, arena);
    entry->key = key;
    entry->value = value;
    return entry;
}

static int add_entry(struct swki_object *object, const Swkpb__Node *node,
                     struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        swki_blacklist_entry(node, swki_object_arena(object));

    if (entry == NULL) {
        return swki_fail_nomem(err);
    }
    cluster->blacklisted_certificates[cluster->n_blacklisted_certificates++] =
        entry;
    return SWK_OK;
}

int swki_blacklist_node(struct swki_tx *tx, const Swkpb__Node *node,
                        swk_wall wall, struct swk_error *err)
{
    const struct swki_object *old;
    int rc = swki_find_cluster(swki_tx_view(tx), &old, err);

    if (rc != SWK_OK) {
        return rc;
    }

    struct swki_object *object = swki_object_edit(old);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = copy_list(object, node->id, wall, err);
    if (rc == SWK_OK) {
        rc = add_entry(object, node, err);
    }
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_update(tx, object, err);
}
