/* SPDX-License-Identifier: Apache-2.0 */

/* TLS in memory: two ends back to back, and everything that may go wrong. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "crypto/tls.h"
#include "unit/crypto/pki.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))

enum {
    TURNS_MAX = 200,
};

struct f {
    struct pki pki;
    struct pki foreign;
    struct pki_node manager;
    struct pki_node worker;
    struct pki_node stranger; /* of the foreign authority */
    swk_wall now;
};

/* One end of a connection, with what it has received. */
struct end {
    struct swki_tls *tls;
    struct swki_buf plain;
    int rc; /* of the last feed */
};

struct pair {
    struct swki_tls_context *contexts[2];
    struct end client;
    struct end server;
    struct swki_rng splits;
};

static int set_up(void **state)
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

static int tear_down(void **state)
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

/* The configuration of a side with everything; tests take things away. */
static struct swki_tls_config config_of(struct f *f, enum swki_tls_side side,
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

static void open_pair(struct pair *pair, const struct swki_tls_config *client,
                      const struct swki_tls_config *server, const char *name)
{
    memset(pair, 0, sizeof(*pair));
    swki_rng_init(&pair->splits, 7);
    assert_int_equal(
        swki_tls_context_new(NULL, client, &pair->contexts[0], NULL), 0);
    assert_int_equal(
        swki_tls_context_new(NULL, server, &pair->contexts[1], NULL), 0);
    assert_int_equal(
        swki_tls_new(pair->contexts[0], name, &pair->client.tls, NULL), 0);
    assert_int_equal(
        swki_tls_new(pair->contexts[1], NULL, &pair->server.tls, NULL), 0);
    swki_buf_init(&pair->client.plain, NULL, SIZE_MAX);
    swki_buf_init(&pair->server.plain, NULL, SIZE_MAX);
}

static void close_pair(struct pair *pair)
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

/* Lets both talk until nothing is left to carry. */
static void settle(struct pair *pair)
{
    bool more = true;

    if (!swki_tls_established(pair->client.tls) && pair->client.rc == 0) {
        pair->client.rc = swki_tls_feed(pair->client.tls, NULL, 0,
                                        &pair->client.plain, NULL);
    }
    while (more) {
        more = carry(pair, &pair->client, &pair->server);
        more = carry(pair, &pair->server, &pair->client) || more;
    }
}

static void open_and_settle(struct pair *pair,
                            const struct swki_tls_config *client,
                            const struct swki_tls_config *server,
                            const char *name)
{
    open_pair(pair, client, server, name);
    settle(pair);
}

static void both_ends_learn_who_the_other_is(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct swki_identity peer;
    struct pair pair;

    open_and_settle(&pair, &client, &server, "swarm-manager");
    assert_true(swki_tls_established(pair.client.tls));
    assert_true(swki_tls_established(pair.server.tls));

    assert_int_equal(swki_tls_peer(pair.server.tls, &peer, NULL), 0);
    assert_string_equal(peer.node_id, "w1");
    assert_string_equal(peer.swarm_id, PKI_SWARM);
    assert_int_equal(peer.role, SWKI_ROLE_WORKER);
    assert_true(peer.not_after == PKI_NOW + 90 * DAY);

    assert_int_equal(swki_tls_peer(pair.client.tls, &peer, NULL), 0);
    assert_string_equal(peer.node_id, "m1");
    assert_int_equal(peer.role, SWKI_ROLE_MANAGER);
    close_pair(&pair);
}

static void client_without_certificate_is_let_in_as_nobody(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, NULL);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct swki_identity peer = {.role = 99};
    struct pair pair;

    open_and_settle(&pair, &client, &server, "swarm-ca");
    assert_true(swki_tls_established(pair.server.tls));
    assert_int_equal(swki_tls_peer(pair.server.tls, &peer, NULL),
                     SWK_EUNAUTHENTICATED);
    assert_int_equal(peer.role, 99); /* untouched */
    assert_int_equal(swki_tls_peer(pair.client.tls, &peer, NULL), 0);
    close_pair(&pair);
}

static void client_without_roots_connects_but_knows_nobody(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, NULL);
    struct swki_tls_config server =
        config_of(f, SWKI_TLS_SERVER, &f->stranger);
    struct swki_identity peer;
    struct pair pair;

    client.roots_pem = NULL;
    open_and_settle(&pair, &client, &server, NULL);
    assert_true(swki_tls_established(pair.client.tls));
    assert_int_equal(swki_tls_peer(pair.client.tls, &peer, NULL),
                     SWK_EUNAUTHENTICATED);
    close_pair(&pair);
}

static void server_without_roots_knows_nobody(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct swki_identity peer;
    struct pair pair;

    server.roots_pem = NULL;
    open_and_settle(&pair, &client, &server, NULL);
    assert_true(swki_tls_established(pair.server.tls));
    assert_int_equal(swki_tls_peer(pair.server.tls, &peer, NULL),
                     SWK_EUNAUTHENTICATED);
    close_pair(&pair);
}

static void refused_certificates_fail_both_ends(void **state)
{
    struct f *f = *state;
    static const struct {
        const char *why;
        bool foreign_client;
        bool foreign_server;
        swk_wall later;
        const char *name;
    } cases[] = {
        {"client of a foreign authority", true, false, 0, NULL},
        {"server of a foreign authority", false, true, 0, NULL},
        {"expired", false, false, 91 * DAY, NULL},
        {"not yet valid", false, false, -DAY, NULL},
        {"server of another name", false, false, 0, "swarm-worker"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_tls_config client =
            config_of(f, SWKI_TLS_CLIENT,
                      cases[i].foreign_client ? &f->stranger : &f->worker);
        struct swki_tls_config server =
            config_of(f, SWKI_TLS_SERVER,
                      cases[i].foreign_server ? &f->stranger : &f->manager);
        struct pair pair;

        f->now = PKI_NOW + cases[i].later;
        open_and_settle(&pair, &client, &server, cases[i].name);
        if (pair.client.rc != SWK_EUNAUTHENTICATED ||
            pair.server.rc != SWK_EUNAUTHENTICATED) {
            fail_msg("%s: client %d, server %d", cases[i].why, pair.client.rc,
                     pair.server.rc);
        }
        assert_false(swki_tls_established(pair.client.tls));
        assert_false(swki_tls_established(pair.server.tls));
        close_pair(&pair);
    }
}

/* The client's own clock must not matter to what the server decides. */
static void expired_client_is_refused_by_the_server(void **state)
{
    struct f *f = *state;
    struct f past = {.now = PKI_NOW};
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;

    f->now = PKI_NOW + 91 * DAY;
    client.wall_ctx = &past;
    open_and_settle(&pair, &client, &server, NULL);
    assert_int_equal(pair.server.rc, SWK_EUNAUTHENTICATED);
    assert_int_equal(pair.client.rc, SWK_EUNAUTHENTICATED);
    close_pair(&pair);
}

static void certificate_is_good_to_its_last_second(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;

    f->now = PKI_NOW + 90 * DAY;
    open_and_settle(&pair, &client, &server, "swarm-manager");
    assert_true(swki_tls_established(pair.server.tls));
    close_pair(&pair);
}

static void fill_random(struct swki_rng *rng, struct swki_buf *buf, size_t len)
{
    swki_buf_init(buf, NULL, SIZE_MAX);
    assert_non_null(swki_buf_reserve(buf, len));
    swki_rng_fill(rng, buf->data, len);
    buf->len = len;
}

static void large_transfers_arrive_whole_both_ways(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    static const size_t sizes[] = {1, 16384, 16385, 300000};
    struct swki_buf up;
    struct swki_buf down;
    struct pair pair;

    open_and_settle(&pair, &client, &server, "swarm-manager");
    fill_random(&pair.splits, &up, 400000);
    fill_random(&pair.splits, &down, 400000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        swki_buf_clear(&pair.client.plain);
        swki_buf_clear(&pair.server.plain);
        assert_int_equal(
            swki_tls_write(pair.client.tls, up.data, sizes[i], NULL), 0);
        assert_int_equal(swki_tls_write(pair.client.tls, up.data + sizes[i],
                                        up.len - sizes[i], NULL),
                         0);
        assert_int_equal(
            swki_tls_write(pair.server.tls, down.data, down.len, NULL), 0);
        settle(&pair);
        assert_int_equal(pair.server.plain.len, up.len);
        assert_memory_equal(pair.server.plain.data, up.data, up.len);
        assert_int_equal(pair.client.plain.len, down.len);
        assert_memory_equal(pair.client.plain.data, down.data, down.len);
    }
    swki_buf_fini(&up);
    swki_buf_fini(&down);
    close_pair(&pair);
}

static void write_before_the_handshake_is_an_error(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;

    open_pair(&pair, &client, &server, NULL);
    assert_int_equal(swki_tls_write(pair.client.tls, "x", 1, NULL),
                     SWK_EINVAL);
    settle(&pair);
    assert_int_equal(swki_tls_write(pair.client.tls, "x", 1, NULL), 0);
    close_pair(&pair);
}

static void orderly_end_comes_after_the_last_bytes(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;

    open_and_settle(&pair, &client, &server, NULL);
    assert_int_equal(swki_tls_write(pair.client.tls, "bye", 3, NULL), 0);
    swki_tls_shutdown(pair.client.tls);
    settle(&pair);
    assert_int_equal(pair.server.rc, SWK_EIO);
    assert_int_equal(pair.server.plain.len, 3);
    assert_int_equal(swki_tls_write(pair.server.tls, "x", 1, NULL), SWK_EIO);
    close_pair(&pair);
}

static void garbage_is_malformed(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;
    static const char request[] = "GET / HTTP/1.1\r\nHost: swarm\r\n\r\n";

    open_pair(&pair, &client, &server, NULL);
    assert_int_equal(swki_tls_feed(pair.server.tls, request,
                                   sizeof(request) - 1, &pair.server.plain,
                                   NULL),
                     SWK_EMALFORMED);
    assert_int_equal(swki_tls_feed(pair.server.tls, request, 1,
                                   &pair.server.plain, NULL),
                     SWK_EMALFORMED);
    assert_int_equal(pair.server.plain.len, 0);
    close_pair(&pair);
}

static void damage_to_a_record_ends_the_connection(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;
    struct swki_buf *output;

    open_and_settle(&pair, &client, &server, NULL);
    assert_int_equal(swki_tls_write(pair.client.tls, "hello", 5, NULL), 0);
    output = swki_tls_output(pair.client.tls);
    output->data[output->len - 1] ^= 1;
    settle(&pair);
    assert_int_equal(pair.server.rc, SWK_EMALFORMED);
    assert_int_equal(pair.server.plain.len, 0);
    close_pair(&pair);
}

/* Every prefix of a handshake with one byte changed must end, not hang. */
static void mutated_handshakes_never_establish_a_peer(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct swki_identity peer;

    for (unsigned i = 0; i < 40; i++) {
        struct swki_buf *output;
        struct pair pair;

        open_pair(&pair, &client, &server, NULL);
        swki_rng_init(&pair.splits, i);
        pair.client.rc = swki_tls_feed(pair.client.tls, NULL, 0,
                                       &pair.client.plain, NULL);
        output = swki_tls_output(pair.client.tls);
        /* The record's version byte is ignored by design; spare it. */
        output->data[5 + swki_rng_below(&pair.splits, output->len - 5)] ^=
            (uint8_t)(1 + swki_rng_below(&pair.splits, 255));
        settle(&pair);
        assert_int_not_equal(swki_tls_peer(pair.server.tls, &peer, NULL), 0);
        close_pair(&pair);
    }
}

static void context_refuses_what_cannot_work(void **state)
{
    struct f *f = *state;
    static const struct {
        const char *why;
        int rc;
    } cases[] = {
        {"server without certificate", SWK_EINVAL},
        {"certificate without key", SWK_EINVAL},
        {"key of another", SWK_EINVAL},
        {"roots that are no certificates", SWK_EMALFORMED},
        {"no clock", SWK_EINVAL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_tls_config config =
            config_of(f, SWKI_TLS_SERVER, i == 0 ? NULL : &f->manager);
        struct swki_tls_context *context = NULL;
        struct swk_error err = {0};
        int rc;

        config.key_pem = i == 1 ? NULL : config.key_pem;
        config.key_pem = i == 2 ? pki_text(&f->worker.key) : config.key_pem;
        config.roots_pem = i == 3 ? "hello" : config.roots_pem;
        config.wall = i == 4 ? NULL : config.wall;
        rc = swki_tls_context_new(NULL, &config, &context, &err);
        if (rc != cases[i].rc || context != NULL || err.text[0] == '\0') {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

/* A rotation: the old context lives on with the connections made from it. */
static void connection_outlives_its_owner_s_context(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pair pair;

    open_pair(&pair, &client, &server, NULL);
    swki_tls_context_unref(pair.contexts[0]);
    swki_tls_context_unref(pair.contexts[1]);
    pair.contexts[0] = NULL;
    pair.contexts[1] = NULL;
    settle(&pair);
    assert_true(swki_tls_established(pair.client.tls));
    assert_int_equal(swki_tls_write(pair.client.tls, "still", 5, NULL), 0);
    settle(&pair);
    assert_int_equal(pair.server.plain.len, 5);
    close_pair(&pair);
}

/* In a rotation of roots, a leaf of the new one comes with a cross certificate
 * that the old one signed. */
static void cross_certificate_leads_to_the_old_root(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server =
        config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct pki_node moved;
    struct pair pair;

    pki_node_init(&f->foreign, &moved, "m1", SWKI_ROLE_MANAGER);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&f->foreign.root),
                                            &moved.chain, NULL),
                     0);
    pki_end(&moved.chain);
    server.chain_pem = pki_text(&moved.chain);
    server.key_pem = pki_text(&moved.key);
    open_and_settle(&pair, &client, &server, "swarm-manager");
    assert_true(swki_tls_established(pair.client.tls));
    close_pair(&pair);
    pki_node_fini(&moved);
}

static void received_plaintext_is_bounded_by_its_buffer(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    static const uint8_t big[5000];
    struct pair pair;

    open_and_settle(&pair, &client, &server, NULL);
    pair.server.plain.limit = 4999;
    assert_int_equal(swki_tls_write(pair.client.tls, big, sizeof(big), NULL),
                     0);
    settle(&pair);
    assert_int_equal(pair.server.rc, SWK_ELIMIT);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_learn_who_the_other_is,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            client_without_certificate_is_let_in_as_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            client_without_roots_connects_but_knows_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(server_without_roots_knows_nobody,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_certificates_fail_both_ends,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            expired_client_is_refused_by_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificate_is_good_to_its_last_second,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_transfers_arrive_whole_both_ways,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_before_the_handshake_is_an_error,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(orderly_end_comes_after_the_last_bytes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_is_malformed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(damage_to_a_record_ends_the_connection,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            mutated_handshakes_never_establish_a_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(context_refuses_what_cannot_work,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            connection_outlives_its_owner_s_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            cross_certificate_leads_to_the_old_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            received_plaintext_is_bounded_by_its_buffer, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
