/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Feeds any bytes to an RPC connection, as a server and as a client with open
 * calls. The first byte chooses the side and how the bytes are split; what is
 * asked for is answered, so that the sending half runs too.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/frame.h"
#include "wire/rpc_connection.h"

enum {
    CALLS = 3,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void react(struct swki_rpc_connection *c,
                  const struct swki_rpc_event *event)
{
    uint32_t stream = event->stream;
    size_t len = event->len;

    switch (event->kind) {
    case SWKI_RPC_MESSAGE:
        if (swki_rpc_connection_send(c, stream, event->data, len, NULL) != 0) {
            swki_rpc_connection_reset(c, stream);
        }
        swki_rpc_connection_consumed(c, stream, len);
        break;
    case SWKI_RPC_FINISHED:
        swki_rpc_connection_end(c, stream, 3, "enough");
        break;
    case SWKI_RPC_READY:
    case SWKI_RPC_CALL:
    case SWKI_RPC_ENDED:
    case SWKI_RPC_GOAWAY:
        break;
    }
}

/* 0, or the reason for which the connection is over. */
static int feed(struct swki_rpc_connection *c, swk_time now,
                const uint8_t *data, size_t len)
{
    struct swki_rpc_event event;
    int rc;

    while ((rc = swki_rpc_connection_step(c, now, &data, &len, &event,
                                          NULL)) == 1) {
        react(c, &event);
    }
    if (rc == 0) {
        struct swki_buf *out = swki_rpc_connection_output(c);

        swki_buf_consume(out, out->len);
        while ((rc = swki_rpc_connection_expire(c, now, &event, NULL)) == 1) {
        }
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct swki_rpc_header header = {.path = "/a.B/C", .timeout_ns = 90};
    struct swki_rpc_connection_config config = {.window = 512,
                                                .message_max = 4096};
    struct swki_rpc_connection *c;
    swk_time now = 1;
    size_t part;
    uint32_t stream;

    if (size == 0) {
        return 0;
    }
    config.side = (data[0] & 1) != 0 ? SWKI_RPC_SERVER : SWKI_RPC_CLIENT;
    part = (size_t)(data[0] >> 1) + 1;
    if (swki_rpc_connection_new(&config, now, &c, NULL) != 0) {
        abort();
    }
    for (int i = 0; i < CALLS && config.side == SWKI_RPC_CLIENT; i++) {
        if (swki_rpc_connection_open(c, now, &header, NULL, &stream, NULL) !=
            0) {
            abort();
        }
    }
    for (size_t at = 1; at < size; at += part) {
        size_t left = size - at;

        if (feed(c, now, data + at, left < part ? left : part) != 0) {
            break;
        }
        now += 3;
    }
    swki_rpc_connection_free(c);
    return 0;
}
