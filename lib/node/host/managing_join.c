/* SPDX-License-Identifier: Apache-2.0 */

/* How a manager becomes a member of the group, and tells of another address. */

#include "node/host/managing_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "raft.pb-c.h"
#include "wire/message.h"

#define JOIN_TIMEOUT (25 * SWK_SECOND)
#define JOIN_PAUSE_MAX (8 * SWK_SECOND)

enum {
    JOIN_MEMORY = 1 << 20,
};

bool swki_managing_knows_no_member(const struct swki_managing *m)
{
    return swki_membership_count(swki_manager_membership(m->manager)) == 0;
}

static void join_later(struct swki_managing *m, const char *why, swk_time now)
{
    struct swki_managing_joining *joining = &m->joining;

    swki_log(m->config.asker.logger, SWK_LOG_WARN, "manager",
             "not a member of the managers' group yet: %s", why);
    joining->due = now + joining->pause;
    joining->pause = joining->pause * 2 < JOIN_PAUSE_MAX ? joining->pause * 2
                                                         : JOIN_PAUSE_MAX;
    swki_loop_wake(m->config.asker.loop);
}

/* Those that the leader named, until the log tells. */
static int take_members(struct swki_managing *m,
                        const Swkpb__JoinResponse *response,
                        struct swk_error *err)
{
    struct swki_peers_member members[SWKI_MEMBERS_MAX];
    const char *addresses[SWKI_MEMBERS_MAX][SWKI_MEMBER_ADDRESSES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < response->n_members && count < SWKI_MEMBERS_MAX;
         i++) {
        const Swkpb__RaftMember *member = response->members[i];
        size_t n = 0;

        addresses[count][n++] = member->addr;
        while (n <= member->n_more_addrs && n < SWKI_MEMBER_ADDRESSES_MAX) {
            addresses[count][n] = member->more_addrs[n - 1];
            n++;
        }
        members[count] = (struct swki_peers_member){
            .raft_id = member->raft_id,
            .node_id = member->node_id,
            .addresses = addresses[count],
            .addresses_count = n,
        };
        count++;
    }
    return swki_peers_set(m->peers, members, count, err);
}

static int take_join(struct swki_managing *m,
                     const Swkpb__JoinResponse *response, struct swk_error *err)
{
    uint64_t own = swki_manager_raft_id(m->manager);
    int rc;

    if (response->raft_id == 0) {
        return swki_fail(err, SWK_EMALFORMED, "the leader gave no number");
    }
    if (own == response->raft_id) {
        /* A member still, maybe under a new address. */
        return swki_managing_knows_no_member(m) ? take_members(m, response, err)
                                                : SWK_OK;
    }
    if (own != 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "this manager's log is that of another member");
    }
    swki_peers_set_id(m->peers, response->raft_id);
    rc = take_members(m, response, err);
    if (rc == 0) {
        rc = swki_manager_join(m->manager, response->raft_id, err);
    }
    if (rc == 0) {
        swki_log(m->config.asker.logger, SWK_LOG_INFO, "manager",
                 "joined the managers' group as member %" PRIx64,
                 response->raft_id);
    }
    return rc;
}

/* Its number was taken back before it heard of any member, and so it would not
 * believe anybody but the leader that it was. */
static bool is_removed(const struct swki_managing *m, int rc, const char *why)
{
    return rc == SWK_ENOTFOUND &&
           strstr(why, SWKI_PEERS_REMOVED_TEXT) != NULL &&
           swki_manager_raft_id(m->manager) != 0 &&
           swki_managing_knows_no_member(m);
}

static void told_join(void *ctx, const struct swk_error *failure,
                      const uint8_t *data, size_t len, swk_time now)
{
    struct swki_managing *m = ctx;
    struct swk_error err = *failure;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc = failure->code;

    swki_arena_init(&arena, m->config.asker.alloc, JOIN_MEMORY);
    if (rc == 0) {
        rc = swki_message_unpack(&swkpb__join_response__descriptor, data, len,
                                 &arena, &message, &err);
    }
    if (rc == 0) {
        rc = take_join(m, (const Swkpb__JoinResponse *)message, &err);
    }
    swki_arena_fini(&arena);
    swki_ask_free(m->joining.ask);
    m->joining.ask = NULL;
    m->joining.wanted = rc != 0;
    if (is_removed(m, rc, err.text)) {
        swki_log(m->config.asker.logger, SWK_LOG_WARN, "manager",
                 "cannot go on with its log: %s", err.text);
        m->joining.wanted = false;
        m->joining.removed = true;
    } else if (rc != 0) {
        join_later(m, err.text, now);
    }
    swki_loop_wake(m->config.asker.loop);
}

static void ask_to_join(struct swki_managing *m, swk_time now)
{
    Swkpb__JoinRequest request = SWKPB__JOIN_REQUEST__INIT;
    const struct swki_ask_question question = {
        .path = "/docker.swarmkit.v1.RaftMembership/Join",
        .request = &request.base,
        .timeout_ns = JOIN_TIMEOUT,
        .as = SWKI_ASK_AS_NODE,
    };
    struct swki_managing_joining *joining = &m->joining;
    char unspecified[SWKI_MANAGING_ADDRESS_SIZE];
    struct swk_error err;

    joining->due = SWK_NEVER;
    /* The leader puts the host in that the call comes from. */
    snprintf(unspecified, sizeof(unspecified), "0.0.0.0:%d", m->port);
    request.addr =
        m->address_known ? (char *)(uintptr_t)m->addresses[0] : unspecified;
    request.more_addrs = (char **)(uintptr_t)(m->addresses + 1);
    request.n_more_addrs = m->addresses_count - 1;
    request.raft_id = swki_manager_raft_id(m->manager);
    request.empty_log = request.raft_id == 0;
    if (swki_ask_new(&m->config.asker, &question, told_join, m, &joining->ask,
                     &err) != 0) {
        join_later(m, err.text, now);
    }
}

/* The log's members know this manager at an address that it has no more. */
static bool moved(const struct swki_managing *m)
{
    const struct swki_member *self =
        swki_membership_self(swki_manager_membership(m->manager));

    bool same = self != NULL && self->addresses_count == m->addresses_count;

    for (size_t i = 0; same && i < m->addresses_count; i++) {
        same = strcmp(self->addresses[i], m->addresses[i]) == 0;
    }
    return self != NULL && m->address_known && !same;
}

swk_time swki_managing_join(struct swki_managing *m, swk_time now)
{
    struct swki_managing_joining *joining = &m->joining;

    if (joining->ask != NULL) {
        return SWK_NEVER;
    }
    if (!joining->wanted && !moved(m)) {
        return SWK_NEVER;
    }
    if (joining->due == SWK_NEVER) {
        joining->due = now;
    }
    if (joining->due <= now) {
        ask_to_join(m, now);
    }
    return joining->due;
}
