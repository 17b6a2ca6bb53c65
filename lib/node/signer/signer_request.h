/* SPDX-License-Identifier: Apache-2.0 */

/* What comes in at a signer's socket, as the notary is asked it. */

#ifndef SWKI_NODE_SIGNER_REQUEST_H
#define SWKI_NODE_SIGNER_REQUEST_H

#include "core/signer/notary.h"

struct swki_signer_request {
    const char *name; /* of the method; static */
    bool describe;    /* else: */
    struct swki_notary_request notary;
};

/* All of it lies in the arena. SWK_ENOTSUP for a method that is not served;
 * SWK_EMALFORMED, SWK_ELIMIT, SWK_ENOMEM for a message. */
int swki_signer_request_read(const char *path, const uint8_t *data, size_t len,
                             struct swki_arena *arena,
                             struct swki_signer_request *out_request,
                             struct swk_error *err);

#endif
