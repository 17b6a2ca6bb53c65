/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/issuer.h"

#include <string.h>

#include <swarmkit/join_token.h>

#include "base/error.h"
#include "crypto/digest.h"

static int digest_roots(struct swki_pem roots,
                        uint8_t out_digest[SWKI_SHA256_SIZE],
                        struct swk_error *err)
{
    return swki_sha256(roots.text, roots.len, out_digest)
               ? SWK_OK
               : swki_fail_nomem(err);
}

int swki_ca_new_token(struct swki_pem roots, uint32_t flags,
                      const struct swk_entropy *entropy,
                      struct swki_arena *arena, char **out_token,
                      struct swk_error *err)
{
    uint8_t random[SWK_JOIN_TOKEN_RANDOM_SIZE];
    uint8_t digest[SWKI_SHA256_SIZE];
    char text[SWK_JOIN_TOKEN_TEXT_SIZE];
    struct swk_join_token token;
    char *copy;
    int rc = digest_roots(roots, digest, err);

    if (rc != 0) {
        return rc;
    }
    rc = entropy->fill(entropy->ctx, random, sizeof(random));
    if (rc != 0) {
        return swki_fail(err, SWK_EUNAVAILABLE, "no entropy for a join token");
    }
    rc = swk_join_token_make(digest, random, flags, &token, err);
    if (rc == 0) {
        rc = swk_join_token_format(&token, text, err);
    }
    if (rc == 0) {
        copy = swki_arena_strdup(arena, text);
        rc = copy != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    if (rc == 0) {
        *out_token = copy;
    }
    swki_wipe(random, sizeof(random));
    swki_wipe(text, sizeof(text));
    swki_wipe(&token, sizeof(token));
    return rc;
}

/* False for no memory. */
static bool copy_pem(struct swki_arena *arena, struct swki_pem pem,
                     ProtobufCBinaryData *out_data)
{
    uint8_t *data = NULL;

    if (pem.len > 0) {
        data = swki_arena_memdup(arena, pem.text, pem.len);
        if (data == NULL) {
            return false;
        }
    }
    *out_data = (ProtobufCBinaryData){.len = pem.len, .data = data};
    return true;
}

static int fill_tokens(struct swki_pem certificate, uint32_t flags,
                       const struct swk_entropy *entropy,
                       struct swki_arena *arena, Swkpb__RootCA *root,
                       struct swk_error *err)
{
    int rc;

    root->join_tokens = swki_arena_alloc(arena, sizeof(*root->join_tokens));
    if (root->join_tokens == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__join_tokens__init(root->join_tokens);
    rc = swki_ca_new_token(certificate, flags, entropy, arena,
                           &root->join_tokens->worker, err);
    if (rc != 0) {
        return rc;
    }
    return swki_ca_new_token(certificate, flags, entropy, arena,
                             &root->join_tokens->manager, err);
}

int swki_ca_fill_root(struct swki_pem certificate, struct swki_pem key,
                      uint32_t flags, const struct swk_entropy *entropy,
                      struct swki_arena *arena, Swkpb__RootCA *out_root,
                      struct swk_error *err)
{
    Swkpb__RootCA root = SWKPB__ROOT_CA__INIT;
    uint8_t digest[SWKI_SHA256_SIZE];
    char hex[SWKI_SHA256_HEX_LEN + 1];
    int rc = digest_roots(certificate, digest, err);

    if (rc != 0) {
        return rc;
    }
    swki_sha256_hex(digest, hex);
    root.ca_cert_hash = swki_arena_printf(arena, "sha256:%s", hex);
    if (root.ca_cert_hash == NULL ||
        !copy_pem(arena, certificate, &root.ca_cert) ||
        !copy_pem(arena, key, &root.ca_key)) {
        return swki_fail_nomem(err);
    }
    rc = fill_tokens(certificate, flags, entropy, arena, &root, err);
    if (rc == 0) {
        *out_root = root;
    }
    return rc;
}

int swki_ca_create_root(swk_wall now, uint32_t flags,
                        const struct swk_entropy *entropy,
                        struct swki_arena *arena, Swkpb__RootCA *out_root,
                        struct swk_error *err)
{
    struct swki_buf key;
    struct swki_buf certificate;
    int rc;

    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_buf_init(&certificate, NULL, SIZE_MAX);
    rc = swki_key_generate(entropy, &key, err);
    if (rc == 0) {
        rc = swki_root_create(swki_pem_of_buf(&key), now, entropy, &certificate,
                              err);
    }
    if (rc == 0) {
        rc = swki_ca_fill_root(swki_pem_of_buf(&certificate),
                               swki_pem_of_buf(&key), flags, entropy, arena,
                               out_root, err);
    }
    swki_wipe(key.data, key.size);
    swki_buf_fini(&certificate);
    swki_buf_fini(&key);
    return rc;
}

/* Texts are padded to one length first, so that only that one shows. */
static bool is_token(const char *token, const char *text)
{
    char padded_token[SWK_JOIN_TOKEN_TEXT_SIZE] = "";
    char padded_text[SWK_JOIN_TOKEN_TEXT_SIZE] = "";
    size_t token_len = token != NULL ? strlen(token) : 0;
    size_t text_len = strlen(text);
    bool same;

    if (token_len == 0 || token_len >= sizeof(padded_token) ||
        text_len >= sizeof(padded_text)) {
        return false;
    }
    memcpy(padded_token, token, token_len);
    memcpy(padded_text, text, text_len);
    same = swki_ct_equal(padded_token, padded_text, sizeof(padded_token));
    swki_wipe(padded_token, sizeof(padded_token));
    swki_wipe(padded_text, sizeof(padded_text));
    return same;
}

enum swki_role swki_ca_token_role(const Swkpb__JoinTokens *tokens,
                                  const char *text)
{
    bool is_manager;
    bool is_worker;

    if (tokens == NULL || text == NULL) {
        return SWKI_ROLE_NONE;
    }
    is_manager = is_token(tokens->manager, text);
    is_worker = is_token(tokens->worker, text);
    if (is_manager) {
        return SWKI_ROLE_MANAGER;
    }
    return is_worker ? SWKI_ROLE_WORKER : SWKI_ROLE_NONE;
}

static struct swki_pem pem_of_data(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

struct swki_ca_authority swki_ca_authority_of(const Swkpb__RootCA *root)
{
    const Swkpb__RootRotation *rotation = root->root_rotation;
    struct swki_ca_authority authority = {
        .certificate = pem_of_data(&root->ca_cert),
        .key = pem_of_data(&root->ca_key),
        .roots = pem_of_data(&root->ca_cert),
        .target = pem_of_data(&root->ca_cert),
    };

    if (rotation != NULL) {
        authority.certificate = pem_of_data(&rotation->cross_signed_ca_cert);
        authority.key = pem_of_data(&rotation->ca_key);
        authority.intermediates = authority.certificate;
        authority.target = pem_of_data(&rotation->ca_cert);
    }
    return authority;
}

int swki_ca_authority_check(const struct swki_ca_authority *authority,
                            swk_wall now, const struct swk_entropy *entropy,
                            struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = authority->intermediates,
        .roots = authority->roots,
        .now = now,
        .flags = SWKI_CHAIN_LASTING_REASON,
    };
    int rc = swki_chain_check_roots(&chain, err);

    if (rc == 0 && authority->intermediates.len > 0) {
        rc = swki_chain_verify(&chain, NULL, err);
    }
    if (rc == 0 && authority->key.len > 0) {
        rc = swki_key_matches(authority->key, authority->certificate, entropy,
                              err);
    }
    return rc;
}

int swki_ca_open_signer(const struct swk_alloc *alloc,
                        const Swkpb__RootCA *root,
                        const struct swk_entropy *entropy,
                        struct swki_signer **out_signer, struct swk_error *err)
{
    const struct swki_ca_authority authority = swki_ca_authority_of(root);
    const struct swki_signer_config config = {
        .certificate = authority.certificate,
        .key = authority.key,
        .intermediates = authority.intermediates,
        .entropy = entropy,
    };

    if (config.key.len == 0) {
        return swki_fail(err, SWK_EUNAVAILABLE, "the swarm holds no CA key");
    }
    return swki_signer_new(alloc, &config, out_signer, err);
}

/* In constant time, as the data may be a key. */
static bool same_data(const ProtobufCBinaryData *a,
                      const ProtobufCBinaryData *b)
{
    return a->len == b->len &&
           (a->len == 0 || swki_ct_equal(a->data, b->data, a->len));
}

bool swki_ca_same_signer(const Swkpb__RootCA *a, const Swkpb__RootCA *b)
{
    const Swkpb__RootRotation *from = a->root_rotation;
    const Swkpb__RootRotation *to = b->root_rotation;

    if (!same_data(&a->ca_cert, &b->ca_cert) ||
        !same_data(&a->ca_key, &b->ca_key)) {
        return false;
    }
    if (from == NULL || to == NULL) {
        return from == to;
    }
    return same_data(&from->ca_key, &to->ca_key) &&
           same_data(&from->cross_signed_ca_cert, &to->cross_signed_ca_cert);
}

struct swki_leaf swki_ca_leaf_of(const struct swki_ca_grant *grant)
{
    return (struct swki_leaf){
        .node_id = grant->node_id,
        .swarm_id = grant->swarm_id,
        .role = grant->role == SWKPB__NODE_ROLE__MANAGER ? SWKI_ROLE_MANAGER
                                                         : SWKI_ROLE_WORKER,
        .now = grant->now,
        .validity_ns = grant->expiry_ns >= SWKI_CA_EXPIRY_MIN
                           ? grant->expiry_ns
                           : SWKI_CA_EXPIRY_DEFAULT,
    };
}

int swki_ca_sign(struct swki_signer *signer, struct swki_pem csr,
                 const struct swki_ca_grant *grant, struct swki_buf *out_pem,
                 struct swk_error *err)
{
    const struct swki_leaf leaf = swki_ca_leaf_of(grant);

    return swki_signer_issue(signer, csr, &leaf, out_pem, err);
}
