/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers as they stand in files: little endian. */

#ifndef SWKI_RUNTIME_FILE_NUMBER_H
#define SWKI_RUNTIME_FILE_NUMBER_H

#include <stdint.h>

static inline void swki_put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void swki_put64(uint8_t *out, uint64_t value)
{
    swki_put32(out, (uint32_t)value);
    swki_put32(out + 4, (uint32_t)(value >> 32));
}

static inline uint32_t swki_get32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 |
           (uint32_t)in[3] << 24;
}

static inline uint64_t swki_get64(const uint8_t *in)
{
    return swki_get32(in) | (uint64_t)swki_get32(in + 4) << 32;
}

#endif
