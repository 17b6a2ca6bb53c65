/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A node's description, as its managers get it: the executor's words, completed
 * by what the node knows of itself.
 */

#ifndef SWKI_NODE_DESCRIPTION_H
#define SWKI_NODE_DESCRIPTION_H

#include <stdbool.h>

#include <swarmkit/port/clock.h>
#include <swarmkit/port/executor.h>

#include "base/buf.h"
#include "node/identity/credentials.h"
#include "trust.pb-c.h"

/* What goes into it; all of it borrowed for the call. */
struct swki_described {
    const struct swk_alloc *alloc;
    const struct swk_clock *clock;
    const struct swk_executor *executor;
    const struct swki_credentials *credentials;
    const char *hostname;             /* NULL: what the executor says */
    Swkpb__Rpc__NodeConsent *consent; /* NULL: the node has no policy */
    bool fips;
};

/* Appends the encoded NodeDescription. */
int swki_describe_node(const struct swki_described *described,
                       struct swki_buf *out, struct swk_error *err);

#endif
