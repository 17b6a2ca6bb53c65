/* SPDX-License-Identifier: Apache-2.0 */

/* The log of a signer: a line of JSON for each signature and each refusal. */

#ifndef SWKI_NODE_SIGNER_LOG_H
#define SWKI_NODE_SIGNER_LOG_H

#include "base/buf.h"
#include "swarmkit/signer.pb-c.h"
#include <swarmkit/error.h>

struct swki_signer_log {
    int fd;               /* -1 when closed */
    const char *what;     /* for people; static */
    struct swki_buf text; /* lines that are not written yet */
};

/* SWK_EDENIED if others may write to it; SWK_EIO; SWK_EINVAL. */
int swki_signer_log_open(struct swki_signer_log *log,
                         const struct swk_alloc *alloc, const char *what,
                         const char *path, struct swk_error *err);
void swki_signer_log_close(struct swki_signer_log *log);

/* Adds a line, which sync() writes. */
void swki_signer_log_add(struct swki_signer_log *log,
                         const Swkpb__Rpc__SignerRecord *record);

/* Writes the lines to the disk, all of them or none: after a failure what they
 * tell of must not be given away. SWK_EIO, SWK_ENOMEM. */
int swki_signer_log_sync(struct swki_signer_log *log, struct swk_error *err);

#endif
