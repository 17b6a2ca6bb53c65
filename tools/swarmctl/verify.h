/* SPDX-License-Identifier: Apache-2.0 */

/* Checking the signatures of specs before they go anywhere. */

#ifndef SWARMCTL_VERIFY_H
#define SWARMCTL_VERIFY_H

#include <swarmkit/signed_spec.h>

#include "flags.h"

/* Of every command that sends specs: --trust. */
#define TRUST_FLAG                                                             \
    {                                                                          \
        .name = "trust", .argument = "FILE|DIR",                               \
        .help = "send nothing that none of these public keys has signed"       \
    }

/*
 * Whether a key of the file or directory signed the spec, for the swarm (NULL:
 * for any), as an agent would judge it now. 0 or a negative enum
 * swk_error_code; out_key_id is the key's ID.
 */
int verify_spec(struct ctl *ctl, const char *trust, const char *swarm_id,
                const Swkpb__ServiceSpec *spec,
                char out_key_id[SWK_SIGNING_KEY_ID_LEN + 1],
                struct swk_error *err);

/* The same with the keys of --trust and the manager's swarm, if --trust is
 * given; an exit code. */
int verify_before_sending(struct ctl *ctl, const struct args *args,
                          const Swkpb__ServiceSpec *spec);

/* All of a spec that signatures are over, encoded. */
ProtobufCBinaryData verify_covered(struct ctl *ctl,
                                   const Swkpb__ServiceSpec *spec);

#endif
