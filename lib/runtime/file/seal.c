/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/file/seal.h"

#include <string.h>

#include "runtime/file/number.h"

void swki_keyring_init(struct swki_keyring *ring, const struct swk_alloc *alloc,
                       const uint8_t *key, const uint8_t *old_key)
{
    *ring = (struct swki_keyring){.alloc = alloc};
    pthread_mutex_init(&ring->mutex, NULL);
    if (key != NULL) {
        memcpy(ring->keys[0], key, SWKI_SEAL_KEY_SIZE);
        ring->numbers[0] = 2;
    }
    if (old_key != NULL) {
        memcpy(ring->keys[1], old_key, SWKI_SEAL_KEY_SIZE);
        ring->numbers[1] = 1;
    }
}

void swki_keyring_fini(struct swki_keyring *ring)
{
    explicit_bzero(ring->keys, sizeof(ring->keys));
    pthread_mutex_destroy(&ring->mutex);
}

uint32_t swki_keyring_newest(struct swki_keyring *ring)
{
    pthread_mutex_lock(&ring->mutex);
    uint32_t number = ring->numbers[0];
    pthread_mutex_unlock(&ring->mutex);
    return number;
}

bool swki_keyring_is_newest(struct swki_keyring *ring, const uint8_t *key)
{
    pthread_mutex_lock(&ring->mutex);
    bool is_newest = ring->numbers[0] != 0 &&
                     memcmp(ring->keys[0], key, SWKI_SEAL_KEY_SIZE) == 0;
    pthread_mutex_unlock(&ring->mutex);
    return is_newest;
}

bool swki_keyring_add(struct swki_keyring *ring, const uint8_t *key)
{
    pthread_mutex_lock(&ring->mutex);
    bool is_new = memcmp(ring->keys[0], key, SWKI_SEAL_KEY_SIZE) != 0;
    if (is_new) {
        memcpy(ring->keys[1], ring->keys[0], SWKI_SEAL_KEY_SIZE);
        ring->numbers[1] = ring->numbers[0];
        memcpy(ring->keys[0], key, SWKI_SEAL_KEY_SIZE);
        ring->numbers[0]++;
    }
    pthread_mutex_unlock(&ring->mutex);
    return is_new;
}

int swki_keyring_seal(struct swki_keyring *ring, size_t which,
                      struct swki_seal *out_seal)
{
    struct swki_seal seal = {.cipher = NULL};
    int rc = SWK_OK;

    pthread_mutex_lock(&ring->mutex);
    seal.number = ring->numbers[which];
    if (seal.number != 0) {
        rc = swki_aead_cipher_new(ring->alloc, ring->keys[which], &seal.cipher,
                                  NULL);
    }
    pthread_mutex_unlock(&ring->mutex);
    if (rc == SWK_OK) {
        *out_seal = seal;
    }
    return rc;
}

void swki_seal_fini(struct swki_seal *seal)
{
    swki_aead_cipher_free(seal->cipher);
    *seal = (struct swki_seal){.cipher = NULL};
}

static struct swki_aead_frame frame_of(const struct swki_seal_frame *frame,
                                       uint8_t nonce[SWKI_AEAD_NONCE_SIZE])
{
    swki_put64(nonce, frame->salt);
    swki_put32(nonce + 8, frame->count);
    return (struct swki_aead_frame){nonce, frame->extra, frame->extra_len};
}

void swki_seal_close(const struct swki_seal *seal,
                     const struct swki_seal_frame *frame, uint8_t *data,
                     size_t len, uint8_t out_tag[SWKI_SEAL_TAG_SIZE])
{
    uint8_t nonce[SWKI_AEAD_NONCE_SIZE];
    const struct swki_aead_frame aead = frame_of(frame, nonce);

    swki_aead_cipher_seal(seal->cipher, &aead, data, len, out_tag);
}

bool swki_seal_open(const struct swki_seal *seal,
                    const struct swki_seal_frame *frame, uint8_t *data,
                    size_t len, const uint8_t tag[SWKI_SEAL_TAG_SIZE])
{
    uint8_t nonce[SWKI_AEAD_NONCE_SIZE];
    const struct swki_aead_frame aead = frame_of(frame, nonce);

    return seal->cipher != NULL &&
           swki_aead_cipher_open(seal->cipher, &aead, data, len, tag);
}
