/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager/authorize.h"

#include <string.h>

#include "base/error.h"

#define DENIED "Permission denied: "

static const char *names_of(uint32_t roles)
{
    return (roles & SWKI_ROLE_WORKER) != 0 ? "[swarm-worker swarm-manager]"
                                           : "[swarm-manager]";
}

/* What has become of a node since it got its certificate, which stays good to
 * its end. */
static int check_standing(const struct swki_swarm_access *access,
                          const char *node_id, uint32_t roles,
                          struct swk_error *err)
{
    if (access->is_removed(access->ctx, node_id)) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "node %s was removed from swarm", node_id);
    }
    if ((roles & SWKI_ROLE_WORKER) == 0 && access->is_worker != NULL &&
        access->is_worker(access->ctx, node_id)) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "node %s is no manager any more", node_id);
    }
    return SWK_OK;
}

/* Who shows a certificate; what names it in the texts. */
static int check_peer(const struct swki_swarm_access *access,
                      const struct swki_caller *peer, const char *what,
                      uint32_t roles, struct swk_error *err)
{
    if (peer->role == SWKI_ROLE_NONE) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "no client certificates in request");
    }
    if ((peer->role & roles) == 0) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "unauthorized %s role: remote certificate not "
                                "part of OUs: %s",
                         what, names_of(roles));
    }
    if (strcmp(peer->swarm_id, access->swarm_id) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "unauthorized %s role: remote certificate not "
                                "part of organization: %s",
                         what, access->swarm_id);
    }
    return check_standing(access, peer->node_id, roles, err);
}

/* Whom a manager names, and has identified. */
static int check_forwarded(const struct swki_swarm_access *access,
                           const struct swki_caller *caller, uint32_t roles,
                           struct swk_error *err)
{
    if (caller->node_id[0] == '\0' || caller->swarm_id[0] == '\0' ||
        caller->role == SWKI_ROLE_NONE) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "missing information in forwarded request");
    }
    if ((caller->role & roles) == 0) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "unauthorized forwarded role, expecting: %s",
                         names_of(roles));
    }
    if (strcmp(caller->swarm_id, access->swarm_id) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         DENIED "organization mismatch, expecting: %s",
                         access->swarm_id);
    }
    return check_standing(access, caller->node_id, roles, err);
}

/* The control socket's caller is the administrator, who may do all that it is
 * offered; but nodes speak for themselves. */
static int check_local(const struct swki_method *method, struct swk_error *err)
{
    return (method->roles & SWKI_ROLE_WORKER) == 0
               ? SWK_OK
               : swki_fail(err, SWK_EDENIED,
                           DENIED "only a node with its certificate makes "
                                  "this call, and the control socket is none");
}

static int check_caller(const struct swki_swarm_access *access,
                        const struct swki_method *method,
                        const struct swki_caller *caller, struct swk_error *err)
{
    if (caller->local) {
        return check_local(method, err);
    }
    if (method->roles == SWKI_ROLE_NONE) {
        return SWK_OK;
    }
    return caller->forwarded_by != NULL && caller->forwarded_by[0] != '\0'
               ? check_forwarded(access, caller, method->roles, err)
               : check_peer(access, caller, "peer", method->roles, err);
}

int swki_authorize(const struct swki_swarm_access *access,
                   const struct swki_method *method,
                   const struct swki_caller *caller, struct swk_error *err)
{
    int rc = check_caller(access, method, caller, err);

    if (rc == SWK_OK &&
        (caller->local ? method->local : method->remote) == SWKI_SERVED_NOT) {
        rc = swki_fail(err, SWK_ENOTSUP, "%s.%s is not served %s",
                       method->service, method->name,
                       caller->local ? "through the control socket"
                                     : "to the network");
    }
    return rc;
}

int swki_authorize_forwarder(const struct swki_swarm_access *access,
                             const struct swki_caller *forwarder,
                             struct swk_error *err)
{
    return check_peer(access, forwarder, "forwarder", SWKI_ROLE_MANAGER, err);
}
