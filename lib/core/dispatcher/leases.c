/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which value of a secret with a driver each task has.
 *
 * Nobody knows before the first answer whether a value is for one task or for
 * all of a node's that use the secret. So the first task asks, and the others
 * wait for what it is told: either they share the value, or each asks for its
 * own. When the first is told nothing, they all ask at once, so that one after
 * the other does not wait for a driver that is gone.
 */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/utf8.h"
#include "core/dispatcher/internal.h"

static const struct swki_object *find_driven(const struct swki_view *view,
                                             const char *id)
{
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_SECRET, id);
    const Swkpb__SecretSpec *spec =
        object != NULL ? swki_secret(object)->spec : NULL;

    return spec != NULL && spec->driver != NULL ? object : NULL;
}

bool swki_dispatcher_is_driven(const struct swki_view *view, const char *id)
{
    return find_driven(view, id) != NULL;
}

/* -- Life ----------------------------------------------------------------- */

static struct driven *need_driven(struct swki_dispatcher *d, struct node *node,
                                  const struct swki_object *secret)
{
    struct driven *driven = swki_map_get(&node->driven, swki_object_id(secret));

    if (driven != NULL) {
        return driven;
    }
    driven = swki_calloc(d->config.alloc, 1, sizeof(*driven));
    if (driven == NULL) {
        return NULL;
    }
    if (!swki_map_put(&node->driven, swki_object_id(secret), driven)) {
        swki_free(d->config.alloc, driven);
        return NULL;
    }
    driven->secret = swki_object_ref(secret);
    return driven;
}

static void free_driven(struct swki_dispatcher *d, struct node *node,
                        struct driven *driven)
{
    swki_map_remove(&node->driven, swki_object_id(driven->secret));
    swki_object_unref(driven->secret);
    swki_free(d->config.alloc, driven);
}

static struct lease *new_lease(struct swki_dispatcher *d, struct node *node,
                               struct sent_task *sent,
                               const struct swki_object *secret)
{
    struct driven *driven = need_driven(d, node, secret);
    struct lease *lease =
        driven != NULL ? swki_calloc(d->config.alloc, 1, sizeof(*lease)) : NULL;

    if (lease == NULL) {
        if (driven != NULL && driven->leases == 0) {
            free_driven(d, node, driven);
        }
        return NULL;
    }
    lease->node = node;
    lease->driven = driven;
    driven->leases++;
    snprintf(lease->task_id, sizeof(lease->task_id), "%s", sent->id);
    swki_list_init(&lease->link);
    swki_list_append(&sent->leases, &lease->link);
    return lease;
}

static void free_lease(struct swki_dispatcher *d, struct lease *lease)
{
    struct driven *driven = lease->driven;

    if (driven->asking == lease) {
        driven->asking = NULL;
    }
    if (lease->held != NULL) {
        lease->held->users--;
    }
    swki_fetcher_drop(d->fetcher, lease->fetch);
    swki_free(d->config.alloc, lease->lack);
    if (--driven->leases == 0) {
        free_driven(d, lease->node, driven);
    }
    swki_list_remove(&lease->link);
    swki_free(d->config.alloc, lease);
}

void swki_dispatcher_close_leases(struct swki_dispatcher *d,
                                  struct sent_task *sent)
{
    struct swki_link *next;

    for (struct swki_link *link = sent->leases.next; link != &sent->leases;
         link = next) {
        struct lease *lease = SWKI_CONTAINER(link, struct lease, link);

        next = link->next;
        if (lease->state != LEASE_SETTLED) {
            free_lease(d, lease);
        }
    }
}

void swki_dispatcher_release_leases(struct swki_dispatcher *d,
                                    struct sent_task *sent)
{
    while (!swki_list_empty(&sent->leases)) {
        free_lease(d, SWKI_CONTAINER(sent->leases.next, struct lease, link));
    }
}

bool swki_dispatcher_leases_open(const struct sent_task *sent)
{
    for (const struct swki_link *link = sent->leases.next;
         link != &sent->leases; link = link->next) {
        if (SWKI_CONTAINER(link, struct lease, link)->state != LEASE_SETTLED) {
            return true;
        }
    }
    return false;
}

/* -- Asking --------------------------------------------------------------- */

static struct lease *find_lease(const struct sent_task *sent,
                                const char *secret_id)
{
    for (struct swki_link *link = sent->leases.next; link != &sent->leases;
         link = link->next) {
        struct lease *lease = SWKI_CONTAINER(link, struct lease, link);

        if (strcmp(swki_object_id(lease->driven->secret), secret_id) == 0) {
            return lease;
        }
    }
    return NULL;
}

static void hold(struct lease *lease, struct dependency *dependency)
{
    lease->state = LEASE_SETTLED;
    lease->held = dependency;
    dependency->users++;
}

/* The one for all tasks, if the node has it or is about to get it. */
static struct dependency *find_shared(const struct node *node,
                                      const struct driven *driven)
{
    char key[sizeof(((struct dependency *)0)->key)];

    snprintf(key, sizeof(key), "s:%s", swki_object_id(driven->secret));

    struct dependency *dependency = swki_map_get(&node->dependencies, key);
    return dependency != NULL && dependency->leased ? dependency : NULL;
}

static bool advance(struct swki_dispatcher *d, struct lease *lease,
                    const struct swki_object *task)
{
    struct driven *driven = lease->driven;
    struct dependency *shared = find_shared(lease->node, driven);

    if (shared != NULL) {
        hold(lease, shared);
        return true;
    }
    if (driven->asking != NULL && !driven->apart) {
        return true;
    }
    lease->fetch = swki_fetcher_ask(d->fetcher, d->now, driven->secret, task,
                                    lease->node->id, lease);
    if (lease->fetch == NULL) {
        return false;
    }
    lease->state = LEASE_ASKING;
    driven->asking = lease;
    return true;
}

static bool lease_secret(struct swki_dispatcher *d, struct node *node,
                         struct sent_task *sent, const struct swki_object *task,
                         const char *secret_id)
{
    struct lease *lease = find_lease(sent, secret_id);

    if (lease == NULL) {
        const struct swki_object *secret =
            find_driven(swki_store_committed(d->store), secret_id);

        if (secret == NULL) {
            return true;
        }
        lease = new_lease(d, node, sent, secret);
    }
    return lease != NULL &&
           (lease->state != LEASE_WAITING || advance(d, lease, task));
}

bool swki_dispatcher_lease(struct swki_dispatcher *d, struct node *node,
                           struct sent_task *sent,
                           const struct swki_object *task)
{
    const Swkpb__TaskSpec *spec = swki_task(task)->spec;
    bool ok = true;

    for (size_t i = 0; ok && spec != NULL && i < spec->n_resource_references;
         i++) {
        const Swkpb__ResourceReference *reference =
            spec->resource_references[i];

        ok = reference->resource_type != SWKPB__RESOURCE_TYPE__SECRET ||
             lease_secret(d, node, sent, task, reference->resource_id);
    }
    if (!ok || spec == NULL ||
        spec->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return ok;
    }
    for (size_t i = 0; ok && i < spec->container->n_secrets; i++) {
        ok = lease_secret(d, node, sent, task,
                          spec->container->secrets[i]->secret_id);
    }
    return ok;
}

/* -- Reasons -------------------------------------------------------------- */

static const Swkpb__SecretSpec *spec_of(const struct lease *lease)
{
    return swki_secret(lease->driven->secret)->spec;
}

static const char *name_of(const struct lease *lease)
{
    const Swkpb__Annotations *annotations = spec_of(lease)->annotations;

    return annotations != NULL && annotations->name[0] != '\0'
               ? annotations->name
               : swki_object_id(lease->driven->secret);
}

/* Why its value has yet to come; NULL if that is not known. */
static const char *find_reason(const struct lease *lease)
{
    const struct lease *asking =
        lease->state == LEASE_WAITING ? lease->driven->asking : lease;

    return asking != NULL && asking->fetch != NULL ? asking->fetch->why : NULL;
}

static void describe_wait(const struct sent_task *sent,
                          char text[SWKI_DISPATCHER_REASON_SIZE])
{
    text[0] = '\0';
    for (const struct swki_link *link = sent->leases.next;
         link != &sent->leases; link = link->next) {
        const struct lease *lease = SWKI_CONTAINER(link, struct lease, link);
        const char *why = find_reason(lease);

        if (why != NULL) {
            snprintf(text, SWKI_DISPATCHER_REASON_SIZE,
                     "waits for secret %.64s of driver %.64s: %s",
                     name_of(lease), spec_of(lease)->driver->name, why);
            swki_utf8_repair(text); /* a name may be cut within a character */
            return;
        }
    }
}

void swki_dispatcher_describe_lack(const struct sent_task *sent,
                                   char text[SWKI_DISPATCHER_REASON_SIZE])
{
    text[0] = '\0';
    for (const struct swki_link *link = sent->leases.next;
         link != &sent->leases; link = link->next) {
        const struct lease *lease = SWKI_CONTAINER(link, struct lease, link);

        if (lease->lack != NULL) {
            snprintf(text, SWKI_DISPATCHER_REASON_SIZE,
                     "driver %.64s gives no secret %.64s: %s",
                     spec_of(lease)->driver->name, name_of(lease), lease->lack);
            swki_utf8_repair(text);
            return;
        }
    }
}

/* Before the node has the task, its status is the manager's to write. What
 * cannot be queued is not told: the end of the wait has a reason too. */
static void explain(struct swki_dispatcher *d, const struct sent_task *sent)
{
    const struct swki_object *object =
        swki_view_get(swki_store_committed(d->store), SWKI_KIND_TASK, sent->id);
    const Swkpb__TaskStatus *stored =
        object != NULL ? swki_task(object)->status : NULL;
    char text[SWKI_DISPATCHER_REASON_SIZE];
    Swkpb__TaskStatus status;

    if (stored == NULL || stored->state != SWKPB__TASK_STATE__ASSIGNED ||
        d->reports.count >= SWKI_DISPATCHER_QUEUE_MAX) {
        return;
    }
    describe_wait(sent, text);
    status = *stored;
    status.err = text;
    (void)swki_dispatcher_queue_report(d, sent->id, &status);
}

/* All that wait for the same value. */
static void explain_all(struct swki_dispatcher *d, const struct lease *told)
{
    const char *secret_id = swki_object_id(told->driven->secret);
    size_t cursor = 0;
    const struct sent_task *sent;

    while ((sent = swki_map_next(&told->node->tasks, &cursor)) != NULL) {
        const struct lease *lease = find_lease(sent, secret_id);

        if (lease != NULL && lease->state != LEASE_SETTLED) {
            explain(d, sent);
        }
    }
}

/* -- Answers -------------------------------------------------------------- */

/* Takes the fetch. */
static void take_value(struct swki_dispatcher *d, struct lease *lease,
                       struct swki_fetch *fetch)
{
    const char *secret_id = swki_object_id(lease->driven->secret);
    char id[2 * SWK_ID_LEN_MAX + 2];
    struct dependency *dependency;

    snprintf(id, sizeof(id), "%s%s%s", secret_id,
             fetch->do_not_reuse ? "." : "",
             fetch->do_not_reuse ? lease->task_id : "");
    dependency =
        swki_dispatcher_need_dependency(d, lease->node, SWKI_KIND_SECRET, id);
    if (dependency == NULL) {
        swki_log(d->config.logger, SWK_LOG_ERROR, "secrets",
                 "secret %s: no memory for the value of task %s", secret_id,
                 lease->task_id);
        swki_fetcher_drop(d->fetcher, fetch);
        return;
    }
    dependency->leased = true;
    hold(lease, dependency);
    if (dependency->sent || dependency->fetch != NULL) {
        swki_fetcher_drop(d->fetcher, fetch);
    } else {
        dependency->fetch = fetch;
    }
}

/* Takes the fetch. */
static void take_end(struct swki_dispatcher *d, struct swki_fetch *fetch)
{
    struct lease *lease = fetch->owner;
    struct driven *driven = lease->driven;
    bool ready = fetch->state == SWKI_FETCH_READY;
    const struct sent_task *sent;

    lease->fetch = NULL;
    lease->state = LEASE_SETTLED;
    if (driven->asking == lease) {
        driven->asking = NULL;
    }
    driven->apart |= !ready || fetch->do_not_reuse;
    if (ready) {
        take_value(d, lease, fetch);
    } else {
        lease->lack = fetch->why;
        fetch->why = NULL;
        swki_fetcher_drop(d->fetcher, fetch);
    }
    sent = swki_map_get(&lease->node->tasks, lease->task_id);
    if (swki_dispatcher_leases_open(sent)) {
        explain(d, sent); /* it waits for another one */
    }
    lease->node->assignments_due = true;
    swki_dispatcher_note_due(d, lease->node);
}

void swki_dispatcher_take_fetched(struct swki_dispatcher *d)
{
    struct swki_fetch *fetch;

    while ((fetch = swki_fetcher_next_news(d->fetcher)) != NULL) {
        explain_all(d, fetch->owner);
    }
    while ((fetch = swki_fetcher_next_ended(d->fetcher)) != NULL) {
        take_end(d, fetch);
    }
}

const struct swki_fetch_work *
swki_dispatcher_next_fetch(struct swki_dispatcher *d, swk_time now)
{
    return d->running ? swki_fetcher_next_work(d->fetcher, now) : NULL;
}

void swki_dispatcher_fetched(struct swki_dispatcher *d, swk_time now,
                             uint64_t id,
                             const struct swk_secret_result *result)
{
    d->now = now;
    swki_fetcher_worked(d->fetcher, now, id, result);
    swki_dispatcher_take_fetched(d);
}
