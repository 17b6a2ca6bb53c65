/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls as a core machine sees them: who asks for what, and what is answered.
 *
 * A machine that serves calls is given each request, decoded, with a number for
 * the call, and appends answers to a list. Whoever runs the machine sends them.
 */

#ifndef SWKI_WIRE_SERVICE_H
#define SWKI_WIRE_SERVICE_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include <swarmkit/error.h>

#include "base/arena.h"
#include "wire/status.h"

/* Who calls. Strings are never NULL. */
struct swki_caller {
    const char *node_id;  /* of the verified certificate, or "" */
    const char *swarm_id; /* of the verified certificate, or "" */
    uint32_t role;        /* enum swki_role; SWKI_ROLE_NONE without certificate */
    bool local;           /* through the control socket: the administrator */
    const char *address;  /* "192.0.2.1:53211", or "" */
    const char *request_id; /* by which a retry is recognised, or "" */
    /* The manager that passed the call on, and answers for who made it; or "". */
    const char *forwarded_by;
    int64_t uid; /* of the process behind the control socket */
    int64_t pid; /* and its number; not more than 0: unknown, both */
};

struct swki_call {
    uint64_t id;      /* unique among open calls of the machine */
    const char *path; /* "/docker.swarmkit.v1.Control/GetNode" */
    const struct swki_caller *caller;
    const ProtobufCMessage *request; /* decoded and valid; for the call only */
};

/* One answer: a message, the end of the call, or both. */
struct swki_answer {
    struct swki_answer *next;
    uint64_t call_id;
    uint8_t *message; /* encoded; NULL for none */
    size_t message_len;
    bool end;                /* the call is over */
    enum swki_status status; /* with end */
    const char *text;        /* with end; never NULL */
    /* Hold back until the store has committed this index; 0: send at once. If
     * leadership is lost first, the call ends with UNAVAILABLE instead. */
    uint64_t index;
};

/* Answers in order; their memory is the list's. */
struct swki_answers {
    struct swki_arena arena;
    struct swki_answer *first;
    struct swki_answer **last;
    bool failed; /* an answer was lost for want of memory */
};

void swki_answers_init(struct swki_answers *answers,
                       const struct swk_alloc *alloc);
void swki_answers_fini(struct swki_answers *answers);
void swki_answers_reset(struct swki_answers *answers);

/* A unary call's reply: message and end with OK, once index is committed. */
void swki_answer_reply(struct swki_answers *answers, uint64_t call_id,
                       const ProtobufCMessage *message, uint64_t index);

/* A message on a stream. */
void swki_answer_send(struct swki_answers *answers, uint64_t call_id,
                      const ProtobufCMessage *message);

/* The end of a call. */
void swki_answer_end(struct swki_answers *answers, uint64_t call_id,
                     enum swki_status status, const char *text);

/* The end of a call with the status that fits err->code. */
void swki_answer_fail(struct swki_answers *answers, uint64_t call_id,
                      const struct swk_error *err);

#endif
