/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A deterministic generator for the choices of machines: jitter, identifiers.
 *
 * Seeded from the entropy port in production and from a number in tests. Not
 * for keys, tokens or serials; those come from the entropy port.
 */

#ifndef SWKI_BASE_RNG_H
#define SWKI_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include <swarmkit/types.h>

struct swki_rng {
    uint64_t state[4];
};

void swki_rng_init(struct swki_rng *rng, uint64_t seed);

/* Seeds with 32 bytes. */
void swki_rng_init_bytes(struct swki_rng *rng, const uint8_t seed[32]);

uint64_t swki_rng_next(struct swki_rng *rng);

/* Uniform in [0, bound); 0 for bound 0. */
uint64_t swki_rng_below(struct swki_rng *rng, uint64_t bound);

void swki_rng_fill(struct swki_rng *rng, void *out_data, size_t len);

/* A new identifier: SWK_ID_LEN digits of base 36 and a NUL. */
void swki_rng_id(struct swki_rng *rng, char out_id[SWK_ID_LEN + 1]);

/* The identifier that 17 random bytes stand for. */
void swki_id_from_bytes(const uint8_t bytes[17], char out_id[SWK_ID_LEN + 1]);

#endif
