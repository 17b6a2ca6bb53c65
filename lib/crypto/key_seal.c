/* SPDX-License-Identifier: Apache-2.0 */

/* Private keys under a password: PKCS #8 with PBES2 (RFC 8018), in the one
 * form that swarms write, and its neighbours that other tools write. */

#include <string.h>

#include <mbedtls/aes.h>
#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/platform.h>
#include <mbedtls/version.h>

#include "base/error.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/mbed.h"

enum {
    CIPHER_KEY_SIZE = 32,
    BLOCK_SIZE = 16,
    SALT_SIZE = 8,
    SALT_SIZE_MAX = 64,
    ITERATIONS = 2048, /* for passwords that are random keys */
    ITERATIONS_SLOW = 600 * 1000,
    ITERATIONS_MAX = 10 * 1000 * 1000,
    DER_SIZE = 1024, /* of a key, plain or sealed */
};

static const char oid_aes_256_cbc[] = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a";

/* How a key is sealed; what it points to is borrowed. */
struct scheme {
    uint8_t salt[SALT_SIZE_MAX];
    size_t salt_len;
    int iterations;
    mbedtls_md_type_t digest; /* of the HMAC */
    uint8_t iv[BLOCK_SIZE];
};

static int derive_with(const struct scheme *scheme, const void *password,
                       size_t password_len, uint8_t out_key[CIPHER_KEY_SIZE])
{
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_md_context_t md;
    int rc;

    mbedtls_md_init(&md);
    rc = mbedtls_md_setup(&md, mbedtls_md_info_from_type(scheme->digest), 1);
    if (rc == 0) {
        rc = mbedtls_pkcs5_pbkdf2_hmac(
            &md, password, password_len, scheme->salt, scheme->salt_len,
            (unsigned)scheme->iterations, CIPHER_KEY_SIZE, out_key);
    }
    mbedtls_md_free(&md);
    return rc;
#else
    return mbedtls_pkcs5_pbkdf2_hmac_ext(
        scheme->digest, password, password_len, scheme->salt, scheme->salt_len,
        (unsigned)scheme->iterations, CIPHER_KEY_SIZE, out_key);
#endif
}

/* Whole blocks, in place. */
static int crypt_blocks(const struct scheme *scheme, int mode,
                        const void *password, size_t password_len,
                        uint8_t *data, size_t len, struct swk_error *err)
{
    uint8_t key[CIPHER_KEY_SIZE];
    uint8_t iv[BLOCK_SIZE];
    mbedtls_aes_context aes;
    int rc = derive_with(scheme, password, password_len, key);

    mbedtls_aes_init(&aes);
    memcpy(iv, scheme->iv, sizeof(iv));
    if (rc == 0) {
        rc = mode == MBEDTLS_AES_ENCRYPT
                 ? mbedtls_aes_setkey_enc(&aes, key, CIPHER_KEY_SIZE * 8)
                 : mbedtls_aes_setkey_dec(&aes, key, CIPHER_KEY_SIZE * 8);
    }
    if (rc == 0) {
        rc = mbedtls_aes_crypt_cbc(&aes, mode, len, iv, data, data);
    }
    mbedtls_aes_free(&aes);
    swki_wipe(key, sizeof(key));
    return rc == 0 ? SWK_OK : swki_fail_nomem(err);
}

/* The DER behind a PEM label, into a buffer of DER_SIZE. */
static int read_der(struct swki_pem pem, const char *begin, const char *end,
                    uint8_t *out_der, size_t *out_len, struct swk_error *err)
{
    mbedtls_pem_context context;
    unsigned char *text;
    size_t used;
    int rc;

    if (pem.text == NULL || pem.len > SWKI_PEM_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "no key, or one too long");
    }
    text = swki_mbed_pem_text(pem);
    if (text == NULL) {
        return swki_fail_nomem(err);
    }
    mbedtls_pem_init(&context);
    rc = mbedtls_pem_read_buffer(&context, begin, end, text, NULL, 0, &used);
    if (rc == 0 && context.buflen <= DER_SIZE) {
        memcpy(out_der, context.buf, context.buflen);
        *out_len = context.buflen;
    } else {
        rc = swki_fail(err, SWK_EMALFORMED, "private key cannot be read");
    }
    mbedtls_pem_free(&context); /* which wipes it */
    swki_wipe(text, pem.len);
    mbedtls_free(text);
    return rc;
}

/* -- Sealing -------------------------------------------------------------- */

static void put_scheme(struct swki_buf *der, const struct scheme *scheme)
{
    const uint8_t iterations[] = {(uint8_t)(scheme->iterations >> 16),
                                  (uint8_t)(scheme->iterations >> 8),
                                  (uint8_t)scheme->iterations};
    size_t algorithm = swki_der_open(der, SWKI_DER_SEQUENCE);
    size_t options;
    size_t part;
    size_t inner;

    swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_PKCS5_PBES2,
                 sizeof(MBEDTLS_OID_PKCS5_PBES2) - 1);
    options = swki_der_open(der, SWKI_DER_SEQUENCE);
    part = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_PKCS5_PBKDF2,
                 sizeof(MBEDTLS_OID_PKCS5_PBKDF2) - 1);
    inner = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OCTET_STRING, scheme->salt, scheme->salt_len);
    swki_der_put_number(der, iterations, sizeof(iterations));
    if (scheme->digest != MBEDTLS_MD_SHA1) { /* else it goes without saying */
        size_t hmac = swki_der_open(der, SWKI_DER_SEQUENCE);

        swki_der_put(der, SWKI_DER_OID, MBEDTLS_OID_HMAC_SHA256,
                     sizeof(MBEDTLS_OID_HMAC_SHA256) - 1);
        swki_der_put(der, MBEDTLS_ASN1_NULL, NULL, 0);
        swki_der_close(der, hmac);
    }
    swki_der_close(der, inner);
    swki_der_close(der, part);
    part = swki_der_open(der, SWKI_DER_SEQUENCE);
    swki_der_put(der, SWKI_DER_OID, oid_aes_256_cbc,
                 sizeof(oid_aes_256_cbc) - 1);
    swki_der_put(der, SWKI_DER_OCTET_STRING, scheme->iv, BLOCK_SIZE);
    swki_der_close(der, part);
    swki_der_close(der, options);
    swki_der_close(der, algorithm);
}

static int write_sealed(const struct scheme *scheme, const uint8_t *data,
                        size_t len, struct swki_buf *out_pem,
                        struct swk_error *err)
{
    struct swki_buf der;
    size_t outer;
    int rc;

    swki_buf_init(&der, NULL, SIZE_MAX);
    outer = swki_der_open(&der, SWKI_DER_SEQUENCE);
    put_scheme(&der, scheme);
    swki_der_put(&der, SWKI_DER_OCTET_STRING, data, len);
    swki_der_close(&der, outer);
    rc = der.failed ? swki_fail_nomem(err)
                    : swki_mbed_write_pem("ENCRYPTED PRIVATE KEY", der.data,
                                          der.len, out_pem, err);
    swki_buf_fini(&der);
    return rc;
}

static int seal_with(struct scheme scheme, struct swki_pem key,
                     const void *password, size_t password_len,
                     const struct swk_entropy *entropy,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    uint8_t der[DER_SIZE + BLOCK_SIZE];
    struct swki_buf plain;
    size_t len = 0;
    int rc;

    swki_buf_init(&plain, NULL, SWKI_PEM_LEN_MAX);
    if (swki_buf_reserve(&plain, 2 * DER_SIZE) == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_key_convert(key, entropy, &plain, err);
    if (rc == 0) {
        rc = read_der(swki_pem_of_buf(&plain), "-----BEGIN PRIVATE KEY-----",
                      "-----END PRIVATE KEY-----", der, &len, err);
    }
    if (rc == 0 &&
        (entropy->fill(entropy->ctx, scheme.salt, scheme.salt_len) != 0 ||
         entropy->fill(entropy->ctx, scheme.iv, BLOCK_SIZE) != 0)) {
        rc = swki_fail(err, SWK_EIO, "no entropy to seal a key with");
    }
    if (rc == 0) {
        size_t padding = BLOCK_SIZE - len % BLOCK_SIZE;

        memset(der + len, (int)padding, padding);
        len += padding;
        rc = crypt_blocks(&scheme, MBEDTLS_AES_ENCRYPT, password, password_len,
                          der, len, err);
    }
    if (rc == 0) {
        rc = write_sealed(&scheme, der, len, out_pem, err);
    }
    swki_wipe(der, sizeof(der));
    swki_wipe(plain.data, plain.size);
    swki_buf_fini(&plain);
    return rc;
}

int swki_key_seal(struct swki_pem key, const void *password,
                  size_t password_len, const struct swk_entropy *entropy,
                  struct swki_buf *out_pem, struct swk_error *err)
{
    const struct scheme scheme = {
        .salt_len = SALT_SIZE,
        .iterations = ITERATIONS,
        .digest = MBEDTLS_MD_SHA1,
    };

    return seal_with(scheme, key, password, password_len, entropy, out_pem,
                     err);
}

int swki_key_seal_slowly(struct swki_pem key, const void *password,
                         size_t password_len, const struct swk_entropy *entropy,
                         struct swki_buf *out_pem, struct swk_error *err)
{
    const struct scheme scheme = {
        .salt_len = SALT_SIZE * 2,
        .iterations = ITERATIONS_SLOW,
        .digest = MBEDTLS_MD_SHA256,
    };

    return seal_with(scheme, key, password, password_len, entropy, out_pem,
                     err);
}

/* -- Opening -------------------------------------------------------------- */

/* Bytes that are being read. */
struct bytes {
    unsigned char *at;
    const unsigned char *end;
};

/* Enters the element that comes next: inner covers it, outer is behind it. */
static bool enter(struct bytes *outer, int tag, struct bytes *inner)
{
    size_t len;

    if (mbedtls_asn1_get_tag(&outer->at, outer->end, &len, tag) != 0) {
        return false;
    }
    inner->at = outer->at;
    inner->end = outer->at + len;
    outer->at += len;
    return true;
}

static bool enter_sequence(struct bytes *outer, struct bytes *inner)
{
    return enter(outer, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
                 inner);
}

static bool take_oid(struct bytes *from, const char *oid, size_t oid_len)
{
    struct bytes found;

    return enter(from, MBEDTLS_ASN1_OID, &found) &&
           (size_t)(found.end - found.at) == oid_len &&
           memcmp(found.at, oid, oid_len) == 0;
}

static bool take_octets(struct bytes *from, uint8_t *out_data, size_t min,
                        size_t max, size_t *out_len)
{
    struct bytes found;

    if (!enter(from, MBEDTLS_ASN1_OCTET_STRING, &found)) {
        return false;
    }
    *out_len = (size_t)(found.end - found.at);
    if (*out_len < min || *out_len > max) {
        return false;
    }
    memcpy(out_data, found.at, *out_len);
    return true;
}

/* The HMAC's digest, which is SHA-1 when nothing is said. */
static bool take_digest(struct bytes *from, struct scheme *scheme)
{
    struct bytes algorithm;

    scheme->digest = MBEDTLS_MD_SHA1;
    if (from->at == from->end) {
        return true;
    }
    if (!enter_sequence(from, &algorithm)) {
        return false;
    }

    struct bytes again = algorithm;
    if (take_oid(&again, MBEDTLS_OID_HMAC_SHA1,
                 sizeof(MBEDTLS_OID_HMAC_SHA1) - 1)) {
        return true;
    }
    scheme->digest = MBEDTLS_MD_SHA256;
    return take_oid(&algorithm, MBEDTLS_OID_HMAC_SHA256,
                    sizeof(MBEDTLS_OID_HMAC_SHA256) - 1);
}

static bool take_derivation(struct bytes *options, struct scheme *scheme)
{
    struct bytes part;
    struct bytes inner;
    int key_size = CIPHER_KEY_SIZE;

    if (!enter_sequence(options, &part) ||
        !take_oid(&part, MBEDTLS_OID_PKCS5_PBKDF2,
                  sizeof(MBEDTLS_OID_PKCS5_PBKDF2) - 1) ||
        !enter_sequence(&part, &inner) ||
        !take_octets(&inner, scheme->salt, 1, SALT_SIZE_MAX,
                     &scheme->salt_len) ||
        mbedtls_asn1_get_int(&inner.at, inner.end, &scheme->iterations) != 0 ||
        scheme->iterations < 1 || scheme->iterations > ITERATIONS_MAX) {
        return false;
    }
    if (inner.at < inner.end && *inner.at == MBEDTLS_ASN1_INTEGER &&
        mbedtls_asn1_get_int(&inner.at, inner.end, &key_size) != 0) {
        return false;
    }
    return key_size == CIPHER_KEY_SIZE && take_digest(&inner, scheme);
}

static bool take_cipher(struct bytes *options, struct scheme *scheme)
{
    struct bytes part;
    size_t len;

    return enter_sequence(options, &part) &&
           take_oid(&part, oid_aes_256_cbc, sizeof(oid_aes_256_cbc) - 1) &&
           take_octets(&part, scheme->iv, BLOCK_SIZE, BLOCK_SIZE, &len);
}

/* Takes the outer form apart; what is sealed goes to the front of der. */
static bool take_sealed(uint8_t *der, size_t *len, struct scheme *scheme)
{
    struct bytes all = {der, der + *len};
    struct bytes outer;
    struct bytes algorithm;
    struct bytes options;
    struct bytes data;

    if (!enter_sequence(&all, &outer) || !enter_sequence(&outer, &algorithm) ||
        !take_oid(&algorithm, MBEDTLS_OID_PKCS5_PBES2,
                  sizeof(MBEDTLS_OID_PKCS5_PBES2) - 1) ||
        !enter_sequence(&algorithm, &options) ||
        !take_derivation(&options, scheme) || !take_cipher(&options, scheme) ||
        !enter(&outer, MBEDTLS_ASN1_OCTET_STRING, &data)) {
        return false;
    }
    *len = (size_t)(data.end - data.at);
    memmove(der, data.at, *len);
    return *len > 0 && *len % BLOCK_SIZE == 0;
}

static bool remove_padding(const uint8_t *data, size_t *len)
{
    size_t padding = data[*len - 1];

    if (padding == 0 || padding > BLOCK_SIZE) {
        return false;
    }
    for (size_t i = 1; i <= padding; i++) {
        if (data[*len - i] != padding) {
            return false;
        }
    }
    *len -= padding;
    return true;
}

/* A wrong password leaves bytes that are no key. */
static int write_opened(const uint8_t *der, size_t len,
                        const struct swk_entropy *entropy,
                        struct swki_buf *out_pem, struct swk_error *err)
{
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, SWKI_PEM_LEN_MAX);
    if (swki_buf_reserve(&pem, 2 * DER_SIZE) == NULL) {
        return swki_fail_nomem(err);
    }
    rc = swki_mbed_write_pem("PRIVATE KEY", der, len, &pem, err);
    if (rc == 0) {
        rc = swki_key_convert(swki_pem_of_buf(&pem), entropy, out_pem, err);
        if (rc != 0 && rc != SWK_ENOMEM) {
            rc = swki_fail(err, SWK_EDENIED, "not the password of the key");
        }
    }
    swki_wipe(pem.data, pem.size);
    swki_buf_fini(&pem);
    return rc;
}

int swki_key_unseal(struct swki_pem sealed, const void *password,
                    size_t password_len, const struct swk_entropy *entropy,
                    struct swki_buf *out_pem, struct swk_error *err)
{
    struct scheme scheme;
    uint8_t der[DER_SIZE];
    size_t len = 0;
    int rc = read_der(sealed, "-----BEGIN ENCRYPTED PRIVATE KEY-----",
                      "-----END ENCRYPTED PRIVATE KEY-----", der, &len, err);

    if (rc != 0) {
        return rc;
    }
    if (!take_sealed(der, &len, &scheme)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "the key is sealed in a way that is not known");
    }
    rc = crypt_blocks(&scheme, MBEDTLS_AES_DECRYPT, password, password_len, der,
                      len, err);
    if (rc == 0 && !remove_padding(der, &len)) {
        rc = swki_fail(err, SWK_EDENIED, "not the password of the key");
    }
    if (rc == 0) {
        rc = write_opened(der, len, entropy, out_pem, err);
    }
    swki_wipe(der, sizeof(der));
    return rc;
}

bool swki_key_is_sealed(struct swki_pem key)
{
    static const char begin[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

    return key.text != NULL &&
           memmem(key.text, key.len, begin, sizeof(begin) - 1) != NULL;
}
