/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/conf_state.h"

#include "base/alloc.h"
#include "runtime/file/number.h"

enum {
    LISTS = 4,
};

size_t swki_conf_state_len(const struct swk_conf_state *conf)
{
    const size_t counts[LISTS] = {
        conf->voters_count, conf->learners_count, conf->voters_outgoing_count,
        conf->learners_next_count};
    size_t count = 0;

    for (size_t i = 0; i < LISTS; i++) {
        if (counts[i] > SWKI_CONF_STATE_IDS_MAX - count) {
            return 0;
        }
        count += counts[i];
    }
    return SWKI_CONF_STATE_HEAD_LEN + 8 * count;
}

static uint8_t *put_ids(uint8_t *at, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        swki_put64(at + 8 * i, ids[i]);
    }
    return at + 8 * count;
}

void swki_conf_state_encode(const struct swk_conf_state *conf, uint8_t *out)
{
    uint8_t *at = out + SWKI_CONF_STATE_HEAD_LEN;

    swki_put32(out, (uint32_t)conf->auto_leave);
    swki_put32(out + 4, (uint32_t)conf->voters_count);
    swki_put32(out + 8, (uint32_t)conf->learners_count);
    swki_put32(out + 12, (uint32_t)conf->voters_outgoing_count);
    swki_put32(out + 16, (uint32_t)conf->learners_next_count);
    at = put_ids(at, conf->voters, conf->voters_count);
    at = put_ids(at, conf->learners, conf->learners_count);
    at = put_ids(at, conf->voters_outgoing, conf->voters_outgoing_count);
    put_ids(at, conf->learners_next, conf->learners_next_count);
}

static const uint64_t *part_of(const uint64_t *ids, size_t from, size_t count)
{
    return count > 0 ? ids + from : NULL;
}

int swki_conf_state_decode(const struct swk_alloc *alloc, uint64_t index,
                           uint64_t term, const uint8_t *bytes, size_t len,
                           struct swki_snapshot_meta *out_meta)
{
    size_t counts[LISTS];
    size_t count = 0;

    if (len < SWKI_CONF_STATE_HEAD_LEN || len > SWKI_CONF_STATE_LEN_MAX) {
        return SWK_ECORRUPT;
    }
    for (size_t i = 0; i < LISTS; i++) {
        counts[i] = swki_get32(bytes + 4 + 4 * i);
        count += counts[i];
    }
    if ((len - SWKI_CONF_STATE_HEAD_LEN) / 8 != count || len % 8 != 4) {
        return SWK_ECORRUPT;
    }
    uint64_t *ids = swki_calloc(alloc, count, sizeof(*ids));
    if (ids == NULL) {
        return SWK_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = swki_get64(bytes + SWKI_CONF_STATE_HEAD_LEN + 8 * i);
    }
    const struct swk_conf_state conf = {
        .voters = part_of(ids, 0, counts[0]),
        .voters_count = counts[0],
        .learners = part_of(ids, counts[0], counts[1]),
        .learners_count = counts[1],
        .voters_outgoing = part_of(ids, counts[0] + counts[1], counts[2]),
        .voters_outgoing_count = counts[2],
        .learners_next = part_of(ids, count - counts[3], counts[3]),
        .learners_next_count = counts[3],
        .auto_leave = (int32_t)swki_get32(bytes),
    };
    *out_meta = (struct swki_snapshot_meta){.is = {index, term, conf},
                                            .ids = ids};
    return SWK_OK;
}
