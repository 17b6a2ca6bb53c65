/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A change of the CA that UpdateCluster asks for, while it is prepared.
 *
 * To make a root, to sign one under another, or to find out whether a signer is
 * there takes time. The call is parked meanwhile, with a copy of its request,
 * and holds nothing: when an outcome arrives, it is served again from the
 * start, against what the swarm is by then. So nothing slow happens within a
 * transaction, and a call that is given up has changed nothing.
 *
 * One change is prepared at a time.
 */

#ifndef SWKI_CONTROL_CA_CHANGE_H
#define SWKI_CONTROL_CA_CHANGE_H

#include "control.pb-c.h"
#include "core/ca/rotation.h"
#include "core/control/control.h"

struct swki_control_request;

struct swki_ca_change {
    const struct swk_alloc *alloc;
    bool active;
    bool resumed; /* its call is being served again */
    bool handed;  /* its work was handed out */
    unsigned rounds;
    swk_time deadline;       /* 0: from the next step on */
    swk_wall wall;           /* when the need was found */
    uint64_t last_id;        /* of work */
    struct swki_arena arena; /* of all below */
    struct swki_call call;
    struct swki_caller caller;
    const char *key; /* of a retry; may be NULL */
    const struct swki_object
        *cluster; /* that the need was found for; counted */
    struct swki_rotation_work work;
    struct swki_rotation_need need;
    struct swki_control_work out; /* the need, as it is handed out */
};

void swki_ca_change_init(struct swki_ca_change *change,
                         const struct swk_alloc *alloc);
/* Forgets it, without a word to the caller. */
void swki_ca_change_end(struct swki_ca_change *change);

/*
 * Whether the parked change, served again, may be applied to the cluster as it
 * is now. Nodes that join by limited tokens are counted in it, and keys of
 * networks rotate: that is none of the change's business. Settings, the CA,
 * tokens or unlock keys that are others now mean that somebody was faster.
 */
bool swki_ca_change_stands(const struct swki_ca_change *change,
                           const struct swki_object *cluster);

/*
 * What the update asks of the swarm's CA. A plan that needs work first is
 * parked: the call is answered later, and *out_plan says WORK.
 */
int swki_ca_change_plan(struct swki_control_request *r,
                        const struct swki_object *cluster,
                        const Swkpb__UpdateClusterRequest *update,
                        struct swki_rotation_plan *out_plan,
                        struct swk_error *err);

/* Writes a plan to the edited cluster, and whom a rotation shall not wait for.
 * The view is that in which nodes are looked for. */
int swki_ca_change_apply(struct swki_object *object,
                         const Swkpb__UpdateClusterRequest *update,
                         const struct swki_rotation_plan *plan,
                         const struct swki_view *view, struct swk_error *err);

#endif
