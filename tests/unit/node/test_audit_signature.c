/* SPDX-License-Identifier: Apache-2.0 */

/* Who signed an audit log, over all the keys and roots that its node has had.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_fixture.h"

/* A root that took the place of f->pki's: what it issues verifies under both.
 */
struct rotated {
    struct pki pki;
    struct pki_node node; /* manager1, with another key */
};

static void rotate(struct f *f, struct rotated *r)
{
    struct swki_signer *alone;
    struct swki_signer_config config;
    struct swki_buf cross;

    pki_init(&r->pki, 6);
    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&r->pki.root),
                                            &cross, NULL),
                     0);
    config = (struct swki_signer_config){
        .certificate = swki_pem_of_buf(&r->pki.root),
        .key = swki_pem_of_buf(&r->pki.key),
        .intermediates = swki_pem_of_buf(&cross),
        .entropy = &r->pki.entropy,
    };
    alone = r->pki.signer;
    assert_int_equal(swki_signer_new(NULL, &config, &r->pki.signer, NULL), 0);
    swki_signer_free(alone);
    swki_buf_fini(&cross);
    pki_node_init(&r->pki, &r->node, "manager1", SWKI_ROLE_MANAGER);
}

static void rotated_fini(struct rotated *r)
{
    pki_node_fini(&r->node);
    pki_fini(&r->pki);
}

static void trust(struct f *f, const struct swki_buf *root)
{
    directory_put(&f->dir, ".", "roots", root->data, root->len);
}

static void set_key(struct f *f, const struct pki_node *node)
{
    assert_int_equal(swki_audit_log_set_key(f->log, swki_pem_of_buf(&node->key),
                                            swki_pem_of_buf(&node->chain),
                                            NULL),
                     0);
}

static void assert_signed(struct f *f, int signature)
{
    assert_finding(f, SWK_AUDIT_INTACT);
    assert_int_equal(f->report.signature, signature);
    assert_int_equal(f->report.signed_seq, f->report.last_seq);
    assert_string_equal(f->report.signed_by, "manager1");
    assert_string_equal(f->report.node_id, "manager1");
}

static void a_renewed_certificate_signs_on(void **state)
{
    struct f *f = *state;
    struct pki_node renewed;

    pki_node_init(&f->pki, &renewed, "manager1", SWKI_ROLE_MANAGER);
    open_log(f);
    add(f, 2);
    set_key(f, &renewed);
    close_log(f);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    load(f, "checkpoint");
    assert_non_null(strstr(f->text, pki_text(&renewed.chain)));
    pki_node_fini(&f->node);
    f->node = renewed;
    make_log(f, 1);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    assert_non_null(strstr(f->types, "start=stopped"));
}

static void a_rotated_root_vouches_for_what_is_signed_since(void **state)
{
    struct f *f = *state;
    struct rotated r;

    rotate(f, &r);
    open_log(f);
    add(f, 2);
    set_key(f, &r.node);
    close_log(f);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED); /* by the cross certificate */
    trust(f, &r.pki.root);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED); /* and without the old root */
    pki_node_fini(&f->node);
    f->node = r.node;
    f->trusted = &r.pki.root;
    make_log(f, 1);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    assert_non_null(strstr(f->types, "start=stopped"));
    f->node = (struct pki_node){0};
    rotated_fini(&r);
    pki_node_init(&f->pki, &f->node, "manager1", SWKI_ROLE_MANAGER);
}

/* The checkpoint of before stays for as long as there is no new one. */
static void both_roots_vouch_while_they_change(void **state)
{
    struct f *f = *state;
    struct swki_buf both;
    struct rotated r;

    rotate(f, &r);
    make_log(f, 2);
    swki_buf_init(&both, NULL, SIZE_MAX);
    swki_buf_append(&both, f->pki.root.data, f->pki.root.len);
    swki_buf_append(&both, r.pki.root.data, r.pki.root.len);
    trust(f, &both);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    f->trusted = &both;
    make_log(f, 1);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    assert_non_null(strstr(f->types, "start=stopped"));
    f->trusted = &f->pki.root;
    swki_buf_fini(&both);
    rotated_fini(&r);
}

/* As of a node that was no manager while the root was rotated. */
static void a_root_that_is_trusted_no_more_vouches_for_nothing(void **state)
{
    struct f *f = *state;
    struct rotated r;

    rotate(f, &r);
    make_log(f, 2);
    trust(f, &r.pki.root);
    assert_int_equal(verify(f), SWK_AUDIT_ALTERED);
    assert_int_equal(f->report.signature, SWK_AUDIT_NOT_SIGNED);
    assert_string_equal(f->report.file, "checkpoint");
    f->trusted = &r.pki.root;
    make_log(f, 1);
    verify(f);
    assert_non_null(strstr(f->types, "start=unsigned"));
    f->trusted = &f->pki.root;
    rotated_fini(&r);
}

static void without_roots_who_signed_is_not_known(void **state)
{
    struct f *f = *state;
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;

    make_log(f, 2);
    assert_signed(f, SWK_AUDIT_SIGNER_VERIFIED);
    options.dir = f->audit;
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.finding, SWK_AUDIT_INTACT);
    assert_int_equal(f->report.signature, SWK_AUDIT_SIGNER_UNKNOWN);
    shell("rm %s", path_of(f, "checkpoint"));
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    assert_int_equal(f->report.signature, SWK_AUDIT_NOT_SIGNED);
}

static void roots_that_are_none_are_an_error(void **state)
{
    struct f *f = *state;
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;
    struct swk_error err;

    make_log(f, 2);
    verify(f);
    options.dir = f->audit;
    options.roots_file = f->roots;
    directory_put(&f->dir, ".", "roots", "nonsense", 8);
    assert_int_equal(swk_audit_verify(&options, &f->report, &err),
                     SWK_EMALFORMED);
    shell("rm %s", f->roots);
    assert_int_equal(swk_audit_verify(&options, &f->report, &err),
                     SWK_ENOTFOUND);
}

/* It would take the place of one that counts. */
static void nothing_is_signed_once_the_certificate_has_ended(void **state)
{
    struct f *f = *state;
    uint64_t signed_seq;

    make_log(f, 2);
    verify(f);
    signed_seq = f->report.signed_seq;
    f->wall += 3000 * (swk_wall)SWK_HOUR;
    make_log(f, 2);
    verify(f);
    assert_int_equal(f->report.finding, SWK_AUDIT_INTACT);
    assert_int_equal(f->report.signed_seq, signed_seq);
    assert_non_null(strstr(f->types, "start=stopped"));
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(a_renewed_certificate_signs_on),
        WITH_F(a_rotated_root_vouches_for_what_is_signed_since),
        WITH_F(both_roots_vouch_while_they_change),
        WITH_F(a_root_that_is_trusted_no_more_vouches_for_nothing),
        WITH_F(without_roots_who_signed_is_not_known),
        WITH_F(roots_that_are_none_are_an_error),
        WITH_F(nothing_is_signed_once_the_certificate_has_ended),
    };

    return cmocka_run_group_tests_name("audit_signature", tests, NULL, NULL);
}
