/* SPDX-License-Identifier: Apache-2.0 */

/* The node's description: what it is, has and can do. */

#ifndef SWKI_EXEC_DESCRIBE_H
#define SWKI_EXEC_DESCRIBE_H

#include "base/buf.h"
#include "base/error.h"
#include "runtime/exec/machine.h"

/* Appends an encoded NodeDescription. generic_resources may be NULL;
 * SWK_EINVAL if it cannot be parsed, SWK_ENOMEM. */
int swki_describe(const struct swki_machine *machine,
                  const char *generic_resources, struct swki_buf *out_buf,
                  struct swk_error *err);

#endif
