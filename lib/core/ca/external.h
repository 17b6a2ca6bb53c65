/* SPDX-License-Identifier: Apache-2.0 */

/* External CAs: which of those that the spec names sign at the moment. */

#ifndef SWKI_CA_EXTERNAL_H
#define SWKI_CA_EXTERNAL_H

#include "core/ca/issuer.h"

enum {
    SWKI_CA_URLS_MAX = 16, /* those behind are not asked */
};

struct swki_ca_external {
    const char *urls[SWKI_CA_URLS_MAX]; /* borrowed from the spec */
    size_t urls_count;
    struct swki_buf roots; /* PEM: what their servers must chain to */
};

void swki_ca_external_init(struct swki_ca_external *external,
                           const struct swk_alloc *alloc);
void swki_ca_external_fini(struct swki_ca_external *external);

/*
 * Finds those that sign for the root that certificates are to come from, in
 * the order of the spec. One that names no root signs for the trusted one.
 * config may be NULL: none. On failure (SWK_ENOMEM) there are none.
 */
int swki_ca_external_find(struct swki_ca_external *external,
                          const Swkpb__CAConfig *config,
                          const struct swki_ca_authority *authority,
                          struct swk_error *err);

#endif
