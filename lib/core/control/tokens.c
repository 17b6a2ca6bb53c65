/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/tokens.h"

#include <string.h>

#include <swarmkit/join_token.h>

#include "base/base36.h"
#include "base/error.h"
#include "crypto/digest.h"

int swki_new_join_token(const Swkpb__Cluster *cluster,
                        const struct swk_entropy *entropy,
                        struct swki_arena *arena, char **out_token,
                        struct swk_error *err)
{
    const ProtobufCBinaryData *root = &cluster->root_ca->ca_cert;
    struct swk_join_token token = {
        .flags = cluster->fips ? SWK_JOIN_TOKEN_FIPS : 0};
    char text[SWK_JOIN_TOKEN_TEXT_SIZE];
    uint8_t secret[SWK_JOIN_TOKEN_RANDOM_SIZE];

    if (entropy == NULL ||
        entropy->fill(entropy->ctx, secret, sizeof(secret)) != 0) {
        return swki_fail(err, SWK_EINTERNAL, "no entropy for a join token");
    }
    swki_base36_encode(secret, sizeof(secret), token.secret,
                       SWK_JOIN_TOKEN_SECRET_DIGITS);
    swki_wipe(secret, sizeof(secret));
    if (!swki_sha256(root->data, root->len, token.root_digest)) {
        return swki_fail_nomem(err);
    }

    int rc = swk_join_token_format(&token, text, err);
    if (rc == SWK_OK) {
        *out_token = swki_arena_strdup(arena, text);
        rc = *out_token != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    swki_wipe(&token, sizeof(token));
    swki_wipe(text, sizeof(text));
    return rc;
}
