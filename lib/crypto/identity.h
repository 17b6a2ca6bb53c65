/* SPDX-License-Identifier: Apache-2.0 */

/* Who a node is: the three parts of its certificate's subject. */

#ifndef SWKI_CRYPTO_IDENTITY_H
#define SWKI_CRYPTO_IDENTITY_H

#include <stdint.h>

#include <swarmkit/types.h>

#include "base/roles.h"

#define SWKI_OU_WORKER "swarm-worker"
#define SWKI_OU_MANAGER "swarm-manager"
#define SWKI_SERVER_NAME_CA "swarm-ca"

struct swki_identity {
    char node_id[SWK_ID_LEN_MAX + 1];  /* CN */
    char swarm_id[SWK_ID_LEN_MAX + 1]; /* O */
    uint32_t role;                     /* OU: enum swki_role */
    swk_wall not_before;               /* validity of the certificate */
    swk_wall not_after;
};

#endif
