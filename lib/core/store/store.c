/* SPDX-License-Identifier: Apache-2.0 */

/* The store itself, and what it is told by the log. */

#include "core/store/store.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/store/codec.h"
#include "core/store/object_impl.h"
#include "core/store/store_impl.h"
#include "wire/message.h"

int swki_store_new(const struct swki_store_config *config,
                   struct swki_store **out_store, struct swk_error *err)
{
    struct swki_store *store = swki_calloc(config->alloc, 1, sizeof(*store));

    if (store == NULL) {
        return swki_fail_nomem(err);
    }
    store->alloc = config->alloc;
    store->logger = config->logger;
    store->proposer = config->proposer;
    swki_list_init(&store->pending);
    swki_list_init(&store->watches);
    swki_request_log_init(&store->requests, config->alloc);
    swki_keys_init(&store->keys, config->alloc);
    swki_keys_init(&store->old_keys, config->alloc);
    if (!swki_versions_init(&store->versions, config->alloc, &store->head)) {
        swki_free(config->alloc, store);
        return swki_fail_nomem(err);
    }
    store->committed = (struct swki_view *)swki_view_ref(store->head);
    *out_store = store;
    return SWK_OK;
}

void swki_store_free(struct swki_store *store)
{
    if (store == NULL) {
        return;
    }
    swki_tx_abort(store->tx);
    swki_store_lose_leadership(store);
    swki_events_detach(store);
    swki_request_log_fini(&store->requests);
    swki_versions_fini(&store->versions, store->head);
    swki_keys_fini(&store->keys);
    swki_keys_fini(&store->old_keys);
    swki_free(store->alloc, store);
}

const struct swki_view *swki_store_head(const struct swki_store *store)
{
    return store->head;
}

const struct swki_view *swki_store_committed(const struct swki_store *store)
{
    return store->committed;
}

size_t swki_store_in_flight(const struct swki_store *store)
{
    return store->in_flight;
}

uint64_t swki_store_denials(const struct swki_store *store)
{
    return store->denials;
}

/* -- Observation ----------------------------------------------------------- */

void swki_store_observe(struct swki_store *store,
                        const struct swki_store_observer *observer)
{
    store->observer =
        observer != NULL ? *observer : (struct swki_store_observer){0};
}

void swki_store_set_cause(struct swki_store *store, uint64_t cause)
{
    store->cause = cause;
}

void swki_store_tell_observer(const struct swki_store *store,
                              const struct swki_writes *writes,
                              const struct swki_store_ending *ending)
{
    if (store->observer.ended == NULL) {
        return;
    }
    for (size_t i = 0; i < writes->count; i++) {
        const struct swki_write *write = &writes->items[i];
        const struct swki_observed observed = {
            .actor = ending->actor,
            .change = write->change,
            .fate = ending->fate,
            .index = ending->index,
            .cause = ending->cause,
            .request = ending->request,
            .object = write->object,
            .old = write->old,
        };

        store->observer.ended(store->observer.ctx, &observed);
    }
}

static void tell_of_pending(const struct swki_store *store,
                            const struct swki_pending *pending,
                            enum swki_fate fate)
{
    const struct swki_store_ending ending = {
        .actor = pending->actor,
        .fate = fate,
        .index = pending->index,
        .cause = pending->cause,
        .request = pending->request != NULL ? pending->request->key : NULL,
    };

    swki_store_tell_observer(store, &pending->writes, &ending);
}

/* -- Own proposals --------------------------------------------------------- */

static struct swki_pending *oldest(const struct swki_store *store)
{
    return SWKI_CONTAINER(store->pending.next, struct swki_pending, link);
}

static void end_pending(struct swki_store *store, struct swki_pending *pending,
                        enum swki_fate fate)
{
    swki_tx_done_fn done = pending->done;
    void *ctx = pending->done_ctx;
    uint64_t index = pending->index;

    swki_writes_fini(&pending->writes, store->alloc);
    swki_free(store->alloc, pending->request);
    swki_free(store->alloc, pending);
    if (done != NULL) {
        done(ctx, fate, index);
    }
}

void swki_store_commit_oldest(struct swki_store *store)
{
    struct swki_pending *pending = oldest(store);

    swki_list_remove(&pending->link);
    store->in_flight--;
    swki_view_unref(store->committed);
    store->committed = pending->view;
    tell_of_pending(store, pending, SWKI_FATE_COMMITTED);
    swki_request_log_add(&store->requests, pending->request, pending->index);
    pending->request = NULL;
    swki_versions_sweep(&store->versions);
    swki_events_publish(store, SWKI_FEED_COMMITTED, &pending->writes,
                        pending->index);
    end_pending(store, pending, SWKI_FATE_COMMITTED);
}

void swki_store_lose_leadership(struct swki_store *store)
{
    struct swki_link lost;

    if (store->in_flight == 0) {
        return;
    }
    if (store->tx != NULL) {
        store->tx->is_stale = true;
    }
    /* The callbacks may write again: everything is in order before them. */
    lost = store->pending;
    lost.next->prev = &lost;
    lost.prev->next = &lost;
    swki_list_init(&store->pending);
    store->in_flight = 0;
    swki_versions_revert(&store->versions, store->committed, store->head);
    swki_view_unref(store->head);
    store->head = (struct swki_view *)swki_view_ref(store->committed);
    for (struct swki_link *link = lost.next; link != &lost; link = link->next) {
        swki_view_unref(
            SWKI_CONTAINER(link, struct swki_pending, link)->view);
    }
    swki_versions_sweep(&store->versions);
    swki_events_reset(store, SWKI_FEED_HEAD, swki_view_index(store->head));
    while (!swki_list_empty(&lost)) {
        struct swki_pending *pending =
            SWKI_CONTAINER(lost.next, struct swki_pending, link);

        swki_list_remove(&pending->link);
        tell_of_pending(store, pending, SWKI_FATE_UNKNOWN);
        end_pending(store, pending, SWKI_FATE_UNKNOWN);
    }
}

/* -- Entries of others ----------------------------------------------------- */

/* The service whose spec the task was made of, if it still is the same. */
static const struct swki_object *
service_of(const struct swki_view *view, const Swkpb__Task *task)
{
    const struct swki_object *object;
    const Swkpb__Service *service;

    if (task->spec == NULL || task->service_id == NULL) {
        return NULL;
    }
    object = swki_view_get(view, SWKI_KIND_SERVICE, task->service_id);
    if (object == NULL) {
        return NULL;
    }
    service = swki_service(object);
    if (service->spec == NULL || service->spec->task == NULL ||
        !swki_message_equal((const ProtobufCMessage *)service->spec_version,
                            (const ProtobufCMessage *)task->spec_version) ||
        !swki_message_equal(&service->spec->task->base, &task->spec->base)) {
        return NULL;
    }
    return object;
}

static bool same_signatures(const Swkpb__ServiceSpec *spec,
                            const Swkpb__Task *task)
{
    if (spec->n_signatures != task->n_signatures) {
        return false;
    }
    for (size_t i = 0; i < task->n_signatures; i++) {
        if (!swki_message_equal(&spec->signatures[i]->base,
                                &task->signatures[i]->base)) {
            return false;
        }
    }
    return task->n_signatures > 0;
}

/* A new task that shares what it got from its service, with the service. */
static struct swki_object *shared_task(const struct swk_alloc *alloc,
                                       Swkpb__Task *message,
                                       const struct swki_object *service)
{
    const Swkpb__ServiceSpec *spec = swki_service(service)->spec;
    Swkpb__TaskSpec *task_spec = message->spec;
    Swkpb__Annotations *annotations = message->service_annotations;
    size_t signatures_count = message->n_signatures;
    bool same_signers = same_signatures(spec, message);
    bool same_names = annotations != NULL &&
                      swki_message_equal((ProtobufCMessage *)spec->annotations,
                                         &annotations->base);
    struct swki_object *object;

    message->spec = NULL;
    message->service_annotations = same_names ? NULL : annotations;
    message->n_signatures = same_signers ? 0 : signatures_count;
    object = swki_object_from_message(alloc, SWKI_KIND_TASK, &message->base,
                                      NULL);
    message->spec = task_spec;
    message->service_annotations = annotations;
    message->n_signatures = signatures_count;
    if (object == NULL) {
        return NULL;
    }
    (void)swki_object_share(object, 3, service, 3); /* spec of both */
    swki_task_edit(object)->spec = spec->task;
    if (same_names) {
        (void)swki_object_share(object, 8, service, 3);
        swki_task_edit(object)->service_annotations = spec->annotations;
    }
    if (same_signers) {
        (void)swki_object_share(object, 1000, service, 3);
        swki_task_edit(object)->n_signatures = spec->n_signatures;
        swki_task_edit(object)->signatures = spec->signatures;
    }
    return object;
}

struct swki_object *swki_store_take(const struct swki_view *view,
                                    const struct swk_alloc *alloc,
                                    enum swki_kind kind,
                                    ProtobufCMessage *message,
                                    const struct swki_object *old)
{
    const struct swki_object *service = NULL;

    if (kind == SWKI_KIND_TASK && old == NULL) {
        service = service_of(view, (const Swkpb__Task *)message);
    }
    if (service != NULL) {
        return shared_task(alloc, (Swkpb__Task *)message, service);
    }
    return swki_object_from_message(alloc, kind, message, old);
}

static int apply_create(struct swki_tx *tx, enum swki_kind kind,
                        ProtobufCMessage *message, struct swk_error *err)
{
    struct swki_object *object =
        swki_store_take(tx->view, tx->store->alloc, kind, message, NULL);
    int rc;

    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_names_check_create(tx->view, object, err);
    if (rc < 0) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_put_new(tx, object, err);
}

static int apply_update(struct swki_tx *tx, enum swki_kind kind,
                        ProtobufCMessage *message,
                        const struct swki_object *old, struct swk_error *err)
{
    struct swki_object *object =
        swki_store_take(tx->view, tx->store->alloc, kind, message, old);
    int rc;

    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_names_check_update(tx->view, object, err);
    if (rc < 0) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_put_next(tx, old, object, err);
}

static int apply_action(struct swki_tx *tx, const Swkpb__StoreAction *action,
                        struct swk_error *err)
{
    enum swki_kind kind = swki_codec_action_kind(action);
    ProtobufCMessage *message = (ProtobufCMessage *)action->node;
    const struct swki_object *old;
    const char *id;

    if (kind == SWKI_KINDS_COUNT || message == NULL) {
        return swki_fail(err, SWK_EMALFORMED, "unrecognized action type");
    }
    id = ((const Swkpb__Node *)message)->id; /* all ten begin alike */
    old = swki_view_get(tx->view, kind, id);
    switch (action->action) {
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE:
        return old != NULL ? swki_fail(err, SWK_EEXIST, "object already exists")
                           : apply_create(tx, kind, message, err);
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE:
        return old == NULL
                   ? swki_fail(err, SWK_ENOTFOUND, "object does not exist")
                   : apply_update(tx, kind, message, old, err);
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_REMOVE:
        return old == NULL
                   ? swki_fail(err, SWK_ENOTFOUND, "object does not exist")
                   : swki_tx_put_gone(tx, old, err);
    case SWKPB__STORE_ACTION_KIND__UNKNOWN:
    case _SWKPB__STORE_ACTION_KIND_IS_INT_SIZE:
        break;
    }
    return swki_fail(err, SWK_EMALFORMED, "unrecognized action type");
}

static int apply_request(struct swki_store *store, uint64_t index,
                         const Swkpb__InternalRaftRequest *request,
                         struct swk_error *err)
{
    struct swki_tx *tx = swki_tx_open(store);
    int rc = SWK_OK;

    if (tx == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < request->n_action && rc == SWK_OK; i++) {
        rc = apply_action(tx, request->action[i], err);
    }
    if (rc < 0) {
        swki_tx_abort(tx);
        return rc;
    }
    tx->actor = swki_codec_entry_actor(request);
    swki_store_tell_observer(store, &tx->writes,
                             &(const struct swki_store_ending){
                                 .actor = tx->actor,
                                 .fate = SWKI_FATE_COMMITTED,
                                 .index = index,
                                 .request = request->request != NULL
                                                ? request->request->key
                                                : NULL,
                             });
    swki_tx_install(tx, index);
    swki_request_log_take(&store->requests, request->request, index);
    return SWK_OK;
}

/* Without a limit of memory: an entry is small, and one that was committed and
 * could not be taken would stop every manager, for good. */
static int apply_foreign(struct swki_store *store, uint64_t index,
                         const uint8_t *data, size_t len,
                         struct swk_error *err)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    int rc;

    swki_arena_init(&arena, store->alloc, SIZE_MAX);
    rc = swki_message_unpack(&swkpb__internal_raft_request__descriptor, data,
                             len, &arena, &message, err);
    if (rc == SWK_OK) {
        rc = apply_request(store, index,
                           (const Swkpb__InternalRaftRequest *)message, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

/* What another wrote takes the place of what this member had proposed. */
static void give_way(struct swki_store *store)
{
    swki_store_lose_leadership(store);
    if (store->tx != NULL) {
        store->tx->is_stale = true;
    }
}

int swki_store_apply(struct swki_store *store, uint64_t index,
                     const uint8_t *data, size_t len, struct swk_error *err)
{
    int rc;

    if (store->failed != SWK_OK) {
        return swki_fail(err, store->failed,
                         "store: this copy diverges from the log");
    }
    if (index <= swki_view_index(store->committed)) {
        return SWK_OK; /* a replay of what the snapshot has already */
    }
    if (store->in_flight > 0 && oldest(store)->index == index) {
        swki_store_commit_oldest(store);
        return SWK_OK;
    }
    give_way(store);
    rc = apply_foreign(store, index, data, len, err);
    if (rc < 0) {
        store->failed = rc;
        swki_error_prefix(err, "store: entry %llu",
                          (unsigned long long)index);
        swki_log(store->logger, SWK_LOG_ERROR, "store",
                 "entry %llu does not apply: this copy diverges",
                 (unsigned long long)index);
    }
    return rc;
}

void swki_store_apply_nothing(struct swki_store *store, uint64_t index)
{
    if (index > swki_view_index(store->committed)) {
        atomic_store_explicit(&store->committed->index, index,
                              memory_order_relaxed);
    }
}
