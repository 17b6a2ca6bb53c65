/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates that have ended: who proves that one is its own gets another. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/roles.h"
#include "ca.pb-c.h"
#include "core/ca/bootstrap.h"
#include "core/ca/proof.h"
#include "core/ca/renewal_limit.h"
#include "core/ca/server.h"
#include "lib/storelog.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define ISSUE "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate"
#define ROOT "/docker.swarmkit.v1.CA/GetRootCACertificate"
#define NODE "w1"
#define DAY (24 * (swk_wall)SWK_HOUR)
#define END (PKI_NOW + 90 * DAY)

/* What a node sends, and what goes into its signature. */
struct sent {
    const struct swki_buf *chain;
    const struct swki_buf *key;
    const char *swarm_id; /* that is signed, likewise below */
    const char *node_id;
    const struct swki_buf *csr;
};

struct f {
    struct pki pki;
    struct pki foreign;
    struct storelog log;
    struct swki_store *store;
    struct swki_ca_server *server;
    struct swki_answers answers;
    struct swki_arena arena;
    struct pki_node worker;
    struct pki_node other; /* the same name, another key */
    struct swki_buf key;   /* of the next certificate */
    struct swki_buf csr;
    struct sent sent;
    swk_time now;
    swk_wall wall;
    uint64_t calls;
};

/* -- A swarm -------------------------------------------------------------- */

static void found_swarm(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    assert_int_equal(storelog_seed(&f->log, f->store, cluster), 0);
}

/* A node with a record of its certificate. */
static void add_node(struct f *f, const char *id, const struct swki_buf *chain)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->role = SWKPB__NODE_ROLE__WORKER;
    node->spec = swki_arena_alloc(arena, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->membership = SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    node->certificate = swki_arena_alloc(arena, sizeof(*node->certificate));
    swkpb__certificate__init(node->certificate);
    node->certificate->certificate.data =
        swki_arena_memdup(arena, chain->data, chain->len);
    node->certificate->certificate.len = chain->len;
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static void change_cluster(struct f *f,
                           void (*change)(Swkpb__Cluster *cluster,
                                          struct swki_arena *arena))
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_CONTROL, f->wall);

    change(swki_cluster_edit(object), swki_object_arena(object));
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
}

static void start_server(struct f *f)
{
    const struct swki_ca_server_config config = {
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = 5,
    };

    assert_int_equal(swki_ca_server_new(&config, &f->server, NULL), 0);
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swki_store_config config = {.proposer =
                                                 storelog_proposer(&f->log)};

    pki_init(&f->pki, 31);
    pki_init(&f->foreign, 32);
    pki_node_init(&f->pki, &f->worker, NODE, SWKI_ROLE_WORKER);
    pki_node_init(&f->pki, &f->other, NODE, SWKI_ROLE_WORKER);
    pki_request(&f->pki, &f->key, &f->csr);
    f->log.leads = true;
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    found_swarm(f);
    add_node(f, NODE, &f->worker.chain);
    start_server(f);
    f->wall = END + DAY;
    f->sent = (struct sent){
        .chain = &f->worker.chain,
        .key = &f->worker.key,
        .swarm_id = PKI_SWARM,
        .node_id = NODE,
        .csr = &f->csr,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_ca_server_free(f->server);
    swki_store_free(f->store);
    storelog_fini(&f->log);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    swki_buf_fini(&f->csr);
    swki_buf_fini(&f->key);
    pki_node_fini(&f->other);
    pki_node_fini(&f->worker);
    pki_fini(&f->foreign);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* -- Calls ---------------------------------------------------------------- */

static const struct swki_answer *call_as(struct f *f, bool local,
                                         const char *path,
                                         const ProtobufCMessage *request)
{
    const struct swki_caller caller = {
        .node_id = "",
        .swarm_id = "",
        .address = "",
        .request_id = "",
        .local = local,
    };
    const struct swki_call call = {
        .id = ++f->calls,
        .path = path,
        .caller = &caller,
        .request = request,
    };

    swki_answers_reset(&f->answers);
    swki_ca_server_call(f->server, f->now, f->wall, &call, &f->answers);
    assert_non_null(f->answers.first);
    return f->answers.first;
}

static size_t sign(struct f *f, uint8_t signature[SWKI_SIGNATURE_SIZE_MAX])
{
    const struct swki_ca_proof proof = {
        .swarm_id = f->sent.swarm_id,
        .node_id = f->sent.node_id,
        .csr = swki_pem_of_buf(f->sent.csr),
        .chain = swki_pem_of_buf(f->sent.chain),
    };
    size_t len = 0;

    assert_int_equal(swki_ca_proof_sign(&proof, swki_pem_of_buf(f->sent.key),
                                        &f->pki.entropy, signature, &len, NULL),
                     0);
    return len;
}

static const struct swki_answer *issue(struct f *f)
{
    Swkpb__IssueNodeCertificateRequest request;
    Swkpb__RenewalProof proof;
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];

    swkpb__issue_node_certificate_request__init(&request);
    swkpb__renewal_proof__init(&proof);
    request.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
    request.proof = &proof;
    proof.certificate =
        (ProtobufCBinaryData){f->sent.chain->len, f->sent.chain->data};
    proof.signature = (ProtobufCBinaryData){sign(f, signature), signature};
    return call_as(f, false, ISSUE, &request.base);
}

static void expect_taken(struct f *f)
{
    const struct swki_answer *answer = issue(f);
    ProtobufCMessage *message;

    if (answer->status != SWKI_STATUS_OK) {
        fail_msg("refused: %s", answer->text);
    }
    assert_int_equal(
        swki_message_unpack(&swkpb__issue_node_certificate_response__descriptor,
                            answer->message, answer->message_len, &f->arena,
                            &message, NULL),
        0);
    assert_string_equal(
        ((Swkpb__IssueNodeCertificateResponse *)message)->node_id, NODE);
}

static void expect_refused(struct f *f, enum swki_status status,
                           const char *text)
{
    const struct swki_answer *answer = issue(f);

    if (answer->status != status || strstr(answer->text, text) == NULL) {
        fail_msg("not refused with %d, %s; but with %d, %s", status, text,
                 answer->status, answer->text);
    }
}

/* -- Tests ---------------------------------------------------------------- */

static void proof_of_an_ended_certificate_is_taken(void **state)
{
    struct f *f = *state;
    const Swkpb__Node *node;

    expect_taken(f);
    node = swki_node(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, NODE));
    assert_int_equal(node->certificate->status->state,
                     SWKPB__ISSUANCE_STATUS__STATE__RENEW);
    assert_int_equal(node->certificate->role, SWKPB__NODE_ROLE__WORKER);
    assert_int_equal(node->certificate->csr.len, f->csr.len);
}

static void grace_is_thirty_days_to_the_last_moment(void **state)
{
    struct f *f = *state;

    f->wall = END + 30 * DAY + 1;
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED,
                   "ended 720 hours ago, and 720 are allowed");
    f->wall = END + 30 * DAY;
    expect_taken(f);
}

static void set_grace_none(Swkpb__Cluster *cluster, struct swki_arena *arena)
{
    cluster->spec->ca_config->expired_grace = swki_duration_from_ns(0, arena);
}

static void set_grace_of_an_hour(Swkpb__Cluster *cluster,
                                 struct swki_arena *arena)
{
    cluster->spec->ca_config->expired_grace =
        swki_duration_from_ns((int64_t)SWK_HOUR, arena);
}

static void swarm_says_how_long_the_grace_is(void **state)
{
    struct f *f = *state;

    change_cluster(f, set_grace_none);
    f->wall = END + 1;
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED, "the swarm allows none");
    change_cluster(f, set_grace_of_an_hour);
    f->wall = END + (swk_wall)SWK_HOUR + 1;
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED, "1 are allowed");
    f->wall = END + (swk_wall)SWK_HOUR;
    expect_taken(f);
}

/* The node's clock may be ahead of the manager's. */
static void certificate_that_is_valid_still_is_renewed_too(void **state)
{
    struct f *f = *state;

    f->wall = END - DAY;
    expect_taken(f);
}

static void certificate_that_is_not_valid_yet_never_is(void **state)
{
    struct f *f = *state;

    f->wall = PKI_NOW - DAY;
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED, "not valid before");
}

static void proof_is_good_once(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    struct swki_arena *arena;
    struct swki_tx *tx;
    Swkpb__Node *node;

    expect_taken(f);
    storelog_commit_all(&f->log, f->store);
    /* The next certificate is issued. */
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, NODE));
    arena = swki_object_arena(object);
    node = swki_node_edit(object);
    node->certificate = swki_arena_alloc(arena, sizeof(*node->certificate));
    swkpb__certificate__init(node->certificate);
    node->certificate->certificate.data =
        swki_arena_memdup(arena, f->other.chain.data, f->other.chain.len);
    node->certificate->certificate.len = f->other.chain.len;
    tx = swki_store_begin(f->store, SWKI_ACTOR_CA, f->wall);
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED,
                   "not the one that the node was issued last");
}

static void older_certificate_with_its_key_is_of_no_use(void **state)
{
    struct f *f = *state;

    f->sent.chain = &f->other.chain;
    f->sent.key = &f->other.key;
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED,
                   "not the one that the node was issued last");
}

static void signature_is_bound_to_all_that_it_is_about(void **state)
{
    struct f *f = *state;
    const struct sent good = f->sent;
    const struct {
        const char *why;
        struct sent sent;
    } cases[] = {
        {"another key",
         {good.chain, &f->other.key, good.swarm_id, good.node_id, good.csr}},
        {"another swarm", {good.chain, good.key, "s", good.node_id, good.csr}},
        {"another node", {good.chain, good.key, good.swarm_id, "w2", good.csr}},
        {"another request",
         {good.chain, good.key, good.swarm_id, good.node_id, &f->key}},
        {"parts in other places",
         {good.chain, good.key, PKI_SWARM "w", "1", good.csr}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->sent = cases[i].sent;
        expect_refused(f, SWKI_STATUS_PERMISSION_DENIED,
                       "not by its key for this request");
    }
    f->sent = good;
    expect_taken(f);
}

static void node_that_is_gone_is_not_renewed(void **state)
{
    struct f *f = *state;
    struct pki_node stranger;

    pki_node_init(&f->pki, &stranger, "w9", SWKI_ROLE_WORKER);
    f->sent.chain = &stranger.chain;
    f->sent.key = &stranger.key;
    f->sent.node_id = "w9";
    expect_refused(f, SWKI_STATUS_NOT_FOUND,
                   "node w9 not found when attempting to renew certificate");
    pki_node_fini(&stranger);
}

static void blacklist_node(Swkpb__Cluster *cluster, struct swki_arena *arena)
{
    Swkpb__Cluster__BlacklistedCertificatesEntry **list =
        swki_arena_alloc(arena, sizeof(list[0]));

    list[0] = swki_arena_alloc(arena, sizeof(*list[0]));
    swkpb__cluster__blacklisted_certificates_entry__init(list[0]);
    list[0]->key = swki_arena_strdup(arena, NODE);
    list[0]->value = swki_arena_alloc(arena, sizeof(*list[0]->value));
    swkpb__blacklisted_certificate__init(list[0]->value);
    cluster->blacklisted_certificates = list;
    cluster->n_blacklisted_certificates = 1;
}

static void blacklisted_node_is_not_renewed(void **state)
{
    struct f *f = *state;

    change_cluster(f, blacklist_node);
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED,
                   "node w1 was removed from swarm");
}

static void
chain_of_another_root_is_refused_even_if_it_is_recorded(void **state)
{
    struct f *f = *state;
    struct pki_node stranger;

    pki_node_init(&f->foreign, &stranger, "w8", SWKI_ROLE_WORKER);
    add_node(f, "w8", &stranger.chain);
    f->sent.chain = &stranger.chain;
    f->sent.key = &stranger.key;
    f->sent.node_id = "w8";
    expect_refused(f, SWKI_STATUS_PERMISSION_DENIED, "cannot be verified");
    pki_node_fini(&stranger);
}

/* By it a node could otherwise get around its share. A proof that is refused
 * does not count, since anybody may send one. */
static void proofs_count_as_renewals_and_refused_ones_do_not(void **state)
{
    struct f *f = *state;

    f->sent.key = &f->other.key;
    for (int i = 0; i < 2 * SWKI_CA_RENEWALS_AT_ONCE; i++) {
        expect_refused(f, SWKI_STATUS_PERMISSION_DENIED, "not by its key");
    }
    f->sent.key = &f->worker.key;
    for (int i = 0; i < SWKI_CA_RENEWALS_AT_ONCE; i++) {
        expect_taken(f);
    }
    expect_refused(f, SWKI_STATUS_RESOURCE_EXHAUSTED, "too often");
    f->now += SWKI_CA_RENEWAL_INTERVAL;
    expect_taken(f);
}

static void proof_without_form_is_a_bad_request(void **state)
{
    struct f *f = *state;
    static uint8_t large[SWKI_PEM_LEN_MAX + 1];
    const struct {
        const char *why;
        ProtobufCBinaryData certificate;
        ProtobufCBinaryData signature;
    } cases[] = {
        {"empty", {0, NULL}, {0, NULL}},
        {"no signature", {f->worker.chain.len, f->worker.chain.data}, {0}},
        {"long signature",
         {f->worker.chain.len, f->worker.chain.data},
         {257, large}},
        {"long certificate", {sizeof(large), large}, {64, large}},
        {"no certificate", {100, large}, {64, large}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__IssueNodeCertificateRequest request;
        Swkpb__RenewalProof proof;

        swkpb__issue_node_certificate_request__init(&request);
        swkpb__renewal_proof__init(&proof);
        request.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
        request.proof = &proof;
        proof.certificate = cases[i].certificate;
        proof.signature = cases[i].signature;
        if (call_as(f, false, ISSUE, &request.base)->status !=
            SWKI_STATUS_INVALID_ARGUMENT) {
            fail_msg("%s is taken", cases[i].why);
        }
    }
}

static void manager_renews_from_itself_within_the_grace(void **state)
{
    struct f *f = *state;
    Swkpb__IssueNodeCertificateRequest request;
    struct pki_node manager;
    const struct swki_answer *answer;

    pki_node_init(&f->pki, &manager, "m1", SWKI_ROLE_MANAGER);
    add_node(f, "m1", &manager.chain);
    swkpb__issue_node_certificate_request__init(&request);
    request.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
    f->wall = END + 30 * DAY + 1;
    answer = call_as(f, true, ISSUE, &request.base);
    assert_int_equal(answer->status, SWKI_STATUS_PERMISSION_DENIED);
    f->wall = END + 30 * DAY;
    answer = call_as(f, true, ISSUE, &request.base);
    assert_int_equal(answer->status, SWKI_STATUS_OK);
    pki_node_fini(&manager);
}

static void answers_tell_the_time(void **state)
{
    struct f *f = *state;
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    const struct swki_answer *answer = call_as(f, false, ROOT, &request.base);
    ProtobufCMessage *message;
    swk_wall time = 0;

    assert_int_equal(
        swki_message_unpack(&swkpb__get_root_cacertificate_response__descriptor,
                            answer->message, answer->message_len, &f->arena,
                            &message, NULL),
        0);
    assert_int_equal(swki_timestamp_read(
                         ((Swkpb__GetRootCACertificateResponse *)message)->time,
                         &time, NULL),
                     0);
    assert_true(time == f->wall);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(proof_of_an_ended_certificate_is_taken),
        TEST(grace_is_thirty_days_to_the_last_moment),
        TEST(swarm_says_how_long_the_grace_is),
        TEST(certificate_that_is_valid_still_is_renewed_too),
        TEST(certificate_that_is_not_valid_yet_never_is),
        TEST(proof_is_good_once),
        TEST(older_certificate_with_its_key_is_of_no_use),
        TEST(signature_is_bound_to_all_that_it_is_about),
        TEST(node_that_is_gone_is_not_renewed),
        TEST(blacklisted_node_is_not_renewed),
        TEST(chain_of_another_root_is_refused_even_if_it_is_recorded),
        TEST(proofs_count_as_renewals_and_refused_ones_do_not),
        TEST(proof_without_form_is_a_bad_request),
        TEST(manager_renews_from_itself_within_the_grace),
        TEST(answers_tell_the_time),
    };

    return cmocka_run_group_tests_name("ended", tests, NULL, NULL);
}
