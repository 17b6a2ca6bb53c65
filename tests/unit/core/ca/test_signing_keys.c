/* SPDX-License-Identifier: Apache-2.0 */

/* Which key signs: the swarm's, the next one of a rotation, one that the signer
 * keeps, or an external CA's. */

#include "lib/cmocka_all.h"

#include "core/ca/issuer.h"
#include "server_fixture.h"

static void swarm_without_key_keeps_requests_until_it_has_one(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    ProtobufCBinaryData key = root->ca_key;
    char id[SWK_ID_LEN_MAX + 1];

    root->ca_key = (ProtobufCBinaryData){0, NULL};
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(PENDING));

    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    cluster = swki_cluster_edit(object);
    root = swki_object_own(object, &cluster->root_ca);
    key.len = f->pki.key.len;
    key.data =
        swki_arena_memdup(swki_object_arena(object), f->pki.key.data, key.len);
    root->ca_key = key;
    change(f, SWKI_ACTOR_CONTROL, object);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state, STATE(ISSUED));
}

static void signer_may_keep_the_key_itself(void **state)
{
    struct f *f = *state;
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    char id[SWK_ID_LEN_MAX + 1];

    root->ca_key = (ProtobufCBinaryData){0, NULL};
    change(f, SWKI_ACTOR_CONTROL, object);
    f->signer.other = f->pki.signer;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.other = NULL;
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

/* The cluster with a rotation to another root under way. */
static void begin_rotation(struct f *f, const struct pki *next)
{
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__RootRotation *rotation =
        swki_arena_alloc(swki_object_arena(object), sizeof(*rotation));
    struct swki_buf cross;

    swkpb__root_rotation__init(rotation);
    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&next->root),
                                            &cross, NULL),
                     0);
    set_data(object, &rotation->ca_cert, &next->root);
    set_data(object, &rotation->ca_key, &next->key);
    set_data(object, &rotation->cross_signed_ca_cert, &cross);
    root->root_rotation = rotation;
    change(f, SWKI_ACTOR_CONTROL, object);
    swki_buf_fini(&cross);
}

/* Whether the chain of a node leads to these roots. */
static bool verifies(struct f *f, const char *id, const struct pki *root)
{
    const ProtobufCBinaryData *pem = &node_of(f, id)->certificate->certificate;
    const struct swki_chain chain = {
        .certificates = {pem->data, pem->len},
        .roots = swki_pem_of_buf(&root->root),
        .now = PKI_NOW,
    };

    return swki_chain_verify(&chain, NULL, NULL) == 0;
}

static void next_root_signs_while_a_rotation_runs(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct pki next;

    pki_init(&next, 99);
    begin_rotation(f, &next);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_true(verifies(f, id, &f->pki)); /* by the cross certificate */
    assert_true(verifies(f, id, &next));
    pki_fini(&next);
}

static void what_another_key_was_asked_for_is_asked_again(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct pki next;

    pki_init(&next, 99);
    f->signer.mood = SIGNER_HOLDS;
    join_many(f, 1);
    step(f);
    begin_rotation(f, &next);
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    /* With the first piece that follows, the new key is in force. */
    assert_int_equal(f->signer.held_count, 3);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(PENDING));
    answer_held(f, 1, 0);
    answer_held(f, 2, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_true(verifies(f, f->signer.held[0].node_id, &next));
    pki_fini(&next);
}

static void root_that_is_of_no_use_leaves_the_old_one_at_work(void **state)
{
    struct f *f = *state;
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    char id[SWK_ID_LEN_MAX + 1];
    struct pki other;

    join_many(f, 1);
    settle(f); /* the old one is in force */
    pki_init(&other, 99);
    set_data(object, &root->ca_key, &other.key); /* not of this root */
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    pki_fini(&other);
}

static void root_past_its_end_makes_nodes_wait_and_not_fail(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_many(f, 1);
    settle(f);
    f->wall += INT64_C(21) * 365 * 24 * (int64_t)SWK_HOUR;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
}

/* ---- external CAs ---- */

static void external_ca_is_preferred_and_sees_no_key(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    name_external(f, NULL);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[0].urls_count, 1);
    assert_int_equal(f->signer.held[0].key_len, 0);
}

static void external_ca_of_another_root_is_not_asked(void **state)
{
    struct f *f = *state;
    struct pki next;

    pki_init(&next, 99);
    f->signer.mood = SIGNER_HOLDS;
    name_external(f, &next.root);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[0].urls_count, 0);
    assert_true(f->signer.held[0].key_len > 0);
    /* Until the swarm moves to that root. */
    begin_rotation(f, &next);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[1].urls_count, 1);
    pki_fini(&next);
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(swarm_without_key_keeps_requests_until_it_has_one),
        WITH_F(signer_may_keep_the_key_itself),
        WITH_F(next_root_signs_while_a_rotation_runs),
        WITH_F(what_another_key_was_asked_for_is_asked_again),
        WITH_F(root_that_is_of_no_use_leaves_the_old_one_at_work),
        WITH_F(root_past_its_end_makes_nodes_wait_and_not_fail),
        WITH_F(external_ca_is_preferred_and_sees_no_key),
        WITH_F(external_ca_of_another_root_is_not_asked),
    };

    return cmocka_run_group_tests_name("signing_keys", tests, NULL, NULL);
}
