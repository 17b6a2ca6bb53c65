/* SPDX-License-Identifier: Apache-2.0 */

#include "base/rng.h"

#include <string.h>

#include "base/base36.h"

/* splitmix64: spreads a seed over the state. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void swki_rng_init(struct swki_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        rng->state[i] = spread(&seed);
    }
}

void swki_rng_init_bytes(struct swki_rng *rng, const uint8_t seed[32])
{
    memcpy(rng->state, seed, sizeof(rng->state));
    if ((rng->state[0] | rng->state[1] | rng->state[2] | rng->state[3]) == 0) {
        swki_rng_init(rng, 0); /* all zero is the one state to avoid */
    }
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

/* xoshiro256**, by Blackman and Vigna. */
uint64_t swki_rng_next(struct swki_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t swki_rng_below(struct swki_rng *rng, uint64_t bound)
{
    uint64_t limit;
    uint64_t value;

    if (bound == 0) {
        return 0;
    }
    limit = UINT64_MAX - UINT64_MAX % bound;
    do {
        value = swki_rng_next(rng);
    } while (value >= limit);
    return value % bound;
}

void swki_rng_fill(struct swki_rng *rng, void *out_data, size_t len)
{
    uint8_t *out = out_data;

    while (len > 0) {
        uint64_t value = swki_rng_next(rng);
        size_t part = len < sizeof(value) ? len : sizeof(value);

        memcpy(out, &value, part);
        out += part;
        len -= part;
    }
}

void swki_id_from_bytes(const uint8_t bytes[17], char out_id[SWK_ID_LEN + 1])
{
    uint8_t number[17];
    char digits[SWK_ID_LEN + 3];

    memcpy(number, bytes, sizeof(number));
    number[0] |= 0x80; /* so that there are always 27 digits */
    swki_base36_encode(number, sizeof(number), digits, SWK_ID_LEN + 2);
    memcpy(out_id, digits + 1, SWK_ID_LEN);
    out_id[SWK_ID_LEN] = '\0';
}

void swki_rng_id(struct swki_rng *rng, char out_id[SWK_ID_LEN + 1])
{
    uint8_t bytes[17];

    swki_rng_fill(rng, bytes, sizeof(bytes));
    swki_id_from_bytes(bytes, out_id);
}
