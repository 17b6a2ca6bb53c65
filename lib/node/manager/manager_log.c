/* SPDX-License-Identifier: Apache-2.0 */

/* What raft asks for: the storage that a manager writes to, and the store and
 * the list of members that its log feeds. */

#include "node/manager/manager_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "raft.pb-c.h"
#include "wire/message.h"

#define STORAGE_PAUSE (5 * SWK_MILLISECOND)

enum {
    PIECE_SIZE = 256 * 1024,
    READ_SIZE = 1024 * 1024,
};

/* Raft gives up, and hands over if it leads; the reason is told at the end. */
static void fail_storage(struct swki_manager *m, const struct swk_error *why)
{
    if (m->storage_failure.code == 0) {
        m->storage_failure = *why;
    }
    swk_raft_storage_failed(m->raft, why);
}

/* -- Snapshots ------------------------------------------------------------ */

void swki_manager_stop_saving(struct swki_manager *m)
{
    if (m->saving.active) {
        m->saving.active = false;
        swki_saver_fini(&m->saving.saver);
        swki_buf_fini(&m->saving.piece);
    }
}

/* A snapshot is no duty: the log alone is enough. It is tried again later. */
static void abandon_saving(struct swki_manager *m, const struct swk_error *why)
{
    const struct swk_storage *storage = m->config.storage;

    swki_log(m->config.logger, SWK_LOG_WARN, "manager",
             "no snapshot at %" PRIu64 ": %s", m->saving.index, why->text);
    storage->abort_snapshot(storage->ctx, 0);
    swk_raft_snapshot_abandoned(m->raft);
    swki_manager_stop_saving(m);
}

/* Begins to save the committed view, as it is now. */
static void begin_saving(struct swki_manager *m)
{
    const struct swk_storage *storage = m->config.storage;
    struct swki_saving *saving = &m->saving;
    struct swk_snapshot_meta meta;
    struct swk_error err;
    int rc = swk_raft_begin_snapshot(m->raft, &meta, &err);

    if (rc == 0) {
        saving->index = meta.index;
        rc = storage->begin_snapshot(storage->ctx, &meta, NULL, &err);
    }
    if (rc != 0) { /* a received one is on its way, for example */
        swki_log(m->config.logger, SWK_LOG_DEBUG, "manager", "no snapshot: %s",
                 err.text);
        swk_raft_snapshot_abandoned(m->raft);
        return;
    }
    saving->active = true;
    saving->retry_at = 0;
    swki_buf_init(&saving->piece, m->config.alloc, SIZE_MAX);
    swki_saver_init(&saving->saver, swki_store_committed(m->store));
    if (swki_membership_save(m->membership, &saving->piece, &err) != 0 ||
        swki_store_save_requests(m->store, &saving->piece, &err) != 0) {
        abandon_saving(m, &err);
    }
}

void swki_manager_save_now(struct swki_manager *m)
{
    if (m->raft != NULL && !swki_manager_is_saving(m)) {
        begin_saving(m);
    }
}

bool swki_manager_is_saving(const struct swki_manager *m)
{
    return m->saving.active || m->saving.ticket != 0;
}

static int finish_saving(struct swki_manager *m, struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    uint64_t ticket;
    int rc = swk_raft_finish_snapshot(m->raft, &ticket, err);

    if (rc != 0) {
        return rc;
    }
    swki_manager_stop_saving(m);
    m->saving.ticket = ticket;
    rc = storage->finish_snapshot(storage->ctx, 0, ticket, err);
    if (rc != 0) {
        storage->abort_snapshot(storage->ctx, 0);
        fail_storage(m, err);
    }
    return SWK_OK;
}

/* The next piece, or what is left of it; after the last one, that it was. */
static int save_piece(struct swki_manager *m, struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    struct swki_saving *saving = &m->saving;
    int rc = SWK_OK;

    if (saving->piece.len == 0 && !swki_saver_done(&saving->saver)) {
        rc = swki_saver_next(&saving->saver, PIECE_SIZE, &saving->piece, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (saving->piece.len > 0) {
        rc = storage->write_snapshot(storage->ctx, saving->piece.data,
                                     saving->piece.len, err);
        if (rc == 0) {
            swki_buf_clear(&saving->piece);
        }
        return rc;
    }
    rc = storage->write_snapshot(storage->ctx, NULL, 0, err);
    return rc == 0 ? finish_saving(m, err) : rc;
}

swk_time swki_manager_save(struct swki_manager *m)
{
    struct swki_saving *saving = &m->saving;
    struct swk_error err;
    int rc;

    if (!saving->active) {
        return SWK_NEVER;
    }
    if (saving->retry_at > m->now) {
        return saving->retry_at;
    }
    rc = save_piece(m, &err);
    if (rc == SWK_EUNAVAILABLE) {
        saving->retry_at = m->now + STORAGE_PAUSE;
        return saving->retry_at;
    }
    if (rc != 0) {
        abandon_saving(m, &err);
    }
    return saving->active ? m->now : SWK_NEVER;
}

/* Reads the whole of an installed snapshot back. */
static int read_installed(struct swki_manager *m, struct swki_buf *out,
                          struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    uint64_t total;
    size_t len;
    int rc;

    do {
        uint8_t *room = swki_buf_reserve(out, READ_SIZE);

        if (room == NULL) {
            return swki_fail_nomem(err);
        }
        rc = storage->read_snapshot(storage->ctx, m->installing.index,
                                    m->installing.term, out->len, room,
                                    READ_SIZE, &len, &total, err);
        out->len += rc == 0 ? len : 0;
    } while (rc == 0 && len > 0);
    return rc;
}

/* The storage has a received snapshot: the state becomes what it says. */
static int install(struct swki_manager *m, struct swk_error *err)
{
    struct swk_conf_state conf_state;
    struct swki_buf data;
    int rc;

    swki_buf_init(&data, m->config.alloc, SIZE_MAX);
    rc = read_installed(m, &data, err);
    if (rc == 0) {
        swk_raft_conf_state(m->raft, &conf_state);
        rc = swki_manager_restore_state(m, &conf_state, m->installing.index,
                                        data.data, data.len, err);
    }
    swki_buf_fini(&data);
    if (rc == 0) {
        swki_manager_audit_restored(m, m->installing.index);
        swki_log(m->config.logger, SWK_LOG_INFO, "manager",
                 "took the leader's snapshot of entry %" PRIu64,
                 m->installing.index);
    }
    m->installing.ticket = 0;
    return rc;
}

void swki_manager_stored(struct swki_manager *m, uint64_t ticket, int code,
                         const struct swk_error *err)
{
    struct swk_error why;
    int rc = SWK_OK;

    if (m->raft == NULL) {
        return;
    }
    if (code != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "storage", "%s", err->text);
        fail_storage(m, err);
        return;
    }
    if (m->saving.ticket <= ticket) {
        m->saving.ticket = 0;
    }
    if (m->installing.ticket != 0 && m->installing.ticket <= ticket) {
        rc = install(m, &why);
    }
    if (rc == 0) {
        rc = swk_raft_persisted(m->raft, ticket, &why);
    }
    if (rc != 0) {
        swki_manager_give_up(m, &why);
    }
}

/* -- Messages ------------------------------------------------------------- */

void swki_manager_receive(struct swki_manager *m, swk_time now,
                          const struct swk_raft_message *message)
{
    struct swk_error err;

    m->now = now;
    if (m->raft == NULL || m->failed) {
        return;
    }
    m->stepped_snapshot =
        m->stepped_snapshot || message->type == SWK_RAFT_MSG_SNAP;
    if (swk_raft_step(m->raft, message, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_WARN, "raft",
                 "message from member %" PRIx64 " refused: %s", message->from,
                 err.text);
    }
}

void swki_manager_unreachable(struct swki_manager *m, uint64_t raft_id)
{
    if (m->raft != NULL) {
        swk_raft_report_unreachable(m->raft, raft_id);
    }
}

void swki_manager_snapshot_goes_on(struct swki_manager *m, uint64_t raft_id)
{
    if (m->raft != NULL) {
        swk_raft_snapshot_alive(m->raft, raft_id);
    }
}

void swki_manager_snapshot_sent(struct swki_manager *m, uint64_t raft_id,
                                bool ok)
{
    if (m->raft != NULL) {
        swk_raft_report_snapshot(m->raft, raft_id, ok ? 1 : 0);
    }
}

void swki_manager_told_removed(struct swki_manager *m, uint64_t by_raft_id)
{
    m->removed =
        m->removed || swki_membership_told_removed(m->membership, by_raft_id);
}

void swki_manager_reachable(struct swki_manager *m, uint64_t raft_id,
                            bool reachable)
{
    swki_membership_set_reachable(m->membership, raft_id, reachable);
}

/* -- Actions -------------------------------------------------------------- */

static int apply_conf_change(struct swki_manager *m,
                             const struct swk_log_entry *entry,
                             struct swk_error *err)
{
    struct swki_membership_outcome outcome;
    int rc = swki_membership_apply(m->membership, entry, &outcome, err);

    if (rc == 0) {
        rc = swk_raft_apply_conf_change(m->raft, entry, outcome.reject, err);
    }
    if (rc == 0) {
        m->removed = m->removed || outcome.self_removed;
        swki_store_apply_nothing(m->store, entry->index);
        if (m->leader != NULL) {
            swki_leader_membership_applied(m->leader, entry->index, &outcome);
        }
    }
    return rc;
}

static int apply_entry(struct swki_manager *m,
                       const struct swk_log_entry *entry, struct swk_error *err)
{
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        return apply_conf_change(m, entry, err);
    }
    if (entry->data_len == 0) {
        swki_store_apply_nothing(m->store, entry->index);
        return SWK_OK;
    }
    return swki_store_apply(m->store, entry->index, entry->data,
                            entry->data_len, err);
}

/* Hands the cluster's settings of the log on, once they have changed. */
static void take_settings(struct swki_manager *m)
{
    const struct swki_object *object = swki_manager_cluster(m);
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

static void apply(struct swki_manager *m, const struct swk_log_entry *entries,
                  size_t count)
{
    struct swk_error err;
    int rc = SWK_OK;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = apply_entry(m, &entries[i], &err);
    }
    if (rc == 0) {
        rc = swk_raft_applied(m->raft, entries[count - 1].index, &err);
    }
    if (rc == 0) {
        take_settings(m);
    } else {
        swki_manager_give_up(m, &err);
    }
}

/* What the storage has to write. */
static int persist(struct swki_manager *m, const struct swk_raft_actions *a,
                   struct swk_error *err)
{
    const struct swk_storage *storage = m->config.storage;
    int rc = SWK_OK;

    if (a->install != NULL) {
        m->installing = (struct swki_installing){
            .ticket = a->install_ticket,
            .index = a->install->index,
            .term = a->install->term,
        };
        rc = storage->finish_snapshot(storage->ctx, 1, a->install_ticket, err);
    } else if (m->stepped_snapshot) { /* raft has no use for it */
        storage->abort_snapshot(storage->ctx, 0);
    }
    m->stepped_snapshot = false;
    if (rc == 0 && a->persist_ticket != 0) {
        rc = storage->append(storage->ctx, a->hard_state, a->entries,
                             a->entries_count, a->persist_ticket, err);
    }
    return rc;
}

/* The part of the actions that comes before entries are applied. */
static bool begin_actions(struct swki_manager *m,
                          const struct swk_raft_actions *a)
{
    struct swk_error err;

    if (persist(m, a, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "storage", "%s", err.text);
        fail_storage(m, &err);
        return false; /* which ends the actions */
    }
    for (size_t i = 0; i < a->messages_count; i++) {
        m->config.send(m->config.send_ctx, &a->messages[i]);
    }
    if (a->leadership_lost || a->failure != 0) {
        swki_manager_step_down(m);
    }
    if (a->failure != 0) {
        if (m->storage_failure.code != 0) {
            err = m->storage_failure;
            swki_error_prefix(&err, "the log cannot be written any more");
        } else {
            swki_fail(&err, a->failure,
                      "the log cannot be written any more: restart");
        }
        swki_manager_give_up(m, &err);
    }
    return true;
}

static bool has_actions(const struct swki_manager *m,
                        const struct swk_raft_actions *a)
{
    return a->persist_ticket != 0 || a->install != NULL ||
           a->messages_count > 0 || a->leadership_lost || a->failure != 0 ||
           a->snapshot_wanted != 0 || a->committed_count > 0 ||
           a->reads_count > 0 || a->leadership_gained || m->stepped_snapshot;
}

bool swki_manager_run_raft(struct swki_manager *m)
{
    const struct swk_raft_actions *a;
    bool gained;

    if (m->raft == NULL) {
        return false;
    }
    a = swk_raft_take_actions(m->raft);
    if (!has_actions(m, a)) {
        return false;
    }
    gained = a->leadership_gained != 0;
    if (!begin_actions(m, a) || m->failed) {
        return true;
    }
    if (a->snapshot_wanted != 0) {
        begin_saving(m);
    }
    swki_manager_note_reads(m, a->reads, a->reads_count);
    if (a->committed_count > 0) {
        apply(m, a->committed, a->committed_count);
    }
    if (gained && !m->failed) {
        swki_manager_lead(m);
    }
    return true;
}
