/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of calls: their messages, who may make them, who serves them.
 *
 * Dispatch, authorization, forwarding and metrics all read this one table.
 * Since it names the messages of every call, a program that links it links the
 * whole schema; a client of a few calls takes method_paths.h and names its own
 * messages.
 */

#ifndef SWKI_WIRE_METHODS_H
#define SWKI_WIRE_METHODS_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "base/roles.h"
#include "wire/method_paths.h"

/* How many messages go which way. */
enum swki_method_kind {
    SWKI_METHOD_UNARY,
    SWKI_METHOD_SERVER_STREAM, /* one request, many responses */
    SWKI_METHOD_CLIENT_STREAM, /* many requests, one response */
    SWKI_METHOD_BOTH_STREAM,
};

/* Which manager answers a call that arrives at any of them. */
enum swki_served {
    SWKI_SERVED_NOT,    /* refused as UNIMPLEMENTED */
    SWKI_SERVED_LEADER, /* forwarded, unless this is the leader */
    SWKI_SERVED_HERE,
};

/* Flags of swki_method.flags. */
enum {
    SWKI_CALL_READ_ONLY = 1 << 0, /* changes nothing that is stored */
    /* Made twice, it does what it does made once: a client whose connection
     * broke may just make it again. All that read only are so. */
    SWKI_CALL_IDEMPOTENT = 1 << 1,
};

struct swki_method {
    const char *path;    /* "/docker.swarmkit.v1.Control/GetNode" */
    const char *service; /* "Control" */
    const char *name;    /* "GetNode" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    enum swki_method_kind kind;
    uint32_t roles; /* enum swki_role, any of which will do; 0: anyone */
    enum swki_served remote; /* for calls from the network */
    enum swki_served local;  /* for calls through the control socket */
    uint32_t flags;          /* SWKI_CALL_* */
};

/* NULL for a number that is none, 0 among them. */
const struct swki_method *swki_method_by_number(uint32_t number);

/* NULL if there is no such path; path needs no NUL. */
const struct swki_method *swki_method_by_path(const char *path,
                                              size_t path_len);

uint32_t swki_method_number(const struct swki_method *method);

/* Whether a peer with that role (enum swki_role, SWKI_ROLE_NONE without a
 * certificate) may make the call through the network. */
bool swki_method_permits(const struct swki_method *method, uint32_t role);

#endif
