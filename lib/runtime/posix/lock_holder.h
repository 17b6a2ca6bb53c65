/* SPDX-License-Identifier: Apache-2.0 */

/* Who has a lock of flock(2), for people who have to do something about it. */

#ifndef SWKI_RUNTIME_POSIX_LOCK_HOLDER_H
#define SWKI_RUNTIME_POSIX_LOCK_HOLDER_H

enum {
    SWKI_LOCK_HOLDER_SIZE = 48,
};

/* Writes "process 17 (swarm-agent)", or "another process" if the system does
 * not say which. */
void swki_lock_holder(int fd, char out_name[SWKI_LOCK_HOLDER_SIZE]);

#endif
