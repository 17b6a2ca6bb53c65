/* SPDX-License-Identifier: Apache-2.0 */

#include "base/snapshot_meta.h"

#include <string.h>

#include "base/alloc.h"

static const uint64_t *take(uint64_t **room, const uint64_t *ids, size_t count)
{
    uint64_t *at = *room;

    if (count == 0) {
        return NULL;
    }
    memcpy(at, ids, count * sizeof(*ids));
    *room += count;
    return at;
}

int swki_snapshot_meta_copy(const struct swk_alloc *alloc,
                            const struct swk_snapshot_meta *from,
                            struct swki_snapshot_meta *out_copy)
{
    const struct swk_conf_state *conf = &from->conf_state;
    size_t count = conf->voters_count + conf->learners_count +
                   conf->voters_outgoing_count + conf->learners_next_count;
    uint64_t *ids = swki_calloc(alloc, count, sizeof(*ids));
    uint64_t *room = ids;

    if (ids == NULL) {
        return SWK_ENOMEM;
    }
    *out_copy = (struct swki_snapshot_meta){.is = *from, .ids = ids};

    struct swk_conf_state *copy = &out_copy->is.conf_state;
    copy->voters = take(&room, conf->voters, conf->voters_count);
    copy->learners = take(&room, conf->learners, conf->learners_count);
    copy->voters_outgoing =
        take(&room, conf->voters_outgoing, conf->voters_outgoing_count);
    copy->learners_next =
        take(&room, conf->learners_next, conf->learners_next_count);
    return SWK_OK;
}

void swki_snapshot_meta_fini(const struct swk_alloc *alloc,
                             struct swki_snapshot_meta *meta)
{
    swki_free(alloc, meta->ids);
    *meta = (struct swki_snapshot_meta){.ids = NULL};
}
