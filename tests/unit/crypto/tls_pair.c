/* SPDX-License-Identifier: Apache-2.0 */

#include "unit/crypto/tls_pair.h"

#include "lib/cmocka_all.h"

#include <stdlib.h>

int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 1);
    pki_init(&f->foreign, 2);
    pki_node_init(&f->pki, &f->manager, "m1", SWKI_ROLE_MANAGER);
    pki_node_init(&f->pki, &f->worker, "w1", SWKI_ROLE_WORKER);
    pki_node_init(&f->foreign, &f->stranger, "w1", SWKI_ROLE_WORKER);
    f->now = PKI_NOW;
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct f *f = *state;

    pki_node_fini(&f->stranger);
    pki_node_fini(&f->worker);
    pki_node_fini(&f->manager);
    pki_fini(&f->foreign);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static swk_wall wall(void *ctx)
{
    const struct f *f = ctx;

    return f->now;
}

struct swki_tls_config config_of(struct f *f, enum swki_tls_side side,
                                 const struct pki_node *node)
{
    return (struct swki_tls_config){
        .side = side,
        .chain_pem = node != NULL ? pki_text(&node->chain) : NULL,
        .key_pem = node != NULL ? pki_text(&node->key) : NULL,
        .roots_pem = pki_text(&f->pki.root),
        .entropy = f->pki.entropy.fill,
        .entropy_ctx = f->pki.entropy.ctx,
        .wall = wall,
        .wall_ctx = f,
    };
}

void open_pair(struct pair *pair, const struct swki_tls_config *client,
               const struct swki_tls_config *server, const char *name)
{
    struct swki_tls_context *contexts[2];

    assert_int_equal(swki_tls_context_new(NULL, client, &contexts[0], NULL), 0);
    assert_int_equal(swki_tls_context_new(NULL, server, &contexts[1], NULL), 0);
    open_pair_with(pair, contexts[0], contexts[1], name);
    swki_tls_context_unref(contexts[0]);
    swki_tls_context_unref(contexts[1]);
}

void open_pair_with(struct pair *pair, struct swki_tls_context *client,
                    struct swki_tls_context *server, const char *name)
{
    memset(pair, 0, sizeof(*pair));
    swki_rng_init(&pair->splits, 7);
    pair->contexts[0] = swki_tls_context_ref(client);
    pair->contexts[1] = swki_tls_context_ref(server);
    assert_int_equal(
        swki_tls_new(pair->contexts[0], name, &pair->client.tls, NULL), 0);
    assert_int_equal(
        swki_tls_new(pair->contexts[1], NULL, &pair->server.tls, NULL), 0);
    swki_buf_init(&pair->client.plain, NULL, SIZE_MAX);
    swki_buf_init(&pair->server.plain, NULL, SIZE_MAX);
}

void close_pair(struct pair *pair)
{
    swki_tls_free(pair->client.tls);
    swki_tls_free(pair->server.tls);
    swki_buf_fini(&pair->client.plain);
    swki_buf_fini(&pair->server.plain);
    swki_tls_context_unref(pair->contexts[0]);
    swki_tls_context_unref(pair->contexts[1]);
}

/* Carries a random part of what waits; true if there was something. */
static bool carry(struct pair *pair, struct end *from, struct end *to)
{
    struct swki_buf *output = swki_tls_output(from->tls);
    size_t len = output->len;

    if (len == 0) {
        return false;
    }
    if (len > 1) {
        len = 1 + (size_t)swki_rng_below(&pair->splits, len);
    }
    if (to->rc == 0) {
        to->rc = swki_tls_feed(to->tls, output->data, len, &to->plain, NULL);
    }
    swki_buf_consume(output, len);
    return true;
}

void settle(struct pair *pair)
{
    bool more = true;

    if (!swki_tls_established(pair->client.tls) && pair->client.rc == 0) {
        pair->client.rc =
            swki_tls_feed(pair->client.tls, NULL, 0, &pair->client.plain, NULL);
    }
    while (more) {
        more = carry(pair, &pair->client, &pair->server);
        more = carry(pair, &pair->server, &pair->client) || more;
    }
}

void open_and_settle(struct pair *pair, const struct swki_tls_config *client,
                     const struct swki_tls_config *server, const char *name)
{
    open_pair(pair, client, server, name);
    settle(pair);
}
