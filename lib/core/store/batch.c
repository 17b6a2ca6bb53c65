/* SPDX-License-Identifier: Apache-2.0 */

/* Batches: independent steps, packed into as few entries as their limits
 * allow. */

#include "base/alloc.h"
#include "base/error.h"
#include "core/store/object_impl.h"
#include "core/store/store_impl.h"

void swki_batch_init(struct swki_batch *batch, struct swki_store *store,
                     enum swki_actor actor, swk_wall wall)
{
    *batch = (struct swki_batch){
        .store = store,
        .actor = actor,
        .wall = wall,
    };
}

static int fail_sticky(const struct swki_batch *batch, struct swk_error *err)
{
    return swki_fail(err, batch->failed, "an earlier commit failed");
}

static int flush(struct swki_batch *batch, struct swk_error *err)
{
    struct swki_tx *tx = batch->tx;

    batch->tx = NULL;
    if (tx != NULL) {
        batch->failed = swki_tx_commit(tx, NULL, NULL, NULL, err);
    }
    return batch->failed;
}

static bool is_full(const struct swki_tx *tx)
{
    return tx->writes.count >= SWKI_STORE_BATCH_CHANGES ||
           tx->entry.len >= SWKI_STORE_BATCH_SIZE;
}

static int open_tx(struct swki_batch *batch, struct swk_error *err)
{
    if (batch->tx == NULL) {
        batch->tx = swki_store_begin(batch->store, batch->actor, batch->wall);
    }
    return batch->tx != NULL ? SWK_OK : swki_fail_nomem(err);
}

/* -- Steps that find the entry full ---------------------------------------- */

/* Takes the writes since a savepoint out of the transaction. */
static int take_writes(struct swki_tx *tx, size_t savepoint,
                       struct swki_writes *out_writes)
{
    size_t count = tx->writes.count - savepoint;

    out_writes->items = swki_realloc(tx->store->alloc, NULL, count,
                                     sizeof(out_writes->items[0]));
    if (out_writes->items == NULL) {
        return SWK_ENOMEM;
    }
    for (; out_writes->count < count; out_writes->count++) {
        struct swki_write *write = &out_writes->items[out_writes->count];

        *write = tx->writes.items[savepoint + out_writes->count];
        swki_object_ref(write->object);
        if (write->old != NULL) {
            swki_object_ref(write->old);
        }
    }
    swki_tx_rollback(tx, savepoint);
    return SWK_OK;
}

/* Nobody has written since the write was checked, but its index is another. */
static int write_again(struct swki_tx *tx, const struct swki_write *write,
                       struct swk_error *err)
{
    switch (write->change) {
    case SWKI_CHANGE_CREATE:
        swki_object_restamp(write->object, tx->index);
        return swki_tx_put_new(tx, swki_object_ref(write->object), err);
    case SWKI_CHANGE_UPDATE:
        swki_object_restamp(write->object, tx->index);
        return swki_tx_put_next(tx, write->old, swki_object_ref(write->object),
                                err);
    case SWKI_CHANGE_DELETE:
        return swki_tx_put_gone(tx, write->object, err);
    case SWKI_CHANGE_COMMIT:
    case SWKI_CHANGE_RESET:
        break;
    }
    return SWK_OK;
}

static int write_all_again(struct swki_tx *tx, const struct swki_writes *writes,
                           struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; i < writes->count && rc == SWK_OK; i++) {
        rc = write_again(tx, &writes->items[i], err);
    }
    if (rc == SWK_OK) {
        rc = swki_tx_encode(tx, err);
    }
    if (rc < 0) {
        swki_tx_rollback(tx, 0);
    }
    return rc;
}

/* Commits what came before a step, and gives the step an entry of its own. It
 * is not run again: its context may have moved on. */
static int split_before(struct swki_batch *batch, size_t savepoint,
                        struct swk_error *err)
{
    const struct swk_alloc *alloc = batch->store->alloc;
    struct swki_writes writes = {0};
    struct swki_store_request *request = NULL;
    int rc;

    if (batch->tx->request_writes > savepoint) {
        request = batch->tx->request;
        batch->tx->request = NULL;
    }
    rc = take_writes(batch->tx, savepoint, &writes);

    if (rc < 0) {
        swki_tx_rollback(batch->tx, savepoint);
        swki_free(alloc, request);
        return swki_fail_nomem(err);
    }
    rc = flush(batch, err);
    if (rc == SWK_OK) {
        rc = open_tx(batch, err);
    }
    if (rc == SWK_OK) {
        rc = write_all_again(batch->tx, &writes, err);
    }
    if (rc == SWK_OK) {
        batch->tx->request = request;
        batch->tx->request_writes = batch->tx->writes.count;
    } else {
        swki_free(alloc, request);
    }
    swki_writes_fini(&writes, alloc);
    return rc;
}

/* Encodes what a step wrote: its size decides whether the entry is full. */
static int end_step(struct swki_batch *batch, size_t savepoint,
                    struct swk_error *err)
{
    struct swki_tx *tx = batch->tx;
    int rc;

    if (tx->writes.count == savepoint) {
        return SWK_OK;
    }
    rc = swki_tx_encode(tx, err);
    if (rc == SWK_ELIMIT && savepoint > 0) {
        return split_before(batch, savepoint, err);
    }
    if (rc < 0) {
        swki_tx_rollback(tx, savepoint);
    }
    return rc;
}

/* -- Steps ----------------------------------------------------------------- */

int swki_batch_step(struct swki_batch *batch, swki_step_fn step, void *ctx,
                    struct swk_error *err)
{
    size_t savepoint;
    int rc;

    if (batch->failed != SWK_OK) {
        return fail_sticky(batch, err);
    }
    rc = open_tx(batch, err);
    if (rc < 0) {
        return rc;
    }
    savepoint = swki_tx_savepoint(batch->tx);
    rc = step(ctx, batch->tx, err);
    if (rc == SWK_OK && batch->tx->failure.code != SWK_OK) {
        rc = swki_fail(err, batch->tx->failure.code, "%s",
                       batch->tx->failure.text);
    }
    if (rc < 0) {
        swki_tx_rollback(batch->tx, savepoint);
        return rc;
    }
    rc = end_step(batch, savepoint, err);
    if (rc < 0) {
        return rc;
    }
    return is_full(batch->tx) ? flush(batch, err) : SWK_OK;
}

int swki_batch_end(struct swki_batch *batch, struct swk_error *err)
{
    if (batch->failed != SWK_OK) {
        return fail_sticky(batch, err);
    }
    return flush(batch, err);
}
