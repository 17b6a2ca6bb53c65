/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/unlock_keys.h"

#include <string.h>

#include <swarmkit/unlock_key.h>

#include "base/error.h"
#include "crypto/identity.h"
#include "wire/message.h"

static bool is_of_managers(const Swkpb__EncryptionKey *key)
{
    return strcmp(key->subsystem, SWKI_OU_MANAGER) == 0;
}

static bool wants_lock(const Swkpb__Cluster *cluster)
{
    return cluster->spec != NULL && cluster->spec->encryption_config != NULL &&
           cluster->spec->encryption_config->auto_lock_managers;
}

static int new_key(struct swki_arena *arena, const struct swk_entropy *entropy,
                   Swkpb__EncryptionKey **out_key, struct swk_error *err)
{
    Swkpb__EncryptionKey *key = swki_arena_alloc(arena, sizeof(*key));

    if (key == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__encryption_key__init(key);
    key->subsystem = swki_arena_strdup(arena, SWKI_OU_MANAGER);
    key->key.data = swki_arena_alloc(arena, SWK_UNLOCK_KEY_SIZE);
    key->key.len = SWK_UNLOCK_KEY_SIZE;
    if (key->subsystem == NULL || key->key.data == NULL) {
        return swki_fail_nomem(err);
    }
    if (entropy->fill(entropy->ctx, key->key.data, SWK_UNLOCK_KEY_SIZE) != 0) {
        return swki_fail(err, SWK_EINTERNAL, "no entropy for an unlock key");
    }
    *out_key = key;
    return SWK_OK;
}

int swki_unlock_keys_update(struct swki_object *object, bool rotate,
                            const struct swk_entropy *entropy,
                            struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    struct swki_arena *arena = swki_object_arena(object);
    bool lock = wants_lock(cluster);
    bool locked = false;
    Swkpb__EncryptionKey **keys;
    size_t count = 0;
    int rc = SWK_OK;

    for (size_t i = 0; i < cluster->n_unlock_keys; i++) {
        locked = locked || is_of_managers(cluster->unlock_keys[i]);
    }
    if (lock == locked && !(lock && rotate)) {
        return 0;
    }
    keys = swki_arena_calloc(arena, cluster->n_unlock_keys + 1, sizeof(*keys));
    if (keys == NULL) {
        return swki_fail_nomem(err);
    }
    /* A new list must not point into the old object. */
    for (size_t i = 0; i < cluster->n_unlock_keys; i++) {
        if (is_of_managers(cluster->unlock_keys[i])) {
            continue;
        }
        keys[count] = (Swkpb__EncryptionKey *)swki_message_copy(
            &cluster->unlock_keys[i]->base, arena);
        if (keys[count] == NULL) {
            return swki_fail_nomem(err);
        }
        count++;
    }
    if (lock) {
        rc = new_key(arena, entropy, &keys[count], err);
        count++;
    }
    if (rc != 0) {
        return rc;
    }
    cluster->unlock_keys = keys;
    cluster->n_unlock_keys = count;
    return 1;
}
