/* SPDX-License-Identifier: Apache-2.0 */

/* The notary: each reason for which a signer refuses, and what it lets pass. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/signer/notary.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define NODE "node00000000000000000000a"
#define DAY (24 * SWK_HOUR)

struct f {
    struct pki pki;
    struct pki other; /* an authority that is not held */
    struct swki_authorities authorities;
    struct swki_authority *authority;
    struct swki_notary notary;
    struct swki_notary_decision decision;
    struct pki_node worker; /* NODE as a worker */
    struct pki_node manager;
    struct swk_error err;
    swk_time now;
    swk_wall wall;
};

static void begin(struct f *f, const struct swk_signer_policy *policy)
{
    swki_notary_fini(&f->notary);
    assert_int_equal(
        swki_notary_init(&f->notary, policy, "", &f->authorities, NULL), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swk_signer_policy defaults = {sizeof(defaults)};

    pki_init(&f->pki, 1);
    pki_init(&f->other, 2);
    swki_authorities_init(&f->authorities, NULL);
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->pki.root),
                                          swki_pem_of_buf(&f->pki.key),
                                          &f->pki.entropy, &f->authority, NULL),
                     0);
    pki_node_init(&f->pki, &f->worker, NODE, SWKI_ROLE_WORKER);
    pki_node_init(&f->pki, &f->manager, NODE, SWKI_ROLE_MANAGER);
    f->now = 1000 * SWK_HOUR;
    f->wall = PKI_NOW;
    begin(f, &defaults);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    pki_node_fini(&f->worker);
    pki_node_fini(&f->manager);
    swki_notary_fini(&f->notary);
    swki_authorities_fini(&f->authorities);
    pki_fini(&f->other);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* A new worker; tests change what they are about. */
static struct swki_notary_request request_of(const struct f *f)
{
    return (struct swki_notary_request){
        .kind = SWKI_NOTARY_NODE,
        .now = f->wall,
        .swarm_id = PKI_SWARM,
        .authority = swki_pem_of_buf(&f->pki.root),
        .node_id = NODE,
        .role = SWKI_ROLE_WORKER,
        .validity_ns = 90 * DAY,
    };
}

static int decide(struct f *f, const struct swki_notary_request *request)
{
    int rc;

    memset(&f->err, 0, sizeof(f->err));
    rc = swki_notary_decide(&f->notary, f->now, f->wall, request, &f->decision,
                            &f->err);
    assert_int_equal(f->err.code, rc);
    return rc;
}

static void assert_refused(struct f *f,
                           const struct swki_notary_request *request, int code,
                           const char *text)
{
    int rc = decide(f, request);

    if (rc != code || strstr(f->err.text, text) == NULL) {
        fail_msg("%d \"%s\" instead of %d \"%s\"", rc, f->err.text, code, text);
    }
}

static void a_new_worker_and_a_new_manager_are_admitted(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    assert_int_equal(decide(f, &request), 0);
    assert_ptr_equal(f->decision.authority, f->authority);
    assert_int_equal(f->decision.previous_role, SWKI_ROLE_NONE);
    request.role = SWKI_ROLE_MANAGER;
    assert_int_equal(decide(f, &request), 0);
}

static void a_node_that_shows_its_certificate_gets_another(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_int_equal(decide(f, &request), 0);
    assert_int_equal(f->decision.previous_role, SWKI_ROLE_WORKER);
    request.role = SWKI_ROLE_MANAGER; /* promoted */
    assert_int_equal(decide(f, &request), 0);
    request.previous = swki_pem_of_buf(&f->manager.chain);
    assert_int_equal(decide(f, &request), 0);
    assert_int_equal(f->decision.previous_role, SWKI_ROLE_MANAGER);
    request.role = SWKI_ROLE_WORKER; /* demoted */
    assert_int_equal(decide(f, &request), 0);
}

/* Puts a node into the register, as if it had been signed for. */
static void know(struct f *f, const char *node_id, enum swki_role role,
                 swk_wall not_before)
{
    struct swki_register_record record = {
        .role = role,
        .not_before = not_before,
        .not_after = not_before + (swk_wall)(90 * DAY),
    };

    snprintf(record.node_id, sizeof(record.node_id), "%s", node_id);
    assert_true(swki_register_put(&f->notary.nodes, &record));
}

static void a_node_that_was_signed_for_is_not_new(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct swki_buf key;
    struct swki_buf csr;

    pki_request(&f->pki, &key, &csr);
    request.csr = swki_pem_of_buf(&csr);
    know(f, NODE, SWKI_ROLE_WORKER, f->wall);
    assert_refused(f, &request, SWK_EDENIED, "is not new");
    request.role = SWKI_ROLE_MANAGER;
    assert_refused(f, &request, SWK_EDENIED, "is not new");
    request.role = SWKI_ROLE_WORKER;
    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_int_equal(decide(f, &request), 0);

    /* Once its certificate would not count either, it is. */
    request.previous = swki_pem_of("");
    f->wall += (swk_wall)(120 * DAY);
    request.now = f->wall;
    assert_refused(f, &request, SWK_EDENIED, "is not new");
    f->wall += (swk_wall)SWK_SECOND;
    assert_int_equal(decide(f, &request), 0);
    assert_int_equal(f->decision.previous_role, SWKI_ROLE_NONE);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

/* As when the manager that asked was gone before it had the answer. */
static void the_same_key_is_signed_again_in_the_same_role(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct swki_register_record record;
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_buf pem;
    const struct swki_leaf leaf = {
        .node_id = NODE,
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = f->wall,
        .validity_ns = DAY,
    };

    pki_request(&f->pki, &key, &csr);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    request.csr = swki_pem_of_buf(&csr);
    assert_int_equal(
        swki_signer_issue(f->pki.signer, request.csr, &leaf, &pem, NULL), 0);
    assert_int_equal(
        swki_notary_record(&request, swki_pem_of_buf(&pem), &record, NULL), 0);
    assert_true(swki_register_put(&f->notary.nodes, &record));
    assert_int_equal(decide(f, &request), 0);
    assert_int_equal(f->decision.previous_role, SWKI_ROLE_WORKER);
    request.role = SWKI_ROLE_MANAGER;
    assert_refused(f, &request, SWK_EDENIED, "is not new");
    request.role = SWKI_ROLE_WORKER;
    request.csr = swki_pem_of("garbage");
    assert_int_not_equal(decide(f, &request), 0);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void an_earlier_certificate_is_no_way_back_to_a_role(void **state)
{
    const struct swk_signer_policy no_promotions = {
        sizeof(no_promotions), .flags = SWK_SIGNER_NO_PROMOTIONS};
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    begin(f, &no_promotions);
    request.role = SWKI_ROLE_MANAGER;
    request.previous = swki_pem_of_buf(&f->manager.chain);
    assert_int_equal(decide(f, &request), 0);
    know(f, NODE, SWKI_ROLE_WORKER, f->wall); /* demoted since */
    assert_refused(f, &request, SWK_EDENIED, "become managers");
    /* What another signer of the swarm signed later counts. */
    know(f, NODE, SWKI_ROLE_WORKER, f->wall - (swk_wall)DAY);
    assert_int_equal(decide(f, &request), 0);
}

static void no_more_nodes_are_taken_in_than_are_remembered(void **state)
{
    const struct swk_signer_policy two = {sizeof(two), .nodes_max = 2};
    const struct swk_signer_policy many = {
        sizeof(many), .nodes_max = SWK_SIGNER_NODES_MAX + 1};
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    begin(f, &two);
    know(f, "a", SWKI_ROLE_WORKER, f->wall);
    assert_int_equal(decide(f, &request), 0);
    know(f, "b", SWKI_ROLE_WORKER, f->wall + (swk_wall)DAY);
    assert_refused(f, &request, SWK_ELIMIT, "--nodes-max");
    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_int_equal(decide(f, &request), 0); /* it is one already */
    request.previous = swki_pem_of("");
    f->wall += (swk_wall)(120 * DAY + SWK_SECOND);
    request.now = f->wall;
    assert_int_equal(decide(f, &request), 0); /* the place of the first */
    assert_int_equal(
        swki_notary_init(&f->notary, &many, "", &f->authorities, &f->err),
        SWK_EINVAL);
}

static void new_managers_need_an_operators_word(void **state)
{
    const struct swk_signer_policy policy = {
        sizeof(policy), .flags = SWK_SIGNER_APPROVE_MANAGERS};
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    begin(f, &policy);
    request.role = SWKI_ROLE_MANAGER;
    assert_int_equal(decide(f, &request), 0); /* the founder */
    assert_false(f->decision.approved);
    f->authority->used = true;
    assert_refused(f, &request, SWK_EABORTED, "swarm-signer allow " NODE);
    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_refused(f, &request, SWK_EABORTED, "swarm-signer allow");
    request.previous = swki_pem_of_buf(&f->manager.chain);
    assert_int_equal(decide(f, &request), 0); /* it is one */
    request.role = SWKI_ROLE_WORKER;
    request.previous = swki_pem_of("");
    assert_int_equal(decide(f, &request), 0);

    request.role = SWKI_ROLE_MANAGER;
    assert_true(swki_approvals_add(&f->notary.approvals, NODE,
                                   f->wall + (swk_wall)DAY, f->wall));
    assert_int_equal(decide(f, &request), 0);
    assert_true(f->decision.approved);
    f->wall += (swk_wall)(DAY + SWK_SECOND);
    request.now = f->wall;
    assert_refused(f, &request, SWK_EABORTED, "swarm-signer allow");

    /* A fresh root is nobody's way around it. */
    f->authority->used = false;
    know(f, "a", SWKI_ROLE_WORKER, f->wall);
    assert_refused(f, &request, SWK_EABORTED, "swarm-signer allow");
}

static void what_is_wrong_for_good_is_denied(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct pki_node stranger;

    request.swarm_id = "";
    assert_refused(f, &request, SWK_EINVAL, "no swarm");
    request = request_of(f);
    request.node_id = "";
    assert_refused(f, &request, SWK_EINVAL, "no node");
    request = request_of(f);
    request.role = SWKI_ROLE_NONE;
    assert_refused(f, &request, SWK_EINVAL, "no role");
    request = request_of(f);
    request.validity_ns = 90 * DAY + SWK_HOUR;
    assert_refused(f, &request, SWK_EDENIED, "2161 h was asked for");
    request.validity_ns = SWK_SECOND;
    assert_refused(f, &request, SWK_EDENIED, "validity");
    request = request_of(f);
    request.authority = swki_pem_of("no certificate");
    assert_refused(f, &request, SWK_EMALFORMED, "");

    pki_node_init(&f->other, &stranger, NODE, SWKI_ROLE_WORKER);
    request = request_of(f);
    request.previous = swki_pem_of_buf(&stranger.chain);
    assert_refused(f, &request, SWK_EDENIED, "not signed by a trusted root");
    pki_node_fini(&stranger);
    request.previous = swki_pem_of("garbage");
    assert_refused(f, &request, SWK_EDENIED, "of no use");
}

static void the_certificate_of_another_node_is_no_proof(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    request.previous = swki_pem_of_buf(&f->worker.chain);
    request.node_id = "node00000000000000000000b";
    assert_refused(f, &request, SWK_EDENIED, "shows the certificate of node");
    request.node_id = NODE;
    request.swarm_id = "swarm0000000000000000000b";
    assert_refused(f, &request, SWK_EDENIED, "shows the certificate of node");
}

static void an_expired_certificate_counts_for_a_while(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    f->wall = PKI_NOW + (swk_wall)(119 * DAY);
    request.now = f->wall;
    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_int_equal(decide(f, &request), 0);
    f->wall = request.now = PKI_NOW + (swk_wall)(121 * DAY);
    assert_refused(f, &request, SWK_EDENIED, "expired longer ago than 720 h");
    f->wall = request.now = PKI_NOW - (swk_wall)DAY;
    assert_refused(f, &request, SWK_EPRECONDITION, "not valid now");
}

static void what_may_be_put_right_is_refused_for_now(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    request.authority = swki_pem_of_buf(&f->other.root);
    assert_refused(f, &request, SWK_EUNAVAILABLE, "is not here");
    request = request_of(f);
    request.now = f->wall + (swk_wall)(5 * SWK_MINUTE);
    assert_int_equal(decide(f, &request), 0);
    request.now += 1;
    assert_refused(f, &request, SWK_EPRECONDITION, "clock is 300 s off");
    request.now = f->wall - (swk_wall)(6 * SWK_MINUTE);
    assert_refused(f, &request, SWK_EPRECONDITION, "clock is 360 s off");
    request.now = INT64_MIN;
    assert_refused(f, &request, SWK_EPRECONDITION, "clock");

    f->wall = request.now = PKI_NOW + (swk_wall)(21 * 365 * DAY);
    assert_refused(f, &request, SWK_EPRECONDITION, "not valid now");
}

static void an_authority_without_its_key_signs_nothing(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct swki_authority *authority;

    assert_int_equal(swki_authorities_add(
                         &f->authorities, swki_pem_of_buf(&f->other.root),
                         swki_pem_of(""), &f->other.entropy, &authority, NULL),
                     0);
    request.authority = swki_pem_of_buf(&f->other.root);
    assert_refused(f, &request, SWK_EUNAVAILABLE, "is not here");
}

static void the_first_swarm_stays_the_only_one(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    const struct swk_signer_policy other = {
        sizeof(other), .swarm_id = "swarm0000000000000000000b"};

    assert_int_equal(decide(f, &request), 0);
    assert_true(swki_notary_signed(&f->notary, &request, &f->decision));
    assert_string_equal(f->notary.swarm_id, PKI_SWARM);
    assert_false(swki_notary_signed(&f->notary, &request, &f->decision));
    request.swarm_id = "swarm0000000000000000000b";
    assert_refused(f, &request, SWK_EDENIED, "serves another swarm");
    request.kind = SWKI_NOTARY_ROOT;
    assert_refused(f, &request, SWK_EDENIED, "serves another swarm");

    /* What an option says is fixed from the start, and must agree. */
    assert_int_equal(swki_notary_init(&f->notary, &other, PKI_SWARM,
                                      &f->authorities, &f->err),
                     SWK_EINVAL);
    begin(f, &other);
    request = request_of(f);
    assert_refused(f, &request, SWK_EDENIED, "serves another swarm");
}

static void roles_are_permissions(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    const struct swk_signer_policy workers = {sizeof(workers),
                                              .flags = SWK_SIGNER_NO_MANAGERS};
    const struct swk_signer_policy no_promotions = {
        sizeof(no_promotions), .flags = SWK_SIGNER_NO_PROMOTIONS};

    begin(f, &workers);
    request.role = SWKI_ROLE_MANAGER;
    assert_refused(f, &request, SWK_EDENIED, "workers alone");
    request.previous = swki_pem_of_buf(&f->manager.chain);
    assert_refused(f, &request, SWK_EDENIED, "workers alone");

    begin(f, &no_promotions);
    assert_int_equal(decide(f, &request), 0);
    request.previous = swki_pem_of_buf(&f->worker.chain);
    assert_refused(f, &request, SWK_EDENIED, "become managers");
    request.previous = swki_pem_of("");
    assert_int_equal(decide(f, &request), 0);
}

/* Each rate by itself: two at once, then one in six minutes. */
static void rates_are_kept(void **state)
{
    static const struct {
        const char *text;
        enum swki_role role;
        bool renewal;
        bool promotion;
    } cases[] = {
        {"more new nodes", SWKI_ROLE_WORKER, false, false},
        {"more renewals", SWKI_ROLE_WORKER, true, false},
        {"more new managers", SWKI_ROLE_MANAGER, false, false},
        {"more new managers", SWKI_ROLE_MANAGER, true, true},
    };
    const struct swk_signer_rate few = {.per_hour = 10, .burst = 2};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_notary_request request = request_of(f);
        struct swk_signer_policy policy = {sizeof(policy), .new_managers = few};

        if (cases[i].role == SWKI_ROLE_WORKER) {
            policy.new_nodes = few;
            policy.renewals = few;
        }
        begin(f, &policy);
        request.role = cases[i].role;
        if (cases[i].renewal) {
            request.previous = swki_pem_of_buf(&f->worker.chain);
        }
        assert_int_equal(decide(f, &request), 0);
        assert_int_equal(decide(f, &request), 0);
        assert_refused(f, &request, SWK_ELIMIT, cases[i].text);
        f->now += 6 * SWK_MINUTE - 1;
        assert_refused(f, &request, SWK_ELIMIT, cases[i].text);
        f->now += 1;
        assert_int_equal(decide(f, &request), 0);
        assert_refused(f, &request, SWK_ELIMIT, cases[i].text);
        f->now += SWK_HOUR; /* no more than the burst is saved up */
        assert_int_equal(decide(f, &request), 0);
        assert_int_equal(decide(f, &request), 0);
        assert_refused(f, &request, SWK_ELIMIT, cases[i].text);
    }
}

static void a_managers_renewal_uses_up_no_new_manager(void **state)
{
    const struct swk_signer_policy policy = {
        sizeof(policy), .new_managers = {.per_hour = 1, .burst = 1}};
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    begin(f, &policy);
    request.role = SWKI_ROLE_MANAGER;
    request.previous = swki_pem_of_buf(&f->manager.chain);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(decide(f, &request), 0);
    }
    request.previous = swki_pem_of("");
    assert_int_equal(decide(f, &request), 0);
    assert_refused(f, &request, SWK_ELIMIT, "more new managers");
}

static void an_unused_root_is_given_before_another_is_made(void **state)
{
    struct f *f = *state;
    struct swki_notary_request node = request_of(f);
    struct swki_notary_request request = node;
    const struct swk_signer_policy policy = {
        sizeof(policy), .roots = {.per_hour = 1, .burst = 1}};

    begin(f, &policy);
    request.kind = SWKI_NOTARY_ROOT;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(decide(f, &request), 0);
        assert_ptr_equal(f->decision.authority, f->authority);
        assert_false(swki_notary_signed(&f->notary, &request, &f->decision));
    }
    assert_int_equal(decide(f, &node), 0);
    assert_true(swki_notary_signed(&f->notary, &node, &f->decision));
    assert_int_equal(decide(f, &request), 0);
    assert_null(f->decision.authority); /* make one */
    assert_refused(f, &request, SWK_ELIMIT, "more roots");
    f->notary.policy.flags = SWK_SIGNER_NO_NEW_ROOTS;
    assert_refused(f, &request, SWK_EDENIED, "makes no roots");
}

static void a_root_is_signed_under_another_that_is_held(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct swki_authority *fresh;

    request.kind = SWKI_NOTARY_CROSS;
    request.root = swki_pem_of_buf(&f->other.root);
    assert_refused(f, &request, SWK_EDENIED, "signs no others");
    f->notary.policy.flags = SWK_SIGNER_FOREIGN_ROOTS;
    assert_int_equal(decide(f, &request), 0);
    assert_null(f->decision.subject);
    f->notary.policy.flags = 0;
    /* To know a root's nodes is not to vouch for whoever has its key. */
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->other.root),
                                          swki_pem_of(NULL), NULL, &fresh,
                                          NULL),
                     0);
    assert_refused(f, &request, SWK_EDENIED, "signs no others");
    swki_authorities_remove(&f->authorities, fresh);
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->other.root),
                                          swki_pem_of_buf(&f->other.key),
                                          &f->other.entropy, &fresh, NULL),
                     0);
    assert_int_equal(decide(f, &request), 0);
    assert_ptr_equal(f->decision.authority, f->authority);
    assert_ptr_equal(f->decision.subject, fresh);
    assert_true(swki_notary_signed(&f->notary, &request, &f->decision));
    assert_true(fresh->used);

    request.root = swki_pem_of_buf(&f->pki.root);
    assert_refused(f, &request, SWK_EINVAL, "under itself");
    request.root = swki_pem_of_buf(&f->worker.chain);
    assert_refused(f, &request, SWK_EINVAL, "not self-signed");
}

static void whether_it_would_sign_is_told_and_changes_nothing(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);

    request.kind = SWKI_NOTARY_CHECK;
    assert_int_equal(decide(f, &request), 0);
    assert_ptr_equal(f->decision.authority, f->authority);
    assert_false(swki_notary_signed(&f->notary, &request, &f->decision));
    assert_string_equal(f->notary.swarm_id, "");
    assert_false(f->authority->used);
    request.authority = swki_pem_of_buf(&f->other.root);
    assert_refused(f, &request, SWK_EUNAVAILABLE, "is not here");
}

static void a_cross_certificate_stands_for_its_root(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    struct swki_authority *old;
    struct swki_buf cross;

    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->other.root),
                                          swki_pem_of_buf(&f->other.key),
                                          &f->other.entropy, &old, NULL),
                     0);
    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->other.signer,
                                            swki_pem_of_buf(&f->pki.root),
                                            &cross, NULL),
                     0);
    request.authority = swki_pem_of_buf(&cross);
    assert_int_equal(decide(f, &request), 0);
    assert_ptr_equal(f->decision.authority, f->authority);
    swki_buf_fini(&cross);
}

static void
authorities_are_found_by_the_start_of_their_fingerprint(void **state)
{
    struct f *f = *state;
    struct swki_authority *found;
    struct swki_authority *second;
    char prefix[9] = "";

    assert_int_equal(
        swki_authorities_named(&f->authorities, NULL, &found, NULL), 0);
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->pki.root),
                                          swki_pem_of_buf(&f->pki.key),
                                          &f->pki.entropy, &second, NULL),
                     SWK_EEXIST);
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->other.root),
                                          swki_pem_of_buf(&f->pki.key),
                                          &f->pki.entropy, &second, NULL),
                     SWK_EINVAL); /* no pair */
    assert_int_equal(swki_authorities_add(&f->authorities,
                                          swki_pem_of_buf(&f->other.root),
                                          swki_pem_of_buf(&f->other.key),
                                          &f->pki.entropy, &second, NULL),
                     0);
    assert_int_equal(
        swki_authorities_named(&f->authorities, NULL, &found, NULL),
        SWK_EINVAL);
    memcpy(prefix, second->fingerprint, 8);
    assert_int_equal(
        swki_authorities_named(&f->authorities, prefix, &found, NULL), 0);
    assert_ptr_equal(found, second);
    assert_int_equal(
        swki_authorities_named(&f->authorities, "xyz", &found, NULL),
        SWK_ENOTFOUND);
}

static void refusals_without_end_do_not_fill_the_log(void **state)
{
    struct f *f = *state;
    uint64_t left_out = 0;
    unsigned told = 0;

    for (unsigned i = 0; i < 5000; i++) {
        told += swki_notary_refused(&f->notary, f->now, SWK_EDENIED, &left_out)
                    ? 1
                    : 0;
    }
    assert_int_equal(told, 1000);
    assert_int_equal(left_out, 0);
    f->now += SWK_SECOND;
    assert_true(
        swki_notary_refused(&f->notary, f->now, SWK_EDENIED, &left_out));
    assert_int_equal(left_out, 4000);
    assert_int_equal(f->notary.counters.refused, 5001);
}

static void it_describes_itself_without_a_key(void **state)
{
    struct f *f = *state;
    struct swki_notary_request request = request_of(f);
    Swkpb__Rpc__DescribeSignerResponse *told;
    struct swki_arena arena;
    struct swki_buf bytes;
    uint64_t none = 0;

    assert_int_equal(decide(f, &request), 0);
    swki_notary_signed(&f->notary, &request, &f->decision);
    assert_true(swki_notary_refused(&f->notary, f->now, SWK_EDENIED, &none));
    assert_true(swki_notary_refused(&f->notary, f->now, SWK_EIO, &none));
    assert_int_equal(none, 0);
    swki_arena_init(&arena, NULL, SIZE_MAX);
    told = swki_notary_describe(&f->notary, f->wall, &arena);
    assert_non_null(told);
    assert_string_equal(told->swarm_id, PKI_SWARM);
    assert_int_equal(told->n_authorities, 1);
    assert_string_equal(told->authorities[0]->fingerprint,
                        f->authority->fingerprint);
    assert_true(told->authorities[0]->used);
    assert_true(told->authorities[0]->has_key);
    assert_int_equal(told->counters->new_nodes, 1);
    assert_int_equal(told->counters->refused, 1);
    assert_int_equal(told->counters->failed, 1);
    assert_int_equal(told->policy->new_managers->per_hour, 20);
    swki_buf_init(&bytes, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&told->base, &bytes, NULL), 0);
    assert_null(memmem(bytes.data, bytes.len, "PRIVATE", 7));
    swki_buf_fini(&bytes);
    swki_arena_fini(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_worker_and_a_new_manager_are_admitted),
        TEST(a_node_that_shows_its_certificate_gets_another),
        TEST(a_node_that_was_signed_for_is_not_new),
        TEST(the_same_key_is_signed_again_in_the_same_role),
        TEST(an_earlier_certificate_is_no_way_back_to_a_role),
        TEST(no_more_nodes_are_taken_in_than_are_remembered),
        TEST(new_managers_need_an_operators_word),
        TEST(what_is_wrong_for_good_is_denied),
        TEST(the_certificate_of_another_node_is_no_proof),
        TEST(an_expired_certificate_counts_for_a_while),
        TEST(what_may_be_put_right_is_refused_for_now),
        TEST(an_authority_without_its_key_signs_nothing),
        TEST(the_first_swarm_stays_the_only_one),
        TEST(roles_are_permissions),
        TEST(rates_are_kept),
        TEST(a_managers_renewal_uses_up_no_new_manager),
        TEST(an_unused_root_is_given_before_another_is_made),
        TEST(a_root_is_signed_under_another_that_is_held),
        TEST(whether_it_would_sign_is_told_and_changes_nothing),
        TEST(a_cross_certificate_stands_for_its_root),
        TEST(authorities_are_found_by_the_start_of_their_fingerprint),
        TEST(refusals_without_end_do_not_fill_the_log),
        TEST(it_describes_itself_without_a_key),
    };

    return cmocka_run_group_tests_name("notary", tests, NULL, NULL);
}
