/* SPDX-License-Identifier: Apache-2.0 */

/* The authority on the leader: who gets a certificate, and who is told. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/ca/issuer.h"
#include "core/ca/renewal_limit.h"
#include "server_fixture.h"
#include "wire/message.h"

static void token_decides_the_role_of_a_new_node(void **state)
{
    struct f *f = *state;
    const struct {
        const char *token;
        Swkpb__NodeRole role;
        uint32_t granted;
    } cases[] = {
        {tokens_of(f)->worker, SWKPB__NODE_ROLE__WORKER, SWKI_ROLE_WORKER},
        {tokens_of(f)->manager, SWKPB__NODE_ROLE__MANAGER, SWKI_ROLE_MANAGER},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[SWK_ID_LEN_MAX + 1];
        const Swkpb__Node *node;
        struct swki_identity identity;

        join_swarm(f, cases[i].token, id);
        node = node_of(f, id);
        assert_int_equal(node->certificate->status->state, STATE(PENDING));
        assert_string_equal(node->certificate->cn, id);
        assert_int_equal(node->role, cases[i].role);
        assert_int_equal(node->spec->desired_role, cases[i].role);
        assert_int_equal(node->spec->availability,
                         SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
        assert_int_equal(node->vxlanudpport, 4790);

        settle(f);
        node = node_of(f, id);
        assert_int_equal(node->certificate->status->state, STATE(ISSUED));
        assert_int_equal(node->certificate->csr.len, f->csr.len);
        identity = identity_of(&node->certificate->certificate);
        assert_string_equal(identity.node_id, id);
        assert_string_equal(identity.swarm_id, PKI_SWARM);
        assert_int_equal(identity.role, cases[i].granted);
    }
}

static void status_waits_until_the_certificate_is_committed(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t first;
    uint64_t second;

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    first = ask_status(f, id);
    second = ask_status(f, id);
    assert_null(answer_to(f, first));
    assert_int_equal(swki_ca_server_waiting(f->server), 2);
    step(f); /* signed */
    step(f); /* in head, not committed yet */
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
    step(f);
    assert_null(answer_to(f, first));
    commit(f);
    step(f);
    response = status_reply(f, first);
    assert_int_equal(response->status->state, STATE(ISSUED));
    assert_true(response->certificate->certificate.len > 0);
    assert_memory_equal(response->certificate->csr.data, f->csr.data,
                        f->csr.len);
    assert_int_equal(status_reply(f, second)->status->state, STATE(ISSUED));
    assert_int_equal(swki_ca_server_waiting(f->server), 0);
    /* Once final, there is nothing to wait for. */
    assert_int_equal(status_reply(f, ask_status(f, id))->status->state,
                     STATE(ISSUED));
}

static void wrong_token_is_refused_in_these_words(void **state)
{
    struct f *f = *state;
    static const char *const tokens[] = {"", "SWMTKN-1-x", "hello"};

    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct reply reply = issue_as(f, &nobody, tokens[i]);

        assert_int_equal(reply.answer->status, SWKI_STATUS_INVALID_ARGUMENT);
        assert_string_equal(reply.answer->text,
                            "A valid join token is necessary to join this "
                            "cluster");
    }
}

static void rotated_token_counts_at_once_and_the_old_one_no_more(void **state)
{
    struct f *f = *state;
    const struct swki_object *old = swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    struct swki_object *object = swki_object_edit(old);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    char old_token[128];
    char id[SWK_ID_LEN_MAX + 1];

    snprintf(old_token, sizeof(old_token), "%s", tokens_of(f)->worker);
    assert_int_equal(swki_ca_new_token(swki_pem_of_buf(&f->pki.root), 0,
                                       &f->pki.entropy,
                                       swki_object_arena(object),
                                       &root->join_tokens->worker, NULL),
                     0);
    change(f, SWKI_ACTOR_CONTROL, object);
    assert_int_equal(issue_as(f, &nobody, old_token).answer->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    join_swarm(f, tokens_of(f)->worker, id);
}

static void certificate_of_this_swarm_renews_without_a_token(void **state)
{
    struct f *f = *state;
    struct swki_caller caller;
    const Swkpb__IssueNodeCertificateResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    struct reply reply;

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    /* The certificate says manager, the node's role worker: the latter wins. */
    caller = caller_of(id, PKI_SWARM, SWKI_ROLE_MANAGER);
    reply = issue_as(f, &caller, "");
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_equal(response->node_id, id);
    assert_int_equal(node_of(f, id)->certificate->status->state, STATE(RENEW));
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
    assert_int_equal(
        identity_of(&node_of(f, id)->certificate->certificate).role,
        SWKI_ROLE_WORKER);
}

static void renewals_are_refused_as_documented(void **state)
{
    struct f *f = *state;
    struct swki_caller gone =
        caller_of("gone", PKI_SWARM, SWKI_ROLE_WORKER);
    struct swki_caller foreign =
        caller_of("m1", "another", SWKI_ROLE_MANAGER);
    struct reply reply = issue_as(f, &gone, "");

    assert_int_equal(reply.answer->status, SWKI_STATUS_NOT_FOUND);
    assert_string_equal(
        reply.answer->text,
        "node gone not found when attempting to renew certificate");
    reply = issue_as(f, &foreign, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_INVALID_ARGUMENT);
}

static void blacklisted_node_needs_a_token_and_is_a_new_node(void **state)
{
    struct f *f = *state;
    struct swki_caller caller = caller_of("m1", PKI_SWARM, SWKI_ROLE_MANAGER);
    const struct swki_object *old = swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    struct swki_object *object = swki_object_edit(old);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        swki_arena_alloc(arena, sizeof(*entry));
    const Swkpb__IssueNodeCertificateResponse *response;
    struct reply reply;

    swkpb__cluster__blacklisted_certificates_entry__init(entry);
    entry->key = swki_arena_strdup(arena, "m1");
    entry->value = swki_arena_alloc(arena, sizeof(*entry->value));
    swkpb__blacklisted_certificate__init(entry->value);
    cluster->blacklisted_certificates =
        swki_arena_memdup(arena, &entry, sizeof(entry));
    cluster->n_blacklisted_certificates = 1;
    change(f, SWKI_ACTOR_CONTROL, object);

    assert_int_equal(issue_as(f, &caller, "").answer->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    reply = issue_as(f, &caller, tokens_of(f)->worker);
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_not_equal(response->node_id, "m1");
}

static void local_socket_renews_the_manager_itself(void **state)
{
    struct f *f = *state;
    struct swki_caller caller = nobody;
    struct reply reply;

    caller.local = true;
    reply = issue_as(f, &caller, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_equal(
        ((const Swkpb__IssueNodeCertificateResponse *)reply.message)->node_id,
        "m1");
    assert_int_equal(node_of(f, "m1")->certificate->status->state,
                     STATE(RENEW));
}

static void empty_request_is_refused(void **state)
{
    struct f *f = *state;

    f->csr.len = 0;
    assert_int_equal(
        issue_as(f, &nobody, tokens_of(f)->worker).answer->status,
        SWKI_STATUS_INVALID_ARGUMENT);
}

static void set_state(struct f *f, const char *id,
                      Swkpb__IssuanceStatus__State to)
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__Certificate *certificate =
        swki_object_own(object, &node->certificate);

    certificate->status->state = to;
    change(f, SWKI_ACTOR_CA, object);
}

static void rotate_is_left_alone_and_answers_pollers(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    set_state(f, id, STATE(ROTATE));
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ROTATE));
    response = status_reply(f, ask_status(f, id));
    assert_int_equal(response->status->state, STATE(ROTATE));
    assert_true(response->certificate->certificate.len > 0);
}

static enum swki_status renew_as(struct f *f, const char *id)
{
    struct swki_caller caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);

    return issue_as(f, &caller, "").answer->status;
}

/* As often as a node may at once. */
static void use_up_renewals(struct f *f, const char *id)
{
    for (int i = 0; i < SWKI_CA_RENEWALS_AT_ONCE; i++) {
        assert_int_equal(renew_as(f, id), SWKI_STATUS_OK);
        settle(f);
    }
}

static void node_that_renews_without_end_is_stopped_alone(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    char other[SWK_ID_LEN_MAX + 1];
    struct swki_caller caller;
    struct reply reply;
    size_t asked;

    join_swarm(f, tokens_of(f)->worker, id);
    join_swarm(f, tokens_of(f)->worker, other);
    settle(f);
    use_up_renewals(f, id);
    asked = f->signer.asked_count;
    caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);
    reply = issue_as(f, &caller, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(reply.answer->text, "try again in 180 seconds"));
    settle(f);
    assert_int_equal(f->signer.asked_count, asked);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(renew_as(f, other), SWKI_STATUS_OK);
    f->now += SWKI_CA_RENEWAL_INTERVAL;
    assert_int_equal(renew_as(f, id), SWKI_STATUS_OK);
    assert_int_equal(renew_as(f, id), SWKI_STATUS_RESOURCE_EXHAUSTED);
}

/* Once for each time; then it is the node's own wish again. */
static void rotation_and_new_role_get_through_beyond_the_share(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    use_up_renewals(f, id);
    set_state(f, id, STATE(ROTATE));
    assert_int_equal(renew_as(f, id), SWKI_STATUS_OK);
    assert_int_equal(renew_as(f, id), SWKI_STATUS_RESOURCE_EXHAUSTED);
    settle(f);
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__MANAGER;
    change(f, SWKI_ACTOR_ROLE_MANAGER, object);
    assert_int_equal(renew_as(f, id), SWKI_STATUS_OK);
    assert_int_equal(renew_as(f, id), SWKI_STATUS_RESOURCE_EXHAUSTED);
    settle(f);
    assert_int_equal(
        identity_of(&node_of(f, id)->certificate->certificate).role,
        SWKI_ROLE_MANAGER);
}

static void administrator_of_a_manager_is_not_limited(void **state)
{
    struct f *f = *state;
    struct swki_caller caller = nobody;

    caller.local = true;
    for (int i = 0; i < 2 * SWKI_CA_RENEWALS_AT_ONCE; i++) {
        assert_int_equal(issue_as(f, &caller, "").answer->status,
                         SWKI_STATUS_OK);
    }
}

static void without_a_cluster_the_server_is_still_starting(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct reply reply;

    assert_string_equal(issue_as(f, &nobody, "").answer->text,
                        "CA signer is stopped");
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    step(f);
    reply = issue_as(f, &nobody, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_ABORTED);
    assert_string_equal(reply.answer->text, "CA signer is still starting");
    found_swarm(f);
    assert_string_equal(issue_as(f, &nobody, "").answer->text,
                        "CA signer is still starting"); /* not committed */
    commit(f);
    join_swarm(f, tokens_of(f)->worker, id);
}

static void calls_that_wait_are_limited_and_can_be_cancelled(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t calls[4];

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    for (int i = 0; i < 4; i++) {
        calls[i] = ask_status(f, id);
    }
    assert_int_equal(answer_to(f, calls[3])->status,
                     SWKI_STATUS_RESOURCE_EXHAUSTED);
    swki_ca_server_cancel(f->server, calls[0]);
    swki_ca_server_cancel(f->server, calls[0]); /* gone already */
    assert_int_equal(swki_ca_server_waiting(f->server), 2);
    settle(f);
    assert_null(answer_to(f, calls[0]));
    assert_non_null(answer_to(f, calls[1]));
    assert_non_null(answer_to(f, calls[2]));
}

static void status_of_nobody_is_an_error(void **state)
{
    struct f *f = *state;

    assert_int_equal(answer_to(f, ask_status(f, ""))->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(answer_to(f, ask_status(f, "unknown"))->status,
                     SWKI_STATUS_NOT_FOUND);
}

static void removal_of_a_node_ends_the_calls_that_wait(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_tx *tx;
    uint64_t call;

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    call = ask_status(f, id);
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, PKI_NOW);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    settle(f);
    assert_int_equal(answer_to(f, call)->status, SWKI_STATUS_NOT_FOUND);
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
}

static void root_is_served_to_anyone(void **state)
{
    struct f *f = *state;
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    struct reply reply =
        reply_to(f,
                 call_as(f, &nobody, SERVICES "CA/GetRootCACertificate",
                         &request.base),
                 &swkpb__get_root_cacertificate_response__descriptor);
    const Swkpb__GetRootCACertificateResponse *response =
        (const Swkpb__GetRootCACertificateResponse *)reply.message;

    assert_int_equal(response->certificate.len, f->pki.root.len);
    assert_memory_equal(response->certificate.data, f->pki.root.data,
                        f->pki.root.len);
}

static const Swkpb__GetUnlockKeyResponse *get_unlock_key(struct f *f)
{
    Swkpb__GetUnlockKeyRequest request = SWKPB__GET_UNLOCK_KEY_REQUEST__INIT;
    struct reply reply = reply_to(
        f, call_as(f, &nobody, SERVICES "CA/GetUnlockKey", &request.base),
        &swkpb__get_unlock_key_response__descriptor);

    return (const Swkpb__GetUnlockKeyResponse *)reply.message;
}

static void unlock_key_is_served_only_while_managers_are_locked(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__ClusterSpec *spec = swki_object_own(object, &cluster->spec);
    Swkpb__EncryptionKey *key = swki_arena_alloc(arena, sizeof(*key));
    const Swkpb__GetUnlockKeyResponse *response = get_unlock_key(f);

    assert_int_equal(response->unlock_key.len, 0);
    assert_int_equal(response->version->index, 1);
    swkpb__encryption_key__init(key);
    key->subsystem = swki_arena_strdup(arena, "swarm-manager");
    key->key = (ProtobufCBinaryData){4, swki_arena_memdup(arena, "lock", 4)};
    cluster->unlock_keys = swki_arena_memdup(arena, &key, sizeof(key));
    cluster->n_unlock_keys = 1;
    spec->encryption_config->auto_lock_managers = true;
    change(f, SWKI_ACTOR_CONTROL, object);
    response = get_unlock_key(f);
    assert_int_equal(response->unlock_key.len, 4);
    assert_memory_equal(response->unlock_key.data, "lock", 4);
    assert_int_equal(response->version->index, f->log.applied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(token_decides_the_role_of_a_new_node,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            status_waits_until_the_certificate_is_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_token_is_refused_in_these_words,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rotated_token_counts_at_once_and_the_old_one_no_more, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            certificate_of_this_swarm_renews_without_a_token, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(renewals_are_refused_as_documented,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            node_that_renews_without_end_is_stopped_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rotation_and_new_role_get_through_beyond_the_share, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            administrator_of_a_manager_is_not_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            blacklisted_node_needs_a_token_and_is_a_new_node, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(local_socket_renews_the_manager_itself,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_request_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            rotate_is_left_alone_and_answers_pollers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            without_a_cluster_the_server_is_still_starting, set_up_empty,
            tear_down),
        cmocka_unit_test_setup_teardown(
            calls_that_wait_are_limited_and_can_be_cancelled, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(status_of_nobody_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            removal_of_a_node_ends_the_calls_that_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(root_is_served_to_anyone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            unlock_key_is_served_only_while_managers_are_locked, set_up,
            tear_down),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
