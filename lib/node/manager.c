/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/raft.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/roles.h"
#include "node/leader.h"
#include "wire/message.h"
#include "wire/status.h"

enum {
    ROUNDS_MAX = 64, /* of the machines in one turn, then others get theirs */
};

/* An answer that waits for its entry. */
struct held {
    struct held *next;
    struct swki_answer answer;
};

struct swki_manager {
    struct swki_manager_config config;
    swk_raft *raft;
    struct swki_store *store;
    struct swki_leader *leader; /* NULL while not leading */
    struct swki_answers answers;
    struct held *held; /* by ascending index */
    struct held **held_last;
    uint64_t settings_version; /* of the cluster whose settings are in force */
    swk_time leader_deadline;
    swk_time now;
    bool failed;
    struct swk_error failure;
};

/* -- Life ----------------------------------------------------------------- */

/* The swarm's object; borrowed until the store's next change. NULL before the
 * swarm is founded. */
static const struct swki_object *find_cluster(const struct swki_manager *m)
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

/* Hands the cluster's settings of the log on, once they have changed. */
static void take_settings(struct swki_manager *m)
{
    const struct swki_object *object = find_cluster(m);
    const Swkpb__ClusterSpec *spec;

    if (object == NULL || swki_object_version(object) == m->settings_version) {
        return;
    }
    m->settings_version = swki_object_version(object);
    spec = swki_cluster(object)->spec;
    if (spec != NULL && spec->raft != NULL) {
        swk_raft_set_snapshot_interval(
            m->raft, spec->raft->snapshot_interval,
            spec->raft->log_entries_for_slow_followers);
    }
}

static uint64_t next_index(void *ctx)
{
    const struct swki_manager *m = ctx;

    return swk_raft_next_index(m->raft);
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct swki_manager *m = ctx;

    return swk_raft_propose(m->raft, data, len, NULL, err);
}

static int restore_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                            const uint8_t *data, size_t data_len,
                            struct swk_error *err)
{
    struct swki_manager *m = ctx;
    int rc = swk_raft_restore_snapshot(m->raft, meta, err);

    return rc != 0 ? rc
                   : swki_store_restore(m->store, meta->index, data, data_len,
                                        err);
}

static int restore_hard_state(void *ctx, const struct swk_hard_state *state,
                              struct swk_error *err)
{
    struct swki_manager *m = ctx;

    return swk_raft_restore_hard_state(m->raft, state, err);
}

static int restore_entry(void *ctx, const struct swk_log_entry *entry,
                         struct swk_error *err)
{
    struct swki_manager *m = ctx;

    return swk_raft_restore_entry(m->raft, entry, err);
}

/* Makes the machines and gives them what the storage holds. */
static int load(struct swki_manager *m, struct swk_error *err)
{
    const struct swki_manager_config *config = &m->config;
    const struct swk_raft_config raft_config = {
        .size = sizeof(raft_config),
        .id = config->raft_id,
        .seed = config->seed,
        .alloc = config->alloc,
        .logger = config->logger,
    };
    const struct swki_store_config store_config = {
        .alloc = config->alloc,
        .logger = config->logger,
        .proposer = {.ctx = m, .next_index = next_index, .propose = propose},
    };
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = m,
        .snapshot = restore_snapshot,
        .hard_state = restore_hard_state,
        .entry = restore_entry,
    };
    int rc = swk_raft_new(&raft_config, &m->raft, err);

    if (rc == 0) {
        rc = swki_store_new(&store_config, &m->store, err);
    }
    if (rc == 0) {
        rc = config->storage->load(config->storage->ctx, &replay, err);
    }
    if (rc == 0) {
        take_settings(m);
        rc = swk_raft_start(m->raft, m->now, err);
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
    m->leader_deadline = SWK_NEVER;
    m->now = config->clock->now(config->clock->ctx);
    swki_answers_init(&m->answers, config->alloc);
    rc = load(m, err);
    if (rc != 0) {
        swki_manager_free(m);
        return rc;
    }
    m->config.cluster = config->cluster;
    m->config.node = config->node;
    *out_manager = m;
    return SWK_OK;
}

static void drop_held(struct swki_manager *m)
{
    while (m->held != NULL) {
        struct held *next = m->held->next;

        swki_free(m->config.alloc, m->held->answer.message);
        swki_free(m->config.alloc, m->held);
        m->held = next;
    }
    m->held_last = &m->held;
}

void swki_manager_free(struct swki_manager *m)
{
    if (m == NULL) {
        return;
    }
    if (m->leader != NULL) {
        swki_leader_free(m->leader, &m->answers);
    }
    drop_held(m);
    swki_object_unref(m->config.cluster);
    swki_object_unref(m->config.node);
    swki_store_free(m->store);
    swk_raft_free(m->raft);
    swki_answers_fini(&m->answers);
    swki_free(m->config.alloc, m);
}

bool swki_manager_leads(const struct swki_manager *m)
{
    return m->leader != NULL;
}

bool swki_manager_has_cluster(const struct swki_manager *m)
{
    return swki_view_count(swki_store_committed(m->store),
                           SWKI_KIND_CLUSTER) > 0;
}

const struct swk_error *swki_manager_failure(const struct swki_manager *m)
{
    return m->failed ? &m->failure : NULL;
}

static void give_up(struct swki_manager *m, const struct swk_error *why)
{
    if (!m->failed) {
        m->failed = true;
        m->failure = *why;
        swki_log(m->config.logger, SWK_LOG_ERROR, "manager", "stopped: %s",
                 why->text);
    }
}

/* -- Answers -------------------------------------------------------------- */

static void give(struct swki_manager *m, const struct swki_answer *answer)
{
    m->config.answer(m->config.answer_ctx, answer);
}

static void give_end(struct swki_manager *m, uint64_t call_id,
                     enum swki_status status, const char *text)
{
    const struct swki_answer answer = {
        .call_id = call_id,
        .end = true,
        .status = status,
        .text = text,
    };

    give(m, &answer);
}

static void hold(struct swki_manager *m, const struct swki_answer *answer)
{
    struct held *held = swki_calloc(m->config.alloc, 1, sizeof(*held));
    uint8_t *copy = swki_alloc(m->config.alloc, answer->message_len);

    if (held == NULL || copy == NULL) {
        swki_free(m->config.alloc, held);
        swki_free(m->config.alloc, copy);
        give_end(m, answer->call_id, SWKI_STATUS_UNKNOWN,
                 "out of memory: the change may have been made");
        return;
    }
    if (answer->message_len > 0) {
        memcpy(copy, answer->message, answer->message_len);
    }
    held->answer = *answer;
    held->answer.message = copy;
    held->answer.text = ""; /* only replies are held, and they are good */
    *m->held_last = held;
    m->held_last = &held->next;
}

static void release_held(struct swki_manager *m)
{
    uint64_t committed = swki_view_index(swki_store_committed(m->store));

    while (m->held != NULL && m->held->answer.index <= committed) {
        struct held *held = m->held;

        give(m, &held->answer);
        m->held = held->next;
        if (m->held == NULL) {
            m->held_last = &m->held;
        }
        swki_free(m->config.alloc, held->answer.message);
        swki_free(m->config.alloc, held);
    }
}

static void give_answers(struct swki_manager *m)
{
    uint64_t committed = swki_view_index(swki_store_committed(m->store));

    for (const struct swki_answer *answer = m->answers.first; answer != NULL;
         answer = answer->next) {
        if (answer->index > committed) {
            hold(m, answer);
        } else {
            give(m, answer);
        }
    }
    if (m->answers.failed) {
        const struct swk_error err = {SWK_ENOMEM,
                                      "out of memory: an answer was lost"};

        give_up(m, &err);
    }
    swki_answers_reset(&m->answers);
}

/* The fate of what was held is unknown: say so. */
static void fail_held(struct swki_manager *m)
{
    for (const struct held *held = m->held; held != NULL; held = held->next) {
        give_end(m, held->answer.call_id, SWKI_STATUS_UNAVAILABLE,
                 "raft: failed to process the request: node lost leader "
                 "status; it may still take effect: retry with the same "
                 "request ID");
    }
    drop_held(m);
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

static void lead(struct swki_manager *m)
{
    swk_wall wall = m->config.clock->wall(m->config.clock->ctx);
    struct swki_leader_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .entropy = m->config.entropy,
        .store = m->store,
        .node_id = m->config.node_id,
        .raft_id = m->config.raft_id,
        .swarm_id = m->config.swarm_id,
        .address = m->config.address,
    };
    struct swk_error err;

    swki_log(m->config.logger, SWK_LOG_INFO, "manager", "leads the swarm");
    /* Anew for each time it leads, or the same IDs would be drawn again. */
    if (m->config.entropy->fill(m->config.entropy->ctx, &config.seed,
                                sizeof(config.seed)) != 0) {
        swki_fail(&err, SWK_EIO, "no entropy for identifiers");
        give_up(m, &err);
    } else if (bootstrap(m, wall, &err) != 0 ||
        swki_leader_new(&config, m->now, wall, &m->leader, &err) != 0) {
        give_up(m, &err);
    }
    m->leader_deadline = m->now;
}

static void step_down(struct swki_manager *m)
{
    if (m->leader != NULL) {
        swki_log(m->config.logger, SWK_LOG_WARN, "manager",
                 "leads the swarm no more");
        swki_leader_free(m->leader, &m->answers);
        m->leader = NULL;
        m->leader_deadline = SWK_NEVER;
    }
    swki_store_lose_leadership(m->store);
    fail_held(m);
}

/* -- The log -------------------------------------------------------------- */

static int store_snapshot(struct swki_manager *m,
                          const struct swki_view *view, struct swki_buf *buf,
                          struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    struct swk_snapshot_meta meta;
    uint64_t ticket;
    int rc = swki_view_save(view, buf, err);

    if (rc == 0) {
        rc = swk_raft_save_snapshot(m->raft, swki_view_index(view), &meta,
                                    &ticket, err);
    }
    if (rc != 0) {
        swk_raft_snapshot_abandoned(m->raft);
        return rc;
    }
    rc = storage->begin_snapshot(storage->ctx, &meta, NULL, err);
    if (rc == 0) {
        rc = storage->write_snapshot(storage->ctx, buf->data, buf->len, err);
    }
    if (rc == 0) {
        rc = storage->finish_snapshot(storage->ctx, 0, ticket, err);
    }
    if (rc != 0) {
        swk_raft_storage_failed(m->raft, err);
    }
    return rc;
}

static void take_snapshot(struct swki_manager *m, const struct swki_view *view)
{
    struct swki_buf buf;
    struct swk_error err;

    swki_buf_init(&buf, m->config.alloc, SIZE_MAX);
    if (store_snapshot(m, view, &buf, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_WARN, "manager",
                 "no snapshot at %llu: %s",
                 (unsigned long long)swki_view_index(view), err.text);
    }
    swki_buf_fini(&buf);
}

static void apply(struct swki_manager *m, const struct swk_log_entry *entries,
                  size_t entries_count)
{
    struct swk_error err;

    for (size_t i = 0; i < entries_count; i++) {
        const struct swk_log_entry *entry = &entries[i];
        int rc = SWK_OK;

        if (entry->data_len == 0) {
            swki_store_apply_nothing(m->store, entry->index);
        } else {
            rc = swki_store_apply(m->store, entry->index, entry->data,
                                  entry->data_len, &err);
        }
        if (rc != 0) {
            give_up(m, &err);
            return;
        }
    }
    take_settings(m);
}

/* The part of the actions that comes before entries are applied. */
static bool begin_actions(struct swki_manager *m,
                          const struct swk_raft_actions *actions)
{
    const struct swk_storage *storage = m->config.storage;
    struct swk_error err;

    if (actions->persist_ticket != 0 &&
        storage->append(storage->ctx, actions->hard_state, actions->entries,
                        actions->entries_count, actions->persist_ticket,
                        &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "storage", "%s", err.text);
        swk_raft_storage_failed(m->raft, &err);
        return false; /* which ends the actions */
    }
    if (actions->leadership_lost || actions->failure != 0) {
        step_down(m);
    }
    if (actions->failure != 0) {
        swki_fail(&err, actions->failure,
                  "the log cannot be written any more: mend its storage, then "
                  "restart");
        give_up(m, &err);
    }
    return true;
}

/* Carries out one set of actions. False if there was nothing to do. */
static bool run_actions(struct swki_manager *m)
{
    const struct swk_raft_actions *a = swk_raft_take_actions(m->raft);
    bool gained = a->leadership_gained != 0;
    const struct swki_view *view = NULL;
    uint64_t applied = 0;
    struct swk_error err;

    if (a->persist_ticket == 0 && !a->leadership_lost && a->failure == 0 &&
        a->snapshot_wanted == 0 && a->committed_count == 0 && !gained) {
        return false;
    }
    if (!begin_actions(m, a)) {
        return true;
    }
    if (a->snapshot_wanted != 0) {
        view = swki_view_ref(swki_store_committed(m->store));
    }
    if (a->committed_count > 0) {
        applied = a->committed[a->committed_count - 1].index;
        apply(m, a->committed, a->committed_count);
    }
    if (applied != 0 && !m->failed &&
        swk_raft_applied(m->raft, applied, &err) != 0) {
        give_up(m, &err);
    }
    if (view != NULL && !m->failed) {
        take_snapshot(m, view);
    }
    swki_view_unref(view);
    if (gained && !m->failed) {
        lead(m);
    }
    return true;
}

void swki_manager_stored(struct swki_manager *m, uint64_t ticket, int code,
                         const struct swk_error *err)
{
    struct swk_error why;

    if (code != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "storage", "%s", err->text);
        swk_raft_storage_failed(m->raft, err);
    } else if (swk_raft_persisted(m->raft, ticket, &why) != 0) {
        give_up(m, &why);
    }
}

/* -- Calls ---------------------------------------------------------------- */

/* Whether the node was removed from the swarm. */
static bool blacklisted(const struct swki_manager *m, const char *node_id)
{
    const struct swki_object *object = find_cluster(m);
    const Swkpb__Cluster *cluster;

    if (object == NULL) {
        return false;
    }
    cluster = swki_cluster(object);
    for (size_t i = 0; i < cluster->n_blacklisted_certificates; i++) {
        if (strcmp(cluster->blacklisted_certificates[i]->key, node_id) == 0) {
            return true;
        }
    }
    return false;
}

/* Refuses a call: the caller may not make it. */
static bool deny(struct swk_error *err, const char *why, const char *detail)
{
    swki_fail(err, SWK_EDENIED, "Permission denied: %s%s", why, detail);
    return false;
}

/* The control socket's caller is the administrator, who may do all that it is
 * offered; but nodes speak for themselves. */
static bool permits_local(const struct swki_method *method,
                          struct swk_error *err)
{
    return (method->roles & SWKI_ROLE_WORKER) == 0 ||
           deny(err, "only a node with its certificate makes this call, and "
                     "the control socket is none", "");
}

static bool permits_remote(const struct swki_manager *m,
                           const struct swki_method *method,
                           const struct swki_caller *caller,
                           struct swk_error *err)
{
    if (method->roles == SWKI_ROLE_NONE) {
        return true;
    }
    if (caller->role == SWKI_ROLE_NONE) {
        return deny(err, "no client certificates in request", "");
    }
    if ((caller->role & method->roles) == 0) {
        return deny(err,
                    "unauthorized peer role: remote certificate not part of "
                    "OUs: ",
                    (method->roles & SWKI_ROLE_WORKER) != 0
                        ? "[swarm-worker swarm-manager]"
                        : "[swarm-manager]");
    }
    if (strcmp(caller->swarm_id, m->config.swarm_id) != 0) {
        return deny(err,
                    "unauthorized peer role: remote certificate not part of "
                    "organization: ",
                    m->config.swarm_id);
    }
    if (blacklisted(m, caller->node_id)) {
        swki_fail(err, SWK_EDENIED,
                  "Permission denied: node %s was removed from swarm",
                  caller->node_id);
        return false;
    }
    return true;
}

/* The method of a call that may go on; NULL with the reason. */
static const struct swki_method *admit(const struct swki_manager *m,
                                       const struct swki_manager_call *call,
                                       struct swk_error *err)
{
    const struct swki_method *method =
        swki_method_by_path(call->path, strlen(call->path));
    bool local = call->caller->local;

    if (method == NULL) {
        swki_fail(err, SWK_ENOTSUP, "unknown method %.120s", call->path);
        return NULL;
    }
    if (local ? !permits_local(method, err)
              : !permits_remote(m, method, call->caller, err)) {
        return NULL;
    }
    if ((local ? method->local : method->remote) == SWKI_SERVED_NOT) {
        swki_fail(err, SWK_ENOTSUP, "%s.%s is not served %s",
                  method->service, method->name,
                  local ? "through the control socket" : "to the network");
        return NULL;
    }
    return method;
}

static void dispatch(struct swki_manager *m, const struct swki_method *method,
                     const struct swki_manager_call *call)
{
    struct swki_arena arena;
    ProtobufCMessage *request;
    struct swk_error err;

    swki_arena_init(&arena, m->config.alloc,
                    swki_message_memory_max(call->request_len));
    if (swki_message_unpack(method->request, call->request, call->request_len,
                            &arena, &request, &err) != 0) {
        give_end(m, call->id, swki_status_from_error(err.code), err.text);
    } else {
        const struct swki_call decoded = {
            .id = call->id,
            .path = call->path,
            .caller = call->caller,
            .request = request,
        };

        swki_leader_call(m->leader, m->now,
                         m->config.clock->wall(m->config.clock->ctx), &decoded,
                         &m->answers);
        m->leader_deadline = m->now;
    }
    swki_arena_fini(&arena);
}

void swki_manager_call(struct swki_manager *m, swk_time now,
                       const struct swki_manager_call *call)
{
    struct swk_error err;
    const struct swki_method *method = admit(m, call, &err);

    m->now = now;
    if (method == NULL) {
        give_end(m, call->id, swki_status_from_error(err.code), err.text);
    } else if (call->request_len > SWKI_MANAGER_REQUEST_MAX) {
        give_end(m, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                 "request is larger than 4 MiB");
    } else if (m->leader == NULL) {
        give_end(m, call->id, SWKI_STATUS_UNAVAILABLE,
                 "this manager does not lead the swarm at the moment: retry");
    } else {
        dispatch(m, method, call);
    }
}

void swki_manager_cancel(struct swki_manager *m, uint64_t call_id)
{
    if (m->leader != NULL) {
        swki_leader_cancel(m->leader, call_id);
    }
}

/* -- Turns ---------------------------------------------------------------- */

swk_time swki_manager_turn(struct swki_manager *m, swk_time now)
{
    swk_time deadline;
    struct swk_error err;
    int rounds = 0;
    bool busy = true;

    m->now = now;
    for (; busy && !m->failed && rounds < ROUNDS_MAX; rounds++) {
        if (swk_raft_deadline(m->raft) <= now &&
            swk_raft_expire(m->raft, now, &err) != 0) {
            give_up(m, &err);
        }
        busy = run_actions(m);
        if (m->leader != NULL && (busy || m->leader_deadline <= now)) {
            m->leader_deadline = swki_leader_step(
                m->leader, now, m->config.clock->wall(m->config.clock->ctx),
                &m->answers);
            busy = true;
        }
        give_answers(m);
        release_held(m);
    }
    if (m->failed) {
        step_down(m);
        give_answers(m);
        return SWK_NEVER;
    }
    deadline = swk_raft_deadline(m->raft);
    if (m->leader_deadline < deadline) {
        deadline = m->leader_deadline;
    }
    return busy ? now : deadline;
}
