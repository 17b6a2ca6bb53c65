/* SPDX-License-Identifier: Apache-2.0 */

/* The client for tools, against a server in the same process. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <swarmkit/client.h>

#include "integration/rpc/fixture.h"
#include "wire/frame.h"

static swk_client *open_client(const struct f *f)
{
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
    struct swk_error err = {0};
    swk_client *client = NULL;

    config.address = f->path;
    if (swk_client_open(&config, &client, &err) != SWK_OK) {
        fail_msg("%s", err.text);
    }
    return client;
}

static void a_call_returns_the_response_or_the_servers_words(void **state)
{
    struct f f;
    struct swk_error err = {0};
    uint8_t *data = NULL;
    size_t len = 0;

    (void)state;
    set_up(&f);
    swk_client *client = open_client(&f);

    assert_int_equal(swk_client_call(client, "/t.T/Echo", "hello", 5,
                                     SWK_SECOND, &data, &len, &err),
                     0);
    assert_int_equal(len, 5);
    assert_memory_equal(data, "hello", 5);
    swk_client_release(client, data);
    assert_int_equal(swk_client_call(client, "/t.T/Other", NULL, 0, 0, &data,
                                     &len, &err),
                     SWK_ENOTFOUND);
    assert_string_equal(err.text, "no such thing");
    assert_int_equal(swk_client_status(client), 5);
    assert_int_equal(swk_client_call(client, "/t.T/Never", NULL, 0,
                                     50 * SWK_MILLISECOND, &data, &len, &err),
                     SWK_ETIMEDOUT);
    assert_int_equal(swk_client_set_request_id(client, "again-1"), 0);
    assert_int_equal(
        swk_client_call(client, "/t.T/Id", NULL, 0, 0, &data, &len, &err), 0);
    assert_memory_equal(data, "again-1", 7);
    swk_client_release(client, data);
    swk_client_close(client);
    tear_down(&f);
}

static void a_stream_is_read_message_by_message(void **state)
{
    struct f f;
    struct swk_error err = {0};
    swk_client_stream *stream = NULL;
    uint8_t request[8];
    uint8_t *data = NULL;
    size_t len = 0;
    int count = 0;
    int rc;

    (void)state;
    set_up(&f);
    swk_client *client = open_client(&f);

    swki_frame_put_u32(request, 50);
    swki_frame_put_u32(request + 4, 60000);
    assert_int_equal(swk_client_stream_open(client, "/t.T/Stream", request, 8,
                                            &stream, &err),
                     0);
    while ((rc = swk_client_stream_next(stream, SWK_NEVER, &data, &len,
                                        &err)) == 1) {
        assert_int_equal(len, 60000);
        swk_client_release(client, data);
        count++;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(count, 50);
    swk_client_stream_close(stream);
    assert_int_equal(swk_client_stream_open(client, "/t.T/Never", NULL, 0,
                                            &stream, &err),
                     0);
    assert_int_equal(swk_client_stream_next(stream, 20 * SWK_MILLISECOND,
                                            &data, &len, &err),
                     SWK_ETIMEDOUT);
    swk_client_stream_close(stream);
    swk_client_close(client);
    tear_down(&f);
}

static void it_speaks_tls_to_a_tcp_address(void **state)
{
    struct f f;
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
    struct swk_error err = {0};
    swk_client *client = NULL;

    (void)state;
    set_up(&f);
    config.address = f.address;
    assert_int_equal(swk_client_open(&config, &client, &err), SWK_EINVAL);
    config.chain_pem = pki_text(&f.worker.chain);
    config.key_pem = pki_text(&f.worker.key);
    config.roots_pem = pki_text(&f.pki.root);
    /* The certificates of these tests are of the year 2030. */
    assert_int_equal(swk_client_open(&config, &client, &err),
                     SWK_EUNAUTHENTICATED);
    assert_null(client);
    tear_down(&f);
}

static void it_says_why_there_is_no_connection(void **state)
{
    static const struct {
        const char *address;
        int code;
        const char *text;
    } cases[] = {
        {"/tmp/swk-no/such", SWK_ENOTFOUND,
         "cannot connect to /tmp/swk-no/such: no such file: is swarmd "
         "running?"},
        {"/etc/passwd", SWK_EINVAL, "no socket"},
        {"tcp://127.0.0.1:1", SWK_EINVAL, "root certificate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
        struct swk_error err = {0};
        swk_client *client = NULL;

        config.address = cases[i].address;
        assert_int_equal(swk_client_open(&config, &client, &err),
                         cases[i].code);
        if (strstr(err.text, cases[i].text) == NULL) {
            fail_msg("\"%s\" lacks \"%s\"", err.text, cases[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_returns_the_response_or_the_servers_words),
        cmocka_unit_test(a_stream_is_read_message_by_message),
        cmocka_unit_test(it_speaks_tls_to_a_tcp_address),
        cmocka_unit_test(it_says_why_there_is_no_connection),
    };

    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
