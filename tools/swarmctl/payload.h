/* SPDX-License-Identifier: Apache-2.0 */

/* What secrets and configs have in common. */

#ifndef SWARMCTL_PAYLOAD_H
#define SWARMCTL_PAYLOAD_H

#include "ctl.h"

enum {
    PAYLOAD_SIZE_MAX = 1024000, /* what no secret or config reaches */
};

/* Reads a file, or the standard input for NULL and "-". */
int payload_read(struct ctl *ctl, const char *path, ProtobufCBinaryData *out);

/* Overwrites the data. */
void payload_wipe(ProtobufCBinaryData *data);

void payload_print(struct ctl *ctl, const Swkpb__Annotations *annotations,
                   const Swkpb__Meta *meta);

#endif
