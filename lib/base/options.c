/* SPDX-License-Identifier: Apache-2.0 */

#include "base/options.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"

enum {
    SIZE_MAX_SANE = 64 * 1024, /* a wilder size is an unset field */
};

int swki_options_read(void *out_options, size_t known_size, const void *options,
                      const char *name, struct swk_error *err)
{
    const uint8_t *bytes = options;
    size_t size;

    if (options == NULL) {
        return swki_fail(err, SWK_EINVAL, "%s: NULL", name);
    }
    memcpy(&size, bytes, sizeof(size));
    if (size < sizeof(size) || size > SIZE_MAX_SANE) {
        return swki_fail(err, SWK_EINVAL, "%s: size is not set", name);
    }
    for (size_t i = known_size; i < size; i++) {
        if (bytes[i] != 0) {
            return swki_fail(err, SWK_ENOTSUP, "%s: made for a newer library",
                             name);
        }
    }
    memset(out_options, 0, known_size);
    memcpy(out_options, bytes, size < known_size ? size : known_size);
    return SWK_OK;
}
