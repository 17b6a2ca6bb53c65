/* SPDX-License-Identifier: Apache-2.0 */

#include "core/keymanager/keymanager.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/keymanager/ring.h"
#include "core/store/component.h"
#include "wire/message.h"

struct swki_key_manager {
    struct swki_key_manager_config config;
    struct swki_component base;
    const char *subsystems[SWKI_KEY_SUBSYSTEMS_MAX];
    size_t subsystems_count;
    swk_time due; /* when the keys are to be replaced */
};

/* -- Life ----------------------------------------------------------------- */

static const char *const default_subsystems[] = {SWKI_SUBSYSTEM_GOSSIP,
                                                 SWKI_SUBSYSTEM_IPSEC};

/* The names are ours, so that the caller's need not live. */
static int take_subsystems(struct swki_key_manager *km,
                           const char *const *names, size_t count,
                           struct swk_error *err)
{
    if (count > SWKI_KEY_SUBSYSTEMS_MAX) {
        return swki_fail(err, SWK_EINVAL, "too many subsystems of networks");
    }
    for (size_t i = 0; i < count; i++) {
        if (!swki_key_subsystem_known(names[i])) {
            return swki_fail(err, SWK_EINVAL,
                             "no keys are made for a subsystem %.64s",
                             names[i]);
        }
        km->subsystems[i] = strcmp(names[i], SWKI_SUBSYSTEM_GOSSIP) == 0
                                ? SWKI_SUBSYSTEM_GOSSIP
                                : SWKI_SUBSYSTEM_IPSEC;
    }
    km->subsystems_count = count;
    return SWK_OK;
}

int swki_key_manager_new(const struct swki_key_manager_config *config,
                         struct swki_key_manager **out_manager,
                         struct swk_error *err)
{
    struct swki_key_manager *km = swki_calloc(config->alloc, 1, sizeof(*km));
    int rc;

    if (km == NULL) {
        return swki_fail_nomem(err);
    }
    km->config = *config;
    if (config->period_ns == 0) {
        km->config.period_ns = SWKI_KEY_ROTATION_PERIOD;
    }
    km->due = SWK_NEVER;
    rc = config->subsystems == NULL
             ? take_subsystems(km, default_subsystems, 2, err)
             : take_subsystems(km, config->subsystems, config->subsystems_count,
                               err);
    if (rc != SWK_OK) {
        swki_free(config->alloc, km);
        return rc;
    }
    swki_component_init(&km->base, "keymanager", config->store, config->logger,
                        1U << SWKI_KIND_CLUSTER);
    *out_manager = km;
    return SWK_OK;
}

void swki_key_manager_free(struct swki_key_manager *km)
{
    if (km != NULL) {
        swki_component_fini(&km->base);
        swki_free(km->config.alloc, km);
    }
}

/* -- Work ----------------------------------------------------------------- */

static const struct swki_object *find_cluster(const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *cluster = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) == 0) {
        cluster = swki_cursor_next(&cursor);
        swki_cursor_close(&cursor);
    }
    return cluster;
}

/* How long the keys have been there; -1 if nobody knows. A time to come is that
 * of a clock that was put back since. */
static swk_wall age_of(const Swkpb__Cluster *cluster, swk_wall wall)
{
    swk_wall since;

    if (cluster->network_keys_rotated_at == NULL ||
        swki_timestamp_read(cluster->network_keys_rotated_at, &since, NULL) !=
            SWK_OK ||
        since > wall) {
        return -1;
    }
    return wall - since;
}

/* Fills what rings are not full, or gives each of them a new key. */
static int make_keys(const struct swki_key_manager *km,
                     struct swki_object *object, bool replace,
                     struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; rc == SWK_OK && i < km->subsystems_count; i++) {
        const char *subsystem = km->subsystems[i];
        bool replaced = !replace;

        while (rc == SWK_OK &&
               (!replaced ||
                swki_key_ring_count(swki_cluster_edit(object), subsystem) <
                    SWKI_KEY_RING_SIZE)) {
            rc = swki_key_ring_add(object, subsystem, km->config.entropy, err);
            replaced = true;
        }
    }
    return rc;
}

static int write_keys(struct swki_key_manager *km,
                      const struct swki_object *old, bool replace,
                      swk_wall wall, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(old);
    struct swki_tx *tx;
    int rc;

    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = make_keys(km, object, replace, err);
    if (rc == SWK_OK) {
        swki_cluster_edit(object)->network_keys_rotated_at =
            swki_timestamp_from_wall(wall, swki_object_arena(object));
        rc = swki_cluster_edit(object)->network_keys_rotated_at != NULL
                 ? SWK_OK
                 : swki_fail_nomem(err);
    }
    tx = rc == SWK_OK
             ? swki_store_begin(km->base.store, SWKI_ACTOR_KEY_MANAGER, wall)
             : NULL;
    if (tx == NULL) {
        swki_object_unref(object);
        return rc != SWK_OK ? rc : swki_fail_nomem(err);
    }
    rc = swki_tx_update(tx, object, err);
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, NULL, err);
}

static bool has_all_rings(const struct swki_key_manager *km,
                          const Swkpb__Cluster *cluster)
{
    for (size_t i = 0; i < km->subsystems_count; i++) {
        if (swki_key_ring_count(cluster, km->subsystems[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* What head says is to be done now; sets when to look again. */
static int look(struct swki_key_manager *km, swk_time now, swk_wall wall,
                struct swk_error *err)
{
    const struct swki_object *object =
        find_cluster(swki_store_head(km->base.store));
    swk_wall period = (swk_wall)km->config.period_ns;

    km->due = SWK_NEVER;
    if (object == NULL || km->subsystems_count == 0) {
        return SWK_OK;
    }
    swk_wall age = age_of(swki_cluster(object), wall);
    bool whole = has_all_rings(km, swki_cluster(object));

    if (whole && age >= 0 && age < period) {
        km->due = now + (swk_time)(period - age);
        return SWK_OK;
    }
    km->due = now + km->config.period_ns;
    if (!swki_component_can_write(&km->base)) {
        km->due = now + SWK_SECOND;
        return SWK_OK;
    }
    int rc = write_keys(km, object, whole && age >= period, wall, err);
    if (rc == SWK_OK) {
        swki_log(km->config.logger, SWK_LOG_INFO, "keymanager",
                 whole ? "the keys of networks were replaced"
                       : "keys of networks were made");
    }
    return rc;
}

/* Whether head has changed. */
static bool follow(struct swki_key_manager *km)
{
    bool changed = false;

    while (swki_component_next(&km->base) != NULL) {
        changed = true;
    }
    return changed;
}

static int work(struct swki_key_manager *km, swk_time now, swk_wall wall,
                struct swk_error *err)
{
    bool changed = km->base.stale;

    if (km->base.stale && !swki_component_restart(&km->base)) {
        return swki_fail_nomem(err);
    }
    changed = follow(km) || changed;
    return changed || now >= km->due ? look(km, now, wall, err) : SWK_OK;
}

void swki_key_manager_step(struct swki_key_manager *km, swk_time now,
                           swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&km->base, now)) {
        return;
    }
    rc = work(km, now, wall, &err);
    if (rc != SWK_OK) {
        swki_component_failed(&km->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&km->base);
    }
}

bool swki_key_manager_pending(const struct swki_key_manager *km)
{
    return swki_component_pending(&km->base);
}

swk_time swki_key_manager_deadline(const struct swki_key_manager *km)
{
    return swki_component_deadline(&km->base, km->due);
}
