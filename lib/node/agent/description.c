/* SPDX-License-Identifier: Apache-2.0 */

#include "node/agent/description.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/error.h"
#include "objects.pb-c.h"
#include "wire/message.h"

enum {
    /* Bytes of an encoded NodeDescription: what most need, and what any may. A
     * room for the latter alone would be most of an idle agent's memory. */
    DESCRIPTION_SIZE_FIRST = 4 * 1024,
    DESCRIPTION_SIZE_MAX = 256 * 1024,
};

static int add_tls_info(const struct swki_described *d,
                        Swkpb__NodeDescription *description,
                        struct swki_chain_issuer *issuer,
                        Swkpb__NodeTLSInfo *info, struct swk_error *err)
{
    const struct swki_credentials *credentials = d->credentials;
    const struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&credentials->chain),
        .roots = swki_pem_of_buf(&credentials->roots),
        .now = d->clock->wall(d->clock->ctx),
        /* It may be about to be renewed: tasks need not wait for that. */
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    int rc = swki_chain_verify(&chain, issuer, err);

    if (rc != 0) {
        return rc;
    }
    info->trust_root.data = credentials->roots.data;
    info->trust_root.len = credentials->roots.len;
    info->cert_issuer_subject.data = issuer->subject.data;
    info->cert_issuer_subject.len = issuer->subject.len;
    info->cert_issuer_public_key.data = issuer->public_key.data;
    info->cert_issuer_public_key.len = issuer->public_key.len;
    description->tls_info = info;
    return SWK_OK;
}

/* The executor's words, completed by what the node knows of itself. */
static int complete_description(const struct swki_described *d,
                                const uint8_t *data, size_t len,
                                struct swki_buf *out, struct swk_error *err)
{
    Swkpb__NodeTLSInfo info = SWKPB__NODE_TLSINFO__INIT;
    Swkpb__NodeDescription *description;
    struct swki_chain_issuer issuer;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, d->alloc, swki_message_memory_max(len));
    swki_chain_issuer_init(&issuer, d->alloc);
    rc = swki_message_unpack(&swkpb__node_description__descriptor, data, len,
                             &arena, &message, err);
    if (rc == 0) {
        description = (Swkpb__NodeDescription *)message;
        if (d->hostname != NULL) {
            description->hostname = (char *)d->hostname;
        }
        description->consent = d->consent;
        description->fips = d->fips;
        rc = add_tls_info(d, description, &issuer, &info, err);
    }
    if (rc == 0) {
        rc = swki_message_pack(message, out, err);
    }
    swki_chain_issuer_fini(&issuer);
    swki_arena_fini(&arena);
    return rc;
}

static int describe_within(const struct swki_described *d, size_t size,
                           struct swki_buf *out, struct swk_error *err)
{
    const struct swk_executor *executor = d->executor;
    uint8_t *data = swki_alloc(d->alloc, size);
    size_t len;
    int rc;

    if (data == NULL) {
        return swki_fail_nomem(err);
    }
    rc = executor->describe(executor->ctx, data, size, &len, err);
    if (rc == 0) {
        rc = complete_description(d, data, len, out, err);
    }
    swki_free(d->alloc, data);
    return rc;
}

int swki_describe_node(const struct swki_described *d, struct swki_buf *out,
                       struct swk_error *err)
{
    size_t size = DESCRIPTION_SIZE_FIRST;
    int rc = describe_within(d, size, out, err);

    while (rc == SWK_ELIMIT && size < DESCRIPTION_SIZE_MAX) {
        size *= 8;
        rc = describe_within(d, size, out, err);
    }
    return rc;
}
