/* SPDX-License-Identifier: Apache-2.0 */

/* Keys to sign with: those of OpenSSL serve, all others are told apart. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "base/base64.h"
#include "crypto/signing_key.h"
#include "unit/crypto/pki.h"

/* Made with openssl 3.0: ecparam -genkey, genpkey -algorithm EC, dgst -sign. */
static const char private_256[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIH/i9dvWP+TkwBCRil6G3l16kKGJZ2MgK+N5O0/L7V2noAoGCCqGSM49\n"
    "AwEHoUQDQgAEJLE6H1J/CeLhHPejQ6tZMJY+O3e0I5JjtaeW2as3Z/9WV20+HA7H\n"
    "A+9RuGJaCN/3640uh+KzMEk8zg2e3En0XA==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char public_256[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJLE6H1J/CeLhHPejQ6tZMJY+O3e0\n"
    "I5JjtaeW2as3Z/9WV20+HA7HA+9RuGJaCN/3640uh+KzMEk8zg2e3En0XA==\n"
    "-----END PUBLIC KEY-----\n";

static const char public_384[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEd0NEfaecDlV3C7ixHEElit+2iylFC/Gc\n"
    "OGAkHzXfTL8QjYmNTj1UD4EgGrfiJI9+0BQDdWumVPsIpXRc2jkY/TxHZAFxwEKC\n"
    "/UrjCYyww24k1KveJRhLXV1xdECccBZd\n"
    "-----END PUBLIC KEY-----\n";

static const char public_521[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA2Kp4Wy4PwimK2sojfqJDvAqMylAO\n"
    "Uls/ZvLCLewOwgBxBKLVU7i0+SzhFOWWgpm7BXqNJaO+HD+c56iqP/1zSbUBNqrf\n"
    "Dz/bzWnSMczp0o2EGaHdmeOhFCOureLiiZbh+tcq8N/NS5joVhISbc6ZOAeuouQm\n"
    "un/+3OMB5dxBge/iSz8=\n"
    "-----END PUBLIC KEY-----\n";

/* Over the bytes "any bytes". */
static const char signature_256[] =
    "MEUCIQCibLzlzH/yojPWLUPp04GXyB+s2beHkhF5KBTrUacqbgIgCcGanLR1hMSqe2NKa4tK"
    "eETJHoq35cNWufVtNyoenck=";
static const char signature_384[] =
    "MGUCMQCmdWwmPvPCWzjK6m8CL+b/k1Y8yWo4/cj9YIvVexTWvznVHg7UNxxRyjIiuX6pfR4C"
    "MBk8erlO/opRrDmgWtzZwn9uxTeEoTsNlyfuY9dyGTYbgsWjpWqHbvAl/Wcy0huUNQ==";
static const char key_id_256[] =
    "c8813c4ad35cbb7c1e79ca068d91a27cb069cfc40ccdb1c5c930d8360b1a4181";

struct f {
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_buf key;
    struct swki_buf public_key;
    struct swki_buf signature;
};

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static int set_up(void **state)
{
    static struct f f;

    swki_rng_init(&f.rng, 5);
    f.entropy = (struct swk_entropy){sizeof(f.entropy), &f.rng, fill};
    swki_buf_init(&f.key, NULL, SIZE_MAX);
    swki_buf_init(&f.public_key, NULL, SIZE_MAX);
    swki_buf_init(&f.signature, NULL, SIZE_MAX);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->key);
    swki_buf_fini(&f->public_key);
    swki_buf_fini(&f->signature);
    return 0;
}

static struct swki_verifiers *verifiers_of(struct swki_pem keys)
{
    struct swki_verifiers *v = NULL;

    assert_int_equal(swki_verifiers_new(NULL, keys, &v, NULL), SWK_OK);
    return v;
}

static bool holds(const struct swki_verifiers *v, size_t index,
                  const char *base64, const char *data)
{
    uint8_t bytes[SWKI_SIGNATURE_SIZE_MAX];
    size_t len = 0;

    assert_true(swki_base64_decode(base64, strlen(base64), bytes, &len));
    return swki_verifiers_check(v, swki_verifiers_id(v, index), data,
                                strlen(data), bytes, len);
}

static void keys_and_signatures_of_openssl_serve(void **state)
{
    char both[1024];
    char hex[SWKI_SHA256_HEX_LEN + 1];
    struct swki_verifiers *v;

    (void)state;
    snprintf(both, sizeof(both), "# operators\n%s\nbob:\n%s", public_256,
             public_384);
    v = verifiers_of(swki_pem_of(both));
    assert_int_equal(swki_verifiers_count(v), 2);
    swki_sha256_hex(swki_verifiers_id(v, 0), hex);
    assert_string_equal(hex, key_id_256);
    assert_true(holds(v, 0, signature_256, "any bytes"));
    assert_true(holds(v, 1, signature_384, "any bytes"));
    assert_false(holds(v, 0, signature_256, "any bytez"));
    assert_false(holds(v, 1, signature_256, "any bytes"));
    assert_false(holds(v, 0, signature_384, "any bytes"));
    swki_verifiers_free(v);
}

static void a_private_key_of_openssl_signs(void **state)
{
    struct f *f = *state;
    struct swki_verifiers *v = verifiers_of(swki_pem_of(public_256));
    uint8_t id[SWKI_KEY_ID_SIZE];

    assert_int_equal(swki_signature_make(swki_pem_of(private_256), "data", 4,
                                         &f->entropy, &f->signature, id, NULL),
                     SWK_OK);
    assert_true(swki_verifiers_know(v, id, sizeof(id)));
    assert_false(swki_verifiers_know(v, id, sizeof(id) - 1));
    assert_true(swki_verifiers_check(v, id, "data", 4, f->signature.data,
                                     f->signature.len));
    assert_int_equal(swki_signing_key_public(swki_pem_of(private_256),
                                             &f->entropy, &f->public_key, NULL),
                     SWK_OK);
    assert_int_equal(f->public_key.len, strlen(public_256));
    assert_memory_equal(f->public_key.data, public_256, f->public_key.len);
    swki_verifiers_free(v);
}

static void new_keys_sign_on_either_curve(void **state)
{
    static const enum swki_curve curves[] = {SWKI_CURVE_P256, SWKI_CURVE_P384};
    struct f *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct swki_verifiers *v;
        uint8_t id[SWKI_KEY_ID_SIZE];

        swki_buf_clear(&f->key);
        swki_buf_clear(&f->public_key);
        swki_buf_clear(&f->signature);
        assert_int_equal(
            swki_signing_key_generate(curves[i], &f->entropy, &f->key, NULL),
            SWK_OK);
        assert_int_equal(swki_signing_key_public(swki_pem_of_buf(&f->key),
                                                 &f->entropy, &f->public_key,
                                                 NULL),
                         SWK_OK);
        assert_int_equal(swki_signature_make(swki_pem_of_buf(&f->key), "data",
                                             4, &f->entropy, &f->signature, id,
                                             NULL),
                         SWK_OK);
        v = verifiers_of(swki_pem_of_buf(&f->public_key));
        assert_true(swki_verifiers_check(v, id, "data", 4, f->signature.data,
                                         f->signature.len));
        swki_verifiers_free(v);
    }
}

static void every_damage_to_a_signature_shows(void **state)
{
    struct f *f = *state;
    struct swki_verifiers *v = verifiers_of(swki_pem_of(public_256));
    uint8_t id[SWKI_KEY_ID_SIZE];

    assert_int_equal(swki_signature_make(swki_pem_of(private_256), "data", 4,
                                         &f->entropy, &f->signature, id, NULL),
                     SWK_OK);
    for (size_t i = 0; i < f->signature.len; i++) {
        f->signature.data[i] ^= 1;
        assert_false(swki_verifiers_check(v, id, "data", 4, f->signature.data,
                                          f->signature.len));
        f->signature.data[i] ^= 1;
        assert_false(
            swki_verifiers_check(v, id, "data", 4, f->signature.data, i));
    }
    swki_verifiers_free(v);
}

static void anything_but_usable_public_keys_is_refused(void **state)
{
    static const char damaged[] = "-----BEGIN PUBLIC KEY-----\nMFkw\n"
                                  "-----END PUBLIC KEY-----\n";
    const struct {
        const char *why;
        const char *text;
        int rc;
    } cases[] = {
        {"nothing", "", SWK_EMALFORMED},
        {"no PEM", "some words", SWK_EMALFORMED},
        {"a private key", private_256, SWK_EINVAL},
        {"another curve", public_521, SWK_EINVAL},
        {"damaged", damaged, SWK_EMALFORMED},
        {"cut off", "-----BEGIN PUBLIC KEY-----\nMFkw", SWK_EMALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_verifiers *v = NULL;
        struct swk_error err;
        int rc = swki_verifiers_new(NULL, swki_pem_of(cases[i].text), &v, &err);

        if (rc != cases[i].rc || v != NULL) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void a_set_of_keys_has_a_limit(void **state)
{
    size_t len = strlen(public_256);
    struct swki_verifiers *v = NULL;
    struct swki_buf many;

    (void)state;
    swki_buf_init(&many, NULL, SIZE_MAX);
    for (int i = 0; i < SWKI_VERIFIERS_MAX; i++) {
        swki_buf_append(&many, public_256, len);
    }
    v = verifiers_of(swki_pem_of_buf(&many));
    swki_verifiers_free(v);
    v = NULL;
    swki_buf_append(&many, public_256, len);
    assert_int_equal(swki_verifiers_new(NULL, swki_pem_of_buf(&many), &v, NULL),
                     SWK_EINVAL);
    assert_null(v);
    swki_buf_fini(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_signatures_of_openssl_serve),
        cmocka_unit_test_setup_teardown(a_private_key_of_openssl_signs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(new_keys_sign_on_either_curve, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_damage_to_a_signature_shows,
                                        set_up, tear_down),
        cmocka_unit_test(anything_but_usable_public_keys_is_refused),
        cmocka_unit_test(a_set_of_keys_has_a_limit),
    };

    return cmocka_run_group_tests_name("signing_key", tests, NULL, NULL);
}
