/* SPDX-License-Identifier: Apache-2.0 */

/* What a manager hears of others and tells them, and the calls that go to and
 * fro. */

#include "node/host/managing_impl.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

static void peer_received(void *ctx, const struct swk_raft_message *message)
{
    struct swki_managing *m = ctx;

    swki_manager_receive(m->manager, swki_loop_now(m->config.asker.loop),
                         message);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_unreachable(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    swki_manager_unreachable(m->manager, raft_id);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_snapshot_goes_on(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    swki_manager_snapshot_goes_on(m->manager, raft_id);
}

static void peer_snapshot_sent(void *ctx, uint64_t raft_id, bool ok)
{
    struct swki_managing *m = ctx;

    swki_manager_snapshot_sent(m->manager, raft_id, ok);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_active(void *ctx, uint64_t raft_id, bool active)
{
    struct swki_managing *m = ctx;

    swki_manager_reachable(m->manager, raft_id, active);
    swki_loop_wake(m->config.asker.loop);
}

static void peer_removed(void *ctx, uint64_t by_raft_id, const char *text)
{
    struct swki_managing *m = ctx;

    swki_log(m->config.asker.logger, SWK_LOG_WARN, "manager",
             "member %" PRIx64 " says of this manager: %s", by_raft_id, text);
    swki_manager_told_removed(m->manager, by_raft_id);
    swki_loop_wake(m->config.asker.loop);
}

static bool peer_is_removed(void *ctx, uint64_t raft_id)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL &&
           swki_membership_is_removed(swki_manager_membership(m->manager),
                                      raft_id);
}

static bool node_is_removed(void *ctx, const char *node_id)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL && swki_manager_has_removed(m->manager, node_id);
}

static bool node_is_no_manager(void *ctx, const char *node_id)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL &&
           swki_manager_knows_no_manager(m->manager, node_id);
}

static uint64_t group_leader(void *ctx)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL ? swki_manager_leader(m->manager) : 0;
}

/* What others try on the calls among managers is to be accounted for, too. */
static void peer_refused(void *ctx, const struct swki_rpc_call_info *info,
                         const char *text)
{
    const struct swki_managing *m = ctx;
    const struct swki_caller caller = {
        .node_id = info->identified ? info->peer.node_id : "",
        .swarm_id = info->identified ? info->peer.swarm_id : "",
        .role = info->identified ? info->peer.role : SWKI_ROLE_NONE,
        .address = info->address,
        .request_id = info->request_id,
        .forwarded_by = "",
    };

    if (m->manager != NULL) {
        swki_manager_refused(m->manager, info->path, &caller,
                             SWKI_STATUS_PERMISSION_DENIED, text);
    }
}

static uint64_t group_generation(void *ctx)
{
    struct swki_managing *m = ctx;

    return m->manager != NULL
               ? swki_membership_generation(swki_manager_membership(m->manager))
               : 0;
}

int swki_managing_make_peers(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    const struct swki_peers_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .transport = asker->transport,
        .loop = asker->loop,
        .storage = &m->storage,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .context = m->client_context,
        .ctx = m,
        .received = peer_received,
        .unreachable = peer_unreachable,
        .snapshot_goes_on = peer_snapshot_goes_on,
        .snapshot_sent = peer_snapshot_sent,
        .active = peer_active,
        .removed = peer_removed,
        .is_removed = peer_is_removed,
        .generation = group_generation,
        .is_no_manager = node_is_no_manager,
        .leader = group_leader,
        .is_blacklisted = node_is_removed,
        .refused = peer_refused,
    };

    return swki_peers_new(&config, &m->peers, err);
}

static int forward_connect(void *ctx, uint64_t raft_id,
                           struct swki_rpc_client_config *config,
                           struct swki_rpc_client **out_client,
                           struct swk_error *err)
{
    struct swki_managing *m = ctx;

    return swki_peers_connect(m->peers, raft_id, config, out_client, err);
}

static void forward_serve_here(void *ctx, struct swki_rpc_call *call,
                               const uint8_t *data, size_t len, swk_time now)
{
    struct swki_managing *m = ctx;

    swki_front_serve(m->front, call, data, len, now);
}

int swki_managing_make_front(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    struct swki_forward_config forward = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .loop = asker->loop,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .ctx = m,
        .connect = forward_connect,
        .serve_here = forward_serve_here,
    };
    int rc = swki_front_new(asker->alloc, asker->loop, &m->front, err);

    if (rc == 0) {
        rc = swki_forward_new(&forward, &m->forward, err);
    }
    if (rc == 0) {
        swki_front_set_peers(m->front, m->peers);
        swki_front_set_forward(m->front, m->forward);
    }
    return rc;
}

/* Tells the peers who the members are, once that has changed. */
static void update_members(struct swki_managing *m)
{
    const struct swki_membership *membership =
        swki_manager_membership(m->manager);
    struct swki_peers_member members[SWKI_MEMBERS_MAX];
    size_t count = swki_membership_count(membership);
    struct swk_error err;

    if (m->members_version == swki_membership_version(membership) ||
        count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        members[i] = (struct swki_peers_member){
            .raft_id = member->raft_id,
            .node_id = member->node_id,
            .addresses = member->addresses,
            .addresses_count = member->addresses_count,
        };
    }
    if (swki_peers_set(m->peers, members, count, &err) == 0) {
        m->members_version = swki_membership_version(membership);
        /* Some were reached before the log told of them. */
        for (size_t i = 0; i < count; i++) {
            swki_manager_reachable(
                m->manager, members[i].raft_id,
                swki_peers_active(m->peers, members[i].raft_id, NULL));
        }
    } else {
        swki_log(m->config.asker.logger, SWK_LOG_WARN, "manager",
                 "members not connected to: %s", err.text);
    }
}

/* The managers are those to ask next time, and after a restart. */
static void update_remotes(struct swki_managing *m)
{
    const struct swki_membership *membership =
        swki_manager_membership(m->manager);
    struct swki_remotes remotes = {0};

    for (size_t i = 0; i < swki_membership_count(membership); i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        if (member->addresses_count > 0) {
            (void)swki_remotes_add(&remotes, member->node_id,
                                   swki_member_address(member), NULL);
        }
    }
    if (remotes.count == 0) {
        return;
    }
    *m->config.asker.remotes = remotes;
    swki_remotes_remember(&remotes, m->config.state_dir, m->config.asker.logger,
                          "manager");
}

void swki_managing_note_members(struct swki_managing *m)
{
    uint64_t before = m->members_version;

    update_members(m);
    if (m->members_version != before) {
        update_remotes(m);
    }
}

void swki_managing_note_leader(struct swki_managing *m, swk_time now)
{
    uint64_t own = swki_manager_raft_id(m->manager);
    uint64_t leader = swki_manager_leader(m->manager);

    if (leader == own && !swki_manager_leads(m->manager)) {
        leader = 0; /* it has yet to catch up with its own log */
    }
    if (leader != m->leader) {
        m->leader = leader;
        swki_forward_set_leader(m->forward, leader, own, now);
    }
}

void swki_managing_send(void *ctx, const struct swk_raft_message *message)
{
    struct swki_managing *m = ctx;

    swki_peers_send(m->peers, message);
}

/* A check under way, and what it is for. */
struct check {
    struct swki_managing *managing;
    uint64_t id;
};

static void checked(void *ctx, bool ok, const struct swk_error *failure)
{
    static const struct swk_error fine = {0};
    struct check *check = ctx;
    struct swki_managing *m = check->managing;

    swki_manager_checked(m->manager, check->id, ok ? &fine : failure);
    swki_free(m->config.asker.alloc, check);
    swki_loop_wake(m->config.asker.loop);
}

void swki_managing_check(void *ctx, const struct swki_requests_check *what)
{
    struct swki_managing *m = ctx;
    struct check *check = swki_calloc(m->config.asker.alloc, 1, sizeof(*check));
    struct swk_error err;

    if (check == NULL) {
        swki_fail_nomem(&err);
    } else {
        check->managing = m;
        check->id = what->id;
        if (swki_peers_check(m->peers, what->address, what->node_id, checked,
                             check, &err) == 0) {
            return;
        }
        swki_free(m->config.asker.alloc, check);
    }
    swki_manager_checked(m->manager, what->id, &err);
}
