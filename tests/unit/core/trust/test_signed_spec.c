/* SPDX-License-Identifier: Apache-2.0 */

/* Keys and specs through the public header. */

#include "lib/cmocka_all.h"

#include <swarmkit/message.h>
#include <swarmkit/signed_spec.h>

#include "base/rng.h"
#include "specs.pb-c.h"

#define NOW (INT64_C(1893456000) * INT64_C(1000000000))

struct f {
    struct swki_rng rng;
    struct swk_entropy entropy;
    swk_signing_key *key;
    uint8_t spec[64];
    size_t spec_len;
};

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static swk_signing_key *make_key(struct f *f, const char *pem,
                                 const char *password)
{
    struct swk_signing_key_config config = SWK_SIGNING_KEY_CONFIG_INIT;
    swk_signing_key *key = NULL;

    config.pem = pem;
    config.pem_len = pem != NULL ? strlen(pem) : 0;
    config.password = password;
    config.password_len = password != NULL ? strlen(password) : 0;
    config.entropy = &f->entropy;
    assert_int_equal(swk_signing_key_new(&config, &key, NULL), SWK_OK);
    return key;
}

static int set_up(void **state)
{
    static struct f f;
    Swkpb__ServiceSpec spec = SWKPB__SERVICE_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;
    Swkpb__TaskSpec task = SWKPB__TASK_SPEC__INIT;

    swki_rng_init(&f.rng, 4);
    f.entropy = (struct swk_entropy){sizeof(f.entropy), &f.rng, fill};
    annotations.name = (char *)"web";
    spec.annotations = &annotations;
    spec.task = &task;
    f.spec_len = protobuf_c_message_pack(&spec.base, f.spec);
    f.key = make_key(&f, NULL, NULL);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_signing_key_free(f->key);
    return 0;
}

static int verify(const swk_signing_key *key, const char *swarm_id,
                  swk_wall now, const uint8_t *spec, size_t len)
{
    struct swk_spec_trust trust = SWK_SPEC_TRUST_INIT;
    char key_id[SWK_SIGNING_KEY_ID_LEN + 1];
    int rc;

    trust.public_keys = swk_signing_key_public(key);
    trust.swarm_id = swarm_id;
    trust.now = now;
    rc = swk_spec_verify(&trust, spec, len, key_id, NULL);
    if (rc == SWK_OK) {
        assert_string_equal(key_id, swk_signing_key_id(key));
    }
    return rc;
}

static void a_signed_spec_verifies_by_its_terms(void **state)
{
    struct f *f = *state;
    struct swk_spec_terms terms = SWK_SPEC_TERMS_INIT;
    uint8_t *data;
    size_t len;

    terms.swarm_id = "swarm1";
    terms.signed_at = NOW;
    terms.not_after = NOW + 5;
    assert_int_equal(
        swk_spec_sign(f->key, &terms, f->spec, f->spec_len, &data, &len, NULL),
        SWK_OK);
    assert_int_equal(verify(f->key, "swarm1", NOW, data, len), SWK_OK);
    assert_int_equal(verify(f->key, NULL, NOW, data, len), SWK_OK);
    assert_int_equal(verify(f->key, "swarm2", NOW, data, len), SWK_EDENIED);
    assert_int_equal(verify(f->key, NULL, NOW + 6, data, len), SWK_EDENIED);
    assert_int_equal(verify(f->key, NULL, NOW, f->spec, f->spec_len),
                     SWK_EDENIED);
    assert_int_equal(verify(f->key, NULL, NOW, data, len - 1), SWK_EMALFORMED);
    swk_message_data_free(data, len);
}

static void a_kept_key_is_the_same_key(void **state)
{
    struct f *f = *state;
    swk_signing_key *again = make_key(f, swk_signing_key_private(f->key), NULL);

    assert_string_equal(swk_signing_key_id(again), swk_signing_key_id(f->key));
    swk_signing_key_free(again);
}

static void a_sealed_key_opens_with_its_password_alone(void **state)
{
    struct f *f = *state;
    struct swk_signing_key_config config = SWK_SIGNING_KEY_CONFIG_INIT;
    swk_signing_key *sealed = make_key(f, NULL, "secret");
    const char *pem = swk_signing_key_private(sealed);
    swk_signing_key *again = make_key(f, pem, "secret");
    swk_signing_key *none = NULL;

    assert_string_equal(swk_signing_key_id(again), swk_signing_key_id(sealed));
    assert_int_equal(swk_signing_key_is_sealed(pem, strlen(pem)), 1);
    assert_int_equal(
        swk_signing_key_is_sealed(swk_signing_key_private(f->key),
                                  strlen(swk_signing_key_private(f->key))),
        0);
    config.pem = pem;
    config.pem_len = strlen(pem);
    config.entropy = &f->entropy;
    assert_int_equal(swk_signing_key_new(&config, &none, NULL), SWK_EDENIED);
    config.password = "secrets";
    config.password_len = 7;
    assert_int_equal(swk_signing_key_new(&config, &none, NULL), SWK_EDENIED);
    assert_null(none);
    swk_signing_key_free(again);
    swk_signing_key_free(sealed);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct f *f = *state;
    struct swk_signing_key_config config = SWK_SIGNING_KEY_CONFIG_INIT;
    struct swk_spec_terms terms = SWK_SPEC_TERMS_INIT;
    swk_signing_key *key = NULL;
    uint8_t *data = NULL;
    size_t len;

    assert_int_equal(swk_signing_key_new(NULL, &key, NULL), SWK_EINVAL);
    assert_int_equal(swk_signing_key_new(&config, &key, NULL), SWK_EINVAL);
    config.entropy = &f->entropy;
    config.curve = 2;
    assert_int_equal(swk_signing_key_new(&config, &key, NULL), SWK_EINVAL);
    config.curve = 0;
    config.pem = "no key";
    config.pem_len = 6;
    assert_int_equal(swk_signing_key_new(&config, &key, NULL), SWK_EMALFORMED);
    assert_null(key);
    assert_int_equal(
        swk_spec_sign(f->key, &terms, "\xff", 1, &data, &len, NULL),
        SWK_EMALFORMED);
    assert_int_equal(swk_spec_sign(f->key, &terms, "", 0, &data, &len, NULL),
                     SWK_EINVAL);
    assert_int_equal(
        swk_spec_sign(NULL, &terms, f->spec, f->spec_len, &data, &len, NULL),
        SWK_EINVAL);
    assert_null(data);
    swk_signing_key_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_spec_verifies_by_its_terms),
        TEST(a_kept_key_is_the_same_key),
        TEST(a_sealed_key_opens_with_its_password_alone),
        TEST(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests_name("signed_spec", tests, NULL, NULL);
}
