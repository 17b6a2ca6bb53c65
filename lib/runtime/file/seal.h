/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of a storage, and how each thing on the disk is sealed.
 *
 * A nonce is 8 bytes of a salt that was drawn for this use, then a count of 4
 * bytes: whoever draws a salt counts what it seals under it. What is sealed is
 * bound to its place by the extra bytes.
 */

#ifndef SWKI_RUNTIME_FILE_SEAL_H
#define SWKI_RUNTIME_FILE_SEAL_H

#include <pthread.h>
#include <stdbool.h>

#include "crypto/aead.h"

enum {
    SWKI_SEAL_TAG_SIZE = SWKI_AEAD_TAG_SIZE,
    SWKI_SEAL_KEY_SIZE = SWKI_AEAD_KEY_SIZE,
};

/* Two keys at most: the one in use and the one before. Any thread. */
struct swki_keyring {
    const struct swk_alloc *alloc;
    pthread_mutex_t mutex;               /* guards what follows */
    uint8_t keys[2][SWKI_SEAL_KEY_SIZE]; /* the newest first */
    uint32_t numbers[2];                 /* count up; 0: there is none */
};

/* Either key may be NULL. */
void swki_keyring_init(struct swki_keyring *ring, const struct swk_alloc *alloc,
                       const uint8_t *key, const uint8_t *old_key);
/* Wipes the keys. */
void swki_keyring_fini(struct swki_keyring *ring);

/* The number of the key in use; 0 for none. */
uint32_t swki_keyring_newest(struct swki_keyring *ring);

bool swki_keyring_is_newest(struct swki_keyring *ring, const uint8_t *key);

/* Makes key the newest and forgets the oldest; false if it is the newest
 * already. */
bool swki_keyring_add(struct swki_keyring *ring, const uint8_t *key);

/* A key made ready for one thread, or none. */
struct swki_seal {
    struct swki_aead_cipher *cipher; /* NULL: nothing is sealed */
    uint32_t number;                 /* 0: none */
};

/* Makes the newest key ready (which 0), or the one before (1); a seal without
 * a cipher if there is none. SWK_ENOMEM. */
int swki_keyring_seal(struct swki_keyring *ring, size_t which,
                      struct swki_seal *out_seal);
void swki_seal_fini(struct swki_seal *seal);

/* The extra bytes, of which there are few, and the nonce. */
struct swki_seal_frame {
    uint64_t salt;
    uint32_t count;
    const uint8_t *extra;
    size_t extra_len;
};

void swki_seal_close(const struct swki_seal *seal,
                     const struct swki_seal_frame *frame, uint8_t *data,
                     size_t len, uint8_t out_tag[SWKI_SEAL_TAG_SIZE]);
bool swki_seal_open(const struct swki_seal *seal,
                    const struct swki_seal_frame *frame, uint8_t *data,
                    size_t len, const uint8_t tag[SWKI_SEAL_TAG_SIZE]);

#endif
