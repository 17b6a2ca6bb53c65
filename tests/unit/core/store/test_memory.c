/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out at every place in turn: nothing leaks, nothing changes by
 * half. */

#include "lib/cmocka_all.h"

#include "core/store/store.h"
#include "lib/heap.h"

/* Writes, undoes some, and commits to a store without a log. */
static int write_some(struct swki_store *store, const struct swk_alloc *alloc)
{
    struct swki_tx *tx = swki_store_begin(store, SWKI_ACTOR_CONTROL, 1);
    int rc = SWK_OK;

    if (tx == NULL) {
        return SWK_ENOMEM;
    }
    for (int i = 0; i < 40 && rc == SWK_OK; i++) {
        struct swki_object *o = swki_object_new(alloc, SWKI_KIND_SECRET);
        size_t savepoint = swki_tx_savepoint(tx);

        if (o == NULL) {
            rc = SWK_ENOMEM;
            break;
        }
        swki_secret_edit(o)->id =
            swki_arena_printf(swki_object_arena(o), "s%d", i);
        swki_secret_edit(o)->spec = swki_arena_calloc(
            swki_object_arena(o), 1, sizeof(Swkpb__SecretSpec));
        if (swki_secret_edit(o)->id == NULL ||
            swki_secret_edit(o)->spec == NULL) {
            swki_object_unref(o);
            rc = SWK_ENOMEM;
            break;
        }
        swkpb__secret_spec__init(swki_secret_edit(o)->spec);
        swki_secret_edit(o)->spec->annotations = swki_arena_calloc(
            swki_object_arena(o), 1, sizeof(Swkpb__Annotations));
        if (swki_secret_edit(o)->spec->annotations == NULL) {
            swki_object_unref(o);
            rc = SWK_ENOMEM;
            break;
        }
        swkpb__annotations__init(swki_secret_edit(o)->spec->annotations);
        swki_secret_edit(o)->spec->annotations->name = swki_secret_edit(o)->id;
        rc = swki_tx_create(tx, o, NULL);
        if (rc == SWK_OK && i % 3 == 0) {
            swki_tx_rollback(tx, savepoint);
        }
    }
    if (rc < 0) {
        swki_tx_abort(tx);
        return rc;
    }
    return swki_tx_commit(tx, NULL, NULL, NULL, NULL);
}

static int scenario(struct heap *heap)
{
    struct swki_store_config config = {.alloc = &heap->alloc};
    struct swki_store *store = NULL;
    int rc = swki_store_new(&config, &store, NULL);

    if (rc == SWK_OK) {
        rc = write_some(store, &heap->alloc);
        assert_int_equal(swki_view_count(swki_store_head(store),
                                         SWKI_KIND_SECRET),
                         rc == SWK_OK ? 26 : 0);
    }
    swki_store_free(store);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    struct heap heap;

    (void)state;
    heap_init(&heap);
    for (size_t n = 0; n == 0 || heap_failed(&heap); n++) {
        int rc;

        heap_fail_at(&heap, n);
        rc = scenario(&heap);
        assert_int_equal(rc, heap_failed(&heap) ? SWK_ENOMEM : SWK_OK);
        assert_int_equal(heap_live(&heap), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("store, memory", tests, NULL, NULL);
}
