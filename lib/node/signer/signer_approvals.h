/* SPDX-License-Identifier: Apache-2.0 */

/* What operators have approved: the file "allowed" beside a signer's keys. */

#ifndef SWKI_NODE_SIGNER_APPROVALS_H
#define SWKI_NODE_SIGNER_APPROVALS_H

#include "core/signer/approvals.h"
#include "node/signer/signer_keys.h"

/* Empty if there is no file. SWK_ECORRUPT, SWK_EDENIED, SWK_EIO, SWK_ENOMEM. */
int swki_signer_approvals_read(const struct swk_signer_keys *keys,
                               struct swki_approvals *out_approvals,
                               struct swk_error *err);

/* Takes one out of the file, and of what was read. SWK_ENOTFOUND if it is not
 * there any more. */
int swki_signer_approvals_use(const struct swk_signer_keys *keys,
                              struct swki_approvals *approvals,
                              const char *node_id, struct swk_error *err);

#endif
