/* SPDX-License-Identifier: Apache-2.0 */

/* What a certificate says, to people. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include <swarmkit/certificate.h>

#include "unit/crypto/pki.h"

#define SECOND INT64_C(1000000000)

/* Made by "openssl req -x509", for CN=swarm-ca. */
static const char plain[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBejCCASCgAwIBAgIUTp8W2FzUW/p7eh/rnMzUL5MF3A4wCgYIKoZIzj0EAwIw\n"
    "EzERMA8GA1UEAwwIc3dhcm0tY2EwIBcNMjYxMTIzMTU0OTQxWhgPMjEyNjEwMzAx\n"
    "NTQ5NDFaMBMxETAPBgNVBAMMCHN3YXJtLWNhMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
    "AQcDQgAEkcyKRswRpZScX6Mkm9LzQHgUA9U2iSnA+/PhEtcfxGCGEfB3oOo2z/YY\n"
    "khvLjOODFUfexUDHP0Y64vBKEEAEe6NQME4wHQYDVR0OBBYEFJWRYN/XQe3lQzqR\n"
    "+6YSGApzSr6WMB8GA1UdIwQYMBaAFJWRYN/XQe3lQzqR+6YSGApzSr6WMAwGA1Ud\n"
    "EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIgO4O6QqREp2Cd3nvQKAZWJ2TqG/DQ\n"
    "eglMngWXJCpPFiQCIQDDE3iTeVNBPYN6CQrk3Er62kdSG2WRxCFnzP3f1Oudwg==\n"
    "-----END CERTIFICATE-----\n";

/* The same with names of 64 to 100 bytes, and one with a BEL in it. */
static const char long_names[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIEFzCCA72gAwIBAgIUByJ8Dy0UUsQCq6tlQ80cEi7U2r0wCgYIKoZIzj0EAwIw\n"
    "ggFeMUkwRwYDVQQKDEB4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\n"
    "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4MUkwRwYDVQQLDEB5eXl5eXl5\n"
    "eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5\n"
    "eXl5eXl5eXl5MUkwRwYDVQQDDEB6enp6enp6enp6enp6enp6enp6enp6enp6enp6\n"
    "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6MW0wawYDVQQHDGR3\n"
    "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3\n"
    "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3\n"
    "d3d3MQwwCgYDVQQIDANhB2IwIBcNMjYxMTIzMTYxMDQ2WhgPMjEyNjEwMzAxNjEw\n"
    "NDZaMIIBXjFJMEcGA1UECgxAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\n"
    "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eDFJMEcGA1UECwxAeXl5\n"
    "eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5\n"
    "eXl5eXl5eXl5eXl5eTFJMEcGA1UEAwxAenp6enp6enp6enp6enp6enp6enp6enp6\n"
    "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6ejFtMGsGA1UE\n"
    "Bwxkd3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3\n"
    "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3\n"
    "d3d3d3d3dzEMMAoGA1UECAwDYQdiMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
    "U83foWopy6i3jCBdJhabajSyqBZQ9bLv/JyCsKr4cGkbTr1Gcc3QgTm5DWiNVgEj\n"
    "jS7vu1rZXttfOb4W37soSaNTMFEwHQYDVR0OBBYEFEK5+xVs8X2q3u4CFQ+YY3jI\n"
    "X4L8MB8GA1UdIwQYMBaAFEK5+xVs8X2q3u4CFQ+YY3jIX4L8MA8GA1UdEwEB/wQF\n"
    "MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgYCl9yL+QCSqpz5XgYEXBHhZNzvIJosl0\n"
    "hoAv629T1WICIQD/ojr1+gqvzJ1LCPJ5I0aSLJUWS8qDB9X1OwuIOGQszw==\n"
    "-----END CERTIFICATE-----\n";

/* By "openssl x509 -fingerprint -sha256". */
static const char fingerprint[] =
    "1145a346a678bb84ecb2fe01a9c458451c1875f1bfda050fe647f6913cdf8e71";

static struct swk_certificate read_text(const char *text)
{
    struct swk_certificate c = {.size = sizeof(c)};
    struct swk_error err = {0};

    if (swk_certificate_read(text, strlen(text), &c, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void read_tells_what_it_says(void **state)
{
    struct swk_certificate c = read_text(plain);
    char hex[2 * SWK_CERTIFICATE_DIGEST_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < SWK_CERTIFICATE_DIGEST_SIZE; i++) {
        snprintf(hex + 2 * i, 3, "%02x", c.fingerprint[i]);
    }
    assert_string_equal(hex, fingerprint);
    assert_string_equal(c.subject, "CN=swarm-ca");
    assert_string_equal(c.issuer, "CN=swarm-ca");
    assert_int_equal(c.not_before, 1795448981 * SECOND);
    assert_int_equal(c.not_after, 4949048981 * SECOND);
    assert_int_equal(c.count, 1);
}

static void long_names_are_cut(void **state)
{
    struct swk_certificate c = read_text(long_names);

    (void)state;
    assert_in_range(strlen(c.subject), 100, SWK_CERTIFICATE_NAME_SIZE - 1);
    assert_null(strchr(c.subject, 7));
}

static void a_chain_is_counted(void **state)
{
    struct pki_node node;
    struct pki pki;
    struct swk_certificate c;

    (void)state;
    pki_init(&pki, 5);
    pki_node_init(&pki, &node, "n1", SWKI_ROLE_WORKER);
    assert_true(swki_buf_append(&node.chain, pki.root.data, pki.root.len));
    pki_end(&node.chain);
    c = read_text(pki_text(&node.chain));
    assert_int_equal(c.count, 2);
    assert_string_equal(c.issuer, "CN=swarm-ca");
    pki_node_fini(&node);
    pki_fini(&pki);
}

static void what_is_no_certificate_is_refused(void **state)
{
    struct swk_certificate c = {.size = sizeof(c), .count = 7};
    struct swk_certificate other = {.size = 3};

    (void)state;
    assert_int_equal(swk_certificate_read("x", 1, &c, NULL), SWK_EMALFORMED);
    assert_int_equal(swk_certificate_read(NULL, 0, &c, NULL), SWK_EINVAL);
    assert_int_equal(swk_certificate_read(plain, sizeof(plain), &other, NULL),
                     SWK_EINVAL);
    assert_int_equal(c.count, 7); /* untouched */
}

static void an_issuer_is_known_by_name_and_key(void **state)
{
    struct pki one;
    struct pki two;
    struct swki_certificate_info info;

    (void)state;
    pki_init(&one, 5);
    pki_init(&two, 6); /* of the same name */
    assert_int_equal(swki_certificate_info_init(
                         &info, NULL, swki_pem_of_buf(&one.root), NULL),
                     0);
    const struct swk_bytes subject = {.data = info.subject.data,
                                      .len = info.subject.len};
    const struct swk_bytes key = {.data = info.public_key.data,
                                  .len = info.public_key.len};
    const struct swk_bytes nothing = {0};

    assert_int_equal(
        swk_certificate_is_issuer(one.root.data, one.root.len, &subject, &key),
        1);
    assert_int_equal(
        swk_certificate_is_issuer(two.root.data, two.root.len, &subject, &key),
        0);
    assert_int_equal(swk_certificate_is_issuer(one.root.data, one.root.len,
                                               &subject, &nothing),
                     0);
    assert_int_equal(swk_certificate_is_issuer(NULL, 0, &subject, &key), 0);
    swki_certificate_info_fini(&info);
    pki_fini(&two);
    pki_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_tells_what_it_says),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(a_chain_is_counted),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(an_issuer_is_known_by_name_and_key),
    };

    return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
