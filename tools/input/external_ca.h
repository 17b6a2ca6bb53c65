/* SPDX-License-Identifier: Apache-2.0 */

/* External CAs, as an operator names them on a command line. */

#ifndef TOOLS_EXTERNAL_CA_H
#define TOOLS_EXTERNAL_CA_H

#include <swarmkit/error.h>

#include "types.pb-c.h"

/* Described in the manual of swarmd. */
#define EXTERNAL_CA_ARGUMENT "protocol=cfssl,url=URL[,...]"

/*
 * Reads "protocol=cfssl,url=https://...", in any order; cacert=FILE names the
 * root that it signs for, all else are options. SWK_EINVAL says what is wrong,
 * SWK_EIO that the file cannot be read. external_ca_free() it.
 */
int external_ca_read(const char *text, Swkpb__ExternalCA **out_ca,
                     struct swk_error *err);
void external_ca_free(Swkpb__ExternalCA *ca);

#endif
