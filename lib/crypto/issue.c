/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates put together and signed: roots, leaves, cross certificates. */

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/csr.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/extensions.h"
#include "crypto/names.h"

enum {
    SERIAL_SIZE = 20,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 4096,
};

/* Clocks of a swarm differ: what is issued is valid a little earlier. */
static const uint64_t root_backdate = 5 * SWK_MINUTE;
static const uint64_t leaf_backdate = SWKI_LEAF_BACKDATE;
static const uint64_t root_validity = UINT64_C(630720000) * SWK_SECOND;

struct swki_signer {
    const struct swk_alloc *alloc;
    mbedtls_x509_crt chain; /* the first certificate signs */
    mbedtls_pk_context key;
    uint8_t key_id[SWKI_KEY_ID_SIZE_MAX];
    size_t key_id_len;
    struct swki_buf intermediates; /* PEM */
    struct swk_entropy entropy;
};

static swk_wall round_to_minute(swk_wall now)
{
    const int64_t minute = (int64_t)SWK_MINUTE;

    return (now + minute / 2) / minute * minute;
}

/* ---- the parts of a body (TBSCertificate of RFC 5280) ---- */

static int put_serial(struct swki_buf *body, struct swk_entropy *entropy,
                      struct swk_error *err)
{
    uint8_t serial[SERIAL_SIZE];

    if (entropy->fill(entropy->ctx, serial, sizeof(serial)) != 0) {
        return swki_fail(err, SWK_EUNAVAILABLE, "no entropy for a serial");
    }
    serial[0] &= 0x7f; /* a positive number of at most 20 bytes */
    swki_der_put_number(body, serial, sizeof(serial));
    return SWK_OK;
}

/* Version, serial and algorithm of the signature. */
static int put_head(struct swki_buf *body, const mbedtls_pk_context *key,
                    struct swk_entropy *entropy, struct swk_error *err)
{
    static const uint8_t version_3 = 2;
    size_t mark = swki_der_open(body, SWKI_DER_CONTEXT_CONSTRUCTED);
    int rc;

    swki_der_put_number(body, &version_3, 1);
    swki_der_close(body, mark);
    rc = put_serial(body, entropy, err);
    return rc != 0 ? rc : swki_mbed_put_algorithm(key, body, err);
}

static void put_validity(struct swki_buf *body, swk_wall not_before,
                         swk_wall not_after)
{
    size_t mark = swki_der_open(body, SWKI_DER_SEQUENCE);

    swki_der_put_time(body, not_before);
    swki_der_put_time(body, not_after);
    swki_der_close(body, mark);
}

struct extension_marks {
    size_t outer;
    size_t list;
};

static struct extension_marks open_extensions(struct swki_buf *body)
{
    struct extension_marks marks;

    marks.outer = swki_der_open(body, SWKI_DER_CONTEXT_CONSTRUCTED + 3);
    marks.list = swki_der_open(body, SWKI_DER_SEQUENCE);
    return marks;
}

static void close_extensions(struct swki_buf *body,
                             struct extension_marks marks)
{
    swki_der_close(body, marks.list);
    swki_der_close(body, marks.outer);
}

/* Signs a body that is complete, and appends it as PEM. */
static int sign_body(mbedtls_pk_context *key, struct swki_buf *body,
                     struct swk_entropy *entropy, struct swki_buf *out_pem,
                     struct swk_error *err)
{
    struct swki_buf der;
    int rc;

    if (body->failed) {
        return swki_fail_nomem(err);
    }
    swki_buf_init(&der, NULL, SIZE_MAX);
    rc = swki_mbed_sign(key, body, entropy, &der, err);
    if (rc == 0) {
        rc = swki_mbed_write_pem("CERTIFICATE", der.data, der.len, out_pem,
                                 err);
    }
    swki_buf_fini(&der);
    return rc;
}

/* ---- roots ---- */

static int put_root_name(struct swki_buf *body, struct swk_error *err)
{
    size_t mark = swki_der_open(body, SWKI_DER_SEQUENCE);
    int rc = swki_names_put_attribute(body, SWKI_NAME_CN, SWKI_SERVER_NAME_CA,
                                      err);

    swki_der_close(body, mark);
    return rc;
}

static int put_root(struct swki_buf *body, mbedtls_pk_context *key,
                    swk_wall now, struct swk_entropy *entropy,
                    struct swk_error *err)
{
    swk_wall not_before = round_to_minute(now) - (swk_wall)root_backdate;
    uint8_t key_id[SWKI_KEY_ID_SIZE];
    struct extension_marks marks;
    size_t outer = swki_der_open(body, SWKI_DER_SEQUENCE);
    int rc = put_head(body, key, entropy, err);

    if (rc == 0) {
        rc = put_root_name(body, err);
    }
    put_validity(body, not_before, not_before + (swk_wall)root_validity);
    if (rc == 0) {
        rc = put_root_name(body, err);
    }
    if (rc == 0) {
        rc = swki_names_put_key(body, key, err);
    }
    if (rc == 0) {
        rc = swki_names_key_id(key, key_id, err);
    }
    if (rc != 0) {
        return rc;
    }
    marks = open_extensions(body);
    swki_extensions_put_ca(body);
    swki_extensions_put_subject_key(body, key_id, sizeof(key_id));
    close_extensions(body, marks);
    swki_der_close(body, outer);
    return SWK_OK;
}

int swki_root_create(struct swki_pem key_pem, swk_wall now,
                     const struct swk_entropy *entropy,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    mbedtls_pk_context key;
    struct swki_buf body;
    int rc;

    mbedtls_pk_init(&key);
    swki_buf_init(&body, NULL, SIZE_MAX);
    rc = swki_mbed_parse_key(&key, key_pem, &source, err);
    if (rc == 0) {
        rc = put_root(&body, &key, now, &source, err);
    }
    if (rc == 0) {
        rc = sign_body(&key, &body, &source, out_pem, err);
    }
    swki_buf_fini(&body);
    mbedtls_pk_free(&key);
    return rc;
}

/* ---- the signer ---- */

static int check_key(const mbedtls_pk_context *key, struct swk_error *err)
{
    size_t bits = mbedtls_pk_get_bitlen(key);

    if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA) {
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX
                   ? SWK_OK
                   : swki_fail(err, SWK_EINVAL,
                               "unsupported RSA key parameters");
    }
    switch ((int)swki_mbed_curve(key)) {
    case MBEDTLS_ECP_DP_NONE:
        return swki_fail(
            err, SWK_EINVAL,
            "unknown or unsupported certificate public key algorithm");
    case MBEDTLS_ECP_DP_SECP256R1:
    case MBEDTLS_ECP_DP_SECP384R1:
    case MBEDTLS_ECP_DP_SECP521R1:
        return SWK_OK;
    default:
        return swki_fail(err, SWK_EINVAL, "unsupported ECDSA key parameters");
    }
}

static int load_signer(struct swki_signer *signer,
                       const struct swki_signer_config *config,
                       struct swk_error *err)
{
    int rc = swki_mbed_parse_chain(&signer->chain, config->certificate, err);

    if (rc == 0) {
        rc = swki_mbed_parse_key(&signer->key, config->key, &signer->entropy,
                                 err);
    }
    if (rc == 0) {
        rc = check_key(&signer->key, err);
    }
    if (rc == 0 && !swki_mbed_is_pair(&signer->chain.pk, &signer->key,
                                      &signer->entropy)) {
        rc = swki_fail(err, SWK_EINVAL, "certificate key mismatch");
    }
    if (rc == 0) {
        rc = swki_extensions_key_id(&signer->chain, signer->key_id,
                                    &signer->key_id_len, err);
    }
    if (rc == 0 && config->intermediates.len > 0) {
        rc = swki_certificate_normalise(config->intermediates,
                                        &signer->intermediates, err);
    }
    return rc;
}

int swki_signer_new(const struct swk_alloc *alloc,
                    const struct swki_signer_config *config,
                    struct swki_signer **out_signer, struct swk_error *err)
{
    struct swki_signer *signer = swki_calloc(alloc, 1, sizeof(*signer));
    int rc;

    if (signer == NULL) {
        return swki_fail_nomem(err);
    }
    signer->alloc = alloc;
    signer->entropy = *config->entropy;
    mbedtls_x509_crt_init(&signer->chain);
    mbedtls_pk_init(&signer->key);
    swki_buf_init(&signer->intermediates, alloc, SWKI_PEM_LEN_MAX);
    rc = load_signer(signer, config, err);
    if (rc != 0) {
        swki_signer_free(signer);
        return rc;
    }
    *out_signer = signer;
    return SWK_OK;
}

void swki_signer_free(struct swki_signer *signer)
{
    if (signer == NULL) {
        return;
    }
    swki_buf_fini(&signer->intermediates);
    mbedtls_pk_free(&signer->key);
    mbedtls_x509_crt_free(&signer->chain);
    swki_free(signer->alloc, signer);
}

static void put_issuer(struct swki_buf *body, const struct swki_signer *signer)
{
    swki_buf_append(body, signer->chain.subject_raw.p,
                    signer->chain.subject_raw.len);
}

/* ---- leaves ---- */

static const char *role_name(enum swki_role role)
{
    return role == SWKI_ROLE_MANAGER ? SWKI_OU_MANAGER : SWKI_OU_WORKER;
}

static int put_leaf_subject(struct swki_buf *body, const struct swki_leaf *leaf,
                            struct swk_error *err)
{
    size_t mark = swki_der_open(body, SWKI_DER_SEQUENCE);
    int rc = swki_names_put_attribute(body, SWKI_NAME_O, leaf->swarm_id, err);

    if (rc == 0) {
        rc = swki_names_put_attribute(body, SWKI_NAME_OU, role_name(leaf->role),
                                      err);
    }
    if (rc == 0) {
        rc = swki_names_put_attribute(body, SWKI_NAME_CN, leaf->node_id, err);
    }
    swki_der_close(body, mark);
    return rc;
}

static void put_leaf_extensions(struct swki_buf *body,
                                const struct swki_signer *signer,
                                const struct swki_leaf *leaf,
                                const uint8_t key_id[SWKI_KEY_ID_SIZE])
{
    const char *const names[] = {role_name(leaf->role), leaf->node_id,
                                 SWKI_SERVER_NAME_CA};
    struct extension_marks marks = open_extensions(body);

    swki_extensions_put_node(body);
    swki_extensions_put_subject_key(body, key_id, SWKI_KEY_ID_SIZE);
    swki_extensions_put_authority_key(body, signer->key_id, signer->key_id_len);
    /* Who asks for a certificate or the unlock key expects the last one. */
    swki_extensions_put_dns_names(body, names,
                                  leaf->role == SWKI_ROLE_MANAGER ? 3 : 2);
    close_extensions(body, marks);
}

/* A certificate that outlives the one that signs it would pass for valid, and
 * be taken by nobody. */
static swk_wall leaf_end(const struct swki_signer *signer,
                         const struct swki_leaf *leaf, swk_wall not_before)
{
    swk_wall end = not_before + (swk_wall)(leaf->validity_ns + leaf_backdate);
    swk_wall signer_end = swki_mbed_wall(&signer->chain.valid_to);

    return end < signer_end ? end : signer_end;
}

static int put_leaf(struct swki_buf *body, struct swki_signer *signer,
                    mbedtls_pk_context *key, const struct swki_leaf *leaf,
                    struct swk_error *err)
{
    swk_wall not_before = round_to_minute(leaf->now) - (swk_wall)leaf_backdate;
    uint8_t key_id[SWKI_KEY_ID_SIZE];
    size_t outer = swki_der_open(body, SWKI_DER_SEQUENCE);
    int rc = put_head(body, &signer->key, &signer->entropy, err);

    if (rc == 0) {
        put_issuer(body, signer);
        put_validity(body, not_before, leaf_end(signer, leaf, not_before));
        rc = put_leaf_subject(body, leaf, err);
    }
    if (rc == 0) {
        rc = swki_names_put_key(body, key, err);
    }
    if (rc == 0) {
        rc = swki_names_key_id(key, key_id, err);
    }
    if (rc == 0) {
        put_leaf_extensions(body, signer, leaf, key_id);
        swki_der_close(body, outer);
    }
    return rc;
}

/* A node of such a name would answer for what clients expect of others: its
 * name is among those that its certificate is good for. */
static bool is_reserved(const char *node_id)
{
    return strcasecmp(node_id, SWKI_OU_MANAGER) == 0 ||
           strcasecmp(node_id, SWKI_OU_WORKER) == 0 ||
           strcasecmp(node_id, SWKI_SERVER_NAME_CA) == 0;
}

static int check_leaf(const struct swki_signer *signer,
                      const struct swki_leaf *leaf, struct swk_error *err)
{
    const uint64_t longest = (uint64_t)INT64_MAX - leaf_backdate;

    if (is_reserved(leaf->node_id)) {
        return swki_fail(err, SWK_EINVAL, "no node may be called %s",
                         leaf->node_id);
    }
    if (leaf->role != SWKI_ROLE_WORKER && leaf->role != SWKI_ROLE_MANAGER) {
        return swki_fail(err, SWK_EINVAL, "certificate for an unknown role");
    }
    if (leaf->now < 0 ||
        leaf->validity_ns > longest - (uint64_t)leaf->now - SWK_MINUTE) {
        return swki_fail(err, SWK_EINVAL, "certificate outlives the calendar");
    }
    if (swki_mbed_wall(&signer->chain.valid_to) < leaf->now) {
        return swki_fail(err, SWK_ECLOCK,
                         "the CA certificate that is to sign has ended");
    }
    return SWK_OK;
}

int swki_signer_issue(struct swki_signer *signer, struct swki_pem csr_pem,
                      const struct swki_leaf *leaf, struct swki_buf *out_pem,
                      struct swk_error *err)
{
    size_t start_len = out_pem->len;
    mbedtls_pk_context key;
    struct swki_buf body;
    int rc = check_leaf(signer, leaf, err);

    if (rc != 0) {
        return rc;
    }
    mbedtls_pk_init(&key);
    swki_buf_init(&body, NULL, SIZE_MAX);
    rc = swki_csr_parse(csr_pem, &key, err);
    if (rc == 0) {
        rc = put_leaf(&body, signer, &key, leaf, err);
    }
    if (rc == 0) {
        rc = sign_body(&signer->key, &body, &signer->entropy, out_pem, err);
    }
    if (rc == 0 && !swki_buf_append(out_pem, signer->intermediates.data,
                                    signer->intermediates.len)) {
        out_pem->len = start_len;
        rc = swki_fail_nomem(err);
    }
    swki_buf_fini(&body);
    mbedtls_pk_free(&key);
    return rc;
}

/* ---- cross certificates ---- */

static int put_cross(struct swki_buf *body, struct swki_signer *signer,
                     const mbedtls_x509_crt *root, struct swk_error *err)
{
    size_t outer = swki_der_open(body, SWKI_DER_SEQUENCE);
    struct extension_marks marks;
    int rc = put_head(body, &signer->key, &signer->entropy, err);

    if (rc != 0) {
        return rc;
    }
    put_issuer(body, signer);
    put_validity(body, swki_mbed_wall(&root->valid_from),
                 swki_mbed_wall(&root->valid_to));
    swki_buf_append(body, root->subject_raw.p, root->subject_raw.len);
    swki_buf_append(body, root->pk_raw.p, root->pk_raw.len);
    marks = open_extensions(body);
    rc = swki_extensions_copy(body, root, err);
    swki_extensions_put_authority_key(body, signer->key_id, signer->key_id_len);
    close_extensions(body, marks);
    swki_der_close(body, outer);
    return rc;
}

int swki_signer_cross_sign(struct swki_signer *signer, struct swki_pem root_pem,
                           struct swki_buf *out_pem, struct swk_error *err)
{
    mbedtls_x509_crt root;
    struct swki_buf body;
    int rc;

    mbedtls_x509_crt_init(&root);
    swki_buf_init(&body, NULL, SIZE_MAX);
    rc = swki_mbed_parse_chain(&root, root_pem, err);
    if (rc == 0) {
        rc = put_cross(&body, signer, &root, err);
    }
    if (rc == 0) {
        rc = sign_body(&signer->key, &body, &signer->entropy, out_pem, err);
    }
    swki_buf_fini(&body);
    mbedtls_x509_crt_free(&root);
    return rc;
}
