/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/joining.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/ca/server_impl.h"
#include "wire/time.h"

enum {
    WRITES_MAX = SWKI_CA_WRITES_PER_STEP, /* in one transaction */
};

static bool is_pending(const Swkpb__Node *node)
{
    return node->certificate != NULL && node->certificate->status != NULL &&
           node->certificate->status->state ==
               SWKPB__ISSUANCE_STATUS__STATE__PENDING;
}

/* ---- why ---- */

bool swki_ca_waits_for_a_reason(const Swkpb__Node *node)
{
    return is_pending(node) && node->certificate->status->err[0] != '\0';
}

/* Whatever was refused alone has a reason of its own, as long as it is not
 * tried again. */
static const char *reason_for(const struct swki_ca_signing *signing,
                              const struct swki_ca_job *job)
{
    const char *all = swki_ca_reason_text(&signing->reason);

    return job->state != SWKI_CA_JOB_PAUSED && all[0] != '\0'
               ? all
               : swki_ca_reason_text(&job->reason);
}

/* 1 if it was written, 0 if there was nothing to write. */
static int write_reason(struct swki_tx *tx, const struct swki_ca_job *job,
                        const char *reason, struct swk_error *err)
{
    const struct swki_object *node =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, job->node_id);
    Swkpb__IssuanceStatus *status = NULL;
    Swkpb__Certificate *record;
    struct swki_object *object;
    int rc;

    if (node == NULL || reason[0] == '\0' || !is_pending(swki_node(node)) ||
        strcmp(swki_node(node)->certificate->status->err, reason) == 0) {
        return 0;
    }
    object = swki_object_edit(node);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    record = swki_object_own(object, &swki_node_edit(object)->certificate);
    if (record != NULL) {
        status = swki_object_own(object, &record->status);
    }
    if (status != NULL) {
        status->err = swki_arena_strdup(swki_object_arena(object), reason);
    }
    if (status == NULL || status->err == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    rc = swki_tx_update(tx, object, err);
    return rc != 0 ? rc : 1;
}

static int write_reasons(struct swki_ca_server *server, struct swki_tx *tx,
                         size_t *out_count, struct swk_error *err)
{
    const struct swki_ca_job *job;
    size_t cursor = 0;
    int rc = 0;

    *out_count = 0;
    while (rc >= 0 && *out_count < WRITES_MAX &&
           (job = swki_map_next(&server->signing.jobs, &cursor)) != NULL) {
        rc = write_reason(tx, job, reason_for(&server->signing, job), err);
        *out_count += rc > 0;
    }
    return rc < 0 ? rc : SWK_OK;
}

void swki_ca_server_tell_reasons(struct swki_ca_server *server, swk_time now,
                                 swk_wall wall)
{
    struct swk_error err;
    struct swki_tx *tx;
    size_t count = 0;
    int rc;

    if (now < server->tell_at) {
        return;
    }
    server->tell_at = SWK_NEVER; /* the next failure tells the others */
    tx = swki_store_begin(server->store, SWKI_ACTOR_CA, wall);
    if (tx == NULL) {
        return;
    }
    rc = write_reasons(server, tx, &count, &err);
    if (rc != 0 || count == 0) {
        swki_tx_abort(tx);
    } else if (swki_tx_commit(tx, NULL, NULL, NULL, &err) == 0 &&
               count == WRITES_MAX) {
        server->tell_at = now;
    }
}

/* ---- the end ---- */

/* One that has none of a node's marks but its name. */
static bool was_given_up(const Swkpb__Node *node, swk_wall wall)
{
    const Swkpb__Certificate *record = node->certificate;
    swk_wall since =
        node->meta != NULL ? swki_timestamp_get(node->meta->created_at) : 0;

    return record != NULL && record->status != NULL &&
           record->certificate.len == 0 && node->description == NULL &&
           (is_pending(node) ||
            record->status->state == SWKPB__ISSUANCE_STATUS__STATE__FAILED) &&
           since != 0 && wall - since > (swk_wall)SWKI_CA_JOIN_LIMIT;
}

static int delete_some(struct swki_tx *tx, swk_wall wall, size_t *out_count,
                       struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    char ids[WRITES_MAX][SWK_ID_LEN_MAX + 1];
    const struct swki_object *node;
    struct swki_cursor cursor;
    size_t count = 0;
    int rc;

    *out_count = 0;
    rc = swki_view_find(swki_tx_view(tx), SWKI_KIND_NODE, &all, &cursor, err);
    if (rc != 0) {
        return rc;
    }
    while (count < WRITES_MAX && (node = swki_cursor_next(&cursor)) != NULL) {
        if (was_given_up(swki_node(node), wall)) {
            snprintf(ids[count++], sizeof(ids[0]), "%s", swki_object_id(node));
        }
    }
    swki_cursor_close(&cursor);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = swki_tx_delete(tx, SWKI_KIND_NODE, ids[i], err);
    }
    *out_count = count;
    return rc;
}

size_t swki_ca_end_joins(struct swki_store *store,
                         const struct swk_logger *logger, swk_wall wall)
{
    struct swki_tx *tx = swki_store_begin(store, SWKI_ACTOR_CA, wall);
    struct swk_error err;
    size_t count;

    if (tx == NULL) {
        return 0;
    }
    if (delete_some(tx, wall, &count, &err) != 0 || count == 0) {
        swki_tx_abort(tx);
        return 0;
    }
    if (swki_tx_commit(tx, NULL, NULL, NULL, &err) != 0) {
        return 0;
    }
    swki_log(logger, SWK_LOG_INFO, "ca",
             "removed %zu nodes that asked to join over a day ago, and never "
             "had a certificate",
             count);
    return count;
}
