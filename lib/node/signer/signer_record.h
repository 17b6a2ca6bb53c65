/* SPDX-License-Identifier: Apache-2.0 */

/* What the log of signatures tells of a request. */

#ifndef SWKI_NODE_SIGNER_RECORD_H
#define SWKI_NODE_SIGNER_RECORD_H

#include <swarmkit/log.h>

#include "node/rpc/server.h"
#include "node/signer/signer_log.h"
#include "node/signer/signer_request.h"

struct swki_signer_event {
    swk_wall wall;
    const struct swki_rpc_call_info *caller;
    const struct swki_signer_request *request;
    const struct swki_notary_decision *decision;
    struct swki_pem certificate; /* that was signed */
    const struct swk_error *why; /* code 0: it was */
    uint64_t left_out;
};

/* Adds a line to the log, and tells the logger. */
void swki_signer_record_add(const struct swki_signer_event *event,
                            struct swki_arena *arena,
                            struct swki_signer_log *log,
                            const struct swk_logger *logger);

/* Adds a line that tells that an authority was taken away. */
void swki_signer_record_removed(const char *fingerprint, swk_wall wall,
                                struct swki_signer_log *log);

#endif
