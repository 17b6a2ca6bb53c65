/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One unary call to a manager, whichever it is, over a connection of its own.
 *
 * Threads: the loop's.
 */

#ifndef SWKI_NODE_ASK_H
#define SWKI_NODE_ASK_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/transport.h>

#include "node/identity/credentials.h"
#include "node/identity/remotes.h"
#include "runtime/loop/loop.h"
#include "wire/message.h"

/* What asking takes; outlives every question. */
struct swki_asker {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_transport *transport;
    struct swki_loop *loop;
    const struct swki_credentials *credentials; /* shown to the manager */
    struct swki_remotes *remotes;               /* to be tried in turn */
    /* This manager's own control socket, to be asked by one that has no
     * certificate, and knows no other manager; NULL for none. */
    const char *local_path;
};

/* As whom to ask, and whom to believe. */
enum swki_ask_as {
    SWKI_ASK_AS_NODE,   /* with the certificate; a manager */
    SWKI_ASK_AS_NOBODY, /* without; the CA of the swarm */
    SWKI_ASK_ANYBODY,   /* without, but oneself; what is said is not to be
                           believed */
};

struct swki_ask_question {
    const char *path;
    const ProtobufCMessage *request; /* borrowed for the call */
    swk_time timeout_ns;
    enum swki_ask_as as;
};

/* failure->code is 0 if data holds the answer, borrowed for the call. The
 * question may be freed in it. */
typedef void (*swki_ask_done_fn)(void *ctx, const struct swk_error *failure,
                                 const uint8_t *data, size_t len, swk_time now);

struct swki_ask;

/* Begins to ask the next manager in turn; done() is called once, unless it is
 * freed before. SWK_EUNAVAILABLE if no manager is known that could say. */
int swki_ask_new(const struct swki_asker *asker,
                 const struct swki_ask_question *question,
                 swki_ask_done_fn done, void *ctx, struct swki_ask **out_ask,
                 struct swk_error *err);
void swki_ask_free(struct swki_ask *ask);

/* The manager that is asked: "host:port". */
const char *swki_ask_address(const struct swki_ask *ask);

/* When it was begun. */
swk_time swki_ask_started(const struct swki_ask *ask);

#endif
