/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as changes of the members and as a snapshot of them. The list stays
 * in order whatever comes, and what is saved of it is read back the same.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/membership/membership.h"

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void check(const struct swki_membership *m)
{
    const uint64_t *removed;
    size_t removed_count = swki_membership_removed(m, &removed);

    require(swki_membership_count(m) <= SWKI_MEMBERS_MAX);
    for (size_t i = 0; i < swki_membership_count(m); i++) {
        const struct swki_member *member = swki_membership_at(m, i);

        require(i == 0 ||
                swki_membership_at(m, i - 1)->raft_id < member->raft_id);
        require(!swki_membership_is_removed(m, member->raft_id));
        require(strlen(member->node_id) <= SWK_ID_LEN_MAX);
        require(member->addresses_count <= SWKI_MEMBER_ADDRESSES_MAX);
        (void)swki_membership_can_remove(m, member->raft_id);
    }
    for (size_t i = 1; i < removed_count; i++) {
        require(removed[i - 1] < removed[i]);
    }
}

static void check_saved(const struct swki_membership *m)
{
    static const struct swk_conf_state nobody;
    const struct swki_membership_config config = {.raft_id = 1};
    struct swki_membership_outcome outcome;
    struct swki_membership *copy;
    struct swki_buf first;
    struct swki_buf second;

    require(swki_membership_new(&config, &copy, NULL) == SWK_OK);
    swki_buf_init(&first, NULL, SIZE_MAX);
    swki_buf_init(&second, NULL, SIZE_MAX);
    require(swki_membership_save(m, &first, NULL) == SWK_OK);
    require(swki_membership_restore(copy, first.data, first.len, &nobody,
                                    &outcome, NULL) == SWK_OK);
    require(swki_membership_save(copy, &second, NULL) == SWK_OK);
    require(first.len == second.len &&
            memcmp(first.data, second.data, first.len) == 0);
    swki_buf_fini(&first);
    swki_buf_fini(&second);
    swki_membership_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A byte says what the next ones are, and another how many. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t numbers[] = {1, 2, 3};
    static const struct swk_conf_state state = {.voters = numbers,
                                                .voters_count = 2,
                                                .learners = numbers + 2,
                                                .learners_count = 1};
    const struct swki_membership_config config = {.raft_id = 1};
    struct swki_membership_outcome outcome;
    struct swki_membership *m;
    uint64_t index = 0;

    require(swki_membership_new(&config, &m, NULL) == SWK_OK);
    while (size >= 2) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        const struct swk_log_entry entry = {
            .index = ++index,
            .term = 1,
            .type = data[0] % 2 == 0 ? SWK_RAFT_ENTRY_CONF_CHANGE
                                     : SWK_RAFT_ENTRY_CONF_CHANGE_V2,
            .data = data + 2,
            .data_len = len,
        };

        if (data[0] >= 0xf0) {
            (void)!swki_membership_restore(m, data + 2, len, &state, &outcome,
                                           NULL);
        } else {
            require(swki_membership_apply(m, &entry, &outcome, NULL) ==
                    SWK_OK);
        }
        check(m);
        data += 2 + len;
        size -= 2 + len;
    }
    check_saved(m);
    swki_membership_free(m);
    return 0;
}
