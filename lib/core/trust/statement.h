/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an operator's signature is over: the one text that a spec and a task of
 * it both lead to (doc/signed-specs.md).
 */

#ifndef SWKI_TRUST_STATEMENT_H
#define SWKI_TRUST_STATEMENT_H

#include <swarmkit/error.h>

#include "base/buf.h"
#include "objects.pb-c.h"

enum {
    SWKI_SIGNATURES_MAX = 8, /* of one spec */
    /* Bytes of a statement; a spec is below the log's limit for an entry. */
    SWKI_STATEMENT_SIZE_MAX = 4 << 20,
};

/* What the first bytes of every statement are, without a NUL: nothing else that
 * a key may sign begins so. */
#define SWKI_STATEMENT_PREFIX "swarmkit signed spec 1\n"

/*
 * Appends the statement of a spec, or of a task, with the terms of a signature:
 * its swarm and times; its other fields do not count. SWK_EINVAL for what
 * cannot be signed: fields that this version does not know, networks in the old
 * place, or no name or task.
 */
int swki_statement_of_spec(const Swkpb__ServiceSpec *spec,
                           const Swkpb__Rpc__SpecSignature *terms,
                           struct swki_buf *out, struct swk_error *err);
int swki_statement_of_task(const Swkpb__Task *task,
                           const Swkpb__Rpc__SpecSignature *terms,
                           struct swki_buf *out, struct swk_error *err);

/* Whether a signature that is over the one task is over the other too. What
 * cannot be signed is the same as nothing. False for no memory too. */
bool swki_statement_same(const struct swk_alloc *alloc,
                         const Swkpb__Task *before, const Swkpb__Task *after);

/*
 * Whether what the swarm added to the task stays within its spec: ports,
 * networks, generic resources, volumes, the log driver, the name. SWK_EINVAL
 * with what does not.
 */
int swki_task_additions_check(const Swkpb__Task *task, struct swk_error *err);

#endif
