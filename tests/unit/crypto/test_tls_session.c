/* SPDX-License-Identifier: Apache-2.0 */

/* Sessions that are taken up again, and those that must not be. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "unit/crypto/tls_pair.h"

#define MINUTE ((swk_wall)(60 * SWK_SECOND))
#define YEAR (365 * DAY)
#define SERVER "192.0.2.1:4242"

enum {
    FULL = false,
    RESUMED = true,
};

/* Contexts of both sides that remember, of a worker and a manager. */
struct sides {
    struct swki_tls_context *client;
    struct swki_tls_context *server;
};

static struct swki_tls_context *make(const struct swki_tls_config *config)
{
    struct swki_tls_context *context;

    assert_int_equal(swki_tls_context_new(NULL, config, &context, NULL), 0);
    return context;
}

static struct swki_tls_config client_of(struct f *f,
                                        const struct pki_node *node)
{
    struct swki_tls_config config = config_of(f, SWKI_TLS_CLIENT, node);

    config.sessions_max = 4;
    return config;
}

static struct sides make_sides(struct f *f)
{
    struct swki_tls_config client = client_of(f, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);

    return (struct sides){make(&client), make(&server)};
}

static void free_sides(struct sides *sides)
{
    swki_tls_context_unref(sides->client);
    swki_tls_context_unref(sides->server);
}

static void dial(struct pair *pair, const struct sides *sides,
                 const char *expected, const char *server)
{
    open_pair_with(pair, sides->client, sides->server, expected);
    swki_tls_resume(pair->client.tls, server);
    settle(pair);
}

static bool both_resumed(const struct pair *pair)
{
    bool resumed = swki_tls_resumed(pair->client.tls);

    assert_true(swki_tls_established(pair->client.tls));
    assert_true(swki_tls_established(pair->server.tls));
    assert_true(resumed == swki_tls_resumed(pair->server.tls));
    return resumed;
}

/* Connects, and says whether a session was taken up. */
static bool reconnect(const struct sides *sides)
{
    struct pair pair;
    bool resumed;

    dial(&pair, sides, "swarm-manager", SERVER);
    resumed = both_resumed(&pair);
    close_pair(&pair);
    return resumed;
}

/* Connects; neither end may come to be established. */
static void reconnect_in_vain(const struct sides *sides)
{
    struct pair pair;

    dial(&pair, sides, "swarm-manager", SERVER);
    assert_false(swki_tls_established(pair.server.tls));
    assert_int_equal(pair.server.rc, SWK_EUNAUTHENTICATED);
    close_pair(&pair);
}

static void both_ends_know_each_other_after_a_resumption(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    struct swki_identity peer;
    struct pair pair;

    assert_int_equal(reconnect(&sides), FULL);
    for (unsigned i = 0; i < 3; i++) {
        dial(&pair, &sides, "swarm-manager", SERVER);
        assert_int_equal(both_resumed(&pair), RESUMED);
        assert_int_equal(swki_tls_peer(pair.server.tls, &peer, NULL), 0);
        assert_string_equal(peer.node_id, "w1");
        assert_string_equal(peer.swarm_id, PKI_SWARM);
        assert_int_equal(peer.role, SWKI_ROLE_WORKER);
        assert_true(peer.not_after == PKI_NOW + 90 * DAY);
        assert_int_equal(swki_tls_peer(pair.client.tls, &peer, NULL), 0);
        assert_string_equal(peer.node_id, "m1");
        assert_int_equal(peer.role, SWKI_ROLE_MANAGER);
        assert_int_equal(swki_tls_write(pair.client.tls, "hello", 5, NULL), 0);
        settle(&pair);
        assert_int_equal(pair.server.plain.len, 5);
        close_pair(&pair);
    }
    free_sides(&sides);
}

/* A renewal, or other roots. */
static void another_context_of_the_server_ends_sessions(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);

    assert_int_equal(reconnect(&sides), FULL);
    swki_tls_context_unref(sides.server);
    sides.server = make(&server);
    assert_int_equal(reconnect(&sides), FULL);
    assert_int_equal(reconnect(&sides), RESUMED); /* its own */
    free_sides(&sides);
}

static void other_roots_of_the_server_end_what_they_do_not_trust(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);

    assert_int_equal(reconnect(&sides), FULL);
    server.roots_pem = pki_text(&f->foreign.root);
    swki_tls_context_unref(sides.server);
    sides.server = make(&server);
    reconnect_in_vain(&sides);
    free_sides(&sides);
}

static void another_context_of_the_client_has_no_sessions(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    struct swki_tls_config client = client_of(f, &f->worker);

    assert_int_equal(reconnect(&sides), FULL);
    swki_tls_context_unref(sides.client);
    sides.client = make(&client);
    assert_int_equal(reconnect(&sides), FULL);
    free_sides(&sides);
}

static void session_ends_after_an_hour(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);

    assert_int_equal(reconnect(&sides), FULL);
    f->now += 59 * MINUTE;
    assert_int_equal(reconnect(&sides), RESUMED); /* prolongs nothing */
    f->now += 2 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    assert_int_equal(reconnect(&sides), RESUMED);
    free_sides(&sides);
}

/* The server judges by itself, whatever the client's clock says. */
static void server_takes_no_ticket_that_has_ended(void **state)
{
    struct f *f = *state;
    struct f client_time = {.now = PKI_NOW};
    struct swki_tls_config client = client_of(f, &f->worker);
    struct sides sides = make_sides(f);

    swki_tls_context_unref(sides.client);
    client.wall_ctx = &client_time;
    sides.client = make(&client);
    assert_int_equal(reconnect(&sides), FULL);
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now += 61 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    f->now = PKI_NOW - MINUTE; /* made in the future */
    assert_int_equal(reconnect(&sides), FULL);
    free_sides(&sides);
}

static void expired_certificate_of_the_client_does_not_resume(void **state)
{
    struct f *f = *state;
    struct f client_time = {.now = PKI_NOW + 89 * DAY};
    struct swki_tls_config client = client_of(f, &f->worker);
    struct sides sides = make_sides(f);

    swki_tls_context_unref(sides.client);
    client.wall_ctx = &client_time;
    sides.client = make(&client);
    f->now = PKI_NOW + 90 * DAY - 10 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    f->now += 9 * MINUTE;
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now += 2 * MINUTE;
    reconnect_in_vain(&sides);
    free_sides(&sides);
}

static void expired_certificate_of_the_server_does_not_resume(void **state)
{
    struct f *f = *state;
    struct f server_time = {.now = PKI_NOW};
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct sides sides = make_sides(f);
    struct pair pair;

    swki_tls_context_unref(sides.server);
    server.wall_ctx = &server_time;
    sides.server = make(&server);
    f->now = PKI_NOW + 90 * DAY - 10 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now += 11 * MINUTE;
    dial(&pair, &sides, "swarm-manager", SERVER);
    assert_false(swki_tls_established(pair.client.tls));
    assert_int_equal(pair.client.rc, SWK_EUNAUTHENTICATED);
    close_pair(&pair);
    free_sides(&sides);
}

/* A node whose certificate outlives the root by which it is trusted. */
static void expired_root_ends_sessions(void **state)
{
    struct f *f = *state;
    struct f client_time = {.now = PKI_NOW};
    struct swki_tls_config client = client_of(f, &f->worker);
    struct swki_tls_config server;
    const struct swki_leaf leaf = {
        .node_id = "w1",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = (uint64_t)(30 * YEAR),
    };
    struct swki_certificate_info root;
    struct pki_node old;
    struct swki_buf csr;
    struct sides sides;

    pki_request(&f->pki, &old.key, &csr);
    swki_buf_init(&old.chain, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                       &leaf, &old.chain, NULL),
                     0);
    pki_end(&old.chain);
    swki_buf_fini(&csr);
    assert_int_equal(swki_certificate_info_init(
                         &root, NULL, swki_pem_of_buf(&f->pki.root), NULL),
                     0);
    client.chain_pem = pki_text(&old.chain);
    client.key_pem = pki_text(&old.key);
    client.wall_ctx = &client_time;
    server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    sides = (struct sides){make(&client), make(&server)};
    f->now = root.not_after - 10 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now = root.not_after + (swk_wall)SWK_SECOND;
    reconnect_in_vain(&sides);
    free_sides(&sides);
    swki_certificate_info_fini(&root);
    pki_node_fini(&old);
}

/* The key of tickets changes each hour; what the last one sealed is good
 * still. */
static void ticket_outlives_the_change_of_keys(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    struct sides other = sides;
    struct swki_tls_config client = client_of(f, &f->worker);

    other.client = make(&client);
    assert_int_equal(reconnect(&other), FULL); /* the first key */
    f->now += 50 * MINUTE;
    assert_int_equal(reconnect(&sides), FULL);
    f->now += 20 * MINUTE;
    assert_int_equal(reconnect(&other), FULL); /* the second key */
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now += 30 * MINUTE;
    assert_int_equal(reconnect(&sides), RESUMED);
    f->now += 31 * MINUTE;
    assert_int_equal(reconnect(&other), FULL); /* the third */
    assert_int_equal(reconnect(&sides), FULL);
    swki_tls_context_unref(other.client);
    free_sides(&sides);
}

static void sessions_are_kept_by_server_and_its_expected_name(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    static const struct {
        const char *expected;
        const char *server;
    } others[] = {
        {"swarm-manager", "192.0.2.2:4242"},
        {"swarm-ca", SERVER},
        {NULL, SERVER},
    };

    assert_int_equal(reconnect(&sides), FULL);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct pair pair;

        dial(&pair, &sides, others[i].expected, others[i].server);
        assert_int_equal(both_resumed(&pair), FULL);
        close_pair(&pair);
    }
    assert_int_equal(reconnect(&sides), RESUMED);
    free_sides(&sides);
}

static void oldest_session_gives_way(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    char server[32];
    struct pair pair;

    assert_int_equal(reconnect(&sides), FULL);
    for (unsigned i = 0; i < 4; i++) {
        f->now += (swk_wall)SWK_SECOND;
        snprintf(server, sizeof(server), "198.51.100.%u:1", i);
        dial(&pair, &sides, "swarm-manager", server);
        assert_int_equal(both_resumed(&pair), FULL);
        close_pair(&pair);
    }
    dial(&pair, &sides, "swarm-manager", server);
    assert_int_equal(both_resumed(&pair), RESUMED);
    close_pair(&pair);
    assert_int_equal(reconnect(&sides), FULL);
    free_sides(&sides);
}

static void nobody_gets_no_ticket(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = client_of(f, NULL);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    struct sides sides = {make(&client), make(&server)};
    struct swki_identity peer;
    struct pair pair;

    for (unsigned i = 0; i < 2; i++) {
        dial(&pair, &sides, "swarm-manager", SERVER);
        assert_false(swki_tls_resumed(pair.client.tls));
        assert_int_equal(swki_tls_peer(pair.server.tls, &peer, NULL),
                         SWK_EUNAUTHENTICATED);
        close_pair(&pair);
    }
    free_sides(&sides);
}

static void client_that_verifies_nobody_remembers_nobody(void **state)
{
    struct f *f = *state;
    struct swki_tls_config client = client_of(f, &f->worker);
    struct sides sides = make_sides(f);

    client.roots_pem = NULL;
    swki_tls_context_unref(sides.client);
    sides.client = make(&client);
    for (unsigned i = 0; i < 2; i++) {
        struct pair pair;

        dial(&pair, &sides, NULL, SERVER);
        assert_false(swki_tls_resumed(pair.server.tls));
        close_pair(&pair);
    }
    free_sides(&sides);
}

/* Records of the ticket, of its key's name, of its times and of the session. */
static void damaged_ticket_means_a_full_handshake(void **state)
{
    struct f *f = *state;
    struct sides sides = make_sides(f);
    unsigned full = 0;

    for (unsigned i = 0; i < 24; i++) {
        struct swki_buf *output;
        struct pair pair;

        assert_int_equal(reconnect(&sides), i == 0 ? FULL : RESUMED);
        open_pair_with(&pair, sides.client, sides.server, "swarm-manager");
        swki_tls_resume(pair.client.tls, SERVER);
        pair.client.rc =
            swki_tls_feed(pair.client.tls, NULL, 0, &pair.client.plain, NULL);
        output = swki_tls_output(pair.client.tls);
        /* Somewhere in the ticket, which is most of the greeting. */
        assert_true(output->len > 800);
        output->data[200 + 24 * i] ^= 0x40;
        settle(&pair);
        /* Both have seen another greeting, so no handshake can end well. */
        assert_false(swki_tls_established(pair.server.tls));
        full += pair.server.rc != 0;
        close_pair(&pair);
        assert_int_equal(reconnect(&sides), FULL); /* it was forgotten */
    }
    assert_int_equal(full, 24);
    free_sides(&sides);
}

/* Alerts that mean nothing, over and over. */
static void handshake_without_end_is_cut_off(void **state)
{
    static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 90};
    struct f *f = *state;
    struct swki_tls_config client = config_of(f, SWKI_TLS_CLIENT, &f->worker);
    struct swki_tls_config server = config_of(f, SWKI_TLS_SERVER, &f->manager);
    size_t fed = 0;
    struct pair pair;

    open_pair(&pair, &client, &server, NULL);
    while (pair.server.rc == 0) {
        fed += sizeof(warning);
        assert_true(fed <= SWKI_TLS_HANDSHAKE_MAX + sizeof(warning));
        pair.server.rc =
            swki_tls_feed(pair.server.tls, warning, sizeof(warning),
                          &pair.server.plain, NULL);
    }
    assert_int_equal(pair.server.rc, SWK_EMALFORMED);
    close_pair(&pair);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ends_know_each_other_after_a_resumption),
        TEST(another_context_of_the_server_ends_sessions),
        TEST(other_roots_of_the_server_end_what_they_do_not_trust),
        TEST(another_context_of_the_client_has_no_sessions),
        TEST(session_ends_after_an_hour),
        TEST(server_takes_no_ticket_that_has_ended),
        TEST(expired_certificate_of_the_client_does_not_resume),
        TEST(expired_certificate_of_the_server_does_not_resume),
        TEST(expired_root_ends_sessions),
        TEST(ticket_outlives_the_change_of_keys),
        TEST(sessions_are_kept_by_server_and_its_expected_name),
        TEST(oldest_session_gives_way),
        TEST(nobody_gets_no_ticket),
        TEST(client_that_verifies_nobody_remembers_nobody),
        TEST(damaged_ticket_means_a_full_handshake),
        TEST(handshake_without_end_is_cut_off),
    };

    return cmocka_run_group_tests_name("tls_session", tests, NULL, NULL);
}
