/* SPDX-License-Identifier: Apache-2.0 */

/* The authority's decisions: roots, tokens, roles, certificates, the first
 * objects of a swarm. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <swarmkit/join_token.h>

#include "core/ca/bootstrap.h"
#include "core/ca/issuer.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define HOUR ((swk_wall)SWK_HOUR)

struct f {
    struct pki pki;
    struct swki_arena arena;
    Swkpb__RootCA root;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 21);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    swkpb__root_ca__init(&f->root);
    assert_int_equal(swki_ca_create_root(PKI_NOW, 0, &f->pki.entropy,
                                         &f->arena, &f->root, NULL),
                     0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_arena_fini(&f->arena);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static struct swki_pem root_pem(const struct f *f)
{
    return (struct swki_pem){f->root.ca_cert.data, f->root.ca_cert.len};
}

static void new_root_is_trustworthy_and_has_its_key(void **state)
{
    struct f *f = *state;
    struct swki_pem key = {f->root.ca_key.data, f->root.ca_key.len};

    assert_int_equal(swki_roots_check(root_pem(f), PKI_NOW, NULL), 0);
    assert_int_equal(swki_key_matches(key, root_pem(f), &f->pki.entropy, NULL),
                     0);
    assert_int_equal(strlen(f->root.ca_cert_hash), 7 + 64);
    assert_memory_equal(f->root.ca_cert_hash, "sha256:", 7);
}

static void hash_is_that_of_the_bundle(void **state)
{
    struct f *f = *state;
    Swkpb__RootCA root = SWKPB__ROOT_CA__INIT;

    assert_int_equal(swki_ca_fill_root(swki_pem_of("hello root\n"),
                                       swki_pem_of(NULL), 0, &f->pki.entropy,
                                       &f->arena, &root, NULL),
                     0);
    assert_string_equal(root.ca_cert_hash,
                        "sha256:cc4618a259099159db5b394fa1aa5da6"
                        "af7ec9a55d018fac216348b3dffa2d13");
    assert_int_equal(root.ca_key.len, 0);
}

static void tokens_differ_and_pin_the_root(void **state)
{
    struct f *f = *state;
    const Swkpb__JoinTokens *tokens = f->root.join_tokens;
    struct swk_join_token worker;
    struct swk_join_token manager;

    assert_int_equal(swk_join_token_parse(tokens->worker,
                                          strlen(tokens->worker), &worker,
                                          NULL),
                     0);
    assert_int_equal(swk_join_token_parse(tokens->manager,
                                          strlen(tokens->manager), &manager,
                                          NULL),
                     0);
    assert_memory_equal(worker.root_digest, manager.root_digest,
                        sizeof(worker.root_digest));
    assert_string_not_equal(worker.secret, manager.secret);
    assert_int_equal(worker.flags, 0);
}

static void fips_swarm_has_tokens_of_version_2(void **state)
{
    struct f *f = *state;
    char *token = NULL;

    assert_int_equal(swki_ca_new_token(root_pem(f), SWK_JOIN_TOKEN_FIPS,
                                       &f->pki.entropy, &f->arena, &token,
                                       NULL),
                     0);
    assert_memory_equal(token, "SWMTKN-2-1-", 11);
}

static void token_tells_the_role(void **state)
{
    struct f *f = *state;
    Swkpb__JoinTokens *tokens = f->root.join_tokens;
    Swkpb__JoinTokens none = SWKPB__JOIN_TOKENS__INIT;
    char text[2 * SWK_JOIN_TOKEN_TEXT_SIZE];

    assert_int_equal(swki_ca_token_role(tokens, tokens->worker),
                     SWKI_ROLE_WORKER);
    assert_int_equal(swki_ca_token_role(tokens, tokens->manager),
                     SWKI_ROLE_MANAGER);
    assert_int_equal(swki_ca_token_role(NULL, tokens->manager),
                     SWKI_ROLE_NONE);
    assert_int_equal(swki_ca_token_role(tokens, NULL), SWKI_ROLE_NONE);
    assert_int_equal(swki_ca_token_role(tokens, ""), SWKI_ROLE_NONE);
    assert_int_equal(swki_ca_token_role(&none, ""), SWKI_ROLE_NONE);
    for (size_t i = 0; i < strlen(tokens->worker); i++) {
        strcpy(text, tokens->worker);
        text[i] ^= 1;
        assert_int_equal(swki_ca_token_role(tokens, text), SWKI_ROLE_NONE);
        text[i] = '\0';
        assert_int_equal(swki_ca_token_role(tokens, text), SWKI_ROLE_NONE);
    }
    strcpy(text, tokens->worker);
    strcat(text, tokens->manager);
    assert_int_equal(swki_ca_token_role(tokens, text), SWKI_ROLE_NONE);
}

static void signed_certificate_verifies_under_the_root(void **state)
{
    struct f *f = *state;
    static const struct {
        Swkpb__NodeRole role;
        uint64_t expiry_ns;
        enum swki_role expected;
        swk_wall lasts;
    } cases[] = {
        {SWKPB__NODE_ROLE__WORKER, 24 * SWK_HOUR, SWKI_ROLE_WORKER, 24 * HOUR},
        {SWKPB__NODE_ROLE__MANAGER, SWK_HOUR, SWKI_ROLE_MANAGER, HOUR},
        {SWKPB__NODE_ROLE__WORKER, SWK_HOUR - 1, SWKI_ROLE_WORKER, 2160 * HOUR},
    };
    struct swki_signer *signer = NULL;
    struct swki_buf key;
    struct swki_buf csr;

    pki_request(&f->pki, &key, &csr);
    assert_int_equal(swki_ca_open_signer(NULL, &f->root, &f->pki.entropy,
                                         &signer, NULL),
                     0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_ca_grant grant = {
            .node_id = "n1",
            .swarm_id = PKI_SWARM,
            .role = cases[i].role,
            .expiry_ns = cases[i].expiry_ns,
            .now = PKI_NOW,
        };
        struct swki_identity identity;
        struct swki_chain chain = {.roots = root_pem(f), .now = PKI_NOW};
        struct swki_buf pem;

        swki_buf_init(&pem, NULL, SIZE_MAX);
        assert_int_equal(swki_ca_sign(signer, swki_pem_of_buf(&csr), &grant,
                                      &pem, NULL),
                         0);
        chain.certificates = swki_pem_of_buf(&pem);
        assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
        assert_int_equal(swki_certificate_identity(swki_pem_of_buf(&pem),
                                                   &identity, NULL),
                         0);
        assert_int_equal(identity.role, cases[i].expected);
        assert_true(identity.not_after == PKI_NOW + cases[i].lasts);
        swki_buf_fini(&pem);
    }
    swki_signer_free(signer);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void swarm_without_a_key_has_no_signer(void **state)
{
    struct f *f = *state;
    struct swki_signer *signer = NULL;
    Swkpb__RootCA root = f->root;

    root.ca_key = (ProtobufCBinaryData){0, NULL};
    assert_int_equal(swki_ca_open_signer(NULL, &root, &f->pki.entropy, &signer,
                                         NULL),
                     SWK_EUNAVAILABLE);
    assert_null(signer);
}

/* During a rotation every leaf must lead to the old root. */
static void rotation_signs_with_the_new_key_under_the_old_root(void **state)
{
    struct f *f = *state;
    Swkpb__RootRotation rotation = SWKPB__ROOT_ROTATION__INIT;
    Swkpb__RootCA root = f->root;
    struct swki_signer *old_signer = NULL;
    struct swki_signer *signer = NULL;
    struct swki_chain chain = {.roots = root_pem(f), .now = PKI_NOW};
    struct swki_ca_grant grant = {"n1", PKI_SWARM, SWKPB__NODE_ROLE__WORKER,
                                  SWK_HOUR, PKI_NOW};
    struct swki_buf cross;
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_buf pem;

    swki_buf_init(&cross, NULL, SIZE_MAX);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    pki_request(&f->pki, &key, &csr);
    assert_int_equal(swki_ca_open_signer(NULL, &root, &f->pki.entropy,
                                         &old_signer, NULL),
                     0);
    assert_int_equal(swki_signer_cross_sign(old_signer,
                                            swki_pem_of_buf(&f->pki.root),
                                            &cross, NULL),
                     0);
    rotation.ca_cert =
        (ProtobufCBinaryData){f->pki.root.len, f->pki.root.data};
    rotation.ca_key = (ProtobufCBinaryData){f->pki.key.len, f->pki.key.data};
    rotation.cross_signed_ca_cert =
        (ProtobufCBinaryData){cross.len, cross.data};
    root.root_rotation = &rotation;
    assert_false(swki_ca_same_signer(&f->root, &root));
    assert_true(swki_ca_same_signer(&root, &root));
    assert_int_equal(swki_ca_open_signer(NULL, &root, &f->pki.entropy, &signer,
                                         NULL),
                     0);
    assert_int_equal(swki_ca_sign(signer, swki_pem_of_buf(&csr), &grant, &pem,
                                  NULL),
                     0);
    chain.certificates = swki_pem_of_buf(&pem);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
    chain.roots = swki_pem_of_buf(&f->pki.root);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);

    swki_signer_free(signer);
    swki_signer_free(old_signer);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
    swki_buf_fini(&cross);
}

static struct swki_ca_bootstrap bootstrap_of(struct f *f)
{
    return (struct swki_ca_bootstrap){
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
}

static int64_t seconds(const Swkpb__Duration *duration)
{
    int64_t ns = 0;

    assert_int_equal(swki_duration_read(duration, &ns, NULL), 0);
    return ns / (int64_t)SWK_SECOND;
}

static void new_cluster_has_the_documented_defaults(void **state)
{
    struct f *f = *state;
    struct swki_ca_bootstrap bootstrap = bootstrap_of(f);
    Swkpb__Cluster c = SWKPB__CLUSTER__INIT;

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, &f->arena, &c, NULL), 0);
    assert_string_equal(c.id, PKI_SWARM);
    assert_string_equal(c.spec->annotations->name, "default");
    assert_int_equal(c.spec->orchestration->task_history_retention_limit, 5);
    assert_null(c.spec->dispatcher->heartbeat_period);
    assert_int_equal(c.spec->raft->snapshot_interval, 10000);
    assert_int_equal(c.spec->raft->keep_old_snapshots, 0);
    assert_int_equal(c.spec->raft->log_entries_for_slow_followers, 500);
    assert_int_equal(c.spec->raft->heartbeat_tick, 1);
    assert_int_equal(c.spec->raft->election_tick, 10);
    assert_int_equal(seconds(c.spec->ca_config->node_cert_expiry),
                     90 * 24 * 3600);
    assert_false(c.spec->encryption_config->auto_lock_managers);
    assert_int_equal(c.n_unlock_keys, 0);
    assert_int_equal(c.root_ca->ca_cert.len, f->pki.root.len);
    assert_int_equal(c.root_ca->ca_key.len, f->pki.key.len);
    assert_memory_equal(c.root_ca->join_tokens->worker, "SWMTKN-1-", 9);
    assert_false(c.fips);
}

static void new_cluster_takes_what_was_configured(void **state)
{
    static const uint8_t unlock_key[32] = {1, 2, 3};
    static const char *const pools[] = {"10.1.0.0/16", "10.2.0.0/16"};
    struct f *f = *state;
    struct swki_ca_bootstrap bootstrap = bootstrap_of(f);
    Swkpb__Cluster c = SWKPB__CLUSTER__INIT;

    bootstrap.unlock_key = unlock_key;
    bootstrap.unlock_key_len = sizeof(unlock_key);
    bootstrap.fips = true;
    bootstrap.address_pools = pools;
    bootstrap.address_pools_count = 2;
    bootstrap.subnet_size = 26;
    bootstrap.vxlan_udp_port = 4790;
    bootstrap.heartbeat_period_ns = SWK_SECOND;
    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, &f->arena, &c, NULL), 0);
    assert_true(c.spec->encryption_config->auto_lock_managers);
    assert_int_equal(c.n_unlock_keys, 1);
    assert_string_equal(c.unlock_keys[0]->subsystem, "swarm-manager");
    assert_int_equal(c.unlock_keys[0]->key.len, 32);
    assert_memory_equal(c.root_ca->join_tokens->manager, "SWMTKN-2-1-", 11);
    assert_int_equal(c.n_defaultaddresspool, 2);
    assert_string_equal(c.defaultaddresspool[1], "10.2.0.0/16");
    assert_int_equal(c.subnetsize, 26);
    assert_int_equal(c.vxlanudpport, 4790);
    assert_int_equal(seconds(c.spec->dispatcher->heartbeat_period), 1);
}

static void founder_is_an_accepted_manager_to_be(void **state)
{
    struct f *f = *state;
    struct swki_ca_bootstrap bootstrap = bootstrap_of(f);
    Swkpb__Node node;

    swkpb__node__init(&node);
    bootstrap.availability = SWKPB__NODE_SPEC__AVAILABILITY__DRAIN;
    assert_int_equal(
        swki_ca_bootstrap_node(&bootstrap, &f->arena, &node, NULL), 0);
    assert_string_equal(node.id, "m1");
    assert_int_equal(node.role, SWKPB__NODE_ROLE__WORKER);
    assert_int_equal(node.spec->desired_role, SWKPB__NODE_ROLE__MANAGER);
    assert_int_equal(node.spec->membership,
                     SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED);
    assert_int_equal(node.spec->availability,
                     SWKPB__NODE_SPEC__AVAILABILITY__DRAIN);
    assert_string_equal(node.certificate->cn, "m1");
    assert_int_equal(node.certificate->role, SWKPB__NODE_ROLE__MANAGER);
    assert_int_equal(node.certificate->status->state,
                     SWKPB__ISSUANCE_STATUS__STATE__ISSUED);
}

static void short_memory_is_an_error_everywhere(void **state)
{
    struct f *f = *state;
    struct swki_ca_bootstrap bootstrap = bootstrap_of(f);
    int rc = SWK_ENOMEM;

    for (size_t limit = 0; rc != 0; limit += 64) {
        Swkpb__Cluster c = SWKPB__CLUSTER__INIT;
        struct swki_arena arena;
        Swkpb__Node node;

        swkpb__node__init(&node);
        swki_arena_init(&arena, NULL, limit);
        rc = swki_ca_bootstrap_cluster(&bootstrap, &arena, &c, NULL);
        if (rc == 0) {
            rc = swki_ca_bootstrap_node(&bootstrap, &arena, &node, NULL);
        }
        assert_true(rc == 0 || rc == SWK_ENOMEM);
        swki_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            new_root_is_trustworthy_and_has_its_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hash_is_that_of_the_bundle, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tokens_differ_and_pin_the_root, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            fips_swarm_has_tokens_of_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(token_tells_the_role, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            signed_certificate_verifies_under_the_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            swarm_without_a_key_has_no_signer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rotation_signs_with_the_new_key_under_the_old_root, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            new_cluster_has_the_documented_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            new_cluster_takes_what_was_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            founder_is_an_accepted_manager_to_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            short_memory_is_an_error_everywhere, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("issuer", tests, NULL, NULL);
}
