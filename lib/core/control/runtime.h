/* SPDX-License-Identifier: Apache-2.0 */

/* The name of what runs a task: "container", "attachment", or a kind. */

#ifndef SWKI_CONTROL_RUNTIME_H
#define SWKI_CONTROL_RUNTIME_H

#include "core/store/object.h"

/* buf of size bytes may hold the answer; "" if there is no runtime. */
const char *swki_runtime_name(const Swkpb__TaskSpec *spec, char *buf,
                              size_t size);

#endif
