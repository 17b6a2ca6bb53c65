/* SPDX-License-Identifier: Apache-2.0 */

/* What a handshake costs, in memory, both ends together on one thread: mutual
 * TLS with P-256, anew and with a session that is taken up. One line each. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <swarmkit/posix.h>

#include "crypto/tls.h"
#include "unit/crypto/pki.h"

#define SERVER "192.0.2.1:4242"

enum {
    ROUNDS = 9, /* of which the median counts */
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static swk_wall wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW + (swk_wall)SWK_HOUR;
}

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static struct swki_tls_context *
make(struct pki *pki, const struct pki_node *node, enum swki_tls_side side)
{
    const struct swki_tls_config config = {
        .side = side,
        .chain_pem = pki_text(&node->chain),
        .key_pem = pki_text(&node->key),
        .roots_pem = pki_text(&pki->root),
        .entropy = swk_posix_entropy()->fill,
        .entropy_ctx = swk_posix_entropy()->ctx,
        .wall = wall,
        .sessions_max = side == SWKI_TLS_CLIENT ? 1 : 0,
    };
    struct swki_tls_context *context;

    require(swki_tls_context_new(NULL, &config, &context, NULL) == 0);
    return context;
}

/* How many bytes went over the wire. */
static size_t carry(struct swki_tls *from, struct swki_tls *to,
                    struct swki_buf *plain)
{
    struct swki_buf *output = swki_tls_output(from);
    size_t len = output->len;

    require(swki_tls_feed(to, output->data, len, plain, NULL) == 0);
    swki_buf_consume(output, len);
    return len;
}

struct ends {
    struct swki_tls *client;
    struct swki_tls *server;
};

/* One handshake, which takes up a session if there is one; how many bytes went
 * over the wire. */
static size_t shake_hands(struct swki_tls_context *contexts[2],
                          const char *session, bool *out_resumed)
{
    struct swki_buf plain;
    struct ends ends;
    size_t bytes = 0;

    swki_buf_init(&plain, NULL, SIZE_MAX);
    require(swki_tls_new(contexts[0], "swarm-manager", &ends.client, NULL) ==
            0);
    require(swki_tls_new(contexts[1], NULL, &ends.server, NULL) == 0);
    if (session != NULL) {
        swki_tls_resume(ends.client, session);
    }
    require(swki_tls_feed(ends.client, NULL, 0, &plain, NULL) == 0);
    for (size_t len = 1; len > 0; bytes += len) {
        len = carry(ends.client, ends.server, &plain);
        len += carry(ends.server, ends.client, &plain);
    }
    require(swki_tls_established(ends.client) &&
            swki_tls_established(ends.server));
    *out_resumed = swki_tls_resumed(ends.server);
    swki_tls_free(ends.client);
    swki_tls_free(ends.server);
    swki_buf_fini(&plain);
    return bytes;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void measure(struct swki_tls_context *contexts[2], const char *what,
                    const char *session, unsigned count)
{
    double rates[ROUNDS];
    size_t bytes = 0;
    bool resumed;

    shake_hands(contexts, session, &resumed); /* fetches the session */
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = seconds();

        for (unsigned i = 0; i < count; i++) {
            bytes = shake_hands(contexts, session, &resumed);
            require(resumed == (session != NULL));
        }
        rates[round] = count / (seconds() - start);
    }
    qsort(rates, ROUNDS, sizeof(rates[0]), compare);
    printf("tls handshakes %s, both ends on one thread: %.0f /s (%.2f ms, %zu "
           "bytes)\n",
           what, rates[ROUNDS / 2], 1e3 / rates[ROUNDS / 2], bytes);
}

int main(void)
{
    struct swki_tls_context *contexts[2];
    struct pki_node manager;
    struct pki_node worker;
    struct pki pki;

    pki_init(&pki, 1);
    pki_node_init(&pki, &manager, "m1", SWKI_ROLE_MANAGER);
    pki_node_init(&pki, &worker, "w1", SWKI_ROLE_WORKER);
    contexts[0] = make(&pki, &worker, SWKI_TLS_CLIENT);
    contexts[1] = make(&pki, &manager, SWKI_TLS_SERVER);
    measure(contexts, "anew", NULL, 20);
    measure(contexts, "taken up", SERVER, 400);
    swki_tls_context_unref(contexts[0]);
    swki_tls_context_unref(contexts[1]);
    pki_node_fini(&manager);
    pki_node_fini(&worker);
    pki_fini(&pki);
    return 0;
}
