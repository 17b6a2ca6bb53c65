/* SPDX-License-Identifier: Apache-2.0 */

#include "node/host/unlocking.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "node/rpc/server.h"
#include "swarmkit/node.pb-c.h"
#include "wire/message.h"
#include "wire/method_paths.h"
#include "wire/status.h"

/* An answer leaves within this time, before its socket goes. */
#define LINGER (200 * SWK_MILLISECOND)

enum {
    REQUEST_MAX = 1024, /* bytes, which is room for more than a key */
};

struct swki_unlocking {
    struct swki_unlocking_config config;
    struct swki_loop_member member;
    struct swki_rpc_server *server;
    swk_time due; /* to say that it is unlocked; SWK_NEVER */
};

static int take_key(const Swkpb__Rpc__UnlockRequest *request,
                    struct swk_unlock_key *out_key, struct swk_error *err)
{
    if (request->unlock_key.len != SWK_UNLOCK_KEY_SIZE) {
        return swki_fail(err, SWK_EINVAL, "an unlock key has %d bytes",
                         SWK_UNLOCK_KEY_SIZE);
    }
    memcpy(out_key->bytes, request->unlock_key.data, SWK_UNLOCK_KEY_SIZE);
    swki_wipe(request->unlock_key.data, request->unlock_key.len);
    return SWK_OK;
}

static int unlock(struct swki_unlocking *u, const uint8_t *data, size_t len,
                  struct swk_error *err)
{
    struct swk_unlock_key unlock_key;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, u->config.alloc, swki_message_memory_max(len));
    rc = swki_message_unpack(&swkpb__rpc__unlock_request__descriptor, data, len,
                             &arena, &message, err);
    if (rc == 0) {
        rc = take_key((const Swkpb__Rpc__UnlockRequest *)message, &unlock_key,
                      err);
    }
    if (rc == 0) {
        rc = u->config.unlock(u->config.ctx, &unlock_key, err);
    }
    swki_wipe(&unlock_key, sizeof(unlock_key));
    swki_arena_fini(&arena);
    return rc;
}

static void request(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct swki_unlocking *u = ctx;
    struct swk_error err;

    if (strcmp(swki_rpc_call_info(call)->path, SWKI_PATH_NODE_UNLOCK) != 0) {
        swki_rpc_call_end(call, SWKI_STATUS_FAILED_PRECONDITION,
                          "this manager is locked: unlock it by \"swarmctl "
                          "unlock\"");
    } else if (u->due != SWK_NEVER) {
        swki_rpc_call_end(call, SWKI_STATUS_FAILED_PRECONDITION,
                          "this manager was unlocked a moment ago");
    } else if (unlock(u, data, len, &err) == 0) {
        u->due = now + LINGER;
        swki_rpc_call_send(call, (const uint8_t *)"", 0);
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
        swki_loop_wake(u->config.loop);
    } else {
        swki_rpc_call_end(call, (int)swki_status_from_error(err.code),
                          err.text);
    }
}

static void closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    (void)ctx;
    (void)call;
    (void)now;
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_unlocking *u = ctx;

    if (now < u->due) {
        return u->due;
    }
    u->due = SWK_NEVER;
    u->config.unlocked(u->config.ctx);
    return SWK_NEVER;
}

int swki_unlocking_new(const struct swki_unlocking_config *config,
                       struct swki_unlocking **out_unlocking,
                       struct swk_error *err)
{
    struct swki_unlocking *u = swki_calloc(config->alloc, 1, sizeof(*u));
    const struct swki_rpc_server_config server = {
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .transport = config->transport,
        .loop = config->loop,
        .handler = {.ctx = u, .request = request, .closed = closed},
        .request_max = REQUEST_MAX,
    };
    int rc;

    if (u == NULL) {
        return swki_fail_nomem(err);
    }
    u->config = *config;
    u->due = SWK_NEVER;
    swki_list_init(&u->member.link);
    u->member.ctx = u;
    u->member.turn = turn;
    rc = swki_rpc_server_new(&server, &u->server, err);
    if (rc == 0) {
        rc = swki_rpc_server_listen_local(u->server, config->control_path, err);
    }
    if (rc != 0) {
        swki_unlocking_free(u);
        return rc;
    }
    swki_loop_add(config->loop, &u->member);
    *out_unlocking = u;
    return SWK_OK;
}

void swki_unlocking_free(struct swki_unlocking *u)
{
    if (u != NULL) {
        swki_loop_remove(u->config.loop, &u->member);
        swki_rpc_server_free(u->server);
        swki_free(u->config.alloc, u);
    }
}
