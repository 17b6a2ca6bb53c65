/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates that are not what was asked for, some by a hair. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "crypto/mbed.h"
#include "pki.h"

#define WORKER                                                                 \
    "\x82\x0c"                                                                 \
    "swarm-worker"
#define MANAGER                                                                \
    "\x82\x0d"                                                                 \
    "swarm-manager"
#define CA                                                                     \
    "\x82\x08"                                                                 \
    "swarm-ca"
#define NODE                                                                   \
    "\x82\x02"                                                                 \
    "n1"
#define ADDRESS                                                                \
    "\x87\x04"                                                                 \
    "\x7f\x01\x01\x01"

/* A certificate, put together freely. */
struct certificate {
    const char *why; /* NULL: it is right */
    const char *subject;
    const char *names; /* GeneralNames in DER, without their SEQUENCE */
    int is_ca;
    unsigned usage;
    const char *extended; /* OID that is there beside server's; NULL for none */
    const char *not_before;
    const char *not_after;
};

struct f {
    struct pki pki;
    struct swki_buf key;
    struct swki_buf csr;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 21);
    pki_request(&f->pki, &f->key, &f->csr);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->csr);
    swki_buf_fini(&f->key);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static const struct certificate right = {
    .subject = "O=" PKI_SWARM ",OU=swarm-worker,CN=n1",
    .names = WORKER NODE,
    .usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE,
    .extended = MBEDTLS_OID_CLIENT_AUTH,
    .not_before = "20291231230000",
    .not_after = "20300102000000",
};

static void put_oid(struct swki_buf *list, const char *oid)
{
    swki_buf_append_byte(list, 0x06);
    swki_buf_append_byte(list, (uint8_t)strlen(oid));
    swki_buf_append_text(list, oid);
}

static void put_extension(mbedtls_x509write_cert *cert, const char *oid,
                          const void *list, size_t list_len)
{
    struct swki_buf value;

    swki_buf_init(&value, NULL, SIZE_MAX);
    swki_buf_append_byte(&value, 0x30);
    swki_buf_append_byte(&value, (uint8_t)list_len);
    assert_true(swki_buf_append(&value, list, list_len));
    assert_int_equal(mbedtls_x509write_crt_set_extension(
                         cert, oid, strlen(oid), 0, value.data, value.len),
                     0);
    swki_buf_fini(&value);
}

static void put_extensions(mbedtls_x509write_cert *cert,
                           const struct certificate *what)
{
    struct swki_buf uses;

    swki_buf_init(&uses, NULL, SIZE_MAX);
    put_oid(&uses, MBEDTLS_OID_SERVER_AUTH);
    if (what->extended != NULL) {
        put_oid(&uses, what->extended);
    }
    put_extension(cert, MBEDTLS_OID_EXTENDED_KEY_USAGE, uses.data, uses.len);
    swki_buf_fini(&uses);
    put_extension(cert, MBEDTLS_OID_SUBJECT_ALT_NAME, what->names,
                  strlen(what->names));
    assert_int_equal(
        mbedtls_x509write_crt_set_basic_constraints(cert, what->is_ca, -1), 0);
    assert_int_equal(mbedtls_x509write_crt_set_key_usage(cert, what->usage), 0);
}

/* Signs what was put together, by the authority. */
static void make(struct f *f, const struct certificate *what,
                 struct swki_buf *out_pem)
{
    mbedtls_x509write_cert cert;
    mbedtls_pk_context subject;
    mbedtls_pk_context issuer;
    unsigned char text[4096];
    mbedtls_mpi serial;

    mbedtls_x509write_crt_init(&cert);
    mbedtls_pk_init(&subject);
    mbedtls_pk_init(&issuer);
    mbedtls_mpi_init(&serial);
    assert_int_equal(mbedtls_mpi_lset(&serial, 7), 0);
    assert_int_equal(swki_mbed_parse_key(&subject, swki_pem_of_buf(&f->key),
                                         &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_mbed_parse_key(&issuer, swki_pem_of_buf(&f->pki.key),
                                         &f->pki.entropy, NULL),
                     0);
    mbedtls_x509write_crt_set_version(&cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&cert, &subject);
    mbedtls_x509write_crt_set_issuer_key(&cert, &issuer);
    assert_int_equal(mbedtls_x509write_crt_set_serial(&cert, &serial), 0);
    assert_int_equal(
        mbedtls_x509write_crt_set_subject_name(&cert, what->subject), 0);
    assert_int_equal(
        mbedtls_x509write_crt_set_issuer_name(&cert, "CN=swarm-ca"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_validity(&cert, what->not_before,
                                                        what->not_after),
                     0);
    put_extensions(&cert, what);
    assert_int_equal(mbedtls_x509write_crt_pem(&cert, text, sizeof(text),
                                               swki_mbed_random,
                                               &f->pki.entropy),
                     0);
    assert_true(swki_buf_append_text(out_pem, (const char *)text));
    mbedtls_mpi_free(&serial);
    mbedtls_pk_free(&issuer);
    mbedtls_pk_free(&subject);
    mbedtls_x509write_crt_free(&cert);
}

static int check(struct f *f, const struct certificate *what,
                 enum swki_role role, struct swk_error *err)
{
    const struct swki_leaf leaf = {
        .node_id = "n1",
        .swarm_id = PKI_SWARM,
        .role = role,
        .now = PKI_NOW,
        .validity_ns = 24 * SWK_HOUR,
    };
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, SIZE_MAX);
    make(f, what, &pem);
    rc = swki_leaf_check(swki_pem_of_buf(&pem), &leaf, swki_pem_of_buf(&f->csr),
                         err);
    swki_buf_fini(&pem);
    return rc;
}

static void certificates_as_asked_for_pass(void **state)
{
    struct f *f = *state;
    struct certificate manager = right;
    struct certificate turned = right;

    assert_int_equal(check(f, &right, SWKI_ROLE_WORKER, NULL), 0);
    turned.names = NODE WORKER;
    assert_int_equal(check(f, &turned, SWKI_ROLE_WORKER, NULL), 0);
    manager.subject = "O=" PKI_SWARM ",OU=swarm-manager,CN=n1";
    manager.names = MANAGER NODE CA;
    assert_int_equal(check(f, &manager, SWKI_ROLE_MANAGER, NULL), 0);
}

static void certificates_that_say_something_else_do_not(void **state)
{
    struct f *f = *state;
    const char *const extra = "has a name that was not asked for";
    const char *const ends = "does not serve for both ends of connections";
    struct certificate wrong[12];
    const size_t count = sizeof(wrong) / sizeof(wrong[0]);

    for (size_t i = 0; i < count; i++) {
        wrong[i] = right;
    }
    wrong[0].why = extra; /* it could pose as a manager */
    wrong[0].names = WORKER NODE MANAGER;
    wrong[1].why = extra; /* or as the CA */
    wrong[1].names = WORKER NODE CA;
    wrong[2].why = extra;
    wrong[2].names = WORKER NODE ADDRESS;
    wrong[3].why = extra;
    wrong[3].names = WORKER NODE NODE;
    wrong[4].why = "lacks a name of the node";
    wrong[4].names = WORKER;
    wrong[5].why = "is one of a CA";
    wrong[5].is_ca = 1;
    wrong[6].why = ends;
    wrong[6].usage = MBEDTLS_X509_KU_KEY_ENCIPHERMENT;
    wrong[7].why = ends;
    wrong[7].extended = NULL;
    wrong[8].why = "is valid for longer than was asked for";
    wrong[8].not_after = "20300102010001";
    wrong[9].why = "is valid from too early on";
    wrong[9].not_before = "20291231215959";
    wrong[10].why = "grants another role";
    wrong[10].subject = "O=" PKI_SWARM ",OU=swarm-manager,CN=n1";
    wrong[11].why = "is for another swarm";
    wrong[11].subject = "O=another,OU=swarm-worker,CN=n1";
    for (size_t i = 0; i < count; i++) {
        struct swk_error err = {0};

        assert_int_equal(check(f, &wrong[i], SWKI_ROLE_WORKER, &err),
                         SWK_EINVAL);
        if (strstr(err.text, wrong[i].why) == NULL) {
            fail_msg("%s: got \"%s\"", wrong[i].why, err.text);
        }
    }
}

static void public_key_of_a_request_needs_no_signature(void **state)
{
    struct f *f = *state;
    struct swki_buf der;

    swki_buf_init(&der, NULL, SIZE_MAX);
    assert_int_equal(swki_csr_public_key(swki_pem_of_buf(&f->csr), &der, NULL),
                     0);
    assert_true(der.len > 60);
    assert_int_equal(swki_csr_public_key(swki_pem_of("x"), &der, NULL),
                     SWK_EMALFORMED);
    swki_buf_fini(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(certificates_as_asked_for_pass, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            certificates_that_say_something_else_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            public_key_of_a_request_needs_no_signature, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("issued", tests, NULL, NULL);
}
