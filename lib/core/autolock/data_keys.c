/* SPDX-License-Identifier: Apache-2.0 */

#include "core/autolock/data_keys.h"

#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"

void swki_data_keys_wipe(struct swki_data_keys *keys)
{
    swki_wipe(keys, sizeof(*keys));
}

bool swki_data_keys_need_rotation(const struct swki_data_keys *keys)
{
    return keys->needs_rotation || keys->has_pending;
}

static int new_key(const struct swk_entropy *entropy,
                   uint8_t out_key[SWKI_DATA_KEY_SIZE], struct swk_error *err)
{
    return entropy->fill(entropy->ctx, out_key, SWKI_DATA_KEY_SIZE) == 0
               ? SWK_OK
               : swki_fail(err, SWK_EIO, "no entropy for a key of the log");
}

int swki_data_keys_begin(const struct swki_data_keys *keys,
                         const struct swk_entropy *entropy,
                         struct swki_data_keys *out_next,
                         struct swk_error *err)
{
    uint8_t key[SWKI_DATA_KEY_SIZE];
    int rc;

    if (keys->has_current) {
        return 0;
    }
    rc = new_key(entropy, key, err);
    if (rc == 0) {
        *out_next = *keys;
        out_next->has_current = true;
        out_next->needs_rotation = false; /* nobody ever saw this one */
        memcpy(out_next->current, key, sizeof(key));
        rc = 1;
    }
    swki_wipe(key, sizeof(key));
    return rc;
}

int swki_data_keys_prepare(const struct swki_data_keys *keys,
                           const struct swk_entropy *entropy,
                           struct swki_data_keys *out_next,
                           struct swk_error *err)
{
    uint8_t key[SWKI_DATA_KEY_SIZE];
    int rc;

    if (!keys->needs_rotation || keys->has_pending || !keys->has_current) {
        return 0;
    }
    rc = new_key(entropy, key, err);
    if (rc == 0) {
        *out_next = *keys;
        out_next->has_pending = true;
        out_next->needs_rotation = false;
        memcpy(out_next->pending, key, sizeof(key));
        rc = 1;
    }
    swki_wipe(key, sizeof(key));
    return rc;
}

int swki_data_keys_finish(const struct swki_data_keys *keys,
                          struct swki_data_keys *out_next)
{
    if (!keys->has_pending) {
        return 0;
    }
    *out_next = *keys;
    memcpy(out_next->current, keys->pending, sizeof(out_next->current));
    memset(out_next->pending, 0, sizeof(out_next->pending));
    out_next->has_pending = false;
    return 1;
}

static bool same_lock(const struct swki_data_keys *keys,
                      const struct swk_unlock_key *unlock_key)
{
    if (!keys->is_locked || unlock_key == NULL) {
        return keys->is_locked == (unlock_key != NULL);
    }
    return swki_ct_equal(keys->unlock_key.bytes, unlock_key->bytes,
                         SWK_UNLOCK_KEY_SIZE);
}

int swki_data_keys_lock(const struct swki_data_keys *keys,
                        const struct swk_unlock_key *unlock_key,
                        uint64_t version, struct swki_data_keys *out_next,
                        struct swk_error *err)
{
    if (version < keys->lock_version || same_lock(keys, unlock_key)) {
        return 0;
    }
    if (version == keys->lock_version) {
        return swki_fail(err, SWK_ECORRUPT,
                         "candidate KEK has the same version as the current "
                         "KEK, but a different KEK value");
    }
    *out_next = *keys;
    out_next->lock_version = version;
    out_next->is_locked = unlock_key != NULL;
    memset(&out_next->unlock_key, 0, sizeof(out_next->unlock_key));
    if (unlock_key != NULL) {
        out_next->unlock_key = *unlock_key;
        out_next->needs_rotation = keys->needs_rotation || !keys->is_locked;
    }
    return 1;
}

int swki_data_keys_forget(const struct swki_data_keys *keys,
                          struct swki_data_keys *out_next)
{
    if (!keys->has_current) {
        return 0;
    }
    *out_next = (struct swki_data_keys){
        .is_locked = keys->is_locked,
        .unlock_key = keys->unlock_key,
        .lock_version = keys->lock_version,
    };
    return 1;
}

int swki_data_keys_clear(const struct swki_data_keys *keys,
                         struct swki_data_keys *out_next)
{
    static const struct swki_data_keys none;

    if (!keys->has_current && !keys->is_locked && keys->lock_version == 0) {
        return 0;
    }
    *out_next = none;
    return 1;
}
