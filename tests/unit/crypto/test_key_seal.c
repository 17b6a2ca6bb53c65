/* SPDX-License-Identifier: Apache-2.0 */

/* Private keys under a password: our own, those of another tool, and damage. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/crypto/pki.h"

/* Made by "openssl ecparam -name prime256v1 -genkey", and sealed by "openssl
 * pkcs8 -topk8 -v2 aes-256-cbc" with -v2prf hmacWithSHA1 -iter 2048, and
 * hmacWithSHA256 -iter 10000. */
#define PASSWORD "open-sesame"
static const char plain[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgez5iD8OAEGXiutpq\n"
    "/RpiBIygPnqyz8yB+5ZeRL29MyyhRANCAAQ/3FHQLMlXMHYOvMbHuR6clXAHzMv/\n"
    "1JpeBfTK3oYOieJyOjN6WqOwA1il0TpFL6cnCIZpY+EI9htpYw5C/u+r\n"
    "-----END PRIVATE KEY-----\n";
static const char by_sha1[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAhyM96UQFEDkAICCAAw\n"
    "HQYJYIZIAWUDBAEqBBDPQoeoHvYfS7381mUzT8BuBIGQUuXerptptDFgg7fAHVSE\n"
    "OLw9TPQMgWGbdzkQVQvxt2UTTVFE2SuZBAe9ZKwAf+suZijEJhl3bP99yCVGJhkr\n"
    "JCa62AHoaFmdPzzQmhSLKtNBbnurxkB+FV95Nrp5yhtKswqPC/R4nlyHDGfItdRK\n"
    "gISXVnoYDkfaptNFVVKjkcuKw2GE8xL/Mwq4zTD6p5n+\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char by_sha256[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjWCBcC2yHjxQICJxAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAoxwyjwqRcqRH6jG3RWQqEEgZAe\n"
    "z9p3vlBZY6qMzmNVR1uOIXUFUGzBZ271WYOEYTVciPVombYx7rFuxLI4VmPRngFn\n"
    "uCMxAnwI1bQA4A6xjh830xaCo9CxqTNquUqHHTxIp6/QnlVUupUOs37Yak+S7D2g\n"
    "tMI0x7vd7r4Mlw2RftpVmAB0plT4wQFwxSFGlNu+C3XtkvTeqZwYZ+aj+aKDTRM=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

struct f {
    struct pki pki;
    struct swki_buf sealed;
    struct swki_buf opened;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 21);
    swki_buf_init(&f->sealed, NULL, SWKI_PEM_LEN_MAX);
    swki_buf_init(&f->opened, NULL, SWKI_PEM_LEN_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->sealed);
    swki_buf_fini(&f->opened);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static int unseal(struct f *f, struct swki_pem sealed, const char *password)
{
    struct swk_error err = {0};
    int rc;

    swki_buf_clear(&f->opened);
    rc = swki_key_unseal(sealed, password, strlen(password), &f->pki.entropy,
                         &f->opened, &err);
    assert_int_equal(err.code, rc);
    return rc;
}

/* Our form of the key has its curve twice, so that it is a little longer. */
static void assert_plain(const struct f *f)
{
    struct swki_buf ours;

    swki_buf_init(&ours, NULL, SWKI_PEM_LEN_MAX);
    assert_int_equal(swki_key_convert(swki_pem_of(plain), &f->pki.entropy,
                                      &ours, NULL),
                     0);
    assert_int_equal(f->opened.len, ours.len);
    assert_memory_equal(f->opened.data, ours.data, ours.len);
    swki_buf_fini(&ours);
}

static void keys_of_another_tool_are_opened(void **state)
{
    struct f *f = *state;

    assert_int_equal(unseal(f, swki_pem_of(by_sha1), PASSWORD), 0);
    assert_plain(f);
    assert_int_equal(unseal(f, swki_pem_of(by_sha256), PASSWORD), 0);
    assert_plain(f);
}

static void what_is_sealed_opens_with_its_password_alone(void **state)
{
    struct f *f = *state;

    assert_int_equal(swki_key_seal(swki_pem_of(plain), PASSWORD,
                                   strlen(PASSWORD), &f->pki.entropy,
                                   &f->sealed, NULL),
                     0);
    assert_true(swki_key_is_sealed(swki_pem_of_buf(&f->sealed)));
    assert_false(swki_key_is_sealed(swki_pem_of(plain)));
    assert_int_equal(unseal(f, swki_pem_of_buf(&f->sealed), PASSWORD), 0);
    assert_plain(f);
    for (int i = 0; i < 50; i++) {
        char wrong[16];

        snprintf(wrong, sizeof(wrong), "wrong%d", i);
        assert_int_equal(unseal(f, swki_pem_of_buf(&f->sealed), wrong),
                         SWK_EDENIED);
        assert_int_equal(f->opened.len, 0);
    }
}

static void passwords_of_people_are_made_slow_to_guess(void **state)
{
    struct f *f = *state;

    assert_int_equal(swki_key_seal_slowly(swki_pem_of(plain), PASSWORD,
                                          strlen(PASSWORD), &f->pki.entropy,
                                          &f->sealed, NULL),
                     0);
    assert_true(swki_key_is_sealed(swki_pem_of_buf(&f->sealed)));
    assert_int_equal(unseal(f, swki_pem_of_buf(&f->sealed), PASSWORD), 0);
    assert_plain(f);
    assert_int_equal(unseal(f, swki_pem_of_buf(&f->sealed), "wrong"),
                     SWK_EDENIED);
}

static void no_two_seals_are_alike(void **state)
{
    struct f *f = *state;
    struct swki_buf again;

    swki_buf_init(&again, NULL, SWKI_PEM_LEN_MAX);
    assert_int_equal(swki_key_seal(swki_pem_of(plain), "p", 1, &f->pki.entropy,
                                   &f->sealed, NULL),
                     0);
    assert_int_equal(swki_key_seal(swki_pem_of(plain), "p", 1, &f->pki.entropy,
                                   &again, NULL),
                     0);
    assert_int_equal(again.len, f->sealed.len);
    assert_memory_not_equal(again.data, f->sealed.data, again.len);
    swki_buf_fini(&again);
}

static void damage_is_no_key(void **state)
{
    struct f *f = *state;
    char text[sizeof(by_sha1)];

    /* Every character in turn: none may crash it, hardly any may pass. */
    for (size_t i = 0; i < sizeof(by_sha1) - 1; i++) {
        int rc;

        memcpy(text, by_sha1, sizeof(text));
        text[i] = text[i] == 'A' ? 'B' : 'A';
        rc = unseal(f, swki_pem_of(text), PASSWORD);
        assert_true(rc == SWK_EDENIED || rc == SWK_EMALFORMED || rc == 0);
    }
    for (size_t len = 0; len + 2 < sizeof(by_sha1); len++) {
        const struct swki_pem cut = {by_sha1, len};

        assert_int_equal(unseal(f, cut, PASSWORD), SWK_EMALFORMED);
    }
    assert_int_equal(unseal(f, swki_pem_of(plain), PASSWORD), SWK_EMALFORMED);
    assert_int_equal(swki_key_seal(swki_pem_of("none"), "p", 1,
                                   &f->pki.entropy, &f->sealed, NULL),
                     SWK_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_of_another_tool_are_opened, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_sealed_opens_with_its_password_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            passwords_of_people_are_made_slow_to_guess, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_two_seals_are_alike, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(damage_is_no_key, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("key_seal", tests, NULL, NULL);
}
