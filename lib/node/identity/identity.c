/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/node.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/x509.h"
#include "node/identity/state_dir.h"
#include "runtime/file/atomic.h"

enum {
    PATH_SIZE = 4096,
};

/* Whether the key file is sealed; one that cannot be read is not. */
static bool is_locked(const char *state_dir)
{
    char path[PATH_SIZE];
    struct swki_buf buf;
    bool locked;

    snprintf(path, sizeof(path), "%s/certificates/swarm-node.key", state_dir);
    swki_buf_init(&buf, NULL, SWKI_PEM_LEN_MAX);
    locked = swki_file_read(path, SWKI_PEM_LEN_MAX, &buf, NULL) == 0 &&
             swki_key_is_sealed(swki_pem_of_buf(&buf));
    if (buf.data != NULL) {
        swki_wipe(buf.data, buf.size);
    }
    swki_buf_fini(&buf);
    return locked;
}

int swk_node_identity_read(const char *state_dir,
                           struct swk_node_identity *out_identity,
                           struct swk_error *err)
{
    struct swki_identity identity;
    char path[PATH_SIZE];
    struct swki_buf buf;
    int rc;

    if (state_dir == NULL || out_identity == NULL) {
        return swki_fail(err, SWK_EINVAL, "node: NULL argument");
    }
    snprintf(path, sizeof(path), "%s/certificates/swarm-node.crt", state_dir);
    swki_buf_init(&buf, NULL, SWKI_PEM_LEN_MAX);
    rc = swki_file_read(path, SWKI_PEM_LEN_MAX, &buf, err);
    if (rc == 0) {
        rc = swki_certificate_identity(swki_pem_of_buf(&buf), &identity, err);
    }
    swki_buf_fini(&buf);
    if (rc != 0) {
        return rc;
    }
    *out_identity = (struct swk_node_identity){
        .role = identity.role == SWKI_ROLE_MANAGER ? SWK_NODE_MANAGER
                                                   : SWK_NODE_WORKER,
        .locked = is_locked(state_dir) ? 1 : 0,
        .not_after = identity.not_after,
    };
    memcpy(out_identity->node_id, identity.node_id, sizeof(identity.node_id));
    memcpy(out_identity->swarm_id, identity.swarm_id,
           sizeof(identity.swarm_id));
    return SWK_OK;
}

int swk_node_create_state_dir(const char *state_dir, struct swk_error *err)
{
    return state_dir != NULL
               ? swki_state_dir_create(state_dir, err)
               : swki_fail(err, SWK_EINVAL, "node: NULL argument");
}

const char *swk_version(void)
{
    return SWKI_VERSION;
}
