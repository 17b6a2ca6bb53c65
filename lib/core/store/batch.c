/* SPDX-License-Identifier: Apache-2.0 */

/* Batches: independent steps, packed into as few entries as their limits
 * allow. */

#include "base/error.h"
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

int swki_batch_step(struct swki_batch *batch, swki_step_fn step, void *ctx,
                    struct swk_error *err)
{
    size_t savepoint;
    int rc;

    if (batch->failed != SWK_OK) {
        return fail_sticky(batch, err);
    }
    if (batch->tx == NULL) {
        batch->tx = swki_store_begin(batch->store, batch->actor, batch->wall);
        if (batch->tx == NULL) {
            return swki_fail_nomem(err);
        }
    }
    savepoint = swki_tx_savepoint(batch->tx);
    rc = step(ctx, batch->tx, err);
    if (rc == SWK_OK && batch->tx->failure.code != SWK_OK) {
        rc = swki_fail(err, batch->tx->failure.code, "%s",
                       batch->tx->failure.text);
    }
    if (rc == SWK_OK && batch->tx->writes.count > savepoint) {
        rc = swki_tx_encode(batch->tx, err); /* its size decides below */
    }
    if (rc < 0) {
        swki_tx_rollback(batch->tx, savepoint);
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
