/* SPDX-License-Identifier: Apache-2.0 */

/* What a node is told that cannot start, for its files are of another time. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "node/identity/out_of_time.h"
#include "unit/crypto/pki.h"

#define DAY (24 * (swk_wall)SWK_HOUR)
#define STATE "/var/lib/swarmd"

struct f {
    struct pki pki;
    struct swki_credentials credentials;
    struct swk_logger logger;
    char said[2048];
};

static void take_record(void *ctx, const struct swk_log_record *record)
{
    struct f *f = ctx;
    size_t len = strlen(f->said);

    assert_int_equal(record->level, SWK_LOG_ERROR);
    snprintf(f->said + len, sizeof(f->said) - len, "%s\n", record->message);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 1);
    swki_credentials_init(&f->credentials, NULL);
    f->logger = (struct swk_logger){
        .size = sizeof(f->logger), .ctx = f, .log = take_record};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_credentials_fini(&f->credentials);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* A node whose certificate was made at PKI_NOW. */
static void put_node(struct f *f, enum swki_role role)
{
    struct pki_node node;

    pki_node_init(&f->pki, &node, "n1", role);
    assert_true(swki_buf_append(&f->credentials.roots, f->pki.root.data,
                                f->pki.root.len));
    assert_true(swki_buf_append(&f->credentials.chain, node.chain.data,
                                node.chain.len));
    pki_node_fini(&node);
}

/* The root is older than the certificate, or it would come first. */
static void put_old_root(struct f *f)
{
    swki_buf_clear(&f->credentials.roots);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&f->pki.key),
                                      PKI_NOW - 100 * DAY, &f->pki.entropy,
                                      &f->credentials.roots, NULL),
                     0);
}

static void expect_said(struct f *f, swk_wall now, const char *const *texts)
{
    f->said[0] = '\0';
    swki_out_of_time_advise(&f->credentials, STATE, now, &f->logger);
    for (; *texts != NULL; texts++) {
        if (strstr(f->said, *texts) == NULL) {
            fail_msg("lacks %s: %s", *texts, f->said);
        }
    }
}

static void worker_from_the_future_is_told_to_join_again(void **state)
{
    static const char *const texts[] = {
        "clock says 2029-10-08T00:00:00Z, and this node's certificate is valid "
        "from 2029-12-31T23:00:00Z on",
        "issued was ahead, by some 85 days",
        "on a manager, swarmctl node rm n1 and swarmctl cluster token worker; "
        "then empty " STATE ", and start with --join-addr and --join-token",
        NULL,
    };
    struct f *f = *state;

    put_node(f, SWKI_ROLE_WORKER);
    put_old_root(f);
    expect_said(f, PKI_NOW - 85 * DAY, texts);
    assert_null(strstr(f->said, "swarm-rafttool"));
}

static void manager_from_the_future_is_told_to_keep_its_state(void **state)
{
    static const char *const texts[] = {
        "ahead, by some 85 days",
        "swarmctl node rm --force n1 and swarmctl cluster token manager",
        "only manager: keep " STATE "; swarm-rafttool export, and import",
        "(swarm-rafttool(1))",
        NULL,
    };
    struct f *f = *state;

    put_node(f, SWKI_ROLE_MANAGER);
    put_old_root(f);
    expect_said(f, PKI_NOW - 85 * DAY, texts);
}

static void clock_before_the_root_is_to_be_set_and_nothing_else(void **state)
{
    static const char *const texts[] = {
        "clock says 2029-12-31T00:00:00Z, and the swarm's root certificate is "
        "valid from 2029-12-31T23:",
        "set it right (timedatectl)",
        NULL,
    };
    struct f *f = *state;

    put_node(f, SWKI_ROLE_MANAGER);
    expect_said(f, PKI_NOW - DAY, texts);
    assert_null(strstr(f->said, "join"));
    assert_null(strstr(f->said, "swarm-rafttool"));
}

static void what_has_begun_needs_no_advice(void **state)
{
    struct f *f = *state;

    swki_out_of_time_advise(&f->credentials, STATE, PKI_NOW, &f->logger);
    put_node(f, SWKI_ROLE_MANAGER);
    swki_out_of_time_advise(&f->credentials, STATE, PKI_NOW, &f->logger);
    swki_out_of_time_advise(&f->credentials, STATE, PKI_NOW + 200 * DAY,
                            &f->logger);
    assert_string_equal(f->said, "");
}

static void reason_names_file_and_dates_however_long_the_path(void **state)
{
    static const char why[] =
        "certificate (1 - 4nq3x6nlzx0cd1nqu3imdo2yx) not valid before "
        "2027-02-16T22:19:00Z, and it is currently 2026-11-23T22:19:00Z";
    struct f *f = *state;
    struct swk_error err;
    char dir[301];

    put_node(f, SWKI_ROLE_MANAGER);
    memset(dir, 'd', sizeof(dir) - 1);
    dir[sizeof(dir) - 1] = '\0';
    swki_fail(&err, SWK_ECLOCK, "%s", why);
    swki_out_of_time_explain(dir, "swarm-node.crt",
                             swki_pem_of_buf(&f->credentials.chain),
                             PKI_NOW - 85 * DAY, &err);
    assert_non_null(strstr(err.text, "this machine's clock is wrong, or was: "
                                     "...ddd"));
    assert_non_null(strstr(err.text, "ddd/swarm-node.crt: certificate (1"));
    assert_non_null(strstr(err.text, why));
    swki_fail(&err, SWK_ECLOCK, "%s", why);
    swki_out_of_time_explain(STATE, "swarm-root-ca.crt",
                             swki_pem_of_buf(&f->credentials.roots),
                             PKI_NOW + 8000 * DAY, &err);
    assert_non_null(strstr(err.text, "this machine's clock is wrong, or the "
                                     "time is over: " STATE
                                     "/swarm-root-ca.crt: certificate"));
    assert_non_null(strstr(err.text, why));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(worker_from_the_future_is_told_to_join_again),
        TEST(manager_from_the_future_is_told_to_keep_its_state),
        TEST(clock_before_the_root_is_to_be_set_and_nothing_else),
        TEST(what_has_begun_needs_no_advice),
        TEST(reason_names_file_and_dates_however_long_the_path),
    };

    return cmocka_run_group_tests_name("out_of_time", tests, NULL, NULL);
}
