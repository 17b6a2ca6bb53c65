/* SPDX-License-Identifier: Apache-2.0 */

/* An authority of its own: the policy of the swarm's, without a store. */

#include <swarmkit/ca.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/ca/issuer.h"
#include "crypto/digest.h"
#include "wire/message.h"

enum {
    STATE_LEN_MAX = 4 * SWKI_PEM_LEN_MAX,
};

/* A new root must serve for a year at least. */
#define ROOT_LIFE_MIN ((swk_wall)(365 * 24 * SWK_HOUR))

/* All that is kept: one message in an arena. A change makes another one, so
 * that a failure leaves everything as it was. */
struct state {
    struct swki_arena arena;
    Swkpb__RootCA *root;
};

struct swk_ca {
    const struct swk_alloc *alloc;
    struct swk_entropy entropy;
    char swarm_id[SWKI_CERTIFICATE_NAME_MAX + 1];
    uint64_t validity_ns;
    uint32_t token_flags;
    struct state state;
    struct swki_signer *signer; /* that the state calls for */
    char *roots;                /* its ca_cert as text */
};

/* ---- the state ---- */

static void wipe_data(ProtobufCBinaryData *data)
{
    if (data->len > 0) {
        swki_wipe(data->data, data->len);
    }
}

static void wipe_text(char *text)
{
    if (text != NULL) {
        swki_wipe(text, strlen(text));
    }
}

static void state_fini(struct state *state)
{
    Swkpb__RootCA *root = state->root;

    if (root != NULL) {
        wipe_data(&root->ca_key);
        if (root->root_rotation != NULL) {
            wipe_data(&root->root_rotation->ca_key);
        }
        if (root->join_tokens != NULL) {
            wipe_text(root->join_tokens->worker);
            wipe_text(root->join_tokens->manager);
        }
    }
    swki_arena_fini(&state->arena);
    state->root = NULL;
}

static void state_init(struct state *state, const struct swk_alloc *alloc)
{
    swki_arena_init(&state->arena, alloc, SIZE_MAX);
    state->root = NULL;
}

static int state_copy(struct state *state, const swk_ca *ca,
                      struct swk_error *err)
{
    state_init(state, ca->alloc);
    state->root = (Swkpb__RootCA *)swki_message_copy(&ca->state.root->base,
                                                     &state->arena);
    return state->root != NULL ? SWK_OK : swki_fail_nomem(err);
}

static struct swki_pem pem_of(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

static char *copy_text(const swk_ca *ca, struct swki_pem pem)
{
    char *text = swki_alloc(ca->alloc, pem.len + 1);

    if (text != NULL) {
        memcpy(text, pem.text, pem.len);
        text[pem.len] = '\0';
    }
    return text;
}

/* Puts a state, which is taken in any case, in place of the present one. */
static int put_state(swk_ca *ca, struct state *next, struct swk_error *err)
{
    struct swki_signer *signer = NULL;
    char *roots = NULL;
    int rc =
        swki_ca_open_signer(ca->alloc, next->root, &ca->entropy, &signer, err);

    if (rc == 0) {
        roots = copy_text(ca, pem_of(&next->root->ca_cert));
        rc = roots != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    if (rc != 0) {
        swki_signer_free(signer);
        state_fini(next);
        return rc;
    }
    swki_signer_free(ca->signer);
    swki_free(ca->alloc, ca->roots);
    state_fini(&ca->state);
    ca->signer = signer;
    ca->roots = roots;
    ca->state = *next;
    return SWK_OK;
}

static bool copy_data(struct state *state, struct swki_pem pem,
                      ProtobufCBinaryData *out_data)
{
    out_data->data = swki_arena_memdup(&state->arena, pem.text, pem.len);
    out_data->len = pem.len;
    return out_data->data != NULL;
}

/* ---- life ---- */

static bool is_name(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = text != NULL ? strlen(text) : 0;

    return len > 0 && len <= SWKI_CERTIFICATE_NAME_MAX &&
           strspn(text, allowed) == len;
}

static int check_config(const struct swk_ca_config *config,
                        struct swk_error *err)
{
    if (!is_name(config->swarm_id)) {
        return swki_fail(err, SWK_EINVAL,
                         "CA: swarm_id must be 1 to %d of [A-Za-z0-9._-]",
                         SWKI_CERTIFICATE_NAME_MAX);
    }
    if (config->entropy == NULL) {
        return swki_fail(err, SWK_EINVAL, "CA: entropy is missing");
    }
    if (config->validity_ns != 0 && config->validity_ns < SWKI_CA_EXPIRY_MIN) {
        return swki_fail(err, SWK_EINVAL,
                         "CA: certificates must live for an hour at least");
    }
    if (config->validity_ns > INT64_MAX / 2) {
        return swki_fail(err, SWK_EINVAL, "CA: validity_ns is too long");
    }
    if ((config->token_flags & ~(uint32_t)SWK_JOIN_TOKEN_FIPS) != 0) {
        return swki_fail(err, SWK_EINVAL, "CA: unknown token_flags");
    }
    return SWK_OK;
}

/* Without a state yet. */
static int new_empty(const struct swk_ca_config *options, swk_ca **out_ca,
                     struct swk_error *err)
{
    struct swk_ca_config config;
    swk_ca *ca;
    int rc = swki_options_read(&config, sizeof(config), options,
                               "struct swk_ca_config", err);

    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    ca = swki_calloc(config.alloc, 1, sizeof(*ca));
    if (ca == NULL) {
        return swki_fail_nomem(err);
    }
    ca->alloc = config.alloc;
    ca->entropy = *config.entropy;
    ca->validity_ns =
        config.validity_ns != 0 ? config.validity_ns : SWKI_CA_EXPIRY_DEFAULT;
    ca->token_flags = config.token_flags;
    snprintf(ca->swarm_id, sizeof(ca->swarm_id), "%s", config.swarm_id);
    state_init(&ca->state, ca->alloc);
    *out_ca = ca;
    return SWK_OK;
}

void swk_ca_free(swk_ca *ca)
{
    if (ca != NULL) {
        swki_signer_free(ca->signer);
        swki_free(ca->alloc, ca->roots);
        state_fini(&ca->state);
        swki_free(ca->alloc, ca);
    }
}

int swk_ca_new(const struct swk_ca_config *config, swk_wall now,
               swk_ca **out_ca, struct swk_error *err)
{
    struct state state;
    swk_ca *ca;
    int rc = out_ca != NULL ? new_empty(config, &ca, err)
                            : swki_fail(err, SWK_EINVAL, "CA: NULL argument");

    if (rc != 0) {
        return rc;
    }
    state_init(&state, ca->alloc);
    state.root = swki_arena_alloc(&state.arena, sizeof(*state.root));
    if (state.root == NULL) {
        rc = swki_fail_nomem(err);
    } else {
        swkpb__root_ca__init(state.root);
        rc = swki_ca_create_root(now, ca->token_flags, &ca->entropy,
                                 &state.arena, state.root, err);
    }
    if (rc != 0) {
        state_fini(&state);
    } else {
        rc = put_state(ca, &state, err);
    }
    if (rc != 0) {
        swk_ca_free(ca);
        return rc;
    }
    *out_ca = ca;
    return SWK_OK;
}

static int read_state(const void *data, size_t len, struct state *state,
                      struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc;

    if (len > STATE_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "CA: the state is too long");
    }
    rc = swki_message_unpack(&swkpb__root_ca__descriptor, data, len,
                             &state->arena, &message, err);
    if (rc == 0) {
        state->root = (Swkpb__RootCA *)message;
        if (state->root->join_tokens == NULL) {
            rc = swki_fail(err, SWK_EMALFORMED,
                           "CA: the state has no join tokens");
        }
    }
    return rc == SWK_ELIMIT
               ? swki_fail(err, SWK_EMALFORMED, "CA: the state is too long")
               : rc;
}

int swk_ca_load(const struct swk_ca_config *config, const void *state_data,
                size_t state_len, swk_ca **out_ca, struct swk_error *err)
{
    struct state state;
    swk_ca *ca;
    int rc = out_ca != NULL && state_data != NULL
                 ? new_empty(config, &ca, err)
                 : swki_fail(err, SWK_EINVAL, "CA: NULL argument");

    if (rc != 0) {
        return rc;
    }
    state_init(&state, ca->alloc);
    rc = read_state(state_data, state_len, &state, err);
    if (rc != 0) {
        state_fini(&state);
    } else {
        rc = put_state(ca, &state, err);
    }
    if (rc != 0) {
        swk_ca_free(ca);
        return rc;
    }
    *out_ca = ca;
    return SWK_OK;
}

int swk_ca_save(const swk_ca *ca, uint8_t **out_state, size_t *out_len,
                struct swk_error *err)
{
    const ProtobufCMessage *message = &ca->state.root->base;
    size_t len = swki_message_packed_size(message);
    struct swki_buf buf;
    int rc;

    /* Room for all at once: a buffer that grew would leave keys behind. */
    swki_buf_init(&buf, NULL, SIZE_MAX);
    rc = swki_buf_reserve(&buf, len) != NULL ? SWK_OK : swki_fail_nomem(err);
    if (rc == 0) {
        rc = swki_message_pack_sized(message, len, &buf, err);
    }
    if (rc != 0) {
        swk_ca_state_free(buf.data, buf.len);
        return rc;
    }
    *out_state = buf.data;
    *out_len = buf.len;
    return SWK_OK;
}

void swk_ca_state_free(uint8_t *state, size_t len)
{
    if (state != NULL) {
        swki_wipe(state, len);
    }
    swki_free(NULL, state);
}

const char *swk_ca_roots(const swk_ca *ca)
{
    return ca->roots;
}

/* ---- join tokens ---- */

const char *swk_ca_token(const swk_ca *ca, int32_t role)
{
    const Swkpb__JoinTokens *tokens = ca->state.root->join_tokens;

    switch (role) {
    case SWK_NODE_WORKER:
        return tokens->worker;
    case SWK_NODE_MANAGER:
        return tokens->manager;
    default:
        return NULL;
    }
}

int swk_ca_rotate_token(swk_ca *ca, int32_t role, struct swk_error *err)
{
    struct state next;
    char **token;
    int rc;

    if (role != SWK_NODE_WORKER && role != SWK_NODE_MANAGER) {
        return swki_fail(err, SWK_EINVAL, "CA: unknown role");
    }
    rc = state_copy(&next, ca, err);
    if (rc == 0) {
        token = role == SWK_NODE_WORKER ? &next.root->join_tokens->worker
                                        : &next.root->join_tokens->manager;
        wipe_text(*token);
        rc = swki_ca_new_token(pem_of(&next.root->ca_cert), ca->token_flags,
                               &ca->entropy, &next.arena, token, err);
    }
    if (rc != 0) {
        state_fini(&next);
        return rc;
    }
    return put_state(ca, &next, err);
}

int32_t swk_ca_token_role(const swk_ca *ca, const char *text)
{
    switch ((int)swki_ca_token_role(ca->state.root->join_tokens, text)) {
    case SWKI_ROLE_WORKER:
        return SWK_NODE_WORKER;
    case SWKI_ROLE_MANAGER:
        return SWK_NODE_MANAGER;
    default:
        return 0;
    }
}

/* ---- certificates ---- */

static int sign(swk_ca *ca, const struct swk_ca_request *request,
                const char *node_id, int32_t role, char **out_pem,
                struct swk_error *err)
{
    const struct swki_ca_grant grant = {
        .node_id = node_id,
        .swarm_id = ca->swarm_id,
        .role = role == SWK_NODE_MANAGER ? SWKPB__NODE_ROLE__MANAGER
                                         : SWKPB__NODE_ROLE__WORKER,
        .expiry_ns = ca->validity_ns,
        .now = request->now,
    };
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, SWKI_PEM_LEN_MAX);
    rc = swki_ca_sign(ca->signer, swki_pem_of(request->csr), &grant, &pem, err);
    if (rc == 0 && !swki_buf_append_byte(&pem, '\0')) {
        rc = swki_fail_nomem(err);
    }
    if (rc != 0) {
        swki_buf_fini(&pem);
        return rc;
    }
    *out_pem = (char *)pem.data;
    return SWK_OK;
}

static int read_request(const struct swk_ca_request *options,
                        char *const *out_pem,
                        struct swk_ca_request *out_request,
                        struct swk_error *err)
{
    int rc = swki_options_read(out_request, sizeof(*out_request), options,
                               "struct swk_ca_request", err);

    if (rc == 0 && (out_request->csr == NULL || out_pem == NULL)) {
        rc = swki_fail(err, SWK_EINVAL, "CA: NULL argument");
    }
    if (rc == 0 && strlen(out_request->csr) > SWKI_CSR_LEN_MAX) {
        rc = swki_fail(err, SWK_EMALFORMED, "certificate request is too long");
    }
    return rc;
}

int swk_ca_issue(swk_ca *ca, const struct swk_ca_request *options,
                 char **out_pem, struct swk_error *err)
{
    struct swk_ca_request request;
    int rc = read_request(options, out_pem, &request, err);

    if (rc != 0) {
        return rc;
    }
    if (!is_name(request.node_id)) {
        return swki_fail(err, SWK_EINVAL,
                         "CA: node_id must be 1 to %d of [A-Za-z0-9._-]",
                         SWKI_CERTIFICATE_NAME_MAX);
    }
    if (request.role != SWK_NODE_WORKER && request.role != SWK_NODE_MANAGER) {
        return swki_fail(err, SWK_EINVAL, "CA: unknown role");
    }
    if (request.chain != NULL || request.grace_ns != 0) {
        return swki_fail(err, SWK_EINVAL,
                         "CA: chain and grace_ns are for renewals");
    }
    return sign(ca, &request, request.node_id, request.role, out_pem, err);
}

/* Whose chain it is, if it may be renewed now. */
static int identify(const swk_ca *ca, const struct swk_ca_request *request,
                    struct swki_identity *out_identity, struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = swki_pem_of(request->chain),
        .roots = swki_pem_of(ca->roots),
        .now = request->now,
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    int rc = swki_chain_verify(&chain, NULL, err);

    if (rc == 0) {
        rc = swki_certificate_identity(chain.certificates, out_identity, err);
    }
    if (rc == SWK_EMALFORMED) {
        rc = swki_fail(err, SWK_EUNAUTHENTICATED,
                       "the chain is not that of a node");
    }
    if (rc == 0 && strcmp(out_identity->swarm_id, ca->swarm_id) != 0) {
        rc = swki_fail(err, SWK_EUNAUTHENTICATED,
                       "the certificate is of another swarm");
    }
    if (rc == 0 && request->now > out_identity->not_after &&
        (uint64_t)(request->now - out_identity->not_after) >
            request->grace_ns) {
        rc = swki_fail(err, SWK_EUNAUTHENTICATED,
                       "the certificate ended too long ago");
    }
    return rc;
}

int swk_ca_renew(swk_ca *ca, const struct swk_ca_request *options,
                 char **out_pem, struct swk_error *err)
{
    struct swk_ca_request request;
    struct swki_identity identity;
    int rc = read_request(options, out_pem, &request, err);

    if (rc == 0 && (request.chain == NULL || request.node_id != NULL)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "CA: a renewal names its chain, and no node_id");
    }
    if (rc == 0 && request.role != 0 && request.role != SWK_NODE_WORKER &&
        request.role != SWK_NODE_MANAGER) {
        rc = swki_fail(err, SWK_EINVAL, "CA: unknown role");
    }
    if (rc == 0) {
        rc = identify(ca, &request, &identity, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (request.role == 0) {
        request.role = identity.role == SWKI_ROLE_MANAGER ? SWK_NODE_MANAGER
                                                          : SWK_NODE_WORKER;
    }
    return sign(ca, &request, identity.node_id, request.role, out_pem, err);
}

/* ---- rotation ---- */

int swk_ca_is_rotating(const swk_ca *ca)
{
    return ca->state.root->root_rotation != NULL ? 1 : 0;
}

static int public_key_of(struct swki_pem certificate, struct swki_buf *out_key,
                         swk_wall *out_not_after, struct swk_error *err)
{
    struct swki_certificate_info info;
    int rc = swki_certificate_info_init(&info, NULL, certificate, err);

    if (rc != 0) {
        return rc;
    }
    if (!swki_buf_append(out_key, info.public_key.data, info.public_key.len)) {
        rc = swki_fail_nomem(err);
    } else if (out_not_after != NULL) {
        *out_not_after = info.not_after;
    }
    swki_certificate_info_fini(&info);
    return rc;
}

static bool same_bytes(const struct swki_buf *a, const struct swki_buf *b)
{
    return a->len == b->len && a->len > 0 &&
           memcmp(a->data, b->data, a->len) == 0;
}

static int check_one(struct swki_pem certificate, struct swk_error *err)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const char *first = strstr(certificate.text, begin);

    return first != NULL && strstr(first + 1, begin) == NULL
               ? SWK_OK
               : swki_fail(err, SWK_EINVAL,
                           "the desired CA certificate must be exactly one");
}

/* Another key than the present root's, or chains would lead in circles. */
static int check_other_key(const swk_ca *ca, struct swki_pem certificate,
                           swk_wall now, struct swk_error *err)
{
    struct swki_buf present;
    struct swki_buf next;
    swk_wall not_after = 0;
    int rc;

    swki_buf_init(&present, NULL, SIZE_MAX);
    swki_buf_init(&next, NULL, SIZE_MAX);
    rc = public_key_of(certificate, &next, &not_after, err);
    if (rc == 0) {
        rc = public_key_of(pem_of(&ca->state.root->ca_cert), &present, NULL,
                           err);
    }
    if (rc == 0 && same_bytes(&present, &next)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "the new root has the key of the present one");
    }
    if (rc == 0 && not_after - ROOT_LIFE_MIN < now) {
        rc = swki_fail(err, SWK_EINVAL, "CA certificate expires too soon");
    }
    swki_buf_fini(&next);
    swki_buf_fini(&present);
    return rc;
}

static int check_root(const swk_ca *ca, struct swki_pem certificate,
                      struct swki_pem key, swk_wall now, struct swk_error *err)
{
    int rc = check_one(certificate, err);

    if (rc == 0) {
        rc = swki_roots_check(certificate, now, err);
    }
    if (rc == 0) {
        rc = swki_key_matches(key, certificate, &ca->entropy, err);
    }
    return rc == 0 ? check_other_key(ca, certificate, now, err) : rc;
}

/* Signed by the present root, even while another is being introduced. */
static int cross_sign(const swk_ca *ca, struct swki_pem certificate,
                      struct swki_buf *out_pem, struct swk_error *err)
{
    const Swkpb__RootCA *root = ca->state.root;
    const struct swki_signer_config config = {
        .certificate = pem_of(&root->ca_cert),
        .key = pem_of(&root->ca_key),
        .entropy = &ca->entropy,
    };
    struct swki_signer *signer;
    int rc = swki_signer_new(ca->alloc, &config, &signer, err);

    if (rc == 0) {
        rc = swki_signer_cross_sign(signer, certificate, out_pem, err);
        swki_signer_free(signer);
    }
    return rc;
}

static int begin(swk_ca *ca, struct swki_pem certificate, struct swki_pem key,
                 struct swk_error *err)
{
    Swkpb__RootRotation *rotation;
    struct swki_buf cross;
    struct state next;
    int rc;

    swki_buf_init(&cross, NULL, SWKI_PEM_LEN_MAX);
    rc = cross_sign(ca, certificate, &cross, err);
    if (rc != 0) {
        swki_buf_fini(&cross);
        return rc;
    }
    rc = state_copy(&next, ca, err);
    if (rc == 0) {
        rotation = swki_arena_alloc(&next.arena, sizeof(*rotation));
        rc = rotation != NULL ? SWK_OK : swki_fail_nomem(err);
    }
    if (rc == 0) {
        swkpb__root_rotation__init(rotation);
        if (next.root->root_rotation != NULL) {
            wipe_data(&next.root->root_rotation->ca_key);
        }
        next.root->root_rotation = rotation;
        if (!copy_data(&next, certificate, &rotation->ca_cert) ||
            !copy_data(&next, key, &rotation->ca_key) ||
            !copy_data(&next, swki_pem_of_buf(&cross),
                       &rotation->cross_signed_ca_cert)) {
            rc = swki_fail_nomem(err);
        }
    }
    swki_buf_fini(&cross);
    if (rc != 0) {
        state_fini(&next);
        return rc;
    }
    return put_state(ca, &next, err);
}

static int begin_with_new(swk_ca *ca, swk_wall now, struct swk_error *err)
{
    struct swki_buf key;
    struct swki_buf certificate;
    int rc;

    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_buf_init(&certificate, NULL, SIZE_MAX);
    rc = swki_key_generate(&ca->entropy, &key, err);
    if (rc == 0) {
        rc = swki_root_create(swki_pem_of_buf(&key), now, &ca->entropy,
                              &certificate, err);
    }
    if (rc == 0) {
        rc = begin(ca, swki_pem_of_buf(&certificate), swki_pem_of_buf(&key),
                   err);
    }
    swki_wipe(key.data, key.size);
    swki_buf_fini(&certificate);
    swki_buf_fini(&key);
    return rc;
}

int swk_ca_begin_rotation(swk_ca *ca, const char *certificate, const char *key,
                          swk_wall now, struct swk_error *err)
{
    int rc;

    if ((certificate == NULL) != (key == NULL)) {
        return swki_fail(err, SWK_EINVAL,
                         "must provide both a signing key and a signing cert, "
                         "or neither");
    }
    if (certificate == NULL) {
        return begin_with_new(ca, now, err);
    }
    rc = check_root(ca, swki_pem_of(certificate), swki_pem_of(key), now, err);
    return rc == 0 ? begin(ca, swki_pem_of(certificate), swki_pem_of(key), err)
                   : rc;
}

int swk_ca_is_rotated(const swk_ca *ca, const char *pem, swk_wall now)
{
    const Swkpb__RootCA *root = ca->state.root;
    const ProtobufCBinaryData *newest = root->root_rotation != NULL
                                            ? &root->root_rotation->ca_cert
                                            : &root->ca_cert;
    const struct swki_chain chain = {
        .certificates = swki_pem_of(pem),
        .roots = swki_pem_of(ca->roots),
        .now = now,
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    struct swki_chain_issuer issuer;
    struct swki_buf key;
    bool rotated;

    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_chain_issuer_init(&issuer, NULL);
    rotated = swki_chain_verify(&chain, &issuer, NULL) == 0 &&
              public_key_of(pem_of(newest), &key, NULL, NULL) == 0 &&
              same_bytes(&issuer.public_key, &key);
    swki_chain_issuer_fini(&issuer);
    swki_buf_fini(&key);
    return rotated ? 1 : 0;
}

int swk_ca_finish_rotation(swk_ca *ca, struct swk_error *err)
{
    const Swkpb__RootRotation *rotation = ca->state.root->root_rotation;
    struct state next;
    int rc;

    if (rotation == NULL) {
        return swki_fail(err, SWK_EPRECONDITION, "no root is being replaced");
    }
    state_init(&next, ca->alloc);
    next.root = swki_arena_alloc(&next.arena, sizeof(*next.root));
    if (next.root == NULL) {
        rc = swki_fail_nomem(err);
    } else {
        swkpb__root_ca__init(next.root);
        rc = swki_ca_fill_root(pem_of(&rotation->ca_cert),
                               pem_of(&rotation->ca_key), ca->token_flags,
                               &ca->entropy, &next.arena, next.root, err);
    }
    if (rc != 0) {
        state_fini(&next);
        return rc;
    }
    next.root->last_forced_rotation = ca->state.root->last_forced_rotation;
    return put_state(ca, &next, err);
}

int swk_ca_abort_rotation(swk_ca *ca, struct swk_error *err)
{
    struct state next;
    int rc;

    if (ca->state.root->root_rotation == NULL) {
        return SWK_OK;
    }
    rc = state_copy(&next, ca, err);
    if (rc != 0) {
        state_fini(&next);
        return rc;
    }
    wipe_data(&next.root->root_rotation->ca_key);
    next.root->root_rotation = NULL;
    return put_state(ca, &next, err);
}
