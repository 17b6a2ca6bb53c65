/* SPDX-License-Identifier: Apache-2.0 */

/* Keys, requests, certificates, chains: what is made, and what is refused. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/calendar.h"
#include "crypto/digest.h"
#include "unit/crypto/pki.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))
#define MINUTE ((swk_wall)SWK_MINUTE)
#define HOUR ((swk_wall)SWK_HOUR)

struct f {
    struct pki pki;
    struct pki foreign;
    struct pki_node manager;
    struct pki_node worker;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 11);
    pki_init(&f->foreign, 12);
    pki_node_init(&f->pki, &f->manager, "m1", SWKI_ROLE_MANAGER);
    pki_node_init(&f->pki, &f->worker, "w1", SWKI_ROLE_WORKER);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    pki_node_fini(&f->worker);
    pki_node_fini(&f->manager);
    pki_fini(&f->foreign);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static bool contains(const struct swki_buf *der, const void *needle, size_t len)
{
    return memmem(der->data, der->len, needle, len) != NULL;
}

/* The DER behind a PEM text, by hand: base 64 of what is between the lines. */
static void decode_pem(const struct swki_buf *pem, struct swki_buf *out_der)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = strchr(pki_text(pem), '\n');
    uint32_t bits = 0;
    unsigned count = 0;

    swki_buf_init(out_der, NULL, SIZE_MAX);
    for (; *text != '-'; text++) {
        const char *digit = *text != '\n' && *text != '='
                                ? strchr(digits, *text)
                                : NULL;

        if (digit == NULL) {
            continue;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            swki_buf_append_byte(out_der, (uint8_t)(bits >> count));
        }
    }
}

static void dates_convert_both_ways(void **state)
{
    static const struct {
        swk_wall seconds;
        struct swki_calendar calendar;
    } cases[] = {
        {0, {1970, 1, 1, 0, 0, 0}},
        {-1, {1969, 12, 31, 23, 59, 59}},
        {951782400, {2000, 2, 29, 0, 0, 0}},
        {1893456000, {2030, 1, 1, 0, 0, 0}},
        {4107542399, {2100, 2, 28, 23, 59, 59}},
        {4107542400, {2100, 3, 1, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        swk_wall wall = cases[i].seconds * (swk_wall)SWK_SECOND;
        struct swki_calendar c = swki_calendar_from_wall(wall);

        assert_memory_equal(&c, &cases[i].calendar, sizeof(c));
        assert_true(swki_calendar_to_wall(&c) == wall);
    }
}

static void dates_beyond_the_wall_are_clamped(void **state)
{
    const struct swki_calendar late = {9999, 12, 31, 23, 59, 59};
    const struct swki_calendar early = {1, 1, 1, 0, 0, 0};

    (void)state;
    assert_true(swki_calendar_to_wall(&late) == INT64_MAX);
    assert_true(swki_calendar_to_wall(&early) == INT64_MIN);
}

static void keys_are_pkcs8_and_survive_a_round_trip(void **state)
{
    struct f *f = *state;
    struct swki_buf again;

    assert_memory_equal(f->pki.key.data, "-----BEGIN PRIVATE KEY-----\n", 28);
    swki_buf_init(&again, NULL, SIZE_MAX);
    assert_int_equal(swki_key_convert(swki_pem_of_buf(&f->pki.key),
                                      &f->pki.entropy, &again, NULL),
                     0);
    assert_int_equal(again.len, f->pki.key.len);
    assert_memory_equal(again.data, f->pki.key.data, again.len);
    swki_buf_fini(&again);
}

/* Made with openssl ecparam -genkey -name prime256v1 -noout. */
static const char sec1_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIF0fviQAqRvU+fPsCGa7tEQAZK0BqO+7ptu1Wd/bqhQfoAoGCCqGSM49\n"
    "AwEHoUQDQgAEOwqbVummZApkwPvdR3y/1oE5YIq+/gZmuqWHEozI2fZWaWMuSJ2R\n"
    "gLomG1zq7B4tUU6t0vsdGfD4OI1s/ViGIw==\n"
    "-----END EC PRIVATE KEY-----\n";

static void sec1_keys_are_read(void **state)
{
    struct f *f = *state;
    struct swki_buf pkcs8;

    swki_buf_init(&pkcs8, NULL, SIZE_MAX);
    assert_int_equal(swki_key_convert(swki_pem_of(sec1_key), &f->pki.entropy,
                                      &pkcs8, NULL),
                     0);
    assert_memory_equal(pkcs8.data, "-----BEGIN PRIVATE KEY-----\n", 28);
    swki_buf_fini(&pkcs8);
}

static void key_belongs_to_its_certificate_alone(void **state)
{
    struct f *f = *state;

    assert_int_equal(swki_key_matches(swki_pem_of_buf(&f->worker.key),
                                      swki_pem_of_buf(&f->worker.chain),
                                      &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_key_matches(swki_pem_of_buf(&f->worker.key),
                                      swki_pem_of_buf(&f->manager.chain),
                                      &f->pki.entropy, NULL),
                     SWK_EINVAL);
}

static int no_entropy(void *ctx, void *out_data, size_t len)
{
    return SWK_EUNAVAILABLE;
}

static void without_entropy_there_is_no_key(void **state)
{
    const struct swk_entropy none = {sizeof(none), NULL, no_entropy};
    struct swki_buf out;

    (void)state;
    swki_buf_init(&out, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&none, &out, NULL), SWK_EUNAVAILABLE);
    assert_int_equal(out.len, 0);
    swki_buf_fini(&out);
}

static void text_that_is_no_key_is_malformed(void **state)
{
    struct f *f = *state;
    struct swki_buf out;

    swki_buf_init(&out, NULL, SIZE_MAX);
    assert_int_equal(swki_key_convert(swki_pem_of("no key"), &f->pki.entropy,
                                      &out, NULL),
                     SWK_EMALFORMED);
    assert_int_equal(out.len, 0);
    swki_buf_fini(&out);
}

static void root_has_the_fields_it_should(void **state)
{
    static const uint8_t name_ca[] = {0x30, 0x13, 0x31, 0x11, 0x30, 0x0f, 6,
                                      3,    0x55, 4,    3,    0x13, 8,    's',
                                      'w',  'a',  'r',  'm',  '-',  'c',  'a'};
    static const uint8_t usage[] = {0x30, 0x0e, 6, 3,    0x55, 0x1d, 0x0f, 1,
                                    1,    0xff, 4, 4,    3,    2,    1,    6};
    static const uint8_t constraints[] = {0x30, 0x0f, 6,    3, 0x55, 0x1d,
                                          0x13, 1,    1,    0xff, 4, 5,
                                          0x30, 3,    1,    1, 0xff};
    struct f *f = *state;
    struct swki_certificate_info info;
    struct swki_buf der;

    assert_int_equal(swki_certificate_info_init(
                         &info, NULL, swki_pem_of_buf(&f->pki.root), NULL),
                     0);
    assert_true(info.not_before == PKI_NOW - 5 * MINUTE);
    assert_true(info.not_after - info.not_before == 20 * 365 * DAY);
    assert_int_equal(info.subject.len, sizeof(name_ca));
    assert_memory_equal(info.subject.data, name_ca, sizeof(name_ca));
    assert_memory_equal(info.issuer.data, name_ca, sizeof(name_ca));
    decode_pem(&f->pki.root, &der);
    assert_true(contains(&der, usage, sizeof(usage)));
    assert_true(contains(&der, constraints, sizeof(constraints)));
    assert_int_equal(swki_roots_check(swki_pem_of_buf(&f->pki.root), PKI_NOW,
                                      NULL),
                     0);
    swki_buf_fini(&der);
    swki_certificate_info_fini(&info);
}

static void leaf_has_the_fields_it_should(void **state)
{
    static const uint8_t usage[] = {0x30, 0x0e, 6, 3, 0x55, 0x1d, 0x0f, 1,
                                    1,    0xff, 4, 4, 3,    2,    5,    0xa0};
    static const uint8_t constraints[] = {0x30, 0x0c, 6, 3,    0x55, 0x1d, 0x13,
                                          1,    1,    0xff, 4, 2,    0x30, 0};
    static const char worker_names[] = "\x30\x12\x82\x0cswarm-worker\x82\x02w1";
    static const char manager_names[] =
        "\x30\x1d\x82\x0dswarm-manager\x82\x02m1\x82\x08swarm-ca";
    struct f *f = *state;
    const struct pki_node *nodes[] = {&f->worker, &f->manager};

    for (size_t i = 0; i < 2; i++) {
        struct swki_certificate_info info;
        struct swki_buf der;

        assert_int_equal(
            swki_certificate_info_init(
                &info, NULL, swki_pem_of_buf(&nodes[i]->chain), NULL),
            0);
        assert_true(info.not_before == PKI_NOW - HOUR);
        assert_true(info.not_after == PKI_NOW + 90 * DAY);
        decode_pem(&nodes[i]->chain, &der);
        assert_true(contains(&der, usage, sizeof(usage)));
        assert_true(contains(&der, constraints, sizeof(constraints)));
        assert_true(i == 0 ? contains(&der, worker_names,
                                      sizeof(worker_names) - 1)
                           : contains(&der, manager_names,
                                      sizeof(manager_names) - 1));
        assert_int_equal(contains(&der, "swarm-ca\x82", 9), false);
        swki_buf_fini(&der);
        swki_certificate_info_fini(&info);
    }
}

static void dates_are_rounded_to_the_nearest_minute(void **state)
{
    struct f *f = *state;
    static const swk_wall offsets[] = {-30, -31, 29, 30};
    static const swk_wall rounded[] = {0, -1, 0, 1};
    struct swki_buf csr;
    struct swki_buf key;

    pki_request(&f->pki, &key, &csr);
    for (size_t i = 0; i < 4; i++) {
        struct swki_leaf leaf = {
            .node_id = "n",
            .swarm_id = "s",
            .role = SWKI_ROLE_WORKER,
            .now = PKI_NOW + offsets[i] * (swk_wall)SWK_SECOND,
            .validity_ns = SWK_HOUR,
        };
        struct swki_certificate_info info;
        struct swki_buf pem;

        swki_buf_init(&pem, NULL, SIZE_MAX);
        assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                           &leaf, &pem, NULL),
                         0);
        assert_int_equal(swki_certificate_info_init(
                             &info, NULL, swki_pem_of_buf(&pem), NULL),
                         0);
        assert_true(info.not_before == PKI_NOW + rounded[i] * MINUTE - HOUR);
        assert_true(info.not_after - info.not_before == 2 * HOUR);
        swki_certificate_info_fini(&info);
        swki_buf_fini(&pem);
    }
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void request_s_own_name_does_not_count(void **state)
{
    struct f *f = *state;
    struct swki_identity identity;
    struct swki_buf der;

    assert_int_equal(swki_certificate_identity(
                         swki_pem_of_buf(&f->worker.chain), &identity, NULL),
                     0);
    assert_string_equal(identity.node_id, "w1");
    assert_string_equal(identity.swarm_id, PKI_SWARM);
    assert_int_equal(identity.role, SWKI_ROLE_WORKER);
    decode_pem(&f->worker.chain, &der);
    assert_false(contains(&der, "whatever", 8));
    swki_buf_fini(&der);
}

/* Requests made elsewhere: openssl req -new, with the curve and names given. */
static const char hostile_csr[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBSTCB8QIBADA2MQ0wCwYDVQQDDARldmlsMRYwFAYDVQQLDA1zd2FybS1tYW5h\n"
    "Z2VyMQ0wCwYDVQQKDARldmlsMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOwqb\n"
    "VummZApkwPvdR3y/1oE5YIq+/gZmuqWHEozI2fZWaWMuSJ2RgLomG1zq7B4tUU6t\n"
    "0vsdGfD4OI1s/ViGI6BZMFcGCSqGSIb3DQEJDjFKMEgwKAYDVR0RBCEwH4INc3dh\n"
    "cm0tbWFuYWdlcoIIc3dhcm0tY2GCBGV2aWwwDwYDVR0TAQH/BAUwAwEB/zALBgNV\n"
    "HQ8EBAMCAgQwCgYIKoZIzj0EAwIDRwAwRAIgC2WZe+U8ifzPmvPilI08kNydhjup\n"
    "aP7NgqnJuxHn07ACICcHJUKBcLcJUxuXI4gC4tSSLgyTbKfT5cb06V/vc8Fy\n"
    "-----END CERTIFICATE REQUEST-----\n";
static const char p384_csr[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBBDCBiwIBADAMMQowCAYDVQQDDAF4MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE\n"
    "ZYDIiCoudNJohr0LdPK9BLI5kG6+8HHt16LXYx2/7kmlk666Ukp51ul1KjnfpBHt\n"
    "RmYnofb/n82CzM9Ym0IBG4tnDXGl6m6iC/EULwn/chxOwp0HLhJUidQJ8fsichmz\n"
    "oAAwCgYIKoZIzj0EAwIDaAAwZQIxAI5q9NAOGd8H5HplePHA/Crffg0ejiky3YCZ\n"
    "7YDDM0X03hbsDtussYY2SZqVUp9JbAIwGQwnRnkqZymUKrWljdyF/sDcrDj5M97L\n"
    "NyOyGdhWtHQTSxfgRQtwnO2rkUlvNLeK\n"
    "-----END CERTIFICATE REQUEST-----\n";
static const char rsa_csr[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP\n"
    "ADCCAQoCggEBALDy6rqWSAT05R50XEu0fS/yGgCFxRV2RTic4fuK+RHZSHwl3jQy\n"
    "ypX1roIWSzqPoeRcCRG+55n0zkA8lP1e4ALoQHBJ/Mv/fxHZbP0Yu52Kj3Efmk/H\n"
    "mRqjU7rIrgunEcnZPQfTHwyIFo8OWqP0JJi7kQ3M0Whxc21aA7AWRa3Hh16KZp7h\n"
    "7Q+zA52svt13QvP3kq5qaLBixtRDayVwrvJ9Q0DdkyJcxgt8aJMI/clVz0yLaYdn\n"
    "Xtfsz/zVqDSYyQQgKhTtuUSGAJPTiKQ0RVAEwEkhLAC/QFIYIQOQmv/72X/X9iSO\n"
    "0djHGbPU/LQYX3o8ccJS+p+Is5Tcf11hhLkCAwEAAaAAMA0GCSqGSIb3DQEBCwUA\n"
    "A4IBAQCm6huLgOZAsQDWptp85W6U5AZxeCLTpJEZ0g8io7Yk5ZGvnwS4r4tbx8pP\n"
    "jMUk6lYafXtCma32MCD0VR4n8vAWmVdT+7VA2AtTXXCXcV5wxwJL+FKdzO+Ww7Mw\n"
    "8ZoEVpowZYw3cWqYSJJ9jDEIsQWANhOGQOaNVB9mWrywC4tTH2v2igBaryeoLHwc\n"
    "eCRyIwzm6XsleeLQ2DkNpMRlfch+6E/ozIHI/Se0WmTZ3t8n7viOAHaOVlY2qYa3\n"
    "H9UHPJCBVN2dh4nAp1/9jKPOY1M45qQGkbin7BgOuonkAmFrZbF28+wjSS/jiFhC\n"
    "zjy2NFFpEyFKa7uKDaD+8HRvjkXJ\n"
    "-----END CERTIFICATE REQUEST-----\n";

static void hostile_request_gives_what_the_ca_decided(void **state)
{
    struct f *f = *state;
    struct swki_leaf leaf = {
        .node_id = "w2",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = SWK_HOUR,
    };
    struct swki_identity identity;
    struct swki_buf pem;
    struct swki_buf der;

    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of(hostile_csr),
                                       &leaf, &pem, NULL),
                     0);
    pki_end(&pem);
    assert_int_equal(
        swki_certificate_identity(swki_pem_of_buf(&pem), &identity, NULL), 0);
    assert_string_equal(identity.node_id, "w2");
    assert_int_equal(identity.role, SWKI_ROLE_WORKER);
    decode_pem(&pem, &der);
    assert_false(contains(&der, "swarm-manager", 13));
    assert_false(contains(&der, "swarm-ca\x82", 9));
    assert_false(contains(&der, "evil", 4));
    swki_buf_fini(&der);
    swki_buf_fini(&pem);
}

static void unacceptable_requests_are_refused(void **state)
{
    struct f *f = *state;
    struct swki_buf key;
    struct swki_buf csr;
    struct swk_error err = {0};

    (void)f;
    assert_int_equal(swki_csr_check(swki_pem_of(""), NULL), SWK_EMALFORMED);
    assert_int_equal(swki_csr_check(swki_pem_of("hello"), NULL),
                     SWK_EMALFORMED);
    assert_int_equal(swki_csr_check(swki_pem_of(p384_csr), &err),
                     SWK_EMALFORMED);
    assert_non_null(strstr(err.text, "P-256"));
    assert_int_equal(swki_csr_check(swki_pem_of(rsa_csr), &err),
                     SWK_EMALFORMED);
    assert_non_null(strstr(err.text, "P-256"));
    pki_request(&f->pki, &key, &csr);
    assert_int_equal(swki_csr_check(swki_pem_of_buf(&csr), NULL), 0);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

/* "whatever" in the name is changed: the request reads well, but the signature
 * is of another. */
static void request_with_a_bad_signature_is_refused(void **state)
{
    struct f *f = *state;
    struct swk_error err = {0};
    struct swki_buf key;
    struct swki_buf csr;
    size_t refused = 0;

    pki_request(&f->pki, &key, &csr);
    for (size_t i = 40; i + 40 < csr.len; i += 7) {
        uint8_t old = csr.data[i];

        if (old == '\n') {
            continue;
        }
        csr.data[i] = old == 'A' ? 'B' : 'A';
        assert_int_equal(swki_csr_check(swki_pem_of_buf(&csr), &err),
                         SWK_EMALFORMED);
        refused += strstr(err.text, "bad signature") != NULL ? 1 : 0;
        csr.data[i] = old;
    }
    assert_true(refused > 0);
    assert_int_equal(swki_csr_check(swki_pem_of_buf(&csr), NULL), 0);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void names_outside_the_alphabet_are_refused(void **state)
{
    static const char *const names[] = {
        "", "a,b", "CN=x", "a b", "h\xc3\xa9", "a/b", "a\nb", "a*",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct f *f = *state;
    struct swki_buf csr;
    struct swki_buf key;
    struct swki_buf pem;

    pki_request(&f->pki, &key, &csr);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct swki_leaf leaf = {
            .node_id = names[i],
            .swarm_id = "s",
            .role = SWKI_ROLE_WORKER,
            .now = PKI_NOW,
            .validity_ns = SWK_HOUR,
        };

        assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                           &leaf, &pem, NULL),
                         SWK_EINVAL);
        leaf.node_id = "n";
        leaf.swarm_id = names[i];
        assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                           &leaf, &pem, NULL),
                         SWK_EINVAL);
    }
    assert_int_equal(pem.len, 0);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

/* What clients expect of a server would be the node's own name. */
static void names_that_clients_look_for_are_no_nodes(void **state)
{
    static const char *const names[] = {"swarm-manager", "swarm-worker",
                                        "swarm-ca", "Swarm-Manager"};
    struct f *f = *state;
    struct swki_buf csr;
    struct swki_buf key;
    struct swki_buf pem;

    pki_request(&f->pki, &key, &csr);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct swki_leaf leaf = {
            .node_id = names[i],
            .swarm_id = "s",
            .role = SWKI_ROLE_WORKER,
            .now = PKI_NOW,
            .validity_ns = SWK_HOUR,
        };

        assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                           &leaf, &pem, NULL),
                         SWK_EINVAL);
    }
    assert_int_equal(pem.len, 0);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void leaf_without_end_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_leaf leaf = {
        .node_id = "n",
        .swarm_id = "s",
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = UINT64_MAX,
    };
    struct swki_buf pem;

    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of("x"), &leaf,
                                       &pem, NULL),
                     SWK_EINVAL);
    leaf.validity_ns = SWK_HOUR;
    leaf.role = SWKI_ROLE_NONE;
    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of("x"), &leaf,
                                       &pem, NULL),
                     SWK_EINVAL);
    swki_buf_fini(&pem);
}

static void leaf_does_not_outlive_what_signs_it(void **state)
{
    struct f *f = *state;
    struct swki_certificate_info root;
    struct swki_certificate_info info;
    struct swki_buf csr;
    struct swki_buf key;
    struct swki_buf pem;
    struct swki_leaf leaf = {
        .node_id = "n",
        .swarm_id = "s",
        .role = SWKI_ROLE_WORKER,
        .validity_ns = 90 * 24 * SWK_HOUR,
    };

    pki_request(&f->pki, &key, &csr);
    assert_int_equal(swki_certificate_info_init(
                         &root, NULL, swki_pem_of_buf(&f->pki.root), NULL),
                     0);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    for (int days = 89; days <= 90; days++) {
        swki_buf_clear(&pem);
        leaf.now = root.not_after - days * DAY;
        assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                           &leaf, &pem, NULL),
                         0);
        assert_int_equal(swki_certificate_info_init(
                             &info, NULL, swki_pem_of_buf(&pem), NULL),
                         0);
        assert_true(info.not_after == root.not_after);
        swki_certificate_info_fini(&info);
    }
    leaf.now = root.not_after + MINUTE;
    assert_int_equal(swki_signer_issue(f->pki.signer, swki_pem_of_buf(&csr),
                                       &leaf, &pem, NULL),
                     SWK_ECLOCK);
    swki_certificate_info_fini(&root);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void signer_refuses_a_key_of_another(void **state)
{
    struct f *f = *state;
    struct swki_signer_config config = {
        .certificate = swki_pem_of_buf(&f->pki.root),
        .key = swki_pem_of_buf(&f->foreign.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_signer *signer = NULL;
    struct swk_error err = {0};

    assert_int_equal(swki_signer_new(NULL, &config, &signer, &err),
                     SWK_EINVAL);
    assert_string_equal(err.text, "certificate key mismatch");
    assert_null(signer);
}

static void issued_pem_ends_with_the_intermediates(void **state)
{
    struct f *f = *state;
    struct swki_signer_config config = {
        .certificate = swki_pem_of_buf(&f->pki.root),
        .key = swki_pem_of_buf(&f->pki.key),
        .intermediates = swki_pem_of_buf(&f->foreign.root),
        .entropy = &f->pki.entropy,
    };
    struct swki_signer *signer = NULL;
    struct swki_leaf leaf = {
        .node_id = "n",
        .swarm_id = "s",
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = SWK_HOUR,
    };
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_buf pem;

    pki_request(&f->pki, &key, &csr);
    assert_int_equal(swki_signer_new(NULL, &config, &signer, NULL), 0);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(signer, swki_pem_of_buf(&csr), &leaf,
                                       &pem, NULL),
                     0);
    assert_true(pem.len > f->foreign.root.len);
    assert_memory_equal(pem.data + pem.len - f->foreign.root.len,
                        f->foreign.root.data, f->foreign.root.len);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
    swki_signer_free(signer);
}

static struct swki_chain chain_of(struct f *f, const struct swki_buf *chain)
{
    return (struct swki_chain){
        .certificates = swki_pem_of_buf(chain),
        .roots = swki_pem_of_buf(&f->pki.root),
        .now = PKI_NOW,
    };
}

static void chain_verification_names_the_issuer(void **state)
{
    struct f *f = *state;
    struct swki_chain chain = chain_of(f, &f->worker.chain);
    struct swki_chain_issuer issuer;
    struct swki_certificate_info root;

    swki_chain_issuer_init(&issuer, NULL);
    assert_int_equal(swki_certificate_info_init(
                         &root, NULL, swki_pem_of_buf(&f->pki.root), NULL),
                     0);
    assert_int_equal(swki_chain_verify(&chain, &issuer, NULL), 0);
    assert_int_equal(issuer.subject.len, root.subject.len);
    assert_memory_equal(issuer.subject.data, root.subject.data,
                        root.subject.len);
    assert_int_equal(issuer.public_key.len, root.public_key.len);
    assert_memory_equal(issuer.public_key.data, root.public_key.data,
                        root.public_key.len);
    swki_certificate_info_fini(&root);
    swki_chain_issuer_fini(&issuer);
}

static void chain_of_a_foreign_root_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_chain chain = chain_of(f, &f->worker.chain);

    chain.roots = swki_pem_of_buf(&f->foreign.root);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL),
                     SWK_EUNAUTHENTICATED);
}

static void chain_out_of_order_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_chain chain = chain_of(f, &f->worker.chain);
    struct swk_error err = {0};

    assert_true(swki_buf_append(&f->worker.chain, f->manager.chain.data,
                                f->manager.chain.len));
    chain.certificates = swki_pem_of_buf(&f->worker.chain);
    assert_int_equal(swki_chain_verify(&chain, NULL, &err),
                     SWK_EUNAUTHENTICATED);
    assert_non_null(strstr(err.text, "do not form a chain"));
}

static void chain_is_checked_against_the_time_given(void **state)
{
    struct f *f = *state;
    struct swki_chain chain = chain_of(f, &f->worker.chain);
    struct swk_error err = {0};

    chain.now = PKI_NOW - HOUR;
    assert_int_equal(swki_chain_verify(&chain, NULL, &err), SWK_ECLOCK);
    assert_non_null(strstr(err.text, "root certificate is not valid yet"));
    chain.now = PKI_NOW - HOUR - 1;
    chain.flags = SWKI_CHAIN_ALLOW_EXPIRED;
    assert_int_equal(swki_chain_verify(&chain, NULL, &err), SWK_ECLOCK);
    assert_non_null(strstr(err.text, "(1 - w1) not valid before"));
    chain.flags = 0;
    chain.now = PKI_NOW + 90 * DAY + 1;
    assert_int_equal(swki_chain_verify(&chain, NULL, &err), SWK_ECLOCK);
    assert_non_null(strstr(err.text, "(1 - w1) not valid after 2030-04-01"));
    chain.flags = SWKI_CHAIN_ALLOW_EXPIRED;
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
    chain.now = PKI_NOW + 30 * 365 * DAY; /* the root is past, too */
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
}

/* Of the certificates in the chain, and of the roots. */
static void lasting_reason_does_not_tell_the_time(void **state)
{
    const swk_wall times[] = {PKI_NOW - HOUR - 1, PKI_NOW + 30 * 365 * DAY};
    struct f *f = *state;
    struct swki_chain chain = chain_of(f, &f->worker.chain);

    chain.flags = SWKI_CHAIN_LASTING_REASON;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct swk_error first = {0};
        struct swk_error later = {0};

        chain.now = times[i];
        assert_int_equal(swki_chain_verify(&chain, NULL, &first), SWK_ECLOCK);
        assert_non_null(strstr(first.text, "(1 - w1) not valid "));
        chain.now -= DAY;
        assert_int_equal(swki_chain_verify(&chain, NULL, &later), SWK_ECLOCK);
        assert_string_equal(later.text, first.text);
        chain.now = times[i];
        assert_int_equal(swki_chain_check_roots(&chain, &first), SWK_ECLOCK);
        assert_non_null(strstr(first.text, "(1 - swarm-ca) not valid "));
        chain.now -= DAY;
        assert_int_equal(swki_chain_check_roots(&chain, &later), SWK_ECLOCK);
        assert_string_equal(later.text, first.text);
    }
}

/* A leaf that begins after its root has ended was never good. */
static void certificates_never_valid_together_are_refused(void **state)
{
    struct f *f = *state;
    struct swki_leaf leaf = {
        .node_id = "late",
        .swarm_id = "s",
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW + 21 * 365 * DAY,
        .validity_ns = SWK_HOUR,
    };
    struct swki_chain chain;
    struct swk_error err = {0};
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_buf pem;
    struct swki_buf root; /* another certificate of the same CA */
    struct swki_signer *signer;
    struct swki_signer_config config = {
        .key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };

    swki_buf_init(&root, NULL, SIZE_MAX);
    assert_int_equal(
        swki_root_create(config.key, leaf.now, &f->pki.entropy, &root, NULL),
        0);
    config.certificate = swki_pem_of_buf(&root);
    assert_int_equal(swki_signer_new(NULL, &config, &signer, NULL), 0);
    pki_request(&f->pki, &key, &csr);
    swki_buf_init(&pem, NULL, SIZE_MAX);
    assert_int_equal(
        swki_signer_issue(signer, swki_pem_of_buf(&csr), &leaf, &pem, NULL), 0);
    chain = chain_of(f, &pem);
    chain.now = leaf.now;
    chain.flags = SWKI_CHAIN_ALLOW_EXPIRED;
    assert_int_equal(swki_chain_verify(&chain, NULL, &err),
                     SWK_EUNAUTHENTICATED);
    assert_non_null(strstr(err.text, "there is no time span"));
    swki_signer_free(signer);
    swki_buf_fini(&root);
    swki_buf_fini(&pem);
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
}

static void cross_certificate_carries_a_leaf_to_the_old_root(void **state)
{
    struct f *f = *state;
    struct swki_chain_issuer issuer;
    struct swki_certificate_info new_root;
    struct pki_node node;
    struct swki_chain chain;

    pki_node_init(&f->foreign, &node, "n1", SWKI_ROLE_MANAGER);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&f->foreign.root),
                                            &node.chain, NULL),
                     0);
    assert_int_equal(swki_certificate_info_init(
                         &new_root, NULL, swki_pem_of_buf(&f->foreign.root),
                         NULL),
                     0);
    swki_chain_issuer_init(&issuer, NULL);
    chain = chain_of(f, &node.chain);
    assert_int_equal(swki_chain_verify(&chain, &issuer, NULL), 0);
    assert_int_equal(issuer.public_key.len, new_root.public_key.len);
    assert_memory_equal(issuer.public_key.data, new_root.public_key.data,
                        new_root.public_key.len);
    chain.roots = swki_pem_of_buf(&f->foreign.root);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);
    swki_chain_issuer_fini(&issuer);
    swki_certificate_info_fini(&new_root);
    pki_node_fini(&node);
}

static void bundle_of_roots_is_checked_whole(void **state)
{
    struct f *f = *state;
    struct swk_error err = {0};
    struct swki_buf bundle;

    swki_buf_init(&bundle, NULL, SIZE_MAX);
    swki_buf_append(&bundle, f->pki.root.data, f->pki.root.len);
    swki_buf_append(&bundle, f->foreign.root.data, f->foreign.root.len);
    assert_int_equal(swki_roots_check(swki_pem_of_buf(&bundle), PKI_NOW, NULL),
                     0);
    assert_int_equal(swki_roots_check(swki_pem_of_buf(&bundle),
                                      PKI_NOW + 20 * 365 * DAY, &err),
                     SWK_ECLOCK);
    assert_non_null(strstr(err.text, "root: certificate (1 - swarm-ca) not "
                                     "valid after 2049-12-2"));
    assert_non_null(strstr(err.text, "currently 2049-12-27T00:00:00Z"));
    swki_buf_append(&bundle, f->worker.chain.data, f->worker.chain.len);
    assert_int_equal(swki_roots_check(swki_pem_of_buf(&bundle), PKI_NOW, NULL),
                     SWK_EINVAL);
    assert_int_equal(swki_roots_check(swki_pem_of(""), PKI_NOW, NULL),
                     SWK_EMALFORMED);
    swki_buf_clear(&bundle);
    for (int i = 0; i <= SWKI_CERTIFICATES_MAX; i++) {
        swki_buf_append(&bundle, f->pki.root.data, f->pki.root.len);
    }
    assert_int_equal(swki_roots_check(swki_pem_of_buf(&bundle), PKI_NOW, NULL),
                     SWK_EMALFORMED);
    swki_buf_fini(&bundle);
}

static void root_is_no_node(void **state)
{
    struct f *f = *state;
    struct swki_identity identity = {.role = 7};

    assert_int_equal(swki_certificate_identity(
                         swki_pem_of_buf(&f->pki.root), &identity, NULL),
                     SWK_EMALFORMED);
    assert_int_equal(identity.role, 7);
}

/* Self-signed by openssl with the subject in its name, 100 years from 2024. */
static const char two_names[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBzTCCAXOgAwIBAgIUERvmtaUXo0e8exOumdGkC2QobcgwCgYIKoZIzj0EAwIw\n"
    "OzEKMAgGA1UECgwBczEVMBMGA1UECwwMc3dhcm0td29ya2VyMQowCAYDVQQDDAFh\n"
    "MQowCAYDVQQDDAFiMCAXDTI2MTEyMzA3MTkzN1oYDzIxMjYxMDMwMDcxOTM3WjA7\n"
    "MQowCAYDVQQKDAFzMRUwEwYDVQQLDAxzd2FybS13b3JrZXIxCjAIBgNVBAMMAWEx\n"
    "CjAIBgNVBAMMAWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ7CptW6aZkCmTA\n"
    "+91HfL/WgTlgir7+Bma6pYcSjMjZ9lZpYy5InZGAuiYbXOrsHi1RTq3S+x0Z8Pg4\n"
    "jWz9WIYjo1MwUTAdBgNVHQ4EFgQU9M8KbcHe9ecCgfATJPdvQs5adOgwHwYDVR0j\n"
    "BBgwFoAU9M8KbcHe9ecCgfATJPdvQs5adOgwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
    "hkjOPQQDAgNIADBFAiEA8xekiKvITVIAKJl4EC+bejdoFPqlG/MvfhZPnLPd1mwC\n"
    "IB8r2jkrrUzNeuXjYiey1Fvbwl5Cyk2Asq8U+h7RDYhL\n"
    "-----END CERTIFICATE-----\n";
static const char other_role[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBsTCCAVegAwIBAgIUIljGPGMid9+MpGY9wAqT7gPrmFAwCgYIKoZIzj0EAwIw\n"
    "LTEKMAgGA1UECgwBczETMBEGA1UECwwKc3dhcm0ta2luZzEKMAgGA1UEAwwBYTAg\n"
    "Fw0yNjExMjMwNzE5MzdaGA8yMTI2MTAzMDA3MTkzN1owLTEKMAgGA1UECgwBczET\n"
    "MBEGA1UECwwKc3dhcm0ta2luZzEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqG\n"
    "SM49AwEHA0IABDsKm1bppmQKZMD73Ud8v9aBOWCKvv4GZrqlhxKMyNn2VmljLkid\n"
    "kYC6Jhtc6uweLVFOrdL7HRnw+DiNbP1YhiOjUzBRMB0GA1UdDgQWBBT0zwptwd71\n"
    "5wKB8BMk929Czlp06DAfBgNVHSMEGDAWgBT0zwptwd715wKB8BMk929Czlp06DAP\n"
    "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIBH48b0/2WjNfxlTIwCa\n"
    "XoSJoYQhgBAlMdAHat7TlXRtAiEA0ROGUiHoaewjY8BdOVs/rFBLE5FCw+hgle0Z\n"
    "p6kvNZ8=\n"
    "-----END CERTIFICATE-----\n";
static const char embedded_nul[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBuzCCAWGgAwIBAgIUPAxbTlnlbtS9Sf3i72KiqDPNbPUwCgYIKoZIzj0EAwIw\n"
    "MjEKMAgGA1UECgwBczEVMBMGA1UECwwMc3dhcm0td29ya2VyMQ0wCwYDVQQDDARh\n"
    "AABiMCAXDTI2MTEyMzA3MTkzN1oYDzIxMjYxMDMwMDcxOTM3WjAyMQowCAYDVQQK\n"
    "DAFzMRUwEwYDVQQLDAxzd2FybS13b3JrZXIxDTALBgNVBAMMBGEAAGIwWTATBgcq\n"
    "hkjOPQIBBggqhkjOPQMBBwNCAAQ7CptW6aZkCmTA+91HfL/WgTlgir7+Bma6pYcS\n"
    "jMjZ9lZpYy5InZGAuiYbXOrsHi1RTq3S+x0Z8Pg4jWz9WIYjo1MwUTAdBgNVHQ4E\n"
    "FgQU9M8KbcHe9ecCgfATJPdvQs5adOgwHwYDVR0jBBgwFoAU9M8KbcHe9ecCgfAT\n"
    "JPdvQs5adOgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAZ/XFV\n"
    "Y2NdtxgC3iB2o/ZROBtYtw5+Z4lbA1lGoDaJjAIhALoST74sveQ66vsav7crrfKx\n"
    "j5O0ZdPhdksE0UdvCnyO\n"
    "-----END CERTIFICATE-----\n";

static void identity_is_read_strictly(void **state)
{
    static const struct {
        const char *pem;
        const char *says;
    } cases[] = {
        {two_names, "more than one CN"},
        {other_role, "no known role"},
        {embedded_nul, "bad CN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_identity identity;
        struct swk_error err = {0};

        assert_int_equal(swki_certificate_identity(swki_pem_of(cases[i].pem),
                                                   &identity, &err),
                         SWK_EMALFORMED);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: got %s", cases[i].says, err.text);
        }
    }
}

static void normalising_drops_what_is_between(void **state)
{
    struct f *f = *state;
    struct swki_buf messy;
    struct swki_buf clean;

    swki_buf_init(&messy, NULL, SIZE_MAX);
    swki_buf_init(&clean, NULL, SIZE_MAX);
    swki_buf_append_text(&messy, "subject=somebody\n");
    swki_buf_append(&messy, f->pki.root.data, f->pki.root.len);
    assert_int_equal(
        swki_certificate_normalise(swki_pem_of_buf(&messy), &clean, NULL), 0);
    assert_int_equal(clean.len, f->pki.root.len);
    assert_memory_equal(clean.data, f->pki.root.data, clean.len);
    swki_buf_fini(&clean);
    swki_buf_fini(&messy);
}

static void same_seed_gives_the_same_certificates(void **state)
{
    struct f *f = *state;
    struct pki again;

    pki_init(&again, 11);
    assert_int_equal(again.root.len, f->pki.root.len);
    assert_memory_equal(again.root.data, f->pki.root.data, again.root.len);
    pki_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_convert_both_ways),
        cmocka_unit_test(dates_beyond_the_wall_are_clamped),
        cmocka_unit_test_setup_teardown(keys_are_pkcs8_and_survive_a_round_trip,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(sec1_keys_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_belongs_to_its_certificate_alone,
                                        set_up, tear_down),
        cmocka_unit_test(without_entropy_there_is_no_key),
        cmocka_unit_test_setup_teardown(text_that_is_no_key_is_malformed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(root_has_the_fields_it_should, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(leaf_has_the_fields_it_should, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dates_are_rounded_to_the_nearest_minute,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(request_s_own_name_does_not_count,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            hostile_request_gives_what_the_ca_decided, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unacceptable_requests_are_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(request_with_a_bad_signature_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_outside_the_alphabet_are_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            names_that_clients_look_for_are_no_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaf_without_end_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(leaf_does_not_outlive_what_signs_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(signer_refuses_a_key_of_another, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(issued_pem_ends_with_the_intermediates,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(chain_verification_names_the_issuer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(chain_of_a_foreign_root_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(chain_out_of_order_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(chain_is_checked_against_the_time_given,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lasting_reason_does_not_tell_the_time,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            certificates_never_valid_together_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            cross_certificate_carries_a_leaf_to_the_old_root, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(bundle_of_roots_is_checked_whole,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(root_is_no_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(identity_is_read_strictly, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(normalising_drops_what_is_between,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_seed_gives_the_same_certificates,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("x509", tests, NULL, NULL);
}
