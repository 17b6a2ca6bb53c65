/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an operator has approved: nodes that may become managers, each once and
 * until a moment. A line each, "NODE-ID SECONDS".
 */

#ifndef SWKI_CORE_SIGNER_APPROVALS_H
#define SWKI_CORE_SIGNER_APPROVALS_H

#include <stdbool.h>
#include <stddef.h>

#include <swarmkit/types.h>

#include "base/buf.h"

enum {
    SWKI_APPROVALS_MAX = 64,
    SWKI_APPROVALS_TEXT_MAX = SWKI_APPROVALS_MAX * (SWK_ID_LEN_MAX + 24),
};

struct swki_approval {
    char node_id[SWK_ID_LEN_MAX + 1];
    swk_wall until; /* whole seconds */
};

/* A plain value. */
struct swki_approvals {
    struct swki_approval list[SWKI_APPROVALS_MAX];
    size_t count;
};

bool swki_approvals_has(const struct swki_approvals *approvals,
                        const char *node_id, swk_wall wall);

/* Adds or prolongs; what is over makes room. False if there is none. */
bool swki_approvals_add(struct swki_approvals *approvals, const char *node_id,
                        swk_wall until, swk_wall wall);

/* False if it was not there. */
bool swki_approvals_remove(struct swki_approvals *approvals,
                           const char *node_id);

/* False for a text that is no list of them. */
bool swki_approvals_read(struct swki_approvals *out_approvals, const char *text,
                         size_t len);
bool swki_approvals_write(const struct swki_approvals *approvals,
                          struct swki_buf *out_text);

#endif
