/* SPDX-License-Identifier: Apache-2.0 */

/* A node's own certificate: what its key signs, and which roots it speaks for.
 */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "unit/crypto/pki.h"

struct f {
    struct pki old;
    struct pki next;
    struct pki foreign;
    struct pki_node worker;  /* of the old root */
    struct swki_buf crossed; /* its chain by the next root, with the cross
                                certificate behind it */
    uint8_t digest[SWKI_SHA256_SIZE];
};

/* A leaf as it is issued while a root replaces another. */
static void issue_crossed(struct f *f)
{
    const struct swki_leaf leaf = {
        .node_id = "w1",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = 90 * 24 * SWK_HOUR,
    };
    struct swki_buf key;
    struct swki_buf csr;

    pki_request(&f->old, &key, &csr);
    swki_buf_init(&f->crossed, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(f->next.signer, swki_pem_of_buf(&csr),
                                       &leaf, &f->crossed, NULL),
                     0);
    assert_int_equal(swki_signer_cross_sign(f->old.signer,
                                            swki_pem_of_buf(&f->next.root),
                                            &f->crossed, NULL),
                     0);
    swki_buf_fini(&key);
    swki_buf_fini(&csr);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    pki_init(&f->old, 1);
    pki_init(&f->next, 2);
    pki_init(&f->foreign, 3);
    pki_node_init(&f->old, &f->worker, "w1", SWKI_ROLE_WORKER);
    issue_crossed(f);
    memset(f->digest, 0x5a, sizeof(f->digest));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->crossed);
    pki_node_fini(&f->worker);
    pki_fini(&f->foreign);
    pki_fini(&f->next);
    pki_fini(&f->old);
    free(f);
    return 0;
}

/* What a node with this chain and these trusted roots says of others. */
static int vouches(const struct swki_buf *chain, const struct swki_buf *trusted,
                   const struct swki_buf *first, const struct swki_buf *second)
{
    struct swki_buf bundle;
    int rc;

    swki_buf_init(&bundle, NULL, SIZE_MAX);
    assert_true(swki_buf_append(&bundle, first->data, first->len));
    if (second != NULL) {
        assert_true(swki_buf_append(&bundle, second->data, second->len));
    }
    rc = swki_leaf_vouches(swki_pem_of_buf(chain), swki_pem_of_buf(trusted),
                           swki_pem_of_buf(&bundle), NULL);
    swki_buf_fini(&bundle);
    return rc;
}

static void signature_verifies_with_the_certificate(void **state)
{
    struct f *f = *state;
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];
    size_t len = 0;

    assert_int_equal(swki_key_sign_digest(swki_pem_of_buf(&f->worker.key),
                                          f->digest, &f->old.entropy, signature,
                                          &len, NULL),
                     0);
    assert_int_equal(swki_leaf_check_digest(swki_pem_of_buf(&f->worker.chain),
                                            f->digest, signature, len, NULL),
                     0);
}

static void signature_of_another_key_or_digest_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_pem chain = swki_pem_of_buf(&f->worker.chain);
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];
    size_t len = 0;

    assert_int_equal(swki_key_sign_digest(swki_pem_of_buf(&f->worker.key),
                                          f->digest, &f->old.entropy, signature,
                                          &len, NULL),
                     0);
    assert_int_equal(swki_leaf_check_digest(swki_pem_of_buf(&f->crossed),
                                            f->digest, signature, len, NULL),
                     SWK_EUNAUTHENTICATED);
    assert_int_equal(
        swki_leaf_check_digest(chain, f->digest, signature, len - 1, NULL),
        SWK_EUNAUTHENTICATED);
    assert_int_equal(
        swki_leaf_check_digest(chain, f->digest, signature, 0, NULL),
        SWK_EUNAUTHENTICATED);
    f->digest[31] ^= 1;
    assert_int_equal(
        swki_leaf_check_digest(chain, f->digest, signature, len, NULL),
        SWK_EUNAUTHENTICATED);
}

static void leaf_is_compared_to_the_byte(void **state)
{
    struct f *f = *state;
    struct swki_pem chain = swki_pem_of_buf(&f->worker.chain);
    struct swki_buf longer;

    assert_true(swki_leaf_same(chain, chain));
    assert_false(swki_leaf_same(chain, swki_pem_of_buf(&f->crossed)));
    assert_false(swki_leaf_same(chain, swki_pem_of("")));
    /* What is behind it does not count. */
    swki_buf_init(&longer, NULL, SIZE_MAX);
    assert_true(swki_buf_append(&longer, f->worker.chain.data,
                                f->worker.chain.len));
    assert_true(swki_buf_append(&longer, f->old.root.data, f->old.root.len));
    assert_true(swki_leaf_same(chain, swki_pem_of_buf(&longer)));
    swki_buf_fini(&longer);
}

static void root_that_signed_the_leaf_is_vouched_for(void **state)
{
    struct f *f = *state;

    assert_int_equal(vouches(&f->crossed, &f->old.root, &f->next.root, NULL),
                     0);
    assert_int_equal(
        vouches(&f->crossed, &f->old.root, &f->next.root, &f->old.root), 0);
}

static void another_root_does_not_come_in_beside_it(void **state)
{
    struct f *f = *state;

    assert_int_equal(
        vouches(&f->crossed, &f->old.root, &f->next.root, &f->foreign.root),
        SWK_EUNAUTHENTICATED);
    assert_int_equal(vouches(&f->crossed, &f->old.root, &f->foreign.root, NULL),
                     SWK_EUNAUTHENTICATED);
}

static void past_root_does_not_come_back_by_the_cross_certificate(void **state)
{
    struct f *f = *state;

    assert_int_equal(vouches(&f->crossed, &f->next.root, &f->old.root, NULL),
                     SWK_EUNAUTHENTICATED);
    assert_int_equal(
        vouches(&f->crossed, &f->next.root, &f->next.root, &f->old.root),
        SWK_EUNAUTHENTICATED);
}

static void node_that_missed_it_all_vouches_for_nothing_new(void **state)
{
    struct f *f = *state;

    assert_int_equal(
        vouches(&f->worker.chain, &f->old.root, &f->next.root, NULL),
        SWK_EUNAUTHENTICATED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(signature_verifies_with_the_certificate),
        TEST(signature_of_another_key_or_digest_is_refused),
        TEST(leaf_is_compared_to_the_byte),
        TEST(root_that_signed_the_leaf_is_vouched_for),
        TEST(another_root_does_not_come_in_beside_it),
        TEST(past_root_does_not_come_back_by_the_cross_certificate),
        TEST(node_that_missed_it_all_vouches_for_nothing_new),
    };

    return cmocka_run_group_tests_name("leaf", tests, NULL, NULL);
}
