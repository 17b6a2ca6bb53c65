/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_approvals.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "core/signer/register.h"
#include "node/signer/signer_files.h"

static const char file_name[] = "allowed";

int swki_signer_approvals_read(const struct swk_signer_keys *keys,
                               struct swki_approvals *out_approvals,
                               struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    out_approvals->count = 0;
    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_signer_read_file(keys, file_name, &text, err);
    if (rc == 0 && !swki_approvals_read(out_approvals, (const char *)text.data,
                                        text.len)) {
        out_approvals->count = 0;
        rc = swki_fail(err, SWK_ECORRUPT,
                       "%s/%s is no list of nodes that are allowed: remove it",
                       keys->dir, file_name);
    }
    swki_buf_fini(&text);
    return rc == SWK_ENOTFOUND ? SWK_OK : rc;
}

static int write_approvals(const struct swk_signer_keys *keys,
                           const struct swki_approvals *approvals,
                           struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_APPROVALS_TEXT_MAX);
    swki_approvals_write(approvals, &text);
    rc = swki_signer_write_file(keys, file_name, &text, err);
    swki_buf_fini(&text);
    return rc;
}

int swki_signer_approvals_use(const struct swk_signer_keys *keys,
                              struct swki_approvals *approvals,
                              const char *node_id, struct swk_error *err)
{
    int fd = -1;
    int rc = swki_signer_lock(keys, &fd, err);

    if (rc != 0) {
        return rc;
    }
    rc = swki_signer_approvals_read(keys, approvals, err);
    if (rc == 0 && !swki_approvals_remove(approvals, node_id)) {
        rc = swki_fail(err, SWK_ENOTFOUND, "node %s is not allowed any more",
                       node_id);
    }
    if (rc == 0) {
        rc = write_approvals(keys, approvals, err);
    }
    close(fd);
    return rc;
}

static int change(const struct swk_signer_keys *keys, const char *node_id,
                  uint64_t validity_ns, struct swk_error *err)
{
    swk_wall now = keys->clock->wall(keys->clock->ctx);
    struct swki_approvals approvals;
    int rc = swki_signer_approvals_read(keys, &approvals, err);

    if (rc != 0) {
        return rc;
    }
    if (validity_ns == 0 && !swki_approvals_remove(&approvals, node_id)) {
        return swki_fail(err, SWK_ENOTFOUND, "node %s is not allowed", node_id);
    }
    if (validity_ns > 0 &&
        !swki_approvals_add(&approvals, node_id, now + (swk_wall)validity_ns,
                            now)) {
        return swki_fail(err, SWK_ELIMIT, "there are %d nodes allowed already",
                         SWK_SIGNER_ALLOWED_MAX);
    }
    return write_approvals(keys, &approvals, err);
}

int swk_signer_keys_allow(swk_signer_keys *keys, const char *node_id,
                          uint64_t validity_ns, struct swk_error *err)
{
    int fd = -1;
    int rc;

    if (keys == NULL || node_id == NULL || !swki_register_fits(node_id)) {
        return swki_fail(err, SWK_EINVAL, "that is no ID of a node");
    }
    if (validity_ns > 365 * 24 * SWK_HOUR) {
        return swki_fail(err, SWK_EINVAL,
                         "a node is allowed for no longer "
                         "than a year");
    }
    rc = swki_signer_lock(keys, &fd, err);
    if (rc == 0) {
        rc = change(keys, node_id, validity_ns, err);
        close(fd);
    }
    return rc;
}
