/* SPDX-License-Identifier: Apache-2.0 */

/* A manager's life, its time as leader, and its turns. */

#include "node/manager/manager_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

enum {
    ROUNDS_MAX = 64, /* of the machines in one turn, then others get theirs */
};

/* -- Life ----------------------------------------------------------------- */

const struct swki_object *swki_manager_cluster(const struct swki_manager *m)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(swki_store_committed(m->store), SWKI_KIND_CLUSTER, &all,
                       &cursor, NULL) == 0) {
        object = swki_cursor_next(&cursor);
        swki_cursor_close(&cursor);
    }
    return object;
}

/* What its log has committed counts before it hears of anyone else: who was
 * removed is not to be listened to, or connected to. */
static int start(struct swki_manager *m, struct swk_error *err)
{
    int rc = swk_raft_start(m->raft, m->now, err);

    while (rc == 0 && !m->failed && swki_manager_run_raft(m)) {
    }
    return rc;
}

int swki_manager_new(const struct swki_manager_config *config,
                     struct swki_manager **out_manager, struct swk_error *err)
{
    struct swki_manager *m = swki_calloc(config->alloc, 1, sizeof(*m));
    int rc;

    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    m->config = *config;
    m->config.cluster = NULL; /* taken on success only */
    m->config.node = NULL;
    m->held_last = &m->held;
    m->reads.last = &m->reads.first;
    m->leader_deadline = SWK_NEVER;
    m->now = config->clock->now(config->clock->ctx);
    swki_answers_init(&m->answers, config->alloc);
    swki_removed_nodes_init(&m->removed_nodes, config->alloc);
    rc = swki_manager_load(m, err);
    if (rc == 0 && m->blank && config->cluster != NULL) {
        rc = swki_manager_found_identified(m, err); /* it was cut short */
    } else if (rc == 0 && m->raft != NULL) {
        rc = start(m, err);
    }
    if (rc != 0) {
        swki_manager_free(m);
        return rc;
    }
    m->config.cluster = config->cluster;
    m->config.node = config->node;
    *out_manager = m;
    return SWK_OK;
}

void swki_manager_free(struct swki_manager *m)
{
    if (m == NULL) {
        return;
    }
    if (m->leader != NULL) {
        swki_leader_free(m->leader, &m->answers);
    }
    swki_manager_drop_answers(m);
    swki_manager_fail_reads(m, NULL);
    swki_manager_stop_saving(m);
    swki_object_unref(m->config.cluster);
    swki_object_unref(m->config.node);
    swki_membership_free(m->membership);
    swki_removed_nodes_fini(&m->removed_nodes);
    swki_store_free(m->store);
    swk_raft_free(m->raft);
    swki_answers_fini(&m->answers);
    swki_free(m->config.alloc, m);
}

void swki_manager_give_up(struct swki_manager *m, const struct swk_error *why)
{
    if (!m->failed) {
        m->failed = true;
        m->failure = *why;
        swki_log(m->config.logger, SWK_LOG_ERROR, "manager", "stopped: %s",
                 why->text);
    }
}

/* -- How it stands -------------------------------------------------------- */

uint64_t swki_manager_raft_id(const struct swki_manager *m)
{
    return m->raft_id;
}

bool swki_manager_leads(const struct swki_manager *m)
{
    return m->leader != NULL;
}

struct swk_raft_status swki_manager_status(const struct swki_manager *m)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    if (m->raft != NULL) {
        swk_raft_status(m->raft, &status);
    }
    return status;
}

uint64_t swki_manager_leader(const struct swki_manager *m)
{
    return swki_manager_status(m).leader;
}

swk_time swki_manager_leaderless_ns(const struct swki_manager *m)
{
    swk_time tick_ns = m->config.tick_ns != 0
                           ? m->config.tick_ns
                           : SWK_RAFT_TICK_MS * SWK_MILLISECOND;

    return swki_manager_status(m).leaderless_ticks * tick_ns;
}

const struct swki_membership *
swki_manager_membership(const struct swki_manager *m)
{
    return m->membership;
}

const struct swki_view *swki_manager_view(const struct swki_manager *m)
{
    return swki_store_committed(m->store);
}

bool swki_manager_has_cluster(const struct swki_manager *m)
{
    return swki_view_count(swki_store_committed(m->store),
                           SWKI_KIND_CLUSTER) > 0;
}

bool swki_manager_has_removed(const struct swki_manager *m, const char *node_id)
{
    return swki_removed_nodes_have(&m->removed_nodes, node_id);
}

bool swki_manager_knows_no_manager(const struct swki_manager *m,
                                   const char *node_id)
{
    const struct swki_object *node =
        swki_view_get(swki_store_committed(m->store), SWKI_KIND_NODE, node_id);

    return node != NULL ? swki_node(node)->role == SWKPB__NODE_ROLE__WORKER
                        : swki_manager_has_cluster(m);
}

uint64_t swki_manager_removals(const struct swki_manager *m)
{
    return m->removed_nodes.removals;
}

bool swki_manager_removed(const struct swki_manager *m)
{
    return m->removed;
}

const struct swk_error *swki_manager_failure(const struct swki_manager *m)
{
    return m->failed ? &m->failure : NULL;
}

/* -- Leadership ----------------------------------------------------------- */

/* The first objects of a new swarm, in one transaction. */
static int bootstrap(struct swki_manager *m, swk_wall wall,
                     struct swk_error *err)
{
    struct swki_tx *tx;
    int rc;

    if (swki_view_count(swki_store_head(m->store), SWKI_KIND_CLUSTER) > 0) {
        return SWK_OK;
    }
    if (m->config.cluster == NULL || m->config.node == NULL) {
        return swki_fail(err, SWK_ECORRUPT,
                         "this node has an identity, but its log holds no "
                         "swarm: restore the log from a backup, or remove the "
                         "state directory to start anew");
    }
    tx = swki_store_begin(m->store, SWKI_ACTOR_BOOTSTRAP, wall);
    if (tx == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_tx_create(tx, m->config.cluster, err);
    m->config.cluster = NULL;
    if (rc == 0) {
        rc = swki_tx_create(tx, m->config.node, err);
        m->config.node = NULL;
    }
    if (rc != 0) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, NULL, err);
}

void swki_manager_lead(struct swki_manager *m)
{
    swk_wall wall = m->config.clock->wall(m->config.clock->ctx);
    struct swki_leader_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .entropy = m->config.entropy,
        .store = m->store,
        .raft = m->raft,
        .membership = m->membership,
        .check = m->config.check,
        .check_ctx = m->config.check_ctx,
        .sign = m->config.sign,
        .sign_ctx = m->config.sign_ctx,
        .keeper = m->config.keeper,
        .find_driver = m->config.find_driver,
        .get_secret = m->config.get_secret,
        .secrets_ctx = m->config.secrets_ctx,
        .node_id = m->config.node_id,
        .swarm_id = m->config.swarm_id,
        .addresses = m->config.addresses,
        .addresses_count =
            m->config.address_known ? m->config.addresses_count : 0,
    };
    struct swk_error err;

    swki_log(m->config.logger, SWK_LOG_INFO, "manager", "leads the swarm");
    swki_manager_audit_leads(m);
    /* Anew for each time it leads, or the same IDs would be drawn again. */
    if (m->config.entropy->fill(m->config.entropy->ctx, &config.seed,
                                sizeof(config.seed)) != 0) {
        swki_fail(&err, SWK_EIO, "no entropy for identifiers");
        swki_manager_give_up(m, &err);
    } else if (bootstrap(m, wall, &err) != 0 ||
        swki_leader_new(&config, m->now, wall, &m->leader, &err) != 0) {
        swki_manager_give_up(m, &err);
    }
    m->leader_deadline = m->now;
}

void swki_manager_step_down(struct swki_manager *m)
{
    if (m->leader != NULL) {
        swki_log(m->config.logger, SWK_LOG_WARN, "manager",
                 "leads the swarm no more");
        swki_manager_audit_leads_no_more(m);
        swki_leader_free(m->leader, &m->answers);
        m->leader = NULL;
        m->leader_deadline = SWK_NEVER;
    }
    swki_store_lose_leadership(m->store);
    swki_manager_fail_answers(m);
    swki_manager_fail_reads(m, "this manager leads the swarm no more: retry");
}

void swki_manager_hand_over(struct swki_manager *m)
{
    struct swk_error err;

    if (m->raft != NULL && swki_membership_count(m->membership) > 1 &&
        swk_raft_transfer(m->raft, 0, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_DEBUG, "manager",
                 "leadership is not handed over: %s", err.text);
    }
}

void swki_manager_advance(struct swki_manager *m)
{
    struct swk_error err;

    if (m->leader != NULL &&
        swk_raft_propose(m->raft, NULL, 0, NULL, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_DEBUG, "manager",
                 "the log does not go on: %s", err.text);
    }
}

void swki_manager_checked(struct swki_manager *m, uint64_t check_id,
                          const struct swk_error *failure)
{
    if (m->leader != NULL) {
        swki_leader_checked(m->leader, m->now, check_id, failure);
    }
}

void swki_manager_signed(struct swki_manager *m, uint64_t id,
                         const struct swk_sign_result *result)
{
    if (m->leader != NULL) {
        swki_leader_signed(m->leader, m->now,
                           m->config.clock->wall(m->config.clock->ctx), id,
                           result, &m->answers);
        m->leader_deadline = m->now;
    }
}

void swki_manager_fetched(struct swki_manager *m, uint64_t id,
                          const struct swk_secret_result *result)
{
    if (m->leader != NULL) {
        swki_leader_fetched(m->leader, m->now, id, result);
        m->leader_deadline = m->now;
    }
}

/* -- Turns ---------------------------------------------------------------- */

/* Tells those that care who leads. */
static void note_leader(struct swki_manager *m)
{
    uint64_t leader = swki_manager_leader(m);

    if (leader != m->known_leader) {
        m->known_leader = leader;
        swki_membership_set_leader(m->membership, leader);
    }
}

static void step_leader(struct swki_manager *m)
{
    m->leader_deadline = swki_leader_step(
        m->leader, m->now, m->config.clock->wall(m->config.clock->ctx),
        &m->answers);
}

static swk_time deadline_of(const struct swki_manager *m, swk_time saving)
{
    swk_time deadline =
        m->raft != NULL ? swk_raft_deadline(m->raft) : SWK_NEVER;

    if (m->leader_deadline < deadline) {
        deadline = m->leader_deadline;
    }
    return saving < deadline ? saving : deadline;
}

swk_time swki_manager_turn(struct swki_manager *m, swk_time now)
{
    struct swk_error err;
    int rounds = 0;
    bool busy = true;

    m->now = now;
    swki_manager_audit_turn(m);
    for (; busy && !m->failed && rounds < ROUNDS_MAX; rounds++) {
        if (m->raft != NULL && swk_raft_deadline(m->raft) <= now &&
            swk_raft_expire(m->raft, now, &err) != 0) {
            swki_manager_give_up(m, &err);
        }
        swki_manager_ask_reads(m);
        busy = swki_manager_run_raft(m);
        swki_removed_nodes_follow(&m->removed_nodes, swki_manager_cluster(m));
        swki_manager_serve_reads(m);
        note_leader(m);
        if (m->leader != NULL && (busy || m->leader_deadline <= now)) {
            step_leader(m);
            busy = true;
        }
        swki_manager_give_answers(m);
        swki_manager_release_answers(m);
    }
    if (m->failed) {
        swki_manager_step_down(m);
        swki_manager_give_answers(m);
        swki_manager_audit_write(m);
        return SWK_NEVER;
    }
    swki_manager_audit_write(m);
    return busy ? now : deadline_of(m, swki_manager_save(m));
}
