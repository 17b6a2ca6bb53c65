/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The role manager: makes what nodes are follow what they are to be.
 *
 * An operator sets a node's desired role; the CA signs the role in the node's
 * record. In between stands this component of the leader:
 *
 *     desired  role     member of   what it does
 *              is       the group
 *     manager  worker   either      role becomes manager, at once
 *     worker   manager  yes         the member is removed; then:
 *     worker   manager  no          role becomes worker
 *     (no such node)    yes         the member is removed
 *
 * So a node is no member that votes once it may get a worker's certificate. A
 * removal that cannot be made now, for want of a quorum or because the member
 * leads, is asked for again later.
 */

#ifndef SWKI_ROLEMANAGER_ROLEMANAGER_H
#define SWKI_ROLEMANAGER_ROLEMANAGER_H

#include "core/membership/membership.h"
#include "core/store/store.h"

#define SWKI_ROLE_MANAGER_INTERVAL (5 * SWK_SECOND)

struct swki_role_manager_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_store *store;
    const struct swki_membership *membership;
    /* Begins to remove a member; the list shows whether it worked. Must not
     * call back. As swki_requests_remove(). */
    int (*remove)(void *ctx, swk_time now, uint64_t raft_id,
                  struct swk_error *err);
    void *remove_ctx;
};

struct swki_role_manager;

int swki_role_manager_new(const struct swki_role_manager_config *config,
                          struct swki_role_manager **out_manager,
                          struct swk_error *err);
void swki_role_manager_free(struct swki_role_manager *manager);

void swki_role_manager_step(struct swki_role_manager *manager, swk_time now,
                            swk_wall wall);
/* Whether another step has something to do at once. */
bool swki_role_manager_pending(const struct swki_role_manager *manager);
/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_role_manager_deadline(const struct swki_role_manager *manager);

#endif
