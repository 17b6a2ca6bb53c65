/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of a manager's log at rest, and the key they are locked under.
 *
 * A manager seals its log with a key of its own, the data key. A second one,
 * the pending key, is there while the log changes over from one to the other.
 * Both lie in the headers of the node's key file. When the swarm locks its
 * managers, the file is sealed under the unlock key, which is not on the disk.
 *
 * Each operation here takes the keys as they are and makes the keys as they
 * shall be. Whoever keeps the file writes those, and only then puts them in
 * the place of the old ones: if writing fails, nothing has changed.
 */

#ifndef SWKI_AUTOLOCK_DATA_KEYS_H
#define SWKI_AUTOLOCK_DATA_KEYS_H

#include <stdbool.h>

#include <swarmkit/port/entropy.h>
#include <swarmkit/unlock_key.h>

#include "base/buf.h"

enum {
    SWKI_DATA_KEY_SIZE = 32,
    SWKI_DATA_KEYS_HEADERS_MAX = 2048, /* bytes of all headers */
};

/* Secret: wipe every copy. A key whose has_ is false is all zeros. */
struct swki_data_keys {
    bool has_current;
    bool has_pending; /* only with a current one */
    bool needs_rotation; /* once more, after what is under way */
    bool is_locked;
    uint8_t current[SWKI_DATA_KEY_SIZE];
    uint8_t pending[SWKI_DATA_KEY_SIZE];
    struct swk_unlock_key unlock_key; /* if it is locked */
    uint64_t lock_version; /* of the swarm, when it chose unlock_key or none */
};

void swki_data_keys_wipe(struct swki_data_keys *keys);

/* Whether the log is to change its key, or is about to. */
bool swki_data_keys_need_rotation(const struct swki_data_keys *keys);

/*
 * The operations. Each returns 1 if *out_next is to be written, 0 if there is
 * nothing to do (and *out_next is untouched), or a negative error.
 */

/* A first key for a log that has none. */
int swki_data_keys_begin(const struct swki_data_keys *keys,
                         const struct swk_entropy *entropy,
                         struct swki_data_keys *out_next,
                         struct swk_error *err);

/* A pending key, if a rotation is wanted and none is under way; however often
 * it was wanted. */
int swki_data_keys_prepare(const struct swki_data_keys *keys,
                           const struct swk_entropy *entropy,
                           struct swki_data_keys *out_next,
                           struct swk_error *err);

/* The end of a rotation: the pending key is the key. */
int swki_data_keys_finish(const struct swki_data_keys *keys,
                          struct swki_data_keys *out_next);

/*
 * What the swarm decided: this unlock key, or none (NULL), as of a version.
 * What is not newer than what is in force changes nothing; another key for the
 * same version is SWK_ECORRUPT. From unlocked to locked the log needs another
 * key, as anyone could read the present one.
 */
int swki_data_keys_lock(const struct swki_data_keys *keys,
                        const struct swk_unlock_key *unlock_key,
                        uint64_t version, struct swki_data_keys *out_next,
                        struct swk_error *err);

/* The log is gone, and the node has yet to become a worker: the log's keys go,
 * its own key stays locked. */
int swki_data_keys_forget(const struct swki_data_keys *keys,
                          struct swki_data_keys *out_next);

/* The node is no manager any more: nothing of all this stays. */
int swki_data_keys_clear(const struct swki_data_keys *keys,
                         struct swki_data_keys *out_next);

/*
 * Appends the headers, "name: value" and a line end each; nothing for keys
 * that are all absent. A locked data key is sealed under the unlock key.
 */
int swki_data_keys_write(const struct swki_data_keys *keys,
                         const struct swk_entropy *entropy,
                         struct swki_buf *out_headers, struct swk_error *err);

/*
 * Reads headers; others than ours are ignored. unlock_key is the one that the
 * file was locked under, NULL if it was not. SWK_EDENIED if a data key does
 * not open with it; SWK_ECORRUPT for headers that cannot be right; SWK_ENOTSUP
 * for a data key sealed in another way.
 */
int swki_data_keys_read(const char *headers, size_t headers_len,
                        const struct swk_unlock_key *unlock_key,
                        struct swki_data_keys *out_keys,
                        struct swk_error *err);

#endif
