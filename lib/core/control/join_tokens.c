/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Join tokens with limits: made, listed, removed.
 *
 * The text of a token leaves with the answer that made it, and nothing of it
 * stays but a digest. A token that has ended is kept for a day, so that whoever
 * comes with it is told why it is refused.
 */

#include <string.h>

#include <swarmkit/join_token.h>

#include "base/error.h"
#include "base/log.h"
#include "core/control/blacklist.h"
#include "core/control/handlers.h"
#include "core/control/tokens.h"
#include "core/control/validate.h"
#include "crypto/digest.h"
#include "swarmkit/tokens.pb-c.h"
#include "wire/message.h"

#define SECOND INT64_C(1000000000)
#define TTL_MAX (INT64_C(10) * 365 * 24 * 3600 * SECOND)
#define KEPT_ENDED (INT64_C(24) * 3600 * SECOND)

enum {
    TOKENS_MAX = 1000,
    TOKENS_SIZE_MAX = 256 * 1024, /* each join writes all of them */
    LABELS_MAX = 16,
    LABELS_SIZE_MAX = 1024,
    DESCRIPTION_LEN_MAX = 128,
};

/* -- Reading -------------------------------------------------------------- */

/* The token without its digest; NULL for no memory. */
static Swkpb__Rpc__LimitedJoinToken *
show(struct swki_arena *arena, const Swkpb__Rpc__LimitedJoinToken *token)
{
    Swkpb__Rpc__LimitedJoinToken *shown =
        swki_arena_memdup(arena, token, sizeof(*token));

    if (shown != NULL) {
        shown->secret_hash = (ProtobufCBinaryData){0};
    }
    return shown;
}

static const Swkpb__JoinTokens *tokens_of(const Swkpb__Cluster *cluster)
{
    return cluster->root_ca != NULL ? cluster->root_ca->join_tokens : NULL;
}

int swki_control_list_join_tokens(struct swki_control_request *r,
                                  const void *request, struct swk_error *err)
{
    Swkpb__Rpc__ListJoinTokensResponse reply =
        SWKPB__RPC__LIST_JOIN_TOKENS_RESPONSE__INIT;
    const struct swki_object *cluster;
    int rc = swki_find_cluster(swki_control_view(r), &cluster, err);

    (void)request;
    if (rc != SWK_OK) {
        return rc;
    }
    const Swkpb__JoinTokens *tokens = tokens_of(swki_cluster(cluster));
    if (tokens != NULL && tokens->n_limited > 0) {
        reply.tokens = swki_arena_calloc(r->arena, tokens->n_limited,
                                         sizeof(*reply.tokens));
        if (reply.tokens == NULL) {
            return swki_fail_nomem(err);
        }
        for (size_t i = 0; i < tokens->n_limited; i++) {
            reply.tokens[i] = show(r->arena, tokens->limited[i]);
            if (reply.tokens[i] == NULL) {
                return swki_fail_nomem(err);
            }
        }
        reply.n_tokens = tokens->n_limited;
    }
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

/* -- The list ------------------------------------------------------------- */

/* When the token ended; false while it lets nodes in. */
static bool ended_at(const Swkpb__Rpc__LimitedJoinToken *token, swk_wall wall,
                     swk_wall *out_end)
{
    bool is_used_up = token->uses_max != 0 && token->uses >= token->uses_max;
    swk_wall end = 0;

    if (is_used_up &&
        swki_timestamp_read(token->last_used_at, &end, NULL) == SWK_OK) {
        *out_end = end;
        return true;
    }
    if (token->expires_at != NULL &&
        swki_timestamp_read(token->expires_at, &end, NULL) == SWK_OK &&
        wall >= end) {
        *out_end = end;
        return true;
    }
    return false;
}

/* Takes the token at index i out of the list, which is the object's own. */
static void take_out(Swkpb__JoinTokens *tokens, size_t i)
{
    tokens->n_limited--;
    memmove(tokens->limited + i, tokens->limited + i + 1,
            (tokens->n_limited - i) * sizeof(*tokens->limited));
}

/* Drops what ended long ago; and, if the list is full, what ended first. */
static void prune(Swkpb__JoinTokens *tokens, swk_wall wall)
{
    swk_wall end = 0;
    swk_wall first_end = INT64_MAX;
    size_t first = SIZE_MAX;

    for (size_t i = tokens->n_limited; i > 0; i--) {
        if (!ended_at(tokens->limited[i - 1], wall, &end)) {
            continue;
        }
        if (end < wall - KEPT_ENDED) {
            take_out(tokens, i - 1);
            first -= first != SIZE_MAX ? 1 : 0; /* it stands behind */
        } else if (end < first_end) {
            first_end = end;
            first = i - 1;
        }
    }
    if (tokens->n_limited >= TOKENS_MAX && first != SIZE_MAX) {
        take_out(tokens, first);
    }
}

/* An edit of the cluster, whose tokens are its own. */
struct edit {
    struct swki_tx *tx;
    struct swki_object *object;
    Swkpb__Cluster *cluster;
    Swkpb__JoinTokens *tokens;
};

static int open_object(struct edit *edit, const struct swki_object *cluster,
                       struct swk_error *err)
{
    if (tokens_of(swki_cluster(cluster)) == NULL) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "the swarm has no join tokens yet");
    }
    edit->object = swki_object_edit(cluster);
    if (edit->object == NULL) {
        return swki_fail_nomem(err);
    }
    edit->cluster = swki_cluster_edit(edit->object);

    Swkpb__RootCA *root =
        swki_object_own(edit->object, &edit->cluster->root_ca);
    if (root == NULL) {
        swki_object_unref(edit->object);
        return swki_fail_nomem(err);
    }
    edit->tokens = root->join_tokens;
    return SWK_OK;
}

static int begin(struct swki_control_request *r, struct edit *edit,
                 struct swk_error *err)
{
    const struct swki_object *cluster;
    int rc = swki_control_begin(r, &edit->tx, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_find_cluster(swki_tx_view(edit->tx), &cluster, err);
    if (rc == SWK_OK) {
        rc = open_object(edit, cluster, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(edit->tx);
        return rc;
    }
    prune(edit->tokens, r->wall);
    return SWK_OK;
}

static int abandon(struct edit *edit, int rc)
{
    swki_object_unref(edit->object);
    swki_tx_abort(edit->tx);
    return rc;
}

/* Ends the transaction in any case. */
static int finish(struct swki_control_request *r, struct edit *edit,
                  const char *token_id, uint64_t *out_index,
                  struct swk_error *err)
{
    int rc = swki_tx_update(edit->tx, edit->object, err);

    if (rc == SWK_OK) {
        rc = swki_control_carry(r, edit->tx, token_id, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(edit->tx);
        return rc;
    }
    return swki_tx_commit(edit->tx, NULL, NULL, out_index, err);
}

/* -- Making --------------------------------------------------------------- */

static int check_labels(const Swkpb__Rpc__CreateJoinTokenRequest *request,
                        struct swk_error *err)
{
    size_t size = 0;

    if (request->n_labels > LABELS_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "a join token gives at most %d labels", LABELS_MAX);
    }
    for (size_t i = 0; i < request->n_labels; i++) {
        const char *key = request->labels[i]->key;

        if (key[0] == '\0') {
            return swki_fail(err, SWK_EINVAL, "a label has no name");
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(request->labels[j]->key, key) == 0) {
                return swki_fail(err, SWK_EINVAL,
                                 "the label %.64s is given twice", key);
            }
        }
        size += strlen(key) + strlen(request->labels[i]->value);
    }
    return size <= LABELS_SIZE_MAX
               ? SWK_OK
               : swki_fail(err, SWK_EINVAL,
                           "the labels of a join token have at most %d bytes",
                           LABELS_SIZE_MAX);
}

static int check_request(const Swkpb__Rpc__CreateJoinTokenRequest *request,
                         int64_t *out_ttl, struct swk_error *err)
{
    int rc = swki_validate_enum(&swkpb__rpc__join_token_role__descriptor,
                                (int)request->role, "role", err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (swki_duration_read(request->ttl, out_ttl, NULL) != SWK_OK ||
        *out_ttl < 0 || (*out_ttl > 0 && *out_ttl < SECOND) ||
        *out_ttl > TTL_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "a join token lasts between 1 s and 10 years");
    }
    if (strlen(request->description) > DESCRIPTION_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the description of a join token has at most %d bytes",
                         DESCRIPTION_LEN_MAX);
    }
    return check_labels(request, err);
}

/* The digest by which the token's text will be known; false for no memory. */
static bool set_hash(Swkpb__Rpc__LimitedJoinToken *token, const char *text,
                     struct swki_arena *arena)
{
    token->secret_hash.data = swki_arena_alloc(arena, SWKI_SHA256_SIZE);
    token->secret_hash.len = SWKI_SHA256_SIZE;
    return token->secret_hash.data != NULL &&
           swki_sha256(text, strlen(text), token->secret_hash.data);
}

static bool copy_labels(const Swkpb__Rpc__CreateJoinTokenRequest *request,
                        Swkpb__Rpc__LimitedJoinToken *token,
                        struct swki_arena *arena)
{
    token->labels =
        swki_arena_calloc(arena, request->n_labels + 1, sizeof(*token->labels));
    if (token->labels == NULL) {
        return false;
    }
    for (size_t i = 0; i < request->n_labels; i++) {
        Swkpb__Rpc__LimitedJoinToken__LabelsEntry *label =
            swki_arena_alloc(arena, sizeof(*label));

        if (label == NULL) {
            return false;
        }
        swkpb__rpc__limited_join_token__labels_entry__init(label);
        label->key = swki_arena_strdup(arena, request->labels[i]->key);
        label->value = swki_arena_strdup(arena, request->labels[i]->value);
        if (label->key == NULL || label->value == NULL) {
            return false;
        }
        token->labels[token->n_labels++] = label;
    }
    return true;
}

/* NULL for no memory. */
static Swkpb__Rpc__LimitedJoinToken *
make_token(struct swki_control_request *r, struct swki_object *object,
           const Swkpb__Rpc__CreateJoinTokenRequest *request, int64_t ttl,
           const char *text)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Rpc__LimitedJoinToken *token =
        swki_arena_alloc(arena, sizeof(*token));

    if (token == NULL) {
        return NULL;
    }
    swkpb__rpc__limited_join_token__init(token);
    token->id = swki_control_new_id(r, object);
    token->role = request->role;
    token->created_at = swki_timestamp_from_wall(r->wall, arena);
    token->uses_max = request->uses;
    token->description = swki_arena_strdup(arena, request->description);
    if (ttl > 0) {
        token->expires_at = swki_timestamp_from_wall(r->wall + ttl, arena);
    }
    return token->id != NULL && token->created_at != NULL &&
                   token->description != NULL &&
                   (ttl == 0 || token->expires_at != NULL) &&
                   set_hash(token, text, arena) &&
                   copy_labels(request, token, arena)
               ? token
               : NULL;
}

static int append(struct edit *edit, Swkpb__Rpc__LimitedJoinToken *token,
                  struct swk_error *err)
{
    Swkpb__JoinTokens *tokens = edit->tokens;
    Swkpb__Rpc__LimitedJoinToken **list = swki_arena_calloc(
        swki_object_arena(edit->object), tokens->n_limited + 1, sizeof(*list));

    if (list == NULL) {
        return swki_fail_nomem(err);
    }
    if (tokens->n_limited > 0) {
        memcpy(list, tokens->limited, tokens->n_limited * sizeof(*list));
    }
    list[tokens->n_limited] = token;
    tokens->limited = list;
    tokens->n_limited++;
    if (tokens->n_limited > TOKENS_MAX ||
        swki_message_packed_size(&tokens->base) > TOKENS_SIZE_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "there are %zu join tokens already: remove some",
                         tokens->n_limited - 1);
    }
    return SWK_OK;
}

static void log_made(const struct swki_control_request *r,
                     const Swkpb__Rpc__LimitedJoinToken *token)
{
    swki_log(r->config->logger, SWK_LOG_INFO, "control",
             "join token %s was made, for %ss", token->id,
             token->role == SWKPB__RPC__JOIN_TOKEN_ROLE__JOIN_TOKEN_MANAGER
                 ? "manager"
                 : "worker");
}

/* text is in the arena of the request, and is wiped by the caller. */
static int add_token(struct swki_control_request *r,
                     const Swkpb__Rpc__CreateJoinTokenRequest *request,
                     int64_t ttl, char **out_text,
                     Swkpb__Rpc__LimitedJoinToken **out_token,
                     uint64_t *out_index, struct swk_error *err)
{
    struct edit edit;
    int rc = begin(r, &edit, err);

    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_new_join_token(edit.cluster, r->config->entropy, r->arena,
                             out_text, err);
    if (rc != SWK_OK) {
        return abandon(&edit, rc);
    }
    Swkpb__Rpc__LimitedJoinToken *token =
        make_token(r, edit.object, request, ttl, *out_text);

    *out_token = token != NULL
                     ? (Swkpb__Rpc__LimitedJoinToken *)swki_message_copy(
                           &token->base, r->arena)
                     : NULL;
    if (*out_token == NULL) {
        return abandon(&edit, swki_fail_nomem(err));
    }
    rc = append(&edit, token, err);
    return rc != SWK_OK ? abandon(&edit, rc)
                        : finish(r, &edit, (*out_token)->id, out_index, err);
}

int swki_control_create_join_token(struct swki_control_request *r,
                                   const void *request, struct swk_error *err)
{
    const Swkpb__Rpc__CreateJoinTokenRequest *create = request;
    Swkpb__Rpc__CreateJoinTokenResponse reply =
        SWKPB__RPC__CREATE_JOIN_TOKEN_RESPONSE__INIT;
    Swkpb__Rpc__LimitedJoinToken *token = NULL;
    char *text = NULL;
    uint64_t index = 0;
    int64_t ttl = 0;
    int rc = check_request(create, &ttl, err);

    if (rc == SWK_OK) {
        rc = add_token(r, create, ttl, &text, &token, &index, err);
    }
    if (rc == SWK_OK) {
        token->secret_hash = (ProtobufCBinaryData){0};
        reply.join_token = text;
        reply.token = token;
        swki_control_reply(r, &reply.base, index);
        log_made(r, token);
    }
    if (text != NULL) {
        swki_wipe(text, strlen(text));
    }
    return rc;
}

/* -- Removing ------------------------------------------------------------- */

int swki_control_remove_join_token(struct swki_control_request *r,
                                   const void *request, struct swk_error *err)
{
    const Swkpb__Rpc__RemoveJoinTokenRequest *remove = request;
    Swkpb__Rpc__RemoveJoinTokenResponse reply =
        SWKPB__RPC__REMOVE_JOIN_TOKEN_RESPONSE__INIT;
    struct edit edit;
    uint64_t index = 0;
    size_t i = 0;

    if (remove->token_id[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "join token ID is missing");
    }
    int rc = begin(r, &edit, err);
    if (rc != SWK_OK) {
        return rc;
    }
    while (i < edit.tokens->n_limited &&
           strcmp(edit.tokens->limited[i]->id, remove->token_id) != 0) {
        i++;
    }
    if (i == edit.tokens->n_limited) {
        return abandon(&edit, swki_fail(err, SWK_ENOTFOUND,
                                        "join token %.64s not found",
                                        remove->token_id));
    }
    take_out(edit.tokens, i);
    rc = finish(r, &edit, remove->token_id, &index, err);
    if (rc == SWK_OK) {
        swki_log(r->config->logger, SWK_LOG_INFO, "control",
                 "join token %.64s was removed", remove->token_id);
        swki_control_reply(r, &reply.base, index);
    }
    return rc;
}
