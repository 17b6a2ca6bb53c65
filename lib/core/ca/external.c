/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/external.h"

#include <string.h>

#include "base/error.h"

void swki_ca_external_init(struct swki_ca_external *external,
                           const struct swk_alloc *alloc)
{
    external->urls_count = 0;
    swki_buf_init(&external->roots, alloc, 4 * SWKI_PEM_LEN_MAX);
}

void swki_ca_external_fini(struct swki_ca_external *external)
{
    swki_buf_fini(&external->roots);
    external->urls_count = 0;
}

static bool is_same(struct swki_pem certificate, const struct swki_buf *target,
                    struct swki_buf *scratch)
{
    swki_buf_clear(scratch);
    return swki_certificate_normalise(certificate, scratch, NULL) == 0 &&
           scratch->len == target->len &&
           memcmp(scratch->data, target->data, target->len) == 0;
}

static void take_urls(struct swki_ca_external *external,
                      const Swkpb__CAConfig *config,
                      const struct swki_ca_authority *authority,
                      const struct swki_buf *target, struct swki_buf *scratch)
{
    for (size_t i = 0; i < config->n_external_cas; i++) {
        const Swkpb__ExternalCA *ca = config->external_cas[i];
        struct swki_pem root = {ca->ca_cert.data, ca->ca_cert.len};

        if (root.len == 0) {
            root = authority->roots;
        }
        if (external->urls_count < SWKI_CA_URLS_MAX &&
            ca->protocol == SWKPB__EXTERNAL_CA__CAPROTOCOL__CFSSL &&
            is_same(root, target, scratch)) {
            external->urls[external->urls_count++] = ca->url;
        }
    }
}

/* A server may have its certificate from the old root or from the new. */
static bool take_roots(struct swki_ca_external *external,
                       const struct swki_ca_authority *authority)
{
    swki_buf_append(&external->roots, authority->roots.text,
                    authority->roots.len);
    if (authority->target.text != authority->roots.text) {
        swki_buf_append_byte(&external->roots, '\n');
        swki_buf_append(&external->roots, authority->target.text,
                        authority->target.len);
    }
    return !external->roots.failed;
}

int swki_ca_external_find(struct swki_ca_external *external,
                          const Swkpb__CAConfig *config,
                          const struct swki_ca_authority *authority,
                          struct swk_error *err)
{
    const struct swk_alloc *alloc = external->roots.alloc;
    struct swki_buf scratch;
    struct swki_buf target;
    int rc;

    external->urls_count = 0;
    swki_buf_clear(&external->roots);
    if (config == NULL || config->n_external_cas == 0) {
        return SWK_OK;
    }
    swki_buf_init(&scratch, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&target, alloc, SWKI_PEM_LEN_MAX);
    rc = swki_certificate_normalise(authority->target, &target, err);
    if (rc == 0) {
        take_urls(external, config, authority, &target, &scratch);
    }
    if (rc == 0 && external->urls_count > 0 &&
        !take_roots(external, authority)) {
        external->urls_count = 0;
        rc = swki_fail_nomem(err);
    }
    swki_buf_fini(&target);
    swki_buf_fini(&scratch);
    return rc;
}
