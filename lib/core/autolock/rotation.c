/* SPDX-License-Identifier: Apache-2.0 */

#include "core/autolock/rotation.h"

#include <string.h>

void swki_rotation_init(struct swki_rotation *r)
{
    memset(r, 0, sizeof(*r));
}

enum swki_rotation_step swki_rotation_next(const struct swki_rotation *r,
                                           const struct swki_data_keys *keys)
{
    if (!keys->has_pending) {
        return keys->needs_rotation && keys->has_current
                   ? SWKI_ROTATION_PREPARE
                   : SWKI_ROTATION_REST;
    }
    if (!r->switched) {
        /* One that is being written would be lost: it is under the old key. */
        return r->snapshot_running ? SWKI_ROTATION_REST : SWKI_ROTATION_SWITCH;
    }
    if (r->cleared) {
        return SWKI_ROTATION_PROMOTE;
    }
    return !r->snapshot_running && r->applied >= r->wait_index
               ? SWKI_ROTATION_SNAPSHOT
               : SWKI_ROTATION_REST;
}

/* A snapshot at the place of one that exists is none: the existing one would
 * stay, under the old key. */
void swki_rotation_switched(struct swki_rotation *r, uint64_t last_index,
                            uint64_t snapshot_index)
{
    r->switched = true;
    r->cleared = false;
    r->wait_index =
        snapshot_index >= last_index ? snapshot_index + 1 : last_index;
}

void swki_rotation_restarted(struct swki_rotation *r, bool used_old,
                             uint64_t last_index, uint64_t snapshot_index)
{
    swki_rotation_switched(r, last_index, snapshot_index);
    r->cleared = !used_old;
}

void swki_rotation_applied(struct swki_rotation *r, uint64_t index)
{
    if (index > r->applied) {
        r->applied = index;
    }
}

void swki_rotation_snapshot_begun(struct swki_rotation *r)
{
    r->snapshot_running = true;
}

/* One that left something under the old key was too early, or failed: the next
 * needs another entry, for two at one place cannot be. */
void swki_rotation_snapshot_ended(struct swki_rotation *r)
{
    if (r->snapshot_running && r->switched && r->wait_index <= r->applied) {
        r->wait_index = r->applied + 1;
    }
    r->snapshot_running = false;
}

void swki_rotation_cleared(struct swki_rotation *r)
{
    r->cleared = r->switched;
}

void swki_rotation_promoted(struct swki_rotation *r)
{
    r->switched = false;
    r->cleared = false;
    r->wait_index = 0;
}
