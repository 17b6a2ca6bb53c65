/* SPDX-License-Identifier: Apache-2.0 */

#include "core/keymanager/ring.h"

#include <string.h>

#include "base/error.h"
#include "wire/message.h"

bool swki_key_subsystem_known(const char *subsystem)
{
    return strcmp(subsystem, SWKI_SUBSYSTEM_GOSSIP) == 0 ||
           strcmp(subsystem, SWKI_SUBSYSTEM_IPSEC) == 0;
}

static bool is_of(const Swkpb__Cluster *cluster, size_t i,
                  const char *subsystem)
{
    return strcmp(cluster->network_bootstrap_keys[i]->subsystem, subsystem) ==
           0;
}

size_t swki_key_ring_count(const Swkpb__Cluster *cluster, const char *subsystem)
{
    size_t count = 0;

    for (size_t i = 0; i < cluster->n_network_bootstrap_keys; i++) {
        count += is_of(cluster, i, subsystem) ? 1 : 0;
    }
    return count;
}

size_t swki_key_ring_oldest(const Swkpb__Cluster *cluster,
                            const char *subsystem)
{
    Swkpb__EncryptionKey *const *keys = cluster->network_bootstrap_keys;
    size_t oldest = SIZE_MAX;

    for (size_t i = 0; i < cluster->n_network_bootstrap_keys; i++) {
        if (is_of(cluster, i, subsystem) &&
            (oldest == SIZE_MAX ||
             keys[i]->lamport_time < keys[oldest]->lamport_time)) {
            oldest = i;
        }
    }
    return oldest;
}

static int draw(const struct swk_entropy *entropy, void *out, size_t size,
                struct swk_error *err)
{
    return entropy->fill(entropy->ctx, out, size) == 0
               ? SWK_OK
               : swki_fail(err, SWK_EIO, "no entropy for keys of networks");
}

/* The time of the next key. No key may be as new as one that is there, whatever
 * the clock says. */
static int next_time(const Swkpb__Cluster *cluster,
                     const struct swk_entropy *entropy, uint64_t *out_time,
                     struct swk_error *err)
{
    uint64_t latest = cluster->encryption_key_lamport_clock;
    uint16_t first = 0;
    int rc = SWK_OK;

    for (size_t i = 0; i < cluster->n_network_bootstrap_keys; i++) {
        if (cluster->network_bootstrap_keys[i]->lamport_time > latest) {
            latest = cluster->network_bootstrap_keys[i]->lamport_time;
        }
    }
    if (latest == 0) {
        rc = draw(entropy, &first, sizeof(first), err);
        latest = first;
    }
    *out_time = latest + 1;
    return rc;
}

static int make_key(const char *subsystem, uint64_t time,
                    const struct swk_entropy *entropy, struct swki_arena *arena,
                    Swkpb__EncryptionKey **out_key, struct swk_error *err)
{
    Swkpb__EncryptionKey *key = swki_arena_alloc(arena, sizeof(*key));

    if (key == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__encryption_key__init(key);
    key->algorithm = SWKPB__ENCRYPTION_KEY__ALGORITHM__AES_128_GCM;
    key->lamport_time = time;
    key->subsystem = swki_arena_strdup(arena, subsystem);
    key->key.data = swki_arena_alloc(arena, SWKI_NETWORK_KEY_SIZE);
    key->key.len = SWKI_NETWORK_KEY_SIZE;
    if (key->subsystem == NULL || key->key.data == NULL) {
        return swki_fail_nomem(err);
    }
    *out_key = key;
    return draw(entropy, key->key.data, key->key.len, err);
}

/* The list without the key at index `without`, and with one more. */
static bool replace_list(struct swki_object *object, size_t without,
                         Swkpb__EncryptionKey *key)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    size_t count = 0;
    Swkpb__EncryptionKey **list =
        swki_arena_calloc(swki_object_arena(object),
                          cluster->n_network_bootstrap_keys + 1, sizeof(*list));

    if (list == NULL) {
        return false;
    }
    for (size_t i = 0; i < cluster->n_network_bootstrap_keys; i++) {
        const Swkpb__EncryptionKey *old = cluster->network_bootstrap_keys[i];

        if (i == without) {
            continue;
        }
        list[count] = (Swkpb__EncryptionKey *)swki_message_copy(
            &old->base, swki_object_arena(object));
        if (list[count++] == NULL) {
            return false;
        }
    }
    list[count++] = key;
    cluster->network_bootstrap_keys = list;
    cluster->n_network_bootstrap_keys = count;
    return true;
}

int swki_key_ring_add(struct swki_object *object, const char *subsystem,
                      const struct swk_entropy *entropy, struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__EncryptionKey *key = NULL;
    uint64_t time = 0;
    int rc = next_time(cluster, entropy, &time, err);

    if (rc == SWK_OK) {
        rc = make_key(subsystem, time, entropy, swki_object_arena(object), &key,
                      err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    size_t without =
        swki_key_ring_count(cluster, subsystem) >= SWKI_KEY_RING_SIZE
            ? swki_key_ring_oldest(cluster, subsystem)
            : SIZE_MAX;
    if (!replace_list(object, without, key)) {
        return swki_fail_nomem(err);
    }
    cluster->encryption_key_lamport_clock = time;
    return SWK_OK;
}
