/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One call to a manager that is waited for, on a loop of its own: for a node
 * that has no loop yet.
 */

#ifndef SWKI_NODE_EXCHANGE_H
#define SWKI_NODE_EXCHANGE_H

#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/transport.h>

#include "base/arena.h"
#include "crypto/tls.h"
#include "wire/message.h"

struct swki_exchange {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_transport *transport;
    const char *address; /* "tcp://HOST:PORT" */
    struct swki_tls_context *context;
    const char *server_name; /* NULL for no check */
    const char *path;
    const ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *response; /* its type */
    swk_time timeout_ns;
    swk_time connect_ns; /* to connect and shake hands */
};

/* Calls, and decodes the answer into the arena. Blocks. */
int swki_exchange(const struct swki_exchange *exchange,
                  struct swki_arena *arena, ProtobufCMessage **out_response,
                  struct swk_error *err);

#endif
