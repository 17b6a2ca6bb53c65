/* SPDX-License-Identifier: Apache-2.0 */

/* Digests and sealing: published vectors, and every way to damage a box. */

#include "lib/cmocka_all.h"

#include "crypto/aead.h"
#include "crypto/digest.h"

static void digest_is_that_of_the_standard(void **state)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    char hex[SWKI_SHA256_HEX_LEN + 1];

    (void)state;
    assert_true(swki_sha256("abc", 3, digest));
    swki_sha256_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
                             "b00361a396177a9cb410ff61f20015ad");
    assert_true(swki_sha256("", 0, digest));
    swki_sha256_hex(digest, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb924"
                             "27ae41e4649b934ca495991b7852b855");
}

static void comparison_sees_any_byte(void **state)
{
    uint8_t a[33] = {0};
    uint8_t b[33] = {0};

    (void)state;
    assert_true(swki_ct_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] = 1;
        assert_false(swki_ct_equal(a, b, sizeof(a)));
        b[i] = 0;
    }
}

static void comparison_of_texts_sees_length_and_content(void **state)
{
    (void)state;
    assert_true(swki_ct_equal_text("", ""));
    assert_true(swki_ct_equal_text("abc", "abc"));
    assert_false(swki_ct_equal_text("abc", "abd"));
    assert_false(swki_ct_equal_text("abc", "ab"));
    assert_false(swki_ct_equal_text("", "a"));
}

static void wiping_leaves_zeros(void **state)
{
    char secret[8] = "secret";
    static const char zeros[8];

    (void)state;
    swki_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zeros, sizeof(secret));
    swki_wipe(NULL, 0);
}

static const uint8_t key[SWKI_AEAD_KEY_SIZE];
static const uint8_t nonce[SWKI_AEAD_NONCE_SIZE];
static const struct swki_aead plain_aead = {.key = key, .nonce = nonce};

/* Test case 14 of the GCM specification. */
static void seal_is_that_of_the_standard(void **state)
{
    static const uint8_t zeros[16];
    static const uint8_t expected[] = {
        0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5,
        0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99,
        0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
    struct swki_buf sealed;

    (void)state;
    swki_buf_init(&sealed, NULL, SIZE_MAX);
    assert_int_equal(
        swki_aead_seal(&plain_aead, zeros, sizeof(zeros), &sealed, NULL), 0);
    assert_int_equal(sealed.len, sizeof(expected));
    assert_memory_equal(sealed.data, expected, sizeof(expected));
    swki_buf_fini(&sealed);
}

static void open_returns_what_was_sealed(void **state)
{
    const struct swki_aead aead = {key, nonce, "header", 6};
    struct swki_buf sealed;
    struct swki_buf opened;

    (void)state;
    swki_buf_init(&sealed, NULL, SIZE_MAX);
    swki_buf_init(&opened, NULL, SIZE_MAX);
    assert_int_equal(swki_aead_seal(&aead, "hello", 5, &sealed, NULL), 0);
    assert_int_equal(
        swki_aead_open(&aead, sealed.data, sealed.len, &opened, NULL), 0);
    assert_int_equal(opened.len, 5);
    assert_memory_equal(opened.data, "hello", 5);
    /* Nothing sealed is something, too. */
    swki_buf_clear(&sealed);
    swki_buf_clear(&opened);
    assert_int_equal(swki_aead_seal(&aead, NULL, 0, &sealed, NULL), 0);
    assert_int_equal(
        swki_aead_open(&aead, sealed.data, sealed.len, &opened, NULL), 0);
    assert_int_equal(opened.len, 0);
    swki_buf_fini(&opened);
    swki_buf_fini(&sealed);
}

static void open_refuses_every_damage(void **state)
{
    const struct swki_aead aead = {key, nonce, "header", 6};
    const struct swki_aead other = {key, nonce, "heater", 6};
    struct swki_buf sealed;
    struct swki_buf opened;

    (void)state;
    swki_buf_init(&sealed, NULL, SIZE_MAX);
    swki_buf_init(&opened, NULL, SIZE_MAX);
    assert_int_equal(swki_aead_seal(&aead, "hello", 5, &sealed, NULL), 0);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(
            swki_aead_open(&aead, sealed.data, sealed.len, &opened, NULL),
            SWK_ECORRUPT);
        sealed.data[i] ^= 1;
        assert_int_equal(swki_aead_open(&aead, sealed.data, i, &opened, NULL),
                         SWK_ECORRUPT);
    }
    assert_int_equal(
        swki_aead_open(&other, sealed.data, sealed.len, &opened, NULL),
        SWK_ECORRUPT);
    assert_int_equal(opened.len, 0);
    swki_buf_fini(&opened);
    swki_buf_fini(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_is_that_of_the_standard),
        cmocka_unit_test(comparison_sees_any_byte),
        cmocka_unit_test(comparison_of_texts_sees_length_and_content),
        cmocka_unit_test(wiping_leaves_zeros),
        cmocka_unit_test(seal_is_that_of_the_standard),
        cmocka_unit_test(open_returns_what_was_sealed),
        cmocka_unit_test(open_refuses_every_damage),
    };

    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
