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

/* One that cannot be read is none, but that must not be for want of memory. */
static int is_same(struct swki_pem certificate, const struct swki_buf *target,
                   struct swki_buf *scratch, bool *out_same,
                   struct swk_error *err)
{
    int rc;

    swki_buf_clear(scratch);
    rc = swki_certificate_normalise(certificate, scratch, err);
    *out_same = rc == 0 && scratch->len == target->len &&
                memcmp(scratch->data, target->data, target->len) == 0;
    return rc == SWK_ENOMEM ? rc : SWK_OK;
}

static int take_urls(struct swki_ca_external *external,
                     const Swkpb__CAConfig *config,
                     const struct swki_ca_authority *authority,
                     const struct swki_buf *target, struct swki_buf *scratch,
                     struct swk_error *err)
{
    for (size_t i = 0; i < config->n_external_cas; i++) {
        const Swkpb__ExternalCA *ca = config->external_cas[i];
        struct swki_pem root = {ca->ca_cert.data, ca->ca_cert.len};
        bool same = false;
        int rc;

        if (root.len == 0) {
            root = authority->roots;
        }
        rc = is_same(root, target, scratch, &same, err);
        if (rc != 0) {
            return rc;
        }
        if (same && external->urls_count < SWKI_CA_URLS_MAX &&
            ca->protocol == SWKPB__EXTERNAL_CA__CAPROTOCOL__CFSSL) {
            external->urls[external->urls_count++] = ca->url;
        }
    }
    return SWK_OK;
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
        rc = take_urls(external, config, authority, &target, &scratch, err);
    }
    if (rc == 0 && external->urls_count > 0 &&
        !take_roots(external, authority)) {
        rc = swki_fail_nomem(err);
    }
    if (rc != 0) {
        external->urls_count = 0;
    }
    swki_buf_fini(&target);
    swki_buf_fini(&scratch);
    return rc;
}
