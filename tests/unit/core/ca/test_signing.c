/* SPDX-License-Identifier: Apache-2.0 */

/* The authority and its signer: what it is asked, and what is made of its
 * answers. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "core/control/blacklist.h"
#include "server_fixture.h"
#include "wire/time.h"

/* ---- what is asked ---- */

static void certificate_and_its_end_are_recorded(void **state)
{
    struct f *f = *state;
    const Swkpb__Certificate *record;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    assert_null(node_of(f, id)->certificate->not_after);
    settle(f);
    record = node_of(f, id)->certificate;
    assert_true(swki_timestamp_get(record->not_after) ==
                identity_of(&record->certificate).not_after);
}

static void changed_validity_counts_for_the_next_certificate(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__ClusterSpec *spec = swki_object_own(object, &cluster->spec);
    char id[SWK_ID_LEN_MAX + 1];

    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)(2 * SWK_HOUR), swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_true(
        identity_of(&node_of(f, id)->certificate->certificate).not_after ==
        PKI_NOW + (swk_wall)(2 * SWK_HOUR));
}

static void set_validity(struct f *f, swk_time validity)
{
    struct swki_object *object = edit_cluster(f);
    Swkpb__ClusterSpec *spec =
        swki_object_own(object, &swki_cluster_edit(object)->spec);

    spec->ca_config->node_cert_expiry =
        swki_duration_from_ns((int64_t)validity, swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
}

/* One certificate for 90 days, then others for two hours. */
static void
a_removed_node_is_locked_out_as_long_as_any_of_its_certificates(void **state)
{
    struct f *f = *state;
    const Swkpb__Cluster__BlacklistedCertificatesEntry *entry;
    const Swkpb__Certificate *record;
    struct swki_caller caller;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    swk_wall long_end =
        swki_timestamp_get(node_of(f, id)->certificate->not_after);
    set_validity(f, 2 * SWK_HOUR);
    caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(issue_as(f, &caller, "").answer->status,
                         SWKI_STATUS_OK);
        settle(f);
        record = node_of(f, id)->certificate;
        assert_true(swki_timestamp_get(record->not_after) < long_end);
        assert_true(swki_timestamp_get(record->last_end) == long_end);
    }
    entry = swki_blacklist_entry(node_of(f, id), &f->arena);
    assert_true(swki_timestamp_get(entry->value->expiry) == long_end);
}

static void validity_is_read_when_the_signer_is_asked(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    Swkpb__ClusterSpec *spec;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    join_many(f, 1);
    step(f);
    object = edit_cluster(f);
    spec = swki_object_own(object, &swki_cluster_edit(object)->spec);
    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)(3 * SWK_HOUR), swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
    f->signer.mood = SIGNER_HOLDS;
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    assert_int_equal(f->signer.held[0].validity_ns, 3 * SWK_HOUR);
}

static void role_of_the_record_is_what_is_asked_for(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->manager, id);
    join_swarm(f, tokens_of(f)->worker, id);
    step(f);
    assert_int_equal(f->signer.held[0].role, SWK_NODE_MANAGER);
    assert_int_equal(f->signer.held[1].role, SWK_NODE_WORKER);
    assert_string_equal(f->signer.held[1].node_id, id);
}

static void role_that_changes_meanwhile_is_the_one_that_is_granted(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->manager, id);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    renew(f, id);
    step(f);
    assert_int_equal(f->signer.held[0].role, SWK_NODE_MANAGER);
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__WORKER;
    change(f, SWKI_ACTOR_ROLE_MANAGER, object);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    assert_int_equal(f->signer.held_count, 2);
    assert_int_equal(f->signer.held[1].role, SWK_NODE_WORKER);
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(node_of(f, id)->certificate->role,
                     SWKPB__NODE_ROLE__WORKER);
}

static void restarted_server_signs_what_is_outstanding(void **state)
{
    struct f *f = *state;
    char ids[2][SWK_ID_LEN_MAX + 1];
    uint64_t call;

    join_swarm(f, tokens_of(f)->worker, ids[0]);
    join_swarm(f, tokens_of(f)->manager, ids[1]);
    commit(f);
    call = ask_status(f, ids[0]);
    swki_ca_server_stop(f->server, &f->answers);
    assert_int_equal(answer_to(f, call)->status, SWKI_STATUS_ABORTED);
    assert_string_equal(answer_to(f, call)->text, "CA signer is stopped");
    assert_int_equal(issue_as(f, &nobody, "").answer->status,
                     SWKI_STATUS_ABORTED);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);

    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    settle(f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(node_of(f, ids[i])->certificate->status->state,
                         STATE(ISSUED));
    }
}

static void only_so_much_is_with_the_signer_at_a_time(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, SWKI_CA_WORK_MAX + 6);
    step(f);
    assert_int_equal(f->signer.held_count, SWKI_CA_WORK_MAX);
    assert_int_equal(swki_ca_server_deadline(f->server), SWKI_CA_WORK_LIMIT);
    for (size_t i = 0; i < 5; i++) {
        answer_held(f, i, 0);
    }
    step(f);
    assert_int_equal(f->signer.held_count, SWKI_CA_WORK_MAX + 5);
}

static void results_of_a_step_are_one_entry_of_bounded_size(void **state)
{
    struct f *f = *state;
    size_t before;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, SWKI_CA_WRITES_PER_STEP + 3);
    step(f);
    before = f->log.proposed;
    for (size_t i = 0; i < f->signer.held_count; i++) {
        answer_held(f, i, 0);
    }
    assert_int_equal(swki_ca_server_deadline(f->server), 0);
    step(f);
    assert_int_equal(f->log.proposed, before + 1);
    assert_int_equal(swki_ca_server_outstanding(f->server), 3);
    step(f);
    assert_int_equal(f->log.proposed, before + 2);
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
    settle(f);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);
}

static void results_in_any_order_reach_their_nodes(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, 3);
    step(f);
    answer_held(f, 2, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[2].node_id), STATE(ISSUED));
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(PENDING));
    answer_held(f, 0, SWK_EDENIED);
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(FAILED));
    assert_int_equal(state_of(f, f->signer.held[1].node_id), STATE(ISSUED));
}

/* ---- answers that nobody waits for ---- */

static void answer_to_an_overtaken_request_is_not_used(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    renew(f, id);
    step(f);
    swki_buf_fini(&f->key);
    swki_buf_fini(&f->csr);
    pki_request(&f->pki, &f->key, &f->csr);
    renew(f, id);
    step(f);
    assert_int_equal(f->signer.held_count, 2);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(node_of(f, id)->certificate->csr.len, f->csr.len);
}

static void answers_that_were_not_asked_for_are_ignored(void **state)
{
    struct f *f = *state;
    const struct swk_sign_result result = {.size = sizeof(result)};
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    swki_ca_server_worked(f->server, f->now, f->wall, 0, &result);
    swki_ca_server_worked(f->server, f->now, f->wall, f->signer.held[0].id + 1,
                          &result);
    answer_held(f, 0, 0);
    answer_held(f, 0, SWK_EDENIED); /* a second answer */
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

static void answer_for_a_node_that_is_gone_is_dropped(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_tx *tx;

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    answer_held(f, 0, 0); /* it waits to be written */
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, PKI_NOW);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    settle(f);
    assert_null(swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
}

static void work_of_an_earlier_leadership_is_not_taken_for_own(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    swki_ca_server_stop(f->server, &f->answers);
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    step(f);
    assert_int_equal(f->signer.held_count, 2);
    assert_int_not_equal(f->signer.held[0].id, f->signer.held[1].id);
    answer_held(f, 0, SWK_EDENIED);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

/* ---- memory ---- */

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (!heap->failed && heap->left-- == 0) {
        heap->failed = true;
        return NULL;
    }
    return realloc(ptr, size);
}

static void *heap_alloc(void *ctx, size_t size)
{
    return heap_realloc(ctx, NULL, size);
}

static void heap_free(void *ctx, void *ptr)
{
    free(ptr);
}

/* A server on that heap, from its start to a certificate. */
static void issue_on_heap(struct f *f)
{
    const struct swki_ca_server_config config = {
        .alloc = &f->alloc,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = f->heap.left + 100,
    };
    const Swkpb__IssueNodeCertificateResponse *response;
    struct reply reply;

    swki_ca_server_free(f->server);
    f->server = NULL;
    if (swki_ca_server_new(&config, &f->server, NULL) != 0 ||
        swki_ca_server_start(f->server, NULL) != 0) {
        return;
    }
    reply = issue_as(f, &nobody, tokens_of(f)->worker);
    if (reply.answer->status != SWKI_STATUS_OK) {
        assert_int_equal(reply.answer->status, SWKI_STATUS_RESOURCE_EXHAUSTED);
        return;
    }
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    commit(f);
    ask_status(f, response->node_id);
    settle(f);
    f->now += SWKI_CA_RETRY_INTERVAL; /* what failed is tried again */
    settle(f);
    assert_int_equal(node_of(f, response->node_id)->certificate->status->state,
                     STATE(ISSUED));
}

/* A server on that heap, from its start to what the signer is asked. */
static void ask_on_heap(struct f *f)
{
    const struct swki_ca_server_config config = {
        .alloc = &f->alloc,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
    };

    if (swki_ca_server_new(&config, &f->server, NULL) != 0 ||
        swki_ca_server_start(f->server, NULL) != 0) {
        return;
    }
    settle(f);
    f->now += SWKI_CA_RETRY_INTERVAL; /* what failed is tried again */
    settle(f);
    assert_true(f->signer.held_count > 0);
}

static void
want_of_memory_never_makes_the_key_sign_for_an_external_ca(void **state)
{
    struct f *f = *state;

    name_external(f, NULL);
    join_many(f, 2);
    f->signer.mood = SIGNER_HOLDS;
    f->alloc = (struct swk_alloc){sizeof(f->alloc), &f->heap, heap_alloc,
                                  heap_realloc, heap_free};
    f->heap.failed = true;
    for (size_t n = 0; f->heap.failed; n++) {
        swki_ca_server_free(f->server);
        f->server = NULL;
        f->heap = (struct heap){.left = n};
        ask_on_heap(f);
        while (f->signer.held_count > 0) {
            struct held *held = &f->signer.held[--f->signer.held_count];

            assert_int_equal(held->urls_count, 1);
            assert_int_equal(held->key_len, 0);
            swki_buf_fini(&held->certificate);
        }
        assert_true(n < 300);
    }
    swki_ca_server_free(f->server);
    f->server = NULL;
}

static void want_of_memory_delays_but_loses_nothing(void **state)
{
    struct f *f = *state;

    f->alloc = (struct swk_alloc){sizeof(f->alloc), &f->heap, heap_alloc,
                                  heap_realloc, heap_free};
    f->heap.failed = true;
    for (size_t n = 0; f->heap.failed; n++) {
        f->heap = (struct heap){.left = n};
        issue_on_heap(f);
        swki_ca_server_free(f->server);
        f->server = NULL;
        assert_true(n < 300);
    }
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(certificate_and_its_end_are_recorded),
        WITH_F(changed_validity_counts_for_the_next_certificate),
        WITH_F(validity_is_read_when_the_signer_is_asked),
        WITH_F(role_that_changes_meanwhile_is_the_one_that_is_granted),
        WITH_F(role_of_the_record_is_what_is_asked_for),
        WITH_F(restarted_server_signs_what_is_outstanding),
        WITH_F(only_so_much_is_with_the_signer_at_a_time),
        WITH_F(results_of_a_step_are_one_entry_of_bounded_size),
        WITH_F(results_in_any_order_reach_their_nodes),
        WITH_F(answer_to_an_overtaken_request_is_not_used),
        WITH_F(answers_that_were_not_asked_for_are_ignored),
        WITH_F(answer_for_a_node_that_is_gone_is_dropped),
        WITH_F(work_of_an_earlier_leadership_is_not_taken_for_own),
        WITH_F(want_of_memory_never_makes_the_key_sign_for_an_external_ca),
        WITH_F(want_of_memory_delays_but_loses_nothing),
        WITH_F(a_removed_node_is_locked_out_as_long_as_any_of_its_certificates),
    };

    return cmocka_run_group_tests_name("signing", tests, NULL, NULL);
}
