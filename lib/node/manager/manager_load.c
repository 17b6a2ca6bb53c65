/* SPDX-License-Identifier: Apache-2.0 */

/* A manager's log as it is found in the storage, or begun there. */

#include "node/manager/manager_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "raft.pb-c.h"
#include "wire/message.h"

/* -- Loading -------------------------------------------------------------- */

static uint64_t next_index(void *ctx)
{
    const struct swki_manager *m = ctx;

    return m->raft != NULL ? swk_raft_next_index(m->raft) : 0;
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct swki_manager *m = ctx;

    return swk_raft_propose(m->raft, data, len, NULL, err);
}

/* The member that the log is of. */
static int make_raft(struct swki_manager *m, uint64_t raft_id,
                     struct swk_error *err)
{
    const struct swki_manager_config *config = &m->config;
    const struct swk_raft_config raft = {
        .size = sizeof(raft),
        .id = raft_id,
        .seed = config->seed,
        .alloc = config->alloc,
        .logger = config->logger,
        .heartbeat_ticks = config->heartbeat_ticks,
        .election_ticks = config->election_ticks,
        .tick_ns = config->tick_ns,
    };

    m->raft_id = raft_id;
    swki_membership_set_self(m->membership, raft_id);
    return swk_raft_new(&raft, &m->raft, err);
}

static int take_identity(struct swki_manager *m, const Swkpb__RaftMember *own,
                         struct swk_error *err)
{
    if (strcmp(own->node_id, m->config.node_id) != 0) {
        return swki_fail(err, SWK_ECORRUPT,
                         "the log is that of node %s, and this is node %s: "
                         "restore the directory it belongs to",
                         own->node_id, m->config.node_id);
    }
    m->blank = true;
    return make_raft(m, own->raft_id, err);
}

/* What is told of a log, and which voters it names beside this manager. */
struct loading {
    struct swki_manager *m;
    uint64_t others[SWK_RAFT_MEMBERS_MAX];
    size_t others_count;
};

static void note_voter(struct loading *loading, uint64_t raft_id, bool is_voter)
{
    size_t i = 0;

    while (i < loading->others_count && loading->others[i] != raft_id) {
        i++;
    }
    if (i < loading->others_count && !is_voter) {
        loading->others[i] = loading->others[--loading->others_count];
    } else if (i == loading->others_count && is_voter &&
               raft_id != loading->m->raft_id && i < SWK_RAFT_MEMBERS_MAX) {
        loading->others[loading->others_count++] = raft_id;
    }
}

static void note_change(struct loading *loading,
                        const struct swk_log_entry *entry)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {.size = sizeof(change)};

    if (entry->type == SWK_RAFT_ENTRY_NORMAL ||
        swk_raft_read_conf_change(entry, changes, &change, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < change.changes_count; i++) {
        if (changes[i].type != SWK_RAFT_UPDATE) {
            note_voter(loading, changes[i].id,
                       changes[i].type == SWK_RAFT_ADD_VOTER);
        }
    }
}

static int restore_identity(void *ctx, const uint8_t *data, size_t len,
                            struct swk_error *err)
{
    struct loading *loading = ctx;
    struct swki_manager *m = loading->m;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, m->config.alloc, swki_message_memory_max(len));
    rc = swki_message_unpack(&swkpb__raft_member__descriptor, data, len, &arena,
                             &message, err);
    if (rc == 0) {
        rc = take_identity(m, (const Swkpb__RaftMember *)message, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

static int no_identity(struct swk_error *err)
{
    return swki_fail(err, SWK_ECORRUPT,
                     "the log does not say which manager it belongs to");
}

int swki_manager_restore_state(struct swki_manager *m,
                               const struct swk_conf_state *conf_state,
                               uint64_t index, const uint8_t *data, size_t len,
                               struct swk_error *err)
{
    struct swki_membership_outcome outcome;
    int rc = swki_membership_restore(m->membership, data, len, conf_state,
                                     &outcome, err);

    if (rc == 0) {
        m->removed = m->removed || outcome.self_removed;
        rc = swki_store_restore(m->store, index, data, len, err);
    }
    return rc;
}

static int restore_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                            const uint8_t *data, size_t data_len,
                            struct swk_error *err)
{
    struct loading *loading = ctx;
    struct swki_manager *m = loading->m;
    const struct swk_conf_state *members = &meta->conf_state;
    int rc;

    m->blank = false;
    for (size_t i = 0; i < members->voters_count; i++) {
        note_voter(loading, members->voters[i], true);
    }
    for (size_t i = 0; i < members->voters_outgoing_count; i++) {
        note_voter(loading, members->voters_outgoing[i], true);
    }

    if (m->raft == NULL) {
        return no_identity(err);
    }
    rc = swk_raft_restore_snapshot(m->raft, meta, err);
    return rc != 0
               ? rc
               : swki_manager_restore_state(m, &meta->conf_state, meta->index,
                                            data, data_len, err);
}

static int restore_hard_state(void *ctx, const struct swk_hard_state *state,
                              struct swk_error *err)
{
    const struct loading *loading = ctx;
    struct swki_manager *m = loading->m;

    m->blank = false;
    return m->raft != NULL ? swk_raft_restore_hard_state(m->raft, state, err)
                           : no_identity(err);
}

static int restore_entry(void *ctx, const struct swk_log_entry *entry,
                         struct swk_error *err)
{
    struct loading *loading = ctx;
    struct swki_manager *m = loading->m;

    m->blank = false;
    note_change(loading, entry);
    return m->raft != NULL ? swk_raft_restore_entry(m->raft, entry, err)
                           : no_identity(err);
}

static int restore_lost(void *ctx, uint64_t acknowledged, struct swk_error *err)
{
    const struct loading *loading = ctx;
    struct swki_manager *m = loading->m;

    m->blank = false;
    if (m->raft == NULL) {
        return no_identity(err);
    }
    if (loading->others_count == 0) { /* nobody could send them again */
        return SWK_ECORRUPT;
    }
    swki_log(m->config.logger, SWK_LOG_ERROR, "manager",
             "the log is damaged: this manager neither votes nor leads before "
             "the leader has sent it everything up to entry %" PRIu64 " again",
             acknowledged);
    return swk_raft_restore_lost(m->raft, acknowledged, err);
}

int swki_manager_load(struct swki_manager *m, struct swk_error *err)
{
    const struct swki_manager_config *config = &m->config;
    const struct swki_store_config store = {
        .alloc = config->alloc,
        .logger = config->logger,
        .proposer = {.ctx = m, .next_index = next_index, .propose = propose},
    };
    const struct swki_membership_config membership = {
        .alloc = config->alloc,
        .logger = config->logger,
    };
    struct loading loading = {.m = m};
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = &loading,
        .identity = restore_identity,
        .snapshot = restore_snapshot,
        .hard_state = restore_hard_state,
        .entry = restore_entry,
        .lost = restore_lost,
    };
    int rc = swki_store_new(&store, &m->store, err);

    if (rc == 0) {
        swki_manager_audit_open(m);
        rc = swki_membership_new(&membership, &m->membership, err);
    }
    return rc != 0 ? rc
                   : config->storage->load(config->storage->ctx, &replay, err);
}

/* -- A new log ------------------------------------------------------------ */

/* Says in the log whose it is. */
static int identify(struct swki_manager *m, uint64_t raft_id,
                    struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    Swkpb__RaftMember own = SWKPB__RAFT_MEMBER__INIT;
    struct swki_buf encoded;
    int rc;

    own.raft_id = raft_id;
    own.node_id = (char *)m->config.node_id;
    own.addr = (char *)m->config.addresses[0];
    swki_buf_init(&encoded, m->config.alloc, SIZE_MAX);
    rc = swki_message_pack(&own.base, &encoded, err);
    if (rc == 0) {
        rc = storage->identify(storage->ctx, encoded.data, encoded.len, err);
    }
    swki_buf_fini(&encoded);
    return rc != 0 ? rc : make_raft(m, raft_id, err);
}

/* The first entry: this manager is the only member. */
static int bootstrap(struct swki_manager *m, struct swk_error *err)
{
    const struct swki_member self = {
        .raft_id = m->raft_id,
        .node_id = m->config.node_id,
        .addresses = m->config.addresses,
        .addresses_count = m->config.addresses_count,
    };
    const struct swk_raft_change add = {.type = SWK_RAFT_ADD_VOTER,
                                        .id = m->raft_id};
    struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .changes = &add,
        .changes_count = 1,
    };
    struct swki_buf context;
    int rc;

    swki_buf_init(&context, m->config.alloc, SIZE_MAX);
    rc = swki_member_encode(&self, &context, err);
    if (rc == 0) {
        change.context = context.data;
        change.context_len = context.len;
        rc = swk_raft_bootstrap(m->raft, &change, 1, err);
    }
    swki_buf_fini(&context);
    return rc;
}

int swki_manager_found_identified(struct swki_manager *m, struct swk_error *err)
{
    int rc = bootstrap(m, err);

    return rc != 0 ? rc : swk_raft_start(m->raft, m->now, err);
}

int swki_manager_found(struct swki_manager *m, uint64_t raft_id,
                       struct swk_error *err)
{
    int rc = identify(m, raft_id, err);

    return rc != 0 ? rc : swki_manager_found_identified(m, err);
}

int swki_manager_join(struct swki_manager *m, uint64_t raft_id,
                      struct swk_error *err)
{
    int rc = identify(m, raft_id, err);

    return rc != 0 ? rc : swk_raft_start(m->raft, m->now, err);
}
