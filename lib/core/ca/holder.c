/* SPDX-License-Identifier: Apache-2.0 */

/* What a node needs of an authority's API: keys, requests, verification. */

#include <swarmkit/ca.h>

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/x509.h"

/* Readers of the request shall see that names in it do not count. */
#define REQUEST_NAME "node"

void swk_ca_text_free(char *text)
{
    if (text != NULL) {
        swki_wipe(text, strlen(text));
    }
    swki_free(NULL, text);
}

/* Gives the buffer's text away, or releases it. */
static int give_text(struct swki_buf *buf, int rc, char **out_text,
                     struct swk_error *err)
{
    if (rc == 0 && !swki_buf_append_byte(buf, '\0')) {
        rc = swki_fail_nomem(err);
    }
    if (rc != 0) {
        if (buf->data != NULL) {
            swki_wipe(buf->data, buf->size);
        }
        swki_buf_fini(buf);
        return rc;
    }
    *out_text = (char *)buf->data;
    return SWK_OK;
}

/* A buffer that grows leaves what it held behind, so it has room at once. */
static int text_init(struct swki_buf *buf, struct swk_error *err)
{
    enum { ROOM = 4096 };

    swki_buf_init(buf, NULL, SWKI_PEM_LEN_MAX);
    return swki_buf_reserve(buf, ROOM) != NULL ? SWK_OK : swki_fail_nomem(err);
}

int swk_ca_key_new(const struct swk_entropy *entropy, char **out_key,
                   struct swk_error *err)
{
    struct swki_buf key;
    int rc;

    if (entropy == NULL || out_key == NULL) {
        return swki_fail(err, SWK_EINVAL, "CA: NULL argument");
    }
    rc = text_init(&key, err);
    if (rc == 0) {
        rc = swki_key_generate(entropy, &key, err);
    }
    return give_text(&key, rc, out_key, err);
}

int swk_ca_csr_new(const char *key, const struct swk_entropy *entropy,
                   char **out_csr, struct swk_error *err)
{
    struct swki_buf csr;
    int rc;

    if (key == NULL || entropy == NULL || out_csr == NULL) {
        return swki_fail(err, SWK_EINVAL, "CA: NULL argument");
    }
    rc = text_init(&csr, err);
    if (rc == 0) {
        rc =
            swki_csr_create(swki_pem_of(key), REQUEST_NAME, entropy, &csr, err);
    }
    return give_text(&csr, rc, out_csr, err);
}

static int describe(struct swki_pem chain,
                    struct swk_ca_certificate *out_certificate,
                    struct swk_error *err)
{
    struct swki_certificate_info info;
    struct swki_identity identity;
    struct swk_ca_certificate certificate = {0};
    int rc = swki_certificate_identity(chain, &identity, err);

    if (rc == 0) {
        rc = swki_certificate_info_init(&info, NULL, chain, err);
    }
    if (rc != 0) {
        return rc;
    }
    certificate.not_before = info.not_before;
    swki_certificate_info_fini(&info);
    memcpy(certificate.identity.node_id, identity.node_id,
           sizeof(identity.node_id));
    memcpy(certificate.identity.swarm_id, identity.swarm_id,
           sizeof(identity.swarm_id));
    certificate.identity.role =
        identity.role == SWKI_ROLE_MANAGER ? SWK_NODE_MANAGER : SWK_NODE_WORKER;
    certificate.identity.not_after = identity.not_after;
    if (out_certificate != NULL) {
        *out_certificate = certificate;
    }
    return SWK_OK;
}

int swk_ca_verify(const char *chain, const char *roots, swk_wall now,
                  struct swk_ca_certificate *out_certificate,
                  struct swk_error *err)
{
    struct swki_chain what = {.now = now};
    int rc;

    if (chain == NULL || roots == NULL) {
        return swki_fail(err, SWK_EINVAL, "CA: NULL argument");
    }
    what.certificates = swki_pem_of(chain);
    what.roots = swki_pem_of(roots);
    rc = swki_chain_verify(&what, NULL, err);
    return rc == 0 ? describe(what.certificates, out_certificate, err) : rc;
}
