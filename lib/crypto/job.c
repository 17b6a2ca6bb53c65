/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/job.h"

#include <string.h>

#include "base/error.h"

void swki_job_keys_init(struct swki_job_keys *keys,
                        const struct swk_alloc *alloc,
                        const struct swk_entropy *entropy)
{
    *keys = (struct swki_job_keys){.alloc = alloc, .entropy = *entropy};
}

static void drop_key(struct swki_job_key *key)
{
    swki_signer_free(key->signer);
    *key = (struct swki_job_key){0};
}

void swki_job_keys_fini(struct swki_job_keys *keys)
{
    for (size_t i = 0; i < SWKI_JOB_KEYS_MAX; i++) {
        drop_key(&keys->keys[i]);
    }
}

void swki_job_output_init(struct swki_job_output *output,
                          const struct swk_alloc *alloc)
{
    swki_buf_init(&output->certificate, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&output->key, alloc, SWKI_PEM_LEN_MAX);
}

void swki_job_output_fini(struct swki_job_output *output)
{
    if (output->key.data != NULL) {
        swki_wipe(output->key.data, output->key.size);
    }
    swki_buf_fini(&output->key);
    swki_buf_fini(&output->certificate);
}

static struct swki_pem pem_of_bytes(struct swk_bytes bytes)
{
    return (struct swki_pem){bytes.data, bytes.len};
}

/* ---- keys ---- */

static bool digest_key(const struct swk_sign_request *request,
                       uint8_t out_digest[SWKI_SHA256_SIZE])
{
    uint8_t both[2 * SWKI_SHA256_SIZE];
    bool ok =
        swki_sha256(request->authority.data, request->authority.len, both) &&
        swki_sha256(request->authority_key.data, request->authority_key.len,
                    both + SWKI_SHA256_SIZE);

    return ok && swki_sha256(both, sizeof(both), out_digest);
}

/* The one with this digest, or else the one whose place is to be taken. */
static struct swki_job_key *find_place(struct swki_job_keys *keys,
                                       const uint8_t digest[SWKI_SHA256_SIZE])
{
    struct swki_job_key *oldest = &keys->keys[0];

    for (size_t i = 0; i < SWKI_JOB_KEYS_MAX; i++) {
        struct swki_job_key *key = &keys->keys[i];

        if (key->signer != NULL &&
            swki_ct_equal(key->digest, digest, SWKI_SHA256_SIZE)) {
            return key;
        }
        if (key->last_use < oldest->last_use) {
            oldest = key;
        }
    }
    drop_key(oldest);
    memcpy(oldest->digest, digest, SWKI_SHA256_SIZE);
    return oldest;
}

static int load_key(struct swki_job_keys *keys, struct swki_job_key *key,
                    const struct swk_sign_request *request,
                    struct swk_error *err)
{
    const struct swki_signer_config config = {
        .certificate = pem_of_bytes(request->authority),
        .key = pem_of_bytes(request->authority_key),
        .entropy = &keys->entropy,
    };
    struct swk_error why = {0};
    int rc = swki_signer_new(keys->alloc, &config, &key->signer, &why);

    if (rc == SWK_EINVAL || rc == SWK_EMALFORMED) {
        rc = SWK_EPRECONDITION;
    }
    return rc != 0
               ? swki_fail(err, rc, "the swarm's CA cannot sign: %s", why.text)
               : SWK_OK;
}

static int open_key(struct swki_job_keys *keys,
                    const struct swk_sign_request *request,
                    struct swki_signer **out_signer, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_job_key *key;
    int rc = SWK_OK;

    if (request->authority_key.len == 0) {
        return swki_fail(err, SWK_EUNAVAILABLE, "the swarm holds no CA key");
    }
    if (!digest_key(request, digest)) {
        return swki_fail_nomem(err);
    }
    key = find_place(keys, digest);
    if (key->signer == NULL) {
        rc = load_key(keys, key, request, err);
    }
    if (rc == 0) {
        key->last_use = ++keys->uses;
        *out_signer = key->signer;
    }
    return rc;
}

/* ---- jobs ---- */

static int sign_node(struct swki_signer *signer,
                     const struct swk_sign_request *request,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    const struct swki_leaf leaf = {
        .node_id = request->node_id != NULL ? request->node_id : "",
        .swarm_id = request->swarm_id != NULL ? request->swarm_id : "",
        .role = request->role == SWK_NODE_MANAGER  ? SWKI_ROLE_MANAGER
                : request->role == SWK_NODE_WORKER ? SWKI_ROLE_WORKER
                                                   : SWKI_ROLE_NONE,
        .now = request->now,
        .validity_ns = request->validity_ns,
    };

    return swki_signer_issue(signer, pem_of_bytes(request->csr), &leaf, out_pem,
                             err);
}

static int make_root(struct swki_job_keys *keys,
                     const struct swk_sign_request *request,
                     struct swki_job_output *output, struct swk_error *err)
{
    int rc = swki_key_generate(&keys->entropy, &output->key, err);

    return rc != 0
               ? rc
               : swki_root_create(swki_pem_of_buf(&output->key), request->now,
                                  &keys->entropy, &output->certificate, err);
}

int swki_job_sign(struct swki_job_keys *keys,
                  const struct swk_sign_request *request,
                  struct swki_job_output *output, struct swk_error *err)
{
    struct swki_signer *signer;
    int rc;

    if (request->kind == SWK_SIGN_ROOT) {
        return make_root(keys, request, output, err);
    }
    if (request->kind != SWK_SIGN_NODE && request->kind != SWK_SIGN_CROSS &&
        request->kind != SWK_SIGN_CHECK) {
        return swki_fail(err, SWK_ENOTSUP, "a signature of an unknown kind");
    }
    rc = open_key(keys, request, &signer, err);
    if (rc != 0 || request->kind == SWK_SIGN_CHECK) {
        return rc;
    }
    return request->kind == SWK_SIGN_NODE
               ? sign_node(signer, request, &output->certificate, err)
               : swki_signer_cross_sign(signer, pem_of_bytes(request->root),
                                        &output->certificate, err);
}
