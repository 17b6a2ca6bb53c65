/* SPDX-License-Identifier: Apache-2.0 */

/* The bytes of the log: checksums, headers, records, and every flipped bit. */

#include "lib/cmocka_all.h"

#include "runtime/file/crc32c.h"
#include "runtime/file/format.h"

static const struct swki_segment_header segment = {.id = 3,
                                                   .salt = 0x123456789abcdef0,
                                                   .first_sequence = 17,
                                                   .chain = 99,
                                                   .state = {4, 5, 6},
                                                   .snapshot = {7, 2},
                                                   .base = {8, 3}};

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
    uint8_t bytes[SWKI_SEGMENT_HEADER_SIZE];
    struct swki_segment_header header;

    (void)state;
    swki_segment_header_encode(&segment, bytes);
    assert_int_equal(swki_segment_header_decode(bytes, &header), 0);
    assert_int_equal(header.id, 3);
    assert_int_equal(header.salt, segment.salt);
    assert_int_equal(header.first_sequence, 17);
    assert_int_equal(header.chain, 99);
    assert_memory_equal(&header.state, &segment.state, sizeof(header.state));
    assert_memory_equal(&header.snapshot, &segment.snapshot,
                        sizeof(header.snapshot));
    assert_memory_equal(&header.base, &segment.base, sizeof(header.base));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(swki_segment_header_decode(bytes, &header),
                         SWK_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void reseal(uint8_t *bytes, size_t crc_at)
{
    uint32_t crc = swki_crc32c(0, bytes, crc_at);

    for (size_t i = 0; i < 4; i++) {
        bytes[crc_at + i] = (uint8_t)(crc >> (8 * i));
    }
}

static void later_versions_and_flags_are_not_supported(void **state)
{
    uint8_t log[SWKI_SEGMENT_HEADER_SIZE];
    struct swki_segment_header header;

    (void)state;
    for (size_t at = 8; at <= 9; at++) {
        swki_segment_header_encode(&segment, log);
        log[at]++;
        reseal(log, sizeof(log) - 4);
        assert_int_equal(swki_segment_header_decode(log, &header), SWK_ENOTSUP);
    }
}

/* An append of a hard state and two entries, sealed for offset 512. */
static size_t make_record(uint8_t *bytes, size_t size)
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
    size_t payload_len = swki_append_size(&hard, entries, 2);

    memset(bytes, 0xee, size);
    swki_record_begin(bytes, SWKI_RECORD_APPEND, payload_len);
    swki_append_encode(bytes + SWKI_RECORD_HEADER_SIZE, &hard, entries, 2);
    swki_record_seal(bytes, &segment, 512, 17, 99, 512);
    return swki_record_size(payload_len);
}

static void an_append_comes_back(void **state)
{
    uint8_t bytes[256];
    size_t size = make_record(bytes, sizeof(bytes));
    struct swki_record record;
    struct swki_append_reader reader;
    struct swk_log_entry entry;

    (void)state;
    assert_true(
        swki_record_decode(bytes, sizeof(bytes), &segment, 512, &record));
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

static void a_record_belongs_to_its_place_alone(void **state)
{
    uint8_t bytes[256];
    struct swki_segment_header other = segment;
    struct swki_record record;

    (void)state;
    make_record(bytes, sizeof(bytes));
    assert_false(
        swki_record_decode(bytes, sizeof(bytes), &segment, 520, &record));
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
    uint8_t bytes[256];
    size_t size = make_record(bytes, sizeof(bytes));
    struct swki_record record;

    (void)state;
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(
            swki_record_decode(bytes, sizeof(bytes), &segment, 512, &record));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < size; len++) {
        assert_false(swki_record_decode(bytes, len, &segment, 512, &record));
    }
}

static void a_malformed_payload_is_never_read_beyond(void **state)
{
    uint8_t bytes[256];
    size_t size = make_record(bytes, sizeof(bytes));
    const uint8_t *payload = bytes + SWKI_RECORD_HEADER_SIZE;

    (void)state;
    for (size_t len = 0; len < size - SWKI_RECORD_HEADER_SIZE; len++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_known_values),
        cmocka_unit_test(crc32c_is_the_same_without_the_processor),
        cmocka_unit_test(a_segment_header_comes_back),
        cmocka_unit_test(later_versions_and_flags_are_not_supported),
        cmocka_unit_test(an_append_comes_back),
        cmocka_unit_test(a_record_belongs_to_its_place_alone),
        cmocka_unit_test(no_flipped_bit_or_short_record_is_accepted),
        cmocka_unit_test(a_malformed_payload_is_never_read_beyond),
        cmocka_unit_test(an_append_beyond_a_gibibyte_is_refused),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
