/* SPDX-License-Identifier: Apache-2.0 */

/* The authority that stands alone: what it keeps, whom it admits, how its root
 * changes. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/ca.h>

#include "unit/crypto/pki.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))

struct f {
    struct pki pki; /* for its entropy, and as a foreign authority */
    struct swk_ca_config config;
    swk_ca *ca;
    char *key;
    char *csr;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 7);
    f->config = (struct swk_ca_config)SWK_CA_CONFIG_INIT;
    f->config.swarm_id = "somebody";
    f->config.entropy = &f->pki.entropy;
    assert_int_equal(swk_ca_new(&f->config, PKI_NOW, &f->ca, NULL), 0);
    assert_int_equal(swk_ca_key_new(&f->pki.entropy, &f->key, NULL), 0);
    assert_int_equal(swk_ca_csr_new(f->key, &f->pki.entropy, &f->csr, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_ca_text_free(f->csr);
    swk_ca_text_free(f->key);
    swk_ca_free(f->ca);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static struct swk_ca_request request_of(const struct f *f)
{
    struct swk_ca_request request = SWK_CA_REQUEST_INIT;

    request.node_id = "node1";
    request.role = SWK_NODE_WORKER;
    request.csr = f->csr;
    request.now = PKI_NOW;
    return request;
}

static char *issue(struct f *f)
{
    const struct swk_ca_request request = request_of(f);
    char *chain = NULL;

    assert_int_equal(swk_ca_issue(f->ca, &request, &chain, NULL), 0);
    return chain;
}

static struct swk_ca_request renewal_of(const struct f *f, const char *chain,
                                        swk_wall now)
{
    struct swk_ca_request request = SWK_CA_REQUEST_INIT;

    request.csr = f->csr;
    request.chain = chain;
    request.now = now;
    return request;
}

static void certificate_verifies_and_names_its_holder(void **state)
{
    struct f *f = *state;
    struct swk_ca_certificate certificate;
    char *chain = issue(f);

    assert_int_equal(
        swk_ca_verify(chain, swk_ca_roots(f->ca), PKI_NOW, &certificate, NULL),
        0);
    assert_string_equal(certificate.identity.node_id, "node1");
    assert_string_equal(certificate.identity.swarm_id, "somebody");
    assert_int_equal(certificate.identity.role, SWK_NODE_WORKER);
    assert_true(certificate.not_before == PKI_NOW - (swk_wall)SWK_HOUR);
    assert_true(certificate.identity.not_after == PKI_NOW + 90 * DAY);
    assert_int_equal(swk_ca_verify(chain, pki_text(&f->pki.root), PKI_NOW,
                                   &certificate, NULL),
                     SWK_EUNAUTHENTICATED);
    swk_ca_text_free(chain);
}

static void what_is_kept_makes_the_same_authority(void **state)
{
    struct f *f = *state;
    char *chain = issue(f);
    swk_ca *again;
    uint8_t *data;
    size_t len;

    assert_int_equal(swk_ca_save(f->ca, &data, &len, NULL), 0);
    assert_int_equal(swk_ca_load(&f->config, data, len, &again, NULL), 0);
    swk_ca_state_free(data, len);
    assert_string_equal(swk_ca_roots(again), swk_ca_roots(f->ca));
    assert_string_equal(swk_ca_token(again, SWK_NODE_MANAGER),
                        swk_ca_token(f->ca, SWK_NODE_MANAGER));
    assert_int_equal(
        swk_ca_verify(chain, swk_ca_roots(again), PKI_NOW, NULL, NULL), 0);
    swk_ca_free(again);
    swk_ca_text_free(chain);
}

static void damaged_states_are_refused(void **state)
{
    struct f *f = *state;
    swk_ca *again = NULL;
    uint8_t *data;
    size_t len;

    assert_int_equal(swk_ca_save(f->ca, &data, &len, NULL), 0);
    for (size_t cut = 0; cut < len; cut += 7) {
        assert_int_not_equal(swk_ca_load(&f->config, data, cut, &again, NULL),
                             0);
    }
    assert_null(again);
    swk_ca_state_free(data, len);
}

static void tokens_stand_for_roles_until_they_are_rotated(void **state)
{
    struct f *f = *state;
    char old[SWK_JOIN_TOKEN_TEXT_SIZE];

    snprintf(old, sizeof(old), "%s", swk_ca_token(f->ca, SWK_NODE_WORKER));
    assert_int_equal(swk_ca_token_role(f->ca, old), SWK_NODE_WORKER);
    assert_int_equal(
        swk_ca_token_role(f->ca, swk_ca_token(f->ca, SWK_NODE_MANAGER)),
        SWK_NODE_MANAGER);
    assert_int_equal(swk_ca_token_role(f->ca, "SWMTKN-1-x"), 0);
    assert_int_equal(swk_ca_token_role(f->ca, NULL), 0);
    assert_null(swk_ca_token(f->ca, 3));

    assert_int_equal(swk_ca_rotate_token(f->ca, SWK_NODE_WORKER, NULL), 0);
    assert_int_equal(swk_ca_token_role(f->ca, old), 0);
    assert_int_equal(swk_ca_rotate_token(f->ca, 3, NULL), SWK_EINVAL);
}

static void renewal_keeps_name_and_role(void **state)
{
    struct f *f = *state;
    char *chain = issue(f);
    const struct swk_ca_request request =
        renewal_of(f, chain, PKI_NOW + 50 * DAY);
    struct swk_ca_certificate certificate;
    char *fresh;

    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL), 0);
    assert_int_equal(swk_ca_verify(fresh, swk_ca_roots(f->ca),
                                   PKI_NOW + 100 * DAY, &certificate, NULL),
                     0);
    assert_string_equal(certificate.identity.node_id, "node1");
    assert_int_equal(certificate.identity.role, SWK_NODE_WORKER);
    swk_ca_text_free(fresh);
    swk_ca_text_free(chain);
}

static void renewal_after_the_end_needs_a_grace(void **state)
{
    struct f *f = *state;
    char *chain = issue(f);
    struct swk_ca_request request = renewal_of(f, chain, PKI_NOW + 92 * DAY);
    struct swk_error err;
    char *fresh = NULL;

    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, &err),
                     SWK_EUNAUTHENTICATED);
    assert_string_equal(err.text, "the certificate ended too long ago");
    request.grace_ns = (uint64_t)DAY;
    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL),
                     SWK_EUNAUTHENTICATED);
    assert_null(fresh);
    request.grace_ns = (uint64_t)(3 * DAY);
    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL), 0);
    swk_ca_text_free(fresh);
    swk_ca_text_free(chain);
}

static void chains_of_others_are_not_renewed(void **state)
{
    struct f *f = *state;
    struct swk_ca_request request;
    struct pki_node stranger;
    char *fresh = NULL;

    pki_node_init(&f->pki, &stranger, "node1", SWKI_ROLE_WORKER);
    request = renewal_of(f, pki_text(&stranger.chain), PKI_NOW);
    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL),
                     SWK_EUNAUTHENTICATED);
    request.chain = swk_ca_roots(f->ca);
    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL),
                     SWK_EUNAUTHENTICATED);
    request.chain = "no chain";
    assert_int_equal(swk_ca_renew(f->ca, &request, &fresh, NULL),
                     SWK_EUNAUTHENTICATED);
    assert_null(fresh);
    pki_node_fini(&stranger);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    struct f *f = *state;
    struct swk_ca_request request = request_of(f);
    char *chain = NULL;

    request.node_id = "no spaces";
    assert_int_equal(swk_ca_issue(f->ca, &request, &chain, NULL), SWK_EINVAL);
    request = request_of(f);
    request.role = 0;
    assert_int_equal(swk_ca_issue(f->ca, &request, &chain, NULL), SWK_EINVAL);
    request = request_of(f);
    request.csr = "-----BEGIN CERTIFICATE REQUEST-----\n";
    assert_int_equal(swk_ca_issue(f->ca, &request, &chain, NULL),
                     SWK_EMALFORMED);
    request = request_of(f);
    request.chain = "x";
    assert_int_equal(swk_ca_issue(f->ca, &request, &chain, NULL), SWK_EINVAL);
    request = renewal_of(f, "x", PKI_NOW);
    request.node_id = "node1";
    assert_int_equal(swk_ca_renew(f->ca, &request, &chain, NULL), SWK_EINVAL);
    assert_null(chain);
}

static void configurations_that_make_no_sense_are_refused(void **state)
{
    struct f *f = *state;
    struct swk_ca_config config = f->config;
    swk_ca *ca = NULL;

    config.swarm_id = "";
    assert_int_equal(swk_ca_new(&config, PKI_NOW, &ca, NULL), SWK_EINVAL);
    config = f->config;
    config.entropy = NULL;
    assert_int_equal(swk_ca_new(&config, PKI_NOW, &ca, NULL), SWK_EINVAL);
    config = f->config;
    config.validity_ns = SWK_MINUTE;
    assert_int_equal(swk_ca_new(&config, PKI_NOW, &ca, NULL), SWK_EINVAL);
    config = f->config;
    config.token_flags = 1U << 9;
    assert_int_equal(swk_ca_new(&config, PKI_NOW, &ca, NULL), SWK_EINVAL);
    assert_null(ca);
}

/* During a rotation every chain verifies under the old root; afterwards those
 * that were renewed do under the new one, and the others do not. */
static void root_changes_while_old_and_new_chains_verify(void **state)
{
    struct f *f = *state;
    char *old = issue(f);
    char *roots = strdup(swk_ca_roots(f->ca));
    char *token = strdup(swk_ca_token(f->ca, SWK_NODE_WORKER));
    char *fresh;

    assert_int_equal(swk_ca_is_rotated(f->ca, old, PKI_NOW), 1);
    assert_int_equal(swk_ca_begin_rotation(f->ca, NULL, NULL, PKI_NOW, NULL),
                     0);
    assert_int_equal(swk_ca_is_rotating(f->ca), 1);
    assert_string_equal(swk_ca_roots(f->ca), roots);
    fresh = issue(f);
    assert_int_equal(swk_ca_is_rotated(f->ca, old, PKI_NOW), 0);
    assert_int_equal(swk_ca_is_rotated(f->ca, fresh, PKI_NOW), 1);
    assert_int_equal(swk_ca_verify(old, roots, PKI_NOW, NULL, NULL), 0);
    assert_int_equal(swk_ca_verify(fresh, roots, PKI_NOW, NULL, NULL), 0);
    assert_int_equal(swk_ca_token_role(f->ca, token), SWK_NODE_WORKER);

    assert_int_equal(swk_ca_finish_rotation(f->ca, NULL), 0);
    assert_int_equal(swk_ca_is_rotating(f->ca), 0);
    assert_string_not_equal(swk_ca_roots(f->ca), roots);
    assert_int_equal(
        swk_ca_verify(fresh, swk_ca_roots(f->ca), PKI_NOW, NULL, NULL), 0);
    assert_int_equal(
        swk_ca_verify(old, swk_ca_roots(f->ca), PKI_NOW, NULL, NULL),
        SWK_EUNAUTHENTICATED);
    assert_int_equal(swk_ca_token_role(f->ca, token), 0);
    assert_int_equal(swk_ca_finish_rotation(f->ca, NULL), SWK_EPRECONDITION);
    swk_ca_text_free(fresh);
    swk_ca_text_free(old);
    free(token);
    free(roots);
}

static void rotation_survives_being_kept(void **state)
{
    struct f *f = *state;
    swk_ca *again;
    uint8_t *data;
    size_t len;

    assert_int_equal(swk_ca_begin_rotation(f->ca, NULL, NULL, PKI_NOW, NULL),
                     0);
    assert_int_equal(swk_ca_save(f->ca, &data, &len, NULL), 0);
    assert_int_equal(swk_ca_load(&f->config, data, len, &again, NULL), 0);
    swk_ca_state_free(data, len);
    swk_ca_free(f->ca);
    f->ca = again;

    char *chain = issue(f);
    assert_int_equal(swk_ca_is_rotated(f->ca, chain, PKI_NOW), 1);
    assert_int_equal(swk_ca_finish_rotation(f->ca, NULL), 0);
    assert_int_equal(
        swk_ca_verify(chain, swk_ca_roots(f->ca), PKI_NOW, NULL, NULL), 0);
    swk_ca_text_free(chain);
}

static void rotation_that_is_given_up_leaves_all_valid(void **state)
{
    struct f *f = *state;
    char *meanwhile;
    char *after;

    assert_int_equal(swk_ca_begin_rotation(f->ca, NULL, NULL, PKI_NOW, NULL),
                     0);
    meanwhile = issue(f);
    assert_int_equal(swk_ca_abort_rotation(f->ca, NULL), 0);
    assert_int_equal(swk_ca_abort_rotation(f->ca, NULL), 0);
    after = issue(f);
    assert_int_equal(
        swk_ca_verify(meanwhile, swk_ca_roots(f->ca), PKI_NOW, NULL, NULL), 0);
    assert_int_equal(swk_ca_is_rotated(f->ca, meanwhile, PKI_NOW), 0);
    assert_int_equal(swk_ca_is_rotated(f->ca, after, PKI_NOW), 1);
    swk_ca_text_free(after);
    swk_ca_text_free(meanwhile);
}

static void another_root_may_replace_the_one_being_introduced(void **state)
{
    struct f *f = *state;
    char *first;
    char *second;

    assert_int_equal(swk_ca_begin_rotation(f->ca, NULL, NULL, PKI_NOW, NULL),
                     0);
    first = issue(f);
    assert_int_equal(swk_ca_begin_rotation(f->ca, pki_text(&f->pki.root),
                                           pki_text(&f->pki.key), PKI_NOW,
                                           NULL),
                     0);
    second = issue(f);
    assert_int_equal(swk_ca_is_rotated(f->ca, first, PKI_NOW), 0);
    assert_int_equal(swk_ca_is_rotated(f->ca, second, PKI_NOW), 1);
    assert_int_equal(
        swk_ca_verify(first, swk_ca_roots(f->ca), PKI_NOW, NULL, NULL), 0);
    assert_int_equal(swk_ca_finish_rotation(f->ca, NULL), 0);
    assert_string_equal(swk_ca_roots(f->ca), pki_text(&f->pki.root));
    swk_ca_text_free(second);
    swk_ca_text_free(first);
}

static void roots_that_cannot_serve_are_refused(void **state)
{
    struct f *f = *state;
    const char *root = pki_text(&f->pki.root);
    const char *key = pki_text(&f->pki.key);
    const swk_wall late = PKI_NOW + 19 * 365 * DAY + DAY;
    struct swk_error err;
    char two[2 * 4096];

    assert_int_equal(swk_ca_begin_rotation(f->ca, root, NULL, PKI_NOW, &err),
                     SWK_EINVAL);
    assert_int_equal(swk_ca_begin_rotation(f->ca, root, f->key, PKI_NOW, &err),
                     SWK_EINVAL);
    snprintf(two, sizeof(two), "%s%s", root, root);
    assert_int_equal(swk_ca_begin_rotation(f->ca, two, key, PKI_NOW, &err),
                     SWK_EINVAL);
    assert_int_equal(swk_ca_begin_rotation(f->ca, root, key, late, &err),
                     SWK_EINVAL);
    assert_string_equal(err.text, "CA certificate expires too soon");

    assert_int_equal(swk_ca_begin_rotation(f->ca, root, key, PKI_NOW, NULL), 0);
    assert_int_equal(swk_ca_finish_rotation(f->ca, NULL), 0);
    assert_int_equal(swk_ca_begin_rotation(f->ca, root, key, PKI_NOW, &err),
                     SWK_EINVAL);
    assert_string_equal(err.text,
                        "the new root has the key of the present one");
    assert_int_equal(swk_ca_is_rotating(f->ca), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(certificate_verifies_and_names_its_holder),
        TEST(what_is_kept_makes_the_same_authority),
        TEST(damaged_states_are_refused),
        TEST(tokens_stand_for_roles_until_they_are_rotated),
        TEST(renewal_keeps_name_and_role),
        TEST(renewal_after_the_end_needs_a_grace),
        TEST(chains_of_others_are_not_renewed),
        TEST(requests_that_make_no_sense_are_refused),
        TEST(configurations_that_make_no_sense_are_refused),
        TEST(root_changes_while_old_and_new_chains_verify),
        TEST(rotation_survives_being_kept),
        TEST(rotation_that_is_given_up_leaves_all_valid),
        TEST(another_root_may_replace_the_one_being_introduced),
        TEST(roots_that_cannot_serve_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
