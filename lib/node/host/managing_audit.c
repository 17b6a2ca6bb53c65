/* SPDX-License-Identifier: Apache-2.0 */

/* The audit log of what a node runs as a manager. */

#include <stdio.h>

#include <swarmkit/manager.h>

#include "base/log.h"
#include "node/host/managing_impl.h"

enum {
    PATH_SIZE = 4096,
};

_Static_assert((int)SWK_MANAGER_AUDIT_ALL == (int)SWKI_AUDIT_ALL &&
                   (int)SWK_MANAGER_AUDIT_CALLS == (int)SWKI_AUDIT_CALLS,
               "levels are the same");

int swki_managing_renew_audit(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_credentials *own = m->config.asker.credentials;

    return m->audit_log == NULL
               ? SWK_OK
               : swki_audit_log_set_key(m->audit_log,
                                        swki_pem_of_buf(&own->key),
                                        swki_pem_of_buf(&own->chain), err);
}

static int open_audit(struct swki_managing *m, struct swk_error *err)
{
    const struct swki_asker *asker = &m->config.asker;
    const struct swki_identity *identity = &asker->credentials->identity;
    char path[PATH_SIZE];
    const struct swki_audit_log_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .entropy = asker->entropy,
        .dir = path,
        .node_id = identity->node_id,
        .swarm_id = identity->swarm_id,
        .key = swki_pem_of_buf(&asker->credentials->key),
        .certificate = swki_pem_of_buf(&asker->credentials->chain),
        .roots = swki_pem_of_buf(&asker->credentials->roots),
        .level = (enum swki_audit_level)m->config.audit,
        .required = m->config.audit_required,
        .file_size = m->config.audit_file_size,
        .files_max = m->config.audit_files_max,
    };

    snprintf(path, sizeof(path), "%s/audit", m->config.state_dir);
    return swki_audit_log_open(&config, &m->audit_log, err);
}

int swki_managing_open_audit(struct swki_managing *m, struct swk_error *err)
{
    int rc =
        m->config.audit == SWK_MANAGER_AUDIT_OFF ? SWK_OK : open_audit(m, err);

    if (rc != 0 && !m->config.audit_required) {
        swki_log(m->config.asker.logger, SWK_LOG_ERROR, "audit",
                 "nothing is recorded: %s", err->text);
        rc = SWK_OK;
    }
    return rc;
}
