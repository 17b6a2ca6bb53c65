/* SPDX-License-Identifier: Apache-2.0 */

#include "node/storage/log_keys.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/identity.h"
#include "node/identity/state_dir.h"

#define ADVANCE_PAUSE (10 * SWK_SECOND)
#define RETRY_PAUSE (5 * SWK_SECOND)
/* The storage removes files by itself, and does not tell. */
#define CLEARED_POLL (100 * SWK_MILLISECOND)

enum {
    TOO_EARLY = 2,
};

static const struct swki_data_keys *current(const struct swki_log_keys *k)
{
    return &k->config.credentials->keys;
}

/* Takes a result of an operation on the keys: 1 for those to be written. */
static int change(struct swki_log_keys *k, int rc, struct swki_data_keys *next,
                  struct swk_error *err)
{
    if (rc == 1) {
        rc = swki_state_dir_change_keys(k->config.state_dir,
                                        k->config.credentials, next,
                                        k->config.entropy, err);
        rc = rc == 0 ? 1 : rc;
    }
    swki_data_keys_wipe(next);
    return rc;
}

int swki_log_keys_init(struct swki_log_keys *k,
                       const struct swki_log_keys_config *config,
                       struct swk_error *err)
{
    struct swki_data_keys next;
    int rc;

    *k = (struct swki_log_keys){.config = *config};
    swki_rotation_init(&k->rotation);
    rc =
        change(k, swki_data_keys_begin(current(k), config->entropy, &next, err),
               &next, err);
    return rc < 0 ? rc : SWK_OK;
}

void swki_log_keys_fini(struct swki_log_keys *k)
{
    swki_wipe(&k->awaited, sizeof(k->awaited));
}

/* Whatever the log's files are under after a crash, it is one of the two; what
 * is written from now on is under the pending key, if there is one. */
void swki_log_keys_choose(const struct swki_data_keys *keys,
                          struct swk_file_storage_config *config)
{
    if (keys->has_pending) {
        config->key = keys->pending;
        config->old_key = keys->current;
    } else if (keys->has_current) {
        config->key = keys->current;
    }
}

void swki_log_keys_loaded(struct swki_log_keys *k,
                          const struct swki_manager *manager,
                          const struct swk_storage *storage)
{
    const struct swk_raft_status status = swki_manager_status(manager);

    if (current(k)->has_pending) {
        swki_rotation_restarted(
            &k->rotation, swk_file_storage_uses_old_key(storage, NULL) != 0,
            status.last_index, status.snapshot_index);
    }
}

static void try_later(struct swki_log_keys *k, const char *what,
                      const struct swk_error *why, swk_time now)
{
    swki_log(k->config.logger, SWK_LOG_WARN, "manager", "%s: %s", what,
             why->text);
    k->retry_at = now + RETRY_PAUSE;
}

/* -- The lock ------------------------------------------------------------- */

/* The key that the swarm locks its managers under; *out_key is NULL if it does
 * not. */
static int find_unlock_key(const Swkpb__Cluster *cluster,
                           struct swk_unlock_key *room,
                           const struct swk_unlock_key **out_key,
                           struct swk_error *err)
{
    *out_key = NULL;
    for (size_t i = 0; i < cluster->n_unlock_keys; i++) {
        const Swkpb__EncryptionKey *key = cluster->unlock_keys[i];

        if (strcmp(key->subsystem, SWKI_OU_MANAGER) != 0) {
            continue;
        }
        if (key->key.len != SWK_UNLOCK_KEY_SIZE) {
            return swki_fail(err, SWK_ECORRUPT,
                             "the swarm's unlock key has %zu bytes",
                             key->key.len);
        }
        memcpy(room->bytes, key->key.data, SWK_UNLOCK_KEY_SIZE);
        *out_key = room;
        return SWK_OK;
    }
    return SWK_OK;
}

static bool is_same(const struct swk_unlock_key *a,
                    const struct swk_unlock_key *b)
{
    return swki_ct_equal(a->bytes, b->bytes, SWK_UNLOCK_KEY_SIZE);
}

/* Whether it is too early for this manager to be locked under the key. */
static bool must_wait(struct swki_log_keys *k, const struct swk_unlock_key *key,
                      swk_time now)
{
    if (key == NULL ||
        (current(k)->is_locked && is_same(key, &current(k)->unlock_key))) {
        return false;
    }
    if (k->lock_at == 0 || !is_same(key, &k->awaited)) {
        k->awaited = *key;
        k->lock_at = now + SWKI_LOG_KEYS_LOCK_DELAY;
    }
    return now < k->lock_at;
}

/* 1 if the file was written, TOO_EARLY if it is not to be yet. */
static int follow_version(struct swki_log_keys *k,
                          const struct swki_object *object, swk_time now,
                          struct swk_error *err)
{
    const struct swk_unlock_key *unlock_key;
    struct swk_unlock_key room;
    struct swki_data_keys next;
    int rc = find_unlock_key(swki_cluster(object), &room, &unlock_key, err);

    if (rc == 0 && must_wait(k, unlock_key, now)) {
        rc = TOO_EARLY;
    } else if (rc == 0) {
        rc = swki_data_keys_lock(current(k), unlock_key,
                                 swki_object_version(object), &next, err);
        rc = change(k, rc, &next, err);
    }
    swki_wipe(&room, sizeof(room));
    return rc;
}

static void log_lock(const struct swki_log_keys *k, bool was_locked)
{
    const char *text = "is not locked any more: it starts without the swarm's "
                       "unlock key";

    if (current(k)->is_locked) {
        text = was_locked ? "has another unlock key, without which it cannot "
                            "start again"
                          : "is locked: it cannot start again without the "
                            "swarm's unlock key";
    }
    swki_log(k->config.logger, SWK_LOG_INFO, "manager", "this manager %s",
             text);
}

static void follow(struct swki_log_keys *k, const struct swki_manager *manager,
                   swk_time now)
{
    const struct swki_object *object = swki_manager_cluster(manager);
    bool was_locked = current(k)->is_locked;
    struct swk_error err;
    int rc;

    if (object == NULL || swki_object_version(object) == k->followed) {
        return;
    }
    rc = follow_version(k, object, now, &err);
    if (rc == TOO_EARLY) {
        return;
    }
    if (rc < 0) {
        try_later(k, "the lock of this manager stays as it was", &err, now);
    }
    if (rc >= 0 || rc == SWK_ECORRUPT) { /* which no retry mends */
        k->followed = swki_object_version(object);
        k->lock_at = 0;
        swki_wipe(&k->awaited, sizeof(k->awaited));
    }
    if (rc == 1) {
        log_lock(k, was_locked);
        if (!was_locked) {
            k->config.locked(k->config.ctx);
        }
    }
}

/* -- Another key for the log ---------------------------------------------- */

/* What has happened since the last turn. */
static void note(struct swki_log_keys *k, const struct swki_manager *manager,
                 const struct swk_storage *storage)
{
    struct swki_rotation *rotation = &k->rotation;
    bool saving = swki_manager_is_saving(manager);

    swki_rotation_applied(rotation, swki_manager_status(manager).applied);
    if (saving && !rotation->snapshot_running) {
        swki_rotation_snapshot_begun(rotation);
    }
    if (rotation->switched && !rotation->cleared && !saving &&
        swk_file_storage_uses_old_key(storage, NULL) == 0) {
        swki_rotation_cleared(rotation);
    }
    if (!saving && rotation->snapshot_running) {
        swki_rotation_snapshot_ended(rotation);
    }
}

static int prepare(struct swki_log_keys *k, struct swk_error *err)
{
    struct swki_data_keys next;

    return change(
        k, swki_data_keys_prepare(current(k), k->config.entropy, &next, err),
        &next, err);
}

static int switch_over(struct swki_log_keys *k,
                       const struct swki_manager *manager,
                       const struct swk_storage *storage, struct swk_error *err)
{
    const struct swk_raft_status status = swki_manager_status(manager);
    int rc = swk_file_storage_set_key(storage, current(k)->pending, err);

    if (rc == 0) {
        swki_rotation_switched(&k->rotation, status.last_index,
                               status.snapshot_index);
    }
    return rc;
}

static void snapshot(struct swki_log_keys *k, struct swki_manager *manager)
{
    swki_rotation_snapshot_begun(&k->rotation);
    swki_manager_save_now(manager);
}

static int promote(struct swki_log_keys *k, struct swk_error *err)
{
    struct swki_data_keys next;
    int rc = change(k, swki_data_keys_finish(current(k), &next), &next, err);

    if (rc >= 0) {
        swki_rotation_promoted(&k->rotation);
        swki_log(k->config.logger, SWK_LOG_INFO, "manager",
                 "the log has another key, and nothing is under the old one");
    }
    return rc;
}

/* False if there is nothing to be done now. */
static bool step(struct swki_log_keys *k, struct swki_manager *manager,
                 const struct swk_storage *storage, swk_time now)
{
    struct swk_error err;
    int rc = SWK_OK;

    switch (swki_rotation_next(&k->rotation, current(k))) {
    case SWKI_ROTATION_REST:
        return false;
    case SWKI_ROTATION_PREPARE:
        rc = prepare(k, &err);
        break;
    case SWKI_ROTATION_SWITCH:
        rc = switch_over(k, manager, storage, &err);
        break;
    case SWKI_ROTATION_SNAPSHOT:
        snapshot(k, manager);
        break;
    case SWKI_ROTATION_PROMOTE:
        rc = promote(k, &err);
        break;
    }
    if (rc < 0) {
        try_later(k, "the log's key is not changed yet", &err, now);
    }
    return true;
}

/* The next snapshot has to be of a later entry than those that there are. In a
 * quiet swarm none would come: the leader adds one, and all managers have it.
 * Where snapshots fail, that is not to fill the log. */
static bool advance(struct swki_log_keys *k, struct swki_manager *manager,
                    swk_time now)
{
    const struct swki_rotation *rotation = &k->rotation;

    if (!rotation->switched || rotation->cleared ||
        rotation->snapshot_running || now < k->advance_at ||
        swki_manager_status(manager).last_index >= rotation->wait_index) {
        return false;
    }
    k->advance_at = now + ADVANCE_PAUSE;
    swki_manager_advance(manager);
    return true;
}

static swk_time next_deadline(const struct swki_log_keys *k, swk_time now)
{
    swk_time poll_at = k->rotation.switched ? now + CLEARED_POLL : SWK_NEVER;

    return k->lock_at > 0 && k->lock_at < poll_at ? k->lock_at : poll_at;
}

swk_time swki_log_keys_turn(struct swki_log_keys *k,
                            struct swki_manager *manager,
                            const struct swk_storage *storage, swk_time now)
{
    bool busy;

    if (now < k->retry_at) {
        return k->retry_at;
    }
    note(k, manager, storage);
    follow(k, manager, now);
    busy = now >= k->retry_at &&
           (step(k, manager, storage, now) || advance(k, manager, now));
    if (now < k->retry_at) {
        return k->retry_at; /* something failed */
    }
    if (busy) {
        return now; /* there may be more to do */
    }
    return next_deadline(k, now);
}
