/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/posix.h>

#include <errno.h>
#include <sys/random.h>

#include <swarmkit/error.h>

static int fill(void *ctx, void *out_data, size_t len)
{
    uint8_t *next = out_data;

    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(next, len, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return SWK_EIO;
        }
        next += n;
        len -= (size_t)n;
    }
    return SWK_OK;
}

const struct swk_entropy *swk_posix_entropy(void)
{
    static const struct swk_entropy posix_entropy = {
        .size = sizeof(posix_entropy),
        .fill = fill,
    };

    return &posix_entropy;
}
