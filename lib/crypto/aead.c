/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/aead.h"

#include <assert.h>

#include <mbedtls/gcm.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/digest.h"

static int set_key(mbedtls_gcm_context *gcm, const struct swki_aead *aead,
                   struct swk_error *err)
{
    if (mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, aead->key,
                           SWKI_AEAD_KEY_SIZE * 8) != 0) {
        return swki_fail_nomem(err);
    }
    return SWK_OK;
}

/* Room for len bytes at the end of buf, not yet counted. */
static int make_room(struct swki_buf *buf, size_t len, uint8_t **out_room,
                     struct swk_error *err)
{
    *out_room = swki_buf_reserve(buf, len);
    return *out_room != NULL
               ? SWK_OK
               : swki_fail(err, SWK_ELIMIT, "no room for %zu bytes", len);
}

int swki_aead_seal(const struct swki_aead *aead, const void *data, size_t len,
                   struct swki_buf *out_sealed, struct swk_error *err)
{
    mbedtls_gcm_context gcm;
    uint8_t *room;
    int rc;

    if (len > SIZE_MAX - SWKI_AEAD_TAG_SIZE) {
        return swki_fail(err, SWK_EINVAL, "too long to seal");
    }
    rc = make_room(out_sealed, len + SWKI_AEAD_TAG_SIZE, &room, err);
    if (rc != 0) {
        return rc;
    }
    mbedtls_gcm_init(&gcm);
    rc = set_key(&gcm, aead, err);
    if (rc == 0 &&
        mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, len, aead->nonce,
                                  SWKI_AEAD_NONCE_SIZE, aead->extra,
                                  aead->extra_len, data, room,
                                  SWKI_AEAD_TAG_SIZE, room + len) != 0) {
        rc = swki_fail(err, SWK_EINVAL, "too long to seal");
    }
    if (rc == 0) {
        out_sealed->len += len + SWKI_AEAD_TAG_SIZE;
    }
    mbedtls_gcm_free(&gcm);
    return rc;
}

int swki_aead_open(const struct swki_aead *aead, const void *sealed, size_t len,
                   struct swki_buf *out_data, struct swk_error *err)
{
    mbedtls_gcm_context gcm;
    size_t data_len;
    uint8_t *room;
    int rc;

    if (len < SWKI_AEAD_TAG_SIZE) {
        return swki_fail(err, SWK_ECORRUPT, "sealed data is too short");
    }
    data_len = len - SWKI_AEAD_TAG_SIZE;
    rc = make_room(out_data, data_len, &room, err);
    if (rc != 0) {
        return rc;
    }
    mbedtls_gcm_init(&gcm);
    rc = set_key(&gcm, aead, err);
    if (rc == 0 &&
        mbedtls_gcm_auth_decrypt(&gcm, data_len, aead->nonce,
                                 SWKI_AEAD_NONCE_SIZE, aead->extra,
                                 aead->extra_len,
                                 (const uint8_t *)sealed + data_len,
                                 SWKI_AEAD_TAG_SIZE, sealed, room) != 0) {
        swki_wipe(room, data_len);
        rc = swki_fail(err, SWK_ECORRUPT, "sealed data is damaged");
    }
    if (rc == 0) {
        out_data->len += data_len;
    }
    mbedtls_gcm_free(&gcm);
    return rc;
}

struct swki_aead_cipher {
    const struct swk_alloc *alloc;
    mbedtls_gcm_context gcm;
};

int swki_aead_cipher_new(const struct swk_alloc *alloc,
                         const uint8_t key[SWKI_AEAD_KEY_SIZE],
                         struct swki_aead_cipher **out_cipher,
                         struct swk_error *err)
{
    struct swki_aead_cipher *cipher = swki_alloc(alloc, sizeof(*cipher));
    const struct swki_aead aead = {.key = key};

    if (cipher == NULL) {
        return swki_fail_nomem(err);
    }
    cipher->alloc = alloc;
    mbedtls_gcm_init(&cipher->gcm);
    int rc = set_key(&cipher->gcm, &aead, err);
    if (rc != 0) {
        swki_aead_cipher_free(cipher);
        return rc;
    }
    *out_cipher = cipher;
    return SWK_OK;
}

void swki_aead_cipher_free(struct swki_aead_cipher *cipher)
{
    if (cipher != NULL) {
        mbedtls_gcm_free(&cipher->gcm);
        swki_free(cipher->alloc, cipher);
    }
}

void swki_aead_cipher_seal(struct swki_aead_cipher *cipher,
                           const struct swki_aead_frame *frame, uint8_t *data,
                           size_t len, uint8_t out_tag[SWKI_AEAD_TAG_SIZE])
{
    int rc = mbedtls_gcm_crypt_and_tag(
        &cipher->gcm, MBEDTLS_GCM_ENCRYPT, len, frame->nonce,
        SWKI_AEAD_NONCE_SIZE, frame->extra, frame->extra_len, data, data,
        SWKI_AEAD_TAG_SIZE, out_tag);

    assert(rc == 0);
    (void)rc;
}

bool swki_aead_cipher_open(struct swki_aead_cipher *cipher,
                           const struct swki_aead_frame *frame, uint8_t *data,
                           size_t len, const uint8_t tag[SWKI_AEAD_TAG_SIZE])
{
    return mbedtls_gcm_auth_decrypt(&cipher->gcm, len, frame->nonce,
                                    SWKI_AEAD_NONCE_SIZE, frame->extra,
                                    frame->extra_len, tag, SWKI_AEAD_TAG_SIZE,
                                    data, data) == 0;
}
