/* SPDX-License-Identifier: Apache-2.0 */

/* Cross certificates by another CA: the request, and every wrong answer. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "crypto/der.h"
#include "crypto/mbed.h"
#include "pki.h"

/* A certificate for a root's key, put together freely. */
struct made {
    const char *why;
    const struct pki *of;
    const char *subject;
    int tag; /* of its texts */
    int is_ca;
    unsigned usage;
    const char *extended; /* OID; NULL: for any use */
};

struct f {
    struct pki pki;  /* signs */
    struct pki next; /* is signed */
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 21);
    pki_init(&f->next, 22);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    pki_fini(&f->next);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* -- Requests ------------------------------------------------------------- */

static void request_is_the_roots_to_the_byte(void **state)
{
    struct f *f = *state;
    mbedtls_x509_crt root;
    mbedtls_x509_csr csr;
    struct swki_buf text;

    swki_buf_init(&text, NULL, SIZE_MAX);
    mbedtls_x509_crt_init(&root);
    mbedtls_x509_csr_init(&csr);
    assert_int_equal(swki_cross_request(swki_pem_of_buf(&f->next.root),
                                        swki_pem_of_buf(&f->next.key),
                                        &f->next.entropy, &text, NULL),
                     0);
    assert_int_equal(swki_csr_check(swki_pem_of_buf(&text), NULL), 0);
    assert_true(swki_buf_append_byte(&text, 0));
    assert_int_equal(mbedtls_x509_csr_parse(&csr, text.data, text.len), 0);
    assert_int_equal(
        mbedtls_x509_crt_parse(&root, f->next.root.data, f->next.root.len + 1),
        0);
    assert_int_equal(csr.subject_raw.len, root.subject_raw.len);
    assert_memory_equal(csr.subject_raw.p, root.subject_raw.p,
                        root.subject_raw.len);
    /* Its extensions are in the request as they are in the root. */
    assert_non_null(
        memmem(csr.raw.p, csr.raw.len, root.v3_ext.p + 4, root.v3_ext.len - 4));
    mbedtls_x509_csr_free(&csr);
    mbedtls_x509_crt_free(&root);
    swki_buf_fini(&text);
}

static void request_needs_the_roots_own_key(void **state)
{
    struct f *f = *state;
    struct swki_buf text;

    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_cross_request(swki_pem_of_buf(&f->next.root),
                                        swki_pem_of_buf(&f->pki.key),
                                        &f->next.entropy, &text, NULL),
                     SWK_EINVAL);
    assert_int_equal(swki_cross_request(swki_pem_of("no root"),
                                        swki_pem_of_buf(&f->pki.key),
                                        &f->next.entropy, &text, NULL),
                     SWK_EMALFORMED);
    assert_int_equal(text.len, 0);
    swki_buf_fini(&text);
}

/* -- Certificates of others ----------------------------------------------- */

static void set_texts(mbedtls_x509write_cert *cert, int tag)
{
    for (mbedtls_asn1_named_data *part = cert->subject; part != NULL;
         part = part->next) {
        part->val.tag = tag;
    }
    for (mbedtls_asn1_named_data *part = cert->issuer; part != NULL;
         part = part->next) {
        part->val.tag = SWKI_DER_PRINTABLE_STRING;
    }
}

static void set_extended(mbedtls_x509write_cert *cert, const char *oid)
{
    struct swki_buf value;
    size_t list;

    swki_buf_init(&value, NULL, SIZE_MAX);
    list = swki_der_open(&value, SWKI_DER_SEQUENCE);
    swki_der_put(&value, SWKI_DER_OID, oid, strlen(oid));
    swki_der_close(&value, list);
    assert_int_equal(mbedtls_x509write_crt_set_extension(
                         cert, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                         strlen(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, value.data,
                         value.len),
                     0);
    swki_buf_fini(&value);
}

static void fill(mbedtls_x509write_cert *cert, const struct made *what)
{
    mbedtls_x509write_crt_set_version(cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(cert, MBEDTLS_MD_SHA256);
    assert_int_equal(
        mbedtls_x509write_crt_set_subject_name(cert, what->subject), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(cert, "CN=swarm-ca"),
                     0);
    set_texts(cert, what->tag);
    assert_int_equal(mbedtls_x509write_crt_set_validity(cert, "20290101000000",
                                                        "20390101000000"),
                     0);
    assert_int_equal(
        mbedtls_x509write_crt_set_basic_constraints(cert, what->is_ca, -1), 0);
    assert_int_equal(mbedtls_x509write_crt_set_key_usage(cert, what->usage), 0);
    if (what->extended != NULL) {
        set_extended(cert, what->extended);
    }
}

/* Signed by the authority. */
static void make(struct f *f, const struct made *what, struct swki_buf *out_pem)
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
    assert_int_equal(swki_mbed_parse_key(&subject,
                                         swki_pem_of_buf(&what->of->key),
                                         &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_mbed_parse_key(&issuer, swki_pem_of_buf(&f->pki.key),
                                         &f->pki.entropy, NULL),
                     0);
    mbedtls_x509write_crt_set_subject_key(&cert, &subject);
    mbedtls_x509write_crt_set_issuer_key(&cert, &issuer);
    assert_int_equal(mbedtls_x509write_crt_set_serial(&cert, &serial), 0);
    fill(&cert, what);
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

static int check(struct f *f, const struct made *what, struct swk_error *err)
{
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, SIZE_MAX);
    make(f, what, &pem);
    rc = swki_cross_check(swki_pem_of_buf(&pem), swki_pem_of_buf(&f->next.root),
                          err);
    swki_buf_fini(&pem);
    return rc;
}

static void certificate_as_asked_for_passes(void **state)
{
    struct f *f = *state;
    const struct made right = {
        .of = &f->next,
        .subject = "CN=swarm-ca",
        .tag = SWKI_DER_PRINTABLE_STRING,
        .is_ca = 1,
        .usage = MBEDTLS_X509_KU_KEY_CERT_SIGN,
    };
    struct swki_buf pem;

    assert_int_equal(check(f, &right, NULL), 0);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&f->next.root),
                                            &pem, NULL),
                     0);
    assert_int_equal(swki_cross_check(swki_pem_of_buf(&pem),
                                      swki_pem_of_buf(&f->next.root), NULL),
                     0);
    /* And more behind it. */
    assert_true(swki_buf_append(&pem, f->pki.root.data, f->pki.root.len));
    assert_int_equal(swki_cross_check(swki_pem_of_buf(&pem),
                                      swki_pem_of_buf(&f->next.root), NULL),
                     SWK_EINVAL);
    swki_buf_fini(&pem);
}

static void certificates_that_would_not_serve_do_not_pass(void **state)
{
    struct f *f = *state;
    const struct made cases[] = {
        {"no CA", &f->next, "CN=swarm-ca", SWKI_DER_PRINTABLE_STRING, 0,
         MBEDTLS_X509_KU_KEY_CERT_SIGN, NULL},
        {"it may not sign", &f->next, "CN=swarm-ca", SWKI_DER_PRINTABLE_STRING,
         1, MBEDTLS_X509_KU_CRL_SIGN, NULL},
        {"another key", &f->pki, "CN=swarm-ca", SWKI_DER_PRINTABLE_STRING, 1,
         MBEDTLS_X509_KU_KEY_CERT_SIGN, NULL},
        {"another name", &f->next, "CN=swarm-cb", SWKI_DER_PRINTABLE_STRING, 1,
         MBEDTLS_X509_KU_KEY_CERT_SIGN, NULL},
        {"more in the name", &f->next, "O=x,CN=swarm-ca",
         SWKI_DER_PRINTABLE_STRING, 1, MBEDTLS_X509_KU_KEY_CERT_SIGN, NULL},
        {"the name in other bytes", &f->next, "CN=swarm-ca",
         SWKI_DER_UTF8_STRING, 1, MBEDTLS_X509_KU_KEY_CERT_SIGN, NULL},
        {"for servers only", &f->next, "CN=swarm-ca", SWKI_DER_PRINTABLE_STRING,
         1, MBEDTLS_X509_KU_KEY_CERT_SIGN, MBEDTLS_OID_SERVER_AUTH},
        {"for clients only", &f->next, "CN=swarm-ca", SWKI_DER_PRINTABLE_STRING,
         1, MBEDTLS_X509_KU_KEY_CERT_SIGN, MBEDTLS_OID_CLIENT_AUTH},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (check(f, &cases[i], NULL) != SWK_EINVAL) {
            fail_msg("%s passes", cases[i].why);
        }
    }
}

/* -- Subjects ------------------------------------------------------------- */

static int subject_of(struct f *f, const char *text, int tag,
                      struct swki_subject *out_subject)
{
    const struct made what = {.of = &f->next,
                              .subject = text,
                              .tag = tag,
                              .is_ca = 1,
                              .usage = MBEDTLS_X509_KU_KEY_CERT_SIGN};
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, SIZE_MAX);
    make(f, &what, &pem);
    rc = swki_certificate_subject(swki_pem_of_buf(&pem), out_subject, NULL);
    swki_buf_fini(&pem);
    return rc;
}

static void subject_is_read_in_its_order(void **state)
{
    static const char *const words[] = {"C", "ST", "L", "O", "OU", "CN"};
    static const char *const values[] = {"AQ",       "East", "Base",
                                         "Acme Ltd", "a",    "root"};
    struct f *f = *state;
    struct swki_subject subject;

    assert_int_equal(subject_of(f,
                                "C=AQ,ST=East,L=Base,O=Acme Ltd,OU=a,CN=root",
                                SWKI_DER_UTF8_STRING, &subject),
                     0);
    assert_int_equal(subject.parts_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(subject.parts[i].word, words[i]);
        assert_string_equal(subject.parts[i].value, values[i]);
    }
}

static void subject_that_cannot_be_said_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_subject subject;

    assert_int_equal(subject_of(f, "serialNumber=7,CN=root",
                                SWKI_DER_PRINTABLE_STRING, &subject),
                     SWK_ENOTSUP);
    assert_int_equal(subject_of(f, "CN=root", 0x1e, &subject), /* BMPString */
                     SWK_ENOTSUP);
    assert_int_equal(subject_of(f, "CN=a\xff", SWKI_DER_UTF8_STRING, &subject),
                     SWK_ENOTSUP);
    assert_int_equal(swki_certificate_subject(swki_pem_of("x"), &subject, NULL),
                     SWK_EMALFORMED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(request_is_the_roots_to_the_byte),
        TEST(request_needs_the_roots_own_key),
        TEST(certificate_as_asked_for_passes),
        TEST(certificates_that_would_not_serve_do_not_pass),
        TEST(subject_is_read_in_its_order),
        TEST(subject_that_cannot_be_said_is_refused),
    };

    return cmocka_run_group_tests_name("cross", tests, NULL, NULL);
}
