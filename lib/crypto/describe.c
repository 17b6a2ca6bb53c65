/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates for people's eyes. */

#include <swarmkit/certificate.h>

#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/mbed.h"

static void read_name(const mbedtls_x509_name *name,
                      char out_text[SWK_CERTIFICATE_NAME_SIZE])
{
    if (mbedtls_x509_dn_gets(out_text, SWK_CERTIFICATE_NAME_SIZE, name) < 0) {
        /* It does not fit; what was written is cut. */
        out_text[SWK_CERTIFICATE_NAME_SIZE - 1] = '\0';
    }
}

static int fill(const mbedtls_x509_crt *chain, struct swk_certificate *out,
                struct swk_error *err)
{
    struct swk_certificate c = {.size = out->size};

    c.not_before = swki_mbed_wall(&chain->valid_from);
    c.not_after = swki_mbed_wall(&chain->valid_to);
    read_name(&chain->subject, c.subject);
    read_name(&chain->issuer, c.issuer);
    for (const mbedtls_x509_crt *each = chain; each != NULL;
         each = each->next) {
        c.count++;
    }
    if (!swki_sha256(chain->raw.p, chain->raw.len, c.fingerprint)) {
        return swki_fail_nomem(err);
    }
    *out = c;
    return SWK_OK;
}

int swk_certificate_read(const void *pem, size_t pem_len,
                         struct swk_certificate *out_certificate,
                         struct swk_error *err)
{
    mbedtls_x509_crt chain;
    int rc;

    if (pem == NULL || out_certificate == NULL ||
        out_certificate->size != sizeof(*out_certificate)) {
        return swki_fail(err, SWK_EINVAL,
                         "certificate: an argument is NULL or of another size");
    }
    mbedtls_x509_crt_init(&chain);
    rc = swki_mbed_parse_chain(&chain, (struct swki_pem){pem, pem_len}, err);
    if (rc == 0) {
        rc = fill(&chain, out_certificate, err);
    }
    mbedtls_x509_crt_free(&chain);
    return rc;
}

static bool is(const mbedtls_x509_buf *buf, const struct swk_bytes *bytes)
{
    return bytes != NULL && bytes->len == buf->len && buf->len > 0 &&
           memcmp(buf->p, bytes->data, buf->len) == 0;
}

int swk_certificate_is_issuer(const void *pem, size_t pem_len,
                              const struct swk_bytes *subject,
                              const struct swk_bytes *key)
{
    mbedtls_x509_crt chain;
    int result = 0;

    mbedtls_x509_crt_init(&chain);
    if (swki_mbed_parse_chain(&chain, (struct swki_pem){pem, pem_len}, NULL) ==
        0) {
        result = is(&chain.subject_raw, subject) && is(&chain.pk_raw, key);
    }
    mbedtls_x509_crt_free(&chain);
    return result;
}
