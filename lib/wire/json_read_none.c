/* SPDX-License-Identifier: Apache-2.0 */

/* In the place of json_read.c where there is no parser of JSON. */

#include "wire/json_read.h"

#include "base/error.h"

int swki_message_from_json(const ProtobufCMessageDescriptor *type,
                           const char *text, size_t len,
                           struct swki_arena *arena,
                           ProtobufCMessage **out_message,
                           struct swk_error *err)
{
    return swki_fail(err, SWK_ENOTSUP,
                     "JSON: this library was built without cJSON");
}
