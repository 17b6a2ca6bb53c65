/* SPDX-License-Identifier: Apache-2.0 */

/* Whether a certificate that another made is the one that was asked for. */

#include <string.h>

#include <mbedtls/oid.h>

#include "base/error.h"
#include "crypto/mbed.h"

enum {
    SAN_DNS_TAG = 0x82, /* dNSName of GeneralName, RFC 5280 section 4.2.1.6 */
    NAMES_MAX = 3,
};

/* Clocks of a signer and of a manager differ by so much at most. */
static const int64_t skew_max = (int64_t)SWK_HOUR;

static int refuse(struct swk_error *err, const char *what)
{
    return swki_fail(err, SWK_EINVAL, "the certificate %s", what);
}

static int check_identity(const mbedtls_x509_crt *certificate,
                          const struct swki_leaf *leaf, struct swk_error *err)
{
    struct swki_identity identity;
    int rc = swki_mbed_identity(certificate, &identity, err);

    if (rc != 0) {
        return rc;
    }
    if (strcmp(identity.node_id, leaf->node_id) != 0) {
        return refuse(err, "is for another node");
    }
    if (strcmp(identity.swarm_id, leaf->swarm_id) != 0) {
        return refuse(err, "is for another swarm");
    }
    if (identity.role != leaf->role) {
        return refuse(err, "grants another role");
    }
    return SWK_OK;
}

static int check_key(const mbedtls_x509_crt *certificate, struct swki_pem csr,
                     struct swk_error *err)
{
    struct swki_buf asked;
    int rc;

    swki_buf_init(&asked, NULL, SIZE_MAX);
    rc = swki_csr_public_key(csr, &asked, err);
    if (rc == 0 &&
        (asked.len != certificate->pk_raw.len ||
         memcmp(asked.data, certificate->pk_raw.p, asked.len) != 0)) {
        rc = refuse(err, "is for another key");
    }
    swki_buf_fini(&asked);
    return rc;
}

static bool is_name(const mbedtls_x509_buf *name, const char *text)
{
    return name->tag == SAN_DNS_TAG && name->len == strlen(text) &&
           memcmp(name->p, text, name->len) == 0;
}

/* Servers are known by these names: one too many makes a worker a manager. */
static int check_names(const mbedtls_x509_crt *certificate,
                       const struct swki_leaf *leaf, struct swk_error *err)
{
    const bool is_manager = leaf->role == SWKI_ROLE_MANAGER;
    const char *const names[NAMES_MAX] = {is_manager ? SWKI_OU_MANAGER
                                                     : SWKI_OU_WORKER,
                                          leaf->node_id, SWKI_SERVER_NAME_CA};
    const size_t count = is_manager ? NAMES_MAX : NAMES_MAX - 1;
    bool found[NAMES_MAX] = {false};
    size_t found_count = 0;

    for (const mbedtls_x509_sequence *name = &certificate->subject_alt_names;
         name != NULL && name->buf.p != NULL; name = name->next) {
        size_t i = 0;

        while (i < count && (found[i] || !is_name(&name->buf, names[i]))) {
            i++;
        }
        if (i == count) {
            return refuse(err, "has a name that was not asked for");
        }
        found[i] = true;
        found_count++;
    }
    return found_count == count ? SWK_OK
                                : refuse(err, "lacks a name of the node");
}

static int check_uses(const mbedtls_x509_crt *certificate,
                      struct swk_error *err)
{
    if (certificate->ca_istrue) {
        return refuse(err, "is one of a CA");
    }
    if (mbedtls_x509_crt_check_key_usage(
            certificate, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0 ||
        mbedtls_x509_crt_check_extended_key_usage(
            certificate, MBEDTLS_OID_SERVER_AUTH,
            MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0 ||
        mbedtls_x509_crt_check_extended_key_usage(
            certificate, MBEDTLS_OID_CLIENT_AUTH,
            MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0) {
        return refuse(err, "does not serve for both ends of connections");
    }
    return SWK_OK;
}

static int check_validity(const mbedtls_x509_crt *certificate,
                          const struct swki_leaf *leaf, struct swk_error *err)
{
    const swk_wall not_before = swki_mbed_wall(&certificate->valid_from);
    const swk_wall not_after = swki_mbed_wall(&certificate->valid_to);
    const int64_t longest = INT64_MAX - skew_max;

    if (leaf->validity_ns < (uint64_t)longest &&
        leaf->now < longest - (int64_t)leaf->validity_ns &&
        not_after > leaf->now + (int64_t)leaf->validity_ns + skew_max) {
        return refuse(err, "is valid for longer than was asked for");
    }
    if (not_before < leaf->now - (int64_t)SWKI_LEAF_BACKDATE - skew_max) {
        return refuse(err, "is valid from too early on");
    }
    return SWK_OK;
}

int swki_leaf_check(struct swki_pem pem, const struct swki_leaf *leaf,
                    struct swki_pem csr, struct swk_error *err)
{
    mbedtls_x509_crt certificate;
    int rc;

    mbedtls_x509_crt_init(&certificate);
    rc = swki_mbed_parse_chain(&certificate, pem, err);
    if (rc == 0 && certificate.next != NULL) {
        rc = refuse(err, "came with others");
    }
    if (rc == 0) {
        rc = check_identity(&certificate, leaf, err);
    }
    if (rc == 0) {
        rc = check_key(&certificate, csr, err);
    }
    if (rc == 0) {
        rc = check_names(&certificate, leaf, err);
    }
    if (rc == 0) {
        rc = check_uses(&certificate, err);
    }
    if (rc == 0) {
        rc = check_validity(&certificate, leaf, err);
    }
    mbedtls_x509_crt_free(&certificate);
    return rc;
}
