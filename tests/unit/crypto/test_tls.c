/* SPDX-License-Identifier: Apache-2.0 */

/* TLS in memory: two ends back to back, and everything that may go wrong. */

#include "lib/cmocka_all.h"

#include "unit/crypto/tls_pair.h"

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
