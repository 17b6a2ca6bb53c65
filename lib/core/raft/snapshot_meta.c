/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/snapshot_meta.h"

#include <string.h>

#include "base/alloc.h"

size_t swki_conf_state_ids(const struct swk_conf_state *state)
{
    return state->voters_count + state->learners_count +
           state->voters_outgoing_count + state->learners_next_count;
}

/* Copies one list to *at, and moves that behind it. */
static const uint64_t *copy_ids(uint64_t **at, const uint64_t *ids,
                                size_t count)
{
    uint64_t *copy = *at;

    if (count == 0) {
        return NULL;
    }
    memcpy(copy, ids, count * sizeof(*ids));
    *at += count;
    return copy;
}

void swki_conf_state_copy(const struct swk_conf_state *from, uint64_t *ids,
                          struct swk_conf_state *out)
{
    struct swk_conf_state copy = *from;

    copy.voters = copy_ids(&ids, from->voters, from->voters_count);
    copy.learners = copy_ids(&ids, from->learners, from->learners_count);
    copy.voters_outgoing =
        copy_ids(&ids, from->voters_outgoing, from->voters_outgoing_count);
    copy.learners_next =
        copy_ids(&ids, from->learners_next, from->learners_next_count);
    *out = copy;
}

bool swki_snapshot_copy_make(const struct swk_alloc *alloc,
                             const struct swk_snapshot_meta *meta,
                             struct swki_snapshot_copy *out)
{
    size_t count = swki_conf_state_ids(&meta->conf_state);
    uint64_t *block = NULL;

    if (count > 0) {
        block = swki_calloc(alloc, count, sizeof(*block));
        if (block == NULL) {
            return false;
        }
    }
    out->block = block;
    out->meta.index = meta->index;
    out->meta.term = meta->term;
    swki_conf_state_copy(&meta->conf_state, block, &out->meta.conf_state);
    return true;
}

void swki_snapshot_copy_fini(const struct swk_alloc *alloc,
                             struct swki_snapshot_copy *copy)
{
    swki_free(alloc, copy->block);
    *copy = (struct swki_snapshot_copy){0};
}
