/* SPDX-License-Identifier: Apache-2.0 */

/* A server in a thread of its own, and clients driven by the test. */

#ifndef TESTS_INTEGRATION_RPC_FIXTURE_H
#define TESTS_INTEGRATION_RPC_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include <swarmkit/nng_transport.h>

#include "node/rpc/client.h"
#include "node/rpc/server.h"
#include "unit/crypto/pki.h"

struct f {
    struct pki pki;
    struct pki_node manager;
    struct pki_node worker;
    struct swki_tls_context *server_context;
    struct swki_tls_context *worker_context;
    struct swki_tls_context *anonymous_context;
    swk_nng_transport *transport;
    struct swki_loop *server_loop;
    struct swki_rpc_server *server;
    struct swki_rpc_server_config server_config;
    pthread_t thread;
    struct swki_loop *loop; /* the clients' */
    int port;
    char address[64];
    char dir[64];
    char path[96];
    atomic_uint closed; /* calls that the server's handler saw end */
    atomic_uint open;
    size_t collected; /* the server's: bytes of a client's stream */
    /* Done on the server's thread at its next message. */
    struct swki_message errand;
    const char *drop_node;
};

void set_up(struct f *f);
/* The same with other limits: config is changed between the two. */
void set_up_begin(struct f *f);
void set_up_end(struct f *f);
void tear_down(struct f *f);

struct swki_tls_context *make_context(struct pki *pki,
                                      const struct pki_node *node,
                                      enum swki_tls_side side);

/* What a client, and its last call, were told. */
struct client {
    struct f *f;
    struct swki_rpc_client *client;
    unsigned connected;
    unsigned disconnected;
    struct swk_error reason;
};

struct call {
    struct client *client;
    unsigned messages;
    size_t bytes;
    struct swki_buf last;
    unsigned ended;
    int status;
    char text[256];
};

void client_open(struct f *f, struct client *client, const char *address,
                 struct swki_tls_context *context);
void client_close(struct client *client);
void call_start(struct client *client, struct call *call, const char *path,
                const void *request, size_t len, swk_time timeout_ns);
/* A call whose messages the test sends itself. */
void call_open(struct client *client, struct call *call, const char *path);
void call_fini(struct call *call);
/* Turns the clients' loop until *value >= least; fails after 10 s. */
void run_until(struct f *f, const unsigned *value, unsigned least);
/* Turns it for as long as the atomic is below least. */
void run_until_server(struct f *f, atomic_uint *value, unsigned least);
unsigned open_descriptors(void);

#endif
