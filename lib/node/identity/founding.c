/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/founding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/rng.h"
#include "core/ca/bootstrap.h"
#include "core/ca/issuer.h"
#include "core/control/validate.h"
#include "crypto/digest.h"
#include "node/identity/fips.h"
#include "node/signing/sign_now.h"
#include "node/identity/state_dir.h"
#include "runtime/file/atomic.h"
#include "wire/message.h"

static const char root_key_name[] = "swarm-root-ca.key";
/* Stands for the key while a signer keeps that. */
static const char mark_name[] = "swarm-founding";

enum {
    PATH_SIZE = 4096,
};

void swki_founding_init(struct swki_founding *founding,
                        const struct swk_alloc *alloc)
{
    swki_buf_init(&founding->root_key, alloc, SWKI_PEM_LEN_MAX);
    founding->unsettled = false;
    founding->signer = NULL;
    founding->fips = false;
    founding->ca_config = (struct swk_bytes){NULL, 0};
}

static void wipe_key(struct swki_founding *founding)
{
    if (founding->root_key.data != NULL) {
        swki_wipe(founding->root_key.data, founding->root_key.size);
    }
    swki_buf_clear(&founding->root_key);
}

void swki_founding_fini(struct swki_founding *founding)
{
    wipe_key(founding);
    swki_buf_fini(&founding->root_key);
}

int swki_founding_id(const struct swk_entropy *entropy,
                     char out_id[SWK_ID_LEN + 1], struct swk_error *err)
{
    uint8_t bytes[17];
    int rc = entropy->fill(entropy->ctx, bytes, sizeof(bytes));

    if (rc != 0) {
        return swki_fail(err, rc, "no entropy for an identifier");
    }
    swki_id_from_bytes(bytes, out_id);
    return SWK_OK;
}

/* The signature of the new root's key, which is here. */
static int sign_here(const struct swki_founding *founding,
                     const struct swki_credentials *credentials,
                     const struct swki_leaf *leaf, const struct swki_buf *csr,
                     const struct swk_entropy *entropy,
                     struct swki_buf *out_chain, struct swk_error *err)
{
    const struct swki_signer_config config = {
        .certificate = swki_pem_of_buf(&credentials->roots),
        .key = swki_pem_of_buf(&founding->root_key),
        .entropy = entropy,
    };
    struct swki_signer *signer = NULL;
    int rc =
        swki_signer_new(founding->root_key.alloc, &config, &signer, err);

    if (rc == 0) {
        rc = swki_signer_issue(signer, swki_pem_of_buf(csr), leaf, out_chain,
                               err);
    }
    swki_signer_free(signer);
    return rc;
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

/* Likewise by a signer, which is not simply believed. */
static int sign_elsewhere(const struct swki_founding *founding,
                          const struct swki_credentials *credentials,
                          const struct swki_leaf *leaf,
                          const struct swki_buf *csr,
                          struct swki_buf *out_chain, struct swk_error *err)
{
    const struct swk_sign_request request = {
        .size = sizeof(request),
        .kind = SWK_SIGN_NODE,
        .now = leaf->now,
        .swarm_id = leaf->swarm_id,
        .authority = bytes_of(&credentials->roots),
        .authority_key = bytes_of(&founding->root_key),
        .node_id = leaf->node_id,
        .role = SWK_NODE_MANAGER,
        .validity_ns = leaf->validity_ns,
        .csr = bytes_of(csr),
    };
    struct swki_job_output output;
    int rc;

    swki_job_output_init(&output, founding->root_key.alloc);
    rc = swki_sign_now(founding->signer, &request, SWKI_SIGN_NOW_LIMIT, &output,
                       err);
    if (rc == 0) {
        rc = swki_leaf_check(swki_pem_of_buf(&output.certificate), leaf,
                             swki_pem_of_buf(csr), err);
    }
    if (rc == 0 && !swki_buf_append(out_chain, output.certificate.data,
                                    output.certificate.len)) {
        rc = swki_fail_nomem(err);
    }
    swki_job_output_fini(&output);
    return rc;
}

/* The founder's own certificate, signed by the new root. */
static int issue_own(struct swki_founding *founding,
                     struct swki_credentials *credentials, swk_wall now,
                     const struct swk_entropy *entropy, struct swk_error *err)
{
    const struct swk_alloc *alloc = founding->root_key.alloc;
    char node_id[SWK_ID_LEN + 1];
    const struct swki_leaf leaf = {
        .node_id = node_id,
        .swarm_id = founding->swarm_id,
        .role = SWKI_ROLE_MANAGER,
        .now = now,
        .validity_ns = SWKI_CA_EXPIRY_DEFAULT,
    };
    struct swki_buf csr;
    struct swki_buf chain;
    int rc = swki_founding_id(entropy, node_id, err);

    swki_buf_init(&csr, alloc, SWKI_CSR_LEN_MAX);
    swki_buf_init(&chain, alloc, SWKI_PEM_LEN_MAX);
    if (rc == 0) {
        rc = swki_credentials_new_key(credentials, entropy, &csr, err);
    }
    if (rc == 0) {
        rc = founding->signer != NULL
                 ? sign_elsewhere(founding, credentials, &leaf, &csr, &chain,
                                  err)
                 : sign_here(founding, credentials, &leaf, &csr, entropy,
                             &chain, err);
    }
    if (rc == 0) {
        rc = swki_credentials_set_chain(credentials, chain.data, chain.len, now,
                                        entropy, err);
    }
    swki_buf_fini(&csr);
    swki_buf_fini(&chain);
    return rc;
}

static void file_path(char *buf, const char *state_dir, const char *name)
{
    snprintf(buf, PATH_SIZE, "%s/certificates/%s", state_dir, name);
}

/* SWK_ENOTFOUND if neither the key is there nor what stands for it. */
static int read_root_key(struct swki_founding *founding, const char *state_dir,
                         struct swk_error *err)
{
    char path[PATH_SIZE];
    int rc;

    file_path(path, state_dir, root_key_name);
    rc = swki_file_read(path, SWKI_PEM_LEN_MAX, &founding->root_key, err);
    if (rc == SWK_ENOTFOUND) {
        file_path(path, state_dir, mark_name);
        rc = access(path, F_OK) == 0 ? SWK_OK : SWK_ENOTFOUND;
    }
    founding->unsettled = rc == 0;
    return rc;
}

/* Writes the key, or what stands for it, before anything depends on it. */
static int write_root_key(struct swki_founding *founding, const char *state_dir,
                          struct swk_error *err)
{
    const struct swki_buf *key = &founding->root_key;
    const char *name = key->len > 0 ? root_key_name : mark_name;
    char dir[PATH_SIZE];
    int rc;

    snprintf(dir, sizeof(dir), "%s/certificates", state_dir);
    (void)mkdir(dir, 0755); /* if it cannot be made, the write says so */
    rc = swki_file_replace(dir, name, key->data, key->len, 0600, err);
    founding->unsettled = rc == 0;
    return rc;
}

/* A root whose key the signer keeps, unless it hands it out. */
static int order_root(struct swki_founding *founding,
                      struct swki_credentials *credentials, swk_wall now,
                      struct swk_error *err)
{
    const struct swk_sign_request request = {
        .size = sizeof(request),
        .kind = SWK_SIGN_ROOT,
        .now = now,
        .swarm_id = founding->swarm_id,
    };
    struct swki_job_output output;
    int rc;

    swki_job_output_init(&output, founding->root_key.alloc);
    rc = swki_sign_now(founding->signer, &request, SWKI_SIGN_NOW_LIMIT, &output,
                       err);
    if (rc == 0) {
        rc = swki_credentials_set_roots(credentials, output.certificate.data,
                                        output.certificate.len, now, err);
    }
    if (rc == 0 && !swki_buf_append(&founding->root_key, output.key.data,
                                    output.key.len)) {
        rc = swki_fail_nomem(err);
    }
    swki_job_output_fini(&output);
    return rc;
}

/* A root for the key that waits there, since its making was cut short or an
 * operator wants it; else with a new key, which is on the disk, or with the
 * signer, before anything depends on it. */
static int make_root(struct swki_founding *founding, const char *state_dir,
                     struct swki_credentials *credentials, swk_wall now,
                     const struct swk_entropy *entropy, struct swk_error *err)
{
    int rc = read_root_key(founding, state_dir, err);
    bool is_new = founding->root_key.len == 0;

    if (rc != 0 && rc != SWK_ENOTFOUND) {
        return rc;
    }
    rc = is_new && founding->signer != NULL
             ? order_root(founding, credentials, now, err)
             : swki_credentials_new_root(credentials, now, entropy,
                                         &founding->root_key, err);
    return rc == 0 && is_new ? write_root_key(founding, state_dir, err) : rc;
}

/* The operator's root, whose key must be there too, or with the signer. */
static int take_root(struct swki_founding *founding, const char *state_dir,
                     struct swk_error *err)
{
    int rc = read_root_key(founding, state_dir, err);

    if (rc == SWK_ENOTFOUND && founding->signer != NULL) {
        return write_root_key(founding, state_dir, err);
    }
    if (rc == SWK_ENOTFOUND ||
        (rc == 0 && founding->root_key.len == 0 && founding->signer == NULL)) {
        return swki_fail(err, SWK_EINVAL,
                         "%s/certificates has a root certificate but neither "
                         "its key nor a certificate of this node: add the key "
                         "to found a swarm with it, or remove it",
                         state_dir);
    }
    return rc;
}

/* No certificate yet: a root of the operator's or a new one, and its first
 * leaf. */
static int found(struct swki_founding *founding, const char *state_dir,
                 struct swki_credentials *credentials, swk_wall now,
                 const struct swk_entropy *entropy, struct swk_error *err)
{
    char dir[PATH_SIZE];
    char id[SWK_ID_LEN + 1];
    int rc = swki_founding_id(entropy, id, err);

    if (rc != 0) {
        return rc;
    }
    snprintf(founding->swarm_id, sizeof(founding->swarm_id), "%s%s",
             founding->fips ? SWKI_FIPS_PREFIX : "", id);
    snprintf(dir, sizeof(dir), "%s/certificates", state_dir);
    rc = swki_credentials_load_roots(credentials, dir, now, err);
    if (rc == SWK_ENOTFOUND) {
        rc = make_root(founding, state_dir, credentials, now, entropy, err);
    } else if (rc == 0) {
        rc = take_root(founding, state_dir, err);
    }
    if (rc == 0) {
        rc = issue_own(founding, credentials, now, entropy, err);
    }
    return rc != 0 ? rc : swki_state_dir_save(state_dir, credentials, err);
}

int swki_founding_identity(struct swki_founding *founding,
                           const char *state_dir,
                           struct swki_credentials *credentials,
                           const struct swk_clock *clock,
                           const struct swk_entropy *entropy,
                           struct swk_error *err)
{
    int rc = swki_state_dir_load(state_dir, credentials, clock, entropy, err);

    if (rc == SWK_ENOTFOUND) {
        return found(founding, state_dir, credentials,
                     clock->wall(clock->ctx), entropy, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (credentials->identity.role != SWKI_ROLE_MANAGER) {
        return swki_fail(err, SWK_EINVAL,
                         "the identity in %s is a worker's: run it as one",
                         state_dir);
    }
    rc = read_root_key(founding, state_dir, err);
    return rc == SWK_ENOTFOUND ? SWK_OK : rc;
}

/* The founder needs no request: its certificate is there. */
static int fill_node(const struct swki_credentials *credentials,
                     struct swki_arena *arena, Swkpb__Node *node,
                     struct swk_error *err)
{
    Swkpb__Certificate *certificate = node->certificate;

    node->role = SWKPB__NODE_ROLE__MANAGER;
    if (certificate == NULL) {
        certificate = swki_arena_alloc(arena, sizeof(*certificate));
        if (certificate == NULL) {
            return swki_fail_nomem(err);
        }
        swkpb__certificate__init(certificate);
        node->certificate = certificate;
    }
    certificate->role = SWKPB__NODE_ROLE__MANAGER;
    certificate->cn =
        swki_arena_strdup(arena, credentials->identity.node_id);
    certificate->certificate.data = swki_arena_memdup(
        arena, credentials->chain.data, credentials->chain.len);
    certificate->certificate.len = credentials->chain.len;
    certificate->status =
        swki_arena_alloc(arena, sizeof(*certificate->status));
    certificate->not_after =
        swki_timestamp_from_wall(credentials->identity.not_after, arena);
    if (certificate->cn == NULL || certificate->certificate.data == NULL ||
        certificate->not_after == NULL || certificate->status == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__issuance_status__init(certificate->status);
    certificate->status->state = SWKPB__ISSUANCE_STATUS__STATE__ISSUED;
    certificate->not_after =
        swki_timestamp_from_wall(credentials->identity.not_after, arena);
    return certificate->not_after != NULL ? SWK_OK : swki_fail_nomem(err);
}

int swki_founding_node(const struct swki_credentials *credentials,
                       const struct swk_alloc *alloc,
                       const struct swk_entropy *entropy,
                       struct swki_object **out_node, struct swk_error *err)
{
    const struct swki_ca_bootstrap bootstrap = {
        .node_id = credentials->identity.node_id,
        .entropy = entropy,
    };
    struct swki_object *node = swki_object_new(alloc, SWKI_KIND_NODE);
    int rc = node == NULL
                 ? swki_fail_nomem(err)
                 : swki_ca_bootstrap_node(&bootstrap, swki_object_arena(node),
                                          swki_node_edit(node), err);

    if (rc == 0) {
        rc = fill_node(credentials, swki_object_arena(node),
                       swki_node_edit(node), err);
    }
    if (rc != 0) {
        swki_object_unref(node);
        return rc;
    }
    *out_node = node;
    return SWK_OK;
}

static int name_external_cas(const struct swki_founding *founding,
                             struct swki_object *cluster, struct swk_error *err)
{
    const struct swk_bytes packed = founding->ca_config;
    Swkpb__CAConfig *config = swki_cluster_edit(cluster)->spec->ca_config;
    const Swkpb__CAConfig *given;
    ProtobufCMessage *message;
    int rc;

    if (packed.len == 0) {
        return SWK_OK;
    }
    rc = swki_message_unpack(&swkpb__caconfig__descriptor, packed.data,
                             packed.len, swki_object_arena(cluster), &message,
                             err);
    if (rc != 0) {
        return rc;
    }
    given = (const Swkpb__CAConfig *)message;
    config->external_cas = given->external_cas;
    config->n_external_cas = given->n_external_cas;
    return swki_validate_external_cas(given, err);
}

int swki_founding_objects(const struct swki_founding *founding,
                          const struct swki_credentials *credentials,
                          const struct swk_alloc *alloc,
                          const struct swk_entropy *entropy,
                          struct swki_object **out_cluster,
                          struct swki_object **out_node, struct swk_error *err)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = credentials->identity.swarm_id,
        .root_certificate = swki_pem_of_buf(&credentials->roots),
        .root_key = swki_pem_of_buf(&founding->root_key),
        .entropy = entropy,
        .fips = swki_fips_required(credentials->identity.swarm_id),
    };
    struct swki_object *cluster;
    struct swki_object *node = NULL;
    int rc;

    *out_cluster = NULL;
    *out_node = NULL;
    if (!founding->unsettled) {
        return SWK_OK;
    }
    cluster = swki_object_new(alloc, SWKI_KIND_CLUSTER);
    if (cluster == NULL) {
        rc = swki_fail_nomem(err);
    } else {
        rc = swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                       swki_cluster_edit(cluster), err);
    }
    if (rc == 0) {
        rc = name_external_cas(founding, cluster, err);
    }
    if (rc == 0) {
        /* None: the dispatcher's, which grows with the swarm. */
        swki_cluster_edit(cluster)->spec->dispatcher->heartbeat_period = NULL;
        rc = swki_founding_node(credentials, alloc, entropy, &node, err);
    }
    if (rc != 0) {
        swki_object_unref(cluster);
        return rc;
    }
    *out_cluster = cluster;
    *out_node = node;
    return SWK_OK;
}

static bool is_gone(const char *state_dir, const char *name)
{
    char path[PATH_SIZE];

    file_path(path, state_dir, name);
    return unlink(path) == 0 || errno == ENOENT;
}

void swki_founding_settle(struct swki_founding *founding,
                          const char *state_dir)
{
    if (is_gone(state_dir, root_key_name) && is_gone(state_dir, mark_name)) {
        wipe_key(founding);
        founding->unsettled = false;
    }
}
