/* SPDX-License-Identifier: Apache-2.0 */

/* Base 64: the vectors of RFC 4648, and what is refused. */

#include "lib/cmocka_all.h"

#include "base/base64.h"

static const struct {
    const char *data;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void encode_writes_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t len = strlen(vectors[i].data);
        char text[16] = {0};

        assert_int_equal(swki_base64_len(len), strlen(vectors[i].text));
        swki_base64_encode(vectors[i].data, len, text);
        assert_string_equal(text, vectors[i].text);
    }
}

static void decode_reads_them_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint8_t data[16];
        size_t len = 99;

        assert_true(swki_base64_decode(vectors[i].text, strlen(vectors[i].text),
                                       data, &len));
        assert_int_equal(len, strlen(vectors[i].data));
        assert_memory_equal(data, vectors[i].data, len);
    }
}

static void every_byte_comes_back(void **state)
{
    uint8_t all[256];
    uint8_t again[258];
    char text[344];
    size_t len;

    (void)state;
    for (int i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    swki_base64_encode(all, sizeof(all), text);
    assert_int_equal(swki_base64_len(sizeof(all)), sizeof(text));
    assert_true(swki_base64_decode(text, sizeof(text), again, &len));
    assert_int_equal(len, sizeof(all));
    assert_memory_equal(all, again, len);
}

static void decode_refuses_damage(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"no padding", "Zg"},           {"half the padding", "Zg="},
        {"padding alone", "===="},      {"too much padding", "Z==="},
        {"padding inside", "Zg==Zg=="}, {"a digit after padding", "Zg=g"},
        {"white space", "Zm9v\n"},      {"URL alphabet", "-_-_"},
        {"bits left over", "Zh=="},     {"bits left over", "Zm9="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t data[16];
        size_t len = 99;

        if (swki_base64_decode(cases[i].text, strlen(cases[i].text), data,
                               &len) ||
            len != 99) {
            fail_msg("%s", cases[i].why);
        }
    }
    assert_false(swki_base64_decode("Zm\0v", 4, (uint8_t[3]){0}, &(size_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_writes_the_vectors_of_the_rfc),
        cmocka_unit_test(decode_reads_them_back),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(decode_refuses_damage),
    };

    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
