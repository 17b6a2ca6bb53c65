/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/fips.h"

#include <string.h>

#include "base/error.h"

bool swki_fips_required(const char *swarm_id)
{
    return strncmp(swarm_id, SWKI_FIPS_PREFIX, strlen(SWKI_FIPS_PREFIX)) == 0;
}

int swki_fips_refuse(struct swk_error *err)
{
    return swki_fail(
        err, SWK_ENOTSUP,
        "node is not FIPS-enabled but cluster requires FIPS: start "
        "it with --fips");
}

int swki_fips_check(const char *swarm_id, bool node_fips, struct swk_error *err)
{
    return swki_fips_required(swarm_id) && !node_fips ? swki_fips_refuse(err)
                                                      : SWK_OK;
}
