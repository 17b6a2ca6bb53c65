/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of a storage: which is used, and what opens with which. */

#include "lib/cmocka_all.h"

#include "runtime/file/seal.h"

static const uint8_t first[SWKI_SEAL_KEY_SIZE] = {1};
static const uint8_t second[SWKI_SEAL_KEY_SIZE] = {2};
static const struct swki_seal_frame frame = {
    .salt = 7, .count = 9, .extra = (const uint8_t *)"place", .extra_len = 5};

static struct swki_seal seal_of(struct swki_keyring *ring, size_t which)
{
    struct swki_seal seal = {.cipher = NULL};

    assert_int_equal(swki_keyring_seal(ring, which, &seal), 0);
    return seal;
}

static void no_key_makes_no_seal(void **state)
{
    struct swki_keyring ring;

    (void)state;
    swki_keyring_init(&ring, NULL, NULL, NULL);
    struct swki_seal seal = seal_of(&ring, 0);
    uint8_t data[4] = "abc";
    static const uint8_t tag[SWKI_SEAL_TAG_SIZE];

    assert_int_equal(swki_keyring_newest(&ring), 0);
    assert_null(seal.cipher);
    assert_int_equal(seal.number, 0);
    assert_false(swki_seal_open(&seal, &frame, data, sizeof(data), tag));
    swki_seal_fini(&seal);
    swki_keyring_fini(&ring);
}

static void the_key_before_opens_what_it_sealed(void **state)
{
    struct swki_keyring ring;
    uint8_t data[4] = "abc";
    uint8_t tag[SWKI_SEAL_TAG_SIZE];

    (void)state;
    swki_keyring_init(&ring, NULL, first, NULL);
    struct swki_seal seal = seal_of(&ring, 0);
    const uint32_t number = seal.number;

    swki_seal_close(&seal, &frame, data, sizeof(data), tag);
    assert_memory_not_equal(data, "abc", sizeof(data));
    swki_seal_fini(&seal);

    assert_false(swki_keyring_add(&ring, first));
    assert_true(swki_keyring_add(&ring, second));
    assert_int_equal(swki_keyring_newest(&ring), number + 1);
    struct swki_seal newest = seal_of(&ring, 0);
    struct swki_seal before = seal_of(&ring, 1);
    uint8_t copy[sizeof(data)];

    assert_int_equal(before.number, number);
    memcpy(copy, data, sizeof(data));
    assert_false(swki_seal_open(&newest, &frame, copy, sizeof(copy), tag));
    assert_true(swki_seal_open(&before, &frame, data, sizeof(data), tag));
    assert_memory_equal(data, "abc", sizeof("abc"));
    swki_seal_fini(&newest);
    swki_seal_fini(&before);
    swki_keyring_fini(&ring);
}

static void a_seal_holds_for_one_place(void **state)
{
    struct swki_keyring ring;
    uint8_t sealed[4] = "abc";
    uint8_t tag[SWKI_SEAL_TAG_SIZE];
    struct swki_seal_frame others[] = {frame, frame, frame, frame};

    (void)state;
    others[0].salt++;
    others[1].count++;
    others[2].extra = (const uint8_t *)"Place";
    others[3].extra_len--;
    swki_keyring_init(&ring, NULL, first, second);
    struct swki_seal seal = seal_of(&ring, 0);

    swki_seal_close(&seal, &frame, sealed, sizeof(sealed), tag);
    for (size_t i = 0; i < 4; i++) {
        uint8_t copy[sizeof(sealed)];

        memcpy(copy, sealed, sizeof(copy));
        assert_false(
            swki_seal_open(&seal, &others[i], copy, sizeof(copy), tag));
    }
    assert_true(swki_seal_open(&seal, &frame, sealed, sizeof(sealed), tag));
    swki_seal_fini(&seal);
    swki_keyring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_makes_no_seal),
        cmocka_unit_test(the_key_before_opens_what_it_sealed),
        cmocka_unit_test(a_seal_holds_for_one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
