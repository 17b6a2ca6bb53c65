/* SPDX-License-Identifier: Apache-2.0 */

/* The nodes whose certificates are to be signed: waiting for the signer, with
 * it, or ready to be written. */

#include "core/ca/server_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

bool swki_ca_reason_note(struct swki_ca_reason *reason, swk_time now,
                         swk_wall wall, const char *text)
{
    bool fails = swki_ca_reason_text(reason)[0] != '\0';
    bool soon = reason->text[0] != '\0' &&
                now - reason->noted_at < SWKI_CA_REASON_INTERVAL;
    bool same = fails && strcmp(reason->text, text) == 0;

    if (!fails) {
        reason->since = wall;
    }
    if (soon || same) {
        reason->flaps = reason->flaps || reason->over;
        reason->over = false;
        return false;
    }
    snprintf(reason->text, sizeof(reason->text), "%s", text);
    reason->noted_at = now;
    reason->over = false;
    reason->flaps = false;
    return true;
}

void swki_ca_reason_suspend(struct swki_ca_reason *reason)
{
    reason->over = reason->text[0] != '\0';
}

void swki_ca_reason_clear(struct swki_ca_reason *reason)
{
    *reason = (struct swki_ca_reason){.noted_at = 0};
}

const char *swki_ca_reason_text(const struct swki_ca_reason *reason)
{
    return reason->over ? "" : reason->text;
}

void swki_ca_signing_init(struct swki_ca_signing *signing,
                          const struct swk_alloc *alloc, size_t flying_max,
                          uint64_t first_id)
{
    *signing = (struct swki_ca_signing){
        .alloc = alloc,
        .flying_max = flying_max,
        .next_id = first_id,
    };
    swki_map_init(&signing->jobs, alloc);
    swki_list_init(&signing->queued);
    for (size_t i = 0; i < SWKI_CA_PAUSES; i++) {
        swki_list_init(&signing->paused[i]);
    }
    swki_list_init(&signing->flying);
    swki_list_init(&signing->done);
}

struct swki_ca_job *swki_ca_signing_first(const struct swki_link *list)
{
    return swki_list_empty(list)
               ? NULL
               : SWKI_CONTAINER(list->next, struct swki_ca_job, link);
}

bool swki_ca_signing_has_room(const struct swki_ca_signing *signing)
{
    return signing->flying_count < (signing->probing ? 1 : signing->flying_max);
}

/* Takes a job out of its list, with what belongs to its state. */
static void land(struct swki_ca_signing *signing, struct swki_ca_job *job)
{
    if (job->state == SWKI_CA_JOB_FLYING) {
        signing->flying_count--;
    }
    swki_list_remove(&job->link);
}

/* Forgets what was asked for and what came of it. */
static void reset(struct swki_ca_job *job)
{
    swki_object_unref(job->node);
    job->node = NULL;
    job->id = 0;
    job->failure.code = 0;
    swki_buf_clear(&job->pem);
}

void swki_ca_signing_drop(struct swki_ca_signing *signing,
                          struct swki_ca_job *job)
{
    land(signing, job);
    reset(job);
    swki_buf_fini(&job->pem);
    swki_map_remove(&signing->jobs, job->node_id);
    swki_free(signing->alloc, job);
}

static void drop_all(struct swki_ca_signing *signing, struct swki_link *list)
{
    struct swki_ca_job *job;

    while ((job = swki_ca_signing_first(list)) != NULL) {
        swki_ca_signing_drop(signing, job);
    }
}

void swki_ca_signing_fini(struct swki_ca_signing *signing)
{
    drop_all(signing, &signing->queued);
    for (size_t i = 0; i < SWKI_CA_PAUSES; i++) {
        drop_all(signing, &signing->paused[i]);
    }
    drop_all(signing, &signing->flying);
    drop_all(signing, &signing->done);
    swki_map_fini(&signing->jobs);
}

void swki_ca_signing_requeue(struct swki_ca_signing *signing,
                             struct swki_ca_job *job)
{
    land(signing, job);
    reset(job);
    job->state = SWKI_CA_JOB_QUEUED;
    swki_list_append(&signing->queued, &job->link);
}

void swki_ca_signing_fly(struct swki_ca_signing *signing,
                         struct swki_ca_job *job,
                         const struct swki_object *node)
{
    land(signing, job);
    job->state = SWKI_CA_JOB_FLYING;
    job->node = swki_object_ref(node);
    job->id = signing->next_id++;
    swki_list_append(&signing->flying, &job->link);
    signing->flying_count++;
}

void swki_ca_signing_finish(struct swki_ca_signing *signing,
                            struct swki_ca_job *job)
{
    land(signing, job);
    job->state = SWKI_CA_JOB_DONE;
    swki_list_append(&signing->done, &job->link);
}

void swki_ca_signing_pause(struct swki_ca_signing *signing,
                           struct swki_ca_job *job, swk_time now)
{
    unsigned length =
        job->pauses < SWKI_CA_PAUSES ? job->pauses : SWKI_CA_PAUSES - 1;

    land(signing, job);
    swki_buf_clear(&job->pem);
    job->state = SWKI_CA_JOB_PAUSED;
    job->pauses++;
    job->pause_until = now + (SWKI_CA_RETRY_INTERVAL << length);
    swki_list_append(&signing->paused[length], &job->link);
}

static void requeue_all(struct swki_ca_signing *signing, struct swki_link *list)
{
    struct swki_ca_job *job;

    while ((job = swki_ca_signing_first(list)) != NULL) {
        swki_ca_signing_requeue(signing, job);
    }
}

void swki_ca_signing_anew(struct swki_ca_signing *signing)
{
    struct swki_ca_job *job;
    size_t cursor = 0;

    swki_ca_reason_clear(&signing->reason);
    signing->retry_at = 0;
    requeue_all(signing, &signing->flying);
    for (size_t i = 0; i < SWKI_CA_PAUSES; i++) {
        requeue_all(signing, &signing->paused[i]);
    }
    while ((job = swki_map_next(&signing->jobs, &cursor)) != NULL) {
        job->pauses = 0;
        swki_ca_reason_clear(&job->reason);
    }
}

void swki_ca_signing_wake(struct swki_ca_signing *signing, swk_time now)
{
    struct swki_ca_job *job;

    for (size_t i = 0; i < SWKI_CA_PAUSES; i++) {
        while ((job = swki_ca_signing_first(&signing->paused[i])) != NULL &&
               job->pause_until <= now) {
            swki_ca_signing_requeue(signing, job);
        }
    }
}

swk_time swki_ca_signing_wake_at(const struct swki_ca_signing *signing)
{
    swk_time at = SWK_NEVER;

    for (size_t i = 0; i < SWKI_CA_PAUSES; i++) {
        const struct swki_ca_job *job =
            swki_ca_signing_first(&signing->paused[i]);

        if (job != NULL && job->pause_until < at) {
            at = job->pause_until;
        }
    }
    return at;
}

struct swki_ca_job *swki_ca_signing_find(const struct swki_ca_signing *signing,
                                         uint64_t id)
{
    for (struct swki_link *link = signing->flying.next;
         link != &signing->flying; link = link->next) {
        struct swki_ca_job *job =
            SWKI_CONTAINER(link, struct swki_ca_job, link);

        if (job->id == id) {
            return job;
        }
    }
    return NULL;
}

/* A renewal is signed for whoever is a node; a new one must be accepted. */
bool swki_ca_wants_signature(const Swkpb__Node *node)
{
    if (node->certificate == NULL || node->certificate->status == NULL) {
        return false;
    }
    switch ((int)node->certificate->status->state) {
    case SWKPB__ISSUANCE_STATUS__STATE__RENEW:
        return true;
    case SWKPB__ISSUANCE_STATUS__STATE__PENDING:
        return node->spec != NULL &&
               node->spec->membership == SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    default:
        return false;
    }
}

bool swki_ca_same_request(const Swkpb__Node *node, const Swkpb__Node *earlier)
{
    const Swkpb__Certificate *a = node->certificate;
    const Swkpb__Certificate *b = earlier->certificate;

    return node->role == earlier->role && a->csr.len == b->csr.len &&
           (a->csr.len == 0 ||
            memcmp(a->csr.data, b->csr.data, a->csr.len) == 0);
}

static bool add_job(struct swki_ca_signing *signing, const char *node_id)
{
    struct swki_ca_job *job = swki_calloc(signing->alloc, 1, sizeof(*job));

    if (job == NULL) {
        return false;
    }
    swki_buf_init(&job->pem, signing->alloc, SWKI_PEM_LEN_MAX);
    snprintf(job->node_id, sizeof(job->node_id), "%s", node_id);
    if (!swki_map_put(&signing->jobs, job->node_id, job)) {
        swki_free(signing->alloc, job);
        return false;
    }
    swki_list_append(&signing->queued, &job->link);
    return true;
}

bool swki_ca_signing_node(struct swki_ca_signing *signing,
                          const struct swki_object *object)
{
    const Swkpb__Node *node = swki_node(object);
    struct swki_ca_job *job = swki_map_get(&signing->jobs, node->id);

    if (!swki_ca_wants_signature(node)) {
        swki_ca_signing_gone(signing, node->id);
        return true;
    }
    if (job == NULL) {
        return add_job(signing, node->id);
    }
    if (job->node != NULL &&
        !swki_ca_same_request(node, swki_node(job->node))) {
        swki_ca_reason_clear(&job->reason);
        swki_ca_signing_requeue(signing, job);
    }
    return true;
}

void swki_ca_signing_gone(struct swki_ca_signing *signing, const char *node_id)
{
    struct swki_ca_job *job = swki_map_get(&signing->jobs, node_id);

    if (job != NULL) {
        swki_ca_signing_drop(signing, job);
    }
}
