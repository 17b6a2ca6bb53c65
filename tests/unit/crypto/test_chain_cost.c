/* SPDX-License-Identifier: Apache-2.0 */

/* Chains are verified on the leader's loop, where a signature is what costs
 * time: none is verified twice. */

#include "lib/cmocka_all.h"

#include "crypto/mbed.h"
#include "pki.h"

struct f {
    struct pki old;
    struct pki next;
    struct pki_node node; /* by the next root, which the old one vouches for */
};

static unsigned counted; /* signatures that we verify beside the walk */

bool __real_swki_mbed_signed_by(const mbedtls_x509_crt *child,
                                mbedtls_x509_crt *parent);
bool __wrap_swki_mbed_signed_by(const mbedtls_x509_crt *child,
                                mbedtls_x509_crt *parent);

bool __wrap_swki_mbed_signed_by(const mbedtls_x509_crt *child,
                                mbedtls_x509_crt *parent)
{
    counted++;
    return __real_swki_mbed_signed_by(child, parent);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->old, 1);
    pki_init(&f->next, 2);
    pki_node_init(&f->next, &f->node, "n1", SWKI_ROLE_WORKER);
    assert_int_equal(swki_signer_cross_sign(f->old.signer,
                                            swki_pem_of_buf(&f->next.root),
                                            &f->node.chain, NULL),
                     0);
    counted = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    pki_node_fini(&f->node);
    pki_fini(&f->next);
    pki_fini(&f->old);
    free(f);
    return 0;
}

static int verify(const struct f *f, const struct swki_buf *roots)
{
    const struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&f->node.chain),
        .roots = swki_pem_of_buf(roots),
        .now = PKI_NOW,
    };

    return swki_chain_verify(&chain, NULL, NULL);
}

static void links_of_the_path_are_verified_once(void **state)
{
    struct f *f = *state;

    assert_int_equal(verify(f, &f->old.root), 0);
    assert_int_equal(counted, 0);
}

static void links_beside_the_path_are_verified_too(void **state)
{
    struct f *f = *state;

    assert_int_equal(verify(f, &f->next.root), 0);
    assert_int_equal(counted, 1);
}

static void a_stranger_behind_the_path_is_refused(void **state)
{
    struct f *f = *state;
    struct pki_node other;

    /* The leaf leads to the root by itself; what follows is no part of it. */
    pki_node_init(&f->old, &other, "n2", SWKI_ROLE_WORKER);
    assert_true(
        swki_buf_append(&f->node.chain, other.chain.data, other.chain.len));
    assert_int_equal(verify(f, &f->next.root), SWK_EUNAUTHENTICATED);
    assert_int_equal(verify(f, &f->old.root), SWK_EUNAUTHENTICATED);
    pki_node_fini(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(links_of_the_path_are_verified_once),
        TEST(links_beside_the_path_are_verified_too),
        TEST(a_stranger_behind_the_path_is_refused),
    };

    return cmocka_run_group_tests_name("chain_cost", tests, NULL, NULL);
}
