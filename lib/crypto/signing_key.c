/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/signing_key.h"

#include <string.h>

#include <mbedtls/pem.h>
#include <mbedtls/platform.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/mbed.h"

enum {
    PUBLIC_DER_SIZE = 256, /* P-384 takes 120 */
    DIGEST_SIZE_MAX = 64,
};

struct verifier {
    uint8_t id[SWKI_KEY_ID_SIZE];
    mbedtls_pk_context key;
};

struct swki_verifiers {
    const struct swk_alloc *alloc;
    size_t count;
    struct verifier list[SWKI_VERIFIERS_MAX];
};

/* -- Keys ----------------------------------------------------------------- */

static bool serves(const mbedtls_pk_context *key)
{
    mbedtls_ecp_group_id curve = swki_mbed_curve(key);

    return curve == MBEDTLS_ECP_DP_SECP256R1 ||
           curve == MBEDTLS_ECP_DP_SECP384R1;
}

/* The DER of the public half, at the end of the buffer. */
static int write_public(const mbedtls_pk_context *key,
                        uint8_t buf[PUBLIC_DER_SIZE], const uint8_t **out_der,
                        size_t *out_len, struct swk_error *err)
{
    int len = mbedtls_pk_write_pubkey_der((mbedtls_pk_context *)key, buf,
                                          PUBLIC_DER_SIZE);

    if (len <= 0) {
        return swki_fail(err, SWK_EINVAL, "public key cannot be written");
    }
    *out_der = buf + PUBLIC_DER_SIZE - len;
    *out_len = (size_t)len;
    return SWK_OK;
}

static int identify(const mbedtls_pk_context *key,
                    uint8_t out_id[SWKI_KEY_ID_SIZE], struct swk_error *err)
{
    uint8_t buf[PUBLIC_DER_SIZE];
    const uint8_t *der = NULL;
    size_t len = 0;
    int rc = write_public(key, buf, &der, &len, err);

    if (rc == SWK_OK && !swki_sha256(der, len, out_id)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

static int parse_private(mbedtls_pk_context *key, struct swki_pem pem,
                         struct swk_entropy *entropy, struct swk_error *err)
{
    int rc = swki_mbed_parse_key(key, pem, entropy, err);

    if (rc == SWK_OK && !serves(key)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "the key is not one of ECDSA on P-256 or P-384");
    }
    return rc;
}

int swki_signing_key_generate(enum swki_curve curve,
                              const struct swk_entropy *entropy,
                              struct swki_buf *out_pem, struct swk_error *err)
{
    return swki_mbed_generate(curve == SWKI_CURVE_P384
                                  ? MBEDTLS_ECP_DP_SECP384R1
                                  : MBEDTLS_ECP_DP_SECP256R1,
                              entropy, out_pem, err);
}

int swki_signing_key_public(struct swki_pem key_pem,
                            const struct swk_entropy *entropy,
                            struct swki_buf *out_pem, struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    uint8_t buf[PUBLIC_DER_SIZE];
    mbedtls_pk_context key;
    const uint8_t *der = NULL;
    size_t len = 0;
    int rc;

    mbedtls_pk_init(&key);
    rc = parse_private(&key, key_pem, &source, err);
    if (rc == SWK_OK) {
        rc = write_public(&key, buf, &der, &len, err);
    }
    if (rc == SWK_OK) {
        rc = swki_mbed_write_pem("PUBLIC KEY", der, len, out_pem, err);
    }
    mbedtls_pk_free(&key);
    return rc;
}

/* -- Signing -------------------------------------------------------------- */

static bool digest_with(mbedtls_md_type_t type, const void *data, size_t len,
                        uint8_t out_hash[DIGEST_SIZE_MAX], size_t *out_len)
{
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(type);

    if (info == NULL || mbedtls_md(info, data, len, out_hash) != 0) {
        return false;
    }
    *out_len = mbedtls_md_get_size(info);
    return true;
}

int swki_signature_make(struct swki_pem key_pem, const void *data, size_t len,
                        const struct swk_entropy *entropy,
                        struct swki_buf *out_signature,
                        uint8_t out_key_id[SWKI_KEY_ID_SIZE],
                        struct swk_error *err)
{
    struct swk_entropy source = *entropy;
    uint8_t id[SWKI_KEY_ID_SIZE];
    mbedtls_pk_context key;
    int rc;

    mbedtls_pk_init(&key);
    rc = parse_private(&key, key_pem, &source, err);
    if (rc == SWK_OK) {
        rc = identify(&key, id, err);
    }
    if (rc == SWK_OK) {
        rc = swki_mbed_sign_data(&key, data, len, &source, out_signature, err);
    }
    mbedtls_pk_free(&key);
    if (rc == SWK_OK) {
        memcpy(out_key_id, id, sizeof(id));
    }
    return rc;
}

/* -- Sets of keys --------------------------------------------------------- */

static int add_verifier(struct swki_verifiers *v, const char *text,
                        size_t *out_used, struct swk_error *err)
{
    struct verifier *verifier = &v->list[v->count];
    mbedtls_pem_context pem;
    int rc = SWK_OK;

    if (v->count == SWKI_VERIFIERS_MAX) {
        return swki_fail(err, SWK_EINVAL, "more than %d public keys",
                         SWKI_VERIFIERS_MAX);
    }
    mbedtls_pem_init(&pem);
    mbedtls_pk_init(&verifier->key);
    v->count++; /* to be released */
    if (mbedtls_pem_read_buffer(
            &pem, "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----",
            (const unsigned char *)text, NULL, 0, out_used) != 0 ||
        mbedtls_pk_parse_public_key(&verifier->key, pem.buf, pem.buflen) != 0) {
        rc = swki_fail(err, SWK_EMALFORMED, "public key %zu cannot be read",
                       v->count);
    } else if (!serves(&verifier->key)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "public key %zu is not one of ECDSA on P-256 or P-384",
                       v->count);
    } else {
        rc = identify(&verifier->key, verifier->id, err);
    }
    mbedtls_pem_free(&pem);
    return rc;
}

static int read_keys(struct swki_verifiers *v, const char *text,
                     struct swk_error *err)
{
    static const char begin[] = "-----BEGIN ";
    static const char wanted[] = "-----BEGIN PUBLIC KEY-----";

    while ((text = strstr(text, begin)) != NULL) {
        size_t used;
        int rc;

        if (strncmp(text, wanted, sizeof(wanted) - 1) != 0) {
            return swki_fail(err, SWK_EINVAL,
                             "something else than public keys among them");
        }
        rc = add_verifier(v, text, &used, err);
        if (rc != SWK_OK) {
            return rc;
        }
        text += used;
    }
    return v->count > 0 ? SWK_OK
                        : swki_fail(err, SWK_EMALFORMED, "no public key found");
}

int swki_verifiers_new(const struct swk_alloc *alloc, struct swki_pem keys,
                       struct swki_verifiers **out_verifiers,
                       struct swk_error *err)
{
    struct swki_verifiers *v;
    unsigned char *text;
    int rc;

    if (keys.text == NULL || keys.len > SWKI_PEM_LEN_MAX) {
        return swki_fail(err, SWK_EMALFORMED, "no public keys, or too many");
    }
    v = swki_calloc(alloc, 1, sizeof(*v));
    text = swki_mbed_pem_text(keys);
    if (v == NULL || text == NULL) {
        rc = swki_fail_nomem(err);
    } else {
        v->alloc = alloc;
        rc = read_keys(v, (const char *)text, err);
    }
    mbedtls_free(text);
    if (rc != SWK_OK) {
        swki_verifiers_free(v);
        return rc;
    }
    *out_verifiers = v;
    return SWK_OK;
}

void swki_verifiers_free(struct swki_verifiers *v)
{
    if (v == NULL) {
        return;
    }
    for (size_t i = 0; i < v->count; i++) {
        mbedtls_pk_free(&v->list[i].key);
    }
    swki_free(v->alloc, v);
}

size_t swki_verifiers_count(const struct swki_verifiers *v)
{
    return v->count;
}

const uint8_t *swki_verifiers_id(const struct swki_verifiers *v, size_t index)
{
    return v->list[index].id;
}

static const struct verifier *find(const struct swki_verifiers *v,
                                   const void *key_id)
{
    for (size_t i = 0; i < v->count; i++) {
        if (memcmp(v->list[i].id, key_id, SWKI_KEY_ID_SIZE) == 0) {
            return &v->list[i];
        }
    }
    return NULL;
}

bool swki_verifiers_know(const struct swki_verifiers *v, const void *key_id,
                         size_t key_id_len)
{
    return key_id_len == SWKI_KEY_ID_SIZE && find(v, key_id) != NULL;
}

bool swki_verifiers_check(const struct swki_verifiers *v,
                          const uint8_t key_id[SWKI_KEY_ID_SIZE],
                          const void *data, size_t len, const void *signature,
                          size_t signature_len)
{
    const struct verifier *verifier = find(v, key_id);
    uint8_t hash[DIGEST_SIZE_MAX];
    mbedtls_md_type_t type;
    size_t hash_len = 0;

    if (verifier == NULL || signature_len > SWKI_SPEC_SIGNATURE_SIZE_MAX) {
        return false;
    }
    type = swki_mbed_digest_of(&verifier->key);
    return digest_with(type, data, len, hash, &hash_len) &&
           mbedtls_pk_verify((mbedtls_pk_context *)&verifier->key, type, hash,
                             hash_len, signature, signature_len) == 0;
}
