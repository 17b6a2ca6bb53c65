/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/server_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "ca.pb-c.h"

/* All calls that wait for one node. Its key lives in the struct. */
struct group {
    struct swki_link waiters;
    size_t waiters_count;
    char node_id[SWK_ID_LEN_MAX + 1];
};

struct waiter {
    struct swki_link link;
    struct group *group;
    uint64_t call_id;
    char key[SWKI_CA_CALL_KEY_SIZE];
};

static void call_key(uint64_t call_id, char out_key[SWKI_CA_CALL_KEY_SIZE])
{
    snprintf(out_key, SWKI_CA_CALL_KEY_SIZE, "%" PRIu64, call_id);
}

void swki_ca_waiting_init(struct swki_ca_waiting *waiting,
                          const struct swk_alloc *alloc, size_t max)
{
    waiting->alloc = alloc;
    waiting->max = max;
    swki_map_init(&waiting->nodes, alloc);
    swki_map_init(&waiting->calls, alloc);
}

static struct waiter *first_waiter(const struct group *group)
{
    return swki_list_empty(&group->waiters)
               ? NULL
               : SWKI_CONTAINER(group->waiters.next, struct waiter, link);
}

static void drop_waiter(struct swki_ca_waiting *waiting, struct waiter *waiter)
{
    swki_map_remove(&waiting->calls, waiter->key);
    swki_list_remove(&waiter->link);
    waiter->group->waiters_count--;
    swki_free(waiting->alloc, waiter);
}

static void drop_group(struct swki_ca_waiting *waiting, struct group *group)
{
    swki_map_remove(&waiting->nodes, group->node_id);
    swki_free(waiting->alloc, group);
}

void swki_ca_waiting_fini(struct swki_ca_waiting *waiting)
{
    struct group *group;
    size_t cursor = 0;

    while ((group = swki_map_next(&waiting->nodes, &cursor)) != NULL) {
        struct waiter *waiter;

        while ((waiter = first_waiter(group)) != NULL) {
            drop_waiter(waiting, waiter);
        }
        drop_group(waiting, group);
    }
    swki_map_fini(&waiting->nodes);
    swki_map_fini(&waiting->calls);
}

static struct group *find_or_add_group(struct swki_ca_waiting *waiting,
                                       const char *node_id)
{
    struct group *group = swki_map_get(&waiting->nodes, node_id);

    if (group != NULL) {
        return group;
    }
    group = swki_calloc(waiting->alloc, 1, sizeof(*group));
    if (group == NULL) {
        return NULL;
    }
    swki_list_init(&group->waiters);
    snprintf(group->node_id, sizeof(group->node_id), "%s", node_id);
    if (!swki_map_put(&waiting->nodes, group->node_id, group)) {
        swki_free(waiting->alloc, group);
        return NULL;
    }
    return group;
}

/* One node has one caller, and perhaps some that it gave up; strangers who know
 * of a request must not fill the table. */
static int check_room(const struct swki_ca_waiting *waiting,
                      const char *node_id, struct swk_error *err)
{
    const struct group *group = swki_map_get(&waiting->nodes, node_id);

    if (waiting->calls.count >= waiting->max) {
        return swki_fail(err, SWK_ELIMIT,
                         "too many calls wait for certificates");
    }
    return group == NULL || group->waiters_count < SWKI_CA_WAITING_NODE_MAX
               ? SWK_OK
               : swki_fail(err, SWK_ELIMIT,
                           "too many calls wait for the certificate of this "
                           "node");
}

int swki_ca_waiting_add(struct swki_ca_waiting *waiting, uint64_t call_id,
                        const char *node_id, struct swk_error *err)
{
    struct waiter *waiter;
    struct group *group;
    int rc = check_room(waiting, node_id, err);

    if (rc != 0) {
        return rc;
    }
    waiter = swki_calloc(waiting->alloc, 1, sizeof(*waiter));
    if (waiter == NULL) {
        return swki_fail_nomem(err);
    }
    waiter->call_id = call_id;
    call_key(call_id, waiter->key);
    group = find_or_add_group(waiting, node_id);
    if (group == NULL) {
        swki_free(waiting->alloc, waiter);
        return swki_fail_nomem(err);
    }
    waiter->group = group;
    group->waiters_count++;
    swki_list_append(&group->waiters, &waiter->link);
    if (!swki_map_put(&waiting->calls, waiter->key, waiter)) {
        drop_waiter(waiting, waiter);
        if (swki_list_empty(&group->waiters)) {
            drop_group(waiting, group);
        }
        return swki_fail_nomem(err);
    }
    return SWK_OK;
}

void swki_ca_waiting_cancel(struct swki_ca_waiting *waiting, uint64_t call_id)
{
    char key[SWKI_CA_CALL_KEY_SIZE];
    struct waiter *waiter;
    struct group *group;

    call_key(call_id, key);
    waiter = swki_map_get(&waiting->calls, key);
    if (waiter == NULL) {
        return;
    }
    group = waiter->group;
    drop_waiter(waiting, waiter);
    if (swki_list_empty(&group->waiters)) {
        drop_group(waiting, group);
    }
}

bool swki_ca_is_answered(const Swkpb__Node *node)
{
    if (node->certificate == NULL || node->certificate->status == NULL) {
        return false;
    }
    switch ((int)node->certificate->status->state) {
    case SWKPB__ISSUANCE_STATUS__STATE__ISSUED:
    case SWKPB__ISSUANCE_STATUS__STATE__FAILED:
    case SWKPB__ISSUANCE_STATUS__STATE__ROTATE:
        return true;
    default:
        return swki_ca_waits_for_a_reason(node);
    }
}

void swki_ca_answer_status(struct swki_answers *answers, uint64_t call_id,
                           const Swkpb__Node *node)
{
    Swkpb__NodeCertificateStatusResponse response =
        SWKPB__NODE_CERTIFICATE_STATUS_RESPONSE__INIT;

    response.certificate = node->certificate;
    response.status = node->certificate->status;
    swki_answer_reply(answers, call_id, &response.base, 0);
}

/* Ends all calls of a group: with the node's state, or without a node. */
static void answer_group(struct swki_ca_waiting *waiting, struct group *group,
                         const Swkpb__Node *node, struct swki_answers *answers)
{
    struct waiter *waiter;

    while ((waiter = first_waiter(group)) != NULL) {
        if (node != NULL) {
            swki_ca_answer_status(answers, waiter->call_id, node);
        } else {
            swki_answer_end(answers, waiter->call_id, SWKI_STATUS_NOT_FOUND,
                            "the node was removed");
        }
        drop_waiter(waiting, waiter);
    }
    drop_group(waiting, group);
}

void swki_ca_waiting_node(struct swki_ca_waiting *waiting,
                          const Swkpb__Node *node, struct swki_answers *answers)
{
    struct group *group = swki_map_get(&waiting->nodes, node->id);

    if (group != NULL && swki_ca_is_answered(node)) {
        answer_group(waiting, group, node, answers);
    }
}

void swki_ca_waiting_gone(struct swki_ca_waiting *waiting, const char *node_id,
                          struct swki_answers *answers)
{
    struct group *group = swki_map_get(&waiting->nodes, node_id);

    if (group != NULL) {
        answer_group(waiting, group, NULL, answers);
    }
}

void swki_ca_waiting_review(struct swki_ca_waiting *waiting,
                            const struct swki_view *view,
                            struct swki_answers *answers)
{
    struct group *group;
    size_t cursor = 0;

    while ((group = swki_map_next(&waiting->nodes, &cursor)) != NULL) {
        const struct swki_object *object =
            swki_view_get(view, SWKI_KIND_NODE, group->node_id);

        if (object == NULL) {
            answer_group(waiting, group, NULL, answers);
        } else if (swki_ca_is_answered(swki_node(object))) {
            answer_group(waiting, group, swki_node(object), answers);
        }
    }
}

void swki_ca_waiting_stop(struct swki_ca_waiting *waiting,
                          struct swki_answers *answers)
{
    struct waiter *waiter;
    size_t cursor = 0;

    while ((waiter = swki_map_next(&waiting->calls, &cursor)) != NULL) {
        swki_answer_end(answers, waiter->call_id, SWKI_STATUS_ABORTED,
                        "CA signer is stopped");
    }
    swki_ca_waiting_fini(waiting);
}
