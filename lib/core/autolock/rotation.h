/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a log changes from one data key to the next without ever being
 * unreadable. The machine says what is to be done, one step at a time:
 *
 *     prepare    write a pending key to the key file; then ask again
 *     switch     seal all that is written from now on with the pending key;
 *                report by switched()
 *     snapshot   take one now, whatever the interval says; report by
 *                snapshot_begun() and snapshot_ended()
 *     promote    write to the key file that the pending key is the key; report
 *                by promoted()
 *
 * cleared() says that nothing is under the old key any more. Until the last
 * step both keys are in the file, so that a manager that stops anywhere reads
 * its log with the one or the other and goes on from restarted(). A step that
 * fails is simply asked for again.
 */

#ifndef SWKI_AUTOLOCK_ROTATION_H
#define SWKI_AUTOLOCK_ROTATION_H

#include "core/autolock/data_keys.h"

enum swki_rotation_step {
    SWKI_ROTATION_REST, /* nothing before the next event */
    SWKI_ROTATION_PREPARE,
    SWKI_ROTATION_SWITCH,
    SWKI_ROTATION_SNAPSHOT,
    SWKI_ROTATION_PROMOTE,
};

struct swki_rotation {
    bool switched;         /* the log is written with the pending key */
    bool snapshot_running; /* one that this machine asked for, or another */
    bool cleared;          /* nothing is under the old key any more */
    uint64_t wait_index;   /* a snapshot from here on brings that about */
    uint64_t applied;
};

void swki_rotation_init(struct swki_rotation *rotation);

/*
 * The log was read back with the pending key, and holds entries and a snapshot
 * (or 0) up to these; used_old says that the old key was needed as well.
 */
void swki_rotation_restarted(struct swki_rotation *rotation, bool used_old,
                             uint64_t last_index, uint64_t snapshot_index);

/* What is to be done now, with these keys in the key file. */
enum swki_rotation_step
swki_rotation_next(const struct swki_rotation *rotation,
                   const struct swki_data_keys *keys);

/* The events. last_index is that of the last entry that was given to the log
 * before the switch, snapshot_index that of the newest snapshot that was begun
 * before; either may be 0. */
void swki_rotation_switched(struct swki_rotation *rotation,
                            uint64_t last_index, uint64_t snapshot_index);
void swki_rotation_applied(struct swki_rotation *rotation, uint64_t index);
void swki_rotation_snapshot_begun(struct swki_rotation *rotation);
void swki_rotation_snapshot_ended(struct swki_rotation *rotation);
void swki_rotation_cleared(struct swki_rotation *rotation);
void swki_rotation_promoted(struct swki_rotation *rotation);

#endif
