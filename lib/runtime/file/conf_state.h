/* SPDX-License-Identifier: Apache-2.0 */

/* The members of a group, as bytes: i32 auto_leave, four u32 counts, then the
 * IDs of voters, learners, outgoing voters and next learners. */

#ifndef SWKI_RUNTIME_FILE_CONF_STATE_H
#define SWKI_RUNTIME_FILE_CONF_STATE_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/port/storage.h>

#include "base/snapshot_meta.h"

enum {
    SWKI_CONF_STATE_HEAD_LEN = 20,
    SWKI_CONF_STATE_IDS_MAX = 4096, /* in all lists together */
    SWKI_CONF_STATE_LEN_MAX =
        SWKI_CONF_STATE_HEAD_LEN + 8 * SWKI_CONF_STATE_IDS_MAX,
};

/* Bytes of it; 0 if it has too many members. */
size_t swki_conf_state_len(const struct swk_conf_state *conf);
void swki_conf_state_encode(const struct swk_conf_state *conf, uint8_t *out);

/* Makes out_meta of a place and the len bytes of its members. SWK_ECORRUPT;
 * SWK_ENOMEM. */
int swki_conf_state_decode(const struct swk_alloc *alloc, uint64_t index,
                           uint64_t term, const uint8_t *bytes, size_t len,
                           struct swki_snapshot_meta *out_meta);

#endif
