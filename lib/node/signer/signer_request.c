/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_request.h"

#include <string.h>

#include "base/error.h"
#include "node/signer/signer_paths.h"
#include "wire/message.h"
#include "wire/time.h"

static struct swki_pem pem_of(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

static void read_node(const ProtobufCMessage *base,
                      struct swki_notary_request *out_request)
{
    const Swkpb__Rpc__SignNodeRequest *message =
        (const Swkpb__Rpc__SignNodeRequest *)base;

    *out_request = (struct swki_notary_request){
        .kind = SWKI_NOTARY_NODE,
        .now = swki_timestamp_get(message->now),
        .swarm_id = message->swarm_id,
        .authority = pem_of(&message->authority),
        .node_id = message->node_id,
        .role = message->role == SWKPB__NODE_ROLE__MANAGER  ? SWKI_ROLE_MANAGER
                : message->role == SWKPB__NODE_ROLE__WORKER ? SWKI_ROLE_WORKER
                                                            : SWKI_ROLE_NONE,
        .validity_ns = swki_duration_get(message->validity, 0),
        .csr = pem_of(&message->csr),
        .previous = pem_of(&message->previous),
    };
}

static void read_root(const ProtobufCMessage *base,
                      struct swki_notary_request *out_request)
{
    const Swkpb__Rpc__CreateRootRequest *message =
        (const Swkpb__Rpc__CreateRootRequest *)base;

    *out_request = (struct swki_notary_request){
        .kind = SWKI_NOTARY_ROOT,
        .now = swki_timestamp_get(message->now),
        .swarm_id = message->swarm_id,
        .node_id = "",
    };
}

static void read_cross(const ProtobufCMessage *base,
                       struct swki_notary_request *out_request)
{
    const Swkpb__Rpc__CrossSignRequest *message =
        (const Swkpb__Rpc__CrossSignRequest *)base;

    *out_request = (struct swki_notary_request){
        .kind = SWKI_NOTARY_CROSS,
        .now = swki_timestamp_get(message->now),
        .swarm_id = message->swarm_id,
        .node_id = "",
        .authority = pem_of(&message->authority),
        .root = pem_of(&message->root),
    };
}

static void read_check(const ProtobufCMessage *base,
                       struct swki_notary_request *out_request)
{
    const Swkpb__Rpc__CheckAuthorityRequest *message =
        (const Swkpb__Rpc__CheckAuthorityRequest *)base;

    *out_request = (struct swki_notary_request){
        .kind = SWKI_NOTARY_CHECK,
        .now = swki_timestamp_get(message->now),
        .swarm_id = message->swarm_id,
        .node_id = "",
        .authority = pem_of(&message->authority),
    };
}

static const struct method {
    const char *path;
    const ProtobufCMessageDescriptor *type;
    /* NULL: it asks for no signature. */
    void (*read)(const ProtobufCMessage *message,
                 struct swki_notary_request *out_request);
} methods[] = {
    {SWKI_SIGNER_SIGN_NODE, &swkpb__rpc__sign_node_request__descriptor,
     read_node},
    {SWKI_SIGNER_CREATE_ROOT, &swkpb__rpc__create_root_request__descriptor,
     read_root},
    {SWKI_SIGNER_CROSS_SIGN, &swkpb__rpc__cross_sign_request__descriptor,
     read_cross},
    {SWKI_SIGNER_CHECK_AUTHORITY,
     &swkpb__rpc__check_authority_request__descriptor, read_check},
    {SWKI_SIGNER_DESCRIBE, &swkpb__rpc__describe_signer_request__descriptor,
     NULL},
};

static const struct method *find_method(const char *path)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].path, path) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

int swki_signer_request_read(const char *path, const uint8_t *data, size_t len,
                             struct swki_arena *arena,
                             struct swki_signer_request *out_request,
                             struct swk_error *err)
{
    const struct method *method = find_method(path);
    ProtobufCMessage *message = NULL;
    int rc;

    if (method == NULL) {
        return swki_fail(err, SWK_ENOTSUP, "a signer does not serve %s", path);
    }
    rc = swki_message_unpack(method->type, data, len, arena, &message, err);
    if (rc != 0) {
        return rc;
    }
    out_request->name = strrchr(method->path, '/') + 1;
    out_request->describe = method->read == NULL;
    if (method->read != NULL) {
        method->read(message, &out_request->notary);
    }
    return SWK_OK;
}
