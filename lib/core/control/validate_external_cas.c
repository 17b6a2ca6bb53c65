/* SPDX-License-Identifier: Apache-2.0 */

/* External CAs, as a cluster's spec names them. */

#include <string.h>

#include "base/error.h"
#include "core/control/validate.h"
#include "crypto/x509.h"

enum {
    EXTERNAL_CAS_MAX = 16,
    URL_LEN_MAX = 1024,
};

/* What is not a certificate is not found again when one is looked for. */
static int check_root(const Swkpb__ExternalCA *ca, struct swk_error *err)
{
    const struct swki_pem root = {ca->ca_cert.data, ca->ca_cert.len};
    struct swki_buf normal;
    int rc;

    if (root.len == 0) {
        return SWK_OK;
    }
    swki_buf_init(&normal, NULL, SWKI_PEM_LEN_MAX);
    rc = swki_certificate_normalise(root, &normal, err);
    swki_buf_fini(&normal);
    if (rc == SWK_EMALFORMED) {
        rc = swki_fail(err, SWK_EINVAL,
                       "ca_config.external_cas: the root of %s is not a "
                       "certificate",
                       ca->url);
    }
    return rc;
}

static int check_one(const Swkpb__ExternalCA *ca, struct swk_error *err)
{
    static const char scheme[] = "https://";

    if (ca->protocol != SWKPB__EXTERNAL_CA__CAPROTOCOL__CFSSL) {
        return swki_fail(err, SWK_EINVAL,
                         "ca_config.external_cas: unknown protocol");
    }
    if (strncmp(ca->url, scheme, strlen(scheme)) != 0 ||
        ca->url[strlen(scheme)] == '\0' || strlen(ca->url) > URL_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "ca_config.external_cas: a URL begins with https://, "
                         "and has at most %d characters",
                         URL_LEN_MAX);
    }
    return check_root(ca, err);
}

int swki_validate_external_cas(const Swkpb__CAConfig *config,
                               struct swk_error *err)
{
    int rc = SWK_OK;

    if (config->n_external_cas > EXTERNAL_CAS_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "ca_config.external_cas: at most %d can be named",
                         EXTERNAL_CAS_MAX);
    }
    for (size_t i = 0; rc == 0 && i < config->n_external_cas; i++) {
        rc = check_one(config->external_cas[i], err);
    }
    return rc;
}
