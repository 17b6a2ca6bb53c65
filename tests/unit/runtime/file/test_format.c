/* SPDX-License-Identifier: Apache-2.0 */

/* The bytes of the log: checksums, headers, records, and every flipped bit. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "runtime/file/crc32c.h"
#include "runtime/file/format.h"

/* A segment, sealed or not. */
struct f {
    struct swki_keyring ring;
    struct swki_seal seal;
    struct swki_seal other;
    struct swki_segment_header segment;
    struct swki_session session;
};

static const uint8_t key[SWKI_SEAL_KEY_SIZE] = {1};
static const uint8_t other_key[SWKI_SEAL_KEY_SIZE] = {2};

static int make(void **state, bool sealed)
{
    struct f *f = calloc(1, sizeof(*f));

    swki_keyring_init(&f->ring, NULL, sealed ? key : NULL, other_key);
    assert_int_equal(swki_keyring_seal(&f->ring, 0, &f->seal), 0);
    assert_int_equal(swki_keyring_seal(&f->ring, 1, &f->other), 0);
    f->segment = (struct swki_segment_header){.id = 3,
                                              .salt = 0x123456789abcdef0,
                                              .first_sequence = 17,
                                              .chain = 99,
                                              .state = {4, 5, 6},
                                              .snapshot = {7, 2},
                                              .base = {8, 3},
                                              .lost = 21,
                                              .cut = 22,
                                              .generation = 23,
                                              .nonce_salt = 24,
                                              .sealed = sealed,
                                              .identity_len = 2,
                                              .identity = "me"};
    f->session = (struct swki_session){.segment = &f->segment,
                                       .seal = &f->seal,
                                       .nonce_salt = 24,
                                       .first_sequence = 17};
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return make(state, false);
}

static int set_up_sealed(void **state)
{
    return make(state, true);
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_seal_fini(&f->seal);
    swki_seal_fini(&f->other);
    swki_keyring_fini(&f->ring);
    free(f);
    return 0;
}

static void crc32c_gives_the_known_values(void **state)
{
    uint8_t bytes[32];

    (void)state;
    assert_int_equal(swki_crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof(bytes)); /* RFC 3720, B.4 */
    assert_int_equal(swki_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(swki_crc32c(0, bytes, 32), 0x62a8ab43);
    assert_int_equal(swki_crc32c(swki_crc32c(0, "1234", 4), "56789", 5),
                     0xe3069283);
}

static void crc32c_is_the_same_without_the_processor(void **state)
{
    uint8_t bytes[100];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37);
        for (size_t from = 0; from < 9 && from <= i; from++) {
            assert_int_equal(swki_crc32c(5, bytes + from, i - from),
                             swki_crc32c_portable(5, bytes + from, i - from));
        }
    }
}

static void a_segment_header_comes_back(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[SWKI_BOUND_AT];
    struct swki_segment_header header;

    swki_segment_header_encode(&f->segment, &f->seal, bytes);
    assert_int_equal(swki_segment_header_decode(bytes, sizeof(bytes), &header),
                     0);
    assert_int_equal(header.id, 3);
    assert_int_equal(header.salt, f->segment.salt);
    assert_int_equal(header.first_sequence, 17);
    assert_int_equal(header.chain, 99);
    assert_memory_equal(&header.state, &f->segment.state, sizeof(header.state));
    assert_memory_equal(&header.snapshot, &f->segment.snapshot,
                        sizeof(header.snapshot));
    assert_memory_equal(&header.base, &f->segment.base, sizeof(header.base));
    assert_int_equal(header.lost, 21);
    assert_int_equal(header.cut, 22);
    assert_int_equal(header.generation, 23);
    assert_int_equal(header.nonce_salt, 24);
    assert_int_equal(header.sealed, f->segment.sealed);
    assert_int_equal(header.identity_len, 2);
    assert_memory_equal(header.identity, "me", 2);
}

static void no_flipped_bit_of_a_header_is_accepted(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[SWKI_BOUND_AT];
    struct swki_segment_header header;

    swki_segment_header_encode(&f->segment, &f->seal, bytes);
    for (size_t bit = 0; bit < (SWKI_SEGMENT_HEADER_SIZE + 2) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            swki_segment_header_decode(bytes, sizeof(bytes), &header),
            SWK_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* Makes the CRC of a header or a bound right again. */
static void mend(uint8_t *bytes, size_t identity_len)
{
    uint32_t crc = swki_crc32c(0, bytes, 508);

    crc = swki_crc32c(crc, bytes + 512, identity_len);
    for (size_t i = 0; i < 4; i++) {
        bytes[508 + i] = (uint8_t)(crc >> (8 * i));
    }
}

static void no_forged_header_is_accepted(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[SWKI_BOUND_AT];
    struct swki_segment_header header;

    for (size_t at = 16; f->segment.sealed && at < 514; at++) {
        at = at == 136 ? 140 : at; /* length of the identity */
        at = at == 508 ? 512 : at;
        swki_segment_header_encode(&f->segment, &f->seal, bytes);
        bytes[at] ^= 1;
        mend(bytes, 2);
        assert_int_equal(
            swki_segment_header_decode(bytes, sizeof(bytes), &header), 0);
        assert_false(swki_segment_header_open(bytes, &header, &f->seal));
        bytes[at] ^= 1;
        assert_true(swki_segment_header_open(bytes, &header, &f->seal) ||
                    (at >= 128 && at < 136)); /* the decoded salt is wrong */
    }
}

static void other_versions_and_flags_are_not_supported(void **state)
{
    const struct f *f = *state;
    uint8_t log[SWKI_BOUND_AT];
    struct swki_segment_header header;

    for (uint8_t version = 1; version < 6; version++) {
        swki_segment_header_encode(&f->segment, &f->seal, log);
        log[8] = version;
        mend(log, version == 3 ? 2 : 0);
        assert_int_equal(swki_segment_header_decode(
                             log, version == 3 ? sizeof(log) : 512, &header),
                         version == 3 ? 0 : SWK_ENOTSUP);
    }
    swki_segment_header_encode(&f->segment, &f->seal, log);
    log[9] = 2;
    mend(log, 2);
    assert_int_equal(swki_segment_header_decode(log, sizeof(log), &header),
                     SWK_ENOTSUP);
}

static void a_bound_comes_back_or_not_at_all(void **state)
{
    const struct f *f = *state;
    const struct swki_bound bound = {.count = 1,
                                     .id = 2,
                                     .salt = 3,
                                     .synced = 4,
                                     .index = 5,
                                     .state = {6, 7, 8},
                                     .snapshot = {9, 10},
                                     .followed = true,
                                     .nonce_salt = 11,
                                     .nonce_count = 12};
    uint8_t bytes[SWKI_BOUND_SIZE];
    struct swki_bound found;

    memset(&found, 0, sizeof(found));
    swki_bound_encode(&bound, &f->seal, bytes);
    assert_true(swki_bound_decode(bytes, &f->seal, &found));
    assert_int_equal(found.count, 1);
    assert_int_equal(found.id, 2);
    assert_int_equal(found.salt, 3);
    assert_int_equal(found.synced, 4);
    assert_int_equal(found.index, 5);
    assert_memory_equal(&found.state, &bound.state, sizeof(found.state));
    assert_memory_equal(&found.snapshot, &bound.snapshot,
                        sizeof(found.snapshot));
    assert_true(found.followed);
    assert_false(swki_bound_decode(bytes, &f->other, &found));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(swki_bound_decode(bytes, &f->seal, &found));
        if (f->segment.sealed && bit / 8 < 508) {
            mend(bytes, 0);
            assert_false(swki_bound_decode(bytes, &f->seal, &found));
        }
        swki_bound_encode(&bound, &f->seal, bytes);
    }
}

/* An append of a hard state and two entries, complete for offset 512. */
static size_t make_record(const struct f *f, uint8_t *bytes, size_t size)
{
    const struct swk_hard_state hard = {9, 8, 7};
    const struct swk_log_entry entries[] = {
        {.index = 5,
         .term = 9,
         .type = 2,
         .data = (const uint8_t *)"abc",
         .data_len = 3},
        {.index = 6, .term = 9},
    };
    const struct swki_record place = {
        .sequence = 17, .chain = 99, .synced = 512};
    size_t payload_len = swki_append_size(&hard, entries, 2);

    memset(bytes, 0xee, size);
    swki_record_begin(bytes, SWKI_RECORD_APPEND, payload_len,
                      f->segment.sealed);
    swki_append_encode(bytes + SWKI_RECORD_HEADER_SIZE, &hard, entries, 2);
    swki_record_finish(bytes, &f->session, 512, &place);
    return swki_record_size(payload_len, f->segment.sealed);
}

static void an_append_comes_back(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[256];
    size_t size = make_record(f, bytes, sizeof(bytes));
    struct swki_record record;
    struct swki_append_reader reader;
    struct swk_log_entry entry;

    assert_true(
        swki_record_decode(bytes, sizeof(bytes), &f->segment, 512, &record));
    assert_true(swki_record_open(bytes, &f->session, 512, &record));
    assert_int_equal(record.size, size);
    assert_int_equal(record.sequence, 17);
    assert_int_equal(record.chain, 99);
    assert_int_equal(record.synced, 512);
    assert_true(swki_append_read(&reader, record.payload, record.payload_len));
    assert_true(reader.has_state);
    assert_int_equal(reader.state.vote, 8);
    assert_int_equal(reader.entries_left, 2);
    assert_true(swki_append_next(&reader, &entry));
    assert_int_equal(entry.index, 5);
    assert_int_equal(entry.type, 2);
    assert_memory_equal(entry.data, "abc", 3);
    assert_true(swki_append_next(&reader, &entry));
    assert_int_equal(entry.index, 6);
    assert_null(entry.data);
    assert_int_equal(reader.entries_left, 0);
}

static void a_sealed_record_shows_nothing_of_its_payload(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[256];
    size_t size = make_record(f, bytes, sizeof(bytes));

    assert_int_equal(memmem(bytes, size, "abc", 3) != NULL, !f->segment.sealed);
}

/* R-DSK-6 */
static void a_record_belongs_to_its_place_alone(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[256];
    struct swki_segment_header other = f->segment;
    struct swki_record record;

    make_record(f, bytes, sizeof(bytes));
    assert_false(
        swki_record_decode(bytes, sizeof(bytes), &f->segment, 520, &record));
    other.id++;
    assert_false(
        swki_record_decode(bytes, sizeof(bytes), &other, 512, &record));
    other.id--;
    other.salt ^= UINT64_C(1) << 40;
    assert_false(
        swki_record_decode(bytes, sizeof(bytes), &other, 512, &record));
}

static void no_flipped_bit_or_short_record_is_accepted(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[256];
    size_t size = make_record(f, bytes, sizeof(bytes));
    struct swki_record record;

    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(swki_record_decode(bytes, sizeof(bytes), &f->segment, 512,
                                        &record));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < size; len++) {
        assert_false(swki_record_decode(bytes, len, &f->segment, 512, &record));
    }
}

/* Makes the CRC of a record right again. */
static void mend_record(const struct f *f, uint8_t *bytes, size_t size,
                        uint64_t offset)
{
    const uint64_t place[] = {f->segment.salt, f->segment.id, offset};
    uint8_t encoded[24];

    for (size_t i = 0; i < sizeof(encoded); i++) {
        encoded[i] = (uint8_t)(place[i / 8] >> (8 * (i % 8)));
    }
    uint32_t crc = swki_crc32c(0, encoded, sizeof(encoded));
    crc = swki_crc32c(crc, bytes, 28);
    crc = swki_crc32c(crc, bytes + 32, size - 32);
    for (size_t i = 0; i < 4; i++) {
        bytes[28 + i] = (uint8_t)(crc >> (8 * i));
    }
}

/* Whoever can write to the disk can make any CRC right (R-DSK-6). */
static void no_forged_record_is_opened(void **state)
{
    const struct f *f = *state;
    uint8_t original[256];
    size_t size = make_record(f, original, sizeof(original));
    uint8_t bytes[256];
    struct swki_record record;

    if (!f->segment.sealed) {
        return;
    }
    for (size_t bit = 32; bit < size * 8; bit++) {
        size_t at = bit / 8;
        bool is_length = at >= 8 && at < 12;

        if (is_length || (at >= 28 && at < 32)) {
            continue;
        }
        memcpy(bytes, original, sizeof(bytes));
        bytes[at] ^= (uint8_t)(1 << bit % 8);
        mend_record(f, bytes, size, 512);
        assert_true(swki_record_decode(bytes, sizeof(bytes), &f->segment, 512,
                                       &record));
        assert_false(swki_record_open(bytes, &f->session, 512, &record));
    }
    memcpy(bytes, original, sizeof(bytes));
    swki_record_decode(bytes, sizeof(bytes), &f->segment, 512, &record);
    struct swki_session other = f->session;
    other.seal = &f->other;
    assert_false(swki_record_open(bytes, &other, 512, &record));
}

static void a_malformed_payload_is_never_read_beyond(void **state)
{
    const struct f *f = *state;
    uint8_t bytes[256];
    const uint8_t *payload = bytes + SWKI_RECORD_HEADER_SIZE;
    struct swki_record record;

    make_record(f, bytes, sizeof(bytes));
    swki_record_decode(bytes, sizeof(bytes), &f->segment, 512, &record);
    assert_true(swki_record_open(bytes, &f->session, 512, &record));
    for (size_t len = 0; len <= record.payload_len; len++) {
        struct swki_append_reader reader;
        struct swk_log_entry entry;
        bool good = swki_append_read(&reader, payload, len);

        while (good && reader.entries_left > 0) {
            good = swki_append_next(&reader, &entry);
        }
        assert_int_equal(good, len == 8 + 24 + 2 * 24 + 3);
    }
}

static void an_append_beyond_a_gibibyte_is_refused(void **state)
{
    const struct swk_log_entry entries[] = {
        {.index = 1, .term = 1, .data_len = SWKI_RECORD_PAYLOAD_MAX / 2},
        {.index = 2, .term = 1, .data_len = SWKI_RECORD_PAYLOAD_MAX / 2},
        {.index = 3, .term = 1, .data_len = SIZE_MAX},
    };

    (void)state;
    assert_int_not_equal(swki_append_size(NULL, entries, 1), 0);
    assert_int_equal(swki_append_size(NULL, entries, 2), 0);
    assert_int_equal(swki_append_size(NULL, entries + 2, 1), 0);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down),              \
    {                                                                          \
#function " (sealed)", function, set_up_sealed, tear_down, NULL        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_known_values),
        cmocka_unit_test(crc32c_is_the_same_without_the_processor),
        TEST(a_segment_header_comes_back),
        TEST(no_flipped_bit_of_a_header_is_accepted),
        TEST(no_forged_header_is_accepted),
        TEST(other_versions_and_flags_are_not_supported),
        TEST(a_bound_comes_back_or_not_at_all),
        TEST(an_append_comes_back),
        TEST(a_sealed_record_shows_nothing_of_its_payload),
        TEST(a_record_belongs_to_its_place_alone),
        TEST(no_flipped_bit_or_short_record_is_accepted),
        TEST(no_forged_record_is_opened),
        TEST(a_malformed_payload_is_never_read_beyond),
        cmocka_unit_test(an_append_beyond_a_gibibyte_is_refused),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
