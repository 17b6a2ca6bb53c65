/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/limited_tokens.h"

#include <string.h>

#include <swarmkit/join_token.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/rng.h"
#include "crypto/digest.h"
#include "wire/message.h"
#include "wire/rfc3339.h"

const Swkpb__Rpc__LimitedJoinToken *
swki_limited_token_find(const Swkpb__JoinTokens *tokens, const char *text)
{
    const Swkpb__Rpc__LimitedJoinToken *found = NULL;
    uint8_t hash[SWKI_SHA256_SIZE];
    size_t len = text != NULL ? strlen(text) : 0;

    if (tokens == NULL || tokens->n_limited == 0 || len == 0 ||
        len >= SWK_JOIN_TOKEN_TEXT_SIZE || !swki_sha256(text, len, hash)) {
        return NULL;
    }
    for (size_t i = 0; i < tokens->n_limited; i++) {
        const Swkpb__Rpc__LimitedJoinToken *token = tokens->limited[i];

        if (token->secret_hash.len == sizeof(hash) &&
            swki_ct_equal(token->secret_hash.data, hash, sizeof(hash))) {
            found = token;
        }
    }
    return found;
}

int swki_limited_token_check(const Swkpb__Rpc__LimitedJoinToken *token,
                             swk_wall wall, struct swk_error *err)
{
    char end[SWKI_RFC3339_SIZE] = "a time that makes no sense";
    swk_wall expiry = 0;

    if (token->expires_at != NULL &&
        (swki_timestamp_read(token->expires_at, &expiry, NULL) != SWK_OK ||
         wall >= expiry)) {
        (void)swki_rfc3339_timestamp(token->expires_at->seconds, 0, end);
        return swki_fail(err, SWK_EDENIED, "the join token expired at %s", end);
    }
    if (token->uses_max != 0 && token->uses >= token->uses_max) {
        return swki_fail(err, SWK_EDENIED,
                         "the join token is used up: it let in %u of %u nodes",
                         token->uses, token->uses_max);
    }
    return SWK_OK;
}

int swki_limited_token_node_id(const Swkpb__Rpc__LimitedJoinToken *token,
                               const ProtobufCBinaryData *csr,
                               char out_id[SWK_ID_LEN + 1],
                               struct swk_error *err)
{
    static const char domain[] = "swarmkit: node by a limited join token, 1";
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_buf made_of;
    bool done = swki_sha256(csr->data, csr->len, digest);

    swki_buf_init(&made_of, NULL, SIZE_MAX);
    swki_buf_append(&made_of, domain, sizeof(domain));
    swki_buf_append(&made_of, digest, sizeof(digest));
    swki_buf_append_text(&made_of, token->id);
    done = done && !made_of.failed &&
           swki_sha256(made_of.data, made_of.len, digest);
    swki_buf_fini(&made_of);
    if (!done) {
        return swki_fail_nomem(err);
    }
    swki_id_from_bytes(digest, out_id);
    return SWK_OK;
}

bool swki_limited_token_made(const Swkpb__Node *node,
                             const Swkpb__Rpc__LimitedJoinToken *token,
                             const ProtobufCBinaryData *csr)
{
    return node->description == NULL && node->certificate != NULL &&
           strcmp(node->join_token, token->id) == 0 &&
           node->certificate->csr.len == csr->len &&
           memcmp(node->certificate->csr.data, csr->data, csr->len) == 0;
}

static bool copy_label(struct swki_arena *arena,
                       const Swkpb__Rpc__LimitedJoinToken__LabelsEntry *from,
                       Swkpb__Annotations__LabelsEntry **out_label)
{
    Swkpb__Annotations__LabelsEntry *label =
        swki_arena_alloc(arena, sizeof(*label));

    if (label == NULL) {
        return false;
    }
    swkpb__annotations__labels_entry__init(label);
    label->key = swki_arena_strdup(arena, from->key);
    label->value = swki_arena_strdup(arena, from->value);
    *out_label = label;
    return label->key != NULL && label->value != NULL;
}

static Swkpb__Annotations *
copy_labels(struct swki_arena *arena, const Swkpb__Rpc__LimitedJoinToken *token)
{
    Swkpb__Annotations *a = swki_arena_alloc(arena, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    swkpb__annotations__init(a);
    a->labels = swki_arena_calloc(arena, token->n_labels, sizeof(*a->labels));
    if (a->labels == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < token->n_labels; i++) {
        if (!copy_label(arena, token->labels[i], &a->labels[i])) {
            return NULL;
        }
    }
    a->n_labels = token->n_labels;
    return a;
}

int swki_limited_token_mark(const Swkpb__Rpc__LimitedJoinToken *token,
                            struct swki_object *object, struct swk_error *err)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->join_token = swki_arena_strdup(arena, token->id);
    if (node->join_token == NULL) {
        return swki_fail_nomem(err);
    }
    if (token->n_labels == 0) {
        return SWK_OK;
    }
    node->spec->annotations = copy_labels(arena, token);
    return node->spec->annotations != NULL ? SWK_OK : swki_fail_nomem(err);
}

static Swkpb__Rpc__LimitedJoinToken *find_own(Swkpb__RootCA *root,
                                              const char *id)
{
    Swkpb__JoinTokens *tokens = root != NULL ? root->join_tokens : NULL;

    for (size_t i = 0; tokens != NULL && i < tokens->n_limited; i++) {
        if (strcmp(tokens->limited[i]->id, id) == 0) {
            return tokens->limited[i];
        }
    }
    return NULL;
}

int swki_limited_token_use(const Swkpb__Rpc__LimitedJoinToken *token,
                           const struct swki_object *cluster, swk_wall wall,
                           struct swki_tx *tx, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(cluster);
    Swkpb__Rpc__LimitedJoinToken *own = NULL;

    if (object != NULL) {
        own = find_own(
            swki_object_own(object, &swki_cluster_edit(object)->root_ca),
            token->id);
    }
    if (own != NULL) {
        own->uses++;
        own->last_used_at =
            swki_timestamp_from_wall(wall, swki_object_arena(object));
    }
    if (own == NULL || own->last_used_at == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, object, err);
}
