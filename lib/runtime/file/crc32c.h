/* SPDX-License-Identifier: Apache-2.0 */

/* CRC-32C (Castagnoli), by the processor where it can. */

#ifndef SWKI_RUNTIME_FILE_CRC32C_H
#define SWKI_RUNTIME_FILE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from the value over the bytes before; 0 to begin. */
uint32_t swki_crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the processor's help, for tests. */
uint32_t swki_crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
