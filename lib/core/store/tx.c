/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions: writes upon a fork of head, savepoints, and the commit. */

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/store/codec.h"
#include "core/store/object_impl.h"
#include "core/store/policy.h"
#include "core/store/store_impl.h"

static const char lost_leader[] =
    "raft: failed to process the request: node lost leader status";

/* -- Beginning and ending -------------------------------------------------- */

struct swki_tx *swki_tx_open(struct swki_store *store)
{
    struct swki_tx *tx = swki_calloc(store->alloc, 1, sizeof(*tx));

    if (tx == NULL) {
        return NULL;
    }
    tx->view = swki_versions_fork(&store->versions, store->head);
    if (tx->view == NULL) {
        swki_free(store->alloc, tx);
        return NULL;
    }
    tx->store = store;
    tx->base = swki_view_ref(store->head);
    tx->writer.pool = &store->versions.pool;
    tx->writer.epoch = tx->view->epoch;
    swki_buf_init(&tx->entry, store->alloc, SWKI_STORE_ENTRY_SIZE_MAX);
    return tx;
}

struct swki_tx *swki_store_begin(struct swki_store *store,
                                 enum swki_actor actor, swk_wall wall)
{
    const struct swki_proposer *proposer = &store->proposer;
    struct swki_tx *tx;

    assert(store->tx == NULL);
    swki_versions_sweep(&store->versions);
    tx = swki_tx_open(store);
    if (tx != NULL) {
        tx->actor = actor;
        tx->wall = wall;
        tx->index = proposer->propose != NULL
                        ? proposer->next_index(proposer->ctx)
                        : swki_view_index(store->head) + 1;
        store->tx = tx;
    }
    return tx;
}

void swki_writes_fini(struct swki_writes *writes,
                      const struct swk_alloc *alloc)
{
    for (size_t i = 0; i < writes->count; i++) {
        swki_object_unref(writes->items[i].object);
        swki_object_unref(writes->items[i].old);
    }
    swki_free(alloc, writes->items);
    *writes = (struct swki_writes){0};
}

/* Frees what is left once the fork was installed or dropped. */
static void tx_free(struct swki_tx *tx)
{
    struct swki_store *store = tx->store;

    if (store->tx == tx) {
        store->tx = NULL;
    }
    swki_view_unref(tx->base);
    swki_writes_fini(&tx->writes, store->alloc);
    swki_buf_fini(&tx->entry);
    swki_free(store->alloc, tx->request);
    swki_free(store->alloc, tx);
}

void swki_tx_abort(struct swki_tx *tx)
{
    if (tx != NULL) {
        swki_versions_drop(&tx->store->versions, tx->view,
                           &tx->writer.garbage);
        tx_free(tx);
    }
}

const struct swki_view *swki_tx_view(const struct swki_tx *tx)
{
    return tx->view;
}

/* -- Plain writes ---------------------------------------------------------- */

static bool reserve_write(struct swki_tx *tx)
{
    struct swki_writes *writes = &tx->writes;

    if (writes->count == writes->size) {
        size_t size = writes->size > 0 ? writes->size * 2 : 4;
        struct swki_write *items = swki_realloc(
            tx->store->alloc, writes->items, size, sizeof(*items));

        if (items == NULL) {
            return false;
        }
        writes->items = items;
        writes->size = size;
    }
    return true;
}

static void add_write(struct swki_tx *tx, enum swki_change change,
                      const struct swki_object *object,
                      const struct swki_object *old)
{
    tx->writes.items[tx->writes.count++] = (struct swki_write){
        .change = change,
        .object = swki_object_ref(object),
        .old = old != NULL ? swki_object_ref(old) : NULL,
    };
    tx->view->generation++;
}

static struct swki_table *table_of(struct swki_tx *tx,
                                   const struct swki_object *object)
{
    return &tx->view->tables[swki_object_kind(object)];
}

static int fail_broken(struct swki_tx *tx, struct swk_error *err)
{
    tx->is_broken = true;
    return swki_fail_nomem(err);
}

static bool insert_keys(struct swki_tx *tx, const struct swki_object *object,
                        const struct swki_keys *keys)
{
    struct swki_table *table = table_of(tx, object);
    bool ok = swki_tree_insert(&tx->writer, &table->ids, &table->rows,
                               swki_index_id_key(swki_object_id(object)),
                               object->row);

    for (size_t i = 0; ok && i < keys->count; i++) {
        ok = swki_tree_insert(&tx->writer, &table->keys, &table->rows,
                              keys->items[i], object->row);
    }
    return ok;
}

static bool remove_keys(struct swki_tx *tx, const struct swki_object *object,
                        const struct swki_keys *keys)
{
    struct swki_table *table = table_of(tx, object);
    bool ok = swki_tree_remove(&tx->writer, &table->ids, &table->rows,
                               swki_index_id_key(swki_object_id(object)),
                               object->row);

    for (size_t i = 0; ok && i < keys->count; i++) {
        ok = swki_tree_remove(&tx->writer, &table->keys, &table->rows,
                              keys->items[i], object->row);
    }
    return ok;
}

/* Brings the index from some keys to others; both are ascending. */
static bool move_keys(struct swki_tx *tx, const struct swki_object *object,
                      const struct swki_keys *from, const struct swki_keys *to)
{
    struct swki_table *table = table_of(tx, object);
    size_t i = 0;
    size_t j = 0;
    bool ok = true;

    while (ok && (i < from->count || j < to->count)) {
        if (j == to->count ||
            (i < from->count && from->items[i] < to->items[j])) {
            ok = swki_tree_remove(&tx->writer, &table->keys, &table->rows,
                                  from->items[i++], object->row);
        } else if (i == from->count || to->items[j] < from->items[i]) {
            ok = swki_tree_insert(&tx->writer, &table->keys, &table->rows,
                                  to->items[j++], object->row);
        } else {
            i++;
            j++;
        }
    }
    return ok;
}

int swki_tx_put_new(struct swki_tx *tx, struct swki_object *object,
                    struct swk_error *err)
{
    struct swki_keys *keys = &tx->store->keys;
    const struct swki_object *taken = object;

    if (swki_object_seal(object) < 0 || !reserve_write(tx) ||
        !swki_keys_collect(keys, object, SWKI_INDEX_EVERY) ||
        !swki_rows_add(&tx->writer, &table_of(tx, object)->rows, object)) {
        swki_object_unref(taken);
        return fail_broken(tx, err);
    }
    add_write(tx, SWKI_CHANGE_CREATE, object, NULL);
    if (!insert_keys(tx, object, keys)) {
        return fail_broken(tx, err);
    }
    return SWK_OK;
}

int swki_tx_put_next(struct swki_tx *tx, const struct swki_object *old,
                     struct swki_object *object, struct swk_error *err)
{
    struct swki_keys *from = &tx->store->old_keys;
    struct swki_keys *to = &tx->store->keys;
    uint32_t moved = swki_index_moved(old, object);

    if (swki_object_seal(object) < 0 || !reserve_write(tx) ||
        !swki_keys_collect(from, old, moved) ||
        !swki_keys_collect(to, object, moved) ||
        !swki_rows_replace(&tx->writer, &table_of(tx, object)->rows, old->row,
                           object)) {
        swki_object_unref(object);
        return fail_broken(tx, err);
    }
    add_write(tx, SWKI_CHANGE_UPDATE, object, old);
    if (!move_keys(tx, object, from, to)) {
        return fail_broken(tx, err);
    }
    return SWK_OK;
}

int swki_tx_put_gone(struct swki_tx *tx, const struct swki_object *old,
                     struct swk_error *err)
{
    struct swki_keys *keys = &tx->store->keys;
    struct swki_table *table = table_of(tx, old);

    if (!reserve_write(tx) ||
        !swki_keys_collect(keys, old, SWKI_INDEX_EVERY) ||
        !remove_keys(tx, old, keys) ||
        !swki_rows_remove(&tx->writer, &table->rows, old->row)) {
        return fail_broken(tx, err);
    }
    add_write(tx, SWKI_CHANGE_DELETE, old, NULL);
    return SWK_OK;
}

/* -- Savepoints ------------------------------------------------------------ */

size_t swki_tx_savepoint(const struct swki_tx *tx)
{
    return tx->writes.count;
}

size_t swki_tx_changes(const struct swki_tx *tx)
{
    return tx->writes.count;
}

static bool undo_create(struct swki_tx *tx, struct swki_object *object)
{
    struct swki_keys *keys = &tx->store->keys;

    if (!swki_keys_collect(keys, object, SWKI_INDEX_EVERY) ||
        !remove_keys(tx, object, keys)) {
        return false;
    }
    swki_object_unref(
        swki_rows_undo_add(&table_of(tx, object)->rows, object->row));
    return true;
}

static bool undo_update(struct swki_tx *tx, struct swki_object *object,
                        struct swki_object *old)
{
    struct swki_keys *from = &tx->store->keys;
    struct swki_keys *to = &tx->store->old_keys;

    if (!swki_keys_collect(from, object, SWKI_INDEX_EVERY) ||
        !swki_keys_collect(to, old, SWKI_INDEX_EVERY) ||
        !move_keys(tx, object, from, to)) {
        return false;
    }
    swki_object_unref(swki_rows_undo_replace(
        &tx->writer, &table_of(tx, object)->rows, object->row));
    return true;
}

static bool undo_delete(struct swki_tx *tx, struct swki_object *object)
{
    struct swki_keys *keys = &tx->store->keys;

    if (!swki_keys_collect(keys, object, SWKI_INDEX_EVERY)) {
        return false;
    }
    swki_rows_undo_remove(&tx->writer, &table_of(tx, object)->rows,
                          object->row);
    return insert_keys(tx, object, keys);
}

static bool undo(struct swki_tx *tx, const struct swki_write *write)
{
    switch (write->change) {
    case SWKI_CHANGE_CREATE:
        return undo_create(tx, write->object);
    case SWKI_CHANGE_UPDATE:
        return undo_update(tx, write->object, write->old);
    case SWKI_CHANGE_DELETE:
        return undo_delete(tx, write->object);
    case SWKI_CHANGE_COMMIT:
    case SWKI_CHANGE_RESET:
        break;
    }
    return true;
}

void swki_tx_rollback(struct swki_tx *tx, size_t savepoint)
{
    struct swki_writes *writes = &tx->writes;

    assert(savepoint <= writes->count);
    tx->failure.code = SWK_OK;
    while (writes->count > savepoint && !tx->is_broken) {
        struct swki_write *write = &writes->items[writes->count - 1];

        if (!undo(tx, write)) {
            tx->is_broken = true;
            return;
        }
        swki_object_unref(write->object);
        swki_object_unref(write->old);
        writes->count--;
    }
    tx->view->generation++;
    if (tx->request_writes > writes->count) {
        swki_free(tx->store->alloc, tx->request);
        tx->request = NULL;
        tx->request_writes = 0;
    }
    if (tx->encoded > writes->count) {
        tx->encoded = writes->count;
    }
    tx->entry.len =
        tx->encoded > 0 ? writes->items[tx->encoded - 1].encoded_end : 0;
}

/* -- Checked writes -------------------------------------------------------- */

/* Remembers why a write failed, for all that comes before a rollback. */
static int end_write(struct swki_tx *tx, int rc, const struct swk_error *cause,
                     struct swk_error *err)
{
    if (rc < 0) {
        tx->failure = *cause;
        if (err != NULL) {
            *err = *cause;
        }
    }
    return rc;
}

/* Whether the transaction takes writes at all. */
static int check_open(const struct swki_tx *tx, struct swk_error *err)
{
    if (tx->store->failed != SWK_OK) {
        return swki_fail(err, tx->store->failed,
                         "store: this copy diverges from the log");
    }
    if (tx->is_broken) {
        return swki_fail_nomem(err);
    }
    if (tx->failure.code != SWK_OK) {
        return swki_fail(err, tx->failure.code, "%s", tx->failure.text);
    }
    if (tx->index == 0 || tx->is_stale) {
        return swki_fail(err, SWK_ENOTLEADER, "%s", lost_leader);
    }
    return SWK_OK;
}

static void tell_of_refusal(const struct swki_tx *tx,
                            const struct swki_object *old,
                            const struct swki_object *object,
                            const struct swk_error *why)
{
    const struct swki_store_observer *observer = &tx->store->observer;
    const struct swki_observed observed = {
        .actor = tx->actor,
        .change = old == NULL      ? SWKI_CHANGE_CREATE
                  : object == NULL ? SWKI_CHANGE_DELETE
                                   : SWKI_CHANGE_UPDATE,
        .fate = SWKI_FATE_UNKNOWN,
        .cause = tx->store->cause,
        .object = object != NULL ? object : old,
        .old = old,
    };

    if (observer->refused != NULL) {
        observer->refused(observer->ctx, &observed, why);
    }
}

static int check_policy(struct swki_tx *tx, const struct swki_object *old,
                        const struct swki_object *object,
                        struct swk_error *err)
{
    int rc = swki_policy_check(tx->actor, old, object, err);

    if (rc == SWK_EDENIED) {
        tx->store->denials++;
        swki_log(tx->store->logger, SWK_LOG_WARN, "store", "refused: %s",
                 err->text);
        tell_of_refusal(tx, old, object, err);
    }
    return rc;
}

static int create(struct swki_tx *tx, struct swki_object *object,
                  struct swk_error *err)
{
    int rc = check_open(tx, err);
    const char *id = swki_object_id(object);

    if (rc == SWK_OK && (object->is_sealed || *id == '\0')) {
        rc = swki_fail(err, SWK_EINVAL,
                       "store: a new object needs an ID and a maker");
    }
    if (rc == SWK_OK &&
        swki_view_get(tx->view, swki_object_kind(object), id) != NULL) {
        rc = swki_fail(err, SWK_EEXIST, "object already exists");
    }
    if (rc == SWK_OK) {
        rc = swki_names_check_create(tx->view, object, err);
    }
    if (rc == SWK_OK) {
        rc = check_policy(tx, NULL, object, err);
    }
    if (rc < 0) {
        swki_object_unref(object);
        return rc;
    }
    swki_object_stamp(object, tx->index, tx->wall);
    return swki_tx_put_new(tx, object, err);
}

int swki_tx_create(struct swki_tx *tx, struct swki_object *object,
                   struct swk_error *err)
{
    struct swk_error cause = {0};

    return end_write(tx, create(tx, object, &cause), &cause, err);
}

static int check_update(struct swki_tx *tx, const struct swki_object *old,
                        const struct swki_object *object,
                        struct swk_error *err)
{
    int rc;

    if (object->is_sealed) {
        return swki_fail(err, SWK_EINVAL, "store: an update needs an edit");
    }
    if (old == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "object does not exist");
    }
    if (swki_object_version(object) != swki_object_version(old)) {
        return swki_fail(err, SWK_ECONFLICT, "update out of sequence");
    }
    rc = swki_names_check_update(tx->view, object, err);
    return rc < 0 ? rc : check_policy(tx, old, object, err);
}

static int update(struct swki_tx *tx, struct swki_object *object,
                  struct swk_error *err)
{
    const struct swki_object *old = swki_view_get(
        tx->view, swki_object_kind(object), swki_object_id(object));
    int rc = check_open(tx, err);

    if (rc == SWK_OK) {
        rc = check_update(tx, old, object, err);
    }
    if (rc < 0) {
        swki_object_unref(object);
        return rc;
    }
    swki_object_stamp(object, tx->index, tx->wall);
    return swki_tx_put_next(tx, old, object, err);
}

int swki_tx_update(struct swki_tx *tx, struct swki_object *object,
                   struct swk_error *err)
{
    struct swk_error cause = {0};

    return end_write(tx, update(tx, object, &cause), &cause, err);
}

static int delete(struct swki_tx *tx, enum swki_kind kind, const char *id,
                  struct swk_error *err)
{
    const struct swki_object *old = swki_view_get(tx->view, kind, id);
    int rc = check_open(tx, err);

    if (rc == SWK_OK && old == NULL) {
        rc = swki_fail(err, SWK_ENOTFOUND, "object does not exist");
    }
    if (rc == SWK_OK) {
        rc = swki_names_check_delete(tx->view, old, err);
    }
    if (rc == SWK_OK) {
        rc = check_policy(tx, old, NULL, err);
    }
    return rc < 0 ? rc : swki_tx_put_gone(tx, old, err);
}

int swki_tx_delete(struct swki_tx *tx, enum swki_kind kind, const char *id,
                   struct swk_error *err)
{
    struct swk_error cause = {0};

    return end_write(tx, delete(tx, kind, id, &cause), &cause, err);
}

/* -- Requests -------------------------------------------------------------- */

int swki_tx_set_request(struct swki_tx *tx, const char *key,
                        const char *object_id, struct swk_error *err)
{
    struct swki_store_request *request;

    if (strlen(key) > SWKI_STORE_REQUEST_KEY_MAX ||
        strlen(object_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "store: the request ID is too long");
    }
    request = swki_store_request_new(tx->store->alloc, key, object_id);
    if (request == NULL) {
        return swki_fail_nomem(err);
    }
    swki_free(tx->store->alloc, tx->request);
    tx->request = request;
    tx->request_writes = tx->writes.count;
    return SWK_OK;
}

/* -- Committing ------------------------------------------------------------ */

int swki_tx_encode(struct swki_tx *tx, struct swk_error *err)
{
    if (tx->entry.len == 0 &&
        (!swki_codec_begin_entry(&tx->entry, tx->index) ||
         !swki_codec_add_actor(&tx->entry, tx->actor))) {
        return swki_fail_nomem(err);
    }
    while (tx->encoded < tx->writes.count) {
        struct swki_write *write = &tx->writes.items[tx->encoded];
        int rc = swki_codec_add_action(&tx->entry, write->change,
                                       write->object, err);

        if (rc < 0) {
            return rc;
        }
        write->encoded_end = tx->entry.len;
        tx->encoded++;
    }
    return SWK_OK;
}

/* Entries without objects may have been appended since the transaction began:
 * its writes then move to the index that it really gets. */
static void move_to(struct swki_tx *tx, uint64_t index)
{
    if (tx->index == index) {
        return;
    }
    for (size_t i = 0; i < tx->writes.count; i++) {
        if (tx->writes.items[i].change != SWKI_CHANGE_DELETE) {
            swki_object_restamp(tx->writes.items[i].object, index);
        }
    }
    tx->index = index;
    tx->encoded = 0;
    swki_buf_clear(&tx->entry);
}

/* Hands the entry to the log. */
static int propose(struct swki_tx *tx, struct swk_error *err)
{
    const struct swki_proposer *proposer = &tx->store->proposer;
    uint64_t index;
    int rc;

    if (proposer->propose == NULL) {
        return SWK_OK;
    }
    index = proposer->next_index(proposer->ctx);
    if (index == 0) {
        return swki_fail(err, SWK_ENOTLEADER, "%s", lost_leader);
    }
    if (tx->store->in_flight >= SWKI_STORE_IN_FLIGHT_MAX) {
        return swki_fail(err, SWK_ELIMIT, "store: %zu proposals in flight",
                         tx->store->in_flight);
    }
    move_to(tx, index);
    rc = swki_tx_encode(tx, err);
    if (rc == SWK_OK && tx->request != NULL &&
        !swki_codec_add_request(&tx->entry, 0, tx->request->key,
                                tx->request->object_id)) {
        rc = swki_fail(err, SWK_ELIMIT,
                       "raft: raft message is too large and can't be sent");
    }
    return rc < 0 ? rc
                  : proposer->propose(proposer->ctx, tx->entry.data,
                                      tx->entry.len, err);
}

/* Makes the fork head, and remembers what it needs when its fate is known. */
static void make_head(struct swki_tx *tx, struct swki_pending *pending)
{
    struct swki_store *store = tx->store;

    atomic_store_explicit(&tx->view->index, tx->index, memory_order_relaxed);
    swki_versions_add(&store->versions, tx->view, &tx->writer.garbage);
    *pending = (struct swki_pending){
        .index = tx->index,
        .view = (struct swki_view *)swki_view_ref(tx->view),
        .writes = tx->writes,
        .request = tx->request,
        .actor = tx->actor,
        .cause = store->cause,
    };
    tx->writes = (struct swki_writes){0};
    tx->request = NULL;
    swki_list_append(&store->pending, &pending->link);
    store->in_flight++;
    swki_view_unref(store->head);
    store->head = tx->view;
}

static int commit(struct swki_tx *tx, swki_tx_done_fn done, void *done_ctx,
                  uint64_t *out_index, struct swk_error *err)
{
    struct swki_store *store = tx->store;
    struct swki_pending *pending = NULL;
    int rc = check_open(tx, err);

    if (rc == SWK_OK) {
        pending = swki_alloc(store->alloc, sizeof(*pending));
        rc = pending == NULL ? swki_fail_nomem(err) : propose(tx, err);
    }
    if (rc < 0) {
        swki_free(store->alloc, pending);
        swki_tx_abort(tx);
        return rc;
    }
    if (out_index != NULL) {
        *out_index = tx->index;
    }
    make_head(tx, pending);
    pending->done = done;
    pending->done_ctx = done_ctx;
    swki_events_publish(store, SWKI_FEED_HEAD, &pending->writes, tx->index);
    tx_free(tx);
    if (store->proposer.propose == NULL) {
        swki_store_commit_oldest(store);
    }
    swki_versions_sweep(&store->versions);
    return SWK_OK;
}

int swki_tx_commit(struct swki_tx *tx, swki_tx_done_fn done, void *done_ctx,
                   uint64_t *out_index, struct swk_error *err)
{
    if (tx->writes.count == 0 && tx->failure.code == SWK_OK &&
        !tx->is_broken) {
        swki_tx_abort(tx);
        if (out_index != NULL) {
            *out_index = 0;
        }
        return SWK_OK;
    }
    return commit(tx, done, done_ctx, out_index, err);
}

void swki_tx_install(struct swki_tx *tx, uint64_t index)
{
    struct swki_store *store = tx->store;

    assert(store->in_flight == 0);
    atomic_store_explicit(&tx->view->index, index, memory_order_relaxed);
    swki_versions_add(&store->versions, tx->view, &tx->writer.garbage);
    swki_view_unref(store->head);
    swki_view_unref(store->committed);
    store->head = tx->view;
    store->committed = (struct swki_view *)swki_view_ref(tx->view);
    tx->view = NULL;
    swki_events_publish(store, SWKI_FEED_HEAD, &tx->writes, index);
    swki_events_publish(store, SWKI_FEED_COMMITTED, &tx->writes, index);
    tx_free(tx);
    swki_versions_sweep(&store->versions);
}
